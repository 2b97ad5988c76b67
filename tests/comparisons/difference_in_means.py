"""Differences in means: estimatr's designs, through adopted allocations."""

from __future__ import annotations

import numpy as np
import pandas as pd

import kokeilu as kk
from comparisons.common import Case, close, table_of
from kokeilu._kernels import moments

SKIPPED: dict[str, str] = {}


def run(case: Case) -> None:
    """Compare estimate, error, degrees of freedom, interval and p-value."""
    frame, given, wanted = table_of(case), case["inputs"], case["results"]
    frame = frame[frame[given["treatment"]].isin([given["control"], given["treated"]])]
    frame = frame.assign(
        person=range(len(frame)),
        y=frame[given["outcome"]].astype(float),
        arm=np.where(frame[given["treatment"]] == given["treated"], "treated", "control"),
    )
    if "weights" in given:
        frame = frame.assign(weight=frame["age"] / 10)
    columns = [given[key] for key in ("blocks", "clusters") if key in given]
    trial = kk.adopt(frame[["person", "arm", *columns]], arm="arm", design=_design(frame, given), id="person")
    weights = "weight" if "weights" in given else None
    found = kk.estimate_effects(trial, frame, "y", estimator=kk.DifferenceInMeans(), weights=weights)[0]
    close(case, found.value, wanted["estimate"])
    close(case, found.error, wanted["std.error"])
    if case["id"] in FEWER_DEGREES:
        _peers_degrees(case, frame, given, found.dof)
        return
    close(case, float(found.dof or np.nan), wanted["df"])
    close(case, found.p_value(), wanted["p.value"])
    low, high = found.interval(1 - wanted["alpha"])
    close(case, low, wanted["conf.low"])
    close(case, high, wanted["conf.high"])


# The peer counts units less two per block; with few of them in a cell its tests reject too often (tests/calibration),
# so that here Satterthwaite's rule is taken, and the peer's number is checked at the kernel.
FEWER_DEGREES = {"dim_blockclustered_colombia_super"}


def _peers_degrees(case: Case, frame: pd.DataFrame, given: dict[str, str], dof: float | None) -> None:
    strata, clusters = (np.unique(frame[given[key]], return_inverse=True)[1] for key in ("blocks", "clusters"))
    codes = (frame["arm"] == "treated").to_numpy().astype(np.int8)
    table = moments.cluster_cells(frame["y"].to_numpy(), codes, strata, clusters, arm=1, reference=0)
    found = moments.clustered_in_strata(table, np.bincount(strata).astype(float))
    close(case, float(found.value), case["results"]["estimate"])
    close(case, float(np.sqrt(found.variance)), case["results"]["std.error"])
    close(case, float(found.dof), case["results"]["df"])
    assert dof is not None
    assert dof < case["results"]["df"]


def _design(frame: pd.DataFrame, given: dict[str, str]) -> object:
    """The design that the peer's call means, with the numbers as they fell."""
    unit = given.get("clusters", "person")
    units = frame.drop_duplicates(unit)
    if "blocks" in given:
        counts = units.groupby(given["blocks"])["arm"].value_counts().unstack(fill_value=0)
        shares = {
            str(key): kk.arms(control=int(row["control"]), treated=int(row["treated"]))
            for key, row in counts.iterrows()
        }
        base: object = kk.Stratified(shares, by=given["blocks"])
    else:
        total = units["arm"].value_counts()
        base = kk.Complete(kk.arms(control=int(total["control"]), treated=int(total["treated"])))
    return kk.Clustered(base, by=unit) if "clusters" in given else base  # type: ignore[arg-type]
