"""Outcome models: what the analyst states about the outcome before there are outcomes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

from kokeilu._checks import between, choice
from kokeilu._kernels.margins import constrained_difference
from kokeilu.core.registry import register
from kokeilu.errors import DesignError
from kokeilu.power.panel import Panel

__all__ = ["Components", "Mean", "OutcomeModel", "Pair", "Proportion", "Split", "lacks_clusters"]

Pair = tuple[float, float]
Components = tuple[Pair, Pair]
VARIANCES = ("unpooled", "pooled", "arcsine")


class OutcomeModel(Protocol):
    """What the formulas ask of an outcome model; effects are in the outcome's own units, pairs are (arm, reference)."""

    @property
    def scale(self) -> float:
        """Standard deviation in the reference arm, the unit of standardised effects."""
        ...

    @property
    def normal(self) -> bool:
        """Whether the test has a normal reference whatever the number of people."""
        ...

    @property
    def scored(self) -> bool:
        """Whether the test divides by another error than that of the truth."""
        ...

    @property
    def states_clusters(self) -> bool:
        """Whether the model says how clusters differ."""
        ...

    def reach(self, sign: int) -> float:
        """Return the largest effect possible in the direction of `sign`, as a distance from no effect."""
        ...

    def statistic(self, effect: float) -> float:
        """Return the effect on the scale on which it is tested; nought is no effect."""
        ...

    def natural(self, statistic: float) -> float:
        """Return the effect in the units of the outcome: the inverse of `statistic`."""
        ...

    def variances(self, effect: float) -> Pair:
        """Return the variance of one person's outcome on the scale of the test."""
        ...

    def components(self, effect: float, n: Pair) -> Components:
        """Return what of it remains, after covariates, between people (within clusters) and between clusters."""
        ...

    def null_components(self, effect: float, boundary: float, n: Pair) -> Components | None:
        """Return the same as the test estimates it where its null hypothesis ends; None where it is `components`."""
        ...

    def offered(self, effect: float, taking: Pair) -> tuple[OutcomeModel, float]:
        """Return the model of the reference arm, and the effect of the offer, where these shares take part."""
        ...

    def assumptions(self) -> tuple[str, ...]:
        """Say what was stated."""
        ...


def lacks_clusters(outcome: OutcomeModel) -> str:
    """Say what an outcome must state where whole clusters are drawn."""
    if hasattr(outcome, "icc"):
        return (
            "the design draws whole clusters, so the outcome needs an intra-cluster correlation: give "
            "icc, for instance from last year's register (icc=0 states that clusters do not matter)."
        )
    if hasattr(outcome, "cluster_cv"):
        return (
            "the design draws whole clusters, so the outcome needs cluster_cv: how much the true rates vary between "
            "them (cluster_cv=0 states that clusters do not matter)."
        )
    return (
        f"the design draws whole clusters, and {type(outcome).__name__} has no formula for them. Use RestrictedMean "
        "with an icc, or simulate_power."
    )


class Split:
    """Shares of the variance between people and between clusters, for models that state an ICC."""

    __slots__ = ()

    r2: float
    icc: float | None
    cluster_r2: float

    def _check_shares(self) -> None:
        for name, value in (("r2", self.r2), ("cluster_r2", self.cluster_r2), ("icc", self.icc)):
            if value is not None and between(value, 0.0, 1.0, name=name, closed=True) == 1.0:
                raise DesignError(f"{name} is 1, which leaves nothing to estimate; give a share below 1.")
        if self.icc is None and self.cluster_r2 > 0.0:
            raise DesignError("cluster_r2 is a share of the variance between clusters; state that too, as icc.")

    @property
    def states_clusters(self) -> bool:
        """Whether an ICC is stated."""
        return self.icc is not None

    def split(self, variances: Pair) -> Components:
        """Return (1 - icc)(1 - r2) and icc (1 - cluster_r2) of the variances."""
        icc = self.icc or 0.0
        people, clusters = (1.0 - icc) * (1.0 - self.r2), icc * (1.0 - self.cluster_r2)
        return (people * variances[0], people * variances[1]), (clusters * variances[0], clusters * variances[1])

    def shares_stated(self) -> tuple[str, ...]:
        """Say the shares."""
        stated = (f"r2 {self.r2:g}",)
        return stated if self.icc is None else (*stated, f"icc {self.icc:g}", f"cluster_r2 {self.cluster_r2:g}")


