"""Randomisation tests: the lottery is held again, with outcomes that no arm has changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from kokeilu._checks import between, choice, count_of, name_list, positive_int
from kokeilu._kernels.nulls import Null
from kokeilu.core.assignment import Assignment
from kokeilu.core.lottery import shares_of
from kokeilu.core.results import TestResult
from kokeilu.core.view import View, align
from kokeilu.errors import DesignError, EstimationError
from kokeilu.estimate._case import Case, case_of
from kokeilu.estimate._exact import ExactSum, shifts_of
from kokeilu.estimate._routes import METHODS, Route, drawn_route, route_of
from kokeilu.estimate._seats import seats_of
from kokeilu.estimate.among import held_again
from kokeilu.estimate.notes import attrition_notes

__all__ = ["randomisation_test"]

ALTERNATIVES = ("two-sided", "greater", "less")


def randomisation_test(
    assignment: Assignment,
    outcomes: object,
    outcome: str,
    *,
    covariates: Sequence[str] | str = (),
    contrast: tuple[str, str] | None = None,
    draws: int = 9_999,
    studentise: bool = True,
    alternative: str = "two-sided",
    level: float = 0.95,
    method: str = "auto",
) -> TestResult:
    r"""Test the hypothesis of no effect by holding the same lottery again.

    The hypothesis is that the arm and the reference do the same to everybody. The p-value is the probability, under
    the lottery, of a statistic at least as extreme as the observed one: exact where it can be, otherwise
    (1 + hits) / (1 + draws). Ties count as hits, and so do draws in which the
    statistic is not defined. Strata, clusters, several arms and unequal shares enter because the lottery is the
    one that was drawn; people without an outcome stay without one in every redraw. With three or more arms the lottery
    is held again among the people of these two, and the others stay where they are, so that p is right whatever other
    arms do; where that law is not known (an adaptive design, or a large rerandomised one, of several arms) everybody is
    drawn again, and a note says so.

    The statistic is the difference in means, weighted by stratum size, divided by its Neyman standard error
    (clusters: ratio of cluster totals, with the linearised error). Studentised, the test is also valid in large
    samples when effects differ but average nought (Wu & Ding 2021).

    Parameters
    ----------
    assignment : Assignment
    outcomes : pandas, pyarrow or Arrow-capable table
        One row for each person at most, with the id column of the assignment.
    outcome : str
    covariates : sequence of str
        Columns of `outcomes` measured before the draw; outcome and arm are regressed on them (and on strata) once.
    contrast : (arm, reference), optional
        The first arm after the reference against the reference where not given.
    draws : int
        Redraws, where the assignments are too many to go through.
    studentise : bool
        False: the raw difference in means.
    alternative : {"two-sided", "greater", "less"}
        "two-sided": twice the smaller of the two one-sided p-values, so that p and interval tell the same; for the raw
        difference the share of draws at least as far from 0.
    level : float
        Of the interval: the effects :math:`\tau`, the same for everybody in the arm, that are not rejected when
        :math:`y - \tau z` is tested with the same redraws; two-sided, each side at (1 - level) / 2.
    method : {"auto", "exact", "enumerate", "counts", "shuffles", "redraws"}
        The way; `reason` of the result says which was gone. "enumerate": all assignments, where there are at most a
        million (and 4e9 codes). "exact": the law of the sum over the arm (Pagano & Tritchler 1983), for the raw
        difference of a whole-number or decimal outcome where seats are fixed, for hundreds of thousands of people;
        strata are weighted by :math:`n_1 n_0 / n`, as stratum effects in a regression weight them; seats left over are
        mixed over, and where that is too much, or people stand in other arms or have no outcome, it is exact given
        these. "counts" and "shuffles": redraws of the seats alone, for many people with few distinct values or with
        many. "redraws": of the lottery itself, whatever it is. "auto": the first of "enumerate" and "exact" that is
        open, else redraws: by seats from 2e7 (draws x people) on.

    Returns
    -------
    TestResult
        The interval is None where a side that was asked for has no bound; the notes say so.

    Raises
    ------
    ColumnError, DataError
        For columns or people that do not fit the assignment.
    EstimationError
        An arm without people, an outcome without variation, a statistic that is not defined.
    DesignError
        An unknown arm, alternative or method, a number of draws that is none, or a method that is not open here.

    Examples
    --------
    >>> import kokeilu as kk
    >>> people = {"id": list(range(8))}
    >>> trial = kk.randomise(people, kk.Complete(kk.arms(control=1, coaching=1)), id="id", seed="example")
    >>> scores = {**people, "score": [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]}
    >>> result = kk.randomisation_test(trial, scores, "score")
    >>> result.exact, result.draws
    (True, 70)
    """
    if not isinstance(assignment, Assignment):
        got = type(assignment).__name__
        raise DesignError(f"randomisation_test needs an assignment, from randomise or adopt; got {got}.")
    choice(alternative, ALTERNATIVES, name="alternative")
    between(level, 0.0, 1.0, name="level")
    positive_int(draws, name="draws")
    choice(method, METHODS, name="method")
    view = align(assignment, outcomes, outcome, covariates=name_list(covariates, name="covariates"))
    case = case_of(view, contrast, studentise=studentise)
    held = held_again(assignment, (case.arm, case.reference))
    if held is not None and held is not assignment:
        case = case.among(shares_of(held.lottery))
    route = route_of(held or assignment, case, draws, method)
    if route.sums is not None:
        answer = _from_sums(held or assignment, case, route.sums, alternative, level, draws)
    else:
        answer = _from_null(view, case, route.null, alternative, level)
    return _result(view, case, route, answer, _side(case, alternative), level)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What a route found; `draws` of 0 where the p-value is exact without any."""

    statistic: float
    p_value: float
    draws: int
    exact: bool
    error: float
    low: float
    high: float
    interval: tuple[float, float] | None
    notes: tuple[str, ...]


