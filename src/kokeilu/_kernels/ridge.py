"""Ridge regression with the penalty of least generalised cross-validation, in closed form."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ridge", "ridge"]

Floats = NDArray[np.float64]

STEPS = 61
"""Penalties tried, from 10**-6 to 10**6 times the number of people over that of people per parameter."""


class Ridge(NamedTuple):
    """Coefficients (p,), the penalty, effective parameters beside the constant, R2 and its leave-one-out value."""

    coef: Floats
    penalty: float
    effective: float
    r2: float
    left_out_r2: float


def ridge(x: Floats, y: Floats) -> Ridge:
    """Fit y on the columns of x, all centred.

    With X'X = V diag(d) V' the shrunken fit has effective parameters ``sum d / (d + c)``, and its penalty c makes
    ``n RSS / (n - 1 - effective)**2`` least (Golub, Heath & Wahba 1979, Technometrics 21, 215-223). The leave-one-out
    residual is ``e_i / (1 - 1/n - h_i)``.

    Parameters
    ----------
    x : float64 array, shape (n, p)
        Columns with mean 0.
    y : float64 array, shape (n,)
        With mean 0, not all 0.
    """
    n = len(y)
    d, v = np.linalg.eigh(x.T @ x)
    d = np.maximum(d, 0.0)
    kept = d > d.max(initial=0.0) * 1e-12
    d, v = d[kept], v[:, kept]
    turned = v.T @ (x.T @ y)
    total = float(y @ y)
    best = min((_score(c, d, turned, total, n), c) for c in (n * np.logspace(-6, 6, STEPS)).tolist())
    penalty = best[1]
    coef = v @ (turned / (d + penalty))
    rotated = x @ v
    residual = y - rotated @ (turned / (d + penalty))
    leverage = 1 / n + (rotated**2) @ (1 / (d + penalty))
    left_out = residual / np.maximum(1 - leverage, 1e-12)
    # Without the person the mean of the others predicts y_i n / (n - 1) too low or too high.
    alone = y * n / (n - 1)
    return Ridge(
        coef=coef,
        penalty=penalty,
        effective=float((d / (d + penalty)).sum()),
        r2=1 - float(residual @ residual) / total,
        left_out_r2=1 - float(left_out @ left_out) / float(alone @ alone),
    )


def _score(c: float, d: Floats, turned: Floats, total: float, n: int) -> float:
    """Return the generalised cross-validation of penalty c."""
    effective = float((d / (d + c)).sum())
    rss = total - float((turned**2 * (d + 2 * c) / (d + c) ** 2).sum())
    return n * max(rss, 0.0) / max(n - 1 - effective, 1e-9) ** 2
