"""Blocks and sites."""

from __future__ import annotations

import math

import pytest

import kokeilu as kk
from kokeilu.errors import DesignError

EVEN = kk.Complete(kk.arms(control=1, coaching=1))

BLOCKED = kk.Stratified(EVEN.arms, by="block")


def test_effects_of_blocks_cost_what_they_know() -> None:
    """Constant, own, and a sample of blocks: ever fewer degrees of freedom, and the spread of the sample's effects."""
    found = {
        kind: kk.power_at(BLOCKED, kk.Blocks(count=12, size=20, effects=kind), kk.Mean(sd=1.0), effect=0.3)
        for kind in ("constant", "fixed", "random")
    }
    assert [found[kind].dof for kind in found] == [12 * 19 - 1, 12 * 18, 11]
    assert found["constant"].error == found["fixed"].error == pytest.approx(math.sqrt(4 / 240))
    spread = kk.Blocks(count=12, size=20, effects="random", icc=0.2, effect_ratio=0.5, effect_r2=0.1)
    parts = kk.power_at(BLOCKED, spread, kk.Mean(sd=1.0), effect=0.3).parts
    assert parts == pytest.approx({"people": 0.8 * 4 / 240, "blocks": 0.2 * 0.5 * 0.9 / 12})


def test_only_the_two_arms_and_those_seen_count() -> None:
    three = kk.Stratified(kk.arms(control=1, letter=1, coaching=1), by="block")
    found = kk.power_at(
        three, kk.Blocks(count=5, size=30), kk.Mean(sd=1.0), effect=0.3, reality=kk.Reality(attrition=0.2)
    )
    assert found.dof == pytest.approx(150 * 2 / 3 * 0.8 - 10)
    assert found.n == 150


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: kk.Blocks(count=3, size=9, icc=0.1), "belong to effects='random'"),
        (lambda: kk.Blocks(count=0, size=9), "count of Blocks must lie"),
        (lambda: kk.Sites(count=9, blocks=2, size=9, site_icc=0.6, block_icc=0.4), "site_icc \\+ block_icc"),
        (lambda: kk.power_at(BLOCKED, kk.Blocks(count=3, size=9), kk.Mean(sd=1.0, icc=0.1), effect=1), "leave icc out"),
    ],
)
def test_blocks_that_cannot_be(ask, says: str) -> None:
    with pytest.raises(DesignError, match=says):
        ask()
