"""Where the analysis will have another power than the formula, the answer says so."""

from __future__ import annotations

import numpy as np
import pytest

import kokeilu as kk
from kokeilu.errors import DataError, DesignError
from kokeilu.power.cluster_sizes import ClusterSizes
from kokeilu.power.results import Power

TWO = kk.arms(control=1, coaching=1)
TWENTIETH = kk.arms(control=19, coaching=1)


def doubts(found: Power) -> list[str]:
    return [text for text in found.assumptions if "simulate_power tells" in text]


def test_a_small_arm_has_fewer_degrees_of_freedom_than_the_formula() -> None:
    # 1,500 simulated trials analysed by estimate_effects: power .59 (Welch), where n - 2 gives .80.
    found = kk.power_at(kk.Complete(TWENTIETH), 100, kk.Mean(sd=1.0), effect=1.3)
    assert found.power == pytest.approx(0.801, abs=0.001)
    assert "about 4.3 degrees of freedom, not 98, and by them a power of 0.59" in doubts(found)[0]
    assert "4.3 degrees of freedom" in " ".join(str(found).split())


def test_few_clusters_in_an_arm() -> None:
    # Simulated: .74 with four of 40 clusters in the arm; the formula says .93.
    design = kk.Clustered(kk.Complete(kk.arms(control=9, coaching=1)), by="office")
    found = kk.power_at(design, ClusterSizes(count=40, size=20), kk.Mean(sd=1.0, icc=0.1), effect=0.7)
    assert found.power == pytest.approx(0.925, abs=0.001)
    assert "about 3.7 degrees of freedom, not 38" in doubts(found)[0]


def test_small_cells_of_strata() -> None:
    register = {"s": np.repeat([f"s{i}" for i in range(20)], 4)}
    found = kk.power_at(kk.Stratified(TWO, by="s"), register, kk.Mean(sd=1.0), effect=0.65)
    # Simulated: .77, for Satterthwaite's rule finds a median of 14.7 degrees of freedom in cells of two.
    assert found.power == pytest.approx(0.810, abs=0.001)
    assert "about 14.0 degrees of freedom, not 40, and by them a power of 0.77" in doubts(found)[0]
    varied = kk.Stratified({"a": TWO, "b": kk.arms(control=3, coaching=1), "c": TWENTIETH}, by="s")
    found = kk.power_at(varied, {"s": np.repeat(list("abc"), [100, 60, 60])}, kk.Mean(sd=1.0), effect=0.7)
    assert doubts(found)


def test_a_rare_outcome() -> None:
    found = kk.power_at(kk.Complete(TWENTIETH), 2000, kk.Proportion(base=0.02), effect=0.04)
    assert any("only 6.0 people of one kind" in text for text in doubts(found))


def test_equal_arms_of_people_raise_no_doubt() -> None:
    for outcome, effect in ((kk.Mean(sd=1.0), 0.3), (kk.Proportion(base=0.3), 0.1)):
        assert not doubts(kk.power_at(kk.Complete(TWO), 400, outcome, effect=effect))
        assert not doubts(kk.detectable_effect(kk.Complete(TWO), 400, outcome))
        assert not doubts(kk.sample_size(kk.Complete(TWO), outcome, effect=effect))


def test_arguments_of_another_kind_are_refused() -> None:
    with pytest.raises(DesignError, match="contrast must be the name of an arm"):
        kk.power_at(kk.Complete(TWO), 100, kk.Mean(sd=1.0), effect=1, contrast=5)  # type: ignore[arg-type]
    register, world = {"y": [float(i % 7) for i in range(40)]}, kk.Shift("y")
    with pytest.raises(DesignError, match=r"effects is float; give a sequence of effects"):
        kk.simulate_power(kk.Complete(TWO), register, world, effects=1.0, seed=1)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="the world must give finite outcomes of shape"):
        kk.simulate_power(kk.Complete(TWO), register, Words(), effects=(1.0,), draws=2, seed=1)


class Words:
    """A world that gives text."""

    def outcomes(self, stream: object) -> object:
        return "abc"
