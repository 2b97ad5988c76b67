"""Arguments that are tables where one value is asked for, and the numbers that are let through."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from kokeilu._checks import between, choice, positive_int
from kokeilu.errors import DesignError

TABLES = [np.array([0.1, 0.2]), np.array([[0.5]]), pd.Series([0.1, 0.2]), np.array([1, 2])]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: f"{type(table).__name__} {table.shape}")
@pytest.mark.parametrize(
    ("check", "says"),
    [
        (lambda x: between(x, 0, 1, name="accept"), "accept must be a number; got"),
        (lambda x: positive_int(x, name="draws"), "draws must be a whole number; got"),
        (lambda x: choice(x, ("a", "b"), name="rule"), "rule must be one of 'a', 'b'"),
    ],
    ids=["between", "positive_int", "choice"],
)
def test_tables_are_no_single_value(check, says, table):
    with pytest.raises(DesignError, match=says):
        check(table)


def test_numbers_of_every_kind_are_numbers():
    for value in (0.5, Fraction(1, 2), Decimal("0.5"), np.float32(0.5), np.array(0.5)):
        assert between(value, 0, 1, name="share") == 0.5
    assert positive_int(np.int64(3), name="draws") == positive_int(np.array(3), name="draws") == 3
    for value in (True, "0.5", None):
        with pytest.raises(DesignError, match="must be a number"):
            between(value, 0, 1, name="share")
