"""Deviations check themselves, and nobody can claim that one was found."""

from __future__ import annotations

from typing import Any

import pytest

import kokeilu as kk
from kokeilu.errors import ColumnError, DesignError, PlanError
from kokeilu.plan.deviations import Difference, check_deviations, refuse_undeclared, with_found


@pytest.mark.parametrize(
    ("kind", "reason", "stated", "error", "says"),
    [
        ("outcom", "why", {}, DesignError, "Did you mean 'outcome'"),
        ("outcome", " ", {}, PlanError, "reason of a deviation is empty"),
        ("outcome", None, {}, PlanError, "reason of a deviation must be text"),
        ("outcome", "why", {"when": "later"}, DesignError, "when a deviation was decided must be one of"),
        ("outcome", "why", {"about": 3}, PlanError, "about of a deviation must be text"),
    ],
)
def test_bad_deviations(kind: Any, reason: Any, stated: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        kk.Deviation(kind, reason, **stated)


def test_only_the_comparison_finds() -> None:
    with pytest.raises(TypeError, match="found"):
        kk.Deviation("outcome", "why", found=("x",))  # type: ignore[call-arg]


def difference(kind: str = "outcome", about: str = "work", says: str = "work differs.") -> Difference:
    return Difference(kind=kind, about=about, says=says, error=ColumnError)


def test_a_deviation_covers_its_kind_and_subject() -> None:
    assert kk.Deviation("outcome", "why").covers(difference())
    assert kk.Deviation("outcome", "why", about="work").covers(difference())
    assert not kk.Deviation("outcome", "why", about="wrok").covers(difference())
    assert not kk.Deviation("frame", "why").covers(difference())


def test_what_is_not_declared_is_refused() -> None:
    many = [difference(about=f"o{i}", says=f"o{i} differs.") for i in range(5)]
    declared = (kk.Deviation("outcome", "why", about="o0"),)
    with pytest.raises(
        ColumnError, match=r"^o1 differs\. Also, o2 differs\. Also, o3 differs\. 1 further difference\. If"
    ) as caught:
        refuse_undeclared(many, declared)
    assert "Deviation('outcome', 'the reason', about='o1')" in str(caught.value)
    refuse_undeclared(many, (kk.Deviation("outcome", "why"),))


def test_what_was_found_is_kept_with_the_declaration() -> None:
    stated = kk.Deviation("outcome", "why", about="work", original="a", changed="b", when="before access")
    other = kk.Deviation("timing", "late", effect_on_reading="none")
    found, declared = with_found((stated, other), [difference()])
    assert (found.status, found.found) == ("found", ("work differs.",))
    assert (declared.status, declared.found) == ("declared", ())
    assert {k: v for k, v in found.rows()[0].items() if k not in ("status", "found")} == {
        k: v for k, v in stated.rows()[0].items() if k not in ("status", "found")
    }
    assert stated.found == ()
    assert str(found) == (
        "outcome (work), found: why\n  found: work differs.\n  plan: a\n  done: b\n  decided: before access"
    )
    assert str(declared) == "timing, declared: late\n  found: no difference by comparison\n  reading: none"


def test_deviations_are_asked_for() -> None:
    one = kk.Deviation("other", "why")
    assert check_deviations(one) == check_deviations([one]) == (one,)
    with pytest.raises(PlanError, match=r"deviations must be Deviation\(kind, reason"):
        check_deviations(("why",))
