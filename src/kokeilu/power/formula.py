"""Variances and degrees of freedom of a contrast: numbers in, numbers out.

One form covers individual, stratified and clustered designs. With N people, n_j of them in cluster j, arm k
given to that cluster with probability p_kj, ρ the intra-cluster correlation, and σ_k² the variance in arm k:

    SE² = Σ_k σ_k² [ρ(1 − R₂²)·Σ_j n_j²/p_kj + (1 − ρ)(1 − R₁²)·Σ_j n_j/p_kj] / N²

the sum over the arm and its reference. People drawn one by one have ρ = 0. With equal clusters and one share
it is Raudenbush (1997) and Dong & Maynard (2013); with unequal ones the individual-mean analysis of Eldridge,
Ashby & Kerry (2006); with shares that differ by stratum the stratum-weighted difference Σ(N_b/N)τ_b.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kokeilu.power.models import Components, OutcomeModel

__all__ = [
    "Layout",
    "arm_variance_gls",
    "arm_variance_ols",
    "design_effect",
    "design_effect_gls",
    "parts_of",
    "pooled_errors",
    "variance_parts",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What the design gives one contrast; pairs are (arm, reference).

    Attributes
    ----------
    people, clusters : pair of float
        Expected numbers; `clusters` is None where people are drawn one by one.
    within, between : pair of float
        Σ_j n_j/p_kj / N² and Σ_j n_j²/p_kj / N²: the weights of the two variances.
    strata : int
        Number of strata, 1 without them.
    averaged : bool
        True where every stratum has two units of either arm, so that its own effect and error are estimated
        and the strata averaged (2 degrees of freedom each); False: one common effect (1 each, and 1).
    """

    people: tuple[float, float]
    within: tuple[float, float]
    clusters: tuple[float, float] | None = None
    between: tuple[float, float] | None = None
    strata: int = 1
    averaged: bool = True

    @property
    def units(self) -> float:
        """Number of units drawn into the two arms: clusters, or people."""
        return sum(self.clusters if self.clusters is not None else self.people)

    def dof(self, covariates: int = 0) -> float:
        """Return J(n − 2) − g, or J(n − 1) − g − 1 with one common effect (Dong & Maynard 2013).

        J = 1: n − g − 2. In a clustered design n counts the clusters of a stratum. May be 0 or negative.
        """
        lost = 2 * self.strata if self.averaged else self.strata + 1
        return self.units - lost - covariates


def variance_parts(layout: Layout, outcome: OutcomeModel, effect: float) -> dict[str, float]:
    """Return the parts of SE² by source, in squared units: "people", and "clusters" where there are any."""
    parts = parts_of(layout, outcome.components(effect, layout.people))
    spread = float(getattr(outcome, "effect_sd", 0.0))
    return parts | ({"effects": -(spread**2) / sum(layout.people)} if spread else {})


def parts_of(layout: Layout, components: Components) -> dict[str, float]:
    """Return the same from the variances between people and between clusters, (arm, reference) each."""
    people, clusters = components
    parts = {"people": sum(v * w for v, w in zip(people, layout.within, strict=True))}
    if layout.between is not None:
        parts["clusters"] = sum(v * w for v, w in zip(clusters, layout.between, strict=True))
    return parts


def design_effect(size: float, icc: float, cv: float = 0.0) -> float:
    """Return 1 + ((1 + CV²)m − 1)ρ: least squares on people (Eldridge, Ashby & Kerry 2006)."""
    return 1.0 + ((1.0 + cv**2) * size - 1.0) * icc


def design_effect_gls(size: float, icc: float, cv: float = 0.0) -> float:
    """Return D/(1 − CV²L(1 − L)), D = 1 + (m − 1)ρ, L = mρ/D (van Breukelen, Candel & Berger 2007)."""
    equal = design_effect(size, icc)
    reliability = size * icc / equal
    return equal / (1.0 - cv**2 * reliability * (1.0 - reliability))


def arm_variance_ols(sizes: npt.ArrayLike, icc: float) -> float:
    """Return Σ n_j(1 + (n_j − 1)ρ)/N²: variance of an arm's mean over people, per σ², known cluster sizes."""
    n = np.asarray(sizes, dtype=np.float64)
    return float((n * (1.0 + (n - 1.0) * icc)).sum() / n.sum() ** 2)


def arm_variance_gls(sizes: npt.ArrayLike, icc: float) -> float:
    """Return 1/Σ n_j/(1 + (n_j − 1)ρ): variance of an arm's mean by generalised least squares, per σ²."""
    n = np.asarray(sizes, dtype=np.float64)
    return float(1.0 / (n / (1.0 + (n - 1.0) * icc)).sum())


def pooled_errors(shares: Sequence[float], counts: Sequence[float]) -> tuple[float, float]:
    """Return (s₀, s₁) of a difference of two shares: pooled under the null, unpooled under the alternative.

    The convention of the score test, for :func:`kokeilu._kernels.noncentral.z_power`.
    """
    total = sum(counts)
    pooled = sum(p * n for p, n in zip(shares, counts, strict=True)) / total
    null = pooled * (1.0 - pooled) * sum(1.0 / n for n in counts)
    alternative = sum(p * (1.0 - p) / n for p, n in zip(shares, counts, strict=True))
    return math.sqrt(null), math.sqrt(alternative)
