"""Arm codes from seats by short keys: the many tries of a rerandomisation.

The law is that of ``shuffle.seat_people``; the words are others. Unit i of a stratum has a 16-bit key (four to a word,
lowest first). The first seats[r, 0] units in the order of the keys get arm 0, the next seats[r, 1] arm 1, and so on.
Units whose key is that of a cut are put in order by further words, so that no two orders differ in probability (but for
equal 64-bit words).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.streams import Stream

__all__ = ["quick_seats", "rough_seats_beyond", "seats_beyond", "short_keys"]

Codes = NDArray[np.int8]
Ints = NDArray[np.int64]
Keys = NDArray[np.uint16]
Whole = NDArray[np.unsignedinteger[Any]]
Flags = NDArray[np.bool_]

_TIES = 64
"""Words read at a time for units that tie at a cut."""

_NARROW = 3
"""Cuts that left-over seats move by no more than this are few enough to select at one after the other."""


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
    keys = short_keys(units, len(seats), stream)
    return seats_beyond(keys, np.cumsum(seats, axis=1).T[:-1], stream, np.arange(len(seats)))


def short_keys(units: int, size: int, stream: Stream) -> Keys:
    """Return the keys of the units in the first tries of a stream, uint16, shape (size, units)."""
    words = stream.child("keys").words(size, -(-units // 4))
    # On any machine the lowest 16 bits of a word are the first key.
    return np.ascontiguousarray(words.astype("<u8", copy=False)).view("<u2")[:, :units]


def seats_beyond(keys: Keys, ends: Ints, stream: Stream, rows: Ints) -> Codes:
    """Count for each unit the cuts beyond which it lies: its arm.

    Parameters
    ----------
    keys : uint16 array, shape (size, n)
    ends : int64 array, shape (cuts, size)
        How many units of each try lie before each cut.
    stream : Stream
    rows : int64 array, shape (size,)
        The numbers of the tries in the stream.

    Returns
    -------
    int8 array, shape (size, n)
    """
    codes = np.zeros(keys.shape, dtype=np.int8)
    for end, last, first in _cuts(keys, ends):
        _add_beyond(keys, end, first, codes)
        for row in np.flatnonzero(_parted(end, last, first, keys.shape[1])).tolist():
            place = stream.skip(int(rows[row]))
            codes[row, _before(keys[row], int(end[row]), int(first[row]), place)] -= 1
    return codes


def rough_seats_beyond(keys: Keys, ends: Ints) -> tuple[Codes, Ints]:
    """Return the same with all units of the key of a cut beyond it, and how many of them may have to move at most.

    Words for ties cost more than all the rest, so that tries are looked at before they are put in order.

    Returns
    -------
    codes : int8 array, shape (size, n)
    moves : int64 array, shape (size,)
        No more units than this stand one arm too far.
    """
    codes, moves = np.zeros(keys.shape, dtype=np.int8), np.zeros(len(keys), dtype=np.int64)
    for end, last, first in _cuts(keys, ends):
        _add_beyond(keys, end, first, codes)
        rows = np.flatnonzero(_parted(end, last, first, keys.shape[1]))
        moves[rows] += np.count_nonzero(keys[rows] == first[rows, None], axis=1) - 1
    return codes, moves


def _cuts(keys: Keys, ends: Ints) -> Iterator[tuple[Ints, Keys, Keys]]:
    """Yield each cut with the last key before it and the first beyond it, each (size,)."""
    if not len(keys):
        return
    # Selection is quickest where the processor has instructions for it; a stable sort, which for 16-bit numbers is a
    # radix sort, is as fast on any processor. The codes are the same.
    narrow = int((ends.max(axis=1) - ends.min(axis=1)).max(initial=0)) <= _NARROW
    kind = _selected_kind() if narrow else None
    ordered = np.sort(keys, axis=1, kind="stable") if kind is None else keys.astype(kind, copy=False)
    for end in ends:
        yield end, *(_beside(ordered, end) if kind is None else _selected(ordered, end))


@cache
def _selected_kind() -> type[np.unsignedinteger[Any]] | None:
    """Return the numbers that NumPy partitions with vector instructions on this processor: 16 bits, 32, or none."""
    found = np.show_config(mode="dicts") or {}
    features = {name.upper() for name in found.get("SIMD Extensions", {}).get("found", [])}
    if "AVX512_ICL" in features:
        return np.uint16
    # The name of the feature changed in NumPy 2.4.
    return np.uint32 if features & {"AVX2", "X86_V3"} else None


def _selected(keys: Whole, end: Ints) -> tuple[Keys, Keys]:
    """Return the last key before and the first beyond the cuts `end`, which lie close together: each (size,)."""
    low, high = int(end.min()), int(end.max())
    if low == high:
        return _selected_at(keys, low)
    last, first = np.empty(len(keys), dtype=np.uint16), np.empty(len(keys), dtype=np.uint16)
    for place in range(low, high + 1):
        rows = (end == place).nonzero()[0]
        if len(rows):
            last[rows], first[rows] = _selected_at(keys[rows], place)
    return last, first


def _selected_at(keys: Whole, end: int) -> tuple[Keys, Keys]:
    n = keys.shape[1]
    if end in (0, n):
        edge = (keys.min(axis=1) if end == 0 else keys.max(axis=1)).astype(np.uint16)
        return edge, edge
    parted = np.partition(keys, end - 1, axis=1)
    return parted[:, end - 1].astype(np.uint16), parted[:, end:].min(axis=1).astype(np.uint16)


def _beside(ordered: Whole, end: Ints) -> tuple[Keys, Keys]:
    """Return the last key before and the first beyond the cuts `end`, each (size,), from sorted keys."""
    rows, n = np.arange(len(ordered)), ordered.shape[1]
    last, first = ordered[rows, np.maximum(end, 1) - 1], ordered[rows, np.minimum(end, n - 1)]
    return last.astype(np.uint16), first.astype(np.uint16)


def _add_beyond(keys: Keys, end: Ints, first: Keys, codes: Codes) -> None:
    """Add 1 to the codes of the units beyond the cut `end`, whose keys begin with `first`."""
    inside = end < keys.shape[1]
    if inside.all():
        codes += keys >= first[:, None]
    else:
        codes += (keys >= first[:, None]) & inside[:, None]


def _parted(end: Ints, last: Keys, first: Keys, units: int) -> Flags:
    """Tell in which tries units of one key stand on both sides of the cut."""
    parted: Flags = (end > 0) & (end < units) & (last == first)
    return parted


def _before(keys: Keys, end: int, key: int, stream: Stream) -> Ints:
    """Return the units of this key that are drawn to stand before the cut, from the keys (n,) of one try."""
    tied = np.flatnonzero(keys == key)
    before = end - int(np.count_nonzero(keys < key))
    width = -(-len(tied) // _TIES) * _TIES
    # Each tied key has words of its own: cuts in one key share an order, cuts in two are independent.
    words = stream.child(f"ties of {key}, {width}").words(1, width)[0, : len(tied)]
    return tied[np.argsort(words, kind="stable")[:before]]
