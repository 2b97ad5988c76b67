"""The one door for tables: pandas, pyarrow, or anything with the Arrow PyCapsule interface (polars, duckdb …).

Past it there are arrays. pandas and pyarrow quote the offending value in their own errors, so every conversion runs
in a guard that raises our error after leaving the ``except`` block.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kokeilu._checks import count_of, unknown_name
from kokeilu.core.levels import level_text
from kokeilu.core.population import Factor, frozen_array
from kokeilu.core.protocols import Floats, Ints
from kokeilu.errors import ColumnError, DataError, KokeiluError

__all__ = [
    "column_names",
    "level_text",
    "read_columns",
    "read_factor",
    "read_factor_or_missing",
    "read_ids",
    "read_number",
    "refuse_decimal_commas",
    "rows_to_arrow",
    "text_like",
]

_T = TypeVar("_T")
_WITH_COMMA = re.compile("-?[0-9]+(,[0-9]+)?")
_LEVEL_KINDS = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_boolean,
    pa.types.is_date,
    pa.types.is_timestamp,
    pa.types.is_time,
)


def _guard(action: Callable[[], _T], error: KokeiluError) -> _T:
    """Run a conversion; on failure raise our own error with nothing of the original in its context."""
    try:
        return action()
    except (pa.ArrowException, ValueError, TypeError, ArithmeticError, LookupError, AttributeError):
        failed = error
    raise failed


def column_names(table: object) -> list[str]:
    """Return the names of a table's columns.

    Raises
    ------
    ColumnError
        Where `table` is no table.
    """
    return list(_columns(table)[0])


def _columns(table: Any) -> tuple[dict[str, Any], list[str]]:
    """Return a way to each column by its name, and the names that occur more than once."""
    if isinstance(table, Mapping) or (hasattr(table, "iloc") and hasattr(table, "columns")):
        labels = list(table if isinstance(table, Mapping) else table.columns)
        names, take = [str(label) for label in labels], table.__getitem__
    else:
        arrow = _arrow(table)
        labels, take = list(range(arrow.num_columns)), arrow.column
        names = arrow.column_names
    found = {name: partial(take, label) for name, label in zip(names, labels, strict=True)}
    return found, sorted({name for name in names if len(found) < len(names) and names.count(name) > 1})


def _arrow(table: Any) -> pa.Table:
    error = ColumnError(
        f"a table is needed: a pandas DataFrame, a pyarrow Table, or one with the Arrow interface (polars, duckdb); "
        f"got {type(table).__name__}. Collect a lazy table, and "
        "read all of a stream, first; read a file with pandas.read_parquet or the like."
    )
    once = isinstance(table, pa.RecordBatchReader)
    if once or not (isinstance(table, pa.Table) or hasattr(table, "__arrow_c_stream__")):
        raise error
    return table if isinstance(table, pa.Table) else _guard(lambda: pa.table(table), error)


def read_columns(table: object, names: Sequence[str], *, where: str) -> dict[str, pa.Array]:
    """Return the named columns as Arrow arrays, in the table's row order.

    Raises
    ------
    ColumnError
        Where a column is absent (with the nearest name) or occurs twice, or holds values of mixed kinds.
    """
    found, twice = _columns(table)
    # A name typed with "ä" finds a column stored with "a" and a combining diaeresis, and the other way round.
    composed: dict[str, list[str]] = {}
    for stored in found:
        composed.setdefault(unicodedata.normalize("NFC", stored), []).append(stored)
    arrays = {}
    for name in names:
        if not isinstance(name, str):
            raise ColumnError(f"{where}: a column is named by text; got {type(name).__name__}.")
        same = composed.get(unicodedata.normalize("NFC", name), [])
        if len(same) > 1 or same[:1] in [[other] for other in twice]:
            raise ColumnError(f"{where} has {max(len(same), 2)} columns called {name!r}. Keep one of them.")
        if not same:
            index = getattr(getattr(table, "index", None), "name", None)
            if isinstance(index, str) and index == name:
                raise ColumnError(f"{where} has {name!r} as its index, not as a column. Call reset_index() first.")
            raise unknown_name(name, list(found), what="column", where=where, error=ColumnError)
        arrays[name] = _array(found[same[0]], name, where)
    lengths = {len(array) for array in arrays.values()}
    if len(lengths) > 1:
        raise DataError(f"{where}: the columns have different lengths, {min(lengths):,} to {max(lengths):,} rows.")
    return arrays


def _array(take: Callable[[], Any], name: str, where: str) -> pa.Array:
    mixed = ColumnError(
        f"{where}: column {name!r} holds values of mixed kinds, or of a kind that cannot be read. "
        "Make it all numbers or all text (for pandas: astype('string') or pandas.to_numeric)."
    )
    return _guard(lambda: _flat(_from_pandas(take())), mixed)


def _from_pandas(values: Any) -> Any:
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values
    # pandas.cut and periods: Arrow has no such kinds, so a level is its text, such as "(0, 5]".
    if str(getattr(values, "dtype", "")).startswith(("interval", "period")):
        values = values.astype("category")
    categories = getattr(getattr(values, "dtype", None), "categories", None)
    if categories is not None and str(getattr(categories, "dtype", "")).startswith(("interval", "period")):
        values = values.cat.rename_categories([str(category) for category in categories])
    return pa.array(values, from_pandas=True)


def _flat(column: Any) -> pa.Array:
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(flat, pa.ChunkedArray):
        flat = pa.concat_arrays(flat.chunks) if flat.num_chunks else pa.array([], type=column.type)
    if pa.types.is_dictionary(flat.type) and pa.types.is_string_view(flat.type.value_type):
        flat = pa.DictionaryArray.from_arrays(flat.indices, _plain_text(flat.dictionary))
    if pa.types.is_string_view(flat.type):
        flat = _plain_text(flat)
    if pa.types.is_floating(flat.type):
        nan = pc.is_nan(flat)
        flat = pc.if_else(pc.fill_null(nan, False), pa.scalar(None, type=flat.type), flat)
    return flat


def _plain_text(view: pa.Array) -> pa.Array:
    # Arrow before version 18 has no cast for this kind.
    return pa.array(view.to_pylist(), type=pa.large_string())


def _missing(column: pa.Array) -> tuple[int, int]:
    """Return how many values are missing and the first such row (from 0)."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_null(column.type):
        return len(column), 0
    absent = np.asarray(pc.is_null(column, nan_is_null=True))
    return int(absent.sum()), int(absent.argmax()) if len(absent) else 0


