"""Differences in means and their design-based variances.

Sufficient statistics come in arrays of shape (..., S, 2): strata, then the two arms compared (position 0 the arm,
position 1 the reference). Leading axes are a batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.small_blocks import Blocks, automatic, block_variance

__all__ = [
    "Cells",
    "ClusterCells",
    "Moments",
    "between_cluster_pairs",
    "between_pairs",
    "blocks_of",
    "cells",
    "cluster_blocks_of",
    "cluster_cells",
    "clustered",
    "clustered_in_strata",
    "hybrid",
    "pooled_in_strata",
    "satterthwaite",
    "stratified",
    "two_sample",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Moments(NamedTuple):
    """An estimate, its variance and the degrees of freedom of that variance; each has the batch shape."""

    value: Floats
    variance: Floats
    dof: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Counts, means and sample variances (n - 1) by stratum and arm, (..., S, 2)."""

    count: Floats
    mean: Floats
    variance: Floats


class ClusterCells(NamedTuple):
    """Clusters by stratum and arm, (S, 2): what the CR2 variance of each mean needs.

    `clusters` counts clusters, `mean` is over people, `variance` the CR2 variance of that mean; `trace` and
    `square` are the trace of the Bell-McCaffrey matrix and the sum of its squared entries.
    """

    clusters: Floats
    mean: Floats
    variance: Floats
    trace: Floats
    square: Floats


def cells(
    y: Floats,
    codes: NDArray[np.int8],
    strata: Integers,
    *,
    arm: int,
    reference: int,
    weights: Floats | None = None,
) -> Cells:
    """Counts, means and variances of y by stratum and arm, in two passes (no cancellation).

    Parameters
    ----------
    y, codes, strata : (n,) arrays
        Outcome, arm code and stratum code 0..S-1; people of other arms are left out.
    arm, reference : int
        Codes of the arms compared.
    weights : (n,) array or None
        What people count for. The mean is then weighted, the count Kish's (sum w)^2 / sum w^2, and the variance such
        that variance / count is HC2 of the weighted mean, sum w_i^2 u_i^2 / (1 - w_i / W) / W^2.

    Returns
    -------
    Cells
        Arrays (S, 2); a mean is NaN in an empty cell and a variance where a cell has fewer than two people.
    """
    if weights is not None:
        return _weighted_cells(y, codes, strata, weights, (arm, reference))
    n_strata = int(strata.max(initial=-1)) + 1
    cell, used = _cell_codes(codes, strata, arm, reference)
    centre = y[used].mean() if used.any() else 0.0
    count = np.bincount(cell, minlength=2 * n_strata).astype(np.float64)
    values = y[used] - centre
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.bincount(cell, weights=values, minlength=2 * n_strata) / count
        deviations = (values - mean[cell]) ** 2
        variance = np.bincount(cell, weights=deviations, minlength=2 * n_strata) / (count - 1.0)
    variance[count < 2] = np.nan
    shape = (n_strata, 2)
    return Cells(count.reshape(shape), (mean + centre).reshape(shape), variance.reshape(shape))


def _weighted_cells(
    y: Floats, codes: NDArray[np.int8], strata: Integers, weights: Floats, arms: tuple[int, int]
) -> Cells:
    n_strata = int(strata.max(initial=-1)) + 1
    cell, used = _cell_codes(codes, strata, *arms)
    centre = y[used].mean() if used.any() else 0.0
    w, values = weights[used], y[used] - centre
    people, mass, square = (np.bincount(cell, weights=part, minlength=2 * n_strata) for part in (w**0, w, w**2))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.bincount(cell, weights=w * values, minlength=2 * n_strata) / mass
        part = w / mass[cell]
        score = part**2 * (values - mean[cell]) ** 2 / (1.0 - part)
        count = mass**2 / square
        variance = np.bincount(cell, weights=score, minlength=2 * n_strata) * count
    variance[people < 2] = np.nan
    shape = (n_strata, 2)
    return Cells(count.reshape(shape), (mean + centre).reshape(shape), variance.reshape(shape))


def _cell_codes(
    codes: NDArray[np.int8], strata: Integers, arm: int, reference: int
) -> tuple[Integers, NDArray[np.bool_]]:
    used = (codes == arm) | (codes == reference)
    return 2 * strata[used] + (codes[used] == reference), used


def two_sample(table: Cells) -> Moments:
    """Difference of two means with Neyman's variance and Welch's degrees of freedom.

    The stratum axis must have length 1. Sources: Neyman (1923); Welch (1947); Satterthwaite (1946).
    """
    return _moments(table, np.ones(1), satterthwaite(table, np.ones(1)))


