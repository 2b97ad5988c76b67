"""The findings on attrition, and how they print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kokeilu.balance.models import ModelTest
from kokeilu.balance.rows import test_line
from kokeilu.core.results import Rows, TestResult, text_table, wrapped

__all__ = ["Attrition", "AttritionArm", "AttritionRow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttritionArm:
    """One arm: how many have the outcome, and the difference from the reference; None for the reference itself.

    Attributes
    ----------
    arm : str
    assigned, not_in_table, value_missing, used : int
        People: drawn to the arm, without a row, with a row but no value, and with the outcome.
    rate : float
        Share with the outcome, weighted by 1/share where shares differ.
    difference, error : float or None
        Of the share from the reference arm's, beside stratum effects; HC2, or CR2 where clusters were drawn.
    detectable : float or None
        The difference that this trial finds in 80 of 100 cases: 2.8 standard errors.
    trim_share : float or None
        Lee's: the share of the observed outcomes of `trimmed` that is cut for the bounds.
    trimmed : str or None
        The arm with the higher rate.
    lee_low, lee_high : float or None
        Bounds of the effect on those whose outcome is observed in either arm, if the arm moves response one way only.
    worst_low, worst_high : float or None
        Bounds whoever is missing and why, where the limits of the outcome are given.
    """

    arm: str
    assigned: int
    not_in_table: int
    value_missing: int
    used: int
    rate: float
    difference: float | None = None
    error: float | None = None
    detectable: float | None = None
    trim_share: float | None = None
    trimmed: str | None = None
    lee_low: float | None = None
    lee_high: float | None = None
    worst_low: float | None = None
    worst_high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttritionRow:
    """One covariate, or level: its mean by arm among those with the outcome (`stayed`) and without it (`left`)."""

    covariate: str
    level: str
    stayed: Mapping[str, float | None]
    left: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attrition(Rows):
    """Who has no outcome, by arm.

    Attributes
    ----------
    outcome : str
    arms : tuple of AttritionArm
    lines : tuple of AttritionRow
    joint : TestResult
        That no arm changes who has the outcome, from the shares by arm; by redraws of the lottery.
    interactions : TestResult or None
        The same from the covariates of those who have it: whether other kinds of people drop out in one arm.
    levels_model, interactions_model : ModelTest or None
        The same by regression: F of the arms, and of arm x covariate, on response.
    notes : tuple of str
    """

    outcome: str
    arms: tuple[AttritionArm, ...]
    lines: tuple[AttritionRow, ...]
    joint: TestResult
    interactions: TestResult | None
    levels_model: ModelTest | None
    interactions_model: ModelTest | None
    notes: tuple[str, ...]

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each arm."""
        names: tuple[str, ...] = (
            "assigned",
            "not_in_table",
            "value_missing",
            "used",
            "rate",
            "difference",
            "error",
            "detectable",
        )
        names += ("trim_share", "trimmed", "lee_low", "lee_high")
        names += ("worst_low", "worst_high") if any(one.worst_low is not None for one in self.arms) else ()
        return [{"arm": one.arm} | {name: getattr(one, name) for name in names} for one in self.arms]

    def covariate_rows(self) -> list[dict[str, Any]]:
        """Return one row for each covariate: means of those with and without the outcome, by arm."""
        return [
            {"covariate": line.covariate, "level": line.level}
            | {f"with {arm}": value for arm, value in line.stayed.items()}
            | {f"without {arm}": value for arm, value in line.left.items()}
            for line in self.lines
        ]

    def __str__(self) -> str:
        rows = self.rows()
        account = ("assigned", "not_in_table", "value_missing", "used", "rate", "difference", "error", "detectable")
        parts = [text_table([{k: row[k] for k in ("arm", *account)} for row in rows])]
        bounds = [{k: v for k, v in row.items() if k not in account} for row in rows[1:]]
        parts += [f"\nBounds of the effect on {self.outcome!r}, as far as missing outcomes leave it open:"]
        parts += [text_table(bounds)]
        if self.lines:
            parts += [f"\nMeans of those with and without {self.outcome!r}:", text_table(self.covariate_rows())]
        tests = [test_line(one) for one in (self.joint, self.interactions) if one is not None]
        return "\n".join([*parts, "", *wrapped([*tests, *self.notes])])
