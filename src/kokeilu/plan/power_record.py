"""The power record of a plan: for how many people it was reckoned, and whether they came."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kokeilu.core.arms import Arms
from kokeilu.core.assignment import Assignment
from kokeilu.core.lottery import cells_of
from kokeilu.core.registry import kind_of, register
from kokeilu.core.results import Rows, text_table, wrapped
from kokeilu.errors import PlanError
from kokeilu.plan.text import tidy
from kokeilu.power.results import Power

__all__ = ["PowerCheck", "PowerRecord", "power_check", "record_of", "records_of"]

DIGITS = 6
NEAR = 1.0  # expected numbers may be halves; draws are whole
UNSEEN = "strata are not known"

ByArm = tuple[tuple[str, float], ...]


@register("power record")
@dataclass(frozen=True, slots=True, kw_only=True)
class PowerRecord:
    """What a plan keeps of a question about power, with six significant digits so that every machine writes the same.

    Attributes
    ----------
    quantity : str
        What was asked: "detectable_effect", "power" or "sample_size".
    arm, reference : str
    effect, power : float
        Of this contrast; for a test of all arms together `power` is that of the test.
    outcome : Mean, Proportion, ...
    alpha : float
    test, formula : str
    people : tuple of (arm, float)
        Enrolled, before some are lost.
    clusters : tuple of (arm, float) or None
    strata : int or None
        None where the answer was given before the strata were known.
    assumptions : tuple of str
    """

    quantity: str
    arm: str
    reference: str
    effect: float
    power: float
    outcome: Any
    alpha: float
    test: str
    formula: str
    people: ByArm
    clusters: ByArm | None = None
    strata: int | None = None
    assumptions: tuple[str, ...] = ()

    def __str__(self) -> str:
        people = ", ".join(f"{arm} {n:,.6g}" for arm, n in self.people)
        return (
            f"power {self.power:.3f} for an effect of {self.effect:.4g} of {self.arm} against {self.reference} on a "
            f"{kind_of(self.outcome) or 'outcome'}: {people}"
        )


def record_of(found: Power) -> PowerRecord:
    """Return the record of an answer."""
    unseen = any(note.startswith(UNSEEN) for note in found.assumptions)
    row = found.contrast
    record = PowerRecord(
        quantity=found.quantity,
        arm=row.arm,
        reference=row.reference,
        effect=_short(row.effect),
        power=_short(row.power if found.joint is None else found.joint),
        outcome=found.outcome,
        alpha=_short(found.alpha),
        test=found.test,
        formula=found.formula,
        people=_pairs(found.people),
        clusters=None if found.clusters is None else _pairs(found.clusters),
        strata=None if unseen else found.strata,
        assumptions=found.assumptions,
    )
    return tidy(record, where="the power record")


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _pairs(pairs: ByArm) -> ByArm:
    return tuple((name, _short(n)) for name, n in pairs)


def records_of(value: object, arms: Arms | None) -> tuple[PowerRecord, ...]:
    """Return answers or records as records, each about arms of the design."""
    items = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    for item in items:
        if not isinstance(item, (Power, PowerRecord)):
            raise PlanError(
                f"power of the plan must be answers of sample_size, power_at or detectable_effect; got "
                f"{type(item).__name__}."
            )
    records = tuple(record_of(item) if isinstance(item, Power) else _clean(item) for item in items)
    for name in (name for record in records for name, _ in record.people):
        if arms is not None and name not in arms.names:
            raise PlanError(
                f"the power record counts people in an arm {name!r} that the design of the plan does not have. Ask for "
                "the power of this design."
            )
    return records


def _clean(record: PowerRecord) -> PowerRecord:
    try:
        people = _pairs(record.people)
        clusters = None if record.clusters is None else _pairs(record.clusters)
    except (TypeError, ValueError):
        people, clusters = (), None
    if not people:
        raise PlanError("the power record does not say how many people are in each arm. Compare it with a written one.")
    return tidy(replace(record, people=people, clusters=clusters), where="the power record")


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerCheck(Rows):
    """The numbers for which power was reckoned, beside those enrolled.

    Attributes
    ----------
    lines : tuple of (record number, what, planned, enrolled)
    records : tuple of PowerRecord
    """

    records: tuple[PowerRecord, ...]
    lines: tuple[tuple[int, str, float, float], ...]

    @property
    def holds(self) -> bool:
        """Whether everything is as planned, to a whole person."""
        return not self.differences

    @property
    def differences(self) -> tuple[tuple[int, str, float, float], ...]:
        """The lines that differ by a person (a cluster, a stratum) or more."""
        return tuple(line for line in self.lines if abs(line[3] - line[2]) >= NEAR)

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each number compared."""
        return [
            {"record": at, "what": what, "planned": planned, "enrolled": found, "difference": found - planned}
            for at, what, planned, found in self.lines
        ]

    def __str__(self) -> str:
        head = [f"{at}. {record}" for at, record in enumerate(self.records, 1)]
        shown = [
            {**row, **{name: f"{row[name]:,.6g}" for name in ("planned", "enrolled", "difference")}}
            for row in self.rows()
        ]
        said = "As planned." if self.holds else self._said()
        return "\n".join([*wrapped(head), text_table(shown), *wrapped([said])])

    def _said(self) -> str:
        told = [
            f"{what} {found:,.6g} in place of {planned:,.6g}" + (f" (record {at})" if len(self.records) > 1 else "")
            for at, what, planned, found in self.differences
        ]
        return f"Not as planned: {'; '.join(told)}. The power reckoned before the draw is not that of this trial."


def power_check(records: tuple[PowerRecord, ...], assignment: Assignment) -> PowerCheck:
    """Compare people, clusters and strata of the records with those of a draw."""
    people, clusters, strata = assignment.counts(), *_cells(assignment)
    lines: list[tuple[int, str, float, float]] = []
    for at, record in enumerate(records, 1):
        lines += [(at, f"people in {arm}", n, people.get(arm, 0)) for arm, n in record.people]
        lines += [(at, f"clusters in {arm}", n, clusters.get(arm, 0)) for arm, n in record.clusters or ()]
        lines += [(at, "strata", record.strata, strata)] if record.strata is not None else []
    return PowerCheck(records=records, lines=tuple((at, what, float(a), float(b)) for at, what, a, b in lines))


def _cells(assignment: Assignment) -> tuple[dict[str, int], int]:
    cells = cells_of(assignment.lottery)
    strata = int(np.unique(cells.strata).size)
    if cells.clusters is None:
        return {}, strata
    first = np.unique(cells.clusters, return_index=True)[1]
    counts = np.bincount(assignment.codes[first], minlength=len(assignment.arms))
    return dict(zip(assignment.arms.names, map(int, counts), strict=True)), strata
