"""Checks that the mechanisms which wrap another one share."""

from __future__ import annotations

from fractions import Fraction

from kokeilu._checks import name_list
from kokeilu.assign._by_stratum import arms_of
from kokeilu.core.arms import Arm, Arms
from kokeilu.core.protocols import Mechanism
from kokeilu.errors import DesignError

__all__ = ["arm_position", "base_of", "named_arms", "one_column"]


def base_of(base: object, *, where: str) -> Mechanism:
    """Return the base when it is a mechanism."""
    if isinstance(base, type) or not isinstance(base, Mechanism):
        raise DesignError(f"{where} needs a mechanism to wrap, such as Complete(...) or Stratified(...).")
    return base


def named_arms(base: Mechanism, *, where: str) -> Arms:
    """Return the arms of a mechanism for their names and order."""
    arms = getattr(base, "arms", None)
    if arms is None:
        raise DesignError(f"{where} needs to know the arms beforehand, and {type(base).__name__} does not state them.")
    if isinstance(arms, tuple) and all(isinstance(arm, str) for arm in arms):
        # The shares follow from the register, which is not here yet; names and order do not.
        return Arms(tuple(Arm(name, Fraction(1, len(arms))) for name in arms))
    return arms_of(arms)


def arm_position(arm: object, arms: Arms) -> int:
    """Return the position of an arm given by name, or by position as JSON carries it."""
    if isinstance(arm, str):
        return arms.index(arm)
    if not isinstance(arm, int) or isinstance(arm, bool) or not 0 <= arm < len(arms):
        raise DesignError(f"an arm is named by text; the design has {', '.join(map(repr, arms.names))}.")
    return arm


def one_column(value: object, *, name: str, where: str) -> str:
    """Return the name of one column."""
    names = name_list(value, name=name)  # type: ignore[arg-type]
    if len(names) != 1:
        raise DesignError(f"{where} takes one column in `{name}`.")
    return names[0]
