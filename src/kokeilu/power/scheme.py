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
        `boundary` (None: at no effect); None where it is that of `parts`.
    halves : function of the effect, or None
        The squared error by (arm, reference); what they leave of the whole belongs to neither arm alone.
    dof : float
        Degrees of freedom; infinite for a normal reference.
    spare : float
        Degrees of freedom that the trial leaves, also where the reference is normal.
    statistic : function
        From an effect in the units of the outcome to the scale on which it is tested; nought is no effect.
    n : (float, float)
        Expected people with an outcome in arm and reference.
    clusters : (float, float) or None
    none : float
        No effect, in the units of the outcome: 0, or 1 for ratios.
    """

    parts: Callable[[float], Parts]
    null_parts: Callable[[float, float | None], Parts] | None = None
    halves: Callable[[float], tuple[float, float]] | None = None
    dof: float = math.inf
    spare: float = math.inf
    statistic: Callable[[float], float] = same
    n: tuple[float, float]
    clusters: tuple[float, float] | None = None
    none: float = 0.0

    def error(self, effect: float) -> float:
        """Standard error of the statistic at a true effect."""
        return math.sqrt(sum(self.parts(effect).values()))

    def null_error(self, effect: float, boundary: float | None = None) -> float:
        """Standard error that the test divides by, its null hypothesis ending at the boundary, or at no effect."""
        if self.null_parts is None:
            return self.error(effect)
        return math.sqrt(sum(self.null_parts(effect, boundary).values()))

    def ratio(self, effect: float, boundary: float | None = None) -> float:
        """Return the error that the test divides by over the true one: 1 where they are the same."""
        return 1.0 if self.null_parts is None else self.null_error(effect, boundary) / self.error(effect)
