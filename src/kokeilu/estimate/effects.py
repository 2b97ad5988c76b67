"""Effects of a trial, by the estimator that follows from its design."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from kokeilu._checks import name_list
from kokeilu.core.assignment import Assignment
from kokeilu.core.results import Estimates
from kokeilu.core.view import View, align
from kokeilu.errors import DesignError
from kokeilu.estimate.means import DifferenceInMeans
from kokeilu.estimate.regression import Regression
from kokeilu.estimate.sample import Contrasts

__all__ = ["Estimator", "by_design", "estimate_effects"]


class Estimator(Protocol):
    """Parameters of an analysis."""

    def estimate(self, view: View, contrasts: Contrasts = None) -> Estimates:
        """Estimate the contrasts of a view."""
        ...


def estimate_effects(
    assignment: Assignment,
    outcomes: object,
    outcome: str,
    *,
    covariates: Sequence[str] | str = (),
    estimator: Estimator | None = None,
    contrasts: Contrasts = None,
    weights: str | None = None,
) -> Estimates:
    """Estimate the effects of a trial on one outcome.

    Without an estimator the design decides, and each `Estimate.reason` says how:

    ================================================  ===============================================================
    people drawn in one group                         difference in means, Neyman's variance, Welch's dof
    a skewed or rare outcome and a small arm          the same, at least the variance of both arms together
    people drawn in strata                            stratum-weighted difference, Neyman's variance per stratum
    strata with one person in an arm                  the same, small strata pooled (Pashley & Miratrix 2021)
    a stratum without one of the arms                 weights 1/share (Hajek), HC2
    waves whose shares follow earlier outcomes        within waves, the larger of Neyman's variance and the pooled one
    clusters                                          difference in means, CR2, Satterthwaite's dof
    pairs of clusters                                 variance between pairs (Imai, King & Nall 2009)
    clusters in strata                                regression with stratum effects, CR2, Satterthwaite's dof
    people within clusters (two stages)               difference in means, CR2 by cluster, Satterthwaite's dof
    the same with clusters in strata                  regression with stratum effects, CR2 by cluster
    covariates                                        regression with slopes by arm (Lin 2013), HC2 or CR2
    ================================================  ===============================================================

    Others are chosen: ``HorvitzThompson()`` and ``Hajek()`` by the exact probabilities of the lottery,
    ``ArmContrasts(design.effects())`` for main effects and interactions of a Factorial design. The rows of a stepped
    wedge by period go to :func:`kokeilu.stepped_wedge_effects`.

    Parameters
    ----------
    assignment : Assignment
    outcomes : pandas, pyarrow or Arrow-capable table
        One row for each person at most, with the id column of the assignment.
    outcome : str
    covariates : sequence of str
        Columns of `outcomes` measured before the draw: numbers, or text and categories (an indicator for each level
        but one). Categories coded 1, 2, 3 must be made text first. Gaps are filled with the mean and marked by an
        indicator; a note says so.
    estimator : DifferenceInMeans, Regression or the like, optional
    contrasts : sequence of (arm, reference), optional
        Each arm against the first where none are named.
    weights : str, optional
        A column of `outcomes`: what each person counts for, such as the inverse of their chance of answering a survey.
        They multiply 1 / share; errors take them as known.

    Returns
    -------
    Estimates

    Raises
    ------
    ColumnError, DataError
        For columns or people that do not fit the assignment.
    EstimationError
        An arm without people, fewer than two people or clusters in an arm, an outcome without variation.
    DesignError
        An unknown arm, or covariates given twice or to an estimator that takes none.
    """
    chosen = _with_covariates(estimator, name_list(covariates, name="covariates"))
    groups: tuple[str, ...] = getattr(chosen, "groups", ())
    view = align(assignment, outcomes, outcome, covariates=_columns(chosen), weights=weights, groups=groups)
    used = chosen or by_design(view)
    if weights is not None and not getattr(used, "weighted", False):
        raise DesignError(
            f"{type(used).__name__} takes no weights. Use DifferenceInMeans() or Regression(...), or leave weights out."
        )
    return used.estimate(view, contrasts)


def _columns(estimator: Estimator | None) -> tuple[str, ...]:
    """The columns of the outcomes table that an estimator reads beside the outcome: columns(), or its covariates."""
    ask = getattr(estimator, "columns", None)
    wanted: tuple[str, ...] = ask() if callable(ask) else getattr(estimator, "covariates", ())
    return wanted


def _with_covariates(estimator: Estimator | None, covariates: tuple[str, ...]) -> Estimator | None:
    if estimator is not None and (isinstance(estimator, type) or not hasattr(estimator, "estimate")):
        raise DesignError(
            "estimator must be one such as DifferenceInMeans() or Regression(covariates=...); "
            f"got {estimator.__name__ if isinstance(estimator, type) else type(estimator).__name__}."
        )
    if not covariates:
        return estimator
    if estimator is None:
        return Regression(covariates=covariates)
    kind = type(estimator).__name__
    if not hasattr(estimator, "covariates"):
        raise DesignError(f"{kind} takes no covariates. Leave estimator out, or use Regression(covariates=...).")
    if estimator.covariates and estimator.covariates != covariates:
        raise DesignError(f"covariates are given to estimate_effects and to {kind}, and differ. Give them once.")
    return replace(estimator, covariates=covariates)  # type: ignore[type-var]


def by_design(view: View) -> Estimator:
    """The estimator that follows from the design, without covariates."""
    if view.clusters is None or int(view.strata.max()) == 0 or _pairs(view):
        return DifferenceInMeans()
    return Regression()


def _pairs(view: View) -> bool:
    """Whether every stratum has exactly one cluster of each arm."""
    if view.clusters is None or not view.whole:
        return False
    first = np.unique(view.clusters, return_index=True)[1]
    cell = view.strata[first] * len(view.arms) + view.codes[first]
    counts = np.bincount(cell, minlength=(int(view.strata.max()) + 1) * len(view.arms))
    return bool((counts == 1).all())
