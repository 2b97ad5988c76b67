"""Periods before and after."""

from __future__ import annotations

import math

import pytest

import kokeilu as kk
from kokeilu.errors import DesignError

EVEN = kk.Complete(kk.arms(control=1, coaching=1))


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.8])
def test_mckenzie(rho: float) -> None:
    """Frison & Pocock (1992), McKenzie (2012): m before and r after, one correlation."""
    m, r = 3, 2
    before, after = (1 + (m - 1) * rho) / m, (1 + (r - 1) * rho) / r
    factors = {a: kk.Panel(pre=m, post=r, rho=rho, analysis=a).factor for a in ("post", "change", "ancova")}
    assert factors == pytest.approx(
        {"post": after, "change": after + before - 2 * rho, "ancova": after - rho**2 / before}
    )


def test_the_registers_own_covariance() -> None:
    """Only its shape counts."""
    matrix = [[4.0, 2.0], [2.0, 9.0]]
    same = [[8.0, 4.0], [4.0, 18.0]]
    assert kk.Panel(covariance=matrix).factor == pytest.approx(1 - 2**2 / (4 * 9))
    assert kk.Panel(covariance=same).factor == pytest.approx(kk.Panel(covariance=matrix).factor)


def test_clusters_have_a_panel_of_their_own() -> None:
    design, sizes = kk.Clustered(EVEN, by="office"), kk.ClusterSizes(count=20, size=30)
    plain, better = (
        kk.power_at(design, sizes, kk.Mean(sd=1.0, icc=0.1, cluster_panel=p), effect=0.3)
        for p in (None, kk.Panel(rho=0.8))
    )
    assert better.parts["clusters"] == pytest.approx(plain.parts["clusters"] * (1 - 0.64))
    assert better.parts["people"] == plain.parts["people"]


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: kk.Panel(), "takes correlations"),
        (lambda: kk.Panel(rho=0.5, ar1=0.5), "takes correlations"),
        (lambda: kk.Panel(pre=2, rho_cross=0.5), "rho_pre is missing"),
        (lambda: kk.Panel(pre=0, rho=0.5), "only analysis='post'"),
        (lambda: kk.Panel(rho=1.0).factor, "no variance over time"),
        (lambda: kk.Panel(covariance=[[1, 2], [2, 1]]), "no covariance"),
        (lambda: kk.Panel(covariance=[[1, 0.2], [0.3, 1]]), "symmetric"),
        (lambda: kk.Panel(covariance=[[math.nan, 0], [0, 1]]), "rows and columns of numbers"),
        (lambda: kk.Mean(sd=1.0, panel=0.5), "must be a Panel"),
    ],
)
def test_panels_that_cannot_be(ask, says: str) -> None:
    with pytest.raises(DesignError, match=says):
        ask()
