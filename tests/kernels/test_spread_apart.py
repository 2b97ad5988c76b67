"""Distances between distributions: scipy, hand calculations, loops."""

from __future__ import annotations

from collections import Counter
from math import factorial, prod

import numpy as np
import pytest
from scipy import stats

from kokeilu._kernels import spread_apart
from kokeilu._kernels.goodness import exact_multinomial, pearson
from kokeilu._kernels.icc import anova_icc
from kokeilu._kernels.pillai import orthonormal, pillai_f
from kokeilu._kernels.trimming import lee_bounds, worst_case


def test_ks_is_that_of_scipy_with_ties_and_gaps() -> None:
    rng = np.random.default_rng(1)
    x, codes = rng.integers(0, 8, (90, 3)).astype(float), rng.integers(0, 3, 90).astype(np.int8)
    x[::7, 1], x[:, 2] = np.nan, np.nan
    found = spread_apart.ks_distances(x, codes, [(1, 0), (2, 1)])
    for row, (a, b) in enumerate([(1, 0), (2, 1)]):
        for column in (0, 1):
            parts = [x[(codes == k) & ~np.isnan(x[:, column]), column] for k in (a, b)]
            assert found[row, column] == pytest.approx(stats.ks_2samp(*parts).statistic, abs=1e-12)
    assert np.isnan(found[:, 2]).all()


def test_weighted_ks_is_that_of_repeated_rows() -> None:
    rng = np.random.default_rng(2)
    x, codes, times = rng.normal(size=(40, 1)), rng.integers(0, 2, 40).astype(np.int8), rng.integers(1, 4, 40)
    again = np.repeat(np.arange(40), times)
    weighted = spread_apart.ks_distances(x, codes, [(1, 0)], times.astype(float))
    np.testing.assert_allclose(weighted, spread_apart.ks_distances(x[again], codes[again], [(1, 0)]), atol=1e-12)


@pytest.mark.parametrize("unbiased", [False, True])
def test_discrepancies_are_means_over_pairs(unbiased: bool) -> None:
    rng = np.random.default_rng(3)
    x, codes = rng.normal(size=(12, 2)), np.repeat([0, 1, 2], 4).astype(np.int8)
    matrix = spread_apart.pair_distances(x)
    if unbiased:
        matrix = spread_apart.kernel_matrix(matrix)
    ones = np.ones(12)
    points = spread_apart.Points(matrix, ones, ones, ones)
    wanted = 0.0
    for a, b in ((1, 0), (2, 0), (2, 1)):
        i, j = np.flatnonzero(codes == a), np.flatnonzero(codes == b)
        own = [matrix[np.ix_(k, k)].sum() / (4 * (3 if unbiased else 4)) for k in (i, j)]
        gap = 2 * matrix[np.ix_(i, j)].mean() - sum(own)
        wanted += -gap if unbiased else 2.0 * gap
    assert spread_apart.discrepancies(codes[None], points, 3, unbiased=unbiased)[0] == pytest.approx(wanted)


def test_pillai_with_two_arms_is_the_f_of_a_regression() -> None:
    rng = np.random.default_rng(4)
    strata, codes = np.repeat([0, 1, 2], 20), rng.integers(0, 2, 60).astype(np.int8)
    x = rng.normal(size=(60, 3))
    for s in range(3):
        x[strata == s] -= x[strata == s].mean(axis=0)
    found = pillai_f(codes[None], orthonormal(x), strata, 2)
    dummies = (strata[:, None] == np.arange(3)).astype(float)
    rss = [np.linalg.lstsq(d, codes.astype(float), rcond=None)[1][0] for d in (dummies, np.column_stack([dummies, x]))]
    assert (found.df1, found.df2) == (3, 54)
    assert found.value[0] == pytest.approx((rss[0] - rss[1]) / 3 / (rss[1] / 54))


def test_icc_of_equal_clusters_and_of_nothing() -> None:
    values, clusters = np.array([1.0, 2.0, 5.0, 6.0]), np.array([0, 0, 1, 1])
    found = anova_icc(values, clusters)
    assert (found.value, found.size) == pytest.approx(((16 - 0.5) / (16 + 0.5), 2.0))
    assert found.low < found.value < found.high
    assert np.isnan(anova_icc(np.ones(4), clusters).value)
    assert np.isnan(anova_icc(values, np.arange(4)).value)
    assert anova_icc(np.array([1.0, 1.0, 3.0, 3.0]), clusters).value == 1.0
    assert np.isnan(anova_icc(np.empty(0), np.empty(0, dtype=np.int64)).value)


def test_the_exact_multinomial_adds_up_what_is_no_more_probable() -> None:
    shares, observed = np.array([0.5, 0.3, 0.2]), np.array([1, 1, 4])
    tables = [(a, b, 6 - a - b) for a in range(7) for b in range(7 - a)]
    chance = {
        t: factorial(6) / prod(map(factorial, t)) * prod(s**k for s, k in zip(shares, t, strict=True)) for t in tables
    }
    wanted = sum(c for c in chance.values() if c <= chance[1, 1, 4] * (1 + 1e-9))
    assert Counter(tables).total() == len(chance)
    assert exact_multinomial(observed, shares) == pytest.approx(wanted)
    assert exact_multinomial(np.array([2_000, 2_000, 2_000]), shares) is None


def test_pearson_over_strata_is_a_variance_of_sums() -> None:
    one = pearson(np.array([60.0, 40.0]), np.array([[0.5, 0.5]]), np.array([100.0]))
    assert one[0] == pytest.approx(4.0)
    both = pearson(np.array([70.0, 60.0]), np.array([[0.5, 0.5], [0.25, 0.75]]), np.array([100.0, 30.0]))
    assert both[0] == pytest.approx((70 - 57.5) ** 2 / (25 + 30 * 0.1875))
    assert pearson(np.array([10.0, 0.0]), np.array([[1.0, 0.0]]), np.array([10.0])) == (0.0, 0, 1.0)


def test_trimming_takes_the_exact_mass_from_the_arm_with_more() -> None:
    y, z = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 2.0])
    found = lee_bounds(y, z, (0.8, 0.5))
    # Kept mass 2.5 of 4: (1 + 2 + 1.5) / 2.5 from below, (4 + 3 + 1) / 2.5 from above.
    assert found == pytest.approx((0.375, True, 4.5 / 2.5 - 1, 8 / 2.5 - 1))
    swapped = lee_bounds(z, y, (0.5, 0.8))
    assert (swapped.lower, swapped.upper) == pytest.approx((-found.upper, -found.lower))
    assert not swapped.of_arm
    assert worst_case((0.5, 0.2), (0.9, 1.0), (0.0, 1.0)) == pytest.approx((0.25, 0.35))
    assert np.isnan(lee_bounds(y[:0], z, (0.0, 0.5)).lower)


def test_lee_bounds_of_a_published_trial() -> None:
    from comparisons.balance_common import nsw

    table = nsw()
    y = [table.loc[(table["treat"] == k) & (table["re78"] > 0), "re78"].to_numpy() for k in (1, 0)]
    found = lee_bounds(y[0], y[1], (0.7567567567567568, 0.6461538461538462))
    assert found.share == pytest.approx(0.14615384615384616, rel=1e-12)
    assert (found.lower, found.upper) == pytest.approx((-1142.2882224774785, 2621.200285051482), rel=1e-6)
