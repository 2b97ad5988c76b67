"""Draws beside stochatreat, in the same run: one million people, and a thousand redraws of ten thousand.

Run with ``make bench``. Prints seconds and ratios; asserts nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import kokeilu as kk

ARMS = kk.arms(control=2, coach=1, voucher=1)


def best_of(action: Callable[[], Any], times: int) -> float:
    """Return the least time of several runs, in seconds."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def register(n: int, strata: int) -> pd.DataFrame:
    """Return ids in a mixed order and a stratum."""
    place = np.arange(n)
    return pd.DataFrame({"id": (place * 7_919 + 13) % n, "stratum": place * 2_654_435_761 % 2**32 % strata})


def peer(table: pd.DataFrame, seed: int) -> Any:
    """Draw with stochatreat."""
    from stochatreat import stochatreat

    return stochatreat(
        data=table, stratum_cols=["stratum"], treats=3, probs=[0.5, 0.25, 0.25], idx_col="id", random_state=seed
    )


def line(what: str, ours: float, theirs: float | None) -> None:
    """Print one comparison."""
    if theirs is None:
        print(f"{what:<58} kokeilu {ours:8.3f} s   stochatreat not installed")
    else:
        print(f"{what:<58} kokeilu {ours:8.3f} s   stochatreat {theirs:9.3f} s   ratio {theirs / ours:7.1f}")


def main() -> None:
    """Run both comparisons."""
    try:
        import stochatreat  # noqa: F401

        have_peer = True
    except ImportError:
        have_peer = False
    design = kk.Stratified(ARMS, by="stratum")

    big = register(1_000_000, 200)
    ours = best_of(lambda: kk.randomise(big, design, id="id", seed="bench"), 3)
    theirs = best_of(lambda: peer(big, 1), 3) if have_peer else None
    line("one draw, 1,000,000 people, 200 strata, 1/2 1/4 1/4", ours, theirs)

    many = register(1_000_000, 250_000)
    ours = best_of(lambda: kk.randomise(many, design, id="id", seed="bench"), 3)
    theirs = best_of(lambda: peer(many, 1), 1) if have_peer else None
    line("one draw, 1,000,000 people, 250,000 strata of 4", ours, theirs)

    small = register(10_000, 200)
    drawn = kk.randomise(small, design, id="id", seed="bench")
    ours = best_of(lambda: list(kk.redraws(drawn.lottery, drawn.stream("bench"), 1_000)), 3)
    theirs = 20 * best_of(lambda: [peer(small, seed) for seed in range(50)], 1) if have_peer else None
    line("1,000 redraws, 10,000 people, 200 strata (peer: 20 x 50)", ours, theirs)


if __name__ == "__main__":
    main()
