"""Random ranks that agree with the seats of :mod:`kokeilu._kernels.shuffle`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.streams import Stream

__all__ = ["go_down", "rank_people"]


def rank_people(strata: NDArray[np.int64], sizes: NDArray[np.int64], stream: Stream, size: int) -> NDArray[np.int64]:
    """Rank units at random within strata, by the same words as ``seat_people``.

    Unit i has the key ``word_i >> b`` with b the bits that hold S - 1. ``seat_people`` gives the seats of arm 0, 1, …
    in ascending order of (key, position); here the last of that order has rank 1. So with two arms and m seats in
    the second, those with rank 1 to m are those who sit in it.

    Parameters
    ----------
    strata : int64 array, shape (n,)
        Codes 0..S-1.
    sizes : int64 array, shape (S,)
        Units in each stratum.
    stream : Stream
        Row r is read for draw r.
    size : int
        Number of draws.

    Returns
    -------
    int64 array, shape (size, n)
        1 to the size of the stratum.
    """
    bits = np.uint64(int(len(sizes) - 1).bit_length())
    keys = stream.words(size, len(strata)) >> bits
    if bits:
        keys |= strata.astype(np.uint64) << (np.uint64(64) - bits)
    # A stable sort by (stratum, key) breaks ties by position, as the seats do.
    order = keys.argsort(axis=1, kind="stable")
    from_last = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(strata))
    ranks = np.empty((size, len(strata)), dtype=np.int64)
    np.put_along_axis(ranks, order, np.broadcast_to(from_last, ranks.shape), axis=1)
    return ranks


def go_down(
    lists: NDArray[np.int64], ranks: NDArray[np.int64], places: NDArray[np.int64], declined: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Tell who has an offer once each list was gone down until its places are taken, or it ended.

    Somebody of rank r has an offer where fewer than C of those with ranks below r did not decline. Of n people in
    random order, of whom d decline when asked, P(offer) = min(1, C / (n - d)) for each of those who do not, and
    min(1, C / (n - d + 1)) for each of those who do.

    Parameters
    ----------
    lists : int64 array, shape (n,)
        Codes 0..L-1.
    ranks : int64 array, shape (n,)
        From 1, each rank of a list once.
    places : int64 array, shape (L,)
    declined : bool array, shape (n,)

    Returns
    -------
    bool array, shape (n,)
    """
    order = np.lexsort((ranks, lists))
    # How many before each person of the order, all lists together and then less those of earlier lists, keep an offer.
    kept = ~declined[order]
    before: NDArray[np.int64] = np.cumsum(kept, dtype=np.int64) - kept
    starts = np.searchsorted(lists[order], np.arange(len(places)))
    before -= np.concatenate([before, [0]])[np.minimum(starts, len(order))][lists[order]]
    offered = np.zeros(len(lists), dtype=bool)
    offered[order] = before < places[lists[order]]
    return offered
