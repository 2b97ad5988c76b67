"""The job-training trial as PyPI ships it: the R packages' values, through the whole chain."""

from __future__ import annotations

import pytest

import kokeilu as kk
from comparisons.common import cases_of
from kokeilu.core.results import Estimate
from kokeilu.datasets.nsw import nsw

CASES = {case["id"]: case for case in cases_of("lm")}
COVARIATES = ("age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75")
KINDS = ("classical", "HC0", "HC1", "HC2", "HC3")


def estimate(estimator: kk.Regression) -> Estimate:
    pytest.importorskip("causaldata")
    people = nsw().assign(arm=lambda table: table["treat"].map({0: "control", 1: "training"}))
    design = kk.Complete(kk.arms(control=260, training=185))
    assignment = kk.adopt(people[["id", "arm"]], arm="arm", design=design, id="id")
    return kk.estimate_effects(assignment, people, "re78", estimator=estimator)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_common_slopes(kind: str) -> None:
    wanted = CASES[f"lm_nsw_cov_{kind}"]["results"]["terms"]["treat"]
    found = estimate(kk.Regression(covariates=COVARIATES, interacted=False, errors=kind))
    assert (found.value, found.error) == pytest.approx((wanted["estimate"], wanted["std.error"]), rel=1e-9)
    assert found.dof == wanted["df"]


def test_hc4_and_lin() -> None:
    found = estimate(kk.Regression(covariates=COVARIATES, interacted=False, errors="HC4"))
    assert found.error == pytest.approx(CASES["sw_nsw_HC4"]["results"]["se"]["treat"], rel=1e-9)
    wanted = CASES["lin_nsw"]["results"]["terms"]["treat"]
    lin = estimate(kk.Regression(covariates=COVARIATES, errors="HC2"))
    assert (lin.value, lin.error) == pytest.approx((wanted["estimate"], wanted["std.error"]), rel=1e-9)
    assert lin.dof == wanted["df"]
