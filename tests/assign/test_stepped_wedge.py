"""Stepped wedge: laws, the published layout and its count, and the chance of having begun."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import kokeilu as kk
from kokeilu.core.register import read_register
from kokeilu.errors import DesignError
from kokeilu.testing import mechanism_laws

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "two_stage.json").read_text(encoding="utf-8"))
SMALL = {
    "id": [5, 3, 9, 1, 7, 2, 8],
    "region": ["n", "n", "s", "s", "s", "w", "n"],
    "town": ["a", "a", "b", "c", "c", "d", "e"],
}
INSTANCES = [
    (kk.SteppedWedge(("March", "September", "never"), cluster="town"), SMALL),
    (kk.SteppedWedge(3, cluster=None, by="region"), SMALL),
    (kk.SteppedWedge(2, cluster="town", by="region"), SMALL),
    (kk.SteppedWedge(kk.arms(always=1, spring=2, autumn=1, never=1), cluster="town"), SMALL),
]
TOWNS = {"id": list(range(240)), "town": [f"t{i // 10}" for i in range(240)]}


@pytest.mark.parametrize(
    ("law", "mechanism", "register"), mechanism_laws(INSTANCES), ids=lambda v: getattr(v, "__name__", "")
)
def test_law_holds(law, mechanism, register):
    law(mechanism, register)


def test_the_layout_of_hussey_and_hughes():
    wedge = REFERENCE["stepped_wedge"]
    design = kk.SteppedWedge(wedge["sequences"], cluster="town")
    assignment = kk.randomise(TOWNS, design, id="id", seed="Hussey & Hughes 2007")
    assert design.treatment_matrix().tolist() == wedge["treatment_matrix"]
    assert design.periods == 5
    assert assignment.lottery.count() == int(wedge["n_allocations"])
    assert [row["clusters"] for row in assignment.rows()] == [6, 6, 6, 6]
    np.testing.assert_allclose(design.treated_by(assignment.lottery.shares())[0], [0, 0.25, 0.5, 0.75, 1], atol=1e-15)


def test_listing_stops_where_counting_goes_on():
    population, _ = read_register(TOWNS, kk.SteppedWedge(4, cluster="town"), id="id")
    assert kk.all_assignments(kk.SteppedWedge(4, cluster="town").bind(population)) is None


def test_always_and_never_are_sequences():
    design = INSTANCES[3][0]
    assert design.treatment_matrix().tolist() == [[1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]]
    assert design.started_by(0) == {"not yet": ("spring", "autumn", "never"), "started": ("always",)}
    assert design.treated_by(np.array([[0.2, 0.4, 0.2, 0.2]]))[0] == pytest.approx([0.2, 0.6, 0.8])


def test_the_effect_in_a_period_is_that_of_a_trial_of_two_arms():
    design = kk.SteppedWedge(4, cluster="town")
    assignment = kk.randomise(TOWNS, design, id="id", seed="a")
    now = kk.merge_arms(assignment, design.started_by(1))
    assert now.counts() == {"not yet": 180, "started": 60}
    assert now.arms.shares[1] == pytest.approx(0.25)
    begun = design.treatment_matrix()[assignment.codes, 1]
    np.testing.assert_array_equal(now.codes, begun)
    y = np.random.default_rng(1).normal(size=240) + 3.0 * begun
    found = kk.estimate_effects(now, {"id": TOWNS["id"], "y": y}, "y")[0]
    assert found.value == pytest.approx(y[begun == 1].mean() - y[begun == 0].mean())
    assert "24 clusters were drawn whole" in found.reason
    assert kk.verify(now, TOWNS).verified


@pytest.mark.parametrize("period", [0, 4])
def test_a_period_without_a_comparison_is_refused(period):
    with pytest.raises(DesignError, match=f"in period {period} (all|none) of the sequences"):
        kk.SteppedWedge(4, cluster="town").started_by(period)


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        (1, "at least 2"),
        (("spring",), "at least two sequences"),
        (("never", "spring"), "'always' can only be first"),
        (("spring", "always"), "'always' can only be first"),
        (("always", "never"), "trial of two arms"),
        (("spring", "spring"), "twice"),
    ],
)
def test_contradictions_are_refused(steps, says):
    with pytest.raises(DesignError, match=says):
        kk.SteppedWedge(steps, cluster="town")


def test_a_period_beyond_the_last_is_refused():
    with pytest.raises(DesignError, match="periods 0 to 4; got 5"):
        kk.SteppedWedge(4, cluster="town").started_by(5)


@pytest.mark.parametrize("steps", [128, 10**30])
def test_more_steps_than_arms_can_be_are_refused_before_they_are_named(steps):
    with pytest.raises(DesignError, match="at most 127 sequences"):
        kk.SteppedWedge(steps, cluster=None)


def test_clusters_that_began_before_or_never_will_are_recorded_and_not_drawn():
    town = [f"t{i % 24:02d}" for i in range(96)]
    law = [{"t03": "always", "t07": "never"}.get(name, "drawn") for name in town]
    table = {"id": list(range(96)), "town": town, "law": law}
    wedge = kk.SteppedWedge(kk.arms(always=0, March=1, May=1, never=0), cluster="town")
    assignment = kk.randomise(table, kk.Fixed(wedge, column="law"), id="id", seed="wedge")
    assert assignment.counts() == {"always": 4, "March": 44, "May": 44, "never": 4}
    shares = assignment.lottery.shares()
    np.testing.assert_array_equal(shares[[3, 7, 0]], [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0.5, 0.5, 0]])
    np.testing.assert_array_equal(wedge.treated_by(shares)[[3, 7, 0]], [[1, 1, 1], [0, 0, 0], [0, 0.5, 1]])
    assert assignment.lottery.count() == 705_432
    begun = kk.merge_arms(assignment, wedge.started_by(1))
    assert begun.counts() == {"not yet": 48, "started": 48}
    effect = kk.estimate_effects(begun, {"id": table["id"], "y": [(7 * i) % 13 for i in range(96)]}, "y")[0]
    assert effect.n == {"not yet": 44, "started": 44}
    assert "8 people who had no chance" in effect.notes[0]
