"""Probabilities of pairs under fixed seats, by kinds of strata."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kokeilu._kernels.seat_law import SeatMoments, seat_law, seat_moments
from kokeilu.core.pairs import PairLaw
from kokeilu.core.protocols import Floats, Ints

__all__ = ["balanced_moments", "independent_moments", "seated_law"]

LEAVES = 20_000


def seated_law(
    strata: Ints, floors: Ints, fractions: Ints, unit: int, *, rule: str, own: Callable[[], SeatMoments | None]
) -> PairLaw | None:
    """Return the law of people seated at random within strata.

    With N seats of a stratum of n units P(a, b) = E[N_a (N_b - 1{a = b})] / (n (n - 1)); of strata s and t it is
    E[N_sa N_tb] / (n_s n_t). N = floors + e, so only the first two moments of the leftover seats e are needed.

    Parameters
    ----------
    strata : (n,) array
    floors, fractions : (S, K) arrays, unit : int
        Seats owed are ``floors + fractions / unit``.
    rule : {"balanced", "stratum"}
        Leftover seats of one rule depend on each other between strata, of the other they do not.
    own : callable
        Second moments of the leftover seats where the formulas for one stratum do not reach; asked only then.
    """
    kind_rows, kinds = np.unique(np.column_stack([floors, fractions]), axis=0, return_inverse=True)
    kinds, arms = kinds.reshape(-1), floors.shape[1]
    base, rest = kind_rows[:, :arms].astype(np.float64), kind_rows[:, arms:] / unit
    linked = rule == "balanced" and int(fractions.any(axis=1).sum()) > 1
    second = _within_stratum(rest)
    found = own() if linked or np.isnan(second).any() else None
    if found is None and (linked or np.isnan(second).any()):
        return None
    size = base.sum(axis=1) + np.round(rest.sum(axis=1))
    if found is not None:
        classes = np.zeros(len(kind_rows), dtype=np.int64)
        classes[kinds] = found.members
        live = classes >= 0
        second[live] = found.own[classes[live]]
    seats = base + rest
    moment = _outer(base, base) + _outer(base, rest) + _outer(rest, base) + second
    with np.errstate(divide="ignore", invalid="ignore"):
        within = (moment - np.eye(arms) * seats[:, :, None]) / (size * (size - 1.0))[:, None, None]
    within[size < 2] = 0.0
    across = None
    if linked and found is not None:
        across = _across(seats, rest, size, classes, found)
    return PairLaw(
        units=np.arange(len(strata)),
        blocks=strata,
        kinds=kinds.astype(np.int64),
        shares=seats / size[:, None],
        within=within,
        across=across,
    )


def _outer(left: Floats, right: Floats) -> Floats:
    table: Floats = left[:, :, None] * right[:, None, :]
    return table


def _within_stratum(rest: Floats) -> Floats:
    """E[e_a e_b] of one stratum, (C, K, K); NaN where neither one seat is left nor all arms but one get one.

    With one seat left e_a e_b = 0 for a != b; with all live arms but one seated (1 - e_a)(1 - e_b) = 0.
    """
    left, live = np.round(rest.sum(axis=1)), (rest > 0.0).sum(axis=1)
    table = np.full((*rest.shape, rest.shape[1]), np.nan)
    both = (rest[:, :, None] > 0.0) & (rest[:, None, :] > 0.0)
    table[left <= 1] = 0.0
    short = (left > 1) & (left == live - 1)
    table[short] = np.where(both, rest[:, :, None] + rest[:, None, :] - 1.0, 0.0)[short]
    arms = np.arange(rest.shape[1])
    table[:, arms, arms] = np.where(np.isnan(table[:, arms, arms]), np.nan, rest)
    return table


def _across(seats: Floats, rest: Floats, size: Floats, classes: Ints, found: SeatMoments) -> Floats:
    """P(a, b) of units of different strata by kind: the product, and the covariance of the leftover seats on top."""
    moment = np.einsum("ca,db->cdab", seats, seats)
    live = np.flatnonzero(classes >= 0)
    grid = np.ix_(live, live)
    covariance = found.across[classes[live]][:, classes[live]] - np.einsum("ca,db->cdab", rest[live], rest[live])
    # No two strata make such a pair: whatever stands there is never asked for.
    moment[grid] += np.nan_to_num(covariance, nan=0.0)
    chances: Floats = moment / np.multiply.outer(size, size)[:, :, None, None]
    return chances


def independent_moments(fractions: Ints, unit: int) -> SeatMoments | None:
    """Second moments where the leftover seats of each stratum are dealt on their own, from the law of one."""
    live = fractions.any(axis=1)
    rows, place = np.unique(fractions[live], axis=0, return_inverse=True)
    own = np.zeros((len(rows), fractions.shape[1], fractions.shape[1]))
    for number, row in enumerate(rows):
        law = seat_law(row[None], unit, "stratum", LEAVES)
        if law is None:
            return None
        tables = law[0][:, 0].astype(np.float64)
        own[number] = np.einsum("t,ta,tb->ab", [float(p) for p in law[1]], tables, tables)
    members = np.full(len(fractions), -1, dtype=np.int64)
    members[live] = place.reshape(-1)
    return SeatMoments(members, own, np.full((len(rows), *own.shape), np.nan))


def balanced_moments(fractions: Ints, unit: int) -> SeatMoments | None:
    """Second moments of seats balanced over strata."""
    return seat_moments(fractions, unit, LEAVES)
