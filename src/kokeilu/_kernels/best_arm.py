"""Which arm is best, given successes and failures: probabilities by quadrature, and shares that follow from them.

With Beta(1, 1) priors arm k has the posterior Beta(1 + s_k, 1 + f_k), and

    P(k is best) = ∫ f_k(x) Π_{j≠k} F_j(x) dx      over [0, 1],

by Gauss-Legendre quadrature on panels that end at the means of all arms and at fixed numbers of standard deviations
from them, so that posteriors of very different widths are resolved alike.

Sources: Thompson (1933), Biometrika 25, 285-294; Caria, Gordon, Kasy, Quinn, Shami & Teytelboym (2020), "An adaptive
targeted field experiment" (tempered Thompson: (1 - γ) p + γ / K); Kasy & Sautmann (2021), "Adaptive treatment
assignment in experiments for policy choice", Econometrica 89, 113-132 (exploration sampling: p (1 - p) / Σ p (1 - p)).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["exploration", "grid_parts", "probability_best", "tempered"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_REACH = (1.0, 2.0, 3.5, 5.5, 8.5, 14.0, 22.0, 36.0)
"""Ends of panels, in standard deviations from each mean; 36 for the exponential tail of skewed posteriors."""
_NODES = 12
_BLOCK_CELLS = 2**20
_FINE = 10**9
"""Probabilities are taken in billionths, far above the error of the quadrature, so that equal ones stay equal."""


def probability_best(successes: Ints, failures: Ints) -> Floats:
    """Return the posterior probability that each arm has the highest rate of success.

    Parameters
    ----------
    successes, failures : int64 arrays, shape (m, K)
        Counts by arm, 0 or more.

    Returns
    -------
    float64 array, shape (m, K)
        Rows sum to 1; error below 1e-12, and below 1e-11 where the counts reach a million.
    """
    rows, arms = successes.shape
    result = np.empty((rows, arms))
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    step = max(1, _BLOCK_CELLS // (arms * (arms * (2 * len(_REACH) + 1) + 1) * _NODES))
    for first in range(0, rows, step):
        part = slice(first, first + step)
        a, b = (counts[part].astype(np.float64) + 1 for counts in (successes, failures))
        ends = _panels(a, b)
        half, middle = np.diff(ends) / 2, (ends[:, 1:] + ends[:, :-1]) / 2
        x = (middle[:, :, None] + half[:, :, None] * nodes).reshape(len(a), -1)
        w = (half[:, :, None] * weights).reshape(len(a), -1)
        result[part] = _integrals(a, b, x, w)
    result /= result.sum(axis=1, keepdims=True)
    return result


def _panels(a: Floats, b: Floats) -> Floats:
    """Ends of the panels of each row, sorted, shape (m, panels + 1); panels without width do no harm."""
    mean = a / (a + b)
    deviation = np.sqrt(mean * (1 - mean) / (a + b + 1))
    reach = np.array([*(-r for r in _REACH), 0.0, *_REACH])
    inner = np.clip(mean[:, :, None] + deviation[:, :, None] * reach, 0.0, 1.0).reshape(len(a), -1)
    edges = np.broadcast_to(np.array([0.0, 1.0]), (len(a), 2))
    return np.sort(np.concatenate([inner, edges], axis=1), axis=1)


def _integrals(a: Floats, b: Floats, x: Floats, w: Floats) -> Floats:
    below = special.betainc(a[:, :, None], b[:, :, None], x[:, None, :])
    inside = np.clip(x, np.finfo(float).tiny, 1 - np.finfo(float).epsneg)[:, None, :]
    log_density = (a - 1)[:, :, None] * np.log(inside) + (b - 1)[:, :, None] * np.log1p(-inside)
    density = np.exp(log_density - special.betaln(a, b)[:, :, None])
    arms = a.shape[1]
    others = np.stack([np.prod(np.delete(below, k, axis=1), axis=1) for k in range(arms)], axis=1)
    total: Floats = (density * others * w[:, None, :]).sum(axis=2)
    return total


def tempered(best: Floats, gamma: float) -> Floats:
    """Return (1 - γ) p + γ / K, shape (m, K)."""
    mixed: Floats = (1 - gamma) * best + gamma / best.shape[1]
    return mixed


def exploration(best: Floats) -> Floats:
    """Return p (1 - p) / Σ p (1 - p), shape (m, K); its limit where one arm is surely best."""
    # 1 - p as the sum of the others keeps its digits where p is nearly 1.
    others = np.stack([np.delete(best, k, axis=1).sum(axis=1) for k in range(best.shape[1])], axis=1)
    spread = best * others
    total = spread.sum(axis=1, keepdims=True)
    limit = np.where(best > 0.5, 0.5, 0.5 / (best.shape[1] - 1))
    return np.where(total > 0, spread / np.where(total > 0, total, 1.0), limit)


def grid_parts(wanted: Sequence[float], grid: int, least: int) -> tuple[int, ...]:
    """Return shares in whole parts of 1 / grid, each at least `least` parts, nearest to those wanted.

    Arms below the floor are set to it and the others share the rest in proportion; then the largest remainders are
    rounded up, ties to the earlier arm. All in whole numbers, so that anyone gets the same shares.
    """
    fine = [round(value * _FINE) for value in wanted]
    low: set[int] = set()
    while True:
        free = [k for k in range(len(fine)) if k not in low]
        rest, weight = grid - least * len(low), sum(fine[k] for k in free)
        under = [k for k in free if fine[k] * rest < least * weight]
        if not under or weight == 0:
            break
        low.update(under)
    parts = [least] * len(fine)
    owed = {k: divmod(fine[k] * rest, weight) for k in free}
    missing = rest - sum(whole for whole, _ in owed.values())
    winners = sorted(free, key=lambda k: (-owed[k][1], k))[:missing]
    for k in free:
        parts[k] = owed[k][0] + (k in winners)
    return tuple(parts)
