"""Stratified randomisation with exact shares."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace

import numpy as np

from kokeilu._checks import choice, name_list
from kokeilu.assign._by_stratum import (
    ArmsByStratum,
    arms_of,
    describe_arms,
    keyed_arms,
    pooled_arms,
    realised_arms,
    shares_for,
)
from kokeilu.assign._seated import LEFTOVERS, SeatedLottery
from kokeilu.core.population import Population
from kokeilu.core.protocols import Codes, Lottery
from kokeilu.core.registry import register
from kokeilu.errors import DesignError

__all__ = ["Stratified"]


@register("stratified")
@dataclass(frozen=True, slots=True)
class Stratified:
    """Draw with a fixed number of people of each stratum in each arm.

    Each person's probability of each arm is exactly its share, for any shares and any stratum size.

    Parameters
    ----------
    arms : Arms, or mapping of stratum value to Arms
        The same arms everywhere, or shares by stratum, keyed by the value of the stratum (a tuple of values where
        `by` names several columns), never by position. All name the same arms in the same order.
    by : str or sequence of str
        The columns whose combinations are the strata.
    leftovers : {"balanced", "stratum", "refuse"}
        Where a stratum's size times a share is not whole: "balanced" spreads the seats left over so that every cell
        *and* the arm totals lie within one seat of their targets (unbiased controlled rounding, Cox 1987; Deville &
        Tillé 2004); "stratum" draws each stratum on its own, so that strata are independent and arm totals may
        drift; "refuse" raises.

    Raises
    ------
    DesignError
        Contradictory arms; on binding, strata without shares.

    Examples
    --------
    >>> import kokeilu as kk
    >>> kk.Stratified(kk.arms(control=1, coaching=1), by=("region", "long_term")).describe()
    'Stratified by region × long_term, leftovers balanced: control 1/2, coaching 1/2.'
    >>> varied = kk.Stratified({"Lapland": kk.arms(control=1, coaching=2), "Pori": kk.arms(control=1, coaching=1)},
    ...                        by="region")
    >>> varied.columns()
    ('region',)
    """

    arms: ArmsByStratum
    _: KW_ONLY
    by: tuple[str, ...]
    leftovers: str = "balanced"

    def __post_init__(self) -> None:
        object.__setattr__(self, "by", name_list(self.by, name="by"))
        if not self.by:
            raise DesignError(
                "Stratified needs the columns that define the strata in `by`; without strata use Complete."
            )
        object.__setattr__(self, "arms", keyed_arms(self.arms, self.by, where="Stratified"))
        choice(self.leftovers, LEFTOVERS, name="leftovers")

    def columns(self) -> tuple[str, ...]:
        """Return the columns that define the strata."""
        return self.by

    def bind(self, population: Population) -> Lottery:
        """Bind to a population."""
        strata, labels = population.cross(self.by)
        sizes = np.bincount(strata, minlength=len(labels)).tolist()
        return SeatedLottery(
            arms=pooled_arms(self.arms, labels, sizes),
            strata=strata,
            shares_by_stratum=shares_for(self.arms, labels, sizes, where="Stratified"),
            leftovers=self.leftovers,
            unit=population.unit,
            names=self.by,
        )

    def as_realised(self, population: Population, codes: Codes) -> Stratified:
        """Return the design with the numbers of each stratum as they fell."""
        strata, labels = population.cross(self.by)
        names = arms_of(self.arms)
        pairs = tuple((label, realised_arms(names, codes[strata == s])) for s, label in enumerate(labels))
        return replace(self, arms=pairs)

    def describe(self) -> str:
        """Say the rule in one sentence."""
        return f"Stratified by {' × '.join(self.by)}, leftovers {self.leftovers}: {describe_arms(self.arms)}."
