"""Outcomes under stated true effects: the average effect is the stated one, whoever is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from kokeilu.datasets import job_seekers, outcomes, true_effects
from kokeilu.errors import ColumnError, DataError, DesignError

SEEKERS = job_seekers(8_000, seed="outcomes")
EFFECTS = {"coach": 0.03, "voucher": {"days_employed": 12.0, "spell_days_after": -15.0, "satisfaction": 0.4}}
ARMS = kk.arms(control=2, coach=1, voucher=1)


def drawn(seed: object) -> Any:
    return kk.randomise(SEEKERS, kk.Complete(ARMS), id="person_id", seed=seed)


def revealed(assignment: Any, **options: Any) -> pd.DataFrame:
    table = outcomes(SEEKERS, assignment, effects=EFFECTS, seed="truth", **options)
    return table.assign(arm=np.array(assignment.arms.names)[assignment.codes])


def intra_class_correlation(y: pd.Series, group: pd.Series) -> float:
    """ANOVA estimator for groups of unequal size (Donner 1986)."""
    n, by = len(y), y.groupby(group.to_numpy())
    size, mean = by.size(), by.mean()
    k = len(size)
    within = ((size - 1) * by.var()).sum() / (n - k)
    between = (size * (mean - y.mean()) ** 2).sum() / (k - 1)
    typical = (n - (size**2).sum() / n) / (k - 1)
    return float((between - within) / (between + (typical - 1) * within))


def test_the_same_seed_reveals_the_same_outcomes() -> None:
    pd.testing.assert_frame_equal(outcomes(SEEKERS, seed=5), outcomes(SEEKERS, seed=5))


def test_row_order_of_the_register_does_not_matter() -> None:
    pd.testing.assert_frame_equal(outcomes(SEEKERS, seed=5), outcomes(SEEKERS.iloc[::-1], seed=5))


def test_ranges_and_kinds() -> None:
    table = outcomes(SEEKERS, seed=5)
    assert list(table) == [
        "person_id",
        "employed_12m",
        "days_employed",
        "spell_days_after",
        "exited",
        "satisfaction",
    ]
    assert set(table["employed_12m"]) == {0, 1}
    assert table["days_employed"].between(0, 365).all()
    assert table["spell_days_after"].between(1, 365).all()
    assert set(table["satisfaction"].dropna()) <= set(range(4, 11))


def test_outcomes_agree_with_each_other() -> None:
    table = outcomes(SEEKERS, seed=5)
    assert (table.loc[table["employed_12m"] == 1, "days_employed"] > 0).all()
    early = (table["spell_days_after"] < 365) & ~table["exited"]
    assert early.mean() == pytest.approx(0.03, abs=0.015)
    assert 0.4 < (table["days_employed"] == 0).mean() < 0.6


@pytest.mark.parametrize("base", [0.05, 0.3, 0.7])
def test_the_base_is_met_to_one_person(base: float) -> None:
    share = outcomes(SEEKERS, seed=5, base=base)["employed_12m"].mean()
    assert share == pytest.approx(base, abs=0.5 / len(SEEKERS) + 1e-12)


@pytest.mark.parametrize("effect", [0.03, -0.02, 0.0001, 0.2])
def test_a_stated_employment_effect_is_met_to_one_person(effect: float) -> None:
    truth = true_effects(SEEKERS, effects={"coach": effect}, seed=5).set_index("outcome")
    assert truth.loc["employed_12m", "effect"] == pytest.approx(effect, abs=1 / len(SEEKERS))


def test_other_outcomes_move_along() -> None:
    effect = true_effects(SEEKERS, effects={"coach": 0.03}, seed=5).set_index("outcome")["effect"]
    assert effect["days_employed"] > 3
    assert effect["spell_days_after"] < -3
    assert effect["satisfaction"] > 0.03


def test_stated_effects_on_other_outcomes_are_met() -> None:
    truth = true_effects(SEEKERS, effects={"voucher": EFFECTS["voucher"]}, seed=5).set_index("outcome")["effect"]
    assert truth["employed_12m"] == 0.0
    assert truth["days_employed"] == pytest.approx(12.0, abs=365 / len(SEEKERS))
    assert truth["spell_days_after"] == pytest.approx(-15.0, abs=365 / len(SEEKERS))
    assert truth["satisfaction"] == pytest.approx(0.4, abs=6 / len(SEEKERS))


def test_two_draws_reveal_the_same_potential_outcomes() -> None:
    one, two = revealed(drawn(1)), revealed(drawn(2))
    same = (one["arm"] == two["arm"]).to_numpy()
    assert 0.3 < same.mean() < 0.45
    pd.testing.assert_frame_equal(one[same], two[same])


def test_the_control_arm_shows_the_control_outcomes() -> None:
    table, control = revealed(drawn(1)), outcomes(SEEKERS, seed="truth")
    rows = (table["arm"] == "control").to_numpy()
    pd.testing.assert_frame_equal(table[rows].drop(columns="arm"), control[rows])


def test_a_positive_shift_harms_nobody() -> None:
    table, control = revealed(drawn(1)), outcomes(SEEKERS, seed="truth")
    assert (table["employed_12m"] >= control["employed_12m"]).all()
    assert (table["days_employed"] >= control["days_employed"]).all()
    assert (table["spell_days_after"] <= control["spell_days_after"]).all()


def test_differences_of_arms_average_to_the_truth() -> None:
    """Over draws the difference in means is unbiased: within four of its own standard errors."""
    gaps = []
    for seed in range(40):
        mean = revealed(drawn(seed)).groupby("arm")["employed_12m"].mean()
        gaps.append(mean["coach"] - mean["control"])
    assert np.mean(gaps) == pytest.approx(0.03, abs=4 * np.std(gaps) / np.sqrt(len(gaps)))


@pytest.mark.parametrize("icc", [0.0, 0.02, 0.1])
def test_office_correlation_is_near_the_stated(icc: float) -> None:
    seekers = job_seekers(20_000, seed="icc")
    found = [
        intra_class_correlation(
            outcomes(seekers, seed=seed, office_icc=icc)["employed_12m"], seekers["employment_office"]
        )
        for seed in range(5)
    ]
    assert np.mean(found) == pytest.approx(icc, abs=0.003 + 0.1 * icc)


def test_survey_response_by_arm() -> None:
    table = revealed(drawn(1), response={"control": 0.5, "coach": 0.8})
    answered = table["satisfaction"].notna().groupby(table["arm"]).mean()
    assert answered["control"] == pytest.approx(0.5, abs=0.04)
    assert answered["coach"] == pytest.approx(0.8, abs=0.04)
    assert answered["voucher"] == pytest.approx(0.6, abs=0.04)


def test_older_people_answer_more_often() -> None:
    table = outcomes(SEEKERS, seed=5)
    assert SEEKERS.loc[table["satisfaction"].notna(), "age"].mean() > SEEKERS["age"].mean() + 1


def test_other_tables_and_whole_number_ids_are_read() -> None:
    numbered = SEEKERS.assign(person_id=range(len(SEEKERS)))
    table = outcomes(numbered, seed=5)
    assert table["person_id"].dtype == np.int64
    pl = pytest.importorskip("polars")
    pd.testing.assert_frame_equal(outcomes(pl.from_pandas(numbered), seed=5), table)


def test_one_person_and_one_office_can_have_outcomes() -> None:
    assert len(outcomes(SEEKERS.head(1), seed=5)) == 1
    office = SEEKERS[SEEKERS["employment_office"] == SEEKERS["employment_office"].iloc[0]]
    assert len(outcomes(office, seed=5)) == len(office)


def test_an_effect_that_cannot_be() -> None:
    with pytest.raises(DesignError, match="between 0 and 1"):
        outcomes(SEEKERS, drawn(1), effects={"coach": 3.0}, seed=5)


def test_a_misspelt_arm_or_outcome() -> None:
    with pytest.raises(DesignError, match="Did you mean 'coach'"):
        outcomes(SEEKERS, drawn(1), effects={"coaching": 0.03}, seed=5)
    with pytest.raises(DesignError, match="Did you mean 'days_employed'"):
        true_effects(SEEKERS, effects={"coach": {"day_employed": 3}}, seed=5)


def test_a_correlation_that_a_rare_outcome_cannot_have() -> None:
    with pytest.raises(DesignError, match=r"office_icc=0.4 is too large for base=1e-06"):
        outcomes(SEEKERS, seed=5, base=1e-6, office_icc=0.4)


def test_effects_without_an_assignment() -> None:
    with pytest.raises(DesignError, match="need an assignment"):
        outcomes(SEEKERS, effects={"coach": 0.03}, seed=5)


def test_a_register_without_a_column() -> None:
    with pytest.raises(ColumnError, match="employment_office"):
        outcomes(SEEKERS.drop(columns="employment_office"), seed=5)


def test_a_register_with_gaps() -> None:
    gappy = SEEKERS.assign(age=SEEKERS["age"].where(SEEKERS["age"] > 18))
    with pytest.raises(DataError, match="'age' is missing for"):
        outcomes(gappy, seed=5)


def test_people_who_are_not_in_the_register() -> None:
    with pytest.raises(DataError, match="not in the register"):
        outcomes(SEEKERS.head(100), drawn(1), seed=5)


def test_ids_of_another_kind() -> None:
    with pytest.raises(DataError, match="whole numbers"):
        outcomes(SEEKERS.assign(person_id=range(len(SEEKERS))), drawn(1), seed=5)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"base": 0.0}, "base"), ({"office_icc": 0.5}, "office_icc"), ({"response": 1.5}, "response")],
)
def test_numbers_out_of_range(options: dict[str, float], message: str) -> None:
    with pytest.raises(DesignError, match=message):
        outcomes(SEEKERS, seed=5, **options)  # type: ignore[arg-type]
