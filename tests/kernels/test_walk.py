"""The Gram-Schmidt walk against an independent enumeration, and its law against its draws."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kokeilu._kernels.streams import Seed
from kokeilu._kernels.walk import REFRESH, balance_rows, covariance_bound, directions, inverse_gram, walk
from kokeilu._kernels.walk_law import walk_law

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "covariate_designs.json").read_text())["gsw_exact"]
X = np.array(REFERENCE["X"])
CASES = REFERENCE["cases"]


def case_name(case):
    return f"{case['phi']}-{case['prob']}-{'balanced' if case['balanced'] else 'free'}"


def law_of(case):
    start = np.full(6, 2 * case["prob"] - 1)
    corners, chances = walk_law(balance_rows(X, case["phi"]), start, robustness=case["phi"], balanced=case["balanced"])
    return corners.astype(float), chances


def moments(corners, chances):
    mean = chances @ corners
    return mean, (corners * chances[:, None]).T @ corners - np.outer(mean, mean)


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_exact_law(case):
    corners, chances = law_of(case)
    mean, covariance = moments(corners, chances)
    assert chances.sum() == pytest.approx(1, abs=1e-12)
    assert len(corners) == case["n_support"]
    assert mean == pytest.approx(np.array(case["mean"]), abs=1e-9)
    assert covariance == pytest.approx(np.array(case["cov"]), abs=1e-9)
    assert chances @ np.abs(corners.sum(axis=1)) == pytest.approx(case["E_abs_sumz"], abs=1e-9)
    assert chances @ ((corners @ X) ** 2).sum(axis=1) == pytest.approx(case["E_norm_XTz_sq"], abs=1e-9)


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_covariance_bound(case):
    bound = covariance_bound(balance_rows(X, case["phi"]), case["phi"])
    assert bound == pytest.approx(np.array(case["cov_upper_bound"]), abs=1e-9)
    least = np.linalg.eigvalsh(bound - moments(*law_of(case))[1]).min()
    assert least == pytest.approx(case["min_eig_bound_minus_cov"], abs=1e-9)
    assert (least > -1e-9) or case["balanced"]


def draws(rows, n, size, *, phi, balanced, start=0.0, name="walk"):
    stream = Seed.of(name).stream("draws")
    place = np.argsort(np.argsort(stream.child("p").words(size, n), axis=1), axis=1)
    coins = stream.child("c").doubles(size, n)
    return walk(rows, np.full(n, start), place, coins, robustness=phi, balanced=balanced)


@pytest.mark.parametrize("balanced", [False, True])
def test_draws_follow_the_law(balanced):
    from scipy import stats

    case = next(c for c in CASES if c["phi"] == 0.1 and c["prob"] == 0.7 and c["balanced"] == balanced)
    corners, chances = law_of(case)
    size = 40_000
    found = draws(balance_rows(X, 0.1), 6, size, phi=0.1, balanced=balanced, start=0.4)
    place = {row.astype(np.int8).tobytes(): i for i, row in enumerate(corners)}
    hits = np.bincount([place[row.tobytes()] for row in found], minlength=len(place))
    often = chances * size >= 5
    rest = [hits[~often].sum()], [chances[~often].sum() * size]
    observed, expected = np.concatenate([hits[often], rest[0]]), np.concatenate([chances[often] * size, rest[1]])
    kept = expected > 0
    assert stats.chisquare(observed[kept], expected[kept] * observed[kept].sum() / expected[kept].sum()).pvalue > 1e-4


def test_direction_is_least_squares():
    rows = balance_rows(Seed.of("ls").stream("x").doubles(12, 3) - 0.5, 0.3)
    others = np.ones((1, 12), dtype=bool)
    others[0, [2, 5, 7]] = False
    inverse = inverse_gram(rows, others, 0.3)
    step = directions(rows, inverse, others, np.array([5]), 0.3, False)[0]
    stacked = np.vstack([np.sqrt(0.3) * np.eye(12), rows.T])
    who = np.flatnonzero(others[0])
    expected = np.linalg.lstsq(stacked[:, who], -stacked[:, 5], rcond=None)[0]
    assert step[who] == pytest.approx(expected, abs=1e-12)
    assert step[5] == 1
    assert (step[[2, 7]] == 0).all()
    level = directions(rows, inverse, others, np.array([5]), 0.3, True)[0]
    assert level.sum() == pytest.approx(0, abs=1e-12)
    assert np.linalg.norm(stacked @ level) >= np.linalg.norm(stacked @ step)


def test_no_batch_shows():
    n = REFRESH + 50
    rows = balance_rows(Seed.of("batch").stream("x").doubles(n, 4) - 0.5, 0.5)
    stream = Seed.of("batch").stream("draws")
    place = np.argsort(np.argsort(stream.words(5, n), axis=1), axis=1)
    coins = stream.child("c").doubles(5, n)
    whole = walk(rows, np.zeros(n), place, coins, robustness=0.5, balanced=False)
    for r in range(5):
        alone = walk(rows, np.zeros(n), place[r : r + 1], coins[r : r + 1], robustness=0.5, balanced=False)
        assert np.array_equal(whole[r], alone[0])


@pytest.mark.parametrize("phi", [0.01, 0.5, 1.0])
def test_downdated_walk_is_the_walk_computed_anew(monkeypatch, phi):
    from kokeilu._kernels import walk as module

    n = 300
    rows = balance_rows(Seed.of("anew").stream("x").doubles(n, 4) - 0.5, phi)
    usual = draws(rows, n, 3, phi=phi, balanced=False)
    monkeypatch.setattr(module, "REFRESH", 1)
    assert np.array_equal(usual, draws(rows, n, 3, phi=phi, balanced=False))


@pytest.mark.parametrize("start", [-1.0, 1.0])
def test_certain_units_stay(start):
    rows = balance_rows(X, 0.5)
    assert (draws(rows, 6, 4, phi=0.5, balanced=False, start=start) == start).all()
    corners, chances = walk_law(rows, np.full(6, start), robustness=0.5, balanced=False)
    assert corners.tolist() == [[int(start)] * 6]
    assert chances.tolist() == [1.0]


def test_twins_are_parted():
    """Units with the same covariates and little robustness get different arms."""
    rows = balance_rows(np.repeat(np.eye(20), 2, axis=0), 0.001)
    corners = draws(rows, 40, 200, phi=0.001, balanced=False).astype(float)
    assert (corners[:, ::2] * corners[:, 1::2]).mean() < -0.98
    assert np.abs(corners.mean(axis=0)).max() < 5 / np.sqrt(200)


def test_the_law_gives_up_beyond_its_limit():
    assert walk_law(balance_rows(X, 0.5), np.zeros(6), robustness=0.5, balanced=False, limit=3) is None
