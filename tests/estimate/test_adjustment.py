"""ANHECOVA, stratified regression, analysis of covariance and AIPW: laws, agreement with each other, refusals."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from kokeilu.core.results import Estimates
from kokeilu.core.view import View
from kokeilu.errors import ColumnError, DesignError, EstimationError, PlanError
from kokeilu.testing import ESTIMATOR_LAWS, Trial

TWO, THREE = kk.arms(control=1, coaching=1), kk.arms(control=2, coaching=1, letter=1)
N = 240


def people() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    return pd.DataFrame(
        {
            "id": np.arange(N),
            "region": [f"r{i % 4}" for i in range(N)],
            "office": [f"o{i % 24:02d}" for i in range(N)],
            "pair": np.arange(N) // 2,
            "age": rng.normal(40.0, 10.0, N),
            "spell": np.round(rng.exponential(100.0, N)),
            "kind": rng.choice(["a", "b", "c"], N),
        }
    )


PEOPLE = people()
DESIGNS: dict[str, Any] = {
    "complete": kk.Complete(TWO),
    "three arms": kk.Stratified(THREE, by="region"),
    "stratified": kk.Stratified(TWO, by="region"),
    "pairs": kk.Stratified(TWO, by="pair"),
    "alone": kk.Bernoulli(TWO),
    "clusters": kk.Clustered(kk.Complete(TWO), by="office"),
    "clusters in strata": kk.Clustered(kk.Stratified(TWO, by="region"), by="office"),
}


def trial(name: str, **columns: Any) -> tuple[Any, pd.DataFrame]:
    drawn = kk.randomise(PEOPLE, DESIGNS[name], id="id", seed=f"adjustment {name}")
    rng = np.random.default_rng(5)
    y = 0.5 * PEOPLE["age"] + 0.02 * PEOPLE["spell"] + rng.normal(size=N) + 2.0 * (drawn.codes == 1)
    work = (rng.random(N) < 1 / (1 + np.exp(2.0 - 0.05 * PEOPLE["age"] - 0.5 * drawn.codes))).astype(float)
    return drawn, PEOPLE.assign(y=y, work=work, **columns)


def one(name: str, estimator: Any, outcome: str = "y", **columns: Any) -> Any:
    drawn, table = trial(name, **columns)
    return kk.estimate_effects(drawn, table, outcome, estimator=estimator)[0]


# ---------------------------------------------------------------- laws


@dataclass
class WithCovariates:
    """An estimator on views that carry two fixed covariates by person."""

    estimator: Any

    def estimate(self, view: View, contrasts: Any = None) -> Estimates:
        table = np.column_stack([np.sin(7.0 * np.arange(99)), np.cos(3.0 * np.arange(99))])
        return self.estimator.estimate(
            replace(view, covariates=table[view.rows], covariate_names=("u", "v")), contrasts
        )


IDS = list(range(12))
Y0 = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0, 5.0, 8.0]
Y1 = [2.0, 7.0, 1.0, 8.0, 2.0, 8.0, 1.0, 8.0, 2.0, 8.0, 4.0, 5.0]
TINY = Trial(mechanism=kk.Complete(TWO), register={"id": IDS}, potential=(Y0, Y1))
STRATA = Trial(
    mechanism=kk.Stratified(TWO, by="s"), register={"id": IDS[:8], "s": list("nnnnwwww")}, potential=(Y0[:8], Y1[:8])
)
PAIRS = Trial(mechanism=kk.Stratified(TWO, by="s"), register={"id": IDS, "s": list("aabbccddeeff")}, potential=(Y0, Y1))
CLUSTERS = Trial(
    mechanism=kk.Clustered(kk.Complete(TWO), by="s"),
    register={"id": IDS, "s": list("aabbccddeeff")},
    potential=(Y0, Y1),
)
LAWS = {
    "ANHECOVA without covariates": (kk.ANHECOVA(), TINY),
    "ANHECOVA": (WithCovariates(kk.ANHECOVA(covariates=("u",))), replace(TINY, exact=False)),
    "ANHECOVA, common": (WithCovariates(kk.ANHECOVA(covariates=("u",), interacted=False)), replace(TINY, exact=False)),
    "strata without covariates": (kk.StratifiedRegression(), STRATA),
    "strata": (WithCovariates(kk.StratifiedRegression(covariates=("u",))), replace(TINY, exact=False)),
    "small strata": (kk.StratifiedRegression(errors="HC0"), replace(PAIRS, exact=False)),
    "AIPW": (WithCovariates(kk.AIPW(covariates=("u", "v"))), replace(TINY, exact=False)),
    "AIPW, pairs": (WithCovariates(kk.AIPW(covariates=("u",))), replace(PAIRS, exact=False)),
    "AIPW, clusters": (WithCovariates(kk.AIPW(covariates=("u",))), replace(CLUSTERS, exact=False)),
    "ANCOVA": (WithCovariates(kk.ANCOVA(before=("u", "v"))), replace(TINY, exact=False)),
}


@pytest.mark.parametrize("law", ESTIMATOR_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", LAWS)
def test_laws(name, law):
    law(*LAWS[name])


def test_aipw_is_unbiased_over_every_draw_of_pairs():
    """Whole pairs are dealt to folds, so nobody's prediction knows their arm: exactly unbiased, by enumeration."""
    estimator = LAWS["AIPW, pairs"][0]
    pairs = PAIRS.assignments()
    found = [estimator.estimate(PAIRS.view(assignment))[0].value for assignment, _ in pairs]
    assert len(found) == 2**6
    assert np.mean(found) == pytest.approx(PAIRS.effect(1), abs=1e-12)


