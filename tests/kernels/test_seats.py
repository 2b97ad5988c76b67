"""Leftover seats: exact laws, margins, the defects measured in peers, batches."""

from __future__ import annotations

import json
from fractions import Fraction as F
from itertools import product
from math import ceil, floor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from kokeilu._kernels import seat_law as law_module
from kokeilu._kernels import seats as seats_module
from kokeilu._kernels.rounding import cycle_signs
from kokeilu._kernels.seats import leftover_seats, seat_law, seat_targets
from kokeilu._kernels.streams import Seed
from kokeilu.errors import DesignError

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "assign.json").read_text())
DEFECTS = REFERENCE["peer_defects"]
RULES = ("balanced", "stratum")
STREAM = Seed.of("test of seats").stream("assign").child("seats")


def shares_of(*texts):
    return tuple(F(text) for text in texts)


def exact(sizes, shares, rule="balanced", limit=100_000):
    """Seat tables (T, S, K) and probabilities, by enumeration; `shares` is one row or a row per stratum."""
    rows = [shares] if isinstance(shares[0], F) else shares
    floors, fractions, unit = seat_targets(np.array(sizes), rows)
    tables, chances = seat_law(fractions, unit, rule, limit)
    return floors + tables, chances


def drawn(sizes, shares, size, rule="balanced", stream=STREAM):
    rows = [shares] if isinstance(shares[0], F) else shares
    floors, fractions, unit = seat_targets(np.array(sizes), rows)
    return floors + leftover_seats(fractions, unit, stream, size, rule)


def owed(sizes, shares):
    rows = [shares] * len(sizes) if isinstance(shares[0], F) else shares
    return [[n * p for p in row] for n, row in zip(sizes, rows, strict=True)]


def expectation(tables, chances):
    strata, arms = tables.shape[1:]
    pairs = list(zip(tables.tolist(), chances, strict=True))
    return [[sum(p * t[s][k] for t, p in pairs) for k in range(arms)] for s in range(strata)]


def within_one_seat(tables, targets):
    """Cells, rows and columns of every table are the floor or the ceiling of what is owed."""
    cells = all(
        (tables[:, s, k] >= floor(x)).all() and (tables[:, s, k] <= ceil(x)).all()
        for s, row in enumerate(targets)
        for k, x in enumerate(row)
    )
    rows = all((tables[:, s].sum(axis=1) == sum(row)).all() for s, row in enumerate(targets))
    totals = [sum(column) for column in zip(*targets, strict=True)]
    arms = tables.sum(axis=1)
    columns = all((arms[:, k] >= floor(x)).all() and (arms[:, k] <= ceil(x)).all() for k, x in enumerate(totals))
    return cells, rows, columns


# --- one stratum -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("case", REFERENCE["apportionment_exactness"], ids=lambda case: f"N={case['N']}")
def test_one_stratum_is_exact(case, rule):
    tables, chances = exact([case["N"]], shares_of(*case["prob_each"]), rule)
    assert expectation(tables, chances)[0] == list(shares_of(*case["target_count_mean"]))
    for arm, support in enumerate(case["support_per_arm"]):
        assert set(tables[:, 0, arm].tolist()) == set(support)
    peer = case["randomizr_1_0_0_actual_probability"]
    ours = [float(mean / case["N"]) for mean in expectation(tables, chances)[0]]
    unequal = len(set(case["fraction"])) > 1 and case["remainder"] > 1
    assert (np.abs(np.array(ours) - peer).max() > 1e-3) == unequal


@pytest.mark.parametrize("rule", RULES)
def test_the_law_of_two_leftover_seats(rule):
    reference = REFERENCE["leftover_systematic_law"]
    tables, chances = exact([2], shares_of("9/20", "9/20", "1/10"), rule)
    law = {tuple(np.flatnonzero(t[0]).tolist()): p for t, p in zip(tables, chances, strict=True)}
    assert {str(pair): str(p) for pair, p in law.items()} == reference["law"]
    assert expectation(tables, chances)[0] == list(shares_of(*reference["pi"]))


# --- several strata ----------------------------------------------------------------------------------------------

