"""Registers in parts, each part with a lottery of its own: waves, and people who are not drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from kokeilu.core.arms import Arm, Arms
from kokeilu.core.lottery import all_assignments, cells_of
from kokeilu.core.population import Factor, Ids, Population, frozen_array
from kokeilu.core.protocols import Cells, Codes, Countable, Floats, Ints, Lottery

__all__ = ["LISTED", "count_product", "every_product", "join_cells", "part_of", "pooled"]

LISTED = 10**6
CHUNK_CELLS = 2**22


def part_of(population: Population, rows: Ints) -> Population:
    """Return the people at the given positions as a population; levels that do not occur among them are left out."""
    factors = {}
    for name, factor in population.factors.items():
        seen, codes = np.unique(factor.codes[rows], return_inverse=True)
        factors[name] = Factor(frozen_array(codes.astype(np.int64)), tuple(factor.levels[i] for i in seen.tolist()))
    return Population(
        id_name=population.id_name,
        ids=Ids(frozen_array(population.ids.values[rows])),
        factors=factors,
        numbers={name: frozen_array(values[rows]) for name, values in population.numbers.items()},
        unit=population.unit,
    )


def pooled(parts: Sequence[Lottery]) -> Arms:
    """Return the arms with their exact shares over all parts."""
    total = sum(part.n_units for part in parts)
    columns = zip(*(part.arms.shares for part in parts), strict=True)
    sizes = [part.n_units for part in parts]
    shares = [sum(n * share for n, share in zip(sizes, column, strict=True)) / total for column in columns]
    return Arms(tuple(Arm(name, share) for name, share in zip(parts[0].arms.names, shares, strict=True)))


def join_cells(parts: Sequence[Lottery], places: Sequence[Ints], n_units: int) -> Cells:
    """Return the cells of all parts, numbered on; where one part draws clusters, a person elsewhere is one alone."""
    cells = [cells_of(part) for part in parts]
    clustered = any(cell.clusters is not None for cell in cells)
    strata, clusters = np.zeros((2, n_units), dtype=np.int64)
    next_stratum = next_cluster = 0
    for cell, rows in zip(cells, places, strict=True):
        strata[rows] = cell.strata + next_stratum
        next_stratum += int(cell.strata.max()) + 1
        own = np.arange(len(rows)) if cell.clusters is None else cell.clusters
        clusters[rows] = own + next_cluster
        next_cluster += int(own.max()) + 1
    return Cells(
        strata=frozen_array(strata),
        clusters=frozen_array(clusters) if clustered else None,
        fixed=all(cell.fixed for cell in cells),
        names=cells[0].names,
        cluster_name=next((cell.cluster_name for cell in cells if cell.cluster_name), None),
        whole=all(cell.whole for cell in cells),
    )


def count_product(parts: Sequence[Lottery]) -> int | None:
    """Return the number of joint assignments of independent lotteries, None where one cannot count its own."""
    counts = [part.count() if isinstance(part, Countable) else None for part in parts]
    return None if None in counts else prod(count for count in counts if count is not None)


def every_product(parts: Sequence[Lottery], places: Sequence[Ints], n_units: int) -> Iterator[tuple[Codes, Floats]]:
    """Yield every joint assignment of independent lotteries: chances multiply."""
    lists = [_whole_list(part) for part in parts]
    sizes = [len(chances) for _, chances in lists]
    total, step = prod(sizes), max(1, CHUNK_CELLS // n_units)
    for start in range(0, total, step):
        picks = np.unravel_index(np.arange(start, min(start + step, total)), sizes)
        codes = np.zeros((len(picks[0]), n_units), dtype=np.int8)
        chances = np.ones(len(codes))
        for (own, chance), rows, pick in zip(lists, places, picks, strict=True):
            codes[:, rows] = own[pick]
            chances *= chance[pick]
        yield codes, chances


def _whole_list(part: Lottery) -> tuple[Codes, Floats]:
    chunks = list(all_assignments(part, LISTED) or ())
    return np.concatenate([codes for codes, _ in chunks]), np.concatenate([chances for _, chances in chunks])
