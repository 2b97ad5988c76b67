"""Numbers that were once wrong, arguments that were once ignored, and words that once did not help."""

from __future__ import annotations

import math

import numpy as np
import pytest

import kokeilu as kk
from kokeilu._kernels.owen import equivalence_power
from kokeilu.errors import DesignError

TWO, THREE = kk.arms(control=1, coaching=1), kk.arms(control=1, letter=1, coaching=1)
EVEN, TRIO = kk.Complete(TWO), kk.Complete(THREE)
OFFICES = kk.Clustered(EVEN, by="office")
HALF = kk.Reality(take_up={"coaching": 0.5})
SPELL = kk.Duration(hazards=0.1, study=24, accrual=12)


def test_the_finite_population_is_everybody_in_all_arms() -> None:
    found = kk.power_at(TRIO, 300, kk.Mean(sd=1, effect_sd=0.5), effect=0.3)
    assert found.error**2 == pytest.approx(2 / 100 - 0.25 / 300)
    # People who are not seen stay in the population.
    lost = kk.power_at(EVEN, 200, kk.Mean(sd=1, effect_sd=0.5), effect=0.3, reality=kk.Reality(attrition=0.5))
    assert lost.error**2 == pytest.approx(2 / 50 - 0.25 / 200)


def test_effects_whose_spread_cannot_be() -> None:
    with pytest.raises(DesignError, match="it lies between 0 and 2"):
        kk.power_at(EVEN, 100, kk.Mean(sd=1, effect_sd=5), effect=0.3)
    with pytest.raises(DesignError, match="leave some error"):
        kk.power_at(EVEN, 100, kk.Mean(sd=1, effect_sd=1.9, r2=0.9), effect=0.3)
    with pytest.raises(DesignError, match="effects of the offer vary otherwise"):
        kk.power_at(EVEN, 100, kk.Mean(sd=1, effect_sd=0.5), effect=0.3, reality=HALF)


def test_a_contrast_the_other_way_round_mirrors_take_up() -> None:
    there = kk.detectable_effect(EVEN, 1000, kk.Mean(sd=1), alternative="greater", reality=HALF)
    back = kk.detectable_effect(
        EVEN, 1000, kk.Mean(sd=1), alternative="greater", contrast=("control", "coaching"), reality=HALF
    )
    assert back.value == pytest.approx(-there.value)
    again = kk.power_at(
        EVEN,
        1000,
        kk.Mean(sd=1),
        effect=back.value,
        alternative="greater",
        contrast=("control", "coaching"),
        reality=HALF,
    )
    assert again.value == pytest.approx(0.8)
    with pytest.raises(DesignError, match="take-up of 'letter', to which 'control' is compared, is not stated"):
        kk.power_at(TRIO, 300, kk.Mean(sd=1), effect=0.2, contrast=("coaching", "letter"), reality=HALF)


def test_a_margin_is_of_taking_part_in_statistic_and_error_alike() -> None:
    share = kk.Proportion(base=0.3, variance="pooled")
    diluted = kk.power_at(EVEN, 1000, share, effect=0.0, test=kk.NonInferiority(margin=-0.1), reality=HALF)
    plain = kk.power_at(EVEN, 1000, share, effect=0.0, test=kk.NonInferiority(margin=-0.05))
    assert diluted.value == pytest.approx(plain.value, rel=1e-12)


def test_effects_of_taking_part_and_of_the_offer() -> None:
    found = kk.power_at(EVEN, 1000, kk.Mean(sd=2.0), effect=0.4, reality=HALF)
    assert (found.effect_sd, found.contrast.offer) == (0.2, 0.2)
    assert found.rows()[0]["offer"] == 0.2
    arcsine = kk.power_at(EVEN, 1000, kk.Proportion(base=0.3, variance="arcsine"), effect=0.1)
    assert arcsine.effect_sd == pytest.approx(0.1 / math.sqrt(0.21))
    assert "SD" not in str(kk.power_at(EVEN, 1000, SPELL, effect=1.3)).splitlines()[0]


def test_arms_share_the_error_of_the_reference() -> None:
    wide = kk.Mean(sd=1, sd_arm=3)
    found = kk.power_at(kk.Complete(kk.arms(control=2, letter=1, coaching=1)), 400, wide, effect=1.0, test=kk.Dunnett())
    critical, rng, draws = dict(found.facts)["critical value"], np.random.default_rng(1), 40_000
    reference, error = rng.normal(0, math.sqrt(1 / 200), draws), math.sqrt(1 / 200 + 9 / 100)
    z = np.abs((rng.normal(1, 0.3, (2, draws)) - reference) / error)
    assert (z.max(axis=0) > critical).mean() == pytest.approx(found.value, abs=0.012)
    # The arms hardly share anything: close to two tests apart.
    assert critical == pytest.approx(2.243, abs=0.01)


