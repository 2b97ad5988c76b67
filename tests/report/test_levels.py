"""Levels of covariates that few people have: neither their name nor their arm is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kokeilu as kk
from kokeilu.plan.run import analyse, enrol
from kokeilu.report.balance import balance_lines, balance_table, left_out_notes
from kokeilu.report.context import Context, context_of
from kokeilu.report.document import write_report


def trial(jobs: Sequence[str], *, design: Any = None, seed: int = 1, gaps: int = 0) -> Any:
    known = [*jobs[: len(jobs) - gaps], *[None] * gaps]
    people: dict[str, Any] = {
        "id": list(range(len(jobs))),
        "job": known,
        "town": [("A", "B")[i % 2] for i in range(len(jobs))],
    }
    people["head"] = [float(job == "bishop of Turku") for job in jobs]
    plan = kk.Plan(
        title="Jobs",
        id="id",
        design=design or kk.Complete(kk.arms(control=1, coach=1)),
        balance=("job", "head"),
        outcomes=(kk.Outcome("y"),),
        analyses=(kk.Analysis("y"),),
    )
    outcomes = {"id": people["id"], "y": [float((7 * i) % 11) for i in people["id"]]}
    return analyse(plan, enrol(plan, people, seed=seed), outcomes, register=people)


def shown(findings: Any, least: int = 3) -> tuple[Context, dict[str, Any]]:
    context = context_of(findings, language="en", least_cell=least)
    return context, {line.label: line for line in balance_lines(context)}


COMMON = ["cook"] * 40 + ["driver"] * 30 + ["nurse"] * 28


@pytest.mark.parametrize("rare", [1, 2])
@pytest.mark.parametrize("seed", range(4))
def test_a_level_of_few_people_is_not_named(rare: int, seed: int, tmp_path: Path) -> None:
    findings = trial([*COMMON, *["bishop of Turku"] * rare], seed=seed)
    assert any(line.level == "bishop of Turku" for line in findings.balance.lines)
    context, lines = shown(findings)
    assert context.counts.left_out == {("job", "bishop of Turku")}
    said = "Levels of job that are left out, each of fewer than 3 people in all arms together: 1."
    assert left_out_notes(context) == (said,)
    assert said in balance_table(context, tuple(lines.values())).notes
    page = write_report(findings, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "bishop" not in page
    assert said in page


@pytest.mark.parametrize("seed", range(4))
def test_what_is_left_of_1_does_not_tell_the_arm(seed: int) -> None:
    context, lines = shown(trial([*COMMON, "bishop of Turku"], seed=seed))
    jobs = [line for label, line in lines.items() if label.startswith("job")]
    hidden = [line for line in jobs if context.mask in line.means]
    assert len(jobs) == 3
    assert len(hidden) == 1
    for line in (*hidden, lines["head"]):
        assert set(line.means) == {context.mask}
        assert line.differences == (None,)


def test_zeros_beside_a_small_count_are_hidden() -> None:
    people = [*COMMON, *["smith"] * 4]
    found = set()
    for seed in range(12):
        context, lines = shown(trial(people, seed=seed))
        balance = context.findings.balance
        (smith,) = [line for line in balance.lines if line.level == "smith"]
        counts = [round((smith.means[arm] or 0.0) * smith.n[arm]) for arm in context.arms]
        hides = any(0 < n < 3 for n in counts)
        found.add(hides)
        assert (set(lines["job: smith"].means) == {context.mask}) is hides
        assert (lines["job: smith"].differences == (None,)) is hides
    assert found == {True, False}


def test_nothing_is_left_out_at_1() -> None:
    context, lines = shown(trial([*COMMON, "bishop of Turku"]), least=1)
    assert "job: bishop of Turku" in lines
    assert left_out_notes(context) == ()


def test_notes_do_not_name_what_is_left_out(tmp_path: Path) -> None:
    design = kk.Stratified(kk.arms(control=1, coach=1), by="job")
    findings = trial([*COMMON, *["bishop of Turku"] * 2], design=design)
    context, lines = shown(findings)
    table = balance_table(context, tuple(lines.values()))
    assert ("job", "bishop of Turku") in context.counts.left_out
    assert any("bishop" in note for note in context.findings.balance.notes)
    assert not any("bishop" in note for note in (*table.remarks, *table.notes))
    assert "bishop" not in write_report(findings, tmp_path / "r.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("seed", range(4))
def test_weighted_shares_are_read_with_care(seed: int) -> None:
    shares = {"A": kk.arms(control=1, coach=1), "B": kk.arms(control=1, coach=5)}
    jobs = [*COMMON, *["smith"] * 3]
    findings = trial(jobs, design=kk.Stratified(shares, by="town"), seed=seed)
    context, lines = shown(findings)
    codes = np.asarray(findings.assignment.codes)
    ids = np.asarray(findings.assignment.ids.to_list(), dtype=int)
    counts = [sum(jobs[i] == "smith" for i in ids[codes == k]) for k in range(2)]
    if any(0 < n < 3 for n in counts):
        assert "job: smith" not in lines or set(lines["job: smith"].means) == {context.mask}


def test_shares_do_not_tell_how_many_have_no_value() -> None:
    findings = trial([*COMMON, ""], gaps=1)
    context, lines = shown(findings)
    assert any(context.counts.hides("used", "balance job", arm) for arm in context.arms)
    for label in ("job: cook", "job: driver", "job: nurse"):
        assert set(lines[label].means) == {context.mask}
        assert lines[label].differences == (None,)
