"""Intraclass correlation: the share of a variance that lies between clusters."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["ICC", "anova_icc"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class ICC(NamedTuple):
    """Intraclass correlation with its interval; F, and the size n0 that stands for clusters of unequal size."""

    value: float
    low: float
    high: float
    statistic: float
    size: float


def anova_icc(values: Floats, clusters: Ints, level: float = 0.95) -> ICC:
    r"""ANOVA estimator :math:`(MSB - MSW) / (MSB + (n_0 - 1) MSW)` with Searle's interval.

    :math:`n_0 = (N - \sum n_j^2 / N) / (J - 1)`; the bounds are :math:`(F / F_q - 1) / (F / F_q + n_0 - 1)` with the
    upper and the lower quantile of F on J - 1 and N - J degrees of freedom.

    Parameters
    ----------
    values : (n,) array, without gaps
    clusters : (n,) array of codes
    level : float

    Returns
    -------
    ICC
        NaN where there is one cluster only, no cluster of two, or no variation.

    Source: Donner (1986), Int. Statist. Rev. 54; Searle (1971), Linear Models, ch. 9.
    """
    nothing = ICC(*[float("nan")] * 5)
    if not len(values):
        return nothing
    sizes = np.bincount(clusters).astype(np.float64)
    people, groups = len(values), int((sizes > 0).sum())
    centred = values - values.mean()
    total = np.bincount(clusters, weights=centred, minlength=len(sizes))
    between = float((total[sizes > 0] ** 2 / sizes[sizes > 0]).sum())
    whole = float((centred**2).sum())
    within = float(((centred - (total / np.maximum(sizes, 1.0))[clusters]) ** 2).sum())
    if groups < 2 or people == groups or whole <= 1e-20 * float((values**2).sum()):
        return nothing
    size = (people - float((sizes**2).sum()) / people) / (groups - 1)
    if within <= 1e-14 * whole:
        return ICC(1.0, 1.0, 1.0, float("inf"), size)
    ratio = between / (groups - 1) / (within / (people - groups))
    law = stats.f(groups - 1, people - groups)
    edges = [ratio / float(law.ppf(q)) for q in (0.5 + level / 2.0, 0.5 - level / 2.0)]
    low, high, value = ((x - 1.0) / (x + size - 1.0) for x in (*edges, ratio))
    return ICC(value, low, high, ratio, size)
