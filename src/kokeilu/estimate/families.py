"""Corrections for several hypotheses of one family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kokeilu._checks import between
from kokeilu.core.protocols import Floats
from kokeilu.core.registry import register
from kokeilu.errors import EstimationError

__all__ = ["Bonferroni", "Holm"]


@register("Holm")
@dataclass(frozen=True, slots=True, kw_only=True)
class Holm:
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

    def __post_init__(self) -> None:
        between(self.alpha, 0, 1, name="alpha")

    def adjust(self, p_values: Sequence[float]) -> tuple[float, ...]:
        """Return adjusted p-values in the order given: reject where they are at most `alpha`.

        Raises
        ------
        EstimationError
            Where a p-value is missing or outside [0, 1].
        """
        values = _checked(p_values)
        order = np.argsort(values, kind="stable")
        # max over j <= i of (m - j + 1) p_(j)
        steps = np.maximum.accumulate((values.size - np.arange(values.size)) * values[order])
        adjusted = np.empty_like(values)
        adjusted[order] = np.minimum(steps, 1.0)
        return tuple(float(p) for p in adjusted)


@register("Bonferroni")
@dataclass(frozen=True, slots=True, kw_only=True)
class Bonferroni:
    """Bonferroni's correction: each p-value times the number of hypotheses.

    Examples
    --------
    >>> Bonferroni().adjust([0.25, 0.5])
    (0.5, 1.0)
    """

    alpha: float = 0.05

    def __post_init__(self) -> None:
        between(self.alpha, 0, 1, name="alpha")

    def adjust(self, p_values: Sequence[float]) -> tuple[float, ...]:
        """Return adjusted p-values in the order given; see :meth:`Holm.adjust`."""
        values = _checked(p_values)
        return tuple(float(p) for p in np.minimum(values * values.size, 1.0))


def _checked(p_values: Sequence[float]) -> Floats:
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
