"""The lottery of waves that follow earlier outcomes, replayed whole at every draw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import lcm
from typing import TYPE_CHECKING

import numpy as np

from kokeilu._checks import count_of
from kokeilu._kernels.row_seats import systematic_seats
from kokeilu._kernels.shuffle import seat_people
from kokeilu._kernels.streams import Seed, Stream
from kokeilu.assign._seated import SeatedLottery
from kokeilu.core.arms import Arm, Arms
from kokeilu.core.population import frozen_array
from kokeilu.core.protocols import Cells, Codes, Floats, Ints
from kokeilu.errors import DesignError

if TYPE_CHECKING:
    from kokeilu.assign.adaptive import Adaptive

__all__ = ["AdaptiveLottery", "Wave"]

LISTED = 2**18
REPLAYS = 2_500
REPLAY_CELLS = 2**26


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Wave:
    """One wave: its name, its people, and their strata within it (codes and sizes)."""

    name: str
    rows: Ints
    strata: Ints
    sizes: Ints


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class AdaptiveLottery:
    """All waves together, with the outcomes that steer them; see :class:`kokeilu.Adaptive`.

    Attributes
    ----------
    outcomes : int8 array, shape (n, K)
        Outcome of each person under each arm: 1, 0, or -1 for not known.
    """

    rule: Adaptive
    waves: tuple[Wave, ...]
    outcomes: Codes
    strata: Ints

    @cached_property
    def arms(self) -> Arms:
        """The arms; the shares are those of the first wave."""
        return self.rule.arms

    @property
    def n_units(self) -> int:
        """Number of people."""
        return len(self.strata)

    def with_outcomes(self, outcomes: Ints | Codes) -> AdaptiveLottery:
        """Return the lottery with the outcomes that a sharp hypothesis implies.

        Parameters
        ----------
        outcomes : whole numbers, shape (n,) or (n, K)
            1, 0 or -1 (not known) for each person, under every arm alike or arm by arm.
        """
        values = np.asarray(outcomes)
        table = np.repeat(values[:, None], len(self.arms), axis=1) if values.ndim == 1 else values
        if table.shape != self.outcomes.shape or not np.isin(table, (-1, 0, 1)).all():
            raise DesignError(
                f"outcomes must be 1, 0 or -1, of shape ({self.n_units},) or {self.outcomes.shape}; got {values.shape}."
            )
        return replace(self, outcomes=frozen_array(table.astype(np.int8)))

    @cached_property
    def _first(self) -> tuple[Ints, int]:
        unit = lcm(*(share.denominator for share in self.arms.shares))
        return np.array([int(share * unit) for share in self.arms.shares], dtype=np.int64), unit

    def draw(self, stream: Stream, size: int) -> Codes:
        """Return draws, shape (size, n): the whole rule anew in each, wave w by the child stream "wave w"."""
        return self._replay(stream, size)[0]

    def _replay(self, stream: Stream, size: int) -> tuple[Codes, Floats]:
        """Return draws, (size, n), and the shares with which each wave was drawn, (size, waves, K)."""
        codes = np.zeros((size, self.n_units), dtype=np.int8)
        shares = np.empty((size, len(self.waves), len(self.arms)))
        counts = np.zeros((2, size, len(self.arms)), dtype=np.int64)
        for place, wave in enumerate(self.waves):
            parts, unit = self._parts(place, counts)
            shares[:, place] = parts / unit
            own = stream.child(f"wave {wave.name}")
            seats = systematic_seats(parts, unit, wave.sizes, own.child("seats"))
            codes[:, wave.rows] = seat_people(wave.strata, wave.sizes, seats, own.child("units"))
            if place < len(self.waves) - 1:
                counts += self._counts(wave, codes)
        return codes, shares

    def _parts(self, place: int, counts: Ints) -> tuple[Ints, int]:
        """Shares of a wave in whole parts (size, K) and their unit, given successes and failures (2, size, K)."""
        if place == 0:
            parts, unit = self._first
            return np.broadcast_to(parts, counts.shape[1:]), unit
        return self.rule.parts_after(counts[0], counts[1]), self.rule.grid

    def _counts(self, wave: Wave, codes: Codes) -> Ints:
        """Successes and failures by arm in a wave, shape (2, size, K)."""
        own, seen = codes[:, wave.rows], self.outcomes[wave.rows]
        return np.array(
            [
                [((own == arm) & (seen[:, arm] == value)).sum(axis=1) for arm in range(len(self.arms))]
                for value in (1, 0)
            ]
        ).transpose(0, 2, 1)

    def history(self, codes: Codes) -> tuple[list[tuple[Fraction, ...]], Ints]:
        """Return the exact shares of each wave in one draw, and the counts by wave, int64 (2, waves, K)."""
        shares, tables = [], []
        counts = np.zeros((2, 1, len(self.arms)), dtype=np.int64)
        for place, wave in enumerate(self.waves):
            parts, unit = self._parts(place, counts)
            shares.append(tuple(Fraction(part, unit) for part in parts[0].tolist()))
            tables.append(self._counts(wave, codes[None]))
            counts = counts + tables[-1]
        return shares, np.concatenate(tables, axis=1)

    def shares_given(self, codes: Codes) -> Floats:
        """Return each person's probability of each arm given the waves before, (n, K): exact, for weighting."""
        table = np.empty((self.n_units, len(self.arms)))
        for wave, shares in zip(self.waves, self.history(codes)[0], strict=True):
            table[wave.rows] = [float(share) for share in shares]
        return table

    @property
    def share_error(self) -> float:
        """Largest standard error of :meth:`shares`: 0 where all assignments are listed, or there is one wave."""
        return float(self._shares[1].max())

    @property
    def symmetric(self) -> bool:
        """True: people of one wave and stratum are interchangeable, whatever the outcomes."""
        return True

    @property
    def share_draws(self) -> int:
        """Replays behind :meth:`shares` where it is not exact."""
        return max(256, min(REPLAYS, REPLAY_CELLS // self.n_units))

    def shares(self) -> Floats:
        """Return each person's probability of each arm before anything was drawn, (n, K).

        Exact where the assignments can be listed, and in the first wave; else the mean over replays of the shares of
        each wave, the same for everybody in it, with the standard error :attr:`share_error`.
        """
        table = np.empty((self.n_units, len(self.arms)))
        for wave, row in zip(self.waves, self._shares[0], strict=True):
            table[wave.rows] = row
        return table

    @cached_property
    def _shares(self) -> tuple[Floats, Floats]:
        """Mean shares of the waves over all draws, and their standard errors, both (waves, K)."""
        if self._bound <= LISTED:
            return self._listed_shares(), np.zeros((len(self.waves), len(self.arms)))
        size = self.share_draws if len(self.waves) > 1 else 1
        step = max(1, 2**24 // self.n_units)
        stream = Seed.of("kokeilu: shares of adaptive waves").stream("shares")
        found = [self._replay(stream.skip(start), min(step, size - start))[1] for start in range(0, size, step)]
        every = np.concatenate(found)
        return every.mean(axis=0), every.std(axis=0) / np.sqrt(size)

    def _wave_shares(self, codes: Codes) -> Floats:
        counts = np.zeros((2, len(codes), len(self.arms)), dtype=np.int64)
        tables = []
        for place, wave in enumerate(self.waves):
            parts, unit = self._parts(place, counts)
            tables.append(parts / unit)
            counts = counts + self._counts(wave, codes)
        return np.stack(tables, axis=1)

    def _listed_shares(self) -> Floats:
        codes, chances = self._everything
        mean: Floats = np.tensordot(chances, self._wave_shares(codes), axes=1)
        return mean

    def cells(self) -> Cells:
        """Return waves (and their strata) as cells; seats are fixed in the first wave alone."""
        one = len(self.waves) == 1
        names = (self.rule.wave, *self.rule.by)
        return Cells(strata=self.strata, fixed=one, names=names, waves=None if one else self._wave_codes)

    @cached_property
    def _wave_codes(self) -> Ints:
        codes = np.zeros(self.n_units, dtype=np.int64)
        for place, wave in enumerate(self.waves):
            codes[wave.rows] = place
        return frozen_array(codes)

    @property
    def _bound(self) -> int:
        return int(min(len(self.arms) ** min(self.n_units, 100), 2**63 - 1))

    def count(self) -> int | None:
        """Return the number of distinct assignments; None where they are not listed (above 18 people in two arms)."""
        return len(self._everything[1]) if self._bound <= LISTED else None

    def every(self) -> Iterator[tuple[Codes, Floats]]:
        """Yield every assignment with its probability."""
        if self._bound > LISTED:
            raise DesignError("this lottery has too many assignments to list.")
        yield self._everything

    @cached_property
    def _everything(self) -> tuple[Codes, Floats]:
        codes, chances = np.zeros((1, self.n_units), dtype=np.int8), np.ones(1)
        counts = np.zeros((2, 1, len(self.arms)), dtype=np.int64)
        for place, wave in enumerate(self.waves):
            parts, unit = self._parts(place, counts)
            pieces = []
            for row in np.unique(parts, axis=0):
                before = np.flatnonzero((parts == row).all(axis=1))
                own, weights = self._one_wave(wave, row.tolist(), unit)
                grown = np.repeat(codes[before], len(own), axis=0)
                grown[:, wave.rows] = np.tile(own, (len(before), 1))
                pieces.append((grown, (chances[before][:, None] * weights).reshape(-1)))
            codes = np.concatenate([piece[0] for piece in pieces])
            chances = np.concatenate([piece[1] for piece in pieces])
            counts = np.sum([self._counts(past, codes) for past in self.waves[: place + 1]], axis=0)
        return codes, chances

    def _one_wave(self, wave: Wave, parts: list[int], unit: int) -> tuple[Codes, Floats]:
        shares = tuple(Fraction(part, unit) for part in parts)
        lottery = SeatedLottery(
            arms=Arms(tuple(Arm(name, share) for name, share in zip(self.arms.names, shares, strict=True))),
            strata=wave.strata,
            shares_by_stratum=(shares,) * len(wave.sizes),
            leftovers="stratum",
        )
        blocks = list(lottery.every())
        return np.concatenate([block[0] for block in blocks]), np.concatenate([block[1] for block in blocks])

    def problem(self, codes: Codes) -> str | None:
        """Say why an allocation is not one that this lottery can give; None where it is."""
        arms, wrong = len(self.arms), 0
        for wave, shares in zip(self.waves, self.history(codes)[0], strict=True):
            table = np.bincount(wave.strata * arms + codes[wave.rows], minlength=len(wave.sizes) * arms)
            owed = [[size * share for share in shares] for size in wave.sizes.tolist()]
            wrong += any(
                abs(seats - due) >= 1
                for row, dues in zip(table.reshape(-1, arms).tolist(), owed, strict=True)
                for seats, due in zip(row, dues, strict=True)
            )
        if not wrong:
            return None
        verb = "has" if wrong == 1 else "have"
        return f"{count_of(wrong, 'wave')} {verb} arm counts that the shares after the earlier waves do not give"
