"""The lottery of all designs with fixed seats: strata, seats per arm, a shuffle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import prod

import numpy as np

from kokeilu._checks import count_of
from kokeilu._kernels.arrangements import all_arrangements, arrangements
from kokeilu._kernels.seat_law import SeatMoments, seat_law
from kokeilu._kernels.seats import leftover_seats, seat_targets
from kokeilu._kernels.shuffle import seat_people
from kokeilu._kernels.streams import Stream
from kokeilu.assign._pair_law import balanced_moments, independent_moments, seated_law
from kokeilu.core.arms import Arms
from kokeilu.core.pairs import PairLaw
from kokeilu.core.population import frozen_array
from kokeilu.core.protocols import Cells, Codes, Floats, Ints, Seating, SeatTables
from kokeilu.errors import DesignError

__all__ = ["LEFTOVERS", "SeatedLottery", "share_table"]

LEFTOVERS = ("balanced", "stratum", "refuse")
COUNTED_UNITS = 2_000
LAW_LEAVES = 20_000
EVERY_CELLS = 2**22


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SeatedLottery:
    """Fixed seats per stratum and arm; see :class:`kokeilu.Stratified` for the law."""

    arms: Arms
    strata: Ints
    shares_by_stratum: tuple[tuple[Fraction, ...], ...]
    leftovers: str
    names: tuple[str, ...] = ()
    unit: str = "person"

    def __post_init__(self) -> None:
        if self.n_units < len(self.arms):
            raise DesignError(
                f"{count_of(self.n_units, self.unit)} cannot be drawn into {len(self.arms)} arms. "
                "The register must have at least as many as there are arms."
            )
        uneven = int((self._targets[1] > 0).any(axis=1).sum())
        if self.leftovers == "refuse" and uneven:
            raise DesignError(
                f"{count_of(uneven, 'stratum')} of {len(self.sizes):,} cannot be shared out in whole seats, "
                "and leftovers='refuse'. Use leftovers='balanced', or pool strata so that the shares come out even."
            )

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.strata)

    @cached_property
    def sizes(self) -> Ints:
        """Units in each stratum."""
        return frozen_array(np.bincount(self.strata, minlength=len(self.shares_by_stratum)).astype(np.int64))

    @cached_property
    def _targets(self) -> tuple[Ints, Ints, int]:
        floors, fractions, unit = seat_targets(self.sizes, self.shares_by_stratum)
        return frozen_array(floors), frozen_array(fractions), unit

    def seats(self, stream: Stream, size: int) -> Ints:
        """Return the seats of each arm in each stratum, shape (size, S, K), for rows of the "seats" stream."""
        floors, fractions, unit = self._targets
        if not fractions.any():
            return np.broadcast_to(floors, (size, *floors.shape))
        return floors + leftover_seats(fractions, unit, stream.child("seats"), size, self.leftovers)

    def draw(self, stream: Stream, size: int) -> Codes:
        """Return draws, shape (size, n)."""
        return seat_people(self.strata, self.sizes, self.seats(stream, size), stream.child("units"))

    def shares(self) -> Floats:
        """Return exact probabilities, shape (n, arms), as doubles."""
        return share_table(self.shares_by_stratum)[self.strata]

    def cells(self) -> Cells:
        """Return the strata as cells."""
        return Cells(strata=self.strata, fixed=True, names=self.names)

    def seating(self) -> Seating:
        """Return the seats of each stratum: given them its units are shuffled."""
        return Seating(units=np.arange(self.n_units), strata=self.strata, deal=self.seats, law=self._seat_tables)

    def _seat_tables(self) -> SeatTables | None:
        return None if self._law is None else (self._law[0], np.array([float(chance) for chance in self._law[1]]))

    def pair_law(self) -> PairLaw | None:
        """Return the probabilities of pairs; None where the law of the leftover seats is too costly."""
        floors, fractions, unit = self._targets
        rule = "balanced" if self.leftovers == "balanced" else "stratum"
        return seated_law(self.strata, floors, fractions, unit, rule=rule, own=self._leftover_moments)

    def _leftover_moments(self) -> SeatMoments | None:
        """Second moments of the leftover seats."""
        _, fractions, unit = self._targets
        moments = balanced_moments if self.leftovers == "balanced" else independent_moments
        return moments(fractions, unit)

    @cached_property
    def _law(self) -> tuple[Ints, list[Fraction]] | None:
        floors, fractions, unit = self._targets
        if not fractions.any():
            return floors[None], [Fraction(1)]
        law = seat_law(fractions, unit, self.leftovers, LAW_LEAVES)
        return None if law is None else (floors + law[0], law[1])

    def count(self) -> int | None:
        """Return the number of distinct assignments, None above 2,000 units or where the seat law is too wide."""
        if self.n_units > COUNTED_UNITS or self._law is None:
            return None
        return sum(prod(arrangements(row) for row in table.tolist()) for table in self._law[0])

    def every(self) -> Iterator[tuple[Codes, Floats]]:
        """Yield every assignment with its exact probability: seat table by seat table, all equal within one."""
        if self._law is None:
            raise DesignError("this lottery has too many seat tables to list.")
        members = [np.flatnonzero(self.strata == s) for s in range(len(self.sizes))]
        for table, chance in zip(*self._law, strict=True):
            blocks = [all_arrangements(tuple(row)) for row in table.tolist()]
            total = prod(len(block) for block in blocks)
            step = max(1, EVERY_CELLS // self.n_units)
            for start in range(0, total, step):
                picks = np.unravel_index(np.arange(start, min(start + step, total)), [len(b) for b in blocks])
                codes = np.empty((len(picks[0]), self.n_units), dtype=np.int8)
                for people, block, pick in zip(members, blocks, picks, strict=True):
                    codes[:, people] = block[pick]
                yield codes, np.full(len(codes), float(chance / total))

    def problem(self, codes: Codes) -> str | None:
        """Say why an allocation is not one that this lottery can give; None where it is."""
        floors, fractions, _ = self._targets
        arms = len(self.arms)
        table = np.bincount(self.strata * arms + codes, minlength=floors.size).reshape(floors.shape)
        wrong = np.any((table < floors) | (table > floors + (fractions > 0)), axis=1)
        if wrong.any():
            where = f"{count_of(int(wrong.sum()), 'stratum')} of {len(floors):,}" if self.names else "the whole"
            return f"{where} {'have' if wrong.sum() > 1 else 'has'} arm counts that the shares do not give"
        if self.leftovers == "balanced":
            exact = [sum((n * row[k] for n, row in self._sized()), Fraction(0)) for k in range(arms)]
            totals = table.sum(axis=0).tolist()
            if any(abs(n - x) >= 1 for n, x in zip(totals, exact, strict=True)):
                return "the arm totals are more than one seat from their targets"
        return None

    def _sized(self) -> Iterator[tuple[int, Sequence[Fraction]]]:
        return zip(self.sizes.tolist(), self.shares_by_stratum, strict=True)


def share_table(rows: Sequence[tuple[Fraction, ...]]) -> Floats:
    """Return the shares of each stratum as doubles; strata mostly hold one and the same row of shares."""
    distinct = {id(row): row for row in rows}
    place = {key: position for position, key in enumerate(distinct)}
    table = np.array([[float(share) for share in row] for row in distinct.values()])
    return table[[place[id(row)] for row in rows]]
