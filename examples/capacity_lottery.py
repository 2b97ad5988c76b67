"""A training course with fewer places than seekers: a lottery with ranks by office, offers, and a waiting list.

Each office has its own number of places. Young seekers go first, by decision of the programme; within a group everybody
has a random rank. Some decline, and their places are offered down the list. The effect is that of a *first* offer: it
is what the lottery decided. Run it with ``python examples/capacity_lottery.py``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

import kokeilu as kk

PLACES = {"Oulu": 160, "Pori": 90, "Inari": 30, "Vaasa": 100}
EFFECT = 30.0


def title(text: str) -> None:
    """Print an underlined title."""
    print(f"\n{text}\n{'-' * len(text)}")


def applicants() -> pd.DataFrame:
    """Return those who applied: 24 in Inari, where places are more, and many elsewhere."""
    seekers = kk.datasets.job_seekers(824, seed="capacity example: register")
    offices = np.repeat(["Oulu", "Pori", "Vaasa", "Inari"], [400, 180, 220, 24])
    frame = seekers.assign(office=offices)
    return frame.assign(young=np.where(frame["age"] < 21, "under 21", "21 or over"))


def main() -> None:
    """Draw, offer, replace, and estimate."""
    people = applicants()
    design = kk.CapacityLottery(PLACES, by=("office",), priority={"young": ("under 21", "21 or over")})

    title("The lottery")
    drawn = kk.randomise(people, design, id="person_id", seed="Lotto 21.11.2026: 4 11 19 23 30 38 40")
    print(drawn)
    print(kk.verify(drawn, people))

    title("Who had which chance")
    print(kk.law(drawn))

    title("First offers")
    first = kk.offers(drawn)
    print(first)

    title("One in eight of those with an offer declines; replacement offers go down the list")
    now, no = first, np.zeros(len(drawn), dtype=bool)
    ids = np.array(drawn.ids.to_list())
    unwilling = np.arange(len(drawn)) % 8 == 0
    while (now.offered & unwilling & ~no).any():
        no |= now.offered & unwilling
        now = kk.offers(drawn, declined=ids[no])
    print(now)
    table = pd.DataFrame(now.people())
    pori = table[table["list"] == "Pori"].drop(columns="person_id")
    print("\nPori, ranks 85 to 110:")
    print(pori[pori["rank"].between(85, 110)].to_string(index=False))

    title(f"Effect of a first offer on days in work (true effect {EFFECT:g}) among those whom the lottery decided")
    offered = pd.Series(drawn.codes == 1, index=drawn.ids.to_list())
    noise = kk.datasets.outcomes(people, seed="capacity example: outcomes")[["person_id", "days_employed"]]
    outcomes = noise.assign(days_employed=noise["days_employed"] + EFFECT * noise["person_id"].map(offered))
    print(kk.estimate_effects(drawn, outcomes, "days_employed"))
    print(kk.randomisation_test(drawn, outcomes, "days_employed", draws=1_999))
    print(
        "\nIn words: compare first offers with the rest. Those with any offer and those with none are not comparable,\n"
        "since offers go on until the places are filled (de Chaisemartin & Behaghel 2020)."
    )


if __name__ == "__main__":
    main()
