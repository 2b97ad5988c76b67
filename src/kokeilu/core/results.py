"""Findings: frozen facts with one rows(); frame, Arrow and the printed table follow from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from kokeilu._checks import between, choice
from kokeilu.core.printing import cell_text, number_text, p_text, people_text, sentence, text_table, wrapped

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from kokeilu.core.joint import JointTest

__all__ = [
    "Estimate",
    "Estimates",
    "Rows",
    "TestResult",
    "cell_text",
    "number_text",
    "p_text",
    "sentence",
    "text_table",
    "wrapped",
]

_ALTERNATIVES = ("two-sided", "greater", "less")


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

    def shown(self) -> list[dict[str, Any]]:
        """Return the rows with the columns that are printed."""
        return self.rows()

    def remarks(self) -> tuple[str, ...]:
        """Return what is printed below the table."""
        return tuple(getattr(self, "notes", ()))

    def to_html(self) -> str:
        """Return what is printed as an HTML table, the notes below it."""
        from kokeilu.core.formats import html

        return html(self.shown(), self.remarks())

    def to_latex(self) -> str:
        r"""Return what is printed as a LaTeX table (needs ``\usepackage{booktabs}``)."""
        from kokeilu.core.formats import latex

        return latex(self.shown(), self.remarks())

    def to_markdown(self) -> str:
        """Return what is printed as a Markdown table."""
        from kokeilu.core.formats import markdown

        return markdown(self.shown(), self.remarks())

    def to_excel(self, path: str | PathLike[str]) -> None:
        """Write all rows to an .xlsx file; openpyxl or xlsxwriter must be installed."""
        import pandas as pd

        from kokeilu.core.formats import excel_rows, write_excel

        write_excel(pd.DataFrame(excel_rows(self.rows())), path)

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
        The effect and its standard error, in units of the outcome or on `scale`.
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
        Mean outcome in the reference arm, in units of the outcome whatever the scale of the effect.
    absent : mapping of arm to number of people, or None
        Of the missing, those who do not stand in the outcomes table; the others have no value there.
    scale : str
        Of the effect: "" for the outcome's own units, or such as "log ratio" and "log odds ratio".
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
    absent: Mapping[str, int] | None = None
    scale: str = ""

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
                **({"scale": self.scale} if self.scale else {}),
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
    """Several estimates in order.

    Attributes
    ----------
    items : tuple of Estimate
    covariance : float64 array, shape (items, items), or None
        Of the effects, where they come from one model.
    joint_dof : float or None
        Degrees of freedom behind the covariance (eta where `hotelling`); None for the normal distribution.
    hotelling : bool
        Whether the covariance under Satterthwaite's rule calls for HTZ.
    joint_reason : str
        How all are tested at once; or why they cannot be.
    """

    items: tuple[Estimate, ...]
    covariance: NDArray[np.float64] | None = field(default=None, compare=False, repr=False, kw_only=True)
    joint_dof: float | None = field(default=None, repr=False, kw_only=True)
    hotelling: bool = field(default=False, repr=False, kw_only=True)
    joint_reason: str = field(default="", repr=False, kw_only=True)

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Estimate]:
        return iter(self.items)

    @overload
    def __getitem__(self, index: int) -> Estimate: ...
    @overload
    def __getitem__(self, index: slice) -> Estimates: ...
    def __getitem__(self, index: int | slice) -> Estimate | Estimates:
        if not isinstance(index, slice):
            return self.items[index]
        part = Estimates(self.items[index], joint_reason=self.joint_reason)
        # eta belongs to all contrasts together: a part of them has another.
        if self.covariance is None:
            return part
        if self.hotelling and len(part) < len(self):
            return replace(part, joint_reason="a part of the contrasts has degrees of freedom of its own")
        kept = self.covariance[index, index]
        return replace(part, covariance=kept, joint_dof=self.joint_dof, hotelling=self.hotelling)

    def joint(self) -> JointTest:
        """Test that all effects are nought at once (HTZ, F or chi-square).

        Returns
        -------
        JointTest

        Raises
        ------
        EstimationError
            Estimates of different models or outcomes, or too few degrees of freedom for so many contrasts.
        """
        from kokeilu.core.joint import joint_test

        return joint_test(self)

    def rows(self, level: float = 0.95) -> list[dict[str, Any]]:
        """Return one row for each estimate; all rows have the same keys."""
        rows = [estimate.rows(level)[0] for estimate in self.items]
        names = list(dict.fromkeys(name for row in rows for name in row))
        head = [name for name in ("kind", "outcome", "contrast", "scale") if name in names]
        return [{name: row.get(name) for name in [*head, *(n for n in names if n not in head)]} for row in rows]

    def mark(self, *, registered: bool) -> Estimates:
        """Return the estimates marked registered or exploratory (for the plan runner)."""
        return replace(self, items=tuple(replace(item, registered=registered) for item in self.items))

    def __str__(self) -> str:
        shown = [{k: v for k, v in row.items() if k not in ("level", "estimator", "variance")} for row in self.rows()]
        return "\n".join([text_table(shown), *wrapped(_footnotes(self.items))])


def _footnotes(items: Sequence[Estimate]) -> list[str]:
    lines: list[str] = []
    for outcome in dict.fromkeys(item.outcome for item in items):
        mine = [item for item in items if item.outcome == outcome]
        told = [_told(item) for item in mine]
        for item, own in zip(mine, told, strict=True):
            # What holds for some contrasts only names them.
            pair = f"{outcome}, {item.arm} - {item.reference}"
            lines += [f"{outcome if all(line in other for other in told) else pair}: {line}" for line in own]
    return list(dict.fromkeys(lines))


def _told(item: Estimate) -> list[str]:
    counts = people_text(item.n, item.missing, item.absent)
    return [
        f"{item.estimator}, {item.variance}. {sentence(item.reason)}",
        f"{counts}. Mean under {item.reference!r}: {number_text(item.reference_mean)}.",
        *item.notes,
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult(Rows):
    """A test by redrawing the lottery, or by resampling.

    Attributes
    ----------
    name, outcome, arm, reference : str
    statistic : float
        Observed statistic.
    p_value : float
        Exact over all assignments, or (1 + hits) / (1 + draws).
    draws : int
        Redraws, or the number of all assignments when `exact`; 0 where an exact law took none.
    exact : bool
    p_error : float
        Monte Carlo standard error of the p-value; 0 when exact.
    p_low, p_high : float
        99 % Clopper-Pearson bounds of the p-value that infinitely many redraws would give.
    interval : (float, float) or None
        Effects not rejected at 1 - `level`, by inversion.
    value, p_strict : float or None
        The estimated effect, and the p-value without ties (`p_value` counts them), where the test tells them.
    n, missing, absent : mapping of arm to number of people
        Used; without an observed outcome; of these not in the outcomes table (or None).
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
    value: float | None = None
    p_strict: float | None = None
    absent: Mapping[str, int] | None = None

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
                **({} if self.value is None else {"effect": self.value}),
                "statistic": self.statistic,
                "p": self.p_value,
                **({} if self.p_strict is None else {"p_strict": self.p_strict}),
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
        people = f"{people_text(self.n, self.missing, self.absent)}." if self.n else ""
        told = (sentence(self.reason), people, *self.notes)
        return "\n".join([text_table(self.rows()), *wrapped(line for line in told if line)])
