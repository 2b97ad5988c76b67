"""Two and several arms, clusters: balance by R and by the redraws of numpy, every number of the reference files."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

import kokeilu as kk
from comparisons.balance_common import Found, adopted, alone, nsw, read, stored, tests_of, three
from kokeilu._kernels import imbalance, spread_apart

F3 = ("F", "df1", "df2", "p")
CHI = ("chisq", "df", "p")

SKIPPED: dict[str, str] = {
    "balance_nsw:coin_quadratic_raw_scale": "a defect of the peer, which inverts before it standardises",
    "balance_nsw8:coin_quadratic_raw_scale": "a defect of the peer, which inverts before it standardises",
    "balance_multiarm:numeric/*/welch": "a one-way Welch test is not offered; the joint test is by redraws",
    "balance_crt:balanceTest": "for comparison only: it adds the size of clusters as a covariate",
    "balance_crt:icc/*/reml_icc": "the ANOVA estimator is reported; no mixed model is fitted",
    "balance_perm:*/permutations": "an input",
    "balance_perm:*/mc_se": "the error of the peer's p-values, an input of the comparison",
    "srm_cases:*/inputs": "an input",
    "srm_cases:*/tolerance": "the tolerance",
    "srm_cases:*/source": "where it comes from",
    "srm_cases:*/note": "a remark",
}
RTOL = {"logit": 1e-6, "rubin": 1e-6, "multinomial": 1e-6, "HTZ": 1e-6}


def rtol_of(path: str) -> float:
    """The README's tolerance: 1e-8, 1e-6 for logit, multinomial and HTZ."""
    return next((tolerance for word, tolerance in RTOL.items() if word in path), 1e-8)


def two_arms(file: str) -> Found:
    table, on = nsw(), stored(file)["covariates"]
    plain, strata = adopted(table, "treat"), adopted(table, "treat", by="stratum")
    found: Found = {}
    checks = {kind: kk.check_balance(plain, table, on=on, draws=1, denominator=kind) for kind in imbalance.DENOMINATORS}
    within = kk.check_balance(strata, table, on=on, draws=1, denominator="pooled")
    for j, name in enumerate(on):
        found |= _row(name, {kind: check.lines[j] for kind, check in checks.items()}, within.lines[j])
        found |= _regressions(name, plain, table, within.lines[j])
    for key, check in (("unstratified", checks["pooled"]), ("stratified", within)):
        for line in check.lines:
            one = line.contrast("a1", "a0")
            values = (one.z, one.adjusted_difference, one.null_sd, one.adjusted_std_difference)
            for what, value in zip(("z", "adj_diff", "null_sd", "std_diff"), values, strict=True):
                found[f"xBalance_{key}/{what}/{line.covariate}"] = value
    return found | _tests(plain, strata, table, on) | _cobalt(checks["binary"], table)


def _row(name: str, lines: dict[str, Any], within: Any) -> Found:
    line = lines["average"]
    one = line.contrast("a1", "a0")
    binary = set(np.unique(nsw()[name])) <= {0, 1}
    values: Found = {"diff": one.difference, "var_ratio": one.variance_ratio, "ks": one.ks}
    values["log_sd_ratio"] = None if one.variance_ratio is None else np.log(one.variance_ratio) / 2
    for tail, arm in (("t", "a1"), ("c", "a0")):
        values |= {f"mean_{tail}": line.means[arm], f"sd_{tail}": line.sds[arm], f"n_{tail}": line.n[arm]}
    kinds = {"avgvar": "average", "pooled_n": "pooled", "control": "reference", "treated": "arm", "all": "all"}
    values |= {f"smd_{key}": lines[kind].contrast("a1", "a0").std_difference for key, kind in kinds.items()}
    values["smd_binary_formula"] = lines["binary"].contrast("a1", "a0").std_difference if binary else None
    values["strata_fe_diff"] = within.contrast("a1", "a0").adjusted_difference
    return {f"table/{name}/{key}": value for key, value in values.items()}


