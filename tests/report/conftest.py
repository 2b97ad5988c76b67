"""Findings of small trials, and a parser that turns a report into something to ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kokeilu as kk
from kokeilu._kernels.streams import Seed
from kokeilu.estimate.spec import RandomisationTest
from kokeilu.plan.deviations import Deviation
from kokeilu.plan.run import analyse, enrol
from kokeilu.report.document import write_report

VOID = ("meta", "link", "br", "hr", "img", "input")


@dataclass(eq=False)
class Node:
    tag: str
    attrs: dict[str, str]
    parent: Node | None = None
    children: list[Node | str] = field(default_factory=list)

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            if isinstance(child, Node):
                yield from child.walk()

    def all(self, *tags: str) -> list[Node]:
        return [node for node in self.walk() if node.tag in tags]

    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text() for child in self.children)

    def within(self, tag: str) -> bool:
        return self.parent is not None and (self.parent.tag == tag or self.parent.within(tag))


class Reader(HTMLParser):
    """A tree that refuses what is not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Node("document", {})
        self.here = self.root
        self.declaration = ""

    def handle_decl(self, decl: str) -> None:
        self.declaration = decl

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice in <{tag}>"
        node = Node(tag, {name: value or "" for name, value in attrs}, self.here)
        self.here.children.append(node)
        if tag not in VOID:
            self.here = node

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.here.children.append(Node(tag, {name: value or "" for name, value in attrs}, self.here))

    def handle_endtag(self, tag: str) -> None:
        assert self.here.tag == tag, f"</{tag}> closes <{self.here.tag}>"
        assert self.here.parent is not None
        self.here = self.here.parent

    def handle_data(self, data: str) -> None:
        self.here.children.append(data)


def parsed(page: str) -> Node:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.here is reader.root, f"<{reader.here.tag}> is not closed"
    assert reader.declaration == "DOCTYPE html"
    return reader.root


@pytest.fixture(scope="session")
def parse() -> Callable[[str], Node]:
    return parsed


ARMS = kk.arms({"usual service": 2, "coach": 1, "training voucher": 1})


@pytest.fixture(scope="session")
def findings() -> Any:
    """Three arms in strata, two primary outcomes, tests, exploratory rows, a deviation, gaps."""
    seekers = kk.datasets.job_seekers(1_200, seed="report")
    plan = kk.Plan(
        title="Coach & voucher <2027>",
        description="Does a coach help?",
        id="person_id",
        design=kk.Stratified(ARMS, by=("region", "long_term")),
        balance=("age", "sex", "education", "long_term"),
        outcomes=(
            kk.Outcome("employed_12m", minimum=0, maximum=1, description="At work after a year"),
            kk.Outcome("days_employed", unit="days", minimum=0, maximum=365),
            kk.Outcome("satisfaction", role="secondary", unit="school grade", minimum=4, maximum=10),
        ),
        analyses=(
            kk.Analysis("employed_12m"),
            kk.Analysis("days_employed", kk.Regression(covariates=("age",))),
            kk.Analysis("satisfaction"),
            kk.Analysis("employed_12m", RandomisationTest(draws=199)),
        ),
    )
    assignment = enrol(plan, seekers, seed="lottery 2026-11-21: 4 11 19")
    outcomes = kk.datasets.outcomes(seekers, assignment, effects={"coach": 0.1, "training voucher": 0.0}, seed="r")
    outcomes = outcomes.merge(seekers[["person_id", "age"]], on="person_id")
    return analyse(
        plan,
        assignment,
        outcomes,
        also=(kk.Analysis("spell_days_after"), kk.Analysis("employed_12m", kk.Regression(covariates=("age",)))),
        deviations=(Deviation("timing", "A strike.", when="before access"),),
        register=seekers,
    )


@pytest.fixture(scope="session")
def page(findings: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = write_report(findings, tmp_path_factory.mktemp("report") / "report.html")
    return Path(path).read_text(encoding="utf-8")


def small_trial(seed: int, *, people: int = 60, gaps: int = 6) -> Any:
    """A trial of few people with gaps and rare levels, so that small counts stand everywhere."""
    words = Seed.of(seed).stream("small trial").doubles(people, 8)
    ids = [f"person-{i:05d}" for i in range(people)]
    register = {
        "id": ids,
        "town": [("A", "B", "C", "D")[min(3, int(6 * w * w))] for w in words[:, 0]],
        "young": (words[:, 1] < 0.07).astype(float).tolist(),
        "age": np.where(words[:, 2] < 0.05, np.nan, 20 + 40 * words[:, 3]).tolist(),
    }
    plan = kk.Plan(
        title="Small",
        id="id",
        design=kk.Complete(kk.arms(control=1, coaching=1, voucher=1)),
        balance=("town", "young", "age"),
        outcomes=(kk.Outcome("work", minimum=0, maximum=1), kk.Outcome("days", role="secondary")),
        analyses=(kk.Analysis("work"), kk.Analysis("days")),
    )
    assignment = enrol(plan, register, seed=seed)
    kept = [i for i in range(people) if words[i, 4] > gaps / people]
    outcomes = {
        "id": [ids[i] for i in kept],
        "work": [None if words[i, 5] < 0.05 else float(words[i, 6] < 0.5) for i in kept],
        "days": [None if words[i, 5] < 0.08 else float(round(100 * words[i, 7])) for i in kept],
    }
    return analyse(plan, assignment, outcomes, register=register)


@pytest.fixture(scope="session")
def small() -> Callable[[int], Any]:
    made: dict[int, Any] = {}

    def make(seed: int) -> Any:
        if seed not in made:
            made[seed] = small_trial(seed)
        return made[seed]

    return make
