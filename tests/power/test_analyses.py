"""Any analysis in simulated trials: fast ways give what one trial at a time gives, and errors stay errors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import kokeilu as kk
from kokeilu._kernels.streams import Seed
from kokeilu.core.lottery import redraws
from kokeilu.errors import ColumnError, DesignError, EstimationError
from kokeilu.power import analyses, workers
from kokeilu.power.curve import PowerCurve
from kokeilu.power.grid import ArmCurves, PowerGrid

RNG = np.random.default_rng(20261122)
N = 240
PEOPLE = pd.DataFrame(
    {
        "person": np.arange(N),
        "region": np.repeat(np.arange(4), 60),
        "office": np.repeat(np.arange(24), 10),
        "age": RNG.integers(18, 64, N),
        "sex": RNG.integers(0, 2, N).astype(str),
        "before": RNG.gamma(2.0, 3.0, N),
    }
)
PEOPLE["days"] = RNG.gamma(2.0, 3.0, N) + PEOPLE["before"]
TWO = kk.arms(control=1, coaching=1)
STRATA = kk.Stratified(TWO, by="region")
DESIGNS = {
    "complete": kk.Complete(TWO),
    "strata": STRATA,
    "three arms": kk.Stratified(kk.arms(control=2, coaching=1, subsidy=1), by="region"),
    "small arm": kk.Complete(kk.arms(control=9, coaching=1)),
    "shares by stratum": kk.Stratified(
        {str(region): kk.arms(control=1, coaching=1 + region) for region in range(4)}, by="region"
    ),
}
ESTIMATORS = {
    "regression": kk.Regression(),
    "slopes by arm": kk.Regression(covariates=("age", "sex")),
    "common slopes": kk.Regression(covariates=("age", "sex"), interacted=False),
    "HC3": kk.Regression(covariates=("age",), errors="HC3", interacted=False),
    "HC1": kk.Regression(covariates=("age",), errors="HC1"),
    "ancova": kk.ANCOVA(before=("before",)),
    "hajek": kk.Hajek(),
}


def simulated(design, analysis, *, world=None, effects=(0.0, 1.0), draws=12, seed="analyses", **rest):
    return kk.simulate_power(
        design, PEOPLE, world or kk.Shift("days"), analysis, effects=effects, draws=draws, seed=seed, **rest
    )


@pytest.mark.parametrize("name", sorted(DESIGNS))
@pytest.mark.parametrize("how", sorted(ESTIMATORS))
def test_each_draw_is_analysed_as_estimate_effects_does(name, how):
    design, estimator = DESIGNS[name], ESTIMATORS[how]
    assignment = kk.randomise(PEOPLE, design, id="person", seed=1)
    found = simulated(assignment, estimator, draws=4)
    trials = found.at(0.0)
    (codes,) = redraws(assignment.lottery, Seed.of("analyses").stream("power").child("lottery"), 4)
    for b in range(4):
        table = PEOPLE.assign(arm=np.array(assignment.arms.names)[codes[b]])
        adopted = kk.adopt(table, arm="arm", design=design, id="person")
        known = adopted.also_known("age", "sex", "before")
        one = kk.estimate_effects(known, table, "days", estimator=estimator)[0]
        assert trials.estimates[b] == pytest.approx(one.value, rel=1e-9)
        assert trials.errors[b] == pytest.approx(one.error, rel=1e-9)
        assert trials.p()[b] == pytest.approx(one.p_value(), rel=1e-8)


@pytest.mark.parametrize("how", sorted(ESTIMATORS))
@pytest.mark.parametrize("name", ["strata", "shares by stratum"])
def test_the_curve_is_that_of_effects_put_into_the_outcomes(name, how):
    """What the shortcut says of an effect = the same draws with the effect in the outcomes."""

    class Moved:
        def outcomes(self, stream):
            return np.stack([PEOPLE["days"], PEOPLE["days"] + 1.0], axis=1)

    one = simulated(DESIGNS[name], ESTIMATORS[how]).at(1.0)
    other = simulated(DESIGNS[name], ESTIMATORS[how], world=Moved()).at(0.0)
    np.testing.assert_allclose(one.estimates, other.estimates, rtol=1e-9)
    np.testing.assert_allclose(one.errors, other.errors, rtol=1e-9)
    np.testing.assert_allclose(other.truth, 1.0)


def test_analyses_that_effects_may_change_are_simulated_at_each():
    assert isinstance(simulated(STRATA, kk.Regression()), PowerCurve)
    assert isinstance(simulated(STRATA, kk.HorvitzThompson(), draws=3), PowerGrid)


def test_the_same_bits_for_any_number_of_workers(monkeypatch):
    monkeypatch.setattr("kokeilu.power.simulate.BLOCK_DRAWS", 8)
    world = kk.Resampled(kk.Shift("days"))
    told: list[tuple[int, int]] = []
    one = simulated(STRATA, kk.Regression(covariates=("age",)), world=world, draws=30)
    several = simulated(
        STRATA,
        kk.Regression(covariates=("age",)),
        world=world,
        draws=30,
        workers=2,
        progress=lambda *done: told.append(done),
    )
    for column in ("estimates", "errors", "critical", "truth"):
        assert np.array_equal(getattr(one, column), getattr(several, column))
    assert len(told) == 4
    assert told[-1] == (30, 30)


def test_progress_is_a_line_on_the_terminal(capsys):
    simulated(STRATA, None, draws=10, progress=True)
    assert capsys.readouterr().err.endswith("10 of 10 draws\n")
    workers.shown(3, 10)
    assert capsys.readouterr().err == "\r3 of 10 draws"


def test_what_cannot_be_sent_to_workers_is_told(monkeypatch):
    monkeypatch.setattr("kokeilu.power.simulate.BLOCK_DRAWS", 2)

    class Here:
        def outcomes(self, stream):
            return np.zeros((N, 2))

    with pytest.raises(DesignError, match="cannot be sent to worker processes"):
        simulated(STRATA, None, world=Here(), draws=4, workers=2)


class Fails:
    """An estimator that refuses trials in which the first person is in the arm."""

    def estimate(self, view, contrasts=None):
        if view.codes[0] == 1:
            raise EstimationError("the first person is in the arm.")
        return kk.DifferenceInMeans().estimate(view, contrasts)


def test_an_error_in_one_draw_is_an_error_with_a_count():
    with pytest.raises(EstimationError, match=r"\d+ draws of 20 gave no estimate.*the first person is in the arm"):
        simulated(STRATA, Fails(), draws=20)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"analysis": 7}, DesignError, "analysis must be an estimator"),
        ({"analysis": kk.Regression}, DesignError, "got Regression"),
        ({"analysis": kk.Regression(covariates=("agee",))}, ColumnError, "Did you mean 'age'"),
        ({"analysis": kk.RandomisationTest(method="exact")}, DesignError, "is a way to one p-value"),
        ({"workers": 0}, DesignError, "workers must be at least 1"),
        ({"progress": "yes"}, DesignError, "progress must be"),
        ({"effects": ({"coaching": 1.0}, 2.0)}, DesignError, "all numbers or all mappings"),
        ({"effects": ({"control": 1.0},)}, DesignError, "is the reference arm"),
        ({"effects": ({"coching": 1.0},)}, DesignError, "Did you mean 'coaching'"),
        ({"effects": ({"coaching": 1.0},), "contrast": "coaching"}, DesignError, "leave contrast out"),
    ],
)
def test_bad_requests_say_why(change, error, says):
    with pytest.raises(error, match=says):
        simulated(STRATA, **{"analysis": None, **change})


def test_several_arms_have_an_effect_each():
    design = DESIGNS["three arms"]
    effects = ({"coaching": 0.0, "subsidy": 0.0}, {"coaching": 2.5, "subsidy": 2.5}, {"subsidy": 2.5})
    found = simulated(design, None, effects=effects, draws=200)
    assert isinstance(found, ArmCurves)
    alone = simulated(design, None, effects=(2.5,), contrast="subsidy", draws=200)
    assert found["subsidy"].power_at(2.5) == alone.power_at(2.5)
    none, both, one = (found.power(place) for place in range(3))
    assert none < 0.1 < one < both <= 1.0
    assert found.power(1, target="all") < both
    assert found.power(1, target="all", family=None) >= found.power(1, target="all", family="bonferroni")
    assert len(found.rows()) == 6
    assert found.rows()[2]["power_any"] == both
    with pytest.raises(DesignError, match="was not simulated"):
        found["control"]
    with pytest.raises(DesignError, match="target must be"):
        found.power(0, target="most")


def test_facts_carry_their_monte_carlo_error():
    curve = simulated(STRATA, None, draws=400)
    facts = {row["fact"]: row for row in curve.facts(1.0)}
    assert set(facts) == {"power", "bias", "sd", "mean_error", "coverage", "type_s", "type_m"}
    assert facts["power"]["value"] == curve.power_at(1.0)
    assert facts["sd"]["value"] == pytest.approx(curve.sd)
    assert facts["sd"]["error"] == pytest.approx(curve.sd / np.sqrt(800), rel=0.15)  # nearly normal estimates
    assert facts["type_m"]["value"] > 1.0
    rejects = np.abs(curve.estimates + 1.0) > curve.critical * curve.errors
    assert facts["type_m"]["value"] == pytest.approx(np.abs(curve.estimates[rejects] + 1.0).mean())
    assert facts["type_s"]["value"] == (curve.estimates[rejects] < -1.0).mean()
    assert {row["fact"] for row in curve.facts()} == {"power", "bias", "sd", "mean_error", "coverage"}


def test_the_grid_answers_for_what_was_simulated():
    grid = simulated(STRATA, None, world=kk.Proportional("days"), effects=(0.1, 0.2, 0.3), draws=200)
    value, low, high = grid.detectable_effect(0.8)
    assert 0.0 < low < value < high
    assert min(grid.power_at(0.1), grid.power_at(0.2)) < 0.8
    with pytest.raises(DesignError, match="was not simulated"):
        grid.power_at(0.15)
    with pytest.raises(DesignError, match="no effect asked for has power 0.99"):
        simulated(STRATA, None, world=kk.Proportional("days"), effects=(0.01,)).detectable_effect(0.99)
    assert "coverage" in str(grid)
    assert grid.facts()[0]["value"] == grid.size
    assert grid.line()[0] == "effect"


def test_the_randomisation_test_is_that_of_each_trial():
    design = kk.Stratified(TWO, by="region")
    spec = kk.RandomisationTest(draws=199, covariates=("before",))
    found = simulated(design, spec, effects=(0.0, 2.0), draws=25)
    moved = simulated(design, spec, effects=(2.0,), draws=25, world=kk.TakeUp(kk.Shift("days"), {"coaching": 1.0}))
    np.testing.assert_allclose(found.found[1].p_values, moved.found[0].p_values)
    assert found.null.errors is None
    assert found.power_at(2.0) > found.size
    assert "coverage" not in {row["fact"] for row in found.facts(2.0)}


def test_the_randomisation_test_over_all_assignments_agrees_with_itself():
    people = {"block": np.repeat([0, 1], 4), "y": [3.0, 1.0, 4.0, 1.5, 5.0, 9.0, 2.0, 6.0]}
    design = kk.Stratified(TWO, by="block")
    spec = kk.RandomisationTest(studentise=False)
    found = kk.simulate_power(design, people, kk.Shift("y"), spec, effects=(4.0,), alpha=0.1, seed=1)
    assert (found.exact, found.draws) == (True, 36)
    lottery = found.null.chances
    assert lottery.sum() == pytest.approx(1.0)
    hits = []
    ids = pd.DataFrame({"id": range(8), **people})
    for codes, _ in [
        (row, 0) for chunk, _ in kk.all_assignments(kk.randomise(ids, design, id="id", seed=1).lottery) for row in chunk
    ]:
        table = ids.assign(arm=np.array(["control", "coaching"])[codes], out=ids["y"] + 4.0 * codes)
        trial = kk.adopt(table.drop(columns="out"), arm="arm", design=design, id="id")
        test = kk.randomisation_test(trial, table, "out", studentise=False, method="enumerate")
        hits.append(test.p_value <= 0.1 + 1e-12)
    assert found.power_at(4.0) == pytest.approx(np.mean(hits), abs=1e-12)


HERE = Path(__file__).resolve().parents[1]
DESIGN_CASES = {case["id"]: case for case in json.loads((HERE / "reference" / "power_sims.json").read_text("utf-8"))}


class Groups:
    """Normal people in normal groups, and an effect."""

    def __init__(self, groups, between, within, effect):
        self.groups, self.between, self.within, self.effect = groups, between, within, effect

    def outcomes(self, stream):
        people = stats.norm.ppf(stream.child("people").doubles(1, len(self.groups))[0] + 2.0**-54)
        groups = stats.norm.ppf(stream.child("groups").doubles(1, int(self.groups.max()) + 1)[0] + 2.0**-54)
        y = self.within * people + self.between * groups[self.groups]
        return np.stack([y, y + self.effect], axis=1)


class Without:
    """An analysis that ignores part of the design, as users of the peer may."""

    def __init__(self, **ignored):
        self.ignored = ignored

    def estimate(self, view, contrasts=None):
        plain = {name: np.zeros(len(view.y), dtype=np.int64) if zero else None for name, zero in self.ignored.items()}
        return kk.DifferenceInMeans().estimate(replace(view, **plain), contrasts)


def made(case):
    spec = case["spec"]
    if case["id"] == "dd-blocked":
        groups = np.repeat(np.arange(spec["blocks"]), spec["block_size"])
        design = kk.Stratified(TWO, by="group")
        return groups, design, Groups(groups, spec["sd_block"], spec["sd_u"], spec["tau"])
    groups = np.repeat(np.arange(30), np.resize([15, 25, 40, 60, 35, 25], 30))
    icc = spec["icc"]
    return groups, kk.Clustered(kk.Complete(TWO), by="group"), Groups(groups, icc**0.5, (1 - icc) ** 0.5, spec["tau"])


ANALYSES = {
    "FE Z": kk.Regression(errors="HC2"),
    "unadjusted Z": Without(strata=True),
    "CR2 Z": kk.DifferenceInMeans(),
    "CR1_stata Z": kk.Regression(errors="stata"),
    "HC2_naive Z": Without(clusters=False),
}
SIMULATED = [(name, test) for name, case in DESIGN_CASES.items() for test in case["diagnosands"]]


@pytest.mark.parametrize(("name", "test"), SIMULATED)
def test_simulated_designs_agree_with_declaredesign(name, test):
    """Within 4 Monte Carlo errors of both sides."""
    case, draws = DESIGN_CASES[name], 600
    groups, design, world = made(case)
    found = kk.simulate_power(design, {"group": groups}, world, ANALYSES[test], effects=(0.0,), draws=draws, seed=name)
    facts = {row["fact"]: row for row in found.facts()}
    theirs = case["diagnosands"][test]
    both = (1 / case["sims"] + 1 / draws) ** 0.5
    for fact in ("power", "coverage"):
        assert abs(facts[fact]["value"] - theirs[fact]) < 4 * both * (theirs[fact] * (1 - theirs[fact])) ** 0.5, fact
    sd = theirs["sd_estimate"]
    assert abs(facts["sd"]["value"] - sd) < 4 * both * sd / 2**0.5
    assert abs(facts["mean_error"]["value"] - theirs["mean_se"]) < 4 * both * found.at(0.0).errors.std()
    assert abs(facts["bias"]["value"] - theirs["bias"]) < 4 * both * sd


def test_the_fast_way_is_taken_where_it_should_be(monkeypatch):
    monkeypatch.setattr(analyses.OneByOne, "drawn", lambda *_: pytest.fail("the slow way"))
    for spec in (kk.Regression(), kk.Regression(covariates=("age", "sex"))):
        simulated(STRATA, spec, draws=5)
    simulated(STRATA, kk.DifferenceInMeans(), draws=5)
