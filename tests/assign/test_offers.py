"""Offers down the lists through wrappers: whole clusters, waves, people fixed by law, and draws picked for balance."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from scipy import stats

import kokeilu as kk
from kokeilu._kernels.streams import Seed
from kokeilu.assign._standing import standing_of
from kokeilu.core.assignment import DRAW_STREAM
from kokeilu.errors import DataError, DesignError
from kokeilu.testing import exact_marginals, mechanism_laws

PEOPLE = {
    "id": [11, 12, 13, 14, 15, 16, 17, 18],
    "home": ["a", "a", "b", "c", "d", "d", "d", "e"],
    "office": ["n", "n", "n", "n", "s", "s", "s", "s"],
    "month": [1, 1, 2, 2, 1, 1, 1, 2],
    "law": ["drawn", "drawn", "offered", "drawn", "drawn", "drawn", "drawn", "waiting list"],
    "age": [20, 50, 30, 40, 60, 35, 25, 45],
}
CAPACITY = kk.CapacityLottery({"n": 1, "s": 1}, by="office")
WRAPPED = {
    "clusters": kk.Clustered(CAPACITY, by="home"),
    "law": kk.Fixed(CAPACITY, column="law"),
    "law in clusters": kk.Clustered(kk.Fixed(CAPACITY, column="law"), by="home"),
    "waves": kk.Waves(CAPACITY, wave="month"),
    "waves of clusters": kk.Waves(kk.Clustered(CAPACITY, by="home"), wave="month"),
    "picked": kk.Rerandomised(kk.CapacityLottery(3), on="age", accept=0.5),
    "picked clusters": kk.Rerandomised(kk.Clustered(kk.CapacityLottery(2), by="home"), on="age", accept=0.5),
    "picked within law": kk.Fixed(kk.Rerandomised(kk.CapacityLottery(3), on="age", accept=0.5), column="law"),
}
CHANCES = {
    "clusters": [1 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 2, 1 / 2, 1 / 2, 1 / 2],
    "law": [1 / 3, 1 / 3, 1, 1 / 3, 1 / 3, 1 / 3, 1 / 3, 0],
    "law in clusters": [1 / 2, 1 / 2, 1, 1 / 2, 1, 1, 1, 0],
    "waves": [1 / 2, 1 / 2, 1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 3, 1],
    "waves of clusters": [1, 1, 1 / 2, 1 / 2, 1, 1, 1, 1],
}


@pytest.mark.parametrize(
    ("law", "mechanism", "register"),
    mechanism_laws([(design, PEOPLE) for design in WRAPPED.values()]),
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_law_holds(law, mechanism, register):
    law(mechanism, register)


def drawn(name, seed="offers", table=PEOPLE):
    return kk.randomise(table, WRAPPED[name], id="id", seed=seed)


@pytest.mark.parametrize("name", CHANCES)
def test_chances_of_a_first_offer_over_all_draws(name):
    found = exact_marginals(drawn(name).lottery)[:, 1]
    np.testing.assert_allclose(found, CHANCES[name], atol=1e-12)


@pytest.mark.parametrize("name", WRAPPED)
def test_ranks_agree_with_the_draw_and_go_from_one_by_one(name):
    for seed in range(25):
        assignment = drawn(name, f"ranks {seed}")
        now = kk.offers(assignment)
        first = np.unique(now.parties, return_index=True)[1]
        for code, places in enumerate(now.places):
            here = first[now.lists[first] == code]
            assert sorted(now.ranks[here].tolist()) == list(range(1, len(here) + 1))
            assert ((assignment.codes[here] == 1) == (now.ranks[here] <= places)).all()
        assert np.array_equal(now.first, assignment.codes == 1)
        assert np.array_equal(now.offered, now.first)
        assert set(now.people()["state"]) <= {
            "first offer",
            "waiting",
            "service by law",
            "no service by law",
        }


@pytest.mark.parametrize("name", ["clusters", "law", "picked", "picked clusters"])
def test_every_order_of_a_list_is_as_likely_as_it_should_be(name):
    """Given who has a first offer, every order of those with one and of the others is as likely."""
    lottery = drawn(name).lottery
    size, orders = 3_000, Counter()
    for number in range(size):
        stream = Seed.of(number).stream("orders")
        codes = lottery.draw(stream, 1)[0]
        standing = standing_of(lottery, codes, stream)
        first = np.unique(standing.parties, return_index=True)[1]
        listed = first[standing.lists[first] == 0]
        order = listed[np.argsort(standing.ranks[listed])]
        orders[tuple(order.tolist())] += 1
    offered = Counter()
    places = int(standing.places[0])
    for order, hits in orders.items():
        offered[frozenset(order[:places])] += hits
    ways = len(list(permutations(range(places)))) * len(list(permutations(range(len(listed) - places))))
    pairs = [
        (orders.get((*front, *back), 0), hits / ways)
        for group, hits in offered.items()
        for front in permutations(sorted(group))
        for back in permutations(sorted(set(listed.tolist()) - group))
    ]
    seen, expected = np.array(pairs).T
    if name in ("clusters", "law"):
        assert len(offered) == 3
    assert stats.chisquare(seen, expected).statistic < stats.chi2.ppf(1 - 1e-6, len(pairs) - len(offered))


def test_a_household_takes_one_place_until_all_of_it_declined():
    table = {"id": list(range(10)), "home": [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]}
    assignment = kk.randomise(table, kk.Clustered(kk.CapacityLottery(2), by="home"), id="id", seed="homes")
    first = kk.offers(assignment)
    assert first.rows() == [
        {
            "list": "all",
            "people": 10,
            "seekers": 5,
            "places": 2,
            "first_offers": 2,
            "declined": 0,
            "replacement_offers": 0,
            "waiting": 3,
            "places_left": 0,
        }
    ]
    best = np.flatnonzero(first.ranks == 1).tolist()
    assert len(best) == 2
    one = kk.offers(assignment, declined=best[:1])
    assert one.offered.sum() == 4
    assert one.rows()[0]["declined"] == 0
    both = kk.offers(assignment, declined=best)
    assert np.flatnonzero(both.offered & ~both.first).tolist() == np.flatnonzero(both.ranks == 3).tolist()
    row = both.rows()[0]
    assert (row["declined"], row["replacement_offers"], row["waiting"], row["places_left"]) == (1, 1, 2, 0)
    assert both.people()["rank"] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    with pytest.raises(DataError, match="2 people declined without having had an offer"):
        kk.offers(assignment, declined=np.flatnonzero(first.ranks == 3).tolist())


def test_those_whom_the_law_fixes_stand_on_no_list():
    assignment = drawn("law")
    now = kk.offers(assignment)
    states = dict(zip(now.people()["id"], now.people()["state"], strict=True))
    assert (states[13], states[18]) == ("service by law", "no service by law")
    assert now.people()["id"][-2:] == [13, 18]
    assert now.people()["list"][-2:] == ["by law", "by law"]
    assert [row["list"] for row in now.rows()] == ["n", "s", "by law"]
    law = now.rows()[-1]
    assert (law["seekers"], law["first_offers"], law["waiting"]) == (2, 1, 0)
    assert sum(row["first_offers"] for row in now.rows()) == (assignment.codes == 1).sum()
    more = kk.offers(assignment, {"n": 2, "s": 1})
    assert [row["replacement_offers"] for row in more.rows()] == [1, 0, 0]
    with pytest.raises(DataError, match="1 person declined whose arm the law fixes"):
        kk.offers(assignment, declined=[13])


def test_waves_have_lists_of_their_own():
    assignment = drawn("waves")
    now = kk.offers(assignment)
    assert [row["list"] for row in now.rows()] == ["1 × n", "1 × s", "2 × n", "2 × s"]
    assert [row["seekers"] for row in now.rows()] == [2, 3, 2, 1]
    later = kk.offers(assignment, {(1, "n"): 1, (1, "s"): 3, (2, "n"): 0, (2, "s"): 5})
    assert [row["replacement_offers"] for row in later.rows()] == [0, 2, 0, 0]
    assert [row["places_left"] for row in later.rows()] == [0, 0, 0, 4]
    with pytest.raises(DesignError, match="keyed by 1 values, but `by` names 2"):
        kk.offers(assignment, {"n": 1, "s": 1})
    alone = {
        name: [v for v, m in zip(values, PEOPLE["month"], strict=True) if m == 1] for name, values in PEOPLE.items()
    }
    before = kk.offers(drawn("waves", table=alone))
    mine = np.array(PEOPLE["month"]) == 1
    assert now.ranks[mine].tolist() == before.ranks.tolist()


def test_wrappers_that_leave_no_ranks_say_why():
    swapped = kk.merge_arms(
        kk.randomise(PEOPLE, CAPACITY, id="id", seed="m"), {"in": ["offered"], "out": ["waiting list"]}
    )
    with pytest.raises(DesignError, match="as it was drawn, before merge_arms"):
        kk.offers(swapped)
    outside = kk.Rerandomised(kk.Waves(kk.CapacityLottery(1), wave="month"), on="age", accept=0.5)
    with pytest.raises(DesignError, match="Put Waves and Fixed outside"):
        kk.offers(kk.randomise(PEOPLE, outside, id="id", seed="m"))
    with pytest.raises(DesignError, match="other lotteries give no ranks"):
        kk.offers(kk.randomise(PEOPLE, kk.Clustered(kk.Complete(kk.arms(a=1, b=1)), by="home"), id="id", seed="m"))
    elsewhere = replace(drawn("clusters"), seed=None)
    with pytest.raises(DesignError, match="made elsewhere, so its ranks are not known"):
        kk.offers(elsewhere)


def test_the_draw_is_the_one_that_was_published():
    assignment = drawn("picked clusters")
    standing = standing_of(assignment.lottery, assignment.codes, assignment.stream(DRAW_STREAM))
    assert kk.offers(assignment).ranks.tolist() == standing.ranks.tolist()
    assert kk.verify(assignment, PEOPLE).verified
