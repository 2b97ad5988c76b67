"""Reading a frozen register back from a file: only the columns of the draw, of the kinds they had then."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from kokeilu._checks import as_path, unknown_name
from kokeilu.core.register import covariates_of
from kokeilu.core.table import level_text
from kokeilu.errors import ColumnError, FileError

if TYPE_CHECKING:
    from kokeilu.core.assignment import Assignment

__all__ = ["read_register"]

_HEAD = 2**16


def read_register(path: str | os.PathLike[str], assignment: Assignment) -> pa.Table:
    """Return the id and the columns that a draw used from a Parquet or CSV file; nothing else is read.

    Parameters
    ----------
    path : path
        Parquet, or CSV in UTF-8 with a header and commas, semicolons or tabs between the values.
    assignment : Assignment
        Its ids and levels tell which CSV columns are text, so that leading zeros are kept.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    FileError
        Where the file is absent, empty, or neither Parquet nor such a CSV.
    ColumnError
        Where a column of the draw is absent, with the nearest name.
    """
    file = as_path(path)
    wanted = list(
        dict.fromkeys((assignment.id_name, *assignment.mechanism.columns(), *covariates_of(assignment.mechanism)))
    )
    problem = f"{file.name} cannot be read as a register"
    advice = "Give the frozen register as Parquet, or as CSV in UTF-8 with a header line."
    try:
        with file.open("rb") as source:
            start = source.read(_HEAD)
    except OSError as error:
        reason = error.strerror or "it cannot be opened"
        start = b""
    else:
        reason = "" if start else "it is empty"
    if reason:
        raise FileError(f"{problem}: {reason}. {advice}")
    try:
        table = _parquet(file, wanted) if start[:4] == b"PAR1" else _csv(file, start, wanted, _kinds(assignment))
    except (pa.ArrowException, OSError, ValueError, KeyError, IndexError):
        table = None
    if table is None:
        raise FileError(f"{problem}: it is neither whole Parquet nor CSV. {advice}")
    return table


def _kinds(assignment: Assignment) -> dict[str, pa.DataType]:
    """Return the kind of each column of the draw, of the id last."""
    kinds = {name: _kind(factor.levels) for name, factor in assignment.population.factors.items()}
    return {**kinds, assignment.id_name: pa.string() if assignment.ids.kind == "text" else pa.int64()}


def _kind(levels: tuple[str, ...]) -> pa.DataType:
    if not all(_prints_back(level) for level in levels) or 0 < len({"true", "false"} & set(levels)) < len(levels):
        return pa.string()
    if levels[0] in ("true", "false"):
        return pa.bool_()
    return pa.float64() if max(abs(float(level)) for level in levels) < 2**53 else pa.int64()


def _prints_back(level: str) -> bool:
    """Return whether a level is what a number or a truth value prints as, so that any kind of column gives it."""
    try:
        number = float(level)
    except ValueError:
        return level in ("true", "false")
    return math.isfinite(number) and level_text(number) == level


def _parquet(file: Path, wanted: list[str]) -> pa.Table:
    _require(wanted, pa.parquet.read_schema(file).names, file)
    return pa.parquet.read_table(file, columns=wanted)


def _csv(file: Path, start: bytes, wanted: list[str], kinds: dict[str, pa.DataType]) -> pa.Table | None:
    line = start.decode("utf-8-sig", errors="replace").splitlines()[0]
    mark = max((",", ";", "\t"), key=line.count)
    parse = pa.csv.ParseOptions(delimiter=mark)
    head = pa.csv.open_csv(file, parse_options=parse)
    _require(wanted, head.schema.names, file)
    head.close()
    texts = {name: kind for name, kind in kinds.items() if kind == pa.string()}
    # A kind guessed from the first block may not hold for a later one; then the kinds of the draw are read.
    for stated in (texts, kinds):
        convert = pa.csv.ConvertOptions(
            include_columns=wanted, column_types=stated, strings_can_be_null=True, null_values=[""]
        )
        with contextlib.suppress(pa.ArrowInvalid):
            return pa.csv.read_csv(file, parse_options=parse, convert_options=convert)
    return None


def _require(wanted: list[str], known: list[str], file: Path) -> None:
    if wanted[0] not in known:
        # Without the id the first line may be a row of people: nothing of it is quoted.
        raise ColumnError(
            f"{file.name} has no column {wanted[0]!r}, which names the people of the draw. The first line of a CSV "
            "must hold the names of its columns."
        )
    for name in wanted:
        if name not in known:
            raise unknown_name(name, known, what="column", where=file.name, error=ColumnError)
