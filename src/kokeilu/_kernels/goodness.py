"""Counts against the shares they were drawn with."""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

__all__ = ["MOST_TABLES", "exact_multinomial", "pearson"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_TABLES = 200_000
TIE = 1e-7


def pearson(observed: Floats, shares: Floats, sizes: Floats) -> tuple[float, int, float]:
    r"""Chi-square of the arms' totals when each unit is drawn alone: statistic, degrees of freedom and p.

    :math:`d' V^+ d` with d observed less expected totals, :math:`V = \sum_s n_s (diag(p_s) - p_s p_s')`; with the same
    shares everywhere it is Pearson's :math:`\sum (o - e)^2 / e`.

    Parameters
    ----------
    observed : (K,) array
        Totals by arm.
    shares : (S, K) array
    sizes : (S,) array
        Units in each stratum.

    Source: Pearson (1900); Fabijan et al. (2019), KDD, for sample-ratio mismatch.
    """
    gap = observed - sizes @ shares
    variance = np.diag(sizes @ shares) - (shares * sizes[:, None]).T @ shares
    scale = np.sqrt(np.maximum(np.diag(variance), 0.0))
    possible = scale > 0.0
    df = int(possible.sum()) - 1
    if df < 1:
        return 0.0, 0, 1.0
    inner = variance[np.ix_(possible, possible)] / np.outer(scale[possible], scale[possible])
    scaled = gap[possible] / scale[possible]
    statistic = float(scaled @ np.linalg.pinv(inner, rcond=1e-12, hermitian=True) @ scaled)
    return statistic, df, float(stats.chi2.sf(statistic, df))


def exact_multinomial(observed: Ints, shares: Floats) -> float | None:
    """Probability of counts that are no more probable than the observed ones; None where the tables are too many.

    Parameters
    ----------
    observed : (K,) array
    shares : (K,) array, above 0
    """
    n, arms = int(observed.sum()), len(observed)
    if comb(n + arms - 1, arms - 1) > MOST_TABLES:
        return None
    tables = _tables(n, arms)
    logs = special.gammaln(n + 1.0) - special.gammaln(tables + 1.0).sum(axis=1) + tables @ np.log(shares)
    chances = np.exp(logs)
    own = np.exp(special.gammaln(n + 1.0) - special.gammaln(observed + 1.0).sum() + observed @ np.log(shares))
    return min(1.0, float(chances[chances <= own * (1.0 + TIE)].sum()))


def _tables(n: int, arms: int) -> Ints:
    """Every way to share n units among the arms, (tables, K)."""
    if arms == 1:
        return np.array([[n]], dtype=np.int64)
    parts = []
    for first in range(n + 1):
        rest = _tables(n - first, arms - 1)
        parts.append(np.column_stack([np.full(len(rest), first, dtype=np.int64), rest]))
    return np.concatenate(parts)
