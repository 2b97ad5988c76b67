"""Every estimator and test says whom it used, whom it lacks and why, and how it came to its variance."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk

TWO, THREE = kk.arms(control=1, coaching=1), kk.arms(control=2, coaching=1, letter=1)
ID, X = "person_id", ("age", "spell_days")
FACTORS: Any = kk.Factorial({"coach": TWO, "voucher": kk.arms(no=1, yes=1)})  # type: ignore[arg-type]
DESIGNS: dict[str, Any] = {
    "complete": kk.Complete(THREE),
    "strata": kk.Stratified(THREE, by=("region", "long_term")),
    "clusters": kk.Clustered(kk.Stratified(TWO, by="region"), by="employment_office"),
    "factors": FACTORS,
}


@cache
def trial(name: str) -> tuple[kk.Assignment, pd.DataFrame]:
    """Return an assignment, and outcomes that are missing in 5 to 15 %, of whom a few have no row at all."""
    people = kk.datasets.job_seekers(2_000, seed="printing").sort_values(ID).reset_index(drop=True)
    drawn = kk.randomise(people, DESIGNS[name], id=ID, seed="printing")
    rng = np.random.default_rng(1)
    weeks = np.round(20 + 5 * rng.normal(size=2_000) - 2 * (drawn.codes > 0))
    lost = rng.uniform(size=2_000) < np.array([0.04, 0.16, 0.06, 0.08])[drawn.codes]
    table = people.assign(weeks=np.where(lost, np.nan, weeks), work=np.where(lost, np.nan, (weeks > 21).astype(float)))
    return drawn, table[rng.uniform(size=2_000) > 0.02]


ESTIMATORS: list[tuple[str, Any]] = [
    ("complete", None),
    ("strata", None),
    ("clusters", None),
    *(("complete", kk.Regression(covariates=X, errors=e)) for e in ("classical", "HC0", "HC1", "HC2", "HC3", "HC4")),
    *(("clusters", kk.Regression(errors=e)) for e in ("auto", "CR0", "CR1", "CR2", "CR3", "stata")),
    ("strata", kk.HorvitzThompson()),
    ("strata", kk.Hajek()),
    ("strata", kk.ANHECOVA(covariates=X)),
    ("strata", kk.ANHECOVA(covariates=X, model="logit", scale="log odds ratio")),
    ("strata", kk.AIPW(covariates=X)),
    ("strata", kk.StratifiedRegression(covariates=X)),
    ("strata", kk.ANCOVA(before=("spell_days",))),
    ("factors", kk.ArmContrasts(FACTORS.effects())),
]


def told(text: str, drawn: kk.Assignment, table: pd.DataFrame, arms: tuple[str, ...]) -> None:
    """Check the account of each arm, and that unequal attrition is pointed out."""
    flat = re.sub(r"\s+", " ", text)
    place = table.set_index(ID)["weeks"].reindex(kk.datasets.job_seekers(2_000, seed="printing").sort_values(ID)[ID])
    here = place.index.isin(table[ID])
    for arm in arms:
        mine = drawn.codes == drawn.arms.index(arm)
        used, absent = int(place[mine].notna().sum()), int((~here[mine]).sum())
        gone = int(mine.sum()) - used
        assert (
            f"'{arm}' {used:,} used, {gone:,} missing ({absent:,} not in the table, {gone - absent:,} without" in flat
        )
    assert "outcomes are missing at different rates" in flat


@pytest.mark.parametrize(("design", "estimator"), ESTIMATORS, ids=lambda v: str(v)[:40])
def test_an_estimate_tells_all(design: str, estimator: Any) -> None:
    drawn, table = trial(design)
    outcome = "work" if getattr(estimator, "model", "") == "logit" else "weeks"
    found = kk.estimate_effects(drawn, table, outcome, estimator=estimator)
    if design != "factors":
        told(str(found), drawn, table, drawn.arms.names)
    text = re.sub(r"\s+", " ", str(found))
    frame = found.to_frame()
    for one in found:
        assert one.estimator
        assert one.variance
        assert one.reason[:1].upper() + one.reason[1:] in text
        # The degrees of freedom have a rule, or the reference is the normal.
        assert re.search(r"degrees of freedom|normal", one.reason)
        low, high = one.interval(0.9)
        assert low < one.value < high
        assert 0 <= one.p_value(null=1.0, alternative="greater") <= 1
        assert {arm: one.missing[arm] - (one.absent or {})[arm] for arm in one.missing}
    assert {"n", "missing", "dof", "low", "high", "p", "estimator", "variance"} <= set(frame.columns)
    assert len(frame) == len(found)


TESTS: dict[str, tuple[str, Any]] = {
    "exact": ("strata", lambda a, t: kk.randomisation_test(a, t, "weeks", studentise=False, method="exact")),
    "counts": ("strata", lambda a, t: kk.randomisation_test(a, t, "work", method="counts", draws=99)),
    "shuffles": ("strata", lambda a, t: kk.randomisation_test(a, t, "weeks", method="shuffles", draws=99)),
    "redraws": ("strata", lambda a, t: kk.randomisation_test(a, t, "weeks", method="redraws", draws=99)),
    "clusters": ("clusters", lambda a, t: kk.randomisation_test(a, t, "weeks", draws=99)),
    "wild": ("clusters", lambda a, t: kk.wild_cluster_test(a, t, "weeks", bootstrap=WILD)),
    "joint redraws": ("strata", lambda a, t: kk.joint_randomisation_test(a, t, "weeks", test=JOINT)),
    "joint": ("strata", lambda a, t: kk.estimate_effects(a, t, "weeks", covariates=X).joint()),
}
WILD, JOINT = kk.WildClusterBootstrap(draws=99), kk.JointRandomisationTest(draws=99)


@pytest.mark.parametrize("name", TESTS)
def test_a_test_tells_all(name: str) -> None:
    design, test = TESTS[name]
    drawn, table = trial(design)
    found = test(drawn, table)
    told(str(found), drawn, table, tuple(found.n))
    assert set(found.n) <= set(drawn.arms.names)
    assert found.reason
    assert len(found.to_frame()) == 1


def test_a_total_of_people_who_are_missing_unequally_is_told_to_be_off() -> None:
    drawn, table = trial("strata")
    notes = kk.estimate_effects(drawn, table, "weeks", estimator=kk.HorvitzThompson())[0].notes
    assert any(re.search(r"off by about the mean times -\d+\.\d%\. Hajek\(\)", note) for note in notes)
    full = kk.datasets.job_seekers(2_000, seed="printing")[[ID, "age"]].rename(columns={"age": "years"})
    plain = kk.estimate_effects(drawn, full, "years", estimator=kk.HorvitzThompson())[0].notes
    assert not any("Hajek()" in note for note in plain)


def test_a_family_tells_whom_it_lacks() -> None:
    drawn, table = trial("strata")
    found = kk.family_test(drawn, table, ("weeks", "work"), family=kk.RomanoWolf(draws=99))
    told(str(found), drawn, table, drawn.arms.names)
    assert [account.arms for account in found.accounts.values()] == [drawn.arms.names] * 2
    assert any(note.startswith("work: outcomes are missing at different rates") for note in found.notes)
