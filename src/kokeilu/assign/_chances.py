"""Each person's chances under a restriction: by symmetry, by listing, or by simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kokeilu._kernels.screen import expected_deviations
from kokeilu._kernels.streams import Seed, Stream
from kokeilu.assign._seated import SeatedLottery
from kokeilu.assign.bernoulli import BernoulliLottery
from kokeilu.assign.clustered import ClusteredLottery
from kokeilu.assign.waves import WavesLottery
from kokeilu.core.population import frozen_array
from kokeilu.core.protocols import Exchangeable, Floats, Ints, Lottery

if TYPE_CHECKING:
    from kokeilu.assign._picking import Pick
    from kokeilu.assign._screened import ScreenedLottery

__all__ = ["INSIDE", "Inclusion", "arms_alike", "simulated", "smoothed"]

EXACT = 1e-12
SWAPS = 8
DRAWS, DRAWS_LARGE, LARGE = 2_000, 400, 1_000
INSIDE = Seed.of("kokeilu: chances under rerandomisation")
"""Chances that are simulated are a property of the design, so they have a stream of their own."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inclusion:
    """Each person's probability of each arm under the restriction.

    Attributes
    ----------
    probabilities : float64 array, shape (n, arms)
    errors : float64 array, shape (n, arms)
        Monte Carlo standard errors of the chances as simulated, before they are drawn to the large-sample formula,
        which makes the error of all of them together smaller; 0 where exact.
    promised : float64 array, shape (n, arms)
        The shares of the base.
    how : {"symmetry", "listing", "simulation"}
    draws : int
        Accepted draws simulated; 0 where exact.
    weight : float
        Weight of the simulation; the rest is the large-sample formula, 1 where exact.
    """

    probabilities: Floats
    errors: Floats
    promised: Floats
    how: str
    draws: int = 0
    weight: float = 1.0

    @property
    def exact(self) -> bool:
        """True unless simulated."""
        return self.how != "simulation"

    @property
    def equal_chance(self) -> bool:
        """True where every probability is certainly the share that was promised."""
        return self.exact and self.largest_deviation[0] <= EXACT

    @property
    def largest_deviation(self) -> tuple[float, float]:
        """The largest distance of a probability from its share, and the Monte Carlo error of that probability."""
        gap = np.abs(self.probabilities - self.promised)
        place = np.unravel_index(int(gap.argmax()), gap.shape)
        return float(gap[place]), float(self.errors[place])


def arms_alike(lottery: Lottery) -> bool:
    """Tell whether exchanging arms leaves the law of a lottery as it is: all shares equal, seats dealt alike.

    The set of accepted draws then maps to itself under every exchange of arms, so that every probability is 1/K.
    """
    if isinstance(lottery, ClusteredLottery):
        return arms_alike(lottery.base)
    if isinstance(lottery, WavesLottery):
        return all(arms_alike(part) for part in lottery.lotteries)
    if not isinstance(lottery, (SeatedLottery, BernoulliLottery)):
        return False
    return all(len(set(row)) == 1 for row in set(lottery.shares_by_stratum))


def simulated(lottery: ScreenedLottery, promised: Floats) -> Inclusion:
    r"""Simulate every person's chances from a fixed stream.

    Where the base names its strata, the deviations d_i from the shares, with Monte Carlo errors e_i, are drawn towards
    those of the large-sample formula, f_i, as far as noise explains their distance (James & Stein 1961):
    ``f + w (d - f)`` with ``w = max(0, 1 - sum e^2 / sum (d - f)^2)``.
    """
    draws = DRAWS if lottery.n_units <= LARGE else DRAWS_LARGE
    stream = INSIDE.stream("inclusion")
    first, second = np.zeros_like(promised), np.zeros_like(promised)
    for row in range(draws):
        # Deviations from the share are small, so their squares lose no digits.
        gap = smoothed(lottery, lottery.pick(stream, row), stream.child("partners").skip(row)) - promised
        first += gap
        second += gap**2
    mean = first / draws
    variances = np.maximum(second / draws - mean**2, 0.0) / (draws - 1)
    weight = 1.0
    if isinstance(lottery.base, Exchangeable):
        formula = _formula(lottery, promised)
        far = float(((mean - formula) ** 2).sum())
        weight = max(0.0, 1.0 - float(variances.sum()) / far) if far > 0.0 else 0.0
        mean = formula + weight * (mean - formula)
    return Inclusion(
        probabilities=frozen_array(np.clip(promised + mean, 0.0, 1.0)),
        errors=np.sqrt(variances),
        promised=promised,
        how="simulation",
        draws=draws,
        weight=weight,
    )


def _drawn_strata(lottery: ScreenedLottery) -> tuple[Ints, Ints | None]:
    cells = lottery.cells()
    units = lottery.tries.units
    strata: Ints = cells.strata if units is None else cells.strata[units]
    return strata, cells.clusters


def _formula(lottery: ScreenedLottery, promised: Floats) -> Floats:
    strata, clusters = _drawn_strata(lottery)
    units = lottery.tries.units
    shares = promised if units is None else promised[units]
    expected = expected_deviations(lottery.screen, shares, strata)
    people: Floats = expected if clusters is None else expected[clusters]
    return people


def smoothed(lottery: ScreenedLottery, drawn: Pick, stream: Stream) -> Floats:
    r"""Return an unbiased guess of every probability from one draw, shape (n, arms).

    Exchanging unit i with a random unit j of its stratum, where the result would have been picked too, leaves the law
    as it is (a Metropolis step; for the best of K given the other tries), so
    E 1(z_i = k) = E[N_sk / n_s + refused_ij (1(z_i = k) - 1(z_j = k))]: only refused exchanges carry noise.
    """
    arms, screen, codes = len(lottery.arms), lottery.screen, drawn.codes
    held: Floats = (codes[:, None] == np.arange(arms)).astype(np.float64)
    if not isinstance(lottery.base, Exchangeable):
        return held
    strata, clusters = _drawn_strata(lottery)
    units = lottery.tries.drawn(codes[None])
    held = held if lottery.tries.units is None else held[lottery.tries.units]
    arm = units[0].astype(np.int64)
    sizes = np.maximum(np.bincount(strata), 1)
    starts, order = np.searchsorted(np.sort(strata), np.arange(len(sizes))), np.argsort(strata, kind="stable")
    picks = stream.words(1, SWAPS * len(arm))[0].reshape(SWAPS, -1) % sizes[strata].astype(np.uint64)
    sums, score = screen.sums(units)[0], screen.scores
    mine = score[arm, np.arange(len(arm))]
    counts = np.stack([np.bincount(strata, weights=column) for column in held.T], axis=1)
    guess = (counts / sizes[:, None])[strata]
    for pick in picks.astype(np.int64):
        other = order[starts[strata] + pick]
        # Where both stand in one arm nothing is exchanged.
        one = np.flatnonzero(arm != arm[other])
        two = other[one]
        moved = score[arm[two], one] - mine[one] + score[arm[one], two] - mine[two]
        refused = ~drawn.wins(sums + moved)
        guess[one] += refused[:, None] * (held[one] - held[two]) / SWAPS
    people: Floats = guess if clusters is None else guess[clusters]
    return people
