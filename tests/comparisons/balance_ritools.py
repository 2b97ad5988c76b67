"""RItools on two trials, F tests by estimatr, and Manski's bounds: the cases filed under estimation."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

import kokeilu as kk
from comparisons.balance_common import Found, adopted, read, stored, tests_of

SKIPPED: dict[str, str] = {
    "ritools:*/results/vars/*/*/p": "Holm-adjusted over the covariates; no p-value by row is offered",
    "ritools:*/results/vars/*/quarter/Control": "adjusted means are not offered: the adjusted difference is",
    "ritools:*/results/vars/*/quarter/Treatment": "adjusted means are not offered: the adjusted difference is",
    "ritools:*/results/vars/*/quarter/adj.diff": "the peer weighs strata by the treated; here, and in its z, n1 n0 / n",
    "ritools:*/results/vars/*/quarter/std.diff": "the peer weighs strata by the treated; here, and in its z, n1 n0 / n",
    "ritools:*/rtol": "the tolerance",
    "attrition:*/rtol": "the tolerance",
    "attrition:*/inputs": "an input",
}


def rtol_of(path: str) -> float:
    """1e-8, as the cases say."""
    return 1e-8


def _vars(case: str, table: pd.DataFrame, on: list[str], by: str | None) -> Found:
    found: Found = {}
    for key, stratum in (("--", None), *(() if by is None else ((by, by),))):
        assignment = adopted(table, "arm", by=stratum)
        plain = kk.check_balance(adopted(table, "arm"), table, on=on, draws=1)
        check = plain if stratum is None else kk.check_balance(assignment, table, on=on, draws=1)
        for line, first in zip(check.lines, plain.lines, strict=True):
            one, here = line.contrast("a1", "a0"), f"{case}/results/vars/{line.covariate}/{key}"
            sd = np.sqrt(((first.sds["a0"] or 0.0) ** 2 + (first.sds["a1"] or 0.0) ** 2) / 2)
            found[f"{here}/std.diff"] = one.adjusted_std_difference
            found |= {f"{here}/adj.diff": one.adjusted_difference, f"{here}/pooled.sd": sd, f"{here}/z": one.z}
            if stratum is None:
                found |= {f"{here}/Control": line.means["a0"], f"{here}/Treatment": line.means["a1"]}
        tests, _ = tests_of(assignment, table, on)
        test = tests["chi-square" if stratum is None else "chi-square within strata"]
        here = f"{case}/results/overall/{key}"
        found |= {f"{here}/chisquare": test.statistic, f"{here}/df": test.df1, f"{here}/p.value": test.p_value}
    return found


def ritools() -> Found:
    cases = {case["id"]: case["inputs"] for case in stored("ritools")}
    nsw = read("nsw.csv").assign(arm=lambda f: f["treat"].astype(int))
    on = cases["bal_nsw_unstrat"]["covariates"]
    found = _vars("bal_nsw_unstrat", nsw, on, None)
    tests, _ = tests_of(adopted(nsw, "arm"), nsw, on)
    for case, name in (("balF_nsw_classical", "F of the arm"), ("balF_nsw_HC2", "F with HC2 errors")):
        one = tests[name]
        values = {"F": one.statistic, "numdf": one.df1, "dendf": one.df2}
        found |= {f"{case}/results/{key}": value for key, value in values.items()}
    penn = read("penn.csv")
    penn = penn[penn["tg"].isin([0, 4])].assign(arm=lambda f: (f["tg"] == 4) * 1)
    return found | _vars("bal_penn_strat_quarter", penn, cases["bal_penn_strat_quarter"]["covariates"], "quarter")


def attrition() -> Found:
    table = read("colombia.csv")
    assignment = kk.adopt(
        table,
        arm="b_treat",
        design=kk.Bernoulli(kk.arms(control=1, treated=1)),
        id="id",
        labels={0: "control", 1: "treated"},
    )
    found = kk.check_attrition(assignment, table[["id", "dayscorab"]], "dayscorab", limits=(0, 7), draws=1)
    arm, case = found.arms[1], "manski_colombia/results"
    return {
        f"{case}/lower": arm.worst_low,
        f"{case}/upper": arm.worst_high,
        f"{case}/obs_rate_treated": arm.rate,
        f"{case}/obs_rate_control": found.arms[0].rate,
    }


@cache
def found_in(file: str) -> Found:
    """Return our numbers for a reference file, under its own names."""
    return ritools() if file == "ritools" else attrition()
