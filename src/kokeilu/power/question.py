"""One question about power, and how it is answered: roots of the exact power function."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scipy import optimize

from kokeilu._checks import between, choice, positive_int
from kokeilu._kernels.noncentral import ALTERNATIVES, t_multiplier, t_power
from kokeilu.core.arms import Arms
from kokeilu.core.protocols import Floats
from kokeilu.errors import DesignError
from kokeilu.power.formula import Layout, variance_parts
from kokeilu.power.layout import LEAST_UNITS, Frame
from kokeilu.power.models import OutcomeModel
from kokeilu.power.results import Power, PowerRow, assumptions_of

__all__ = ["EDGE", "Question", "fewest_units", "round_up", "smallest"]

EDGE = 1.0 - 1e-12  # how near to a share of 0 or 1 a search may go
DIFFERS = 0.02  # a loss of power by fewer degrees of freedom that is told
RARE = 10.0  # people with (or without) the outcome in an arm below which the t reference is told to be rough
CEILING = 1e-9  # a count within this part of a whole number is that number


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is assumed and asked; checked completely when it is made."""

    outcome: OutcomeModel
    alpha: float
    alternative: str
    covariates: int
    target: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.outcome, type) or not callable(getattr(self.outcome, "variances", None)):
            raise DesignError(
                f"outcome must be a model such as Mean(sd=…) or Proportion(base=…); got {type(self.outcome).__name__}."
            )
        between(self.alpha, 0.0, 1.0, name="alpha")
        choice(self.alternative, ALTERNATIVES, name="alternative")
        positive_int(self.covariates, name="the number of covariates", least=0)
        if self.target is not None and between(self.target, 0.0, 1.0, name="power") <= self.alpha:
            raise DesignError(
                f"a power of {self.target:g} is not above alpha ({self.alpha:g}), which no effect at all "
                "attains. Ask for a higher power."
            )

    @property
    def sign(self) -> int:
        """Direction of the effect looked for."""
        return -1 if self.alternative == "less" else 1

    def dof(self, layout: Layout) -> float:
        """Degrees of freedom, or the refusal that names what takes them."""
        dof = layout.dof(self.covariates)
        if dof > 0:
            return dof
        unit = "people" if layout.clusters is None else "clusters"
        blocks = f" in {layout.strata:,} strata" if layout.strata > 1 else ""
        raise DesignError(
            f"{layout.units:,.4g} {unit}{blocks} leave {layout.dof():,.4g} degrees of freedom; "
            f"{self.covariates:,} covariates leave {dof:,.4g}. Use fewer covariates or strata, or more "
            f"{unit}."
        )

    def power(self, layout: Layout, effect: float) -> float:
        """Return the power of one contrast at an effect."""
        error = math.sqrt(sum(variance_parts(layout, self.outcome, effect).values()))
        return float(t_power(effect / error, self.dof(layout), self.alpha, self.alternative))

    def detectable(self, layout: Layout, sign: int) -> float | None:
        """The signed effect whose power is the target; None where no possible effect has it."""
        target = self.target or 0.0
        toward = self.alternative if self.alternative == "two-sided" or sign == self.sign else "two-sided"
        reach = self.outcome.reach(sign)
        if math.isinf(reach):  # the error does not move with the effect
            error = math.sqrt(sum(variance_parts(layout, self.outcome, 0.0).values()))
            return sign * error * t_multiplier(self.dof(layout), self.alpha, target, toward)
        if self.power(layout, sign * reach * EDGE) < target:
            return None
        root = optimize.brentq(
            lambda d: self.power(layout, sign * d) - target, 0.0, reach * EDGE, xtol=1e-15, rtol=1e-14
        )
        return sign * float(root)

    def row(self, frame: Frame, arm: int, reference: int, effect: float) -> PowerRow:
        """Return the facts of one contrast at an effect."""
        layout = frame.layout(arm, reference)
        parts = variance_parts(layout, self.outcome, effect)
        down = self.detectable(layout, -1) if self.target and self.alternative == "two-sided" else None
        return PowerRow(
            arm=frame.arms.names[arm],
            reference=frame.arms.names[reference],
            effect=effect,
            effect_sd=effect / self.outcome.scale,
            decrease=down,
            power=self.power(layout, effect),
            n=layout.people,
            clusters=layout.clusters,
            error=math.sqrt(sum(parts.values())),
            dof=self.dof(layout),
            parts=tuple(parts.items()),
        )

    def finding(self, quantity: str, frame: Frame, rows: tuple[PowerRow, ...], chosen: int) -> Power:
        """Return the finding made of the rows of its contrasts."""
        return Power(
            quantity=quantity,
            outcome=self.outcome,
            contrasts=rows,
            chosen=chosen,
            alpha=self.alpha,
            alternative=self.alternative,
            target=self.target,
            people=_named(frame.arms, frame.people),
            clusters=_named(frame.arms, frame.units) if frame.clustered else None,
            strata=frame.strata,
            formula=frame.formula,
            assumptions=(
                *assumptions_of(self.outcome, self.covariates, frame.notes),
                *self._doubts(frame, rows[chosen]),
            ),
        )

    def _doubts(self, frame: Frame, row: PowerRow) -> tuple[str, ...]:
        """Say where the analysis of `estimate_effects` will have another power than the formula."""
        doubts = []
        arm, reference = frame.arms.index(row.arm), frame.arms.index(row.reference)
        dof = frame.analysed_dof(arm, reference, self.outcome.variances(row.effect))
        if dof is not None and dof < row.dof:
            power = float(t_power(row.effect / row.error, dof, self.alpha, self.alternative))
            if row.power - power > DIFFERS:
                doubts.append(
                    f"few units in an arm or stratum: the analysis will have about {dof:.1f} degrees of freedom, not "
                    f"{row.dof:,.4g}, and by them a power of {power:.2f} (simulate_power tells)"
                )
        base = getattr(self.outcome, "base", None)
        shares = () if base is None else (base + row.effect, base)
        rare = min((min(n * p, n * (1.0 - p)) for n, p in zip(row.n, shares, strict=False)), default=RARE)
        if rare < RARE:
            doubts.append(
                f"only {rare:.1f} people of one kind are expected in an arm: t is a rough reference for so few "
                "(simulate_power tells)"
            )
        return tuple(doubts)