# ---------------------------------------------------------------- agreement


@pytest.mark.parametrize("name", ["complete", "alone"])
def test_linear_anhecova_is_lin_regression(name):
    covariates = ("age", "spell", "kind")
    found, lin = (one(name, kind(covariates=covariates)) for kind in (kk.ANHECOVA, kk.Regression))
    assert found.value == pytest.approx(lin.value, rel=1e-10)
    # Larger by the variance of effects between people, who are a sample here and the population there.
    assert 0.99 * lin.error < found.error < 1.06 * lin.error
    assert found.estimator == "ANHECOVA"


def test_without_covariates_strata_weigh_by_their_people():
    means = one("three arms", kk.DifferenceInMeans())
    for estimator in (kk.ANHECOVA(), kk.StratifiedRegression()):
        assert one("three arms", estimator).value == pytest.approx(means.value, rel=1e-10)


@pytest.mark.parametrize("name", DESIGNS)
def test_aipw_under_every_design(name):
    found = one(name, kk.AIPW(covariates=("age", "spell")))
    plain = one(name, kk.DifferenceInMeans())
    assert abs(found.value - 2.0) < 4 * found.error
    assert found.error < 0.6 * plain.error
    assert "known chances" in found.reason


@pytest.mark.parametrize(("fixed", "says"), [(True, "chances differ within strata"), (False, "were drawn alone")])
def test_aipw_with_chances_that_differ_by_person(make_view, fixed, says):
    rng = np.random.default_rng(1)
    x = rng.normal(size=600)
    chance = 1.0 / (1.0 + np.exp(-x))
    codes = (rng.random(600) < chance).astype(int)
    shares = np.column_stack([1.0 - chance, chance])
    view = make_view(3.0 * x + rng.normal(size=600), codes, shares=shares, covariates=x, names=("x",))
    found = kk.AIPW(covariates=("x",)).estimate(replace(view, fixed=fixed))[0]
    assert abs(found.value) < 4 * found.error < 0.6
    assert says in found.reason
    with pytest.raises(EstimationError, match="the chance of an arm differs"):
        kk.ANHECOVA().estimate(view)
    with pytest.raises(EstimationError, match="differs between people of the same stratum"):
        kk.StratifiedRegression().estimate(view)


def test_results_are_the_same_each_time_and_folds_come_from_the_draw():
    spec = kk.AIPW(covariates=("age", "spell"))
    first, again = one("complete", spec), one("complete", spec)
    assert (first.value, first.error) == (again.value, again.error)
    drawn, table = trial("complete")
    turned = kk.estimate_effects(drawn, table.iloc[::-1], "y", estimator=spec)[0]
    assert turned.value == first.value


def test_survey_weights_count():
    drawn, table = trial("complete")
    table = table.assign(w=np.where(table["kind"] == "a", 3.0, 1.0))
    found = [
        kk.estimate_effects(drawn, table, "y", estimator=kk.AIPW(covariates=("age",)), weights=w)[0]
        for w in (None, "w")
    ]
    assert found[0].value != found[1].value
    assert "survey weights" in found[1].reason


