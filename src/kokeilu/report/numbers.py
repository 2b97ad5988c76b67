"""Numbers, p-values and dates as a language writes them, without the machine's locale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kokeilu.report.texts import Texts

if TYPE_CHECKING:
    import datetime

__all__ = ["DASH", "Numbers", "decimals_for", "numbers_in", "tells_number"]

DASH = "–"
MOST_DECIMALS = 6


def decimals_for(error: float) -> int:
    """Return the number of decimals that shows two significant figures of a standard error, 0 to 6."""
    if not math.isfinite(error) or error <= 0:
        return 3
    return min(MOST_DECIMALS, max(0, 1 - math.floor(math.log10(error))))


def tells_number(n: int, decimals: int, *, factor: float = 1.0) -> bool:
    """Return whether a mean of n whole numbers, rounded, tells n: only some n have a fraction so near to it.

    With n times the rounding step at 1 or more, every n has a whole number of units that fits.
    """
    return n * 10.0**-decimals < factor


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """How a language writes numbers.

    Attributes
    ----------
    decimal, group, minus : str
        Decimal sign, thousands separator, sign of negative numbers.
    percentage : str
        Pattern with ``{number}``.
    day : str
        Pattern with ``{day}``, ``{month}`` (a number), ``{name}`` (the month's name) and ``{year}``.
    months : tuple of str

    Examples
    --------
    >>> finnish = Numbers(decimal=",", group=" ", minus="−", percentage="{number} %", day="{day}.{month}.{year}")
    >>> finnish.fixed(-1234567.891, 2)
    '−1 234 567,89'
    >>> finnish.p(0.0)
    '<0,001'
    """

    decimal: str
    group: str
    minus: str
    percentage: str
    day: str
    months: tuple[str, ...] = ("",) * 12

    def whole(self, value: int) -> str:
        """Write a count."""
        return self.fixed(value, 0)

    def fixed(self, value: float | None, decimals: int) -> str:
        """Write a number with so many decimals, rounded; a dash where there is none."""
        if value is None or not math.isfinite(value):
            return DASH
        plain = f"{abs(value):,.{decimals}f}"
        negative = value < 0 and any(figure in "123456789" for figure in plain)
        swapped = plain.translate({ord(","): self.group, ord("."): self.decimal})
        return (self.minus if negative else "") + swapped

    def p(self, value: float | None) -> str:
        """Write a p-value: three decimals, rounded, and never 0."""
        if value is None or not math.isfinite(value):
            return DASH
        return "<" + self.fixed(0.001, 3) if value < 0.0005 else self.fixed(value, 3)

    def percent(self, share: float, decimals: int = 0) -> str:
        """Write a share as a percentage."""
        return self.percentage.format(number=self.fixed(100 * share, decimals))

    def date(self, day: datetime.date) -> str:
        """Write a day."""
        return self.day.format(day=day.day, month=day.month, name=self.months[day.month - 1], year=day.year)


def numbers_in(text: Texts) -> Numbers:
    """Return the numbers of a language from its texts."""
    return Numbers(
        decimal=text("number.decimal"),
        group=text("number.group"),
        minus=text("number.minus"),
        percentage=text("number.percent", number="{number}"),
        day=text("number.day", day="{day}", month="{month}", name="{name}", year="{year}"),
        months=tuple(text("number.months").split()),
    )
