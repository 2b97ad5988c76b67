"""Worlds: what an effect makes of outcomes, and that chance is the same at every effect."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from kokeilu._kernels.streams import Seed
from kokeilu.errors import DataError, DesignError
from kokeilu.power.world import MovedWorld

RNG = np.random.default_rng(20261121)
N = 400
PEOPLE = pd.DataFrame(
    {
        "region": np.repeat(np.arange(4), 100),
        "office": np.repeat(np.arange(40), 10),
        "days": np.minimum(RNG.integers(1, 600, N), 365),
        "euros": RNG.gamma(2.0, 500.0, N),
        "work": (RNG.random(N) < 0.3).astype(float),
        "age": RNG.integers(18, 64, N),
    }
)
TWO = kk.arms(control=1, coaching=1)
STRATA = kk.Stratified(TWO, by="region")
OFFICES = kk.Clustered(kk.Stratified(TWO, by="region"), by="office")
STREAM = Seed.of("worlds").stream("world")
WORLDS = {
    "shift": kk.Shift("euros"),
    "proportional": kk.Proportional("euros"),
    "binary": kk.Binary("work"),
    "durations": kk.Durations("days", horizon=365),
    "take-up": kk.TakeUp(kk.Shift("euros"), {"coaching": 0.5}),
    "take-up of the old": kk.TakeUp(kk.Binary("work"), {"coaching": 0.5}, likely="age"),
    "resampled": kk.Resampled(kk.Proportional("euros")),
}


def simulated(world, design=STRATA, effects=(0.0, 0.1), draws=60, **rest):
    return kk.simulate_power(design, PEOPLE, world, effects=effects, draws=draws, seed="worlds", **rest)


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_no_effect_leaves_outcomes_and_chance_is_common(name):
    world = WORLDS[name]
    assert isinstance(world, MovedWorld)
    base = world.read(PEOPLE)
    np.testing.assert_array_equal(world.under(base, world.none, STREAM, "coaching"), base[:, 0])
    some, more = (world.under(base, world.none + step, STREAM, "coaching") for step in (0.1, 0.2))
    moved = some != base[:, 0]
    assert moved.any()
    # Whoever is moved by a smaller effect is moved by a larger one, no less far.
    assert (np.abs(more - base[:, 0]) >= np.abs(some - base[:, 0]) - 1e-9).all()


def test_binary_moves_the_share_and_nobody_the_other_way():
    world = kk.Binary(np.tile([0.0, 1.0, 0.0, 0.0], 5_000))
    base = world.read(None)
    for effect in (0.1, -0.1):
        moved = world.under(base, effect, STREAM, "coaching") - base[:, 0]
        assert moved.mean() == pytest.approx(effect, abs=0.01)
        assert (np.sign(effect) * moved >= 0.0).all()
    with pytest.raises(DesignError, match=r"outside \[0, 1\]"):
        world.under(base, 0.9, STREAM, "coaching")
    with pytest.raises(DataError, match="values are neither"):
        kk.Binary("age").read(PEOPLE)


def test_durations_raise_the_survivor_function_to_the_ratio():
    days = kk.Durations(np.minimum(RNG.exponential(200.0, 20_000), 365.0), horizon=365)
    base = days.read(None)
    for ratio in (1.4, 0.7):
        moved = days.under(base, ratio, STREAM, "coaching")
        for t in (50.0, 200.0, 364.0):
            left = float((base[:, 0] > t).mean())
            assert (moved > t).mean() == pytest.approx(left**ratio, abs=0.015)
        assert moved.max() == 365.0
    with pytest.raises(DesignError, match="hazard ratio must be above 0"):
        days.under(base, 0.0, STREAM, "coaching")
    with pytest.raises(DataError, match="below 0"):
        kk.Durations([-1.0, 3.0], horizon=5).read(None)
    with pytest.raises(DataError, match="all at least the horizon"):
        kk.Durations([9.0, 8.0], horizon=5).read(None)


def test_take_up_dilutes_and_the_likely_come_first():
    world = kk.TakeUp(kk.Shift("euros"), {"coaching": 0.25, "control": 0.1}, likely="age")
    base = world.read(PEOPLE)
    came = {arm: world.under(base, 7.0, STREAM, arm) != base[:, 0] for arm in ("coaching", "control")}
    assert {arm: int(rows.sum()) for arm, rows in came.items()} == {"coaching": 100, "control": 40}
    assert not (came["control"] & ~came["coaching"]).any()
    assert PEOPLE["age"][came["coaching"]].min() >= PEOPLE["age"][~came["coaching"]].max()
    found = simulated(world, effects=(1_000.0,))
    assert found.found[0].truth.mean() == pytest.approx(150.0, rel=1e-6)


def test_take_up_needs_arms_and_shares():
    with pytest.raises(DesignError, match="needs a world such as"):
        kk.TakeUp(7, {"coaching": 0.5})
    with pytest.raises(DesignError, match="take_up must map arms"):
        kk.TakeUp(kk.Shift("euros"), {})
    with pytest.raises(DesignError, match="Did you mean 'coaching'"):
        simulated(kk.TakeUp(kk.Shift("euros"), {"coching": 0.5}))
    three = kk.Complete(kk.arms(control=1, coaching=1, subsidy=1))
    with pytest.raises(DesignError, match="not known which service"):
        simulated(kk.TakeUp(kk.Shift("euros"), {"control": 0.5}), design=three)
    with pytest.raises(DataError, match="2 values for 400 people"):
        simulated(kk.TakeUp(kk.Shift("euros"), {"coaching": 0.5}, likely=[0.1, 0.2]))
    with pytest.raises(DesignError, match="Resampled needs a world"):
        kk.Resampled(3)


@pytest.mark.parametrize("design", [STRATA, OFFICES], ids=["people", "clusters"])
def test_resampled_people_stay_in_their_strata(design):
    lottery = kk.randomise(PEOPLE.assign(id=range(N)), design, id="id", seed=1).lottery
    cells = lottery.cells()
    rows = kk.Resampled.chosen(STREAM, cells.strata, cells.clusters)
    assert (cells.strata[rows] == cells.strata).all()
    assert 150 < len(np.unique(rows)) < N
    if cells.clusters is not None:
        sources = pd.Series(cells.clusters[rows]).groupby(cells.clusters).nunique()
        assert (sources == 1).all()


def test_resampled_shift_gives_a_curve_and_a_larger_population():
    curve = simulated(kk.Resampled(kk.Shift("euros")), draws=300)
    assert isinstance(curve, type(simulated(kk.Shift("euros"))))
    assert np.ptp(curve.errors) > np.ptp(simulated(kk.Shift("euros"), draws=300).errors)
    assert curve.coverage > 0.9


@pytest.mark.parametrize("name", sorted(set(WORLDS) - {"shift"}))
def test_each_world_is_simulated(name):
    world = WORLDS[name]
    step = {"take-up": 1_000.0, "durations": 1.0}.get(name, 0.2)
    found = simulated(world, effects=(world.none, world.none + step))
    assert found.rows()[0]["power"] == found.size < 0.2
    assert found.rows()[1]["power"] > found.size
    off = found.found[1].bias
    assert abs(off.value) < 4 * off.error


def test_a_proportional_effect_is_that_of_the_same_outcomes_made_by_hand():
    found = simulated(kk.Proportional("euros"), effects=(0.15,))

    class Made:
        def outcomes(self, stream):
            y = PEOPLE["euros"].to_numpy()
            return np.stack([y, 1.15 * y], axis=1)

    other = simulated(Made(), effects=(0.0,))
    np.testing.assert_allclose(found.found[0].estimates, other.estimates, rtol=1e-12)
    np.testing.assert_allclose(found.found[0].errors, other.errors, rtol=1e-12)
    assert found.power_at(0.15) == other.size
