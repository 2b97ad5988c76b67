"""Two-stage saturation: areas to shares of treated people, then people within areas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction

from kokeilu._checks import exact_share, name_list
from kokeilu.assign._bases import one_column
from kokeilu.assign._by_stratum import arms_of
from kokeilu.assign._two_stage import SaturationLottery
from kokeilu.assign.complete import Complete
from kokeilu.assign.stratified import Stratified
from kokeilu.core.arms import Arm, Arms
from kokeilu.core.levels import level_text
from kokeilu.core.population import CLUSTER_SIZE, Population
from kokeilu.core.protocols import Lottery, Mechanism
from kokeilu.core.register import covariates_of
from kokeilu.core.registry import register
from kokeilu.errors import DesignError

__all__ = ["Saturation"]


@register("saturation")
@dataclass(frozen=True, slots=True)
class Saturation:
    """Draw areas to saturation levels, and then people within each area at the level of the area.

    A person's arm says both draws, "coaching at 0.25" or "control at 0.25": codes, counts, shares, files and
    certificates carry the two, and direct, spillover and total effects are contrasts of arms with true probabilities,
    P(level) times the level or its complement. Redraws redo both stages. Level 0 has no treated arm and level 1 no
    untreated one. Within an area of n people drawn to the level l, n l people are treated, or the whole number below or
    above with exact probabilities; areas round on their own.

    Parameters
    ----------
    arms : Arms
        Two arms, untreated and treated: ``arms(control=1, coaching=1)``. The levels decide the shares, so state
        1 : 1, or the shares that the levels amount to; others are refused.
    levels : sequence of shares, mapping of level to parts, or Mechanism
        ``(0, 0.25, 0.5, 0.75, 1)`` for as many areas of each, ``{0: 2, 0.5: 1}`` for parts, or a mechanism that draws
        the areas and whose arms are named by levels, such as matched sets:
        ``MatchedTuples(arms({"0": 1, "0.5": 1}), on=("cluster_size",))``.
    area : str
        The column that names the area.
    by : str or sequence of str, optional
        Columns of strata, or of sets of areas made beforehand, within which the levels are balanced.
    saturations : sequence of shares, optional
        The share that each level treats, in their order, where the names of the levels do not say it ("low", "high").

    Raises
    ------
    DesignError
        Levels outside 0 to 1 or stated twice, all 0, all 1; on binding, an area in several strata.

    Notes
    -----
    For estimators: people of one area are drawn together, so areas are the clusters of every variance
    (``cells().clusters``), and the strata are those of the areas. But an area has people in two arms: it has no arm
    of its own (``cells().whole`` is False), and rules for whole clusters would be wrong. The default estimator is
    the difference in means, or the regression with stratum effects where areas have strata, with people clustered by
    area (CR2): sums over people of one area are what was drawn independently (given strata), so the variance holds for
    contrasts between levels and, as an area's part in both arms moves together, for those within a level.
    ``merge_arms(assignment, design.areas())`` is the trial of the areas alone, whole again;
    ``merge_arms(assignment, design.people())`` that of treated against untreated over all levels.

    Source: Crépon, Duflo, Gurgand, Rathelot & Zamora (2013), "Do labor market policies have displacement effects?",
    QJE 128, 531-580; Baird, Bohren, McIntosh & Özler (2018), "Optimal design of experiments in the presence of
    interference", REStat 100, 844-860.

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Saturation(kk.arms(control=1, coaching=1), levels=(0, 0.5, 1), area="area")
    >>> design.arms.describe()
    'control at 0 1/3, control at 0.5 1/6, coaching at 0.5 1/6, coaching at 1 1/3'
    >>> design.effects()["spillover"]
    (('control at 0.5', 'control at 0'),)
    """

    people_arms: Arms
    _: KW_ONLY
    levels: Mechanism
    area: str
    by: tuple[str, ...] = ()
    saturations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.people_arms, Arms) or len(self.people_arms) != 2:
            raise DesignError("Saturation needs two arms, untreated and treated: kokeilu.arms(control=1, coaching=1).")
        object.__setattr__(self, "area", one_column(self.area, name="area", where="Saturation"))
        object.__setattr__(self, "by", name_list(self.by, name="by"))
        object.__setattr__(self, "levels", _stage_one(self.levels, self.by))
        if self.area in self.levels.columns():
            raise DesignError(f"{self.area!r} is both the area and a stratum. Strata are made of several areas.")
        if not isinstance(self.saturations, (tuple, list)):
            raise DesignError("saturations must be a list of shares, one for each level in their order.")
        shares = _level_shares(self.saturations or self._level_arms().names)
        object.__setattr__(self, "saturations", tuple(str(share) for share in shares))
        if len(shares) != len(self._level_arms()):
            raise DesignError(f"saturations has {len(shares)} shares for {len(self._level_arms())} levels.")
        mean = sum((row.share * share for row, share in zip(self._level_arms(), shares, strict=True)), Fraction(0))
        if mean in (0, 1):
            raise DesignError("the levels treat nobody, or everybody: there is nothing to compare.")
        treated = self.people_arms.shares[1]
        if treated not in (Fraction(1, 2), mean) and isinstance(self._level_source(), Arms):
            raise DesignError(
                f"the levels treat {mean} of the people, but the arms say {treated}. State 1 : 1, and let the levels "
                "decide."
            )

    def _level_source(self) -> object:
        return getattr(self.levels, "arms", None)

    def _level_arms(self) -> Arms:
        return arms_of(self._level_source())  # type: ignore[arg-type]

    def _shares(self) -> tuple[Fraction, ...]:
        return tuple(Fraction(share) for share in self.saturations)

    @property
    def arms(self) -> Arms:
        """Arms of people and level: untreated and treated at each level, less those that a level excludes."""
        return _crossed(self.people_arms.names, self._level_arms(), self._shares())[0]

    def _pairs(self) -> list[tuple[str | None, str | None]]:
        """Names of the untreated and the treated arm of each level."""
        arms, table = _crossed(self.people_arms.names, self._level_arms(), self._shares())
        names = (*arms.names, None)
        return [(names[low], names[high]) for low, high in table]

    @property
    def draws_clusters(self) -> bool:
        """True: areas are drawn."""
        return True

    @property
    def divides_clusters(self) -> bool:
        """True: and people within them, so that no area has an arm of its own."""
        return True

    def columns(self) -> tuple[str, ...]:
        """Return the columns of the areas' strata and the area."""
        return (*self.levels.columns(), self.area)

    def covariates(self) -> tuple[str, ...]:
        """Return the covariates of the areas' draw; it gets their means by area."""
        return tuple(name for name in covariates_of(self.levels) if name != CLUSTER_SIZE)

    def bind(self, population: Population) -> Lottery:
        """Bind to a population."""
        areas, membership = population.collapse(self.area, self.levels.columns(), covariates_of(self.levels))
        base = self.levels.bind(areas)
        arms, table = _crossed(self.people_arms.names, base.arms, self._shares())
        return SaturationLottery(
            base=base, membership=membership, arms=arms, table=table, levels=self._shares(), name=self.area
        )

    def effects(self) -> dict[str, tuple[tuple[str, str], ...]]:
        """Return the contrasts of arms, (arm, reference), by the effect that they tell.

        "direct": treated against untreated at one level. "spillover" and "total": untreated and treated at a level
        against the untreated at level 0; empty where no level is 0.
        """
        pairs = self._pairs()
        pure = [low for low, high in pairs if low and not high]
        return {
            "direct": tuple((high, low) for low, high in pairs if low and high),
            "spillover": tuple((low, zero) for zero in pure for low, high in pairs if low and high),
            "total": tuple((high, zero) for zero in pure for _, high in pairs if high),
        }

    def people(self) -> dict[str, tuple[str, ...]]:
        """Return the mapping for :func:`kokeilu.merge_arms` that leaves treated and untreated, over all levels."""
        groups = zip(self.people_arms.names, zip(*self._pairs(), strict=True), strict=True)
        return {who: tuple(name for name in names if name) for who, names in groups}

    def areas(self) -> dict[str, tuple[str, ...]]:
        """Return the mapping for :func:`kokeilu.merge_arms` that leaves the levels of the areas."""
        groups = zip(self._level_arms().names, self._pairs(), strict=True)
        return {f"level {level}": tuple(name for name in pair if name) for level, pair in groups}

    def describe(self) -> str:
        """Say the rule in one sentence."""
        low, high = self.people_arms.names
        return (
            f"Two stages. Areas by {self.area} to the share of {high} (the others {low}): {self.levels.describe()} "
            "Then people within each area, in fixed numbers at its level."
        )


