"""Outcomes aligned with an assignment, with an account of who is missing and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kokeilu._checks import count_of, near_match
from kokeilu._kernels.streams import Stream
from kokeilu.core.arms import Arms
from kokeilu.core.assignment import Assignment, check_assignment
from kokeilu.core.lottery import cautions_of, cells_of, shares_of
from kokeilu.core.population import Ids, frozen_array
from kokeilu.core.protocols import Cautions, Codes, Floats, Ints, Lottery
from kokeilu.core.results import text_table
from kokeilu.core.table import (
    column_names,
    read_columns,
    read_factor_or_missing,
    read_ids,
    read_number,
    refuse_decimal_commas,
    text_like,
)
from kokeilu.core.timing import refuse_mistimed
from kokeilu.errors import ColumnError, DataError

__all__ = ["Account", "View", "align", "covariate_matrix", "locate"]

HUGE = 1e60


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """How many people of each arm were assigned, stand in the outcomes table, and have the outcome observed."""

    arms: tuple[str, ...]
    assigned: tuple[int, ...]
    linked: tuple[int, ...]
    observed: tuple[int, ...]

    def missing(self) -> dict[str, int]:
        """Return assigned less observed by arm."""
        pairs = zip(self.assigned, self.observed, strict=True)
        return {arm: a - o for arm, (a, o) in zip(self.arms, pairs, strict=True)}

    def absent(self) -> dict[str, int]:
        """Return those missing who do not stand in the table, by arm."""
        pairs = zip(self.assigned, self.linked, strict=True)
        return {arm: a - li for arm, (a, li) in zip(self.arms, pairs, strict=True)}

    def used(self) -> dict[str, int]:
        """Return observed by arm."""
        return dict(zip(self.arms, self.observed, strict=True))

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each arm."""
        numbers = zip(self.arms, self.assigned, self.linked, self.observed, strict=True)
        return [
            {"arm": arm, "assigned": a, "not_in_table": a - li, "value_missing": li - o, "used": o}
            for arm, a, li, o in numbers
        ]

    def __str__(self) -> str:
        return text_table(self.rows())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class View:
    """Arrays of one outcome for the people whose outcome is observed, in the order of the ids.

    Attributes
    ----------
    y : float64 array, shape (m,)
    codes : int8 array, shape (m,)
        Position of each person's arm.
    rows : int64 array, shape (m,)
        Position of each person in the assignment.
    strata : int64 array, shape (m,)
        Consecutive codes of the strata that occur; all 0 where the design has none.
    clusters : int64 array, shape (m,), or None
        Consecutive codes of the clusters that occur.
    shares : float64 array, shape (m, arms)
        Each person's probability of each arm.
    covariates : float64 array, shape (m, p)
        Numbers without gaps; a gap is filled with the mean and told by an indicator column.
    account : Account
    stream : Stream
        For redraws, derived from the assignment's seed.
    whole : bool
        False where people of one cluster may stand in several arms.
    notes : tuple of str
        What was done on the way here.
    cautions : tuple of str
        What the design would have said beside estimates and their intervals; a randomisation test needs none of it.
    weights : float64 array, shape (m,), or None
        What each person counts for, with mean 1: such as the inverse of their chance of answering a survey.
    assigned : int8 array, shape (n,), or None
        The arms of everybody in the assignment, with and without an observed outcome.
    groups : mapping of column to int64 array, shape (m,)
        Consecutive codes of other groupings of the people, for errors that are dependent within them.
    waves : int64 array, shape (m,), or None
        The wave of each person where shares followed earlier outcomes, so that only people of one wave are comparable.
    """

    outcome: str
    arms: Arms
    y: Floats
    codes: Codes
    rows: Ints
    strata: Ints
    clusters: Ints | None
    shares: Floats
    covariates: Floats
    covariate_names: tuple[str, ...]
    account: Account
    lottery: Lottery
    stream: Stream
    fixed: bool
    strata_names: tuple[str, ...]
    cluster_name: str | None
    whole: bool = True
    notes: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    weights: Floats | None = None
    assigned: Codes | None = None
    groups: Mapping[str, Ints] = field(default_factory=dict)
    waves: Ints | None = None


def locate(assignment: Assignment, table: object, *, where: str) -> Ints:
    """Return, for each person of the assignment, the row of the table where they stand, or -1.

    Raises
    ------
    DataError
        Where ids are of another kind, missing, repeated, or of people who were never assigned.
    """
    name = check_assignment(assignment).id_name
    raw = read_ids(read_columns(table, (name,), where=where)[name], name, where=where)
    kind = Ids(raw).kind
    if len(raw) and kind != assignment.ids.kind:
        raise DataError(
            f"{where}: the id column {name!r} holds {kind}, but the assignment's ids are {assignment.ids.kind}. "
            "Convert it so that the two agree (mind leading zeros)."
        )
    spots = assignment.ids.find(raw)
    strangers = int((spots < 0).sum())
    if strangers:
        raise DataError(
            f"{where} has {count_of(strangers, 'person', 'people')} of {len(raw):,} who were never assigned. "
            "Keep only the people of the assignment, or check that this is the right table."
        )
    rows = np.full(len(assignment), -1, dtype=np.int64)
    rows[spots] = np.arange(len(raw))
    return rows


