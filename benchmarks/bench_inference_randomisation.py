"""Randomisation tests beside coin (R) and plain numpy, in the same run.

Run with ``make bench``. Prints seconds and ratios; asserts nothing. The whole public test is timed, its interval
included: aligning the table, the observed statistic, the null distribution and the inversion. coin gives a p-value
alone, and is stopped after a minute; it comes from Debian's ``r-cran-coin``, and where Rscript or the package is not
there the line says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import kokeilu as kk

MINUTE = 60.0

COIN = """
suppressMessages(library(coin))
d <- read.csv("{path}")
d$z <- factor(d$z); d$s <- factor(d$s)
started <- proc.time()[["elapsed"]]
p <- tryCatch(pvalue(independence_test({formula}, data = d, distribution = {law})), error = function(e) NaN)
cat(format(p, digits = 15), proc.time()[["elapsed"]] - started)
"""


def best_of(action: Callable[[], Any], times: int = 3) -> tuple[tuple[float, float], Any]:
    """Return the least time of several runs, by the clock and of the processor, and what the last returned."""
    clock, processor, found = [], [], None
    for _ in range(times):
        start, spent = time.perf_counter(), time.process_time()
        found = action()
        clock.append(time.perf_counter() - start)
        processor.append(time.process_time() - spent)
    return (min(clock), min(processor)), found


def weeks(n: int, strata: int = 1) -> pd.DataFrame:
    """Return whole weeks of benefits, 1 to 27, heaped at the end, and a stratum."""
    rng = np.random.default_rng(n)
    stratum = np.arange(n) % strata
    weeks = np.minimum(rng.geometric(0.06 + 0.005 * stratum), 27)
    return pd.DataFrame({"id": np.arange(n), "s": stratum, "y": weeks, "x": rng.lognormal(size=n)})


def drawn(table: pd.DataFrame, share: str = "1/3") -> kk.Assignment:
    """Draw, in strata where there are several."""
    # Whole seats in each stratum, so that a peer that takes the seats as given tests the same.
    sizes = table["s"].value_counts()
    seats = {level: round(n * Fraction(share)) for level, n in sizes.items()}
    shares = {level: kk.arms(control=int(n - seats[level]), coaching=seats[level]) for level, n in sizes.items()}
    design = kk.Stratified(shares, by="s") if len(sizes) > 1 else kk.Complete(shares[0])
    return kk.randomise(table[["id", "s"]], design, id="id", seed="bench")


def coin(table: pd.DataFrame, assignment: kk.Assignment, law: str) -> tuple[float, float] | None:
    """Return coin's p-value and its seconds, or None where it is not installed."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        table.assign(z=assignment.codes).to_csv(path, index=False)
        formula = "y ~ z | s" if table["s"].nunique() > 1 else "y ~ z"
        code = COIN.format(path=path, formula=formula, law=law)
        try:
            done = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=False, timeout=MINUTE)
        except subprocess.TimeoutExpired:
            return float("inf"), MINUTE
    if done.returncode:
        return None
    p, seconds = done.stdout.split()
    return float(p), float(seconds)


def line(what: str, ours: tuple[float, float], p: float, peer: str, theirs: tuple[float, float] | None) -> None:
    """Print one comparison."""
    head = f"{what:<62} kokeilu {ours[0]:7.3f} s (cpu {ours[1]:6.3f})  p {p:.9f}"
    if theirs is None:
        print(f"{head}   {peer} not installed")
    elif np.isinf(theirs[0]):
        print(f"{head}   {peer} stopped after {theirs[1]:.0f} s")
    elif np.isnan(theirs[0]):
        print(f"{head}   {peer} fails")
    else:
        print(f"{head}   {peer} {theirs[1]:7.3f} s  p {theirs[0]:.9f}  ratio {theirs[1] / ours[0]:6.1f}")


def exact(n: int, strata: int) -> None:
    """Compare exact p-values; coin has no exact law in strata, and is then asked for 10,000 redraws."""
    table = weeks(n, strata)
    assignment = drawn(table)
    ours, result = best_of(lambda: kk.randomisation_test(assignment, table, "y", studentise=False, method="exact"))
    law = '"exact"' if strata == 1 else "approximate(nresample = 10000)"
    where = f"in {strata} strata" if strata > 1 else "one stratum"
    line(f"exact p and interval, n = {n:,}, {where}", ours, result.p_value, "coin", coin(table, assignment, law))


def plain(y: np.ndarray[Any, Any], codes: np.ndarray[Any, Any], draws: int) -> tuple[float, float]:
    """Return the p-value and the seconds of numpy alone: permute the arms, take the difference, no studentisation."""
    start, rng = time.perf_counter(), np.random.default_rng(1)
    treated = codes == 1
    seen = abs(y[treated].mean() - y[~treated].mean())
    hits = 0
    for _ in range(draws):
        shuffled = rng.permutation(treated)
        total = y[shuffled].sum()
        hits += abs(total / treated.sum() - (y.sum() - total) / (~treated).sum()) >= seen - 1e-12
    return (1 + hits) / (1 + draws), time.perf_counter() - start


def redraws(outcome: str, what: str, share: str, strata: int = 1) -> None:
    """Compare 10,000 studentised redraws at n = 100,000 with numpy's raw ones (300, scaled up)."""
    table = weeks(100_000, strata)
    assignment = drawn(table, share)
    ours, result = best_of(lambda: kk.randomisation_test(assignment, table, outcome, draws=10_000))
    p, seconds = plain(table[outcome].to_numpy(dtype=float), assignment.codes, 300)
    line(f"10,000 redraws, n = 100,000, {what}", ours, result.p_value, "numpy", (p, seconds * 10_000 / 300))


def main() -> None:
    """Run all comparisons."""
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for n in (500, 1_000, 2_000, 5_099):
        exact(n, 1)
    exact(5_099, 6)
    exact(100_000, 1)
    redraws("y", "whole weeks, share 1/2", "1/2")
    redraws("y", "whole weeks, share 1/3, 6 strata", "1/3", 6)
    redraws("x", "continuous, share 1/2", "1/2")
    redraws("x", "continuous, share 1/3", "1/3")
    redraws("x", "continuous, share 1/50", "1/50")
    redraws("x", "continuous, share 1/2, 20 strata", "1/2", 20)


if __name__ == "__main__":
    main()