def test_ancova_uses_the_mean_of_earlier_periods():
    drawn, table = trial("complete")
    rng = np.random.default_rng(3)
    earlier = {f"y_{year}": table["y"] + rng.normal(0, 3, N) for year in (2016, 2017, 2018)}
    table = table.assign(**earlier, mean=sum(earlier.values()) / 3)
    drawn = drawn.also_known("mean", *earlier)
    by_hand = kk.estimate_effects(drawn, table, "y", estimator=kk.Regression(covariates=("mean",), interacted=False))[0]
    found = kk.estimate_effects(drawn, table, "y", estimator=kk.ANCOVA(before=tuple(earlier)))[0]
    assert (found.value, found.error) == pytest.approx((by_hand.value, by_hand.error), rel=1e-10)
    assert found.estimator == "ANCOVA on the mean of 3 earlier periods"
    assert any("of the outcome's variance" in note for note in found.notes)
    each = kk.estimate_effects(drawn, table, "y", estimator=kk.ANCOVA(before=tuple(earlier), earlier="each"))[0]
    assert each.estimator == "ANCOVA on 3 earlier periods"
    assert each.value != found.value


def test_ancova_takes_the_periods_that_a_person_has():
    drawn, table = trial("complete")
    table = table.assign(a=table["y"] + 1.0, b=table["y"] - 1.0)
    table.loc[:9, "a"], table.loc[5:14, "b"] = np.nan, np.nan
    drawn = drawn.also_known("a", "b")
    found = kk.estimate_effects(drawn, table, "y", estimator=kk.ANCOVA(before=("a", "b"), covariates=("age",)))[0]
    assert any("10 people lack some earlier period" in note for note in found.notes)
    assert np.isfinite(found.error)


@pytest.mark.parametrize(
    ("scale", "transform"), [("log ratio", np.log), ("log odds ratio", lambda p: np.log(p / (1 - p)))]
)
def test_scales_are_of_the_standardised_means(scale, transform):
    settings = {"covariates": ("age",), "model": "logit"}
    plain = one("complete", kk.ANHECOVA(**settings), "work")
    found = one("complete", kk.ANHECOVA(**settings, scale=scale), "work")
    low = plain.reference_mean
    assert found.value == pytest.approx(transform(low + plain.value) - transform(low), rel=1e-9)
    assert scale in found.estimator
    assert any(scale in note for note in found.notes)
    assert (plain.scale, found.scale) == ("", scale)
    assert found.rows()[0]["scale"] == scale
    assert "scale" not in plain.rows()[0]
    both = Estimates((plain, found))
    assert [row["scale"] for row in both.rows()] == [None, scale]
    assert scale in str(both)


# ---------------------------------------------------------------- what is said


def test_strata_missing_from_the_model_are_pointed_out():
    inside = one("stratified", kk.ANHECOVA(covariates=("age",)))
    outside = one("stratified", kk.ANHECOVA(covariates=("age",), strata=False))
    assert "4 strata are in the model" in inside.reason
    assert not any("missing from the model" in note for note in inside.notes)
    assert any("drawn within strata by 'region', which are missing from the model" in note for note in outside.notes)
    assert "takes off the variance" in outside.reason
    pairs = one("pairs", kk.ANHECOVA(covariates=("age",)))
    assert any("DifferenceInMeans() takes the strata in" in note for note in pairs.notes)


def test_small_strata_by_an_order():
    plain = one("pairs", kk.StratifiedRegression())
    ordered = one("pairs", kk.StratifiedRegression(order="age"))
    assert plain.variance == ordered.variance == "Bai et al."
    assert plain.value == pytest.approx(ordered.value)
    assert "ordered by 'age'" in ordered.reason
    adjusted = one("pairs", kk.StratifiedRegression(covariates=("age", "spell")))
    assert adjusted.error < plain.error


def test_incomplete_pairs_are_left_out():
    drawn, table = trial("pairs")
    table.loc[[3, 50, 51, 80], "y"] = np.nan
    found = kk.estimate_effects(drawn, table, "y", estimator=kk.StratifiedRegression(strata="small"))[0]
    assert sum(found.n.values()) in (N - 6, N - 4)
    assert any("not complete" in note for note in found.notes) or sum(found.n.values()) == N - 4


# ---------------------------------------------------------------- learners


class Cheap:
    """The mean, kept on itself as scikit-learn does; remembers no rows."""

    def fit(self, x, y):
        self.mean = float(y.mean())
        return self

    def predict(self, x):
        return np.full(len(x), self.mean)


class Odd(Cheap):
    """Goes wrong in a way of its own."""

    def __init__(self, how):
        self.how = how

    def predict(self, x):
        if self.how == "raises":
            raise ValueError("SECRET 98765")
        return {"nan": np.full(len(x), np.nan), "short": np.zeros(1), "text": np.array(["a"] * len(x))}[self.how]


