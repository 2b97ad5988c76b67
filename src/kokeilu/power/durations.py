"""Time until exit from unemployment: hazard ratios, and mean days up to a horizon."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from scipy import optimize

from kokeilu._checks import between, choice
from kokeilu._kernels.hazards import event_share, restricted_mean, restricted_variance
from kokeilu.core.registry import register
from kokeilu.errors import DesignError
from kokeilu.power.models import Components, Pair, Split

__all__ = ["Duration", "RestrictedMean"]

VARIANCES = ("lachin_foulkes", "schoenfeld")


def _pieces(hazards: Any, lengths: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    h = tuple(hazards) if isinstance(hazards, Iterable) else (hazards,)
    d = tuple(lengths) if isinstance(lengths, Iterable) else (lengths,)
    rates = tuple(between(x, 0.0, 1e12, name="a hazard", closed=True) for x in h)
    spans = tuple(between(x, 0.0, 1e12, name="a length") for x in d)
    if len(rates) != len(spans) + 1:
        raise DesignError(
            f"{len(rates)} hazards need {len(rates) - 1} lengths (the last hazard has no end); got {len(spans)}. "
            "Lengths are how long each hazard holds, not when it ends."
        )
    if not any(rates):
        raise DesignError("with hazards of 0 nobody ever leaves; state a hazard above 0.")
    return rates, spans


@register("duration")
@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """Time until an event compared by the log-rank test, with a normal reference.

    Effects are hazard ratios: above 1 the event comes sooner (for exits into work a good thing), 1 is none.

    Parameters
    ----------
    hazards : float or sequence of float, optional
        Hazard in the reference arm per unit of time; several where it changes with duration, as exit hazards do.
    lengths : sequence of float
        How long each hazard but the last holds.
    study : float, optional
        Time from the first entry to the analysis.
    accrual : float, default 0
        Entry is spread evenly over this long from the start.
    dropout : float, default 0
        Hazard of being lost from sight.
    competing : float, default 0
        Hazard of exits of another kind, for the test of one cause.
    event_share : float, optional
        Share of people whose event is seen, in place of all the others; 1 asks for a number of events.
    variance : {"lachin_foulkes", "schoenfeld"}
        Lachin & Foulkes (1986): errors of log hazard ratios under either hypothesis, from the events expected in each
        arm. Schoenfeld (1981): one number of events, at the mean share of events.

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Complete(kk.arms(control=1, coaching=1))
    >>> spells = kk.Duration(hazards=(0.10, 0.06, 0.03), lengths=(3, 9), study=24, accrual=12)  # months
    >>> kk.sample_size(design, spells, effect=1.25).value
    930
    """

    hazards: tuple[float, ...] | float = ()
    lengths: tuple[float, ...] = ()
    study: float | None = None
    accrual: float = 0.0
    dropout: float = 0.0
    competing: float = 0.0
    event_share: float | None = None
    variance: str = "lachin_foulkes"

    def __post_init__(self) -> None:
        choice(self.variance, VARIANCES, name="variance")
        between(self.accrual, 0.0, 1e12, name="accrual", closed=True)
        between(self.dropout, 0.0, 1e12, name="dropout", closed=True)
        between(self.competing, 0.0, 1e12, name="competing", closed=True)
        stated = self.hazards != () and self.hazards is not None
        if stated == (self.event_share is not None):
            raise DesignError("Duration takes hazards and study, or event_share alone.")
        if self.event_share is not None:
            between(self.event_share, 0.0, 1.0 + 1e-15, name="event_share")
            if self.study is not None or self.accrual or self.dropout or self.competing or self.lengths:
                raise DesignError("event_share stands for hazards, study, accrual and losses; leave these out.")
            return
        rates, spans = _pieces(self.hazards, self.lengths)
        object.__setattr__(self, "hazards", rates)
        object.__setattr__(self, "lengths", spans)
        if self.study is None:
            raise DesignError("hazards need `study`: the time from the first entry to the analysis.")
        between(self.study, 0.0, 1e12, name="study")
        if self.accrual > self.study:
            raise DesignError(f"people would still enter ({self.accrual:g}) after the analysis ({self.study:g}).")
        if self.seen(1.0) <= 0.0:
            raise DesignError(f"with these hazards nobody leaves by {self.study:g}; follow people for longer.")

    @property
    def scale(self) -> float:
        """1: effects are logarithms of ratios."""
        return 1.0

    @property
    def compared(self) -> str:
        """What the test compares, in words."""
        return "log-rank test"

    @property
    def normal(self) -> bool:
        """Always."""
        return True

    @property
    def scored(self) -> bool:
        """Whether the null hypothesis has an error of its own."""
        return self.variance == "lachin_foulkes" and self.event_share is None

    @property
    def states_clusters(self) -> bool:
        """Never: durations within clusters are for simulate_power."""
        return False

    def reach(self, sign: int) -> float:
        """Return infinity."""
        return math.inf

    def statistic(self, effect: float) -> float:
        """Return the logarithm of the hazard ratio."""
        if not effect > 0.0:
            raise DesignError(f"a hazard ratio must be above 0, and 1 is no effect; got {effect:g}.")
        return math.log(effect)

    def natural(self, statistic: float) -> float:
        """Return the hazard ratio."""
        return math.exp(max(-700.0, min(statistic, 700.0)))

    def seen(self, ratio: float) -> float:
        """Return the share of people whose event is seen where hazards are `ratio` times the reference arm's."""
        if self.event_share is not None:
            return float(self.event_share)
        rates = tuple(ratio * h for h in self._rates())
        lost = self.dropout + self.competing
        return event_share(rates, self.lengths, study=float(self.study or 0.0), accrual=self.accrual, dropout=lost)

    def _rates(self) -> tuple[float, ...]:
        return self.hazards if isinstance(self.hazards, tuple) else (self.hazards,)

    def variances(self, effect: float) -> Pair:
        """Return 1 / share of events, by arm."""
        self.statistic(effect)
        return 1.0 / self.seen(effect), 1.0 / self.seen(1.0)

    def components(self, effect: float, n: Pair) -> Components:
        """Return the same, or at the mean share of events for Schoenfeld's."""
        if self.variance == "lachin_foulkes":
            return self.variances(effect), (0.0, 0.0)
        events = (n[0] * self.seen(effect) + n[1] * self.seen(1.0)) / sum(n)
        return (1.0 / events, 1.0 / events), (0.0, 0.0)

    def null_components(self, effect: float, boundary: float, n: Pair) -> Components | None:
        """Return that at the mean hazard of the arms, one `boundary` times the other (Lachin & Foulkes 1986)."""
        if not self.scored:
            return None
        reference = (n[0] * effect + n[1]) / (n[0] * boundary + n[1])
        return (1.0 / self.seen(reference * boundary), 1.0 / self.seen(reference)), (0.0, 0.0)

    def offered(self, effect: float, taking: Pair) -> tuple[Duration, float]:
        """Return the model itself; refuses shares that take part, for a mixture of hazards has no one ratio."""
        if taking != (1.0, 0.0):
            raise DesignError(
                "with incomplete take-up hazards are a mixture and no longer proportional. Use RestrictedMean, whose "
                "effect of the offer is a share of that of taking part, or simulate_power."
            )
        return self, effect

    def assumptions(self) -> tuple[str, ...]:
        """Say the hazards, entry and losses."""
        if self.event_share is not None:
            return (f"events seen for {self.event_share:.4g} of the people",)
        rates = ", ".join(f"{h:g}" for h in self._rates())
        spans = f" for lengths {', '.join(f'{d:g}' for d in self.lengths)}" if self.lengths else ""
        return (
            f"hazards {rates}{spans} in the reference arm",
            f"entry over {self.accrual:g}, analysis at {self.study:g}, loss {self.dropout + self.competing:g}",
            f"events seen for {self.seen(1.0):.3f} of the reference arm",
        )


