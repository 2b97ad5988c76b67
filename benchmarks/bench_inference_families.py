"""Romano-Wolf over arms and outcomes from one set of redraws, beside pyfixest's `rwolf`."""

from __future__ import annotations

import resource
import time
import warnings

import numpy as np
import pandas as pd

import kokeilu as kk

OUTCOMES = 10


def register(n: int) -> pd.DataFrame:
    step = np.arange(n)
    return pd.DataFrame({"id": step, "area": step % 20})


def outcomes_of(n: int, lost: float = 0.0) -> pd.DataFrame:
    noise = np.random.default_rng(1)
    table = pd.DataFrame({"id": np.arange(n)})
    shared = noise.normal(size=n)
    for k in range(OUTCOMES):
        y = shared + noise.normal(size=n)
        table[f"y{k}"] = np.where(noise.uniform(size=n) < lost, np.nan, y)
    return table


def own(name: str, trial: kk.Assignment, table: pd.DataFrame, family: object) -> float:
    names = [f"y{k}" for k in range(OUTCOMES)]
    start = time.perf_counter()
    kk.family_test(trial, table, names, family=family)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  {name:<60} {seconds:8.2f} s   peak {peak:,.0f} MB")
    return seconds


def three_arms(n: int = 20_000, draws: int = 10_000) -> None:
    """The budget: 3 arms x 10 outcomes x 10,000 redraws."""
    print(f"3 arms against control x {OUTCOMES} outcomes, {draws:,} redraws, n = {n:,}")
    people, arms = register(n), kk.arms(control=1, coaching=1, letter=1, both=1)
    designs = {"complete": kk.Complete(arms), "20 strata": kk.Stratified(arms, by="area")}
    for label, design in designs.items():
        trial = kk.randomise(people, design, id="id", seed="bench")
        own(f"kokeilu RomanoWolf, {label}", trial, outcomes_of(n), kk.RomanoWolf(draws=draws))
        own(f"kokeilu RomanoWolf, {label}, 10 % missing", trial, outcomes_of(n, 0.1), kk.RomanoWolf(draws=draws))
    own("kokeilu WestfallYoung (min-P), 20 strata", trial, outcomes_of(n), kk.WestfallYoung(draws=draws))


def beside_pyfixest(n: int = 10_000, draws: int = 999) -> None:
    """Two arms: pyfixest's `rwolf` takes one coefficient of each of several models."""
    print(f"1 arm against control x {OUTCOMES} outcomes, {draws:,} redraws, n = {n:,}")
    trial = kk.randomise(register(n), kk.Complete(kk.arms(control=1, coaching=1)), id="id", seed="bench")
    table = outcomes_of(n)
    seconds = own("kokeilu RomanoWolf", trial, table, kk.RomanoWolf(draws=draws))
    try:
        import pyfixest as pf
    except ImportError:
        print("  pyfixest is not installed (extra 'bench')")
        return
    frame = table.assign(arm=trial.codes.astype(float))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = [pf.feols(f"y{k} ~ arm", frame, vcov="hetero") for k in range(OUTCOMES)]
        # Its "ri" redraws without strata and takes a minute for each outcome.
        rwolf(pf, models, "wild-bootstrap", draws, seconds)


def rwolf(pf: object, models: list[object], method: str, draws: int, own_seconds: float) -> None:
    pf.rwolf(models, "arm", reps=9, seed=1, sampling_method=method)  # type: ignore[attr-defined]
    start = time.perf_counter()
    pf.rwolf(models, "arm", reps=draws, seed=1, sampling_method=method)  # type: ignore[attr-defined]
    seconds = time.perf_counter() - start
    print(f"  pyfixest rwolf, {method:<44} {seconds:8.2f} s   {seconds / own_seconds:6.1f} times kokeilu's")


def main() -> None:
    three_arms()
    beside_pyfixest()


if __name__ == "__main__":
    main()
