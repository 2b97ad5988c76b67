"""Bad input over the whole public API: a typed error that says what, where and what to do, and names nobody.

Every person's id and every value of a row in these tables carries a tell-tale: SECRET in texts, 98765 at the
head of numbers. No error, and nothing in the chain behind it, may show one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kokeilu as kk
from kokeilu.errors import (
    ColumnError,
    DataError,
    DesignError,
    EstimationError,
    FileError,
    KokeiluError,
    PlanError,
    SeedError,
)

TELL_TALE = re.compile(r"SECRET|98765|JS-\d|HH-\d")
N = 48
SEED = "lottery 2026-11-21"
ARMS = kk.arms(control=1, coaching=1)
COMPLETE = kk.Complete(ARMS)
STRATIFIED = kk.Stratified(ARMS, by="area")
CLUSTERED = kk.Clustered(STRATIFIED, by="household")


def register(**changes: Any) -> pd.DataFrame:
    """Return 48 people in 3 areas and 24 households, with columns replaced."""
    step = np.arange(N)
    columns: dict[str, Any] = {
        "person_id": [f"SECRETID-{i:04d}" for i in step],
        "number": 9876500000 + step,
        "area": [f"SECRETAREA-{i % 3}" for i in step],
        "household": [f"SECRETHOME-{i % 24:02d}" for i in step],
        "age": 987654321.125 + 7 * ((5 * step) % 17),
    }
    return pd.DataFrame({**columns, **changes})


def outcomes(**changes: Any) -> pd.DataFrame:
    """Return the outcomes of the same people, with columns replaced."""
    step = np.arange(N)
    columns: dict[str, Any] = {
        "person_id": [f"SECRETID-{i:04d}" for i in step],
        "earnings": 987654321.125 + 11 * ((7 * step) % 23),
        "employed": ((3 * step) % 5 > 1).astype(float),
        "age": 987654321.125 + 7 * ((5 * step) % 17),
    }
    return pd.DataFrame({**columns, **changes})


def spoilt(column: str, value: object, rows: slice | list[int], table: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """Return a table in which some rows of a column hold another value."""
    frame = table()
    values = frame[column].astype(object).to_list()
    for i in range(N)[rows] if isinstance(rows, slice) else rows:
        values[i] = value
    kind = "float64" if isinstance(value, float) and frame[column].dtype.kind in "fi" else object
    return frame.assign(**{column: pd.Series(values, dtype=kind)})


def repeated(table: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """Return a table in which one person stands twice."""
    frame = table()
    return pd.concat([frame, frame.iloc[[5]]], ignore_index=True)


def arrow(frame: pd.DataFrame | None = None) -> pa.Table:
    return pa.Table.from_pandas(register() if frame is None else frame, preserve_index=False)


def frame_of_polars() -> pl.DataFrame:
    return pl.DataFrame(register().to_dict("list"))


@cache
def assignment(design: Any = STRATIFIED) -> Any:
    return kk.randomise(register(), design, id="person_id", seed=SEED)


@cache
def plan() -> Any:
    return kk.Plan(
        title="Coach",
        id="person_id",
        design=STRATIFIED,
        balance=("age",),
        outcomes=(kk.Outcome("earnings", role="primary"), kk.Outcome("employed", role="secondary")),
        analyses=(
            kk.Analysis("earnings", kk.DifferenceInMeans()),
            kk.Analysis("employed", kk.DifferenceInMeans()),
        ),
        family=kk.Holm(alpha=0.05),
    )


@cache
def enrolled() -> Any:
    return kk.enrol(plan(), register(), seed=SEED)


def only_in_control(column: str) -> pd.DataFrame:
    """Return outcomes that are missing for everybody outside the control arm."""
    arms = assignment(COMPLETE).to_frame().set_index("person_id")["arm"]
    frame = outcomes()
    return frame.assign(**{column: frame[column].where(frame["person_id"].map(arms) == "control")})


def adoptable(**changes: Any) -> pd.DataFrame:
    return register(arm=["control", "coaching"] * (N // 2)).assign(**changes)


def adopt(table: Any = None, **changes: Any) -> Any:
    stated: dict[str, Any] = {"arm": "arm", "design": COMPLETE, "id": "person_id"}
    return kk.adopt(adoptable() if table is None else table, **{**stated, **changes})


def randomise(table: Any = None, design: Any = STRATIFIED, **changes: Any) -> Any:
    stated: dict[str, Any] = {"id": "person_id", "seed": SEED}
    return kk.randomise(register() if table is None else table, design, **{**stated, **changes})


def make_plan(**changes: Any) -> Any:
    old = plan()
    stated = {n: getattr(old, n) for n in ("title", "id", "design", "balance", "outcomes", "analyses", "family")}
    return kk.Plan(**{**stated, **changes})


def saved_assignment(folder: Path) -> Path:
    path = folder / "assignment.parquet"
    kk.save(assignment(), path)
    return path


def half(path: Path) -> Path:
    """Cut a file in half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def other_parquet(folder: Path) -> Path:
    path = folder / "register.parquet"
    pq.write_table(pa.Table.from_pandas(register()), path)
    return path


