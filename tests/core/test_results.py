from __future__ import annotations

import pytest
from scipy import stats

from kokeilu.core.results import Estimate, Estimates, TestResult, number_text, p_text, text_table
from kokeilu.errors import DesignError


def estimate(**changes):
    facts = {
        "outcome": "y", "arm": "b", "reference": "a", "value": 2.0, "error": 1.0, "dof": 10.0,
        "estimator": "DifferenceInMeans", "variance": "Neyman", "reason": "Because.",
        "n": {"a": 5, "b": 7}, "missing": {"a": 1, "b": 0}, "reference_mean": 3.5, **changes,
    }  # fmt: skip
    return Estimate(**facts)


def test_intervals_and_p_values_are_questions():
    e = estimate()
    low, high = e.interval(0.90)
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.95, 10))
    assert e.p_value() == pytest.approx(2 * stats.t.sf(2, 10))
    assert e.p_value(null=2.0) == pytest.approx(1)
    assert e.p_value(alternative="greater") == pytest.approx(stats.t.sf(2, 10))
    assert e.p_value(alternative="less") == pytest.approx(stats.t.cdf(2, 10))
    assert estimate(dof=None).p_value() == pytest.approx(2 * stats.norm.sf(2))


def test_questions_that_have_no_answer():
    with pytest.raises(DesignError, match="level must lie in"):
        estimate().interval(95)
    with pytest.raises(DesignError, match="alternative must be one of 'two-sided', 'greater', 'less'; got 'two sided'"):
        estimate().p_value(alternative="two sided")


def test_rows_hold_the_facts_and_print_as_a_table():
    both = Estimates((estimate(), estimate(outcome="z", registered=True, notes=("A note.",))))
    rows = both.rows()
    assert [row["kind"] for row in rows] == [None, "registered"]
    assert rows[0]["n"] == 12
    assert rows[0]["missing"] == 1
    text = str(both)
    assert "'a' 5 used, 1 missing; 'b' 7 used, 0 missing. Mean under 'a': 3.5000." in text
    assert "z: A note." in text
    assert both.to_frame().shape[0] == both.to_arrow().num_rows == 2
    assert both[:1].items == (both[0],)
    assert [e.registered for e in both.mark(registered=False)] == [False, False]
    assert str(both[0]).startswith("outcome")


def test_what_holds_for_one_contrast_only_names_it():
    people = {"n": {"a": 5, "b": 7, "c": 6}, "missing": {"a": 3, "b": 0, "c": 1}, "absent": {"a": 2, "b": 0, "c": 0}}
    both = Estimates(
        (estimate(**people, notes=("Of both.", "Of b.")), estimate(**people, arm="c", dof=3.0, notes=("Of both.",)))
    )
    text = " ".join(str(both).split())
    assert text.endswith(
        "y: DifferenceInMeans, Neyman. Because. "
        "y: 'a' 5 used, 3 missing (2 not in the table, 1 without a value); 'b' 7 used, 0 missing; "
        "'c' 6 used, 1 missing (0 not in the table, 1 without a value). Mean under 'a': 3.5000. "
        "y: Of both. y, b - a: Of b."
    )


def test_an_effect_on_another_scale_says_so():
    ratio = estimate(scale="log ratio")
    assert list(ratio.rows()[0])[:4] == ["outcome", "contrast", "scale", "effect"]
    assert "scale" not in estimate().rows()[0]
    assert [row["scale"] for row in Estimates((estimate(), ratio)).rows()] == [None, "log ratio"]


def test_a_test_prints_its_monte_carlo_error():
    result = TestResult(
        name="randomisation", outcome="y", arm="b", reference="a", statistic=1.0, p_value=0.03, draws=99,
        exact=False, p_error=0.01, n={"a": 1, "b": 1}, missing={"a": 0, "b": 0}, reason="Why.", interval=(0.0, 1.0),
    )  # fmt: skip
    assert result.rows()[0]["p_error"] == 0.01
    assert "Why." in str(result)
    assert "'a' 1 used, 0 missing; 'b' 1 used, 0 missing." in str(result)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (float("nan"), "-"), (True, "yes"), (1234567, "1,234,567"), (0.5, "0.5000"), (1234.5, "1,234.50"),
     (0.00001, "1.0e-05"), (0.0, "0.0000"), (-1.6e-16, "0.0000"), ("x", "x"), (0.0007, "0.0007"),
     (29593.0, "29,593"), (670.9965, "671.00"), (-25.05, "-25.050")],
)  # fmt: skip
def test_numbers_as_text(value, text):
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("p", "text"), [(0.0, "<0.001"), (0.0004, "<0.001"), (0.0006, "0.001"), (0.0496, "0.050"), (1.0, "1.000")]
)
def test_p_is_rounded_and_never_nought(p, text):
    assert p_text(p) == text


def test_a_table_without_rows():
    assert text_table([]) == "(no rows)"
