"""Does help for some take jobs from others? The design of Crépon et al. (2013): areas to saturations, then people.

235 areas in matched sets of five; the five saturations 0, 1/4, 1/2, 3/4 and 1 are drawn within each set, and then
people within their area. Those who were not offered anything, in areas where many were, tell of displacement. The
people are made up. Run it with ``python examples/saturation_crepon.py``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

import kokeilu as kk
from kokeilu._kernels.streams import Seed

AREAS, PEOPLE = 235, 11_806
DIRECT, SPILLOVER = 0.04, -0.03
LEVELS = ("0", "0.25", "0.5", "0.75", "1")


def title(text: str) -> None:
    """Print an underlined title."""
    print(f"\n{text}\n{'-' * len(text)}")


def register() -> pd.DataFrame:
    """Return people in 235 areas of unequal size, with the unemployment rate of the area."""
    chance = Seed.of("crepon example").stream("register")
    weight = 0.3 + chance.child("size").doubles(1, AREAS)[0]
    area = np.searchsorted(np.cumsum(weight / weight.sum()), chance.child("area").doubles(1, PEOPLE)[0])
    rate = 4 + 8 * chance.child("rate").doubles(1, AREAS)[0]
    return pd.DataFrame({"id": np.arange(PEOPLE), "area": area, "unemployment": rate[area].round(2)})


def outcomes(people: pd.DataFrame, assignment: kk.Assignment, design: kk.Saturation) -> pd.DataFrame:
    """Reveal a stable job at eight months: offers help, and a full area takes jobs from those without an offer."""
    drawn = assignment.to_frame().set_index("id")["arm"].astype(str)
    level = drawn.str.split(" at ").str[1].astype(float)
    offered = drawn.str.startswith("offered")
    chance = 0.22 - 0.006 * (people.set_index("id")["unemployment"] - 8) + DIRECT * offered + SPILLOVER * level
    luck = Seed.of("crepon example").stream("luck").doubles(1, PEOPLE)[0]
    return pd.DataFrame({"id": drawn.index, "job": (luck < chance.to_numpy()).astype(int)})


def main() -> None:
    """Draw both stages, look at the law, and estimate direct and spillover effects."""
    people = register()
    sets = kk.MatchedTuples(kk.arms(dict.fromkeys(LEVELS, 1)), on=("cluster_size", "unemployment"))
    design = kk.Saturation(kk.arms({"not offered": 1, "offered": 1}), levels=sets, area="area")

    title("The two draws")
    assignment = kk.randomise(people, design, id="id", seed="Lotto 21.11.2026: 4 11 19 23 30 38 40")
    print(assignment)
    print(kk.verify(assignment, people))

    title("The areas alone, and treated against untreated over all levels")
    print(kk.merge_arms(assignment, design.areas()))
    print(kk.merge_arms(assignment, design.people()))

    title("Direct and spillover effects")
    revealed = outcomes(people, assignment, design)
    for name, contrasts in design.effects().items():
        print(f"\n{name}")
        print(kk.estimate_effects(assignment, revealed, "job", contrasts=contrasts))
    print(
        f"\nIn truth an offer adds {100 * DIRECT:.0f} points, and an area where everybody is offered takes "
        f"{-100 * SPILLOVER:.0f} points from everybody in it."
    )


if __name__ == "__main__":
    main()
