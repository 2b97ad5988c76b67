"""Text of a plan: one spelling of each character, whole JSON, and specifications that survive the round trip."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Mapping
from typing import Any, TypeVar

from kokeilu.core.canonical import canonical_json
from kokeilu.core.registry import decode, encode
from kokeilu.errors import FileError, KokeiluError, PlanError

__all__ = ["decoded", "library_version", "nfc", "parse_json", "plain", "tidy"]

_Spec = TypeVar("_Spec")


def nfc(value: Any) -> Any:
    """Return plain data with every text in Unicode normal form C, keys included.

    RFC 8785 does not normalise, so "Mäki" typed with one or two code points would give two fingerprints.
    """
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, list):
        return [nfc(item) for item in value]
    if isinstance(value, dict):
        return {nfc(key): nfc(item) for key, item in value.items()}
    return value


def plain(value: str, *, name: str, needed: bool = False) -> str:
    """Return a text in normal form C without blanks at its ends, or raise PlanError."""
    if not isinstance(value, str):
        raise PlanError(f"{name} must be text; got {type(value).__name__}.")
    text = unicodedata.normalize("NFC", value).strip()
    if needed and not text:
        raise PlanError(f"{name} is empty. Give it a text.")
    return text


def tidy(spec: _Spec, *, where: str) -> _Spec:
    """Return a specification with its texts in normal form C, sure to come back from JSON as it is.

    Raises
    ------
    PlanError
        Where its class is not registered, or does not rebuild itself from its own JSON.
    """
    data = encode(spec)
    clean = nfc(data)
    text = canonical_json(clean)
    back = decoded(parse_json(text, where=where), where=where)
    again = canonical_json(encode(back))
    if again != text:
        raise PlanError(
            f"{where}: {type(spec).__name__} does not come back from JSON as it was. Give its class to_data() and "
            "from_data() that fit together."
        )
    return spec if clean == data else decoded(clean, where=where)


def decoded(data: object, *, where: str) -> Any:
    """Rebuild a specification, or raise an error of ours that says where."""
    trouble = ""
    try:
        return decode(data)
    except KokeiluError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError, ZeroDivisionError) as error:
        trouble = type(error).__name__
    kind = data.get("kind", "") if isinstance(data, Mapping) else ""
    raise PlanError(
        f"{where}: {kind or 'the specification'} lacks a field or has one of the wrong kind ({trouble}). "
        "Compare it with a plan written by this version."
    )


def parse_json(text: str, *, where: str) -> Any:
    """Read JSON strictly: no key twice, no NaN, nothing cut off.

    Raises
    ------
    FileError
        Saying whether the text ends in the middle or is something else.
    """
    try:
        return json.loads(
            text, object_pairs_hook=_distinct, parse_constant=_refuse, parse_float=_finite, parse_int=_whole
        )
    except json.JSONDecodeError as error:
        trouble = _trouble(text, error)
    except (ValueError, RecursionError) as error:
        trouble = str(error) if isinstance(error, _Refused) else "cannot be read as JSON"
    raise FileError(f"{where} {trouble}. Get the file again from where the plan was published.")


class _Refused(ValueError):
    """A reason of ours, safe to show."""


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused("states a key twice in one object")
    return found


def _refuse(constant: str) -> float:
    raise _Refused(f"holds {constant}, which JSON does not know")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _Refused("holds a number too large for a double")
    return value


def _whole(digits: str) -> int | float:
    # To RFC 8785 every number is a double, which 1e16 shows by printing as a whole number.
    value = int(digits)
    return value if abs(value) < 2**53 else _finite(digits)


def _trouble(text: str, error: json.JSONDecodeError) -> str:
    whole = text.rstrip()
    if not whole:
        return "is empty"
    open_end = not whole.endswith("}") or error.pos >= len(whole)
    if whole.lstrip("\ufeff \t\r\n").startswith("{") and open_end:
        return f"ends in the middle (after {len(whole):,} characters): the plan file was cut off"
    return f"is not JSON (line {error.lineno}, column {error.colno})"


def library_version() -> str:
    """Return the version of kokeilu."""
    # Inside the function, for the package may be half imported while this module loads.
    from kokeilu import __version__

    return __version__
