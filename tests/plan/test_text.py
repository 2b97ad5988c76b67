"""Strict reading of JSON, and specifications that must survive it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from kokeilu.core import registry
from kokeilu.errors import FileError, PlanError
from kokeilu.plan.text import decoded, nfc, parse_json, plain, tidy


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_KINDS", dict(registry.registered()))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ('{"a": ', "ends in the middle"),
        ('{"a": "SEC', "ends in the middle"),
        ('{"a": {"b": 1}', "ends in the middle"),
        ("hello", r"is not JSON \(line 1, column 1\)"),
        ('{"a": 1,, "b": 2}', "is not JSON"),
        ('{"a": 1, "a": 2}', "states a key twice"),
        ('{"a": NaN}', "holds NaN"),
        ('{"a": 1e999}', "holds a number too large"),
        ('{"a": 1' + "0" * 5000 + "}", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
    ],
)
def test_only_whole_json_is_read(text: str, says: str) -> None:
    with pytest.raises(FileError, match=f"^the plan {says}") as caught:
        parse_json(text, where="the plan")
    assert caught.value.__context__ is None
    assert "SEC" not in str(caught.value)


def test_whole_numbers_beyond_a_double_are_doubles() -> None:
    value = parse_json("[10000000000000000, 3]", where="the plan")
    assert value == [1e16, 3]
    assert [type(item) for item in value] == [float, int]


def test_texts_are_composed_everywhere() -> None:
    assert nfc({"Ma\u0308ki": ["Ma\u0308ki", 1, None]}) == {"M\u00e4ki": ["M\u00e4ki", 1, None]}


def test_plain_text_is_asked_for() -> None:
    assert plain("  Coach\n", name="title") == "Coach"
    with pytest.raises(PlanError, match="title must be text; got int"):
        plain(3, name="title")  # type: ignore[arg-type]


def test_a_class_that_does_not_come_back_is_refused() -> None:
    @registry.register("test-forgetful")
    @dataclass(frozen=True)
    class Forgetful:
        depth: int

        def to_data(self) -> dict[str, object]:
            return {"depth": self.depth}

        @classmethod
        def from_data(cls, data: dict[str, object]) -> Forgetful:
            return cls(0)

    with pytest.raises(PlanError, match="Forgetful does not come back from JSON"):
        tidy(Forgetful(3), where="here")
    assert tidy(Forgetful(0), where="here") == Forgetful(0)


@pytest.mark.parametrize(
    "data", [{"kind": "stratified"}, {"kind": "arms"}, {"kind": "arms", "items": [["a", "x", "0"]]}]
)
def test_a_field_that_is_absent_is_named_by_kind(data: object) -> None:
    import kokeilu.assign  # noqa: F401

    with pytest.raises(PlanError, match=r"stratified lacks the field|arms lacks a field or has one of the wrong kind"):
        decoded(data, where="the design")