def test_a_learner_is_copied_and_a_bad_one_costs_only_precision():
    learner = Cheap()
    found = one("complete", kk.AIPW(learner, covariates=("age",)))
    assert not hasattr(learner, "mean")
    assert found.value == pytest.approx(one("complete", kk.DifferenceInMeans()).value, abs=0.5)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("raises", "failed with ValueError"),
        ("nan", "not finite"),
        ("short", "one finite number"),
        ("text", "failed with"),
    ],
)
def test_a_learner_that_fails_is_named_and_not_quoted(how, says):
    with pytest.raises(EstimationError, match=says) as caught:
        one("complete", kk.AIPW(Odd(how), covariates=("age",)))
    assert "SECRET" not in str(caught.value)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_scikit_learn():
    ensemble = pytest.importorskip("sklearn.ensemble")
    linear = pytest.importorskip("sklearn.linear_model")
    forest = kk.AIPW(ensemble.RandomForestRegressor(n_estimators=20, min_samples_leaf=5), covariates=("age", "spell"))
    first, again = one("stratified", forest), one("stratified", forest)
    assert (first.value, first.error) == (again.value, again.error)
    assert abs(first.value - 2.0) < 4 * first.error
    assert first.estimator == "AIPW, RandomForestRegressor"
    logit = one("complete", kk.AIPW(linear.LogisticRegression(), covariates=("age",)), "work")
    assert logit.error < 0.1
    with pytest.raises(EstimationError, match="predict_proba"):
        one("complete", kk.AIPW(linear.LogisticRegression(), covariates=("age",)))


# ---------------------------------------------------------------- plans


SPECS = [
    kk.ANHECOVA(covariates=("age",), model="poisson", scale="log ratio", interacted=False, strata=False),
    kk.StratifiedRegression(covariates=("age",), strata="large", errors="HC1"),
    kk.ANCOVA(before=("y_2016", "y_2017"), covariates=("age",), earlier="each"),
    kk.AIPW(kk.LeastSquares(), covariates=("age",), folds=3),
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_plans_hold_them(spec):
    plan = kk.Plan(
        title="t", id="id", design=DESIGNS["complete"], outcomes=(kk.Outcome("y"),), analyses=(kk.Analysis("y", spec),)
    )
    assert kk.Plan.from_json(plan.to_json()) == plan


def test_a_fresh_process_reads_their_plans():
    """Their modules are imported when a plan asks for them."""
    plans = [
        kk.Plan(
            title="t", id="id", design=kk.Complete(TWO), outcomes=(kk.Outcome("y"),), analyses=(kk.Analysis("y", s),)
        )
        for s in SPECS
    ]
    code = "import sys, kokeilu as kk\nfor line in sys.stdin: print(kk.Plan.from_json(line).fingerprint)"
    lines = "\n".join(plan.to_json() for plan in plans)
    fresh = subprocess.run([sys.executable, "-c", code], input=lines, capture_output=True, text=True, check=True)
    assert fresh.stdout.split() == [plan.fingerprint for plan in plans]


def test_a_plan_needs_a_registered_learner():
    with pytest.raises(PlanError, match="Cheap cannot be written to JSON; register its class"):
        kk.Plan(
            title="t",
            id="id",
            design=DESIGNS["complete"],
            outcomes=(kk.Outcome("y"),),
            analyses=(kk.Analysis("y", kk.AIPW(Cheap())),),
        )


def test_a_plan_runs_ancova():
    columns = {"y_2016": PEOPLE["age"] * 0.4}
    spec = kk.ANCOVA(before="y_2016")
    plan = kk.Plan(
        title="t", id="id", design=DESIGNS["complete"], outcomes=(kk.Outcome("y"),), analyses=(kk.Analysis("y", spec),)
    )
    register = PEOPLE.assign(**columns)
    drawn = kk.enrol(plan, register, seed="plan")
    findings = kk.analyse(plan, drawn, register.assign(y=PEOPLE["age"] + 0.1 * PEOPLE["spell"]))
    assert findings.estimates[0].estimator == "ANCOVA on the mean of 1 earlier period"


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("name", "estimator", "outcome", "says"),
    [
        ("clusters", kk.ANHECOVA(covariates=("age",)), "y", "draws clusters"),
        ("clusters", kk.StratifiedRegression(), "y", "draws clusters"),
        ("complete", kk.ANHECOVA(model="logit"), "y", "between 0 and 1"),
        ("complete", kk.ANHECOVA(covariates=("gift",), model="logit"), "work", "separation"),
        ("complete", kk.ANHECOVA(scale="log odds ratio"), "y", "between 0 and 1 in both arms"),
        ("complete", kk.StratifiedRegression(strata="small"), "y", "needs 6 strata or more"),
        ("pairs", kk.StratifiedRegression(strata="large"), "y", "one person in an arm"),
    ],
)
def test_refusals(name, estimator, outcome, says):
    drawn, table = trial(name)
    register = table.assign(gift=table["work"])
    known = drawn.also_known("gift")
    with pytest.raises(EstimationError, match=says):
        kk.estimate_effects(known, register, outcome, estimator=estimator)


