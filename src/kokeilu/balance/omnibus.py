"""One p-value for all covariates together, from redraws of the lottery that was used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from kokeilu._kernels.imbalance import arm_totals, centred_within, quadratic_forms, totals_covariance, whitening
from kokeilu.core.assignment import Assignment
from kokeilu.core.lottery import all_assignments, cells_of, redraws, shares_of
from kokeilu.core.protocols import Codes, Exchangeable, Floats, Ints
from kokeilu.core.results import TestResult

__all__ = ["omnibus_test"]

EXACT_LIMIT = 10**6
EXACT_CELLS = 4 * 10**9
"""All assignments are gone through up to a million of them, and up to this many codes."""

TIE = 1e-8
"""Statistics closer than this part of the observed one are tied."""


def omnibus_test(
    assignment: Assignment, values: Floats, *, draws: int, missing: dict[str, int] | None = None
) -> TestResult:
    r"""Test that the arms are as alike as this lottery makes them.

    The statistic is :math:`q = T' Cov^+ T`, with T the totals of the covariates, centred within strata, in each arm
    but the first (of whole clusters, where clusters are drawn), and Cov their covariance under the design. The
    p-value is the probability of a q at least as large: exact over all assignments where there are at most a million,
    otherwise (1 + hits) / (1 + draws).

    Parameters
    ----------
    assignment : Assignment
    values : (n, p) array
        Covariates of everybody in the order of the ids, without gaps.
    draws : int
    missing : mapping of arm to number of people, optional
        People without a row of covariates, for the account.

    Returns
    -------
    TestResult
        `statistic` is q. The chi-square approximation is in the notes.

    Source: Hansen & Bowers (2008), Statist. Sci. 23, 219-236.
    """
    form = _Form.of(assignment, values)
    chances: list[Floats] = []
    totals = []
    for codes, chance in _draws(assignment, draws):
        totals.append(form.totals(codes))
        if chance is not None:
            chances.append(chance)
    seen = form.totals(assignment.codes[None])
    drawn, weights = np.concatenate(totals), np.concatenate(chances) if chances else None
    factors = whitening(form.covariance) if form.covariance is not None else _empirical(seen, drawn, weights)
    q_seen = float(quadratic_forms(seen, factors)[0])
    hits = quadratic_forms(drawn, factors) >= q_seen * (1.0 - TIE) - 1e-10
    return _result(assignment, q_seen, hits, weights, factors.shape[1], form, missing)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Form:
    """Columns of what is drawn, and the covariance of their totals where the lottery names its cells."""

    columns: Floats
    centre: Floats
    places: Ints
    arms: int
    covariance: Floats | None
    clustered: bool

    @classmethod
    def of(cls, assignment: Assignment, values: Floats) -> _Form:
        """Centre and scale the columns of people or of clusters."""
        lottery, arms = assignment.lottery, len(assignment.arms)
        cells = cells_of(lottery)
        whole = cells.clusters if cells.whole else None
        columns, _ = centred_within(values, cells.strata, whole)
        places = np.arange(len(assignment))
        if whole is not None:
            places = np.unique(whole, return_index=True)[1]
        shares = shares_of(lottery, assignment.stream("shares"))[places]
        named = isinstance(lottery, Exchangeable) and cells.whole
        return cls(
            columns=columns,
            centre=np.concatenate([shares[:, k] @ columns for k in range(1, arms)]),
            places=places,
            arms=arms,
            covariance=totals_covariance(columns, cells.strata[places], shares) if named else None,
            clustered=whole is not None,
        )

    def totals(self, codes: Codes) -> Floats:
        """Totals by arm less their expectation, for codes of people (b, n)."""
        drawn = codes if len(self.places) == codes.shape[1] else codes[:, self.places]
        return arm_totals(drawn, self.columns, self.arms) - self.centre


def _draws(assignment: Assignment, draws: int) -> Iterator[tuple[Codes, Floats | None]]:
    lottery = assignment.lottery
    every = all_assignments(lottery, min(EXACT_LIMIT, max(10_000, EXACT_CELLS // lottery.n_units)))
    if every is not None:
        yield from every
        return
    for codes in redraws(lottery, assignment.stream("balance"), draws):
        yield codes, None


def _empirical(seen: Floats, drawn: Floats, chances: Floats | None) -> Floats:
    """Whitening by the covariance over all draws; the observed one is among redraws, so that none stands out."""
    table = drawn if chances is not None else np.concatenate([seen, drawn])
    weights = chances if chances is not None else np.full(len(table), 1.0 / len(table))
    return whitening((table * weights[:, None]).T @ table)


def _result(
    assignment: Assignment,
    statistic: float,
    hits: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    chances: Floats | None,
    rank: int,
    form: _Form,
    missing: dict[str, int] | None,
) -> TestResult:
    draws = int(hits.size)
    found = int(hits.sum())
    if chances is not None:
        p_value = low = high = min(1.0, float(chances[hits].sum()))
    else:
        p_value = (1 + found) / (1 + draws)
        bounds = stats.binomtest(found, draws).proportion_ci(0.99, method="exact")
        low, high = float(bounds.low), float(bounds.high)
    absent = missing or dict.fromkeys(assignment.arms.names, 0)
    return TestResult(
        name="omnibus balance test",
        outcome="",
        arm="",
        reference="",
        statistic=statistic,
        p_value=p_value,
        draws=draws,
        exact=chances is not None,
        p_error=0.0 if chances is not None else float(np.sqrt(p_value * (1.0 - p_value) / draws)),
        p_low=low,
        p_high=high,
        n={arm: count - absent[arm] for arm, count in assignment.counts().items()},
        missing=absent,
        reason=_reason(form, draws, exact=chances is not None),
        notes=_notes(statistic, rank),
    )


def _reason(form: _Form, draws: int, *, exact: bool) -> str:
    what = f"totals of {len(form.places):,} whole clusters" if form.clustered else "totals of people"
    kind = f"all {draws:,} assignments" if exact else f"{draws:,} redraws of the lottery"
    return f"Hypothesis: the draw was held as stated. Statistic: squared distance of the arms in {what}, {kind}."


def _notes(statistic: float, rank: int) -> tuple[str, ...]:
    if rank == 0:
        return ("no covariate varies within strata, so none can differ between the arms: there was nothing to test.",)
    approximate = float(stats.chi2.sf(statistic, rank))
    freedom = "1 degree of freedom" if rank == 1 else f"{rank} degrees of freedom"
    return (f"for comparison only: chi-square approximation p = {approximate:.3f} on {freedom}.",)
