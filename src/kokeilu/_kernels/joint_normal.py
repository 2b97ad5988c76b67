"""Probabilities of several correlated tests at once, by deterministic quadrature over their common factor.

Arms against one reference: with b_i = sqrt(n_i / (n_i + n_0)) ... the statistics share the reference's mean z and the
estimated standard deviation s (Dunnett 1955, J. Am. Stat. Assoc. 50):

    P(all |T_i| <= c) = int int prod_i [Phi((c s - lambda_i - b_i z) / sqrt(1 - b_i^2))
                                        - Phi((-c s - lambda_i - b_i z) / sqrt(1 - b_i^2))] phi(z) f_nu(s) dz ds

f_nu the density of sqrt(chi2_nu / nu). Equally correlated normal statistics are the same with b = sqrt(rho), s = 1.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

__all__ = ["all_reject", "dunnett_critical", "none_rejects"]

Floats = npt.NDArray[np.float64]

Z_NODES, S_NODES = 100, 60
EDGE = 9.0


@lru_cache(maxsize=4)
def _nodes(count: int) -> tuple[Floats, Floats]:
    """Points and weights of Gauss and Legendre: an eigenproblem that is solved once."""
    x, w = np.polynomial.legendre.leggauss(count)
    x.flags.writeable = w.flags.writeable = False
    return x, w


def _factor() -> tuple[Floats, Floats]:
    x, w = _nodes(Z_NODES)
    z = EDGE * x
    return z, EDGE * w * np.exp(-0.5 * z**2) / math.sqrt(2.0 * math.pi)


def _spread(dof: float) -> tuple[Floats, Floats]:
    """Points and weights of s = sqrt(chi2_nu / nu) on 1 +- 9 / sqrt(2 nu), cut at 0; s = 1 for infinitely many."""
    if math.isinf(dof):
        return np.ones(1), np.ones(1)
    x, w = _nodes(S_NODES)
    reach = EDGE / math.sqrt(2.0 * dof)
    low, high = max(0.0, 1.0 - reach), 1.0 + max(reach, EDGE / dof)
    beyond = low - 1.0 + 0.5 * (high - low) * (x + 1.0)
    # ln of s^(nu - 1) exp(-nu s^2 / 2) about s = 1, and the constant by the sum: both hold for any number of degrees.
    shape = dof * (np.log1p(beyond) - beyond - 0.5 * beyond**2) - np.log1p(beyond)
    density = w * np.exp(shape - shape.max())
    return 1.0 + beyond, density / density.sum()


def _window(
    critical: npt.ArrayLike, loadings: Floats, ncp: Floats, dof: float, two_sided: bool
) -> tuple[Floats, Floats]:
    """Probability that each statistic stays inside, (S, Z, m), and the weights, (S, Z)."""
    z, wz = _factor()
    s, ws = _spread(dof)
    rest, critical = np.sqrt(1.0 - loadings**2), np.asarray(critical, dtype=np.float64)
    middle = ncp + loadings * z[:, None]
    inside = special.ndtr((critical * s[:, None, None] - middle) / rest)
    if two_sided:
        inside = inside - special.ndtr((-critical * s[:, None, None] - middle) / rest)
    return inside, ws[:, None] * wz


def none_rejects(
    critical: npt.ArrayLike, loadings: npt.ArrayLike, ncp: npt.ArrayLike, dof: float, *, two_sided: bool = True
) -> float:
    """Return the probability that no statistic exceeds the critical value.

    Parameters
    ----------
    critical : float, or float64 array, shape (m,)
    loadings : float64 array, shape (m,)
        Correlation of each statistic with the common factor, in [0, 1); the correlation of two is the product.
    ncp : float64 array, shape (m,)
        Means of the statistics.
    dof : float
        Of the common estimate of spread; inf: known.
    """
    inside, weight = _window(critical, np.asarray(loadings, float), np.asarray(ncp, float), dof, two_sided)
    return float((inside.prod(axis=2) * weight).sum())


def all_reject(
    critical: npt.ArrayLike, loadings: npt.ArrayLike, ncp: npt.ArrayLike, dof: float, *, two_sided: bool = True
) -> float:
    """Return the probability that every statistic exceeds the critical value; arguments as :func:`none_rejects`."""
    inside, weight = _window(critical, np.asarray(loadings, float), np.asarray(ncp, float), dof, two_sided)
    return float(((1.0 - inside).prod(axis=2) * weight).sum())


def dunnett_critical(loadings: npt.ArrayLike, dof: float, alpha: float, *, two_sided: bool = True) -> float:
    """Return the value that no statistic exceeds with probability 1 - alpha when nothing differs."""
    b = np.asarray(loadings, dtype=np.float64)
    null = np.zeros(b.size)
    single = float(stats.t.isf(alpha / (2 if two_sided else 1), dof))
    bonferroni = float(stats.t.isf(alpha / (2 if two_sided else 1) / b.size, dof))

    def short(c: float) -> float:
        return none_rejects(c, b, null, dof, two_sided=two_sided) - (1.0 - alpha)

    if b.size == 1:
        return single
    return float(optimize.brentq(short, single - 1e-6, bonferroni + 1e-6, xtol=1e-13, rtol=1e-14))
