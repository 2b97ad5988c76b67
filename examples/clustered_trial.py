"""A trial that draws employment offices, not people: 39,500 seekers, 94 offices within eight regions.

A new way of working is learnt by a whole office, so offices are drawn, within regions. People of one office resemble
each other (the ICC); the price is paid in power, and the errors must be those of offices. Run it with
``python examples/clustered_trial.py``.
"""

from __future__ import annotations

import kokeilu as kk

EFFECT = 0.03
ICC = 0.02


def title(text: str) -> None:
    """Print an underlined title."""
    print(f"\n{text}\n{'-' * len(text)}")


def main() -> None:
    """Size, draw, verify and analyse the trial."""
    seekers = kk.datasets.job_seekers(39_500, seed="clustered example: register")
    arms = kk.arms(control=1, coaching=1)
    people = kk.Stratified(arms, by=("region",))
    offices = kk.Clustered(people, by="employment_office")

    title("What drawing offices costs: the detectable effect, drawing people and drawing offices")
    print(kk.detectable_effect(people, seekers, kk.Proportion(base=0.30), power=0.80))
    print()
    print(kk.detectable_effect(offices, seekers, kk.Proportion(base=0.30, icc=ICC), power=0.80))
    print("\nIn words: as many people tell over three times less when whole offices are drawn.")

    title("The draw of offices within regions")
    assignment = kk.randomise(seekers, offices, id="person_id", seed="Lotto 21.11.2026: 4 11 19 23 30 38 40")
    print(assignment)
    print(kk.verify(assignment, seekers))

    title("Balance")
    print(kk.check_balance(assignment, seekers, on=("age", "months_unemployed", "immigrant")), flush=True)

    title(f"Effect on employment after 12 months (true effect {EFFECT:g}, ICC {ICC:g})")
    outcomes = kk.datasets.outcomes(
        seekers, assignment, effects={"coaching": EFFECT}, seed="clustered example: outcomes", office_icc=ICC
    )
    table = outcomes.merge(seekers, on="person_id")
    print(kk.estimate_effects(assignment, table, "employed_12m"))
    print(
        "\nIn words: the true effect is smaller than what this design detects, so an interval that holds 0 is common."
    )

    title("The same with covariates: CR2 errors with Satterthwaite degrees of freedom")
    model = kk.Regression(covariates=("age", "months_unemployed", "employment_days_prior"), errors="CR2")
    print(kk.estimate_effects(assignment, table, "employed_12m", estimator=model))

    title("Randomisation test: 1,999 new draws of the offices")
    print(kk.randomisation_test(assignment, table, "employed_12m", draws=1_999))


if __name__ == "__main__":
    main()
