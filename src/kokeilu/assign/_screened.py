"""The lottery of a rerandomisation, and the true chances under its restriction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kokeilu._checks import between
from kokeilu._kernels.quick_seats import quick_seats
from kokeilu._kernels.screen import Screen
from kokeilu._kernels.streams import Stream
from kokeilu.assign._chances import INSIDE, Inclusion, arms_alike, simulated
from kokeilu.assign._seated import SeatedLottery
from kokeilu.core.arms import Arms
from kokeilu.core.lottery import cells_of, shares_of
from kokeilu.core.population import frozen_array
from kokeilu.core.protocols import Cells, Codes, Countable, Floats, Ints, Lottery
from kokeilu.errors import DesignError

__all__ = ["ScreenedLottery"]

LISTED = 200_000
LISTED_CELLS = 2**22
BATCH_CELLS = 2**18
QUICK_STRATUM = 64
PAIR_UNITS = 500


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ScreenedLottery:
    """A lottery that is drawn until a screen accepts; see :class:`kokeilu.Rerandomised`.

    Draw r of a stream reads the child "draw r" (r counted from the stream's own beginning): try t is row t of it, and
    the first accepted try is the draw.

    Attributes
    ----------
    base : Lottery
    screen : Screen
    units : int64 array or None
        The first person of each cluster, where clusters are drawn.
    accept : float
        Probability of acceptance in theory.
    tries : int
        Most tries for one draw.
    """

    base: Lottery
    screen: Screen
    units: Ints | None
    accept: float
    tries: int

    @property
    def arms(self) -> Arms:
        """The arms."""
        return self.base.arms

    @property
    def n_units(self) -> int:
        """Number of people."""
        return self.base.n_units

    def draw(self, stream: Stream, size: int) -> Codes:
        """Return accepted draws, shape (size, n)."""
        codes = np.empty((size, self.n_units), dtype=np.int8)
        for row in range(size):
            codes[row] = self._first_accepted(_own_stream(stream, row))[1]
        return codes

    def accepted_tries(self, stream: Stream, size: int) -> Ints:
        """Return the number of the accepted try of each draw, counted from 0, shape (size,): for the certificate."""
        return np.array([self._first_accepted(_own_stream(stream, row))[0] for row in range(size)], dtype=np.int64)

    def _first_accepted(self, stream: Stream) -> tuple[int, Codes]:
        step = max(1, min(round(1.5 / self.accept), BATCH_CELLS // self.n_units))
        for start in range(0, self.tries, step):
            codes = self._try(stream.skip(start), min(step, self.tries - start))
            good = self.screen.accepts(self.drawn(codes))
            if good.any():
                first = int(good.argmax())
                return start + first, codes[first]
        raise DesignError(
            f"no balanced draw among {self.tries:,} tries. Accept more (accept=, now 1 in {1 / self.accept:,.4g}), "
            "balance fewer covariates, or allow more tries=."
        )

    def drawn(self, codes: Codes) -> Codes:
        """Return the codes of what is drawn: people, or one for each cluster."""
        return codes if self.units is None else codes[:, self.units]

    def _try(self, stream: Stream, size: int) -> Codes:
        """Draw the base; seats in large strata by short keys, which the many tries make worth while."""
        base = self.base
        if not isinstance(base, SeatedLottery) or base.n_units < QUICK_STRATUM * len(base.sizes):
            return base.draw(stream, size)
        seats = base.seats(stream, size)
        if len(base.sizes) == 1:
            return quick_seats(base.n_units, seats[:, 0], stream.child("stratum 0"))
        codes = np.empty((size, base.n_units), dtype=np.int8)
        for stratum, people in enumerate(self._members):
            codes[:, people] = quick_seats(len(people), seats[:, stratum], stream.child(f"stratum {stratum}"))
        return codes

    @cached_property
    def _members(self) -> list[Ints]:
        strata = cells_of(self.base).strata
        return [np.flatnonzero(strata == s) for s in range(int(strata.max()) + 1)]

    def shares(self) -> Floats:
        """Return the true probabilities under the restriction, shape (n, arms).

        Exact by symmetry or by listing all draws; otherwise simulated from a fixed stream, see :meth:`inclusion`.
        """
        return self.inclusion().probabilities

    def inclusion(self) -> Inclusion:
        """Return each person's true probability of each arm, its Monte Carlo error, and how it was found."""
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
        """Every accepted assignment with its probability, where the base can be listed."""
        if not isinstance(self.base, Countable):
            return None
        count = self.base.count()
        if count is None or count > LISTED or count * self.n_units > LISTED_CELLS:
            return None
        kept, weights = [], []
        for codes, chances in self.base.every():
            good = self.screen.accepts(self.drawn(codes)) & (chances > 0)
            kept.append(codes[good])
            weights.append(chances[good])
        chance = np.concatenate(weights)
        if not len(chance):
            raise DesignError(
                f"none of the {count:,} possible assignments is balanced enough. Accept more (accept=), or balance "
                "fewer covariates."
            )
        return np.concatenate(kept), chance / chance.sum()

    def count(self) -> int | None:
        """Return the number of accepted assignments, None where the base cannot be listed."""
        return None if self._listed is None else len(self._listed[0])

    def every(self) -> Iterator[tuple[Codes, Floats]]:
        """Yield every accepted assignment with its probability."""
        if self._listed is None:
            raise DesignError("this lottery has too many assignments to list.")
        yield self._listed

    def problem(self, codes: Codes) -> str | None:
        """Say why an allocation is not one that this lottery can give; None where it is."""
        check = getattr(self.base, "problem", None)
        trouble: str | None = check(codes) if check else None
        if trouble or self.screen.accepts(self.drawn(codes[None]))[0]:
            return trouble
        found = self.screen.distances(self.screen.sums(self.drawn(codes[None])))[0]
        worst = int((found / self.screen.thresholds).argmax())
        return (
            f"the Mahalanobis distance of the covariates is {found[worst]:.4g}, and draws above "
            f"{self.screen.thresholds[worst]:.4g} are not accepted"
        )

    def check(self, equal_chance: bool) -> None:
        """Raise DesignError where no draw is acceptable, or chances are not equal and must be."""
        listed = self._listed
        if not equal_chance or self._inclusion.equal_chance:
            return
        gap, error = self._inclusion.largest_deviation
        how = f"over the {len(listed[0]):,} accepted draws" if listed else f"simulated, Monte Carlo error {error:.2g}"
        raise DesignError(
            f"under this restriction a person's probability is off the promised share by up to {gap:.2g} ({how}), and "
            "equal_chance=True. Equal chances are certain with arms of equal shares, or without rerandomisation."
        )


def _own_stream(stream: Stream, row: int) -> Stream:
    """Return the stream of one draw, from its beginning."""
    number = stream.row + row
    return stream.child(f"draw {number}").skip(-stream.row)
