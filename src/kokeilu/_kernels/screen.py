"""The screen of rerandomisation: Mahalanobis distances of many tries at once, by tiers of covariates.

With T the totals of the covariates (centred within strata) in the arms 1..K-1 and V their covariance under the
lottery, M = (T - E T)' V^+ (T - E T). For two arms of a complete randomisation this is M of Morgan & Rubin (2012),
"Rerandomization to improve covariate balance in experiments", Ann. Statist. 40, 1263-1282; for strata, clusters and
several arms it is the statistic of Hansen & Bowers (2008), Statist. Sci. 23, 219-236, eq. 12. Tiers: Morgan & Rubin
(2015), "Rerandomization to balance tiers of covariates", JASA 110, 1412-1421: each tier is made orthogonal to those
before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from kokeilu._kernels.imbalance import whitening

__all__ = ["Screen", "Theory", "best_of", "expected_deviations", "mahalanobis_screen", "theory"]

Codes = NDArray[np.int8]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

EXPLAINED = 1e-9
"""What is left of a covariate's variance below this part of it, once earlier tiers are taken out, is rounding."""

GRID_BITS = 49
"""Sums of scores stay below 2**GRID_BITS grid steps, so that they and their halves are exact in any order."""

NODES = 200
"""Of Gauss's rule."""

NEARLY_ONE = 1.0 - 2.0**-53

TIE = 1e-9
"""Distances within this part of the threshold count as equal to it, so that mirrored draws are judged alike."""


@dataclass(frozen=True, slots=True, eq=False)
class Theory:
    """What acceptance with probability `accept` does to p covariates.

    Attributes
    ----------
    threshold : float
        Quantile a of chi-square with p degrees of freedom.
    variance_factor : float
        v_a, by which the variance of covariate differences is multiplied; the outcome's falls by R^2 (1 - v_a).
    tries : float
        Expected number of tries.
    """

    threshold: float
    variance_factor: float
    tries: float


def theory(rank: int, accept: float) -> Theory:
    """Return threshold, variance factor and expected tries (Morgan & Rubin 2012, sec. 3).

    With half = p / 2 and x = a / 2: v_a = P(chi2_{p+2} <= a) / P(chi2_p <= a), a ratio of regularised lower incomplete
    gamma functions.
    """
    half = rank / 2.0
    x = float(special.gammaincinv(half, accept))
    return Theory(2.0 * x, float(special.gammainc(half + 1.0, x)) / accept, 1.0 / accept)


def best_of(rank: int, draws: int) -> Theory:
    """Return the theory of taking the best of so many draws: no draw is refused, and v = E[min of K chi2_p] / p.

    Given its distance a draw is uniform on an ellipsoid (Morgan & Rubin 2012, sec. 3), so that all directions shrink by
    the same factor. With x = t^2 the mean is the integral of 2 t P(chi2_p > t^2)^K, which Gauss's rule takes.
    """
    half = rank / 2.0
    # Beyond it the integrand is below 1e-18 of what it is at its height.
    end = np.sqrt(2.0 * special.gammainccinv(half, 10.0 ** (-18.0 / draws)))
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    t = 0.5 * end * (nodes + 1.0)
    log_worse = np.log1p(-np.minimum(special.gammainc(half, 0.5 * t**2), NEARLY_ONE))
    mean = float(0.5 * end * weights @ (2.0 * t * np.exp(draws * log_worse)))
    return Theory(np.inf, mean / rank, float(draws))


@dataclass(frozen=True, slots=True, eq=False)
class Screen:
    """Scores of every unit in every arm, (K, units, R), and each tier's largest distance and variance factor v_a.

    Scores lie on a grid of powers of two, so that their sums are exact: no batch size and no linear-algebra library
    shows in a distance.
    """

    scores: Floats
    centre: Floats
    tier: Ints
    thresholds: Floats
    factors: Floats

    def sums(self, codes: Codes) -> Floats:
        """Whitened totals of draws, codes (b, units): (b, R)."""
        total = np.zeros((len(codes), self.scores.shape[2]))
        for arm in range(1, len(self.scores)):
            held = codes if len(self.scores) == 2 else codes == arm
            total += held.astype(np.float64) @ self.scores[arm]
        return total - self.centre

    def distances(self, sums: Floats) -> Floats:
        """M of each tier, from sums (..., R): (..., tiers)."""
        squares = sums**2
        return np.stack([squares[..., self.tier == t].sum(axis=-1) for t in range(len(self.thresholds))], axis=-1)

    def inside(self, distances: Floats) -> Flags:
        """Tell which distances (..., tiers) are accepted."""
        accepted: Flags = np.logical_and.reduce(distances <= self.thresholds * (1.0 + TIE), axis=-1)
        return accepted

    def within(self, sums: Floats) -> Flags:
        """Tell which sums (..., R) are accepted."""
        return self.inside(self.distances(sums))

    def accepts(self, codes: Codes) -> Flags:
        """Tell which draws (b, units) are accepted: (b,)."""
        return self.within(self.sums(codes))


