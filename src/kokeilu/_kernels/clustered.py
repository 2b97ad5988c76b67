"""Covariances for clustered assignments: CR0, CR1S ("stata") and CR2 with Satterthwaite degrees of freedom.

Everything happens in the coordinates of `linear.Fit`, where Z'WZ = I, so that a cluster is a k x k matrix whatever
its size. An absorbed factor in which the clusters are nested adds one coordinate to each cluster, however many
levels there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.linear import Design, Fit, fit, residual_blocks

__all__ = ["CR", "ClusterRobust", "cluster_robust"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CR = ("CR0", "stata", "CR2")

SINGULAR = 1e-12
"""An eigenvalue of I - H_gg below this is nought: the pseudo-inverse leaves its direction out."""

RANK = 1e-13
CHUNK_CELLS = 2**22


class ClusterRobust(NamedTuple):
    """Contrasts: values (c,), covariance (c, c), degrees of freedom (c,); and the fit they come from."""

    fit: Fit
    values: Floats
    covariance: Floats
    dof: Floats


class _Rows(NamedTuple):
    """Rows in cluster order: Z with the level's coordinate (n, m), residuals and weights (n,)."""

    z: Floats
    residuals: Floats
    weights: Floats | None
    starts: Integers
    sizes: Integers


class _Pieces(NamedTuple):
    """By cluster: adjusted scores (G, m), d_g (G, c) and loadings (G, c, m or 2m)."""

    scores: Floats
    diagonal: Floats
    loadings: Floats


def cluster_robust(design: Design, y: Floats, clusters: Integers, *, kind: str, contrasts: Floats) -> ClusterRobust:
    r"""Contrasts of least-squares coefficients with a covariance robust to dependence within clusters.

    :math:`V = M (\sum_g X_g' A_g u_g u_g' A_g X_g) M` times a factor:

    * "CR0": A = I, factor 1; "stata" (CR1S): factor G(n-1)/((G-1)(n-k)); G - 1 degrees of freedom.
    * "CR2": :math:`A_g = (I - H_{gg})^{-1/2}` and Satterthwaite degrees of freedom under a working model of
      independence, :math:`\nu = (tr P)^2 / tr(P^2)`, :math:`P_{gh} = d_g \delta_{gh} - r_g' r_h`. With weights A_g
      is the inverse root of :math:`I - H_{gg} - H_{gg}' + X_g M X'W^2X M X_g'`.

    Parameters
    ----------
    design, y : Design, (n,) array
    clusters : (n,) array of codes 0..G-1
    kind : "CR0", "stata" or "CR2"
    contrasts : (c, k) array
        Rows are linear combinations of the coefficients; they must not involve dropped columns.

    Source: Liang & Zeger (1986); Bell & McCaffrey (2002); Imbens & Kolesar (2016); Pustejovsky & Tipton (2018), who
    give the weighted form.
    """
    if design.levels is not None and not _nested(clusters, design.levels):
        design, contrasts = _with_indicators(design, contrasts)
    fitted = fit(design, y)
    rows, level = _rows(design, y, fitted, clusters)
    rotated = np.zeros((contrasts.shape[0], rows.z.shape[1]))
    rotated[:, : fitted.theta.size] = contrasts @ fitted.root
    pieces = _pieces(rows, _squared_weights(rows, level, fitted), level, rotated, adjust=kind == "CR2")
    slopes = pieces.scores[:, : fitted.theta.size]
    n_clusters = rows.sizes.size
    factor = n_clusters * (design.n - 1.0) / ((n_clusters - 1.0) * fitted.dof) if kind == "stata" else 1.0
    half = rotated[:, : fitted.theta.size] @ slopes.T
    dof = np.full(contrasts.shape[0], n_clusters - 1.0)
    if kind == "CR2":
        dof = _satterthwaite(pieces, _squared_weights(rows, level, fitted), level, fitted.theta.size)
    return ClusterRobust(fitted, contrasts @ fitted.coef, factor * half @ half.T, dof)


