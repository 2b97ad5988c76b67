"""The default analysis under many assignments at once, with the degrees of freedom of every draw.

The numbers are those of :mod:`kokeilu._kernels.moments` and :func:`kokeilu._kernels.clustered.cluster_robust`, which
analyse one assignment.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Drawn", "cr2_draws", "pooled_floor", "satterthwaite_draws", "stratum_effects_draws", "welch_draws"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]
Integers = NDArray[np.int64]

CHUNK_CELLS = 2**20
SINGULAR = 1e-12


class Drawn(NamedTuple):
    """Estimate, standard error and degrees of freedom of each draw, (b,)."""

    value: Floats
    error: Floats
    dof: Floats


def _blocks(draws: int, width: int) -> Iterator[slice]:
    step = max(1, CHUNK_CELLS // max(width, 1))
    for start in range(0, draws, step):
        yield slice(start, min(start + step, draws))


def welch_draws(y: Floats, codes: Codes, *, arm: int, reference: int) -> Drawn:
    """Difference in means with Neyman's variance and Welch's degrees of freedom, one stratum of people.

    Parameters
    ----------
    y : (n,) array
    codes : (b, n) int8 array
    arm, reference : int

    Returns
    -------
    Drawn
        The error is NaN where an arm has fewer than two people.

    Source: Neyman (1923); Welch (1947).
    """
    centred = y - y.mean()  # sums of squares of the raw outcome would cancel
    columns = np.column_stack([np.ones_like(centred), centred, centred**2])
    sums = np.empty((2, codes.shape[0], 3))
    for rows in _blocks(*codes.shape):
        for place, code in enumerate((arm, reference)):
            sums[place, rows] = (codes[rows] == code).astype(np.float64) @ columns
    count, total, square = sums.transpose(2, 0, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / count
        part = np.maximum(square - total * mean, 0.0) / (count - 1.0) / count
        dof = part.sum(axis=0) ** 2 / (part**2 / (count - 1.0)).sum(axis=0)
    part[count < 2] = np.nan
    return Drawn(mean[0] - mean[1], np.sqrt(part.sum(axis=0)), dof)


def satterthwaite_draws(y: Floats, codes: Codes, strata: Integers, *, arm: int, reference: int) -> Floats:
    """Degrees of freedom (b,) of the stratified variance of each draw: `moments.satterthwaite`.

    Parameters
    ----------
    y, strata : (n,) arrays
        People drawn one by one, in strata 0..S-1.
    codes : (b, n) int8 array
        At least two people in each stratum and arm.
    arm, reference : int

    Source: Satterthwaite (1946).
    """
    order = np.argsort(strata, kind="stable")
    people = np.bincount(strata)
    starts = np.concatenate([[0], np.cumsum(people)[:-1]])
    share = people / people.sum()
    # Centred within strata: sums of squares of the raw outcome would cancel.
    centred = (y - (np.bincount(strata, weights=y) / people)[strata])[order]
    dof = np.empty(codes.shape[0])
    for rows in _blocks(*codes.shape):
        top, bottom = np.zeros(codes[rows].shape[0]), np.zeros(codes[rows].shape[0])
        for code in (arm, reference):
            held = (codes[rows][:, order] == code).astype(np.float64)
            count, total, square = (
                np.add.reduceat(held * values, starts, axis=1) for values in (1.0, centred, centred**2)
            )
            with np.errstate(divide="ignore", invalid="ignore"):
                part = np.maximum(square - total**2 / count, 0.0) / (count - 1.0) / count * share**2
                top += part.sum(axis=1)
                bottom += (part**2 / (count - 1.0)).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            dof[rows] = top**2 / bottom
    return dof


def pooled_floor(
    y: Floats, codes: Codes, strata: Integers, counts: Floats, *, arm: int, reference: int
) -> tuple[Floats, Floats]:
    """Variance that both arms together give, and the skewness that the arms' numbers leave in their difference, (b,).

    Parameters
    ----------
    y, strata : (n,) arrays
    codes : (b, n) int8 array
    counts : (2, b, S) array
        People in arm and reference, at least two.

    Returns
    -------
    least, skewness : (b,) arrays
        The variance is NaN where the skewness is too small to ask for it (0.05).

    Source: Hall (1992), The Bootstrap and Edgeworth Expansion, ch. 2.
    """
    centred = y - y.mean()
    n = counts.sum(axis=2)
    if np.isin(codes[:1], (arm, reference)).all():
        third = np.full(len(codes), (centred**3).mean() / (centred**2).mean() ** 1.5)
    else:
        moments = np.empty((len(codes), 3))
        for rows in _blocks(*codes.shape):
            held = ((codes[rows] == arm) | (codes[rows] == reference)).astype(np.float64)
            moments[rows] = (held @ np.stack([centred, centred**2, centred**3], axis=1)) / n.sum(axis=0)[rows, None]
        mean, square, cube = moments.T
        third = (cube - 3.0 * mean * square + 2.0 * mean**3) / (square - mean**2) ** 1.5
    left = np.abs(third) * np.abs(n[0] ** -2.0 - n[1] ** -2.0) / (1.0 / n).sum(axis=0) ** 1.5
    least = np.full(len(codes), np.nan)
    high = np.flatnonzero(left > 0.05)
    order = np.argsort(strata, kind="stable")
    people = np.bincount(strata)
    starts, share = np.cumsum(people) - people, people / people.sum()
    inner = (y - (np.bincount(strata, weights=y) / people)[strata])[order]
    for rows in _blocks(len(high), codes.shape[1]):
        some = high[rows]
        deviations = np.zeros((len(some), len(people)))
        for place, code in enumerate((arm, reference)):
            held = (codes[some][:, order] == code).astype(np.float64)
            total, square = (np.add.reduceat(held * values, starts, axis=1) for values in (inner, inner**2))
            deviations += square - total**2 / counts[place, some]
        common = deviations / (counts[:, some].sum(axis=0) - 2.0)
        least[some] = (common * (1.0 / counts[:, some]).sum(axis=0)) @ share**2
    return least, left


def cr2_draws(y: Floats, codes: Codes, clusters: Integers, strata: Integers, *, arm: int, reference: int) -> Drawn:
    """Stratum-weighted difference in means of people in clusters with CR2 errors.

    Degrees of freedom: Satterthwaite's with one stratum, clusters in the two arms less 2 per stratum with several.

    Parameters
    ----------
    y, clusters, strata : (n,) arrays
        A cluster lies within one stratum.
    codes : (b, n) int8 array
        Constant within clusters.
    arm, reference : int

    Returns
    -------
    Drawn
        The error is NaN where a stratum has fewer than two clusters in one of the arms.

    Source: Bell & McCaffrey (2002); Imbens & Kolesar (2016); see `moments.cluster_cells` for the closed form.
    """
    units = _Clusters.of(y, clusters, strata)
    blocks = _blocks(len(codes), len(units.size))
    found = [units.analysed(codes[rows][:, units.first], arm, reference) for rows in blocks]
    return Drawn(*(np.concatenate(column) for column in zip(*found, strict=True)))


def stratum_effects_draws(
    y: Floats, codes: Codes, clusters: Integers, strata: Integers, *, arm: int, reference: int
) -> Drawn:
    r"""Regression on arms and stratum effects with CR2 errors and Satterthwaite degrees of freedom, clusters drawn.

    Every regressor is constant within clusters, so that :math:`H_{gg} = h_g 1 1'` and
    :math:`A_g 1 = (1 - m_g h_g)^{-1/2} 1`. A draw costs the number of clusters times the square of the number of arms,
    whatever the number of strata.

    Parameters
    ----------
    y, clusters, strata : (n,) arrays
        A cluster lies within one stratum.
    codes : (b, n) int8 array
        Constant within clusters; people of all arms enter.
    arm, reference : int

    Returns
    -------
    Drawn
        Not finite where the two arms cannot be told apart from the strata.

    Source: Bell & McCaffrey (2002); Pustejovsky & Tipton (2018).
    """
    units = _Clusters.of(y, clusters, strata)
    others = [int(code) for code in np.unique(codes) if code != reference]
    blocks = _blocks(len(codes), len(units.size) * max(len(others), 1))
    found = [units.regressed(codes[rows][:, units.first], others, arm) for rows in blocks]
    return Drawn(*(np.concatenate(column) for column in zip(*found, strict=True)))


class _Side(NamedTuple):
    """One arm under b assignments: clusters, mean and CR2 variance by stratum (b, S), and the two traces (b,)."""

    clusters: Floats
    mean: Floats
    variance: Floats
    trace: Floats
    square: Floats


class _Clusters(NamedTuple):
    """Clusters sorted by stratum: first member, people, total of y, stratum; first cluster and share by stratum."""

    first: Integers
    size: Floats
    total: Floats
    stratum: Integers
    starts: Integers
    share: Floats
    people: Floats

    @classmethod
    def of(cls, y: Floats, clusters: Integers, strata: Integers) -> _Clusters:
        """Sort clusters by stratum and add up their people."""
        first = np.unique(clusters, return_index=True)[1]
        order = np.argsort(strata[first], kind="stable")
        size = np.bincount(clusters).astype(np.float64)
        total = np.bincount(clusters, weights=y - y.mean()).astype(np.float64)
        stratum: Integers = strata[first][order]
        people = np.bincount(strata).astype(np.float64)
        starts = np.searchsorted(stratum, np.arange(len(people))).astype(np.int64)
        share: Floats = people / people.sum()
        return cls(first[order].astype(np.int64), size[order], total[order], stratum, starts, share, people)

    def by_stratum(self, values: Floats) -> Floats:
        """Sums (b, S) of values (b, clusters)."""
        sums: Floats = np.add.reduceat(values, self.starts, axis=1)
        return sums

    def side(self, held: NDArray[np.bool_]) -> _Side:
        """Means and CR2 variances by stratum of the clusters held (b, G): `moments.cluster_cells`."""
        count = self.by_stratum(held.astype(np.float64))
        people = self.by_stratum(held * self.size)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = self.by_stratum(held * self.total) / people
            n = people[:, self.stratum]
            gap = 1.0 - self.size / n
            residual = self.total - mean[:, self.stratum] * self.size
            score = np.where(held, residual**2 / gap / n**2, 0.0)
            diagonal = np.where(held, self.size / gap / n**2, 0.0)
            loading = np.where(held, self.size**2 / gap / n**3, 0.0)
            square = (diagonal**2 - 2.0 * diagonal * loading).sum(axis=1) + loading.sum(axis=1) ** 2
            trace = (diagonal - loading).sum(axis=1)
        variance = np.where(count < 2, np.nan, self.by_stratum(score))
        return _Side(count, mean, variance, trace, square)

    def analysed(self, codes: Codes, arm: int, reference: int) -> Drawn:
        """Difference of means weighted by stratum size."""
        one, other = self.side(codes == arm), self.side(codes == reference)
        value = (one.mean - other.mean) @ self.share
        error = np.sqrt((one.variance + other.variance) @ self.share**2)
        if len(self.share) > 1:
            return Drawn(value, error, (one.clusters + other.clusters).sum(axis=1) - 2.0 * len(self.share))
        with np.errstate(divide="ignore", invalid="ignore"):
            dof = (one.trace + other.trace) ** 2 / (one.square + other.square)
        return Drawn(value, error, dof)

    def regressed(self, codes: Codes, others: list[int], arm: int) -> Drawn:
        """Least squares of y on the arms but the reference, all centred within strata."""
        m, heads, place = self.size, self.people[self.stratum], others.index(arm)
        x = np.stack([codes == code for code in others], axis=2).astype(np.float64)
        x -= (np.add.reduceat(x * m[:, None], self.starts, axis=1) / self.people[:, None])[:, self.stratum]
        total = self.total - m * (np.add.reduceat(self.total, self.starts) / self.people)[self.stratum]
        bread: Floats = np.asarray(
            np.linalg.pinv(x.transpose(0, 2, 1) @ (x * m[:, None]), hermitian=True), dtype=np.float64
        )
        slopes = np.einsum("bij,bgj,g->bi", bread, x, total, optimize=True)
        turned = x @ bread
        leverage: Floats = 1.0 / heads + (turned * x).sum(axis=2)
        gap = 1.0 - m * leverage
        scale = np.sqrt(np.where(gap > SINGULAR, gap, 1.0))
        load: Floats = np.where(gap > SINGULAR, turned[:, :, place] / scale, 0.0)
        residual = total - m * np.einsum("bgi,bi->bg", x, slopes)
        error = np.sqrt(((load * residual) ** 2).sum(axis=1))
        return Drawn(slopes[:, place], error, self._satterthwaite(x, bread, leverage, load))

    def _satterthwaite(self, x: Floats, bread: Floats, leverage: Floats, load: Floats) -> Floats:
        """(tr P)^2 / tr(P^2), P_gh = d_g 1{g = h} - r_g'r_h with d_g = b_g^2 m_g, r_g = b_g m_g M^(1/2) x_g."""
        squared = (load * self.size) ** 2
        diagonal, length = load**2 * self.size, squared * leverage
        core = bread @ (x.transpose(0, 2, 1) @ (x * squared[:, :, None]))
        across = np.add.reduceat(x * squared[:, :, None], self.starts, axis=1)
        squares = np.einsum("bij,bji->b", core, core)
        squares += 2.0 * np.einsum("bsi,bij,bsj,s->b", across, bread, across, 1.0 / self.people, optimize=True)
        squares += ((self.by_stratum(squared) / self.people) ** 2).sum(axis=1)
        bottom = (diagonal**2 - 2.0 * diagonal * length).sum(axis=1) + squares
        with np.errstate(divide="ignore", invalid="ignore"):
            dof: Floats = (diagonal - length).sum(axis=1) ** 2 / bottom
        return dof
