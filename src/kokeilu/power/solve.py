"""The three questions: which effect, which power, how many people."""

from __future__ import annotations

import math

from kokeilu.errors import DesignError
from kokeilu.power.cluster_sizes import ClusterSizes
from kokeilu.power.framed import Framed, Sizes
from kokeilu.power.hypotheses import Hypothesis, Superiority
from kokeilu.power.layout import arms_of, check_icc, draws_clusters, frame_of
from kokeilu.power.models import OutcomeModel
from kokeilu.power.question import EDGE, Effects, Question, smallest
from kokeilu.power.reality import Reality
from kokeilu.power.results import Power
from kokeilu.power.search import Search, effects_by_arm, pairs_of

__all__ = ["detectable_effect", "power_at", "question_of", "sample_size"]


def question_of(
    outcome: OutcomeModel,
    *,
    target: float | None,
    alpha: float | None,
    alternative: str | None,
    covariates: int,
    test: Hypothesis | None,
    reality: Reality | None,
) -> Question:
    """Return the question that the arguments of a verb make; `alpha` and `alternative` are short for a test."""
    if test is not None and (alpha is not None or alternative is not None):
        raise DesignError(
            f"{type(test).__name__} states its own level and sides; leave alpha and alternative out, or drop `test`."
        )
    plain = Superiority(alpha=0.05 if alpha is None else alpha, alternative=alternative or "two-sided")
    return Question(
        outcome=outcome,
        test=plain if test is None else test,
        covariates=covariates,
        reality=Reality() if reality is None else reality,
        target=target,
    )


def detectable_effect(
    design: object,
    people: object,
    outcome: OutcomeModel,
    *,
    power: float = 0.80,
    alpha: float | None = None,
    alternative: str | None = None,
    covariates: int = 0,
    contrast: str | tuple[str, str] | None = None,
    test: Hypothesis | None = None,
    reality: Reality | None = None,
) -> Power:
    """Return the smallest effect that a design detects with a given power.

    Parameters
    ----------
    design : Mechanism
        The rule for randomising; it says the arms, their shares, the strata and the clusters.
    people : table, int, or sizes
        The register (its real strata and its real, unequal cluster sizes are used), the total number of
        people in all arms, or sizes alone before there is a register: :class:`ClusterSizes`, :class:`Blocks` and the
        like.
    outcome : Mean, Proportion, ...
    power : float
    alpha : float, default 0.05
    alternative : {"two-sided", "greater", "less"}
        "less" looks for a decrease. Two-sided, the answer is an increase, and `decrease` stands beside it.
    covariates : int, default 0
        Number of covariates that cost a degree of freedom (of the cluster, in a clustered design).
    contrast : str or (arm, reference), optional
        The contrast that is the answer; by default the first other arm against the reference arm. `rows()`
        has every arm against that reference.
    test : Superiority, Dunnett, GroupSequential, ..., optional
        In place of `alpha` and `alternative`.
    reality : Reality, optional
        Take-up and attrition. With take-up stated, effects are those of taking part.

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
    question = question_of(
        outcome,
        target=power,
        alpha=alpha,
        alternative=alternative,
        covariates=covariates,
        test=test,
        reality=reality,
    )
    if question.side == "between" or type(question.test).__name__ == "NonInferiority":
        raise DesignError(
            "a detectable effect belongs to a test of no effect. For a margin ask power_at or sample_size, with the "
            "effect that you believe in."
        )
    enrolled = frame_of(design, people, outcome)
    frame = question.framed(enrolled)
    pairs, chosen = pairs_of(frame.arms, contrast)
    effects = _joint_effects(question, frame, pairs)
    rows = []
    for place, (arm, reference) in enumerate(pairs):
        effect = effects[place] if effects else question.detectable(frame, (arm, reference), question.sign)
        if effect is None:
            raise _out_of_reach(question, frame, arm, reference)
        rows.append(question.row(frame, arm, reference, effect, both_ways=True))
    return question.finding("detectable_effect", enrolled, tuple(rows), chosen)


def _joint_effects(question: Question, frame: Framed, pairs: list[tuple[int, int]]) -> list[float]:
    """The same effect of every arm at which a joint test has the power asked for; [] for other tests."""
    if getattr(question.test, "joint", None) is None:
        return []
    none = question.outcome.natural(0.0)
    unit = question.scheme(frame, *pairs[0]).error(none)
    limit = min(question.outcome.reach(1) / max(question.reality.taking(frame.arms, *pair)) for pair in pairs) * EDGE

    def effect_at(x: float) -> float:
        return min(question.outcome.natural(unit * x), limit)

    def power_at_times(x: float) -> float:
        return question.answer(frame, pairs, [effect_at(x)] * len(pairs))

    if not math.isinf(limit) and (most := question.answer(frame, pairs, [limit] * len(pairs))) < (question.target or 0):
        raise DesignError(
            f"no possible effect has power {question.target:g}: even the largest in every arm has {most:.3f}. Add "
            "people."
        )
    # A search over sizes is one over effects: power rises with either.
    return [effect_at(smallest(question, power_at_times, 1e-9))] * len(pairs)


def _out_of_reach(question: Question, frame: Framed, arm: int, reference: int) -> DesignError:
    way = question.way(frame, (arm, reference), question.sign)
    taking = max(question.reality.taking(frame.arms, arm, reference))
    reach = question.outcome.reach(way)
    name, target = frame.arms.names[arm], question.target
    if math.isinf(reach):  # a ratio far below 1: ever fewer events
        return DesignError(
            f"no effect of {name!r} has power {target:g}: the farther it goes that way, the fewer events there are. "
            "Add people or time, or ask for the other direction."
        )
    end = reach * EDGE * way / taking
    most = question.power(question.scheme(frame, arm, reference), end)
    return DesignError(
        f"no possible effect of {name!r} has power {target:g}: even the farthest, {end:+.4g}, has {most:.3f}. "
        "Add people, or ask for the other direction."
    )


def power_at(
    design: object,
    people: object,
    outcome: OutcomeModel,
    *,
    effect: Effects,
    alpha: float | None = None,
    alternative: str | None = None,
    covariates: int = 0,
    contrast: str | tuple[str, str] | None = None,
    test: Hypothesis | None = None,
    reality: Reality | None = None,
) -> Power:
    """Return the power of a design at a given effect.

    Parameters
    ----------
    design, people, outcome, alpha, alternative, covariates, contrast, test, reality
        As for :func:`detectable_effect`.
    effect : float, or mapping of arm to float
        The true effect in the units of the outcome, signed; for a proportion a difference of shares.

    Returns
    -------
    Power
        `value` is the power (for a joint test that of the test over all arms). A one-sided test "greater" with a
        negative effect has a power below `alpha`.

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
    question = question_of(
        outcome, target=None, alpha=alpha, alternative=alternative, covariates=covariates, test=test, reality=reality
    )
    enrolled = frame_of(design, people, outcome)
    frame = question.framed(enrolled)
    pairs, chosen = pairs_of(frame.arms, contrast)
    effects = effects_by_arm(effect, frame.arms, pairs)
    rows = tuple(question.row(frame, *pair, one) for pair, one in zip(pairs, effects, strict=True))
    return question.finding("power", enrolled, rows, chosen)


