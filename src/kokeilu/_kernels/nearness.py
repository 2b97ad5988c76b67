"""Coordinates in which Euclidean distance is Mahalanobis distance, and nearest neighbours with ties by position.

Coordinates are rounded to 2**-20 of a standard deviation, so that the last bits of sums, which differ between
processors, do not reach the distances.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

__all__ = ["GRID", "between", "identical", "nearest", "ranks", "sphered"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

GRID = 2.0**20
CONSTANT = 1e-9
"""A column whose spread is below this part of its size is constant."""

COLLINEAR = 1e-10
"""A column adds nothing when this part of its variance is left after the columns before it."""

SPARE = 6
"""Neighbours asked for beyond those needed: which of several at one distance a tree returns is its own affair."""


def sphered(values: Floats, groups: Ints, like: Floats | None = None) -> Floats:
    """Return coordinates whose Euclidean distances are Mahalanobis distances of the values.

    The covariance is pooled within groups. Constant columns, and columns that are combinations of earlier ones,
    add nothing, which is what a generalised inverse of the covariance amounts to.

    Parameters
    ----------
    values : float64 array, shape (n, p)
    groups : int64 array, shape (n,)
        Codes 0..S-1 of strata.
    like : float64 array, shape (n, p), or None
        Where the covariance is to be that of other columns (ranks before the correction for ties).

    Returns
    -------
    float64 array, shape (n, r), r <= p

    Notes
    -----
    Gram-Schmidt on the columns, twice each; column by column, so that identical rows stay identical.
    """
    source = values if like is None else like
    kept: list[tuple[Floats, Floats]] = []
    for shown, column in zip(values.T, source.T, strict=True):
        size = float(np.abs(column).max(initial=0.0))
        if size == 0.0:
            continue
        inside = _within(column / size, groups)
        spread = float(np.sqrt(np.mean(inside**2)))
        if spread <= CONSTANT:
            continue
        inside, place = inside / spread, shown / size / spread
        for basis, image in kept * 2:
            part = float(np.mean(inside * basis))
            inside, place = inside - part * basis, place - part * image
        left = float(np.mean(inside**2))
        if left > COLLINEAR:
            kept.append((inside / left**0.5, place / left**0.5))
    table = [place - place.mean() for _, place in kept]
    return np.rint(np.stack(table, axis=1) * GRID) / GRID if table else np.zeros((len(values), 0))


def _within(column: Floats, groups: Ints) -> Floats:
    """Return deviations from the means of the groups."""
    centred = column - column.mean()
    return np.asarray(centred - (np.bincount(groups, weights=centred) / np.bincount(groups))[groups])


def ranks(values: Floats) -> tuple[Floats, Floats]:
    """Return average ranks, shape (n, p), and the same shrunk where there are ties.

    A covariate with many ties, such as a rare 0/1 column, would weigh most where people differ on it; so differences
    are divided by the ratio of the standard deviation without ties to its own (Rosenbaum 2010, section 8.3).
    """
    plain = np.empty(values.shape)
    for j, column in enumerate(values.T):
        _, place, count = np.unique(column, return_inverse=True, return_counts=True)
        plain[:, j] = (np.cumsum(count) - (count - 1) / 2)[place]
    untied = np.sqrt((len(values) ** 2 - 1) / 12) or 1.0
    return plain, plain * (plain.std(axis=0) / untied)


def between(x: Floats, left: Ints, right: Ints) -> Floats:
    """Return the distances between rows, summed column by column."""
    total = np.zeros(np.broadcast_shapes(left.shape, right.shape))
    for column in x.T:
        total += (column[left] - column[right]) ** 2
    return np.asarray(np.sqrt(total))


def identical(x: Floats) -> tuple[Ints, Ints, Ints]:
    """Sort rows so that identical ones stand together, in the order of their positions.

    Returns
    -------
    order, group, place : int64 arrays, shape (n,)
        `order` sorts the rows; for each sorted row the number of its group and its place in it, from 0.
    """
    n = len(x)
    order = np.lexsort((np.arange(n), *x.T[::-1]))
    new = np.ones(n, dtype=bool)
    new[1:] = (x[order[1:]] != x[order[:-1]]).any(axis=1)
    group = np.cumsum(new) - 1
    return order, group, np.arange(n) - np.flatnonzero(new)[group]


def nearest(x: Floats, of: Ints, among: Ints, k: int) -> Ints:
    """Return for each row `of` the k nearest rows `among`, itself left out, by distance and then position.

    Returns
    -------
    int64 array, shape (len(of), k)
        -1 where there are fewer.
    """
    asked = min(k + SPARE, len(among))
    points = x if x.shape[1] else np.zeros((len(x), 1))
    _, found = cKDTree(points[among]).query(points[of], asked)
    near = among[np.asarray(found, dtype=np.int64).reshape(len(of), asked)]
    distance = np.where(near == of[:, None], np.inf, between(x, of[:, None], near))
    best = np.lexsort((near, distance), axis=1)[:, :k]
    chosen = np.take_along_axis(near, best, axis=1)
    chosen[np.isinf(np.take_along_axis(distance, best, axis=1))] = -1
    if chosen.shape[1] < k:
        chosen = np.pad(chosen, ((0, 0), (0, k - chosen.shape[1])), constant_values=-1)
    return chosen
