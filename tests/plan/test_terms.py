"""Outcomes and analyses check themselves."""

from __future__ import annotations

from typing import Any

import pytest

import kokeilu as kk
from kokeilu.errors import DesignError, PlanError


class Unknown:
    """An estimator that nobody registered."""

    def estimate(self, view: Any, contrasts: Any = None) -> Any:
        """Never called."""


@pytest.mark.parametrize(
    ("name", "stated", "error", "says"),
    [
        ("", {}, PlanError, "name of an outcome is empty"),
        (3, {}, PlanError, "must be a column name"),
        ("work", {"role": "primry"}, DesignError, "Did you mean 'primary'"),
        ("work", {"minimum": 1, "maximum": 0}, PlanError, "minimum 1 is not below maximum 0"),
        ("work", {"minimum": float("nan")}, PlanError, "minimum must be a finite number"),
        ("work", {"maximum": "1"}, PlanError, "maximum must be a finite number or None; got str"),
        ("work", {"missing": "impute"}, DesignError, "missing must be one of 'complete cases'"),
        ("work", {"unit": 3}, PlanError, "unit must be text"),
    ],
)
def test_bad_outcomes(name: Any, stated: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        kk.Outcome(name, **stated)


@pytest.mark.parametrize(
    ("estimator", "stated", "says"),
    [
        ("ols", {}, "estimator must be a specification.*got str"),
        (kk.Regression, {}, r"the class Regression; write Regression\(\)"),
        (kk.Holm(), {}, "estimator must be a specification.*got Holm"),
        (Unknown(), {}, "estimator Unknown is of a class that is not registered"),
        (None, {"contrasts": ()}, "contrasts must be pairs"),
        (None, {"contrasts": ("coaching", "control")}, "contrasts must be pairs"),
        (None, {"contrasts": "coaching"}, "contrasts must be pairs"),
        (None, {"contrasts": (("coaching", "coaching"),)}, "names one arm twice"),
        (None, {"contrasts": (("coaching", "control"),) * 2}, "stands twice"),
        (None, {"name": 3}, "name must be text"),
    ],
)
def test_bad_analyses(estimator: Any, stated: dict[str, Any], says: str) -> None:
    with pytest.raises(PlanError, match=says):
        kk.Analysis("work", estimator, **stated)


@pytest.mark.parametrize("field", ["registered", "kind", "role"])
def test_nobody_can_say_that_an_analysis_is_registered(field: str) -> None:
    with pytest.raises(TypeError, match=field):
        kk.Analysis("work", **{field: True})
    with pytest.raises(AttributeError, match="cannot assign|no attribute|object attribute"):
        object.__setattr__(kk.Analysis("work"), field, True)


def test_names_say_outcome_and_estimator() -> None:
    assert kk.Analysis("work").name == "work by the design"
    assert kk.Analysis("work", kk.RandomisationTest()).name == "work by RandomisationTest"
    assert kk.Analysis("work", name="main").name == "main"
    assert str(kk.Analysis("work")) == "analysis 'work by the design': the estimator of the design"


def test_outcomes_say_their_definition() -> None:
    outcome = kk.Outcome("grade", role="secondary", unit="grade", minimum=4, maximum=10)
    assert str(outcome) == "secondary outcome 'grade'; grade; at least 4 and at most 10"
    assert kk.Outcome("days", minimum=0).bounds() == "at least 0"


def test_texts_and_specifications_are_composed() -> None:
    analysis = kk.Analysis("tyo\u0308ssa\u0308", kk.Regression(covariates=("ika\u0308",)))
    assert analysis.outcome == "ty\u00f6ss\u00e4"
    assert analysis.covariates == ("ik\u00e4",)


@pytest.mark.parametrize(
    ("stated", "says"),
    [
        ({"draws": 0}, "draws must be at least 1"),
        ({"studentise": 1}, "studentise must be True or False"),
        ({"alternative": "both"}, "alternative must be one of"),
        ({"covariates": ("age", "age")}, "names a column twice"),
    ],
)
def test_bad_randomisation_tests(stated: dict[str, Any], says: str) -> None:
    with pytest.raises(DesignError, match=says):
        kk.RandomisationTest(**stated)
