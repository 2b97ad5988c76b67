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
        return json.dumps(unicodedata.normalize("NFC", value), ensure_ascii=False)
    if isinstance(value, int):
        if abs(value) > _LARGEST:
            raise PlanError("a whole number of 2**53 or beyond cannot stand in canonical JSON; write it as text.")
        return str(value)
    if isinstance(value, float):
        return _ecmascript(value)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(canonical_json(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ",".join(_pairs(value)) + "}"
    raise PlanError(f"{type(value).__name__} cannot stand in canonical JSON.")


def _pairs(value: Mapping[object, object]) -> list[str]:
    if not all(isinstance(key, str) for key in value):
        raise PlanError("canonical JSON takes only text as keys.")
    keyed = {unicodedata.normalize("NFC", str(key)): item for key, item in value.items()}
    ordered = sorted(keyed, key=lambda key: key.encode("utf-16-be"))
    return [f"{json.dumps(key, ensure_ascii=False)}:{canonical_json(keyed[key])}" for key in ordered]


def _ecmascript(value: float) -> str:
    """Write a double as ECMAScript's Number.prototype.toString does (ECMA-262, 6.1.6.1.20)."""
    if not math.isfinite(value):
        raise PlanError("NaN and infinity cannot stand in canonical JSON.")
    if value == 0:
        return "0"
    _, figures, exponent = Decimal(repr(abs(value))).normalize().as_tuple()
    digits = "".join(map(str, figures))
    count, point = len(digits), len(digits) + int(exponent)
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
