"""Crossed factors drawn jointly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction
from functools import cached_property
from itertools import combinations, product
from math import prod

import numpy as np

from kokeilu._checks import choice, name_list, plain_text, unknown_name
from kokeilu._kernels.seat_law import SeatMoments, seat_law
from kokeilu._kernels.seats import leftover_seats
from kokeilu._kernels.streams import Stream
from kokeilu.assign._seated import LAW_LEAVES, LEFTOVERS, SeatedLottery
from kokeilu.core.arms import Arm, Arms
from kokeilu.core.population import Population, frozen_array
from kokeilu.core.protocols import Codes, Ints, Lottery
from kokeilu.core.registry import register
from kokeilu.errors import DesignError

__all__ = ["Factorial", "MainEffect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MainEffect:
    """Weights of a main effect over the arms of a crossed design.

    Attributes
    ----------
    factor, level, reference : str
    weights : tuple of (arm, weight)
        The effect is the weighted sum of the means of the arms: plus the chance of the other factors' levels in the
        arms of `level`, minus it in those of `reference`, 0 elsewhere.
    """

    factor: str
    level: str
    reference: str
    weights: tuple[tuple[str, Fraction], ...]


@register("factorial")
@dataclass(frozen=True, slots=True)
class Factorial:
    """Cross two or more factors and draw their combinations jointly, with fixed numbers in each.

    The arms are the combinations, "coach=yes, voucher=no", with the products of the shares; the first combines the
    first levels. Everybody's chance of each combination, and so of each level, is exact.

    Balance of the seats left over ("balanced"): without strata, each combination and *each level of the first
    factor* and each combination of the others is within one seat of its target (for two factors: all cells and both
    margins; controlled rounding of the two-way table, Cox 1987). With strata, each combination in each stratum and
    in total is; margins of factors are then sums of these, since three-way tables have no such rounding in general.

    Parameters
    ----------
    factors : mapping of factor to Arms
        Such as ``{"coach": arms(no=1, yes=1), "voucher": arms(no=2, yes=1)}``.
    by : str or sequence of str, optional
        Columns whose combinations are strata.
    leftovers : {"balanced", "stratum", "refuse"}
        As in :class:`kokeilu.Stratified`.

    Raises
    ------
    DesignError
        Fewer than two factors, or more than 127 combinations.

    Notes
    -----
    Contrasts of combinations are pairs of arm names: ``estimate_effects(..., contrasts=design.contrasts("coach"))``
    compares the levels of a factor at each combination of the others. For main effects take the other factors
    together: ``estimate_effects(merge_arms(assignment, design.factor("coach")), ...)`` is the difference in means
    between the levels of one factor, averaged over the others as they were drawn. Its variance is conservative: the
    spread that the other factors cause stays in it; ``ArmContrasts(design.effects())`` keeps the arms apart, and has
    interactions (Dasgupta, Pillai & Rubin 2015, "Causal inference from 2^K
    factorial designs by using potential outcomes", JRSS B 77, 727-753).

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Factorial({"coach": kk.arms(no=1, yes=1), "voucher": kk.arms(no=2, yes=1)})
    >>> design.arms.describe()
    'coach=no, voucher=no 1/3, coach=no, voucher=yes 1/6, coach=yes, voucher=no 1/3, coach=yes, voucher=yes 1/6'
    >>> design.contrasts("coach")[0]
    ('coach=yes, voucher=no', 'coach=no, voucher=no')
    """

    factors: tuple[tuple[str, Arms], ...]
    _: KW_ONLY
    by: tuple[str, ...] = ()
    leftovers: str = "balanced"

    def __post_init__(self) -> None:
        pairs = tuple(self.factors.items()) if isinstance(self.factors, Mapping) else self.factors
        usable = isinstance(pairs, tuple) and all(isinstance(p, tuple) and len(p) == 2 for p in pairs)
        if not usable or len(pairs) < 2 or not all(isinstance(value, Arms) for _, value in pairs):
            raise DesignError(
                "Factorial needs two or more factors with arms: {'coach': arms(no=1, yes=1), 'voucher': ...}."
            )
        names = name_list([name for name, _ in pairs], name="factors")
        named = [plain_text(name, name="factors") for name in names]
        object.__setattr__(self, "factors", tuple(zip(named, (value for _, value in pairs), strict=True)))
        object.__setattr__(self, "by", name_list(self.by, name="by"))
        choice(self.leftovers, LEFTOVERS, name="leftovers")
        if prod(len(value) for _, value in self.factors) > 127:
            raise DesignError("the factors have more than 127 combinations. Cross fewer of them.")

    def _combinations(self) -> list[tuple[Arm, ...]]:
        return list(product(*(tuple(value) for _, value in self.factors)))

    def _label(self, levels: tuple[str, ...]) -> str:
        return ", ".join(f"{name}={level}" for (name, _), level in zip(self.factors, levels, strict=True))

    @property
    def arms(self) -> Arms:
        """The combinations with the products of the shares."""
        rows = self._combinations()
        labels = [self._label(tuple(arm.name for arm in row)) for row in rows]
        shares = [prod((arm.share for arm in row), start=Fraction(1)) for row in rows]
        return Arms(tuple(Arm(label, share) for label, share in zip(labels, shares, strict=True)))

    def columns(self) -> tuple[str, ...]:
        """Return the columns that define the strata."""
        return self.by

    def bind(self, population: Population) -> Lottery:
        """Bind to a population."""
        strata, labels = population.cross(self.by)
        leftovers = "balanced" if self.leftovers == "stratum" and not self.by else self.leftovers
        kind = CrossedLottery if not self.by and leftovers == "balanced" else SeatedLottery
        return kind(
            arms=self.arms,
            strata=strata,
            shares_by_stratum=(self.arms.shares,) * len(labels),
            leftovers=leftovers,
            unit=population.unit,
            names=self.by if self.by else (),
            **({"rows": len(self.factors[0][1])} if kind is CrossedLottery else {}),
        )

    def _position(self, factor: str) -> int:
        names = [name for name, _ in self.factors]
        if factor not in names:
            raise unknown_name(factor, names, what="factor", where="the design")
        return names.index(factor)

    def factor(self, name: str) -> dict[str, tuple[str, ...]]:
        """Return the arms of each level of one factor, "coach=no" first: a mapping for :func:`kokeilu.merge_arms`."""
        place = self._position(name)
        rows = [tuple(arm.name for arm in row) for row in self._combinations()]
        return {
            f"{name}={level.name}": tuple(self._label(row) for row in rows if row[place] == level.name)
            for level in self.factors[place][1]
        }

    def contrasts(self, factor: str) -> tuple[tuple[str, str], ...]:
        """Return pairs (arm, reference) that differ in one factor only, against its first level."""
        place = self._position(factor)
        reference = self.factors[place][1].reference
        rows = [tuple(arm.name for arm in row) for row in self._combinations()]
        return tuple(
            (self._label(row), self._label((*row[:place], reference, *row[place + 1 :])))
            for row in rows
            if row[place] != reference
        )

    def main_effects(self) -> tuple[MainEffect, ...]:
        """Return the weights of each level of each factor against its first level."""
        effects = []
        for place, (name, levels) in enumerate(self.factors):
            for level in levels.names[1:]:
                weights = tuple((self._label(tuple(a.name for a in row)), _weight(row, place, level, levels.reference))
                                for row in self._combinations())  # fmt: skip
                effects.append(MainEffect(factor=name, level=level, reference=levels.reference, weights=weights))
        return tuple(effects)

    def effects(self, order: int = 2) -> dict[tuple[str, str], tuple[dict[str, Fraction], dict[str, Fraction]]]:
        """Return named contrasts for :class:`kokeilu.ArmContrasts`: main effects, and with `order` 2 interactions.

        A main effect compares a level with the first level of its factor, averaged over the other factors as they were
        drawn. An interaction is the effect of a level of one factor at a level of another, less that effect at the
        other's first level.

        Raises
        ------
        DesignError
            For an order other than 1 or 2.
        """
        if order not in (1, 2):
            raise DesignError("order must be 1 (main effects) or 2 (and interactions of two factors).")
        found = {}
        for place, (name, levels) in enumerate(self.factors):
            base = self._mean({place: levels.reference})
            for level in levels.names[1:]:
                found[f"{name}={level}", f"{name}={levels.reference}"] = self._mean({place: level}), base
        pairs = combinations(range(len(self.factors)), 2) if order == 2 else ()
        for one, two in pairs:
            (name, levels), (other, others) = self.factors[one], self.factors[two]
            for level, at in product(levels.names[1:], others.names[1:]):
                sides = [
                    (f"{name}={level} at {other}={where}", self._step(one, level, two, where))
                    for where in (at, others.reference)
                ]
                found[sides[0][0], sides[1][0]] = sides[0][1], sides[1][1]
        return found

    def _mean(self, fixed: Mapping[int, str]) -> dict[str, Fraction]:
        """Weights of the mean over the arms that have the given levels, the other factors as they were drawn."""
        weights = {}
        for row in self._combinations():
            if all(row[place].name == level for place, level in fixed.items()):
                label = self._label(tuple(arm.name for arm in row))
                others = (arm.share for place, arm in enumerate(row) if place not in fixed)
                weights[label] = prod(others, start=Fraction(1))
        return weights

    def _step(self, factor: int, level: str, other: int, at: str) -> dict[str, Fraction]:
        """Weights of the effect of a level at a level of another factor."""
        first = self.factors[factor][1].reference
        less = {arm: -weight for arm, weight in self._mean({factor: first, other: at}).items()}
        return {**self._mean({factor: level, other: at}), **less}

    def describe(self) -> str:
        """Say the rule in one sentence."""
        crossed = " × ".join(f"{name} ({value.describe()})" for name, value in self.factors)
        by = f" within {' × '.join(self.by)}" if self.by else ""
        return f"Crossed factors drawn jointly{by}, leftovers {self.leftovers}: {crossed}."


def _weight(row: tuple[Arm, ...], place: int, level: str, reference: str) -> Fraction:
    sign = {level: 1, reference: -1}.get(row[place].name, 0)
    return sign * prod((arm.share for other, arm in enumerate(row) if other != place), start=Fraction(1))


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class CrossedLottery(SeatedLottery):
    """One stratum whose seats are rounded as a table of the first factor by the others; `rows` levels of the first."""

    rows: int

    @cached_property
    def _crossed(self) -> tuple[Ints, int]:
        """Fractions of the two-way table; a last column completes each row to whole seats."""
        _, fractions, unit = self._targets
        table = fractions.reshape(self.rows, -1)
        return frozen_array(np.column_stack([table, -table.sum(axis=1) % unit])), unit

    def seats(self, stream: Stream, size: int) -> Ints:
        """Return the seats of each combination, shape (size, 1, K)."""
        floors, fractions, _ = self._targets
        if not fractions.any():
            return np.broadcast_to(floors, (size, *floors.shape))
        table, unit = self._crossed
        extra = leftover_seats(table, unit, stream.child("seats"), size, "balanced")[:, :, :-1]
        return floors + extra.reshape(size, 1, -1)

    @cached_property
    def _law(self) -> tuple[Ints, list[Fraction]] | None:
        floors, fractions, _ = self._targets
        if not fractions.any():
            return floors[None], [Fraction(1)]
        law = seat_law(*self._crossed, "balanced", LAW_LEAVES)
        if law is None:
            return None
        merged: dict[tuple[int, ...], Fraction] = {}
        for table, chance in zip(*law, strict=True):
            key = tuple(table[:, :-1].ravel().tolist())
            merged[key] = merged.get(key, Fraction(0)) + chance
        extra = np.array(list(merged), dtype=np.int64)[:, None, :]
        return floors + extra, list(merged.values())

    def _leftover_moments(self) -> SeatMoments | None:
        floors, fractions, _ = self._targets
        if self._law is None:
            return None
        extra = (self._law[0] - floors)[:, 0].astype(np.float64)
        own = np.einsum("t,ta,tb->ab", [float(chance) for chance in self._law[1]], extra, extra)
        nowhere = np.full((1, 1, *own.shape), np.nan)
        return SeatMoments(np.array([0 if fractions.any() else -1], dtype=np.int64), own[None], nowhere)

    def problem(self, codes: Codes) -> str | None:
        """Say why an allocation is not one that this lottery can give; None where it is."""
        trouble = super().problem(codes)
        if trouble:
            return trouble
        counts = np.bincount(codes, minlength=len(self.arms)).reshape(self.rows, -1)
        targets = np.array([self.n_units * share for share in self.arms.shares], dtype=object).reshape(counts.shape)
        for axis in (0, 1):
            gaps = counts.sum(axis=axis).astype(object) - targets.sum(axis=axis)
            if any(abs(gap) >= 1 for gap in gaps):
                return "the totals of a factor are more than one seat from their targets"
        return None
