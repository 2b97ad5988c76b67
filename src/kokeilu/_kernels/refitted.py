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

    `order` (n,) sorts people by stratum, `place` (n,) is the stratum of each in this order, `sizes` (S,) are the
    strata's people and `starts` (S,) the first of them; `basis` (n, r) is orthonormal and centred within strata,
    `leverage` (n,) is q; `centred` (n, p) are the covariates less their means over everybody.
    """

    order: Integers
    place: Integers
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
        blank = cls(
            order, strata[order], sizes, starts, np.empty((len(order), 0)), np.repeat(1.0 / sizes, sizes), centred
        )
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

    def rows(self, table: Floats, spare: Floats) -> None:
        """Take the projection out of rows (b, n), in place; `spare` (b, n) is overwritten."""
        means = np.add.reduceat(table, self.starts, axis=1) / self.sizes if len(self.sizes) > 1 else None
        if means is None:
            table -= table.mean(axis=1, keepdims=True)
        else:
            np.take(means, self.place, axis=1, out=spare, mode="clip")
            table -= spare
        if self.basis.shape[1]:
            np.matmul(table @ self.basis, self.basis.T, out=spare)
            table -= spare


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
    plain = (np.diff(projection.order) == 1).all()
    sorted_codes = codes if plain else codes[:, projection.order]
    outcome = projection.residuals((y - y.mean())[projection.order, None])[:, 0]
    others = _others(codes, reference)
    if len(others) == 1 and not (interacted and projection.centred.shape[1]):
        return _two_arms(outcome, sorted_codes, projection, arm, power)
    found = [_one(outcome, row, projection, arm, reference, interacted, power) for row in sorted_codes]
    return Drawn(*np.array(found).reshape(-1, 3).T)


def _others(codes: Codes, reference: int) -> list[int]:
    """Arms that occur, but the reference."""
    return [code for code in range(int(codes.max()) + 1) if code != reference and (codes == code).any()]


def _two_arms(y: Floats, codes: Codes, projection: Projection, arm: int, power: float) -> Drawn:
    """Value z'y / z'z, squared error sum z^2 e^2 / (1 - h)^power / (z'z)^2, from few passes over (b, n) in place."""
    draws, n = codes.shape
    value, error = np.empty(draws), np.empty(draws)
    step = max(1, CHUNK_CELLS // n)
    buffers = np.empty((2, min(step, draws), n))
    for start in range(0, draws, step):
        rows = slice(start, min(start + step, draws))
        z, score = buffers[:, : rows.stop - rows.start]
        np.equal(codes[rows], arm, out=z, casting="unsafe")
        people = z.sum(axis=1)
        projection.rows(z, score)
        squares = np.einsum("bn,bn->b", z, z)
        usable = squares > FULL * people * (n - people) / n
        squares[~usable] = 1.0
        slope = (z @ y) / squares
        np.multiply(z, -slope[:, None], out=score)
        score += y
        score *= z
        z *= z
        z *= -1.0 / squares[:, None]
        z += 1.0 - projection.leverage
        usable &= z.min(axis=1) >= FULL
        if power != 1.0:
            z **= power
        score *= score
        score /= np.where(usable[:, None], z, 1.0) if not usable.all() else z
        value[rows] = slope
        error[rows] = np.where(usable, np.sqrt(score.sum(axis=1)) / squares, np.nan)
    return Drawn(value, error, np.full(draws, float(n - projection.rank - 1)))


def _one(
    y: Floats, codes: Codes, projection: Projection, arm: int, reference: int, interacted: bool, power: float
) -> tuple[float, float, float]:
    """One draw of any number of arms: the columns it makes by a Cholesky factor."""
    others = _others(codes, reference)
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
