"""Arms taken together: laws, and the same draw under coarser names."""

from __future__ import annotations

import numpy as np
import pytest

import kokeilu as kk
from kokeilu.core.register import read_register
from kokeilu.errors import DesignError
from kokeilu.testing import mechanism_laws

THREE = kk.Complete(kk.arms(control=2, letter=1, call=1))
SMALL = {"id": [5, 3, 9, 1, 7, 2, 8], "area": ["p", "p", "q", "q", "r", "r", "r"]}
SATURATED = kk.Saturation(kk.arms(control=1, coaching=1), levels=(0, "1/3", 1), area="area")
INTO = {"control": "control", "contacted": ("letter", "call")}
INSTANCES = [
    (kk.Merged(THREE, into=INTO), SMALL),
    (kk.Merged(SATURATED, into=SATURATED.areas()), SMALL),
    (kk.Merged(SATURATED, into=SATURATED.people()), SMALL),
    (kk.Merged(kk.Bernoulli(THREE.arms), into=INTO), SMALL),
]


@pytest.mark.parametrize(
    ("law", "mechanism", "register"), mechanism_laws(INSTANCES), ids=lambda v: getattr(v, "__name__", "")
)
def test_law_holds(law, mechanism, register):
    law(mechanism, register)


def test_the_draw_is_the_same():
    assignment = kk.randomise(SMALL, THREE, id="id", seed="published")
    merged = kk.merge_arms(assignment, INTO)
    np.testing.assert_array_equal(merged.codes, assignment.codes > 0)
    assert merged.seed == assignment.seed
    assert [str(share) for share in merged.arms.shares] == ["1/2", "1/2"]
    assert kk.verify(merged, SMALL).verified
    assert merged.lottery.problem(merged.codes) is None


def test_an_arm_that_cannot_be_is_named_a_problem():
    design = kk.Merged(kk.Complete(kk.arms(a=1, b=1, c=0)), into={"both": ["a", "b"], "none": ["c"]})
    lottery = design.bind(read_register(SMALL, design, id="id")[0])
    assert "1 person stands in an arm whose share is 0" in lottery.problem(np.array([0, 0, 0, 0, 0, 0, 1]))


def test_a_long_list_is_not_made():
    table = {"id": list(range(60))}
    merged = kk.merge_arms(kk.randomise(table, THREE, id="id", seed=1), INTO)
    assert merged.lottery.count() is None
    with pytest.raises(DesignError, match="too many assignments"):
        next(merged.lottery.every())


@pytest.mark.parametrize(
    ("into", "says"),
    [
        ({"control": "control", "contacted": "letter"}, "leaves out the arm 'call'"),
        ({"control": "control", "contacted": ("letter", "call", "control")}, "names an arm twice"),
        ({"control": "control", "contacted": ("letter", "cal")}, "Did you mean 'call'"),
        ({"all": ("control", "letter", "call")}, "at least two new arms"),
        ("control", "at least two new arms"),
        ({"control": "control", "contacted": 2.5}, "names of the arms"),
    ],
)
def test_contradictions_are_refused(into, says):
    with pytest.raises(DesignError, match=says):
        kk.Merged(THREE, into=into)


def test_only_assignments_are_merged():
    with pytest.raises(DesignError, match="assignment must be"):
        kk.merge_arms(THREE, INTO)


def test_names_without_arms_are_refused():
    with pytest.raises(DesignError, match="a mapping of at least two new arms"):
        kk.Merged(kk.Complete(kk.arms(a=1, b=1)), into=("a", "b"))
