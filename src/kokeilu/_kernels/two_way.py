"""Covariance for errors that are dependent within either of two groupings."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.linear import Design, Fit, residual_blocks

__all__ = ["TwoWay", "two_way"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class TwoWay(NamedTuple):
    """Covariance (c, c) of the contrasts; the variances by the first, the second grouping and both, (3, c).

    A variance that comes out negative is undefined: not a number, with its row and column.
    """

    covariance: Floats
    parts: Floats
    groups: tuple[int, int, int]


def two_way(design: Design, y: Floats, fitted: Fit, first: Integers, second: Integers, *, contrasts: Floats) -> TwoWay:
    r"""Two-way clustered covariance of contrasts of the coefficients.

    :math:`V = \frac{n-1}{n-k} (\frac{A}{A-1} V_a + \frac{B}{B-1} V_b - \frac{C}{C-1} V_{ab})`, V_a, V_b and V_ab the
    CR0 covariances by the first grouping, the second and their intersection, in A, B and C groups.

    Source: Cameron, Gelbach & Miller (2011), eq. 2.13, each part with its own factor.
    """
    rotated = contrasts @ fitted.root
    scores = np.empty((rotated.shape[0], design.n))
    for rows, z, residuals in residual_blocks(design, y, fitted):
        weighted = residuals if design.weights is None else residuals * design.weights[rows]
        scores[:, rows] = (rotated @ z.T) * weighted
    both = np.unique(first.astype(np.int64) * (int(second.max()) + 1) + second, return_inverse=True)[1]
    covariances, counts = [], []
    for codes in (first, second, both.astype(np.int64)):
        sums = np.array([np.bincount(codes, weights=row) for row in scores])
        counts.append(sums.shape[1])
        covariances.append((design.n - 1.0) / fitted.dof * counts[-1] / (counts[-1] - 1.0) * (sums @ sums.T))
    total = covariances[0] + covariances[1] - covariances[2]
    undefined = np.diag(total) <= 0.0
    total[undefined, :] = total[:, undefined] = np.nan
    return TwoWay(total, np.array([np.diag(v) for v in covariances]), (counts[0], counts[1], counts[2]))
