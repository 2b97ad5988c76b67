"""Several contrasts tested at once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kokeilu.core.results import Estimate, Estimates
from kokeilu.errors import EstimationError

V = np.array([[0.04, 0.02], [0.02, 0.09]])


def estimate(arm: str, value: float, error: float) -> Estimate:
    return Estimate(
        outcome="work",
        arm=arm,
        reference="control",
        value=value,
        error=error,
        dof=20.0,
        estimator="regression",
        variance="CR2",
        reason="",
        n={},
        missing={},
    )


PAIR = (estimate("coaching", 0.3, 0.2), estimate("letter", -0.5, 0.3))
FORM = float(np.array([0.3, -0.5]) @ np.linalg.solve(V, [0.3, -0.5]))


def test_htz_f_and_chi_square() -> None:
    htz = Estimates(PAIR, covariance=V, joint_dof=18.0, hotelling=True, joint_reason="because").joint()
    assert (htz.test, htz.df1, htz.df2) == ("HTZ", 2, 17.0)
    assert htz.statistic == pytest.approx(17 / 36 * FORM, rel=1e-12)
    assert htz.p_value == pytest.approx(stats.f.sf(17 / 36 * FORM, 2, 17), rel=1e-12)
    wald = Estimates(PAIR, covariance=V, joint_dof=18.0).joint()
    assert (wald.test, wald.df2) == ("F", 18.0)
    assert wald.statistic == pytest.approx(FORM / 2, rel=1e-12)
    normal = Estimates(PAIR, covariance=V).joint()
    assert (normal.test, normal.df2) == ("chi-square", None)
    assert normal.p_value == pytest.approx(stats.chi2.sf(FORM, 2), rel=1e-12)
    assert str(htz).endswith("Because.")
    assert htz.rows()[0]["contrasts"] == "coaching - control; letter - control"
    assert len(htz.to_frame()) == 1


def test_units_do_not_matter() -> None:
    scale = np.array([1e-6, 1e5])
    scaled = (estimate("coaching", 0.3e-6, 0.2e-6), estimate("letter", -0.5e5, 0.3e5))
    found = Estimates(scaled, covariance=V * np.outer(scale, scale), joint_dof=18.0).joint()
    assert found.statistic == pytest.approx(FORM / 2, rel=1e-9)


def test_one_contrast_is_its_own_test() -> None:
    one = Estimates(PAIR[:1], covariance=V[:1, :1], joint_dof=20.0, hotelling=True)
    assert one.joint().p_value == pytest.approx(PAIR[0].p_value(), rel=1e-10)


def test_parts_and_marks_keep_what_still_holds() -> None:
    wald = Estimates(PAIR, covariance=V, joint_dof=18.0)
    assert wald[:1].joint().df1 == 1
    assert wald.mark(registered=True).joint().df1 == 2
    htz = Estimates(PAIR, covariance=V, joint_dof=18.0, hotelling=True)
    assert htz[:].joint().test == "HTZ"
    with pytest.raises(EstimationError, match="a part of the contrasts has degrees of freedom of its own"):
        htz[:1].joint()
    assert Estimates(PAIR, covariance=V) == Estimates(PAIR)


def test_refusals() -> None:
    with pytest.raises(EstimationError, match="carry no covariance between the contrasts"):
        Estimates(PAIR).joint()
    with pytest.raises(EstimationError, match="carry no covariance"):
        Estimates((), covariance=np.empty((0, 0))).joint()
    with pytest.raises(EstimationError, match=r"2 contrasts cannot be tested at once: only 0\.8 degrees"):
        Estimates(PAIR, covariance=V, joint_dof=0.8, hotelling=True).joint()
