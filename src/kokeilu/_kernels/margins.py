"""Shares of two arms as they are estimated on the boundary of a null hypothesis with a margin."""

from __future__ import annotations

import math

__all__ = ["constrained_difference", "constrained_ratio"]


def constrained_difference(arm: float, reference: float, margin: float, ratio: float) -> tuple[float, float]:
    """Return the limits of the maximum likelihood estimates of both shares under p_arm - p_reference = margin.

    Closed form of the cubic (Farrington & Manning 1990, Statist. Med. 9, appendix).

    Parameters
    ----------
    arm, reference : float
        True shares.
    margin : float
        Difference on the boundary.
    ratio : float
        People in the reference arm for each one in the arm.
    """
    if margin == 0.0:
        pooled = (arm + ratio * reference) / (1.0 + ratio)
        return pooled, pooled
    a = 1.0 + ratio
    b = -(1.0 + ratio + arm + ratio * reference + margin * (ratio + 2.0))
    c = margin**2 + margin * (2.0 * arm + ratio + 1.0) + arm + ratio * reference
    d = -arm * margin * (1.0 + margin)
    v = b**3 / (27.0 * a**3) - b * c / (6.0 * a**2) + d / (2.0 * a)
    u = math.copysign(math.sqrt(max(b**2 / (9.0 * a**2) - c / (3.0 * a), 0.0)), v)
    angle = 0.0 if u == 0.0 else math.acos(min(1.0, max(-1.0, v / u**3)))
    share = 2.0 * u * math.cos((math.pi + angle) / 3.0) - b / (3.0 * a)
    low, high = max(0.0, margin), min(1.0, 1.0 + margin)
    share = min(max(share, low), high)
    return share, share - margin


def constrained_ratio(arm: float, reference: float, margin: float, ratio: float) -> tuple[float, float]:
    """Return the same under p_arm / p_reference = margin (Miettinen & Nurminen 1985, Statist. Med. 4)."""
    if margin == 1.0:
        pooled = (arm + ratio * reference) / (1.0 + ratio)
        return pooled, pooled
    a = 1.0 + ratio
    b = -(margin * (1.0 + ratio * reference) + ratio + arm)
    c = margin * (arm + ratio * reference)
    share = (-b - math.sqrt(max(b**2 - 4.0 * a * c, 0.0))) / (2.0 * a)
    return share, share / margin
