"""The register as integers: sorted ids and coded columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kokeilu._checks import count_of, unknown_name
from kokeilu._kernels.streams import digest
from kokeilu.core.protocols import Floats, Ints
from kokeilu.errors import ColumnError, DesignError

__all__ = ["CLUSTER_SIZE", "Factor", "Ids", "Population", "first_members", "frozen_array"]


CLUSTER_SIZE = "cluster_size"
"""What a rule for clusters asks for to have the number of people in each."""


def frozen_array(values: NDArray[Any]) -> NDArray[Any]:
    """Return the array, made read-only."""
    values.setflags(write=False)
    return values


def first_members(membership: Ints, groups: int) -> Ints:
    """Return the position of the first unit of each group, shape (groups,)."""
    first = np.zeros(groups, dtype=np.int64)
    first[membership[::-1]] = np.arange(len(membership) - 1, -1, -1)
    return first


def _occurring(values: Ints, bound: int) -> tuple[Ints, Ints]:
    """Return the distinct values below `bound` in ascending order, and the place of each value among them."""
    if bound > 4 * len(values) + 2**16:
        distinct, place = np.unique(values, return_inverse=True)
        return distinct, place.astype(np.int64, copy=False)
    seen = np.bincount(values, minlength=bound) > 0
    return np.flatnonzero(seen), (np.cumsum(seen) - 1)[values]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Ids:
    """Sorted, distinct ids: int64, or UTF-8 bytes of fixed width. Whole numbers sort by size, text by code point."""

    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"Ids({len(self):,}, {self.kind})"

    @property
    def kind(self) -> str:
        """ "whole numbers" or "text"."""
        return "text" if self.values.dtype.kind == "S" else "whole numbers"

    def find(self, wanted: NDArray[Any]) -> Ints:
        """Return the position of each wanted id, -1 where it is not here."""
        spots = np.searchsorted(self.values, wanted)
        clipped = np.minimum(spots, len(self.values) - 1)
        return np.where(self.values[clipped] == wanted, clipped, -1).astype(np.int64)

    def to_list(self) -> list[int] | list[str]:
        """Return the ids as Python values."""
        if self.kind == "text":
            return [value.decode("utf-8") for value in self.values.tolist()]
        return [int(value) for value in self.values.tolist()]

    def parts(self) -> tuple[bytes, ...]:
        """Return the bytes that enter fingerprints: kind, widths, values."""
        if self.kind == "text":
            lengths = np.char.str_len(self.values).astype("<i8")
            return b"text", lengths.tobytes(), b"".join(self.values.tolist())
        return b"int", self.values.astype("<i8").tobytes()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Factor:
    """A coded column: codes (n,) into levels, which are texts sorted by code point, each of them present."""

    codes: Ints
    levels: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Factor({count_of(len(self.levels), 'level')} of {len(self.codes):,} people)"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Population:
    """The people of a register in the order of their ids, with the columns that a mechanism asked for.

    Attributes
    ----------
    id_name : str
        The column of the ids.
    ids : Ids
    factors : mapping of column name to Factor
    numbers : mapping of column name to float64 array, shape (n,)
        Covariates that the rule of the draw needs as numbers.
    unit : str
        What a unit is called in messages: "person", or "cluster".
    """

    id_name: str
    ids: Ids
    factors: Mapping[str, Factor]
    numbers: Mapping[str, Floats] = field(default_factory=dict)
    unit: str = "person"

    def __len__(self) -> int:
        return len(self.ids)

    def factor(self, name: str) -> Factor:
        """Return a coded column, or raise ColumnError with the nearest name."""
        if name not in self.factors:
            raise unknown_name(name, list(self.factors), what="column", where="the population", error=ColumnError)
        return self.factors[name]

    def cross(self, by: tuple[str, ...]) -> tuple[Ints, tuple[tuple[str, ...], ...]]:
        """Cross columns: codes (n,) of the combinations that occur, and their levels in lexicographic order."""
        if not by:
            return frozen_array(np.zeros(len(self), dtype=np.int64)), ((),)
        codes = self.factor(by[0]).codes
        labels: list[tuple[str, ...]] = [(level,) for level in self.factor(by[0]).levels]
        for name in by[1:]:
            other = self.factor(name)
            wide = codes * len(other.levels) + other.codes
            seen, codes = _occurring(wide, len(labels) * len(other.levels))
            pairs = (divmod(pair, len(other.levels)) for pair in seen.tolist())
            labels = [(*labels[left], other.levels[right]) for left, right in pairs]
        return frozen_array(codes.astype(np.int64, copy=False)), tuple(labels)

    def matrix(self, names: tuple[str, ...]) -> tuple[Floats, tuple[str, ...]]:
        """Return covariates as a matrix (n, p) and its labels: categories as indicators of all levels but the first."""
        columns: list[Floats] = []
        labels: list[str] = []
        for name in names:
            if name in self.numbers:
                columns.append(self.numbers[name])
                labels.append(name)
                continue
            shares = [label for label in self.numbers if label.startswith(f"{name}: ")]
            if shares and name not in self.factors:
                columns += [self.numbers[label] for label in shares]
                labels += shares
                continue
            factor = self.factor(name)
            columns += [(factor.codes == code).astype(np.float64) for code in range(1, len(factor.levels))]
            labels += [f"{name}: {level}" for level in factor.levels[1:]]
        table = np.stack(columns, axis=1) if columns else np.empty((len(self), 0))
        return frozen_array(table), tuple(labels)

    def collapse(self, by: str, keep: tuple[str, ...], means: tuple[str, ...] = ()) -> tuple[Population, Ints]:
        """Return the population of clusters and each person's cluster code.

        Columns in `means` become numbers: the cluster's mean, or for categories its share of each level but the
        first; "cluster_size" is the number of people.

        Raises
        ------
        DesignError
            Where a cluster has people in more than one stratum of a kept column.
        """
        cluster = self.factor(by)
        first = first_members(cluster.codes, len(cluster.levels))
        factors = {}
        for name in keep:
            own = self.factor(name)
            split = np.unique(cluster.codes[own.codes != own.codes[first][cluster.codes]])
            if len(split):
                raise DesignError(
                    f"{count_of(len(split), 'cluster')} of {by!r} (of {len(cluster.levels):,}) "
                    f"{'has' if len(split) == 1 else 'have'} people in more than one {name!r}, so the cluster has no "
                    f"single stratum. Give each cluster one {name!r} in the register, or stratify by a column that "
                    "does not vary within clusters."
                )
            factors[name] = Factor(own.codes[first], own.levels)
        ids = Ids(np.array([level.encode("utf-8") for level in cluster.levels]))
        size = np.bincount(cluster.codes).astype(np.float64)
        table, labels = self.matrix(tuple(name for name in means if name != CLUSTER_SIZE))
        totals = [np.bincount(cluster.codes, weights=column) for column in table.T]
        numbers = {label: frozen_array(total / size) for label, total in zip(labels, totals, strict=True)}
        if CLUSTER_SIZE in means:
            numbers[CLUSTER_SIZE] = frozen_array(size)
        return Population(id_name=by, ids=ids, factors=factors, numbers=numbers, unit="cluster"), cluster.codes

    def fingerprint(self) -> str:
        """Return SHA-256 over ids and coded columns: the fingerprint of the frame. Row order does not enter."""
        parts: list[bytes] = [b"frame", self.id_name.encode(), *self.ids.parts()]
        for name in sorted(self.factors):
            factor = self.factors[name]
            levels = [level.encode() for level in factor.levels]
            parts += [name.encode(), digest(*levels), factor.codes.astype("<i8").tobytes()]
        for name in sorted(self.numbers):
            parts += [b"number", name.encode(), (self.numbers[name] + 0.0).astype("<f8").tobytes()]
        return digest(*parts).hex()
