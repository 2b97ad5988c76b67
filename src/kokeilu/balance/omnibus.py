"""One p-value for all covariates together, from redraws of the lottery that was used."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import stats

from kokeilu._checks import positive_int
from kokeilu.balance.statistics import Reduce, Statistic, Units, statistic_of
from kokeilu.core.assignment import Assignment
from kokeilu.core.lottery import all_assignments, redraws
from kokeilu.core.protocols import Codes, Floats
from kokeilu.core.results import TestResult

__all__ = ["omnibus_test"]

EXACT_LIMIT = 10**6
EXACT_CELLS = 4 * 10**9
"""All assignments are gone through up to a million of them, and up to this many codes."""

EXACT_PAIRS = 2 * 10**11
"""The same where all pairs enter, in multiplications."""

TIE = 1e-8
"""Statistics closer than this part of the observed one are tied."""


def omnibus_test(
    assignment: Assignment,
    values: Floats,
    *,
    draws: int,
    missing: dict[str, int] | None = None,
    statistic: str = "mahalanobis",
    weights: Floats | None = None,
    name: str = "omnibus balance test",
) -> TestResult:
    r"""Test that the arms are as alike as this lottery makes them.

    The p-value is the probability of a statistic at least as large: exact over all assignments where there are at most
    a million, otherwise (1 + hits) / (1 + draws).

    "mahalanobis" is :math:`q = T' Cov^+ T`, with T the totals of the covariates, centred within strata, in each arm but
    the first (of whole clusters, where clusters are drawn), and Cov their covariance under the design. Where there are
    more columns than half the units, q is the same in every draw or nearly so, and the sum of the squared standardised
    totals is taken instead. "F" is Pillai's F of the arms on the covariates, "max" the largest standardised total,
    "energy" and "kernel" are distances between the whole distributions.

    Parameters
    ----------
    assignment : Assignment
    values : (n, p) array
        Covariates of everybody in the order of the ids, without gaps.
    draws : int
    missing : mapping of arm to number of people, optional
        People without a row of covariates, for the account.
    statistic : {"mahalanobis", "F", "max", "energy", "kernel"}
    weights : (n,) array, optional
        What each person counts for.
    name : str
        Of the test.

    Returns
    -------
    TestResult
        The chi-square or F approximation is in the notes.

    Source: Hansen & Bowers (2008), Statist. Sci. 23, 219-236.
    """
    positive_int(draws, name="draws")
    units = Units.of(assignment, values, weights)
    judge = statistic_of(assignment, values, units, statistic, weights, draws)
    seen, drawn, chances = _judged(assignment, judge, draws)
    hits = drawn >= seen * (1.0 - TIE) - 1e-10
    return _result(assignment, judge, seen, hits, chances, missing, name)


def _judged(assignment: Assignment, judge: Statistic, draws: int) -> tuple[float, Floats, Floats | None]:
    """The statistic as drawn and of all draws, with their probabilities where these are all assignments."""
    observed = judge.features(assignment.codes[None])
    chances: list[Floats] = []
    parts = []
    for codes, chance in _draws(assignment, draws, judge.cost):
        features = judge.features(codes)
        parts.append(features if judge.reduce is None else judge.reduce(features))
        if chance is not None:
            chances.append(chance)
    drawn, weights = np.concatenate(parts), np.concatenate(chances) if chances else None
    reduce = judge.reduce
    if reduce is None:
        reduce = _learnt(judge, observed, drawn, weights)
        drawn = reduce(drawn)
    return float(reduce(observed)[0]), drawn, weights


def _learnt(judge: Statistic, observed: Floats, drawn: Floats, chances: Floats | None) -> Reduce:
    """Learn from all draws; the observed one is among redraws, so that none stands out."""
    table = drawn if chances is not None else np.concatenate([observed, drawn])
    weights = chances if chances is not None else np.full(len(table), 1.0 / len(table))
    if judge.learn is None:
        return lambda features: features[:, 0]
    return judge.learn(table, weights)


def _draws(assignment: Assignment, draws: int, cost: int) -> Iterator[tuple[Codes, Floats | None]]:
    lottery = assignment.lottery
    limit = min(EXACT_LIMIT, max(10_000, EXACT_CELLS // lottery.n_units))
    if cost:
        limit = min(limit, max(1_000, EXACT_PAIRS // cost))
    every = all_assignments(lottery, limit)
    if every is not None:
        yield from every
        return
    for codes in redraws(lottery, assignment.stream("balance"), draws):
        yield codes, None


def _result(
    assignment: Assignment,
    judge: Statistic,
    seen: float,
    hits: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    chances: Floats | None,
    missing: dict[str, int] | None,
    name: str,
) -> TestResult:
    draws, found, exact = int(hits.size), int(hits.sum()), chances is not None
    if chances is not None:
        p_value = low = high = min(1.0, float(chances[hits].sum()))
    else:
        p_value = (1 + found) / (1 + draws)
        bounds = stats.binomtest(found, draws).proportion_ci(0.99, method="exact")
        low, high = float(bounds.low), float(bounds.high)
    absent = missing or dict.fromkeys(assignment.arms.names, 0)
    kind = f"all {draws:,} assignments" if exact else f"{draws:,} redraws of the lottery"
    return TestResult(
        name=name,
        outcome="",
        arm="",
        reference="",
        statistic=seen,
        p_value=p_value,
        draws=draws,
        exact=exact,
        p_error=0.0 if exact else float(np.sqrt(p_value * (1.0 - p_value) / draws)),
        p_low=low,
        p_high=high,
        n={arm: count - absent[arm] for arm, count in assignment.counts().items()},
        missing=absent,
        reason=(
            "Hypothesis: the draw was held as stated. p is the share of draws in which the arms are at least as unlike "
            f"as they are here; judged by the {judge.says}; {kind}."
        ),
        notes=_notes(judge, seen),
    )


def _notes(judge: Statistic, seen: float) -> tuple[str, ...]:
    if judge.rank == 0:
        return ("no covariate varies within strata, so none can differ between the arms: there was nothing to test.",)
    if judge.law is None:
        return judge.notes
    approximate, name = judge.law(seen)
    return (*judge.notes, f"for comparison only: {name.replace(' on ', f' p = {approximate:.3f} on ', 1)}.")
