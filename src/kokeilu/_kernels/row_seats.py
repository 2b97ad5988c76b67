"""Seats where the shares differ from draw to draw, as they do once they follow earlier outcomes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.streams import Stream, below

__all__ = ["systematic_seats"]

Ints = NDArray[np.int64]


def systematic_seats(parts: Ints, unit: int, sizes: Ints, stream: Stream) -> Ints:
    """Give each stratum whole seats; those left over by systematic selection over arms in random order (Madow 1949).

    Draw r has the shares ``parts[r] / unit``. Stratum s is owed ``n_s parts[r, k] / unit`` seats of arm k: the whole
    part at once, and one more with probability the fraction. Words as for "stratum" in
    :mod:`kokeilu._kernels.seats`: arms are ordered by words s K ... s K + K - 1 of "orders", the start is number s of
    ``below("starts", unit)``.

    Parameters
    ----------
    parts : int64 array, shape (size, K)
        Rows sum to `unit`.
    unit : int
    sizes : int64 array, shape (S,)
    stream : Stream
        Row r is read for draw r.

    Returns
    -------
    int64 array, shape (size, S, K)
        Rows sum to `sizes`; expectation ``sizes[s] * parts[r] / unit``.
    """
    seats, fractions = np.divmod(sizes[None, :, None] * parts[:, None, :], unit)
    if not fractions.any():
        return seats
    size, strata, arms = seats.shape
    order = stream.child("orders").words(size, strata * arms).reshape(seats.shape).argsort(axis=2, kind="stable")
    level = below(stream.child("starts"), np.full((size, strata), unit, dtype=np.int64))
    for place in range(arms):
        arm = order[:, :, place : place + 1]
        level = level + np.take_along_axis(fractions, arm, axis=2)[:, :, 0]
        full = level >= unit
        level -= np.where(full, unit, 0)
        np.put_along_axis(seats, arm, np.take_along_axis(seats, arm, axis=2) + full[:, :, None], axis=2)
    return seats
