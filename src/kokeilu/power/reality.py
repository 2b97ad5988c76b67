"""What becomes of a trial in the field: who takes part, and whose outcome is seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kokeilu._checks import between
from kokeilu.core.arms import Arms
from kokeilu.core.registry import register
from kokeilu.errors import DesignError

__all__ = ["Reality"]

Shares = Mapping[str, float]


@register("reality")
@dataclass(frozen=True, slots=True, kw_only=True)
class Reality:
    """Take-up and attrition by arm.

    With take-up stated, effects are those of taking part (of compliers), and the trial compares everybody who was
    offered it: c_arm - c_reference of the effect remains, and the people needed grow by the inverse of its square
    (Duflo, Glennerster & Kremer 2007). Attrition thins the people of an arm.

    Parameters
    ----------
    take_up : mapping of arm to share, optional
        Share of each arm that takes part; 1 for arms left out, 0 for the reference arm of the design left out. A margin
        is of taking part too.
    attrition : mapping of arm to share, or one share for all arms, optional
        Share whose outcome is not seen, in [0, 1).

    Raises
    ------
    DesignError
        A share outside its range; on use: an arm that does not exist, or arms with the same take-up.

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Complete(kk.arms(control=1, coaching=1))
    >>> real = Reality(take_up={"coaching": 0.6}, attrition=0.1)
    >>> kk.sample_size(design, kk.Mean(sd=1.0), effect=0.2, reality=real).value
    2426
    """

    take_up: Shares = field(default_factory=dict)
    attrition: Shares | float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.take_up, Mapping):
            raise DesignError("take_up must name the arms: take_up={'coaching': 0.6}.")
        for arm, share in self.take_up.items():
            between(share, 0.0, 1.0, name=f"the take-up of {arm!r}", closed=True)
        lost = self.attrition if isinstance(self.attrition, Mapping) else {"every arm": self.attrition}
        for arm, share in lost.items():
            if between(share, 0.0, 1.0, name=f"the attrition of {arm!r}", closed=True) == 1.0:
                raise DesignError(f"the attrition of {arm!r} is 1: nobody's outcome would be seen.")

    def check(self, arms: Arms) -> None:
        """Refuse names that are no arm."""
        named = [*self.take_up, *(self.attrition if isinstance(self.attrition, Mapping) else ())]
        for name in named:
            arms.index(name)

    def lost(self, arm: str) -> float:
        """Share of an arm whose outcome is not seen."""
        return float(self.attrition.get(arm, 0.0) if isinstance(self.attrition, Mapping) else self.attrition)

    def taking(self, arms: Arms, arm: int, reference: int) -> tuple[float, float]:
        """Shares that take part in arm and reference.

        Raises
        ------
        DesignError
            Where they are equal, so that nothing of the effect would remain.
        """
        names = arms.names
        if not self.take_up:
            return 1.0, 0.0
        if names[reference] not in self.take_up and names[reference] != arms.reference:
            raise DesignError(
                f"the take-up of {names[reference]!r}, to which {names[arm]!r} is compared, is not stated; state it."
            )
        default = dict.fromkeys(names, 1.0) | {arms.reference: 0.0}
        pair = tuple(float(self.take_up.get(names[k], default[names[k]])) for k in (arm, reference))
        if pair[0] == pair[1]:
            raise DesignError(
                f"arms {names[arm]!r} and {names[reference]!r} have the same take-up ({pair[0]:g}), which leaves no "
                "effect to find. State different shares."
            )
        return pair[0], pair[1]

    def assumptions(self) -> tuple[str, ...]:
        """Say the shares."""
        said = []
        if self.take_up:
            shares = ", ".join(f"{arm!r} {share:g}" for arm, share in self.take_up.items())
            said.append(f"effects and margins are of taking part; take-up {shares}")
        if isinstance(self.attrition, Mapping) and self.attrition:
            shares = ", ".join(f"{arm!r} {share:g}" for arm, share in self.attrition.items())
            said.append(f"attrition {shares}")
        elif not isinstance(self.attrition, Mapping) and self.attrition:
            said.append(f"attrition {self.attrition:g}")
        return tuple(said)
