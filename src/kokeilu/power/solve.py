"""The three questions: which effect, which power, how many people."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from kokeilu._checks import between
from kokeilu.core.arms import Arms
from kokeilu.errors import DesignError
from kokeilu.power.layout import (
    ClusterSizes,
    Frame,
    arms_of,
    check_icc,
    contrast_of,
    counted,
    draws_clusters,
    frame_of,
    unseen_strata,
)
from kokeilu.power.models import OutcomeModel
from kokeilu.power.question import EDGE, Question, fewest_units, round_up, smallest
from kokeilu.power.results import Power

__all__ = ["detectable_effect", "power_at", "sample_size"]

WIDE = 1e100  # people per cluster that stand for infinitely many


def _pairs(arms: Arms, contrast: str | tuple[str, str] | None) -> tuple[list[tuple[int, int]], int]:
    """Every arm that has a share against the chosen reference, and the place of the chosen contrast."""
    arm, reference = contrast_of(arms, contrast)
    pairs = [(k, reference) for k, share in enumerate(arms.shares) if k != reference and (share > 0 or k == arm)]
    return pairs, pairs.index((arm, reference))


def detectable_effect(
    design: object,
    people: object,
    outcome: OutcomeModel,
    *,
    power: float = 0.80,
    alpha: float = 0.05,
    alternative: str = "two-sided",
    covariates: int = 0,
    contrast: str | tuple[str, str] | None = None,
) -> Power:
    """Return the smallest effect that a design detects with a given power.

    Parameters
    ----------
    design : Mechanism
        The rule for randomising; it says the arms, their shares, the strata and the clusters.
    people : table, int, or ClusterSizes
        The register (its real strata and its real, unequal cluster sizes are used), the total number of
        people in all arms, or :class:`ClusterSizes` for a clustered design before there is a register.
    outcome : Mean or Proportion
    power, alpha : float
    alternative : {"two-sided", "greater", "less"}
        "less" looks for a decrease. Two-sided, the answer is an increase, and `decrease` stands beside it.
    covariates : int, default 0
        Number of covariates that cost a degree of freedom (of the cluster, in a clustered design).
    contrast : str or (arm, reference), optional
        The contrast that is the answer; by default the first other arm against the reference arm. `rows()`
        has every arm against that reference.

    Returns
    -------
    Power
        `value` in the units of the outcome: days, euros; for a proportion a difference of shares.

    Raises
    ------
    DesignError
        A request that nothing can meet: no degrees of freedom, a power at or below `alpha`, an effect that
        would take a share outside (0, 1), an ICC that is missing or does not belong.

    Notes
    -----
    Root of power(δ) = target with the noncentral t distribution, both tails when two-sided; not the central-t
    multiplier of Bloom (1995), which at 8 clusters has power .797. Degrees of freedom and error: Dong &
    Maynard (2013), and see :mod:`kokeilu.power.formula`.

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Complete(kk.arms(control=1, coaching=1))
    >>> round(kk.detectable_effect(design, 4000, kk.Proportion(base=0.30)).value, 4)
    0.0413
    """
    question = Question(outcome=outcome, alpha=alpha, alternative=alternative, covariates=covariates, target=power)
    frame = frame_of(design, people, outcome)
    pairs, chosen = _pairs(frame.arms, contrast)
    rows = []
    for arm, reference in pairs:
        effect = question.detectable(frame.layout(arm, reference), question.sign)
        if effect is None:
            raise _out_of_reach(question, frame, arm, reference)
        rows.append(question.row(frame, arm, reference, effect))
    return question.finding("detectable_effect", frame, tuple(rows), chosen)


def _out_of_reach(question: Question, frame: Frame, arm: int, reference: int) -> DesignError:
    sign = question.sign
    end = question.outcome.reach(sign) * EDGE * sign
    most = question.power(frame.layout(arm, reference), end)
    return DesignError(
        f"no possible effect of {frame.arms.names[arm]!r} has power {question.target:g}: even a share of "
        f"{1 if sign > 0 else 0} in that arm has {most:.3f}. Add people, or ask for the other direction."
    )


def power_at(
    design: object,
    people: object,
    outcome: OutcomeModel,
    *,
    effect: float,
    alpha: float = 0.05,
    alternative: str = "two-sided",
    covariates: int = 0,
    contrast: str | tuple[str, str] | None = None,
) -> Power:
    """Return the power of a design at a given effect.

    Parameters
    ----------
    design, people, outcome, alpha, alternative, covariates, contrast
        As for :func:`detectable_effect`.
    effect : float
        The true effect in the units of the outcome, signed; for a proportion a difference of shares.

    Returns
    -------
    Power
        `value` is the power. A one-sided test "greater" with a negative effect has a power below `alpha`.

    Raises
    ------
    DesignError
        As for :func:`detectable_effect`.

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Complete(kk.arms(control=1, coaching=1))
    >>> round(kk.power_at(design, 1000, kk.Mean(sd=1.0), effect=0.2).value, 3)
    0.885
    """
    question = Question(outcome=outcome, alpha=alpha, alternative=alternative, covariates=covariates)
    between(effect, -math.inf, math.inf, name="effect")
    frame = frame_of(design, people, outcome)
    pairs, chosen = _pairs(frame.arms, contrast)
    rows = tuple(question.row(frame, arm, reference, float(effect)) for arm, reference in pairs)
    return question.finding("power", frame, rows, chosen)


def sample_size(
    design: object,
    outcome: OutcomeModel,
    *,
    effect: float,
    power: float = 0.80,
    alpha: float = 0.05,
    alternative: str = "two-sided",
    covariates: int = 0,
    clusters_of: float | ClusterSizes | None = None,
) -> Power:
    """Return how many people give every arm, against the reference arm, the power asked for.

    Parameters
    ----------
    design : Mechanism
        Says the arms, their shares and whether whole clusters are drawn.
    outcome, power, alpha, alternative, covariates
        As for :func:`detectable_effect`.
    effect : float
        The true effect in the units of the outcome, signed; for a proportion a difference of shares.
    clusters_of : float or ClusterSizes, optional
        For a clustered design: people per cluster (the answer is the number of clusters), or ``ClusterSizes``
        with a `size` and `cv`, or with a `count` (the answer is then the number of people per cluster).

    Returns
    -------
    Power
        `value` is the total number of people. Arms (of people or of clusters) are rounded up one by one;
        `power` is that of these whole numbers, `continuous` the root before rounding.

    Raises
    ------
    DesignError
        An effect of 0, or against the alternative; more people per cluster than the ICC lets count; and as
        for :func:`detectable_effect`.

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Complete(kk.arms(control=1, coaching=1))
    >>> kk.sample_size(design, kk.Mean(sd=1.0), effect=0.2).value
    788
    """
    question = Question(outcome=outcome, alpha=alpha, alternative=alternative, covariates=covariates, target=power)
    _check_effect(question, effect)
    arms, notes = arms_of(design), unseen_strata(design)
    sizes = _cluster_sizes(design, clusters_of)
    check_icc(outcome, clustered=sizes is not None)
    search = _Search(question=question, arms=arms, effect=float(effect), notes=notes)
    if sizes is not None and sizes.count is not None:
        continuous, frame = search.people_per_cluster(sizes.count, sizes.cv)
    else:
        continuous, frame = search.units(None if sizes is None else (float(sizes.size or 0), sizes.cv))
    rows = tuple(question.row(frame, *pair, search.effect) for pair in search.pairs)
    weakest = min(range(len(rows)), key=lambda i: rows[i].power)
    return replace(question.finding("sample_size", frame, rows, weakest), continuous=continuous)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    question: Question
    arms: Arms
    effect: float
    notes: tuple[str, ...]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        return _pairs(self.arms, None)[0]

    @property
    def shares(self) -> tuple[float, ...]:
        return tuple(float(share) for share in self.arms.shares)

    def units(self, sizes: tuple[float, float] | None) -> tuple[float, Frame]:
        """People, or clusters of a given size: the root in people, and the frame of whole units by arm."""

        def frame_at(x: float) -> Frame:
            return counted(self.arms, tuple(s * x for s in self.shares), sizes=sizes, notes=self.notes)

        root = max(
            smallest(self.question, frame_at, pair, self.effect, fewest_units(self.question, self.shares, pair))
            for pair in self.pairs
        )
        whole = tuple(float(round_up(s * root)) for s in self.shares)
        frame = counted(self.arms, whole, sizes=sizes, notes=self.notes)
        return root * (1.0 if sizes is None else sizes[0]), frame

    def people_per_cluster(self, count: int, cv: float) -> tuple[float, Frame]:
        """A number of clusters: the root in people, and the frame of whole people per cluster."""
        units = tuple(s * count for s in self.shares)

        def frame_at(size: float) -> Frame:
            return counted(self.arms, units, sizes=(size, cv), notes=self.notes)

        for pair in self.pairs:
            limit = self.question.power(frame_at(WIDE).layout(*pair), self.effect)
            if limit <= (self.question.target or 0.0):
                raise DesignError(
                    f"{count:,} clusters with an ICC of {self.question.outcome.icc:g} cannot have more "
                    f"power than {limit:.3f} against an effect of {self.effect:g}, however many people "
                    "each has. Add clusters, or explain variance between them (cluster_r2)."
                )
        root = max(smallest(self.question, frame_at, pair, self.effect, 1.0) for pair in self.pairs)
        return root * count, frame_at(float(round_up(root)))


def _check_effect(question: Question, effect: float) -> None:
    between(effect, -math.inf, math.inf, name="effect")
    if effect == 0:
        raise DesignError("an effect of 0 is found by no number of people; state the effect that matters.")
    if question.alternative != "two-sided" and effect * question.sign < 0:
        raise DesignError(
            f"an effect of {effect:g} lies against the alternative {question.alternative!r}; no number of "
            "people finds it. Change the sign or the alternative."
        )
    question.outcome.variances(float(effect))


def _cluster_sizes(design: object, clusters_of: float | ClusterSizes | None) -> ClusterSizes | None:
    clustered = draws_clusters(design)
    if not clustered and clusters_of is not None:
        raise DesignError("clusters_of belongs to a design that draws whole clusters; wrap this one in Clustered.")
    if not clustered:
        return None
    if clusters_of is None:
        raise DesignError("the design draws whole clusters; give clusters_of, the number of people in a cluster.")
    sizes = clusters_of if isinstance(clusters_of, ClusterSizes) else ClusterSizes(size=clusters_of)
    if sizes.count is not None and sizes.size is not None:
        raise DesignError("ClusterSizes states both `count` and `size`, which leaves nothing to solve; drop one.")
    return sizes
