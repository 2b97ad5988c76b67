"""A prognostic score: what an earlier cohort says about the outcome to expect, frozen before the draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kokeilu._checks import count_of, name_list
from kokeilu._kernels.ridge import ridge
from kokeilu.core.protocols import Floats
from kokeilu.core.results import Rows, number_text, text_table
from kokeilu.core.table import read_columns, read_factor_or_missing, read_number, text_like
from kokeilu.errors import ColumnError, DataError, DesignError

__all__ = ["PrognosticScore", "prognostic_score"]

PAST = "the earlier cohort"
LEAST_PEOPLE = 10
RAREST = 5
"""Levels with fewer people in the earlier cohort get no coefficient of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One column of the regression: (value - centre) times the coefficient.

    `level` is None for the number itself, "" for "is missing", and else the level of a category that it indicates.
    """

    column: str
    level: str | None
    centre: float
    coefficient: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PrognosticScore(Rows):
    """A frozen rule that predicts an outcome from the covariates of a register.

    Attributes
    ----------
    outcome : str
    on : tuple of str
        Covariates.
    texts : tuple of str
        Those that are text or categories.
    terms : tuple of Term
    mean : float
        Mean outcome of the earlier cohort.
    people, unobserved : int
        Used, and left out because the outcome is missing.
    penalty : float
        Ridge penalty on standardised columns, by generalised cross-validation.
    r2, left_out_r2 : float
        Share of the variance explained in the earlier cohort: in the sample, and predicting each person from the others
        (at the same penalty). The second is what may be hoped for.
    """

    outcome: str
    on: tuple[str, ...]
    texts: tuple[str, ...]
    terms: tuple[Term, ...]
    mean: float
    people: int
    unobserved: int
    penalty: float
    r2: float
    left_out_r2: float

    def predict(self, table: object) -> Floats:
        """Return the score of each row of a register, shape (n,), in its row order: add it as a column.

        A missing number counts as the earlier cohort's mean, and a level that the cohort did not know as its average
        person.

        Raises
        ------
        ColumnError
            For a covariate that is absent, or numbers now and text then.
        """
        columns = _read(table, self.on, where="the register")
        for name in self.on:
            if (name in self.texts) != _is_text(columns[name]):
                kinds = ("text", "numbers") if name in self.texts else ("numbers", "text")
                raise ColumnError(f"the register: {name!r} was {kinds[0]} in the earlier cohort and is {kinds[1]} now.")
        score = np.full(len(next(iter(columns.values()))), self.mean)
        for term in self.terms:
            column = columns[term.column]
            values = _raw(column, term.level)
            counted = _counted(column, values, [t.level for t in self.terms if t.column == term.column])
            score += term.coefficient * np.where(counted, values - term.centre, 0.0)
        return score

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each term: covariate, level, coefficient in units of the outcome per unit, centre."""
        return [
            {
                "covariate": t.column,
                "level": "missing" if t.level == "" else t.level or "",
                "coefficient": t.coefficient,
                "centre": t.centre,
            }
            for t in self.terms
        ]

    def __str__(self) -> str:
        head = (
            f"Prognostic score for {self.outcome!r} from {count_of(self.people, 'person')}: R2 {number_text(self.r2)}, "
            f"predicting each from the others {number_text(self.left_out_r2)}."
        )
        return f"{head}\n{text_table(self.rows())}"


