from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

import kokeilu as kk
from kokeilu.errors import DesignError, FileError, PlanError
from kokeilu.estimate.spec import RandomisationTest
from kokeilu.plan.deviations import Deviation
from kokeilu.plan.run import analyse, enrol
from kokeilu.report.balance import balance_lines
from kokeilu.report.context import context_of
from kokeilu.report.document import render, write_report
from kokeilu.report.figures import love_picture

Parse = Callable[[str], Any]
NUMBER = re.compile(r"\d[\d,.]*\d|\d")


@pytest.fixture(scope="module")
def tree(page: str, parse: Parse) -> Any:
    return parse(page)


@pytest.fixture(scope="module")
def small_page(small: Callable[[int], Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_report(small(1), tmp_path_factory.mktemp("small") / "r.html").read_text(encoding="utf-8")


def test_language_title_and_one_first_heading(tree: Any) -> None:
    (html,) = tree.all("html")
    heads = [node for node in tree.all("title") if not node.within("svg")]
    assert html.attrs["lang"] == "en"
    assert [node.text() for node in heads] == ["Coach & voucher <2027>: results of a randomised trial"]
    assert [node.text() for node in tree.all("h1")] == [node.text() for node in heads]


def test_headings_go_down_one_step_at_a_time(tree: Any) -> None:
    levels = [int(node.tag[1]) for node in tree.all("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all(node.text().strip() for node in tree.all("h1", "h2", "h3"))


def test_ids_are_distinct_and_links_lead_somewhere(tree: Any) -> None:
    ids = [node.attrs["id"] for node in tree.walk() if "id" in node.attrs]
    assert len(ids) == len(set(ids))
    named = {ref for node in tree.walk() for ref in node.attrs.get("aria-labelledby", "").split()}
    linked = {
        node.attrs[name][1:]
        for node in tree.walk()
        for name in ("href", "xlink:href")
        if node.attrs.get(name, "").startswith("#")
    }
    clipped = {ref for node in tree.walk() for ref in re.findall(r"url\(#([^)]+)\)", " ".join(node.attrs.values()))}
    assert named | linked | clipped <= set(ids)
    assert tree.all("a")[0].attrs == {"class": "skip", "href": "#content"}


@pytest.mark.parametrize("name", ["page", "small_page"])
def test_nothing_is_loaded_and_nothing_runs(name: str, request: pytest.FixtureRequest, parse: Parse) -> None:
    text = request.getfixturevalue(name)
    tree = parse(text)
    assert re.findall(r"https?://|//[a-z]|@import|url\((?!#)", text) == []
    assert tree.all("script", "link", "img", "iframe", "object") == []
    assert [node for node in tree.walk() if any(attr.startswith("on") for attr in node.attrs)] == []


@pytest.mark.parametrize("name", ["page", "small_page"])
def test_tables_have_captions_and_scopes(name: str, request: pytest.FixtureRequest, parse: Parse) -> None:
    tree = parse(request.getfixturevalue(name))
    assert len(tree.all("table")) >= 7
    for table in tree.all("table"):
        assert table.children
        assert next(n.text() for n in table.all("caption")).strip()
        assert {th.attrs.get("scope") for th in table.all("th")} <= {"col", "row", "rowgroup"}
        wide = len(table.all("thead")[0].all("th"))
        for row in (row for body in table.all("tbody") for row in body.all("tr")):
            cells = row.all("th", "td")
            assert cells[0].tag == "th"
            assert len(cells) == wide or cells[0].attrs == {"scope": "rowgroup", "colspan": str(wide)}
            assert all(cell.text().strip() for cell in cells[:1])
        box = table.parent
        assert box.attrs["class"] == "scroll"
        assert box.attrs["tabindex"] == "0"
        assert box.attrs["role"] == "region"
        assert box.attrs["aria-label"]


@pytest.mark.parametrize("name", ["page", "small_page"])
def test_figures_are_named_and_tell_only_what_the_tables_tell(
    name: str, request: pytest.FixtureRequest, parse: Parse
) -> None:
    tree = parse(request.getfixturevalue(name))
    figures = tree.all("svg")
    assert len(figures) >= 3
    cells = [cell for table in tree.all("table") for cell in table.all("th", "td", "caption")]
    told = {hit for cell in cells for hit in NUMBER.findall(cell.text())} | {"0.1"}
    for svg in figures:
        title, description = svg.all("title")[0], svg.all("desc")[0]
        assert svg.attrs["role"] == "img"
        assert svg.attrs["aria-labelledby"] == f"{title.attrs['id']} {description.attrs['id']}"
        assert title.text().strip()
        assert description.text().strip()
        axes = [node for node in svg.walk() if "matplotlib.axis" in node.attrs.get("id", "")]
        ticks = [node for axis in axes for node in axis.all("text")]
        said = [description, *(node for node in svg.all("text") if node not in ticks)]
        assert {hit for node in said for hit in NUMBER.findall(node.text())} - told == set()
        assert svg.all("metadata", "style") == []


@pytest.mark.parametrize("seed", range(3))
def test_hidden_rows_leave_no_mark_in_the_figures(seed: int, small: Callable[[int], Any], parse: Parse) -> None:
    context = context_of(small(seed), language="en", least_cell=3)
    lines = balance_lines(context)
    picture = love_picture(context, lines)
    shown = sum(difference is not None for line in lines for difference in line.differences)
    assert shown < sum(len(line.differences) for line in lines)
    svg = parse(f"<!DOCTYPE html>{picture.svg}")
    legend = next(node for node in svg.walk() if "legend" in node.attrs.get("id", ""))
    axes = [node for node in svg.walk() if "matplotlib.axis" in node.attrs.get("id", "")]
    elsewhere = [node for part in (legend, *axes) for node in part.all("use")]
    assert len([node for node in svg.all("use") if node not in elsewhere]) == shown


def test_a_table_follows_each_figure(tree: Any) -> None:
    for figure in tree.all("figure"):
        siblings = [child for child in figure.parent.children if not isinstance(child, str)]
        after = siblings[siblings.index(figure) + 1]
        assert after.all("table")


def test_registered_stands_above_exploratory(tree: Any) -> None:
    (table,) = [node for node in tree.all("table") if node.attrs["id"] == "effects-table"]
    groups = [node.text() for node in table.all("th") if node.attrs["scope"] == "rowgroup"]
    assert groups == ["Registered in the plan", "Exploratory: not in the plan"]
    (picture,) = [node for node in tree.all("svg") if node.attrs["aria-labelledby"].startswith("forest")]
    words = [node.text() for node in picture.all("text")]
    assert words.index(groups[0]) < words.index(groups[1])


def test_what_a_reader_must_find(tree: Any, findings: Any) -> None:
    text = " ".join(node.text() for node in tree.all("body"))
    assignment, plan = findings.assignment, findings.plan
    for print_ in (plan.fingerprint, assignment.fingerprint, assignment.frame_fingerprint):
        assert print_ in text
    assert "lottery 2026-11-21: 4 11 19" in text
    assert assignment.mechanism.describe() in text
    assert "kokeilu verify assignment.parquet register.parquet" in text
    assert "A strike." in text
    assert "p adjusted by Holm" in text
    assert "percentage points higher with coach than with usual service" in text
    assert findings.version in text


def test_no_p_is_zero_and_no_stars(tree: Any) -> None:
    (body,) = tree.all("body")
    assert re.findall(r"p\s*[=<]\s*0(?:\.0+)?(?![\d.])", body.text()) == []
    assert "*" not in body.text()


@pytest.mark.parametrize("name", ["page", "small_page"])
def test_nobody_is_named(name: str, request: pytest.FixtureRequest, findings: Any, small: Callable[[int], Any]) -> None:
    text = request.getfixturevalue(name)
    people = findings if name == "page" else small(1)
    assert [one for one in people.assignment.ids.to_list() if str(one) in text] == []


def test_same_findings_same_bytes_whatever_the_settings(findings: Any, tmp_path: Path) -> None:
    first = write_report(findings, tmp_path / "a.html").read_bytes()
    before = dict(mpl.rcParams)
    with mpl.rc_context({"font.size": 20, "axes.grid": True, "svg.fonttype": "path", "lines.linewidth": 9}):
        kept = dict(mpl.rcParams)
        second = write_report(findings, tmp_path / "b.html").read_bytes()
        assert dict(mpl.rcParams) == kept
    assert first == second
    assert dict(mpl.rcParams) == before
    assert b"\r" not in first


def test_small_counts_show_nowhere(small: Callable[[int], Any], small_page: str, parse: Parse) -> None:
    tables = {node.attrs["id"]: node for node in parse(small_page).all("table")}
    for name in ("flow-table-1", "flow-table-others"):
        cells = [cell.text() for cell in tables[name].all("td")]
        assert "hidden" in cells
        assert {"1", "2"} & set(cells) == set()
    assert "Counts above 0 and below 3 are hidden" in small_page


def test_another_threshold(small: Callable[[int], Any], tmp_path: Path, parse: Parse) -> None:
    shown = write_report(small(1), tmp_path / "r.html", least_cell=1).read_text(encoding="utf-8")
    assert "hidden" not in {cell.text() for cell in parse(shown).all("td")}
    masked = write_report(small(1), tmp_path / "r.html", least_cell=10).read_text(encoding="utf-8")
    cells = [c.text() for t in parse(masked).all("table") if t.attrs["id"].startswith("flow") for c in t.all("td")]
    assert {str(n) for n in range(1, 10)} & set(cells) == set()


def test_an_allocation_made_elsewhere_has_no_seed(tmp_path: Path) -> None:
    register = {"id": list(range(40)), "arm": ["control", "coach"] * 20}
    design = kk.Complete(kk.arms(control=1, coach=1))
    plan = kk.Plan(title="Elsewhere", id="id", design=design, outcomes=(kk.Outcome("y"),), analyses=(kk.Analysis("y"),))
    assignment = kk.adopt(register, arm="arm", design=design, id="id")
    outcomes = {"id": register["id"], "y": [float(i % 7) for i in range(40)]}
    findings = analyse(plan, assignment, outcomes, deviations=(Deviation("assignment", "Drawn in 1975."),))
    text = write_report(findings, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "none: the allocation was made elsewhere" in text
    assert "There is no seed to replay." in text
    assert "The plan has no covariates to check." in text


def test_only_tests_and_analyses_that_were_not_made(tmp_path: Path) -> None:
    people = {"id": list(range(30))}
    plan = kk.Plan(
        title="Tests only",
        id="id",
        design=kk.Complete(kk.arms(control=1, coach=1)),
        outcomes=(kk.Outcome("y"), kk.Outcome("z", role="secondary")),
        analyses=(kk.Analysis("y", RandomisationTest(draws=99)), kk.Analysis("z")),
    )
    assignment = enrol(plan, people, seed=7)
    outcomes = {**people, "y": [float(i % 7) for i in range(30)], "z": [1.0] * 30}
    gone = Deviation("estimator", "Everybody has 1.", original="difference in means")
    findings = analyse(plan, assignment, outcomes, deviations=(gone,))
    text = write_report(findings, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "No effects were estimated." in text
    assert "No effect was estimated for this outcome; see the tests below." in text
    assert "Registered analyses that were not made" in text
    assert "whole number" in text
    assert "No register was given" in text


def test_english_parts_are_marked_in_another_language(findings: Any, parse: Parse) -> None:
    context = context_of(findings, language="en", least_cell=3)
    tree = parse(render(replace(context, text=replace(context.text, language="fi"))))
    assert tree.all("html")[0].attrs["lang"] == "fi"
    marked = [node.text() for node in tree.walk() if node.attrs.get("lang") == "en"]
    assert findings.assignment.mechanism.describe() in marked
    assert any(findings.estimates[0].reason in text for text in marked)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda f, d: write_report(f, d / "none" / "r.html"), FileError, r"'r\.html'.*Give a file in a folder"),
        (lambda f, d: write_report(f, d / "r.html", language="enn"), DesignError, "Did you mean 'en'"),
        (lambda f, d: write_report(f, d / "r.html", least_cell=0), DesignError, "least_cell must be at least 1"),
        (lambda f, d: write_report({"a": 1}, d / "r.html"), PlanError, "made from findings.*got dict"),
    ],
)
def test_bad_arguments(call: Any, error: type[Exception], says: str, findings: Any, tmp_path: Path) -> None:
    with pytest.raises(error, match=says):
        call(findings, tmp_path)


def test_what_is_not_installed_is_named(findings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileError, match=r"needs matplotlib and jinja2.*kokeilu\[report\]"):
        write_report(findings, tmp_path / "r.html")
