"""What is tested, and the power of the test: superiority, non-inferiority, equivalence."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import stats

from kokeilu._checks import between, choice
from kokeilu._kernels.noncentral import ALTERNATIVES, bloom_multiplier, t_power
from kokeilu._kernels.owen import equivalence_power
from kokeilu.core.registry import register
from kokeilu.errors import DesignError
from kokeilu.power.scheme import Scheme

__all__ = ["METHODS", "Equivalence", "Hypothesis", "NonInferiority", "Superiority", "one_tail"]

METHODS = ("exact", "bloom", "normal")

Statistic = Callable[[float], float]


class Hypothesis(Protocol):
    """A test as the verbs of power see it; `statistic` takes effects to the scale on which they are tested."""

    @property
    def alpha(self) -> float:
        """Level of the test."""
        ...

    def side(self, statistic: Statistic) -> str:
        """Return where effects are looked for: "two-sided", "greater", "less" or "between"."""
        ...

    def power(self, scheme: Scheme, effect: float) -> float:
        """Return the power of one contrast at a true effect in the units of the outcome."""
        ...

    def refuses(self, statistic: Statistic, effect: float) -> str:
        """Say why no size of trial can show this effect; "" where one can."""
        ...

    def describe(self) -> str:
        """Say the test in a few words."""
        ...


def one_tail(shift: float, ratio: float, dof: float, alpha: float) -> float:
    """Return P(T > c ratio), T noncentral with this shift: one tail at `alpha`, the test's error over the true one."""
    critical = float(stats.t.isf(alpha, dof)) * ratio
    if math.isinf(dof):
        return float(stats.norm.sf(critical - shift))
    tail = float(stats.nct.sf(critical, dof, shift))
    # So far out nct gives up; the tail on the side of the shift holds everything.
    return tail if not math.isnan(tail) else float(shift > 0.0)


@register("superiority")
@dataclass(frozen=True, slots=True, kw_only=True)
class Superiority:
    """Whether there is an effect at all.

    Parameters
    ----------
    alpha : float, default 0.05
    alternative : {"two-sided", "greater", "less"}
        Two-sided counts both tails.
    method : {"exact", "bloom", "normal"}
        "exact": noncentral t. "bloom": detectable effects by the multiplier t_{1-a/2} + t_power of Bloom (1995), for
        comparison with tools that use it; with few degrees of freedom its own power is less than asked for. "normal":
        z in place of t.

    Examples
    --------
    >>> Superiority().describe()
    'alpha 0.05, two-sided, exact (noncentral t)'
    """

    alpha: float = 0.05
    alternative: str = "two-sided"
    method: str = "exact"

    def __post_init__(self) -> None:
        between(self.alpha, 0.0, 1.0, name="alpha")
        choice(self.alternative, ALTERNATIVES, name="alternative")
        choice(self.method, METHODS, name="method")

    def power(self, scheme: Scheme, effect: float) -> float:
        """Return 1 - T(c; l) + T(-c; l), or one of the tails."""
        error, dof = scheme.error(effect), math.inf if self.method == "normal" else scheme.dof
        shift = scheme.statistic(effect) / error
        if scheme.null_parts is None and not math.isinf(dof):
            return float(t_power(shift, dof, self.alpha, self.alternative))
        ratio = scheme.ratio(effect)
        tail = self.alpha / 2.0 if self.alternative == "two-sided" else self.alpha
        upper = 0.0 if self.alternative == "less" else one_tail(shift, ratio, dof, tail)
        lower = 0.0 if self.alternative == "greater" else one_tail(-shift, ratio, dof, tail)
        return upper + lower

    def side(self, statistic: Statistic) -> str:
        """Return the alternative."""
        return self.alternative

    def refuses(self, statistic: Statistic, effect: float) -> str:
        """No effect, or one on the other side."""
        at = statistic(effect)
        if at == 0.0:
            return "an effect of 0 is found by no number of people; state the effect that matters."
        if self.alternative != "two-sided" and at * (1 if self.alternative == "greater" else -1) < 0.0:
            return (
                f"an effect of {effect:g} lies against the alternative {self.alternative!r}; no number of people finds "
                "it. Change the sign or the alternative."
            )
        return ""

    def multiplier(self, dof: float, power: float) -> float | None:
        """Return the detectable effect in standard errors by Bloom's rule; None for the other methods."""
        return bloom_multiplier(dof, self.alpha, power, self.alternative) if self.method == "bloom" else None

    def describe(self) -> str:
        """Level, sides and reference."""
        how = {"exact": "exact (noncentral t)", "bloom": "Bloom's multiplier (central t)", "normal": "normal"}
        return f"alpha {self.alpha:g}, {self.alternative}, {how[self.method]}"


