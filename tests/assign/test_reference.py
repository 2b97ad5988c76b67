"""Counts and numbers of allocations from the reference set: what R's randomizr gives, and where it is wrong."""

from __future__ import annotations

import json
from collections import defaultdict
from fractions import Fraction
from math import lcm
from pathlib import Path

import numpy as np
import pytest

import kokeilu as kk

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "assign.json").read_text(encoding="utf-8"))
TWO = kk.arms(a=1, b=1)

# The design of each row, and what is right where the peer is not (it lists impossible tables such as 5-1-1).
PERMUTATIONS = {
    "complete N=6 m=3": (kk.Complete(TWO), {"n": 6}, None),
    "complete N=5": (kk.Complete(TWO), {"n": 5}, None),
    "complete N=8 m_each=2,2,2,2": (kk.Complete(kk.arms(a=1, b=1, c=1, d=1)), {"n": 8}, None),
    "blocks 4,4 two-arm": (kk.Stratified(TWO, by=("s",)), {"n": 8, "s": 4}, None),
    "blocks 3,3,3 two-arm": (kk.Stratified(TWO, by=("s",), leftovers="stratum"), {"n": 9, "s": 3}, None),
    "blocks 5,5 block_m 3,3": (kk.Stratified(kk.arms(a=2, b=3), by=("s",)), {"n": 10, "s": 5}, None),
    "clusters 6 of 2, m=3": (kk.Clustered(kk.Complete(TWO), by="c"), {"n": 12, "c": 2}, None),
    "block+cluster": (kk.Clustered(kk.Stratified(TWO, by=("s",)), by="c"), {"n": 16, "s": 8, "c": 2}, None),
    "complete N=7 prob_each .5,.25,.25": (kk.Complete(kk.arms(a=2, b=1, c=1)), {"n": 7}, 420),
    "simple N=5": (kk.Bernoulli(TWO), {"n": 5}, None),
}


def people(n: int, **sizes: int) -> dict[str, list[int]]:
    return {"id": list(range(n)), **{name: [i // size for i in range(n)] for name, size in sizes.items()}}


@pytest.mark.parametrize("name", REFERENCE["randomizr_num_permutations"])
def test_numbers_of_allocations(name):
    design, shape, right = PERMUTATIONS[name]
    drawn = kk.randomise(people(**shape), design, id="id", seed="count")
    peers = REFERENCE["randomizr_num_permutations"][name]
    assert drawn.lottery.count() == (right or peers)
    assert kk.law(drawn).allocations == (right or peers)
    if right:
        assert right != peers


def cases():
    found = defaultdict(lambda: defaultdict(dict))
    for row in REFERENCE["randomizr_block_counts"]:
        found[row["case"]][row["block"]][row["arm"]] = row
    return found


@pytest.mark.parametrize("case", cases())
def test_counts_by_block_are_those_of_the_peer_at_their_ends(case):
    """Smallest and largest counts over 2,000 draws of randomizr; ours over 300 draws touch the same ends."""
    blocks = cases()[case]
    register = {"id": [], "block": []}
    keyed = {}
    for block, arms in blocks.items():
        size = next(iter(arms.values()))["n_block"]
        register["block"] += [block] * size
        shares = {f"arm {arm}": Fraction(row["reported_prob"]).limit_denominator(1000) for arm, row in arms.items()}
        keyed[block] = kk.arms(shares)
    register["id"] = list(range(len(register["block"])))
    drawn = kk.randomise(register, kk.Stratified(keyed, by=("block",), leftovers="stratum"), id="id", seed=case)
    codes = drawn.lottery.draw(drawn.stream("ends"), 300)
    where = np.array(register["block"])
    for block, arms in blocks.items():
        for position, row in enumerate(arms.values()):
            counts = (codes[:, where == block] == position).sum(axis=1)
            assert (counts.min(), counts.max()) == (row["min_count"], row["max_count"]), (block, row["arm"])


@pytest.mark.parametrize("case", REFERENCE["misfits_lcm"], ids=lambda c: "-".join(c["fractions"]))
def test_whole_seats_are_certain_where_blocks_of_the_common_denominator_leave_everybody_over(case):
    """randtreat's rule guarantees only whole blocks of J; here each arm of each stratum has the floor of its target."""
    shares = [Fraction(f) for f in case["fractions"]]
    assert lcm(*(f.denominator for f in shares)) == case["randpack_size_J"]
    sizes = case["strata_sizes"]
    stratum = np.repeat(np.arange(len(sizes)), sizes)
    register = {"id": list(range(len(stratum))), "s": stratum.tolist()}
    design = kk.Stratified(kk.arms({f"arm {i}": f for i, f in enumerate(shares)}), by=("s",))
    drawn = kk.randomise(register, design, id="id", seed="misfits")
    table = np.bincount(stratum * len(shares) + drawn.codes, minlength=len(sizes) * len(shares))
    table = table.reshape(len(sizes), len(shares))
    floor = np.array(case["floor_per_arm"])
    assert (table >= floor).all()
    assert (table <= floor + 1).all()
    assert [n % case["randpack_size_J"] for n in sizes] == case["misfits_per_stratum"]


def test_offices_are_drawn_each_on_their_own():
    """stochatreat's subsample takes the same positions {0, 2, 4, 6, 9} in every stratum and 9 people instead of 10."""
    register = {"id": list(range(1_000)), "office": [f"o{i // 10}" for i in range(1_000)]}
    drawn = kk.randomise(register, kk.CapacityLottery(5, by=("office",)), id="id", seed="subsample")
    offered = (drawn.codes == drawn.arms.index("offered")).reshape(100, 10)
    assert (offered.sum(axis=1) == 5).all()
    assert len({row.tobytes() for row in offered}) > 80
