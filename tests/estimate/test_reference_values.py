"""Every case of the reference files on inference, at the tolerance that it states; what is skipped says why."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from comparisons.common import HERE, cases_of

FILES = sorted(path.stem for path in HERE.glob("*.json"))
EVERY = [(file, case) for file in FILES for case in cases_of(file)]


def module_of(file: str) -> Any:
    return importlib.import_module(f"comparisons.{file}")


@pytest.mark.parametrize(("file", "case"), EVERY, ids=[f"{file}:{case['id']}" for file, case in EVERY])
def test_reference_value(file: str, case: dict[str, Any]) -> None:
    module = module_of(file)
    if case["id"] in module.SKIPPED:
        pytest.skip(module.SKIPPED[case["id"]])
    module.run(case)


@pytest.mark.parametrize("file", FILES)
def test_what_is_skipped_exists_and_says_why(file: str) -> None:
    known = {case["id"] for case in cases_of(file)}
    skipped = module_of(file).SKIPPED
    assert set(skipped) <= known
    assert all(len(reason) > 20 for reason in skipped.values())


def test_every_file_has_its_comparison() -> None:
    here = Path(__file__).parents[1] / "comparisons"
    assert {path.stem for path in here.glob("*.py")} >= set(FILES)
