from __future__ import annotations

import re
from pathlib import Path

import pytest

import kokeilu.report
from kokeilu.errors import DesignError, FileError
from kokeilu.report.texts import Texts, catalogue, languages, texts_in

FOLDER = Path(kokeilu.report.__file__).parent
USED = re.compile(r'\btext\(\s*"([a-z_]+\.[a-z_0-9]+)"')
COMPUTED = re.compile(r"\btext\(\s*(?!\")")
SOURCES = [*FOLDER.glob("*.py"), *FOLDER.glob("templates/*.j2")]


def used() -> set[str]:
    return {key for path in SOURCES for key in USED.findall(path.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("language", languages())
def test_every_key_is_used_and_every_used_key_is_there(language: str) -> None:
    keys = set(catalogue(language))
    assert keys - used() == set()
    assert used() - keys == set()


@pytest.mark.parametrize("language", languages())
def test_languages_have_the_same_placeholders(language: str) -> None:
    english, other = catalogue("en"), catalogue(language)
    holes = re.compile(r"\{(\w+)\}")
    assert {key: set(holes.findall(other[key])) for key in other} == {
        key: set(holes.findall(english[key])) for key in english
    }


def test_keys_stand_literally() -> None:
    found = {
        f"{path.name}: {line.strip()}"
        for path in SOURCES
        for line in path.read_text(encoding="utf-8").splitlines()
        if COMPUTED.search(line) and not re.search(r"\.text\(|def \w*text\(|_text\(|read_text\(\)|text\($", line)
    }
    assert found == set()


def test_a_missing_key_is_an_error() -> None:
    with pytest.raises(FileError, match=r"lack the key 'head\.nothing'\. Add it to en\.toml"):
        texts_in("en")("head.nothing")


def test_a_placeholder_that_nothing_fills_is_an_error() -> None:
    text = Texts(language="xx", entries={"a.b": "{people} people"})
    with pytest.raises(FileError, match="placeholder 'people' that nothing fills"):
        text("a.b", persons=3)


def test_an_unknown_language_is_an_error() -> None:
    with pytest.raises(DesignError, match="the report has no language 'eng'"):
        catalogue("eng")
