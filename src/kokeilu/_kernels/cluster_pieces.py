"""What a cluster adds to a cluster-robust covariance and its degrees of freedom; clusters of equal size together.

Z (b, s, m) are the rows of b clusters with s rows each, in coordinates where Z'WZ = I over all clusters (`linear.Fit`).
For a contrast a of these coordinates a cluster adds its adjusted score, and under a working model of independence the
vector q_g, of which only products are kept: d = q'q and the loadings Z'q (with weights also Z'Wq).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["POWERS", "Pieces", "Power", "direct", "plain", "weighted_linear", "weighted_root"]

Floats = NDArray[np.float64]
Power = float

SINGULAR = 1e-12
"""An eigenvalue of I - H_gg below this is nought: the pseudo-inverse leaves its direction out."""

RANK = 1e-13

POWERS: dict[str, Power] = {"CR0": 0.0, "CR1": 0.0, "CR1p": 0.0, "stata": 0.0, "CR2": -0.5, "CR3": -1.0, "CV3": -1.0}
"""A_g = (I - H_gg) to this power."""

Truths = NDArray[np.bool_]


class Pieces(NamedTuple):
    """By cluster: scores (b, m), products d (b, c, c), loadings (b, c, m or 2m), and what rests on the cluster alone.

    `alone` (b, c) is the part a'v v'a of each contrast along the directions v that only this cluster identifies, and
    `full` (b,) says where there are any.
    """

    scores: Floats
    products: Floats
    loadings: Floats
    alone: Floats
    full: NDArray[np.bool_]


def _powered(values: Floats, power: Power) -> tuple[Floats, Truths]:
    """Eigenvalues to the power, nought where they are nought; and where that is."""
    if power == 0.0:
        return np.ones_like(values), np.zeros(values.shape, dtype=bool)
    nought = values <= SINGULAR
    return np.where(nought, 0.0, np.where(nought, 1.0, values) ** power), nought


def plain(z: Floats, residuals: Floats, rotated: Floats, power: Power) -> Pieces:
    """Without weights: K = Z_g'Z_g = Q l Q', F = Q (1 - l)^power Q'; everything m x m."""
    gram = z.transpose(0, 2, 1) @ z
    sums = (z.transpose(0, 2, 1) @ residuals[:, :, None])[:, :, 0]
    turned, scores, alone, full = _turned(gram, sums, rotated, power)
    loadings = turned @ gram
    return Pieces(scores, loadings @ turned.transpose(0, 2, 1), loadings, alone, full)


def _turned(
    gram: Floats, sums: Floats, rotated: Floats, power: Power
) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """F a (b, c, m), F times the sums, and what rests on the cluster alone, for F = (I - gram)^power."""
    if power == 0.0:
        shape = (gram.shape[0], *rotated.shape)
        return np.broadcast_to(rotated, shape), sums, np.zeros(shape[:2]), np.zeros(shape[0], dtype=bool)
    values, vectors = np.linalg.eigh(gram)
    factor, nought = _powered(1.0 - values, power)
    root = (vectors * factor[:, None, :]) @ vectors.transpose(0, 2, 1)
    alone = (((rotated @ vectors) ** 2) * nought[:, None, :]).sum(axis=2)
    full: Truths = np.logical_or.reduce(nought, axis=1)
    return rotated @ root, (root @ sums[:, :, None])[:, :, 0], alone, full


def weighted_linear(z: Floats, residuals: Floats, weights: Floats, rotated: Floats, power: Power) -> Pieces:
    """With weights and A = I or (I - H_gg)^-1, which passes through: Z'W(I - ZZ'W)^-1 u = (I - Z'WZ)^-1 Z'Wu."""
    heavy = z * weights[:, :, None]
    gram = heavy.transpose(0, 2, 1) @ z
    square = heavy.transpose(0, 2, 1) @ heavy
    sums = (heavy.transpose(0, 2, 1) @ residuals[:, :, None])[:, :, 0]
    turned, scores, alone, full = _turned(gram, sums, rotated, power)
    second = turned @ square
    loadings = np.concatenate([turned @ gram, second], axis=2)
    return Pieces(scores, second @ turned.transpose(0, 2, 1), loadings, alone, full)


