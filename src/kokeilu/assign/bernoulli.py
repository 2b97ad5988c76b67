"""Bernoulli randomisation: each person drawn on their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction
from functools import cached_property
from math import lcm

import numpy as np

from kokeilu._checks import count_of, name_list
from kokeilu._kernels.streams import Stream, below
from kokeilu.assign._by_stratum import ArmsByStratum, describe_arms, keyed_arms, pooled_arms, shares_for
from kokeilu.assign._seated import share_table
from kokeilu.core.arms import Arms
from kokeilu.core.pairs import PairLaw, independent_law
from kokeilu.core.population import Population
from kokeilu.core.protocols import Cells, Codes, Floats, Ints, Lottery
from kokeilu.core.registry import register
from kokeilu.errors import DesignError

__all__ = ["Bernoulli"]

EVERY_CELLS = 2**22


@register("bernoulli")
@dataclass(frozen=True, slots=True)
class Bernoulli:
    """Draw each person on their own, so that the numbers in the arms vary.

    Parameters
    ----------
    arms : Arms, or mapping of stratum value to Arms
        Shares for everybody, or by the value of the columns in `by`.
    by : str or sequence of str, optional
        Columns whose combinations decide the shares; needed where `arms` is a mapping.

    Examples
    --------
    >>> import kokeilu as kk
    >>> kk.Bernoulli(kk.arms(control="2/3", letter="1/3")).describe()
    'Each person drawn alone: control 2/3, letter 1/3.'
    """

    arms: ArmsByStratum
    _: KW_ONLY
    by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "by", name_list(self.by, name="by"))
        object.__setattr__(self, "arms", keyed_arms(self.arms, self.by, where="Bernoulli"))

    def columns(self) -> tuple[str, ...]:
        """Return the columns that decide the shares."""
        return self.by

    def bind(self, population: Population) -> Lottery:
        """Bind to a population."""
        strata, labels = population.cross(self.by)
        sizes = np.bincount(strata, minlength=len(labels)).tolist()
        return BernoulliLottery(
            arms=pooled_arms(self.arms, labels, sizes),
            strata=strata,
            shares_by_stratum=shares_for(self.arms, labels, sizes, where="Bernoulli"),
            names=self.by,
            unit=population.unit,
        )

    def describe(self) -> str:
        """Say the rule in one sentence."""
        by = f" with shares by {' × '.join(self.by)}" if self.by else ""
        return f"Each person drawn alone{by}: {describe_arms(self.arms)}."


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class BernoulliLottery:
    """Independent draws; see :class:`Bernoulli`."""

    arms: Arms
    strata: Ints
    shares_by_stratum: tuple[tuple[Fraction, ...], ...]
    names: tuple[str, ...] = ()
    unit: str = "person"

    def __post_init__(self) -> None:
        if self.n_units < len(self.arms):
            raise DesignError(
                f"{count_of(self.n_units, self.unit)} cannot be drawn into {len(self.arms)} arms. "
                "The register must have at least as many as there are arms."
            )
        if self._unit >= 2**62:
            raise DesignError(
                "the shares have no common denominator below 2**62; write them as fractions such as '1/3'."
            )

    @property
    def n_units(self) -> int:
        """Number of people."""
        return len(self.strata)

    @cached_property
    def _unit(self) -> int:
        return lcm(*(share.denominator for row in set(self.shares_by_stratum) for share in row))

    @cached_property
    def _steps(self) -> Ints:
        """Cumulative shares in whole units, shape (strata, arms - 1)."""
        steps = [[int(share * self._unit) for share in row[:-1]] for row in self.shares_by_stratum]
        return np.cumsum(np.array(steps, dtype=np.int64), axis=1)

    def draw(self, stream: Stream, size: int) -> Codes:
        """Return draws, shape (size, n): a uniform whole number below the common denominator for each person."""
        ticket = below(stream.child("units"), np.broadcast_to(np.int64(self._unit), (size, self.n_units)))
        codes = np.zeros((size, self.n_units), dtype=np.int8)
        for step in self._steps.T:
            codes += ticket >= step[self.strata]
        return codes

    def shares(self) -> Floats:
        """Return exact probabilities, shape (n, arms), as doubles."""
        return share_table(self.shares_by_stratum)[self.strata]

    def cells(self) -> Cells:
        """Return the strata that decide the shares."""
        return Cells(strata=self.strata, fixed=False, names=self.names)

    def pair_law(self) -> PairLaw:
        """Return the probabilities of pairs: products."""
        return independent_law(self.shares())

    def count(self) -> int | None:
        """Return the number of assignments that can occur, None above 62 people."""
        if self.n_units > 62:
            return None
        possible = (self.shares() > 0).sum(axis=1)
        return int(np.prod(possible.astype(object)))

    def every(self) -> Iterator[tuple[Codes, Floats]]:
        """Yield every assignment that can occur with its probability, the product of the shares."""
        shares = self.shares()
        choices = [np.flatnonzero(row > 0).astype(np.int8) for row in shares]
        total, step = self.count() or 0, max(1, EVERY_CELLS // self.n_units)
        people = np.arange(self.n_units)
        for start in range(0, total, step):
            picks = np.unravel_index(np.arange(start, min(start + step, total)), [len(c) for c in choices])
            codes = np.stack([c[p] for c, p in zip(choices, picks, strict=True)], axis=1)
            yield codes, np.prod(shares[people, codes], axis=1)

    def problem(self, codes: Codes) -> str | None:
        """Say why an allocation cannot occur; None where it can."""
        impossible = int((self.shares()[np.arange(self.n_units), codes] == 0).sum())
        return f"{count_of(impossible, 'person', 'people')} stand in an arm whose share is 0" if impossible else None
