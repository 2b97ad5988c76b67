"""Small blocks: blkvar's hybrid and all-block variances, through an adopted stratified allocation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from comparisons.common import Case, close, table_of
from kokeilu.errors import EstimationError

SKIPPED: dict[str, str] = {}
METHODS = {
    "hybrid_m": "hybrid_m",
    "hybrid_p": "hybrid_p",
    "plug_in_big": "plug_in",
    "rct_yes_all": "all",
    "rct_yes_mod_all": "all_modified",
}


def run(case: Case) -> None:
    """Compare the effect and its variance; where the peer has none, ours must refuse and say why."""
    frame = _blocks(case)
    by = frame.groupby("blk")["treat"].agg(["sum", "size"])
    shares = {
        str(key): kk.arms(control=int(row["size"] - row["sum"]), treated=int(row["sum"])) for key, row in by.iterrows()
    }
    design = kk.Stratified(shares, by="blk")
    register = frame[["person", "blk", "treat"]]
    trial = kk.adopt(register, arm="treat", design=design, id="person", labels={0: "control", 1: "treated"})
    estimator = kk.DifferenceInMeans(small=METHODS[case["inputs"]["method"]])
    if case["results"]["var_est"] is None:
        with pytest.raises(EstimationError, match="hybrid_m has no variance here"):
            kk.estimate_effects(trial, frame, "y", estimator=estimator)
        assert kk.estimate_effects(trial, frame, "y")[0].value == pytest.approx(case["results"]["ATE_hat"], rel=1e-9)
        return
    found = kk.estimate_effects(trial, frame, "y", estimator=estimator)[0]
    close(case, found.value, case["results"]["ATE_hat"])
    close(case, found.error**2, case["results"]["var_est"])


def _blocks(case: Case) -> pd.DataFrame:
    frame = table_of(case)
    if "penn600" in case["id"]:
        frame = frame.sort_values("id").iloc[:600]
        i = np.arange(600)
        frame = frame.assign(
            treat=(frame["tg"] == 4).astype(int),
            re78=frame["inuidur1"],
            blk=np.where(i < 240, i // 3, 1000 + (i - 240) // 6),
        )
        frame = frame[frame.groupby("blk")["treat"].transform("nunique") == 2]
    return frame.assign(y=frame["re78"].astype(float), person=range(len(frame)), blk=frame["blk"].astype(str))
