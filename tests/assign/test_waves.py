"""Waves: laws, and that later waves never move earlier ones."""

from __future__ import annotations

import numpy as np
import pytest

import kokeilu as kk
from kokeilu.core.register import read_register
from kokeilu.errors import DesignError
from kokeilu.testing import mechanism_laws

HALVES = kk.arms(control=1, coaching=1)
SMALL = {
    "id": [5, 3, 9, 1, 7, 2, 8],
    "region": ["n", "n", "s", "s", "s", "w", "n"],
    "office": ["a", "b", "c", "c", "d", "d", "e"],
    "wave": [2, 2, 1, 1, 1, 1, 2],
}
INSTANCES = [
    (kk.Waves(kk.Complete(HALVES), wave="wave"), SMALL),
    (kk.Waves(kk.Stratified(kk.arms(a=2, b=1), by="region"), wave="wave"), SMALL),
    (kk.Waves(kk.Bernoulli(HALVES), wave="wave"), SMALL),
    (kk.Waves(kk.Clustered(kk.Complete(HALVES), by="office"), wave="wave"), SMALL),
    (kk.Waves(kk.Stratified({"n": HALVES, "s": kk.arms(control=1, coaching=3), "w": HALVES}, by="region"), wave="wave"),
     SMALL),
]  # fmt: skip


@pytest.mark.parametrize(
    ("law", "mechanism", "register"), mechanism_laws(INSTANCES), ids=lambda v: getattr(v, "__name__", "")
)
def test_law_holds(law, mechanism, register):
    law(mechanism, register)


@pytest.mark.parametrize("late", ["0-early", "2027-05", "zz"])
def test_later_waves_never_move_earlier_ones(late):
    rng = np.random.default_rng(3)
    first = {"id": rng.permutation(100).tolist(), "month": ["2027-01"] * 60 + ["2027-03"] * 40}
    both = {"id": [*first["id"], *range(-50, 0), *range(500, 550)], "month": [*first["month"], *[late] * 100]}
    design = kk.Waves(kk.Complete(kk.arms(control=2, coaching=1)), wave="month")
    before = kk.randomise(first, design, id="id", seed="published")
    after = kk.randomise(both, design, id="id", seed="published")
    np.testing.assert_array_equal(after.codes[after.ids.find(before.ids.values)], before.codes)


def test_a_draw_of_all_at_once_would_move_them():
    first = {"id": list(range(60))}
    both = {"id": list(range(90))}
    design = kk.Complete(HALVES)
    before, after = (kk.randomise(table, design, id="id", seed="published") for table in (first, both))
    assert (after.codes[:60] != before.codes).any()


def test_waves_are_drawn_on_their_own():
    lottery = INSTANCES[0][0].bind(read_register(SMALL, INSTANCES[0][0], id="id")[0])
    assert lottery.count() == (3 + 3) * 6
    codes = np.concatenate([c for c, _ in kk.all_assignments(lottery)])
    chances = np.concatenate([p for _, p in kk.all_assignments(lottery)])
    one, other = (np.flatnonzero(lottery.cells().strata == s)[0] for s in (0, 1))
    both = chances @ ((codes[:, one] == 1) & (codes[:, other] == 1))
    assert both == pytest.approx(0.25, abs=1e-12)
    assert lottery.cells().names == ("wave",)


def test_an_allocation_is_judged_wave_by_wave():
    lottery = INSTANCES[0][0].bind(read_register(SMALL, INSTANCES[0][0], id="id")[0])
    assert lottery.problem(next(kk.all_assignments(lottery))[0][0]) is None
    assert "in 2 waves of 2" in lottery.problem(np.zeros(7, dtype=np.int8))


def test_a_household_in_two_waves_is_refused():
    table = {**SMALL, "wave": [2, 2, 1, 2, 1, 1, 2]}
    with pytest.raises(DesignError, match=r"1 cluster of 'office' \(of 5\) has people in more than one 'wave'"):
        kk.randomise(table, INSTANCES[3][0], id="id", seed=1)


def test_a_wave_too_small_is_refused():
    with pytest.raises(DesignError, match="1 wave of 2 by 'wave' cannot be drawn: 1 person cannot"):
        kk.randomise({**SMALL, "wave": [1, 1, 1, 1, 1, 1, 2]}, INSTANCES[0][0], id="id", seed=1)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: kk.Waves(kk.Complete, wave="wave"), "a mechanism to wrap"),
        (lambda: kk.Waves(kk.Complete(HALVES), wave=("a", "b")), "one column"),
        (lambda: kk.Waves(kk.Stratified(HALVES, by="wave"), wave="wave"), "both the wave and a column"),
    ],
)
def test_contradictions_are_refused(make, says):
    with pytest.raises(DesignError, match=says):
        make()