@register("mean")
@dataclass(frozen=True, slots=True, kw_only=True)
class Mean(Split):
    """A continuous outcome compared by its mean.

    Parameters
    ----------
    sd : float
        Standard deviation of the outcome in its own units (days, euros), in the reference arm, and in every other
        unless `sd_arm` says otherwise. Take it from last year's register.
    r2 : float, default 0
        Share of the variance between people removed by strata and covariates together, in [0, 1); in a
        clustered design the share of the variance *within* clusters.
    icc : float, optional
        Intra-cluster correlation in [0, 1): the share of the variance that lies between clusters. Required
        for a clustered design, an error for any other.
    cluster_r2 : float, default 0
        Share of the variance *between* clusters removed by covariates of the cluster, in [0, 1).
    sd_arm : float, optional
        Standard deviation in the arms other than the reference.
    null_sd : float, optional
        Standard deviation that the test divides by under no effect, where it is not that of the truth; the reference is
        then normal.
    effect_sd : float, default 0
        Standard deviation of the effect between people. The register is then the whole population of interest, and
        effect_sd^2 / N comes off the squared error (Neyman 1923); at 0 the error is conservative.
    panel : Panel, optional
        Periods before and after the draw, and how a person's outcomes hang together over them; `sd` is then that of one
        period. In a clustered design of people's deviations from their cluster.
    cluster_panel : Panel, optional
        The same for the means of clusters.

    Raises
    ------
    DesignError
        A standard deviation not above 0, or a share outside [0, 1).

    Examples
    --------
    >>> Mean(sd=95.0, r2=0.3).variances(0.0)
    (9025.0, 9025.0)
    """

    sd: float
    r2: float = 0.0
    icc: float | None = None
    cluster_r2: float = 0.0
    sd_arm: float | None = None
    null_sd: float | None = None
    effect_sd: float = 0.0
    panel: Panel | None = None
    cluster_panel: Panel | None = None

    def __post_init__(self) -> None:
        for name, panel in (("panel", self.panel), ("cluster_panel", self.cluster_panel)):
            if panel is not None and not isinstance(panel, Panel):
                raise DesignError(f"{name} must be a Panel(...); got {type(panel).__name__}.")
        for name, value in (("sd", self.sd), ("sd_arm", self.sd_arm), ("null_sd", self.null_sd)):
            if value is not None:
                between(value, 0.0, math.inf, name=name)
        between(self.effect_sd, 0.0, 1e300, name="effect_sd", closed=True)
        self._check_shares()
        if self.cluster_panel is not None and self.icc is None:
            raise DesignError("cluster_panel is of the means of clusters; state how much they vary, as icc.")

    @property
    def scale(self) -> float:
        """The standard deviation."""
        return float(self.sd)

    @property
    def normal(self) -> bool:
        """Only where the test divides by another standard deviation than the true one."""
        return self.null_sd is not None

    @property
    def scored(self) -> bool:
        """Whether `null_sd` is stated."""
        return self.null_sd is not None

    def reach(self, sign: int) -> float:
        """Return infinity: a mean can move any distance."""
        return math.inf

    def statistic(self, effect: float) -> float:
        """Return the effect itself."""
        return effect

    def natural(self, statistic: float) -> float:
        """Return the statistic itself."""
        return statistic

    def variances(self, effect: float) -> Pair:
        """Return sd_arm^2 and sd^2, of one period."""
        return (self.sd if self.sd_arm is None else self.sd_arm) ** 2, self.sd**2

    def _over_time(self, components: Components) -> Components:
        factors = [1.0 if panel is None else panel.factor for panel in (self.panel, self.cluster_panel)]
        (a, b), (c, d) = components
        return (factors[0] * a, factors[0] * b), (factors[1] * c, factors[1] * d)

    def components(self, effect: float, n: Pair) -> Components:
        """Return the variances split by the ICC, and averaged over periods."""
        return self._over_time(self.split(self.variances(effect)))

    def null_components(self, effect: float, boundary: float, n: Pair) -> Components | None:
        """Return those of `null_sd`, where it is stated."""
        return None if self.null_sd is None else self._over_time(self.split((self.null_sd**2, self.null_sd**2)))

    def offered(self, effect: float, taking: Pair) -> tuple[Mean, float]:
        """Return the effect times the difference of the shares: an error does not move with the mean."""
        return self, effect * (taking[0] - taking[1])

    def assumptions(self) -> tuple[str, ...]:
        """Say the standard deviations and the shares."""
        more = [f"{self.sd_arm:g} in the other arms"] if self.sd_arm is not None else []
        if self.effect_sd:
            more.append(f"effects with standard deviation {self.effect_sd:g}, the register being the whole population")
        more += [panel.describe() for panel in (self.panel, self.cluster_panel) if panel is not None]
        return (f"standard deviation {self.sd:g}", *more, *self.shares_stated())


