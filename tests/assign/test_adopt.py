"""Allocations made elsewhere: the design must be able to give them."""

from __future__ import annotations

import numpy as np
import pytest

import kokeilu as kk
from kokeilu.core.lottery import shares_of
from kokeilu.errors import ColumnError, DataError, DesignError

TRIAL = {"id": [1, 2, 3, 4, 5, 6], "treat": [0, 1, 1, 0, 1, 0], "site": ["x", "x", "x", "y", "y", "y"]}
ARMS = kk.arms(control=1, training=1)
LABELS = {0: "control", 1: "training"}


def adopt(table=TRIAL, design=None, **options):
    options = {"arm": "treat", "id": "id", "labels": LABELS, **options}
    return kk.adopt(table, design=design or kk.Complete(ARMS), **options)


def test_codes_follow_the_labels_and_the_ids():
    turned = {name: values[::-1] for name, values in TRIAL.items()}
    for table in (TRIAL, turned):
        adopted = adopt(table)
        assert adopted.codes.tolist() == [0, 1, 1, 0, 1, 0]
        assert adopted.seed is None
        assert adopted.arms.names == ("control", "training")


def test_values_may_be_the_names_of_the_arms():
    named = {**TRIAL, "treat": ["control", "training"] * 3}
    assert adopt(named, labels=None).counts() == {"control": 3, "training": 3}


def test_redraws_of_an_adopted_trial_repeat():
    first, again = adopt(), adopt()
    draws = [next(iter(kk.redraws(a.lottery, a.stream("test"), 5))) for a in (first, again)]
    assert np.array_equal(*draws)


def test_an_allocation_that_the_design_cannot_give_is_refused():
    with pytest.raises(DesignError, match="cannot give the allocation in 'treat': the whole has arm counts"):
        adopt(design=kk.Complete(kk.arms(control=2, training=1)))
    with pytest.raises(DesignError, match=r"2 of 2 clusters by 'site' have people in several arms"):
        adopt(design=kk.Clustered(kk.Complete(ARMS), by="site"))
    with pytest.raises(DesignError, match="an arm whose share is 0"):
        adopt(design=kk.Bernoulli({"x": kk.arms(control=0, training=1), "y": ARMS}, by="site"))


def test_realised_counts_condition_on_what_fell():
    lopsided = {**TRIAL, "treat": [0, 1, 1, 1, 1, 0]}
    adopted = adopt(lopsided, design=kk.Stratified(ARMS, by="site"), counts="realised")
    np.testing.assert_allclose(shares_of(adopted.lottery)[:, 1], 2 / 3)
    assert adopted.lottery.count() == 9


def test_realised_counts_of_clusters():
    trial = {"id": list(range(8)), "office": [0, 0, 1, 1, 2, 2, 3, 3], "treat": [0, 0, 1, 1, 1, 1, 1, 1]}
    adopted = adopt(trial, design=kk.Clustered(kk.Complete(ARMS), by="office"), counts="realised")
    assert adopted.lottery.count() == 4


def test_realised_counts_need_fixed_numbers():
    with pytest.raises(DesignError, match="Bernoulli does not fix the numbers in the arms"):
        adopt(design=kk.Bernoulli(ARMS), counts="realised")


def test_a_value_that_is_no_arm_is_refused_without_quoting_it():
    with pytest.raises(
        DesignError, match=r"'treat' has 1 value that is no arm of the design \(control, training\)"
    ) as info:
        adopt({**TRIAL, "treat": [0, 1, 1, 0, 1, 77]})
    assert "77" not in str(info.value)


def test_an_arm_with_nobody_is_refused():
    with pytest.raises(DesignError, match="arm 'voucher' of the design has nobody in 'treat'"):
        adopt(design=kk.Complete(kk.arms(control=1, training=1, voucher=1)))


def test_labels_must_name_arms():
    with pytest.raises(DesignError, match=r"the design has no arm 'contrl'. Did you mean 'control'\?"):
        adopt(labels={0: "contrl", 1: "training"})


def test_the_arm_is_no_column_of_the_design():
    with pytest.raises(ColumnError, match="'treat' holds the arm and cannot also be"):
        adopt(design=kk.Stratified(ARMS, by="treat"))
    with pytest.raises(DataError, match="'treat' is missing for 1 person of 6"):
        adopt({**TRIAL, "treat": [0, 1, 1, 0, 1, None]})


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a"], "labels must be a mapping"),
        ({1: "a", "1": "b"}, "labels state a value twice"),
    ],
)
def test_labels_that_contradict_themselves(labels, message):
    with pytest.raises(DesignError, match=message):
        kk.adopt({"id": [1, 2], "z": [1, 2]}, arm="z", design=kk.Complete(kk.arms(a=1, b=1)), id="id", labels=labels)
