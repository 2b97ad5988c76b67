"""Balance as it may be shown: masked and rounded; the table and the love plot use only these lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kokeilu.report.context import Context
from kokeilu.report.counts import MISSING, is_share, level_cell
from kokeilu.report.notes import safe_notes
from kokeilu.report.numbers import decimals_for
from kokeilu.report.tables import Body, Column, Table

if TYPE_CHECKING:
    from kokeilu.balance.table import BalanceRow

__all__ = ["MOST_LINES", "BalanceLine", "balance_lines", "balance_table", "omnibus_text", "split_lines"]

MOST_LINES = 40
"""Lines in the first table and in the plot; the others follow in a table that is folded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceLine:
    """One covariate or level: printed means and missing by arm, rounded differences by arm (None: hidden or none)."""

    label: str
    means: tuple[str, ...]
    missing: tuple[str, ...]
    differences: tuple[float | None, ...]
    printed: tuple[str, ...]

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        return (self.label, *self.means, *self.printed, *self.missing)

    def reach(self) -> float:
        """Return the largest absolute difference that is shown."""
        return max((abs(d) for d in self.differences if d is not None), default=0.0)


def balance_lines(context: Context) -> tuple[BalanceLine, ...]:
    """Return the lines of the balance check, in its order; none where the plan has no check."""
    balance = context.findings.balance
    return () if balance is None else tuple(_line(context, line) for line in balance.lines)


def _line(context: Context, line: BalanceRow) -> BalanceLine:
    text, numbers, arms = context.text, context.numbers, context.arms
    hidden = {arm: _hides_mean(context, line, arm) for arm in arms}
    shares = bool(line.level) or all(is_share(line.means[arm], line.n[arm]) for arm in arms if line.n[arm])
    decimals = 3 if shares else _decimals(line)
    masked = tuple(hidden[arm] or hidden[arms[0]] for arm in arms[1:])
    values = (line.std_differences[arm] for arm in arms[1:])
    found = [None if m or value is None else round(value, 3) for m, value in zip(masked, values, strict=True)]
    return BalanceLine(
        label=text("balance.level", covariate=line.covariate, level=line.level) if line.level else line.covariate,
        means=tuple(context.mask if hidden[arm] else numbers.fixed(line.means[arm], decimals) for arm in arms),
        missing=tuple(_missing(context, line, arm) for arm in arms),
        differences=tuple(found),
        printed=tuple(context.mask if m else numbers.fixed(d, 3) for m, d in zip(masked, found, strict=True)),
    )


def _missing(context: Context, line: BalanceRow, arm: str) -> str:
    if line.level == MISSING:
        return context.numbers.whole(0)
    return context.count("blank", f"balance {line.covariate}", arm)


def _hides_mean(context: Context, line: BalanceRow, arm: str) -> bool:
    if line.level == MISSING:
        return context.counts.hides("blank", f"balance {line.covariate}", arm)
    cells = [level_cell(line.covariate, line.level, arm)]
    cells += [] if line.level else [level_cell(line.covariate, "", arm, value="0")]
    return context.counts.few({arm: line.n[arm]}) or any(context.counts.hides(*cell) for cell in cells)


def _decimals(line: BalanceRow) -> int:
    size = max((abs(mean) for mean in line.means.values() if mean is not None), default=1.0)
    return min(3, decimals_for(size / 10))


def split_lines(lines: tuple[BalanceLine, ...]) -> tuple[tuple[BalanceLine, ...], tuple[BalanceLine, ...]]:
    """Return the lines with the largest differences, and the others, each in the order of the check."""
    order = sorted(range(len(lines)), key=lambda i: -lines[i].reach())
    first = set(order[:MOST_LINES])
    kept = tuple(line for i, line in enumerate(lines) if i in first)
    return kept, tuple(line for i, line in enumerate(lines) if i not in first)


def balance_table(context: Context, lines: tuple[BalanceLine, ...], *, rest: bool = False) -> Table:
    """Tabulate lines of the balance check."""
    text, arms = context.text, context.arms
    labels = [text("balance.mean", arm=arm) for arm in arms]
    labels += [text("balance.difference", arm=arm, reference=arms[0]) for arm in arms[1:]]
    labels += [text("balance.missing", arm=arm) for arm in arms]
    columns = (Column(label=text("balance.covariate")), *(Column(label=label, numeric=True) for label in labels))
    return Table(
        name="balance-rest" if rest else "balance-table",
        caption=text("balance.caption_rest") if rest else text("balance.caption"),
        columns=columns,
        bodies=(Body(rows=tuple(line.cells() for line in lines)),),
        notes=(text("balance.note"), text("mask.note", least=context.counts.least)),
        remarks=_notes(context),
    )


def _notes(context: Context) -> tuple[str, ...]:
    """Return the notes of the check but its first, which the introduction says in every language."""
    balance = context.findings.balance
    if balance is None:
        return ()
    return tuple(f"{note[:1].upper()}{note[1:]}" for note in safe_notes(context, "balance ", balance.notes[1:]))


def omnibus_text(context: Context) -> str:
    """Say the one test of all covariates together."""
    balance = context.findings.balance
    if balance is None:
        return context.text("balance.none")
    test, numbers, text = balance.omnibus, context.numbers, context.text
    p = p_statement(context, test.p_value)
    draws = numbers.whole(test.draws)
    return text("balance.omnibus_exact", p=p, draws=draws) if test.exact else text("balance.omnibus", p=p, draws=draws)


def p_statement(context: Context, p: float) -> str:
    """Write "p = 0.012" or "p < 0.001"."""
    printed = context.numbers.p(p)
    if printed.startswith("<"):
        return context.text("number.p_below", p=printed[1:])
    return context.text("number.p_is", p=printed)
