"""Corrections for several hypotheses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokeilu.core.registry import decode, encode
from kokeilu.errors import DesignError, EstimationError
from kokeilu.estimate.families import Bonferroni, Holm


def by_definition(p: list[float]) -> list[float]:
    order = sorted(range(len(p)), key=p.__getitem__)
    adjusted, running = [0.0] * len(p), 0.0
    for rank, position in enumerate(order):
        running = max(running, min(1.0, (len(p) - rank) * p[position]))
        adjusted[position] = running
    return adjusted


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12))
def test_holm_by_its_definition(p: list[float]) -> None:
    assert Holm().adjust(p) == pytest.approx(by_definition(p), rel=1e-12, abs=1e-300)


def test_holm_as_statsmodels_has_it() -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = [0.011, 0.02, 0.8, 0.02, 0.0004]
    assert Holm().adjust(p) == pytest.approx(tuple(multitest.multipletests(p, method="holm")[1]), rel=1e-12)


def test_bonferroni() -> None:
    assert Bonferroni().adjust((0.01, 0.5)) == pytest.approx((0.02, 1.0))


def test_an_empty_family_stays_empty() -> None:
    assert Holm().adjust(()) == ()


def test_refusals() -> None:
    with pytest.raises(EstimationError, match="1 of 2 p-values are missing or outside"):
        Holm().adjust((0.1, float("nan")))
    with pytest.raises(EstimationError, match="flat sequence"):
        Bonferroni().adjust([[0.1]])  # type: ignore[list-item]
    with pytest.raises(DesignError, match="alpha must lie in"):
        Holm(alpha=1.5)


def test_they_travel_as_json() -> None:
    assert decode(encode(Holm(alpha=0.1))) == Holm(alpha=0.1)
    assert decode(encode(Bonferroni())) == Bonferroni()


def test_p_values_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(EstimationError, match="flat sequence of numbers"):
        Holm().adjust(["a"])  # type: ignore[list-item]
