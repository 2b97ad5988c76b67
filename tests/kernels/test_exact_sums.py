"""The exact law of a sum: by enumeration where that can be, and by what must hold where it cannot."""

from __future__ import annotations

from collections import Counter
from itertools import chain, combinations, product
from math import comb

import numpy as np
import pytest
from scipy import stats

from kokeilu._kernels import exact_sums
from kokeilu._kernels.exact_sums import SumLaw, exact_law
from kokeilu._kernels.lattice import strata_of

Ints = np.ndarray


def brute(values: Ints, marked: Ints, strata: Ints, seats: list[int]) -> dict[tuple[int, int], float]:
    groups = [combinations(np.flatnonzero(strata == s), m) for s, m in enumerate(seats)]
    found: Counter[tuple[int, int]] = Counter()
    for parts in product(*groups):
        chosen = list(chain(*parts))
        found[int(marked[chosen].sum()), int(values[chosen].sum())] += 1
    return {key: count / sum(found.values()) for key, count in found.items()}


def entries(law: SumLaw) -> dict[tuple[int, int], float]:
    return {(law.first + i, law.low + j): float(x) for (i, j), x in np.ndenumerate(law.mass)}


@pytest.mark.parametrize("trial", range(24))
def test_the_law_is_that_of_all_samples(trial: int) -> None:
    rng = np.random.default_rng(trial)
    sizes = rng.integers(1, 7, 3) if trial % 2 else rng.integers(2, 12, 1)
    seats = [int(rng.integers(0, n + 1)) for n in sizes]
    strata = np.repeat(np.arange(len(sizes)), sizes)
    values = rng.integers(0, 9, strata.size) * (100 if trial % 3 == 0 else 1)
    marked = rng.random(strata.size) < 0.4
    wanted = brute(values, marked, strata, seats)
    parts = strata_of(values, marked, strata, np.array(seats))
    joint, plain = exact_law(parts, joint=True), exact_law(parts)
    assert joint is not None
    assert plain is not None
    found = entries(joint)
    assert all(abs(found.get(key, 0.0) - wanted.get(key, 0.0)) < 1e-14 for key in set(found) | set(wanted))
    sums: Counter[int] = Counter()
    for (_, total), chance in wanted.items():
        sums[total] += chance  # type: ignore[assignment]
    found_sums = {total: chance for (_, total), chance in entries(plain).items()}
    assert all(abs(found_sums.get(t, 0.0) - sums.get(t, 0.0)) < 1e-14 for t in set(found_sums) | set(sums))


def test_a_binary_outcome_is_hypergeometric_at_a_hundred_thousand() -> None:
    n, m, events = 100_000, 30_000, 2_000
    values = (np.arange(n) < events).astype(np.int64)
    law = exact_law(strata_of(values, values > 0, np.zeros(n, dtype=np.int64), np.array([m])))
    assert law is not None
    k = law.low + np.arange(law.mass.shape[1])
    np.testing.assert_allclose(law.mass[0], stats.hypergeom.pmf(k, n, events, m), atol=1e-13)


def test_many_pairs_are_sums_of_signs() -> None:
    rng = np.random.default_rng(3)
    values, strata = rng.integers(0, 5, 600), np.arange(600) // 2
    law = exact_law(strata_of(values, values < 0, strata, np.ones(300, dtype=np.int64)))
    mass = np.ones(1)
    low = 0
    for a, b in values.reshape(-1, 2):
        step = np.zeros(abs(a - b) + 1)
        step[0] += 0.5
        step[-1] += 0.5
        mass, low = np.convolve(mass, step), low + min(a, b)
    assert law is not None
    shift = law.low - low
    np.testing.assert_allclose(law.mass[0], mass[shift : shift + law.mass.shape[1]], atol=1e-15)
    # What the window leaves out is nothing.
    assert mass[:shift].sum() + mass[shift + law.mass.shape[1] :].sum() < 1e-17


def test_values_on_a_coarser_lattice_keep_their_gaps() -> None:
    """Frequencies near those of the coarse lattice matter too, and must not be pruned."""
    values = np.array([0, 1000] * 200 + [1], dtype=np.int64)
    law = exact_law(strata_of(values, values < 0, np.zeros(401, dtype=np.int64), np.array([100])))
    assert law is not None
    sums = (law.low + np.arange(law.mass.shape[1])) % 1000
    assert law.mass[0][sums > 1].max() < 1e-15
    assert law.mass[0][sums == 1].sum() == pytest.approx(100 / 401, rel=1e-12)


def test_thousands_do_not_come_out_as_nought() -> None:
    """n = 2,000 and whole weeks, where exactRankTests 0.8-35 returns 0: the law agrees with its saddlepoint."""
    rng = np.random.default_rng(8)
    values = np.minimum(rng.geometric(0.08, 2_000), 27) - 1
    law = exact_law(strata_of(values, values < 0, np.zeros(2_000, dtype=np.int64), np.array([691])))
    assert law is not None
    sums = law.low + np.arange(law.mass.shape[1])
    mean, sd = 691 * values.mean(), np.sqrt(691 * 1309 * values.var(ddof=1) / 2000)
    for z in (-2.0, 0.0, 2.0):
        assert law.mass[0][sums >= mean + z * sd].sum() == pytest.approx(stats.norm.sf(z), rel=0.06)
    assert law.mass[0].sum() == pytest.approx(1.0, abs=1e-13)
    assert law.mass[0].min() > -1e-16


@pytest.mark.parametrize("joint", [False, True])
def test_blocks_do_not_show(joint: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    values, strata = rng.integers(0, 20, 300), np.repeat([0, 1, 2], 100)
    parts = strata_of(values, rng.random(300) < 0.5, strata, np.array([30, 50, 60]))
    whole = exact_law(parts, joint=joint)
    monkeypatch.setattr(exact_sums, "BLOCK", 997)
    again = exact_law(parts, joint=joint)
    assert whole is not None
    assert again is not None
    np.testing.assert_allclose(again.mass, whole.mass, atol=1e-16)


def test_what_would_cost_too_much_is_left() -> None:
    values = np.arange(400) ** 4
    parts = strata_of(values, values < 0, np.zeros(400, dtype=np.int64), np.array([200]))
    assert exact_law(parts) is None


def test_strata_that_are_all_drawn_or_not_at_all_are_constants() -> None:
    values, strata = np.array([4, 5, 6, 1, 2]), np.array([0, 0, 1, 2, 2])
    law = exact_law(strata_of(values, values > 4, strata, np.array([2, 0, 1])), joint=True)
    assert law is not None
    assert {key: round(x, 12) for key, x in entries(law).items() if x > 1e-12} == {(1, 10): 0.5, (1, 11): 0.5}
    alone = exact_law(strata_of(values, values > 4, np.zeros(5, dtype=np.int64), np.array([5])))
    assert alone is not None
    assert (alone.low, alone.mass.tolist()) == (18, [[1.0]])


def test_probabilities_of_single_samples() -> None:
    values = 2 ** np.arange(12)
    law = exact_law(strata_of(values, values < 0, np.zeros(12, dtype=np.int64), np.array([5])))
    assert law is not None
    positive = law.mass[0][law.mass[0] > 1e-9]
    assert len(positive) == comb(12, 5)
    np.testing.assert_allclose(positive, 1 / comb(12, 5), rtol=1e-11)
