"""An outcome model learnt from a past cohort of the register."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from kokeilu._checks import between, name_list, positive_int
from kokeilu.core.protocols import Floats, Ints
from kokeilu.core.results import Rows, text_table
from kokeilu.core.table import read_columns, read_factor_or_missing, read_number
from kokeilu.errors import DataError, DesignError
from kokeilu.power.models import Mean, Proportion
from kokeilu.power.panel import Panel
from kokeilu.power.pilots import WHERE, Measured, baseline_r2, icc, take_up

__all__ = ["Learnt", "learnt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt(Rows):
    """An outcome model, and what it was learnt from.

    Attributes
    ----------
    model : Mean or Proportion
    measured : tuple of Measured
        Each number of the model with its interval.
    """

    model: Mean | Proportion
    measured: tuple[Measured, ...]

    @property
    def uncertain(self) -> dict[str, tuple[float, float]]:
        """Intervals by name, as `power_range` takes them."""
        return {one.name: (one.low, one.high) for one in self.measured}

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each number."""
        return [row for one in self.measured for row in one.rows()]

    def __str__(self) -> str:
        return "\n".join(
            [f"{type(self.model).__name__}: {'; '.join(self.model.assumptions())}", text_table(self.rows())]
        )


def learnt(
    cohort: object,
    outcome: str | None = None,
    *,
    covariates: Sequence[str] | str = (),
    cluster: str | None = None,
    months: Sequence[str] = (),
    pre: int = 0,
    analysis: str = "ancova",
    level: float = 0.95,
) -> Learnt:
    """Learn the outcome model of a power question from a past cohort.

    Parameters
    ----------
    cohort : pandas, pyarrow or Arrow-capable table
        People as those of the trial will be, with an outcome that no trial has moved.
    outcome : str, optional
        Values of 0 and 1 make a Proportion, others a Mean.
    covariates : sequence of str
        Whose worth, R2, the trial will have.
    cluster : str, optional
        Clusters that the design draws whole.
    months : sequence of str
        In place of `outcome`: columns of one outcome over equal periods, in their order. The covariance between them
        becomes the Panel of a Mean.
    pre : int
        How many of the months stand for the time before the draw.
    analysis : {"ancova", "change", "post"}
        As for :class:`Panel`.
    level : float
        Of the intervals.

    Returns
    -------
    Learnt
        `model` goes where an outcome goes, `uncertain` to :func:`power_range`.

    Raises
    ------
    DesignError
        Neither or both of `outcome` and `months`; covariates or clusters together with months.
    DataError, ColumnError
        As for :func:`icc`; a month without values for everybody.

    Examples
    --------
    >>> import kokeilu as kk
    >>> past = kk.datasets.job_seekers(2_000, seed="past")
    >>> spells = kk.learnt(past, "employment_days_prior", covariates=("age",))
    >>> design = kk.Complete(kk.arms(control=1, coaching=1))
    >>> found = kk.power_range(kk.detectable_effect, design, 4_000, spells.model, uncertain=spells.uncertain)
    >>> found.low < found.value < found.high
    True
    """
    between(level, 0.0, 1.0, name="level")
    names = name_list(months, name="months")
    if bool(names) == (outcome is not None):
        raise DesignError("learnt takes an outcome, or the months of one.")
    if names:
        if covariates or cluster:
            raise DesignError("months go without covariates and clusters: state these in the Mean beside its panel.")
        return _of_months(cohort, names, positive_int(pre, name="pre", least=0), analysis, level)
    if pre:
        raise DesignError("pre belongs to months; leave it out, or give months.")
    return _of_outcome(cohort, str(outcome), covariates, cluster, level)


