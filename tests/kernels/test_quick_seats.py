"""Short keys give every order the same probability, and no batch shows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from kokeilu._kernels import quick_seats as module
from kokeilu._kernels.quick_seats import quick_seats
from kokeilu._kernels.streams import Seed

STREAM = Seed.of("quick seats").stream("t")


KINDS = [np.uint16, np.uint32, None]


@pytest.fixture(autouse=True, params=KINDS, ids=["16 bits", "32 bits", "sort"])
def processor(request, monkeypatch):
    monkeypatch.setattr(module, "_selected_kind", lambda: request.param)


@pytest.mark.parametrize("seats", [(3, 4), (0, 5), (5, 0), (2, 2, 3), (1, 0, 4, 2), (500, 301)])
def test_counts(seats):
    codes = quick_seats(sum(seats), np.tile(seats, (6, 1)), STREAM)
    assert codes.dtype == np.int8
    for row in codes:
        assert np.bincount(row, minlength=len(seats)).tolist() == list(seats)


def test_counts_that_differ_by_row():
    seats = np.array([[3, 4], [4, 3], [7, 0], [0, 7], [4, 3]])
    codes = quick_seats(7, seats, STREAM)
    assert [np.bincount(row, minlength=2).tolist() for row in codes] == seats.tolist()


def test_rows_do_not_depend_on_the_batch():
    seats = np.tile([400, 200, 400], (20, 1))
    whole = quick_seats(1_000, seats, STREAM)
    for row in (0, 7, 19):
        assert np.array_equal(whole[row], quick_seats(1_000, seats[:1], STREAM.skip(row))[0])


@pytest.mark.parametrize("levels", [2**16, 4, 1], ids=["keys", "many ties", "all tied"])
@pytest.mark.parametrize("seats", [(2, 3), (1, 2, 2)])
def test_every_order_is_as_likely(monkeypatch, levels, seats):
    whole = module.short_keys
    monkeypatch.setattr(module, "short_keys", lambda *args: whole(*args) % np.uint16(levels % 2**16 or 2**16 - 1))
    size = 6_000
    codes = quick_seats(5, np.tile(seats, (size, 1)), STREAM)
    found = Counter(row.tobytes() for row in codes)
    orders = {2: 10, 3: 30}[len(seats)]
    assert len(found) == orders
    assert stats.chisquare(list(found.values())).pvalue > 1e-4


def test_keys_are_the_words_in_lowest_first_order():
    word = int(STREAM.child("keys").words(1, 2)[0, 0])
    expected = [(word >> shift) & 0xFFFF for shift in (0, 16, 32, 48)]
    assert module.short_keys(5, 1, STREAM)[0, :4].tolist() == expected


@pytest.mark.parametrize("levels", [2**16 - 1, 7])
@pytest.mark.parametrize("seats", [(30, 70), (0, 60, 40), (33, 33, 34, 0)])
def test_every_processor_gives_the_same_codes(monkeypatch, levels, seats):
    whole = module.short_keys
    monkeypatch.setattr(module, "short_keys", lambda *args: whole(*args) % np.uint16(levels))
    found = []
    for kind in KINDS:
        monkeypatch.setattr(module, "_selected_kind", lambda kind=kind: kind)
        found.append(quick_seats(100, np.tile(seats, (50, 1)), STREAM))
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    assert (np.sort(found[0], axis=1) == np.repeat(range(len(seats)), seats)).all()


@pytest.mark.parametrize("seats", [(30, 71), (0, 61, 40), (33, 33, 35)])
@pytest.mark.parametrize("levels", [2**16 - 1, 11])
def test_seats_left_over_move_a_cut_by_one(levels, seats, monkeypatch):
    whole = module.short_keys
    monkeypatch.setattr(module, "short_keys", lambda *args: whole(*args) % np.uint16(levels))
    fewer, table = np.array(seats), np.tile(seats, (40, 1))
    table[::3, 0] += 1
    table[::3, -1] -= 1
    codes = quick_seats(101, table, STREAM)
    assert [np.bincount(row, minlength=len(seats)).tolist() for row in codes] == table.tolist()
    same = quick_seats(101, np.tile(fewer, (40, 1)), STREAM)
    assert np.array_equal(np.delete(codes, np.s_[::3], axis=0), np.delete(same, np.s_[::3], axis=0))


@pytest.mark.parametrize("levels", [2**16 - 1, 50, 3])
def test_rough_seats_are_off_by_no_more_than_they_say(levels, monkeypatch):
    keys = module.short_keys(90, 60, STREAM) % np.uint16(levels)
    ends = np.array([[30] * 60, [60 + r % 2 for r in range(60)]])
    rough, moves = module.rough_seats_beyond(keys, ends)
    codes = module.seats_beyond(keys, ends, STREAM, np.arange(60))
    assert (rough >= codes).all()
    assert ((rough - codes).sum(axis=1) <= moves).all()
    assert np.array_equal(rough[moves == 0], codes[moves == 0])
    part = np.array([3, 17, 40])
    assert np.array_equal(module.seats_beyond(keys[part], ends[:, part], STREAM, part), codes[part])
