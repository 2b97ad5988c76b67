"""Boundaries and crossing probabilities against known values, integrals by hand, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kokeilu._kernels import group_sequential as gs

THIRDS = (1 / 3, 2 / 3, 1.0)


def test_one_look_is_a_plain_test() -> None:
    bound = gs.efficacy_bounds([1.0], 0.025, gs.lan_demets_obrien_fleming, two_sided=True)
    assert bound[0] == pytest.approx(stats.norm.isf(0.025), abs=1e-12)
    up, down = gs.crossing([1.0], [-bound[0]], [bound[0]], 2.8)
    assert up[0] == pytest.approx(stats.norm.sf(bound[0] - 2.8), abs=1e-12)
    assert down[0] == pytest.approx(stats.norm.cdf(-bound[0] - 2.8), abs=1e-12)


def test_two_looks_are_a_bivariate_normal() -> None:
    t, upper, drift = (0.4, 1.0), np.array([2.5, 2.0]), 1.7
    up, _ = gs.crossing(t, [-np.inf, -np.inf], upper, drift)
    mean = drift * np.sqrt(t)
    law = stats.multivariate_normal(mean, [[1, np.sqrt(0.4)], [np.sqrt(0.4), 1]])
    assert 1 - up.sum() == pytest.approx(law.cdf(upper), abs=1e-6)


@pytest.mark.parametrize(
    ("looks", "constant"),
    [(2, 2.178), (3, 2.289), (4, 2.361), (5, 2.413), (10, 2.555)],  # Jennison & Turnbull (2000), table 2.1
)
def test_pocock_constants(looks: int, constant: float) -> None:
    bounds = gs.pocock(np.arange(1, looks + 1) / looks, 0.025, two_sided=True)
    assert bounds == pytest.approx(np.full(looks, constant), abs=5e-4)


@pytest.mark.parametrize(
    ("looks", "constant"),
    [(2, 1.977), (3, 2.004), (4, 2.024), (5, 2.040), (10, 2.087)],  # ibid., table 2.3
)
def test_obrien_fleming_constants(looks: int, constant: float) -> None:
    bounds = gs.obrien_fleming(np.arange(1, looks + 1) / looks, 0.025, two_sided=True)
    assert bounds[-1] == pytest.approx(constant, abs=5e-4)
    assert bounds[0] == pytest.approx(constant * np.sqrt(looks), abs=5e-3)


@settings(max_examples=20)
@given(
    steps=st.lists(st.floats(0.05, 1.0), min_size=1, max_size=6),
    alpha=st.floats(0.001, 0.2),
    two_sided=st.booleans(),
    gamma=st.floats(-6, 3),
)
def test_the_bounds_spend_just_alpha(steps: list[float], alpha: float, two_sided: bool, gamma: float) -> None:
    t = np.cumsum(steps) / sum(steps)
    t[-1] = 1.0
    for spending in (gs.lan_demets_obrien_fleming, gs.lan_demets_pocock, gs.hwang_shih_decani(gamma)):
        upper = gs.efficacy_bounds(t, alpha, spending, two_sided=two_sided)
        lower = -upper if two_sided else np.full(t.size, -np.inf)
        up, _ = gs.crossing(t, lower, upper, 0.0)
        spent = [spending(alpha, float(x)) for x in t]
        assert np.cumsum(up) == pytest.approx(spent, abs=1e-7)


def test_many_looks_keep_the_level() -> None:
    t = np.arange(1, 53) / 52
    upper = gs.efficacy_bounds(t, 0.025, gs.lan_demets_obrien_fleming, two_sided=True)
    up, down = gs.crossing(t, -upper, upper, 0.0)
    assert up.sum() == pytest.approx(0.025, abs=1e-9)
    assert down.sum() == pytest.approx(0.025, abs=1e-9)


def test_crossing_agrees_with_simulation() -> None:
    upper = gs.efficacy_bounds(THIRDS, 0.025, gs.lan_demets_pocock, two_sided=False)
    lower = np.array([-0.5, 0.3, upper[-1]])
    up, down = gs.crossing(THIRDS, lower, upper, 2.0)
    rng = np.random.default_rng(1)
    steps = rng.normal(size=(400_000, 3)) * np.sqrt(1 / 3) + 2.0 / 3
    z = steps.cumsum(axis=1) / np.sqrt(THIRDS)
    alive = np.ones(len(z), dtype=bool)
    for k in range(3):
        above, below = alive & (z[:, k] >= upper[k]), alive & (z[:, k] < lower[k])
        for found, wanted in ((above.mean(), up[k]), (below.mean(), down[k])):
            assert abs(found - wanted) < 4.5 * np.sqrt(wanted * (1 - wanted) / len(z))
        alive &= ~(above | below)


def test_futility_bounds_meet_the_last_one_and_spend_beta() -> None:
    upper = gs.efficacy_bounds(THIRDS, 0.025, gs.lan_demets_obrien_fleming, two_sided=False)
    drift = gs.drift_for(THIRDS, [-np.inf] * 3, upper, 0.85)
    lower, missed = gs.futility_bounds(THIRDS, upper, 0.2, gs.lan_demets_obrien_fleming, drift)
    assert lower[-1] == upper[-1]
    assert (np.diff(lower) > 0).all()
    _, down = gs.crossing(THIRDS, lower, upper, drift)
    assert down[:2].cumsum() == pytest.approx([gs.lan_demets_obrien_fleming(0.2, t) for t in THIRDS[:2]], abs=1e-9)
    assert down.sum() == pytest.approx(missed, abs=1e-12)