def _from_null(view: View, case: Case, null: Null | None, alternative: str, level: float) -> _Answer:
    if null is None or np.isnan(null.observed.at(0.0)[0]):
        raise EstimationError(
            f"the statistic of {view.outcome!r} is not defined for the draw as it was: an arm has too few people or "
            "clusters with an outcome for a variance, or a stratum lacks one of the arms. Use studentise=False, or "
            "pool strata."
        )
    p_value, error, low, high = _p_value(null, _side(case, alternative))
    interval, open_note = _interval(case, null, alternative, level)
    seen = float(null.observed.at(0.0)[0])
    return _Answer(
        statistic=seen if case.studentised else float(null.observed.value[0]) * case.scale,
        p_value=p_value,
        draws=len(null),
        exact=null.chances is not None,
        error=error,
        low=low,
        high=high,
        interval=interval,
        notes=(*_undefined_note(null), *open_note),
    )


def _from_sums(
    assignment: Assignment, case: Case, sums: ExactSum, alternative: str, level: float, draws: int
) -> _Answer:
    p_value = sums.p_value(alternative)
    interval, notes = _shifts(assignment, case, sums, alternative, level, draws)
    return _Answer(
        statistic=sums.value,
        p_value=p_value,
        draws=0,
        exact=True,
        error=0.0,
        low=p_value,
        high=p_value,
        interval=interval,
        notes=notes,
    )


def _shifts(
    assignment: Assignment, case: Case, sums: ExactSum, alternative: str, level: float, draws: int
) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """Interval from the joint laws, or by redraws where those would be too large."""
    shifts = shifts_of(sums)
    if shifts is not None:
        return _bounded(*shifts.bounds(1.0 - level, alternative), level)
    route = drawn_route(assignment, case, draws, "auto", seats_of(assignment.lottery, case))
    if route.null is None:
        return None, ()
    interval, notes = _interval(case, route.null, alternative, level)
    return interval, (*notes, f"the interval is from {route.why}: its exact law would need too much memory.")


def _result(view: View, case: Case, route: Route, answer: _Answer, side: str, level: float) -> TestResult:
    counts = np.bincount(view.codes, minlength=len(view.arms))
    missing, absent = view.account.missing(), view.account.absent()
    names = [view.arms.names[case.arm], view.arms.names[case.reference]]
    return TestResult(
        name="randomisation test",
        outcome=view.outcome,
        arm=names[0],
        reference=names[1],
        statistic=answer.statistic,
        p_value=answer.p_value,
        draws=answer.draws,
        exact=answer.exact,
        p_error=answer.error,
        p_low=answer.low,
        p_high=answer.high,
        interval=answer.interval,
        level=level,
        n={name: int(counts[view.arms.index(name)]) for name in names},
        missing={name: missing[name] for name in names},
        absent={name: absent[name] for name in names},
        reason=_reason(view, case, route, side),
        notes=(*view.notes, *_notes(view, case, route), *answer.notes),
    )


def _side(case: Case, alternative: str) -> str:
    """How two sides are judged: the studentised statistic of arms of unequal size is skewed, so each side on its own.

    With a rare outcome and a small arm, draws without an event in it have a tiny error and a huge negative statistic;
    counted by its size alone these would drown what happens on the other side.
    """
    return "equal-tailed" if alternative == "two-sided" and case.studentised else alternative


