"""Balance by regressions and likelihood ratios, as other software prints it: for comparison, not for judgement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from kokeilu._kernels import imbalance, linear, pillai
from kokeilu._kernels.clustered import cluster_robust
from kokeilu._kernels.satterthwaite import rotation
from kokeilu.balance.columns import Covariates, read_covariates
from kokeilu.core.assignment import Assignment
from kokeilu.core.lottery import cells_of
from kokeilu.core.protocols import Codes, Floats, Ints
from kokeilu.core.results import Rows, text_table, wrapped

__all__ = ["ModelTest", "ModelTests", "model_tests", "wald"]

MOST_STEPS = 100
EXACT = 1e-20  # of a sum of squares: nothing but rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTest:
    """One test of all covariates.

    Attributes
    ----------
    name : str
    statistic, df1, df2, p_value : float or None
        `df2` is None for a chi-square; all but the name are None where the test is not defined.
    note : str
        Why it is not to be relied on, or what it leaves out.
    """

    name: str
    statistic: float | None
    df1: float | None
    df2: float | None
    p_value: float | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTests(Rows):
    """Tests of balance by models, and Rubin's B and R where there are two arms.

    Attributes
    ----------
    items : tuple of ModelTest
    rubin_b, rubin_r : float or None
        100 times the difference of the arms' mean logit scores over their standard deviation (below 25 is good), and
        the ratio of the variances (0.5 to 2).
    notes : tuple of str
    """

    items: tuple[ModelTest, ...]
    rubin_b: float | None
    rubin_r: float | None
    notes: tuple[str, ...]

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each test."""
        return [
            {"test": x.name, "statistic": x.statistic, "df1": x.df1, "df2": x.df2, "p": x.p_value, "note": x.note}
            for x in self.items
        ]

    def __str__(self) -> str:
        rubin: tuple[str, ...] = ()
        if self.rubin_b is not None and self.rubin_r is not None:
            rubin = (f"Rubin's B = {self.rubin_b:.1f} (below 25 is good), R = {self.rubin_r:.2f} (0.5 to 2 is good).",)
        return "\n".join([text_table(self.rows()), *wrapped([*rubin, *self.notes])])


def model_tests(assignment: Assignment, table: object, *, on: Sequence[str] | str) -> ModelTests:
    r"""Test balance as other software does, to compare with its output.

    None of these knows the lottery. With many or skewed covariates, or few clusters, the robust ones reject true
    randomisations far too often: the p-value to report is that of :func:`kokeilu.check_balance`.

    Parameters
    ----------
    assignment : Assignment
    table : pandas, pyarrow or Arrow-capable table
    on : sequence of str
        Gaps are filled with the mean and told by a column of their own; columns that are combinations of those before
        them are left out.

    Returns
    -------
    ModelTests
        Chi-square of Hansen & Bowers; F of the arms on the covariates (Pillai's for several arms), plain and within
        strata; with two arms its Wald forms with HC1 and HC2 errors and Hotelling's T-square, and where clusters were
        drawn with CR1 (J - 1 degrees of freedom) and CR2 (HTZ); the (multinomial) likelihood ratio.

    Raises
    ------
    ColumnError, DataError, DesignError
        As in :func:`kokeilu.check_balance`.

    Source: Kerwin, Rostom & Sterck (2024) for what they do under true randomisation; Pustejovsky & Tipton (2018), J.
    Business & Econ. Statist. 36, for HTZ.

    Examples
    --------
    >>> import kokeilu as kk
    >>> people = {"id": list(range(8)), "age": [31, 25, 44, 52, 38, 29, 60, 47]}
    >>> trial = kk.randomise(people, kk.Complete(kk.arms(control=1, coaching=1)), id="id", seed="example")
    >>> [one.name for one in kk.model_tests(trial, people, on="age").items][:2]
    ['chi-square', 'F of the arm']
    """
    found = read_covariates(assignment, table, on, verb="model_tests")
    cells = cells_of(assignment.lottery)
    whole = cells.clusters if cells.whole else None
    case = _Case.of(found, assignment, cells.strata, whole)
    items = tuple(_tests(case))
    b, r = _rubin(case) if case.arms == 2 else (None, None)
    notes = ["for comparison only: none of these knows the lottery. The p-value of check_balance does."]
    if case.dropped:
        notes.append(f"combinations of the columns before them, left out: {', '.join(case.dropped)}.")
    return ModelTests(items=items, rubin_b=b, rubin_r=r, notes=tuple(notes))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """Independent standardised columns (n, p), arms, strata and clusters."""

    x: Floats
    codes: Codes
    strata: Ints
    clusters: Ints | None
    arms: int
    values: Floats
    dropped: tuple[str, ...]

    @classmethod
    def of(cls, found: Covariates, assignment: Assignment, strata: Ints, clusters: Ints | None) -> _Case:
        values = found.filled()
        nowhere = np.zeros(len(values), dtype=np.int64)
        columns, kept = imbalance.centred_within(values, nowhere)
        fitted = linear.fit(linear.columns_of(columns, levels=nowhere), values[:, 0])
        labels = [part.label for part, ok in zip(found.parts, kept, strict=True) if ok]
        return cls(
            x=columns[:, fitted.kept] * np.sqrt(len(values)),
            codes=assignment.codes,
            strata=strata,
            clusters=clusters,
            arms=len(assignment.arms),
            values=values,
            dropped=tuple(label for label, ok in zip(labels, fitted.kept, strict=True) if not ok),
        )

    @property
    def arm(self) -> Floats:
        """The arm as 0 and 1."""
        return np.asarray(self.codes == 1, dtype=np.float64)


