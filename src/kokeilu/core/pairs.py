"""Probabilities of pairs: who is drawn with whom, told by kinds of blocks instead of an n x n table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from kokeilu.core.lottery import all_assignments, cells_of
from kokeilu.core.population import first_members
from kokeilu.core.protocols import Countable, Floats, Ints, Lottery

__all__ = ["KnowsPairs", "PairLaw", "clustered_law", "folded_law", "independent_law", "joined_law", "pair_law_of"]

LISTED = 50_000
LISTED_UNITS = 200
LISTED_CELLS = 2**22


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairLaw:
    """P(one unit in arm a, another in arm b) for every pair of units.

    Units are people, or the clusters that are drawn whole. Units of a block are interchangeable, and so are blocks of a
    kind: with C kinds and K arms the table has C^2 K^2 entries, however many people there are.

    Attributes
    ----------
    units : int64 array, shape (n,)
        The unit of each person, 0..U-1.
    blocks : int64 array, shape (U,)
        The block of each unit, 0..B-1.
    kinds : int64 array, shape (B,)
        The kind of each block, 0..C-1.
    shares : float64 array, shape (C, K)
        P(a) of a unit.
    within : float64 array, shape (C, K, K)
        P(a, b) of two units of one block.
    across : float64 array, shape (C, C, K, K), or None
        P(a, b) of two units of different blocks, by the kinds of these. None: the blocks are drawn independently.
    error : float
        Largest standard error of a probability; 0 where they are exact.
    """

    units: Ints
    blocks: Ints
    kinds: Ints
    shares: Floats
    within: Floats
    across: Floats | None = None
    error: float = 0.0

    def joint(self) -> Floats:
        """P(a, b) of two units of different blocks by their kinds, (C, C, K, K), whether independent or not."""
        return _products(self.shares) if self.across is None else self.across


@runtime_checkable
class KnowsPairs(Protocol):
    """A lottery that knows the probabilities of pairs."""

    def pair_law(self) -> PairLaw | None:
        """Return them; None where they are too costly, or a part of the lottery does not know its own."""
        ...


def pair_law_of(lottery: object) -> PairLaw | None:
    """Return the probabilities of pairs of a lottery, or None.

    By its own word, or by listing all its assignments where these are at most 50,000, of at most 200 units.
    """
    if isinstance(lottery, KnowsPairs):
        found = lottery.pair_law()
        if found is not None:
            return found
    return _listed(lottery) if isinstance(lottery, Lottery) and isinstance(lottery, Countable) else None


def _products(shares: Floats) -> Floats:
    table: Floats = np.einsum("ca,db->cdab", shares, shares)
    return table


def independent_law(shares: Floats) -> PairLaw:
    """Return the law of units drawn each on their own with the given probabilities, (n, K)."""
    distinct, kinds = np.unique(shares, axis=0, return_inverse=True)
    blocks = kinds.reshape(-1).astype(np.int64)
    within: Floats = np.einsum("ca,cb->cab", distinct, distinct)
    return PairLaw(
        units=np.arange(len(shares)), blocks=blocks, kinds=np.arange(len(distinct)), shares=distinct, within=within
    )


def clustered_law(base: PairLaw, membership: Ints) -> PairLaw:
    """Return the law of people from that of their clusters."""
    return replace(base, units=base.units[membership])


def folded_law(base: PairLaw, fold: Floats) -> PairLaw:
    """Return the law of arms taken together; `fold` (K, k) is 1 where an arm becomes a new one."""
    return replace(
        base,
        shares=base.shares @ fold,
        within=np.einsum("ax,cab,by->cxy", fold, base.within, fold),
        across=None if base.across is None else np.einsum("ax,cdab,by->cdxy", fold, base.across, fold),
    )


def joined_law(parts: Sequence[PairLaw], places: Sequence[Ints], n_units: int) -> PairLaw:
    """Return the law of independent lotteries side by side; `places` are the people of each part."""
    units = np.zeros(n_units, dtype=np.int64)
    passed = np.cumsum([[0, 0, 0], *([len(p.blocks), len(p.kinds), len(p.shares)] for p in parts)], axis=0)
    for part, rows, start in zip(parts, places, passed[:, 0], strict=False):
        units[rows] = part.units + start
    shares = np.concatenate([part.shares for part in parts])
    across = None
    if any(part.across is not None for part in parts):
        across = _products(shares)
        for part, start in zip(parts, passed[:, 2], strict=False):
            own = slice(start, start + len(part.shares))
            across[own, own] = part.joint()
    return PairLaw(
        units=units,
        blocks=np.concatenate([part.blocks + start for part, start in zip(parts, passed[:, 1], strict=False)]),
        kinds=np.concatenate([part.kinds + start for part, start in zip(parts, passed[:, 2], strict=False)]),
        shares=shares,
        within=np.concatenate([part.within for part in parts]),
        across=across,
        error=max(part.error for part in parts),
    )


def _listed(lottery: Lottery) -> PairLaw | None:
    """Every unit is a block and a kind of its own: the table of pairs of a small lottery."""
    cells, n = cells_of(lottery), lottery.n_units
    chunks = all_assignments(lottery, min(LISTED, LISTED_CELLS // max(n, 1)))
    units = cells.clusters if cells.clusters is not None and cells.whole else np.arange(n)
    size = int(units.max()) + 1
    if chunks is None or size > LISTED_UNITS:
        return None
    first, arms = first_members(units, size), len(lottery.arms)
    shares, across = np.zeros((size, arms)), np.zeros((size, size, arms, arms))
    for codes, chances in chunks:
        own = codes[:, first]
        held = [(own == arm).astype(np.float64) for arm in range(arms)]
        for a in range(arms):
            shares[:, a] += chances @ held[a]
            for b in range(arms):
                across[:, :, a, b] += (held[a] * chances[:, None]).T @ held[b]
    alone = np.arange(size)
    return PairLaw(
        units=units,
        blocks=alone,
        kinds=alone,
        shares=shares,
        within=np.einsum("ca,cb->cab", shares, shares),
        across=across,
    )
