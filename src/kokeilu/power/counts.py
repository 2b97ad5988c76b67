"""Counts over time at risk: days, spells, visits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from kokeilu._checks import between, choice
from kokeilu.core.registry import register
from kokeilu.errors import DesignError
from kokeilu.power.models import Components, Pair

__all__ = ["Count"]


@register("count")
@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A count compared by its rate, with a normal reference.

    Parameters
    ----------
    rate : float
        Events per unit of time in the reference arm.
    exposure : float, default 1
        Time at risk of one person.
    dispersion : float
        "poisson": variance over mean, 1 unless stated. "negbin": kappa of mean + kappa mean^2.
    kind : {"poisson", "negbin"}
    scale_of : {"ratio", "difference"}
        What an effect is: a ratio of rates (1 is none), tested on its logarithm, or a difference of rates.
    cluster_cv : float, optional
        Coefficient of variation of the true rates between clusters (Hayes & Bennett 1999). Required for a clustered
        design, an error for any other.

    Notes
    -----
    Var(ln ratio) per person: dispersion / (rate exposure), or 1 / (rate exposure) + kappa (Zhu 2016), at the rates of
    the alternative for both hypotheses.

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Complete(kk.arms(control=1, coaching=1))
    >>> kk.sample_size(design, kk.Count(rate=2.0), effect=0.9).value
    1494
    """

    rate: float
    exposure: float = 1.0
    dispersion: float | None = None
    kind: str = "poisson"
    scale_of: str = "ratio"
    cluster_cv: float | None = None

    def __post_init__(self) -> None:
        between(self.rate, 0.0, math.inf, name="rate")
        between(self.exposure, 0.0, math.inf, name="exposure")
        choice(self.kind, ("poisson", "negbin"), name="kind")
        choice(self.scale_of, ("ratio", "difference"), name="scale_of")
        if self.kind == "negbin" and self.dispersion is None:
            raise DesignError("a negative binomial count needs its dispersion kappa, the variance being m + kappa m^2.")
        if self.kind == "poisson" and self.dispersion is not None:
            between(self.dispersion, 0.0, 1e6, name="dispersion (variance over mean)")
        for name in ("dispersion", "cluster_cv"):
            if getattr(self, name) is not None:
                between(getattr(self, name), 0.0, 1e6, name=name, closed=True)

    def to_data(self) -> dict[str, object]:
        """Return plain data; `kind` is written as `law`, for the record of a class says its own kind."""
        data: dict[str, object] = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "kind"}
        return {**data, "law": self.kind}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Count:
        """Rebuild from :meth:`to_data`."""
        return cls(**{"kind" if name == "law" else name: value for name, value in data.items()})

    @property
    def scale(self) -> float:
        """Standard deviation of a person's rate; of its logarithm for ratios."""
        return math.sqrt(self._variance(self.rate))

    @property
    def compared(self) -> str:
        """What the test compares, in words."""
        return "logarithm of the ratio of rates" if self.scale_of == "ratio" else "difference of rates"

    @property
    def normal(self) -> bool:
        """Always."""
        return True

    @property
    def scored(self) -> bool:
        """Never: the error is that of the alternative."""
        return False

    @property
    def states_clusters(self) -> bool:
        """Whether the variation between clusters is stated."""
        return self.cluster_cv is not None

    def reach(self, sign: int) -> float:
        """Return how far a rate can move: down to nought."""
        return self.rate if self.scale_of == "difference" and sign < 0 else math.inf

    def statistic(self, effect: float) -> float:
        """Return the logarithm of a ratio, or the difference."""
        if self.scale_of == "difference":
            return effect
        if not effect > 0.0:
            raise DesignError(f"a ratio of rates must be above 0, and 1 is no effect; got {effect:g}.")
        return math.log(effect)

    def natural(self, statistic: float) -> float:
        """Return the ratio, or the difference."""
        return statistic if self.scale_of == "difference" else math.exp(max(-700.0, min(statistic, 700.0)))

    def _arm(self, effect: float) -> float:
        self.statistic(effect)
        rate = self.rate + effect if self.scale_of == "difference" else self.rate * effect
        if rate <= 0.0:
            raise DesignError(
                f"a rate of {self.rate:g} and an effect of {effect:g} give a rate of {rate:g}, not above 0."
            )
        return rate

    def _variance(self, rate: float) -> float:
        mean = rate * self.exposure
        relative = (1.0 / mean + (self.dispersion or 0.0)) if self.kind == "negbin" else self._phi() / mean
        return relative if self.scale_of == "ratio" else relative * rate**2

    def _phi(self) -> float:
        return 1.0 if self.dispersion is None else self.dispersion

    def variances(self, effect: float) -> Pair:
        """Return the variance of one person's rate, or of its logarithm."""
        return self._variance(self._arm(effect)), self._variance(self.rate)

    def components(self, effect: float, n: Pair) -> Components:
        """Return it, and the variance of the clusters' true rates."""
        cv2 = (self.cluster_cv or 0.0) ** 2
        rates = (self._arm(effect), self.rate)
        between_clusters = (cv2, cv2) if self.scale_of == "ratio" else (cv2 * rates[0] ** 2, cv2 * rates[1] ** 2)
        return self.variances(effect), between_clusters

    def null_components(self, effect: float, boundary: float, n: Pair) -> Components | None:
        """Return nothing: the error is that of the alternative."""
        return None

    def offered(self, effect: float, taking: Pair) -> tuple[Count, float]:
        """Return the rate of the reference arm, and the effect of the offer, by those who take part."""
        rate = self._arm(effect)
        arm, reference = (share * rate + (1.0 - share) * self.rate for share in taking)
        itt = arm - reference if self.scale_of == "difference" else arm / reference
        return replace(self, rate=reference), itt

    def assumptions(self) -> tuple[str, ...]:
        """Say the rate and its variation."""
        spread = (
            f"dispersion {self._phi():g}" if self.kind == "poisson" else f"negative binomial kappa {self.dispersion:g}"
        )
        clusters = () if self.cluster_cv is None else (f"rates vary between clusters by a cv of {self.cluster_cv:g}",)
        return (f"rate {self.rate:g} in the reference arm over {self.exposure:g}", spread, *clusters)
