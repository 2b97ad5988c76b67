"""Assignments as Parquet files that carry the rule, the seed and what is needed to rebuild the lottery."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kokeilu._checks import as_path
from kokeilu._kernels.streams import Seed
from kokeilu.core.assignment import Assignment, check_assignment
from kokeilu.core.canonical import canonical_json
from kokeilu.core.protocols import Mechanism
from kokeilu.core.register import read_register
from kokeilu.core.registry import decode, encode
from kokeilu.core.table import read_columns, read_factor
from kokeilu.errors import FileError, KokeiluError, SeedError

__all__ = ["load", "save"]

_KEY = b"kokeilu"
_SCHEMA = "kokeilu-assignment/1"


def save(assignment: Assignment, path: str | os.PathLike[str]) -> Path:
    """Write an assignment to a Parquet file.

    The file holds one row for each person (id, arm, and the columns that the rule used) and, in its metadata, the
    rule, the seed, the fingerprints and the versions: enough to rebuild the lottery without the register. It names
    people by their ids, so keep it as the register is kept.

    Parameters
    ----------
    assignment : Assignment
    path : path
        Overwritten whole or not at all.

    Returns
    -------
    pathlib.Path

    Examples
    --------
    >>> import kokeilu as kk, tempfile, pathlib
    >>> seekers = kk.datasets.job_seekers(500, seed="example")
    >>> drawn = kk.randomise(seekers, kk.Complete(kk.arms(control=1, coaching=1)), id="person_id", seed="published")
    >>> path = kk.save(drawn, pathlib.Path(tempfile.mkdtemp()) / "assignment.parquet")
    >>> kk.load(path).fingerprint == drawn.fingerprint
    True
    """
    check_assignment(assignment)
    target = as_path(path)
    if target.suffix.lower() not in ("", ".parquet", ".pq"):
        raise FileError(
            f"an assignment is written as Parquet, not as {target.suffix!r}. Name the file assignment.parquet; for "
            "a table to read elsewhere use assignment.to_frame()."
        )
    part = target.with_name(target.name + ".part")
    try:
        pq.write_table(_table(assignment), part)
        os.replace(part, target)
        reason = ""
    except OSError as error:
        reason = "the folder does not exist" if not target.parent.is_dir() else error.strerror or "no access"
        # Half a file names people too: it must not stay behind.
        with contextlib.suppress(OSError):
            part.unlink()
    if reason:
        raise FileError(
            f"{target.name!r} cannot be written: {reason}. Choose a folder that exists and may be written to."
        )
    return target


def _table(assignment: Assignment) -> pa.Table:
    ids = assignment.ids
    columns: dict[str, Any] = {assignment.id_name: _id_array(ids.values)}
    arm = assignment.arm_column
    columns[arm] = _coded(assignment.codes, assignment.arms.names)
    for name, factor in assignment.population.factors.items():
        # Where each person is a cluster, the ids stay as they are.
        columns.setdefault(name, _coded(factor.codes, factor.levels))
    for name, values in assignment.population.numbers.items():
        columns.setdefault(name, pa.array(values))
    return pa.table(columns).replace_schema_metadata({_KEY: canonical_json(_about(assignment, arm)).encode("utf-8")})


def _id_array(values: np.ndarray[Any, Any]) -> pa.Array:
    if values.dtype.kind == "S":
        return pa.array(values.tolist(), type=pa.large_binary()).cast(pa.large_string())
    return pa.array(values)


def _coded(codes: np.ndarray[Any, Any], levels: tuple[str, ...]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(list(levels), type=pa.string()))


def _about(assignment: Assignment, arm: str) -> dict[str, object]:
    seed = assignment.seed
    return {
        "schema": _SCHEMA,
        "versions": {"kokeilu": _version(), "numpy": np.__version__, "pyarrow": pa.__version__},
        "id": assignment.id_name,
        "arm": arm,
        "columns": [*assignment.population.factors, *assignment.population.numbers],
        "mechanism": encode(assignment.mechanism),
        "seed": None if seed is None else {"kind": seed.kind, "text": seed.text},
        "plan": assignment.plan_fingerprint,
        "known": None if assignment.known is None else list(assignment.known),
        "fingerprints": {
            "frame": assignment.frame_fingerprint,
            "design": assignment.design_fingerprint,
            "assignment": assignment.fingerprint,
        },
    }


def _version() -> str:
    from kokeilu import __version__

    return __version__


def load(path: str | os.PathLike[str]) -> Assignment:
    """Read an assignment that :func:`save` wrote, rebuild its lottery and check its fingerprints.

    Fingerprints tell a slip from an original; they do not tell who wrote the file. Whoever must not trust the file
    compares :attr:`Assignment.fingerprint` with the one that was published, and replays the draw with :func:`verify`.

    Raises
    ------
    FileError
        Where the file is absent, cut short, no assignment of kokeilu, or changed since it was written.
    """
    source = as_path(path)
    table = _read(source)
    about = _metadata(table, source)
    try:
        assignment = _rebuild(table, about)
        differs = _differences(assignment, about["fingerprints"])
        reason = ""
    except KokeiluError as error:
        reason = str(error)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, pa.ArrowException):
        reason = "its metadata is not complete. Take a whole copy of what kokeilu.save wrote."
    if reason:
        raise FileError(f"{source.name!r} does not hold a whole assignment: {reason}")
    if differs:
        raise FileError(
            f"{source.name!r} was changed after it was written: the fingerprint of its {differs[0]} differs. "
            "Take the original file."
        )
    return assignment


def _read(source: Path) -> pa.Table:
    if not os.path.isfile(source):
        raise FileError(f"there is no file {source.name!r} in {str(source.parent.absolute())!r}. Check the path.")
    try:
        return pq.read_table(source)
    except (pa.ArrowException, OSError):
        pass
    raise FileError(
        f"{source.name!r} is no Parquet file, or was cut short. Take a whole copy of what kokeilu.save wrote."
    )


def _metadata(table: pa.Table, source: Path) -> Mapping[str, Any]:
    raw = (table.schema.metadata or {}).get(_KEY)
    other = FileError(f"{source.name!r} is a Parquet file, but not an assignment written by kokeilu.save.")
    if raw is None:
        raise other
    try:
        about = json.loads(raw)
    except (ValueError, RecursionError):
        about = None
    if not isinstance(about, dict) or "schema" not in about:
        raise other
    if about["schema"] != _SCHEMA:
        raise FileError(
            f"{source.name!r} has the schema {about['schema']!r}, and this version of kokeilu reads {_SCHEMA!r}. "
            "Read it with the version that wrote it."
        )
    return about


def _rebuild(table: pa.Table, about: Mapping[str, Any]) -> Assignment:
    where = "the file"
    mechanism = decode(about["mechanism"])
    if not isinstance(mechanism, Mechanism):
        raise FileError("its rule is no mechanism. Take a whole copy of what kokeilu.save wrote.")
    population, order = read_register(table, mechanism, id=about["id"], where=where)
    arm = about["arm"]
    factor = read_factor(read_columns(table, (arm,), where=where)[arm], arm, where=where)
    lottery = mechanism.bind(population)
    if not set(factor.levels) <= set(lottery.arms.names):
        raise FileError("the column of the arms holds values that are no arm of the design. Take the original file.")
    place = np.array([lottery.arms.index(level) for level in factor.levels], dtype=np.int8)
    seed, plan = about["seed"], about["plan"]
    if not (plan is None or (isinstance(plan, str) and plan)):
        raise FileError("the fingerprint of its plan is no text. Take the original file.")
    return Assignment(
        mechanism=mechanism,
        population=population,
        lottery=lottery,
        codes=place[factor.codes][order],
        seed=None if seed is None else _seed(seed["kind"], seed["text"]),
        plan_fingerprint=plan,
        known=_known(about.get("known")),
    )


def _known(names: object) -> tuple[str, ...] | None:
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FileError("the columns of its register are no list of names. Take the original file.")
    return tuple(names)


def _seed(kind: str, text: str) -> Seed:
    read: dict[str, Callable[[str], str | int | bytes]] = {"t": str, "i": int, "b": bytes.fromhex}
    seed = Seed.of(read[kind](text))
    if (seed.kind, seed.text) != (kind, text):
        raise SeedError("its seed is not written as kokeilu.save writes it.")
    return seed


def _differences(assignment: Assignment, stated: Mapping[str, Any]) -> list[str]:
    found = {
        "people or columns": (assignment.frame_fingerprint, stated["frame"]),
        "rule": (assignment.design_fingerprint, stated["design"]),
        "arms or seed": (assignment.fingerprint, stated["assignment"]),
    }
    return [what for what, (now, then) in found.items() if now != then]
