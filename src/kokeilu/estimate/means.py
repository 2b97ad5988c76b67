"""Differences in means with the variance that follows from the design."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kokeilu._checks import choice
from kokeilu._kernels import linear, moments
from kokeilu._kernels.clustered import cluster_robust
from kokeilu.core.protocols import Floats
from kokeilu.core.registry import register
from kokeilu.core.results import Estimates
from kokeilu.core.view import View
from kokeilu.errors import EstimationError
from kokeilu.estimate.sample import Contrasts, Finding, Sample, contrasts_of, estimate_of, sample_of

__all__ = ["DifferenceInMeans"]

NAME = "difference in means"

LARGE = 10
"""With fewer people in some stratum and arm, n - 2B degrees of freedom are too many: with cells of two to five and
unequal spread, 5 % tests reject in 7-16 % (simulated), in 3-7 % with Satterthwaite's."""


@register("DifferenceInMeans")
@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceInMeans:
    """Difference in means, weighted over strata, with the variance of the design.

    With n people and G clusters in B strata, n_b of the people in stratum b:

    * One stratum: Neyman's variance, Welch's degrees of freedom.
    * Strata with at least two people in each arm: stratum-weighted (n_b / n), Neyman's variance per stratum, n - 2B
      degrees of freedom (Satterthwaite's where some stratum has fewer than ten people in an arm). Strata with one
      person in an arm: pooled as in Pashley & Miratrix (2021); pairs: between-pair variance.
    * Clusters: CR2 with Satterthwaite degrees of freedom; in strata CR2 per stratum with G - 2B; pairs of
      clusters: Imai, King & Nall (2009).
    * Where a stratum lacks one of the arms, or people of one stratum had different chances: weighted by 1 / share
      (Hajek) with HC2 or CR2.

    Parameters
    ----------
    errors : {"auto", "Neyman", "CR2"}
        "auto" follows the design. The others say the same in advance, and are refused where the design asks for
        the other one.

    Examples
    --------
    >>> DifferenceInMeans()
    DifferenceInMeans(errors='auto')
    """

    errors: str = "auto"

    def __post_init__(self) -> None:
        choice(self.errors, ("auto", "Neyman", "CR2"), name="errors")

    def estimate(self, view: View, contrasts: Contrasts = None) -> Estimates:
        """Estimate the contrasts (arm, reference); each arm against the first where none are named.

        Parameters
        ----------
        view : View
        contrasts : sequence of pairs of arm names, optional

        Returns
        -------
        Estimates

        Raises
        ------
        EstimationError
            An arm without people, one person or cluster in an arm, an outcome without variation.
        DesignError
            An unknown arm.
        """
        if self.errors == "Neyman" and view.clusters is not None:
            raise EstimationError("the design draws clusters: Neyman's variance would ignore them. Use errors='CR2'.")
        if self.errors == "CR2" and view.clusters is None:
            raise EstimationError("the design draws people, not clusters: CR2 does not apply. Use errors='auto'.")
        found = []
        for arm, reference in contrasts_of(view, contrasts):
            sample = sample_of(view, arm, reference)
            found.append(estimate_of(view, sample, _finding(sample, view.fixed)))
        return Estimates(tuple(found))


def _finding(sample: Sample, fixed: bool) -> Finding:
    if not sample.whole:
        return _hajek(sample, "people were drawn within clusters that were drawn before them")
    counts = sample.unit_counts()
    if sample.shares_differ(within_strata=True):
        return _hajek(sample, "the chance of an arm differs between people of the same stratum")
    lacking = int((counts == 0).any(axis=1).sum())
    if lacking:
        return _hajek(sample, f"{lacking} of {len(counts)} strata lack one of the two arms")
    if sample.clusters is not None:
        return _of_clusters(sample, counts)
    return _of_people(sample, counts, fixed)


def _of_people(sample: Sample, counts: np.ndarray[tuple[int, ...], np.dtype[np.int64]], fixed: bool) -> Finding:
    table = moments.cells(sample.y, sample.codes, sample.strata, arm=sample.arm, reference=sample.reference)
    sizes = sample.sizes()
    mean = float(table.mean[:, 1] @ sizes / sizes.sum())
    if len(counts) == 1:
        drawn = "people were drawn in one group" if fixed else "each person was drawn alone with the same chances"
        reason = f"{drawn}: Neyman's variance with Welch's degrees of freedom."
        return _finding_of(moments.two_sample(table), mean, "Neyman", reason)
    if (counts >= 2).all():
        found = moments.stratified(table, sizes)
        rule = "degrees of freedom: people less two per stratum"
        if counts.min() < LARGE:
            found = found._replace(dof=moments.satterthwaite(table, sizes))
            rule = f"Satterthwaite's degrees of freedom (fewer than {LARGE} people in some stratum and arm)"
        reason = (
            f"drawn within {len(counts):,} strata, each with at least two people per arm: means weighted by stratum "
            f"size, Neyman's variance per stratum, {rule}."
        )
        return _finding_of(found, mean, "Neyman", reason)
    if (counts == 1).all() and np.ptp(sizes) == 0.0:
        reason = (
            f"drawn within {len(counts):,} strata with one person per arm: variance between strata "
            "(Gerber & Green 2012, eq. 3.16), degrees of freedom: strata less one."
        )
        found = moments.between_pairs(table.mean[:, 0] - table.mean[:, 1])
        return _finding_of(found, mean, "between pairs", reason)
    return _hybrid(sample, table, sizes, mean)


