"""Crossed factors: laws, joint balance of cells and margins, contrasts and main effects."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kokeilu as kk
from kokeilu.core.register import read_register
from kokeilu.errors import DesignError
from kokeilu.testing import exact_marginals, mechanism_laws

TWO = kk.arms(no=1, yes=1)
SMALL = {"id": [5, 3, 9, 1, 7, 2, 8], "group": [1, 2, 1, 1, 2, 2, 1]}
COACH_VOUCHER = kk.Factorial({"coach": TWO, "voucher": TWO})
INSTANCES = [
    (COACH_VOUCHER, SMALL),
    (kk.Factorial({"coach": TWO, "voucher": kk.arms(no=2, yes=1)}), SMALL),
    (kk.Factorial({"coach": TWO, "voucher": kk.arms(no=1, low=1, high=1)}), SMALL),
    (kk.Factorial({"coach": TWO, "voucher": TWO}, by="group"), SMALL),
    (kk.Factorial({"coach": TWO, "voucher": TWO}, by="group", leftovers="stratum"), SMALL),
    (kk.Factorial({"a": TWO, "b": TWO, "c": TWO}), {"id": list(range(8))}),
]


def lottery_of(design, n):
    return design.bind(read_register({"id": list(range(n))}, design, id="id")[0])


@pytest.mark.parametrize(
    ("law", "mechanism", "register"), mechanism_laws(INSTANCES), ids=lambda v: getattr(v, "__name__", "")
)
def test_law_holds(law, mechanism, register):
    law(mechanism, register)


def test_two_seats_left_over_lie_on_a_diagonal():
    # Six people, four cells of 3/2: two seats drawn without regard to the factors could both be coach=yes.
    lottery = lottery_of(COACH_VOUCHER, 6)
    tables = {tuple(np.bincount(row, minlength=4)) for codes, _ in kk.all_assignments(lottery) for row in codes}
    assert tables == {(2, 1, 1, 2), (1, 2, 2, 1)}
    assert lottery.count() == 2 * 180
    np.testing.assert_allclose(exact_marginals(lottery), 0.25, atol=1e-12)
    assert "totals of a factor" in lottery.problem(np.array([0, 0, 1, 1, 2, 3], dtype=np.int8))
    assert "arm counts" in lottery.problem(np.array([0, 0, 0, 1, 2, 3], dtype=np.int8))


def test_the_pair_law_follows_from_the_diagonals():
    lottery = lottery_of(COACH_VOUCHER, 6)
    codes = np.concatenate([c for c, _ in kk.all_assignments(lottery)])
    chances = np.concatenate([p for _, p in kk.all_assignments(lottery)])
    # Cells of 1 or 2 seats by a fair coin: E[N (N - 1)] = 1, E[N_00 N_11] = (1 + 4) / 2, E[N_00 N_01] = 2.
    expected = {(0, 0): 1 / 30, (0, 3): 2.5 / 30, (0, 1): 2 / 30}
    for (a, b), chance in expected.items():
        assert chances @ ((codes[:, 0] == a) & (codes[:, 1] == b)) == pytest.approx(chance, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(9, 60), parts=st.lists(st.integers(1, 5), min_size=2, max_size=3), seed=st.integers(0, 99))
def test_cells_and_both_margins_are_within_one_seat(n, parts, seed):
    design = kk.Factorial({"a": kk.arms(no=2, yes=1), "b": kk.arms({f"l{i}": p for i, p in enumerate(parts)})})
    codes = kk.randomise({"id": list(range(n))}, design, id="id", seed=seed).codes
    counts = np.bincount(codes, minlength=len(design.arms)).reshape(2, -1)
    targets = n * np.array([float(s) for s in design.arms.shares]).reshape(2, -1)
    for axis in (None, 0, 1):
        gap = counts - targets if axis is None else counts.sum(axis=axis) - targets.sum(axis=axis)
        assert np.abs(gap).max() < 1


def test_cells_in_strata_are_within_one_seat():
    design = kk.Factorial({"coach": TWO, "voucher": kk.arms(no=2, yes=1)}, by="office")
    table = {"id": list(range(97)), "office": [i * i % 11 for i in range(97)]}
    assignment = kk.randomise(table, design, id="id", seed=4)
    strata = assignment.population.factor("office").codes
    counts = np.bincount(strata * 4 + assignment.codes, minlength=(strata.max() + 1) * 4).reshape(-1, 4)
    targets = np.bincount(strata)[:, None] * np.array([1 / 3, 1 / 6, 1 / 3, 1 / 6])
    assert np.abs(counts - targets).max() < 1
    assert np.abs((counts - targets).sum(axis=0)).max() < 1


def test_contrasts_differ_in_one_factor():
    design = kk.Factorial({"coach": TWO, "voucher": kk.arms(no=1, low=1, high=1)})
    assert design.contrasts("coach")[0] == ("coach=yes, voucher=no", "coach=no, voucher=no")
    assert len(design.contrasts("coach")) == 3
    assert len(design.contrasts("voucher")) == 4
    with pytest.raises(DesignError, match="Did you mean 'coach'"):
        design.contrasts("coahc")


def test_main_effects_name_their_weights():
    design = kk.Factorial({"coach": TWO, "voucher": kk.arms(no=2, yes=1)})
    coach, voucher = design.main_effects()
    assert (coach.factor, coach.level, coach.reference) == ("coach", "yes", "no")
    assert dict(coach.weights)["coach=yes, voucher=no"] == Fraction(2, 3)
    assert dict(voucher.weights)["coach=yes, voucher=no"] == Fraction(-1, 2)
    assert sum(weight for _, weight in coach.weights) == 0


def test_the_main_effect_is_the_effect_of_the_merged_arms():
    n = 240
    table = {"id": list(range(n))}
    assignment = kk.randomise(table, COACH_VOUCHER, id="id", seed="published")
    coach = kk.merge_arms(assignment, COACH_VOUCHER.factor("coach"))
    assert coach.counts() == {"coach=no": 120, "coach=yes": 120}
    rng = np.random.default_rng(8)
    y = rng.normal(size=n) + np.array([0.0, 1.0, 2.0, 5.0])[assignment.codes]
    found = kk.estimate_effects(coach, {**table, "y": y}, "y")[0]
    means = np.array([y[assignment.codes == k].mean() for k in range(4)])
    weights = np.array([float(w) for _, w in COACH_VOUCHER.main_effects()[0].weights])
    assert found.value == pytest.approx(means @ weights)
    spread = np.array([y[assignment.codes == k].var(ddof=1) / 60 for k in range(4)])
    assert found.error > np.sqrt(spread @ weights**2)
    cells = kk.estimate_effects(assignment, {**table, "y": y}, "y", contrasts=COACH_VOUCHER.contrasts("coach"))
    assert cells[1].value == pytest.approx(means[3] - means[1])
    assert kk.verify(coach, table).verified


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: kk.Factorial({"coach": TWO}), "two or more factors"),
        (lambda: kk.Factorial({"coach": TWO, "voucher": 2}), "two or more factors"),
        (lambda: kk.Factorial(["coach", "voucher"]), "two or more factors"),
        (lambda: kk.Factorial({f"f{i}": TWO for i in range(7)}), "more than 127 combinations"),
    ],
)
def test_contradictions_are_refused(make, says):
    with pytest.raises(DesignError, match=says):
        make()


def test_whole_seats_or_refusal():
    with pytest.raises(DesignError, match="cannot be shared out in whole seats"):
        lottery_of(kk.Factorial({"coach": TWO, "voucher": TWO}, leftovers="refuse"), 6)
    lottery = lottery_of(kk.Factorial({"coach": TWO, "voucher": TWO}, leftovers="refuse"), 8)
    assert lottery.count() == 2520
