"""Threshold blocking: blocks of at least k people whose largest distance is within four times the least possible.

1. Everybody points to the k - 1 nearest others (ties by position; identical people, where there are k or more, point
   to k - 1 of their own kind).
2. Seeds: going through people by ascending in-degree and then position, somebody becomes a seed when neither they
   nor anybody they point to is taken; they and those they point to are then taken, and are a block.
3. The rest join the block of the nearest seed (ties by the seed's position).

A person left over points to somebody who is taken, who is at most one step from a seed, so that nobody is more than two
steps from the nearest seed, and two of one block at most four (Higgins, Sävje & Sekhon 2016, theorem 1). A block of 2k
people or more is then cut in two where that is possible, which only shortens distances.

Source: Higgins, Sävje & Sekhon (2016), "Improving massive experiments with threshold blocking", PNAS 113, 7369-7376.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.nearness import between, identical, nearest

__all__ = ["threshold_blocks"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def threshold_blocks(x: Floats, strata: Ints, k: int) -> Ints:
    """Group each stratum into blocks of at least k; a stratum of fewer is one block.

    Parameters
    ----------
    x : float64 array, shape (n, r)
        Coordinates.
    strata : int64 array, shape (n,)
    k : int

    Returns
    -------
    int64 array, shape (n,)
        Blocks 0..B-1, numbered by stratum and first position.
    """
    order = np.argsort(strata, kind="stable")
    label = np.empty(len(x), dtype=np.int64)
    for people in np.split(order, np.cumsum(np.bincount(strata))[:-1]):
        # The label of a block is one of its members, so that strata never share labels.
        label[people] = people[_one_stratum(x[people], k)]
    _, first, label = np.unique(label, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.lexsort((first, strata[first]))] = np.arange(len(first))
    return rank[label]


def _one_stratum(x: Floats, k: int) -> Ints:
    """Return for each person a member of their block who stands for it."""
    n = len(x)
    if n < 2 * k or x.shape[1] == 0:
        return np.zeros(n, dtype=np.int64) if n < 2 * k else np.minimum(np.arange(n) // k, n // k - 1) * k
    if k == 1:
        return np.arange(n)
    points = _pointed_to(x, k)
    owner = _seeds(points)
    rest = np.flatnonzero(owner < 0)
    if len(rest):
        owner[rest] = _nearest_seed(x, rest, np.unique(owner[owner >= 0]))
    return _cut(x, owner, k)


def _pointed_to(x: Floats, k: int) -> Ints:
    """Return the k - 1 nearest others of each person, shape (n, k - 1)."""
    order, group, place = identical(x)
    count = np.bincount(group)[group]
    points = np.empty((len(x), k - 1), dtype=np.int64)
    many = count >= k
    # The r-th of m identical people points within the r // k-th k of them; the last m mod k to the last k.
    part = np.minimum(place, count // k * k - 1) // k * k
    start = np.arange(len(x)) - place + part
    near = start[:, None] + np.arange(k)
    himself = np.where(place - part < k, place - part, k - 1)
    kept = np.arange(k) != himself[:, None]
    points[order[many]] = order[near[many][kept[many]].reshape(-1, k - 1)]
    few = np.sort(order[~many])
    if len(few):
        points[few] = nearest(x, few, np.sort(order[place < k]), k - 1)
    return points


def _seeds(points: Ints) -> Ints:
    """Return for each person the seed whose block they are in, -1 for the rest."""
    n = len(points)
    degree = np.bincount(points.ravel(), minlength=n)
    owner = [-1] * n
    aims = points.tolist()
    for i in np.lexsort((np.arange(n), degree)).tolist():
        if owner[i] < 0 and all(owner[j] < 0 for j in aims[i]):
            owner[i] = i
            for j in aims[i]:
                owner[j] = i
    return np.array(owner, dtype=np.int64)


def _nearest_seed(x: Floats, rest: Ints, seeds: Ints) -> Ints:
    order, _, place = identical(x[seeds])
    distinct = np.sort(seeds[order[place == 0]])
    return nearest(x, rest, distinct, 1)[:, 0]


def _cut(x: Floats, owner: Ints, k: int) -> Ints:
    """Cut each block of 2k or more in two, k or more around each end of its longest distance."""
    order = np.argsort(owner, kind="stable")
    _, first = np.unique(owner[order], return_index=True)
    pending = [block for block in np.split(order, first[1:]) if len(block) >= 2 * k]
    while pending:
        block = pending.pop()
        lengths = between(x, block[:, None], block[None, :])
        a, b = np.unravel_index(int(np.argmax(lengths)), lengths.shape)
        lean = lengths[a] - lengths[b]
        ranked = block[np.lexsort((block, lean))]
        closer = min(max(int((lean < 0).sum()), k), len(block) - k)
        for part in (ranked[:closer], ranked[closer:]):
            owner[part] = part.min()
            if len(part) >= 2 * k:
                pending.append(part)
    return owner
