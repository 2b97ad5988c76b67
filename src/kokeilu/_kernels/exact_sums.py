r"""Exact law of a sum over a random sample: whole numbers, strata, far beyond enumeration.

Of the n units of a stratum m are drawn at random; T is the sum of their whole numbers v, and k how many of them belong
to a marked group. The characteristic function of T is the coefficient of :math:`x^m` in

.. math:: \prod_v (q + p x e^{i\omega v})^{c_v}, \qquad p = m / n, \quad q = 1 - p,

over its value at :math:`\omega = 0`. It is read off on the circle x = exp(ia): the tilt p / q puts the mass at m, so
that nothing overflows, and a few standard deviations of points are enough. With
:math:`C(\omega) = \sum_v c_v e^{i\omega v}`,

.. math:: \Bigl|\prod_v (q + p e^{i(a + \omega v)})^{c_v}\Bigr| \le \exp\{-pq (n - \mathrm{Re}\, e^{ia} C(\omega))\},

which tells before any product which points (a, omega) matter. Marked and other units have products of their own, whose
coefficients k and m - k give the joint law of T and k. Characteristic functions of strata multiply.

Source: Pagano & Tritchler (1983), "On obtaining permutation distributions in polynomial time", JASA 78, 435-440,
section 3; the tilt is that of a saddlepoint. Hoeffding (1963), JASA 58, 13-30, theorem 4, for the window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.special import gammaln

from kokeilu._kernels.lattice import Stratum

__all__ = ["SumLaw", "exact_law"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Complex = NDArray[np.complex128]

CUT = 60.0
"""Points and frequencies whose modulus is surely below exp(-60) are left out."""

SMALL = 1e-22
"""A characteristic function below this is nought."""

TAIL = 41.0
"""The windows leave out a probability of at most 2 exp(-41) = 3e-18."""

LENGTH = 2**21
"""Longest window, in units of the lattice."""

CELLS = 2**25
"""Most numbers of a joint law: 256 MB."""

WORK = 2e8
"""Most factors of all products."""

BLOCK = 2**19
"""Points (frequency, circle) at a time: 8 MB."""

BOUNDED = 64
"""Strata of at least so many units are bounded before their products are made."""


class SumLaw(NamedTuple):
    """Joint law: mass[i, j] of overlap `first` + i and sum `low` + j; one row where overlaps are not told apart.

    That the masses add up to 1, and that mean and variance of the sum are what they must be, was checked.
    """

    first: int
    low: int
    mass: Floats


class _Window(NamedTuple):
    """Where the sums (or overlaps) lie: the least one, how many, and the length of the transform."""

    low: int
    width: int
    length: int


def exact_law(strata: Sequence[Stratum], *, joint: bool = False) -> SumLaw | None:
    """Return the law of the sum over all strata, None where it would cost too much or fails its checks.

    Parameters
    ----------
    strata : sequence of Stratum
    joint : bool
        Tell overlaps apart.
    """
    drawn = [one for one in strata if 0 < one.seats < one.size]
    settled = [one for one in strata if one.seats == one.size]
    low = sum(one.copies * int((one.values * (one.marked + one.others)).sum()) for one in settled)
    first = sum(one.copies * int(one.marked.sum()) for one in settled)
    if not drawn:
        return SumLaw(first, low, np.ones((1, 1)))
    window = _sum_window(drawn)
    overlap = _overlap_window(drawn) if joint else _Window(0, 1, 1)
    if window.length > LENGTH or overlap.width * window.length > CELLS:
        return None
    roots = np.exp(2j * np.pi * np.arange(window.length) / window.length)
    rows = _kept_rows(drawn, roots, joint=joint)
    circles = [_Circle.of(one, roots) for one in drawn]
    if sum(circle.work(len(rows)) for circle in circles) > WORK:
        return None
    mass = _inverted(_transform(circles, rows, overlap, joint=joint), rows, window, overlap, roots)
    law = SumLaw(first + (overlap.low if joint else 0), low + window.low, mass)
    return law if _sound(law, drawn, low) else None


def _moments(one: Stratum, values: Integers) -> tuple[float, float]:
    """Mean and variance of the sum of `values` over one stratum's sample."""
    counts, n, m = one.marked + one.others, one.size, one.seats
    mean = float((values * counts).sum()) / n
    spread = float((counts * (values - mean) ** 2).sum())
    return m * mean, m * (n - m) * spread / (n * (n - 1.0))


def _sum_window(strata: Sequence[Stratum]) -> _Window:
    return _window([(one.values, one.marked + one.others, one.seats, one.copies) for one in strata])


def _overlap_window(strata: Sequence[Stratum]) -> _Window:
    flags = np.arange(2)
    counts = [np.array([one.others.sum(), one.marked.sum()]) for one in strata]
    return _window([(flags[c > 0], c[c > 0], one.seats, one.copies) for one, c in zip(strata, counts, strict=True)])


