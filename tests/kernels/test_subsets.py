"""Random subsets by coins and repairs: sizes, equal chances of all subsets, rows that stand alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kokeilu._kernels.streams import Seed
from kokeilu._kernels.subsets import random_subsets, subset_totals

STREAM = Seed.of("subsets").stream("test")


@pytest.mark.parametrize(("n", "m", "allowed"), [(6, 2, 6), (6, 3, 6), (7, 5, 7), (6, 2, 5), (8, 1, 8), (6, 4, 5)])
def test_every_subset_is_equally_likely(n: int, m: int, allowed: int) -> None:
    draws = 30_000
    may = None if allowed == n else np.tile((np.arange(n) < allowed).astype(np.uint8), (draws, 1))
    found = random_subsets(n, m / allowed, np.full(draws, m), STREAM.child(f"{n} {m} {allowed}"), may)
    assert (found.sum(axis=1) == m).all()
    counts = np.unique(found @ (1 << np.arange(n)), return_counts=True)[1]
    assert len(counts) == round(float(np.prod([(allowed - i) / (i + 1) for i in range(m)])))
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("share", [0.5, 1 / 3, 0.2, 0.02, 0.9])
def test_sizes_are_met_and_units_are_alike(share: float) -> None:
    n, draws = 1_000, 600
    seats = np.full(draws, int(n * share))
    seats[::7] += 3
    found = random_subsets(n, share, seats, STREAM.child(f"{share}"))
    assert (found.sum(axis=1) == seats).all()
    p = seats.mean() / n
    z = (found.sum(axis=0) - draws * p) / np.sqrt(draws * p * (1 - p))
    assert np.abs(z).max() < 5
    assert z.std() == pytest.approx(1.0, abs=0.15)


def test_rows_stand_alone() -> None:
    seats = np.arange(100, 130)
    whole = random_subsets(300, 0.4, seats, STREAM)
    np.testing.assert_array_equal(random_subsets(300, 0.4, seats[11:14], STREAM.skip(11)), whole[11:14])
    rest = 1 - whole
    other = random_subsets(300, 0.3, np.full(30, 50), STREAM.child("other"), rest)
    assert not (other & whole).any()
    one = random_subsets(300, 0.3, np.full(2, 50), STREAM.child("other").skip(20), rest[20:22])
    np.testing.assert_array_equal(one, other[20:22])


def test_extremes() -> None:
    assert random_subsets(10, 1.0, np.array([10, 9]), STREAM).sum(axis=1).tolist() == [10, 9]
    assert random_subsets(10, 0.0, np.array([0, 1]), STREAM).sum(axis=1).tolist() == [0, 1]
    assert random_subsets(1, 0.5, np.array([0, 1]), STREAM).tolist() == [[0], [1]]


def test_totals_are_sums() -> None:
    found = random_subsets(9_000, 0.5, np.full(3, 4_500), STREAM)
    features = np.random.default_rng(1).normal(size=(9_000, 2))
    np.testing.assert_allclose(subset_totals(found, features), found @ features, rtol=1e-12)


def test_golden_subsets() -> None:
    """The coins and the looks are part of a p-value: they may not change unseen."""
    found = random_subsets(24, 0.25, np.full(3, 6), Seed.of("golden").stream("subsets"))
    assert [np.flatnonzero(row).tolist() for row in found] == GOLDEN


GOLDEN = [[4, 6, 8, 10, 15, 20], [1, 4, 10, 15, 18, 21], [3, 7, 12, 14, 19, 22]]
