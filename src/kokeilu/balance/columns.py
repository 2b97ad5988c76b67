"""Covariates as columns of numbers: a category has one for each level, and gaps are told by one of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kokeilu._checks import count_of, name_list
from kokeilu._kernels import imbalance
from kokeilu.core.assignment import Assignment
from kokeilu.core.lottery import shares_of
from kokeilu.core.protocols import Floats, Ints
from kokeilu.core.table import (
    level_text,
    read_columns,
    read_factor_or_missing,
    read_number,
    refuse_decimal_commas,
    text_like,
)
from kokeilu.core.view import locate
from kokeilu.errors import ColumnError, DataError, DesignError

__all__ = ["MISSING", "WHERE", "Covariates", "Part", "read_covariates", "share_weights"]

WHERE = "the table"
MISSING = "(missing)"
MOST_LEVELS = 500
SAME = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One column of numbers (n,), NaN where missing: a covariate, a level, or the indicator of missingness."""

    covariate: str
    level: str
    values: Floats

    @property
    def label(self) -> str:
        """The column and its level, for notes."""
        return f"{self.covariate}: {self.level}" if self.level else self.covariate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Covariates:
    """Covariates of everybody in the assignment.

    Attributes
    ----------
    parts : tuple of Part
    values : (n, p) array
        The parts side by side, NaN where missing.
    absent : (n,) bool array
        People without a row in the table.
    weights : (n,) array or None
        What a column of the table says each person counts for, with mean 1.
    """

    parts: tuple[Part, ...]
    values: Floats
    absent: np.ndarray[Any, np.dtype[np.bool_]]
    weights: Floats | None

    def filled(self) -> Floats:
        """Fill gaps with the mean: beside the indicator of missingness any constant gives the same test."""
        seen = ~np.isnan(self.values)
        if seen.all():
            return self.values
        means = np.where(seen, self.values, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
        return np.where(seen, self.values, means)

    def constant(self, strata: Ints) -> tuple[list[str], list[str]]:
        """Return the labels of what is the same for everybody, and for everybody in a stratum only."""
        filled = self.filled()
        kept = imbalance.centred_within(filled, strata)[1]
        varies = np.ptp(filled, axis=0) > 0.0
        still = [part.label for part, ok in zip(self.parts, varies, strict=True) if not ok]
        fixed = [part.label for part, ok, v in zip(self.parts, kept, varies, strict=True) if v and not ok]
        return still, fixed


def read_covariates(
    assignment: Assignment, table: object, on: Sequence[str] | str, *, verb: str, weights: str | None = None
) -> Covariates:
    """Read covariates in the order of the ids.

    Raises
    ------
    ColumnError, DataError, DesignError
        As in :func:`kokeilu.check_balance`.
    """
    names = _names(assignment, on, verb)
    if weights is not None and not isinstance(weights, str):
        raise ColumnError(f"weights names one column by text; got {type(weights).__name__}.")
    asked = (*names, *(() if weights is None or weights in names else (weights,)))
    columns = read_columns(table, asked, where=WHERE)
    spots = locate(assignment, table, where=WHERE)
    if not (spots >= 0).any():
        raise DataError(f"{WHERE} has no rows of people in the assignment. Pass the register that was drawn from.")
    parts = tuple(part for name in names for part in _parts(columns[name], name, spots))
    return Covariates(
        parts=parts,
        values=np.column_stack([part.values for part in parts]),
        absent=spots < 0,
        weights=None if weights is None else _weights(columns[weights], weights, spots),
    )


def _names(assignment: Assignment, on: Sequence[str] | str, verb: str) -> tuple[str, ...]:
    if not isinstance(assignment, Assignment):
        got = type(assignment).__name__
        raise DesignError(f"{verb} needs an assignment, from randomise or adopt; got {got}.")
    names = name_list(on, name="on")
    if not names:
        raise DesignError("on names no column; name the columns to compare the arms on.")
    if assignment.id_name in names:
        raise ColumnError(f"{assignment.id_name!r} is the id and no covariate. Take it out of on.")
    return names


def _weights(column: Any, name: str, spots: Ints) -> Floats:
    values = read_number(column, name, where=WHERE)[spots]
    here = spots >= 0
    lost, low = int(np.isnan(values[here]).sum()), int((values[here] <= 0.0).sum())
    if lost or low:
        what = f"missing for {count_of(lost, 'person', 'people')}" if lost else f"not above 0 for {low:,}"
        raise DataError(
            f"{WHERE}: the weights in {name!r} are {what} of the {int(here.sum()):,} people of the assignment. Give "
            "each of them a weight above 0, or leave those out of the table who should not count."
        )
    # Who has no row has no covariates, and only their absence is compared.
    return np.where(here, values / values[here].mean(), 1.0)


def _parts(column: Any, name: str, spots: Ints) -> Iterator[Part]:
    parts = list(_levels(column, name, spots) if text_like(column) else _number(column, name, spots))
    gaps = np.isnan(parts[0].values) if parts else np.ones(len(spots), dtype=bool)
    yield from parts
    if gaps.any():
        yield Part(name, MISSING, gaps.astype(np.float64))


def _number(column: Any, name: str, spots: Ints) -> Iterator[Part]:
    values = read_number(column, name, where=WHERE)
    yield Part(name, "", np.where(spots >= 0, values[spots], np.nan))


def _levels(column: Any, name: str, spots: Ints) -> Iterator[Part]:
    factor = read_factor_or_missing(column)
    refuse_decimal_commas(factor.levels, name, where=WHERE)
    declared = column.dictionary.to_pylist() if hasattr(column, "dictionary") else []
    levels = sorted({*factor.levels, *(level_text(value) for value in declared if value is not None)})
    if len(levels) > MOST_LEVELS:
        raise ColumnError(
            f"{WHERE}: column {name!r} is text with {len(levels):,} different values, too many to compare arms on "
            f"(at most {MOST_LEVELS}). Group them, or make the column numbers if that is what it holds."
        )
    codes = np.where(spots >= 0, factor.codes[spots], -1)
    place = {level: i for i, level in enumerate(factor.levels)}
    for level in levels:
        values = (codes == place.get(level, len(levels))).astype(np.float64)
        yield Part(name, level, np.where(codes >= 0, values, np.nan))


def share_weights(assignment: Assignment) -> Floats | None:
    """Return 1 / share of each person's own arm; None where the shares are the same for everybody."""
    shares = shares_of(assignment.lottery, assignment.stream("shares"))
    own = shares[np.arange(len(assignment)), assignment.codes]
    if (np.abs(shares - shares[0]) <= SAME).all() or not (own > 0.0).all():
        return None
    weights: Floats = own.mean() / own
    return weights
