"""The words of the report: every key that the code asks for is written, every key that is written is asked for."""

from __future__ import annotations

import ast
import re
import string
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

REPORT = Path(__file__).resolve().parents[1] / "src" / "kokeilu" / "report"
LANGUAGES = sorted(path.stem for path in (REPORT / "texts").glob("*.toml"))
IN_TEMPLATE = re.compile(r"""\btext\(\s*["']([\w.]+)["']""")


def entries(language: str) -> dict[str, str]:
    """Return the texts of a language by section.name."""
    body = tomllib.loads((REPORT / "texts" / f"{language}.toml").read_text(encoding="utf-8"))
    return {f"{section}.{name}": value for section, names in body.items() for name, value in names.items()}


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield every call of text(...), context.text(...) and self.text(...); a figure has a text(...) of its own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and re.fullmatch(r"((self|\w*context)\.)*text", ast.unparse(node.func)):
            yield node


def used_in_code() -> dict[str, str]:
    """Return each key that the code asks for, with the place."""
    found = {}
    for path in sorted(REPORT.rglob("*.py")):
        for node in calls(ast.parse(path.read_text(encoding="utf-8"))):
            if node.args and isinstance(node.args[0], ast.Constant):
                found[str(node.args[0].value)] = f"{path.name}:{node.lineno}"
    return found


def used_in_templates() -> dict[str, str]:
    found = {}
    for path in sorted((REPORT / "templates").iterdir()):
        if path.is_file():
            found |= dict.fromkeys(IN_TEMPLATE.findall(path.read_text(encoding="utf-8")), path.name)
    return found


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_there_are_texts() -> None:
    assert "en" in LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_are_flat_and_not_empty(language: str) -> None:
    for key, value in entries(language).items():
        assert isinstance(value, str), key
        assert value.strip(), key
        assert placeholders(value) is not None, key


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_key_used_is_written(language: str) -> None:
    written = entries(language)
    used = used_in_code() | used_in_templates()
    assert {key: place for key, place in used.items() if key not in written} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_key_written_is_used(language: str) -> None:
    used = used_in_code() | used_in_templates()
    assert [key for key in entries(language) if key not in used] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_have_the_same_keys_and_placeholders(language: str) -> None:
    english, other = entries("en"), entries(language)
    assert other.keys() == english.keys()
    differing = [key for key in english if placeholders(english[key]) != placeholders(other[key])]
    assert differing == []


def test_keys_stand_literally_in_the_code() -> None:
    """A key put together at run time cannot be checked here; a table of literal calls can."""
    variable = [
        f"{path.name}:{node.lineno}"
        for path in sorted(REPORT.rglob("*.py"))
        for node in calls(ast.parse(path.read_text(encoding="utf-8")))
        if node.args and not isinstance(node.args[0], ast.Constant)
    ]
    assert variable == []
