"""A sealed draw of one million people: commitment, draw with certificate, verification, one person's proof.

Run with ``make bench``. Prints seconds; asserts nothing. No other package of the field has such a draw; the line of
the bare draw shows what the seal costs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import kokeilu as kk

PEOPLE = 1_000_000
KEY, SECRET = bytes(range(32)), bytes(range(32, 64))


def timed(what: str, action: Callable[[], Any]) -> Any:
    """Run an action once and print its time."""
    start = time.perf_counter()
    result = action()
    print(f"{what:<64} {time.perf_counter() - start:7.2f} s")
    return result


def register(n: int) -> pd.DataFrame:
    """Return text ids in a mixed order, a region and a yes or no."""
    place = np.arange(n)
    ids = [f"P{i:07d}" for i in ((place * 7_919 + 13) % n).tolist()]
    regions = [f"Region {i}" for i in range(100)]
    region = [regions[i] for i in (place * 2_654_435_761 % 2**32 % 100).tolist()]
    return pd.DataFrame({"id": ids, "region": region, "long_term": place % 3 == 0})


def main() -> None:
    """Run the steps one after another."""
    table = register(PEOPLE)
    design = kk.Stratified(kk.arms(control=2, coach=1, voucher=1), by=("region", "long_term"))
    timed("the bare draw, 1,000,000 people, 200 strata, 3 arms", lambda: kk.randomise(table, design, id="id", seed=1))
    commitment = timed(
        "commit",
        lambda: kk.commit(table, design, id="id", key=KEY, secret=SECRET, source="a public value"),
    )
    _, certificate = timed(
        "draw: register checked, drawn, certified",
        lambda: kk.draw(commitment, table, key=KEY, secret=SECRET, beacon="4 11 19 23 30 38 40"),
    )
    timed("verify", lambda: kk.verify(certificate, table, key=KEY))
    mine = timed("proof of one person", lambda: kk.proof(certificate, table, "P0000007", key=KEY))
    timed("check_proof", lambda: kk.check_proof(mine, certificate))


if __name__ == "__main__":
    main()
