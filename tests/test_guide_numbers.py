"""The numbers that the guide's comments promise are those that its blocks print."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from test_documents import ROOT, blocks

PAGES = [ROOT / "docs" / "guide" / f"{name}.md" for name in ("which_standard_error", "from_stata_and_r")]
PROMISE = re.compile(r"^print\(.*\)  # (.+)$", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_comments_tell_what_is_printed(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "page"}
    promised: list[str] = []
    for line, code in blocks(page):
        exec(compile("\n" * (line - 1) + code, str(page), "exec"), names)
        promised += PROMISE.findall(code)
    printed = iter(capsys.readouterr().out.splitlines())
    missing = [text for text in promised if not any(text == line for line in printed)]
    assert len(promised) >= 6
    assert missing == []
