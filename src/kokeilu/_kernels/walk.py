r"""The Gram-Schmidt walk: assignments of two arms that balance covariates, with exact probabilities.

Sources: Bansal, Dadush, Garg & Lovett (2018), "The Gram-Schmidt walk: a cure for the Banaszczyk blues", STOC; Harshaw,
Sävje, Spielman & Zhang (2024), "Balancing covariates in randomized experiments with the Gram-Schmidt walk design",
JASA 119, 2934-2946, algorithm 1.

State z in [-1, 1]^n, starting at 2 p - 1. The direction has 1 at the pivot, 0 at frozen units, and at the other units
A the least-squares answer to ``min || B u ||`` with ``B' B = phi I + Y Y'``, ``Y = sqrt(1 - phi) X / xi``. By
``(phi I + Y_A Y_A')^-1 Y_A = Y_A C``, ``C = (phi I_d + Y_A' Y_A)^-1``:

    u_A = -Y_A C y_pivot

and C follows by rank one when a unit is frozen, so that a step costs O(n d) and the walk O(n^2 d). The step goes to the
wall ahead (d+) with probability d- / (d+ + d-), else to the wall behind: a martingale, so E z stays 2 p - 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Walls", "balance_rows", "covariance_bound", "directions", "freeze", "inverse_gram", "walk", "walls"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

WALL = 1e-9
"""A unit this near to -1 or 1 has arrived: what is left is rounding."""

REFRESH = 256
"""Steps after which C is computed anew, so that rounding does not add up."""


class Walls(NamedTuple):
    """Distances to the wall ahead and behind, each (b,)."""

    ahead: Floats
    behind: Floats


def balance_rows(covariates: Floats, robustness: float) -> Floats:
    """Return Y = sqrt(1 - phi) X / xi, (n, d), with xi the largest row norm of X (n, d)."""
    largest = sqrt(float((covariates**2).sum(axis=1).max(initial=0.0)))
    rows = np.array(covariates, dtype=np.float64, order="F")
    rows *= sqrt(1.0 - robustness) / largest if largest > 0.0 else 0.0
    return rows


def covariance_bound(rows: Floats, robustness: float) -> Floats:
    """Return (phi I + Y Y')^-1, (n, n), the upper bound of Cov(z) (Harshaw et al. 2024)."""
    bound: Floats = np.linalg.inv(robustness * np.eye(len(rows)) + rows @ rows.T).astype(np.float64)
    return bound


def inverse_gram(rows: Floats, alive: Flags, robustness: float) -> Floats:
    """Return C = (phi I_d + Y_A' Y_A)^-1 for each set of units, alive (b, n): (b, d, d)."""
    d = rows.shape[1]
    outer = (rows[:, :, None] * rows[:, None, :]).reshape(len(rows), d * d)
    gram = np.einsum("bn,nk->bk", alive.astype(np.float64), outer).reshape(-1, d, d)
    inverse: Floats = np.linalg.inv(gram + robustness * np.eye(d))
    return inverse


def directions(rows: Floats, inverse: Floats, others: Flags, pivot: Ints, robustness: float, balanced: bool) -> Floats:
    """Return the direction of each walk, (b, n).

    Parameters
    ----------
    rows : (n, d) array
        Y.
    inverse : (b, d, d) array
        C of the units in `others`.
    others : (b, n) bool array
        Units neither frozen nor pivot.
    pivot : (b,) int64 array
    robustness : float
        phi.
    balanced : bool
        Let the direction sum to 0, while anybody but the pivot can move.
    """
    step = np.where(others, -_apply(rows, np.einsum("bij,bj->bi", inverse, rows[pivot])), 0.0)
    if balanced:
        # Lagrange: u = u0 + w (-1 - 1'u0) / 1'w with w = (phi I + Y_A Y_A')^-1 1 = (1 - Y_A C Y_A' 1) / phi.
        total = np.einsum("bn,nd->bd", others.astype(np.float64), rows)
        along = _apply(rows, np.einsum("bij,bj->bi", inverse, total))
        weight = np.where(others, (1.0 - along) / robustness, 0.0)
        mass = weight.sum(axis=1)
        some = others.any(axis=1)
        step += weight * np.where(some, (-1.0 - step.sum(axis=1)) / np.where(some, mass, 1.0), 0.0)[:, None]
    step[np.arange(len(step)), pivot] = 1.0
    return step


def _apply(rows: Floats, vectors: Floats) -> Floats:
    """Return Y v for each vector (b, d): (b, n), term by term, so that the size of the batch never shows in a bit."""
    result = vectors[:, :1] * rows[:, 0]
    for column in range(1, rows.shape[1]):
        result += vectors[:, column : column + 1] * rows[:, column]
    return result


def walls(state: Floats, step: Floats) -> Walls:
    """Return how far each walk (b, n) can go ahead and behind before the first unit meets -1 or 1."""
    size = np.abs(step)
    moving = size > 0.0
    # In the direction of its own step a unit has 1 - z sign(u) ahead and 1 + z sign(u) behind.
    toward = np.copysign(1.0, step) * state
    inverse = 1.0 / np.where(moving, size, 1.0)
    far = np.where(moving, 0.0, np.inf)
    ahead = ((1.0 - toward) * inverse + far).min(axis=1)
    behind = ((1.0 + toward) * inverse + far).min(axis=1)
    return Walls(np.maximum(ahead, 0.0), np.maximum(behind, 0.0))


def freeze(state: Floats, alive: Flags) -> Flags:
    """Put units that have met a wall on it, and return who still moves, (b, n)."""
    arrived = alive & (1.0 - np.abs(state) <= WALL)
    state[arrived] = np.sign(state[arrived])
    return alive & ~arrived


def walk(
    rows: Floats, start: Floats, order: Ints, coins: Floats, *, robustness: float, balanced: bool
) -> NDArray[np.int8]:
    """Walk to the corners.

    Parameters
    ----------
    rows : (n, d) array
        Y, from :func:`balance_rows`.
    start : (n,) array
        2 p - 1.
    order : (b, n) int64 array
        Uniform permutations: each unit's place. The pivot is the unit with the lowest place that still moves. What is
        not yet reached of a random order is random given the past, so each pivot is uniform among those that move.
    coins : (b, n) array
        Uniform in [0, 1); coin s decides step s. Each step freezes a unit, so n are enough.
    robustness : float
        phi in (0, 1].
    balanced : bool

    Returns
    -------
    int8 array, shape (b, n)
        -1 and 1.
    """
    size, n = order.shape
    corners = np.repeat(start[None], size, axis=0)
    alive = freeze(corners, np.ones((size, n), dtype=bool))
    pivot = np.full(size, -1)
    for first in range(0, n, REFRESH):
        # Units that no walk moves any more are left behind, and C is computed anew.
        units = np.flatnonzero(alive.any(axis=0))
        if not len(units):
            break
        part = _Walks.of(rows, corners, alive, order, units, pivot, robustness)
        for number in range(first, min(first + REFRESH, n)):
            if not part.step(coins[:, number], robustness, balanced):
                break
        corners[:, units], alive[:, units] = part.state, part.alive
        pivot = np.where(part.pivot < 0, -1, units[part.pivot])
    return corners.astype(np.int8)


@dataclass(frozen=True, slots=True, eq=False)
class _Walks:
    """Walks under way, over the units that some of them still move; all arrays change in place."""

    rows: Floats
    state: Floats
    alive: Flags
    others: Flags
    place: Ints
    pivot: Ints
    inverse: Floats

    @classmethod
    def of(
        cls, rows: Floats, state: Floats, alive: Flags, order: Ints, units: Ints, pivot: Ints, robustness: float
    ) -> _Walks:
        """Take up the walks where they stand."""
        rows = np.asfortranarray(rows[units])
        local = np.where(np.isin(pivot, units), np.searchsorted(units, pivot), -1)
        others = alive[:, units]
        led = np.flatnonzero(local >= 0)
        others[led, local[led]] = False
        inverse = inverse_gram(rows, others, robustness)
        return cls(rows, state[:, units], alive[:, units], others, order[:, units], local, inverse)

    def step(self, coins: Floats, robustness: float, balanced: bool) -> bool:
        """Take one step with every walk that can move; False where none can."""
        going = np.logical_or.reduce(self.alive, axis=1)
        if not going.any():
            return False
        self._new_pivots(going)
        step = directions(self.rows, self.inverse, self.others, np.maximum(self.pivot, 0), robustness, balanced)
        step[~going] = 0.0
        far = walls(self.state, step)
        ahead = coins * (far.ahead + far.behind) < far.behind
        length = np.where(going, np.where(ahead, far.ahead, -far.behind), 0.0)
        np.add(self.state, length[:, None] * step, out=self.state)
        left = freeze(self.state, self.alive)
        self._leave(self.alive & ~left & self.others)
        self.alive[:] = left
        return True

    def _new_pivots(self, going: Flags) -> None:
        """Choose a pivot for the walks whose pivot is frozen, and take it out of the others."""
        walks = np.arange(len(going))
        new = np.flatnonzero(going & ((self.pivot < 0) | ~self.alive[walks, self.pivot]))
        if not len(new):
            return
        last = np.iinfo(np.int64).max
        self.pivot[new] = np.where(self.alive[new], self.place[new], last).argmin(axis=1)
        self._downdate(new, self.pivot[new])

    def _leave(self, gone: Flags) -> None:
        """Take frozen units out of the others, one from each walk at a time."""
        walks = np.flatnonzero(gone.any(axis=1))
        while len(walks):
            units = gone[walks].argmax(axis=1)
            self._downdate(walks, units)
            gone[walks, units] = False
            walks = walks[gone[walks].any(axis=1)]

    def _downdate(self, walks: Ints, units: Ints) -> None:
        """C <- C + C y y' C / (1 - y' C y), the inverse without the row y (Sherman & Morrison 1950)."""
        self.others[walks, units] = False
        leaving = self.rows[units]
        along = np.einsum("bij,bj->bi", self.inverse[walks], leaving)
        rest = 1.0 - np.einsum("bi,bi->b", along, leaving)
        self.inverse[walks] += along[:, :, None] * along[:, None, :] / rest[:, None, None]
