"""Draws of whole clusters: households, offices, municipalities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

import numpy as np

from kokeilu._checks import choice, count_of, name_list
from kokeilu._kernels.streams import Stream
from kokeilu.core.arms import Arms
from kokeilu.core.lottery import cells_of, seating_of, shares_of
from kokeilu.core.pairs import PairLaw, clustered_law, pair_law_of
from kokeilu.core.population import CLUSTER_SIZE, Factor, Population, first_members
from kokeilu.core.protocols import Cells, Codes, Countable, Floats, Ints, Lottery, Mechanism, Seating
from kokeilu.core.register import covariates_of
from kokeilu.core.registry import encode, register
from kokeilu.errors import DesignError

__all__ = ["Clustered", "settle"]

STRADDLING = ("refuse", "largest")
EVERY_CELLS = 2**22


@register("clustered")
@dataclass(frozen=True, slots=True)
class Clustered:
    """Let another mechanism draw clusters instead of people; everybody in a cluster gets its arm.

    Parameters
    ----------
    base : Mechanism
        The rule by which clusters are drawn; its strata must be constant within clusters.
    by : str
        The column that names the cluster.
    straddling : {"refuse", "largest"}
        Clusters whose people stand in several strata of the base: "refuse" raises with their number; "largest" gives
        the cluster the stratum where most of its people are, and of equals the first in the order of levels. The
        number is kept in ``lottery.straddling``. Columns that fix arms by law are never settled by majority.

    Raises
    ------
    DesignError
        On binding, where a cluster has people in several strata and `straddling` refuses it.

    Examples
    --------
    >>> import kokeilu as kk
    >>> offices = kk.Clustered(kk.Stratified(kk.arms(control=1, coaching=1), by="region"), by="employment_office")
    >>> offices.describe()
    'Whole clusters by employment_office. Stratified by region, leftovers balanced: control 1/2, coaching 1/2.'
    """

    base: Mechanism
    _: KW_ONLY
    by: str
    straddling: str = "refuse"

    def __post_init__(self) -> None:
        choice(self.straddling, STRADDLING, name="straddling")
        if isinstance(self.base, type) or not isinstance(self.base, Mechanism):
            raise DesignError(
                "Clustered needs a mechanism to draw the clusters, such as Complete(...) or Stratified(...)."
            )
        names = name_list(self.by, name="by")
        if len(names) != 1:
            raise DesignError("Clustered takes one column in `by`: the name of the cluster.")
        if names[0] in self.base.columns():
            raise DesignError(f"{names[0]!r} is both the cluster and a stratum. Strata are made of several clusters.")
        object.__setattr__(self, "by", names[0])

    def to_data(self) -> dict[str, object]:
        """Return plain data; `straddling` only where stated, so that designs fixed before it keep their fingerprint."""
        data: dict[str, object] = {"base": encode(self.base), "by": self.by}
        return data if self.straddling == "refuse" else {**data, "straddling": self.straddling}

    @property
    def arms(self) -> Any:
        """The arms of the base."""
        return getattr(self.base, "arms")  # noqa: B009

    @property
    def ordered(self) -> tuple[str, ...]:
        """Columns whose order of levels settles ties: strata that straddling clusters may take, matched clusters."""
        strata = self.base.columns() if self.straddling == "largest" else ()
        return (*strata, self.by) if covariates_of(self.base) else strata

    def columns(self) -> tuple[str, ...]:
        """Return the cluster column and those of the base."""
        return (*self.base.columns(), self.by)

    def covariates(self) -> tuple[str, ...]:
        """Return the covariates of the base; it gets their means by cluster."""
        return tuple(name for name in covariates_of(self.base) if name != CLUSTER_SIZE)

    def bind(self, population: Population) -> Lottery:
        """Bind to a population."""
        clusters, membership, straddling = self._collapsed(population)
        base = self.base.bind(clusters)
        return ClusteredLottery(base=base, membership=membership, name=self.by, straddling=straddling)

    def _collapsed(self, population: Population) -> tuple[Population, Ints, int]:
        keep, settled = self.base.columns(), 0
        if self.straddling == "largest":
            fixed = getattr(self.base, "settled", keep)
            population, settled = settle(population, self.by, tuple(name for name in keep if name in fixed))
        clusters, membership = population.collapse(self.by, keep, covariates_of(self.base))
        return clusters, membership, settled

    def as_realised(self, population: Population, codes: Codes) -> Clustered:
        """Return the design with the numbers of clusters as they fell."""
        clusters, membership, _ = self._collapsed(population)
        base = getattr(self.base, "as_realised", None)
        first = first_members(membership, len(clusters))
        if base is None or (codes != codes[first][membership]).any():
            return self
        return replace(self, base=base(clusters, codes[first]))

    def describe(self) -> str:
        """Say the rule in one sentence."""
        rule = " in the stratum of most of their people" if self.straddling == "largest" else ""
        return f"Whole clusters by {self.by}{rule}. {self.base.describe()}"


def settle(population: Population, by: str, keep: tuple[str, ...]) -> tuple[Population, int]:
    """Give each cluster the stratum of most of its people (of equals the first), and count the clusters moved."""
    if not keep:
        return population, 0
    strata, labels = population.cross(keep)
    clusters, n = population.factor(by), len(labels)
    pairs, people = np.unique(clusters.codes * n + strata, return_counts=True)
    owner = pairs // n
    # Sorted by cluster, then most people, then lowest stratum: the first of each cluster is the one it takes.
    order = np.lexsort((pairs % n, -people, owner))
    first = first_members(owner[order], len(clusters.levels))
    chosen = (pairs % n)[order][first][clusters.codes]
    several = int((np.bincount(owner, minlength=len(clusters.levels)) > 1).sum())
    factors = dict(population.factors)
    for column, name in enumerate(keep):
        own = population.factor(name)
        place = {level: code for code, level in enumerate(own.levels)}
        codes = np.array([place[label[column]] for label in labels], dtype=np.int64)[chosen]
        seen, kept = np.unique(codes, return_inverse=True)
        factors[name] = Factor(kept.astype(np.int64), tuple(own.levels[i] for i in seen.tolist()))
    return replace(population, factors=factors), several


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ClusteredLottery:
    """A lottery of clusters, seen from the people; `straddling` clusters were given one of several strata."""

    base: Lottery
    membership: Ints
    name: str
    straddling: int = 0

    @property
    def arms(self) -> Arms:
        """The arms."""
        return self.base.arms

    @property
    def n_units(self) -> int:
        """Number of people."""
        return len(self.membership)

    def draw(self, stream: Stream, size: int) -> Codes:
        """Return draws, shape (size, n)."""
        return self.base.draw(stream, size)[:, self.membership]

    def shares(self) -> Floats:
        """Return the shares of each person's cluster, shape (n, arms)."""
        return shares_of(self.base)[self.membership]

    def cells(self) -> Cells:
        """Return the strata of the clusters, and the clusters."""
        inner = cells_of(self.base)
        clusters = self.membership if inner.clusters is None else inner.clusters[self.membership]
        return Cells(
            strata=inner.strata[self.membership],
            clusters=clusters,
            fixed=inner.fixed,
            names=inner.names,
            cluster_name=inner.cluster_name or self.name,
            whole=inner.whole,
            waves=None if inner.waves is None else inner.waves[self.membership],
        )

    def seating(self) -> Seating | None:
        """Return the seats of the clusters."""
        inner = seating_of(self.base)
        return None if inner is None else replace(inner, units=inner.units[self.membership])

    def pair_law(self) -> PairLaw | None:
        """Return the probabilities of pairs of clusters; people of one cluster are one unit."""
        base = pair_law_of(self.base)
        return None if base is None else clustered_law(base, self.membership)

    def count(self) -> int | None:
        """Return the number of assignments of clusters."""
        return self.base.count() if isinstance(self.base, Countable) else None

    def every(self) -> Iterator[tuple[Codes, Floats]]:
        """Yield every assignment with its probability."""
        if not isinstance(self.base, Countable):
            raise DesignError("the lottery of the clusters cannot list its assignments.")
        # A chunk of clusters may be small and still be large once it is spread over people.
        step = max(1, EVERY_CELLS // self.n_units)
        for codes, chances in self.base.every():
            for start in range(0, len(codes), step):
                yield codes[start : start + step, self.membership], chances[start : start + step]

    def problem(self, codes: Codes) -> str | None:
        """Say why an allocation is not one that this lottery can give; None where it is."""
        first = first_members(self.membership, self.base.n_units)
        split = len(np.unique(self.membership[codes != codes[first][self.membership]]))
        if split:
            verb = "has" if split == 1 else "have"
            return (
                f"{split:,} of {count_of(self.base.n_units, 'cluster')} by {self.name!r} {verb} people in several arms"
            )
        check = getattr(self.base, "problem", None)
        return check(codes[first]) if check else None
