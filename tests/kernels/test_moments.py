"""Design-based means: unbiased and conservative over every allocation of tiny populations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product

import numpy as np
import pytest

from kokeilu._kernels import moments
from kokeilu.errors import EstimationError


def numbers(n: int) -> np.ndarray:
    """Reproducible outcomes with heavy and unequal spread."""
    words = np.random.Philox(key=n).random_raw(n)
    return (words % 1_000_003).astype(np.float64) / 1000.0


def allocations(sizes: Sequence[int], treated: Sequence[int]) -> Iterator[np.ndarray]:
    """Every allocation with fixed numbers per stratum, int8 (n,)."""
    starts = np.concatenate([[0], np.cumsum(sizes)])
    choices = [combinations(range(int(s), int(e)), m) for s, e, m in zip(starts, starts[1:], treated, strict=False)]
    for chosen in product(*[list(c) for c in choices]):
        codes = np.zeros(sum(sizes), dtype=np.int8)
        codes[[i for group in chosen for i in group]] = 1
        yield codes


def outcomes(n: int) -> tuple[np.ndarray, np.ndarray]:
    y0 = numbers(n)
    return y0, y0 * 1.3 + numbers(2 * n)[n:] * 0.2 + 5.0


def test_complete_allocation_matches_neyman_exactly() -> None:
    y0, y1 = outcomes(7)
    strata = np.zeros(7, dtype=np.int64)
    found = [
        moments.two_sample(moments.cells(np.where(z == 1, y1, y0), z, strata, arm=1, reference=0))
        for z in allocations([7], [3])
    ]
    values = np.array([m.value for m in found])
    variances = np.array([m.variance for m in found])
    assert values.mean() == pytest.approx((y1 - y0).mean(), rel=1e-12)
    # E V = Var + S^2(effects) / n (Neyman 1923)
    assert variances.mean() == pytest.approx(values.var() + (y1 - y0).var(ddof=1) / 7, rel=1e-12)


@pytest.mark.parametrize(("sizes", "treated"), [([4, 5], [2, 2]), ([4, 4, 4], [2, 2, 2])])
def test_stratified_allocation_matches_neyman_exactly(sizes: list[int], treated: list[int]) -> None:
    n = sum(sizes)
    y0, y1 = outcomes(n)
    strata = np.repeat(np.arange(len(sizes)), sizes)
    weights = np.array(sizes, dtype=float)
    found = [
        moments.stratified(moments.cells(np.where(z == 1, y1, y0), z, strata, arm=1, reference=0), weights)
        for z in allocations(sizes, treated)
    ]
    values = np.array([m.value for m in found])
    excess = sum(s / n**2 * (y1 - y0)[strata == b].var(ddof=1) for b, s in enumerate(sizes))
    assert values.mean() == pytest.approx((y1 - y0).mean(), rel=1e-12)
    assert np.mean([m.variance for m in found]) == pytest.approx(values.var() + excess, rel=1e-12)
    assert found[0].dof == n - 2 * len(sizes)


@pytest.mark.parametrize(
    ("sizes", "treated", "method"),
    [([3, 3, 4], [1, 1, 2], "hybrid_m"), ([3, 4, 5], [1, 1, 1], "hybrid_p"), ([2, 2, 3, 3], [1, 1, 1, 2], "hybrid_m")],
)
def test_small_strata_are_conservative(sizes: list[int], treated: list[int], method: str) -> None:
    n = sum(sizes)
    y0, y1 = outcomes(n)
    strata = np.repeat(np.arange(len(sizes)), sizes)
    weights = np.array(sizes, dtype=float)
    found = [
        moments.hybrid(moments.cells(np.where(z == 1, y1, y0), z, strata, arm=1, reference=0), weights)
        for z in allocations(sizes, treated)
    ]
    values = np.array([m.value for m, _ in found])
    assert {name for _, name in found} == {method}
    assert values.mean() == pytest.approx((y1 - y0).mean(), rel=1e-12)
    assert np.mean([m.variance for m, _ in found]) >= values.var() * (1 - 1e-12)


def test_small_strata_without_any_variance_are_refused() -> None:
    y, codes = numbers(9), np.array([1, 0, 1, 0, 0, 0, 0, 0, 0], dtype=np.int8)
    strata = np.array([0, 0, 1, 1, 1, 1, 1, 1, 1])
    table = moments.cells(y, codes, strata, arm=1, reference=0)
    with pytest.raises(EstimationError, match="half or more of their people"):
        moments.hybrid(table, np.array([2.0, 7.0]))


def test_pairs_are_conservative_and_equal_the_hybrid() -> None:
    y0, y1 = outcomes(10)
    strata = np.repeat(np.arange(5), 2)
    values, variances = [], []
    for z in allocations([2] * 5, [1] * 5):
        table = moments.cells(np.where(z == 1, y1, y0), z, strata, arm=1, reference=0)
        found = moments.between_pairs(table.mean[:, 0] - table.mean[:, 1])
        same, _ = moments.hybrid(table, np.full(5, 2.0))
        assert found.variance == pytest.approx(float(same.variance), rel=1e-12)
        assert found.dof == same.dof == 4
        values.append(found.value)
        variances.append(found.variance)
    assert np.mean(values) == pytest.approx((y1 - y0).mean(), rel=1e-12)
    assert np.mean(variances) >= np.var(values)


def test_clusters_of_equal_size_are_unbiased_and_conservative() -> None:
    y0, y1 = outcomes(18)
    clusters, strata = np.repeat(np.arange(6), 3), np.zeros(18, dtype=np.int64)
    found = []
    for chosen in allocations([6], [3]):
        z = chosen[clusters]
        found.append(
            moments.clustered(moments.cluster_cells(np.where(z == 1, y1, y0), z, strata, clusters, arm=1, reference=0))
        )
    values = np.array([m.value for m in found])
    effects = (y1 - y0).reshape(6, 3).mean(axis=1)
    assert values.mean() == pytest.approx((y1 - y0).mean(), rel=1e-12)
    # CR2 with equal sizes is Neyman's variance of the cluster means
    assert np.mean([m.variance for m in found]) == pytest.approx(values.var() + effects.var(ddof=1) / 6, rel=1e-12)
    assert found[0].dof == pytest.approx(4.0, rel=1e-12)


def test_clusters_in_strata_are_unbiased_and_conservative() -> None:
    y0, y1 = outcomes(24)
    clusters = np.repeat(np.arange(8), 3)
    strata = np.repeat([0, 1], 12)
    sizes = np.array([12.0, 12.0])
    values, variances = [], []
    for chosen in allocations([4, 4], [2, 2]):
        z = chosen[clusters]
        table = moments.cluster_cells(np.where(z == 1, y1, y0), z, strata, clusters, arm=1, reference=0)
        found = moments.clustered_in_strata(table, sizes)
        values.append(found.value)
        variances.append(found.variance)
        assert found.dof == 4
    assert np.mean(values) == pytest.approx((y1 - y0).mean(), rel=1e-12)
    assert np.mean(variances) >= np.var(values)


def test_pairs_of_clusters_are_conservative() -> None:
    y0, y1 = outcomes(16)
    clusters, strata = np.repeat(np.arange(8), 2), np.repeat(np.arange(4), 4)
    values, variances = [], []
    for chosen in allocations([2] * 4, [1] * 4):
        z = chosen[clusters]
        table = moments.cells(np.where(z == 1, y1, y0), z, strata, arm=1, reference=0)
        found = moments.between_cluster_pairs(table.mean[:, 0] - table.mean[:, 1], np.full(4, 4.0))
        values.append(found.value)
        variances.append(found.variance)
    assert np.mean(values) == pytest.approx((y1 - y0).mean(), rel=1e-12)
    assert np.mean(variances) >= np.var(values)


def test_a_leading_axis_is_a_batch() -> None:
    y = numbers(12)
    strata = np.repeat([0, 1], 6)
    tables = [moments.cells(y, z, strata, arm=1, reference=0) for z in list(allocations([6, 6], [3, 3]))[:20]]
    stacked = moments.Cells(*(np.stack([getattr(t, f) for t in tables]) for f in ("count", "mean", "variance")))
    sizes = np.array([6.0, 6.0])
    batch = moments.stratified(stacked, sizes)
    dof = moments.satterthwaite(stacked, sizes)
    for row, table in enumerate(tables):
        single = moments.stratified(table, sizes)
        assert batch.value[row] == single.value
        assert batch.variance[row] == single.variance
        assert dof[row] == moments.satterthwaite(table, sizes)


def test_variances_survive_a_large_constant() -> None:
    y = numbers(9)
    codes = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0], dtype=np.int8)
    strata = np.zeros(9, dtype=np.int64)
    plain = moments.two_sample(moments.cells(y, codes, strata, arm=1, reference=0))
    moved = moments.two_sample(moments.cells(y + 1e9, codes, strata, arm=1, reference=0))
    assert moved.variance == pytest.approx(float(plain.variance), rel=1e-7)
    assert moved.value == pytest.approx(float(plain.value), abs=1e-6)
