"""The lottery of a rerandomisation, and the true chances under its restriction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kokeilu._checks import between
from kokeilu._kernels.screen import Screen
from kokeilu._kernels.streams import Stream
from kokeilu.assign._chances import INSIDE, Inclusion, arms_alike, simulated
from kokeilu.assign._picking import Pick, Picking
from kokeilu.assign._tries import Tries
from kokeilu.core.arms import Arms
from kokeilu.core.lottery import cells_of, shares_of
from kokeilu.core.population import frozen_array
from kokeilu.core.protocols import Cells, Codes, Countable, Floats, Ints, Lottery
from kokeilu.errors import DesignError

__all__ = ["ScreenedLottery"]

LISTED = 200_000
LISTED_CELLS = 2**22
PAIR_UNITS = 500


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ScreenedLottery:
    """A lottery of which one try of several is picked; see :class:`kokeilu.Rerandomised`.

    Draw r of a stream reads the child "draw r" (r counted from the stream's own beginning): try t is row t of it, and
    the rule picks one of its tries as the draw.

    Attributes
    ----------
    tries : Tries
        The draws of the base, and the screen that measures them.
    rule : Picking
    """

    tries: Tries
    rule: Picking

    @property
    def base(self) -> Lottery:
        """The lottery that is drawn again."""
        return self.tries.base

    @property
    def screen(self) -> Screen:
        """What measures the distance of the arms."""
        return self.tries.screen

    @property
    def arms(self) -> Arms:
        """The arms."""
        return self.base.arms

    @property
    def n_units(self) -> int:
        """Number of people."""
        return self.base.n_units

    def draw(self, stream: Stream, size: int) -> Codes:
        """Return draws that were picked, shape (size, n)."""
        codes = np.empty((size, self.n_units), dtype=np.int8)
        for row in range(size):
            codes[row] = self.rule.pick(self.tries, _own_stream(stream, row))[1]
        return codes

    def pick(self, stream: Stream, row: int) -> Pick:
        """Return one draw with what would have been picked in its place."""
        return self.rule.picked(self.tries, _own_stream(stream, row))

    def accepted_tries(self, stream: Stream, size: int) -> Ints:
        """Return the number of the try that each draw is, counted from 0, shape (size,): for the certificate."""
        numbers = [self.rule.pick(self.tries, _own_stream(stream, row))[0] for row in range(size)]
        return np.array(numbers, dtype=np.int64)

    def shares(self) -> Floats:
        """Return the probabilities under the restriction, shape (n, arms).

        Exact by symmetry or by listing all draws. Otherwise they are simulated from a fixed stream and drawn towards
        what a second-order formula for large samples gives, as far as noise explains their distance: an estimate, whose
        Monte Carlo error :meth:`inclusion` states.
        """
        return self.inclusion().probabilities

    def inclusion(self) -> Inclusion:
        """Return each person's probability of each arm, its Monte Carlo error, and how it was found.

        ``how`` is "symmetry" and "listing" where it is exact, "simulation" where it is an estimate.
        """
        return self._inclusion

    @cached_property
    def _inclusion(self) -> Inclusion:
        promised = shares_of(self.base)
        none = np.zeros_like(promised)
        if arms_alike(self.base):
            return Inclusion(probabilities=promised, errors=none, promised=promised, how="symmetry")
        if self._listed is not None:
            codes, chances = self._listed
            exact = np.stack([chances @ (codes == arm) for arm in range(len(self.arms))], axis=1)
            return Inclusion(probabilities=frozen_array(exact), errors=none, promised=promised, how="listing")
        return simulated(self, promised)

    def together(self, *, low: float = 0.25, high: float = 0.75, draws: int = 2_000) -> tuple[Ints, Floats]:
        """Return the pairs of people who nearly always or nearly never get the same arm.

        Parameters
        ----------
        low, high : float
            Pairs with a probability of the same arm below `low` or above `high` are returned.
        draws : int
            Draws simulated where the assignments cannot be listed.

        Returns
        -------
        pairs : int64 array, shape (m, 2)
            Positions in the order of the ids.
        probability : float64 array, shape (m,)

        Raises
        ------
        DesignError
            Above 500 people.
        """
        if self.n_units > PAIR_UNITS:
            raise DesignError(
                f"pairs are reported for at most {PAIR_UNITS} people; this register has {self.n_units:,}."
            )
        low, high = (between(x, 0.0, 1.0, name="low and high", closed=True) for x in (low, high))
        listed = self._listed
        codes = listed[0] if listed else self.draw(INSIDE.stream("pairs"), draws)
        chances = listed[1] if listed else np.full(draws, 1.0 / draws)
        same = np.zeros((self.n_units, self.n_units))
        for arm in range(len(self.arms)):
            held = (codes == arm).astype(np.float64)
            same += (held * chances[:, None]).T @ held
        left, right = np.triu_indices(self.n_units, 1)
        odd = (same[left, right] < low) | (same[left, right] > high)
        return np.stack([left[odd], right[odd]], axis=1), same[left[odd], right[odd]]

    def cells(self) -> Cells:
        """Return the strata and clusters of the base.

        They say what was drawn within what; under the restriction people of a stratum are no longer exchangeable.
        """
        return cells_of(self.base)

    @cached_property
    def _listed(self) -> tuple[Codes, Floats] | None:
        """Every assignment that can be picked with its probability, where the base can be listed."""
        if not isinstance(self.base, Countable):
            return None
        count = self.base.count()
        if count is None or count > LISTED or count * self.n_units > LISTED_CELLS:
            return None
        parts = [(codes, chances, self.tries.distances(codes)) for codes, chances in self.base.every()]
        codes, chances, distances = (np.concatenate(column) for column in zip(*parts, strict=True))
        likely = chances > 0
        law = self.rule.law(self.screen, distances[likely], chances[likely])
        kept = np.flatnonzero(likely)[law > 0]
        return codes[kept], law[law > 0]

    def count(self) -> int | None:
        """Return the number of assignments that can be picked, None where the base cannot be listed."""
        return None if self._listed is None else len(self._listed[0])

    def every(self) -> Iterator[tuple[Codes, Floats]]:
        """Yield every assignment that can be picked with its probability."""
        if self._listed is None:
            raise DesignError("this lottery has too many assignments to list.")
        yield self._listed

    def problem(self, codes: Codes) -> str | None:
        """Say why an allocation is not one that this lottery can give; None where it is."""
        check = getattr(self.base, "problem", None)
        trouble: str | None = check(codes) if check else None
        return trouble or self.rule.problem(self.screen, self.tries.distances(codes[None])[0])

    def check(self, equal_chance: bool) -> None:
        """Raise DesignError where no draw is acceptable, or chances are not equal and must be."""
        # Listing raises where no draw is acceptable.
        listed = self._listed
        if equal_chance and not self._inclusion.equal_chance:
            raise DesignError(
                f"under this restriction a person's probability is {self._off_by(listed)}, and equal_chance=True. "
                "Equal chances are certain with arms of equal shares, or without rerandomisation."
            )

    def _off_by(self, listed: tuple[Codes, Floats] | None) -> str:
        gap, error = self._inclusion.largest_deviation
        exactly = f"over the {len(listed[0]):,} {self.rule.listed} draws" if listed else ""
        how = exactly or f"simulated, Monte Carlo error {error:.2g}"
        return f"off the promised share by up to {gap:.2g} ({how})"

    def cautions(self) -> tuple[str, ...]:
        """Say that chances are no longer the shares of the base, where that is so or cannot be ruled out."""
        if self._inclusion.equal_chance:
            return ()
        moved = "moved" if self._inclusion.exact else "may have moved"
        note = (
            f"the arms are not alike, and drawing again {moved} people's chances: under this restriction a person's "
            f"probability is {self._off_by(self._listed)}. Estimates weight people by the chances as they are; "
            "equal_chance=True would refuse."
        )
        return (note,)


def _own_stream(stream: Stream, row: int) -> Stream:
    """Return the stream of one draw, from its beginning."""
    number = stream.row + row
    return stream.child(f"draw {number}").skip(-stream.row)
