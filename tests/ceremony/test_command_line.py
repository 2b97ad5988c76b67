"""The public draw from files: exit codes, and that no id and no row is shown."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pandas as pd
import pytest

import kokeilu as kk
from kokeilu.__main__ import main
from kokeilu.ceremony.files import read_text, write_text
from kokeilu.core.registry import encode
from kokeilu.errors import FileError

SEEKERS = kk.datasets.job_seekers(120, seed="ceremony")
DESIGN = kk.Stratified(kk.arms(control=1, coach=1), by=("region", "long_term"))
REGISTERS = ["register.csv", "register.parquet"]


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def write(table: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "key.bin").write_bytes(bytes(range(32)))
    (tmp_path / "secret.bin").write_bytes(bytes(range(32, 64)))
    (tmp_path / "design.json").write_text(json.dumps(encode(DESIGN)), encoding="utf-8")
    for name in REGISTERS:
        write(SEEKERS, tmp_path / name)
    return tmp_path


def keys(folder: Path) -> tuple[object, ...]:
    return "--key-file", folder / "key.bin", "--secret-file", folder / "secret.bin"


def commit(folder: Path, register: str, *more: object) -> int:
    told = ("--design", folder / "design.json", "--id", "person_id", "--source", "lottery", *more)
    return run("commit", folder / register, *told, *keys(folder), "--out", folder / "commitment.json")


def draw(folder: Path, register: str, *more: object) -> int:
    out = ("--out", folder / "drawn.parquet", "--certificate", folder / "certificate.json")
    out = (*out, "--revealed", folder / "revealed.json", *more)
    return run("draw", folder / "commitment.json", folder / register, *keys(folder), "--beacon", "4 11", *out)


@pytest.mark.parametrize("last", REGISTERS)
@pytest.mark.parametrize("first", REGISTERS)
def test_the_whole_chain(folder, first, last, capsys, monkeypatch):
    assert commit(folder, first) == 0
    assert draw(folder, last) == 0
    key = ("--key-file", folder / "key.bin")
    extra = ("--commitment", folder / "commitment.json", "--assignment", folder / "drawn.parquet")
    assert run("verify", folder / "certificate.json", folder / first, *keys(folder), *extra) == 0
    assert run("verify", folder / "revealed.json", folder / last, *key) == 0
    assert run("verify", folder / "certificate.json", folder / last, *key) == 1
    assert run("verify", folder / "drawn.parquet", folder / last) == 0
    person = SEEKERS["person_id"].iloc[5]
    monkeypatch.setattr(sys, "stdin", io.StringIO(person + "\n"))
    assert run("proof", folder / "revealed.json", folder / last, "--person", "-", *key, "--out", folder / "p.json") == 0
    shown = capsys.readouterr()
    assert "JS-" not in shown.out + shown.err
    mine = kk.Proof.from_json((folder / "p.json").read_bytes())
    certificate = kk.Certificate.from_json((folder / "certificate.json").read_bytes())
    assert kk.check_proof(mine, certificate).verified
    arms = kk.load(folder / "drawn.parquet").to_frame().set_index("person_id")["arm"]
    assert mine.arm == arms[person]


def test_a_plan_gives_the_design(folder):
    plan = kk.Plan(
        title="Coach",
        id="person_id",
        design=DESIGN,
        outcomes=(kk.Outcome("work"),),
        analyses=(kk.Analysis("work"),),
    )
    kk.save_plan(plan, folder / "plan.json")
    assert commit(folder, "register.csv", "--design", folder / "plan.json", "--name", "Coach") == 0
    commitment = kk.Commitment.from_json((folder / "commitment.json").read_bytes())
    assert (commitment.design, commitment.name, commitment.plan) == (DESIGN, "Coach", plan.fingerprint)
    assert draw(folder, "register.csv") == 0
    assert kk.load(folder / "drawn.parquet").plan_fingerprint == plan.fingerprint
    kept = ("--key-file", folder / "key.bin", "--assignment", folder / "drawn.parquet")
    assert run("verify", folder / "revealed.json", folder / "register.csv", *kept) == 0


@pytest.mark.parametrize(
    ("register", "id", "kind"),
    [
        ("id,area\n007,1\n012,2\n100,1\n3000000000000000000000,2\n", "id", "text"),
        ("id,area\n7,01\n12,2\n100,01\n30,2\n", "id", "whole numbers"),
    ],
)
def test_ids_of_digits_in_csv(folder, register, id, kind):
    design = kk.Stratified(kk.arms(a=1, b=1), by="area")
    (folder / "design.json").write_text(json.dumps(encode(design)), encoding="utf-8")
    (folder / "register.csv").write_text(register, encoding="utf-8")
    assert commit(folder, "register.csv", "--id", id) == 0
    assert kk.Commitment.from_json((folder / "commitment.json").read_bytes()).ids == kind
    assert draw(folder, "register.csv") == 0
    first = register.splitlines()[1].split(",")[0]
    asked = ("--person", first, "--key-file", folder / "key.bin", "--out", folder / "p.json")
    assert run("proof", folder / "revealed.json", folder / "register.csv", *asked) == 0


def test_covariates_in_csv_are_numbers_or_categories(folder):
    table = SEEKERS.assign(code=[f"{i % 3:02d}" for i in range(len(SEEKERS))])
    table["age"] = table["age"] + 0.5
    design = kk.Rerandomised(kk.Complete(kk.arms(control=1, coach=1)), on=("age", "code"), accept=0.5)
    (folder / "design.json").write_text(json.dumps(encode(design)), encoding="utf-8")
    for name in REGISTERS:
        write(table, folder / name)
    assert commit(folder, "register.csv") == 0
    commitment = kk.Commitment.from_json((folder / "commitment.json").read_bytes())
    assert commitment.columns == (("code", "category"), ("age", "number"))
    assert draw(folder, "register.parquet") == 0


def test_a_changed_register_is_refused(folder, capsys):
    assert commit(folder, "register.csv") == 0
    write(SEEKERS.assign(region=["Pori", *SEEKERS["region"].iloc[1:]]), folder / "register.csv")
    assert draw(folder, "register.csv") == 1
    shown = capsys.readouterr()
    assert "the draw is refused" in shown.err
    assert "register: at least one id" in shown.err
    assert "JS-" not in shown.out + shown.err
    assert not (folder / "certificate.json").exists()


def test_nothing_is_written_over(folder, capsys):
    assert commit(folder, "register.csv") == 0
    before = (folder / "commitment.json").read_bytes()
    assert commit(folder, "register.csv") == 2
    assert "exists already" in capsys.readouterr().err
    assert (folder / "commitment.json").read_bytes() == before
    assert draw(folder, "register.csv") == 0
    assert draw(folder, "register.csv") == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("verify", "certificate.json", "register.csv"), "Give --key-file"),
        (("verify", "drawn.parquet", "register.csv", "--key-file", "key.bin"), "--key-file is for a certificate"),
        (("verify", "certificate.json", "register.csv", "--key-file", "absent"), "'absent', cannot be read"),
        (("verify", "certificate.json", "absent.csv", "--key-file", "key.bin"), "absent.csv cannot be read"),
        (("verify", "commitment.json", "register.csv", "--key-file", "key.bin"), "not of the schema"),
        (("proof", "revealed.json", "register.csv", "--person", "JS-9", "--key-file", "key.bin", "--out", "x.json"),
         "nobody with this id"),
        (("proof", "absent.json", "register.csv", "--person", "JS-9", "--key-file", "key.bin", "--out", "x.json"),
         "'absent.json' cannot be read"),
    ],
)  # fmt: skip
def test_wrong_arguments(folder, capsys, monkeypatch, arguments, says):
    monkeypatch.chdir(folder)
    assert commit(folder, "register.csv") == 0
    assert draw(folder, "register.csv") == 0
    capsys.readouterr()
    assert run(*arguments) == 2
    shown = capsys.readouterr()
    assert says in shown.err
    assert "JS-" not in shown.out + shown.err
    assert "Traceback" not in shown.err


def test_a_text_that_cannot_be_written(tmp_path):
    with pytest.raises(FileError, match="cannot be written"):
        write_text("{}", tmp_path / "absent" / "commitment.json")
    with pytest.raises(FileError, match="cannot be read"):
        read_text(tmp_path)


def test_another_encoding_and_capital_names_are_told(folder, capsys):
    text = SEEKERS.to_csv(index=False).replace("Pori", "Jämsä")
    (folder / "register.csv").write_bytes(text.encode("latin-1"))
    assert commit(folder, "register.csv") == 2
    assert "nor CSV in UTF-8" in capsys.readouterr().err
    write(SEEKERS.rename(columns={"person_id": "PERSON_ID"}), folder / "register.csv")
    assert commit(folder, "register.csv") == 2
    assert "Did you mean 'PERSON_ID'?" in capsys.readouterr().err


def test_what_is_drawn_can_be_compared_with_what_was_published(folder, capsys):
    assert commit(folder, "register.csv") == 0
    committed = kk.Commitment.from_json((folder / "commitment.json").read_bytes())
    assert f"fingerprint {committed.fingerprint}" in capsys.readouterr().out
    assert draw(folder, "register.csv", "--beacon", " ") == 2
    assert "--beacon is empty" in capsys.readouterr().err
    assert draw(folder, "register.csv", "--revealed", folder / "absent" / "revealed.json") == 2
    assert not (folder / "drawn.parquet").exists()
    capsys.readouterr()
    assert draw(folder, "register.csv") == 0
    assert f"commitment  {committed.fingerprint}" in capsys.readouterr().out
    key = ("--key-file", folder / "key.bin")
    assert run("verify", folder / "commitment.json", folder / "register.csv", *key) == 2
    assert "This text is a commitment." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("design", "says"),
    [
        ({"kind": "complete", "arms": {"control": 1, "coach": 1}}, "Complete needs arms"),
        ({"kind": "complet"}, "Did you mean 'complete'"),
        ({"kind": "complete", "arms": {"kind": "arms", "items": [["control", "1/2"], ["coach", "1/2"]]}}, "wrong kind"),
    ],
)
def test_a_design_in_another_form_is_told_the_form(folder, capsys, design, says):
    (folder / "design.json").write_text(json.dumps(design), encoding="utf-8")
    assert commit(folder, "register.csv") == 2
    told = capsys.readouterr().err
    assert says in told
    assert '"items": [["control", "1", "2"]' in told


def test_a_header_in_capitals_is_told(folder, capsys):
    write(SEEKERS.rename(columns=str.upper), folder / "register.csv")
    assert commit(folder, "register.csv") == 2
    assert "Did you mean 'PERSON_ID'?" in capsys.readouterr().err
