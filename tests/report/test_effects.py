"""Effects as shown: masks, words and places of the numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import kokeilu as kk
from kokeilu.core.results import Estimates
from kokeilu.estimate.spec import RandomisationTest
from kokeilu.plan.run import analyse, enrol
from kokeilu.report.context import Context, context_of
from kokeilu.report.counts import contrast_cell, count_findings
from kokeilu.report.design import arms_table, units_text
from kokeilu.report.document import write_report
from kokeilu.report.effects import EffectLine, effect_lines, effects_table, methods_table
from kokeilu.report.effects import tests_table as table_of_tests
from kokeilu.report.forest import drawn_effects, forest_picture
from kokeilu.report.notes import safe_notes, without_levels
from kokeilu.report.summary import primary_findings


@pytest.fixture(scope="module")
def context(findings: Any) -> Context:
    return context_of(findings, language="en", least_cell=3)


ON_SCALE = {"scale": "log ratio", "decimals": 2, "mean_decimals": 1, "value": 0.27, "low": -0.04, "high": 0.62}


def line(**changes: Any) -> EffectLine:
    plain: dict[str, Any] = {
        "registered": True,
        "short": "coach against usual service",
        "outcome": "employed_12m",
        "arm": "coach",
        "reference": "usual service",
        "unit": "percentage points",
        "decimals": 1,
        "value": 2.7,
        "error": 1.8,
        "low": 0.4,
        "high": 6.2,
        "p": 0.004,
        "reference_mean": 30.4,
        "n": "3,000",
        "missing": "0",
        "few": False,
    }
    return EffectLine(**{**plain, **changes})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "2.7 percentage points higher with coach than with usual service"),
        ({}, "anywhere from 0.4 to 6.2 percentage points higher (95% confidence interval)"),
        ({}, "The share was 2.7 percentage points higher"),
        ({}, "With usual service the share was 30.4%."),
        ({}, "would seldom make a difference this large (p\u00a0=\u00a00.004; the plan's limit is 5%)"),
        ({"value": -2.7, "low": -6.2, "high": -0.4}, "The share was 2.7 percentage points lower"),
        ({"value": -2.7, "low": -6.2, "high": -0.4}, "anywhere from 0.4 to 6.2 percentage points lower"),
        ({"low": -0.4}, "anywhere from 0.4 lower to 6.2 percentage points higher"),
        ({"value": 0.0}, "The shares with coach and with usual service were the same to the precision shown"),
        ({"value": 0.0, "unit": "days"}, "The averages with coach and with usual service were the same"),
        ({"p": 0.0}, "p\u00a0<\u00a00.001"),
        ({"p": 0.2}, "does not settle whether coach does better or worse than usual service"),
        ({"p": 0.2}, "That is not proof of no effect."),
        ({"adjusted_p": 0.06}, "could well make a difference"),
        ({"adjusted_p": 0.05}, "after correction for several questions by Holm, p\u00a0=\u00a00.050"),
        ({"unit": "days"}, "With usual service the average was 30.4 days."),
        ({"unit": ""}, "The average was 2.7 higher"),
        (ON_SCALE, "The log ratio of coach to usual service was 0.27; at 0 they do not differ."),
        (ON_SCALE, "Allowing for chance, the result fits a true log ratio anywhere from \u22120.04 to 0.62 (95%"),
        (ON_SCALE, "With usual service the share was 30.4%."),
        ({**ON_SCALE, "unit": "days"}, "With usual service the average was 30.4 days."),
        ({"value": None}, "Not shown: a group has fewer than 3 people with this outcome."),
    ],
)
def test_the_words_of_the_summary(context: Context, changes: dict[str, Any], says: str) -> None:
    found = primary_findings(context, (line(**changes),))
    assert found[0].heading == "At work after a year: coach against usual service"
    assert any(says in sentence for sentence in found[0].sentences)


def test_a_hidden_mean_is_not_told(context: Context) -> None:
    found = primary_findings(context, (line(reference_mean=None),))
    assert not any(re.search("the (average|share) was", sentence) for sentence in found[0].sentences)


def test_numbers_are_rounded_before_they_are_drawn(context: Context) -> None:
    for one in effect_lines(context):
        for number in (one.value, one.error, one.low, one.high):
            assert number == round(number or 0.0, one.decimals)


def test_shares_are_told_in_percentage_points(context: Context, findings: Any) -> None:
    first, estimate = effect_lines(context)[0], findings.estimates[0]
    assert first.unit == "percentage points"
    assert first.value == round(100 * estimate.value, first.decimals)
    assert effect_lines(context)[2].unit == "days"


def test_registered_come_first_and_alone_are_adjusted(context: Context) -> None:
    lines = effect_lines(context)
    kinds = [one.registered for one in lines]
    assert kinds == sorted(kinds, reverse=True)
    assert {one.adjusted_p is None for one in lines if not one.registered} == {True}


def test_a_log_odds_ratio_is_not_told_in_the_unit_of_the_outcome(findings: Any) -> None:
    run = findings.executed[0]
    ratios = tuple(replace(e, scale="log odds ratio", value=0.123, error=0.05) for e in run.estimates)
    again = replace(findings, executed=(replace(run, estimates=Estimates(ratios)), *findings.executed))
    shown = context_of(again, language="en", least_cell=3)
    first, plain = effect_lines(shown)[0], effect_lines(shown)[len(ratios)]
    assert (first.value, first.error, first.decimals) == (0.123, 0.05, 3)
    assert (first.scale, first.told_in, plain.told_in) == ("log odds ratio", "log odds ratio", "percentage points")
    # The mean in the reference arm is the same share, to fewer places.
    assert first.reference_mean == pytest.approx(plain.reference_mean, abs=0.1)
    table = effects_table(shown, effect_lines(shown))
    assert table.bodies[0].rows[0][0].endswith("(log odds ratio)")
    assert any("logarithm" in note for note in table.notes)
    picture = forest_picture(shown, effect_lines(shown))
    assert picture is not None


def test_two_analyses_of_one_comparison_are_told_apart(findings: Any) -> None:
    run = findings.executed[0]
    again = replace(findings, executed=(run, *findings.executed))
    shorts = [one.short for one in effect_lines(context_of(again, language="en", least_cell=3))]
    assert shorts.count("coach against usual service, difference in means") == 2


def test_an_arm_of_two_people_shows_nothing(tmp_path: Path) -> None:
    people = {"id": list(range(42))}
    design = kk.Complete(kk.arms(control="20/42", coach="20/42", voucher="2/42"))
    plan = kk.Plan(
        title="Two",
        id="id",
        design=design,
        outcomes=(kk.Outcome("y"),),
        analyses=(kk.Analysis("y"), kk.Analysis("y", RandomisationTest(draws=99))),
    )
    assignment = enrol(plan, people, seed=1)
    findings = analyse(plan, assignment, {**people, "y": [float((7 * i) % 11) for i in range(42)]})
    context = context_of(findings, language="en", least_cell=3)
    coach, voucher = effect_lines(context)
    assert (coach.few, voucher.few) == (False, True)
    assert (voucher.value, voucher.p, voucher.n) == (None, None, "hidden")
    rows = effects_table(context, (coach, voucher)).bodies[0].rows
    assert set(rows[1][2:9]) == {"hidden"}
    assert drawn_effects((coach, voucher)) == (coach,)
    assert methods_table(context).bodies[0].rows[1][4] == "hidden"
    tests = table_of_tests(context)
    assert tests is not None
    assert set(tests.bodies[0].rows[1][2:9]) == {"hidden"}
    assert forest_picture(context, (voucher,)) is None
    assert "hidden" in write_report(findings, tmp_path / "r.html").read_text(encoding="utf-8")


def test_people_without_a_chance_of_an_arm_enter_the_relations() -> None:
    people = {"id": list(range(90)), "town": ["A", "B", "B"] * 30}
    here, there = kk.arms(control=1, coach=1, voucher=0), kk.arms(control=1, coach=1, voucher=1)
    plan = kk.Plan(
        title="Towns",
        id="id",
        design=kk.Stratified({"A": here, "B": there}, by="town"),
        outcomes=(kk.Outcome("y"),),
        analyses=(kk.Analysis("y"),),
    )
    assignment = enrol(plan, people, seed=1)
    findings = analyse(plan, assignment, {**people, "y": [float((7 * i) % 11) for i in range(90)]})
    counts = count_findings(findings, least=3)
    voucher = findings.estimates[1]
    assert counts.counts[contrast_cell("n", voucher)] == voucher.n["voucher"] + voucher.n["control"]
    assert any("used" in {part[0] for part in s.parts} and s.total[0] == "used" for s in counts.sums)
    for relation in counts.sums:
        assert counts.counts[relation.total] == sum(counts.counts[part] for part in relation.parts)


def test_clusters_are_counted_by_arm() -> None:
    people = {"id": list(range(120)), "office": [f"office {i % 12}" for i in range(120)]}
    plan = kk.Plan(
        title="Offices",
        id="id",
        design=kk.Clustered(kk.Complete(kk.arms(control=1, coach=1)), by="office"),
        outcomes=(kk.Outcome("y"),),
        analyses=(kk.Analysis("y"),),
    )
    assignment = enrol(plan, people, seed=1)
    findings = analyse(plan, assignment, {**people, "y": [float((7 * i) % 11) for i in range(120)]})
    context = context_of(findings, language="en", least_cell=3)
    assert [row[3] for row in arms_table(context).bodies[0].rows] == ["6", "6"]
    assert "Whole clusters were drawn, not single people: 12 clusters, defined by office." in units_text(context)
    assert methods_table(context).bodies[0].rows[0][5] == "12"


@pytest.mark.parametrize(
    ("note", "shown"),
    [
        ("2 people are fitted perfectly.", "fewer than 3 people are fitted perfectly."),
        ("1,002 people are left out.", "1,002 people are left out."),
        ("1 person has no row.", "fewer than 3 people has no row."),
        ("HC2 with 2 strata.", "HC2 with 2 strata."),
    ],
)
def test_notes_hold_no_small_count(context: Context, note: str, shown: str) -> None:
    assert safe_notes(context, "employed_12m", (note,)) == (shown,)


@pytest.mark.parametrize(
    ("note", "shown"),
    [
        ("covariate 'town: Bishop of X' was dropped: no use.", "covariate 'town: …' was dropped: no use."),
        ("covariate \"town: O'Dea's\" was dropped.", "covariate 'town: …' was dropped."),
        ("covariate 'a: b', 'c: d' does not vary.", "covariate 'a: …', 'c: …' does not vary."),
        ("covariate 'age' has gaps: filled.", "covariate 'age' has gaps: filled."),
    ],
)
def test_notes_name_no_level(note: str, shown: str) -> None:
    assert without_levels((note,)) == (shown,)


def test_notes_with_figures_fall_away_where_counts_are_hidden(small: Callable[[int], Any]) -> None:
    context = context_of(small(1), language="en", least_cell=3)
    assert context.counts.hides_any_of("work")
    notes = ("1.7% in 'control' are missing.", "HC2 was chosen.")
    assert safe_notes(context, "work", notes) == ("HC2 was chosen.",)


def test_degrees_of_freedom_show_only_where_no_count_of_the_outcome_is_hidden(
    context: Context, small: Callable[[int], Any]
) -> None:
    masked = context_of(small(1), language="en", least_cell=3)
    assert {row[4] for row in methods_table(masked).bodies[0].rows} == {"hidden"}
    assert "hidden" not in {row[4] for row in methods_table(context).bodies[0].rows}
    assert not any(cell[0] == "dof" for cell in context.counts.hidden)


def test_a_mean_that_gives_a_hidden_number_of_people_is_hidden(small: Callable[[int], Any]) -> None:
    """Of 17 to 20 people only 10 of 18 are 56%."""
    context = context_of(small(1), language="en", least_cell=3)
    lines = effect_lines(context)
    assert context.counts.hides("used", "work", "control")
    assert [one.value is not None for one in lines] == [True] * 4
    assert [one.reference_mean is None for one in lines] == [True, True, False, False]
    rows = effects_table(context, lines).bodies[0].rows
    assert [row[7] == "hidden" for row in rows] == [True, True, False, False]


def test_one_p_value_alone_is_not_corrected(context: Context, tmp_path: Path) -> None:
    people = {"id": list(range(40))}
    plan = kk.Plan(
        title="One",
        id="id",
        design=kk.Complete(kk.arms(control=1, coach=1)),
        outcomes=(kk.Outcome("y"), kk.Outcome("z", role="secondary")),
        analyses=(kk.Analysis("y"), kk.Analysis("z", RandomisationTest(draws=99))),
    )
    values = [float((7 * i) % 11) for i in range(40)]
    findings = analyse(plan, enrol(plan, people, seed=1), {**people, "y": values, "z": values})
    alone = context_of(findings, language="en", least_cell=3)
    assert (alone.corrected, context.corrected) == (False, True)
    text = write_report(findings, tmp_path / "r.html").read_text(encoding="utf-8")
    assert re.findall(r"Holm|djusted p|p adjusted|not adjusted|after correction", text) == []
    assert "Counts above 0" not in text
    tests = table_of_tests(alone)
    assert tests is not None
    for table in (effects_table(alone, effect_lines(alone)), tests):
        assert {len(row) for body in table.bodies for row in body.rows} == {len(table.columns)}


@pytest.mark.parametrize(
    ("outcomes", "label"),
    [
        (("employed_12m",), "Share (%) in the arm compared with"),
        (("days_employed",), "Average in the arm compared with"),
        (("employed_12m", "days_employed"), "Average, or share (%), in the arm compared with"),
    ],
)
def test_the_heading_says_shares_of_shares(context: Context, outcomes: tuple[str, ...], label: str) -> None:
    lines = tuple(one for one in effect_lines(context) if one.outcome in outcomes)
    assert label in {column.label for column in effects_table(context, lines).columns}


def test_the_rule_of_hiding_stands_only_where_something_is_hidden(
    context: Context, small: Callable[[int], Any]
) -> None:
    masked = context_of(small(1), language="en", least_cell=3)
    for one, stands in ((context, False), (masked, True)):
        table = effects_table(one, effect_lines(one))
        assert any("Counts above 0 and below 3" in note for note in table.notes) is stands
        assert not any("Counts above 0" in note for note in arms_table(one).notes)
