r"""Random subsets of a given size, many at once, by few random bits.

Each unit is in at first by a coin of probability near m / n, made from the words' bits; then as many units as are too
many (too few) are taken out (put in), uniformly. Coins treat all units alike and so does the repair: every subset of
size m is equally likely. A draw costs about n bits per digit of the coin's probability and a few standard
deviations of the binomial count in repairs, where shuffling costs n words and a sort.

A coin with the binary digits d_1 d_2 ... d_J comes up when J random bits, read as a number, are below them: from the
last digit to the first, r becomes (w or r) where the digit is 1 and (w and r) where it is 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.streams import Stream

__all__ = ["random_subsets", "subset_totals"]

Flags = NDArray[np.uint8]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DIGITS = 20
"""Most binary digits of the coin."""

STRIDE = 4_096

RARE = 1.0 / 3.0
"""Below this share the coin is set low, so that nearly all draws are repaired by putting in: taking out would have to
look for the few who are in."""


def random_subsets(units: int, share: float, seats: Integers, stream: Stream, allowed: Flags | None = None) -> Flags:
    """Draw random subsets.

    Parameters
    ----------
    units : int
        Number of units n, below 2**31.
    share : float
        About seats / (units allowed): it only decides the cost, but it decides the draws too.
    seats : (b,) int64 array
        Size of each subset.
    stream : Stream
        Row r is read for subset r.
    allowed : (b, n) uint8 array, optional
        1 for the units that may be in.

    Returns
    -------
    (b, n) uint8 array
        1 for those who are in.
    """
    if share > 0.5:
        most = np.full(len(seats), units) if allowed is None else allowed.sum(axis=1, dtype=np.int64)
        out = random_subsets(units, 1.0 - share, most - seats, stream, allowed)
        return np.asarray((1 if allowed is None else allowed) - out, dtype=np.uint8)
    spread = np.sqrt(units * share * (1.0 - share))
    held = _coins(units, share - (3.0 * spread / units if share < RARE else 0.0), len(seats), stream)
    if allowed is not None:
        held &= allowed
    # How many looks nearly always suffice; more are read where they do not.
    looks = (3.0 if share < RARE else 1.3) * spread / (1.0 - share if share < RARE else share)
    _repair(held, seats, allowed, 2 * int(0.6 * looks + 8.0), stream)
    return held


def subset_totals(held: Flags, features: Floats) -> Floats:
    """Sums (b, F) of features (n, F) over subsets (b, n), a few thousand units at a time, which stay in the cache."""
    total = np.zeros((len(held), features.shape[1]))
    for start in range(0, held.shape[1], STRIDE):
        total += held[:, start : start + STRIDE].astype(np.float64) @ features[start : start + STRIDE]
    return total


def _coins(units: int, share: float, size: int, stream: Stream) -> Flags:
    """Independent coins (size, units) of a probability near `share`."""
    if share <= 0.0:
        return np.zeros((size, units), dtype=np.uint8)
    near = 0.5 * np.sqrt(share * (1.0 - share) / units)
    digits = next((j for j in range(1, DIGITS) if abs(round(share * 2**j) / 2**j - share) <= near), DIGITS)
    whole = round(share * 2**digits)
    width = -(-units // 64)
    words = stream.child("coins").words(size, digits * width).reshape(size, digits, width)
    came = np.zeros((size, width), dtype=np.uint64)
    for place in range(digits):
        # From the last digit: those after the last 1 leave all at 0.
        if whole >> place & 1:
            came |= words[:, digits - 1 - place]
        else:
            came &= words[:, digits - 1 - place]
    # On any machine the lowest bit of a word is the first unit.
    whole_bytes = np.ascontiguousarray(came.astype("<u8", copy=False)).view(np.uint8)
    return np.unpackbits(whole_bytes, axis=1, count=units, bitorder="little")


def _repair(held: Flags, seats: Integers, allowed: Flags | None, looks: int, stream: Stream) -> None:
    """Take out or put in uniformly until each row has its seats: the first fitting units looked at, in order."""
    size, units = held.shape
    surplus = np.bitwise_count(np.packbits(held, axis=1)).sum(axis=1, dtype=np.int64) - seats
    flat, scratch = held.reshape(-1), np.empty(held.size, dtype=np.int32)
    order = np.arange(looks, dtype=np.int32)
    rows, attempt = np.flatnonzero(surplus), 0
    while rows.size:
        places, fair = _looks(stream.child(f"repair {attempt}"), rows, size, units, looks)
        places += rows[:, None] * units
        want = (surplus[rows] > 0)[:, None]
        fits = fair & (flat[places] == want)
        if allowed is not None:
            fits &= allowed.reshape(-1)[places] == 1
        # A unit looked at twice counts once: the last to write is the first look.
        scratch[places[:, ::-1]] = order[::-1]
        fits &= scratch[places] == order
        taken = fits & (np.cumsum(fits, axis=1) <= np.abs(surplus[rows])[:, None])
        flat[places[taken]] ^= 1
        surplus[rows] -= np.sign(surplus[rows]) * taken.sum(axis=1)
        rows, attempt = rows[surplus[rows] != 0], attempt + 1


def _looks(stream: Stream, rows: Integers, size: int, units: int, looks: int) -> tuple[Integers, NDArray[np.bool_]]:
    """Units to look at (rows, looks), and whether the half word was below the largest multiple of `units`."""
    width = looks // 2
    if 4 * rows.size > size:
        words = stream.words(size, width)[rows]
    else:
        words = np.concatenate([stream.skip(row).words(1, width) for row in rows.tolist()])
    halves = np.ascontiguousarray(words.astype("<u8", copy=False)).view("<u4")
    return (halves % np.uint32(units)).astype(np.int64), halves < np.uint64(2**32 - 2**32 % units)
