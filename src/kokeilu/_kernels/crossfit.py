"""Cross-fitting: folds, scores at known probabilities, and variances of their sums as the draw asks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.small_blocks import Blocks, automatic, block_variance
from kokeilu.errors import EstimationError

__all__ = ["Spread", "folds_of", "realised_shares", "scores", "spread"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Spread(NamedTuple):
    """Variance, degrees of freedom, and how many strata were taken as units; -1 for all units in one group."""

    variance: float
    dof: float
    pooled: int


def folds_of(uniform: Floats, cells: Integers, folds: int) -> Integers:
    """Deal units to folds at random, (U,): within each cell, and over all of them, folds differ by one at most.

    `uniform` (U,) are random numbers, `cells` (U,) the codes of cells.
    """
    order = np.lexsort((uniform, cells))
    fold = np.empty(order.size, dtype=np.int64)
    fold[order] = np.arange(order.size) % folds
    return fold


def realised_shares(place: Integers, group: Integers, arms: int) -> Floats:
    """Part of each group's units that is in each arm, (U, arms): given the folds dealt by arm, their chance of it."""
    width = int(group.max()) + 1
    counts = np.bincount(group * arms + place, minlength=width * arms).reshape(width, arms)
    result: Floats = (counts / counts.sum(axis=1, keepdims=True))[group]
    return result


def scores(y: Floats, place: Integers, shares: Floats, predicted: Floats) -> Floats:
    r"""Augmented inverse-probability scores, (n,), whose mean is the effect.

    :math:`\psi = \mu_1 - \mu_0 + 1_1 (y - \mu_1)/\pi_1 - 1_0 (y - \mu_0)/\pi_0`. With known :math:`\pi` and
    predictions that do not use the unit's own arm or outcome the mean is unbiased whatever the predictions are.

    Parameters
    ----------
    y : (n,) array
    place : (n,) array
        0 for the arm, 1 for the reference, anything else for other arms.
    shares, predicted : (n, 2) arrays

    Source: Robins, Rotnitzky & Zhao (1994), JASA 89; Aronow & Middleton (2013), Journal of Causal Inference 1, for
    unbiasedness; Wager, Du, Taylor & Tibshirani (2016), PNAS 113, for cross-estimation.
    """
    psi = predicted[:, 0] - predicted[:, 1]
    for a, sign in ((0, 1.0), (1, -1.0)):
        mine = place == a
        psi[mine] += sign * (y[mine] - predicted[mine, a]) / shares[mine, a]
    return psi


def spread(totals: Floats, mass: Floats, cells: Integers, strata: Integers) -> Spread:
    r"""Variance of the sum of `totals` over the sum of `mass`, for units drawn within cells.

    Units of a cell (stratum by arm) have a variance of their own: :math:`V = \sum_c n_c s_c^2 / M^2`, with
    Satterthwaite's degrees of freedom. Strata with a cell of one unit are taken as units themselves and pooled as in
    Pashley & Miratrix (2021). Where they have no such variance (one such stratum alone) all units are one group.

    Parameters
    ----------
    totals, mass : (U,) arrays
        Sums over each unit of weight times (score less effect), and of the weights.
    cells, strata : (U,) arrays of codes
        Of the cell (unique over strata) and of the stratum.
    """
    owner, cell = np.unique(cells, return_index=True, return_inverse=True)[1:]
    count = np.bincount(cell).astype(np.float64)
    mean = np.bincount(cell, weights=totals) / count
    squares = np.bincount(cell, weights=(totals - mean[cell]) ** 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(count > 1.0, count * squares / (count - 1.0), np.nan)
        n_strata = int(strata.max()) + 1
        variance = np.bincount(strata[owner], weights=part, minlength=n_strata)
        bottom = np.bincount(strata[owner], weights=part**2 / (count - 1.0), minlength=n_strata)
        dof = np.where(bottom > 0.0, variance**2 / bottom, 1.0)
    size = np.bincount(strata, weights=mass, minlength=n_strata).astype(np.float64)
    effect = np.bincount(strata, weights=totals, minlength=n_strata) / size
    blocks = Blocks(effect=effect, size=size, variance=variance / size**2, dof=dof)
    found = _blocked(blocks)
    if found is None:
        squared = float(((totals - totals.mean()) ** 2).sum())
        freedom = totals.size - 1.0
        return Spread(totals.size * squared / freedom / float(mass.sum()) ** 2, freedom, -1)
    return Spread(*found, int(blocks.small.sum()))


def _blocked(blocks: Blocks) -> tuple[float, float] | None:
    """Variance and degrees of freedom; None where small blocks have none."""
    try:
        return block_variance(blocks, automatic(blocks))
    except EstimationError:
        return None
