"""Unbiased controlled rounding of a two-way table by cycles, batched (steps 1 to 3 of the definition in ``seats``).

Every margin of the table is whole, so any K rows with open cells, or all those left, hold a cycle: each row has at
least two open cells, and K rows and K columns joined by 2 K cells cannot be a forest. A step keeps all margins and
all expectations and closes at least one cell.

Sources: Cox (1987), "A constructive procedure for unbiased controlled rounding", JASA 82, 520-524; Deville &
Tillé (2004), "Efficient balanced sampling: the cube method", Biometrika 91, 893-912 (the case of two margins).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.streams import Stream, below

__all__ = ["ClassTable", "class_table", "cycle_signs", "round_table"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassTable:
    """Strata grouped by their fractions.

    Attributes
    ----------
    members : int64 array, shape (S,)
        Class of each stratum; -1 for a stratum without fractions.
    counts : int64 array, shape (C,)
        Strata per class.
    whole, rest : int64 arrays, shape (C, K)
        ``counts * fraction = whole + rest / unit``.
    slack : int64 array, shape (K,)
        What completes the column sums of ``rest`` to whole seats.
    unit : int
    """

    members: Ints
    counts: Ints
    whole: Ints
    rest: Ints
    slack: Ints
    unit: int

    @property
    def open_rows(self) -> Ints:
        """Classes with a fraction left in the table."""
        return np.flatnonzero(self.rest.any(axis=1))


def class_table(fractions: Ints, unit: int) -> ClassTable:
    """Group strata by their fraction vector and total what each class is owed."""
    code = np.zeros(len(fractions), dtype=np.int64)
    for column in fractions.T:
        values = np.unique(column)
        code = code * len(values) + np.searchsorted(values, column)
        code = np.searchsorted(np.unique(code), code)
    example = np.zeros(int(code.max()) + 1, dtype=np.int64)
    example[code] = np.arange(len(code))
    counts = np.bincount(code)
    # In ascending order the class without fractions can only be the first.
    dropped = int(not fractions[example[0]].any())
    vectors, counts = fractions[example[dropped:]], counts[dropped:]
    # m_c f_ck may pass 2**63: Python integers, once per class and arm.
    owed = vectors.astype(object) * counts.astype(object)[:, None]
    return ClassTable(
        members=code - dropped,
        counts=counts,
        whole=(owed // unit).astype(np.int64),
        rest=(owed % unit).astype(np.int64),
        slack=(-owed.sum(axis=0) % unit).astype(np.int64),
        unit=unit,
    )


def round_table(table: ClassTable, stream: Stream, size: int) -> tuple[Ints, Ints]:
    """Round the class table: seats per class and arm (B, C, K) and the order of arms (B, K)."""
    classes, arms = table.rest.shape
    open_rows = table.open_rows
    arm_order = stream.child("arms").words(size, arms).argsort(axis=1, kind="stable")
    keys = stream.child("classes").words(size, classes)[:, open_rows]
    row_order = open_rows[keys.argsort(axis=1, kind="stable")]
    rows = row_order.shape[1]
    # One more row of zeros stands for "no row": windows past the end point at it.
    cells = np.zeros((size, rows + int(table.slack.any()) + 1, arms), dtype=np.int64)
    cells[:, :rows] = table.rest[row_order[:, :, None], arm_order[:, None, :]]
    if table.slack.any():
        cells[:, rows] = table.slack[arm_order]
    _close_cycles(cells, table.unit, stream)
    seats = np.repeat(table.whole[None], size, axis=0)
    batch = np.arange(size)[:, None, None]
    seats[batch, row_order[:, :, None], arm_order[:, None, :]] += cells[:, :rows] == table.unit
    return seats, arm_order


def _close_cycles(cells: Ints, unit: int, stream: Stream) -> None:
    """Step along cycles until every cell of (B, R + 1, K) is 0 or ``unit`` (Cox 1987); the last row holds zeros."""
    size, end, arms = cells.shape[0], cells.shape[1] - 1, cells.shape[2]
    batch = np.arange(size)[:, None]
    window = np.repeat(np.minimum(np.arange(arms), end)[None], size, axis=0)
    following = np.full((size, 1), arms)
    for step in range(end * arms):
        if (window[:, 0] == end).all():
            return
        here = cells[batch, window]
        signs = _batched_signs((here > 0) & (here < unit))
        room = np.where(signs > 0, unit - here, here)
        ahead = room.min(axis=(1, 2), where=signs != 0, initial=unit)
        behind = unit - room.max(axis=(1, 2), where=signs != 0, initial=0)
        idle = window[:, 0] == end
        coin = below(stream.child(f"step {step}"), np.where(idle, 1, ahead + behind)[:, None])[:, 0]
        here += signs * np.where(idle, 0, np.where(coin < behind, ahead, -behind))[:, None, None]
        cells[batch, window] = here
        closed = ~((here > 0) & (here < unit)).any(axis=2) & (window < end)
        entering = np.minimum(following + closed.cumsum(axis=1) - 1, end)
        # Rows enter in order, so sorting keeps the window in the order of the rows.
        window = np.sort(np.where(closed, entering, window), axis=1)
        following += closed.sum(axis=1, keepdims=True)


def _batched_signs(is_open: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Return the signs of one cycle for each window (B, K, K): few patterns occur, each is solved once."""
    size, arms, _ = is_open.shape
    packed = np.packbits(is_open.reshape(size, arms * arms), axis=1)
    codes = np.zeros((size, -(-packed.shape[1] // 8) * 8), dtype=np.uint8)
    codes[:, : packed.shape[1]] = packed
    if codes.shape[1] == 8:
        _, first, inverse = np.unique(codes.view(np.uint64)[:, 0], return_index=True, return_inverse=True)
    else:
        _, first, inverse = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    signs = b"".join(cycle_signs(is_open[i].tobytes(), arms) for i in first)
    return np.frombuffer(signs, dtype=np.int8).reshape(-1, arms, arms)[inverse]


@lru_cache(maxsize=2**16)
def cycle_signs(is_open: bytes, columns: int) -> bytes:
    """Return +1 and -1 (as int8 bytes, row by row) on the first cycle of open cells, by the rule of step 3."""
    cells = [divmod(place, columns) for place, flag in enumerate(is_open) if flag]
    signs = np.zeros(len(is_open), dtype=np.int8)
    for place, (row, column) in enumerate(_cycle(_core(cells))):
        signs[row * columns + column] = -1 if place % 2 else 1
    return signs.tobytes()


def _core(cells: list[tuple[int, int]]) -> list[tuple[int, int]]:
    while True:
        rows, columns = [row for row, _ in cells], [column for _, column in cells]
        kept = [c for c in cells if rows.count(c[0]) > 1 and columns.count(c[1]) > 1]
        if kept == cells:
            return cells
        cells = kept


def _cycle(cells: list[tuple[int, int]]) -> list[tuple[int, int]]:
    path = cells[:1]
    while path:
        along = 1 - len(path) % 2  # 0: stay in the row, 1: stay in the column
        cell = next(c for c in cells if c[along] == path[-1][along] and c != path[-1])
        met = [place for place, c in enumerate(path) if c[1 - along] == cell[1 - along]]
        path.append(cell)
        if met:
            return path[met[-1] :]
    return path
