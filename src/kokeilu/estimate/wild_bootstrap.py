"""The wild cluster bootstrap: a test for trials with few clusters, beside CR2 and the redraw test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from kokeilu._checks import between, choice, count_of, name_list, positive_int
from kokeilu._kernels import linear
from kokeilu._kernels.wild import POINTS, Clusters, Wild, all_vectors, by_cluster, drawn_vectors, vector_count, wild
from kokeilu.core.assignment import Assignment, check_assignment
from kokeilu.core.protocols import Floats, Ints
from kokeilu.core.registry import register
from kokeilu.core.results import TestResult
from kokeilu.core.view import View, align
from kokeilu.errors import DesignError, EstimationError
from kokeilu.estimate.notes import attrition_notes
from kokeilu.estimate.sample import Contrasts, Sample, contrasts_of, sample_of

__all__ = ["WildClusterBootstrap", "wild_cluster_test"]

SIDES = ("two-sided", "equal-tailed", "greater", "less")
WEIGHTS = ("auto", *POINTS)

EXACT_LIMIT = 2**20
"""All vectors of weights are gone through up to this many."""

FEW_CLUSTERS = 8
"""Up to this many clusters two-point weights give too few vectors (256): Webb's six points."""

FEW_IN_ARM = 4
"""With fewer clusters than this in an arm the restricted bootstrap hardly ever rejects, and the unrestricted one far
too often (MacKinnon & Webb 2017, Journal of Applied Econometrics 32)."""


@register("WildClusterBootstrap")
@dataclass(frozen=True, slots=True, kw_only=True)
class WildClusterBootstrap:
    """A wild cluster bootstrap to be run by a plan or by `wild_cluster_test`.

    Parameters
    ----------
    covariates : sequence of str
        Columns of the outcomes table measured before the draw; one slope for all arms.
    impose : bool
        True: residuals of the regression under the null (WCR, the better one in general). False: of the unrestricted
        one (WCU).
    jackknife : bool
        False: residuals of the regression itself (type 11). True: of the regression without the cluster (type 31), for
        clusters of uneven sizes.
    weights : {"auto", "Rademacher", "Webb"}
        "auto" is Webb's six points with up to 8 clusters, otherwise 1 and -1.
    draws : int
        Vectors of weights, where there are more than 2**20 of them; otherwise all are gone through.
    alternative : {"two-sided", "equal-tailed", "greater", "less"}
        "two-sided" compares absolute values; "equal-tailed" doubles the smaller tail.

    References
    ----------
    Cameron, Gelbach & Miller (2008); Roodman, MacKinnon, Nielsen & Webb (2019); MacKinnon, Nielsen & Webb (2023).

    Examples
    --------
    >>> WildClusterBootstrap(covariates="size").weights
    'auto'
    """

    covariates: tuple[str, ...] = ()
    impose: bool = True
    jackknife: bool = False
    weights: str = "auto"
    draws: int = 9_999
    alternative: str = "two-sided"

    def __post_init__(self) -> None:
        object.__setattr__(self, "covariates", name_list(self.covariates, name="covariates"))
        object.__setattr__(self, "draws", positive_int(self.draws, name="draws"))
        for name in ("impose", "jackknife"):
            if not isinstance(getattr(self, name), bool):
                raise DesignError(f"{name} must be True or False; got {type(getattr(self, name)).__name__}.")
        choice(self.weights, WEIGHTS, name="weights")
        choice(self.alternative, SIDES, name="alternative")

    def tests(
        self, assignment: Assignment, outcomes: object, outcome: str, contrasts: Contrasts, level: float
    ) -> tuple[TestResult, ...]:
        """Test each contrast, all under the same vectors of weights (for the plan runner)."""
        view = align(assignment, outcomes, outcome, covariates=self.covariates)
        return tuple(_tested(assignment, view, self, *pair, level) for pair in contrasts_of(view, contrasts))

    def points(self, n_clusters: int) -> str:
        """The weights for this many clusters."""
        if self.weights != "auto":
            return self.weights
        return "Webb" if n_clusters <= FEW_CLUSTERS else "Rademacher"


