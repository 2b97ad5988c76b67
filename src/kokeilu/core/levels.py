"""The canonical text of a level, the same from every kind of column."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from decimal import Decimal
from math import isfinite

import numpy as np

__all__ = ["level_text"]


def level_text(value: object) -> str:
    """Return the canonical text of a level: 1, 1.0, "1" and a category labelled "1" are the same level.

    So are 0.5 in any precision and as a decimal, and a date and the midnight with which it begins.
    """
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (float, np.floating, Decimal)) and isfinite(value) and value == int(value):
        return str(int(value))
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, Decimal) and isfinite(value):
        short = str(float(value))
        return short if Decimal(short) == value else format(value.normalize(), "f")
    if isinstance(value, datetime) and value.tzinfo is None and str(value).endswith(" 00:00:00"):
        return str(value.date())
    return unicodedata.normalize("NFC", str(value))
