"""Pairwise probabilities of a lottery: by listing, by the law of seats, as a product, or over redraws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.seat_law import seat_law
from kokeilu._kernels.streams import Stream
from kokeilu.assign._seated import SeatedLottery
from kokeilu.core.lottery import redraws
from kokeilu.core.protocols import Codes, Floats, Lottery

__all__ = ["Drawn", "Independent", "Listed", "Pairs", "Seated", "matrix_of"]

SEAT_CELLS = 2**24
LEAVES = 20_000


class Pairs(Protocol):
    """A source of pairwise probabilities."""

    @property
    def error(self) -> float:
        """Largest standard error of a probability; 0 where they are exact."""
        ...

    def joint(self, i: int, j: int) -> Floats:
        """Return P(i gets a, j gets b) for two different units, shape (K, K)."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Listed:
    """All assignments (m, n) with their probabilities (m,)."""

    codes: Codes
    chances: Floats
    arms: int
    error: float = 0.0

    def joint(self, i: int, j: int) -> Floats:
        """Return the sum of the probabilities of the assignments in question."""
        pair = self.codes[:, i].astype(np.int64) * self.arms + self.codes[:, j]
        table = np.bincount(pair, weights=self.chances, minlength=self.arms**2)
        return table.reshape(self.arms, self.arms).astype(np.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Independent:
    """Units drawn each on their own."""

    marginals: Floats
    error: float = 0.0

    def joint(self, i: int, j: int) -> Floats:
        """Return the product."""
        return _outer(self.marginals[i], self.marginals[j])


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """Frequencies over redraws, drawn anew for every pair asked for, so that no table of pairs is kept."""

    lottery: Lottery
    stream: Stream
    draws: int

    @property
    def error(self) -> float:
        """The largest that a frequency can have."""
        return 0.5 / float(np.sqrt(self.draws))

    @cached_property
    def _kept(self) -> Codes | None:
        """The redraws themselves where they take no more than 16 million codes."""
        if self.draws * self.lottery.n_units > SEAT_CELLS:
            return None
        return np.concatenate(list(redraws(self.lottery, self.stream, self.draws)))

    def joint(self, i: int, j: int) -> Floats:
        """Return the frequency."""
        arms = len(self.lottery.arms)
        table = np.zeros(arms**2)
        for codes in redraws(self.lottery, self.stream, self.draws) if self._kept is None else [self._kept]:
            table += np.bincount(codes[:, i].astype(np.int64) * arms + codes[:, j], minlength=arms**2)
        return table.reshape(arms, arms) / self.draws


@dataclass(frozen=True, kw_only=True, eq=False)
class Seated:
    """Fixed seats: only the second moments of the table of seats N (strata by arms) are needed.

    Within stratum s of n units P(i in a, j in b) = E[N_a (N_b - 1{a = b})] / (n (n - 1)); between strata s and t it is
    E[N_sa N_tb] / (n_s n_t), which is the product where the strata are independent.
    """

    lottery: SeatedLottery
    stream: Stream
    draws: int

    @cached_property
    def _tables(self) -> tuple[NDArray[np.int64], Floats, bool]:
        """Tables of seats (T, S, K), their probabilities (T,), and whether these are exact."""
        lottery = self.lottery
        law = lottery._law
        if law is not None and law[0].size <= SEAT_CELLS:
            return np.asarray(law[0], dtype=np.int64), np.array([float(p) for p in law[1]]), True
        size = max(1, min(self.draws, SEAT_CELLS // (len(lottery.sizes) * len(lottery.arms))))
        return np.asarray(lottery.seats(self.stream, size)), np.full(size, 1 / size), False

    @property
    def error(self) -> float:
        """0 where the law of the seats is exact; else the largest that a mean over the tables can have.

        Seats left over move each N by less than one, hence the mean of the product by a standard error of at most
        (1 / n_s + 1 / n_t) / (2 sqrt(T)), taken at the smallest strata.
        """
        if self._own_law is not None:
            return 0.0
        tables, _, exact = self._tables
        smallest = max(1.0, float(self.lottery.sizes.min()))
        return 0.0 if exact else min(0.5, 1 / smallest) / float(np.sqrt(len(tables)))

    @cached_property
    def _own_law(self) -> dict[bytes, tuple[Floats, Floats]] | None:
        """Where strata are independent: each kind of leftovers with its tables (T, K) and their probabilities."""
        lottery = self.lottery
        _, fractions, unit = lottery._targets
        if fractions.any() and (lottery.leftovers != "stratum" or type(lottery).seats is not SeatedLottery.seats):
            return None
        laws: dict[bytes, tuple[Floats, Floats]] = {}
        for row in np.unique(fractions, axis=0):
            law = seat_law(row[None], unit, "stratum", LEAVES)
            if law is None:
                return None
            chances: list[Fraction] = law[1]
            laws[row.tobytes()] = law[0][:, 0].astype(np.float64), np.array([float(p) for p in chances])
        return laws

    def _moment(self, s: int, t: int) -> Floats:
        """E[N_sa N_tb], shape (K, K)."""
        if self._own_law is None:
            tables, chances, _ = self._tables
            left, right = tables[:, s].astype(np.float64), tables[:, t].astype(np.float64)
        else:
            floors, fractions, unit = self.lottery._targets
            if s != t:
                owed = floors + fractions / unit
                return _outer(owed[s], owed[t])
            extra, chances = self._own_law[fractions[s].tobytes()]
            left = right = floors[s] + extra
        moment: Floats = np.einsum("t,ta,tb->ab", chances, left, right)
        return moment

    def joint(self, i: int, j: int) -> Floats:
        """Return the probability by the moments of the seats."""
        s, t = int(self.lottery.strata[i]), int(self.lottery.strata[j])
        sizes = self.lottery.sizes
        moment = self._moment(s, t)
        if s != t:
            return moment / float(sizes[s] * sizes[t])
        owed = self.lottery.shares()[i] * float(sizes[s])
        return (moment - np.diag(owed)) / float(sizes[s] * (sizes[s] - 1))


def _outer(left: Floats, right: Floats) -> Floats:
    product: Floats = np.multiply.outer(left, right)
    return product


def matrix_of(joint: Callable[[int, int], Floats], marginals: Floats) -> Floats:
    """Return all pairs as an array (n, n, K, K); a unit with itself on the diagonal."""
    n, arms = marginals.shape
    table = np.empty((n, n, arms, arms))
    for i in range(n):
        table[i, i] = np.diag(marginals[i])
        for j in range(i):
            table[i, j] = joint(i, j)
            table[j, i] = table[i, j].T
    return table
