"""Folds, scores and the variance of their sums, by enumeration."""

from __future__ import annotations

from itertools import combinations, permutations, product

import numpy as np
import pytest

from kokeilu._kernels import crossfit

RNG = np.random.default_rng(3)
X = RNG.normal(size=8)
Y0 = X**2 + RNG.normal(size=8)
Y1 = 1.0 + 2.0 * X + RNG.normal(size=8)
EFFECT = float((Y1 - Y0).mean())


def learned(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """A line through what there is; a biased learner, and at a loss without anybody."""
    if x.size < 2:
        return np.full(new.size, y.mean() if y.size else 7.0)
    slope = np.cov(x, y)[0, 1] / (0.1 + np.var(x, ddof=1))
    return y.mean() + slope * (new - x.mean())


def effect(z: np.ndarray, fold: np.ndarray, shares: np.ndarray) -> float:
    """The effect when nobody's predictions use their own fold."""
    n = z.size
    y = np.where(z == 0, Y1[:n], Y0[:n])
    predicted = np.empty((n, 2))
    for own, arm in product(np.unique(fold), (0, 1)):
        train = (fold != own) & (z == arm)
        predicted[fold == own, arm] = learned(X[:n][train], y[train], X[:n][fold == own])
    return float(crossfit.scores(y, z, shares, predicted).mean())


def test_unbiased_where_each_unit_is_drawn_alone_with_its_own_chance() -> None:
    chance = np.array([0.2, 0.7, 0.5, 0.4, 0.9, 0.5, 0.3, 0.6])
    fold = np.arange(8) % 3
    shares = np.column_stack([chance, 1.0 - chance])
    total = 0.0
    for bits in product((0, 1), repeat=8):
        z = np.array(bits)
        total += np.where(z == 0, chance, 1.0 - chance).prod() * effect(z, fold, shares)
    assert total == pytest.approx(EFFECT, abs=1e-12)


def test_unbiased_over_draws_and_folds_where_numbers_are_fixed() -> None:
    """Three of six treated, dealt to two folds by arm: every order of the random numbers that makes other folds."""
    found = []
    for chosen in combinations(range(6), 3):
        z = np.ones(6, dtype=np.int64)
        z[list(chosen)] = 0
        for first, second in product(permutations(range(3)), permutations(range(3))):
            uniform = np.empty(6)
            uniform[z == 0], uniform[z == 1] = first, second
            fold = crossfit.folds_of(uniform, z, 2)
            found.append(effect(z, fold, crossfit.realised_shares(z, fold, 2)))
    assert np.mean(found) == pytest.approx(float((Y1 - Y0)[:6].mean()), abs=1e-12)


def test_unbiased_with_whole_strata_as_folds() -> None:
    fold = np.array([0, 0, 1, 1, 2, 2, 0, 0])
    found = []
    for bits in product((0, 1), repeat=4):
        z = np.column_stack([bits, 1 - np.array(bits)]).ravel()
        found.append(effect(z, fold, np.full((8, 2), 0.5)))
    assert np.mean(found) == pytest.approx(EFFECT, abs=1e-12)


def test_a_leak_is_biased() -> None:
    """The law bites: with predictions that use the unit itself the mean is off."""
    found = []
    for bits in product((0, 1), repeat=8):
        z = np.array(bits)
        y = np.where(z == 0, Y1, Y0)
        predicted = np.stack([learned(X[z == arm], y[z == arm], X) for arm in (0, 1)], axis=1)
        found.append(float(crossfit.scores(y, z, np.full((8, 2), 0.5), predicted).mean()))
    assert abs(np.mean(found) - EFFECT) > 0.01


@pytest.mark.parametrize("strata", [[0] * 8, [0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 2, 2, 3, 3]])
def test_the_variance_is_conservative_with_fixed_predictions(strata: list[int]) -> None:
    """Half of each stratum is treated; pairs are units themselves."""
    strata_codes = np.array(strata)
    predicted = np.column_stack([X, 0.5 * X])
    values, variances = [], []
    options = []
    for s in np.unique(strata_codes):
        members = np.flatnonzero(strata_codes == s)
        options.append([list(c) for c in combinations(members, members.size // 2)])
    for parts in product(*options):
        z = np.ones(8, dtype=np.int64)
        z[np.concatenate(parts)] = 0
        psi = crossfit.scores(np.where(z == 0, Y1, Y0), z, np.full((8, 2), 0.5), predicted)
        values.append(psi.mean())
        found = crossfit.spread(psi - psi.mean(), np.ones(8), 2 * strata_codes + z, strata_codes)
        variances.append(found.variance)
        assert found.pooled == (4 if len(options) == 4 else 0)
    assert np.mean(values) == pytest.approx(EFFECT, abs=1e-12)
    assert np.mean(variances) >= np.var(values) - 1e-12


def test_one_small_stratum_alone_makes_one_group() -> None:
    strata = np.array([0, 0, 0, 0, 1, 1])
    cells = np.array([0, 0, 1, 1, 2, 3])
    found = crossfit.spread(X[:6], np.ones(6), cells, strata)
    assert found.pooled == -1
    assert found.variance == pytest.approx(X[:6].var(ddof=1) / 6)
    assert found.dof == 5.0


def test_folds_are_even_within_cells_and_over_all() -> None:
    cells = np.repeat([0, 1, 2], [7, 11, 5])
    fold = crossfit.folds_of(np.random.default_rng(1).random(23), cells, 4)
    for cell in range(3):
        count = np.bincount(fold[cells == cell], minlength=4)
        assert np.ptp(count) <= 1
    assert np.ptp(np.bincount(fold)) <= 1
