"""Power of two one-sided tests with an estimated standard deviation (Owen 1965; Schuirmann 1987)."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import special, stats

__all__ = ["equivalence_power"]

Floats = npt.NDArray[np.float64]

NODES = 400
LARGE = 1e4


@lru_cache(maxsize=4)
def _nodes(count: int) -> tuple[Floats, Floats]:
    """Points and weights of Gauss and Legendre: an eigenproblem that is solved once."""
    x, w = np.polynomial.legendre.leggauss(count)
    x.flags.writeable = w.flags.writeable = False
    return x, w


def _height(dof: float) -> float:
    """ln of 2 (nu/2)^(nu/2) exp(-nu/2) / Gamma(nu/2), the density of sqrt(chi2_nu / nu) at 1; Stirling for large nu."""
    x = 0.5 * dof
    if x > LARGE:
        return math.log(2.0) + 0.5 * math.log(x / (2.0 * math.pi)) - 1.0 / (12.0 * x)
    return math.log(2.0) + x * math.log(x) - x - math.lgamma(x)


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
        x, w = _nodes(NODES)
        s = left + 0.5 * (right - left) * (x + 1.0)
        # About s = 1, so that no large numbers are subtracted however many degrees there are.
        beyond = s - 1.0
        log_density = _height(dof) + dof * (np.log1p(beyond) - beyond - 0.5 * beyond**2) - np.log1p(beyond)
        weight = 0.5 * (right - left) * w * np.exp(log_density)
    upper = special.ndtr((high - effect) / error - critical * s)
    lower = special.ndtr((low - effect) / error + critical * s)
    return min(1.0, float((np.maximum(upper - lower, 0.0) * weight).sum()))
