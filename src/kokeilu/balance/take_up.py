"""Who got the service, by arm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from kokeilu._checks import count_of
from kokeilu._kernels import linear
from kokeilu._kernels.clustered import cluster_robust
from kokeilu.balance.columns import share_weights
from kokeilu.balance.models import ModelTest, wald
from kokeilu.core.assignment import Assignment, check_assignment
from kokeilu.core.protocols import Floats, Ints
from kokeilu.core.results import Rows, p_text, text_table, wrapped
from kokeilu.core.view import View, align
from kokeilu.errors import DataError

__all__ = ["TakeUp", "TakeUpArm", "check_take_up"]

WEAK = 10.0
"""First-stage F below which the effect on those who came rests on little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeUpArm:
    """One arm.

    Attributes
    ----------
    arm : str
    assigned, known, came : int
        People: drawn to the arm, of whom it is known whether they got the service, and who got it.
    rate : float or None
        Share of the known who got it, weighted by 1/share where shares differ.
    low, high : float or None
        95 % interval of the rate (Wilson); None where clusters were drawn, or shares differ.
    difference, error : float or None
        Of the rate from the reference arm's, beside stratum effects; HC2, or CR2 where clusters were drawn.
    """

    arm: str
    assigned: int
    known: int
    came: int
    rate: float | None
    low: float | None = None
    high: float | None = None
    difference: float | None = None
    error: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeUp(Rows):
    """Who got the service, by arm.

    Attributes
    ----------
    took : str
        The column.
    arms : tuple of TakeUpArm
    first_stage : ModelTest or None
        F of the arms on getting the service: how strongly the draw moves it.
    notes : tuple of str
    """

    took: str
    arms: tuple[TakeUpArm, ...]
    first_stage: ModelTest | None
    notes: tuple[str, ...]

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each arm."""
        names = ("assigned", "known", "came", "rate", "low", "high", "difference", "error")
        return [{"arm": one.arm} | {name: getattr(one, name) for name in names} for one in self.arms]

    def __str__(self) -> str:
        return "\n".join([text_table(self.rows()), *wrapped(self.notes)])


def check_take_up(assignment: Assignment, outcomes: object, took: str) -> TakeUp:
    """Compare the arms in who got the service.

    Parameters
    ----------
    assignment : Assignment
    outcomes : pandas, pyarrow or Arrow-capable table
    took : str
        A column of 0 and 1 (or yes and no): whether the person got the service, whatever their arm. People without a
        row or a value count as not known.

    Returns
    -------
    TakeUp

    Raises
    ------
    ColumnError, DataError
        For a column that is absent, is not of 0 and 1, or is missing for everybody; for people who were never assigned.

    Notes
    -----
    Effects of the draw itself (intention to treat) need none of this. The effect on those whom the draw moved is that
    of the draw over the difference in rates, and is only as firm as the first stage.

    Source: Imbens & Angrist (1994), Econometrica 62; Wilson (1927), J. Amer. Statist. Assoc. 22.

    Examples
    --------
    >>> import kokeilu as kk
    >>> people = {"id": list(range(8)), "age": [31, 25, 44, 52, 38, 29, 60, 47]}
    >>> trial = kk.randomise(people, kk.Complete(kk.arms(control=1, coaching=1)), id="id", seed="example")
    >>> came = {"id": people["id"], "came": [int(code) for code in trial.codes]}
    >>> kk.check_take_up(trial, came, "came").arms[1].rate
    1.0
    """
    check_assignment(assignment)
    view = align(assignment, outcomes, took)
    strange = int((~np.isin(view.y, (0.0, 1.0))).sum())
    if strange:
        raise DataError(
            f"{took!r} is neither 0 nor 1 for {count_of(strange, 'person', 'people')} of {len(view.y):,}. Recode it: 1 "
            "for those who got the service, 0 for those who did not."
        )
    weights = share_weights(assignment)
    own = None if weights is None else weights[view.rows]
    arms = tuple(_arm(view, k, own) for k in range(len(view.arms)))
    found = _differences(view)
    arms = (arms[0], *(_with(one, *pair) for one, pair in zip(arms[1:], found, strict=True)))
    first_stage = _first_stage(view)
    return TakeUp(took=took, arms=arms, first_stage=first_stage, notes=tuple(_notes(view, arms, first_stage)))


def _arm(view: View, k: int, weights: Floats | None) -> TakeUpArm:
    rows = view.codes == k
    y, known = view.y[rows], int(rows.sum())
    name, came = view.arms.names[k], int(y.sum())
    rate = None if not known else float(np.average(y, weights=None if weights is None else weights[rows]))
    low = high = None
    if known and weights is None and view.clusters is None:
        bounds = stats.binomtest(came, known).proportion_ci(0.95, method="wilson")
        low, high = float(bounds.low), float(bounds.high)
    assigned = view.account.assigned[k]
    return TakeUpArm(arm=name, assigned=assigned, known=known, came=came, rate=rate, low=low, high=high)


def _with(one: TakeUpArm, value: float, error: float) -> TakeUpArm:
    return replace(one, difference=value, error=error) if np.isfinite(value) else one


def _columns(view: View) -> tuple[Floats, Ints]:
    others = np.arange(1, len(view.arms))
    return np.asarray(view.codes[:, None] == others, dtype=np.float64), view.strata


def _differences(view: View) -> list[tuple[float, float]]:
    columns, strata = _columns(view)
    design = linear.columns_of(columns, levels=strata)
    fitted = linear.fit(design, view.y)
    if not fitted.kept.all() or fitted.dof < 1:
        return [(float("nan"), float("nan"))] * columns.shape[1]
    if view.clusters is None:
        covariance = linear.covariance(design, view.y, fitted, "HC2").covariance
    else:
        eye = np.eye(columns.shape[1])
        covariance = cluster_robust(design, view.y, view.clusters, kind="CR2", contrasts=eye).covariance
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return [(float(value), float(error)) for value, error in zip(fitted.coef, errors, strict=True)]


def _first_stage(view: View) -> ModelTest | None:
    columns, strata = _columns(view)
    # Where everybody of each arm did the same there is no error, and no F.
    if all(np.ptp(view.y[view.codes == k]) == 0.0 for k in range(len(view.arms)) if (view.codes == k).any()):
        return None
    kind = "HC2" if view.clusters is None else "CR2"
    found = wald("F of the arms on getting the service", view.y, columns, strata, view.clusters, kind, note="")
    return found if found.statistic is not None else None


def _notes(view: View, arms: tuple[TakeUpArm, ...], first_stage: ModelTest | None) -> Iterator[str]:
    unknown = sum(one.assigned - one.known for one in arms)
    kind = "HC2" if view.clusters is None else "CR2"
    yield (
        "rate: share of the known who got the service, whatever their arm; difference: from the reference arm, beside "
        f"stratum effects, with its {kind} error."
    )
    if unknown:
        yield f"not known for {count_of(unknown, 'person', 'people')} who were drawn; they are left out of the rates."
    across = arms[0].came
    if across:
        yield f"{count_of(across, 'person', 'people')} of the reference arm {arms[0].arm!r} got the service."
    if first_stage is not None and first_stage.statistic is not None and first_stage.p_value is not None:
        p = p_text(first_stage.p_value)
        weak = (
            " That is weak: an effect on those who came would rest on little." if first_stage.statistic < WEAK else ""
        )
        yield f"first stage: F = {first_stage.statistic:.1f}, p {'' if p.startswith('<') else '= '}{p}.{weak}"
