"""What was found, in plain words, for readers who read nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from kokeilu.report.balance import p_statement
from kokeilu.report.context import Context
from kokeilu.report.effects import EffectLine

__all__ = ["Finding", "opening", "primary_findings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The answer to one primary question: a heading and sentences."""

    heading: str
    sentences: tuple[str, ...]


def opening(context: Context) -> tuple[str, ...]:
    """Say who was drawn, into which arms, and whether the plan was followed."""
    text, assignment = context.text, context.findings.assignment
    groups = ", ".join(text("summary.group", arm=arm, people=context.count("assigned", arm)) for arm in context.arms)
    people = context.count("people")
    drawn = (
        text("summary.adopted", people=people, groups=groups)
        if assignment.seed is None
        else text("summary.drawn", people=people, groups=groups)
    )
    number = len(context.findings.deviations)
    kept = text("summary.deviations", number=number) if number else text("summary.no_deviations")
    return (drawn, kept)


def primary_findings(context: Context, lines: tuple[EffectLine, ...]) -> tuple[Finding, ...]:
    """Say the registered effects on the primary outcomes."""
    found = []
    for outcome in context.findings.plan.primary:
        mine = [line for line in lines if line.registered and line.outcome == outcome]
        label = context.label(outcome)
        found += [Finding(heading=_heading(context, label, line), sentences=_sentences(context, line)) for line in mine]
        if not mine:
            found.append(Finding(heading=label, sentences=(context.text("summary.no_estimate"),)))
    return tuple(found)


def _heading(context: Context, label: str, line: EffectLine) -> str:
    return context.text("summary.heading", outcome=label, contrast=line.short)


def _sentences(context: Context, line: EffectLine) -> tuple[str, ...]:
    text = context.text
    if line.value is None or line.low is None or line.high is None or line.p is None:
        return (text("summary.few", least=context.counts.least),)
    told = [_difference(context, line, line.value), _interval(context, line, line.low, line.high)]
    if line.reference_mean is not None and line.reference_mean == line.reference_mean:
        told.append(_reference(context, line, line.reference_mean))
    return (*told, _evidence(context, line, line.p))


def _difference(context: Context, line: EffectLine, value: float) -> str:
    text, size = context.text, _amount(context, line, abs(value))
    if line.scale:
        said = context.numbers.fixed(value, line.decimals)
        return text("summary.on_scale", scale=line.scale, value=said, arm=line.arm, reference=line.reference)
    if context.is_points(line.unit):
        return _share_difference(context, line, size, value)
    if value == 0:
        return text("summary.same", arm=line.arm, reference=line.reference)
    if value > 0:
        return text("summary.higher", value=size, arm=line.arm, reference=line.reference)
    return text("summary.lower", value=size, arm=line.arm, reference=line.reference)


def _share_difference(context: Context, line: EffectLine, size: str, value: float) -> str:
    text = context.text
    if value == 0:
        return text("summary.same_share", arm=line.arm, reference=line.reference)
    if value > 0:
        return text("summary.higher_share", value=size, arm=line.arm, reference=line.reference)
    return text("summary.lower_share", value=size, arm=line.arm, reference=line.reference)


def _interval(context: Context, line: EffectLine, low: float, high: float) -> str:
    text, level = context.text, context.percent_level
    if line.scale:
        range_ = context.range(low, high, line.decimals)
        return text("summary.interval_on_scale", scale=line.scale, range=range_, level=level)
    near, far = sorted((abs(low), abs(high)))
    if low < 0 < high:
        ends = (context.numbers.fixed(-low, line.decimals), _amount(context, line, high))
        return text("summary.interval_across", low=ends[0], high=ends[1], level=level)
    ends = (context.numbers.fixed(near, line.decimals), _amount(context, line, far))
    if low >= 0:
        return text("summary.interval_above", low=ends[0], high=ends[1], level=level)
    return text("summary.interval_below", low=ends[0], high=ends[1], level=level)


def _amount(context: Context, line: EffectLine, size: float, decimals: int | None = None) -> str:
    number = context.numbers.fixed(size, line.decimals if decimals is None else decimals)
    return context.text("number.with_unit", number=number, unit=line.unit) if line.unit else number


def _reference(context: Context, line: EffectLine, mean: float) -> str:
    places = line.mean_decimals
    if context.is_points(line.unit):
        share = context.numbers.percent(mean / 100, line.decimals if places is None else places)
        return context.text("summary.reference_share", reference=line.reference, share=share)
    return context.text("summary.reference", reference=line.reference, mean=_amount(context, line, mean, places))


def _evidence(context: Context, line: EffectLine, p: float) -> str:
    text, family = context.text, context.findings.plan.family
    judged = p if line.adjusted_p is None else line.adjusted_p
    said = p_statement(context, p)
    if line.adjusted_p is not None and context.corrected:
        adjusted = p_statement(context, line.adjusted_p)
        said = text("summary.adjusted", p=said, adjusted=adjusted, family=type(family).__name__)
    limit = context.percent(family.alpha)
    if judged <= family.alpha:
        return text("summary.strong", p=said, limit=limit)
    return text("summary.weak", p=said, limit=limit, arm=line.arm, reference=line.reference)
