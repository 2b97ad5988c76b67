"""The figure of power: lines of formulas, bands of simulations."""

from __future__ import annotations

import pytest

import kokeilu as kk
from kokeilu.errors import DesignError

DESIGN = kk.Complete(kk.arms(control=1, coaching=1))
PEOPLE = {"y": [float(i % 11) for i in range(200)]}
LINE = kk.power_curve(DESIGN, 200, kk.Mean(sd=3.16))


def simulated(world=None, **rest):
    return kk.simulate_power(
        DESIGN, PEOPLE, world or kk.Shift("y"), **{"effects": (0.5, 2.0), "draws": 60, "seed": 1, **rest}
    )


def test_a_formula_and_a_simulation_share_axes(tmp_path):
    figure = kk.power_plot(LINE, simulated(), labels=("formula", "simulated"))
    axes = figure.axes[0]
    assert len(axes.lines) == 3
    assert len(axes.collections) == 1
    assert axes.get_xlabel() == "effect"
    figure.savefig(tmp_path / "power.png")
    figure.savefig(tmp_path / "power.svg")
    assert (tmp_path / "power.svg").stat().st_size > 1000


def test_grids_and_several_arms_are_drawn():
    assert len(kk.power_plot(simulated(kk.Proportional("y"))).axes[0].lines) == 2
    arms = kk.Complete(kk.arms(control=1, coaching=1, subsidy=1))
    effects = ({"coaching": 1.0, "subsidy": 2.0},)
    found = kk.simulate_power(arms, PEOPLE, kk.Shift("y"), effects=effects, draws=40, seed=1)
    assert len(kk.power_plot(found).axes[0].lines) == 3


def test_bad_figures_say_why():
    people = kk.power_curve(DESIGN, None, kk.Mean(sd=1.0), over="people", values=(100, 200), effect=0.2)
    for curves, rest, says in (
        ((7,), {}, "got int"),
        ((), {}, "got nothing"),
        ((LINE, people), {}, "plot them apart"),
        ((LINE,), {"labels": ("a", "b")}, "2 labels for 1 curves"),
        ((LINE,), {"target": 2.0}, "target"),
    ):
        with pytest.raises(DesignError, match=says):
            kk.power_plot(*curves, **rest)