MANY = {
    "halves": ([1, 1, 1], shares_of("1/2", "1/2")),
    "unequal": ([1, 2, 3, 5], shares_of("1/3", "2/3")),
    "three arms": ([1, 2, 3, 5, 7], shares_of("1/2", "1/4", "1/4")),
    "two seats over": ([2, 2, 2], shares_of("9/20", "9/20", "1/10")),
    "tenths": ([1, 2, 3, 4], shares_of("1/10", "1/5", "7/10")),
    "four arms": ([1, 3, 4], shares_of("1/10", "1/5", "3/10", "2/5")),
    "four equal arms": ([1, 3, 4, 6], shares_of("1/4", "1/4", "1/4", "1/4")),
    "a zero share": ([1, 2, 4], shares_of("1/3", "0", "2/3")),
    "shares by stratum": ([2, 3, 4], [shares_of("1/2", "1/2", "0"), shares_of("1/5", "2/5", "2/5"),
                                      shares_of("1/3", "1/3", "1/3")]),
    "certain strata": ([2, 3, 2], [shares_of("1", "0"), shares_of("0", "1"), shares_of("1/4", "3/4")]),
    "awkward decimals": ([5, 7], shares_of("0.333", "0.333", "0.334")),
    "one each": ([1] * 6, shares_of("1/2", "1/4", "1/4")),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", MANY)
def test_several_strata_are_exact(name, rule):
    sizes, shares = MANY[name]
    tables, chances = exact(sizes, shares, rule)
    assert sum(chances) == 1
    assert min(chances) > 0
    assert len({table.tobytes() for table in tables}) == len(tables)
    assert expectation(tables, chances) == owed(sizes, shares)
    cells, rows, columns = within_one_seat(tables, owed(sizes, shares))
    assert cells
    assert rows
    assert columns or rule == "stratum"


def test_every_admissible_table_is_reached():
    """A fixed order of strata and arms reaches 48 of these 120 (notes on assignment, 2)."""
    tables, chances = exact([1] * 6, shares_of("1/2", "1/4", "1/4"))
    admissible = [
        seats
        for seats in product(range(3), repeat=6)
        if seats.count(0) == 3 and seats.count(1) in (1, 2) and seats.count(2) in (1, 2)
    ]
    assert len(tables) == len(admissible) == 120
    assert {tuple(t.argmax(axis=1).tolist()) for t in tables} == set(admissible)
    assert set(chances) == {F(1, 120)}


def test_the_other_rule_lets_arm_totals_drift():
    tables, chances = exact([1] * 4, shares_of("1/2", "1/2"), "stratum")
    assert len(tables) == 16
    assert set(chances) == {F(1, 16)}
    assert set(tables[:, :, 0].sum(axis=1).tolist()) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["three arms", "four arms", "tenths", "shares by stratum", "one each"])
def test_draws_follow_the_law(name, rule):
    sizes, shares = MANY[name]
    tables, chances = exact(sizes, shares, rule)
    place = {table.tobytes(): i for i, table in enumerate(tables)}
    counts = np.bincount([place[t.tobytes()] for t in drawn(sizes, shares, 20_000, rule)], minlength=len(tables))
    expected = 20_000 * np.array([float(p) for p in chances])
    assert chi2.sf(((counts - expected) ** 2 / expected).sum(), len(tables) - 1) > 1e-4


# --- any shares and sizes ----------------------------------------------------------------------------------------


@st.composite
def designs(draw):
    arms = draw(st.integers(2, 6))
    weights = st.lists(st.integers(0, 12), min_size=arms, max_size=arms).filter(any)
    rows = [tuple(F(w, sum(row)) for w in row) for row in draw(st.lists(weights, min_size=1, max_size=3))]
    sizes = draw(st.lists(st.integers(1, 40), min_size=1, max_size=12))
    return sizes, [rows[i % len(rows)] for i in range(len(sizes))]


@settings(deadline=None)
@given(designs(), st.sampled_from(RULES), st.integers(0, 2**32))
def test_cells_strata_and_arms_are_within_one_seat(design, rule, seed):
    sizes, shares = design
    tables = drawn(sizes, shares, 5, rule, Seed.of(seed).stream("any"))
    cells, rows, columns = within_one_seat(tables, owed(sizes, shares))
    assert cells
    assert rows
    assert columns or rule == "stratum"


@settings(deadline=None)
@given(designs(), st.sampled_from(RULES))
def test_batched_is_looped_is_prefix(design, rule):
    whole = drawn(*design, 6, rule)
    assert (drawn(*design, 4, rule) == whole[:4]).all()
    assert all((drawn(*design, 1, rule, STREAM.skip(r))[0] == whole[r]).all() for r in range(6))


