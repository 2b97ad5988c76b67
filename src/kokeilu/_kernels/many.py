"""Studentised differences of many outcomes, subgroups and contrasts under one batch of assignments.

An outcome among some of the people is a `Slice`: a few features of each unit, whose sums by stratum and arm give means
and variances. Slices of the same strata are summed together, in one matrix product for each arm (and stratum).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kokeilu._kernels.batched import from_sums

__all__ = ["Contrast", "Many", "Slice", "slice_of"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]
Integers = NDArray[np.int64]

CHUNK_CELLS = 2**20
"""Cells (draws x units, or draws x sums) held as doubles at a time: 8 MB for each arm."""

SMALL = 16
"""Strata of fewer units than this on average are summed by a sparse matrix rather than one by one."""

FLAT = 1e-12
"""A standard error below this, for outcomes of a scale near 1, is rounding."""


class Slice(NamedTuple):
    """One outcome among some of the units.

    `features` are (units, 3) with columns 1, y, y^2 for units of mass 1, or (units, 6) with 1, mass m, total t, t^2, t
    m, m^2; 0 for units that are not in it. One array for all arms, or one for each where masses are 1 / share.
    `strata` (units,) codes 0..S-1, `sizes` (S,) weights of the strata, `totals` (arms,) sums of t^2.
    """

    features: tuple[Floats, ...]
    strata: Integers
    sizes: Floats
    totals: Floats


class Contrast(NamedTuple):
    """Which slice, and which two arms."""

    part: int
    arm: int
    reference: int


def slice_of(
    y: Floats,
    units: Integers,
    strata: Integers,
    everyone: Integers,
    *,
    weights: Floats | None = None,
    grouped: bool = False,
    counted: Floats | None = None,
) -> Slice:
    """Make a slice.

    Parameters
    ----------
    y : (n,) array
        Outcomes of a scale near 1 with mean near 0.
    units : (n,) array
        The unit of each person, 0..U-1.
    strata : (n,) array of codes 0..S-1
    everyone : (U,) array
        The stratum of every unit, in the slice or not.
    weights : (n, arms) array, optional
        1 / share of each arm.
    grouped : bool
        True where several people may be one unit (clusters).
    counted : (n,) array, optional
        What each person counts for, beside `weights`.
    """
    plain = weights is None and counted is None and not grouped
    base = np.ones(y.size) if counted is None else counted
    masses = [base] if weights is None else [base * column for column in weights.T]
    here = (np.bincount(units, minlength=everyone.size) > 0).astype(np.float64)
    made, totals = [], []
    for mass in masses:
        m = np.bincount(units, weights=mass, minlength=everyone.size)
        t = np.bincount(units, weights=mass * y, minlength=everyone.size)
        columns = [here, t, t * t] if plain else [here, m, t, t * t, t * m, m * m]
        made.append(np.column_stack(columns).astype(np.float64))
        totals.append(float((t * t).sum()))
    sizes = np.bincount(strata, weights=base).astype(np.float64)
    return Slice(tuple(made), everyone, sizes, np.array(totals))


class _Group(NamedTuple):
    """Slices of the same strata: units in the order of their strata, and where each stratum ends."""

    parts: tuple[int, ...]
    order: Integers | None
    ends: Integers
    tables: dict[int, Floats]
    columns: dict[tuple[int, int], slice]
    sums: Any

    def summed(self, held: NDArray[np.bool_], table: Floats) -> Floats:
        """Sums of a table (units, F) over the units held (b, units) by stratum, (b, S, F)."""
        result = np.empty((len(held), self.ends.size, table.shape[1]))
        if self.sums is not None:
            for column in range(table.shape[1]):
                result[:, :, column] = (self.sums @ np.where(held, table[:, column], 0.0).T).T
            return result
        values, start = held.astype(np.float64), 0
        for stratum, end in enumerate(self.ends):
            result[:, stratum] = values[:, start:end] @ table[start:end]
            start = end
        return result


class Many:
    """Statistics of many contrasts from codes of the units.

    Parameters
    ----------
    slices : sequence of Slice
    contrasts : sequence of Contrast
    """

    __slots__ = ("_contrasts", "_groups", "_slices", "_width")

    def __init__(self, slices: Sequence[Slice], contrasts: Sequence[Contrast]) -> None:
        self._slices = tuple(slices)
        self._contrasts = tuple(contrasts)
        needed: dict[int, set[int]] = {}
        for part, arm, reference in self._contrasts:
            needed.setdefault(part, set()).update((arm, reference))
        together: dict[bytes, list[int]] = {}
        for part in needed:
            together.setdefault(self._slices[part].strata.tobytes(), []).append(part)
        self._groups = [_grouped(self._slices, tuple(parts), needed) for parts in together.values()]
        tables = [(group, table) for group in self._groups for table in group.tables.values()]
        self._width = max(table.shape[0] + group.ends.size * table.shape[1] for group, table in tables)

    def pairs(self) -> list[tuple[int, int]]:
        """The two arms of each contrast, the smaller code first."""
        return [(min(one.arm, one.reference), max(one.arm, one.reference)) for one in self._contrasts]

    def only(self, places: Sequence[int], units: Integers) -> Many:
        """Some of the contrasts, over the units that may stand in their arms."""
        slices = [
            one._replace(features=tuple(part[units] for part in one.features), strata=one.strata[units])
            for one in self._slices
        ]
        return Many(slices, [self._contrasts[place] for place in places])

    def estimates(self, codes: Codes) -> tuple[Floats, Floats]:
        """Differences and their standard errors, (b, m) each; NaN where undefined.

        Parameters
        ----------
        codes : (b, units) int8 array
        """
        found = [[self._judged(c, sums) for c in self._contrasts] for sums in self._pieces(codes)]
        values, errors = (
            np.concatenate([np.stack([pair[which] for pair in row], axis=1) for row in found]) for which in (0, 1)
        )
        return values, errors

    def statistics(self, codes: Codes) -> Floats:
        """Absolute studentised differences, (b, m): -inf where undefined or without variance."""
        values, errors = self.estimates(codes)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(errors > FLAT, np.abs(values) / errors, -np.inf)

    def spread(self, codes: Codes) -> Floats:
        r"""Heterogeneity of the arms of the first contrast's slice, (b,): -inf where undefined.

        :math:`Q = \sum_a (\bar y_a - \tilde y)^2 / V_a` with :math:`\bar y_a` the mean of arm a weighted over strata,
        V_a its Neyman variance and :math:`\tilde y` the mean weighted by 1 / V_a (Welch 1951; Wu & Ding 2021). Each
        stratum needs two units of each arm.
        """
        part = self._contrasts[0].part
        share = self._slices[part].sizes / self._slices[part].sizes.sum()
        found = []
        for sums in self._pieces(codes):
            arms = sorted(arm for own, arm in sums if own == part)
            moments = [_mean(_full(sums[part, arm]), share) for arm in arms]
            mean, variance = (np.array([pair[which] for pair in moments]) for which in (0, 1))
            with np.errstate(divide="ignore", invalid="ignore"):
                precision = 1.0 / variance
                centre = (precision * mean).sum(axis=0) / precision.sum(axis=0)
                total = (precision * (mean - centre) ** 2).sum(axis=0)
            found.append(np.where((variance > FLAT**2).all(axis=0), total, -np.inf))
        return np.concatenate(found)

    def _pieces(self, codes: Codes) -> Iterator[dict[tuple[int, int], Floats]]:
        step = max(1, CHUNK_CELLS // self._width)
        return (self._piece(codes[start : start + step]) for start in range(0, len(codes), step))

    def _piece(self, codes: Codes) -> dict[tuple[int, int], Floats]:
        """Sums of the features by slice and arm, (b, S, F)."""
        found: dict[tuple[int, int], Floats] = {}
        for group in self._groups:
            turned = codes if group.order is None else codes[:, group.order]
            for arm, table in group.tables.items():
                sums = group.summed(turned == arm, table)
                for part in group.parts:
                    if (part, arm) in group.columns:
                        found[part, arm] = sums[:, :, group.columns[part, arm]]
        return found

    def _judged(self, contrast: Contrast, sums: dict[tuple[int, int], Floats]) -> tuple[Floats, Floats]:
        own = self._slices[contrast.part]
        both = [_full(sums[contrast.part, arm]) for arm in (contrast.arm, contrast.reference)]
        totals = np.resize(own.totals, max(contrast.arm, contrast.reference) + 1)
        return from_sums(np.stack(both), own.sizes, totals[[contrast.arm, contrast.reference]])


def _grouped(slices: Sequence[Slice], parts: tuple[int, ...], needed: dict[int, set[int]]) -> _Group:
    strata = slices[parts[0]].strata
    order = None if not strata.any() else np.argsort(strata, kind="stable")
    counts = np.bincount(strata, minlength=max(slices[part].sizes.size for part in parts))
    tables: dict[int, Floats] = {}
    columns: dict[tuple[int, int], slice] = {}
    for arm in sorted(set().union(*(needed[part] for part in parts))):
        chosen, start = [], 0
        for part in parts:
            if arm not in needed[part]:
                continue
            features = slices[part].features
            table = features[arm] if len(features) > 1 else features[0]
            columns[part, arm] = slice(start, start + table.shape[1])
            start += table.shape[1]
            chosen.append(table if order is None else table[order])
        tables[arm] = np.ascontiguousarray(np.concatenate(chosen, axis=1))
    ends = np.cumsum(counts).astype(np.int64)
    sums = None
    if order is not None and strata.size < SMALL * ends.size:
        sums = sparse.csr_array((np.ones(strata.size), (strata[order], np.arange(strata.size))))
    return _Group(parts, order, ends, tables, columns, sums)


def _full(sums: Floats) -> Floats:
    """Sums (b, S, F) as (6, b, S): count, mass, total, square, total x mass, mass^2."""
    table = np.moveaxis(sums, 2, 0)
    if len(table) == 6:
        return table
    count, total, square = table
    return np.stack([count, count, total, square, total, count])


def _mean(table: Floats, share: Floats) -> tuple[Floats, Floats]:
    count, mass, total, square, cross, mass2 = table
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / mass
        deviations = np.maximum(square - 2.0 * mean * cross + mean**2 * mass2, 0.0)
        variance = np.where(count > 1.0, count / (count - 1.0) * deviations / mass**2, np.nan)
    return mean @ share, variance @ share**2
