"""Complete randomisation: fixed numbers of people in each arm."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace

from kokeilu._checks import choice
from kokeilu.assign._by_stratum import realised_arms
from kokeilu.assign._seated import LEFTOVERS, SeatedLottery
from kokeilu.core.arms import Arms
from kokeilu.core.population import Population
from kokeilu.core.protocols import Codes, Lottery
from kokeilu.core.registry import register
from kokeilu.errors import DesignError

__all__ = ["Complete"]


@register("complete")
@dataclass(frozen=True, slots=True)
class Complete:
    """Draw everybody together, with a fixed number of people in each arm.

    Each person's probability of each arm is exactly its share. Where n times a share is not whole, the arm gets
    the whole number below or above, at random so that the probability stays exact (Madow 1949).

    Parameters
    ----------
    arms : Arms
        Arms and shares, from :func:`kokeilu.arms`.
    leftovers : {"balanced", "refuse"}
        Draw the seats left over, or refuse a register whose size does not come out even.

    Examples
    --------
    >>> import kokeilu as kk
    >>> kk.Complete(kk.arms(control=1, coaching=1)).describe()
    'Complete randomisation: control 1/2, coaching 1/2.'
    """

    arms: Arms
    _: KW_ONLY
    leftovers: str = "balanced"

    def __post_init__(self) -> None:
        if not isinstance(self.arms, Arms):
            raise DesignError("Complete needs arms, from kokeilu.arms(control=1, coaching=1).")
        choice(self.leftovers, LEFTOVERS, name="leftovers")

    def columns(self) -> tuple[str, ...]:
        """Return no columns."""
        return ()

    def bind(self, population: Population) -> Lottery:
        """Bind to a population."""
        return SeatedLottery(
            arms=self.arms,
            strata=population.cross(())[0],
            shares_by_stratum=(self.arms.shares,),
            leftovers=self.leftovers,
            unit=population.unit,
        )

    def as_realised(self, population: Population, codes: Codes) -> Complete:
        """Return the design with the numbers as they fell."""
        return replace(self, arms=realised_arms(self.arms, codes))

    def describe(self) -> str:
        """Say the rule in one sentence."""
        return f"Complete randomisation: {self.arms.describe()}."
