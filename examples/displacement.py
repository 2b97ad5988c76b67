"""Does help for some take jobs from others? How many areas and people a trial of that needs.

The design of Crépon et al. (2013): areas are drawn to saturations of 0, 1/4, 1/2, 3/4 and 1, then people within areas.
Those without an offer in treated areas tell of displacement, against areas where nobody had an offer. 235 areas and
11,806 people unemployed at assignment are theirs; base, ICC and costs are assumptions. Run it with
``python examples/displacement.py``.
"""

from __future__ import annotations

import kokeilu as kk

AREAS, PEOPLE = 235, 11_806
OUTCOME = kk.Proportion(base=0.20, icc=0.01)
DESIGN = kk.Complete(kk.arms(not_offered=1, offered=1))
FIFTHS = tuple((level, 0.2) for level in (0.0, 0.25, 0.5, 0.75, 1.0))
TAKE_UP = 0.35
AREA, PERSON = 2_000.0, 15.0  # euros: an office that keeps to the draw, a person followed; help is paid anyway


def title(text: str) -> None:
    """Print an underlined title."""
    print(f"\n{text}\n{'-' * len(text)}")


def sizes(levels: tuple[tuple[float, float], ...], effect: str, areas: int | None = AREAS) -> kk.SaturationSizes:
    """Return areas of the size that the published trial had."""
    return kk.SaturationSizes(levels=levels, count=areas, size=PEOPLE / AREAS, effect=effect)


def main() -> None:
    """Answer for the statistician, and then for the minister."""
    title("1. Direct effect and displacement that 235 areas show, with power 80 %")
    found = {}
    for effect, words in (("treated", "offered"), ("untreated", "not offered, beside them")):
        found[effect] = kk.detectable_effect(DESIGN, sizes(FIFTHS, effect), OUTCOME, alternative="two-sided")
        print(f"\n{words}, against areas without offers")
        print(found[effect])

    title("2. Other saturations of the same areas: where nearly all are offered, few are left to tell of displacement")
    for name, levels in (
        ("0, 1/4, 1/2, 3/4, 1", FIFTHS),
        ("0 and 1/2", ((0.0, 0.5), (0.5, 0.5))),
        ("0 and 3/4", ((0.0, 0.5), (0.75, 0.5))),
        ("0, 1/4, 3/4", ((0.0, 0.4), (0.25, 0.3), (0.75, 0.3))),
    ):
        both = [100 * kk.detectable_effect(DESIGN, sizes(levels, e), OUTCOME).value for e in ("treated", "untreated")]
        print(f"{name:<20} direct {both[0]:4.1f} points, displacement {both[1]:4.1f} points")

    title("3. Areas for a displacement of two points, and what they cost")
    wanted = kk.sample_size(DESIGN, OUTCOME, effect=-0.02, sizes=sizes(FIFTHS, "untreated", None))
    print(wanted)
    areas = round(sum((wanted.clusters_arms or {}).values()))
    everybody = areas * PEOPLE / AREAS
    price = areas * AREA + everybody * PERSON
    print(f"\nAll people of the {areas} areas are followed: {everybody:,.0f}, for {price:,.0f} euros.")

    title("4. Take-up: the offer works only through those who accept it")
    real = kk.Reality(take_up={"offered": TAKE_UP})
    taking = kk.detectable_effect(DESIGN, sizes(FIFTHS, "treated"), OUTCOME, reality=real)
    print(f"With {TAKE_UP:.0%} accepting, the effect on those who accept must be {100 * taking.value:.1f} points.")

    title("For the minister")
    print(
        f"A trial of {AREAS} areas would notice if an offer of help raised the share at work by "
        f"{100 * found['treated'].value:.1f} points, and\nif it cost those beside them "
        f"{100 * found['untreated'].value:.1f} points. To notice that two in a hundred lose a job to the helped\n"
        f"takes {areas} areas. A trial inside one office cannot see it at any size: its control group loses the jobs."
    )


if __name__ == "__main__":
    main()
