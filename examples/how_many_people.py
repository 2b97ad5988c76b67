"""How many people does the trial need, and what will the register at hand tell?

Four questions before a plan is written: how many people for a given effect; what unequal arms, covariates and whole
offices change; what this register can detect; and whether the formula holds on the register's own outcomes, by
simulation with the lottery that will be used. Run it with ``python examples/how_many_people.py``.
"""

from __future__ import annotations

import kokeilu as kk

BASE = 0.30
EFFECT = 0.02


def title(text: str) -> None:
    """Print an underlined title."""
    print(f"\n{text}\n{'-' * len(text)}")


def main() -> None:
    """Answer the four questions."""
    halves = kk.Complete(kk.arms(control=1, coaching=1))
    fifth = kk.Complete(kk.arms(control=4, coaching=1))

    title(f"1. People for an effect of {100 * EFFECT:g} percentage points, from {BASE:.0%} in work, power 80 %")
    print(kk.sample_size(halves, kk.Proportion(base=BASE), effect=EFFECT, power=0.80))

    title("2. What changes it: covariates that explain 10 % of the variance; one person in five coached")
    for design, model in ((halves, kk.Proportion(base=BASE, r2=0.10)), (fifth, kk.Proportion(base=BASE))):
        answer = kk.sample_size(design, model, effect=EFFECT, power=0.80)
        print(f"{design.arms.describe():<28} r2 {model.r2:<4g} {answer.n:>8,} people")

    title("3. What a register of 10,000 people in eight regions detects")
    seekers = kk.datasets.job_seekers(10_000, seed="size example: register")
    strata = kk.Stratified(halves.arms, by=("region", "long_term"))
    print(kk.detectable_effect(strata, seekers, kk.Proportion(base=BASE), power=0.80))

    title(
        "4. Does the formula hold? 1,000 trials with the lottery itself, days employed as last year's register had them"
    )
    last_year = kk.datasets.outcomes(seekers, seed="size example: last year")
    register = seekers.merge(last_year, on="person_id")
    spread = kk.Mean(sd=float(register["days_employed"].std()))
    print(kk.detectable_effect(strata, register, spread, power=0.80))
    print("\nSimulating ...", flush=True)
    days = kk.Shift("days_employed")
    print(kk.simulate_power(strata, register, days, effects=(0, 4, 6, 8), draws=1_000, seed="size example"))


if __name__ == "__main__":
    main()
