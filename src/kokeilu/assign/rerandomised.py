"""Rerandomisation: draw again until covariates are balanced."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass, replace
from math import ceil, prod
from typing import Any, TypeAlias

import numpy as np

from kokeilu._checks import between, name_list, positive_int
from kokeilu._kernels.imbalance import centred_within, totals_covariance
from kokeilu._kernels.screen import Screen, best_of, mahalanobis_screen
from kokeilu.assign._picking import Below, Best, Picking
from kokeilu.assign._screened import ScreenedLottery
from kokeilu.assign._tries import Tries
from kokeilu.core.lottery import cells_of, shares_of
from kokeilu.core.population import Population
from kokeilu.core.protocols import Ints, Lottery, Mechanism
from kokeilu.core.register import covariates_of
from kokeilu.core.registry import encode, register
from kokeilu.errors import DesignError

__all__ = ["Rerandomised"]

Tiers: TypeAlias = "tuple[tuple[tuple[str, ...], float], ...]"
ACCEPT = 0.01
TRIES_PER_ACCEPTED = 100


@register("rerandomised")
@dataclass(frozen=True, slots=True)
class Rerandomised:
    r"""Draw another mechanism again and again until the arms are alike in covariates.

    With `accept` a draw is accepted when the Mahalanobis distance M of its covariate means is at most the quantile of
    chi-square at `accept` (Morgan & Rubin 2012). With `draws` the base is drawn that many times, K, and the draw with
    the least M is taken, the first where several have it: the number of tries is known beforehand, and no draw is ruled
    out. With strata M is made of differences within strata, with clusters of the totals of clusters, with several arms
    of all contrasts (Hansen & Bowers 2008). In a small register the share of draws accepted is only near `accept`.

    **Equal chances are lost** unless the arms are alike: with arms of equal shares each person's probability stays the
    share exactly, since exchanging the arms leaves M as it is and turns draws that are taken into draws that are taken.
    Otherwise people with unusual covariates end up in a small arm less often. The lottery states the probabilities
    (``inclusion()``), listed exactly where the draws are few, and else simulated with their Monte Carlo error and drawn
    towards a second-order formula for large samples. It gives them, and not those of the base, to the estimators; the
    assignment and its estimates say so in a note.

    The law of the best of K: with F the base's probability of a distance of at least M(z), and G of more than M(z), a
    draw z with base probability p, in a tie of probability F - G, has the probability :math:`(F^K - G^K) p / (F - G)`.

    A float design: distances are sums on a grid of powers of two, which no order of summing changes, but the grid comes
    from an eigenvalue decomposition, and a try within rounding of the threshold, or of the best, may fall differently
    on another processor.

    Parameters
    ----------
    base : Mechanism
        The rule that is drawn again.
    on : str or sequence of str
        Covariates: numbers as they stand, categories as indicators.
    accept : float, optional
        Probability that a try is accepted, in theory; 0.01 where neither this nor `draws` is stated.
    tiers : sequence of (columns, accept), optional
        In place of `on` and `accept`: covariates in order of importance, each tier with its own probability, each made
        orthogonal to those before (Morgan & Rubin 2015).
    equal_chance : bool
        Refuse a register in which anybody's probability is not exactly the share.
    tries : int, optional
        Most tries for one accepted draw; 100 times the expected number unless stated.
    draws : int, optional
        In place of `accept`: take the best of so many draws. Every redraw makes as many.

    Raises
    ------
    DesignError
        On binding: covariates that do not vary, no acceptable draw, or chances that are not equal where `equal_chance`
        asks for it. On drawing: no accepted try among `tries`.

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Rerandomised(kk.Complete(kk.arms(control=1, coaching=1)), on=("age", "months_unemployed"))
    >>> print(design.describe())
    Complete randomisation: control 1/2, coaching 1/2. Drawn again until balanced on age, months_unemployed (Mahalanobis
    distance; 1 in 100 accepted).

    The best of 100 has about the same balance, and always takes 100 draws:

    >>> kk.Rerandomised(kk.Complete(kk.arms(control=1, coaching=1)), on="age", draws=100).accept is None
    True
    """

    base: Mechanism
    _: KW_ONLY
    on: tuple[str, ...] = ()
    accept: float | None = None
    tiers: Tiers = ()
    equal_chance: bool = False
    tries: int | None = None
    draws: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.base, type) or not isinstance(self.base, Mechanism):
            raise DesignError("Rerandomised needs a mechanism to draw again, such as Complete(...) or Stratified(...).")
        object.__setattr__(self, "on", name_list(self.on, name="on"))
        object.__setattr__(self, "tiers", _checked_tiers(self.tiers))
        if self.draws is not None:
            object.__setattr__(self, "draws", self._checked_draws(self.draws))
        else:
            object.__setattr__(self, "accept", self._checked_accept())
        if bool(self.on) == bool(self.tiers):
            raise DesignError(
                "Rerandomised takes the covariates either in `on`, with one `accept` for all, or in `tiers`, such as "
                "((('age',), 0.05), (('region',), 0.2)); state one of the two."
            )
        if self.tries is not None:
            object.__setattr__(self, "tries", positive_int(self.tries, name="tries"))
        if not isinstance(self.equal_chance, bool):
            raise DesignError("equal_chance must be True or False.")

    def _checked_draws(self, draws: int) -> int:
        if self.accept is not None:
            raise DesignError(
                "Rerandomised draws either until a try is accepted, with `accept`, or takes the best of a number of "
                "draws, with `draws`; state one of the two."
            )
        if self.tiers:
            raise DesignError(
                "tiers each have a threshold of their own, and of several distances no draw is the best. State the "
                "covariates in `on`, or leave `draws` out."
            )
        if self.tries is not None:
            raise DesignError("`tries` bounds the search for an accepted draw; with `draws` their number is known.")
        return positive_int(draws, name="draws", least=2)

    def _checked_accept(self) -> float:
        if self.accept is None:
            return ACCEPT
        accept = between(self.accept, 0.0, 1.0, name="accept")
        if self.tiers and accept != ACCEPT:
            raise DesignError("each tier states its own acceptance; beside `tiers` leave `accept` out.")
        return accept

    def to_data(self) -> dict[str, object]:
        """Return the fields for JSON; `draws` only where it is stated, as designs without it were written before."""
        names = ("base", "on", "accept", "tiers", "equal_chance", "tries", "draws")
        data: dict[str, object] = {name: encode(getattr(self, name)) for name in names}
        return data if self.draws is not None else {name: data[name] for name in names[:-1]}

    @property
    def arms(self) -> Any:
        """The arms of the base."""
        return getattr(self.base, "arms")  # noqa: B009

    @property
    def stages(self) -> Tiers:
        """The tiers; one with all covariates where none were stated, which the best of several draws all pass."""
        return self.tiers or ((self.on, 1.0 if self.accept is None else self.accept),)

    def columns(self) -> tuple[str, ...]:
        """Return the columns of the base."""
        return self.base.columns()

    def covariates(self) -> tuple[str, ...]:
        """Return the covariates of the screen and those of the base."""
        own = (name for names, _ in self.stages for name in names)
        return tuple(dict.fromkeys((*covariates_of(self.base), *own)))

    def bind(self, population: Population) -> Lottery:
        """Bind to a population."""
        lottery = self.base.bind(population)
        inner: object = lottery
        while inner is not None:
            if isinstance(inner, ScreenedLottery):
                raise DesignError("the base is rerandomised already. State all covariates in one, by `tiers`.")
            inner = getattr(inner, "base", None)
        screen, units = self._screen(population, lottery)
        bound = ScreenedLottery(tries=Tries(base=lottery, screen=screen, units=units), rule=self._rule())
        bound.check(self.equal_chance)
        return bound

    def _rule(self) -> Picking:
        if self.draws is not None:
            return Best(draws=self.draws)
        accept = prod(p for _, p in self.stages)
        return Below(accept=accept, most=self.tries or ceil(TRIES_PER_ACCEPTED / accept))

    def _screen(self, population: Population, lottery: Lottery) -> tuple[Screen, Ints | None]:
        values, tier = [], []
        for number, (names, _) in enumerate(self.stages):
            matrix, _labels = population.matrix(names)
            values.append(matrix)
            tier += [number] * matrix.shape[1]
        cells = cells_of(lottery)
        if not cells.whole:
            raise DesignError(
                "the base draws people within areas that were drawn before, so that no area has an arm whose "
                "covariates could be compared. Rerandomise the draw of the areas."
            )
        columns, kept = centred_within(np.concatenate(values, axis=1), cells.strata, cells.clusters)
        owner = np.array(tier, dtype=np.int64)[kept]
        places = (
            np.arange(len(population)) if cells.clusters is None else np.unique(cells.clusters, return_index=True)[1]
        )
        shares = shares_of(lottery)[places]
        covariance = totals_covariance(columns, cells.strata[places], shares)
        groups = [np.flatnonzero(owner == number) for number in range(len(self.stages))]
        screen = mahalanobis_screen(columns, covariance, shares, groups, [p for _, p in self.stages])
        self._check_ranks(screen)
        if self.draws is not None:
            factor = best_of(len(screen.tier), self.draws).variance_factor
            screen = replace(screen, factors=np.array([factor]))
        return screen, None if cells.clusters is None else places

    def _check_ranks(self, screen: Screen) -> None:
        for number, (names, _) in enumerate(self.stages):
            if not (screen.tier == number).any():
                raise DesignError(
                    f"{', '.join(map(repr, names))} cannot differ between arms: nothing varies within strata"
                    f"{' beyond the tiers before' if number else ''}. Leave the column out of the screen."
                )

    def describe(self) -> str:
        """Say the rule in one sentence."""
        if self.draws is not None:
            return (
                f"{self.base.describe()} Drawn {self.draws:,} times, and of these the draw with the least Mahalanobis "
                f"distance in {', '.join(self.on)} is taken, the first where several have it."
            )
        parts = [f"{', '.join(names)} (Mahalanobis distance; {_odds(p)} accepted)" for names, p in self.stages]
        return f"{self.base.describe()} Drawn again until balanced on {', then '.join(parts)}."


def _odds(p: float) -> str:
    return f"1 in {1 / p:.4g}"


def _checked_tiers(tiers: object) -> Tiers:
    """Return tiers as ((names, accept), ...), each column in one of them."""
    if not isinstance(tiers, Iterable) or isinstance(tiers, (str, bytes)):
        raise DesignError(
            "tiers must be pairs of columns and acceptance, such as ((('age',), 0.05), (('region',), 0.2))."
        )
    checked = []
    for tier in tiers:
        if not isinstance(tier, (tuple, list)) or len(tier) != 2 or isinstance(tier[1], str):
            raise DesignError("each tier must be a pair of columns and acceptance, such as (('age', 'income'), 0.05).")
        names = name_list(tier[0], name="a tier")
        if not names:
            raise DesignError("a tier names no columns. Leave it out.")
        checked.append((names, between(tier[1], 0.0, 1.0, name="the acceptance of a tier")))
    every = [name for names, _ in checked for name in names]
    if len(set(every)) < len(every):
        raise DesignError("a column stands in two tiers. Keep it in the first of them.")
    return tuple(checked)
