"""RobinCar2: standardised means under simple and permuted-block draws. Survival belongs to another topic."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

import kokeilu as kk
from comparisons.common import Case, close, table_of

_SURVIVAL = "a log-rank test and a hazard ratio: survival outcomes are outside the inference on means"
SKIPPED = {"robin_surv_penn_adj": _SURVIVAL, "robin_surv_penn_strat": _SURVIVAL}

JOBS: dict[str, Any] = {"covariates": ("depress1", "econ_hard", "age", "sex"), "model": "logit"}
SETTINGS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "robin_nsw_lin_sr": ("treat", "re78", {"covariates": ("re74", "re75", "age")}),
    "robin_jobs_logit_rd": ("treat", "emp", JOBS),
    "robin_jobs_logit_lor": ("treat", "emp", {**JOBS, "interacted": False, "scale": "log odds ratio"}),
    "robin_jobs_logit_lrr": ("treat", "emp", {**JOBS, "interacted": False, "scale": "log ratio"}),
    # With the strata in the model by arm their mean residuals are nought, and so is the correction for permuted blocks.
    "robin_penn_pb_quarter": ("tg", "inuidur1", {"covariates": ("female", "quarter")}),
}


def run(case: Case) -> None:
    arm, outcome, settings = SETTINGS[case["id"]]
    names = [f"a{code}" for code in range(6 if arm == "tg" else 2)]
    table = table_of(case).assign(
        row=lambda frame: np.arange(len(frame)), arm=lambda frame: "a" + frame[arm].astype(str)
    )
    table = table.assign(quarter=lambda frame: frame["quarter"].astype(str)) if arm == "tg" else table
    design = kk.Complete(kk.arms(**dict.fromkeys(names, 1)))
    assignment = kk.adopt(table, arm="arm", design=design, id="row", counts="realised")
    pairs = [(names[b], names[a]) for a, b in combinations(range(len(names)), 2)]
    estimator = kk.ANHECOVA(**settings, errors="asymptotic")
    found = kk.estimate_effects(assignment, table, outcome, estimator=estimator, contrasts=pairs)
    wanted = case["results"]["contrast"]
    for place, estimate in enumerate(found):
        close(case, estimate.value, np.atleast_1d(wanted["estimate"])[place])
        close(case, estimate.error**2, wanted["variance"][place][place])
        mean = case["results"]["marginal_mean"]["estimate"][estimate.reference[1:]]
        close(case, estimate.reference_mean, mean)
