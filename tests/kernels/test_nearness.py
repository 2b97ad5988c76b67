"""Mahalanobis coordinates, ranks, and neighbours with ties by position."""

from __future__ import annotations

import numpy as np
import pytest

from kokeilu._kernels.nearness import GRID, between, identical, nearest, ranks, sphered
from kokeilu._kernels.streams import Seed

X = Seed.of("nearness").stream("x").doubles(40, 3) @ np.array([[1.0, 0.5, 0], [0, 2, 0.3], [0, 0, 10]])
ONE = np.zeros(40, dtype=np.int64)
LEFT, RIGHT = np.triu_indices(40, 1)


def mahalanobis(x: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    gap = x[LEFT] - x[RIGHT]
    return np.sqrt(np.einsum("ij,jk,ik->i", gap, np.linalg.pinv(covariance, rcond=1e-9), gap))


def test_distances_are_mahalanobis():
    expected = mahalanobis(X, np.cov(X.T, ddof=0))
    np.testing.assert_allclose(between(sphered(X, ONE), LEFT, RIGHT), expected, atol=4 / GRID)


def test_covariance_is_pooled_within_groups():
    groups = (np.arange(40) % 2).astype(np.int64)
    shifted = X + groups[:, None] * [100.0, -50, 7]
    inside = X - np.stack([X[groups == g].mean(axis=0) for g in (0, 1)])[groups]
    expected = mahalanobis(X, inside.T @ inside / 40)
    same = groups[LEFT] == groups[RIGHT]
    np.testing.assert_allclose(between(sphered(shifted, groups), LEFT, RIGHT)[same], expected[same], atol=4 / GRID)


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 7.0, 1e150])
def test_units_of_measurement_do_not_matter(scale):
    assert np.abs(sphered(X * [scale, 1, -1 / scale], ONE) * [1, 1, -1] - sphered(X, ONE)).max() <= 2 / GRID


def test_constant_and_collinear_columns_do_no_harm():
    more = np.column_stack([np.full(40, 3.7), X, X @ [1.0, -2, 0.5], X[:, 0] * 2 + 1, np.zeros(40)])
    assert sphered(more, ONE).shape == (40, 3)
    assert np.abs(between(sphered(more, ONE), LEFT, RIGHT) - between(sphered(X, ONE), LEFT, RIGHT)).max() < 4 / GRID
    assert sphered(np.ones((5, 2)), np.zeros(5, dtype=np.int64)).shape == (5, 0)


def test_ranks_are_average_ranks_and_shrink_with_ties():
    column = np.array([[3.0], [1], [3], [7]])
    plain, shrunk = ranks(column)
    assert plain.ravel().tolist() == [2.5, 1.0, 2.5, 4.0]
    # The variance of four ranks without ties is 15/12; here it is 18/16.
    np.testing.assert_allclose(shrunk, plain * np.sqrt((18 / 16) / (15 / 12)))


def test_ranks_do_not_feel_an_outlier():
    wild = X.copy()
    wild[X[:, 0].argmax(), 0] = 1e12
    np.testing.assert_array_equal(ranks(wild)[1], ranks(X)[1])


def test_identical_rows_stand_together_in_order_of_position():
    order, group, place = identical(np.array([[2.0, 0], [1, 5], [2, 0], [1, 4], [2, 0]]))
    assert order.tolist() == [3, 1, 0, 2, 4]
    assert group.tolist() == [0, 1, 2, 2, 2]
    assert place.tolist() == [0, 0, 0, 1, 2]


def test_nearest_breaks_ties_by_position_and_leaves_oneself_out():
    line = np.array([[0.0], [1], [2], [3], [1]])
    people = np.arange(5)
    assert nearest(line, people, people, 2).tolist() == [[1, 4], [4, 0], [1, 3], [2, 1], [1, 0]]
    assert nearest(line, people[:1], people[:2], 3).tolist() == [[1, -1, -1]]
