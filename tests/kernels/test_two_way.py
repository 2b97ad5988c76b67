"""Two-way errors are those by each grouping less those by both."""

from __future__ import annotations

import numpy as np
import pytest

from kokeilu._kernels import linear
from kokeilu._kernels.clustered import cluster_robust
from kokeilu._kernels.two_way import two_way

N = 90


def uniform(key: int, *shape: int) -> np.ndarray:
    words = np.random.Philox(key=key).random_raw(int(np.prod(shape)))
    return ((words >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(shape)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_levels", [1, 3])
def test_parts(weighted: bool, n_levels: int) -> None:
    first, second = np.arange(N) % 9, (uniform(1, N) * 7).astype(np.int64)
    both = np.unique(first * 7 + second, return_inverse=True)[1]
    x, y = uniform(2, N, 2), uniform(3, N) + uniform(4, 9)[first] + uniform(5, 7)[second]
    design = linear.columns_of(x, weights=0.5 + uniform(6, N) if weighted else None, levels=np.arange(N) % n_levels)
    fitted = linear.fit(design, y)
    found = two_way(design, y, fitted, first, second, contrasts=np.eye(2))
    parts = [
        cluster_robust(design, y, codes, kind="CR1", contrasts=np.eye(2), dof="clusters").covariance
        for codes in (first, second, both)
    ]
    scale = (N - 1) / fitted.dof
    wanted = scale * (parts[0] + parts[1] - parts[2])
    undefined = np.diag(wanted) <= 0
    wanted[undefined, :] = wanted[:, undefined] = np.nan
    assert wanted[0, 0] > 0
    np.testing.assert_allclose(found.covariance, wanted, rtol=1e-9)
    np.testing.assert_allclose(found.parts, scale * np.array([np.diag(part) for part in parts]), rtol=1e-9)
    assert found.groups == (9, 7, both.max() + 1)


def test_a_negative_variance_is_undefined() -> None:
    # Every pair of groups is a row of its own: errors that cancel within each group leave only what is taken off.
    first, second = np.divmod(np.arange(16), 4)
    z = np.where(first < 2, 1.0, -1.0)
    u = z * np.where((first + second) % 2 == 0, 1.0, -1.0)
    design = linear.columns_of(np.column_stack([z, np.ones(16)]))
    found = two_way(design, u, linear.fit(design, u), first, second, contrasts=np.eye(2))
    assert np.isnan(found.covariance[0, 0])
    assert np.isnan(found.covariance[0, 1])
