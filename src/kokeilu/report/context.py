"""What every part of the report needs: the findings, the words, the numbers, and what is hidden."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kokeilu.report.counts import Counts, count_findings
from kokeilu.report.numbers import DASH, Numbers, numbers_in
from kokeilu.report.texts import Texts, texts_in

if TYPE_CHECKING:
    from kokeilu.plan.findings import Findings

__all__ = ["Context", "Scale", "context_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The unit in which an outcome is told: `factor` times its numbers, `unit` in words (may be empty)."""

    factor: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The findings with the words and numbers of one language and the counts that are hidden."""

    findings: Findings
    text: Texts
    numbers: Numbers
    counts: Counts

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms, the reference first."""
        return self.findings.assignment.arms.names

    @property
    def level(self) -> float:
        """Level of the intervals: 1 less the alpha of the plan's family."""
        return float(round(1 - self.findings.plan.family.alpha, 12))

    @property
    def percent_level(self) -> str:
        """Write the level of the intervals."""
        return self.percent(self.level)

    def percent(self, share: float) -> str:
        """Write a share as a percentage, with a decimal only where it needs one."""
        return self.numbers.percent(share, 0 if abs(100 * share - round(100 * share)) < 1e-9 else 1)

    @property
    def corrected(self) -> bool:
        """Whether several p-values are adjusted together; one alone is as it was."""
        return len(self.findings.family) > 1

    @property
    def mask(self) -> str:
        """What stands in a hidden cell."""
        return self.text("mask.cell")

    def count(self, *cell: str) -> str:
        """Write a count, or the mask."""
        value = self.counts.shown(*cell)
        return self.mask if value is None else self.numbers.whole(value)

    def scale(self, outcome: str) -> Scale:
        """Return the unit of an outcome: percentage points where the plan bounds it by 0 and 1 without a unit."""
        for registered in self.findings.plan.outcomes:
            if registered.name == outcome:
                share = not registered.unit and (registered.minimum, registered.maximum) == (0, 1)
                unit = self.text("unit.points") if share else registered.unit
                return Scale(factor=100.0 if share else 1.0, unit=unit)
        return Scale(factor=1.0, unit="")

    def is_points(self, unit: str) -> bool:
        """Return whether a unit is that of an outcome bounded by 0 and 1, which is told as a share."""
        return unit == self.text("unit.points")

    def label(self, outcome: str) -> str:
        """Return the description of an outcome in the plan, or its name."""
        told = (o.description for o in self.findings.plan.outcomes if o.name == outcome)
        return next(told, "") or outcome

    def range(self, low: float, high: float, decimals: int) -> str:
        """Write an interval."""
        if low != low or high != high:
            return DASH
        return self.text("number.range", low=self.numbers.fixed(low, decimals), high=self.numbers.fixed(high, decimals))


def context_of(findings: Findings, *, language: str, least_cell: int) -> Context:
    """Gather the words of a language and decide what is hidden."""
    text = texts_in(language)
    return Context(
        findings=findings, text=text, numbers=numbers_in(text), counts=count_findings(findings, least=least_cell)
    )
