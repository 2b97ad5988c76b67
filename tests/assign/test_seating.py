"""How lotteries deal seats: what they say must be the law by which they draw."""

from __future__ import annotations

from collections import defaultdict
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from designs import DESIGNS, register
from kokeilu.core.lottery import all_assignments, redraws, seating_of
from kokeilu.core.protocols import Seating

TWO, THREE = kk.arms(control=1, coaching=1), kk.arms(control=2, coaching=1, letter=1)
UNEVEN = kk.arms(control=2, coaching=1)

WITHOUT = {
    "Adaptive",
    "Adaptive in strata",
    "Bernoulli",
    "GramSchmidtWalk",
    "Rerandomised",
    "Rerandomised, unequal",
    "Saturation",
}
"""Designs in which the units of a stratum are not exchangeable given seats, or which do not have any."""


def bound(design: Any, table: pd.DataFrame) -> Any:
    return kk.randomise(table, design, id="id", seed="seating").lottery


@pytest.mark.parametrize("name", sorted(WITHOUT))
def test_no_seats_are_claimed_where_people_are_not_exchangeable(name: str) -> None:
    assert seating_of(bound(DESIGNS[name], register())) is None


@pytest.mark.parametrize("name", [name for name in DESIGNS if name not in WITHOUT])
def test_draws_have_the_seats_that_are_dealt(name: str) -> None:
    lottery = bound(DESIGNS[name], register())
    seating = seating_of(lottery)
    if seating is None:
        return
    kk_stream = kk.randomise(register(), DESIGNS[name], id="id", seed="seating").stream("seats")
    arms, sizes = len(lottery.arms), np.bincount(seating.strata)
    assert len(seating.units) == lottery.n_units
    dealt = seating.deal(kk_stream, 30)
    assert dealt.shape == (30, len(sizes), arms)
    assert (dealt.sum(axis=2) == sizes).all()
    np.testing.assert_array_equal(seating.deal(kk_stream.skip(11), 4), dealt[11:15])
    codes = next(redraws(lottery, kk_stream, 30))
    first = np.unique(seating.units, return_index=True)[1]
    assert (codes == codes[:, first][:, seating.units]).all()
    drawn = np.array([np.bincount(seating.strata * arms + row[first], minlength=dealt[0].size) for row in codes])
    low, high = dealt.reshape(30, -1).min(axis=0), dealt.reshape(30, -1).max(axis=0)
    assert (np.abs(drawn.mean(axis=0) - dealt.reshape(30, -1).mean(axis=0)) <= high - low).all()


def people(n: int) -> pd.DataFrame:
    at = np.arange(n)
    return pd.DataFrame(
        {"id": at, "area": np.where(at < n // 2, "n", "s"), "office": at // 2, "month": at % 2, "law": "drawn"}
    )


def of_law(seating: Seating, arms: int) -> dict[bytes, float]:
    """Probability of each assignment of the units: the seat tables, and every order within strata."""
    law = seating.law()
    assert law is not None
    found: dict[bytes, float] = defaultdict(float)
    members = [np.flatnonzero(seating.strata == s) for s in range(int(seating.strata.max()) + 1)]
    for table, chance in zip(*law, strict=True):
        rows = [np.zeros(len(seating.strata), dtype=np.int8)]
        for units, seats in zip(members, table, strict=True):
            orders = sorted(set(permutations(np.repeat(np.arange(arms), seats).tolist())))
            grown = []
            for row in rows:
                for order in orders:
                    copy = row.copy()
                    copy[units] = order
                    grown.append(copy)
            rows = grown
        for row in rows:
            found[row[seating.units].tobytes()] += float(chance) / len(rows)
    return found


@pytest.mark.parametrize(
    ("design", "n"),
    [
        (kk.Complete(UNEVEN), 7),
        (kk.Complete(THREE), 6),
        (kk.Stratified(UNEVEN, by="area"), 8),
        (kk.Stratified(UNEVEN, by="area", leftovers="stratum"), 8),
        (kk.Clustered(kk.Complete(UNEVEN), by="office"), 8),
        (kk.Waves(kk.Complete(UNEVEN), wave="month"), 8),
        (kk.Merged(kk.Complete(THREE), into={"control": ["control"], "other": ["coaching", "letter"]}), 6),
        (kk.Fixed(kk.Complete(UNEVEN), column="law"), 7),
    ],
)
def test_the_law_of_the_seats_is_the_law_of_the_draw(design: Any, n: int) -> None:
    table = people(n)
    table.loc[0, "law"] = "coaching"
    table.loc[3, "law"] = "control"
    lottery = bound(design, table)
    seating, every = seating_of(lottery), all_assignments(lottery)
    assert seating is not None
    assert every is not None
    listed: dict[bytes, float] = defaultdict(float)
    for codes, chances in every:
        for row, chance in zip(codes, chances, strict=True):
            listed[row.tobytes()] += float(chance)
    found = of_law(seating, len(lottery.arms))
    assert set(found) == set(listed)
    assert all(found[row] == pytest.approx(chance, abs=1e-14) for row, chance in listed.items())


def test_too_many_joint_tables_are_not_listed() -> None:
    table = people(200).assign(month=np.arange(200) % 20)
    seating = seating_of(bound(kk.Waves(kk.Stratified(UNEVEN, by="area", leftovers="stratum"), wave="month"), table))
    assert seating is not None
    assert seating.law() is None
