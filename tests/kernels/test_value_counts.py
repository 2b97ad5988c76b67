"""Counts of random samples: the rejection is exact, rows stand alone, and the laws are hypergeometric."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kokeilu._kernels import value_counts
from kokeilu._kernels.streams import Seed
from kokeilu._kernels.value_counts import hypergeometric, log_factorials, sample_counts

STREAM = Seed.of("counts").stream("test")


def overhang(good: int, bad: int, seats: int) -> float:
    """How far the region of acceptance reaches into (above 1: out of) the rectangle of the ratio of uniforms."""
    n, least, most = good + bad, max(0, seats - bad), min(good, seats)
    k = np.arange(least, most + 1)
    log_p = stats.hypergeom.logpmf(k, n, good, seats)
    mode = min(max(int((seats + 1) * ((good + 1) / (n + 2))), least), most)
    f = np.exp(log_p - log_p[mode - least])
    mean = seats * good / n
    variance = mean * bad / n * (n - seats) / max(n - 1, 1)
    width = value_counts.SLOPE * np.sqrt(variance + 0.5) + value_counts.WIDTH
    far = np.maximum(np.abs(k - mean - 0.5), np.abs(k + 0.5 - mean)) * np.sqrt(f)
    return max(float((2 * far / width).max()), float(f.max() - 1e-9))


def test_the_rectangle_holds_every_law() -> None:
    for n in range(2, 26):
        for good in range(1, n):
            assert max(overhang(good, n - good, m) for m in range(1, n)) <= 1.0
    rng = np.random.default_rng(1)
    for _ in range(300):
        n = int(10 ** rng.uniform(1.5, 5))
        few = lambda n=n: int(rng.integers(1, n)) if rng.random() < 0.5 else min(n - 1, int(10 ** rng.uniform(0, 2)))  # noqa: E731
        good = few()
        assert overhang(good, n - good, few()) <= 1.0


@pytest.mark.parametrize(("good", "bad", "seats"), [(3, 4, 2), (1, 9, 5), (40, 60, 30), (5, 995, 400), (300, 20, 310)])
def test_frequencies_are_those_of_the_law(good: int, bad: int, seats: int) -> None:
    draws = 40_000
    one = np.ones(draws, dtype=np.int64)
    found = hypergeometric(good * one, bad * one, seats * one, STREAM.child(f"{good}"), log_factorials(good + bad))
    k = np.arange(max(0, seats - bad), min(good, seats) + 1)
    expected = stats.hypergeom.pmf(k, good + bad, good, seats) * draws
    counts = np.bincount(found - k[0], minlength=len(k)).astype(float)
    keep = expected >= 5
    observed = np.append(counts[keep], counts[~keep].sum())
    wanted = np.append(expected[keep], expected[~keep].sum())
    mask = wanted > 0
    assert stats.chisquare(observed[mask], wanted[mask] * observed.sum() / wanted.sum()).pvalue > 1e-4
    assert counts.sum() == draws


def test_rows_stand_alone() -> None:
    counts = np.array([30, 0, 7, 1, 100])
    seats = np.arange(40, 60)
    whole = sample_counts(counts, seats, STREAM)
    assert (whole.sum(axis=0) == seats).all()
    assert ((whole >= 0) & (whole <= counts[:, None])).all()
    np.testing.assert_array_equal(sample_counts(counts, seats[7:12], STREAM.skip(7)), whole[:, 7:12])
    np.testing.assert_array_equal(sample_counts(whole, seats, STREAM), whole)


def test_categories_vary_together_as_they_must() -> None:
    counts = np.array([50, 30, 20])
    found = sample_counts(counts, np.full(20_000, 40), STREAM.child("joint"))
    share, factor = counts / 100, 40 * 60 / 99
    wanted = factor * (np.diag(share) - np.outer(share, share))
    np.testing.assert_allclose(np.cov(found), wanted, atol=5 * factor * 0.25 * np.sqrt(2 / 20_000))
    np.testing.assert_allclose(found.mean(axis=1), 40 * share, atol=0.1)


def test_golden_counts() -> None:
    """The words, tries and doubles are part of a p-value: they may not change unseen."""
    found = sample_counts(np.array([3, 40, 500]), np.full(6, 200), Seed.of("golden").stream("counts"))
    assert found.tolist() == GOLDEN


GOLDEN = [[1, 0, 3, 1, 1, 0], [11, 15, 12, 18, 15, 19], [188, 185, 185, 181, 184, 181]]
