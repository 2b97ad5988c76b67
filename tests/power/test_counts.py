"""Counts."""

from __future__ import annotations

import math

import pytest

import kokeilu as kk
from kokeilu.errors import DesignError

EVEN = kk.Complete(kk.arms(control=1, coaching=1))


def test_the_error_by_hand() -> None:
    ratio = kk.power_at(EVEN, 200, kk.Count(rate=2.0, exposure=1.5, dispersion=1.3), effect=1.2)
    assert ratio.error**2 == pytest.approx(1.3 * (1 / (2.4 * 150) + 1 / (2.0 * 150)))
    negbin = kk.power_at(EVEN, 200, kk.Count(rate=2.0, kind="negbin", dispersion=0.5), effect=1.2)
    assert negbin.error**2 == pytest.approx((1 / 2.4 + 1 / 2.0 + 2 * 0.5) / 100)
    difference = kk.power_at(EVEN, 200, kk.Count(rate=2.0, scale_of="difference"), effect=0.4)
    assert difference.error**2 == pytest.approx(2.4 / 100 + 2.0 / 100)
    assert math.isinf(difference.dof)
    assert "logarithm of the ratio of rates" in str(ratio)


def test_clusters_add_their_variation() -> None:
    design, sizes = kk.Clustered(EVEN, by="office"), kk.ClusterSizes(count=20, size=30)
    outcome = kk.Count(rate=2.0, cluster_cv=0.3, scale_of="difference")
    found = kk.power_at(design, sizes, outcome, effect=0.4)
    assert found.error**2 == pytest.approx(4.4 / 300 + 0.09 * (2.4**2 + 2.0**2) / 10)


def test_the_way_to_json_and_back() -> None:
    from kokeilu.core.registry import decode, encode

    outcome = kk.Count(rate=2.0, kind="negbin", dispersion=0.5)
    assert decode(encode(outcome)) == outcome


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: kk.Count(rate=0), "rate must lie"),
        (lambda: kk.Count(rate=1, kind="negbin"), "needs its dispersion"),
        (lambda: kk.power_at(EVEN, 99, kk.Count(rate=1.0, scale_of="difference"), effect=-1.0), "not above 0"),
        (lambda: kk.power_at(EVEN, 99, kk.Count(rate=1.0), effect=0.0), "a ratio of rates must be above 0"),
    ],
)
def test_counts_that_cannot_be(ask, says: str) -> None:
    with pytest.raises(DesignError, match=says):
        ask()
