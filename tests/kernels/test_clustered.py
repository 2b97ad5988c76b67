"""Cluster-robust covariances in k x k form against direct algebra with n_g x n_g and n x n matrices."""

from __future__ import annotations

import numpy as np
import pytest

from kokeilu._kernels import clustered, linear, moments
from kokeilu._kernels.clustered import cluster_robust


def uniform(key: int, *shape: int) -> np.ndarray:
    words = np.random.Philox(key=key).random_raw(int(np.prod(shape)))
    return ((words >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(shape)


def inverse_root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    keep = values > 1e-12
    return (vectors[:, keep] / np.sqrt(values[keep])) @ vectors[:, keep].T


def direct(
    x: np.ndarray, y: np.ndarray, clusters: np.ndarray, w: np.ndarray, contrasts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """CR2 and its degrees of freedom by the definition, everything n x n."""
    n = y.size
    bread = np.linalg.inv(x.T @ (x * w[:, None]))
    b = bread @ x.T @ (w * y)
    u = y - x @ b
    maker = np.eye(n) - x @ bread @ (x * w[:, None]).T
    spread = maker @ maker.T
    meat = np.zeros((x.shape[1], x.shape[1]))
    forms: list[np.ndarray] = []
    for g in range(clusters.max() + 1):
        mine = clusters == g
        adjust = inverse_root(spread[np.ix_(mine, mine)])
        heavy = x[mine] * w[mine][:, None]
        score = heavy.T @ adjust @ u[mine]
        meat += np.outer(score, score)
        form = np.zeros((n, len(contrasts)))
        form[mine] = adjust @ heavy @ bread @ contrasts.T
        forms.append(form)
    dof = []
    for row in range(len(contrasts)):
        stack = np.stack([form[:, row] for form in forms], axis=1)
        matrix = stack.T @ spread @ stack
        dof.append(np.trace(matrix) ** 2 / np.trace(matrix @ matrix))
    return contrasts @ b, contrasts @ bread @ meat @ bread @ contrasts.T, np.array(dof)


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
WEIGHTS = {
    "equal": lambda clusters: np.ones(N),
    "by cluster": lambda clusters: 1.0 + uniform(21, clusters.max() + 1)[clusters],
    "by person": lambda clusters: 0.3 + uniform(22, N),
}


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("n_clusters", [12, 70])
def test_cr2_matches_direct_algebra(levels: str, weights: str, n_clusters: int) -> None:
    clusters = clusters_of(n_clusters)
    level, w = LEVELS[levels](clusters), WEIGHTS[weights](clusters)
    x = np.column_stack([(clusters // 3) % 2, uniform(23, N, 2)]).astype(float)
    y = uniform(24, N) + uniform(25, n_clusters)[clusters]
    contrasts = np.array([[1.0, 0.0, 0.0], [1.0, -1.0, 2.0]])
    full = x if level is None else np.column_stack([x, level[:, None] == np.arange(3)[: level.max() + 1]])
    padded = np.column_stack([contrasts, np.zeros((2, full.shape[1] - 3))])
    value, variance, dof = direct(full, y, clusters, w, padded)
    design = linear.columns_of(x, weights=None if weights == "equal" else w, levels=level)
    found = cluster_robust(design, y, clusters, kind="CR2", contrasts=contrasts)
    np.testing.assert_allclose(found.values, value, rtol=1e-11)
    np.testing.assert_allclose(found.covariance, variance, rtol=1e-11)
    np.testing.assert_allclose(found.dof, dof, rtol=1e-11)


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
