"""The balance table against R, with strata, several arms, gaps and categories."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import kokeilu as kk
from kokeilu.errors import ColumnError, DataError, DesignError

WANTED = json.loads((Path(__file__).parents[1] / "reference" / "balance.json").read_text(encoding="utf-8"))
Table, Adopt = pd.DataFrame, Callable[..., Any]
TWO = kk.arms(control=1, coaching=1)


def test_nsw_by_arm_is_what_r_gives(nsw: Table, nsw_assignment: Adopt) -> None:
    table = nsw
    wanted = WANTED["nsw"]["table"]
    balance = kk.check_balance(nsw_assignment(stratified=False), table, on=list(wanted), draws=19)
    assert [line.covariate for line in balance.lines] == list(wanted)
    for line in balance.lines:
        values = wanted[line.covariate]
        assert line.n == {"control": values["n_c"], "training": values["n_t"]}
        assert line.means == pytest.approx({"control": values["mean_c"], "training": values["mean_t"]}, rel=1e-8)
        assert line.sds == pytest.approx({"control": values["sd_c"], "training": values["sd_t"]}, rel=1e-8)
        assert line.std_differences["training"] == pytest.approx(values["smd_avgvar"], rel=1e-8)
        assert line.std_differences["control"] is None


def test_nsw_within_strata_is_what_r_gives(nsw: Table, nsw_assignment: Adopt) -> None:
    table = nsw
    wanted = WANTED["nsw"]["table"]
    balance = kk.check_balance(nsw_assignment(stratified=True), table, on=list(wanted), draws=19)
    for line in balance.lines:
        value = wanted[line.covariate]["strata_fe_diff"]
        assert line.adjusted_differences["training"] == pytest.approx(value, rel=1e-8, abs=1e-12)
    assert any("cannot make them differ: black, nodegree" in note for note in balance.notes)
    assert any("weighted by 1/share" in note for note in balance.notes)


def test_several_arms_gaps_and_categories(multiarm: Table) -> None:
    table, labels = multiarm, {k: f"a{k}" for k in range(4)}
    design = kk.Complete(kk.arms(**{labels[k]: int((table["arm"] == k).sum()) for k in range(4)}))
    assignment = kk.adopt(table, arm="arm", design=design, id="id", labels=labels)
    wanted = WANTED["multiarm"]
    on = [*wanted["numeric"], *wanted["counts"]]
    balance = kk.check_balance(assignment, table, on=on, draws=19)
    lines = {(line.covariate, line.level): line for line in balance.lines}
    for name, values in wanted["numeric"].items():
        line = lines[name, ""]
        assert sum(line.n.values()) == values["n"]
        assert sum(line.missing.values()) == values["missing"]
        for k in range(4):
            assert line.means[f"a{k}"] == pytest.approx(values["means"][str(k)], rel=1e-8)
            assert line.sds[f"a{k}"] == pytest.approx(values["sds"][str(k)], rel=1e-8)
        for k in (1, 2, 3):
            assert line.std_differences[f"a{k}"] == pytest.approx(values["smd_vs_control"][str(k)], rel=1e-8)
    for name, levels in wanted["counts"].items():
        for level, counts in levels.items():
            line = lines[name, level]
            assert {arm: round((line.means[arm] or 0) * n) for arm, n in line.n.items()} == {
                f"a{k}": count for k, count in counts.items()
            }
    assert ("education", "(missing)") in lines
    assert ("language", "(missing)") not in lines
    assert {"difference a1", "std_difference a2", "adjusted_difference a3"} <= set(balance.rows()[0])


def register(n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"id": np.arange(n), "age": rng.integers(20, 60, n).astype(float)})
    frame["area"] = np.where(np.arange(n) % 3 == 0, "south", "north")
    frame["school"] = pd.Categorical(rng.choice(["basic", "upper"], n), categories=["basic", "higher", "upper"])
    return frame


def test_every_level_has_a_row_also_an_empty_one() -> None:
    table = register()
    assignment = kk.randomise(table, kk.Complete(TWO), id="id", seed="levels")
    balance = kk.check_balance(assignment, table, on="school")
    assert [line.level for line in balance.lines] == ["basic", "higher", "upper"]
    assert balance.lines[1].means == {"control": 0.0, "coaching": 0.0}
    assert balance.lines[1].std_differences == {"control": None, "coaching": None}
    assert any("not tested: school: higher" in note for note in balance.notes)


def test_missing_values_are_counted_and_tested() -> None:
    table = register()
    assignment = kk.randomise(table, kk.Complete(TWO), id="id", seed="gaps")
    gone = np.flatnonzero(assignment.codes == 1)[:12]
    table.loc[gone, "age"] = np.nan
    table.loc[gone[:3], "school"] = None
    balance = kk.check_balance(assignment, table, on=("age", "school"))
    lines = {(line.covariate, line.level): line for line in balance.lines}
    assert lines["age", ""].missing == {"control": 0, "coaching": 12}
    assert lines["age", "(missing)"].means == pytest.approx({"control": 0.0, "coaching": 0.4})
    assert lines["school", "(missing)"].means == pytest.approx({"control": 0.0, "coaching": 0.1})
    assert balance.omnibus.p_value < 0.01


def test_people_without_a_row_count_as_missing() -> None:
    table = register()
    assignment = kk.randomise(table, kk.Complete(TWO), id="id", seed="rows")
    balance = kk.check_balance(assignment, table.iloc[5:], on="age")
    assert sum(balance.lines[0].missing.values()) == 5
    assert sum(balance.omnibus.missing.values()) == 5
    assert any("5 people have no row" in note for note in balance.notes)


def test_row_order_and_the_kind_of_table_do_not_matter() -> None:
    table = register()
    assignment = kk.randomise(table, kk.Stratified(TWO, by="area"), id="id", seed="kinds")
    on = ("age", "area")
    first = kk.check_balance(assignment, table, on=on, draws=99)
    plain = table.drop(columns="school")
    for other in (plain.sample(frac=1, random_state=2), pa.Table.from_pandas(plain), pl.from_pandas(plain)):
        again = kk.check_balance(assignment, other, on=on, draws=99)
        assert again.rows() == first.rows()
        assert again.omnibus == first.omnibus


def test_unequal_shares_by_stratum_are_weighted() -> None:
    table = register()
    design = kk.Stratified({"north": kk.arms(control=1, coaching=3), "south": TWO}, by="area")
    assignment = kk.randomise(table, design, id="id", seed="weights")
    balance = kk.check_balance(assignment, table.assign(south=(table["area"] == "south") * 1), on="south")
    # Twenty of sixty are in the south, whatever the arm; unweighted the arms would be 1/2 and 1/4.
    assert balance.lines[0].means == pytest.approx({"control": 1 / 3, "coaching": 1 / 3})
    assert balance.omnibus.p_value == 1.0


def test_the_text_shows_table_and_test() -> None:
    table = register()
    assignment = kk.randomise(table, kk.Complete(TWO), id="id", seed="text")
    text = str(kk.check_balance(assignment, table, on=("age", "school"), draws=99))
    assert "mean coaching" in text
    assert "Omnibus balance test: p = " in text
    assert "99 draws" in text


@pytest.mark.parametrize(
    ("on", "error", "message"),
    [
        ((), DesignError, "on names no column"),
        (("agee",), ColumnError, "Did you mean 'age'"),
        (("age", "age"), DesignError, "twice"),
        (("id",), ColumnError, "is the id"),
        (("name",), ColumnError, "600 different values"),
    ],
)
def test_columns_are_checked(on: tuple[str, ...], error: type[Exception], message: str) -> None:
    table = register(600).assign(name=[f"n{i}" for i in range(600)])
    assignment = kk.randomise(table, kk.Complete(TWO), id="id", seed="columns")
    with pytest.raises(error, match=message):
        kk.check_balance(assignment, table, on=on)


def test_what_is_no_assignment_or_no_table_is_refused() -> None:
    table = register()
    assignment = kk.randomise(table, kk.Complete(TWO), id="id", seed="refuse")
    with pytest.raises(DesignError, match="needs an assignment"):
        kk.check_balance(table, table, on="age")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no rows"):
        kk.check_balance(assignment, table.iloc[:0], on="age")
    with pytest.raises(DesignError, match="draws"):
        kk.check_balance(assignment, table, on="age", draws=0)
    with pytest.raises(DataError, match="infinite"):
        kk.check_balance(assignment, table.assign(age=np.inf), on="age")
