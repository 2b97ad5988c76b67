"""The Pennsylvania reemployment bonus: job seekers offered money for a quick job, five offers, by quarter of enrolment.

Data: ``penn_jae.dat`` of Bilias (2000), Journal of Applied Econometrics 15, as CSV. A sixth offer, not made in the
last two quarters, is left out as the peers do. Peers: sreg 2.0.2 and estimatr 1.0.6 in R, and for the exact p-value,
which no package gave, a separate program. Run it with ``python examples/published/pennsylvania.py [penn.csv]``.
"""

from __future__ import annotations

import pandas as pd
from _beside import Beside, beside, data, title

import kokeilu as kk

OUTCOME = "inuidur1"
SREG = {
    "bonus 1": ("-0.456376943740964", "0.343458970761681"),
    "bonus 2": ("-0.687658116812593", "0.282275033275585"),
    "bonus 3": ("-0.400824001281564", "0.312329358679329"),
    "bonus 4": ("-0.774118502867267", "0.315311610487987"),
    "bonus 5": ("-0.192852738246744", "0.310791716630618"),
}
WEIGHTING = (
    "shares differ between quarters, and least squares weighs quarters by how evenly\n  they were split; here people "
    "count alike, by 1/share"
)


def trial_of(people: pd.DataFrame) -> kk.Assignment:
    """Adopt the allocation: drawn within quarters, the numbers taken as they fell."""
    counts = people["arm"].value_counts()
    arms = kk.arms({"none": int(counts["none"])} | {arm: int(counts[arm]) for arm in sorted(counts.index[1:])})
    design = kk.Stratified(arms, by=("quarter",))
    return kk.adopt(people[["id", "arm", "quarter"]], arm="arm", design=design, id="id", counts="realised")


def five_arms(trial: kk.Assignment, people: pd.DataFrame) -> list[Beside]:
    """Return all arms beside sreg, and one beside least squares with effects of the quarters."""
    strata = kk.estimate_effects(trial, people, OUTCOME, estimator=kk.StratifiedRegression(errors="HC1"))
    lines = []
    for found in strata:
        effect, error = SREG[found.arm]
        lines += [
            Beside(what=f"{found.arm}: weeks", ours=found.value, theirs=effect, source="sreg"),
            Beside(what="its error", ours=found.error, theirs=error, source="sreg, HC1"),
        ]
    fixed = kk.estimate_effects(trial, people, OUTCOME, estimator=kk.Regression(errors="HC2"))[3]
    peer = "estimatr lm_robust, fixed effects"
    return [
        *lines,
        Beside(what="bonus 4 by regression", ours=fixed.value, theirs="-0.792966968276408", source=peer, why=WEIGHTING),
    ]


def one_arm(people: pd.DataFrame) -> list[Beside]:
    """Return the fourth offer against none alone: blocked means, the same by Lin, and the exact test."""
    pair = people[people["arm"].isin(["none", "bonus 4"])]
    trial = trial_of(pair)
    found = kk.estimate_effects(trial, pair, OUTCOME)[0]
    exact = kk.randomisation_test(trial, pair, OUTCOME, studentise=False)
    blocks, own = "estimatr, blocks", "own program (Pagano & Tritchler 1983)"
    return [
        Beside(what="bonus 4 alone: weeks", ours=found.value, theirs="-0.797613420814457", source=blocks),
        Beside(what="its error", ours=found.error, theirs="0.311506533706716", source=blocks),
        Beside(what="dof", ours=found.dof or 0.0, theirs="5087", source=blocks),
        Beside(what="exact p, 5,099 people", ours=exact.p_value, theirs="0.010078297581124022", source=own),
    ]


def main() -> None:
    """Replicate five arms and one, then test all of them together."""
    people = data("penn.csv", "`penn_jae.dat` of the Journal of Applied Econometrics archive, Bilias (2000)")
    if "quarter" not in people:
        people["quarter"] = sum(k * people[f"q{k}"] for k in range(1, 7))
    people = people[people["tg"] < 6].assign(arm=lambda t: "bonus " + t["tg"].astype(str))
    people = people.assign(arm=people["arm"].replace({"bonus 0": "none"}))
    trial = trial_of(people)
    title("As the design says: weeks of unemployment")
    effects = kk.estimate_effects(trial, people, OUTCOME)
    print(effects)
    title("Beside other programs")
    beside([*five_arms(trial, people), *one_arm(people)])
    title("Five arms are five chances to be lucky")
    family = kk.family_test(trial, people, [OUTCOME], family=kk.RomanoWolf(draws=1_999))
    print(family)
    best = family.members[3]
    print(
        f"\nIn words: the fourth bonus shortened unemployment by {-best.effect:.1f} of {effects[0].reference_mean:.1f} "
        f"weeks; with five bonuses tried, so large a\ngain for one of them comes by luck alone in "
        f"{best.adjusted_p:.0%} of draws, so this is promising and not yet proven."
    )


if __name__ == "__main__":
    main()
