"""Registers in parts, each part with a lottery of its own: waves, and people who are not drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from kokeilu._kernels.streams import Stream
from kokeilu.core.arms import Arm, Arms
from kokeilu.core.lottery import all_assignments, cells_of
from kokeilu.core.population import Factor, Ids, Population, frozen_array
from kokeilu.core.protocols import Cells, Codes, Countable, Floats, Ints, Lottery, Seating, SeatTables

__all__ = [
    "LISTED",
    "count_product",
    "every_product",
    "join_cells",
    "join_seating",
    "merged_seating",
    "part_of",
    "pooled",
    "seated_by_law",
]

LISTED = 10**6
TABLES = 4_096
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
    linked = any(cell.waves is not None for cell in cells)
    strata, clusters, waves = np.zeros((3, n_units), dtype=np.int64)
    next_stratum = next_cluster = next_wave = 0
    for cell, rows in zip(cells, places, strict=True):
        strata[rows] = cell.strata + next_stratum
        next_stratum += int(cell.strata.max()) + 1
        own = np.arange(len(rows)) if cell.clusters is None else cell.clusters
        clusters[rows] = own + next_cluster
        next_cluster += int(own.max()) + 1
        wave = np.zeros(len(rows), dtype=np.int64) if cell.waves is None else cell.waves
        waves[rows] = wave + next_wave
        next_wave += int(wave.max()) + 1
    return Cells(
        strata=frozen_array(strata),
        clusters=frozen_array(clusters) if clustered else None,
        fixed=all(cell.fixed for cell in cells),
        names=cells[0].names,
        cluster_name=next((cell.cluster_name for cell in cells if cell.cluster_name), None),
        whole=all(cell.whole for cell in cells),
        waves=frozen_array(waves) if linked else None,
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


def seated_by_law(law: Codes, arms: int) -> Seating:
    """Return the seating of people whose arm (codes, one each) is certain: a stratum for each arm."""
    held, strata = np.unique(law, return_inverse=True)
    seats = np.diag(np.bincount(strata))[:, : len(held)] @ np.eye(arms, dtype=np.int64)[held]
    return Seating(
        units=np.arange(len(law)),
        strata=strata.astype(np.int64),
        deal=lambda _stream, size: np.broadcast_to(seats, (size, *seats.shape)),
        law=lambda: (seats[None], np.ones(1)),
    )


def merged_seating(inner: Seating | None, table: Ints) -> Seating | None:
    """Return a seating with arms taken together by a table (K, new arms) of 0 and 1."""
    if inner is None:
        return None

    def law() -> SeatTables | None:
        found = inner.law()
        return None if found is None else (found[0] @ table, found[1])

    return Seating(
        units=inner.units, strata=inner.strata, deal=lambda stream, size: inner.deal(stream, size) @ table, law=law
    )


def join_seating(
    parts: Sequence[Seating | None], places: Sequence[Ints], children: Sequence[str], n_units: int
) -> Seating | None:
    """Return the seating of independent parts, numbered on; each deals by the child stream of its name, if any."""
    whole = [part for part in parts if part is not None]
    if len(whole) < len(parts):
        return None
    units = np.zeros(n_units, dtype=np.int64)
    strata: list[Ints] = []
    next_unit = next_stratum = 0
    for part, rows in zip(whole, places, strict=True):
        units[rows] = part.units + next_unit
        strata.append(part.strata + next_stratum)
        next_unit += len(part.strata)
        next_stratum += int(part.strata.max(initial=-1)) + 1

    def deal(stream: Stream, size: int) -> Ints:
        own = [stream.child(child) if child else stream for child in children]
        return np.concatenate([part.deal(place, size) for part, place in zip(whole, own, strict=True)], axis=1)

    return Seating(units=units, strata=np.concatenate(strata), deal=deal, law=lambda: _joint_tables(whole))


def _joint_tables(parts: Sequence[Seating]) -> SeatTables | None:
    """Return the product of the parts' tables, None above 4,096 of them."""
    tables, chances = np.zeros((1, 0, 0), dtype=np.int64), np.ones(1)
    for part in parts:
        own = part.law()
        if own is None or len(own[1]) * len(chances) > TABLES:
            return None
        left, right = (grid.ravel() for grid in np.indices((len(chances), len(own[1]))))
        tables = own[0][right] if not tables.size else np.concatenate([tables[left], own[0][right]], axis=1)
        chances = chances[left] * own[1][right]
    return tables, chances
