"""What simulated trials found at one effect, with the Monte Carlo error of each number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from kokeilu.core.protocols import Floats

__all__ = ["Fact", "Trials", "wilson"]

LEVEL = 0.95
TIE = 1e-12


def wilson(share: float, draws: float, level: float = LEVEL) -> tuple[float, float]:
    """Return Wilson's (1927) interval of a share of `draws`."""
    z2 = float(stats.norm.isf((1 - level) / 2)) ** 2
    centre = (share + z2 / (2 * draws)) / (1 + z2 / draws)
    half = math.sqrt(z2 * (share * (1 - share) / draws + z2 / (4 * draws**2))) / (1 + z2 / draws)
    return max(0.0, centre - half), min(1.0, centre + half)


class Fact(NamedTuple):
    """A number with its Monte Carlo error and 95 % interval; NaN where it is not defined."""

    value: float
    error: float
    low: float
    high: float

    @classmethod
    def share(cls, hits: NDArray[np.bool_]) -> Fact:
        """A share of draws: at 0 and 1 the error is that of Wilson's interval."""
        draws, share = len(hits), float(hits.mean()) if len(hits) else math.nan
        if not draws:
            return cls(math.nan, math.nan, math.nan, math.nan)
        low, high = wilson(share, draws)
        error = math.sqrt(share * (1 - share) / draws)
        if share in (0.0, 1.0):
            error = (high - low) / (2 * float(stats.norm.isf((1 - LEVEL) / 2)))
        return cls(share, error, low, high)

    @classmethod
    def mean(cls, values: Floats) -> Fact:
        """A mean over draws."""
        if len(values) < 2:
            return cls(float(values.mean()) if len(values) else math.nan, math.nan, math.nan, math.nan)
        return cls._normal(float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values)))

    @classmethod
    def spread(cls, values: Floats) -> Fact:
        """A standard deviation over draws; its error is sqrt((m4 - s^4) / B) / (2 s)."""
        sd = float(values.std(ddof=1))
        fourth = float(((values - values.mean()) ** 4).mean())
        error = math.sqrt(max(fourth - sd**4, 0.0) / len(values)) / (2.0 * sd) if sd > 0.0 else 0.0
        return cls._normal(sd, error)

    @classmethod
    def exact(cls, value: float) -> Fact:
        """A number without Monte Carlo error."""
        return cls(value, 0.0, value, value)

    @classmethod
    def _normal(cls, value: float, error: float) -> Fact:
        half = float(stats.norm.isf((1 - LEVEL) / 2)) * error
        return cls(value, error, value - half, value + half)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trials:
    """Simulated trials at one effect.

    Attributes
    ----------
    effect, alpha : float
    estimates, truth : float64 arrays, shape (draws,)
        Estimate, and the true average effect among the people of each draw.
    errors, critical : float64 arrays, shape (draws,), or None
        Standard errors and critical values; None for a randomisation test.
    dof : float64 array, shape (draws,), or None
    p_values : float64 array, shape (draws,), or None
        Of a randomisation test.
    chances : float64 array, shape (draws,), or None
        Probability of each draw, where they are all that there are; power is then exact.
    """

    effect: float
    alpha: float
    estimates: Floats
    truth: Floats
    errors: Floats | None = None
    critical: Floats | None = None
    dof: Floats | None = None
    p_values: Floats | None = None
    chances: Floats | None = None

    @property
    def draws(self) -> int:
        """Number of simulated trials."""
        return len(self.estimates)

    @property
    def rejects(self) -> NDArray[np.bool_]:
        """Which draws reject the hypothesis of no effect."""
        if self.p_values is not None:
            return np.asarray(self.p_values <= self.alpha + TIE)
        if self.errors is None or self.critical is None:
            return np.zeros(self.draws, dtype=bool)
        return np.asarray(np.abs(self.estimates) > self.critical * self.errors)

    def p(self) -> Floats:
        """Return the two-sided p-value of each draw, (draws,)."""
        if self.p_values is not None:
            return self.p_values
        dof = np.full(self.draws, np.inf) if self.dof is None else self.dof
        errors = np.ones(self.draws) if self.errors is None else self.errors
        return np.asarray(2.0 * stats.t.sf(np.abs(self.estimates) / errors, np.maximum(dof, 1e-3)))

    @property
    def power(self) -> Fact:
        """Share of draws that reject."""
        if self.chances is not None:
            return Fact.exact(float(self.chances @ self.rejects))
        return Fact.share(self.rejects)

    @property
    def bias(self) -> Fact:
        """Mean of estimate less true effect."""
        off = self.estimates - self.truth
        return Fact.mean(off) if self.chances is None else Fact.exact(float(self.chances @ off))

    @property
    def sd(self) -> Fact:
        """Standard deviation of estimate less true effect."""
        off = self.estimates - self.truth
        if self.chances is None:
            return Fact.spread(off)
        return Fact.exact(math.sqrt(float(self.chances @ (off - self.chances @ off) ** 2)))

    @property
    def mean_error(self) -> Fact | None:
        """Mean of the standard errors that the draws report; None for a randomisation test."""
        return None if self.errors is None else Fact.mean(self.errors)

    @property
    def coverage(self) -> Fact | None:
        """Share of draws whose 1 - alpha interval holds the true effect; None for a randomisation test."""
        if self.errors is None or self.critical is None:
            return None
        return Fact.share(np.abs(self.estimates - self.truth) <= self.critical * self.errors)

    @property
    def type_s(self) -> Fact | None:
        """Share of the draws that reject whose estimate has the wrong sign (Gelman & Carlin 2014)."""
        found, truth = self._found()
        if found is None:
            return None
        wrong = self.estimates[found] * truth < 0.0
        if self.chances is not None:
            return Fact.exact(float(self.chances[found] @ wrong / self.chances[found].sum()))
        return Fact.share(wrong)

    @property
    def type_m(self) -> Fact | None:
        """Mean size of the estimates that reject, in true effects (Gelman & Carlin 2014)."""
        found, truth = self._found()
        if found is None:
            return None
        times = np.abs(self.estimates[found] / truth)
        if self.chances is not None:
            return Fact.exact(float(self.chances[found] @ times / self.chances[found].sum()))
        return Fact.mean(times)

    def _found(self) -> tuple[NDArray[np.bool_] | None, float]:
        """Draws that reject and the average true effect; None where either is not to be had."""
        truth, rejects = float(self.truth.mean()), self.rejects
        scale = float(np.abs(self.estimates).max(initial=0.0))
        return (rejects, truth) if abs(truth) > 1e-9 * scale and rejects.any() else (None, truth)

    def row(self) -> dict[str, Any]:
        """Return power with its Monte Carlo error and interval, type S and type M."""
        power, kinds = self.power, (self.type_s, self.type_m)
        return {
            "effect": self.effect,
            "power": power.value,
            "power_error": power.error,
            "low": power.low,
            "high": power.high,
            "type_s": None if kinds[0] is None else kinds[0].value,
            "type_m": None if kinds[1] is None else kinds[1].value,
            "draws": self.draws,
        }

    def facts(self) -> list[dict[str, Any]]:
        """Return one row for each fact: its value, Monte Carlo error and 95 % interval."""
        names = ("power", "bias", "sd", "mean_error", "coverage", "type_s", "type_m")
        found = {name: getattr(self, name) for name in names}
        return [{"fact": name} | fact._asdict() for name, fact in found.items() if fact is not None]
