"""Arm codes from seats by short keys: the many tries of a rerandomisation.

The law is that of ``shuffle.seat_people``; the words are others. Unit i of a stratum has a 16-bit key (four to a word,
lowest first). The first seats[r, 0] units in the order of the keys get arm 0, the next seats[r, 1] arm 1, and so on.
Units whose key is that of a cut are put in order by further words, so that no two orders differ in probability (but for
equal 64-bit words).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.streams import Stream

__all__ = ["quick_seats"]

Codes = NDArray[np.int8]
Ints = NDArray[np.int64]
Keys = NDArray[np.uint16]

_TIES = 64
"""Words read at a time for units that tie at a cut."""


def quick_seats(units: int, seats: Ints, stream: Stream) -> Codes:
    """Seat the units of one stratum at random.

    Parameters
    ----------
    units : int
        Number of units n.
    seats : int64 array, shape (size, K)
        Rows sum to n.
    stream : Stream
        Row r is read for try r.

    Returns
    -------
    int8 array, shape (size, n)
    """
    keys = _short_keys(units, len(seats), stream)
    codes = np.zeros(keys.shape, dtype=np.int8)
    ends = np.cumsum(seats, axis=1).T[:-1]
    # Selection is quickest where the processor has instructions for it; a stable sort, which for 16-bit numbers is a
    # radix sort, is as fast on any processor. The codes are the same.
    select = _selects_quickly() and bool((ends == ends[:, :1]).all())
    ordered = None if select else np.sort(keys, axis=1, kind="stable")
    for end in ends:
        beside = _selected(keys, int(end[0])) if ordered is None else _beside(ordered, end)
        _cut(keys, end, *beside, codes, stream)
    return codes


@cache
def _selects_quickly() -> bool:
    """Tell whether NumPy partitions 16-bit numbers with vector instructions on this processor."""
    found = np.show_config(mode="dicts")
    return found is not None and "AVX512_ICL" in found.get("SIMD Extensions", {}).get("found", [])


def _selected(keys: Keys, end: int) -> tuple[Keys, Keys]:
    """Return the last key before and the first beyond a cut that is the same in all rows, each (size,)."""
    n = keys.shape[1]
    if end in (0, n):
        edge = keys.min(axis=1) if end == 0 else keys.max(axis=1)
        return edge, edge
    parted = np.partition(keys, end - 1, axis=1)
    return parted[:, end - 1], parted[:, end:].min(axis=1)


def _beside(ordered: Keys, end: Ints) -> tuple[Keys, Keys]:
    """Return the last key before and the first beyond the cuts `end`, each (size,), from sorted keys."""
    rows, n = np.arange(len(ordered)), ordered.shape[1]
    return ordered[rows, np.maximum(end, 1) - 1], ordered[rows, np.minimum(end, n - 1)]


def _short_keys(units: int, size: int, stream: Stream) -> Keys:
    words = stream.child("keys").words(size, -(-units // 4))
    # On any machine the lowest 16 bits of a word are the first key.
    return np.ascontiguousarray(words.astype("<u8", copy=False)).view("<u2")[:, :units]


def _cut(keys: Keys, end: Ints, last: Keys, first: Keys, codes: Codes, stream: Stream) -> None:
    """Add 1 to the codes of the units beyond the cut `end`, which lies between the keys `last` and `first`: (size,)."""
    inside = end < keys.shape[1]
    if inside.all():
        codes += keys >= first[:, None]
    else:
        codes += (keys >= first[:, None]) & inside[:, None]
    for row in np.flatnonzero((end > 0) & inside & (last == first)).tolist():
        key = int(first[row])
        tied = np.flatnonzero(keys[row] == key)
        before = int(end[row]) - int(np.count_nonzero(keys[row] < key))
        width = -(-len(tied) // _TIES) * _TIES
        # Each tied key has words of its own: cuts in one key share an order, cuts in two are independent.
        words = stream.child(f"ties of {key}, {width}").skip(row).words(1, width)[0, : len(tied)]
        codes[row, tied[np.argsort(words, kind="stable")[:before]]] -= 1
