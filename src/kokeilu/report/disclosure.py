"""Hiding small counts so that no total, difference or other table of the report gives them back.

Counts of 1 to ``least - 1`` are hidden (primary suppression). Then, for each of them, further counts are hidden until
a reader who knows every relation between the counts, and that zeros are always shown, cannot tell that it is small:
the largest value that the shown counts allow must reach ``least`` (the audit of secondary suppression by linear
programming: Fischetti & Salazar 2000, "Models and algorithms for optimizing cell suppression in tabular data with
linear constraints", JASA 95, 916-928).

Rows are counts of one level in every arm. They are shown or hidden together, zeros as well: the arm with a zero beside
a hidden count would tell where the people of the level are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

__all__ = ["Cell", "Ledger", "Sum", "hidden_cells", "largest", "small", "small_share"]

Cell: TypeAlias = tuple[str, ...]

# What is hidden first when a small count needs company: parts before totals, the size of the trial last.
_ORDER = ("dof", "level", "absent", "blank", "missing", "linked", "used", "n", "clusters", "assigned", "people")

_SLACK = 1e-6


@dataclass(frozen=True, slots=True)
class Sum:
    """A count that equals the sum of others."""

    total: Cell
    parts: tuple[Cell, ...]

    def cells(self) -> tuple[Cell, ...]:
        """Return the total and its parts."""
        return (self.total, *self.parts)


@dataclass(slots=True)
class Ledger:
    """Counts by cell, the relations that a reader knows, rows hidden as a whole, and cells that are never shown."""

    counts: dict[Cell, int] = field(default_factory=dict)
    sums: dict[Sum, None] = field(default_factory=dict)
    rows: list[frozenset[Cell]] = field(default_factory=list)
    unseen: set[Cell] = field(default_factory=set)

    def total(self, cell: Cell, parts: Mapping[Cell, int]) -> None:
        """Enter parts and their sum."""
        self.counts.update(parts)
        self.counts[cell] = sum(parts.values())
        self.sums[Sum(cell, tuple(parts))] = None

    def hidden(self, least: int) -> frozenset[Cell]:
        """Return the counts to hide."""
        return hidden_cells(self.counts, tuple(self.sums), least=least, rows=self.rows, unseen=self.unseen)


def small(count: float, least: int) -> bool:
    """Return whether a count is 1 to least - 1; zeros are shown."""
    return 0 < count < least


def small_share(mean: float, n: int, least: int) -> bool:
    """Return whether a mean can be a share that tells of a small count, or of a small count of the others.

    A mean between 0 and 1 whose product with n is a whole number is read as a share.
    """
    if not 0 < mean < 1 or n == 0:
        return False
    ones = mean * n
    whole = abs(ones - round(ones)) <= 1e-6 * max(1.0, ones)
    return whole and (small(round(ones), least) or small(n - round(ones), least))


def hidden_cells(
    counts: Mapping[Cell, int],
    sums: Sequence[Sum],
    *,
    least: int,
    rows: Sequence[frozenset[Cell]] = (),
    unseen: Iterable[Cell] = (),
) -> frozenset[Cell]:
    """Return the counts to hide.

    Parameters
    ----------
    counts : mapping of cell to count
    sums : sequence of Sum
        Every relation between the counts that a reader of the report knows.
    least : int
        The smallest count above 0 that may be shown.
    rows : sequence of frozenset of cells
        Counts that are hidden together, zeros as well.
    unseen : iterable of cells
        Counts that the report never prints.
    """
    row_of = {cell: row for row in rows for cell in row}
    first = {cell for cell, count in counts.items() if small(count, least)}
    first |= {c for cell in first & row_of.keys() for c in row_of[cell] if counts[c] < least}
    hidden = {c for cell in first for c in row_of.get(cell, (cell,))} | set(unseen)
    for cell in sorted(first):
        while largest(cell, counts, sums, hidden, loose=row_of) < least - _SLACK:
            company = _company(cell, counts, sums, hidden)
            if company is None:
                break
            hidden |= row_of.get(company, {company})
    return frozenset(hidden)


def largest(
    cell: Cell,
    counts: Mapping[Cell, int],
    sums: Sequence[Sum],
    hidden: Collection[Cell],
    *,
    loose: Collection[Cell] = (),
) -> float:
    """Return the largest value of a hidden count that the shown counts allow; only `loose` ones may be 0."""
    from scipy.optimize import linprog

    near = _near(cell, sums, hidden)
    unknown = sorted({c for relation in near for c in relation.cells() if c in hidden} | {cell})
    place = {c: i for i, c in enumerate(unknown)}
    if not near:
        return float("inf")
    matrix, known = np.zeros((len(near), len(unknown))), np.zeros(len(near))
    for row, relation in enumerate(near):
        for c, sign in ((relation.total, 1.0), *((part, -1.0) for part in relation.parts)):
            if c in place:
                matrix[row, place[c]] += sign
            else:
                known[row] -= sign * counts[c]
    goal = np.zeros(len(unknown))
    goal[place[cell]] = -1.0
    answer = linprog(
        goal, A_eq=matrix, b_eq=known, bounds=[(0 if c in loose else 1, None) for c in unknown], method="highs"
    )
    return -float(answer.fun or 0.0) if answer.status == 0 else float("inf")


def _near(cell: Cell, sums: Sequence[Sum], hidden: Collection[Cell]) -> list[Sum]:
    """Return the relations that hang together with a cell through hidden counts."""
    reached, near, pending = {cell}, [], list(sums)
    grew = True
    while grew:
        touched = [relation for relation in pending if reached.intersection(relation.cells())]
        pending = [relation for relation in pending if relation not in touched]
        near += touched
        reached |= {c for relation in touched for c in relation.cells() if c in hidden}
        grew = bool(touched)
    return near


def _company(cell: Cell, counts: Mapping[Cell, int], sums: Sequence[Sum], hidden: Collection[Cell]) -> Cell | None:
    """Return the next count to hide: the one that costs least among those related to the cell."""
    near = _near(cell, sums, hidden)
    free = {c for relation in near for c in relation.cells() if c not in hidden and counts[c] > 0}
    return min(free, key=lambda c: (_ORDER.index(c[0]), counts[c], c), default=None)
