r"""One regression under many assignments at once: what does not move between draws is projected out once.

With W the stratum effects and the covariates, Z the columns that the draw makes (arms, and covariates by arm) and
:math:`M = I - W (W'W)^{-1} W'`, the coefficients of y on [Z, W] are those of My on MZ, with the same residuals
(Frisch & Waugh 1933), and the leverages are

.. math:: h_i = q_i + \tilde z_i' (\tilde Z'\tilde Z)^{-1} \tilde z_i, \qquad q_i = [W (W'W)^{-1} W']_{ii}.

A draw of two arms with common slopes costs a few passes over the people.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from kokeilu._kernels.linear import columns_of, fit
from kokeilu._kernels.simulated import Drawn

__all__ = ["Projection", "refitted"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]
Integers = NDArray[np.int64]

CHUNK_CELLS = 2**17
"""Cells turned into doubles at a time: a megabyte, which stays in the cache."""

FULL = 1e-8
"""A row with a leverage nearer to 1 than this, or a column with less of its square left, is left to the slow way."""


class Projection(NamedTuple):
    """Stratum effects and covariates, in the order of the strata.

    `order` (n,) sorts people by stratum, `sizes` (S,) are the strata's people; `basis` (n, r) is orthonormal and
    centred within strata, `leverage` (n,) is q; `centred` (n, p) are the covariates less their means over everybody.
    """

    order: Integers
    sizes: Integers
    starts: Integers
    basis: Floats
    leverage: Floats
    centred: Floats

    @classmethod
    def of(cls, covariates: Floats, strata: Integers) -> Projection:
        """Project on strata 0..S-1 and covariates (n, p); columns that add nothing are dropped."""
        order = np.argsort(strata, kind="stable").astype(np.int64)
        sizes = np.bincount(strata).astype(np.int64)
        starts = (np.cumsum(sizes) - sizes).astype(np.int64)
        centred = (covariates - covariates.mean(axis=0))[order] if covariates.shape[1] else covariates[order]
        blank = cls(order, sizes, starts, np.empty((len(order), 0)), np.repeat(1.0 / sizes, sizes), centred)
        if not covariates.shape[1]:
            return blank
        found = fit(columns_of(centred, levels=strata[order]), np.zeros(len(order)))
        basis = blank.within(centred) @ found.root
        return blank._replace(basis=basis, leverage=blank.leverage + (basis**2).sum(axis=1))

    @property
    def rank(self) -> int:
        """Columns projected out."""
        return len(self.sizes) + int(self.basis.shape[1])

    def within(self, columns: Floats) -> Floats:
        """Columns (n, m) less their stratum means."""
        means = np.add.reduceat(columns, self.starts, axis=0) / self.sizes[:, None]
        return np.asarray(columns - np.repeat(means, self.sizes, axis=0), dtype=np.float64)

    def residuals(self, columns: Floats) -> Floats:
        """Columns (n, m), in the order of the strata, less their projection."""
        inner = self.within(columns)
        return inner - self.basis @ (self.basis.T @ inner) if self.basis.shape[1] else inner

    def rows(self, table: Floats) -> Floats:
        """The same for rows (b, n), in place."""
        table -= np.repeat(np.add.reduceat(table, self.starts, axis=1) / self.sizes, self.sizes, axis=1)
        if self.basis.shape[1]:
            table -= (table @ self.basis) @ self.basis.T
        return table


def refitted(
    y: Floats,
    codes: Codes,
    projection: Projection,
    *,
    arm: int,
    reference: int,
    interacted: bool,
    power: float,
) -> Drawn:
    """Regression on the arms, stratum effects and covariates, under each assignment.

    Parameters
    ----------
    y : (n,) array
    codes : (b, n) int8 array
        Arm of everybody who enters; people of all arms do.
    projection : Projection
    arm, reference : int
    interacted : bool
        Slopes by arm on the centred covariates (Lin 2013).
    power : float
        Squared residuals are divided by (1 - h) to this power: 1 for HC2, 2 for HC3.

    Returns
    -------
    Drawn
        Errors robust to unequal variances, and people less columns. NaN where a row is fitted perfectly or a column is
        a combination of the others: for the caller to do one by one.

    Source: MacKinnon & White (1985); Lin (2013).
    """
    sorted_codes = codes[:, projection.order]
    outcome = projection.residuals((y - y.mean())[projection.order, None])[:, 0]
    others = [int(code) for code in np.unique(codes) if code != reference]
    if len(others) == 1 and not (interacted and projection.centred.shape[1]):
        return _two_arms(outcome, sorted_codes, projection, arm, power)
    found = [_one(outcome, row, projection, arm, reference, interacted, power) for row in sorted_codes]
    return Drawn(*np.array(found).reshape(-1, 3).T)


def _two_arms(y: Floats, codes: Codes, projection: Projection, arm: int, power: float) -> Drawn:
    """Value z'y / z'z, squared error sum z^2 e^2 / (1 - h)^power / (z'z)^2."""
    draws, n = codes.shape
    value, error = np.empty(draws), np.empty(draws)
    step = max(1, CHUNK_CELLS // n)
    people = (codes == arm).sum(axis=1, dtype=np.int64).astype(np.float64)
    most = people * (n - people) / n
    for start in range(0, draws, step):
        rows = slice(start, min(start + step, draws))
        z = projection.rows((codes[rows] == arm).astype(np.float64))
        squares = np.einsum("bn,bn->b", z, z)
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = (z @ y) / squares
            residual = y - slope[:, None] * z
            np.square(z, out=z)
            gap = 1.0 - projection.leverage - z / squares[:, None]
            full = (gap < FULL).any(axis=1) | ~(squares > FULL * most[rows])
            residual *= residual
            residual *= z
            residual /= gap if power == 1.0 else gap**power
            value[rows] = slope
            error[rows] = np.where(full, np.nan, np.sqrt(residual.sum(axis=1)) / squares)
    return Drawn(value, error, np.full(draws, float(n - projection.rank - 1)))


def _one(
    y: Floats, codes: Codes, projection: Projection, arm: int, reference: int, interacted: bool, power: float
) -> tuple[float, float, float]:
    """One draw of any number of arms: the columns it makes by a Cholesky factor."""
    others = [int(code) for code in np.unique(codes) if code != reference]
    if arm not in others or reference not in codes:
        return np.nan, np.nan, np.nan
    held = [(codes == code).astype(np.float64)[:, None] for code in others]
    slopes = [projection.centred * one for one in held] if interacted else []
    z = projection.residuals(np.concatenate([*held, *slopes], axis=1))
    gram = z.T @ z
    scale = np.sqrt(np.diag(gram))
    if not (scale > 0.0).all():
        return np.nan, np.nan, np.nan
    z /= scale
    try:
        factor = cho_factor(gram / np.outer(scale, scale), lower=True)
    except np.linalg.LinAlgError:
        return np.nan, np.nan, np.nan
    if np.diag(factor[0]).min() ** 2 < FULL:
        return np.nan, np.nan, np.nan
    inverse = cho_solve(factor, np.eye(len(gram)))
    turned = z @ inverse
    gap = 1.0 - projection.leverage - np.einsum("ij,ij->i", turned, z)
    if gap.min() < FULL:
        return np.nan, np.nan, np.nan
    place = others.index(arm)
    slope = inverse @ (z.T @ y)
    residual = y - z @ slope
    variance = float((turned[:, place] ** 2 * residual**2 / gap**power).sum())
    dof = float(len(y) - projection.rank - z.shape[1])
    return float(slope[place] / scale[place]), float(np.sqrt(variance) / scale[place]), dof
