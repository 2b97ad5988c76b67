"""Whoever solves all numbers that a report prints finds no small count: an attack on the written pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, milp

import kokeilu as kk
from kokeilu._kernels.streams import Seed
from kokeilu.plan.run import analyse, enrol
from kokeilu.report.document import write_report

Parse = Callable[[str], Any]
LEAST = 3
HIDDEN = "hidden"
KINDS = ("absent", "blank", "used")


def trial(seed: int, *, people: int = 270) -> Any:
    """Three arms, regressions of all arms, and from 3 to 12 people without an outcome."""
    words = Seed.of(seed).stream("attack").doubles(people, 5)
    gaps = 3 + seed % 10
    register = {"id": list(range(people)), "age": (20 + 40 * words[:, 0]).tolist()}
    covariates = kk.Regression(covariates=("age",))
    plan = kk.Plan(
        title="Attacked",
        id="id",
        design=kk.Complete(kk.arms(control=1, coaching=1, voucher=1)),
        outcomes=(kk.Outcome("work", minimum=0, maximum=1), kk.Outcome("days", role="secondary")),
        analyses=(kk.Analysis("work", covariates), kk.Analysis("days", covariates)),
    )
    kept = [i for i in range(people) if seed % 2 or words[i, 1] > gaps / (2 * people)]
    outcomes = {
        "id": [register["id"][i] for i in kept],
        "age": [register["age"][i] for i in kept],
        "work": [None if words[i, 2] < gaps / people else float(words[i, 3] < 0.5) for i in kept],
        "days": [None if words[i, 4] < gaps / people else float(round(100 * words[i, 3])) for i in kept],
    }
    return analyse(plan, enrol(plan, register, seed=seed), outcomes, register=register)


class System:
    """Linear equations in counts that are whole numbers, with the bounds that hiding itself tells."""

    def __init__(self, arms: tuple[str, ...], outcomes: tuple[str, ...]) -> None:
        self.cells = [(kind, outcome, arm) for outcome in outcomes for arm in arms for kind in KINDS]
        self.low = np.zeros(len(self.cells))
        self.rows: list[np.ndarray] = []
        self.values: list[float] = []

    def weights(self, cells: list[tuple[str, str, str]]) -> np.ndarray:
        return np.array([float(cells.count(cell)) for cell in self.cells])

    def told(self, cells: list[tuple[str, str, str]], printed: str) -> None:
        if printed != HIDDEN:
            self.rows.append(self.weights(cells))
            self.values.append(float(printed.replace(",", "")))
        elif len(cells) == 1:
            # Zeros are printed.
            self.low[self.cells.index(cells[0])] = 1

    def range(self, cell: tuple[str, str, str]) -> tuple[int, int]:
        goal = self.weights([cell])
        equations = LinearConstraint(np.array(self.rows), self.values, self.values)
        ends = []
        for sign in (1, -1):
            answer = milp(sign * goal, constraints=equations, integrality=np.ones(len(goal)), bounds=(self.low, np.inf))
            assert answer.success
            ends.append(round(sign * answer.fun))
        return ends[0], ends[1]


def rows_of(tree: Any, name: str) -> Iterator[list[str]]:
    """Yield the rows of a table, with the heading of their group before them."""
    (table,) = [node for node in tree.all("table") if node.attrs["id"] == name]
    for body in table.all("tbody"):
        group = ""
        for row in body.all("tr"):
            cells = [cell.text() for cell in row.all("th", "td")]
            if len(cells) == 1:
                group = cells[0]
            else:
                yield [group, *cells]


def read(tree: Any, findings: Any) -> System:
    """Write down every equation of the page; the number of columns of each model is known."""
    arms, outcomes = findings.assignment.arms.names, tuple(outcome for outcome, _ in findings.accounts)
    system = System(arms, outcomes)
    flows = [("work", row) for row in rows_of(tree, "flow-table-1")]
    flows += [(row[0], row) for row in rows_of(tree, "flow-table-others")]
    for outcome, (_, arm, assigned, absent, linked, blank, used) in flows:
        cell = {kind: (kind, outcome, arm) for kind in KINDS}
        system.told([cell["absent"]], absent)
        system.told([cell["blank"]], blank)
        system.told([cell["used"]], used)
        system.told([cell["blank"], cell["used"]], linked)
        system.told([*cell.values()], assigned)
    estimates = list(findings.estimates)
    for row, e in zip(rows_of(tree, "effects-table"), estimates, strict=True):
        pair = (e.arm, e.reference)
        system.told([("used", e.outcome, arm) for arm in pair], row[-2])
        system.told([(kind, e.outcome, arm) for arm in pair for kind in ("absent", "blank")], row[-1])
    accounts = dict(findings.accounts)
    for row, e in zip(rows_of(tree, "methods-table"), estimates, strict=True):
        columns = sum(accounts[e.outcome].observed) - e.dof
        assert abs(columns - round(columns)) < 1e-9, "the attack reads n - k"
        if row[5] != HIDDEN:
            people = str(round(float(row[5].replace(",", "")) + columns))
            system.told([("used", e.outcome, arm) for arm in arms], people)
    return system


@pytest.mark.parametrize("seed", range(20))
def test_no_small_count_can_be_solved_back(seed: int, parse: Parse, tmp_path: Path) -> None:
    findings = trial(seed)
    page = write_report(findings, tmp_path / "r.html", least_cell=LEAST).read_text(encoding="utf-8")
    system = read(parse(page), findings)
    for outcome, account in findings.accounts:
        for arm, assigned, linked, used in zip(
            account.arms, account.assigned, account.linked, account.observed, strict=True
        ):
            for kind, count in (("absent", assigned - linked), ("blank", linked - used), ("used", used)):
                low, high = system.range((kind, outcome, arm))
                assert low <= count <= high
                if 0 < count < LEAST:
                    assert low < LEAST <= high, f"{kind} of {outcome} in {arm}: {count} is between {low} and {high}"


def test_the_attack_finds_what_degrees_of_freedom_tell() -> None:
    system = System(("a", "b", "c"), ("y",))
    blank = {arm: ("blank", "y", arm) for arm in "abc"}
    for arm in "abc":
        system.told([blank[arm]], HIDDEN)
    system.told([blank["a"], blank["b"]], "9")
    system.told([blank["a"], blank["c"]], "6")
    assert system.range(blank["c"]) == (1, 5)
    system.told([*blank.values()], "10")
    assert system.range(blank["c"]) == (1, 1)