def mahalanobis_screen(
    columns: Floats, covariance: Floats, shares: Floats, tiers: Sequence[Ints], accept: Sequence[float]
) -> Screen:
    """Make the screen.

    Parameters
    ----------
    columns : (units, r) array
        Covariates centred within strata.
    covariance : ((K-1) r, (K-1) r) array
        Of their totals in the arms 1..K-1, arm by arm.
    shares : (units, K) array
    tiers : sequence of int64 arrays
        Columns of each tier.
    accept : sequence of float
        Probability of each tier's acceptance.
    """
    arms, width = shares.shape[1], columns.shape[1]
    factors, owner = _tier_factors(covariance, [_in_all_arms(tier, width, arms) for tier in tiers])
    scores = np.zeros((arms, len(columns), factors.shape[1]))
    for arm in range(1, arms):
        scores[arm] = columns @ factors[(arm - 1) * width : arm * width]
    scores = _on_grid(scores)
    centre = np.einsum("uk,kur->r", shares, scores)
    ranks = np.bincount(owner, minlength=len(tiers)).tolist()
    laws = [theory(rank, p) if rank else Theory(0.0, 1.0, 1.0) for rank, p in zip(ranks, accept, strict=True)]
    thresholds, factor = np.array([law.threshold for law in laws]), np.array([law.variance_factor for law in laws])
    return Screen(scores, centre, owner, thresholds, factor)


def expected_deviations(screen: Screen, shares: Floats, strata: Ints) -> Floats:
    r"""How far the restriction moves each unit's probabilities in large samples, (units, K).

    With S ~ N(0, I) the whitened totals, given z_i = k it is N(m_k, I - W_i), m_k = u_ik - sum_l p_l u_il and
    W_i = sum_l p_l m_l m_l'. To the second order (Hermite polynomials)

        P(z_i = k | S) / p_k = 1 + m_k' S + (m_k m_k' - W_i) : (S S' - I) / 2

    and E[S S'] of the draws that are taken is v I within each tier (v of :func:`theory` or :func:`best_of`). The mean
    over the stratum is taken out, as seats are fixed. What is left out is of the third order in the scores: the formula
    is no bound, and near only where no unit has much weight in a covariate.

    Parameters
    ----------
    screen : Screen
    shares : (units, K) array
    strata : (units,) array of codes 0..S-1
    """
    middle = np.einsum("uk,kur->ur", shares, screen.scores)
    change = screen.factors[screen.tier] - 1.0
    bend = np.einsum("kur,r->uk", (screen.scores - middle) ** 2, change)
    moved = 0.5 * shares * (bend - (shares * bend).sum(axis=1, keepdims=True))
    sizes = np.maximum(np.bincount(strata), 1)[:, None]
    means = np.stack([np.bincount(strata, weights=column) for column in moved.T], axis=1) / sizes
    deviations: Floats = moved - means[strata]
    return deviations


def _in_all_arms(tier: Ints, width: int, arms: int) -> Ints:
    return np.concatenate([tier + arm * width for arm in range(arms - 1)])


def _tier_factors(covariance: Floats, tiers: Sequence[Ints]) -> tuple[Floats, Ints]:
    """Return W, (m, R), with W' V W = I and the columns of a tier free of the tiers before; and each column's tier."""
    size = len(covariance)
    factors, owner = np.zeros((size, 0)), []
    for number, places in enumerate(tiers):
        rest = np.eye(size)[:, places] - factors @ (covariance[places] @ factors).T
        left = rest.T @ covariance @ rest
        gone = np.diag(left) <= EXPLAINED * np.diag(covariance)[places]
        left[gone] = left[:, gone] = 0.0
        own = rest @ whitening(left)
        factors = np.concatenate([factors, own], axis=1)
        owner += [number] * own.shape[1]
    return factors, np.array(owner, dtype=np.int64)


def _on_grid(scores: Floats) -> Floats:
    """Round each score to a power of two that makes sums over all units exact."""
    reach = np.abs(scores).sum(axis=(0, 1))
    step = np.exp2(np.ceil(np.log2(np.where(reach > 0.0, reach, 1.0))) - GRID_BITS)
    rounded: Floats = np.rint(scores / step) * step
    return rounded
