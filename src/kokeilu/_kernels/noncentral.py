"""Power of t and z tests, and the multipliers that turn a standard error into a detectable effect.

λ = δ/SE, ν degrees of freedom, T_ν(x; λ) the noncentral t distribution function. Both tails count in a
two-sided test. The lower tail is written as the upper tail of −λ: scipy's `nct.cdf` is NaN in the far lower
tail (at −1.96, ν = 20,000, λ = 10), `nct.sf` is not up to |λ| = 1,000.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

__all__ = ["ALTERNATIVES", "bloom_multiplier", "critical_t", "t_multiplier", "t_power", "z_power"]

Floats = npt.NDArray[np.float64]

FAR = 1e3

ALTERNATIVES: Final = ("two-sided", "greater", "less")


def _tail(alpha: float, alternative: str) -> float:
    return alpha / 2 if alternative == "two-sided" else alpha


def _sum_of_tails(upper: Floats, lower: Floats, alternative: str) -> Floats:
    if alternative == "greater":
        return upper
    return lower if alternative == "less" else upper + lower


def critical_t(dof: npt.ArrayLike, alpha: float, alternative: str = "two-sided") -> Floats:
    """Return the central-t value beyond which the test rejects; shape of `dof`."""
    return np.asarray(stats.t.isf(_tail(alpha, alternative), np.asarray(dof, dtype=np.float64)), dtype=np.float64)


def t_power(ncp: npt.ArrayLike, dof: npt.ArrayLike, alpha: float, alternative: str = "two-sided") -> Floats:
    """Return 1 − T_ν(c; λ) + T_ν(−c; λ), or the one tail of a one-sided test; shapes broadcast.

    "greater" counts the upper tail, "less" the lower one, whatever the sign of `ncp`.
    """
    lam = np.asarray(ncp, dtype=np.float64)
    nu = np.asarray(dof, dtype=np.float64)
    critical = critical_t(nu, alpha, alternative)
    upper = np.asarray(stats.nct.sf(critical, nu, lam), dtype=np.float64)
    lower = np.asarray(stats.nct.sf(critical, nu, -lam), dtype=np.float64)
    # So far out nct gives up; the tail on the side of lambda holds everything.
    upper = np.where(np.isnan(upper) & (np.abs(lam) > FAR), lam > 0.0, upper)
    lower = np.where(np.isnan(lower) & (np.abs(lam) > FAR), lam < 0.0, lower)
    return _sum_of_tails(upper, lower, alternative)


def t_multiplier(dof: float, alpha: float, power: float, alternative: str = "two-sided") -> float:
    """Return the λ > 0 at which `t_power` equals `power`: the detectable effect in standard errors."""
    toward = "greater" if alternative == "less" else alternative  # mirrored: T_ν(−x; −λ) = 1 − T_ν(x; λ)
    high = max(1.0, bloom_multiplier(dof, alpha, power, toward))
    while float(t_power(high, dof, alpha, toward)) < power:
        high *= 2.0
    root = optimize.brentq(lambda lam: float(t_power(lam, dof, alpha, toward)) - power, 0.0, high, xtol=1e-13)
    return float(root)


def bloom_multiplier(dof: float, alpha: float, power: float, alternative: str = "two-sided") -> float:
    """Return t_{1−α/2,ν} + t_{power,ν}, central t (Bloom 1995; Dong & Maynard 2013).

    ν = inf gives the normal one. Below the exact multiplier when degrees of freedom are few: at ν = 4 its
    power is .791 for a target of .80.
    """
    return float(stats.t.isf(_tail(alpha, alternative), dof) + stats.t.ppf(power, dof))


def z_power(
    effect: npt.ArrayLike,
    null_error: npt.ArrayLike,
    error: npt.ArrayLike,
    alpha: float,
    alternative: str = "two-sided",
) -> Floats:
    """Return Φ((d − z s₀)/s₁) + Φ((−d − z s₀)/s₁), or one of them.

    Standard errors s₀ under the null, s₁ under the alternative. Pooled and unpooled errors of two proportions
    give the score test's power; s₀ = s₁ gives the plain normal one.
    """
    d = np.asarray(effect, dtype=np.float64)
    s0, s1 = np.asarray(null_error, dtype=np.float64), np.asarray(error, dtype=np.float64)
    z = float(stats.norm.isf(_tail(alpha, alternative)))
    upper = np.asarray(stats.norm.cdf((d - z * s0) / s1), dtype=np.float64)
    lower = np.asarray(stats.norm.cdf((-d - z * s0) / s1), dtype=np.float64)
    return _sum_of_tails(upper, lower, alternative)
