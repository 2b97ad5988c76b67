from __future__ import annotations

import pytest

import kokeilu as kk
from kokeilu.core.registry import decode, encode, register
from kokeilu.errors import PlanError


def test_unknown_kinds_and_fields_name_the_near_match():
    with pytest.raises(PlanError, match=r"kind 'stratifed'. Did you mean 'stratified'\?"):
        decode({"kind": "stratifed"})
    data = encode(kk.Complete(kk.arms(a=1, b=1)))
    with pytest.raises(PlanError, match=r"complete has no field 'leftover'. Did you mean 'leftovers'\?"):
        decode({**data, "leftover": "balanced"})


def test_a_kind_belongs_to_one_class():
    with pytest.raises(PlanError, match="kind 'complete' is taken by Complete"):

        @register("complete")
        class Other:
            pass


def test_what_is_not_registered_cannot_be_written():
    with pytest.raises(PlanError, match="object cannot be written to JSON"):
        encode(object())
