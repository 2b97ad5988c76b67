"""Weather insurance in Chinese villages: in some one bought unless one said no, in others only if one said yes.

Cai, de Janvry & Sadoulet (2015), American Economic Journal: Applied Economics 7: rice farmers of the second round of
meetings; the default of the first round was the same for everybody in a natural village. Data: ``social_insure`` of the
package causaldata. Peers: estimatr 1.0.6 in R, and statsmodels in this run.
Run it with ``python examples/published/cai.py``.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from _beside import Beside, beside, title

import kokeilu as kk

OUTCOME = "takeup_survey"


def trial_of(farmers: pd.DataFrame) -> kk.Assignment:
    """Adopt the allocation of villages."""
    counts = farmers.drop_duplicates("address")["arm"].value_counts()
    arms = kk.arms({"must ask": int(counts["must ask"]), "buys by default": int(counts["buys by default"])})
    design = kk.Clustered(kk.Complete(arms), by="address")
    return kk.adopt(farmers[["row", "arm", "address"]], arm="arm", design=design, id="row")


def as_others(farmers: pd.DataFrame) -> dict[str, Any]:
    """Fit least squares in statsmodels, with errors by village and without."""
    import statsmodels.formula.api as smf

    model = smf.ols(f"{OUTCOME} ~ default", farmers)
    village = farmers["address"].astype("category").cat.codes
    return {
        "by village": model.fit(cov_type="cluster", cov_kwds={"groups": village}),
        "by person": model.fit(cov_type="HC2"),
    }


def numbers(trial: kk.Assignment, farmers: pd.DataFrame) -> list[Beside]:
    """Return the effect and its errors."""
    found = kk.estimate_effects(trial, farmers, OUTCOME)[0]
    stata = kk.estimate_effects(trial, farmers, OUTCOME, estimator=kk.Regression(errors="stata"))[0]
    others = as_others(farmers)
    village, person = others["by village"], others["by person"]
    peer, cluster = "estimatr, clusters", "statsmodels, cluster"
    normal = "it takes the normal distribution unless told otherwise; here it is t with villages less one"
    ignored = "errors by person take 1,410 farmers as drawn one by one, and 166 villages were drawn"
    return [
        Beside(what="effect", ours=found.value, theirs="0.105646865012154", source=peer),
        Beside(what="its error (CR2)", ours=found.error, theirs="0.0338663034145197", source=peer),
        Beside(what="dof", ours=found.dof or 0.0, theirs="141.223943353765", source=peer),
        Beside(what="p", ours=found.p_value(), theirs="0.00219636376424718", source=peer),
        Beside(what="error as Stata's", ours=stata.error, theirs=repr(float(village.bse["default"])), source=cluster),
        Beside(
            what="its p",
            ours=stata.p_value(),
            theirs=repr(float(village.pvalues["default"])),
            source=cluster,
            why=normal,
        ),
        Beside(
            what="error (CR2)",
            ours=found.error,
            theirs=repr(float(person.bse["default"])),
            source="statsmodels, HC2",
            why=ignored,
        ),
    ]


def main() -> None:
    """Replicate the effect of the default on buying."""
    try:
        from causaldata import social_insure
    except ImportError:
        print("The data come with the package causaldata, which is not installed, so this replication is left out.")
        return
    farmers = social_insure.load_pandas().data
    farmers = farmers.assign(row=range(len(farmers)), arm=farmers["default"].map({0: "must ask", 1: "buys by default"}))
    trial = trial_of(farmers)
    title("As the design says: bought the insurance")
    effects = kk.estimate_effects(trial, farmers, OUTCOME)
    print(effects)
    title("Beside other programs")
    beside(numbers(trial, farmers))
    title("Without large samples")
    test = kk.randomisation_test(trial, farmers, OUTCOME, draws=1_999)
    print(test)
    print(kk.wild_cluster_test(trial, farmers, OUTCOME))
    low, high = effects[0].interval()
    print(
        f"\nIn words: where buying had been the default at the first meetings, {100 * effects[0].value:.0f} more of a "
        f"hundred farmers bought at the second\n(95 % interval {100 * low:.0f} to {100 * high:.0f}); counting farmers "
        "as if drawn one by one would have made the interval too short."
    )


if __name__ == "__main__":
    main()