def test_joint_tests_use_the_error_that_the_test_divides_by() -> None:
    pooled = kk.Proportion(base=0.2, variance="pooled")
    for outcome, effect in ((pooled, 0.1), (SPELL, 1.3)):
        plain = kk.power_at(EVEN, 500, outcome, effect=effect)
        for test in (kk.Dunnett(), kk.ManyOutcomes(outcomes=1), kk.GroupSequential(looks=1)):
            found = kk.power_at(EVEN, 500, outcome, effect=effect, test=test)
            assert found.value == pytest.approx(plain.value, abs=2e-4), test


def test_the_joint_f_of_unlike_variances_is_that_of_their_covariance() -> None:
    found = kk.power_at(TRIO, 900, kk.Proportion(base=0.2), effect={"letter": 0.1, "coaching": 0.05}, test=kk.JointF())
    rng, n = np.random.default_rng(2), 300
    shares = [rng.binomial(n, p, 20_000) / n for p in (0.2, 0.3, 0.25)]
    weight = np.array([n / (p * (1 - p)) for p in shares])
    middle = (weight * shares).sum(axis=0) / weight.sum(axis=0)
    wald = (weight * (np.array(shares) - middle) ** 2).sum(axis=0) / 2
    assert (wald > 3.0058).mean() == pytest.approx(found.value, abs=0.015)


@pytest.mark.parametrize("test", [kk.Dunnett(), kk.JointF()])
def test_effects_that_differ_between_blocks_have_no_joint_test(test: object) -> None:
    design = kk.Stratified(THREE, by="office")
    blocks = kk.Blocks(count=20, size=30, effects="random", icc=0.1, effect_ratio=0.3)
    with pytest.raises(DesignError, match="belongs to neither arm"):
        kk.power_at(design, blocks, kk.Mean(sd=1), effect=0.3, test=test)


def test_each_arm_costs_a_degree_in_every_block() -> None:
    design = kk.Clustered(kk.Stratified(THREE, by="region"), by="office")
    sizes = kk.ClusteredBlocks(blocks=8, count=6, size=40)
    found = kk.power_at(design, sizes, kk.Mean(sd=1, icc=0.05), effect=0.3, test=kk.Dunnett())
    assert dict(found.facts)["degrees of freedom"] == 8 * (6 - 3)
    outcome, few = kk.Mean(sd=1, icc=0.05), kk.ClusteredBlocks(blocks=8, count=3, size=40)
    with pytest.raises(DesignError, match="degrees of freedom"):
        kk.power_at(design, few, outcome, effect=0.3, test=kk.Dunnett())
    wanted = kk.sample_size(design, outcome, effect=0.5, sizes=kk.ClusteredBlocks(blocks=2, size=40), test=kk.Dunnett())
    assert wanted.joint is not None
    assert wanted.joint >= 0.8


def test_a_hazard_margin_has_its_own_null() -> None:
    # Hazards of both arms where the reference's is `ratio` of the arm's, and their mean is that of the truth.
    arm, reference = SPELL.null_components(1.0, 0.8, (100.0, 100.0))[0]  # type: ignore[index]
    assert arm == pytest.approx(1 / SPELL.seen(0.8 * 2 / 1.8))
    assert reference == pytest.approx(1 / SPELL.seen(2 / 1.8))


def test_ratios_far_below_one_end_in_words() -> None:
    few = kk.detectable_effect(EVEN, 30, kk.Count(rate=2.0), reality=kk.Reality(take_up={"coaching": 0.3}))
    assert few.decrease is None
    assert few.value > 1.0
    for outcome in (kk.Count(rate=0.5), kk.Duration(hazards=0.1, study=12)):
        with pytest.raises(DesignError, match="the fewer events there are"):
            kk.detectable_effect(EVEN, 6, outcome, alternative="less")
    narrow = kk.Count(rate=1.0)  # power rises to a peak and falls again
    peak = max(
        kk.power_at(EVEN, 16, narrow, effect=x, alternative="less").value for x in np.exp(-np.arange(0.5, 4, 0.05))
    )
    found = kk.detectable_effect(EVEN, 16, narrow, alternative="less", power=peak - 0.02)
    assert found.power == pytest.approx(peak - 0.02, abs=1e-9)


def test_saturations_with_unlike_arms() -> None:
    areas = kk.SaturationSizes(levels=((0, 0.4), (0.5, 0.6)), count=60, size=30)
    found = kk.power_at(
        EVEN, areas, kk.Mean(sd=1, sd_arm=2, icc=0.05), effect=0.3, reality=kk.Reality(attrition={"coaching": 0.3})
    )
    treated, pure = 60 * 0.6, 60 * 0.4
    arm, control = 4 * (0.05 / treated + 0.95 / (treated * 15 * 0.7)), 0.05 / pure + 0.95 / (pure * 30)
    assert found.error**2 == pytest.approx(arm + control)


