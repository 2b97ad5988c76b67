"""Strata from quantile groups: laws, ties, and clusters by their size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kokeilu as kk
from kokeilu.assign.quantiles import quantile_groups
from kokeilu.errors import ColumnError, DataError, DesignError
from kokeilu.testing import mechanism_laws

HALVES = kk.arms(control=1, coaching=1)
SMALL = {
    "id": [5, 3, 9, 1, 7, 2, 8],
    "group": [1, 2, 1, 1, 2, 2, 1],
    "office": ["a", "a", "b", "c", "c", "d", "e"],
    "age": [20, 30.5, 30.5, 41, 52, 63, 20],
    "days": [1, 2, 3, 4, 5, 6, 7],
}
BY_SIZE = kk.Clustered(kk.StratifiedByQuantiles(HALVES, on={"cluster_size": 2}), by="office")
INSTANCES = [
    (kk.StratifiedByQuantiles(HALVES, on={"age": 3}), SMALL),
    (kk.StratifiedByQuantiles(kk.arms(a=2, b=1, c=1), on={"age": 2}, by="group"), SMALL),
    (kk.StratifiedByQuantiles(HALVES, on={"age": 2, "days": 2}, leftovers="stratum"), SMALL),
    (BY_SIZE, SMALL),
    (kk.Clustered(kk.StratifiedByQuantiles(HALVES, on={"age": 2}), by="office"), SMALL),
]


@pytest.mark.parametrize(
    ("law", "mechanism", "register"), mechanism_laws(INSTANCES), ids=lambda v: getattr(v, "__name__", "")
)
def test_law_holds(law, mechanism, register):
    law(mechanism, register)


def test_groups_are_equal_where_values_differ():
    assert np.bincount(quantile_groups(np.random.default_rng(1).normal(size=100), 4)).tolist() == [25] * 4
    assert quantile_groups(np.array([3.0, 1.0, 2.0, 1.0]), 2).tolist() == [1, 0, 1, 0]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.integers(2, 6))
def test_equal_values_share_a_group_and_larger_ones_are_never_below(values, groups):
    places = quantile_groups(np.array(values, dtype=float), groups)
    assert places.min() >= 0
    assert places.max() < groups
    order = np.argsort(values)
    assert (np.diff(places[order]) >= 0).all()
    assert len({(v, p) for v, p in zip(values, places.tolist(), strict=True)}) == len(set(values))


def test_clusters_are_balanced_by_their_size():
    sizes = np.arange(1, 41)
    table = {"id": list(range(sizes.sum())), "office": [f"o{o}" for o in np.repeat(np.arange(40), sizes)]}
    design = kk.Clustered(kk.StratifiedByQuantiles(HALVES, on={"cluster_size": 10}), by="office")
    lottery = kk.randomise(table, design, id="id", seed=1).lottery
    people = (lottery.draw(kk.randomise(table, design, id="id", seed=1).stream("x"), 200) == 1).sum(axis=1)
    plain = kk.randomise(table, kk.Clustered(kk.Complete(HALVES), by="office"), id="id", seed=1)
    free = (plain.lottery.draw(plain.stream("x"), 200) == 1).sum(axis=1)
    assert people.std() < free.std() / 4
    assert np.bincount(lottery.base.strata).tolist() == [4] * 10


def test_categories_and_absent_columns_are_refused():
    with pytest.raises(ColumnError, match="holds categories"):
        kk.randomise(SMALL, kk.StratifiedByQuantiles(HALVES, on={"office": 2}), id="id", seed=1)
    with pytest.raises(ColumnError, match="age"):
        kk.randomise(SMALL, kk.StratifiedByQuantiles(HALVES, on={"agee": 2}), id="id", seed=1)
    with pytest.raises(ColumnError, match="cluster_size"):
        kk.randomise(SMALL, kk.StratifiedByQuantiles(HALVES, on={"cluster_size": 2}), id="id", seed=1)
    table = {**SMALL, "age": [float("nan"), *SMALL["age"][1:]]}
    with pytest.raises(DataError, match="'age' is missing for 1 person"):
        kk.randomise(table, kk.StratifiedByQuantiles(HALVES, on={"age": 2}), id="id", seed=1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"on": {"age": 1}}, "at least 2"),
        ({"on": {}}, "a mapping of column to groups"),
        ({"on": "age"}, "a mapping of column to groups"),
        ({"on": {"age": 2}, "by": "age"}, "in `on` and in `by`"),
        ({"on": {"age": 2}, "leftovers": "none"}, "leftovers must be one of"),
    ],
)
def test_contradictions_are_refused(change, says):
    with pytest.raises(DesignError, match=says):
        kk.StratifiedByQuantiles(HALVES, **change)
    with pytest.raises(DesignError, match="needs arms"):
        kk.StratifiedByQuantiles("coaching", on={"age": 2})


def test_a_column_that_does_not_vary_makes_no_groups():
    people = {"id": list(range(10)), "age": [40.0] * 10}
    design = kk.StratifiedByQuantiles(kk.arms(control=1, coaching=1), on={"age": 4})
    with pytest.raises(DesignError, match="'age' is the same for everybody"):
        kk.randomise(people, design, id="id", seed="same")
