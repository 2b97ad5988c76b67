"""Ranks and seats come from the same words."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokeilu._kernels.ranks import go_down, rank_people
from kokeilu._kernels.row_seats import systematic_seats
from kokeilu._kernels.seats import leftover_seats
from kokeilu._kernels.shuffle import seat_people
from kokeilu._kernels.streams import Seed, Stream

STREAM = Seed.of("ranks").stream("units")


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.data())
def test_the_first_ranks_sit_in_the_last_arm(raw, data):
    strata = np.unique(raw, return_inverse=True)[1].astype(np.int64)
    sizes = np.bincount(strata)
    seats = np.array([data.draw(st.integers(0, int(n))) for n in sizes])
    ranks = rank_people(strata, sizes, STREAM, 5)
    table = np.broadcast_to(np.stack([sizes - seats, seats], axis=1), (5, len(sizes), 2))
    codes = seat_people(strata, sizes, table, STREAM)
    assert np.array_equal(codes == 1, ranks <= seats[strata])
    for s, n in enumerate(sizes):
        assert np.array_equal(np.sort(ranks[:, strata == s], axis=1), np.tile(np.arange(1, n + 1), (5, 1)))


def test_equal_words_go_by_position_as_the_seats_do(monkeypatch):
    monkeypatch.setattr(Stream, "words", lambda self, size, width: np.full((size, width), 9, dtype=np.uint64))
    strata, sizes = np.zeros(5, dtype=np.int64), np.array([5])
    ranks = rank_people(strata, sizes, STREAM, 1)
    assert ranks[0].tolist() == [5, 4, 3, 2, 1]
    assert seat_people(strata, sizes, np.array([[[3, 2]]]), STREAM)[0].tolist() == [0, 0, 0, 1, 1]


def test_rows_do_not_depend_on_the_batch():
    strata, sizes = np.array([0, 1, 0, 1, 1]), np.array([2, 3])
    whole = rank_people(strata, sizes, STREAM, 6)
    assert np.array_equal(whole[4:], rank_people(strata, sizes, STREAM.skip(4), 2))


def test_seats_of_one_row_of_shares_are_those_of_a_fixed_design():
    sizes, parts, unit = np.array([7, 3, 1]), np.array([5, 3, 2]), 10
    fractions = sizes[:, None] * parts % unit
    ours = systematic_seats(np.tile(parts, (50, 1)), unit, sizes, STREAM)
    theirs = sizes[:, None] * parts // unit + leftover_seats(fractions, unit, STREAM, 50, "stratum")
    assert np.array_equal(ours, theirs)


def test_seats_follow_the_shares_of_their_row():
    parts = np.array([[10, 0], [0, 10], [5, 5], [1, 9]])
    seats = systematic_seats(parts, 10, np.array([3, 4]), STREAM)
    assert seats.sum(axis=2).tolist() == [[3, 4]] * 4
    assert seats[0].tolist() == [[3, 0], [4, 0]]
    assert seats[1].tolist() == [[0, 3], [0, 4]]
    many = systematic_seats(np.tile([3, 7], (20_000, 1)), 10, np.array([1]), STREAM)[:, 0, 0]
    assert abs(many.mean() - 0.3) < 5 * np.sqrt(0.21 / 20_000)


@pytest.mark.parametrize(("n", "places", "refusing"), [(5, 2, 2), (5, 0, 1), (4, 4, 1), (6, 1, 3), (5, 3, 5)])
def test_offers_down_the_list_have_their_exact_chances_over_all_orders(n, places, refusing):
    declined = np.arange(n) < refusing
    orders = np.array(list(permutations(range(1, n + 1))))
    one_list = np.zeros(n, dtype=np.int64)
    hits = np.mean([go_down(one_list, order, np.array([places]), declined) for order in orders], axis=0)
    stays = min(1.0, places / (n - refusing)) if n > refusing else np.nan
    goes = min(1.0, places / (n - refusing + 1))
    np.testing.assert_allclose(hits, np.where(declined, goes, stays), atol=1e-12)


def test_each_list_is_gone_down_alone_and_lists_may_be_empty():
    lists = np.array([0, 2, 0, 2, 2, 0])
    ranks = np.array([2, 3, 1, 1, 2, 3])
    declined = np.array([False, False, True, False, False, False])
    found = go_down(lists, ranks, np.array([1, 4, 2]), declined)
    assert found.tolist() == [True, False, True, True, True, False]
    assert go_down(lists[:0], ranks[:0], np.array([1]), declined[:0]).tolist() == []
