"""Error rates and coverage of every way of the randomisation test, under true draws (`make calibrate`).

Outcomes are whole weeks, a 2 % event, and heavy-tailed earnings. Each way must reject a true hypothesis of no effect in
about 5 % and hold the constant effect in about 95 %; the studentised statistic must do so when effects differ by person
and average nought.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from calibration.record import record
from kokeilu._kernels.streams import Seed
from kokeilu.core.assignment import Assignment

pytestmark = pytest.mark.calibration

REPLICATIONS, REDRAWS = 1_000, 199
TWO = kk.arms(control=1, coaching=1)

DESIGNS: dict[str, Any] = {
    "complete, a third": kk.Complete(kk.arms(control=2, coaching=1)),
    "stratified": kk.Stratified(TWO, by="region"),
    "pairs": kk.Stratified(TWO, by="pair"),
    "8 clusters": kk.Clustered(kk.Complete(TWO), by="office"),
    "three arms": kk.Stratified(kk.arms(control=2, coaching=1, letter=1), by="region"),
    "2 % treated": kk.Complete(kk.arms(control=49, coaching=1)),
}


@cache
def people(n: int) -> pd.DataFrame:
    at, rng = np.arange(n), np.random.default_rng(n)
    frame = pd.DataFrame({"id": at, "region": at % 4, "pair": at // 2, "office": at * 8 // n})
    frame["weeks"] = np.minimum(rng.geometric(0.06, n), 27) + frame["region"]
    frame["event"] = (rng.uniform(size=n) < 0.02).astype(float)
    frame["earnings"] = np.exp(1.2 * rng.normal(size=n)) * 1_000
    frame["mixed"] = frame["weeks"]
    return frame


CASES = [
    ("complete, a third", "weeks", "exact", False, 150),
    ("stratified", "weeks", "exact", False, 160),
    ("pairs", "weeks", "exact", False, 100),
    ("8 clusters", "weeks", "auto", False, 240),
    ("three arms", "weeks", "exact", False, 160),
    ("2 % treated", "weeks", "exact", False, 500),
    ("complete, a third", "weeks", "counts", True, 300),
    ("stratified", "weeks", "counts", True, 300),
    ("three arms", "weeks", "counts", True, 300),
    ("complete, a third", "event", "counts", True, 1_500),
    ("2 % treated", "weeks", "shuffles", True, 1_000),
    ("complete, a third", "earnings", "shuffles", True, 300),
    ("stratified", "earnings", "shuffles", True, 300),
    ("three arms", "earnings", "shuffles", True, 300),
    ("complete, a third", "mixed", "counts", True, 300),
    ("stratified", "mixed", "redraws", True, 300),
]


@pytest.mark.parametrize(("name", "outcome", "method", "studentise", "n"), CASES)
def test_five_per_cent_reject_and_ninety_five_cover(
    name: str, outcome: str, method: str, studentise: bool, n: int
) -> None:
    frame = people(n)
    start = kk.randomise(frame[["id", "region", "pair", "office"]], DESIGNS[name], id="id", seed="calibration")
    draws = start.lottery.draw(Seed.of(f"{name} {outcome} {method}").stream("draws"), REPLICATIONS)
    rng = np.random.default_rng(1)
    gain = rng.permutation(np.repeat([-4.0, 4.0], [n // 2, n - n // 2]))
    rejected, covered = 0, 0
    for codes in draws:
        assignment = Assignment(
            mechanism=start.mechanism, population=start.population, lottery=start.lottery, codes=codes, seed=None
        )
        table = frame[["id", outcome]]
        if outcome == "mixed":
            table = table.assign(mixed=table["mixed"] + gain * (codes == 1))
        result = kk.randomisation_test(assignment, table, outcome, method=method, studentise=studentise, draws=REDRAWS)
        rejected += result.p_value <= 0.05
        covered += result.interval is None or result.interval[0] <= 0.0 <= result.interval[1]
    rejections, coverage = rejected / REPLICATIONS, covered / REPLICATIONS
    # Few assignments or events leave few attainable levels: such tests may only be too careful.
    coarse = name in ("8 clusters", "2 % treated") or outcome == "event"
    kind = "studentised" if studentise else "raw"
    record(
        topic="randomisation test",
        design=name,
        method=f"{method}, {kind}",
        outcome=outcome,
        replications=REPLICATIONS,
        rejections=rejections,
        coverage=coverage,
        reason="few assignments or events: few levels can be attained, and the test is on the careful side"
        if coarse
        else "",
    )
    assert rejections <= 0.065
    assert coarse or rejections >= 0.035
    assert coverage >= 0.935