def _window(parts: Sequence[tuple[Integers, Integers, int, int]]) -> _Window:
    """Window of sums over samples, from values (ascending), their counts, seats and copies of each stratum."""
    mean = variance = 0.0
    low = high = 0
    for values, counts, m, copies in parts:
        n, centre = int(counts.sum()), float((values * counts).sum()) / int(counts.sum())
        mean += copies * m * centre
        variance += copies * m * float((counts * (values - centre) ** 2).sum()) / n
        low += copies * _least(values, counts, m)
        high -= copies * _least(-values[::-1], counts[::-1], m)
    # Chernoff's bound over a grid of tilts; sampling without replacement is below that with (Hoeffding's theorem 4).
    tilts = np.geomspace(0.02, 20.0, 61) / np.sqrt(max(variance, 1e-12))
    ends = [min((TAIL + _cumulants(parts, sign * tilts)) / tilts) + 2.0 for sign in (-1.0, 1.0)]
    low, high = max(low, int(np.floor(mean - ends[0]))), min(high, int(np.ceil(mean + ends[1])))
    return _Window(low, high - low + 1, int(fft.next_fast_len(high - low + 1, real=True)))


def _cumulants(parts: Sequence[tuple[Integers, Integers, int, int]], tilts: Floats) -> Floats:
    """Bound on the log moment generating function of the centred sum at some tilts."""
    total = np.zeros(len(tilts))
    for values, counts, m, copies in parts:
        n = int(counts.sum())
        away = values - float((values * counts).sum()) / n
        # Of those drawn, or of those left, whose centred sum is the same but for its sign.
        spare, sign = (m, 1.0) if 2 * m <= n else (n - m, -1.0)
        exponent = sign * np.outer(tilts, away)
        top = exponent.max(axis=1)
        total += copies * spare * (top + np.log(np.exp(exponent - top[:, None]) @ (counts / n)))
    return total


def _least(values: Integers, counts: Integers, m: int) -> int:
    """Sum of the m least values (ascending)."""
    before = np.cumsum(counts) - counts
    return int((values * np.clip(m - before, 0, counts)).sum())


