"""Regression under true randomisation: error rates and coverage where they are hard (`make calibrate`).

No arm touches the outcome, so that every rejection is false and every interval should hold nought.
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
from kokeilu.core.view import View

pytestmark = pytest.mark.calibration

REPLICATIONS = 1_000
TWO, THREE = kk.arms(control=1, coaching=1), kk.arms(control=1, coaching=1, letter=1)


def people(n: int, offices: int, regions: int, *, unequal: float = 0.0) -> pd.DataFrame:
    """Return people in offices in regions, with outcomes correlated within offices and regions, and two covariates."""
    rng = np.random.default_rng([n, offices, regions])
    share = np.exp(unequal * rng.normal(size=offices))
    office = np.sort(np.concatenate([np.arange(offices), rng.choice(offices, n - offices, p=share / share.sum())]))
    frame = pd.DataFrame({"id": np.arange(n), "office": office, "region": office * regions // offices})
    frame["adviser"] = rng.integers(0, 30, n)
    frame["x"], frame["z"] = rng.normal(size=n), np.exp(rng.normal(size=n))
    noise = np.exp(0.5 * rng.normal(size=n)) + 0.4 * rng.normal(size=offices)[office]
    frame["y"] = noise + 0.5 * frame["region"] + 0.5 * frame["x"] + 0.3 * rng.normal(size=30)[frame["adviser"]]
    return frame


@dataclass(frozen=True)
class Setting:
    design: Any
    table: Callable[[], pd.DataFrame]
    estimator: kk.Regression
    replications: int = REPLICATIONS


def in_offices(inner: Any) -> Any:
    return kk.Clustered(inner, by="office")


SETTINGS = {
    "8 clusters": Setting(in_offices(kk.Complete(TWO)), lambda: people(400, 8, 1, unequal=0.3), kk.Regression()),
    "20 clusters, covariate": Setting(
        in_offices(kk.Complete(TWO)),
        lambda: people(600, 20, 1, unequal=0.3),
        kk.Regression(covariates=("x",), interacted=False),
    ),
    "40 clusters in strata": Setting(
        in_offices(kk.Stratified(TWO, by="region")),
        lambda: people(800, 40, 4, unequal=0.5),
        kk.Regression(),
    ),
    "20 pairs of clusters": Setting(
        in_offices(kk.Stratified(TWO, by="region")), lambda: people(800, 40, 20, unequal=0.3), kk.Regression()
    ),
    "20 pairs of clusters, CR1 by pair": Setting(
        in_offices(kk.Stratified(TWO, by="region")),
        lambda: people(800, 40, 20, unequal=0.3),
        kk.Regression(errors="CR1", clusters="strata"),
    ),
    "thin arm, slopes by arm": Setting(
        kk.Complete(kk.arms(control=19, coaching=1)),
        lambda: people(400, 40, 1),
        kk.Regression(covariates=("x", "z")),
    ),
    "thin arm, common slopes": Setting(
        kk.Complete(kk.arms(control=19, coaching=1)),
        lambda: people(400, 40, 1),
        kk.Regression(covariates=("x", "z"), interacted=False),
    ),
    "strata of unlike people, Lin": Setting(
        kk.Stratified(TWO, by="region"), lambda: people(400, 40, 8, unequal=0.5), kk.Regression(covariates=("x", "z"))
    ),
    "30 clusters, CR3": Setting(
        in_offices(kk.Complete(TWO)), lambda: people(600, 30, 1, unequal=0.3), kk.Regression(errors="CR3")
    ),
    "100 clusters, CR1S": Setting(
        in_offices(kk.Complete(TWO)), lambda: people(1_500, 100, 1, unequal=0.1), kk.Regression(errors="stata")
    ),
    "60 clusters, two-way by adviser": Setting(
        in_offices(kk.Complete(TWO)), lambda: people(900, 60, 1), kk.Regression(also_by="adviser")
    ),
}


def views(name: str, setting: Setting) -> tuple[View, Any]:
    """Return one aligned view, and the draws: the outcome does not depend on the arm."""
    table = setting.table()
    start = kk.randomise(table.drop(columns="y"), setting.design, id="id", seed=f"calibration of regression, {name}")
    spec = setting.estimator
    view = kk.align(start, table, "y", covariates=spec.covariates, groups=spec.groups)
    return view, start.lottery.draw(start.stream("replications"), setting.replications)


@pytest.mark.parametrize("name", SETTINGS)
def test_error_rates_and_coverage(name: str) -> None:
    setting = SETTINGS[name]
    view, draws = views(name, setting)
    p, covers = [], []
    for codes in draws:
        for found in setting.estimator.estimate(replace(view, codes=codes)):
            low, high = found.interval()
            p.append(found.p_value())
            covers.append(low <= 0.0 <= high)
    rejections, coverage = float(np.mean(np.array(p) <= 0.05)), float(np.mean(covers))
    record(
        topic="regression",
        design=name,
        method=f"Regression, errors {setting.estimator.errors!r}",
        outcome="skewed, correlated within offices",
        replications=setting.replications,
        rejections=rejections,
        coverage=coverage,
    )
    assert 0.035 <= rejections <= 0.065, (rejections, coverage)
    assert coverage >= 0.935


def test_weights_for_unlike_shares() -> None:
    """Clusters with chances of one half and one quarter: CR2 with weights 1 / share keeps its level."""
    table = people(900, 60, 2, unequal=0.3)
    rng = np.random.default_rng(5)
    small = kk.randomise(table.drop(columns="y"), in_offices(kk.Stratified(TWO, by="region")), id="id", seed="weights")
    view = kk.align(small, table, "y")
    share = np.where(view.strata == 0, 0.5, 0.25)
    weighted = replace(view, shares=np.column_stack([1 - share, share]))
    first = np.unique(table["office"], return_index=True)[1]
    region = table["region"].to_numpy()[first]
    p = []
    for _ in range(REPLICATIONS):
        chosen = np.zeros(60, dtype=np.int8)
        for stratum, part in ((0, 0.5), (1, 0.25)):
            offices = np.flatnonzero(region == stratum)
            chosen[rng.permutation(offices)[: round(part * offices.size)]] = 1
        codes = chosen[table["office"].to_numpy()]
        p.append(kk.Regression().estimate(replace(weighted, codes=codes))[0].p_value())
    rejections = float(np.mean(np.array(p) <= 0.05))
    record(
        topic="regression",
        design="clusters in two strata with shares of 1/2 and 1/4",
        method="stratum effects, weights 1/share, CR2",
        outcome="skewed, correlated within offices",
        replications=REPLICATIONS,
        rejections=rejections,
    )
    assert 0.035 <= rejections <= 0.065


def test_joint_test_of_three_arms() -> None:
    table = people(720, 24, 1, unequal=0.3)
    start = kk.randomise(table.drop(columns="y"), in_offices(kk.Complete(THREE)), id="id", seed="joint")
    view = kk.align(start, table, "y")
    draws = start.lottery.draw(start.stream("replications"), REPLICATIONS)
    p = [kk.Regression().estimate(replace(view, codes=codes)).joint().p_value for codes in draws]
    rejections = float(np.mean(np.array(p) <= 0.05))
    record(
        topic="regression",
        design="24 clusters, three arms",
        method="Regression, joint test (HTZ)",
        outcome="skewed, correlated within offices",
        replications=REPLICATIONS,
        rejections=rejections,
    )
    assert 0.035 <= rejections <= 0.065
