"""Every Python block of README.md and docs/ runs, the blocks of one page one after another."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

import kokeilu as kk
from kokeilu.__main__ import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)")


def relative(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[tuple[int, str]]:
    """Return the Python blocks of a page with the line each starts at."""
    text = page.read_text(encoding="utf-8")
    return [(text.count("\n", 0, hit.start(1)) + 1, hit.group(1)) for hit in BLOCK.finditer(text)]


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_code_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "page"}
    for line, code in blocks(page):
        # Blank lines in front make a traceback name the line of the page.
        exec(compile("\n" * (line - 1) + code, str(page), "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_pages_hold_plain_code(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert ">>>" not in text
    assert len(re.findall(r"^```", text, re.MULTILINE)) % 2 == 0


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=relative)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    missing = [target for target in LINK.findall(text) if not (page.parent / target).exists()]
    assert missing == []


def shell_lines(page: Path) -> list[list[str]]:
    """Return the commands of a page's shell blocks, word by word."""
    fenced = re.findall(r"^```sh\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in fenced for line in block.replace("\\\n", " ").splitlines()]


def test_the_commands_of_the_command_line_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ROOT / "docs" / "guide" / "command_line.md"
    monkeypatch.chdir(tmp_path)
    seekers = kk.datasets.job_seekers(300, seed="command line")
    seekers.to_csv("register.csv", index=False)
    design = re.search(r"^```json\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert design is not None
    Path("design.json").write_text(design.group(1), encoding="utf-8")
    done = []
    for program, *arguments in shell_lines(page):
        done.append(arguments[0])
        if program == "openssl":
            Path(arguments[2]).write_bytes(sha256(arguments[2].encode()).digest())
        elif program == "kokeilu":
            monkeypatch.setattr(sys, "stdin", io.StringIO(seekers["person_id"].iloc[0]))
            assert main(arguments) == 0
        else:
            command = [sys.executable, str(ROOT / "docs" / arguments[0]), *arguments[1:]]
            assert subprocess.run(command, check=False).returncode == 0
    assert done == ["rand", "rand", "commit", "draw", "verify", "proof", "check_proof.py"]


def test_the_guide_is_there() -> None:
    steps = {"design", "draw", "verify", "balance", "effects", "power", "plan", "report"}
    assert steps <= {page.stem for page in PAGES}
    assert all(blocks(page) for page in PAGES if page.stem in steps)
