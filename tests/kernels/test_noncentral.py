"""The power function of the t test, its inverse, and the normal one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from kokeilu._kernels.noncentral import ALTERNATIVES, bloom_multiplier, critical_t, t_multiplier, t_power, z_power

DOF = st.floats(1.0, 1e6)
ALPHA = st.floats(1e-4, 0.4)


def by_integration(ncp: float, dof: float, alpha: float) -> float:
    """P(|T| > c) as the mean of the normal tails over s, dof s^2 ~ chi2(dof)."""
    critical = stats.t.isf(alpha / 2, dof)
    law = stats.chi(dof, scale=dof**-0.5)
    tails = lambda s: stats.norm.sf(critical * s - ncp) + stats.norm.cdf(-critical * s - ncp)  # noqa: E731
    low, high = law.ppf(1e-14), law.isf(1e-14)
    return integrate.quad(lambda s: tails(s) * law.pdf(s), low, high, limit=400, epsabs=1e-12)[0]


@pytest.mark.parametrize("dof", [2, 6, 30, 400])
@pytest.mark.parametrize("ncp", [0.0, 0.7, 2.8, 5.0, -2.8])
def test_power_is_that_of_direct_integration(ncp, dof):
    assert float(t_power(ncp, dof, 0.05)) == pytest.approx(by_integration(ncp, dof, 0.05), abs=1e-9)


@pytest.mark.parametrize(
    ("clusters", "bloom", "exact", "at_bloom"),
    [(6, 3.717, 3.761, 0.791), (8, 3.353, 3.367, 0.797), (12, 3.107, 3.110, 0.799), (20, 2.963, 2.963, 0.800)],
)
def test_the_central_multiplier_falls_short_with_few_clusters(clusters, bloom, exact, at_bloom):
    dof = clusters - 2
    assert bloom_multiplier(dof, 0.05, 0.8) == pytest.approx(bloom, abs=5e-4)
    assert t_multiplier(dof, 0.05, 0.8) == pytest.approx(exact, abs=5e-4)
    assert float(t_power(bloom_multiplier(dof, 0.05, 0.8), dof, 0.05)) == pytest.approx(at_bloom, abs=5e-4)


def test_no_nan_in_the_far_tail():
    ncp = np.array([8.5, 10.0, 37.0, 200.0, 1000.0])
    for dof in (1, 4, 20, 20_000, 1e8):
        for sign in (1, -1):
            assert np.isfinite(t_power(sign * ncp, dof, 0.05)).all()


@given(dof=DOF, alpha=ALPHA)
def test_without_an_effect_the_power_is_alpha(dof, alpha):
    for alternative in ALTERNATIVES:
        assert float(t_power(0.0, dof, alpha, alternative)) == pytest.approx(alpha, rel=1e-8)


@given(dof=DOF, alpha=ALPHA, share=st.floats(0.01, 0.99), alternative=st.sampled_from(ALTERNATIVES))
def test_the_multiplier_inverts_the_power(dof, alpha, share, alternative):
    power = alpha + (1 - alpha) * share
    ncp = t_multiplier(dof, alpha, power, alternative)
    signed = -ncp if alternative == "less" else ncp
    assert ncp > 0
    # With one degree of freedom and a critical value of thousands the noncentral t itself steps by some 5e-9.
    assert float(t_power(signed, dof, alpha, alternative)) == pytest.approx(power, abs=1e-7)


@given(ncp=st.floats(-20, 20), dof=DOF, alpha=ALPHA)
def test_signs_mirror_and_tails_add_up(ncp, dof, alpha):
    assert float(t_power(ncp, dof, alpha)) == pytest.approx(float(t_power(-ncp, dof, alpha)), abs=1e-12)
    upper, lower = (float(t_power(ncp, dof, alpha / 2, side)) for side in ("greater", "less"))
    assert float(t_power(ncp, dof, alpha)) == pytest.approx(upper + lower, abs=1e-12)


@given(low=st.floats(0, 10), step=st.floats(0, 10), dof=DOF)
def test_power_grows_with_the_effect(low, step, dof):
    assert float(t_power(low + step, dof, 0.05)) >= float(t_power(low, dof, 0.05)) - 1e-12


def test_arrays_and_scalars_give_the_same_numbers():
    ncp, dof = np.linspace(-3, 6, 7)[:, None], np.array([3.0, 10.0, 500.0])
    table = t_power(ncp, dof, 0.05)
    assert table.shape == (7, 3)
    assert table[2, 1] == t_power(ncp[2, 0], dof[1], 0.05)
    assert critical_t(dof, 0.05).shape == (3,)


def test_many_degrees_of_freedom_are_normal():
    assert float(t_power(2.5, 1e9, 0.05)) == pytest.approx(float(z_power(2.5, 1.0, 1.0, 0.05)), abs=1e-8)
    assert bloom_multiplier(np.inf, 0.05, 0.8) == pytest.approx(2.801585, abs=1e-6)


def test_the_normal_power_of_one_side():
    assert float(z_power(-2.5, 1.0, 1.0, 0.025, "less")) == pytest.approx(stats.norm.cdf(2.5 - 1.959964), abs=1e-6)
    assert float(z_power(2.5, 1.0, 2.0, 0.025, "greater")) == pytest.approx(
        stats.norm.cdf((2.5 - 1.959964) / 2), abs=1e-6
    )


def test_an_effect_beyond_what_nct_can_do_is_found_for_sure():
    assert float(t_power(1e299, 98.0, 0.05)) == 1.0
    assert float(t_power(-1e299, 98.0, 0.05, "greater")) == 0.0
    assert float(t_power(-1e299, 98.0, 0.05, "less")) == 1.0
