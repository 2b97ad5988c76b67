"""Who has no outcome, by arm: levels, differences, and what they may do to the effect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kokeilu._checks import count_of, name_list, positive_int
from kokeilu._kernels import linear, trimming
from kokeilu._kernels.batched import residualised
from kokeilu._kernels.clustered import cluster_robust
from kokeilu.balance.attrition_rows import Attrition, AttritionArm, AttritionRow
from kokeilu.balance.columns import Covariates, read_covariates, share_weights
from kokeilu.balance.models import ModelTest, wald
from kokeilu.balance.omnibus import omnibus_test
from kokeilu.core.assignment import Assignment, check_assignment
from kokeilu.core.lottery import cells_of
from kokeilu.core.protocols import Cells, Floats
from kokeilu.core.results import TestResult, p_text
from kokeilu.core.view import View, align
from kokeilu.errors import DesignError

__all__ = ["Attrition", "AttritionArm", "AttritionRow", "check_attrition"]

NONE = 1e-9
POWER = 2.8
"""1.96 + 0.84: a difference of so many standard errors is found in 80 of 100 trials."""


def check_attrition(
    assignment: Assignment,
    outcomes: object,
    outcome: str,
    *,
    register: object | None = None,
    on: Sequence[str] | str = (),
    limits: tuple[float, float] | None = None,
    draws: int = 999,
) -> Attrition:
    r"""Compare the arms in who has an outcome.

    The p-values come from redraws of the lottery, under the hypothesis that no arm changes who has the outcome. A large
    one is no licence: with few people a large difference may pass. Lee's trim share and bounds are therefore
    always given. Outcomes from registers and from surveys are separate accounts: check each.

    Parameters
    ----------
    assignment : Assignment
    outcomes : pandas, pyarrow or Arrow-capable table
        People without a row, or without a value, count as missing.
    outcome : str
    register : table, optional
        With the columns `on` of everybody who was drawn; needed where `on` names any.
    on : sequence of str
        Columns measured before the draw: do other kinds of people drop out in one arm than in another?
    limits : (low, high), optional
        The least and greatest value that the outcome can have, for bounds that suppose nothing.
    draws : int
        Redraws for the p-values.

    Returns
    -------
    Attrition

    Raises
    ------
    ColumnError, DataError
        As in :func:`kokeilu.estimate_effects` and :func:`kokeilu.check_balance`.
    DesignError
        Columns without a register, or limits that are none.

    Notes
    -----
    The test of arm by covariate redraws the totals of :math:`e_i (x_i - \bar x)` by arm, with e the residual of
    response on strata and covariates: the score of the interactions.

    Source: Lee (2009), Rev. Econ. Studies 76; Manski (1990), Amer. Econ. Rev. 80.

    Examples
    --------
    >>> import kokeilu as kk
    >>> people = {"id": list(range(8)), "age": [31, 25, 44, 52, 38, 29, 60, 47]}
    >>> trial = kk.randomise(people, kk.Complete(kk.arms(control=1, coaching=1)), id="id", seed="example")
    >>> later = {"id": list(range(7)), "score": [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0]}
    >>> found = kk.check_attrition(trial, later, "score")
    >>> sum(one.not_in_table for one in found.arms)
    1
    """
    check_assignment(assignment)
    positive_int(draws, name="draws")
    names = name_list(on, name="on")
    if names and register is None:
        raise DesignError(
            f"on names {names[0]!r}, and no register is given. Pass the table that was drawn from as register=, so "
            "that the covariates of those without an outcome are known."
        )
    edges = _limits(limits)
    view = align(assignment, outcomes, outcome)
    found = read_covariates(assignment, register, names, verb="check_attrition") if names else None
    case = _Case.of(assignment, view, found)
    complete = bool(case.response.all())
    joint = _renamed(
        omnibus_test(assignment, case.response[:, None], draws=draws, name="attrition by arm"),
        "from the share with an outcome by arm",
    )
    interactions = None if case.x is None or complete else _interactions(assignment, case, draws)
    models = (
        None if complete else case.model("F of the arms on response", 0, interacted=False),
        None if case.x is None or complete else _interactions_model(case),
    )
    return Attrition(
        outcome=outcome,
        arms=_arms(case, view, edges),
        lines=() if found is None else tuple(_lines(case, found)),
        joint=joint,
        interactions=interactions,
        levels_model=models[0],
        interactions_model=models[1],
        notes=tuple(_notes(view, case, models)),
    )


def _limits(limits: object) -> tuple[float, float] | None:
    if limits is None:
        return None
    pair = limits if isinstance(limits, (tuple, list)) else ()
    if len(pair) != 2 or not all(isinstance(x, (int, float)) and np.isfinite(x) for x in pair) or pair[0] >= pair[1]:
        raise DesignError("limits must be the least and the greatest value of the outcome, such as limits=(0, 1).")
    return float(pair[0]), float(pair[1])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """Response (n,) as 0 and 1, covariates that vary (n, p), and the design."""

    assignment: Assignment
    cells: Cells
    response: Floats
    x: Floats | None
    weights: Floats | None

    @classmethod
    def of(cls, assignment: Assignment, view: View, found: Covariates | None) -> _Case:
        response = np.zeros(len(assignment))
        response[view.rows] = 1.0
        x = None
        if found is not None:
            filled = found.filled()
            centred = filled - filled.mean(axis=0)
            sd = centred.std(axis=0)
            varies = sd > 1e-10 * np.abs(filled).max(axis=0, initial=0.0)
            x = centred[:, varies] / sd[varies]
        return cls(
            assignment=assignment,
            cells=cells_of(assignment.lottery),
            response=response,
            x=x,
            weights=share_weights(assignment),
        )

    def indicators(self) -> Floats:
        """The arms but the first as 0 and 1, (n, K - 1)."""
        others = np.arange(1, len(self.assignment.arms))
        return np.asarray(self.assignment.codes[:, None] == others, dtype=np.float64)

    def model(self, name: str, tested: int, *, interacted: bool) -> ModelTest:
        """Wald F of the columns from `tested` on, beside stratum effects."""
        columns = self.indicators()
        if interacted and self.x is not None:
            products = (columns[:, :, None] * self.x[:, None, :]).reshape(len(columns), -1)
            columns = np.column_stack([columns, self.x, products])
        clusters = self.cells.clusters
        kind = "HC2" if clusters is None else "CR2"
        return wald(name, self.response, columns, self.cells.strata, clusters, kind, note="", tested=tested)

    def rate(self, arm: int) -> float:
        """Share with an outcome, weighted by 1/share where shares differ."""
        rows = self.assignment.codes == arm
        if not rows.any():
            return float("nan")
        weights = None if self.weights is None else self.weights[rows]
        return float(np.average(self.response[rows], weights=weights))


def _renamed(test: TestResult, how: str) -> TestResult:
    kind = f"all {test.draws:,} assignments" if test.exact else f"{test.draws:,} redraws of the lottery"
    reason = f"Hypothesis: no arm changes who has an outcome; judged {how}, {kind}."
    return replace(test, reason=reason, notes=())


def _interactions(assignment: Assignment, case: _Case, draws: int) -> TestResult:
    x = np.zeros((len(case.response), 0)) if case.x is None else case.x
    residual = residualised(case.response, x, case.cells.strata)
    test = omnibus_test(assignment, residual[:, None] * x, draws=draws, name="attrition by arm and covariate")
    return _renamed(test, "from the kinds of people who have an outcome, by arm")


def _interactions_model(case: _Case) -> ModelTest:
    width = 0 if case.x is None else case.x.shape[1]
    return case.model("F of arm x covariate on response", len(case.assignment.arms) - 1 + width, interacted=True)


def _arms(case: _Case, view: View, limits: tuple[float, float] | None) -> tuple[AttritionArm, ...]:
    names, account = case.assignment.arms.names, view.account
    first = [
        AttritionArm(
            arm=arm,
            assigned=account.assigned[k],
            not_in_table=account.assigned[k] - account.linked[k],
            value_missing=account.linked[k] - account.observed[k],
            used=account.observed[k],
            rate=case.rate(k),
        )
        for k, arm in enumerate(names)
    ]
    values, errors = _differences(case)
    rest = [_bounded(case, view, first, k, limits) for k in range(1, len(names))]
    found = [
        # Without an error (nobody, or everybody, in either arm) nothing is known of what could be found.
        replace(
            one,
            difference=float(value),
            error=float(error),
            detectable=POWER * float(error) if error > NONE else None,
        )
        if np.isfinite(value)
        else one
        for one, value, error in zip(rest, values, errors, strict=True)
    ]
    return (first[0], *found)


def _differences(case: _Case) -> tuple[Floats, Floats]:
    """Differences of the rates from the reference's beside stratum effects, and their errors."""
    columns, y = case.indicators(), case.response
    design = linear.columns_of(columns, levels=case.cells.strata)
    fitted = linear.fit(design, y)
    if not fitted.kept.all() or fitted.dof < 1:
        return np.full(columns.shape[1], np.nan), np.full(columns.shape[1], np.nan)
    if case.cells.clusters is None:
        covariance = linear.covariance(design, y, fitted, "HC2").covariance
    else:
        eye = np.eye(columns.shape[1])
        covariance = cluster_robust(design, y, case.cells.clusters, kind="CR2", contrasts=eye).covariance
    values = np.where(np.abs(fitted.coef) < 1e-12, 0.0, fitted.coef)
    return values, np.sqrt(np.maximum(np.diag(covariance), 0.0))


