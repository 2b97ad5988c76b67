"""Are there as many people in each arm as the draw gives, at the draw and at each station after it?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from kokeilu._checks import between, count_of, positive_int
from kokeilu._kernels.goodness import exact_multinomial, pearson
from kokeilu.balance.counted import Counted, counted_of
from kokeilu.balance.omnibus import omnibus_test
from kokeilu.balance.rows import test_line
from kokeilu.core.arms import Arms
from kokeilu.core.assignment import Assignment
from kokeilu.core.lottery import redraws, shares_of
from kokeilu.core.protocols import Floats
from kokeilu.core.results import Rows, TestResult, p_text, text_table, wrapped
from kokeilu.core.view import locate
from kokeilu.errors import DataError, DesignError

__all__ = ["ArmCount", "Breach", "Counts", "RatioTest", "check_counts"]

SMALL = 5.0
"""Expected counts below which a chi-square says too little."""
EXACT = 10.0
"""Expected counts below which it is replaced by the exact multinomial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCount:
    """One arm at one station.

    Attributes
    ----------
    station, arm : str
    expected : float
        At the draw: what the shares give. Later: the arm's part of those who are left, if the arm did not matter.
    observed : int
    rate : float or None
        Later stations: the part of those drawn to the arm who are left.
    p, adjusted_p : float or None
        Of the arm on its own (exact binomial), and adjusted over the arms (Holm); only after the arms together are
        rejected.
    """

    station: str
    arm: str
    expected: float
    observed: int
    rate: float | None = None
    p: float | None = None
    adjusted_p: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A stratum and arm with a number of units (people, or clusters) that the lottery cannot give."""

    stratum: str
    arm: str
    least: int
    most: int
    observed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioTest:
    """Whether counts of units that were drawn alone agree with the shares.

    Attributes
    ----------
    method : str
        "Pearson chi-square", "exact multinomial", or by redraws of the lottery.
    statistic : float
        Pearson's, also where the p-value is exact.
    df : int
    p_value : float
    """

    method: str
    statistic: float
    df: int
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts(Rows):
    """People by arm and station.

    Attributes
    ----------
    arms : tuple of ArmCount
    fixed : bool
        Whether the lottery fixes the numbers: then a deviation is a breach, and no matter of chance.
    breaches : tuple of Breach
    ratio, ratio_by_stratum : RatioTest or None
        Where the numbers vary by chance: of the totals, and of all strata one by one (a mismatch of one stratum may
        make up for that of another).
    stations : mapping of station to TestResult
        That reaching a station does not depend on the arm, by redraws of the lottery.
    notes : tuple of str
    """

    arms: tuple[ArmCount, ...]
    fixed: bool
    breaches: tuple[Breach, ...]
    ratio: RatioTest | None
    ratio_by_stratum: RatioTest | None
    stations: Mapping[str, TestResult]
    notes: tuple[str, ...]

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each station and arm."""
        adjusted = any(one.adjusted_p is not None for one in self.arms)
        later = any(one.rate is not None for one in self.arms)
        return [
            {
                "station": one.station,
                "arm": one.arm,
                "expected": one.expected,
                "observed": one.observed,
                "difference": one.observed - one.expected,
                **({"rate": one.rate} if later else {}),
                **({"p": one.p, "adjusted_p": one.adjusted_p} if adjusted else {}),
            }
            for one in self.arms
        ]

    def breach_rows(self) -> list[dict[str, Any]]:
        """Return one row for each stratum and arm with a number that the lottery cannot give."""
        return [
            {"stratum": b.stratum, "arm": b.arm, "least": b.least, "most": b.most, "observed": b.observed}
            for b in self.breaches
        ]

    def __str__(self) -> str:
        parts = [text_table(self.rows())]
        if self.breaches:
            parts += ["", "Numbers that the lottery cannot give:", text_table(self.breach_rows())]
        return "\n".join([*parts, *wrapped(self.notes)])


