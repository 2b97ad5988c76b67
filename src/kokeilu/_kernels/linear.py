"""Least squares with an absorbed factor, and covariances robust to unequal variances.

The design is read in blocks of rows, so that memory stays bounded and a million rows take a few passes of matrix
products.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

__all__ = [
    "HC",
    "Block",
    "Design",
    "Fit",
    "Robust",
    "absorbed_part",
    "columns_of",
    "covariance",
    "fit",
    "residual_blocks",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Block = Callable[[int, int], Floats]

BLOCK_ROWS = 2**15

RANK = 1e-12
"""A column keeps its place if this part of its (centred, scaled) square is left after the columns before it."""

UNREAL = 1e-2
"""Square left in the second pass, 1 for a column that the first pass rightly kept."""

CONSTANT = 1e-18
"""Squared deviations below this part of the raw squares are the rounding of a column constant within levels."""

HC = ("classical", "HC0", "HC1", "HC2", "HC3", "HC4", "HC4m", "HC5")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Design:
    """A regression to be read in blocks.

    Attributes
    ----------
    n, width : int
        Rows and columns (without the absorbed factor).
    block : callable
        ``block(start, stop)`` returns the columns of these rows, (stop - start, width).
    weights : (n,) array or None
    levels : (n,) array of codes 0..L-1 or None
        The absorbed factor; one level for all rows is an intercept, None is no intercept.
    """

    n: int
    width: int
    block: Block
    weights: Floats | None = None
    levels: Integers | None = None


class Fit(NamedTuple):
    """Least squares in the orthonormal coordinates Z = (X - level means) @ root, Z'WZ = I.

    `coef` (k,) has 0 for dropped columns; `kept` (k,) says which are in; `root` is (k, r) with (X'WX)^-1 = root @
    root.T; `theta` (r,) are the coefficients on Z; `means` (L, k + 1) level means of the columns and of y; `mass`
    (L,) sums of weights by level; `dof` is n - r - L.
    """

    coef: Floats
    kept: NDArray[np.bool_]
    root: Floats
    theta: Floats
    means: Floats
    mass: Floats
    dof: int


class Robust(NamedTuple):
    """Covariance (k, k) of the coefficients and the number of rows with a leverage of 1.

    `alone` (k, k) is what these rows would add to M = (X'WX)^-1: for a contrast c, c'alone c / c'Mc is the part of it
    that rests on single rows, which the covariance leaves out.
    """

    covariance: Floats
    full_leverage: int
    alone: Floats


def columns_of(columns: Floats, *, weights: Floats | None = None, levels: Integers | None = None) -> Design:
    """Make a design of a matrix (n, k) held in memory."""
    return Design(
        n=columns.shape[0],
        width=columns.shape[1],
        block=lambda start, stop: columns[start:stop],
        weights=weights,
        levels=levels,
    )


def fit(design: Design, y: Floats) -> Fit:
    """Weighted least squares of y (n,) on a design.

    Columns are centred within the levels and scaled before any rank decision; a column that is constant or a
    combination of the columns before it is dropped (`Fit.kept`). The triangular factor is computed twice where the
    columns are far from orthogonal (CholeskyQR2), and the solution refined once on its residuals.

    Source: Frisch & Waugh (1933) for the absorbed factor; Yamamoto, Nakatsukasa, Yanagisawa & Fukaya (2015).
    """
    means, mass, raw = _level_means(design, y)
    gram = np.zeros((design.width, design.width))
    for rows, table in _centred(design, y, means):
        columns = table[:, :-1]
        gram += columns.T @ _times(columns, design.weights, rows)
    none = np.zeros(design.width, dtype=bool)
    partial = _rooted(design, y, gram, raw, Fit(np.zeros(design.width), none, gram, raw, means, mass, 0))
    theta = partial.theta
    for _ in range(2):
        step = np.zeros_like(theta)
        for rows, z, residuals in residual_blocks(design, y, partial._replace(theta=theta)):
            step += z.T @ _times(residuals, design.weights, rows)
        theta = theta + step
    dof = design.n - theta.size - (0 if design.levels is None else mass.size)
    return partial._replace(coef=partial.root @ theta, theta=theta, dof=dof)


def residual_blocks(design: Design, y: Floats, fitted: Fit) -> Iterator[tuple[slice, Floats, Floats]]:
    """Yield rows, orthonormal columns Z (m, r) and residuals (m,) block by block."""
    for rows, table in _centred(design, y, fitted.means):
        z = table[:, :-1] @ fitted.root
        yield rows, z, table[:, -1] - z @ fitted.theta


def covariance(design: Design, y: Floats, fitted: Fit, kind: str) -> Robust:
    r"""Covariance of the coefficients: classical, HC0-HC3, HC4, HC4m or HC5.

    :math:`V = M (\sum_i f_i w_i^2 u_i^2 x_i x_i') M` with f = 1 (HC0), n/(n - k) (HC1), 1/(1 - h) (HC2), 1/(1 - h)^2
    (HC3), (1 - h)^-d with d = min(4, e) (HC4), min(1, e) + min(1.5, e) (HC4m), min(e, max(4, 0.7 n h_max / k)) / 2
    (HC5), e = n h / k; :math:`h_i = w_i (x_i' M x_i + 1/W_{level})` and k include the absorbed factor. A row with h =
    1 has no residual of its own: it contributes nothing and is counted.

    Source: White (1980); MacKinnon & White (1985); Cribari-Neto (2004); Cribari-Neto, Souza & Vasconcellos (2007);
    Cribari-Neto & da Silva (2011).
    """
    rank = fitted.theta.size
    meat, lost = np.zeros((rank, rank)), np.zeros((rank, rank))
    squares, full = 0.0, 0
    most = _largest_leverage(design, y, fitted) if kind == "HC5" else 0.0
    for rows, z, residuals in residual_blocks(design, y, fitted):
        weighted = _times(residuals, design.weights, rows)
        if kind == "classical":
            squares += float(residuals @ weighted)
            continue
        if kind not in ("HC0", "HC1"):
            factor, here = _factors(design, fitted, _leverage(design, fitted, rows, z), kind, most)
            weighted = weighted * factor
            if here.any():
                full += int(here.sum())
                lost += z[here].T @ _times(z, design.weights, rows)[here]
        scores = z * weighted[:, None]
        meat += scores.T @ scores
    if kind == "classical":
        meat = np.eye(rank) * (squares / fitted.dof)
    if kind == "HC1":
        meat *= design.n / fitted.dof
    return Robust(fitted.root @ meat @ fitted.root.T, full, fitted.root @ lost @ fitted.root.T)


def absorbed_part(design: Design, y: Floats, fitted: Fit, groups: Integers, contrast: Floats) -> float:
    """Part of a contrast's variance that effects of the levels take out of errors by group and never give back.

    Under independent errors of equal variance, CR0 by groups nested in the levels (HC0 where each row is a group) is
    expected at 1 - this part of the variance: with v = Zb, sum of s_g^2 / m_level over sum of w v^2, s_g the group's
    sum of wv. It is 1/2 for pairs.

    Source: de Chaisemartin & Ramirez-Cuellar (2024).
    """
    if design.levels is None:
        return 0.0
    rotated = contrast @ fitted.root
    sums = np.zeros(int(groups.max()) + 1)
    level = np.zeros(sums.size, dtype=np.int64)
    for rows, z, _ in residual_blocks(design, y, fitted):
        sums += np.bincount(groups[rows], weights=_times(z @ rotated, design.weights, rows), minlength=sums.size)
        level[groups[rows]] = design.levels[rows]
    return float((sums**2 / fitted.mass[level]).sum() / (rotated @ rotated))


def _leverage(design: Design, fitted: Fit, rows: slice, z: Floats) -> Floats:
    leverage = np.einsum("ij,ij->i", z, z)
    if design.levels is not None:
        leverage = leverage + 1.0 / fitted.mass[design.levels[rows]]
    return _times(leverage, design.weights, rows)


def _largest_leverage(design: Design, y: Floats, fitted: Fit) -> float:
    blocks = residual_blocks(design, y, fitted)
    return max(float(_leverage(design, fitted, rows, z).max(initial=0.0)) for rows, z, _ in blocks)


def _factors(design: Design, fitted: Fit, leverage: Floats, kind: str, most: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Square roots of f, (m,), nought where the leverage is 1; and where that is."""
    gap = 1.0 - leverage
    full = gap < 1e-10
    excess = design.n / (design.n - fitted.dof) * leverage
    power: Floats | float = {"HC2": 1.0, "HC3": 2.0}.get(kind, 0.0)
    if kind == "HC4":
        power = np.minimum(4.0, excess)
    elif kind == "HC4m":
        power = np.minimum(1.0, excess) + np.minimum(1.5, excess)
    elif kind == "HC5":
        power = np.minimum(excess, max(4.0, 0.7 * design.n / (design.n - fitted.dof) * most)) / 2.0
    return np.where(full, 0.0, np.where(full, 1.0, gap) ** (-power / 2.0)), full


def _times(values: Floats, weights: Floats | None, rows: slice) -> Floats:
    if weights is None:
        return values
    return values * (weights[rows] if values.ndim == 1 else weights[rows, None])


def _blocks(design: Design, y: Floats) -> Iterator[tuple[slice, Floats]]:
    for start in range(0, design.n, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, design.n)
        table = np.empty((stop - start, design.width + 1))
        table[:, :-1] = design.block(start, stop)
        table[:, -1] = y[start:stop]
        yield slice(start, stop), table


def _centred(design: Design, y: Floats, means: Floats) -> Iterator[tuple[slice, Floats]]:
    for rows, table in _blocks(design, y):
        if design.levels is not None:
            table -= means if means.shape[0] == 1 else means[design.levels[rows]]
        yield rows, table


def _level_means(design: Design, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Level means (L, k + 1), masses (L,) and raw squares (k,); one level of zeros without a factor."""
    n_levels = 1 if design.levels is None else int(design.levels.max(initial=0)) + 1
    sums, mass = np.zeros((n_levels, design.width + 1)), np.zeros(n_levels)
    raw = np.zeros(design.width)
    for rows, table in _blocks(design, y):
        weighted = _times(table, design.weights, rows)
        raw += np.einsum("ij,ij->j", table[:, :-1], weighted[:, :-1])
        levels = np.zeros(table.shape[0], dtype=np.int64) if design.levels is None else design.levels[rows]
        ones = np.ones(table.shape[0])
        mass += np.bincount(levels, weights=_times(ones, design.weights, rows), minlength=n_levels)
        if n_levels == 1:
            sums[0] += weighted.sum(axis=0)
            continue
        for column in range(table.shape[1]):
            sums[:, column] += np.bincount(levels, weights=weighted[:, column], minlength=n_levels)
    means = sums / np.where(mass > 0.0, mass, 1.0)[:, None]
    return means if design.levels is not None else np.zeros_like(means), mass, raw


def _rooted(design: Design, y: Floats, gram: Floats, raw: Floats, blank: Fit) -> Fit:
    """The fit with root and kept columns, theta 0; a column that only rounding kept is banned and the rest redone."""
    banned = np.zeros(design.width, dtype=bool)
    while True:
        root, kept, smallest = _orthonormal(gram, raw, banned)
        found = blank._replace(root=root, kept=kept, theta=np.zeros(root.shape[1]))
        if smallest >= 1e-2:
            return found
        second, unreal = _second_root(design, y, found)
        if unreal is None:
            return found._replace(root=root @ second)
        banned[np.flatnonzero(kept)[unreal]] = True


def _orthonormal(gram: Floats, raw: Floats, banned: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_], float]:
    """Columns to keep, in order, and root (k, r) with root' gram root = I; also the smallest pivot kept."""
    width = raw.size
    diagonal = np.diag(gram)
    varies = diagonal > CONSTANT * raw
    scale = np.where(varies, 1.0 / np.sqrt(np.where(varies, diagonal, 1.0)), 0.0)
    scaled = gram * scale[:, None] * scale[None, :]
    kept: list[int] = []
    lower = np.zeros((width, width))
    smallest = 1.0
    for column in np.flatnonzero(varies & ~banned):
        rank = len(kept)
        row = solve_triangular(lower[:rank, :rank], scaled[kept, column], lower=True) if rank else np.zeros(0)
        pivot = 1.0 - float(row @ row)
        if pivot <= RANK:
            continue
        lower[rank, :rank], lower[rank, rank] = row, np.sqrt(pivot)
        smallest = min(smallest, pivot)
        kept.append(int(column))
    rank = len(kept)
    root = np.zeros((width, rank))
    if rank:
        root[kept] = solve_triangular(lower[:rank, :rank], np.eye(rank), lower=True).T * scale[kept, None]
    mask = np.zeros(width, dtype=bool)
    mask[kept] = True
    return root, mask, smallest


def _second_root(design: Design, y: Floats, partial: Fit) -> tuple[Floats, int | None]:
    """The correction (r, r) that makes Z orthonormal; or the first column of Z that is none, but rounding.

    What is left of a real column has a square near 1 in Z; of a combination of the others, nearly nought.
    """
    gram = np.zeros((partial.theta.size, partial.theta.size))
    for rows, z, _ in residual_blocks(design, y, partial):
        gram += z.T @ _times(z, design.weights, rows)
    lower = np.zeros_like(gram)
    for column in range(gram.shape[0]):
        row = solve_triangular(lower[:column, :column], gram[:column, column], lower=True) if column else np.zeros(0)
        pivot = float(gram[column, column] - row @ row)
        if not pivot > UNREAL:
            return lower, column
        lower[column, :column], lower[column, column] = row, np.sqrt(pivot)
    inverse: Floats = solve_triangular(lower, np.eye(gram.shape[0]), lower=True).T
    return inverse, None
