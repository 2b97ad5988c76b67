"""sreg: adjustment within strata, large and small. Where it leaves out people of the other arms, they are added."""

from __future__ import annotations

import numpy as np
import pandas as pd

import kokeilu as kk
from comparisons.common import Case, close, table_of
from kokeilu._kernels import superpopulation as kernel

SKIPPED: dict[str, str] = {}


def run(case: Case) -> None:
    table, arm, outcome = _frame(case)
    names = tuple(sorted(set(table[arm])))
    shares = kk.arms(**dict.fromkeys(names, 1))
    by = None if case["id"] == "sreg_aej_nostrata" else "S"
    design = kk.Complete(shares) if by is None else kk.Stratified(shares, by=by)
    table = table.assign(row=np.arange(len(table)))
    assignment = kk.adopt(table, arm=arm, design=design, id="row", counts="realised")
    covariates = tuple(case["inputs"].get("X", ()))
    small = case["inputs"].get("small.strata", False)
    estimator = kk.StratifiedRegression(
        covariates=covariates,
        errors="HC1" if case["inputs"]["HC1"] else "HC0",
        strata="small" if small else "large",
        order="S" if small else None,
    )
    found = kk.estimate_effects(assignment, table, outcome, estimator=estimator)
    results = {name: np.atleast_1d(values) for name, values in case["results"].items()}
    for place, estimate in enumerate(found):
        close(case, estimate.value, results["tau.hat"][place])
        left_out = _left_out(table, outcome, arm, names[place + 1], covariates)
        wanted = np.sqrt(results["se.rob"][place] ** 2 + left_out)
        close(case, estimate.error, wanted)
        if left_out == 0.0:
            close(case, estimate.statistic, results["t.stat"][place])
            close(case, estimate.p_value(), results["p.value"][place], rtol=1e-8)
            close(case, estimate.interval()[0], results["CI.left"][place], rtol=1e-8)
            close(case, estimate.interval()[1], results["CI.right"][place], rtol=1e-8)


def _left_out(table: pd.DataFrame, outcome: str, arm: str, name: str, covariates: tuple[str, ...]) -> float:
    """What people of the other arms add to the variance through mu_a - mu_0: part of the estimate, not of sreg's."""
    if not covariates:
        return 0.0
    codes = table[arm].to_numpy()
    place = np.where(codes == name, 0, np.where(codes == codes.min(), 1, -1))
    strata = np.unique(table["S"], return_inverse=True)[1]
    x, y = table[list(covariates)].to_numpy(dtype=float), table[outcome].to_numpy(dtype=float)
    slopes = kernel.adjusted(x - x.mean(axis=0), y, place, strata, common=False)
    added = kernel.cellwise(y, place, strata, slopes.values).others / y.size
    assert added > 0.0
    return added


def _frame(case: Case) -> tuple[pd.DataFrame, str, str]:
    table = table_of(case)
    if case["dataset"] == "aejapp.csv":
        table = table.assign(D="a" + table["treatment"].replace(3, 0).astype(str), S=table["class_level"])
        return table, "D", "gradesq34"
    if case["dataset"] == "penn.csv":
        return table.assign(D="a" + table["tg"].astype(str), S=table["quarter"]), "D", "inuidur1"
    clusters = table.groupby(["b_pair", "b_block"]).agg(y=("dayscorab", "mean"), z=("b_treat", "first")).reset_index()
    clusters = clusters.assign(S=np.unique(clusters["b_pair"], return_inverse=True)[1] + 1)
    clusters = clusters[clusters["S"] <= 28]
    return clusters.assign(D="a" + clusters["z"].astype(str)), "D", "y"
