"""Family-wise error of the step-down tests with several arms, of which one does something (`make calibrate`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from calibration.record import record
from kokeilu._kernels.streams import Seed

pytestmark = pytest.mark.calibration

REPLICATIONS, LEVEL, N = 1_200, 0.05, 240
THREE = kk.arms(control=2, coaching=1, letter=1)
OUTCOMES = ("earnings", "rare", "score")
DESIGNS = {
    "complete": kk.Complete(THREE),
    "stratified": kk.Stratified(THREE, by="area"),
    "clustered": kk.Clustered(kk.Complete(THREE), by="office"),
}
TIES = "p-values of 299 redraws are often tied, and ties count: conservative"
FAMILIES = (kk.RomanoWolf(draws=299), kk.WestfallYoung(draws=299))


def people() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    office = np.arange(N) % 40
    shared = 0.3 * rng.normal(size=40)[office]
    table = pd.DataFrame({"id": np.arange(N), "office": office, "area": office % 4})
    table["earnings"] = np.exp(rng.normal(size=N) + shared)
    table["rare"] = (rng.uniform(size=N) < 0.08).astype(float)
    table["score"] = rng.normal(size=N) + shared
    return table


def changed(table: pd.DataFrame, codes: np.ndarray, effect: bool) -> pd.DataFrame:
    """Coaching doubles earnings of half of the people, which also spreads them; the letter does nothing."""
    coached = (codes == 1) & (np.arange(N) % 2 == 0) & effect
    return table.assign(earnings=table["earnings"] * np.where(coached, 2.0, 1.0))


@pytest.mark.parametrize("effect", [False, True], ids=["no effect", "one arm works"])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: type(family).__name__)
@pytest.mark.parametrize("name", DESIGNS)
def test_family_wise_error(name: str, family: Any, effect: bool) -> None:
    table = people()
    start = kk.randomise(table[["id", "office", "area"]], DESIGNS[name], id="id", seed=f"family {name}")
    false = []
    for row, codes in enumerate(start.lottery.draw(start.stream("replications"), REPLICATIONS)):
        drawn = replace(start, codes=codes, seed=Seed.of(f"{name} {row}"))
        found = kk.family_test(drawn, changed(table, codes, effect), OUTCOMES, family=family)
        real = {("earnings", "coaching")} if effect else set()
        false.append(any(m.adjusted_p <= LEVEL for m in found.members if (m.outcome, m.arm) not in real))
    rate = float(np.mean(false))
    record(
        topic="family-wise error",
        design=f"{name}, 2 arms x 3 outcomes",
        method=type(family).__name__,
        outcome="one arm works" if effect else "no effect",
        replications=REPLICATIONS,
        rejections=rate,
        reason=TIES if isinstance(family, kk.WestfallYoung) else "",
    )
    assert rate <= 0.065
