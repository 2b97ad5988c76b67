"""What the comparisons of balance share: every number of a reference file, and closeness at its tolerance."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk

HERE = Path(__file__).parents[1] / "reference" / "balance"
DATA = Path(__file__).parents[3] / "shared" / "reference" / "data"

Found = dict[str, Any]


def stored(file: str) -> Any:
    """Return a reference file."""
    return json.loads((HERE / f"{file}.json").read_text(encoding="utf-8"))


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every number, or None, with its place in the file; texts tell where a value comes from."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from leaves(part, f"{path}/{key}" if path else str(key))
    elif isinstance(value, list) and path:
        for place, part in enumerate(value):
            yield from leaves(part, f"{path}/{place}")
    elif isinstance(value, list):
        for part in value:
            yield from leaves(part, str(part["id"]))
    elif value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        yield path, value


def close(path: str, found: Any, wanted: Any, *, rtol: float) -> None:
    """Demand the tolerance; what is undefined there must be undefined here."""
    if wanted is None:
        assert found is None or np.isnan(found), path
        return
    assert found is not None, path
    assert float(found) == pytest.approx(wanted, rel=rtol, abs=1e-12), path


def read(name: str) -> pd.DataFrame:
    """Return a reference data set with an id, or skip."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"the reference data set {name} is not here")
    frame = pd.read_csv(path, float_precision="round_trip" if pd.__version__ < "3" else None)
    return frame.assign(id=range(len(frame)))


def nsw() -> pd.DataFrame:
    """Return the trial of balance_nsw.csv from the package that ships it, with earnings in four decimals."""
    from causaldata import nsw_mixtape

    frame = nsw_mixtape.load_pandas().data
    table = frame.drop(columns="data_id").astype(float).round(4)
    table["u74"], table["u75"] = (table["re74"] == 0) * 1, (table["re75"] == 0) * 1
    table["stratum"] = (2 * table["black"] + table["nodegree"]).astype(int)
    return table.assign(id=range(len(table)), treat=frame["treat"].astype(int))


def adopted(table: pd.DataFrame, arm: str, *, by: str | None = None, cluster: str | None = None) -> Any:
    """Return the allocation with the numbers in each stratum as they fell; the arms are a0, a1 and on."""
    levels = sorted(table[arm].unique())
    names = {level: f"a{k}" for k, level in enumerate(levels)}
    shares = kk.arms(**dict.fromkeys(names.values(), 1))
    design: Any = kk.Complete(shares) if by is None else kk.Stratified(shares, by=by)
    if cluster is not None:
        design = kk.Clustered(design, by=cluster)
    return kk.adopt(table, arm=arm, design=design, id="id", labels=names, counts="realised")


def alone(table: pd.DataFrame, arm: str, *, by: str) -> Any:
    """Return the allocation as drawn person by person with the same shares everywhere: stratum effects, no weights."""
    levels = sorted(table[arm].unique())
    names = {level: f"a{k}" for k, level in enumerate(levels)}
    design = kk.Bernoulli({s: kk.arms(**dict.fromkeys(names.values(), 1)) for s in table[by].unique()}, by=by)
    return kk.adopt(table, arm=arm, design=design, id="id", labels=names)


def tests_of(assignment: Any, table: pd.DataFrame, on: list[str]) -> tuple[dict[str, Any], Any]:
    """Return the tests by models, by name, and the whole finding."""
    found = kk.model_tests(assignment, table, on=on)
    return {one.name: one for one in found.items}, found


def three(path: str, one: Any, names: tuple[str, ...]) -> Found:
    """Return statistic, degrees of freedom and p under the names of a reference file."""
    values = [one.statistic, one.df1, *([] if one.df2 is None else [one.df2]), one.p_value]
    return {f"{path}/{name}": value for name, value in zip(names, values, strict=True)}