class _Square(NamedTuple):
    """Z'W^2Z in pieces: slopes (r, r), slopes x level (L, r), level (L,); None without weights."""

    slopes: Floats
    cross: Floats
    level: Floats


def _nested(clusters: Integers, levels: Integers) -> bool:
    first = np.unique(clusters, return_index=True)[1]
    return bool((levels[first][clusters] == levels).all())


def _with_indicators(design: Design, contrasts: Floats) -> tuple[Design, Floats]:
    """Levels as columns beside an intercept, for clusters that cross them."""
    levels = design.levels
    if levels is None:
        return design, contrasts
    others = np.arange(1, int(levels.max()) + 1)

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


def _rows(design: Design, y: Floats, fitted: Fit, clusters: Integers) -> tuple[_Rows, Integers]:
    """Rows in cluster order, and the level of each cluster."""
    width = fitted.theta.size + (design.levels is not None)
    z, residuals = np.empty((design.n, width)), np.empty(design.n)
    for rows, block, left in residual_blocks(design, y, fitted):
        z[rows, : fitted.theta.size] = block
        residuals[rows] = left
        if design.levels is not None:
            z[rows, -1] = 1.0 / np.sqrt(fitted.mass[design.levels[rows]])
    order = np.argsort(clusters, kind="stable")
    sizes: Integers = np.bincount(clusters).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    weights = None if design.weights is None else design.weights[order]
    level = np.zeros(sizes.size, dtype=np.int64)
    if design.levels is not None:
        level = design.levels[order[starts]]
    return _Rows(z[order], residuals[order], weights, starts, sizes), level


def _squared_weights(rows: _Rows, level: Integers, fitted: Fit) -> _Square | None:
    if rows.weights is None:
        return None
    rank = fitted.theta.size
    heavy = rows.z[:, :rank] * rows.weights[:, None]
    n_levels = fitted.mass.size
    cross = np.zeros((n_levels, rank))
    corner: Floats = np.zeros(n_levels)
    if rows.z.shape[1] > rank:
        row_level = np.repeat(level, rows.sizes)
        shade = rows.z[:, rank] * rows.weights
        for column in range(rank):
            cross[:, column] = np.bincount(row_level, weights=heavy[:, column] * shade, minlength=n_levels)
        corner = np.bincount(row_level, weights=shade**2, minlength=n_levels).astype(np.float64)
    return _Square(heavy.T @ heavy, cross, corner)


