"""HC2 with Bell & McCaffrey's degrees of freedom: all coefficients by the kernel, the arm's by `Regression`."""

from __future__ import annotations

import numpy as np

import kokeilu as kk
from comparisons.common import Case, close, table_of
from comparisons.least_squares import arm_view, solved

SKIPPED: dict[str, str] = {}


def run(case: Case) -> None:
    frame, given, terms = table_of(case), case["inputs"], case["results"]["terms"]
    found = solved(given, frame, "CR2")
    for place, term in enumerate(terms.values()):
        close(case, found.values[place], term["estimate"])
        close(case, float(np.sqrt(found.covariance[place, place])), term["std.error"])
        close(case, found.dof[place], term["df"])
    view, chosen = arm_view(given, frame, "treat")
    for estimator in (
        kk.Regression(covariates=chosen, interacted=False, errors="HC2", dof="satterthwaite"),
        kk.Regression(covariates=chosen, interacted=False, errors="CR2"),
    ):
        estimate = estimator.estimate(view)[0]
        close(case, estimate.error, terms["treat"]["std.error"])
        close(case, float(estimate.dof or np.nan), terms["treat"]["df"])
        close(case, estimate.p_value(), terms["treat"]["p.value"], rtol=1e-7)
