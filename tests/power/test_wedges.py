"""Wedges, saturations and courses."""

from __future__ import annotations

import pytest

import kokeilu as kk
from kokeilu.errors import DesignError

EVEN = kk.Complete(kk.arms(control=1, coaching=1))

OFFICES = kk.Clustered(EVEN, by="office")
MEAN = kk.Mean(sd=1.0, icc=0.05)


def test_a_parallel_pattern_is_a_clustered_trial() -> None:
    sizes = kk.WedgeSizes(pattern=((0,), (1,)), per_step=10, size=20)
    plain = kk.power_at(OFFICES, kk.ClusterSizes(count=20, size=20), MEAN, effect=0.3)
    assert kk.power_at(OFFICES, sizes, MEAN, effect=0.3).value == pytest.approx(plain.value, rel=1e-9)


def test_a_design_names_its_own_steps() -> None:
    queue = kk.SteppedWedge(("March", "June", "never"), cluster="office")
    sizes = kk.WedgeSizes(pattern=queue.treatment_matrix(), per_step=5, size=20)
    plain = kk.power_at(OFFICES, sizes, MEAN, effect=0.3)
    assert kk.power_at(queue, sizes, MEAN, effect=0.3).value == plain.value


def test_cells_not_observed_and_the_same_people() -> None:
    whole = kk.WedgeSizes(pattern=((0, 1, 1), (0, 0, 1)), per_step=6, size=15)
    less = kk.WedgeSizes(pattern=((0, 1, None), (None, 0, 1)), per_step=6, size=15)
    same = kk.WedgeSizes(pattern=((0, 1, 1), (0, 0, 1)), per_step=6, size=15, subject=0.6)
    errors = [kk.power_at(OFFICES, s, MEAN, effect=0.3).error for s in (same, whole, less)]
    assert errors == sorted(errors)


def test_spillovers_are_seen_on_those_beside() -> None:
    """At 1/2 as many are treated as not: the two effects have one error; a design of its own gives its arms."""
    levels = ((0, 0.5), (0.5, 0.5))
    two = [kk.SaturationSizes(levels=levels, count=40, size=10, effect=e) for e in ("treated", "untreated")]
    errors = [kk.power_at(EVEN, s, MEAN, effect=0.3).error for s in two]
    assert errors[0] == pytest.approx(errors[1], rel=1e-12)
    design = kk.Saturation(EVEN.arms, levels=(0, 0.5), area="area")
    assert kk.power_at(design, two[0], MEAN, effect=0.3).error == errors[0]


def test_courses() -> None:
    found = kk.power_at(EVEN, kk.PartlyNested(groups=8, size=10, controls=80, icc=0.1), kk.Mean(sd=1.0), effect=0.4)
    assert found.error**2 == pytest.approx((1 + 9 * 0.1) / 80 + 1 / 80)
    assert 7 < found.dof < 158


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: kk.WedgeSizes(size=9), "either `steps` or a `pattern`"),
        (lambda: kk.WedgeSizes(pattern=((0, 1), (0, 2)), size=9), "rows of equal length"),
        (lambda: kk.WedgeSizes(steps=3, per_step=4), "needs `size`"),
        (lambda: kk.SaturationSizes(levels=((0.5, 0.5), (1, 0.5)), count=9, size=9), "need pure controls"),
        (lambda: kk.SaturationSizes(levels=((0, 0.5), (1, 0.4)), count=9, size=9), "add up to 1"),
        (lambda: kk.SaturationSizes(levels=((0, 0.5), (1, 0.5)), effect="untreated", size=9), "nobody is untreated"),
    ],
)
def test_areas_that_cannot_be(ask, says: str) -> None:
    with pytest.raises(DesignError, match=says):
        ask()
