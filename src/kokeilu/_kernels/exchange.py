"""Lower the total distance inside tuples by exchanging members between tuples that stand near each other.

Two kinds of step: two people of two tuples change places; and a few tuples, together of at most twelve people, are
taken apart and put together in the best of all ways. Distances are whole numbers of 2**-20, so that sums are exact
and equal ways are told apart by their number alone.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.nearness import GRID, between

__all__ = ["LISTED", "best_partition", "improved", "tuple_cost"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

LISTED = 12
"""Up to so many people all ways to form tuples are compared: at most 15,400."""

ROUNDS = 200
REBUILT = 40
"""Rounds of rebuilding; each tuple is in at most one rebuilding a round."""

COMPANY = 4
"""Tuples near each tuple from which its company for rebuilding is chosen."""

CELLS = 2**23


def tuple_cost(x: Floats, label: Ints) -> float:
    """Return the sum of distances between members of the same tuple."""
    members = _members(label)
    total = 0.0
    for a in range(members.shape[1]):
        for b in range(a):
            both = (members[:, a] >= 0) & (members[:, b] >= 0)
            total += float(between(x, members[both, a], members[both, b]).sum())
    return total


def best_partition(x: Floats, size: int) -> Ints:
    """Return the labels of the best of all ways to form tuples of at most twelve people; one tuple may be shorter."""
    n = len(x)
    ways, inside = _ways(n, size)
    left, right = np.triu_indices(n, 1)
    return np.array(ways[int(np.argmin(inside @ _whole(x, left, right)))])


def improved(x: Floats, label: Ints, near: Ints, size: int) -> Ints:
    """Return labels after all exchanges that lower the total.

    Parameters
    ----------
    x : float64 array, shape (n, r)
    label : int64 array, shape (n,)
        Tuples 0..T-1 of `size`, the last one perhaps shorter.
    near : int64 array, shape (n, m)
        Near neighbours of each person.
    size : int
    """
    label = label.copy()
    together, tuples = LISTED // size, int(label.max()) + 1
    for _ in range(REBUILT):
        for _ in range(ROUNDS):
            if not _exchange(x, label, near):
                break
        if together < 2 or not _rebuild(x, label, near, size, min(together, 3, tuples)):
            break
    return label


def _whole(x: Floats, left: Ints, right: Ints) -> Floats:
    return np.rint(between(x, left, right) * GRID)


@lru_cache(maxsize=32)
def _ways(n: int, size: int) -> tuple[Ints, Floats]:
    """List the ways to cut n people into tuples of `size` and one of the rest: labels (W, n), and which of the
    n (n - 1) / 2 pairs are together (W, pairs)."""
    found: list[list[int]] = []

    def place(labels: list[int], number: int, short: int) -> None:
        free = [i for i, owner in enumerate(labels) if owner < 0]
        if not free:
            found.append(labels)
            return
        for length in _lengths(len(free), size, short):
            for others in combinations(free[1:], length - 1):
                taken = {free[0], *others}
                rest = [number if i in taken else owner for i, owner in enumerate(labels)]
                place(rest, number + 1, short if length == size else 0)

    place([-1] * n, 0, n % size)
    ways = np.array(found, dtype=np.int64)
    left, right = np.triu_indices(n, 1)
    return ways, (ways[:, left] == ways[:, right]).astype(np.float64)


def _lengths(free: int, size: int, short: int) -> list[int]:
    """Return the lengths that the next tuple may have."""
    return ([size] if free >= size else []) + ([short] if short else [])


def _members(label: Ints) -> Ints:
    """Return the members of each tuple, shape (T, largest), -1 where a tuple is shorter."""
    counts = np.bincount(label)
    order = np.argsort(label, kind="stable")
    table = np.full((len(counts), int(counts.max())), -1, dtype=np.int64)
    table[label[order], np.arange(len(label)) - np.repeat(np.cumsum(counts) - counts, counts)] = order
    return table


def _exchange(x: Floats, label: Ints, near: Ints) -> bool:
    """Swap members of neighbouring tuples where that lowers the total; each tuple at most once. In place."""
    members = _members(label)
    n = len(label)
    right = members[label[near]].reshape(n, -1)
    left = np.broadcast_to(np.arange(n)[:, None], right.shape)
    fits = (right >= 0) & (label[left] != label[np.maximum(right, 0)])
    pairs = np.unique(np.minimum(left, right)[fits] * n + np.maximum(left, right)[fits])
    i, j = pairs // n, pairs % n
    own = _reach(x, np.arange(n), members[label])
    gain = own[i] + own[j] - _reach(x, i, members[label[j]]) - _reach(x, j, members[label[i]]) + 2 * _whole(x, i, j)
    order = np.lexsort((pairs, -gain))
    order = order[gain[order] > 0]
    touched: set[int] = set()
    for a, b in zip(i[order].tolist(), j[order].tolist(), strict=True):
        if label[a] not in touched and label[b] not in touched:
            touched |= {int(label[a]), int(label[b])}
            label[a], label[b] = label[b], label[a]
    return bool(touched)


def _reach(x: Floats, who: Ints, groups: Ints) -> Floats:
    """Return the sum of distances from each person to the members of a group, shape (len(who),)."""
    total = np.zeros(len(who))
    for column in groups.T:
        total += np.where(column >= 0, _whole(x, who, np.maximum(column, 0)), 0.0)
    return total


def _rebuild(x: Floats, label: Ints, near: Ints, size: int, together: int) -> bool:
    """Put a few neighbouring tuples together anew where that lowers the total. In place."""
    members = _members(label)
    sets = _companies(label, near, members, together)
    whole = (members[sets] >= 0).all(axis=(1, 2))
    touched: set[int] = set()
    for chosen in (sets[~whole], sets[whole]):
        if len(chosen):
            _rebuild_alike(x, label, members, chosen, touched)
    return bool(touched)


def _rebuild_alike(x: Floats, label: Ints, members: Ints, sets: Ints, touched: set[int]) -> None:
    """Rebuild sets of tuples (B, together) with the same number of people, each tuple at most once. In place."""
    table = members[sets].reshape(len(sets), -1)
    people = table[table >= 0].reshape(len(sets), -1)
    ways, inside = _ways(people.shape[1], members.shape[1])
    left, right = np.triu_indices(people.shape[1], 1)
    gains, choices = [], []
    step = max(1, CELLS // len(ways))
    for start in range(0, len(sets), step):
        batch = people[start : start + step]
        lengths = _whole(x, batch[:, left], batch[:, right])
        costs = lengths @ inside.T
        now = (lengths * (label[batch[:, left]] == label[batch[:, right]])).sum(axis=1)
        choices.append(costs.argmin(axis=1))
        gains.append(now - costs.min(axis=1))
    gain, way = np.concatenate(gains), np.concatenate(choices)
    for place in np.lexsort((np.arange(len(gain)), -gain)).tolist():
        chosen = set(sets[place].tolist())
        if gain[place] <= 0:
            return
        if not chosen & touched:
            touched |= chosen
            label[people[place]] = sets[place][ways[way[place]]]


def _companies(label: Ints, near: Ints, members: Ints, together: int) -> Ints:
    """Return distinct sets of `together` tuples that stand near each other, shape (B, together)."""
    sets: set[tuple[int, ...]] = set()
    beside = label[near]
    for number, row in enumerate(members):
        others = dict.fromkeys(beside[row[row >= 0]].T.ravel().tolist())
        company = [other for other in others if other != number][:COMPANY]
        sets |= {tuple(sorted((number, *rest))) for rest in combinations(company, together - 1)}
    return np.array(sorted(sets), dtype=np.int64).reshape(-1, together)
