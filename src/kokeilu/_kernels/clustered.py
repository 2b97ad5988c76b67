"""Covariances for clustered assignments: CR0, CR1, CR1p, CR1S ("stata"), CR2, CR3 and CV3, with degrees of freedom.

Everything happens in the coordinates of `linear.Fit`, where Z'WZ = I, so that a cluster is a k x k matrix whatever
its size. An absorbed factor in which the clusters are nested adds one coordinate to each cluster, however many
levels there are. Memory: the rows in these coordinates once, and O(G k) for each contrast.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.cluster_pieces import POWERS, Pieces, direct, plain, weighted_linear, weighted_root
from kokeilu._kernels.crossed import crossed
from kokeilu._kernels.linear import Design, Fit, fit, residual_blocks
from kokeilu._kernels.satterthwaite import Terms, freedom
from kokeilu.errors import EstimationError

__all__ = ["CR", "DOF", "ClusterRobust", "cluster_robust", "counted_columns", "dof_rule", "factor_of"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CR = ("CR0", "CR1", "CR1p", "stata", "CR2", "CR3", "CV3")
DOF = ("auto", "satterthwaite", "clusters", "rows")

CHUNK_CELLS = 2**22

MOST_CELLS = 2**28
"""Rows times columns above which levels that cross the clusters are not written out: two gigabytes."""


class ClusterRobust(NamedTuple):
    """Contrasts: values (c,), covariance (c, c), degrees of freedom (c,) and of all together; and the fit.

    `joint_dof` is eta of HTZ under Satterthwaite's rule, otherwise the denominator's degrees of freedom. `alone` (c,)
    is the part of each contrast that single clusters carry alone, which the variance leaves out; `n_alone` of them.
    """

    fit: Fit
    values: Floats
    covariance: Floats
    dof: Floats
    joint_dof: float
    alone: Floats
    n_alone: int


class _Rows(NamedTuple):
    """Rows: Z with the level's coordinate (n, m), residuals and weights (n,); and their order by cluster."""

    z: Floats
    residuals: Floats
    weights: Floats | None
    levels: Integers | None
    order: Integers
    starts: Integers
    sizes: Integers


def cluster_robust(
    design: Design,
    y: Floats,
    clusters: Integers,
    *,
    kind: str,
    contrasts: Floats,
    dof: str = "auto",
    fitted: Fit | None = None,
) -> ClusterRobust:
    r"""Contrasts of least-squares coefficients with a covariance robust to dependence within clusters.

    :math:`V = f M (\sum_g X_g' A_g u_g u_g' A_g X_g) M` with G clusters, n rows and k columns (absorbed levels
    included, or counted as one where they are nested in the clusters):

    ============  ============================  ==========================  ==================
    kind          A_g                           f                           dof="auto"
    ============  ============================  ==========================  ==================
    CR0           I                             1                           G - 1
    CR1           I                             G / (G - 1)                 G - 1
    CR1p          I                             G / (G - k)                 G - 1
    stata (CR1S)  I                             G (n-1) / ((G-1) (n-k))     G - 1
    CR2           (I - H_gg)^(-1/2)             1                           Satterthwaite
    CR3           (I - H_gg)^(-1)               1                           Satterthwaite
    CV3           (I - H_gg)^(-1)               (G - 1) / G                 G - 1
    ============  ============================  ==========================  ==================

    CR3 is the sum of squared changes of the coefficients as one cluster at a time is left out. With weights the A_g of
    CR2 is the inverse root of :math:`I - H_{gg} - H_{gg}' + X_g M X'W^2X M X_g'`.

    Parameters
    ----------
    design, y : Design, (n,) array
    clusters : (n,) array of codes 0..G-1
    kind : one of CR
    contrasts : (c, k) array
        Rows are linear combinations of the coefficients; they must not involve dropped columns.
    dof : {"auto", "satterthwaite", "clusters", "rows"}
        Satterthwaite's under a working model of independence and equal variances; G - 1; or n - k.
    fitted : Fit, optional
        ``fit(design, y)``, where it is there already.

    Source: Liang & Zeger (1986); Bell & McCaffrey (2002); Imbens & Kolesar (2016); Pustejovsky & Tipton (2018), who
    give the weighted form; MacKinnon, Nielsen & Webb (2023) for CV3.
    """
    rule = dof_rule(kind, dof)
    levels = design.levels
    n_clusters = int(clusters.max()) + 1
    own = levels is not None
    if levels is not None and not _nested(clusters, levels):
        power, plain_rows = POWERS[kind], design.weights is None
        if power != -0.5 and (plain_rows or rule != "satterthwaite"):
            return _of_crossed(design, y, clusters, kind, contrasts, rule, fitted)
        # The effects of levels nested in clusters touch no other cluster, and drop out of (I - H_gg)^(-1/2).
        own = not (plain_rows and _nested(levels, clusters))
        if own:
            design, contrasts = _with_indicators(design, levels, contrasts)
            fitted = None
    fitted = fit(design, y) if fitted is None else fitted
    rows, level = _rows(design, y, fitted, clusters, own=own)
    rotated = np.zeros((contrasts.shape[0], rows.z.shape[1]))
    rotated[:, : fitted.theta.size] = contrasts @ fitted.root
    square = _squared_weights(rows, fitted)
    pieces = _pieces(rows, square, level, rotated, kind)
    half = rotated @ pieces.scores.T
    found = np.full(contrasts.shape[0], n_clusters - 1.0 if rule == "clusters" else float(fitted.dof))
    joint = float(found[0])
    if rule == "satterthwaite":
        found, joint = freedom(_terms(pieces, square, level, fitted.theta.size))
    slopes = rotated[:, : fitted.theta.size]
    total = (slopes**2 if square is None or kind != "CR2" else slopes @ square.slopes * slopes).sum(axis=1)
    columns = counted_columns(fitted, design, clusters)
    return ClusterRobust(
        fit=fitted,
        values=contrasts @ fitted.coef,
        covariance=factor_of(kind, n=design.n, clusters=n_clusters, columns=columns) * (half @ half.T),
        dof=found,
        joint_dof=joint,
        alone=pieces.alone.sum(axis=0) / np.where(total > 0.0, total, 1.0),
        n_alone=int(pieces.full.sum()),
    )


