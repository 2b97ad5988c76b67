"""Worlds: the outcomes that people would have, for simulated power."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from kokeilu._checks import count_of
from kokeilu._kernels.streams import Stream
from kokeilu.core.population import frozen_array
from kokeilu.core.protocols import Floats
from kokeilu.core.table import read_columns, read_number
from kokeilu.errors import DataError, DesignError

__all__ = ["Shift", "World"]


@runtime_checkable
class World(Protocol):
    """Potential outcomes, made anew for each simulated trial."""

    def outcomes(self, stream: Stream) -> Floats:
        """Return every person's outcome under every arm, shape (n, arms), people in the lottery's order.

        Random worlds read words from `stream` and from nothing else; each simulated trial has its own stream.
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

    outcome: str | npt.ArrayLike

    def __post_init__(self) -> None:
        if isinstance(self.outcome, str):
            return
        try:
            array = np.array(self.outcome, dtype=np.float64)
        except (TypeError, ValueError):
            array = None
        if array is None or array.ndim != 1:
            raise DesignError("Shift needs the name of a numeric column, or one number for each person.")
        object.__setattr__(self, "outcome", frozen_array(_complete(array, "Shift")))

    def values(self, people: Any) -> Floats:
        """Return everybody's outcome without an effect, in the order of the register's rows."""
        if isinstance(self.outcome, str):
            where = "the register"
            column = read_columns(people, (self.outcome,), where=where)[self.outcome]
            return _complete(read_number(column, self.outcome, where=where), f"{where}: column {self.outcome!r}")
        return np.asarray(self.outcome, dtype=np.float64)


def _complete(values: Floats, where: str) -> Floats:
    """Return the values, or refuse gaps and an outcome that never varies."""
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise DataError(
            f"{where} has no finite value for {count_of(bad, 'person', 'people')} of {len(values):,}; a "
            "simulation needs everybody's outcome. Fill the gaps in, or leave these people out of the "
            "register."
        )
    if len(values) and np.ptp(values) == 0.0:
        raise DataError(f"{where} is the same for everybody, so an effect has no standard error. Choose another.")
    return values
