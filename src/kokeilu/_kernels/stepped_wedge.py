r"""Contrasts of clusters that have begun with those that have not, over all periods of a stepped wedge.

With clusters g of sequence k drawn at random, the sum over periods of
:math:`\omega_t (\bar y_{t,begun} - \bar y_{t,not yet})` is a sum of means over sequences, :math:`\sum_k \bar x_k` with
:math:`x_g = \sum_t c_{kt} y_{gt}`, so that Neyman's variance for several arms applies: :math:`\sum_k s_k^2 / n_k`,
conservative on average.

Source: Roth & Sant'Anna (2023), "Efficient estimation for staggered rollout designs", JPE Microeconomics 1, section 3.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Wedge", "scores", "wedge"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Wedge(NamedTuple):
    """Effects by period (T,) (NaN where nobody, or everybody, has begun), scores (G,), and means of those not begun."""

    effects: Floats
    scores: Floats
    base: Floats


def wedge(y: Floats, weight: Floats, begun: NDArray[np.bool_], omega: Floats) -> Wedge:
    r"""Return the effect of each period and each cluster's score; the effect over periods is ``omega @ effects``.

    Parameters
    ----------
    y, weight : (G, T) arrays
        Mean outcome of each cluster and period, and what it counts for (0 where it was not observed).
    begun : (G, T) array
    omega : (T,) array
        Weights of the periods; they add up to 1, 0 where a period compares nobody.

    Returns
    -------
    Wedge
        The scores are the linearised parts of the effect: a cluster adds
        :math:`\sum_t \pm \omega_t w_{gt} (y_{gt} - \bar y_t) / W_t`.
    """
    sides = (begun, ~begun)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = [np.where(side, weight * y, 0.0).sum(axis=0) / (weight * side).sum(axis=0) for side in sides]
    effects = means[0] - means[1]
    return Wedge(effects, scores(y, weight, begun, omega, means), means[1])


def scores(y: Floats, weight: Floats, begun: NDArray[np.bool_], omega: Floats, means: list[Floats]) -> Floats:
    """Linearised part of each cluster in the effect over periods, (G,)."""
    total = np.zeros(len(y))
    for side, sign, mean in ((begun, 1.0, means[0]), (~begun, -1.0, means[1])):
        mass = (weight * side).sum(axis=0)
        live = (omega > 0.0) & (mass > 0.0)
        part = np.where(side, weight * (y - mean), 0.0)[:, live] / mass[live]
        total += sign * part @ omega[live]
    return total
