"""The command line: what it prints, its exit codes, and that it never shows an id or a row."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import kokeilu as kk
from kokeilu.__main__ import main

SEEKERS = kk.datasets.job_seekers(400, seed="main")
DESIGN = kk.Stratified(kk.arms(control=1, coach=1), by=("region", "long_term"))


@pytest.fixture
def draw(tmp_path: Path) -> Path:
    assignment = kk.randomise(SEEKERS, DESIGN, id="person_id", seed="published")
    return kk.save(assignment, tmp_path / "assignment.parquet")


def write(table: pd.DataFrame, path: Path, **options: object) -> str:
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, **options)  # type: ignore[call-overload]
    return str(path)


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.mark.parametrize("name", ["register.parquet", "register.csv"])
def test_a_draw_is_verified(draw: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", draw, write(SEEKERS, draw.parent / name)) == 0
    assert "VERIFIED: the replay gives the same draw." in capsys.readouterr().out


@pytest.mark.parametrize("options", [{"sep": ";"}, {"sep": "\t"}, {"encoding": "utf-8-sig"}])
def test_other_kinds_of_csv(draw: Path, options: dict[str, str]) -> None:
    assert run("verify", draw, write(SEEKERS.iloc[::-1], draw.parent / "register.csv", **options)) == 0


def test_leading_zeros_in_csv_are_kept(tmp_path: Path) -> None:
    table = pd.DataFrame({"id": [f"{i:03d}" for i in range(40)], "code": ["007", "7", "1.50", "x"] * 10})
    assignment = kk.randomise(table, kk.Stratified(kk.arms(a=1, b=1), by="code"), id="id", seed=1)
    saved = kk.save(assignment, tmp_path / "draw.parquet")
    assert run("verify", saved, write(table, tmp_path / "register.csv")) == 0


@pytest.mark.parametrize("column", [[1, 2, 30, 4], [True, False, False, True], [1.5, 2.0, 1.5, 3.25]])
def test_numbers_and_truth_values_in_csv(tmp_path: Path, column: list[object]) -> None:
    table = pd.DataFrame({"id": range(40), "level": column * 10})
    assignment = kk.randomise(table, kk.Stratified(kk.arms(a=1, b=1), by="level"), id="id", seed=1)
    saved = kk.save(assignment, tmp_path / "draw.parquet")
    assert run("verify", saved, write(table, tmp_path / "register.csv")) == 0


@pytest.mark.parametrize(
    "changed",
    [
        SEEKERS.head(399),
        SEEKERS.assign(region=["Pori", *SEEKERS["region"].iloc[1:]]),
        SEEKERS.assign(person_id=["JS-999999", *SEEKERS["person_id"].iloc[1:]]),
    ],
)
def test_a_changed_register_differs(draw: Path, changed: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", draw, write(changed, draw.parent / "register.parquet")) == 1
    printed = capsys.readouterr()
    assert "NOT VERIFIED" in printed.out
    assert "JS-" not in printed.out + printed.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "it is empty"),
        (b"PAR1 and then nothing", "neither whole Parquet nor CSV"),
        (b"JS-000001,Pori,True\nJS-000002,Pori,True\n", "no column 'person_id'"),
        (b"person_id,regoin,long_term\nJS-000001,Pori,True\n", "Did you mean 'region'|no column 'region'"),
        (b"person_id,region,long_term\nJS-000001,Pori\n", "neither whole Parquet nor CSV"),
        (b"person_id,region,long_term\nJS-000001,J\xe4ms\xe4,True\n", "neither whole Parquet nor CSV|UTF-8"),
    ],
)
def test_a_register_that_cannot_be_used(
    draw: Path, content: bytes | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    register = draw.parent / "register.csv"
    if content is not None:
        register.write_bytes(content)
    assert run("verify", draw, register) == 2
    printed = capsys.readouterr()
    assert any(part in printed.err for part in message.split("|"))
    assert "JS-" not in printed.out + printed.err
    assert "Traceback" not in printed.err


@pytest.mark.parametrize("content", [b"", b"not Parquet", None])
def test_an_assignment_that_cannot_be_used(
    tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "assignment.parquet"
    if content is not None:
        file.write_bytes(content)
    assert run("verify", file, write(SEEKERS, tmp_path / "register.csv")) == 2
    assert capsys.readouterr().err.startswith("kokeilu verify: ")


def test_a_parquet_file_of_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    register = write(SEEKERS, tmp_path / "register.parquet")
    assert run("verify", register, register) == 2
    assert "not an assignment" in capsys.readouterr().err


def test_an_adopted_allocation_has_no_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = SEEKERS.assign(arm=["control", "coach"] * 200)
    adopted = kk.adopt(table, arm="arm", design=kk.Complete(DESIGN.arms), id="person_id")
    saved = kk.save(adopted, tmp_path / "adopted.parquet")
    assert run("verify", saved, write(table, tmp_path / "register.csv")) == 1
    assert "no seed to replay" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [[], ["verify"], ["verify", "one.parquet"], ["draw"], ["commit"], ["demo", "--on"]]
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: kokeilu" in capsys.readouterr().err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"kokeilu {kk.__version__}\n"


def test_as_a_process_on_a_narrow_console(draw: Path) -> None:
    """Exit codes reach the shell, and a console that cannot show a sign does not stop the verification."""
    register = write(SEEKERS, draw.parent / "register.csv")
    for path, code in ((register, 0), (str(draw.parent / "absent.csv"), 2)):
        done = subprocess.run(
            [sys.executable, "-m", "kokeilu", "verify", str(draw), path],
            capture_output=True,
            check=False,
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
        )
        assert done.returncode == code
        assert b"Traceback" not in done.stderr