def read_factor(column: pa.Array, name: str, *, where: str) -> Factor:
    """Return a column as codes and sorted levels; the kind of the column never shows.

    Raises
    ------
    DataError
        Where a value is missing: how many and the first row, never whose.
    """
    missing, first = _missing(column)
    if missing:
        raise DataError(
            f"{where}: column {name!r} is missing for {count_of(missing, 'person', 'people')} of {len(column):,} "
            f"(first at row {first}, counted from 0). Nobody is dropped silently: fill in the value, or give the "
            "missing ones a level of their own such as 'unknown'."
        )
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_floating(kind):
        _refuse_infinite(np.asarray(column), name, where)
    error = ColumnError(
        f"{where}: column {name!r} is {_kind_word(kind)}, which makes no levels. Make it text, numbers, dates, or yes "
        "and no."
    )
    if not any(is_kind(kind) for is_kind in _LEVEL_KINDS):
        raise error
    factor = _guard(lambda: read_factor_or_missing(column), error)
    if "" in factor.levels:
        empty = int((factor.codes == factor.levels.index("")).sum())
        raise DataError(
            f"{where}: column {name!r} is empty text for {count_of(empty, 'person')} of {len(column):,}. In some "
            "registers that means missing, in others a value of its own: write out what it means, such as 'unknown'."
        )
    return factor


def text_like(column: pa.Array) -> bool:
    """Say whether a column holds categories: text, or a dictionary (a pandas category, a labelled Stata variable)."""
    kind = column.type
    return bool(pa.types.is_dictionary(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))


def refuse_decimal_commas(levels: Sequence[str], name: str, *, where: str) -> None:
    """Refuse a covariate that is text of numbers with a decimal comma: each number would be a category of its own."""
    if any("," in level for level in levels) and all(map(_WITH_COMMA.fullmatch, levels)):
        raise ColumnError(
            f"{where}: column {name!r} is text of numbers with a decimal comma, and would count as categories. "
            "Read it as numbers: in pandas with read_csv(..., decimal=',')."
        )


def read_factor_or_missing(column: pa.Array) -> Factor:
    """Return a column as codes and sorted levels, code -1 where the value is missing."""
    encoded = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    texts = pc.dictionary_encode(_level_texts(encoded.dictionary))
    order = np.asarray(pc.sort_indices(texts.dictionary), dtype=np.int64)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    # Values that are missing, in the dictionary or in the column, get the code -1.
    of_text = np.append(rank, -1)[_indices(texts.indices, len(rank))]
    codes = np.append(of_text, -1)[_indices(encoded.indices, len(of_text))]
    used = np.bincount(codes[codes >= 0], minlength=len(rank)) > 0
    levels = [level for level, is_used in zip(texts.dictionary.take(order).to_pylist(), used, strict=True) if is_used]
    if not used.all():
        codes = np.where(codes >= 0, (np.cumsum(used) - 1)[codes], -1)
    return Factor(frozen_array(codes), tuple(levels))


def _indices(indices: pa.Array, absent: int) -> Ints:
    return np.asarray(pc.fill_null(indices.cast(pa.int64()), absent))


def _level_texts(values: pa.Array) -> pa.Array:
    """Return the canonical text of each level; see :func:`level_text`."""
    kind = values.type
    if pa.types.is_integer(kind):
        return values.cast(pa.large_string())
    # Other text goes by level_text: Arrow before version 17 writes another Unicode form than it is asked for.
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if is_text and pc.all(pc.string_is_ascii(values), min_count=0).as_py():
        return values.cast(pa.large_string())
    plain = values.to_pylist()
    if pa.types.is_float32(kind) or pa.types.is_float16(kind):
        # The shortest text in their own precision: 0.1 is "0.1" there too.
        plain = [None if v is None else kind.to_pandas_dtype()(v) for v in plain]
    return pa.array([None if v is None else level_text(v) for v in plain], type=pa.large_string())


