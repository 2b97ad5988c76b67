r"""Random samples of units in categories, by their counts alone, from a stream of words.

The counts of a sample without replacement are multivariate hypergeometric: one category after the other has a
hypergeometric count, given what is left of units and seats. A count is drawn by ratio of uniforms with rejection
(Stadlober 1990): with f the probabilities over that of the mode, x = a + h (v - 1/2) / u is accepted when
:math:`u^2 \le f(\lfloor x \rfloor)`, where a - 1/2 is the mean, :math:`h = 2\sqrt{2/e}\, s + 3 - 2\sqrt{3/e}` and
:math:`s^2` the variance plus 1/2. The rectangle holds the whole region for every law of this kind.

Source: Stadlober (1990), "The ratio of uniforms approach for generating discrete random variates", Journal of
Computational and Applied Mathematics 31, 181-189, algorithm HRUA*. The words, tries and doubles are this library's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from kokeilu._kernels.streams import Stream

__all__ = ["hypergeometric", "log_factorials", "sample_counts"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

TRIES = 4
"""Pairs of uniforms read at a time for each draw: the chance that none is accepted is about 1 in 300."""

SLOPE = 2.0 * np.sqrt(2.0 / np.e)
WIDTH = 3.0 - 2.0 * np.sqrt(3.0 / np.e)


def log_factorials(n: int) -> Floats:
    """Return log k! for k = 0..n."""
    return np.asarray(gammaln(np.arange(n + 1) + 1.0), dtype=np.float64)


def sample_counts(counts: Integers, seats: Integers, stream: Stream) -> Integers:
    """Draw samples without replacement from units in categories.

    Parameters
    ----------
    counts : (C,) or (C, b) int64 array
        Units of each category, the same in all draws or not.
    seats : (b,) int64 array
        Units drawn.
    stream : Stream
        Row r is read for draw r: category c by the child stream "category c".

    Returns
    -------
    (C, b) int64 array
    """
    table = np.broadcast_to(counts[:, None] if counts.ndim == 1 else counts, (len(counts), len(seats)))
    logs = log_factorials(int(table.sum(axis=0).max(initial=0)))
    out = np.zeros(table.shape, dtype=np.int64)
    left, open_ = table.sum(axis=0), np.array(seats, dtype=np.int64)
    for place in range(len(table)):
        good = table[place]
        left = left - good
        out[place] = hypergeometric(good, left, open_, stream.child(f"category {place}"), logs)
        open_ = open_ - out[place]
    return out


def hypergeometric(good: Integers, bad: Integers, seats: Integers, stream: Stream, logs: Floats) -> Integers:
    """Return how many of `seats` units drawn at random from `good` + `bad` are good.

    Parameters
    ----------
    good, bad, seats : (b,) int64 arrays
    stream : Stream
        Row r is read for draw r; tries 4a to 4a + 3 stand in the child stream "tries a".
    logs : array
        `log_factorials` of at least the largest good + bad.

    Returns
    -------
    (b,) int64 array
    """
    least, most = np.maximum(seats - bad, 0), np.minimum(good, seats)
    result = least.copy()
    open_ = np.flatnonzero(most > least)
    attempt = 0
    while open_.size:
        words = stream.child(f"tries {attempt}").words(len(seats), 2 * TRIES)
        for turn in range(TRIES):
            own = open_ if open_.size < len(seats) else slice(None)
            law = _Law(good[own], bad[own], seats[own], logs)
            found, accepted = law.tried(words[own, 2 * turn], words[own, 2 * turn + 1])
            result[open_[accepted]] = found[accepted]
            open_ = open_[~accepted]
            if not open_.size:
                break
        attempt += 1
    return np.asarray(result, dtype=np.int64)


class _Law:
    """Hypergeometric laws, one for each draw, by ratio of uniforms."""

    __slots__ = ("bad", "good", "logs", "seats")

    def __init__(self, good: Integers, bad: Integers, seats: Integers, logs: Floats) -> None:
        self.good, self.bad, self.seats, self.logs = good, bad, seats, logs

    def weight(self, k: Integers) -> Floats:
        """Log probability up to a constant."""
        logs, left = self.logs, self.seats - k
        total = logs[k] + logs[left]
        total += logs[self.good - k]
        total += logs[self.bad - left]
        return np.asarray(-total, dtype=np.float64)

    def tried(self, first: NDArray[np.uint64], second: NDArray[np.uint64]) -> tuple[Integers, NDArray[np.bool_]]:
        """One try for each draw: the count, and whether it is accepted."""
        # u in (0, 1], so that it divides.
        u = ((first >> np.uint64(11)).astype(np.float64) + 1.0) * 2.0**-53
        v = (second >> np.uint64(11)).astype(np.float64) * 2.0**-53
        n = (self.good + self.bad).astype(np.float64)
        mean = self.seats * (self.good / n)
        variance = mean * (self.bad / n) * ((n - self.seats) / np.maximum(n - 1.0, 1.0))
        x = mean + 0.5 + (SLOPE * np.sqrt(variance + 0.5) + WIDTH) * (v - 0.5) / u
        least, most = np.maximum(self.seats - self.bad, 0), np.minimum(self.good, self.seats)
        inside = (x >= least) & (x < most + 1)
        k = np.where(inside, x, least).astype(np.int64)
        mode = ((self.seats + 1) * ((self.good + 1) / (n + 2.0))).astype(np.int64)
        top = self.weight(np.minimum(np.maximum(mode, least), most))
        return k, inside & (2.0 * np.log(u) <= self.weight(k) - top)
