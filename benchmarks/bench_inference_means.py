"""Means by design at register size, beside estimatr: a million rows, 200 blocks, Horvitz-Thompson without a matrix."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import kokeilu as kk
from kokeilu.core.pairs import pair_law_of
from kokeilu.core.view import View

TWO = kk.arms(control=1, coaching=1)
R = """
suppressMessages(library(estimatr)); set.seed(1)
secs <- function(e) cat(sprintf("%.3f\\n", system.time(e)[3]))
d <- data.frame(y = rnorm(1e6), z = rep(0:1, 5e5)); secs(difference_in_means(y ~ z, data = d))
b <- data.frame(y = rnorm(1e5), z = rep(0:1, 5e4), s = rep(1:200, each = 500))
secs(difference_in_means(y ~ z, blocks = s, data = b))
h <- data.frame(y = rnorm(3000), z = rep(0:1, 1500))
secs(horvitz_thompson(y ~ z, data = h, condition_prs = rep(.5, 3000)))
"""


def best(work: Callable[[], Any], repeats: int = 3) -> float:
    """Seconds of the fastest of a few runs."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def view_of(n: int, design: Any, strata: int = 1) -> View:
    table = pd.DataFrame({"id": np.arange(n), "s": np.arange(n) % strata})
    trial = kk.randomise(table, design, id="id", seed="bench means")
    y = (np.random.Philox(key=1).random_raw(n) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return kk.align(trial, {"id": np.arange(n), "y": y}, "y")


def peer() -> list[float | None]:
    """Seconds of estimatr for the three tasks; None where R or the package is missing."""
    if shutil.which("Rscript") is None:
        return [None] * 3
    done = subprocess.run(["Rscript", "-e", R], capture_output=True, text=True, check=False)
    return [float(line) for line in done.stdout.split()] if done.returncode == 0 else [None] * 3


def main() -> None:
    """Print each task with both times and their ratio."""
    million = view_of(10**6, kk.Complete(TWO))
    blocked = view_of(10**5, kk.Stratified(TWO, by="s"), 200)
    tasks: list[tuple[str, Callable[[], Any]]] = [
        ("difference in means, n = 1,000,000", lambda: kk.DifferenceInMeans().estimate(million)),
        ("200 blocks, n = 100,000", lambda: kk.DifferenceInMeans().estimate(blocked)),
        ("Horvitz-Thompson, n = 1,000,000 (peer: n = 3,000)", lambda: kk.HorvitzThompson().estimate(million)),
        ("Hajek, 200 blocks, n = 100,000", lambda: kk.Hajek().estimate(blocked)),
        ("probabilities of pairs, n = 1,000,000", lambda: pair_law_of(million.lottery)),
    ]
    for (name, work), theirs in zip(tasks, [*peer(), None, None], strict=True):
        ours = best(work)
        ratio = "estimatr not run" if theirs is None else f"estimatr {theirs:.3f} s, {theirs / ours:.1f} times ours"
        sys.stdout.write(f"{name}: {ours:.3f} s; {ratio}\n")


if __name__ == "__main__":
    main()
