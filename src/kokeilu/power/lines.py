"""Power against one assumption: the rows of a curve."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kokeilu._checks import between
from kokeilu.core.results import Rows
from kokeilu.errors import DesignError
from kokeilu.power.assumed import Assumed
from kokeilu.power.models import OutcomeModel
from kokeilu.power.results import Power
from kokeilu.power.solve import detectable_effect, power_at

__all__ = ["PowerLine", "power_curve"]

POINTS = 25
HIGHEST = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLine(Rows):
    """Power against one assumption, the others as they were stated.

    Attributes
    ----------
    over : str
        The assumption.
    values : tuple of float
    found : tuple of Power
        The answer at each value.
    """

    over: str
    values: tuple[float, ...]
    found: tuple[Power, ...]

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each value."""
        rows = []
        for value, power in zip(self.values, self.found, strict=True):
            row = power.rows()[power.chosen]
            rest = {name: row[name] for name in ("effect", "n", "error", "dof") if name != self.over}
            rows.append({self.over: value, "power": power.value} | rest)
        return rows

    def line(self) -> tuple[str, list[tuple[float, float, float, float]]]:
        """Return the name of the axis, and value, power, and its lower and upper limit: of a formula the same."""
        return self.over, [(x, p.value, p.value, p.value) for x, p in zip(self.values, self.found, strict=True)]


def power_curve(
    design: object,
    people: object,
    outcome: OutcomeModel,
    *,
    over: str = "effect",
    values: Iterable[Any] | None = None,
    effect: Any = None,
    **named: Any,
) -> PowerLine:
    """Return the power of a design along one assumption.

    Parameters
    ----------
    design, people, outcome
        As for :func:`power_at`; `people` is None where the curve runs over people.
    over : str, default "effect"
        "effect", "people", or an assumption by its name: a field of the outcome ("icc", "r2", "sd", "base") or of the
        sizes ("count", "size", "cv"), "alpha", or a share of the reality ("take_up.coaching", "attrition").
    values : iterable of float, optional
        Where. Needed but for effects, which by default go from none to that with a power of .99.
    effect : float or mapping, optional
        The true effect, where the curve does not run over effects.
    **named
        Further arguments of :func:`power_at`: alpha, alternative, covariates, contrast, test, reality.

    Returns
    -------
    PowerLine
        `rows()`; ``kk.power_plot(...)`` draws it.

    Raises
    ------
    DesignError
        A name that is no assumption here, no values, and what :func:`power_at` raises.

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Complete(kk.arms(control=1, coaching=1))
    >>> curve = kk.power_curve(design, None, kk.Mean(sd=1.0), over="people", values=(200, 400, 800), effect=0.2)
    >>> [round(row["power"], 2) for row in curve.rows()]
    [0.29, 0.51, 0.81]
    """
    if over == "effect":
        if effect is not None:
            raise DesignError("the curve runs over effects: give them as values, and leave effect out.")
        spots = tuple(values) if values is not None else _effects(design, people, outcome, named)
        effect = spots[0] if spots else None
    else:
        if effect is None or values is None:
            raise DesignError(f"a curve over {over!r} needs its values and the effect.")
        spots = tuple(values)
    if not spots:
        raise DesignError("values is empty; give the points at which the power is asked for.")
    asked = Assumed(given=(design, people, outcome), named={"effect": effect, **named})
    found = []
    for spot in spots:
        question = asked.people(spot) if over == "people" else asked.put(over, spot)
        found.append(power_at(*question.given, **question.named))
    shown = (
        [float(p.n) for p in found] if over == "people" else [between(s, -math.inf, math.inf, name=over) for s in spots]
    )
    return PowerLine(over=over, values=tuple(shown), found=tuple(found))


def _effects(design: object, people: object, outcome: OutcomeModel, named: dict[str, Any]) -> tuple[float, ...]:
    """From none to the effect with high power, evenly on the scale of the test."""
    top = detectable_effect(design, people, outcome, power=HIGHEST, **named).value
    end = outcome.statistic(top)
    return tuple(outcome.natural(end * k / (POINTS - 1)) for k in range(POINTS))
