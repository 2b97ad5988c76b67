"""Every mechanism goes through the whole chain, by the same lines: nothing after the draw knows which one it was."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kokeilu as kk

SPEC = importlib.util.spec_from_file_location("designs", Path(__file__).with_name("designs.py"))
designs: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(designs)
REGISTER = designs.register()
EFFECT = 500.0


def test_no_registered_mechanism_is_left_out():
    assert designs.uncovered() == set(), "add an instance to DESIGNS in tests/designs.py"


def test_a_mechanism_that_is_left_out_is_seen(monkeypatch):
    monkeypatch.delitem(designs.DESIGNS, "Complete")
    assert designs.uncovered() == {"Complete"}


def outcomes(assignment, effect=0.0):
    """Return earnings as before the draw, and `effect` more in the second arm."""
    treated = assignment.to_frame().set_index("id")[assignment.arm_column] == assignment.arms.names[1]
    base = REGISTER.set_index("id")["earnings"]
    return (base + effect * treated.reindex(base.index)).rename("y").reset_index()


@pytest.mark.parametrize("name", designs.DESIGNS)
def test_chain(name, tmp_path):
    design = designs.DESIGNS[name]
    contrast = None if name != "Saturation" else ("coaching at 0.5", "control at 0.5")
    drawn = kk.randomise(REGISTER, design, id="id", seed="lottery 4 11 19")
    assert sum(drawn.counts().values()) == len(REGISTER)

    assert kk.verify(drawn, REGISTER.iloc[::-1]).verified
    assert not kk.verify(drawn, REGISTER.iloc[1:]).verified
    assert kk.randomise(REGISTER, design, id="id", seed="another").fingerprint != drawn.fingerprint

    loaded = kk.load(kk.save(drawn, tmp_path / "assignment.parquet"))
    assert loaded.fingerprint == drawn.fingerprint
    assert loaded.mechanism == design
    again = [next(kk.redraws(a.lottery, a.stream("again"), 4)) for a in (drawn, loaded)]
    assert np.array_equal(*again)

    balance = kk.check_balance(loaded, REGISTER, on=("age", "earnings"), draws=99)
    assert [line.covariate for line in balance.lines] == ["age", "earnings"]
    assert 0 < balance.omnibus.p_value <= 1

    estimates = kk.estimate_effects(loaded, outcomes(drawn), "y")
    assert len(estimates) == len(drawn.arms) - 1
    assert all(np.isfinite(e.value) and e.error > 0 and 0 <= e.p_value() <= 1 for e in estimates)
    moved = kk.estimate_effects(loaded, outcomes(drawn, EFFECT), "y")
    assert moved[0].value - estimates[0].value == pytest.approx(EFFECT)

    test = kk.randomisation_test(loaded, outcomes(drawn), "y", contrast=contrast, draws=199)
    large = kk.randomisation_test(loaded, outcomes(drawn, 100 * EFFECT), "y", draws=199, studentise=False)
    assert 0 < test.p_value <= 1
    assert large.p_value <= 0.15

    power = kk.simulate_power(design, REGISTER, kk.Shift("earnings"), effects=(0, 5_000), draws=100, seed="power")
    none, sure = (row["power"] for row in power.rows())
    assert none <= 0.2
    assert sure >= 0.9
