"""Time until exit."""

from __future__ import annotations

import math

import pytest

import kokeilu as kk
from kokeilu.errors import DesignError

EVEN = kk.Complete(kk.arms(control=1, coaching=1))


def test_schoenfeld_counts_events() -> None:
    """d = 4 (z + z)^2 / ln^2 HR with equal arms (Schoenfeld 1981): 631 for 1.25."""
    found = kk.sample_size(EVEN, kk.Duration(event_share=1.0), effect=1.25)
    assert found.continuous == pytest.approx(4 * (1.959964 + 0.841621) ** 2 / math.log(1.25) ** 2, rel=1e-4)


def test_the_share_of_events_by_hand() -> None:
    """Everybody enters at once: l / (l + e) (1 - exp(-(l + e) t))."""
    outcome = kk.Duration(hazards=0.1, study=12, dropout=0.02, competing=0.03)
    assert outcome.seen(1.0) == pytest.approx(0.1 / 0.15 * (1 - math.exp(-0.15 * 12)))
    later = kk.Duration(hazards=0.1, study=12, accrual=12, dropout=0.05)
    assert later.seen(1.0) == pytest.approx(0.1 / 0.15 * (1 - (1 - math.exp(-1.8)) / 1.8))


def test_a_restricted_mean_by_hand() -> None:
    outcome = kk.RestrictedMean(hazards=0.1, horizon=12)
    assert outcome.mean == pytest.approx((1 - math.exp(-1.2)) / 0.1)
    moment = 2 / 0.1**2 * (1 - math.exp(-1.2) * 2.2)
    assert outcome.variances(0.0)[1] == pytest.approx(moment - outcome.mean**2)
    assert outcome.ratio(-1.0) > 1 > outcome.ratio(1.0)


def test_an_answer_with_a_normal_reference_prints() -> None:
    assert "log-rank test" in str(kk.power_at(EVEN, 500, kk.Duration(hazards=0.1, study=12), effect=1.2))


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: kk.Duration(hazards=0.1), "hazards need `study`"),
        (lambda: kk.Duration(hazards=(0.1, 0.2), study=9), "2 hazards need 1 lengths"),
        (lambda: kk.Duration(hazards=0.0, study=9), "nobody ever leaves"),
        (lambda: kk.Duration(hazards=0.1, study=9, accrual=10), "would still enter"),
        (lambda: kk.Duration(event_share=0.5, dropout=0.1), "leave these out"),
        (lambda: kk.Duration(), "takes hazards and study"),
        (lambda: kk.RestrictedMean(hazards=0.1, horizon=12).ratio(9.0), "not between 0 and 12"),
    ],
)
def test_spells_that_cannot_be(ask, says: str) -> None:
    with pytest.raises(DesignError, match=says):
        ask()
