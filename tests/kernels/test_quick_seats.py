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


@pytest.fixture(autouse=True, params=[True, False], ids=["selection", "sort"])
def processor(request, monkeypatch):
    monkeypatch.setattr(module, "_selects_quickly", lambda: request.param)


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
    whole = module._short_keys
    monkeypatch.setattr(module, "_short_keys", lambda *args: whole(*args) % np.uint16(levels % 2**16 or 2**16 - 1))
    size = 6_000
    codes = quick_seats(5, np.tile(seats, (size, 1)), STREAM)
    found = Counter(row.tobytes() for row in codes)
    orders = {2: 10, 3: 30}[len(seats)]
    assert len(found) == orders
    assert stats.chisquare(list(found.values())).pvalue > 1e-4


def test_keys_are_the_words_in_lowest_first_order():
    word = int(STREAM.child("keys").words(1, 2)[0, 0])
    expected = [(word >> shift) & 0xFFFF for shift in (0, 16, 32, 48)]
    assert module._short_keys(5, 1, STREAM)[0, :4].tolist() == expected


@pytest.mark.parametrize("levels", [2**16 - 1, 7])
@pytest.mark.parametrize("seats", [(30, 70), (0, 60, 40), (33, 33, 34, 0)])
def test_every_processor_gives_the_same_codes(monkeypatch, levels, seats):
    whole = module._short_keys
    monkeypatch.setattr(module, "_short_keys", lambda *args: whole(*args) % np.uint16(levels))
    found = []
    for fast in (True, False):
        monkeypatch.setattr(module, "_selects_quickly", lambda fast=fast: fast)
        found.append(quick_seats(100, np.tile(seats, (50, 1)), STREAM))
    assert np.array_equal(*found)
    assert (np.sort(found[0], axis=1) == np.repeat(range(len(seats)), seats)).all()