@pytest.mark.parametrize("rule", RULES)
def test_chunks_never_show(monkeypatch, rule):
    sizes, shares = MANY["awkward decimals"]
    whole = drawn(sizes, shares, 50, rule)
    monkeypatch.setattr(seats_module, "_CHUNK_CELLS", 40)
    assert (drawn(sizes, shares, 50, rule) == whole).all()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("arms", [9, 12])
def test_many_arms(arms, rule):
    sizes, shares = list(range(1, 20)), (F(1, arms),) * arms
    cells, rows, columns = within_one_seat(drawn(sizes, shares, 20, rule), owed(sizes, shares))
    assert cells
    assert rows
    assert columns or rule == "stratum"


@pytest.mark.parametrize("rule", RULES)
def test_units_near_the_limit(rule):
    unit = 2**62 - 1  # divisible by 3; sums over strata pass 2**63
    shares = shares_of(F(unit // 3, unit) + F(1, unit), F(unit // 3, unit) - F(1, unit), F(1, 3))
    sizes = [1, 1, 2, 4, 5, 2, 1]
    assert seat_targets(np.array(sizes), [shares])[2] == unit
    tables = drawn(sizes, shares, 3_000, rule)
    cells, rows, columns = within_one_seat(tables, owed(sizes, shares))
    assert cells
    assert rows
    assert columns or rule == "stratum"
    target = np.array([[float(x) for x in row] for row in owed(sizes, shares)])
    assert np.abs(tables.mean(axis=0) - target).max() < 5 * 0.5 / np.sqrt(3_000)


def test_hundreds_of_classes():
    sizes, shares = list(range(1, 400)), shares_of("0.333", "0.333", "0.334")
    tables = drawn(sizes, shares, 40)
    assert all(within_one_seat(tables, owed(sizes, shares)))
    target = np.array([[float(x) for x in row] for row in owed(sizes, shares)])
    scores = (tables.mean(axis=0) - target).sum(axis=0)
    assert np.abs(scores).max() < 1


def test_nothing_left_over():
    assert not leftover_seats(np.zeros((3, 2), dtype=np.int64), 1, STREAM, 4, "balanced").any()
    for rule in RULES:
        tables, chances = seat_law(np.zeros((3, 2), dtype=np.int64), 1, rule, 10)
        assert tables.shape == (1, 3, 2)
        assert chances == [1]


# --- targets -----------------------------------------------------------------------------------------------------


def test_targets_split_exactly():
    sizes = [7, 3, 10]
    shares = [shares_of("1/2", "1/4", "1/4"), shares_of("0.1", "0.2", "0.7"), shares_of("0", "1", "0")]
    floors, fractions, unit = seat_targets(np.array(sizes), shares)
    assert unit == 20
    assert floors.tolist() == [[3, 1, 1], [0, 0, 2], [0, 10, 0]]
    assert [[F(f, unit) for f in row] for row in (floors * unit + fractions).tolist()] == owed(sizes, shares)


def test_one_row_of_shares_holds_for_all_strata():
    sizes = np.array([4, 9, 1, 4])
    row = shares_of("1/3", "2/3")
    once, each, copies = (seat_targets(sizes, s) for s in ([row], [row] * 4, [list(row) for _ in range(4)]))
    for one, other in zip(once, each, strict=True):
        assert np.array_equal(one, other)
    assert all(np.array_equal(one, other) for one, other in zip(once, copies, strict=True))


def test_shares_without_a_small_denominator_are_refused():
    shares = shares_of(F(1, 2**31 - 1), 1 - F(1, 2**31 - 1)), shares_of(F(1, 2**61 - 1), 1 - F(1, 2**61 - 1))
    with pytest.raises(DesignError, match="no common denominator below 2\\*\\*62"):
        seat_targets(np.array([1, 1]), shares)


def test_the_rule_must_be_known():
    with pytest.raises(DesignError, match="leftovers must be 'balanced' or 'stratum'"):
        leftover_seats(np.array([[1, 1]]), 2, STREAM, 1, "global")


# --- law: limits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_a_law_too_wide_is_none(rule):
    _, fractions, unit = seat_targets(np.array([1] * 12), [shares_of("1/2", "1/4", "1/4")])
    assert seat_law(fractions, unit, rule, 10_000) is None
    _, fractions, unit = seat_targets(np.array([1]), [(F(1, 12),) * 12])
    assert seat_law(fractions, unit, rule, 10_000) is None


def test_a_tree_too_deep_is_none(monkeypatch):
    monkeypatch.setattr(law_module, "NODES", 30)
    _, fractions, unit = seat_targets(np.array([1, 2, 3, 4]), [shares_of("1/10", "1/5", "7/10")])
    assert seat_law(fractions, unit, "balanced", 10**6) is None


# --- cycles ------------------------------------------------------------------------------------------------------


def test_the_first_cycle_by_the_written_rule():
    def signs(*rows):
        flat = bytes(int(x) for row in rows for x in row)
        return np.frombuffer(cycle_signs(flat, len(rows[0])), dtype=np.int8).reshape(len(rows), -1).tolist()

    assert signs("111", "111", "000") == [[1, -1, 0], [-1, 1, 0], [0, 0, 0]]
    assert signs("110", "011", "101") == [[1, -1, 0], [0, 1, -1], [-1, 0, 1]]
    assert signs("110", "011", "011") == [[0, 0, 0], [0, 1, -1], [0, -1, 1]]  # the first row hangs on one column
    assert signs("1100", "0110", "0111", "0011") == [[0] * 4, [0, 1, -1, 0], [0, -1, 1, 0], [0] * 4]
    assert signs("000", "000") == [[0] * 3] * 2


# --- defects measured in peers -----------------------------------------------------------------------------------


def test_defect_1_unequal_leftovers_keep_their_shares():
    assert ".43409" in DEFECTS["1"]["actual"]
    tables, chances = exact([2], shares_of("0.45", "0.45", "0.1"))
    assert expectation(tables, chances) == [[F(9, 10), F(9, 10), F(1, 5)]]
    mean = drawn([2], shares_of("0.45", "0.45", "0.1"), 40_000).mean(axis=0)[0] / 2
    assert abs(mean[2] - 0.1) < 0.005 < abs(0.13182 - 0.1)


@pytest.mark.parametrize(("sizes", "certain"), [([1], 0), ([3], 2), ([4, 4, 4], 3)])
def test_defect_2_a_declared_probability_is_never_rounded_away(sizes, certain):
    assert "0 of 5000" in DEFECTS["2"]["actual"]
    tables, chances = exact(sizes, shares_of("0.1", "0.9"))
    assert expectation(tables, chances) == [[n * F(1, 10), n * F(9, 10)] for n in sizes]
    assert (tables[:, :, 1] != certain).any()


def test_defect_5_two_strata_of_three_keep_one_half():
    assert "(3,3)" in DEFECTS["5"]["call"]
    tables, chances = exact([3, 3], shares_of("1/2", "1/2"))
    assert expectation(tables, chances) == [[F(3, 2)] * 2] * 2
    assert (tables.sum(axis=1) == 3).all()
    assert chances == [F(1, 2)] * 2


def test_defect_8_awkward_shares_stay_within_one_seat():
    assert "26..42" in DEFECTS["8"]["actual"]
    tables = drawn([100] * 30, shares_of("0.333", "0.667"), 200)
    assert set(tables[:, :, 0].ravel().tolist()) == {33, 34}
    assert set(tables[:, :, 0].sum(axis=1).tolist()) == {999}


@pytest.mark.parametrize("rule", RULES)
def test_defect_12_leftovers_do_not_all_go_the_same_way(rule):
    assert DEFECTS["12"]["actual"] == "200/100 in every run"
    totals = drawn([3] * 100, shares_of("1/2", "1/2"), 500, rule).sum(axis=1)[:, 0]
    assert (totals == 150).all() if rule == "balanced" else 120 < totals.min() < 150 < totals.max() < 180


@pytest.mark.parametrize("rule", RULES)
def test_defect_13_no_arm_comes_first(rule):
    assert "(.5,.25,.25) always" in DEFECTS["13"]["actual"]
    tables, chances = exact([4], (F(1, 3),) * 3, rule)
    assert sorted(map(tuple, tables[:, 0].tolist())) == [(1, 1, 2), (1, 2, 1), (2, 1, 1)]
    assert chances == [F(1, 3)] * 3


@pytest.mark.parametrize("rule", RULES)
def test_defect_14_seats_add_up_to_the_units(rule):
    assert "length 12" in DEFECTS["14"]["actual"]
    tables, _ = exact([10], (F(1, 3),) * 3, rule)
    assert (tables.sum(axis=(1, 2)) == 10).all()