def text_file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def saved_plan(folder: Path) -> Path:
    path = folder / "plan.json"
    kk.save_plan(plan(), path)
    return path


def edited_plan(folder: Path) -> Path:
    path = saved_plan(folder)
    text = path.read_text(encoding="utf-8")
    assert '"earnings"' in text
    return text_file(folder, "plan.json", text.replace('"earnings"', '"employed"'))


def bounded(table: pd.DataFrame) -> Any:
    """Analyse under a plan that bounds the earnings far below what the table holds."""
    narrow = make_plan(outcomes=(kk.Outcome("earnings", maximum=1000.0),), analyses=(kk.Analysis("earnings"),))
    return kk.analyse(narrow, kk.enrol(narrow, register(), seed=SEED), table)


ANY = KokeiluError
TABLE_OR_COLUMN = (ColumnError, DataError)
DESIGN_OR_DATA = (DesignError, DataError)
PLAN_OR_DESIGN = (PlanError, DesignError)


@dataclass(frozen=True)
class Row:
    """One way to go wrong: what is called (with a folder to write in), the error's type, what it must say."""

    id: str
    call: Callable[[Path], object]
    error: type[Exception] | tuple[type[Exception], ...]
    match: str


ARM_ROWS = [
    Row("share negative", lambda _: kk.arms(control=1, coaching=-1), DesignError, "coaching.*negative"),
    Row("shares do not sum", lambda _: kk.arms(control=0.5, coaching=0.4), DesignError, "sum to 9/10"),
    Row("shares all zero", lambda _: kk.arms(control=0, coaching=0), DesignError, "share above 0"),
    Row(
        "share is a word",
        lambda _: kk.arms(control=1, coaching="most"),
        DesignError,
        "coaching.*must be a number",
    ),
    Row(
        "share NaN",
        lambda _: kk.arms(control=1, coaching=float("nan")),
        DesignError,
        "coaching.*must be a number",
    ),
    Row(
        "share infinite",
        lambda _: kk.arms(control=1, coaching=float("inf")),
        DesignError,
        "coaching.*must be",
    ),
    Row("one arm", lambda _: kk.arms(control=1), DesignError, "2 to"),
    Row("no arms", lambda _: kk.arms(), DesignError, "2 to"),
    Row("arm stated twice", lambda _: kk.arms({"control": 1}, control=1), DesignError, "twice"),
    Row("arm without a name", lambda _: kk.arms({"control": 1, " ": 1}), DesignError, "not empty"),
]

DESIGN_ROWS = [
    Row("arms are no arms", lambda _: kk.Complete("control"), DesignError, "arms"),
    Row("strata named twice", lambda _: kk.Stratified(ARMS, by=("area", "area")), DesignError, "twice"),
    Row("no strata", lambda _: kk.Stratified(ARMS, by=()), DesignError, "by"),
    Row("strata not names", lambda _: kk.Stratified(ARMS, by=(1,)), DesignError, "by"),
    Row(
        "leftovers misspelt",
        lambda _: kk.Stratified(ARMS, by="area", leftovers="balancd"),
        DesignError,
        "Did you mean 'balanced'",
    ),
    Row(
        "clustered around nothing",
        lambda _: kk.Clustered("complete", by="household"),
        DesignError,
        "mechanism",
    ),
    Row("clusters not a name", lambda _: kk.Clustered(COMPLETE, by=7), DesignError, "by"),
]

