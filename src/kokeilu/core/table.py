"""The one door for tables: pandas, pyarrow, or anything with the Arrow PyCapsule interface (polars, duckdb …).

Past it there are arrays. pandas and pyarrow quote the offending value in their own errors, so every conversion runs
in a guard that raises our error after leaving the ``except`` block.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from math import isfinite
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kokeilu._checks import count_of, unknown_name
from kokeilu.core.population import Factor, Ids, Population, frozen_array
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
    "read_population",
    "rows_to_arrow",
    "text_like",
]

_T = TypeVar("_T")


def _guard(action: Callable[[], _T], error: KokeiluError) -> _T:
    """Run a conversion; on failure raise our own error with nothing of the original in its context."""
    try:
        return action()
    except (
        pa.ArrowException,
        ValueError,
        TypeError,
        OverflowError,
        ArithmeticError,
        KeyError,
        AttributeError,
    ):
        failed = error
    raise failed


def column_names(table: object) -> list[str]:
    """Return the names of a table's columns.

    Raises
    ------
    ColumnError
        Where `table` is no table.
    """
    if isinstance(table, Mapping):
        return [str(name) for name in table]
    names = getattr(table, "column_names", None)
    if names is None:
        names = getattr(table, "columns", None)
    if names is None or callable(names) or not isinstance(names, Iterable):
        if hasattr(table, "__arrow_c_stream__"):
            return list(pa.table(table).column_names)
        raise ColumnError(
            f"a table is needed: a pandas DataFrame, a pyarrow Table, or one with the Arrow interface (polars, "
            f"duckdb); got {type(table).__name__}."
        )
    return [str(name) for name in names]


def read_columns(table: object, names: Sequence[str], *, where: str) -> dict[str, pa.Array]:
    """Return the named columns as Arrow arrays, in the table's row order.

    Raises
    ------
    ColumnError
        Where a column is absent (with the nearest name) or occurs twice, or holds values of mixed kinds.
    """
    known = column_names(table)
    for name in names:
        if not isinstance(name, str):
            raise ColumnError(f"{where}: a column is named by text; got {type(name).__name__}.")
    # A name typed with "ä" finds a column stored with "a" and a combining diaeresis, and the other way round.
    composed = {unicodedata.normalize("NFC", name): name for name in known}
    stored = {name: name if name in known else composed.get(unicodedata.normalize("NFC", name), name) for name in names}
    for name in stored.values():
        if name not in known:
            index = getattr(getattr(table, "index", None), "name", None)
            if index == name:
                raise ColumnError(f"{where} has {name!r} as its index, not as a column. Call reset_index() first.")
            raise unknown_name(name, known, what="column", where=where, error=ColumnError)
        if known.count(name) > 1:
            raise ColumnError(f"{where} has {known.count(name)} columns called {name!r}. Keep one of them.")
    if hasattr(table, "iloc") or isinstance(table, Mapping):
        return {name: _series(table[key], name, where) for name, key in stored.items()}  # type: ignore[index]
    arrow = table if isinstance(table, pa.Table) else pa.table(table)
    return {name: _flat(arrow.column(key), name, where) for name, key in stored.items()}


def _series(values: Any, name: str, where: str) -> pa.Array:
    mixed = ColumnError(
        f"{where}: column {name!r} holds values of mixed kinds, or of a kind that cannot be read. "
        "Make it all numbers or all text (for pandas: astype('string') or pandas.to_numeric)."
    )
    return _flat(_guard(lambda: pa.array(values, from_pandas=True), mixed), name, where)


def _flat(column: Any, name: str, where: str) -> pa.Array:
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(flat, pa.ChunkedArray):
        flat = pa.concat_arrays(flat.chunks) if flat.num_chunks else pa.array([], type=column.type)
    if pa.types.is_dictionary(flat.type) and pa.types.is_string_view(flat.type.value_type):
        flat = pa.DictionaryArray.from_arrays(flat.indices, flat.dictionary.cast(pa.large_string()))
    if pa.types.is_string_view(flat.type):
        flat = flat.cast(pa.large_string())
    if pa.types.is_floating(flat.type):
        nan = pc.is_nan(flat)
        flat = pc.if_else(pc.fill_null(nan, False), pa.scalar(None, type=flat.type), flat)
    return flat


def _missing(column: pa.Array) -> tuple[int, int]:
    """Return how many values are missing and the first such row (from 0)."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_null(column.type):
        return len(column), 0
    absent = np.asarray(pc.is_null(column, nan_is_null=True))
    return int(absent.sum()), int(absent.argmax()) if len(absent) else 0


