"""Threshold blocks: groups of at least k people, none of whom is far from the others."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from kokeilu._checks import choice, count_of, name_list
from kokeilu._kernels.blocks import threshold_blocks
from kokeilu.assign._seated import LEFTOVERS, SeatedLottery
from kokeilu.assign.matched import DISTANCES, coordinates, seats_in_whole
from kokeilu.core.arms import Arms
from kokeilu.core.population import Population, frozen_array
from kokeilu.core.protocols import Lottery
from kokeilu.core.registry import register
from kokeilu.errors import DesignError

__all__ = ["ThresholdBlocks"]


@register("threshold_blocks")
@dataclass(frozen=True, slots=True)
class ThresholdBlocks:
    """Form blocks of at least `min_size` people who are alike, and draw inside each.

    No block holds a distance above four times the least that is possible (Higgins, Sävje & Sekhon 2016), and the work
    grows as n log n: for registers too large to match. Each person's probability of each arm is exactly its share.

    Parameters
    ----------
    arms : Arms
        Arms and shares, from :func:`kokeilu.arms`.
    on : str or sequence of str
        Covariates; text and categories count as indicators.
    min_size : int, optional
        Least number of people in a block; by default the common denominator of the shares. A stratum with fewer
        people is one block.
    by : str or sequence of str
        Strata: a block never crosses them.
    distance : {"mahalanobis", "rank"}
        As in :class:`kokeilu.MatchedTuples`.
    leftovers : {"balanced", "stratum", "refuse"}
        Blocks vary in size, so seats are left over; as in :class:`kokeilu.Stratified`.

    Raises
    ------
    DesignError
        Contradictory arguments.

    Notes
    -----
    A float design: blocks follow from distances rounded to 2**-20 of a standard deviation; the draw is exact.

    Source: Higgins, Sävje & Sekhon (2016), "Improving massive experiments with threshold blocking", PNAS 113,
    7369-7376.

    Examples
    --------
    >>> import kokeilu as kk
    >>> kk.ThresholdBlocks(kk.arms(control=1, coaching=1), on="age", min_size=4).describe()
    'Threshold blocks of 4 or more on age (Mahalanobis distance), leftovers balanced: control 1/2, coaching 1/2.'
    """

    arms: Arms
    _: KW_ONLY
    on: tuple[str, ...]
    min_size: int | None = None
    by: tuple[str, ...] = ()
    distance: str = "mahalanobis"
    leftovers: str = "balanced"

    def __post_init__(self) -> None:
        if not isinstance(self.arms, Arms):
            raise DesignError("ThresholdBlocks needs arms, from kokeilu.arms(control=1, coaching=1).")
        object.__setattr__(self, "on", name_list(self.on, name="on"))
        object.__setattr__(self, "by", name_list(self.by, name="by"))
        if not self.on:
            raise DesignError("ThresholdBlocks needs covariates in `on`; without them use Stratified or Complete.")
        choice(self.distance, DISTANCES, name="distance")
        choice(self.leftovers, LEFTOVERS, name="leftovers")
        least = seats_in_whole(self.arms, self.min_size, name="min_size", where="ThresholdBlocks")
        object.__setattr__(self, "min_size", least)

    def columns(self) -> tuple[str, ...]:
        """Return the columns that blocks never cross."""
        return self.by

    def covariates(self) -> tuple[str, ...]:
        """Return the columns on which people are alike."""
        return self.on

    def bind(self, population: Population) -> Lottery:
        """Bind to a population."""
        strata, _ = population.cross(self.by)
        least = seats_in_whole(self.arms, self.min_size, name="min_size", where="ThresholdBlocks")
        if len(population) < least:
            raise DesignError(
                f"blocks of {least:,} or more cannot be made of {count_of(len(population), 'person', 'people')}. Take "
                "a smaller min_size."
            )
        blocks = threshold_blocks(coordinates(population, self.on, strata, self.distance), strata, least)
        return SeatedLottery(
            arms=self.arms,
            strata=frozen_array(blocks),
            shares_by_stratum=(self.arms.shares,) * (int(blocks.max()) + 1),
            leftovers=self.leftovers,
            unit=population.unit,
            names=("threshold block",),
        )

    def describe(self) -> str:
        """Say the rule in one sentence."""
        name = {"mahalanobis": "Mahalanobis", "rank": "rank"}[self.distance]
        within = f" within {' × '.join(self.by)}" if self.by else ""
        return (
            f"Threshold blocks of {self.min_size} or more on {', '.join(self.on)} ({name} distance){within}, "
            f"leftovers {self.leftovers}: {self.arms.describe()}."
        )
