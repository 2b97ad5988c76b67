"""One small trial under a plan: 60 people, three arms, two areas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk

N = 60
SEED = "lottery 2026-11-21: 4 11 19"


@pytest.fixture(scope="session")
def people() -> pd.DataFrame:
    """Return the register."""
    step = np.arange(N)
    return pd.DataFrame({"person": step + 1000, "area": np.where(step % 3, "Pori", "Lapland"), "age": 20 + step % 37})


@pytest.fixture(scope="session")
def make_plan() -> Callable[..., kk.Plan]:
    """Return a maker of plans; keywords replace parts."""

    def make(**changes: Any) -> kk.Plan:
        stated: dict[str, Any] = {
            "title": "Coach",
            "id": "person",
            "design": kk.Stratified(kk.arms(control=1, coaching=1, subsidy=1), by="area"),
            "outcomes": (
                kk.Outcome("work", minimum=0, maximum=1),
                kk.Outcome("grade", role="secondary", minimum=4, maximum=10),
            ),
            "analyses": (kk.Analysis("work"), kk.Analysis("grade", kk.Regression(covariates=("age",)))),
            "balance": ("age",),
        }
        return kk.Plan(**{**stated, **changes})

    return make


@pytest.fixture(scope="session")
def plan(make_plan: Callable[..., kk.Plan]) -> kk.Plan:
    """Return the plan."""
    return make_plan()


@pytest.fixture(scope="session")
def drawn(plan: kk.Plan, people: pd.DataFrame) -> kk.Assignment:
    """Return the draw under the plan."""
    return kk.enrol(plan, people, seed=SEED)


@pytest.fixture(scope="session")
def outcomes(people: pd.DataFrame) -> pd.DataFrame:
    """Return outcomes; the grade of every seventh person is missing."""
    step = np.arange(N)
    grade = 4.0 + (step * 31) % 7
    return pd.DataFrame(
        {
            "person": people["person"],
            "age": people["age"],
            "work": ((step * 17) % 11 > 4).astype(float),
            "grade": np.where(step % 7 == 0, np.nan, grade),
            "days": (step * 13.0) % 29,
        }
    )
