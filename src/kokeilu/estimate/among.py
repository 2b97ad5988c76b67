r"""The lottery held again among the people of some arms only, everybody else staying where they are.

Under the hypothesis that two arms do the same to everybody, the outcomes of the people in these two arms are known
whichever of the two they get; those of the others are known in the arm they are in. A redraw that moves the others too
supposes that no arm at all does anything, and rejects too often where a third arm does much. Given who stands in the
other arms the law of the lottery is known wherever units are exchangeable, or the assignments can be listed.

Source: Rosenbaum (2002), Observational Studies, section 2; Ding (2024), A First Course in Causal Inference, chapter 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from kokeilu._kernels.arrangements import all_arrangements, arrangements
from kokeilu._kernels.shuffle import seat_people
from kokeilu._kernels.streams import Stream
from kokeilu.core.arms import Arms
from kokeilu.core.assignment import Assignment
from kokeilu.core.lottery import all_assignments, cells_of, seating_of
from kokeilu.core.pairs import KnowsPairs
from kokeilu.core.protocols import Codes, Floats, Ints, Lottery, Seating, SeatTables
from kokeilu.errors import EstimationError

__all__ = ["Seated", "held_again"]

LISTED = 10**6
LISTED_CELLS = 2**28
"""Assignments are listed up to so many, of so many codes (256 MB)."""

EVERY_CELLS = 2**22


def held_again(assignment: Assignment, arms: Sequence[int]) -> Assignment | None:
    """Return the assignment with its lottery held again among some arms only; None where that law is not known.

    Parameters
    ----------
    assignment : Assignment
    arms : sequence of int
        Codes of the arms among which people are drawn again. With all arms of the design it is the lottery itself.
    """
    inside = np.isin(np.arange(len(assignment.arms)), arms)
    if inside.all():
        return assignment
    made = _seated(assignment, inside) or _listed(assignment, inside)
    return None if made is None else replace(assignment, lottery=made)


def _seated(assignment: Assignment, inside: NDArray[np.bool_]) -> Lottery | None:
    """Units of a stratum in the arms are shuffled; the others stand in a stratum of their own for each arm."""
    found = _exchangeable(assignment.lottery)
    if found is None:
        return None
    units, strata = found
    codes = assignment.codes[np.unique(units, return_index=True)[1]]
    width = len(inside)
    own = np.where(inside[codes], 0, 1 + codes.astype(np.int64))
    cells = np.unique(strata * (width + 1) + own, return_inverse=True)[1].astype(np.int64)
    seats = np.zeros((int(cells.max()) + 1, width), dtype=np.int64)
    np.add.at(seats, (cells, codes), 1)
    return Seated(arms=assignment.arms, units=units, strata=cells, seats=seats)


def _exchangeable(lottery: Lottery) -> tuple[Ints, Ints] | None:
    """The unit of each person, and strata in which, given the seats, every order of the units is equally likely."""
    seating = seating_of(lottery)
    if seating is not None:
        return seating.units, seating.strata
    if cells_of(lottery).fixed or not isinstance(lottery, KnowsPairs):
        return None
    law = lottery.pair_law()
    # Units drawn each on their own with the same chances are exchangeable.
    if law is None or law.across is not None or law.error:
        return None
    alone = np.einsum("ca,cb->cab", law.shares, law.shares)
    return (law.units, law.blocks) if np.allclose(law.within, alone, rtol=0.0, atol=1e-12) else None


def _listed(assignment: Assignment, inside: NDArray[np.bool_]) -> Lottery | None:
    """Of all assignments those that leave the others where they are."""
    chunks = all_assignments(assignment.lottery, min(LISTED, LISTED_CELLS // assignment.lottery.n_units))
    if chunks is None:
        return None
    others = np.where(inside[assignment.codes], -1, assignment.codes)
    kept = [(codes[rows], p[rows]) for codes, p in chunks for rows in [_same(codes, others, inside)]]
    codes, chances = (np.concatenate([part[place] for part in kept]) for place in (0, 1))
    if not chances.sum() > 0.0:
        raise EstimationError(
            "the design could not have made this allocation. Check that the design stated is the one that was drawn."
        )
    return _Listed(arms=assignment.arms, codes=codes, chances=chances / chances.sum())


def _same(codes: Codes, others: Ints, inside: NDArray[np.bool_]) -> Ints:
    return np.flatnonzero((np.where(inside[codes], -1, codes) == others).all(axis=1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seated:
    """A lottery of fixed seats in cells.

    Attributes
    ----------
    arms : Arms
    units : (n,) array
        The unit of each person, 0..U-1.
    strata : (U,) array
        The cell of each unit, 0..C-1.
    seats : (C, K) array
    """

    arms: Arms
    units: Ints
    strata: Ints
    seats: Ints

    @property
    def n_units(self) -> int:
        """Number of people."""
        return len(self.units)

    def draw(self, stream: Stream, size: int) -> Codes:
        """Return draws; row r depends only on the stream and r."""
        # Where all units of a cell have one arm nothing is drawn.
        open_cells = (self.seats > 0).sum(axis=1) > 1
        moving = np.flatnonzero(open_cells[self.strata])
        codes = np.tile(self.seats.argmax(axis=1).astype(np.int8)[self.strata], (size, 1))
        if len(moving):
            seats = self.seats[open_cells]
            strata = (np.cumsum(open_cells) - 1)[self.strata[moving]].astype(np.int64)
            dealt = np.broadcast_to(seats, (size, *seats.shape))
            codes[:, moving] = seat_people(strata, seats.sum(axis=1), dealt, stream)
        return codes if len(self.strata) == len(self.units) else codes[:, self.units]

    def shares(self) -> Floats:
        """Return the part of each person's cell that has each arm, (n, K)."""
        table: Floats = self.seats / self.seats.sum(axis=1, keepdims=True)
        return table[self.strata[self.units]]

    def seating(self) -> Seating:
        """Return the seats, which are the same in every redraw."""
        return Seating(units=self.units, strata=self.strata, deal=self._deal, law=self._law)

    def count(self) -> int | None:
        """Return the number of assignments; None where they are far too many to list."""
        size = float((gammaln(self.seats.sum(axis=1) + 1) - gammaln(self.seats + 1).sum(axis=1)).sum())
        return None if size > np.log(LISTED) + 1.0 else prod(arrangements(row) for row in self.seats.tolist())

    def every(self) -> Iterator[tuple[Codes, Floats]]:
        """Yield every assignment; all are equally likely."""
        blocks = [all_arrangements(tuple(row)) for row in self.seats.tolist()]
        members = [np.flatnonzero(self.strata == cell) for cell in range(len(blocks))]
        total = prod(len(block) for block in blocks)
        step = max(1, EVERY_CELLS // len(self.strata))
        for start in range(0, total, step):
            picks = np.arange(start, min(start + step, total))
            codes = np.empty((len(picks), len(self.strata)), dtype=np.int8)
            left = picks
            for people, block in zip(members, blocks, strict=True):
                left, pick = np.divmod(left, len(block))
                codes[:, people] = block[pick]
            yield codes[:, self.units], np.full(len(codes), 1.0 / total)

    def _deal(self, stream: Stream, size: int) -> Ints:
        return np.broadcast_to(self.seats, (size, *self.seats.shape))

    def _law(self) -> SeatTables:
        return self.seats[None], np.ones(1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Listed:
    """Assignments with their probabilities."""

    arms: Arms
    codes: Codes
    chances: Floats

    @property
    def n_units(self) -> int:
        return int(self.codes.shape[1])

    def draw(self, stream: Stream, size: int) -> Codes:
        rows = np.searchsorted(np.cumsum(self.chances), stream.doubles(size, 1)[:, 0], side="right")
        return self.codes[np.minimum(rows, len(self.codes) - 1)]

    def shares(self) -> Floats:
        table = [self.chances @ (self.codes == arm) for arm in range(len(self.arms))]
        return np.column_stack(table)

    def count(self) -> int:
        return len(self.codes)

    def every(self) -> Iterator[tuple[Codes, Floats]]:
        yield self.codes, self.chances
