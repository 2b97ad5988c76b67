"""Shift nulls: sums made once agree with testing the shifted outcome itself."""

from __future__ import annotations

import numpy as np
import pytest

from kokeilu._kernels import nulls
from kokeilu._kernels.batched import studentised
from kokeilu._kernels.nulls import Null, Units, boundary


def case(n: int = 60) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    strata = np.repeat([0, 1, 2], [n // 2, n // 3, n - n // 2 - n // 3])
    observed = rng.permutation(np.arange(n) % 3).astype(np.int8)
    codes = np.array([rng.permutation(np.arange(n) % 3) for _ in range(25)], dtype=np.int8)
    return {"y": rng.normal(size=n), "strata": strata, "observed": observed, "codes": codes}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("stratified", [False, True])
def test_any_shift_agrees_with_the_statistic_of_the_shifted_outcome(
    stratified: bool, clustered: bool, weighted: bool
) -> None:
    data = case()
    y, n = data["y"], 60
    strata = data["strata"] if stratified else np.zeros(n, dtype=np.int64)
    clusters, observed, codes = None, data["observed"], data["codes"]
    if clustered:
        clusters = np.arange(n) // 2
        observed, codes = observed[clusters], codes[:, clusters]
    weights = np.random.default_rng(5).uniform(1, 3, (n, 2)) if weighted else None
    z = (observed == 2).astype(float)
    units = Units(y, z, strata, clusters, weights)
    law = units.law(codes[:, units.first], 2, 1)
    for shift in (0.0, 0.7, -12.0):
        value, error = studentised(
            y - shift * z, codes, arm=2, reference=1, strata=strata, clusters=clusters, weights=weights
        )
        np.testing.assert_allclose(law.at(shift), value / error, rtol=1e-8)


def test_the_law_does_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    data = case()
    units = Units(data["y"], (data["observed"] == 1).astype(float), data["strata"])
    whole = units.law(data["codes"], 1, 0)
    monkeypatch.setattr(nulls, "CHUNK_CELLS", 150)
    for column, again in zip(whole, units.law(data["codes"], 1, 0), strict=True):
        np.testing.assert_allclose(again, column, rtol=1e-10, atol=1e-13)


def test_undefined_draws_are_hits_on_every_side() -> None:
    y, z = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 0.0, 1.0, 1.0])
    units = Units(y, z, np.zeros(4, dtype=np.int64))
    codes = np.array([[0, 0, 1, 1], [1, 1, 1, 1], [0, 1, 1, 1]], dtype=np.int8)
    null = Null(units.law(codes[:1], 1, 0), [(units.law(codes, 1, 0), np.array([0.5, 0.25, 0.25]))])
    assert null.undefined.tolist() == [False, True, True]
    for side in ("two-sided", "greater", "less"):
        assert null.hits(side).tolist() == [True, True, True]
    assert null.undefined_share() == 0.5
    assert len(null) == 3


def test_redraws_count_the_observed_one() -> None:
    y = np.arange(8.0)
    observed = np.array([[0, 0, 0, 0, 1, 1, 1, 1]], dtype=np.int8)
    units = Units(y, observed[0].astype(float), np.zeros(8, dtype=np.int64))
    other = np.array([[0, 1, 0, 1, 0, 1, 0, 1]] * 9, dtype=np.int8)
    null = Null(units.law(observed, 1, 0), [(units.law(other, 1, 0), None)])
    assert null.p_value("two-sided") == pytest.approx(1 / 10)
    assert null.p_value("less") == 1.0


def test_a_boundary_is_found_to_the_last_digits() -> None:
    assert boundary(lambda d: d <= np.pi) == pytest.approx(np.pi, rel=1e-12)
    assert boundary(lambda d: d <= 2e-3) == pytest.approx(2e-3, rel=1e-12)
    assert boundary(lambda d: True) is None
    assert boundary(lambda d: False) is None


def test_an_outcome_that_the_covariates_share_with_the_arm_has_no_centre() -> None:
    units = Units(np.array([1.0, -1.0, 1.0, -1.0]), np.zeros(4), np.zeros(4, dtype=np.int64))
    law = units.law(np.array([[0, 0, 1, 1]], dtype=np.int8), 1, 0)
    assert Null(law, [(law, None)]).bounds(0.05, "two-sided") == (None, None)
