"""Orders of a few kinds: how many there are, and all of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

__all__ = ["all_arrangements", "arrangements"]


def arrangements(counts: Sequence[int]) -> int:
    """Multinomial coefficient."""
    left, ways = sum(counts), 1
    for count in counts:
        ways *= comb(left, count)
        left -= count
    return ways


def all_arrangements(counts: tuple[int, ...]) -> NDArray[np.int8]:
    """Return every order of counts[0] zeros, counts[1] ones, …, shape (multinomial, sum(counts))."""
    n, last = sum(counts), len(counts) - 1
    if last == 0:
        return np.zeros((1, n), dtype=np.int8)
    rest = all_arrangements(counts[:-1])
    size = comb(n, counts[last]), counts[last]
    picks = np.array(list(combinations(range(n), counts[last])), dtype=np.int64).reshape(size)
    ways = np.arange(len(picks))
    free = np.ones((len(picks), n), dtype=bool)
    free[ways[:, None], picks] = False
    others = np.nonzero(free)[1].reshape(len(picks), 1, n - counts[last])
    out = np.full((len(picks), len(rest), n), last, dtype=np.int8)
    out[ways[:, None, None], np.arange(len(rest))[:, None], others] = rest
    return out.reshape(len(picks) * len(rest), n)
