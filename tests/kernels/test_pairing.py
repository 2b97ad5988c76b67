"""Tuples at the least total distance wherever it is known: small cases, lines, planted twins."""

from __future__ import annotations

from functools import cache
from itertools import combinations

import numpy as np
import pytest

from kokeilu._kernels import pairing
from kokeilu._kernels.exchange import tuple_cost
from kokeilu._kernels.nearness import nearest, sphered
from kokeilu._kernels.pairing import nearby_tuples, sorted_tuples
from kokeilu._kernels.streams import Seed


def one(n: int) -> np.ndarray:
    return np.zeros(n, dtype=np.int64)


def cloud(name: str, n: int, p: int) -> np.ndarray:
    return sphered(Seed.of(name).stream("x").doubles(n, p), one(n))


def least(x: np.ndarray, size: int) -> float:
    """Return the least total distance of tuples of `size` and one of the rest, by recursion over sets."""
    n = len(x)
    table = np.linalg.norm(x[:, None] - x[None], axis=2)

    @cache
    def rest(used: int, short: int) -> float:
        free = [i for i in range(n) if not used >> i & 1]
        if not free:
            return 0.0
        best = np.inf
        for length in {size, short} - {0}:
            for others in combinations(free[1:], length - 1):
                group = (free[0], *others)
                inside = sum(table[a, b] for a, b in combinations(group, 2))
                after = rest(used | sum(1 << i for i in group), 0 if length == short else short)
                best = min(best, inside + after)
        return best

    return float(rest(0, n % size))


def sizes(label: np.ndarray) -> list[int]:
    return sorted(np.bincount(label).tolist())


@pytest.mark.parametrize(("n", "size"), [(n, 2) for n in range(3, 13)] + [(7, 3), (9, 3), (10, 4), (11, 3), (14, 3)])
def test_small_cases_reach_the_least_total(n, size):
    for rep in range(4):
        x = cloud(f"{n} {size} {rep}", n, 2)
        label = nearby_tuples(x, one(n), size)
        assert sizes(label) == sorted([size] * (n // size) + [n % size] * (n % size > 0))
        assert tuple_cost(x, label) == pytest.approx(least(x, size), rel=1e-5)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_on_a_line_neighbours_are_optimal_wherever_the_short_tuple_stands(size):
    for n in (8, 9, 10, 11):
        x = cloud(f"line {n}", n, 1)
        assert tuple_cost(x, nearby_tuples(x, one(n), size)) == pytest.approx(least(x, size), rel=1e-9)


@pytest.mark.parametrize("n", [500, 2_000])
def test_points_of_a_line_laid_out_in_space_are_paired_with_their_neighbours(n):
    place = np.sort(Seed.of("line").stream("x").doubles(n, 1), axis=0) * 1_000
    order = np.argsort(Seed.of("line").stream("mix").words(1, n)[0])
    x = np.column_stack([place, 2 * place, -place])[order]
    best = float((place[1::2] - place[::2]).sum() * np.sqrt(6))
    assert tuple_cost(x, nearby_tuples(x, one(n), 2)) <= best * 1.0001


@pytest.mark.parametrize("size", [2, 3, 4])
def test_planted_twins_are_found(size):
    groups = 400
    centres = Seed.of("twins").stream("x").doubles(groups, 3) * 100
    jitter = Seed.of("twins").stream("jitter").doubles(groups * size, 3) * 0.01
    owner = np.argsort(Seed.of("twins").stream("mix").words(1, groups * size)[0]) % groups
    x = centres[owner] + jitter
    label = nearby_tuples(x, one(len(x)), size)
    planted = tuple_cost(x, owner)
    assert tuple_cost(x, label) <= planted * 1.01


def test_pairs_on_the_neighbour_graph_are_within_one_per_cent_of_those_on_all_edges(monkeypatch):
    x = cloud("all edges", 240, 4)
    sparse = tuple_cost(x, nearby_tuples(x, one(240), 2))
    monkeypatch.setattr(pairing, "COMPLETE", 240)
    assert sparse <= tuple_cost(x, nearby_tuples(x, one(240), 2)) * 1.01


def test_parts_of_a_large_stratum_cost_little(monkeypatch):
    x = cloud("parts", 600, 2)
    whole = tuple_cost(x, nearby_tuples(x, one(600), 2))
    monkeypatch.setattr(pairing, "WHOLE", 200)
    monkeypatch.setattr(pairing, "PART", 200)
    label = nearby_tuples(x, one(600), 2)
    assert sizes(label) == [2] * 300
    assert whole <= tuple_cost(x, label) <= whole * 1.05


def test_no_exchange_of_two_people_helps_triplets():
    x = cloud("triplets", 301, 3)
    label = nearby_tuples(x, one(301), 3)
    assert sizes(label) == [1] + [3] * 100
    best = tuple_cost(x, label)
    near = nearest(x, np.arange(301), np.arange(301), 2)
    for a in range(301):
        for b in near[a]:
            if label[a] != label[b]:
                other = label.copy()
                other[a], other[b] = label[b], label[a]
                assert tuple_cost(x, other) >= best - 1e-5


def test_identical_people_are_put_together_first():
    x = np.repeat(np.array([[0.0, 0], [0, 1], [5, 5]]), [5, 4, 3], axis=0)
    label = nearby_tuples(x, one(12), 2)
    assert sizes(label) == [2] * 6
    # 5 and 3 are odd: one of each must cross.
    assert tuple_cost(x, label) == pytest.approx(np.sqrt(50))
    assert label[:4].tolist() in ([0, 0, 1, 1], [1, 1, 2, 2])


def test_everybody_identical_is_cut_in_order_of_position():
    assert nearby_tuples(np.zeros((5, 0)), one(5), 2).tolist() == [0, 0, 1, 1, 2]
    assert sizes(nearby_tuples(np.ones((5_000, 2)), one(5_000), 2)) == [2] * 2_500


def test_tuples_never_cross_strata():
    x = cloud("strata", 61, 2)
    strata = (np.arange(61) % 7).astype(np.int64)
    for size in (2, 3, 5):
        label = nearby_tuples(x, strata, size)
        pairs = np.unique(np.stack([label, strata]), axis=1)
        assert (np.diff(pairs[0]) == 1).all()
        assert (np.diff(strata[np.unique(label, return_index=True)[1]]) >= 0).all()


def test_sorted_tuples_cut_each_stratum_and_ties_stand_in_order_of_position():
    score = np.array([5.0, 1, 1, 1, 2, 9, 1])
    strata = np.array([0, 0, 0, 0, 0, 1, 1])
    assert sorted_tuples(score, strata, 2).tolist() == [2, 0, 0, 1, 1, 3, 3]
    assert sorted_tuples(score, strata, 3).tolist() == [1, 0, 0, 0, 1, 2, 2]


def test_sorted_tuples_are_those_of_numpy_sorting():
    score = Seed.of("score").stream("x").doubles(1, 10_001)[0]
    label = sorted_tuples(score, one(10_001), 2)
    assert (label[np.argsort(score)] == np.arange(10_001) // 2).all()
