"""Families from one set of redraws: sizes by enumeration, missing outcomes, subgroups, clusters."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from kokeilu._kernels.step_down import over_parts
from kokeilu.core.registry import decode, encode
from kokeilu.errors import ColumnError, DesignError, EstimationError
from kokeilu.testing import Trial

TWO, THREE = kk.arms(control=1, coaching=1), kk.arms(control=1, coaching=1, letter=1)
FAMILIES = (kk.RomanoWolf(draws=199), kk.WestfallYoung(draws=199))


def family_wise_error(
    design: Any, n: int, effects: dict[tuple[int, int], float], family: Any, *, alpha: float = 0.1, groups: bool = False
) -> float:
    """Probability over all assignments of rejecting a true hypothesis; `effects` by (arm, outcome), else none.

    With `groups` the effects are on the people of the first half only.
    """
    rng = np.random.default_rng(5)
    half = np.arange(n) < n // 2
    register = {"id": list(range(n)), "s": [i % 2 for i in range(n)], "half": np.where(half, "a", "b").tolist()}
    base = rng.normal(size=(3, n))
    base[2] = np.round(base[2])
    trial = Trial(mechanism=design, register=register, potential=([0.0] * n,) * len(design.arms))
    total = 0.0
    for assignment, chance in trial.assignments():
        y = base.copy()
        for (arm, outcome), effect in effects.items():
            y[outcome] += effect * (assignment.codes == arm) * (half if groups else 1.0)
        table = {**register, **{f"y{k}": y[k] for k in range(3)}}
        found = kk.family_test(
            assignment, table, ("y0", "y1", "y2"), family=family, subgroups=("half",) if groups else ()
        )
        false = any(m.adjusted_p <= alpha + 1e-12 and is_true(m, design, effects, groups) for m in found.members)
        total += chance * false
    return total


def is_true(member: Any, design: Any, effects: dict[tuple[int, int], float], groups: bool) -> bool:
    key = (design.arms.index(member.arm), int(member.outcome[1]))
    return key not in effects or (groups and member.subgroup == "half: b")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: type(family).__name__)
@pytest.mark.parametrize(
    ("design", "n", "effects"),
    [
        (kk.Complete(TWO), 8, {}),
        (kk.Complete(TWO), 8, {(1, 0): 5.0}),
        (kk.Stratified(TWO, by="s"), 8, {(1, 0): 1.0, (1, 2): -4.0}),
        (kk.Complete(THREE), 6, {}),
    ],
    ids=["no effect", "one outcome", "two outcomes, strata", "three arms, no effect"],
)
def test_the_family_wise_level_holds_over_all_assignments(design: Any, n: int, effects: Any, family: Any) -> None:
    assert family_wise_error(design, n, effects, family) <= 0.1 + 1e-12


def test_the_family_wise_level_holds_when_only_a_subgroup_is_changed() -> None:
    assert family_wise_error(kk.Complete(TWO), 8, {(1, 0): 6.0}, kk.RomanoWolf(), groups=True) <= 0.1 + 1e-12


@pytest.mark.parametrize(
    "family",
    [
        kk.RomanoWolf(),
        pytest.param(kk.WestfallYoung(), marks=pytest.mark.calibration),
        pytest.param(kk.Holm(), marks=pytest.mark.calibration),
    ],
    ids=lambda family: type(family).__name__,
)
def test_the_level_holds_in_three_arms_of_which_one_does_much(family: Any) -> None:
    # Redraws that move the people of all arms reject falsely in 9.3 % of the 1,680 assignments at 5 %.
    trial = Trial(mechanism=kk.Complete(THREE), register={"id": list(range(9))}, potential=([0.0] * 9,) * 3)
    base = np.random.default_rng(5).normal(size=(2, 9))
    levels, total = np.array([0.1, 0.2, 0.3, 0.5]), np.zeros(4)
    several = isinstance(family, kk.RomanoWolf)
    for assignment, chance in trial.assignments():
        y = base + 8.0 * (assignment.codes == 2)
        found = kk.family_test(
            assignment, {"id": list(range(9)), "y0": y[0], "y1": y[1]}, ("y0", "y1")[: 1 + several], family=family
        )
        total += chance * (levels + 1e-12 >= min(m.adjusted_p for m in found.members if m.arm == "coaching"))
    assert (total <= levels + 1e-9).all()
    assert total[-1] > 0.1  # and is no mere refusal


def test_the_closure_over_parts_is_that_of_all_intersections() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        parts = [np.sort(rng.random(k) ** 3) for k in (1, 3, 2)]
        for own, found in enumerate(over_parts(parts)):
            for place, p in enumerate(parts[own]):
                worst = 0.0
                others = [parts[k] for k in range(3) if k != own]
                for choice in product(*[[None, *part] for part in others]):
                    chosen = [q for q in choice if q is not None]
                    worst = max(worst, (1 + len(chosen)) * min([p, *chosen]))
                assert found[place] == pytest.approx(min(worst, 1.0))
    assert np.concatenate(over_parts([np.array([p]) for p in (0.01, 0.04, 0.03)])).tolist() == pytest.approx(
        kk.Holm().adjust([0.01, 0.04, 0.03])
    )


def test_a_lottery_whose_law_given_the_other_arms_is_not_known_says_so() -> None:
    trial = trial_of(kk.Rerandomised(kk.Complete(THREE), on=("age",), accept=0.2))
    found = kk.family_test(trial, outcomes(), "y0", family=kk.RomanoWolf(draws=99))
    assert any("the redraws move people of all arms" in note for note in found.notes)
    alone = kk.randomisation_test(trial, outcomes(), "y0", draws=99)
    assert any("supposes that the other arms do nothing either" in note for note in alone.notes)


def test_an_arm_that_nobody_could_be_drawn_into_is_refused() -> None:
    trial = trial_of(kk.Stratified(kk.arms(control=2, coaching=0, letter=1), by="area"))
    with pytest.raises(
        EstimationError, match="had a chance of 'coaching' and of 'control': there is nothing to compare"
    ):
        kk.family_test(trial, outcomes(), "y0", family=kk.RomanoWolf(draws=99))
    found = kk.family_test(trial, outcomes(), "y0", family=kk.RomanoWolf(draws=99), contrasts=[("letter", "control")])
    assert len(found.members) == 1


def test_strata_of_the_exact_sum_are_those_of_both_arms() -> None:
    trial = trial_of(kk.Stratified(THREE, by="area"))
    table = outcomes().assign(whole=np.arange(90) % 5)
    assert "over 3 strata" in kk.randomisation_test(trial, table, "whole", studentise=False).reason


def register(n: int = 90) -> pd.DataFrame:
    step = np.arange(n)
    return pd.DataFrame(
        {"id": step, "area": step % 3, "office": step % 15, "sex": np.where(step % 2, "f", "m"), "age": step * 7 % 31}
    )


def outcomes(n: int = 90) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    table = register(n)
    for k in range(3):
        table[f"y{k}"] = rng.normal(size=n) + 0.05 * table["age"]
    return table


def trial_of(design: Any, n: int = 90) -> kk.Assignment:
    return kk.randomise(register(n), design, id="id", seed="family")


@pytest.mark.parametrize(
    "design",
    [
        kk.Complete(TWO),
        kk.Stratified(THREE, by="area"),
        kk.Clustered(kk.Stratified(TWO, by="area"), by="office"),
        kk.Bernoulli(TWO),
        kk.Stratified({str(age): kk.arms(control=1 + age % 2, coaching=1) for age in range(31)}, by="age"),
        kk.Rerandomised(kk.Complete(TWO), on=("age",), accept=0.2),
    ],
    ids=lambda design: type(design).__name__,
)
def test_statistics_are_those_of_the_randomisation_test(design: Any) -> None:
    table = outcomes().assign(y1=lambda t: t["y1"].where(t["id"] % 9 > 0))
    trial = trial_of(design)
    by_age = getattr(design, "by", ()) == ("age",)
    adjust = () if by_age else ("age",)
    found = kk.family_test(trial, table, ("y0", "y1"), family=kk.Holm(), covariates=adjust)
    for member in found.members:
        pair = (member.arm, member.reference)
        alone = kk.randomisation_test(trial, table, member.outcome, covariates=adjust, contrast=pair, draws=9)
        assert member.statistic == pytest.approx(alone.statistic, rel=1e-9)
        assert (member.n, member.missing) == (sum(alone.n.values()), sum(alone.missing.values()))
    adjusted = kk.Holm().adjust([member.p_value for member in found.members])
    assert [member.adjusted_p for member in found.members] == pytest.approx(list(adjusted))


def test_one_set_of_redraws_serves_all_and_repeats() -> None:
    trial, table = trial_of(kk.Complete(THREE)), outcomes()
    found = kk.family_test(trial, table, ("y0", "y1", "y2"), family=kk.RomanoWolf(draws=299), subgroups="sex")
    again = kk.family_test(
        trial, table.iloc[::-1], ("y0", "y1", "y2"), family=kk.RomanoWolf(draws=299), subgroups="sex"
    )
    assert [m.adjusted_p for m in found.members] == [m.adjusted_p for m in again.members]
    assert len(found.members) == 2 * 3 * 3
    assert (found.exact, found.draws, found.family) == (False, 299, "RomanoWolf")
    assert {row["subgroup"] for row in found.rows()} == {"everybody", "sex: f", "sex: m"}
    assert all(m.adjusted_p >= m.p_value for m in found.members)
    alone = kk.family_test(trial, table, "y0", family=kk.RomanoWolf(draws=299))
    assert [m.p_value for m in alone.members] == [
        m.p_value for m in found.members if m.outcome == "y0" and not m.subgroup
    ]
    assert "299 redraws of the lottery, the same for all outcomes, among the two arms of each contrast" in found.reason
    assert "studentised differences in means" in str(found)
    assert not any("moved" in note or "all arms" in note for note in found.notes)
    assert list(found.to_frame().columns)[:3] == ["outcome", "contrast", "subgroup"]


def test_the_correction_is_milder_than_holms_for_related_outcomes() -> None:
    trial, table = trial_of(kk.Complete(TWO)), outcomes()
    table = table.assign(**{f"z{k}": table["y0"] + 1e-3 * table["y1"] * k for k in range(5)})
    names = tuple(f"z{k}" for k in range(5))
    steps = kk.family_test(trial, table, names)
    holm = kk.family_test(trial, table, names, family=kk.Holm())
    assert steps.members[0].adjusted_p < 2 * steps.members[0].p_value
    assert holm.members[0].adjusted_p == pytest.approx(min(1.0, 5 * min(m.p_value for m in holm.members)), rel=0.5)


def test_a_rare_subgroup_has_p_one_and_small_strata_are_pooled() -> None:
    table = outcomes().assign(rare=lambda t: np.where(t["id"] < 2, "x", "y"), tiny=lambda t: t["id"] // 2)
    first = kk.randomise(table[["id", "tiny", "rare"]], kk.Bernoulli(TWO), id="id", seed="a")
    found = kk.family_test(first, table, "y0", subgroups="rare", family=kk.RomanoWolf(draws=99))
    lost = next(m for m in found.members if m.subgroup == "rare: x")
    assert lost.adjusted_p == 1.0
    assert any("without variance in the draw" in note for note in found.notes)
    paired = kk.randomise(
        table[["id", "tiny"]], kk.Stratified(kk.arms(control=2, coaching=1), by="tiny"), id="id", seed="a"
    )
    pooled = kk.family_test(paired, table, "y0", family=kk.RomanoWolf(draws=99))
    assert any("are pooled in the statistics, not in the redraws" in note for note in pooled.notes)


def test_survey_weights_change_the_effect() -> None:
    table = outcomes().assign(w=lambda t: 1.0 + t["age"])
    trial = trial_of(kk.Complete(TWO))
    found = kk.family_test(trial, table, "y0", weights="w", family=kk.RomanoWolf(draws=99))
    expected = kk.estimate_effects(trial, table, "y0", weights="w")[0]
    assert found.members[0].effect == pytest.approx(expected.value)


def test_people_without_a_chance_of_an_arm_stay_out_of_its_contrasts() -> None:
    table = outcomes().assign(by_law=lambda t: np.where(t["id"] < 9, "coaching", "drawn"))
    design = kk.Fixed(kk.Stratified(TWO, by="area"), column="by_law")
    trial = kk.randomise(table[["id", "area", "by_law"]], design, id="id", seed="a")
    found = kk.family_test(trial, table, ("y0", "y1"), family=kk.RomanoWolf(draws=99))
    assert [member.n for member in found.members] == [81, 81]


def test_refusals() -> None:
    trial, table = trial_of(kk.Complete(TWO)), outcomes()
    with pytest.raises(DesignError, match="family must be a correction such as RomanoWolf"):
        kk.family_test(trial, table, "y0", family=kk.RomanoWolf)
    with pytest.raises(DesignError, match="names is empty"):
        kk.family_test(trial, table, ())
    with pytest.raises(EstimationError, match="'y0' has the same value for everybody: there is nothing to test"):
        kk.family_test(trial, table.assign(y0=1.0), "y0")
    with pytest.raises(EstimationError, match="same value for everybody among sex: f"):
        kk.family_test(trial, table.assign(y0=table["y0"].where(table["sex"] == "m", 0.0)), "y0", subgroups="sex")
    with pytest.raises(EstimationError, match="fully explained by the covariates"):
        kk.family_test(trial, table.assign(y0=2.0 * table["age"]), "y0", covariates="age")
    with pytest.raises(ColumnError, match="no column 'sexx'"):
        kk.family_test(trial.also_known("sexx"), table, "y0", subgroups="sexx")
    with pytest.raises(DesignError, match="draws must be at least 1"):
        kk.RomanoWolf(draws=0)
    with pytest.raises(DesignError, match="alpha must lie in"):
        kk.WestfallYoung(alpha=0)


def test_they_travel_as_json_and_stand_in_a_plan() -> None:
    table = outcomes()
    for family in FAMILIES:
        assert decode(encode(family)) == family
        plan = kk.Plan(
            title="Coach",
            id="id",
            design=kk.Complete(THREE),
            outcomes=(kk.Outcome("y0"), kk.Outcome("y1"), kk.Outcome("y2", role="secondary")),
            analyses=(kk.Analysis("y0"), kk.Analysis("y1", kk.Regression(covariates=("age",))), kk.Analysis("y2")),
            family=family,
        )
        assert kk.Plan.from_json(plan.to_json()) == plan
        trial = kk.enrol(plan, register(), seed="a")
        findings = kk.analyse(plan, trial, table)
        found = [estimate.adjusted_p for estimate in findings.estimates]
        assert found[4:] == [None, None]
        assert len(findings.family) == 4
        plain = kk.family_test(trial, table, "y0", family=family)
        assert all(p is not None and 0 < p <= 1 for p in found[:4])
        # The family of four is at least as strict as that of two of its members.
        assert all(mine >= own.adjusted_p - 1e-12 for mine, own in zip(found[:2], plain.members, strict=True))
        assert type(family).__name__ in str(findings)


def test_an_analysis_that_was_not_made_takes_its_part_of_alpha_with_it() -> None:
    table = outcomes()
    plan = kk.Plan(
        title="Coach",
        id="id",
        design=kk.Complete(TWO),
        outcomes=(kk.Outcome("y0"), kk.Outcome("y1")),
        analyses=(kk.Analysis("y0"), kk.Analysis("y1")),
        family=kk.RomanoWolf(draws=199),
    )
    trial = kk.enrol(plan, register(), seed="a")
    told = kk.Deviation(about="y1", kind="outcome", reason="the survey was not made")
    findings = kk.analyse(plan, trial, table.drop(columns="y1"), deviations=told)
    alone = kk.family_test(trial, table, "y0", family=plan.family)
    assert findings.estimates[0].adjusted_p == pytest.approx(min(1.0, 2 * alone.members[0].adjusted_p))


def test_joint_tests_of_all_arms_stand_in_a_plan() -> None:
    table = outcomes()
    for family in (kk.Holm(), kk.RomanoWolf(draws=99)):
        plan = kk.Plan(
            title="Coach",
            id="id",
            design=kk.Complete(THREE),
            outcomes=(kk.Outcome("y0"), kk.Outcome("y1")),
            analyses=(kk.Analysis("y0", kk.JointRandomisationTest(draws=99)), kk.Analysis("y1")),
            family=family,
        )
        trial = kk.enrol(plan, register(), seed="a")
        findings = kk.analyse(plan, trial, table)
        assert len(findings.tests) == 1
        assert "y0 by JointRandomisationTest, all arms" in findings.family
        adjusted = findings.tests[0].adjusted_p
        assert adjusted is not None
        assert adjusted >= findings.tests[0].p_value
