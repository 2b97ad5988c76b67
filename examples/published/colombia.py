"""Fruit and vegetable vendors in Bogota: 63 blocks of shops in 31 matched sets, a service that brings the goods.

Data: ``colombia`` of the R package ritest, preliminary data of Iacovone & McKenzie. Published: McKenzie's example of
randomisation inference in Stata, repeated in that package. Outcome: days a week with a visit to the central market.
Peers: Stata and fixest, estimatr 1.0.6. Rows are vendors in one of three survey rounds, so "people" below are those.
Run it with ``python examples/published/colombia.py [colombia.csv]``.

The lesson: with effects of the pairs and errors clustered by block, as one writes it without thinking, the variance is
half of what it should be (de Chaisemartin & Ramirez-Cuellar 2024, American Economic Journal: Applied Economics 16).
"""

from __future__ import annotations

import pandas as pd
from _beside import Beside, beside, data, title

import kokeilu as kk

OUTCOME = "dayscorab"
BEFORE = ("b_dayscorab", "miss_b_dayscorab", "round2", "round3")
HALF = "errors by block with effects of the pairs have about half the variance that they should"
SETS = "1/share makes good that the one set of three has other shares, and a set without a\n  control block is left out"
DRAWS = "the same question with another statistic and other draws"


def trial_of(vendors: pd.DataFrame, *, sets: bool = True) -> kk.Assignment:
    """Adopt the allocation of blocks: within their sets, or as if there were none."""
    counts = vendors.drop_duplicates("b_block")["arm"].value_counts()
    arms = kk.arms({"none": int(counts["none"]), "service": int(counts["service"])})
    within = kk.Stratified(arms, by=("b_pair",)) if sets else kk.Complete(arms)
    table = vendors[["row", "arm", "b_block", "b_pair"]]
    design = kk.Clustered(within, by="b_block")
    return kk.adopt(table, arm="arm", design=design, id="row", counts="realised")


def means(vendors: pd.DataFrame) -> list[Beside]:
    """Return means with the sets left aside, and between the whole pairs."""
    seen = vendors[vendors[OUTCOME].notna()]
    crude = kk.estimate_effects(trial_of(seen, sets=False), seen, OUTCOME)[0]
    sets = seen.groupby("b_pair")
    pairs = seen[(sets["b_block"].transform("nunique") == 2) & (sets["b_treat"].transform("nunique") == 2)]
    paired = kk.estimate_effects(trial_of(pairs), pairs, OUTCOME)[0]
    blocks, matched = "estimatr, clusters", "estimatr, pairs of clusters"
    return [
        Beside(what="days, pairs left aside", ours=crude.value, theirs="-0.31280459945172", source=blocks),
        Beside(what="its error (CR2)", ours=crude.error, theirs="0.159868039126225", source=blocks),
        Beside(what="dof", ours=crude.dof or 0.0, theirs="53.8047907012489", source=blocks),
        Beside(what="days, 29 pairs", ours=paired.value, theirs="-0.300681168413259", source=matched),
        Beside(what="its error", ours=paired.error, theirs="0.174193616189828", source=matched),
        Beside(what="dof", ours=paired.dof or 0.0, theirs="28", source=matched),
    ]


def regression(trial: kk.Assignment, vendors: pd.DataFrame) -> tuple[kk.Estimate, list[Beside]]:
    """Return the adjusted effect, beside CR2, beside half the variance, and beside redraws."""
    found = kk.estimate_effects(trial, vendors, OUTCOME, estimator=kk.Regression(covariates=BEFORE, interacted=False))[
        0
    ]
    redrawn = kk.randomisation_test(trial, vendors, OUTCOME, covariates=BEFORE, studentise=False, draws=4_999)
    wild = kk.wild_cluster_test(trial, vendors, OUTCOME, covariates=BEFORE)
    cr2, stata = "estimatr, pair effects, CR2", "Stata areg; fixest"
    return found, [
        Beside(what="days, adjusted", ours=found.value, theirs="-0.180738041630566", source=cr2, why=SETS),
        Beside(what="its error (CR2)", ours=found.error, theirs="0.108047499173345", source=cr2, why=SETS),
        Beside(what="p", ours=found.p_value(), theirs="0.105668780713881", source=cr2, why=SETS),
        Beside(what="its error", ours=found.error, theirs="0.0781737", source=stata, why=HALF),
        Beside(what="p", ours=found.p_value(), theirs="0.024", source=stata, why=HALF),
        Beside(what="p by redraws", ours=redrawn.p_value, theirs="0.1058", source="Stata ritest, 5,000", why=DRAWS),
        Beside(what="p by redraws", ours=redrawn.p_value, theirs="0.104", source="R ritest, 5,000", why=DRAWS),
        Beside(what="p, wild bootstrap", ours=wild.p_value, theirs="0.1058", source="Stata ritest, 5,000", why=DRAWS),
    ]


def main() -> None:
    """Replicate the trial, and show what is refused."""
    vendors = data("colombia.csv", "`colombia` of the R package ritest")
    vendors = vendors.assign(row=range(len(vendors)), arm=vendors["b_treat"].map({0: "none", 1: "service"}))
    trial = trial_of(vendors)
    title("As the design says")
    print(kk.estimate_effects(trial, vendors, OUTCOME))
    found, adjusted = regression(trial, vendors)
    title("Beside other programs")
    beside([*means(vendors), *adjusted])
    title("What areg ..., absorb(pair) cluster(block) does is refused")
    try:
        model = kk.Regression(covariates=BEFORE, interacted=False, errors="stata")
        kk.estimate_effects(trial, vendors, OUTCOME, estimator=model)
    except kk.errors.EstimationError as error:
        print(error)
    low, high = found.interval()
    print(
        f"\nIn words: with the service vendors went to the market {-found.value:.2f} days a week less (95 % interval: "
        f"{-low:.2f} less to {high:.2f} more);\nwith 63 blocks this may still be chance (p = {found.p_value():.2f}); "
        "the 0.024 of the usual output\ncomes from a formula that halves the variance."
    )


if __name__ == "__main__":
    main()
