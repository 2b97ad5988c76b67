from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given

import kokeilu as kk
from kokeilu.core.arms import Arm, Arms, arms
from kokeilu.core.registry import decode, encode
from kokeilu.errors import DesignError
from kokeilu.testing import share_lists


@given(share_lists())
def test_json_round_trip_is_exact(arms):
    assert decode(encode(arms)) == arms
    assert sum(arms.shares) == 1


def test_names_that_are_no_identifiers_come_by_mapping():
    arms = kk.arms({"verrokki": "1/2", "oma valmentaja": 0.25}, voucher=Fraction(1, 4))
    assert arms.names == ("verrokki", "oma valmentaja", "voucher")
    assert arms.reference == "verrokki"
    assert [arm.share for arm in arms] == [Fraction(1, 2), Fraction(1, 4), Fraction(1, 4)]


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"a": 1}, "needs 2 to 127 arms; got 1"),
        ({}, "needs 2 to 127 arms; got 0"),
        ({"a": 1, "b": -1}, "the share of arm 'b' is negative"),
        ({"a": 0, "b": 0}, "every arm has share 0"),
        ({"a": 0.5, "b": 0.6}, r"sum to 1; these sum to 11/10 \(1.1\)"),
        ({"a": "half", "b": 1}, "the share of arm 'a' must be a number"),
        ({"a": True, "b": 1}, "the share of arm 'a' must be a number"),
        ({"a": None, "b": 1}, "the share of arm 'a' must be a number"),
        ({"a": float("nan"), "b": 1}, "the share of arm 'a' must be a number"),
        ({"a": float("inf"), "b": 1}, "the share of arm 'a' must be a number"),
        ({"a": "1/0", "b": 1}, "the share of arm 'a' must be a number"),
        ({" ": 1, "b": 1}, "arm names must be distinct and not empty"),
    ],
)
def test_contradictory_arms_cannot_exist(shares, message):
    with pytest.raises(DesignError, match=message):
        kk.arms(shares)


def test_an_arm_is_stated_once():
    with pytest.raises(DesignError, match="stated twice"):
        kk.arms({"a": 1, "b": 1}, a=2)


def test_unknown_arms_name_the_near_match():
    with pytest.raises(DesignError, match=r"no arm 'coch'. Did you mean 'coach'\? It has: 'control', 'coach'."):
        kk.arms(control=1, coach=1).index("coch")


def test_shares_of_arms_sum_to_one():
    with pytest.raises(DesignError, match="sum to 3/4, not 1"):
        Arms((kk.Arm("a", Fraction(1, 2)), kk.Arm("b", Fraction(1, 4))))


def test_names_that_print_alike_are_one_name():
    assert arms({"a\u0308": 1, "b": 1}).names == ("\u00e4", "b")
    assert arms({"\u00e4": 1, "b": 1}).index("a\u0308") == 0
    with pytest.raises(DesignError, match="arm names must be distinct"):
        arms({"a\u0308": 1, "\u00e4": 1})
    with pytest.raises(DesignError, match="half of a surrogate pair"):
        arms({"a\ud800": 1, "b": 1})


def test_arms_built_by_hand_are_checked_too():
    halves = Arms((Arm("a", 0.5), Arm("b", "1/2")))  # type: ignore[arg-type]
    assert halves == arms(a=1, b=1)
    with pytest.raises(DesignError, match="the share of arm 'a' is negative"):
        Arm("a", Fraction(-1))
    with pytest.raises(DesignError, match="Arms needs a tuple of Arm"):
        Arms(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("thing", [5, ["a", "b"], "ab"])
def test_what_is_no_mapping_is_refused(thing):
    with pytest.raises(DesignError, match="arms takes names and shares"):
        arms(thing)


@pytest.mark.parametrize("share", ["1e-400", "1e999999999", 10**120])
def test_shares_of_too_many_digits_are_refused(share):
    with pytest.raises(DesignError, match="the share of arm 'a' (has too many digits|must be a number)"):
        arms(a=share, b=1)
