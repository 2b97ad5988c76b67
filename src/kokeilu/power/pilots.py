"""What a pilot or a past cohort tells before the draw: likeness within clusters, what covariates explain, take-up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, special, stats

from kokeilu._checks import between, count_of, name_list
from kokeilu._kernels.icc import anova_icc
from kokeilu._kernels.linear import columns_of, fit
from kokeilu.core.protocols import Floats, Ints
from kokeilu.core.results import Rows
from kokeilu.core.table import read_columns, read_factor_or_missing, read_number
from kokeilu.core.view import covariate_matrix
from kokeilu.errors import DataError, DesignError

__all__ = ["BaselineR2", "Measured", "TakeUpRates", "baseline_r2", "icc", "take_up"]

WHERE = "the pilot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured(Rows):
    """A number that was measured, with its interval.

    Attributes
    ----------
    name : str
        What it is: "icc", "r2", "cluster_r2", "share", "sd".
    value, low, high : float
    level : float
    n, missing : int
        People used, and people left out because a value is missing.
    clusters : int or None
    group : str or None
        Of whom.
    method : str
    """

    name: str
    value: float
    low: float
    high: float
    level: float
    n: int
    missing: int = 0
    clusters: int | None = None
    group: str | None = None
    method: str

    def rows(self) -> list[dict[str, Any]]:
        """Return the number as one row."""
        group = {} if self.group is None else {"group": self.group}
        clusters = {} if self.clusters is None else {"clusters": self.clusters}
        numbers = {"value": self.value, "low": self.low, "high": self.high, "n": self.n, "missing": self.missing}
        return [{"name": self.name} | group | numbers | clusters | {"method": self.method}]


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineR2(Rows):
    """How much of the variance covariates explain: of people, and of clusters.

    Attributes
    ----------
    r2 : Measured
        Within clusters, where these are given.
    cluster_r2 : Measured or None
        Between clusters.
    """

    r2: Measured
    cluster_r2: Measured | None = None

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each."""
        return [row for one in (self.r2, self.cluster_r2) if one is not None for row in one.rows()]


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeUpRates(Rows):
    """Shares that took part, by group.

    Attributes
    ----------
    rates : tuple of Measured
    """

    rates: tuple[Measured, ...]

    def shares(self) -> dict[str, float]:
        """Return the shares by group, as `Reality(take_up=...)` and `TakeUp` take them."""
        return {rate.group or "everybody": rate.value for rate in self.rates}

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each group."""
        return [row for rate in self.rates for row in rate.rows()]


def icc(table: object, outcome: str, cluster: str, *, level: float = 0.95) -> Measured:
    """Measure how alike people of one cluster are: the share of the variance that lies between clusters.

    Parameters
    ----------
    table : pandas, pyarrow or Arrow-capable table
        A pilot or a past cohort.
    outcome, cluster : str
        People for whom either is missing are left out and counted.
    level : float
        Of the interval.

    Returns
    -------
    Measured
        The value may be negative where people of a cluster are less alike than chance would have it.

    Raises
    ------
    DataError
        One cluster only, no cluster of two, or an outcome that does not vary.
    ColumnError

    Notes
    -----
    ANOVA estimator with Searle's (1971) interval, which takes outcomes as normal and clusters as of about equal size.
    Source: Donner (1986), Int. Statist. Rev. 54.

    Examples
    --------
    >>> import kokeilu as kk
    >>> past = {"y": [1.0, 2.0, 3.0, 5.0, 6.0, 7.0, 2.0, 3.0, 2.0], "office": [1, 1, 1, 2, 2, 2, 3, 3, 3]}
    >>> round(kk.icc(past, "y", "office").value, 3)
    0.857
    """
    between(level, 0.0, 1.0, name="level")
    y, codes, missing = _clustered(table, outcome, cluster)
    found = anova_icc(y, codes, level)
    if math.isnan(found.value):
        raise DataError(
            f"{WHERE}: {outcome!r} has no intra-cluster correlation by {cluster!r}: it needs two clusters, one of two "
            "people or more, and an outcome that varies."
        )
    method = "ANOVA, Searle's interval"
    groups = len(np.unique(codes))
    return Measured(
        name="icc", value=found.value, low=found.low, high=found.high, level=level, n=len(y), missing=missing,
        clusters=groups, method=method,
    )  # fmt: skip


def baseline_r2(
    table: object, outcome: str, *, on: Sequence[str] | str, within: str | None = None, level: float = 0.95
) -> BaselineR2:
    r"""Measure how much of an outcome's variance covariates explain.

    Parameters
    ----------
    table : pandas, pyarrow or Arrow-capable table
        A pilot or a past cohort.
    outcome : str
    on : sequence of str
        Covariates: numbers, or text and categories. Gaps are filled and marked as in an analysis.
    within : str, optional
        A column of clusters: `r2` is then the share of the variance within clusters, `cluster_r2` that of the variance
        of their means, weighted by their people, as clustered designs take them.
    level : float
        Of the intervals.

    Returns
    -------
    BaselineR2

    Raises
    ------
    DataError
        More covariates than people or clusters can carry, or an outcome that does not vary.
    ColumnError

    Notes
    -----
    Adjusted R2, :math:`1 - (1 - R^2)(n - 1)/(n - k - 1)`, no less than 0. The interval is that of
    :math:`\log(1 - R^2)` by its influence function, summed by cluster, and asks nothing of the distribution:
    :math:`\psi_i = e_i^2 / \overline{e^2} - (y_i - \bar y)^2 / \overline{(y - \bar y)^2}`; no narrower than that by the
    noncentral F (Steiger 2004), which holds where little is explained.

    Examples
    --------
    >>> import kokeilu as kk
    >>> past = {"y": [float(i % 7 + i % 3) for i in range(90)], "before": [float(i % 7) for i in range(90)]}
    >>> round(kk.baseline_r2(past, "y", on="before").r2.value, 2)
    0.86
    """
    between(level, 0.0, 1.0, name="level")
    names = name_list(on, name="on")
    if not names:
        raise DesignError("on is empty; name the covariates whose worth is asked for.")
    y, codes, missing, kept = _read(table, outcome, within)
    columns = read_columns(table, names, where=WHERE)
    x, _, _ = covariate_matrix(dict(columns), kept, where=WHERE)
    whole = np.ones(len(y))
    if codes is None:
        return BaselineR2(r2=_explained("r2", y, x, whole, None, level, missing, len(y)))
    size = np.bincount(codes).astype(np.float64)
    means = np.stack([np.bincount(codes, weights=column) / size for column in (y, *x.T)], axis=1)
    inner = np.column_stack([y, x]) - means[codes]
    people = _explained("r2", inner[:, 0], inner[:, 1:], whole, codes, level, missing, len(y))
    offices = _explained("cluster_r2", means[:, 0], means[:, 1:], size, None, level, missing, len(y))
    return BaselineR2(r2=people, cluster_r2=offices)


def _explained(
    name: str,
    y: Floats,
    x: Floats,
    weights: Floats,
    clusters: Ints | None,
    level: float,
    missing: int,
    n: int,
) -> Measured:
    lost = 1 if clusters is None else int(clusters.max()) + 1  # the mean, or those of the clusters
    weights = weights * len(y) / weights.sum()
    y = y - (weights @ y) / len(y)
    total = float(weights @ y**2)
    if not total > 0.0:
        raise DataError(f"{WHERE}: the outcome does not vary, so nothing of it can be explained. Check the column.")
    fitted = fit(columns_of(x, weights=weights, levels=np.zeros(len(y), dtype=np.int64)), y)
    rank = int(fitted.kept.sum())
    unit = "clusters" if name == "cluster_r2" else "people"
    if len(y) - lost - rank < 2:
        raise DataError(
            f"{WHERE}: {count_of(len(y), unit, unit)} and {rank} covariates leave nothing to judge by. Use fewer."
        )
    residual = y - (x - fitted.means[0, :-1]) @ fitted.coef
    left = float(weights @ residual**2)
    ratio = left / total * (len(y) - lost) / (len(y) - lost - rank)
    influence = weights * (residual**2 / max(left, 1e-300) - y**2 / total)
    groups = len(y)
    if clusters is not None:
        influence = np.bincount(clusters, weights=influence).astype(np.float64)
        groups = len(influence)
    error = math.sqrt(float((influence**2).sum()) * groups / (groups - 1.0))
    half = float(stats.t.isf((1.0 - level) / 2.0, groups - 1)) * error
    ends = [max(0.0, 1.0 - ratio * math.exp(step)) for step in (half, -half)]
    # The influence vanishes where nothing is explained: the limits by F of normal outcomes take over there.
    normal = _by_f(1.0 - left / total, rank, len(y) - lost - rank, level)
    return Measured(
        name=name,
        value=max(0.0, 1.0 - ratio),
        low=min(ends[0], normal[0]),
        high=max(ends[1], normal[1]),
        level=level,
        n=n,
        missing=missing,
        clusters=None if clusters is None and unit == "people" else groups,
        method="adjusted R2, interval by influence function",
    )


def _by_f(r2: float, rank: int, dof: int, level: float) -> tuple[float, float]:
    """Limits of R2 from the noncentral F: those noncentralities l at which F is a quantile, as l / (l + n)."""
    if rank == 0 or r2 >= 1.0:
        return (0.0, 0.0) if rank == 0 else (1.0, 1.0)
    statistic, n = r2 / rank / ((1.0 - r2) / dof), rank + dof + 1
    ends = []
    for share in (0.5 + level / 2.0, 0.5 - level / 2.0):

        def gap(x: float, share: float = share) -> float:
            return float(special.ncfdtr(rank, dof, x, statistic)) - share

        top = 4.0 * n * statistic * rank / dof + 100.0
        while gap(top) > 0.0 and top < 1e12:
            top *= 4.0
        ends.append(0.0 if gap(0.0) <= 0.0 else top if gap(top) > 0.0 else float(optimize.brentq(gap, 0.0, top)))
    low, high = (x / (x + n) for x in ends)
    return low, high


def take_up(
    table: object, took: str, *, by: str | None = None, cluster: str | None = None, level: float = 0.95
) -> TakeUpRates:
    """Measure the share that took part, in a pilot or a past cohort.

    Parameters
    ----------
    table : pandas, pyarrow or Arrow-capable table
    took : str
        A column of 0 and 1 (or yes and no). People for whom it is missing are left out and counted.
    by : str, optional
        A column of groups, such as the arms of a pilot.
    cluster : str, optional
        A column of clusters, where people of one cluster are alike: the interval is then that of so many people as
        would give the same error (Korn & Graubard 1998).
    level : float
        Of the intervals, Wilson's (1927).

    Returns
    -------
    TakeUpRates

    Raises
    ------
    DataError
        Values other than 0 and 1, or fewer than two clusters.
    ColumnError

    Examples
    --------
    >>> import kokeilu as kk
    >>> pilot = {"arm": ["coaching"] * 50 + ["control"] * 50, "came": [1] * 30 + [0] * 70}
    >>> kk.take_up(pilot, "came", by="arm").shares()
    {'coaching': 0.6, 'control': 0.0}
    """
    between(level, 0.0, 1.0, name="level")
    y, clusters, _, kept = _read(table, took, cluster)
    other = int(((y != 0.0) & (y != 1.0)).sum())
    if other:
        raise DataError(f"{WHERE}: {took!r} must be 0 or 1; {other:,} of {len(y):,} values are neither.")
    asked = read_number(read_columns(table, (took,), where=WHERE)[took], took, where=WHERE)
    groups, labels = np.zeros(len(asked), dtype=np.int64), ["everybody"]
    if by is not None:
        factor = read_factor_or_missing(read_columns(table, (by,), where=WHERE)[by])
        groups, labels = factor.codes, list(factor.levels)
    rates = []
    for code, label in enumerate(labels):
        mine = groups[kept] == code
        lost = int((groups == code).sum()) - int(mine.sum())
        if mine.any():
            rates.append(_rate(y[mine], None if clusters is None else clusters[mine], label, level, lost))
    return TakeUpRates(rates=tuple(rates))


def _rate(y: Floats, clusters: Ints | None, label: str, level: float, missing: int) -> Measured:
    share, size, groups = float(y.mean()), float(len(y)), None
    if clusters is not None:
        codes = np.unique(clusters, return_inverse=True)[1]
        groups = int(codes.max()) + 1
        if groups < 2:
            raise DataError(f"{WHERE}: {label!r} has one cluster, from which an error cannot be told. Leave it out.")
        off = np.bincount(codes, weights=y - share)
        variance = float((off**2).sum()) * groups / (groups - 1.0) / len(y) ** 2
        size = min(size, share * (1.0 - share) / variance) if variance > 0.0 else size
    z2 = float(stats.norm.isf((1.0 - level) / 2.0)) ** 2
    centre = (share + z2 / (2.0 * size)) / (1.0 + z2 / size)
    half = math.sqrt(z2 * (share * (1.0 - share) / size + z2 / (4.0 * size**2))) / (1.0 + z2 / size)
    method = "Wilson's interval" if clusters is None else "Wilson's interval for the people that clusters are worth"
    return Measured(
        name="share", value=share, low=max(0.0, centre - half), high=min(1.0, centre + half), level=level, n=len(y),
        missing=missing, clusters=groups, group=label, method=method,
    )  # fmt: skip


def _clustered(table: object, outcome: str, cluster: str) -> tuple[Floats, Ints, int]:
    y, codes, missing, _ = _read(table, outcome, cluster)
    if codes is None:
        raise DesignError("cluster names one column by text.")
    return y, codes, missing


def _read(table: object, outcome: str, cluster: str | None) -> tuple[Floats, Ints | None, int, Ints]:
    """Outcome and clusters of the people who have both, how many have not, and the rows of those who have."""
    wanted = name_list((outcome,) if cluster is None else (outcome, cluster), name="the columns")
    columns = read_columns(table, wanted, where=WHERE)
    y = read_number(columns[outcome], outcome, where=WHERE)
    seen = np.isfinite(y)
    codes = None
    if cluster is not None:
        codes = read_factor_or_missing(columns[cluster]).codes
        seen &= codes >= 0
    if not seen.any():
        raise DataError(f"{WHERE}: nobody of {len(y):,} people has {outcome!r}. Check the column.")
    kept = np.flatnonzero(seen).astype(np.int64)
    place = None if codes is None else np.unique(codes[kept], return_inverse=True)[1].astype(np.int64)
    return y[kept], place, len(y) - len(kept), kept
