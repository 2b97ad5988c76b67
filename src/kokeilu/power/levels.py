"""Sizes alone for people within blocks, and blocks within sites (Dong & Maynard 2013).

Effects are in the units of the outcome; shares of variance by level are of its total variance. What strata and
covariates leave of the variance between people is 1 - r2 of the outcome model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kokeilu._checks import between, choice
from kokeilu.errors import DesignError
from kokeilu.power.layout import sized_arms
from kokeilu.power.level_frame import (
    LevelFrame,
    check_shares,
    known_sizes,
    one_open,
    people_part,
    refuse_icc,
    spread_of,
)
from kokeilu.power.models import Components, OutcomeModel, Pair

__all__ = ["Blocks", "Sites"]

EFFECTS = ("constant", "fixed", "random")
Parts = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """People drawn within blocks (strata, offices, cohorts) of equal size.

    Parameters
    ----------
    count, size : float, optional
        Blocks, and people in each; one may be left out in `sample_size`.
    effects : {"constant", "fixed", "random"}
        "constant": one effect for all. "fixed": each block has its own, these blocks are the population. "random": the
        blocks are a sample of blocks, and the effect is that in all of them.
    icc : float
        Share of the outcome's variance between blocks, for random effects.
    effect_ratio : float
        Variance of the blocks' effects over the variance of their means, for random effects.
    effect_r2 : float
        Share of the former explained by covariates of blocks.

    Notes
    -----
    Squared errors in total variances: (1 - r2) / (p q J n) with J (n - 1) - g - 1 degrees of freedom (constant) or
    J (n - 2) - g (fixed); random adds icc effect_ratio (1 - effect_r2) / J and leaves J - g - 1, the variance between
    people then being 1 - icc.

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Stratified(kk.arms(control=1, coaching=1), by="office")
    >>> blocks = kk.Blocks(count=18, size=30, effects="random", icc=0.2, effect_ratio=0.3, effect_r2=0.1)
    >>> round(kk.power_at(design, blocks, kk.Mean(sd=1, r2=0.4), effect=0.15, covariates=1).value, 4)
    0.4136
    """

    count: float | None = None
    size: float | None = None
    effects: str = "fixed"
    icc: float = 0.0
    effect_ratio: float = 0.0
    effect_r2: float = 0.0

    def __post_init__(self) -> None:
        one_open("Blocks", count=self.count, size=self.size)
        choice(self.effects, EFFECTS, name="effects")
        if self.size is not None:
            between(self.size, 2.0, 1e16, name="size of Blocks (people in a block)", closed=True)
        check_shares(icc=self.icc, effect_r2=self.effect_r2)
        between(self.effect_ratio, 0.0, 1e6, name="effect_ratio", closed=True)
        if self.effects != "random" and (self.icc or self.effect_ratio or self.effect_r2):
            raise DesignError("icc, effect_ratio and effect_r2 belong to effects='random'; leave them out.")

    @property
    def unknown(self) -> str | None:
        """What is left open."""
        return "blocks" if self.count is None else "people per block" if self.size is None else None

    @property
    def least(self) -> float:
        """Two blocks where they are a sample, or four people in a block."""
        return 4.0 if self.count is not None else 3.0 if self.effects == "random" else 1.0

    def at(self, value: float) -> Blocks:
        """Return the blocks with the open size filled in."""
        return replace(self, count=value) if self.count is None else replace(self, size=value)

    def frame(self, design: object, outcome: OutcomeModel) -> LevelFrame:
        """Return the frame."""
        blocks, size = known_sizes("Blocks", self.count, self.size)
        refuse_icc(outcome, "Blocks")
        people = blocks * size

        def parts(model: OutcomeModel, components: Components, pair: Pair, seen: Pair, _: float) -> Parts:
            between_people = people_part(components, pair, seen, people)
            if self.effects != "random":
                return {"people": between_people}
            ratio = self.icc * self.effect_ratio * (1.0 - self.effect_r2)
            return {"people": (1.0 - self.icc) * between_people, "blocks": ratio * spread_of(model) / blocks}

        def dof(covariates: int) -> float:
            rules = {
                "constant": blocks * (size - 1.0) - covariates - 1.0,
                "fixed": blocks * (size - 2.0) - covariates,
                "random": blocks - covariates - 1.0,
            }
            return rules[self.effects]

        return LevelFrame(
            arms=sized_arms(design, "Blocks", clustered=False),
            count=people,
            drawn=people,
            clustered=False,
            strata=round(blocks),
            formula=f"people drawn within blocks, {self.effects} effects (Dong & Maynard 2013)",
            parts_of=parts,
            dof=dof,
            counts_units=self.effects != "random",
            each_arm=blocks if self.effects == "fixed" else 1.0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sites:
    """People drawn within blocks of sites: effects vary between sites and between their blocks.

    Parameters
    ----------
    count, blocks, size : float, optional
        Sites, blocks in each site, people in each block; one may be left out in `sample_size`.
    site_icc, block_icc : float
        Shares of the outcome's variance between sites, and between blocks of a site.
    site_ratio, block_ratio : float
        Variance of effects over that of means, at either level.

    Notes
    -----
    icc3 w3 / K + icc2 w2 / (J K) + (1 - icc3 - icc2)(1 - r2) / (p q J K n), K - g - 1 degrees of freedom.

    Examples
    --------
    >>> Sites(count=20, blocks=4, size=30).unknown is None
    True
    """

    count: float | None = None
    blocks: float | None = None
    size: float | None = None
    site_icc: float = 0.0
    block_icc: float = 0.0
    site_ratio: float = 0.0
    block_ratio: float = 0.0

    def __post_init__(self) -> None:
        one_open("Sites", count=self.count, blocks=self.blocks, size=self.size)
        check_shares(site_icc=self.site_icc, block_icc=self.block_icc)
        for name in ("site_ratio", "block_ratio"):
            between(getattr(self, name), 0.0, 1e6, name=name, closed=True)
        if self.size is not None:
            between(self.size, 2.0, 1e16, name="size of Sites (people in a block)", closed=True)
        check_shares(**{"site_icc + block_icc": self.site_icc + self.block_icc})

    @property
    def unknown(self) -> str | None:
        """What is left open."""
        if self.count is None:
            return "sites"
        return "blocks per site" if self.blocks is None else "people per block" if self.size is None else None

    @property
    def least(self) -> float:
        """Three sites, a block, or four people."""
        return 3.0 if self.count is None else 1.0 if self.blocks is None else 4.0

    def at(self, value: float) -> Sites:
        """Return the sites with the open size filled in."""
        if self.count is None:
            return replace(self, count=value)
        return replace(self, blocks=value) if self.blocks is None else replace(self, size=value)

    def frame(self, design: object, outcome: OutcomeModel) -> LevelFrame:
        """Return the frame."""
        sites, blocks, size = known_sizes("Sites", self.count, self.blocks, self.size)
        refuse_icc(outcome, "Sites")
        people = sites * blocks * size

        def parts(model: OutcomeModel, components: Components, pair: Pair, seen: Pair, _: float) -> Parts:
            rest = 1.0 - self.site_icc - self.block_icc
            return {
                "people": rest * people_part(components, pair, seen, people),
                "blocks": self.block_icc * self.block_ratio * spread_of(model) / (sites * blocks),
                "sites": self.site_icc * self.site_ratio * spread_of(model) / sites,
            }

        return LevelFrame(
            arms=sized_arms(design, "Sites", clustered=False),
            count=people,
            drawn=people,
            clustered=False,
            strata=round(sites * blocks),
            formula="people drawn within blocks of sites, random effects (Dong & Maynard 2013)",
            parts_of=parts,
            dof=lambda covariates: sites - covariates - 1.0,
            counts_units=False,
        )
