"""Simulated power beside mcpower, and at the size of a register: seconds on the clock and of the processor."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

import kokeilu as kk

ARMS = kk.arms(control=1, coaching=1)


def timed(work: Callable[[], Any], repeats: int = 2) -> tuple[float, float]:
    """Seconds on the clock and of the processor, of the fastest of a few runs."""
    found = []
    for _ in range(repeats):
        clock, processor = time.perf_counter(), time.process_time()
        work()
        found.append((time.perf_counter() - clock, time.process_time() - processor))
    return min(found)


def report(name: str, seconds: tuple[float, float], goal: str) -> None:
    print(f"  {name:<64} {seconds[0]:8.2f} s {seconds[1]:8.2f} s of processor   {goal}")


def normal(n: int, k: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    register = {f"x{j}": rng.normal(size=n) for j in range(k)}
    return {**register, "y": 0.3 * sum(register.values()) + rng.normal(size=n)}


def beside_mcpower(n: int = 2_000, draws: int = 10_000) -> None:
    """Least squares with a covariate: kokeilu gives the whole curve, mcpower the power at one effect."""
    print(f"{draws:,} simulations of least squares with one covariate, n = {n:,}")
    register, design = normal(n, 1, seed=1), kk.Complete(ARMS)
    regression = kk.Regression(covariates=("x0",), interacted=False, errors="HC2")

    def own(world: Any) -> Any:
        return kk.simulate_power(design, register, world, regression, effects=(0.1,), draws=draws, seed="bench")

    report("kokeilu, HC2, whole curve", timed(lambda: own(kk.Shift("y"))), "no slower than mcpower")
    report("kokeilu, difference in means, whole curve", timed(lambda: plain(design, register, draws)), "")
    if find_spec("mcpower") is None:
        print("  mcpower is not installed: pip install 'kokeilu[bench]'")
        return
    from mcpower import MCPower

    def peer() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            model = MCPower("y = treatment + x")
            model.set_effects("treatment=0.1, x=0.3")
            model.set_variable_type("treatment=binary")
            model.set_simulations(draws)
            model.find_power(sample_size=n, target_test="treatment")

    report("mcpower, classical errors, one effect", timed(peer), "")


def plain(design: Any, register: dict[str, np.ndarray], draws: int) -> Any:
    return kk.simulate_power(design, register, kk.Shift("y"), effects=(0.1,), draws=draws, seed="bench")


def blocked(n: int = 1_000, blocks: int = 25, draws: int = 500) -> None:
    print(f"{draws} simulations of {blocks} strata, n = {n:,} (DeclareDesign 1.0.10 with estimatr 1.0.6: 5.3 s)")
    register = {**normal(n, 0, seed=2), "block": np.repeat(np.arange(blocks), n // blocks)}
    design = kk.Stratified(ARMS, by="block")
    regression = kk.Regression()

    def own(world: Any) -> Any:
        return kk.simulate_power(design, register, world, regression, effects=(0.2,), draws=draws, seed="bench")

    report("kokeilu, stratum effects, HC2", timed(lambda: own(kk.Shift("y")), 3), "at most 0.3 s")
    report("the same, people drawn anew in each", timed(lambda: own(kk.Resampled(kk.Shift("y")))), "")


def large(n: int = 100_000, strata: int = 200, covariates: int = 10, draws: int = 1_000) -> None:
    print(f"{draws:,} redraws of {n:,} people in {strata} strata, {covariates} covariates (statsmodels: 275 s)")
    rng = np.random.default_rng(3)
    register = {**normal(n, covariates, seed=3), "stratum": rng.integers(0, strata, n)}
    regression = kk.Regression(covariates=tuple(f"x{j}" for j in range(covariates)), interacted=False, errors="HC2")
    design = kk.Stratified(ARMS, by="stratum")

    def own() -> Any:
        return kk.simulate_power(
            design, register, kk.Shift("y"), regression, effects=(0.01,), draws=draws, seed="bench"
        )

    report("kokeilu, stratum effects, HC2, whole curve", timed(own, 1), "at most 30 s")


if __name__ == "__main__":
    beside_mcpower()
    blocked()
    large()
