"""All sign vectors of the wild cluster bootstrap, null imposed or not, types 11 and 31.

The peers decide ties by rounding: `wildboottest_p` is now the strict and now the weak share. Both are compared here as
they are defined, with a tolerance, and the peer's value must be one of the two.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from comparisons.common import Case, close, table_of
from kokeilu._kernels.linear import columns_of
from kokeilu._kernels.wild import Wild, all_vectors, by_cluster, wild

SKIPPED: dict[str, str] = {}
COLUMNS = {
    "jobs2.csv": ("depress2", "occp", ("treat", "depress1", "econ_hard", "age")),
    "penn.csv": ("inuidur1", "quarter", ("T", "female", "black")),
    "colombia.csv": ("dayscorab", "b_block", ("b_treat", "round2", "round3")),
}


def frame_of(case: Case) -> pd.DataFrame:
    table = table_of(case)
    if case["dataset"] == "penn.csv":
        return table[table["tg"].isin([0, 4])].assign(T=(table["tg"] == 4).astype(float))
    if case["dataset"] != "colombia.csv":
        return table
    table = table[table["dayscorab"].notna()]
    pairs = table.groupby("b_pair")
    clean = table[(pairs["b_block"].transform("nunique") == 2) & (pairs["b_treat"].transform("nunique") == 2)]
    first = sorted(clean["b_pair"].unique())[: case["inputs"]["n_clusters"] // 2]
    return clean[clean["b_pair"].isin(first)]


def law_of(case: Case, table: pd.DataFrame) -> Wild:
    outcome, cluster, columns = COLUMNS[case["dataset"]]
    clusters = np.unique(table[cluster], return_inverse=True)[1].astype(np.int64)
    assert clusters.max() + 1 == case["inputs"]["n_clusters"]
    design = columns_of(table[list(columns)].to_numpy(float), levels=np.zeros(len(table), dtype=np.int64))
    parts = by_cluster(design, table[outcome].to_numpy(float), clusters)
    return wild(
        parts,
        np.eye(len(columns))[:1],
        all_vectors("Rademacher", int(clusters.max()) + 1),
        all_of_them=True,
        impose=case["inputs"]["impose_null"],
        jackknife=case["inputs"]["bootstrap_type"] == "31",
    )[0]


def run(case: Case) -> None:
    table, wanted, null = frame_of(case), case["results"], case["inputs"]["r"]
    law = law_of(case, table)
    assert law.vectors == wanted["n"]
    close(case, law.statistic(null), wanted["t_unscaled"])
    close(case, law.p_value(null=null), wanted["two_tailed_weak"])
    for side, name in (("two-sided", "two_tailed"), ("greater", "upper"), ("less", "lower"), *EQUAL):
        close(case, law.p_value(side, null=null, strict=True), wanted[f"{name}_strict"])
    if wanted["wildboottest_p"] is not None:
        either = (wanted["two_tailed_strict"], wanted["two_tailed_weak"])
        assert wanted["wildboottest_p"] in [pytest.approx(value) for value in either]
    if case["dataset"] == "colombia.csv":
        through_the_trial(case, table)


EQUAL = (("equal-tailed", "equal_tailed"),)


def through_the_trial(case: Case, table: pd.DataFrame) -> None:
    """The same from the assignment: vendors drawn by block, and the rounds as covariates."""
    people = table.assign(row=np.arange(len(table)), arm=np.where(table["b_treat"] == 1, "offer", "none"))
    design = kk.Clustered(kk.Complete(kk.arms(none=1, offer=1)), by="b_block")
    trial = kk.adopt(people[["row", "arm", "b_block"]], arm="arm", design=design, id="row")
    bootstrap = kk.WildClusterBootstrap(
        covariates=("round2", "round3"),
        impose=case["inputs"]["impose_null"],
        jackknife=case["inputs"]["bootstrap_type"] == "31",
        weights="Rademacher",
    )
    found = kk.wild_cluster_test(trial, people.drop(columns=["arm", "b_block"]), "dayscorab", bootstrap=bootstrap)
    assert (found.exact, found.draws) == (True, case["results"]["n"])
    close(case, found.statistic, case["results"]["t_unscaled"])
    close(case, found.p_value, case["results"]["two_tailed_weak"])
    assert found.p_strict is not None
    close(case, found.p_strict, case["results"]["two_tailed_strict"])
