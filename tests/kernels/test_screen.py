"""Distances and theory of the screen against closed forms and enumeration."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kokeilu._kernels.imbalance import centred_within, totals_covariance
from kokeilu._kernels.screen import mahalanobis_screen, theory
from kokeilu._kernels.streams import Seed

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "covariate_designs.json").read_text())
EIGHT = REFERENCE["rerandomisation_exact_n8"]


def screen_of(values, shares, tiers=None, accept=(0.1,), strata=None):
    strata = np.zeros(len(values), dtype=np.int64) if strata is None else strata
    columns, _ = centred_within(values, strata)
    table = np.tile(shares, (len(values), 1))
    groups = tiers or [np.arange(values.shape[1])]
    return mahalanobis_screen(columns, totals_covariance(columns, strata, table), table, groups, accept)


def codes_of(treated, n):
    codes = np.zeros(n, dtype=np.int8)
    codes[list(treated)] = 1
    return codes


def mahalanobis(values, codes):
    """Morgan & Rubin (2012), eq. 1, as it is printed."""
    n1, n0 = int(codes.sum()), int((1 - codes).sum())
    gap = values[codes == 1].mean(axis=0) - values[codes == 0].mean(axis=0)
    spread = np.atleast_2d(np.cov(values, rowvar=False)) * (1 / n1 + 1 / n0)
    return float(gap @ np.linalg.solve(spread, gap))


@pytest.mark.parametrize("row", REFERENCE["rerandomisation_theory"]["rows"], ids=lambda r: f"{r['p']}-{r['p_accept']}")
def test_theory(row):
    law = theory(row["p"], row["p_accept"])
    assert law.threshold == pytest.approx(row["threshold_a"], rel=1e-9)
    assert law.variance_factor == pytest.approx(row["v_a"], rel=1e-9)
    assert law.tries == row["expected_draws"]


def test_all_seventy_distances():
    values = np.array(EIGHT["X"])
    screen = screen_of(values, [0.5, 0.5])
    codes = np.array([codes_of(treated, 8) for _, treated in EIGHT["mahalanobis_sorted"]])
    found = screen.distances(screen.sums(codes))[:, 0]
    assert found == pytest.approx([m for m, _ in EIGHT["mahalanobis_sorted"]], abs=1e-9)


def test_mirrored_draws_have_the_same_distance_to_the_last_bit():
    values = Seed.of("mirror").stream("x").doubles(200, 6)
    screen = screen_of(values, [0.5, 0.5])
    words = Seed.of("mirror").stream("z").words(50, 200)
    codes = (np.argsort(words, axis=1) % 2).astype(np.int8)
    assert np.array_equal(screen.distances(screen.sums(codes)), screen.distances(screen.sums(1 - codes)))


def test_sums_do_not_depend_on_the_batch():
    values = Seed.of("batch").stream("x").doubles(333, 5)
    screen = screen_of(values, [1 / 3, 1 / 3, 1 / 3])
    codes = (Seed.of("batch").stream("z").words(40, 333) % np.uint64(3)).astype(np.int8)
    whole = screen.sums(codes)
    assert all(np.array_equal(whole[r], screen.sums(codes[r : r + 1])[0]) for r in range(40))


def test_unequal_arms_and_units_of_measurement():
    values = Seed.of("units").stream("x").doubles(30, 3)
    codes = codes_of(range(9), 30)
    expected = mahalanobis(values, codes)
    for scaled in (values, values * [1e-6, 1.0, 1e8] + [0.0, 5.0, -3.0]):
        screen = screen_of(scaled, [0.7, 0.3])
        assert screen.distances(screen.sums(codes[None]))[0, 0] == pytest.approx(expected, rel=1e-8)


def test_three_arms_add_up_contrasts_in_the_metric_of_their_covariance():
    values = Seed.of("three").stream("x").doubles(30, 2)
    codes = np.repeat([0, 1, 2], 10).astype(np.int8)
    screen = screen_of(values, [1 / 3] * 3)
    # With equal arms the statistic is the Lawley-Hotelling trace over the pooled covariance.
    inverse = np.linalg.inv(np.cov(values, rowvar=False))
    means = np.array([values[codes == k].mean(axis=0) for k in range(3)]) - values.mean(axis=0)
    expected = 10 * sum(float(m @ inverse @ m) for m in means)
    assert screen.distances(screen.sums(codes[None]))[0, 0] == pytest.approx(expected, rel=1e-9)


def test_tiers_split_the_distance():
    values = Seed.of("tiers").stream("x").doubles(40, 4)
    values[:, 2] += values[:, 0]
    tiered = screen_of(values, [0.5, 0.5], [np.array([0]), np.array([1, 2]), np.array([3])], (0.1, 0.2, 0.3))
    codes = codes_of(range(0, 40, 2), 40)
    parts = tiered.distances(tiered.sums(codes[None]))[0]
    assert parts.sum() == pytest.approx(mahalanobis(values, codes), rel=1e-9)
    assert parts[0] == pytest.approx(mahalanobis(values[:, :1], codes), rel=1e-9)
    assert parts[:2].sum() == pytest.approx(mahalanobis(values[:, :3], codes), rel=1e-9)
    ranks = (1, 2, 1)
    expected = [theory(r, p).threshold for r, p in zip(ranks, (0.1, 0.2, 0.3), strict=True)]
    assert tiered.thresholds == pytest.approx(expected)


def test_a_tier_that_repeats_an_earlier_one_has_no_rank():
    values = Seed.of("twice").stream("x").doubles(20, 1)
    screen = screen_of(np.hstack([values, 3 - 2 * values]), [0.5, 0.5], [np.array([0]), np.array([1])], (0.1, 0.1))
    assert screen.tier.tolist() == [0]
