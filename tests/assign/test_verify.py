"""Replays that hold, and replays that name what differs without naming anybody."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import kokeilu as kk
from kokeilu._kernels.streams import Seed
from kokeilu.errors import ColumnError, DataError

REGISTER = {"id": [f"P{i:03d}" for i in range(60)], "area": ["n", "s", "w"] * 20, "office": [i // 6 for i in range(60)]}
DESIGN = kk.Stratified(kk.arms(a=1, b=2), by="area")


@pytest.fixture
def drawn():
    return kk.randomise(REGISTER, DESIGN, id="id", seed="x")


def changed(name, position, value):
    column = list(REGISTER[name])
    column[position] = value
    return {**REGISTER, name: column}


def finding(result, check):
    return next(row for row in result.rows() if row["check"] == check)


def test_the_same_register_verifies_in_any_order(drawn):
    turned = {name: values[::-1] for name, values in REGISTER.items()}
    result = kk.verify(drawn, turned)
    assert result.verified
    assert str(result).startswith("VERIFIED")
    assert drawn.fingerprint in str(result)


def test_a_changed_stratum_is_named_and_counted(drawn):
    result = kk.verify(drawn, changed("area", 3, "s"))
    assert not result.verified
    assert finding(result, "columns")["finding"] == "'area' differs for 1 person"


def test_other_people_are_counted(drawn):
    result = kk.verify(drawn, changed("id", 0, "NEW"))
    assert finding(result, "people")["finding"] == "1 person of the draw not in the register, 1 new in the register"
    assert finding(result, "draw")["result"] == "not possible"
    assert "NEW" not in str(result)
    assert "P000" not in str(result)


def test_other_kind_of_ids(drawn):
    result = kk.verify(drawn, {**REGISTER, "id": list(range(60))})
    assert finding(result, "people")["finding"] == "the assignment's ids are text, the register's whole numbers"


def test_a_tampered_arm_is_found(drawn):
    codes = np.array(drawn.codes)
    codes[7] = 1 - codes[7]
    result = kk.verify(dataclasses.replace(drawn, codes=codes), REGISTER)
    assert finding(result, "draw")["finding"] == "the replay gives another arm to 1 person"


def test_another_seed_is_found(drawn):
    result = kk.verify(dataclasses.replace(drawn, seed=Seed.of("y")), REGISTER)
    assert not result.verified


def test_a_design_that_no_longer_fits_is_a_finding():
    register = {**REGISTER, "big": [i // 30 for i in range(60)]}
    design = kk.Clustered(kk.Stratified(kk.arms(a=1, b=1), by="big"), by="office")
    drawn = kk.randomise(register, design, id="id", seed=1)
    big = list(register["big"])
    big[0] = 1
    result = kk.verify(drawn, {**register, "big": big})
    assert "1 cluster of 'office'" in finding(result, "draw")["finding"]


def test_adopted_allocations_cannot_be_replayed():
    adopted = kk.adopt(
        {"id": [1, 2, 3, 4], "arm": ["a", "b", "a", "b"]}, arm="arm", design=kk.Complete(kk.arms(a=1, b=1)), id="id"
    )
    result = kk.verify(adopted, {"id": [4, 3, 2, 1]})
    assert not result.verified
    assert finding(result, "draw")["finding"] == "made elsewhere: there is no seed to replay"


def test_unreadable_registers_are_errors(drawn):
    with pytest.raises(ColumnError, match="the register has no column 'area'"):
        kk.verify(drawn, {"id": REGISTER["id"]})
    with pytest.raises(DataError, match="missing for 1 person of 60"):
        kk.verify(drawn, changed("area", 0, None))


def test_labels_in_the_place_of_codes_are_told_apart_from_a_change(drawn):
    names = {area: f"label of {area}" for area in set(REGISTER["area"])}
    result = kk.verify(drawn, {**REGISTER, "area": [names[area] for area in REGISTER["area"]]})
    assert not result.verified
    told = finding(result, "columns")["finding"]
    assert told.startswith("'area' forms the same groups under other names for 60 people")
    assert "label of" not in str(result)


def test_the_verdict_says_what_differs(drawn):
    assert str(kk.verify(drawn, REGISTER)).startswith("VERIFIED: the replay gives the same draw.")
    fewer = {name: values[:-1] for name, values in REGISTER.items()}
    assert kk.verify(drawn, fewer).verdict == "NOT VERIFIED. What differs: people."
