"""Degrees of freedom of cluster-robust variances under a working model of independence, for one contrast and several.

P_st[g, h] = d_g(s, t) 1{g = h} + U_gs' E U_ht + 1{same level} v_gs' N_l v_ht is the covariance of what clusters g and h
add to contrasts s and t: a diagonal, a part of low rank, and that of the absorbed levels. No matrix is G x G.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["SAME", "Terms", "freedom", "rotation"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SAME = 1e-10
"""Contrasts are combinations of one another where an eigenvalue of their correlation is below this."""


class Terms(NamedTuple):
    """The parts of P: products (G, c, c), U (c, G, u), E (u, u), v (c, G, q), N (L, q, q), levels of clusters (G,)."""

    products: Floats
    low: Floats
    kernel: Floats
    own: Floats
    corner: Floats
    level: Integers


def freedom(terms: Terms) -> tuple[Floats, float]:
    r"""Degrees of freedom of each contrast, (c,), and eta of all together.

    One contrast: :math:`\nu = (tr P)^2 / tr(P^2)` (Satterthwaite; Bell & McCaffrey 2002). Several, rotated so that
    their expected covariance is the identity: :math:`\eta = q(q+1) / \sum_{s,t} \sum_{g,h} (P_{ss} P_{tt} + P_{st}
    P_{ts})[g,h]`; Hotelling's :math:`F = (\eta - q + 1) / (\eta q) Q` on q and :math:`\eta - q + 1` (HTZ).

    Source: Pustejovsky & Tipton (2018), section 3.2 and appendix.
    """
    expected = _expected(terms)
    count = expected.shape[0]
    dof = np.full(count, np.nan)
    for s in range(count):
        bottom = _squares(terms, s, s)[0]
        if bottom > 0.0:
            dof[s] = expected[s, s] ** 2 / bottom
    if count == 1:
        return dof, float(dof[0])
    turn = rotation(expected)
    turned = _rotated(terms, turn)
    rank = turn.shape[0]
    bottom = sum(sum(_squares(turned, s, t)) for s in range(rank) for t in range(rank))
    return dof, float(rank * (rank + 1) / bottom) if bottom > 0.0 else float("nan")


def rotation(expected: Floats) -> Floats:
    """Rows O (q, c) with O expected O' = I, q its rank."""
    scale = np.sqrt(np.where(np.diag(expected) > 0.0, np.diag(expected), 1.0))
    values, vectors = np.linalg.eigh(expected / np.outer(scale, scale))
    keep = values > SAME
    turn: Floats = (vectors[:, keep] / np.sqrt(values[keep])).T / scale
    return turn


def _rotated(terms: Terms, turn: Floats) -> Terms:
    return terms._replace(
        products=turn @ terms.products @ turn.T,
        low=np.tensordot(turn, terms.low, axes=1),
        own=np.tensordot(turn, terms.own, axes=1),
    )


def _diagonal(terms: Terms, s: int, t: int) -> Floats:
    """P_st[g, g] less d, (G,)."""
    low: Floats = np.einsum("ga,ga->g", terms.low[s] @ terms.kernel, terms.low[t])
    if not terms.own.shape[2]:
        return low
    turned = (terms.own[s][:, None, :] @ terms.corner[terms.level])[:, 0]
    level: Floats = low + np.einsum("ga,ga->g", turned, terms.own[t])
    return level


def _expected(terms: Terms) -> Floats:
    """Expected covariance of the contrasts, sum of P_st[g, g], (c, c)."""
    count = terms.products.shape[1]
    found = terms.products.sum(axis=0)
    for s in range(count):
        for t in range(count):
            found[s, t] += _diagonal(terms, s, t).sum()
    symmetric: Floats = (found + found.T) / 2.0
    return symmetric


def _squares(terms: Terms, s: int, t: int) -> tuple[float, float]:
    """Sums over all g, h of P_ss P_tt and of P_st[g, h] P_st[h, g]."""
    kernel, corner, n_levels = terms.kernel, terms.corner, terms.corner.shape[0]
    d = terms.products
    moment = kernel @ (terms.low[s].T @ terms.low[t])
    turned = kernel @ (terms.low[t].T @ terms.low[s])
    first = float(d[:, s, s] @ d[:, t, t]) + float(d[:, s, s] @ _diagonal(terms, t, t))
    first += float(d[:, t, t] @ _diagonal(terms, s, s)) + float(np.sum(moment * turned.T))
    second = float(d[:, s, t] @ d[:, s, t]) + 2.0 * float(d[:, s, t] @ _diagonal(terms, s, t))
    second += float(np.sum(turned * turned.T))
    if terms.own.shape[2]:
        here = _by_level(terms.low[s], terms.own[t], terms.level, n_levels)
        there = _by_level(terms.low[t], terms.own[s], terms.level, n_levels)
        own = _by_level(terms.own[s], terms.own[t], terms.level, n_levels)
        first += _mixed(kernel, here, corner, here) + _mixed(kernel, there, corner, there)
        second += 2.0 * _mixed(kernel, there, corner, here)
        forward, back = corner @ own, corner @ own.transpose(0, 2, 1)
        first += float(np.sum(forward * back.transpose(0, 2, 1)))
        second += float(np.sum(forward * forward.transpose(0, 2, 1)))
    return first, second


def _mixed(kernel: Floats, left: Floats, corner: Floats, right: Floats) -> float:
    """Sum over levels of tr(E X N X')."""
    return float(np.sum((kernel @ left @ corner) * right))


def _by_level(left: Floats, right: Floats, level: Integers, n_levels: int) -> Floats:
    """Sums over the clusters of each level of left right', (L, a, b)."""
    if n_levels == 1:
        return (left.T @ right)[None]
    sums = np.zeros((n_levels, left.shape[1], right.shape[1]))
    for a in range(left.shape[1]):
        for b in range(right.shape[1]):
            sums[:, a, b] = np.bincount(level, weights=left[:, a] * right[:, b], minlength=n_levels)
    return sums
