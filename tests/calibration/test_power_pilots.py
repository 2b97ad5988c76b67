"""Intervals of what pilots tell: how often they hold the truth, by a simulation that knows only the model."""

from __future__ import annotations

import math

import numpy as np
import pytest

import kokeilu as kk
from calibration.record import record

pytestmark = pytest.mark.calibration

DRAWS = 400


def held(low: float, high: float, truth: float) -> bool:
    return low <= truth <= high


def near(hits: list[bool], least: float, most: float = 1.0, *, what: str) -> None:
    record(
        topic="what pilots tell",
        design=what,
        method="95 % interval",
        outcome="drawn anew",
        replications=len(hits),
        coverage=float(np.mean(hits)),
        reason="approximate: the interval rests on moments that a pilot hardly tells",
    )
    slack = 4 * math.sqrt(0.05 * 0.95 / len(hits))
    assert least - slack < np.mean(hits) <= most, f"coverage {np.mean(hits):.3f}"


@pytest.mark.parametrize("icc", [0.02, 0.2])
def test_icc(icc):
    rng = np.random.default_rng(1)
    office = np.repeat(np.arange(30), 20)
    hits = []
    for _ in range(DRAWS):
        y = math.sqrt(icc) * rng.normal(size=30)[office] + math.sqrt(1 - icc) * rng.normal(size=600)
        found = kk.icc({"y": y, "office": office}, "y", "office")
        hits.append(held(found.low, found.high, icc))
    near(hits, 0.95, what=f"intraclass correlation {icc}, 30 offices of 20")


@pytest.mark.parametrize(("slope", "skewed"), [(0.0, False), (0.2, False), (1.0, False), (1.0, True)])
def test_r2(slope, skewed):
    rng = np.random.default_rng(2)
    truth = slope**2 / (slope**2 + 1.0)
    hits = []
    for _ in range(DRAWS):
        x = rng.exponential(size=400) - 1.0 if skewed else rng.normal(size=400)
        noise = rng.exponential(size=400) - 1.0 if skewed else rng.normal(size=400)
        found = kk.baseline_r2({"x": x, "y": slope * x + noise}, "y", on="x").r2
        hits.append(held(found.low, found.high, truth))
    near(hits, 0.93, what=f"R2 of slope {slope}{', skewed' if skewed else ''}, 400 people")


def test_take_up_of_clusters():
    rng = np.random.default_rng(3)
    office = np.repeat(np.arange(40), 15)
    hits = []
    for _ in range(DRAWS):
        chance = rng.beta(6.0, 4.0, 40)  # mean .6
        came = (rng.random(600) < chance[office]).astype(float)
        found = kk.take_up({"came": came, "office": office}, "came", cluster="office").rates[0]
        hits.append(held(found.low, found.high, 0.6))
    near(hits, 0.94, what="take-up, 40 offices of 15")


def test_standard_deviation_of_a_skewed_outcome():
    rng = np.random.default_rng(4)
    hits = []
    for _ in range(DRAWS):
        found = kk.learnt({"y": rng.exponential(size=2_000)}, "y").uncertain["sd"]
        hits.append(held(*found, 1.0))
    near(hits, 0.93, what="standard deviation of an exponential outcome, 2,000 people")
