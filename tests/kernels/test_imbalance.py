"""Arrays of the balance table: hand calculations, an enumeration of whole clusters, and the definition of q."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kokeilu._kernels import imbalance

HERE = Path(__file__).parents[1] / "reference"
DATA = Path(__file__).parents[3] / "shared" / "reference" / "data"


def test_moments_by_arm_leave_gaps_out() -> None:
    values = np.array([[1.0, 5.0], [3.0, np.nan], [2.0, 7.0], [6.0, np.nan]])
    table = imbalance.arm_moments(values, np.array([0, 0, 1, 1], dtype=np.int8), 3)
    assert table.seen.tolist() == [[2, 1], [2, 1], [0, 0]]
    np.testing.assert_allclose(table.mean[:2], [[2.0, 5.0], [4.0, 7.0]])
    np.testing.assert_allclose(table.sd[:2, 0], [np.sqrt(2.0), np.sqrt(8.0)])
    assert np.isnan(table.sd[:2, 1]).all()
    assert np.isnan(table.mean[2]).all()
    scale = imbalance.denominators(table, (1, 0), "average", np.zeros(2, dtype=bool))
    assert scale[0] == pytest.approx(np.sqrt(5.0))


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("average", np.sqrt((2.5 + 1 / 3) / 2)),
        ("pooled", np.sqrt((4 * 2.5 + 2 * (1 / 3)) / 6)),
        ("reference", np.sqrt(1 / 3)),
        ("arm", np.sqrt(2.5)),
        ("all", np.std([1, 2, 3, 4, 5, 0, 1, 0], ddof=1)),
    ],
)
def test_every_denominator_by_hand(kind: str, wanted: float) -> None:
    values = np.array([[1.0, 2, 3, 4, 5, 0, 1, 0]]).T
    table = imbalance.arm_moments(values, np.repeat([1, 0], [5, 3]).astype(np.int8), 2)
    assert imbalance.denominators(table, (1, 0), kind, np.array([False]))[0] == pytest.approx(wanted)


def test_the_binary_denominator_takes_shares_only_for_columns_of_0_and_1() -> None:
    values = np.array([[1.0, 0, 1, 1, 0, 0]]).T.repeat(2, axis=1)
    table = imbalance.arm_moments(values, np.repeat([1, 0], 3).astype(np.int8), 2)
    found = imbalance.denominators(table, (1, 0), "binary", np.array([True, False]))
    np.testing.assert_allclose(found**2, [(2 / 9 + 2 / 9) / 2, (1 / 3 + 1 / 3) / 2])


def test_weighted_means_are_those_of_repeated_rows() -> None:
    values, codes = np.array([[1.0], [2.0], [4.0], [5.0]]), np.array([0, 0, 1, 1], dtype=np.int8)
    weighted = imbalance.arm_moments(values, codes, 2, np.array([3.0, 1.0, 2.0, 1.0]))
    np.testing.assert_allclose(weighted.mean[:, 0], [5 / 4, 13 / 3])
    np.testing.assert_allclose(weighted.sd, imbalance.arm_moments(values, codes, 2).sd)
    # Divided by the sum of weights alone, the weighted variance is that of repeated rows.
    rows = np.array([1.0, 1.0, 1.0, 2.0])
    assert weighted.spread[0, 0] ** 2 * (4 - 10 / 4) / 4 == pytest.approx(rows.var())
    np.testing.assert_allclose(imbalance.arm_moments(values, codes, 2, np.full(4, 7.0)).spread, weighted.sd)


def test_adjusted_differences_are_the_coefficient_beside_stratum_effects() -> None:
    rng = np.random.default_rng(1)
    x, codes, strata = rng.normal(size=(60, 2)), rng.integers(0, 2, 60).astype(np.int8), rng.integers(0, 4, 60)
    found = imbalance.within_strata(x, codes, strata, [(1, 0)])
    design = np.column_stack([codes, strata[:, None] == np.arange(4)]).astype(float)
    np.testing.assert_allclose(found.difference[0], np.linalg.lstsq(design, x, rcond=None)[0][0], rtol=1e-10)
    twice = np.repeat(np.arange(60), rng.integers(1, 3, 60))
    weights = np.bincount(twice).astype(float)
    weighted = imbalance.within_strata(x, codes, strata, [(1, 0)], weights).difference
    repeated = imbalance.within_strata(x[twice], codes[twice], strata[twice], [(1, 0)]).difference
    np.testing.assert_allclose(weighted, repeated, rtol=1e-10)


def test_the_null_spread_is_that_of_every_draw() -> None:
    rng = np.random.default_rng(4)
    strata, x = np.repeat([0, 1], [4, 6]), rng.lognormal(size=(10, 1))
    gaps = []
    for first in combinations(range(4), 2):
        for second in combinations(range(4, 10), 2):
            codes = np.zeros(10, dtype=np.int8)
            codes[list(first + second)] = 1
            found = imbalance.within_strata(x, codes, strata, [(1, 0)])
            gaps.append(found.difference[0, 0])
    assert np.std(gaps) == pytest.approx(found.null_sd[0, 0], rel=1e-10)
    still = imbalance.within_strata(0.1 * strata[:, None], codes, strata, [(1, 0)])
    assert (still.difference[0, 0], still.null_sd[0, 0]) == (0.0, 0.0)


def test_the_quadratic_form_is_d_v_inverse_d_in_two_arms() -> None:
    rng = np.random.default_rng(2)
    strata = np.repeat([0, 1, 2], [8, 12, 20])
    codes = np.concatenate([np.repeat([0, 1], [n - m, m]) for n, m in ((8, 4), (12, 3), (20, 10))]).astype(np.int8)
    x = rng.lognormal(size=(40, 3))
    counts = np.array([np.bincount(codes[strata == s], minlength=2) for s in range(3)])
    shares = (counts / counts.sum(axis=1, keepdims=True))[strata]
    columns, kept = imbalance.centred_within(x, strata)
    factors = imbalance.whitening(imbalance.totals_covariance(columns, strata, shares))
    q = imbalance.quadratic_forms(imbalance.arm_totals(codes[None], columns, 2), factors)
    weight = counts.prod(axis=1) / counts.sum(axis=1)
    gaps = np.array(
        [x[(strata == s) & (codes == 1)].mean(0) - x[(strata == s) & (codes == 0)].mean(0) for s in range(3)]
    )
    d = weight @ gaps
    v = sum(w * np.cov(x[strata == s].T) for s, w in enumerate(weight))
    assert kept.all()
    assert q[0] == pytest.approx(d @ np.linalg.solve(v, d), rel=1e-10)


def test_columns_that_cannot_differ_are_left_out() -> None:
    strata = np.repeat([0, 1], 10)
    x = np.column_stack([0.1 * strata, np.full(20, 1e9 / 3), np.arange(20.0), 1e-9 * np.arange(20.0) ** 2])
    columns, kept = imbalance.centred_within(x, strata)
    assert kept.tolist() == [False, False, True, True]
    np.testing.assert_allclose((columns**2).sum(axis=0), 1.0)
    empty, none = imbalance.centred_within(x[:, :0], strata)
    assert (empty.shape, none.shape) == ((20, 0), (0,))


def test_draws_do_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    codes, columns = rng.integers(0, 3, (50, 30)).astype(np.int8), rng.normal(size=(30, 4))
    whole = imbalance.arm_totals(codes, columns, 3)
    monkeypatch.setattr(imbalance, "CHUNK_CELLS", 90)
    np.testing.assert_allclose(imbalance.arm_totals(codes, columns, 3), whole, rtol=1e-12)
    by_hand = np.array([np.concatenate([columns[row == k].sum(axis=0) for k in (1, 2)]) for row in codes])
    np.testing.assert_allclose(whole, by_hand, rtol=1e-9, atol=1e-12)


def test_every_assignment_of_24_offices() -> None:
    path = DATA / "balance_crt.csv"
    if not path.exists():
        pytest.skip("the reference data set balance_crt.csv is not here")
    wanted = json.loads((HERE / "balance.json").read_text(encoding="utf-8"))["crt_exact"]
    offices = pd.read_csv(path).groupby(["region", "office"])[["treat", *wanted["covariates"]]].mean().reset_index()
    x = offices[wanted["covariates"]].to_numpy()
    centred = x - x.mean(axis=0)
    block = np.zeros((70, 8), dtype=np.int8)
    for row, chosen in enumerate(combinations(range(8), 4)):
        block[row, list(chosen)] = 1
    picks = np.unravel_index(np.arange(343_000), (70, 70, 70))
    codes = np.concatenate([block[pick] for pick in picks], axis=1)
    # Twelve of 24 in each arm: the difference of means of centred columns is the total over 6.
    covariance = np.cov(x.T) * 36.0
    factors = imbalance.whitening(covariance)
    q = imbalance.quadratic_forms(imbalance.arm_totals(codes, centred, 2), factors)
    seen = imbalance.quadratic_forms(
        imbalance.arm_totals(offices["treat"].to_numpy().astype(np.int8)[None], centred, 2), factors
    )[0]
    assert len(q) == wanted["assignments"]
    assert seen == pytest.approx(wanted["observed"]["mahalanobis"], rel=1e-10)
    assert (q >= seen - 1e-10).mean() == pytest.approx(wanted["p"]["mahalanobis"], abs=1e-12)
