"""People who by law must, or must not, get a service: they are counted, and never drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from kokeilu._checks import count_of
from kokeilu._kernels.streams import Stream
from kokeilu.assign._bases import arm_position, base_of, named_arms, one_column
from kokeilu.assign._parts import CHUNK_CELLS, join_seating, part_of, seated_by_law
from kokeilu.core.arms import Arms
from kokeilu.core.levels import level_text
from kokeilu.core.lottery import cells_of, seating_of, shares_of
from kokeilu.core.pairs import PairLaw, independent_law, joined_law, pair_law_of
from kokeilu.core.population import Population, frozen_array
from kokeilu.core.protocols import Cells, Codes, Countable, Floats, Ints, Lottery, Mechanism, Seating
from kokeilu.core.register import covariates_of
from kokeilu.core.registry import register
from kokeilu.errors import DesignError

__all__ = ["Fixed"]

DRAWN = ("drawn",)
BY_LOT = -1


@register("fixed")
@dataclass(frozen=True, slots=True)
class Fixed:
    """Let some people have their arm by law, with probability 1, while the base draws the others.

    Nobody is dropped: people with a fixed arm stand in the assignment, its counts and its certificate with the
    probabilities 1 and 0. They had no choice between arms, so no estimate of effects uses them, and each says how many
    were left out. Strata, shares and leftovers of the base concern the drawn alone; wrap `Fixed` in
    :class:`kokeilu.Clustered` where a fixed member fixes a whole household.

    Parameters
    ----------
    base : Mechanism
        The rule by which the others are drawn.
    column : str
        The column that holds the name of a fixed arm, and "drawn" for those who are drawn.
    values : mapping of value to arm or "drawn", optional
        Where the column has other words, such as ``{"must": "coaching", "must not": "control"}``; a word for those who
        are drawn is given as "drawn": ``{"may": "drawn"}``.

    Raises
    ------
    DesignError
        On binding, where the column holds something that is no arm, or leaves nobody to draw.

    Examples
    --------
    >>> import kokeilu as kk
    >>> people = {"id": [1, 2, 3, 4], "law": ["drawn", "coaching", "drawn", "drawn"]}
    >>> design = kk.Fixed(kk.Complete(kk.arms(control=1, coaching=2)), column="law")
    >>> kk.randomise(people, design, id="id", seed="published").counts()
    {'control': 1, 'coaching': 3}
    """

    base: Mechanism
    _: KW_ONLY
    column: str = "fixed"
    values: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        arms = named_arms(base_of(self.base, where="Fixed"), where="Fixed")
        pairs = tuple(self.values.items()) if isinstance(self.values, Mapping) else self.values
        if not isinstance(pairs, tuple) or not all(isinstance(p, tuple) and len(p) == 2 for p in pairs):
            raise DesignError("values must be a mapping such as {'must': 'coaching', 'must not': 'control'}.")
        by_lot = (BY_LOT, *(word for word in DRAWN if word not in arms.names))
        stated = {level_text(value): BY_LOT if arm in by_lot else arm_position(arm, arms) for value, arm in pairs}
        if set(stated) & set(DRAWN):
            raise DesignError("'drawn' means that a person is drawn, and cannot stand for an arm.")
        values = stated or {name: code for code, name in enumerate(arms.names)}
        object.__setattr__(self, "values", tuple(values.items()))
        object.__setattr__(self, "column", one_column(self.column, name="column", where="Fixed"))
        if self.column in self.base.columns():
            raise DesignError(
                f"{self.column!r} is both the column of fixed arms and a column of the rule. Name it in `column` only."
            )

    @property
    def arms(self) -> Any:
        """The arms of the base."""
        return getattr(self.base, "arms")  # noqa: B009

    def columns(self) -> tuple[str, ...]:
        """Return the columns of the base and that of the fixed arms."""
        return (*self.base.columns(), self.column)

    @property
    def settled(self) -> tuple[str, ...]:
        """The columns that clusters may settle by majority: those of the base, never what the law says."""
        return self.base.columns()

    def covariates(self) -> tuple[str, ...]:
        """Return the covariates of the base."""
        return covariates_of(self.base)

    def bind(self, population: Population) -> Lottery:
        """Bind to a population."""
        factor = population.factor(self.column)
        place = {**dict(self.values), **dict.fromkeys(DRAWN, BY_LOT)}
        drawn = np.array([place.get(level) == BY_LOT for level in factor.levels])[factor.codes]
        lost = np.array([level not in place for level in factor.levels])
        if lost.any():
            people = int(lost[factor.codes].sum())
            raise DesignError(
                f"{self.column!r} holds {count_of(int(lost.sum()), 'value')} ({count_of(people, 'person')}) that "
                f"{'stands' if lost.sum() == 1 else 'stand'} for no arm of the design. Known are "
                f"{', '.join(repr(value) for value, _ in self.values)}, and 'drawn' for those who are drawn; give "
                "other words as values={'must': 'coaching', 'may': 'drawn'}."
            )
        if not drawn.any():
            raise DesignError(f"{self.column!r} fixes the arm of everybody, so there is nobody to draw.")
        base = self.base.bind(part_of(population, np.flatnonzero(drawn)))
        codes = np.array([place[level] for level in factor.levels], dtype=np.int8)[factor.codes]
        return FixedLottery(base=base, law=frozen_array(codes), name=self.column)

    def describe(self) -> str:
        """Say the rule in one sentence."""
        return f"People whose {self.column} names an arm have it by law; the others are drawn. {self.base.describe()}"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class FixedLottery:
    """A lottery among some of the people; see :class:`Fixed`. `law` holds each person's fixed arm, -1 where drawn."""

    base: Lottery
    law: Codes
    name: str

    @property
    def arms(self) -> Arms:
        """The arms, with the shares of those who are drawn."""
        return self.base.arms

    @property
    def n_units(self) -> int:
        """Number of people, drawn and fixed."""
        return len(self.law)

    @cached_property
    def drawn(self) -> Ints:
        """Positions of those who are drawn."""
        return frozen_array(np.flatnonzero(self.law < 0))

    def _spread(self, codes: Codes) -> Codes:
        everybody = np.repeat(self.law[None], len(codes), axis=0)
        everybody[:, self.drawn] = codes
        return everybody

    def draw(self, stream: Stream, size: int) -> Codes:
        """Return draws, shape (size, n)."""
        return self._spread(self.base.draw(stream, size))

    def shares(self) -> Floats:
        """Return probabilities, shape (n, arms): 1 and 0 for the fixed."""
        table = np.eye(len(self.arms))[np.maximum(self.law, 0)]
        table[self.drawn] = shares_of(self.base)
        return table

    def cells(self) -> Cells:
        """Return the cells of the base; the fixed stand in strata of their own, one for each arm, each person alone."""
        inner = cells_of(self.base)
        strata = int(inner.strata.max()) + 1 + np.maximum(self.law, 0).astype(np.int64)
        strata[self.drawn] = inner.strata
        if inner.waves is not None:
            waves = np.full(self.n_units, int(inner.waves.max()) + 1)
            waves[self.drawn] = inner.waves
            inner = replace(inner, waves=frozen_array(waves))
        if inner.clusters is None:
            return replace(inner, strata=frozen_array(strata))
        clusters = int(inner.clusters.max()) + 1 + np.arange(self.n_units)
        clusters[self.drawn] = inner.clusters
        return replace(inner, strata=frozen_array(strata), clusters=frozen_array(_consecutive(clusters)))

    def seating(self) -> Seating | None:
        """Return the seats of the drawn; the fixed stand in strata of their own, one for each arm."""
        fixed = np.flatnonzero(self.law >= 0)
        parts = (seating_of(self.base), seated_by_law(self.law[fixed], len(self.arms)))
        return join_seating(parts, (self.drawn, fixed), ("", ""), self.n_units)

    def pair_law(self) -> PairLaw | None:
        """Return the probabilities of pairs: the fixed are independent of everybody."""
        base, fixed = pair_law_of(self.base), np.flatnonzero(self.law >= 0)
        if base is None or len(fixed) == 0:
            return base
        alone = independent_law(np.eye(len(self.arms))[self.law[fixed]])
        return joined_law((base, alone), (self.drawn, fixed), self.n_units)

    def count(self) -> int | None:
        """Return the number of assignments of the drawn."""
        return self.base.count() if isinstance(self.base, Countable) else None

    def every(self) -> Iterator[tuple[Codes, Floats]]:
        """Yield every assignment with its probability."""
        if not isinstance(self.base, Countable):
            raise DesignError("the lottery of those who are drawn cannot list its assignments.")
        step = max(1, CHUNK_CELLS // self.n_units)
        for codes, chances in self.base.every():
            for start in range(0, len(codes), step):
                yield self._spread(codes[start : start + step]), chances[start : start + step]

    def problem(self, codes: Codes) -> str | None:
        """Say why an allocation is not one that this lottery can give; None where it is."""
        wrong = int(((self.law >= 0) & (codes != self.law)).sum())
        if wrong:
            return f"{count_of(wrong, 'person')} {'has' if wrong == 1 else 'have'} another arm than {self.name!r} fixes"
        check = getattr(self.base, "problem", None)
        return check(codes[self.drawn]) if check else None


def _consecutive(codes: Ints) -> Ints:
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)
