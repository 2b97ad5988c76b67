"""Power of two one-sided tests with an estimated standard deviation (Owen 1965; Schuirmann 1987)."""

from __future__ import annotations

import math

import numpy as np
from scipy import special, stats

__all__ = ["equivalence_power"]

NODES = 400


def equivalence_power(effect: float, low: float, high: float, error: float, dof: float, alpha: float) -> float:
    """Return the probability that the 1 - 2 alpha interval lies within (low, high).

    E_s[Phi((high - t_c s SE - effect) / SE) - Phi((low + t_c s SE - effect) / SE)]^+ with dof s^2 ~ chi2, so that both
    tests share the estimate of spread: exact for a normal outcome. With infinitely many degrees of freedom s = 1.

    Parameters
    ----------
    effect, low, high, error : float
        True effect, bounds and standard error in the same units.
    dof : float
    alpha : float
        Level of each of the two tests.
    """
    critical = float(stats.t.isf(alpha, dof))
    # Beyond this s the interval is wider than the bounds.
    widest = (high - low) / (2.0 * critical * error)
    if math.isinf(dof):
        s, weight = np.ones(1), np.ones(1)
        if widest <= 1.0:
            return 0.0
    else:
        reach = 10.0 / math.sqrt(2.0 * dof)
        left, right = max(0.0, 1.0 - reach), min(widest, 1.0 + max(reach, 10.0 / dof))
        if right <= left:
            return 0.0
        x, w = np.polynomial.legendre.leggauss(NODES)
        s = left + 0.5 * (right - left) * (x + 1.0)
        log_density = (
            math.log(2.0)
            + 0.5 * dof * math.log(dof / 2.0)
            - float(special.gammaln(dof / 2.0))
            + (dof - 1.0) * np.log(s)
            - 0.5 * dof * s**2
        )
        weight = 0.5 * (right - left) * w * np.exp(log_density)
    upper = special.ndtr((high - effect) / error - critical * s)
    lower = special.ndtr((low - effect) / error + critical * s)
    return min(1.0, float((np.maximum(upper - lower, 0.0) * weight).sum()))
