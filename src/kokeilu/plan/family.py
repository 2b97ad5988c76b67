"""The family of a plan: which p-values are adjusted together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from kokeilu.core.arms import Arms
from kokeilu.core.assignment import Assignment
from kokeilu.core.view import View, align
from kokeilu.estimate.joint_randomisation import JointRandomisationTest
from kokeilu.estimate.panel import Hypothesis, panel_of
from kokeilu.estimate.step_down import RedrawFamily
from kokeilu.plan.findings import Executed
from kokeilu.plan.plan import Plan

__all__ = ["adjusted", "contrasts_of"]


class _Member(NamedTuple):
    """One p-value of the family; without arms where it is not of a contrast, or was not made."""

    label: str
    p_value: float
    outcome: str
    columns: tuple[str, ...]
    arm: str = ""
    reference: str = ""


def contrasts_of(contrasts: Sequence[tuple[str, str]] | None, arms: Arms) -> tuple[tuple[str, str], ...]:
    """Return the contrasts, each arm against the first where none are named."""
    return tuple(contrasts) if contrasts is not None else tuple((arm, arms.reference) for arm in arms.names[1:])


def adjusted(
    plan: Plan, runs: Sequence[Executed], assignment: Assignment, outcomes: object
) -> tuple[tuple[Executed, ...], tuple[str, ...]]:
    """Return the registered runs with adjusted p-values, and the members of the family.

    The family is fixed by the plan: every registered contrast of every primary outcome, by its estimators, or by its
    tests where the outcome is registered with tests only. An analysis that was not made stays in the family with
    p = 1, for leaving it out would make the correction milder than the registered one.
    """
    inside = [position for position, run in enumerate(runs) if _belongs(run, plan)]
    parts = {position: _members(runs[position], assignment.arms) for position in inside}
    members = [member for part in parts.values() for member in part]
    if isinstance(plan.family, RedrawFamily):
        flat = iter(_by_redraws(plan.family, members, assignment, outcomes))
    else:
        flat = iter(plan.family.adjust([member.p_value for member in members]))
    done = list(runs)
    for position, part in parts.items():
        done[position] = _filled(runs[position], [next(flat) for _ in part])
    return tuple(done), tuple(member.label for member in members)


def _belongs(run: Executed, plan: Plan) -> bool:
    if run.role != "primary":
        return False
    estimated = any(not a.is_test for a in plan.analyses if a.outcome == run.analysis.outcome)
    return not (run.analysis.is_test and estimated)


def _members(run: Executed, arms: Arms) -> list[_Member]:
    """Return the members of a run, one for each contrast."""
    name, outcome, columns = run.analysis.name, run.analysis.outcome, _columns(run.analysis.estimator)
    found: list[tuple[str, str, float]]
    if run.problem:
        pairs = contrasts_of(run.analysis.contrasts, arms)
        whole = isinstance(run.analysis.estimator, JointRandomisationTest)
        told = ["all arms"] if whole else [f"{arm} - {reference}" for arm, reference in pairs]
        return [_Member(f"{name}, {contrast} (not made, p = 1)", 1.0, outcome, columns) for contrast in told]
    found = [(e.arm, e.reference, e.p_value()) for e in run.estimates]
    found += [(t.arm, t.reference, t.p_value) for t in run.tests]
    return [
        _Member(f"{name}, {arm} - {reference}" if arm else f"{name}, all arms", p, outcome, columns, arm, reference)
        for arm, reference, p in found
    ]


def _columns(estimator: Any) -> tuple[str, ...]:
    """The columns beside the outcome that an estimator adjusts for."""
    ask = getattr(estimator, "columns", None)
    return tuple(ask() if callable(ask) else getattr(estimator, "covariates", ()))


def _by_redraws(
    family: RedrawFamily, members: Sequence[_Member], assignment: Assignment, outcomes: object
) -> list[float]:
    """Adjust by one set of redraws; members without a contrast take their part of alpha (Bonferroni) with them."""
    views: dict[tuple[str, tuple[str, ...]], View] = {}
    chosen = [member for member in members if member.arm]
    hypotheses = []
    for member in chosen:
        key = (member.outcome, member.columns)
        if key not in views:
            views[key] = align(assignment, outcomes, member.outcome, covariates=member.columns)
        arms = assignment.arms
        hypotheses.append(
            Hypothesis(view=views[key], arm=arms.index(member.arm), reference=arms.index(member.reference))
        )
    steps: list[float] = []
    if hypotheses:
        steps = family.step_down(panel_of(assignment, hypotheses), assignment).adjusted.tolist()
    of = len(members)
    flat = iter(steps)
    return [min(1.0, next(flat) * of / len(chosen) if member.arm else member.p_value * of) for member in members]


def _filled(run: Executed, values: Sequence[float]) -> Executed:
    if run.problem:
        return run
    estimates = tuple(replace(e, adjusted_p=p) for e, p in zip(run.estimates, values, strict=False))
    rest = values[len(estimates) :]
    tests = tuple(replace(t, adjusted_p=p) for t, p in zip(run.tests, rest, strict=True))
    return replace(run, estimates=replace(run.estimates, items=estimates), tests=tests)