def _p_value(null: Null, side: str) -> tuple[float, float, float, float]:
    """The p-value, its Monte Carlo error, and its 99 % Clopper-Pearson bounds."""
    p_value = null.p_value(side)
    if null.chances is not None:
        return p_value, 0.0, p_value, p_value
    tails = 2.0 if side == "equal-tailed" else 1.0
    one = null.nearer_side() if side == "equal-tailed" else side
    share = null.p_value(one)
    hits = null.hits(one)
    found = stats.binomtest(int(hits.sum()), int(hits.size)).proportion_ci(0.99, method="exact")
    error = tails * float(np.sqrt(share * (1.0 - share) / len(null)))
    return p_value, error, min(1.0, tails * float(found.low)), min(1.0, tails * float(found.high))


def _interval(
    case: Case, null: Null, alternative: str, level: float
) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    low, high = null.bounds(1.0 - level, alternative)
    found, notes = _bounded(low, high, level)
    return None if found is None else (found[0] * case.scale, found[1] * case.scale), notes


def _bounded(low: float | None, high: float | None, level: float) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    if low is None or high is None:
        note = (
            f"no interval at {level:.0%}: on one side at least every shift is compatible with the data, as the draws "
            "are too few, or too often leave the statistic undefined, or the covariates determine the arm."
        )
        return None, (note,)
    return (low, high), ()


def _reason(view: View, case: Case, route: Route, side: str) -> str:
    arm, reference = view.arms.names[case.arm], view.arms.names[case.reference]
    what = "studentised difference in means" if case.studentised else "difference in means"
    n_strata = int(case.units.strata.max()) + 1
    # Who stays in another arm, or stands in a stratum of one arm, adds nothing to the sum.
    summed = 0 if route.sums is None else sum(one.copies for one in route.sums.seen.strata if 0 < one.seats < one.size)
    if summed > 1:
        what += f", over {summed:,} strata weighted by the product of their arms' sizes over their own"
    elif n_strata > 1 and route.sums is None:
        what += f", weighted over {n_strata:,} strata"
    if view.clusters is not None and view.whole:
        what += f", of {case.places.size:,} clusters as totals"
    if case.weighted and route.sums is None:
        what += ", weighted by 1/share"
    if case.adjusted:
        what += ", after regression on the covariates"
    also = f" In large samples p also tests that the average effect of {arm!r} against {reference!r} is 0."
    sides = "two-sided, twice the smaller side" if side == "equal-tailed" else side
    null = f"{arm!r} and {reference!r} do the same to everybody" if case.alone else "no effect of any arm on anybody"
    stay = ", the people of other arms staying where they are" if case.alone else ""
    head = f"Hypothesis: {null}. Statistic: {what}; {sides}, {route.why}{stay}."
    # The error of the statistic takes people as drawn one by one, which two-stage draws are not.
    return head + (also if case.studentised and view.whole else "")


def _notes(view: View, case: Case, route: Route) -> Iterator[str]:
    missing = sum(view.account.missing().values())
    if missing:
        yield (
            f"{count_of(missing, 'person has', 'people have')} no outcome and stay without one in every redraw: the "
            "test then also supposes that no arm changes who has an outcome."
        )
    yield from attrition_notes(view, case.arm, case.reference)
    if len(view.arms) > 2 and not case.alone:
        yield (
            "the redraws move people of all arms, as the law of this design given who stands in the others is not "
            "known: the p-value supposes that the other arms do nothing either."
        )
    if view.waves is not None:
        yield (
            "shares followed earlier outcomes: the redraws replay that, so the p-value stands. The interval supposes "
            "besides that no arm changes the outcome that steered the shares; where one does it may be too short."
        )
    if case.left_out:
        yield f"{count_of(case.left_out, 'person', 'people')} who had no chance of one of the two arms are left out."
    if case.pooled and route.sums is None:
        yield (
            f"{count_of(case.pooled, 'stratum', 'strata')} that a draw may leave without one of the arms are pooled "
            "in the statistic, not in the redraws."
        )


def _undefined_note(null: Null) -> Iterator[str]:
    undefined = int(null.undefined.sum())
    if undefined:
        yield (
            f"the statistic is not defined in {undefined:,} of {len(null):,} draws (probability "
            f"{null.undefined_share():.2g}); each is counted as more extreme than the observed one, which makes the "
            "p-value larger, never smaller."
        )
