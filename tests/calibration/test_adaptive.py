"""Error rates of the default estimate where shares follow earlier outcomes (`make calibrate`)."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import kokeilu as kk
from kokeilu._kernels.streams import Seed
from kokeilu.errors import EstimationError

SPEC = importlib.util.spec_from_file_location("record", Path(__file__).with_name("record.py"))
kept: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(kept)

pytestmark = pytest.mark.calibration

REPLICATIONS, LEVEL = 800, 0.05
CAREFUL = "with fewer than 100 people of an arm in a wave the larger of two variances is taken"
LARGEST_RATE = float(stats.binom.ppf(0.999, REPLICATIONS, 0.055)) / REPLICATIONS


def trial(size: int, waves: int, floor: str):
    """Return a view and a lottery of waves, ready to be given outcomes and draws."""
    n = size * waves
    table = {"id": list(range(n)), "wave": (np.arange(n) // size).tolist(), "came": ["0"] * n}
    design = kk.Adaptive(kk.arms(letter=1, call=1), outcome="came", floor=floor)
    drawn = kk.randomise(table, design, id="id", seed="calibration")
    # By symmetry of the arms, which spares the replays.
    drawn.lottery.__dict__["_shares"] = (np.full((waves, 2), 0.5), np.zeros((waves, 2)))
    return kk.align(drawn, {"id": table["id"], "y": (np.arange(n) % 3).tolist()}, "y"), drawn.lottery


@pytest.mark.parametrize(
    ("start", "end", "effect"), [(0.5, 0.5, 0.0), (0.1, 0.1, 0.0), (0.2, 0.8, 0.0), (0.3, 0.3, 0.3)]
)
@pytest.mark.parametrize(
    ("size", "waves", "floor"), [(20, 3, "1/10"), (20, 8, "1/5"), (100, 4, "1/20"), (400, 3, "1/10")]
)
def test_intervals_cover_the_effect(size, waves, floor, start, end, effect):
    view, lottery = trial(size, waves, floor)
    words, draws = Seed.of("worlds").stream("luck"), Seed.of("worlds").stream("draws")
    wave = np.arange(size * waves) // size
    chance = start + (end - start) * wave / (waves - 1)
    missed = made = 0
    for number in range(REPLICATIONS):
        luck = words.skip(number).doubles(1, size * waves)[0]
        potential = np.stack([luck < chance, luck < chance + effect], axis=1).astype(int)
        codes = lottery.with_outcomes(potential).draw(draws.skip(number), 1)[0]
        y = np.take_along_axis(potential, codes[:, None].astype(int), axis=1)[:, 0].astype(float)
        try:
            found = kk.DifferenceInMeans().estimate(replace(view, y=y, codes=codes))[0]
        except EstimationError:
            continue
        low, high = found.interval()
        made += 1
        missed += not low <= (potential[:, 1] - potential[:, 0]).mean() <= high
    kept.record(
        topic="adaptive waves",
        design=f"{waves} waves of {size}, floor {floor}",
        method="difference in means within waves",
        outcome=f"{start:.0%} to {end:.0%}, effect {effect:.0%}",
        replications=made,
        rejections=None if effect else missed / made,
        coverage=1 - missed / made,
        reason=CAREFUL,
    )
    assert made > 0.95 * REPLICATIONS
    assert missed / made <= LARGEST_RATE
