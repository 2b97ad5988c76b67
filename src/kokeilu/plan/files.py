"""Plans on disk: readable JSON that carries the fingerprint of what it holds."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from kokeilu._checks import unknown_name
from kokeilu.core.canonical import fingerprint
from kokeilu.errors import FileError, PlanError
from kokeilu.plan.compare import SHORT
from kokeilu.plan.plan import Plan
from kokeilu.plan.text import library_version, parse_json

__all__ = ["load_plan", "save_plan"]

FILE_SCHEMA = "kokeilu-plan-file/1"
KEYS = ("schema", "fingerprint", "library", "plan")
_AGAIN = "Get the file again from where the plan was published."


def save_plan(plan: Plan, path: str | PathLike[str]) -> Path:
    """Write a plan to a JSON file with its fingerprint.

    Parameters
    ----------
    plan : Plan
    path : path

    Returns
    -------
    Path

    Raises
    ------
    PlanError
        Where `plan` is none.
    FileError
        Where the folder does not exist or cannot be written.

    Examples
    --------
    >>> import tempfile, kokeilu as kk
    >>> plan = kk.Plan(title="Coach", id="id", design=kk.Complete(kk.arms(control=1, coaching=1)),
    ...                outcomes=(kk.Outcome("work"),), analyses=(kk.Analysis("work"),))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     kk.load_plan(kk.save_plan(plan, folder + "/plan.json")) == plan
    True
    """
    if not isinstance(plan, Plan):
        raise PlanError(f"a plan is needed, from Plan(...) or load_plan(path); got {type(plan).__name__}.")
    target = Path(path)
    body = {
        "schema": FILE_SCHEMA,
        "fingerprint": plan.fingerprint,
        "library": f"kokeilu {library_version()}",
        "plan": json.loads(plan.to_json()),
    }
    text = json.dumps(body, indent=2, ensure_ascii=False) + "\n"
    # Written beside and moved into place, so that a crash leaves no half plan under the name.
    beside = target.with_name(f".{target.name}.part")
    trouble = ""
    try:
        beside.write_bytes(text.encode("utf-8"))
        os.replace(beside, target)
    except OSError as error:
        trouble = error.strerror or type(error).__name__
    if trouble:
        raise FileError(f"{target} cannot be written: {trouble}. Check that the folder exists and may be written to.")
    return target


def load_plan(path: str | PathLike[str]) -> Plan:
    """Read a plan from a file of :func:`save_plan`, and check its fingerprint.

    Parameters
    ----------
    path : path

    Returns
    -------
    Plan

    Raises
    ------
    FileError
        Where the file is absent, ends in the middle, is something else, or was edited after it was written.
    PlanError
        Where it holds unknown keys or is of another schema.
    """
    where = str(path)
    data = parse_json(_read(Path(path)), where=where)
    if not isinstance(data, Mapping) or data.get("schema") != FILE_SCHEMA:
        raise FileError(f"{where} is not a plan file of schema {FILE_SCHEMA!r}. Write one with save_plan.")
    for key in data:
        if key not in KEYS:
            raise unknown_name(key, KEYS, what="key", where=where, error=PlanError)
    absent = [key for key in KEYS if key not in data]
    if absent:
        raise FileError(f"{where} lacks {', '.join(map(repr, absent))}. {_AGAIN}")
    stated, found = str(data["fingerprint"]), fingerprint(data["plan"])
    if stated != found:
        raise FileError(
            f"{where} was changed after it was written: it states the fingerprint {stated[:SHORT]}, but the plan in it "
            f"has {found[:SHORT]}. {_AGAIN} An amended plan is made anew with Plan(...) and save_plan."
        )
    return Plan.from_data(data["plan"], where=where)


def _read(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        trouble = f"cannot be read: {'it is a folder' if path.is_dir() else error.strerror or type(error).__name__}"
    else:
        try:
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            # A cut can fall inside a character of up to four bytes.
            cut = raw.lstrip()[:1] == b"{" and error.start >= len(raw) - 3
            trouble = "ends in the middle: the plan file was cut off" if cut else "is not a text file"
    raise FileError(f"{path} {trouble}. {_AGAIN}")
