"""Findings: frozen facts with one rows(); frame, Arrow and the printed table follow from it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from scipy import stats

from kokeilu._checks import between, choice

if TYPE_CHECKING:
    import pandas
    import pyarrow

__all__ = ["Estimate", "Estimates", "Rows", "TestResult", "number_text", "p_text", "sentence", "text_table", "wrapped"]

PAGE = 120
_ALTERNATIVES = ("two-sided", "greater", "less")


def number_text(value: object) -> str:
    """Write a cell: two to four decimals by the size of a number, a dash for nothing."""
    if value is None or (isinstance(value, (float, np.floating)) and np.isnan(value)):
        return "-"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return f"{int(value):,}"
    if isinstance(value, (float, np.floating)):
        return _decimal_text(float(value))
    return str(value)


def _decimal_text(value: float) -> str:
    size = abs(value)
    if size >= 100 and value == round(value):
        return f"{value:,.0f}"
    if size < 1e-12:
        return "0.0000"
    if size < 0.00005:
        return f"{value:.1e}"
    return f"{value:,.{2 if size >= 100 else 3 if size >= 10 else 4}f}"


def p_text(value: float) -> str:
    """Write a p-value: three decimals, rounded, and never 0."""
    return "<0.001" if value < 0.0005 else f"{value:.3f}"


def sentence(text: str) -> str:
    """Return the text with a capital first letter."""
    return text[:1].upper() + text[1:]


def wrapped(lines: Iterable[str]) -> list[str]:
    """Return lines of text folded at the width of a page, the folds set in."""
    return [textwrap.fill(line, PAGE, subsequent_indent="  ", break_long_words=False) for line in lines]


def text_table(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows as an aligned table: text to the left, numbers to the right."""
    if not rows:
        return "(no rows)"
    names = list(rows[0])
    cells = [[_cell(name, value) for name, value in row.items()] for row in rows]
    left = [all(isinstance(row[n], str) or row[n] is None for row in rows) for n in names]
    widths = [max(len(name), *(len(line[i]) for line in cells)) for i, name in enumerate(names)]
    lines = [names, ["-" * width for width in widths], *cells]
    return "\n".join(
        "  ".join(
            c.ljust(w) if is_left else c.rjust(w) for c, w, is_left in zip(line, widths, left, strict=True)
        ).rstrip()
        for line in lines
    )


def _cell(name: str, value: object) -> str:
    is_p = name in ("p", "adjusted_p") and isinstance(value, float) and not np.isnan(value)
    return p_text(value) if is_p else number_text(value)  # type: ignore[arg-type]


