"""The main job, as `kokeilu demo` runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

import kokeilu as kk
from kokeilu.__main__ import main
from kokeilu.datasets import demo
from kokeilu.datasets.demo import make_folder
from kokeilu.errors import DataError, FileError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("causaldata", "matplotlib", "jinja2"):
        pytest.importorskip(package)
    return tmp_path_factory.mktemp("demo") / "new folder"


def test_it_runs_and_tells_what_it_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--out", str(folder)]) == 0
    printed = capsys.readouterr().out
    for part in ("1,794.34", "1,621.58", "VERIFIED", "Registered analyses", "Exploratory analyses", "report.html"):
        assert part in printed
    assert "JS-0" not in printed
    left = {"register.parquet", "plan.json", "assignment.parquet", "report.html"}
    assert {file.name for file in folder.iterdir()} == left


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FileError, match="'file' cannot be used"):
        make_folder(tmp_path / "file")


def test_without_the_real_trial_the_new_one_still_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def missing() -> None:
        raise DataError("the package is not installed.")

    monkeypatch.setattr(demo, "real_trial", missing)
    monkeypatch.setattr(demo, "new_trial", lambda folder: demo.say(f"new trial in {folder.name}"))
    demo.run(tmp_path / "out")
    assert capsys.readouterr().out == "Left out: the package is not installed.\nnew trial in out\n"


def test_what_it_leaves_fits_together(folder: Path) -> None:
    if not (folder / "report.html").exists():
        pytest.skip("the demo has not run")
    plan, assignment = kk.load_plan(folder / "plan.json"), kk.load(folder / "assignment.parquet")
    assert assignment.plan_fingerprint == plan.fingerprint
    assert main(["verify", str(folder / "assignment.parquet"), str(folder / "register.parquet")]) == 0
    assert plan.fingerprint in (folder / "report.html").read_text(encoding="utf-8")
