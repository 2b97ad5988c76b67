"""The wild cluster bootstrap from an assignment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from kokeilu.core.registry import decode, encode
from kokeilu.errors import DesignError, EstimationError

TWO = kk.arms(control=1, coaching=1)


def people(offices: int = 12, each: int = 10) -> pd.DataFrame:
    n = offices * each
    noise = np.random.default_rng(2)
    office = np.arange(n) % offices
    return pd.DataFrame(
        {
            "id": np.arange(n),
            "office": office,
            "region": np.where(office % 2, "N", "S"),
            "age": noise.normal(size=n),
            "y": noise.normal(size=offices)[office] + noise.normal(size=n),
            "w": noise.uniform(0.5, 2, n),
        }
    )


def drawn(table: pd.DataFrame, design: Any = None) -> kk.Assignment:
    design = kk.Clustered(kk.Complete(TWO), by="office") if design is None else design
    return kk.randomise(table.drop(columns=["y", "w"]), design, id="id", seed="wild")


def test_all_vectors_of_twelve_offices() -> None:
    table = people()
    found = kk.wild_cluster_test(drawn(table), table, "y")
    effect = kk.estimate_effects(drawn(table), table, "y")[0]
    assert found.value == pytest.approx(effect.value)
    assert (found.exact, found.draws, found.p_error) == (True, 4096, 0.0)
    assert found.p_strict is not None
    assert found.p_value >= found.p_strict + 2 / 4096 - 1e-12
    assert found.interval is not None
    assert (found.p_value > 0.05) is (found.interval[0] <= 0 <= found.interval[1])
    assert "12 clusters, restricted residuals (WCR, type 11), all 4,096 vectors of Rademacher weights" in found.reason
    row = found.rows()[0]
    assert row["effect"] == found.value
    assert row["p_strict"] == found.p_strict


def test_webb_weights_for_few_clusters_and_draws_for_many() -> None:
    six = people(offices=6)
    found = kk.wild_cluster_test(drawn(six), six, "y")
    assert (found.exact, found.draws) == (True, 6**6)
    assert "Webb" in found.reason
    many = people(offices=30)
    bootstrap = kk.WildClusterBootstrap(draws=499, alternative="equal-tailed", jackknife=True, impose=False)
    drawn_ones = kk.wild_cluster_test(drawn(many), many, "y", bootstrap=bootstrap)
    assert (drawn_ones.exact, drawn_ones.draws) == (False, 499)
    assert drawn_ones.p_low < drawn_ones.p_value <= drawn_ones.p_high
    assert drawn_ones.p_error > 0
    assert "unrestricted residuals of regressions without the cluster (WCU, type 31)" in drawn_ones.reason
    again = kk.wild_cluster_test(drawn(many), many.sample(frac=1, random_state=1), "y", bootstrap=bootstrap)
    assert again.p_value == drawn_ones.p_value


def test_strata_are_absorbed_and_covariates_and_weights_enter() -> None:
    table = people()
    trial = drawn(table, kk.Clustered(kk.Stratified(TWO, by="region"), by="office"))
    found = kk.wild_cluster_test(trial, table, "y", covariates="age", weights="w")
    expected = kk.estimate_effects(
        trial, table, "y", estimator=kk.Regression(covariates=("age",), interacted=False), weights="w"
    )
    assert found.value == pytest.approx(expected[0].value)
    same = kk.wild_cluster_test(
        trial, table, "y", bootstrap=kk.WildClusterBootstrap(covariates=("age",)), covariates="age", weights="w"
    )
    assert same.p_value == found.p_value


def test_pairs_of_clusters_are_resampled_as_pairs() -> None:
    table = people(offices=20).assign(pair=lambda t: t["office"] // 2)
    design = kk.Clustered(kk.Stratified(TWO, by="pair"), by="office")
    trial = kk.randomise(table.drop(columns=["y", "w"]), design, id="id", seed="a")
    found = kk.wild_cluster_test(trial, table, "y")
    assert (found.exact, found.draws) == (True, 2**10)
    assert "10 strata of one cluster per arm" in found.reason
    # Equal sizes: the sign of each pair's difference turns, as in the redraws.
    means = table.assign(arm=trial.codes[table["id"]]).groupby(["pair", "arm"])["y"].mean().unstack()
    d = (means[1] - means[0]).to_numpy()
    assert found.value == pytest.approx(d.mean())
    assert found.statistic == pytest.approx(d.sum() / np.sqrt(((d - d.mean()) ** 2).sum()))


def test_several_arms() -> None:
    table = people(offices=18)
    trial = drawn(table, kk.Clustered(kk.Complete(kk.arms(control=1, coaching=1, letter=1)), by="office"))
    found = kk.wild_cluster_test(trial, table, "y", contrast=("letter", "coaching"))
    turned = kk.wild_cluster_test(trial, table, "y", contrast=("coaching", "letter"))
    assert (found.arm, found.reference) == ("letter", "coaching")
    assert found.value == pytest.approx(-turned.value)  # type: ignore[operator]
    assert found.p_value == turned.p_value


def test_a_covariate_that_the_arms_tell_is_dropped_with_a_note() -> None:
    table = people().assign(twice=lambda t: 2 * t["age"])
    trial = kk.randomise(table.drop(columns=["y", "w"]), kk.Clustered(kk.Complete(TWO), by="office"), id="id", seed="a")
    found = kk.wild_cluster_test(trial, table, "y", covariates=("age", "twice"))
    assert any("'twice' was dropped" in note for note in found.notes)


def test_too_few_clusters_in_an_arm_are_told_and_no_interval_is_given() -> None:
    table = people(offices=4)
    found = kk.wild_cluster_test(drawn(table), table, "y", bootstrap=kk.WildClusterBootstrap(weights="Rademacher"))
    assert found.interval is None
    assert any("no interval at 95%" in note for note in found.notes)
    assert any("'control' has 2 clusters" in note for note in found.notes)


def test_a_stratum_without_an_arm_leaves_the_strata_out() -> None:
    table = people(offices=12).assign(area=lambda t: t["office"] // 3)
    design = kk.Clustered(kk.Stratified(kk.arms(control=2, coaching=1), by="area"), by="office")
    trial = kk.randomise(table.drop(columns=["y", "w"]), design, id="id", seed="a")
    gone = trial.codes[table["id"]] == 1
    few = table.assign(y=np.where(gone & (table["area"] == 0), np.nan, table["y"]))
    found = kk.wild_cluster_test(trial, few, "y")
    assert np.isfinite(found.p_value)


def test_refusals() -> None:
    table = people()
    trial = drawn(table)
    with pytest.raises(EstimationError, match="draws people, not clusters"):
        kk.wild_cluster_test(drawn(table, kk.Complete(TWO)), table, "y")
    with pytest.raises(DesignError, match="bootstrap must be WildClusterBootstrap"):
        kk.wild_cluster_test(trial, table, "y", bootstrap=kk.Holm())  # type: ignore[arg-type]
    with pytest.raises(DesignError, match="covariates are given to wild_cluster_test and to WildClusterBootstrap"):
        kk.wild_cluster_test(trial, table, "y", bootstrap=kk.WildClusterBootstrap(covariates="age"), covariates="w")
    with pytest.raises(DesignError, match="impose must be True or False"):
        kk.WildClusterBootstrap(impose=1)  # type: ignore[arg-type]
    with pytest.raises(DesignError, match="weights must be one of 'auto'"):
        kk.WildClusterBootstrap(weights="webb6")
    with pytest.raises(DesignError, match="draws must be at least 1"):
        kk.WildClusterBootstrap(draws=0)
    with pytest.raises(EstimationError, match="no variation between clusters"):
        kk.wild_cluster_test(trial, table.assign(y=trial.codes[table["id"]].astype(float)), "y")
    with pytest.raises(DesignError, match="assignment must be"):
        kk.wild_cluster_test(None, table, "y")  # type: ignore[arg-type]


def test_a_covariate_that_tells_the_arm_is_the_one_to_go() -> None:
    table = people()
    trial = drawn(table)
    told = table.assign(age=trial.codes[table["id"]].astype(float))
    found = kk.wild_cluster_test(trial, told, "y", covariates="age")
    assert found.value == pytest.approx(kk.wild_cluster_test(trial, table, "y").value)
    assert any("'age' was dropped" in note for note in found.notes)


def test_it_travels_as_json_and_stands_in_a_plan() -> None:
    spec = kk.WildClusterBootstrap(covariates=("age",), jackknife=True)
    assert decode(encode(spec)) == spec
    table = people(offices=18)
    plan = kk.Plan(
        title="Coach",
        id="id",
        design=kk.Clustered(kk.Complete(kk.arms(control=1, coaching=1, letter=1)), by="office"),
        outcomes=(kk.Outcome("y"),),
        analyses=(kk.Analysis("y", spec),),
    )
    assert kk.Plan.from_json(plan.to_json()) == plan
    trial = kk.enrol(plan, table.drop(columns=["y", "w"]), seed="a")
    findings = kk.analyse(plan, trial, table)
    assert [test.arm for test in findings.tests] == ["coaching", "letter"]
    assert all(test.adjusted_p is not None and test.adjusted_p >= test.p_value for test in findings.tests)
    assert "wild cluster bootstrap" in str(findings)
