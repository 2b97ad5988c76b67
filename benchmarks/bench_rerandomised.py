"""Designs that balance covariates: rerandomisation at 1 % acceptance and by the best of 100, and the Gram-Schmidt walk.

Run with ``make bench``. Prints seconds and rates, without a peer; asserts nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import kokeilu as kk
from kokeilu._kernels.streams import Seed
from kokeilu.core.protocols import Lottery, Mechanism
from kokeilu.core.register import read_register

NAMES = tuple(f"x{j}" for j in range(10))
STREAM = Seed.of("bench").stream("redraws")
DRAWS = 100


def best_of(action: Callable[[], Any], times: int = 3) -> float:
    """Return the least time of several runs, in seconds."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def bound(design: Mechanism, n: int) -> Lottery:
    """Bind a design to n people with ten skewed covariates and ten groups."""
    values = -np.log1p(-Seed.of("covariates").stream("x").doubles(n, 10))
    table = {"id": np.arange(n), "group": np.arange(n) % 10, **dict(zip(NAMES, values.T, strict=True))}
    return design.bind(read_register(table, design, id="id")[0])


def rerandomised() -> None:
    """Draws per second: accepted at 1 in 100, and the best of 100."""
    two, three = kk.arms(control=1, coaching=1), kk.arms(control=1, coach=1, voucher=1)
    bases: dict[str, Any] = {
        "two arms": kk.Complete(two),
        "two arms 2:1": kk.Complete(kk.arms(control=2, coaching=1)),
        "three arms": kk.Complete(three),
        "three arms 2:1:1": kk.Complete(kk.arms(control=2, coach=1, voucher=1)),
        "ten strata": kk.Stratified(two, by="group"),
        "ten strata 2:1": kk.Stratified(kk.arms(control=2, coaching=1), by="group"),
    }
    rules: dict[str, dict[str, Any]] = {"1 in 100": {"accept": 0.01}, "best of 100": {"draws": 100}}
    for rule, how in rules.items():
        for name, base in bases.items():
            lottery: Any = bound(kk.Rerandomised(base, on=NAMES, **how), 10_000)
            tries = how.get("draws", 0) * DRAWS or int(lottery.accepted_tries(STREAM, DRAWS).sum()) + DRAWS
            seconds = best_of(lambda lottery=lottery: lottery.draw(STREAM, DRAWS))  # type: ignore[misc]
            rate = f"{DRAWS / seconds:6.0f} draws/s   {tries / seconds:8.0f} tries/s"
            print(f"rerandomised 10,000 x 10, {rule:<11} {name:<16} {rate}")


def walks() -> None:
    """Seconds of one walk."""
    for n in (2_000, 5_000, 20_000):
        for balanced in (False, True):
            design = kk.GramSchmidtWalk(kk.arms(control=1, coaching=1), on=NAMES, balanced=balanced)
            lottery = bound(design, n)
            seconds = best_of(lambda lottery=lottery: lottery.draw(STREAM, 1), 2)  # type: ignore[misc]
            print(f"Gram-Schmidt walk {n:>6,} x 10, {'balanced' if balanced else 'free':<9} {seconds:6.2f} s")


if __name__ == "__main__":
    rerandomised()
    walks()
