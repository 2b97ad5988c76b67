"""Strata from quantile groups of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass

import numpy as np

from kokeilu._checks import choice, name_list, plain_text, positive_int, unknown_name
from kokeilu.assign._seated import LEFTOVERS, SeatedLottery
from kokeilu.core.arms import Arms
from kokeilu.core.population import Population, frozen_array
from kokeilu.core.protocols import Floats, Ints, Lottery
from kokeilu.core.registry import register
from kokeilu.errors import ColumnError, DesignError

__all__ = ["StratifiedByQuantiles", "quantile_groups"]


@register("stratified by quantiles")
@dataclass(frozen=True, slots=True)
class StratifiedByQuantiles:
    """Draw within groups of people, or of clusters, that are alike in numbers such as age or cluster size.

    Each number is cut in groups of equal size over the whole register, and equal values always share a group: with n
    units, of which b lie below a value and m have it, the value belongs to group ``floor(k (2 b + m) / (2 n))`` of k.
    Groups are crossed with each other and with the columns in `by`; the draw within them is that of
    :class:`kokeilu.Stratified`. Inside :class:`kokeilu.Clustered` the numbers are cluster means, and
    ``"cluster_size"`` is the number of people.

    A float design where the numbers are not whole: groups compare doubles.

    Parameters
    ----------
    arms : Arms
    on : mapping of column to number of groups
        Such as ``{"cluster_size": 4}``.
    by : str or sequence of str, optional
        Further columns whose combinations are strata.
    leftovers : {"balanced", "stratum", "refuse"}
        As in :class:`kokeilu.Stratified`.

    Raises
    ------
    DesignError, ColumnError
        Fewer than two groups; on binding, for a column that is not a number.

    Examples
    --------
    >>> import kokeilu as kk
    >>> by_size = kk.StratifiedByQuantiles(kk.arms(control=1, coaching=1), on={"cluster_size": 4})
    >>> kk.Clustered(by_size, by="employment_office").describe()
    'Whole clusters by employment_office. Stratified by 4 groups of cluster_size, leftovers balanced: control 1/2,
    coaching 1/2.'
    """

    arms: Arms
    _: KW_ONLY
    on: tuple[tuple[str, int], ...]
    by: tuple[str, ...] = ()
    leftovers: str = "balanced"

    def __post_init__(self) -> None:
        if not isinstance(self.arms, Arms):
            raise DesignError("StratifiedByQuantiles needs arms, from kokeilu.arms(control=1, coaching=1).")
        pairs = tuple(self.on.items()) if isinstance(self.on, Mapping) else self.on
        if not isinstance(pairs, tuple) or not pairs or not all(isinstance(p, tuple) and len(p) == 2 for p in pairs):
            raise DesignError("StratifiedByQuantiles needs `on`, a mapping of column to groups: {'cluster_size': 4}.")
        names = name_list([name for name, _ in pairs], name="on")
        groups = [positive_int(k, name=f"groups of {plain_text(str(n), name='on')!r}", least=2) for n, k in pairs]
        object.__setattr__(self, "on", tuple(zip(names, groups, strict=True)))
        object.__setattr__(self, "by", name_list(self.by, name="by"))
        if set(names) & set(self.by):
            raise DesignError("a column is in `on` and in `by`. Cut it in groups, or take its values, not both.")
        choice(self.leftovers, LEFTOVERS, name="leftovers")

    def columns(self) -> tuple[str, ...]:
        """Return the columns in `by`."""
        return self.by

    def covariates(self) -> tuple[str, ...]:
        """Return the numbers that are cut in groups."""
        return tuple(name for name, _ in self.on)

    def bind(self, population: Population) -> Lottery:
        """Bind to a population."""
        strata, _ = population.cross(self.by)
        for name, groups in self.on:
            values = _numbers(population, name)
            if groups > 1 and len(values) > 1 and np.ptp(values) == 0.0:
                raise DesignError(f"{name!r} is the same for everybody, so it makes no groups. Leave it out, or check.")
            strata = strata * groups + quantile_groups(values, groups)
            strata = np.unique(strata, return_inverse=True)[1].astype(np.int64)
        return SeatedLottery(
            arms=self.arms,
            strata=frozen_array(strata),
            shares_by_stratum=(self.arms.shares,) * (int(strata.max()) + 1),
            leftovers=self.leftovers,
            unit=population.unit,
            names=(*self.by, *(name for name, _ in self.on)),
        )

    def describe(self) -> str:
        """Say the rule in one sentence."""
        groups = [f"{k} groups of {name}" for name, k in self.on]
        return f"Stratified by {' × '.join((*self.by, *groups))}, leftovers {self.leftovers}: {self.arms.describe()}."


def quantile_groups(values: Floats, groups: int) -> Ints:
    """Return the group of each value, 0..groups-1, by ``floor(groups (2 below + ties) / (2 n))``."""
    _, inverse, ties = np.unique(values, return_inverse=True, return_counts=True)
    below = np.cumsum(ties) - ties
    place: Ints = groups * (2 * below + ties) // (2 * len(values))
    return place[inverse].astype(np.int64)


def _numbers(population: Population, name: str) -> Floats:
    if name in population.factors and name not in population.numbers:
        raise ColumnError(
            f"{name!r} holds categories, which cannot be cut in groups by size. Name it in `by`, or give numbers."
        )
    if name not in population.numbers:
        raise unknown_name(
            name, list(population.numbers), what="number", where=f"the draw of {population.unit}s", error=ColumnError
        )
    return population.numbers[name]
