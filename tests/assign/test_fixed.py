"""Fixed people: laws, probabilities 1 and 0, and that nobody is dropped."""

from __future__ import annotations

import numpy as np
import pytest

import kokeilu as kk
from kokeilu.core.register import read_register
from kokeilu.core.registry import decode, encode
from kokeilu.errors import DesignError
from kokeilu.testing import mechanism_laws

HALVES = kk.arms(control=1, coaching=1)
SMALL = {
    "id": [5, 3, 9, 1, 7, 2, 8],
    "group": [1, 2, 1, 1, 2, 2, 1],
    "home": ["a", "b", "b", "c", "c", "d", "e"],
    "law": ["drawn", "coaching", "drawn", "drawn", "control", "drawn", "drawn"],
}
INSTANCES = [
    (kk.Fixed(kk.Complete(HALVES), column="law"), SMALL),
    (kk.Fixed(kk.Stratified(kk.arms(control=2, coaching=1), by="group"), column="law"), SMALL),
    (kk.Fixed(kk.Clustered(kk.Complete(HALVES), by="home"), column="law"), SMALL),
    (kk.Clustered(kk.Fixed(kk.Complete(HALVES), column="law"), by="home"),
     {**SMALL, "law": ["drawn", "coaching", "coaching", "drawn", "drawn", "drawn", "drawn"]}),
    (kk.Fixed(kk.Complete(HALVES), column="law", values={"must": "coaching"}),
     {**SMALL, "law": ["drawn", "must", "drawn", "drawn", "must", "drawn", "drawn"]}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("law", "mechanism", "register"), mechanism_laws(INSTANCES), ids=lambda v: getattr(v, "__name__", "")
)
def test_law_holds(law, mechanism, register):
    law(mechanism, register)


def test_the_fixed_are_certain_and_counted():
    assignment = kk.randomise(SMALL, INSTANCES[0][0], id="id", seed="published")
    shares = kk.shares_of(assignment.lottery)
    assert assignment.ids.to_list() == [1, 2, 3, 5, 7, 8, 9]
    np.testing.assert_array_equal(shares[[2, 4]], [[0, 1], [1, 0]])
    np.testing.assert_array_equal(np.delete(shares, [2, 4], axis=0), np.full((5, 2), 0.5))
    assert sum(assignment.counts().values()) == 7
    assert [row["expected"] for row in assignment.rows()] == [3.5, 3.5]
    assert assignment.lottery.count() == 20


def test_estimates_leave_the_fixed_out_and_say_how_many():
    n = 60
    law = ["coaching" if i % 10 == 0 else "control" if i % 10 == 1 else "drawn" for i in range(n)]
    table = {"id": list(range(n)), "law": law, "y": np.random.default_rng(2).normal(size=n)}
    register = {"id": table["id"], "law": law}
    assignment = kk.randomise(register, kk.Fixed(kk.Complete(HALVES), column="law"), id="id", seed="published")
    found = kk.estimate_effects(assignment, table, "y")[0]
    assert any("12 people who had no chance of one of the arms" in note for note in found.notes)
    drawn = np.array(law) == "drawn"
    y, codes = table["y"][drawn], assignment.codes[drawn]
    assert found.value == pytest.approx(y[codes == 1].mean() - y[codes == 0].mean())
    again = kk.randomise({"id": np.flatnonzero(drawn).tolist()}, kk.Complete(HALVES), id="id", seed="published")
    np.testing.assert_array_equal(again.codes, codes)
    assert kk.check_balance(assignment, table, on=("y",), draws=99).omnibus.p_value > 0


def test_a_fixed_arm_cannot_be_another():
    lottery = INSTANCES[0][0].bind(read_register(SMALL, INSTANCES[0][0], id="id")[0])
    codes = next(kk.all_assignments(lottery))[0][0].copy()
    assert lottery.problem(codes) is None
    codes[2] = 0
    assert "1 person has another arm than 'law' fixes" in lottery.problem(codes)


def test_a_household_with_one_fixed_member_is_refused_when_drawn_whole():
    with pytest.raises(DesignError, match="2 clusters of 'home'"):
        kk.randomise(SMALL, kk.Clustered(kk.Fixed(kk.Complete(HALVES), column="law"), by="home"), id="id", seed=1)


def test_no_majority_settles_what_the_law_says():
    design = kk.Clustered(kk.Fixed(kk.Complete(HALVES), column="law"), by="home", straddling="largest")
    with pytest.raises(DesignError, match="2 clusters of 'home'"):
        kk.randomise(SMALL, design, id="id", seed=1)


def test_other_words_may_say_who_is_drawn():
    words = {"drawn": "may", "coaching": "must", "control": "must not"}
    values = {"must": "coaching", "must not": "control", "may": "drawn"}
    design = kk.Fixed(kk.Complete(HALVES), column="law", values=values)
    plain = kk.randomise(SMALL, kk.Fixed(kk.Complete(HALVES), column="law"), id="id", seed=1)
    other = kk.randomise({**SMALL, "law": [words[word] for word in SMALL["law"]]}, design, id="id", seed=1)
    np.testing.assert_array_equal(other.codes, plain.codes)
    assert decode(encode(design)) == design


@pytest.mark.parametrize(
    ("law", "says"),
    [
        (["SECRET", "SECRET", *["drawn"] * 5], r"1 value \(2 people\) that stands for no arm"),
        (["coaching"] * 7, "nobody to draw"),
    ],
)
def test_a_column_that_does_not_fit_is_refused(law, says):
    with pytest.raises(DesignError, match=says) as caught:
        kk.randomise({**SMALL, "law": law}, INSTANCES[0][0], id="id", seed=1)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: kk.Fixed(kk.Complete(HALVES), values={"drawn": "coaching"}), "cannot stand for an arm"),
        (lambda: kk.Fixed(kk.Complete(HALVES), values={"must": "coach"}), "Did you mean 'coaching'"),
        (lambda: kk.Fixed(kk.Complete(HALVES), values={"must": 5}), "named by text"),
        (lambda: kk.Fixed(kk.Complete(HALVES), values="coaching"), "must be a mapping"),
        (lambda: kk.Fixed(kk.Stratified(HALVES, by="law"), column="law"), "both the column of fixed arms"),
        (lambda: kk.Fixed(HALVES), "a mechanism to wrap"),
    ],
)
def test_contradictions_are_refused(make, says):
    with pytest.raises(DesignError, match=says):
        make()
