"""The flow of people: assigned, found in the outcomes table, observed, by arm and outcome."""

from __future__ import annotations

from dataclasses import dataclass

from kokeilu.report.context import Context
from kokeilu.report.tables import Body, Column, Table, mask_notes

__all__ = ["Flow", "FlowLine", "flow_table", "flows", "other_flow_table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLine:
    """The way of one arm, as printed: counts or the mask."""

    arm: str
    assigned: str
    absent: str
    linked: str
    blank: str
    used: str

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        return (self.arm, self.assigned, self.absent, self.linked, self.blank, self.used)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """The way of all arms for one outcome."""

    number: int
    outcome: str
    label: str
    primary: bool
    people: str
    lines: tuple[FlowLine, ...]


def flows(context: Context) -> tuple[Flow, ...]:
    """Return one flow for each outcome, the primary first."""
    primary = context.findings.plan.primary
    outcomes = sorted((outcome for outcome, _ in context.findings.accounts), key=lambda o: o not in primary)
    return tuple(
        Flow(
            number=number,
            outcome=outcome,
            label=context.label(outcome),
            primary=outcome in primary,
            people=context.count("people"),
            lines=tuple(_line(context, outcome, arm) for arm in context.arms),
        )
        for number, outcome in enumerate(outcomes, start=1)
    )


def _line(context: Context, outcome: str, arm: str) -> FlowLine:
    return FlowLine(
        arm=arm,
        assigned=context.count("assigned", arm),
        absent=context.count("absent", outcome, arm),
        linked=context.count("linked", outcome, arm),
        blank=context.count("blank", outcome, arm),
        used=context.count("used", outcome, arm),
    )


def flow_table(context: Context, flow: Flow) -> Table:
    """Tabulate one flow."""
    caption = context.text("flow.caption", outcome=flow.outcome, people=flow.people)
    body = Body(rows=tuple(line.cells() for line in flow.lines))
    return _table(context, f"flow-table-{flow.number}", caption, (body,))


def other_flow_table(context: Context, others: tuple[Flow, ...]) -> Table | None:
    """Tabulate the flows of the outcomes that are not primary, in one table; None where there are none."""
    bodies = tuple(Body(heading=flow.outcome, rows=tuple(line.cells() for line in flow.lines)) for flow in others)
    return _table(context, "flow-table-others", context.text("flow.caption_others"), bodies) if bodies else None


def _table(context: Context, name: str, caption: str, bodies: tuple[Body, ...]) -> Table:
    text = context.text
    labels = (text("flow.assigned"), text("flow.absent"), text("flow.linked"), text("flow.blank"), text("flow.used"))
    return Table(
        name=name,
        caption=caption,
        columns=(Column(label=text("flow.arm")), *(Column(label=label, numeric=True) for label in labels)),
        bodies=bodies,
        notes=mask_notes(context, bodies, context.count("people")),
    )
