"""The effects that a simulation is asked for, as one effect for each arm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kokeilu._checks import between
from kokeilu.core.arms import Arms
from kokeilu.core.protocols import Floats
from kokeilu.errors import DesignError
from kokeilu.power.layout import contrast_of
from kokeilu.power.worlds import Resampled, TakeUp

__all__ = ["Asked", "asked_of"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """Effects by contrast and by arm.

    Attributes
    ----------
    pairs : tuple of (arm, reference)
    own : tuple of tuple of float
        The effects on the arm of each contrast, as they were asked for.
    vectors : float64 array, shape (1 + effects, arms)
        The effect on each arm, the first row none.
    shifts : float64 array, shape (contrasts, 1 + effects)
        Those on the arm of each contrast, the first none.
    none : float
    several : bool
        Whether mappings were given.
    """

    pairs: tuple[tuple[int, int], ...]
    own: tuple[tuple[float, ...], ...]
    vectors: Floats
    shifts: Floats
    none: float
    several: bool

    def distinct(self) -> tuple[Floats, list[int]]:
        """Return the rows of `vectors` that differ, none first, and the place of each row among them."""
        rows: list[tuple[float, ...]] = []
        places = []
        for row in map(tuple, self.vectors.tolist()):
            if row not in rows:
                rows.append(row)
            places.append(rows.index(row))
        return np.array(rows), places

    def additive(self, world: object) -> bool:
        """Whether one set of draws gives a whole curve."""
        return bool(getattr(world, "additive", True))


def asked_of(effects: object, arms: Arms, contrast: str | tuple[str, str] | None, world: object) -> Asked:
    """Return the effects asked for, checked."""
    items = list(effects) if isinstance(effects, Iterable) and not isinstance(effects, (str, Mapping)) else []
    if not items:
        got = "is empty" if isinstance(effects, Iterable) else f"is {type(effects).__name__}"
        raise DesignError(f"effects {got}; give a sequence of effects in the units of the outcome: (0, 5, 10).")
    none = float(getattr(world, "none", 0.0))
    several = any(isinstance(item, Mapping) for item in items)
    table = _mappings(items, arms, contrast, none) if several else _numbers(items, arms, contrast, none)
    pairs, vectors = table
    own = tuple(tuple(float(v) for v in vectors[1:, arm]) for arm, _ in pairs)
    shifts = np.array([vectors[:, arm] for arm, _ in pairs])
    return Asked(
        pairs=pairs, own=own, vectors=_taken(vectors, arms, pairs, world), shifts=shifts, none=none, several=several
    )


def _numbers(items: list[Any], arms: Arms, contrast: Any, none: float) -> tuple[tuple[tuple[int, int], ...], Floats]:
    pair = contrast_of(arms, contrast)
    vectors = np.full((len(items) + 1, len(arms)), none)
    vectors[1:, pair[0]] = [between(item, -np.inf, np.inf, name="effects") for item in items]
    return (pair,), vectors


def _mappings(items: list[Any], arms: Arms, contrast: Any, none: float) -> tuple[tuple[tuple[int, int], ...], Floats]:
    if contrast is not None:
        raise DesignError("effects by arm ask for every arm that they name against the reference; leave contrast out.")
    if not all(isinstance(item, Mapping) and item for item in items):
        raise DesignError("effects are either all numbers or all mappings of arm to effect.")
    named = sorted({arms.index(name) for item in items for name in item})
    if 0 in named:
        raise DesignError(f"{arms.names[0]!r} is the reference arm, against which effects are stated. Leave it out.")
    vectors = np.full((len(items) + 1, len(arms)), none)
    for row, item in zip(vectors[1:], items, strict=True):
        for name, effect in item.items():
            row[arms.index(name)] = between(effect, -np.inf, np.inf, name="effects")
    return tuple((arm, 0) for arm in named), vectors


def _taken(vectors: Floats, arms: Arms, pairs: tuple[tuple[int, int], ...], world: object) -> Floats:
    """In a trial of two arms those of the reference who take part get the service of the other arm."""
    inner = world.world if isinstance(world, Resampled) else world
    if not isinstance(inner, TakeUp):
        return vectors
    for name in inner.take_up:
        arms.index(name)
    reference = pairs[0][1]
    if arms.names[reference] in inner.take_up:
        if len(arms) > 2:
            raise DesignError(
                f"with {len(arms)} arms it is not known which service those of {arms.names[reference]!r} get who take "
                "part. Leave the reference arm out of take_up."
            )
        vectors[:, reference] = vectors[:, pairs[0][0]]
    return vectors
