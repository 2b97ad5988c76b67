from __future__ import annotations

import numpy as np
import pytest

import kokeilu as kk
from kokeilu.io.registers import read_register

ARMS = kk.arms(a=1, b=1)


@pytest.mark.parametrize(
    ("first", "last"), [("1", "1.5"), ("1", "x7"), ("true", "1"), ("1", "9007199254740993")], ids=str
)
def test_a_later_block_may_hold_other_kinds_than_the_first(first, last, tmp_path):
    """Arrow guesses the kind of a column from the first megabyte; sorted registers change after it."""
    n = 150_000
    values = [first] * (n - 10) + [last] * 10
    table = {"id": [f"P{i:09d}" for i in range(n)], "x": values}
    drawn = kk.randomise(table, kk.Stratified(ARMS, by="x"), id="id", seed=1)
    rows = "\n".join(f"{i},{x}" for i, x in zip(table["id"], values, strict=True))
    path = tmp_path / "register.csv"
    path.write_text("id,x\n" + rows + "\n", encoding="utf-8")
    assert kk.verify(drawn, read_register(path, drawn)).verified


def test_numbers_written_as_fractions_are_the_same_levels(tmp_path):
    drawn = kk.randomise(
        {"id": [1, 2, 3, 4], "x": np.array([1, 2, 1, 2])}, kk.Stratified(ARMS, by="x"), id="id", seed=1
    )
    path = tmp_path / "register.csv"
    path.write_text("id,x\n1,1.0\n2,2.0\n3,1.0\n4,2.0\n", encoding="utf-8")
    assert kk.verify(drawn, read_register(path, drawn)).verified
