r"""Null distributions of a shift: a statistic under every redraw, for any shift, from sums made once.

Under the hypothesis that one arm shifts everybody's outcome by :math:`\tau` the outcomes without it are
:math:`e = y - \tau z`, with z the arm as it was drawn, and a redraw is judged by the statistic of e. The difference
in means D is linear in e and its Neyman variance V is a quadratic form, so that

.. math:: D_b(\tau) = D_b(y) - \tau D_b(z), \qquad V_b(\tau) = V_b(y) - 2 \tau C_b(y, z) + \tau^2 V_b(z).

Five numbers for each redraw serve every shift; the same redraws are used for all of them (common random numbers).
Source: Pagano & Tritchler (1983) for the linear case; Wu & Ding (2021) for the studentised statistic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kokeilu._kernels.batched import from_sums

__all__ = ["Law", "Null", "Units", "boundary"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

CHUNK_CELLS = 2**19
"""Cells (draws x units) turned into doubles at a time: 4 MB, which stays in the cache."""

ROUNDING = 1e-12
"""What is left of a sum of larger terms below this part of them is rounding, hence nought."""

TIE = 1e-8
"""Statistics closer than this part of the observed one (or 1e-10 where it is nought) are tied."""

SCAN = np.concatenate([[0.0], 0.125 * 1.5 ** np.arange(48)])
"""Distances from the centre, in standard errors, between which a boundary is then found by bisection."""


class Law(NamedTuple):
    """Difference and variance of each draw as functions of the shift, (b,) each."""

    value: Floats
    slope: Floats
    variance: Floats
    cross: Floats
    curvature: Floats

    def at(self, shift: float) -> Floats:
        """Statistics at a shift, (b,): NaN where undefined, 0 where neither effect nor variance is left."""
        effect = self.value - shift * self.slope
        size = np.abs(self.value) + np.abs(shift * self.slope)
        effect = np.where(np.abs(effect) <= ROUNDING * size, 0.0, effect)
        bend = shift**2 * self.curvature
        variance = self.variance - 2.0 * shift * self.cross + bend
        flat = variance <= ROUNDING * (self.variance + bend)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = effect / np.sqrt(np.where(flat, 0.0, variance))
        return np.where(flat & (effect == 0.0), 0.0, ratio)


class Units:
    """What is drawn, people or clusters as totals, with the sums that each draw needs.

    Parameters
    ----------
    y, z : (n,) arrays
        Outcome, of a scale near 1, and the observed arm as 0 and 1 (or what is left of both after regression).
    strata : (n,) array of codes 0..S-1
    clusters : (n,) array of codes 0..G-1, or None
    weights : (n, 2) array, or None
        1 / share when in the arm and when in the reference.
    spread : float or None
        Fixed standard error of the difference: the statistic is then the raw difference in this unit.
    """

    __slots__ = ("_matrices", "_simple", "features", "first", "sizes", "spread", "strata", "totals")

    def __init__(
        self,
        y: Floats,
        z: Floats,
        strata: Integers,
        clusters: Integers | None = None,
        weights: Floats | None = None,
        spread: float | None = None,
    ) -> None:
        self._simple = clusters is None and weights is None
        self.sizes = np.bincount(strata).astype(np.float64)
        self.spread = spread
        self.first: Integers = np.arange(y.size) if clusters is None else np.unique(clusters, return_index=True)[1]
        self.strata = strata[self.first]
        roles: list[Floats | None] = [None] if weights is None else [weights[:, 0], weights[:, 1]]
        self.features = [_features(y, z, clusters, weight, self._simple) for weight in roles]
        self._matrices: list[Any] = []
        self.totals = np.array([part.sum(axis=0) for part in (self.features * 2)[:2]])

    def law(self, codes: Codes, arm: int, reference: int) -> Law:
        """The law of each draw.

        Parameters
        ----------
        codes : (b, units) int8 array
            Arm of every unit (of every cluster, where there are clusters).
        arm, reference : int
        """
        if not self._matrices:
            self._matrices = [_by_stratum(part, self.strata, self.sizes.size) for part in self.features]
        step = max(1, CHUNK_CELLS // max(codes.shape[1], 12 * self.sizes.size))
        pieces = [self._piece(codes[start : start + step], arm, reference) for start in range(0, len(codes), step)]
        return Law(*(np.concatenate(column) for column in zip(*pieces, strict=True)))

    def _piece(self, codes: Codes, arm: int, reference: int) -> Law:
        turned = np.ascontiguousarray(codes.T)
        matrices = (self._matrices * 2)[:2]
        sums = [self._sums(turned == code, m) for code, m in zip((arm, reference), matrices, strict=True)]
        return self.law_of(np.stack(sums))

    def law_of(self, sums: Floats) -> Law:
        """The law of each draw from its sums of the features over arm and reference, (2, F, b, S)."""
        value, error = self._moments(sums, 1.0, 0.0)
        slope, bend = self._moments(sums, 0.0, 1.0)
        if self.spread is not None:
            fixed, none = np.where(np.isnan(value), np.nan, self.spread**2), np.zeros(value.size)
            return Law(value, slope, fixed, none, none)
        both = self._moments(sums, 1.0, 1.0)[1]
        # Polarisation: V(y + z) = V(y) + 2 C(y, z) + V(z).
        return Law(value, slope, error**2, (both**2 - error**2 - bend**2) / 2.0, bend**2)

    def _sums(self, held: Flags, matrix: Any) -> Floats:
        """Sums of the features over the units of an arm: (F, b, S)."""
        table = (matrix @ held.astype(np.float64)).reshape(-1, self.sizes.size, held.shape[1])
        return np.ascontiguousarray(table.transpose(0, 2, 1))

    def _moments(self, sums: Floats, a: float, c: float) -> tuple[Floats, Floats]:
        """Difference and standard error of a y + c z."""
        totals = self._combined(self.totals.T[:, :, None, None], a, c)[3][:, 0, 0]
        return from_sums(np.stack(self._combined(sums.transpose(1, 0, 2, 3), a, c), axis=1), self.sizes, totals)

    def _combined(self, table: Floats, a: float, c: float) -> list[Floats]:
        count, y, z, yy, yz, zz = table[:6]
        total, square = a * y + c * z, a**2 * yy + 2.0 * a * c * yz + c**2 * zz
        if self._simple:
            return [count, count, total, square, total, count]
        mass, ym, zm, mm = table[6:]
        return [count, mass, total, square, a * ym + c * zm, mm]


def _features(y: Floats, z: Floats, clusters: Integers | None, weight: Floats | None, simple: bool) -> Floats:
    """Per unit: 1, y, z, y^2, yz, z^2 and, unless every mass is 1, m, ym, zm, m^2; (units, 6 or 10)."""
    mass = np.ones_like(y) if weight is None else weight
    rows = [mass, y * mass, z * mass]
    if clusters is not None:
        rows = [np.bincount(clusters, weights=row).astype(np.float64) for row in rows]
    m, t, u = rows
    features = [np.ones_like(m), t, u, t * t, t * u, u * u]
    return np.column_stack(features if simple else [*features, m, t * m, u * m, m * m])


def _by_stratum(features: Floats, strata: Integers, n_strata: int) -> Any:
    """Matrix (F S, units) that sums each feature within each stratum."""
    units, width = features.shape
    if n_strata == 1:
        return np.ascontiguousarray(features.T)
    rows = (np.arange(width)[:, None] * n_strata + strata[None, :]).ravel()
    columns = np.tile(np.arange(units), width)
    matrix = sparse.csr_array((features.T.ravel(), (rows, columns)), shape=(width * n_strata, units))
    matrix.eliminate_zeros()
    return matrix


class Null:
    """The observed law beside that of every draw.

    Parameters
    ----------
    observed : Law
        Of one draw.
    draws : iterable of (Law, (b,) probabilities or None)
        All assignments with their probabilities, or redraws without.
    """

    __slots__ = ("chances", "law", "observed", "undefined")

    def __init__(self, observed: Law, draws: Iterable[tuple[Law, Floats | None]]) -> None:
        self.observed = observed
        laws, chances = zip(*draws, strict=True)
        self.law = Law(*(np.concatenate(column) for column in zip(*laws, strict=True)))
        self.chances = None if chances[0] is None else np.concatenate(chances)
        self.undefined: Flags = np.isnan(self.law.value) | np.isnan(self.law.variance)

    def __len__(self) -> int:
        return int(self.undefined.size)

    def hits(self, alternative: str, shift: float = 0.0) -> Flags:
        """Draws at least as extreme as the observed one, (b,): ties count, and so do undefined statistics."""
        seen = float(self.observed.at(shift)[0])
        slack = TIE * abs(seen) + 1e-10 if np.isfinite(seen) else 0.0
        drawn = self.law.at(shift)
        with np.errstate(invalid="ignore"):
            if alternative == "two-sided":
                extreme = np.abs(drawn) >= abs(seen) - slack
            else:
                extreme = drawn >= seen - slack if alternative == "greater" else drawn <= seen + slack
        return extreme | self.undefined

    def p_value(self, alternative: str, shift: float = 0.0) -> float:
        """Sum of the probabilities of the hits, or (1 + hits) / (1 + draws); equal-tailed: twice the smaller side."""
        if alternative == "equal-tailed":
            return min(1.0, 2.0 * self.p_value(self.nearer_side(shift), shift))
        hits = self.hits(alternative, shift)
        if self.chances is None:
            return float((1 + np.count_nonzero(hits)) / (1 + hits.size))
        return min(1.0, float(self.chances[hits].sum()))

    def nearer_side(self, shift: float = 0.0) -> str:
        """The one-sided alternative with the smaller p-value."""
        return min(("greater", "less"), key=lambda side: self.p_value(side, shift))

    def undefined_share(self) -> float:
        """Probability (or share of the redraws) of an undefined statistic."""
        return float(self.undefined.mean() if self.chances is None else self.chances[self.undefined].sum())

    def centre(self) -> tuple[float, float]:
        """The shift at which the observed difference is nought, and its standard error; NaN where there is none."""
        value, slope = float(self.observed.value[0]), float(self.observed.slope[0])
        if not abs(slope) > 1e-9:
            return float("nan"), float("nan")
        middle = value / slope
        # The variance that the statistic has at the centre.
        law = self.observed
        variance = float((law.variance - 2.0 * middle * law.cross + middle**2 * law.curvature)[0])
        error = np.sqrt(max(variance, 0.0)) / abs(slope)
        if not error > ROUNDING * max(abs(middle), 1.0):
            error = max(float(np.nanstd(self.law.value)), 1e-6)
        return middle, float(error)

    def bounds(self, alpha: float, alternative: str) -> tuple[float | None, float | None]:
        """Ends of the set of shifts not rejected; each side at alpha / 2, or one side at alpha.

        The p-value is a step function of the shift; an end is the outermost shift that is not rejected (a jump
        belongs to the set). None where that side is not bounded; infinite where it is not asked for.
        """
        middle, error = self.centre()
        if np.isnan(middle):
            return None, None
        part = alpha / 2.0 if alternative == "two-sided" else alpha
        ends: list[float | None] = []
        for sign, side, other in ((-1.0, "greater", "less"), (1.0, "less", "greater")):
            if alternative == other:
                ends.append(sign * float("inf"))
                continue
            reach = boundary(self._kept(side, part, middle, sign * error))
            ends.append(None if reach is None else middle + sign * reach * error)
        return ends[0], ends[1]

    def _kept(self, side: str, part: float, middle: float, unit: float) -> Callable[[float], bool]:
        """Whether the shift at a distance from the middle is not rejected; a p-value equal to `part` rejects."""
        return lambda distance: self.p_value(side, middle + distance * unit) > part * (1.0 + 1e-12)


def boundary(kept: Callable[[float], bool]) -> float | None:
    """Largest distance d >= 0 at which `kept` still holds, by bisection to the last digits.

    None where it does not hold at any distance scanned, or still holds at the last (3.5e7).
    """
    held = [kept(float(distance)) for distance in SCAN]
    if held[-1] or not any(held):
        return None
    last = max(place for place, answer in enumerate(held) if answer)
    low, high = float(SCAN[last]), float(SCAN[last + 1])
    for _ in range(60):
        middle = (low + high) / 2.0
        if not low < middle < high or high - low <= 1e-13 * high:
            break
        low, high = (middle, high) if kept(middle) else (low, middle)
    return low
