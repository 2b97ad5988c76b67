"""Every count of people that the report can show, with the relations between them, and which are hidden."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from kokeilu.report.disclosure import Cell, Sum, hidden_cells, small, small_share

if TYPE_CHECKING:
    from kokeilu.balance.table import Balance, BalanceRow
    from kokeilu.core.results import Estimate, TestResult
    from kokeilu.plan.findings import Findings

__all__ = ["MISSING", "Counts", "contrast_cell", "count_findings", "is_share", "level_cell", "pair_of"]

MISSING = "(missing)"
"""The level by which a balance check tells who has no value."""
_SLACK = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Counts by cell, the relations that a reader knows, and the cells that are hidden.

    Attributes
    ----------
    counts : mapping of cell to count
    sums : tuple of Sum
    hidden : frozenset of cells
    bare : frozenset of str
        Outcomes whose means are hidden, because one of them tells of a small count.
    least : int
        The smallest count above 0 that is shown.
    """

    counts: Mapping[Cell, int]
    sums: tuple[Sum, ...]
    hidden: frozenset[Cell]
    bare: frozenset[str]
    least: int

    def shown(self, *cell: str) -> int | None:
        """Return a count, or None where it is hidden."""
        return None if cell in self.hidden else self.counts[cell]

    def hides(self, *cell: str) -> bool:
        """Return whether a count exists and is hidden."""
        return cell in self.hidden

    def hides_any_of(self, outcome: str) -> bool:
        """Return whether any count of people with or without this outcome (or "balance ...") is hidden."""
        return any(cell[1:2] and cell[1].startswith(outcome) for cell in self.hidden)

    def few(self, numbers: Mapping[str, int]) -> bool:
        """Return whether an arm has so few people that nothing computed from them is shown."""
        return any(small(n, self.least) for n in numbers.values())


@dataclass(slots=True)
class _Ledger:
    counts: dict[Cell, int] = field(default_factory=dict)
    sums: dict[Sum, None] = field(default_factory=dict)

    def total(self, cell: Cell, parts: Mapping[Cell, int]) -> None:
        self.counts.update(parts)
        self.counts[cell] = sum(parts.values())
        self.sums[Sum(cell, tuple(parts))] = None


def count_findings(findings: Findings, *, least: int) -> Counts:
    """Count the people of the findings and decide what is hidden."""
    ledger = _Ledger()
    ledger.total(("people",), {("assigned", arm): n for arm, n in findings.assignment.counts().items()})
    for outcome, account in findings.accounts:
        numbers = zip(account.arms, account.assigned, account.linked, account.observed, strict=True)
        for arm, assigned, linked, observed in numbers:
            inner: dict[Cell, int] = {("used", outcome, arm): observed, ("blank", outcome, arm): linked - observed}
            outer: dict[Cell, int] = {("linked", outcome, arm): linked, ("absent", outcome, arm): assigned - linked}
            ledger.total(("linked", outcome, arm), inner)
            ledger.total(("assigned", arm), outer)
    for finding in (*findings.estimates, *findings.exploratory, *findings.tests):
        _count_contrast(ledger, finding)
    if findings.balance is not None:
        _count_balance(ledger, findings.balance)
    sums = tuple(ledger.sums)
    return Counts(
        counts=ledger.counts,
        sums=sums,
        hidden=hidden_cells(ledger.counts, sums, least=least),
        bare=_bare_outcomes(findings, least),
        least=least,
    )


def pair_of(finding: Estimate | TestResult) -> tuple[str, ...]:
    """Return the arms of a contrast; all arms where a test compares them together."""
    return (finding.arm, finding.reference) if finding.arm else tuple(finding.n)


def _count_contrast(ledger: _Ledger, finding: Estimate | TestResult) -> None:
    used: dict[Cell, int] = {}
    missing: dict[Cell, int] = {}
    for arm in pair_of(finding):
        n = finding.n[arm]
        cell: Cell = ("used", finding.outcome, arm)
        known = ledger.counts.get(cell)
        if known is not None and known > n:
            fewer, rest = ("used", finding.outcome, arm, str(n)), ("level", finding.outcome, arm, str(n))
            ledger.total(cell, {fewer: n, rest: known - n})
            cell = fewer
        used[cell] = n
        absent, blank = ("absent", finding.outcome, arm), ("blank", finding.outcome, arm)
        if absent in ledger.counts:
            missing |= {absent: ledger.counts[absent], blank: ledger.counts[blank]}
        else:
            missing["missing", finding.outcome, arm] = finding.missing[arm]
    ledger.total(contrast_cell("n", finding), used)
    ledger.total(contrast_cell("missing", finding), missing)


def contrast_cell(kind: str, finding: Estimate | TestResult) -> Cell:
    """Return the cell of the number used, or missing, in the arms of a contrast."""
    arms = pair_of(finding)
    return (kind, finding.outcome, *arms, str(sum(finding.n[arm] for arm in arms)) if kind == "n" else "")


def level_cell(covariate: str, level: str, arm: str, *, value: str = "1") -> Cell:
    """Return the cell of the people of a level, or of those with 1 (or 0) where there is no level."""
    return ("level", f"balance {covariate}", level or value, arm)


def is_share(mean: float | None, n: int) -> bool:
    """Return whether a mean can be a share of n people."""
    if mean is None or not -_SLACK <= mean <= 1 + _SLACK or n == 0:
        return False
    return abs(mean * n - round(mean * n)) <= _SLACK * max(1.0, mean * n)


def _count_balance(ledger: _Ledger, balance: Balance) -> None:
    for covariate, group in groupby(balance.lines, key=lambda line: line.covariate):
        # The indicator of missingness repeats the missing of the other lines.
        lines = [line for line in group if line.level != MISSING]
        name = f"balance {covariate}"
        for arm in balance.arms if lines else ():
            n, missing = lines[0].n[arm], lines[0].missing[arm]
            ledger.total(("assigned", arm), {("used", name, arm): n, ("blank", name, arm): missing})
            counts = _level_counts(lines, arm)
            if sum(counts.values()) == n and n:
                ledger.total(("used", name, arm), counts)
            # Weighted shares need not add up to the people; they are hidden by their size alone.
            ledger.counts.update(counts)


def _level_counts(lines: list[BalanceRow], arm: str) -> dict[Cell, int]:
    """Return the number of people by level; of a 0/1 covariate those with 1 and with 0; else nothing."""
    if lines[0].level:
        return {level_cell(x.covariate, x.level, arm): round((x.means[arm] or 0.0) * x.n[arm]) for x in lines}
    line, mean = lines[0], lines[0].means[arm]
    if not is_share(mean, line.n[arm]):
        return {}
    ones = round((mean or 0.0) * line.n[arm])
    zeros = level_cell(line.covariate, "", arm, value="0")
    return {level_cell(line.covariate, "", arm): ones, zeros: line.n[arm] - ones}


def _bare_outcomes(findings: Findings, least: int) -> frozenset[str]:
    bare = set()
    for e in (*findings.estimates, *findings.exploratory):
        means = ((e.reference_mean, e.n[e.reference]), (e.reference_mean + e.value, e.n[e.arm]))
        if any(small_share(mean, n, least) for mean, n in means):
            bare.add(e.outcome)
    return frozenset(bare)
