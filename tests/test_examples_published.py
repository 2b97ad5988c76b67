"""The replications on real data run, and their numbers agree with the published ones."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "examples" / "published"
SCRIPTS = sorted(FOLDER.glob("[a-z]*.py"))


def run(script: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "argv", [str(script), *arguments])
    runpy.run_path(str(script), run_name="__main__")


@contextmanager
def suppress_end(code: int) -> Iterator[None]:
    """Let a script end by itself, with this code only."""
    try:
        yield
    except SystemExit as end:
        if end.code != code:
            pytest.fail(f"the script ended with: {end.code}")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_numbers_are_those_published(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with suppress_end(0):
        run(script, monkeypatch)
    said = capsys.readouterr().out
    if "this replication is left out" in said:
        pytest.skip(said.splitlines()[0])
    assert "theirs is from" in said
    assert any(line.startswith("In words: ") for line in said.splitlines()[-3:])


def test_absent_data_end_well(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="^0$"):
        run(FOLDER / "colombia.py", monkeypatch, "nowhere.csv")
    assert "`colombia` of the R package ritest" in capsys.readouterr().out


def test_a_number_that_does_not_agree_ends_the_script(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    names = runpy.run_path(str(FOLDER / "_beside.py"))
    line = names["Beside"]
    names["beside"]([line(what="rounded", ours=632.85, theirs="633", source="a paper")])
    names["beside"]([line(what="other", ours=2.0, theirs="1", source="a paper", why="on purpose")])
    with pytest.raises(SystemExit, match="does not agree: wrong"):
        names["beside"]([line(what="wrong", ours=632.4, theirs="633", source="a paper")])
    with pytest.raises(SystemExit, match="does not agree: close"):
        names["beside"]([line(what="close", ours=1.0001, theirs="1.000000001", source="a program")])
    assert "differs from a paper: on purpose." in capsys.readouterr().out
