"""The tables of the report: plain texts in cells, with a caption and row headings; HTML comes from the template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kokeilu.report.context import Context

__all__ = ["Body", "Column", "Table", "mask_notes", "table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: its heading, and whether it holds numbers, long texts, English in every language, or codes to copy."""

    label: str
    numeric: bool = False
    wide: bool = False
    english: bool = False
    code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """Rows under a common heading (empty: none); the first cell of a row is its heading."""

    heading: str = ""
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table.

    Attributes
    ----------
    name : str
        Distinct in the document; becomes the id.
    caption : str
    columns : tuple of Column
    bodies : tuple of Body
    notes, remarks : tuple of str
        Printed under the table; remarks are English in every language.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    bodies: tuple[Body, ...]
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def mask_notes(context: Context, bodies: Sequence[Body], said: str = "") -> tuple[str, ...]:
    """Return the rule of hiding where a cell of the bodies, or what is said beside them, is hidden."""
    cells = (cell for body in bodies for row in body.rows for cell in row[1:])
    hides = context.mask == said or any(cell == context.mask for cell in cells)
    return (context.text("mask.note", least=context.counts.least),) if hides else ()


def table(
    name: str,
    caption: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    notes: Sequence[str] = (),
) -> Table:
    """Make a table with one body."""
    return Table(
        name=name,
        caption=caption,
        columns=tuple(columns),
        bodies=(Body(rows=tuple(tuple(row) for row in rows)),),
        notes=tuple(notes),
    )
