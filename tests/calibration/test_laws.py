"""Marginal and pairwise frequencies over 20,000 seeds against the stated law of each mechanism (`make calibrate`).

Each seed is a draw of its own, from the stream that `randomise` uses. A probability that the law gives exactly must be
met within Monte Carlo error: the largest standardised deviation over all people and arms (and over the pairs looked
at) is compared with what that many normal deviates reach once in 10,000 times.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import kokeilu as kk
from calibration.record import record_deviation
from kokeilu._kernels.streams import Seed
from kokeilu.core.assignment import DRAW_STREAM

pytestmark = pytest.mark.calibration

SPEC = importlib.util.spec_from_file_location("designs", Path(__file__).parents[1] / "designs.py")
designs: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(designs)

SEEDS = 20_000
PEOPLE = 36
PAIRS = 40


@cache
def case(name: str) -> tuple[kk.Assignment, Any]:
    """Return an assignment of 36 people and the codes of 20,000 seeds."""
    drawn = kk.randomise(designs.register(PEOPLE), designs.DESIGNS[name], id="id", seed="law")
    codes = [drawn.lottery.draw(Seed.of(seed).stream(DRAW_STREAM), 1)[0] for seed in range(SEEDS)]
    return drawn, np.stack(codes)


def deviations(found: Any, stated: Any, error: float) -> Any:
    """Return deviations in standard errors; an impossible or a certain event must be just that."""
    spread = np.sqrt(stated * (1 - stated) / SEEDS + error**2)
    sure = spread < 1e-9
    assert np.abs(found - stated)[sure].max(initial=0.0) < 1e-9
    return (np.abs(found - stated) / np.where(sure, 1.0, spread))[~sure]


def judge(found: Any, stated: Any, error: float, *, name: str = "", what: str = "") -> None:
    off = deviations(found, stated, error)
    limit = stats.norm.isf(1e-4 / 2 / max(off.size, 1))
    if name:
        record_deviation(
            topic="laws of draws",
            design=name,
            what=f"{what} against the stated law, in Monte Carlo errors: the largest of {off.size:,}",
            replications=SEEDS,
            found=float(off.max(initial=0.0)),
            allowed=float(limit),
        )
    assert off.max(initial=0.0) <= limit, f"{off.max():.2f} standard errors of {limit:.2f} allowed"


@pytest.mark.parametrize("name", designs.DESIGNS)
def test_marginal_frequencies(name):
    drawn, codes = case(name)
    law = kk.law(drawn)
    found = np.stack([(codes == arm).mean(axis=0) for arm in range(len(drawn.arms))], axis=1)
    judge(found, law.marginals, law.error, name=name, what="one person's chances")


@pytest.mark.parametrize("name", designs.DESIGNS)
def test_pairwise_frequencies(name):
    drawn, codes = case(name)
    law, arms = kk.law(drawn), len(drawn.arms)
    words = Seed.of("pairs").stream(name).words(1, 2 * PAIRS)[0] % np.uint64(PEOPLE)
    pairs = [(int(i), int(j)) for i, j in words.reshape(-1, 2) if i != j]
    strata = [tuple(np.flatnonzero(law.strata == law.strata[i])[:2].tolist()) for i in range(0, PEOPLE, 6)]
    pairs += [pair for pair in strata if len(pair) == 2]
    wide = codes.astype(np.int64)
    found = [np.bincount(wide[:, i] * arms + wide[:, j], minlength=arms**2) / SEEDS for i, j in pairs]
    stated = [law.joint(i, j).ravel() for i, j in pairs]
    judge(np.stack(found), np.stack(stated), law.pair_error, name=name, what="chances of two people")


def test_a_wrong_law_is_found():
    drawn, codes = case("Stratified")
    found = np.bincount(codes[:, 0].astype(np.int64) * 2 + codes[:, 3], minlength=4) / SEEDS
    assert kk.law(drawn).strata[0] == kk.law(drawn).strata[3]
    judge(found, kk.law(drawn).joint(0, 3).ravel(), 0.0)
    with pytest.raises(AssertionError, match="standard errors of"):
        judge(found, np.full(4, 0.25), 0.0)
    with pytest.raises(AssertionError, match="standard errors of"):
        judge(found + 0.02, kk.law(drawn).joint(0, 3).ravel(), 0.0)
