"""Tuples of people who are alike.

Pairs: perfect matching of least total distance (Edmonds 1965, in ``blossom``) on the graph of nearest neighbours, to
which edges are added until the duals prove the total to be within 0.2 % of the least over all pairs (``pricing``); a
dummy at distance 0 from everybody takes the person left over, so that leaving out is optimal too. Tuples of three and
more: groups around the person farthest from the centre, then exchanges (in ``exchange``). One dimension: tuples of
neighbours are optimal. Identical people are put together first, by the triangle inequality without loss for pairs.

Sources: Greevy, Lu, Silber & Rosenbaum (2004), "Optimal multivariate matching before randomization", Biostatistics 5,
263-275; Bai (2022), "Optimality of matched-pair designs", AER 112, 3911-3940; Domingo-Ferrer & Mateo-Sanz (2002),
"Practical data-oriented microaggregation", IEEE TKDE 14, 189-201 (groups from the outside in).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.blossom import Matching, perfect_matching
from kokeilu._kernels.exchange import LISTED, best_partition, improved, tuple_cost
from kokeilu._kernels.nearness import GRID, between, identical, nearest
from kokeilu._kernels.pricing import shortfalls

__all__ = ["nearby_tuples", "sorted_tuples"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

WHOLE = 6_000
"""Strata above this are halved along their widest direction until they are not."""

PART = 1_500
COMPLETE = 64
"""Up to so many people every pair of them is an edge."""

NEIGHBOURS = 10
PRICINGS = 40
TOLERANCE = 0.002
"""Edges are added until the total is proved to be within this part of the least."""

MANY_STARTS = 200
"""Strata up to this are grouped from several ends, and the best grouping is kept."""

ENDS = 5


def sorted_tuples(score: Floats, strata: Ints, size: int) -> Ints:
    """Cut each stratum, in the order of the score and then the position, into tuples of `size`; the last is short.

    Returns
    -------
    int64 array, shape (n,)
        Tuples 0..T-1, numbered by stratum and score.
    """
    order = np.lexsort((score, strata))
    counts = np.bincount(strata)
    first = np.cumsum(counts) - counts
    place = np.arange(len(score)) - np.repeat(first, counts)
    tuples = -(-counts // size)
    out = np.empty(len(score), dtype=np.int64)
    out[order] = np.repeat(np.cumsum(tuples) - tuples, counts) + place // size
    return out


def nearby_tuples(x: Floats, strata: Ints, size: int) -> Ints:
    """Group each stratum into tuples of `size` at a small total distance; n mod `size` people are a shorter one.

    Parameters
    ----------
    x : float64 array, shape (n, r)
        Coordinates.
    strata : int64 array, shape (n,)
    size : int

    Returns
    -------
    int64 array, shape (n,)
        Tuples 0..T-1, numbered by stratum, the mean of the first coordinate, and the first position.
    """
    order = np.argsort(strata, kind="stable")
    label = np.empty(len(x), dtype=np.int64)
    used = 0
    for people in np.split(order, np.cumsum(np.bincount(strata))[:-1]):
        own = _one_stratum(x[people], size)
        label[people] = used + own
        used += int(own.max(initial=-1)) + 1
    return _numbered(label, strata, x[:, 0] if x.shape[1] else np.zeros(len(x)))


def _numbered(label: Ints, strata: Ints, key: Floats) -> Ints:
    """Number tuples by stratum, mean key and first position."""
    _, first, label = np.unique(label, return_index=True, return_inverse=True)
    middle = np.bincount(label, weights=key) / np.bincount(label)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.lexsort((first, middle, strata[first]))] = np.arange(len(first))
    return rank[label]


def _one_stratum(x: Floats, size: int) -> Ints:
    if len(x) <= size:
        return np.zeros(len(x), dtype=np.int64)
    if x.shape[1] <= 1:
        return _on_a_line(x[:, 0] if x.shape[1] else np.zeros(len(x)), size)
    order, group, place = identical(x)
    # Whole tuples of identical people first; the last ones of each group, too few for a tuple, go on.
    whole = place < np.bincount(group)[group] // size * size
    label = np.empty(len(x), dtype=np.int64)
    label[order[whole]] = np.arange(int(whole.sum())) // size
    rest = np.sort(order[~whole])
    if len(rest):
        label[rest] = int(whole.sum()) // size + _distinct(x[rest], size)
    return label


def _distinct(x: Floats, size: int) -> Ints:
    """Group people part by part; what the cuts between parts cost is then won back by exchanges across them."""
    people = np.arange(len(x))
    parts = _parts(x, people, size)
    label = np.empty(len(x), dtype=np.int64)
    used = 0
    for part in parts:
        label[part] = used + (_pairs(x[part]) if size == 2 else _tuples(x[part], size))
        used = int(label[part].max()) + 1
    if len(parts) > 1:
        label = improved(x, label, nearest(x, people, people, NEIGHBOURS), size)
    return label


def _on_a_line(score: Floats, size: int) -> Ints:
    """Cut the sorted line where it costs least: the short tuple stands before, between or after the whole ones."""
    n = len(score)
    order = np.lexsort((np.arange(n), score))
    short = n % size
    starts = np.arange(0, n - short + 1, size)
    at = n - short
    if short:
        before, after = _run_costs(score[order], size, 0), _run_costs(score[order], size, short)
        own = _short_costs(score[order], short, starts)
        cost = before + after[-1] - after + own
        at = int(starts[np.flatnonzero(cost == cost.min())[-1]])
    place = np.arange(n)
    where = np.where(place < at, place // size, np.where(place < at + short, n // size, (place - short) // size))
    label = np.empty(n, dtype=np.int64)
    label[order] = where
    return label


def _run_costs(line: Floats, size: int, offset: int) -> Floats:
    """Return the summed cost of the first 0, 1, ... whole tuples from an offset."""
    whole = len(line) // size
    table = line[offset : offset + whole * size].reshape(whole, size)
    # In a sorted tuple member i is the larger of i pairs and the smaller of size - 1 - i.
    signs = 2.0 * np.arange(size) - (size - 1)
    return np.concatenate([[0.0], np.cumsum(table @ signs)])


def _short_costs(line: Floats, short: int, starts: Ints) -> Floats:
    signs = 2.0 * np.arange(short) - (short - 1)
    return np.asarray(line[starts[:, None] + np.arange(short)] @ signs)


def _parts(x: Floats, people: Ints, size: int) -> list[Ints]:
    """Halve people along the widest coordinate until the parts are small enough to solve whole."""
    if len(people) <= WHOLE:
        return [people]
    pending, done = [people], []
    while pending:
        part = pending.pop()
        if len(part) <= PART:
            done.append(np.sort(part))
            continue
        column = int(np.argmax(np.ptp(np.quantile(x[part], [0.05, 0.95], axis=0), axis=0)))
        order = part[np.lexsort((part, x[part, column]))]
        half = len(part) // 2 // size * size
        pending += [order[half:], order[:half]]
    return done


def _pairs(x: Floats) -> Ints:
    """Match pairs of distinct points; one person stays single where their number is odd."""
    n = len(x)
    people = np.arange(n)
    if n <= COMPLETE:
        mate = _matched(x, _pair_keys(n, *np.triu_indices(n, 1)))[0].mate
    else:
        near = nearest(x, people, people, NEIGHBOURS)
        line = np.lexsort((people, *x.T[::-1]))
        # Neighbours in sorted order are edges too, so that a perfect matching exists.
        mate = _priced(x, _pair_keys(n, np.append(np.repeat(people, NEIGHBOURS), line[:-1]), np.append(near, line[1:])))
    return np.unique(np.minimum(mate, people), return_inverse=True)[1].astype(np.int64)


def _pair_keys(n: int, left: Ints, right: Ints) -> Ints:
    """Return the distinct edges between two people as numbers; -1 is nobody."""
    real = (left >= 0) & (right >= 0)
    return np.unique(np.minimum(left, right)[real] * n + np.maximum(left, right)[real])


def _priced(x: Floats, keys: Ints) -> Ints:
    """Match on some edges, and add those that could help until the total is certainly near the least of all."""
    matching, weight = _matched(x, keys)
    for _ in range(PRICINGS):
        more, slack, room = shortfalls(x, matching)
        if room <= TOLERANCE * weight:
            break
        best = np.lexsort((more, slack))[: NEIGHBOURS * len(x)]
        keys = np.union1d(keys, more[best])
        matching, weight = _matched(x, keys)
    return matching.mate


def _matched(x: Floats, keys: Ints) -> tuple[Matching, float]:
    """Return the matching over these edges and its weight; the one who stays single is their own partner."""
    n = len(x)
    ends = np.stack([keys // n, keys % n], axis=1)
    weights = np.rint(between(x, ends[:, 0], ends[:, 1]) * GRID)
    if n % 2:
        dummy = np.stack([np.arange(n), np.full(n, n)], axis=1)
        ends, weights = np.concatenate([ends, dummy]), np.concatenate([weights, np.zeros(n)])
    found = perfect_matching(n + n % 2, ends, weights)
    mate = np.where(found.mate == n, np.arange(n + n % 2), found.mate)[:n]
    weight = float(np.rint(between(x, np.arange(n), mate) * GRID).sum()) / 2
    return found._replace(mate=mate), weight


def _tuples(x: Floats, size: int) -> Ints:
    """Group people from the outside in, then exchange members while that lowers the total distance."""
    n = len(x)
    if n <= size:
        return np.zeros(n, dtype=np.int64)
    if n <= LISTED:
        return best_partition(x, size)
    people = np.arange(n)
    near = nearest(x, people, people, NEIGHBOURS)
    found = [improved(x, start, near, size) for start in _starts(x, size)]
    return found[int(np.argmin([tuple_cost(x, label) for label in found]))]


def _starts(x: Floats, size: int) -> Iterator[Ints]:
    """Yield groupings to improve: from the outside in, or from one end; the short tuple last or first."""
    out = ((x - x.mean(axis=0)) ** 2).sum(axis=1)
    ends = np.lexsort((np.arange(len(x)), -out))[:ENDS] if len(x) <= MANY_STARTS else np.zeros(0, dtype=np.int64)
    for far in (out, *(((x - x[end]) ** 2).sum(axis=1) for end in ends)):
        order = np.lexsort((np.arange(len(x)), -far))
        for first in sorted({size, len(x) % size or size}, reverse=True):
            yield _outside_in(x, order, size, first)


def _outside_in(x: Floats, order: Ints, size: int, first: int) -> Ints:
    """Group the first person in order and those nearest, the first of the others and those nearest, and so on."""
    label = np.empty(len(x), dtype=np.int64)
    left, number, wanted = order, 0, first
    while len(left) > wanted:
        away = between(x, left[:1], left)
        cut = np.partition(away, wanted - 1)[wanted - 1]
        taken = away < cut
        taken[np.flatnonzero(away == cut)[: wanted - int(taken.sum())]] = True
        label[left[taken]] = number
        left, number, wanted = left[~taken], number + 1, size
    label[left] = number
    return label
