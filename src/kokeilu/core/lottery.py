"""The only door through which consumers reach a lottery: redraws, all assignments, shares."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kokeilu._checks import positive_int
from kokeilu._kernels.streams import Stream
from kokeilu.core.protocols import (
    Cautions,
    Cells,
    Codes,
    Countable,
    DealsSeats,
    Exchangeable,
    Floats,
    KnowsShares,
    Lottery,
    Seating,
)
from kokeilu.errors import DesignError

__all__ = ["all_assignments", "cautions_of", "cells_of", "redraws", "seating_of", "shares_of"]

CHUNK_CELLS = 2**24
SHARE_DRAWS = 20_000


def redraws(lottery: Lottery, stream: Stream, size: int, *, chunk_cells: int = CHUNK_CELLS) -> Iterator[Codes]:
    """Yield `size` draws in chunks of int8 codes, shape (b, n), each chunk of at most `chunk_cells` codes.

    Asking for more redraws never changes the first ones, and the chunk size never shows.
    """
    _check_lottery(lottery)
    positive_int(size, name="the number of redraws")
    if not isinstance(stream, Stream):
        raise DesignError(
            "stream must be a stream, such as assignment.stream('my redraws'); got " + type(stream).__name__ + "."
        )
    return _chunks(lottery, stream, size, chunk_cells)


def _chunks(lottery: Lottery, stream: Stream, size: int, chunk_cells: int) -> Iterator[Codes]:
    step = max(1, min(size, chunk_cells // max(lottery.n_units, 1)))
    for start in range(0, size, step):
        yield lottery.draw(stream.skip(start), min(step, size - start))


def _check_lottery(lottery: object) -> None:
    if not isinstance(lottery, Lottery):
        raise DesignError(f"a lottery is needed, such as assignment.lottery; got {type(lottery).__name__}.")


def all_assignments(lottery: Lottery, limit: int = 10**6) -> Iterator[tuple[Codes, Floats]] | None:
    """Return an iterator over every possible assignment with its exact probability, or None.

    None where the lottery cannot list its assignments or has more than `limit` of them. The probabilities are
    equal where no seats are left over; where seats are left over, or each person is drawn alone, they differ.
    """
    _check_lottery(lottery)
    if not isinstance(lottery, Countable):
        return None
    count = lottery.count()
    return lottery.every() if count is not None and count <= limit else None


def shares_of(lottery: Lottery, stream: Stream | None = None) -> Floats:
    """Return each person's probability of each arm, shape (n, arms): exact where the lottery knows it.

    Otherwise the mean over 20,000 redraws of `stream` (standard error at most 0.0036).
    """
    if isinstance(lottery, KnowsShares) or stream is None:
        return lottery.shares()  # type: ignore[attr-defined, no-any-return]
    total = np.zeros((lottery.n_units, len(lottery.arms)))
    for codes in redraws(lottery, stream, SHARE_DRAWS):
        for arm in range(len(lottery.arms)):
            total[:, arm] += (codes == arm).sum(axis=0)
    return total / SHARE_DRAWS


def cells_of(lottery: Lottery) -> Cells:
    """Return the cells of a lottery; one cell with everybody in it where the lottery names none."""
    if isinstance(lottery, Exchangeable):
        return lottery.cells()
    return Cells(strata=np.zeros(lottery.n_units, dtype=np.int64))


def cautions_of(lottery: Lottery) -> tuple[str, ...]:
    """Return what a lottery, or one that it wraps, would have said beside each estimate; mostly nothing."""
    if isinstance(lottery, Cautions):
        return lottery.cautions()
    parts = [part for part in (getattr(lottery, "base", None), *getattr(lottery, "lotteries", ())) if part is not None]
    return tuple(dict.fromkeys(text for part in parts for text in cautions_of(part)))


def seating_of(lottery: Lottery) -> Seating | None:
    """Return how a lottery deals fixed seats to exchangeable units; None where it does not, or does not say."""
    return lottery.seating() if isinstance(lottery, DealsSeats) else None
