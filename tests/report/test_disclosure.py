"""The masked report under attack by whoever knows every total and the rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kokeilu.report.balance import balance_lines
from kokeilu.report.context import context_of
from kokeilu.report.counts import count_findings
from kokeilu.report.disclosure import Cell, Sum, hidden_cells, small, small_share


def solutions(counts: dict[Cell, int], sums: list[Sum], hidden: frozenset[Cell]) -> set[Cell]:
    """Return the hidden cells that the equations alone determine."""
    unknown = sorted(hidden)
    if not unknown:
        return set()
    matrix = np.array([[(c == s.total) - s.parts.count(c) for c in unknown] for s in sums], dtype=float)
    _, sizes, rows = np.linalg.svd(matrix)
    free = rows[int((sizes > 1e-9).sum()) :]
    return {c for i, c in enumerate(unknown) if not (np.abs(free[:, i]) > 1e-9).any()}


@pytest.mark.parametrize(
    ("numbers", "least", "hidden"),
    [
        ([10, 20, 30], 3, ""),
        ([0, 20, 30], 3, ""),
        ([1, 20, 30], 3, "ab"),
        ([1, 1, 30, 40], 3, "abc"),
        ([2, 2, 30, 40], 3, "ab"),
        ([4, 20, 30], 5, "ab"),
        ([1, 0, 0, 7], 3, "ad"),
    ],
)
def test_one_total(numbers: list[int], least: int, hidden: str) -> None:
    counts: dict[Cell, int] = {("level", "abcd"[i]): n for i, n in enumerate(numbers)}
    relation = Sum(("people",), tuple(counts))
    counts["people",] = sum(numbers)
    assert hidden_cells(counts, [relation], least=least) == {("level", letter) for letter in hidden}


def test_a_small_total_goes_whole() -> None:
    counts: dict[Cell, int] = {("level", "a"): 1, ("level", "b"): 1, ("used",): 2}
    relation = Sum(("used",), (("level", "a"), ("level", "b")))
    assert hidden_cells(counts, [relation], least=3) == set(counts)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 12), min_size=3, max_size=3), min_size=2, max_size=4),
    st.integers(2, 5),
)
def test_tables_with_rows_and_columns_cannot_be_solved(table: list[list[int]], least: int) -> None:
    counts: dict[Cell, int] = {("level", f"{i}", f"{j}"): n for i, row in enumerate(table) for j, n in enumerate(row)}
    sums: list[Sum] = []

    def total(cell: Cell, parts: list[Cell]) -> None:
        counts[cell] = sum(counts[part] for part in parts)
        sums.append(Sum(cell, tuple(parts)))

    rows, columns = range(len(table)), range(3)
    for i in rows:
        total(("assigned", f"{i}"), [("level", f"{i}", f"{j}") for j in columns])
    for j in columns:
        total(("used", f"{j}"), [("level", f"{i}", f"{j}") for i in rows])
    total(("people",), [("assigned", f"{i}") for i in rows])
    sums.append(Sum(("people",), tuple(("used", f"{j}") for j in columns)))
    hidden = hidden_cells(counts, sums, least=least)
    assert {cell for cell, n in counts.items() if small(n, least)} <= hidden
    assert not any(counts[cell] == 0 for cell in hidden)
    primary = {cell for cell in hidden if small(counts[cell], least)}
    assert solutions(counts, sums, hidden) & primary == set()


@pytest.mark.parametrize("seed", range(6))
def test_findings_with_small_counts_cannot_be_solved(small: Callable[[int], Any], seed: int) -> None:
    counts = count_findings(small(seed), least=3)
    first = {cell for cell, n in counts.counts.items() if 0 < n < 3}
    assert first
    assert first <= counts.hidden
    assert solutions(dict(counts.counts), list(counts.sums), counts.hidden) & first == set()


@pytest.mark.parametrize("seed", range(3))
def test_the_relations_hold(small: Callable[[int], Any], seed: int) -> None:
    counts = count_findings(small(seed), least=3)
    assert counts.sums
    for relation in counts.sums:
        assert counts.counts[relation.total] == sum(counts.counts[part] for part in relation.parts)


@pytest.mark.parametrize("seed", range(6))
def test_means_of_small_counts_are_hidden(small: Callable[[int], Any], seed: int) -> None:
    findings = small(seed)
    context = context_of(findings, language="en", least_cell=3)
    kept = [raw for raw in findings.balance.lines if (raw.covariate, raw.level) not in context.counts.left_out]
    for line, raw in zip(balance_lines(context), kept, strict=True):
        if raw.covariate == "age" and not raw.level:
            continue
        for arm in context.arms:
            ones = round((raw.means[arm] or 0.0) * raw.n[arm])
            if small_count(ones) or (not raw.level and small_count(raw.n[arm] - ones)):
                assert set(line.means) == {context.mask}
                assert set(line.differences) == {None}


def small_count(n: int) -> bool:
    return 0 < n < 3


@pytest.mark.parametrize(
    ("mean", "n", "told"),
    [(0.5, 10, False), (0.1, 10, True), (0.9, 10, True), (0.0, 10, False), (1.0, 10, False), (0.123, 10, False)],
)
def test_a_mean_can_tell_of_a_small_count(mean: float, n: int, told: bool) -> None:
    assert small_share(mean, n, 3) is told


def test_rows_are_hidden_whole_and_a_zero_cannot_be_solved_back() -> None:
    counts: dict[Cell, int] = {}
    sums = []
    table = {"x": (1, 0), "y": (20, 30), "z": (40, 50)}
    for k in range(2):
        parts: list[Cell] = [("level", level, str(k)) for level in table]
        counts |= {part: table[part[1]][k] for part in parts} | {("used", str(k)): sum(n[k] for n in table.values())}
        sums.append(Sum(("used", str(k)), tuple(parts)))
    rows = [frozenset({("level", level, "0"), ("level", level, "1")}) for level in table]
    hidden = hidden_cells(counts, sums, least=3, rows=rows)
    assert hidden == rows[0] | rows[1]
    assert solutions(counts, sums, hidden) == set()


def test_a_total_that_is_never_shown_does_not_protect() -> None:
    counts: dict[Cell, int] = {("used", "a"): 1, ("used", "b"): 20, ("dof", "y"): 21}
    relation = Sum(("dof", "y"), (("used", "a"), ("used", "b")))
    assert hidden_cells(counts, [relation], least=3, unseen={("dof", "y")}) == {("used", "a"), ("dof", "y")}
    assert hidden_cells(counts, [relation], least=3) == {("used", "a"), ("dof", "y")}


def test_nothing_is_hidden_at_1(small: Callable[[int], Any]) -> None:
    assert count_findings(small(0), least=1).hidden == frozenset()
