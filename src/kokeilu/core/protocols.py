"""What the rest of the library may ask of a mechanism and of a lottery."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.streams import Stream
from kokeilu.core.arms import Arms

if TYPE_CHECKING:
    from kokeilu.core.population import Population

__all__ = [
    "Cells",
    "Codes",
    "Countable",
    "Exchangeable",
    "Floats",
    "Ints",
    "KnowsShares",
    "Lottery",
    "Mechanism",
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
    """

    strata: Ints
    clusters: Ints | None = None
    fixed: bool = True
    names: tuple[str, ...] = ()
    cluster_name: str | None = None
    whole: bool = True


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