def _named(arms: Arms, by_stratum: Floats) -> tuple[tuple[str, float], ...]:
    totals = by_stratum.sum(axis=0)
    return tuple((name, float(count)) for name, count in zip(arms.names, totals, strict=True))


def smallest(
    question: Question, frame_at: Callable[[float], Frame], pair: tuple[int, int], effect: float, least: float
) -> float:
    """Return the smallest x >= `least` at which `frame_at(x)` has the power asked for; not rounded.

    Degrees of freedom move with x, so the full equation is solved: bracketed by doubling, then Brent in ln x.
    """
    target = question.target or 0.0

    def short(log_x: float) -> float:
        return question.power(frame_at(math.exp(log_x)).layout(*pair), effect) - target

    low = math.log(least)
    if short(low) >= 0:
        return least
    high = low + math.log(2.0)
    while short(high) < 0:
        low, high = high, high + math.log(2.0)
    return math.exp(float(optimize.brentq(short, low, high, xtol=1e-14, rtol=1e-14)))


def fewest_units(question: Question, shares: Sequence[float], pair: tuple[int, int]) -> float:
    """Return the fewest units in all arms that leave a degree of freedom and two units in either arm."""
    arm, reference = (shares[k] for k in pair)
    return max(LEAST_UNITS / min(arm, reference), (question.covariates + 3.0) / (arm + reference)) * (1.0 + 1e-12)


def round_up(x: float) -> int:
    """Return x rounded up, where a hair above a whole number is that number."""
    return math.ceil(x - CEILING * max(1.0, abs(x)))
