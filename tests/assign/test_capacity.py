"""Places, ranks, priorities, and offers down the list."""

from __future__ import annotations

from fractions import Fraction as F

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import kokeilu as kk
from kokeilu.errors import DataError, DesignError
from kokeilu.testing import exact_marginals, mechanism_laws

SMALL = {
    "id": [5, 3, 9, 1, 7, 2, 8],
    "office": ["n", "n", "s", "s", "s", "w", "n"],
    "group": ["y", "n", "y", "n", "n", "y", "n"],
    "places": [1, 1, 2, 2, 2, 3, 1],
    "age": [40, 20, 20, 30, 30, 20, 40],
}
TWO_COLUMNS = {"group": ("n", "y"), "age": (40, 30, 20)}
INSTANCES = [
    (kk.CapacityLottery({"n": 1, "s": 2, "w": 3}, by="office"), SMALL),
    (kk.CapacityLottery("places", by="office"), SMALL),
    (kk.CapacityLottery(3), SMALL),
    (kk.CapacityLottery(3, priority={"group": ("y", "n")}), SMALL),
    (kk.CapacityLottery(4, priority={"group": ("y", "n")}, arms=("later", "now")), SMALL),
    (kk.CapacityLottery({"n": 2, "s": 2, "w": 0}, by="office", priority=TWO_COLUMNS), SMALL),
    (kk.CapacityLottery({("n", "y"): 1, ("n", "n"): 1, ("s", "y"): 1, ("s", "n"): 0, ("w", "y"): 0},
                        by=("office", "group")), SMALL),
    (kk.Clustered(kk.CapacityLottery(2), by="office"), SMALL),
]  # fmt: skip


@pytest.mark.parametrize(
    ("law", "mechanism", "register"), mechanism_laws(INSTANCES), ids=lambda v: getattr(v, "__name__", "")
)
def test_law_holds(law, mechanism, register):
    law(mechanism, register)


def drawn(design, table=SMALL, seed="places"):
    return kk.randomise(table, design, id="id", seed=seed)


def chances(assignment):
    return dict(zip(assignment.ids.to_list(), assignment.lottery.shares()[:, 1].tolist(), strict=True))


def test_chances_are_places_over_seekers_and_certain_where_places_are_enough():
    lottery = drawn(kk.CapacityLottery("places", by="office"))
    assert chances(lottery) == pytest.approx({1: 2 / 3, 2: 1, 3: 1 / 3, 5: 1 / 3, 7: 2 / 3, 8: 1 / 3, 9: 2 / 3})
    assert lottery.arms.shares == (F(3, 7), F(4, 7))
    assert np.abs(exact_marginals(lottery.lottery) - lottery.lottery.shares()).max() < 1e-12


@pytest.mark.parametrize(("n", "places"), [(7, 3), (40, 11), (2, 1)])
def test_two_people_are_both_offered_with_c_c_minus_1_over_n_n_minus_1(n, places):
    law = kk.law(drawn(kk.CapacityLottery(places), {"id": list(range(n))}))
    assert law.joint(0, 1)[1, 1] == pytest.approx(places * (places - 1) / (n * (n - 1)), abs=1e-15)


def test_priorities_make_chances_one_the_rest_over_the_group_or_nought():
    design = kk.CapacityLottery(4, priority={"group": ("y", "n")})
    assert chances(drawn(design)) == {5: 1, 9: 1, 2: 1, 3: 0.25, 1: 0.25, 7: 0.25, 8: 0.25}
    assert set(chances(drawn(kk.CapacityLottery(2, priority={"group": ("y", "n")}))).values()) == {2 / 3, 0}
    second = kk.CapacityLottery(2, priority={"group": ("y", "n"), "age": (20, 30, 40)})
    assert chances(drawn(second)) == {9: 1, 2: 1, 5: 0, 3: 0, 1: 0, 7: 0, 8: 0}


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), min_size=2, max_size=30),
    st.fixed_dictionaries({office: st.integers(0, 8) for office in "abc"}),
)
def test_first_offers_are_the_ranks_up_to_the_places(people, places):
    offices, groups = zip(*people, strict=True)
    assume(any(places[office] for office in offices))
    table = {"id": list(range(len(people))), "office": list(offices), "group": list(groups)}
    lottery = drawn(kk.CapacityLottery(places, by="office", priority={"group": tuple("zxy")}), table).lottery
    stream = drawn(kk.CapacityLottery(1), table).stream("ranks")
    ranks, codes = lottery.ranks(stream, 6), lottery.draw(stream, 6)
    limit = np.array([places[office] for office in offices])
    assert np.array_equal(codes == 1, ranks <= limit)
    turn = np.array(["zxy".index(group) for group in groups])
    for office in set(offices):
        here = np.flatnonzero(np.array(offices) == office)
        assert np.array_equal(np.sort(ranks[:, here], axis=1), np.tile(np.arange(1, len(here) + 1), (6, 1)))
        order = np.argsort(ranks[:, here], axis=1)
        assert (np.diff(turn[here][order], axis=1) >= 0).all()


def test_every_rank_is_as_likely():
    assignment = drawn(kk.CapacityLottery(2), {"id": [1, 2, 3, 4]})
    ranks = assignment.lottery.ranks(assignment.stream("many"), 8_000)
    for person in range(4):
        assert np.abs(np.bincount(ranks[:, person], minlength=5)[1:] / 8_000 - 0.25).max() < 0.025


