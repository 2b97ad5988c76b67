"""The rough sums never turn away a draw that the exact ones accept, and are the same in any batch."""

from __future__ import annotations

import numpy as np
import pytest

from kokeilu._kernels import sieve as module
from kokeilu._kernels.imbalance import centred_within, totals_covariance
from kokeilu._kernels.screen import mahalanobis_screen
from kokeilu._kernels.sieve import first_sieve, make_sieve
from kokeilu._kernels.streams import Seed


def case(n, p, shares, tiers=None, accept=(0.05,)):
    values = -np.log1p(-Seed.of("sieve").stream("x").doubles(n, p))
    strata = np.arange(n) % 3
    columns, _ = centred_within(values, strata)
    table = np.tile(shares, (n, 1))
    groups = tiers or [np.arange(p)]
    screen = mahalanobis_screen(columns, totals_covariance(columns, strata, table), table, groups, accept)
    keys = Seed.of("sieve").stream("z").words(3_000, n).argsort(axis=1)
    codes = np.searchsorted(np.cumsum(np.array(shares) * n).round()[:-1], keys, side="right").astype(np.int8)
    return screen, codes


CASES = {
    "halves": (400, 3, [0.5, 0.5]),
    "unequal": (300, 4, [0.7, 0.3]),
    "three arms": (300, 2, [1 / 3, 1 / 3, 1 / 3]),
    "four unequal arms": (200, 3, [0.4, 0.3, 0.2, 0.1]),
    "tiers": (400, 4, [0.5, 0.5], [np.array([0, 1]), np.array([2, 3])], (0.2, 0.3)),
}
TIERS = (300, 3, [0.4, 0.3, 0.3], [np.array([0]), np.array([1, 2])], (0.3, 0.3))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("block", [2**14, 64])
def test_bounds_hold_and_are_narrow(monkeypatch, name, block):
    monkeypatch.setattr(module, "BLOCK", block)
    screen, codes = case(*CASES[name])
    sieve = make_sieve(screen)
    exact = np.sqrt(screen.distances(screen.sums(codes)))
    low, high = sieve.bounds(sieve.totals(codes))
    assert (np.sqrt(low) <= exact).all()
    assert (exact <= np.sqrt(high)).all()
    assert (np.sqrt(high) - np.sqrt(low)).max() < 1e-3
    accepted = screen.accepts(codes)
    near = sieve.near(sieve.totals(codes))
    assert accepted.any()
    assert (near | ~accepted).all()
    assert near.sum() <= accepted.sum() + 3


def test_no_batch_shows():
    screen, codes = case(*CASES["three arms"])
    sieve = make_sieve(screen)
    whole = sieve.totals(codes[:40])
    assert whole.shape == (2, 40, 2)
    bounds = sieve.bounds(whole)
    for row in range(40):
        own = sieve.totals(codes[row : row + 1])
        assert np.array_equal(whole[:, row], own[:, 0])
        assert all(a[row] == pytest.approx(b[0], abs=1e-12) for a, b in zip(bounds, sieve.bounds(own), strict=True))


def test_units_in_another_order():
    screen, codes = case(*CASES["unequal"])
    order = Seed.of("order").stream("o").words(1, codes.shape[1])[0].argsort()
    sieves = make_sieve(screen), make_sieve(screen, order)
    plain, turned = (s.bounds(s.totals(c)) for s, c in zip(sieves, (codes, codes[:, order]), strict=True))
    assert turned[0] == pytest.approx(plain[0], abs=1e-3)
    assert turned[1] == pytest.approx(plain[1], abs=1e-3)


@pytest.mark.parametrize("name", ["three arms", "four unequal arms", "three tiers"])
def test_the_first_cut_turns_away_only_what_the_whole_does(name):
    screen, codes = case(*{**CASES, "three tiers": TIERS}[name])
    order = Seed.of("order").stream("o").words(1, codes.shape[1])[0].argsort()
    whole = make_sieve(screen, order)
    first = first_sieve(whole, order)
    beyond = (codes > 0).astype(np.int8)[:, order]
    assert np.array_equal(first.totals(beyond)[0], whole.totals(codes[:, order])[0])
    low, high = first.bounds(first.totals(beyond))
    exact = screen.distances(screen.sums(codes))
    assert (low <= exact).all()
    near = first.near(first.totals(beyond))
    assert (near | ~screen.accepts(codes)).all()
    assert near.sum() < 0.7 * len(codes)
    assert high.shape == exact.shape


def test_the_first_cut_has_the_distance_of_two_arms():
    screen, codes = case(300, 2, [0.5, 0.3, 0.2])
    two, _ = case(300, 2, [0.5, 0.5])
    beyond = (codes > 0).astype(np.int8)
    low, high = (side[:, 0] for side in first_sieve(make_sieve(screen)).bounds(make_sieve(screen).totals(codes)[:1]))
    expected = two.distances(two.sums(beyond))[:, 0]
    assert (low <= expected * (1 + 1e-9)).all()
    assert (expected * (1 - 1e-9) <= high).all()


def test_units_that_may_move_widen_the_limit():
    screen, codes = case(*CASES["three arms"])
    sieve = make_sieve(screen)
    far = codes.copy()
    far[:, 7] = np.minimum(far[:, 7] + 1, 2)
    far[:, 11] = np.minimum(far[:, 11] + 1, 2)
    moves = (far != codes).sum(axis=1)
    accepted = screen.accepts(codes)
    assert accepted.any()
    assert (sieve.near(sieve.totals(far), moves) | ~accepted).all()


def test_whole_numbers_stay_below_the_largest_that_single_precision_counts():
    screen, _ = case(*CASES["unequal"])
    for grid, _step in make_sieve(screen).blocks:
        assert grid.dtype == np.float32
        assert np.array_equal(grid, np.rint(grid))
        assert np.abs(grid.astype(np.float64)).sum(axis=0).max() <= 2**24
