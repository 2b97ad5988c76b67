"""Take-up and attrition."""

from __future__ import annotations

import math

import pytest

import kokeilu as kk
from kokeilu.errors import DesignError

EVEN = kk.Complete(kk.arms(control=1, coaching=1))


def test_take_up_takes_its_square_of_people() -> None:
    """Duflo, Glennerster & Kremer (2007)."""
    real = kk.Reality(take_up={"coaching": 0.6, "control": 0.1})
    z = kk.Superiority(method="normal")
    whole, part = (
        kk.sample_size(EVEN, kk.Mean(sd=1.0), effect=0.2, reality=r, test=z).continuous for r in (kk.Reality(), real)
    )
    assert part / whole == pytest.approx(1 / 0.5**2)


def test_shares_are_those_of_each_arm() -> None:
    """base + effect x take-up: 0.3 and 0.1 of those in either arm take part."""
    real = kk.Reality(take_up={"coaching": 0.7, "control": 0.1})
    found = kk.power_at(EVEN, 1_000, kk.Proportion(base=0.3), effect=0.2, reality=real)
    arms = kk.power_at(EVEN, 1_000, kk.Proportion(base=0.32), effect=0.12)
    assert found.value == pytest.approx(arms.value, rel=1e-12)


def test_attrition_by_arm() -> None:
    found = kk.power_at(
        EVEN, 1_000, kk.Mean(sd=1.0), effect=0.2, reality=kk.Reality(attrition={"coaching": 0.2, "control": 0.1})
    )
    assert found.n == 1_000
    assert found.contrast.n == (400, 450)
    assert found.error**2 == pytest.approx(1 / 400 + 1 / 450)


def test_people_to_enrol_are_more_than_those_seen() -> None:
    real = kk.Reality(attrition=0.2)
    found = kk.sample_size(EVEN, kk.Mean(sd=1.0), effect=0.2, reality=real)
    plain = kk.sample_size(EVEN, kk.Mean(sd=1.0), effect=0.2)
    assert found.continuous == pytest.approx(plain.continuous / 0.8, rel=1e-6)


@pytest.mark.parametrize(
    ("real", "says"),
    [
        (lambda: kk.Reality(take_up={"coaching": 1.2}), "take-up of 'coaching' must lie"),
        (lambda: kk.Reality(attrition=1.0), "nobody's outcome would be seen"),
        (lambda: kk.Reality(take_up={"coach": 0.5}), "Did you mean 'coaching'"),
        (lambda: kk.Reality(attrition={"coach": 0.5}), "Did you mean 'coaching'"),
        (lambda: kk.Reality(take_up={"coaching": 0.0}), "the same take-up"),
        (lambda: 0.5, "reality must be Reality"),
    ],
)
def test_what_cannot_be_real(real, says: str) -> None:
    with pytest.raises(DesignError, match=says):
        kk.power_at(EVEN, 100, kk.Mean(sd=1.0), effect=0.2, reality=real())


def test_lee_bounds() -> None:
    found = kk.lee_width(effect=1.0, sd=2.0, response_arm=0.8, response_reference=0.8)
    assert (found.trim, found.width) == (0.0, 0.0)
    mirrored = [
        kk.lee_width(effect=0.0, sd=1.0, response_arm=a, response_reference=b).width
        for a, b in ((0.9, 0.7), (0.7, 0.9))
    ]
    assert mirrored[0] == pytest.approx(mirrored[1])
    assert math.isfinite(mirrored[0])
