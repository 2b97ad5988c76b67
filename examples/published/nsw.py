"""National Supported Work, United States, 1976-77: 445 men, supported work by lot, earnings in 1978.

Data: ``nsw_mixtape`` of the package causaldata. Published: Dehejia & Wahba (1999), Journal of the American Statistical
Association 94, table 3 (the experimental benchmark, with classical errors). Peers: estimatr 1.0.6 and RobinCar2 0.2.3
in R, run on the same rows. Run it with ``python examples/published/nsw.py``.
"""

from __future__ import annotations

import pandas as pd
from _beside import Beside, beside, title

import kokeilu as kk

BEFORE = ("age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75")
PAPER, ESTIMATR, ROBIN = "Dehejia & Wahba 1999", "estimatr", "RobinCar2"


def published(trial: kk.Assignment, men: pd.DataFrame) -> list[Beside]:
    """Return the benchmark of the paper: one variance for all, and common slopes on the covariates it names."""
    plain = kk.estimate_effects(trial, men, "re78", estimator=kk.Regression(errors="classical"))[0]
    named = ("age", "age_squared", "educ", "nodegree", "black", "hisp", "re74", "re75")
    model = kk.Regression(covariates=named, interacted=False, errors="classical")
    adjusted = kk.estimate_effects(trial, men.assign(age_squared=men["age"] ** 2), "re78", estimator=model)[0]
    return [
        Beside(what="effect, unadjusted", ours=plain.value, theirs="1794", source=PAPER),
        Beside(what="its classical error", ours=plain.error, theirs="633", source=PAPER),
        Beside(what="effect, adjusted", ours=adjusted.value, theirs="1672", source=PAPER),
        Beside(what="its classical error", ours=adjusted.error, theirs="638", source=PAPER),
    ]


def peers(trial: kk.Assignment, men: pd.DataFrame) -> list[Beside]:
    """Return the numbers of programs: Welch, common slopes with HC2, Lin, and ANHECOVA."""
    welch = kk.estimate_effects(trial, men, "re78")[0]
    common = kk.Regression(covariates=BEFORE, interacted=False, errors="HC2")
    slopes = kk.estimate_effects(trial, men, "re78", estimator=common)[0]
    lin = kk.estimate_effects(trial, men, "re78", covariates=BEFORE)[0]
    model = kk.ANHECOVA(covariates=("re74", "re75", "age"), errors="asymptotic")
    robin = kk.estimate_effects(trial, men, "re78", estimator=model)[0]
    means, least, lins = f"{ESTIMATR} difference_in_means", f"{ESTIMATR} lm_robust, HC2", f"{ESTIMATR} lm_lin"
    return [
        Beside(what="effect, by design", ours=welch.value, theirs="1794.34240427027", source=means),
        Beside(what="its error (Neyman)", ours=welch.error, theirs="670.996546381524", source=means),
        Beside(what="Welch's dof", ours=welch.dof or 0.0, theirs="307.132493111589", source=means),
        Beside(what="p", ours=welch.p_value(), theirs="0.00789297771451737", source=means),
        Beside(what="effect, common slopes", ours=slopes.value, theirs="1676.34264376779", source=least),
        Beside(what="its error", ours=slopes.error, theirs="677.049147705187", source=least),
        Beside(what="effect, slopes by arm", ours=lin.value, theirs="1621.58310144476", source=lins),
        Beside(what="its error", ours=lin.error, theirs="694.721573786807", source=lins),
        Beside(what="effect, ANHECOVA", ours=robin.value, theirs="1731.16029811226", source=f"{ROBIN} robin_lm"),
        Beside(what="its error", ours=robin.error, theirs="667.1749407555255", source=f"{ROBIN} robin_lm"),
    ]


def main() -> None:
    """Replicate the benchmark, and say what it means."""
    try:
        men = kk.datasets.nsw()
    except kk.errors.DataError as absent:
        print(f"{absent} Until then this replication is left out.")
        return
    design = kk.Complete(kk.arms({"control": 260, "supported work": 185}))
    trial = kk.adopt(men, arm="treat", design=design, id="id", labels={0: "control", 1: "supported work"})
    title("As the design says")
    effects = kk.estimate_effects(trial, men, "re78")
    print(effects)
    title("Beside the paper and other programs")
    beside([*published(trial, men), *peers(trial, men)])
    title("Without large samples")
    test = kk.randomisation_test(trial, men, "re78", draws=1_999)
    print(test)
    low, high = effects[0].interval()
    print(
        f"\nIn words: those offered supported work earned {effects[0].value:,.0f} dollars more in 1978 (95 % interval "
        f"{low:,.0f} to {high:,.0f});\nthe lot alone makes so large a difference in {test.p_value:.1%} of draws."
    )


if __name__ == "__main__":
    main()
