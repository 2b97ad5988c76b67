"""Balance as it may be shown: masked and rounded; the table and the love plot use only these lines."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kokeilu.report.context import Context
from kokeilu.report.levels import MISSING, is_share, level_cell
from kokeilu.report.notes import safe_notes
from kokeilu.report.numbers import decimals_for, tells_number
from kokeilu.report.tables import Body, Column, Table, mask_notes

if TYPE_CHECKING:
    from kokeilu.balance.table import BalanceRow
    from kokeilu.core.results import TestResult

__all__ = [
    "MOST_LINES",
    "BalanceLine",
    "balance_lines",
    "balance_table",
    "drawn",
    "left_out_notes",
    "omnibus_text",
    "p_statement",
    "split_lines",
]

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
    """Return the lines of the balance check, in its order, but for levels of few people, whose names would tell."""
    balance, few = context.findings.balance, context.counts.left_out
    kept = () if balance is None else (x for x in balance.lines if (x.covariate, x.level) not in few)
    return tuple(_line(context, line) for line in kept)


def _line(context: Context, line: BalanceRow) -> BalanceLine:
    text, numbers, arms = context.text, context.numbers, context.arms
    shares = bool(line.level) or all(is_share(line.means[arm], line.n[arm]) for arm in arms if line.n[arm])
    decimals = 3 if shares else _decimals(line)
    told = any(_tells_people(context, line, arm, decimals) for arm in arms)
    hidden = {arm: told or _hides_mean(context, line, arm) for arm in arms}
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


def _tells_people(context: Context, line: BalanceRow, arm: str, decimals: int) -> bool:
    """Return whether a mean gives back a hidden number of people with a value."""
    counted = ("used", f"balance {line.covariate}", arm)
    return line.level != MISSING and context.counts.hides(*counted) and tells_number(line.n[arm], decimals)


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
    bodies = (Body(rows=tuple(line.cells() for line in lines)),)
    return Table(
        name="balance-rest" if rest else "balance-table",
        caption=text("balance.caption_rest") if rest else text("balance.caption"),
        columns=columns,
        bodies=bodies,
        notes=(text("balance.note"), *(() if rest else left_out_notes(context)), *mask_notes(context, bodies)),
        remarks=_notes(context),
    )


def left_out_notes(context: Context) -> tuple[str, ...]:
    """Say how many levels of each covariate are left out, without their names."""
    number = Counter(covariate for covariate, _ in sorted(context.counts.left_out))
    least, numbers = context.counts.least, context.numbers
    return tuple(
        context.text("balance.left_out", covariate=covariate, least=least, number=numbers.whole(levels))
        for covariate, levels in number.items()
    )


def _notes(context: Context) -> tuple[str, ...]:
    """Return the notes of the check but its first, which the introduction says in every language."""
    balance = context.findings.balance
    if balance is None:
        return ()
    named = [f"{covariate}: {level}" for covariate, level in context.counts.left_out]
    kept = tuple(note for note in balance.notes[1:] if not any(name in note for name in named))
    return tuple(f"{note[:1].upper()}{note[1:]}" for note in safe_notes(context, "balance ", kept))


def omnibus_text(context: Context) -> str:
    """Say the one test of all covariates together."""
    balance = context.findings.balance
    if balance is None:
        return context.text("balance.none")
    test, text = balance.omnibus, context.text
    p = p_statement(context, test.p_value)
    draws = drawn(context, test)
    return text("balance.omnibus_exact", p=p, draws=draws) if test.exact else text("balance.omnibus", p=p, draws=draws)


def drawn(context: Context, test: TestResult) -> str:
    """Write the number of redraws; the number of all assignments tells the sizes of the arms."""
    hides_arms = test.exact and any(context.counts.hides("assigned", arm) for arm in context.arms)
    return context.mask if hides_arms else context.numbers.whole(test.draws)


def p_statement(context: Context, p: float) -> str:
    """Write "p = 0.012" or "p < 0.001"."""
    printed = context.numbers.p(p)
    if printed.startswith("<"):
        return context.text("number.p_below", p=printed[1:])
    return context.text("number.p_is", p=printed)
