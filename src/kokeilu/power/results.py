"""What a question about power is answered with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from kokeilu.core.results import Rows, number_text, text_table, wrapped
from kokeilu.power.models import OutcomeModel, Proportion

__all__ = ["Power", "PowerRow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerRow:
    """Facts about the power of one contrast.

    Attributes
    ----------
    arm, reference : str
    effect : float
        In the units of the outcome; for a proportion a difference of shares.
    effect_sd : float
        The same in standard deviations of the reference arm; for ratios, of the logarithm.
    offer : float or None
        With take-up stated, the effect of the offer, which is what the trial estimates.
    decrease : float or None
        Two-sided detectable effects only: the detectable decrease; None also where none is possible.
    power : float
    n : (float, float)
        Expected people in arm and reference.
    clusters : (float, float) or None
        Expected clusters in arm and reference.
    error, dof : float
        Standard error of the estimated effect (of the offer), in the units of the outcome or on the scale of the test
        (logarithm of a ratio, arcsines), and its degrees of freedom.
    parts : tuple of (str, float)
        The squared error by source: "people", "clusters".
    """

    arm: str
    reference: str
    effect: float
    effect_sd: float
    offer: float | None = None
    decrease: float | None = None
    power: float
    n: tuple[float, float]
    clusters: tuple[float, float] | None = None
    error: float
    dof: float
    parts: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Power(Rows):
    """The answer to one question about power.

    Attributes
    ----------
    quantity : {"detectable_effect", "power", "sample_size"}
        What `value` is.
    outcome : Mean or Proportion
    contrasts : tuple of PowerRow
        Every arm against the reference; `chosen` is the place of the one the properties speak of (for a
        sample size, the one with least power).
    alpha : float
    alternative : str
    target : float or None
        The power asked for.
    people : tuple of (arm, float)
        Expected people enrolled by arm, whole numbers for a sample size; `n` of a contrast is those whose outcome is
        seen.
    clusters : tuple of (arm, float) or None
    strata : int
    continuous : float or None
        For a sample size, the total number of people before arms were rounded up.
    root : (str, float) or None
        For a sample size, what was solved for ("people", "clusters", "clusters per step", ...) before rounding.
    joint : float or None
        Power of a test over all contrasts together, where the test is one.
    facts : tuple of (str, float)
        What else the test has to say: boundaries, inflation, expected size.
    method : str
        "exact": noncentral t, both tails when two-sided.
    test : str
        The test in words.
    formula : str
    assumptions : tuple of str
        What was stated, not measured.
    """

    quantity: str
    outcome: OutcomeModel
    contrasts: tuple[PowerRow, ...]
    chosen: int
    alpha: float
    alternative: str
    target: float | None
    people: tuple[tuple[str, float], ...]
    clusters: tuple[tuple[str, float], ...] | None
    strata: int
    continuous: float | None = None
    root: tuple[str, float] | None = None
    joint: float | None = None
    facts: tuple[tuple[str, float], ...] = ()
    method: str = "exact"
    test: str = ""
    formula: str
    assumptions: tuple[str, ...]

    @property
    def contrast(self) -> PowerRow:
        """The chosen contrast."""
        return self.contrasts[self.chosen]

    @property
    def value(self) -> float:
        """The answer: an effect in the units of the outcome, a power, or a number of people in all arms."""
        power = self.power if self.joint is None else self.joint
        answers = {"detectable_effect": self.effect, "power": power, "sample_size": self.n}
        return answers[self.quantity]

    @property
    def effect(self) -> float:
        """Effect of the chosen contrast, in the units of the outcome."""
        return self.contrast.effect

    @property
    def effect_sd(self) -> float:
        """Effect of the chosen contrast in standard deviations of the reference arm."""
        return self.contrast.effect_sd

    @property
    def decrease(self) -> float | None:
        """Detectable decrease of the chosen contrast; None where not asked for, or not possible."""
        return self.contrast.decrease

    @property
    def power(self) -> float:
        """Power of the chosen contrast."""
        return self.contrast.power

    @property
    def error(self) -> float:
        """Standard error of the chosen contrast."""
        return self.contrast.error

    @property
    def dof(self) -> float:
        """Degrees of freedom of the chosen contrast."""
        return self.contrast.dof

    @property
    def parts(self) -> dict[str, float]:
        """Squared error of the chosen contrast by source."""
        return dict(self.contrast.parts)

    @property
    def n(self) -> int:
        """People in all arms."""
        return round(sum(count for _, count in self.people))

    @property
    def n_arms(self) -> dict[str, float]:
        """Expected people by arm."""
        return dict(self.people)

    @property
    def clusters_arms(self) -> dict[str, float] | None:
        """Expected clusters by arm; None where people are drawn one by one."""
        return None if self.clusters is None else dict(self.clusters)

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each arm against the reference."""
        return [self._row(row) for row in self.contrasts]

    def _row(self, row: PowerRow) -> dict[str, Any]:
        clusters = {} if row.clusters is None else {"clusters": _whole(sum(row.clusters))}
        decrease = {"decrease": row.decrease} if self.quantity == "detectable_effect" else {}
        offer = {} if row.offer is None else {"offer": row.offer}
        points = {"points": 100.0 * row.effect} if isinstance(self.outcome, Proportion) else {}
        return {
            "contrast": f"{row.arm} - {row.reference}",
            "effect": row.effect,
            **points,
            "effect_sd": row.effect_sd,
            **offer,
            **decrease,
            "power": row.power,
            "n": _whole(sum(row.n)),
            "n_arm": _whole(row.n[0]),
            "n_reference": _whole(row.n[1]),
            **clusters,
            "error": row.error,
            "dof": _whole(row.dof),
        }

    def __str__(self) -> str:
        told = [f"{name} {number_text(value)}" for name, value in self.facts]
        notes = [f"{self.formula}; {self.test}", *(["; ".join(told)] if told else [])]
        notes.append("assumed: " + "; ".join(self.assumptions))
        return "\n".join([self._headline(), text_table(self.rows()), *wrapped(notes)])

    def _headline(self) -> str:
        row = self.contrast
        size = (
            f"{100 * row.effect:.2f} percentage points"
            if isinstance(self.outcome, Proportion)
            else f"{row.effect:,.4g}"
        )
        size += f" ({row.effect_sd:.3f} SD)" if self.outcome.natural(0.0) == 0.0 else ""
        groups = f" in {_count(self.clusters)} clusters" if self.clusters is not None else ""
        where = f"{self.n:,} people{groups}"
        if self.quantity == "detectable_effect":
            power = row.power if self.joint is None else self.joint
            return f"Detectable effect of {row.arm}: {size} with power {power:.2f}, {where}"
        verb = "Sample size" if self.quantity == "sample_size" else "Power"
        answer = where if self.quantity == "sample_size" else f"{row.power:.3f} with {where}"
        ending = f"; power {row.power:.3f}" if self.quantity == "sample_size" else ""
        joint = "" if self.joint is None else f"; joint power {self.joint:.3f}"
        return f"{verb}: {answer}, effect of {row.arm} {size}{ending}{joint}"


def _count(pairs: tuple[tuple[str, float], ...]) -> str:
    return f"{round(sum(count for _, count in pairs)):,}"


def _whole(value: float) -> float | int:
    """A whole number as an int, so that it prints without decimals; an expected half stays a float."""
    if math.isinf(value):
        return value
    near = round(value)
    return near if abs(value - near) < 1e-6 else value
