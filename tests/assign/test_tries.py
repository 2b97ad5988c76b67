"""Tries are the same however they are drawn: in batches, by strata, with or without a sieve before the screen."""

from __future__ import annotations

import numpy as np
import pytest

import kokeilu as kk
from kokeilu._kernels import quick_seats
from kokeilu._kernels.sieve import Sieve
from kokeilu._kernels.streams import Seed
from kokeilu.assign import _tries as module
from kokeilu.core.lottery import cells_of
from kokeilu.core.register import read_register

HALVES, UNEVEN, THREE = kk.arms(a=1, b=1), kk.arms(a=2, b=1), kk.arms(a=1, b=1, c=1)
BASES = {
    "two arms": kk.Complete(HALVES),
    "left-over seats": kk.Complete(UNEVEN),
    "three arms": kk.Complete(THREE),
    "four unequal arms": kk.Complete(kk.arms(a=4, b=3, c=2, d=1)),
    "strata": kk.Stratified(HALVES, by="g"),
    "three arms in strata": kk.Stratified(kk.arms(a=3, b=2, c=2), by="g"),
    "each alone": kk.Bernoulli(UNEVEN),
    "clusters": kk.Clustered(kk.Complete(UNEVEN), by="o"),
}
NAMES = ("x0", "x1", "x2")


def table(n=401):
    uniform = Seed.of("tries").stream("x").doubles(n, 3)
    return {
        "id": np.arange(n),
        "g": [f"g{(i * i) % 5 // 2}" for i in range(n)],
        "o": [f"o{i // 3}" for i in range(n)],
        **{name: -np.log1p(-uniform[:, j]) for j, name in enumerate(NAMES)},
    }


def bind(base, **how):
    design = kk.Rerandomised(base, on=NAMES, **(how or {"accept": 0.03}))
    return design.bind(read_register(table(), design, id="id")[0])


def stream():
    return Seed.of("tries").stream("draws")


@pytest.mark.parametrize("how", [{"accept": 0.03}, {"accept": 0.6}, {"draws": 12}], ids=["few", "most", "best"])
@pytest.mark.parametrize("name", BASES)
def test_neither_sieve_nor_batch_nor_processor_shows(name, how, monkeypatch):
    lottery = bind(BASES[name], **how)
    whole, tries = lottery.draw(stream(), 6), lottery.accepted_tries(stream(), 6)
    with monkeypatch.context() as patch:
        patch.setattr(Sieve, "near", lambda _, totals, moves=None: np.ones(len(totals[0]), dtype=bool))
        patch.setattr(
            Sieve, "bounds", lambda _, totals: (np.zeros((len(totals[0]), 1)), np.full((len(totals[0]), 1), 9e9))
        )
        fresh = bind(BASES[name], **how)
        assert np.array_equal(fresh.draw(stream(), 6), whole)
        assert np.array_equal(fresh.accepted_tries(stream(), 6), tries)
    for cells, seats in ((1_300, 2**18), (401, 1), (2**22, 2**22)):
        with monkeypatch.context() as patch:
            patch.setattr(module, "BATCH_CELLS", cells)
            patch.setattr(module, "SEAT_CELLS", seats)
            assert np.array_equal(lottery.draw(stream(), 6), whole)
    for kind in (np.uint16, np.uint32, None):
        with monkeypatch.context() as patch:
            patch.setattr(quick_seats, "_selected_kind", lambda kind=kind: kind)
            assert np.array_equal(lottery.draw(stream(), 6), whole)


@pytest.mark.parametrize("name", BASES)
def test_the_draw_is_one_of_the_rows_and_the_first_accepted(name):
    lottery = bind(BASES[name])
    for row, number in enumerate(lottery.accepted_tries(stream(), 4).tolist()):
        rows = lottery.tries.rows(stream().child(f"draw {row}"), number + 1)
        assert lottery.tries.accepted(rows).tolist() == [False] * number + [True]
        assert np.array_equal(rows[-1], lottery.draw(stream().skip(row), 1)[0])


def test_many_ties_are_put_in_order_before_the_screen_looks(monkeypatch):
    whole = module.short_keys
    for where in (module, quick_seats):
        monkeypatch.setattr(where, "short_keys", lambda *args: whole(*args) % np.uint16(37))
    for base in (BASES["left-over seats"], BASES["three arms in strata"]):
        lottery = bind(base)
        taken = lottery.accepted_tries(stream(), 3).tolist()
        for row, number in enumerate(taken):
            rows = lottery.tries.rows(stream().child(f"draw {row}"), number + 1)
            assert lottery.tries.accepted(rows).tolist() == [False] * number + [True]
            assert np.array_equal(rows[-1], lottery.draw(stream().skip(row), 1)[0])


def test_a_first_sieve_stands_only_where_it_holds_back_enough():
    assert bind(BASES["two arms"]).tries._first_sieve is None
    assert bind(BASES["clusters"]).tries._first_sieve is None
    assert bind(BASES["three arms"]).tries._first_sieve is not None
    assert bind(BASES["three arms"], accept=0.9).tries._first_sieve is None
    assert module.passing(bind(BASES["two arms"]).screen) == pytest.approx(0.03)


def test_strata_are_laid_one_after_the_other_and_put_back():
    lottery = bind(BASES["three arms in strata"])
    strata = cells_of(lottery).strata
    (block,) = lottery.tries.blocks(stream(), 3, 3)
    assert np.array_equal(lottery.tries.people(block.codes), lottery.tries.rows(stream(), 3))
    laid = np.sort(strata, kind="stable")
    for s in range(int(strata.max()) + 1):
        own = lottery.tries.rows(stream(), 3)[:, strata == s]
        assert np.array_equal(block.codes[:, laid == s], own)
