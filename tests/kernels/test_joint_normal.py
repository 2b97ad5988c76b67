"""Several correlated tests: against single tests, products, scipy's multivariate normal, and tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kokeilu._kernels.joint_normal import all_reject, dunnett_critical, none_rejects


@settings(max_examples=30)
@given(dof=st.floats(3, 2000), shift=st.floats(-4, 4), b=st.floats(0, 0.95))
def test_one_test_is_a_noncentral_t(dof: float, shift: float, b: float) -> None:
    critical = float(stats.t.isf(0.025, dof))
    wanted = stats.nct.sf(critical, dof, shift) + stats.nct.sf(critical, dof, -shift)
    assert all_reject(critical, [b], [shift], dof) == pytest.approx(wanted, abs=2e-8)
    assert none_rejects(critical, [b], [shift], dof) == pytest.approx(1 - wanted, abs=2e-8)


def test_independent_tests_multiply() -> None:
    single = float(stats.norm.sf(2.0 - 1.0) + stats.norm.cdf(-2.0 - 1.0))
    assert all_reject(2.0, np.zeros(3), np.ones(3), math.inf) == pytest.approx(single**3, abs=1e-12)
    assert none_rejects(2.0, np.zeros(3), np.ones(3), math.inf) == pytest.approx((1 - single) ** 3, abs=1e-12)


def test_two_correlated_normals() -> None:
    b, shifts, c = np.array([0.6, 0.8]), np.array([1.0, 2.0]), 2.2
    law = stats.multivariate_normal(shifts, [[1, 0.48], [0.48, 1]])
    box = law.cdf([c, c], lower_limit=[-c, -c])
    assert none_rejects(c, b, shifts, math.inf) == pytest.approx(box, abs=1e-7)


@pytest.mark.parametrize(
    ("arms", "dof", "value"),
    [(2, 10, 2.57), (3, 20, 2.54), (4, 30, 2.58), (5, 60, 2.58), (2, 60, 2.27)],  # Dunnett (1964), two-sided 5 %
)
def test_dunnett_tables(arms: int, dof: int, value: float) -> None:
    found = dunnett_critical(np.full(arms, math.sqrt(0.5)), dof, 0.05)
    assert found == pytest.approx(value, abs=0.006)


@settings(max_examples=30)
@given(arms=st.integers(2, 6), dof=st.floats(4, 500), b=st.floats(0.1, 0.9))
def test_dunnett_lies_between_one_test_and_bonferroni(arms: int, dof: float, b: float) -> None:
    found = dunnett_critical(np.full(arms, b), dof, 0.05)
    assert stats.t.isf(0.025, dof) < found < stats.t.isf(0.025 / arms, dof) + 1e-6
    assert none_rejects(found, np.full(arms, b), np.zeros(arms), dof) == pytest.approx(0.95, abs=1e-9)
