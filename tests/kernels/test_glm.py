"""Generalised linear models: against statsmodels, and data without an estimate."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from kokeilu._kernels import glm
from kokeilu.errors import EstimationError


def table(n: int = 400, seed: int = 1) -> tuple[np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return np.column_stack([np.ones(n), rng.normal(size=n), 1e6 * rng.exponential(size=n), rng.random(n) < 0.1]), rng


@pytest.mark.parametrize("model", ["logit", "poisson", "linear"])
def test_coefficients_and_leverages_of_statsmodels(model: str) -> None:
    x, rng = table()
    predictor = 0.3 + 0.8 * x[:, 1] - 4e-7 * x[:, 2] + x[:, 3]
    y = {
        "logit": (rng.random(400) < glm.mean_of(predictor, "logit")).astype(float),
        "poisson": rng.poisson(np.exp(predictor)).astype(float),
        "linear": predictor + rng.normal(size=400),
    }[model]
    family = {"logit": sm.families.Binomial(), "poisson": sm.families.Poisson(), "linear": sm.families.Gaussian()}
    scale = np.array([1.0, 1.0, 1e6, 1.0])
    wanted = sm.GLM(y, x / scale, family=family[model]).fit(tol=1e-14, maxiter=200)
    found = glm.fit(x, y, model)
    assert found.coef * scale == pytest.approx(wanted.params, rel=1e-9)
    assert found.mean == pytest.approx(wanted.fittedvalues, rel=1e-9)
    assert found.leverage == pytest.approx(wanted.get_hat_matrix_diag(), rel=1e-6)
    bread = wanted.normalized_cov_params / np.outer(scale, scale)
    assert found.bread == pytest.approx(bread, rel=1e-6)


def test_the_variance_of_a_predicted_mean_is_hc2_with_bell_mccaffrey() -> None:
    """Against the matrices of the definition, and of a regression on centred columns."""
    x, rng = table(30)
    x = np.column_stack([x[:, 0], x[:, 1], x[:, 2] / 1e6])
    y = x[:, 1] + rng.normal(size=30)
    everybody = np.vstack([x, x + np.array([0.0, 0.4, 0.2])])
    found = glm.fit(x, y, "linear")
    variance, dof = glm.residual_variance(found, x, y, everybody, "linear")
    hat = x @ np.linalg.solve(x.T @ x, x.T)
    loading = x @ np.linalg.solve(x.T @ x, everybody.mean(axis=0))
    scale = loading / np.sqrt(1 - np.diag(hat))
    matrix = scale[:, None] * (np.eye(30) - hat) * scale
    assert variance == pytest.approx(float((scale**2 * (y - hat @ y) ** 2).sum()), rel=1e-10)
    assert dof == pytest.approx(np.trace(matrix) ** 2 / (matrix**2).sum(), rel=1e-10)


def test_dependent_columns_are_dropped() -> None:
    x, rng = table()
    y = (rng.random(400) < 0.4).astype(float)
    wide = np.column_stack([x, x[:, 1] + 2.0, x[:, 3] * 3.0])
    found = glm.fit(wide, y, "logit")
    assert found.kept.tolist() == [True] * 4 + [False] * 2
    assert found.mean == pytest.approx(glm.fit(x, y, "logit").mean, rel=1e-9)


def test_the_mean_alone() -> None:
    y = np.repeat([0.0, 1.0], [9_990, 10])
    assert glm.fit(np.ones((10_000, 1)), y, "logit").mean == pytest.approx(0.001)
    assert glm.fit(np.ones((10_000, 1)), 1e6 * y, "poisson").mean == pytest.approx(1e3)


@pytest.mark.parametrize("spoil", ["whole", "part", "rare level"])
def test_a_separated_logit_is_refused(spoil: str) -> None:
    x, rng = table()
    y = (rng.random(400) < 0.4).astype(float)
    if spoil == "whole":
        y = (x[:, 1] > 0.3).astype(float)
    if spoil == "part":
        y[x[:, 1] > 1.0] = 1.0
        x = np.column_stack([x, np.maximum(x[:, 1] - 1.0, 0.0)])
        x[:, 1] = rng.normal(size=400)
    if spoil == "rare level":
        y[x[:, 3] == 1.0] = 0.0
    with pytest.raises(EstimationError, match="separation"):
        glm.fit(x, y, "logit")


def test_a_poisson_model_with_an_empty_level_is_refused() -> None:
    x, rng = table()
    y = rng.poisson(2.0, 400).astype(float)
    y[x[:, 3] == 1.0] = 0.0
    with pytest.raises(EstimationError, match="separation"):
        glm.fit(x, y, "poisson")


def test_an_extreme_predictor_alone_is_no_separation() -> None:
    """One person far out is fitted at a predictor of 50 or so, and the maximum exists."""
    x, rng = table()
    y = (rng.random(400) < glm.mean_of(x[:, 1] * 1.5, "logit")).astype(float)
    x[0, 1], y[0] = 60.0, 1.0
    found = glm.fit(x, y, "logit")
    assert abs(found.coef[1]) > 1.0
    assert x.T @ (y - found.mean) / np.abs(x).sum(axis=0) == pytest.approx(np.zeros(4), abs=1e-12)


def test_steps_are_halved_where_newton_would_overshoot() -> None:
    x, rng = table(seed=5)
    x = x[:, :2]
    x[:, 1] = np.exp(2.5 * x[:, 1])
    y = rng.poisson(np.minimum(np.exp(0.02 * x[:, 1]), 1e5)).astype(float)
    found = glm.fit(x, y, "poisson")
    assert x.T @ (y - found.mean) / (np.abs(x).T @ (y + found.mean)) == pytest.approx(np.zeros(2), abs=1e-9)


@pytest.mark.parametrize(
    ("model", "y", "says"),
    [("logit", [0.0, 2.0], "between 0 and 1"), ("poisson", [0.0, -1.0], "nowhere negative"), ("linear", [-5.0], "")],
)
def test_outcomes_that_do_not_suit(model: str, y: list[float], says: str) -> None:
    assert says in glm.problem(np.array(y), model)
    assert bool(glm.problem(np.array(y), model)) == bool(says)
