"""The law of lotteries: exact pairs against listing, closed forms, numbers of allocations, and the sentence."""

from __future__ import annotations

import importlib
from fractions import Fraction as F
from math import comb, factorial, log2, log10
from pathlib import Path

import numpy as np
import pytest

import kokeilu as kk
from kokeilu.errors import DesignError

LAW = importlib.import_module("kokeilu.assign.law")
SPEC = importlib.util.spec_from_file_location("designs", Path(__file__).parents[1] / "designs.py")
designs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(designs)

SMALL = {
    "id": [5, 3, 9, 1, 7, 2, 8],
    "region": ["n", "n", "s", "s", "s", "w", "n"],
    "group": [1, 2, 1, 1, 2, 2, 1],
    "office": ["a", "a", "b", "c", "c", "d", "e"],
    "by_law": ["drawn", "drawn", "drawn", "a", "drawn", "drawn", "drawn"],
    "month": [1, 1, 1, 2, 2, 2, 2],
    "age": [20, 30, 25, 60, 50, 40, 33],
}
TWO, ODD = kk.arms(a=1, b=1), kk.arms(a="0.45", b="0.45", c="0.1")
CASES = {
    "bernoulli": kk.Bernoulli(ODD),
    "complete": kk.Complete(ODD),
    "stratified": kk.Stratified(ODD, by="region"),
    "strata alone": kk.Stratified(kk.arms(a=1, b=2, c=4), by="group", leftovers="stratum"),
    "clusters": kk.Clustered(kk.Complete(TWO), by="office"),
    "clusters in strata": kk.Clustered(kk.Bernoulli(TWO), by="office"),
    "fixed": kk.Fixed(kk.Complete(TWO), column="by_law"),
    "factorial": kk.Factorial({"x": TWO, "y": kk.arms(no=2, yes=1)}),
    "merged": kk.Merged(kk.Complete(ODD), into={"a": ["a"], "any": ["b", "c"]}),
    "waves": kk.Waves(kk.Complete(TWO), wave="month"),
    "capacity": kk.CapacityLottery(1, by="region"),
    "areas": kk.Saturation(TWO, levels=(0, 0.5), area="office"),
    "steps": kk.SteppedWedge(("March", "May"), cluster="office"),
}


def drawn(design, table=SMALL):
    return kk.randomise(table, design, id="id", seed="law")


@pytest.mark.parametrize("name", CASES)
def test_formulas_agree_with_listing(name, monkeypatch):
    assignment = drawn(CASES[name])
    listed = kk.law(assignment)
    assert type(listed.pairs).__name__ == "Listed"
    monkeypatch.setattr(LAW, "LISTED_CELLS", 0)
    formula = kk.law(assignment)
    assert type(formula.pairs).__name__ != "Listed"
    assert (formula.error, formula.pair_error) == (0, 0)
    np.testing.assert_allclose(formula.marginals, listed.marginals, atol=1e-12)
    np.testing.assert_allclose(formula.matrix(), listed.matrix(), atol=1e-12)
    assert formula.sentence == listed.sentence
    assert formula.allocations == listed.allocations == assignment.lottery.count()


@pytest.mark.parametrize("name", CASES)
def test_pairs_sum_to_marginals(name):
    law = kk.law(drawn(CASES[name]))
    table = law.matrix()
    np.testing.assert_allclose(table.sum(axis=3), np.broadcast_to(law.marginals[:, None], table.shape[:3]), atol=1e-12)
    np.testing.assert_allclose(table, table.transpose(1, 0, 3, 2), atol=1e-15)


def test_closed_form_within_and_between_strata():
    people = {"id": list(range(10)), "region": ["n"] * 4 + ["s"] * 6}
    law = kk.law(drawn(kk.Stratified(TWO, by="region"), people))
    assert law.joint(0, 1)[1, 1] == pytest.approx(2 * 1 / (4 * 3))
    assert law.joint(0, 1)[0, 1] == pytest.approx(2 * 2 / (4 * 3))
    assert law.joint(4, 5)[0, 0] == pytest.approx(3 * 2 / (6 * 5))
    assert law.joint(0, 5)[1, 0] == pytest.approx(0.25)
    assert law.joint(3, 3).tolist() == [[0.5, 0], [0, 0.5]]


def test_leftovers_make_strata_dependent():
    people = {"id": [1, 2], "region": ["n", "s"]}
    balanced, alone = (
        kk.law(drawn(kk.Stratified(TWO, by="region", leftovers=rule), people)) for rule in ("balanced", "stratum")
    )
    assert balanced.joint(0, 1).tolist() == [[0, 0.5], [0.5, 0]]
    assert alone.joint(0, 1).tolist() == [[0.25, 0.25], [0.25, 0.25]]