def dof_rule(kind: str, dof: str) -> str:
    """The rule that "auto" stands for."""
    if dof != "auto":
        return dof
    return "satterthwaite" if kind in ("CR2", "CR3") else "clusters"


def factor_of(kind: str, *, n: int, clusters: int, columns: int) -> float:
    """The factor f of a kind; not a number where it is undefined."""
    few = float(clusters - 1)
    if kind == "CR1":
        return clusters / few
    if kind == "CR1p":
        return clusters / (clusters - columns) if clusters > columns else float("nan")
    if kind == "stata":
        return clusters * (n - 1.0) / (few * (n - columns)) if n > columns else float("nan")
    return few / clusters if kind == "CV3" else 1.0


def counted_columns(fitted: Fit, design: Design, clusters: Integers) -> int:
    """Columns k of the factors; absorbed levels count as one where they are nested in the clusters."""
    k = design.n - fitted.dof
    if design.levels is None or not fitted.mass.size > 1 or not _nested(design.levels, clusters):
        return k
    return k - fitted.mass.size + 1


def _of_crossed(
    design: Design, y: Floats, clusters: Integers, kind: str, contrasts: Floats, rule: str, fitted: Fit | None
) -> ClusterRobust:
    fitted = fit(design, y) if fitted is None else fitted
    found = crossed(design, y, fitted, clusters, rotated=contrasts @ fitted.root, power=POWERS[kind])
    n_clusters = int(clusters.max()) + 1
    dof = np.full(contrasts.shape[0], n_clusters - 1.0 if rule == "clusters" else float(fitted.dof))
    joint = float(dof[0])
    if rule == "satterthwaite":
        dof, joint = found.freedom()
    half = contrasts @ fitted.root @ found.scores.T
    columns = counted_columns(fitted, design, clusters)
    return ClusterRobust(
        fit=fitted,
        values=contrasts @ fitted.coef,
        covariance=factor_of(kind, n=design.n, clusters=n_clusters, columns=columns) * (half @ half.T),
        dof=dof,
        joint_dof=joint,
        alone=found.alone,
        n_alone=found.n_alone,
    )


class _Square(NamedTuple):
    """Z'W^2Z in pieces: slopes (r, r), slopes x level (L, r), level (L,); None without weights."""

    slopes: Floats
    cross: Floats
    level: Floats


def _nested(inner: Integers, outer: Integers) -> bool:
    """Whether each of the inner groups lies in one of the outer."""
    first = np.zeros(int(inner.max()) + 1, dtype=np.int64)
    first[inner] = outer
    return bool((first[inner] == outer).all())


def _with_indicators(design: Design, levels: Integers, contrasts: Floats) -> tuple[Design, Floats]:
    """Levels as columns beside an intercept, for clusters that cross them."""
    others = np.arange(1, int(levels.max()) + 1)
    if design.n * (design.width + others.size) > MOST_CELLS:
        raise EstimationError(
            f"CR2 (and Satterthwaite's rule with weights) needs a column for each of {others.size + 1:,} strata that "
            f"the clusters cross, too many for {design.n:,} people. Use errors='CR3' or 'CR1' with dof='clusters'."
        )

    def block(start: int, stop: int) -> Floats:
        indicators = (levels[start:stop, None] == others).astype(np.float64)
        return np.column_stack([design.block(start, stop), indicators])

    wider = Design(
        n=design.n,
        width=design.width + others.size,
        block=block,
        weights=design.weights,
        levels=np.zeros(design.n, dtype=np.int64),
    )
    return wider, np.column_stack([contrasts, np.zeros((contrasts.shape[0], others.size))])


