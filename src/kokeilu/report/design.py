"""The tables of the plan, the design and the draw, and of the deviations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kokeilu.core.lottery import cells_of
from kokeilu.report.context import Context
from kokeilu.report.notes import safe_notes
from kokeilu.report.numbers import DASH
from kokeilu.report.tables import Body, Column, Table, mask_notes, table

__all__ = [
    "arms_table",
    "deviations_table",
    "draw_table",
    "not_made_table",
    "outcomes_table",
    "said_notes",
    "units_text",
]


def arms_table(context: Context) -> Table:
    """Tabulate the arms: shares, people, clusters."""
    text, assignment = context.text, context.findings.assignment
    clusters = _clusters_by_arm(context)
    columns = [Column(label=text("design.arm"))]
    columns += [Column(label=label, numeric=True) for label in (text("design.share"), text("design.people"))]
    columns += [Column(label=text("design.clusters"), numeric=True)] if clusters else []
    rows = []
    for arm in assignment.arms:
        share = text("design.share_cell", fraction=arm.share, percent=context.numbers.percent(float(arm.share), 1))
        row = [arm.name, share, context.count("assigned", arm.name)]
        rows.append([*row, context.numbers.whole(clusters[arm.name])] if clusters else row)
    people = context.count("people")
    hiding = mask_notes(context, (Body(rows=tuple(tuple(row) for row in rows)),), people)
    notes = (text("design.total", people=people), *hiding)
    return table("arms-table", text("design.arms_caption"), columns, rows, notes=notes)


def _clusters_by_arm(context: Context) -> Mapping[str, int]:
    assignment = context.findings.assignment
    clusters = cells_of(assignment.lottery).clusters
    if clusters is None:
        return {}
    return {arm.name: len(np.unique(clusters[assignment.codes == k])) for k, arm in enumerate(assignment.arms)}


def units_text(context: Context) -> tuple[str, ...]:
    """Say the strata and the clusters of the design."""
    text, numbers = context.text, context.numbers
    cells = cells_of(context.findings.assignment.lottery)
    strata = len(np.unique(cells.strata))
    told = [text("design.strata", strata=numbers.whole(strata), names=", ".join(cells.names))] if cells.names else []
    told += [] if cells.names else [text("design.no_strata")]
    if cells.clusters is None:
        return (*told, text("design.no_clusters"))
    total, name = numbers.whole(len(np.unique(cells.clusters))), cells.cluster_name or ""
    if not cells.whole:
        return (*told, text("design.two_stages", clusters=total, name=name))
    return (*told, text("design.clustered", clusters=total, name=name))


def outcomes_table(context: Context) -> Table:
    """Tabulate the registered outcomes."""
    text, numbers = context.text, context.numbers
    roles = {"primary": text("design.primary"), "secondary": text("design.secondary")}
    columns = (
        Column(label=text("design.outcome")),
        Column(label=text("design.role")),
        Column(label=text("design.description"), wide=True),
        Column(label=text("design.unit")),
        Column(label=text("design.bounds")),
    )
    rows = []
    for outcome in context.findings.plan.outcomes:
        ends = (outcome.minimum, outcome.maximum)
        low, high = ("…" if end is None else numbers.fixed(end, 0 if end == int(end) else 3) for end in ends)
        bounds = text("design.no_bounds") if ends == (None, None) else text("number.range", low=low, high=high)
        rows.append([outcome.name, roles[outcome.role], outcome.description, context.scale(outcome.name).unit, bounds])
    return table("outcomes-table", text("design.outcomes_caption"), columns, rows)


def draw_table(context: Context) -> Table:
    """Tabulate the seed and the fingerprints."""
    text, findings = context.text, context.findings
    assignment = findings.assignment
    kinds = {"t": text("draw.seed_text"), "i": text("draw.seed_int"), "b": text("draw.seed_bytes")}
    drawn = assignment.seed
    rows = [
        [text("draw.seed"), drawn.text, kinds[drawn.kind]]
        if drawn
        else [text("draw.seed"), text("draw.no_seed"), DASH],
        [text("draw.plan"), findings.plan.fingerprint, text("draw.plan_covers")],
        [text("draw.design"), assignment.design_fingerprint, text("draw.design_covers")],
        [text("draw.frame"), assignment.frame_fingerprint, text("draw.frame_covers", id=assignment.id_name)],
        [text("draw.result"), assignment.fingerprint, text("draw.result_covers")],
    ]
    columns = (
        Column(label=text("draw.what")),
        Column(label=text("draw.value"), code=True),
        Column(label=text("draw.covers"), wide=True),
    )
    return table("draw-table", text("draw.caption"), columns, rows)


def deviations_table(context: Context) -> Table | None:
    """Tabulate the deviations from the plan; None where there are none."""
    text, deviations = context.text, context.findings.deviations
    if not deviations:
        return None
    status = {"found": text("deviations.found"), "declared": text("deviations.declared")}
    kinds = _kinds(context)
    columns = (
        Column(label=text("deviations.kind")),
        Column(label=text("deviations.about")),
        Column(label=text("deviations.status")),
        Column(label=text("deviations.reason"), wide=True),
        Column(label=text("deviations.difference"), wide=True, english=True),
        Column(label=text("deviations.original"), wide=True),
        Column(label=text("deviations.changed"), wide=True),
        Column(label=text("deviations.when"), english=True),
        Column(label=text("deviations.effect"), wide=True),
    )
    rows = []
    for d in deviations:
        found = " ".join(safe_notes(context, d.about, d.found))
        told = (d.reason, found, d.original, d.changed, d.when, d.effect_on_reading)
        rows.append([kinds[d.kind], d.about or DASH, status[d.status], *(said or DASH for said in told)])
    kept = [i for i in range(len(columns)) if any(row[i] != DASH for row in rows)]
    shown = [[row[i] for i in kept] for row in rows]
    return table("deviations-table", text("deviations.caption"), [columns[i] for i in kept], shown)


def not_made_table(context: Context) -> Table | None:
    """Tabulate the registered analyses that were not made; None where all were."""
    text, gone = context.text, context.findings.not_made
    if not gone:
        return None
    columns = (
        Column(label=text("effects.analysis")),
        Column(label=text("deviations.problem"), wide=True, english=True),
    )
    rows = [(name, " ".join(safe_notes(context, "", (problem,)))) for name, problem in gone]
    return table("not-made-table", text("deviations.not_made"), columns, rows)


def said_notes(context: Context) -> tuple[str, ...]:
    """Return what could not be compared, as sentences."""
    notes = safe_notes(context, "", context.findings.notes)
    return tuple(f"{note[:1].upper()}{note[1:]}" for note in notes)


def _kinds(context: Context) -> Mapping[str, str]:
    text = context.text
    return {
        "hypothesis": text("deviations.kind_hypothesis"),
        "frame": text("deviations.kind_frame"),
        "assignment": text("deviations.kind_assignment"),
        "outcome": text("deviations.kind_outcome"),
        "estimator": text("deviations.kind_estimator"),
        "inference": text("deviations.kind_inference"),
        "exclusion": text("deviations.kind_exclusion"),
        "missing": text("deviations.kind_missing"),
        "timing": text("deviations.kind_timing"),
        "other": text("deviations.kind_other"),
    }