DRAW_ROWS = [
    Row("id misspelt", lambda _: randomise(id="persn_id"), ColumnError, "Did you mean 'person_id'"),
    Row(
        "stratum misspelt",
        lambda _: randomise(design=kk.Stratified(ARMS, by="aera")),
        ColumnError,
        "Did you mean 'area'",
    ),
    Row(
        "cluster misspelt",
        lambda _: randomise(design=kk.Clustered(COMPLETE, by="houshold")),
        ColumnError,
        "Did you mean 'household'",
    ),
    Row(
        "stratum missing",
        lambda _: randomise(spoilt("area", None, [3, 9], register)),
        DataError,
        "'area'.*missing.*2",
    ),
    Row(
        "stratum NaN",
        lambda _: randomise(spoilt("age", float("nan"), [3], register), kk.Stratified(ARMS, by="age")),
        DataError,
        "'age'.*missing.*1",
    ),
    Row(
        "stratum infinite",
        lambda _: randomise(spoilt("age", float("inf"), [3], register), kk.Stratified(ARMS, by="age")),
        ANY,
        "'age'.*infinite",
    ),
    Row(
        "cluster missing",
        lambda _: randomise(spoilt("household", None, [3], register), CLUSTERED),
        DataError,
        "'household'.*missing.*1",
    ),
    Row("id duplicated", lambda _: randomise(repeated(register)), DataError, "more than once"),
    Row(
        "id missing",
        lambda _: randomise(spoilt("person_id", None, [3], register)),
        DataError,
        "missing.*1 row",
    ),
    Row(
        "id NaN",
        lambda _: randomise(spoilt("number", float("nan"), [3], register), id="number"),
        DataError,
        "missing.*1 row",
    ),
    Row("id empty text", lambda _: randomise(spoilt("person_id", "", [3], register)), DataError, "empty"),
    Row(
        "id of mixed kinds",
        lambda _: randomise(spoilt("person_id", 98765, [3], register)),
        TABLE_OR_COLUMN,
        "mixed",
    ),
    Row("id a fraction", lambda _: randomise(id="age"), TABLE_OR_COLUMN, "whole"),
    Row(
        "id infinite",
        lambda _: randomise(spoilt("number", float("inf"), [3], register), id="number"),
        TABLE_OR_COLUMN,
        "whole|infinite",
    ),
    Row("empty table", lambda _: randomise(register().iloc[:0]), DataError, "no rows"),
    Row("one unit", lambda _: randomise(register().iloc[:1], COMPLETE), DESIGN_OR_DATA, "1 person|one person"),
    Row(
        "one cluster",
        lambda _: randomise(register(household="SECRETHOME"), kk.Clustered(COMPLETE, by="household")),
        DESIGN_OR_DATA,
        "1 cluster|one cluster",
    ),
    Row(
        "arm without people",
        lambda _: randomise(register().iloc[:3], kk.Complete(kk.arms(a=1, b=1, c=1, d=1))),
        DESIGN_OR_DATA,
        "3 people|4 arms",
    ),
    Row("no table", lambda _: kk.randomise([1, 2], COMPLETE, id="person_id", seed=SEED), ColumnError, "table"),
    Row("no mechanism", lambda _: randomise(design="stratified"), DesignError, "mechanism|design"),
    Row("arms for a mechanism", lambda _: randomise(design=ARMS), DesignError, "Complete|mechanism"),
    Row("no seed", lambda _: randomise(seed=None), SeedError, "text, a whole number or bytes"),
    Row("empty seed", lambda _: randomise(seed=" "), SeedError, "not empty"),
    Row("seed a fraction", lambda _: randomise(seed=0.5), SeedError, "float"),
    Row("seed a generator", lambda _: randomise(seed=np.random.default_rng(1)), SeedError, "Generator"),
    Row(
        "two columns of one name",
        lambda _: randomise(pd.concat([register(), register()[["area"]]], axis=1)),
        ColumnError,
        "2 columns called 'area'",
    ),
    Row(
        "id is the index",
        lambda _: randomise(register().set_index("person_id")),
        ColumnError,
        r"reset_index\(\)",
    ),
    Row(
        "cluster split over strata",
        lambda _: randomise(register(household=[f"SECRETHOME-{i // 2:02d}" for i in range(N)]), CLUSTERED),
        DESIGN_OR_DATA,
        "'household'.*more than one 'area'",
    ),
    Row(
        "leftovers refused",
        lambda _: randomise(register().iloc[:47], kk.Stratified(kk.arms(a=1, b=1), by="area", leftovers="refuse")),
        DESIGN_OR_DATA,
        "whole",
    ),
]

VERIFY_ROWS = [
    Row("verify: no assignment", lambda _: kk.verify(register(), register()), ANY, "assignment"),
    Row(
        "verify: id gone",
        lambda _: kk.verify(assignment(), register().drop(columns="person_id")),
        ColumnError,
        "id",
    ),
    Row(
        "verify: stratum gone",
        lambda _: kk.verify(assignment(), register().rename(columns={"area": "areas"})),
        ColumnError,
        "Did you mean 'areas'",
    ),
    Row(
        "verify: id duplicated",
        lambda _: kk.verify(assignment(), repeated(register)),
        DataError,
        "more than once",
    ),
    Row("verify: no table", lambda _: kk.verify(assignment(), None), ColumnError, "table"),
    Row("verify: empty table", lambda _: kk.verify(assignment(), register().iloc[:0]), DataError, "no rows"),
    Row(
        "verify: stratum missing",
        lambda _: kk.verify(assignment(), spoilt("area", None, [3], register)),
        DataError,
        "'area'.*missing",
    ),
]

ADOPT_ROWS = [
    Row("adopt: arm misspelt", lambda _: adopt(arm="amr"), ColumnError, "Did you mean 'arm'"),
    Row("adopt: id misspelt", lambda _: adopt(id="personid"), ColumnError, "Did you mean 'person_id'"),
    Row(
        "adopt: arm missing",
        lambda _: adopt(spoilt("arm", None, [3], adoptable)),
        DataError,
        "'arm'.*missing.*1",
    ),
    Row(
        "adopt: arm not in the design",
        lambda _: adopt(spoilt("arm", "SECRETARM", [3], adoptable)),
        DESIGN_OR_DATA,
        "'arm'.*'control'",
    ),
    Row("adopt: arm without people", lambda _: adopt(adoptable(arm="control")), DESIGN_OR_DATA, "'coaching'"),
    Row("adopt: id duplicated", lambda _: adopt(repeated(adoptable)), DataError, "more than once"),
    Row("adopt: id missing", lambda _: adopt(spoilt("person_id", None, [3], adoptable)), DataError, "missing"),
    Row("adopt: empty table", lambda _: adopt(adoptable().iloc[:0]), DataError, "no rows"),
    Row(
        "adopt: one unit",
        lambda _: adopt(adoptable().iloc[:1]),
        DESIGN_OR_DATA,
        "1 person|one person|'coaching'",
    ),
    Row(
        "adopt: cluster in two arms",
        lambda _: adopt(
            adoptable(household=[f"SECRETHOME-{i // 2}" for i in range(N)]),
            design=kk.Clustered(COMPLETE, by="household"),
        ),
        DESIGN_OR_DATA,
        "'household'",
    ),
    Row("adopt: no design", lambda _: adopt(design=None), DesignError, "mechanism|design"),
]

