"""What the comparisons share: the cases, the data sets with their row filters, and closeness at a case's tolerance."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kokeilu.datasets.nsw import nsw

HERE = Path(__file__).parents[1] / "reference" / "estimate"
DATA = Path(__file__).parents[3] / "shared" / "reference" / "data"

Case = dict[str, Any]


def cases_of(file: str) -> list[Case]:
    """Return the cases of one file."""
    found: list[Case] = json.loads((HERE / f"{file}.json").read_text(encoding="utf-8"))
    return found


def table_of(case: Case) -> pd.DataFrame:
    """Return the rows of a case, or skip the test where the data set is not here."""
    path = DATA / case["dataset"]
    if not path.exists() and case["dataset"] == "nsw.csv":
        pytest.importorskip("causaldata")
        return prepared(nsw(), case)
    if not path.exists():
        pytest.skip(f"the reference data set {case['dataset']} is not here")
    frame = pd.read_csv(path, float_precision="round_trip" if pd.__version__ < "3" else None)
    return prepared(frame, case)


def prepared(frame: pd.DataFrame, case: Case) -> pd.DataFrame:
    """Apply the row filter and the derived columns that a case tells in words."""
    prep, name = case.get("prep") or "", case["dataset"]
    if kept := re.search(r"keep tg in \{([\d,]+)\}", prep):
        frame = frame[frame["tg"].isin([int(arm) for arm in kept[1].split(",")])]
    if "tg<6" in prep:
        frame = frame[frame["tg"] < 6]
    if "drop missing dayscorab" in prep:
        frame = frame[frame["dayscorab"].notna()]
    if "gradesq34 not missing" in prep:
        frame = frame[frame["gradesq34"].notna()]
    if "file rows 1..15" in prep:
        frame = pd.concat([frame.iloc[:15], frame.iloc[185:225]])
    if name == "jobs2.csv":
        frame = frame.assign(emp=(frame["work1"] == "psyemp").astype(float))
    if name == "penn.csv":
        frame = frame.assign(linuidur=np.log(frame["inuidur1"]), T4=frame["tg"].isin([4, 6]).astype(float))
    if name == "colombia.csv":
        frame = frame.assign(super=frame["b_pair"] // 4)
    if name == "social_insure.csv":
        frame = _social(frame, prep)
    if name == "shoes_wide.csv":
        frame = frame.melt(id_vars="boy", value_vars=["A", "B"], value_name="y").assign(
            z=lambda long: (long["variable"] == "B").astype(int)
        )
    return whole_pairs(frame) if "exactly 2 clusters" in prep else frame


def _social(frame: pd.DataFrame, prep: str) -> pd.DataFrame:
    if "constant within address" in prep:
        return frame[frame.groupby("address")["default"].transform("nunique") == 1]
    columns = re.search(r"missing any of ([\w,]+)", prep)
    return frame.dropna(subset=columns[1].split(",") if columns else None)


def whole_pairs(frame: pd.DataFrame) -> pd.DataFrame:
    clusters = frame.groupby("b_pair")["b_block"].transform("nunique")
    arms = frame.groupby("b_pair")["b_treat"].transform("nunique")
    return frame[(clusters == 2) & (arms == 2)]


def close(case: Case, found: float, wanted: float | None, *, rtol: float | None = None) -> None:
    """Demand the tolerance that the case states; an undefined value must be undefined here too."""
    if wanted is None:
        assert found is None or np.isnan(found)
        return
    assert found == pytest.approx(wanted, rel=case["rtol"] if rtol is None else rtol, abs=1e-12)
