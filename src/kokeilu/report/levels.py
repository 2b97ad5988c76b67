"""The people of the balance check: by level and arm, and the levels that too few people have."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from kokeilu.core.lottery import shares_of
from kokeilu.report.disclosure import Cell, Ledger, small

if TYPE_CHECKING:
    from kokeilu.balance.table import Balance, BalanceRow
    from kokeilu.core.assignment import Assignment

__all__ = ["MISSING", "count_balance", "few_levels", "is_share", "level_cell"]

MISSING = "(missing)"
"""The level by which a balance check tells who has no value."""
_SLACK = 1e-6


def level_cell(covariate: str, level: str, arm: str, *, value: str = "1") -> Cell:
    """Return the cell of the people of a level, or of those with 1 (or 0) where there is no level."""
    return ("level", f"balance {covariate}", level or value, arm)


def is_share(mean: float | None, n: int) -> bool:
    """Return whether a mean can be a share of n people."""
    if mean is None or not -_SLACK <= mean <= 1 + _SLACK or n == 0:
        return False
    return abs(mean * n - round(mean * n)) <= _SLACK * max(1.0, mean * n)


def count_balance(ledger: Ledger, balance: Balance, assignment: Assignment) -> None:
    """Enter the people of the balance check; each line is a row, hidden in all arms or in none."""
    least_weight = _least_weights(assignment)
    for covariate, group in groupby(balance.lines, key=lambda line: line.covariate):
        # The indicator of missingness repeats the missing of the other lines.
        lines = [line for line in group if line.level != MISSING]
        name = f"balance {covariate}"
        rows: dict[str, set[Cell]] = {}
        for arm in balance.arms if lines else ():
            n, missing = lines[0].n[arm], lines[0].missing[arm]
            ledger.total(("assigned", arm), {("used", name, arm): n, ("blank", name, arm): missing})
            counts = _level_counts(lines, arm, least_weight[arm])
            # Weighted shares need not add up to the people, but a reader knows that they add up to 1.
            whole = ("used", name, arm) if sum(counts.values()) == n else ("n", name, arm, "weighted")
            if counts:
                ledger.total(whole, counts)
            for cell in counts:
                rows.setdefault(cell[2] if lines[0].level else "", set()).add(cell)
            rows.setdefault(MISSING, set()).add(("blank", name, arm))
        ledger.rows += [frozenset(row) for row in rows.values()]


def _least_weights(assignment: Assignment) -> dict[str, float]:
    """Return by arm the smallest over the largest weight 1/share; 1 where the means are not weighted."""
    names, shares = assignment.arms.names, shares_of(assignment.lottery, assignment.stream("shares"))
    own = {arm: shares[assignment.codes == k, k] for k, arm in enumerate(names)}
    if not (np.ptp(shares, axis=0) > _SLACK).any() or not all((mine > 0).all() for mine in own.values()):
        return dict.fromkeys(names, 1.0)
    # Just below 1 where an arm's own weights are equal: the others' are not, and the means are called weighted.
    return {arm: min(float(x.min() / x.max()) if x.size else 1.0, 1 - _SLACK) for arm, x in own.items()}


def _level_counts(lines: list[BalanceRow], arm: str, weight: float) -> dict[Cell, int]:
    """Return the number of people by level; of a 0/1 covariate those with 1 and with 0; else nothing.

    With weights w a level of c people has the mean m <= c max(w) / (n min(w)): the count is at least m n min(w)/max(w).
    """
    line, mean, n = lines[0], lines[0].means[arm], lines[0].n[arm]
    if line.level:
        return {level_cell(x.covariate, x.level, arm): _people(x.means[arm], n, weight) for x in lines}
    weighted = weight < 1 and n > 0 and mean is not None and 0 <= mean <= 1
    if not (weighted or is_share(mean, n)):
        return {}
    ones, zeros = level_cell(line.covariate, "", arm), level_cell(line.covariate, "", arm, value="0")
    return {ones: _people(mean, n, weight), zeros: _people(1 - (mean or 0.0), n, weight)}


def _people(mean: float | None, n: int, weight: float) -> int:
    people = (mean or 0.0) * n
    return round(people) if weight == 1 else int(np.ceil(people * weight - _SLACK))


def few_levels(ledger: Ledger, least: int) -> frozenset[tuple[str, str]]:
    """Return the covariates and levels that fewer than `least` people have in all arms together, but somebody."""
    found = set()
    for row in ledger.rows:
        kind, covariate, level = min(row)[:3]
        # Of a 0/1 covariate the row holds both values, hence everybody.
        if kind == "level" and small(sum(ledger.counts[cell] for cell in row), least):
            found.add((covariate.removeprefix("balance "), level))
    return frozenset(found)
