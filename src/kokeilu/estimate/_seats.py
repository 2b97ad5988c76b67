"""Redraws by seats: where units are exchangeable given the seats of their stratum, a redraw needs no list of people.

What a statistic needs of a redraw are the sums of a few features over the arm and over the reference. Units that are
alike in all features are drawn as counts; others as subsets made of a few bits each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.nulls import Law
from kokeilu._kernels.streams import Stream
from kokeilu._kernels.subsets import random_subsets, subset_totals
from kokeilu._kernels.value_counts import sample_counts
from kokeilu.core.lottery import seating_of
from kokeilu.core.protocols import Floats, Ints, Lottery, Seating
from kokeilu.estimate._case import Case
from kokeilu.estimate.strata import SAME

__all__ = ["Kinds", "Seats", "count_laws", "kinds_of", "seats_of", "shuffle_laws"]

CHUNK_CELLS = 2**22
"""Counts, units or sums at a time."""

SMALL = 1.0 / 64.0
"""Sums over a smaller reference arm are made of its own units: as a rest of the whole they would lose digits."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seats:
    """The seating of the strata that hold units of a case.

    Attributes
    ----------
    seating : Seating
    used : (S,) int64 array
        Strata of the seating that hold units of the case.
    strata : (u,) int64 array
        Stratum of each unit of the case, 0..S-1.
    absent : (S,) int64 array
        Units that take seats without a place in the case: people without an outcome.
    closed : bool
        Every seat of a live stratum belongs to the arm or to the reference.
    live : (S,) bool array
        Strata in which one of these two can be got; in the others people of other arms stay where they are.
    """

    seating: Seating
    used: Ints
    strata: Ints
    absent: Ints
    closed: bool
    live: NDArray[np.bool_]

    def deal(self, case: Case, stream: Stream, size: int) -> Ints:
        """Return seats of arm and reference, (size, S, 2)."""
        dealt: Ints = self.seating.deal(stream, size)[:, self.used][:, :, [case.arm, case.reference]]
        return dealt

    def members(self) -> list[Ints]:
        """Return the units of the case in each stratum."""
        order = np.argsort(self.strata, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self.strata, minlength=len(self.used)))[:-1])


