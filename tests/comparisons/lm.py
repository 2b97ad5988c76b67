"""Least squares by estimatr, clubSandwich and sandwich: every coefficient by the kernel, the arm's by `Regression`.

R^2 is not reported by the library and not compared. estimatr's degrees of freedom for CR0 and "stata" are clusters less
one, clubSandwich's always Satterthwaite's: both rules are asked for by `dof`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

import kokeilu as kk
from comparisons.common import Case, close, table_of, whole_pairs
from comparisons.least_squares import arm_view, codes_of, design_of, kind_of, outcome_of, solved, weights_of
from estimate.conftest import build
from kokeilu._kernels import linear
from kokeilu._kernels.clustered import cluster_robust
from kokeilu._kernels.two_way import two_way

SKIPPED: dict[str, str] = {}
ARMS = {"nsw.csv": "treat", "jobs2.csv": "treat", "colombia.csv": "b_treat", "penn.csv": "T4"}


def run(case: Case) -> None:
    if case["id"] == "cs_colombia_wald_round":
        _round_test(case)
    elif case["family"] == "lm_lin":
        _lin(case)
    elif case["id"] == "sw_colombia_twoway_block_round":
        _two_way(case)
    else:
        _coefficients(case)
        _arm(case)


def _coefficients(case: Case) -> None:
    frame, given, results = table_of(case), case["inputs"], case["results"]
    if case["id"] == "cs_colombia_wald_round":
        return
    kind = kind_of(case)
    found = solved(given, frame, kind, dof="satterthwaite" if case["family"] == "clubSandwich" else "auto")
    errors = np.sqrt(np.diag(found.covariance))
    if "se" in results:
        for place, wanted in enumerate(results["se"].values()):
            close(case, errors[place], wanted)
        return
    assert len(results["terms"]) == len(found.values)
    for place, term in enumerate(results["terms"].values()):
        if term["estimate"] is None:
            continue
        law = stats.t(found.dof[place])
        close(case, found.values[place], term["estimate"])
        close(case, errors[place], term["std.error"])
        close(case, found.dof[place], term["df"])
        statistic = found.values[place] / errors[place]
        close(case, 2 * law.sf(abs(statistic)), term["p.value"], rtol=1e-7)
        if "conf.low" in term:
            reach = errors[place] * law.ppf(0.975)
            close(case, found.values[place] - reach, term["conf.low"], rtol=1e-7)
            close(case, found.values[place] + reach, term["conf.high"], rtol=1e-7)
    _covariance_and_f(case, found)


def _covariance_and_f(case: Case, found: Any) -> None:
    """Compare the whole covariance and the F of all slopes (df2: rows less columns, or clusters less one)."""
    results = case["results"]
    terms = list(results.get("terms", {}))
    if results.get("vcov_names"):
        places = [terms.index(name) for name in results["vcov_names"]]
        wanted = np.array(results["vcov"], dtype=float)
        scale = np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
        ours = found.covariance[np.ix_(places, places)]
        np.testing.assert_allclose(ours / scale, wanted / scale, rtol=0, atol=1e-8)
    if results.get("fstatistic"):
        value, df1, df2 = results["fstatistic"]
        slopes = found.values[1:]
        close(case, slopes @ np.linalg.solve(found.covariance[1:, 1:], slopes) / df1, value, rtol=1e-8)
        assert df2 == (found.rows if results["nclusters"] is None else results["nclusters"] - 1)


def _arm(case: Case) -> None:
    """The arm's coefficient through the public estimator."""
    given, frame, arm = case["inputs"], table_of(case), ARMS.get(case["dataset"], "")
    if case["id"] == "lm_penn_multiarm_HC2_FEquarter":
        _several_arms(case, frame)
        return
    if not arm:  # an interaction of two treatments: all coefficients were compared above
        return
    strata = frame[given["fixed_effects"]] if "fixed_effects" in given else None
    clusters = frame[given["clusters"]] if "clusters" in given else None
    if strata is not None and case["dataset"] == "colombia.csv":
        _pairs(given, whole_pairs(frame))
        return
    view, chosen = arm_view(given, frame, arm, strata=strata, clusters=clusters)
    weights = weights_of(given, frame)
    if weights is not None:
        view = replace(view, weights=weights / weights.mean())
    dof = "satterthwaite" if case["family"] == "clubSandwich" else "auto"
    estimator = kk.Regression(covariates=chosen, interacted=False, errors=kind_of(case), dof=dof)
    found = estimator.estimate(view)[0]
    if "se" in case["results"]:
        close(case, found.error, case["results"]["se"][arm])
        return
    term = case["results"]["terms"][arm]
    close(case, found.value, term["estimate"])
    close(case, found.error, term["std.error"])
    close(case, float(found.dof or np.nan), term["df"])
    close(case, found.p_value(), term["p.value"], rtol=1e-7)


def _pairs(given: dict[str, Any], frame: Any) -> None:
    """Pair effects halve CR1S, which is refused; CR2 agrees with the variance between pairs, and with CR1 by pair.

    The peer's own numbers, compared above, take pairs in that lack an arm: `Regression` takes no stratum effects then.
    """
    view, chosen = arm_view(given, frame, "b_treat", strata=frame["b_pair"], clusters=frame["b_block"])
    common = {"covariates": chosen, "interacted": False}
    with pytest.raises(kk.errors.EstimationError, match=r"stata errors are expected at 5\d% of the variance"):
        kk.Regression(**common, errors="stata").estimate(view)
    found = kk.Regression(**common).estimate(view)[0]
    by_pair = kk.Regression(**common, errors="CR1", clusters="strata").estimate(view)[0]
    assert found.error == pytest.approx(by_pair.error, rel=0.1)