def _tests(case: _Case) -> Iterator[ModelTest]:
    nowhere = np.zeros(len(case.x), dtype=np.int64)
    strata = bool(case.strata.max(initial=0))
    yield _chi_square(case, nowhere, "chi-square")
    if strata:
        yield _chi_square(case, case.strata, "chi-square within strata")
    clusters = case.clusters is not None
    blind = "takes people as drawn one by one" if clusters else "assumes equal variances"
    yield _pillai(case, nowhere, "F of the arm" if case.arms == 2 else "F of the arms (Pillai)", blind)
    if strata:
        yield _pillai(case, case.strata, "F of the arm, within strata" if case.arms == 2 else "F within strata", blind)
    if case.arms == 2:
        yield _hotelling(case, blind)
        for kind in ("HC1", "HC2"):
            far = "rejects true randomisations too often with many or skewed covariates"
            yield wald(f"F with {kind} errors", case.arm, case.x, nowhere, None, kind, note=blind if clusters else far)
        if case.clusters is not None:
            few = "rejects true randomisations too often with few clusters"
            yield wald("F with CR1 errors", case.arm, case.x, case.strata, case.clusters, "CR1", note=few)
            yield wald("F with CR2 errors (HTZ)", case.arm, case.x, case.strata, case.clusters, "CR2", note="")
    yield _likelihood(case, blind if clusters else "large samples only")


def _chi_square(case: _Case, strata: Ints, name: str) -> ModelTest:
    columns, _ = imbalance.centred_within(case.values, strata)
    n_strata = int(strata.max(initial=0)) + 1
    counts = np.zeros((n_strata, case.arms))
    np.add.at(counts, (strata, case.codes), 1.0)
    shares = (counts / counts.sum(axis=1, keepdims=True))[strata]
    factors = imbalance.whitening(imbalance.totals_covariance(columns, strata, shares))
    form = float(imbalance.quadratic_forms(imbalance.arm_totals(case.codes[None], columns, case.arms), factors)[0])
    df = factors.shape[1]
    note = "given the counts; takes people as drawn one by one" if case.clusters is not None else "given the counts"
    return ModelTest(
        name=name,
        statistic=form,
        df1=df,
        df2=None,
        p_value=float(stats.chi2.sf(form, df)) if df else None,
        note=f"{note}; large samples only",
    )


def _pillai(case: _Case, strata: Ints, name: str, note: str) -> ModelTest:
    basis = pillai.orthonormal(imbalance.centred_within(case.values, strata)[0])
    found = pillai.pillai_f(case.codes[None], basis, strata, case.arms)
    if found.df1 < 1 or found.df2 < 1:
        return _undefined(name, "more covariates than degrees of freedom" if found.df1 else "no covariate varies")
    value = float(found.value[0])
    p = float(stats.f.sf(value, found.df1, found.df2))
    return ModelTest(name=name, statistic=value, df1=found.df1, df2=found.df2, p_value=p, note=note)


def _undefined(name: str, note: str) -> ModelTest:
    return ModelTest(name=name, statistic=None, df1=None, df2=None, p_value=None, note=f"not defined: {note}")


def _hotelling(case: _Case, note: str) -> ModelTest:
    """T-square: F of two arms on p and n - p - 1 degrees of freedom is (n - p - 1) / ((n - 2) p) T-square."""
    one = _pillai(case, np.zeros(len(case.x), dtype=np.int64), "Hotelling's T-square", note)
    if one.statistic is None or one.df1 is None or one.df2 is None:
        return one
    square = one.statistic * (one.df1 + one.df2 - 1.0) * one.df1 / one.df2
    return ModelTest(
        name=one.name, statistic=square, df1=one.df1, df2=one.df2, p_value=one.p_value, note="the same p as the F"
    )


def _exact(y: Floats, rest: Floats, levels: Ints) -> bool:
    """Whether nothing is left of y beside the levels and the columns."""
    inside = rest - (np.bincount(levels, weights=rest) / np.maximum(np.bincount(levels), 1))[levels]
    return bool((inside**2).sum() <= EXACT * max(float(((y - y.mean()) ** 2).sum()), 1e-300))