BALANCE_ROWS = [
    Row(
        "balance: column misspelt",
        lambda _: kk.check_balance(assignment(), register(), on=("agee",)),
        ColumnError,
        "Did you mean 'age'",
    ),
    Row("balance: nothing named", lambda _: kk.check_balance(assignment(), register(), on=()), ANY, "on"),
    Row(
        "balance: infinite",
        lambda _: kk.check_balance(assignment(), spoilt("age", float("inf"), [3], register), on=("age",)),
        DataError,
        "'age'.*infinite",
    ),
    Row(
        "balance: id types",
        lambda _: kk.check_balance(assignment(), register(person_id=range(N)), on=("age",)),
        TABLE_OR_COLUMN,
        "whole numbers.*text|text.*whole numbers",
    ),
    Row(
        "balance: id duplicated",
        lambda _: kk.check_balance(assignment(), repeated(register), on=("age",)),
        DataError,
        "more than once",
    ),
    Row(
        "balance: empty table",
        lambda _: kk.check_balance(assignment(), register().iloc[:0], on=("age",)),
        DataError,
        "no rows",
    ),
    Row(
        "balance: no assignment",
        lambda _: kk.check_balance(register(), register(), on=("age",)),
        ANY,
        "assignment",
    ),
]


def effects(table: Any = None, outcome: Any = "earnings", design: Any = STRATIFIED, **rest: Any) -> Any:
    return kk.estimate_effects(assignment(design), outcomes() if table is None else table, outcome, **rest)


def permuted(table: Any = None, outcome: Any = "earnings", design: Any = STRATIFIED, **rest: Any) -> Any:
    given = {"draws": 19, **rest}
    return kk.randomisation_test(assignment(design), outcomes() if table is None else table, outcome, **given)


def outcome_rows(name: str, call: Callable[..., Any]) -> Iterator[Row]:
    """Yield what must hold for everything that takes an assignment, a table of outcomes and an outcome."""
    yield Row(f"{name}: outcome misspelt", lambda _: call(outcome="earnigs"), ColumnError, "Did you mean 'earnings'")
    yield Row(f"{name}: no outcome", lambda _: call(outcome=None), ANY, "outcome")
    yield Row(
        f"{name}: outcome all missing",
        lambda _: call(outcomes(earnings=np.nan)),
        (DataError, EstimationError),
        "'earnings'",
    )
    yield Row(
        f"{name}: outcome constant",
        lambda _: call(outcomes(earnings=987654321.125)),
        EstimationError,
        "'earnings'",
    )
    yield Row(
        f"{name}: outcome infinite",
        lambda _: call(spoilt("earnings", float("inf"), [3], outcomes)),
        DataError,
        "'earnings'.*infinite.*1",
    )
    yield Row(
        f"{name}: outcome is text",
        lambda _: call(outcomes(earnings=outcomes()["person_id"])),
        ColumnError,
        "'earnings'.*text",
    )
    yield Row(
        f"{name}: outcome of mixed kinds",
        lambda _: call(spoilt("earnings", "SECRET", [3], outcomes)),
        TABLE_OR_COLUMN,
        "'earnings'",
    )
    yield Row(
        f"{name}: people never assigned",
        lambda _: call(outcomes(person_id=[f"SECRETID-{i + 5:04d}" for i in range(N)])),
        DataError,
        "5 ",
    )
    yield Row(
        f"{name}: id types",
        lambda _: call(outcomes(person_id=range(N))),
        TABLE_OR_COLUMN,
        "whole numbers.*text|text.*whole",
    )
    yield Row(f"{name}: id duplicated", lambda _: call(repeated(outcomes)), DataError, "more than once")
    yield Row(
        f"{name}: id missing",
        lambda _: call(spoilt("person_id", None, [3], outcomes)),
        DataError,
        "missing.*1",
    )
    yield Row(f"{name}: id gone", lambda _: call(outcomes().drop(columns="person_id")), ColumnError, "'person_id'")
    yield Row(f"{name}: empty table", lambda _: call(outcomes().iloc[:0]), DataError, "no rows|missing for all")
    yield Row(f"{name}: one unit", lambda _: call(outcomes().iloc[:1]), EstimationError, "'earnings'")
    yield Row(f"{name}: no table", lambda _: call(table=7), ColumnError, "table")
    yield Row(
        f"{name}: arm without people",
        lambda _: call(only_in_control("earnings"), design=COMPLETE),
        EstimationError,
        "'coaching'",
    )
    yield Row(
        f"{name}: covariate misspelt",
        lambda _: call(covariates=("agee",)),
        ColumnError,
        "Did you mean 'age'",
    )
    yield Row(
        f"{name}: covariate infinite",
        lambda _: call(spoilt("age", float("-inf"), [3], outcomes), covariates=("age",)),
        DataError,
        "'age'.*infinite",
    )