def _regressions(name: str, plain: Any, table: pd.DataFrame, within: Any) -> Found:
    """The model-based rows are estimates of the arm's effect on a covariate."""
    strata = alone(table, "treat", by="stratum")
    welch = kk.estimate_effects(plain, table, name, estimator=kk.DifferenceInMeans(errors="Neyman"))[0]
    pooled = kk.estimate_effects(plain, table, name, estimator=kk.Regression(errors="classical"))[0]
    values = {"welch_t": welch.statistic, "welch_df": welch.dof, "welch_p": welch.p_value()}
    values |= {"pooled_t": pooled.statistic, "pooled_p": pooled.p_value()}
    still = within.contrast("a1", "a0").null_sd == 0.0
    for kind, key in (("classical", "strata_fe"), ("HC2", "strata_fe_hc2")):
        one = (
            None
            if still
            else kk.estimate_effects(strata, table, name, estimator=kk.Regression(errors=kind, interacted=False))[0]
        )
        values |= {f"{key}_se": None if one is None else one.error, f"{key}_p": None if one is None else one.p_value()}
    if still:
        values["constant_within_strata"] = True
    return {f"table/{name}/{key}": value for key, value in values.items()}


def _tests(plain: Any, strata: Any, table: pd.DataFrame, on: list[str]) -> Found:
    tests, whole = tests_of(plain, table, on)
    within, _ = tests_of(strata, table, on)
    found = three("xBalance_unstratified", tests["chi-square"], CHI)
    found |= three("coin_quadratic_standardised", tests["chi-square"], ("stat", "df", "p"))
    found |= three("xBalance_stratified", within["chi-square within strata"], CHI)
    found |= three("regression_F", tests["F of the arm"], F3)
    found |= three("regression_F_HC1", tests["F with HC1 errors"], F3)
    found |= three("regression_F_HC2", tests["F with HC2 errors"], F3)
    found |= three("regression_F_strata_fe", within["F of the arm, within strata"], F3)
    found |= three("logit_LR", tests["likelihood ratio of a logit"], CHI)
    found |= {"hotelling/T2": tests["Hotelling's T-square"].statistic, "hotelling/F": tests["F of the arm"].statistic}
    found["hotelling/p"] = tests["Hotelling's T-square"].p_value
    return found | {"rubin/B_percent": whole.rubin_b, "rubin/R": whole.rubin_r}


def _cobalt(check: Any, table: pd.DataFrame) -> Found:
    found: Found = {}
    for line in check.lines:
        one = line.contrast("a1", "a0")
        binary = set(np.unique(table[line.covariate])) <= {0, 1}
        found[f"cobalt_diff_un/{line.covariate}"] = one.std_difference
        found[f"cobalt_vr_un/{line.covariate}"] = None if binary else one.variance_ratio
        found[f"cobalt_ks_un/{line.covariate}"] = one.ks
    return found


def several_arms() -> Found:
    table = read("balance_multiarm.csv")
    wanted = stored("balance_multiarm")
    found: Found = {"complete_cases": 0}
    for name in wanted["numeric"]:
        found |= _numeric(name, table)
    for name in wanted["categorical"]:
        found |= _categorical(name, table)
    complete = table.dropna(subset=["income_prev", "education"])
    on = ["age", "female", "months_unemployed", "income_prev", "education", "language"]
    plain, strata = adopted(complete, "arm"), adopted(complete, "arm", by="stratum")
    tests, _ = tests_of(plain, complete, on)
    within, _ = tests_of(strata, complete, on)
    found["complete_cases"] = len(plain)
    found |= three("omnibus_quadratic", tests["chi-square"], ("stat", "df", "p"))
    found |= three("omnibus_quadratic_stratified", within["chi-square within strata"], ("stat", "df", "p"))
    found |= three("manova_pillai", tests["F of the arms (Pillai)"], F3)
    found["manova_pillai/pillai"] = tests["chi-square"].statistic / (len(plain) - 1)
    found |= three("multinomial_LR", tests["likelihood ratio of a multinomial logit"], CHI)
    return found | _attrition(table, complete, on)


