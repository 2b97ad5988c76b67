"""The tries of a rerandomisation: draws of the base, many at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import special

from kokeilu._kernels.quick_seats import quick_seats, rough_seats_beyond, seats_beyond, short_keys
from kokeilu._kernels.screen import Screen
from kokeilu._kernels.sieve import Sieve, first_sieve, make_sieve
from kokeilu._kernels.streams import Stream
from kokeilu.assign._seated import SeatedLottery
from kokeilu.core.lottery import cells_of
from kokeilu.core.protocols import Codes, Floats, Ints, Lottery

__all__ = ["Block", "Tries"]

Flags = NDArray[np.bool_]

BATCH_CELLS = 2**18
SEAT_CELLS = 2**18
QUICK_STRATUM = 64
WORTH = 0.7
"""A first sieve that lets more than this through costs more than it saves."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """Some tries.

    Attributes
    ----------
    numbers : int64 array, shape (b,)
        Their numbers, ascending.
    codes : int8 array, shape (b, n)
        Of people as they lie; see :meth:`Tries.people`.
    """

    numbers: Ints
    codes: Codes


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Tries:
    """Draws of a base as tries: row t of a stream is try t, however many are drawn at a time.

    Where the base deals seats in large strata, this is done by short keys, which the many tries make worth while.
    Strata are then laid one after the other, and people are put back in their order only where it matters.

    Attributes
    ----------
    base : Lottery
    screen : Screen
    units : int64 array or None
        The first person of each cluster, where clusters are drawn.
    """

    base: Lottery
    screen: Screen
    units: Ints | None

    @cached_property
    def _seated(self) -> SeatedLottery | None:
        """The base, where its seats are dealt by short keys."""
        base = self.base
        quick = isinstance(base, SeatedLottery) and base.n_units >= QUICK_STRATUM * len(base.sizes)
        return base if isinstance(base, SeatedLottery) and quick else None

    @cached_property
    def _order(self) -> Ints | None:
        """The people stratum by stratum, where they are laid so."""
        if self._seated is None or len(self._seated.sizes) == 1:
            return None
        return np.argsort(cells_of(self.base).strata, kind="stable")

    @cached_property
    def _sieve(self) -> Sieve:
        return make_sieve(self.screen, self._order)

    @cached_property
    def _first_sieve(self) -> Sieve | None:
        """The sieve that needs to know only who is in the first of several arms, where it holds back a good part."""
        some = self._seated is not None and len(self.base.arms) > 2
        sieve = first_sieve(self._sieve, self._order) if some else None
        return None if sieve is None or passing(sieve.screen) > WORTH else sieve

    def drawn(self, codes: Codes) -> Codes:
        """Return the codes of what is drawn: people, or one for each cluster."""
        return codes if self.units is None else codes[:, self.units]

    def distances(self, codes: Codes) -> Floats:
        """Return the distances of draws, codes of people (b, n), by tier: (b, tiers)."""
        return self.screen.distances(self.screen.sums(self.drawn(codes)))

    def accepted(self, codes: Codes) -> Flags:
        """Tell which draws, codes of people (b, n), the screen accepts: (b,)."""
        return self.screen.accepts(self.drawn(codes))

    def bounds(self, block: Block) -> tuple[Floats, Floats]:
        """Return bounds of the distances in a block, two arrays (b, tiers)."""
        return self._sieve.bounds(self._sieve.totals(self.drawn(block.codes)))

    def people(self, codes: Codes) -> Codes:
        """Return codes as they lie in a block as codes of people, shape (b, n)."""
        if self._order is None:
            return codes
        out = np.empty_like(codes)
        out[:, self._order] = codes
        return out

    def rows(self, stream: Stream, size: int) -> Codes:
        """Return the first tries of a stream, shape (size, n)."""
        return self.people(self._laid(stream, self._seats(stream, size), size))

    def blocks(self, stream: Stream, size: int, ahead: int) -> Iterator[Block]:
        """Yield the first tries of a stream in blocks, about `ahead` of which are expected to be needed."""
        for first, place, count, seats in self._stretches(stream, size, ahead):
            yield Block(numbers=np.arange(first, first + count), codes=self._laid(place, seats, count))

    def likely(self, stream: Stream, size: int, ahead: int) -> Iterator[Block]:
        """Yield those of the tries that the screen may accept, as :meth:`blocks` does."""
        for first, place, count, seats in self._stretches(stream, size, ahead):
            if seats is None:
                codes = self._laid(place, None, count)
                rows = np.flatnonzero(self._sieve.near(self._sieve.totals(self.drawn(codes))))
                yield Block(numbers=first + rows, codes=codes[rows])
            else:
                rows, codes = self._sifted(place, seats)
                yield Block(numbers=first + rows, codes=codes)

    def _stretches(self, stream: Stream, size: int, ahead: int) -> Iterator[tuple[int, Stream, int, Ints | None]]:
        """Yield the first number, the stream, the size and the seats of each block.

        Seats are dealt for many tries at once, as each deal has a price of its own.
        """
        strata = 1 if self._seated is None else len(self._seated.sizes)
        cells = strata * len(self.base.arms)
        # Each stratum has a price of its own in every block.
        step = max(1, min(ahead, (BATCH_CELLS if strata == 1 else 3 * BATCH_CELLS // 2) // self.base.n_units))
        stretch = step * max(1, min(ahead // step, SEAT_CELLS // (step * cells)))
        for start in range(0, size, stretch):
            seats = self._seats(stream.skip(start), min(stretch, size - start))
            for first in range(start, min(start + stretch, size), step):
                own = None if seats is None else seats[first - start : first - start + step]
                yield first, stream.skip(first), min(step, size - first), own

    def _seats(self, stream: Stream, size: int) -> Ints | None:
        return None if self._seated is None else self._seated.seats(stream, size)

    def _laid(self, stream: Stream, seats: Ints | None, size: int) -> Codes:
        if seats is None:
            return self.base.draw(stream, size)
        parts = self._strata(stream)
        if len(parts) == 1:
            return quick_seats(self.base.n_units, seats[:, 0], parts[0][1])
        codes = np.empty((size, self.base.n_units), dtype=np.int8)
        for stratum, (own, place) in enumerate(parts):
            codes[:, own] = quick_seats(own.stop - own.start, seats[:, stratum], place)
        return codes

    def _sifted(self, stream: Stream, seats: Ints) -> tuple[Ints, Codes]:
        """Return the numbers and codes of the tries that the screen may accept, cut by cut and ties last."""
        parts = self._strata(stream)
        ends = np.cumsum(seats, axis=2)[:, :, :-1].transpose(1, 2, 0)
        keys = [short_keys(own.stop - own.start, len(seats), place) for own, place in parts]
        codes = np.zeros((len(seats), self.base.n_units), dtype=np.int8)
        moves = np.zeros((len(parts), len(seats)), dtype=np.int64)
        rows = np.arange(len(seats))
        totals: list[Floats] = []
        for stage, sieve in self._stages:
            for stratum, (own, _) in enumerate(parts):
                held = keys[stratum] if len(rows) == len(seats) else keys[stratum][rows]
                more, ties = rough_seats_beyond(held, ends[stratum][stage, rows])
                codes[:, own] += more
                moves[stratum] += ties
            totals += list(sieve.totals(codes, range(len(ends[0]))[stage]))
            near = np.flatnonzero(sieve.near(totals, moves.sum(axis=0)))
            rows, codes, moves, totals = rows[near], codes[near], moves[:, near], [own[near] for own in totals]
        for stratum in np.flatnonzero(moves.any(axis=1)).tolist():
            own, place = parts[stratum]
            which = np.flatnonzero(moves[stratum])
            tied = rows[which]
            codes[which, own] = seats_beyond(keys[stratum][tied], ends[stratum][:, tied], place, tied)
        return rows, codes

    @cached_property
    def _stages(self) -> list[tuple[slice, Sieve]]:
        """The cuts after which a sieve is used."""
        if self._first_sieve is None:
            return [(slice(None), self._sieve)]
        return [(slice(0, 1), self._first_sieve), (slice(1, None), self._sieve)]

    def _strata(self, stream: Stream) -> list[tuple[slice, Stream]]:
        """Return where each stratum lies, and its stream."""
        ends = np.cumsum(self._sizes).tolist()
        starts = [0, *ends[:-1]]
        return [(slice(a, b), stream.child(f"stratum {s}")) for s, (a, b) in enumerate(zip(starts, ends, strict=True))]

    @property
    def _sizes(self) -> Ints:
        return np.array([self.base.n_units]) if self._seated is None else self._seated.sizes


def passing(screen: Screen) -> float:
    """Return the probability in theory of passing a screen: that of chi-square in each tier."""
    ranks = np.bincount(screen.tier, minlength=len(screen.thresholds))
    some = ranks > 0
    return float(np.prod(special.gammainc(ranks[some] / 2.0, screen.thresholds[some] / 2.0)))
