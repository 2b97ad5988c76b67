"""Survey weights, exact probabilities, named contrasts, and attrition told by the design's own units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from kokeilu.core.registry import decode, encode
from kokeilu.errors import ColumnError, DataError, DesignError, EstimationError

TWO = kk.arms(control=1, coaching=1)
N = 120
PEOPLE = pd.DataFrame({"id": np.arange(N), "region": np.arange(N) % 3, "office": np.arange(N) % 24})
DESIGNS: dict[str, Any] = {
    "complete": kk.Complete(TWO),
    "strata": kk.Stratified(TWO, by="region"),
    "pairs": kk.MatchedTuples(TWO, score="office"),
    "clusters": kk.Clustered(kk.Complete(TWO), by="office"),
    "clusters in strata": kk.Clustered(kk.Stratified(TWO, by="region"), by="office"),
    "three arms": kk.Complete(kk.arms(control=2, coaching=1, letter=1)),
}


def uniform(key: int, n: int) -> np.ndarray:
    return (np.random.Philox(key=key).random_raw(n) >> np.uint64(11)).astype(np.float64) * 2.0**-53


OUTCOMES = pd.DataFrame(
    {"id": np.arange(N), "y": 10 * uniform(1, N), "w": 0.5 + uniform(2, N), "one": 3.0, "age": uniform(4, N)}
)


@pytest.mark.parametrize("name", DESIGNS)
def test_equal_weights_change_nothing(name: str) -> None:
    trial = kk.randomise(PEOPLE, DESIGNS[name], id="id", seed="w")
    for estimator in (kk.DifferenceInMeans(), kk.Hajek(), kk.HorvitzThompson(), kk.Regression()):
        plain = kk.estimate_effects(trial, OUTCOMES, "y", estimator=estimator)[0]
        equal = kk.estimate_effects(trial, OUTCOMES, "y", estimator=estimator, weights="one")[0]
        assert equal.value == pytest.approx(plain.value, rel=1e-10)
        assert equal.error == pytest.approx(plain.error, rel=1e-10)


@pytest.mark.parametrize("name", DESIGNS)
def test_only_the_ratios_of_weights_matter(name: str) -> None:
    trial = kk.randomise(PEOPLE, DESIGNS[name], id="id", seed="w")
    once = kk.estimate_effects(trial, OUTCOMES, "y", weights="w")[0]
    tenfold = kk.estimate_effects(trial, OUTCOMES.assign(w=10 * OUTCOMES["w"]), "y", weights="w")[0]
    assert (tenfold.value, tenfold.error) == pytest.approx((once.value, once.error), rel=1e-12)
    assert once.value != kk.estimate_effects(trial, OUTCOMES, "y")[0].value


def test_weighted_strata_are_weighted_means_of_each() -> None:
    trial = kk.randomise(PEOPLE, DESIGNS["strata"], id="id", seed="w")
    found = kk.estimate_effects(trial, OUTCOMES, "y", weights="w")[0]
    frame = OUTCOMES.assign(z=trial.codes, region=PEOPLE["region"])
    wanted = 0.0
    for _, part in frame.groupby("region"):
        means = [np.average(part["y"][part["z"] == z], weights=part["w"][part["z"] == z]) for z in (1, 0)]
        wanted += part["w"].sum() / frame["w"].sum() * (means[0] - means[1])
    assert found.value == pytest.approx(wanted, rel=1e-12)
    assert found.variance == "HC2"


def test_weights_that_are_none_are_refused() -> None:
    trial = kk.randomise(PEOPLE, DESIGNS["complete"], id="id", seed="w")
    gap = OUTCOMES.assign(w=OUTCOMES["w"].where(OUTCOMES["id"] > 3))
    with pytest.raises(DataError, match="the weights in 'w' are missing for 4 people of the 120 people"):
        kk.estimate_effects(trial, gap, "y", weights="w")
    with pytest.raises(DataError, match="not above 0 for 1 of the 120"):
        kk.estimate_effects(trial, OUTCOMES.assign(w=OUTCOMES["w"].where(OUTCOMES["id"] > 0, 0.0)), "y", weights="w")
    with pytest.raises(ColumnError, match="weights names one column by text; got list"):
        kk.estimate_effects(trial, OUTCOMES, "y", weights=[1.0])  # type: ignore[arg-type]
    absent = kk.estimate_effects(trial, gap.assign(y=OUTCOMES["y"].where(OUTCOMES["id"] > 3)), "y", weights="w")
    assert sum(absent[0].missing.values()) == 4
    with pytest.raises(EstimationError, match="the sharp bound is not made for survey weights"):
        kk.estimate_effects(trial, OUTCOMES, "y", estimator=kk.DifferenceInMeans(errors="sharp"), weights="w")


class Deaf:
    def estimate(self, view: Any, contrasts: Any = None) -> Any:
        raise AssertionError("never asked")


def test_an_estimator_that_takes_no_weights_says_so() -> None:
    trial = kk.randomise(PEOPLE, DESIGNS["complete"], id="id", seed="w")
    with pytest.raises(DesignError, match="Deaf takes no weights"):
        kk.estimate_effects(trial, OUTCOMES, "y", weights="w", estimator=Deaf())


def test_lotteries_without_probabilities_of_pairs_are_refused() -> None:
    register = PEOPLE.assign(age=OUTCOMES["age"])
    trial = kk.randomise(register, kk.Rerandomised(kk.Complete(TWO), on="age", accept=0.2), id="id", seed="w")  # type: ignore[arg-type]
    for estimator in (kk.HorvitzThompson(), kk.Hajek()):
        with pytest.raises(EstimationError, match="cannot tell the probabilities of pairs"):
            kk.estimate_effects(trial, OUTCOMES, "y", estimator=estimator)
    three = kk.randomise(PEOPLE, DESIGNS["three arms"], id="id", seed="w")
    with pytest.raises(EstimationError, match="which a third arm does not allow"):
        kk.estimate_effects(three, OUTCOMES, "y", estimator=kk.HorvitzThompson(errors="constant"))


def test_specifications_travel_as_json() -> None:
    contrasts = kk.ArmContrasts({("any", "none"): ({"coaching": "1/2", "letter": "1/2"}, {"control": 1})})  # type: ignore[arg-type]
    for spec in (
        kk.HorvitzThompson(errors="constant"),
        kk.Hajek(),
        kk.DifferenceInMeans(errors="sharp", small="plug_in"),
        contrasts,
    ):
        assert decode(encode(spec)) == spec
    assert encode(kk.DifferenceInMeans()) == {"kind": "DifferenceInMeans", "errors": "auto"}


def test_pooled_arms_are_a_contrast() -> None:
    trial = kk.randomise(PEOPLE, DESIGNS["three arms"], id="id", seed="w")
    spec = kk.ArmContrasts({("any", "none"): ({"coaching": "1/2", "letter": "1/2"}, {"control": 1})})  # type: ignore[arg-type]
    found = kk.estimate_effects(trial, OUTCOMES, "y", estimator=spec)[0]
    y, z = OUTCOMES["y"].to_numpy(), trial.codes
    parts = [y[z == k] for k in range(3)]
    assert found.value == pytest.approx((parts[1].mean() + parts[2].mean()) / 2 - parts[0].mean(), rel=1e-12)
    wanted = sum(c**2 * part.var(ddof=1) / len(part) for c, part in zip((1, 0.5, 0.5), parts, strict=True))
    assert found.error**2 == pytest.approx(wanted, rel=1e-12)
    assert found.n == {"any": 60, "none": 60}
    plan = kk.Plan(
        title="t",
        id="id",
        design=DESIGNS["three arms"],
        outcomes=(kk.Outcome("y"),),
        analyses=(kk.Analysis("y", spec),),
    )
    findings = kk.analyse(plan, kk.enrol(plan, PEOPLE, seed="p"), OUTCOMES[["id", "y"]])
    assert findings.estimates[0].arm == "any"


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        ({}, "names no contrast"),
        ({"a": 1}, "needs a mapping of"),
        ({("a", "b"): ({"control": 1}, {})}, "weights of a side"),
        ({("a", "a"): ({"control": 1}, {"coaching": 1})}, "Name each side apart"),
    ],
)
def test_contrasts_that_are_none(sides: Any, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        kk.ArmContrasts(sides)


def test_contrasts_of_arms_that_the_trial_lacks() -> None:
    trial = kk.randomise(PEOPLE, DESIGNS["complete"], id="id", seed="w")
    spec = kk.ArmContrasts({("a", "b"): ({"coachin": 1}, {"control": 1})})  # type: ignore[arg-type]
    with pytest.raises(DesignError, match="Did you mean 'coaching'"):
        kk.estimate_effects(trial, OUTCOMES, "y", estimator=spec)
    spec = kk.ArmContrasts({("a", "b"): ({"coaching": 1}, {"control": 1})})  # type: ignore[arg-type]
    with pytest.raises(DesignError, match="no contrast is named"):
        kk.estimate_effects(trial, OUTCOMES, "y", estimator=spec, contrasts=(("a", "c"),))
    one = kk.estimate_effects(trial, OUTCOMES, "y", estimator=spec, contrasts=(("a", "b"),))[0]
    plain = kk.estimate_effects(trial, OUTCOMES, "y")[0]
    assert (one.value, one.error, one.dof) == pytest.approx((plain.value, plain.error, plain.dof), rel=1e-10)


def test_attrition_of_whole_offices_counts_offices() -> None:
    trial = kk.randomise(PEOPLE, DESIGNS["clusters"], id="id", seed="w")
    treated = np.flatnonzero(trial.codes == 1)
    lost = np.isin(PEOPLE["office"], np.unique(PEOPLE["office"].to_numpy()[treated])[:3])
    gone = OUTCOMES.assign(y=OUTCOMES["y"].where(~lost))
    found = kk.estimate_effects(trial, gone, "y")[0]
    assert found.missing == {"control": 0, "coaching": 15}
    # 15 of 60 people would be far beyond chance (z = 4.1); three of twelve offices are not (z = 1.8).
    assert not any("missing at different rates" in note for note in found.notes)
    alone = kk.randomise(PEOPLE, DESIGNS["strata"], id="id", seed="w")
    people = np.isin(np.arange(N), np.flatnonzero(alone.codes == 1)[:15])
    found = kk.estimate_effects(alone, OUTCOMES.assign(y=OUTCOMES["y"].where(~people)), "y")[0]
    assert any("missing at different rates: 25.0% in 'coaching', 0.0% in 'control'" in note for note in found.notes)


def test_a_rare_outcome_in_a_small_arm_takes_the_variance_of_both() -> None:
    register = pd.DataFrame({"id": np.arange(1000)})
    trial = kk.randomise(register, kk.Complete(kk.arms(control=19, coaching=1)), id="id", seed="rare")
    y = np.zeros(1000)
    y[np.flatnonzero(trial.codes == 0)[:20]] = 1.0  # nobody of the small arm
    found = kk.estimate_effects(trial, {"id": np.arange(1000), "y": y}, "y")[0]
    assert found.variance == "pooled over arms"
    assert found.p_value() > 0.2
    neyman = kk.estimate_effects(
        trial, {"id": np.arange(1000), "y": y}, "y", estimator=kk.DifferenceInMeans(errors="Neyman")
    )
    assert neyman[0].p_value() < 0.001


def test_plug_in_takes_over_the_variances_of_large_strata() -> None:
    table = pd.DataFrame({"id": np.arange(44), "office": np.arange(44) // 2, "zone": np.repeat([0, 1, 2], [20, 20, 4])})
    y = pd.DataFrame({"id": np.arange(44), "y": uniform(7, 44)})
    design = kk.Clustered(kk.Stratified(TWO, by="zone"), by="office")  # type: ignore[arg-type]
    trial = kk.randomise(table, design, id="id", seed="plug")
    plug, hybrid = (
        kk.estimate_effects(trial, y, "y", estimator=kk.DifferenceInMeans(small=small))[0]
        for small in ("plug_in", "all")
    )
    assert plug.value == pytest.approx(hybrid.value, rel=1e-12)
    assert "1 have one cluster in an arm" in plug.reason
    assert "plug-in, not conservative" in plug.reason
    offices = y.groupby(table["office"])["y"].mean().to_numpy()
    arm = trial.codes[::2]
    parts = []
    for k in (0, 1):
        spread = [offices[s * 10 : s * 10 + 10][arm[s * 10 : s * 10 + 10] == k].var(ddof=1) for s in (0, 1)]
        parts.append(np.mean(spread))
    wanted = sum((20 / 44) ** 2 * offices[s * 10 : s * 10 + 10][arm[s * 10 : s * 10 + 10] == k].var(ddof=1) / 5
                 for s in (0, 1) for k in (0, 1)) + (4 / 44) ** 2 * sum(parts)  # fmt: skip
    assert plug.error**2 == pytest.approx(wanted, rel=1e-10)
