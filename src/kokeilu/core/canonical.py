"""Canonical JSON after RFC 8785 (JCS) and the fingerprint made from it."""

from __future__ import annotations

import hashlib
import json
import math
import unicodedata
from collections.abc import Mapping
from decimal import Decimal

from kokeilu.errors import PlanError

__all__ = ["canonical_json", "fingerprint"]

_LARGEST = 2**53 - 1


def canonical_json(value: object) -> str:
    """Return the one canonical text of a JSON value.

    Keys are sorted by UTF-16 code units, numbers written as ECMAScript writes them, text is NFC. NaN, infinities,
    whole numbers of 2**53 and beyond and keys that are not text are refused: write such numbers as text.

    Raises
    ------
    PlanError
        For a value that canonical JSON cannot carry.
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return json.dumps(_text(value), ensure_ascii=False)
    if isinstance(value, int):
        if abs(value) > _LARGEST:
            raise PlanError("a whole number of 2**53 or beyond cannot stand in canonical JSON; write it as text.")
        return str(int(value))
    if isinstance(value, float):
        return _ecmascript(float(value))
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(canonical_json(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ",".join(_pairs(value)) + "}"
    raise PlanError(f"{type(value).__name__} cannot stand in canonical JSON.")


def _pairs(value: Mapping[object, object]) -> list[str]:
    if not all(isinstance(key, str) for key in value):
        raise PlanError("canonical JSON takes only text as keys.")
    keyed = {_text(str(key)): item for key, item in value.items()}
    if len(keyed) != len(value):
        raise PlanError("two keys are the same text once written in Unicode normal form C; rename one of them.")
    ordered = sorted(keyed, key=lambda key: key.encode("utf-16-be"))
    return [f"{json.dumps(key, ensure_ascii=False)}:{canonical_json(keyed[key])}" for key in ordered]


def _text(value: str) -> str:
    # RFC 8785, 3.2.2.2: half of a surrogate pair has no UTF-8 and must be an error.
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise PlanError("text with half of a surrogate pair cannot stand in canonical JSON.")
    return unicodedata.normalize("NFC", value)


def _ecmascript(value: float) -> str:
    """Write a double as ECMAScript's Number.prototype.toString does (ECMA-262, 6.1.6.1.20)."""
    if not math.isfinite(value):
        raise PlanError("NaN and infinity cannot stand in canonical JSON.")
    if value == 0:
        return "0"
    # Not Decimal.normalize(), which rounds to the precision of the caller's decimal context.
    _, figures, exponent = Decimal(repr(abs(value))).as_tuple()
    written = "".join(map(str, figures)).lstrip("0")
    digits = written.rstrip("0")
    count, point = len(digits), len(written) + int(exponent)
    sign = "-" if value < 0 else ""
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return sign + digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    power = f"e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return sign + digits[0] + ("." + digits[1:] if count > 1 else "") + power


def fingerprint(value: object) -> str:
    """Return SHA-256 of the canonical bytes, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode("utf-8")).hexdigest()
