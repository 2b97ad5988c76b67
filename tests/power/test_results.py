"""A Power holds facts; rows, frame and text follow."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

import kokeilu as kk
from kokeilu.core.registry import decode, encode
from kokeilu.power.cluster_sizes import ClusterSizes
from kokeilu.power.models import Mean, Proportion
from kokeilu.power.solve import detectable_effect, power_at, sample_size

EVEN = kk.Complete(kk.arms(control=1, coaching=1))
OFFICES = kk.Clustered(EVEN, by="office")


def test_the_value_is_what_was_asked():
    effect = detectable_effect(EVEN, 1000, Mean(sd=10.0))
    power = power_at(EVEN, 1000, Mean(sd=10.0), effect=effect.value)
    people = sample_size(EVEN, Mean(sd=10.0), effect=effect.value)
    assert (effect.value, effect.target) == (effect.effect, 0.8)
    assert power.value == power.power == pytest.approx(0.8)
    assert people.value == people.n == 1000
    assert people.continuous == pytest.approx(1000)
    assert {effect.method, power.method, people.method} == {"exact"}


def test_rows_have_one_shape_and_frames_follow():
    design = kk.Complete(kk.arms(control=2, coaching=1, subsidy=1))
    found = detectable_effect(design, 1001, Proportion(base=0.2))
    rows = found.rows()
    assert [list(row) for row in rows] == [list(rows[0])] * 2
    assert rows[0]["points"] == pytest.approx(100 * rows[0]["effect"])
    assert isinstance(found.to_frame(), pd.DataFrame)
    assert found.to_frame().shape == (2, len(rows[0]))
    assert sum(found.n_arms.values()) == pytest.approx(found.n)


def test_the_text_names_the_unit_the_formula_and_the_assumptions():
    text = str(detectable_effect(OFFICES, ClusterSizes(count=20, size=50), Proportion(base=0.3, icc=0.02)))
    for part in ("percentage points", "SD", "20 clusters", "noncentral t", "icc 0.02", "share 0.3", "two-sided", "dof"):
        assert part in text
    text = str(power_at(EVEN, 400, Mean(sd=95.0), effect=20, covariates=2))
    for part in ("Power: 0.5", "effect of coaching 20 (0.211 SD)", "standard deviation 95", "covariates 2"):
        assert part in text
    assert str(sample_size(EVEN, Mean(sd=1.0), effect=0.2)).startswith("Sample size: 788 people")


def test_findings_are_frozen():
    found = power_at(EVEN, 400, Mean(sd=1.0), effect=0.2)
    with pytest.raises(dataclasses.FrozenInstanceError, match="alpha"):
        found.alpha = 0.1
    assert found == power_at(EVEN, 400, Mean(sd=1.0), effect=0.2)


@pytest.mark.parametrize("model", [Mean(sd=9.5, r2=0.2, icc=0.05, cluster_r2=0.1), Proportion(base=0.3)])
def test_models_go_through_json(model):
    assert decode(encode(model)) == model


def test_models_know_how_far_an_effect_can_go():
    assert Proportion(base=0.3).reach(1) == pytest.approx(0.7)
    assert Proportion(base=0.3).reach(-1) == pytest.approx(0.3)
    assert Mean(sd=2.0).reach(1) == float("inf")
    assert Mean(sd=2.0).variances(5.0) == (4.0, 4.0)
