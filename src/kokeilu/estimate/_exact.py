r"""Exact p-values of the difference in means, from the law of a sum of whole numbers.

The statistic is the sum of the outcome over the arm less its expectation, over all strata, divided by
:math:`\sum_s n_{s1} n_{s0} / n_s`: the difference in means, with strata weighted as a regression on stratum effects
weights them. Under a shift :math:`\tau` the sum is :math:`T - \tau k` with k the people of the arm who are drawn into
it again; their joint law gives the p-value of every shift, with no draws and no grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

import numpy as np

from kokeilu._kernels.exact_sums import SumLaw, exact_law
from kokeilu._kernels.lattice import Stratum, lattice_of, strata_of
from kokeilu._kernels.nulls import boundary
from kokeilu.core.protocols import Floats, Ints
from kokeilu.estimate._case import Case
from kokeilu.estimate._seats import Seats

__all__ = ["ExactSum", "Shifts", "exact_sum", "shifts_of"]

TABLES = 64
"""Most tables of seats that are mixed; above them the seats are taken as they were dealt."""

LEAST = 1e-15
"""Smaller p-values drown in the rounding of a sum of doubles."""

NEAR = 1e-9
"""Thresholds of a shift this close to a whole number are ties, and ties count as hits."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Table:
    """Seats of the arm in each stratum, with their chance: sums, strata for the kernel, and Sum n1 n0 / n."""

    chance: float
    seats: Ints
    strata: list[Stratum]
    size: Fraction
    mean: Fraction
    overlap: Fraction


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExactSum:
    """The exact law of one case.

    Attributes
    ----------
    unit : float
        Of the outcome's lattice.
    people : int
        People in each unit: 1, or the size of every cluster.
    tables : tuple
        Tables of seats that are mixed.
    given : str
        What is taken as it was: nothing, or the seats, or who stands in other arms.
    undefined : float
        Chance of seats that leave one of the arms empty; it is part of every p-value.
    """

    unit: float
    people: int
    total: int
    seen: _Table
    tables: tuple[_Table, ...]
    laws: tuple[SumLaw, ...]
    given: str
    undefined: float

    @property
    def value(self) -> float:
        """The difference, in units of the outcome."""
        return float((self.total - self.seen.mean) / self.seen.size) * self.unit / self.people

    @property
    def error(self) -> float:
        """Its standard deviation over the redraws, in the same unit."""
        variance = 0.0
        for table, law in zip(self.tables, self.laws, strict=True):
            mass = law.mass.sum(axis=0)
            away = (law.low + np.arange(len(mass)) - float(table.mean)) / float(table.size)
            variance += table.chance * float(mass @ away**2)
        return float(np.sqrt(max(variance, 0.0))) * self.unit / self.people

    def p_value(self, alternative: str) -> float:
        """Return the exact probability of a statistic at least as extreme; ties are told in whole numbers."""
        seen = (self.total - self.seen.mean) / self.seen.size
        p = self.undefined
        for table, law in zip(self.tables, self.laws, strict=True):
            mass = law.mass.sum(axis=0)
            high, low = (seen, seen) if alternative != "two-sided" else (abs(seen), -abs(seen))
            if alternative in ("greater", "two-sided"):
                p += table.chance * _above(mass, ceil(high * table.size + table.mean) - law.low)
            if alternative in ("less", "two-sided"):
                p += table.chance * _above(mass[::-1], len(mass) - 1 - floor(low * table.size + table.mean) + law.low)
        return min(1.0, max(p, LEAST))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shifts:
    """p-values of shifts, from joint laws of sum and overlap."""

    sums: ExactSum
    tails: tuple[tuple[SumLaw, Floats], ...]

    def p_value(self, side: str, shift: float) -> float:
        """Return the one-sided p-value of a shift in units of the outcome."""
        sums = self.sums
        step = shift * sums.people / sums.unit
        size, own = float(sums.seen.size), int(sums.seen.seats.sum())
        seen = (sums.total - float(sums.seen.mean) - step * (own - float(sums.seen.overlap))) / size
        p = sums.undefined
        for table, (law, tail) in zip(sums.tables, self.tails, strict=True):
            overlap = law.first + np.arange(len(tail))
            at = seen * float(table.size) + float(table.mean) + step * (overlap - float(table.overlap)) - law.low
            slack = NEAR * (1.0 + np.abs(at))
            last = tail.shape[1] - 1
            rows = np.arange(len(tail))
            above = tail[rows, np.clip(np.ceil(at - slack), 0, last).astype(np.int64)]
            if side == "less":
                above = tail[:, 0] - tail[rows, np.clip(np.floor(at + slack) + 1, 0, last).astype(np.int64)]
            p += table.chance * float(above.sum())
        return min(1.0, max(p, LEAST))

    def bounds(self, alpha: float, alternative: str) -> tuple[float | None, float | None]:
        """Return the ends of the shifts not rejected, as `Null.bounds` does."""
        part = alpha / 2.0 if alternative == "two-sided" else alpha
        value, error = self.sums.value, max(self.sums.error, 1e-9 * self.sums.unit)
        ends: list[float | None] = []
        for sign, side, other in ((-1.0, "greater", "less"), (1.0, "less", "greater")):
            if alternative == other:
                ends.append(sign * float("inf"))
                continue
            reach = self._reach(side, part, value, sign * error)
            ends.append(None if reach is None else value + sign * reach * error)
        return ends[0], ends[1]

    def _reach(self, side: str, part: float, value: float, step: float) -> float | None:
        return boundary(lambda distance: self.p_value(side, value + distance * step) > part * (1.0 + 1e-12))


