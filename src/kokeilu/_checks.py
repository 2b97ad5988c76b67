"""Argument checks that return the value: the one place where common messages are worded."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from fractions import Fraction
from os import PathLike
from pathlib import Path

from kokeilu.errors import DesignError, FileError, KokeiluError

__all__ = [
    "as_path",
    "between",
    "choice",
    "count_of",
    "exact_share",
    "name_list",
    "near_match",
    "plain_text",
    "positive_int",
    "unknown_name",
]

_LARGEST_TERM = 10**100
_LONG_EXPONENT = re.compile(r"[eE][+-]?[0-9_]{4,}")
"""Written out, such a number fills the memory before it can be judged."""


def near_match(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the nearest known name, or an empty string."""
    lowered = {str(k).casefold(): str(k) for k in known}
    hits = difflib.get_close_matches(str(name).casefold(), lowered, n=1, cutoff=0.6)
    return f" Did you mean {lowered[hits[0]]!r}?" if hits else ""


def unknown_name(
    name: str, known: Sequence[str], *, what: str, where: str, error: type[KokeiluError] = DesignError
) -> KokeiluError:
    """Word the error for a name that does not exist; the caller raises it."""
    shown = ", ".join(repr(k) for k in list(known)[:12]) + (", …" if len(known) > 12 else "")
    return error(f"{where} has no {what} {name!r}.{near_match(name, known)} It has: {shown or 'none'}.")


def as_path(value: str | PathLike[str]) -> Path:
    """Return the path of a file."""
    text = value.__fspath__() if isinstance(value, PathLike) else value
    if not isinstance(text, str):
        raise FileError(f"a path must be text or a pathlib.Path; got {type(value).__name__}.")
    path = Path(text)
    if not path.name or "\0" in str(path):
        raise FileError("the path names no file. Give the folder and the name of a file.")
    return path


def choice(value: str, allowed: Sequence[str], *, name: str) -> str:
    """Return value when it is one of the allowed words."""
    if not isinstance(value, str) or value not in allowed:
        options = ", ".join(repr(a) for a in allowed)
        raise DesignError(f"{name} must be one of {options}; got {value!r}.{near_match(str(value), allowed)}")
    return value


def between(value: float, low: float, high: float, *, name: str, closed: bool = False) -> float:
    """Return value as a float when low < value < high (or low <= value <= high when closed)."""
    number = _number(value, name)
    inside = low <= number <= high if closed else low < number < high
    if not inside:
        brackets = "[]" if closed else "()"
        percent = (
            f" As a share, {number:g} % is {number / 100:g}." if low >= 0 and high == 1 and 1 < number < 100 else ""
        )
        raise DesignError(f"{name} must lie in {brackets[0]}{low:g}, {high:g}{brackets[1]}; got {number:g}.{percent}")
    return number


def _number(value: object, name: str) -> float:
    plain = isinstance(value, (int, float, Fraction)) or (hasattr(value, "__float__") and not _is_table(value))
    if isinstance(value, bool) or not plain:
        raise DesignError(f"{name} must be a number; got {type(value).__name__}.")
    return float(value)  # type: ignore[arg-type]


def _is_table(value: object) -> bool:
    # Arrays and columns have __float__ and __index__, and raise from them unless they hold one value.
    return bool(getattr(value, "shape", ()))


def positive_int(value: int, *, name: str, least: int = 1) -> int:
    """Return value as an int when it is a whole number of at least `least`."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or _is_table(value):
        raise DesignError(f"{name} must be a whole number; got {type(value).__name__}.")
    number = value.__index__()
    if number < least:
        raise DesignError(f"{name} must be at least {least}; got {number}.")
    return number


def name_list(value: str | Iterable[str] | None, *, name: str) -> tuple[str, ...]:
    """Return one name or several as a tuple of distinct, non-empty texts."""
    if value is None:
        return ()
    if not isinstance(value, (str, Iterable)):
        raise DesignError(f"{name} must be column names (text); got {type(value).__name__}.")
    names = (value,) if isinstance(value, str) else tuple(value)
    for item in names:
        if not isinstance(item, str) or not item:
            raise DesignError(f"{name} must be column names (text); got {type(item).__name__}.")
    names = tuple(plain_text(item, name=name) for item in names)
    if len(set(names)) != len(names):
        raise DesignError(f"{name} names a column twice: {', '.join(repr(n) for n in names)}.")
    return names


def plain_text(value: str, *, name: str, error: type[KokeiluError] = DesignError) -> str:
    """Return text in Unicode normal form C, so that what prints alike is alike; half characters are refused."""
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise error(f"{name} holds half of a surrogate pair, which no file can carry. Type the text anew.")
    return unicodedata.normalize("NFC", value)


def exact_share(value: object, *, name: str) -> Fraction:
    """Return a share as an exact fraction: 2, 0.2 (read as 1/5), "1/3", Fraction or Decimal.

    A float is read as it prints, so 0.1 is one tenth and not the nearest binary fraction.
    """
    text = str(value).strip() if isinstance(value, (int, float, str, Fraction)) or hasattr(value, "__float__") else ""
    share: Fraction | None = None
    if not isinstance(value, bool) and not _LONG_EXPONENT.search(text):
        try:
            share = Fraction(text)
        except (ValueError, ZeroDivisionError):
            share = None
    if share is None:
        raise DesignError(f"the share of {name} must be a number such as 1, 0.25 or '1/3'.")
    if share < 0:
        raise DesignError(f"the share of {name} is negative; shares are 0 or more.")
    if max(share.numerator, share.denominator) >= _LARGEST_TERM:
        raise DesignError(f"the share of {name} has too many digits; write it as a fraction such as '1/3'.")
    return share


def count_of(number: int, one: str, many: str | None = None) -> str:
    """Return "1 person", "2 people", "3 strata": the number and its noun."""
    plural = many or {"person": "people", "stratum": "strata"}.get(one, one + "s")
    return f"{number:,} {one if number == 1 else plural}"