def wald(
    name: str, y: Floats, x: Floats, levels: Ints, clusters: Ints | None, kind: str, *, note: str, tested: int = 0
) -> ModelTest:
    r"""Wald F that the coefficients of the columns from `tested` on are nought, beside effects of the levels.

    Parameters
    ----------
    y, x : (n,) and (n, p) arrays
    levels : (n,) array of codes
    clusters : (n,) array of codes, or None
    kind : str
        "HC1" and the like with n less columns degrees of freedom; "CR1" with J - 1; "CR2" with HTZ's,
        :math:`F = (\eta - q + 1) / (\eta q) Q`.
    """
    design = linear.columns_of(x, levels=levels)
    fitted = linear.fit(design, y)
    wanted = np.flatnonzero(fitted.kept & (np.arange(x.shape[1]) >= tested))
    if not len(wanted) or fitted.dof < 1:
        return _undefined(name, "no degrees of freedom are left" if len(wanted) else "no covariate varies")
    if _exact(y, y - x @ fitted.coef, levels):
        return _undefined(name, "no error is left, one follows from the others")
    contrasts = np.eye(x.shape[1])[wanted]
    if clusters is None:
        covariance = linear.covariance(design, y, fitted, kind).covariance[np.ix_(wanted, wanted)]
        values, eta = fitted.coef[wanted], float(fitted.dof)
    else:
        robust = cluster_robust(design, y, clusters, kind=kind, contrasts=contrasts)
        values, covariance, eta = robust.values, robust.covariance, robust.joint_dof
    turn = rotation(covariance)
    q, form = len(turn), float(((turn @ values) ** 2).sum())
    df2 = eta - q + 1.0 if kind == "CR2" else eta
    if not q or not df2 > 0.0:
        return _undefined(name, "too few degrees of freedom for so many covariates")
    statistic = form / q if kind != "CR2" else df2 / (eta * q) * form
    return ModelTest(
        name=name, statistic=statistic, df1=q, df2=df2, p_value=float(stats.f.sf(statistic, q, df2)), note=note
    )


def _likelihood(case: _Case, note: str) -> ModelTest:
    """Likelihood ratio of the (multinomial) logit of the arm."""
    name = "likelihood ratio of a logit" if case.arms == 2 else "likelihood ratio of a multinomial logit"
    slopes = _logit(case)
    if slopes is None:
        return _undefined(name, "the logit of the arm does not converge")
    counts = np.bincount(case.codes, minlength=case.arms)
    null = float((counts * np.log(np.maximum(counts, 1) / len(case.x))).sum())
    statistic = 2.0 * (_log_likelihood(case, slopes)[0] - null)
    df = slopes.shape[0] * slopes.shape[1] - slopes.shape[1]
    return ModelTest(
        name=name,
        statistic=statistic,
        df1=df,
        df2=None,
        p_value=float(stats.chi2.sf(statistic, df)) if df else None,
        note=note,
    )


def _log_likelihood(case: _Case, slopes: Floats) -> tuple[float, Floats]:
    """Log-likelihood, and the chances of every arm (n, K); slopes (p + 1, K - 1), the intercept first."""
    design = np.column_stack([np.ones(len(case.x)), case.x])
    score = np.column_stack([np.zeros(len(design)), design @ slopes])
    score -= score.max(axis=1, keepdims=True)
    total = np.log(np.exp(score).sum(axis=1))
    return float((score[np.arange(len(score)), case.codes] - total).sum()), np.exp(score - total[:, None])


def _logit(case: _Case) -> Floats | None:
    """Slopes by Newton's method with halved steps, (p + 1, K - 1); None where it does not converge."""
    design = np.column_stack([np.ones(len(case.x)), case.x])
    width, others = design.shape[1], case.arms - 1
    slopes = np.zeros((width, others))
    value, chances = _log_likelihood(case, slopes)
    held = (case.codes[:, None] == np.arange(1, case.arms)).astype(np.float64)
    for _ in range(MOST_STEPS):
        own = chances[:, 1:]
        score = (design.T @ (held - own)).T.ravel()
        if np.abs(score).max(initial=0.0) < 1e-9 * len(design):
            return slopes
        blocks = [
            [design.T @ (design * (own[:, a] * ((a == b) - own[:, b]))[:, None]) for b in range(others)]
            for a in range(others)
        ]
        step = np.linalg.lstsq(np.block(blocks), score, rcond=1e-12)[0].reshape(others, width).T
        for _half in range(30):
            new, chances = _log_likelihood(case, slopes + step)
            if new >= value - 1e-12 * abs(value):
                break
            step = step / 2.0
        slopes, value = slopes + step, new
    return None


def _rubin(case: _Case) -> tuple[float | None, float | None]:
    slopes = _logit(case)
    if slopes is None or not case.x.shape[1]:
        return None, None
    score = case.x @ slopes[1:, 0]
    one, nought = (score[case.codes == arm] for arm in (1, 0))
    if min(len(one), len(nought)) < 2:
        return None, None
    v1, v0 = float(one.var(ddof=1)), float(nought.var(ddof=1))
    if not v1 + v0 > 0.0 or not v0 > 0.0:
        return None, None
    return 100.0 * abs(float(one.mean() - nought.mean())) / float(np.sqrt((v1 + v0) / 2.0)), v1 / v0
