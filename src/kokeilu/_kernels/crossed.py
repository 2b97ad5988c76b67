"""CR0 and CR3 with an absorbed factor whose levels cross the clusters, without a column for any level.

Only cells (cluster x level) that occur are kept. Memory: the rows once more, O(G k^2), and O(cells k).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kokeilu._kernels.linear import Design, Fit, residual_blocks
from kokeilu._kernels.satterthwaite import rotation

__all__ = ["Crossed", "crossed"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

EMPTY = 1e-10
"""What is left of a level's mass without a cluster is nought below this part of it."""

SINGULAR = 1e-12
CHUNK_CELLS = 2**22


class Crossed(NamedTuple):
    """Scores (G, r); and for the degrees of freedom without weights, by contrast, products and loadings.

    `products` (G, c, c) are d_g(s, t), `slopes` (c, G, r) and `levels` (c matrices G x L, by cell) the loadings r_g.
    """

    scores: Floats
    products: Floats
    slopes: Floats
    levels: tuple[sparse.csr_array, ...]
    alone: Floats
    n_alone: int

    def freedom(self) -> tuple[Floats, float]:
        """Degrees of freedom of each contrast, and eta of all together, as in `satterthwaite.freedom`."""
        count = self.products.shape[1]
        expected = self.products.sum(axis=0)
        for s in range(count):
            for t in range(count):
                expected[s, t] -= self._inner(s, t).sum()
        dof = np.array([expected[s, s] ** 2 / self._squares(s, s)[0] for s in range(count)])
        if count == 1:
            return dof, float(dof[0])
        turn = rotation((expected + expected.T) / 2.0)
        turned = self._replace(
            products=turn @ self.products @ turn.T,
            slopes=np.tensordot(turn, self.slopes, axes=1),
            levels=tuple(_combined(row, self.levels) for row in turn),
        )
        rank = turn.shape[0]
        bottom = sum(sum(turned._squares(s, t)) for s in range(rank) for t in range(rank))
        return dof, rank * (rank + 1) / bottom

    def _inner(self, s: int, t: int) -> Floats:
        """r_gs'r_gt, (G,)."""
        own = np.asarray((self.levels[s] * self.levels[t]).sum(axis=1)).ravel()
        inner: Floats = np.einsum("gr,gr->g", self.slopes[s], self.slopes[t]) + own
        return inner

    def _squares(self, s: int, t: int) -> tuple[float, float]:
        """Sums over all g, h of P_ss P_tt and of P_st P_ts, P = diag(d) - R R'; A = R_s'R_t."""
        d = self.products
        near = self.slopes[s].T @ self.slopes[t]
        left, right = self.slopes[s].T @ self.levels[t], self.slopes[t].T @ self.levels[s]
        far = (self.levels[s].T @ self.levels[t]).tocsr()
        size = float((near**2).sum() + (left**2).sum() + (right**2).sum() + far.power(2).sum())
        trace = float((near * near.T).sum() + 2.0 * (left * right).sum() + (far * far.T).sum())
        first = d[:, s, s] @ d[:, t, t] - d[:, s, s] @ self._inner(t, t) - d[:, t, t] @ self._inner(s, s)
        second = d[:, s, t] @ d[:, s, t] - 2.0 * (d[:, s, t] @ self._inner(s, t))
        return float(first) + size, float(second) + trace


def _combined(row: Floats, matrices: tuple[sparse.csr_array, ...]) -> sparse.csr_array:
    total = row[0] * matrices[0]
    for weight, matrix in zip(row[1:], matrices[1:], strict=True):
        total = total + weight * matrix
    combined: sparse.csr_array = total.tocsr()
    return combined


class _Cells(NamedTuple):
    """Cells in order of clusters: cluster and level (P,), mass, share of the level's mass left, sums of wz and wu."""

    cluster: Integers
    level: Integers
    mass: Floats
    left: Floats
    z: Floats
    u: Floats


