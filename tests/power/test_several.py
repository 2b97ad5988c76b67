"""Several arms, several outcomes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import kokeilu as kk
from kokeilu._kernels.joint_normal import dunnett_critical
from kokeilu.errors import DesignError

THREE = kk.Complete(kk.arms(control=1, letter=1, coaching=1))
MEAN = kk.Mean(sd=1.0)


def of(test: object, effect: object = 0.3, n: int = 300, design: kk.Complete = THREE) -> float:
    return float(kk.power_at(design, n, MEAN, effect=effect, test=test).value)


def test_all_is_at_most_one_and_one_at_most_any() -> None:
    found = kk.power_at(THREE, 300, MEAN, effect=0.3, test=kk.Dunnett(target="all"))
    marginal = [row.power for row in found.contrasts]
    assert found.value < min(marginal) <= max(marginal) < of(kk.Dunnett())
    assert dict(found.facts)["critical value"] > stats.t.isf(0.025, 297)


def test_nothing_differs() -> None:
    assert of(kk.Dunnett(), 0.0) == pytest.approx(0.05, abs=1e-9)
    assert of(kk.JointF(), 0.0) == 0.05  # where scipy's noncentral F is below 0


@pytest.mark.parametrize("dof", [5.0, 60.0, 1e4, 1e8, 1e13])
def test_the_critical_value_for_any_degrees_of_freedom(dof: float) -> None:
    """Two uncorrelated comparisons have Sidak's value, up to their common spread; many degrees are the normal."""
    found = dunnett_critical([0.5**0.5] * 3, dof, 0.05)
    normal = dunnett_critical([0.5**0.5] * 3, np.inf, 0.05)
    assert normal - 1e-9 < found < normal * (1 + 5 / dof)
    assert normal == pytest.approx(2.349, abs=1e-3)  # Dunnett (1964), three arms against one, infinite degrees


def test_the_order_of_arms_does_not_matter() -> None:
    one = of(kk.Dunnett(target="all"), {"letter": 0.2, "coaching": 0.5})
    other = of(kk.Dunnett(target="all"), {"letter": 0.5, "coaching": 0.2})
    assert one == pytest.approx(other, rel=1e-9)


def test_outcomes_that_hang_together() -> None:
    even = kk.Complete(kk.arms(control=1, coaching=1))

    def at(correlation: float, target: str) -> float:
        return of(kk.ManyOutcomes(outcomes=3, correlation=correlation, target=target), design=even)

    single = at(0.0, "one")
    assert at(0.0, "all") == pytest.approx(single**3, abs=1e-8)
    assert at(0.0, "any") == pytest.approx(1 - (1 - single) ** 3, abs=1e-8)
    assert at(0.0, "all") < at(0.5, "all") < single < at(0.5, "any") < at(0.0, "any")


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: kk.Dunnett(target="some"), "target must be one of"),
        (lambda: kk.ManyOutcomes(outcomes=2, correlation=1.0), "are one outcome"),
        (lambda: of(kk.Dunnett(), {"letter": 0.1}), "no entry for arm 'coaching'"),
    ],
)
def test_families_that_cannot_be(ask, says: str) -> None:
    with pytest.raises(DesignError, match=says):
        ask()
