"""Corrections of p-values, exact step-down max-T and min-P over all assignments, and Dunnett's test."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

import kokeilu as kk
from comparisons.common import Case, close, table_of
from kokeilu._kernels.joint_normal import none_rejects

SKIPPED: dict[str, str] = {}

CORRECTIONS = {
    "bonferroni": kk.Bonferroni(),
    "holm": kk.Holm(),
    "hochberg": kk.Hochberg(),
    "hommel": kk.Hommel(),
    "BH": kk.BenjaminiHochberg(),
    "BY": kk.BenjaminiYekutieli(),
}


def run(case: Case) -> None:
    kind = case["id"].split("_")[0]
    {"padjust": corrections, "maxT": step_down, "minP": step_down, "dunnett": dunnett}[kind](case)


def corrections(case: Case) -> None:
    wanted = case["results"]
    p = case["inputs"].get("p") or welch(case)
    for name, correction in CORRECTIONS.items():
        for mine, theirs in zip(correction.adjust(p), wanted[name], strict=True):
            close(case, mine, theirs)


def welch(case: Case) -> list[float]:
    table = table_of(case)
    control = table.loc[table["tg"] == 0, "inuidur1"]
    arms = [table.loc[table["tg"] == arm, "inuidur1"] for arm in case["inputs"]["arms"]]
    found = [float(stats.ttest_ind(arm, control, equal_var=False).pvalue) for arm in arms]
    for mine, theirs in zip(found, case["results"]["raw"], strict=True):
        close(case, mine, theirs)
    return found


def step_down(case: Case) -> None:
    """Through the assignment: Welch's t is the studentised statistic of complete randomisation."""
    table = table_of({**case, "prep": ""})
    rows = pd.concat([table[table["treat"] == 1].tail(7), table[table["treat"] == 0].tail(7)])
    people = rows.assign(row=np.arange(14), arm=np.where(rows["treat"] == 1, "training", "control"))
    design = kk.Complete(kk.arms(control=1, training=1))
    trial = kk.adopt(people[["row", "arm"]], arm="arm", design=design, id="row")
    family = kk.RomanoWolf() if case["id"].startswith("maxT") else kk.WestfallYoung()
    found = kk.family_test(trial, people.drop(columns="arm"), case["results"]["outcomes"], family=family)
    assert (found.exact, found.draws) == (True, 3432)
    for position, member in enumerate(found.members):
        close(case, member.statistic, case["results"]["teststat"][position])
        close(case, member.p_value, case["results"]["rawp"][position])
        close(case, member.adjusted_p, case["results"]["adjp"][position])


def dunnett(case: Case) -> None:
    """Means with HC2 errors: the reference's mean is the common factor of the contrasts."""
    table, wanted = table_of(case), case["results"]
    groups = [table.loc[table["tg"] == arm, "inuidur1"] for arm in range(6)]
    variance = np.array([group.var() / len(group) for group in groups])
    error = np.sqrt(variance[1:] + variance[0])
    t = np.array([group.mean() - groups[0].mean() for group in groups[1:]]) / error
    loadings = np.sqrt(variance[0]) / error
    for position, value in enumerate(t):
        close(case, error[position], wanted["se"][position], rtol=1e-9)
        close(case, value, wanted["t"][position], rtol=1e-9)
        p = 1.0 - none_rejects(abs(value), loadings, np.zeros(5), float(wanted["df"]))
        close(case, p, wanted["p.adj"][position], rtol=2e-5)