class Rows:
    """Views that follow from rows(): mixed into findings, never named in an annotation of a caller."""

    __slots__ = ()

    def rows(self) -> list[dict[str, Any]]:
        """Return the finding as plain rows."""
        raise NotImplementedError

    def to_frame(self) -> pandas.DataFrame:
        """Return the rows as a pandas DataFrame."""
        import pandas as pd

        return pd.DataFrame(self.rows())

    def to_arrow(self) -> pyarrow.Table:
        """Return the rows as a pyarrow Table."""
        from kokeilu.core.table import rows_to_arrow

        return rows_to_arrow(self.rows())

    def __str__(self) -> str:
        return text_table(self.rows())


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate(Rows):
    """Facts about one contrast of one outcome.

    Attributes
    ----------
    outcome, arm, reference : str
        What was compared: mean under `arm` less mean under `reference`.
    value, error : float
        The effect and its standard error, in units of the outcome.
    dof : float or None
        Degrees of freedom of the t reference; None means the normal distribution.
    estimator, variance, reason : str
        How, and why so.
    n, missing : mapping of arm to number of people
        Used, and assigned but without an observed outcome, for every arm of the trial.
    clusters : int or None
        Number of clusters used in the two arms.
    registered : bool or None
        True or False once a plan has said so; set by the plan runner only.
    adjusted_p : float or None
        The p-value adjusted over a registered family; set by the plan runner only.
    notes : tuple of str
    reference_mean : float
        Mean outcome in the reference arm, for scale.
    """

    outcome: str
    arm: str
    reference: str
    value: float
    error: float
    dof: float | None
    estimator: str
    variance: str
    reason: str
    n: Mapping[str, int]
    missing: Mapping[str, int]
    clusters: int | None = None
    registered: bool | None = None
    adjusted_p: float | None = None
    notes: tuple[str, ...] = ()
    reference_mean: float = float("nan")

    @property
    def statistic(self) -> float:
        """Effect over standard error."""
        return self.value / self.error

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the two-sided confidence interval of this level."""
        between(level, 0, 1, name="level")
        reach = self.error * float(self._law().ppf(0.5 + level / 2))
        return self.value - reach, self.value + reach

    def p_value(self, null: float = 0.0, alternative: str = "two-sided") -> float:
        """Return the p-value of the hypothesis that the effect equals `null`."""
        choice(alternative, _ALTERNATIVES, name="alternative")
        t = (self.value - null) / self.error
        law = self._law()
        if alternative == "two-sided":
            return float(2 * law.sf(abs(t)))
        return float(law.sf(t) if alternative == "greater" else law.cdf(t))

    def _law(self) -> Any:
        return stats.norm() if self.dof is None else stats.t(self.dof)

    def rows(self, level: float = 0.95) -> list[dict[str, Any]]:
        """Return one row; `low` and `high` bound the interval of this level."""
        low, high = self.interval(level)
        kind = {None: {}, True: {"kind": "registered"}, False: {"kind": "exploratory"}}[self.registered]
        adjusted = {} if self.adjusted_p is None else {"adjusted_p": self.adjusted_p}
        return [
            {
                **kind,
                "outcome": self.outcome,
                "contrast": f"{self.arm} - {self.reference}",
                "effect": self.value,
                "error": self.error,
                "low": low,
                "high": high,
                "level": level,
                "dof": self.dof,
                "p": self.p_value(),
                **adjusted,
                "n": self.n[self.arm] + self.n[self.reference],
                "missing": self.missing[self.arm] + self.missing[self.reference],
                "estimator": self.estimator,
                "variance": self.variance,
            }
        ]

    def __str__(self) -> str:
        return str(Estimates((self,)))


@dataclass(frozen=True, slots=True)
class Estimates(Rows, Sequence[Estimate]):
    """Several estimates in order."""

    items: tuple[Estimate, ...]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Estimate]:
        return iter(self.items)

    @overload
    def __getitem__(self, index: int) -> Estimate: ...
    @overload
    def __getitem__(self, index: slice) -> Estimates: ...
    def __getitem__(self, index: int | slice) -> Estimate | Estimates:
        return Estimates(self.items[index]) if isinstance(index, slice) else self.items[index]

    def rows(self, level: float = 0.95) -> list[dict[str, Any]]:
        """Return one row for each estimate; all rows have the same keys."""
        rows = [estimate.rows(level)[0] for estimate in self.items]
        names = list(dict.fromkeys(name for row in rows for name in row))
        head = [name for name in ("kind", "outcome", "contrast") if name in names]
        return [{name: row.get(name) for name in [*head, *(n for n in names if n not in head)]} for row in rows]

    def mark(self, *, registered: bool) -> Estimates:
        """Return the estimates marked registered or exploratory (for the plan runner)."""
        return Estimates(tuple(replace(item, registered=registered) for item in self.items))

    def __str__(self) -> str:
        shown = [{k: v for k, v in row.items() if k not in ("level", "estimator", "variance")} for row in self.rows()]
        return "\n".join([text_table(shown), *wrapped(_footnotes(self.items))])


def _footnotes(items: Sequence[Estimate]) -> list[str]:
    lines: list[str] = []
    for item in items:
        lines.append(f"{item.outcome}: {item.estimator}, {item.variance}. {sentence(item.reason)}")
        counts = "; ".join(f"{arm!r} {item.n[arm]:,} used, {item.missing[arm]:,} missing" for arm in item.n)
        lines.append(f"{item.outcome}: {counts}. Mean under {item.reference!r}: {number_text(item.reference_mean)}.")
        lines += [f"{item.outcome}: {note}" for note in item.notes]
    return list(dict.fromkeys(lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult(Rows):
    """A test by redrawing the lottery.

    Attributes
    ----------
    name, outcome, arm, reference : str
    statistic : float
        Observed statistic.
    p_value : float
        Exact over all assignments, or (1 + hits) / (1 + draws).
    draws : int
        Redraws, or the number of all assignments when `exact`.
    exact : bool
    p_error : float
        Monte Carlo standard error of the p-value; 0 when exact.
    p_low, p_high : float
        99 % Clopper-Pearson bounds of the p-value that infinitely many redraws would give.
    interval : (float, float) or None
        Effects not rejected at 1 - `level`, by inversion.
    """

    __test__ = False

    name: str
    outcome: str
    arm: str
    reference: str
    statistic: float
    p_value: float
    draws: int
    exact: bool
    p_error: float = 0.0
    p_low: float = float("nan")
    p_high: float = float("nan")
    interval: tuple[float, float] | None = None
    level: float = 0.95
    n: Mapping[str, int]
    missing: Mapping[str, int]
    reason: str = ""
    registered: bool | None = None
    adjusted_p: float | None = None
    notes: tuple[str, ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """Return one row."""
        low, high = self.interval or (None, None)
        kind = {None: {}, True: {"kind": "registered"}, False: {"kind": "exploratory"}}[self.registered]
        adjusted = {} if self.adjusted_p is None else {"adjusted_p": self.adjusted_p}
        return [
            {
                **kind,
                "outcome": self.outcome,
                "contrast": f"{self.arm} - {self.reference}" if self.arm else "",
                "test": self.name,
                "statistic": self.statistic,
                "p": self.p_value,
                **adjusted,
                "p_error": self.p_error,
                "draws": self.draws,
                "exact": self.exact,
                "low": low,
                "high": high,
                "n": sum(self.n.values()),
                "missing": sum(self.missing.values()),
            }
        ]

    def __str__(self) -> str:
        return "\n".join([text_table(self.rows()), *wrapped([*([self.reason] if self.reason else []), *self.notes])])
