"""Covariates come from before the draw, outcomes from after it."""

from __future__ import annotations

import pandas as pd
import pytest

import kokeilu as kk
from kokeilu.errors import ColumnError, DesignError

PEOPLE = pd.DataFrame(
    {"id": range(40), "age": [20 + i % 17 for i in range(40)], "employed": [i % 3 == 0 for i in range(40)]}
)
AFTER = PEOPLE[["id", "age", "employed"]].assign(
    days=[float(i * 7 % 13) for i in range(40)], motivation=[i % 5 for i in range(40)]
)


@pytest.fixture
def drawn():
    return kk.randomise(PEOPLE, kk.Complete(kk.arms(control=1, coaching=1)), id="id", seed="timing")


def test_the_columns_of_the_register_are_known(drawn, tmp_path):
    assert drawn.known == ("id", "age", "employed")
    assert kk.load(kk.save(drawn, tmp_path / "a.parquet")).known == drawn.known


def test_an_outcome_recorded_before_the_draw_is_refused(drawn):
    with pytest.raises(ColumnError, match="'employed' stood in the register at the draw"):
        kk.estimate_effects(drawn, AFTER, "employed")
    with pytest.raises(ColumnError, match="check_balance"):
        kk.randomisation_test(drawn, AFTER, "employed")


def test_a_covariate_measured_after_the_draw_is_refused(drawn):
    with pytest.raises(ColumnError, match="'motivation' did not stand in the register at the draw"):
        kk.estimate_effects(drawn, AFTER, "days", covariates="motivation")
    found = kk.estimate_effects(drawn, AFTER, "days", covariates="age")[0]
    assert found.error > 0


def test_unless_it_is_said_explicitly(drawn, tmp_path):
    stated = drawn.also_known("motivation")
    assert kk.estimate_effects(stated, AFTER, "days", covariates=("age", "motivation"))[0].error > 0
    assert stated.fingerprint == drawn.fingerprint
    assert "motivation" in (kk.load(kk.save(stated, tmp_path / "a.parquet")).known or ())


@pytest.mark.parametrize("names", [(), (3,), ("",)])
def test_a_statement_names_columns(drawn, names):
    with pytest.raises(DesignError, match="names of columns"):
        drawn.also_known(*names)


def test_an_allocation_made_elsewhere_is_not_judged():
    table = AFTER.assign(arm=["control", "coaching"] * 20)
    adopted = kk.adopt(table, id="id", arm="arm", design=kk.Complete(kk.arms(control=1, coaching=1)))
    assert adopted.known is None
    assert kk.estimate_effects(adopted, table, "days", covariates="motivation")[0].error > 0


def test_a_plan_refuses_them_too(drawn):
    plan = kk.Plan(
        title="timing",
        id="id",
        design=kk.Complete(kk.arms(control=1, coaching=1)),
        outcomes=(kk.Outcome("days"),),
        analyses=(kk.Analysis("days", kk.Regression(covariates=("motivation",))),),
    )
    enrolled = kk.enrol(plan, PEOPLE, "timing")
    with pytest.raises(ColumnError, match="also_known"):
        kk.analyse(plan, enrolled, AFTER)
