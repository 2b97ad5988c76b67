"""Error rates and coverage of means under true randomisation: few clusters, pairs, extreme shares, rare and wild data.

No arm changes anything, so every rejection is false. Where a rare outcome meets a small arm the variance of both arms
together is a floor, which keeps the tests below their level: those settings say so by `least` and `reason`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from calibration.record import record
from kokeilu.errors import EstimationError

pytestmark = pytest.mark.calibration

TWO = kk.arms(control=1, coaching=1)
OFFICES: Any = kk.Clustered(kk.Complete(TWO), by="office")
RARE: Any = kk.Complete(kk.arms(control=19, coaching=1))
EXTREME: Any = kk.Complete(kk.arms(control=173, coaching=2))
FACTORS: Any = kk.Factorial({"coach": TWO, "voucher": kk.arms(no=1, yes=1)})  # type: ignore[arg-type]


def people(n: int, offices: int, zones: int = 1) -> pd.DataFrame:
    """People in offices of uneven sizes, offices in zones."""
    rng = np.random.default_rng([n, offices, zones])
    share = np.exp(0.3 * rng.normal(size=offices))
    office = np.sort(np.concatenate([np.arange(offices), rng.choice(offices, n - offices, p=share / share.sum())]))
    return pd.DataFrame(
        {"id": np.arange(n), "office": office, "zone": office * zones // offices, "score": rng.normal(size=n)}
    )


def skewed(table: pd.DataFrame) -> np.ndarray:
    rng = np.random.default_rng(len(table))
    office = rng.normal(size=table["office"].max() + 1)[table["office"]]
    return np.exp(0.8 * rng.normal(size=len(table))) + 0.4 * office + 0.3 * table["zone"] + 0.5 * table["score"]


def earnings(table: pd.DataFrame) -> np.ndarray:
    """Nought for two fifths, else heavy-tailed."""
    rng = np.random.default_rng(len(table) + 1)
    return np.where(rng.uniform(size=len(table)) < 0.4, 0.0, np.exp(7 + 1.3 * rng.normal(size=len(table))))


def rare(table: pd.DataFrame) -> np.ndarray:
    return (np.random.default_rng(len(table) + 2).uniform(size=len(table)) < 0.02).astype(float)


@dataclass(frozen=True)
class Setting:
    design: Any
    table: Callable[[], pd.DataFrame]
    y: Callable[[pd.DataFrame], np.ndarray]
    estimator: Any = None
    replications: int = 2_000
    least: float = 0.035
    most: float = 0.065
    reason: str = ""


EIGHT = "70 allocations of eight clusters: the level moves in steps, and here stays below"
FLOOR = (
    "a small arm may miss the rare or large values: the variance of both arms together is a floor "
    "(Welch's rejects in up to 35 %)"
)
SETTINGS = {
    "complete, 60 skewed": Setting(kk.Complete(TWO), lambda: people(60, 6), skewed, kk.DifferenceInMeans()),
    "pairs, 40 people": Setting(kk.MatchedTuples(TWO, score="score"), lambda: people(40, 4), skewed),
    "triples 2 : 1, 60 people": Setting(
        kk.MatchedTuples(kk.arms(control=2, coaching=1), score="score"), lambda: people(60, 4), skewed
    ),
    "8 clusters": Setting(OFFICES, lambda: people(400, 8), skewed, least=0.015, reason=EIGHT),
    "8 clusters, Hajek": Setting(OFFICES, lambda: people(400, 8), skewed, kk.Hajek(), least=0.015, reason=EIGHT),
    "30 clusters, Hajek": Setting(OFFICES, lambda: people(600, 30), skewed, kk.Hajek()),
    "60 clusters, Horvitz-Thompson": Setting(OFFICES, lambda: people(900, 60), skewed, kk.HorvitzThompson()),
    "16 pairs of clusters": Setting(
        kk.Clustered(kk.Stratified(TWO, by="zone"), by="office"), lambda: people(640, 32, 16), skewed
    ),
    "12 strata of 3 clusters, hybrid": Setting(
        kk.Clustered(kk.Stratified(TWO, by="zone"), by="office"),
        lambda: people(400, 36, 12),
        skewed,
        kk.DifferenceInMeans(),
    ),
    "4 strata of 10 clusters": Setting(
        kk.Clustered(kk.Stratified(TWO, by="zone"), by="office"), lambda: people(600, 40, 4), skewed
    ),
    "Bernoulli 1/3, Hajek": Setting(
        kk.Bernoulli(kk.arms(control=2, coaching=1)), lambda: people(120, 6), skewed, kk.Hajek()
    ),
    "factors, main effects and interaction": Setting(
        FACTORS, lambda: people(80, 4), skewed, kk.ArmContrasts(FACTORS.effects())
    ),
    "earnings, 2,000 of 175,000": Setting(
        EXTREME, lambda: people(175_000, 50), earnings, replications=1_000, least=0.0, reason=FLOOR
    ),
    "2 %, 2,000 of 175,000": Setting(EXTREME, lambda: people(175_000, 50), rare, replications=1_000),
    "2 %, 500 of 1,000": Setting(
        kk.Complete(TWO),
        lambda: people(1_000, 50),
        rare,
        least=0.01,
        reason="16 events: a test rejects in 2.0 % or in 7.5 %, by the splits that it takes in; the former is taken",
    ),
    "2 %, 2,500 of 5,000": Setting(kk.Complete(TWO), lambda: people(5_000, 50), rare),
    "2 %, 50 of 1,000": Setting(RARE, lambda: people(1_000, 50), rare, least=0.0, reason=FLOOR),
    "earnings, 50 of 1,000": Setting(RARE, lambda: people(1_000, 50), earnings, least=0.0, reason=FLOOR),
    "earnings, 500 of 1,000": Setting(kk.Complete(TWO), lambda: people(1_000, 50), earnings),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_error_rates_and_coverage(name: str) -> None:
    setting = SETTINGS[name]
    table = setting.table()
    y = setting.y(table)
    trial = kk.randomise(table, setting.design, id="id", seed=f"means {name}")
    like = kk.align(trial, {"id": table["id"], "after": y}, "after")
    rejected, covered = [], []
    for row in range(setting.replications):
        codes = trial.lottery.draw(trial.stream("replications").skip(row), 1)[0]
        view = replace(like, codes=codes, assigned=codes)
        chosen = setting.estimator or kk.DifferenceInMeans()
        try:
            found = chosen.estimate(view)
        except EstimationError:
            continue  # a draw that is refused is no rejection, and gives no interval
        rejected += [e.p_value() <= 0.05 for e in found]
        covered += [e.interval()[0] <= 0.0 <= e.interval()[1] for e in found]
    rate, coverage = float(np.mean(rejected)), float(np.mean(covered))
    method = "by the design" if setting.estimator is None else type(setting.estimator).__name__
    record(
        topic="means",
        design=name,
        method=method,
        outcome=setting.y.__name__,
        replications=setting.replications,
        rejections=rate,
        coverage=coverage,
        reason=setting.reason,
    )
    assert setting.least <= rate <= setting.most
    assert coverage >= 0.935


@pytest.mark.parametrize(("clusters", "periods"), [(24, "variance"), (24, "equal"), (12, "variance")])
def test_stepped_wedge(clusters: int, periods: str) -> None:
    rng = np.random.default_rng(clusters)
    design: Any = kk.SteppedWedge(("a", "b", "c", "never"), cluster=None)  # type: ignore[arg-type]
    trial = kk.randomise({"office": list(range(clusters))}, design, id="office", seed="wedge")
    level = rng.normal(size=(clusters, 1)) + rng.normal(size=(clusters, 4)) + np.arange(4)
    office, t = np.divmod(np.arange(level.size), 4)
    table = pd.DataFrame({"office": office, "t": t, "y": np.exp(0.5 * level).ravel()})
    rejected, covered = [], []
    for row in range(1_000):
        one = replace(trial, codes=trial.lottery.draw(trial.stream("replications").skip(row), 1)[0])
        found = kk.stepped_wedge_effects(one, table, "y", period="t", periods=periods)[0]
        rejected.append(found.p_value() <= 0.05)
        covered.append(found.interval()[0] <= 0.0 <= found.interval()[1])
    rate, coverage = float(np.mean(rejected)), float(np.mean(covered))
    record(
        topic="means",
        design=f"stepped wedge, {clusters} clusters in 4 sequences, {periods}",
        method="stepped_wedge_effects",
        outcome="skewed",
        replications=1_000,
        rejections=rate,
        coverage=coverage,
    )
    assert 0.035 <= rate <= 0.065
    assert coverage >= 0.935
