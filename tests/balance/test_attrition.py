"""Who has no outcome, and who got the service."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from kokeilu.errors import DataError, DesignError

TWO = kk.arms(control=1, coaching=1)


def trial(n: int = 600, design: Any = None) -> tuple[Any, pd.DataFrame]:
    rng = np.random.default_rng(21)
    table = pd.DataFrame({"id": np.arange(n), "area": np.arange(n) % 3, "age": rng.normal(size=n)})
    table["office"] = np.arange(n) // 10
    table["school"] = rng.choice(["basic", "upper"], n)
    return kk.randomise(table, design or kk.Stratified(TWO, by="area"), id="id", seed="attrition"), table


def test_levels_and_bounds() -> None:
    assignment, table = trial()
    outcomes = table[["id"]].assign(y=np.arange(600) % 5 + 0.0)
    drop = np.flatnonzero(assignment.codes == 0)[:60]
    outcomes.loc[drop[:20], "y"] = np.nan
    found = kk.check_attrition(assignment, outcomes.drop(index=drop[20:]), "y", limits=(0, 4))
    control, coaching = found.arms
    assert (control.assigned, control.not_in_table, control.value_missing, control.used) == (300, 40, 20, 240)
    assert (control.rate, coaching.rate) == (0.8, 1.0)
    assert coaching.difference == pytest.approx(0.2)
    assert (coaching.trim_share, coaching.trimmed) == (pytest.approx(0.2), "coaching")
    bounds = np.array([coaching.lee_low, coaching.lee_high, coaching.worst_low, coaching.worst_high], dtype=float)
    y = np.sort(outcomes["y"].to_numpy()[assignment.codes == 1])
    control_mean = (
        outcomes.drop(index=drop)["y"].to_numpy()[assignment.codes[~np.isin(np.arange(600), drop)] == 0].mean()
    )
    np.testing.assert_allclose(bounds[:2], [y[:240].mean() - control_mean, y[60:].mean() - control_mean])
    assert bounds[3] - bounds[2] == pytest.approx(0.2 * 4)
    assert found.joint.p_value == 1 / 1000
    text = str(found)
    assert "trim_share" in text
    assert "Attrition by arm: p = 0.001" in text


def test_other_people_dropping_out_in_one_arm_is_found_where_the_rates_agree() -> None:
    assignment, table = trial()
    score = np.where(assignment.codes == 1, table["age"], -table["age"]).copy()
    for k in (0, 1):
        for area in range(3):
            rows = np.flatnonzero((assignment.codes == k) & (table["area"] == area))
            score[rows] = np.argsort(np.argsort(score[rows]))
    outcomes = table[["id"]].assign(y=1.0)[score >= 25]
    found = kk.check_attrition(assignment, outcomes, "y", register=table, on=("age", "school"))
    assert found.joint.p_value > 0.5
    assert found.interactions is not None
    assert found.interactions.p_value == 1 / 1000
    assert found.interactions_model is not None
    assert found.interactions_model.df1 == 2
    stayed = found.lines[0]
    assert (stayed.stayed["coaching"] or 0.0) > 0.1 > -0.1 > (stayed.stayed["control"] or 0.0)
    assert (stayed.left["coaching"] or 0.0) < 0.0
    assert [row["covariate"] for row in found.covariate_rows()] == ["age", "school", "school"]


def test_nobody_missing_leaves_nothing_to_test() -> None:
    assignment, table = trial(60)
    found = kk.check_attrition(assignment, table.assign(y=1.0), "y", register=table, on="school", draws=99)
    assert found.joint.p_value == 1.0
    assert found.interactions is None
    assert found.arms[1].trim_share == 0.0
    assert found.arms[1].trimmed is None
    assert "nothing to test" in found.notes[0]


@pytest.mark.parametrize(
    "design",
    [
        kk.Clustered(kk.Complete(TWO), by="office"),
        kk.Bernoulli(kk.arms(control=2, coaching=1, letter=1)),
        kk.Stratified({"0": TWO, "1": kk.arms(control=1, coaching=3), "2": TWO}, by="area"),
    ],
    ids=["clusters", "alone", "unequal shares"],
)
def test_attrition_and_take_up_respect_the_design(design: Any) -> None:
    assignment, table = trial(300, design)
    outcomes = table[["id"]].assign(y=table["age"], came=(np.arange(300) % 4 == 0) | (assignment.codes == 1))
    found = kk.check_attrition(assignment, outcomes[np.arange(300) % 7 > 0], "y", register=table, on="age", draws=99)
    assert found.joint.p_value > 0.01
    assert found.interactions is not None
    assert all((one.error or 0.0) > 0.0 for one in found.arms[1:])
    took = kk.check_take_up(assignment, outcomes[np.arange(300) % 7 > 0], "came")
    assert took.first_stage is not None
    assert took.arms[1].rate == pytest.approx(1.0)
    assert (took.arms[0].low is None) == (not isinstance(design, kk.Bernoulli))


def test_take_up_counts_crossing_over_and_the_unknown() -> None:
    assignment, table = trial(60)
    came = table[["id"]].assign(came=assignment.codes.astype(float))
    came.loc[np.flatnonzero(assignment.codes == 0)[0], "came"] = 1.0
    came.loc[np.flatnonzero(assignment.codes == 1)[:2], "came"] = np.nan
    found = kk.check_take_up(assignment, came, "came")
    assert [(one.assigned, one.known, one.came) for one in found.arms] == [(30, 30, 1), (30, 28, 28)]
    assert found.arms[1].difference == pytest.approx(29 / 30, abs=0.02)
    text = str(found)
    assert "not known for 2 people" in text
    assert "1 person of the reference arm 'control' got the service" in text
    perfect = kk.check_take_up(assignment, came.assign(came=assignment.codes), "came")
    assert perfect.first_stage is None


def test_what_cannot_be_checked_is_refused() -> None:
    assignment, table = trial(60)
    outcomes = table[["id"]].assign(y=np.arange(60) % 3)
    with pytest.raises(DesignError, match="no register is given"):
        kk.check_attrition(assignment, outcomes, "y", on="age")
    with pytest.raises(DesignError, match="least and the greatest"):
        kk.check_attrition(assignment, outcomes, "y", limits=(1, 0))
    with pytest.raises(DesignError, match="outside the limits for 20 people"):
        kk.check_attrition(assignment, outcomes, "y", limits=(0, 1))
    with pytest.raises(DataError, match="neither 0 nor 1 for 20 people"):
        kk.check_take_up(assignment, outcomes, "y")