def _stacks(rows: _Rows) -> Iterator[tuple[Integers, Integers]]:
    """Clusters of equal size together, in chunks: clusters (b,) and their rows (b, size)."""
    for size in np.unique(rows.sizes):
        members = np.flatnonzero(rows.sizes == size)
        width = rows.z.shape[1]
        step = max(1, CHUNK_CELLS // (width * max(int(size), 4 * width)))
        for start in range(0, members.size, step):
            chosen = members[start : start + step]
            yield chosen, rows.starts[chosen][:, None] + np.arange(size)


def _pieces(rows: _Rows, square: _Square | None, level: Integers, rotated: Floats, *, adjust: bool) -> _Pieces:
    n_clusters, width = rows.sizes.size, rows.z.shape[1]
    loading_width = width if square is None else 2 * width
    scores = np.zeros((n_clusters, width))
    diagonal = np.zeros((n_clusters, rotated.shape[0]))
    loadings = np.zeros((n_clusters, rotated.shape[0], loading_width))
    for chosen, index in _stacks(rows):
        z, residuals = rows.z[index], rows.residuals[index]
        weights = None if rows.weights is None else rows.weights[index]
        if not adjust:
            heavy = residuals if weights is None else residuals * weights
            scores[chosen] = np.einsum("gik,gi->gk", z, heavy)
            continue
        bread = None if square is None else _local(square, level[chosen], width)
        if index.shape[1] <= width:
            made = _direct(z, residuals, weights, bread, rotated)
        elif weights is None or bread is None:
            made = _plain(z, residuals, rotated)
        else:
            made = _weighted(z, residuals, weights, bread, rotated)
        scores[chosen], diagonal[chosen], loadings[chosen] = made
    return _Pieces(scores, diagonal, loadings)


def _local(square: _Square, level: Integers, width: int) -> Floats:
    """Z'W^2Z for the coordinates that each cluster touches, (b, m, m)."""
    rank = square.slopes.shape[0]
    bread = np.empty((level.size, width, width))
    bread[:, :rank, :rank] = square.slopes
    if width > rank:
        bread[:, :rank, rank] = bread[:, rank, :rank] = square.cross[level]
        bread[:, rank, rank] = square.level[level]
    return bread


def _inverse_root(values: Floats) -> Floats:
    keep = values > SINGULAR
    return np.where(keep, 1.0 / np.sqrt(np.where(keep, values, 1.0)), 0.0)


def _plain(z: Floats, residuals: Floats, rotated: Floats) -> tuple[Floats, Floats, Floats]:
    """Without weights: K = Z_g'Z_g = Q l Q', F = Q (1 - l)^(-1/2) Q'; everything m x m."""
    gram = z.transpose(0, 2, 1) @ z
    values, vectors = np.linalg.eigh(gram)
    root = (vectors * _inverse_root(1.0 - values)[:, None, :]) @ vectors.transpose(0, 2, 1)
    scores = np.einsum("gkl,gl->gk", root, np.einsum("gik,gi->gk", z, residuals))
    turned = np.einsum("gkl,cl->gck", root, rotated)
    loadings = turned @ gram
    return scores, (turned * loadings).sum(axis=2), loadings


def _weighted(
    z: Floats, residuals: Floats, weights: Floats, bread: Floats, rotated: Floats
) -> tuple[Floats, Floats, Floats]:
    """With weights: B = I + U D U' for U = [Z, WZ], D = [[J, -I], [-I, 0]]; everything 2m x 2m.

    With U'U = Q l Q' and P = U Q l^(-1/2), B^(-1/2) = I + P (T^(-1/2) - I) P', T = I + l^(1/2) Q'DQ l^(1/2).
    """
    width = z.shape[2]
    wide = np.concatenate([z, z * weights[:, :, None]], axis=2)
    gram = wide.transpose(0, 2, 1) @ wide
    values, vectors = np.linalg.eigh(gram)
    keep = values > RANK * values[:, -1:]
    up = np.where(keep, np.sqrt(np.where(keep, values, 1.0)), 0.0)
    down = np.where(keep, 1.0 / np.where(keep, up, 1.0), 0.0)
    inner = np.zeros_like(gram)
    inner[:, :width, :width] = bread
    inner[:, :width, width:] = inner[:, width:, :width] = -np.eye(width)
    scaled = vectors * up[:, None, :]
    small = np.eye(2 * width) + scaled.transpose(0, 2, 1) @ inner @ scaled
    lambdas, turns = np.linalg.eigh(small)
    change = (turns * (_inverse_root(lambdas) - 1.0)[:, None, :]) @ turns.transpose(0, 2, 1)
    outer = vectors * down[:, None, :]
    shift = outer @ change @ outer.transpose(0, 2, 1)
    sums = np.einsum("gik,gi->gk", wide, residuals)
    lifted = sums + np.einsum("gkl,gl->gk", gram @ shift, sums)
    weighted_part = np.einsum("gkl,cl->gck", gram[:, :, width:], rotated)
    loadings = weighted_part + weighted_part @ (shift @ gram)
    # q = WZa + U F N a, so q'q is the quadratic form below with s = F N a (F, N symmetric)
    inner_part = weighted_part @ shift
    base = np.einsum("ck,gkl,cl->gc", rotated, gram[:, width:, width:], rotated)
    diagonal = base + 2.0 * (inner_part * weighted_part).sum(axis=2) + (inner_part @ gram * inner_part).sum(axis=2)
    return lifted[:, width:], diagonal, loadings


def _direct(
    z: Floats, residuals: Floats, weights: Floats | None, bread: Floats | None, rotated: Floats
) -> tuple[Floats, Floats, Floats]:
    """Clusters with fewer rows than coordinates: A_g itself is the smaller matrix."""
    hat = z @ z.transpose(0, 2, 1)
    heavy = z
    matrix = np.eye(z.shape[1]) - hat
    if weights is not None and bread is not None:
        heavy = z * weights[:, :, None]
        matrix = np.eye(z.shape[1]) - hat * weights[:, None, :] - hat * weights[:, :, None]
        matrix = matrix + z @ bread @ z.transpose(0, 2, 1)
    values, vectors = np.linalg.eigh(matrix)
    root = (vectors * _inverse_root(values)[:, None, :]) @ vectors.transpose(0, 2, 1)
    adjusted = root @ heavy
    scores = np.einsum("gik,gi->gk", adjusted, residuals)
    turned = np.einsum("gik,ck->gci", adjusted, rotated)
    loadings = turned @ z
    if weights is not None:
        loadings = np.concatenate([loadings, turned @ heavy], axis=2)
    return scores, (turned**2).sum(axis=2), loadings


def _satterthwaite(pieces: _Pieces, square: _Square | None, level: Integers, rank: int) -> Floats:
    """Degrees of freedom (tr P)^2 / tr(P^2) by contrast, without forming the G x G matrix P.

    P = diag(d) + p with p_gh = U_g' E U_h + 1{same level} v_g' N v_h: a part of low rank, and the level's own.
    """
    dof = np.empty(pieces.diagonal.shape[1])
    for contrast in range(dof.size):
        d = pieces.diagonal[:, contrast]
        low, kernel, own, corner = _low_rank(pieces.loadings[:, contrast], square, level, rank)
        same = np.einsum("ga,gab,gb->g", own, corner[level], own)
        trace = np.einsum("ga,ab,gb->g", low, kernel, low) + same
        moment = kernel @ (low.T @ low)
        cross = _sums_by_level(low, own, level, corner.shape[0])
        inner = _sums_by_level(own, own, level, corner.shape[0])
        squares = np.trace(moment @ moment)
        squares += 2.0 * np.einsum("ab,sbc,scd,sad->", kernel, cross, corner, cross, optimize=True)
        turned = corner @ inner
        squares += np.einsum("sab,sba->", turned, turned)
        bottom = (d**2).sum() + 2.0 * d @ trace + squares
        dof[contrast] = (d + trace).sum() ** 2 / bottom if bottom > 0.0 else np.nan
    return dof


def _low_rank(
    loadings: Floats, square: _Square | None, level: Integers, rank: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """U (G, u), E (u, u), v (G, q) and N (L, q, q) for one contrast."""
    n_levels = int(level.max()) + 1
    if square is None:
        own = loadings[:, rank:]
        return loadings[:, :rank], -np.eye(rank), own, np.tile(-np.eye(own.shape[1]), (n_levels, 1, 1))
    width = loadings.shape[1] // 2
    first, second = loadings[:, :rank], loadings[:, width : width + rank]
    eye, nil = np.eye(rank), np.zeros((rank, rank))
    if width == rank:
        kernel = np.block([[square.slopes, -eye], [-eye, nil]])
        return np.column_stack([first, second]), kernel, np.zeros((level.size, 0)), np.zeros((n_levels, 0, 0))
    third = loadings[:, [rank]] * square.cross[level]
    kernel = np.block([[square.slopes, -eye, eye], [-eye, nil, nil], [eye, nil, nil]])
    corner = np.zeros((n_levels, 2, 2))
    corner[:, 0, 0] = square.level[:n_levels]
    corner[:, 0, 1] = corner[:, 1, 0] = -1.0
    return np.column_stack([first, second, third]), kernel, loadings[:, [rank, width + rank]], corner


def _sums_by_level(left: Floats, right: Floats, level: Integers, n_levels: int) -> Floats:
    """Sums over the clusters of each level of left right', (L, a, b)."""
    sums = np.zeros((n_levels, left.shape[1], right.shape[1]))
    for a in range(left.shape[1]):
        for b in range(right.shape[1]):
            sums[:, a, b] = np.bincount(level, weights=left[:, a] * right[:, b], minlength=n_levels)
    return sums
