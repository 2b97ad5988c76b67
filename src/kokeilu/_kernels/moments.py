"""Differences in means and their design-based variances.

Sufficient statistics come in arrays of shape (..., S, 2): strata, then the two arms compared (position 0 the arm,
position 1 the reference). Leading axes are a batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kokeilu.errors import EstimationError

__all__ = [
    "Cells",
    "ClusterCells",
    "Moments",
    "between_cluster_pairs",
    "between_pairs",
    "cells",
    "cluster_cells",
    "clustered",
    "clustered_in_strata",
    "hybrid",
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


def cells(y: Floats, codes: NDArray[np.int8], strata: Integers, *, arm: int, reference: int) -> Cells:
    """Counts, means and variances of y by stratum and arm, in two passes (no cancellation).

    Parameters
    ----------
    y, codes, strata : (n,) arrays
        Outcome, arm code and stratum code 0..S-1; people of other arms are left out.
    arm, reference : int
        Codes of the arms compared.

    Returns
    -------
    Cells
        Arrays (S, 2); a mean is NaN in an empty cell and a variance where a cell has fewer than two people.
    """
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
    small = np.asarray((table.count < 2.0).any(axis=1), dtype=np.bool_)
    share = sizes / sizes.sum()
    effect = table.mean[:, 0] - table.mean[:, 1]
    parts, dofs = _large_part(table, share, ~small)
    classes = np.unique(sizes[small], return_counts=True)[1]
    if (classes >= 2).all():
        method = "hybrid_m"
        small_parts, small_dofs = by_class(effect[small], sizes[small], share[small])
    else:
        method = "hybrid_p"
        small_parts, small_dofs = pooled(effect[small], share[small])
    variances = np.array(parts + small_parts)
    freedom = np.array(dofs + small_dofs)
    total = variances.sum()
    denominator = (variances**2 / freedom).sum()
    dof = total**2 / denominator if denominator > 0.0 else freedom.sum()
    return Moments(np.asarray((effect * share).sum()), np.asarray(total), np.asarray(dof)), method


def _large_part(table: Cells, share: Floats, large: NDArray[np.bool_]) -> tuple[list[float], list[float]]:
    if not large.any():
        return [], []
    part = share[large][:, None] ** 2 * table.variance[large] / table.count[large]
    # A variance of nought says nothing of its degrees of freedom; one keeps the ratio below defined.
    denominator = float((part**2 / (table.count[large] - 1.0)).sum())
    dof = float(part.sum() ** 2 / denominator) if denominator > 0.0 else 1.0
    return [float(part.sum())], [dof]


def by_class(effect: Floats, sizes: Floats, share: Floats) -> tuple[list[float], list[float]]:
    parts, dofs = [], []
    for size in np.unique(sizes):
        members = sizes == size
        parts.append(float(share[members].sum() ** 2 * effect[members].var(ddof=1) / members.sum()))
        dofs.append(float(members.sum() - 1))
    return parts, dofs


def pooled(effect: Floats, share: Floats) -> tuple[list[float], list[float]]:
    whole = share.sum()
    # The factor n_s - 2 n_b must be positive; a rounding of a few ulp is not.
    if 2.0 * share.max() >= whole * (1.0 - 1e-12):
        raise EstimationError(
            f"{effect.size} of the strata have an arm with one unit only, they are not of equal sizes, and one of them "
            "holds half or more of their people: no variance can be had within or between such strata. "
            "Merge strata, or use Regression."
        )
    factor = share**2 / (whole - 2.0 * share)
    weight = whole**2 * factor / (whole + factor.sum())
    centre = (share * effect).sum() / whole
    return [float((weight * (effect - centre) ** 2).sum())], [float(effect.size - 1)]


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
