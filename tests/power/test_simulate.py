"""Simulated power: the default analysis on the design's own draws, and one set of draws for every effect."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from kokeilu._kernels.streams import Seed, Stream
from kokeilu.core.lottery import redraws
from kokeilu.errors import ColumnError, DataError, DesignError, EstimationError, SeedError
from kokeilu.power.curve import PowerCurve, wilson
from kokeilu.power.models import Mean
from kokeilu.power.simulate import simulate_power
from kokeilu.power.solve import power_at
from kokeilu.power.world import Shift, World

RNG = np.random.default_rng(20261121)
N = 240
PEOPLE = pd.DataFrame(
    {
        "person": np.arange(N),
        "region": np.repeat(np.arange(4), 60),
        "office": np.repeat(np.arange(24), 10),
        "days": RNG.gamma(2.0, 3.0, N),
    }
)
TWO = kk.arms(control=1, coaching=1)
DESIGNS = {
    "complete": kk.Complete(TWO),
    "three arms": kk.Complete(kk.arms(control=2, coaching=1, subsidy=1)),
    "strata": kk.Stratified(TWO, by="region"),
    "clusters": kk.Clustered(kk.Complete(TWO), by="office"),
    "an arm not offered everywhere": kk.Stratified(
        {
            **{str(region): kk.arms(control=1, coaching=1, subsidy=1) for region in range(3)},
            "3": kk.arms(control=1, coaching=0, subsidy=1),
        },
        by="region",
    ),
    "shares by stratum": kk.Stratified(
        {str(region): kk.arms(control=1, coaching=1 + region) for region in range(4)}, by="region"
    ),
    "small cells": kk.Stratified(kk.arms(control=2, coaching=1), by="office"),
    "clusters in strata": kk.Clustered(kk.Stratified(TWO, by="region"), by="office"),
}


def simulated(design, *, world=None, people=PEOPLE, effects=(0.0, 1.0, 2.0), draws=400, seed="power", **rest):
    return simulate_power(design, people, world or Shift("days"), effects=effects, draws=draws, seed=seed, **rest)


class Noise:
    """A world whose outcomes are new in each trial; the arm adds its own effect."""

    def __init__(self, arms: int = 2, effect: float = 0.0, n: int = N) -> None:
        self.arms, self.effect, self.n = arms, effect, n

    def outcomes(self, stream: Stream) -> np.ndarray:
        base = stream.doubles(1, self.n)[0]
        return base[:, None] + self.effect * np.arange(self.arms)


@pytest.mark.parametrize("name", sorted(DESIGNS))
def test_each_draw_is_analysed_as_the_trial_will_be(name):
    design = DESIGNS[name]
    assignment = kk.randomise(PEOPLE, design, id="person", seed=1)
    curve = simulated(assignment, draws=5)
    source = Seed.of("power").stream("power").child("lottery")
    (codes,) = redraws(assignment.lottery, source, 5)
    for b in range(5):
        table = PEOPLE.assign(arm=np.array(assignment.arms.names)[codes[b]])
        adopted = kk.adopt(table, arm="arm", design=design, id="person")
        one = kk.estimate_effects(adopted, table, "days")[0]
        assert curve.estimates[b] == pytest.approx(one.value, rel=1e-9)
        assert curve.errors[b] == pytest.approx(one.error, rel=1e-9)
        # The critical value itself: at one effect, wrong degrees of freedom seldom change the verdict.
        assert curve.critical[b] == pytest.approx((one.interval(0.95)[1] - one.value) / one.error, rel=1e-9)
        rejects = one.p_value(null=-1.0) < 0.05
        assert rejects == (abs(curve.estimates[b] + 1.0) > curve.critical[b] * curve.errors[b])


@pytest.mark.parametrize("name", sorted(DESIGNS))
def test_thresholds_give_what_a_new_simulation_gives(name):
    """Power at an effect from null draws = share of the same draws that reject when the effect is really added."""
    design, effect = DESIGNS[name], 1.3
    count = len(kk.randomise(PEOPLE, design, id="person", seed=1).arms)
    curve = simulated(design)

    class Moved:
        def outcomes(self, stream: Stream) -> np.ndarray:
            base = PEOPLE["days"].to_numpy()
            table = np.repeat(base[:, None], count, axis=1)
            table[:, 1] += effect
            return table

    moved = simulated(design, world=Moved())
    assert moved.size == curve.power_at(effect)
    assert moved.bias == pytest.approx(curve.bias, abs=1e-12)
    np.testing.assert_allclose(moved.errors, curve.errors, rtol=1e-9)
    assert moved.power_at(-effect) == pytest.approx(curve.size, abs=2 / 400)


def test_the_formula_agrees():
    curve = simulated(DESIGNS["complete"], draws=4000)
    for effect in (1.0, 1.6, 2.2):
        power = power_at(DESIGNS["complete"], PEOPLE, Mean(sd=PEOPLE["days"].std()), effect=effect).value
        assert curve.power_at(effect) == pytest.approx(power, abs=4 * math.sqrt(power * (1 - power) / 4000) + 0.01)
    assert curve.size == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / 4000))
    assert abs(curve.bias) < 4 * curve.sd / math.sqrt(4000)


def test_the_detectable_effect_has_the_power_and_lies_in_its_interval():
    curve = simulated(DESIGNS["strata"], draws=2000)
    value, low, high = curve.detectable_effect(0.8)
    assert low < value < high
    assert curve.power_at(np.nextafter(value, np.inf)) >= 0.8 > curve.power_at(value * (1 - 1e-9))
    assert curve.detectable_effect(0.9)[0] > value
    with pytest.raises(DesignError, match="already rejects"):
        curve.detectable_effect(0.01)


def test_few_draws_have_no_upper_end():
    value, _, high = simulated(DESIGNS["complete"], draws=20).detectable_effect(0.95)
    assert high == math.inf
    assert value > 0


def test_more_draws_leave_the_first_ones():
    few, many = simulated(DESIGNS["clusters"], draws=100), simulated(DESIGNS["clusters"], draws=300)
    np.testing.assert_allclose(many.estimates[:100], few.estimates, rtol=1e-12)
    np.testing.assert_allclose(many.errors[:100], few.errors, rtol=1e-12)
    noisy = [simulated(DESIGNS["strata"], world=Noise(), draws=draws) for draws in (30, 60)]
    np.testing.assert_allclose(noisy[1].estimates[:30], noisy[0].estimates, rtol=1e-12)


def test_the_seed_decides_and_only_the_seed():
    one, same, other = (simulated(DESIGNS["strata"], seed=seed) for seed in ("a", "a", "b"))
    assert np.array_equal(one.estimates, same.estimates)
    assert not np.array_equal(one.estimates, other.estimates)


def test_an_assignment_finds_its_people_in_any_order():
    assignment = kk.randomise(PEOPLE, DESIGNS["strata"], id="person", seed=1)
    one, other = (simulated(assignment, people=table) for table in (PEOPLE, PEOPLE.sample(frac=1, random_state=1)))
    assert np.array_equal(one.estimates, other.estimates)


def test_a_lottery_takes_an_array():
    assignment = kk.randomise(PEOPLE, DESIGNS["strata"], id="person", seed=1)
    one = simulated(assignment)
    other = simulated(assignment.lottery, people=None, world=Shift(PEOPLE["days"].to_numpy()))
    assert np.array_equal(one.estimates, other.estimates)
    with pytest.raises(DesignError, match="whose row is whose"):
        simulated(assignment.lottery)


def test_a_world_with_its_own_effect_keeps_it():
    curve = simulated(DESIGNS["three arms"], world=Noise(arms=3, effect=0.1), contrast="subsidy", draws=600)
    assert np.allclose(curve.truth, 0.2)
    assert abs(curve.bias) < 4 * curve.sd / math.sqrt(600)
    assert curve.size > 0.9
    assert curve.coverage == pytest.approx(0.95, abs=0.04)
    assert isinstance(Noise(), World)


def test_the_rows_carry_the_monte_carlo_error():
    curve = simulated(DESIGNS["complete"], effects=(0.0, 1.5, 50.0))
    rows = curve.rows()
    assert [row["effect"] for row in rows] == [0.0, 1.5, 50.0]
    assert rows[2]["power"] == 1.0
    assert 0 < rows[2]["power_error"] < 0.01
    assert rows[2]["low"] < 1.0 == pytest.approx(rows[2]["high"])
    assert all(row["low"] <= row["power"] <= row["high"] for row in rows[:2])
    power = rows[1]["power"]
    assert rows[1]["power_error"] == pytest.approx(math.sqrt(power * (1 - power) / 400))
    text = str(curve)
    assert "size 0.0" in text
    assert "coaching - control" in text
    assert curve.to_frame().shape == (3, 9)
    with pytest.raises(ValueError, match="read-only"):
        curve.estimates[0] = 1.0


def test_wilson_is_never_of_no_width():
    assert wilson(0.0, 100) == (0.0, pytest.approx(0.03699, abs=1e-4))
    assert wilson(0.8, 1000) == (pytest.approx(0.7740, abs=1e-3), pytest.approx(0.8236, abs=1e-3))


def test_pairs_use_the_pooled_error():
    people = {"pair": np.repeat(np.arange(30), 2), "days": RNG.gamma(2.0, 3.0, 60)}
    curve = simulated(kk.Stratified(TWO, by="pair"), people=people, draws=2000)
    assert curve.critical[0] == pytest.approx(2.04523, abs=1e-4)  # 29 degrees of freedom
    assert curve.size == pytest.approx(0.05, abs=0.02)


def test_failed_draws_are_counted_and_never_taken_for_no_effect():
    people = {"office": np.repeat(np.arange(3), 20), "days": RNG.gamma(2.0, 3.0, 60)}
    with pytest.raises(EstimationError, match=r"draws? of 50 gave no estimate or no standard error of 'coaching'"):
        simulated(kk.Clustered(kk.Complete(TWO), by="office"), people=people, draws=50)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"world": Shift("dayz")}, ColumnError, "Did you mean 'days'"),
        ({"world": Shift([1.0, 2.0])}, DataError, "2 values for 240 people"),
        ({"world": 7}, DesignError, r"world must be Shift"),
        ({"world": Noise(arms=3)}, DataError, r"shape \(240, 2\); got shape \(240, 3\)"),
        ({"effects": ()}, DesignError, "effects is empty"),
        ({"effects": (math.nan,)}, DesignError, "effects must lie"),
        ({"draws": 1}, DesignError, "draws must be at least 2"),
        ({"alpha": 0.0}, DesignError, "alpha must lie"),
        ({"seed": None}, SeedError, "seed must be"),
        ({"contrast": "coching"}, DesignError, "Did you mean 'coaching'"),
        ({"people": PEOPLE.assign(days=1.0)}, DataError, "'days' is the same for everybody"),
        (
            {"people": PEOPLE.assign(days=PEOPLE["days"].where(PEOPLE["person"] != 5))},
            DataError,
            "'days'.*1 person of 240",
        ),
    ],
)
def test_bad_requests_say_why(change, error, says):
    with pytest.raises(error, match=says):
        simulated(DESIGNS["complete"], **change)


def test_people_missing_from_the_register_are_told():
    assignment = kk.randomise(PEOPLE, DESIGNS["complete"], id="person", seed=1)
    with pytest.raises(DataError, match="lacks 1 person of the assignment"):
        simulated(assignment, people=PEOPLE.iloc[1:])


@pytest.mark.parametrize("value", [[[1.0]], ["a", "b"], 3.0])
def test_shift_needs_numbers(value):
    with pytest.raises(DesignError, match="one number for each person"):
        Shift(value)


def test_the_curve_is_made_of_draws():
    columns = (np.zeros(4), np.ones(4), np.full(4, 2.0), np.zeros(4))
    curve = PowerCurve.of(arm="a", reference="b", effects=(1.0,), alpha=0.05, columns=columns)
    assert (curve.draws, curve.size, curve.power_at(2.1), curve.power_at(-2.1)) == (4, 0.0, 1.0, 1.0)
    assert curve.mean_error == 1.0


def test_nobody_may_get_both_arms():
    arms = {"0": kk.arms(control=1, coaching=1, subsidy=0), "1": kk.arms(control=1, coaching=0, subsidy=1)}
    people = {"place": [0] * 60 + [1] * 60, "days": RNG.gamma(2.0, 3.0, 120)}
    with pytest.raises(DesignError, match="nobody may get both 'coaching' and 'subsidy'"):
        simulated(kk.Stratified(arms, by="place"), people=people, contrast=("coaching", "subsidy"))


def test_clusters_with_shares_that_differ_keep_their_size():
    arms = {str(region): kk.arms(control=2, coaching=1 + region % 2) for region in range(4)}
    design = kk.Clustered(kk.Stratified(arms, by="region"), by="office")
    curve = simulated(design, draws=2000)
    assert curve.size == pytest.approx(0.05, abs=0.03)
    assert abs(curve.bias) < 4 * curve.sd / math.sqrt(2000)
    assert curve.critical[0] == pytest.approx(2.1199, abs=1e-3)  # 24 clusters less 2 for each of 4 strata


def test_a_design_is_needed():
    with pytest.raises(DesignError, match="a design is needed"):
        simulated(7)
