"""The power record: kept in the plan, compared with the people who came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

import kokeilu as kk
from kokeilu.errors import PlanError
from plan.conftest import SEED

Make = Callable[..., kk.Plan]
DESIGN = kk.Stratified(kk.arms(control=1, coaching=1, subsidy=1), by="area")


@pytest.fixture
def planned(make_plan: Make) -> kk.Plan:
    """Return a plan for 75 people, of whom 60 come."""
    return make_plan(power=kk.sample_size(DESIGN, kk.Mean(sd=1.0), effect=0.8))


def test_a_plan_without_a_record_keeps_its_fingerprint(plan: kk.Plan) -> None:
    assert "power" not in plan.to_json()
    assert plan.power == ()


def test_the_round_trip(planned: kk.Plan, make_plan: Make) -> None:
    again = kk.Plan.from_json(planned.to_json())
    assert again == planned
    assert again.fingerprint == planned.fingerprint != make_plan().fingerprint
    assert isinstance(planned.power[0].outcome, kk.Mean)
    assert make_plan(power=planned.power) == planned


@pytest.mark.parametrize(
    "outcome",
    [
        kk.Proportion(base=0.3, variance="pooled"),
        kk.Count(rate=1.5, scale_of="difference"),
        kk.Mean(sd=1.0, panel=kk.Panel(rho=0.4)),
        kk.RestrictedMean(hazards=(0.1, 0.05), lengths=(6,), horizon=12),
    ],
)
def test_every_outcome_can_be_kept(make_plan: Make, outcome: Any) -> None:
    """Some have a normal reference, whose infinite degrees of freedom JSON does not know."""
    plan = make_plan(power=kk.power_at(DESIGN, 900, outcome, effect=0.1))
    assert kk.Plan.from_json(plan.to_json()) == plan


def test_people_who_did_not_come_are_told(planned: kk.Plan, people: pd.DataFrame) -> None:
    drawn = kk.enrol(planned, people, seed=SEED)
    check = kk.check_power(planned, drawn)
    assert not check.holds
    n = dict(planned.power[0].people)["control"]
    assert check.rows()[0] == {
        "record": 1,
        "what": "people in control",
        "planned": n,
        "enrolled": 20.0,
        "difference": 20.0 - n,
    }
    assert f"people in control 20 in place of {n:g}" in str(check)


def test_the_register_itself_is_as_planned(make_plan: Make, people: pd.DataFrame) -> None:
    answers = [
        kk.detectable_effect(DESIGN, people, kk.Mean(sd=1.0)),
        kk.power_at(DESIGN, people, kk.Mean(sd=2.0), effect=1.0, reality=kk.Reality(attrition=0.2)),
    ]
    plan = make_plan(power=answers)
    check = kk.check_power(plan, kk.enrol(plan, people, seed=SEED))
    assert check.holds
    assert "As planned." in str(check)
    assert [row["what"] for row in check.rows()][:4] == [
        "people in control",
        "people in coaching",
        "people in subsidy",
        "strata",
    ]


def test_clusters_are_compared(make_plan: Make) -> None:
    people = pd.DataFrame({"person": range(120), "area": [f"a{k // 10}" for k in range(120)], "age": 30})
    design = kk.Clustered(kk.Complete(kk.arms(control=1, coaching=1, subsidy=1)), by="area")
    asked = kk.power_at(design, kk.ClusterSizes(count=15, size=10), kk.Mean(sd=1.0, icc=0.1), effect=0.5)
    plan = make_plan(design=design, power=asked)
    check = kk.check_power(plan, kk.enrol(plan, people, seed=SEED))
    assert ("clusters in control", 5.0, 4.0) in [line[1:] for line in check.differences]


def test_the_findings_show_it(planned: kk.Plan, plan: kk.Plan, people: Any, outcomes: Any) -> None:
    findings = kk.analyse(planned, kk.enrol(planned, people, seed=SEED), outcomes, register=people)
    assert findings.power is not None
    assert "Power as reckoned before the draw" in str(findings)
    assert "Not as planned" in str(findings)
    without = kk.analyse(plan, kk.enrol(plan, people, seed=SEED), outcomes, register=people)
    assert without.power is None


@pytest.mark.parametrize(
    ("power", "says"),
    [
        (0.8, "answers of sample_size, power_at or detectable_effect; got float"),
        (kk.power_at(kk.Complete(kk.arms(a=1, b=1)), 90, kk.Mean(sd=1.0), effect=0.1), "an arm 'a' that the design"),
    ],
)
def test_what_is_no_record_is_refused(make_plan: Make, power: Any, says: str) -> None:
    with pytest.raises(PlanError, match=says):
        make_plan(power=power)


def test_a_broken_record_is_refused(planned: kk.Plan) -> None:
    text = planned.to_json().replace('"quantity":"sample_size",', "")
    with pytest.raises(PlanError, match="power record lacks the field 'quantity'"):
        kk.Plan.from_json(text)


def test_there_must_be_a_record_to_compare(plan: kk.Plan, drawn: kk.Assignment) -> None:
    with pytest.raises(PlanError, match="the plan has no power record"):
        kk.check_power(plan, drawn)
