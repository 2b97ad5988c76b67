"""Findings print what was registered, what was not, and what qualifies both."""

from __future__ import annotations

import re
from collections.abc import Callable

import pandas as pd
import pytest

import kokeilu as kk
from kokeilu.errors import DesignError
from kokeilu.plan.findings import COLUMNS, Findings
from kokeilu.plan.plan import Plan


@pytest.fixture(scope="module")
def findings(plan: Plan, drawn: kk.Assignment, people: pd.DataFrame, outcomes: pd.DataFrame) -> Findings:
    also = (kk.Analysis("days"), kk.Analysis("work", kk.RandomisationTest(draws=99)))
    late = kk.Deviation("timing", "The survey came late.", original="May", changed="June")
    return kk.analyse(plan, drawn, outcomes.iloc[4:], also=also, deviations=late, register=people)


def test_the_text_holds_every_part_in_order(findings: Findings) -> None:
    parts = [
        "Findings of the plan 'Coach'",
        findings.plan.fingerprint,
        findings.assignment.fingerprint,
        "60 people, seed 'lottery 2026-11-21: 4 11 19'",
        "Registered analyses (95 % intervals)",
        "adjusted_p: Holm(alpha=0.05) over 2 p-values: work by the design, coaching - control;",
        "Exploratory analyses: not in the plan, not adjusted (95 % intervals)",
        "days by the design",
        "Deviations from the plan",
        "timing, declared: The survey came late.",
        "found: no difference by comparison",
        "People by arm",
        "Balance",
    ]
    text = str(findings)
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert repr(findings) == text
    assert not re.search(r"20\d\d-\d\d-\d\d[T ]\d\d:", text)


def test_rows_have_the_same_keys_and_a_label(findings: Findings) -> None:
    rows = findings.rows()
    assert all(tuple(row) == COLUMNS for row in rows)
    assert [row["kind"] for row in rows] == ["registered"] * 4 + ["exploratory"] * 4
    assert [row["role"] for row in rows] == ["primary"] * 2 + ["secondary"] * 2 + [None] * 4
    assert [row["draws"] for row in rows] == [None] * 6 + [99] * 2
    frame = findings.to_frame()
    assert list(frame["estimator"])[-1] == findings.tests[-1].name
    assert findings.to_arrow().num_rows == 8


def test_the_level_is_a_question(findings: Findings) -> None:
    narrow, wide = (findings.rows(level)[0] for level in (0.5, 0.99))
    assert narrow["high"] - narrow["low"] < wide["high"] - wide["low"]
    assert findings.rows()[0]["level"] == 0.95
    with pytest.raises(DesignError, match="level must lie in"):
        findings.rows(level=1.5)


def test_attrition_by_outcome_and_arm(findings: Findings) -> None:
    rows = findings.attrition()
    assert [(row["outcome"], row["arm"]) for row in rows][:3] == [
        ("work", "control"),
        ("work", "coaching"),
        ("work", "subsidy"),
    ]
    assert sum(row["not_in_table"] for row in rows if row["outcome"] == "work") == 4
    assert all(row["share_used"] == row["used"] / row["assigned"] for row in rows)


def test_repeating_gives_the_same_text(
    findings: Findings, plan: Plan, people: pd.DataFrame, outcomes: pd.DataFrame
) -> None:
    also = (kk.Analysis("days"), kk.Analysis("work", kk.RandomisationTest(draws=99)))
    late = kk.Deviation("timing", "The survey came late.", original="May", changed="June")
    shuffled = outcomes.iloc[4:].sample(frac=1, random_state=1)
    register = people.sample(frac=1, random_state=2)
    again = kk.analyse(
        Plan.from_json(plan.to_json()),
        kk.enrol(plan, register, seed="lottery 2026-11-21: 4 11 19"),
        shuffled,
        also=also,
        deviations=late,
        register=register,
    )
    assert str(again) == str(findings)


def test_nothing_exploratory_and_nothing_deviant_is_said(
    make_plan: Callable[..., Plan], people: pd.DataFrame, outcomes: pd.DataFrame
) -> None:
    plan = make_plan(balance=(), family=kk.Holm(alpha=0.1))
    text = str(kk.analyse(plan, kk.enrol(plan, people, seed="x"), outcomes, register=people))
    assert "not adjusted (90 % intervals)\nnone" in text
    assert "none declared, none found" in text
    assert "Balance" not in text