def test_seats_over_redraws_have_a_small_error():
    people = {"id": list(range(400)), "region": [f"r{i % 40:02d}" for i in range(400)]}
    law = kk.law(drawn(kk.Stratified(kk.arms(a=1, b=1, c=5), by="region"), people), draws=4_000)
    assert law.exact
    assert 0 < law.pair_error < 0.002
    assert law.joint(0, 1).sum(axis=1) == pytest.approx([1 / 7, 1 / 7, 5 / 7], abs=5 * law.pair_error)
    assert (
        kk.law(drawn(kk.Stratified(kk.arms(a=1, b=1, c=5), by="region", leftovers="stratum"), people)).pair_error == 0
    )


def test_numbers_of_allocations():
    assert kk.law(drawn(kk.Complete(kk.arms(a="1/2", b="1/4", c="1/4")))).allocations == 420
    hussey_hughes = {"id": list(range(24)), "site": list(range(24))}
    steps = kk.law(drawn(kk.SteppedWedge(tuple("1234"), cluster="site"), hussey_hughes))
    assert steps.allocations == factorial(24) // factorial(6) ** 4 == 2_308_743_493_056
    large = kk.law(drawn(kk.Complete(kk.arms(a=173_000, b=2_000)), {"id": np.arange(175_000)}))
    assert large.allocations is None
    assert large.log10_allocations * log2(10) == pytest.approx(15_764.460780618916, abs=1e-6)
    assert large.log10_allocations == pytest.approx(log10(comb(175_000, 2_000)), abs=1e-6)
    assert "About 10 to the power 4,745.6 possible allocations. Chances of two people: exact." in str(large)


def test_a_lawyer_can_read_it():
    assert kk.law(drawn(kk.Complete(TWO))).sentence == "Everybody has exactly the same chance: a 1/2; b 1/2."
    offices = kk.law(drawn(kk.CapacityLottery(1, by="region")))
    assert offices.equal_within_strata
    assert not offices.equal_overall
    assert offices.sentence == (
        "Within each of the 3 strata everybody has exactly the same chance; between strata the chances differ by "
        "design: waiting list from 0 to 0.6667; offered from 0.3333 to 1."
    )
    unequal = kk.law(drawn(kk.Rerandomised(kk.Complete(kk.arms(a=4, b=3)), on="age", accept=0.1)))
    assert unequal.exact
    assert not unequal.equal_within_strata
    assert unequal.sentence.startswith("Not everybody in the register has the same chance: a from ")
    assert [row["certain"] for row in offices.rows()] == [0, 1]


def test_estimated_chances_are_said_to_be_estimated():
    table = designs.register()
    waves = kk.law(kk.randomise(table, designs.DESIGNS["Adaptive"], id="id", seed="x"))
    assert not waves.exact
    assert "exactly the same chance, by the rule; how large was estimated from 2,500 redraws" in waves.sentence
    screened = kk.law(kk.randomise(table, designs.DESIGNS["Rerandomised, unequal"], id="id", seed="x"))
    assert 0 < screened.error < 0.02
    assert "estimated from 2,000 redraws" in screened.sentence


class Lopsided:
    """Gives the first of 60 people the second arm twice as often as it says of nobody."""

    arms, n_units = TWO, 60

    def draw(self, stream, size):
        codes = (stream.words(size, 60) >> np.uint64(63)).astype(np.int8)
        codes[:, 0] |= (stream.child("more").words(size, 1)[:, 0] >> np.uint64(63)).astype(np.int8)
        return codes


def test_a_lottery_that_knows_nothing_is_judged_by_its_redraws():
    law = kk.law(Lopsided(), draws=4_000)
    assert not law.equal_within_strata
    assert law.marginals[0, 1] == pytest.approx(0.75, abs=5 * law.error)
    assert law.sentence.startswith(
        "Not everybody in the same stratum has the same chance (estimated from 4,000 redraws"
    )
    assert law.pair_error == pytest.approx(0.5 / np.sqrt(4_000))
    assert law.joint(1, 2) == pytest.approx(np.full((2, 2), 0.25), abs=5 * law.pair_error)


def test_unknown_positions_and_large_tables_are_refused():
    law = kk.law(drawn(kk.Complete(TWO)))
    with pytest.raises(DesignError, match="positions go from 0 to 6; got 7"):
        law.joint(0, 7)
    many = kk.law(drawn(kk.Complete(TWO), {"id": list(range(201))}))
    with pytest.raises(DesignError, match="given up to 200"):
        many.matrix()
    with pytest.raises(DesignError, match="law needs a lottery or an assignment; got Complete"):
        kk.law(kk.Complete(TWO))
    with pytest.raises(DesignError, match="draws must be at least 100"):
        kk.law(drawn(kk.Complete(TWO)), draws=5)
    assert law.arms.shares == (F(1, 2), F(1, 2))
