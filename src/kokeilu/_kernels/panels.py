"""Variances of contrasts over time: panels of people or offices, stepped wedges, and saturations.

All return the squared error of the estimated effect, or the factor by which one period's variance is multiplied.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["exchangeable", "panel_factors", "saturation_variances", "serial_covariance", "wedge_variance"]

Floats = npt.NDArray[np.float64]


def exchangeable(pre: int, post: int, rho_pre: float, rho_post: float, rho_cross: float) -> Floats:
    """Return the correlation of `pre` periods before and `post` after: equal within, and equal between."""
    total = pre + post
    out = np.full((total, total), rho_cross)
    out[:pre, :pre], out[pre:, pre:] = rho_pre, rho_post
    np.fill_diagonal(out, 1.0)
    return out


def serial_covariance(periods: int, ar1: float) -> Floats:
    """Return the correlation of a first-order autoregression over `periods`."""
    steps = np.arange(periods)
    return np.asarray(float(ar1) ** np.abs(steps[:, None] - steps), dtype=np.float64)


def panel_factors(covariance: npt.ArrayLike, pre: int) -> tuple[float, float, float]:
    """Return the variances of one person's contrast over time: after only, change, ANCOVA.

    With a and b the averaging weights of the periods before and after, S the covariance of a person's outcomes
    (Frison & Pocock 1992; McKenzie 2012; Burlig, Preonas & Woerman 2020): post b'Sb; change (b - a)'S(b - a); ANCOVA
    b'Sb - (a'Sb)^2 / (a'Sa). Without periods before, all three are the first.

    Parameters
    ----------
    covariance : float64 array, shape (pre + post, pre + post)
    pre : int
    """
    s = np.asarray(covariance, dtype=np.float64)
    post = s.shape[0] - pre
    b = np.concatenate([np.zeros(pre), np.full(post, 1.0 / post)])
    after = float(b @ s @ b)
    if pre == 0:
        return after, after, after
    a = np.concatenate([np.full(pre, 1.0 / pre), np.zeros(post)])
    before, cross = float(a @ s @ a), float(a @ s @ b)
    return after, after + before - 2.0 * cross, after - cross**2 / before


def wedge_variance(
    treated: npt.ArrayLike,
    *,
    size: float,
    variance: npt.ArrayLike,
    within: float,
    between: float,
    subject: float | None = None,
) -> float:
    """Return the squared error of the effect in a stepped wedge, by generalised least squares on cell means.

    [sum_j X_j' V^-1 X_j]^-1 with an effect for each period; V block-exchangeable (Hussey & Hughes 2007; Li, Turner &
    Preisser 2018): same period s^2 [1 + (m - 1) alpha_0] / m; other periods s^2 alpha_1 (new people each period), or
    s^2 [(m - 1) alpha_1 + alpha_2] / m (the same people).

    Parameters
    ----------
    treated : array, shape (clusters, periods)
        1 where a cluster is treated in a period, NaN where it is not observed.
    size : float
        People m in a cluster and period.
    variance : float or array, shape (clusters, periods)
        s^2 of one person.
    within, between : float
        alpha_0 and alpha_1: correlation of two people of a cluster in the same, and in other periods.
    subject : float, optional
        alpha_2: correlation of one person's outcomes over periods.
    """
    z = np.asarray(treated, dtype=np.float64)
    s = np.sqrt(np.broadcast_to(np.asarray(variance, dtype=np.float64), z.shape))
    other = between if subject is None else ((size - 1.0) * between + subject) / size
    periods = z.shape[1]
    core = np.full((periods, periods), other)
    np.fill_diagonal(core, (1.0 + (size - 1.0) * within) / size)
    information = np.zeros((periods + 1, periods + 1))
    # Clusters of one sequence are alike: one inverse for each distinct row.
    rows, first, count = np.unique(np.column_stack([z, s]), axis=0, return_index=True, return_counts=True)
    del rows
    for j, many in zip(first, count, strict=True):
        seen = ~np.isnan(z[j])
        x = np.column_stack([z[j][seen], np.eye(periods)[seen]])
        v = core[np.ix_(seen, seen)] * np.outer(s[j][seen], s[j][seen])
        information += many * (x.T @ np.linalg.solve(v, x))
    used = np.abs(information).sum(axis=1) > 0.0
    return float(np.linalg.inv(information[np.ix_(used, used)])[0, 0])


def saturation_variances(
    shares: Sequence[tuple[float, float]],
    *,
    clusters: float,
    size: float,
    between: float | tuple[float, ...],
    within: float | tuple[float, ...],
) -> dict[str, float]:
    """Return the squared errors of the effects on the treated and on the untreated in treated areas.

    Baird, Bohren, McIntosh & Ozler (2018), Rev. Econ. Stat. 100: with mu = E pi, psi the share of pure controls,
    mu_S = 1 - mu - psi and eta^2 = Var(pi | pi > 0),
    Var_T = {n tau^2 [1 / (psi (1 - psi)) + (1 - psi) eta^2 / mu^2] + sigma^2 (mu + psi) / (mu psi)} / (n C).

    Parameters
    ----------
    shares : sequence of (saturation, share of clusters)
        With a saturation of 0, the pure control.
    clusters, size : float
        Clusters C and people n in each.
    between, within : float, or (arm, control)
        Variances tau^2 of clusters and sigma^2 of people. Those of the pure controls enter by tau^2 / psi and
        sigma^2 / (n psi), the others with the arm.
    """
    tau2, sigma2 = (np.broadcast_to(np.asarray(v, dtype=np.float64), (2,)) for v in (between, within))
    level = np.array([pi for pi, _ in shares])
    weight = np.array([share for _, share in shares])
    psi = float(weight[level == 0.0].sum())
    mu = float(level @ weight)
    treated = level > 0.0
    mean = mu / (1.0 - psi)
    eta2 = float(((level[treated] - mean) ** 2) @ weight[treated]) / (1.0 - psi)
    mu_s = 1.0 - mu - psi

    def squared(part: float) -> float:
        if part <= 0.0:
            return float("inf")
        spread = 1.0 / (1.0 - psi) + (1.0 - psi) * eta2 / part**2
        arm, control = tau2[0] * spread + sigma2[0] / (size * part), (tau2[1] + sigma2[1] / size) / psi
        return float((arm + control) / clusters)

    return {"mu": mu, "mu_S": mu_s, "psi": psi, "eta2": eta2, "treated": squared(mu), "untreated": squared(mu_s)}
