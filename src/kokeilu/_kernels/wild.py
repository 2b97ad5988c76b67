r"""Wild cluster bootstrap of coefficients: t* under every vector of weights, for any null, from sums made once.

In the coordinates of `linear.Fit` (Z'WZ = I; an absorbed level adds one coordinate to its clusters) write q for the
contrast, b for its estimate, :math:`S_g = Z_g'W_g u_g` and :math:`K_g = Z_g'W_g Z_g`. Under the null c'beta = r the
restricted scores are linear in :math:`\kappa = (b - r) / q'q`, so that with weights v of the clusters

.. math:: s_g = S_g + \kappa K_g q, \quad t^*(v) = N / \sqrt{\sum_h R_h^2}, \quad N = \sum_g v_g q's_g, \quad
          R_h = v_h q's_h - q'K_h \sum_g v_g s_g.

N is linear and the variance quadratic in kappa: five numbers for each v serve every null. No small-sample factor
enters, for it cancels. Time O(n k^2 + G k B).

Source: Cameron, Gelbach & Miller (2008); Roodman, MacKinnon, Nielsen & Webb (2019), section 5; MacKinnon, Nielsen &
Webb (2023) for scores of the jackknife; Webb (2023) for the six points.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kokeilu._kernels.linear import Design, Fit, columns_of, fit, residual_blocks
from kokeilu._kernels.nulls import Law, boundary
from kokeilu._kernels.streams import Stream, below

__all__ = ["POINTS", "Clusters", "Wild", "all_vectors", "by_cluster", "drawn_vectors", "vector_count", "wild"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CHUNK_CELLS = 2**17
"""Cells (clusters x vectors) held at a time: a megabyte for each of a few arrays, which stays in the cache."""

CHUNK_LAW = 2**14
"""Vectors judged at a time."""

SINGULAR = 1e-10
"""What is left of a direction without a cluster, below which the cluster alone tells that coefficient."""

TIE = 1e-8
"""Statistics closer than this part of the observed one (or this, where it is below 1) are tied."""

POINTS = {
    "Rademacher": np.array([-1.0, 1.0]),
    "Webb": np.concatenate([-np.sqrt([1.5, 1.0, 0.5]), np.sqrt([0.5, 1.0, 1.5])]),
}
"""Equally likely weights of a cluster; each set is symmetric about 0 with variance 1."""


class Clusters(NamedTuple):
    """A fit and, by cluster, scores S (G, m), Gram matrices K (G, m, m), level (G,); m is r, or r + 1 with levels."""

    fit: Fit
    scores: Floats
    gram: Floats
    level: Integers | None


class _Terms(NamedTuple):
    """s_g = base + kappa tilt (G, m), loads K_g q (G, m), q (m,) and the level of each cluster."""

    base: Floats
    tilt: Floats
    loads: Floats
    q: Floats
    level: Integers | None


class Wild(NamedTuple):
    """The bootstrap law of one contrast.

    Attributes
    ----------
    value, error : float
        Estimate b and its CR0 standard error: the observed statistic is (b - r) / error.
    size : float
        q'q: kappa is (b - r) / size.
    law : Law
        Of each vector, in -kappa.
    impose : bool
        Whether the null is imposed (WCR); otherwise the law is that of kappa = 0, whatever r (WCU).
    mirrored : bool
        True where the law holds one of v and -v, which give t* and -t*.
    exact : bool
        True where the law, with its mirror image, holds every vector.
    """

    value: float
    error: float
    size: float
    law: Law
    impose: bool
    mirrored: bool
    exact: bool

    @property
    def vectors(self) -> int:
        """Number of vectors that the law stands for."""
        return (2 if self.mirrored else 1) * int(self.law.value.size)

    def statistic(self, null: float = 0.0) -> float:
        """The observed statistic, without small-sample factor."""
        return (self.value - null) / self.error

    def p_value(self, side: str = "two-sided", *, null: float = 0.0, strict: bool = False) -> float:
        """Share of vectors with a statistic at least as extreme as the observed one; ties count unless `strict`.

        Parameters
        ----------
        side : {"two-sided", "equal-tailed", "greater", "less"}
            "two-sided" compares absolute values, "equal-tailed" doubles the smaller tail.
        null : float
        strict : bool
            Leave out ties. With the null imposed and scores of the restricted fit the vectors of equal weights tie.

        Returns
        -------
        float
            hits / vectors where all were gone through, otherwise (1 + hits) / (1 + vectors).
        """
        t = self.statistic(null)
        # Added to the bound to be reached: a negative slack counts ties, a positive one does not.
        slack = TIE * max(1.0, abs(t)) * (1.0 if strict else -1.0)
        if side == "equal-tailed":
            return min(1.0, 2.0 * min(self._share(sign, sign * t + slack, null) for sign in (1.0, -1.0)))
        if side == "two-sided":
            return self._share(0.0, abs(t) + slack, null)
        sign = 1.0 if side == "greater" else -1.0
        return self._share(sign, sign * t + slack, null)

    def _share(self, sign: float, bound: float, null: float) -> float:
        """Share of vectors with sign t* >= bound; sign 0 takes the absolute value."""
        shift = (null - self.value) / self.size if self.impose else 0.0
        hits, of = 0, self.law.value.size
        for start in range(0, of, CHUNK_LAW):
            drawn = Law(*(column[start : start + CHUNK_LAW] for column in self.law)).at(shift)
            hits += int(np.count_nonzero((sign * drawn if sign else np.abs(drawn)) >= bound))
            if sign and self.mirrored:
                hits += int(np.count_nonzero(-sign * drawn >= bound))
        of = 2 * of if sign and self.mirrored else of
        return hits / of if self.exact else (1 + hits) / (1 + of)

    def interval(self, alpha: float, side: str = "two-sided") -> tuple[float | None, float | None]:
        """Ends of the set of nulls with a p-value above alpha, ties counted; None where that end is not bounded.

        The end of a side that is not asked for ("greater": the upper one) is infinite.
        """
        ends: list[float | None] = []
        for sign, other in ((-1.0, "less"), (1.0, "greater")):
            if side == other:
                ends.append(sign * float("inf"))
                continue
            unit = sign * self.error
            reach = boundary(lambda d, unit=unit: self._kept(side, self.value + d * unit, alpha))  # type: ignore[misc]
            ends.append(None if reach is None else self.value + reach * unit)
        return ends[0], ends[1]

    def _kept(self, side: str, null: float, alpha: float) -> bool:
        return self.p_value(side, null=null) > alpha * (1.0 + 1e-12)


def wild(
    parts: Clusters,
    contrasts: Floats,
    vectors: Iterator[Floats],
    *,
    all_of_them: bool,
    impose: bool = True,
    jackknife: bool = False,
) -> tuple[Wild, ...]:
    """Bootstrap law of each contrast of least-squares coefficients, all under the same vectors of weights.

    Parameters
    ----------
    parts : Clusters
        From :func:`by_cluster`.
    contrasts : (c, k) array
        Rows must not involve dropped columns.
    vectors : iterator of (G, b) arrays
        From :func:`all_vectors` or :func:`drawn_vectors`.
    all_of_them : bool
        True for `all_vectors`: one of each pair v, -v, of all there are.
    impose : bool
        True: scores of the fit under the null (WCR); False: of the unrestricted one (WCU).
    jackknife : bool
        False: residuals of the fit (type 11). True: of the fit without the cluster (type 31); a coefficient that the
        cluster alone tells keeps its value.

    Notes
    -----
    Memory: five numbers for each vector and contrast, beside chunks of `CHUNK_CELLS`.
    """
    width = contrasts.shape[1]
    rows = contrasts @ parts.fit.root[:width]
    terms = [_terms(parts, row, impose=impose, jackknife=jackknife) for row in rows]
    pieces = [[_piece(term, v) for term in terms] for v in vectors]
    found = []
    for position, (contrast, q) in enumerate(zip(contrasts, rows, strict=True)):
        law = Law(*(np.concatenate(column) for column in zip(*(piece[position] for piece in pieces), strict=True)))
        error = float(np.sqrt(((parts.scores[:, : q.size] @ q) ** 2).sum()))
        value = float(contrast @ parts.fit.coef[:width])
        found.append(Wild(value, error, float(q @ q), law, impose, all_of_them, all_of_them))
    return tuple(found)


def _nested(clusters: Integers, levels: Integers) -> bool:
    first = np.unique(clusters, return_index=True)[1]
    return bool((levels[first][clusters] == levels).all())


def _with_indicators(design: Design) -> Design:
    """Levels that the clusters cross as columns beside an intercept."""
    levels = np.zeros(design.n, dtype=np.int64) if design.levels is None else design.levels
    indicators = (levels[:, None] == np.arange(1, int(levels.max()) + 1)).astype(np.float64)
    return columns_of(
        np.column_stack([design.block(0, design.n), indicators]),
        weights=design.weights,
        levels=np.zeros(design.n, dtype=np.int64),
    )


def by_cluster(design: Design, y: Floats, clusters: Integers) -> Clusters:
    """Fit y (n,) on a design and sum up each cluster (codes 0..G-1, (n,)).

    Absorbed levels that the clusters cross become columns after those of the design.
    """
    if design.levels is not None and not _nested(clusters, design.levels):
        design = _with_indicators(design)
    fitted = fit(design, y)
    rank, n_clusters = fitted.theta.size, int(clusters.max()) + 1
    width = rank + (design.levels is not None)
    z, heavy, residuals = np.empty((design.n, width)), np.empty((design.n, width)), np.empty(design.n)
    for rows, block, left in residual_blocks(design, y, fitted):
        z[rows, :rank], residuals[rows] = block, left
        if design.levels is not None:
            z[rows, rank] = 1.0 / np.sqrt(fitted.mass[design.levels[rows]])
        heavy[rows] = z[rows] if design.weights is None else z[rows] * design.weights[rows, None]
    order = np.argsort(clusters, kind="stable")
    ends = np.cumsum(np.bincount(clusters, minlength=n_clusters))
    z, heavy, residuals = z[order], heavy[order], residuals[order]
    scores, gram = np.empty((n_clusters, width)), np.empty((n_clusters, width, width))
    for cluster, (start, stop) in enumerate(zip(np.concatenate([[0], ends[:-1]]), ends, strict=True)):
        scores[cluster] = residuals[start:stop] @ heavy[start:stop]
        gram[cluster] = z[start:stop].T @ heavy[start:stop]
    level = None if design.levels is None else design.levels[order[ends - 1]]
    return Clusters(fitted, scores, gram, level)


def _terms(parts: Clusters, row: Floats, *, impose: bool, jackknife: bool) -> _Terms:
    width = parts.scores.shape[1]
    q = np.zeros(width)
    q[: row.size] = row
    loads = parts.gram @ q
    base, tilt = parts.scores, loads if impose else np.zeros_like(loads)
    if jackknife:
        # (I - C K C)^-1 on the coordinates left free by the null; C = I where it is not imposed.
        free = np.eye(width) - (np.outer(q, q) / (q @ q) if impose else 0.0)
        values, vectors = np.linalg.eigh(free @ parts.gram @ free)
        gap = 1.0 - values
        inverse = np.where(gap > SINGULAR, 1.0 / np.where(gap > SINGULAR, gap, 1.0), 0.0)
        step = free @ (vectors * inverse[:, None, :]) @ vectors.transpose(0, 2, 1) @ free
        left = np.eye(width) + parts.gram @ step
        base, tilt = (np.einsum("gab,gb->ga", left, part) for part in (base, tilt))
    return _Terms(base, tilt, loads, q, parts.level)


def _piece(term: _Terms, v: Floats) -> Law:
    """The law of vectors v (G, b)."""
    first, second = _spread(term, term.base, v), _spread(term, term.tilt, v)
    return Law(
        (term.base @ term.q) @ v,
        (term.tilt @ term.q) @ v,
        np.einsum("gb,gb->b", first, first),
        np.einsum("gb,gb->b", first, second),
        np.einsum("gb,gb->b", second, second),
    )


def _spread(term: _Terms, scores: Floats, v: Floats) -> Floats:
    """R_h = v_h q's_h - q'K_h sum_g v_g s_g, (G, b)."""
    if not scores.any():
        return np.zeros_like(v)
    found = v * (scores @ term.q)[:, None]
    if term.level is None or not term.level.any():
        found -= term.loads @ (scores.T @ v)
        return found
    # A level's coordinate is shared by its own clusters only.
    found -= term.loads[:, :-1] @ (scores[:, :-1].T @ v)
    n_clusters = term.level.size
    chosen = sparse.csr_array((scores[:, -1], (term.level, np.arange(n_clusters))))
    found -= term.loads[:, -1:] * np.asarray(chosen @ v)[term.level]
    return found


def vector_count(kind: str, n_clusters: int) -> int:
    """Number of vectors of weights there are."""
    return int(pow(len(POINTS[kind]), n_clusters))


def all_vectors(kind: str, n_clusters: int) -> Iterator[Floats]:
    """Yield every vector of weights with a positive first weight, (G, b): with their negatives these are all."""
    points = POINTS[kind]
    base = points.size
    half = base ** (n_clusters - 1) * (base // 2)
    place = base ** np.arange(n_clusters - 1, -1, -1, dtype=np.int64)[:, None]
    step = max(1, CHUNK_CELLS // n_clusters)
    for start in range(half, 2 * half, step):
        number = np.arange(start, min(start + step, 2 * half), dtype=np.int64)[None, :]
        yield points[number // place % base]


def drawn_vectors(kind: str, n_clusters: int, stream: Stream, size: int) -> Iterator[Floats]:
    """Yield `size` vectors of independent weights from a stream, (G, b); the chunks never show."""
    step = max(1, CHUNK_CELLS // n_clusters)
    for start in range(0, size, step):
        rows = min(step, size - start)
        here = stream.skip(start)
        if kind == "Rademacher":
            words = here.words(rows, -(-n_clusters // 64)).astype("<u8")
            bits = np.unpackbits(words.view(np.uint8).reshape(rows, -1), axis=1, bitorder="little")
            yield np.ascontiguousarray(2.0 * bits[:, :n_clusters].T - 1.0)
        else:
            bounds = np.full((rows, n_clusters), POINTS[kind].size, dtype=np.int64)
            yield np.ascontiguousarray(POINTS[kind][below(here, bounds)].T)
