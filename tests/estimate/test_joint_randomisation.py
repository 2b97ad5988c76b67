"""Joint tests of all arms by redraws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kokeilu as kk
from kokeilu.core.registry import decode, encode
from kokeilu.errors import DesignError, EstimationError
from kokeilu.testing import Trial

THREE = kk.arms(control=1, coaching=1, letter=1)
PEOPLE = {
    "id": list(range(9)),
    "s": ["a", "b", "c"] * 3,
    "y": [3.0, 1, 4, 1, 5, 9, 2, 6, 5],
    "x": [2.0, 7, 1, 8, 2, 8, 1, 8, 3],
}


def trial_of(design: Any) -> kk.Assignment:
    return kk.randomise({key: PEOPLE[key] for key in ("id", "s", "x")}, design, id="id", seed="joint")


@pytest.mark.parametrize("statistic", ["F", "max"])
def test_the_level_holds_over_all_assignments(statistic: str) -> None:
    register = {"id": list(range(6))}
    trial = Trial(mechanism=kk.Complete(THREE), register=register, potential=([3.0, 1, 4, 1, 5, 9],) * 3)
    test, size = kk.JointRandomisationTest(statistic=statistic), 0.0
    seen = []
    for assignment, chance in trial.assignments():
        table = trial.reveal(assignment)
        try:
            p = kk.joint_randomisation_test(assignment, table, "y", test=test).p_value
        except EstimationError:
            p = 1.0
        seen.append(p)
        size += chance * (p <= 0.2)
    assert size <= 0.2 + 1e-12
    assert min(seen) <= 0.2


def test_f_is_welchs_statistic_and_max_the_largest_contrast() -> None:
    trial = trial_of(kk.Complete(THREE))
    found = kk.joint_randomisation_test(trial, PEOPLE, "y")
    groups = [np.array(PEOPLE["y"])[trial.codes == arm] for arm in range(3)]
    w = np.array([g.size / g.var(ddof=1) for g in groups])
    m = np.array([g.mean() for g in groups])
    assert found.statistic == pytest.approx(float((w * (m - w @ m / w.sum()) ** 2).sum()))
    largest = kk.joint_randomisation_test(trial, PEOPLE, "y", test=kk.JointRandomisationTest(statistic="max"))
    members = kk.family_test(trial, PEOPLE, "y").members
    assert largest.statistic == pytest.approx(max(abs(member.statistic) for member in members))
    # The joint test moves everybody; the family only the two arms of each contrast.
    assert (largest.draws, kk.family_test(trial, PEOPLE, "y").draws) == (1_680, 2 * 20)
    assert (found.exact, found.draws, found.interval) == (True, 1680, None)
    assert found.n == {"control": 3, "coaching": 3, "letter": 3}
    assert "no effect of any arm on anybody (control, coaching, letter)" in found.reason
    assert found.rows()[0]["contrast"] == ""


def test_redraws_carry_their_error_and_covariates_enter() -> None:
    people = {"id": list(range(60)), "y": [(7 * i % 31) / 3 for i in range(60)], "x": [i * i % 17 for i in range(60)]}
    trial = kk.randomise({"id": people["id"], "x": people["x"]}, kk.Complete(THREE), id="id", seed="joint")
    found = kk.joint_randomisation_test(trial, people, "y", covariates="x", test=kk.JointRandomisationTest(draws=199))
    assert (found.exact, found.draws) == (False, 199)
    assert found.p_low < found.p_value < found.p_high
    assert found.p_error > 0
    same = kk.joint_randomisation_test(trial, people, "y", test=kk.JointRandomisationTest(draws=199, covariates=("x",)))
    assert same.p_value == found.p_value
    two = kk.joint_randomisation_test(trial, people, "y", contrasts=(("letter", "coaching"),))
    assert set(two.n) == {"letter", "coaching"}


def test_refusals() -> None:
    trial = trial_of(kk.Stratified(THREE, by="s"))
    with pytest.raises(EstimationError, match="joint statistic of 'y' is not defined"):
        kk.joint_randomisation_test(trial, PEOPLE, "y")
    assert kk.joint_randomisation_test(trial, PEOPLE, "y", test=kk.JointRandomisationTest(statistic="max")).exact
    with pytest.raises(DesignError, match="test must be JointRandomisationTest"):
        kk.joint_randomisation_test(trial, PEOPLE, "y", test=kk.Holm())  # type: ignore[arg-type]
    with pytest.raises(DesignError, match="covariates are given to joint_randomisation_test"):
        kk.joint_randomisation_test(
            trial,
            PEOPLE,
            "y",
            covariates="x",
            test=kk.JointRandomisationTest(covariates="s"),  # type: ignore[arg-type]
        )
    with pytest.raises(DesignError, match="statistic must be one of"):
        kk.JointRandomisationTest(statistic="G")
    assert decode(encode(kk.JointRandomisationTest())) == kk.JointRandomisationTest()
