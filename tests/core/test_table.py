"""The one door for tables: what comes in, what is refused, and what never comes out in a message."""

from __future__ import annotations

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from kokeilu.core.register import read_population
from kokeilu.core.table import (
    column_names,
    level_text,
    read_columns,
    read_factor,
    read_ids,
    read_number,
)
from kokeilu.errors import ColumnError, DataError

SECRET = "SECRET-0001"


def column(values, name="x"):
    return read_columns({name: values}, (name,), where="the table")[name]


def number(values):
    return read_number(column(values), "x", where="the table")


def factor(values):
    return read_factor(column(values), "x", where="the table")


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 1],
        [1.0, 2.0, 1.0],
        ["1", "2", "1"],
        pd.Series([1, 2, 1], dtype="category"),
        pd.Series(["1", "2", "1"], dtype="category"),
        pd.Series([1, 2, 1], dtype="Int64"),
        [decimal.Decimal(1), decimal.Decimal(2), decimal.Decimal(1)],
        pd.Series(pd.Categorical(["1", "2", "1"], ["2", "unused", "1"])),
    ],
    ids=lambda v: f"{type(v).__name__} {getattr(v, 'dtype', type(v[0]).__name__)}",
)
def test_a_level_is_its_text_whatever_its_kind(values):
    found = factor(values)
    assert found.levels == ("1", "2")
    assert found.codes.tolist() == [0, 1, 0]


def test_codes_with_leading_zeros_are_other_codes():
    assert factor(["01", "1"]).levels == ("01", "1")


def test_empty_text_must_be_given_a_meaning():
    with pytest.raises(DataError, match="'x' is empty text for 2 people of 3. In some registers that means missing"):
        factor(["", "a", ""])


def test_composed_and_decomposed_letters_are_one_level():
    assert factor(["Ma\u0308ki", "M\u00e4ki"]).levels == ("M\u00e4ki",)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1.5])
def test_level_text_of_other_numbers(value):
    assert level_text(value) == str(value)


@pytest.mark.parametrize(
    "values", [["a", None], [1.0, float("nan")], pd.Series(["a", None], dtype="category"), [None, None]]
)
def test_missing_levels_are_counted(values):
    with pytest.raises(DataError, match=r"column 'x' is missing for [12] (person|people) of 2 \(first at row [01]"):
        factor(values)


def test_polars_nan_is_missing():
    table = pl.DataFrame({"x": [1.0, float("nan")]})
    with pytest.raises(DataError, match="missing for 1 person of 2"):
        read_factor(read_columns(table, ("x",), where="t")["x"], "x", where="t")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, None, 3], [1, np.nan, 3]),
        ([True, False, None], [1, 0, np.nan]),
        ([decimal.Decimal("1.5"), None], [1.5, np.nan]),
        ([None, None], [np.nan, np.nan]),
        (np.array([1, 2], dtype=np.uint64), [1, 2]),
        (pd.Series([1, 2], dtype="category"), [1, 2]),
        (np.array([1.5, 2], dtype=np.float32), [1.5, 2]),
    ],
    ids=str,
)
def test_numbers(values, expected):
    np.testing.assert_array_equal(number(values), expected)


def test_text_and_dates_are_no_numbers():
    with pytest.raises(ColumnError, match="column 'x' is text, and a number is needed"):
        number(["1", SECRET])
    with pytest.raises(ColumnError, match="column 'x' is dates, and a number is needed"):
        number([dt.date(2026, 1, 1)])


def test_infinite_values_are_counted():
    with pytest.raises(DataError, match="'x' is infinite for 2 people of 3"):
        number([np.inf, -np.inf, 1.0])


