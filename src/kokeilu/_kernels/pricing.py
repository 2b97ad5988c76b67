"""How far a matching on some of the edges is from the least on all of them, from its duals.

An edge left out whose slack ``s = w - Y[u] - Y[v] + 2 z(u, v)`` is negative may lower the total; z(u, v) adds the duals
of the blossoms around both ends. Lowering each Y[u] by half the worst shortfall of its edges, m[u], makes all slacks at
least 0 again, so no perfect matching weighs less than the one at hand by more than ``sum m / 2`` (linear duality).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.blossom import Matching
from kokeilu._kernels.nearness import GRID, between

__all__ = ["shortfalls"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

ROWS = 256


def shortfalls(x: Floats, matching: Matching) -> tuple[Ints, Floats, float]:
    """Return edges of negative slack as ``u n + v`` with u < v, their slacks, and the bound ``sum m / 2``."""
    n = len(x)
    lowest = _lowest(matching.shared)
    place = np.empty(len(matching.order), dtype=np.int64)
    place[matching.order] = np.arange(len(place))
    worst = np.zeros(n)
    keys, slacks = [], []
    everybody = np.arange(n)
    for start in range(0, n, ROWS):
        rows = np.arange(start, min(start + ROWS, n))
        slack = np.rint(between(x, rows[:, None], everybody[None, start:]) * GRID)
        slack -= matching.total[rows][:, None] + matching.total[None, start:n]
        i, j = np.nonzero(slack < 0)
        u, v = rows[i], everybody[start:][j]
        short = slack[i, j]
        low, high = np.minimum(place[u], place[v]), np.maximum(place[u], place[v])
        real = u < v
        u, v, short, low, high = u[real], v[real], short[real], low[real], high[real]
        level = np.frexp(high - low)[1] - 1
        common = np.minimum(lowest[level, low + 1], lowest[level, high + 1 - (1 << level)])
        short = short + 2 * common
        real = short < -0.5
        u, v, short = u[real], v[real], short[real]
        np.maximum.at(worst, u, -short)
        np.maximum.at(worst, v, -short)
        keys.append(u * n + v)
        slacks.append(short)
    return np.concatenate(keys), np.concatenate(slacks), float(worst.sum()) / 2


def _lowest(values: Floats) -> Floats:
    """Return the least of values[i : i + 2**l] for each level l, shape (levels, n)."""
    rows = [values]
    while 2 ** len(rows) <= len(values):
        half, last = 2 ** (len(rows) - 1), rows[-1]
        rows.append(np.concatenate([np.minimum(last[:-half], last[half:]), last[-half:]]))
    return np.stack(rows)
