"""One instance of every registered mechanism on one register, for the tests that go over all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import kokeilu as kk
from kokeilu import assign  # noqa: F401  (registers the mechanisms)
from kokeilu._kernels.streams import Seed
from kokeilu.core.registry import registered

TWO, THREE = kk.arms(control=1, coaching=1), kk.arms(control=2, coaching=1, letter=1)
BY_REGION = kk.Stratified(TWO, by="region")

DESIGNS: dict[str, Any] = {
    "Adaptive": kk.Adaptive(TWO, outcome="came", wave="month", floor="1/5", grid=20),
    "Adaptive in strata": kk.Adaptive(
        TWO, outcome="came", wave="month", by="region", rule="tempered", gamma="1/2", floor="1/4", grid=8
    ),
    "Bernoulli": kk.Bernoulli(TWO),
    "CapacityLottery": kk.CapacityLottery({"N": 9, "S": 14, "W": 10}, by="region"),
    "CapacityLottery with priorities": kk.CapacityLottery(10, by="region", priority={"group": ("b", "a")}),
    "CapacityLottery, some by law": kk.Fixed(
        kk.CapacityLottery(10, by="region"), column="by_law", values={"coaching": "offered", "control": "waiting list"}
    ),
    "Clustered": kk.Clustered(BY_REGION, by="office"),
    "Complete": kk.Complete(THREE),
    "Factorial": kk.Factorial({"coach": kk.arms(no=1, yes=1), "voucher": kk.arms(no=1, yes=1)}),
    "Fixed": kk.Fixed(BY_REGION, column="by_law"),
    "GramSchmidtWalk": kk.GramSchmidtWalk(TWO, on=("age", "earnings")),
    "MatchedTuples": kk.MatchedTuples(TWO, on=("age", "earnings"), by="region"),
    "MatchedTuples on a score": kk.MatchedTuples(THREE, score="earnings"),
    "Merged": kk.Merged(kk.Complete(THREE), into={"control": ["control"], "contacted": ["coaching", "letter"]}),
    "Rerandomised": kk.Rerandomised(kk.Complete(TWO), on=("age", "earnings"), accept=0.1),
    "Rerandomised, best of several": kk.Rerandomised(kk.Complete(TWO), on=("age", "earnings"), draws=20),
    "Rerandomised, unequal": kk.Rerandomised(kk.Complete(kk.arms(control=2, coaching=1)), on=("age",), accept=0.2),
    "Saturation": kk.Saturation(TWO, levels=(0, 0.5, 1), area="office"),
    "SteppedWedge": kk.SteppedWedge(("March", "September", "never"), cluster="office"),
    "Stratified": BY_REGION,
    "StratifiedByQuantiles": kk.StratifiedByQuantiles(TWO, on={"age": 3}),
    "ThresholdBlocks": kk.ThresholdBlocks(TWO, on=("age", "earnings"), min_size=4),
    "Waves": kk.Waves(BY_REGION, wave="month"),
}


def register(n: int = 72) -> pd.DataFrame:
    """Return people in 12 offices of 3 regions, 3 months of intake, with covariates and an earlier outcome."""
    step = np.arange(n)
    noise = Seed.of("register of all designs").stream("noise").doubles(3, n)
    office = step % 12
    return pd.DataFrame(
        {
            "id": 7 * step[::-1] + 3,
            "office": [f"office {k:02d}" for k in office],
            "region": np.array(["N", "S", "W"])[office % 3],
            "month": 1 + (step * 3) // n,
            "group": np.where(noise[0] < 0.3, "b", "a"),
            "by_law": np.where(step % 18 == 4, "coaching", np.where(step % 18 == 9, "control", "drawn")),
            "age": 20 + np.floor(40 * noise[1]),
            "earnings": np.round(900 + 800 * noise[2] + 100 * (office % 3), 2),
            "came": (noise[0] + noise[2] > 1).astype(int),
        }
    )


def mechanism_names() -> set[str]:
    """Return the names of the registered classes that are mechanisms."""
    return {
        cls.__name__
        for cls in registered().values()
        if cls.__module__.startswith("kokeilu.") and all(hasattr(cls, m) for m in ("bind", "columns", "describe"))
    }


def uncovered() -> set[str]:
    """Return the registered mechanisms that the table lacks."""
    covered = {type(design).__name__ for design in DESIGNS.values()}
    return mechanism_names() - covered
