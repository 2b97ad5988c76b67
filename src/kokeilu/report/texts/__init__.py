"""Every word of the report, by language, as data beside this file: one TOML file for each language.

A key is written ``section.name`` and always stands literally in the code, as ``text("section.name")``, so that a
test can hold the keys used against the keys written.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

from kokeilu._checks import unknown_name
from kokeilu.errors import DesignError, FileError

__all__ = ["Texts", "catalogue", "languages", "texts_in"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """The words of one language; call it with a key and the values of its placeholders."""

    language: str
    entries: Mapping[str, str]

    def __call__(self, key: str, /, **values: object) -> str:
        """Return the text of a key.

        Raises
        ------
        FileError
            Where the language lacks the key, or the text has a placeholder that is not given.
        """
        if key not in self.entries:
            raise FileError(f"the texts in {self.language!r} lack the key {key!r}. Add it to {self.language}.toml.")
        lacking: str | None = None
        try:
            return self.entries[key].format(**values)
        except KeyError as error:
            lacking = str(error.args[0])
        raise FileError(f"the text {key!r} in {self.language!r} has a placeholder {lacking!r} that nothing fills.")


def languages() -> tuple[str, ...]:
    """Return the languages that have texts, in alphabetical order."""
    files = (entry.name for entry in resources.files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml")))


def catalogue(language: str) -> Mapping[str, str]:
    """Return every text of a language by its key.

    Raises
    ------
    DesignError
        Where no texts exist for the language.

    Examples
    --------
    >>> catalogue("en")["head.skip"]
    'Skip to the content'
    """
    if language not in languages():
        raise unknown_name(language, languages(), what="language", where="the report", error=DesignError)
    source = resources.files(__name__).joinpath(f"{language}.toml").read_text(encoding="utf-8")
    sections = tomllib.loads(source)
    entries = {f"{section}.{name}": text for section, body in sections.items() for name, text in body.items()}
    return MappingProxyType(entries)


def texts_in(language: str) -> Texts:
    """Return the texts of a language, ready to be called."""
    return Texts(language=language, entries=catalogue(language))
