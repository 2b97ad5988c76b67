"""Arm codes from seats: within each stratum the units are ranked by random words and take the seats in order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.streams import Stream

__all__ = ["seat_people"]

_BLOCK_CELLS = 2**17
"""Keys sorted at a time: one megabyte, so that a block stays in the cache."""


def seat_people(
    strata: NDArray[np.int64], sizes: NDArray[np.int64], seats: NDArray[np.int64], stream: Stream
) -> NDArray[np.int8]:
    """Seat units at random within strata.

    Unit i has the key ``word_i >> b`` with b the bits that hold S - 1. Within its stratum it has the rank of
    (key, position); the first ``seats[..., s, 0]`` ranks get arm 0, the next ``seats[..., s, 1]`` arm 1, and so on.

    Parameters
    ----------
    strata : int64 array, shape (n,)
        Codes 0..S-1.
    sizes : int64 array, shape (S,)
        Units in each stratum.
    seats : int64 array, shape (size, S, K)
        Seats of each arm; rows sum to `sizes`.
    stream : Stream
        Row r is read for draw r.

    Returns
    -------
    int8 array, shape (size, n)
    """
    bits = np.uint64(int(len(sizes) - 1).bit_length())
    high = strata.astype(np.uint64) << (np.uint64(64) - bits) if bits else None
    starts = np.cumsum(sizes) - sizes
    codes = np.zeros((len(seats), len(strata)), dtype=np.int8)
    step = max(1, _BLOCK_CELLS // max(len(strata), 1))
    for first in range(0, len(seats), step):
        block = seats[first : first + step]
        keys = stream.skip(first).words(len(block), len(strata)) >> bits
        if high is not None:
            keys |= high
        _seat_block(keys, strata, starts, block, codes[first : first + step])
    return codes


def _seat_block(
    keys: NDArray[np.uint64],
    strata: NDArray[np.int64],
    starts: NDArray[np.int64],
    seats: NDArray[np.int64],
    codes: NDArray[np.int8],
) -> None:
    """Add 1 to the code of every unit that lies beyond the cut between two arms, cut by cut."""
    n = keys.shape[1]
    ordered = np.sort(keys, axis=1)
    ends = starts + np.cumsum(seats, axis=2).transpose(2, 0, 1)[:-1]
    tied = np.zeros(len(keys), dtype=bool)
    for end in ends:
        # The first key beyond the cut; where a cut lies at the end of its stratum that key is of a later stratum.
        inside = end < n
        beyond = np.take_along_axis(ordered, np.minimum(end, n - 1), axis=1)
        before = np.take_along_axis(ordered, np.maximum(end, 1) - 1, axis=1)
        tied |= ((before == beyond) & inside & (end > 0)).any(axis=1)
        if inside.all():
            codes += keys >= np.take(beyond, strata, axis=1)
        else:
            codes += (keys >= np.take(beyond, strata, axis=1)) & np.take(inside, strata, axis=1)
    for row in np.flatnonzero(tied):
        codes[row] = _seat_with_ties(keys[row], seats[row])


def _seat_with_ties(keys: NDArray[np.uint64], seats: NDArray[np.int64]) -> NDArray[np.int8]:
    """Seat one draw in which two keys of a stratum are equal across a cut (probability about n**2 / 2**65)."""
    order = np.argsort(keys, kind="stable")
    arms = np.tile(np.arange(seats.shape[1], dtype=np.int8), len(seats))
    codes = np.empty(len(keys), dtype=np.int8)
    codes[order] = np.repeat(arms, seats.ravel())
    return codes
