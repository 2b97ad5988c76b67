"""The regional employment trial of 2017-18 as a draw: 23 municipalities, paired by size and earlier employment.

In 2017 the clients of whole municipalities moved into the trial together and nobody drew lots, so that its evaluation
could only be qualitative. Here 23 municipalities are drawn in pairs (one is left over and drawn on its own), and what
such a draw can find is set beside what a draw of people would find. The people are made up. Run it with
``python examples/municipalities_2017.py``.
"""

from __future__ import annotations

import kokeilu as kk

MUNICIPALITIES = 23
SEED = "Lotto 21.11.2026: 4 11 19 23 30 38 40"
ARMS = kk.arms({"as before": 1, "new service": 1})


def title(text: str) -> None:
    """Print an underlined title."""
    print(f"\n{text}\n{'-' * len(text)}")


def main() -> None:
    """Size, draw, check and analyse a trial of municipalities."""
    seekers = kk.datasets.job_seekers(39_500, seed="municipalities of 2017")
    largest = seekers["municipality"].value_counts().index[:MUNICIPALITIES]
    trial = seekers[seekers["municipality"].isin(largest)]
    pairs = kk.Clustered(
        kk.MatchedTuples(ARMS, on=("cluster_size", "employment_days_prior", "months_unemployed")), by="municipality"
    )

    title(f"What a draw of {MUNICIPALITIES} municipalities can find, and what a draw of people could")
    people = kk.Stratified(ARMS, by=("region",))
    print(kk.detectable_effect(people, trial, kk.Proportion(base=0.30)))
    whole = kk.Clustered(kk.Complete(ARMS), by="municipality")
    print(kk.detectable_effect(whole, trial, kk.Proportion(base=0.30, icc=0.01)))

    title("The draw of municipalities")
    assignment = kk.randomise(trial, pairs, id="person_id", seed=SEED)
    print(assignment)
    print(kk.verify(assignment, trial))

    title("The law of this draw")
    print(kk.law(assignment))

    title("Balance")
    print(kk.check_balance(assignment, trial, on=("age", "months_unemployed", "employment_days_prior", "immigrant")))

    title("A year later (true effect: 5 points)")
    revealed = kk.datasets.outcomes(trial, assignment, effects={"new service": 0.05}, seed="municipalities of 2017")
    print(kk.estimate_effects(assignment, revealed, "employed_12m"))
    print(kk.randomisation_test(assignment, revealed, "employed_12m", draws=1_999))


if __name__ == "__main__":
    main()
