"""Designs that wrap or stage others go through the whole chain unchanged, and keep every law on any register."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kokeilu as kk
from kokeilu.errors import DesignError
from kokeilu.testing import check_mechanism, registers

TWO = kk.arms(control=1, coaching=1)
SATURATION = kk.Saturation(TWO, levels=(0, 0.5), area="area", by="side")
DESIGNS = {
    "saturation": SATURATION,
    "levels of areas": kk.Merged(SATURATION, into=SATURATION.areas()),
    "people of all levels": kk.Merged(SATURATION, into=SATURATION.people()),
    "stepped wedge": kk.SteppedWedge(("spring", "never"), cluster="area"),
    "stepped wedge in strata": kk.SteppedWedge(3, cluster="area", by="side"),
    "waves": kk.Waves(kk.Stratified(TWO, by="side"), wave="month"),
    "waves of clusters": kk.Waves(kk.Clustered(kk.Complete(TWO), by="area"), wave="half"),
    "factorial": kk.Factorial({"coach": kk.arms(no=1, yes=1), "voucher": kk.arms(no=1, yes=1)}, by="side"),
    "fixed": kk.Fixed(kk.Stratified(TWO, by="side"), column="law"),
    "quantiles": kk.StratifiedByQuantiles(TWO, on={"age": 4}, by="side"),
    "clusters by size": kk.Clustered(kk.StratifiedByQuantiles(TWO, on={"cluster_size": 2}), by="area"),
    "straddling": kk.Clustered(kk.Stratified(TWO, by="term"), by="area", straddling="largest"),
}


def register():
    area = np.repeat(np.arange(24), 6 + np.arange(24) % 5)
    step = np.arange(len(area))
    rng = np.random.default_rng(6)
    columns = {"id": 1000 + step[::-1], "area": area, "side": area % 2, "half": area % 3, "month": step % 7 // 4}
    frame = pd.DataFrame(columns).assign(age=rng.normal(40, 9, len(step)))
    frame["term"] = (area + (step % 5 == 0)) % 2
    frame["law"] = np.where(step % 13 == 0, "coaching", np.where(step % 17 == 0, "control", "drawn"))
    return frame.assign(y=rng.normal(size=len(step)) + rng.normal(size=24)[area])


@pytest.mark.parametrize("name", DESIGNS)
def test_the_whole_chain(name, tmp_path):
    people, design = register(), DESIGNS[name]
    assignment = kk.randomise(people.drop(columns="y"), design, id="id", seed="lottery of 21 November 2026")
    assert sum(assignment.counts().values()) == len(people)
    assert kk.verify(assignment, people.sample(frac=1, random_state=1)).verified
    kk.save(assignment, tmp_path / "a.parquet")
    again = kk.load(tmp_path / "a.parquet")
    assert again.fingerprint == assignment.fingerprint
    np.testing.assert_array_equal(
        again.lottery.draw(again.stream("x"), 3), assignment.lottery.draw(again.stream("x"), 3)
    )
    assert 0 < kk.check_balance(assignment, people, on=("age",), draws=99).omnibus.p_value <= 1
    found = kk.estimate_effects(assignment, people, "y")[0]
    assert np.isfinite([found.value, found.error]).all()
    test = kk.randomisation_test(assignment, people, "y", draws=99)
    assert 0 < test.p_value <= 1
    power = kk.simulate_power(design, people, kk.Shift("y"), effects=(0.0, 2.0), draws=40, seed="power")
    rows = power.rows()
    assert rows[0]["power"] < rows[1]["power"]


def test_simulated_power_is_that_of_the_default_estimator():
    people = register()
    for name in ("saturation", "people of all levels"):
        assignment = kk.randomise(people.drop(columns="y"), DESIGNS[name], id="id", seed="published")
        power = kk.simulate_power(assignment, people, kk.Shift("y"), effects=(0.0,), draws=50, seed="power")
        found = kk.estimate_effects(assignment, people, "y")[0]
        assert power.rows()[0]["power"] <= 0.2
        assert f"{found.variance}" == "CR2"


def test_the_areas_of_two_stages_are_no_people():
    """People of an area move together: errors by person would be half of what the estimates vary by."""
    people = register()
    assignment = kk.randomise(people.drop(columns="y"), SATURATION, id="id", seed="published")
    spill = SATURATION.effects()["spillover"]
    draws, errors = [], []
    for seed in range(60):
        one = kk.randomise(people.drop(columns="y"), SATURATION, id="id", seed=seed)
        found = kk.estimate_effects(one, people, "y", contrasts=spill)[0]
        draws.append(found.value)
        errors.append(found.error)
    assert 0.75 < np.mean(errors) / np.std(draws) < 1.4
    by_people = np.sqrt(4 * people["y"].var() / (len(people) / 2))
    assert by_people < 0.75 * np.std(draws)
    assert assignment.lottery.cells().cluster_name == "area"


def test_formulas_for_whole_clusters_refuse_two_stages():
    outcome = kk.Mean(sd=1.0, icc=0.1)
    for people in (register(), kk.ClusterSizes(count=20, size=10), 400):
        with pytest.raises(DesignError, match="no formula here holds for both stages"):
            kk.detectable_effect(SATURATION, people, outcome)
    with pytest.raises(DesignError, match="no formula here holds for both stages"):
        kk.sample_size(SATURATION, outcome, effect=0.2)
    levels = kk.detectable_effect(DESIGNS["levels of areas"], register(), outcome)
    wedge = kk.detectable_effect(DESIGNS["stepped wedge"], register(), outcome)
    assert wedge.value == pytest.approx(levels.value, rel=0.1)


def test_the_report_says_that_there_were_two_stages(tmp_path):
    plan = kk.Plan(
        title="Areas and people",
        id="id",
        design=SATURATION,
        outcomes=(kk.Outcome("y"),),
        analyses=(kk.Analysis("y", kk.DifferenceInMeans()),),
    )
    people = register()
    findings = kk.analyse(plan, kk.enrol(plan, people.drop(columns="y"), "published"), people)
    page = kk.write_report(findings, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Clusters were drawn first, and then people within them: 24 clusters" in page
    assert "Whole clusters were drawn" not in page


MAKERS = [
    kk.Saturation(TWO, levels=(0, "1/3", "3/4"), area="cluster"),
    kk.Saturation(TWO, levels={"1/4": 2, "1/2": 1}, area="cluster", by="stratum"),
    kk.SteppedWedge(3, cluster="cluster"),
    kk.SteppedWedge(2, cluster=None, by="stratum"),
    kk.Waves(kk.Complete(kk.arms(a=2, b=1)), wave="stratum"),
    kk.Factorial({"a": kk.arms(no=1, yes=1), "b": kk.arms(no=2, yes=1)}),
    kk.Factorial({"a": kk.arms(no=1, yes=1), "b": kk.arms(no=2, yes=1)}, by="stratum"),
    kk.Clustered(kk.StratifiedByQuantiles(TWO, on={"cluster_size": 2}), by="cluster"),
    kk.Fixed(kk.Complete(TWO), column="law"),
]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(table=registers(), design=st.sampled_from(MAKERS), data=st.data())
def test_laws_hold_on_any_register(table, design, data):
    law = data.draw(st.lists(st.sampled_from(["drawn", "drawn", "coaching"]), min_size=12, max_size=12))
    table = {**table, "law": law[: len(table["id"])]}
    try:
        kk.randomise(table, design, id="id", seed="possible?")
    except DesignError:
        return
    check_mechanism(design, table)
