"""The municipal trials of 2021 as a stepped wedge: the order of beginning drawn by lot, the queue as the control group.

The model was to come to all municipalities in the end. Drawing the order in which they begin, before it is announced,
would have given a comparison at no cost: those who wait. Here 40 municipalities begin in four steps.
The people are made up. Run it with ``python examples/stepped_wedge_2021.py``.
"""

from __future__ import annotations

import kokeilu as kk

STEPS = kk.arms(dict.fromkeys(("March 2021", "September 2021", "March 2022", "September 2022"), 1))


def title(text: str) -> None:
    """Print an underlined title."""
    print(f"\n{text}\n{'-' * len(text)}")


def main() -> None:
    """Draw the order, show it, and analyse the period in which half have begun."""
    seekers = kk.datasets.job_seekers(20_000, seed="municipal trials of 2021")
    design = kk.SteppedWedge(STEPS, cluster="municipality")

    title("Who is treated when: one row for each step, one column for each period from the baseline on")
    for step, row in zip(STEPS.names, design.treatment_matrix().tolist(), strict=True):
        print(f"{step:<16}", *row)

    title("The draw of the order")
    assignment = kk.randomise(seekers, design, id="person_id", seed="Lotto 21.11.2026: 4 11 19 23 30 38 40")
    print(assignment)
    print(kk.verify(assignment, seekers))
    print(kk.law(assignment))

    title("Period 2: those who have begun against those who wait (true effect: 4 points)")
    begun = kk.merge_arms(assignment, design.started_by(2))
    print(begun)
    revealed = kk.datasets.outcomes(seekers, begun, effects={"started": 0.04}, seed="municipal trials of 2021")
    print(kk.estimate_effects(begun, revealed, "employed_12m"))
    print(kk.randomisation_test(begun, revealed, "employed_12m", draws=999))


if __name__ == "__main__":
    main()
