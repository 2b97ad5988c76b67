"""Randomisation tests: the lottery is held again, with outcomes that no arm has changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from kokeilu._checks import between, choice, count_of, name_list, positive_int
from kokeilu._kernels.batched import residualised
from kokeilu._kernels.nulls import Law, Null, Units
from kokeilu.core.assignment import Assignment
from kokeilu.core.lottery import all_assignments, cells_of, redraws
from kokeilu.core.protocols import Floats, Ints
from kokeilu.core.results import TestResult
from kokeilu.core.view import View, align
from kokeilu.errors import DesignError, EstimationError
from kokeilu.estimate.sample import least_shares, with_company

__all__ = ["randomisation_test"]

ALTERNATIVES = ("two-sided", "greater", "less")
SAME = 1e-9
"""Shares closer than this are equal: exact fractions were turned into doubles."""

EXACT_LIMIT = 10**6
EXACT_CELLS = 4 * 10**9
"""All assignments are gone through up to a million of them, and up to this many codes."""

FEW = 8.0
"""Expected units of an arm above which a stratum without it is too rare to matter (e**-8 = 0.0003)."""


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
) -> TestResult:
    r"""Test the hypothesis of no effect by holding the same lottery again.

    The hypothesis is that no arm changes anybody's outcome. The p-value is the probability, under the
    lottery, of a statistic at least as extreme as the observed one: exact over all assignments where there are at most
    a million (and 4e9 codes), otherwise (1 + hits) / (1 + draws). Ties count as hits, and so do draws in which the
    statistic is not defined. Strata, clusters, several arms and unequal shares enter because the lottery is the
    one that was drawn; people without an outcome stay without one in every redraw.

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
        An unknown arm or alternative, or a number of draws that is none.

    Examples
    --------
    >>> import kokeilu as kk
    >>> people = {"id": list(range(8)), "score": [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]}
    >>> trial = kk.randomise(people, kk.Complete(kk.arms(control=1, coaching=1)), id="id", seed="example")
    >>> result = kk.randomisation_test(trial, people, "score")
    >>> result.exact, result.draws
    (True, 70)
    """
    if not isinstance(assignment, Assignment):
        got = type(assignment).__name__
        raise DesignError(f"randomisation_test needs an assignment, from randomise or adopt; got {got}.")
    choice(alternative, ALTERNATIVES, name="alternative")
    between(level, 0.0, 1.0, name="level")
    positive_int(draws, name="draws")
    view = align(assignment, outcomes, outcome, covariates=name_list(covariates, name="covariates"))
    case = _case(view, contrast, studentise=studentise)
    null = Null(case.law(assignment.codes[None]), _laws(assignment, case, draws))
    return _result(view, case, null, alternative, level)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """One contrast: the units and where they stand in the assignment."""

    arm: int
    reference: int
    units: Units
    places: Ints
    scale: float
    pooled: int
    left_out: int
    weighted: bool
    studentised: bool

    def law(self, codes: NDArray[np.int8]) -> Law:
        """The law of each draw, from codes of all people (b, n)."""
        return self.units.law(codes[:, self.places], self.arm, self.reference)


def _case(view: View, contrast: tuple[str, str] | None, *, studentise: bool) -> _Case:
    arm, reference = _pair(view, contrast)
    keep = (view.shares[:, arm] > 0.0) & (view.shares[:, reference] > 0.0)
    y, codes = view.y[keep], view.codes[keep]
    _refuse(view, y, codes, arm, reference)
    # Clusters that stand in several arms have no total of their own: the statistic is then one of people.
    clusters = _renumbered(view.clusters[keep]) if view.clusters is not None and view.whole else None
    shares = view.shares[keep][:, [arm, reference]]
    own = _renumbered(view.strata[keep]) if view.whole else np.zeros(y.size, dtype=np.int64)
    strata, pooled = _usable_strata(view, own, clusters, shares, view.rows[keep])
    weights = _weights(shares, strata)
    z = (codes == arm).astype(np.float64)
    if view.covariates.shape[1]:
        y, z = (residualised(column, view.covariates[keep], strata) for column in (y, z))
    scale = float(y.std())
    if not scale > 1e-12 * float(np.abs(view.y).max()):
        raise EstimationError(
            f"{view.outcome!r} is fully explained by the covariates and strata: nothing is left to test. "
            "Use fewer covariates."
        )
    n_units = y.size if clusters is None else int(clusters.max()) + 1
    # The raw difference is judged in a fixed unit, so that one tolerance serves both statistics.
    spread = None if studentise else float(np.sqrt(4.0 / n_units))
    units = Units((y - y.mean()) / scale, z, strata, clusters, weights, spread)
    return _Case(
        arm=arm,
        reference=reference,
        units=units,
        places=view.rows[keep][units.first],
        scale=scale,
        pooled=pooled,
        left_out=int((~keep).sum()),
        weighted=weights is not None,
        studentised=studentise,
    )


def _pair(view: View, contrast: tuple[str, str] | None) -> tuple[int, int]:
    if contrast is None:
        return 1, 0
    if isinstance(contrast, str) or len(contrast) != 2:
        raise DesignError("contrast must be a pair of arm names, such as contrast=('coaching', 'control').")
    arm, reference = (view.arms.index(name) for name in contrast)
    if arm == reference:
        raise DesignError(f"the contrast compares arm {contrast[0]!r} with itself; name two different arms.")
    return arm, reference


def _refuse(view: View, y: Floats, codes: NDArray[np.int8], arm: int, reference: int) -> None:
    for code in (arm, reference):
        if not (codes == code).any():
            raise EstimationError(
                f"arm {view.arms.names[code]!r} has nobody with an observed {view.outcome!r}: there is nothing to "
                "compare. Name another contrast, or check the outcomes table."
            )
    if np.ptp(y) == 0.0:
        raise EstimationError(
            f"{view.outcome!r} has the same value for everybody: there is nothing to test. Check the column."
        )


def _renumbered(codes: Ints) -> Ints:
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def _usable_strata(view: View, strata: Ints, clusters: Ints | None, shares: Floats, rows: Ints) -> tuple[Ints, int]:
    """Pool the strata that a draw may well leave without one of the arms; how many were pooled.

    The rule looks at the design and at who has an outcome, never at the draw, so that the test stays exact.
    """
    n_strata = int(strata.max()) + 1
    first = np.arange(strata.size) if clusters is None else np.unique(clusters, return_index=True)[1]
    count = np.bincount(strata[first], minlength=n_strata)
    share = least_shares(strata, shares)
    seats = count * share
    safe = seats >= FEW
    if view.fixed:
        # Seats are fixed: one is certain wherever a whole one is due and nobody of the stratum is missing.
        safe |= (seats >= 1.0 - SAME) & (count == _design_counts(view, strata, rows))
    if safe.all() or n_strata == 1:
        return strata, 0
    safe = with_company(safe, count, share)
    place = np.where(safe, np.cumsum(safe) - 1, safe.sum())
    return place[strata].astype(np.int64), int((~safe).sum())


def _design_counts(view: View, strata: Ints, rows: Ints) -> Ints:
    """Units of the whole design in each stratum of the view."""
    cells = cells_of(view.lottery)
    first = np.arange(cells.strata.size)
    if cells.clusters is not None:
        first = np.unique(cells.clusters, return_index=True)[1]
    whole = np.bincount(cells.strata[first], minlength=int(cells.strata.max()) + 1)
    owner = np.zeros(int(strata.max()) + 1, dtype=np.int64)
    owner[strata] = cells.strata[rows]
    return whole[owner].astype(np.int64)


def _weights(shares: Floats, strata: Ints) -> Floats | None:
    """Return 1 / share in either arm where chances differ within a stratum of the statistic."""
    first = np.unique(strata, return_index=True)[1][strata]
    if (np.abs(shares - shares[first]) <= SAME).all():
        return None
    weights: Floats = shares.mean(axis=0) / shares
    return weights


def _laws(assignment: Assignment, case: _Case, draws: int) -> Iterator[tuple[Law, Floats | None]]:
    lottery = assignment.lottery
    limit = min(EXACT_LIMIT, max(10_000, EXACT_CELLS // lottery.n_units))
    every = all_assignments(lottery, limit)
    if every is not None:
        for codes, chances in every:
            yield case.law(codes), chances
        return
    for codes in redraws(lottery, assignment.stream("randomisation test"), draws):
        yield case.law(codes), None


def _result(view: View, case: _Case, null: Null, alternative: str, level: float) -> TestResult:
    seen = float(null.observed.at(0.0)[0])
    if np.isnan(seen):
        raise EstimationError(
            f"the statistic of {view.outcome!r} is not defined for the draw as it was: an arm has too few people or "
            "clusters with an outcome for a variance, or a stratum lacks one of the arms. Use studentise=False, or "
            "pool strata."
        )
    exact = null.chances is not None
    p_value, error, low, high = _p_value(null, _side(case, alternative))
    interval, open_note = _interval(case, null, alternative, level)
    counts = np.bincount(view.codes, minlength=len(view.arms))
    missing = view.account.missing()
    names = [view.arms.names[case.arm], view.arms.names[case.reference]]
    return TestResult(
        name="randomisation test",
        outcome=view.outcome,
        arm=names[0],
        reference=names[1],
        statistic=seen if case.studentised else float(null.observed.value[0]) * case.scale,
        p_value=p_value,
        draws=len(null),
        exact=exact,
        p_error=error,
        p_low=low,
        p_high=high,
        interval=interval,
        level=level,
        n={name: int(counts[view.arms.index(name)]) for name in names},
        missing={name: missing[name] for name in names},
        reason=_reason(view, case, null, alternative),
        notes=(*view.notes, *_notes(view, case, null), *open_note),
    )


def _side(case: _Case, alternative: str) -> str:
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
    case: _Case, null: Null, alternative: str, level: float
) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    low, high = null.bounds(1.0 - level, alternative)
    if low is None or high is None:
        note = (
            f"no interval at {level:.0%}: on one side at least every shift is compatible with the data, as the draws "
            "are too few, or too often leave the statistic undefined, or the covariates determine the arm."
        )
        return None, (note,)
    return (low * case.scale, high * case.scale), ()


def _reason(view: View, case: _Case, null: Null, alternative: str) -> str:
    arm, reference = view.arms.names[case.arm], view.arms.names[case.reference]
    what = "studentised difference in means" if case.studentised else "difference in means"
    n_strata = int(case.units.strata.max()) + 1
    if n_strata > 1:
        what += f", weighted over {n_strata:,} strata"
    if view.clusters is not None and view.whole:
        what += f", of {case.places.size:,} clusters as totals"
    if case.weighted:
        what += ", weighted by 1/share"
    if view.covariates.shape[1]:
        what += ", after regression on the covariates"
    kind = f"all {len(null):,} assignments" if null.chances is not None else f"{len(null):,} redraws of the lottery"
    also = f" In large samples p also tests that the average effect of {arm!r} against {reference!r} is 0."
    sides = "two-sided, twice the smaller side" if _side(case, alternative) == "equal-tailed" else alternative
    head = f"Hypothesis: no effect of any arm on anybody. Statistic: {what}; {sides}, {kind}."
    # The error of the statistic takes people as drawn one by one, which two-stage draws are not.
    return head + (also if case.studentised and view.whole else "")


def _notes(view: View, case: _Case, null: Null) -> Iterator[str]:
    missing = sum(view.account.missing().values())
    if missing:
        yield (
            f"{count_of(missing, 'person has', 'people have')} no outcome and stay without one in every redraw: the "
            "test then also supposes that no arm changes who has an outcome."
        )
    if case.left_out:
        yield f"{count_of(case.left_out, 'person', 'people')} who had no chance of one of the two arms are left out."
    if case.pooled:
        yield (
            f"{count_of(case.pooled, 'stratum', 'strata')} that a draw may leave without one of the arms are pooled "
            "in the statistic, not in the redraws."
        )
    undefined = int(null.undefined.sum())
    if undefined:
        yield (
            f"the statistic is not defined in {undefined:,} of {len(null):,} draws (probability "
            f"{null.undefined_share():.2g}); each is counted as more extreme than the observed one, which makes the "
            "p-value larger, never smaller."
        )
