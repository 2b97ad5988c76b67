"""Reading published JSON: canonical to the byte, each key known, each field of its kind."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from kokeilu._checks import near_match
from kokeilu.core.canonical import canonical_json
from kokeilu.core.registry import decode
from kokeilu.errors import FileError, KokeiluError

__all__ = ["Reader", "decode_design", "parse"]

_HEX = re.compile(r"[0-9a-f]*")
_AGAIN = "Take the original from where it was published."
_KINDS = ("commitment", "certificate", "proof")


def parse(text: str | bytes, *, schema: str, what: str) -> Reader:
    """Read canonical JSON of a schema; one line break at the end is allowed.

    Raises
    ------
    FileError
        For any other text, however slight the difference.
    """
    if not isinstance(text, (str, bytes)):
        raise FileError(f"{what} is read from text or bytes; got {type(text).__name__}.")
    data = again = None
    try:
        plain = text.decode("utf-8") if isinstance(text, bytes) else text
        plain = plain.removesuffix("\n")
        data = json.loads(plain)
        again = canonical_json(data)
    except (ValueError, RecursionError, KokeiluError):
        plain = ""
    if again is None:
        raise FileError(f"{what} is no whole JSON text. {_AGAIN}")
    if again != plain:
        raise FileError(f"{what} is not in its canonical form: it was written anew or changed. {_AGAIN}")
    reader = Reader(data, what)
    found = reader.text("schema")
    if found != schema:
        kind = next((f" This text is a {word}." for word in _KINDS if found.startswith(f"kokeilu-{word}/")), "")
        raise FileError(f"{what} is not of the schema {schema!r}.{kind} {_AGAIN}")
    return reader


class Reader:
    """One object of a published text; every question that it cannot answer is a FileError."""

    def __init__(self, data: object, where: str) -> None:
        self.where = where
        if not isinstance(data, Mapping):
            self.fail("is no object")
        self.data: Mapping[str, Any] = data

    def fail(self, trouble: str) -> NoReturn:
        """Raise the error of this object."""
        raise FileError(f"{self.where} {trouble}. {_AGAIN}")

    def only(self, *names: str) -> Reader:
        """Return this object when it has these keys and no other."""
        for name in self.data:
            if name not in names:
                self.fail(f"has an unknown key {name!r}.{near_match(name, names)}".rstrip("."))
        for name in names:
            if name not in self.data:
                self.fail(f"lacks {name!r}")
        return self

    def get(self, name: str) -> Any:
        """Return a value of any kind."""
        if name not in self.data:
            self.fail(f"lacks {name!r}")
        return self.data[name]

    def part(self, name: str) -> Reader:
        """Return an object within this one."""
        return Reader(self.get(name), f"{self.where}, {name}")

    def text(self, name: str) -> str:
        """Return a text."""
        value = self.get(name)
        if not isinstance(value, str):
            self.fail(f"has no text at {name!r}")
        return value

    def hex(self, name: str, *, width: int | None = 32) -> str:
        """Return hexadecimal digits of so many bytes."""
        return self._digits(self.text(name), name, width)

    def hexes(self, name: str) -> tuple[str, ...]:
        """Return a list of hashes."""
        return tuple(self._digits(item, name, 32) for item in self.items(name))

    def _digits(self, value: object, name: str, width: int | None) -> str:
        good = isinstance(value, str) and _HEX.fullmatch(value) and len(value) % 2 == 0
        if not isinstance(value, str) or not good or (width is not None and len(value) != 2 * width):
            self.fail(f"has no hexadecimal digits of the right number at {name!r}")
        return value

    def whole(self, name: str) -> int:
        """Return a whole number of 0 or more."""
        return self.number(self.get(name), name)

    def number(self, value: object, name: str) -> int:
        """Return a value when it is a whole number of 0 or more."""
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self.fail(f"has no whole number at {name!r}")
        return value

    def items(self, name: str) -> Sequence[Any]:
        """Return a list."""
        value = self.get(name)
        if not isinstance(value, list):
            self.fail(f"has no list at {name!r}")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        items = self.items(name)
        if not all(isinstance(item, str) for item in items):
            self.fail(f"has something else than texts at {name!r}")
        return tuple(items)

    def pairs(self, name: str) -> tuple[tuple[str, str], ...]:
        """Return a list of pairs of texts."""
        found = []
        for item in self.items(name):
            if not (isinstance(item, list) and len(item) == 2 and all(isinstance(x, str) for x in item)):
                self.fail(f"has something else than pairs of texts at {name!r}")
            found.append((item[0], item[1]))
        return tuple(found)


def decode_design(data: object, *, where: str) -> Any:
    """Rebuild a design, or raise an error of ours that says where.

    Raises
    ------
    FileError
        Where the data make no specification.
    """
    trouble = ""
    try:
        return decode(data)
    except KokeiluError as error:
        trouble = str(error)
    except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
        trouble = f"a field is absent or of the wrong kind ({type(error).__name__})."
    raise FileError(f"{where} does not hold a design: {trouble}")