def exact_sum(case: Case, seats: Seats) -> tuple[ExactSum | None, str]:
    """Return the exact law of a case, or None and why there is none."""
    found = lattice_of(case.outcome)
    if found is None:
        return None, "the outcome is not on a lattice of at most six decimals"
    whole, unit = found
    people = 1
    if case.clusters is not None:
        sizes = np.bincount(case.clusters)
        if np.ptp(sizes):
            return None, "clusters differ in size, so that the difference is not a sum over clusters"
        whole, people = np.bincount(case.clusters, weights=whole).astype(np.int64), int(sizes[0])
    pair = (case.codes == case.arm) | (case.codes == case.reference)
    treated, strata = case.codes[pair] == case.arm, seats.strata[pair]
    own = np.bincount(strata[treated], minlength=len(seats.used)).astype(np.int64)
    tables, given = _tables(case, seats, own)
    made = [_table(whole[pair], treated, strata, row, chance) for row, chance in tables]
    seen = next(table for table in made if (table.seats == own).all())
    if not seen.size:
        return None, "no stratum holds both arms"
    made = [table for table in made if table.size]
    laws = [exact_law(table.strata) for table in made]
    if any(law is None for law in laws):
        return None, "the sums have too many values for an exact law"
    return (
        ExactSum(
            unit=unit,
            people=people,
            total=int(whole[pair][treated].sum()),
            seen=seen,
            tables=tuple(made),
            laws=tuple(law for law in laws if law is not None),
            given=given,
            undefined=1.0 - sum(table.chance for table in made) if len(made) < len(tables) else 0.0,
        ),
        "",
    )


def shifts_of(sums: ExactSum) -> Shifts | None:
    """Return the joint laws with the overlap; None where they would need too much memory."""
    tails = []
    for table in sums.tables:
        law = exact_law(table.strata, joint=True)
        if law is None:
            return None
        # tail[i, j]: overlap first + i and a sum of at least low + j; a last column of noughts.
        tail = np.cumsum(law.mass[:, ::-1], axis=1)[:, ::-1]
        tails.append((law, np.concatenate([tail, np.zeros((len(tail), 1))], axis=1)))
    return Shifts(sums=sums, tails=tuple(tails))


def _tables(case: Case, seats: Seats, own: Ints) -> tuple[list[tuple[Ints, float]], str]:
    """Tables of the arm's seats with their chances, and what is taken as given."""
    if not seats.closed:
        return [(own, 1.0)], "given who stands in the other arms"
    if seats.absent.any():
        return [(own, 1.0)], "given how many observed people each arm has"
    law = seats.seating.law()
    if law is None:
        return [(own, 1.0)], "given the seats as they were dealt"
    rows, place = np.unique(law[0][:, seats.used, case.arm], axis=0, return_inverse=True)
    if len(rows) > TABLES:
        return [(own, 1.0)], "given the seats as they were dealt"
    return list(zip(rows, np.bincount(place.ravel(), weights=law[1]).tolist(), strict=True)), ""


def _table(
    values: Ints, treated: np.ndarray[tuple[int], np.dtype[np.bool_]], strata: Ints, seats: Ints, chance: float
) -> _Table:
    counts = np.bincount(strata, minlength=len(seats))
    totals = np.bincount(strata, weights=values, minlength=len(seats)).astype(np.int64)
    marked = np.bincount(strata[treated], minlength=len(seats))
    per = list(zip(counts.tolist(), totals.tolist(), marked.tolist(), seats.tolist(), strict=True))
    return _Table(
        chance=chance,
        seats=seats,
        strata=strata_of(values, treated, strata, seats),
        size=_added((m * (n - m), n) for n, _, _, m in per),
        mean=_added((m * total, n) for n, total, _, m in per),
        overlap=_added((m * k, n) for n, _, k, m in per),
    )


def _added(parts: Iterator[tuple[int, int]]) -> Fraction:
    """Sum of fractions: those with the same denominator first, which are the most."""
    by: dict[int, int] = {}
    for top, bottom in parts:
        by[bottom] = by.get(bottom, 0) + top
    return sum((Fraction(top, bottom) for bottom, top in by.items() if bottom), Fraction(0))


def _above(mass: Floats, start: int) -> float:
    """Sum of the masses from a place on."""
    return float(mass[max(start, 0) :].sum())
