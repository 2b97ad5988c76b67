"""The balance table and its one p-value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kokeilu._checks import count_of, name_list, positive_int
from kokeilu._kernels import imbalance
from kokeilu.balance.omnibus import omnibus_test
from kokeilu.core.assignment import Assignment
from kokeilu.core.lottery import cells_of, shares_of
from kokeilu.core.protocols import Cells, Floats, Ints
from kokeilu.core.results import Rows, TestResult, p_text, text_table, wrapped
from kokeilu.core.table import level_text, read_columns, read_factor_or_missing, read_number, text_like
from kokeilu.core.view import locate
from kokeilu.errors import ColumnError, DataError, DesignError

__all__ = ["Balance", "BalanceRow", "check_balance"]

WHERE = "the table"
MISSING = "(missing)"
MOST_LEVELS = 500
SAME = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceRow:
    """One covariate, or one level of a category, by arm.

    Attributes
    ----------
    covariate, level : str
        `level` is "" for a number and "(missing)" for the indicator of a missing value.
    n, missing : mapping of arm to number of people
        Observed, and assigned but not observed.
    means, sds : mapping of arm to float
        Mean (the share, for a level) and standard deviation with n - 1; None where undefined.
    std_differences : mapping of arm to float or None
        Difference from the reference arm over sqrt((s_k^2 + s_0^2) / 2); None for the reference.
    adjusted_differences : mapping of arm to float or None
        Difference from the reference arm within strata, weighted by h = n_1 n_0 / (n_1 + n_0); None for the reference.
    """

    covariate: str
    level: str
    n: Mapping[str, int]
    missing: Mapping[str, int]
    means: Mapping[str, float | None]
    sds: Mapping[str, float | None]
    std_differences: Mapping[str, float | None]
    adjusted_differences: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance(Rows):
    """Covariates by arm and one omnibus test.

    Attributes
    ----------
    arms : tuple of str
        The reference first.
    lines : tuple of BalanceRow
    omnibus : TestResult
        Of all lines together, by redraws of the lottery.
    notes : tuple of str
    """

    arms: tuple[str, ...]
    lines: tuple[BalanceRow, ...]
    omnibus: TestResult
    notes: tuple[str, ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each line; differences are named after the arm where there are several."""
        return [self._row(line) for line in self.lines]

    def _row(self, line: BalanceRow) -> dict[str, Any]:
        row: dict[str, Any] = {"covariate": line.covariate, "level": line.level}
        row |= {"n": sum(line.n.values()), "missing": sum(line.missing.values())}
        row |= {f"mean {arm}": line.means[arm] for arm in self.arms}
        reference = line.means[self.arms[0]]
        for arm in self.arms[1:]:
            tail = "" if len(self.arms) == 2 else f" {arm}"
            mean = line.means[arm]
            row[f"difference{tail}"] = None if mean is None or reference is None else mean - reference
            row[f"std_difference{tail}"] = line.std_differences[arm]
            row[f"adjusted_difference{tail}"] = line.adjusted_differences[arm]
        return row

    def __str__(self) -> str:
        hidden = ("difference", "adjusted_difference")
        shown = [{k: v for k, v in row.items() if k.split(" ")[0] not in hidden} for row in self.rows()]
        test = self.omnibus
        counted = "exact" if test.exact else f"Monte Carlo error {test.p_error:.3f}"
        head = f"Omnibus balance test: p = {p_text(test.p_value)} ({test.draws:,} draws, {counted}). {test.reason}"
        return "\n".join([text_table(shown), *wrapped([head, *test.notes, *self.notes])])