def align(
    assignment: Assignment,
    table: object,
    outcome: str,
    *,
    covariates: Sequence[str] = (),
    weights: str | None = None,
    groups: Sequence[str] = (),
) -> View:
    """Align an outcomes table with an assignment.

    Parameters
    ----------
    assignment : Assignment
    table : pandas, pyarrow or Arrow-capable table
        One row for each person at most; people without a row count as missing.
    outcome : str
        A numeric column; missing values are counted by arm.
    covariates : sequence of str
        Columns of the same table, measured before the draw. Categories become indicator columns.
    weights : str, optional
        A column of the same table: what each person with an observed outcome counts for, such as the inverse of their
        chance of answering. Above 0; only their ratios matter.
    groups : sequence of str
        Columns of the same table that group people in another way than the design, without gaps where the outcome is
        observed.

    Returns
    -------
    View

    Raises
    ------
    ColumnError, DataError
        For absent or non-numeric columns, infinite values, repeated or unknown people, or no observed outcome; for an
        outcome that stood in the register at the draw, or a covariate that did not.
    """
    check_assignment(assignment)
    where = "the outcomes table"
    if not isinstance(outcome, str):
        raise ColumnError(f"the outcome is one column, named by text; got {type(outcome).__name__}.")
    _refuse_absent(assignment, column_names(table), outcome, covariates, where)
    if weights is not None and not isinstance(weights, str):
        raise ColumnError(f"weights names one column by text; got {type(weights).__name__}.")
    asked = (outcome, *covariates, *groups, *(() if weights is None else (weights,)))
    columns = read_columns(table, tuple(dict.fromkeys(asked)), where=where)
    if outcome in covariates:
        raise ColumnError(f"{outcome!r} is both the outcome and a covariate. Take it out of the covariates.")
    refuse_mistimed(assignment, outcome, covariates)
    spots = locate(assignment, table, where=where)
    linked = spots >= 0
    y = np.full(len(assignment), np.nan)
    y[linked] = _outcome(columns[outcome], outcome, where)[spots[linked]]
    used = np.flatnonzero(~np.isnan(y))
    if len(used) == 0:
        raise DataError(f"{where}: {outcome!r} is missing for all {len(assignment):,} people of the assignment.")
    x, names, notes = covariate_matrix({c: columns[c] for c in covariates}, spots[used], where=where)
    cells = cells_of(assignment.lottery)
    return View(
        outcome=outcome,
        arms=assignment.arms,
        y=frozen_array(y[used]),
        codes=frozen_array(assignment.codes[used]),
        rows=frozen_array(used),
        strata=_consecutive(cells.strata[used]),
        clusters=None if cells.clusters is None else _consecutive(cells.clusters[used]),
        shares=frozen_array(shares_of(assignment.lottery, assignment.stream("shares"))[used]),
        covariates=x,
        covariate_names=names,
        account=Account(
            arms=assignment.arms.names,
            assigned=_by_arm(assignment, np.ones(len(assignment), dtype=bool)),
            linked=_by_arm(assignment, linked),
            observed=_by_arm(assignment, ~np.isnan(y)),
        ),
        lottery=assignment.lottery,
        stream=assignment.stream(f"outcome {outcome}"),
        fixed=cells.fixed,
        strata_names=cells.names,
        cluster_name=cells.cluster_name,
        whole=cells.whole,
        notes=notes,
        cautions=(*cautions_of(assignment.lottery), *_of_rule(assignment.mechanism)),
        weights=None if weights is None else _weights(columns[weights], weights, spots[used], where),
        assigned=assignment.codes,
        waves=None if cells.waves is None else frozen_array(cells.waves[used]),
        groups=MappingProxyType({name: _group(columns[name], name, spots[used], where) for name in groups}),
    )


def _outcome(column: Any, name: str, where: str) -> Floats:
    """Numbers whose squares of squares do not overflow: a test would find nothing in them without a word."""
    y = read_number(column, name, where=where)
    huge = int((np.abs(y) > HUGE).sum())
    if huge:
        raise DataError(
            f"{where}: {name!r} is beyond 1e60 in size for {count_of(huge, 'person', 'people')}. Make such values "
            "missing if they are codes, or state the outcome in larger units."
        )
    return y


