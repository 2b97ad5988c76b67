"""Offers down the lists of a capacity lottery: who is next when people decline."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from kokeilu._checks import count_of
from kokeilu.assign.capacity import CapacityDraw, CapacityLottery, Places, places_of
from kokeilu.core.assignment import DRAW_STREAM, Assignment, check_assignment
from kokeilu.core.population import Ids, frozen_array
from kokeilu.core.protocols import Ints
from kokeilu.core.results import Rows
from kokeilu.core.table import read_columns, read_ids
from kokeilu.errors import DataError, DesignError

__all__ = ["Offers", "offers"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Offers(Rows):
    """Where the lists of a capacity lottery stand.

    Attributes
    ----------
    ids : Ids
        The people in the order of the assignment, as all arrays here.
    lists, ranks : int64 arrays, shape (n,)
        Each person's list (position in `labels`) and rank on it, from 1.
    first, offered, declined : bool arrays, shape (n,)
        A first offer, as the lottery gave it; any offer so far; no to it.
    places : int64 array, shape (lists,)
    labels : tuple of tuples of str
    """

    id_name: str
    ids: Ids
    lists: Ints
    ranks: Ints
    first: NDArray[np.bool_]
    offered: NDArray[np.bool_]
    declined: NDArray[np.bool_]
    places: Ints
    labels: tuple[tuple[str, ...], ...]

    @property
    def order(self) -> Ints:
        """Positions of the people list by list, each in the order of its ranks."""
        return np.lexsort((self.ranks, self.lists)).astype(np.int64)

    def people(self) -> dict[str, list[Any]]:
        """Return one entry for each person, list by list in the order of the ranks: a table for the offices."""
        order, ids, states = self.order, self.ids.to_list(), self._states()
        return {
            self.id_name: [ids[i] for i in order],
            "list": [" × ".join(self.labels[self.lists[i]]) for i in order],
            "rank": self.ranks[order].tolist(),
            "state": [states[i] for i in order],
        }

    def _states(self) -> list[str]:
        kinds = np.where(self.first, "first offer", np.where(self.offered, "replacement offer", "waiting"))
        return [f"{kind}, declined" if no else kind for kind, no in zip(kinds.tolist(), self.declined, strict=True)]

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each list."""
        count = len(self.labels)

        def by_list(who: NDArray[np.bool_]) -> list[int]:
            return [int(n) for n in np.bincount(self.lists[who], minlength=count)]

        everybody = by_list(np.ones(len(self.lists), dtype=bool))
        columns = (everybody, by_list(self.first), by_list(self.declined), by_list(self.offered))
        return [
            {
                "list": " × ".join(self.labels[i]) or "all",
                "seekers": n,
                "places": int(self.places[i]),
                "first_offers": first,
                "declined": no,
                "replacement_offers": offered - first,
                "waiting": n - offered,
                "places_left": max(int(self.places[i]) - offered + no, 0),
            }
            for i, (n, first, no, offered) in enumerate(zip(*columns, strict=True))
        ]


