"""How an effect differs between groups of people or of clusters: the least powerful question of most trials."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kokeilu._checks import between
from kokeilu.power.layout import sized_arms
from kokeilu.power.level_frame import LevelFrame, check_shares, known_sizes, needs_icc, one_open, people_part
from kokeilu.power.models import Components, OutcomeModel, Pair

__all__ = ["BlockModerator", "ClusterModerator", "Moderator"]

Parts = dict[str, float]


def _weight(share: float | None) -> float:
    """Variance of the moderator: r (1 - r) for a group, 1 for a measure in standard deviations."""
    return 1.0 if share is None else share * (1.0 - share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moderator:
    """Sizes for the difference of the effect between two groups, people being drawn one by one.

    Parameters
    ----------
    people : float, optional
        In all arms; may be left out in `sample_size`.
    share : float, optional
        Share of people in the one group; None for a measure, the effect then being per standard deviation of it.

    Notes
    -----
    sum of v_k / (share_k s n), s = r (1 - r) or 1, with n - 4 - g degrees of freedom.

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Complete(kk.arms(control=1, coaching=1))
    >>> whole = kk.sample_size(design, kk.Mean(sd=1), effect=0.2).value
    >>> kk.sample_size(design, kk.Mean(sd=1), effect=0.2, sizes=kk.Moderator(share=0.5)).value / whole > 3.9
    True
    """

    people: float | None = None
    share: float | None = None

    def __post_init__(self) -> None:
        one_open("Moderator", people=self.people)
        if self.share is not None:
            between(self.share, 0.0, 1.0, name="share")

    @property
    def unknown(self) -> str | None:
        """What is left open."""
        return "people" if self.people is None else None

    @property
    def least(self) -> float:
        """Eight people."""
        return 8.0

    def at(self, value: float) -> Moderator:
        """Return the sizes with the open one filled in."""
        return replace(self, people=value)

    def frame(self, design: object, outcome: OutcomeModel) -> LevelFrame:
        """Return the frame."""
        (people,) = known_sizes("Moderator", self.people)
        s = _weight(self.share)

        def parts(model: OutcomeModel, components: Components, pair: Pair, seen: Pair, _: float) -> Parts:
            return {"people": people_part(components, pair, seen, people * s)}

        return LevelFrame(
            arms=sized_arms(design, "Moderator", clustered=False),
            count=people,
            drawn=people,
            clustered=False,
            strata=1,
            formula="difference of the effect between groups of people",
            parts_of=parts,
            dof=lambda covariates: people - 4.0 - covariates,
            each_arm=2.0,  # in either group
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockModerator:
    """The same where people are drawn within blocks that are a sample of blocks (Dong & Maynard 2013).

    Parameters
    ----------
    count, size : float, optional
        Blocks and people in each; one may be left out in `sample_size`.
    icc : float
        Share of the variance between blocks.
    effect_variance : float
        Variance of the moderation between blocks, in variances of the outcome.
    share : float, optional
        As for :class:`Moderator`.

    Notes
    -----
    effect_variance / J + (1 - icc)(1 - r2) / (p q s J n), J - 1 degrees of freedom less covariates.

    Examples
    --------
    >>> BlockModerator(count=40, size=20, icc=0.245, effect_variance=0.151).unknown is None
    True
    """

    count: float | None = None
    size: float | None = None
    icc: float = 0.0
    effect_variance: float = 0.0
    share: float | None = None

    def __post_init__(self) -> None:
        one_open("BlockModerator", count=self.count, size=self.size)
        check_shares(icc=self.icc)
        between(self.effect_variance, 0.0, 1e6, name="effect_variance", closed=True)
        if self.share is not None:
            between(self.share, 0.0, 1.0, name="share")

    @property
    def unknown(self) -> str | None:
        """What is left open."""
        return "blocks" if self.count is None else "people per block" if self.size is None else None

    @property
    def least(self) -> float:
        """Three blocks, or four people."""
        return 3.0 if self.count is None else 4.0

    def at(self, value: float) -> BlockModerator:
        """Return the sizes with the open one filled in."""
        return replace(self, count=value) if self.count is None else replace(self, size=value)

    def frame(self, design: object, outcome: OutcomeModel) -> LevelFrame:
        """Return the frame."""
        blocks, size = known_sizes("BlockModerator", self.count, self.size)
        people, s = blocks * size, _weight(self.share)

        def parts(model: OutcomeModel, components: Components, pair: Pair, seen: Pair, _: float) -> Parts:
            return {
                "people": (1.0 - self.icc) * people_part(components, pair, seen, people * s),
                "blocks": self.effect_variance * model.scale**2 / blocks,
            }

        return LevelFrame(
            arms=sized_arms(design, "BlockModerator", clustered=False),
            count=people,
            drawn=people,
            clustered=False,
            strata=round(blocks),
            formula="difference of the effect between groups of people, blocks a sample (Dong & Maynard 2013)",
            parts_of=parts,
            dof=lambda covariates: blocks - 1.0 - covariates,
            counts_units=False,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterModerator:
    """The difference of the effect between two groups of whole clusters, such as urban and rural offices.

    Parameters
    ----------
    count, size : float, optional
        Clusters and people in each; one may be left out in `sample_size`.
    share : float
        Share of clusters in the one group.

    Notes
    -----
    [icc + (1 - icc) / n] / (p q r (1 - r) (J - 5)) with J - 5 degrees of freedom: the reference tool counts the five
    in the error too, which is on the safe side.

    Examples
    --------
    >>> ClusterModerator(count=60, size=30, share=0.4).unknown is None
    True
    """

    count: float | None = None
    size: float | None = None
    share: float = 0.5

    def __post_init__(self) -> None:
        one_open("ClusterModerator", count=self.count, size=self.size)
        between(self.share, 0.0, 1.0, name="share")

    @property
    def unknown(self) -> str | None:
        """What is left open."""
        return "clusters" if self.count is None else "people per cluster" if self.size is None else None

    @property
    def least(self) -> float:
        """Six clusters, or one person."""
        return 6.0 if self.count is None else 1.0

    def at(self, value: float) -> ClusterModerator:
        """Return the sizes with the open one filled in."""
        return replace(self, count=value) if self.count is None else replace(self, size=value)

    def frame(self, design: object, outcome: OutcomeModel) -> LevelFrame:
        """Return the frame."""
        clusters, size = known_sizes("ClusterModerator", self.count, self.size)
        needs_icc(outcome)
        used, s = clusters - 5.0, _weight(self.share)

        def parts(model: OutcomeModel, components: Components, pair: Pair, seen: Pair, _: float) -> Parts:
            return {
                "people": people_part(components, pair, seen, used * size * s),
                "clusters": sum(v / (p * used * s) for v, p in zip(components[1], pair, strict=True)),
            }

        return LevelFrame(
            arms=sized_arms(design, "ClusterModerator", clustered=True),
            count=clusters * size,
            drawn=clusters,
            clustered=True,
            strata=1,
            formula="difference of the effect between groups of clusters (Dong & Maynard 2013)",
            parts_of=parts,
            dof=lambda covariates: used - covariates,
            each_arm=2.0,
        )
