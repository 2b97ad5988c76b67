"""The omnibus test: statistics of R, exact size by enumeration, invariance, odd columns."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from kokeilu.balance.omnibus import omnibus_test
from kokeilu.core.assignment import Assignment
from kokeilu.core.lottery import all_assignments

WANTED = json.loads((Path(__file__).parents[1] / "reference" / "balance.json").read_text(encoding="utf-8"))
Table, Adopt = pd.DataFrame, Callable[..., Any]
TWO = kk.arms(control=1, coaching=1)
THREE = kk.arms(control=1, coaching=1, letter=1)


@pytest.mark.parametrize(("stratified", "key"), [(False, "xBalance_unstratified"), (True, "xBalance_stratified")])
def test_the_statistic_is_that_of_ritools(nsw: Table, nsw_assignment: Adopt, stratified: bool, key: str) -> None:
    table = nsw
    on = list(WANTED["nsw"]["table"])
    test = kk.check_balance(nsw_assignment(stratified=stratified), table, on=on, draws=999).omnibus
    assert test.statistic == pytest.approx(WANTED["nsw"][key]["chisq"], rel=1e-8)
    assert any(f"on {WANTED['nsw'][key]['df']} degrees" in note for note in test.notes)


def test_dollars_beside_shares_do_not_break_the_rank(nsw: Table, nsw_assignment: Adopt) -> None:
    table = nsw
    on = list(WANTED["nsw"]["table"])[:8]
    test = kk.check_balance(nsw_assignment(stratified=False), table, on=on, draws=999).omnibus
    wanted = WANTED["nsw8"]
    assert test.statistic == pytest.approx(wanted["coin_quadratic_standardised"]["stat"], rel=1e-8)
    assert test.statistic != pytest.approx(wanted["coin_quadratic_raw_scale"]["stat"], rel=0.1)
    assert test.p_low < wanted["coin_quadratic_standardised"]["p"] < test.p_high


@pytest.mark.parametrize("stratified", [False, True])
def test_four_arms_give_the_quadratic_form_of_r(multiarm: Table, stratified: bool) -> None:
    table = multiarm.dropna().reset_index(drop=True)
    labels = {k: f"a{k}" for k in range(4)}

    def arms(part: pd.DataFrame) -> Any:
        return kk.arms(**{labels[k]: int((part["arm"] == k).sum()) for k in range(4)})

    design: Any = kk.Complete(arms(table))
    if stratified:
        design = kk.Stratified({s: arms(part) for s, part in table.groupby("stratum")}, by="stratum")
    assignment = kk.adopt(table, arm="arm", design=design, id="id", labels=labels)
    on = ["age", "female", "months_unemployed", "income_prev", "education", "language"]
    test = kk.check_balance(assignment, table, on=on, draws=19).omnibus
    wanted = WANTED["multiarm"]["omnibus_quadratic" + ("_stratified" if stratified else "")]
    assert test.statistic == pytest.approx(wanted["stat"], rel=1e-8)
    assert any(f"on {wanted['df']} degrees" in note for note in test.notes)
    assert abs(test.p_value - wanted["p"]) < 0.4


def test_levels_give_the_generalised_cochran_mantel_haenszel_statistic(multiarm: Table) -> None:
    table = multiarm
    labels = {k: f"a{k}" for k in range(4)}
    for name, (statistic, df) in WANTED["multiarm"]["cmh"].items():
        part = table.dropna(subset=[name])
        shares = {
            s: kk.arms(**{labels[k]: int((p["arm"] == k).sum()) for k in range(4)}) for s, p in part.groupby("stratum")
        }
        assignment = kk.adopt(part, arm="arm", design=kk.Stratified(shares, by="stratum"), id="id", labels=labels)
        test = kk.check_balance(assignment, part, on=name, draws=19).omnibus
        assert test.statistic == pytest.approx(statistic, rel=1e-8)
        assert any(f"on {df} degrees" in note for note in test.notes)


def small(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"id": np.arange(n), "a": rng.lognormal(size=n), "b": rng.integers(0, 3, n)})
    frame["area"] = np.where(np.arange(n) < n // 2, "north", "south")
    frame["office"] = np.arange(n) // 3
    return frame


@pytest.mark.parametrize(
    ("design", "n"),
    [
        (kk.Bernoulli(TWO), 7),
        (kk.Bernoulli(kk.arms(control="2/3", coaching="1/3")), 6),
        (kk.Complete(TWO), 8),
        (kk.Complete(kk.arms(control=2, coaching=1)), 7),
        (kk.Stratified(kk.arms(control=2, coaching=1), by="area"), 8),
        (kk.Clustered(kk.Complete(TWO), by="office"), 20),
        (kk.Complete(THREE), 6),
        (kk.Stratified(THREE, by="area", leftovers="stratum"), 5),
        (kk.Stratified({"north": TWO, "south": kk.arms(control=1, coaching=3)}, by="area"), 8),
    ],
)
def test_the_size_is_exact_over_every_assignment(design: Any, n: int) -> None:
    table = small(n)
    start = kk.randomise(table, design, id="id", seed="size")
    values = table[["a", "b"]].to_numpy(dtype=float)
    chunks = all_assignments(start.lottery)
    assert chunks is not None
    p, w = [], []
    for codes, chances in chunks:
        for row, chance in zip(codes, chances, strict=True):
            one = Assignment(
                mechanism=start.mechanism, population=start.population, lottery=start.lottery, codes=row, seed=None
            )
            p.append(omnibus_test(one, values, draws=19).p_value)
            w.append(chance)
    p_values, weights = np.array(p), np.array(w)
    assert p_values.min() < 0.2
    for alpha in np.unique(p_values):
        assert weights[p_values <= alpha].sum() <= alpha + 1e-12


def test_units_and_linear_combinations_do_not_matter() -> None:
    table = small(80)
    table["c"] = np.random.default_rng(5).normal(size=80)
    assignment = kk.randomise(table, kk.Stratified(THREE, by="area"), id="id", seed="units")
    first = kk.check_balance(assignment, table, on=("a", "b", "c"), draws=199).omnibus
    scaled = table.assign(a=1e9 * table["a"] - 4e9, b=1e-6 * table["b"], c=table["c"] + 100)
    mixed = table.assign(a=table["a"] + 2 * table["b"], c=table["c"] - table["b"])
    extra = table.assign(d=table["a"] + table["b"], e=7.0, f=(table["area"] == "south") * 1)
    for other, on in ((scaled, "abc"), (mixed, "abc"), (extra, "abcdef")):
        again = kk.check_balance(assignment, other, on=tuple(on), draws=199).omnibus
        assert again.statistic == pytest.approx(first.statistic, rel=1e-6)
        assert again.p_value == first.p_value


def test_a_rare_column_counts() -> None:
    table = small(400).assign(rare=0)
    assignment = kk.randomise(table, kk.Complete(TWO), id="id", seed="rare")
    table.loc[np.flatnonzero(assignment.codes == 1)[:1], "rare"] = 1
    alone = kk.check_balance(assignment, table, on="rare", draws=199).omnibus
    assert alone.p_value == 1.0
    table.loc[np.flatnonzero(assignment.codes == 1)[:9], "rare"] = 1
    assert kk.check_balance(assignment, table, on="rare", draws=999).omnibus.p_value < 0.02


def test_nothing_to_test_gives_one() -> None:
    table = small(40).assign(e=1.0)
    assignment = kk.randomise(table, kk.Stratified(TWO, by="area"), id="id", seed="nothing")
    test = kk.check_balance(assignment, table, on=("e", "area"), draws=19).omnibus
    assert (test.statistic, test.p_value) == (0.0, 1.0)
    assert "nothing to test" in test.notes[0]


def test_clusters_are_redrawn_whole() -> None:
    table = small(48)
    table["office"] = np.arange(48) // 6
    assignment = kk.randomise(table, kk.Clustered(kk.Complete(TWO), by="office"), id="id", seed="whole")
    test = kk.check_balance(assignment, table, on=("a", "b")).omnibus
    assert test.exact
    assert test.draws == 70
    assert "8 whole clusters" in test.reason


def test_a_lottery_without_cells_is_judged_by_the_covariance_of_its_redraws() -> None:
    table = small(40)
    assignment = kk.randomise(table, kk.Complete(TWO), id="id", seed="no cells")
    lottery = assignment.lottery

    class Bare:
        arms, n_units, draw = lottery.arms, lottery.n_units, staticmethod(lottery.draw)

        def shares(self) -> Any:
            return lottery.shares()  # type: ignore[attr-defined]

    bare = Assignment(
        mechanism=assignment.mechanism,
        population=assignment.population,
        lottery=Bare(),
        codes=assignment.codes,
        seed=assignment.seed,
    )
    values = table[["a", "b"]].to_numpy(dtype=float)
    known, learnt = (omnibus_test(one, values, draws=1_999) for one in (assignment, bare))
    assert learnt.statistic == pytest.approx(known.statistic, rel=0.2)
    assert learnt.p_value == pytest.approx(known.p_value, abs=0.05)
