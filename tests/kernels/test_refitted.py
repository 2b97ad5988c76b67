"""One regression under many assignments gives what each regression gives on its own."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from kokeilu._kernels.refitted import Projection, refitted

RNG = np.random.default_rng(20261124)
N, DRAWS = 90, 6
STRATA = RNG.permutation(np.repeat(np.arange(3), 30)).astype(np.int64)
X = RNG.normal(size=(N, 2))
Y = 1e5 + X @ [1.0, -2.0] + STRATA + RNG.normal(size=N) * (1.0 + X[:, 0] ** 2)


@pytest.mark.parametrize("interacted", [False, True])
@pytest.mark.parametrize("arms", [2, 3])
@pytest.mark.parametrize(("power", "kind"), [(1.0, "HC2"), (2.0, "HC3")])
def test_each_draw_is_the_regression_of_statsmodels(interacted, arms, power, kind):
    codes = RNG.integers(0, arms, (DRAWS, N)).astype(np.int8)
    found = refitted(Y, codes, Projection.of(X, STRATA), arm=arms - 1, reference=0, interacted=interacted, power=power)
    for b in range(DRAWS):
        held = np.stack([codes[b] == k for k in range(arms - 1, 0, -1)], axis=1).astype(float)
        columns = [held, (STRATA[:, None] == np.arange(3)).astype(float), X]
        if interacted:
            columns += [(X - X.mean(axis=0)) * held[:, [k]] for k in range(arms - 1)]
        model = sm.OLS(Y, np.concatenate(columns, axis=1)).fit(cov_type=kind)
        assert found.value[b] == pytest.approx(model.params[0], rel=1e-8)
        assert found.error[b] == pytest.approx(model.bse[0], rel=1e-8)
        assert found.dof[b] == model.df_resid


def test_draws_that_need_care_are_left_to_the_caller():
    codes = np.zeros((3, N), dtype=np.int8)
    codes[1, 5] = 1  # a single person in the arm: leverage 1
    codes[2, ::2] = 1
    for interacted in (False, True):
        found = refitted(Y, codes, Projection.of(X, STRATA), arm=1, reference=0, interacted=interacted, power=1.0)
        assert np.isnan(found.error).tolist() == [True, True, False]


def test_collinear_covariates_are_projected_once():
    twice = np.column_stack([X, X[:, 0] * 3.0, np.ones(N)])
    codes = RNG.integers(0, 2, (DRAWS, N)).astype(np.int8)
    one, other = (
        refitted(Y, codes, Projection.of(x, STRATA), arm=1, reference=0, interacted=False, power=1.0)
        for x in (X, twice)
    )
    np.testing.assert_allclose(one.error, other.error, rtol=1e-9)
    np.testing.assert_allclose(one.dof, other.dof)