def offers(
    assignment: Assignment, places: Mapping[object, int] | int | None = None, *, declined: object = ()
) -> Offers:
    """Go down the lists of a capacity lottery: first offers, and replacement offers where people decline.

    Each list is gone down in the order of the ranks until as many as there are places have an offer that they have not
    declined, or the list ends.

    Compare people by their *first* offers, which is what the arms of the assignment are. Those with any offer and those
    with none are not comparable: offers go on until the places are filled, so each list's last offer went to somebody
    who took it, and takers are over-represented among those with an offer (de Chaisemartin & Behaghel 2020,
    "Estimating the effect of treatments allocated by randomized waiting lists", Econometrica 88, 1453-1477, who
    reweight for it). Keep list, rank, offers and take-up for their estimator: :meth:`Offers.people` has the first
    three.

    Parameters
    ----------
    assignment : Assignment
        Drawn by :class:`kokeilu.CapacityLottery`.
    places : mapping of list to int, or int, optional
        Places as they are now, where they are no longer those of the draw.
    declined : collection of ids
        Everybody who has declined an offer so far.

    Returns
    -------
    Offers

    Raises
    ------
    DesignError
        For another mechanism, or an allocation made elsewhere, whose ranks are not known.
    DataError
        Where somebody declined who is not on the lists or has had no offer.

    Examples
    --------
    >>> import kokeilu as kk
    >>> seekers = {"id": [1, 2, 3, 4, 5, 6], "office": ["Pori"] * 4 + ["Inari"] * 2}
    >>> drawn = kk.randomise(seekers, kk.CapacityLottery(2, by="office"), id="id", seed="published")
    >>> [row["waiting"] for row in kk.offers(drawn).rows()]
    [0, 2]
    """
    lottery = _lottery(assignment)
    ranks = lottery.ranks(assignment.stream(DRAW_STREAM), 1)[0]
    lists = lottery.lists
    now = _places(assignment, places, lists)
    no = _who(assignment, declined)
    order = np.lexsort((ranks, lists))
    # On a list in rank order, a person has an offer while fewer than C of those before have one and keep it.
    kept = np.cumsum(~no[order])
    starts = np.searchsorted(lists[order], np.arange(len(lottery.labels)))
    before = kept - ~no[order] - np.where(starts > 0, kept[starts - 1], 0)[lists[order]]
    offered = np.zeros(len(ranks), dtype=bool)
    offered[order] = before < now[lists[order]]
    # Nobody loses a first offer where there are fewer places now.
    offered |= assignment.codes == 1
    early = int((no & ~offered).sum())
    if early:
        raise DataError(
            f"{count_of(early, 'person')} declined without having had an offer: their rank has not been reached. Check "
            "the list of those who declined."
        )
    return Offers(
        id_name=assignment.id_name,
        ids=assignment.ids,
        lists=lists,
        ranks=frozen_array(ranks),
        first=frozen_array(assignment.codes == 1),
        offered=frozen_array(offered),
        declined=frozen_array(no),
        places=frozen_array(now),
        labels=lottery.labels,
    )


def _lottery(assignment: Assignment) -> CapacityDraw:
    lottery = check_assignment(assignment).lottery
    if not isinstance(lottery, CapacityDraw):
        raise DesignError("offers need an assignment that CapacityLottery drew: other lotteries give no ranks.")
    if assignment.seed is None:
        raise DesignError("the allocation was made elsewhere, so its ranks are not known and no offers follow from it.")
    return lottery


def _places(assignment: Assignment, places: Mapping[object, int] | int | None, lists: Ints) -> Ints:
    lottery, mechanism = _lottery(assignment), assignment.mechanism
    if places is None or not isinstance(mechanism, CapacityLottery):
        return lottery.places
    stated = CapacityLottery(places, by=mechanism.by).places
    return places_of(cast(Places, stated), assignment.population, lists, lottery.labels)


def _who(assignment: Assignment, declined: object) -> NDArray[np.bool_]:
    who = np.zeros(len(assignment), dtype=bool)
    if isinstance(declined, str) or not isinstance(declined, (Collection, np.ndarray)):
        raise DataError(f"declined must be a list of ids; got {type(declined).__name__}.")
    if len(declined) == 0:
        return who
    where = "the list of those who declined"
    named = read_ids(read_columns({"id": list(declined)}, ("id",), where=where)["id"], "id", where=where)
    if Ids(named).kind != assignment.ids.kind:
        raise DataError(f"{where} holds {Ids(named).kind}, but the ids of the assignment are {assignment.ids.kind}.")
    spots = assignment.ids.find(named)
    strangers = int((spots < 0).sum())
    if strangers:
        verb = "stands" if strangers == 1 else "stand"
        raise DataError(f"{where} has {count_of(strangers, 'person')} who {verb} on no list. Check their ids.")
    who[spots] = True
    return who
