"""Worlds: the outcomes that people would have, for simulated power."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from kokeilu._checks import count_of
from kokeilu._kernels.streams import Stream
from kokeilu.core.population import frozen_array
from kokeilu.core.protocols import Floats
from kokeilu.core.table import read_columns, read_number
from kokeilu.errors import DataError, DesignError

__all__ = ["Column", "MovedWorld", "Shift", "World", "checked_column", "column_name", "read_column"]

Column = str | npt.ArrayLike


@runtime_checkable
class World(Protocol):
    """Potential outcomes, made anew for each simulated trial."""

    def outcomes(self, stream: Stream) -> Floats:
        """Return every person's outcome under every arm, shape (n, arms), people in the lottery's order.

        Random worlds read words from `stream` and from nothing else; each simulated trial has its own stream.
        """
        ...


@runtime_checkable
class MovedWorld(Protocol):
    """Outcomes as they were, and what an effect of an arm makes of them.

    Attributes
    ----------
    none : float
        No effect: 0, or 1 for a ratio.
    additive : bool
        Whether an effect adds the same to everybody; one set of draws then serves every effect.
    random : bool
        Whether `under` reads from its stream.
    """

    @property
    def none(self) -> float:
        """No effect."""
        ...

    @property
    def additive(self) -> bool:
        """Whether an effect adds the same to everybody."""
        ...

    @property
    def random(self) -> bool:
        """Whether chance enters."""
        ...

    def columns(self) -> tuple[str, ...]:
        """Return the columns of the register that `read` takes; () where all is given as arrays."""
        ...

    def read(self, people: Any) -> Floats:
        """Return what is known of each person, shape (n, c), the outcome without an effect first."""
        ...

    def under(self, base: Floats, effect: float, stream: Stream, arm: str) -> Floats:
        """Return everybody's outcome, (n,), in an arm with this effect; with `none` the outcome of the first column.

        Equal streams give equal chances whatever the effect, so that effects are compared in the same trials.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Shift:
    """Outcomes as they were, and an arm that moves everybody by the same effect.

    Parameters
    ----------
    outcome : str or array of shape (n,)
        A numeric column of the register, for instance last year's earnings, or one value for each person: in
        the order of the register's rows for a design, in the order of the ids for an assignment or a lottery.

    Raises
    ------
    DesignError
        An array that is not one-dimensional.
    DataError
        Values that are missing or infinite: a simulation needs everybody's outcome.

    Examples
    --------
    >>> Shift([3.0, 1.0, 2.0, 5.0]).values([0, 1, 2, 3]).tolist()
    [3.0, 1.0, 2.0, 5.0]
    """

    outcome: Column
    none: ClassVar[float] = 0.0
    additive: ClassVar[bool] = True
    random: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "outcome", checked_column(self.outcome, "Shift"))

    def columns(self) -> tuple[str, ...]:
        """Columns of the register."""
        return column_name(self.outcome)

    def values(self, people: Any) -> Floats:
        """Return everybody's outcome without an effect, in the order of the register's rows."""
        return read_column(self.outcome, people)

    def read(self, people: Any) -> Floats:
        """Return the outcome as one column, (n, 1)."""
        return self.values(people)[:, None]

    def under(self, base: Floats, effect: float, stream: Stream, arm: str) -> Floats:
        """Return the outcome with the effect added."""
        return np.asarray(base[:, 0] + effect, dtype=np.float64)


def checked_column(column: Column, kind: str, *, varies: bool = True) -> Column:
    """Return the name of a column, or an array made read-only."""
    if isinstance(column, str):
        return column
    try:
        array = np.array(column, dtype=np.float64)
    except (TypeError, ValueError):
        array = None
    if array is None or array.ndim != 1:
        raise DesignError(f"{kind} needs the name of a numeric column, or one number for each person.")
    return frozen_array(_complete(array, kind, varies))


def column_name(*columns: Column) -> tuple[str, ...]:
    """Return those that are names."""
    return tuple(column for column in columns if isinstance(column, str))


def read_column(column: Column, people: Any, *, varies: bool = True) -> Floats:
    """Return a column of the register without gaps, or the array itself."""
    if isinstance(column, str):
        where = "the register"
        values = read_number(read_columns(people, (column,), where=where)[column], column, where=where)
        return _complete(values, f"{where}: column {column!r}", varies)
    return np.asarray(column, dtype=np.float64)


def _complete(values: Floats, where: str, varies: bool) -> Floats:
    """Return the values, or refuse gaps and an outcome that never varies."""
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise DataError(
            f"{where} has no finite value for {count_of(bad, 'person', 'people')} of {len(values):,}; a "
            "simulation needs everybody's outcome. Fill the gaps in, or leave these people out of the "
            "register."
        )
    if varies and len(values) and np.ptp(values) == 0.0:
        raise DataError(f"{where} is the same for everybody, so an effect has no standard error. Choose another.")
    return values
