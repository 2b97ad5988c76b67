"""Plan files: readable, whole or refused, and never silently edited."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kokeilu as kk
from kokeilu.errors import FileError, KokeiluError, PlanError
from kokeilu.plan.plan import Plan


@pytest.fixture
def path(plan: Plan, tmp_path: Path) -> Path:
    return kk.save_plan(plan, tmp_path / "plan.json")


def test_a_saved_plan_comes_back(plan: Plan, path: Path) -> None:
    back = kk.load_plan(path)
    assert back == plan
    assert kk.load_plan(str(path)).fingerprint == plan.fingerprint
    assert [p.name for p in path.parent.iterdir()] == ["plan.json"]


def test_the_file_says_what_it_is(plan: Plan, path: Path) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    assert data["fingerprint"] == plan.fingerprint
    assert data["library"] == f"kokeilu {kk.__version__}"
    assert Plan.from_json(json.dumps(data["plan"])) == plan


def test_large_numbers_and_letters_come_back(make_plan: Callable[..., Plan], tmp_path: Path) -> None:
    outcomes = (kk.Outcome("työ", minimum=-0.0, maximum=1e22, unit="€ 😀"),)
    plan = make_plan(outcomes=outcomes, analyses=(kk.Analysis("työ"),))
    assert kk.load_plan(kk.save_plan(plan, tmp_path / "p.json")) == plan


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_line_ends_and_a_byte_order_mark_do_not_matter(plan: Plan, path: Path, ending: str) -> None:
    text = path.read_text(encoding="utf-8").replace("\n", ending)
    path.write_bytes(b"\xef\xbb\xbf" + text.encode("utf-8"))
    assert kk.load_plan(path) == plan


def test_a_cut_file_is_refused(make_plan: Callable[..., Plan], tmp_path: Path) -> None:
    path = kk.save_plan(make_plan(title="Mäki 😀 " * 40), tmp_path / "plan.json")
    whole = path.read_bytes()
    letter = whole.index("😀".encode())
    for end in (*range(0, len(whole) - 1, 50), letter + 1, letter + 2, letter + 3, len(whole) - 2):
        path.write_bytes(whole[:end])
        with pytest.raises(FileError, match=r"plan\.json (ends in the middle|is empty)"):
            kk.load_plan(path)


@pytest.mark.parametrize("place", range(0, 400, 7))
def test_a_changed_letter_is_found(path: Path, place: int) -> None:
    text = path.read_text(encoding="utf-8")
    letters = [i for i, letter in enumerate(text) if letter.isalnum() and i > text.index('"plan"') + 6]
    at = letters[place % len(letters)]
    other = "9" if text[at] == "1" else "1" if text[at].isdigit() else "x"
    if text[at] == other:
        other = "y"
    path.write_text(text[:at] + other + text[at + 1 :], encoding="utf-8")
    with pytest.raises(FileError, match="fingerprint|is not JSON"):
        kk.load_plan(path)


@pytest.mark.parametrize(
    ("edit", "error", "says"),
    [
        (lambda d: d.update(plann={}), PlanError, "no key 'plann'. Did you mean 'plan'"),
        (lambda d: d.pop("fingerprint"), FileError, "lacks 'fingerprint'"),
        (lambda d: d.update(fingerprint=None), FileError, "was changed after it was written"),
        (lambda d: d.update(plan=[]), FileError, "was changed after it was written"),
        (lambda d: d.update(schema="kokeilu-assignment/1"), FileError, "is not a plan file of schema"),
    ],
)
def test_an_edited_file_is_refused(path: Path, edit: Any, error: type[KokeiluError], says: str) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    edit(data)
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(error, match=says):
        kk.load_plan(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PAR1\x00\xff\xfe", "is not a text file"),
        (b"person;SECRET\n1;2\n", "is not JSON"),
        (b'{"SECRET": 1}', "is not a plan file"),
        (b"[1]", "is not a plan file"),
        (b'{"a": "\xe4SECRET and much more"}', "is not a text file"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "other.json").write_bytes(content)
    with pytest.raises(FileError, match=rf"other\.json {says}") as caught:
        kk.load_plan(tmp_path / "other.json")
    assert "SECRET" not in str(caught.value)
    assert caught.value.__context__ is None


def test_places_that_cannot_be(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"none\.json cannot be read"):
        kk.load_plan(tmp_path / "none.json")
    with pytest.raises(FileError, match="cannot be read: it is a folder"):
        kk.load_plan(tmp_path)
    with pytest.raises(FileError, match="Check that the folder exists"):
        kk.save_plan(plan, tmp_path / "none" / "plan.json")
    with pytest.raises(PlanError, match="a plan is needed.*got str"):
        kk.save_plan("plan", tmp_path / "plan.json")  # type: ignore[arg-type]
