"""Bounds of an effect when outcomes are missing: Lee's trimming, and the worst case of a bounded outcome."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Trimmed", "lee_bounds", "worst_case"]

Floats = NDArray[np.float64]


class Trimmed(NamedTuple):
    """Share trimmed, whether from the arm (or from the reference), and the bounds of the effect."""

    share: float
    of_arm: bool
    lower: float
    upper: float


def lee_bounds(
    arm: Floats,
    reference: Floats,
    rates: tuple[float, float],
    weights: tuple[Floats, Floats] | None = None,
) -> Trimmed:
    r"""Bounds of the effect on those whose outcome is observed in either arm, if the arm moves response one way only.

    The arm with the higher rate loses the share :math:`(r_{high} - r_{low}) / r_{high}` of its outcomes, from the top
    for one bound and from the bottom for the other; a person on the edge counts by the part that is left.

    Parameters
    ----------
    arm, reference : (m,) and (k,) arrays
        Observed outcomes.
    rates : (arm, reference)
        Shares with an observed outcome.
    weights : (arm, reference) arrays, optional
        1 / share.

    Source: Lee (2009), Rev. Econ. Studies 76, section 3; exact mass instead of whole people.
    """
    high, low = max(rates), min(rates)
    share = (high - low) / high if high > 0.0 else 0.0
    of_arm = rates[0] > rates[1]
    if not len(arm) or not len(reference):
        return Trimmed(share, of_arm, float("nan"), float("nan"))
    w1, w0 = weights or (np.ones(len(arm)), np.ones(len(reference)))
    if of_arm:
        other = float(reference @ w0 / w0.sum())
        bottom, top = _kept_means(arm, w1, share)
        return Trimmed(share, of_arm, bottom - other, top - other)
    other = float(arm @ w1 / w1.sum())
    bottom, top = _kept_means(reference, w0, share)
    return Trimmed(share, of_arm, other - top, other - bottom)


def _kept_means(y: Floats, weights: Floats, share: float) -> tuple[float, float]:
    """Means after a share of the mass is cut from the top, and from the bottom."""
    order = np.argsort(y)
    return _kept(y[order], weights[order], share), _kept(y[order[::-1]], weights[order[::-1]], share)


def _kept(y: Floats, weights: Floats, share: float) -> float:
    mass = float(weights.sum()) * (1.0 - share)
    before = np.cumsum(weights) - weights
    kept = np.clip(mass - before, 0.0, weights)
    return float(y @ kept / kept.sum()) if mass > 0.0 else float("nan")


def worst_case(
    means: tuple[float, float], rates: tuple[float, float], limits: tuple[float, float]
) -> tuple[float, float]:
    """Bounds of the effect of a bounded outcome, whoever is missing and why.

    Parameters
    ----------
    means, rates : (arm, reference)
        Mean of the observed outcomes and share observed.
    limits : (low, high)
        Of the outcome.

    Source: Manski (1990), Amer. Econ. Rev. 80.
    """
    low, high = ([m * r + (1.0 - r) * edge for m, r in zip(means, rates, strict=True)] for edge in limits)
    return low[0] - high[1], high[0] - low[1]
