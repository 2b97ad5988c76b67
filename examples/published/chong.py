"""Iron and schooling in Peru: pupils saw a video of a soccer player, of a physician, or one about something else.

Chong, Cohen, Field, Nakasone & Torero (2016), American Economic Journal: Applied Economics 8; drawn within five
school years. Data: ``AEJapp`` of the R package sreg. Peers: sreg 2.0.2, which repeats the illustration of Bugni, Canay
& Shaikh (2019, Quantitative Economics 10), and estimatr 1.0.6. Run it with
``python examples/published/chong.py [aejapp.csv]``.
"""

from __future__ import annotations

import pandas as pd
from _beside import Beside, beside, data, title

import kokeilu as kk

OUTCOME = "gradesq34"
NAMES = {3: "placebo", 1: "soccer player", 2: "physician"}


def trial_of(pupils: pd.DataFrame) -> kk.Assignment:
    """Adopt the allocation: equal shares within school years, the numbers taken as they fell."""
    arms = kk.arms({name: 1 for name in NAMES.values() if name in set(pupils["arm"])})
    design = kk.Stratified(arms, by=("class_level",))
    table = pupils[["student_id", "arm", "class_level"]]
    return kk.adopt(table, arm="arm", design=design, id="student_id", counts="realised")


def three_arms(trial: kk.Assignment, pupils: pd.DataFrame) -> list[Beside]:
    """Return both videos beside sreg, with its two errors."""
    lines = []
    wanted = [("-0.0511297087375601", "0.206454140865055", "0.199173406887676")]
    wanted += [("0.409033730517056", "0.206514551650793", "0.199417037500827")]
    hc1, hc0 = (
        kk.estimate_effects(trial, pupils, OUTCOME, estimator=kk.StratifiedRegression(errors=errors))
        for errors in ("HC1", "HC0")
    )
    for one, other, (effect, error, plain) in zip(hc1, hc0, wanted, strict=True):
        lines += [
            Beside(what=f"{one.arm}: grades", ours=one.value, theirs=effect, source="sreg"),
            Beside(what="its error", ours=one.error, theirs=error, source="sreg, HC1"),
            Beside(what="its error", ours=other.error, theirs=plain, source="sreg, without HC1"),
        ]
    return lines


def two_arms(pupils: pd.DataFrame) -> list[Beside]:
    """Return each video against the placebo with the third arm left out, as estimatr does."""
    lines = []
    for name, effect, error, dof in (
        ("soccer player", "-0.0512176892846968", "0.204449421553857", "132"),
        ("physician", "0.405890737694742", "0.202390656867495", "135"),
    ):
        pair = pupils[pupils["arm"].isin(["placebo", name])]
        found = kk.estimate_effects(trial_of(pair), pair, OUTCOME)[0]
        lines += [
            Beside(what=f"{name}, two arms", ours=found.value, theirs=effect, source="estimatr, blocks"),
            Beside(what="its error", ours=found.error, theirs=error, source="estimatr, blocks"),
            Beside(what="dof", ours=found.dof or 0.0, theirs=dof, source="estimatr, blocks"),
        ]
    return lines


def main() -> None:
    """Replicate both videos, and both at once."""
    pupils = data("aejapp.csv", "`AEJapp` of the R package sreg")
    pupils = pupils.assign(arm=pupils["treatment"].map(NAMES))
    trial = trial_of(pupils)
    title("As the design says: grades in the last two quarters")
    effects = kk.estimate_effects(trial, pupils, OUTCOME)
    print(effects)
    title("Beside other programs")
    beside([*three_arms(trial, pupils), *two_arms(pupils)])
    print(
        "With three arms each school year counts by its pupils of all arms, with two arms by those of the two.\n"
        "The example of sreg also adjusts for the pills taken. Those were taken after the video: not repeated here."
    )
    title("Two videos")
    family = kk.family_test(trial, pupils, [OUTCOME], family=kk.RomanoWolf(draws=1_999))
    print(family)
    physician = family.members[1]
    print(
        f"\nIn words: pupils who saw the physician had grades {physician.effect:.1f} higher, those who saw the soccer "
        f"player no higher ones;\nwith two videos tried, luck alone does as much in {physician.adjusted_p:.0%} "
        "of draws."
    )


if __name__ == "__main__":
    main()
