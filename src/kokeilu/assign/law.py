"""The law of a lottery: who has which chance, who is drawn with whom, and how many outcomes there are."""

from __future__ import annotations

from dataclasses import dataclass
from math import log10
from typing import Any

import numpy as np
from scipy import special

from kokeilu._checks import count_of, positive_int
from kokeilu._kernels.streams import Seed, Stream
from kokeilu.assign._pairs import Listed, Pairs, matrix_of
from kokeilu.assign._pairs_of import pairs_of
from kokeilu.assign._seated import SeatedLottery
from kokeilu.assign._two_stage import SaturationLottery
from kokeilu.assign.bernoulli import BernoulliLottery
from kokeilu.assign.clustered import ClusteredLottery
from kokeilu.assign.fixed import FixedLottery
from kokeilu.assign.merged import MergedLottery
from kokeilu.core.arms import Arms
from kokeilu.core.assignment import Assignment
from kokeilu.core.lottery import all_assignments, cells_of, redraws
from kokeilu.core.population import frozen_array
from kokeilu.core.protocols import Countable, Floats, Ints, KnowsShares, Lottery
from kokeilu.core.results import Rows, text_table
from kokeilu.errors import DesignError

__all__ = ["Law", "law"]

LISTED_CELLS = 2**22
LISTED = 50_000
MATRIX_UNITS = 200
SAME = 1e-9
ALARM = 5.0
"""Standard errors by which chances estimated over redraws must differ before they are said to differ."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Law(Rows):
    """What a lottery can give, and with which probabilities.

    Attributes
    ----------
    arms : Arms
    marginals : float64 array, shape (n, K)
        Each unit's probability of each arm, in the order of the ids.
    error : float
        Largest standard error of `marginals`; 0 where they are exact.
    pairs : Pairs
        Source of pairwise probabilities; see :meth:`joint`.
    allocations : int or None
        The number of possible allocations, exactly; None where it was not counted.
    log10_allocations : float or None
        Its decimal logarithm: exact to rounding where it was counted or no seats are left over, else estimated (seats
        that are left over at their expected numbers); None where there is no formula.
    strata : int64 array, shape (n,)
    equal_within_strata : bool
        Everybody in a stratum has the same probability of each arm: exactly, or as far as the redraws tell.
    equal_overall : bool
        So has everybody.
    draws : int
        Redraws behind what is not exact.
    symmetric : bool
        People of a stratum are interchangeable by the rule itself, so that their chances are equal whatever they are.
    """

    arms: Arms
    marginals: Floats
    error: float
    pairs: Pairs
    allocations: int | None
    log10_allocations: float | None
    strata: Ints
    equal_within_strata: bool
    equal_overall: bool
    draws: int
    symmetric: bool = False

    @property
    def exact(self) -> bool:
        """True where the marginal probabilities are exact."""
        return self.error == 0

    @property
    def pair_error(self) -> float:
        """Largest standard error of a pairwise probability; 0 where they are exact."""
        return self.pairs.error

    def joint(self, i: int, j: int) -> Floats:
        """Return P(unit i gets arm a, unit j gets arm b), shape (K, K); positions as in `marginals`.

        Raises
        ------
        DesignError
            For a position that does not exist.
        """
        n = len(self.marginals)
        for place in (i, j):
            if not 0 <= place < n:
                raise DesignError(f"positions go from 0 to {n - 1:,}; got {place:,}.")
        return np.diag(self.marginals[i]) if i == j else self.pairs.joint(i, j)

    def matrix(self) -> Floats:
        """Return all pairwise probabilities, shape (n, n, K, K), of up to 200 units.

        Raises
        ------
        DesignError
            Above 200 units.
        """
        if len(self.marginals) > MATRIX_UNITS:
            raise DesignError(
                f"a table of all pairs of {len(self.marginals):,} units would be too large: it is given up to "
                f"{MATRIX_UNITS}. Ask for pairs with joint(i, j)."
            )
        return frozen_array(matrix_of(self.joint, self.marginals))

    @property
    def sentence(self) -> str:
        """Say in words whether everybody in a stratum has the same chance."""
        chances = "; ".join(self._chance(k) for k in range(len(self.arms)))
        n_strata = int(self.strata.max()) + 1
        if not self.exact:
            return self._estimated(chances)
        if self.equal_overall:
            return f"Everybody has exactly the same chance: {chances}."
        if self.equal_within_strata:
            return (
                f"Within each of the {n_strata:,} strata everybody has exactly the same chance; between strata the "
                f"chances differ by design: {chances}."
            )
        where = "in the same stratum" if n_strata > 1 else "in the register"
        return f"Not everybody {where} has the same chance: {chances}."

    def _estimated(self, chances: str) -> str:
        how = f"estimated from {self.draws:,} redraws, with a standard error of at most {self.error:.2g}"
        if self.symmetric:
            return f"Everybody in a stratum has exactly the same chance, by the rule; how large was {how}: {chances}."
        if self.equal_within_strata:
            where = "between people of the same stratum" if self.strata.max() > 0 else "between people"
            return (
                f"No difference in chances {where} was found, but they are {how}; differences below about "
                f"{ALARM * self.error:.2g} would not show: {chances}."
            )
        return f"Not everybody in the same stratum has the same chance ({how}): {chances}."

    def _chance(self, arm: int) -> str:
        low, high = float(self.marginals[:, arm].min()), float(self.marginals[:, arm].max())
        name = self.arms[arm].name
        if high - low > SAME:
            return f"{name} from {low:.4g} to {high:.4g}"
        share = self.arms[arm].share
        return f"{name} {share if abs(float(share) - low) < SAME else f'{low:.4g}'}"

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each arm."""
        return [
            {
                "arm": arm.name,
                "mean_chance": float(column.mean()),
                "smallest": float(column.min()),
                "largest": float(column.max()),
                "error": self.error,
                "certain": int((column >= 1 - SAME).sum()),
                "impossible": int((column <= SAME).sum()),
            }
            for arm, column in zip(self.arms, self.marginals.T, strict=True)
        ]

    def __str__(self) -> str:
        pairs = "exact" if self.pair_error == 0 else f"known to a standard error of at most {self.pair_error:.2g}"
        return "\n".join([text_table(self.rows()), self.sentence, f"{self._number()} Chances of two people: {pairs}."])

    def _number(self) -> str:
        if self.allocations is not None and self.allocations < 10**15:
            return f"{count_of(self.allocations, 'possible allocation')}."
        if self.log10_allocations is None:
            return "The number of possible allocations was not counted."
        return f"About 10 to the power {self.log10_allocations:,.1f} possible allocations."


