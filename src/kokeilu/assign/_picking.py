"""Which of the tries is the draw: the first below a threshold, or the best of a number of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.screen import TIE, Screen
from kokeilu._kernels.streams import Stream
from kokeilu.assign._tries import Block, Tries
from kokeilu.core.protocols import Codes, Floats
from kokeilu.errors import DesignError

__all__ = ["Best", "Below", "Pick", "Picking", "Wins", "tied"]

Flags = NDArray[np.bool_]
Wins = Callable[[Floats], Flags]
"""Tells which sums (..., R) would have been picked in place of the try that was."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pick:
    """The try that was picked: its number, counted from 0, and its codes, shape (n,)."""

    number: int
    codes: Codes
    wins: Wins


class Picking(Protocol):
    """A rule by which one try becomes the draw."""

    def pick(self, tries: Tries, stream: Stream) -> tuple[int, Codes]:
        """Return the number and the codes of the try that is picked."""
        ...

    def picked(self, tries: Tries, stream: Stream) -> Pick:
        """Return the same with what would have won in its place."""
        ...

    def law(self, screen: Screen, distances: Floats, chances: Floats) -> Floats:
        """Return the probabilities of draws with these distances (m, tiers) from those of the base, (m,)."""
        ...

    def problem(self, screen: Screen, distances: Floats) -> str | None:
        """Say why a draw with these distances (tiers,) cannot be picked; None where it can."""
        ...

    @property
    def listed(self) -> str:
        """What the draws with a probability are called."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Below:
    """The first try that the screen accepts.

    Attributes
    ----------
    accept : float
        Probability of acceptance in theory.
    most : int
        Most tries for one draw.
    """

    accept: float
    most: int

    @property
    def listed(self) -> str:
        """The accepted ones."""
        return "accepted"

    def pick(self, tries: Tries, stream: Stream) -> tuple[int, Codes]:
        """Return the first accepted try."""
        for block in tries.likely(stream, self.most, round(1.5 / self.accept)):
            codes = tries.people(block.codes)
            good = tries.accepted(codes)
            if good.any():
                first = int(good.argmax())
                return int(block.numbers[first]), codes[first]
        raise DesignError(
            f"no balanced draw among {self.most:,} tries. Accept more (accept=, now 1 in {1 / self.accept:,.4g}), "
            "balance fewer covariates, or allow more tries=."
        )

    def picked(self, tries: Tries, stream: Stream) -> Pick:
        """Return the same; any other draw that the screen accepts would have won."""
        number, codes = self.pick(tries, stream)
        return Pick(number=number, codes=codes, wins=tries.screen.within)

    def law(self, screen: Screen, distances: Floats, chances: Floats) -> Floats:
        """Return the probabilities of the base given acceptance; 0 beyond the thresholds."""
        kept = np.where(screen.inside(distances), chances, 0.0)
        total = float(kept.sum())
        if not total > 0.0:
            raise DesignError(
                f"none of the {len(chances):,} possible assignments is balanced enough. Accept more (accept=), or "
                "balance fewer covariates."
            )
        return kept / total

    def problem(self, screen: Screen, distances: Floats) -> str | None:
        """Say which threshold is exceeded most."""
        if screen.inside(distances[None])[0]:
            return None
        worst = int((distances / screen.thresholds).argmax())
        return (
            f"the Mahalanobis distance of the covariates is {distances[worst]:.4g}, and draws above "
            f"{screen.thresholds[worst]:.4g} are not accepted"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The try with the least distance of so many, the first where several have it.

    Attributes
    ----------
    draws : int
        Number of tries K.
    """

    draws: int

    @property
    def listed(self) -> str:
        """All of them."""
        return "possible"

    def pick(self, tries: Tries, stream: Stream) -> tuple[int, Codes]:
        """Return the first of the least distance."""
        found = _Leaders(numbers=(), codes=np.empty((0, tries.base.n_units), dtype=np.int8), distances=np.empty(0))
        for block in tries.blocks(stream, self.draws, self.draws):
            found = found.after(block, tries)
        return found.numbers[0], found.codes[0]

    def picked(self, tries: Tries, stream: Stream) -> Pick:
        """Return the same; another draw would have won if it beat the tries before it, and none after it beat it."""
        distances = np.concatenate(
            [tries.distances(tries.people(b.codes))[:, 0] for b in tries.blocks(stream, self.draws, self.draws)]
        )
        number = int(tied(distances, float(distances.min())).argmax())
        before = float(distances[:number].min(initial=np.inf))
        after = float(distances[number + 1 :].min(initial=np.inf))

        def wins(sums: Floats) -> Flags:
            found = tries.screen.distances(sums)[..., 0]
            ahead: Flags = (found * (1.0 + TIE) + TIE**2 < before) & tied(found, after)
            return ahead

        return Pick(number=number, codes=tries.rows(stream.skip(number), 1)[0], wins=wins)

    def law(self, screen: Screen, distances: Floats, chances: Floats) -> Floats:
        """Return the probabilities of being the best of K.

        With F(m) the base's probability of a distance of at least m, and G(m) of more than m, the least distance is m
        with probability F^K - G^K; among draws that are tied the first is each of them in proportion to the base.
        """
        order = distances[:, 0].argsort(kind="stable")
        ranked = distances[order, 0]
        group = np.concatenate([[0], np.cumsum(~tied(ranked[1:], ranked[:-1]))])
        weight = np.bincount(group, weights=chances[order])
        at_least = np.cumsum(weight[::-1])[::-1]
        at_least = at_least / at_least[0]
        beaten = np.append(at_least[1:], 0.0) / at_least
        # F^K - G^K = F^K (1 - (G/F)^K)
        won = at_least**self.draws * (1.0 - beaten**self.draws)
        law = np.empty_like(chances)
        law[order] = (won / weight)[group] * chances[order]
        # What is too unlikely for a double is still possible.
        return np.maximum(law, np.nextafter(0.0, 1.0))

    def problem(self, screen: Screen, distances: Floats) -> str | None:
        """Any draw of the base can be the best of K."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Leaders:
    """The tries that are tied for the least distance so far, in their order."""

    numbers: tuple[int, ...]
    codes: Codes
    distances: Floats

    def after(self, block: Block, tries: Tries) -> _Leaders:
        """Return the leaders after a block; only tries that rough bounds leave in the running are measured exactly."""
        low, high = (bound[:, 0] for bound in tries.bounds(block))
        least = min(float(high.min()), float(self.distances.min(initial=np.inf)))
        rows = np.flatnonzero(tied(low, least))
        codes = np.concatenate([self.codes, tries.people(block.codes[rows])])
        distances = np.concatenate([self.distances, tries.distances(codes[len(self.codes) :])[:, 0]])
        numbers = (*self.numbers, *block.numbers[rows].tolist())
        kept = np.flatnonzero(tied(distances, float(distances.min())))
        return _Leaders(
            numbers=tuple(numbers[place] for place in kept.tolist()), codes=codes[kept], distances=distances[kept]
        )


def tied(distances: Floats, least: Floats | float) -> Flags:
    """Tell which distances are the least but for rounding: those of mirrored draws are, and of perfect balance."""
    same: Flags = distances <= least * (1.0 + TIE) + TIE**2
    return same