EFFECT_ROWS = [
    *outcome_rows("effects", effects),
    *outcome_rows("test", permuted),
    Row(
        "effects: no assignment",
        lambda _: kk.estimate_effects(register(), outcomes(), "earnings"),
        ANY,
        "assignment",
    ),
    Row(
        "effects: contrast misspelt",
        lambda _: effects(contrasts=(("coching", "control"),)),
        DesignError,
        "Did you mean 'coaching'",
    ),
    Row(
        "effects: an arm against itself",
        lambda _: effects(contrasts=(("coaching", "coaching"),)),
        DesignError,
        "coaching",
    ),
    Row("effects: contrast is one name", lambda _: effects(contrasts=("coaching",)), DesignError, "contrast"),
    Row("effects: no estimator", lambda _: effects(estimator="ols"), DesignError, "estimator"),
    Row(
        "effects: covariates twice",
        lambda _: effects(covariates=("age",), estimator=kk.Regression(covariates=("employed",))),
        DesignError,
        "differ|once",
    ),
    Row("effects: covariate is the outcome", lambda _: effects(covariates=("earnings",)), ANY, "'earnings'.*covariate"),
    Row("effects: covariate twice", lambda _: effects(covariates=("age", "age")), ANY, "twice"),
    Row("effects: errors misspelt", lambda _: kk.Regression(errors="HC7"), DesignError, "'HC2'"),
    Row("effects: level above 1", lambda _: effects()[0].interval(95), ANY, "level"),
    Row("effects: side misspelt", lambda _: effects()[0].p_value(alternative="greter"), ANY, "Did you mean 'greater'"),
    Row("test: no draws", lambda _: permuted(draws=0), ANY, "draws"),
    Row("test: draws a fraction", lambda _: permuted(draws=9.5), ANY, "draws"),
]


def asked(function: Callable[..., Any], *rest: Any, table: Any = None, design: Any = STRATIFIED, **named: Any) -> Any:
    return function(design, register() if table is None else table, *rest, **named)


def simulated(outcome: Any, **rest: Any) -> Any:
    return asked(kk.simulate_power, kk.Shift(outcome), **{"effects": (1.0,), "draws": 19, "seed": SEED, **rest})


POWER_ROWS = [
    Row("power: base above 1", lambda _: kk.Proportion(base=1.5), DesignError, "base"),
    Row("power: sd negative", lambda _: kk.Mean(sd=-1.0), DesignError, "sd"),
    Row("power: sd NaN", lambda _: kk.Mean(sd=float("nan")), DesignError, "sd"),
    Row("power: icc 1", lambda _: kk.Mean(sd=1.0, icc=1.0), DesignError, "icc"),
    Row(
        "power: above 1",
        lambda _: asked(kk.detectable_effect, kk.Mean(sd=1.0), power=1.2),
        DesignError,
        "power",
    ),
    Row(
        "power: alpha 0",
        lambda _: asked(kk.detectable_effect, kk.Mean(sd=1.0), alpha=0.0),
        DesignError,
        "alpha",
    ),
    Row(
        "power: clusters without icc",
        lambda _: asked(kk.detectable_effect, kk.Mean(sd=1.0), design=CLUSTERED),
        DesignError,
        "icc",
    ),
    Row(
        "power: icc without clusters",
        lambda _: asked(kk.detectable_effect, kk.Mean(sd=1.0, icc=0.05)),
        DesignError,
        "icc",
    ),
    Row(
        "power: stratum misspelt",
        lambda _: asked(kk.detectable_effect, kk.Mean(sd=1.0), design=kk.Stratified(ARMS, by="aera")),
        ColumnError,
        "Did you mean 'area'",
    ),
    Row("power: no model", lambda _: asked(kk.detectable_effect, 0.3), DesignError, "Mean|Proportion"),
    Row(
        "power: empty table",
        lambda _: asked(kk.detectable_effect, kk.Mean(sd=1.0), table=register().iloc[:0]),
        DataError,
        "no rows",
    ),
    Row(
        "power: one unit",
        lambda _: asked(kk.detectable_effect, kk.Mean(sd=1.0), table=register().iloc[:1], design=COMPLETE),
        DESIGN_OR_DATA,
        "1 person|one person",
    ),
    Row(
        "power: contrast misspelt",
        lambda _: asked(kk.detectable_effect, kk.Mean(sd=1.0), contrast="coching"),
        DesignError,
        "Did you mean 'coaching'",
    ),
    Row(
        "power: alternative misspelt",
        lambda _: asked(kk.detectable_effect, kk.Mean(sd=1.0), alternative="greter"),
        DesignError,
        "Did you mean 'greater'",
    ),
    Row(
        "size: effect 0",
        lambda _: kk.sample_size(STRATIFIED, kk.Mean(sd=1.0), effect=0.0),
        DesignError,
        "effect of 0",
    ),
    Row(
        "size: effect NaN",
        lambda _: kk.sample_size(STRATIFIED, kk.Mean(sd=1.0), effect=float("nan")),
        DesignError,
        "effect",
    ),
    Row(
        "size: no design",
        lambda _: kk.sample_size(register(), kk.Mean(sd=1.0), effect=1.0),
        DesignError,
        "design|arms",
    ),
    Row("simulate: column misspelt", lambda _: simulated("agee"), ColumnError, "Did you mean 'age'"),
    Row("simulate: text", lambda _: simulated("area"), ColumnError, "'area'.*text"),
    Row(
        "simulate: outcome infinite",
        lambda _: simulated("age", table=spoilt("age", float("inf"), [3], register)),
        DataError,
        "'age'.*(infinite|finite)",
    ),
    Row(
        "simulate: outcome missing",
        lambda _: simulated("age", table=spoilt("age", float("nan"), [3], register)),
        DataError,
        "'age'.*1 person",
    ),
    Row("simulate: outcome constant", lambda _: simulated("age", table=register(age=98765.0)), ANY, "'age'"),
    Row("simulate: no draws", lambda _: simulated("age", draws=0), DesignError, "draws"),
    Row("simulate: no seed", lambda _: simulated("age", seed=None), SeedError, "seed"),
    Row("simulate: no effects", lambda _: simulated("age", effects=()), DesignError, "effect"),
    Row(
        "simulate: no world",
        lambda _: asked(kk.simulate_power, 7, effects=(1.0,), seed=1),
        DesignError,
        "Shift",
    ),
    Row("simulate: empty table", lambda _: simulated("age", table=register().iloc[:0]), DataError, "no rows"),
    Row(
        "power: share above 1",
        lambda _: asked(kk.power_at, kk.Proportion(base=0.8), effect=0.4),
        DesignError,
        r"outside \(0, 1\)",
    ),
]

