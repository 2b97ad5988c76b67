"""Seats per stratum and arm: whole targets, and who gets the seats left over.

A stratum of n units with shares p_k is owed ``n p_k`` seats of arm k. The whole part is given at once; the fractions
f_k add up to a whole number of seats, each for another arm, dealt at random so that E[seat] = f_k exactly. All
arithmetic is in whole units of ``1 / unit``; no float decides a seat.

Definition of ``"balanced"``, for an independent verifier (one is ``docs/replay_draw.py``). Words are those of row r of
the named child streams; "ordered by words" means ascending by (word, index).

1.  Strata with the same fractions form a class; classes are numbered in ascending order of the fraction vector, and the
    class without fractions is dropped. Class c of m_c strata is owed ``m_c f_ck``: the whole part is kept, the rest
    (mod unit) is row c of a table. A last row holds ``-(column sum) mod unit`` (the slack).
2.  Columns: arms ordered by words 0..K-1 of "arms". Rows: classes ordered by words 0..C-1 of "classes", slack last.
    A cell is open when ``0 < x < unit``.
3.  Step t = 0, 1, ...: take the first K rows with an open cell (all, when fewer); stop when there is none. Drop, until
    nothing changes, cells that are the only open one in their row or column of this window. From the first cell
    (row by row) go to the first other cell of the row, then to the first other of the column, and so on, until a
    column (after a move along a row) or a row (after a move along a column) is met again; the path from the last
    cell there is a cycle. Its cells are signed +, -, +, ... With room_i = unit - x_i on plus cells and x_i on minus
    cells, a = min room, b = unit - max room: add a along the signs when ``below("step t", a + b) < b``, else take b.
4.  N_ck = whole part + 1 where the cell ended at ``unit``. In class c the strata are ordered by
    ``(word s of "strata") >> bits, s`` with ``bits = (C - 1).bit_length()``; N_ck copies of each arm, arms in the
    order of step 2, lie end to end, and position t goes to stratum ``order[t mod m_c]``.

Steps 1 to 3 are in ``rounding``. Cells, strata and arm totals end within one seat of what they are owed. Where a
stratum has two or more leftover seats for four or more arms the deal of step 4 cannot give every table that keeps
these margins; ``seat_law`` lists those it gives. Equal words among n sort by index: probability below
n**2 / 2**(65 - bits).

Definition of ``"stratum"`` (each stratum alone): arms ordered by words s K ... s K + K - 1 of "orders"; the start v is
number s of ``below("starts", unit)`` over all S strata; going through the arms, v <- v + f, and an arm has a seat when
v reaches ``unit``, which is then taken off.

Sources: Cox (1987), JASA 82, 520-524, and Deville & Tillé (2004), Biometrika 91, 893-912, for the rounding;
Madow (1949), "On the theory of systematic sampling, II", Ann. Math. Statist. 20, 333-354, for systematic
selection in random order.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.rounding import ClassTable, class_table, round_table
from kokeilu._kernels.seat_law import seat_law
from kokeilu._kernels.streams import Stream, below
from kokeilu.errors import DesignError

__all__ = ["leftover_seats", "seat_law", "seat_targets"]

Ints = NDArray[np.int64]
Bits = NDArray[np.int8]

_LARGEST_UNIT = 2**62
_CHUNK_CELLS = 2**22


def seat_targets(sizes: Ints, shares: Sequence[Sequence[Fraction]]) -> tuple[Ints, Ints, int]:
    """Split the seats owed, n_s p_sk, in whole seats and fractions.

    Parameters
    ----------
    sizes : int64 array, shape (S,)
        Units per stratum.
    shares : sequence of S rows of K fractions
        Each row adds up to 1; one row alone holds for all strata.

    Returns
    -------
    floors, fractions : int64 arrays, shape (S, K)
        ``n_s p_sk = floors + fractions / unit`` with ``0 <= fractions < unit``.
    unit : int
        Least common denominator of all ``n_s p_sk``.

    Raises
    ------
    DesignError
        When the common denominator reaches 2**62.
    """
    rows, which = _distinct_rows(shares, len(sizes))
    span = int(sizes.max(initial=0)) + 1
    pairs, inverse = np.unique(which * span + sizes, return_inverse=True)
    owed = [[pair % span * share for share in rows[pair // span]] for pair in pairs.tolist()]
    unit = 1
    for denominator in {target.denominator for row in owed for target in row}:
        unit = lcm(unit, denominator)
        if unit >= _LARGEST_UNIT:
            raise DesignError(
                "the shares have no common denominator below 2**62, so seats cannot be counted exactly. "
                "Write shares as fractions such as '1/3', or with fewer decimals."
            )
    shape = (len(owed), len(rows[0]))
    whole = [t.numerator // t.denominator for row in owed for t in row]
    rest = [t.numerator % t.denominator * (unit // t.denominator) for row in owed for t in row]
    return (
        np.array(whole, dtype=np.int64).reshape(shape)[inverse],
        np.array(rest, dtype=np.int64).reshape(shape)[inverse],
        unit,
    )


def _distinct_rows(shares: Sequence[Sequence[Fraction]], strata: int) -> tuple[list[tuple[Fraction, ...]], Ints]:
    """Return the distinct rows and, for each stratum, which one is its own."""
    # Hashing a Fraction is slow; strata mostly share one row object, so objects are told apart first.
    by_object: dict[int, int] = {}
    by_value: dict[tuple[Fraction, ...], int] = {}
    for row in shares:
        if id(row) not in by_object:
            by_object[id(row)] = by_value.setdefault(tuple(row), len(by_value))
    if len(shares) == 1:
        return list(by_value), np.zeros(strata, dtype=np.int64)
    which = np.fromiter((by_object[id(row)] for row in shares), dtype=np.int64, count=len(shares))
    return list(by_value), which


def leftover_seats(fractions: Ints, unit: int, stream: Stream, size: int, rule: str) -> Bits:
    """Deal the leftover seats, exactly and at random.

    Parameters
    ----------
    fractions : int64 array, shape (S, K)
        Fractions of a seat in units of ``1 / unit``, ``0 <= f < unit``; rows add up to multiples of ``unit``.
    unit : int
        Below 2**62.
    stream : Stream
        Row r of the result depends on the stream and r alone.
    size : int
        Number of redraws.
    rule : {"balanced", "stratum"}
        "balanced": every cell, stratum and arm total within one seat of what it is owed. "stratum": strata
        are independent of each other, arm totals may drift.

    Returns
    -------
    int8 array, shape (size, S, K)
        1 where the stratum gives its arm a seat above the whole part; expectation ``fractions / unit``.

    Raises
    ------
    DesignError
        For any other rule.
    """
    if rule not in ("balanced", "stratum"):
        raise DesignError(f"leftovers must be 'balanced' or 'stratum'; got {rule!r}.")
    strata, arms = fractions.shape
    seats = np.zeros((size, strata, arms), dtype=np.int8)
    if not fractions.any():
        return seats
    table = class_table(fractions, unit) if rule == "balanced" else None
    chunk = max(1, _CHUNK_CELLS // (strata * arms))
    for first in range(0, size, chunk):
        part, place = seats[first : first + chunk], stream.skip(first)
        if table is None:
            _systematic(fractions, unit, place, part)
        else:
            _deal(table, *round_table(table, place, len(part)), place, part)
    return seats


def _systematic(fractions: Ints, unit: int, stream: Stream, seats: Bits) -> None:
    """Fill seats (B, S, K) by systematic selection over arms in random order (Madow 1949)."""
    size, strata, arms = seats.shape
    keys = stream.child("orders").words(size, strata * arms).reshape(size, strata, arms)
    order = keys.argsort(axis=2, kind="stable")
    level = below(stream.child("starts"), np.full((size, strata), unit, dtype=np.int64))
    for place in range(arms):
        arm = order[:, :, place : place + 1]
        # level < unit and fraction < unit < 2**62, so the sum fits in 64 bits.
        level = level + np.take_along_axis(fractions[None], arm, axis=2)[:, :, 0]
        full = level >= unit
        level -= np.where(full, unit, 0)
        np.put_along_axis(seats, arm, full[:, :, None].astype(np.int8), axis=2)


def _deal(table: ClassTable, seats: Ints, arm_order: Ints, stream: Stream, out: Bits) -> None:
    """Deal the seats of each class (B, C, K) to its strata: out (B, S, K), by step 4."""
    size, strata, arms = out.shape
    in_order = np.take_along_axis(seats, arm_order[:, None, :], axis=2)
    starts = np.empty_like(seats)
    np.put_along_axis(starts, arm_order[:, None, :], in_order.cumsum(axis=2) - in_order, axis=2)
    starts %= table.counts[:, None]
    active = np.flatnonzero(table.members >= 0)
    bits = (len(table.counts) - 1).bit_length()
    keys = stream.child("strata").words(size, strata)[:, active] >> np.uint64(bits)
    if bits:
        keys |= table.members[active].astype(np.uint64) << np.uint64(64 - bits)
    # Sorted by (class, key): place p always belongs to the same class and has the same rank in it.
    order = active[keys.argsort(axis=1, kind="stable")]
    owner = np.repeat(np.arange(len(table.counts)), table.counts)
    rank = np.arange(len(active)) - np.repeat(table.counts.cumsum() - table.counts, table.counts)
    flat = out.reshape(-1)
    base = (order + np.arange(size)[:, None] * strata) * arms
    for arm in range(arms):
        turn = rank - starts[:, owner, arm]
        turn += np.where(turn < 0, table.counts[owner], 0)
        flat[base + arm] = turn < seats[:, owner, arm]
