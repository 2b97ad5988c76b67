"""Tables for documents: nothing in a text is taken for a command, and what is printed is what is written."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest

from kokeilu.core.formats import excel_rows
from kokeilu.core.results import Rows
from kokeilu.errors import FileError

NASTY = '=HYPERLINK("x") | 50 % & <b>_a_</b> $\\x{}~^#'


@dataclass(frozen=True)
class Finding(Rows):
    notes: tuple[str, ...] = ("half | of <it>",)

    def rows(self) -> list[dict[str, Any]]:
        return [
            {"level": NASTY, "n": 1_234, "p": 0.0001, "gap": None},
            {"level": "a\nb", "n": 2, "p": 0.25, "gap": 1.5},
        ]


def test_html_escapes_text_and_puts_numbers_to_the_right() -> None:
    html = Finding().to_html()
    assert "&lt;b&gt;_a_&lt;/b&gt;" in html
    assert "<b>" not in html
    assert '<td style="text-align: right">1,234</td>' in html
    assert "<td>a b</td>" in html
    assert "&lt;0.001" in html
    assert html.endswith("<p>half | of &lt;it&gt;</p>")


def test_latex_escapes_every_special_character() -> None:
    latex = Finding().to_latex()
    assert latex.startswith(r"\begin{tabular}{lrrr}")
    assert r"50 \% \& \textless{}b\textgreater{}\_a\_" in latex
    assert r"\$\textbackslash{}x\{\}\textasciitilde{}\textasciicircum{}\#" in latex
    assert latex.count(r" \\") == 3


def test_markdown_keeps_its_columns() -> None:
    lines = Finding().to_markdown().splitlines()
    assert lines[0] == "| level | n | p | gap |"
    assert lines[1] == "| --- | ---: | ---: | ---: |"
    assert r"\| 50 % & \<b\>\_a\_" in lines[2]
    assert lines[3] == "| a b | 2 | 0.250 | 1.5000 |"


def test_excel_runs_no_text_as_a_formula() -> None:
    rows = excel_rows([{"=x": "=1+1", "plain": "a-b", "n": -3, "gap": float("nan")}])
    assert rows == [{"'=x": "'=1+1", "plain": "a-b", "n": -3, "gap": None}]


def test_excel_without_a_writer_says_what_to_install(tmp_path: Any) -> None:
    with pytest.raises(FileError, match=r"must end in \.xlsx"):
        Finding().to_excel(tmp_path / "table.xls")
    path = tmp_path / "table.xlsx"
    if any(importlib.util.find_spec(name) for name in ("openpyxl", "xlsxwriter")):
        Finding().to_excel(path)
        assert pd.read_excel(path)["n"].tolist() == [1_234, 2]
        return
    with pytest.raises(FileError, match="Install openpyxl or xlsxwriter"):
        Finding().to_excel(path)
