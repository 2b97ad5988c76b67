"""Every count of people that the report can show, with the relations between them, and which are hidden."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kokeilu.report.disclosure import Cell, Ledger, Sum, small, small_share
from kokeilu.report.levels import count_balance, few_levels

if TYPE_CHECKING:
    from kokeilu.core.results import Estimate, TestResult
    from kokeilu.plan.findings import Findings

__all__ = ["Counts", "contrast_cell", "count_findings", "pair_of"]


_OF_ALL = ("assigned", "people")


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
    left_out : frozenset of (covariate, level)
        Levels of the balance check that so few people have that their name is not printed.
    least : int
        The smallest count above 0 that is shown.
    """

    counts: Mapping[Cell, int]
    sums: tuple[Sum, ...]
    hidden: frozenset[Cell]
    bare: frozenset[str]
    left_out: frozenset[tuple[str, str]]
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

    def hides_dof(self, outcome: str) -> bool:
        """Return whether any count of this outcome is hidden, and so is what tells how many people are used."""
        return any(cell[1] == outcome for cell in self.hidden if cell[0] not in _OF_ALL)

    def few(self, numbers: Mapping[str, int]) -> bool:
        """Return whether an arm has so few people that nothing computed from them is shown."""
        return any(small(n, self.least) for n in numbers.values())


def count_findings(findings: Findings, *, least: int) -> Counts:
    """Count the people of the findings and decide what is hidden."""
    ledger = Ledger()
    ledger.total(("people",), {("assigned", arm): n for arm, n in findings.assignment.counts().items()})
    for outcome, account in findings.accounts:
        numbers = zip(account.arms, account.assigned, account.linked, account.observed, strict=True)
        for arm, assigned, linked, observed in numbers:
            inner: dict[Cell, int] = {("used", outcome, arm): observed, ("blank", outcome, arm): linked - observed}
            outer: dict[Cell, int] = {("linked", outcome, arm): linked, ("absent", outcome, arm): assigned - linked}
            ledger.total(("linked", outcome, arm), inner)
            ledger.total(("assigned", arm), outer)
        _count_all(ledger, outcome, dict(zip(account.arms, account.observed, strict=True)))
    for finding in (*findings.estimates, *findings.exploratory, *findings.tests):
        _count_contrast(ledger, finding)
    if findings.balance is not None:
        count_balance(ledger, findings.balance, findings.assignment)
    return Counts(
        counts=ledger.counts,
        sums=tuple(ledger.sums),
        hidden=_without_open(ledger.hidden(least)),
        bare=_bare_outcomes(findings, least),
        left_out=few_levels(ledger, least),
        least=least,
    )


def _without_open(hidden: frozenset[Cell]) -> frozenset[Cell]:
    """Take out the degrees of freedom of outcomes with no other hidden count: they tell what is printed anyway."""
    troubled = {cell[1] for cell in hidden if cell[0] not in ("dof", *_OF_ALL)}
    return frozenset(cell for cell in hidden if cell[0] != "dof" or cell[1] in troubled)


def _count_all(ledger: Ledger, outcome: str, observed: Mapping[str, int]) -> None:
    """Enter all people used of an outcome: what n - k or Welch's degrees of freedom tell of."""
    ledger.total(("dof", outcome), {("used", outcome, arm): n for arm, n in observed.items()})
    ledger.unseen.add(("dof", outcome))


def pair_of(finding: Estimate | TestResult) -> tuple[str, ...]:
    """Return the arms of a contrast; all arms where a test compares them together."""
    return (finding.arm, finding.reference) if finding.arm else tuple(finding.n)


def _count_contrast(ledger: Ledger, finding: Estimate | TestResult) -> None:
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


def _mean_of_arm(e: Estimate) -> float:
    """The mean that the effect and the mean in the reference arm tell of the other arm."""
    if not e.scale:
        return e.reference_mean + e.value
    ratio = e.reference_mean * math.exp(e.value)
    return ratio / (1.0 - e.reference_mean + ratio) if e.scale == "log odds ratio" else ratio


def _bare_outcomes(findings: Findings, least: int) -> frozenset[str]:
    bare = set()
    for e in (*findings.estimates, *findings.exploratory):
        means = ((e.reference_mean, e.n[e.reference]), (_mean_of_arm(e), e.n[e.arm]))
        if any(small_share(mean, n, least) for mean, n in means):
            bare.add(e.outcome)
    return frozenset(bare)
