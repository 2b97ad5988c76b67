"""Effects as they may be shown: masked, rounded, in the unit of the outcome; table, plot and summary use only these."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kokeilu.report.balance import drawn
from kokeilu.report.context import Context
from kokeilu.report.counts import contrast_cell, pair_of
from kokeilu.report.notes import safe_notes, without_levels
from kokeilu.report.numbers import DASH, decimals_for, tells_number
from kokeilu.report.tables import Body, Column, Table, mask_notes, table

if TYPE_CHECKING:
    from kokeilu.core.results import Estimate, TestResult
    from kokeilu.plan.findings import Executed

__all__ = ["EffectLine", "effect_lines", "effects_table", "methods_table", "tests_table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectLine:
    """One contrast, rounded to what is printed. Numbers are None where the arms have too few people to show them.

    Attributes
    ----------
    registered : bool
    outcome, arm, reference : str
    short : str
        The comparison, with the analysis where another one has the same comparison.
    unit : str
        Of the outcome.
    scale : str
        Of the effect, where it is not the outcome's unit: such as a log ratio.
    decimals, mean_decimals : int
        Of the effect, and of the mean in the reference arm.
    value, error, low, high, p, adjusted_p, reference_mean : float or None
    n, missing : str
        As printed.
    few : bool
        True where numbers are hidden.
    """

    registered: bool
    short: str
    outcome: str
    arm: str
    reference: str
    unit: str
    decimals: int
    value: float | None = None
    error: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    adjusted_p: float | None = None
    reference_mean: float | None = None
    n: str
    missing: str
    few: bool
    scale: str = ""
    mean_decimals: int | None = None

    @property
    def told_in(self) -> str:
        """What the effect is told in: its scale, or the unit of the outcome."""
        return self.scale or self.unit


def effect_lines(context: Context) -> tuple[EffectLine, ...]:
    """Return the registered effects, then the exploratory ones."""
    runs = sorted(context.findings.executed, key=lambda run: not run.registered)
    every = [(run, estimate) for run in runs for estimate in run.estimates]
    errors: dict[tuple[str, str], float] = {}
    for _, estimate in every:
        kind, wide = (estimate.outcome, estimate.scale), estimate.error * _factor(context, estimate)
        errors[kind] = max(errors.get(kind, 0.0), wide)
    decimals = {kind: decimals_for(error) for kind, error in errors.items()}
    often = Counter((run.registered, e.outcome, e.arm, e.reference) for run, e in every)
    twins = {key for key, times in often.items() if times > 1}
    return tuple(_line(context, run, e, decimals[e.outcome, e.scale], twins) for run, e in every)


def _factor(context: Context, estimate: Estimate) -> float:
    """What the effect is multiplied by: a logarithm is told as it is."""
    return 1.0 if estimate.scale else context.scale(estimate.outcome).factor


def _mean_decimals(context: Context, estimate: Estimate, decimals: int) -> int:
    """Decimals of the mean in the reference arm: of an error in its own unit, m times that of its logarithm."""
    if not estimate.scale:
        return decimals
    return decimals_for(abs(estimate.reference_mean) * estimate.error * context.scale(estimate.outcome).factor)


def _scale_text(context: Context, scale: str) -> str:
    if scale == "log ratio":
        return context.text("unit.log_ratio")
    return context.text("unit.log_odds_ratio") if scale == "log odds ratio" else scale


def _line(context: Context, run: Executed, estimate: Estimate, decimals: int, twins: Container[object]) -> EffectLine:
    scale, counts, text = context.scale(estimate.outcome), context.counts, context.text
    short = text("effects.against", arm=estimate.arm, reference=estimate.reference)
    if (run.registered, estimate.outcome, estimate.arm, estimate.reference) in twins:
        short = text("effects.against_by", contrast=short, estimator=estimate.estimator)
    few = counts.few({arm: estimate.n[arm] for arm in pair_of(estimate)})
    places = _mean_decimals(context, estimate, decimals)
    numbers: dict[str, float | None] = {} if few else _numbers(context, estimate, decimals, places)
    told = tells_number(estimate.n[estimate.reference], places, factor=scale.factor)
    if estimate.outcome in counts.bare or (told and counts.hides_dof(estimate.outcome)):
        numbers["reference_mean"] = None
    return EffectLine(
        registered=run.registered,
        short=short,
        outcome=estimate.outcome,
        arm=estimate.arm,
        reference=estimate.reference,
        unit=scale.unit,
        decimals=decimals,
        n=context.count(*contrast_cell("n", estimate)),
        missing=context.count(*contrast_cell("missing", estimate)),
        few=few,
        scale=_scale_text(context, estimate.scale),
        mean_decimals=places,
        **numbers,
    )


def _numbers(context: Context, estimate: Estimate, decimals: int, places: int) -> dict[str, float | None]:
    low, high = estimate.interval(context.level)
    factor = _factor(context, estimate)
    return {
        "value": round(factor * estimate.value, decimals),
        "error": round(factor * estimate.error, decimals),
        "low": round(factor * low, decimals),
        "high": round(factor * high, decimals),
        "p": estimate.p_value(),
        "adjusted_p": estimate.adjusted_p,
        "reference_mean": round(context.scale(estimate.outcome).factor * estimate.reference_mean, places),
    }


def effects_table(context: Context, lines: tuple[EffectLine, ...]) -> Table:
    """Tabulate effects, the registered above the exploratory."""
    text = context.text
    labels = (
        text("effects.effect"),
        text("effects.interval", level=context.percent_level),
        text("effects.error"),
        text("effects.p"),
        *_adjusted_label(context),
        _reference_label(context, lines),
        text("effects.n"),
        text("effects.missing"),
    )
    columns = (Column(label=text("effects.outcome")), Column(label=text("effects.contrast"), wide=True))
    bodies = (
        Body(heading=text("effects.registered"), rows=tuple(_row(context, x) for x in lines if x.registered)),
        Body(heading=text("effects.exploratory"), rows=tuple(_row(context, x) for x in lines if not x.registered)),
    )
    plan = context.findings.plan.family
    notes = []
    if context.corrected:
        notes.append(text("effects.note_adjusted", family=type(plan).__name__, alpha=context.percent(plan.alpha)))
    if len(lines) > 1:
        notes.append(text("effects.note_unadjusted_interval"))
    if any(line.scale for line in lines):
        notes.append(text("effects.note_scale"))
    return Table(
        name="effects-table",
        caption=text("effects.caption"),
        columns=(*columns, *(Column(label=label, numeric=True) for label in labels)),
        bodies=tuple(body for body in bodies if body.rows),
        notes=(*notes, *mask_notes(context, bodies)),
    )


def _adjusted_label(context: Context) -> tuple[str, ...]:
    """Return the heading of adjusted p-values; none where one p-value alone is in the family."""
    family = type(context.findings.plan.family).__name__
    return (context.text("effects.adjusted_p", family=family),) if context.corrected else ()


def _reference_label(context: Context, lines: tuple[EffectLine, ...]) -> str:
    shares = {context.is_points(line.unit) for line in lines}
    if shares == {True}:
        return context.text("effects.reference_share")
    return context.text("effects.reference_either") if True in shares else context.text("effects.reference_mean")


def _row(context: Context, line: EffectLine) -> tuple[str, ...]:
    head = (_named(context, line.outcome, line.scale), line.short)
    if line.few:
        return (*head, *[context.mask] * (5 + context.corrected), line.n, line.missing)
    numbers, decimals = context.numbers, line.decimals
    places = decimals if line.mean_decimals is None else line.mean_decimals
    mean = context.mask if line.reference_mean is None else numbers.fixed(line.reference_mean, places)
    return (
        *head,
        numbers.fixed(line.value, decimals),
        context.range(_number(line.low), _number(line.high), decimals),
        numbers.fixed(line.error, decimals),
        numbers.p(line.p),
        *([numbers.p(line.adjusted_p)] if context.corrected else []),
        mean,
        line.n,
        line.missing,
    )


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def methods_table(context: Context) -> Table:
    """Tabulate how each effect was computed, and why so."""
    text = context.text
    columns = (
        Column(label=text("effects.analysis")),
        Column(label=text("effects.contrast")),
        Column(label=text("effects.estimator"), english=True),
        Column(label=text("effects.variance"), english=True),
        Column(label=text("effects.dof"), numeric=True),
        Column(label=text("effects.clusters"), numeric=True),
        Column(label=text("effects.reason"), wide=True, english=True),
    )
    runs = sorted(context.findings.executed, key=lambda run: not run.registered)
    rows = [_method(context, run.analysis.name, e) for run in runs for e in run.estimates]
    notes = mask_notes(context, (Body(rows=tuple(rows)),))
    return table("methods-table", text("effects.methods_caption"), columns, rows, notes=notes)


def _method(context: Context, analysis: str, estimate: Estimate) -> tuple[str, ...]:
    # Degrees of freedom are a function of the number of people, of a regression of all arms: n - k, n - 2B, Welch's.
    hidden = context.counts.hides_dof(estimate.outcome)
    dof = (
        context.text("effects.normal")
        if estimate.dof is None
        else context.numbers.fixed(estimate.dof, 0 if estimate.dof == round(estimate.dof) else 1)
    )
    return (
        analysis,
        context.text("effects.against", arm=estimate.arm, reference=estimate.reference),
        estimate.estimator,
        estimate.variance,
        context.mask if hidden and estimate.dof is not None else dof,
        DASH if estimate.clusters is None else context.numbers.whole(estimate.clusters),
        " ".join(without_levels(safe_notes(context, estimate.outcome, (estimate.reason, *estimate.notes)))),
    )


def tests_table(context: Context) -> Table | None:
    """Tabulate the randomisation tests, registered above exploratory; None where there are none."""
    text, tests = context.text, context.findings.tests
    labels = (
        text("tests.statistic"),
        text("effects.p"),
        *_adjusted_label(context),
        text("tests.p_bounds"),
        text("tests.draws"),
        text("tests.interval"),
        text("effects.n"),
        text("effects.missing"),
    )
    columns = (Column(label=text("effects.outcome")), Column(label=text("effects.contrast"), wide=True))
    bodies = (
        Body(heading=text("effects.registered"), rows=tuple(_test_row(context, t) for t in tests if t.registered)),
        Body(heading=text("effects.exploratory"), rows=tuple(_test_row(context, t) for t in tests if not t.registered)),
    )
    remarks = [
        f"{test.outcome}, {test.name}: {note}"
        for test in tests
        for note in without_levels(safe_notes(context, test.outcome, (test.reason, *test.notes)))
    ]
    found = Table(
        name="tests-table",
        caption=text("tests.caption"),
        columns=(*columns, *(Column(label=label, numeric=True) for label in labels)),
        bodies=tuple(body for body in bodies if body.rows),
        notes=(text("tests.note"), *mask_notes(context, bodies)),
        remarks=tuple(dict.fromkeys(remarks)),
    )
    return found if tests else None


def _test_row(context: Context, test: TestResult) -> tuple[str, ...]:
    text, numbers = context.text, context.numbers
    together = text("tests.together")
    contrast = text("effects.against", arm=test.arm, reference=test.reference) if test.arm else together
    head = (_named(context, test.outcome), contrast)
    tail = (context.count(*contrast_cell("n", test)), context.count(*contrast_cell("missing", test)))
    if context.counts.few({arm: test.n[arm] for arm in pair_of(test)}):
        return (*head, *[context.mask] * (5 + context.corrected), *tail)
    bounds = DASH if test.exact else text("number.range", low=numbers.p(test.p_low), high=numbers.p(test.p_high))
    # An exact law of the statistic takes no draws at all.
    every = text("tests.all", draws=drawn(context, test)) if test.draws else DASH
    draws = every if test.exact else drawn(context, test)
    return (
        *head,
        numbers.fixed(test.statistic, 3),
        numbers.p(test.p_value),
        *([numbers.p(test.adjusted_p)] if context.corrected else []),
        bounds,
        draws,
        _inverted(context, test),
        *tail,
    )


def _named(context: Context, outcome: str, scale: str = "") -> str:
    unit = scale or context.scale(outcome).unit
    return context.text("effects.with_unit", outcome=outcome, unit=unit) if unit else outcome


def _inverted(context: Context, test: TestResult) -> str:
    if test.interval is None:
        return DASH
    factor = context.scale(test.outcome).factor
    low, high = (factor * bound for bound in test.interval)
    return context.range(low, high, decimals_for((high - low) / 4))
