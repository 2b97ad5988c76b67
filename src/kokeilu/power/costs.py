"""Money: what a trial costs, how a budget is best spread over arms and clusters, and what the least budget is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kokeilu._checks import between, unknown_name
from kokeilu.core.arms import Arms
from kokeilu.core.registry import register
from kokeilu.core.results import Rows, number_text, text_table, wrapped
from kokeilu.errors import DesignError
from kokeilu.power.results import Power

__all__ = ["Allocation", "Budget", "Costs", "allocate", "best_cluster_size", "budget"]

ByArm = Mapping[str, float] | float


def _by_arm(value: ByArm, arms: tuple[str, ...], name: str) -> dict[str, float]:
    if not isinstance(value, Mapping):
        return dict.fromkeys(arms, between(value, 0.0, 1e300, name=name, closed=True))
    for arm in value:
        if arm not in arms:
            raise unknown_name(str(arm), arms, what="arm", where="the design")
    lacking = [arm for arm in arms if arm not in value]
    if lacking:
        raise DesignError(
            f"{name} has no entry for arm {lacking[0]!r}. State one for every arm, 0 where it costs nothing."
        )
    return {arm: between(value[arm], 0.0, 1e300, name=f"{name} of {arm!r}", closed=True) for arm in arms}


@register("costs")
@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a trial costs.

    Parameters
    ----------
    person : float, or mapping of arm to float
        For each person enrolled in an arm.
    cluster : float, or mapping of arm to float
        For each cluster (office) of an arm.
    fixed : float
        Whatever the size.

    Examples
    --------
    >>> Costs(person={"control": 20, "coaching": 180}, fixed=50_000).fixed
    50000
    """

    person: ByArm = 0.0
    cluster: ByArm = 0.0
    fixed: float = 0.0

    def __post_init__(self) -> None:
        between(self.fixed, 0.0, 1e300, name="fixed", closed=True)
        for name, cost in (("person", self.person), ("cluster", self.cluster)):
            arms = tuple(cost) if isinstance(cost, Mapping) else ("every arm",)
            _by_arm(cost, arms, f"the cost of a {name}")

    def parts(self, found: Power) -> dict[str, float]:
        """Return the cost of the people and clusters of an answer: fixed, and by arm."""
        names = tuple(found.n_arms)
        person = _by_arm(self.person, names, "the cost of a person")
        cluster = _by_arm(self.cluster, names, "the cost of a cluster")
        clusters = found.clusters_arms
        if clusters is None and any(cluster.values()):
            raise DesignError("a cost per cluster belongs to a design that draws whole clusters; leave it out.")
        of_arms = {
            arm: person[arm] * people + (0.0 if clusters is None else cluster[arm] * clusters[arm])
            for arm, people in found.n_arms.items()
        }
        return {"fixed": float(self.fixed), **of_arms}


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget(Rows):
    """The least money for a question, and the trial that it pays for.

    Attributes
    ----------
    power : Power
        The sample size that was found.
    parts : tuple of (str, float)
        Fixed cost, and that of each arm.
    """

    power: Power
    parts: tuple[tuple[str, float], ...]

    @property
    def value(self) -> float:
        """The cost of the trial."""
        return sum(cost for _, cost in self.parts)

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each part of the cost."""
        people = self.power.n_arms
        return [{"part": name, "people": people.get(name), "cost": cost} for name, cost in self.parts]

    def __str__(self) -> str:
        head = f"Budget: {number_text(round(self.value, 2))} for {self.power.n:,} people, power {self.power.power:.3f}"
        return "\n".join([head, text_table(self.rows()), str(self.power)])


def budget(found: Power, costs: Costs) -> Budget:
    """Return what the answer of :func:`sample_size` costs.

    Parameters
    ----------
    found : Power
        From `sample_size` (or another verb: expected numbers are then paid for).
    costs : Costs

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Complete(kk.arms(control=3, coaching=1))
    >>> trial = kk.sample_size(design, kk.Proportion(base=0.3), effect=0.05)
    >>> kk.budget(trial, kk.Costs(person={"control": 20, "coaching": 180})).value
    224380.0
    """
    if not isinstance(found, Power):
        raise DesignError(f"budget needs the answer of sample_size; got {type(found).__name__}.")
    if not isinstance(costs, Costs):
        raise DesignError(f"costs must be Costs(person=…, cluster=…, fixed=…); got {type(costs).__name__}.")
    return Budget(power=found, parts=tuple(costs.parts(found).items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation(Rows):
    """Numbers of people by arm that make a budget go furthest.

    Attributes
    ----------
    continuous : tuple of (arm, people)
        Before rounding; their shares are the best shares.
    costs : tuple of (arm, cost of a person)
    money, fixed : float
    """

    continuous: tuple[tuple[str, float], ...]
    costs: tuple[tuple[str, float], ...]
    money: float
    fixed: float = 0.0

    @property
    def people(self) -> dict[str, int]:
        """Whole people, rounded down so that the budget holds."""
        return {arm: math.floor(n + 1e-9) for arm, n in self.continuous}

    @property
    def left(self) -> float:
        """Money that the whole people leave over."""
        price = dict(self.costs)
        return self.money - self.fixed - sum(price[arm] * n for arm, n in self.people.items())

    def arms(self) -> Arms:
        """Return arms with the best shares, those of the whole people."""
        from kokeilu.core.arms import arms

        return arms(dict(self.people))

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each arm."""
        price, total = dict(self.costs), sum(n for _, n in self.continuous)
        people = self.people
        return [
            {"arm": arm, "share": n / total, "people": people[arm], "cost": price[arm] * people[arm]}
            for arm, n in self.continuous
        ]

    def __str__(self) -> str:
        note = f"Of {number_text(self.money)}, {number_text(self.fixed)} is fixed and {self.left:,.2f} is left over."
        return "\n".join([text_table(self.rows()), *wrapped([note])])


