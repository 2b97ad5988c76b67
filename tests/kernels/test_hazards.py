"""Piecewise hazards: against integrals and simulated spells."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from kokeilu._kernels.hazards import cumulative, event_share, restricted_mean, restricted_variance, survival

HAZARDS, LENGTHS = (0.2, 0.05, 0.01), (3.0, 6.0)


def test_survival_is_continuous_and_falls_by_the_hazards() -> None:
    t = np.array([0.0, 1.0, 3.0, 5.0, 9.0, 20.0])
    wanted = [0.0, 0.2, 0.6, 0.7, 0.9, 1.01]
    assert cumulative(t, HAZARDS, LENGTHS) == pytest.approx(wanted)
    assert survival(t, HAZARDS, LENGTHS) == pytest.approx(np.exp(-np.array(wanted)))


@pytest.mark.parametrize("horizon", [2.0, 3.0, 7.5, 12.0, 40.0])
def test_restricted_moments_are_integrals(horizon: float) -> None:
    kinks = [x for x in (3.0, 9.0) if x < horizon]
    area = integrate.quad(lambda t: float(survival(t, HAZARDS, LENGTHS)), 0, horizon, points=kinks or None)[0]
    second = integrate.quad(lambda t: 2 * t * float(survival(t, HAZARDS, LENGTHS)), 0, horizon, points=kinks or None)[0]
    assert restricted_mean(horizon, HAZARDS, LENGTHS) == pytest.approx(area, rel=1e-9)
    assert restricted_variance(horizon, HAZARDS, LENGTHS) == pytest.approx(second - area**2, rel=1e-8)


def test_events_seen_agree_with_simulated_spells() -> None:
    rng, n = np.random.default_rng(0), 400_000
    grid = np.array([0.0, 3.0, 9.0, 5000.0])
    spell = np.interp(rng.exponential(size=n), cumulative(grid, HAZARDS, LENGTHS), grid)
    seen = np.minimum(12.0 - rng.uniform(0, 4, n), rng.exponential(1 / 0.03, n))
    wanted = event_share(HAZARDS, LENGTHS, study=12.0, accrual=4.0, dropout=0.03)
    assert abs((spell <= seen).mean() - wanted) < 4.5 * math.sqrt(wanted * (1 - wanted) / n)


@given(h=st.floats(0.001, 2.0), eta=st.floats(0.0, 1.0), accrual=st.floats(0.1, 10.0), after=st.floats(0.0, 20.0))
def test_one_hazard_has_the_closed_form(h: float, eta: float, accrual: float, after: float) -> None:
    rate, study = h + eta, accrual + after
    wanted = h / rate * (1 - (math.exp(-rate * after) - math.exp(-rate * study)) / (rate * accrual))
    assert event_share([h], study=study, accrual=accrual, dropout=eta) == pytest.approx(wanted, abs=1e-10)


def test_entry_at_given_times() -> None:
    even = [(0.0, 0.5), (6.0, 0.5)]
    wanted = 0.5 * (1 - math.exp(-1.2)) + 0.5 * (1 - math.exp(-0.6))
    assert event_share([0.1], study=12.0, entry=even) == pytest.approx(wanted)
