"""Outcomes as whole numbers of a unit, and strata as counts of distinct values."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Stratum", "lattice_of", "strata_of"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

DECIMALS = range(7)

LARGEST = 2.0**40
"""Above this a double has too few digits after the point to tell a whole number from another."""


class Stratum(NamedTuple):
    """A stratum to draw from, and how many are alike.

    Attributes
    ----------
    values, marked, others : (V,) int64 arrays
        Distinct values, ascending, and how many marked and other units have each.
    seats : int
        Units drawn.
    copies : int
        Strata like this one.
    """

    values: Integers
    marked: Integers
    others: Integers
    seats: int
    copies: int

    @property
    def size(self) -> int:
        """Units."""
        return int(self.marked.sum() + self.others.sum())


def lattice_of(y: Floats) -> tuple[Integers, float] | None:
    """Return whole numbers w and a unit u, so that y = constant + u w, or None where there is no such unit.

    Up to six decimals are read as they print: 11.2 and 10.9 are 112 and 109 tenths, so that 11.2 - 10.9 and 9.8 - 9.5
    are the same, which they are not as doubles.

    Parameters
    ----------
    y : (n,) array, finite

    Returns
    -------
    (n,) int64 array, float
        The least element is 0 and the greatest common divisor 1 (all 0 where y is constant).
    """
    size = float(np.abs(y).max(initial=0.0))
    for places in DECIMALS:
        scale = 10.0**places
        if size * scale > LARGEST:
            return None
        scaled = y * scale
        whole = np.rint(scaled)
        # Two roundings: of the decimal number to a double, and of the product.
        if (np.abs(scaled - whole) <= 4.0 * np.finfo(np.float64).eps * np.abs(scaled)).all():
            steps = (whole - whole.min(initial=np.inf)).astype(np.int64)
            divisor = max(int(np.gcd.reduce(steps)), 1)
            return steps // divisor, divisor / scale
    return None


def strata_of(values: Integers, marked: Flags, strata: Integers, seats: Integers) -> list[Stratum]:
    """Return the strata, alike ones together, the largest first.

    Parameters
    ----------
    values, marked, strata : (n,) arrays
        Strata are coded 0..S-1.
    seats : (S,) int64 array
    """
    counts = np.bincount(strata, minlength=len(seats))
    coded = 2 * values + marked
    order = np.lexsort((coded, strata))
    groups: dict[tuple[bytes, int], int] = {}
    for rows, m in zip(np.split(coded[order], np.cumsum(counts)[:-1]), seats.tolist(), strict=True):
        if len(rows):
            key = (rows.tobytes(), m)
            groups[key] = groups.get(key, 0) + 1
    found = [_stratum(np.frombuffer(rows, dtype=np.int64), m, copies) for (rows, m), copies in groups.items()]
    return sorted(found, key=lambda one: -one.size)


def _stratum(coded: Integers, seats: int, copies: int) -> Stratum:
    levels, where = np.unique(coded >> 1, return_inverse=True)
    flag = coded & 1
    marked, others = (np.bincount(where[flag == one], minlength=len(levels)).astype(np.int64) for one in (1, 0))
    return Stratum(levels, marked, others, seats, copies)
