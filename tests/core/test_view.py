"""Alignment: who is used, who is missing and why; nobody disappears."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from kokeilu.errors import ColumnError, DataError

PEOPLE = {
    "id": [f"P{i}" for i in range(8)],
    "s": ["n", "n", "n", "n", "w", "w", "w", "w"],
    "h": [0, 0, 1, 1, 2, 2, 3, 3],
}


@pytest.fixture
def drawn():
    return kk.randomise(PEOPLE, kk.Stratified(kk.arms(a=1, b=1), by="s"), id="id", seed="v")


def outcomes(**changes):
    base = {"id": [f"P{i}" for i in range(8)], "y": [float(i) for i in range(8)], "age": list(range(20, 28))}
    return {**base, **changes}


def test_everybody_is_accounted_for(drawn):
    table = pd.DataFrame(outcomes(y=[0.0, None, 2, 3, 4, 5, 6, 7])).iloc[[7, 1, 0, 3, 4, 5, 6]]
    view = kk.align(drawn, table, "y")
    assert view.rows.tolist() == [0, 3, 4, 5, 6, 7]
    assert view.y.tolist() == [0, 3, 4, 5, 6, 7]
    assert np.array_equal(view.codes, drawn.codes[view.rows])
    rows = view.account.rows()
    assert sum(r["assigned"] for r in rows) == 8
    assert sum(r["not_in_table"] for r in rows) == 1
    assert sum(r["value_missing"] for r in rows) == 1
    for row in rows:
        assert row["assigned"] == row["not_in_table"] + row["value_missing"] + row["used"]
    assert sum(view.account.missing().values()) == 2


def test_strata_are_renumbered_over_the_people_used(drawn):
    table = pd.DataFrame(outcomes()).iloc[4:]
    view = kk.align(drawn, table, "y")
    assert view.strata.tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(view.shares, 0.5)


def test_clusters_come_from_the_lottery():
    drawn = kk.randomise(PEOPLE, kk.Clustered(kk.Complete(kk.arms(a=1, b=1)), by="h"), id="id", seed="v")
    view = kk.align(drawn, outcomes(), "y")
    assert view.clusters.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert view.cluster_name == "h"


def test_covariates_categories_gaps_and_constants(drawn):
    table = outcomes(
        level=["low", "high", "low", "mid", "low", "high", "low", "mid"],
        gap=[1.0, None, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
        same=[1] * 8,
        holes=["x", None, "x", "y", "x", "y", "x", "y"],
    )
    names = ("age", "level", "gap", "same", "holes")
    view = kk.align(drawn.also_known(*names), table, "y", covariates=names)
    assert view.covariate_names == (
        "age",
        "level: low",
        "level: mid",
        "gap",
        "gap (missing)",
        "holes: y",
        "holes (missing)",
    )
    assert view.covariates[1, 3] == pytest.approx(34 / 7)
    assert view.covariates[:, 4].tolist() == [0, 1, 0, 0, 0, 0, 0, 0]
    assert any("'gap' has gaps: filled with the mean, and an indicator" in note for note in view.notes)
    assert any("'same' does not vary" in note for note in view.notes)
    assert not np.isnan(view.covariates).any()


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (
            outcomes(id=[f"P{i}" for i in range(7)] + ["STRANGER"]),
            DataError,
            "has 1 person of 8 who were never assigned",
        ),
        (outcomes(id=list(range(8))), DataError, "holds whole numbers, but the assignment's ids are text"),
        (outcomes(id=["P0", "P0", *(f"P{i}" for i in range(2, 8))]), DataError, "1 id in 'id' occurs more than once"),
        (outcomes(y=[None] * 8), DataError, "'y' is missing for all 8 people"),
        (outcomes(y=[np.inf] * 8), DataError, "'y' is infinite for 8 people"),
        (outcomes(y=["x"] * 8), ColumnError, "'y' is text"),
        ({"id": ["P1"]}, ColumnError, "the outcomes table has no column 'y'"),
    ],
)
def test_tables_that_do_not_fit_are_refused(drawn, table, error, message):
    with pytest.raises(error, match=message) as info:
        kk.align(drawn, table, "y")
    assert "STRANGER" not in str(info.value)


def test_a_covariate_of_the_register_must_be_merged_in(drawn):
    with pytest.raises(ColumnError, match="no covariate column 'ages'. Did you mean 'age'.*merge it in by 'id' first"):
        kk.align(drawn, outcomes(), "y", covariates=("ages",))


def test_the_outcome_is_no_covariate(drawn):
    with pytest.raises(ColumnError, match="both the outcome and a covariate"):
        kk.align(drawn, outcomes(), "y", covariates=("y",))


def test_an_outcome_is_one_column(drawn):
    with pytest.raises(ColumnError, match="the outcome is one column, named by text; got list"):
        kk.align(drawn, outcomes(), ["y"])


def test_printing_a_view_shows_no_value(drawn):
    view = kk.align(drawn, outcomes(y=[123456.0] * 7 + [1.0]), "y")
    assert "array" not in repr(view)
