"""From what is uncertain before the trial to how uncertain the answer is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from kokeilu._checks import between
from kokeilu.core.results import Rows, text_table
from kokeilu.errors import DesignError
from kokeilu.power.assumed import Assumed
from kokeilu.power.pilots import Measured

__all__ = ["PowerRange", "Swing", "power_range"]

MOST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Swing:
    """What one assumption does to the answer, the others as they were stated.

    Attributes
    ----------
    name : str
    low, high : float
        Ends of the assumption.
    at_low, at_high : float
        The answer there; infinite where nothing reaches it.
    """

    name: str
    low: float
    high: float
    at_low: float
    at_high: float

    @property
    def width(self) -> float:
        """How far the answer moves."""
        return abs(self.at_high - self.at_low)


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerRange(Rows):
    """An answer about power with the range that uncertain assumptions leave.

    Attributes
    ----------
    quantity : str
        The verb asked.
    value : float
        The answer to the question as it was stated.
    low, high : float
        The least and the largest answer with every assumption at either of its ends.
    swings : tuple of Swing
        One for each assumption, the widest first: the bars of a tornado.
    """

    quantity: str
    value: float
    low: float
    high: float
    swings: tuple[Swing, ...]

    def rows(self) -> list[dict[str, Any]]:
        """Return the tornado: one row for each assumption, the widest first."""
        return [
            {"assumption": s.name, "low": s.low, "high": s.high, "at_low": s.at_low, "at_high": s.at_high}
            for s in self.swings
        ]

    def __str__(self) -> str:
        head = f"{self.quantity}: {self.value:,.4g}, from {self.low:,.4g} to {self.high:,.4g}"
        return "\n".join([head, text_table(self.rows())])


def power_range(
    verb: Callable[..., Any], *given: Any, uncertain: Mapping[str, tuple[float, float] | Measured], **named: Any
) -> PowerRange:
    """Ask a question about power with assumptions that are known only within limits.

    Parameters
    ----------
    verb : detectable_effect, power_at, sample_size, or a function of the same arguments whose answer has a `value`
    *given, **named
        The arguments of the verb.
    uncertain : mapping of assumption to (low, high) or to what was measured
        Fields of the outcome ("sd", "base", "icc", "r2", ...) or of the sizes, "effect", or shares of the reality, with
        the arm behind a dot: ``{"icc": kk.icc(past, "y", "office"), "take_up.coaching": (0.5, 0.7)}``. At most eight.

    Returns
    -------
    PowerRange
        The range over all corners is wider than an interval of the same level: every assumption is at its worst, or at
        its best, at once.

    Raises
    ------
    DesignError
        A name that is no assumption of the question, limits that are not in order, and what the verb raises with the
        assumptions as they are stated. Where a corner cannot be reached at all the answer there is infinite.

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Clustered(kk.Complete(kk.arms(control=1, coaching=1)), by="office")
    >>> sizes = kk.ClusterSizes(count=40, size=30)
    >>> outcome = kk.Proportion(base=0.30, icc=0.03)
    >>> found = kk.power_range(kk.detectable_effect, design, sizes, outcome, uncertain={"icc": (0.01, 0.06)})
    >>> [round(x, 3) for x in (found.low, found.value, found.high)]
    [0.089, 0.108, 0.131]
    """
    if not callable(verb) or not isinstance(uncertain, Mapping) or not uncertain:
        raise DesignError(
            "power_range(verb, ..., uncertain={...}) needs a verb such as power_at and what is uncertain."
        )
    if len(uncertain) > MOST:
        raise DesignError(
            f"{len(uncertain)} uncertain assumptions make {2 ** len(uncertain):,} corners; give up to {MOST}."
        )
    asked = Assumed(given=given, named=named)
    ends = {name: _limits(name, limits) for name, limits in uncertain.items()}
    quantity = str(getattr(verb, "__name__", "answer"))
    value = _answer(verb, asked)
    swings = [
        Swing(
            name=name, low=low, high=high, at_low=_at(verb, asked, {name: low}), at_high=_at(verb, asked, {name: high})
        )
        for name, (low, high) in ends.items()
    ]
    corners = [_at(verb, asked, dict(zip(ends, corner, strict=True))) for corner in product(*ends.values())]
    every = [value, *corners]
    return PowerRange(
        quantity=quantity,
        value=value,
        low=min(every),
        high=max(every),
        swings=tuple(sorted(swings, key=lambda s: -s.width)),
    )


def _limits(name: str, limits: Any) -> tuple[float, float]:
    if isinstance(limits, Measured):
        return limits.low, limits.high
    if not isinstance(limits, (tuple, list)) or len(limits) != 2:
        raise DesignError(f"{name!r} needs two limits, (low, high), or what was measured of it.")
    low, high = limits  # whole numbers stay whole: numbers of clusters are
    if not between(low, -math.inf, math.inf, name=name) <= between(high, -math.inf, math.inf, name=name):
        raise DesignError(f"the limits of {name!r} are not in order: {low:g} is above {high:g}.")
    return low, high


def _answer(verb: Callable[..., Any], asked: Assumed) -> float:
    return float(verb(*asked.given, **asked.named).value)


def _at(verb: Callable[..., Any], asked: Assumed, values: Mapping[str, float]) -> float:
    for name, value in values.items():
        asked = asked.put(name, value)
    try:
        return _answer(verb, asked)
    except DesignError:
        # The assumptions passed their own checks when they were put in: it is the answer that is out of reach.
        if getattr(verb, "__name__", "") == "power_at":
            raise
        return math.inf
