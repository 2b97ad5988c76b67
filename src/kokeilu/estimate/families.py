"""Corrections for several hypotheses of one family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kokeilu._checks import between
from kokeilu.core.protocols import Floats
from kokeilu.core.registry import register
from kokeilu.errors import EstimationError

__all__ = [
    "BenjaminiHochberg",
    "BenjaminiYekutieli",
    "Bonferroni",
    "Hochberg",
    "Holm",
    "Hommel",
    "SharpenedQ",
    "checked_p_values",
]


class _Levelled:
    """What has a level."""

    __slots__ = ()

    alpha: float

    def __post_init__(self) -> None:
        between(self.alpha, 0, 1, name="alpha")


@register("Holm")
@dataclass(frozen=True, slots=True, kw_only=True)
class Holm(_Levelled):
    """Holm's step-down correction: the chance of any false rejection in the family is at most `alpha`.

    Parameters
    ----------
    alpha : float
        Family-wise level.

    References
    ----------
    Holm (1979), Scandinavian Journal of Statistics 6.

    Examples
    --------
    >>> Holm().adjust([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """

    alpha: float = 0.05

    def adjust(self, p_values: Sequence[float]) -> tuple[float, ...]:
        """Return adjusted p-values in the order given: reject where they are at most `alpha`.

        Raises
        ------
        EstimationError
            Where a p-value is missing or outside [0, 1].
        """
        values = checked_p_values(p_values)
        order = np.argsort(values, kind="stable")
        # max over j <= i of (m - j + 1) p_(j)
        steps = np.maximum.accumulate((values.size - np.arange(values.size)) * values[order])
        adjusted = np.empty_like(values)
        adjusted[order] = np.minimum(steps, 1.0)
        return tuple(float(p) for p in adjusted)


@register("Bonferroni")
@dataclass(frozen=True, slots=True, kw_only=True)
class Bonferroni(_Levelled):
    """Bonferroni's correction: each p-value times the number of hypotheses.

    Examples
    --------
    >>> Bonferroni().adjust([0.25, 0.5])
    (0.5, 1.0)
    """

    alpha: float = 0.05

    def adjust(self, p_values: Sequence[float]) -> tuple[float, ...]:
        """Return adjusted p-values in the order given; see :meth:`Holm.adjust`."""
        values = checked_p_values(p_values)
        return tuple(float(p) for p in np.minimum(values * values.size, 1.0))


@register("Hochberg")
@dataclass(frozen=True, slots=True, kw_only=True)
class Hochberg(_Levelled):
    """Hochberg's step-up correction: Holm's steps, from the largest p-value down.

    Never milder than asked where the tests are independent or positively dependent, as those of several arms against
    one control are; otherwise use :class:`Holm`.

    Parameters
    ----------
    alpha : float
        Family-wise level.

    References
    ----------
    Hochberg (1988), Biometrika 75.

    Examples
    --------
    >>> Hochberg().adjust([0.01, 0.04, 0.03])
    (0.03, 0.04, 0.04)
    """

    alpha: float = 0.05

    def adjust(self, p_values: Sequence[float]) -> tuple[float, ...]:
        """Return adjusted p-values in the order given; see :meth:`Holm.adjust`."""
        values = checked_p_values(p_values)
        # min over i >= j of (m - i + 1) p_(i)
        return _step_up(values, values.size - np.arange(values.size, dtype=np.float64))


@register("Hommel")
@dataclass(frozen=True, slots=True, kw_only=True)
class Hommel(_Levelled):
    """Hommel's correction: Simes' test of every subset of the family; at least as powerful as Hochberg's.

    It holds where Hochberg's does.

    Parameters
    ----------
    alpha : float
        Family-wise level.

    References
    ----------
    Hommel (1988), Biometrika 75.

    Examples
    --------
    >>> Hommel().adjust([0.01, 0.02, 0.04])
    (0.03, 0.04, 0.04)
    """

    alpha: float = 0.05

    def adjust(self, p_values: Sequence[float]) -> tuple[float, ...]:
        """Return adjusted p-values in the order given; see :meth:`Holm.adjust`."""
        values = checked_p_values(p_values)
        size = values.size
        order = np.argsort(values, kind="stable")
        p = values[order]
        adjusted = p.copy()
        # For each size of subset: Simes' p of the largest values, and of these with one smaller value.
        for part in range(size, 1, -1):
            few = size - part + 1
            simes = float((part * p[few:] / np.arange(2, part + 1)).min())
            own = np.minimum(part * p[:few], simes)
            adjusted[:few] = np.maximum(adjusted[:few], own)
            adjusted[few:] = np.maximum(adjusted[few:], own[-1])
        result = np.empty_like(values)
        result[order] = adjusted
        return tuple(float(q) for q in result)


@register("BenjaminiHochberg")
@dataclass(frozen=True, slots=True, kw_only=True)
class BenjaminiHochberg(_Levelled):
    """Benjamini and Hochberg's step-up: among the rejections at most a share `alpha` is expected to be false.

    For independent or positively dependent tests. It allows more errors than a family-wise correction, and is meant for
    many secondary or exploratory questions.

    Parameters
    ----------
    alpha : float
        False discovery rate.

    References
    ----------
    Benjamini & Hochberg (1995), Journal of the Royal Statistical Society B 57.

    Examples
    --------
    >>> BenjaminiHochberg().adjust([0.01, 0.04, 0.03])
    (0.03, 0.04, 0.04)
    """

    alpha: float = 0.05

    def adjust(self, p_values: Sequence[float]) -> tuple[float, ...]:
        """Return adjusted p-values (q-values) in the order given; see :meth:`Holm.adjust`."""
        values = checked_p_values(p_values)
        return _step_up(values, values.size / np.arange(1.0, values.size + 1.0))


@register("BenjaminiYekutieli")
@dataclass(frozen=True, slots=True, kw_only=True)
class BenjaminiYekutieli(_Levelled):
    """Benjamini and Yekutieli's step-up: the false discovery rate under any dependence.

    Parameters
    ----------
    alpha : float
        False discovery rate.

    References
    ----------
    Benjamini & Yekutieli (2001), Annals of Statistics 29.

    Examples
    --------
    >>> BenjaminiYekutieli().adjust([0.01, 0.5])
    (0.03, 0.75)
    """

    alpha: float = 0.05

    def adjust(self, p_values: Sequence[float]) -> tuple[float, ...]:
        """Return adjusted p-values (q-values) in the order given; see :meth:`Holm.adjust`."""
        values = checked_p_values(p_values)
        ranks = np.arange(1.0, values.size + 1.0)
        return _step_up(values, (1.0 / ranks).sum() * values.size / ranks)


@register("SharpenedQ")
@dataclass(frozen=True, slots=True, kw_only=True)
class SharpenedQ:
    """Sharpened q-values: the two-stage false discovery rate, which estimates how many hypotheses are true.

    For independent or positively dependent tests. A q-value may be below its p-value where most hypotheses are
    rejected. It is the smallest level on a grid at which the two-stage procedure rejects.

    Parameters
    ----------
    alpha : float
        False discovery rate.
    step : float
        Of the grid of levels.

    References
    ----------
    Benjamini, Krieger & Yekutieli (2006), Biometrika 93; Anderson (2008), Journal of the American Statistical
    Association 103.

    Examples
    --------
    >>> SharpenedQ().adjust([0.01, 0.02, 0.03])
    (0.031, 0.031, 0.031)
    """

    alpha: float = 0.05
    step: float = 0.001

    def __post_init__(self) -> None:
        between(self.alpha, 0, 1, name="alpha")
        between(self.step, 1e-6, 0.1, name="step", closed=True)

    def adjust(self, p_values: Sequence[float]) -> tuple[float, ...]:
        """Return q-values in the order given; see :meth:`Holm.adjust`."""
        values = checked_p_values(p_values)
        order = np.argsort(values, kind="stable")
        sharpened = np.ones_like(values)
        for q in np.arange(round(1.0 / self.step), 0, -1) * self.step:
            rejected = _two_stage(values[order], float(q))
            if rejected == 0:
                break
            sharpened[order[:rejected]] = round(float(q), 12)
        return tuple(float(q) for q in sharpened)


def _two_stage(p: Floats, q: float) -> int:
    """Rejections among sorted p-values: the first stage counts them, the second divides by what it left."""
    level = q / (1.0 + q)
    first = _largest_rank(p, level / p.size) if p.size else 0
    return first if first in (0, p.size) else _largest_rank(p, level / (p.size - first))


def _largest_rank(p: Floats, slope: float) -> int:
    """Largest rank with p <= slope * rank; 0 where there is none."""
    below = np.flatnonzero(p <= slope * np.arange(1.0, p.size + 1.0))
    return int(below[-1]) + 1 if below.size else 0


def _step_up(values: Floats, factors: Floats) -> tuple[float, ...]:
    """min over i >= j of factor_i p_(i), at most 1."""
    order = np.argsort(values, kind="stable")
    steps = np.minimum.accumulate((factors * values[order])[::-1])[::-1]
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(steps, 1.0)
    return tuple(float(p) for p in adjusted)


def checked_p_values(p_values: Sequence[float]) -> Floats:
    """Return p-values as an array, or raise EstimationError."""
    try:
        values = np.asarray(p_values, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.zeros(())
    if values.ndim != 1:
        raise EstimationError("p-values must be a flat sequence of numbers.")
    wrong = int((~((values >= 0.0) & (values <= 1.0))).sum())
    if wrong:
        raise EstimationError(f"{wrong} of {values.size} p-values are missing or outside [0, 1]; give probabilities.")
    return values
