"""The proof of how far pairs are from the least total over all pairs of people."""

from __future__ import annotations

import numpy as np
import pytest

from kokeilu._kernels import pairing
from kokeilu._kernels.blossom import perfect_matching
from kokeilu._kernels.exchange import tuple_cost
from kokeilu._kernels.nearness import GRID, between, nearest, sphered
from kokeilu._kernels.pairing import nearby_tuples
from kokeilu._kernels.pricing import shortfalls
from kokeilu._kernels.streams import Seed


def clumps(gap: float, size: int, groups: int) -> np.ndarray:
    """Return clumps of an odd size: one of each must find a partner in another clump."""
    centres = Seed.of(f"clumps {size}").stream("centres").doubles(groups, 2) * gap
    noise = Seed.of(f"clumps {size}").stream("noise").doubles(groups * size, 2)
    return sphered(np.repeat(centres, size, axis=0) + noise, np.zeros(groups * size, dtype=np.int64))


def matched(x: np.ndarray, ends: np.ndarray):
    weights = np.rint(between(x, ends[:, 0], ends[:, 1]) * GRID)
    found = perfect_matching(len(x), ends, weights)
    return found, float(np.rint(between(x, np.arange(len(x)), found.mate) * GRID).sum()) / 2


@pytest.mark.parametrize(("gap", "size", "groups"), [(3, 7, 20), (30, 15, 10), (300, 13, 12)])
def test_the_bound_holds_and_the_least_matching_has_no_shortfall(gap, size, groups):
    x = clumps(gap, size, groups)
    n = len(x)
    everybody = np.stack(np.triu_indices(n, 1), axis=1)
    best, least = matched(x, everybody)
    assert shortfalls(x, best)[2] == 0
    near = nearest(x, np.arange(n), np.arange(n), 4)
    path = np.stack([np.arange(n - 1), np.arange(1, n)], axis=1)
    ends = np.concatenate([np.stack([np.repeat(np.arange(n), 4), near.ravel()], axis=1), path])
    some, weight = matched(x, np.unique(np.sort(ends, axis=1), axis=0))
    keys, slacks, room = shortfalls(x, some)
    assert weight > least
    assert room >= weight - least
    assert len(keys) == len(slacks) > 0
    assert slacks.max() < 0


@pytest.mark.parametrize(("gap", "size", "groups"), [(30, 15, 20), (300, 13, 24), (30, 25, 12)])
def test_pairs_in_clumps_of_odd_size_are_certainly_near_the_least(monkeypatch, gap, size, groups):
    x = clumps(gap, size, groups)
    one = np.zeros(len(x), dtype=np.int64)
    found = tuple_cost(x, nearby_tuples(x, one, 2))
    monkeypatch.setattr(pairing, "COMPLETE", len(x))
    assert found <= tuple_cost(x, nearby_tuples(x, one, 2)) * (1 + pairing.TOLERANCE)