def test_offers_go_down_the_list():
    people = {"id": list(range(10, 22)), "office": ["a"] * 8 + ["b"] * 4}
    assignment = drawn(kk.CapacityLottery({"a": 3, "b": 4}, by="office"), people)
    first = kk.offers(assignment)
    by_rank = {row[0]: row[1] for row in zip(first.people()["rank"][:8], first.people()["id"][:8], strict=True)}
    assert first.offered.tolist() == first.first.tolist() == (assignment.codes == 1).tolist()
    assert [row["places_left"] for row in first.rows()] == [0, 0]

    later = kk.offers(assignment, declined=[by_rank[1], by_rank[3]])
    state = dict(zip(later.people()["id"], later.people()["state"], strict=True))
    assert [state[by_rank[rank]] for rank in range(1, 7)] == [
        "first offer, declined",
        "first offer",
        "first offer, declined",
        "replacement offer",
        "replacement offer",
        "waiting",
    ]
    assert later.rows()[0] == {
        "list": "a",
        "seekers": 8,
        "places": 3,
        "first_offers": 3,
        "declined": 2,
        "replacement_offers": 2,
        "waiting": 3,
        "places_left": 0,
    }
    more = kk.offers(assignment, {"a": 5, "b": 1}, declined=np.array([by_rank[1]]))
    assert [(row["first_offers"], row["replacement_offers"]) for row in more.rows()] == [(3, 3), (4, 0)]


def test_lists_that_run_out_leave_places():
    assignment = drawn(kk.CapacityLottery(5), {"id": ["p", "q", "r"]})
    now = kk.offers(assignment, declined=["q"])
    assert now.rows()[0] | {"list": ""} == {
        "list": "",
        "seekers": 3,
        "places": 5,
        "first_offers": 3,
        "declined": 1,
        "replacement_offers": 0,
        "waiting": 0,
        "places_left": 3,
    }


def test_offers_are_refused_where_ranks_or_people_are_not_known():
    assignment = drawn(kk.CapacityLottery(2))
    waiting = [person for person, code in zip(assignment.ids.to_list(), assignment.codes, strict=True) if code == 0]
    with pytest.raises(DataError, match="1 person declined without having had an offer"):
        kk.offers(assignment, declined=waiting[:1])
    with pytest.raises(DataError, match="1 person who stands on no list"):
        kk.offers(assignment, declined=[424_242])
    with pytest.raises(DataError, match="holds text, but the ids of the assignment are whole numbers"):
        kk.offers(assignment, declined=["5"])
    with pytest.raises(DataError, match="declined must be a list of ids; got str"):
        kk.offers(assignment, declined="5")
    with pytest.raises(DesignError, match="other lotteries give no ranks"):
        kk.offers(drawn(kk.Complete(kk.arms(a=1, b=1))))
    table = pd.DataFrame(SMALL).assign(got=np.where(assignment.codes == 1, "offered", "waiting list"))
    with pytest.raises(DesignError, match="made elsewhere, so its ranks are not known"):
        kk.offers(kk.adopt(table, arm="got", design=kk.CapacityLottery(2), id="id"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"places": {"n": 1}, "by": "office"}, "2 lists of the register, of 3, have no places"),
        ({"places": {"n": 1, "S": 2, "w": 1}, "by": "office"}, "Stated but not in the register: 'S'"),
        ({"places": {"n": 1}}, "name them in `by`"),
        ({"places": {}, "by": "office"}, "at least one"),
        ({"places": {"n": -1}, "by": "office"}, "must be at least 0"),
        ({"places": 1.5}, "must be a whole number"),
        ({"places": {("n", "y"): 1}, "by": "office"}, "keyed by 2 values, but `by` names 1"),
        ({"places": {1: 2, "1": 3}, "by": "office"}, "state every list once"),
        ({"places": "group", "by": "office"}, "must hold the number of places; it holds text"),
        ({"places": "age", "by": "office"}, "vary within 2 lists of 3"),
        ({"places": 2, "priority": {"group": ("y",)}}, "4 people of the register have a level of 'group'"),
        ({"places": 2, "priority": {"group": ("y", "y")}}, "each level of a column once"),
        ({"places": 2, "priority": "group"}, "priority must be a mapping"),
        ({"places": 2, "by": "group", "priority": {"group": ("y", "n")}}, "cannot be both a priority and a list"),
        ({"places": 2, "arms": ("one", "two", "three")}, "has two arms"),
    ],
)
def test_contradictions_are_refused(arguments, says):
    stated = dict(arguments)
    with pytest.raises(DesignError, match=says):
        drawn(kk.CapacityLottery(stated.pop("places"), **stated))


def test_places_that_are_no_whole_number_are_refused_without_the_value():
    with pytest.raises(DataError, match="must hold whole numbers of places") as caught:
        drawn(kk.CapacityLottery("places"), SMALL | {"places": [987.5] * 7})
    assert "987" not in str(caught.value)


def test_the_rule_reads_well():
    design = kk.CapacityLottery("places", by="office", priority={"group": ("y", "n")})
    says = "Places by office, drawn by rank (priority to group: y before n): as many as 'places' says; first offers"
    assert design.describe().startswith(says)


@pytest.mark.parametrize(
    ("places", "says"), [(("a", "a"), "must be a mapping"), (10**30, "at most 2"), ({"Pori": 10**30}, "at most 2")]
)
def test_places_that_no_lottery_has_are_refused(places, says):
    with pytest.raises(DesignError, match=says):
        kk.CapacityLottery(places, by="office")


def test_without_any_place_there_is_nothing_to_draw():
    with pytest.raises(DesignError, match="no places on any list"):
        kk.randomise({"id": list(range(6))}, kk.CapacityLottery(0), id="id", seed="none")
