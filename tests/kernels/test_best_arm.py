"""Probabilities of being best against references and exact rational integrals; shares on a grid."""

from __future__ import annotations

import json
from fractions import Fraction as F
from itertools import zip_longest
from math import comb
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokeilu._kernels.best_arm import exploration, grid_parts, probability_best, tempered

CASES = json.loads((Path(__file__).parents[1] / "reference" / "adaptive.json").read_text())["cases"]


def table(values):
    return np.array([values], dtype=np.int64)


@pytest.mark.parametrize("case", CASES)
def test_reference_cases(case):
    best = probability_best(table(case["successes"]), table(case["failures"]))
    np.testing.assert_allclose(best[0], case["thompson_p_best"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(exploration(best)[0], case["exploration_sampling_q"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(tempered(best, 0.2)[0], case["tempered_gamma_0_2"], rtol=0, atol=1e-12)


def times(p, q):
    out = [F(0)] * (len(p) + len(q) - 1)
    for i, a in enumerate(p):
        for j, b in enumerate(q):
            out[i + j] += a * b
    return out


def distribution(successes, failures):
    """Coefficients of the distribution function of Beta(1 + s, 1 + f), a polynomial with whole coefficients."""
    n = successes + failures + 1
    p = [F(0)] * (n + 1)
    for j in range(successes + 1, n + 1):
        for m in range(n - j + 1):
            p[j + m] += comb(n, j) * comb(n - j, m) * (-1) ** m
    return p


def exact(successes, failures):
    functions = [distribution(s, f) for s, f in zip(successes, failures, strict=True)]
    out = []
    for k, own in enumerate(functions):
        product = [i * c for i, c in enumerate(own)][1:]
        for j, other in enumerate(functions):
            product = product if j == k else times(product, other)
        out.append(float(sum(c / (i + 1) for i, c in enumerate(product))))
    return out


@pytest.mark.parametrize(
    ("successes", "failures"),
    [((3, 1), (1, 3)), ((0, 30, 2), (0, 1, 3)), ((0,) * 5, (30, 2, 0, 9, 1)), ((40, 0), (3, 1)), ((60, 5), (0, 50))],
)
def test_exact_integrals(successes, failures):
    best = probability_best(table(successes), table(failures))
    np.testing.assert_allclose(best[0], exact(successes, failures), rtol=0, atol=1e-13)


def test_closed_form():
    assert probability_best(table((3, 1)), table((1, 3)))[0, 0] == pytest.approx(113 / 126, abs=1e-14)


def test_widths_that_differ_much_and_batches():
    successes, failures = np.array([[3, 52_000, 500], [0, 0, 9]]), np.array([[2, 48_000, 470], [0, 99_999, 1]])
    best = probability_best(successes, failures)
    turned = probability_best(successes[::-1, ::-1], failures[::-1, ::-1])[::-1, ::-1]
    np.testing.assert_allclose(best, turned, atol=1e-12)
    np.testing.assert_allclose(best[0], probability_best(successes[:1], failures[:1])[0], rtol=0, atol=0)
    # Beta(53, 49)-like narrow arm beside Beta(4, 3): P(wide arm above the narrow one) is nearly its upper tail.
    pair = probability_best(table((3, 52_000)), table((2, 48_000)))[0, 0]
    from scipy import stats

    assert pair == pytest.approx(stats.beta(4, 3).sf(0.52), abs=1e-5)


def test_exploration_where_one_arm_is_surely_best():
    np.testing.assert_allclose(exploration(np.array([[1.0, 0.0, 0.0]])), [[0.5, 0.25, 0.25]])
    tiny = exploration(np.array([[1.0, 3e-200, 1e-200]]))
    np.testing.assert_allclose(tiny, [[0.5, 0.375, 0.125]])


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=6).filter(lambda v: sum(v) > 0.01),
    st.integers(6, 1_000),
    st.floats(0, 1),
)
def test_parts_of_the_grid(values, grid, lift):
    wanted = (np.array(values) / sum(values)).tolist()
    least = int(lift * grid / len(wanted))
    parts = grid_parts(wanted, grid, least)
    assert sum(parts) == grid
    assert min(parts) >= least
    for a, p in zip(wanted, parts, strict=True):
        for b, q in zip(wanted, parts, strict=True):
            assert not (a > b + 1e-8 and p < q)
    if least == 0:
        assert max(abs(p - grid * w) for p, w in zip_longest(parts, wanted)) < 1 + 1e-5


def test_ties_go_to_the_earlier_arm_and_floors_hold():
    assert grid_parts([1 / 3] * 3, 100, 0) == (34, 33, 33)
    assert grid_parts([0.98, 0.01, 0.01], 100, 5) == (90, 5, 5)
    assert grid_parts([0.9, 0.06, 0.04], 100, 6) == (88, 6, 6)
    assert grid_parts([0.5 + 1e-13, 0.5 - 1e-13], 3, 0) == (2, 1)
    assert grid_parts([0.5 - 1e-13, 0.5 + 1e-13], 3, 0) == (2, 1)
