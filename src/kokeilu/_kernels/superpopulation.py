"""Effects and variances where strata, and the people in them, are a sample: covariate-adaptive draws.

Two asymptotics: few large strata (Bugni, Canay & Shaikh 2019) and many small ones of equal size (Bai, Jiang, Romano,
Shaikh & Zhang 2024).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels import glm, linear

__all__ = ["Adjusted", "Cellwise", "adjusted", "cellwise", "residual_parts", "small_strata", "stratum_means"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Cellwise(NamedTuple):
    """The effect and n times its variance in parts.

    `arms` (S, 2): of the people of each stratum in the two arms, with divisor n; `others`: of people in other arms;
    `gap`: of mu_a - mu_0 within strata; `between`: of the strata's effects. `people` (S, 2) counts.
    """

    value: float
    arms: Floats
    others: float
    gap: float
    between: float
    people: Floats


class Adjusted(NamedTuple):
    """Adjustments (n, 2) for everybody; by stratum and arm (S, 2) columns used, and what slopes add to the variance."""

    values: Floats
    used: Floats
    factor: Floats


def adjusted(x: Floats, y: Floats, place: Integers, strata: Integers, *, common: bool) -> Adjusted:
    r"""Return x' slopes of each arm.

    Slopes are those of least squares within each stratum and arm, or, `common`, within each arm with the means of its
    strata taken out. `place` is 0 for the arm, 1 for the reference, -1 for others. Dependent columns have slope 0.

    An adjusted mean :math:`\bar y_a + (\bar x - \bar x_a)'\beta` has variance :math:`\sigma^2 (1/n_a + (\bar x - \bar
    x_a)'(X'X)^{-1}(\bar x - \bar x_a))`, X within cells: the factor is that over :math:`\sigma^2/n_a`, 1 for large n.
    """
    n_strata = int(strata.max()) + 1
    result, used, factor = np.zeros((y.size, 2)), np.zeros((n_strata, 2)), np.ones((n_strata, 2))
    if x.shape[1] == 0:
        return Adjusted(result, used, factor)
    size = np.bincount(strata, minlength=n_strata)
    for a in range(2):
        mine = place == a
        if common:
            own = np.unique(strata[mine], return_inverse=True)[1].astype(np.int64)
            fitted = linear.fit(linear.columns_of(x[mine], levels=own), y[mine])
            result[:, a] = x @ fitted.coef
            count = np.bincount(strata[mine], minlength=n_strata)
            used[:, a] = fitted.kept.sum() * count / mine.sum()
            short = x.mean(axis=0) - x[mine].T @ (size / count)[strata[mine]] / y.size
            factor[:, a] += float(((short @ fitted.root) ** 2).sum()) / float((size**2 / count).sum()) * y.size**2
            continue
        for s in range(n_strata):
            here = strata == s
            cell = mine & here
            level = np.zeros(int(cell.sum()), dtype=np.int64)
            fitted = linear.fit(linear.columns_of(x[cell], levels=level), y[cell])
            result[here, a] = x[here] @ fitted.coef
            used[s, a] = fitted.kept.sum()
            short = x[here].mean(axis=0) - x[cell].mean(axis=0)
            factor[s, a] += level.size * float(((short @ fitted.root) ** 2).sum())
    return Adjusted(result, used, factor)


def cellwise(y: Floats, place: Integers, strata: Integers, slopes: Floats) -> Cellwise:
    r"""The stratum-wise adjusted effect and the parts of its variance.

    :math:`\tau = n^{-1}\sum_i 1_a (y - \mu_a)/\pi_{as} - 1_0 (y - \mu_0)/\pi_{0s} + \mu_a - \mu_0` with shares of the
    sample. :math:`\Xi_a = \mu_a - \mu_0 + (y - \mu_a)/\pi_{as}`, :math:`\Xi_0 = \mu_a - \mu_0 - (y - \mu_0)/\pi_{0s}`
    and, for people of other arms, :math:`\mu_a - \mu_0`, are centred in their stratum and arm (all other arms
    together); `between` is the mean of :math:`(\bar y_{as} - \bar y_{0s} - \tau)^2`.

    Source: Bugni, Canay & Shaikh (2019), Quantitative Economics 10; Jiang, Linton, Tang & Zhang (2024), Review of
    Economics and Statistics, for the adjustment.
    """
    n, n_strata = y.size, int(strata.max()) + 1
    size = np.bincount(strata, minlength=n_strata).astype(np.float64)
    count = np.stack([np.bincount(strata[place == a], minlength=n_strata) for a in range(2)], axis=1).astype(np.float64)
    gap = slopes[:, 0] - slopes[:, 1]
    terms = gap.copy()
    for a, sign in ((0, 1.0), (1, -1.0)):
        mine = place == a
        share = (count[:, a] / size)[strata[mine]]
        terms[mine] += sign * (y[mine] - slopes[mine, a]) / share
    value = float(terms.mean())
    arms = np.stack([_squares(terms, place == a, strata, n_strata) for a in range(2)], axis=1) / n
    others = float(_squares(terms, place < 0, strata, n_strata).sum()) / n
    inside = float(_squares(gap, np.ones(n, dtype=bool), strata, n_strata).sum()) / n
    means = np.stack([stratum_means(y, place == a, strata) for a in range(2)], axis=1)
    between = float(size @ (means[:, 0] - means[:, 1] - value) ** 2) / n
    return Cellwise(value, arms, others, inside, between, count)


def residual_parts(x: Floats, y: Floats, place: Integers, strata: Integers) -> tuple[Floats, Floats]:
    """HC2 variances of the adjusted means by stratum and arm, (S, 2), and Bell and McCaffrey's degrees of freedom."""
    n_strata = int(strata.max()) + 1
    variance, dof = np.empty((n_strata, 2)), np.empty((n_strata, 2))
    table = np.column_stack([np.ones(y.size), x])
    for s in range(n_strata):
        here = strata == s
        for a in range(2):
            cell = here & (place == a)
            fitted = glm.fit(table[cell], y[cell], "linear")
            found = glm.residual_variance(fitted, table[cell], y[cell], table[here], "linear")
            variance[s, a], dof[s, a] = found
    return variance, dof


