"""People who come week by week."""

from __future__ import annotations

from dataclasses import replace

import pytest

import kokeilu as kk
from kokeilu.errors import DesignError

DESIGN = kk.Stratified(kk.arms(control=1, coaching=1), by="office")
DAYS = kk.Mean(sd=1.0)
FLOW = kk.Inflow(arrivals={"Lahti": 40, "Oulu": 6}, places={"coaching": {"Lahti": 10, "Oulu": 10}}, wave=4)


def test_a_week() -> None:
    """Lahti has 10 places for half of those enrolled, Oulu room for all."""
    week = {row["office"]: row for row in FLOW.week(DESIGN).rows()}
    assert (week["Lahti"]["enrolled"], week["Lahti"]["outside"]) == (20, 20)
    assert (week["Oulu"]["enrolled"], week["Oulu"]["coaching unused"]) == (6, 7)


def test_people_and_degrees_of_freedom() -> None:
    found = kk.power_at(DESIGN, replace(FLOW, weeks=12), DAYS, effect=0.2)
    assert found.n == 12 * 26
    assert found.dof == 12 * 26 - 2 * 3 - 1  # two offices, three draws


def test_only_those_followed_up_count() -> None:
    late = replace(FLOW, weeks=40, follow_up=26, extract=50)
    found = kk.power_at(DESIGN, late, DAYS, effect=0.2)
    assert found.n == 24 * 26
    assert any("first 24 weeks" in said for said in found.assumptions)


def test_weeks_are_solved_and_whole() -> None:
    found = kk.sample_size(DESIGN, DAYS, effect=0.2, sizes=FLOW)
    assert found.root is not None
    assert found.root[0] == "weeks"
    assert found.n % 26 == 0
    assert (found.n / 26 - 1) < found.root[1] <= found.n / 26


@pytest.mark.parametrize(
    ("flow", "says"),
    [
        (lambda: kk.Inflow(arrivals=0), "nobody arrives"),
        (lambda: kk.Inflow(arrivals=5, weeks=0.5), "weeks must lie"),
        (lambda: kk.Inflow(arrivals=5, follow_up=30, extract=20), "nobody's outcome is known"),
        (lambda: replace(FLOW, places={"coach": 3}), "Did you mean 'coaching'"),
        (lambda: replace(FLOW, places={"coaching": {"Lahti": 3}}), "no entry for office 'Oulu'"),
        (lambda: replace(FLOW, places={"coaching": {"Lahti": 3, "Oulu": 3, "Pori": 3}}), "'Pori' that has no arrivals"),
        (lambda: replace(FLOW, places={"coaching": 0}), "no places in any office"),
        (lambda: kk.Inflow(arrivals=1), "compared with nobody"),
        (lambda: kk.Inflow(arrivals=10, follow_up=26, extract=40), "only the first 14 weeks count"),
    ],
)
def test_what_an_inflow_cannot_do(flow, says: str) -> None:
    with pytest.raises(DesignError, match=says):
        kk.sample_size(DESIGN, DAYS, effect=0.1, sizes=flow())


def test_offices_are_not_drawn_by_week() -> None:
    with pytest.raises(DesignError, match="people drawn one by one"):
        kk.sample_size(kk.Clustered(DESIGN, by="town"), kk.Mean(sd=1.0, icc=0.1), effect=0.1, sizes=FLOW)
