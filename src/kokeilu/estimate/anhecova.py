"""Standardised means from a working model: ANHECOVA, and logit or Poisson models standardised over everybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kokeilu._checks import choice, name_list
from kokeilu._kernels import glm
from kokeilu._kernels.standardised import SCALES, Standardised, contrast_of, standardised
from kokeilu.core.protocols import Floats, Ints
from kokeilu.core.registry import register
from kokeilu.core.results import Estimates
from kokeilu.core.view import View
from kokeilu.errors import EstimationError
from kokeilu.estimate.columns import chosen_columns, flag, matrix_of
from kokeilu.estimate.sample import Contrasts, Finding, Sample, contrasts_of, estimate_of, sample_of

__all__ = ["ANHECOVA"]

ERRORS = ("auto", "asymptotic")

CELL = 5
"""With fewer people in some stratum and arm, strata are not put into the model: a logit then hardly ever has one."""


class _Fitted(NamedTuple):
    """Predictions (n, 2) for the arm and the reference, residual variances and their dof (2,), and notes."""

    predicted: Floats
    residual: Floats
    dof: Floats
    notes: tuple[str, ...]


@register("ANHECOVA")
@dataclass(frozen=True, slots=True, kw_only=True)
class ANHECOVA:
    """Analysis of heterogeneous covariance, and generalised linear models standardised over everybody.

    A working model predicts each person's outcome under each arm; the means of the predictions, with the mean residual
    of the arm added, are compared. The model need not be true: the means are consistent because the arms were drawn,
    and where it is linear and interacted the variance is asymptotically at most that of the difference in means.

    For people drawn with one set of shares. Clusters and shares that differ between people are refused: Regression and
    AIPW are for them.

    Parameters
    ----------
    covariates : sequence of str
        Columns of the outcomes table, measured before the draw.
    model : {"linear", "logit", "poisson"}
        The working model, with its canonical link.
    scale : {"difference", "log ratio", "log odds ratio"}
        What is compared: theta_1 - theta_0, log(theta_1 / theta_0), or the difference in log odds of the means (the
        marginal odds ratio, not that given the covariates).
    interacted : bool
        True: each arm has a model of its own. False: arms differ by a constant on the scale of the link.
    strata : bool
        True: the strata of the draw enter as indicators, where each has at least five people in each arm. False: they
        are left out, a note says so, and the variance is that of Ye et al. for a draw within strata.
    errors : {"auto", "asymptotic"}
        "auto": the part of the residuals as in HC2 for a predicted mean, and t with Satterthwaite's degrees of freedom.
        "asymptotic": as published and in the R package RobinCar2; normal. Too small, or even negative, where an arm has
        few people for its columns.

    References
    ----------
    Ye, Shao, Yi & Zhao (2023), "Toward better practice of covariate adjustment in analyzing randomized clinical
    trials", Journal of the American Statistical Association 118; Bannick et al. (2025), Biometrika 112.

    Examples
    --------
    >>> import kokeilu as kk
    >>> people = kk.datasets.job_seekers(400, seed="example")
    >>> drawn = kk.randomise(people, kk.Complete(kk.arms(control=1, coaching=1)), id="person_id", seed="published")
    >>> table = people.assign(work=(people["age"] + 7 * drawn.codes) % 3 == 0)
    >>> found = kk.estimate_effects(drawn, table.astype({"work": float}), "work",
    ...                             estimator=kk.ANHECOVA(covariates=("age",), model="logit"))
    >>> found[0].estimator
    'standardised logit, by arm'
    """

    covariates: tuple[str, ...] = ()
    model: str = "linear"
    scale: str = "difference"
    interacted: bool = True
    strata: bool = True
    errors: str = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "covariates", name_list(self.covariates, name="covariates"))
        choice(self.model, glm.MODELS, name="model")
        choice(self.scale, SCALES, name="scale")
        choice(self.errors, ERRORS, name="errors")
        flag(self.interacted, "interacted")
        flag(self.strata, "strata")

    def estimate(self, view: View, contrasts: Contrasts = None) -> Estimates:
        """Estimate the contrasts (arm, reference); each arm against the first where none are named.

        Parameters
        ----------
        view : View
            Aligned with at least the covariates of this estimator.
        contrasts : sequence of pairs of arm names, optional

        Returns
        -------
        Estimates

        Raises
        ------
        EstimationError
            Clusters, shares that differ between people, survey weights; an arm without people, an outcome that does
            not suit the model, a model without an estimate (separation), means for which the scale is not defined.
        ColumnError
            A covariate that the view does not hold.
        DesignError
            An unknown arm.
        """
        chosen_columns(view, self.covariates)
        _refuse_design(view)
        found = []
        for arm, reference in contrasts_of(view, contrasts):
            sample = sample_of(view, arm, reference)
            if sample.shares_differ():
                raise EstimationError(
                    "the chance of an arm differs between people, and this estimator takes one set of shares for all. "
                    "Use AIPW(covariates=...), Regression(covariates=...), or StratifiedRegression where shares "
                    "differ by stratum only."
                )
            found.append(estimate_of(view, sample, self._finding(view, sample)))
        return Estimates(tuple(found))

    def _finding(self, view: View, sample: Sample) -> Finding:
        if trouble := glm.problem(sample.y, self.model):
            raise EstimationError(f"{view.outcome!r} does not suit model={self.model!r}: {trouble}.")
        within = sample.n_strata > 1
        entered = within and self.strata and int(_cells(sample).min()) >= CELL
        fitted = self._fitted(view, sample, entered=entered)
        place = np.full(sample.y.size, -1, dtype=np.int64)
        place[sample.codes == sample.arm], place[sample.codes == sample.reference] = 0, 1
        # Strata that enter by arm leave no residuals in their means; with common effects they do.
        corrected = within and view.fixed and int(_cells(sample).min()) >= 2 and not (entered and self.interacted)
        small = self.errors == "auto"
        moments = standardised(
            sample.y,
            place,
            fitted.predicted,
            residual=fitted.residual if small else None,
            strata=sample.strata if corrected else None,
        )
        _refuse_scale(moments.means, self.scale, view.outcome)
        value, slope = contrast_of(moments.means, self.scale)
        variance = float(slope @ moments.covariance @ slope)
        if not small and not variance > 0.0:
            raise EstimationError(
                "the published variance comes out at nought or below: an arm has too few people for its columns. Use "
                "errors='auto', or fewer covariates."
            )
        return Finding(
            value=value,
            variance=variance,
            dof=_satterthwaite(moments, slope, fitted.dof, variance) if small else None,
            estimator=self._title(),
            kind="Ye et al., HC2" if small else "Ye et al.",
            reason=self._reason(sample, entered=entered, corrected=corrected),
            reference_mean=float(moments.means[1]),
            notes=(*fitted.notes, *_strata_notes(view, sample, entered=entered), *self._scale_notes(value)),
            scale="" if self.scale == "difference" else self.scale,
        )

    def _fitted(self, view: View, sample: Sample, *, entered: bool) -> _Fitted:
        x = matrix_of(view, self.covariates, sample.rows)
        names = [view.covariate_names[place] for place in chosen_columns(view, self.covariates)]
        if entered:
            x = np.column_stack([x, sample.strata[:, None] == np.arange(1, sample.n_strata)])
            names += [""] * (sample.n_strata - 1)
        return _by_arm(sample, x, names, self.model) if self.interacted else _common(sample, x, names, self.model)

    def _title(self) -> str:
        slopes = "by arm" if self.interacted else "common slopes"
        name = "ANHECOVA" if self.model == "linear" and self.interacted else f"standardised {self.model}, {slopes}"
        return name if self.scale == "difference" else f"{name}: {self.scale}"

    def _scale_notes(self, value: float) -> tuple[str, ...]:
        if self.scale == "difference":
            return ()
        what = self.scale.removeprefix("log ")
        return (f"the effect is the {self.scale} of the means by arm: the {what} is {np.exp(value):.3g}.",)

    def _reason(self, sample: Sample, *, entered: bool, corrected: bool) -> str:
        parts = [f"means of a {self.model} working model over all {sample.y.size:,} people, residuals added by arm"]
        if entered:
            parts.append(f"{sample.n_strata:,} strata are in the model")
        if corrected:
            parts.append("less what a draw within strata takes off the variance of residuals")
        rule = "as published (n - 1 in all variances), normal reference"
        if self.errors == "auto":
            rule = "residuals as in HC2, Satterthwaite's degrees of freedom"
        return "; ".join([*parts, f"variance of Ye, Shao, Yi & Zhao (2023), {rule}"]) + "."


def _refuse_design(view: View) -> None:
    if view.clusters is not None:
        raise EstimationError(
            "the design draws clusters, and this variance takes each person as drawn alone. Use "
            "Regression(covariates=...), the same with CR2, or AIPW(covariates=...)."
        )
    if view.weights is not None:
        raise EstimationError("ANHECOVA takes no survey weights. Use Regression(covariates=...) or AIPW(...).")


def _refuse_scale(means: Floats, scale: str, outcome: str) -> None:
    low = scale != "difference" and not bool((means > 0.0).all())
    high = scale == "log odds ratio" and not bool((means < 1.0).all())
    if low or high:
        bounds = "above 0" if scale == "log ratio" else "between 0 and 1"
        raise EstimationError(
            f"scale={scale!r} needs mean outcomes {bounds} in both arms, and those of {outcome!r} are not. "
            "Use scale='difference'."
        )


def _cells(sample: Sample) -> Ints:
    """People by stratum and arm, over the arms that anybody of the sample is in."""
    arms, place = np.unique(sample.codes, return_inverse=True)
    counts = np.bincount(sample.strata * arms.size + place, minlength=sample.n_strata * arms.size)
    return counts.reshape(sample.n_strata, arms.size).astype(np.int64)


def _by_arm(sample: Sample, x: Floats, names: list[str], model: str) -> _Fitted:
    n = sample.y.size
    table = np.column_stack([np.ones(n), x])
    predicted, residual, dof = np.empty((n, 2)), np.empty(2), np.empty(2)
    notes: list[str] = []
    for place, code in enumerate((sample.arm, sample.reference)):
        mine = sample.codes == code
        _refuse_few(int(mine.sum()), table.shape[1], sample.arms.names[code])
        fitted = glm.fit(table[mine], sample.y[mine], model)
        predicted[:, place] = glm.mean_of(table @ fitted.coef, model)
        residual[place], dof[place] = glm.residual_variance(fitted, table[mine], sample.y[mine], table, model)
        notes += _dropped(names, fitted.kept[1:], f" in arm {sample.arms.names[code]!r}")
    return _Fitted(predicted, residual, dof, tuple(notes))


def _common(sample: Sample, x: Floats, names: list[str], model: str) -> _Fitted:
    arms = np.unique(sample.codes)
    own = (sample.codes[:, None] == arms).astype(np.float64)
    table = np.column_stack([own, x])
    _refuse_few(sample.y.size, table.shape[1], "")
    fitted = glm.fit(table, sample.y, model)
    shared = x @ fitted.coef[arms.size :]
    predicted = np.column_stack(
        [glm.mean_of(shared + fitted.coef[int(np.searchsorted(arms, code))], model) for code in _pair(sample)]
    )
    # The columns that are shared are paid for by the arms in proportion to their people.
    people = np.array([(sample.codes == code).sum() for code in _pair(sample)])
    dof = people - 1.0 - people / sample.y.size * (fitted.kept.sum() - arms.size)
    squares = (sample.y - fitted.mean) ** 2 / np.maximum(1.0 - fitted.leverage, 1e-10)
    residual = np.array([squares[sample.codes == code].mean() / (sample.codes == code).sum() for code in _pair(sample)])
    return _Fitted(predicted, residual, dof, tuple(_dropped(names, fitted.kept[arms.size :], "")))


def _pair(sample: Sample) -> tuple[int, int]:
    return sample.arm, sample.reference


def _refuse_few(people: int, columns: int, arm: str) -> None:
    if people - columns < 1:
        where = f"arm {arm!r} has {people:,} people" if arm else f"there are {people:,} people"
        raise EstimationError(
            f"{where} for {columns:,} columns: no degrees of freedom are left. Take fewer covariates, strata=False, or "
            "DifferenceInMeans."
        )


def _dropped(names: list[str], kept: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], where: str) -> list[str]:
    why = "it does not vary there, or the columns before it already tell it"
    gone = [name for name, inside in zip(names, kept, strict=True) if name and not inside]
    return [f"covariate {name!r} was dropped{where}: {why}." for name in gone]


def _strata_notes(view: View, sample: Sample, *, entered: bool) -> tuple[str, ...]:
    if sample.n_strata == 1 or entered:
        return ()
    by = f" by {', '.join(map(repr, view.strata_names))}" if view.strata_names else ""
    least = int(_cells(sample).min())
    if least < 2:
        effect = "The variance is larger than it need be; DifferenceInMeans() takes the strata in"
    elif least < CELL:
        effect = f"Some have fewer than {CELL} people in an arm; Regression(covariates=...) takes them in"
    else:
        effect = "Precision is lost where they foretell the outcome; strata=True takes them in"
    return (f"people were drawn within strata{by}, which are missing from the model. {effect}.",)


def _satterthwaite(moments: Standardised, slope: Floats, freedom: Floats, variance: float) -> float:
    """V^2 / sum (part_a^2 / dof_a), of which only the residual parts are noisy; at most the sum of the dof_a."""
    parts = slope**2 * moments.residual
    bottom = float((parts**2 / np.maximum(freedom, 1.0)).sum())
    return min(max(variance, 0.0) ** 2 / bottom, float(freedom.sum())) if bottom > 0.0 else float(freedom.sum())