def _bounded(
    case: _Case, view: View, arms: Sequence[AttritionArm], arm: int, limits: tuple[float, float] | None
) -> AttritionArm:
    rows = [view.codes == k for k in (arm, 0)]
    own = np.ones(len(view.codes)) if case.weights is None else case.weights[view.rows]
    y, w = [view.y[r] for r in rows], [own[r] for r in rows]
    rates = (arms[arm].rate, arms[0].rate)
    if not len(y[0]) or not len(y[1]):
        return arms[arm]
    found = trimming.lee_bounds(y[0], y[1], rates, (w[0], w[1]))
    worst: tuple[float | None, float | None] = (None, None)
    if limits is not None:
        _refuse_beyond(view, limits)
        means = (float(y[0] @ w[0] / w[0].sum()), float(y[1] @ w[1] / w[1].sum()))
        worst = trimming.worst_case(means, rates, limits)
    equal = found.share < 1e-12
    return replace(
        arms[arm],
        trim_share=found.share,
        trimmed=None if equal else arms[arm].arm if found.of_arm else arms[0].arm,
        lee_low=found.lower,
        lee_high=found.upper,
        worst_low=worst[0],
        worst_high=worst[1],
    )


def _refuse_beyond(view: View, limits: tuple[float, float]) -> None:
    beyond = int(((view.y < limits[0]) | (view.y > limits[1])).sum())
    if beyond:
        raise DesignError(
            f"{view.outcome!r} lies outside the limits for {count_of(beyond, 'person', 'people')} of {len(view.y):,}. "
            "State limits that hold for everybody."
        )


