"""pyfixest: CRV3 is CR3 times its small-sample factor G(n-1)/((G-1)(n-k)), CRV1 is "stata", with G - 1.

Pairs with pair effects are not sensible under any of these: leaving one cluster of a pair out leaves the pair out,
so that CRV3 counts each pair twice, and CRV1 is half the variance. They are compared at the kernel, and `Regression`
refuses CRV1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

import kokeilu as kk
from comparisons.common import Case, close, table_of, whole_pairs
from comparisons.least_squares import arm_view, codes_of, design_of, outcome_of, solved
from estimate.conftest import build
from kokeilu._kernels.clustered import cluster_robust, factor_of

SKIPPED: dict[str, str] = {}


def run(case: Case) -> None:
    frame, terms = table_of(case), case["results"]["terms"]
    if case["id"] == "pf_penn_multiarm_HC1_FE":
        _several_arms(case, frame, terms)
        return
    given: dict[str, Any] = {**case["inputs"], "clusters": "b_block"}
    kind = "CR3" if "CRV3" in given["vcov"] else "stata"
    found = solved(given, frame, kind, dof="clusters")
    clusters = frame["b_block"].nunique()
    scale = factor_of("stata", n=len(frame), clusters=clusters, columns=len(frame) - found.rows) if kind == "CR3" else 1
    errors = np.sqrt(scale * np.diag(found.covariance))
    for place, term in enumerate(terms.values()):
        close(case, found.values[place], term["estimate"])
        close(case, errors[place], term["se"])
        close(case, 2 * stats.t.sf(abs(found.values[place] / errors[place]), found.dof[place]), term["p"], rtol=1e-6)
        reach = errors[place] * stats.t.ppf(0.975, found.dof[place])
        close(case, found.values[place] - reach, term["ci"][0], rtol=1e-6)
        close(case, found.values[place] + reach, term["ci"][1], rtol=1e-6)
    _arm(case, frame, given, kind, float(scale))


def _arm(case: Case, frame: Any, given: dict[str, Any], kind: str, scale: float) -> None:
    paired = "|" in given["formula"]
    # The peer takes pairs in that lack an arm, compared above; `Regression` would take no stratum effects then.
    frame = whole_pairs(frame) if paired else frame
    strata = frame["b_pair"] if paired else None
    view, chosen = arm_view(given, frame, "b_treat", clusters=frame["b_block"], strata=strata)
    estimator = kk.Regression(covariates=chosen, interacted=False, errors=kind, dof="clusters")
    if kind == "stata":
        with pytest.raises(kk.errors.EstimationError, match="de Chaisemartin & Ramirez-Cuellar 2024"):
            estimator.estimate(view)
        return
    found = estimator.estimate(view)[0]
    if paired:
        between = kk.Regression(covariates=chosen, interacted=False, errors="CR1", clusters="strata").estimate(view)[0]
        assert 1.3 < found.error / between.error < 1.5
        return
    term = case["results"]["terms"]["b_treat"]
    close(case, found.value, term["estimate"])
    close(case, found.error * np.sqrt(scale), term["se"])
    close(case, replace(found, error=term["se"]).p_value(), term["p"], rtol=1e-6)
    # Leaving one cluster out at a time, by hand: the definition of CR3.
    design, y, codes = design_of(given, frame), outcome_of(given["formula"], frame), codes_of(frame, "b_block")
    columns = design.block(0, len(y))
    whole = cluster_robust(design, y, codes, kind="CR3", contrasts=np.eye(design.width))
    parts = [np.linalg.lstsq(columns[codes != g], y[codes != g])[0] for g in np.unique(codes)]
    changes = np.array(parts) - whole.values
    np.testing.assert_allclose(changes.T @ changes, whole.covariance, rtol=1e-8)


def _several_arms(case: Case, frame: Any, terms: dict[str, Any]) -> None:
    arms = tuple("first" if k == 0 else f"C(tg)[T.{k}]" for k in range(6))
    view = build(frame["inuidur1"], frame["tg"], strata=frame["quarter"], arms=arms)
    for found in kk.Regression(errors="HC1").estimate(view):
        close(case, found.value, terms[found.arm]["estimate"])
        close(case, found.error, terms[found.arm]["se"])
        close(case, found.p_value(), terms[found.arm]["p"])
        close(case, found.interval()[0], terms[found.arm]["ci"][0])