def weighted_root(z: Floats, residuals: Floats, weights: Floats, bread: Floats, rotated: Floats) -> Pieces:
    """CR2 with weights: B = I + U D U' for U = [Z, WZ], D = [[J, -I], [-I, 0]]; everything 2m x 2m.

    With U'U = Q l Q' and P = U Q l^(-1/2), B^(-1/2) = I + P (T^(-1/2) - I) P', T = I + l^(1/2) Q'DQ l^(1/2).
    """
    width = z.shape[2]
    wide = np.concatenate([z, z * weights[:, :, None]], axis=2)
    gram = wide.transpose(0, 2, 1) @ wide
    values, vectors = np.linalg.eigh(gram)
    keep = values > RANK * values[:, -1:]
    up = np.where(keep, np.sqrt(np.where(keep, values, 1.0)), 0.0)
    down = np.where(keep, 1.0 / np.where(keep, up, 1.0), 0.0)
    inner = np.zeros_like(gram)
    inner[:, :width, :width] = bread
    inner[:, :width, width:] = inner[:, width:, :width] = -np.eye(width)
    scaled = vectors * up[:, None, :]
    small = np.eye(2 * width) + scaled.transpose(0, 2, 1) @ inner @ scaled
    lambdas, turns = np.linalg.eigh(small)
    factor, nought = _powered(lambdas, -0.5)
    change = (turns * (factor - 1.0)[:, None, :]) @ turns.transpose(0, 2, 1)
    outer = vectors * down[:, None, :]
    shift = outer @ change @ outer.transpose(0, 2, 1)
    sums = (wide.transpose(0, 2, 1) @ residuals[:, :, None])[:, :, 0]
    lifted = sums + (gram @ (shift @ sums[:, :, None]))[:, :, 0]
    weighted_part = rotated @ gram[:, :, width:].transpose(0, 2, 1)
    loadings = weighted_part + weighted_part @ (shift @ gram)
    # q = WZa + U F N a, so q'q is the quadratic form below with s = F N a (F, N symmetric)
    inner_part = weighted_part @ shift
    cross = inner_part @ weighted_part.transpose(0, 2, 1)
    base = rotated @ gram[:, width:, width:] @ rotated.T
    products = base + cross + cross.transpose(0, 2, 1) + inner_part @ gram @ inner_part.transpose(0, 2, 1)
    # e = P t is the direction that B leaves out; of the contrast it holds (e'WZa)^2.
    held = (weighted_part @ (outer @ turns)) ** 2
    alone = (held * nought[:, None, :]).sum(axis=2)
    return Pieces(lifted[:, width:], products, loadings, alone, np.logical_or.reduce(nought, axis=1))


def direct(
    z: Floats, residuals: Floats, weights: Floats | None, bread: Floats | None, rotated: Floats, power: Power
) -> Pieces:
    """Clusters with fewer rows than coordinates: A_g itself is the smaller matrix. With weights CR2 only."""
    hat = z @ z.transpose(0, 2, 1)
    heavy = z
    matrix = np.eye(z.shape[1]) - hat
    if weights is not None and bread is not None:
        heavy = z * weights[:, :, None]
        matrix = np.eye(z.shape[1]) - hat * weights[:, None, :] - hat * weights[:, :, None]
        matrix = matrix + z @ bread @ z.transpose(0, 2, 1)
    values, vectors = np.linalg.eigh(matrix)
    factor, nought = _powered(values, power)
    root = (vectors * factor[:, None, :]) @ vectors.transpose(0, 2, 1)
    adjusted = root @ heavy
    scores = (adjusted.transpose(0, 2, 1) @ residuals[:, :, None])[:, :, 0]
    turned = rotated @ adjusted.transpose(0, 2, 1)
    loadings = turned @ z
    if weights is not None:
        loadings = np.concatenate([loadings, turned @ heavy], axis=2)
    held = (rotated @ heavy.transpose(0, 2, 1) @ vectors) ** 2
    products = turned @ turned.transpose(0, 2, 1)
    alone = (held * nought[:, None, :]).sum(axis=2)
    return Pieces(scores, products, loadings, alone, np.logical_or.reduce(nought, axis=1))
