"""Waves whose shares follow the outcomes of earlier waves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction

import numpy as np

from kokeilu._checks import choice, count_of, exact_share, name_list, positive_int
from kokeilu._kernels.best_arm import exploration, grid_parts, probability_best, tempered
from kokeilu.assign._adaptive import AdaptiveLottery, Wave
from kokeilu.assign._bases import one_column
from kokeilu.core.arms import Arm, Arms
from kokeilu.core.population import Population, frozen_array
from kokeilu.core.protocols import Codes, Ints
from kokeilu.core.registry import register
from kokeilu.errors import DesignError

__all__ = ["Adaptive"]

RULES = ("thompson", "tempered", "exploration")
UNKNOWN = "unknown"
LEVELS = {"1": 1, "true": 1, "0": 0, "false": 0, UNKNOWN: -1}


@register("adaptive")
@dataclass(frozen=True, slots=True)
class Adaptive:
    """Draw waves one after another, with shares that follow the outcomes of the waves before.

    The first wave has the shares of `arms`. Each later one follows the successes and failures of all earlier waves:
    with p the posterior probabilities that each arm is best (Beta(1, 1) priors), "thompson" gives p, "tempered"
    (1 - γ) p + γ / K (Caria et al. 2020), "exploration" p (1 - p) / Σ p (1 - p) (Kasy & Sautmann 2021). The shares are
    lifted to the floor, rounded to whole parts of 1 / grid, and kept exactly in every wave and stratum of `by`, each
    of which is shared out alone.

    The register has one row for each person of all waves so far, with the wave and the outcome: 1, 0 or "unknown" (as
    for everybody in the newest wave, whose outcomes are not used). Draw wave by wave with one seed and a register
    that grows (:func:`kokeilu.next_wave`): earlier waves never move. An outcome that becomes known only after the next
    wave was drawn stays "unknown" here, since that draw did not have it.

    Redraws replay the whole rule, wave by wave, with outcomes that no arm has changed, so a randomisation test of no
    effect is valid; ``assignment.lottery.with_outcomes(...)`` puts in what another sharp hypothesis implies. Effects
    are means of differences *within* waves: pooled over waves, a change of the outcome from wave to wave would look
    like an effect. So :func:`kokeilu.estimate_effects` needs two people or more of either arm in every wave, and is
    sure of them only where the floor gives as many; else it refuses, and the randomisation test is what is left.

    A float design: probabilities come from a quadrature and are rounded to billionths before they become whole parts,
    so another machine gets the same seats unless a probability lies within about 1e-12 of such a limit.

    Parameters
    ----------
    arms : Arms
        Arms and shares of the first wave.
    outcome : str
        The column of the outcome that steers the shares: 1, 0 or "unknown".
    wave : str
        The column that names the wave; whole numbers go by size, other names by code point.
    rule : {"thompson", "tempered", "exploration"}
    gamma : share
        For "tempered": the part that is split evenly.
    floor : share
        Least share of each arm in later waves; a whole number of parts of the grid. With floor 0 an arm may be
        dropped, and no effect of it can then be estimated with an interval. State at least 2 / (people in the smallest
        wave); 1/10 is usual.
    grid : int
        Shares are whole parts of 1 / grid.
    by : str or sequence of str
        Columns of strata within waves.

    Examples
    --------
    >>> import kokeilu as kk
    >>> rule = kk.Adaptive(kk.arms(letter=1, call=1, visit=1), outcome="came", rule="exploration", floor="1/10")
    >>> rule.shares_after({"letter": 8, "call": 12, "visit": 10}, {"letter": 12, "call": 8, "visit": 10}).describe()
    'letter 13/100, call 47/100, visit 2/5'
    """

    arms: Arms
    _: KW_ONLY
    outcome: str
    wave: str = "wave"
    rule: str = "thompson"
    gamma: str = "1/5"
    floor: str = "0"
    grid: int = 100
    by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.arms, Arms):
            raise DesignError("Adaptive needs arms, from kokeilu.arms(letter=1, call=1).")
        for name in ("outcome", "wave"):
            object.__setattr__(self, name, one_column(getattr(self, name), name=name, where="Adaptive"))
        object.__setattr__(self, "by", name_list(self.by, name="by"))
        if len({self.outcome, self.wave, *self.by}) < 2 + len(self.by):
            raise DesignError("outcome, wave and by must be different columns.")
        choice(self.rule, RULES, name="rule")
        for name in ("gamma", "floor"):
            object.__setattr__(self, name, str(exact_share(getattr(self, name), name=name)))
        object.__setattr__(self, "grid", positive_int(self.grid, name="grid", least=len(self.arms)))
        if Fraction(self.gamma) > 1:
            raise DesignError(f"gamma must lie between 0 and 1; got {self.gamma}.")
        least = Fraction(self.floor) * self.grid
        if least.denominator != 1 or least * len(self.arms) > self.grid:
            raise DesignError(
                f"the floor must be a whole number of parts of 1/{self.grid}, and {len(self.arms)} times it at most "
                f"1; got {self.floor}. Choose another floor or grid."
            )
        if self.grid > 10**6:
            raise DesignError("grid must be at most 1,000,000.")

    @property
    def keyed_by(self) -> tuple[str, ...]:
        """The wave, whose name is part of its stream and tells its turn."""
        return (self.wave,)

    def columns(self) -> tuple[str, ...]:
        """Return the columns of strata, wave and outcome."""
        return (*self.by, self.wave, self.outcome)

    def shares_after(self, successes: Mapping[str, int], failures: Mapping[str, int]) -> Arms:
        """Return the arms with the exact shares of the wave that follows these counts of all earlier waves.

        Examples
        --------
        >>> import kokeilu as kk
        >>> kk.Adaptive(kk.arms(a=1, b=1), outcome="y").shares_after({"a": 3, "b": 1}, {"a": 1, "b": 3}).describe()
        'a 9/10, b 1/10'
        """
        counts = [self._counts(side, name) for side, name in ((successes, "successes"), (failures, "failures"))]
        parts = self.parts_after(counts[0][None], counts[1][None])[0].tolist()
        names = self.arms.names
        return Arms(tuple(Arm(name, Fraction(part, self.grid)) for name, part in zip(names, parts, strict=True)))

    def _counts(self, stated: Mapping[str, int], name: str) -> Ints:
        if not isinstance(stated, Mapping) or {self.arms.index(arm) for arm in stated} != set(range(len(self.arms))):
            raise DesignError(f"{name} must be a mapping that gives a count for every arm.")
        return np.array([positive_int(stated[arm], name=name, least=0) for arm in self.arms.names], dtype=np.int64)

    def parts_after(self, successes: Ints, failures: Ints) -> Ints:
        """Return shares in parts of 1 / grid, int64 (m, K), that follow counts of shape (m, K)."""
        pairs, place = np.unique(np.concatenate([successes, failures], axis=1), axis=0, return_inverse=True)
        best = probability_best(pairs[:, : len(self.arms)], pairs[:, len(self.arms) :])
        if self.rule == "tempered":
            best = tempered(best, float(Fraction(self.gamma)))
        elif self.rule == "exploration":
            best = exploration(best)
        least = int(Fraction(self.floor) * self.grid)
        rows = np.array([grid_parts(row, self.grid, least) for row in best.tolist()], dtype=np.int64)
        return rows[place.reshape(-1)]

    def bind(self, population: Population) -> AdaptiveLottery:
        """Bind to a population."""
        factor = population.factor(self.wave)
        strata, _ = population.cross((self.wave, *self.by))
        waves = []
        for code in _in_order(factor.levels):
            rows = np.flatnonzero(factor.codes == code)
            own, local = np.unique(strata[rows], return_inverse=True)
            local = frozen_array(local.reshape(-1).astype(np.int64))
            sizes = frozen_array(np.bincount(local, minlength=len(own)).astype(np.int64))
            waves.append(Wave(name=factor.levels[code], rows=frozen_array(rows), strata=local, sizes=sizes))
        outcomes = self._outcomes(population)
        self._check_waves(waves, outcomes, population.unit)
        return AdaptiveLottery(rule=self, waves=tuple(waves), outcomes=outcomes, strata=strata)

    def _outcomes(self, population: Population) -> Codes:
        """Outcome of each person under each arm, int8 (n, K): under the null of no effect the same in all."""
        factor = population.factor(self.outcome)
        values = np.array([LEVELS.get(level, -2) for level in factor.levels], dtype=np.int8)[factor.codes]
        wrong = int((values == -2).sum())
        if wrong:
            raise DesignError(
                f"the outcome {self.outcome!r} must be 1, 0 or {UNKNOWN!r}; {count_of(wrong, 'person')} "
                f"{'has' if wrong == 1 else 'have'} another value. Write the column as text where some are {UNKNOWN!r}."
            )
        return frozen_array(np.repeat(values[:, None], len(self.arms), axis=1))

    def _check_waves(self, waves: list[Wave], outcomes: Codes, unit: str) -> None:
        small = sum(len(wave.rows) < len(self.arms) for wave in waves)
        if small:
            raise DesignError(
                f"{count_of(small, 'wave')} of {len(waves):,} by {self.wave!r} {'has' if small == 1 else 'have'} fewer "
                f"{'people' if unit == 'person' else unit + 's'} than the {len(self.arms)} arms. "
                "Join small waves with their neighbours."
            )
        blind = sum(bool((outcomes[wave.rows, 0] == -1).all()) for wave in waves[:-1])
        if blind:
            raise DesignError(
                f"{count_of(blind, 'wave')} before the newest {'has' if blind == 1 else 'have'} no known "
                f"{self.outcome!r}, so the next shares cannot follow it. Put in the outcomes, or draw both as one wave."
            )

    def describe(self) -> str:
        """Say the rule in one sentence."""
        how = {"thompson": "Thompson", "tempered": f"tempered Thompson, gamma {self.gamma},"}.get(
            self.rule, "exploration sampling"
        )
        within = f" within {' × '.join(self.by)}" if self.by else ""
        return (
            f"Waves by {self.wave}{within}: the first {self.arms.describe()}; then shares by {how} on {self.outcome}, "
            f"each at least {self.floor}, in parts of 1/{self.grid}."
        )


def _in_order(levels: tuple[str, ...]) -> list[int]:
    """Codes of the waves in their order: whole numbers by size, other names by code point."""
    numbers = all(level.removeprefix("-").isdecimal() and level.isascii() for level in levels)
    return sorted(range(len(levels)), key=lambda code: int(levels[code]) if numbers else code)
