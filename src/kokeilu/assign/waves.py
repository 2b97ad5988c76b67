"""One lottery for each wave of intake, so that later waves never move earlier ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from kokeilu._checks import count_of
from kokeilu._kernels.streams import Stream
from kokeilu.assign._bases import base_of, one_column
from kokeilu.assign._parts import count_product, every_product, join_cells, join_seating, part_of, pooled
from kokeilu.assign.clustered import Clustered
from kokeilu.core.arms import Arms
from kokeilu.core.lottery import seating_of, shares_of
from kokeilu.core.pairs import PairLaw, joined_law, pair_law_of
from kokeilu.core.population import Population
from kokeilu.core.protocols import Cells, Codes, Floats, Ints, Lottery, Mechanism, Seating
from kokeilu.core.register import covariates_of
from kokeilu.core.registry import register
from kokeilu.errors import DesignError

__all__ = ["Waves"]


@register("waves")
@dataclass(frozen=True, slots=True)
class Waves:
    """Draw each wave of intake on its own, by the same rule.

    The stream of a wave carries its name, so a wave that is added later, whatever its name, changes nothing in the
    draw of the others: the register of two waves and that of three give the first two the same arms under one seed.
    Waves are strata of the analysis, and drawn independently.

    Parameters
    ----------
    base : Mechanism
        The rule within each wave.
    wave : str
        The column that names the wave.

    Raises
    ------
    DesignError
        On binding, where a wave is too small for the base, or a cluster of the base has people in several waves.

    Examples
    --------
    >>> import kokeilu as kk
    >>> kk.Waves(kk.Complete(kk.arms(control=1, coaching=1)), wave="month").describe()
    'One draw for each wave by month. Complete randomisation: control 1/2, coaching 1/2.'
    """

    base: Mechanism
    _: KW_ONLY
    wave: str

    def __post_init__(self) -> None:
        base_of(self.base, where="Waves")
        object.__setattr__(self, "wave", one_column(self.wave, name="wave", where="Waves"))
        if self.wave in self.base.columns():
            raise DesignError(f"{self.wave!r} is both the wave and a column of the rule. Name it in `wave` only.")

    @property
    def arms(self) -> Any:
        """The arms of the base."""
        return getattr(self.base, "arms")  # noqa: B009

    @property
    def keyed_by(self) -> tuple[str, ...]:
        """The wave, whose name is part of its stream."""
        return (self.wave,)

    def columns(self) -> tuple[str, ...]:
        """Return the columns of the base and the wave."""
        return (*self.base.columns(), self.wave)

    def covariates(self) -> tuple[str, ...]:
        """Return the covariates of the base."""
        return covariates_of(self.base)

    def bind(self, population: Population) -> Lottery:
        """Bind to a population."""
        factor = population.factor(self.wave)
        if isinstance(self.base, Clustered):
            _refuse_astride(population, self.base.by, self.wave)
        places = tuple(np.flatnonzero(factor.codes == code) for code in range(len(factor.levels)))
        lotteries, small = [], []
        for rows in places:
            lottery, trouble = _bound(self.base, part_of(population, rows))
            lotteries += [] if lottery is None else [lottery]
            small += [trouble] if trouble else []
        if small:
            raise DesignError(
                f"{count_of(len(small), 'wave')} of {len(places):,} by {self.wave!r} cannot be drawn: {small[0]} "
                "Join small waves with their neighbours."
            )
        return WavesLottery(lotteries=tuple(lotteries), places=places, waves=factor.levels, name=self.wave)

    def describe(self) -> str:
        """Say the rule in one sentence."""
        return f"One draw for each wave by {self.wave}. {self.base.describe()}"


def _bound(base: Mechanism, population: Population) -> tuple[Lottery | None, str]:
    try:
        return base.bind(population), ""
    except DesignError as error:
        return None, str(error)


def _refuse_astride(population: Population, by: str, wave: str) -> None:
    clusters, codes = population.factor(by), population.factor(wave).codes
    pairs = np.unique(clusters.codes * (int(codes.max()) + 1) + codes) // (int(codes.max()) + 1)
    astride = int((np.bincount(pairs) > 1).sum())
    if astride:
        raise DesignError(
            f"{count_of(astride, 'cluster')} of {by!r} (of {len(clusters.levels):,}) "
            f"{'has' if astride == 1 else 'have'} people in more than one {wave!r}, and would be drawn more than once. "
            "Give each cluster the wave in which it first came."
        )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class WavesLottery:
    """Independent lotteries of waves; see :class:`Waves`."""

    lotteries: tuple[Lottery, ...]
    places: tuple[Ints, ...]
    waves: tuple[str, ...]
    name: str

    @cached_property
    def arms(self) -> Arms:
        """The arms, with their shares over all waves."""
        return pooled(self.lotteries)

    @cached_property
    def n_units(self) -> int:
        """Number of people."""
        return sum(len(rows) for rows in self.places)

    def draw(self, stream: Stream, size: int) -> Codes:
        """Return draws, shape (size, n): wave w by the child stream "wave w"."""
        codes = np.zeros((size, self.n_units), dtype=np.int8)
        for lottery, rows, wave in zip(self.lotteries, self.places, self.waves, strict=True):
            codes[:, rows] = lottery.draw(stream.child(f"wave {wave}"), size)
        return codes

    def shares(self) -> Floats:
        """Return probabilities, shape (n, arms)."""
        table = np.zeros((self.n_units, len(self.arms)))
        for lottery, rows in zip(self.lotteries, self.places, strict=True):
            table[rows] = shares_of(lottery)
        return table

    def cells(self) -> Cells:
        """Return the strata of each wave; clusters are drawn within waves."""
        cells = join_cells(self.lotteries, self.places, self.n_units)
        return replace(cells, names=(self.name, *cells.names))

    def seating(self) -> Seating | None:
        """Return the seats of all waves."""
        children = tuple(f"wave {wave}" for wave in self.waves)
        return join_seating([seating_of(part) for part in self.lotteries], self.places, children, self.n_units)

    def pair_law(self) -> PairLaw | None:
        """Return the probabilities of pairs: waves are independent."""
        found = [pair_law_of(lottery) for lottery in self.lotteries]
        parts = [part for part in found if part is not None]
        return joined_law(parts, self.places, self.n_units) if len(parts) == len(found) else None

    def count(self) -> int | None:
        """Return the product over waves."""
        return count_product(self.lotteries)

    def every(self) -> Iterator[tuple[Codes, Floats]]:
        """Yield every assignment with its probability."""
        return every_product(self.lotteries, self.places, self.n_units)

    def problem(self, codes: Codes) -> str | None:
        """Say why an allocation is not one that this lottery can give; None where it is."""
        checks = (getattr(lottery, "problem", None) for lottery in self.lotteries)
        found = [check(codes[rows]) for check, rows in zip(checks, self.places, strict=True) if check]
        wrong = [trouble for trouble in found if trouble]
        return f"in {count_of(len(wrong), 'wave')} of {len(self.waves):,}, first: {wrong[0]}" if wrong else None