def _kept_rows(strata: Sequence[Stratum], roots: Complex, *, joint: bool) -> Integers:
    """Frequencies at which no large stratum's bound is below exp(-60)."""
    rows = np.arange(len(roots) // 2 + 1)
    for one in strata:
        if one.size < BOUNDED:
            break
        p = one.seats / one.size
        parts = (one.marked, one.others) if joint else (one.marked + one.others,)
        length = sum(np.abs(_sums(one.values, counts, rows, roots)) for counts in parts)
        rows = rows[p * (1.0 - p) * (one.size - length) <= CUT - _log_norm(one)]
    return rows


def _log_norm(one: Stratum) -> float:
    """Log of the binomial probability of just m of n, which bounds are divided by."""
    n, m = one.size, one.seats
    ways = gammaln(n + 1) - gammaln(m + 1) - gammaln(n - m + 1)
    return float(ways + m * np.log(m / n) + (n - m) * np.log1p(-m / n))


def _sums(values: Integers, counts: Integers, rows: Integers, roots: Complex) -> Complex:
    """C(omega) at some frequencies, (rows,)."""
    if len(values) * len(rows) > 32 * len(roots):
        folded = np.bincount(values % len(roots), weights=counts, minlength=len(roots))
        return np.asarray(np.conj(fft.rfft(folded))[rows], dtype=np.complex128)
    total = np.zeros(len(rows), dtype=np.complex128)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        if count:
            total += count * roots[rows * value % len(roots)]
    return total


class _Circle(NamedTuple):
    """One stratum's products at K points of the circle."""

    one: Stratum
    roots: Complex
    points: int
    norm: float

    @classmethod
    def of(cls, one: Stratum, roots: Complex) -> _Circle:
        """Choose the points: n + 1 give the coefficient itself, 16 standard deviations leave out exp(-128)."""
        p = one.seats / one.size
        wide = max(64, int(16.0 * np.sqrt(one.size * p * (1.0 - p))))
        circle = cls(one, roots, int(fft.next_fast_len(min(one.size + 1, wide))), 1.0)
        return circle._replace(norm=float(circle.drawn(np.zeros(1, dtype=np.int64))[0].real))

    def work(self, rows: int) -> float:
        """Return about how many factors the products at that many frequencies have."""
        p = self.one.seats / self.one.size
        near = CUT / (p * (1.0 - p) * self.one.size)
        share = 1.0 if near >= 2.0 else float(np.arccos(1.0 - near)) / np.pi
        return rows * max(1.0, self.points * share) * len(self.one.values)

    def drawn(self, rows: Integers) -> Complex:
        """Return the characteristic function of the sum at some frequencies, (rows,)."""
        turn = np.exp(-2j * np.pi * (np.arange(self.points) * self.one.seats % self.points) / self.points)
        product = self._product(self.one.marked + self.one.others, rows)
        return np.asarray(product @ turn, dtype=np.complex128) / (self.points * self.norm)

    def overlaps(self, rows: Integers) -> tuple[int, Complex]:
        """Return the same by overlap: the first overlap, and (rows, K)."""
        marked, seats, k = int(self.one.marked.sum()), self.one.seats, self.points
        ours, theirs = (
            fft.fft(self._product(counts, rows), axis=1) / k for counts in (self.one.marked, self.one.others)
        )
        first = round(seats * marked / self.one.size) - k // 2
        own = np.arange(first, first + k)
        inside = (own >= max(0, seats + marked - self.one.size)) & (own <= min(seats, marked))
        found = np.where(inside, ours[:, own % k] * theirs[:, (seats - own) % k], 0.0)
        return first, np.asarray(found, dtype=np.complex128) / self.norm

    def _product(self, counts: Integers, rows: Integers) -> Complex:
        """Products over units with these counts, (rows, K); 0 where the bound says so."""
        n, p = int(counts.sum()), self.one.seats / self.one.size
        around = np.exp(2j * np.pi * np.arange(self.points) / self.points)
        out = np.zeros((len(rows), self.points), dtype=np.complex128)
        step = max(1, BLOCK // self.points)
        for start in range(0, len(rows), step):
            own = rows[start : start + step]
            near = np.outer(_sums(self.one.values, counts, own, self.roots), around).real
            at = np.nonzero(p * (1.0 - p) * (n - near) <= CUT)
            out[start + at[0], at[1]] = self._factors(counts, own, at[0], around[at[1]], p)
        return out

    def _factors(self, counts: Integers, rows: Integers, where: NDArray[np.intp], turn: Complex, p: float) -> Complex:
        single = np.ones(len(turn), dtype=np.complex128)
        size, angle = np.zeros(len(turn)), np.zeros(len(turn))
        for value, count in zip(self.one.values.tolist(), counts.tolist(), strict=True):
            if not count:
                continue
            factor = (1.0 - p) + p * turn * self.roots[rows * value % len(self.roots)][where]
            if count == 1:
                single *= factor
            else:
                size += count * np.log(np.maximum(np.abs(factor), 1e-300))
                angle += count * np.angle(factor)
        return np.asarray(single * np.exp(size + 1j * angle), dtype=np.complex128)


def _transform(
    circles: Sequence[_Circle], rows: Integers, overlap: _Window, *, joint: bool
) -> Iterator[tuple[NDArray[np.intp], Complex]]:
    """Yield places among `rows` and the transform there, over sums and (turned) overlaps, (places, Theta)."""
    widest = max(overlap.length, max(circle.points for circle in circles))
    step = max(1, BLOCK // widest)
    for start in range(0, len(rows), step):
        places = np.arange(start, min(start + step, len(rows)))
        table = np.ones((len(places), overlap.length), dtype=np.complex128)
        for circle in circles:
            own = _turned(circle, rows[places], overlap, joint=joint)
            table *= own if circle.one.copies == 1 else own**circle.one.copies
            kept = np.abs(table).max(axis=1) > SMALL
            places, table = places[kept], table[kept]
            if not len(places):
                break
        yield places, table


def _turned(circle: _Circle, rows: Integers, overlap: _Window, *, joint: bool) -> Complex:
    """Sum over k of exp(2 pi i r k / Theta) times the part with overlap k, (rows, Theta)."""
    if not joint:
        return circle.drawn(rows)[:, None]
    first, parts = circle.overlaps(rows)
    width = overlap.length
    folded = np.zeros((len(rows), width), dtype=np.complex128)
    for start in range(0, parts.shape[1], width):
        piece = parts[:, start : start + width]
        places = (first + start + np.arange(piece.shape[1])) % width
        folded[:, places] += piece
    return np.asarray(fft.ifft(folded, axis=1), dtype=np.complex128) * width


def _inverted(
    pieces: Iterator[tuple[NDArray[np.intp], Complex]],
    rows: Integers,
    window: _Window,
    overlap: _Window,
    roots: Complex,
) -> Floats:
    """Masses (overlaps, sums) from the transform."""
    spectrum = np.zeros((overlap.width, window.length // 2 + 1), dtype=np.complex128)
    chosen = np.arange(overlap.low, overlap.low + overlap.width) % overlap.length
    for places, table in pieces:
        shift = roots[-rows[places] * window.low % window.length]
        parts = fft.fft(table, axis=1)[:, chosen] / overlap.length
        spectrum[:, rows[places]] = (parts * shift[:, None]).T
    mass = fft.irfft(np.conj(spectrum), n=window.length, axis=1)
    return np.asarray(mass[:, : window.width], dtype=np.float64)


def _sound(law: SumLaw, strata: Sequence[Stratum], settled: int) -> bool:
    """Whether the masses add up to 1 and give the mean and variance that sampling without replacement has."""
    moments = [(one.copies, *_moments(one, one.values)) for one in strata]
    mean = sum(copies * m for copies, m, _ in moments) + settled
    variance = sum(copies * v for copies, _, v in moments)
    mass = law.mass.sum(axis=0)
    away = law.low + np.arange(len(mass)) - mean
    found = float(mass @ away), float(mass @ away**2)
    close = abs(float(mass.sum()) - 1.0) < 1e-10 and abs(found[0]) <= 1e-7 * np.sqrt(variance) + 1e-9
    return bool(close and abs(found[1] - variance) <= 1e-6 * variance + 1e-9)
