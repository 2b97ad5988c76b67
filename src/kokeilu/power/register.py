"""The register of a simulation in the order of its lottery: outcomes, covariates and groupings."""

from __future__ import annotations

from typing import Any

import numpy as np

from kokeilu._checks import count_of
from kokeilu.core.assignment import Assignment
from kokeilu.core.protocols import Floats, Lottery
from kokeilu.core.table import read_columns, read_factor
from kokeilu.core.view import covariate_matrix, locate
from kokeilu.errors import DataError, DesignError
from kokeilu.power.layout import bind_rows
from kokeilu.power.world import MovedWorld, World

__all__ = ["bound", "known_of", "wanted_columns"]

WHERE = "the register"


def wanted_columns(analysis: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns of covariates and of groupings that an analysis reads."""
    if isinstance(analysis, type):
        return (), ()
    ask = getattr(analysis, "columns", None)
    covariates: Any = ask() if callable(ask) else getattr(analysis, "covariates", ())
    return tuple(covariates), tuple(getattr(analysis, "groups", ()))


def bound(design: object, people: object, world: object, *, named: bool) -> tuple[Lottery, Floats | None, Any]:
    """Return the lottery, what a moved world reads, (n, c), and the register's rows, in the order of the lottery."""
    moved = isinstance(world, MovedWorld)
    if isinstance(world, type) or not (moved or isinstance(world, World)):
        raise DesignError(f"world must be Shift(…) or have a method outcomes(stream); got {type(world).__name__}.")
    from_table = named or (isinstance(world, MovedWorld) and bool(world.columns()))
    rows: Any = slice(None)
    if isinstance(design, Assignment):
        lottery = design.lottery
        if from_table:
            rows = locate(design, people, where=WHERE)
    elif isinstance(design, Lottery):
        lottery = design
        if people is not None or from_table:
            raise DesignError(
                "a lottery does not know whose row is whose. Give the design or the assignment with the "
                "register, or people=None and an array in the order of the ids."
            )
    else:
        lottery = bind_rows(design, people)
    absent = int((rows < 0).sum()) if isinstance(rows, np.ndarray) else 0
    if absent:
        raise DataError(
            f"the register lacks {count_of(absent, 'person', 'people')} of the assignment; a simulation "
            "needs everybody's outcome."
        )
    if not isinstance(world, MovedWorld):
        return lottery, None, rows
    base = world.read(people)
    if len(base) != lottery.n_units:
        raise DataError(
            f"{type(world).__name__} has {len(base):,} values for {count_of(lottery.n_units, 'person', 'people')}. "
            "Give one for each."
        )
    # Arrays alone stand in the order of the ids already.
    return lottery, np.ascontiguousarray(base[rows] if world.columns() else base), rows


def known_of(people: object, rows: Any, covariates: tuple[str, ...], groups: tuple[str, ...], n: int) -> dict[str, Any]:
    """Return covariates, their names and notes, and groupings, as a view holds them."""
    if not covariates and not groups:
        return {"covariates": np.empty((n, 0))}
    columns = read_columns(people, tuple(dict.fromkeys((*covariates, *groups))), where=WHERE)
    place = np.arange(n)[rows] if isinstance(rows, slice) else rows
    x, names, notes = covariate_matrix({c: columns[c] for c in covariates}, place, where=WHERE)
    own = {name: read_factor(columns[name], name, where=WHERE).codes[place] for name in groups}
    return {"covariates": x, "names": names, "notes": notes, "groups": own}
