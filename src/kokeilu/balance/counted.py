"""Numbers of units by stratum and arm, from an assignment or from elsewhere, with the shares intended for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kokeilu._checks import near_match, positive_int
from kokeilu.core.arms import Arms, arms
from kokeilu.core.assignment import Assignment
from kokeilu.core.lottery import cells_of, shares_of
from kokeilu.core.pairs import KnowsPairs
from kokeilu.core.population import first_members
from kokeilu.core.protocols import Exchangeable, Floats, Ints
from kokeilu.errors import DesignError

__all__ = ["Counted", "counted_of"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counted:
    """Units by stratum and arm.

    Attributes
    ----------
    arms : tuple of str
    table : (S, K) int64 array
    shares : (S, K) array
    labels : tuple of str
        Of the strata.
    fixed : bool
    units : str
        "people" or "clusters".
    station : str
    independent : bool
        Whether each unit was drawn on its own.
    possible : bool
        Whether the lottery itself says that it can give this assignment, so that no number need be judged.
    trouble : str
        Why the lottery cannot give the assignment, in its own words.
    """

    arms: tuple[str, ...]
    table: Ints
    shares: Floats
    labels: tuple[str, ...]
    fixed: bool
    units: str
    station: str
    independent: bool = True
    possible: bool = False
    trouble: str = ""


def counted_of(observed: object, shares: object, fixed: bool) -> Counted:
    """Read what was drawn, or numbers from elsewhere.

    Raises
    ------
    DesignError
        As in :func:`kokeilu.check_counts`.
    """
    if isinstance(observed, Assignment):
        if shares is not None or fixed:
            raise DesignError(
                "an assignment knows its shares, and whether it fixes the numbers: leave shares and fixed out."
            )
        return _drawn(observed)
    if not isinstance(observed, Mapping) or not observed:
        raise DesignError(
            f"check_counts needs an assignment, or a mapping of arms to numbers; got {type(observed).__name__}."
        )
    if shares is None:
        raise DesignError(
            "numbers from elsewhere need the shares that were intended, such as kk.arms(control=1, coaching=1)."
        )
    nested = all(isinstance(part, Mapping) for part in observed.values())
    return _from_elsewhere({"everybody": observed} if not nested else observed, shares, fixed)


def _drawn(assignment: Assignment) -> Counted:
    lottery = assignment.lottery
    cells = cells_of(lottery)
    clusters = cells.clusters if cells.whole else None
    places = np.arange(len(assignment))
    if clusters is not None:
        places = first_members(clusters, int(clusters.max()) + 1)
    strata, codes = cells.strata[places], assignment.codes[places]
    n_strata, n_arms = int(strata.max()) + 1, len(assignment.arms)
    table = np.bincount(strata * n_arms + codes, minlength=n_strata * n_arms).reshape(n_strata, n_arms)
    own = shares_of(lottery, assignment.stream("shares"))[places]
    check = getattr(lottery, "problem", None)
    trouble = check(assignment.codes) if check else None
    return Counted(
        arms=assignment.arms.names,
        table=table.astype(np.int64),
        shares=own[first_members(strata, n_strata)],
        labels=_labels(assignment, cells.names, strata, places),
        fixed=cells.fixed and isinstance(lottery, Exchangeable),
        units="people" if clusters is None else "clusters",
        station="drawn",
        independent=_independent(lottery),
        possible=check is not None and trouble is None,
        trouble=trouble or "",
    )


def _independent(lottery: object) -> bool:
    """Return whether the probabilities of pairs are products of those of units."""
    law = lottery.pair_law() if isinstance(lottery, KnowsPairs) else None
    if law is None or law.across is not None:
        return False
    return bool(np.allclose(law.within, np.einsum("ca,cb->cab", law.shares, law.shares), atol=1e-12))


def _labels(assignment: Assignment, names: tuple[str, ...], strata: Ints, places: Ints) -> tuple[str, ...]:
    """Name the strata by the columns that define them, where the population has these; else number them."""
    first = first_members(strata, int(strata.max()) + 1)
    factors = assignment.population.factors
    if not names or not all(name in factors for name in names):
        return tuple(f"stratum {s + 1}" for s in range(len(first))) if len(first) > 1 else ("everybody",)
    people = places[first]
    levels = [[factors[name].levels[code] for code in factors[name].codes[people]] for name in names]
    return tuple(" × ".join(row) for row in zip(*levels, strict=True))


def _from_elsewhere(observed: Mapping[Any, Any], shares: Any, fixed: bool) -> Counted:
    by_stratum = isinstance(shares, Mapping) and any(isinstance(x, (Arms, Mapping)) for x in shares.values())
    labels = _known(observed, shares, by_stratum)
    intended = {label: _shares(shares[label] if by_stratum else shares, label) for label in labels}
    names = next(iter(intended.values())).names
    if any(set(one.names) != set(names) for one in intended.values()):
        raise DesignError(
            "the shares of the strata name different arms. State a share for every arm, 0 where it has none."
        )
    table = [[_number(counts, name, names) for name in names] for counts in observed.values()]
    if not any(map(sum, table)):
        raise DesignError("every number is 0: nobody was counted, and there is nothing to compare.")
    return Counted(
        arms=names,
        table=np.array(table, dtype=np.int64),
        shares=np.array([[float(one[one.index(name)].share) for name in names] for one in intended.values()]),
        labels=tuple(str(label) for label in observed),
        fixed=bool(fixed),
        units="units",
        station="counted",
    )


def _known(observed: Mapping[Any, Any], shares: Any, by_stratum: bool) -> list[Any]:
    lost = [label for label in observed if by_stratum and label not in shares]
    if lost:
        raise DesignError(
            f"shares has nothing for stratum {str(lost[0])!r}.{near_match(str(lost[0]), [str(x) for x in shares])} "
            "State the shares of every stratum that is counted."
        )
    return list(observed)


def _shares(value: Any, label: Any) -> Arms:
    if isinstance(value, Arms):
        return value
    if isinstance(value, Mapping):
        return arms(value)
    raise DesignError(f"the shares of {str(label)!r} must be kk.arms(...) or a mapping of arms to shares.")


def _number(counts: Mapping[Any, Any], name: str, names: tuple[str, ...]) -> int:
    strange = [key for key in counts if key not in names]
    if strange:
        raise DesignError(f"the shares have no arm {str(strange[0])!r}.{near_match(str(strange[0]), names)}")
    if name not in counts:
        raise DesignError(f"the numbers have no arm {name!r}. Write 0 where it has nobody.")
    return positive_int(counts[name], name=f"the number in arm {name!r}", least=0)
