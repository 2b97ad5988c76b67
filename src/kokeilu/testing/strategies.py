"""Hypothesis strategies: shares, small registers, designs."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from kokeilu.core.arms import Arm, Arms

__all__ = ["designs", "registers", "share_lists"]


@st.composite
def share_lists(draw: st.DrawFn, least: int = 2, most: int = 4) -> Arms:
    """Arms a, b, … with small exact shares, some of them possibly 0."""
    parts = draw(st.lists(st.integers(0, 7), min_size=least, max_size=most).filter(lambda p: sum(p) > 0))
    total = sum(parts)
    return Arms(tuple(Arm("abcdefgh"[i], Fraction(part, total)) for i, part in enumerate(parts)))


@st.composite
def registers(draw: st.DrawFn, least: int = 4, most: int = 12) -> dict[str, list[Any]]:
    """A register with ids, a stratum, and clusters that lie within strata."""
    n = draw(st.integers(least, most))
    clusters = draw(st.lists(st.integers(0, max(1, n - 1)), min_size=n, max_size=n))
    strata = {c: draw(st.sampled_from(["north", "south", "west"])) for c in sorted(set(clusters))}
    ids = draw(st.lists(st.integers(1, 10**6), min_size=n, max_size=n, unique=True))
    return {"id": ids, "cluster": [f"c{c}" for c in clusters], "stratum": [strata[c] for c in clusters]}


def designs(arms: Arms, mechanisms: dict[str, Any]) -> st.SearchStrategy[Any]:
    """One of the given makers, each called with the arms."""
    return st.sampled_from(sorted(mechanisms)).map(lambda name: mechanisms[name](arms))
