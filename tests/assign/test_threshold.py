"""Threshold blocks as a design: least size, exact shares, strata, and every law of mechanisms."""

from __future__ import annotations

import numpy as np
import pytest

import kokeilu as kk
from kokeilu._kernels.streams import Seed
from kokeilu.core.lottery import cells_of
from kokeilu.core.register import read_register
from kokeilu.errors import DesignError
from kokeilu.testing import mechanism_laws

SMALL = {
    "id": [5, 3, 9, 1, 7, 2, 8],
    "region": ["n", "n", "s", "s", "s", "w", "n"],
    "age": [30.0, 31.0, 50.0, 51.0, 29.0, 40.0, 30.0],
    "income": [1.0, 5.0, 2.0, 2.0, 9.0, 3.0, 1.0],
    "trade": ["wood", "wood", "steel", "steel", "wood", "care", "wood"],
}
HALVES, THIRDS = kk.arms(control=1, coaching=1), kk.arms(control=1, coach=1, voucher=1)

INSTANCES = [
    (kk.ThresholdBlocks(HALVES, on=("age", "income")), SMALL),
    (kk.ThresholdBlocks(HALVES, on=("age", "trade"), by="region"), SMALL),
    (kk.ThresholdBlocks(THIRDS, on="age", distance="rank"), SMALL),
    (kk.ThresholdBlocks(kk.arms(control=1, coaching=3), on="income", min_size=2, leftovers="stratum"), SMALL),
]


@pytest.mark.parametrize(
    ("law", "mechanism", "register"), mechanism_laws(INSTANCES), ids=lambda v: getattr(v, "__name__", "")
)
def test_law_holds(law, mechanism, register):
    law(mechanism, register)


def bound(mechanism, register):
    return mechanism.bind(read_register(register, mechanism, id="id")[0])


def test_every_block_has_the_least_size_stays_in_its_stratum_and_totals_are_balanced():
    x = Seed.of("threshold").stream("x").doubles(500, 3)
    register = {"id": np.arange(500), "a": x[:, 0], "b": x[:, 1], "region": (x[:, 2] * 4).astype(int)}
    lottery = bound(kk.ThresholdBlocks(HALVES, on=("a", "b"), by="region", min_size=4), register)
    blocks = cells_of(lottery).strata
    assert np.bincount(blocks).min() >= 4
    assert (np.diff(np.unique(np.stack([blocks, register["region"]]), axis=1)[0]) == 1).all()
    codes = lottery.draw(Seed.of("threshold").stream("draw"), 60)
    assert set((codes == 1).sum(axis=1).tolist()) == {250}
    for row in codes:
        off = np.abs(np.bincount(blocks, weights=row) - np.bincount(blocks) / 2)
        assert off.max() <= 0.5


def test_a_stratum_below_the_least_size_is_one_block():
    register = {"id": list(range(7)), "x": [1.0, 2, 3, 4, 5, 6, 7], "region": list("aaaaabb")}
    lottery = bound(kk.ThresholdBlocks(HALVES, on="x", by="region", min_size=3), register)
    assert cells_of(lottery).strata.tolist() == [0, 0, 0, 0, 0, 1, 1]


def test_the_least_size_is_by_default_the_denominator_of_the_shares():
    assert kk.ThresholdBlocks(THIRDS, on="x").min_size == 3
    assert kk.ThresholdBlocks(THIRDS, on="x") == kk.ThresholdBlocks(THIRDS, on="x", min_size=3)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"on": ()}, "needs covariates in `on`"),
        ({"on": "x", "min_size": 0}, "min_size must be at least 2"),
        ({"on": "x", "distance": "euclid"}, "distance must be one of"),
    ],
)
def test_contradictions_are_refused(arguments, says):
    with pytest.raises(DesignError, match=says):
        kk.ThresholdBlocks(HALVES, **arguments)


def test_arms_are_needed():
    with pytest.raises(DesignError, match="ThresholdBlocks needs arms"):
        kk.ThresholdBlocks("control", on="x")


def test_blocks_larger_than_the_register_are_refused():
    people = {"id": list(range(10)), "age": list(range(10))}
    design = kk.ThresholdBlocks(kk.arms(control=1, coaching=1), on="age", min_size=40)
    with pytest.raises(DesignError, match="40 or more cannot be made of 10 people"):
        kk.randomise(people, design, id="id", seed="large")
