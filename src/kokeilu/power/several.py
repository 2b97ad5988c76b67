"""Tests of several arms or outcomes at once: Dunnett, the joint F test, and corrections over correlated outcomes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from kokeilu._checks import between, choice, positive_int
from kokeilu._kernels.joint_normal import all_reject, dunnett_critical, none_rejects
from kokeilu.core.protocols import Floats
from kokeilu.core.registry import register
from kokeilu.errors import DesignError
from kokeilu.power.hypotheses import Statistic, Superiority, one_tail
from kokeilu.power.scheme import Scheme

__all__ = ["Dunnett", "JointF", "ManyOutcomes"]

TARGETS = ("any", "all")
ALIKE = 1e-9


def _errors(schemes: Sequence[Scheme], effects: Sequence[float]) -> tuple[Floats, Floats]:
    """Squared errors of the contrasts, and what of each is the reference's, which they share.

    Raises
    ------
    DesignError
        Where the contrasts do not have one reference, or a part of an error belongs to neither arm.
    """
    squared = np.array([scheme.error(effect) ** 2 for scheme, effect in zip(schemes, effects, strict=True)])
    if len(schemes) == 1:
        return squared, 0.5 * squared  # nothing to share
    halves = [(0.0, 0.0) if s.halves is None else s.halves(effect) for s, effect in zip(schemes, effects, strict=True)]
    if any(abs(sum(pair) / whole - 1.0) > ALIKE for pair, whole in zip(halves, squared, strict=True)):
        raise DesignError(
            "a part of the error belongs to neither arm (effects that differ between blocks or people), and how it "
            "hangs together over arms is not stated. Test one arm at a time, or use simulate_power."
        )
    people = np.array([scheme.n[1] for scheme in schemes])
    if np.ptp(people) > ALIKE * people.max():
        raise DesignError(
            "the arms are offered in different strata, so that each has its own people in the reference. Test one arm "
            "at a time, or use simulate_power."
        )
    return squared, np.array([reference for _, reference in halves])


def _loadings(schemes: Sequence[Scheme], effects: Sequence[float]) -> Floats:
    """Correlation of each contrast with the reference's mean: b_i^2 = v_0 / (v_0 + v_i)."""
    squared, reference = _errors(schemes, effects)
    return np.asarray(np.sqrt(reference / squared), dtype=np.float64)


def _ratios(schemes: Sequence[Scheme], effects: Sequence[float]) -> Floats:
    """The errors that the tests divide by over the true ones."""
    return np.array([scheme.ratio(effect) for scheme, effect in zip(schemes, effects, strict=True)])


def _shifts(schemes: Sequence[Scheme], effects: Sequence[float]) -> Floats:
    return np.array([s.statistic(effect) / s.error(effect) for s, effect in zip(schemes, effects, strict=True)])


class _OfArms:
    """What the tests of several arms share: a plain test where one contrast is asked for."""

    __slots__ = ()

    alpha: float

    def side(self, statistic: Statistic) -> str:
        """Two-sided."""
        return "two-sided"

    def refuses(self, statistic: Statistic, effect: float) -> str:
        """An arm without an effect may stand beside others."""
        return ""


@register("dunnett")
@dataclass(frozen=True, slots=True, kw_only=True)
class Dunnett(_OfArms):
    """Every arm against one reference, with one error rate for all (Dunnett 1955), two-sided.

    Parameters
    ----------
    alpha : float, default 0.05
        Probability of any false rejection.
    target : {"any", "all"}
        What `Power.value` is: the probability that at least one arm is found, or that all are.

    Notes
    -----
    One estimate of spread over all arms. Deterministic quadrature over the reference's mean and that estimate; what two
    contrasts share is the squared error of the reference: with one variance, that of the numbers of people or clusters.

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Complete(kk.arms(control=1, letter=1, coaching=1, subsidy=1))
    >>> found = kk.power_at(design, 800, kk.Mean(sd=1), effect=0.25, test=kk.Dunnett())
    >>> round(found.value, 3), round(found.power, 3)
    (0.8, 0.558)
    """

    alpha: float = 0.05
    target: str = "any"

    def __post_init__(self) -> None:
        between(self.alpha, 0.0, 1.0, name="alpha")
        choice(self.target, TARGETS, name="target")

    def power(self, scheme: Scheme, effect: float) -> float:
        """Return the power of one contrast on its own, uncorrected; `marginal` has it within the family."""
        return Superiority(alpha=self.alpha).power(scheme, effect)

    def critical(self, schemes: Sequence[Scheme], dof: float) -> float:
        """Return the value that no statistic exceeds with probability 1 - alpha when nothing differs."""
        return dunnett_critical(_loadings(schemes, [scheme.none for scheme in schemes]), dof, self.alpha)

    def joint(self, schemes: Sequence[Scheme], effects: Sequence[float], dof: float) -> float:
        """Return the probability that any arm is found, or that all are."""
        loadings, critical = _loadings(schemes, effects), self.critical(schemes, dof) * _ratios(schemes, effects)
        shifts = _shifts(schemes, effects)
        if self.target == "all":
            return all_reject(critical, loadings, shifts, dof)
        return 1.0 - none_rejects(critical, loadings, shifts, dof)

    def marginal(self, schemes: Sequence[Scheme], effects: Sequence[float], dof: float) -> list[float]:
        """Return each contrast's power at the family's critical value."""
        critical = self.critical(schemes, dof)
        tail = float(stats.t.sf(critical, dof))
        sides = zip(_shifts(schemes, effects), _ratios(schemes, effects), strict=True)
        return [one_tail(shift, ratio, dof, tail) + one_tail(-shift, ratio, dof, tail) for shift, ratio in sides]

    def joint_facts(self, schemes: Sequence[Scheme], dof: float) -> list[tuple[str, float]]:
        """Return the critical value and its degrees of freedom."""
        return [("critical value", self.critical(schemes, dof)), ("degrees of freedom", dof)]

    def describe(self) -> str:
        """Level and what counts as found."""
        return f"Dunnett, alpha {self.alpha:g} over all arms, two-sided, power to find {self.target} of them"


