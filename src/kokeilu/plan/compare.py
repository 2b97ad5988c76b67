"""Executed against registered: each comparison returns the differences it finds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kokeilu._checks import count_of
from kokeilu.assign.verify import verify
from kokeilu.core.assignment import DRAW_STREAM, Assignment
from kokeilu.core.canonical import fingerprint
from kokeilu.core.lottery import cells_of
from kokeilu.core.protocols import KnowsShares, Lottery
from kokeilu.core.registry import encode
from kokeilu.core.table import read_columns, read_number
from kokeilu.errors import ColumnError, DataError, KokeiluError
from kokeilu.plan.deviations import Difference
from kokeilu.plan.plan import Plan
from kokeilu.plan.terms import Outcome

__all__ = ["SHORT", "compare_assignment", "compare_outcome", "compare_register"]

SHORT = 12
"""Digits of a fingerprint in a message."""
_WHERE = "the outcomes table"


def compare_assignment(plan: Plan, assignment: Assignment) -> Iterator[Difference]:
    """Compare fingerprints and the id with the plan, and replay the draw from its seed."""
    expected, found = plan.fingerprint, assignment.plan_fingerprint
    if found != expected:
        drawn = "under no plan" if found is None else f"under the plan {found[:SHORT]}"
        says = f"the assignment was drawn {drawn}, but the plan to be analysed is {expected[:SHORT]}."
        yield Difference(kind="assignment", about="plan", says=says)
    registered, design = fingerprint(encode(plan.design)), assignment.design_fingerprint
    if design != registered:
        says = f"the assignment has the design {design[:SHORT]}, but the plan registers {registered[:SHORT]}."
        yield Difference(kind="assignment", about="design", says=says)
    if assignment.id_name != plan.id:
        says = f"the assignment's id is {assignment.id_name!r}, but the plan registers the id {plan.id!r}."
        yield Difference(kind="frame", about="id", says=says)
    yield from _replay(assignment)


def _replay(assignment: Assignment) -> Iterator[Difference]:
    # The rule is bound anew: an assignment put together by hand may hold the lottery of another rule.
    lottery = assignment.mechanism.bind(assignment.population)
    if not _same_lottery(lottery, assignment):
        says = "the lottery of the assignment is not the one that its design gives for its people."
        yield Difference(kind="assignment", about="design", says=says)
    if assignment.seed is None:
        return
    codes = lottery.draw(assignment.seed.stream(DRAW_STREAM), 1)[0]
    moved = int((codes != assignment.codes).sum())
    if moved:
        says = f"{count_of(moved, 'person', 'people')} of {len(codes):,} do not have the arm that the seed gives."
        yield Difference(kind="assignment", about="draw", says=says)


def _same_lottery(lottery: Lottery, assignment: Assignment) -> bool:
    """Whether chances, strata and clusters are those that the analysis will use."""
    ours, theirs = cells_of(lottery), cells_of(assignment.lottery)
    same = ours.fixed == theirs.fixed and np.array_equal(ours.strata, theirs.strata)
    if ours.clusters is None or theirs.clusters is None:
        same &= ours.clusters is None and theirs.clusters is None
    else:
        same &= np.array_equal(ours.clusters, theirs.clusters)
    if isinstance(lottery, KnowsShares) and isinstance(assignment.lottery, KnowsShares):
        same &= np.array_equal(lottery.shares(), assignment.lottery.shares())
    return bool(same and type(lottery) is type(assignment.lottery))


def compare_register(assignment: Assignment, register: object) -> Iterator[Difference]:
    """Compare the register's people and columns with those of the draw."""
    for check in verify(assignment, register).checks:
        if check.check in ("people", "columns") and not check.holds:
            says = f"the register is not the one of the draw: {check.finding}."
            yield Difference(kind="frame", about="register", says=says)


def compare_outcome(outcome: Outcome, table: object) -> Iterator[Difference]:
    """Compare an outcome's column with its registered definition."""
    trouble: KokeiluError | None = None
    try:
        column = read_columns(table, (outcome.name,), where=_WHERE)[outcome.name]
        values = read_number(column, outcome.name, where=_WHERE)
    except (ColumnError, DataError) as error:
        trouble = error
    if trouble is not None:
        yield Difference(kind="outcome", about=outcome.name, says=str(trouble), error=type(trouble), blocking=True)
        return
    # NaN compares False, so people without a value break no bound.
    below = 0 if outcome.minimum is None else int(np.sum(values < outcome.minimum))
    above = 0 if outcome.maximum is None else int(np.sum(values > outcome.maximum))
    if below or above:
        says = (
            f"{_WHERE}: {outcome.name!r} is registered as {outcome.bounds()}, but "
            f"{count_of(below, 'value is', 'values are')} below and {above:,} above, of {len(values):,}."
        )
        yield Difference(kind="outcome", about=outcome.name, says=says)