@pytest.mark.parametrize("kind", [kk.ANHECOVA, kk.StratifiedRegression])
def test_survey_weights_are_refused(kind):
    drawn, table = trial("complete", w=1.0 + np.arange(N) % 3)
    with pytest.raises(DesignError, match="takes no weights"):
        kk.estimate_effects(drawn, table, "y", estimator=kind(), weights="w")
    view = kk.align(drawn, table, "y", weights="w")
    with pytest.raises(EstimationError, match="takes no survey weights"):
        kind().estimate(view)


def test_too_many_columns_are_refused():
    drawn, table = trial("complete")
    wide = pd.DataFrame(np.random.default_rng(1).normal(size=(N, 130))).add_prefix("x")
    view = kk.align(drawn.also_known(*wide), pd.concat([table, wide], axis=1), "y", covariates=tuple(wide))
    with pytest.raises(EstimationError, match="no degrees of freedom are left"):
        kk.ANHECOVA(covariates=tuple(wide)).estimate(view)


BAD: list[tuple[Any, dict[str, Any], str]] = [
    (kk.ANHECOVA, {"model": "probit"}, "model must be one of"),
    (kk.ANHECOVA, {"scale": "odds"}, "scale must be one of"),
    (kk.ANHECOVA, {"interacted": 1}, "interacted must be True or False"),
    (kk.ANHECOVA, {"strata": "region"}, "strata must be True or False"),
    (kk.StratifiedRegression, {"strata": "tiny"}, "strata must be one of"),
    (kk.StratifiedRegression, {"order": "age", "strata": "large"}, "order is for small strata"),
    (kk.StratifiedRegression, {"order": ("a", "b")}, "order is one column"),
    (kk.ANCOVA, {"before": ()}, "before is empty"),
    (kk.ANCOVA, {"before": "a", "covariates": "a"}, "is in before and in covariates"),
    (kk.AIPW, {"folds": 1}, "folds must be at least 2"),
    (kk.AIPW, {"learner": Cheap}, "is the class Cheap; give an instance"),
    (kk.AIPW, {"learner": 3}, "learner must have fit"),
]


@pytest.mark.parametrize(("kind", "settings", "says"), BAD)
def test_bad_settings(kind, settings, says):
    with pytest.raises(DesignError, match=says):
        kind(**settings)


def test_columns_that_do_not_fit():
    with pytest.raises(ColumnError, match="holds text or categories"):
        one("complete", kk.ANCOVA(before="kind"))
    drawn, table = trial("complete")
    view = kk.align(drawn, table, "y")
    for estimator in (kk.ANHECOVA(covariates="age"), kk.AIPW(covariates="age"), kk.ANCOVA(before="age")):
        with pytest.raises(ColumnError, match="not in this view"):
            estimator.estimate(view)


def test_published_values_on_a_data_set_from_a_package():
    """RobinCar2 on the NSW experiment, as in tests/reference/estimate/robincar.json (robin_nsw_lin_sr)."""
    causaldata = pytest.importorskip("causaldata")
    table = causaldata.nsw_mixtape.load_pandas().data.reset_index(drop=True)
    table = table.assign(row=np.arange(len(table)), arm=np.where(table["treat"] == 1, "coaching", "control"))
    drawn = kk.adopt(table, arm="arm", design=kk.Complete(TWO), id="row", counts="realised")
    spec = kk.ANHECOVA(covariates=("re74", "re75", "age"), errors="asymptotic")
    found = kk.estimate_effects(drawn, table, "re78", estimator=spec)[0]
    assert found.value == pytest.approx(1731.16029811226, rel=1e-6)
    assert found.error**2 == pytest.approx(445122.401572139, rel=1e-6)
    assert found.dof is None


def test_common_slopes_in_strata_take_the_draw_in():
    inside, plain = (
        one("three arms", kk.ANHECOVA(covariates=("age", "spell"), interacted=False, strata=strata))
        for strata in (True, False)
    )
    assert abs(inside.value - 2.0) < 4 * inside.error
    assert inside.error == pytest.approx(plain.error, rel=0.15)
    assert "takes off the variance" in inside.reason
    assert inside.estimator == "standardised linear, common slopes"
