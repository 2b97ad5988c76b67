"""Rare outcomes: the exact level of a test by the law of the split of the events over two arms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kokeilu._kernels.rare import FEW_EVENTS, dof_of_events, rarer_of_two


def level(n: int, treated: int, events: int, *, careful: bool) -> float:
    """Probability that a 5 % test of two proportions rejects when no arm changes anything."""
    control = n - treated
    split = np.arange(max(0, events - control), min(events, treated) + 1)
    law = stats.hypergeom.pmf(split, n, events, treated)
    p1, p0 = split / treated, (events - split) / control
    parts = np.stack([p1 * (1 - p1) / (treated - 1), p0 * (1 - p0) / (control - 1)])
    variance = parts.sum(axis=0)
    dof = variance**2 / (parts**2 / np.array([[treated - 1], [control - 1]])).sum(axis=0)
    if careful:
        dof = dof_of_events(dof, np.full(split.size, float(events)), np.full(split.size, float(n)))
    t = np.abs(p1 - p0) / np.sqrt(variance)
    return float(law[2 * stats.t.sf(t, dof) <= 0.05].sum())


@pytest.mark.parametrize(("n", "treated"), [(1_000, 500), (1_000, 333), (5_000, 2_500), (5_000, 1_666)])
def test_few_events_are_rejected_in_at_most_6_5_per_cent(n: int, treated: int) -> None:
    events = range(2, FEW_EVENTS)
    assert max(level(n, treated, e, careful=True) for e in events) <= 0.065
    assert max(level(n, treated, e, careful=False) for e in events) > 0.075


def test_sixteen_events_in_a_thousand_people() -> None:
    assert level(1_000, 500, 16, careful=False) == pytest.approx(0.0749, abs=5e-4)
    assert level(1_000, 500, 16, careful=True) == pytest.approx(0.0203, abs=5e-4)


def test_the_rarer_of_two_values_is_counted_among_those_held() -> None:
    y = np.array([3.0, 1.0, 1.0, 3.0, 1.0, 1.0])
    held = np.array([[True] * 6, [True, True, True, False, False, False], [False, True, True, False, True, False]])
    assert rarer_of_two(y, held).tolist() == [2.0, 1.0, 0.0]
    assert np.isinf(rarer_of_two(np.array([0.0, 1.0, 2.0]), np.ones((2, 3), dtype=bool))).all()


def test_common_or_many_events_leave_the_degrees_of_freedom() -> None:
    dof, people = np.full(5, 98.0), np.full(5, 100.0)
    events = np.array([40.0, 10.0, 9.0, 1.0, np.inf])
    assert dof_of_events(dof, events, people).tolist() == [98.0, 98.0, 8.0, 1.0, 98.0]
    assert dof_of_events(np.array([4_998.0]), np.array([50.0]), np.array([5_000.0])).tolist() == [4_998.0]