def test_mixed_kinds_are_refused_and_nothing_is_quoted():
    with pytest.raises(ColumnError, match="column 'x' holds values of mixed kinds") as info:
        column(pd.Series([1, SECRET], dtype=object))
    assert SECRET not in str(info.value)
    assert info.value.__context__ is None
    assert info.value.__cause__ is None


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1, 2, 2, 2], r"1 id in 'x' occurs more than once \(2 rows too many\)"),
        ([SECRET, "b", SECRET], r"1 id in 'x' occurs more than once"),
        ([1, None], "id column 'x' is missing for 1 row of 2"),
        ([1.0, float("nan")], "id column 'x' is missing for 1 row of 2"),
        (["", "a"], "id column 'x' is empty text for 1 row"),
        ([1.5, 2.0], "holds numbers that are not whole"),
        ([2.0**60, 1.0], "too large to be exact"),
        (np.array([2**24, 1], dtype=np.float32), "too large to be exact"),
        (np.array([2**63 + 5, 1], dtype=np.uint64), "holds numbers that are not whole, or too large"),
        (["a\x00", "b"], "holds a zero byte"),
    ],
    ids=str,
)
def test_ids_that_name_nobody(ids, message):
    with pytest.raises(DataError, match=message) as info:
        read_ids(column(ids), "x", where="the table")
    assert SECRET not in str(info.value)


def test_ids_of_other_kinds():
    with pytest.raises(ColumnError, match="ids are whole numbers or text"):
        read_ids(column([True, False]), "x", where="the table")


def test_columns_that_are_not_there():
    frame = pd.DataFrame({"region": [1], "Region": [2], "age": [3]})
    with pytest.raises(ColumnError, match=r"the register has no column 'regoin'. Did you mean '[Rr]egion'\?"):
        read_columns(frame, ("regoin",), where="the register")
    with pytest.raises(ColumnError, match="'age' as its index, not as a column. Call reset_index"):
        read_columns(frame.set_index("age"), ("age",), where="the register")
    with pytest.raises(ColumnError, match="the register has 2 columns called 'a'"):
        read_columns(pd.DataFrame([[1, 2]], columns=["a", "a"]), ("a",), where="the register")


def test_column_names_match_composed_or_not():
    frame = pd.DataFrame({"a\u0308lue": ["x"]})
    assert list(read_columns(frame, ("\u00e4lue",), where="the register")) == ["\u00e4lue"]


@pytest.mark.parametrize("thing", [None, 3, "table.csv", [1, 2]])
def test_what_is_no_table_is_refused(thing):
    with pytest.raises(ColumnError, match="a table is needed: a pandas DataFrame"):
        column_names(thing)


def test_anything_with_the_arrow_interface_is_a_table():
    class Capsule:
        def __arrow_c_stream__(self, requested_schema=None):
            return pa.table({"id": [2, 1], "x": ["b", "a"]}).__arrow_c_stream__(requested_schema)

    population, order = read_population(Capsule(), id="id", columns=("x",))
    assert population.ids.to_list() == [1, 2]
    assert order.tolist() == [1, 0]
    assert population.factor("x").codes.tolist() == [0, 1]


def test_an_empty_register_is_refused():
    with pytest.raises(DataError, match="the register has no rows"):
        read_population({"id": []}, id="id", columns=())


def test_text_ids_sort_by_code_point_and_are_found():
    population, _ = read_population({"id": ["ä", "B", "a", "10", "9"]}, id="id", columns=())
    assert population.ids.to_list() == ["10", "9", "B", "a", "ä"]
    assert population.ids.find(np.array([b"a", b"zz"])).tolist() == [3, -1]


def test_a_float_level_is_the_same_in_every_precision_and_as_a_decimal():
    exact = [0.1, 0.25, 2.0, 1e-7]
    kinds = [
        exact,
        np.array(exact, dtype=np.float32),
        [decimal.Decimal(text) for text in ("0.10", "0.250", "2.0", "0.0000001")],
        pd.Series(np.array(exact, dtype=np.float32), dtype="category"),
    ]
    assert {factor(values).levels for values in kinds} == {("0.1", "0.25", "1e-07", "2")}


def test_a_date_is_the_same_level_as_its_midnight():
    days = [dt.date(2026, 1, 2), dt.date(2026, 1, 1)]
    kinds = [
        days,
        pd.Series(pd.to_datetime(days)),
        pd.Series(pd.to_datetime(days).astype("datetime64[ns]")),
        pd.Series(pd.to_datetime(days), dtype="category"),
        pl.Series(days).to_arrow(),
        [day.isoformat() for day in days],
    ]
    assert {factor(values).levels for values in kinds} == {("2026-01-01", "2026-01-02")}
    assert level_text(dt.datetime(2026, 1, 1, 12)) == "2026-01-01 12:00:00"


