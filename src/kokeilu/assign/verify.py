"""Replaying a draw and naming what differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from kokeilu._checks import count_of
from kokeilu.core.assignment import DRAW_STREAM, Assignment, check_assignment
from kokeilu.core.population import Factor, Population
from kokeilu.core.register import read_register
from kokeilu.core.results import Rows, text_table
from kokeilu.errors import DesignError

__all__ = ["Check", "Replays", "Verification", "verify"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check of a verification: its name, whether it holds (None: could not be made), and the finding."""

    check: str
    holds: bool | None
    finding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification(Rows):
    """The checks of one replay.

    Attributes
    ----------
    checks : tuple of Check
    fingerprint : str
        Fingerprint of what was checked.
    says : str
        What it means that every check holds.
    """

    checks: tuple[Check, ...]
    fingerprint: str
    says: str = "the replay gives the same draw"

    @property
    def verified(self) -> bool:
        """True where every check was made and holds."""
        return all(check.holds for check in self.checks)

    @property
    def first_difference(self) -> str:
        """Name of the first check that does not hold; empty where all do."""
        return next((check.check for check in self.checks if not check.holds), "")

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each check."""
        word = {True: "holds", False: "DIFFERS", None: "not possible"}
        return [{"check": c.check, "result": word[c.holds], "finding": c.finding} for c in self.checks]

    @property
    def verdict(self) -> str:
        """One sentence: verified, or which checks differ, or which could not be made."""
        if self.verified:
            return f"VERIFIED: {self.says}."
        differ = [check.check for check in self.checks if check.holds is False]
        if differ:
            return f"NOT VERIFIED. What differs: {', '.join(differ)}."
        unmade = [check.check for check in self.checks if check.holds is None]
        return f"NOT VERIFIED. Nothing was found to differ, but not everything could be checked: {', '.join(unmade)}."

    def __str__(self) -> str:
        return "\n".join([self.verdict, text_table(self.rows()), f"fingerprint {self.fingerprint}"])


@runtime_checkable
class Replays(Protocol):
    """What knows how to hold its own draw again, such as the certificate of a public draw."""

    @property
    def replay(self) -> Callable[..., Verification]:
        """Hold the draw again, with a table and options of its own."""
        ...


def verify(assignment: Assignment | Replays, table: object, **options: Any) -> Verification:
    """Replay a draw from its register and seed, and name what differs.

    Parameters
    ----------
    assignment : Assignment, or the Certificate of a public draw
    table : pandas, pyarrow or Arrow-capable table
        The register as it was frozen, in any row order.
    **options
        For a certificate: ``key=``, and those of :meth:`kokeilu.Certificate.replay`. An assignment takes none.

    Returns
    -------
    Verification
        ``.verified`` is True where people, columns and arms are all the same. Counts only, nobody is named.

    Raises
    ------
    ColumnError, DataError
        Where the table lacks the id or a column of the design, or cannot be read.

    Examples
    --------
    >>> import kokeilu as kk
    >>> seekers = kk.datasets.job_seekers(1_000, seed="example")
    >>> design = kk.Complete(kk.arms(control=1, coaching=1))
    >>> assignment = kk.randomise(seekers, design, id="person_id", seed="published")
    >>> kk.verify(assignment, seekers).verified
    True
    """
    if isinstance(assignment, Replays):
        return assignment.replay(table, **options)
    if options:
        raise DesignError(
            f"{next(iter(options))}=... is for the certificate of a public draw; an assignment needs none."
        )
    check_assignment(assignment)
    population, _ = read_register(table, assignment.mechanism, id=assignment.id_name)
    checks = [_people(assignment, population)]
    if checks[0].holds:
        checks += [_columns(assignment, population), _replay(assignment, population)]
    else:
        checks.append(Check(check="draw", holds=None, finding="the register has other people, so no replay was made"))
    return Verification(checks=tuple(checks), fingerprint=assignment.fingerprint)


def _people(assignment: Assignment, population: Population) -> Check:
    ours, theirs = assignment.ids, population.ids
    if ours.kind != theirs.kind:
        return Check(
            check="people",
            holds=False,
            finding=f"the assignment's ids are {ours.kind}, the register's {theirs.kind}",
        )
    gone = int((theirs.find(ours.values) < 0).sum())
    new = int((ours.find(theirs.values) < 0).sum())
    if gone or new:
        finding = f"{count_of(gone, 'person', 'people')} of the draw not in the register, {new:,} new in the register"
        return Check(check="people", holds=False, finding=finding)
    return Check(check="people", holds=True, finding=f"the same {len(ours):,} people")


def _columns(assignment: Assignment, population: Population) -> Check:
    changed = []
    for name, was in assignment.population.factors.items():
        now = population.factors[name]
        before, after = np.array(was.levels, dtype=object), np.array(now.levels, dtype=object)
        moved = int((before[was.codes] != after[now.codes]).sum())
        if moved and _same_groups(was, now):
            changed.append(
                f"{name!r} forms the same groups under other names for {count_of(moved, 'person', 'people')}: labels "
                "in one register, codes in the other?"
            )
        elif moved:
            changed.append(f"{name!r} differs for {count_of(moved, 'person', 'people')}")
    for name, before in assignment.population.numbers.items():
        moved = int((before != population.numbers[name]).sum()) if name in population.numbers else len(before)
        if moved:
            changed.append(f"{name!r} differs for {count_of(moved, 'person')}")
    used = assignment.population.factors or assignment.population.numbers
    same = "no columns used" if not used else "the columns of the design are the same"
    return Check(check="columns", holds=not changed, finding="; ".join(changed) or same)


def _same_groups(was: Factor, now: Factor) -> bool:
    pairs = np.unique(np.stack([was.codes, now.codes]), axis=1)
    return bool(pairs.shape[1] == len(was.levels) == len(now.levels))


def _replay(assignment: Assignment, population: Population) -> Check:
    if assignment.seed is None:
        return Check(check="draw", holds=None, finding="made elsewhere: there is no seed to replay")
    try:
        lottery = assignment.mechanism.bind(population)
    except DesignError as error:
        return Check(check="draw", holds=False, finding=f"the design does not fit the register: {error}")
    codes = lottery.draw(assignment.seed.stream(DRAW_STREAM), 1)[0]
    moved = int((codes != assignment.codes).sum())
    if moved:
        return Check(
            check="draw",
            holds=False,
            finding=f"the replay gives another arm to {count_of(moved, 'person')}",
        )
    return Check(check="draw", holds=True, finding=f"all {len(codes):,} people get the same arm")
