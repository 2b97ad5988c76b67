"""Published trials on which other software gave values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import kokeilu as kk

DATA = Path(__file__).parents[3] / "shared" / "reference" / "data"


@pytest.fixture(scope="module")
def nsw() -> pd.DataFrame:
    """Return the trial with earnings in the four decimals of the reference file."""
    from causaldata import nsw_mixtape

    frame = nsw_mixtape.load_pandas().data
    table = frame.drop(columns="data_id").astype(float).round(4)
    table["u74"], table["u75"] = (table["re74"] == 0) * 1, (table["re75"] == 0) * 1
    table["stratum"] = (2 * table["black"] + table["nodegree"]).astype(int)
    return table.assign(id=range(len(table)), treat=frame["treat"].astype(int))


@pytest.fixture
def nsw_assignment(nsw: pd.DataFrame) -> Callable[..., Any]:
    def adopted(*, stratified: bool) -> Any:
        counts = nsw.groupby("stratum")["treat"].agg(["size", "sum"])
        design: Any = kk.Complete(kk.arms(control=260, training=185))
        if stratified:
            shares = {s: kk.arms(control=int(n - m), training=int(m)) for s, (n, m) in counts.iterrows()}
            design = kk.Stratified(shares, by="stratum")
        return kk.adopt(nsw, arm="treat", design=design, id="id", labels={0: "control", 1: "training"})

    return adopted


@pytest.fixture(scope="module")
def multiarm() -> pd.DataFrame:
    path = DATA / "balance_multiarm.csv"
    if not path.exists():
        pytest.skip("the reference data set balance_multiarm.csv is not here")
    return pd.read_csv(path)
