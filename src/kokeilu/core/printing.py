"""Numbers, p-values and tables as text."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

__all__ = ["cell_text", "number_text", "p_text", "people_text", "sentence", "text_table", "wrapped"]

PAGE = 120


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
    if size == math.inf:
        return "inf" if value > 0 else "-inf"
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


def people_text(n: Mapping[str, int], missing: Mapping[str, int], absent: Mapping[str, int] | None) -> str:
    """Say how many people of each arm are used, how many are missing, and why; `absent` of these have no row."""
    parts = []
    for arm in n:
        out, lost = missing[arm], None if absent is None else absent[arm]
        why = ""
        if out and lost is not None:
            why = f" ({lost:,} not in the table, {out - lost:,} without a value)"
        parts.append(f"{arm!r} {n[arm]:,} used, {out:,} missing{why}")
    return "; ".join(parts)


def wrapped(lines: Iterable[str]) -> list[str]:
    """Return lines of text folded at the width of a page, the folds set in."""
    return [textwrap.fill(line, PAGE, subsequent_indent="  ", break_long_words=False) for line in lines]


def text_table(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows as an aligned table: text to the left, numbers to the right."""
    if not rows:
        return "(no rows)"
    names = list(rows[0])
    cells = [[cell_text(name, value) for name, value in row.items()] for row in rows]
    left = [all(isinstance(row[n], str) or row[n] is None for row in rows) for n in names]
    widths = [max(len(name), *(len(line[i]) for line in cells)) for i, name in enumerate(names)]
    lines = [names, ["-" * width for width in widths], *cells]
    return "\n".join(
        "  ".join(
            c.ljust(w) if is_left else c.rjust(w) for c, w, is_left in zip(line, widths, left, strict=True)
        ).rstrip()
        for line in lines
    )


def cell_text(name: str, value: object) -> str:
    """Write a cell of a column: p-values with three decimals, and never 0."""
    is_p = name in ("p", "adjusted_p") and isinstance(value, float) and not np.isnan(value)
    return p_text(value) if is_p else number_text(value)  # type: ignore[arg-type]
