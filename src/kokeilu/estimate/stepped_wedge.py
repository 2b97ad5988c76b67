"""The effect of a stepped wedge from the random order alone: begun against not yet begun, within each period."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kokeilu._checks import choice, positive_int
from kokeilu._kernels.stepped_wedge import wedge
from kokeilu.core.assignment import Assignment, check_assignment
from kokeilu.core.lottery import all_assignments, cells_of, redraws, shares_of
from kokeilu.core.population import first_members
from kokeilu.core.protocols import Codes, Floats, Ints
from kokeilu.core.results import Estimate, Estimates
from kokeilu.core.table import read_columns, read_factor, read_ids, read_number, text_like
from kokeilu.errors import DataError, DesignError, EstimationError
from kokeilu.estimate.notes import FEW_DOF

__all__ = [
    "Panel",
    "effect_of",
    "orders_of",
    "panel_of",
    "period_weights",
    "stepped_wedge_effects",
    "strata_of",
    "treatment_of",
]

WEIGHTS = ("people", "clusters")
PERIODS = ("variance", "equal")
EXACT = 20_000
BEGUN, NOT_YET = "begun", "not yet begun"


def stepped_wedge_effects(
    assignment: Assignment,
    outcomes: object,
    outcome: str,
    *,
    period: str,
    count: str = "people",
    periods: str = "variance",
    draws: int = 2_000,
) -> Estimates:
    r"""Estimate the effect of a stepped wedge: over all periods first, then period by period.

    Within each period clusters that have begun are compared with those that have not yet: only the random order is
    used, no model of time, and whatever happens to all clusters alike drops out. The effect over periods is
    :math:`\sum_t \omega_t \hat\theta_t`; :math:`\omega_t \propto \pi_t (1 - \pi_t)`, with :math:`\pi_t` the exact
    share that has begun by design, or equal. Where effects grow with time in treatment it is an average over the
    times that the design makes: state it so.

    The variance is Neyman's over sequences, :math:`\sum_k s_k^2/n_k` of the clusters' linearised scores (per stratum),
    with Satterthwaite's degrees of freedom; conservative on average. Where a sequence has one cluster it is the
    variance over redraws of the order, outcomes without the effect held fixed (as if the effect were the same
    everywhere), with the normal as reference.

    Parameters
    ----------
    assignment : Assignment
        Drawn by :class:`kokeilu.SteppedWedge`.
    outcomes : pandas, pyarrow or Arrow-capable table
        One row for each person (or whatever was registered) and period; other people may be seen in other periods.
        A row without an outcome counts as missing.
    outcome : str
    period : str
        The column of the period: whole numbers 0, 1, …, or values whose order is that of the periods.
    count : {"people", "clusters"}
        Whether a cluster's mean in a period counts for its people, or all clusters count alike (then, with fixed
        numbers in the sequences, the estimate is unbiased; by people it is a ratio).
    periods : {"variance", "equal"}
        The weights of the periods.
    draws : int
        Redraws for the variance, where a sequence has one cluster and the orders are too many to go through.

    Returns
    -------
    Estimates
        The first is over all periods; the others are named "y in period t". `n` counts rows.

    Raises
    ------
    DesignError
        Where the assignment is of no stepped wedge.
    ColumnError, DataError
        Columns or people that do not fit; more periods in the table than in the design.
    EstimationError
        No period with both kinds of clusters, or no variation.

    Source: Hussey & Hughes (2007); Thompson et al. (2018), "Robust analysis of stepped wedge trials using cluster-level
    summaries within periods", Stat. Med. 37; Roth & Sant'Anna (2023).

    Examples
    --------
    >>> import kokeilu as kk
    >>> offices = {"office": list(range(12))}
    >>> design = kk.SteppedWedge(("spring", "autumn", "never"), cluster=None)
    >>> trial = kk.randomise(offices, design, id="office", seed="example")
    >>> rows = [(g, t) for g in range(12) for t in range(3)]
    >>> table = {"office": [g for g, _ in rows], "t": [t for _, t in rows], "y": [g * 7 % 5 + t for g, t in rows]}
    >>> found = kk.stepped_wedge_effects(trial, table, "y", period="t")
    >>> [e.outcome for e in found]
    ['y', 'y in period 1', 'y in period 2']
    """
    choice(count, WEIGHTS, name="count")
    choice(periods, PERIODS, name="periods")
    positive_int(draws, name="draws", least=100)
    matrix = treatment_of(check_assignment(assignment))
    panel = panel_of(assignment, outcomes, outcome, period, matrix, count)
    omega = period_weights(panel, periods)
    found = [_estimate(panel, omega, outcome, draws)]
    for t in np.flatnonzero(omega > 0.0):
        alone = np.zeros(omega.size)
        alone[t] = 1.0
        found.append(_estimate(panel, alone, f"{outcome} in period {panel.labels[t]}", draws))
    return Estimates(tuple(found))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panel:
    """Cluster by period: mean outcomes, what they count for, rows; the draw; and the share that has begun by design."""

    assignment: Assignment
    y: Floats
    weight: Floats
    rows: Floats
    missing: Floats
    codes: Codes
    strata: Ints
    first: Ints
    matrix: NDArray[np.bool_]
    share: Floats
    labels: tuple[str, ...]


def treatment_of(assignment: Assignment) -> NDArray[np.bool_]:
    ask = getattr(assignment.mechanism, "treatment_matrix", None)
    if ask is None:
        raise DesignError(
            "stepped_wedge_effects needs a draw by SteppedWedge, whose arms are sequences over periods; this one is: "
            f"{assignment.mechanism.describe()} Use estimate_effects."
        )
    matrix: NDArray[np.bool_] = np.asarray(ask()) > 0
    return matrix


def panel_of(
    assignment: Assignment, table: object, outcome: str, period: str, matrix: NDArray[np.bool_], count: str
) -> Panel:
    where, name = "the outcomes table", assignment.id_name
    columns = read_columns(table, tuple(dict.fromkeys((name, period, outcome))), where=where)
    spots = _people(assignment, columns[name], where)
    when, labels = _periods(columns[period], period, matrix.shape[1], where)
    y = read_number(columns[outcome], outcome, where=where)
    cells = cells_of(assignment.lottery)
    units = np.arange(len(assignment)) if cells.clusters is None else cells.clusters
    size = int(units.max()) + 1
    first = first_members(units, size)
    place, seen = units[spots] * matrix.shape[1] + when, ~np.isnan(y)
    shape, bins = (size, matrix.shape[1]), size * matrix.shape[1]
    rows = np.bincount(place[seen], minlength=bins).reshape(shape).astype(np.float64)
    total = np.bincount(place[seen], weights=y[seen], minlength=bins).reshape(shape)
    lost = np.bincount(place[~seen], minlength=bins).reshape(shape).astype(np.float64)
    mean = np.divide(total, rows, out=np.zeros(shape), where=rows > 0)
    return Panel(
        assignment=assignment,
        y=mean,
        weight=rows if count == "people" else (rows > 0).astype(np.float64),
        rows=rows,
        missing=lost,
        codes=assignment.codes[first],
        strata=np.unique(cells.strata[first], return_inverse=True)[1].astype(np.int64),
        first=first,
        matrix=matrix,
        share=(shares_of(assignment.lottery, assignment.stream("shares"))[first] @ matrix).mean(axis=0),
        labels=labels,
    )


def _people(assignment: Assignment, column: Any, where: str) -> Ints:
    raw = read_ids(column, assignment.id_name, where=where, once=False)
    kind = "text" if raw.dtype.kind == "S" else "whole numbers"
    if kind != assignment.ids.kind:
        raise DataError(
            f"{where}: the id column {assignment.id_name!r} holds {kind}, but the assignment's ids are "
            f"{assignment.ids.kind}. Convert it so that the two agree (mind leading zeros)."
        )
    spots = assignment.ids.find(raw)
    strangers = int((spots < 0).sum())
    if strangers:
        raise DataError(
            f"{where} has {strangers:,} of {len(raw):,} rows of people who were never assigned. Keep only the people "
            "of the assignment, or check that this is the right table."
        )
    return spots


def _periods(column: Any, name: str, wanted: int, where: str) -> tuple[Ints, tuple[str, ...]]:
    """Codes 0..T-1 of the periods and their labels."""
    if text_like(column):
        factor = read_factor(column, name, where=where)
        codes, labels = factor.codes, factor.levels
    else:
        values = read_number(column, name, where=where)
        if np.isnan(values).any():
            raise DataError(
                f"{where}: the period {name!r} is missing for {int(np.isnan(values).sum()):,} rows. Fill it in."
            )
        if set(np.unique(values).tolist()) <= set(range(wanted)):
            return values.astype(np.int64), tuple(str(t) for t in range(wanted))
        levels, place = np.unique(values, return_inverse=True)
        codes, labels = place.astype(np.int64), tuple(f"{level:g}" for level in levels)
    if len(labels) != wanted:
        raise DataError(
            f"{where}: {name!r} has {len(labels):,} periods, the design {wanted:,}: the baseline and one for each "
            "step. Number them 0, 1, ... as in the design, or keep the rows of its periods only."
        )
    return codes, labels


def period_weights(panel: Panel, periods: str) -> Floats:
    """Weights of the periods; 0 where the design, or the table, compares nobody."""
    begun = panel.matrix[panel.codes]
    sides = [(panel.weight * side).sum(axis=0) > 0.0 for side in (begun, ~begun)]
    share = panel.share
    live = sides[0] & sides[1] & (share > 0.0) & (share < 1.0)
    if not live.any():
        raise EstimationError(
            "in no period are clusters that have begun seen beside clusters that have not: there is nothing to compare."
        )
    weight = np.where(live, share * (1.0 - share) if periods == "variance" else 1.0, 0.0)
    omega: Floats = weight / weight.sum()
    return omega


def strata_of(panel: Panel, omega: Floats) -> Ints:
    """The strata where each of them has both kinds of clusters in every period that counts; else one."""
    begun = panel.matrix[panel.codes][:, omega > 0.0]
    weight = panel.weight[:, omega > 0.0]
    strata = np.eye(int(panel.strata.max()) + 1)[panel.strata]
    whole = all(((strata.T @ (weight * side)) > 0.0).all() for side in (begun, ~begun))
    return panel.strata if whole else np.zeros_like(panel.strata)


def effect_of(panel: Panel, y: Floats, codes: Codes, omega: Floats, strata: Ints) -> tuple[float, Floats, float]:
    """Value, scores (G,) and the mean of those not begun, over the strata by what they count for."""
    value = base = 0.0
    scores = np.zeros(len(y))
    total = float(panel.weight.sum())
    for stratum in range(int(strata.max()) + 1):
        mine = strata == stratum
        share = float(panel.weight[mine].sum()) / total
        found = wedge(y[mine], panel.weight[mine], panel.matrix[codes[mine]], omega)
        live = omega > 0.0
        value += share * float(omega[live] @ found.effects[live])
        base += share * float(omega[live] @ found.base[live])
        scores[mine] = share * found.scores
    return value, scores, base


def _estimate(panel: Panel, omega: Floats, outcome: str, draws: int) -> Estimate:
    strata = strata_of(panel, omega)
    value, scores, base = effect_of(panel, panel.y, panel.codes, omega, strata)
    group = np.unique(strata * len(panel.matrix) + panel.codes, return_inverse=True)[1]
    size = np.bincount(group).astype(np.float64)
    notes: tuple[str, ...] = ()
    dof: float | None
    if (size >= 2).all():
        centred = scores - (np.bincount(group, weights=scores) / size)[group]
        part = size / (size - 1.0) * np.bincount(group, weights=centred**2)
        variance = float(part.sum())
        dof = variance**2 / float((part**2 / (size - 1.0)).sum()) if variance > 0.0 else 1.0
        kind, rule = "Neyman over sequences", "Satterthwaite's degrees of freedom"
        if dof < FEW_DOF:
            notes = (f"only {dof:.1f} degrees of freedom: trust stepped_wedge_test more than this interval.",)
    else:
        law = _redrawn(panel, panel.y - value * panel.matrix[panel.codes], omega, strata, draws)
        variance, dof = law.variance(), None
        kind, rule = "redraws of the order", "as if the effect were the same everywhere, normal"
        notes = ("a sequence has one cluster: trust stepped_wedge_test more than this interval.",)
    scale = float(np.ptp(panel.y[panel.weight > 0.0]))
    if not variance > (1e-13 * scale) ** 2:
        raise EstimationError(f"{outcome!r} leaves no variation to judge the effect by. Check the column.")
    begun = panel.matrix[panel.codes] & (omega > 0.0)
    waiting = ~panel.matrix[panel.codes] & (omega > 0.0)
    sides = {BEGUN: begun, NOT_YET: waiting}
    several = f" in {int(strata.max()) + 1} strata" if strata.max() > 0 else ""
    return Estimate(
        outcome=outcome,
        arm=BEGUN,
        reference=NOT_YET,
        value=value,
        error=float(np.sqrt(variance)),
        dof=dof,
        estimator="stepped wedge, within periods",
        variance=kind,
        reason=f"{len(panel.codes):,} clusters{several}, only the order drawn is used: {kind}, {rule}.",
        n={name: int(panel.rows[side].sum()) for name, side in sides.items()},
        missing={name: int(panel.missing[side].sum()) for name, side in sides.items()},
        clusters=len(panel.codes),
        notes=notes,
        reference_mean=base,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Redrawn:
    """Effects on fixed outcomes under every order, or under redraws of it; `chances` is None for redraws."""

    values: Floats
    chances: Floats | None

    def variance(self) -> float:
        """Variance over the orders in which the effect is defined."""
        good = np.isfinite(self.values)
        chances = np.ones(good.sum()) if self.chances is None else self.chances[good]
        mean = float(np.average(self.values[good], weights=chances))
        return float(np.average((self.values[good] - mean) ** 2, weights=chances))


def orders_of(panel: Panel, draws: int) -> tuple[Codes, Floats | None]:
    """Every order of the clusters with its chance, or redraws of it, (b, G)."""
    assignment = panel.assignment
    chunks = all_assignments(assignment.lottery, EXACT)
    if chunks is not None:
        parts = list(chunks)
        return np.concatenate([c[:, panel.first] for c, _ in parts]), np.concatenate([p for _, p in parts])
    stream = assignment.stream("stepped wedge")
    return np.concatenate([c[:, panel.first] for c in redraws(assignment.lottery, stream, draws)]), None


def _redrawn(panel: Panel, y: Floats, omega: Floats, strata: Ints, draws: int) -> _Redrawn:
    codes, chances = orders_of(panel, draws)
    return _Redrawn(values=np.array([effect_of(panel, y, row, omega, strata)[0] for row in codes]), chances=chances)