def _of_rule(mechanism: object) -> tuple[str, ...]:
    """What the rule itself has to say: a base's word may no longer hold for arms that were taken together."""
    return mechanism.cautions() if isinstance(mechanism, Cautions) else ()


def _refuse_absent(
    assignment: Assignment, known: Sequence[str], outcome: str, covariates: Sequence[str], where: str
) -> None:
    absent = [name for name in covariates if isinstance(name, str) and name not in known]
    if absent and outcome in known:
        raise ColumnError(
            f"{where} has no covariate column {absent[0]!r}.{near_match(absent[0], known)} Covariates stand in the "
            f"outcomes table: where it is a column of the register, merge it in by {assignment.id_name!r} first."
        )


def _weights(column: Any, name: str, rows: Ints, where: str) -> Floats:
    values = read_number(column, name, where=where)[rows]
    lost, low = int(np.isnan(values).sum()), int((values <= 0.0).sum())
    if lost or low:
        what = f"missing for {count_of(lost, 'person', 'people')}" if lost else f"not above 0 for {low:,}"
        raise DataError(
            f"{where}: the weights in {name!r} are {what} of the {len(rows):,} people whose outcome is observed. Give "
            "each of them a weight above 0; whoever should not count has no outcome either."
        )
    return frozen_array(np.asarray(values / values.mean(), dtype=np.float64))


def _group(column: Any, name: str, rows: Ints, where: str) -> Ints:
    codes = read_factor_or_missing(column).codes[rows]
    lost = int((codes < 0).sum())
    if lost:
        raise DataError(
            f"{where}: the grouping {name!r} is missing for {count_of(lost, 'person', 'people')} of the {len(rows):,} "
            "whose outcome is observed. Fill it in, or leave the grouping out."
        )
    return _consecutive(codes.astype(np.int64))


def _by_arm(assignment: Assignment, keep: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(np.bincount(assignment.codes[keep], minlength=len(assignment.arms)).tolist())


def _consecutive(codes: Ints) -> Ints:
    """Renumber non-negative codes 0, 1, … in their order, leaving out those that do not occur."""
    if len(codes) == 0:
        return codes
    place = np.cumsum(np.bincount(codes) > 0) - 1
    return frozen_array(place[codes].astype(np.int64))


def covariate_matrix(
    columns: dict[str, Any], rows: Ints, *, where: str
) -> tuple[Floats, tuple[str, ...], tuple[str, ...]]:
    """Return covariates of the given rows as a matrix without gaps, its column names, and notes on filled gaps.

    A gap in a number is filled with the mean of the others and told by an indicator column (the missing-indicator
    method; Zhao & Ding 2024, "To adjust or not to adjust?", JASA 119); a gap in a category is a level of its own.
    Constant columns are left out with a note.
    """
    parts: list[Floats] = []
    names: list[str] = []
    notes: list[str] = []
    for name, column in columns.items():
        block, labels = (
            _categories(column, name, rows, where) if text_like(column) else _number(column, name, rows, where)
        )
        gaps = sum("(missing)" in label for label in labels)
        if gaps:
            filled = "" if text_like(column) else "filled with the mean, and "
            notes.append(f"covariate {name!r} has gaps: {filled}an indicator of missingness was added.")
        varies = np.ptp(block, axis=0) > 0 if len(rows) else np.zeros(len(labels), dtype=bool)
        if not varies.all():
            gone = ", ".join(repr(label) for label, keep in zip(labels, varies, strict=True) if not keep)
            notes.append(f"covariate {gone} does not vary and was left out.")
        parts.append(block[:, varies])
        names += [label for label, keep in zip(labels, varies, strict=True) if keep]
    matrix = np.concatenate(parts, axis=1) if parts else np.empty((len(rows), 0))
    return frozen_array(np.ascontiguousarray(matrix)), tuple(names), tuple(notes)


def _number(column: Any, name: str, rows: Ints, where: str) -> tuple[Floats, list[str]]:
    values = read_number(column, name, where=where)[rows]
    gap = np.isnan(values)
    if not gap.any():
        return values[:, None], [name]
    filled = np.where(gap, values[~gap].mean() if not gap.all() else 0.0, values)
    return np.column_stack([filled, gap.astype(np.float64)]), [name, f"{name} (missing)"]


def _categories(column: Any, name: str, rows: Ints, where: str) -> tuple[Floats, list[str]]:
    factor = read_factor_or_missing(column)
    refuse_decimal_commas(factor.levels, name, where=where)
    codes = factor.codes[rows]
    levels = [(i, f"{name}: {level}") for i, level in enumerate(factor.levels)][1:]
    if (codes < 0).any():
        levels.append((-1, f"{name} (missing)"))
    block: NDArray[np.float64] = (
        np.array([codes == i for i, _ in levels], dtype=np.float64).reshape(len(levels), len(rows)).T
    )
    return block, [label for _, label in levels]
