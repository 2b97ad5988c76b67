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
) -> Estimates:
    """Estimate the effects of a trial on one outcome.

    Without an estimator the design decides, and each `Estimate.reason` says how:

    ================================================  ===============================================================
    people drawn in one group                         difference in means, Neyman's variance, Welch's dof
    people drawn in strata                            stratum-weighted difference, Neyman's variance per stratum
    strata with one person in an arm                  the same, small strata pooled (Pashley & Miratrix 2021)
    a stratum without one of the arms                 weights 1/share (Hajek), HC2
    clusters                                          difference in means, CR2, Satterthwaite's dof
    pairs of clusters                                 variance between pairs (Imai, King & Nall 2009)
    clusters in strata                                regression with stratum effects, CR2, Satterthwaite's dof
    people within clusters (two stages)               difference in means, CR2 by cluster, Satterthwaite's dof
    the same with clusters in strata                  regression with stratum effects, CR2 by cluster
    covariates                                        regression with slopes by arm (Lin 2013), HC2 or CR2
    ================================================  ===============================================================

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
    wanted: tuple[str, ...] = getattr(chosen, "covariates", ())
    view = align(assignment, outcomes, outcome, covariates=wanted)
    return (chosen or by_design(view)).estimate(view, contrasts)


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
    if not isinstance(estimator, Regression):
        raise DesignError(
            f"{type(estimator).__name__} takes no covariates. Leave estimator out, or use Regression(covariates=...)."
        )
    if estimator.covariates and estimator.covariates != covariates:
        raise DesignError("covariates are given to estimate_effects and to Regression, and differ. Give them once.")
    return replace(estimator, covariates=covariates)


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