@register("joint_f")
@dataclass(frozen=True, slots=True, kw_only=True)
class JointF(_OfArms):
    """Whether any arm differs from any other: one F test over all arms.

    Parameters
    ----------
    alpha : float, default 0.05

    Notes
    -----
    Noncentral F on (arms - 1, dof) with l = d' V^-1 d, d the contrasts and V their covariance, to which the reference
    contributes throughout: with one variance sum of n_k (mu_k - mu)^2 / sigma^2, with equal arms n k f^2 (Cohen 1988).

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Complete(kk.arms(control=1, letter=1, coaching=1))
    >>> effects = {"letter": 0.2, "coaching": 0.4}
    >>> round(kk.power_at(design, 300, kk.Mean(sd=1), effect=effects, test=kk.JointF()).value, 3)
    0.713
    """

    alpha: float = 0.05

    def __post_init__(self) -> None:
        between(self.alpha, 0.0, 1.0, name="alpha")

    def power(self, scheme: Scheme, effect: float) -> float:
        """Return the power of one contrast on its own."""
        return Superiority(alpha=self.alpha).power(scheme, effect)

    def joint(self, schemes: Sequence[Scheme], effects: Sequence[float], dof: float) -> float:
        """Return the power of the F test."""
        if math.isinf(schemes[0].dof) or any(scheme.null_parts is not None for scheme in schemes):
            raise DesignError("a joint F test is for outcomes with a t reference: Mean, or Proportion unpooled.")
        contrasts = np.array([s.statistic(effect) for s, effect in zip(schemes, effects, strict=True)])
        squared, reference = _errors(schemes, effects)
        common = np.sqrt(reference)
        covariance = np.outer(common, common)
        np.fill_diagonal(covariance, squared)
        shift = float(contrasts @ np.linalg.solve(covariance, contrasts))
        if shift == 0.0:
            return self.alpha  # where scipy's ncf is below 0
        critical = float(stats.f.isf(self.alpha, len(schemes), dof))
        return float(stats.ncf.sf(critical, len(schemes), dof, shift))

    def describe(self) -> str:
        """Level."""
        return f"joint F test over all arms, alpha {self.alpha:g}"


@register("many_outcomes")
@dataclass(frozen=True, slots=True, kw_only=True)
class ManyOutcomes:
    """One contrast tested on several correlated outcomes with Bonferroni's correction.

    Parameters
    ----------
    outcomes : int
        All with the same effect in standard errors.
    correlation : float
        Between any two, in [0, 1).
    alpha : float, default 0.05
        Over the family, two-sided.
    target : {"one", "any", "all"}
        Power of one of them, of at least one, or of all.

    Notes
    -----
    Normal reference. Holm's correction and step-down tests by redraws find more: simulate_power tells how much.

    Examples
    --------
    >>> ManyOutcomes(outcomes=3, correlation=0.5).describe()
    '3 outcomes correlated 0.5, Bonferroni, alpha 0.05, power of any'
    """

    outcomes: int
    correlation: float = 0.0
    alpha: float = 0.05
    target: str = "any"

    def __post_init__(self) -> None:
        positive_int(self.outcomes, name="outcomes")
        between(self.alpha, 0.0, 1.0, name="alpha")
        if between(self.correlation, 0.0, 1.0, name="correlation", closed=True) == 1.0:
            raise DesignError("outcomes with a correlation of 1 are one outcome; state outcomes=1.")
        choice(self.target, ("one", "any", "all"), name="target")

    def side(self, statistic: Statistic) -> str:
        """Two-sided."""
        return "two-sided"

    def refuses(self, statistic: Statistic, effect: float) -> str:
        """No effect."""
        return Superiority().refuses(statistic, effect)

    def power(self, scheme: Scheme, effect: float) -> float:
        """Return the power of the family as `target` asks."""
        shift, ratio = scheme.statistic(effect) / scheme.error(effect), scheme.ratio(effect)
        tail = self.alpha / (2.0 * self.outcomes)
        if self.target == "one":
            return one_tail(shift, ratio, math.inf, tail) + one_tail(-shift, ratio, math.inf, tail)
        loadings = np.full(self.outcomes, math.sqrt(self.correlation))
        shifts, critical = np.full(self.outcomes, shift), float(stats.norm.isf(tail)) * ratio
        if self.target == "all":
            return all_reject(critical, loadings, shifts, math.inf)
        return 1.0 - none_rejects(critical, loadings, shifts, math.inf)

    def describe(self) -> str:
        """Family and level."""
        return (
            f"{self.outcomes} outcomes correlated {self.correlation:g}, Bonferroni, alpha {self.alpha:g}, power of "
            f"{self.target}"
        )