def _numeric(name: str, table: pd.DataFrame) -> Found:
    check = kk.check_balance(adopted(table, "arm", by="stratum"), table, on=name, draws=1)
    line = check.lines[0]
    part = table.dropna(subset=[name])
    plain, strata = adopted(part, "arm"), alone(part, "arm", by="stratum")
    unweighted = kk.check_balance(plain, part, on=name, draws=1).lines[0]
    values: Found = {"n": sum(line.n.values()), "missing": sum(line.missing.values())}
    for k in range(4):
        values |= {f"means/{k}": unweighted.means[f"a{k}"], f"sds/{k}": unweighted.sds[f"a{k}"]}
    values |= {f"smd_vs_control/{k}": unweighted.std_differences[f"a{k}"] for k in (1, 2, 3)}
    values["max_pairwise_smd"] = unweighted.largest
    for key, assignment, kind in (
        ("anova", plain, "classical"),
        ("strata", strata, "classical"),
        ("strata_HC2", strata, "HC2"),
    ):
        joint = kk.estimate_effects(
            assignment, part, name, estimator=kk.Regression(errors=kind, interacted=False)
        ).joint()
        values |= {f"{key}_F": joint.statistic, f"{key}_p": joint.p_value}
    return {f"numeric/{name}/{key}": value for key, value in values.items()}


def _categorical(name: str, table: pd.DataFrame) -> Found:
    part = table.dropna(subset=[name])
    plain, strata = adopted(part, "arm"), adopted(part, "arm", by="stratum")
    check = kk.check_balance(plain, part, on=name, draws=1)
    values: Found = {
        f"counts/{line.level}/{k}": round((line.means[f"a{k}"] or 0.0) * line.n[f"a{k}"])
        for line in check.lines
        for k in range(4)
    }
    one = tests_of(plain, part, [name])[0]["chi-square"]
    cmh = tests_of(strata, part, [name])[0]["chi-square within strata"]
    # Pearson's divides by expected counts, the permutation form by n - 1.
    pearson = one.statistic * len(part) / (len(part) - 1)
    from scipy import stats

    values |= {"chisq": pearson, "df": one.df1, "p": stats.chi2.sf(pearson, one.df1)}
    values |= {"cmh": cmh.statistic, "cmh_df": cmh.df1, "cmh_p": cmh.p_value}
    return {f"categorical/{name}/{key}": value for key, value in values.items()}


def _attrition(table: pd.DataFrame, complete: pd.DataFrame, on: list[str]) -> Found:
    from scipy import stats

    def later(part: pd.DataFrame) -> pd.DataFrame:
        return part[part["attrited"] == 0].assign(y=1.0)[["id", "y"]]

    strata = adopted(table, "arm", by="stratum")
    plain = kk.check_attrition(adopted(table, "arm"), later(table), "y", draws=1)
    model = kk.check_attrition(strata, later(table), "y", draws=1).levels_model
    values: Found = {f"rates/{k}": 1 - plain.arms[k].rate for k in range(4)}
    chisq = plain.joint.statistic * len(table) / (len(table) - 1)
    values |= {"chisq": chisq, "p": stats.chi2.sf(chisq, 3)}
    values |= {"strata_HC2_F": model.statistic, "strata_HC2_p": model.p_value}
    two = complete.assign(treated=(complete["arm"] > 0) * 1)
    part = kk.check_attrition(adopted(two, "treated"), later(two), "y", register=two, on=on, draws=1)
    values |= three("interaction_HC2", part.interactions_model, F3)
    counts = {f"arm_counts/{k}": strata.counts()[f"a{k}"] for k in range(4)}
    return counts | {f"attrition/{key}": value for key, value in values.items()}


def clusters() -> Found:
    table = read("balance_crt.csv")
    on = list(stored("balance_crt")["icc"])
    assignment = adopted(table, "treat", by="region", cluster="office")
    check = kk.check_balance(assignment, table, on=on, draws=1).clusters
    j = sum(check.clusters.values())
    found: Found = {"clusters": j, "mean_size": check.mean_size, "cv_size": check.cv_size}
    found["cv_size_population"] = check.cv_size * np.sqrt((j - 1) / j)
    from kokeilu._kernels.icc import anova_icc

    office = np.unique(table["office"], return_inverse=True)[1]
    for line in check.lines:
        one = anova_icc(table[line.covariate].to_numpy(float), office)
        values = {"anova_icc": line.icc, "n0": one.size, "F": one.statistic}
        values |= {"searle_ci/0": line.icc_low, "searle_ci/1": line.icc_high}
        found |= {f"icc/{line.covariate}/{key}": value for key, value in values.items()}
    tests, _ = tests_of(assignment, table, on)
    found |= three("regression_CR1_F", tests["F with CR1 errors"], F3)
    return found | three("regression_CR2_HTZ", tests["F with CR2 errors (HTZ)"], F3)


