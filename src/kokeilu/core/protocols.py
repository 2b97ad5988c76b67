"""What the rest of the library may ask of a mechanism and of a lottery."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.streams import Stream
from kokeilu.core.arms import Arms

if TYPE_CHECKING:
    from kokeilu.core.population import Population

__all__ = [
    "Cautions",
    "Cells",
    "Codes",
    "Countable",
    "DealsSeats",
    "Exchangeable",
    "Floats",
    "Ints",
    "KnowsShares",
    "Lottery",
    "Mechanism",
    "SeatTables",
    "Seating",
]

Codes: TypeAlias = NDArray[np.int8]
Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """Who is interchangeable with whom.

    Attributes
    ----------
    strata : int64 array, shape (n,)
        Codes 0..S-1; all 0 where there are no strata. Units (or clusters) of a stratum are exchangeable.
    clusters : int64 array, shape (n,), or None
        Codes 0..G-1 of the clusters that are drawn whole.
    fixed : bool
        True where the number of units (or clusters) per stratum and arm is fixed up to left-over seats;
        False where each is drawn on its own.
    names : tuple of str
        The columns that define the strata, for labels.
    cluster_name : str or None
        The column that defines the clusters.
    whole : bool
        False where people of one cluster may stand in several arms (two-stage designs): the clusters are then what
        was drawn independently, for variances, and no cluster has an arm of its own.
    waves : int64 array, shape (n,), or None
        The wave of each person where shares of a wave follow the outcomes before it: then only people of one wave are
        comparable. Strata lie within waves.
    """

    strata: Ints
    clusters: Ints | None = None
    fixed: bool = True
    names: tuple[str, ...] = ()
    cluster_name: str | None = None
    whole: bool = True
    waves: Ints | None = None


SeatTables: TypeAlias = tuple[Ints, Floats]
"""Tables of seats, shape (T, S, K), with their probabilities, shape (T,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seating:
    """How a lottery deals fixed seats: given the seats of a stratum, every order of its units is equally likely.

    Attributes
    ----------
    units : int64 array, shape (n,)
        The unit of each person, 0..U-1: people themselves, or the clusters that are drawn whole.
    strata : int64 array, shape (U,)
        Codes 0..S-1 of the units' strata.
    deal : function of (stream, size)
        Seats of `size` redraws, shape (size, S, K); row r depends only on stream and r.
    law : function
        Every table of seats with its probability; None where they are too many.
    """

    units: Ints
    strata: Ints
    deal: Callable[[Stream, int], Ints]
    law: Callable[[], SeatTables | None]


@runtime_checkable
class Lottery(Protocol):
    """A mechanism bound to a population."""

    @property
    def arms(self) -> Arms:
        """The arms; codes are positions in it."""
        ...

    @property
    def n_units(self) -> int:
        """Number of people."""
        ...

    def draw(self, stream: Stream, size: int) -> Codes:
        """Return `size` independent draws, int8, shape (size, n_units); row r depends only on stream and r."""
        ...


@runtime_checkable
class KnowsShares(Protocol):
    """A lottery that knows each person's probability of each arm exactly."""

    def shares(self) -> Floats:
        """Return probabilities, shape (n_units, arms)."""
        ...


@runtime_checkable
class Countable(Protocol):
    """A lottery whose possible assignments can be listed."""

    def count(self) -> int | None:
        """Return the number of distinct assignments; None where counting would cost too much."""
        ...

    def every(self) -> Iterator[tuple[Codes, Floats]]:
        """Yield chunks of distinct assignments, shape (b, n_units), with their exact probabilities, shape (b,)."""
        ...


@runtime_checkable
class Exchangeable(Protocol):
    """A lottery in which units are interchangeable within cells."""

    def cells(self) -> Cells:
        """Return the cells."""
        ...


@runtime_checkable
class DealsSeats(Protocol):
    """A lottery that may deal fixed seats to units that are exchangeable within strata: exact and fast routes."""

    def seating(self) -> Seating | None:
        """Return how; None where the units of a stratum are not exchangeable given its seats."""
        ...


@runtime_checkable
class Cautions(Protocol):
    """A lottery under which the usual estimates are less sure than they look."""

    def cautions(self) -> tuple[str, ...]:
        """Return what to say beside each estimate and its interval: what is off, and what to do. Empty for nothing."""
        ...


@runtime_checkable
class Mechanism(Protocol):
    """A rule for randomising: parameters only, no data."""

    def columns(self) -> tuple[str, ...]:
        """Return the columns of the register that the rule needs."""
        ...

    def bind(self, population: Population) -> Lottery:
        """Bind the rule to a population."""
        ...

    def describe(self) -> str:
        """Say the rule in one sentence."""
        ...
