"""One small public draw that the tests of this room share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest

import kokeilu as kk


@dataclass(frozen=True)
class Ceremony:
    """Register, commitment, assignment and certificate of one draw, with its key and secret."""

    table: Any
    commitment: kk.Commitment
    assignment: kk.Assignment
    certificate: kk.Certificate
    key: bytes
    secret: bytes


def small_register(n: int = 24) -> pd.DataFrame:
    """Return people with text ids, an area and a yes or no."""
    return pd.DataFrame(
        {
            "person": [f"P-{(7 * i) % n:03d}" for i in range(n)],
            "area": [("Pori", "Mänttä", "Utsjoki")[i % 3] for i in range(n)],
            "long_term": [i % 2 == 0 for i in range(n)],
        }
    )


def hold_draw(table: Any, design: Any, *, id: str = "person", beacon: str = "4 11 19", **options: Any) -> Ceremony:
    """Commit and draw."""
    keys = {"key": bytes(range(32)), "secret": bytes(range(32, 64))}
    told = {"source": "lottery numbers of 28 November 2026", "name": "Personal coach 2027", **options}
    commitment = kk.commit(table, design, id=id, **told, **keys)
    assignment, certificate = kk.draw(commitment, table, beacon=beacon, **keys)
    return Ceremony(table, commitment, assignment, certificate, **keys)


@pytest.fixture(scope="session")
def hold() -> Any:
    """Return the function that commits and draws."""
    return hold_draw


@pytest.fixture(scope="session")
def ceremony() -> Ceremony:
    """Return a stratified draw of 24 people."""
    design = kk.Stratified(kk.arms(control=1, coaching=1), by=("area", "long_term"))
    return hold_draw(small_register(), design)