def law(subject: Lottery | Assignment, *, draws: int = 20_000) -> Law:
    """Return the law of a lottery: marginal and pairwise probabilities, the number of allocations, equality.

    Exact wherever it can be: by listing all assignments, by the second moments of the table of seats (designs with
    fixed seats), as a product (independent draws), cluster by cluster. Otherwise by redraws, with their error.

    Parameters
    ----------
    subject : Lottery or Assignment
    draws : int, default 20,000
        Redraws where there is no exact way: standard error at most 0.0036.

    Returns
    -------
    Law

    Examples
    --------
    >>> import kokeilu as kk
    >>> people = {"id": [1, 2, 3, 4], "region": ["n", "n", "s", "s"]}
    >>> drawn = kk.randomise(people, kk.Stratified(kk.arms(control=1, coaching=1), by="region"), id="id", seed="x")
    >>> found = kk.law(drawn)
    >>> found.allocations, found.sentence
    (4, 'Everybody has exactly the same chance: control 1/2; coaching 1/2.')
    >>> float(found.joint(0, 1)[1, 1])
    0.0
    """
    positive_int(draws, name="draws", least=100)
    lottery = subject.lottery if isinstance(subject, Assignment) else subject
    if not isinstance(lottery, Lottery):
        raise DesignError(f"law needs a lottery or an assignment; got {type(lottery).__name__}.")
    stream = subject.stream("law") if isinstance(subject, Assignment) else Seed.of("kokeilu: law").stream("law")
    everything = _listed(lottery)
    marginals, error, used = _marginals(lottery, everything, stream, draws)
    strata = cells_of(lottery).strata
    within, overall = _equality(marginals, strata, error)
    count = lottery.count() if isinstance(lottery, Countable) else None
    return Law(
        arms=lottery.arms,
        marginals=frozen_array(marginals),
        error=error,
        pairs=everything or pairs_of(lottery, stream, draws),
        allocations=count,
        log10_allocations=_log10(count) if count is not None else _size(lottery),
        strata=strata,
        equal_within_strata=within,
        equal_overall=overall,
        draws=used,
        symmetric=bool(getattr(lottery, "symmetric", False)),
    )


