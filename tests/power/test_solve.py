"""The three questions: properties that hold for all numbers, and requests that nothing can meet."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import kokeilu as kk
from kokeilu.errors import ColumnError, DataError, DesignError
from kokeilu.power.cluster_sizes import ClusterSizes
from kokeilu.power.hypotheses import Superiority
from kokeilu.power.models import Mean, Proportion
from kokeilu.power.reality import Reality
from kokeilu.power.solve import detectable_effect, power_at, sample_size

EVEN = kk.Complete(kk.arms(control=1, coaching=1))
THREE = kk.Complete(kk.arms(control=2, coaching=1, subsidy=1))
OFFICES = kk.Clustered(EVEN, by="office")

N = st.integers(10, 100_000)
R2 = st.floats(0.0, 0.9)
EFFECT = st.floats(0.01, 3.0)
TARGET = st.floats(0.1, 0.99)
SHARES = st.tuples(st.integers(1, 9), st.integers(1, 9))


def two(shares: tuple[int, int]) -> kk.Complete:
    return kk.Complete(kk.arms(control=shares[0], coaching=shares[1]))


class TestLaws:
    @given(n=N, more=st.integers(0, 1000), r2=R2, effect=EFFECT)
    def test_power_grows_with_people_r2_and_effect(self, n, more, r2, effect):
        power = power_at(EVEN, n, Mean(sd=2.0, r2=r2), effect=effect).value
        assert power_at(EVEN, n + more, Mean(sd=2.0, r2=r2), effect=effect).value >= power - 1e-12
        assert power_at(EVEN, n, Mean(sd=2.0, r2=r2 + 0.05), effect=effect).value >= power - 1e-12
        assert power_at(EVEN, n, Mean(sd=2.0, r2=r2), effect=1.1 * effect).value >= power - 1e-12
        assert power_at(EVEN, n, Mean(sd=2.0, r2=r2), effect=-effect).value == pytest.approx(power, abs=1e-12)

    @given(base=st.floats(0.02, 0.98), n=N, part=st.floats(0.01, 0.9), longer=st.floats(1.0, 1.1))
    def test_power_of_a_proportion_grows_with_the_effect(self, base, n, part, longer):
        for reach in (1 - base, -base):
            near = power_at(EVEN, n, Proportion(base=base), effect=part * reach).value
            assert power_at(EVEN, n, Proportion(base=base), effect=part * longer * reach).value >= near - 1e-12

    @given(n=N, shares=SHARES, target=TARGET, base=st.floats(0.05, 0.95))
    def test_the_detectable_effect_has_the_power_asked_for(self, n, shares, target, base):
        assume(n * min(shares) / sum(shares) >= 2)
        design = two(shares)
        mean = detectable_effect(design, n, Mean(sd=3.0), power=target)
        assert power_at(design, n, Mean(sd=3.0), effect=mean.value).value == pytest.approx(target, abs=1e-9)
        outcome = Proportion(base=base)
        try:
            found = detectable_effect(design, n, outcome, power=target)
        except DesignError:
            assert power_at(design, n, outcome, effect=(1 - base) * (1 - 1e-12)).value < target
            return
        assert power_at(design, n, outcome, effect=found.value).value == pytest.approx(target, abs=1e-8)
        if found.decrease is not None:
            assert power_at(design, n, outcome, effect=found.decrease).value == pytest.approx(target, abs=1e-8)

    @given(shares=SHARES, effect=st.floats(0.02, 2.0), target=TARGET, covariates=st.integers(0, 5))
    def test_the_people_found_suffice_and_fewer_do_not(self, shares, effect, target, covariates):
        design, outcome = two(shares), Mean(sd=1.0)
        found = sample_size(design, outcome, effect=effect, power=target, covariates=covariates)
        assert found.power >= target - 1e-9
        assert found.value == sum(found.n_arms.values()) >= found.continuous - 1e-6
        assert found.value <= found.continuous + 2
        fewer = found.continuous - 1
        share = min(shares) / sum(shares)
        assume(fewer * share >= 2 and fewer - 2 - covariates > 0)
        assert power_at(design, 10**6, outcome, effect=effect).value >= 0  # the design itself is fine
        at_fewer = sample_at(design, fewer, effect, covariates)
        assert at_fewer < target or found.continuous * share <= 2.001 or found.continuous <= covariates + 3.001

    @given(n=st.integers(8, 5000), effect=EFFECT)
    def test_labels_and_order_of_arms_do_not_matter(self, n, effect):
        one = power_at(kk.Complete(kk.arms(a=1, b=2)), 3 * n, Mean(sd=1.0), effect=effect)
        other = power_at(kk.Complete(kk.arms(b=2, a=1)), 3 * n, Mean(sd=1.0), effect=effect)
        assert one.value == pytest.approx(other.value, abs=1e-12)
        assert one.contrast.n == other.contrast.n[::-1]

    @given(scale=st.floats(0.001, 1000), n=N, r2=R2)
    def test_units_do_not_matter(self, scale, n, r2):
        one = detectable_effect(EVEN, n, Mean(sd=1.0, r2=r2))
        other = detectable_effect(EVEN, n, Mean(sd=scale, r2=r2))
        assert other.value == pytest.approx(scale * one.value, rel=1e-9)
        assert other.effect_sd == pytest.approx(one.effect_sd, rel=1e-9)

    @given(count=st.integers(4, 200), size=st.integers(1, 300))
    def test_without_icc_clusters_only_cost_degrees_of_freedom(self, count, size):
        clustered = detectable_effect(OFFICES, ClusterSizes(count=count, size=size), Mean(sd=1.0, icc=0.0))
        alone = detectable_effect(EVEN, max(count * size, 4), Mean(sd=1.0))
        assert clustered.error == pytest.approx(alone.error, rel=1e-12)
        assert clustered.dof == count - 2

    @given(icc=st.floats(0.0, 0.5), more=st.floats(0.0, 0.4), cv=st.floats(0.0, 1.0))
    def test_clusters_alike_or_unequal_never_help(self, icc, more, cv):
        people = ClusterSizes(count=20, size=30)
        power = power_at(OFFICES, people, Mean(sd=1.0, icc=icc), effect=0.3).value
        assert power_at(OFFICES, people, Mean(sd=1.0, icc=icc + more), effect=0.3).value <= power + 1e-12
        unequal = ClusterSizes(count=20, size=30, cv=cv)
        assert power_at(OFFICES, unequal, Mean(sd=1.0, icc=icc), effect=0.3).value <= power + 1e-12

    @given(size=st.integers(1, 200), icc=st.floats(0.0, 0.3), effect=st.floats(0.1, 1.5))
    def test_the_clusters_found_suffice(self, size, icc, effect):
        outcome = Mean(sd=1.0, icc=icc)
        found = sample_size(OFFICES, outcome, effect=effect, sizes=size)
        count = sum(found.clusters_arms.values())
        again = power_at(OFFICES, ClusterSizes(count=int(count), size=size), outcome, effect=effect)
        assert again.value == pytest.approx(found.power, abs=1e-12)
        assert found.power >= 0.8 - 1e-9
        if count > 6:
            fewer = ClusterSizes(count=int(count) - 2, size=size)
            assert power_at(OFFICES, fewer, outcome, effect=effect).value < 0.8


def sample_at(design, n, effect, covariates):
    """The power of a number of people that need not be whole."""
    from kokeilu.power.layout import counted
    from kokeilu.power.question import Question

    question = Question(outcome=Mean(sd=1.0), test=Superiority(), covariates=covariates, reality=Reality())
    frame = counted(design.arms, tuple(float(s) * n for s in design.arms.shares), sizes=None, notes=())
    return question.power(question.scheme(frame, 1, 0), effect)


class TestAnswers:
    def test_one_sided_tests_look_one_way(self):
        up = detectable_effect(EVEN, 1000, Proportion(base=0.3), alternative="greater")
        down = detectable_effect(EVEN, 1000, Proportion(base=0.3), alternative="less")
        both = detectable_effect(EVEN, 1000, Proportion(base=0.3))
        assert down.value < 0 < up.value < both.value
        assert up.decrease is None
        assert both.decrease < 0
        assert power_at(EVEN, 1000, Mean(sd=1), effect=-0.2, alternative="greater").value < 0.05

    def test_every_arm_stands_in_the_rows(self):
        found = detectable_effect(THREE, 4000, Mean(sd=1.0), contrast="subsidy")
        assert [row["contrast"] for row in found.rows()] == ["coaching - control", "subsidy - control"]
        assert found.contrast.arm == "subsidy"
        assert found.n_arms == {"control": 2000.0, "coaching": 1000.0, "subsidy": 1000.0}
        assert found.dof == 2998

    def test_another_reference_can_be_chosen(self):
        found = detectable_effect(THREE, 4000, Mean(sd=1.0), contrast=("coaching", "subsidy"))
        assert (found.contrast.arm, found.contrast.reference) == ("coaching", "subsidy")
        assert found.dof == 1998

    def test_several_arms_are_sized_for_the_weakest(self):
        design = kk.Complete(kk.arms(control=3, coaching=2, subsidy=1))
        found = sample_size(design, Mean(sd=1.0), effect=0.3)
        assert found.contrast.arm == "subsidy"
        assert [row["power"] >= 0.8 for row in found.rows()] == [True, True]
        alone = sample_size(kk.Complete(kk.arms(control=3, subsidy=1)), Mean(sd=1.0), effect=0.3)
        assert found.n_arms["subsidy"] == alone.n_arms["subsidy"]

    def test_people_per_cluster(self):
        outcome = Mean(sd=1.0, icc=0.05)
        found = sample_size(OFFICES, outcome, effect=0.5, sizes=ClusterSizes(count=12))
        size = found.value / 12
        assert size == int(size)
        powers = [
            power_at(OFFICES, ClusterSizes(count=12, size=m), outcome, effect=0.5).value for m in (size - 1, size)
        ]
        assert powers[0] < 0.8 <= powers[1] == pytest.approx(found.power)

    def test_parts_add_up_to_the_squared_error(self):
        found = power_at(OFFICES, ClusterSizes(count=20, size=30, cv=0.5), Mean(sd=9.0, icc=0.1), effect=2.0)
        assert sum(found.parts.values()) == pytest.approx(found.error**2)
        assert found.parts["clusters"] == pytest.approx(81 * 0.1 * 1.25 * 4 / 20)

    def test_a_huge_effect_needs_two_people_in_each_arm(self):
        assert sample_size(EVEN, Mean(sd=1.0), effect=1e6).value == 4

    def test_shares_may_be_any_fractions(self):
        design = kk.Complete(kk.arms(control="2/3", coaching="1/3"))
        assert design.arms.shares[1] == Fraction(1, 3)
        assert detectable_effect(design, 900, Mean(sd=1.0)).n_arms == pytest.approx({"control": 600, "coaching": 300})


class TestRegister:
    people = pd.DataFrame({"office": np.repeat(np.arange(12), np.arange(5, 17)), "person": np.arange(126)})
    people["region"] = people["office"] % 3

    def test_strata_cost_two_degrees_of_freedom_each(self):
        design = kk.Stratified(EVEN.arms, by="region")
        found = detectable_effect(design, self.people, Mean(sd=1.0), covariates=4)
        assert found.dof == 126 - 6 - 4
        assert found.error == pytest.approx(math.sqrt(4 / 126))
        assert "3 strata" in str(found)

    def test_pairs_leave_one_per_pair_and_one(self):
        design = kk.Stratified(EVEN.arms, by="pair")
        found = detectable_effect(design, {"pair": np.repeat(np.arange(20), 2)}, Mean(sd=1.0))
        assert found.dof == 19

    def test_shares_that_differ_by_stratum_are_those_of_the_register(self):
        by_region = {
            "0": kk.arms(control=1, coaching=1),
            "1": kk.arms(control=1, coaching=3),
            "2": kk.arms(control=3, coaching=1),
        }
        found = detectable_effect(kk.Stratified(by_region, by="region"), self.people, Mean(sd=1.0))
        sizes = self.people.groupby("region").size().to_numpy()
        inverse = np.array([4.0, 4 + 4 / 3, 4 + 4 / 3])
        assert found.error == pytest.approx(math.sqrt((sizes * inverse).sum()) / 126)
        with pytest.raises(DesignError, match="differ by stratum"):
            detectable_effect(kk.Stratified(by_region, by="region"), 126, Mean(sd=1.0))

    def test_real_cluster_sizes_are_used(self):
        found = power_at(OFFICES, self.people, Mean(sd=1.0, icc=0.1), effect=0.5)
        sizes = np.arange(5, 17)
        cv = sizes.std() / sizes.mean()
        summary = power_at(
            OFFICES, ClusterSizes(count=12, size=float(sizes.mean()), cv=cv), Mean(sd=1.0, icc=0.1), effect=0.5
        )
        assert found.value == pytest.approx(summary.value, rel=1e-12)
        assert found.dof == 10

    def test_clusters_in_strata(self):
        design = kk.Clustered(kk.Stratified(EVEN.arms, by="region"), by="office")
        found = power_at(design, self.people, Mean(sd=1.0, icc=0.1), effect=0.5)
        assert found.dof == 12 - 6
        assert found.error == pytest.approx(power_at(OFFICES, self.people, Mean(sd=1.0, icc=0.1), effect=0.5).error)

    def test_the_order_of_rows_and_the_kind_of_table_do_not_matter(self):
        import polars
        import pyarrow

        design = kk.Clustered(kk.Stratified(EVEN.arms, by="region"), by="office")
        outcome = Proportion(base=0.2, icc=0.02)
        tables = [
            self.people,
            self.people.sample(frac=1, random_state=1),
            pyarrow.Table.from_pandas(self.people),
            polars.from_pandas(self.people),
            {name: self.people[name].to_numpy() for name in self.people},
        ]
        values = {round(detectable_effect(design, table, outcome).value, 12) for table in tables}
        assert len(values) == 1

    def test_without_the_register_the_answer_says_that_strata_are_not_counted(self):
        found = sample_size(kk.Stratified(EVEN.arms, by="region"), Mean(sd=1.0), effect=0.2)
        assert found.value == 788
        assert "strata are not known" in str(found)


CLUSTERED_MEAN = Mean(sd=1.0, icc=0.05)


@pytest.mark.parametrize(
    ("ask", "error", "says"),
    [
        (
            lambda: sample_size(OFFICES, CLUSTERED_MEAN, effect=0.3, sizes=ClusterSizes(count=12)),
            DesignError,
            r"12 clusters.*more power than 0\.555",
        ),
        (lambda: sample_size(EVEN, Mean(sd=1.0), effect=0), DesignError, "effect of 0"),
        (lambda: sample_size(EVEN, Mean(sd=1.0), effect=math.nan), DesignError, "effect must lie"),
        (
            lambda: sample_size(EVEN, Mean(sd=1.0), effect=-1, alternative="greater"),
            DesignError,
            "against the alternative",
        ),
        (lambda: sample_size(EVEN, Mean(sd=1.0), effect=1, power=0.05), DesignError, "not above alpha"),
        (lambda: sample_size(EVEN, Mean(sd=1.0), effect=1, power=1.0), DesignError, "power must lie"),
        (lambda: sample_size(EVEN, Proportion(base=0.9), effect=0.1), DesignError, r"outside \(0, 1\)"),
        (lambda: sample_size(EVEN, Mean(sd=1.0), effect=1, sizes=10), DesignError, "wrap this one in Clustered"),
        (lambda: sample_size(OFFICES, CLUSTERED_MEAN, effect=1), DesignError, "give sizes"),
        (lambda: sample_size(OFFICES, Mean(sd=1.0), effect=1, sizes=5), DesignError, "needs an intra-cluster"),
        (
            lambda: sample_size(OFFICES, CLUSTERED_MEAN, effect=1, sizes=ClusterSizes(count=9, size=3)),
            DesignError,
            "nothing to solve",
        ),
        (lambda: sample_size("Complete", Mean(sd=1.0), effect=1), DesignError, "a design is needed"),
        (
            lambda: detectable_effect(EVEN, 8, Mean(sd=1.0), covariates=6),
            DesignError,
            "8 people leave 6 degrees of freedom; 6 covariates",
        ),
        (
            lambda: detectable_effect(OFFICES, ClusterSizes(count=4, size=50), CLUSTERED_MEAN, covariates=5),
            DesignError,
            "4 clusters leave 2",
        ),
        (lambda: detectable_effect(EVEN, 10, Proportion(base=0.9)), DesignError, "no possible effect"),
        (
            lambda: detectable_effect(EVEN, 100, Mean(sd=1.0, icc=0.1)),
            DesignError,
            "belong to a design that draws whole",
        ),
        (
            lambda: detectable_effect(EVEN, 100, Mean(sd=1.0, icc=0.05, cluster_r2=0.1)),
            DesignError,
            "belong to a design that draws whole",
        ),
        (lambda: detectable_effect(OFFICES, 100, CLUSTERED_MEAN), DesignError, "do not tell how many"),
        (lambda: detectable_effect(EVEN, ClusterSizes(count=4, size=50), Mean(sd=1.0)), DesignError, "one by one"),
        (
            lambda: detectable_effect(OFFICES, ClusterSizes(size=50), CLUSTERED_MEAN),
            DesignError,
            "both `count` and `size`",
        ),
        (lambda: detectable_effect(EVEN, 3, Mean(sd=1.0)), DesignError, "at least 4"),
        (lambda: detectable_effect(two((9, 1)), 10, Mean(sd=1.0)), DesignError, "expected to get 1 people"),
        (lambda: detectable_effect(EVEN, 100, 0.3), DesignError, "Mean"),
        (lambda: detectable_effect(EVEN, 100, Mean), DesignError, "Mean"),
        (
            lambda: detectable_effect(EVEN, 100, Mean(sd=1.0), contrast="coching"),
            DesignError,
            "Did you mean 'coaching'",
        ),
        (
            lambda: detectable_effect(EVEN, 100, Mean(sd=1.0), contrast=("coaching", "coaching")),
            DesignError,
            "other than the reference",
        ),
        (
            lambda: detectable_effect(EVEN, 100, Mean(sd=1.0), alternative="greter"),
            DesignError,
            "Did you mean 'greater'",
        ),
        (lambda: detectable_effect(EVEN, 100, Mean(sd=1.0), covariates=-1), DesignError, "at least 0"),
        (lambda: detectable_effect(kk.Complete, 100, Mean(sd=1.0)), DesignError, "a design is needed"),
        (lambda: detectable_effect(kk.Complete, {"a": [1, 2, 3, 4]}, Mean(sd=1.0)), DesignError, "a design is needed"),
        (lambda: detectable_effect(EVEN, 0.5, Mean(sd=1.0)), ColumnError, "a table is needed"),
        (lambda: detectable_effect(EVEN, {}, Mean(sd=1.0)), DataError, "no columns"),
        (lambda: detectable_effect(EVEN, pd.DataFrame({"a": []}), Mean(sd=1.0)), DataError, "no rows"),
        (lambda: detectable_effect(EVEN, pd.DataFrame({"a": [1]}), Mean(sd=1.0)), DataError, "1 person"),
        (
            lambda: detectable_effect(kk.Stratified(EVEN.arms, by="regoin"), TestRegister.people, Mean(sd=1.0)),
            ColumnError,
            "Did you mean 'region'",
        ),
        (lambda: power_at(EVEN, 100, Proportion(base=0.9), effect=0.2), DesignError, "five percentage points"),
        (lambda: ClusterSizes(), DesignError, "needs `count`"),
        (lambda: ClusterSizes(count=3), DesignError, "at least 4"),
        (lambda: ClusterSizes(count=9, size=0.5), DesignError, "people per cluster"),
        (lambda: ClusterSizes(count=9, cv=-1), DesignError, "cv must lie"),
        (lambda: Mean(sd=0), DesignError, "sd must lie"),
        (lambda: Mean(sd=1, r2=1), DesignError, "r2 is 1"),
        (lambda: Mean(sd=1, icc=-0.1), DesignError, "icc must lie"),
        (lambda: Proportion(base=1.0), DesignError, "base must lie"),
    ],
)
def test_impossible_requests_say_why(ask, error, says):
    with pytest.raises(error, match=says):
        ask()


def test_people_without_a_chance_of_an_arm_do_not_count():
    arms = {"a": kk.arms(control=1, coaching=1, subsidy=1), "b": kk.arms(control=1, coaching=1, subsidy=0)}
    people = {"place": ["a"] * 60 + ["b"] * 40}
    found = power_at(kk.Stratified(arms, by="place"), people, Mean(sd=1.0), effect=0.5)
    alone = power_at(kk.Complete(arms["a"]), 60, Mean(sd=1.0), effect=0.5, contrast="subsidy")
    coaching, subsidy = found.contrasts
    assert subsidy.power == pytest.approx(alone.value)
    assert subsidy.dof == pytest.approx(38)
    assert coaching.n == pytest.approx((40, 40))
    nobody = {"a": kk.arms(control=1, coaching=1, subsidy=0), "b": kk.arms(control=1, coaching=0, subsidy=1)}
    with pytest.raises(DesignError, match="0 people in strata that offer both"):
        power_at(kk.Stratified(nobody, by="place"), people, Mean(sd=1.0), effect=0.5, contrast=("coaching", "subsidy"))
