"""Variances over time: against least squares with the covariance written out, and limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokeilu._kernels.panels import exchangeable, panel_factors, saturation_variances, serial_covariance, wedge_variance


@given(pre=st.integers(1, 6), post=st.integers(1, 6), ar1=st.floats(-0.9, 0.95))
def test_ancova_is_never_worse(pre: int, post: int, ar1: float) -> None:
    after, change, ancova = panel_factors(serial_covariance(pre + post, ar1), pre)
    assert ancova <= min(after, change) + 1e-12


def test_without_a_period_before_there_is_only_after() -> None:
    assert panel_factors(exchangeable(0, 2, 0.0, 0.5, 0.0), 0) == pytest.approx((0.75, 0.75, 0.75))


def test_equal_correlations_have_the_published_factors() -> None:
    """McKenzie (2012): (1 + (r - 1) rho) / r - m rho^2 / (1 + (m - 1) rho)."""
    m, r, rho = 3, 2, 0.4
    wanted = (1 + (r - 1) * rho) / r - m * rho**2 / (1 + (m - 1) * rho)
    assert panel_factors(exchangeable(m, r, rho, rho, rho), m)[2] == pytest.approx(wanted)


@pytest.mark.parametrize("subject", [None, 0.6])
def test_a_wedge_is_least_squares_with_the_covariance_of_all_people(subject: float | None) -> None:
    """The same estimate from people, not from means: X'V^-1 X over everybody."""
    z, m, icc, other, sd2 = np.array([[0, 1, 1], [0, 0, 1], [0, 0, 1]], float), 4, 0.2, 0.1, 2.0
    periods = z.shape[1]
    person = np.tile(np.arange(m), periods)
    time = np.repeat(np.arange(periods), m)
    v = np.where(time[:, None] == time, icc, other)
    if subject is not None:
        v = np.where((person[:, None] == person) & (time[:, None] != time), subject, v)
    v = sd2 * np.where(np.eye(len(v), dtype=bool), 1.0, v)
    information = np.zeros((periods + 1, periods + 1))
    for row in z:
        x = np.column_stack([row[time], np.eye(periods)[time]])
        information += x.T @ np.linalg.solve(v, x)
    wanted = np.linalg.inv(information)[0, 0]
    assert wedge_variance(z, size=m, variance=sd2, within=icc, between=other, subject=subject) == pytest.approx(wanted)


def test_a_wedge_has_the_closed_form_of_hooper_and_others() -> None:
    steps, m, rho, cac, k = 5, 50, 0.2, 0.8, 4
    z = np.array([[float(t > s) for t in range(steps + 1)] for s in range(steps)] * k)
    d = 1 + (m - 1) * rho
    r = m * rho * cac / d
    factor = 3 * steps * (1 - r) * (1 + steps * r) / ((steps**2 - 1) * (2 + steps * r))
    found = wedge_variance(z, size=m, variance=16.0, within=rho, between=rho * cac)
    assert found == pytest.approx(4 * 16.0 * d * factor / (m * steps * k))


def test_periods_that_are_not_observed_carry_nothing() -> None:
    whole = wedge_variance([[0, 1], [0, 0]], size=10, variance=1.0, within=0.1, between=0.05)
    gap = wedge_variance([[0, 1, np.nan], [0, 0, np.nan]], size=10, variance=1.0, within=0.1, between=0.05)
    assert gap == pytest.approx(whole)


def test_one_saturation_of_all_is_a_cluster_trial() -> None:
    """Half of the areas all treated, half not at all: tau^2 / (psi (1 - psi) C) + sigma^2 / (psi (1 - psi) n C)."""
    found = saturation_variances([(0.0, 0.5), (1.0, 0.5)], clusters=40, size=30, between=0.2, within=0.8)
    assert found["treated"] == pytest.approx(4 * (0.2 / 40 + 0.8 / (30 * 40)))
    assert found["untreated"] == np.inf
