"""Arms that may differ by stratum, keyed by the stratum's value and never by position."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TypeAlias

import numpy as np

from kokeilu._checks import count_of
from kokeilu.core.arms import Arm, Arms
from kokeilu.core.protocols import Codes
from kokeilu.core.table import level_text
from kokeilu.errors import DesignError

__all__ = ["ArmsByStratum", "arms_of", "describe_arms", "keyed_arms", "pooled_arms", "realised_arms", "shares_for"]

SHOWN = 6
"""Strata whose shares are written out in a description."""

Key: TypeAlias = tuple[str, ...]
ArmsByStratum: TypeAlias = "Arms | tuple[tuple[Key, Arms], ...]"


def keyed_arms(arms: object, by: tuple[str, ...], *, where: str) -> ArmsByStratum:
    """Return arms for everybody, or (stratum key, arms) pairs sorted by key.

    Raises
    ------
    DesignError
        Where a key has not one value for each column of `by`, or the strata name different arms.
    """
    if isinstance(arms, Arms):
        return arms
    if isinstance(arms, Mapping):
        pairs = [(_key(key), value) for key, value in arms.items()]
    elif isinstance(arms, tuple) and arms and all(isinstance(p, tuple) and len(p) == 2 for p in arms):
        pairs = [(_key(key), value) for key, value in arms]
    else:
        raise DesignError(
            f"{where} needs arms, from kokeilu.arms(control=1, coaching=1), or a mapping of stratum to arms."
        )
    if not pairs:
        raise DesignError(f"{where}: the mapping of stratum to arms is empty. State arms for every stratum.")
    if not by:
        raise DesignError(f"{where}: arms by stratum need the columns that define the strata; name them in `by`.")
    for key, value in pairs:
        if not isinstance(value, Arms):
            raise DesignError(f"{where}: stratum {key!r} must have arms, from kokeilu.arms(...).")
        if len(key) != len(by):
            raise DesignError(f"{where}: the key {key!r} has {len(key)} values, but `by` names {len(by)} columns.")
        if value.names != pairs[0][1].names:
            raise DesignError(
                f"{where}: stratum {key!r} has the arms {', '.join(value.names)}, but {pairs[0][0]!r} has "
                f"{', '.join(pairs[0][1].names)}. Name the same arms in the same order everywhere; use share 0 for "
                "an arm that a stratum does not offer."
            )
    if len({key for key, _ in pairs}) != len(pairs):
        raise DesignError(f"{where}: a stratum is stated twice (1 and '1' are the same stratum).")
    return tuple(sorted(pairs, key=lambda pair: pair[0]))


def _key(key: object) -> Key:
    parts = key if isinstance(key, tuple) else (key,)
    # Only a missing value differs from itself; comparing with pandas.NA gives no truth value at all.
    if any(part is None or type(part).__name__ == "NAType" or part != part for part in parts):
        raise DesignError(
            "a stratum is keyed by None or NaN, and people whose stratum is missing are not drawn. Give the missing "
            "ones a level of their own such as 'unknown'."
        )
    return tuple(level_text(part) for part in parts)


def arms_of(arms: ArmsByStratum) -> Arms:
    """Return the arms for names and order; their shares are those of the first stratum where they differ."""
    return arms if isinstance(arms, Arms) else arms[0][1]


def shares_for(
    arms: ArmsByStratum, labels: tuple[Key, ...], sizes: list[int], *, where: str
) -> tuple[tuple[Fraction, ...], ...]:
    """Return the shares of each stratum of the register.

    Raises
    ------
    DesignError
        Where a stratum of the register has no shares.
    """
    if isinstance(arms, Arms):
        return (arms.shares,) * len(labels)
    stated = dict(arms)
    lost = [size for label, size in zip(labels, sizes, strict=True) if label not in stated]
    if lost:
        unused = [" × ".join(key) for key in stated if key not in set(labels)]
        hint = f" Stated but not in the register: {', '.join(map(repr, unused[:5]))}." if unused else ""
        raise DesignError(
            f"{where}: {count_of(len(lost), 'stratum', 'strata')} of the register "
            f"({count_of(sum(lost), 'person', 'people')}) {'has' if len(lost) == 1 else 'have'} no shares.{hint} "
            "State arms for every stratum."
        )
    return tuple(stated[label].shares for label in labels)


def realised_arms(arms: Arms, codes: Codes) -> Arms:
    """Return the arms with the shares that the numbers of an allocation amount to."""
    counts = np.bincount(codes, minlength=len(arms)).tolist()
    return Arms(tuple(Arm(arm.name, Fraction(count, len(codes))) for arm, count in zip(arms, counts, strict=True)))


def pooled_arms(arms: ArmsByStratum, labels: tuple[Key, ...], sizes: list[int]) -> Arms:
    """Return the arms with their exact shares over the whole register."""
    if isinstance(arms, Arms):
        return arms
    shares = shares_for(arms, labels, sizes, where="the design")
    total = sum(sizes)
    columns = zip(arms_of(arms), zip(*shares, strict=True), strict=True)
    weighted = (
        (arm.name, sum((n * s for n, s in zip(sizes, column, strict=True)), Fraction(0))) for arm, column in columns
    )
    return Arms(tuple(Arm(name, share / total) for name, share in weighted))


def describe_arms(arms: ArmsByStratum) -> str:
    """Return the shares in words."""
    if isinstance(arms, Arms):
        return arms.describe()
    shown = "; ".join(f"{' × '.join(key)}: {value.describe()}" for key, value in arms[:SHOWN])
    more = len(arms) - SHOWN
    return f"{shown}; and {count_of(more, 'further stratum', 'further strata')}" if more > 0 else shown
