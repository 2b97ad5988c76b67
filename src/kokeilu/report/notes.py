"""Free text from other parts of the library, without small counts of people."""

from __future__ import annotations

import re

from kokeilu.report.context import Context
from kokeilu.report.disclosure import small

__all__ = ["safe_notes", "without_levels"]

_COUNTED = re.compile(r"\b(\d[\d,]*) (people|person|values|value|rows|row)\b")
_LEVEL = re.compile(r"""(['"])([^'":]+): .*?\1(?!\w)""")
_FIGURE = re.compile(r"(?<![\w.])\d")


def safe_notes(context: Context, outcome: str, notes: tuple[str, ...]) -> tuple[str, ...]:
    """Return notes without small counts; notes with figures are left out where counts of the outcome are hidden."""
    least = context.counts.least
    if context.counts.hides_any_of(outcome):
        notes = tuple(note for note in notes if not _FIGURE.search(note))
    return tuple(_COUNTED.sub(lambda hit: _few(hit, least), note) for note in notes if note)


def without_levels(notes: tuple[str, ...]) -> tuple[str, ...]:
    """Return notes on covariates without the names of levels, which could be those of a single person."""
    return tuple(_LEVEL.sub(r"'\2: …'", note) for note in notes)


def _few(hit: re.Match[str], least: int) -> str:
    plural = {"person": "people", "value": "values", "row": "rows"}.get(hit.group(2), hit.group(2))
    return f"fewer than {least} {plural}" if small(int(hit.group(1).replace(",", "")), least) else hit.group(0)
