"""Who stands where on the lists of a capacity lottery, through whatever wraps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kokeilu._kernels.ranks import rank_people
from kokeilu._kernels.streams import Stream
from kokeilu.assign._by_stratum import Key
from kokeilu.assign._screened import ScreenedLottery
from kokeilu.assign.capacity import OFFERED, CapacityDraw
from kokeilu.assign.clustered import ClusteredLottery
from kokeilu.assign.fixed import FixedLottery
from kokeilu.assign.merged import MergedLottery
from kokeilu.assign.waves import WavesLottery
from kokeilu.core.population import first_members
from kokeilu.core.protocols import Codes, Ints, Lottery
from kokeilu.errors import DesignError

__all__ = ["NOWHERE", "Standing", "standing_of"]

NOWHERE = -1
"""The list of those who have their arm by law."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standing:
    """Where everybody stands in one draw.

    Attributes
    ----------
    lists, ranks : int64 arrays, shape (n,)
        List of each person (-1 for none) and rank on it, from 1 (0 on none). Those of one party share both.
    parties : int64 array, shape (n,)
        Codes 0..P-1 of those who take one place together: a person, or a cluster that was drawn whole.
    places : int64 array, shape (lists,)
    labels : tuple of tuples of str
        The values of `columns` that define each list.
    columns : tuple of str
    """

    lists: Ints
    ranks: Ints
    parties: Ints
    places: Ints
    labels: tuple[Key, ...]
    columns: tuple[str, ...]


def standing_of(lottery: Lottery, codes: Codes, stream: Stream) -> Standing:
    """Return the standing of everybody in the draw that row 0 of a stream gave.

    Parameters
    ----------
    lottery : Lottery
        A capacity lottery, or one of clusters, waves, some of the people, or drawn again, made of such.
    codes : int8 array, shape (n,)
        The draw.
    stream : Stream

    Raises
    ------
    DesignError
        For a lottery that gives no ranks.
    """
    if isinstance(lottery, CapacityDraw):
        return _listed(lottery, lottery.ranks(stream, 1)[0])
    if isinstance(lottery, ClusteredLottery):
        first = first_members(lottery.membership, lottery.base.n_units)
        return _of_members(standing_of(lottery.base, codes[first], stream), lottery.membership)
    if isinstance(lottery, FixedLottery):
        return _among(lottery.n_units, lottery.drawn, standing_of(lottery.base, codes[lottery.drawn], stream))
    if isinstance(lottery, WavesLottery):
        parts = zip(lottery.lotteries, lottery.places, lottery.waves, strict=True)
        found = [standing_of(part, codes[rows], stream.child(f"wave {wave}")) for part, rows, wave in parts]
        return _joined(found, lottery)
    if isinstance(lottery, ScreenedLottery):
        return _after(lottery.base, codes, stream.child("ranks"))
    if isinstance(lottery, MergedLottery):
        raise DesignError(
            "the arms of this assignment were taken together or renamed after the draw. Ask for the offers of the "
            "assignment as it was drawn, before merge_arms or without Merged."
        )
    raise DesignError("offers need an assignment that CapacityLottery drew: other lotteries give no ranks.")


def _after(lottery: Lottery, codes: Codes, stream: Stream) -> Standing:
    """Order the lists after a draw that was picked for its balance: those with a first offer, then the others.

    Which people have one is all that the screen looks at, so every order of those with and of those without is as
    likely, and is drawn by words of its own.
    """
    if isinstance(lottery, ClusteredLottery):
        first = first_members(lottery.membership, lottery.base.n_units)
        return _of_members(_after(lottery.base, codes[first], stream), lottery.membership)
    if isinstance(lottery, CapacityDraw):
        waiting = (codes != OFFERED).astype(np.int64)
        half = 2 * lottery.strata + waiting
        sizes = np.bincount(half, minlength=2 * len(lottery.sizes))
        before = lottery.ahead[lottery.strata] + np.where(waiting, sizes[half - waiting], 0)
        return _listed(lottery, rank_people(half, sizes, stream, 1)[0] + before)
    raise DesignError(
        "offers follow from Rerandomised where it draws CapacityLottery again, or Clustered of it. Put Waves and Fixed "
        "outside: Waves(Rerandomised(CapacityLottery(...), on=...), wave=...)."
    )


def _listed(lottery: CapacityDraw, ranks: Ints) -> Standing:
    return Standing(
        lists=lottery.lists,
        ranks=ranks,
        parties=np.arange(len(ranks)),
        places=lottery.places,
        labels=lottery.labels,
        columns=lottery.names[: len(lottery.labels[0])],
    )


def _of_members(inner: Standing, membership: Ints) -> Standing:
    return replace(
        inner, lists=inner.lists[membership], ranks=inner.ranks[membership], parties=inner.parties[membership]
    )


def _among(n_units: int, drawn: Ints, inner: Standing) -> Standing:
    """Put those who have their arm by law beside the drawn, each a party alone."""
    lists, ranks = np.full(n_units, NOWHERE, dtype=np.int64), np.zeros(n_units, dtype=np.int64)
    parties = int(inner.parties.max()) + 1 + np.arange(n_units)
    for whole, part in ((lists, inner.lists), (ranks, inner.ranks), (parties, inner.parties)):
        whole[drawn] = part
    parties = np.unique(parties, return_inverse=True)[1].astype(np.int64)
    return replace(inner, lists=lists, ranks=ranks, parties=parties)


def _joined(parts: Sequence[Standing], lottery: WavesLottery) -> Standing:
    lists, ranks, parties = np.zeros((3, lottery.n_units), dtype=np.int64)
    next_list = next_party = 0
    for part, rows in zip(parts, lottery.places, strict=True):
        lists[rows] = np.where(part.lists == NOWHERE, NOWHERE, part.lists + next_list)
        ranks[rows], parties[rows] = part.ranks, part.parties + next_party
        next_list += len(part.labels)
        next_party += int(part.parties.max()) + 1
    return Standing(
        lists=lists,
        ranks=ranks,
        parties=parties,
        places=np.concatenate([part.places for part in parts]),
        labels=tuple((wave, *label) for wave, part in zip(lottery.waves, parts, strict=True) for label in part.labels),
        columns=(lottery.name, *parts[0].columns),
    )
