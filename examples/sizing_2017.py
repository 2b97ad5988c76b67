"""The trial of 2017-18 as it could have been run: 8 regions, 23 municipalities, or 39,500 people one by one.

In August 2017 some 39,500 unemployed clients in eight Finnish regions were moved to the municipalities' services, all
at once and without a draw, so that nobody can say what it changed. How much could each way of drawing have shown, on
employment and on the length of spells, and for how much money? Public reports give the numbers of regions and clients;
the 23 municipalities, exit hazards, correlations, shares and costs are assumptions, and stand below to be replaced. Run
it with ``python examples/sizing_2017.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import kokeilu as kk

PEOPLE, REGIONS, MUNICIPALITIES = 39_500, 8, 23
BASE = 0.30  # in work after a year without the trial
ICC = 0.01  # of people in one municipality or region
R2 = 0.10  # by last year's employment, age and education
TAKE_UP = {"municipality": 0.80}
COSTS = {"state": 20.0, "municipality": 400.0}  # euros a person: data, and a coach besides
TEAM = 300_000.0  # of the evaluation, whatever the design
# Monthly exit hazards fall with duration: months 1-3, 4-12, and later.
HAZARDS, LENGTHS = (0.09, 0.05, 0.03), (3.0, 9.0)

ARMS = kk.arms(state=1, municipality=1)
ONE_BY_ONE = kk.Stratified(ARMS, by=("region",))
WHOLE = kk.Clustered(kk.Complete(ARMS), by="place")


def title(text: str) -> None:
    """Print an underlined title."""
    print(f"\n{text}\n{'-' * len(text)}")


def ways() -> Mapping[str, tuple[Any, Any, Mapping[str, Any]]]:
    """Return each way of drawing: design, sizes, and what the outcome must say of clusters."""
    whole = {"icc": ICC, "r2": R2}
    # Regions and municipalities are very unequal: Tampere alone had more than half of the people.
    return {
        "8 regions": (WHOLE, kk.ClusterSizes(count=REGIONS, size=PEOPLE / REGIONS, cv=1.3), whole),
        "23 municipalities": (
            WHOLE,
            kk.ClusterSizes(count=MUNICIPALITIES, size=PEOPLE / MUNICIPALITIES, cv=1.5),
            whole,
        ),
        "people, in 8 regions": (ONE_BY_ONE, kk.Blocks(count=REGIONS, size=PEOPLE / REGIONS), {"r2": R2}),
    }


def employment() -> dict[str, float]:
    """Print what each way could have detected on employment, and return it."""
    found = {}
    real = kk.Reality(take_up=TAKE_UP)
    for name, (design, sizes, shares) in ways().items():
        offer = kk.detectable_effect(design, sizes, kk.Proportion(base=BASE, **shares))
        taking = kk.detectable_effect(design, sizes, kk.Proportion(base=BASE, **shares), reality=real)
        found[name] = 100 * offer.value
        print(f"{name:<22} offer {100 * offer.value:5.1f} points, taking part {100 * taking.value:5.1f} points", end="")
        paid = kk.budget(offer, kk.Costs(person=COSTS, fixed=TEAM)).value / 1e6
        print(f"   (error {100 * offer.error:.2f}, {offer.dof:,.0f} degrees of freedom; {paid:.1f} million euros)")
    return found


def spells() -> dict[str, float]:
    """Print what each way could have detected on months of unemployment up to two years, and return it."""
    found = {}
    for name, (design, sizes, shares) in ways().items():
        months = kk.RestrictedMean(hazards=HAZARDS, lengths=LENGTHS, horizon=24, **shares)
        answer = kk.detectable_effect(design, sizes, months, alternative="less")
        found[name] = -30.4 * answer.value
        print(f"{name:<22} {-30.4 * answer.value:5.0f} days shorter, of {30.4 * months.mean:.0f} on average")
    return found


def money() -> None:
    """Print what a trial that finds two points would have cost."""
    costs = kk.Costs(person=COSTS, fixed=TEAM)
    outcome = kk.Proportion(base=BASE, r2=R2)
    for name, arms in (("half and half", ARMS), ("one in five coached", kk.arms(state=4, municipality=1))):
        trial = kk.sample_size(kk.Complete(arms), outcome, effect=0.02)
        print(f"{name}: {kk.budget(trial, costs)}\n")
    print("The best shares for a million euros:")
    print(kk.allocate(1_000_000, costs=COSTS, fixed=TEAM))


def main() -> None:
    """Answer for the statistician, and then for the minister."""
    title(f"1. Employment after a year, from {BASE:.0%}: smallest effect found with power 80 %")
    points = employment()
    title("2. Months unemployed, at most 24: smallest shortening found with power 80 %")
    days = spells()
    title("3. How few people would have done, drawn one by one, and for how much money")
    money()
    title("4. Could whole municipalities have shown two points at all?")
    try:
        sizes = kk.ClusterSizes(count=MUNICIPALITIES, cv=1.5)
        kk.sample_size(WHOLE, kk.Proportion(base=BASE, icc=ICC, r2=R2), effect=0.02, sizes=sizes)
    except kk.errors.DesignError as error:
        print(error)
    title("For the minister")
    regions, towns, people = ways()
    print(
        f"Drawing lots among the regions would have shown only a rise of {points[regions]:.0f} points or more in\n"
        f"employment, and among the municipalities one of {points[towns]:.0f}: services seldom do so much. Drawing\n"
        f"lots among the same people, for the same money, would have shown a rise of {points[people]:.1f} points, and\n"
        f"spells shorter by {days[people]:.0f} days; and 15,000 of them would have shown a rise of two points.\n"
        "The lots cost nothing. Not drawing them cost the answer."
    )


if __name__ == "__main__":
    main()
