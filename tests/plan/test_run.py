"""Carrying a plan out: what was registered runs as registered, and every difference is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from kokeilu.errors import ColumnError, DataError, EstimationError, KokeiluError, PlanError, SeedError
from kokeilu.plan.plan import Plan

Make = Callable[..., Plan]
SEED = "lottery 2026-11-21: 4 11 19"


def test_enrol_is_the_draw_of_the_plans_design_with_its_stamp(plan: Plan, people: pd.DataFrame) -> None:
    drawn = kk.enrol(plan, people, seed=SEED)
    plain = kk.randomise(people, plan.design, id="person", seed=SEED)
    assert drawn.plan_fingerprint == plan.fingerprint
    assert (drawn.codes == plain.codes).all()
    assert drawn.fingerprint != plain.fingerprint
    assert plain.plan_fingerprint is None


@pytest.mark.parametrize(
    ("edit", "seed", "error", "says"),
    [
        (lambda t: t.drop(columns="person"), SEED, ColumnError, "no column 'person'"),
        (
            lambda t: t.rename(columns={"age": "aeg"}),
            SEED,
            ColumnError,
            "no column 'age'. Did you mean 'aeg'",
        ),
        (lambda t: t, None, SeedError, "seed"),
        (lambda t: t.iloc[:0], SEED, DataError, "no rows"),
    ],
)
def test_a_register_that_does_not_fit_is_refused_before_the_draw(
    plan: Plan, people: pd.DataFrame, edit: Any, seed: Any, error: type[KokeiluError], says: str
) -> None:
    with pytest.raises(error, match=says):
        kk.enrol(plan, edit(people), seed=seed)


def test_registered_analyses_run_as_registered(
    plan: Plan, drawn: kk.Assignment, people: pd.DataFrame, outcomes: pd.DataFrame
) -> None:
    findings = kk.analyse(plan, drawn, outcomes, register=people)
    work = kk.estimate_effects(drawn, outcomes, "work")
    grade = kk.estimate_effects(drawn, outcomes, "grade", covariates=("age",))
    assert [(e.outcome, e.arm, e.value, e.error) for e in findings.estimates] == [
        (e.outcome, e.arm, e.value, e.error) for e in (*work, *grade)
    ]
    assert [e.registered for e in findings.estimates] == [True] * 4
    assert findings.exploratory.items == ()
    assert findings.deviations == ()
    assert findings.balance is not None
    assert findings.balance.rows() == kk.check_balance(drawn, people, on=("age",)).rows()
    assert findings.version == kk.__version__
    accounts = dict(findings.accounts)
    assert sum(accounts["work"].missing().values()) == 0
    assert sum(accounts["grade"].missing().values()) == int(outcomes["grade"].isna().sum())


def test_a_saved_draw_and_plan_are_analysed_alike(
    plan: Plan, drawn: kk.Assignment, people: pd.DataFrame, outcomes: pd.DataFrame, tmp_path: Path
) -> None:
    polars = pytest.importorskip("polars")
    kk.save(drawn, tmp_path / "draw.parquet")
    kk.save_plan(plan, tmp_path / "plan.json")
    again = kk.analyse(
        kk.load_plan(tmp_path / "plan.json"),
        kk.load(tmp_path / "draw.parquet"),
        polars.from_pandas(outcomes),
        register=polars.from_pandas(people),
    )
    assert str(again) == str(kk.analyse(plan, drawn, outcomes, register=people))


def test_holm_by_hand(make_plan: Make, people: pd.DataFrame, outcomes: pd.DataFrame) -> None:
    primary = (kk.Outcome("work"), kk.Outcome("days"), kk.Outcome("grade", role="secondary"))
    plan = make_plan(outcomes=primary, analyses=tuple(kk.Analysis(o.name) for o in primary))
    findings = kk.analyse(plan, kk.enrol(plan, people, seed=SEED), outcomes)
    members = [e for e in findings.estimates if e.outcome != "grade"]
    assert len(members) == len(findings.family) == 4
    smallest = 0.0
    for rank, member in enumerate(sorted(members, key=lambda e: e.p_value())):
        smallest = max(smallest, min(1.0, (4 - rank) * member.p_value()))
        assert member.adjusted_p == pytest.approx(smallest, abs=1e-15)
    assert [e.adjusted_p for e in findings.estimates if e.outcome == "grade"] == [None, None]
    assert findings.family[0] == "work by the design, coaching - control"


def test_the_family_is_the_registered_one(make_plan: Make, people: pd.DataFrame, outcomes: pd.DataFrame) -> None:
    """Tests count where an outcome has nothing else; estimators of one outcome all count; exploratory ones never."""
    test = kk.RandomisationTest(draws=99)
    plan = make_plan(
        outcomes=(kk.Outcome("work"), kk.Outcome("days")),
        analyses=(
            kk.Analysis("work", contrasts=(("subsidy", "coaching"),)),
            kk.Analysis("work", test),
            kk.Analysis("days", test, contrasts=(("coaching", "control"),)),
        ),
    )
    drawn = kk.enrol(plan, people, seed=SEED)
    findings = kk.analyse(plan, drawn, outcomes, also=(kk.Analysis("days"), kk.Analysis("grade", test)))
    assert findings.family == (
        "work by the design, subsidy - coaching",
        "days by RandomisationTest, coaching - control",
    )
    first, second = findings.estimates[0].p_value(), findings.tests[2].p_value
    low, high = sorted((first, second))
    by_hand = {low: min(1.0, 2 * low), high: max(min(1.0, 2 * low), high)}
    assert findings.estimates[0].adjusted_p == pytest.approx(by_hand[first])
    assert [t.adjusted_p for t in findings.tests] == [None, None, pytest.approx(by_hand[second]), None, None]
    assert [t.registered for t in findings.tests] == [True, True, True, False, False]
    assert [e.adjusted_p for e in findings.exploratory] == [None, None]
    alone = kk.randomisation_test(drawn, outcomes, "days", contrast=("coaching", "control"), draws=99)
    assert findings.tests[2].p_value == alone.p_value


def test_exploratory_analyses_are_labelled(plan: Plan, drawn: kk.Assignment, outcomes: pd.DataFrame) -> None:
    findings = kk.analyse(plan, drawn, outcomes, also=kk.Analysis("days", name="days, a look"))
    assert [e.registered for e in findings.exploratory] == [False, False]
    assert [row["kind"] for row in findings.rows()] == ["registered"] * 4 + ["exploratory"] * 2
    assert [name for name, _ in findings.accounts] == ["work", "grade", "days"]


@pytest.mark.parametrize(
    ("also", "says"),
    [
        (kk.Analysis("work", name="again"), "'again' is registered as 'work by the design'"),
        (
            kk.Analysis("work", contrasts=(("coaching", "control"), ("subsidy", "control")), name="again"),
            "'again' is registered as 'work by the design'",
        ),
        (kk.Analysis("days", name="work by the design"), "the name 'work by the design' is that of another analysis"),
        (
            (kk.Analysis("days", kk.Regression(covariates=("age",))), kk.Analysis("days", kk.Regression())),
            "the name 'days by Regression' is that of another analysis",
        ),
        (("days",), "also must be Analysis"),
        ("days", "also must be Analysis"),
    ],
)
def test_what_cannot_be_exploratory(
    plan: Plan, drawn: kk.Assignment, outcomes: pd.DataFrame, also: Any, says: str
) -> None:
    with pytest.raises(PlanError, match=says):
        kk.analyse(plan, drawn, outcomes, also=also)


def other_draw(plan: Plan, people: pd.DataFrame) -> dict[str, Any]:
    return {"assignment": kk.randomise(people, plan.design, id="person", seed=SEED)}


def adopted(plan: Plan, people: pd.DataFrame) -> dict[str, Any]:
    table = kk.enrol(plan, people, seed=SEED).to_frame()
    return {"assignment": kk.adopt(table, arm="arm", design=plan.design, id="person")}


def edited_plan(plan: Plan, people: pd.DataFrame) -> dict[str, Any]:
    return {"plan": replace(plan, title="Coach, improved")}


def other_design(plan: Plan, people: pd.DataFrame) -> dict[str, Any]:
    design = kk.Complete(kk.arms(control=1, coaching=1, subsidy=1))
    drawn = kk.randomise(people, design, id="person", seed=SEED)
    return {"assignment": replace(drawn, plan_fingerprint=plan.fingerprint)}


def other_id(plan: Plan, people: pd.DataFrame) -> dict[str, Any]:
    table = people.rename(columns={"person": "number"})
    drawn = kk.randomise(table, plan.design, id="number", seed=SEED)
    work = {"number": table["number"], "work": 0.0 + np.arange(60) % 2, "grade": 4.0 + np.arange(60) % 7}
    outcomes = pd.DataFrame({**work, "age": table["age"]})
    return {"assignment": replace(drawn, plan_fingerprint=plan.fingerprint), "outcomes": outcomes}


def swapped(plan: Plan, people: pd.DataFrame) -> dict[str, Any]:
    drawn = kk.enrol(plan, people, seed=SEED)
    codes = np.array(drawn.codes)
    first, second = np.flatnonzero(codes == 0)[0], np.flatnonzero(codes == 1)[0]
    codes[[first, second]] = codes[[second, first]]
    return {"assignment": replace(drawn, codes=codes)}


def fewer_people(plan: Plan, people: pd.DataFrame) -> dict[str, Any]:
    return {"register": people.iloc[3:]}


def new_people(plan: Plan, people: pd.DataFrame) -> dict[str, Any]:
    return {"register": pd.concat([people, people.tail(2).assign(person=[1, 2])])}


def moved_people(plan: Plan, people: pd.DataFrame) -> dict[str, Any]:
    return {"register": people.assign(area=people["area"].where(people.index != 0, "Pori"))}


def changed(column: str, **values: Any) -> Callable[[Plan, pd.DataFrame], dict[str, Any]]:
    def change(plan: Plan, people: pd.DataFrame) -> dict[str, Any]:
        return {"spoil": (column, values)}

    return change


BROKEN = [
    (other_draw, "assignment", "plan", PlanError, "drawn under no plan, but the plan to be analysed is [0-9a-f]{12}"),
    (adopted, "assignment", "plan", PlanError, "drawn under no plan"),
    (edited_plan, "assignment", "plan", PlanError, "under the plan [0-9a-f]{12}, but the plan .* is [0-9a-f]{12}"),
    (other_design, "assignment", "design", PlanError, "design [0-9a-f]{12}, but the plan registers [0-9a-f]{12}"),
    (swapped, "assignment", "draw", PlanError, "2 people of 60 do not have the arm that the seed gives"),
    (other_id, "frame", "id", PlanError, "id is 'number', but the plan registers the id 'person'"),
    (fewer_people, "frame", "register", PlanError, "3 people of the draw not in the register"),
    (new_people, "frame", "register", PlanError, "2 new in the register"),
    (moved_people, "frame", "register", PlanError, "'area' differs for 1 person"),
    (
        changed("work", value=2.0),
        "outcome",
        "work",
        PlanError,
        "at least 0 and at most 1, but 0 values are below and 1",
    ),
    (changed("grade", value=-1.0), "outcome", "grade", PlanError, "1 value is below and 0 above, of 60"),
    (changed("work", drop=True), "outcome", "work", ColumnError, "no column 'work'"),
    (changed("grade", text=True), "outcome", "grade", ColumnError, "'grade' is text"),
    (changed("work", value=np.inf), "outcome", "work", DataError, "'work' is infinite for 1 person"),
    (changed("grade", all=np.nan), "outcome", "grade", DataError, "'grade' is missing for all 60"),
    (changed("work", all=1.0), "estimator", "work by the design", EstimationError, "analysis 'work by the design': "),
    (changed("age", drop=True), "estimator", "grade by Regression", ColumnError, "no covariate column 'age'"),
]


def spoilt(table: pd.DataFrame, column: str, how: dict[str, Any]) -> pd.DataFrame:
    if "drop" in how:
        return table.drop(columns=column)
    if "text" in how:
        return table.assign(**{column: "SECRET"})
    if "all" in how:
        return table.assign(**{column: how["all"]})
    return table.assign(**{column: table[column].where(table.index != 1, how["value"])})


@pytest.mark.parametrize(
    ("breaks", "kind", "about", "error", "says"), BROKEN, ids=lambda v: v if isinstance(v, str) else None
)
def test_each_comparison_broken_once(
    plan: Plan,
    drawn: kk.Assignment,
    people: pd.DataFrame,
    outcomes: pd.DataFrame,
    breaks: Any,
    kind: str,
    about: str,
    error: type[KokeiluError],
    says: str,
) -> None:
    given: dict[str, Any] = {"plan": plan, "assignment": drawn, "outcomes": outcomes, **breaks(plan, people)}
    if "spoil" in given:
        given["outcomes"] = spoilt(outcomes, *given.pop("spoil"))
    with pytest.raises(error, match=says) as caught:
        kk.analyse(**given)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__context__ is None
    assert len(str(caught.value)) <= 600
    assert f"Deviation({kind!r}, 'the reason', about=" in str(caught.value)
    with pytest.raises(error, match=says):
        kk.analyse(**given, deviations=kk.Deviation("timing", "This covers something else."))
    told = kk.Deviation(kind, "The reason stands here.")
    findings = kk.analyse(**given, deviations=(told, kk.Deviation("other", "Nothing comes of this.")))
    first, second = findings.deviations
    assert first.status == "found"
    precise = kk.analyse(**given, deviations=kk.Deviation(kind, "why", about=about)) if len(first.found) == 1 else None
    assert precise is None or precise.deviations[0].found == first.found
    assert second.status == "declared"
    assert "The reason stands here." in str(findings)
    assert "Nothing comes of this." in str(findings)
    assert first.found[0] in str(findings)


def test_a_deviation_about_something_else_does_not_cover(
    plan: Plan, drawn: kk.Assignment, outcomes: pd.DataFrame
) -> None:
    table = spoilt(outcomes, "grade", {"value": 99.0})
    with pytest.raises(PlanError, match="'grade' is registered"):
        kk.analyse(plan, drawn, table, deviations=kk.Deviation("outcome", "why", about="work"))
    findings = kk.analyse(plan, drawn, table, deviations=kk.Deviation("outcome", "why", about="grade"))
    assert findings.deviations[0].status == "found"


def test_an_analysis_that_is_not_made_stays_in_the_family(
    make_plan: Make, people: pd.DataFrame, outcomes: pd.DataFrame
) -> None:
    primary = (kk.Outcome("work"), kk.Outcome("days"))
    plan = make_plan(outcomes=primary, analyses=tuple(kk.Analysis(o.name) for o in primary))
    drawn = kk.enrol(plan, people, seed=SEED)
    findings = kk.analyse(
        plan, drawn, outcomes.drop(columns="days"), deviations=kk.Deviation("outcome", "The survey failed.")
    )
    assert findings.not_made[0][0] == "days by the design"
    assert "no column 'days'" in findings.not_made[0][1]
    assert findings.family[2:] == (
        "days by the design, coaching - control (not made, p = 1)",
        "days by the design, subsidy - control (not made, p = 1)",
    )
    least = min(findings.estimates, key=lambda e: e.p_value())
    assert least.adjusted_p == pytest.approx(min(1.0, 4 * least.p_value()))
    row = findings.rows()[-1]
    assert (row["analysis"], row["effect"], row["p"]) == ("days by the design", None, None)
    assert "days by the design: not made." in str(findings)


def test_without_a_register_the_findings_say_what_was_not_compared(
    plan: Plan, drawn: kk.Assignment, outcomes: pd.DataFrame
) -> None:
    findings = kk.analyse(plan, drawn, outcomes)
    assert findings.balance is None
    assert findings.notes == (
        "no register was given: its people and columns were not compared, and the balance of age was not checked.",
    )
    assert findings.notes[0] in str(findings)


def test_new_people_in_a_declared_register_leave_the_balance_unchecked(
    plan: Plan, drawn: kk.Assignment, people: pd.DataFrame, outcomes: pd.DataFrame
) -> None:
    told = kk.Deviation("frame", "Two moved in.")
    findings = kk.analyse(plan, drawn, outcomes, deviations=told, **new_people(plan, people))
    assert findings.balance is None
    assert "the balance was not checked: the table has 2 people of 62 who were never assigned" in findings.notes[0]


def test_an_adopted_allocation_says_that_it_was_not_replayed(
    plan: Plan, people: pd.DataFrame, outcomes: pd.DataFrame
) -> None:
    told = kk.Deviation("assignment", "Drawn by the ministry.")
    findings = kk.analyse(plan, outcomes=outcomes, deviations=told, **adopted(plan, people))
    assert "made elsewhere" in findings.notes[0]
    assert "made elsewhere, no seed" in str(findings)


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"plan": None}, PlanError, "a plan is needed.*got NoneType"),
        ({"assignment": 3}, PlanError, "an assignment is needed.*got int"),
        ({"outcomes": 3}, ColumnError, "a table is needed"),
        ({"deviations": "why"}, PlanError, "deviations must be"),
        ({"register": 3}, ColumnError, "a table is needed"),
    ],
)
def test_bad_arguments(
    plan: Plan, drawn: kk.Assignment, outcomes: pd.DataFrame, given: Any, error: type[KokeiluError], says: str
) -> None:
    with pytest.raises(error, match=says):
        kk.analyse(**{"plan": plan, "assignment": drawn, "outcomes": outcomes, **given})


def test_people_never_assigned_are_no_deviation(plan: Plan, drawn: kk.Assignment, outcomes: pd.DataFrame) -> None:
    table = outcomes.assign(person=outcomes["person"] + 2)
    with pytest.raises(DataError, match="2 people of 60 who were never assigned"):
        kk.analyse(plan, drawn, table, deviations=kk.Deviation("frame", "why"))


def test_a_lottery_that_is_not_the_one_of_the_design_is_found(
    plan: Plan, drawn: kk.Assignment, people: pd.DataFrame, outcomes: pd.DataFrame
) -> None:
    # Drawn completely, with codes and seed that fit that lottery, under the name of the registered, stratified design.
    other = kk.randomise(people, kk.Complete(kk.arms(control=1, coaching=1, subsidy=1)), id="person", seed=SEED)
    forged = replace(drawn, lottery=other.lottery, codes=other.codes)
    with pytest.raises(PlanError, match="the lottery of the assignment is not the one that its design gives"):
        kk.analyse(plan, forged, outcomes)
    with pytest.raises(PlanError, match="the lottery of the assignment is not the one that its design gives"):
        kk.analyse(plan, replace(forged, seed=None), outcomes)
    told = kk.analyse(plan, forged, outcomes, deviations=kk.Deviation("assignment", "a slip"))
    assert any("do not have the arm that the seed gives" in text for text in told.deviations[0].found)
