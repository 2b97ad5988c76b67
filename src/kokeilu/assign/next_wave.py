"""An adaptive trial from wave to wave: the next draw, and the record of all shares."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from kokeilu._checks import count_of
from kokeilu.assign._adaptive import AdaptiveLottery
from kokeilu.assign.randomise import randomise
from kokeilu.core.arms import Arms
from kokeilu.core.assignment import Assignment, check_assignment
from kokeilu.core.results import Rows, text_table
from kokeilu.errors import DesignError

__all__ = ["WaveRecord", "next_wave", "wave_shares"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveRecord(Rows):
    """The shares with which each wave was drawn, and what came of it.

    Attributes
    ----------
    waves : tuple of str
    arms : tuple of str
    shares : tuple of tuples of Fraction
        Exact shares by wave and arm.
    people, successes, failures : tuple of tuples of int
        Counts by wave and arm; people whose outcome is not known are in neither.
    following : Arms
        Shares of the wave after these, if the outcomes stay as they are.
    """

    waves: tuple[str, ...]
    arms: tuple[str, ...]
    shares: tuple[tuple[Fraction, ...], ...]
    people: tuple[tuple[int, ...], ...]
    successes: tuple[tuple[int, ...], ...]
    failures: tuple[tuple[int, ...], ...]
    following: Arms

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each wave and arm."""
        return [
            {
                "wave": wave,
                "arm": arm,
                "share": str(self.shares[w][k]),
                "people": self.people[w][k],
                "successes": self.successes[w][k],
                "failures": self.failures[w][k],
                "unknown": self.people[w][k] - self.successes[w][k] - self.failures[w][k],
            }
            for w, wave in enumerate(self.waves)
            for k, arm in enumerate(self.arms)
        ]

    def __str__(self) -> str:
        return f"{text_table(self.rows())}\nThe next wave, from these outcomes: {self.following.describe()}."


def wave_shares(assignment: Assignment) -> WaveRecord:
    """Return the exact shares with which each wave of an adaptive trial was drawn.

    Examples
    --------
    >>> import kokeilu as kk
    >>> rule = kk.Adaptive(kk.arms(letter=1, call=1), outcome="came")
    >>> people = {"id": [1, 2, 3, 4], "wave": [1] * 4, "came": ["1", "0", "1", "unknown"]}
    >>> kk.wave_shares(kk.randomise(people, rule, id="id", seed="published")).rows()[0]["share"]
    '1/2'
    """
    lottery = _lottery(assignment)
    codes, n_arms = assignment.codes, len(assignment.arms)
    shares, counts = lottery.history(codes)
    names = assignment.arms.names
    total = [dict(zip(names, side.sum(axis=0).tolist(), strict=True)) for side in counts]
    people = tuple(tuple(int((codes[wave.rows] == k).sum()) for k in range(n_arms)) for wave in lottery.waves)
    return WaveRecord(
        waves=tuple(wave.name for wave in lottery.waves),
        arms=names,
        shares=tuple(shares),
        people=people,
        successes=tuple(map(tuple, counts[0].tolist())),
        failures=tuple(map(tuple, counts[1].tolist())),
        following=lottery.rule.shares_after(*total),
    )


def next_wave(assignment: Assignment, table: object) -> Assignment:
    """Draw the next wave of an adaptive trial, by the same rule and seed, and check that nobody moved.

    Parameters
    ----------
    assignment : Assignment
        All waves so far.
    table : pandas, pyarrow or Arrow-capable table
        The register with the new wave: everybody so far with their outcomes, and the newcomers.

    Returns
    -------
    Assignment
        Of everybody; the earlier people keep their arms.

    Raises
    ------
    DesignError
        Where people are gone, or outcomes that an earlier wave was drawn by have changed, so that arms would.

    Examples
    --------
    >>> import kokeilu as kk
    >>> rule = kk.Adaptive(kk.arms(letter=1, call=1), outcome="came", floor="1/10")
    >>> new = ["unknown"] * 4
    >>> first = kk.randomise({"id": [1, 2, 3, 4], "wave": [1] * 4, "came": new}, rule, id="id", seed="7")
    >>> came = ["1", "0", "1", "0", *new]
    >>> grown = {"id": [1, 2, 3, 4, 5, 6, 7, 8], "wave": [1] * 4 + [2] * 4, "came": came}
    >>> kk.next_wave(first, grown).counts()
    {'letter': 4, 'call': 4}
    """
    _lottery(assignment)
    if assignment.seed is None:
        raise DesignError("the allocation was made elsewhere: there is no seed with which to draw its next wave.")
    later = randomise(table, assignment.mechanism, id=assignment.id_name, seed=assignment.seed)  # type: ignore[arg-type]
    if later.ids.kind != assignment.ids.kind:
        raise DesignError(f"the ids of the table are {later.ids.kind}, those of the assignment {assignment.ids.kind}.")
    spots = later.ids.find(assignment.ids.values)
    gone = int((spots < 0).sum())
    moved = 0 if gone else int((later.codes[spots] != assignment.codes).sum())
    if gone or moved:
        what = f"{count_of(gone, 'person')} of the earlier waves {'is' if gone == 1 else 'are'} not in the table"
        if moved:
            what = f"{count_of(moved, 'person')} of the earlier waves would get another arm"
        raise DesignError(
            f"{what}. Keep everybody with the wave, the strata and the outcomes by which the waves so far were drawn; "
            "an outcome that came too late for a draw stays 'unknown'."
        )
    return later


def _lottery(assignment: Assignment) -> AdaptiveLottery:
    lottery = check_assignment(assignment).lottery
    if not isinstance(lottery, AdaptiveLottery):
        raise DesignError("the assignment was not drawn by kokeilu.Adaptive, so its shares do not follow outcomes.")
    return lottery
