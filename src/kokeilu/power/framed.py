"""What a design and its sizes must answer, whatever the formula behind it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from kokeilu.core.arms import Arms
from kokeilu.core.protocols import Floats
from kokeilu.power.models import Components, OutcomeModel, Pair
from kokeilu.power.scheme import Scheme

__all__ = ["Framed", "Offer", "Sizes"]

Maker = Callable[[OutcomeModel, Components, float], dict[str, float]]


@dataclass(frozen=True, slots=True)
class Offer:
    """An outcome among people of whom these shares take part, in arm and reference."""

    outcome: OutcomeModel
    taking: Pair

    def at(self, effect: float) -> tuple[OutcomeModel, float]:
        """Return the model of the reference arm and the effect of the offer, from the effect as it is stated."""
        return self.outcome.offered(effect, self.taking)

    def scheme(self, make: Maker, *, dof: float, n: Pair, clusters: Pair | None = None) -> Scheme:
        """Return the scheme whose squared errors are `make(model, components, effect)`."""

        def parts(effect: float) -> dict[str, float]:
            model, itt = self.at(effect)
            return make(model, model.components(itt, n), itt)

        def null_parts(effect: float, boundary: float | None) -> dict[str, float]:
            model, itt = self.at(effect)
            # A margin is stated as effects are: of those who take part.
            edge = model.natural(0.0) if boundary is None else self.at(boundary)[1]
            return make(model, model.null_components(itt, edge, n) or model.components(itt, n), itt)

        def halves(effect: float) -> Pair:
            model, itt = self.at(effect)
            (arm, reference), (arms, references) = model.components(itt, n)
            sides = ((arm, 0.0), (arms, 0.0)), ((0.0, reference), (0.0, references))
            one, other = (sum(make(model, side, itt).values()) for side in sides)
            neither = one + other - sum(parts(effect).values())
            return one - neither, other - neither

        def statistic(effect: float) -> float:
            model, itt = self.at(effect)
            return model.statistic(itt)

        return Scheme(
            parts=parts,
            null_parts=null_parts if self.outcome.scored else None,
            halves=halves,
            none=self.outcome.natural(0.0),
            dof=math.inf if self.outcome.normal else dof,
            spare=dof,
            statistic=statistic,
            n=n,
            clusters=clusters,
        )


class Framed(Protocol):
    """A design with its sizes."""

    @property
    def arms(self) -> Arms:
        """The arms."""
        ...

    @property
    def people(self) -> Floats:
        """Expected people, shape (strata, arms) or (1, arms)."""
        ...

    @property
    def units(self) -> Floats:
        """Expected units drawn, of the same shape: the same people, or clusters."""
        ...

    @property
    def clustered(self) -> bool:
        """Whether whole clusters are drawn."""
        ...

    @property
    def strata(self) -> int:
        """Number of strata."""
        ...

    @property
    def formula(self) -> str:
        """Name of the formula."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What the sizes leave open."""
        ...

    def scheme(self, offer: Offer, arm: int, reference: int, covariates: int) -> Scheme:
        """Return one contrast."""
        ...

    def less(self, lost: Mapping[str, float]) -> Framed:
        """Return the frame without the people whose outcome is not seen, by arm."""
        ...

    def joint_dof(self, covariates: int) -> float:
        """Degrees of freedom of one variance estimated over all arms."""
        ...


class Sizes(Protocol):
    """Sizes alone, before there is a register; one of them may be left open for `sample_size`."""

    @property
    def unknown(self) -> str | None:
        """What is left open, such as "blocks"; None where nothing is."""
        ...

    @property
    def least(self) -> float:
        """The least value of what is left open."""
        ...

    def at(self, value: float) -> Sizes:
        """Return the sizes with the open one filled in."""
        ...

    def frame(self, design: object, outcome: OutcomeModel) -> Framed:
        """Return the frame of a design of these sizes."""
        ...
