"""Corrections for several hypotheses."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import kokeilu as kk
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


P_VALUES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12)
EVERY: dict[str, Any] = {
    "bonferroni": Bonferroni(),
    "holm": Holm(),
    "simes-hochberg": kk.Hochberg(),
    "hommel": kk.Hommel(),
    "fdr_bh": kk.BenjaminiHochberg(),
    "fdr_by": kk.BenjaminiYekutieli(),
}
FAMILY_WISE = ("bonferroni", "holm", "simes-hochberg", "hommel")
WITH_Q = {**EVERY, "sharpened": kk.SharpenedQ(step=0.01)}


@settings(max_examples=60)
@given(P_VALUES)
def test_each_as_statsmodels_has_it(p: list[float]) -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    for method, correction in EVERY.items():
        expected = multitest.multipletests(p, method=method)[1]
        assert correction.adjust(p) == pytest.approx(tuple(expected), rel=1e-9, abs=1e-300)


@given(P_VALUES, st.sampled_from(sorted(WITH_Q)))
def test_a_smaller_p_value_never_gets_a_larger_one(p: list[float], name: str) -> None:
    adjusted = np.array(WITH_Q[name].adjust(p))
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= -1e-12).all()
    assert ((adjusted >= 0.0) & (adjusted <= 1.0)).all()
    if name != "sharpened":
        assert (adjusted >= np.array(p) - 1e-12).all()


@given(P_VALUES, st.sampled_from(sorted(WITH_Q)), st.data())
def test_the_order_does_not_show(p: list[float], name: str, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(p))))
    plain = WITH_Q[name].adjust(p)
    assert WITH_Q[name].adjust([p[j] for j in order]) == pytest.approx(tuple(plain[j] for j in order), rel=1e-12)


@given(P_VALUES, st.sampled_from(sorted(WITH_Q)), st.integers(0, 11), st.floats(0.0, 1.0))
def test_lowering_one_p_value_never_raises_any(p: list[float], name: str, place: int, part: float) -> None:
    assume(place < len(p))
    lower = [part * value if j == place else value for j, value in enumerate(p)]
    before, after = WITH_Q[name].adjust(p), WITH_Q[name].adjust(lower)
    assert all(new <= old + 1e-12 for new, old in zip(after, before, strict=True))


@given(P_VALUES)
def test_each_is_at_least_as_powerful_as_the_one_before(p: list[float]) -> None:
    found = [EVERY[name].adjust(p) for name in FAMILY_WISE]
    for strict, mild in itertools.pairwise(found):
        assert all(m <= s + 1e-12 for m, s in zip(mild, strict, strict=True))
    pairs = zip(EVERY["fdr_bh"].adjust(p), EVERY["fdr_by"].adjust(p), strict=True)
    assert all(bh <= by + 1e-12 for bh, by in pairs)


def two_stage(p: list[float], q: float) -> int:
    """Benjamini, Krieger & Yekutieli's definition 6, written out."""
    level, m = q / (1 + q), len(p)
    ranked = sorted(p)
    first = max((i for i in range(1, m + 1) if ranked[i - 1] <= level * i / m), default=0)
    if first in (0, m):
        return first
    return max((i for i in range(1, m + 1) if ranked[i - 1] <= level * i / (m - first)), default=0)


@settings(max_examples=40)
@given(P_VALUES)
def test_a_sharpened_q_is_the_least_level_that_rejects(p: list[float]) -> None:
    step = 0.01
    found = kk.SharpenedQ(step=step).adjust(p)
    for rank, position in enumerate(np.argsort(p, kind="stable"), start=1):
        levels = [k * step for k in range(1, 101) if two_stage(p, k * step) >= rank]
        assert found[position] == pytest.approx(min(levels, default=1.0))


@pytest.mark.parametrize("name", FAMILY_WISE)
def test_the_family_wise_level_holds_for_independent_tests(name: str) -> None:
    """Of ten hypotheses five are true; exact p-values of the others are small."""
    rng = np.random.default_rng(8)
    p = rng.uniform(size=(4_000, 10))
    p[:, 5:] **= 8
    false = [min(EVERY[name].adjust(row)[:5]) <= 0.1 for row in p]
    assert np.mean(false) <= 0.1 + 3 * (0.1 * 0.9 / 4_000) ** 0.5


@pytest.mark.parametrize("name", ["fdr_bh", "fdr_by", "sharpened"])
def test_the_false_discovery_rate_holds_for_independent_tests(name: str) -> None:
    rng = np.random.default_rng(9)
    p = rng.uniform(size=(1_500, 10))
    p[:, 5:] **= 8
    adjusted = np.array([WITH_Q[name].adjust(row) for row in p]) <= 0.1
    shares = adjusted[:, :5].sum(axis=1) / np.maximum(adjusted.sum(axis=1), 1)
    assert shares.mean() <= 0.1 + 3 * shares.std() / 1_500**0.5


@pytest.mark.parametrize("name", sorted(WITH_Q))
def test_all_refuse_and_travel_alike(name: str) -> None:
    correction = WITH_Q[name]
    assert correction.adjust(()) == ()
    assert decode(encode(correction)) == correction
    with pytest.raises(EstimationError, match="1 of 2 p-values are missing or outside"):
        correction.adjust((0.1, 1.1))
    with pytest.raises(DesignError, match="alpha must lie in"):
        type(correction)(alpha=0)


def test_the_grid_of_sharpened_q_has_bounds() -> None:
    with pytest.raises(DesignError, match="step must lie in"):
        kk.SharpenedQ(step=0.5)
