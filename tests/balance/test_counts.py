"""Numbers in the arms: breaches of fixed draws, chance where units are drawn alone, and what happens later."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from designs import DESIGNS
from designs import register as designs_register
from kokeilu.errors import DataError, DesignError

THREE = kk.arms(control=2, coaching=1, letter=1)


@pytest.mark.parametrize("name", DESIGNS)
def test_a_true_draw_is_no_breach(name: str) -> None:
    assignment = kk.randomise(designs_register(), DESIGNS[name], id="id", seed="counts")
    found = kk.check_counts(assignment, draws=199)
    assert found.breaches == ()
    assert found.fixed or found.ratio is not None
    if found.ratio is not None:
        assert found.ratio.p_value > 0.001
        assert name.startswith("Bernoulli") or "redraws" in found.ratio.method


def test_a_fixed_draw_allows_the_seats_left_over_and_nothing_else() -> None:
    counts = {"north": {"control": 6, "coaching": 3, "letter": 2}, "south": {"control": 5, "coaching": 2, "letter": 5}}
    found = kk.check_counts(counts, THREE, fixed=True)
    assert found.ratio is None
    rows = [(b.stratum, b.arm, b.least, b.most, b.observed) for b in found.breaches]
    assert rows == [("south", "control", 6, 6, 5), ("south", "coaching", 3, 3, 2), ("south", "letter", 3, 3, 5)]
    assert "no p-value" in str(found)
    assert "Numbers that the lottery cannot give" in str(found)


def test_each_arm_is_looked_at_only_after_all_together() -> None:
    fine = kk.check_counts({"control": 101, "coaching": 49, "letter": 50}, THREE)
    assert all(one.p is None for one in fine.arms)
    wrong = kk.check_counts({"control": 200, "coaching": 60, "letter": 140}, THREE)
    assert wrong.ratio is not None
    assert wrong.ratio.p_value < 0.001
    p = [one.p for one in wrong.arms]
    adjusted = [one.adjusted_p for one in wrong.arms]
    assert p[0] == pytest.approx(1.0)
    assert all(a >= b for a, b in zip(adjusted, p, strict=True))
    assert "NOT as chance makes them" in str(wrong)


def test_small_numbers_are_judged_exactly() -> None:
    found = kk.check_counts({"control": 7, "coaching": 1}, kk.arms(control=1, coaching=1))
    assert found.ratio is not None
    assert found.ratio.method == "exact multinomial"
    assert found.ratio.p_value == pytest.approx(18 / 256)


def test_a_mismatch_of_one_stratum_may_not_hide_behind_another() -> None:
    counts = {"north": {"a": 150, "b": 50}, "south": {"a": 50, "b": 150}}
    found = kk.check_counts(counts, {"north": {"a": 1, "b": 1}, "south": {"a": 1, "b": 1}})
    assert found.ratio is not None
    assert found.ratio_by_stratum is not None
    assert found.ratio.p_value == 1.0
    assert found.ratio_by_stratum.p_value < 1e-10
    assert found.ratio_by_stratum.df == 2


def test_shares_differ_between_strata() -> None:
    shares = {"north": kk.arms(a=1, b=3), "south": kk.arms(a=1, b=1)}
    found = kk.check_counts({"north": {"a": 50, "b": 150}, "south": {"a": 100, "b": 100}}, shares)
    assert found.ratio is not None
    assert found.ratio.statistic == pytest.approx(0.0, abs=1e-20)


def test_stations_after_the_draw_are_tested_by_redraws() -> None:
    table = pd.DataFrame({"id": np.arange(400), "area": np.arange(400) % 4})
    assignment = kk.randomise(table, kk.Stratified(kk.arms(control=1, coaching=1), by="area"), id="id", seed="stations")
    gone = np.flatnonzero(assignment.codes == 1)[:40]
    linked = table.drop(index=gone)
    found = kk.check_counts(assignment, stations={"contacted": table, "linked": linked}, draws=499)
    assert found.stations["contacted"].p_value == 1.0
    assert found.stations["linked"].p_value == 1 / 500
    last = [one for one in found.arms if one.station == "linked"]
    assert [(one.observed, one.expected, one.rate) for one in last] == [(200, 180.0, 1.0), (160, 180.0, 0.8)]
    assert "attrition" in str(found)


def test_the_ratio_test_keeps_its_level_over_every_assignment() -> None:
    shares = np.array([0.5, 0.25, 0.25])
    size = {}
    for counts in product(range(7), repeat=3):
        if sum(counts) == 6:
            found = kk.check_counts(dict(zip(THREE.names, counts, strict=True)), THREE)
            assert found.ratio is not None
            from scipy import stats

            size[found.ratio.p_value] = size.get(found.ratio.p_value, 0.0) + stats.multinomial.pmf(counts, 6, shares)
    for alpha in size:
        assert sum(chance for p, chance in size.items() if p <= alpha) <= alpha + 1e-9


@pytest.mark.parametrize(
    ("observed", "given", "match"),
    [
        ({"control": 5}, {}, "need the shares"),
        ({}, {"shares": THREE}, "mapping of arms"),
        (5, {"shares": THREE}, "mapping of arms"),
        ({"control": 5, "coaching": 5}, {"shares": THREE}, "no arm 'letter'"),
        ({"control": 5, "coaching": 5, "leter": 1}, {"shares": THREE}, "Did you mean 'letter'"),
        ({"control": -5, "coaching": 5, "letter": 1}, {"shares": THREE}, "at least 0"),
        ({"control": 5, "coaching": 5, "letter": 1}, {"shares": "halves"}, "kk.arms"),
        ({"control": 5, "coaching": 5, "letter": 1}, {"shares": THREE, "stations": {}}, "stations need an assignment"),
        ({"x": {"a": 1, "b": 1}}, {"shares": {"y": {"a": 1, "b": 1}}}, "nothing for stratum 'x'"),
    ],
)
def test_numbers_and_shares_are_checked(observed: Any, given: dict[str, Any], match: str) -> None:
    with pytest.raises(DesignError, match=match):
        kk.check_counts(observed, **given)


def test_an_assignment_has_its_own_shares() -> None:
    table = pd.DataFrame({"id": np.arange(8)})
    assignment = kk.randomise(table, kk.Complete(kk.arms(a=1, b=1)), id="id", seed="own")
    with pytest.raises(DesignError, match="knows its shares"):
        kk.check_counts(assignment, kk.arms(a=1, b=1))
    with pytest.raises(DataError, match="no rows"):
        kk.check_counts(assignment, stations={"linked": table.iloc[:0]})
    with pytest.raises(DesignError, match="mapping of names"):
        kk.check_counts(assignment, stations=[table])  # type: ignore[arg-type]
