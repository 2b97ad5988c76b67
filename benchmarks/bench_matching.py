"""Matched tuples and threshold blocks: seconds, and how far pairs are from the least total distance where it is known.

Run with ``make bench``. Prints; asserts nothing. The peers of these designs (nbpMatching, blockTools, quickblock) are R
packages, so that none stands beside them in this run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import kokeilu as kk
from kokeilu._kernels.blocks import threshold_blocks
from kokeilu._kernels.exchange import tuple_cost
from kokeilu._kernels.nearness import sphered
from kokeilu._kernels.pairing import nearby_tuples
from kokeilu._kernels.streams import Seed

HALVES = kk.arms(control=1, coaching=1)


def seconds(action: Callable[[], Any], times: int = 1) -> float:
    """Return the least time of several runs."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return min(taken)


def register(n: int, p: int) -> pd.DataFrame:
    """Return ids in a mixed order and p covariates."""
    x = Seed.of(f"bench {n}").stream("x").doubles(n, p)
    place = np.arange(n)
    return pd.DataFrame({"id": (place * 7_919 + 13) % n, **{f"x{j}": x[:, j] for j in range(p)}})


def line(what: str, taken: float, note: str = "") -> None:
    """Print one figure."""
    print(f"{what:<66} {taken:8.3f} s   {note}")


def designs() -> None:
    """Draw whole registers."""
    big = register(1_000_000, 1)
    pairs = kk.MatchedTuples(HALVES, score="x0")
    line(
        "one draw, pairs on a score, 1,000,000 people", seconds(lambda: kk.randomise(big, pairs, id="id", seed="b"), 3)
    )
    wide = register(100_000, 5)
    on = tuple(f"x{j}" for j in range(5))
    for least in (2, 4):
        blocks = kk.ThresholdBlocks(HALVES, on=on, min_size=least)
        taken = seconds(lambda design=blocks: kk.randomise(wide, design, id="id", seed="b"), 2)
        line(f"one draw, threshold blocks of {least} or more, 100,000 people x 5", taken)
    alike = kk.MatchedTuples(HALVES, on=on)
    for n in (1_000, 5_000, 20_000):
        people = register(n, 5)
        line(
            f"one draw, pairs on 5 covariates, {n:,} people",
            seconds(lambda r=people: kk.randomise(r, alike, id="id", seed="b")),
        )
    many = register(50_000, 2).assign(stratum=np.arange(50_000) // 10)
    near = kk.MatchedTuples(HALVES, on=("x0", "x1"), by="stratum")
    line(
        "one draw, pairs on 2 covariates in 5,000 strata of 10",
        seconds(lambda: kk.randomise(many, near, id="id", seed="b")),
    )


def quality() -> None:
    """Compare with totals that are known: a line laid out in space, and planted twins."""
    one = np.zeros(4_000, dtype=np.int64)
    doubles = Seed.of("bench quality").stream("x").doubles(4_000, 4)
    place = np.sort(doubles[:, 0]) * 1_000
    x = np.column_stack([place, -place])[np.argsort(doubles[:, 3])]
    best = float((place[1::2] - place[::2]).sum() * 2**0.5)
    start = time.perf_counter()
    found = tuple_cost(x, nearby_tuples(x, one, 2))
    line("pairs, 4,000 points of a line", time.perf_counter() - start, f"total / least {found / best:.5f}")
    owner = np.argsort(doubles[:, 3]) % 2_000
    x = sphered(doubles[owner, :3] + 0.001 * doubles[:, 1:], one)
    start = time.perf_counter()
    found = tuple_cost(x, nearby_tuples(x, one, 2))
    line(
        "pairs, 2,000 planted twins", time.perf_counter() - start, f"total / planted {found / tuple_cost(x, owner):.5f}"
    )
    blocks = threshold_blocks(x, one, 2)
    line(
        "threshold blocks, the same people", 0.0, f"total / planted {tuple_cost(x, blocks) / tuple_cost(x, owner):.5f}"
    )


if __name__ == "__main__":
    designs()
    quality()
