"""Pairwise probabilities of lotteries that are made of others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kokeilu._kernels.streams import Stream
from kokeilu.assign._pairs import Drawn, Independent, Pairs, Seated
from kokeilu.assign._seated import SeatedLottery
from kokeilu.assign._two_stage import SaturationLottery
from kokeilu.assign.bernoulli import BernoulliLottery
from kokeilu.assign.clustered import ClusteredLottery
from kokeilu.assign.fixed import FixedLottery
from kokeilu.assign.merged import MergedLottery
from kokeilu.assign.waves import WavesLottery
from kokeilu.core.protocols import Floats, Ints, Lottery

__all__ = ["pairs_of"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Composed:
    """Pairs by a formula over the pairs of the parts."""

    formula: Callable[[int, int], Floats]
    error: float

    def joint(self, i: int, j: int) -> Floats:
        """Return what the formula gives."""
        return self.formula(i, j)


def pairs_of(lottery: Lottery, stream: Stream, draws: int) -> Pairs:
    """Return the best source of pairwise probabilities that there is for a lottery."""
    if isinstance(lottery, SeatedLottery):
        return Seated(lottery=lottery, stream=stream.child("seats of pairs"), draws=draws)
    if isinstance(lottery, BernoulliLottery):
        return Independent(marginals=lottery.shares())
    for kind, build in _WRAPPERS.items():
        if isinstance(lottery, kind):
            return build(lottery, stream, draws)
    return Drawn(lottery=lottery, stream=stream.child("pairs"), draws=draws)


def _clustered(lottery: ClusteredLottery, stream: Stream, draws: int) -> Pairs:
    base, of = pairs_of(lottery.base, stream, draws), lottery.membership
    marginals = lottery.shares()

    def formula(i: int, j: int) -> Floats:
        return np.diag(marginals[i]) if of[i] == of[j] else base.joint(int(of[i]), int(of[j]))

    return Composed(formula=formula, error=base.error)


def _fixed(lottery: FixedLottery, stream: Stream, draws: int) -> Pairs:
    base, marginals = pairs_of(lottery.base, stream, draws), lottery.shares()
    place = np.full(lottery.n_units, -1, dtype=np.int64)
    place[lottery.drawn] = np.arange(len(lottery.drawn))

    def formula(i: int, j: int) -> Floats:
        if min(place[i], place[j]) < 0:
            return _product(marginals[i], marginals[j])
        return base.joint(int(place[i]), int(place[j]))

    return Composed(formula=formula, error=base.error)


def _merged(lottery: MergedLottery, stream: Stream, draws: int) -> Pairs:
    base, fold = pairs_of(lottery.base, stream, draws), np.eye(len(lottery.names))[lottery.table]

    def formula(i: int, j: int) -> Floats:
        folded: Floats = fold.T @ base.joint(i, j) @ fold
        return folded

    return Composed(formula=formula, error=base.error)


def _waves(lottery: WavesLottery, stream: Stream, draws: int) -> Pairs:
    parts = [
        pairs_of(part, stream.child(name), draws) for part, name in zip(lottery.lotteries, lottery.waves, strict=True)
    ]
    marginals = lottery.shares()
    wave, place = _spots(lottery.places, lottery.n_units)

    def formula(i: int, j: int) -> Floats:
        if wave[i] != wave[j]:
            return _product(marginals[i], marginals[j])
        return parts[int(wave[i])].joint(int(place[i]), int(place[j]))

    return Composed(formula=formula, error=max(part.error for part in parts))


def _spots(places: tuple[Ints, ...], n_units: int) -> tuple[Ints, Ints]:
    """Part of each unit, and its place in the part."""
    part, place = np.empty(n_units, dtype=np.int64), np.empty(n_units, dtype=np.int64)
    for number, rows in enumerate(places):
        part[rows], place[rows] = number, np.arange(len(rows))
    return part, place


def _saturation(lottery: SaturationLottery, stream: Stream, draws: int) -> Pairs:
    base, of = pairs_of(lottery.base, stream, draws), lottery.membership
    given = np.zeros((len(lottery.levels), len(lottery.arms)))
    for level, (pair, share) in enumerate(zip(lottery.table, lottery.levels, strict=True)):
        for code, part in zip(pair, (1 - share, share), strict=True):
            given[level, code] += float(part) if code >= 0 else 0.0

    def formula(i: int, j: int) -> Floats:
        if of[i] == of[j]:
            return lottery.same_area_law(int(of[i]))
        # Given their levels, areas seat their people independently of each other.
        joint: Floats = given.T @ base.joint(int(of[i]), int(of[j])) @ given
        return joint

    return Composed(formula=formula, error=base.error)


def _product(left: Floats, right: Floats) -> Floats:
    product: Floats = np.multiply.outer(left, right)
    return product


_WRAPPERS: dict[type, Callable[..., Pairs]] = {
    ClusteredLottery: _clustered,
    FixedLottery: _fixed,
    MergedLottery: _merged,
    WavesLottery: _waves,
    SaturationLottery: _saturation,
}
