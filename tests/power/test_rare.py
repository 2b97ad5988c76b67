"""Rare outcomes: many draws at once give what the estimator gives draw by draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kokeilu as kk
from kokeilu._kernels.streams import Seed
from kokeilu.estimate.effects import by_design
from kokeilu.power.analyses import ByDesign, one_by_one
from kokeilu.power.people import People

THREE = {"control": 1, "coaching": 1, "letter": 1}


@pytest.mark.parametrize(
    ("people", "events", "arms", "by"),
    [
        (400, 15, {"control": 1, "coaching": 1}, ()),
        (400, 15, {"control": 3, "coaching": 1}, ()),
        (300, 20, {"control": 1, "coaching": 1}, "area"),
        (300, 8, {"control": 9, "coaching": 1}, ()),
        (300, 12, THREE, ()),
        (400, 60, {"control": 1, "coaching": 1}, ()),
    ],
)
def test_many_draws_at_once_are_those_one_by_one(people: int, events: int, arms: dict[str, int], by: Any) -> None:
    table = {"id": list(range(people)), "area": [i % 3 for i in range(people)]}
    design = kk.Stratified(kk.arms(**arms), by=by) if by else kk.Complete(kk.arms(**arms))
    trial = kk.randomise(table, design, id="id", seed="rare")
    known = People.of(trial.lottery, ((1, 0),), Seed.of("rare").stream("people"))
    y = (np.random.default_rng(1).permutation(people) < events).astype(float)
    codes = trial.lottery.draw(Seed.of("rare").stream("draws"), 40)
    together, apart = ByDesign().drawn(known, y, codes, (1, 0)), one_by_one(by_design, known, y, codes, (1, 0))
    for many, single in zip(together, apart, strict=True):
        np.testing.assert_allclose(many, single, rtol=1e-10, atol=1e-12)