PLAN_ROWS = [
    Row(
        "plan: analysis of no outcome",
        lambda _: make_plan(analyses=(kk.Analysis("earnigs", kk.DifferenceInMeans()),)),
        PlanError,
        "'earnings'.*Did you mean 'earnigs'|Did you mean 'earnings'",
    ),
    Row("plan: no outcomes", lambda _: make_plan(outcomes=()), PlanError, "outcome"),
    Row(
        "plan: outcome twice",
        lambda _: make_plan(outcomes=(kk.Outcome("earnings"),) * 2, analyses=(kk.Analysis("earnings"),)),
        PlanError,
        "twice|more than once",
    ),
    Row(
        "plan: role misspelt",
        lambda _: kk.Outcome("earnings", role="primry"),
        PLAN_OR_DESIGN,
        "Did you mean 'primary'",
    ),
    Row("plan: no title", lambda _: make_plan(title=" "), PlanError, "title"),
    Row("plan: no design", lambda _: make_plan(design="stratified"), PLAN_OR_DESIGN, "mechanism|design"),
    Row("plan: alpha 1.5", lambda _: kk.Holm(alpha=1.5), PLAN_OR_DESIGN, "alpha"),
    Row("plan: no estimator", lambda _: kk.Analysis("earnings", "ols"), PLAN_OR_DESIGN, "estimator"),
    Row(
        "enrol: id gone",
        lambda _: kk.enrol(plan(), register().drop(columns="person_id"), seed=SEED),
        ColumnError,
        "'person_id'",
    ),
    Row("enrol: no seed", lambda _: kk.enrol(plan(), register(), seed=None), SeedError, "text"),
    Row(
        "enrol: id duplicated",
        lambda _: kk.enrol(plan(), repeated(register), seed=SEED),
        DataError,
        "more than once",
    ),
    Row("enrol: no plan", lambda _: kk.enrol("plan.json", register(), seed=SEED), PlanError, "plan"),
    Row("enrol: empty table", lambda _: kk.enrol(plan(), register().iloc[:0], seed=SEED), DataError, "no rows"),
    Row(
        "analyse: another draw",
        lambda _: kk.analyse(plan(), assignment(), outcomes()),
        PlanError,
        "[Dd]eviation",
    ),
    Row(
        "analyse: another plan",
        lambda _: kk.analyse(make_plan(title="Another"), enrolled(), outcomes()),
        PlanError,
        "[Dd]eviation",
    ),
    Row(
        "analyse: outcome gone",
        lambda _: kk.analyse(plan(), enrolled(), outcomes().rename(columns={"earnings": "earning"})),
        ColumnError,
        "Did you mean 'earning'",
    ),
    Row(
        "analyse: people never assigned",
        lambda _: kk.analyse(plan(), enrolled(), outcomes(person_id=[f"SECRETID-{i + 5:04d}" for i in range(N)])),
        DataError,
        "5 ",
    ),
    Row(
        "analyse: outcome infinite",
        lambda _: kk.analyse(plan(), enrolled(), spoilt("earnings", float("inf"), [3], outcomes)),
        DataError,
        "'earnings'.*infinite",
    ),
    Row("plan: outcome without a name", lambda _: kk.Outcome(" "), PlanError, "name"),
    Row("plan: bounds the wrong way round", lambda _: kk.Outcome("grade", minimum=10, maximum=4), PlanError, "grade"),
    Row(
        "plan: balance misspelt",
        lambda _: kk.enrol(make_plan(balance=("agee",)), register(), seed=SEED),
        ColumnError,
        "Did you mean 'age'",
    ),
    Row("deviation: no reason", lambda _: kk.Deviation("outcome", " "), PlanError, "reason"),
    Row("deviation: kind misspelt", lambda _: kk.Deviation("outcme", "late"), PLAN_OR_DESIGN, "Did you mean 'outcome'"),
    Row(
        "analyse: outside the bounds",
        lambda _: bounded(outcomes()),
        PlanError,
        "'earnings'.*(48|bounds|maximum)",
    ),
    Row(
        "analyse: another register",
        lambda _: kk.analyse(plan(), enrolled(), outcomes(), register=register().iloc[5:]),
        PlanError,
        "5 .*[Dd]eviation",
    ),
    Row(
        "analyse: exploring what is registered",
        lambda _: kk.analyse(plan(), enrolled(), outcomes(), also=(kk.Analysis("earnings", kk.DifferenceInMeans()),)),
        PlanError,
        "registered",
    ),
    Row(
        "analyse: exploring a column that is not there",
        lambda _: kk.analyse(plan(), enrolled(), outcomes(), also=(kk.Analysis("agee"),)),
        ColumnError,
        "Did you mean 'age'",
    ),
    Row(
        "analyse: no deviation",
        lambda _: kk.analyse(plan(), enrolled(), outcomes(), deviations="late"),
        PlanError,
        "[Dd]eviation",
    ),
    Row(
        "analyse: empty table",
        lambda _: kk.analyse(plan(), enrolled(), outcomes().iloc[:0]),
        ANY,
        "no rows|missing for all",
    ),
    Row(
        "analyse: outcome all missing",
        lambda _: kk.analyse(plan(), enrolled(), outcomes(earnings=np.nan)),
        ANY,
        "'earnings'",
    ),
    Row(
        "analyse: outcome constant",
        lambda _: kk.analyse(plan(), enrolled(), outcomes(earnings=98765.0)),
        ANY,
        "'earnings'",
    ),
    Row(
        "analyse: id duplicated",
        lambda _: kk.analyse(plan(), enrolled(), repeated(outcomes)),
        DataError,
        "more than once",
    ),
    Row(
        "analyse: id types",
        lambda _: kk.analyse(plan(), enrolled(), outcomes(person_id=range(N))),
        TABLE_OR_COLUMN,
        "whole numbers",
    ),
    Row("analyse: no plan", lambda _: kk.analyse(None, enrolled(), outcomes()), PlanError, "plan"),
    Row("analyse: no assignment", lambda _: kk.analyse(plan(), register(), outcomes()), ANY, "assignment"),
]

