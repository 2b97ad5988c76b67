"""Clusters whose people stand in several strata, and clusters stratified by their own columns."""

from __future__ import annotations

import numpy as np
import pytest

import kokeilu as kk
from kokeilu.core.register import read_register
from kokeilu.core.registry import decode, encode
from kokeilu.errors import DesignError
from kokeilu.testing import mechanism_laws

HALVES = kk.arms(control=1, coaching=1)
ASTRIDE = {
    "id": [1, 2, 3, 4, 5, 6, 7, 8, 9],
    "home": ["a", "a", "a", "b", "b", "c", "c", "d", "e"],
    "region": ["n", "s", "s", "s", "n", "w", "w", "n", "w"],
    "long": [1, 0, 0, 1, 1, 1, 1, 0, 0],
}
SETTLED = kk.Clustered(kk.Stratified(HALVES, by="region"), by="home", straddling="largest")
INSTANCES = [
    (SETTLED, ASTRIDE),
    (kk.Clustered(kk.Stratified(HALVES, by=("region", "long")), by="home", straddling="largest"), ASTRIDE),
]


def lottery_of(design, register=ASTRIDE):
    return design.bind(read_register(register, design, id="id")[0])


@pytest.mark.parametrize(
    ("law", "mechanism", "register"), mechanism_laws(INSTANCES), ids=lambda v: getattr(v, "__name__", "")
)
def test_law_holds(law, mechanism, register):
    law(mechanism, register)


def test_straddling_households_are_refused_with_their_number():
    with pytest.raises(DesignError, match=r"2 clusters of 'home' \(of 5\) have people in more than one 'region'"):
        lottery_of(kk.Clustered(kk.Stratified(HALVES, by="region"), by="home"))


def test_the_cluster_takes_the_stratum_of_most_of_its_people():
    lottery = lottery_of(SETTLED)
    # a: s (two of three); b: one in n, one in s, so the first, n; c: w; d: n; e: w.
    assert lottery.base.strata.tolist() == [1, 0, 2, 0, 2]
    assert lottery.straddling == 2
    assert "in the stratum of most of their people" in SETTLED.describe()


def test_a_stratum_that_nobody_keeps_is_gone():
    table = {**ASTRIDE, "region": ["n", "n", "s", "n", "n", "w", "w", "n", "w"]}
    lottery = lottery_of(SETTLED, table)
    assert lottery.base.strata.tolist() == [0, 0, 1, 0, 1]
    assert lottery.straddling == 1


def test_several_columns_are_settled_together():
    # a: (n, 1), (s, 0), (s, 0): the pair (s, 0) as one. b: (s, 1), (n, 1): the first, (n, 1).
    lottery = lottery_of(INSTANCES[1][0])
    assert lottery.straddling == 2
    assert lottery.base.n_units == 5
    assert len(np.unique(lottery.base.strata)) == 5


def test_the_register_of_the_assignment_stays_as_it_was():
    assignment = kk.randomise(ASTRIDE, SETTLED, id="id", seed="published")
    assert assignment.to_frame()["region"].tolist() == ASTRIDE["region"]
    assert kk.verify(assignment, ASTRIDE).verified


def test_designs_without_the_rule_keep_their_fingerprint():
    plain = kk.Clustered(kk.Complete(HALVES), by="home")
    assert set(encode(plain)) == {"kind", "base", "by"}
    assert decode(encode(SETTLED)) == SETTLED
    assert decode(encode(plain)) == plain


def test_another_rule_is_refused():
    with pytest.raises(DesignError, match="straddling must be one of"):
        kk.Clustered(kk.Complete(HALVES), by="home", straddling="smallest")