def wild_cluster_test(
    assignment: Assignment,
    outcomes: object,
    outcome: str,
    *,
    bootstrap: WildClusterBootstrap | None = None,
    covariates: Sequence[str] | str = (),
    contrast: tuple[str, str] | None = None,
    weights: str | None = None,
    level: float = 0.95,
) -> TestResult:
    r"""Test an effect in a trial of clusters by the wild cluster bootstrap.

    The model is a regression on the arms, the covariates, and the strata of the design (absorbed where each of them has
    both arms). The statistic is the effect over its CR0 error; a small-sample factor would cancel. Each vector of
    weights multiplies the residuals of whole clusters (of whole pairs, where each stratum has one cluster per arm), and
    the p-value is the share of vectors with a statistic at least as extreme as the observed one.

    Ties count (`p_value`), which keeps the level; `p_strict` leaves them out. Under the null imposed and without the
    jackknife at least the vectors of equal weights tie, so the two differ by 2 / 2**G for G clusters. Other programs
    count without tolerance, and rounding decides.

    Parameters
    ----------
    assignment : Assignment
        Of a design that draws clusters.
    outcomes : pandas, pyarrow or Arrow-capable table
    outcome : str
    bootstrap : WildClusterBootstrap, optional
    covariates : sequence of str
        The same as in `bootstrap`.
    contrast : (arm, reference), optional
        The first arm after the reference against the reference where not given.
    weights : str, optional
        A column of `outcomes`: what each person counts for.
    level : float
        Of the interval: the effects not rejected, ties counted.

    Returns
    -------
    TestResult
        `value` is the effect, `statistic` its t, `draws` the number of vectors, `exact` True where these are all. The
        interval is None where an end is not bounded; the notes say so.

    Raises
    ------
    EstimationError
        A design that draws people rather than clusters, fewer than two clusters in an arm, no variation between
        clusters.
    ColumnError, DataError, DesignError
        As in :func:`kokeilu.estimate_effects`.

    Examples
    --------
    >>> import kokeilu as kk
    >>> people = {"id": list(range(60)), "office": [i % 12 for i in range(60)]}
    >>> design = kk.Clustered(kk.Complete(kk.arms(control=1, coaching=1)), by="office")
    >>> trial = kk.randomise(people, design, id="id", seed="example")
    >>> scores = {"id": people["id"], "score": [float(i % 7 + i % 12) for i in range(60)]}
    >>> result = kk.wild_cluster_test(trial, scores, "score")
    >>> result.exact, result.draws
    (True, 4096)
    """
    check_assignment(assignment)
    between(level, 0.0, 1.0, name="level")
    chosen = _with_covariates(bootstrap, name_list(covariates, name="covariates"))
    view = align(assignment, outcomes, outcome, covariates=chosen.covariates, weights=weights)
    pair = contrasts_of(view, None if contrast is None else (contrast,))[0]
    return _tested(assignment, view, chosen, *pair, level)


def _with_covariates(spec: WildClusterBootstrap | None, covariates: tuple[str, ...]) -> WildClusterBootstrap:
    if spec is None:
        return WildClusterBootstrap(covariates=covariates)
    if not isinstance(spec, WildClusterBootstrap):
        raise DesignError(f"bootstrap must be WildClusterBootstrap(...); got {type(spec).__name__}.")
    if covariates and spec.covariates and spec.covariates != covariates:
        raise DesignError("covariates are given to wild_cluster_test and to WildClusterBootstrap, and differ.")
    return replace(spec, covariates=covariates or spec.covariates)


def _tested(
    assignment: Assignment, view: View, spec: WildClusterBootstrap, arm: int, reference: int, level: float
) -> TestResult:
    if view.clusters is None:
        raise EstimationError(
            "the design draws people, not clusters: there is nothing for the wild cluster bootstrap to resample. Use "
            "randomisation_test, or estimate_effects."
        )
    sample = sample_of(view, arm, reference)
    parts, contrast, notes = _model(view, sample)
    n_clusters = parts.scores.shape[0]
    points = spec.points(n_clusters)
    every = vector_count(points, n_clusters) <= EXACT_LIMIT
    stream = assignment.stream("wild cluster bootstrap")
    vectors = all_vectors(points, n_clusters) if every else drawn_vectors(points, n_clusters, stream, spec.draws)
    law = wild(parts, contrast[None, :], vectors, all_of_them=every, impose=spec.impose, jackknife=spec.jackknife)[0]
    if not law.error > 1e-13 * float(np.ptp(sample.y[sample.in_pair()])):
        raise EstimationError(f"{view.outcome!r} leaves no variation between clusters to judge the effect by.")
    return _result(view, sample, spec, law, points, level, notes)