FILE_ROWS = [
    Row("load: cut in half", lambda f: kk.load(half(saved_assignment(f))), FileError, "assignment.parquet"),
    Row("load: something else", lambda f: kk.load(other_parquet(f)), FileError, "register.parquet"),
    Row("load: no Parquet", lambda f: kk.load(text_file(f, "a.parquet", "SECRET")), FileError, "a.parquet"),
    Row("load: no file", lambda f: kk.load(f / "none.parquet"), FileError, "none.parquet"),
    Row("load: a folder", lambda f: kk.load(f), FileError, "folder|directory"),
    Row(
        "save: no folder",
        lambda f: kk.save(assignment(), f / "none" / "a.parquet"),
        FileError,
        "folder|directory",
    ),
    Row("save: no assignment", lambda f: kk.save(register(), f / "a.parquet"), ANY, "assignment"),
    Row("load_plan: cut in half", lambda f: kk.load_plan(half(saved_plan(f))), FileError, "plan.json"),
    Row(
        "load_plan: something else",
        lambda f: kk.load_plan(text_file(f, "p.json", '{"a": "SECRET"}')),
        (FileError, PlanError),
        "p.json",
    ),
    Row(
        "load_plan: a list",
        lambda f: kk.load_plan(text_file(f, "p.json", "[1]")),
        (FileError, PlanError),
        "p.json",
    ),
    Row("load_plan: a Parquet file", lambda f: kk.load_plan(other_parquet(f)), FileError, "register.parquet"),
    Row("load_plan: edited", lambda f: kk.load_plan(edited_plan(f)), (FileError, PlanError), "fingerprint"),
    Row("load_plan: no file", lambda f: kk.load_plan(f / "none.json"), FileError, "none.json"),
    Row(
        "save_plan: no folder",
        lambda f: kk.save_plan(plan(), f / "none" / "p.json"),
        FileError,
        "folder|directory",
    ),
    Row("report: no findings", lambda f: kk.write_report(outcomes(), f / "r.html"), ANY, "findings"),
]


