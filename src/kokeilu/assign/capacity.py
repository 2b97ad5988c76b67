"""A lottery for places: more eligible seekers than places, ranks down a list, and a waiting list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction
from typing import Any, TypeAlias, cast

import numpy as np

from kokeilu._checks import count_of, name_list, plain_text, positive_int
from kokeilu._kernels.ranks import rank_people
from kokeilu._kernels.streams import Stream
from kokeilu.assign._by_stratum import Key
from kokeilu.assign._seated import SeatedLottery
from kokeilu.core.arms import Arm, Arms
from kokeilu.core.levels import level_text
from kokeilu.core.population import Population, frozen_array
from kokeilu.core.protocols import Floats, Ints
from kokeilu.core.registry import register
from kokeilu.errors import DataError, DesignError

__all__ = ["OFFERED", "CapacityDraw", "CapacityLottery", "places_of"]

Places: TypeAlias = "int | str | tuple[tuple[Key, int], ...]"
Priority: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
OFFERED = 1
MOST_PLACES = 2**53


@register("capacity_lottery")
@dataclass(frozen=True, slots=True)
class CapacityLottery:
    """Draw who is offered a place where seekers are more than places.

    Everybody on a list (an office, or the whole register) gets a random rank: those of the first priority group
    before those of the second, at random within a group. The first C on a list of n with C places are offered one, so
    that without priorities P(offer) = C / n and P(both of two are offered) = C (C - 1) / (n (n - 1)), exactly.
    A priority group that the places suffice for is offered with probability 1, one that they do not reach with 0, and
    the group between m / g (m places left for g people). A list with fewer people than places offers to everybody.

    The arms are the *first* offers, which the lottery alone decides; :func:`kokeilu.offers` goes on down the list
    where people decline, and tells the ranks. Within :class:`kokeilu.Clustered` a place is that of a whole cluster: a
    household of five takes one, like a household of one.

    Parameters
    ----------
    places : int, mapping of list to int, or str
        Places on every list; places by the value of `by` (a tuple of values where `by` names several columns); or
        the name of a column of whole numbers that is constant within lists.
    by : str or sequence of str
        The columns that define the lists; () for one list.
    priority : mapping of column to its levels in order, optional
        ``{"long_term": ("yes", "no")}`` offers to the long-term unemployed first. Of several columns the first
        decides before the second.
    arms : (str, str)
        Names of the arms without and with a first offer.

    Raises
    ------
    DesignError
        On binding: lists without places, levels without a priority, places that vary within a list.

    Examples
    --------
    >>> import kokeilu as kk
    >>> kk.CapacityLottery({"Pori": 12, "Lapland": 8}, by="office").describe()
    'Places by office, drawn by rank: 20 on 2 lists; first offers down the list.'
    """

    places: Places | Mapping[Any, int]
    _: KW_ONLY
    by: tuple[str, ...] = ()
    priority: Priority | Mapping[str, Sequence[object]] = ()
    arms: tuple[str, str] = ("waiting list", "offered")

    def __post_init__(self) -> None:
        object.__setattr__(self, "by", name_list(self.by, name="by"))
        object.__setattr__(self, "places", _stated_places(self.places, self.by))
        object.__setattr__(self, "priority", _stated_priority(self.priority))
        names = name_list(self.arms, name="arms")
        if len(names) != 2:
            raise DesignError("CapacityLottery has two arms: the names without and with a first offer, in this order.")
        object.__setattr__(self, "arms", names)
        twice = {column for column, _ in self._order} & {*self.by, str(self.places)}
        if twice:
            raise DesignError(f"{min(twice)!r} cannot be both a priority and a list or its places.")

    @property
    def _order(self) -> Priority:
        """The priorities as `__post_init__` left them."""
        return cast(Priority, self.priority)

    def columns(self) -> tuple[str, ...]:
        """Return the columns of the lists and of the priorities."""
        return (*self.by, *(column for column, _ in self._order))

    def covariates(self) -> tuple[str, ...]:
        """Return the column of places, if places are one."""
        return (self.places,) if isinstance(self.places, str) else ()

    def bind(self, population: Population) -> CapacityDraw:
        """Bind to a population."""
        lists, labels = population.cross(self.by)
        cells, pairs = population.cross(self.columns())
        own = {label: code for code, label in enumerate(labels)}
        of_cell = np.array([own[pair[: len(self.by)]] for pair in pairs], dtype=np.int64)
        turns = [self._turn(pair[len(self.by) :]) for pair in pairs]
        self._check_levels(turns, np.bincount(cells, minlength=len(pairs)))
        places = places_of(cast(Places, self.places), population.numbers, lists, labels)
        if not places.any():
            raise DesignError("there are no places on any list, so there is nothing to draw. State the places.")
        return CapacityDraw.of(
            cells=cells,
            list_of_cell=of_cell,
            turns=turns,
            places=places,
            labels=labels,
            arm_names=self.arms,
            names=self.columns(),
            unit=population.unit,
        )

    def _turn(self, levels: Key) -> tuple[int, ...]:
        """Place of a cell in the order of priorities; -1 for a level that has none."""
        return tuple(
            order.index(level) if level in order else -1 for level, (_, order) in zip(levels, self._order, strict=True)
        )

    def _check_levels(self, turns: list[tuple[int, ...]], sizes: Ints) -> None:
        lost = sum(int(n) for turn, n in zip(turns, sizes, strict=True) if min(turn, default=0) < 0)
        if lost:
            columns = ", ".join(repr(column) for column, _ in self._order)
            raise DesignError(
                f"{count_of(lost, 'person')} of the register {'has' if lost == 1 else 'have'} a level of {columns} "
                "that has no place in the order of priorities. State every level, the first to be offered first."
            )

    def describe(self) -> str:
        """Say the rule in one sentence."""
        where = f" by {' × '.join(self.by)}" if self.by else ""
        first = "; ".join(f"{column}: {' before '.join(levels)}" for column, levels in self._order)
        order = f" (priority to {first})" if first else ""
        return f"Places{where}, drawn by rank{order}: {self._places_text()}; first offers down the list."

    def _places_text(self) -> str:
        if isinstance(self.places, str):
            return f"as many as {self.places!r} says"
        if isinstance(self.places, int):
            return f"{self.places:,} on each list" if self.by else f"{self.places:,}"
        stated = dict(cast("tuple[tuple[Key, int], ...]", self.places))
        return f"{sum(stated.values()):,} on {count_of(len(stated), 'list')}"


def _stated_places(places: object, by: tuple[str, ...]) -> Places:
    if isinstance(places, str):
        return plain_text(places, name="places")
    if isinstance(places, (Mapping, tuple)):
        if not by:
            raise DesignError("places by list need the columns that define the lists; name them in `by`.")
        items = places.items() if isinstance(places, Mapping) else places
        rows = list(items)
        if not all(isinstance(row, tuple) and len(row) == 2 for row in rows):
            raise DesignError("places by list must be a mapping of list to places: {'Pori': 12, 'Lapland': 8}.")
        pairs = [(_list_key(key, by), _whole_places(n, "the places of a list")) for key, n in rows]
        if not pairs or len({key for key, _ in pairs}) != len(pairs):
            raise DesignError("places must state every list once (1 and '1' are the same list), and at least one.")
        return tuple(sorted(pairs))
    return _whole_places(places, "places")


def _whole_places(value: object, name: str) -> int:
    number = positive_int(value, name=name, least=0)  # type: ignore[arg-type]
    if number > MOST_PLACES:
        raise DesignError(f"{name} must be at most 2**53. State the number of people where places are without limit.")
    return number


def _list_key(key: object, by: tuple[str, ...]) -> Key:
    parts = key if isinstance(key, tuple) else (key,)
    if len(parts) != len(by):
        raise DesignError(f"places: a list is keyed by {len(parts)} values, but `by` names {len(by)} columns.")
    return tuple(level_text(part) for part in parts)


def _stated_priority(priority: object) -> Priority:
    if not isinstance(priority, (Mapping, tuple)):
        raise DesignError("priority must be a mapping of column to its levels in order: {'long_term': ('yes', 'no')}.")
    items = tuple(priority.items() if isinstance(priority, Mapping) else priority)
    if not all(isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], (tuple, list)) for item in items):
        raise DesignError("priority must be a mapping of column to its levels in order: {'long_term': ('yes', 'no')}.")
    columns = name_list([column for column, _ in items], name="priority")
    orders = [tuple(level_text(level) for level in levels) for _, levels in items]
    if any(len(set(order)) != len(order) or not order for order in orders):
        raise DesignError("priority must name each level of a column once, the first to be offered first.")
    return tuple(zip(columns, orders, strict=True))


def places_of(places: Places, numbers: Mapping[str, Floats], lists: Ints, labels: tuple[Key, ...]) -> Ints:
    """Return the number of places on each list, shape (lists,)."""
    if isinstance(places, int):
        return np.full(len(labels), places, dtype=np.int64)
    if isinstance(places, str):
        return _places_in_column(places, numbers, lists, len(labels))
    stated = dict(places)
    lost = [label for label in labels if label not in stated]
    if lost:
        unused = [" × ".join(key) for key in stated if key not in set(labels)]
        hint = f" Stated but not in the register: {', '.join(map(repr, unused[:5]))}." if unused else ""
        verb = "has" if len(lost) == 1 else "have"
        raise DesignError(
            f"{count_of(len(lost), 'list')} of the register, of {len(labels):,}, {verb} no places.{hint} "
            "State the places of every list, 0 where there are none."
        )
    return np.array([stated[label] for label in labels], dtype=np.int64)


def _places_in_column(name: str, numbers: Mapping[str, Floats], lists: Ints, n_lists: int) -> Ints:
    if name not in numbers:
        raise DesignError(f"the column {name!r} must hold the number of places; it holds text.")
    values = numbers[name]
    if ((values != np.floor(values)) | (values < 0) | (values > MOST_PLACES)).any():
        raise DataError(f"the column {name!r} must hold whole numbers of places, 0 or more.")
    places = np.zeros(n_lists, dtype=np.int64)
    places[lists] = values.astype(np.int64)
    vary = len(np.unique(lists[places[lists] != values]))
    if vary:
        raise DesignError(
            f"the places in {name!r} vary within {count_of(vary, 'list')} of {n_lists:,}. Give all people of a list "
            "the same number, or name in `by` the columns that tell the lists apart."
        )
    return places


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class CapacityDraw(SeatedLottery):
    """Ranks and first offers; see :class:`CapacityLottery`. Strata are the priority groups of the lists.

    Attributes
    ----------
    list_of_cell, ahead : int64 arrays, shape (S,)
        The list of each stratum, and how many people of its list come before it.
    places : int64 array, shape (lists,)
    labels : tuple of tuples of str
        The values of the columns that define each list.
    """

    list_of_cell: Ints
    ahead: Ints
    places: Ints
    labels: tuple[Key, ...]

    @classmethod
    def of(
        cls,
        *,
        cells: Ints,
        list_of_cell: Ints,
        turns: list[tuple[int, ...]],
        places: Ints,
        labels: tuple[Key, ...],
        arm_names: tuple[str, str],
        names: tuple[str, ...],
        unit: str,
    ) -> CapacityDraw:
        """Let the cells of each list take their turn at its places."""
        sizes = np.bincount(cells, minlength=len(turns)).tolist()
        ahead, seen = [0] * len(turns), [0] * len(labels)
        shares: list[tuple[Fraction, ...]] = [()] * len(turns)
        for cell in sorted(range(len(turns)), key=lambda c: turns[c]):
            where = int(list_of_cell[cell])
            ahead[cell] = seen[where]
            seen[where] += sizes[cell]
            offered = Fraction(min(max(int(places[where]) - ahead[cell], 0), sizes[cell]), sizes[cell])
            shares[cell] = (1 - offered, offered)
        total = sum((n * share[OFFERED] for n, share in zip(sizes, shares, strict=True)), Fraction(0)) / sum(sizes)
        return cls(
            arms=Arms((Arm(arm_names[0], 1 - total), Arm(arm_names[1], total))),
            strata=cells,
            shares_by_stratum=tuple(shares),
            leftovers="refuse",
            names=names,
            unit=unit,
            list_of_cell=frozen_array(list_of_cell),
            ahead=frozen_array(np.array(ahead, dtype=np.int64)),
            places=frozen_array(places),
            labels=labels,
        )

    @property
    def lists(self) -> Ints:
        """The list on which each person stands, shape (n,)."""
        return self.list_of_cell[self.strata]

    def ranks(self, stream: Stream, size: int) -> Ints:
        """Return each person's rank on their list, shape (size, n), of the draws that :meth:`draw` gives.

        Rank 1 is offered first; a person has a first offer where the rank is at most the number of places.
        """
        own = rank_people(self.strata, self.sizes, stream.child("units"), size)
        return own + self.ahead[self.strata]
