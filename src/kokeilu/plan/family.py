"""The family of a plan: which p-values are adjusted together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kokeilu.core.arms import Arms
from kokeilu.core.results import Estimates
from kokeilu.plan.findings import Executed
from kokeilu.plan.plan import Plan

__all__ = ["adjusted", "contrasts_of"]


def contrasts_of(contrasts: Sequence[tuple[str, str]] | None, arms: Arms) -> tuple[tuple[str, str], ...]:
    """Return the contrasts, each arm against the first where none are named."""
    return tuple(contrasts) if contrasts is not None else tuple((arm, arms.reference) for arm in arms.names[1:])


def adjusted(plan: Plan, runs: Sequence[Executed], arms: Arms) -> tuple[tuple[Executed, ...], tuple[str, ...]]:
    """Return the registered runs with adjusted p-values, and the members of the family.

    The family is fixed by the plan: every registered contrast of every primary outcome, by its estimators, or by its
    randomisation tests where the outcome is registered with tests only. An analysis that was not made stays in the
    family with p = 1, for leaving it out would make the correction milder than the registered one.
    """
    inside = [position for position, run in enumerate(runs) if _belongs(run, plan)]
    parts = {position: _members(runs[position], arms) for position in inside}
    flat = iter(plan.family.adjust([p for part in parts.values() for _, p in part]))
    done = list(runs)
    for position, part in parts.items():
        done[position] = _filled(runs[position], [next(flat) for _ in part])
    return tuple(done), tuple(label for part in parts.values() for label, _ in part)


def _belongs(run: Executed, plan: Plan) -> bool:
    if run.role != "primary":
        return False
    estimated = any(not a.is_test for a in plan.analyses if a.outcome == run.analysis.outcome)
    return not (run.analysis.is_test and estimated)


def _members(run: Executed, arms: Arms) -> list[tuple[str, float]]:
    """Return label and p-value of each contrast of a run."""
    name = run.analysis.name
    if run.problem:
        pairs = contrasts_of(run.analysis.contrasts, arms)
        return [(f"{name}, {arm} - {reference} (not made, p = 1)", 1.0) for arm, reference in pairs]
    found = [(e.arm, e.reference, e.p_value()) for e in run.estimates]
    found += [(t.arm, t.reference, t.p_value) for t in run.tests]
    return [(f"{name}, {arm} - {reference}", p) for arm, reference, p in found]


def _filled(run: Executed, values: Sequence[float]) -> Executed:
    if run.problem:
        return run
    estimates = tuple(replace(e, adjusted_p=p) for e, p in zip(run.estimates, values, strict=False))
    rest = values[len(estimates) :]
    tests = tuple(replace(t, adjusted_p=p) for t, p in zip(run.tests, rest, strict=True))
    return replace(run, estimates=Estimates(estimates), tests=tests)