@register("restricted_mean")
@dataclass(frozen=True, slots=True, kw_only=True)
class RestrictedMean(Split):
    """Days until exit, at most so many: compared by its mean, with everybody followed up to the horizon.

    Effects are differences of restricted means, in units of time; negative: exits come sooner.

    Parameters
    ----------
    hazards, lengths
        As for :class:`Duration`.
    horizon : float
        The longest time that is counted; registers follow everybody that long.
    r2, icc, cluster_r2
        As for :class:`Mean`.

    Notes
    -----
    The variance in the reference arm is Var min(T, horizon); in the other arm it is that of hazards multiplied so that
    the mean differs by the effect (Royston & Parmar 2013 with complete follow-up).

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Complete(kk.arms(control=1, coaching=1))
    >>> months = kk.RestrictedMean(hazards=(0.10, 0.06, 0.03), lengths=(3, 9), horizon=12)
    >>> round(kk.detectable_effect(design, 4000, months).decrease, 2)
    -0.4
    """

    hazards: tuple[float, ...] | float
    lengths: tuple[float, ...] = ()
    horizon: float
    r2: float = 0.0
    icc: float | None = None
    cluster_r2: float = 0.0

    def __post_init__(self) -> None:
        rates, spans = _pieces(self.hazards, self.lengths)
        object.__setattr__(self, "hazards", rates)
        object.__setattr__(self, "lengths", spans)
        between(self.horizon, 0.0, 1e12, name="horizon")
        self._check_shares()
        if self.horizon <= self._still():
            raise DesignError(f"with these hazards nobody leaves by {self.horizon:g}; count for longer.")

    def _still(self) -> float:
        """The time before which nobody leaves, whatever the hazards are multiplied by."""
        first = next(j for j, h in enumerate(self._rates()) if h > 0.0)
        return float(sum(self.lengths[:first]))

    def _rates(self) -> tuple[float, ...]:
        return self.hazards if isinstance(self.hazards, tuple) else (self.hazards,)

    @property
    def mean(self) -> float:
        """The restricted mean in the reference arm."""
        return restricted_mean(self.horizon, self._rates(), self.lengths)

    @property
    def scale(self) -> float:
        """The standard deviation in the reference arm."""
        return math.sqrt(restricted_variance(self.horizon, self._rates(), self.lengths))

    @property
    def normal(self) -> bool:
        """A plain mean has a t reference."""
        return False

    @property
    def scored(self) -> bool:
        """A plain mean is divided by its own error."""
        return False

    def reach(self, sign: int) -> float:
        """Return the distance to the horizon, or to the time before which nobody leaves."""
        return self.horizon - self.mean if sign > 0 else self.mean - self._still()

    def statistic(self, effect: float) -> float:
        """Return the difference."""
        return effect

    def natural(self, statistic: float) -> float:
        """Return the difference."""
        return statistic

    def ratio(self, effect: float) -> float:
        """Return by how much hazards are multiplied where the mean differs by the effect."""
        target = self.mean + effect
        if not self._still() < target < self.horizon:
            raise DesignError(
                f"a mean of {self.mean:.4g} and an effect of {effect:g} give {target:.4g}, not between "
                f"{self._still():g} and {self.horizon:g}."
            )

        def gap(log_ratio: float) -> float:
            rates = [math.exp(log_ratio) * h for h in self._rates()]
            return restricted_mean(self.horizon, rates, self.lengths) - target

        return math.exp(float(optimize.brentq(gap, -60.0, 60.0, xtol=1e-13)))

    def variances(self, effect: float) -> Pair:
        """Return Var min(T, horizon) in arm and reference."""
        own = restricted_variance(self.horizon, self._rates(), self.lengths)
        if effect == 0.0:
            return own, own
        times = self.ratio(effect)
        return restricted_variance(self.horizon, [times * h for h in self._rates()], self.lengths), own

    def components(self, effect: float, n: Pair) -> Components:
        """Return the variances split by the ICC."""
        return self.split(self.variances(effect))

    def null_components(self, effect: float, boundary: float, n: Pair) -> Components | None:
        """Return nothing: the error is that of the alternative."""
        return None

    def offered(self, effect: float, taking: Pair) -> tuple[RestrictedMean, float]:
        """Return the effect times the difference of the shares; a reference arm that takes part is refused."""
        if taking[1]:
            raise DesignError(
                "take-up in the reference arm changes its durations; state the hazards of that arm as it will be."
            )
        return self, effect * taking[0]

    def assumptions(self) -> tuple[str, ...]:
        """Say the hazards and what follows from them."""
        rates = ", ".join(f"{h:g}" for h in self._rates())
        spans = f" for lengths {', '.join(f'{d:g}' for d in self.lengths)}" if self.lengths else ""
        return (
            f"hazards {rates}{spans} in the reference arm",
            f"mean up to {self.horizon:g} {self.mean:.4g}, standard deviation {self.scale:.4g}",
            *self.shares_stated(),
        )
