"""Every number of the reference files on balance, attrition and sample ratios; what is skipped says why."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest

from comparisons import balance_ritools, balance_tables
from comparisons.balance_common import HERE, close, leaves, stored

MODULES: dict[str, Any] = {
    **dict.fromkeys(
        ("balance_nsw", "balance_nsw8", "balance_multiarm", "balance_crt", "balance_perm", "srm_cases"), balance_tables
    ),
    "ritools": balance_ritools,
    "attrition": balance_ritools,
}
EVERY = [(file, path, value) for file in MODULES for path, value in leaves(stored(file))]


def reason(file: str, path: str) -> str | None:
    """Why a number is not compared."""
    place = f"{file}:{path}"
    skipped = MODULES[file].SKIPPED
    return next((why for key, why in skipped.items() if fnmatchcase(place, f"{key}*")), None)


def groups() -> list[tuple[str, str]]:
    """A test for each case, table row or test of a file, not for each number."""
    return list(dict.fromkeys((file, "/".join(path.split("/")[:2])) for file, path, _ in EVERY))


@pytest.mark.parametrize(("file", "group"), groups(), ids=[f"{file}:{group}" for file, group in groups()])
def test_reference_value(file: str, group: str) -> None:
    module = MODULES[file]
    inside = [(p, v) for f, p, v in EVERY if f == file and "/".join(p.split("/")[:2]) == group]
    left = {path: why for path, _ in inside if (why := reason(file, path)) is not None}
    if len(left) == len(inside):
        pytest.skip("; ".join(sorted(set(left.values()))))
    found = module.found_in(file)
    for path, wanted in inside:
        if path not in left:
            assert path in found, f"{path} is neither compared nor skipped"
            close(path, found[path], wanted, rtol=module.rtol_of(path))


@pytest.mark.parametrize("module", [balance_tables, balance_ritools])
def test_what_is_skipped_exists_and_says_why(module: Any) -> None:
    for key, why in module.SKIPPED.items():
        assert len(why) >= len("an input"), key
        assert any(MODULES[f] is module and fnmatchcase(f"{f}:{p}", f"{key}*") for f, p, _ in EVERY), key


def test_every_file_is_compared() -> None:
    assert {path.stem for path in HERE.glob("*.json")} == set(MODULES)