def _rows(design: Design, y: Floats, fitted: Fit, clusters: Integers, *, own: bool) -> tuple[_Rows, Integers]:
    """Rows, and the level of each cluster; with the level's coordinate where `own`."""
    rank = fitted.theta.size
    z, residuals = np.empty((design.n, rank + own)), np.empty(design.n)
    for rows, block, left in residual_blocks(design, y, fitted):
        z[rows, :rank] = block
        residuals[rows] = left
        if own and design.levels is not None:
            z[rows, -1] = 1.0 / np.sqrt(fitted.mass[design.levels[rows]])
    sizes: Integers = np.bincount(clusters).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    order = np.argsort(clusters, kind="stable")
    levels = design.levels if own else None
    level = np.zeros(sizes.size, dtype=np.int64) if levels is None else levels[order[starts]]
    return _Rows(z, residuals, design.weights, levels, order, starts, sizes), level


def _squared_weights(rows: _Rows, fitted: Fit) -> _Square | None:
    if rows.weights is None:
        return None
    rank = fitted.theta.size
    heavy = rows.z[:, :rank] * rows.weights[:, None]
    n_levels = fitted.mass.size
    cross = np.zeros((n_levels, rank))
    corner: Floats = np.zeros(n_levels)
    if rows.levels is not None:
        shade = rows.z[:, rank] * rows.weights
        for column in range(rank):
            cross[:, column] = np.bincount(rows.levels, weights=heavy[:, column] * shade, minlength=n_levels)
        corner = np.bincount(rows.levels, weights=shade**2, minlength=n_levels).astype(np.float64)
    return _Square(heavy.T @ heavy, cross, corner)


def _stacks(rows: _Rows) -> Iterator[tuple[Integers, Integers]]:
    """Clusters of equal size together, in chunks: clusters (b,) and their rows (b, size)."""
    for size in np.unique(rows.sizes):
        members = np.flatnonzero(rows.sizes == size)
        width = rows.z.shape[1]
        step = max(1, CHUNK_CELLS // (width * max(int(size), 4 * width)))
        for start in range(0, members.size, step):
            chosen = members[start : start + step]
            yield chosen, rows.order[rows.starts[chosen][:, None] + np.arange(size)]


def _pieces(rows: _Rows, square: _Square | None, level: Integers, rotated: Floats, kind: str) -> Pieces:
    n_clusters, width = rows.sizes.size, rows.z.shape[1]
    count = rotated.shape[0]
    pieces = Pieces(
        scores=np.zeros((n_clusters, width)),
        products=np.zeros((n_clusters, count, count)),
        loadings=np.zeros((n_clusters, count, width if square is None else 2 * width)),
        alone=np.zeros((n_clusters, count)),
        full=np.zeros(n_clusters, dtype=bool),
    )
    power = POWERS[kind]
    for chosen, index in _stacks(rows):
        z, residuals = rows.z[index], rows.residuals[index]
        weights = None if rows.weights is None else rows.weights[index]
        if weights is not None and power != -0.5:
            made = weighted_linear(z, residuals, weights, rotated, power)
        elif index.shape[1] <= width and power != 0.0:
            bread = None if square is None else _local(square, level[chosen], width)
            made = direct(z, residuals, weights, bread, rotated, power)
        elif weights is None or square is None:
            made = plain(z, residuals, rotated, power)
        else:
            made = weighted_root(z, residuals, weights, _local(square, level[chosen], width), rotated)
        for store, part in zip(pieces, made, strict=True):
            store[chosen] = part
    return pieces


def _local(square: _Square, level: Integers, width: int) -> Floats:
    """Z'W^2Z for the coordinates that each cluster touches, (b, m, m)."""
    rank = square.slopes.shape[0]
    bread = np.empty((level.size, width, width))
    bread[:, :rank, :rank] = square.slopes
    if width > rank:
        bread[:, :rank, rank] = bread[:, rank, :rank] = square.cross[level]
        bread[:, rank, rank] = square.level[level]
    return bread


def _terms(pieces: Pieces, square: _Square | None, level: Integers, rank: int) -> Terms:
    """The covariances of what the clusters add: a part of low rank, and the level's own."""
    loadings = pieces.loadings.transpose(1, 0, 2)
    n_levels = int(level.max()) + 1
    eye, nil = np.eye(rank), np.zeros((rank, rank))
    if square is None:
        own = loadings[:, :, rank:]
        corner = np.tile(-np.eye(own.shape[2]), (n_levels, 1, 1))
        return Terms(pieces.products, loadings[:, :, :rank], -eye, own, corner, level)
    width = loadings.shape[2] // 2
    first, second = loadings[:, :, :rank], loadings[:, :, width : width + rank]
    if width == rank:
        kernel = np.block([[square.slopes, -eye], [-eye, nil]])
        low = np.concatenate([first, second], axis=2)
        none = np.zeros((low.shape[0], level.size, 0))
        return Terms(pieces.products, low, kernel, none, np.zeros((n_levels, 0, 0)), level)
    third = loadings[:, :, [rank]] * square.cross[level]
    kernel = np.block([[square.slopes, -eye, eye], [-eye, nil, nil], [eye, nil, nil]])
    corner = np.zeros((n_levels, 2, 2))
    corner[:, 0, 0] = square.level[:n_levels]
    corner[:, 0, 1] = corner[:, 1, 0] = -1.0
    low = np.concatenate([first, second, third], axis=2)
    return Terms(pieces.products, low, kernel, loadings[:, :, [rank, width + rank]], corner, level)
