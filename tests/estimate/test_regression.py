"""Regression follows the design: strata absorbed, shares weighted, clusters respected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kokeilu as kk
from kokeilu.core.registry import decode, encode
from kokeilu.core.view import View
from kokeilu.errors import ColumnError, DesignError, EstimationError
from kokeilu.estimate.means import DifferenceInMeans
from kokeilu.estimate.regression import Regression

Maker = Callable[..., View]


def uniform(key: int, *shape: int) -> np.ndarray:
    words = np.random.Philox(key=key).random_raw(int(np.prod(shape)))
    return ((words >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(shape)


N = 60
Y, X, CODES = uniform(1, N), uniform(2, N, 2), np.arange(N) % 2


def hc2(x: np.ndarray, y: np.ndarray, contrast: np.ndarray, w: np.ndarray | None = None) -> tuple[float, float]:
    w = np.ones(y.size) if w is None else w
    bread = np.linalg.inv(x.T @ (x * w[:, None]))
    b = bread @ x.T @ (w * y)
    h = w * np.einsum("ij,jk,ik->i", x, bread, x)
    scores = x * (w * (y - x @ b) / np.sqrt(1 - h))[:, None]
    return float(contrast @ b), float(np.sqrt(contrast @ bread @ scores.T @ scores @ bread @ contrast))


def test_without_covariates_or_strata_it_is_the_difference_in_means(make_view: Maker) -> None:
    view = make_view(Y, CODES)
    means, found = DifferenceInMeans().estimate(view)[0], Regression().estimate(view)[0]
    assert found.value == pytest.approx(means.value, rel=1e-12)
    assert found.error == pytest.approx(means.error, rel=1e-12)
    assert found.dof == N - 2
    assert found.estimator == "regression on the arms"


def test_lin_is_a_regression_in_each_arm(make_view: Maker) -> None:
    view = make_view(Y, np.arange(N) % 3, covariates=X, names=("age", "days"), arms=("a", "b", "c"))
    found = Regression(covariates=("age", "days")).estimate(view, (("c", "b"), ("b", "a")))
    centred = X - X.mean(axis=0)
    cells = [(np.arange(N) % 3 == k)[:, None] for k in range(3)]
    full = np.column_stack([*cells, *(centred * cell for cell in cells)]).astype(float)
    for estimate, contrast in zip(found, ([0, -1, 1], [-1, 1, 0]), strict=True):
        value, error = hc2(full, Y, np.array([*contrast, *[0] * 6], dtype=float))
        assert estimate.value == pytest.approx(value, rel=1e-11)
        assert estimate.error == pytest.approx(error, rel=1e-11)
        assert estimate.dof is not None
        assert estimate.dof < N - 9  # twenty people in an arm
    assert found[0].estimator == "regression, slopes by arm (Lin)"


def test_strata_are_absorbed_and_shares_weighted(make_view: Maker) -> None:
    strata = np.repeat([0, 1, 2], 20)
    codes = np.concatenate([np.arange(20) % 2, np.arange(20) % 4 == 0, np.arange(20) % 5 > 0]).astype(int)
    shares = np.array([[0.5, 0.5], [0.75, 0.25], [0.2, 0.8]])[strata]
    view = make_view(Y, codes, strata=strata, shares=shares, covariates=X)
    found = Regression(covariates=("x0", "x1"), interacted=False).estimate(view)[0]
    full = np.column_stack([codes, X, strata[:, None] == np.arange(3)]).astype(float)
    w = 1 / shares[np.arange(N), codes]
    value, error = hc2(full, Y, np.eye(6)[0], w)
    assert found.value == pytest.approx(value, rel=1e-11)
    assert found.error == pytest.approx(error, rel=1e-11)
    assert "effects of 3 strata are taken out" in found.reason
    assert "weights 1/share" in found.reason


def test_exact_shares_make_the_weighted_regression_the_stratified_mean(make_view: Maker) -> None:
    strata = np.repeat([0, 1], 30)
    codes = np.concatenate([np.arange(30) % 2, np.arange(30) % 3 == 0]).astype(int)
    shares = np.array([[0.5, 0.5], [2 / 3, 1 / 3]])[strata]
    view = make_view(Y, codes, strata=strata, shares=shares)
    assert Regression().estimate(view)[0].value == pytest.approx(DifferenceInMeans().estimate(view)[0].value, rel=1e-12)


def test_pair_effects_give_the_variance_between_pairs(make_view: Maker) -> None:
    view = make_view(Y, CODES, strata=np.arange(N) // 2)
    means, found = DifferenceInMeans().estimate(view)[0], Regression().estimate(view)[0]
    assert found.error == pytest.approx(means.error, rel=1e-11)
    assert found.dof == means.dof == 29


def test_a_stratum_without_an_arm_leaves_stratum_effects_out(make_view: Maker) -> None:
    strata = np.r_[[0] * 5, [1] * 55]
    codes = np.r_[[0] * 5, np.arange(55) % 2]
    found = Regression().estimate(make_view(Y, codes, strata=strata))[0]
    assert "1 of 2 strata lack one of the two arms" in found.reason
    assert found.dof == N - 2


def test_clusters_take_cr2(make_view: Maker) -> None:
    clusters = np.arange(N) % 10
    view = make_view(Y, clusters % 2, clusters=clusters, strata=clusters // 5, covariates=X)
    found = Regression(covariates=("x0",)).estimate(view)[0]
    assert found.variance == "CR2"
    assert found.clusters == 10
    assert found.dof is not None
    assert found.dof < 8
    assert "10 clusters were drawn whole" in found.reason
    for kind in ("CR0", "stata"):
        other = Regression(covariates=("x0",), errors=kind).estimate(view)[0]
        assert other.value == pytest.approx(found.value, rel=1e-12)
        assert other.dof == 9
        assert other.error < found.error


def test_cr2_without_clusters_is_hc2_with_fewer_degrees_of_freedom(make_view: Maker) -> None:
    view = make_view(Y, CODES, covariates=X)
    plain = Regression(covariates=("x0", "x1")).estimate(view)[0]
    found = Regression(covariates=("x0", "x1"), errors="CR2").estimate(view)[0]
    assert found.error == pytest.approx(plain.error, rel=1e-11)
    assert found.dof is not None
    assert plain.dof is not None
    assert found.dof < plain.dof


def test_dropped_covariates_are_named(make_view: Maker) -> None:
    only_one_arm = np.where(CODES == 1, X[:, 0], 0.25)
    columns = np.column_stack([X[:, 0], 2 * X[:, 0] + 1, only_one_arm])
    view = make_view(Y, CODES, covariates=columns, names=("age", "age twice", "course"))
    additive = Regression(covariates=("age", "age twice"), interacted=False).estimate(view)[0]
    assert [note for note in additive.notes if "'age twice' was dropped:" in note]
    lin = Regression(covariates=("course",)).estimate(view)[0]
    assert [note for note in lin.notes if "'course' was dropped in arm 'control'" in note]
    # The arm without variation keeps its plain mean.
    treated = np.column_stack([np.ones(30), X[CODES == 1, 0] - only_one_arm.mean()])
    mean = np.linalg.lstsq(treated, Y[CODES == 1], rcond=None)[0][0]
    assert lin.value == pytest.approx(mean - Y[CODES == 0].mean(), rel=1e-10)


def test_categories_belong_to_their_covariate(make_view: Maker) -> None:
    view = make_view(Y, CODES, covariates=X, names=("sex: f", "sex (missing)"))
    assert Regression(covariates=("sex",), interacted=False).estimate(view)[0].dof == N - 4
    with pytest.raises(ColumnError, match="covariate 'age' is not in this view"):
        Regression(covariates=("age",)).estimate(view)


def test_a_perfect_fit_of_one_person_is_noted(make_view: Maker) -> None:
    alone = (np.arange(N) == 3).astype(float)
    view = make_view(Y, CODES, covariates=alone)
    found = Regression(covariates=("x0",), interacted=False).estimate(view)[0]
    assert "1 people are fitted perfectly" in " ".join(found.notes)


def test_refusals(make_view: Maker) -> None:
    view = make_view(Y, CODES, clusters=np.arange(N) // 2 * 2 + CODES, covariates=X)
    with pytest.raises(EstimationError, match="HC2 errors would ignore them"):
        Regression(errors="HC2").estimate(view)
    with pytest.raises(EstimationError, match="no degrees of freedom are left"):
        Regression(covariates=("x0", "x1")).estimate(make_view(Y[:6], CODES[:6], covariates=X[:6]))
    few = np.arange(N) % 4  # two clusters per arm, and two numbers fitted to them
    saturated = make_view(Y, few % 2, clusters=few, covariates=uniform(3, 4)[few])
    with pytest.raises(EstimationError, match="rests on single clusters that the columns fit"):
        Regression(covariates=("x0",)).estimate(saturated)
    with pytest.raises(DesignError, match="errors must be one of"):
        Regression(errors="HC9")
    with pytest.raises(DesignError, match="covariates names a column twice"):
        Regression(covariates=("a", "a"))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    key=st.integers(1, 10**6),
    grouped=st.booleans(),
    interacted=st.booleans(),
    shift=st.floats(-1e3, 1e3),
    scale=st.floats(0.01, 100.0),
)
def test_laws(make_view: Maker, key: int, grouped: bool, interacted: bool, shift: float, scale: float) -> None:
    y, x = uniform(key, N), uniform(key + 1, N, 1)
    clusters = np.arange(N) % 12
    strata = clusters % 3
    codes = (clusters // 3) % 2
    estimator = Regression(covariates=("x0",), interacted=interacted)

    def fit(rows: np.ndarray, outcome: np.ndarray, swap: bool = False) -> tuple[float, float, float]:
        view = make_view(
            outcome[rows],
            codes[rows],
            strata=strata[rows],
            clusters=clusters[rows] if grouped else None,
            covariates=x[rows],
        )
        found = estimator.estimate(view, (("control", "coaching"),) if swap else None)[0]
        return found.value, found.error, float(found.dof or 0)

    rows = np.arange(N)
    value, error, dof = fit(rows, y)
    assert fit(np.argsort(uniform(key + 2, N)), y) == pytest.approx((value, error, dof), rel=1e-8)
    assert fit(rows, y, swap=True) == pytest.approx((-value, error, dof), rel=1e-9)
    moved = fit(rows, shift + scale * y)
    assert moved[0] == pytest.approx(scale * value, rel=1e-6, abs=1e-9 * (1 + abs(shift)))
    assert moved[1] == pytest.approx(scale * error, rel=1e-6)


def test_it_travels_as_json() -> None:
    spec = Regression(covariates=("age", "days"), interacted=False, errors="HC3")
    assert decode(encode(spec)) == spec


def test_few_people_in_an_arm_have_satterthwaite_degrees_of_freedom(make_view: Maker) -> None:
    codes = (np.arange(N) < 6).astype(int)
    view = make_view(Y, codes, covariates=X)
    found = Regression(covariates=("x0", "x1")).estimate(view)[0]
    plain = Regression(covariates=("x0", "x1"), errors="HC2").estimate(view)[0]
    assert found.error == plain.error
    assert plain.dof == N - 6
    assert found.dof is not None
    assert found.dof < 6
    assert "Satterthwaite degrees of freedom (few people in an arm)" in found.reason


def test_strata_that_count_otherwise_than_by_people_are_told(make_view: Maker) -> None:
    # Strata of four clusters; in half of them one cluster holds three quarters of the people.
    sizes = np.tile([36, 4, 4, 4, 12, 12, 12, 12], 3)
    clusters = np.repeat(np.arange(24), sizes)
    view = make_view(
        uniform(77, clusters.size),
        (np.arange(24) % 2)[clusters],
        clusters=clusters,
        strata=(np.arange(24) // 4)[clusters],
    )
    assert any("of the weight is shifted between strata" in note for note in Regression().estimate(view)[0].notes)
    assert not any("shifted" in note for note in DifferenceInMeans().estimate(view)[0].notes)
    level = make_view(Y, CODES, strata=np.arange(N) // 20)
    assert not any("shifted" in note for note in Regression().estimate(level)[0].notes)


def test_interacted_is_yes_or_no() -> None:
    with pytest.raises(DesignError, match="interacted must be True or False; got int"):
        Regression(interacted=5)  # type: ignore[arg-type]


def test_contrasts_that_are_no_pairs_are_refused(make_view: Maker) -> None:
    for wrong in (5, (5,), (("coaching",),)):
        with pytest.raises(DesignError, match="contrasts must be pairs"):
            Regression().estimate(make_view(Y, CODES), contrasts=wrong)  # type: ignore[arg-type]


def clustered_view(make_view: Maker, per_stratum: int, n_clusters: int = 24, **more: object) -> View:
    clusters = np.repeat(np.arange(n_clusters), 5)
    return make_view(
        uniform(81, clusters.size) + uniform(82, n_clusters)[clusters],
        clusters % 2,
        clusters=clusters,
        strata=clusters // per_stratum,
        **more,
    )


@pytest.mark.parametrize("errors", ["CR0", "CR1", "stata"])
def test_pair_effects_with_errors_by_cluster_are_refused(make_view: Maker, errors: str) -> None:
    view = clustered_view(make_view, 2)
    with pytest.raises(EstimationError, match=r"expected at 5\d% of the variance .de Chaisemartin|expected at 50%"):
        Regression(errors=errors).estimate(view)
    pairs = DifferenceInMeans().estimate(view)[0]
    for kind in ("CR1", "CR2"):
        found = Regression(errors=kind, clusters="strata").estimate(view)[0]
        assert found.error == pytest.approx(pairs.error, rel=1e-9)
        assert found.dof == pytest.approx(11)
        assert "clustered by 12 strata" in found.reason
    assert Regression().estimate(view)[0].error == pytest.approx(pairs.error, rel=1e-9)


def test_strata_of_a_few_clusters_are_noted(make_view: Maker) -> None:
    view = clustered_view(make_view, 6)
    found = Regression(errors="CR0").estimate(view)[0]
    assert [note for note in found.notes if "expected at 83% of the variance" in note]
    assert not [note for note in Regression().estimate(view)[0].notes if "expected at" in note]
    with pytest.raises(EstimationError, match=r"expected at 75% of the variance.*Use errors='CR2'"):
        Regression(errors="CR0").estimate(clustered_view(make_view, 4))
    with pytest.raises(EstimationError, match=r"HC0 errors are expected at 50%.*Use errors='HC2'"):
        Regression(errors="HC0").estimate(make_view(Y, CODES, strata=np.arange(N) // 2))
    # HC1 gives back what pairs take, where all strata are pairs.
    Regression(errors="HC1").estimate(make_view(Y, CODES, strata=np.arange(N) // 2))


def test_degrees_of_freedom_by_the_rule_asked_for(make_view: Maker) -> None:
    view = clustered_view(make_view, 12)
    satterthwaite = Regression(errors="CR2").estimate(view)[0]
    clusters = Regression(errors="CR2", dof="clusters").estimate(view)[0]
    rows = Regression(errors="CR2", dof="rows").estimate(view)[0]
    assert satterthwaite.error == clusters.error == rows.error
    assert (clusters.dof, rows.dof) == (23, 117)
    assert satterthwaite.dof is not None
    assert satterthwaite.dof < 23
    assert "degrees of freedom: clusters less one" in clusters.reason
    assert Regression(errors="CV3").estimate(view)[0].dof == 23
    told = Regression(errors="stata").estimate(view)[0].reason
    assert f"CR1S (as Stata), factor {24 * 119 / (23 * 117):.4f} with degrees of freedom: clusters less one" in told
    people = make_view(Y, CODES, covariates=X)
    hc3 = Regression(covariates=("x0",), errors="HC3", dof="satterthwaite").estimate(people)[0]
    assert hc3.error == pytest.approx(Regression(covariates=("x0",), errors="CR3").estimate(people)[0].error, rel=1e-9)
    with pytest.raises(DesignError, match="not known for HC4"):
        Regression(errors="HC4", dof="satterthwaite")
    with pytest.raises(DesignError, match="HC2 errors are by person and know no clusters"):
        Regression(errors="HC2", dof="clusters")
    with pytest.raises(EstimationError, match="dof='clusters' needs clusters"):
        Regression(dof="clusters").estimate(people)


@pytest.mark.parametrize("errors", ["HC4", "HC4m", "HC5", "CR1p", "CR3", "CV3"])
def test_every_kind_of_errors_gives_an_interval(make_view: Maker, errors: str) -> None:
    found = Regression(covariates=("x0",), errors=errors).estimate(make_view(Y, CODES, covariates=X))[0]
    plain = Regression(covariates=("x0",)).estimate(make_view(Y, CODES, covariates=X))[0]
    assert found.error == pytest.approx(plain.error, rel=0.1)
    assert found.variance == errors


def test_several_arms_at_once(make_view: Maker) -> None:
    clusters = np.arange(120) % 24
    view = make_view(
        uniform(83, 120),
        clusters % 3,
        clusters=clusters,
        covariates=uniform(84, 120, 1),
        arms=("a", "b", "c"),
    )
    estimates = Regression(covariates=("x0",)).estimate(view)
    joint = estimates.joint()
    assert (joint.test, joint.df1) == ("HTZ", 2)
    assert joint.df2 is not None
    assert joint.df2 < 22
    assert joint.contrasts == ("b - a", "c - a")
    # Any two contrasts say the same, and a third is a combination of them.
    other = Regression(covariates=("x0",)).estimate(view, (("c", "b"), ("a", "b"), ("c", "a"))).joint()
    assert (other.statistic, other.df2) == pytest.approx((joint.statistic, joint.df2), rel=1e-9)
    assert "2 of 3 contrasts" in other.reason
    assert estimates.covariance is not None
    assert np.sqrt(np.diag(estimates.covariance)) == pytest.approx([e.error for e in estimates], rel=1e-12)
    wald = Regression(covariates=("x0",), errors="stata").estimate(view)
    assert wald.covariance is not None
    values = np.array([e.value for e in wald])
    found = wald.joint()
    assert (found.test, found.df2) == ("F", 23)
    assert found.statistic == pytest.approx(values @ np.linalg.solve(wald.covariance, values) / 2, rel=1e-9)
    people = Regression(errors="HC2").estimate(make_view(uniform(83, 120), clusters % 3, arms=("a", "b", "c"))).joint()
    assert people.df2 == 117


def test_contrasts_of_different_people_are_not_tested_at_once(make_view: Maker) -> None:
    shares = np.full((N, 3), 1 / 3)
    shares[:10] = [0.5, 0.5, 0.0]
    codes = np.r_[np.arange(10) % 2, np.arange(50) % 3]
    view = make_view(Y, codes, shares=shares, arms=("a", "b", "c"))
    estimates = Regression().estimate(view)
    with pytest.raises(EstimationError, match="the contrasts stand on different people or strata"):
        estimates.joint()
    assert Regression().estimate(view)[:1][0].arm == "b"


def with_group(view: View, name: str, codes: np.ndarray) -> View:
    return replace(view, groups={name: codes})


def test_two_way_errors_take_a_grouping_across_the_clusters(make_view: Maker) -> None:
    clusters = np.arange(240) % 16
    advisers = (uniform(91, 240) * 12).astype(np.int64)
    y = uniform(92, 240) + uniform(93, 16)[clusters] + 3 * uniform(94, 12)[advisers]
    view = with_group(make_view(y, clusters % 2, clusters=clusters), "adviser", advisers)
    found = Regression(also_by="adviser").estimate(view)[0]
    one_way = Regression(errors="stata").estimate(view)[0]
    assert found.variance == "two-way CR1S"
    assert found.error >= one_way.error * (1 - 1e-12)
    assert found.dof == 11
    assert "two-way with 12 groups of 'adviser'" in found.reason
    people = with_group(make_view(y, clusters % 2), "adviser", advisers)
    by_adviser = Regression(also_by="adviser").estimate(people)[0]
    assert by_adviser.variance == "CR2"
    assert "errors dependent within 12 groups of 'adviser'" in by_adviser.reason


def test_groupings_that_are_no_second_way_are_refused(make_view: Maker) -> None:
    clusters = np.arange(N) % 10
    view = make_view(Y, clusters % 2, clusters=clusters)
    with pytest.raises(EstimationError, match="lie within the clusters: errors by cluster hold them"):
        Regression(also_by="room").estimate(with_group(view, "room", np.arange(N) % 20))
    with pytest.raises(EstimationError, match="the clusters lie within the groups of 'region'"):
        Regression(also_by="region").estimate(with_group(view, "region", clusters // 5))
    with pytest.raises(EstimationError, match="holds one group"):
        Regression(also_by="country").estimate(with_group(view, "country", np.zeros(N, dtype=np.int64)))
    with pytest.raises(EstimationError, match="two-way errors are CR1S"):
        Regression(also_by="adviser", errors="CR2").estimate(with_group(view, "adviser", np.arange(N) // 10))
    with pytest.raises(ColumnError, match="the grouping 'advisor' is not in this view. Did you mean 'adviser'"):
        Regression(also_by="advisor").estimate(with_group(view, "adviser", np.arange(N) // 10))
    with pytest.raises(EstimationError, match="clusters='strata' needs strata"):
        Regression(clusters="strata").estimate(view)


def test_a_contrast_that_rests_on_one_person_is_refused(make_view: Maker) -> None:
    # With slopes by arm the mean of a small arm rests on whoever alone shows what a covariate does there.
    codes = (np.arange(N) < 4).astype(int)
    rare = ((np.arange(N) == 2) | (np.arange(N) > 30)).astype(float)
    view = make_view(Y, codes, covariates=rare)
    with pytest.raises(EstimationError, match=r"rests on single persons that the columns fit perfectly: \d\d% of"):
        Regression(covariates=("x0",)).estimate(view)
    Regression(covariates=("x0",), interacted=False).estimate(view)


def test_survey_weights_and_shares_multiply(make_view: Maker) -> None:
    w = 0.5 + uniform(95, N)
    view = replace(make_view(Y, CODES, covariates=X), weights=w / w.mean())
    found = Regression(covariates=("x0", "x1")).estimate(view)[0]
    centred = X - w @ X / w.sum()
    one = CODES[:, None]
    full = np.column_stack([1 - one, one, centred * (1 - one), centred * one])
    value, error = hc2(full, Y, np.array([-1.0, 1.0, 0.0, 0.0, 0.0, 0.0]), w)
    assert (found.value, found.error) == pytest.approx((value, error), rel=1e-10)
    assert "people count by their survey weights" in found.reason


def test_old_plans_keep_their_fingerprint() -> None:
    assert encode(Regression(covariates=("age",))) == {
        "kind": "Regression",
        "covariates": ["age"],
        "interacted": True,
        "errors": "auto",
    }
    stated = Regression(errors="CR1", dof="satterthwaite", clusters="strata", also_by="adviser")
    assert decode(encode(stated)) == stated
    with pytest.raises(DesignError, match="also_by must name one column"):
        Regression(also_by=3)  # type: ignore[arg-type]


def test_the_whole_chain_with_a_second_grouping() -> None:
    people = {"id": list(range(240)), "office": [i % 20 for i in range(240)]}
    design = kk.Clustered(kk.Complete(kk.arms(control=1, coaching=1, letter=1)), by="office")
    assignment = kk.randomise(people, design, id="id", seed="two ways")
    noise = uniform(96, 240)
    table = {"id": people["id"], "adviser": [f"a{i // 24}" for i in range(240)], "y": noise.tolist()}
    found = kk.estimate_effects(assignment, table, "y", estimator=kk.Regression(also_by="adviser"))
    assert len(found) == 2
    assert found.joint().df1 == 2
    short = {**table, "adviser": [None, *table["adviser"][1:]]}
    with pytest.raises(kk.errors.DataError, match="the grouping 'adviser' is missing for 1 person of the 240"):
        kk.estimate_effects(assignment, short, "y", estimator=kk.Regression(also_by="adviser"))


def test_undefined_errors_are_refused(make_view: Maker) -> None:
    clusters = np.arange(N) % 6
    view = make_view(Y, clusters % 2, clusters=clusters, covariates=uniform(97, N, 3))
    with pytest.raises(EstimationError, match="CR1p is undefined: 6 clusters for as many columns or more"):
        Regression(covariates=("x0", "x1", "x2"), errors="CR1p").estimate(view)
    # Errors that cancel within every cluster and every group leave only what is taken off.
    first, second = np.divmod(np.arange(16), 4)
    codes = (first < 2).astype(int)
    y = np.where(first < 2, 1.0, -1.0) * np.where((first + second) % 2 == 0, 1.0, -1.0)
    crossed = with_group(make_view(y, codes, clusters=first), "adviser", second)
    with pytest.raises(EstimationError, match="the two-way variance comes out negative, that is undefined"):
        Regression(also_by="adviser").estimate(crossed)