def _several_arms(case: Case, frame: Any) -> None:
    view = build(
        frame["inuidur1"], frame["tg"], strata=frame["quarter"], arms=tuple(f"factor(tg){k}" for k in range(6))
    )
    for found in kk.Regression(errors="HC2").estimate(view):
        term = case["results"]["terms"][found.arm]
        close(case, found.value, term["estimate"])
        close(case, found.error, term["std.error"])
        close(case, float(found.dof or np.nan), term["df"])


def _round_test(case: Case) -> None:
    """HTZ for two coefficients; stated publicly by taking the rounds as arms and the arm as a covariate."""
    given = {"formula": "dayscorab~b_treat+b_dayscorab+miss_b_dayscorab+round2+round3", "clusters": "b_block"}
    frame = table_of(case)
    tests = {test["test"]: test for test in case["results"]["tests"]}
    found = cluster_robust(
        design_of(given, frame),
        outcome_of(given["formula"], frame),
        codes_of(frame, "b_block"),
        kind="CR2",
        contrasts=np.eye(6)[4:],
    )
    form = found.values @ np.linalg.solve(found.covariance, found.values)
    close(case, form / 2, tests["chi-sq"]["Fstat"])
    close(case, float(stats.chi2.sf(form, 2)), tests["chi-sq"]["p"])
    close(case, float(stats.f.sf(form / 2, 2, 62)), tests["Naive-F"]["p"])
    names = ("b_treat", "b_dayscorab", "miss_b_dayscorab")
    view = build(
        frame["dayscorab"],
        (frame["round2"] + 2 * frame["round3"]).astype(int),
        clusters=frame["b_block"],
        covariates=frame[list(names)],
        names=names,
        arms=("first", "second", "third"),
    )
    joint = kk.Regression(covariates=names, interacted=False).estimate(replace(view, whole=False)).joint()
    assert (joint.test, joint.df1) == ("HTZ", 2)
    close(case, joint.statistic, tests["HTZ"]["Fstat"])
    close(case, float(joint.df2 or np.nan), tests["HTZ"]["df_denom"])
    close(case, joint.p_value, tests["HTZ"]["p"])


def _two_way(case: Case) -> None:
    """Two variances come out negative and are undefined; the arm's is smaller than by cluster, which is then taken."""
    given, frame = case["inputs"], table_of(case)
    design, y = design_of(given, frame), outcome_of(given["formula"], frame)
    rounds = (frame["round2"] + 2 * frame["round3"]).to_numpy().astype(np.int64)
    clusters = codes_of(frame, "b_block")
    found = two_way(design, y, linear.fit(design, y), clusters, rounds, contrasts=np.eye(6))
    for place, wanted in enumerate(case["results"]["se"].values()):
        close(case, float(np.sqrt(found.covariance[place, place])), wanted)
    view, chosen = arm_view(given, frame, "b_treat", clusters=clusters)
    view = replace(view, groups={"round": rounds})
    both = kk.Regression(covariates=chosen, interacted=False, also_by="round").estimate(view)[0]
    alone = kk.Regression(covariates=chosen, interacted=False, errors="stata").estimate(view)[0]
    assert both.error == pytest.approx(alone.error, rel=1e-12)
    assert "one grouping alone gives a larger variance" in both.reason


def _lin(case: Case) -> None:
    frame, given, terms = table_of(case), case["inputs"], case["results"]["terms"]
    if case["id"] == "lin_penn_multiarm":
        codes, arms = frame["tg"], tuple(f"arm {k}" for k in range(6))
        labels = {f"arm {k}": f"factor(tg){k}" for k in range(1, 6)}
    else:
        codes = frame["T4" if case["id"] == "lin_penn_quarter_dummies" else given["treatment"]].astype(int)
        arms, labels = ("control", "coaching"), {"coaching": given["treatment"]}
    if given["covariates"] == "C(quarter)":
        covariates = (frame["quarter"].to_numpy()[:, None] == np.arange(2, 7)).astype(float)
        names, chosen = tuple(f"quarter: {k}" for k in range(2, 7)), ("quarter",)
    else:
        names = chosen = tuple(given["covariates"])
        covariates = frame[list(names)].to_numpy(float)
    clusters = frame[given["clusters"]] if "clusters" in given else None
    view = build(frame[given["outcome"]], codes, covariates=covariates, names=names, arms=arms, clusters=clusters)
    for found in kk.Regression(covariates=chosen, errors=given["se_type"]).estimate(view):
        term = terms[labels[found.arm]]
        close(case, found.value, term["estimate"])
        close(case, found.error, term["std.error"])
        close(case, float(found.dof or np.nan), term["df"])
        close(case, found.p_value(), term["p.value"], rtol=1e-7)
        low, high = found.interval()
        close(case, low, term["conf.low"], rtol=1e-7)
        close(case, high, term["conf.high"], rtol=1e-7)
