"""What other software gets wrong, as rules; and what each choice of check_balance does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from kokeilu.errors import ColumnError, DataError, DesignError

TWO, THREE = kk.arms(control=1, coaching=1), kk.arms(control=1, coaching=1, letter=1)
KINDS = ("mahalanobis", "F", "max", "energy", "kernel")


def register(n: int = 90) -> pd.DataFrame:
    rng = np.random.default_rng(11)
    frame = pd.DataFrame({"id": np.arange(n), "age": rng.integers(20, 60, n), "pay": rng.lognormal(8, 1, n).round()})
    frame["area"] = np.where(np.arange(n) % 3 == 0, "south", "north")
    frame["office"] = np.arange(n) // 6
    frame["school"] = rng.choice(["basic", "higher", "upper"], n)
    frame["weight"] = rng.integers(1, 4, n).astype(float)
    return frame


def drawn(design: Any = None, table: pd.DataFrame | None = None, seed: str = "rules") -> Any:
    frame = register() if table is None else table
    return kk.randomise(frame, kk.Stratified(THREE, by="area") if design is None else design, id="id", seed=seed)


@pytest.mark.parametrize("kind", KINDS)
def test_units_of_measurement_do_not_matter(kind: str) -> None:
    table = register()
    first = kk.check_balance(drawn(), table, on=("age", "pay", "school"), draws=99, statistic=kind).omnibus
    scaled = table.assign(age=table["age"] * 1e6 + 1e7, pay=table["pay"] / 1e7)
    again = kk.check_balance(drawn(), scaled, on=("age", "pay", "school"), draws=99, statistic=kind).omnibus
    assert again.statistic == pytest.approx(first.statistic, rel=1e-6)
    assert again.p_value == first.p_value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "design",
    [
        kk.Bernoulli(THREE),
        kk.Clustered(kk.Complete(THREE), by="office"),
        kk.Stratified({"north": kk.arms(control=1, coaching=2), "south": TWO}, by="area"),
        kk.GramSchmidtWalk(TWO, on=("age", "pay")),
    ],
    ids=["alone", "clusters", "unequal shares", "walk"],
)
def test_every_statistic_respects_every_lottery(kind: str, design: Any) -> None:
    test = kk.check_balance(drawn(design), register(), on=("age", "pay"), draws=99, statistic=kind).omnibus
    assert 0.01 <= test.p_value <= 1.0
    assert np.isfinite(test.statistic)


@pytest.mark.parametrize("kind", ["mahalanobis", "max", "energy", "kernel"])
def test_more_covariates_than_units_do_not_make_the_test_degenerate(kind: str) -> None:
    rng = np.random.default_rng(5)
    table = register(48).drop(columns=["age", "pay", "school", "area", "weight"])
    for j in range(30):
        table[f"x{j}"] = np.exp(rng.normal(size=48))
    names = [f"x{j}" for j in range(30)]
    assignment = drawn(kk.Clustered(kk.Complete(TWO), by="office"), table, seed="crowded")
    shifted = table.assign(**{name: table[name] + 6.0 * assignment.codes for name in names[:15]})
    test = kk.check_balance(assignment, shifted, on=names, statistic=kind).omnibus
    assert test.exact
    assert test.p_value <= 2 / 70
    if kind == "mahalanobis":
        assert "too many for 8 clusters" in test.notes[0]


def test_an_f_with_more_covariates_than_people_is_refused() -> None:
    table = register(12).assign(**{f"x{j}": np.random.default_rng(j).normal(size=12) for j in range(12)})
    with pytest.raises(DesignError, match="leave no degrees of freedom for 12 people"):
        kk.check_balance(drawn(kk.Complete(TWO), table), table, on=[f"x{j}" for j in range(12)], statistic="F")


def test_distances_of_all_pairs_are_for_some_thousands_of_people() -> None:
    table = pd.DataFrame({"id": np.arange(5_001), "x": np.arange(5_001) % 7})
    with pytest.raises(DesignError, match="too many"):
        kk.check_balance(drawn(kk.Complete(TWO), table), table, on="x", statistic="energy")


def test_the_size_of_clusters_is_no_covariate_unless_asked_for() -> None:
    design = kk.Clustered(kk.Complete(TWO), by="office")
    test = kk.check_balance(drawn(design), register(), on=("age", "pay"), draws=99).omnibus
    assert any("on 2 degrees" in note for note in test.notes)


def test_all_arms_count_and_pairs_are_named() -> None:
    balance = kk.check_balance(drawn(), register(), on="age", draws=19, contrasts="all")
    row = balance.rows()[0]
    assert {"std_difference coaching", "std_difference letter", "std_difference letter - coaching"} <= set(row)
    line = balance.lines[0]
    assert row["largest"] == max(abs(one.std_difference or 0.0) for one in line.contrasts)
    back, forth = line.contrast("coaching", "letter"), line.contrast("letter", "coaching")
    assert back.difference == -(forth.difference or 0.0)
    assert back.variance_ratio == pytest.approx(1 / (forth.variance_ratio or 1.0))
    assert back.ks == forth.ks
    one = kk.check_balance(drawn(), register(), on="age", draws=19, contrasts=(("coaching", "letter"),))
    assert "std_difference coaching - letter" in one.rows()[0]


def test_intended_unequal_shares_are_no_imbalance() -> None:
    table = register()
    assignment = drawn(kk.Stratified({"north": kk.arms(control=1, coaching=4), "south": TWO}, by="area"))
    balance = kk.check_balance(assignment, table.assign(south=(table["area"] == "south") * 1), on="south", draws=99)
    assert balance.lines[0].std_differences["coaching"] == pytest.approx(0.0, abs=1e-12)
    counts = kk.check_counts(assignment)
    assert (counts.fixed, counts.breaches, counts.ratio) == (True, (), None)


def test_weights_are_repeated_rows() -> None:
    table = register()
    assignment = drawn(kk.Bernoulli(TWO))
    balance = kk.check_balance(assignment, table, on=("age", "pay"), weights="weight", draws=99)
    again = np.repeat(np.arange(len(table)), table["weight"].astype(int))
    codes = pd.Series(assignment.codes, index=assignment.ids.values)[table["id"]].to_numpy()
    for line in balance.lines:
        for k, arm in enumerate(("control", "coaching")):
            rows = again[codes[again] == k]
            assert line.means[arm] == pytest.approx(table[line.covariate].to_numpy()[rows].mean(), rel=1e-12)
    assert any("weighted by 'weight'" in note for note in balance.notes)
    plain = kk.check_balance(assignment, table.assign(weight=2.0), on=("age", "pay"), weights="weight", draws=99)
    assert plain.omnibus.p_value == kk.check_balance(assignment, table, on=("age", "pay"), draws=99).omnibus.p_value


@pytest.mark.parametrize(("weight", "match"), [(0.0, "not above 0"), (np.nan, "missing for 1 person")])
def test_weights_are_checked(weight: float, match: str) -> None:
    table = register()
    table.loc[3, "weight"] = weight
    with pytest.raises(DataError, match=match):
        kk.check_balance(drawn(), table, on="age", weights="weight")


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"contrasts": "each"}, "contrasts must be one of 'all'"),
        ({"contrasts": (("coaching",),)}, "pairs of arm names"),
        ({"contrasts": (("coaching", "coaching"),)}, "with itself"),
        ({"contrasts": ()}, "empty"),
        ({"denominator": "pool"}, "Did you mean 'pooled'"),
        ({"statistic": "enrgy"}, "Did you mean 'energy'"),
    ],
)
def test_choices_are_checked(given: dict[str, Any], match: str) -> None:
    with pytest.raises(DesignError, match=match):
        kk.check_balance(drawn(), register(), on="age", **given)


def test_text_of_numbers_with_a_comma_is_refused_in_every_step() -> None:
    table = register().assign(pay_text=[f"{x / 10:.1f}".replace(".", ",") for x in range(90)])
    assignment = drawn(kk.Complete(TWO), table)
    for step in (
        lambda: kk.check_balance(assignment, table, on="pay_text"),
        lambda: kk.model_tests(assignment, table, on="pay_text"),
        lambda: kk.estimate_effects(assignment, table.assign(y=table["age"] * 1.0), "y", covariates=("pay_text",)),
        lambda: drawn(kk.MatchedTuples(TWO, on=("pay_text",)), table),
    ):
        with pytest.raises(ColumnError, match="decimal comma"):
            step()


def test_p_values_are_rounded_and_the_denominator_is_named() -> None:
    text = str(kk.check_balance(drawn(), register(), on="age", draws=19))
    assert "two arms' average variance" in text
    assert "largest: the largest standardised difference" in text


def test_clusters_are_compared_by_their_means() -> None:
    table = register()
    home = table["id"] // 3 * 3 + (table["area"] == "south")
    assignment = drawn(kk.Clustered(kk.Stratified(TWO, by="area"), by="home"), table.assign(home=home))
    found = kk.check_balance(assignment, table, on="age", draws=99).clusters
    assert found is not None
    assert sum(found.clusters.values()) == 60
    assert found.lines[0].icc is not None
    assert "Means of the 60 clusters of 'home'" in str(found)


def test_model_tests_say_that_they_do_not_know_the_lottery() -> None:
    table = register()
    found = kk.model_tests(drawn(kk.Clustered(kk.Complete(TWO), by="office")), table, on=("age", "pay", "school"))
    names = [one.name for one in found.items]
    assert {"F with CR1 errors", "F with CR2 errors (HTZ)", "likelihood ratio of a logit"} <= set(names)
    assert "none of these knows the lottery" in str(found)
    assert "left out: school: upper" in str(found)
    nothing = kk.model_tests(drawn(kk.Complete(TWO)), table.assign(e=1.0), on="e")
    assert all(one.p_value is None for one in nothing.items)
    perfect = drawn(kk.Complete(TWO))
    split = kk.model_tests(perfect, table.assign(e=perfect.codes), on="e")
    assert {one.name: one for one in split.items}["F of the arm"].p_value is not None
