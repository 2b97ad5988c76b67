"""Shares on the boundary of a margin maximise the likelihood there."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from kokeilu._kernels.margins import constrained_difference, constrained_ratio

SHARES = st.floats(0.03, 0.97)


def minus_log(p: float, q: float, arm: float, reference: float, ratio: float) -> float:
    return -(
        arm * math.log(p)
        + (1 - arm) * math.log(1 - p)
        + ratio * (reference * math.log(q) + (1 - reference) * math.log(1 - q))
    )


@settings(max_examples=30)
@given(arm=SHARES, reference=SHARES, ratio=st.floats(0.2, 5.0), margin=st.floats(-0.4, 0.4))
def test_no_other_share_with_this_difference_is_likelier(
    arm: float, reference: float, ratio: float, margin: float
) -> None:
    p, q = constrained_difference(arm, reference, margin, ratio)
    assert p - q == pytest.approx(margin, abs=1e-12)
    found = minus_log(p, q, arm, reference, ratio)
    low, high = max(0.0, margin) + 1e-9, min(1.0, 1.0 + margin) - 1e-9
    best = optimize.minimize_scalar(
        lambda x: minus_log(x, x - margin, arm, reference, ratio), bounds=(low, high), method="bounded"
    )
    assert found <= best.fun + 1e-7


@settings(max_examples=30)
@given(arm=SHARES, reference=SHARES, ratio=st.floats(0.2, 5.0), margin=st.floats(0.3, 3.0))
def test_no_other_share_with_this_ratio_is_likelier(arm: float, reference: float, ratio: float, margin: float) -> None:
    p, q = constrained_ratio(arm, reference, margin, ratio)
    assert p / q == pytest.approx(margin, rel=1e-12)
    found = minus_log(p, q, arm, reference, ratio)
    high = min(1.0, margin) - 1e-9
    best = optimize.minimize_scalar(
        lambda x: minus_log(x, x / margin, arm, reference, ratio), bounds=(1e-9, high), method="bounded"
    )
    assert found <= best.fun + 1e-7


def test_no_margin_is_the_pooled_share() -> None:
    assert constrained_difference(0.4, 0.2, 0.0, 3.0) == pytest.approx((0.25, 0.25))
    assert constrained_ratio(0.4, 0.2, 1.0, 3.0) == pytest.approx((0.25, 0.25))
