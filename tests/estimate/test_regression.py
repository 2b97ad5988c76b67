"""Regression follows the design: strata absorbed, shares weighted, clusters respected."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
    with pytest.raises(EstimationError, match="leaves no variation to judge|no degrees of freedom"):
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