@register("proportion")
@dataclass(frozen=True, slots=True, kw_only=True)
class Proportion(Split):
    """A yes-or-no outcome compared by its share.

    Effects are differences of shares: 0.05 is five percentage points.

    Parameters
    ----------
    base : float
        Share with the outcome in the reference arm, in (0, 1).
    r2, icc, cluster_r2
        As for :class:`Mean`.
    variance : {"unpooled", "pooled", "arcsine"}
        "unpooled": p(1 - p) in each arm at that arm's own share, the error of the difference in means that
        `estimate_effects` reports. "pooled": the score test, which divides by the error at the shares likeliest under
        its null hypothesis, with a normal reference (Farrington & Manning 1990 for margins). "arcsine": on the scale
        2 asin sqrt(p), with a normal reference (Cohen 1988).

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
    variance: str = "unpooled"

    def __post_init__(self) -> None:
        between(self.base, 0.0, 1.0, name="base")
        choice(self.variance, VARIANCES, name="variance")
        self._check_shares()

    @property
    def scale(self) -> float:
        """√(p(1 − p)) at the base."""
        return math.sqrt(self.base * (1.0 - self.base))

    @property
    def normal(self) -> bool:
        """Whether the score test or the arcsine scale was asked for."""
        return self.variance != "unpooled"

    @property
    def scored(self) -> bool:
        """Whether the score test was asked for."""
        return self.variance == "pooled"

    def reach(self, sign: int) -> float:
        """Return the distance from the base to 1 (sign > 0) or to 0."""
        return 1.0 - self.base if sign > 0 else self.base

    def _share(self, effect: float) -> float:
        share = self.base + effect
        if not 0.0 < share < 1.0:
            raise DesignError(
                f"a base of {self.base:g} and an effect of {effect:+g} give a share of {share:g}, outside "
                "(0, 1). State the effect as a difference of shares: 0.05 for five percentage points."
            )
        return share

    def statistic(self, effect: float) -> float:
        """Return the difference, or that of the arcsines."""
        if self.variance != "arcsine":
            return effect
        return 2.0 * math.asin(math.sqrt(self._share(effect))) - 2.0 * math.asin(math.sqrt(self.base))

    def natural(self, statistic: float) -> float:
        """Return the difference of shares."""
        if self.variance != "arcsine" or statistic == 0.0:
            return statistic
        angle = 0.5 * statistic + math.asin(math.sqrt(self.base))
        return math.sin(min(max(angle, 0.0), math.pi / 2.0)) ** 2 - self.base

    def variances(self, effect: float) -> Pair:
        """Return p(1 − p) at base + effect and at the base; 1 on the scale of arcsines.

        Raises
        ------
        DesignError
            Where base + effect leaves (0, 1).
        """
        share = self._share(effect)
        if self.variance == "arcsine":
            return 1.0, 1.0
        return share * (1.0 - share), self.base * (1.0 - self.base)

    def components(self, effect: float, n: Pair) -> Components:
        """Return the variances split by the ICC."""
        return self.split(self.variances(effect))

    def null_components(self, effect: float, boundary: float, n: Pair) -> Components | None:
        """Return those at the shares likeliest where the difference is `boundary`, for the score test."""
        if self.variance != "pooled":
            return None
        arm, reference = constrained_difference(self._share(effect), self.base, boundary, n[1] / n[0])
        return self.split((arm * (1.0 - arm), reference * (1.0 - reference)))

    def offered(self, effect: float, taking: Pair) -> tuple[Proportion, float]:
        """Return the base moved by those of the reference arm who take part, and the effect of the offer."""
        moved = self if taking[1] == 0.0 else replace(self, base=self._share(effect * taking[1]))
        return moved, effect * (taking[0] - taking[1])

    def assumptions(self) -> tuple[str, ...]:
        """Say the base and the shares."""
        how = () if self.variance == "unpooled" else (f"{self.variance} variance, normal reference",)
        return (f"share {self.base:g} in the reference arm", *how, *self.shares_stated())
