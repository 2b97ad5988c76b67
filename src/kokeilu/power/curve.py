"""Simulated power: the draws, and the questions they answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from kokeilu._checks import between
from kokeilu.core.population import frozen_array
from kokeilu.core.protocols import Floats
from kokeilu.core.results import Rows, text_table
from kokeilu.errors import DesignError
from kokeilu.power.trials import Trials, wilson

__all__ = ["PowerCurve", "wilson"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PowerCurve(Rows):
    """Simulated power at every effect, from one set of draws.

    Attributes
    ----------
    arm, reference : str
    effects : tuple of float
        The effects asked for, in the units of the outcome, on top of what the world has.
    alpha : float
    estimates, errors, critical, truth : float64 arrays, shape (draws,)
        Of each draw at no added effect: estimate, standard error, critical value, and the world's own effect.
    dof : float64 array, shape (draws,), or None
        Degrees of freedom of each draw.
    upper, lower : float64 arrays, shape (draws,)
        Sorted thresholds: a draw rejects at an effect above its upper or below its lower one.
    """

    arm: str
    reference: str
    effects: tuple[float, ...]
    alpha: float
    estimates: Floats
    errors: Floats
    critical: Floats
    truth: Floats
    upper: Floats
    lower: Floats
    dof: Floats | None = None

    @classmethod
    def of(
        cls,
        *,
        arm: str,
        reference: str,
        effects: tuple[float, ...],
        alpha: float,
        columns: tuple[Floats, Floats, Floats, Floats],
        dof: Floats | None = None,
    ) -> PowerCurve:
        """Return the curve of draws: (estimates, errors, critical values, true effects)."""
        estimates, errors, critical, truth = (frozen_array(column) for column in columns)
        return cls(
            arm=arm,
            reference=reference,
            effects=effects,
            alpha=alpha,
            estimates=estimates,
            errors=errors,
            critical=critical,
            truth=truth,
            upper=frozen_array(np.sort(critical * errors - estimates)),
            lower=frozen_array(np.sort(-critical * errors - estimates)),
            dof=None if dof is None else frozen_array(dof),
        )

    @property
    def draws(self) -> int:
        """Number of simulated trials."""
        return len(self.estimates)

    @property
    def size(self) -> float:
        """Share of draws that reject when no effect is added."""
        return self.power_at(0.0)

    @property
    def bias(self) -> float:
        """Mean of estimate less true effect; its Monte Carlo error is `sd` / √draws."""
        return float((self.estimates - self.truth).mean())

    @property
    def sd(self) -> float:
        """Standard deviation of estimate less true effect over draws: the true standard error."""
        return float((self.estimates - self.truth).std(ddof=1))

    @property
    def mean_error(self) -> float:
        """Mean of the standard errors that the draws reported."""
        return float(self.errors.mean())

    @property
    def coverage(self) -> float:
        """Share of draws whose 1 − alpha interval holds the true effect."""
        return float((np.abs(self.estimates - self.truth) <= self.critical * self.errors).mean())

    def power_at(self, effect: float) -> float:
        """Return the share of draws that reject when `effect` is added."""
        above = np.searchsorted(self.upper, effect, side="left")
        below = self.draws - np.searchsorted(self.lower, effect, side="right")
        return float(above + below) / self.draws

    def at(self, effect: float) -> Trials:
        """Return what the draws found when `effect` is added: power, bias, coverage, type S and M."""
        return Trials(
            effect=effect,
            alpha=self.alpha,
            estimates=self.estimates + effect,
            truth=self.truth + effect,
            errors=self.errors,
            critical=self.critical,
            dof=self.dof,
        )

    def detectable_effect(self, power: float = 0.80, level: float = 0.95) -> tuple[float, float, float]:
        """Return the smallest positive effect with this power, and its interval for infinitely many draws.

        The interval is that of a quantile by order statistics of the upper thresholds; `inf` where `draws`
        are too few for an upper end.

        Raises
        ------
        DesignError
            Where `power` is not above the share that rejects without an effect.
        """
        between(power, 0.0, 1.0, name="power")
        between(level, 0.0, 1.0, name="level")
        if power <= self.size:
            raise DesignError(f"without an effect the test already rejects in {self.size:.3f} of draws; ask for more.")
        far = self.draws - np.searchsorted(self.lower, self.upper, side="right")
        reached = (np.arange(1, self.draws + 1) + far) / self.draws >= power - 1e-12
        rank = int(np.argmax(reached & (self.upper > 0)))
        share = power - far[rank] / self.draws
        low, high = (int(stats.binom.ppf(q, self.draws, share)) for q in ((1 - level) / 2, (1 + level) / 2))
        ends = (
            float(self.upper[max(low - 1, 0)]),
            float(self.upper[high]) if high < self.draws else math.inf,
        )
        return float(self.upper[rank]), *ends

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each effect: power, its Monte Carlo error and 95 % Wilson interval, type S and type M."""
        names = {"contrast": f"{self.arm} - {self.reference}"}
        return [names | self.at(effect).row() for effect in self.effects]

    def facts(self, effect: float = 0.0) -> list[dict[str, Any]]:
        """Return one row for each fact at an effect, with its Monte Carlo error and 95 % interval."""
        return self.at(effect).facts()

    def line(self) -> tuple[str, list[tuple[float, float, float, float]]]:
        """Return the axis, and effect, power, and its 95 % interval, at 101 effects over the range asked for."""
        low, high = min(0.0, *self.effects), max(0.0, *self.effects)
        points = [(e, self.power_at(e)) for e in np.linspace(low, high, 101).tolist()] if high > low else []
        return "effect", [(e, power, *wilson(power, self.draws)) for e, power in points]

    def __str__(self) -> str:
        doubt = self.sd / math.sqrt(self.draws)
        return "\n".join(
            [
                text_table(self.rows()),
                f"size {self.size:.3f}, coverage {self.coverage:.3f}, bias {self.bias:.3g} (± {doubt:.2g})",
                f"SD of the estimates {self.sd:.4g}, mean standard error {self.mean_error:.4g}",
            ]
        )
