"""The register of a draw: the people in the order of their ids, with the columns that a mechanism asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kokeilu._checks import count_of, plain_text
from kokeilu.core.population import Factor, Ids, Population, frozen_array
from kokeilu.core.protocols import Floats, Ints, Mechanism
from kokeilu.core.table import (
    column_names,
    read_columns,
    read_factor,
    read_ids,
    read_number,
    refuse_decimal_commas,
    text_like,
)
from kokeilu.errors import ColumnError, DataError

__all__ = ["covariates_of", "population_of_rows", "read_population", "read_register"]


def covariates_of(mechanism: Mechanism) -> tuple[str, ...]:
    """Return the columns that a mechanism needs as numbers or categories, beside those of its strata."""
    ask = getattr(mechanism, "covariates", None)
    return tuple(ask()) if callable(ask) else ()


def read_register(
    table: object, mechanism: Mechanism, *, id: str, where: str = "the register"
) -> tuple[Population, Ints]:
    """Return the population that a mechanism asks for, and the row of the table at which each person stands.

    Raises
    ------
    ColumnError, DataError
        As :func:`read_population`.
    """
    return read_population(table, id=id, columns=mechanism.columns(), covariates=covariates_of(mechanism), where=where)


def read_population(
    table: object, *, id: str, columns: Sequence[str], covariates: Sequence[str] = (), where: str = "the register"
) -> tuple[Population, Ints]:
    """Return the population in the order of the ids, and the row of the table at which each person stands.

    Raises
    ------
    ColumnError
        For a column that is absent or of the wrong kind.
    DataError
        For an empty table, or ids, columns or covariates that are missing or repeated.
    """
    id = plain_text(id, name="the name of the id column", error=ColumnError) if isinstance(id, str) else id
    arrow = read_columns(table, tuple(dict.fromkeys((id, *columns, *covariates))), where=where)
    if len(arrow[id]) == 0:
        raise DataError(f"{where} has no rows.")
    ids = read_ids(arrow[id], id, where=where)
    order = np.argsort(ids, kind="stable").astype(np.int64)
    factors, numbers = _coded(arrow, columns, covariates, order, where)
    population = Population(id_name=id, ids=Ids(frozen_array(ids[order])), factors=factors, numbers=numbers)
    return population, order


def population_of_rows(table: object, mechanism: Mechanism, *, where: str = "the register") -> Population:
    """Return the rows of a table as a population, in their order: no id is needed to size a trial."""
    wanted = tuple(dict.fromkeys((*mechanism.columns(), *covariates_of(mechanism))))
    known = column_names(table)
    if not known:
        raise DataError(f"{where} has no columns.")
    arrow = read_columns(table, wanted or tuple(known[:1]), where=where)
    n = len(next(iter(arrow.values())))
    if n == 0:
        raise DataError(f"{where} has no rows.")
    factors, numbers = _coded(arrow, mechanism.columns(), covariates_of(mechanism), np.arange(n), where)
    return Population(id_name="row", ids=Ids(frozen_array(np.arange(n))), factors=factors, numbers=numbers)


def _coded(
    arrow: Mapping[str, Any], columns: Sequence[str], covariates: Sequence[str], order: Ints, where: str
) -> tuple[dict[str, Factor], dict[str, Floats]]:
    factors: dict[str, Factor] = {}
    numbers: dict[str, Floats] = {}
    for name in dict.fromkeys((*columns, *covariates)):
        if name in columns or text_like(arrow[name]):
            factor = read_factor(arrow[name], name, where=where)
            if name not in columns:
                refuse_decimal_commas(factor.levels, name, where=where)
            factors[name] = Factor(frozen_array(factor.codes[order]), factor.levels)
        if name in covariates and not text_like(arrow[name]):
            numbers[name] = frozen_array(_complete_numbers(arrow[name], name, where)[order])
    return factors, numbers


def _complete_numbers(column: Any, name: str, where: str) -> Floats:
    values = read_number(column, name, where=where)
    missing = np.isnan(values)
    if missing.any():
        raise DataError(
            f"{where}: column {name!r} is missing for {count_of(int(missing.sum()), 'person')} of {len(values):,} "
            f"(first at row {int(missing.argmax())}, counted from 0). The rule of the draw needs it for everybody: "
            "fill it in, and add a column that tells where it was missing."
        )
    return values
