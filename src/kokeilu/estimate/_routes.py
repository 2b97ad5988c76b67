"""Which way a redraw test goes: exact law, all assignments, counts, shuffles, or the lottery itself; and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kokeilu._kernels.nulls import Law, Null
from kokeilu.core.assignment import Assignment
from kokeilu.core.lottery import all_assignments, redraws
from kokeilu.core.protocols import Floats
from kokeilu.errors import DesignError
from kokeilu.estimate._case import Case
from kokeilu.estimate._exact import ExactSum, exact_sum
from kokeilu.estimate._seats import Seats, count_laws, kinds_of, seats_of, shuffle_laws

__all__ = ["METHODS", "Route", "drawn_route", "route_of"]

METHODS = ("auto", "exact", "enumerate", "counts", "shuffles", "redraws")

EXACT_LIMIT = 10**6
EXACT_CELLS = 4 * 10**9
"""All assignments are gone through up to a million of them, and up to this many codes."""

FAST_CELLS = 2 * 10**7
"""From so many (draws x units) on the draws are made by seats."""

KIND_COST = 60
"""A count of a kind costs about as much as so many units of a subset (measured)."""

CROWD = 50
"""Strata of fewer units on average are redrawn by the lottery."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Route:
    """A null distribution, and how it was come by.

    Attributes
    ----------
    method : str
        One of `METHODS` but "auto".
    why : str
        In words, for the reason of the result.
    null : Null or None
        Of all assignments or of redraws.
    sums : ExactSum or None
        Of the exact route.
    """

    method: str
    why: str
    null: Null | None = None
    sums: ExactSum | None = None


def route_of(assignment: Assignment, case: Case, draws: int, method: str) -> Route:
    """Choose the way, or go the one that is asked for.

    Raises
    ------
    DesignError
        Where the way that is asked for is not open.
    """
    every = _every(assignment, case) if method in ("auto", "enumerate") else None
    if every is not None:
        null = Null(case.law(assignment.codes[None]), every)
        return Route(method="enumerate", why=f"all {len(null):,} assignments", null=null)
    if method == "enumerate":
        raise _closed(method, f"the lottery has more than {EXACT_LIMIT:,} assignments, or cannot list them")
    seats = None if method == "redraws" else seats_of(assignment.lottery, case)
    missed = ""
    if method == "exact" or (method == "auto" and not case.studentised):
        sums, missed = _exact(case, seats)
        if sums is not None:
            given = f", {sums.given}" if sums.given else ""
            return Route(method="exact", why=f"exact law of the sum over the arm{given}", sums=sums)
        if method == "exact":
            raise _closed(method, missed)
    route = drawn_route(assignment, case, draws, method, seats)
    return Route(method=route.method, why=route.why + (f" (no exact law: {missed})" if missed else ""), null=route.null)


def _closed(method: str, reason: str) -> DesignError:
    return DesignError(f"method={method!r} is not open here: {reason}. Use method='auto' or 'redraws'.")


def _every(assignment: Assignment, case: Case) -> Iterator[tuple[Law, Floats | None]] | None:
    lottery = assignment.lottery
    found = all_assignments(lottery, min(EXACT_LIMIT, max(10_000, EXACT_CELLS // lottery.n_units)))
    return None if found is None else ((case.law(codes), chances) for codes, chances in found)


def _exact(case: Case, seats: Seats | None) -> tuple[ExactSum | None, str]:
    if case.studentised:
        return None, "a studentised statistic is no sum; it needs studentise=False"
    if case.adjusted:
        return None, "residuals from covariates are not on a lattice"
    if seats is None:
        return None, "the lottery does not deal fixed seats to units that are exchangeable within strata"
    return exact_sum(case, seats)


def drawn_route(assignment: Assignment, case: Case, draws: int, method: str, seats: Seats | None) -> Route:
    """Draw by counts, by shuffles or by the lottery: as asked, or the quickest."""
    if method in ("counts", "shuffles") and seats is None:
        raise _closed(method, "the lottery does not deal fixed seats to units that are exchangeable within strata")
    units = len(case.places)
    fast = seats is not None and (method in ("counts", "shuffles") or draws * units >= FAST_CELLS)
    if not fast or seats is None or method == "redraws":
        return _by_lottery(assignment, case, draws)
    stream = assignment.stream("randomisation test")
    kinds = kinds_of(case, seats) if method != "shuffles" else []
    number = sum(len(kind.counts) for kind in kinds)
    if method == "counts" or (kinds and number * KIND_COST <= units):
        method, laws = "counts", count_laws(case, seats, kinds, stream.child("counts"), draws)
        what = "people" if case.clusters is None else "clusters"
        why = f"{draws:,} redraws of the seats, as counts of {number:,} kinds of {what}"
    elif method == "shuffles" or units >= CROWD * len(seats.used):
        method, laws = "shuffles", shuffle_laws(case, seats, stream.child("shuffles"), draws)
        why = f"{draws:,} redraws of the seats"
    else:
        return _by_lottery(assignment, case, draws)
    null = Null(case.law(assignment.codes[None]), ((law, None) for law in laws))
    return Route(method=method, why=why, null=null)


def _by_lottery(assignment: Assignment, case: Case, draws: int) -> Route:
    stream = assignment.stream("randomisation test")
    laws = ((case.law(codes), None) for codes in redraws(assignment.lottery, stream, draws))
    null = Null(case.law(assignment.codes[None]), laws)
    return Route(method="redraws", why=f"{draws:,} redraws of the lottery", null=null)
