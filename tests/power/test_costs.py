"""Money: what an answer costs, and what a budget buys."""

from __future__ import annotations

import math

import pytest

import kokeilu as kk
from kokeilu.errors import DesignError

EVEN = kk.Complete(kk.arms(control=1, coaching=1))


def test_a_budget_is_people_times_prices() -> None:
    trial = kk.sample_size(EVEN, kk.Mean(sd=1.0), effect=0.2, reality=kk.Reality(attrition=0.1))
    found = kk.budget(trial, kk.Costs(person={"control": 20, "coaching": 180}, fixed=1_000))
    assert found.value == 1_000 + trial.n_arms["control"] * 20 + trial.n_arms["coaching"] * 180
    assert [row["part"] for row in found.rows()] == ["fixed", "control", "coaching"]


@pytest.mark.parametrize("lost", [0.0, 0.25])
def test_who_is_lost_is_paid_for_whatever_was_asked(lost: float) -> None:
    found = kk.power_at(EVEN, 1_000, kk.Mean(sd=1.0), effect=0.2, reality=kk.Reality(attrition=lost))
    assert kk.budget(found, kk.Costs(person=10)).value == 10_000
    assert sum(found.contrast.n) == 1_000 * (1 - lost)


def test_clusters_are_paid_for() -> None:
    design = kk.Clustered(EVEN, by="office")
    found = kk.power_at(design, kk.ClusterSizes(count=10, size=30), kk.Mean(sd=1.0, icc=0.05), effect=0.2)
    assert kk.budget(found, kk.Costs(person=2, cluster={"control": 0, "coaching": 100})).value == 600 + 500


def test_no_other_shares_do_better_for_the_money() -> None:
    costs = {"control": 10.0, "letter": 12.0, "coaching": 90.0}
    best = kk.allocate(50_000, costs=costs)

    def squared(people: dict[str, float]) -> float:
        return sum(1 / people["control"] + 1 / people[arm] for arm in ("letter", "coaching"))

    at = dict(best.continuous)
    assert sum(costs[arm] * n for arm, n in at.items()) == pytest.approx(50_000)
    for one in costs:
        for other in costs:
            moved = {**at, one: at[one] + 100 / costs[one], other: at[other] - 100 / costs[other]}
            assert one == other or squared(moved) > squared(at)
    assert 0 <= best.left < sum(costs.values())
    assert best.arms().names == tuple(costs)


def test_the_best_cluster_size_is_the_least_error_for_the_money() -> None:
    size = kk.best_cluster_size(icc=0.05, cluster=300, person=20)

    def squared(m: float) -> float:
        return (0.05 + 0.95 / m) * (300 + 20 * m)

    assert squared(size) < min(squared(size * 0.99), squared(size * 1.01))


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: kk.Costs(person=-1), "cost of a person must lie in"),
        (lambda: kk.Costs(fixed=math.nan), "fixed must lie in"),
        (lambda: kk.allocate(100, costs={"a": 20, "b": 100}), "it takes 289.4"),
        (lambda: kk.allocate(100, costs={"a": 20, "b": 100}, fixed=200), "it takes 489.4"),
        (lambda: kk.allocate(100, costs={"a": 20}), "two arms at least"),
        (lambda: kk.allocate(100, costs={"a": 20, "b": 0}), "the cost of 'b'"),
        (lambda: kk.best_cluster_size(icc=0.0, cluster=1, person=1), "icc must lie"),
    ],
)
def test_what_money_cannot_do(ask, says: str) -> None:
    with pytest.raises(DesignError, match=says):
        ask()


@pytest.mark.parametrize(
    ("costs", "says"),
    [
        (kk.Costs(person={"control": 1, "coach": 2}), "Did you mean 'coaching'"),
        (kk.Costs(person={"control": 1}), "no entry for arm 'coaching'"),
        (kk.Costs(cluster=5), "belongs to a design that draws whole clusters"),
        (5.0, "costs must be Costs"),
    ],
)
def test_costs_that_do_not_fit(costs, says: str) -> None:
    trial = kk.power_at(EVEN, 100, kk.Mean(sd=1.0), effect=0.5)
    with pytest.raises(DesignError, match=says):
        kk.budget(trial, costs)