def stratified(table: Cells, sizes: Floats) -> Moments:
    """Stratum-weighted difference in means; n - 2B degrees of freedom for n people in B strata.

    Parameters
    ----------
    table : Cells
        (..., S, 2), at least two people in each cell.
    sizes : (S,) array
        People in each stratum: the weights are ``sizes / sizes.sum()``.

    Source: Gerber & Green (2012), eq. 3.10; degrees of freedom as estimatr's Blocked design.
    """
    dof = table.count.sum(axis=(-2, -1)) - 2.0 * table.count.shape[-2]
    return _moments(table, sizes, dof)


def pooled_in_strata(table: Cells, sizes: Floats) -> Moments:
    """Stratum-weighted difference in means with one variance for both arms of a stratum, Satterthwaite's dof.

    s_b^2 = ((n_1 - 1) s_1^2 + (n_0 - 1) s_0^2) / (n_b - 2), V = sum w_b^2 s_b^2 (1 / n_1 + 1 / n_0). Source: Zhang,
    Janson & Murphy (2020), "Inference for batched bandits", section 4.
    """
    people = table.count.sum(axis=-1)
    variance = ((table.count - 1.0) * table.variance).sum(axis=-1) / (people - 2.0)
    part = (sizes / sizes.sum()) ** 2 * variance * (1.0 / table.count).sum(axis=-1)
    denominator = (part**2 / (people - 2.0)).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        dof: Floats = np.where(denominator > 0.0, part.sum(axis=-1) ** 2 / denominator, np.inf)
    return _moments(table, sizes, dof)._replace(variance=part.sum(axis=-1))