def _stage_one(levels: object, by: tuple[str, ...]) -> Mechanism:
    if isinstance(levels, Mechanism) and not isinstance(levels, type):
        drawn = getattr(levels, "by", None)
        if by and drawn != by:
            raise DesignError("levels is a mechanism that names its own strata; leave `by` out.")
        if getattr(levels, "arms", None) is None:
            raise DesignError("levels must be a mechanism whose arms are named by levels, such as '0' and '0.5'.")
        return levels
    if isinstance(levels, Mapping):
        stated = [(level, exact_share(parts, name=f"level {level}")) for level, parts in levels.items()]
    elif isinstance(levels, Iterable) and not isinstance(levels, str):
        stated = [(level, Fraction(1)) for level in levels]
    else:
        raise DesignError("levels must be shares such as (0, 0.25, 0.5), or a mapping of level to parts.")
    total = sum((parts for _, parts in stated), Fraction(0))
    if not total:
        raise DesignError("levels has no level with a part above 0.")
    arms = Arms(tuple(Arm(level_text(level), parts / total) for level, parts in stated))
    return Stratified(arms, by=by) if by else Complete(arms)


def _level_shares(stated: Iterable[object]) -> tuple[Fraction, ...]:
    shares = tuple(exact_share(share, name=f"level {share!r}") for share in stated)
    if any(share > 1 for share in shares):
        raise DesignError("a saturation level is above 1. Levels are shares of treated people from 0 to 1.")
    if len(set(shares)) != len(shares):
        raise DesignError("two saturation levels are the same share. State each level once.")
    return shares


def _crossed(
    people: tuple[str, ...], levels: Arms, saturations: tuple[Fraction, ...]
) -> tuple[Arms, tuple[tuple[int, int], ...]]:
    """Return the arms of people and level, and for each level the codes of its untreated and treated (-1: none)."""
    arms: list[Arm] = []
    table = []
    for level, treated in zip(levels, saturations, strict=True):
        pair = []
        for who, share in zip(people, (1 - treated, treated), strict=True):
            pair.append(len(arms) if share else -1)
            arms += [Arm(f"{who} at {level.name}", level.share * share)] if share else []
        table.append((pair[0], pair[1]))
    return Arms(tuple(arms)), tuple(table)
