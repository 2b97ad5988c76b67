"""What pilots tell: known values, agreement with other tools, and limits that flow into answers about power."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.stats.proportion import proportion_confint

import kokeilu as kk
from kokeilu.errors import ColumnError, DataError, DesignError

RNG = np.random.default_rng(20261123)
OFFICES, SIZE = 40, 25
OFFICE = np.repeat(np.arange(OFFICES), SIZE)
X, W = RNG.normal(size=OFFICES * SIZE), RNG.normal(size=OFFICES)
PAST = pd.DataFrame(
    {
        "office": OFFICE,
        "x": X,
        "w": W[OFFICE],
        "y": 10.0 + X + W[OFFICE] + 2.0 * RNG.normal(size=X.size) + 0.5 * RNG.normal(size=OFFICES)[OFFICE],
    }
)
PAST["work"] = (PAST["y"] > 11.0).astype(float)
PLAIN = kk.Complete(kk.arms(control=1, coaching=1))
CLUSTERED = kk.Clustered(PLAIN, by="office")


def test_icc_is_the_anova_estimator():
    found = kk.icc(PAST, "y", "office")
    groups = PAST.groupby("office")["y"]
    msb, msw = SIZE * groups.mean().var(ddof=1), groups.var(ddof=1).mean()
    assert found.value == pytest.approx((msb - msw) / (msb + (SIZE - 1) * msw), rel=1e-12)
    assert found.low < found.value < found.high
    assert (found.n, found.clusters, found.missing) == (1000, 40, 0)
    gaps = kk.icc(PAST.assign(y=PAST["y"].where(PAST.index % 10 != 0)), "y", "office")
    assert (gaps.n, gaps.missing) == (900, 100)
    assert kk.icc(PAST, "y", "office", level=0.5).low > found.low


def test_icc_of_the_donner_example():
    """Three offices of three: mean squares 14.78 and .78 by hand."""
    past = {"y": [1.0, 2.0, 3.0, 5.0, 6.0, 7.0, 2.0, 3.0, 2.0], "office": [1, 1, 1, 2, 2, 2, 3, 3, 3]}
    groups = pd.DataFrame(past).groupby("office")["y"]
    msb, msw = 3 * groups.mean().var(ddof=1), groups.var(ddof=1).mean()
    assert kk.icc(past, "y", "office").value == pytest.approx((msb - msw) / (msb + 2 * msw), rel=1e-12)


def test_r2_is_the_adjusted_one():
    found = kk.baseline_r2(PAST, "y", on=("x", "w"))
    other = sm.OLS(PAST["y"], sm.add_constant(PAST[["x", "w"]])).fit().rsquared_adj
    assert found.r2.value == pytest.approx(other, rel=1e-10)
    assert found.r2.low < other < found.r2.high
    assert found.cluster_r2 is None


def test_r2_within_and_between_clusters():
    found = kk.baseline_r2(PAST, "y", on=("x", "w"), within="office")
    assert found.r2.value == pytest.approx(0.2, abs=0.06)  # 1 of 1 + 4
    assert found.cluster_r2 is not None
    assert found.cluster_r2.value == pytest.approx(1.04 / (1.04 + 0.25 + 0.16), abs=0.2)
    assert found.r2.low < 0.2 < found.r2.high
    assert [row["name"] for row in found.rows()] == ["r2", "cluster_r2"]


def test_nothing_explained_is_nought_and_not_less():
    found = kk.baseline_r2(PAST.assign(z=RNG.normal(size=1000)), "y", on="z").r2
    assert 0.0 <= found.low <= found.value < found.high < 0.02


def test_take_up_has_wilsons_interval():
    pilot = pd.DataFrame(
        {"arm": ["coaching"] * 60 + ["control"] * 40, "came": [1] * 42 + [0] * 58, "office": [1, 2, 3, 4] * 25}
    )
    found = kk.take_up(pilot, "came", by="arm")
    assert found.shares() == {"coaching": 0.7, "control": 0.0}
    for rate, (k, n) in zip(sorted(found.rates, key=lambda r: r.value), [(0, 40), (42, 60)], strict=True):
        low, high = proportion_confint(k, n, method="wilson")
        assert (rate.low, rate.high) == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))
    alike = pd.DataFrame({"came": np.repeat([0, 1, 1, 0, 1, 1, 0, 1], 20), "office": np.repeat(np.arange(8), 20)})
    apart, together = kk.take_up(alike, "came").rates[0], kk.take_up(alike, "came", cluster="office").rates[0]
    assert together.high - together.low > 2 * (apart.high - apart.low)
    assert together.clusters == 8
    lost = kk.take_up(pilot.assign(came=pilot["came"].where(pilot.index > 4)), "came", by="arm").rates
    assert sorted(rate.missing for rate in lost) == [0, 5]


@pytest.mark.parametrize(
    ("ask", "error", "says"),
    [
        (lambda: kk.icc(PAST, "yy", "office"), ColumnError, "yy"),
        (lambda: kk.icc(PAST.assign(one=1), "y", "one"), DataError, "no intra-cluster correlation"),
        (lambda: kk.icc(PAST, "y", "office", level=1.5), DesignError, "level"),
        (lambda: kk.baseline_r2(PAST, "y", on=()), DesignError, "on is empty"),
        (lambda: kk.baseline_r2(PAST.head(3), "y", on=("x", "w")), DataError, "nothing to judge by"),
        (lambda: kk.baseline_r2(PAST.assign(y=1.0), "y", on="x"), DataError, "does not vary"),
        (lambda: kk.take_up(PAST, "y"), DataError, "must be 0 or 1"),
        (lambda: kk.take_up(PAST.head(20), "work", cluster="office"), DataError, "one cluster"),
        (lambda: kk.icc(PAST.assign(y=np.nan), "y", "office"), DataError, "nobody of 1,000"),
        (lambda: kk.learnt(PAST), DesignError, "an outcome, or the months"),
        (lambda: kk.learnt(PAST, "y", pre=1), DesignError, "pre belongs to months"),
        (lambda: kk.learnt(PAST, months=("x", "y"), cluster="office"), DesignError, "without covariates"),
        (lambda: kk.learnt(PAST, months=("x", "y"), pre=2), DesignError, "none after the draw"),
        (lambda: kk.learnt(PAST.assign(y=1.0), "y"), DataError, "must vary"),
    ],
)
def test_what_cannot_be_learnt_is_told(ask, error, says):
    with pytest.raises(error, match=says):
        ask()


def test_a_mean_learnt_from_a_cohort():
    found = kk.learnt(PAST, "y", covariates=("x", "w"), cluster="office")
    assert isinstance(found.model, kk.Mean)
    assert found.model.sd == pytest.approx(PAST["y"].std())
    assert found.model.icc == pytest.approx(kk.icc(PAST, "y", "office").value)
    assert set(found.uncertain) == {"sd", "r2", "cluster_r2", "icc"}
    assert found.uncertain["sd"][0] < found.model.sd < found.uncertain["sd"][1]
    assert "sd" in str(found)
    sizes = kk.ClusterSizes(count=60, size=25)
    answer = kk.power_range(kk.detectable_effect, CLUSTERED, sizes, found.model, uncertain=found.uncertain)
    assert answer.low < answer.value < answer.high


def test_a_proportion_learnt_from_a_cohort():
    found = kk.learnt(PAST, "work")
    assert isinstance(found.model, kk.Proportion)
    assert found.model.base == PAST["work"].mean()
    assert set(found.uncertain) == {"base"}


def test_a_panel_learnt_from_months():
    person = RNG.normal(size=3000)
    months = {f"m{k}": person + RNG.normal(size=3000) * (1.0 + 0.1 * k) for k in range(4)}
    found = kk.learnt(months, months=tuple(months), pre=2)
    table = np.column_stack(list(months.values()))
    assert found.model.panel is not None
    assert found.model.sd == pytest.approx(math.sqrt(table[:, 2:].var(axis=0, ddof=1).mean()))
    # ANCOVA on the mean of the earlier months, in variances of one month after
    a, b = table[:, :2].mean(axis=1), table[:, 2:].mean(axis=1)
    left = b.var(ddof=1) - np.cov(a, b)[0, 1] ** 2 / a.var(ddof=1)
    assert found.model.panel.factor * found.model.sd**2 == pytest.approx(left, rel=1e-9)
    assert (
        kk.power_at(PLAIN, 1000, found.model, effect=0.2).value
        > kk.power_at(PLAIN, 1000, kk.Mean(sd=found.model.sd), effect=0.2).value
    )


def test_a_range_over_corners_and_a_tornado():
    real = kk.Reality(take_up={"coaching": 0.6}, attrition=0.1)
    uncertain = {"icc": (0.01, 0.05), "take_up.coaching": (0.5, 0.7), "attrition": (0.05, 0.2), "sd": (0.9, 1.2)}
    sizes, outcome = kk.ClusterSizes(count=40, size=30), kk.Mean(sd=1.0, icc=0.02)
    found = kk.power_range(kk.detectable_effect, CLUSTERED, sizes, outcome, reality=real, uncertain=uncertain)
    worst = kk.detectable_effect(
        CLUSTERED,
        sizes,
        kk.Mean(sd=1.2, icc=0.05),
        reality=kk.Reality(take_up={"coaching": 0.5}, attrition=0.2),
    )
    assert found.high == pytest.approx(worst.value)
    assert found.value == kk.detectable_effect(CLUSTERED, sizes, outcome, reality=real).value
    widths = [swing.width for swing in found.swings]
    assert widths == sorted(widths, reverse=True)
    assert {row["assumption"] for row in found.rows()} == set(uncertain)
    assert "detectable_effect" in str(found)
    by_size = kk.power_range(
        kk.power_at, CLUSTERED, sizes, outcome, effect=0.2, uncertain={"count": (20, 60), "effect": (0.1, 0.3)}
    )
    assert by_size.low < by_size.value < by_size.high


def test_a_corner_out_of_reach_is_infinite():
    half_known = {"icc": (0.01, 0.6)}
    sizes = kk.ClusterSizes(count=8)
    outcome = kk.Mean(sd=1.0, icc=0.02)
    found = kk.power_range(kk.sample_size, CLUSTERED, outcome, effect=0.5, sizes=sizes, uncertain=half_known)
    assert found.high == math.inf
    assert math.isfinite(found.value)


@pytest.mark.parametrize(
    ("uncertain", "says"),
    [
        ({"iccc": (0.0, 0.1)}, "Did you mean 'icc'"),
        ({"icc": (0.2, 0.1)}, "not in order"),
        ({"icc": 0.1}, "needs two limits"),
        ({}, "needs a verb"),
        ({f"a{k}": (0, 1) for k in range(9)}, "9 uncertain assumptions"),
    ],
)
def test_bad_ranges_say_why(uncertain, says):
    sizes, outcome = kk.ClusterSizes(count=40, size=30), kk.Mean(sd=1.0, icc=0.02)
    with pytest.raises(DesignError, match=says):
        kk.power_range(kk.power_at, CLUSTERED, sizes, outcome, effect=0.2, uncertain=uncertain)


def test_a_curve_over_effects_and_over_assumptions():
    curve = kk.power_curve(PLAIN, 1000, kk.Mean(sd=1.0))
    rows = curve.rows()
    assert (len(rows), rows[0]["effect"], rows[0]["power"]) == (25, 0.0, pytest.approx(0.05))
    assert rows[-1]["power"] == pytest.approx(0.99)
    assert np.all(np.diff([row["power"] for row in rows]) > 0)
    ratio = kk.power_curve(PLAIN, 1000, kk.Count(rate=2.0), values=(1.1, 1.2))
    assert ratio.rows()[1]["power"] > ratio.rows()[0]["power"]
    sizes = kk.ClusterSizes(count=40, size=30)
    by_icc = kk.power_curve(CLUSTERED, sizes, kk.Mean(sd=1.0, icc=0.0), over="icc", values=(0.0, 0.1), effect=0.3)
    assert by_icc.rows()[1]["power"] < by_icc.rows()[0]["power"]
    by_people = kk.power_curve(PLAIN, None, kk.Mean(sd=1.0), over="people", values=(100, 400), effect=0.3)
    assert [row["people"] for row in by_people.rows()] == [100.0, 400.0]
    for wrong, says in (
        ({"over": "icc", "effect": 0.2}, "needs its values"),
        ({"effect": 0.2}, "leave effect out"),
        ({"values": ()}, "values is empty"),
        ({"over": "iccc", "values": (1,), "effect": 0.2}, "no assumption"),
    ):
        with pytest.raises(DesignError, match=says):
            kk.power_curve(PLAIN, 100, kk.Mean(sd=1.0), **wrong)
