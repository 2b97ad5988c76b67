"""How far the arms differ in covariates: means by arm, and one quadratic form for all of them.

Source of the quadratic form: Hansen & Bowers (2008), "Covariate balance in simple, stratified and clustered comparative
studies", Statist. Sci. 23, 219-236, eq. 12 to 14, for K arms by the covariance of multivariate hypergeometric counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = [
    "DENOMINATORS",
    "ArmMoments",
    "Within",
    "arm_moments",
    "arm_totals",
    "centred_within",
    "denominators",
    "quadratic_forms",
    "totals_covariance",
    "whitening",
    "within_strata",
]

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

CHUNK_CELLS = 2**21
"""Cells (draws x units) turned into doubles at a time: 16 MB."""

DENOMINATORS = ("average", "pooled", "reference", "arm", "all", "binary")
"""Of a standardised difference: sqrt((s1^2 + s0^2) / 2), weighted by n - 1, of one arm, of everybody, p q for 0/1."""

CONSTANT = 1e-10
"""Spread within strata below this part of the spread over all is rounding: the column cannot differ."""

RANK = 1e-9
"""Eigenvalues of the standardised covariance below this part of the largest are nought."""


class ArmMoments(NamedTuple):
    """By arm and column, (K, p); NaN where undefined.

    People observed; mean (weighted, where there are weights); standard deviation (n - 1) of people; the same weighted;
    and the plain mean.
    """

    seen: Ints
    mean: Floats
    sd: Floats
    spread: Floats
    plain: Floats


def arm_moments(values: Floats, codes: Codes, arms: int, weights: Floats | None = None) -> ArmMoments:
    r"""Means and standard deviations by arm.

    The weighted variance is :math:`\sum w (x - \bar x_w)^2 / (\sum w - \sum w^2 / \sum w)`, that of people (n - 1)
    where the weights are equal.

    Parameters
    ----------
    values : (n, p) array
        NaN where not observed.
    codes : (n,) int8 array
    arms : int
        Number of arms K.
    weights : (n,) array, optional
        1 / share, and what a survey gives each person.

    Returns
    -------
    ArmMoments
    """
    gaps = np.isnan(values)
    whole = not gaps.any()
    filled = values if whole else np.where(gaps, 0.0, values)
    held = (codes == np.arange(arms)[:, None]).astype(np.float64)
    one = np.broadcast_to(held.sum(axis=1)[:, None], (arms, values.shape[1]))
    count = one if whole else held @ ~gaps
    plain, sd = _moments(filled, gaps, held, codes, (count, count - 1.0))
    mean, spread = plain, sd
    if weights is not None:
        heavy = held * weights
        mass = np.broadcast_to(heavy.sum(axis=1)[:, None], count.shape) if whole else heavy @ ~gaps
        square = np.broadcast_to((heavy**2).sum(axis=1)[:, None], count.shape) if whole else heavy**2 @ ~gaps
        with np.errstate(divide="ignore", invalid="ignore"):
            mean, spread = _moments(filled, gaps, heavy, codes, (mass, mass - square / mass))
    seen = np.rint(count).astype(np.int64)
    spread = np.where(seen < 2, np.nan, spread)
    return ArmMoments(seen, mean, np.where(seen < 2, np.nan, sd), spread, plain)


def _moments(
    filled: Floats, gaps: Flags, held: Floats, codes: Codes, masses: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """Means and standard deviations (K, p); the deviations are taken arm by arm, so that nothing cancels."""
    mass, freedom = masses
    squares = np.empty_like(mass)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = held @ filled / mass
        for arm in range(len(held)):
            rows = codes == arm
            apart = np.where(gaps[rows], 0.0, filled[rows] - mean[arm])
            squares[arm] = held[arm, rows] @ apart**2
            # Where everybody of an arm has the same value, what is left is rounding.
            noise = CONSTANT * np.abs(filled[rows]).max(axis=0, initial=0.0)
            squares[arm][np.abs(apart).max(axis=0, initial=0.0) <= noise] = 0.0
        sd = np.sqrt(squares / freedom)
    return mean, sd


def denominators(table: ArmMoments, pair: tuple[int, int], kind: str, binary: Flags) -> Floats:
    """What a difference between two arms is divided by, (p,): one of DENOMINATORS.

    Parameters
    ----------
    table : ArmMoments
        Unweighted standard deviations are used, whatever the weights.
    pair : (arm, reference)
    kind : one of DENOMINATORS
    binary : (p,) bool array
        Columns of 0 and 1, for "binary".
    """
    arm, reference = pair
    one, nought = table.sd[arm] ** 2, table.sd[reference] ** 2
    if kind in ("arm", "reference"):
        return np.asarray(np.sqrt(one if kind == "arm" else nought))
    if kind == "all":
        return _overall(table)
    if kind == "pooled":
        n1, n0 = table.seen[arm] - 1.0, table.seen[reference] - 1.0
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.sqrt((n1 * one + n0 * nought) / (n1 + n0)))
    if kind == "binary":
        p1, p0 = table.plain[arm], table.plain[reference]
        one, nought = np.where(binary, p1 * (1 - p1), one), np.where(binary, p0 * (1 - p0), nought)
    return np.asarray(np.sqrt((one + nought) / 2.0))


def _overall(table: ArmMoments) -> Floats:
    """Standard deviation (n - 1) of everybody, from the moments of the arms."""
    n, inside = table.seen, np.where(table.seen > 1, table.sd, 0.0) ** 2
    mean = np.where(n > 0, table.plain, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = (n * mean).sum(axis=0) / n.sum(axis=0)
        squares = ((n - 1).clip(0) * inside).sum(axis=0) + (n * (mean - centre) ** 2).sum(axis=0)
        return np.asarray(np.sqrt(squares / (n.sum(axis=0) - 1.0)))


class Within(NamedTuple):
    """By pair of arms and column, (pairs, p): adjusted differences and what the lottery makes of their spread."""

    difference: Floats
    null_sd: Floats


def within_strata(
    values: Floats,
    codes: Codes,
    strata: Ints,
    pairs: Sequence[tuple[int, int]],
    weights: Floats | None = None,
) -> Within:
    r"""Differences within strata with weights :math:`h_s = n_{1s} n_{0s} / (n_{1s} + n_{0s})`.

    That is the coefficient of the arm beside stratum effects. Its standard deviation over redraws with these seats is
    :math:`\sqrt{\sum_s h_s^2 s_s^2 n_s / (n_{1s} n_{0s})} / \sum_s h_s`, :math:`s_s^2` over the people of both arms.

    Parameters
    ----------
    values : (n, p) array
        NaN where not observed.
    codes : (n,) int8 array
    strata : (n,) array of codes 0..S-1
    pairs : sequence of (arm, reference)
    weights : (n,) array, optional
        Counts and sums are then of weights, and the standard deviation is NaN.

    Source: Hansen & Bowers (2008), eq. 9 to 12.
    """
    seen = ~np.isnan(values)
    inner, still = _centred(values, seen, strata)
    n_strata, arms = int(strata.max()) + 1, max(max(pair) for pair in pairs) + 1
    cell = codes.astype(np.int64) * n_strata + strata
    inside = np.flatnonzero(codes < arms)
    heavy = np.ones(len(codes)) if weights is None else weights
    sums = sparse.csr_array((heavy[inside], (cell[inside], inside)), shape=(arms * n_strata, len(codes)))
    count, total, square = (
        np.asarray(sums @ part).reshape(arms, n_strata, -1) for part in (seen.astype(np.float64), inner, inner**2)
    )
    found = [_pair_within(count[[a, r]], total[[a, r]], square[[a, r]]) for a, r in pairs]
    difference = np.where(still, 0.0, np.array([each[0] for each in found]))
    null_sd = np.where(still, 0.0, np.array([each[1] for each in found]))
    return Within(difference, null_sd if weights is None else np.full_like(null_sd, np.nan))


def _centred(values: Floats, seen: Flags, strata: Ints) -> tuple[Floats, Flags]:
    """Columns less their mean in each stratum, 0 in gaps; and which cannot differ within any stratum."""
    whole = bool(seen.all())
    filled = values if whole else np.where(seen, values, 0.0)
    n_strata = int(strata.max()) + 1
    sums = sparse.csr_array((np.ones(len(strata)), (strata, np.arange(len(strata)))), shape=(n_strata, len(strata)))
    counts = np.bincount(strata, minlength=n_strata)[:, None] if whole else np.asarray(sums @ seen.astype(np.float64))
    means = np.asarray(sums @ filled) / np.maximum(counts, 1)
    inner = np.where(seen, filled - means[strata], 0.0)
    still: Flags = np.abs(inner).max(axis=0, initial=0.0) <= CONSTANT * np.abs(filled).max(axis=0, initial=0.0)
    return np.where(still, 0.0, inner), still


def _pair_within(count: Floats, total: Floats, square: Floats) -> tuple[Floats, Floats]:
    """Of sums by arm (2, S, p): the adjusted difference and its null standard deviation, (p,)."""
    n = count.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(n > 0.0, count[0] * count[1] / n, 0.0)
        gap = np.where(weight > 0.0, total[0] / count[0] - total[1] / count[1], 0.0)
        variance = (square.sum(axis=0) - total.sum(axis=0) ** 2 / n) / (n - 1.0)
        # h^2 s^2 n / (n1 n0) = h s^2
        noise = np.where(weight > 0.0, weight * np.maximum(variance, 0.0), 0.0)
        whole = weight.sum(axis=0)
        return (weight * gap).sum(axis=0) / whole, np.sqrt(noise.sum(axis=0)) / whole


def centred_within(
    values: Floats, strata: Ints, clusters: Ints | None = None, weights: Floats | None = None
) -> tuple[Floats, Flags]:
    """Columns centred within strata, summed over clusters, and scaled to unit length.

    Parameters
    ----------
    values : (n, p) array, without gaps
    strata : (n,) array of codes 0..S-1
    clusters : (n,) array of codes 0..G-1, optional
        Rows of the result are then clusters.
    weights : (n,) array, optional
        Means are weighted, and so are the centred columns.

    Returns
    -------
    columns : (units, r) array
        The columns that vary within strata.
    kept : (p,) bool array
    """
    heavy = np.ones(len(values)) if weights is None else weights
    rows = np.arange(len(values))
    sums = sparse.csr_array((heavy, (strata, rows)), shape=(int(strata.max(initial=0)) + 1, len(values)))
    mass = np.bincount(strata, weights=heavy)[:, None]
    # Spread of each column over all, against which a spread within strata is judged.
    centred = values - values.mean(axis=0)
    whole = np.sqrt((centred**2).sum(axis=0))
    noise = np.abs(values).max(axis=0, initial=0.0) * np.sqrt(len(values)) * 1e-14
    inner = centred - (np.asarray(sums @ centred) / np.where(mass > 0.0, mass, 1.0))[strata]
    if weights is not None:
        inner *= weights[:, None]
    if clusters is not None:
        inner = np.asarray(sparse.csr_array((np.ones(len(rows)), (clusters, rows))) @ inner)
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
