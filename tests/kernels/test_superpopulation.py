"""Strata as a sample: what the parts of the variance are, by simulation of their own model and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from kokeilu._kernels import superpopulation as kernel


def test_without_covariates_the_parts_are_neymans_and_that_between_strata() -> None:
    rng = np.random.default_rng(1)
    strata, place = np.repeat([0, 1, 2], 20), np.tile([0, 1, 1, -1], 15)
    y = rng.normal(size=60) + strata
    none = kernel.adjusted(np.empty((60, 0)), y, place, strata, common=False)
    found = kernel.cellwise(y, place, strata, none.values)
    means = [[y[(strata == s) & (place == a)].mean() for a in (0, 1)] for s in range(3)]
    assert found.value == pytest.approx(np.mean([a - b for a, b in means]))
    assert found.others == 0.0
    neyman = sum(y[(strata == s) & (place == a)].var() / (5 if a == 0 else 10) / 9 for s in range(3) for a in (0, 1))
    assert found.arms.sum() / 60 == pytest.approx(neyman)
    assert found.between == pytest.approx(np.var([a - b for a, b in means]))


def test_people_of_other_arms_belong_in_the_variance() -> None:
    """Slopes that differ between arms: without the other arms' part the variance is a fifth too small."""
    rng = np.random.default_rng(2)
    n, values, whole, short = 300, [], [], []
    for _ in range(400):
        x = rng.normal(size=(n, 1))
        place = rng.permutation(np.repeat([0, 1, -1], [60, 60, 180]))
        y = rng.normal(size=n) * 0.3 + x[:, 0] * np.where(place == 0, 1.5, -1.5)
        strata = np.zeros(n, dtype=np.int64)
        slopes = kernel.adjusted(x, y, place, strata, common=False)
        found = kernel.cellwise(y, place, strata, slopes.values)
        values.append(found.value)
        short.append((found.arms.sum() + found.between) / n)
        whole.append(short[-1] + found.others / n)
    assert np.mean(whole) == pytest.approx(np.var(values), rel=0.15)
    assert np.mean(short) < 0.7 * np.var(values)


def test_small_strata_of_one_kind_are_exact_up_to_noise() -> None:
    rng = np.random.default_rng(3)
    for strata_count in (200, 201):
        values, claimed = [], []
        for _ in range(300):
            score = np.sort(rng.normal(size=2 * strata_count))
            strata = np.repeat(np.arange(strata_count), 2)
            first = rng.random(strata_count) < 0.5
            place = np.column_stack([first, ~first]).ravel().astype(np.int64)
            y = 5.0 + 2.0 * score + (place == 0) * score + 0.5 * rng.normal(size=score.size)
            value, spread = kernel.small_strata(y, place, strata)
            values.append(value)
            claimed.append(spread / y.size)
        assert np.mean(claimed) == pytest.approx(np.var(values), rel=0.2)


def test_common_slopes_are_those_of_the_arm() -> None:
    rng = np.random.default_rng(4)
    strata, place = np.repeat(np.arange(10), 4), np.tile([0, 0, 1, 1], 10)
    x = rng.normal(size=(40, 1))
    y = 3.0 * x[:, 0] + strata
    found = kernel.adjusted(x, y, place, strata, common=True)
    assert found.values == pytest.approx(np.repeat(3.0 * x, 2, axis=1))
    assert found.used.sum(axis=0) == pytest.approx([1.0, 1.0])
    assert (found.factor >= 1.0).all()
