"""Looks at the data before the end: crossing probabilities, boundaries and drifts by numerical integration.

With information fractions t_1 < ... < t_K the statistics are Z_k ~ N(theta sqrt(t_k), 1) with correlations
sqrt(t_j / t_k), theta the drift: the mean of Z at t = 1. The density of Z_k among the trials that go on is carried from
look to look (Armitage, McPherson & Rowe 1969, J. R. Statist. Soc. A 132):

    g_{k+1}(z) = integral of g_k(x) f(z | x) dx
    Z_{k+1} | x ~ N(x sqrt(t_k / t_{k+1}) + theta (t_{k+1} - t_k) / sqrt(t_{k+1}), 1 - t_k / t_{k+1})

by Gauss-Legendre quadrature with nodes dense against the narrowest step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

__all__ = [
    "crossing",
    "drift_for",
    "efficacy_bounds",
    "futility_bounds",
    "hwang_shih_decani",
    "lan_demets_obrien_fleming",
    "lan_demets_pocock",
    "obrien_fleming",
    "pocock",
]

Floats = npt.NDArray[np.float64]
Spending = Callable[[float, float], float]

FAR = 9.0
"""Beyond this many standard deviations a normal density is below 1e-18."""


def lan_demets_obrien_fleming(alpha: float, t: float) -> float:
    """Return 2 - 2 Phi(z_{1 - alpha/2} / sqrt(t)), alpha one-sided (Lan & DeMets 1983)."""
    return float(2.0 * special.ndtr(special.ndtri(alpha / 2.0) / math.sqrt(t))) if t < 1.0 else alpha


def lan_demets_pocock(alpha: float, t: float) -> float:
    """Return alpha ln(1 + (e - 1) t) (Lan & DeMets 1983)."""
    return alpha * math.log1p((math.e - 1.0) * min(t, 1.0))


def hwang_shih_decani(gamma: float) -> Spending:
    """Return the function alpha (1 - exp(-gamma t)) / (1 - exp(-gamma)) (Hwang, Shih & DeCani 1990)."""

    def spending(alpha: float, t: float) -> float:
        x = min(t, 1.0)
        return alpha * (x if gamma == 0.0 else math.expm1(-gamma * x) / math.expm1(-gamma))

    return spending


NODES = 16


@cache
def _legendre() -> tuple[Floats, Floats]:
    x, w = np.polynomial.legendre.leggauss(NODES)
    return x, w


def _grid(low: float, high: float, narrow: float) -> tuple[Floats, Floats]:
    """Gauss-Legendre points and weights on panels about two narrow standard deviations wide."""
    panels = max(3, math.ceil((high - low) / (2.0 * narrow)))
    x, w = _legendre()
    half = 0.5 * (high - low) / panels
    centres = low + half * (2.0 * np.arange(panels) + 1.0)
    return (centres[:, None] + half * x).ravel(), np.tile(half * w, panels)


def crossing(
    information: npt.ArrayLike, lower: npt.ArrayLike, upper: npt.ArrayLike, drift: float
) -> tuple[Floats, Floats]:
    """Return the probabilities of crossing the upper and the lower bound for the first time at each look.

    Parameters
    ----------
    information : sequence of float, length K
        Fractions, rising, above 0.
    lower, upper : sequences of float, length K
        Bounds on Z; infinite where there is none.
    drift : float
        Mean of Z at fraction 1.

    Returns
    -------
    up, down : float64 arrays, shape (K,)
    """
    t = np.asarray(information, dtype=np.float64)
    low, high = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    up, down = np.zeros(t.size), np.zeros(t.size)
    state: tuple[Floats, Floats] | None = None
    for k in range(t.size):
        up[k], down[k], state = _step(state, t, k, (float(low[k]), float(high[k])), drift)
    return up, down


def _step(
    state: tuple[Floats, Floats] | None, t: Floats, k: int, bounds: tuple[float, float], drift: float
) -> tuple[float, float, tuple[Floats, Floats]]:
    """Carry the density over one look: crossing above and below, and (points, mass) of those that go on."""
    low, high = bounds
    centre = drift * math.sqrt(t[k])
    if state is None:
        mean, mass, sd = np.array([centre]), np.ones(1), 1.0
    else:
        points, mass = state
        mean = points * math.sqrt(t[k - 1] / t[k]) + drift * (t[k] - t[k - 1]) / math.sqrt(t[k])
        sd = math.sqrt(1.0 - t[k - 1] / t[k])
    above = float(mass @ special.ndtr((mean - high) / sd))
    below = float(mass @ special.ndtr((low - mean) / sd))
    left, right = max(low, centre - FAR), min(high, centre + FAR)
    if right <= left:
        return above, below, (np.array([centre]), np.zeros(1))
    narrow = sd if k + 1 == t.size else min(sd, math.sqrt(1.0 - t[k] / t[k + 1]) * math.sqrt(t[k + 1] / t[k]))
    x, w = _grid(left, right, narrow)
    density = np.exp(-0.5 * ((x[:, None] - mean) / sd) ** 2) @ mass / (sd * math.sqrt(2.0 * math.pi))
    return above, below, (x, w * density)


def efficacy_bounds(information: npt.ArrayLike, alpha: float, spending: Spending, *, two_sided: bool) -> Floats:
    """Return upper bounds that spend `alpha` (one-sided) by look; the lower ones mirror them where two-sided.

    Parameters
    ----------
    information : sequence of float, length K
    alpha : float
        Of one side.
    spending : function (alpha, t) -> alpha spent by fraction t
    two_sided : bool

    Returns
    -------
    float64 array, shape (K,)
        Infinite where nothing is spent.
    """
    t = np.asarray(information, dtype=np.float64)
    spent = np.array([spending(alpha, float(x)) for x in t])
    upper = np.full(t.size, np.inf)
    state: tuple[Floats, Floats] | None = None
    for k in range(t.size):
        share = spent[k] - (spent[k - 1] if k else 0.0)
        if share > 0.0:
            upper[k] = _root(state, t, k, share, two_sided)
        low = -upper[k] if two_sided else -np.inf
        _, _, state = _step(state, t, k, (low, upper[k]), 0.0)
    return upper


def _root(state: tuple[Floats, Floats] | None, t: Floats, k: int, share: float, two_sided: bool) -> float:
    if state is None:
        return float(-special.ndtri(share))
    mean, mass = state[0] * math.sqrt(t[k - 1] / t[k]), state[1]
    sd = math.sqrt(1.0 - t[k - 1] / t[k])

    def left(bound: float) -> float:
        return float(mass @ special.ndtr((mean - bound) / sd)) - share

    return float(optimize.brentq(left, -FAR, 4.0 * FAR, xtol=1e-13, rtol=1e-14))


def futility_bounds(
    information: npt.ArrayLike, upper: Floats, beta: float, spending: Spending, drift: float
) -> tuple[Floats, float]:
    """Return lower bounds that spend `beta` under the drift, and the probability of no success (error of the 2nd kind).

    Non-binding: the upper bounds were found without them. The last lower bound is the upper one.
    """
    t = np.asarray(information, dtype=np.float64)
    spent = np.array([spending(beta, float(x)) for x in t])
    lower = np.full(t.size, -np.inf)
    state: tuple[Floats, Floats] | None = None
    total = 0.0
    for k in range(t.size):
        share = spent[k] - (spent[k - 1] if k else 0.0)
        lower[k] = upper[k] if k + 1 == t.size else min(_below(state, t, k, share, drift), upper[k])
        _, missed, state = _step(state, t, k, (float(lower[k]), float(upper[k])), drift)
        total += missed
    return lower, total


def _below(state: tuple[Floats, Floats] | None, t: Floats, k: int, share: float, drift: float) -> float:
    if share <= 0.0:
        return -math.inf
    if state is None:
        return float(special.ndtri(share)) + drift * math.sqrt(t[k])
    mean = state[0] * math.sqrt(t[k - 1] / t[k]) + drift * (t[k] - t[k - 1]) / math.sqrt(t[k])
    mass, sd = state[1], math.sqrt(1.0 - t[k - 1] / t[k])

    def left(bound: float) -> float:
        return float(mass @ special.ndtr((bound - mean) / sd)) - share

    return float(optimize.brentq(left, -4.0 * FAR, 4.0 * FAR, xtol=1e-13, rtol=1e-14))


def obrien_fleming(information: npt.ArrayLike, alpha: float, *, two_sided: bool) -> Floats:
    """Return the classical bounds c sqrt(t_K / t_k) that spend `alpha` (one-sided) in all (O'Brien & Fleming 1979)."""
    t = np.asarray(information, dtype=np.float64)
    return _of_shape(t, np.sqrt(t[-1] / t), alpha, two_sided)


def pocock(information: npt.ArrayLike, alpha: float, *, two_sided: bool) -> Floats:
    """Return the classical constant bounds that spend `alpha` (one-sided) in all (Pocock 1977)."""
    t = np.asarray(information, dtype=np.float64)
    return _of_shape(t, np.ones(t.size), alpha, two_sided)


def _of_shape(t: Floats, shape: Floats, alpha: float, two_sided: bool) -> Floats:
    def over(c: float) -> float:
        lower = -c * shape if two_sided else np.full(t.size, -np.inf)
        return float(crossing(t, lower, c * shape, 0.0)[0].sum()) - alpha

    low = float(-special.ndtri(alpha)) * 0.5
    c = float(optimize.brentq(over, low, 4.0 * FAR, xtol=1e-12, rtol=1e-13))
    bounds: Floats = c * shape
    return bounds


def drift_for(information: npt.ArrayLike, lower: npt.ArrayLike, upper: npt.ArrayLike, power: float) -> float:
    """Return the drift at which the upper bound is crossed with probability `power`."""

    def short(drift: float) -> float:
        return float(crossing(information, lower, upper, drift)[0].sum()) - power

    return float(optimize.brentq(short, 0.0, 4.0 * FAR, xtol=1e-12, rtol=1e-13))