def stratum_means(values: Floats, rows: NDArray[np.bool_], strata: Integers) -> Floats:
    """Means over some rows by stratum, (S,); 0 where a stratum has none of them."""
    width = int(strata.max()) + 1
    count = np.bincount(strata[rows], minlength=width)
    result: Floats = np.bincount(strata[rows], weights=values[rows], minlength=width) / np.maximum(count, 1)
    return result


def _squares(values: Floats, rows: NDArray[np.bool_], strata: Integers, n_strata: int) -> Floats:
    left = values[rows] - stratum_means(values, rows, strata)[strata[rows]] if rows.any() else values[rows]
    return np.bincount(strata[rows], weights=left**2, minlength=n_strata).astype(np.float64)


def small_strata(y: Floats, place: Integers, strata: Integers) -> tuple[float, float]:
    r"""Difference in means and n times its variance, for S strata of equal size with equal arms, in their order.

    With arm means :math:`\Gamma`, variances :math:`\sigma^2` (divisor n), :math:`\rho_{aa}` the mean product of the
    arm's means in neighbouring strata and :math:`\rho_{10}` of the two arms' means within strata,

    .. math:: nV = \sum_a (\sigma_a^2 - \rho_{aa} + \Gamma_a^2)/\pi_a
              + \rho_{11} - \Gamma_1^2 + \rho_{00} - \Gamma_0^2 - 2(\rho_{10} - \Gamma_1\Gamma_0).

    Neighbours are the strata 0 and 1, 2 and 3, …; of an odd number the last three are all neighbours, each product
    counted half. Not invariant to shifts unless y is centred, which is done here first.

    Source: Bai, Jiang, Romano, Shaikh & Zhang (2024), "Covariate adjustment in experiments with matched pairs";
    Bai, Romano & Shaikh (2022), JASA 117, for neighbours.
    """
    y = y - y[place >= 0].mean()
    means = np.stack([stratum_means(y, place == a, strata) for a in range(2)], axis=1)
    centre = means.mean(axis=0)
    spread = np.array([y[place == a].var() for a in range(2)])
    share = np.array([(place == a).mean() for a in range(2)])
    near = np.array([_neighbours(means[:, a]) for a in range(2)])
    cross = float((means[:, 0] * means[:, 1]).mean())
    inside = float(((spread - near + centre**2) / share).sum())
    outside = float((near - centre**2).sum()) - 2.0 * (cross - centre[0] * centre[1])
    return float(centre[0] - centre[1]), inside + outside


def _neighbours(means: Floats) -> float:
    """2/S times the sum of products of neighbours."""
    paired = means.size - (3 if means.size % 2 else 0)
    total = float((means[0:paired:2] * means[1:paired:2]).sum())
    if means.size % 2:
        a, b, c = means[-3:]
        total += 0.5 * float(a * b + b * c + a * c)
    return 2.0 * total / means.size