def check_counts(
    observed: Assignment | Mapping[Any, Any],
    shares: Arms | Mapping[str, Any] | None = None,
    *,
    fixed: bool = False,
    stations: Mapping[str, object] | None = None,
    alpha: float = 0.05,
    draws: int = 999,
) -> Counts:
    r"""Compare the numbers in the arms with the intended shares (sample-ratio mismatch).

    A lottery that fixes the numbers (complete, stratified, paired, clustered) gives them exactly, up to seats left
    over: any other number is a breach of the draw and gets no p-value. Where each unit was drawn alone (`Bernoulli`),
    the numbers vary by chance, and are tested together: Pearson's chi-square, or the exact multinomial where fewer than
    ten are expected in an arm; where the lottery is of another kind, by its redraws. Each arm follows, with Holm's
    adjustment, only where all together are rejected. A mismatch that arises after the draw is attrition, and is tested
    at each station by redraws.

    Parameters
    ----------
    observed : Assignment, or mapping of arm to number, or mapping of stratum to such a mapping
        What was drawn; or numbers from elsewhere.
    shares : Arms, mapping of arm to share, or mapping of stratum to either
        The intended shares, for numbers from elsewhere only: an assignment has its own.
    fixed : bool
        For numbers from elsewhere: whether the draw fixed the numbers in each stratum.
    stations : mapping of name to table, optional
        In their order, such as ``{"contacted": contacted, "linked": outcomes}``: tables with the id column and a row
        for each person who came so far. Needs an assignment.
    alpha : float
        Level at which the arms together are rejected, after which each is looked at.
    draws : int
        Redraws for the stations.

    Returns
    -------
    Counts

    Raises
    ------
    DesignError
        Shares that are missing, superfluous or of other arms, or numbers that are no whole numbers.
    ColumnError, DataError
        Tables without the id column, or with people who were never assigned.

    Source: Fabijan et al. (2019), KDD; Holm (1979).

    Examples
    --------
    >>> import kokeilu as kk
    >>> found = kk.check_counts({"control": 5021, "coaching": 4979}, kk.arms(control=1, coaching=1))
    >>> round(found.ratio.p_value, 4)
    0.6745
    >>> kk.check_counts({"control": 51, "coaching": 49}, kk.arms(control=1, coaching=1), fixed=True).breaches[0].most
    50
    """
    positive_int(draws, name="draws")
    between(alpha, 0.0, 1.0, name="alpha")
    case = counted_of(observed, shares, fixed)
    if stations is not None and not isinstance(observed, Assignment):
        raise DesignError("stations need an assignment, so that it is known who was drawn to which arm.")
    breaches = tuple(_breaches(case))
    ratio = None if case.fixed else _ratio(case)
    if ratio is not None and not case.independent and isinstance(observed, Assignment):
        ratio = _redrawn(observed, case, ratio, draws)
    by_stratum = _by_stratum(case) if ratio is not None and case.independent else None
    drawn = _drawn(case, ratio, alpha)
    later, tests = _stations(observed, stations, draws) if isinstance(observed, Assignment) else ((), {})
    return Counts(
        arms=(*drawn, *later),
        fixed=case.fixed,
        breaches=breaches,
        ratio=ratio,
        ratio_by_stratum=by_stratum,
        stations=tests,
        notes=tuple(_notes(case, breaches, (ratio, by_stratum), alpha, tests)),
    )


def _breaches(case: Counted) -> Iterator[Breach]:
    if case.possible:
        return
    for s, label in enumerate(case.labels):
        n = int(case.table[s].sum())
        for k, arm in enumerate(case.arms):
            target = n * case.shares[s, k]
            least, most = int(np.floor(target + 1e-9)), int(np.ceil(target - 1e-9))
            if not case.fixed and target > 0.0:
                continue  # by chance any number
            if not least <= case.table[s, k] <= most:
                yield Breach(stratum=label, arm=arm, least=least, most=most, observed=int(case.table[s, k]))


def _ratio(case: Counted) -> RatioTest | None:
    sizes = case.table.sum(axis=1).astype(np.float64)
    totals = case.table.sum(axis=0)
    statistic, df, p = pearson(totals.astype(np.float64), case.shares, sizes)
    if not df:
        return None
    expected = sizes @ case.shares
    alike = bool((np.abs(case.shares - case.shares[0]) < 1e-9).all())
    open_ = case.shares[0] > 0.0
    exact = exact_multinomial(totals[open_], case.shares[0, open_]) if alike and expected[open_].min() < EXACT else None
    if exact is not None:
        return RatioTest(method="exact multinomial", statistic=statistic, df=df, p_value=exact)
    return RatioTest(method="Pearson chi-square", statistic=statistic, df=df, p_value=p)


def _by_stratum(case: Counted) -> RatioTest | None:
    sizes = case.table.sum(axis=1).astype(np.float64)
    expected = sizes[:, None] * case.shares
    if len(sizes) < 2 or expected[expected > 0.0].min(initial=np.inf) < SMALL:
        return None
    parts = [
        pearson(row.astype(np.float64), share[None], np.array([n]))
        for row, share, n in zip(case.table, case.shares, sizes, strict=True)
    ]
    statistic, df = sum(part[0] for part in parts), sum(part[1] for part in parts)
    p = float(stats.chi2.sf(statistic, df))
    return RatioTest(method="Pearson chi-square of every stratum", statistic=statistic, df=df, p_value=p)