def _hybrid(sample: Sample, table: moments.Cells, sizes: Floats, mean: float) -> Finding:
    small = int((table.count < 2).any(axis=1).sum())
    refused = ""
    try:
        found, method = moments.hybrid(table, sizes)
    except EstimationError as error:
        refused = str(error)
    if refused:
        return _hajek(sample, f"{small} of {sizes.size} strata have one person in an arm and cannot be pooled")
    reason = (
        f"drawn within {sizes.size:,} strata, of which {small} have one person in an arm: means weighted by stratum "
        f"size, Neyman's variance in the others, these pooled by {method} (Pashley & Miratrix 2021)."
    )
    return _finding_of(found, mean, method, reason)


def _of_clusters(sample: Sample, counts: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Finding:
    clusters = sample.clusters
    if clusters is None:
        raise EstimationError("there are no clusters in this view.")
    table = moments.cluster_cells(
        sample.y, sample.codes, sample.strata, clusters, arm=sample.arm, reference=sample.reference
    )
    sizes = sample.sizes()
    mean = float(table.mean[:, 1] @ sizes / sizes.sum())
    total = int(counts.sum())
    if len(counts) == 1:
        reason = f"{total:,} clusters were drawn whole: CR2 with Satterthwaite degrees of freedom."
        return _finding_of(moments.clustered(table), mean, "CR2", reason)
    if (counts == 1).all():
        reason = (
            f"clusters were drawn within {len(counts):,} strata, one per arm in each: variance between pairs of "
            "clusters (Imai, King & Nall 2009, eq. 6), degrees of freedom: pairs less one."
        )
        found = moments.between_cluster_pairs(table.mean[:, 0] - table.mean[:, 1], sizes)
        return _finding_of(found, mean, "between pairs", reason)
    if (counts >= 2).all():
        reason = (
            f"{total:,} clusters were drawn within {len(counts):,} strata: means weighted by stratum size, "
            "CR2 per stratum, degrees of freedom: clusters less two per stratum."
        )
        return _finding_of(moments.clustered_in_strata(table, sizes), mean, "CR2", reason)
    return _hajek(sample, "some strata have a single cluster in an arm")


def _finding_of(found: moments.Moments, mean: float, kind: str, reason: str) -> Finding:
    return Finding(
        value=float(found.value),
        variance=float(found.variance),
        dof=float(found.dof),
        estimator=NAME,
        kind=kind,
        reason=reason,
        reference_mean=mean,
    )


def _hajek(sample: Sample, why: str) -> Finding:
    """Weighted means over the two arms, strata left aside."""
    pair = sample.in_pair()
    weights = sample.weights()
    chosen = None if weights is None else weights[pair]
    y, codes = sample.y[pair], sample.codes[pair]
    columns = np.column_stack([codes == sample.arm, codes == sample.reference]).astype(np.float64)
    design = linear.columns_of(columns, weights=chosen)
    contrast = np.array([1.0, -1.0])
    how = "means weighted by 1/share" if weights is not None else "plain means, as the shares are equal"
    if sample.clusters is None:
        fitted = linear.fit(design, y)
        covariance = linear.covariance(design, y, fitted, "HC2").covariance
        value, variance, dof, kind = contrast @ fitted.coef, contrast @ covariance @ contrast, float(fitted.dof), "HC2"
        rule = "HC2, degrees of freedom: people less two"
        if sample.is_thin(1):
            few = cluster_robust(design, y, np.arange(y.size), kind="CR2", contrasts=contrast[None, :])
            dof, rule = min(dof, float(few.dof[0])), "HC2, Satterthwaite degrees of freedom (few people in an arm)"
    else:
        clusters = np.unique(sample.clusters[pair], return_inverse=True)[1].astype(np.int64)
        found = cluster_robust(design, y, clusters, kind="CR2", contrasts=contrast[None, :])
        fitted, value, variance = found.fit, found.values[0], found.covariance[0, 0]
        dof, kind, rule = float(found.dof[0]), "CR2", "CR2 with Satterthwaite degrees of freedom"
    return Finding(
        value=float(value),
        variance=float(variance),
        dof=dof,
        estimator=NAME if weights is None else "Hajek difference in means",
        kind=kind,
        reason=f"{why}: {how} without stratum effects (the average over people stays the target), {rule}.",
        reference_mean=float(fitted.coef[1]),
    )
