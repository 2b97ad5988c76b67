"""Offers down the lists of a capacity lottery: who is next when people decline."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from kokeilu._checks import count_of
from kokeilu._kernels.ranks import go_down
from kokeilu.assign._standing import NOWHERE, Standing, standing_of
from kokeilu.assign.capacity import OFFERED, CapacityLottery, Places, places_of
from kokeilu.core.assignment import DRAW_STREAM, Assignment, check_assignment
from kokeilu.core.population import Ids, first_members, frozen_array
from kokeilu.core.protocols import Ints
from kokeilu.core.results import Rows
from kokeilu.core.table import read_columns, read_ids
from kokeilu.errors import DataError, DesignError

__all__ = ["Offers", "offers"]

BY_LAW = "by law"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Offers(Rows):
    """Where the lists of a capacity lottery stand.

    Attributes
    ----------
    ids : Ids
        The people in the order of the assignment, as all arrays here.
    lists, ranks : int64 arrays, shape (n,)
        Each person's list (position in `labels`) and rank on it, from 1; -1 and 0 for those whose arm the law fixes.
    parties : int64 array, shape (n,)
        Codes of those who take one place together: a person, or the people of a cluster that was drawn whole.
    first, offered, declined : bool arrays, shape (n,)
        A first offer, as the lottery gave it; any offer so far; no to it.
    places : int64 array, shape (lists,)
    labels : tuple of tuples of str
    """

    id_name: str
    ids: Ids
    lists: Ints
    ranks: Ints
    parties: Ints
    first: NDArray[np.bool_]
    offered: NDArray[np.bool_]
    declined: NDArray[np.bool_]
    places: Ints
    labels: tuple[tuple[str, ...], ...]

    @property
    def order(self) -> Ints:
        """Positions of the people list by list, each in the order of its ranks; those fixed by law come last."""
        place = np.where(self.lists == NOWHERE, len(self.labels), self.lists)
        return np.lexsort((self.parties, self.ranks, place)).astype(np.int64)

    def people(self) -> dict[str, list[Any]]:
        """Return one entry for each person, list by list in the order of the ranks: a table for the offices."""
        order, ids, states = self.order, self.ids.to_list(), self._states()
        names = [" × ".join(label) for label in self.labels]
        return {
            self.id_name: [ids[i] for i in order],
            "list": [BY_LAW if self.lists[i] == NOWHERE else names[self.lists[i]] for i in order],
            "rank": self.ranks[order].tolist(),
            "state": [states[i] for i in order],
        }

    def _states(self) -> list[str]:
        kinds = np.where(self.first, "first offer", np.where(self.offered, "replacement offer", "waiting"))
        law = np.where(self.first, f"service {BY_LAW}", f"no service {BY_LAW}")
        kinds = np.where(self.lists == NOWHERE, law, kinds)
        return [f"{kind}, declined" if no else kind for kind, no in zip(kinds.tolist(), self.declined, strict=True)]

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each list.

        Where clusters were drawn whole, the counts are of clusters, each of which takes one place, and `people` is the
        number of people in them. Those whose arm the law fixes stand on no list: their number is in a row of their own,
        and those of them with the service under `first_offers`.
        """
        lead = first_members(self.parties, int(self.parties.max()) + 1)
        whole = len(lead) < len(self.parties)
        where, no = self.lists[lead], _all_of(self.declined, self.parties)
        rows = []
        for code, label in enumerate(self.labels):
            here = where == code
            count, first, offered, declined = (
                int((here & who).sum()) for who in (here, self.first[lead], self.offered[lead], no)
            )
            people = {"people": int((self.lists == code).sum())} if whole else {}
            left = max(int(self.places[code]) - offered + declined, 0)
            name = " × ".join(label) or "all"
            rows.append(
                {"list": name, **people, **_counts(count, int(self.places[code]), first, declined, offered, left)}
            )
        law = where == NOWHERE
        if law.any():
            served = int((law & self.first[lead]).sum())
            people = {"people": int((self.lists == NOWHERE).sum())} if whole else {}
            rows.append({"list": BY_LAW, **people, **_counts(int(law.sum()), 0, served, 0, served, 0), "waiting": 0})
        return rows


