"""One comparison at one size: all that a test needs to know about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Scheme", "same"]

Parts = Mapping[str, float]


def same(effect: float) -> float:
    """The statistic of an effect that is compared on its own scale."""
    return effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """A contrast of two arms as the design, the sizes and the outcome make it.

    Attributes
    ----------
    parts : function of the effect
        The squared error of the statistic by source ("people", "clusters", "blocks", ...) at a true effect.
    null_parts : function of the effect and of the boundary, or None
        The squared error that the test divides by when the truth is `effect` and the null hypothesis ends at
        `boundary`; None where it is that of `parts`.
    dof : float
        Degrees of freedom; infinite for a normal reference.
    statistic : function
        From an effect in the units of the outcome to the scale on which it is tested; nought is no effect.
    n : (float, float)
        Expected people with an outcome in arm and reference.
    clusters : (float, float) or None
    """

    parts: Callable[[float], Parts]
    null_parts: Callable[[float, float], Parts] | None = None
    dof: float = math.inf
    statistic: Callable[[float], float] = same
    n: tuple[float, float]
    clusters: tuple[float, float] | None = None

    def error(self, effect: float) -> float:
        """Standard error of the statistic at a true effect."""
        return math.sqrt(sum(self.parts(effect).values()))

    def null_error(self, effect: float, boundary: float) -> float:
        """Standard error that the test divides by."""
        if self.null_parts is None:
            return self.error(effect)
        return math.sqrt(sum(self.null_parts(effect, boundary).values()))
