"""The lottery of two stages: levels of areas, then people within areas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import combinations, product
from math import comb, lcm, prod

import numpy as np

from kokeilu._checks import count_of
from kokeilu._kernels.shuffle import seat_people
from kokeilu._kernels.streams import Stream, below
from kokeilu.core.arms import Arms
from kokeilu.core.lottery import all_assignments, cells_of, shares_of
from kokeilu.core.population import frozen_array
from kokeilu.core.protocols import Cells, Codes, Countable, Floats, Ints, Lottery
from kokeilu.errors import DesignError

__all__ = ["SaturationLottery"]

AREA_LISTED = 20_000
LISTED = 10**6


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SaturationLottery:
    """Levels of areas by `base`, then people within areas; see :class:`kokeilu.Saturation`.

    Attributes
    ----------
    base : Lottery
        Of the areas; its arms are the levels.
    membership : int64 array, shape (n,)
        Each person's area.
    table : tuple of (untreated, treated)
        The codes of the arms at each level, -1 where there is none.
    levels : tuple of Fraction
    """

    base: Lottery
    membership: Ints
    arms: Arms
    table: tuple[tuple[int, int], ...]
    levels: tuple[Fraction, ...]
    name: str

    def __post_init__(self) -> None:
        if lcm(*(level.denominator for level in self.levels)) * self.n_units >= 2**62:
            raise DesignError("the levels have too many digits; write them as fractions such as '1/3'.")

    @property
    def n_units(self) -> int:
        """Number of people."""
        return len(self.membership)

    @cached_property
    def sizes(self) -> Ints:
        """People in each area."""
        return frozen_array(np.bincount(self.membership, minlength=self.base.n_units).astype(np.int64))

    @cached_property
    def _codes(self) -> Codes:
        """Arm code by level and treatment, shape (levels, 2)."""
        return frozen_array(np.array(self.table, dtype=np.int8))

    @cached_property
    def _owed(self) -> tuple[Ints, Ints, int]:
        """Treated seats n_a l by level and area, shape (L, A): whole part, and the rest in units of 1 / unit."""
        unit = lcm(*(level.denominator for level in self.levels))
        parts = np.array([int(level * unit) for level in self.levels], dtype=np.int64)
        owed = parts[:, None] * self.sizes[None, :]
        return frozen_array(owed // unit), frozen_array(owed % unit), unit

    def draw_levels(self, stream: Stream, size: int) -> Codes:
        """Return stage one of the same draws: the level of each area, shape (size, areas)."""
        return self.base.draw(stream.child("areas"), size)

    def draw(self, stream: Stream, size: int) -> Codes:
        """Return draws, shape (size, n).

        Words: the child stream "areas" draws the levels; an area's fraction of a seat is given where
        ``below("seats", unit)`` is under it; people are seated by "people", as in a stratified draw.
        """
        levels = self.draw_levels(stream, size).astype(np.intp)
        floors, rest, unit = self._owed
        places = np.arange(len(self.sizes))
        coin = below(stream.child("seats"), np.full((size, len(places)), unit, dtype=np.int64))
        treated = floors[levels, places] + (coin < rest[levels, places])
        seats = np.stack([self.sizes - treated, treated], axis=2)
        chosen = seat_people(self.membership, self.sizes, seats, stream.child("people"))
        return self._codes[levels[:, self.membership], chosen.astype(np.intp)]

    def levels_of(self, codes: Codes) -> Codes:
        """Return the level of each person's area, from the codes of arms; -1 for a code that is no arm."""
        level_of_arm = np.full(len(self.arms) + 1, -1, dtype=np.int8)
        for level, pair in enumerate(self.table):
            level_of_arm[[code for code in pair if code >= 0]] = level
        return level_of_arm[codes]

    def shares(self) -> Floats:
        """Return exact probabilities, shape (n, arms): P(level) times the level or its complement."""
        of_level = shares_of(self.base)[self.membership]
        table = np.zeros((self.n_units, len(self.arms)))
        for level, (pair, share) in enumerate(zip(self.table, self.levels, strict=True)):
            for code, part in zip(pair, (1 - share, share), strict=True):
                if code >= 0:
                    table[:, code] = of_level[:, level] * float(part)
        return table

    def same_area_law(self, area: int) -> Floats:
        """Return P(i in a, j in b) for two people of one area, shape (arms, arms); rows are the arms of the first.

        In an area of n people at level l with m treated seats, P(both treated | l) = E[m (m - 1)] / (n (n - 1)).
        """
        n = int(self.sizes[area])
        if n < 2:
            raise DesignError("the area has one person, so there is no pair in it.")
        chance = shares_of(self.base)[area]
        law = np.zeros((len(self.arms), len(self.arms)))
        for level, (low, high) in enumerate(self.table):
            for treated, weight in self._seats(area, level):
                counts = {low: n - treated, high: treated}
                for a, b in product((low, high), repeat=2):
                    if a >= 0 and b >= 0:
                        pairs = Fraction(counts[a] * (counts[b] - (a == b)), n * (n - 1))
                        law[a, b] += chance[level] * float(weight * pairs)
        return law

    def _seats(self, area: int, level: int) -> list[tuple[int, Fraction]]:
        """Treated seats of an area at a level, with their chances."""
        floors, rest, unit = self._owed
        whole, part = int(floors[level, area]), Fraction(int(rest[level, area]), unit)
        return [(whole, 1 - part), (whole + 1, part)] if part else [(whole, Fraction(1))]

    def cells(self) -> Cells:
        """Return the strata of the areas, and the areas as clusters that are not whole."""
        inner = cells_of(self.base)
        return Cells(
            strata=inner.strata[self.membership],
            clusters=self.membership,
            fixed=inner.fixed,
            names=inner.names,
            cluster_name=self.name,
            whole=False,
        )

    def divides(self, merged: Codes) -> bool:
        """Tell whether arms taken together (`merged` holds the new code of each arm) still divide areas."""
        return any(low >= 0 and high >= 0 and merged[low] != merged[high] for low, high in self.table)

    @cached_property
    def _area_levels(self) -> tuple[Codes, Floats] | None:
        """Every assignment of levels to areas."""
        chunks = all_assignments(self.base, AREA_LISTED) if isinstance(self.base, Countable) else None
        if chunks is None:
            return None
        parts = list(chunks)
        return np.concatenate([codes for codes, _ in parts]), np.concatenate([chances for _, chances in parts])

    @cached_property
    def _ways(self) -> list[list[int]]:
        """Numbers of ways to seat the people of each area at each level, [level][area]."""
        sizes = self.sizes.tolist()
        return [
            [sum(comb(n, treated) for treated, _ in self._seats(area, level)) for area, n in enumerate(sizes)]
            for level in range(len(self.levels))
        ]

    def count(self) -> int | None:
        """Return the number of distinct assignments of both stages; None above 20,000 assignments of levels."""
        if self._area_levels is None:
            return None
        rows: list[list[int]] = self._area_levels[0].tolist()
        ways = self._ways
        return sum(prod(ways[level][area] for area, level in enumerate(row)) for row in rows)

    def every(self) -> Iterator[tuple[Codes, Floats]]:
        """Yield every assignment with its probability, one chunk for each assignment of levels."""
        if self._area_levels is None or (self.count() or LISTED + 1) > LISTED:
            raise DesignError("this lottery has too many assignments to list.")
        people = [np.flatnonzero(self.membership == area) for area in range(len(self.sizes))]
        blocks = {}
        for row, chance in zip(self._area_levels[0].tolist(), self._area_levels[1].tolist(), strict=True):
            for area, level in enumerate(row):
                if (area, level) not in blocks:
                    blocks[area, level] = self._block(area, level)
            chosen = [blocks[area, level] for area, level in enumerate(row)]
            picks = np.unravel_index(np.arange(prod(len(b) for b, _ in chosen)), [len(b) for b, _ in chosen])
            codes = np.empty((len(picks[0]), self.n_units), dtype=np.int8)
            weights = np.full(len(codes), chance)
            for rows, (block, own), pick in zip(people, chosen, picks, strict=True):
                codes[:, rows] = block[pick]
                weights *= own[pick]
            yield codes, weights

    def _block(self, area: int, level: int) -> tuple[Codes, Floats]:
        """Every seating of one area at one level, with its chance given the level."""
        n, (low, high) = int(self.sizes[area]), self.table[level]
        rows, chances = [], []
        for treated, weight in self._seats(area, level):
            for chosen in combinations(range(n), treated):
                row = np.full(n, low, dtype=np.int8)
                row[list(chosen)] = high
                rows.append(row)
                chances.append(float(weight / comb(n, treated)))
        return np.array(rows), np.array(chances)

    def problem(self, codes: Codes) -> str | None:
        """Say why an allocation is not one that this lottery can give; None where it is."""
        own = self.levels_of(codes)
        levels = np.zeros(len(self.sizes), dtype=np.int8)
        levels[self.membership] = own
        mixed = len(np.unique(self.membership[own != levels[self.membership]]))
        if mixed:
            return f"{mixed:,} of {count_of(len(levels), 'area')} have people at several levels"
        high = np.array([pair[1] for pair in self.table])[levels]
        treated = np.bincount(self.membership, weights=codes == high[self.membership], minlength=len(levels))
        floors, rest, _ = self._owed
        places = np.arange(len(levels))
        least = floors[levels, places]
        wrong = int(((treated < least) | (treated > least + (rest[levels, places] > 0))).sum())
        if wrong:
            return f"{count_of(wrong, 'area')} of {len(levels):,} treat another number of people than their level gives"
        check = getattr(self.base, "problem", None)
        return check(levels) if check else None
