"""A plan checks itself, fixes its fingerprint, and comes back from JSON as it was."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kokeilu as kk
from kokeilu.errors import DesignError, FileError, KokeiluError, PlanError
from kokeilu.plan.plan import Plan, design_arms

Make = Callable[..., Plan]
ARMS = kk.arms(control=1, coaching=1)


def simple(**changes: Any) -> Plan:
    stated: dict[str, Any] = {"title": "Coach", "id": "person", "design": kk.Complete(ARMS)}
    stated |= {"outcomes": (kk.Outcome("work"),), "analyses": (kk.Analysis("work"),)}
    return Plan(**{**stated, **changes})


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"title": " "}, PlanError, "title of the plan is empty"),
        ({"title": 3}, PlanError, "title of the plan must be text"),
        ({"design": "stratified"}, DesignError, "design must be a mechanism"),
        ({"outcomes": ()}, PlanError, "outcomes of the plan must be.*it has none"),
        ({"outcomes": ("work",)}, PlanError, "outcomes of the plan must be.*it holds str"),
        ({"outcomes": (kk.Outcome("work"),) * 2}, PlanError, "'work' stands twice"),
        ({"outcomes": (kk.Outcome("work", role="secondary"),)}, PlanError, "no primary outcome"),
        ({"outcomes": (kk.Outcome("work"), kk.Outcome("grade"))}, PlanError, "'grade' has no analysis"),
        ({"analyses": ()}, PlanError, "analyses of the plan must be.*it has none"),
        ({"analyses": (kk.Analysis("wrok"),)}, PlanError, "no outcome 'wrok'. Did you mean 'work'"),
        ({"analyses": (kk.Analysis("work"),) * 2}, PlanError, "'work by the design' stands twice"),
        ({"analyses": (kk.Analysis("work", name="a"), kk.Analysis("work", name="b"))}, PlanError, "'b' stands twice"),
        ({"analyses": (kk.Analysis("work", contrasts=(("coach", "control"),)),)}, DesignError, "mean 'coaching'"),
        (
            {
                "outcomes": (kk.Outcome("work"), kk.Outcome("grade", role="secondary")),
                "analyses": (kk.Analysis("work", kk.Regression(covariates=("grade",))),),
            },
            PlanError,
            "covariate 'grade' is an outcome",
        ),
        ({"id": "area", "design": kk.Stratified(ARMS, by="area")}, PlanError, "'area' is the id and also a column"),
        ({"id": ("a", "b")}, PlanError, "id must be one column"),
        ({"id": "work"}, PlanError, "'work' is also the id"),
        ({"balance": ("work",)}, PlanError, "'work' is also a column of the design or of the balance check"),
        ({"balance": ("person",)}, PlanError, "'person' is the id and cannot be checked"),
        ({"balance": ("age", "age")}, DesignError, "names a column twice"),
        ({"family": "holm"}, PlanError, "family of the plan must be"),
        ({"family": kk.Holm}, PlanError, "family of the plan must be"),
        ({"description": None}, PlanError, "description of the plan must be text"),
    ],
)
def test_a_plan_that_contradicts_itself_cannot_exist(
    changes: dict[str, Any], error: type[KokeiluError], says: str
) -> None:
    with pytest.raises(error, match=says):
        simple(**changes)


def test_the_fingerprint_is_known() -> None:
    """A change of this value breaks every published plan: it needs a new schema."""
    plan = simple()
    assert plan.to_json() == (
        '{"analyses":[{"contrasts":null,"estimator":null,"kind":"analysis","name":"work by the design",'
        '"outcome":"work"}],"balance":[],"description":"","design":{"arms":{"items":[["control","1","2"],'
        '["coaching","1","2"]],"kind":"arms"},"kind":"complete","leftovers":"balanced"},'
        '"family":{"alpha":0.05,"kind":"Holm"},"id":"person","outcomes":[{"description":"","kind":"outcome",'
        '"maximum":null,"minimum":null,"missing":"complete cases","name":"work","role":"primary","unit":""}],'
        '"schema":"kokeilu-plan/1","title":"Coach"}'
    )
    assert plan.fingerprint == "0b5d2434ed785ade0e5fc7e4df3dfce23d6564e45cc885f724b0b10ec52aa429"


DESIGNS = [
    kk.Complete(ARMS),
    kk.Bernoulli(ARMS),
    kk.Stratified(ARMS, by="area"),
    kk.Stratified({"Pori": kk.arms(control=1, coaching=2), "Lapland": ARMS}, by="area"),
    kk.Clustered(kk.Stratified(ARMS, by="area"), by="office"),
]


@pytest.mark.parametrize("design", DESIGNS, ids=lambda d: type(d).__name__)
def test_the_round_trip_gives_the_same_plan_and_the_same_draw(design: Any, people: pd.DataFrame) -> None:
    register = people.assign(office=[f"{area}{i % 5}" for i, area in enumerate(people["area"])])
    plan = simple(design=design)
    back = Plan.from_json(plan.to_json())
    assert back == plan
    assert back.fingerprint == plan.fingerprint
    one, other = (kk.enrol(p, register, seed="published") for p in (plan, back))
    assert one.fingerprint == other.fingerprint
    assert (one.codes == other.codes).all()


@given(
    title=st.text(min_size=1).filter(str.strip),
    unit=st.text(),
    low=st.floats(-1e300, 1e300),
    alpha=st.floats(0, 1, exclude_min=True, exclude_max=True),
    share=st.fractions(Fraction(1, 1000), Fraction(999, 1000), max_denominator=2**40),
)
def test_every_plan_comes_back(title: str, unit: str, low: float, alpha: float, share: Fraction) -> None:
    plan = simple(
        title=title,
        design=kk.Complete(kk.arms(control=share, coaching=1 - share)),
        outcomes=(kk.Outcome("work", unit=unit, minimum=low),),
        family=kk.Holm(alpha=alpha),
    )
    back = Plan.from_json(plan.to_json())
    assert back == plan
    assert back.to_json() == plan.to_json()


def test_the_order_of_arms_and_analyses_enters_the_fingerprint(make_plan: Make, plan: Plan) -> None:
    turned = make_plan(design=kk.Stratified(kk.arms(coaching=1, control=1, subsidy=1), by="area"))
    assert turned.fingerprint != plan.fingerprint
    assert make_plan(analyses=plan.analyses[::-1]).fingerprint != plan.fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "Coach 2"},
        {"description": "x"},
        {"balance": ()},
        {"family": kk.Bonferroni()},
        {"family": kk.Holm(alpha=0.1)},
        {"analyses": (kk.Analysis("work"), kk.Analysis("grade", kk.Regression(covariates=("age",), errors="HC3")))},
        {"outcomes": (kk.Outcome("work", minimum=0, maximum=2), kk.Outcome("grade", role="secondary"))},
    ],
)
def test_every_part_enters_the_fingerprint(make_plan: Make, plan: Plan, changes: dict[str, Any]) -> None:
    assert make_plan(**changes).fingerprint != plan.fingerprint


def test_composed_and_decomposed_text_is_one_plan() -> None:
    def stated(name: str) -> Plan:
        design = kk.Stratified(kk.arms({f"{name} 0": 1, f"{name} 1": 1}), by=f"{name} alue")
        analysis = kk.Analysis(name, contrasts=((f"{name} 1", f"{name} 0"),))
        return simple(title=name, design=design, outcomes=(kk.Outcome(name),), analyses=(analysis,))

    assert stated("Ma\u0308ki") == stated("M\u00e4ki")
    assert stated("Ma\u0308ki").fingerprint == stated("M\u00e4ki").fingerprint


def edited(plan: Plan, edit: Callable[[dict[str, Any]], Any]) -> str:
    data = json.loads(plan.to_json())
    edit(data)
    return json.dumps(data)


@pytest.mark.parametrize(
    ("edit", "error", "says"),
    [
        (lambda d: d.update(titel="x"), PlanError, "the plan has no key 'titel'. Did you mean 'title'"),
        (lambda d: d["outcomes"][0].update(rolle="x"), PlanError, "outcome has no field 'rolle'. Did you mean 'role'"),
        (lambda d: d["design"].update(bye="x"), PlanError, "stratified has no field 'bye'. Did you mean 'by'"),
        (lambda d: d["family"].update(kind="Hollm"), PlanError, "kind 'Hollm'. Did you mean 'Holm'"),
        (lambda d: d.pop("family"), PlanError, "lacks 'family'"),
        (lambda d: d["outcomes"][0].pop("name"), PlanError, "lacks the field 'name'"),
        (lambda d: d.update(schema="kokeilu-plan/2"), PlanError, "not of schema 'kokeilu-plan/1'"),
        (lambda d: d.pop("schema"), PlanError, "has no 'schema'"),
        (lambda d: d.update(title=""), PlanError, "title of the plan is empty"),
        (lambda d: d.update(design={"kind": "Holm", "alpha": 0.05}), DesignError, "design must be a mechanism"),
        (lambda d: d.update(outcomes=None), PlanError, "outcomes of the plan must be"),
    ],
)
def test_json_that_is_no_plan_is_refused(plan: Plan, edit: Any, error: type[KokeiluError], says: str) -> None:
    with pytest.raises(error, match=says):
        Plan.from_json(edited(plan, edit))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.just("kind"), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [path, *(deeper for key in keys for deeper in places(value[key], (*path, key)))]


@given(design=st.sampled_from(range(5)), place=st.integers(0, 10**6), value=JSON)
def test_whatever_stands_in_the_json_the_error_is_ours(design: int, place: int, value: Any) -> None:
    data = json.loads(simple(design=DESIGNS[design]).to_json())
    *path, last = (choices := places(data)[1:])[place % len(choices)]
    target = data
    for key in path:
        target = target[key]
    target[last] = value
    try:
        plan = Plan.from_json(json.dumps(data))
    except KokeiluError:
        return
    assert Plan.from_json(plan.to_json()) == plan


def test_a_cut_text_is_refused(plan: Plan) -> None:
    text = plan.to_json()
    for end in range(0, len(text), 50):
        with pytest.raises(FileError, match="the plan (ends in the middle|is empty)"):
            Plan.from_json(text[:end])


@pytest.mark.parametrize("text", ["[1]", "3", "null"])
def test_other_json_is_no_plan(text: str) -> None:
    with pytest.raises(PlanError, match="the plan is not a plan"):
        Plan.from_json(text)


def test_a_plan_is_read_from_text() -> None:
    with pytest.raises(PlanError, match="read from text; got bytes"):
        Plan.from_json(b"{}")  # type: ignore[arg-type]


def test_a_plan_is_frozen_and_prints_itself(plan: Plan) -> None:
    with pytest.raises(AttributeError, match="title"):
        plan.title = "Another"  # type: ignore[misc]
    text = str(plan)
    assert plan.fingerprint in text
    assert "balance of age" in text
    assert "primary outcome 'work'; at least 0 and at most 1" in text
    assert plan.primary == ("work",)


def test_arms_are_found_behind_wrappers() -> None:
    assert [design_arms(design) is not None for design in DESIGNS] == [True] * 5
    assert design_arms(object()) is None


def test_another_process_gives_the_same_fingerprint() -> None:
    code = (
        "import sys; from kokeilu.plan.plan import Plan;"
        "sys.stdout.write(Plan.from_json(sys.stdin.buffer.read().decode()).fingerprint)"
    )
    plan = simple(title="Mäki", design=DESIGNS[3])
    done = subprocess.run([sys.executable, "-c", code], input=plan.to_json().encode(), capture_output=True, check=True)
    assert done.stdout.decode() == plan.fingerprint


def test_contrasts_written_out_are_the_default_ones(make_plan: Callable[..., kk.Plan]) -> None:
    written = kk.Analysis("work", contrasts=(("coaching", "control"), ("subsidy", "control")), name="again")
    with pytest.raises(PlanError, match="analysis 'again' stands twice"):
        make_plan(analyses=(kk.Analysis("work"), written))