def seats_of(lottery: Lottery, case: Case) -> Seats | None:
    """Return the seats that the units of a case were dealt; None where the lottery does not deal seats to them."""
    seating = seating_of(lottery)
    if seating is None:
        return None
    units = seating.units[case.places]
    if np.bincount(units).max() > 1:
        return None
    used, strata = np.unique(seating.strata[units], return_inverse=True)
    statistic = np.zeros(len(used), dtype=np.int64)
    statistic[strata] = case.units.strata
    if (statistic[strata] != case.units.strata).any():
        return None
    sizes = np.bincount(seating.strata)[used]
    total = case.shares.sum(axis=1)
    live = np.zeros(len(used), dtype=bool)
    live[strata[total > 0.0]] = True
    return Seats(
        seating=seating,
        used=used,
        strata=strata.astype(np.int64),
        absent=(sizes - np.bincount(strata)).astype(np.int64),
        closed=bool((np.abs(total[total > 0.0] - 1.0) <= SAME).all()),
        live=live,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kinds:
    """Units alike in a stratum: one of each kind, and how many; the last number is that of the absent."""

    first: Ints
    counts: Ints


def kinds_of(case: Case, seats: Seats) -> list[Kinds]:
    """Return the kinds of each stratum of the seating."""
    found = []
    # Sums of the outcome, of the arm and of the masses: the other features are their products.
    columns = [part[:, place] for part in case.units.features for place in (1, 2, 6) if place < part.shape[1]]
    values = np.unique(columns[0], return_inverse=True)[1].astype(np.int64)
    for column in columns[1:]:
        levels = np.unique(column, return_inverse=True)[1]
        values = np.unique(values * (int(levels.max(initial=0)) + 1) + levels, return_inverse=True)[1].astype(np.int64)
    for people, absent in zip(seats.members(), seats.absent.tolist(), strict=True):
        _, first, counts = np.unique(values[people], return_index=True, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        found.append(Kinds(first=people[first[order]], counts=np.append(counts[order], absent)))
    return found


def count_laws(case: Case, seats: Seats, kinds: list[Kinds], stream: Stream, draws: int) -> Iterator[Law]:
    """Yield the laws of redraws, drawn as counts of the kinds of units."""
    width = max(sum(len(kind.counts) for kind in kinds), 12 * case.units.sizes.size)
    step = max(1, CHUNK_CELLS // width)
    for start in range(0, draws, step):
        place, size = stream.skip(start), min(step, draws - start)
        dealt = seats.deal(case, place.child("seats"), size)
        sums = np.zeros((2, case.units.features[0].shape[1], size, case.units.sizes.size))
        for number in np.flatnonzero(seats.live).tolist():
            kind = kinds[number]
            own = place.child(f"stratum {number}")
            held = sample_counts(kind.counts, dealt[:, number, 0], own.child("arm"))
            left = kind.counts[:, None] - held
            if not seats.closed:
                left = sample_counts(left, dealt[:, number, 1], own.child("reference"))
            for role, count in enumerate((held, left)):
                _add(case, sums, role, kind, count[:-1])
        yield case.units.law_of(sums)


def _add(case: Case, sums: Floats, role: int, kind: Kinds, counts: Ints) -> None:
    """Add the features of one stratum's kinds: all stand in one stratum of the statistic."""
    features = (case.units.features * 2)[role][kind.first]
    sums[role, :, :, case.units.strata[kind.first[0]]] += features.T @ counts


def shuffle_laws(case: Case, seats: Seats, stream: Stream, draws: int) -> Iterator[Law]:
    """Yield the laws of redraws, drawn as subsets of the units of each stratum."""
    crowds = [_Crowd.of(case, people, absent) for people, absent in zip(seats.members(), seats.absent, strict=True)]
    largest = max(len(crowd.features[0]) for crowd in crowds)
    step = max(1, min(CHUNK_CELLS // largest, CHUNK_CELLS // (12 * case.units.sizes.size)))
    for start in range(0, draws, step):
        place, size = stream.skip(start), min(step, draws - start)
        dealt = seats.deal(case, place.child("seats"), size)
        sums = np.zeros((2, case.units.features[0].shape[1], size, case.units.sizes.size))
        for number in np.flatnonzero(seats.live).tolist():
            crowd = crowds[number]
            own = place.child(f"stratum {number}")
            sums[:, :, :, crowd.place] += crowd.sums(dealt[:, number], own, closed=seats.closed)
        yield case.units.law_of(sums)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Crowd:
    """The units of a stratum, the absent last, with nought for features."""

    features: list[Floats]
    totals: Floats
    place: int
    arm: float
    reference: float

    @classmethod
    def of(cls, case: Case, people: Ints, absent: int) -> _Crowd:
        """Take the units of a case that stand in one stratum."""
        parts = [np.concatenate([part[people], np.zeros((absent, part.shape[1]))]) for part in case.units.features]
        arm, reference = case.shares[people[0]].tolist()
        place = int(case.units.strata[people[0]])
        return cls(features=parts, totals=parts[0].sum(axis=0), place=place, arm=arm, reference=reference)

    def sums(self, dealt: Ints, stream: Stream, *, closed: bool) -> Floats:
        """Sums of the features over arm and reference for some seats (b, 2): (2, F, b)."""
        units = len(self.features[0])
        held = random_subsets(units, self.arm, dealt[:, 0], stream.child("arm"))
        found = subset_totals(held, self.features[0])
        if closed and len(self.features) == 1 and self.reference >= SMALL:
            return np.stack([found.T, (self.totals - found).T])
        left = 1 - held
        if not closed:
            share = self.reference / (1.0 - self.arm)
            left = random_subsets(units, share, dealt[:, 1], stream.child("reference"), left)
        return np.stack([found.T, subset_totals(left, self.features[-1]).T])
