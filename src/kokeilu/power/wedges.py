"""Sizes alone for designs over time and space: stepped wedges, saturations, and courses that only the treated share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from kokeilu._checks import between, choice, positive_int
from kokeilu._kernels.panels import saturation_variances, wedge_variance
from kokeilu.core.arms import Arm, Arms
from kokeilu.core.protocols import Floats
from kokeilu.core.registry import kind_of
from kokeilu.errors import DesignError
from kokeilu.power.layout import arms_of, draws_clusters, sized_arms
from kokeilu.power.level_frame import LevelFrame, known_sizes, needs_icc, one_open
from kokeilu.power.models import Components, OutcomeModel, Pair

__all__ = ["PartlyNested", "SaturationSizes", "WedgeSizes"]

Parts = dict[str, float]


def _two_arms(names: tuple[str, ...], arm: float, reference: float) -> Arms:
    """The same two arms with the shares that these sizes make."""
    share = Fraction(arm / (arm + reference)).limit_denominator(10**9)
    return Arms((Arm(names[0], 1 - share), Arm(names[1], share)))


@dataclass(frozen=True, slots=True, kw_only=True)
class WedgeSizes:
    """A stepped wedge: clusters begin one after another, and all are treated in the end.

    Parameters
    ----------
    steps : int
        Groups of clusters that begin together; there are steps + 1 periods.
    per_step, size : float, optional
        Clusters in each group, and people in a cluster and period; `per_step` may be left out in `sample_size`.
    decay : float, default 1
        Correlation of two people of a cluster in different periods over that in the same (cluster autocorrelation).
    subject : float, optional
        Correlation of one person's outcomes over periods, where the same people are seen in each.
    pattern : sequence of sequences of 0, 1, optional
        In place of `steps`: one row for each group, one column for each period; None where a group is not observed.
    trend : float, default 0
        By how much the outcome moves, without treatment, from the first period to the last.

    Notes
    -----
    [sum of X'V^-1 X]^-1 over cluster-period means with an effect for each period and block-exchangeable V (Hussey &
    Hughes 2007; Hooper et al. 2016; Li, Turner & Preisser 2018). Clusters less two degrees of freedom; the sources take
    a normal reference, which `Superiority(method="normal")` gives.

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Clustered(kk.Complete(kk.arms(waiting=1, coaching=1)), by="municipality")
    >>> wedge = kk.WedgeSizes(steps=5, per_step=4, size=50, decay=0.8)
    >>> round(kk.detectable_effect(design, wedge, kk.Mean(sd=4.0, icc=0.2)).value, 3)
    0.9
    """

    steps: int | None = None
    per_step: float | None = None
    size: float | None = None
    decay: float = 1.0
    subject: float | None = None
    pattern: tuple[tuple[float | None, ...], ...] = ()
    trend: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", _pattern(self.steps, self.pattern))
        if self.per_step is not None:
            between(self.per_step, 0.0, 1e16, name="per_step")
        if self.size is None:
            raise DesignError("WedgeSizes needs `size`: the people in a cluster and period.")
        between(self.size, 1.0, 1e12, name="size", closed=True)
        between(self.decay, 0.0, 1.0, name="decay", closed=True)
        between(self.trend, -math.inf, math.inf, name="trend")
        if self.subject is not None:
            between(self.subject, 0.0, 1.0, name="subject", closed=True)

    @property
    def unknown(self) -> str | None:
        """What is left open."""
        return "clusters per step" if self.per_step is None else None

    @property
    def least(self) -> float:
        """Three clusters in all steps."""
        return 3.0 / len(self.pattern)

    def at(self, value: float) -> WedgeSizes:
        """Return the sizes with the open one filled in."""
        return replace(self, steps=None, per_step=value)

    def _matrix(self) -> Floats:
        return np.array([[np.nan if x is None else x for x in row] for row in self.pattern], dtype=np.float64)

    def _names(self, design: Any) -> tuple[str, ...]:
        """Names of the two arms compared; a SteppedWedge must have these very sequences."""
        if kind_of(design) == "stepped wedge":
            if design.cluster is None or self.pattern != tuple(map(tuple, design.treatment_matrix().tolist())):
                raise DesignError(
                    f"the design has {len(design.steps)} sequences over {design.periods} periods, other than these "
                    "sizes. Give the sizes pattern=design.treatment_matrix(), and the design a cluster."
                )
            return ("not begun", "begun")
        names = sized_arms(design, "WedgeSizes", clustered=True).names
        if len(names) != 2:
            raise DesignError(f"a stepped wedge compares two arms; the design has {len(names)}.")
        return names

    def _check(self, outcome: OutcomeModel) -> None:
        needs_icc(outcome)
        if self.trend and not hasattr(outcome, "base"):
            raise DesignError("a trend changes the variance of a share, not of a mean: leave it out for this outcome.")
        if getattr(outcome, "panel", None) or getattr(outcome, "cluster_panel", None):
            raise DesignError("WedgeSizes states how periods hang together (decay, subject); leave out the Panel.")

    def frame(self, design: object, outcome: OutcomeModel) -> LevelFrame:
        """Return the frame; shares are those of cluster-periods."""
        (per_step,) = known_sizes("WedgeSizes", self.per_step)
        z, size = self._matrix(), float(self.size or 0.0)
        names = self._names(design)
        self._check(outcome)
        treated, seen = float(np.nansum(z)), float((~np.isnan(z)).sum())
        clusters = per_step * len(z)

        time = self.trend * np.arange(z.shape[1]) / max(1, z.shape[1] - 1)

        def parts(model: OutcomeModel, components: Components, pair: Pair, share: Pair, effect: float) -> Parts:
            spread = _spreads(model, components, z, time, effect)
            icc = components[1][1] / (components[0][1] + components[1][1])
            if share[0] != share[1]:
                raise DesignError("a stepped wedge takes one attrition for all; give attrition=… as one share.")
            people = size * share[0]
            squared = wedge_variance(
                z, size=people, variance=spread, within=icc, between=icc * self.decay, subject=self.subject
            )
            return {"clusters and people": squared / per_step}

        return LevelFrame(
            arms=_two_arms(names, treated, seen - treated),
            count=seen * per_step * size,
            drawn=clusters,
            clustered=True,
            strata=1,
            formula=f"stepped wedge of {len(z)} steps over {z.shape[1]} periods, generalised least squares",
            notes=("people are counted in each period",),
            parts_of=parts,
            dof=lambda covariates: clusters - 2.0 - covariates,
        )


def _spreads(model: OutcomeModel, components: Components, z: Floats, time: Floats, effect: float) -> Floats:
    """Variance of one person by cluster and period, (rows, periods); that of a share follows the mean of its cell."""
    base = getattr(model, "base", None)
    total = [people + clusters for people, clusters in zip(*components, strict=True)]
    if base is None or not time.any():
        return np.where(np.nan_to_num(z) > 0.0, total[0], total[1])
    shares = base + time + effect * np.nan_to_num(z)
    if shares.min() <= 0.0 or shares.max() >= 1.0:
        raise DesignError(f"a base of {base:g} with this trend and effect leaves (0, 1). State them as shares.")
    # What covariates leave of a share's variance is left of it in every cell.
    left = total[1] / model.variances(0.0)[1]
    return np.asarray(left * shares * (1.0 - shares), dtype=np.float64)


def _pattern(steps: int | None, pattern: Any) -> tuple[tuple[float | None, ...], ...]:
    if (steps is None) == (len(tuple(pattern)) == 0):
        raise DesignError("WedgeSizes takes either `steps` or a `pattern` of 0 and 1.")
    if steps is not None:
        positive_int(steps, name="steps", least=1)
        return tuple(tuple(float(t > s) for t in range(steps + 1)) for s in range(steps))
    rows = tuple(tuple(row) for row in pattern if isinstance(row, Iterable))
    if not rows or len({len(row) for row in rows}) != 1 or any(x not in (0, 1, None) for row in rows for x in row):
        raise DesignError("pattern must be rows of equal length of 0, 1 and None, one for each group of clusters.")
    return tuple(tuple(None if x is None else float(x) for x in row) for row in rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaturationSizes:
    """Two stages: areas are drawn to saturations, then people within areas (Baird, Bohren, McIntosh & Ozler 2018).

    Parameters
    ----------
    levels : sequence of (saturation, share of areas)
        One of them 0, the pure control; the shares add up to 1.
    count, size : float, optional
        Areas, and people in each; one may be left out in `sample_size`.
    effect : {"treated", "untreated"}
        That on people treated in treated areas, or the spillover on those beside them; both against pure controls.

    Notes
    -----
    Random area effects with the outcome's icc; areas less two degrees of freedom (the source takes a normal reference).

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Complete(kk.arms(control=1, coaching=1))
    >>> areas = kk.SaturationSizes(levels=((0, 0.25), (0.25, 0.25), (0.5, 0.25), (0.75, 0.25)), count=80, size=40)
    >>> round(kk.detectable_effect(design, areas, kk.Mean(sd=1.0, icc=0.05)).value, 4)
    0.2094
    """

    levels: tuple[tuple[float, float], ...]
    count: float | None = None
    size: float | None = None
    effect: str = "treated"

    def __post_init__(self) -> None:
        one_open("SaturationSizes", count=self.count, size=self.size)
        choice(self.effect, ("treated", "untreated"), name="effect")
        object.__setattr__(self, "levels", _levels(self.levels))
        if self.effect == "untreated" and all(level in (0.0, 1.0) for level, _ in self.levels):
            raise DesignError("with saturations of 0 and 1 only, nobody is untreated in a treated area.")

    @property
    def unknown(self) -> str | None:
        """What is left open."""
        return "areas" if self.count is None else "people per area" if self.size is None else None

    @property
    def least(self) -> float:
        """Three areas, or a person."""
        return 3.0 if self.count is None else 1.0

    def at(self, value: float) -> SaturationSizes:
        """Return the sizes with the open one filled in."""
        return replace(self, count=value) if self.count is None else replace(self, size=value)

    def frame(self, design: object, outcome: OutcomeModel) -> LevelFrame:
        """Return the frame of those compared: in treated areas, and pure controls."""
        areas, size = known_sizes("SaturationSizes", self.count, self.size)
        needs_icc(outcome)
        names = (getattr(design, "people_arms", None) or arms_of(design)).names
        if len(names) != 2:
            raise DesignError(f"a saturation design has two arms within areas; the design has {len(names)}.")
        pure = sum(share for level, share in self.levels if level == 0.0)
        treated = sum(level * share for level, share in self.levels)
        compared = treated if self.effect == "treated" else 1.0 - pure - treated

        def parts(model: OutcomeModel, components: Components, pair: Pair, seen: Pair, _: float) -> Parts:
            within = tuple(v / s for v, s in zip(components[0], seen, strict=True))
            found = saturation_variances(self.levels, clusters=areas, size=size, between=components[1], within=within)
            return {"areas and people": found[self.effect]}

        return LevelFrame(
            arms=_two_arms(names, compared, pure),
            count=areas * size * (compared + pure),
            drawn=areas,
            clustered=True,
            strata=1,
            formula=f"saturations, effect on the {self.effect} in treated areas (Baird et al. 2018)",
            notes=("only those compared are counted as people",),
            parts_of=parts,
            dof=lambda covariates: areas - 2.0 - covariates,
        )


def _levels(levels: Any) -> tuple[tuple[float, float], ...]:
    rows = tuple(levels.items()) if hasattr(levels, "items") else tuple(levels)
    if any(not isinstance(row, Sequence) or len(row) != 2 for row in rows):
        raise DesignError("levels must be pairs (saturation, share of areas), such as ((0, 0.5), (0.5, 0.5)).")
    found = tuple(
        (
            between(level, 0.0, 1.0, name="a saturation", closed=True),
            between(share, 0.0, 1.0, name="a share of areas"),
        )
        for level, share in rows
    )
    if abs(sum(share for _, share in found) - 1.0) > 1e-9:
        raise DesignError("the shares of areas must add up to 1.")
    if {level for level, _ in found} <= {0.0} or all(level > 0.0 for level, _ in found):
        raise DesignError("levels need pure controls (a saturation of 0) and at least one saturation above 0.")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class PartlyNested:
    """Only the treated are grouped: courses, coaches, clubs (Moerbeek & Wong 2008).

    Parameters
    ----------
    groups, size, controls : float, optional
        Groups of treated people, people in each, and people in the reference arm; one may be left out in `sample_size`.
    icc : float
        Share of the variance in the treated arm that lies between groups.

    Notes
    -----
    s_1^2 [1 + (m - 1) icc] / (k m) + s_0^2 / n_0; the degrees of freedom are Satterthwaite's of groups and controls.

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Complete(kk.arms(control=1, course=1))
    >>> courses = kk.PartlyNested(groups=10, size=10, icc=0.1)
    >>> kk.sample_size(design, kk.Mean(sd=1.0), effect=0.5, sizes=courses, test=kk.Superiority(method="normal")).n_arms
    {'control': 78.0, 'course': 100.0}
    """

    groups: float | None = None
    size: float | None = None
    controls: float | None = None
    icc: float

    def __post_init__(self) -> None:
        one_open("PartlyNested", groups=self.groups, size=self.size, controls=self.controls)
        between(self.icc, 0.0, 1.0, name="icc", closed=True)

    @property
    def unknown(self) -> str | None:
        """What is left open."""
        if self.groups is None:
            return "groups"
        return "people per group" if self.size is None else "controls" if self.controls is None else None

    @property
    def least(self) -> float:
        """Two groups, two controls, or a person."""
        return 1.0 if self.size is None and self.groups is not None else 2.0

    def at(self, value: float) -> PartlyNested:
        """Return the sizes with the open one filled in."""
        if self.groups is None:
            return replace(self, groups=value)
        return replace(self, size=value) if self.size is None else replace(self, controls=value)

    def frame(self, design: object, outcome: OutcomeModel) -> LevelFrame:
        """Return the frame."""
        groups, size, controls = known_sizes("PartlyNested", self.groups, self.size, self.controls)
        if outcome.states_clusters:
            raise DesignError("PartlyNested states the icc of its groups; leave icc out of the outcome.")
        names = arms_of(design).names
        if draws_clusters(design):
            raise DesignError("PartlyNested is for people drawn one by one, the treated being grouped; drop Clustered.")
        if len(names) != 2:
            raise DesignError(f"PartlyNested compares two arms; the design has {len(names)}.")

        def halves(components: Components, seen: Pair) -> Pair:
            (arm, reference), _ = components
            grouped = arm * (self.icc / groups + (1.0 - self.icc) / (groups * size * seen[0]))
            return grouped, reference / (controls * seen[1])

        def parts(model: OutcomeModel, components: Components, pair: Pair, seen: Pair, _: float) -> Parts:
            grouped, single = halves(components, seen)
            return {"groups": grouped, "people": single}

        def dof(covariates: int) -> float:
            even = outcome.components(outcome.natural(0.0), (groups * size, controls))
            grouped, single = halves(even, (1.0, 1.0))
            rule = (grouped + single) ** 2 / (grouped**2 / (groups - 1.0) + single**2 / (controls - 1.0))
            return rule - covariates if groups > 1.0 and controls > 1.0 else 0.0

        return LevelFrame(
            arms=_two_arms(names, groups * size, controls),
            count=groups * size + controls,
            drawn=groups * size + controls,
            clustered=False,
            strata=1,
            formula="groups in the treated arm only (Moerbeek & Wong 2008)",
            parts_of=parts,
            dof=dof,
            counts_units=False,
        )
