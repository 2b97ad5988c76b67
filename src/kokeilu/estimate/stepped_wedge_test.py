"""A test of a stepped wedge by redraws of its order."""

from __future__ import annotations

import numpy as np

from kokeilu._checks import between, choice, positive_int
from kokeilu._kernels.nulls import boundary
from kokeilu.core.assignment import Assignment, check_assignment
from kokeilu.core.protocols import Floats
from kokeilu.core.results import TestResult
from kokeilu.errors import EstimationError
from kokeilu.estimate.stepped_wedge import (
    BEGUN,
    NOT_YET,
    PERIODS,
    WEIGHTS,
    Panel,
    effect_of,
    orders_of,
    panel_of,
    period_weights,
    strata_of,
    treatment_of,
)

__all__ = ["stepped_wedge_test"]

TIE = 1e-9


def stepped_wedge_test(
    assignment: Assignment,
    outcomes: object,
    outcome: str,
    *,
    period: str,
    count: str = "people",
    periods: str = "variance",
    draws: int = 1_999,
    level: float = 0.95,
) -> TestResult:
    r"""Test that beginning changes nobody's outcome, by drawing the order again.

    The statistic is the effect over periods of :func:`kokeilu.stepped_wedge_effects`; its p-value is the probability of
    an effect at least as far from 0 under the orders that the lottery could have given: exact over all orders where
    they are at most 20,000, else (1 + hits) / (1 + draws). Ties, and orders in which the effect is not defined, count
    as hits. The interval holds the effects, the same for every cluster and period, that are not rejected with the same
    orders.

    Parameters
    ----------
    assignment, outcomes, outcome, period, count, periods
        As for :func:`kokeilu.stepped_wedge_effects`.
    draws : int
    level : float

    Returns
    -------
    TestResult

    Raises
    ------
    DesignError, ColumnError, DataError, EstimationError
        As for :func:`kokeilu.stepped_wedge_effects`.

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.SteppedWedge(("spring", "autumn", "never"), cluster=None)
    >>> trial = kk.randomise({"office": list(range(6))}, design, id="office", seed="example")
    >>> rows = [(g, t) for g in range(6) for t in range(3)]
    >>> table = {"office": [g for g, _ in rows], "t": [t for _, t in rows], "y": [g * 7 % 5 + t for g, t in rows]}
    >>> found = kk.stepped_wedge_test(trial, table, "y", period="t")
    >>> found.exact, found.draws
    (True, 90)
    """
    choice(count, WEIGHTS, name="count")
    choice(periods, PERIODS, name="periods")
    positive_int(draws, name="draws", least=99)
    between(level, 0.0, 1.0, name="level")
    panel = panel_of(check_assignment(assignment), outcomes, outcome, period, treatment_of(assignment), count)
    omega = period_weights(panel, periods)
    strata = strata_of(panel, omega)
    value = effect_of(panel, panel.y, panel.codes, omega, strata)[0]
    if not float(np.ptp(panel.y[panel.weight > 0.0])) > 0.0:
        raise EstimationError(f"{outcome!r} shows no variation: there is nothing to test. Check the column.")
    codes, chances = orders_of(panel, draws)
    begun = panel.matrix[panel.codes].astype(np.float64)
    under = np.array([effect_of(panel, panel.y, row, omega, strata)[0] for row in codes])
    slope = np.array([effect_of(panel, begun, row, omega, strata)[0] for row in codes])
    law = _Law(value, under, slope, chances)
    p = law.p_value(0.0)
    error = 0.0 if chances is not None else float(np.sqrt(p * (1.0 - p) / len(codes)))
    return TestResult(
        name="redraws of the order",
        outcome=outcome,
        arm=BEGUN,
        reference=NOT_YET,
        statistic=value,
        p_value=p,
        draws=len(codes),
        exact=chances is not None,
        p_error=error,
        interval=law.interval(1.0 - level),
        level=level,
        n=_rows(panel, omega, panel.rows),
        missing=_rows(panel, omega, panel.missing),
        reason=(
            f"{'all' if chances is not None else 'redraws of the'} orders of {len(panel.codes):,} clusters; statistic: "
            "begun less not yet begun within periods."
        ),
    )


def _rows(panel: Panel, omega: Floats, counts: Floats) -> dict[str, int]:
    begun = panel.matrix[panel.codes]
    return {name: int(counts[side & (omega > 0.0)].sum()) for name, side in ((BEGUN, begun), (NOT_YET, ~begun))}


class _Law:
    """Effects under every order of y - shift * begun: under - shift * slope."""

    __slots__ = ("_chances", "_slope", "_under", "_value")

    def __init__(self, value: float, under: Floats, slope: Floats, chances: Floats | None) -> None:
        self._value, self._under, self._slope, self._chances = value, under, slope, chances

    def p_value(self, shift: float) -> float:
        """Two-sided p-value of the hypothesis that every effect equals the shift."""
        drawn, seen = np.abs(self._under - shift * self._slope), abs(self._value - shift)
        hits = ~(drawn < seen - TIE * max(1.0, seen, abs(shift)))
        if self._chances is None:
            return float((1 + hits.sum()) / (1 + hits.size))
        return min(1.0, float(self._chances[hits].sum()))

    def interval(self, alpha: float) -> tuple[float, float] | None:
        """Outermost shifts on either side of the estimate that are not rejected; None where one side has no end."""
        unit = float(np.nanstd(self._under - self._value * self._slope))
        if not unit > 0.0:
            return None
        ends = [
            boundary(lambda d, sign=sign: self.p_value(self._value + sign * d * unit) > alpha * (1.0 + 1e-12))  # type: ignore[misc]
            for sign in (-1.0, 1.0)
        ]
        if ends[0] is None or ends[1] is None:
            return None
        return self._value - ends[0] * unit, self._value + ends[1] * unit
