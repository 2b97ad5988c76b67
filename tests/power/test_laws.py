"""Laws that every size, outcome and test must obey, whatever the numbers."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kokeilu as kk
from kokeilu.errors import DesignError

TWO = kk.arms(control=1, coaching=1)
EVEN = kk.Complete(TWO)
BLOCKED = kk.Stratified(TWO, by="block")
OFFICES = kk.Clustered(EVEN, by="office")
REGIONS = kk.Clustered(BLOCKED, by="office")
few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Sizes alone, the design they belong to, and an outcome with which they make sense.
PLAIN, CLUSTERED = kk.Mean(sd=1.0), kk.Mean(sd=1.0, icc=0.05)
SIZES: dict[str, tuple[Any, Any, Any]] = {
    "blocks": (BLOCKED, kk.Blocks(count=10, size=20), PLAIN),
    "sample of blocks": (
        BLOCKED,
        kk.Blocks(count=10, size=20, effects="random", icc=0.1, effect_ratio=0.3),
        PLAIN,
    ),
    "sites": (BLOCKED, kk.Sites(count=8, blocks=3, size=10, site_icc=0.1, site_ratio=0.2), PLAIN),
    "clusters": (OFFICES, kk.ClusterSizes(count=20, size=15), CLUSTERED),
    "clusters in blocks": (REGIONS, kk.ClusteredBlocks(blocks=5, count=4, size=15), CLUSTERED),
    "nested": (OFFICES, kk.NestedClusters(count=20, groups=3, size=5, group_icc=0.1), CLUSTERED),
    "moderator": (EVEN, kk.Moderator(people=400, share=0.4), PLAIN),
    "moderator in blocks": (BLOCKED, kk.BlockModerator(count=20, size=20, icc=0.1, effect_variance=0.1), PLAIN),
    "moderator of clusters": (OFFICES, kk.ClusterModerator(count=40, size=20), CLUSTERED),
    "courses": (EVEN, kk.PartlyNested(groups=10, size=10, controls=100, icc=0.1), PLAIN),
    "wedge": (OFFICES, kk.WedgeSizes(steps=4, per_step=3, size=15, decay=0.8), CLUSTERED),
    "saturation": (EVEN, kk.SaturationSizes(levels=((0, 0.4), (0.5, 0.6)), count=40, size=12), CLUSTERED),
    "inflow": (BLOCKED, kk.Inflow(arrivals={"a": 20, "b": 9}, weeks=10, wave=2), PLAIN),
}
OUTCOMES: dict[str, tuple[Any, float, float]] = {  # a model, a small effect and a larger one
    "mean": (kk.Mean(sd=2.0), 0.2, 0.5),
    "decrease": (kk.Mean(sd=2.0), -0.2, -0.5),
    "unlike spreads": (kk.Mean(sd=2.0, sd_arm=3.0), 0.2, 0.5),
    "panel": (kk.Mean(sd=2.0, panel=kk.Panel(pre=2, post=2, rho=0.6)), 0.2, 0.5),
    "share": (kk.Proportion(base=0.3), 0.04, 0.08),
    "share, pooled": (kk.Proportion(base=0.3, variance="pooled"), 0.04, 0.08),
    "share, arcsine": (kk.Proportion(base=0.3, variance="arcsine"), -0.04, -0.08),
    "count": (kk.Count(rate=1.5), 1.1, 1.3),
    "fewer": (kk.Count(rate=1.5, kind="negbin", dispersion=0.6), 0.9, 0.7),
    "difference of rates": (kk.Count(rate=1.5, scale_of="difference"), 0.1, 0.3),
    "spell": (kk.Duration(hazards=(0.1, 0.05), lengths=(6,), study=24, accrual=12), 1.1, 1.4),
    "longer spell": (kk.Duration(hazards=0.1, study=24, variance="schoenfeld"), 0.9, 0.7),
    "restricted mean": (kk.RestrictedMean(hazards=(0.1, 0.05), lengths=(6,), horizon=12), -0.3, -0.9),
}
TESTS: dict[str, Any] = {
    "plain": kk.Superiority(),
    "one-sided": kk.Superiority(alpha=0.025, alternative="greater"),
    "normal": kk.Superiority(method="normal"),
    "margin": kk.NonInferiority(margin=-0.1),
    "looks": kk.GroupSequential(looks=3),
    "looks, Pocock": kk.GroupSequential(looks=(0.5, 1.0), spending="Pocock"),
    "looks with futility": kk.GroupSequential(looks=2, alpha=0.025, alternative="greater", futility=True),
    "outcomes": kk.ManyOutcomes(outcomes=3, correlation=0.4),
    "all outcomes": kk.ManyOutcomes(outcomes=2, correlation=0.4, target="all"),
}


def power(design: Any, people: Any, outcome: Any, effect: Any, **how: Any) -> float:
    return float(kk.power_at(design, people, outcome, effect=effect, **how).value)


class TestLimits:
    @few
    @given(size=st.integers(6, 200), effect=st.floats(0.1, 1.0), arms=st.sampled_from([(1, 1), (2, 1), (1, 1, 1)]))
    def test_one_block_is_no_block(self, size: int, effect: float, arms: tuple[int, ...]) -> None:
        named = kk.arms({f"a{k}": share for k, share in enumerate(arms)})
        size *= sum(arms)
        blocks = kk.Blocks(count=1, size=size)
        real = kk.Reality(attrition=0.1)
        found = kk.power_at(kk.Stratified(named, by="b"), blocks, PLAIN, effect=effect, reality=real)
        plain = kk.power_at(kk.Complete(named), size, PLAIN, effect=effect, reality=real)
        assert found.value == pytest.approx(plain.value, rel=1e-9)
        assert found.dof == pytest.approx(plain.dof)

    @few
    @given(count=st.integers(4, 60), size=st.integers(2, 80), icc=st.floats(0, 0.3))
    def test_levels_that_hold_nothing_fall_away(self, count: int, size: int, icc: float) -> None:
        outcome = kk.Mean(sd=1.0, icc=icc)
        plain = power(OFFICES, kk.ClusterSizes(count=2 * count, size=size), outcome, 0.3)
        nested = kk.NestedClusters(count=2 * count, groups=1, size=size)
        one_block = kk.ClusteredBlocks(blocks=1, count=2 * count, size=size)
        assert power(OFFICES, nested, outcome, 0.3) == pytest.approx(plain, rel=1e-9)
        assert power(REGIONS, one_block, outcome, 0.3) == pytest.approx(plain, rel=1e-9)
        even = kk.ClusterSizes(sizes=(size,) * (2 * count), weighting="gls")
        assert power(OFFICES, even, outcome, 0.3) == pytest.approx(plain, rel=1e-9)

    @few
    @given(count=st.integers(4, 60), size=st.integers(1, 80))
    def test_without_an_icc_the_error_is_that_of_people(self, count: int, size: int) -> None:
        people = 2 * count * size
        error = kk.power_at(EVEN, people, PLAIN, effect=0.2).error
        outcome = kk.Mean(sd=1.0, icc=0.0)
        for sizes in (
            kk.ClusterSizes(count=2 * count, size=size),
            kk.ClusterSizes(count=2 * count, size=size, cv=0.7),
            kk.ClusterSizes(count=2 * count, size=size, cv=0.7, weighting="gls"),
        ):
            assert kk.power_at(OFFICES, sizes, outcome, effect=0.2).error == pytest.approx(error, rel=1e-9)

    @few
    @given(groups=st.integers(3, 40), size=st.integers(2, 30), controls=st.integers(5, 300))
    def test_courses_that_do_not_matter(self, groups: int, size: int, controls: int) -> None:
        courses = kk.PartlyNested(groups=groups, size=size, controls=controls, icc=0.0)
        unlike = kk.Complete(kk.arms(control=controls, coaching=groups * size))
        error = kk.power_at(unlike, groups * size + controls, PLAIN, effect=0.3).error
        assert kk.power_at(EVEN, courses, PLAIN, effect=0.3).error == pytest.approx(error, rel=1e-9)

    @few
    @given(areas=st.integers(3, 60), size=st.integers(2, 60), icc=st.floats(0, 0.3))
    def test_saturations_of_nought_and_one_are_clusters(self, areas: int, size: int, icc: float) -> None:
        outcome = kk.Mean(sd=1.0, icc=icc)
        sizes = kk.SaturationSizes(levels=((0, 0.5), (1, 0.5)), count=2 * areas, size=size)
        plain = power(OFFICES, kk.ClusterSizes(count=2 * areas, size=size), outcome, 0.3)
        assert power(EVEN, sizes, outcome, 0.3) == pytest.approx(plain, rel=1e-9)

    def test_one_period_is_a_single_measurement(self) -> None:
        for panel in (kk.Panel(pre=0, post=1, rho=0.5, analysis="post"), kk.Panel(rho=0.0)):
            assert panel.factor == pytest.approx(1.0)
        assert kk.Panel(rho=0.6).factor == pytest.approx(1 - 0.36)
        assert kk.Panel(rho=0.5, analysis="change").factor == pytest.approx(1.0)

    @few
    @given(rate=st.floats(0.1, 20), effect=st.floats(0.5, 2))
    def test_a_negative_binomial_without_dispersion_is_poisson(self, rate: float, effect: float) -> None:
        plain = power(EVEN, 500, kk.Count(rate=rate), effect)
        assert power(EVEN, 500, kk.Count(rate=rate, kind="negbin", dispersion=0.0), effect) == pytest.approx(plain)

    @few
    @given(hazard=st.floats(0.01, 0.5), cut=st.floats(1, 20), effect=st.floats(0.5, 2))
    def test_pieces_with_one_hazard_are_one_piece(self, hazard: float, cut: float, effect: float) -> None:
        times = {"study": 24.0, "accrual": 9.0, "dropout": 0.01}
        one = power(EVEN, 400, kk.Duration(hazards=hazard, **times), effect)
        two = power(EVEN, 400, kk.Duration(hazards=(hazard, hazard), lengths=(cut,), **times), effect)
        assert two == pytest.approx(one, rel=1e-9)

    def test_one_look_one_arm_one_outcome(self) -> None:
        plain = power(EVEN, 300, PLAIN, 0.3, test=kk.Superiority(method="normal"))
        assert power(EVEN, 300, PLAIN, 0.3, test=kk.GroupSequential(looks=1)) == pytest.approx(plain, abs=1e-9)
        assert power(EVEN, 300, PLAIN, 0.3, test=kk.ManyOutcomes(outcomes=1)) == pytest.approx(plain, abs=1e-9)
        t = power(EVEN, 300, PLAIN, 0.3)
        assert power(EVEN, 300, PLAIN, 0.3, test=kk.Dunnett()) == pytest.approx(t, abs=1e-8)
        assert power(EVEN, 300, PLAIN, 0.3, test=kk.JointF()) == pytest.approx(t, abs=1e-8)

    @few
    @given(name=st.sampled_from(sorted(OUTCOMES)))
    def test_everybody_taking_part_is_no_take_up_stated(self, name: str) -> None:
        outcome, effect, _ = OUTCOMES[name]
        whole = kk.Reality(take_up={"coaching": 1.0}, attrition=0.0)
        assert power(EVEN, 400, outcome, effect, reality=whole) == pytest.approx(power(EVEN, 400, outcome, effect))


class TestMonotone:
    @pytest.mark.parametrize("name", sorted(OUTCOMES))
    def test_in_people_and_in_the_effect(self, name: str) -> None:
        outcome, small, large = OUTCOMES[name]
        assert power(EVEN, 300, outcome, small) < power(EVEN, 600, outcome, small) < power(EVEN, 600, outcome, large)

    @pytest.mark.parametrize("name", sorted(SIZES))
    def test_sizes_in_the_effect_and_r2(self, name: str) -> None:
        design, sizes, outcome = SIZES[name]
        plain = power(design, sizes, outcome, 0.2)
        assert plain < power(design, sizes, outcome, 0.3)
        assert plain < power(design, sizes, replace(outcome, r2=0.4), 0.2)
        assert power(design, sizes, outcome, -0.2) == pytest.approx(plain, rel=1e-9)

    @pytest.mark.parametrize("name", sorted(SIZES))
    def test_sizes_in_take_up_and_attrition(self, name: str) -> None:
        design, sizes, outcome = SIZES[name]
        half, most = (kk.Reality(take_up={"coaching": share}) for share in (0.5, 0.9))
        found = [power(design, sizes, outcome, 0.3, reality=real) for real in (half, most, kk.Reality())]
        assert found == sorted(set(found))
        assert power(design, sizes, outcome, 0.3, reality=kk.Reality(attrition=0.3)) < found[-1]

    @few
    @given(icc=st.floats(0.0, 0.5), more=st.floats(0.01, 0.4), cv=st.floats(0.0, 1.0))
    def test_clusters_that_are_alike_or_unequal_cost(self, icc: float, more: float, cv: float) -> None:
        even, unequal = (kk.ClusterSizes(count=20, size=30, cv=c) for c in (cv, cv + 0.2))
        low, high = kk.Mean(sd=1.0, icc=icc), kk.Mean(sd=1.0, icc=icc + more)
        assert power(OFFICES, even, high, 0.4) < power(OFFICES, even, low, 0.4)
        assert power(OFFICES, unequal, high, 0.4) < power(OFFICES, even, high, 0.4)
        best = replace(unequal, weighting="gls")
        assert power(OFFICES, unequal, high, 0.4) <= power(OFFICES, best, high, 0.4) + 1e-12


class TestSolver:
    @pytest.mark.parametrize("name", sorted(OUTCOMES))
    def test_the_effect_found_has_the_power(self, name: str) -> None:
        outcome, small, _ = OUTCOMES[name]
        side = "less" if outcome.statistic(small) < 0 else "greater"
        found = kk.detectable_effect(EVEN, 500, outcome, power=0.8, alternative=side)
        assert power(EVEN, 500, outcome, found.value, alternative=side) == pytest.approx(0.8, abs=1e-9)

    @pytest.mark.parametrize("test", sorted(TESTS))
    def test_the_size_found_is_the_smallest(self, test: str) -> None:
        found = kk.sample_size(EVEN, PLAIN, effect=0.25, power=0.8, test=TESTS[test])
        assert found.power >= 0.8
        assert power(EVEN, found.n, PLAIN, 0.25, test=TESTS[test]) >= 0.8
        assert power(EVEN, found.n - 2, PLAIN, 0.25, test=TESTS[test]) < 0.8

    def test_equivalence_and_several_arms(self) -> None:
        found = kk.sample_size(EVEN, PLAIN, effect=0.0, test=kk.Equivalence(low=-0.3, high=0.3))
        again = [power(EVEN, n, PLAIN, 0.0, test=kk.Equivalence(low=-0.3, high=0.3)) for n in (found.n, found.n - 2)]
        assert again[0] >= 0.8 > again[1]
        design = kk.Complete(kk.arms(control=1, letter=1, coaching=1))
        for test in (kk.Dunnett(), kk.Dunnett(target="all"), kk.JointF()):
            trial = kk.sample_size(design, PLAIN, effect=0.3, test=test)
            sides = [power(design, n, PLAIN, 0.3, test=test) for n in (trial.n, trial.n - 3)]
            assert sides[0] >= 0.8 > sides[1]

    @pytest.mark.parametrize(
        ("name", "open_field"),
        [
            ("blocks", "count"),
            ("blocks", "size"),
            ("sample of blocks", "count"),
            ("sites", "count"),
            ("clusters in blocks", "blocks"),
            ("nested", "count"),
            ("moderator", "people"),
            ("moderator in blocks", "count"),
            ("moderator of clusters", "count"),
            ("courses", "groups"),
            ("courses", "controls"),
            ("wedge", "per_step"),
            ("saturation", "count"),
            ("inflow", "weeks"),
        ],
    )
    def test_the_open_size_found_is_the_smallest(self, name: str, open_field: str) -> None:
        design, sizes, outcome = SIZES[name]
        if name == "wedge":
            sizes = replace(sizes, steps=None)
        found = kk.sample_size(design, outcome, effect=0.45, sizes=replace(sizes, **{open_field: None}))
        assert found.root is not None
        whole = math.ceil(found.root[1] - 1e-9)
        assert power(design, replace(sizes, **{open_field: whole}), outcome, 0.45) >= 0.8 - 1e-12
        assert found.power >= 0.8 - 1e-12
        least = replace(sizes, **{open_field: None}).least
        if whole - 1 >= max(least, 1):
            assert power(design, replace(sizes, **{open_field: whole - 1}), outcome, 0.45) < 0.8

    @few
    @given(unit=st.floats(0.01, 1000.0), effect=st.floats(0.1, 1.0))
    def test_units_do_not_matter(self, unit: float, effect: float) -> None:
        plain = power(EVEN, 120, PLAIN, effect)
        assert power(EVEN, 120, kk.Mean(sd=unit), unit * effect) == pytest.approx(plain, rel=1e-9)


IMPOSSIBLE: dict[str, tuple[Any, str]] = {
    "people one by one, clusters drawn": (
        lambda: power(OFFICES, kk.Blocks(count=5, size=9), PLAIN, 0.2),
        "Blocks is for a design that draws people one by one",
    ),
    "clusters, people drawn": (
        lambda: power(BLOCKED, kk.ClusteredBlocks(blocks=5, count=4, size=9), CLUSTERED, 0.2),
        "draws whole clusters, which this one does not",
    ),
    "courses of whole clusters": (lambda: power(OFFICES, SIZES["courses"][1], PLAIN, 0.2), "people drawn one by one"),
    "levels that take everything": (
        lambda: power(
            OFFICES, kk.NestedClusters(count=9, groups=2, size=3, group_icc=0.6), kk.Mean(sd=1.0, icc=0.5), 0.2
        ),
        "no variance between people",
    ),
    "cluster_r2 without an icc": (lambda: kk.Mean(sd=1.0, cluster_r2=0.3), "state that too, as icc"),
    "cluster_panel without an icc": (
        lambda: kk.Mean(sd=1.0, cluster_panel=kk.Panel(rho=0.5)),
        "cluster_panel is of the means of clusters",
    ),
    "finite population of clusters": (
        lambda: power(OFFICES, kk.ClusterSizes(count=9, size=9), kk.Mean(sd=1.0, icc=0.1, effect_sd=0.4), 0.2),
        "effect_sd is for people drawn one by one",
    ),
    "finite population in blocks": (
        lambda: power(BLOCKED, kk.Blocks(count=9, size=9), kk.Mean(sd=1.0, effect_sd=0.4), 0.2),
        "effect_sd needs the whole population",
    ),
    "trend of a mean": (
        lambda: power(OFFICES, replace(SIZES["wedge"][1], steps=None, trend=0.1), CLUSTERED, 0.2),
        "leave it out for this outcome",
    ),
    "panel within a wedge": (
        lambda: power(OFFICES, SIZES["wedge"][1], kk.Mean(sd=1.0, icc=0.1, panel=kk.Panel(rho=0.5)), 0.2),
        "leave out the Panel",
    ),
    "wedge of another design": (
        lambda: power(kk.SteppedWedge(5, cluster="office"), SIZES["wedge"][1], CLUSTERED, 0.2),
        "the design has 5 sequences over 6 periods",
    ),
    "two sizes open": (lambda: kk.Blocks(effects="random"), "may leave out one size"),
    "an open size asked for its power": (lambda: power(BLOCKED, kk.Blocks(size=9), PLAIN, 0.2), "needs all its sizes"),
    "nothing open": (
        lambda: kk.sample_size(BLOCKED, PLAIN, effect=0.2, sizes=kk.Blocks(count=9, size=9)),
        "leaves nothing to solve",
    ),
    "covariates take every degree": (
        lambda: kk.sample_size(
            BLOCKED, PLAIN, effect=0.2, covariates=30, sizes=kk.Blocks(count=9, effects="random", icc=0.1)
        ),
        "30 covariates leave -22 degrees of freedom",
    ),
    "blocks vary more than people can mend": (
        lambda: kk.sample_size(
            BLOCKED,
            PLAIN,
            effect=0.1,
            sizes=kk.Blocks(count=20, effects="random", icc=0.1, effect_ratio=0.3),
        ),
        "no size of this trial reaches a power of 0.8",
    ),
    "the icc limits people per cluster": (
        lambda: kk.sample_size(OFFICES, kk.Mean(sd=1.0, icc=0.05), effect=0.3, sizes=kk.ClusterSizes(count=12)),
        "cannot have more power than 0.555.*least detectable effect with 12 clusters is 0.401",
    ),
    "no effect in any arm": (
        lambda: kk.sample_size(kk.Complete(kk.arms(a=1, b=1, c=1)), PLAIN, effect=0.0, test=kk.Dunnett()),
        "no size of this trial",
    ),
    "a share beyond one in every arm": (
        lambda: kk.detectable_effect(
            kk.Complete(kk.arms(a=1, b=1, c=1)), 40, kk.Proportion(base=0.9), test=kk.Dunnett()
        ),
        "even the largest in every arm has 0\\.[0-9]+",
    ),
    "an effect on the wrong side of the margin": (
        lambda: kk.sample_size(EVEN, PLAIN, effect=-0.5, test=kk.NonInferiority(margin=-0.3)),
        "not on the good side of the margin",
    ),
    "an effect outside the bounds": (
        lambda: kk.sample_size(EVEN, PLAIN, effect=0.5, test=kk.Equivalence(low=-0.3, high=0.3)),
        "not between -0.3 and 0.3",
    ),
    "no detectable effect for a margin": (
        lambda: kk.detectable_effect(EVEN, 100, PLAIN, test=kk.NonInferiority(margin=-0.3)),
        "belongs to a test of no effect",
    ),
    "the same take-up": (
        lambda: power(EVEN, 99, PLAIN, 0.2, reality=kk.Reality(take_up={"coaching": 0.4, "control": 0.4})),
        "the same take-up",
    ),
    "everybody lost": (lambda: kk.Reality(attrition={"coaching": 1.0}), "nobody's outcome would be seen"),
    "take-up of spells": (
        lambda: power(EVEN, 99, OUTCOMES["spell"][0], 1.2, reality=kk.Reality(take_up={"coaching": 0.4})),
        "no longer proportional",
    ),
    "alpha given twice": (lambda: power(EVEN, 99, PLAIN, 0.2, alpha=0.1, test=kk.Superiority()), "leave alpha"),
    "futility on both sides": (lambda: kk.GroupSequential(looks=2, futility=True), "belong to a one-sided test"),
    "Bloom for a share": (
        lambda: kk.detectable_effect(EVEN, 99, kk.Proportion(base=0.3), test=kk.Superiority(method="bloom")),
        "Bloom's multiplier is for means",
    ),
    "F for counts": (
        lambda: power(kk.Complete(kk.arms(a=1, b=1, c=1)), 99, kk.Count(rate=1.0), 1.2, test=kk.JointF()),
        "t reference",
    ),
    "a count that does not vary": (lambda: kk.Count(rate=1.0, dispersion=0.0), "dispersion"),
    "a ratio below nought": (lambda: power(EVEN, 99, kk.Count(rate=1.0), -0.2), "a ratio of rates must be above 0"),
    "an icc where people are drawn": (lambda: power(EVEN, 99, CLUSTERED, 0.2), "belong to a design that draws whole"),
    "no icc where clusters are drawn": (
        lambda: power(OFFICES, kk.ClusterSizes(count=9, size=9), PLAIN, 0.2),
        "needs an intra-cluster correlation",
    ),
    "a panel of no covariance": (
        lambda: kk.Panel(pre=2, post=2, rho_pre=0.9, rho_post=0.9, rho_cross=-0.99),
        "their matrix is no covariance",
    ),
}


@pytest.mark.parametrize("name", sorted(IMPOSSIBLE))
def test_the_impossible_is_refused_with_its_cause(name: str) -> None:
    ask, says = IMPOSSIBLE[name]
    with pytest.raises(DesignError, match=says):
        ask()


def test_far_tails_are_numbers() -> None:
    for effect in (1e-300, 1e3, 1e100, 1e200):
        for test in (*TESTS.values(), kk.Equivalence(low=-0.3, high=0.3)):
            for sign in (1, -1):
                found = power(EVEN, 20_000, PLAIN, sign * effect, test=test)
                assert 0.0 <= found <= 1.0
