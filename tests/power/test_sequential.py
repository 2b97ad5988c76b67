"""Looks before the end."""

from __future__ import annotations

import math

import numpy as np
import pytest

import kokeilu as kk
from kokeilu.errors import DesignError

EVEN = kk.Complete(kk.arms(control=1, coaching=1))


@pytest.mark.parametrize(
    ("spending", "bounds"),
    [  # Jennison & Turnbull (2000), tables 2.1 and 2.3; gsDesign for the spending function
        ("OBrienFleming", [2.0040 * math.sqrt(3 / k) for k in (1, 2, 3)]),
        ("Pocock", [2.2895] * 3),
        ("LanDeMetsOBF", [3.7103, 2.5114, 1.9930]),
    ],
)
def test_published_bounds(spending: str, bounds: list[float]) -> None:
    assert kk.GroupSequential(looks=3, spending=spending).bounds() == pytest.approx(bounds, abs=1e-4)


@pytest.mark.parametrize("spending", ["LanDeMetsOBF", "LanDeMetsPocock", "HwangShihDeCani", "OBrienFleming", "Pocock"])
def test_the_level_is_spent_and_no_more(spending: str) -> None:
    for alternative in ("two-sided", "greater", "less"):
        test = kk.GroupSequential(looks=(0.3, 0.7, 1.0), spending=spending, alternative=alternative)
        if spending in ("OBrienFleming", "Pocock"):
            test = kk.GroupSequential(looks=3, spending=spending, alternative=alternative)
        up, down = test.crossing(0.0)
        both = down.sum() if alternative == "two-sided" else 0.0
        assert up.sum() + both == pytest.approx(0.05, abs=1e-8)


def test_futility_costs_power_and_saves_people() -> None:
    one_sided = {"looks": 3, "alpha": 0.025, "alternative": "greater"}
    free = kk.power_at(EVEN, 400, kk.Mean(sd=1.0), effect=0.25, test=kk.GroupSequential(**one_sided))
    bound = kk.power_at(EVEN, 400, kk.Mean(sd=1.0), effect=0.25, test=kk.GroupSequential(**one_sided, futility=True))
    assert bound.value < free.value
    assert dict(bound.facts)["expected share of people"] < dict(free.facts)["expected share of people"]


def test_fewer_people_are_expected_the_larger_the_effect() -> None:
    test = kk.GroupSequential(looks=3, spending="Pocock")
    shares = [
        dict(kk.power_at(EVEN, 400, kk.Mean(sd=1.0), effect=e, test=test).facts)["expected share of people"]
        for e in (0.01, 0.2, 0.4, 0.8)
    ]
    assert np.all(np.diff(shares) < 0)


def test_a_decrease_mirrors_an_increase() -> None:
    up, down = (kk.GroupSequential(looks=2, alternative=side) for side in ("greater", "less"))
    found = [kk.power_at(EVEN, 300, kk.Mean(sd=1.0), effect=s * 0.2, test=t).value for s, t in ((1, up), (-1, down))]
    assert found[0] == pytest.approx(found[1], rel=1e-9)


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: kk.GroupSequential(looks=(0.5, 0.4, 1.0)), "rise to 1"),
        (lambda: kk.GroupSequential(looks=(0.5, 0.9)), "rise to 1"),
        (lambda: kk.GroupSequential(looks=0), "looks must be at least 1"),
        (lambda: kk.GroupSequential(looks=2, futility=True), "one-sided test"),
        (
            lambda: kk.GroupSequential(looks=2, spending="Pocock", alternative="less", futility=True),
            "need a spending function",
        ),
        (lambda: kk.GroupSequential(spending="Pocok"), "Did you mean 'Pocock'"),
    ],
)
def test_looks_that_cannot_be(ask, says: str) -> None:
    with pytest.raises(DesignError, match=says):
        ask()
