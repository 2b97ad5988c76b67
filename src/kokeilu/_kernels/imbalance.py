"""How far the arms differ in covariates: means by arm, and one quadratic form for all of them.

Source of the quadratic form: Hansen & Bowers (2008), "Covariate balance in simple, stratified and clustered comparative
studies", Statist. Sci. 23, 219-236, eq. 12 to 14, for K arms by the covariance of multivariate hypergeometric counts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ArmMoments",
    "adjusted_differences",
    "arm_moments",
    "arm_totals",
    "centred_within",
    "quadratic_forms",
    "standardised_differences",
    "totals_covariance",
    "whitening",
]

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

CHUNK_CELLS = 2**21
"""Cells (draws x units) turned into doubles at a time: 16 MB."""

CONSTANT = 1e-10
"""Spread within strata below this part of the spread over all is rounding: the column cannot differ."""

RANK = 1e-9
"""Eigenvalues of the standardised covariance below this part of the largest are nought."""


class ArmMoments(NamedTuple):
    """By arm and column, (K, p): people observed, mean and standard deviation (n - 1); NaN where undefined."""

    seen: Ints
    mean: Floats
    sd: Floats


def arm_moments(values: Floats, codes: Codes, arms: int, weights: Floats | None = None) -> ArmMoments:
    """Means and standard deviations by arm.

    Parameters
    ----------
    values : (n, p) array
        NaN where not observed.
    codes : (n,) int8 array
    arms : int
        Number of arms K.
    weights : (n,) array, optional
        1 / share; means use them. Standard deviations, which only set the scale, do not.

    Returns
    -------
    ArmMoments
    """
    seen = ~np.isnan(values)
    filled = np.where(seen, values, 0.0)
    held = (codes == np.arange(arms)[:, None]).astype(np.float64)
    count = held @ seen
    with np.errstate(divide="ignore", invalid="ignore"):
        plain = held @ filled / count
        squares = held @ np.where(seen, (filled - plain[codes]) ** 2, 0.0)
        sd = np.sqrt(squares / (count - 1.0))
        weighted = held if weights is None else held * weights
        mean = plain if weights is None else weighted @ filled / (weighted @ seen)
        centre = filled.sum(axis=0) / seen.sum(axis=0)
        spread = np.sqrt(np.where(seen, (filled - centre) ** 2, 0.0).sum(axis=0) / seen.sum(axis=0))
    # Where everybody of an arm has the same value, what is left is rounding.
    sd[sd <= CONSTANT * spread] = 0.0
    sd[count < 2] = np.nan
    return ArmMoments(np.rint(count).astype(np.int64), mean, sd)


def standardised_differences(table: ArmMoments, reference: int = 0) -> Floats:
    """Difference of each arm's mean from the reference's, over sqrt((s_k^2 + s_0^2) / 2): (K, p).

    NaN for the reference and where both standard deviations are nought.
    """
    scale = np.sqrt((table.sd**2 + table.sd[reference] ** 2) / 2.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        smd: Floats = np.where(scale > 0.0, (table.mean - table.mean[reference]) / scale, np.nan)
    smd[reference] = np.nan
    return smd


def adjusted_differences(values: Floats, codes: Codes, strata: Ints, arms: int, reference: int = 0) -> Floats:
    """Differences within strata with weights h_s = n_1s n_0s / (n_1s + n_0s): (K, p).

    That is the coefficient of the arm beside stratum effects. NaN for the reference and where no stratum has both.
    """
    n_strata = int(strata.max()) + 1
    result = np.full((arms, values.shape[1]), np.nan)
    cell = codes.astype(np.int64) * n_strata + strata
    for column, x in enumerate(values.T):
        seen = ~np.isnan(x)
        count = np.bincount(cell[seen], minlength=arms * n_strata).reshape(arms, n_strata).astype(np.float64)
        total = np.bincount(cell[seen], weights=x[seen], minlength=arms * n_strata).reshape(arms, n_strata)
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = count * count[reference] / (count + count[reference])
            gap = np.where(weight > 0.0, total / count - total[reference] / count[reference], 0.0)
            result[:, column] = np.nansum(weight * gap, axis=1) / np.nansum(weight, axis=1)
    result[reference] = np.nan
    return result


def centred_within(values: Floats, strata: Ints, clusters: Ints | None = None) -> tuple[Floats, Flags]:
    """Columns centred within strata, summed over clusters, and scaled to unit length.

    Parameters
    ----------
    values : (n, p) array, without gaps
    strata : (n,) array of codes 0..S-1
    clusters : (n,) array of codes 0..G-1, optional
        Rows of the result are then clusters.

    Returns
    -------
    columns : (units, r) array
        The columns that vary within strata.
    kept : (p,) bool array
    """
    counts = np.maximum(np.bincount(strata), 1.0)
    # Spread of each column over all, against which a spread within strata is judged.
    centred = values - values.mean(axis=0)
    whole = np.sqrt((centred**2).sum(axis=0))
    noise = np.abs(values).max(axis=0, initial=0.0) * np.sqrt(len(values)) * 1e-14
    inner = np.column_stack([x - (np.bincount(strata, weights=x) / counts)[strata] for x in centred.T] or [centred])
    if clusters is not None:
        inner = np.column_stack([np.bincount(clusters, weights=x) for x in inner.T] or [inner[:0]])
    length = np.sqrt((inner**2).sum(axis=0))
    kept: Flags = length > np.maximum(CONSTANT * whole, noise)
    return inner[:, kept] / length[kept], kept


def totals_covariance(columns: Floats, strata: Ints, shares: Floats) -> Floats:
    r"""Covariance of the totals of centred columns in the arms 1..K-1, ((K-1) r, (K-1) r).

    :math:`\\sum_s n_s (diag(p_s) - p_s p_s') \\otimes S_s` with shares p_s and the covariance S_s (n_s - 1) within
    stratum: what the lottery aims at, the same for every redraw.

    Parameters
    ----------
    columns : (units, r) array
    strata : (units,) array of codes 0..S-1
    shares : (units, K) array
        Each unit's probability of each arm, equal within strata.

    Source: Hansen & Bowers (2008), eq. 12, with counts n_sk = n_s p_sk.
    """
    width = columns.shape[1] * (shares.shape[1] - 1)
    covariance = np.zeros((width, width))
    order = np.argsort(strata, kind="stable")
    for members in np.split(order, np.cumsum(np.bincount(strata))[:-1]):
        if len(members) < 2:
            continue
        block = columns[members] - columns[members].mean(axis=0)
        share = shares[members[0], 1:]
        seats = len(members) * (np.diag(share) - np.outer(share, share))
        covariance += np.kron(seats, block.T @ block / (len(members) - 1.0))
    return covariance


def whitening(covariance: Floats) -> Floats:
    """Matrix W, (m, rank), with W W' the pseudo-inverse of a covariance of standardised columns.

    The columns are brought to unit variance first and the rank is judged relative to the largest eigenvalue, so that
    units of measurement do not matter.
    """
    scale = np.sqrt(np.diag(covariance))
    safe = np.where(scale > 0.0, scale, 1.0)
    inverse = np.where(scale > 0.0, 1.0 / safe, 0.0)
    values, vectors = np.linalg.eigh(covariance * np.outer(inverse, inverse))
    kept = values > RANK * max(float(values.max(initial=0.0)), 0.0)
    factors: Floats = inverse[:, None] * vectors[:, kept] / np.sqrt(values[kept])
    return factors


def arm_totals(codes: Codes, columns: Floats, arms: int) -> Floats:
    """Totals of the columns in the arms 1..K-1 under each draw, (b, (K-1) r), arm by arm.

    Parameters
    ----------
    codes : (b, units) int8 array
    columns : (units, r) array
    arms : int
    """
    width = columns.shape[1]
    totals = np.empty((len(codes), (arms - 1) * width))
    step = max(1, CHUNK_CELLS // max(codes.shape[1], 1))
    for start in range(0, len(codes), step):
        block = codes[start : start + step]
        for arm in range(1, arms):
            held = (block == arm).astype(np.float64)
            totals[start : start + step, (arm - 1) * width : arm * width] = held @ columns
    return totals


def quadratic_forms(totals: Floats, factors: Floats) -> Floats:
    """T' W W' T for each row of totals (b, m) and factors W (m, rank): (b,)."""
    forms: Floats = ((totals @ factors) ** 2).sum(axis=1)
    return forms
