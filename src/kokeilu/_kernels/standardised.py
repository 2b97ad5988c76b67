"""Means by arm standardised over everybody (g-computation) and their covariance under covariate-adaptive draws."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["SCALES", "Standardised", "contrast_of", "standardised"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SCALES = ("difference", "log ratio", "log odds ratio")


class Standardised(NamedTuple):
    """Means (A,), their covariance (A, A), and the part of each variance that comes from residuals (A,)."""

    means: Floats
    covariance: Floats
    residual: Floats


def standardised(
    y: Floats,
    place: Integers,
    predicted: Floats,
    *,
    residual: Floats | None = None,
    strata: Integers | None = None,
) -> Standardised:
    r"""Standardised means and their covariance, as published or for samples that are not large.

    :math:`\theta_a = \bar\mu_a + \bar r_a`, with predictions :math:`\mu_a` for everybody and residuals :math:`r` of
    the people of arm a. With :math:`C_{ja}` the covariance in arm a of y and :math:`\mu_j`,

    .. math:: nV = diag_a((s^2_a(y) + s^2(\mu_a) - 2C_{aa}) / \pi_a) + C + C' - Cov(\mu)

    and, where people were drawn within strata, less :math:`(diag \pi - \pi\pi')_{ab} \sum_s (n_s/n) \bar r_{sa} \bar
    r_{sb} / (\pi_a \pi_b)`. Shares :math:`\pi` are those of the sample.

    Given variances of the mean residuals, these stand for the first part; :math:`C_{ja}` is split into
    :math:`Cov(\mu_a, \mu_j)` over everybody and the covariance in arm a of residuals and :math:`\mu_j`, so that a
    variance hardly ever comes out negative; and :math:`s^2_{sa}/n_{sa}`, the noise in :math:`\bar r_{sa}^2`, is taken
    out of the correction, which is else too large where strata are small.

    Parameters
    ----------
    y : (n,) array
    place : (n,) array
        Position 0..A-1 of each person's arm among those asked for, -1 for other arms.
    predicted : (n, A) array
    residual : (A,) array, optional
        Variances of the mean residuals, such as :math:`\sum q_i^2 r_i^2 / (1 - h_i)`; see `glm.residual_variance`.
    strata : (n,) array of codes, optional
        Of a stratified draw; each stratum must hold two people of each arm.

    Source: Ye, Shao, Yi & Zhao (2023), JASA 118; Bannick, Shao, Liu, Du, Yi & Ye (2025), Biometrika 112.
    """
    n, width = predicted.shape
    count = np.array([(place == a).sum() for a in range(width)], dtype=np.float64)
    residuals = [(y - predicted[:, a])[place == a] for a in range(width)]
    means = predicted.mean(axis=0) + np.array([r.mean() for r in residuals])
    cross, spread = np.empty((width, width)), np.empty(width)
    wide = np.cov(predicted, rowvar=False).reshape(width, width)
    for a in range(width):
        mine = place == a
        own = (y if residual is None else y - predicted[:, a])[mine]
        own = own - own.mean()
        cross[:, a] = own @ predicted[mine] / (count[a] - 1.0)
        if residual is None:
            spread[a] = own @ own / (count[a] - 1.0) + wide[a, a] - 2.0 * cross[a, a]
        else:
            spread[a] = residual[a] * count[a]
            cross[:, a] += wide[:, a]
    share = count / n
    covariance = np.diag(spread / share) + cross + cross.T - wide
    if strata is not None:
        covariance -= _stratified(residuals, place, strata, share, debias=residual is not None)
    return Standardised(means, covariance / n, spread / count)


def _stratified(residuals: list[Floats], place: Integers, strata: Integers, share: Floats, *, debias: bool) -> Floats:
    """What a draw within strata takes off n times the covariance, (A, A)."""
    n_strata, width = int(strata.max()) + 1, share.size
    sizes = np.bincount(strata, minlength=n_strata) / strata.size
    means, noise = np.empty((n_strata, width)), np.empty(width)
    for a, own in enumerate(residuals):
        cell = strata[place == a]
        count = np.bincount(cell, minlength=n_strata)
        means[:, a] = np.bincount(cell, weights=own, minlength=n_strata) / count
        squares = np.bincount(cell, weights=(own - means[cell, a]) ** 2, minlength=n_strata) / (count - 1.0)
        noise[a] = float(sizes @ (squares / count))
    moment = (means * sizes[:, None]).T @ means
    if debias:
        values, vectors = np.linalg.eigh(moment - np.diag(noise))
        moment = (vectors * np.maximum(values, 0.0)) @ vectors.T
    result: Floats = (np.diag(share) - np.outer(share, share)) / np.outer(share, share) * moment
    return result


def contrast_of(means: Floats, scale: str) -> tuple[float, Floats]:
    """Contrast of two means (arm, reference) on a scale, and its gradient (2,)."""
    arm, reference = float(means[0]), float(means[1])
    if scale == "difference":
        return arm - reference, np.array([1.0, -1.0])
    if scale == "log ratio":
        return float(np.log(arm / reference)), np.array([1.0 / arm, -1.0 / reference])
    odds = np.log(arm / (1.0 - arm)) - np.log(reference / (1.0 - reference))
    return float(odds), np.array([1.0 / (arm * (1.0 - arm)), -1.0 / (reference * (1.0 - reference))])