def allocate(money: float, *, costs: Mapping[str, float], sds: ByArm = 1.0, fixed: float = 0.0) -> Allocation:
    """Return the people by arm that make the variances of all arms against the first least, for a budget.

    Parameters
    ----------
    money : float
    costs : mapping of arm to float
        Cost of a person in each arm; the first arm is the reference.
    sds : float, or mapping of arm to float
        Standard deviation of the outcome by arm; only their ratios count.
    fixed : float
        Cost whatever the size.

    Returns
    -------
    Allocation
        n_0 : n_k = sqrt(K) s_0 / sqrt(c_0) : s_k / sqrt(c_k) with K other arms.

    Raises
    ------
    DesignError
        A budget that does not reach two people in every arm, or a cost of 0.

    Examples
    --------
    >>> print(allocate(120_000, costs={"control": 20, "coaching": 180}))
    arm       share   people    cost
    --------  ------  ------  ------
    control   0.7500   1,500  30,000
    coaching  0.2500     500  90,000
    Of 120,000, 0.0000 is fixed and 0.00 is left over.
    """
    between(money, 0.0, 1e300, name="money")
    between(fixed, 0.0, 1e300, name="fixed", closed=True)
    if not isinstance(costs, Mapping) or len(costs) < 2:
        raise DesignError("costs must name two arms at least, the reference first: {'control': 20, 'coaching': 180}.")
    names = tuple(costs)
    price = {arm: between(costs[arm], 0.0, 1e300, name=f"the cost of {arm!r}") for arm in names}
    spread = _by_arm(sds, names, "sds")
    weight = {
        arm: (math.sqrt(len(names) - 1.0) if arm == names[0] else 1.0) * spread[arm] / math.sqrt(price[arm])
        for arm in names
    }
    unit = sum(weight[arm] * price[arm] for arm in names)
    people = {arm: (money - fixed) * weight[arm] / unit for arm in names}
    if min(people.values()) < 2.0:
        need = fixed + unit * max(2.0 / weight[arm] for arm in names)
        raise DesignError(
            f"a budget of {money:,.4g} does not pay for two people in every arm: it takes {need:,.4g} at these costs."
        )
    return Allocation(
        continuous=tuple(people.items()), costs=tuple(price.items()), money=float(money), fixed=float(fixed)
    )


def best_cluster_size(*, icc: float, cluster: float, person: float) -> float:
    """Return the number of people per cluster that makes a budget go furthest (Raudenbush 1997).

    Parameters
    ----------
    icc : float
        In (0, 1).
    cluster, person : float
        Cost of a cluster, and of a person in it.

    Returns
    -------
    float
        sqrt(cluster / person (1 - icc) / icc); round it, then look at the budget again.

    Examples
    --------
    >>> round(best_cluster_size(icc=0.05, cluster=200, person=10), 2)
    19.49
    """
    between(icc, 0.0, 1.0, name="icc")
    between(cluster, 0.0, 1e300, name="cluster")
    between(person, 0.0, 1e300, name="person")
    return math.sqrt(cluster / person * (1.0 - icc) / icc)
