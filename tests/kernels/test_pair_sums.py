"""Sums over pairs by blocks and kinds equal the sums over all pairs; probabilities of pairs equal those of the law."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from kokeilu._kernels.pair_sums import Layout, blank_weights, pair_sum, young
from kokeilu._kernels.seat_law import seat_law, seat_moments
from kokeilu._kernels.sharp_bound import comonotone_covariance
from kokeilu.core.pairs import PairLaw, pair_law_of


def test_pair_sums() -> None:
    rng = np.random.default_rng(1)
    blocks, kinds = np.array([0, 0, 0, 1, 1, 2, 3, 3]), np.array([0, 1, 1, 0])
    u, v, within, across = rng.normal(size=8), rng.normal(size=8), rng.normal(size=2), rng.normal(size=(2, 2))
    for linked in (True, False):
        wanted = 0.0
        for i in range(8):
            for j in range(8):
                if i == j:
                    continue
                c, d = kinds[blocks[i]], kinds[blocks[j]]
                weight = within[c] if blocks[i] == blocks[j] else across[c, d] * linked
                wanted += u[i] * v[j] * weight
        layout = Layout(blocks=blocks, kinds=kinds, n_kinds=2, linked=linked)
        assert pair_sum(layout, u, v, within, across) == pytest.approx(wanted, rel=1e-12)


def test_pairs_that_never_occur() -> None:
    weight, never = blank_weights(np.array([0.25, 0.0, 0.0]), np.array([0.25, 0.25, 0.0]))
    assert weight.tolist() == [0.0, 0.0, 0.0]
    assert never.tolist() == [False, True, False]
    layout = Layout(blocks=np.array([0, 0, 1]), kinds=np.array([0, 0]), n_kinds=1, linked=False)
    left, right = np.array([1.0, 2.0, 4.0]), np.array([10.0, 20.0, 40.0])
    assert young(layout, left, right, np.array([True]), np.array([[False]])) == pytest.approx(1 + 2 + 10 + 20)


@pytest.mark.parametrize(
    ("fractions", "unit"),
    [([[1, 1], [1, 1], [1, 1]], 2), ([[1, 2], [2, 1], [1, 2], [0, 0]], 3), ([[2, 1, 1], [2, 1, 1], [2, 3, 3]], 4)],
)
def test_moments_of_leftover_seats(fractions: list[list[int]], unit: int) -> None:
    table = np.array(fractions)
    law, found = seat_law(table, unit, "balanced", 20_000), seat_moments(table, unit, 20_000)
    assert law is not None
    assert found is not None
    tables, chances = law[0].astype(float), np.array([float(p) for p in law[1]])
    for s in range(len(table)):
        for t in range(len(table)):
            moment = np.einsum("t,ta,tb->ab", chances, tables[:, s], tables[:, t])
            c, d = found.members[s], found.members[t]
            if min(c, d) < 0:
                assert not moment.any()
                continue
            assert np.allclose(moment, found.own[c] if s == t else found.across[c, d])


def dense(law: PairLaw) -> np.ndarray:
    n, joint = len(law.units), law.joint()
    table = np.empty((n, n, *law.shares.shape[1:], law.shares.shape[1]))
    for i in range(n):
        for j in range(n):
            u, v = law.units[i], law.units[j]
            c, d = law.kinds[law.blocks[u]], law.kinds[law.blocks[v]]
            same = law.blocks[u] == law.blocks[v]
            table[i, j] = np.diag(law.shares[c]) if u == v else law.within[c] if same else joint[c, d]
    return table


TWO, FOUR = kk.arms(control=1, coaching=1), kk.arms(a=4, b=3, c=2, d=1)
PEOPLE = pd.DataFrame(
    {"id": np.arange(18), "s": np.arange(18) % 5, "office": np.arange(18) // 2, "wave": np.arange(18) // 9}
)


@pytest.mark.parametrize(
    "design",
    [
        kk.Complete(FOUR),
        kk.Stratified(TWO, by="s"),  # type: ignore[arg-type]
        kk.Stratified(FOUR, by="s", leftovers="stratum"),  # type: ignore[arg-type]
        kk.Stratified(kk.arms(a=3, b=1, c=1), by="s"),  # type: ignore[arg-type]
        kk.Clustered(kk.Complete(kk.arms(a=1, b=2, c=2)), by="office"),
        kk.Waves(kk.Stratified(TWO, by="office"), wave="wave"),  # type: ignore[arg-type]
        kk.Merged(kk.Complete(FOUR), into={"x": ["a", "c"], "y": ["b", "d"]}),  # type: ignore[arg-type]
        kk.Factorial({"f": kk.arms(n=1, y=2), "g": kk.arms(n=1, y=1)}),  # type: ignore[arg-type]
    ],
    ids=lambda design: design.describe()[:60],
)
def test_pairs_by_kind_are_those_of_the_law(design: Any) -> None:
    try:
        trial = kk.randomise(PEOPLE, design, id="id", seed="pairs")
    except kk.errors.DesignError:
        pytest.skip("this register is too small for the design")
    found = pair_law_of(trial.lottery)
    assert found is not None
    exact = kk.law(trial)
    assert exact.pair_error == 0
    assert np.allclose(dense(found), exact.matrix(), atol=1e-12)


def test_the_largest_covariance_sorts_both() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=6), rng.normal(size=6)
    assert comonotone_covariance(a, b) == pytest.approx(np.cov(np.sort(a), np.sort(b), ddof=0)[0, 1], rel=1e-12)
    long, short = np.repeat(a, 2), np.repeat(b, 3)
    assert comonotone_covariance(long, short) == pytest.approx(comonotone_covariance(a, b), rel=1e-12)
    assert comonotone_covariance(a[:4], b) >= np.cov(np.repeat(a[:4], 3), np.repeat(b, 2), ddof=0)[0, 1]