def test_clusters_of_groups_take_ratios_and_shares() -> None:
    sizes = kk.NestedClusters(count=30, groups=3, size=10, group_icc=0.05)
    found = kk.power_at(OFFICES, sizes, kk.Count(rate=2.0, cluster_cv=0.2), effect=1.3)
    people = (1 / 2.6 + 1 / 2.0) * (0.95 / 450 + 0.05 / 45)
    assert found.error**2 == pytest.approx(people + 2 * 0.04 / 15)


def test_information_of_thinned_clusters_is_not_floored() -> None:
    sizes = kk.ClusterSizes(count=40, size=1, weighting="gls")
    found = kk.power_at(OFFICES, sizes, kk.Mean(sd=1, icc=0.0), effect=0.3, reality=kk.Reality(attrition=0.5))
    assert found.error**2 == pytest.approx(2 / 10)


def test_sizes_that_are_divided_over_arms_come_out_whole() -> None:
    blocks = kk.sample_size(kk.Stratified(TWO, by="office"), kk.Mean(sd=1), effect=0.2, sizes=kk.Blocks(count=11))
    assert blocks.n_arms["control"] % 11 == 0
    people = kk.sample_size(EVEN, kk.Mean(sd=1), effect=0.2, sizes=kk.Moderator(share=0.31))
    assert all(n == round(n) for n in people.n_arms.values())


def test_normal_references_tell_where_they_are_rough() -> None:
    few = kk.ClusterSizes(count=8, size=20)
    rates = kk.power_at(OFFICES, few, kk.Count(rate=2.0, cluster_cv=0.2), effect=1.3)
    looks = kk.power_at(OFFICES, few, kk.Mean(sd=1, icc=0.05), effect=0.5, test=kk.GroupSequential(looks=2))
    assert all("only 6 degrees of freedom" in found.assumptions[-1] for found in (rates, looks))


def test_equivalence_with_any_degrees_of_freedom() -> None:
    near, far = (equivalence_power(0.0, -0.3, 0.3, 0.1, dof, 0.05) for dof in (19_999.0, 20_001.0))
    assert near == pytest.approx(far, abs=1e-8)
    known = equivalence_power(0.0, -0.3, 0.3, 0.1, math.inf, 0.05)
    assert equivalence_power(0.0, -0.3, 0.3, 0.1, 1e13, 0.05) == pytest.approx(known, abs=1e-8)


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: kk.Reality(take_up=0.6), "take_up must name the arms"),
        (lambda: kk.power_at(EVEN, 99, kk.Mean(sd=1), effect={"control": 1, "coaching": 2}), "an entry for 'control'"),
        (lambda: kk.power_at(EVEN, 99, kk.Count(rate=1), effect=1.3, covariates=2), "a normal reference"),
        (lambda: kk.power_at(EVEN, 99, kk.Count(rate=1, cluster_cv=0.1), effect=1.3), "cluster_cv belongs to"),
        (lambda: kk.sample_size(OFFICES, kk.Count(rate=1), effect=1.3, sizes=20), "needs cluster_cv"),
        (lambda: kk.sample_size(OFFICES, SPELL, effect=1.3, sizes=20), "Duration has no formula for them"),
        (lambda: kk.Sites(count=9, blocks=2, size=9, site_ratio=-1.0), "site_ratio must lie"),
        (lambda: kk.Sites(count=9, blocks=2, size=1), "size of Sites"),
        (lambda: kk.Blocks(count=9, size=1, effects="random"), "size of Blocks"),
        (lambda: kk.ClusteredBlocks(blocks=5, count=4, size=9, effects="random", effect_ratio=-1), "effect_ratio must"),
        (lambda: kk.Duration(hazards=(0, 0.1), lengths=(9,), study=6), "nobody leaves by 6"),
        (lambda: kk.RestrictedMean(hazards=(0, 0.1), lengths=(9,), horizon=6), "nobody leaves by 6"),
        (
            lambda: kk.power_at(EVEN, 99, kk.RestrictedMean(hazards=(0, 0.1), lengths=(3,), horizon=12), effect=-8),
            "not between 3 and 12",
        ),
        (
            lambda: kk.power_at(
                OFFICES,
                kk.WedgeSizes(steps=3, per_step=4, size=9),
                kk.Mean(sd=1, icc=0.1),
                effect=1,
                reality=kk.Reality(attrition={"coaching": 0.2}),
            ),
            "one attrition for all",
        ),
    ],
)
def test_requests_that_cannot_be(ask, says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DesignError, match=says):
        ask()