def read_number(column: pa.Array, name: str, *, where: str) -> Floats:
    """Return a column as float64, NaN where missing.

    Raises
    ------
    ColumnError
        Where the column is text, categories, or dates.
    DataError
        Where a value is infinite.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if not (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    ):
        raise ColumnError(
            f"{where}: column {name!r} is {_kind_word(kind)}, and a number is needed. "
            "Recode it to numbers (0 and 1 for a yes or no)."
        )
    bad = ColumnError(f"{where}: column {name!r} cannot be read as numbers.")
    values = _guard(lambda: _to_float(column), bad)
    _refuse_infinite(values, name, where)
    return values


def _refuse_infinite(values: NDArray[Any], name: str, where: str) -> None:
    infinite = int(np.isinf(values).sum())
    if infinite:
        raise DataError(
            f"{where}: column {name!r} is infinite for {count_of(infinite, 'person', 'people')} of {len(values):,}. "
            "Make these values missing or correct them."
        )


def _to_float(column: pa.Array) -> Floats:
    plain = column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column
    cast = plain.cast(pa.float64(), safe=False)
    return np.array(cast.to_numpy(zero_copy_only=False), dtype=np.float64)


def _kind_word(kind: pa.DataType) -> str:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    dates = pa.types.is_temporal(kind) and not pa.types.is_duration(kind)
    return "dates" if dates else f"of kind {kind}"


def read_ids(column: pa.Array, name: str, *, where: str, once: bool = True) -> NDArray[Any]:
    """Return ids in row order as int64 or UTF-8 bytes of fixed width; `once` False lets a person have several rows.

    Raises
    ------
    DataError
        Where an id is missing, empty, a fraction, or occurs twice: counts and rows, never the id.
    ColumnError
        Where the column can be no id.
    """
    missing, first = _missing(column)
    if missing:
        raise DataError(
            f"{where}: the id column {name!r} is missing for {count_of(missing, 'row')} of {len(column):,} "
            f"(first at row {first}, counted from 0). Every person needs an id."
        )
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    ids = _whole(column, name, where) if _is_number(column.type) else _text(column, name, where)
    ordered = np.sort(ids)
    repeated = ordered[1:] == ordered[:-1]
    if once and repeated.any():
        people = len(np.unique(ordered[1:][repeated]))
        raise DataError(
            f"{where}: {count_of(people, 'id')} in {name!r} {'occurs' if people == 1 else 'occur'} more than once "
            f"({count_of(int(repeated.sum()), 'row')} too many). Keep one row for each person."
        )
    return ids


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _whole(column: pa.Array, name: str, where: str) -> NDArray[np.int64]:
    error = DataError(
        f"{where}: the id column {name!r} holds numbers that are not whole, or too large to be exact. Read it as text."
    )
    if pa.types.is_floating(column.type):
        values = np.asarray(column, dtype=np.float64)
        exact = 2.0 ** (np.finfo(column.type.to_pandas_dtype()).nmant + 1)
        if len(values) and (np.abs(values).max() >= exact or (values != np.floor(values)).any()):
            raise error
        return values.astype(np.int64)
    return np.asarray(_guard(lambda: column.cast(pa.int64()).to_numpy(zero_copy_only=False), error))


def _text(column: pa.Array, name: str, where: str) -> NDArray[np.bytes_]:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise ColumnError(
            f"{where}: the id column {name!r} is {_kind_word(column.type)}; ids are whole numbers or text."
        )
    raw = column.cast(pa.large_binary()).to_pylist()
    values = np.array(raw, dtype=np.bytes_) if raw else np.array([], dtype="S1")
    plain = pc.utf8_trim_whitespace(_level_texts(column))
    empty = pc.sum(pc.equal(pc.utf8_length(plain), 0)).as_py() or 0
    if empty:
        raise DataError(
            f"{where}: the id column {name!r} is empty text for {count_of(empty, 'row')}. Every person needs an id."
        )
    same = plain.equals(column.cast(plain.type))
    alike = 0 if same else pc.count_distinct(column).as_py() - pc.count_distinct(plain).as_py()
    if alike:
        raise DataError(
            f"{where}: {count_of(alike, 'id')} in {name!r} {'is' if alike == 1 else 'are'} the same as another but for "
            "spaces around it or the Unicode form of its letters. Clean the ids, and keep one row for each person."
        )
    if any(value.endswith(b"\x00") for value in raw):
        raise DataError(f"{where}: the id column {name!r} holds a zero byte. Clean the ids first.")
    return values


def rows_to_arrow(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return plain rows as a pyarrow Table."""
    return pa.Table.from_pylist([dict(row) for row in rows])
