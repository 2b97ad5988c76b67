"""Generalised linear models with their canonical links: Newton steps that are halved where they would do harm.

Where the likelihood has no maximum (a column, or a combination of columns, that foretells the outcome without fail)
the coefficients run off to infinity and any software that stops somewhere reports where it stopped. Here such data are
found out by a linear programme and refused.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import linprog
from scipy.special import expit

from kokeilu._kernels import linear
from kokeilu.errors import EstimationError

__all__ = ["MODELS", "GLMFit", "fit", "mean_of", "problem", "residual_variance", "separated"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MODELS = ("linear", "logit", "poisson")

STEPS = 100
CLOSE = 1e-11
"""Newton decrement, relative to the number of rows, after which one more full step reaches rounding."""

FAR = {"logit": 12.0, "poisson": 12.0}
"""A linear predictor this far out is looked into: with a maximum of the likelihood it is rare, without one certain."""


class GLMFit(NamedTuple):
    """Coefficients (k,), 0 where dropped; which are kept (k,); means and leverages (n,); (X'WX)^-1 (k, k)."""

    coef: Floats
    kept: Flags
    mean: Floats
    leverage: Floats
    bread: Floats


def problem(y: Floats, model: str) -> str:
    """Say why an outcome (n,) does not suit a model; empty where it does."""
    if model == "logit" and ((y < 0.0) | (y > 1.0)).any():
        return "a logit needs an outcome between 0 and 1"
    if model == "poisson" and (y < 0.0).any():
        return "a Poisson model needs an outcome that is nowhere negative"
    return ""


def mean_of(predictor: Floats, model: str) -> Floats:
    """Return the inverse of the canonical link."""
    if model == "linear":
        return predictor
    result: Floats = expit(predictor) if model == "logit" else np.exp(np.minimum(predictor, 700.0))
    return result


def fit(x: Floats, y: Floats, model: str) -> GLMFit:
    r"""Fit y (n,) on the columns of x (n, k), which hold their own constant.

    The rank is decided on scaled columns and dependent ones are dropped (as in `linear.fit`). Newton's steps
    :math:`(Z'WZ)^{-1} Z'(y - \mu)` are taken in orthonormal coordinates Z and halved until the likelihood no longer
    falls. Leverages are :math:`w_i z_i'(Z'WZ)^{-1}z_i`.

    Raises
    ------
    EstimationError
        Where the likelihood has no maximum (separation), or no maximum was reached.

    Source: McCullagh & Nelder (1989), section 2.5; Marschner (2011), R Journal 3(2), for the halving.
    """
    design = linear.columns_of(x)
    base = linear.fit(design, _start(y, model))
    z = x @ base.root
    if model == "linear":
        predictor = x @ base.coef
        return GLMFit(base.coef, base.kept, predictor, np.einsum("ij,ij->i", z, z), base.root @ base.root.T)
    theta, inside = _climb(z, y, model, base.theta)
    if theta is None or float(np.abs(z @ theta).max(initial=0.0)) > FAR[model]:
        if separated(z, y, model):
            raise EstimationError(_words(model))
        if theta is None:
            raise EstimationError(
                f"the {model} model did not reach a maximum in {STEPS} steps, though one exists. Scale the covariates "
                "(logarithms of long-tailed ones), take fewer, or model='linear'."
            )
    predictor = z @ theta
    leverage = _spread(predictor, model) * np.einsum("ij,ji->i", z, cho_solve(inside, z.T))
    bread = base.root @ cho_solve(inside, base.root.T)
    return GLMFit(base.root @ theta, base.kept, mean_of(predictor, model), leverage, bread)


def residual_variance(fitted: GLMFit, x: Floats, y: Floats, everybody: Floats, model: str) -> tuple[float, float]:
    r"""Variance of the mean prediction over everybody, from the residuals of the people fitted, and its dof.

    :math:`\sum_i q_i^2 r_i^2 / (1 - h_i)` with :math:`q_i = x_i'(X'WX)^{-1} \bar d`, :math:`\bar d` the mean over
    everybody of the mean's derivative by the coefficients: HC2 for the predicted mean. For large samples q is 1/n_a.
    Degrees of freedom :math:`(tr P)^2 / tr(P^2)`, :math:`P_{ij} = a_i a_j (\delta_{ij} - H_{ij})`,
    :math:`a_i = q_i w_i^{1/2} / (1 - h_i)^{1/2}`, were the outcome's variance w times a constant.

    Source: MacKinnon & White (1985) and Bell & McCaffrey (2002), carried over to canonical links.
    """
    slope = everybody.T @ _spread(everybody @ fitted.coef, model) / everybody.shape[0]
    loading = x @ (fitted.bread @ slope)
    gap = 1.0 - fitted.leverage
    square = np.where(gap > 1e-10, loading**2 / np.maximum(gap, 1e-10), 0.0)
    spread = _spread(x @ fitted.coef, model)
    # tr(P^2) = sum a^4 (1 - 2h) + ||Z' diag(a^2) Z||^2 with H = ZZ': everything k x k.
    heavy = square * spread
    kept = fitted.kept
    inner = x[:, kept].T @ (x[:, kept] * (heavy * spread)[:, None]) @ fitted.bread[np.ix_(kept, kept)]
    bottom = float((heavy**2 * (1.0 - 2.0 * fitted.leverage)).sum()) + float((inner * inner.T).sum())
    top = float((heavy * gap).sum()) ** 2
    return float((square * (y - fitted.mean) ** 2).sum()), top / bottom if bottom > 0.0 else 1.0


def _words(model: str) -> str:
    what = "a logit has no estimate" if model == "logit" else "a Poisson model has no estimate"
    return (
        f"{what} here: some combination of the columns foretells the outcome without fail for part of the people "
        "(separation), so that coefficients grow without bound. Take out the column or join its rare categories, "
        "leave the strata out, or use model='linear'."
    )


def _start(y: Floats, model: str) -> Floats:
    """The link of outcomes drawn towards the middle: where the first step comes from."""
    if model == "linear":
        return y
    if model == "logit":
        drawn = (y + 0.5) / 2.0
        return np.log(drawn / (1.0 - drawn))
    middle = float(y.mean())
    result: Floats = np.log((y + middle) / 2.0 + (middle == 0.0))
    return result


def _spread(predictor: Floats, model: str) -> Floats:
    if model == "linear":
        return np.ones(predictor.size)
    mean = mean_of(predictor, model)
    return mean * (1.0 - mean) if model == "logit" else mean


def _loss(predictor: Floats, y: Floats, model: str) -> float:
    """Minus the log likelihood, up to what does not depend on the predictor."""
    if model == "logit":
        return float((np.logaddexp(0.0, predictor) - y * predictor).sum())
    return float((mean_of(predictor, model) - y * predictor).sum())


def _climb(z: Floats, y: Floats, model: str, theta: Floats) -> tuple[Floats | None, tuple[Floats, bool]]:
    """The maximum and the factor of the information there; None where it was not reached."""
    loss, last = _loss(z @ theta, y, model), False
    inside: tuple[Floats, bool] = (np.eye(theta.size), True)
    for _ in range(STEPS):
        predictor = z @ theta
        information = z.T @ (z * _spread(predictor, model)[:, None])
        try:
            inside = cho_factor(information, lower=True)
        except np.linalg.LinAlgError:
            return None, inside
        if last:
            return theta, inside
        slope = z.T @ (y - mean_of(predictor, model))
        step = cho_solve(inside, slope)
        last = float(slope @ step) <= CLOSE * y.size
        theta, loss, moved = _halved(z, y, model, theta, step, loss)
        if not moved and not last:
            return None, inside
    return None, inside


def _halved(z: Floats, y: Floats, model: str, theta: Floats, step: Floats, loss: float) -> tuple[Floats, float, bool]:
    """The step, halved until the loss no longer rises; whether any was found."""
    slack = 1e-12 * (abs(loss) + y.size)
    for _ in range(40):
        found = _loss(z @ (theta + step), y, model)
        if found <= loss + slack:
            return theta + step, found, True
        step = step / 2.0
    return theta, loss, False


def separated(z: Floats, y: Floats, model: str) -> bool:
    r"""Whether some direction never lowers the likelihood, so that it has no maximum.

    For a logit a direction g with :math:`z_i'g \ge 0` where y = 1, :math:`\le 0` where y = 0, :math:`= 0` between, and
    not 0 for all; for a Poisson model :math:`z_i'g = 0` where y > 0, :math:`\le 0` where y = 0. A linear programme
    looks for it in a box.

    Source: Albert & Anderson (1984); Konis (2007), thesis, Oxford; Correia, Guimaraes & Zylkin (2019), arXiv
    1903.01633, for the Poisson model.
    """
    zero, free = y == 0.0, (y == 1.0 if model == "logit" else np.zeros(y.size, dtype=bool))
    # Rows count once: copies of a row change no constraint, and registers of categories have few distinct ones.
    signed = np.unique(np.concatenate([z[free], -z[zero]]), axis=0)
    fixed = np.unique(z[~zero & ~free], axis=0)
    scale = float(np.abs(z).max(initial=1e-300))
    signed, fixed = signed / scale, fixed / scale
    if signed.shape[0] == 0:
        return False
    found = linprog(
        -signed.sum(axis=0),
        A_ub=-signed,
        b_ub=np.zeros(signed.shape[0]),
        A_eq=fixed if fixed.size else None,
        b_eq=np.zeros(fixed.shape[0]) if fixed.size else None,
        bounds=(-1.0, 1.0),
        method="highs",
    )
    # Where the programme itself fails the data are as good as separated, and refused.
    return found.fun is None or bool(-found.fun > 1e-6)
