"""Simulated power where each effect is simulated: the same draws at every effect, and what they found."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from kokeilu._checks import between
from kokeilu.core.results import Rows, text_table
from kokeilu.errors import DesignError
from kokeilu.power.curve import PowerCurve
from kokeilu.power.trials import Trials

__all__ = ["ArmCurves", "PowerGrid"]

FAMILIES = (None, "bonferroni", "holm")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PowerGrid(Rows):
    """Simulated power at the effects asked for, each simulated with the same draws.

    Attributes
    ----------
    arm, reference : str
    effects : tuple of float
        The effects asked for, in the world's own units: a difference, a part, a difference of shares, a hazard ratio.
    none : float
        No effect: 0, or 1 for ratios.
    null : Trials
        The draws without an effect.
    found : tuple of Trials
        The draws at each effect.
    """

    arm: str
    reference: str
    effects: tuple[float, ...]
    alpha: float
    none: float
    null: Trials
    found: tuple[Trials, ...]

    @property
    def draws(self) -> int:
        """Number of simulated trials."""
        return self.null.draws

    @property
    def exact(self) -> bool:
        """Whether every assignment was gone through, so that there is no Monte Carlo error."""
        return self.null.chances is not None

    @property
    def size(self) -> float:
        """Share of draws that reject without an effect."""
        return self.null.power.value

    def at(self, effect: float) -> Trials:
        """Return the draws at an effect that was simulated.

        Raises
        ------
        DesignError
            Where it was not.
        """
        if effect == self.none:
            return self.null
        if effect not in self.effects:
            known = ", ".join(f"{e:g}" for e in self.effects)
            raise DesignError(f"an effect of {effect:g} was not simulated. Add it to effects; they are {known}.")
        return self.found[self.effects.index(effect)]

    def power_at(self, effect: float) -> float:
        """Return the share of draws that reject at an effect that was simulated."""
        return self.at(effect).power.value

    def detectable_effect(self, power: float = 0.80) -> tuple[float, float, float]:
        """Return the effect nearest to none with this power, and its 95 % interval, between the effects simulated.

        Straight lines join the powers of neighbouring effects on the side of the first effect asked for; the ends are
        where Wilson's limits reach the power, infinite where they do not.

        Raises
        ------
        DesignError
            Where no effect asked for reaches the power.
        """
        between(power, 0.0, 1.0, name="power")
        side = next((math.copysign(1.0, e - self.none) for e in self.effects if e != self.none), 1.0)
        near = [((e - self.none) * side, t) for e, t in self._all() if (e - self.none) * side >= 0.0]
        spots = sorted(near, key=lambda spot: spot[0])
        away = [distance for distance, _ in spots]
        value, late, early = (
            _crossing(away, [getattr(t.power, name) for _, t in spots], power) for name in ("value", "low", "high")
        )
        if math.isinf(value):
            most = max(t.power.value for _, t in spots)
            raise DesignError(f"no effect asked for has power {power:g}: the most is {most:.3f}. Add larger effects.")
        ends = sorted(self.none + side * d for d in (early, late))
        return self.none + side * value, ends[0], ends[1]

    def _all(self) -> list[tuple[float, Trials]]:
        return [
            (self.none, self.null),
            *((e, t) for e, t in zip(self.effects, self.found, strict=True) if e != self.none),
        ]

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each effect: power, its Monte Carlo error and 95 % Wilson interval, type S and type M."""
        names = {"contrast": f"{self.arm} - {self.reference}"}
        return [names | trials.row() for trials in self.found]

    def facts(self, effect: float | None = None) -> list[dict[str, Any]]:
        """Return one row for each fact at an effect, by default none, with its Monte Carlo error and 95 % interval."""
        return self.at(self.none if effect is None else effect).facts()

    def line(self) -> tuple[str, list[tuple[float, float, float, float]]]:
        """Return the axis, and effect, power, and its 95 % interval, at the effects simulated."""
        facts = [(effect, trials.power) for effect, trials in self._all()]
        return "effect", [
            (effect, fact.value, fact.low, fact.high) for effect, fact in sorted(facts, key=lambda fact: fact[0])
        ]

    def __str__(self) -> str:
        null = self.null
        doubt = f"(± {null.bias.error:.2g})" if not self.exact else "(over all assignments)"
        lines = [text_table(self.rows()), f"size {self.size:.3f}, bias {null.bias.value:.3g} {doubt}"]
        if null.coverage is not None and null.mean_error is not None:
            lines.append(
                f"coverage {null.coverage.value:.3f}, SD of the estimates {null.sd.value:.4g}, "
                f"mean standard error {null.mean_error.value:.4g}"
            )
        return "\n".join(lines)


def _crossing(away: list[float], powers: list[float], target: float) -> float:
    """Where a line through the points first reaches the target; infinite where it does not."""
    for place in range(len(away)):
        if powers[place] < target:
            continue
        if place == 0 or powers[place] == powers[place - 1]:
            return away[place]
        part = (target - powers[place - 1]) / (powers[place] - powers[place - 1])
        return away[place - 1] + part * (away[place] - away[place - 1])
    return math.inf


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArmCurves(Rows):
    """Simulated power of several arms against the reference, from the same draws.

    Attributes
    ----------
    curves : tuple of PowerCurve or PowerGrid
        One for each arm.
    alpha : float
    """

    curves: tuple[PowerCurve | PowerGrid, ...]
    alpha: float

    def __getitem__(self, arm: str) -> PowerCurve | PowerGrid:
        for curve in self.curves:
            if curve.arm == arm:
                return curve
        raise DesignError(f"arm {arm!r} was not simulated; there are {', '.join(repr(c.arm) for c in self.curves)}.")

    @property
    def draws(self) -> int:
        """Number of simulated trials."""
        return self.curves[0].draws

    def power(self, place: int, *, target: str = "any", family: str | None = "holm") -> float:
        """Return the share of draws that find any arm, or all, at the effects that were asked for at this place.

        Parameters
        ----------
        place : int
            Place in `effects`.
        target : {"any", "all"}
        family : {"holm", "bonferroni"} or None
            How p-values of the arms are adjusted (Holm 1979).
        """
        if target not in ("any", "all") or family not in FAMILIES:
            raise DesignError("target must be 'any' or 'all', and family 'holm', 'bonferroni' or None.")
        trials = [curve.at(curve.effects[place]) for curve in self.curves]
        p = np.sort(np.stack([one.p() for one in trials]), axis=0)
        count = len(p)
        steps = {None: np.ones(count), "bonferroni": np.full(count, float(count)), "holm": np.arange(count, 0.0, -1.0)}
        hits = p * steps[family][:, None] <= self.alpha
        found = hits[0] if target == "any" else hits.all(axis=0)
        chances = trials[0].chances
        return float(found.mean() if chances is None else chances @ found)

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each place in `effects` and arm, with the power to find any and all by Holm's rule."""
        out = []
        for place in range(len(self.curves[0].effects)):
            joint = {f"power_{target}": self.power(place, target=target) for target in ("any", "all")}
            out += [curve.rows()[place] | joint for curve in self.curves]
        return out
