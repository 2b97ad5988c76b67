"""The studentised statistic of many assignments against one at a time."""

from __future__ import annotations

import numpy as np
import pytest

from kokeilu._kernels import batched, linear, moments
from kokeilu._kernels.batched import residualised, studentised


def uniform(key: int, *shape: int) -> np.ndarray:
    words = np.random.Philox(key=key).random_raw(int(np.prod(shape)))
    return ((words >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(shape)


N = 90
Y = uniform(1, N) ** 3
CODES = (uniform(2, 25, N) * 3).astype(np.int8)
STRATA = np.arange(N) * 5 % 4


def table(codes: np.ndarray, strata: np.ndarray) -> moments.Cells:
    return moments.cells(Y, codes, strata, arm=2, reference=0)


def test_without_strata_it_is_welch() -> None:
    estimates, errors = studentised(Y, CODES, arm=2, reference=0)
    for row, codes in enumerate(CODES):
        found = moments.two_sample(table(codes, np.zeros(N, dtype=np.int64)))
        assert estimates[row] == pytest.approx(float(found.value), rel=1e-12)
        assert errors[row] ** 2 == pytest.approx(float(found.variance), rel=1e-12)


def test_with_strata_it_is_the_stratified_estimator() -> None:
    estimates, errors = studentised(Y, CODES, arm=2, reference=0, strata=STRATA)
    for row, codes in enumerate(CODES):
        found = moments.stratified(table(codes, STRATA), np.bincount(STRATA).astype(float))
        assert estimates[row] == pytest.approx(float(found.value), rel=1e-11)
        assert errors[row] ** 2 == pytest.approx(float(found.variance), rel=1e-11)


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = studentised(Y, CODES, arm=1, reference=0, strata=STRATA)
    monkeypatch.setattr(batched, "CHUNK_CELLS", 2 * N)
    parts = studentised(Y, CODES, arm=1, reference=0, strata=STRATA)
    np.testing.assert_allclose(parts[0], whole[0], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(parts[1], whole[1], rtol=1e-12)


def test_laws() -> None:
    estimates, errors = studentised(Y, CODES, arm=1, reference=0, strata=STRATA)
    swapped = studentised(Y, CODES, arm=0, reference=1, strata=STRATA)
    np.testing.assert_allclose(swapped[0], -estimates, rtol=1e-12)
    np.testing.assert_allclose(swapped[1], errors, rtol=1e-12)
    moved = studentised(1e4 - 2.5 * Y, CODES, arm=1, reference=0, strata=STRATA)
    np.testing.assert_allclose(moved[0], -2.5 * estimates, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(moved[1], 2.5 * errors, rtol=1e-8)
    rows = np.argsort(Y)
    again = studentised(Y[rows], CODES[:, rows], arm=1, reference=0, strata=STRATA[rows])
    np.testing.assert_allclose(again[0], estimates, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(again[1], errors, rtol=1e-11)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("stratified", [False, True])
def test_clusters_are_linearised_ratios(weighted: bool, stratified: bool) -> None:
    clusters = np.arange(N) * 7 % 18
    drawn = np.empty((30, 18), dtype=np.int8)
    for part in (0, 1):  # four or five of the nine clusters of either stratum
        drawn[:, part::2] = np.argsort(np.argsort(uniform(3 + 50 * part, 30, 9), axis=1), axis=1) < 4 + part
    strata = (clusters % 2) if stratified else None
    w = 0.5 + uniform(4, N, 2) if weighted else np.ones((N, 2))
    estimates, errors = studentised(
        Y, drawn[:, clusters], arm=1, reference=0, strata=strata, clusters=clusters, weights=w if weighted else None
    )
    for row in range(30):
        value, variance = 0.0, 0.0
        for s in range(2 if stratified else 1):
            here = clusters % 2 == s if stratified else np.ones(N, dtype=bool)
            for role, sign in ((0, 1.0), (1, -1.0)):
                mine = here & (drawn[row, clusters] == 1 - role)
                mean = np.average(Y[mine], weights=w[mine, role])
                names = np.unique(clusters[mine])
                totals = [(w[clusters == g, role] * (Y[clusters == g] - mean)).sum() for g in names]
                mass = w[mine, role].sum()
                value += sign * here.mean() * mean
                variance += here.mean() ** 2 * len(names) / (len(names) - 1) * np.sum(np.square(totals)) / mass**2
        assert estimates[row] == pytest.approx(value, rel=1e-10)
        assert errors[row] ** 2 == pytest.approx(variance, rel=1e-10)


def test_small_strata_are_pooled_as_in_hybrid_p() -> None:
    sizes = np.array([3, 4, 5, 8, 10])
    strata = np.repeat(np.arange(5), sizes)
    y = uniform(5, 30)
    codes = np.zeros((6, 30), dtype=np.int8)
    for row in range(6):
        for s, treated in enumerate([1, 1, 1, 4, 5]):
            codes[row, np.flatnonzero(strata == s)[np.argsort(uniform(100 + 7 * row + s, sizes[s]))[:treated]]] = 1
    estimates, errors = studentised(y, codes, arm=1, reference=0, strata=strata)
    for row in range(6):
        found, method = moments.hybrid(moments.cells(y, codes[row], strata, arm=1, reference=0), sizes.astype(float))
        assert method == "hybrid_p"
        assert estimates[row] == pytest.approx(float(found.value), rel=1e-11)
        assert errors[row] ** 2 == pytest.approx(float(found.variance), rel=1e-11)


def test_a_lone_small_stratum_borrows_the_variance_of_the_others() -> None:
    strata = np.array([0] * 3 + [1] * 6)
    codes = np.array([[1, 0, 0, 1, 1, 1, 0, 0, 0]], dtype=np.int8)
    y = uniform(6, 9)
    estimate, error = studentised(y, codes, arm=1, reference=0, strata=strata)
    cell = moments.cells(y, codes[0], strata, arm=1, reference=0)
    own = (2 / 3) ** 2 * (cell.variance[1] / 3).sum()
    borrowed = (1 / 3) ** 2 * (cell.variance[1, 0] + cell.variance[0, 1] / 2)
    assert error[0] ** 2 == pytest.approx(own + borrowed, rel=1e-11)
    assert np.isfinite(estimate[0])


def test_a_stratum_without_an_arm_gives_nan_in_that_draw_only() -> None:
    codes = CODES[:3].copy()
    codes[1, STRATA == 2] = 0
    estimates, errors = studentised(Y, codes, arm=1, reference=0, strata=STRATA)
    assert np.isnan(estimates).tolist() == np.isnan(errors).tolist() == [False, True, False]


def test_no_variation_within_arms_is_an_error_of_nought() -> None:
    codes = (uniform(8, 4, N) * 2).astype(np.int8)
    _, errors = studentised(np.full(N, 0.1), codes, arm=1, reference=0)
    assert (errors == 0.0).all()
    _, errors = studentised(np.where(codes[0] == 1, 0.7, 0.1), codes[:1], arm=1, reference=0)
    assert errors[0] == 0.0


def test_residuals_are_those_of_least_squares() -> None:
    x = uniform(9, N, 2)
    messy = np.column_stack([x, x[:, 0] * 3 + 1, np.full(N, 5e5), STRATA])
    residuals = residualised(Y, messy, STRATA)
    full = np.column_stack([x, STRATA[:, None] == np.arange(4)])
    np.testing.assert_allclose(residuals, Y - full @ np.linalg.lstsq(full, Y, rcond=None)[0], atol=1e-12)
    fitted = linear.fit(linear.columns_of(x, levels=np.zeros(N, dtype=np.int64)), Y)
    centred = (x - x.mean(axis=0)) @ fitted.coef
    np.testing.assert_allclose(residualised(Y, x), Y - Y.mean() - centred, atol=1e-12)
