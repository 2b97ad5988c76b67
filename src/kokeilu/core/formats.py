"""Rows as HTML, LaTeX, Markdown and Excel, with what each format takes for a command written as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from kokeilu._checks import as_path
from kokeilu.core.printing import cell_text
from kokeilu.errors import FileError

if TYPE_CHECKING:
    import pandas

__all__ = ["excel_rows", "html", "latex", "markdown", "write_excel"]

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}
_MARKDOWN = str.maketrans({character: "\\" + character for character in "\\|*_`<>[]#~"})

Rows = Sequence[Mapping[str, object]]


def _table(rows: Rows) -> tuple[list[str], list[list[str]], list[bool]]:
    """Names, cells as printed, and which columns are text."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[cell_text(name, row.get(name)) for name in names] for row in rows]
    texts = [all(isinstance(row.get(n), str) or row.get(n) is None for row in rows) for n in names]
    return names, [[" ".join(cell.split()) for cell in line] for line in cells], texts


def html(rows: Rows, notes: Sequence[str]) -> str:
    """Return an HTML table with a line for each note under it."""
    names, cells, texts = _table(rows)
    kinds = ["" if text else ' style="text-align: right"' for text in texts]
    head = "".join(f'<th scope="col"{kind}>{escape(name)}</th>' for name, kind in zip(names, kinds, strict=True))
    lines = [
        "<tr>" + "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(line, kinds, strict=True)) + "</tr>"
        for line in cells
    ]
    under = [f"<p>{escape(note)}</p>" for note in notes]
    return "\n".join(["<table>", f"<thead><tr>{head}</tr></thead>", "<tbody>", *lines, "</tbody>", "</table>", *under])


def latex(rows: Rows, notes: Sequence[str]) -> str:
    """Return a LaTeX tabular (booktabs), notes as a paragraph each."""
    names, cells, texts = _table(rows)
    kinds = "".join("l" if text else "r" for text in texts)
    lines = [" & ".join(map(_latex, line)) + r" \\" for line in [names, *cells]]
    body = [r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    under = [rf"\par\noindent {_latex(note)}" for note in notes]
    return "\n".join([rf"\begin{{tabular}}{{{kinds}}}", *body, r"\end{tabular}", *under])


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def markdown(rows: Rows, notes: Sequence[str]) -> str:
    """Return a Markdown table, notes as a paragraph each."""
    names, cells, texts = _table(rows)
    rule = "| " + " | ".join("---" if text else "---:" for text in texts) + " |"
    lines = ["| " + " | ".join(cell.translate(_MARKDOWN) for cell in line) + " |" for line in [names, *cells]]
    return "\n".join([lines[0], rule, *lines[1:], *(f"\n{note.translate(_MARKDOWN)}" for note in notes)])


def excel_rows(rows: Rows) -> list[dict[str, Any]]:
    """Return rows whose texts no spreadsheet takes for formulas, and nothing where a number is not finite."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [{_text(name): _excel(row.get(name)) for name in names} for row in rows]


def write_excel(frame: pandas.DataFrame, path: str | PathLike[str]) -> None:
    """Write a frame to an Excel file.

    Raises
    ------
    FileError
        Where no writer is installed, or the file cannot be written.
    """
    file = as_path(path)
    if file.suffix.lower() != ".xlsx":
        raise FileError(f"{file.name} must end in .xlsx to be an Excel file.")
    failed: FileError | None = None
    try:
        frame.to_excel(file, index=False)
    except ImportError:
        failed = FileError(
            "no writer of Excel files is installed. Install openpyxl or xlsxwriter, or use to_html(): Excel opens HTML."
        )
    except OSError as error:
        failed = FileError(f"{file.name} cannot be written: {error.strerror or 'the folder does not exist'}.")
    if failed is not None:
        raise failed


def _excel(value: object) -> Any:
    if isinstance(value, (float, np.floating)) and not np.isfinite(value):
        return None
    return _text(value) if isinstance(value, str) else value


def _text(value: str) -> str:
    """A text that begins like a formula would be run by Excel: the apostrophe says that it is text."""
    return f"'{value}" if value.lstrip()[:1] in ("=", "+", "-", "@") else value
