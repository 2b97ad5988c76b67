"""Exact permutation tests: coin, exactRankTests, ri2 and enumeration in base R.

coin's statistic is the standardised sum of the *first* level, control: its "greater" is "less" for the treated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

import kokeilu as kk
from comparisons.common import Case, close, table_of
from kokeilu._kernels.exact_sums import exact_law
from kokeilu._kernels.lattice import lattice_of, strata_of

SKIPPED: dict[str, str] = {}

TWO = kk.arms(control=1, coaching=1)


def trial(y: Any, z: Any, strata: Any = None) -> tuple[kk.Assignment, pd.DataFrame]:
    """Adopt an allocation whose seats are those that it has, in each stratum."""
    treated = np.asarray(z, dtype=bool)
    table = pd.DataFrame({"id": np.arange(len(treated)), "arm": treated.astype(int), "y": np.asarray(y, dtype=float)})
    if strata is None:
        n, m = len(table), int(treated.sum())
        design: Any = kk.Complete(kk.arms(control=n - m, coaching=m))
    else:
        table["stratum"] = [f"s{code}" for code in np.asarray(strata)]
        seats = table.groupby("stratum")["arm"].agg(["size", "sum"])
        shares = {name: kk.arms(control=int(n - m), coaching=int(m)) for name, (n, m) in seats.iterrows()}
        design = kk.Stratified(shares, by="stratum")
    drawn = kk.adopt(table, arm="arm", design=design, id="id", labels={0: "control", 1: "coaching"})
    return drawn, table


def exact_p(y: Any, z: Any, strata: Any = None, alternative: str = "two-sided") -> kk.TestResult:
    """Test the raw difference, whatever the number of assignments."""
    drawn, table = trial(y, z, strata)
    return kk.randomisation_test(
        drawn, table, "y", studentise=False, alternative=alternative, method="exact", draws=199
    )


def standardised(y: Any, z: Any, strata: Any = None) -> float:
    """Sum over the treated less its mean, over its standard deviation, from the exact law itself."""
    treated = np.asarray(z, dtype=bool)
    found = lattice_of(np.asarray(y, dtype=float))
    assert found is not None
    codes = np.zeros(len(treated), dtype=np.int64) if strata is None else np.unique(strata, return_inverse=True)[1]
    law = exact_law(strata_of(found[0], treated, codes, np.bincount(codes[treated])))
    assert law is not None
    mass = law.mass[0]
    sums = law.low + np.arange(len(mass))
    mean = float(mass @ sums)
    return float((found[0][treated].sum() - mean) / np.sqrt(mass @ (sums - mean) ** 2))


def _means_of(case: Case, wanted: dict[str, Any]) -> None:
    frame = table_of(case).sort_values("id").head(wanted["n"])
    y, z = frame["inuidur1"], frame["tg"] == 4
    assert int(z.sum()) == wanted["n_treated"]
    for ours, theirs in (("two-sided", "two_sided"), ("less", "greater"), ("greater", "less")):
        close(case, exact_p(y, z, alternative=ours).p_value, wanted[theirs]["p.value"])
    close(case, -standardised(y, z), wanted["two_sided"]["statistic"])


def _wilcoxon(case: Case, wanted: dict[str, Any]) -> None:
    frame = table_of(case).sort_values("id").head(300)
    ranks, z = stats.rankdata(frame["inuidur1"]), frame["tg"] == 4
    close(case, exact_p(ranks, z).p_value, wanted["p.value"])
    close(case, -standardised(ranks, z), wanted["statistic"])


def _stratified_statistic(case: Case, wanted: dict[str, Any]) -> None:
    frame = table_of(case)
    z = standardised(frame["inuidur1"], frame["tg"] == 4, frame["quarter"])
    close(case, -z, wanted["statistic"])
    close(case, 2 * stats.norm.sf(abs(z)), wanted["p.value"])


def _signed_ranks(case: Case, wanted: dict[str, Any]) -> None:
    """The peer ranks |B - A| as doubles, where 0.3 is two numbers; on tenths the ties are ties."""
    wanted, frame = wanted["wilcoxsign"], table_of(case).sort_values(["boy", "z"])
    gaps = frame["y"].to_numpy().reshape(-1, 2)
    for tenths, statistic in ((False, wanted["statistic"]), (True, 2.50541896356808)):
        difference = gaps[:, 1] - gaps[:, 0]
        if tenths:
            difference = np.rint(10 * gaps[:, 1]) - np.rint(10 * gaps[:, 0])
        signed = stats.rankdata(np.abs(difference)) * np.sign(difference)
        y = np.column_stack([np.zeros(len(signed)), signed]).ravel()
        pairs, z = np.repeat(np.arange(len(signed)), 2), np.tile([0, 1], len(signed))
        close(case, exact_p(y, z, pairs).p_value, wanted["p.value"])
        close(case, standardised(y, z, pairs), statistic)


def _shoes(case: Case, wanted: dict[str, Any]) -> None:
    frame = table_of(case)
    two = exact_p(frame["y"], frame["z"], frame["boy"])
    close(case, two.p_value, wanted.get("p.two_sided", wanted.get("p.value")))
    if "p.greater" in wanted:
        close(case, exact_p(frame["y"], frame["z"], frame["boy"], "greater").p_value, wanted["p.greater"])
        close(case, two.statistic, wanted["mean_diff"])
        drawn, table = trial(frame["y"], frame["z"], frame["boy"])
        assert kk.randomisation_test(drawn, table, "y", method="enumerate").draws == wanted["n_assignments"]


def _pairs_of_clusters(case: Case, wanted: dict[str, Any]) -> None:
    frame = table_of(case)
    means = frame.groupby(["b_pair", "b_block", "b_treat"], as_index=False)["dayscorab"].mean()
    pairs = sorted(means["b_pair"].unique())[:12]
    table = means[means["b_pair"].isin(pairs)]
    drawn, people = trial(table["dayscorab"], table["b_treat"], table["b_pair"])
    raw = kk.randomisation_test(drawn, people, "y", studentise=False)
    greater = kk.randomisation_test(drawn, people, "y", studentise=False, alternative="greater")
    both = kk.randomisation_test(drawn, people, "y")
    assert raw.draws == wanted["n_assignments"]
    close(case, raw.statistic, wanted["estimate"])
    close(case, raw.p_value, wanted["p.two_sided"])
    close(case, greater.p_value, wanted["p.greater"])
    close(case, both.statistic, wanted["studentized_t"])
    close(case, both.p_value, wanted["p.two_sided_studentized"])


def _seven_and_seven(case: Case, wanted: dict[str, Any]) -> None:
    frame = table_of(case)
    ends = pd.concat([frame[frame["treat"] == 1].tail(7), frame[frame["treat"] == 0].tail(7)])
    drawn, table = trial(ends["re78"], ends["treat"])
    result = kk.randomisation_test(drawn, table, "y", studentise=False)
    assert result.draws == case["inputs"]["n_assignments"]
    close(case, result.statistic, wanted["estimate"])
    close(case, result.p_value, wanted["p.two_sided"])


RUNS = {
    "coin_exact_wilcoxon_penn_first300": _wilcoxon,
    "coin_asymp_strat_penn_all": _stratified_statistic,
    "coin_exact_paired_shoes": _signed_ranks,
    "brute_paired_shoes": _shoes,
    "permtest_paired_shoes": _shoes,
    "brute_pairs_colombia_first12": _pairs_of_clusters,
    "ri2_exact_nsw_7v7": _seven_and_seven,
}


def run(case: Case) -> None:
    """Compare one case."""
    found = RUNS.get(case["id"], _means_of)
    if found is _means_of:
        assert case["id"].startswith("coin_exact_penn_first")
    found(case, case["results"])
