"""Two-stage saturation: laws, the law of pairs, both stages in the codes, and what estimators are told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from kokeilu._kernels.streams import Seed
from kokeilu.core.lottery import all_assignments
from kokeilu.core.register import read_register
from kokeilu.errors import DesignError
from kokeilu.testing import exact_marginals, mechanism_laws

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "two_stage.json").read_text(encoding="utf-8"))
HALVES = kk.arms(control=1, coaching=1)
SMALL = {
    "id": [5, 3, 9, 1, 7, 2, 8],
    "area": ["p", "p", "q", "q", "r", "r", "r"],
    "office": ["a", "a", "b", "c", "c", "d", "e"],
    "side": ["e", "e", "e", "e", "w", "w", "w"],
}
BY_SIZE = kk.StratifiedByQuantiles(kk.arms(low=1, high=1), on={"cluster_size": 2})
INSTANCES = [
    (kk.Saturation(HALVES, levels=(0, "1/3", 1), area="area"), SMALL),
    (kk.Saturation(HALVES, levels={"0.25": 2, "0.5": 1}, area="area"), SMALL),
    (kk.Saturation(HALVES, levels=(0, 0.5), area="office", by="side"), {**SMALL, "side": list("eeewnee")}),
    (kk.Saturation(HALVES, levels=BY_SIZE, saturations=("0.25", "0.75"), area="area"), SMALL),
]


def lottery_of(design, register):
    return design.bind(read_register(register, design, id="id")[0])


def listed(lottery):
    chunks = list(all_assignments(lottery))
    return np.concatenate([c for c, _ in chunks]), np.concatenate([p for _, p in chunks])


@pytest.mark.parametrize(
    ("law", "mechanism", "register"),
    mechanism_laws(INSTANCES[:2] + INSTANCES[3:]),
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_law_holds(law, mechanism, register):
    law(mechanism, register)


def test_an_area_in_two_strata_is_refused():
    with pytest.raises(DesignError, match=r"1 cluster of 'office' \(of 5\) has people in more than one 'side'"):
        lottery_of(*INSTANCES[2])


def test_the_shares_are_the_chance_of_the_level_times_the_level():
    lottery = lottery_of(*INSTANCES[0])
    expected = np.array([1 / 3, 2 / 9, 1 / 9, 1 / 3])
    assert lottery.arms.names == ("control at 0", "control at 1/3", "coaching at 1/3", "coaching at 1")
    np.testing.assert_allclose(exact_marginals(lottery), np.tile(expected, (7, 1)), atol=1e-12)


def test_the_number_of_assignments_is_that_of_the_seatings():
    # Areas of 2, 2 and 3 people at 0, 1/3 and 1 in some order: 1/3 of 2 is none or one (3 ways), of 3 is one (3 ways).
    assert lottery_of(*INSTANCES[0]).count() == 2 * (3 + 3 + 3)


def test_two_people_of_one_area_have_the_joint_probabilities_of_the_enumeration():
    for design, register in (*INSTANCES[:2], INSTANCES[3]):
        lottery = lottery_of(design, register)
        codes, chances = listed(lottery)
        for area in range(3):
            i, j = np.flatnonzero(lottery.membership == area)[:2]
            k = len(lottery.arms)
            joint = [[chances @ ((codes[:, i] == a) & (codes[:, j] == b)) for b in range(k)] for a in range(k)]
            np.testing.assert_allclose(lottery.same_area_law(area), joint, atol=1e-12)


def test_the_published_pair_probability():
    levels = REFERENCE["saturation"]["levels"]
    register = {"id": list(range(200)), "area": [f"a{i // 20}" for i in range(200)]}
    design = kk.Saturation(HALVES, levels=levels, area="area")
    lottery = lottery_of(design, register)
    treated = [code for code, name in enumerate(lottery.arms.names) if name.startswith("coaching")]
    both = lottery.same_area_law(0)[np.ix_(treated, treated)].sum()
    assert both == pytest.approx(REFERENCE["saturation"]["joint_treated_same_area_n20"], abs=1e-12)
    assert lottery.shares()[:, treated].sum(axis=1) == pytest.approx(REFERENCE["saturation"]["unit_probability"])


def crepon():
    sizes = 10 + np.arange(235) % 37
    area = np.repeat(np.arange(235), sizes)
    of_set = np.argsort(np.argsort(sizes, kind="stable"), kind="stable") // 5
    return pd.DataFrame({"id": np.arange(len(area)), "area": area, "set": of_set[area]})


def test_each_set_of_five_areas_has_each_level_once():
    design = kk.Saturation(HALVES, levels=REFERENCE["saturation"]["levels"], area="area", by="set")
    assignment = kk.randomise(crepon(), design, id="id", seed="235 areas")
    lottery = assignment.lottery
    levels = lottery.draw_levels(assignment.seed.stream("assign"), 1)[0]
    assert np.bincount(levels).tolist() == [REFERENCE["saturation"]["areas_per_level"]] * 5
    np.testing.assert_array_equal(lottery.levels_of(assignment.codes), levels[lottery.membership])
    pairs = np.unique(
        np.stack([assignment.population.factor("set").codes, lottery.levels_of(assignment.codes)]), axis=1
    )
    assert pairs.shape[1] == 47 * 5
    assert lottery.problem(assignment.codes) is None


def test_areas_are_drawn_in_matched_sets_of_which_each_has_each_level_once():
    table = crepon()
    rate = np.random.default_rng(7).permutation(235) / 10.0
    table["rate"] = rate[table["area"]]
    five = kk.arms(**{"0": 1, "1/4": 1, "1/2": 1, "3/4": 1, "1": 1})
    design = kk.Saturation(HALVES, levels=kk.MatchedTuples(five, on="rate"), area="area")
    assignment = kk.randomise(table, design, id="id", seed="235 areas")
    lottery = assignment.lottery
    levels = lottery.draw_levels(assignment.seed.stream("assign"), 1)[0]
    first = np.unique(lottery.membership, return_index=True)[1]
    sets = lottery.cells().strata[first]
    seats = np.unique(np.stack([sets, levels]), axis=1, return_counts=True)
    assert seats[0].shape[1] == 47 * 5
    assert (seats[1] == 1).all()
    names = assignment.population.factor("area").levels
    own = rate[np.array([int(name) for name in names])]
    assert max(np.ptp(own[sets == k]) for k in range(47)) < 1.0
    effects = kk.estimate_effects(
        assignment,
        {"id": table["id"], "y": (table["id"] % 11).tolist()},
        "y",
        contrasts=design.effects()["spillover"],
    )
    assert {effect.clusters for effect in effects} == {94}


def test_redraws_redo_both_stages():
    lottery = lottery_of(*INSTANCES[0])
    codes = lottery.draw(Seed.of("both").stream("x"), 200)
    levels = lottery.levels_of(codes)[:, [0, 2, 4]]
    assert len(np.unique(levels, axis=0)) == 6
    np.testing.assert_array_equal(
        lottery.draw_levels(Seed.of("both").stream("x"), 200)[:, lottery.membership], lottery.levels_of(codes)
    )


def test_matched_or_other_mechanisms_draw_the_areas():
    design = INSTANCES[3][0]
    assert design.covariates() == ()
    assert design.arms.names == ("control at low", "coaching at low", "control at high", "coaching at high")
    assert design.arms.shares[1].denominator == 8


def test_the_contrasts_of_each_effect():
    effects = kk.Saturation(HALVES, levels=(0, 0.5, 1), area="area").effects()
    assert effects["direct"] == (("coaching at 0.5", "control at 0.5"),)
    assert effects["spillover"] == (("control at 0.5", "control at 0"),)
    assert effects["total"] == (("coaching at 0.5", "control at 0"), ("coaching at 1", "control at 0"))
    assert kk.Saturation(HALVES, levels=(0.25, 0.5), area="area").effects()["total"] == ()


def test_the_allocation_must_be_one_of_the_two_stages():
    lottery = lottery_of(*INSTANCES[0])
    codes = lottery.draw(Seed.of(1).stream("x"), 1)[0]
    assert lottery.problem(codes) is None
    mixed = codes.copy()
    mixed[0] = (codes[0] + 2) % 4
    assert "people at several levels" in lottery.problem(mixed)
    fewer = np.where(lottery.levels_of(codes) == 1, 1, codes).astype(np.int8)
    full = lottery.membership[lottery.levels_of(codes) == 1][0]
    if lottery.sizes[full] == 3:
        assert "another number of people" in lottery.problem(fewer)
    same = np.zeros(7, dtype=np.int8)
    assert "targets" in lottery.problem(same) or "arm counts" in lottery.problem(same)


def test_estimators_cluster_by_area_and_never_take_areas_as_whole():
    register = crepon()
    design = kk.Saturation(HALVES, levels=(0, 0.25, 0.5, 0.75, 1), area="area", by="set")
    assignment = kk.randomise(register, design, id="id", seed="235 areas")
    cells = assignment.lottery.cells()
    assert not cells.whole
    climate = np.random.default_rng(4).normal(size=235)[register["area"]]
    outcomes = register.assign(y=climate + np.random.default_rng(5).normal(size=len(register)) / 4)
    direct, spill = kk.estimate_effects(
        assignment, outcomes, "y", contrasts=[("coaching at 0.5", "control at 0.5"), ("control at 0.5", "control at 0")]
    )
    assert direct.variance == spill.variance == "CR2"
    # Within areas the climate cancels, between areas it does not: independent people would give 0.07 for both.
    assert direct.error < 0.06 < 0.12 < spill.error
    areas = kk.merge_arms(assignment, design.areas())
    assert areas.lottery.cells().whole
    whole = kk.estimate_effects(areas, outcomes, "y")
    assert "clusters were drawn within 47 strata, one per arm in each" in whole[0].reason
    people = kk.merge_arms(assignment, design.people())
    assert people.counts().keys() == {"control", "coaching"}
    assert not people.lottery.cells().whole
    test = kk.randomisation_test(people, outcomes, "y", draws=99)
    assert "zero average effect" not in test.reason
    assert 0 < kk.check_balance(people, outcomes, on=("y",), draws=99).omnibus.p_value <= 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"levels": (0, 0)}, "distinct"),
        ({"levels": ("0.5", "1/2")}, "two saturation levels are the same"),
        ({"levels": (0.5, 2)}, "above 1"),
        ({"levels": 3}, "levels must be shares"),
        ({"levels": {0: 0, 0.5: 0}}, "no level with a part above 0"),
        ({"levels": {0: 1, 0.5: 0}}, "treat nobody, or everybody"),
        ({"levels": BY_SIZE}, "must be a number"),
        ({"levels": BY_SIZE, "saturations": ("0.5",)}, "1 shares for 2 levels"),
        ({"levels": BY_SIZE, "by": "side"}, "leave `by` out"),
        ({"area": "side", "by": "side"}, "both the area and a stratum"),
        ({"people_arms": kk.arms(a=1, b=1, c=1)}, "two arms"),
        ({"people_arms": kk.arms(a=3, b=1)}, "let the levels decide"),
    ],
)
def test_contradictions_are_refused(change, says):
    stated = {"people_arms": HALVES, "levels": (0, 0.5, 1), "area": "area", **change}
    with pytest.raises(DesignError, match=says):
        kk.Saturation(stated.pop("people_arms"), **stated)


@pytest.mark.parametrize("saturations", [5, np.array([0.0, 0.5]), "0.5"])
def test_saturations_that_are_no_list_are_refused(saturations):
    with pytest.raises(DesignError, match="saturations must be a list"):
        kk.Saturation(kk.arms(a=1, b=1), levels=("0", "1/2"), area="area", saturations=saturations)
