"""Horvitz-Thompson: estimatr builds a 2n x 2n matrix of probabilities; here the lottery tells them in closed form."""

from __future__ import annotations

import kokeilu as kk
from comparisons.common import Case, close, table_of

SKIPPED: dict[str, str] = {}


def run(case: Case) -> None:
    """Adopt the allocation under the design of the case, and compare estimate, error, interval and p-value."""
    frame, given, wanted = table_of(case), case["inputs"], case["results"]
    if "==" in given["treatment"]:
        frame = frame[frame["treatment"].isin([1, 3])]
        frame = frame.assign(z=(frame["treatment"] == 1).astype(int))
    else:
        frame = frame.assign(z=frame[given["treatment"]])
    frame = frame.assign(person=range(len(frame)), arm=frame["z"].map({0: "control", 1: "treated"}))
    counts = frame["arm"].value_counts()
    arms = kk.arms(control=int(counts["control"]), treated=int(counts["treated"]))
    if given["design"].startswith("simple"):
        design = kk.Bernoulli(arms)
    elif "blocks" in given:
        by = frame.groupby(given["blocks"])["arm"].value_counts().unstack()
        shares = {key: kk.arms(control=int(row["control"]), treated=int(row["treated"])) for key, row in by.iterrows()}
        design = kk.Stratified(shares, by=given["blocks"])
    else:
        design = kk.Complete(arms)
    register = frame[["person", "arm", *([given["blocks"]] if "blocks" in given else [])]]
    trial = kk.adopt(register, arm="arm", design=design, id="person")
    errors = "constant" if given.get("se_type") == "constant" else "Young"
    found = kk.estimate_effects(trial, frame, given["outcome"], estimator=kk.HorvitzThompson(errors=errors))[0]
    close(case, found.value, wanted["estimate"])
    close(case, found.error, wanted["std.error"])
    close(case, found.p_value(), wanted["p.value"])
    low, high = found.interval()
    close(case, low, wanted["conf.low"])
    close(case, high, wanted["conf.high"])
    assert found.dof is None