def _model(view: View, sample: Sample) -> tuple[Clusters, Floats, tuple[str, ...]]:
    """The regression by cluster, the contrast of its coefficients, and notes on columns that fell out."""
    absorb = bool((sample.unit_counts() > 0).all()) and sample.n_strata > 1
    arms = [int(code) for code in np.unique(sample.codes)]
    own = arms[1:]
    covariates = view.covariates[sample.rows]
    columns = [(sample.codes == code).astype(np.float64) for code in own]
    design = linear.columns_of(
        np.column_stack([*columns, covariates]),
        weights=sample.weights(),
        levels=sample.strata if absorb else np.zeros(sample.y.size, dtype=np.int64),
    )
    parts = by_cluster(design, sample.y, _resampled(sample)[0])
    contrast = np.zeros(design.width)
    for code, sign in ((sample.arm, 1.0), (sample.reference, -1.0)):
        if code in own:
            contrast[own.index(code)] = sign
    gone = [name for name, kept in zip(view.covariate_names, parts.fit.kept[len(own) :], strict=True) if not kept]
    notes = tuple(f"covariate {name!r} was dropped: the columns before it already tell it." for name in gone)
    if sample.n_strata > 1 and not absorb:
        notes = (*notes, "some strata lack one of the two arms, so no stratum effects.")
    return parts, contrast, notes


def _resampled(sample: Sample) -> tuple[Ints, str]:
    """What is given one weight, by person, and its name.

    Pairs of clusters are resampled as pairs: with pair effects the residuals of the two mirror each other, and taking
    them as independent halves the variance (de Chaisemartin & Ramirez-Cuellar 2024).
    """
    if sample.whole and sample.n_strata > 1 and (sample.unit_counts() == 1).all():
        return sample.strata, "stratum"
    return np.zeros(0, dtype=np.int64) if sample.clusters is None else sample.clusters, "cluster"


def _result(
    view: View, sample: Sample, spec: WildClusterBootstrap, law: Wild, points: str, level: float, notes: tuple[str, ...]
) -> TestResult:
    side = spec.alternative
    p_value = law.p_value(side)
    low, high = law.interval(1.0 - level, side)
    bounded = low is not None and high is not None
    tails = 2.0 if side == "equal-tailed" else 1.0
    error, least, most = _monte_carlo(law, p_value / tails)
    names = sample.names
    counts = np.bincount(view.codes, minlength=len(view.arms))
    missing, absent = view.account.missing(), view.account.absent()
    return TestResult(
        name="wild cluster bootstrap",
        outcome=view.outcome,
        arm=names[0],
        reference=names[1],
        statistic=law.statistic(),
        p_value=p_value,
        p_strict=law.p_value(side, strict=True),
        value=law.value,
        draws=law.vectors,
        exact=law.exact,
        p_error=tails * error,
        p_low=min(1.0, tails * least),
        p_high=min(1.0, tails * most),
        interval=(low, high) if low is not None and high is not None else None,
        level=level,
        n={name: int(counts[view.arms.index(name)]) for name in names},
        missing={name: missing[name] for name in names},
        absent={name: absent[name] for name in names},
        reason=_reason(sample, spec, law, points),
        notes=(*view.notes, *view.cautions, *sample.notes, *notes, *_cautions(view, sample, bounded, level)),
    )


def _monte_carlo(law: Wild, p_value: float) -> tuple[float, float, float]:
    """Monte Carlo error of a p-value and its 99 % Clopper-Pearson bounds."""
    if law.exact:
        return 0.0, p_value, p_value
    size = law.vectors
    hits = min(size, max(0, round(p_value * (1 + size)) - 1))
    found = stats.binomtest(hits, size).proportion_ci(0.99, method="exact")
    return float(np.sqrt(p_value * (1.0 - p_value) / size)), float(found.low), float(found.high)


def _reason(sample: Sample, spec: WildClusterBootstrap, law: Wild, points: str) -> str:
    codes, unit = _resampled(sample)
    drawn = count_of(len(np.unique(codes)), unit)
    own = " of one cluster per arm" if unit == "stratum" else ""
    how = "restricted" if spec.impose else "unrestricted"
    kind = f"{'WCR' if spec.impose else 'WCU'}, type {'31' if spec.jackknife else '11'}"
    what = f"all {law.vectors:,}" if law.exact else f"{law.vectors:,} random"
    left = f" of regressions without the {unit}" if spec.jackknife else ""
    return (
        f"Statistic: effect over its CR0 error; {spec.alternative}; {drawn}{own}, {how} residuals{left} "
        f"({kind}), {what} vectors of {points} weights. Ties count."
    )


def _cautions(view: View, sample: Sample, bounded: bool, level: float) -> Iterator[str]:
    if not bounded:
        yield f"no interval at {level:.0%}: on one side at least no effect is large enough to be rejected."
    yield from attrition_notes(view, sample.arm, sample.reference)
    if sample.clusters is None or _resampled(sample)[1] == "stratum":
        return
    for name, code in zip(sample.names, (sample.arm, sample.reference), strict=True):
        clusters = len(np.unique(sample.clusters[sample.codes == code]))
        if clusters < FEW_IN_ARM:
            yield (
                f"arm {name!r} has {count_of(clusters, 'cluster')}: with so few the wild bootstrap cannot be trusted. "
                "A randomisation test is exact."
            )
