"""The exact law of a Gram-Schmidt walk of a few units: every pivot and every coin, step by step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.walk import directions, freeze, inverse_gram, walls

__all__ = ["walk_law"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DIGITS = 9
"""States that agree to so many decimals are one."""


class _Front(NamedTuple):
    """Walks under way: state (b, n), pivot (b,), probability (b,)."""

    state: Floats
    pivot: Ints
    chance: Floats


def walk_law(
    rows: Floats, start: Floats, *, robustness: float, balanced: bool, limit: int = 50_000
) -> tuple[NDArray[np.int8], Floats] | None:
    """Return every corner that the walk can reach, (m, n) of -1 and 1, and its probability, (m,).

    Parameters
    ----------
    rows : (n, d) array
        Y, from :func:`kokeilu._kernels.walk.balance_rows`.
    start : (n,) array
    robustness : float
    balanced : bool
    limit : int
        Most states followed at a time; None is returned beyond.
    """
    state = start[None].copy()
    alive = freeze(state, np.ones_like(state, dtype=bool))
    done: list[tuple[Floats, Floats]] = [(state, np.ones(1))] if not alive.any() else []
    front = _new_pivots(_Front(state, np.full(1, -1), np.ones(1)))
    while len(front.state):
        if len(front.state) > limit:
            return None
        front = _step(front, rows, robustness, balanced)
        finished = (np.abs(front.state) == 1.0).all(axis=1)
        done.append((front.state[finished], front.chance[finished]))
        front = _merged(_new_pivots(_Front(*(part[~finished] for part in front))))
    corners, place = np.unique(np.concatenate([s for s, _ in done]), axis=0, return_inverse=True)
    chances: Floats = np.bincount(place.ravel(), weights=np.concatenate([c for _, c in done])).astype(np.float64)
    return corners.astype(np.int8), chances


def _step(front: _Front, rows: Floats, robustness: float, balanced: bool) -> _Front:
    """Take every walk to the wall ahead and to the wall behind."""
    others = np.abs(front.state) < 1.0
    others[np.arange(len(others)), front.pivot] = False
    inverse = inverse_gram(rows, others, robustness)
    step = directions(rows, inverse, others, front.pivot, robustness, balanced)
    far = walls(front.state, step)
    room = far.ahead + far.behind
    state = np.concatenate([front.state + far.ahead[:, None] * step, front.state - far.behind[:, None] * step])
    freeze(state, np.ones_like(state, dtype=bool))
    chance = np.concatenate([front.chance * far.behind / room, front.chance * far.ahead / room])
    return _Front(state, np.tile(front.pivot, 2), chance)


def _new_pivots(front: _Front) -> _Front:
    """Split walks whose pivot is frozen: each unit that still moves is as likely."""
    alive = np.abs(front.state) < 1.0
    kept = (front.pivot >= 0) & alive[np.arange(len(alive)), front.pivot]
    open_ = np.flatnonzero(~kept)
    walks, pivots = np.nonzero(alive[open_])
    split = open_[walks]
    return _Front(
        np.concatenate([front.state[kept], front.state[split]]),
        np.concatenate([front.pivot[kept], pivots]),
        np.concatenate([front.chance[kept], front.chance[split] / alive[split].sum(axis=1)]),
    )


def _merged(front: _Front) -> _Front:
    if not len(front.state):
        return front
    key = np.column_stack([np.round(front.state, DIGITS) + 0.0, front.pivot])
    _, first, place = np.unique(key, axis=0, return_index=True, return_inverse=True)
    chance: Floats = np.bincount(place.ravel(), weights=front.chance).astype(np.float64)
    return _Front(front.state[first], front.pivot[first], chance)