def _counts(seekers: int, places: int, first: int, declined: int, offered: int, left: int) -> dict[str, Any]:
    return {
        "seekers": seekers,
        "places": places,
        "first_offers": first,
        "declined": declined,
        "replacement_offers": offered - first,
        "waiting": seekers - offered,
        "places_left": left,
    }


def _all_of(who: NDArray[np.bool_], parties: Ints) -> NDArray[np.bool_]:
    """Tell of which parties everybody is meant."""
    everybody: NDArray[np.bool_] = np.bincount(parties, weights=~who) == 0
    return everybody


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

    The lottery may be wrapped:

    * ``Clustered``: a household (or other cluster) takes one place, whatever its size, and has one rank. Its place goes
      on to the next when everybody in it has declined.
    * ``Waves``: each wave has lists, ranks and places of its own.
    * ``Fixed``: those whose arm the law fixes stand on no list, have no rank and take none of its places. They are
      counted apart, and have nothing to decline.
    * ``Rerandomised``: first offers are those of the draw that was accepted; the order of those with one, and of those
      without, is drawn afterwards from the same seed, so that every order is as likely.
    * ``Merged`` is refused: ask for the offers before arms are taken together.

    Parameters
    ----------
    assignment : Assignment
        Drawn by :class:`kokeilu.CapacityLottery`, wrapped or not.
    places : mapping of list to int, or int, optional
        Places as they are now, where they are no longer those of the draw. In waves a list is keyed by wave and list:
        ``{("March", "Pori"): 3, ...}``.
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
    check_assignment(assignment)
    if assignment.seed is None:
        raise DesignError("the allocation was made elsewhere, so its ranks are not known and no offers follow from it.")
    standing = standing_of(assignment.lottery, assignment.codes, assignment.stream(DRAW_STREAM))
    now = standing.places if places is None else _places(assignment, places, standing)
    no = _who(assignment, declined)
    # Nobody loses a first offer where there are fewer places now.
    offered = _offered(standing, now, no) | (assignment.codes == OFFERED)
    _refuse_too_early(no, offered, standing)
    return Offers(
        id_name=assignment.id_name,
        ids=assignment.ids,
        lists=frozen_array(standing.lists),
        ranks=frozen_array(standing.ranks),
        parties=frozen_array(standing.parties),
        first=frozen_array(assignment.codes == OFFERED),
        offered=frozen_array(offered),
        declined=frozen_array(no),
        places=frozen_array(now),
        labels=standing.labels,
    )


def _offered(standing: Standing, places: Ints, no: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell who has an offer: a party keeps its place while anybody in it has not declined."""
    parties = standing.parties
    lead = first_members(parties, int(parties.max()) + 1)
    listed = np.flatnonzero(standing.lists[lead] != NOWHERE)
    heads = lead[listed]
    found = np.zeros(len(lead), dtype=bool)
    found[listed] = go_down(standing.lists[heads], standing.ranks[heads], places, _all_of(no, parties)[listed])
    return found[parties]


def _refuse_too_early(no: NDArray[np.bool_], offered: NDArray[np.bool_], standing: Standing) -> None:
    law = int((no & (standing.lists == NOWHERE)).sum())
    if law:
        raise DataError(
            f"{count_of(law, 'person')} declined whose arm the law fixes: they have no offer of these places. Take "
            "them out of the list of those who declined."
        )
    early = int((no & ~offered).sum())
    if early:
        raise DataError(
            f"{count_of(early, 'person')} declined without having had an offer: their rank has not been reached. Check "
            "the list of those who declined."
        )


def _places(assignment: Assignment, places: Mapping[object, int] | int, standing: Standing) -> Ints:
    stated = cast(Places, CapacityLottery(places, by=standing.columns).places)
    listed = standing.lists != NOWHERE
    numbers = {name: values[listed] for name, values in assignment.population.numbers.items()}
    return places_of(stated, numbers, standing.lists[listed], standing.labels)


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