@register("non_inferiority")
@dataclass(frozen=True, slots=True, kw_only=True)
class NonInferiority:
    """Whether an arm is not worse than the reference by more than a margin.

    Parameters
    ----------
    margin : float
        The effect that is just not acceptable, in the units of the outcome (a ratio where effects are ratios).
        Below no effect: more is better, and the test looks upwards; above it: less is better.
    alpha : float, default 0.025
        Of the one side.
    method : {"exact", "normal"}

    Notes
    -----
    (effect - margin) / SE, one-sided. Shares with `variance="pooled"` take the error at the shares that are likeliest
    on the margin (Farrington & Manning 1990).

    Examples
    --------
    >>> NonInferiority(margin=-0.05).describe()
    'non-inferiority by a margin of -0.05, one-sided alpha 0.025'
    """

    margin: float
    alpha: float = 0.025
    method: str = "exact"

    def __post_init__(self) -> None:
        between(self.margin, -math.inf, math.inf, name="margin")
        between(self.alpha, 0.0, 1.0, name="alpha")
        choice(self.method, ("exact", "normal"), name="method")

    def _sign(self, statistic: Statistic) -> float:
        return 1.0 if statistic(self.margin) <= 0.0 else -1.0

    def side(self, statistic: Statistic) -> str:
        """Upwards for a margin at or below no effect."""
        return "greater" if self._sign(statistic) > 0.0 else "less"

    def power(self, scheme: Scheme, effect: float) -> float:
        """Return the one tail of (effect - margin) / SE."""
        error = scheme.error(effect)
        gap = self._sign(scheme.statistic) * (scheme.statistic(effect) - scheme.statistic(self.margin))
        ratio = scheme.ratio(effect, self.margin)
        dof = math.inf if self.method == "normal" else scheme.dof
        return one_tail(gap / error, ratio, dof, self.alpha)

    def refuses(self, statistic: Statistic, effect: float) -> str:
        """At the margin or beyond."""
        if self._sign(statistic) * (statistic(effect) - statistic(self.margin)) > 0.0:
            return ""
        return (
            f"an effect of {effect:g} is not on the good side of the margin {self.margin:g}; no number of people shows "
            "non-inferiority. Widen the margin, or state another effect."
        )

    def describe(self) -> str:
        """Margin and level."""
        return f"non-inferiority by a margin of {self.margin:g}, one-sided alpha {self.alpha:g}"


@register("equivalence")
@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalence:
    """Whether the effect lies between two bounds: two one-sided tests (Schuirmann 1987).

    Parameters
    ----------
    low, high : float
        In the units of the outcome (ratios where effects are ratios).
    alpha : float, default 0.05
        Of each of the two tests; the interval that must lie between the bounds has level 1 - 2 alpha.
    method : {"exact", "normal"}
        "exact": both tests share the estimated standard deviation (Owen's Q).

    Examples
    --------
    >>> Equivalence(low=-0.2, high=0.2).alpha
    0.05
    """

    low: float
    high: float
    alpha: float = 0.05
    method: str = "exact"

    def __post_init__(self) -> None:
        between(self.low, -math.inf, math.inf, name="low")
        between(self.high, -math.inf, math.inf, name="high")
        between(self.alpha, 0.0, 0.5, name="alpha")
        choice(self.method, ("exact", "normal"), name="method")
        if not self.low < self.high:
            raise DesignError(f"the bounds of equivalence must rise; got {self.low:g} and {self.high:g}.")

    def side(self, statistic: Statistic) -> str:
        """Between the bounds."""
        return "between"

    def power(self, scheme: Scheme, effect: float) -> float:
        """Return the probability that the interval lies within the bounds."""
        low, high = scheme.statistic(self.low), scheme.statistic(self.high)
        dof = math.inf if self.method == "normal" else scheme.dof
        if scheme.null_parts is None:
            return equivalence_power(scheme.statistic(effect), low, high, scheme.error(effect), dof, self.alpha)
        error, z = scheme.error(effect), float(stats.norm.isf(self.alpha))
        at = scheme.statistic(effect)
        upper = (high - at - z * scheme.null_error(effect, self.high)) / error
        lower = (low - at + z * scheme.null_error(effect, self.low)) / error
        return float(np.maximum(stats.norm.cdf(upper) - stats.norm.cdf(lower), 0.0))

    def refuses(self, statistic: Statistic, effect: float) -> str:
        """At a bound or beyond."""
        if statistic(self.low) < statistic(effect) < statistic(self.high):
            return ""
        return (
            f"an effect of {effect:g} is not between {self.low:g} and {self.high:g}; no number of people shows "
            "equivalence. Widen the bounds, or state another effect."
        )

    def describe(self) -> str:
        """Bounds and level."""
        return f"equivalence between {self.low:g} and {self.high:g}, two one-sided tests at alpha {self.alpha:g}"