def satterthwaite(table: Cells, sizes: Floats) -> Floats:
    """Degrees of freedom of the stratified variance, (...): V^2 / sum((w^2 s^2/n)^2 / (n - 1)).

    Infinite where nothing varies. Source: Satterthwaite (1946).
    """
    part = (sizes / sizes.sum())[..., None] ** 2 * table.variance / table.count
    denominator = (part**2 / (table.count - 1.0)).sum(axis=(-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        dof: Floats = np.where(denominator > 0.0, part.sum(axis=(-2, -1)) ** 2 / denominator, np.inf)
    return dof


def _moments(table: Cells, sizes: Floats, dof: Floats) -> Moments:
    share = sizes / sizes.sum()
    effect = table.mean[..., 0] - table.mean[..., 1]
    variance = ((table.variance / table.count).sum(axis=-1) * share**2).sum(axis=-1)
    return Moments((effect * share).sum(axis=-1), variance, np.asarray(dof, dtype=np.float64))


def between_pairs(effects: Floats) -> Moments:
    """Mean of the effects of B pairs, (..., B), with the variance between pairs and B - 1 degrees of freedom.

    V = sum (tau_b - tau)^2 / (B (B - 1)). Source: Gerber & Green (2012), eq. 3.16.
    """
    pairs = effects.shape[-1]
    value = effects.mean(axis=-1)
    variance = ((effects - value[..., None]) ** 2).sum(axis=-1) / (pairs * (pairs - 1.0))
    return Moments(value, variance, np.full(value.shape, pairs - 1.0))


def between_cluster_pairs(effects: Floats, sizes: Floats) -> Moments:
    """Person-weighted mean of the effects of B pairs of clusters with sizes people each, (..., B).

    V = B / ((B - 1) n^2) * sum (n_b tau_b - n tau / B)^2, B - 1 degrees of freedom.
    Source: Imai, King & Nall (2009), eq. 6.
    """
    pairs = effects.shape[-1]
    people = sizes.sum(axis=-1)
    totals = sizes * effects
    value = totals.sum(axis=-1) / people
    spread = ((totals - totals.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1)
    variance = pairs / ((pairs - 1.0) * people**2) * spread
    return Moments(value, variance, np.full(value.shape, pairs - 1.0))


def hybrid(table: Cells, sizes: Floats) -> tuple[Moments, str]:
    """Stratum-weighted difference in means where some strata have an arm with one person.

    Strata with two people or more in both arms keep Neyman's variance. The others, the small ones, are pooled:
    *hybrid_m* takes the variance between strata of equal size, ``(sum n_b)^2 var(tau_b) / K / n^2`` for each class
    of K; it needs K >= 2 in each class. Otherwise *hybrid_p*, ``(n_s/n)^2 sum c_b (tau_b - tau_s)^2`` with
    ``c_b = n_b^2 / ((n_s - 2 n_b)(n_s + sum_j n_j^2 / (n_s - 2 n_j)))``; it needs every n_b below n_s / 2.

    Both are conservative on average. The degrees of freedom combine the parts by Satterthwaite's rule: those of
    `satterthwaite` for the large strata (with n - 2B and cells of two people 5 % tests reject in 10 %, simulated),
    K - 1 for a class, and the number of small strata less one for hybrid_p.

    Parameters
    ----------
    table : Cells
        (S, 2), at least one person in each cell.
    sizes : (S,) array
        People in each stratum.

    Returns
    -------
    Moments, str
        The method is "hybrid_m" or "hybrid_p".

    Raises
    ------
    EstimationError
        Where neither method has a variance.

    Source: Pashley & Miratrix (2021), sections 3.2 and 3.3.
    """
    blocks = blocks_of(table, sizes)
    method = automatic(blocks)
    variance, dof = block_variance(blocks, method)
    return Moments(np.asarray(blocks.share @ blocks.effect), np.asarray(variance), np.asarray(dof)), method


def blocks_of(table: Cells, sizes: Floats) -> Blocks:
    """Effects, sizes, variances and Welch's degrees of freedom of the strata of a table (S, 2)."""
    part = table.variance / table.count
    variance = part.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        dof = variance**2 / (part**2 / (table.count - 1.0)).sum(axis=1)
    return Blocks(effect=table.mean[:, 0] - table.mean[:, 1], size=sizes, variance=variance, dof=dof)


def cluster_blocks_of(table: ClusterCells, sizes: Floats) -> Blocks:
    """Effects, sizes, CR2 variances and Bell & McCaffrey's degrees of freedom of strata of clusters, (S, 2)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        dof = table.trace.sum(axis=1) ** 2 / table.square.sum(axis=1)
    return Blocks(effect=table.mean[:, 0] - table.mean[:, 1], size=sizes, variance=table.variance.sum(axis=1), dof=dof)


def cluster_cells(
    y: Floats,
    codes: NDArray[np.int8],
    strata: Integers,
    clusters: Integers,
    *,
    arm: int,
    reference: int,
) -> ClusterCells:
    r"""Means of people by stratum and arm with their CR2 variances, in closed form.

    With a model saturated in stratum x arm, :math:`H_{gg} = 1 1' / n_a` for a cluster of m people in a cell of
    n_a, so that :math:`V = \sum_g (1'u_g)^2 / (1 - m_g/n_a) / n_a^2`. The entries of the Bell-McCaffrey matrix are
    :math:`d_g \delta_{gh} - r_g r_h` with :math:`d_g = m_g / (n_a^2 (1 - m_g/n_a))` and
    :math:`r_g^2 = m_g^2 / (n_a^3 (1 - m_g/n_a))`. Nothing is computed across cells.

    Returns
    -------
    ClusterCells
        Arrays (S, 2); variances are NaN where a cell has fewer than two clusters.

    Source: Bell & McCaffrey (2002); Imbens & Kolesar (2016).
    """
    table = cells(y, codes, strata, arm=arm, reference=reference)
    cell, used = _cell_codes(codes, strata, arm, reference)
    residuals = y[used] - table.mean.ravel()[cell]
    _, first, member = np.unique(clusters[used], return_index=True, return_inverse=True)
    owner = cell[first]
    size = np.bincount(member).astype(np.float64)
    total = np.bincount(member, weights=residuals)
    people = table.count.ravel()[owner]
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = 1.0 - size / people
        score = total**2 / gap / people**2
        diagonal = size / gap / people**2
        loading = size**2 / gap / people**3
        entries = np.stack([score, diagonal - loading, diagonal**2 - 2.0 * diagonal * loading, loading])
    width = table.count.size
    sums = np.stack([np.bincount(owner, weights=row, minlength=width) for row in entries])
    count = np.bincount(owner, minlength=width).astype(np.float64)
    sums[:, count < 2] = np.nan
    shape = table.count.shape
    variance, trace, square, loadings = sums
    return ClusterCells(
        count.reshape(shape),
        table.mean,
        variance.reshape(shape),
        trace.reshape(shape),
        (square + loadings**2).reshape(shape),
    )


def clustered(table: ClusterCells) -> Moments:
    """Difference in means of people in clusters: CR2 with Satterthwaite degrees of freedom.

    The stratum axis must have length 1. The estimate is least squares of y on the arm.
    Source: Bell & McCaffrey (2002).
    """
    value, variance = _weighted(table, np.ones(1))
    return Moments(value, variance, table.trace.sum() ** 2 / table.square.sum())


def clustered_in_strata(table: ClusterCells, sizes: Floats) -> Moments:
    """Stratum-weighted difference in means of people in clusters: CR2 per stratum, G - 2B degrees of freedom.

    Source: estimatr's Block-clustered design (Gerber & Green 2012, eq. 3.10, over CR2 variances).
    """
    value, variance = _weighted(table, sizes)
    return Moments(value, variance, np.asarray(table.clusters.sum() - 2.0 * table.clusters.shape[0]))


def _weighted(table: ClusterCells, sizes: Floats) -> tuple[Floats, Floats]:
    share = sizes / sizes.sum()
    effect = table.mean[:, 0] - table.mean[:, 1]
    return np.asarray(effect @ share), np.asarray(table.variance.sum(axis=1) @ share**2)
