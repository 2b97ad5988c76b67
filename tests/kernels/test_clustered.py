"""Cluster-robust covariances in k x k form against direct algebra with n_g x n_g and n x n matrices."""

from __future__ import annotations

import numpy as np
import pytest

from kokeilu._kernels import clustered, linear, moments
from kokeilu._kernels.clustered import cluster_robust
from kokeilu.errors import EstimationError


def uniform(key: int, *shape: int) -> np.ndarray:
    words = np.random.Philox(key=key).random_raw(int(np.prod(shape)))
    return ((words >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(shape)


def powered(matrix: np.ndarray, power: float) -> np.ndarray:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    keep = values > 1e-11
    return (vectors[:, keep] * values[keep] ** power) @ vectors[:, keep].T


def adjustment(kind: str, spread: np.ndarray, hat: np.ndarray) -> np.ndarray:
    if kind == "CR2":
        return powered(spread, -0.5)
    return np.linalg.inv(np.eye(len(hat)) - hat) if kind in ("CR3", "CV3") else np.eye(len(hat))


def direct(
    x: np.ndarray, y: np.ndarray, clusters: np.ndarray, w: np.ndarray, contrasts: np.ndarray, kind: str = "CR2"
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Values, covariance without a factor, degrees of freedom and eta of HTZ by the definition, everything n x n."""
    n, c = y.size, len(contrasts)
    bread = np.linalg.inv(x.T @ (x * w[:, None]))
    b = bread @ x.T @ (w * y)
    u = y - x @ b
    maker = np.eye(n) - x @ bread @ (x * w[:, None]).T
    spread = maker @ maker.T
    meat = np.zeros((x.shape[1], x.shape[1]))
    forms: list[np.ndarray] = []
    for g in range(clusters.max() + 1):
        mine = clusters == g
        heavy = x[mine] * w[mine][:, None]
        adjust = adjustment(kind, spread[np.ix_(mine, mine)], x[mine] @ bread @ heavy.T)
        score = heavy.T @ adjust @ u[mine]
        meat += np.outer(score, score)
        form = np.zeros((n, c))
        form[mine] = adjust.T @ heavy @ bread @ contrasts.T
        forms.append(form)
    p = np.einsum("gns,nm,hmt->stgh", np.stack(forms), spread, np.stack(forms), optimize=True)
    dof = [np.trace(p[s, s]) ** 2 / np.trace(p[s, s] @ p[s, s]) for s in range(c)]
    turn = powered(np.einsum("stgg->st", p), -0.5)
    p = np.einsum("as,bt,stgh->abgh", turn, turn, p, optimize=True)
    pairs = [(s, t) for s in range(c) for t in range(c)]
    bottom = sum((p[s, s] * p[t, t]).sum() + (p[s, t] * p[s, t].T).sum() for s, t in pairs)
    return contrasts @ b, contrasts @ bread @ meat @ bread @ contrasts.T, np.array(dof), c * (c + 1) / bottom


N = 140


def clusters_of(n_clusters: int) -> np.ndarray:
    spread = (uniform(30 + n_clusters, N) ** 2 * n_clusters).astype(int)
    spread[:n_clusters] = np.arange(n_clusters)
    return spread


LEVELS = {
    "none": lambda clusters: None,
    "intercept": lambda clusters: np.zeros(N, dtype=np.int64),
    "nested": lambda clusters: clusters % 3,
    "crossed": lambda clusters: np.arange(N) % 3,
}
FINER = np.arange(N) // 5  # levels of five rows, in clusters of twenty
WEIGHTS = {
    "equal": lambda clusters: np.ones(N),
    "by cluster": lambda clusters: 1.0 + uniform(21, clusters.max() + 1)[clusters],
    "by person": lambda clusters: 0.3 + uniform(22, N),
}


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("n_clusters", [12, 70])
@pytest.mark.parametrize("kind", ["CR0", "CR2", "CR3"])
def test_direct_algebra(levels: str, weights: str, n_clusters: int, kind: str) -> None:
    clusters = clusters_of(n_clusters)
    level, w = LEVELS[levels](clusters), WEIGHTS[weights](clusters)
    x = np.column_stack([(clusters // 3) % 2, uniform(23, N, 2)]).astype(float)
    y = uniform(24, N) + uniform(25, n_clusters)[clusters]
    contrasts = np.array([[1.0, 0.0, 0.0], [1.0, -1.0, 2.0]])
    full = x if level is None else np.column_stack([x, level[:, None] == np.arange(3)[: level.max() + 1]])
    padded = np.column_stack([contrasts, np.zeros((2, full.shape[1] - 3))])
    value, variance, dof, eta = direct(full, y, clusters, w, padded, kind)
    design = linear.columns_of(x, weights=None if weights == "equal" else w, levels=level)
    found = cluster_robust(design, y, clusters, kind=kind, contrasts=contrasts, dof="satterthwaite")
    np.testing.assert_allclose(found.values, value, rtol=1e-10)
    np.testing.assert_allclose(found.covariance, variance, rtol=1e-10)
    np.testing.assert_allclose(found.dof, dof, rtol=1e-10)
    assert found.joint_dof == pytest.approx(eta, rel=1e-10)
    assert found.n_alone == 0
    short = cluster_robust(design, y, clusters, kind=kind, contrasts=contrasts, dof="clusters")
    np.testing.assert_allclose(short.covariance, variance, rtol=1e-10)
    assert (short.dof == n_clusters - 1).all()


def test_small_clusters_and_chunks_take_the_same_value(monkeypatch: pytest.MonkeyPatch) -> None:
    clusters = np.arange(N) // 4
    w = 0.5 + uniform(26, N)
    x, y = np.column_stack([clusters % 2, uniform(27, N, 1)]).astype(float), uniform(28, N)
    for weights in (None, w):
        design = linear.columns_of(x, weights=weights, levels=np.zeros(N, dtype=np.int64))
        first = cluster_robust(design, y, clusters, kind="CR2", contrasts=np.eye(2))
        with monkeypatch.context() as patch:
            patch.setattr(clustered, "CHUNK_CELLS", 1)
            again = cluster_robust(design, y, clusters, kind="CR2", contrasts=np.eye(2))
        np.testing.assert_array_equal(first.covariance, again.covariance)
        np.testing.assert_array_equal(first.dof, again.dof)


def test_singletons_give_hc2() -> None:
    x, y = uniform(31, N, 2), uniform(32, N)
    design = linear.columns_of(x, levels=np.zeros(N, dtype=np.int64))
    found = cluster_robust(design, y, np.arange(N), kind="CR2", contrasts=np.eye(2))
    plain = linear.covariance(design, y, linear.fit(design, y), "HC2").covariance
    np.testing.assert_allclose(found.covariance, plain, rtol=1e-11)
    assert (found.dof < N - 3).all()


def test_the_closed_form_of_means_is_cr2() -> None:
    clusters = clusters_of(12)
    codes = (clusters % 2).astype(np.int8)
    y = uniform(33, N) + uniform(34, 12)[clusters]
    table = moments.cluster_cells(y, codes, np.zeros(N, dtype=np.int64), clusters, arm=1, reference=0)
    closed = moments.clustered(table)
    design = linear.columns_of(codes[:, None].astype(float), levels=np.zeros(N, dtype=np.int64))
    found = cluster_robust(design, y, clusters, kind="CR2", contrasts=np.eye(1))
    assert closed.value == pytest.approx(found.values[0], rel=1e-11)
    assert closed.variance == pytest.approx(found.covariance[0, 0], rel=1e-11)
    assert closed.dof == pytest.approx(found.dof[0], rel=1e-11)


def test_pairs_of_people_with_pair_effects_are_not_halved() -> None:
    # Clustering by unit within pair effects halves plain CR0 (de Chaisemartin & Ramirez-Cuellar 2024); CR2 does not.
    clusters = np.arange(40)
    pairs = clusters // 2
    z = (clusters % 2).astype(np.int8)
    y = uniform(35, 40)
    design = linear.columns_of(z[:, None].astype(float), levels=pairs)
    table = moments.cells(y, z, pairs, arm=1, reference=0)
    wanted = moments.between_pairs(table.mean[:, 0] - table.mean[:, 1])
    found = cluster_robust(design, y, clusters, kind="CR2", contrasts=np.eye(1))
    assert found.covariance[0, 0] == pytest.approx(float(wanted.variance), rel=1e-11)
    assert found.dof[0] == pytest.approx(float(wanted.dof), rel=1e-11)


@pytest.mark.parametrize("kind", clustered.CR)
def test_order_of_rows_and_labels_of_clusters_do_not_matter(kind: str) -> None:
    clusters = clusters_of(12)
    x, y = uniform(36, N, 2), uniform(37, N)
    levels = np.zeros(N, dtype=np.int64)
    first = cluster_robust(linear.columns_of(x, levels=levels), y, clusters, kind=kind, contrasts=np.eye(2))
    rows = np.argsort(y)
    again = cluster_robust(
        linear.columns_of(x[rows], levels=levels), y[rows], 11 - clusters[rows], kind=kind, contrasts=np.eye(2)
    )
    np.testing.assert_allclose(again.covariance, first.covariance, rtol=1e-10)
    np.testing.assert_allclose(again.dof, first.dof, rtol=1e-10)


def full_columns(x: np.ndarray, levels: np.ndarray) -> np.ndarray:
    return np.column_stack([x, levels[:, None] == np.arange(levels.max() + 1)]).astype(float)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_levels_within_clusters_drop_out(weights: str) -> None:
    clusters = FINER // 4
    w = WEIGHTS[weights](clusters)
    x, y = uniform(41, N, 2), uniform(42, N)
    design = linear.columns_of(x, weights=None if weights == "equal" else w, levels=FINER)
    padded = np.column_stack([np.eye(2), np.zeros((2, FINER.max() + 1))])
    _, variance, dof, eta = direct(full_columns(x, FINER), y, clusters, w, padded)
    found = cluster_robust(design, y, clusters, kind="CR2", contrasts=np.eye(2))
    np.testing.assert_allclose(found.covariance, variance, rtol=1e-9)
    np.testing.assert_allclose(found.dof, dof, rtol=1e-9)
    assert found.joint_dof == pytest.approx(eta, rel=1e-9)
    left_out = cluster_robust(design, y, clusters, kind="CR3", contrasts=np.eye(2))
    np.testing.assert_allclose(left_out.covariance, jackknife(x, y, FINER, clusters, w), rtol=1e-9)
    # The levels lie in the clusters: they count as one column in the factor of CR1S.
    assert clustered.counted_columns(found.fit, design, clusters) in (3, 3 + FINER.max())


def jackknife(x: np.ndarray, y: np.ndarray, levels: np.ndarray, clusters: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Sum of squared changes of the slopes as one cluster at a time is left out."""
    columns = full_columns(x, levels)

    def slopes(rows: np.ndarray) -> np.ndarray:
        root = np.sqrt(w[rows])
        return np.linalg.lstsq(columns[rows] * root[:, None], y[rows] * root)[0][: x.shape[1]]

    whole = slopes(np.full(len(y), True))
    changes = np.array([slopes(clusters != g) - whole for g in range(clusters.max() + 1)])
    return changes.T @ changes


@pytest.mark.parametrize("levels", ["nested", "crossed"])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_cr3_leaves_one_cluster_out(levels: str, weights: str) -> None:
    clusters = clusters_of(12)
    level, w = LEVELS[levels](clusters), WEIGHTS[weights](clusters)
    x, y = uniform(43, N, 2), uniform(44, N)
    design = linear.columns_of(x, weights=None if weights == "equal" else w, levels=level)
    wanted = jackknife(x, y, level, clusters, w)
    for kind, factor in (("CR3", 1.0), ("CV3", 11 / 12)):
        found = cluster_robust(design, y, clusters, kind=kind, contrasts=np.eye(2), dof="clusters")
        np.testing.assert_allclose(found.covariance, factor * wanted, rtol=1e-9)


def test_a_level_left_empty_has_no_part_in_cr3() -> None:
    # Level 0 stands in cluster 0 alone, beside levels that cross the clusters.
    clusters = np.arange(N) % 7
    level = np.where((clusters == 0) & (np.arange(N) % 2 == 0), 0, 1 + np.arange(N) % 3)
    x, y = uniform(45, N, 2), uniform(46, N)
    found = cluster_robust(linear.columns_of(x, levels=level), y, clusters, kind="CR3", contrasts=np.eye(2))
    np.testing.assert_allclose(found.covariance, jackknife(x, y, level, clusters, np.ones(N)), rtol=1e-9)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("levels", ["intercept", "nested", "crossed"])
def test_cr2_is_right_on_average_under_independent_errors(weights: str, levels: str) -> None:
    # A variance estimator is a quadratic form: its mean under unit errors is the sum of its values at unit vectors.
    clusters = clusters_of(12)
    level, w = LEVELS[levels](clusters), WEIGHTS[weights](clusters)
    x = np.column_stack([(clusters // 3) % 2, uniform(47, N)]).astype(float)
    design = linear.columns_of(x, weights=None if weights == "equal" else w, levels=level)
    contrast = np.array([[1.0, 0.0]])
    full = full_columns(x, level)
    bread = np.linalg.inv(full.T @ (full * w[:, None]))
    wanted = float((bread[0] @ (full * w[:, None]).T) @ (full * w[:, None]) @ bread[0])

    def at(unit: np.ndarray, kind: str) -> float:
        found = cluster_robust(design, unit, clusters, kind=kind, contrasts=contrast, dof="clusters")
        return float(found.covariance[0, 0])

    mean = {kind: sum(at(unit, kind) for unit in np.eye(N)) for kind in ("CR0", "CR2", "CR3")}
    assert mean["CR2"] == pytest.approx(wanted, rel=1e-9)
    assert mean["CR0"] < wanted < mean["CR3"]


def test_cr0_by_unit_with_pair_effects_is_about_half_the_variance() -> None:
    pairs, z = np.arange(24) // 2, np.arange(24) % 2.0
    design = linear.columns_of(z[:, None], levels=pairs)
    # Every leverage is 13/24; the factors of CR1p and CR1S give back what one row for each unit takes.
    kinds = {"CR0": 11 / 24, "CR1": 11 / 23, "CR1p": 1.0, "stata": 1.0, "CR2": 1.0, "CR3": 24 / 11}
    for kind, part in kinds.items():
        mean = sum(
            float(cluster_robust(design, e, np.arange(24), kind=kind, contrasts=np.eye(1)).covariance[0, 0])
            for e in np.eye(24)
        )
        assert mean == pytest.approx(part * 2 / 12, rel=1e-9)
    by_pair = cluster_robust(design, uniform(48, 24), pairs, kind="CR1", contrasts=np.eye(1))
    between = cluster_robust(design, uniform(48, 24), np.arange(24), kind="CR2", contrasts=np.eye(1))
    assert by_pair.covariance[0, 0] == pytest.approx(between.covariance[0, 0], rel=1e-10)
    assert by_pair.dof[0] == 11


def test_factors() -> None:
    clusters = clusters_of(12)
    x, y = uniform(49, N, 2), uniform(50, N)
    design = linear.columns_of(x, levels=np.zeros(N, dtype=np.int64))
    plain = cluster_robust(design, y, clusters, kind="CR0", contrasts=np.eye(2)).covariance
    wanted = {"CR1": 12 / 11, "CR1p": 12 / 9, "stata": 12 * (N - 1) / (11 * (N - 3))}
    for kind, factor in wanted.items():
        found = cluster_robust(design, y, clusters, kind=kind, contrasts=np.eye(2))
        np.testing.assert_allclose(found.covariance, factor * plain, rtol=1e-12)
        assert (found.dof == 11).all()
        assert found.joint_dof == 11
    rows = cluster_robust(design, y, clusters, kind="CR1", contrasts=np.eye(2), dof="rows")
    assert (rows.dof == N - 3).all()
    assert np.isnan(clustered.factor_of("CR1p", n=N, clusters=3, columns=3))


def test_contrasts_that_are_combinations_of_others_have_the_same_joint_degrees_of_freedom() -> None:
    clusters = clusters_of(12)
    x, y = uniform(51, N, 2), uniform(52, N)
    for level in (np.zeros(N, dtype=np.int64), np.arange(N) % 3):
        design = linear.columns_of(x, levels=level)
        for kind in ("CR2", "CR3"):
            two = cluster_robust(design, y, clusters, kind=kind, contrasts=np.eye(2))
            more = np.array([[1.0, 0.0], [3.0, -2.0], [1.0, 1.0]])
            three = cluster_robust(design, y, clusters, kind=kind, contrasts=more)
            assert three.joint_dof == pytest.approx(two.joint_dof, rel=1e-9)


def test_what_rests_on_one_cluster_is_told() -> None:
    clusters = np.arange(N) // 10
    own = (clusters == 3).astype(float)
    x, y = np.column_stack([clusters % 2, own, uniform(53, N)]).astype(float), uniform(54, N)
    for level in (np.zeros(N, dtype=np.int64), np.arange(N) % 3):
        for w in (None, 0.5 + uniform(55, N)):
            design = linear.columns_of(x, weights=w, levels=level)
            for kind in ("CR2", "CR3"):
                found = cluster_robust(design, y, clusters, kind=kind, contrasts=np.eye(3)[:2], dof="clusters")
                assert found.n_alone == 1
                assert found.alone[0] == pytest.approx(0.0, abs=1e-6)
                assert found.alone[1] > 0.5


def test_too_many_crossed_levels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustered, "MOST_CELLS", 100)
    design = linear.columns_of(uniform(61, N, 2), levels=np.arange(N) % 3)
    with pytest.raises(EstimationError, match="CR2 .* needs a column for each of 3 strata that the clusters cross"):
        cluster_robust(design, uniform(62, N), clusters_of(12), kind="CR2", contrasts=np.eye(2))
    cluster_robust(design, uniform(62, N), clusters_of(12), kind="CR3", contrasts=np.eye(2))