def level_text(value: object) -> str:
    """Return the canonical text of a level: 1, 1.0, "1" and a category labelled "1" are the same level."""
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (float, np.floating, Decimal)) and isfinite(value) and value == int(value):
        return str(int(value))
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    return unicodedata.normalize("NFC", str(value))


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
    if pa.types.is_floating(column.type):
        _refuse_infinite(np.asarray(column), name, where)
    return read_factor_or_missing(column)


def text_like(column: pa.Array) -> bool:
    """Say whether a column holds categories: text, or a dictionary (a pandas category, a labelled Stata variable)."""
    kind = column.type
    return bool(pa.types.is_dictionary(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))


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
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pc.utf8_normalize(values.cast(pa.large_string()), form="NFC")
    return pa.array([None if v is None else level_text(v) for v in values.to_pylist()], type=pa.large_string())


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
    return "dates" if pa.types.is_temporal(kind) else f"of kind {kind}"


def read_ids(column: pa.Array, name: str, *, where: str) -> NDArray[Any]:
    """Return ids in row order as int64 or UTF-8 bytes of fixed width.

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
    if repeated.any():
        people = len(np.unique(ordered[1:][repeated]))
        raise DataError(
            f"{where}: {count_of(people, 'id')} in {name!r} {'occurs' if people == 1 else 'occur'} more than once "
            f"({int(repeated.sum()):,} rows too many). Keep one row for each person."
        )
    return ids


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _whole(column: pa.Array, name: str, where: str) -> NDArray[np.int64]:
    error = DataError(
        f"{where}: the id column {name!r} holds numbers that are not whole, or too large to be exact. Read it as text."
    )
    if pa.types.is_floating(column.type):
        values = np.asarray(column)
        if len(values) and (np.abs(values).max() >= 2**53 or (values != np.floor(values)).any()):
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
    empty = int(np.sum(np.char.str_len(values) == 0)) if len(values) else 0
    if empty:
        raise DataError(
            f"{where}: the id column {name!r} is empty text for {count_of(empty, 'row')}. Every person needs an id."
        )
    if any(value.endswith(b"\x00") for value in raw):
        raise DataError(f"{where}: the id column {name!r} holds a zero byte. Clean the ids first.")
    return values


def read_population(
    table: object, *, id: str, columns: Sequence[str], where: str = "the register"
) -> tuple[Population, Ints]:
    """Return the population in the order of the ids, and the row of the table at which each person stands.

    Raises
    ------
    DataError
        For an empty table, or ids or columns that are missing or repeated.
    """
    arrow = read_columns(table, (id, *columns), where=where)
    if len(arrow[id]) == 0:
        raise DataError(f"{where} has no rows.")
    ids = read_ids(arrow[id], id, where=where)
    order = np.argsort(ids, kind="stable").astype(np.int64)
    factors = {}
    for name in columns:
        factor = read_factor(arrow[name], name, where=where)
        factors[name] = Factor(frozen_array(factor.codes[order]), factor.levels)
    return Population(id_name=id, ids=Ids(frozen_array(ids[order])), factors=factors), order


def rows_to_arrow(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return plain rows as a pyarrow Table."""
    return pa.Table.from_pylist([dict(row) for row in rows])