def check_balance(assignment: Assignment, table: object, *, on: Sequence[str] | str, draws: int = 999) -> Balance:
    """Compare the arms in what was known before the draw.

    Categories have a row for every level. Missing values are counted by arm, and being missing is tested like a
    covariate; nothing and nobody is dropped. One p-value stands for all rows together; it comes from redraws of the
    lottery that was used, so that strata, clusters, several arms and unequal shares are respected.

    Parameters
    ----------
    assignment : Assignment
    table : pandas, pyarrow or Arrow-capable table
        With the id column of the assignment; people without a row count as missing.
    on : sequence of str
        Columns measured before the draw: numbers, or text (categories).
    draws : int
        Redraws for the p-value, where the assignments are too many to go through.

    Returns
    -------
    Balance

    Raises
    ------
    ColumnError
        For a column that is absent or of no use, such as text with more than 500 levels.
    DataError
        For an empty table, infinite values, repeated ids or people never assigned.
    DesignError
        For something that is no assignment, or no columns.

    Examples
    --------
    >>> import kokeilu as kk
    >>> people = {"id": list(range(8)), "age": [31, 25, 44, 52, 38, 29, 60, 47]}
    >>> trial = kk.randomise(people, kk.Complete(kk.arms(control=1, coaching=1)), id="id", seed="example")
    >>> kk.check_balance(trial, people, on="age").omnibus.draws
    70
    """
    names = _names(assignment, on)
    positive_int(draws, name="draws")
    columns = read_columns(table, names, where=WHERE)
    spots = locate(assignment, table, where=WHERE)
    if not (spots >= 0).any():
        raise DataError(f"{WHERE} has no rows of people in the assignment. Pass the register that was drawn from.")
    parts = [part for name in names for part in _parts(columns[name], name, spots)]
    values = np.column_stack([part.values for part in parts])
    cells = cells_of(assignment.lottery)
    lines = _lines(assignment, parts, values, cells)
    absent = np.bincount(assignment.codes[spots < 0], minlength=len(assignment.arms))
    missing = {arm: int(n) for arm, n in zip(assignment.arms.names, absent, strict=True)}
    omnibus = omnibus_test(assignment, _filled(values), draws=draws, missing=missing)
    notes = tuple(_notes(assignment, parts, values, cells, int(absent.sum())))
    return Balance(arms=assignment.arms.names, lines=lines, omnibus=omnibus, notes=notes)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One column of numbers, NaN where missing: a covariate, a level, or the indicator of missingness."""

    covariate: str
    level: str
    values: Floats

    @property
    def label(self) -> str:
        """The column and its level, for notes."""
        return f"{self.covariate}: {self.level}" if self.level else self.covariate


def _names(assignment: Assignment, on: Sequence[str] | str) -> tuple[str, ...]:
    if not isinstance(assignment, Assignment):
        got = type(assignment).__name__
        raise DesignError(f"check_balance needs an assignment, from randomise or adopt; got {got}.")
    names = name_list(on, name="on")
    if not names:
        raise DesignError("on names no column; name the columns to compare the arms on.")
    if assignment.id_name in names:
        raise ColumnError(f"{assignment.id_name!r} is the id and no covariate. Take it out of on.")
    return names


def _parts(column: Any, name: str, spots: Ints) -> Iterator[_Part]:
    parts = list(_levels(column, name, spots) if text_like(column) else _number(column, name, spots))
    gaps = np.isnan(parts[0].values) if parts else np.ones(len(spots), dtype=bool)
    yield from parts
    if gaps.any():
        yield _Part(name, MISSING, gaps.astype(np.float64))


def _number(column: Any, name: str, spots: Ints) -> Iterator[_Part]:
    values = read_number(column, name, where=WHERE)
    yield _Part(name, "", np.where(spots >= 0, values[spots], np.nan))


def _levels(column: Any, name: str, spots: Ints) -> Iterator[_Part]:
    factor = read_factor_or_missing(column)
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
        yield _Part(name, level, np.where(codes >= 0, values, np.nan))


def _filled(values: Floats) -> Floats:
    """Fill gaps with the mean of the column: beside the indicator of missingness any constant gives the same test."""
    seen = ~np.isnan(values)
    means = np.where(seen, values, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    return np.where(seen, values, means)


def _weights(assignment: Assignment) -> Floats | None:
    """Return 1 / share of each person's own arm; None where the shares are the same for everybody."""
    shares = shares_of(assignment.lottery, assignment.stream("shares"))
    own = shares[np.arange(len(assignment)), assignment.codes]
    if (np.abs(shares - shares[0]) <= SAME).all() or not (own > 0.0).all():
        return None
    weights: Floats = own.mean() / own
    return weights


def _lines(assignment: Assignment, parts: list[_Part], values: Floats, cells: Cells) -> tuple[BalanceRow, ...]:
    names, codes = assignment.arms.names, assignment.codes
    # Centred columns: sums of squares of the raw ones would cancel.
    middle = np.where(np.isnan(values), 0.0, values).mean(axis=0)
    table = imbalance.arm_moments(values - middle, codes, len(names), _weights(assignment))
    smd = imbalance.standardised_differences(table)
    adjusted = imbalance.adjusted_differences(values - middle, codes, cells.strata, len(names))
    drawn = np.bincount(codes, minlength=len(names))

    def by_arm(numbers: Floats) -> dict[str, float | None]:
        return {arm: None if np.isnan(x) else float(x) for arm, x in zip(names, numbers, strict=True)}

    return tuple(
        BalanceRow(
            covariate=part.covariate,
            level=part.level,
            n={arm: int(k) for arm, k in zip(names, table.seen[:, j], strict=True)},
            missing={arm: int(k) for arm, k in zip(names, drawn - table.seen[:, j], strict=True)},
            means=by_arm(table.mean[:, j] + middle[j]),
            sds=by_arm(table.sd[:, j]),
            std_differences=by_arm(smd[:, j]),
            adjusted_differences=by_arm(adjusted[:, j]),
        )
        for j, part in enumerate(parts)
    )


def _notes(assignment: Assignment, parts: list[_Part], values: Floats, cells: Cells, absent: int) -> Iterator[str]:
    yield "std_difference: difference from the reference arm over the square root of the two arms' average variance."
    if absent:
        yield f"{count_of(absent, 'person has', 'people have')} no row in the table and count as missing."
    if _weights(assignment) is not None:
        yield "shares differ between people: means are weighted by 1/share."
    if cells.clusters is not None and cells.whole:
        yield "rows are of people; whole clusters were drawn, and the omnibus test redraws clusters."
    filled = _filled(values)
    kept = imbalance.centred_within(filled, cells.strata)[1]
    varies = np.ptp(filled, axis=0) > 0.0
    still = [part.label for part, ok in zip(parts, varies, strict=True) if not ok]
    fixed = [part.label for part, ok, spread in zip(parts, kept, varies, strict=True) if spread and not ok]
    if still:
        yield f"the same for everybody, hence not tested: {', '.join(still)}."
    if fixed:
        yield f"the same for everybody in a stratum, so the draw cannot make them differ: {', '.join(fixed)}."
