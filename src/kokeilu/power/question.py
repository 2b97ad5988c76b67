"""One question about power, and how it is answered: roots of the exact power function."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scipy import optimize

from kokeilu._checks import between, positive_int
from kokeilu._kernels.noncentral import t_multiplier, t_power
from kokeilu.core.arms import Arms
from kokeilu.core.protocols import Floats
from kokeilu.errors import DesignError
from kokeilu.power.framed import Framed, Offer
from kokeilu.power.hypotheses import Equivalence, Hypothesis, NonInferiority, Superiority
from kokeilu.power.layout import LEAST_UNITS, Frame
from kokeilu.power.models import Mean, OutcomeModel, Pair
from kokeilu.power.reality import Reality
from kokeilu.power.results import Power, PowerRow
from kokeilu.power.scheme import Scheme

__all__ = ["EDGE", "Effects", "Question", "fewest_units", "round_up", "smallest"]

Effects = float | Mapping[str, float]
Rows = tuple[PowerRow, ...]

MEANS = "difference in means"
EDGE = 1.0 - 1e-12  # how near to a share of 0 or 1 a search may go
DIFFERS = 0.02  # a loss of power by fewer degrees of freedom that is told
SPARE = 60.0  # degrees of freedom below which a normal reference is told to be rough: t is 2 % farther out
RARE = 10.0  # people with (or without) the outcome in an arm below which the t reference is told to be rough
FARTHEST = math.log(1e14)  # people, clusters or blocks beyond which nothing is searched
CEILING = 1e-9  # a count within this part of a whole number is that number
STEP = 1.3  # between the effects at which a root is looked for
ASIDE = (1.0, 0.0)  # everybody in the arm takes part and nobody in the reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is assumed and asked; checked completely when it is made."""

    outcome: OutcomeModel
    test: Hypothesis
    covariates: int
    reality: Reality
    target: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.outcome, type) or not callable(getattr(self.outcome, "components", None)):
            raise DesignError(
                f"outcome must be a model such as Mean(sd=…) or Proportion(base=…); got {type(self.outcome).__name__}."
            )
        if isinstance(self.test, type) or not callable(getattr(self.test, "refuses", None)):
            raise DesignError(
                f"test must be one such as Superiority(…), NonInferiority(margin=…); got {type(self.test).__name__}."
            )
        if not isinstance(self.reality, Reality):
            raise DesignError(f"reality must be Reality(take_up=…, attrition=…); got {type(self.reality).__name__}.")
        if positive_int(self.covariates, name="the number of covariates", least=0) and self.outcome.normal:
            raise DesignError(
                f"covariates cost degrees of freedom, and this {type(self.outcome).__name__} has a normal reference, "
                "which has none to lose. Leave covariates out."
            )
        if self.target is not None and between(self.target, 0.0, 1.0, name="power") <= self.test.alpha:
            raise DesignError(
                f"a power of {self.target:g} is not above alpha ({self.test.alpha:g}), which no effect at all "
                "attains. Ask for a higher power."
            )

    @property
    def side(self) -> str:
        """Where effects are looked for."""
        return self.test.side(self.outcome.statistic)

    @property
    def sign(self) -> int:
        """Direction of the effect looked for."""
        return -1 if self.side == "less" else 1

    def framed(self, frame: Framed) -> Framed:
        """Return the frame with the people whose outcome is seen."""
        self.reality.check(frame.arms)
        lost = {name: self.reality.lost(name) for name in frame.arms.names}
        return frame.less(lost) if any(lost.values()) else frame

    def scheme(self, frame: Framed, arm: int, reference: int) -> Scheme:
        """Return one contrast as functions of the effect as it is stated: of those who take part, where some do not."""
        taking = self.reality.taking(frame.arms, arm, reference)
        return frame.scheme(Offer(self.outcome, taking), arm, reference, self.covariates)

    def power(self, scheme: Scheme, effect: float) -> float:
        """Return the power of one contrast at an effect."""
        return self.test.power(scheme, effect)

    def answer(self, frame: Framed, pairs: Sequence[tuple[int, int]], effects: Sequence[float]) -> float:
        """Return the power of the least powerful contrast, or of the joint test over all of them."""
        schemes = [self.scheme(frame, *pair) for pair in pairs]
        joint = getattr(self.test, "joint", None)
        if joint is not None:
            return float(joint(schemes, list(effects), self._joint_dof(frame)))
        return min(self.power(scheme, effect) for scheme, effect in zip(schemes, effects, strict=True))

    def _joint_dof(self, frame: Framed) -> float:
        dof = math.inf if self.outcome.normal else frame.joint_dof(self.covariates)
        if dof <= 0.0:
            raise DesignError(
                f"{len(frame.arms)} arms in {frame.strata:,} strata and {self.covariates:,} covariates leave "
                f"{dof:,.4g} degrees of freedom over all arms. Use fewer of them, or more people or clusters."
            )
        return dof

    def way(self, frame: Framed, pair: tuple[int, int], sign: int) -> int:
        """The direction of an effect that a one-sided test of the offer can find: the other one, where the reference
        takes part more than the arm."""
        arm, reference = self.reality.taking(frame.arms, *pair)
        return -sign if self.side != "two-sided" and reference > arm else sign

    def detectable(self, frame: Framed, pair: tuple[int, int], sign: int) -> float | None:
        """The signed effect whose power is the target; None where no possible effect has it."""
        scheme, target = self.scheme(frame, *pair), self.target or 0.0
        taking = self.reality.taking(frame.arms, *pair)
        way = self.way(frame, pair, sign)
        quick = self._quick(scheme, taking)
        if quick is not None:
            return way * quick
        limit = self.outcome.reach(way) / max(taking) * EDGE

        def short(u: float) -> float:
            return self.power(scheme, self._effect(way, u, limit)) - target

        low, high = 0.0, scheme.error(self._effect(way, 1e-9, limit))
        while short(high) < 0.0:
            # In small steps, for the power of a ratio far below 1 falls again; at the end the effect moves no more.
            if self._effect(way, high, limit) == self._effect(way, high * STEP, limit):
                return None
            low, high = high, high * STEP
        root = optimize.brentq(short, low, high, xtol=1e-15, rtol=1e-14)
        return self._effect(way, float(root), limit)

    def _effect(self, sign: int, u: float, limit: float) -> float:
        """The effect u away from none on the scale of the test, no farther than is possible."""
        effect = self.outcome.natural(sign * u)
        return effect if math.isinf(limit) else max(-limit, min(limit, effect))

    def _quick(self, scheme: Scheme, taking: Pair) -> float | None:
        """A multiple of an error that does not move with the effect."""
        test = self.test
        if not isinstance(test, Superiority) or not isinstance(self.outcome, Mean) or scheme.null_parts is not None:
            if isinstance(test, Superiority) and test.method == "bloom":
                raise DesignError("Bloom's multiplier is for means, whose error does not move with the effect.")
            return None
        error, target = scheme.error(0.0) / abs(taking[0] - taking[1]), self.target or 0.0
        times = test.multiplier(scheme.dof, target)
        if times is None and test.method == "exact" and not math.isinf(scheme.dof):
            times = t_multiplier(scheme.dof, test.alpha, target, test.alternative)
        return None if times is None else error * times

    def row(self, frame: Framed, arm: int, reference: int, effect: float, *, both_ways: bool = False) -> PowerRow:
        """Return the facts of one contrast at an effect; `both_ways`: with the detectable decrease."""
        scheme = self.scheme(frame, arm, reference)
        parts = scheme.parts(effect)
        ask = both_ways and self.side == "two-sided" and getattr(self.test, "joint", None) is None
        down = self.detectable(frame, (arm, reference), -1) if ask else None
        offer = Offer(self.outcome, self.reality.taking(frame.arms, arm, reference))
        own = effect if self.outcome.natural(0.0) == 0.0 else self.outcome.statistic(effect)
        return PowerRow(
            arm=frame.arms.names[arm],
            reference=frame.arms.names[reference],
            effect=effect,
            effect_sd=own / self.outcome.scale,
            offer=offer.at(effect)[1] if self.reality.take_up else None,
            decrease=down,
            power=self.power(scheme, effect),
            n=scheme.n,
            clusters=scheme.clusters,
            error=math.sqrt(sum(parts.values())),
            dof=scheme.dof,
            parts=tuple(parts.items()),
        )

    def finding(self, quantity: str, enrolled: Framed, rows: tuple[PowerRow, ...], chosen: int) -> Power:
        """Return the finding made of the rows of its contrasts, of the people enrolled before some are lost."""
        frame = self.framed(enrolled)
        joint, more, rows = self._jointly(frame, rows)
        return Power(
            quantity=quantity,
            outcome=self.outcome,
            contrasts=rows,
            chosen=chosen,
            alpha=self.test.alpha,
            alternative=self.side,
            target=self.target,
            people=_named(frame.arms, enrolled.people),
            clusters=_named(frame.arms, frame.units) if frame.clustered else None,
            strata=frame.strata,
            joint=joint,
            facts=(*more, *self._facts(frame, rows[chosen])),
            method="normal" if self.outcome.normal else str(getattr(self.test, "method", "exact")),
            test=self._test(),
            formula=frame.formula.replace(MEANS, str(getattr(self.outcome, "compared", MEANS))),
            assumptions=(*self._assumed(frame.notes), *self._doubts(frame, rows[chosen])),
        )

    def _test(self) -> str:
        said = self.test.describe()
        return said.replace("exact (noncentral t)", "normal") if self.outcome.normal else said

    def _jointly(self, frame: Framed, rows: Rows) -> tuple[float | None, tuple[tuple[str, float], ...], Rows]:
        """The power of a test over all contrasts, what it has to say, and each contrast's power within it."""
        joint: Any = self.test
        if getattr(joint, "joint", None) is None:
            return None, (), rows
        index = frame.arms.index
        schemes = [self.scheme(frame, index(row.arm), index(row.reference)) for row in rows]
        effects, dof = [row.effect for row in rows], self._joint_dof(frame)
        facts = tuple(joint.joint_facts(schemes, dof)) if hasattr(joint, "joint_facts") else ()
        if hasattr(joint, "marginal"):
            powers = joint.marginal(schemes, effects, dof)
            rows = tuple(replace(row, power=power) for row, power in zip(rows, powers, strict=True))
        return float(joint.joint(schemes, effects, dof)), facts, rows

    def _facts(self, frame: Framed, row: PowerRow) -> tuple[tuple[str, float], ...]:
        tell = getattr(self.test, "facts", None)
        if tell is None:
            return ()
        scheme = self.scheme(frame, frame.arms.index(row.arm), frame.arms.index(row.reference))
        return tuple(tell(scheme.statistic(row.effect) / row.error, scheme.ratio(row.effect)))

    def _assumed(self, notes: tuple[str, ...]) -> tuple[str, ...]:
        more = (f"degrees of freedom taken by covariates {self.covariates}",) if self.covariates else ()
        return (*self.outcome.assumptions(), *more, *self.reality.assumptions(), *notes)

    def _doubts(self, frame: Framed, row: PowerRow) -> tuple[str, ...]:
        """Say where the analysis of `estimate_effects` will have another power than the formula."""
        doubts = []
        arm, reference = frame.arms.index(row.arm), frame.arms.index(row.reference)
        plain = isinstance(self.test, Superiority) and not self.outcome.normal
        dof = None
        if isinstance(frame, Frame) and plain:
            dof = frame.analysed_dof(arm, reference, self.outcome.variances(row.effect))
        if dof is not None and dof < row.dof and not self.reality.take_up:
            power = float(t_power(row.effect / row.error, dof, self.test.alpha, self.side))
            if row.power - power > DIFFERS:
                doubts.append(
                    f"few units in an arm or stratum: the analysis will have about {dof:.1f} degrees of freedom, not "
                    f"{row.dof:,.4g}, and by them a power of {power:.2f} (simulate_power tells)"
                )
        scheme = self.scheme(frame, arm, reference)
        plain = isinstance(self.test, (Superiority, NonInferiority, Equivalence))
        if scheme.spare < SPARE and (self.outcome.normal or not (plain or hasattr(self.test, "joint"))):
            doubts.append(
                f"a normal reference, where only {scheme.spare:,.4g} degrees of freedom are left: the power will be "
                "less than this (simulate_power tells)"
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


def smallest(question: Question, power_of: Callable[[float], float], least: float) -> float:
    """Return the smallest x >= `least` at which `power_of(x)` is the power asked for; not rounded.

    Degrees of freedom move with x, so the full equation is solved: bracketed by doubling, then Brent in ln x.
    """
    target = question.target or 0.0

    def short(log_x: float) -> float:
        return power_of(math.exp(log_x)) - target

    low = math.log(least)
    if short(low) >= 0:
        return least
    high = low + math.log(2.0)
    while short(high) < 0:
        low, high = high, high + math.log(2.0)
        if high > FARTHEST:
            raise DesignError(
                f"no size of this trial reaches a power of {target:g}: at {math.exp(FARTHEST):,.0g} it is still "
                f"{short(FARTHEST) + target:.3f}. Add clusters, blocks or periods, or state a larger effect."
            )
    return math.exp(float(optimize.brentq(short, low, high, xtol=1e-14, rtol=1e-14)))


def fewest_units(question: Question, shares: Sequence[float], pair: tuple[int, int]) -> float:
    """Return the fewest units in all arms that leave a degree of freedom and two units in either arm."""
    arm, reference = (shares[k] for k in pair)
    return max(LEAST_UNITS / min(arm, reference), (question.covariates + 3.0) / (arm + reference)) * (1.0 + 1e-12)


def round_up(x: float) -> int:
    """Return x rounded up, where a hair above a whole number is that number."""
    return math.ceil(x - CEILING * max(1.0, abs(x)))
