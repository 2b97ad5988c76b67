"""Canonical JSON: the vectors of RFC 8785 and the round trip of every double."""

from __future__ import annotations

import decimal
import json
import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokeilu.core.canonical import canonical_json, fingerprint
from kokeilu.errors import PlanError

# Stated in the note on plans as measured with the PyPI package rfc8785 0.1.4.
NUMBERS = [
    (1.0, "1"),
    (-0.0, "0"),
    (1e16, "10000000000000000"),
    (1e21, "1e+21"),
    (1e-6, "0.000001"),
    (1e-7, "1e-7"),
]
# RFC 8785, appendix B: the bits of a double and its text.
APPENDIX_B = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


@pytest.mark.parametrize(("value", "text"), NUMBERS)
def test_numbers_are_written_as_ecmascript_writes_them(value: float, text: str) -> None:
    assert canonical_json(value) == text
    assert canonical_json(np.float64(value)) == text


@pytest.mark.parametrize(("bits", "text"), APPENDIX_B)
def test_appendix_b(bits: str, text: str) -> None:
    assert canonical_json(struct.unpack(">d", bytes.fromhex(bits))[0]) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_comes_back(value: float) -> None:
    text = canonical_json(value)
    assert float(text) == value
    assert canonical_json(float(text)) == text


def test_the_callers_decimal_context_does_not_show() -> None:
    with decimal.localcontext() as context:
        context.prec = 3
        assert canonical_json(0.123456789) == "0.123456789"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_does_not_know_is_refused(value: float) -> None:
    with pytest.raises(PlanError, match="NaN and infinity"):
        canonical_json([value])


@pytest.mark.parametrize("value", [2**53, -(2**53), 10**400])
def test_large_whole_numbers_are_refused(value: int) -> None:
    with pytest.raises(PlanError, match="write it as text"):
        canonical_json(value)
    assert canonical_json(2**53 - 1) == "9007199254740991"


def test_keys_are_sorted_by_utf16_units() -> None:
    # The keys of RFC 8785, 3.2.3, with U+FF61 for U+FB33: both lie above the surrogates, but normal form C takes
    # U+FB33 apart.
    keys = ["\u20ac", "\r", "\uff61", "1", "\U0001f600", "\u0080", "\u00f6"]
    ordered = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\uff61"]
    assert list(json.loads(canonical_json(dict.fromkeys(keys, 0)))) == ordered
    assert sorted(keys) != ordered
    assert list(json.loads(canonical_json({"\ufb33": 0}))) == ["\u05d3\u05bc"]


def test_escapes_are_the_shortest() -> None:
    value = '\u20ac$\u000f\nA\'B"\\\\"/\x7f'
    assert canonical_json(value) == '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/\x7f"'


def test_text_is_composed() -> None:
    assert canonical_json("Ma\u0308ki") == '"M\u00e4ki"'
    assert fingerprint({"Ma\u0308ki": 1}) == fingerprint({"M\u00e4ki": 1})


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({1: 2}, "only text as keys"),
        ({"M\u00e4ki": 1, "Ma\u0308ki": 2}, "the same text"),
        ("\ud83d", "surrogate"),
        ({"\ud83d": 1}, "surrogate"),
        ({1, 2}, "set cannot stand"),
    ],
)
def test_the_rest_is_refused(value: object, says: str) -> None:
    with pytest.raises(PlanError, match=says):
        canonical_json(value)


def test_the_known_fingerprint() -> None:
    # SHA-256 of the ten bytes {"a":true}, by sha256sum.
    assert fingerprint({"a": True}) == "5daa0644c4a1c43ea018f7f1ef2944b90e0165ef1f2d5669ca89e5d4f69ac597"
