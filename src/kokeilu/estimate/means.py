"""Differences in means with the variance that follows from the design."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kokeilu._checks import choice
from kokeilu._kernels import linear, moments
from kokeilu._kernels.clustered import cluster_robust
from kokeilu._kernels.sharp_bound import least_effect_variance
from kokeilu._kernels.small_blocks import METHODS, Blocks, automatic, block_variance, plugged
from kokeilu.core.protocols import Floats, Ints
from kokeilu.core.registry import register
from kokeilu.core.results import Estimates
from kokeilu.core.view import View
from kokeilu.errors import EstimationError
from kokeilu.estimate.collapsed import collapsed
from kokeilu.estimate.rare import with_care
from kokeilu.estimate.sample import Contrasts, Finding, Sample, contrasts_of, estimate_of, sample_of
from kokeilu.estimate.waves import FEW_IN_WAVE, LARGER, larger_variance

__all__ = ["DifferenceInMeans"]

NAME = "difference in means"

LARGE = 10
"""With fewer people in some stratum and arm, n - 2B degrees of freedom are too many: with cells of two to five and
unequal spread, 5 % tests reject in 7-16 % (simulated), in 3-7 % with Satterthwaite's. The same goes for clusters."""


@register("DifferenceInMeans")
@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceInMeans:
    """Difference in means, weighted over strata, with the variance of the design.

    With n people and G clusters in B strata, n_b of the people in stratum b:

    * One stratum: Neyman's variance, Welch's degrees of freedom. Where the outcome is so skewed, or so rare, and one
      arm so small that its own variance cannot be trusted, no less than the variance of both arms together gives; with
      fewer than 50 people at the rarer of two values (and under a tenth), as many, less one, as degrees of freedom.
    * Strata with at least two people in each arm: stratum-weighted (n_b / n), Neyman's variance per stratum, n - 2B
      degrees of freedom (Satterthwaite's where some stratum has fewer than ten people in an arm). Strata with one
      person in an arm: pooled as in Pashley & Miratrix (2021), or where they are too few for that the lone person takes
      the variance of the whole arm (collapsed strata); pairs and other matched groups with one person per arm:
      variance between groups.
    * Waves whose shares followed earlier outcomes: within waves, and with fewer than 100 people of an arm in some
      wave no less than the variance pooled over both arms gives; refused with fewer than two.
    * Clusters: CR2 with Satterthwaite degrees of freedom; in strata CR2 per stratum with G - 2B (Satterthwaite's where
      some stratum has fewer than ten clusters in an arm); pairs of clusters: Imai, King & Nall (2009); strata with one
      cluster in an arm: pooled like those of people.
    * Where a stratum lacks one of the arms, or people of one stratum had different chances: weighted by 1 / share
      (Hajek) with HC2 or CR2.
    * With survey weights (``weights=``): weighted means with HC2 or CR2, per stratum; a stratum counts for the sum of
      its weights.

    Parameters
    ----------
    errors : {"auto", "Neyman", "CR2", "sharp"}
        "auto" follows the design. "Neyman" and "CR2" say the same in advance, and are refused where the design asks
        for the other one. "sharp" takes off Neyman's variance what the two distributions of outcomes say that effects
        must at least vary (Aronow, Green & Lee 2014); for people in strata with at least two in each arm.
    small : {"auto", "hybrid_m", "hybrid_p", "plug_in", "all", "all_modified"}
        How strata with one person or cluster in an arm get a variance. "auto": hybrid_m where every size of such a
        stratum occurs twice, else hybrid_p. "plug_in" takes the variances of the large strata over and is not
        conservative. "all" and "all_modified" are variances between all strata, large ones too.

    Examples
    --------
    >>> DifferenceInMeans()
    DifferenceInMeans(errors='auto', small='auto')
    """

    weighted: ClassVar[bool] = True
    errors: str = "auto"
    small: str = "auto"

    def __post_init__(self) -> None:
        choice(self.errors, ("auto", "Neyman", "CR2", "sharp"), name="errors")
        choice(self.small, ("auto", *METHODS), name="small")

    def to_data(self) -> dict[str, object]:
        """Return plain data; `small` only where stated, so that plans fixed before it keep their fingerprint."""
        return {"errors": self.errors, **({} if self.small == "auto" else {"small": self.small})}

    @classmethod
    def from_data(cls, data: dict[str, str]) -> DifferenceInMeans:
        """Rebuild from plain data."""
        return cls(**data)

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
            An arm without people, one person or cluster in an arm, an outcome without variation; errors or a method
            for small strata that the design does not allow.
        DesignError
            An unknown arm.
        """
        if self.errors in ("Neyman", "sharp") and view.clusters is not None:
            raise EstimationError(
                f"the design draws clusters: {self.errors} errors would ignore them. Use errors='CR2'."
            )
        if self.errors == "CR2" and view.clusters is None:
            raise EstimationError("the design draws people, not clusters: CR2 does not apply. Use errors='auto'.")
        found = []
        for arm, reference in contrasts_of(view, contrasts):
            sample = sample_of(view, arm, reference)
            found.append(estimate_of(view, sample, self._finding(sample, view.fixed)))
        return Estimates(tuple(found))

    def _finding(self, sample: Sample, fixed: bool) -> Finding:
        counts = sample.unit_counts()
        lacking = int((counts == 0).any(axis=1).sum())
        if not sample.whole:
            why = "people were drawn within clusters that were drawn before them"
        elif sample.shares_differ(within_strata=True):
            why = "the chance of an arm differs between people of the same stratum"
        elif lacking:
            why = f"{lacking} of {len(counts)} strata lack one of the two arms"
        elif sample.clusters is not None:
            return _of_clusters(sample, counts, self.small)
        elif self.errors == "sharp":
            return _sharp(sample, counts, fixed)
        else:
            found = _of_people(sample, counts, fixed, self.small)
            return found if self.errors == "Neyman" else with_care(sample, found)
        if self.errors == "sharp":
            raise EstimationError(f"{why}: the sharp bound needs means by stratum. Use errors='auto'.")
        return _hajek(sample, why)


def _table(sample: Sample) -> tuple[moments.Cells, Floats, float]:
    """Cells by stratum, the sizes of the strata, and the mean under the reference."""
    table = moments.cells(
        sample.y, sample.codes, sample.strata, arm=sample.arm, reference=sample.reference, weights=sample.survey
    )
    sizes = sample.sizes()
    return table, sizes, float(table.mean[:, 1] @ sizes / sizes.sum())


def _drawn(fixed: bool) -> str:
    return "people were drawn in one group" if fixed else "each person was drawn alone with the same chances"


def _of_people(sample: Sample, counts: Ints, fixed: bool, small: str) -> Finding:
    table, sizes, mean = _table(sample)
    if len(counts) == 1 and sample.survey is not None:
        return _hajek(sample, _drawn(fixed))
    if len(counts) == 1:
        reason = f"{_drawn(fixed)}: Neyman's variance with Welch's degrees of freedom."
        return _finding_of(moments.two_sample(table), mean, "Neyman", reason)
    if small in ("all", "all_modified") or (counts < 2).any():
        return _small_people(sample, counts, table, small)
    if sample.waves is not None and table.count.min() < FEW_IN_WAVE:
        larger, rule = larger_variance(table, sizes)
        reason = f"drawn in waves whose shares followed earlier outcomes: means weighted by stratum size, {rule}."
        return _finding_of(larger, mean, LARGER, reason)
    found = moments.stratified(table, sizes)
    rule = "degrees of freedom: people less two per stratum"
    if table.count.min() < LARGE:
        found = found._replace(dof=moments.satterthwaite(table, sizes))
        rule = f"Satterthwaite's degrees of freedom (fewer than {LARGE} people in some stratum and arm)"
    kind = "Neyman" if sample.survey is None else "HC2"
    name = "Neyman's variance" if sample.survey is None else "survey weights within, HC2"
    reason = (
        f"drawn within {len(counts):,} strata, each with at least two people per arm: means weighted by stratum "
        f"size, {name} per stratum, {rule}."
    )
    return _finding_of(found, mean, kind, reason)


def _small_people(sample: Sample, counts: Ints, table: moments.Cells, small: str) -> Finding:
    sizes = sample.sizes()
    mean = float(table.mean[:, 1] @ sizes / sizes.sum())
    if small == "auto" and (counts == 1).all() and np.ptp(sizes) == 0.0:
        reason = (
            f"drawn within {len(counts):,} strata with one person per arm: variance between strata "
            "(Gerber & Green 2012, eq. 3.16), degrees of freedom: strata less one."
        )
        found = moments.between_pairs(table.mean[:, 0] - table.mean[:, 1])
        return _finding_of(found, mean, "between pairs", reason)
    blocks = moments.blocks_of(table, sizes)
    if small == "plug_in":
        blocks = _plugged(table.count, table.variance / table.count, blocks)
    pooled = _pooled(sample, blocks, mean, small, unit="person", own="Neyman's variance")
    if pooled is None and sample.survey is None:
        return collapsed(sample, table, NAME)
    return pooled or _hajek(sample, _UNPOOLED.format(_lone(sample), blocks.size.size, "person"))


def _plugged(count: Floats, variance: Floats, blocks: Blocks) -> Blocks:
    filled = plugged(count, variance).sum(axis=1)
    typical = float(blocks.dof[~blocks.small].sum())
    dof = np.where(blocks.small, typical, blocks.dof)
    return Blocks(effect=blocks.effect, size=blocks.size, variance=filled, dof=dof)


def _lone(sample: Sample) -> int:
    return int((sample.unit_counts() < 2).any(axis=1).sum())


def _pooled(sample: Sample, blocks: Blocks, mean: float, small: str, *, unit: str, own: str) -> Finding | None:
    """Strata of which some have an arm with one unit, by a method that was asked for or the first that exists."""
    lone = _lone(sample)
    wanted: tuple[str, ...] = (small,)
    if small == "auto":
        wanted = ("hybrid_m",) if automatic(blocks) == "hybrid_m" else ("hybrid_p",)
        wanted += ("all",) if unit == "cluster" and lone > 1 else ()
    for method in wanted:
        try:
            variance, dof = block_variance(blocks, "hybrid_m" if method == "plug_in" else method)
        except EstimationError:
            if small != "auto":
                raise
            continue
        others = "" if method.startswith("all") else f"{own} in the others, "
        reason = (
            f"drawn within {blocks.size.size:,} strata, of which {lone} have one {unit} in an arm: means weighted by "
            f"stratum size, {others}{_METHOD_TEXT[method]} (Pashley & Miratrix 2021)."
        )
        found = moments.Moments(blocks.share @ blocks.effect, np.asarray(variance), np.asarray(dof))
        return _finding_of(found, mean, method, reason)
    return None


_UNPOOLED = "{} of {} strata have one {} in an arm and cannot be pooled"
_METHOD_TEXT = {
    "hybrid_m": "these pooled by hybrid_m",
    "hybrid_p": "these pooled by hybrid_p",
    "plug_in": "these with the average variance of the others (plug-in, not conservative)",
    "all": "variance between all strata",
    "all_modified": "modified variance between all strata",
}


def _sharp(sample: Sample, counts: Ints, fixed: bool) -> Finding:
    if sample.survey is not None or (counts < 2).any():
        what = "survey weights" if sample.survey is not None else "strata with one person in an arm"
        raise EstimationError(f"the sharp bound is not made for {what}. Use errors='auto'.")
    table, sizes, mean = _table(sample)
    found = moments.two_sample(table) if len(counts) == 1 else moments.stratified(table, sizes)
    order = np.argsort(sample.strata, kind="stable")
    cuts = np.cumsum(np.bincount(sample.strata))[:-1]
    saved = 0.0
    for rows in np.split(order, cuts):
        y, codes = sample.y[rows], sample.codes[rows]
        least = least_effect_variance(y[codes == sample.arm], y[codes == sample.reference])
        saved += (rows.size / sizes.sum()) ** 2 * least / rows.size
    where = _drawn(fixed) if len(counts) == 1 else f"drawn within {len(counts):,} strata"
    reason = (
        f"{where}: Neyman's variance less what the two distributions of outcomes say that effects must at least vary "
        "(Aronow, Green & Lee 2014; in large samples), Satterthwaite's degrees of freedom."
    )
    dof = moments.satterthwaite(table, sizes)
    return _finding_of(found._replace(variance=found.variance - saved, dof=dof), mean, "sharp bound", reason)


def _of_clusters(sample: Sample, counts: Ints, small: str) -> Finding:
    clusters = sample.clusters
    if clusters is None:
        raise EstimationError("there are no clusters in this view.")
    total = int(counts.sum())
    whole = f"{total:,} clusters were drawn whole"
    if len(counts) == 1 and sample.survey is not None:
        return _hajek(sample, whole)
    table = moments.cluster_cells(
        sample.y, sample.codes, sample.strata, clusters, arm=sample.arm, reference=sample.reference
    )
    if len(counts) == 1:
        reason = f"{whole}: CR2 with Satterthwaite degrees of freedom."
        return _finding_of(moments.clustered(table), float(table.mean[0, 1]), "CR2", reason)
    if sample.survey is not None:
        table = _weighted_clusters(sample, table)
    sizes = sample.sizes()
    mean = float(table.mean[:, 1] @ sizes / sizes.sum())
    if small == "auto" and (counts == 1).all():
        reason = (
            f"clusters were drawn within {len(counts):,} strata, one per arm in each: variance between pairs of "
            "clusters (Imai, King & Nall 2009, eq. 6), degrees of freedom: pairs less one."
        )
        found = moments.between_cluster_pairs(table.mean[:, 0] - table.mean[:, 1], sizes)
        return _finding_of(found, mean, "between pairs", reason)
    blocks = moments.cluster_blocks_of(table, sizes)
    if (counts < 2).any() or small in ("all", "all_modified"):
        if small == "plug_in":
            blocks = _plugged(table.clusters, table.variance, blocks)
        pooled = _pooled(sample, blocks, mean, small, unit="cluster", own="CR2")
        return pooled or _hajek(sample, _UNPOOLED.format(_lone(sample), blocks.size.size, "cluster"))
    found = moments.clustered_in_strata(table, sizes)
    rule = "degrees of freedom: clusters less two per stratum"
    if counts.min() < LARGE or sample.survey is not None:
        found = found._replace(dof=np.asarray(block_variance(blocks, "hybrid_m")[1]))
        rule = f"Satterthwaite's degrees of freedom (fewer than {LARGE} clusters in some stratum and arm)"
    reason = (
        f"{total:,} clusters were drawn within {len(counts):,} strata: means weighted by stratum size, "
        f"CR2 per stratum, {rule}."
    )
    return _finding_of(found, mean, "CR2", reason)


def _weighted_clusters(sample: Sample, table: moments.ClusterCells) -> moments.ClusterCells:
    """The table of clusters with survey weights: weighted means by stratum and arm, weighted CR2."""
    mean, variance, trace, square = (np.full(table.mean.shape, np.nan) for _ in range(4))
    clusters, survey = sample.clusters, sample.survey
    if clusters is None or survey is None:
        raise EstimationError("weighted clusters need clusters and weights.")
    for (stratum, place), count in np.ndenumerate(table.clusters):
        code = (sample.arm, sample.reference)[place]
        mine = (sample.strata == stratum) & (sample.codes == code)
        mean[stratum, place] = np.average(sample.y[mine], weights=survey[mine])
        if count < 2:
            continue
        design = linear.columns_of(np.ones((int(mine.sum()), 1)), weights=survey[mine])
        groups = np.unique(clusters[mine], return_inverse=True)[1].astype(np.int64)
        found = cluster_robust(design, sample.y[mine], groups, kind="CR2", contrasts=np.ones((1, 1)))
        # Under the working model the trace goes as the variance; its square over the degrees of freedom is the other.
        variance[stratum, place] = trace[stratum, place] = found.covariance[0, 0]
        square[stratum, place] = found.covariance[0, 0] ** 2 / found.dof[0]
    return moments.ClusterCells(table.clusters, mean, variance, trace, square)


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
        estimator=NAME if weights is None or weights is sample.survey else "Hajek difference in means",
        kind=kind,
        reason=f"{why}: {_weights_text(sample, weights)}, {rule}.",
        reference_mean=float(fitted.coef[1]),
    )


def _weights_text(sample: Sample, weights: Floats | None) -> str:
    if weights is None:
        how = "plain means, as the shares are equal,"
    elif weights is sample.survey:
        how = "means by survey weights"
    else:
        how = f"means weighted by 1/share{'' if sample.survey is None else ' and the survey weights'}"
    target = " without stratum effects (the average over people stays the target)" if sample.n_strata > 1 else ""
    return how + target
