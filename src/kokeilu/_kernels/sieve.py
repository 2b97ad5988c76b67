r"""A sieve before the screen of rerandomisation: rough distances in single precision, with bounds that always hold.

With B_k the totals, over the units beyond the cut k (in arm k or a later one), of a few basis columns (one for each
covariate, however many arms there are), the sums of a draw are nearly sum_k B_k W_k. The columns are rounded to whole
numbers of a grid, so coarse that the absolute values of a block of units add up to less than 2^24: then single
precision adds them without error in any order, and what is off is known beforehand. It is the sum over units of
e = s - grid (W_1 + ... + W_k), which lies between the sums of the negative and of the positive e. By the triangle
inequality the root of a tier's distance is off by at most the length of these bounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.screen import TIE, Screen

__all__ = ["Sieve", "first_sieve", "make_sieve"]

Codes = NDArray[np.int8]
Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Totals = Floats | Sequence[Floats]
Blocks = tuple[tuple[Singles, Floats], ...]

BLOCK = 2**14
"""Units that share a grid: the fewer, the finer it is."""

COUNTED = 2**24
"""Single precision holds every whole number up to this one."""

RANK = 1e-12
"""Eigenvalues below this part of the largest belong to no column of their own."""

ROUNDING = 1e-9
"""Room for the rounding of double precision in the bounds themselves."""


@dataclass(frozen=True, slots=True, eq=False)
class Sieve:
    """Rough sums of draws.

    Attributes
    ----------
    blocks : tuple of (float32 array (units, r), float64 array (r,))
        Whole numbers of a block of units, and the grid of each column.
    weights : (cuts, r, R) array
        Of the totals beyond each cut in the sums.
    slack : (tiers,) array
        By how much the root of a tier's distance may be off.
    move : (tiers,) array
        By how much it changes at most when a unit moves to an arm beside its own.
    screen : Screen
    """

    blocks: Blocks
    weights: Floats
    slack: Floats
    move: Floats
    screen: Screen

    def totals(self, codes: Codes, cuts: Iterable[int] | None = None) -> Floats:
        """Totals of the rounded columns beyond cuts (all, from 0), exact, codes (b, units): (cuts, b, r)."""
        wanted = list(range(len(self.weights)) if cuts is None else cuts)
        total = np.zeros((len(wanted), len(codes), self.weights.shape[1]))
        first = 0
        for grid, step in self.blocks:
            part = codes[:, first : first + len(grid)]
            for place, cut in enumerate(wanted):
                held = part if len(self.weights) == 1 else part > cut
                total[place] += (held.astype(np.float32) @ grid).astype(np.float64) * step
            first += len(grid)
        return total

    def roots(self, totals: Totals) -> Floats:
        """Rough roots of the distances by tier, from totals (cuts, b, r): (b, tiers)."""
        sums = np.broadcast_to(-self.screen.centre, (len(totals[0]), len(self.screen.centre)))
        for own, weight in zip(totals, self.weights, strict=True):
            sums = sums + own @ weight
        roots: Floats = np.sqrt(self.screen.distances(sums))
        return roots

    def bounds(self, totals: Totals) -> tuple[Floats, Floats]:
        """Bounds of the distances by tier: two arrays (b, tiers)."""
        roots = self.roots(totals)
        return np.maximum(roots - self.slack, 0.0) ** 2, (roots + self.slack) ** 2

    def near(self, totals: Totals, moves: Ints | None = None) -> Flags:
        """Tell which draws the screen may accept, (b,); with so many units, (b,), that may stand one arm too far."""
        limits = np.sqrt(self.screen.thresholds * (1.0 + TIE)) + self.slack
        if moves is not None:
            limits = limits + moves[:, None] * self.move
        near: Flags = np.logical_and.reduce(self.roots(totals) <= limits, axis=1)
        return near


def make_sieve(screen: Screen, order: Ints | None = None) -> Sieve:
    """Make the sieve of a screen, for codes whose units stand in another order where one is given."""
    loads, weights = _basis(screen)
    blocks = tuple(_on_grid(_wide(part) @ loads) for part in _parts(screen, order))
    return _sieve(screen, _parts(screen, order), blocks, np.diff(weights, axis=0, prepend=0.0))


def first_sieve(whole: Sieve, order: Ints | None = None) -> Sieve | None:
    """Return the sieve of what is decided once the first cut is known; None where that is nothing.

    In the directions U in which the scores of all arms but the first are the same, sums depend on the first cut alone,
    and their length is at most that of the whole: M_t >= |U' S_t|^2. The totals are those of the whole sieve.
    """
    screen = whole.screen
    ways, owner = np.zeros((len(screen.tier), 0)), []
    for tier in range(len(screen.thresholds)):
        own = np.flatnonzero(screen.tier == tier)
        same = _shared(screen, own)
        way = np.zeros((len(screen.tier), same.shape[1]))
        way[own] = same
        ways = np.concatenate([ways, way], axis=1)
        owner += [tier] * same.shape[1]
    if not owner:
        return None
    # The scores are asked for block by block, and not kept.
    coarse = replace(
        screen,
        scores=screen.scores[:, :0] @ ways,
        centre=screen.centre @ ways,
        tier=np.array(owner, dtype=np.int64),
    )
    return _sieve(coarse, (part @ ways for part in _parts(screen, order)), whole.blocks, whole.weights[:1] @ ways)


def _shared(screen: Screen, own: Ints) -> Floats:
    """Directions among the columns `own` in which all arms but the first have the same scores, (columns, ways)."""
    apart, size = np.zeros((len(own), len(own))), 0.0
    for part in _parts(screen, None):
        scores = part[1:, :, own]
        gaps = (scores[1:] - scores[0]).reshape(-1, len(own))
        apart += gaps.T @ gaps
        size += float((scores**2).sum())
    values, vectors = np.linalg.eigh(apart)
    shared: Floats = vectors[:, values <= RANK * size]
    return shared


def _sieve(screen: Screen, parts: Iterable[Floats], blocks: Blocks, weights: Floats) -> Sieve:
    by_arm, width = np.cumsum(weights, axis=0), len(screen.tier)
    above, below, move = np.zeros(width), np.zeros(width), np.zeros(len(screen.thresholds))
    for part, (grid, step) in zip(parts, blocks, strict=True):
        rough = grid.astype(np.float64) * step
        off = np.stack([own - rough @ by_arm[min(k, len(by_arm) - 1)] for k, own in enumerate(part[1:])])
        # Each unit stands in one arm, and adds nothing in the first.
        above += np.maximum(off.max(axis=0), 0.0).sum(axis=0)
        below += np.maximum(-off.min(axis=0), 0.0).sum(axis=0)
        move = np.maximum(move, screen.distances(np.diff(part, axis=0)).max(axis=(0, 1)))
    slack = np.sqrt(screen.distances(np.maximum(above, below))) * (1.0 + ROUNDING) + ROUNDING
    return Sieve(blocks, weights, slack, np.sqrt(move) * (1.0 + ROUNDING) + ROUNDING, screen)


def _parts(screen: Screen, order: Ints | None) -> Iterator[Floats]:
    """Yield the scores of each block of units, (K, units, R)."""
    for first in range(0, screen.scores.shape[1], BLOCK):
        rows = slice(first, first + BLOCK)
        yield screen.scores[:, rows] if order is None else screen.scores[:, order[rows]]


def _wide(part: Floats) -> Floats:
    """Scores of all arms but the first beside each other, (units, (K-1) R)."""
    return np.moveaxis(part[1:], 0, 1).reshape(part.shape[1], -1)


def _basis(screen: Screen) -> tuple[Floats, Floats]:
    """Loads ((K-1) R, r) that make orthonormal columns of the scores, and weights (K-1, r, R) that make scores of them.

    From the eigenvectors of the scores' squares, X'X = V L V': columns X V L^-1/2, weights L^1/2 V'.
    """
    arms, _, width = screen.scores.shape
    if arms == 2:
        return np.eye(width), np.eye(width)[None]
    squares = np.zeros(((arms - 1) * width, (arms - 1) * width))
    for part in _parts(screen, None):
        wide = _wide(part)
        squares += wide.T @ wide
    values, vectors = np.linalg.eigh(squares)
    kept = values > RANK * values.max(initial=0.0)
    roots, vectors = np.sqrt(values[kept]), vectors[:, kept]
    weights = (vectors * roots).T.reshape(-1, arms - 1, width)
    return vectors / roots, np.moveaxis(weights, 1, 0)


def _on_grid(columns: Floats) -> tuple[Singles, Floats]:
    # Rounding adds at most half a step for each unit.
    reach = np.abs(columns).sum(axis=0)
    step = np.where(reach > 0.0, reach, 1.0) / (COUNTED - len(columns))
    return np.rint(columns / step).astype(np.float32), step