def _of_outcome(
    cohort: object, outcome: str, covariates: Sequence[str] | str, cluster: str | None, level: float
) -> Learnt:
    columns = read_columns(cohort, (outcome,) if cluster is None else (outcome, cluster), where=WHERE)
    y = read_number(columns[outcome], outcome, where=WHERE)
    seen = np.isfinite(y)
    groups = None if cluster is None else read_factor_or_missing(columns[cluster]).codes[seen]
    y, missing = y[seen], int((~seen).sum())
    if not len(y) or np.ptp(y) == 0.0:
        raise DataError(f"{WHERE}: {outcome!r} must vary for a model to be learnt from it. Check the column.")
    measured: list[Measured] = []
    if covariates:
        found = baseline_r2(cohort, outcome, on=covariates, within=cluster, level=level)
        measured += [one for one in (found.r2, found.cluster_r2) if one is not None]
    if cluster is not None:
        one = icc(cohort, outcome, cluster, level=level)
        low, value, high = (max(0.0, x) for x in (one.low, one.value, one.high))  # less than none cannot be stated
        measured.append(replace(one, low=low, value=value, high=high))
    shares: dict[str, Any] = {one.name: min(one.value, 1.0 - 1e-9) for one in measured}
    if len(y) and np.isin(y, (0.0, 1.0)).all():
        rate = take_up(cohort, outcome, cluster=cluster, level=level).rates[0]
        base = replace(rate, name="base", group=None)
        return Learnt(model=Proportion(base=base.value, **shares), measured=(base, *measured))
    spread = _spread(y, groups, level, missing)
    return Learnt(model=Mean(sd=spread.value, **shares), measured=(spread, *measured))


def _spread(y: Floats, groups: Ints | None, level: float, missing: int) -> Measured:
    """The standard deviation; the interval is that of its logarithm by the influence of each person or cluster."""
    if len(y) < 3 or np.ptp(y) == 0.0:
        raise DataError(f"{WHERE}: the outcome needs three people and must vary. Check the column.")
    off = (y - y.mean()) ** 2
    variance = float(off.sum()) / (len(y) - 1.0)
    influence = (off / off.mean() - 1.0) / (2.0 * len(y))
    units = len(y)
    if groups is not None:
        codes = np.unique(groups, return_inverse=True)[1]
        influence, units = np.bincount(codes, weights=influence), int(codes.max()) + 1
    error = math.sqrt(float((influence**2).sum()) * units / max(units - 1.0, 1.0))
    half = float(stats.t.isf((1.0 - level) / 2.0, max(units - 1, 1))) * error
    sd = math.sqrt(variance)
    return Measured(
        name="sd", value=sd, low=sd * math.exp(-half), high=sd * math.exp(half), level=level, n=len(y), missing=missing,
        clusters=None if groups is None else units, method="interval by influence function",
    )  # fmt: skip


def _of_months(cohort: object, months: tuple[str, ...], pre: int, analysis: str, level: float) -> Learnt:
    if not pre < len(months):
        raise DesignError(f"pre is {pre} of {len(months)} months, which leaves none after the draw.")
    columns = read_columns(cohort, months, where=WHERE)
    table = np.column_stack([read_number(columns[name], name, where=WHERE) for name in months])
    lost = int((~np.isfinite(table)).any(axis=1).sum())
    if lost:
        raise DataError(
            f"{WHERE}: {lost:,} of {len(table):,} people lack a month. A register knows all months: fill in 0 where "
            "nothing was recorded, or leave these people out."
        )
    if len(table) < len(months) + 2:
        raise DataError(f"{WHERE}: {len(table):,} people are too few for the covariance of {len(months)} months.")
    covariance = np.cov(table, rowvar=False, ddof=1).reshape(len(months), len(months))
    rows = tuple(tuple(float(x) for x in row) for row in covariance)
    panel = Panel(pre=pre, post=len(months) - pre, covariance=rows, analysis=analysis if pre else "post")
    after = table[:, pre:]
    sd = math.sqrt(float(np.diag(covariance)[pre:].mean()))
    square = ((after - after.mean(axis=0)) ** 2).mean(axis=1)
    error = float(square.std(ddof=1)) / math.sqrt(len(square)) / (2.0 * sd**2)
    half = float(stats.t.isf((1.0 - level) / 2.0, len(square) - 1)) * error
    spread = Measured(
        name="sd", value=sd, low=sd * math.exp(-half), high=sd * math.exp(half), level=level, n=len(table),
        method="of one month, interval by influence function",
    )  # fmt: skip
    return Learnt(model=Mean(sd=sd, panel=panel), measured=(spread,))