def test_intervals_of_pandas_cut_and_periods_are_levels():
    ages = pd.Series([18, 40, 61])
    assert factor(pd.cut(ages, [0, 25, 50, 99])).levels == ("(0, 25]", "(25, 50]", "(50, 99]")
    assert factor(pd.Series(pd.period_range("2026-01", periods=2, freq="M"))).levels == ("2026-01", "2026-02")
    with pytest.raises(DataError, match="column 'x' is missing for 1 person of 3"):
        factor(pd.cut(ages, [20, 50, 99]))


@pytest.mark.parametrize(
    "values",
    [
        [[1], [2]],
        [{"a": 1}, {"a": 2}],
        [SECRET.encode(), b"b"],
        [dt.timedelta(1), dt.timedelta(2)],
        pa.array([b"\xff", b"b"]).dictionary_encode(),
    ],
    ids=lambda v: type(v[0]).__name__,
)
def test_what_makes_no_levels_is_refused(values):
    with pytest.raises(ColumnError, match="column 'x' is of kind .*, which makes no levels") as info:
        factor(values)
    assert SECRET not in str(info.value)
    assert info.value.__context__ is None


def test_infinite_categories_are_refused():
    with pytest.raises(DataError, match="'x' is infinite for 1 person of 2"):
        factor(pd.Series([np.inf, 1.0], dtype="category"))


def test_columns_of_different_lengths_are_refused():
    for levels in (["a"] * 3, ["a"] * 5):
        with pytest.raises(DataError, match="the columns have different lengths, [34] to [45] rows"):
            read_population({"id": [1, 2, 3, 4], "x": levels}, id="id", columns=("x",))


def test_columns_named_by_numbers_are_found_by_their_text():
    assert read_columns(pd.DataFrame({0: [1, 2]}), ("0",), where="t")["0"].to_pylist() == [1, 2]


def test_two_columns_of_one_printed_name_are_refused():
    frame = pd.DataFrame({"a\u0308": [1], "\u00e4": [2]})
    for name in frame:
        with pytest.raises(ColumnError, match="the register has 2 columns called"):
            read_columns(frame, (name,), where="the register")


@pytest.mark.parametrize(
    "table",
    [
        pd.Series([1, 2], name="id"),
        pl.DataFrame({"id": [1, 2]}).lazy(),
        pa.table({"id": [1, 2]}).to_reader(),
        np.zeros((2, 2)),
    ],
    ids=lambda t: type(t).__name__,
)
def test_what_is_no_whole_table_is_refused(table):
    with pytest.raises(ColumnError, match="Collect a lazy table, and read all of a stream, first"):
        read_columns(table, ("id",), where="the register")


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([f"{SECRET} ", SECRET, "b"], r"1 id in 'x' is the same as another but for spaces"),
        (["a\u0308", "\u00e4", " \u00e4"], r"2 ids in 'x' are the same as another but for spaces"),
        (["  ", "b"], "empty text for 1 row"),
    ],
)
def test_ids_that_print_alike_are_refused(ids, message):
    with pytest.raises(DataError, match=message) as info:
        read_ids(column(ids), "x", where="the table")
    assert SECRET not in str(info.value)


def test_levels_are_composed_by_python_and_not_by_the_version_of_arrow(monkeypatch):
    """Arrow 16 returns decomposed text for form="NFC", which would change the order of the levels."""
    monkeypatch.setattr("pyarrow.compute.utf8_normalize", lambda *_, **__: pytest.fail("Arrow was asked"))
    assert factor(["\u00c5bo", "Abo", "A\u030abo"]).levels == ("Abo", "\u00c5bo")


def test_small_whole_ids_of_any_float_are_read():
    for kind in (np.float32, np.float64):
        assert read_ids(column(np.arange(3, dtype=kind)), "x", where="the table").tolist() == [0, 1, 2]