def _lines(case: _Case, found: Covariates) -> Iterator[AttritionRow]:
    names, codes = case.assignment.arms.names, case.assignment.codes
    for part in found.parts:
        stayed, left = (
            {
                arm: _mean(part.values, (codes == k) & (case.response == state), case.weights)
                for k, arm in enumerate(names)
            }
            for state in (1.0, 0.0)
        )
        yield AttritionRow(covariate=part.covariate, level=part.level, stayed=stayed, left=left)


def _mean(values: Floats, rows: np.ndarray[Any, np.dtype[np.bool_]], weights: Floats | None) -> float | None:
    kept = rows & ~np.isnan(values)
    if not kept.any():
        return None
    return float(np.average(values[kept], weights=None if weights is None else weights[kept]))


def _notes(view: View, case: _Case, models: tuple[ModelTest | None, ModelTest | None]) -> Iterator[str]:
    missing = sum(view.account.missing().values())
    if not missing:
        yield "everybody has an outcome: there was nothing to test, and nothing is trimmed."
        return
    kind = "HC2" if case.cells.clusters is None else "CR2"
    yield (
        f"{count_of(missing, 'person has', 'people have')} no outcome. rate: share with an outcome; difference: from "
        f"the reference arm, beside stratum effects, with its {kind} error; detectable: the difference that a trial of "
        "this size finds in 80 of 100 cases. A smaller one may be there and not be seen, whatever the p-value."
    )
    yield (
        "trim_share (Lee 2009): the part of the outcomes of the arm with the higher rate that is cut, from the top for "
        "one bound and from the bottom for the other. The bounds hold for those who have an outcome in either arm, if "
        "the arm makes outcomes only more, or only less, often missing. They do not allow for chance."
    )
    for what, model in (("the arms", models[0]), ("arm by covariate, beside arms and covariates", models[1])):
        if model is not None and model.p_value is not None and model.statistic is not None:
            p = p_text(model.p_value)
            yield (
                f"for comparison only, by regression of response on {what}: F = {model.statistic:.2f} on {model.df1:g} "
                f"and {model.df2 or 0.0:,.0f} degrees of freedom, p {'' if p.startswith('<') else '= '}{p}."
            )
