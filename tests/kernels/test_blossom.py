"""Perfect matchings of least weight: against enumeration, integer programming, and graphs without one."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from kokeilu._kernels.blossom import perfect_matching
from kokeilu._kernels.streams import Seed


def least(table: np.ndarray) -> float:
    """Return the least weight of a perfect matching, by recursion over sets."""
    n = len(table)

    @cache
    def rest(used: int) -> float:
        if used == (1 << n) - 1:
            return 0.0
        i = next(i for i in range(n) if not used >> i & 1)
        others = [j for j in range(i + 1, n) if not used >> j & 1]
        return min(table[i, j] + rest(used | 1 << i | 1 << j) for j in others)

    return rest(0)


def weight(table: np.ndarray, mate: np.ndarray) -> float:
    n = len(mate)
    assert (mate[mate] == np.arange(n)).all()
    assert (mate != np.arange(n)).all()
    return float(table[np.arange(n), mate].sum() / 2)


def whole_graph(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    left, right = np.triu_indices(len(table), 1)
    return np.stack([left, right], axis=1), table[left, right]


@pytest.mark.parametrize("n", [2, 4, 6, 8, 10, 12])
@pytest.mark.parametrize("kind", ["few weights", "any weights", "plane", "lattice"])
def test_least_weight_in_complete_graphs(n, kind):
    for rep in range(25):
        doubles = Seed.of(f"{kind} {n} {rep}").stream("weights").doubles(n, n)
        if kind == "few weights":
            table = np.floor(doubles * 6)
        elif kind == "any weights":
            table = np.floor(doubles * 2**40)
        else:
            points = doubles[:, :2] if kind == "plane" else np.floor(doubles[:, :2] * 4)
            table = np.rint(np.linalg.norm(points[:, None] - points[None], axis=2) * 2**20)
        table = np.triu(table, 1) + np.triu(table, 1).T
        assert weight(table, perfect_matching(n, *whole_graph(table)).mate) == least(table)


@pytest.mark.parametrize(("n", "p"), [(60, 2), (120, 3), (200, 5)])
def test_least_weight_in_sparse_graphs_by_integer_programming(n, p):
    points = Seed.of(f"sparse {n}").stream("points").doubles(n, p)
    table = np.rint(np.linalg.norm(points[:, None] - points[None], axis=2) * 2**20)
    near = np.argsort(table, axis=1)[:, 1:9]
    left = np.repeat(np.arange(n), 8)
    ends = np.unique(np.sort(np.stack([left, near.ravel()], axis=1), axis=1), axis=0)
    weights = table[ends[:, 0], ends[:, 1]]
    m = len(ends)
    meets = csr_array((np.ones(2 * m), (ends.T.ravel(), np.tile(np.arange(m), 2))), shape=(n, m))
    best = milp(weights / 2**20, constraints=LinearConstraint(meets, 1, 1), integrality=np.ones(m), bounds=Bounds(0, 1))
    found = weight(table, perfect_matching(n, ends, weights).mate) / 2**20
    assert found == pytest.approx(best.fun, rel=1e-7)


def test_two_odd_components_have_no_perfect_matching():
    ends = np.array([[0, 1], [1, 2], [0, 2], [3, 4], [4, 5], [3, 5]])
    assert (perfect_matching(6, ends, np.ones(6)).mate == -1).all()


def test_the_blossom_that_a_greedy_choice_misses():
    # A triangle of short edges: each corner must go to its own far partner all the same.
    ends = np.array([[0, 1], [1, 2], [0, 2], [0, 3], [1, 4], [2, 5]])
    mate = perfect_matching(6, ends, np.array([1.0, 1, 1, 50, 50, 50])).mate
    assert mate.tolist() == [3, 4, 5, 0, 1, 2]
