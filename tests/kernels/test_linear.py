"""Least squares with an absorbed factor against dense algebra."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kokeilu._kernels import linear


def uniform(key: int, *shape: int) -> np.ndarray:
    words = np.random.Philox(key=key).random_raw(int(np.prod(shape)))
    return ((words >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(shape)


def dense(x: np.ndarray, y: np.ndarray, kind: str, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    bread = np.linalg.inv(x.T @ (x * w[:, None]))
    b = bread @ x.T @ (w * y)
    u = y - x @ b
    h = w * np.einsum("ij,jk,ik->i", x, bread, x)
    n, k = x.shape
    if kind == "classical":
        return b, bread * (w @ u**2) / (n - k)
    e = n * h / k
    f = {
        "HC0": 1.0,
        "HC1": n / (n - k),
        "HC2": 1 / (1 - h),
        "HC3": 1 / (1 - h) ** 2,
        "HC4": (1 - h) ** -np.minimum(4, e),
        "HC4m": (1 - h) ** -(np.minimum(1, e) + np.minimum(1.5, e)),
        "HC5": (1 - h) ** (-np.minimum(e, max(4, 0.7 * e.max())) / 2),
    }[kind]
    return b, bread @ ((x * (w**2 * u**2 * f)[:, None]).T @ x) @ bread


@pytest.mark.parametrize("kind", linear.HC)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_levels", [0, 1, 5])
def test_matches_dense_algebra(kind: str, weighted: bool, n_levels: int) -> None:
    n = 120
    x, y = uniform(1, n, 3) * [1.0, 1e4, 1e-3], uniform(2, n)
    w = 0.5 + uniform(3, n) if weighted else np.ones(n)
    levels = (np.arange(n) * 7 % n_levels) if n_levels else None
    full = x if levels is None else np.column_stack([x, levels[:, None] == np.arange(n_levels)])
    b, v = dense(full, y, kind, w)
    design = linear.columns_of(x, weights=w if weighted else None, levels=levels)
    fitted = linear.fit(design, y)
    found = linear.covariance(design, y, fitted, kind)
    np.testing.assert_allclose(fitted.coef, b[:3], rtol=1e-9)
    np.testing.assert_allclose(found.covariance, v[:3, :3], rtol=1e-9, atol=1e-12 * np.abs(v[:3, :3]).max())
    assert fitted.dof == n - full.shape[1]
    assert found.full_leverage == 0


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = uniform(4, 500, 4), uniform(5, 500)
    levels = np.arange(500) % 7
    design = linear.columns_of(x, levels=levels)
    whole = linear.fit(design, y)
    v = linear.covariance(design, y, whole, "HC2").covariance
    monkeypatch.setattr(linear, "BLOCK_ROWS", 37)
    parts = linear.fit(design, y)
    np.testing.assert_allclose(parts.coef, whole.coef, rtol=1e-11)
    np.testing.assert_allclose(linear.covariance(design, y, parts, "HC2").covariance, v, rtol=1e-11, atol=1e-18)


def test_dropped_columns_are_told_and_cost_nothing() -> None:
    x, y = uniform(6, 80, 2), uniform(7, 80)
    levels = np.arange(80) % 4
    messy = np.column_stack([x[:, 0], np.full(80, 0.1), 3 * x[:, 0] - 5, x[:, 1], levels * 1e6, x[:, 0] + x[:, 1]])
    design, clean = linear.columns_of(messy, levels=levels), linear.columns_of(x, levels=levels)
    fitted, plain = linear.fit(design, y), linear.fit(clean, y)
    assert fitted.kept.tolist() == [True, False, False, True, False, False]
    np.testing.assert_allclose(fitted.coef[[0, 3]], plain.coef, rtol=1e-10)
    assert fitted.dof == plain.dof
    found = linear.covariance(design, y, fitted, "HC2").covariance[np.ix_([0, 3], [0, 3])]
    np.testing.assert_allclose(found, linear.covariance(clean, y, plain, "HC2").covariance, rtol=1e-9)


def test_a_constant_column_is_dropped_in_a_long_register() -> None:
    # A running sum of 0.1 is off by 1e-11 after 300,000 rows: its rounding is not variation.
    n = 300_000
    y = uniform(8, n)
    design = linear.columns_of(np.column_stack([np.full(n, 0.1), y**2]), levels=np.zeros(n, dtype=np.int64))
    assert linear.fit(design, y).kept.tolist() == [False, True]


def test_nearly_collinear_columns_keep_their_digits() -> None:
    x = uniform(9, 200, 1)
    near = np.column_stack([x, x + 1e-4 * uniform(10, 200, 1)])
    y = near @ [1.0, 2.0] + uniform(11, 200)
    design = linear.columns_of(near, levels=np.zeros(200, dtype=np.int64))
    fitted = linear.fit(design, y)
    q, r = np.linalg.qr(near - near.mean(axis=0))
    np.testing.assert_allclose(fitted.coef, np.linalg.solve(r, q.T @ (y - y.mean())), rtol=1e-8)


def test_a_row_with_its_own_column_has_leverage_one() -> None:
    y = uniform(12, 30)
    own = np.zeros(30)
    own[4] = 1.0
    design = linear.columns_of(np.column_stack([own, uniform(13, 30)]), levels=np.zeros(30, dtype=np.int64))
    fitted = linear.fit(design, y)
    assert linear.covariance(design, y, fitted, "HC2").full_leverage == 1
    assert np.isfinite(linear.covariance(design, y, fitted, "HC3").covariance).all()


@settings(max_examples=30, deadline=None)
@given(key=st.integers(1, 10**6), shift=st.floats(-1e6, 1e6), scale=st.floats(1e-3, 1e3))
def test_shift_and_scale(key: int, shift: float, scale: float) -> None:
    x, y = uniform(key, 40, 2), uniform(key + 1, 40)
    levels = np.arange(40) % 3
    design = linear.columns_of(x, levels=levels)
    plain, moved = linear.fit(design, y), linear.fit(design, shift + scale * y)
    np.testing.assert_allclose(moved.coef, scale * plain.coef, rtol=1e-6, atol=1e-8 * (1 + abs(shift)))
    rows = np.argsort(y)
    shuffled = linear.columns_of(x[rows], levels=levels[rows])
    np.testing.assert_allclose(linear.fit(shuffled, y[rows]).coef, plain.coef, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("key", [14, 27, 98])
def test_more_columns_than_rows_leave_no_degrees_of_freedom(key: int) -> None:
    # 60 covariates with slopes by arm for 120 people: what rounding leaves of the last columns is not one of them.
    words = np.random.Philox(key=key).random_raw(120 * 61).reshape(120, 61)
    values = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53 - 0.5
    arm = (np.arange(120) % 2).astype(np.float64)[:, None]
    columns = np.concatenate([arm, values[:, 1:] * arm, values[:, 1:] * (1.0 - arm)], axis=1)
    found = linear.fit(linear.columns_of(columns, levels=np.zeros(120, dtype=np.int64)), values[:, 0])
    assert found.dof == 0
    assert int(found.kept.sum()) == 119


def test_what_rests_on_single_rows_is_told() -> None:
    n = 40
    own = np.zeros(n)
    own[4] = 1.0
    z = np.arange(n) % 2.0
    design = linear.columns_of(np.column_stack([z, own]), levels=np.zeros(n, dtype=np.int64))
    y = uniform(15, n)
    found = linear.covariance(design, y, linear.fit(design, y), "HC3")
    bread = np.linalg.inv(np.cov(np.column_stack([z, own]).T, bias=True) * n)
    # The row's own coefficient less the control mean: all of it but the control mean's variance 1/19 rests on the row.
    assert found.alone[1, 1] == pytest.approx(1.0, rel=1e-10)
    assert bread[1, 1] == pytest.approx(1.0 + 1 / 19, rel=1e-10)
    assert found.alone[0, 0] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("size", "part"), [(2, 1 / 2), (4, 1 / 4), (10, 1 / 10)])
def test_stratum_effects_shrink_errors_by_one_in_their_size(size: int, part: float) -> None:
    strata = np.arange(120) // size
    z, y = np.arange(120) % 2.0, uniform(16, 120)
    for groups, repeats in ((np.arange(120), 1), (np.arange(360) // 3, 3)):
        design = linear.columns_of(np.repeat(z, repeats)[:, None], levels=np.repeat(strata, repeats))
        fitted = linear.fit(design, np.repeat(y, repeats))
        found = linear.absorbed_part(design, np.repeat(y, repeats), fitted, groups, np.ones(1))
        assert found == pytest.approx(part, rel=1e-10)
    plain = linear.columns_of(z[:, None])
    assert linear.absorbed_part(plain, y, linear.fit(plain, y), np.arange(120), np.ones(1)) == 0.0