def _redrawn(assignment: Assignment, case: Counted, ratio: RatioTest, draws: int) -> RatioTest:
    """The same statistic by redraws, for lotteries in which one unit's arm depends on another's."""
    hits = 0
    sizes = case.table.sum(axis=1).astype(np.float64)
    for codes in redraws(assignment.lottery, assignment.stream("counts"), draws):
        totals = np.stack([(codes == k).sum(axis=1) for k in range(len(case.arms))], axis=1).astype(np.float64)
        hits += sum(pearson(row, case.shares, sizes)[0] >= ratio.statistic * (1.0 - 1e-9) for row in totals)
    return replace(ratio, method=f"{draws:,} redraws of the lottery", p_value=(1 + hits) / (1 + draws))


def _drawn(case: Counted, ratio: RatioTest | None, alpha: float) -> tuple[ArmCount, ...]:
    sizes, totals = case.table.sum(axis=1).astype(np.float64), case.table.sum(axis=0)
    expected = sizes @ case.shares
    rows = tuple(
        ArmCount(station=case.station, arm=arm, expected=float(e), observed=int(o))
        for arm, e, o in zip(case.arms, expected, totals, strict=True)
    )
    if ratio is None or ratio.p_value > alpha or len(rows) < 3 or not case.independent:
        return rows
    from statsmodels.stats.multitest import multipletests

    own = [_own_p(int(o), sizes, case.shares[:, k]) for k, o in enumerate(totals)]
    adjusted = multipletests(own, method="holm")[1]
    return tuple(replace(row, p=p, adjusted_p=float(q)) for row, p, q in zip(rows, own, adjusted, strict=True))


def _own_p(observed: int, sizes: Floats, shares: Floats) -> float:
    if (np.abs(shares - shares[0]) < 1e-9).all():
        return float(stats.binomtest(observed, int(sizes.sum()), float(shares[0])).pvalue)
    sd = float(np.sqrt((sizes * shares * (1.0 - shares)).sum()))
    return float(2.0 * stats.norm.sf(abs(observed - float(sizes @ shares)) / sd)) if sd > 0.0 else 1.0


def _stations(
    assignment: Assignment, stations: Mapping[str, object] | None, draws: int
) -> tuple[tuple[ArmCount, ...], dict[str, TestResult]]:
    if stations is None:
        return (), {}
    if not isinstance(stations, Mapping) or not all(isinstance(name, str) and name for name in stations):
        raise DesignError("stations must be a mapping of names to tables, such as {'contacted': contacted}.")
    shares = shares_of(assignment.lottery, assignment.stream("shares"))
    rows: list[ArmCount] = []
    tests = {}
    for name, table in stations.items():
        came = locate(assignment, table, where=f"the table of station {name!r}") >= 0
        if not came.any():
            raise DataError(f"the table of station {name!r} has no rows. Pass those who came so far.")
        rows += _arrived(name, assignment, came, shares)
        test = omnibus_test(assignment, came[:, None].astype(np.float64), draws=draws, name=f"station {name!r}")
        kind = f"all {test.draws:,} assignments" if test.exact else f"{test.draws:,} redraws of the lottery"
        tests[name] = replace(test, reason=f"Hypothesis: no arm changes who comes so far; {kind}.", notes=())
    return tuple(rows), tests


def _arrived(name: str, assignment: Assignment, came: NDArray[np.bool_], shares: Floats) -> Iterator[ArmCount]:
    for k, arm in enumerate(assignment.arms.names):
        own = assignment.codes == k
        here = int((own & came).sum())
        yield ArmCount(
            station=name,
            arm=arm,
            expected=float(shares[came, k].sum()),
            observed=here,
            rate=here / int(own.sum()) if own.any() else None,
        )


def _notes(
    case: Counted,
    breaches: Sequence[Breach],
    ratios: tuple[RatioTest | None, RatioTest | None],
    alpha: float,
    tests: Mapping[str, TestResult],
) -> Iterator[str]:
    units = case.units
    if breaches:
        why = f"the draw fixes the numbers of {units}" if case.fixed else f"the draw gives some arms no {units}"
        yield (
            f"breach: {why}, and {count_of(len(breaches), 'number')} cannot come from it. This is no matter of chance, "
            "so there is no p-value: find out what happened between the draw and this table."
        )
    elif case.fixed:
        yield f"the draw fixes the numbers of {units}, and these are as it gives them. There is nothing to test."
    if case.trouble:
        yield f"breach: {case.trouble}."
    for ratio in ratios:
        if ratio is None:
            continue
        p = p_text(ratio.p_value)
        verdict = "are NOT as chance makes them" if ratio.p_value <= alpha else "are as chance makes them"
        yield (
            f"the numbers vary by chance in this draw, and {verdict}: {ratio.method}, statistic {ratio.statistic:.2f} "
            f"on {count_of(ratio.df, 'degree')} of freedom, p {'' if p.startswith('<') else '= '}{p}."
        )
    if tests:
        yield (
            "after the draw, expected is the arm's part of those who came so far, if the arm did not matter. A "
            "mismatch there is attrition: see check_attrition."
        )
    yield from (test_line(test) for test in tests.values())
