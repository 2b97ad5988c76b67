"""Sizes alone for whole clusters within blocks, and for groups within clusters (Dong & Maynard 2013).

Effects are in the units of the outcome; shares of variance by level are of its total variance. Covariates take r2 of
the variance between people and cluster_r2 of that between clusters, both of the outcome model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kokeilu._checks import between, choice
from kokeilu.errors import DesignError
from kokeilu.power.layout import sized_arms
from kokeilu.power.level_frame import (
    LevelFrame,
    check_shares,
    clusters_part,
    known_sizes,
    needs_icc,
    one_open,
    people_part,
    rest_of,
    spread_of,
)
from kokeilu.power.models import Components, OutcomeModel, Pair

__all__ = ["ClusteredBlocks", "NestedClusters"]

Parts = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusteredBlocks:
    """Whole clusters drawn within blocks: offices within regions.

    Parameters
    ----------
    blocks, count, size : float, optional
        Blocks, clusters in each block, people in each cluster; one may be left out in `sample_size`.
    effects : {"fixed", "random"}
        As for :class:`Blocks`.
    block_icc, effect_ratio : float
        For random effects: share of variance between blocks, and variance of the blocks' effects over that of their
        means. The share between clusters is the outcome's `icc`.

    Notes
    -----
    Fixed: icc (1 - cluster_r2) / (p q J K) + (1 - icc)(1 - r2) / (p q J K n), K (J - 2) - g degrees of freedom. Random
    adds icc3 w3 / K, people then having 1 - icc3 - icc, and leaves K - g - 1.

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Clustered(kk.Stratified(kk.arms(control=1, coaching=1), by="region"), by="office")
    >>> regions = kk.ClusteredBlocks(blocks=8, count=6, size=40)
    >>> round(kk.detectable_effect(design, regions, kk.Mean(sd=1, icc=0.05)).value, 3)
    0.227
    """

    blocks: float | None = None
    count: float | None = None
    size: float | None = None
    effects: str = "fixed"
    block_icc: float = 0.0
    effect_ratio: float = 0.0

    def __post_init__(self) -> None:
        one_open("ClusteredBlocks", blocks=self.blocks, count=self.count, size=self.size)
        choice(self.effects, ("fixed", "random"), name="effects")
        check_shares(block_icc=self.block_icc)
        between(self.effect_ratio, 0.0, 1e6, name="effect_ratio", closed=True)
        if self.effects != "random" and (self.block_icc or self.effect_ratio):
            raise DesignError("block_icc and effect_ratio belong to effects='random'; leave them out.")

    @property
    def unknown(self) -> str | None:
        """What is left open."""
        if self.blocks is None:
            return "blocks"
        return "clusters per block" if self.count is None else "people per cluster" if self.size is None else None

    @property
    def least(self) -> float:
        """Three blocks where they are a sample, three clusters in a block, one person."""
        if self.blocks is None:
            return 3.0 if self.effects == "random" else 1.0
        return 3.0 if self.count is None else 1.0

    def at(self, value: float) -> ClusteredBlocks:
        """Return the blocks with the open size filled in."""
        if self.blocks is None:
            return replace(self, blocks=value)
        return replace(self, count=value) if self.count is None else replace(self, size=value)

    def frame(self, design: object, outcome: OutcomeModel) -> LevelFrame:
        """Return the frame."""
        blocks, count, size = known_sizes("ClusteredBlocks", self.blocks, self.count, self.size)
        needs_icc(outcome)
        clusters = blocks * count
        random = self.effects == "random"

        def parts(model: OutcomeModel, components: Components, pair: Pair, seen: Pair, _: float) -> Parts:
            icc = float(getattr(model, "icc", 0.0) or 0.0)
            # The model splits all but the clusters' share to people; blocks take theirs from it.
            left = rest_of(1.0 - icc - self.block_icc, icc, f"a block_icc of {self.block_icc:g}")
            found = {
                "people": left * people_part(components, pair, seen, clusters * size),
                "clusters": clusters_part(components, pair, clusters),
            }
            more = {"blocks": self.block_icc * self.effect_ratio * spread_of(model) / blocks}
            return found | more if random else found

        return LevelFrame(
            arms=sized_arms(design, "ClusteredBlocks", clustered=True),
            count=clusters * size,
            drawn=clusters,
            clustered=True,
            strata=round(blocks),
            formula=f"whole clusters drawn within blocks, {self.effects} effects (Dong & Maynard 2013)",
            parts_of=parts,
            dof=lambda g: blocks - g - 1.0 if random else blocks * (count - 2.0) - g,
            counts_units=not random,
            each_arm=1.0 if random else blocks,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NestedClusters:
    """Whole clusters drawn, people in groups within them: offices, coaches, job seekers.

    Parameters
    ----------
    count, groups, size : float, optional
        Clusters drawn, groups in each, people in each group; one may be left out in `sample_size`.
    group_icc : float
        Share of the outcome's variance between groups of a cluster; that between clusters is the outcome's `icc`.

    Notes
    -----
    [icc3 + icc2 / J + (1 - icc3 - icc2) / (J n)] / (p q K), K - g - 2 degrees of freedom.

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Clustered(kk.Complete(kk.arms(control=1, coaching=1)), by="office")
    >>> nested = kk.NestedClusters(count=60, groups=3, size=15, group_icc=0.17)
    >>> round(kk.detectable_effect(design, nested, kk.Mean(sd=1, icc=0.06)).value, 3)
    0.269
    """

    count: float | None = None
    groups: float | None = None
    size: float | None = None
    group_icc: float = 0.0

    def __post_init__(self) -> None:
        one_open("NestedClusters", count=self.count, groups=self.groups, size=self.size)
        check_shares(group_icc=self.group_icc)

    @property
    def unknown(self) -> str | None:
        """What is left open."""
        if self.count is None:
            return "clusters"
        return "groups per cluster" if self.groups is None else "people per group" if self.size is None else None

    @property
    def least(self) -> float:
        """Four clusters, one group, one person."""
        return 4.0 if self.count is None else 1.0

    def at(self, value: float) -> NestedClusters:
        """Return the clusters with the open size filled in."""
        if self.count is None:
            return replace(self, count=value)
        return replace(self, groups=value) if self.groups is None else replace(self, size=value)

    def frame(self, design: object, outcome: OutcomeModel) -> LevelFrame:
        """Return the frame."""
        clusters, groups, size = known_sizes("NestedClusters", self.count, self.groups, self.size)
        needs_icc(outcome)

        def parts(model: OutcomeModel, components: Components, pair: Pair, seen: Pair, effect: float) -> Parts:
            icc = float(getattr(model, "icc", 0.0) or 0.0)
            left = rest_of(1.0 - icc - self.group_icc, icc, f"a group_icc of {self.group_icc:g}")
            variances = model.variances(effect)
            arms = zip(variances, pair, components[0], strict=True)
            in_groups = sum(self.group_icc * v / (p * clusters * groups) for v, p, own in arms if own > 0.0)
            return {
                "people": left * people_part(components, pair, seen, clusters * groups * size),
                "groups": in_groups,
                "clusters": clusters_part(components, pair, clusters),
            }

        return LevelFrame(
            arms=sized_arms(design, "NestedClusters", clustered=True),
            count=clusters * groups * size,
            drawn=clusters,
            clustered=True,
            strata=1,
            formula="whole clusters of groups of people (Dong & Maynard 2013)",
            parts_of=parts,
            dof=lambda covariates: clusters - covariates - 2.0,
        )
