"""Error rates of the wild cluster bootstrap: few clusters, uneven ones, pairs, strata (`make calibrate`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from calibration.record import record
from kokeilu._kernels.streams import Seed

pytestmark = pytest.mark.calibration

REPLICATIONS, LEVEL = 2_000, 0.05
TWO = kk.arms(control=1, coaching=1)


@dataclass(frozen=True)
class Setting:
    clusters: int
    uneven: float = 0.0
    strata: int = 1
    share: int = 1
    heavy: bool = False
    bootstrap: kk.WildClusterBootstrap = kk.WildClusterBootstrap(draws=399)  # noqa: RUF009


JACKKNIFE = kk.WildClusterBootstrap(draws=399, jackknife=True)
SETTINGS = {
    "8 clusters": Setting(8),
    "12 clusters": Setting(12),
    "12 uneven clusters, type 31": Setting(12, uneven=0.7, bootstrap=JACKKNIFE),
    "24 clusters, heavy tails": Setting(24, heavy=True),
    "30 uneven clusters": Setting(30, uneven=0.7),
    "30 uneven clusters, type 31": Setting(30, uneven=0.7, bootstrap=JACKKNIFE),
    "40 clusters, one in four treated": Setting(40, share=3),
    "24 clusters in 6 strata": Setting(24, strata=6),
    "24 clusters in 12 pairs": Setting(24, strata=12),
}


def people(one: Setting) -> pd.DataFrame:
    rng = np.random.default_rng([one.clusters, one.strata])
    size = np.maximum(3, np.round(15 * np.exp(one.uneven * rng.normal(size=one.clusters)))).astype(int)
    office = np.repeat(np.arange(one.clusters), size)
    return pd.DataFrame({"id": np.arange(office.size), "office": office, "area": office % one.strata})


def outcome(one: Setting, table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Outcomes drawn anew: few clusters have few assignments, and the bootstrap speaks of clusters yet to come."""
    noise = rng.standard_t(3, size=len(table)) if one.heavy else rng.normal(size=len(table))
    shared = 0.5 * rng.normal(size=one.clusters)[table["office"]]
    return table.assign(y=shared + 0.7 * table["area"] / one.strata + noise)


@pytest.mark.parametrize("name", SETTINGS)
def test_error_rates_and_coverage(name: str) -> None:
    one = SETTINGS[name]
    table = people(one)
    arms = kk.arms(control=one.share, coaching=1)
    inner: Any = kk.Stratified(arms, by="area") if one.strata > 1 else kk.Complete(arms)
    start = kk.randomise(table, kk.Clustered(inner, by="office"), id="id", seed=f"wild {name}")
    rng = np.random.default_rng(sorted(SETTINGS).index(name))
    rejected, covered = [], []
    for row, codes in enumerate(start.lottery.draw(start.stream("replications"), REPLICATIONS)):
        drawn = replace(start, codes=codes, seed=Seed.of(f"{name} {row}"))
        found = kk.wild_cluster_test(drawn, outcome(one, table, rng), "y", bootstrap=one.bootstrap)
        rejected.append(found.p_value <= LEVEL)
        covered.append(found.interval is None or found.interval[0] <= 0.0 <= found.interval[1])
    rate, coverage = float(np.mean(rejected)), float(np.mean(covered))
    record(
        topic="wild cluster bootstrap",
        design=name,
        method=f"WCR, type {'31' if one.bootstrap.jackknife else '11'}",
        outcome="heavy-tailed" if one.heavy else "normal",
        replications=REPLICATIONS,
        rejections=rate,
        coverage=coverage,
    )
    assert rate <= 0.065, (rate, coverage)
    assert rate >= 0.02, (rate, coverage)
    assert coverage >= 0.935
