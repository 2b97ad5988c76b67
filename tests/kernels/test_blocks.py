"""Threshold blocks: the least size, the bound on distances, and a peer's quality."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kokeilu._kernels.blocks import threshold_blocks
from kokeilu._kernels.exchange import tuple_cost
from kokeilu._kernels.nearness import nearest, sphered
from kokeilu._kernels.streams import Seed

QUICKBLOCK = json.loads((Path(__file__).parents[1] / "reference" / "matching.json").read_text())["quickblock_n30"]


def one(n: int) -> np.ndarray:
    return np.zeros(n, dtype=np.int64)


def longest(x: np.ndarray, label: np.ndarray) -> float:
    blocks = (x[label == b] for b in range(label.max() + 1))
    return max(float(np.linalg.norm(b[:, None] - b[None], axis=2).max()) for b in blocks)


@pytest.mark.parametrize("case", QUICKBLOCK, ids=lambda case: f"k={case['k']}")
def test_no_worse_than_quickblock(case):
    x = np.array(case["points"])
    label = threshold_blocks(x, one(30), case["k"])
    assert np.bincount(label).min() >= case["k"]
    assert longest(x, label) <= case["max_dist"] + 1e-9
    assert tuple_cost(x, label) <= case["sum_dists"] + 1e-9


@pytest.mark.parametrize("k", [2, 3, 5, 8])
@pytest.mark.parametrize(("n", "p"), [(400, 1), (400, 2), (401, 5)])
def test_no_distance_exceeds_four_times_a_bound_from_below(n, p, k):
    x = Seed.of(f"blocks {n} {p}").stream("x").doubles(n, p)
    label = threshold_blocks(x, one(n), k)
    assert np.bincount(label).min() >= k
    # Somebody's k - 1 nearest are this far away, and a block holds k - 1 others.
    near = nearest(x, np.arange(n), np.arange(n), k - 1)[:, -1]
    assert longest(x, label) <= 4 * np.linalg.norm(x - x[near], axis=1).max()


def test_identical_people_make_blocks_of_their_own():
    x = np.repeat(np.array([[0.0, 1], [4, 4], [9, 0]]), [7, 6, 3], axis=0)
    label = threshold_blocks(x, one(16), 3)
    assert longest(x, label) == 0
    assert sorted(np.bincount(label).tolist()) == [3, 3, 3, 3, 4]


def test_many_identical_people_are_cut_fine():
    x = np.floor(Seed.of("binary").stream("x").doubles(20_000, 3) * 2)
    sizes = np.bincount(threshold_blocks(x, one(20_000), 4))
    assert sizes.min() >= 4
    assert sizes.max() <= 7


def test_blocks_never_cross_strata_and_small_strata_are_one_block():
    x = Seed.of("strata").stream("x").doubles(50, 2)
    strata = np.repeat([0, 1, 2, 3], [30, 1, 3, 16])
    label = threshold_blocks(x, strata, 4)
    assert (np.diff(np.unique(np.stack([label, strata]), axis=1)[0]) == 1).all()
    assert (label[strata == 1] == label[30]).sum() == 1
    assert len(np.unique(label[strata == 2])) == 1


def test_without_any_covariate_that_varies_blocks_follow_positions():
    x = sphered(np.ones((7, 2)), one(7))
    assert threshold_blocks(x, one(7), 3).tolist() == [0, 0, 0, 1, 1, 1, 1]


def test_blocks_of_one_person():
    assert threshold_blocks(np.arange(4.0)[:, None], one(4), 1).tolist() == [0, 1, 2, 3]