def _listed(lottery: Lottery) -> Listed | None:
    limit = min(LISTED, LISTED_CELLS // max(lottery.n_units, 1))
    chunks = all_assignments(lottery, limit)
    if chunks is None:
        return None
    parts = list(chunks)
    codes = np.concatenate([part[0] for part in parts])
    return Listed(codes=codes, chances=np.concatenate([part[1] for part in parts]), arms=len(lottery.arms))


def _marginals(lottery: Lottery, everything: Listed | None, stream: Stream, draws: int) -> tuple[Floats, float, int]:
    """Marginals, their largest standard error, and the redraws behind them."""
    error, used = _share_error(lottery)
    if isinstance(lottery, KnowsShares) and error == 0:
        return lottery.shares(), 0.0, 0
    if everything is not None:
        arms = range(len(lottery.arms))
        return np.stack([everything.chances @ (everything.codes == k) for k in arms], axis=1), 0.0, 0
    if isinstance(lottery, KnowsShares):
        return lottery.shares(), error, used
    total = np.zeros((lottery.n_units, len(lottery.arms)))
    for codes in redraws(lottery, stream.child("marginals"), draws):
        for arm in range(len(lottery.arms)):
            total[:, arm] += (codes == arm).sum(axis=0)
    found = total / draws
    return found, float(np.sqrt(found * (1 - found) / draws).max()), draws


def _share_error(lottery: Any) -> tuple[float, int]:
    """Largest standard error of what shares() gives, and the redraws behind it; of the parts where it is made of some.

    A screened lottery says it by inclusion(), an adaptive one by share_error; the others know their shares.
    """
    if hasattr(lottery, "inclusion"):
        inclusion = lottery.inclusion()
        return float(inclusion.errors.max()), inclusion.draws
    if hasattr(lottery, "share_error"):
        return float(lottery.share_error), int(lottery.share_draws)
    if isinstance(lottery, (ClusteredLottery, FixedLottery, MergedLottery, SaturationLottery)):
        return _share_error(lottery.base)
    parts = [_share_error(part) for part in getattr(lottery, "lotteries", ())]
    return max((error for error, _ in parts), default=0.0), max((used for _, used in parts), default=0)


def _equality(marginals: Floats, strata: Ints, error: float) -> tuple[bool, bool]:
    """Whether chances are equal within strata, and overall; beyond the error where they are estimated."""
    room = SAME if error == 0 else ALARM * error
    size = np.bincount(strata)
    within = True
    for column in marginals.T:
        mean = np.bincount(strata, weights=column) / np.maximum(size, 1)
        within &= bool((np.abs(column - mean[strata]) <= room).all())
    return within, bool((np.abs(marginals - marginals.mean(axis=0)) <= room).all())


def _log10(count: int) -> float | None:
    # A whole number may be too large for a double; its logarithm is not.
    return log10(count) if count > 0 else None


def _size(lottery: Lottery) -> float | None:
    """Decimal logarithm of the number of allocations, where there is a formula."""
    if isinstance(lottery, (ClusteredLottery, FixedLottery)):
        return _size(lottery.base)
    if isinstance(lottery, BernoulliLottery):
        return float(np.log10((lottery.shares() > 0).sum(axis=1)).sum())
    if isinstance(lottery, SeatedLottery):
        floors, fractions, unit = lottery._targets
        seats = floors + fractions / unit
        ways = special.gammaln(lottery.sizes + 1.0).sum() - special.gammaln(seats + 1.0).sum()
        return float(ways / np.log(10))
    parts = getattr(lottery, "lotteries", None)
    sizes = [_size(part) for part in parts] if parts else [None]
    return None if None in sizes else float(sum(size for size in sizes if size is not None))