def sample_size(
    design: object,
    outcome: OutcomeModel,
    *,
    effect: Effects,
    power: float = 0.80,
    alpha: float | None = None,
    alternative: str | None = None,
    covariates: int = 0,
    sizes: float | ClusterSizes | Sizes | None = None,
    test: Hypothesis | None = None,
    reality: Reality | None = None,
) -> Power:
    """Return how many people give every arm, against the reference arm, the power asked for.

    Parameters
    ----------
    design : Mechanism
        Says the arms, their shares and whether whole clusters are drawn.
    outcome, power, alpha, alternative, covariates, test, reality
        As for :func:`detectable_effect`.
    effect : float, or mapping of arm to float
        The true effect in the units of the outcome, signed; for a proportion a difference of shares.
    sizes : float, ClusterSizes, Blocks, ..., optional
        For a clustered design: people per cluster (the answer is the number of clusters), or ``ClusterSizes``
        with a `size` and `cv`, or with a `count` (the answer is then the number of people per cluster). Or other sizes
        alone, one of which is left open and solved for.

    Returns
    -------
    Power
        `value` is the total number of people. Arms (of people or of clusters) are rounded up one by one;
        `power` is that of these whole numbers, `continuous` the people before rounding and `root` what was solved for.

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
    question = question_of(
        outcome, target=power, alpha=alpha, alternative=alternative, covariates=covariates, test=test, reality=reality
    )
    search = Search(question=question, design=design, arms=arms_of(design), stated=effect)
    search.check()
    if sizes is not None and not isinstance(sizes, ClusterSizes) and callable(getattr(sizes, "frame", None)):
        return search.open_size(sizes)
    clusters = _cluster_sizes(design, sizes)
    check_icc(outcome, clustered=clusters is not None)
    if clusters is not None and clusters.count is not None:
        return search.people_per_cluster(clusters)
    return search.units(clusters)


def _cluster_sizes(design: object, sizes: float | ClusterSizes | Sizes | None) -> ClusterSizes | None:
    clustered = draws_clusters(design)
    if not clustered and sizes is not None:
        raise DesignError("sizes belongs to a design that draws whole clusters; wrap this one in Clustered.")
    if not clustered:
        return None
    if sizes is None:
        raise DesignError("the design draws whole clusters; give sizes, the number of people in a cluster.")
    found = sizes if isinstance(sizes, ClusterSizes) else ClusterSizes(size=sizes)  # type: ignore[arg-type]
    if found.count is not None and found.size is not None:
        raise DesignError("ClusterSizes states both `count` and `size`, which leaves nothing to solve; drop one.")
    return found
