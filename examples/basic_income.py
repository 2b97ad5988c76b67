"""The Finnish basic income trial of 2017-18 as a question of size: 2,000 drawn of about 175,000.

Everybody who was not drawn is the comparison, so that the control group is nearly the whole register and costs
nothing. What could 2,000 people show, what would more have shown, and what do the years before the draw add? The sizes
are those of the published trial; the spread of days in employment, shares and correlations are assumptions. Run it with
``python examples/basic_income.py``.
"""

from __future__ import annotations

from dataclasses import replace

import kokeilu as kk

DRAWN, REGISTER = 2_000, 175_000
DAYS = kk.Mean(sd=130.0)  # in employment in a year: many have none
SHARE = kk.Proportion(base=0.25)
BENEFIT = 560.0 * 24  # euros in two years, paid whether in work or not


def title(text: str) -> None:
    """Print an underlined title."""
    print(f"\n{text}\n{'-' * len(text)}")


def design(drawn: int) -> kk.Complete:
    """Return the draw of so many from the register."""
    return kk.Complete(kk.arms(control=REGISTER - drawn, basic_income=drawn))


def main() -> None:
    """Answer for the statistician, and then for the minister."""
    title("1. What 2,000 of 175,000 show, with power 80 %")
    days, share = (kk.detectable_effect(design(DRAWN), REGISTER, outcome) for outcome in (DAYS, SHARE))
    print(days)
    print(share)

    title("2. Where the error comes from: the 2,000, not the 173,000")
    for drawn in (1_000, 2_000, 5_000, 10_000, 20_000, REGISTER // 2):
        found = kk.detectable_effect(design(drawn), REGISTER, DAYS)
        print(f"{drawn:>7,} drawn: {found.value:5.1f} days, and {drawn * BENEFIT / 1e6:8,.0f} million euros of benefit")
    print("\nThe register as the whole population, effects varying by 40 days (Neyman 1923): hardly less.")
    print(kk.detectable_effect(design(DRAWN), REGISTER, replace(DAYS, effect_sd=40.0)))

    title("3. What the register adds for nothing: the year before as a covariate")
    for name, panel in (
        ("nothing", None),
        ("one year before", kk.Panel(pre=1, post=1, rho=0.6)),
        ("two years before, two after", kk.Panel(pre=2, post=2, rho_pre=0.6, rho_post=0.6, rho_cross=0.5)),
    ):
        found = kk.detectable_effect(design(DRAWN), REGISTER, replace(DAYS, panel=panel))
        print(f"{name:<28} {found.value:5.1f} days")

    title("4. Who answers a survey: bounds if 31 % of the drawn and 20 % of the others do")
    width = kk.lee_width(effect=0.0, sd=1.0, response_arm=0.31, response_reference=0.20)
    print(width)
    title("For the minister")
    more = kk.detectable_effect(design(10_000), REGISTER, DAYS)
    print(
        f"2,000 people could show a change of {days.value:.0f} days in work in a year, or of {100 * share.value:.1f} "
        "points in the\nshare at work. A larger control group would not have helped. Five times as many drawn would\n"
        f"have shown {more.value:.0f} days, at five times the benefit. A survey that a third answers cannot settle\n"
        "what the register can."
    )


if __name__ == "__main__":
    main()
