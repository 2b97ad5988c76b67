"""Every allocation of tiny populations under every lottery: means are unbiased, variances conservative on average."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from kokeilu.core.assignment import Assignment
from kokeilu.core.lottery import all_assignments
from kokeilu.core.pairs import pair_law_of
from kokeilu.core.view import View
from kokeilu.errors import EstimationError
from kokeilu.estimate import horvitz_thompson, sample
from kokeilu.estimate.arm_contrasts import ArmContrasts

TWO, THREE = kk.arms(control=1, coaching=1), kk.arms(control=2, coaching=1, letter=1)
PEOPLE = 12
REGISTER = pd.DataFrame(
    {
        "id": np.arange(PEOPLE),
        "region": list("NNNNSSSSWWWW"),
        "odd": list("aaaaabbbbbcc"),
        "office": [0, 0, 0, 1, 1, 2, 3, 3, 4, 4, 4, 5],
        "law": ["drawn", "drawn", "coaching", *["drawn"] * 8, "control"],
        "month": [1] * 5 + [2] * 7,
        "age": [22, 25, 31, 33, 37, 41, 44, 48, 50, 55, 58, 61],
        "came": ["unknown"] * PEOPLE,
    }
)
BASE = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0, 5.0, 8.0])
EFFECTS = np.array([2.0, 7.0, -1.0, 8.0, 2.0, -3.0, 1.0, 8.0, 2.0, 8.0, 4.0, 5.0])
ARMS = 8
POTENTIAL = np.array([BASE + 0.5 * k * np.roll(EFFECTS, k) for k in range(ARMS)])

OFFICES = kk.Clustered(kk.Complete(TWO), by="office")
LOTTERIES: dict[str, tuple[Any, int]] = {
    "Bernoulli": (kk.Bernoulli(kk.arms(control=2, coaching=1)), 8),
    "Bernoulli in strata": (
        kk.Bernoulli({"N": TWO, "S": kk.arms(control=3, coaching=1), "W": kk.arms(control=2, coaching=1)}, by="region"),
        8,
    ),
    "CapacityLottery": (kk.CapacityLottery({"N": 2, "S": 1, "W": 3}, by="region"), 12),
    "CapacityLottery with priorities": (kk.CapacityLottery(5, priority={"odd": ("c", "b", "a")}), 12),
    "Clustered": (OFFICES, 12),
    "Clustered, seats left over": (kk.Clustered(kk.Complete(kk.arms(control=2, coaching=2)), by="office"), 11),
    "Complete": (kk.Complete(TWO), 8),
    "Complete, seats left over": (kk.Complete(kk.arms(control=2, coaching=1)), 8),
    "Complete, three arms": (kk.Complete(THREE), 8),
    "Factorial": (kk.Factorial({"coach": TWO, "voucher": kk.arms(no=1, yes=1)}), 6),
    "Factorial, seats left over": (kk.Factorial({"coach": TWO, "voucher": kk.arms(no=2, yes=1)}), 5),
    "Fixed": (kk.Fixed(kk.Complete(TWO), column="law"), 12),
    "GramSchmidtWalk": (kk.GramSchmidtWalk(TWO, on=("age",)), 8),
    "MatchedTuples": (kk.MatchedTuples(TWO, on=("age",)), 8),
    "MatchedTuples, odd": (kk.MatchedTuples(TWO, on=("age",)), 9),
    "MatchedTuples of three": (kk.MatchedTuples(kk.arms(control=2, coaching=1), score="age"), 12),
    "Merged": (kk.Merged(kk.Complete(THREE), into={"control": ["control"], "any": ["coaching", "letter"]}), 8),
    "Rerandomised": (kk.Rerandomised(kk.Complete(TWO), on=("age",), accept=0.4), 8),
    "Rerandomised, unequal": (kk.Rerandomised(kk.Complete(kk.arms(control=2, coaching=1)), on="age", accept=0.4), 9),
    "Saturation": (kk.Saturation(TWO, levels=("1/4", "1/2"), area="region"), 8),
    "SteppedWedge": (kk.SteppedWedge(("March", "never"), cluster="office"), 12),
    "Stratified": (kk.Stratified(TWO, by="region"), 12),
    "Stratified, balanced leftovers": (kk.Stratified(TWO, by="odd"), 10),
    "Stratified, leftovers by stratum": (kk.Stratified(kk.arms(a=2, b=1), by="odd", leftovers="stratum"), 10),
    "Stratified, shares by stratum": (
        kk.Stratified(
            {"N": TWO, "S": kk.arms(control=3, coaching=1), "W": kk.arms(control=1, coaching=3)}, by="region"
        ),
        12,
    ),
    "StratifiedByQuantiles": (kk.StratifiedByQuantiles(TWO, on={"age": 2}), 8),
    "ThresholdBlocks": (kk.ThresholdBlocks(TWO, on=("age",), min_size=3), 10),
    "Waves": (kk.Waves(kk.Complete(TWO), wave="month"), 9),
}


def trial_of(name: str) -> Assignment:
    design, n = LOTTERIES[name]
    return kk.randomise(REGISTER.iloc[:n], design, id="id", seed=f"enumeration {name}")


def allocations(trial: Assignment) -> Iterator[tuple[Assignment, float]]:
    """Every allocation with its chance."""
    chunks = all_assignments(trial.lottery, 20_000)
    assert chunks is not None, "the allocations of this tiny lottery cannot be listed"
    for codes, chances in chunks:
        yield from ((replace(trial, codes=row), float(p)) for row, p in zip(codes, chances, strict=True))


def view_of(trial: Assignment, like: View | None = None) -> View:
    """The view of an allocation; that of another of the same trial, with its outcomes and arms, costs less."""
    y = POTENTIAL[trial.codes, np.arange(len(trial))]
    if like is not None:
        return replace(like, y=y, codes=trial.codes, assigned=trial.codes)
    return kk.align(trial, {"id": np.arange(len(trial)), "y": y}, "y")


Found = Callable[[View], tuple[float, float]]


def law_of(name: str, estimate: Found) -> tuple[float, float, float, float]:
    """Mean and variance of an estimate over all allocations, its mean variance, and the chance of those it refuses."""
    values, variances, chances, refused = [], [], [], 0.0
    like = view_of(trial_of(name))
    for trial, chance in allocations(trial_of(name)):
        try:
            value, variance = estimate(view_of(trial, like))
        except EstimationError:
            refused += chance
            continue
        values.append(value)
        variances.append(variance)
        chances.append(chance)
    p = np.array(chances) / sum(chances)
    mean = float(p @ values)
    return mean, float(p @ (np.array(values) - mean) ** 2), float(p @ variances), refused


def truth(name: str, arm: int) -> float:
    """Mean effect among those who could get both arms."""
    trial = trial_of(name)
    shares = kk.shares_of(trial.lottery, trial.stream("shares"))
    both = (shares[:, arm] > 0) & (shares[:, 0] > 0)
    return float((POTENTIAL[arm] - POTENTIAL[0])[: len(trial)][both].mean())


def horvitz(view: View, arm: int, errors: str = "Young") -> tuple[float, float]:
    """The estimate and its variance, which over few people may be nought or less and would then be refused."""
    law = pair_law_of(view.lottery)
    assert law is not None
    found = kk.HorvitzThompson(errors=errors)._finding(view, sample.sample_of(view, arm, 0), law)
    return found.value, found.variance


@pytest.mark.parametrize("name", LOTTERIES)
def test_horvitz_thompson_is_unbiased_and_conservative(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # An allocation with one person in an arm counts too: unbiased means over all of them.
    monkeypatch.setattr(sample, "_refuse", lambda *_: None)
    for arm in range(1, len(trial_of(name).arms)):
        mean, spread, variance, refused = law_of(name, lambda view, arm=arm: horvitz(view, arm))
        assert refused == 0
        assert mean == pytest.approx(truth(name, arm), abs=1e-10)
        assert variance >= spread - 1e-9


@pytest.mark.parametrize("name", ["Bernoulli", "Complete", "Clustered", "Stratified, balanced leftovers", "Waves"])
def test_the_variance_under_one_effect_for_everybody_is_exact(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "_refuse", lambda *_: None)
    monkeypatch.setitem(globals(), "POTENTIAL", np.array([BASE, BASE]))

    def exact(view: View) -> tuple[float, float]:
        law = pair_law_of(view.lottery)
        assert law is not None
        chosen = sample.sample_of(view, 1, 0)
        case = horvitz_thompson._Case.of(view, chosen, law)
        return horvitz(view, 1)[0], case.constant(chosen.y, 0.0)

    _, spread, variance, _ = law_of(name, exact)
    assert variance == pytest.approx(spread, rel=1e-9)


RATIO = {  # designs in which the numbers in the arms vary, or people count by clusters of unequal sizes
    "Bernoulli in strata",
    "Clustered",
    "Clustered, seats left over",
    "Factorial, seats left over",  # an arm of one person is refused, and what is left is no longer unbiased
    "GramSchmidtWalk",
    "MatchedTuples, odd",
    "Rerandomised, unequal",
    "SteppedWedge",
}
SMALL_SAMPLE = 0.3  # of a standard error: the largest bias of a ratio over so few people
DIFFERENCES = [name for name in LOTTERIES if name not in ("Factorial", "Factorial, seats left over", "Saturation")]


def by(estimator: Any, arm: int = 1) -> Found:
    def estimate(view: View) -> tuple[float, float]:
        found = estimator.estimate(view, ((view.arms.names[arm], view.arms.names[0]),))[0]
        return found.value, found.error**2

    return estimate


@pytest.mark.parametrize("name", DIFFERENCES)
def test_differences_in_means(name: str) -> None:
    mean, spread, variance, refused = law_of(name, by(kk.DifferenceInMeans()))
    bias = mean - truth(name, 1)
    assert abs(bias) <= (SMALL_SAMPLE * np.sqrt(spread) if name in RATIO else 1e-10)
    assert variance >= spread * (1 - 1e-9)
    assert refused < 0.25  # an arm of one person; Bernoulli with eight people, one time in five


@pytest.mark.parametrize(
    "name", ["Bernoulli in strata", "Clustered", "MatchedTuples", "Waves", "Rerandomised, unequal"]
)
def test_hajek_has_a_small_bias_and_a_variance_that_is_large_enough(name: str) -> None:
    mean, spread, variance, _ = law_of(name, by(kk.Hajek()))
    bias = mean - truth(name, 1)
    sys.stdout.write(f"{name}: bias of Hajek {bias:.2g}, {bias / np.sqrt(spread):.2g} standard errors\n")
    assert abs(bias) <= SMALL_SAMPLE * np.sqrt(spread)
    assert variance >= spread


def test_hajek_is_neymans_difference_where_numbers_are_fixed() -> None:
    view = view_of(trial_of("Complete, three arms"))
    ours, neyman = kk.Hajek().estimate(view), kk.DifferenceInMeans().estimate(view)
    for one, other in zip(ours, neyman, strict=True):
        assert one.value == pytest.approx(other.value, rel=1e-12)
        assert one.error == pytest.approx(other.error, rel=1e-10)
        assert one.dof == pytest.approx(other.dof, rel=1e-10)


ZONES = pd.DataFrame({"id": np.arange(16), "office": np.arange(16) // 2, "zone": list("aaaabbbbbbcccccc")})
PAIRS = pd.DataFrame({"id": np.arange(16), "office": np.arange(16) // 2, "zone": np.arange(16) // 4})


@pytest.mark.parametrize(
    ("table", "small", "kinds"),
    [
        (ZONES, "auto", {"hybrid_p", "all"}),
        (ZONES, "hybrid_p", {"hybrid_p"}),
        (ZONES, "all", {"all"}),
        (PAIRS, "auto", {"between pairs"}),
        (PAIRS, "hybrid_m", {"hybrid_m"}),
    ],
)
def test_few_clusters_in_an_arm_of_a_stratum(table: pd.DataFrame, small: str, kinds: set[str]) -> None:
    y = np.random.Philox(key=5).random_raw(32).reshape(2, 16) % 17 / 2.0
    y += np.repeat([1.0, 5.0, 2.0, 8.0, 3.0, 3.0, 9.0, 4.0], 2)
    trial = kk.randomise(table, kk.Clustered(kk.Stratified(TWO, by="zone"), by="office"), id="id", seed="zones")
    values, variances, chances, seen = [], [], [], set()
    for one, chance in allocations(trial):
        outcomes = {"id": np.arange(16), "y": y[one.codes, np.arange(16)]}
        found = kk.estimate_effects(one, outcomes, "y", estimator=kk.DifferenceInMeans(small=small))[0]
        values.append(found.value)
        variances.append(found.error**2)
        chances.append(chance)
        seen.add(found.variance)
    p = np.array(chances)
    mean = float(p @ values)
    assert seen <= kinds
    assert mean == pytest.approx(float((y[1] - y[0]).mean()), abs=1e-10)
    assert p @ variances >= p @ (np.array(values) - mean) ** 2 - 1e-10


@pytest.mark.parametrize("sizes", [(2, 7), (3, 6), (3, 4, 5)])
def test_one_small_stratum_beside_others_leaves_no_bias(sizes: tuple[int, ...]) -> None:
    strata, n = np.repeat(np.arange(len(sizes)), sizes), sum(sizes)
    register = {"id": list(range(n)), "s": strata.tolist()}
    trial = kk.randomise(register, kk.Stratified(TWO, by="s"), id="id", seed="one small stratum")
    rng, law = np.random.default_rng(1), []
    first = rng.normal(size=n) + strata
    second = first + rng.normal(size=n) + 1.0
    for one, chance in allocations(trial):
        y = np.where(one.codes == 1, second, first)
        found = kk.estimate_effects(one, {"id": np.arange(n), "y": y}, "y")[0]
        assert found.variance == "collapsed strata"
        law.append((found.value, found.error**2, chance))
    values, variances, p = np.array(law).T
    mean = p @ values
    assert mean == pytest.approx(float((second - first).mean()), abs=1e-10)
    assert p @ variances >= p @ (values - mean) ** 2


def test_the_sharp_bound_lies_between_neyman_and_the_truth() -> None:
    sharp, neyman = (law_of("Complete", by(kk.DifferenceInMeans(errors=kind))) for kind in ("sharp", "Neyman"))
    assert sharp[0] == neyman[0]
    assert neyman[2] > sharp[2]
    assert sharp[2] >= 0.95 * sharp[1]  # a bound in large samples; here each arm has four people


@pytest.mark.parametrize("n", [8, 12])
def test_contrasts_of_crossed_factors(n: int) -> None:
    design = kk.Factorial({"coach": TWO, "voucher": kk.arms(no=1, yes=1)}, by="region" if n == 12 else ())
    trial = kk.randomise(REGISTER.iloc[:n], design, id="id", seed="factors")
    means = POTENTIAL[:4, :n].mean(axis=1)
    wanted = {
        "coach=coaching": (means[2] + means[3] - means[0] - means[1]) / 2,
        "voucher=yes": (means[1] + means[3] - means[0] - means[2]) / 2,
        "coach=coaching at voucher=yes": means[3] - means[1] - means[2] + means[0],
    }
    law: dict[str, list[tuple[float, float]]] = {name: [] for name in wanted}
    estimator, like = ArmContrasts(design.effects()), view_of(trial)
    for one in some_allocations(trial):
        for found in estimator.estimate(view_of(one, like)):
            law[found.arm].append((found.value, found.error**2))
    for name, pairs in law.items():
        values, variances = np.array(pairs).T
        tolerance = 1e-10 if n == 8 else 5 * values.std() / np.sqrt(len(values))
        assert values.mean() == pytest.approx(wanted[name], abs=tolerance)
        assert variances.mean() >= values.var() * (1 - 1e-9 if n == 8 else 0.9)


def some_allocations(trial: Assignment) -> Iterator[Assignment]:
    """All of 2,520 allocations of eight people; 500 redraws where there are more."""
    if len(trial) == 8:
        yield from (one for one, _ in allocations(trial))
        return
    yield from (replace(trial, codes=row) for row in trial.lottery.draw(trial.stream("some"), 500))