def crossed(design: Design, y: Floats, fitted: Fit, clusters: Integers, *, rotated: Floats, power: float) -> Crossed:
    r"""Scores of CR0 (power 0) or CR3 (power -1) and what Satterthwaite's degrees of freedom need.

    With cell sums s_gl of wz, t_gl of wu and masses m_gl, leaving cluster g out changes the coefficients by the
    solution of :math:`(I - K_g - \sum_l s_{gl} s_{gl}' / (m_l - m_{gl})) \delta = -(Z_g'Wu_g + \sum_l s_{gl} t_{gl} /
    (m_l - m_{gl}))`: the Schur complement of the levels in I - H_gg. A level left empty has no part in it.

    Source: MacKinnon, Nielsen & Webb (2023), eq. 10-13, with the levels eliminated.
    """
    levels = design.levels if design.levels is not None else np.zeros(design.n, dtype=np.int64)
    n_clusters, rank = int(clusters.max()) + 1, fitted.theta.size
    key = clusters.astype(np.int64) * fitted.mass.size + levels
    order = np.argsort(key, kind="stable")
    z, scores = np.empty((design.n, rank)), np.empty(design.n)
    for rows, block, residuals in residual_blocks(design, y, fitted):
        z[rows], scores[rows] = block, residuals
    z, scores = z[order], scores[order]
    heavy = z
    if design.weights is not None:
        weights = design.weights[order]
        heavy, scores = z * weights[:, None], scores * weights
    cells = _cells(key[order], heavy, scores, None if design.weights is None else weights, fitted.mass)
    gram, sums = _by_cluster(z, heavy, scores, clusters[order], n_clusters)
    if power == 0.0:
        turned = np.tile(rotated, (n_clusters, 1, 1))
        return _loadings(cells, gram, sums, turned, fitted, power, np.zeros(rotated.shape[0]), 0)
    inner, right = np.eye(rank) - gram, sums
    for part in _parts(cells, rank):
        weight = np.where(cells.left[part] > EMPTY, 1.0, 0.0) / np.maximum(
            cells.left[part] * fitted.mass[cells.level[part]], np.finfo(float).tiny
        )
        shaded = cells.z[part] * weight[:, None]
        np.subtract.at(inner, cells.cluster[part], shaded[:, :, None] * cells.z[part][:, None, :])
        np.add.at(right, cells.cluster[part], shaded * cells.u[part][:, None])
    values, vectors = np.linalg.eigh(inner)
    nought = values <= SINGULAR
    inverse = np.where(nought, 0.0, 1.0 / np.where(nought, 1.0, values))
    root = (vectors * inverse[:, None, :]) @ vectors.transpose(0, 2, 1)
    alone = (((rotated @ vectors) ** 2) * nought[:, None, :]).sum(axis=(0, 2)) / (rotated**2).sum(axis=1)
    changes = (root @ right[:, :, None])[:, :, 0]
    return _loadings(cells, gram, changes, rotated @ root, fitted, power, alone, int(nought.any(axis=1).sum()))


def _cells(key: Integers, heavy: Floats, scores: Floats, weights: Floats | None, mass: Floats) -> _Cells:
    starts = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    cluster, level = np.divmod(key[starts], mass.size)
    counts = np.diff(np.append(starts, key.size)).astype(np.float64)
    own = counts if weights is None else np.add.reduceat(weights, starts)
    return _Cells(
        cluster=cluster,
        level=level,
        mass=own,
        left=1.0 - own / mass[level],
        z=np.add.reduceat(heavy, starts, axis=0),
        u=np.add.reduceat(scores, starts),
    )


def _by_cluster(z: Floats, heavy: Floats, scores: Floats, clusters: Integers, n_clusters: int) -> tuple[Floats, Floats]:
    """Z_g'WZ_g (G, r, r) and Z_g'Wu_g (G, r) from rows in order of clusters."""
    ends = np.cumsum(np.bincount(clusters, minlength=n_clusters))
    rank = z.shape[1]
    gram, sums = np.empty((n_clusters, rank, rank)), np.empty((n_clusters, rank))
    start = 0
    for cluster, stop in enumerate(ends):
        mine = z[start:stop]
        gram[cluster] = heavy[start:stop].T @ mine
        sums[cluster] = scores[start:stop] @ mine
        start = stop
    return gram, sums


def _parts(cells: _Cells, rank: int) -> list[slice]:
    step = max(1, CHUNK_CELLS // max(1, rank**2))
    return [slice(start, start + step) for start in range(0, cells.mass.size, step)]


def _loadings(
    cells: _Cells,
    gram: Floats,
    scores: Floats,
    turned: Floats,
    fitted: Fit,
    power: float,
    alone: Floats,
    n_alone: int,
) -> Crossed:
    """Join the scores with d_g and r_g, without weights: r_g = K_g (t, tau) on slopes and on the levels' coordinates.

    The levels' part tau of (I - K_g)^-1 (a, 0) is s_gl't / (sqrt(m_l) (1 - m_gl / m_l)); of (a, 0) itself nought.
    """
    n_clusters, count, _ = turned.shape
    n_levels = fitted.mass.size
    spread = np.sqrt(fitted.mass[cells.level])
    touch = np.einsum("pcr,pr->pc", turned[cells.cluster], cells.z) / spread[:, None]
    safe = cells.left > EMPTY
    tau = np.where(safe, 1.0, 0.0)[:, None] * touch / np.where(safe, cells.left, 1.0)[:, None]
    if power == 0.0:
        tau = np.zeros_like(touch)
    slopes = turned @ gram
    for cell_part in range(count):
        addition = cells.z * (tau[:, cell_part] / spread)[:, None]
        np.add.at(slopes[:, cell_part], cells.cluster, addition)
    own = touch + (1.0 - cells.left)[:, None] * tau
    products = slopes @ turned.transpose(0, 2, 1)
    extra = own[:, :, None] * tau[:, None, :]
    np.add.at(products, cells.cluster, extra)
    shape = (n_clusters, n_levels)
    levels = tuple(sparse.csr_array((own[:, s], (cells.cluster, cells.level)), shape=shape) for s in range(count))
    return Crossed(scores, products, slopes.transpose(1, 0, 2), levels, alone, n_alone)
