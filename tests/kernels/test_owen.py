"""Two one-sided tests: against simulation, limits and the normal form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kokeilu._kernels.owen import equivalence_power


@pytest.mark.parametrize(("dof", "effect"), [(4, 0.0), (10, 0.1), (40, -0.2), (198, 0.05)])
def test_simulated_intervals_lie_within_the_bounds_as_often(dof: int, effect: float) -> None:
    rng = np.random.default_rng(3)
    error, n = 0.15, 400_000
    estimate = effect + error * rng.normal(size=n)
    reach = stats.t.isf(0.05, dof) * error * np.sqrt(rng.chisquare(dof, n) / dof)
    found = ((estimate - reach > -0.5) & (estimate + reach < 0.5)).mean()
    wanted = equivalence_power(effect, -0.5, 0.5, error, dof, 0.05)
    assert abs(found - wanted) < 4.5 * math.sqrt(wanted * (1 - wanted) / n)


def test_infinitely_many_degrees_of_freedom_are_the_normal_form() -> None:
    z = stats.norm.isf(0.05)
    wanted = stats.norm.cdf(0.4 / 0.1 - z) - stats.norm.cdf(-0.6 / 0.1 + z)
    assert equivalence_power(0.1, -0.5, 0.5, 0.1, math.inf, 0.05) == pytest.approx(wanted, abs=1e-14)
    assert equivalence_power(0.1, -0.5, 0.5, 0.1, 1e7, 0.05) == pytest.approx(wanted, abs=1e-6)


@settings(max_examples=30)
@given(error=st.floats(0.01, 10.0), dof=st.floats(1.5, 1e5), effect=st.floats(-3, 3))
def test_it_is_a_probability_and_falls_with_the_error(error: float, dof: float, effect: float) -> None:
    near = equivalence_power(effect, -1.0, 1.0, error, dof, 0.05)
    far = equivalence_power(effect, -1.0, 1.0, 1.5 * error, dof, 0.05)
    assert 0.0 <= near <= 1.0
    if abs(effect) < 1.0:
        assert far <= near + 1e-9
    else:
        assert near <= 0.05 + 1e-9
