"""How far whole distributions lie apart between arms: Kolmogorov-Smirnov, energy and kernel distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Points", "discrepancies", "kernel_matrix", "ks_distances", "pair_distances"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]

CHUNK_CELLS = 2**21
"""Cells (draws x units) held as doubles at a time: 16 MB for each arm."""


def ks_distances(
    values: Floats, codes: Codes, pairs: Sequence[tuple[int, int]], weights: Floats | None = None
) -> Floats:
    """Largest distance of two arms' distribution functions, over the observed values: (pairs, p).

    Parameters
    ----------
    values : (n, p) array
        NaN where not observed; such people are left out.
    codes : (n,) int8 array
    pairs : sequence of (arm, reference)
    weights : (n,) array, optional

    Returns
    -------
    (pairs, p) array
        NaN where an arm has nobody observed.
    """
    every = np.arange(max(max(pair) for pair in pairs) + 1)[:, None]
    found = np.full((len(pairs), values.shape[1]), np.nan)
    for column in range(values.shape[1]):
        x = np.ascontiguousarray(values[:, column])
        rows = np.flatnonzero(~np.isnan(x))
        if not len(rows):
            continue
        whole = len(rows) == len(x)
        order = np.argsort(x) if whole else rows[np.argsort(x[rows])]
        ordered = x[order]
        last = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
        held = codes[order] == every
        if weights is None:
            below = np.cumsum(held, axis=1, dtype=np.int32)[:, last]
        else:
            below = np.cumsum(held * weights[order], axis=1)[:, last]
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = below / below[:, -1:]
        found[:, column] = [np.abs(shares[arm] - shares[reference]).max() for arm, reference in pairs]
    return found


def pair_distances(columns: Floats) -> Floats:
    """Euclidean distances of all pairs of rows, (n, n)."""
    squares = (columns**2).sum(axis=1)
    inner = columns @ columns.T
    distances: Floats = np.sqrt(np.maximum(squares[:, None] + squares - 2.0 * inner, 0.0))
    np.fill_diagonal(distances, 0.0)
    return distances


def kernel_matrix(distances: Floats) -> Floats:
    """Gaussian kernel exp(-d^2 / (2 h^2)) of distances (n, n), h their median over pairs; nought on the diagonal.

    Source: Gretton et al. (2012), J. Machine Learning Research 13, for the kernel and for h.
    """
    width = float(np.median(distances[np.triu_indices(len(distances), 1)]))
    kernel: Floats = np.exp(-((distances / (width if width > 0.0 else 1.0)) ** 2) / 2.0)
    np.fill_diagonal(kernel, 0.0)
    return kernel


class Points(NamedTuple):
    """What is drawn, people or whole clusters, in sums over their people.

    `matrix` (units, units) of distances or kernels weighted by both, `mass` (units,) and `square` of the weights and
    their squares, `people` (units,), and `scale` (units, K), what a unit's weights are times in each arm, or None.
    """

    matrix: Floats
    mass: Floats
    square: Floats
    people: Floats
    scale: Floats | None = None


def discrepancies(codes: Codes, points: Points, arms: int, *, unbiased: bool) -> Floats:
    r"""Distances between the arms' distributions under each draw, summed over pairs of arms, (b,).

    Energy (a matrix of distances, not `unbiased`): :math:`\frac{n_1 n_0}{n_1 + n_0} (2 E d_{10} - E d_{11} - E d_{00})`
    with means over all pairs, a person with himself included. Kernel (a matrix with nought on the diagonal,
    `unbiased`): :math:`E k_{11} + E k_{00} - 2 E k_{10}` with means over distinct people.

    Parameters
    ----------
    codes : (b, units) int8 array
    points : Points
    arms : int
    unbiased : bool

    Source: Szekely & Rizzo (2004), InterStat 5; Gretton et al. (2012), eq. 3.
    """
    found = np.empty(len(codes))
    step = max(1, CHUNK_CELLS // max(codes.shape[1], 1))
    for start in range(0, len(codes), step):
        found[start : start + step] = _discrepancies(codes[start : start + step], points, arms, unbiased)
    return found


def _discrepancies(codes: Codes, points: Points, arms: int, unbiased: bool) -> Floats:
    held = [(codes == k).astype(np.float64) for k in range(arms)]
    counts = [part @ points.people for part in held]
    if points.scale is not None:
        held = [part * points.scale[:, k] for k, part in enumerate(held)]
    masses = [part @ points.mass for part in held]
    own = [mass**2 - (part**2 @ points.square if unbiased else 0.0) for mass, part in zip(masses, held, strict=True)]
    products = [part @ points.matrix for part in held]
    total = np.zeros(len(codes))
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = [(product * part).sum(axis=1) / n for product, part, n in zip(products, held, own, strict=True)]
        for j in range(arms):
            for k in range(j):
                gap = 2.0 * (products[j] * held[k]).sum(axis=1) / (masses[j] * masses[k]) - inside[j] - inside[k]
                # An arm without anybody (or with one person) is at no distance.
                total += np.nan_to_num(-gap if unbiased else gap * counts[j] * counts[k] / (counts[j] + counts[k]))
    return total
