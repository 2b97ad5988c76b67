"""The wild cluster bootstrap against regressions run anew for every vector of weights."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kokeilu._kernels import wild as kernel
from kokeilu._kernels.linear import columns_of
from kokeilu._kernels.streams import Seed
from kokeilu._kernels.wild import POINTS, all_vectors, by_cluster, drawn_vectors, vector_count, wild

STREAM = Seed.of("wild").stream("test")


def data(seed: int = 1, n: int = 70, n_clusters: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    clusters = np.concatenate([np.arange(n_clusters), rng.integers(0, n_clusters, n - n_clusters)])
    x = np.column_stack(
        [clusters % 2, rng.normal(size=n), rng.normal(size=(n_clusters,))[clusters] + rng.normal(size=n)]
    )
    y = 0.3 * x[:, 0] + x[:, 1] + rng.normal(size=n_clusters)[clusters] + rng.normal(size=n)
    return x, y, clusters, rng.uniform(0.5, 2.0, n)


def t_of(x: np.ndarray, y: np.ndarray, w: np.ndarray, clusters: np.ndarray, null: float) -> float:
    """The t statistic of the first column with CR0, by the normal equations."""
    bread = np.linalg.inv(x.T @ (x * w[:, None]))
    beta = bread @ x.T @ (w * y)
    left = y - x @ beta
    scores = np.array([x[clusters == g].T @ (w * left)[clusters == g] for g in np.unique(clusters)])
    meat = scores @ bread[0]
    return float((beta[0] - null) / np.sqrt(meat @ meat))


def anew(
    x: np.ndarray,
    y: np.ndarray,
    w: np.ndarray,
    clusters: np.ndarray,
    v: np.ndarray,
    *,
    null: float,
    impose: bool,
    jackknife: bool,
) -> float:
    """Draw the outcomes of one vector of weights and fit them anew."""
    free = x[:, 1:] if impose else x
    target = y - null * x[:, 0] if impose else y

    def fitted(rows: np.ndarray) -> np.ndarray:
        return np.linalg.lstsq(free[rows] * np.sqrt(w[rows, None]), target[rows] * np.sqrt(w[rows]), rcond=None)[0]

    whole = fitted(np.ones(y.size, dtype=bool))
    left = target - free @ whole
    if jackknife:
        for g in np.unique(clusters):
            left[clusters == g] = (target - free @ fitted(clusters != g))[clusters == g]
    base = free @ whole + (null * x[:, 0] if impose else 0.0)
    centre = null if impose else float(whole[0])
    return t_of(x, base + v[clusters] * left, w, clusters, centre)


@pytest.mark.parametrize("jackknife", [False, True])
@pytest.mark.parametrize("impose", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("null", [0.0, 0.9])
def test_every_vector_agrees_with_a_regression_run_anew(
    null: float, weighted: bool, impose: bool, jackknife: bool
) -> None:
    x, y, clusters, w = data()
    w = w if weighted else np.ones_like(w)
    design = columns_of(x, weights=w if weighted else None, levels=np.zeros(y.size, dtype=np.int64))
    vectors = np.concatenate(list(all_vectors("Rademacher", 6)), axis=1)
    law = wild(
        by_cluster(design, y, clusters),
        np.eye(3)[:1],
        iter([vectors]),
        all_of_them=True,
        impose=impose,
        jackknife=jackknife,
    )[0]
    wide = np.column_stack([x, np.ones(y.size)])
    assert law.statistic(null) == pytest.approx(t_of(wide, y, w, clusters, null), rel=1e-10)
    drawn = law.law.at((null - law.value) / law.size if impose else 0.0)
    found = [anew(wide, y, w, clusters, v, null=null, impose=impose, jackknife=jackknife) for v in vectors.T]
    assert drawn == pytest.approx(found, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("jackknife", [False, True])
@pytest.mark.parametrize("nested", [True, False])
def test_absorbed_levels_are_indicator_columns(nested: bool, jackknife: bool) -> None:
    x, y, clusters, w = data(n_clusters=9, n=120)
    levels = clusters // 3 if nested else np.arange(120) % 3
    vectors = next(all_vectors("Rademacher", 9))
    indicators = (levels[:, None] == [1, 2]).astype(float)
    absorbed = columns_of(x, weights=w, levels=levels)
    written = columns_of(np.column_stack([x, indicators]), weights=w, levels=np.zeros(120, dtype=np.int64))
    laws = [
        wild(
            by_cluster(design, y, clusters), np.eye(width)[:1], iter([vectors]), all_of_them=True, jackknife=jackknife
        )[0]
        for design, width in ((absorbed, 3), (written, 5))
    ]
    assert laws[0].value == pytest.approx(laws[1].value, rel=1e-10)
    assert laws[0].error == pytest.approx(laws[1].error, rel=1e-10)
    assert laws[0].law.at(0.4) == pytest.approx(laws[1].law.at(0.4), rel=1e-8)


def test_several_contrasts_share_the_vectors() -> None:
    x, y, clusters, _ = data()
    parts = by_cluster(columns_of(x, levels=np.zeros(y.size, dtype=np.int64)), y, clusters)
    both = wild(parts, np.eye(3)[:2], drawn_vectors("Webb", 6, STREAM, 99), all_of_them=False)
    for position, law in enumerate(both):
        alone = wild(parts, np.eye(3)[[position]], drawn_vectors("Webb", 6, STREAM, 99), all_of_them=False)[0]
        assert law.p_value() == alone.p_value()


@pytest.mark.parametrize("kind", ["Rademacher", "Webb"])
def test_half_of_the_vectors_and_their_negatives_are_all(kind: str) -> None:
    half = np.concatenate(list(all_vectors(kind, 4)), axis=1).T
    both = {tuple(np.round(v, 12)) for v in np.concatenate([half, -half])}
    assert both == {tuple(np.round(v, 12)) for v in product(POINTS[kind], repeat=4)}
    assert len(both) == vector_count(kind, 4) == 2 * len(half)


@pytest.mark.parametrize("kind", ["Rademacher", "Webb"])
def test_drawn_vectors_do_not_show_their_chunks(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(drawn_vectors(kind, 70, STREAM, 500)), axis=1)
    monkeypatch.setattr(kernel, "CHUNK_CELLS", 70 * 33)
    parts = list(drawn_vectors(kind, 70, STREAM, 500))
    assert len(parts) > 1
    assert (np.concatenate(parts, axis=1) == whole).all()
    assert set(np.unique(whole)) == set(POINTS[kind])
    assert abs(whole.mean()) < 0.02
    assert abs((whole**2).mean() - 1.0) < 0.02


def test_ties_count_unless_strict_and_the_equal_vectors_tie() -> None:
    x, y, clusters, _ = data()
    design = columns_of(x, levels=np.zeros(y.size, dtype=np.int64))
    law = wild(by_cluster(design, y, clusters), np.eye(3)[:1], all_vectors("Rademacher", 6), all_of_them=True)[0]
    for null in (0.0, 1.7, -50.0):
        assert law.p_value(null=null) - law.p_value(null=null, strict=True) >= 2 / 64 - 1e-12
        assert law.p_value(null=null) >= 2 / 64


def test_one_sided_values_and_the_equal_tailed_one() -> None:
    x, y, clusters, _ = data()
    design = columns_of(x, levels=np.zeros(y.size, dtype=np.int64))
    parts = by_cluster(design, y, clusters)
    for vectors, every in ((all_vectors("Webb", 6), True), (drawn_vectors("Webb", 6, STREAM, 199), False)):
        law = wild(parts, np.eye(3)[:1], vectors, all_of_them=every)[0]
        tails = [law.p_value(side) for side in ("greater", "less")]
        assert law.p_value("equal-tailed") == pytest.approx(min(1.0, 2 * min(tails)))
        assert sum(tails) >= 1.0
        assert law.exact is every


@pytest.mark.parametrize("impose", [True, False])
@pytest.mark.parametrize("side", ["two-sided", "equal-tailed", "greater", "less"])
def test_the_interval_is_where_the_test_stops_rejecting(side: str, impose: bool) -> None:
    x, y, clusters, _ = data(n_clusters=9, n=120)
    design = columns_of(x, levels=np.zeros(y.size, dtype=np.int64))
    law = wild(
        by_cluster(design, y, clusters), np.eye(3)[:1], all_vectors("Rademacher", 9), all_of_them=True, impose=impose
    )[0]
    low, high = law.interval(0.1, side)
    assert low is not None
    assert high is not None
    for end, outside in ((low, -1e-6), (high, 1e-6)):
        if np.isfinite(end):
            assert law.p_value(side, null=end) > 0.1
            assert law.p_value(side, null=end + outside) <= 0.1
    assert (np.isinf(low), np.isinf(high)) == (side == "less", side == "greater")


def test_an_interval_without_end_is_none() -> None:
    x, y, clusters, _ = data(n_clusters=4)
    design = columns_of(x[:, :1], levels=np.zeros(y.size, dtype=np.int64))
    law = wild(by_cluster(design, y, clusters), np.ones((1, 1)), all_vectors("Rademacher", 4), all_of_them=True)[0]
    # 16 vectors: no p-value below 2 / 16.
    assert law.interval(0.05) == (None, None)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(-3, 3), st.floats(0.01, 100))
def test_moving_and_scaling_the_outcome_changes_nothing(seed: int, shift: float, scale: float) -> None:
    x, y, clusters, _ = data(seed)
    laws = []
    for outcome in (y, scale * (y + shift * x[:, 0])):
        design = columns_of(x, levels=np.zeros(y.size, dtype=np.int64))
        laws.append(
            wild(by_cluster(design, outcome, clusters), np.eye(3)[:1], all_vectors("Rademacher", 6), all_of_them=True)[
                0
            ]
        )
    assert laws[1].value == pytest.approx(scale * (laws[0].value + shift), rel=1e-8, abs=1e-8)
    assert laws[1].p_value(null=scale * shift) == laws[0].p_value()


def test_a_cluster_that_alone_tells_a_coefficient_keeps_it_under_the_jackknife() -> None:
    x, y, clusters, _ = data()
    own = (clusters == 2) * x[:, 1]
    design = columns_of(np.column_stack([x, own]), levels=np.zeros(y.size, dtype=np.int64))
    law = wild(
        by_cluster(design, y, clusters), np.eye(4)[:1], all_vectors("Rademacher", 6), all_of_them=True, jackknife=True
    )[0]
    assert 0.0 < law.p_value() <= 1.0
