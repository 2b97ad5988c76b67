"""The largest covariance that two arms' outcomes can have, and what it takes off Neyman's variance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["comonotone_covariance", "least_effect_variance"]

Floats = NDArray[np.float64]


def comonotone_covariance(first: Floats, second: Floats) -> float:
    r"""Covariance of the two empirical quantile functions on one uniform variable.

    :math:`\int_0^1 F^{-1}(u) G^{-1}(u) du - \bar a \bar b`: no joint distribution with these margins has a larger one
    (Hoeffding 1940). O(n log n).

    Parameters
    ----------
    first, second : arrays (m,), (k,)
    """
    a, b = np.sort(first) - first.mean(), np.sort(second) - second.mean()
    m, k = a.size, b.size
    # Steps of the quantile functions end at multiples of 1/m and 1/k: whole numbers in units of 1/(mk) are exact.
    ends = np.union1d(np.arange(1, m + 1) * k, np.arange(1, k + 1) * m)
    width = np.diff(ends, prepend=0) / (m * k)
    return float((width * a[(ends - 1) // k] * b[(ends - 1) // m]).sum())


def least_effect_variance(first: Floats, second: Floats) -> float:
    r"""Least variance of the effects that the outcomes of the two arms allow, at least 0.

    :math:`s_1^2 + s_0^2 - 2 s^H`, the last being :math:`\hat\sigma^H` times the factor
    :math:`\sqrt{m k / ((m - 1)(k - 1))}` that makes variances out of mean squares, without which arms of a few people
    are given too much. Neyman's variance of the difference in means less this over n is the sharp upper bound of the
    variance, in large samples.

    Source: Aronow, Green & Lee (2014), "Sharp bounds on the variance in randomized experiments", Ann. Statist. 42,
    eq. 10, whose :math:`\hat\sigma^H` is :func:`comonotone_covariance`.
    """
    m, k = first.size, second.size
    most = comonotone_covariance(first, second) * np.sqrt(m * k / ((m - 1.0) * (k - 1.0)))
    return max(0.0, float(first.var(ddof=1) + second.var(ddof=1) - 2.0 * most))