def prognostic_score(past: object, outcome: str, *, on: str | Sequence[str]) -> PrognosticScore:
    """Learn to predict an outcome from covariates on an earlier cohort.

    The cohort must be another than the one to be drawn, with its outcomes observed before the draw: a score learnt on
    the trial's own outcomes would make the design depend on them. Ridge regression; numbers enter as they are, with an
    indicator where some are missing, categories as indicators of their levels.

    Parameters
    ----------
    past : pandas, pyarrow or Arrow-capable table
        The earlier cohort. People without an observed outcome are left out and counted.
    outcome : str
        A column of numbers, or yes and no.
    on : str or sequence of str
        Covariates, which the register of the new trial must have too.

    Returns
    -------
    PrognosticScore
        ``score.predict(register)`` is a column for ``MatchedTuples(arms, score=...)``.

    Raises
    ------
    DesignError, ColumnError, DataError
        No covariates; a column absent or of the wrong kind; fewer than 10 people, or an outcome that does not vary.

    Notes
    -----
    Hansen (2008), "The prognostic analogue of the propensity score", Biometrika 95, 481-488. A poor score costs
    precision only; it never biases the comparison, because the draw is random within tuples.

    Examples
    --------
    >>> import kokeilu as kk
    >>> past = {"age": [20.0, 30.0, 40.0, 50.0] * 5, "earnings": [1.0, 2.0, 3.0, 4.0] * 5}
    >>> score = kk.prognostic_score(past, "earnings", on="age")
    >>> score.predict({"age": [20.0, 45.0]}).round(2).tolist()
    [1.0, 3.5]
    """
    names = name_list(on, name="on")
    if not names:
        raise DesignError("prognostic_score needs covariates in `on`.")
    if outcome in names:
        raise DesignError(f"{outcome!r} is both the outcome and a covariate. Leave it out of `on`.")
    y = read_number(read_columns(past, (outcome,), where=PAST)[outcome], outcome, where=PAST)
    seen = ~np.isnan(y)
    people = int(seen.sum())
    if people < LEAST_PEOPLE:
        raise DataError(
            f"the earlier cohort has {count_of(people, 'person')} with {outcome!r} observed; a score needs at least "
            f"{LEAST_PEOPLE}."
        )
    y = y[seen]
    mean = float(y.mean())
    if y.max() == y.min():
        raise DataError(f"{outcome!r} is the same for everybody in the earlier cohort, so nothing predicts it.")
    columns = {name: column[seen] for name, column in _read(past, names, where=PAST).items()}
    terms, table, spread = _terms(columns)
    fit = ridge(table / spread, y - mean)
    coefficients = (fit.coef / spread).tolist()
    return PrognosticScore(
        outcome=outcome,
        on=names,
        texts=tuple(name for name in names if _is_text(columns[name])),
        terms=tuple(
            Term(column=t.column, level=t.level, centre=t.centre, coefficient=c)
            for t, c in zip(terms, coefficients, strict=True)
        ),
        mean=mean,
        people=people,
        unobserved=len(seen) - people,
        penalty=fit.penalty,
        r2=fit.r2,
        left_out_r2=fit.left_out_r2,
    )


Column: TypeAlias = NDArray[Any]
"""Numbers with NaN, or text with "" where missing."""


def _read(table: object, names: tuple[str, ...], *, where: str) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    for name, array in read_columns(table, names, where=where).items():
        if text_like(array):
            factor = read_factor_or_missing(array)
            columns[name] = np.array([*factor.levels, ""])[factor.codes]
        else:
            columns[name] = read_number(array, name, where=where)
    return columns


def _is_text(column: Column) -> bool:
    return bool(column.dtype.kind == "U")


def _terms(columns: dict[str, Column]) -> tuple[list[Term], Floats, Floats]:
    """Return the terms, their centred columns (n, p) and the standard deviations of these (p,)."""
    terms: list[Term] = []
    table: list[Floats] = []
    for name, column in columns.items():
        known = _known_levels(column)
        for level in known:
            values = _raw(column, level)
            counted = _counted(column, values, known)
            centre = float(values[counted].mean()) if counted.any() else 0.0
            terms.append(Term(column=name, level=level, centre=centre))
            table.append(np.where(counted, values - centre, 0.0))
    stacked = np.stack(table, axis=1)
    spread = stacked.std(axis=0)
    return terms, stacked, np.where(spread > 0, spread, 1.0)


def _known_levels(column: Column) -> tuple[str | None, ...]:
    """Return the terms of a covariate: None for a number, "" for its missing values, else the levels."""
    if _is_text(column):
        names, counts = np.unique(column, return_counts=True)
        often = [str(name) for name, count in zip(names, counts, strict=True) if count >= RAREST]
        return tuple(often) or (str(names[int(counts.argmax())]),)
    missing = int(np.isnan(column).sum())
    return (None, "") if RAREST <= missing <= len(column) - RAREST else (None,)


def _raw(column: Column, level: str | None) -> Floats:
    """Return a term's column before it is centred: the number, or 1 and 0."""
    if _is_text(column):
        return np.asarray(column == level, dtype=np.float64)
    return np.asarray(column if level is None else np.isnan(column).astype(np.float64))


def _counted(column: Column, values: Floats, known: Sequence[str | None]) -> NDArray[np.bool_]:
    """Tell who has a value that the earlier cohort knew; the others count as its average person."""
    if _is_text(column):
        return np.isin(column, [level for level in known if level is not None])
    return ~np.isnan(values)
