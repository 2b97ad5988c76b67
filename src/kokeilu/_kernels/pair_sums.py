r"""Sums over all pairs of units whose weights depend on the kinds of their blocks only.

:math:`\sum_{i \ne j} u_i v_j w_{ij}` is had from the sums of u and v by block and by kind, so that n units in C kinds
cost O(n + C^2) instead of n^2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Layout", "blank_weights", "pair_sum", "young"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layout:
    """Where the units stand.

    Attributes
    ----------
    blocks : (U,) array of codes 0..B-1
    kinds : (B,) array of codes 0..C-1
    n_kinds : int
    linked : bool
        False where units of different blocks are independent: their weights are 0 and are not gone through.
    """

    blocks: Integers
    kinds: Integers
    n_kinds: int
    linked: bool

    def by_block(self, values: Floats) -> Floats:
        """Sums by block, (B,)."""
        return np.bincount(self.blocks, weights=values, minlength=self.kinds.size).astype(np.float64)

    def by_kind(self, of_blocks: Floats) -> Floats:
        """Sums of what blocks have, by kind, (C,)."""
        return np.bincount(self.kinds, weights=of_blocks, minlength=self.n_kinds).astype(np.float64)


def pair_sum(layout: Layout, u: Floats, v: Floats, within: Floats, across: Floats) -> float:
    r"""Return :math:`\sum_{i \ne j} u_i v_j w_{ij}` over ordered pairs of different units.

    Parameters
    ----------
    u, v : (U,) arrays
    within : (C,) array
        Weight of two units of one block.
    across : (C, C) array
        Weight of a unit in a block of kind c and one in another block of kind d.
    """
    a, b = layout.by_block(u), layout.by_block(v)
    own = layout.by_kind(a * b)
    alone = np.bincount(layout.kinds[layout.blocks], weights=u * v, minlength=layout.n_kinds)
    total = float(within @ (own - alone))
    if layout.linked:
        total += float(layout.by_kind(a) @ across @ layout.by_kind(b) - np.diagonal(across) @ own)
    return total


def blank_weights(joint: Floats, product: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """1 - p_i p_j / p_ij, 0 where p_ij is 0; and where the product is above 0 but p_ij is 0."""
    impossible = (joint <= 1e-15) & (product > 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(joint > 1e-15, 1.0 - product / joint, 0.0)
    return weight, impossible


def young(layout: Layout, left: Floats, right: Floats, within: NDArray[np.bool_], across: NDArray[np.bool_]) -> float:
    r"""Return :math:`\sum (l_i + r_j)` over ordered pairs that never occur together, l and r over all units.

    The covariance of such a pair is -y_i y_j, which no data can tell: :math:`|y_i y_j| \le (y_i^2 + y_j^2) / 2`.

    Source: Aronow & Samii (2017), "Estimating average causal effects under general interference", eq. 11.
    """
    ones = np.ones(layout.blocks.size)
    flags, grid = within.astype(np.float64), across.astype(np.float64)
    return pair_sum(layout, left, ones, flags, grid) + pair_sum(layout, ones, right, flags, grid)
