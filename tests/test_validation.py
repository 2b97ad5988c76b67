"""The committed page of error rates: made from the committed figures, complete, and with reasons."""

from __future__ import annotations

import ast
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SPEC = importlib.util.spec_from_file_location("validation", ROOT / "tools" / "validation.py")
tool: Any = importlib.util.module_from_spec(SPEC)  # type: ignore[arg-type]
SPEC.loader.exec_module(tool)  # type: ignore[union-attr]

LINES = tool.read(tool.KEPT)
# These look at the tests themselves, and give no figure.
NO_FIGURE = {
    "test_laws.py::test_a_wrong_law_is_found",
    "test_power_twins.py::test_at_least_a_hundred_points",
    "test_power_twins.py::test_the_twins_know_nothing",
}


def calibrations() -> list[str]:
    found = []
    for path in sorted((ROOT / "tests" / "calibration").glob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        found += [f"{path.name}::{name}" for name in names if name.startswith("test_")]
    return found


def test_the_page_is_made_from_the_figures() -> None:
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(LINES)


def test_the_tables_parse_and_hold_every_row() -> None:
    rows = [line for line in tool.PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    data = [row for row in rows if not row.startswith(("| Design |", "| Topic |", "| --- |"))]
    assert len(data) == len(LINES) > 100
    widths = {row.replace("\\|", "").count("|") - 1 for row in rows}
    assert widths == {6, 7}


@pytest.mark.parametrize("test", sorted(set(calibrations()) - NO_FIGURE))
def test_every_calibration_has_its_rows(test: str) -> None:
    assert any(tool.function(line) == test for line in LINES), "run `make calibrate`, and let the test call record()"


def test_no_figure_is_of_a_calibration_that_is_gone() -> None:
    assert {tool.function(line) for line in LINES} <= set(calibrations())


def test_whatever_lies_outside_the_band_has_a_reason() -> None:
    rates = [line for line in LINES if "found" not in line]
    assert [line["test"] for line in rates if tool.outside(line) and not line["reason"]] == []
    assert "NO REASON" not in tool.PAGE.read_text(encoding="utf-8")


def test_what_was_stated_is_what_was_found() -> None:
    assert [line["test"] for line in LINES if "found" in line and line["found"] > line["allowed"]] == []


def line(**changes: Any) -> dict[str, Any]:
    plain = {
        "test": "tests/calibration/test_means.py::test_a[x]",
        "topic": "means",
        "design": "complete",
        "method": "by the design",
        "outcome": "normal",
        "replications": 1_000,
        "rejections": 0.05,
        "coverage": 0.95,
        "reason": "",
    }
    return {**plain, **changes}


@pytest.mark.parametrize(
    ("changes", "off"),
    [
        ({}, False),
        ({"rejections": 0.065, "coverage": 0.935}, False),
        ({"rejections": 0.0651}, True),
        ({"rejections": 0.034}, True),
        ({"coverage": 0.934}, True),
        ({"rejections": None, "coverage": None}, False),
    ],
)
def test_the_band(changes: dict[str, Any], off: bool) -> None:
    assert tool.outside(line(**changes)) is off
    assert ("**" in "".join(tool.row(line(**changes)))) is off


def test_figures_of_a_test_that_ran_again_are_replaced() -> None:
    other = line(test="tests/calibration/test_means.py::test_b", design="8 clusters")
    new = line(rejections=0.06)
    assert tool.merged([line(), line(design="gone"), other], [line(rejections=0.04), new]) == [new, other]


def test_a_row_without_a_reason_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tool, "KEPT", tmp_path / "kept.jsonl")
    monkeypatch.setattr(tool, "PAGE", tmp_path / "page.md")
    given = tmp_path / "lines.jsonl"
    given.write_text(json.dumps(line(rejections=0.08)) + "\n", encoding="utf-8")
    assert tool.main([str(given)]) == 1
    assert "no reason for" in capsys.readouterr().out
    told = line(rejections=0.02, reason="few | levels")
    said = {"test": "tests/calibration/test_laws.py::test_c", "topic": "laws", "design": "pairs", "what": "chances"}
    rows = [told, {**said, "replications": 20_000, "found": 3.1, "allowed": 5.0}]
    given.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert tool.main(["--merge", str(given)]) == 0
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "**2.0 ± 0.4 %**" in page
    assert "few \\| levels" in page
    assert "| 3.1 | 5 |" in page
