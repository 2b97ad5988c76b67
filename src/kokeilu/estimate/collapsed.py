"""Strata with one person in an arm that are too few to be pooled."""

from __future__ import annotations

import numpy as np

from kokeilu._kernels import moments
from kokeilu.estimate.sample import Finding, Sample

__all__ = ["collapsed"]


def collapsed(sample: Sample, table: moments.Cells, name: str) -> Finding:
    """Give a stratum's lone person the variance of the whole arm, or of the stratum's other arm if that is larger.

    Differences between strata are in it, so that it is too large on average unless the small strata vary more than the
    others. Source: Cochran (1977), Sampling Techniques, section 5A.12 (collapsed strata).

    Parameters
    ----------
    sample : Sample
        Of people, without survey weights.
    table : Cells
        Counts, means and variances by stratum, arm and reference.
    name : str
        The estimator.
    """
    share, alone = sample.sizes() / sample.sizes().sum(), table.count < 2.0
    arms = [sample.y[sample.codes == code] for code in (sample.arm, sample.reference)]
    whole = np.array([y.var(ddof=1) for y in arms])
    other = np.where(alone[:, ::-1], 0.0, table.variance[:, ::-1])
    spread = np.where(alone, np.maximum(whole, other), table.variance)
    free = np.where(alone, np.array([float(y.size) for y in arms]), table.count) - 1.0
    parts = share[:, None] ** 2 * spread / table.count
    variance = float(parts.sum())
    reason = (
        f"drawn within {share.size:,} strata, of which {int(alone.any(axis=1).sum())} have one person in an arm and "
        "are too few to be pooled: means weighted by stratum size, Neyman's variance per stratum, with that of the "
        "whole arm for a lone person (collapsed strata; Cochran 1977, section 5A.12), Satterthwaite's degrees of "
        "freedom."
    )
    return Finding(
        value=float(share @ (table.mean[:, 0] - table.mean[:, 1])),
        variance=variance,
        dof=float(variance**2 / (parts**2 / free).sum()) if variance > 0.0 else None,
        estimator=name,
        kind="collapsed strata",
        reason=reason,
        reference_mean=float(share @ table.mean[:, 1]),
    )
