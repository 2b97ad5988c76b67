"""Simulated trials by their number: a trial depends on the seed and its number, and on nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kokeilu._kernels.streams import Stream
from kokeilu.core.lottery import redraws
from kokeilu.core.protocols import Codes, Floats, Ints
from kokeilu.errors import DataError
from kokeilu.power.analyses import Analysis, OneByOne, Refit
from kokeilu.power.people import People
from kokeilu.power.retest import Retest
from kokeilu.power.world import MovedWorld, World
from kokeilu.power.worlds import Resampled

__all__ = ["VALUE", "Simulation"]

VALUE, ERROR, DOF, TRUTH = range(4)
"""What is kept of a trial; a randomisation test keeps its p-value in the place of the error."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Simulation:
    """All that a simulated trial needs.

    Attributes
    ----------
    people : People
    world : MovedWorld or World
    base : float64 array, shape (n, c), or None
        What a moved world has read, people in the order of the lottery.
    analysis : Analysis or Retest
    pairs : tuple of (arm, reference)
    effects : float64 array, shape (E, arms)
        Effects to simulate, the first of them none; one row where one set of draws serves all.
    shifts : float64 array, shape (P, F), or None
        For a randomisation test whose redraws serve all: the effects on the arm of each pair.
    stream : Stream
    """

    people: People
    world: MovedWorld | World
    base: Floats | None
    analysis: Analysis | Retest
    pairs: tuple[tuple[int, int], ...]
    effects: Floats
    shifts: Floats | None
    stream: Stream

    @property
    def columns(self) -> int:
        """Effects that are kept."""
        return len(self.effects) if self.shifts is None else self.shifts.shape[1]

    @property
    def steady(self) -> bool:
        """Whether every draw has the same outcomes."""
        return self.base is not None and len(self.effects) == 1 and not self._moved.random

    @property
    def _moved(self) -> Any:
        return self.world

    def __call__(self, start: int, stop: int) -> Floats:
        """Return trials start..stop, shape (P, E, 4, stop - start)."""
        codes = self.codes(start, stop)
        out = np.full((len(self.pairs), self.columns, 4, stop - start), np.nan)
        if self.steady and not isinstance(self.analysis, Retest):
            y = self.outcomes(self.stream, codes[0], 0, None, None)[0]
            for place, pair in enumerate(self.pairs):
                out[place, 0, :TRUTH] = self.analysis.drawn(self.people, y, codes, pair)
            out[:, 0, TRUTH] = 0.0
            return out
        for b, row in enumerate(codes):
            out[..., b] = self._one(start + b, row)
        return out

    def codes(self, start: int, stop: int) -> Codes:
        """Return the arms of trials start..stop, (b, n)."""
        if isinstance(self.analysis, Retest) and self.analysis.every is not None:
            return self.analysis.every[0][start:stop]
        lottery = self.people.lottery
        return np.concatenate(list(redraws(lottery, self.stream.child("lottery").skip(start), stop - start)))

    def _one(self, number: int, codes: Codes) -> Floats:
        """One trial at every effect, (P, E, 4)."""
        stream = self.stream.child(f"world {number}")
        out = np.full((len(self.pairs), self.columns, 4), np.nan)
        rows = self.chosen(stream)
        people = self.people.shown(rows, number + 1)
        made = None if self.base is not None else self._made(stream)
        for e in range(len(self.effects)):
            y, tables = self.outcomes(stream, codes, e, rows, made)
            for place, pair in enumerate(self.pairs):
                kept = self.people.part(pair).rows
                truth = float((tables[pair[0]][kept] - tables[pair[1]][kept]).mean())
                if isinstance(self.analysis, Retest):
                    self._test(out[place], e, place, people, y, codes, stream, truth)
                    continue
                found = self.analysis.drawn(people, y, codes[None], pair)
                out[place, e] = (*(float(column[0]) for column in found), truth)
        return out

    def _test(
        self, out: Floats, e: int, place: int, people: People, y: Floats, codes: Codes, stream: Stream, truth: float
    ) -> None:
        """Write value, p-value and truth of the tests of one contrast, (E, 4)."""
        retest: Any = self.analysis
        shifts = np.zeros(1) if self.shifts is None else self.shifts[place]
        value, p = retest.tested(people, y, codes, self.pairs[place], shifts, stream.child("test"))
        rows = slice(e, e + 1) if self.shifts is None else slice(None)
        out[rows, VALUE], out[rows, ERROR] = value + shifts, p
        out[rows, DOF], out[rows, TRUTH] = 0.0, truth + shifts

    def chosen(self, stream: Stream) -> Ints | None:
        """Whose rows stand in this trial; None for everybody's own."""
        if not isinstance(self.world, Resampled):
            return None
        cells = self.people.cells
        return self.world.chosen(stream.child("rows"), cells.strata, cells.clusters)

    def outcomes(
        self, stream: Stream, codes: Codes, e: int, rows: Ints | None, made: Floats | None
    ) -> tuple[Floats, list[Floats]]:
        """Outcomes as seen, (n,), and of everybody under each arm."""
        names, effects = self.people.lottery.arms.names, self.effects[e]
        if made is not None:
            tables = [made[:, k] + effects[k] for k in range(len(names))]
        else:
            base: Any = self.base if rows is None else self.base[rows]  # type: ignore[index]
            tables = [self._moved.under(base, float(effects[k]), stream, name) for k, name in enumerate(names)]
        y = np.array(tables[0])
        for k in range(1, len(names)):
            np.copyto(y, tables[k], where=codes == k)
        return y, tables

    def _made(self, stream: Stream) -> Floats:
        """The outcomes of a world that makes them anew, (n, arms)."""
        made = self._moved.outcomes(stream)
        try:
            table = np.asarray(made, dtype=np.float64)
        except (TypeError, ValueError):
            table = np.zeros(())
        shape = (self.people.lottery.n_units, len(self.people.lottery.arms))
        if table.shape != shape or not np.isfinite(table).all():
            raise DataError(f"the world must give finite outcomes of shape {shape}; got shape {table.shape}.")
        return table

    def why(self, number: int, place: int) -> str:
        """Return what the estimator says of a trial that gave no estimate; "" where it is a usual analysis."""
        slow = self.analysis.slow if isinstance(self.analysis, Refit) else self.analysis
        if not isinstance(slow, OneByOne):
            return ""
        stream, codes = self.stream.child(f"world {number}"), self.codes(number, number + 1)[0]
        rows = self.chosen(stream)
        made = None if self.base is not None else self._made(stream)
        y = self.outcomes(stream, codes, 0, rows, made)[0]
        people = self.people.shown(rows, number + 1)
        return people.why(lambda _: slow.estimator, y, codes, self.pairs[place])
