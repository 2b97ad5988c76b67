"""Every mechanism keeps every law: on fixed cases by enumeration, and under Hypothesis."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kokeilu as kk
from kokeilu.errors import DesignError
from kokeilu.testing import check_mechanism, designs, mechanism_laws, registers, share_lists

SMALL = {
    "id": [5, 3, 9, 1, 7, 2, 8],
    "region": ["n", "n", "s", "s", "s", "w", "n"],
    "group": [1, 2, 1, 1, 2, 2, 1],
    "office": ["a", "a", "b", "c", "c", "d", "e"],
}
HALVES, THIRDS = kk.arms(control=1, coaching=1), kk.arms(control=2, coach=1, voucher="3")
ODD = kk.arms(a="0.45", b="0.45", c="0.1")
BY_REGION = {"n": kk.arms(a=1, b=1), "s": kk.arms(a=1, b=2), "w": kk.arms(a=0, b=1)}

INSTANCES = [
    (kk.Bernoulli(HALVES), SMALL),
    (kk.Bernoulli(BY_REGION, by="region"), SMALL),
    (kk.Complete(HALVES), SMALL),
    (kk.Complete(THIRDS), SMALL),
    (kk.Complete(ODD), SMALL),
    (kk.Stratified(HALVES, by="region"), SMALL),
    (kk.Stratified(THIRDS, by=("region", "group")), SMALL),
    (kk.Stratified(THIRDS, by="region", leftovers="stratum"), SMALL),
    (kk.Stratified(BY_REGION, by="region"), SMALL),
    (kk.Stratified(ODD, by="group", leftovers="stratum"), SMALL),
    (kk.Clustered(kk.Complete(HALVES), by="office"), SMALL),
    (kk.Clustered(kk.Stratified(HALVES, by="region"), by="office"), SMALL),
    (kk.Clustered(kk.Bernoulli(THIRDS), by="office"), SMALL),
]


@pytest.mark.parametrize(
    ("law", "mechanism", "register"), mechanism_laws(INSTANCES), ids=lambda v: getattr(v, "__name__", "")
)
def test_law_holds(law, mechanism, register):
    law(mechanism, register)


MAKERS = {
    "bernoulli": kk.Bernoulli,
    "complete": kk.Complete,
    "stratified": lambda arms: kk.Stratified(arms, by="stratum"),
    "independent strata": lambda arms: kk.Stratified(arms, by="stratum", leftovers="stratum"),
    "clustered": lambda arms: kk.Clustered(kk.Complete(arms), by="cluster"),
    "stratified clusters": lambda arms: kk.Clustered(kk.Stratified(arms, by="stratum"), by="cluster"),
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(register=registers(), data=st.data())
def test_laws_hold_for_any_register_and_shares(register, data):
    mechanism = data.draw(designs(data.draw(share_lists()), MAKERS))
    try:
        kk.randomise(register, mechanism, id="id", seed="possible?")
    except DesignError:
        return
    check_mechanism(mechanism, register)


class Lopsided:
    """A mechanism that gives the first person the first arm always: it must fail the laws."""

    arms = HALVES

    def columns(self):
        return ()

    def bind(self, population):
        honest = kk.Complete(HALVES).bind(population)

        class Lottery:
            arms, n_units = HALVES, len(population)

            def draw(self, stream, size):
                codes = honest.draw(stream, size)
                codes[:, 0] = 0
                return codes

            def shares(self):
                return honest.shares()

        return Lottery()

    def describe(self):
        return ""


def test_laws_find_a_lopsided_mechanism():
    with pytest.raises(AssertionError, match="a share of arm 0 is off"):
        check_mechanism(Lopsided(), SMALL)
