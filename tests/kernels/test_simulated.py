"""Many draws at once give what one analysis at a time gives."""

from __future__ import annotations

import numpy as np
import pytest

from kokeilu._kernels import moments, simulated
from kokeilu._kernels.clustered import cluster_robust
from kokeilu._kernels.linear import columns_of
from kokeilu._kernels.simulated import cr2_draws, stratum_effects_draws, welch_draws

RNG = np.random.default_rng(20261121)
N, DRAWS = 60, 25
Y = 1e6 + RNG.gamma(2.0, 3.0, N)
CLUSTERS = np.sort(RNG.integers(0, 18, N))
CLUSTERS = np.unique(CLUSTERS, return_inverse=True)[1].astype(np.int64)
STRATA = (CLUSTERS % 2).astype(np.int64)


def drawn(units: int) -> np.ndarray:
    """Three arms: a reference, an arm and a bystander."""
    base = np.resize(np.array([0, 1, 0, 1, 2], dtype=np.int8), units)
    return np.stack([RNG.permutation(base) for _ in range(DRAWS)])


def clustered_codes(strata: np.ndarray) -> np.ndarray:
    first = np.unique(CLUSTERS, return_index=True)[1]
    codes = np.empty((DRAWS, len(first)), dtype=np.int8)
    for stratum in np.unique(strata[first]):
        members = np.flatnonzero(strata[first] == stratum)
        codes[:, members] = drawn(len(members))
    return codes[:, CLUSTERS]


def test_welch_is_that_of_each_draw():
    codes = drawn(N)
    found = welch_draws(Y, codes, arm=1, reference=0)
    none = np.zeros(N, dtype=np.int64)
    for b in range(DRAWS):
        one = moments.two_sample(moments.cells(Y, codes[b], none, arm=1, reference=0))
        assert found.value[b] == pytest.approx(float(one.value), rel=1e-9, abs=1e-8)
        assert found.error[b] ** 2 == pytest.approx(float(one.variance), rel=1e-9)
        assert found.dof[b] == pytest.approx(float(one.dof), rel=1e-9)


def test_clusters_are_those_of_each_draw():
    none = np.zeros(N, dtype=np.int64)
    codes = clustered_codes(none)
    found = cr2_draws(Y, codes, CLUSTERS, none, arm=1, reference=0)
    for b in range(DRAWS):
        one = moments.clustered(moments.cluster_cells(Y, codes[b], none, CLUSTERS, arm=1, reference=0))
        assert found.value[b] == pytest.approx(float(one.value), rel=1e-9, abs=1e-8)
        assert found.error[b] ** 2 == pytest.approx(float(one.variance), rel=1e-9)
        assert found.dof[b] == pytest.approx(float(one.dof), rel=1e-9)


def test_clusters_in_strata_are_those_of_each_draw():
    codes = clustered_codes(STRATA)
    found = cr2_draws(Y, codes, CLUSTERS, STRATA, arm=1, reference=0)
    sizes = np.bincount(STRATA).astype(float)
    for b in range(DRAWS):
        table = moments.cluster_cells(Y, codes[b], STRATA, CLUSTERS, arm=1, reference=0)
        one = moments.clustered_in_strata(table, sizes)
        assert found.value[b] == pytest.approx(float(one.value), rel=1e-9, abs=1e-8)
        assert found.error[b] ** 2 == pytest.approx(float(one.variance), rel=1e-9)
        assert found.dof[b] == float(one.dof)


@pytest.mark.parametrize(("arm", "reference"), [(1, 0), (2, 1)])
def test_stratum_effects_are_those_of_each_draw(arm, reference):
    codes = clustered_codes(STRATA)
    found = stratum_effects_draws(Y, codes, CLUSTERS, STRATA, arm=arm, reference=reference)
    others = [code for code in range(3) if code != reference]
    for b in range(DRAWS):
        columns = np.column_stack([codes[b] == code for code in others]).astype(float)
        design = columns_of(columns, levels=STRATA)
        contrast = np.array([[float(code == arm) for code in others]])
        one = cluster_robust(design, Y, CLUSTERS, kind="CR2", contrasts=contrast)
        assert found.value[b] == pytest.approx(one.values[0], rel=1e-8, abs=1e-8)
        assert found.error[b] ** 2 == pytest.approx(one.covariance[0, 0], rel=1e-7)
        assert found.dof[b] == pytest.approx(one.dof[0], rel=1e-8)


def test_the_batch_size_never_shows(monkeypatch):
    codes, clustered = drawn(N), clustered_codes(STRATA)
    whole = welch_draws(Y, codes, arm=1, reference=0), cr2_draws(Y, clustered, CLUSTERS, STRATA, arm=1, reference=0)
    monkeypatch.setattr(simulated, "CHUNK_CELLS", 1)
    single = welch_draws(Y, codes, arm=1, reference=0), cr2_draws(Y, clustered, CLUSTERS, STRATA, arm=1, reference=0)
    for one, other in zip(whole, single, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9)


def test_an_arm_with_one_unit_has_no_error():
    codes = np.zeros((1, N), dtype=np.int8)
    codes[0, CLUSTERS == 0] = 1
    assert np.isnan(cr2_draws(Y, codes, CLUSTERS, np.zeros(N, dtype=np.int64), arm=1, reference=0).error[0])
    lone = np.zeros((1, N), dtype=np.int8)
    lone[0, 3] = 1
    assert np.isnan(welch_draws(Y, lone, arm=1, reference=0).error[0])
