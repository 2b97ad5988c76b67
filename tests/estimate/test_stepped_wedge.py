"""The effect of a stepped wedge: unbiased over every order, conservative, and with an account of its rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from kokeilu.core.lottery import all_assignments
from kokeilu.errors import DataError, DesignError, EstimationError

OFFICES, PERIODS = 8, 4
NOISE = (np.random.Philox(key=8).random_raw(OFFICES * PERIODS) % 1000 / 100.0).reshape(OFFICES, PERIODS)
UNTREATED = NOISE + 3.0 * np.arange(PERIODS) + np.arange(OFFICES)[:, None]
EFFECT = 2.0 + np.arange(OFFICES)[:, None] + 0.5 * np.arange(PERIODS)
DESIGN = kk.SteppedWedge(("a", "b", "c", "never"), cluster=None)
REGISTER = {"office": list(range(OFFICES))}


def table_of(trial: kk.Assignment, design: Any = DESIGN, periods: int = PERIODS) -> pd.DataFrame:
    begun = design.treatment_matrix()[trial.codes]
    y = UNTREATED[: len(trial), :periods] + EFFECT[: len(trial), :periods] * begun
    office, t = np.divmod(np.arange(y.size), periods)
    return pd.DataFrame({"office": office, "t": t, "y": y.ravel()})


@pytest.mark.parametrize("periods", ["variance", "equal"])
@pytest.mark.parametrize("count", ["people", "clusters"])
def test_every_order(count: str, periods: str) -> None:
    trial = kk.randomise(REGISTER, DESIGN, id="office", seed="orders")
    chunks = all_assignments(trial.lottery)
    assert chunks is not None
    codes = np.concatenate([rows for rows, _ in chunks])[::17]
    share = DESIGN.treated_by(np.full((1, 4), 0.25))[0]
    omega = np.where(share > 0, share * (1 - share) if periods == "variance" else 1.0, 0.0)
    omega /= omega.sum()
    found = []
    for row in codes:
        one = replace(trial, codes=row)
        found.append(kk.stepped_wedge_effects(one, table_of(one), "y", period="t", count=count, periods=periods)[0])
    values, variances = np.array([f.value for f in found]), np.array([f.error**2 for f in found])
    # Some of the 2,520 orders: the mean is off by what is left out; the next test takes all of a smaller design.
    assert values.mean() == pytest.approx(
        float(omega @ EFFECT.mean(axis=0)), abs=4 * values.std() / np.sqrt(len(values))
    )
    assert variances.mean() >= 0.9 * values.var()
    assert {f.variance for f in found} == {"Neyman over sequences"}


def test_all_orders_of_a_small_wedge() -> None:
    design = kk.SteppedWedge(("a", "b", "never"), cluster=None)
    trial = kk.randomise({"office": list(range(6))}, design, id="office", seed="all")
    chunks = all_assignments(trial.lottery)
    assert chunks is not None
    values, variances = [], []
    for row in np.concatenate([rows for rows, _ in chunks]):
        one = replace(trial, codes=row)
        found = kk.stepped_wedge_effects(one, table_of(one, design, 3), "y", period="t")[0]
        values.append(found.value)
        variances.append(found.error**2)
    assert len(values) == 90
    assert np.mean(values) == pytest.approx(float(EFFECT[:6, 1:3].mean()), abs=1e-10)
    assert np.mean(variances) >= np.var(values)


def test_one_cluster_in_a_sequence_takes_the_variance_over_redraws() -> None:
    design = kk.SteppedWedge(("a", "b", "c"), cluster=None)
    trial = kk.randomise({"office": list(range(4))}, design, id="office", seed="one")
    found = kk.stepped_wedge_effects(trial, table_of(trial, design, 4), "y", period="t")[0]
    assert found.variance == "redraws of the order"
    assert found.dof is None
    assert "a sequence has one cluster" in found.notes[0]


def test_people_in_clusters_in_strata_with_gaps() -> None:
    people = pd.DataFrame({"id": np.arange(96), "office": np.arange(96) // 4, "zone": np.arange(96) // 48})
    design = kk.SteppedWedge(("a", "b", "never"), cluster="office", by="zone")
    trial = kk.randomise(people, design, id="id", seed="people")
    begun = design.treatment_matrix()[trial.codes]
    long = pd.DataFrame({"id": np.repeat(np.arange(96), 3), "month": np.tile(["2026-01", "2026-02", "2026-03"], 96)})
    noise = np.random.Philox(key=9).random_raw(288) % 100 / 50.0
    long["y"] = noise + 5.0 * begun.ravel() + 10.0 * np.repeat(people["zone"], 3).to_numpy()
    long.loc[[5, 50], "y"] = np.nan
    found = kk.stepped_wedge_effects(trial, long.sample(frac=1.0, random_state=1), "y", period="month")
    assert [e.outcome for e in found] == ["y", "y in period 2026-02", "y in period 2026-03"]
    assert found[0].value == pytest.approx(5.0, abs=0.3)
    assert found[0].clusters == 24
    assert "24 clusters in 2 strata" in found[0].reason
    assert sum(found[0].n.values()) + sum(found[0].missing.values()) == 192  # the baseline compares nobody
    whole = kk.stepped_wedge_effects(trial, long.assign(y=long["y"] * 3 + 1), "y", period="month")
    assert whole[0].value == pytest.approx(3 * found[0].value)
    assert whole[0].error == pytest.approx(3 * found[0].error)


def test_what_is_refused() -> None:
    trial = kk.randomise(REGISTER, DESIGN, id="office", seed="orders")
    table = table_of(trial)
    plain = kk.randomise(REGISTER, kk.Complete(kk.arms(a=1, b=1)), id="office", seed="x")
    with pytest.raises(DesignError, match="needs a draw by SteppedWedge"):
        kk.stepped_wedge_effects(plain, table, "y", period="t")
    with pytest.raises(DataError, match="'t' has 2 periods, the design 4"):
        kk.stepped_wedge_effects(trial, table.assign(t=np.where(table["t"] > 1, "late", "early")), "y", period="t")
    with pytest.raises(DataError, match="has 4 of 32 rows of people who were never assigned"):
        kk.stepped_wedge_effects(trial, table.assign(office=table["office"] + 1), "y", period="t")
    with pytest.raises(DataError, match="whole numbers|text"):
        kk.stepped_wedge_effects(trial, table.assign(office=table["office"].astype(str)), "y", period="t")
    with pytest.raises(DataError, match="period 't' is missing for 1 rows"):
        kk.stepped_wedge_effects(trial, table.assign(t=table["t"].where(table.index > 0)), "y", period="t")
    with pytest.raises(EstimationError, match="in no period are clusters that have begun seen"):
        kk.stepped_wedge_effects(trial, table[table["t"] == 0], "y", period="t")
    with pytest.raises(EstimationError, match="leaves no variation"):
        kk.stepped_wedge_effects(trial, table.assign(y=1.0), "y", period="t")
    with pytest.raises(DesignError, match="count must be one of"):
        kk.stepped_wedge_effects(trial, table, "y", period="t", count="rows")


def test_the_redraw_test_keeps_its_level_exactly() -> None:
    design = kk.SteppedWedge(("a", "b", "never"), cluster=None)
    trial = kk.randomise({"office": list(range(6))}, design, id="office", seed="all")
    chunks = all_assignments(trial.lottery)
    assert chunks is not None
    fixed = table_of(trial, design, 3)
    p = []
    for row in np.concatenate([rows for rows, _ in chunks]):
        p.append(kk.stepped_wedge_test(replace(trial, codes=row), fixed, "y", period="t").p_value)
    for level in (0.05, 0.1, 0.5):
        assert np.mean(np.array(p) <= level + 1e-12) <= level + 1e-12


def test_the_interval_moves_with_the_effect() -> None:
    trial = kk.randomise({"office": list(range(24))}, DESIGN, id="office", seed="moves")
    begun = DESIGN.treatment_matrix()[trial.codes].ravel()
    noise = np.random.Philox(key=10).random_raw(96) % 100 / 25.0
    office, t = np.divmod(np.arange(96), 4)
    tables = [pd.DataFrame({"office": office, "t": t, "y": noise + shift * begun}) for shift in (0.0, 10.0)]
    none, ten = (kk.stepped_wedge_test(trial, table, "y", period="t", draws=499) for table in tables)
    assert none.interval is not None
    assert ten.interval == pytest.approx(tuple(end + 10.0 for end in none.interval), abs=1e-6)
    assert none.interval[0] < none.statistic < none.interval[1]
    assert ten.p_value == pytest.approx(1 / 500)
    assert "begun less not yet begun" in ten.reason


def test_a_comparison_of_sequences_says_that_it_is_no_effect_of_treatment() -> None:
    offices = {"office": list(range(24))}
    design = kk.SteppedWedge(("spring", "autumn", "never"), cluster=None)
    trial = kk.randomise(offices, design, id="office", seed="sequences")
    table = {**offices, "y": [g * 7 % 5 for g in range(24)]}
    assert "sequences of a stepped wedge" in str(kk.estimate_effects(trial, table, "y")[0].notes)
    merged = kk.merge_arms(trial, design.started_by(1))
    assert not any("stepped wedge" in note for note in kk.estimate_effects(merged, table, "y")[0].notes)
