"""The balance table of 100,000 people and 30 covariates, 4 arms in 200 strata, and its test, beside tableone."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import kokeilu as kk

PEOPLE, COVARIATES, STRATA = 100_000, 30, 200
REPEATS = 3


def best(work: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Seconds of the fastest of a few runs."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def register() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    table = pd.DataFrame(rng.normal(size=(PEOPLE, COVARIATES))).add_prefix("x")
    return table.assign(id=np.arange(PEOPLE), stratum=rng.integers(0, STRATA, PEOPLE))


def report(name: str, seconds: float, more: str = "") -> None:
    print(f"  {name:<56} {seconds:8.2f} s   {more}")


def main() -> None:
    print(f"{PEOPLE:,} people, {COVARIATES} covariates, 4 arms in {STRATA} strata")
    table = register()
    names = [f"x{j}" for j in range(COVARIATES)]
    design = kk.Stratified(kk.arms(control=1, coaching=1, letter=1, voucher=1), by="stratum")
    assignment = kk.randomise(table, design, id="id", seed="bench balance")
    report(
        "kokeilu table (means, SD, SMD, ratio, KS, within strata)",
        best(lambda: kk.check_balance(assignment, table, on=names, draws=1)),
        "limit 1.5 s",
    )
    seconds = best(lambda: kk.check_balance(assignment, table, on=names, draws=999), repeats=1)
    report("kokeilu table with 999 redraws of the lottery", seconds, "limit 20 s")
    tableone(table.assign(arm=np.array(assignment.arms.names)[assignment.codes]), names)
    print("  cobalt 4.4.1 (R) takes 3.0 s for means, variance ratio and KS of two arms, without a test of the draw")


def tableone(table: pd.DataFrame, names: list[str]) -> None:
    try:
        from tableone import TableOne
    except ImportError:
        print("  tableone is not installed (extra 'bench')")
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seconds = best(
            lambda: TableOne(table, columns=names, categorical=[], groupby="arm", pval=True, smd=True), repeats=1
        )
    report("tableone (means, SD, SMD, p by row; no strata, no redraws)", seconds)


if __name__ == "__main__":
    main()
