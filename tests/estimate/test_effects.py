"""From a drawn assignment to an effect, by the estimator that follows from the design."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from kokeilu.errors import ColumnError, DesignError, EstimationError

N = 480


def uniform(key: int, *shape: int) -> np.ndarray:
    words = np.random.Philox(key=key).random_raw(int(np.prod(shape)))
    return ((words >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(shape)


def register() -> pd.DataFrame:
    row = np.arange(N)
    frame = pd.DataFrame(
        {"id": row + 1000, "age": 20 + 40 * uniform(1, N), "sex": np.where(uniform(2, N) < 0.5, "f", "m")}
    )
    frame["region"] = np.array(["north", "south", "east", "west"])[row % 4]
    frame["office"] = [f"{r} {k}" for r, k in zip(frame["region"], row // 4 % 6, strict=True)]
    frame["pair"] = [f"{r} {k // 2}" for r, k in zip(frame["region"], row // 4 % 6, strict=True)]
    return frame


PEOPLE = register()
TWO, THREE = kk.arms(control=1, coaching=1), kk.arms(control=2, coaching=1, subsidy=1)
UNEVEN = {
    "north": kk.arms(control=1, coaching=1),
    "south": kk.arms(control=2, coaching=1),
    "east": kk.arms(control=3, coaching=1),
    "west": kk.arms(control=1, coaching=1),
}
DESIGNS = {
    "complete": (kk.Complete(TWO), "difference in means", "Neyman", "drawn in one group"),
    "bernoulli": (kk.Bernoulli(TWO), "difference in means", "Neyman", "drawn alone"),
    "stratified": (kk.Stratified(TWO, by="region"), "difference in means", "Neyman", "4 strata"),
    "uneven": (kk.Stratified(UNEVEN, by="region"), "difference in means", "Neyman", "4 strata"),
    "clustered": (kk.Clustered(kk.Complete(TWO), by="office"), "difference in means", "CR2", "24 clusters"),
    "regions": (kk.Clustered(kk.Complete(TWO), by="region"), "difference in means", "CR2", "4 clusters"),
    "clusters in strata": (
        kk.Clustered(kk.Stratified(TWO, by="region"), by="office"),
        "regression on the arms",
        "CR2",
        "effects of 4 strata",
    ),
    "uneven clusters": (
        kk.Clustered(kk.Stratified(UNEVEN, by="region"), by="office"),
        "regression on the arms",
        "CR2",
        "weights 1/share",
    ),
    "pairs of clusters": (
        kk.Clustered(kk.Stratified(TWO, by="pair"), by="office"),
        "difference in means",
        "between pairs",
        "Imai, King & Nall",
    ),
}


def drawn(design: object) -> tuple[kk.Assignment, pd.DataFrame]:
    trial = kk.randomise(PEOPLE, design, id="id", seed="a test of effects")
    outcomes = trial.to_frame()[["id", "arm"]].merge(PEOPLE[["id", "age", "sex"]], on="id")
    noise = uniform(3, N) + 0.02 * outcomes["age"]
    outcomes["days"] = 10 + noise + 2.0 * (outcomes["arm"] != "control")
    return trial, outcomes.drop(columns="arm")


@pytest.mark.parametrize("name", DESIGNS)
def test_the_design_chooses_and_says_why(name: str) -> None:
    design, estimator, variance, why = DESIGNS[name]
    trial, outcomes = drawn(design)
    found = kk.estimate_effects(trial, outcomes, "days")
    assert len(found) == 1
    assert (found[0].estimator, found[0].variance) == (estimator, variance)
    assert why in found[0].reason
    assert found[0].value == pytest.approx(2.0, abs=0.5)
    assert found[0].missing == {"control": 0, "coaching": 0}


@pytest.mark.parametrize("name", DESIGNS)
def test_covariates_sharpen_every_design(name: str) -> None:
    design, _, _, _ = DESIGNS[name]
    trial, outcomes = drawn(design)
    found = kk.estimate_effects(trial, outcomes, "days", covariates=("age", "sex"))[0]
    assert found.variance == ("CR2" if name in ("clustered", "regions") or "clusters" in name else "HC2")
    assert "Lin" in found.estimator
    assert found.value == pytest.approx(2.0, abs=0.5)


def test_several_arms_and_contrasts() -> None:
    trial, outcomes = drawn(kk.Stratified(THREE, by="region"))
    found = kk.estimate_effects(trial, outcomes, "days")
    assert [(e.arm, e.reference) for e in found] == [("coaching", "control"), ("subsidy", "control")]
    other = kk.estimate_effects(trial, outcomes, "days", contrasts=(("subsidy", "coaching"), ("control", "subsidy")))
    assert other[1].value == pytest.approx(-found[1].value, rel=1e-12)
    assert other[0].value == pytest.approx(found[1].value - found[0].value, rel=1e-9)
    with pytest.raises(DesignError, match="Did you mean 'coaching'"):
        kk.estimate_effects(trial, outcomes, "days", contrasts=(("coching", "control"),))


def test_missing_outcomes_are_counted_and_noted() -> None:
    trial, outcomes = drawn(kk.Complete(TWO))
    arm = trial.to_frame().set_index("id")["arm"]
    treated = outcomes["id"].map(arm) == "coaching"
    outcomes.loc[treated & (outcomes.index % 3 == 0), "days"] = np.nan
    found = kk.estimate_effects(trial, outcomes.iloc[:-1], "days")[0]
    assert sum(found.n.values()) + sum(found.missing.values()) == N
    assert found.missing["coaching"] > 60
    assert "missing at different rates" in " ".join(found.notes)


def test_rows_may_come_in_any_order() -> None:
    trial, outcomes = drawn(kk.Clustered(kk.Stratified(TWO, by="region"), by="office"))
    first = kk.estimate_effects(trial, outcomes, "days", covariates="age")[0]
    again = kk.estimate_effects(trial, outcomes.iloc[::-1], "days", covariates="age")[0]
    assert (first.value, first.error, first.dof) == (again.value, again.error, again.dof)


def test_an_estimator_may_be_named() -> None:
    trial, outcomes = drawn(kk.Stratified(TWO, by="region"))
    named = kk.estimate_effects(trial, outcomes, "days", estimator=kk.Regression(covariates=("age",), errors="HC3"))[0]
    assert named.variance == "HC3"
    filled = kk.estimate_effects(trial, outcomes, "days", estimator=kk.Regression(errors="HC3"), covariates=("age",))[0]
    assert filled.value == named.value
    with pytest.raises(DesignError, match="DifferenceInMeans takes no covariates"):
        kk.estimate_effects(trial, outcomes, "days", estimator=kk.DifferenceInMeans(), covariates=("age",))
    with pytest.raises(DesignError, match="and differ"):
        kk.estimate_effects(trial, outcomes, "days", estimator=kk.Regression(covariates=("sex",)), covariates=("age",))


def test_bad_outcomes_are_refused() -> None:
    trial, outcomes = drawn(kk.Complete(TWO))
    with pytest.raises(ColumnError, match="Did you mean 'days'"):
        kk.estimate_effects(trial, outcomes, "dais")
    with pytest.raises(EstimationError, match="shows no variation"):
        kk.estimate_effects(trial, outcomes.assign(days=4.0), "days")
    arm = trial.to_frame().set_index("id")["arm"]
    gone = outcomes.assign(days=outcomes["days"].where((outcomes["id"].map(arm) == "control").to_numpy()))
    with pytest.raises(EstimationError, match="arm 'coaching' has nobody"):
        kk.estimate_effects(trial, gone, "days")


def test_strata_too_small_for_both_arms_are_pooled_and_the_others_kept() -> None:
    """Two hundred people in four large strata and sixty alone in their stratum: the strata still serve."""
    n = 260
    area = [f"big {i % 4}" if i < 200 else f"alone {i}" for i in range(n)]
    level = np.array([10.0 * (i % 4) if i < 200 else 0.0 for i in range(n)])
    table = {"id": list(range(n)), "area": area}
    assignment = kk.randomise(table, kk.Stratified(kk.arms(a=1, b=1), by="area"), id="id", seed="pool")
    y = level + np.sin(np.arange(n)) + 0.5 * (assignment.codes == 1)
    found = kk.estimate_effects(assignment, {"id": list(range(n)), "y": y.tolist()}, "y")[0]
    pooled = "60 of 64 strata are too small to be sure of both arms and are pooled into one (60 people)"
    assert any(pooled in note for note in found.notes)
    assert "within 5 strata" in found.reason
    assert found.error < 0.15  # the strata explain nearly everything; without them it is about 0.6


def test_pooled_strata_stay_unbiased_and_conservative() -> None:
    """By enumeration: singles in three arms, two larger strata."""
    people = {"id": list(range(8)), "s": ["x", "x", "x", "x", "p", "q", "r", "t"]}
    y0, y1 = np.array([1.0, 4, 2, 8, 5, 7, 1, 3]), np.array([2.0, 4, 5, 9, 3, 9, 2, 2])
    drawn = kk.randomise(people, kk.Stratified(kk.arms(a=1, b=1), by="s"), id="id", seed=0)
    values, variances, chances = [], [], []
    for codes, weights in kk.all_assignments(drawn.lottery):
        for row, weight in zip(codes, weights, strict=True):
            realised = replace(drawn, codes=row)
            table = {"id": list(range(8)), "y": np.where(row == 1, y1, y0).tolist()}
            found = kk.estimate_effects(realised, table, "y")[0]
            assert found.dof is None or found.dof > 0
            values.append(found.value)
            variances.append(found.error**2)
            chances.append(weight)
    mean = np.average(values, weights=chances)
    assert mean == pytest.approx((y1 - y0).mean(), abs=1e-12)
    assert np.average(variances, weights=chances) >= np.average((np.array(values) - mean) ** 2, weights=chances) - 1e-12


def test_one_person_left_over_does_not_undo_the_pairs() -> None:
    """Twenty pairs and one person alone: she is pooled with a pair, and the pairs still serve."""
    n = 41
    pair = np.minimum(np.arange(n) // 2, 20)
    assignment = kk.randomise(
        {"id": list(range(n)), "p": pair}, kk.Stratified(kk.arms(a=1, b=1), by="p"), id="id", seed=4
    )
    y = 5.0 * pair + np.cos(3.0 * np.arange(n)) + 0.5 * (assignment.codes == 1)
    table = {"id": list(range(n)), "y": y.tolist()}
    found = kk.estimate_effects(assignment, table, "y")[0]
    assert any("2 of 21 strata are too small" in note and "(3 people)" in note for note in found.notes)
    assert found.error < 5.0  # without pairs about 9; the pool of three spans the gap between two pairs
    assert kk.randomisation_test(assignment, table, "y", draws=99).interval is not None


def test_outcomes_whose_squares_overflow_are_refused() -> None:
    trial = kk.randomise({"id": list(range(12))}, kk.Complete(kk.arms(control=1, coaching=1)), id="id", seed="huge")
    table = {"id": list(range(12)), "y": [1e200 * (k % 5) for k in range(12)]}
    for run in (kk.estimate_effects, kk.randomisation_test, kk.family_test):
        with pytest.raises(kk.errors.DataError, match=r"'y' is beyond 1e60 in size for 9 people"):
            run(trial, table, "y")