def redrawn() -> Found:
    """Statistics are exact; the p-values of both sides have Monte Carlo errors."""
    table, wanted = nsw(), stored("balance_perm")
    found: Found = {}
    for key, by in (("nsw_unstratified", None), ("nsw_stratified", "stratum")):
        given = wanted[key]
        assignment = adopted(table, "treat", by=by)
        values = table[given["covariates"]].to_numpy(float)
        distances = spread_apart.pair_distances((values - values.mean(axis=0)) / values.std(axis=0, ddof=1))
        found[f"{key}/bandwidth_median"] = float(np.median(distances[np.triu_indices(len(values), 1)]))
        for kind, statistic, p in (("energy", "energy", "p_energy"), ("kernel", "mmd2_unbiased", "p_mmd")):
            test = kk.check_balance(
                adopted(table, "treat"), table, on=given["covariates"], draws=1, statistic=kind
            ).omnibus
            found[f"{key}/{statistic}"] = test.statistic
            test = kk.check_balance(assignment, table, on=given["covariates"], draws=999, statistic=kind).omnibus
            error = np.hypot(given["mc_se_" + p.removeprefix("p_")], max(test.p_error, 0.003))
            assert abs(test.p_value - given[p]) < 4 * error, (key, p)
            found[f"{key}/{p}"] = given[p]
    return found | {f"crt_exact/{path}": value for path, value in _all_assignments().items()}


def _all_assignments() -> Found:
    """Cluster means and one covariance over all offices, as the file defines them: the kernels over all assignments."""
    names = stored("balance_perm")["crt_exact"]["covariates"]
    offices = read("balance_crt.csv").groupby(["region", "office"])[["treat", *names]].mean().reset_index()
    x = offices[names].to_numpy()
    block = np.zeros((70, 8), dtype=np.int8)
    for row, chosen in enumerate(combinations(range(8), 4)):
        block[row, list(chosen)] = 1
    picks = np.unravel_index(np.arange(343_000), (70, 70, 70))
    codes = np.concatenate([block[pick] for pick in picks], axis=1)
    # Twelve of 24 in each arm: the difference of means of centred columns is the total over 6.
    gaps = imbalance.arm_totals(codes, x - x.mean(axis=0), 2) / 6.0
    seen = imbalance.arm_totals(offices["treat"].to_numpy().astype(np.int8)[None], x - x.mean(axis=0), 2) / 6.0
    factors, sd = imbalance.whitening(np.cov(x.T)), x.std(axis=0, ddof=1)
    forms = {
        "mahalanobis": lambda gap: imbalance.quadratic_forms(gap, factors),
        "max_abs": lambda gap: np.abs(gap / sd).max(axis=1),
        "sum_sq": lambda gap: ((gap / sd) ** 2).sum(axis=1),
    }
    found: Found = {"assignments": len(codes)}
    for name, form in forms.items():
        found[f"observed/{name}"] = float(form(seen)[0])
        found[f"p/{name}"] = float((form(gaps) >= form(seen)[0] - 1e-10).mean())
    return found


def ratios() -> Found:
    found: Found = {}
    for case in stored("srm_cases"):
        given = case["inputs"]
        names = [f"a{k}" for k in range(len(given["observed"]))]
        ratio = kk.check_counts(
            dict(zip(names, given["observed"], strict=True)),
            kk.arms(dict(zip(names, given["intended_ratio"], strict=True))),
        ).ratio
        values = {"chi2": ratio.statistic, "df": ratio.df, "p": ratio.p_value}
        found |= {f"{case['id']}/expected/{key}": value for key, value in values.items()}
    return found


@cache
def found_in(file: str) -> Found:
    """Return our numbers for a reference file, under its own names."""
    makers: dict[str, Any] = {
        "balance_multiarm": several_arms,
        "balance_crt": clusters,
        "balance_perm": redrawn,
        "srm_cases": ratios,
    }
    return two_arms(file) if file in ("balance_nsw", "balance_nsw8") else makers[file]()
