"""The exact law of the leftover seats: every table with its probability, as a fraction.

It walks the tree of random orders and coins that ``seats`` defines, merging nodes with the same future, so that
small designs can be enumerated instead of drawn.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise, permutations
from math import factorial, gcd, lcm, prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.rounding import ClassTable, class_table, cycle_signs

__all__ = ["SeatMoments", "seat_law", "seat_moments"]

Ints = NDArray[np.int64]
Tables = NDArray[np.int8]
Floats = NDArray[np.float64]
Cells = tuple[int, ...]
Row = tuple[int, Cells]  # class, cells in the order of the arms
Pattern = tuple[int, ...]  # the seats of one stratum, 0 or 1 per arm
Key = tuple[tuple[Pattern, ...], ...]  # the patterns of each class

NODES = 50_000
"""Nodes of the tree after which a law counts as too costly: one to two seconds."""

_SLACK = -1


class Law(NamedTuple):
    """Outcomes (seats as bits, class c at bit c times the arms) with whole weights that add up to `total`."""

    total: int
    ways: dict[int, int]


class _TooManyError(Exception):
    """The tree has more nodes than the caller allows."""


def seat_law(fractions: Ints, unit: int, rule: str, limit: int) -> tuple[Tables, list[Fraction]] | None:
    """Enumerate the law of :func:`kokeilu._kernels.seats.leftover_seats`.

    Parameters
    ----------
    fractions, unit, rule
        As for ``leftover_seats``.
    limit : int
        Largest number of tables and of distinct nodes of the tree; of nodes at most `NODES` in any case.

    Returns
    -------
    tables : int8 array, shape (T, S, K)
        Every table that can be drawn, once each.
    probabilities : list of T fractions
        They add up to 1. None instead of both when a limit would be passed.
    """
    try:
        return _balanced_law(fractions, unit, limit) if rule == "balanced" else _stratum_law(fractions, unit, limit)
    except _TooManyError:
        return None


class SeatMoments(NamedTuple):
    """Second moments of the leftover seats e, by class of strata that owe the same fractions.

    `members` (S,) is the class of each stratum, -1 without fractions; `own` (C, K, K) the mean of e_sa e_sb over the
    strata s of a class; `across` (C, C, K, K) the mean of e_sa e_tb over pairs of different strata (NaN where there is
    no such pair).
    """

    members: Ints
    own: Floats
    across: Floats


def seat_moments(fractions: Ints, unit: int, limit: int) -> SeatMoments | None:
    """Second moments of the seats of ``leftover_seats(..., "balanced")``, exactly; None where that is too costly.

    Parameters
    ----------
    fractions, unit
        As for ``leftover_seats``.
    limit : int
        As for :func:`seat_law`.
    """
    table = class_table(fractions, unit)
    arms = fractions.shape[1]
    try:
        law = _pattern_law(table, arms, limit)
    except _TooManyError:
        return None
    counts = table.counts
    own = np.zeros((len(counts), arms, arms))
    both = np.zeros((len(counts), len(counts), arms, arms))
    for key, chance in law.items():
        rows = [np.array(patterns, dtype=np.float64) for patterns in key]
        totals = np.array([row.sum(axis=0) for row in rows])
        own += float(chance) * np.array([row.T @ row for row in rows])
        both += float(chance) * np.einsum("ca,db->cdab", totals, totals)
    pairs = np.multiply.outer(counts, counts) - np.diag(counts)
    both[np.arange(len(counts)), np.arange(len(counts))] -= own
    with np.errstate(invalid="ignore"):
        across = both / pairs[:, :, None, None]
    across[pairs == 0] = np.nan
    return SeatMoments(table.members, own / counts[:, None, None], across)


def _stratum_law(fractions: Ints, unit: int, limit: int) -> tuple[Tables, list[Fraction]]:
    rows = [tuple(row) for row in fractions.tolist()]
    laws = {row: _systematic_law(row, unit, limit) for row in set(rows)}
    if prod(len(laws[row]) for row in rows) > limit:
        raise _TooManyError
    probabilities = [Fraction(1)]
    for row in rows:
        probabilities = [p * q for p in probabilities for q in laws[row].values()]
    choices = [np.array(list(laws[row]), dtype=np.int8)[:, None, :] for row in rows]
    return _product(choices, fractions.shape[1]), probabilities


def _systematic_law(row: Cells, unit: int, limit: int) -> dict[Pattern, Fraction]:
    """Law of one stratum: each order of its arms, each interval of the start between two changes of the outcome."""
    live = [arm for arm, f in enumerate(row) if f]
    if factorial(len(live)) > limit:
        raise _TooManyError
    law: dict[Pattern, Fraction] = defaultdict(Fraction)
    for order in permutations(live):
        passed = [sum(row[arm] for arm in order[:place]) for place in range(len(order) + 1)]
        bounds = sorted({0, unit, *(-total % unit for total in passed)})
        for low, high in pairwise(bounds):
            seats = [0] * len(row)
            for arm, before in zip(order, passed, strict=False):
                seats[arm] = int((low + before) % unit + row[arm] >= unit)
            law[tuple(seats)] += Fraction(high - low, unit * factorial(len(live)))
    return law


def _balanced_law(fractions: Ints, unit: int, limit: int) -> tuple[Tables, list[Fraction]]:
    strata, arms = fractions.shape
    if not fractions.any():
        return np.zeros((1, strata, arms), dtype=np.int8), [Fraction(1)]
    table = class_table(fractions, unit)
    law = _pattern_law(table, arms, limit)
    counts = [prod(_arrangements(patterns) for patterns in key) for key in law]
    if sum(counts) > limit:
        raise _TooManyError
    members = [np.flatnonzero(table.members == c) for c in range(len(table.counts))]
    blocks, probabilities = [], []
    for (key, probability), count in zip(law.items(), counts, strict=True):
        seats = _product([np.array(_arrange(patterns), dtype=np.int8) for patterns in key], arms)
        block = np.zeros((count, strata, arms), dtype=np.int8)
        block[:, np.concatenate(members)] = seats
        blocks.append(block)
        probabilities += [probability / count] * count
    return np.concatenate(blocks), probabilities


def _pattern_law(table: ClassTable, arms: int, limit: int) -> dict[Key, Fraction]:
    """Law of the multiset of seat patterns in each class, over the orders of arms and classes and the coins."""
    live = [arm for arm in range(arms) if table.rest[:, arm].any() or table.whole[:, arm].any()]
    orders, budget = factorial(len(live)), min(limit, NODES)
    if orders > budget:
        raise _TooManyError
    law: dict[Key, Fraction] = defaultdict(Fraction)
    trees: dict[tuple[tuple[int, Cells], ...], Law] = {}
    for order in permutations(live):
        columns = list(order)
        rows = {int(c): tuple(table.rest[c, columns].tolist()) for c in table.open_rows}
        if table.slack.any():
            rows[_SLACK] = tuple(table.slack[columns].tolist())
        # Orders that only swap arms of equal shares have the same tree.
        shape = tuple(rows.items())
        if shape not in trees:
            tree = _Tree(rows, table.unit, arms, budget)
            trees[shape] = tree.walk((), frozenset(rows))
            budget -= len(tree.memo)
        rounded = trees[shape]
        for outcome, count in rounded.ways.items():
            key = tuple(
                _dealt(table.whole[c], outcome >> (c * len(live)), order, n)
                for c, n in enumerate(table.counts.tolist())
            )
            law[key] += Fraction(count, rounded.total * orders)
    return law


def _dealt(whole: Ints, extra: int, order: Sequence[int], count: int) -> tuple[Pattern, ...]:
    """Patterns of the strata of one class, as a sorted multiset (step 4 of the definition)."""
    patterns = [[0] * len(whole) for _ in range(count)]
    position = 0
    for place, arm in enumerate(order):
        for _ in range(int(whole[arm]) + (extra >> place & 1)):
            patterns[position % count][arm] = 1
            position += 1
    return tuple(sorted(tuple(p) for p in patterns))


class _Tree:
    """The tree of class orders and coins for one order of arms; nodes with the same future are walked once."""

    def __init__(self, rows: dict[int, Cells], unit: int, height: int, limit: int) -> None:
        self.rows, self.unit, self.height, self.limit = rows, unit, height, limit
        self.memo: dict[tuple[tuple[Row, ...], frozenset[int]], Law] = {}

    def walk(self, window: tuple[Row, ...], left: frozenset[int]) -> Law:
        """Return the law of the rows of the window and of those left, once they are closed."""
        node = (window, left)
        if node not in self.memo:
            if len(self.memo) >= self.limit:
                raise _TooManyError
            self.memo[node] = self._grow(window, left)
        return self.memo[node]

    def _grow(self, window: tuple[Row, ...], left: frozenset[int]) -> Law:
        if left and len(window) < self.height:
            # The slack row comes last, the classes in a uniformly random order.
            choices = sorted(left - {_SLACK}) or [_SLACK]
            return _mix([(self.walk((*window, (c, self.rows[c])), left - {c}), 0, 1) for c in choices])
        if not window:
            return Law(1, {0: 1})
        return _mix([(self.walk(rows, left), closed, weight) for rows, closed, weight in self._step(window)])

    def _step(self, window: tuple[Row, ...]) -> list[tuple[tuple[Row, ...], int, int]]:
        """Both outcomes of one cycle step: rows still open, seats of the class rows that closed, weight."""
        unit, columns = self.unit, len(window[0][1])
        flat = [x for _, cells in window for x in cells]
        pattern = cycle_signs(bytes(0 < x < unit for x in flat), columns)
        signs = np.frombuffer(pattern, dtype=np.int8).tolist()
        room = [unit - x if sign > 0 else x for x, sign in zip(flat, signs, strict=True) if sign]
        ahead, behind = min(room), unit - max(room)
        branches = []
        for move, weight in ((ahead, behind), (-behind, ahead)):
            moved = [x + sign * move for x, sign in zip(flat, signs, strict=True)]
            still_open, closed = [], 0
            for place, (c, _) in enumerate(window):
                cells = tuple(moved[place * columns : (place + 1) * columns])
                if any(0 < x < unit for x in cells):
                    still_open.append((c, cells))
                elif c != _SLACK:
                    closed |= sum((x // unit) << (c * columns + k) for k, x in enumerate(cells))
            branches.append((tuple(still_open), closed, weight))
        return branches


def _mix(parts: list[tuple[Law, int, int]]) -> Law:
    """Mix laws with whole weights, adding to each outcome the seats that have closed."""
    common = lcm(*(law.total for law, _, _ in parts))
    ways: dict[int, int] = defaultdict(int)
    for law, closed, weight in parts:
        factor = common // law.total * weight
        for outcome, count in law.ways.items():
            ways[outcome | closed] += count * factor
    total = common * sum(weight for _, _, weight in parts)
    divisor = gcd(total, *ways.values())
    return Law(total // divisor, {outcome: count // divisor for outcome, count in ways.items()})


def _arrangements(patterns: Sequence[Pattern]) -> int:
    return factorial(len(patterns)) // prod(factorial(n) for n in Counter(patterns).values())


def _arrange(patterns: tuple[Pattern, ...]) -> list[tuple[Pattern, ...]]:
    """Return the distinct orders of a multiset."""
    if not patterns:
        return [()]
    result = []
    for head in sorted(set(patterns)):
        place = patterns.index(head)
        result += [(head, *rest) for rest in _arrange(patterns[:place] + patterns[place + 1 :])]
    return result


def _product(choices: list[Tables], arms: int) -> Tables:
    """Join one block per factor, (T_i, S_i, K), into all combinations (prod T_i, sum S_i, K); the last runs fastest."""
    tables = np.zeros((1, 0, arms), dtype=np.int8)
    for block in choices:
        tables = np.concatenate([np.repeat(tables, len(block), axis=0), np.tile(block, (len(tables), 1, 1))], axis=1)
    return tables