def findings() -> Any:
    return kk.analyse(plan(), enrolled(), outcomes())


REPORT_ROWS = [
    Row(
        "report: no such language",
        lambda f: kk.write_report(findings(), f / "r.html", language="xx"),
        ANY,
        "'xx'",
    ),
    Row(
        "report: no folder",
        lambda f: kk.write_report(findings(), f / "none" / "r.html"),
        FileError,
        "folder|directory",
    ),
]


@cache
def seekers() -> pd.DataFrame:
    return kk.datasets.job_seekers(100, seed=1)


@cache
def drawn() -> Any:
    return kk.randomise(seekers(), COMPLETE, id="person_id", seed=SEED)


DATASET_ROWS = [
    Row("dataset: nobody", lambda _: kk.datasets.job_seekers(0, seed=1), ANY, "n|people"),
    Row("dataset: n negative", lambda _: kk.datasets.job_seekers(-5, seed=1), ANY, "at least"),
    Row("dataset: n a fraction", lambda _: kk.datasets.job_seekers(10.5, seed=1), ANY, "whole number"),
    Row("outcomes: no register", lambda _: kk.datasets.outcomes(None, seed=1), ColumnError, "table"),
    Row("outcomes: column gone", lambda _: kk.datasets.outcomes(register(), seed=1), ColumnError, "has no column"),
    Row(
        "outcomes: arm misspelt",
        lambda _: kk.datasets.outcomes(seekers(), drawn(), effects={"coching": 0.1}, seed=1),
        DesignError,
        "Did you mean 'coaching'",
    ),
    Row(
        "outcomes: effect out of range",
        lambda _: kk.datasets.outcomes(seekers(), drawn(), effects={"coaching": 0.9}, seed=1),
        DesignError,
        "coaching|employed_12m",
    ),
    Row(
        "outcomes: other people",
        lambda _: kk.datasets.outcomes(seekers().iloc[5:], drawn(), seed=1),
        DataError,
        "5 people",
    ),
    Row("outcomes: no seed", lambda _: kk.datasets.outcomes(seekers(), seed=None), SeedError, "seed"),
    Row(
        "outcomes: icc above its range",
        lambda _: kk.datasets.outcomes(seekers(), seed=1, office_icc=0.9),
        DesignError,
        "icc",
    ),
    Row("dataset: no seed", lambda _: kk.datasets.job_seekers(100, seed=None), SeedError, "seed"),
]

ROWS = [
    *ARM_ROWS,
    *DESIGN_ROWS,
    *DRAW_ROWS,
    *VERIFY_ROWS,
    *ADOPT_ROWS,
    *BALANCE_ROWS,
    *EFFECT_ROWS,
    *POWER_ROWS,
    *PLAN_ROWS,
    *FILE_ROWS,
    *REPORT_ROWS,
    *DATASET_ROWS,
]


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and everything that Python would show behind it."""
    pending, seen = [error], set()
    while pending:
        one = pending.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            pending += [e for e in (one.__cause__, one.__context__) if e is not None]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_bad_input(row: Row, tmp_path: Path) -> None:
    with pytest.raises(row.error, match=row.match) as caught:
        row.call(tmp_path)
    for error in chain(caught.value):
        shown = " ".join([str(error), repr(error), *map(str, error.args), *getattr(error, "__notes__", ())])
        assert TELL_TALE.search(shown) is None, f"{type(error).__name__} shows a person's id or value"
    message = str(caught.value)
    assert len(message) <= 600
    assert not message.endswith("\n")


def test_findings_name_nobody() -> None:
    changed = register(area=register()["area"].replace("SECRETAREA-0", "SECRETAREA-1"))
    found = [
        kk.verify(assignment(), changed),
        kk.verify(assignment(), register().iloc[5:]),
        kk.check_balance(assignment(), register(), on=("age",)),
        effects(),
        permuted(),
        findings(),
    ]
    for finding in found:
        assert re.search("SECRETID|98765000", str(finding) + repr(finding)) is None, type(finding).__name__


def test_ids_are_unique() -> None:
    names = [row.id for row in ROWS]
    assert len(set(names)) == len(names)


def test_good_input_passes(tmp_path: Path) -> None:
    """The tables that every row spoils are good ones: without the spoiling nothing is refused."""
    assert randomise().counts()
    assert kk.verify(assignment(), register())
    assert adopt().counts()
    kk.check_balance(assignment(), register(), on=("age",))
    assert len(effects()) == 1
    permuted()
    asked(kk.detectable_effect, kk.Mean(sd=1.0))
    kk.load(saved_assignment(tmp_path))
    assert kk.load_plan(saved_plan(tmp_path)).fingerprint == plan().fingerprint
    findings()


@pytest.mark.parametrize("tell_tale", ["SECRETID-0001", "987654321.125", "9876500003"])
def test_the_tell_tales_are_found(tell_tale: str) -> None:
    assert TELL_TALE.search(tell_tale)


def test_a_plan_file_is_json(tmp_path: Path) -> None:
    assert json.loads(saved_plan(tmp_path).read_text(encoding="utf-8"))
