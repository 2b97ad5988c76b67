"""Outcome models: what the analyst states about the outcome before there are outcomes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from kokeilu._checks import between
from kokeilu.core.registry import register
from kokeilu.errors import DesignError

__all__ = ["Mean", "OutcomeModel", "Proportion"]


class OutcomeModel(Protocol):
    """What the formulas ask of an outcome model; effects are in the outcome's own units."""

    @property
    def r2(self) -> float:
        """Share of the variance between people (within clusters, where there are any) that is explained."""
        ...

    @property
    def icc(self) -> float | None:
        """Share of the outcome's variance that lies between clusters; None for people drawn one by one."""
        ...

    @property
    def cluster_r2(self) -> float:
        """Share of the variance between clusters that is explained."""
        ...

    @property
    def scale(self) -> float:
        """Standard deviation in the reference arm, the unit of standardised effects."""
        ...

    def reach(self, sign: int) -> float:
        """Return the largest effect possible in the direction of `sign`; infinite where unbounded."""
        ...

    def variances(self, effect: float) -> tuple[float, float]:
        """Return the outcome's variance in the arm and in the reference arm."""
        ...


def _check_shares(r2: float, icc: float | None, cluster_r2: float) -> None:
    for name, value in (("r2", r2), ("cluster_r2", cluster_r2), ("icc", icc)):
        if value is not None and between(value, 0.0, 1.0, name=name, closed=True) == 1.0:
            raise DesignError(f"{name} is 1, which leaves nothing to estimate; give a share below 1.")


@register("mean")
@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A continuous outcome compared by its mean.

    Parameters
    ----------
    sd : float
        Standard deviation of the outcome in its own units (days, euros), the same in every arm. Take it from
        last year's register.
    r2 : float, default 0
        Share of the variance between people removed by strata and covariates together, in [0, 1); in a
        clustered design the share of the variance *within* clusters.
    icc : float, optional
        Intra-cluster correlation in [0, 1): the share of the variance that lies between clusters. Required
        for a clustered design, an error for any other.
    cluster_r2 : float, default 0
        Share of the variance *between* clusters removed by covariates of the cluster, in [0, 1).

    Raises
    ------
    DesignError
        `sd` not above 0, or a share outside [0, 1).

    Examples
    --------
    >>> Mean(sd=95.0, r2=0.3)
    Mean(sd=95.0, r2=0.3, icc=None, cluster_r2=0.0)
    """

    sd: float
    r2: float = 0.0
    icc: float | None = None
    cluster_r2: float = 0.0

    def __post_init__(self) -> None:
        between(self.sd, 0.0, math.inf, name="sd")
        _check_shares(self.r2, self.icc, self.cluster_r2)

    @property
    def scale(self) -> float:
        """The standard deviation."""
        return float(self.sd)

    def reach(self, sign: int) -> float:
        """Return infinity: a mean can move any distance."""
        return math.inf

    def variances(self, effect: float) -> tuple[float, float]:
        """Return the same variance in both arms."""
        return self.sd**2, self.sd**2


@register("proportion")
@dataclass(frozen=True, slots=True, kw_only=True)
class Proportion:
    """A yes-or-no outcome compared by its share.

    Effects are differences of shares: 0.05 is five percentage points.
    The variance is p(1 − p) in each arm at that arm's own share, not pooled: the error of the difference in
    means that `estimate_effects` reports.

    Parameters
    ----------
    base : float
        Share with the outcome in the reference arm, in (0, 1).
    r2, icc, cluster_r2
        As for :class:`Mean`.

    Raises
    ------
    DesignError
        `base` outside (0, 1), or another share outside [0, 1).

    Examples
    --------
    >>> round(Proportion(base=0.30).variances(0.05)[0], 4)  # 0.35 * 0.65
    0.2275
    """

    base: float
    r2: float = 0.0
    icc: float | None = None
    cluster_r2: float = 0.0

    def __post_init__(self) -> None:
        between(self.base, 0.0, 1.0, name="base")
        _check_shares(self.r2, self.icc, self.cluster_r2)

    @property
    def scale(self) -> float:
        """√(p(1 − p)) at the base."""
        return math.sqrt(self.base * (1.0 - self.base))

    def reach(self, sign: int) -> float:
        """Return the distance from the base to 1 (sign > 0) or to 0."""
        return 1.0 - self.base if sign > 0 else self.base

    def variances(self, effect: float) -> tuple[float, float]:
        """Return p(1 − p) at base + effect and at the base.

        Raises
        ------
        DesignError
            Where base + effect leaves (0, 1).
        """
        share = self.base + effect
        if not 0.0 < share < 1.0:
            raise DesignError(
                f"a base of {self.base:g} and an effect of {effect:+g} give a share of {share:g}, outside "
                "(0, 1). State the effect as a difference of shares: 0.05 for five percentage points."
            )
        return share * (1.0 - share), self.base * (1.0 - self.base)
