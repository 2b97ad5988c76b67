"""Reading a frozen register back from a file: only the columns of the draw, of the kinds they had then."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from kokeilu._checks import as_path, unknown_name
from kokeilu.core.register import covariates_of
from kokeilu.core.table import level_text
from kokeilu.errors import ColumnError, FileError

if TYPE_CHECKING:
    from kokeilu.core.assignment import Assignment
    from kokeilu.core.protocols import Mechanism

__all__ = ["read_people", "read_register"]

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
    mechanism = assignment.mechanism
    wanted = _wanted(assignment.id_name, mechanism)
    return _read(as_path(path), wanted, _kinds(assignment))


def read_people(
    path: str | os.PathLike[str], mechanism: Mechanism, *, id: str, whole_ids: bool | None = None
) -> pa.Table:
    """Return the id and the columns that a mechanism asks for from a Parquet or CSV file, before there is a draw.

    A CSV tells no kinds: its columns are read as text, which gives the same levels as numbers do. Ids become whole
    numbers, and covariates numbers, where each value is written as a number is, with no zero in front.

    Parameters
    ----------
    path : path
    mechanism : Mechanism
    id : str
    whole_ids : bool, optional
        Whether ids of digits alone are whole numbers; where it is known, they are not guessed.

    Raises
    ------
    FileError, ColumnError
        As :func:`read_register`.
    """
    file = as_path(path)
    wanted = _wanted(id, mechanism)
    table = _read(file, wanted, None)
    if _is_parquet(file):
        return table
    numbers = [name for name in covariates_of(mechanism) if name not in mechanism.columns()]
    for name, kind in [(id, pa.int64()), *((name, pa.float64()) for name in numbers)]:
        column = table.column(name)
        if (name != id or whole_ids is not False) and _written_as(column, _WHOLE if name == id else _NUMBER):
            with contextlib.suppress(pa.ArrowInvalid):
                column = column.cast(kind)
        table = table.set_column(table.column_names.index(name), name, column)
    for name in mechanism.columns():
        # A truth value is "true" from a column of its own kind, whatever the capitals of the CSV.
        if name != id and _written_as(table.column(name), "^(true|false|True|False|TRUE|FALSE)$"):
            position = table.column_names.index(name)
            table = table.set_column(position, name, pa.compute.utf8_lower(table.column(name)))
    return table


_WHOLE = "^(0|-?[1-9][0-9]{0,17})$"
_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$"


def _written_as(column: pa.ChunkedArray, pattern: str) -> bool:
    if not pa.types.is_string(column.type):
        return False
    return bool(pa.compute.all(pa.compute.match_substring_regex(column, pattern)).as_py())


def _wanted(id: str, mechanism: Mechanism) -> list[str]:
    return list(dict.fromkeys((id, *mechanism.columns(), *covariates_of(mechanism))))


def _is_parquet(file: Path) -> bool:
    with file.open("rb") as source:
        return source.read(4) == b"PAR1"


def _read(file: Path, wanted: list[str], kinds: dict[str, pa.DataType] | None) -> pa.Table:
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
    texts = dict.fromkeys(wanted, pa.string())
    try:
        parquet = start[:4] == b"PAR1"
        table = _parquet(file, wanted) if parquet else _csv(file, start, wanted, texts if kinds is None else kinds)
    except (pa.ArrowException, OSError, ValueError, KeyError, IndexError):
        table = None
    if table is None:
        raise FileError(f"{problem}: {_fault(file)}. {advice}")
    return table


def _fault(file: Path) -> str:
    """Say why a file is no register, without a word of it."""
    kinds = "it is neither whole Parquet nor CSV"
    if _is_parquet(file):
        return kinds
    try:
        with file.open(encoding="utf-8") as source:
            for _ in source:
                pass
    except (UnicodeDecodeError, OSError):
        return f"{kinds} in UTF-8. Excel and R on Windows may write another encoding: choose CSV UTF-8 there"
    return f"{kinds} with as many values in each row as names in the first line"


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
    if wanted[0] not in known and {name.casefold() for name in wanted} & {name.casefold() for name in known}:
        raise unknown_name(wanted[0], known, what="column", where=file.name, error=ColumnError)
    if wanted[0] not in known:
        # Without the id the first line may be a row of people: nothing of it is quoted.
        raise ColumnError(
            f"{file.name} has no column {wanted[0]!r}, which names the people of the draw. The first line of a CSV "
            "must hold the names of its columns."
        )
    for name in wanted:
        if name not in known:
            raise unknown_name(name, known, what="column", where=file.name, error=ColumnError)
