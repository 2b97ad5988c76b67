"""Studentised differences in means for many assignments at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]
Integers = NDArray[np.int64]

CHUNK_CELLS = 2**21
"""Cells (draws x units) turned into doubles at a time: 16 MB for each arm."""

ZERO = 1e-13
"""A sum of squared deviations below this part of the total is rounding, hence nought."""


def studentised(
    y: Floats,
    codes: Codes,
    *,
    arm: int,
    reference: int,
    strata: Integers | None = None,
    clusters: Integers | None = None,
    weights: Floats | None = None,
) -> tuple[Floats, Floats]:
    r"""Estimate and standard error of one contrast under each of a batch of assignments.

    The estimate is :math:`\sum_s (n_s / n) (\bar y_{s,arm} - \bar y_{s,reference})`, where ``n_s`` counts
    *all* units of a stratum, whatever their arm, so that the weights do not move between draws. Its variance
    is Neyman's, :math:`\sum_s (n_s/n)^2 (s^2_{s,arm}/n_{s,arm} + s^2_{s,reference}/n_{s,reference})`.
    Without strata this is Welch's statistic exactly.

    With clusters a mean is a ratio of cluster totals T to cluster sizes m, and its variance that of the
    linearised ratio, :math:`G/(G-1) \sum_g (T_g - \bar y m_g)^2 / (\sum_g m_g)^2` over the G clusters of
    the arm. With weights T and m are the weighted totals and sums of weights (Hajek).

    Strata where one of the two arms has a single unit (or cluster) have no variance of their own. In such a
    draw they share the pooled between-strata variance of Pashley & Miratrix (2021), *hybrid_p*; where
    its condition fails (no stratum may hold half of the units of such strata), each missing variance of
    a mean is replaced by the average one of the other strata for that arm, scaled by the number of units
    (plug-in); where there are no other strata either the error is NaN.

    Parameters
    ----------
    y : (n,) array
        Outcomes, without missing values.
    codes : (b, n) int8 array
        Arm of every unit under each of b assignments. With clusters every member of a cluster must
        have the same code (the code of its first member is used).
    arm, reference : int
        Codes of the two arms compared.
    strata : (n,) array of codes 0..S-1, optional
    clusters : (n,) array of codes 0..G-1, optional
        A cluster must lie within one stratum.
    weights : (n, 2) array, optional
        Weights (1 / share) a unit has when in `arm` and when in `reference`.

    Returns
    -------
    estimates, errors : (b,) arrays
        Both NaN where a stratum lacks one of the two arms in that draw: the caller decides. An error is
        nought where nothing varies within the arms, and NaN where it is not defined (see above).

    Notes
    -----
    Memory is bounded by `CHUNK_CELLS` whatever b; the result of a draw does not depend on the batch.
    Sources: Neyman (1923); Gerber & Green (2012), eq. 3.10; Pashley & Miratrix (2021), eq. 8; Wu & Ding (2021)
    for why to studentise.
    """
    units = _Units.of(y, strata, clusters, weights)
    estimates = np.empty(codes.shape[0])
    errors = np.empty(codes.shape[0])
    for rows in _chunks(codes.shape[0], codes.shape[1]):
        block = codes[rows] if clusters is None else codes[rows][:, units.first]
        sums = np.stack([units.sums(block, arm, 0), units.sums(block, reference, 1)])
        estimates[rows], errors[rows] = from_sums(sums, units.sizes, units.total)
    return estimates, errors


def residualised(y: Floats, covariates: Floats, strata: Integers | None = None) -> Floats:
    """Residuals (n,) of y on covariates (n, p), a constant and stratum indicators.

    Residualising once and testing the residuals under every redraw is a covariate-adjusted test that stays
    exact: the covariates do not depend on the assignment (Rosenbaum 2002; Wu & Ding 2021).

    Parameters
    ----------
    y : (n,) array
    covariates : (n, p) array
        Collinear and constant columns do no harm (least squares of minimum norm on scaled columns).
    strata : (n,) array of codes 0..S-1, optional

    Returns
    -------
    (n,) array
    """
    levels = np.zeros(y.size, dtype=np.int64) if strata is None else strata
    table = np.column_stack([y, covariates]).astype(np.float64)
    table -= table.mean(axis=0)
    counts = np.maximum(np.bincount(levels), 1)
    for column in table.T:
        column -= (np.bincount(levels, weights=column) / counts)[levels]
    outcome, design = table[:, 0], table[:, 1:]
    scale = np.sqrt((design**2).sum(axis=0))
    # A column constant within strata is rounding error by now: it must not be scaled up to matter.
    spread = np.abs(covariates).max(axis=0, initial=0.0) * np.sqrt(y.size) * 1e-12
    design = design[:, scale > spread] / scale[scale > spread]
    slopes = np.linalg.lstsq(design, outcome, rcond=1e-10)[0]
    residuals: Floats = outcome - design @ slopes
    return residuals


class _Units:
    """What is randomised (people, or clusters as totals) with the sums each draw needs."""

    __slots__ = ("_dense", "_sparse", "first", "n_strata", "simple", "sizes", "total")

    def __init__(self, totals: Floats, masses: Floats, strata: Integers | None, first: Integers) -> None:
        # totals, masses: (units, 2), by the role played (arm, reference)
        self.first = first
        self.n_strata = 1 if strata is None else int(strata.max()) + 1
        self.simple = bool((masses == 1.0).all())
        features = [self._features(totals[:, role], masses[:, role]) for role in (0, 1)]
        self.total = np.array([feature[:, 3].sum() for feature in features])
        self._dense = features if strata is None else []
        self._sparse = [] if strata is None else [_by_stratum(feature, strata) for feature in features]
        self.sizes = np.ones(1)

    @classmethod
    def of(cls, y: Floats, strata: Integers | None, clusters: Integers | None, weights: Floats | None) -> _Units:
        # Centred y: sums of squares of the raw one would cancel.
        centred = y - y.mean()
        masses = np.ones((y.size, 2)) if weights is None else np.asarray(weights, dtype=np.float64)
        totals = centred[:, None] * masses
        first = np.arange(y.size)
        people = None if strata is None else np.bincount(strata).astype(np.float64)
        if clusters is not None:
            first = np.unique(clusters, return_index=True)[1]
            totals = np.column_stack([np.bincount(clusters, weights=column) for column in totals.T])
            masses = np.column_stack([np.bincount(clusters, weights=column) for column in masses.T])
        if strata is not None and people is not None and people.size == 1:
            strata = None
        units = cls(totals, masses, None if strata is None else strata[first], first)
        units.sizes = np.ones(1) if strata is None or people is None else people
        return units

    @staticmethod
    def _features(totals: Floats, masses: Floats) -> Floats:
        return np.column_stack([np.ones_like(totals), masses, totals, totals**2, totals * masses, masses**2])

    def sums(self, codes: Codes, arm: int, role: int) -> Floats:
        """Counts, masses, totals and their second moments in an arm: (6, b, S)."""
        if self._dense:
            held = (codes == arm).astype(np.float64)
            wanted = self._dense[role][:, [0, 2, 3]] if self.simple else self._dense[role]
            return self._spread((held @ wanted).T[:, :, None])
        held = (np.ascontiguousarray(codes.T) == arm).astype(np.float64)
        table: Floats = np.asarray(self._sparse[role] @ held)
        return np.ascontiguousarray(table.reshape(6, self.n_strata, -1).transpose(0, 2, 1))

    def _spread(self, sums: Floats) -> Floats:
        if not self.simple:
            return sums
        count, total, square = sums
        return np.stack([count, count, total, square, total, count])


def _by_stratum(features: Floats, strata: Integers) -> Any:
    units, width = features.shape
    n_strata = int(strata.max()) + 1
    rows = (np.arange(width)[:, None] * n_strata + strata[None, :]).ravel()
    columns = np.tile(np.arange(units), width)
    return sparse.csr_array((features.T.ravel(), (rows, columns)), shape=(width * n_strata, units))


def _chunks(draws: int, units: int) -> Iterator[slice]:
    step = max(1, CHUNK_CELLS // max(units, 1))
    for start in range(0, draws, step):
        yield slice(start, min(start + step, draws))


def from_sums(sums: Floats, sizes: Floats, total: Floats) -> tuple[Floats, Floats]:
    """Estimates and errors (b,) from sums by role, (2, 6, b, S), as in :func:`studentised`.

    Parameters
    ----------
    sums : (2, 6, b, S) array
        For the arm and the reference: number of units, and sums of masses m, totals T, T^2, T m and m^2.
    sizes : (S,) array
        Weights of the strata.
    total : (2,) array
        Sum of T^2 over all units, for telling rounding from variance.
    """
    count, mass, totals, square, cross, mass2 = sums.transpose(1, 0, 2, 3)
    share = sizes / sizes.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = totals / mass
        deviations = square - 2.0 * mean * cross + mean**2 * mass2
        deviations = np.where(deviations <= ZERO * total[:, None, None], 0.0, deviations)
        # Variance of each mean; infinite factor where the arm has one unit, set right below.
        variance = count / (count - 1.0) * deviations / mass**2
    effect = mean[0] - mean[1]
    estimates = effect @ share
    single = (count == 1.0).any(axis=0)
    small_rows = single.any(axis=1)
    squared = np.where(single, 0.0, variance.sum(axis=0)) @ share**2
    if small_rows.any():
        squared[small_rows] += _small(
            effect[small_rows], variance[:, small_rows], count[:, small_rows], single[small_rows], share
        )
    squared[np.isnan(estimates)] = np.nan
    return estimates, np.sqrt(squared)


def _small(effect: Floats, variance: Floats, count: Floats, single: NDArray[np.bool_], share: Floats) -> Floats:
    """Variance of the strata with an arm of one unit, (b,): pooled, else plugged in, else NaN."""
    weight = np.where(single, share, 0.0)
    whole = weight.sum(axis=1, keepdims=True)
    pooled_fits = 2.0 * weight.max(axis=1) < whole[:, 0] * (1.0 - 1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = (weight * effect).sum(axis=1, keepdims=True) / whole
        factor = weight**2 / (whole - 2.0 * weight)
        pooled = whole**2 * factor / (whole + factor.sum(axis=1, keepdims=True))
        # c_b (tau_b - tau_s)^2 of hybrid_p, the squared share of the small strata included
        between = (np.where(single, pooled * (effect - centre) ** 2, 0.0)).sum(axis=1)
        own = np.where(count > 1.0, variance * count, np.nan)
        known = (count > 1.0) & ~single
        typical = np.where(known, own, 0.0).sum(axis=2) / known.sum(axis=2)
        filled = np.where(count > 1.0, variance, typical[:, :, None] / count)
        plugged = (weight**2 * filled.sum(axis=0)).sum(axis=1)
    chosen: Floats = np.where(pooled_fits, between, plugged)
    return chosen
