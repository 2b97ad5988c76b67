"""Matched tuples: who is put together, exact shares, and every law of mechanisms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from kokeilu._kernels.streams import Seed
from kokeilu.core.lottery import cells_of, shares_of
from kokeilu.core.register import read_register
from kokeilu.errors import ColumnError, DataError, DesignError
from kokeilu.testing import mechanism_laws

SMALL = {
    "id": [5, 3, 9, 1, 7, 2, 8],
    "region": ["n", "n", "s", "s", "s", "w", "n"],
    "office": ["a", "a", "b", "c", "c", "d", "e"],
    "age": [30.0, 31.0, 50.0, 51.0, 29.0, 40.0, 30.0],
    "income": [1.0, 5.0, 2.0, 2.0, 9.0, 3.0, 1.0],
    "trade": ["wood", "wood", "steel", "steel", "wood", "care", "wood"],
}
HALVES, QUARTERS = kk.arms(control=1, coaching=1), kk.arms(control=2, coach=1, voucher=1)
THIRDS, ODD = kk.arms(control=1, coaching=2), kk.arms(a="0.45", b="0.45", c="0.1")

INSTANCES = [
    (kk.MatchedTuples(HALVES, on=("age", "income")), SMALL),
    (kk.MatchedTuples(HALVES, on=("age", "trade"), by="region"), SMALL),
    (kk.MatchedTuples(HALVES, on=("age", "income"), distance="rank", leftovers="stratum"), SMALL),
    (kk.MatchedTuples(HALVES, score="age", by="region"), SMALL),
    (kk.MatchedTuples(QUARTERS, score="income"), SMALL),
    (kk.MatchedTuples(THIRDS, on="age"), SMALL),
    (kk.MatchedTuples(ODD, on=("age", "income"), size=4), SMALL),
    (kk.Clustered(kk.MatchedTuples(HALVES, on=("age", "cluster_size")), by="office"), SMALL),
]


@pytest.mark.parametrize(
    ("law", "mechanism", "register"), mechanism_laws(INSTANCES), ids=lambda v: getattr(v, "__name__", "")
)
def test_law_holds(law, mechanism, register):
    law(mechanism, register)


def people(n: int, name: str = "people") -> pd.DataFrame:
    """Return a register in a mixed order."""
    doubles = Seed.of(name).stream("x").doubles(n, 4)
    return pd.DataFrame(
        {
            "id": np.argsort(doubles[:, 3]),
            "age": 20 + 40 * doubles[:, 0],
            "income": 1_000 * doubles[:, 1],
            "region": np.array(["north", "south", "west"])[(3 * doubles[:, 2]).astype(int)],
        }
    )


def bound(mechanism, register):
    population, order = read_register(register, mechanism, id="id")
    return mechanism.bind(population), order


@pytest.mark.parametrize("arms", [HALVES, QUARTERS, THIRDS], ids=["1/2", "1/4", "1/3"])
@pytest.mark.parametrize("match", [{"on": ("age", "income")}, {"score": "income"}], ids=["on", "score"])
def test_whole_tuples_hold_the_exact_numbers_of_each_arm(arms, match):
    lottery, _ = bound(kk.MatchedTuples(arms, by="region", **match), people(121))
    tuples = cells_of(lottery).strata
    codes = lottery.draw(Seed.of("exact").stream("draw"), 50)
    size = np.bincount(tuples).max()
    for arm, share in enumerate(arms.shares):
        for row in codes:
            counts = np.bincount(tuples, weights=row == arm)
            assert (counts[np.bincount(tuples) == size] == size * share).all()
            assert abs(int((row == arm).sum()) - 121 * share) < 1
    np.testing.assert_array_equal(shares_of(lottery), np.tile([float(s) for s in arms.shares], (121, 1)))


def test_pairs_on_a_score_are_neighbours_in_its_order_within_strata():
    register = people(200)
    lottery, order = bound(kk.MatchedTuples(HALVES, score="age", by="region"), register)
    rows = register.iloc[order].reset_index(drop=True).assign(pair=cells_of(lottery).strata)
    for _, region in rows.sort_values(["age"]).groupby("region"):
        expected = np.arange(len(region)) // 2
        assert (region["pair"] - region["pair"].min()).tolist() == expected.tolist()


def test_equal_scores_stand_in_the_order_of_the_ids():
    register = {"id": ["d", "b", "c", "a", "e"], "score": [1, 1, 1, 1, 1]}
    lottery, _ = bound(kk.MatchedTuples(HALVES, score="score"), register)
    assert cells_of(lottery).strata.tolist() == [0, 0, 1, 1, 2]


def test_twins_are_paired():
    half = people(60)
    twins = pd.concat([half, half.assign(id=half["id"] + 1_000, age=half["age"] + 1e-4)])
    lottery, order = bound(kk.MatchedTuples(HALVES, on=("age", "income"), by="region"), twins)
    pair = pd.Series(cells_of(lottery).strata, index=twins["id"].to_numpy()[order])
    assert (pair[half["id"]].to_numpy() == pair[half["id"] + 1_000].to_numpy()).all()


def test_units_of_measurement_and_redundant_columns_change_no_pair():
    register = people(90)
    more = register.assign(age=register["age"] * 365.25, months=register["age"] * 12 + 3, one=1.0)
    plain, _ = bound(kk.MatchedTuples(HALVES, on=("age", "income")), register)
    other, _ = bound(kk.MatchedTuples(HALVES, on=("age", "income", "months", "one")), more)
    np.testing.assert_array_equal(cells_of(plain).strata, cells_of(other).strata)


def test_an_outlier_rules_mahalanobis_pairs_but_not_rank_pairs():
    register = people(40)
    wild = register.assign(income=register["income"].where(register["income"] < register["income"].max(), 1e9))
    rank = kk.MatchedTuples(HALVES, on=("age", "income"), distance="rank")
    np.testing.assert_array_equal(cells_of(bound(rank, register)[0]).strata, cells_of(bound(rank, wild)[0]).strata)
    plain = kk.MatchedTuples(HALVES, on=("age", "income"))
    same = cells_of(bound(plain, register)[0]).strata == cells_of(bound(plain, wild)[0]).strata
    assert not same.all()


def test_only_constant_covariates_give_a_draw_all_the_same():
    register = {"id": list(range(6)), "x": [1.0] * 6}
    lottery, _ = bound(kk.MatchedTuples(HALVES, on="x"), register)
    assert cells_of(lottery).strata.tolist() == [0, 0, 1, 1, 2, 2]


def test_one_person_alone_in_a_stratum_is_drawn_and_arm_totals_stay_balanced():
    register = {"id": list(range(9)), "region": list("aaaabbbcd"), "x": np.arange(9.0)}
    lottery, _ = bound(kk.MatchedTuples(HALVES, on="x", by="region"), register)
    totals = (lottery.draw(Seed.of("alone").stream("draw"), 400) == 1).sum(axis=1)
    assert set(totals.tolist()) == {4, 5}


def test_a_whole_draw_is_verified_saved_and_told(tmp_path):
    register = people(101)
    design = kk.MatchedTuples(HALVES, on=("age", "income"), by="region")
    drawn = kk.randomise(register, design, id="id", seed="pairs")
    assert kk.verify(drawn, register.sample(frac=1, random_state=1)).verified
    kk.save(drawn, tmp_path / "draw.parquet")
    assert kk.load(tmp_path / "draw.parquet").fingerprint == drawn.fingerprint
    moved = register.assign(age=register["age"].where(register["id"] != 7, 90.0))
    assert not kk.verify(drawn, moved).verified
    assert design.describe().startswith("Matched pairs on age, income (Mahalanobis distance) within region")


def test_an_allocation_that_no_draw_gives_is_told():
    lottery, _ = bound(kk.MatchedTuples(HALVES, score="age"), people(20))
    codes = lottery.draw(Seed.of("problem").stream("draw"), 1)[0]
    assert lottery.problem(codes) is None
    assert "arm counts that the shares do not give" in lottery.problem(1 - (np.arange(20) < 10).astype(np.int8) * codes)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "state one of the two"),
        ({"on": "age", "score": "risk"}, "state one of the two"),
        ({"score": ("a", "b")}, "state one of the two"),
        ({"on": "age", "size": 1}, "size must be at least 2"),
        ({"on": "age", "distance": "mahalonobis"}, "Did you mean 'mahalanobis'"),
        ({"on": "age", "leftovers": "drop"}, "leftovers must be one of"),
        ({"on": ("age", "age")}, "names a column twice"),
    ],
)
def test_contradictions_are_refused(arguments, says):
    with pytest.raises(DesignError, match=says):
        kk.MatchedTuples(HALVES, **arguments)


def test_shares_that_need_huge_tuples_ask_for_a_size():
    third = kk.arms(control="0.333", coaching="0.667")
    with pytest.raises(DesignError, match="come out whole only for 1,000 people"):
        kk.MatchedTuples(third, on="age")
    lottery, _ = bound(kk.MatchedTuples(third, on="age", size=3), people(90))
    assert shares_of(lottery)[0].tolist() == [0.333, 0.667]


def test_a_score_in_words_a_missing_covariate_and_an_absent_column_are_refused():
    register = people(20)
    with pytest.raises(DesignError, match="which have no order"):
        kk.randomise(register, kk.MatchedTuples(HALVES, score="region"), id="id", seed="s")
    gap = register.assign(age=register["age"].where(register["age"] > 30))
    with pytest.raises(DataError, match="'age' is missing for"):
        kk.randomise(gap, kk.MatchedTuples(HALVES, on="age"), id="id", seed="s")
    with pytest.raises(ColumnError, match="Did you mean 'income'"):
        kk.randomise(register, kk.MatchedTuples(HALVES, on="incme"), id="id", seed="s")


def test_leftovers_may_be_refused():
    with pytest.raises(DesignError, match="leftovers='refuse'"):
        bound(kk.MatchedTuples(HALVES, score="age", leftovers="refuse"), people(21))


@pytest.mark.parametrize("field", ["size", "distance", "leftovers"])
def test_an_array_for_a_single_value_is_refused(field):
    with pytest.raises(DesignError, match=f"{field} must be"):
        kk.MatchedTuples(kk.arms(a=1, b=1), on="x", **{field: np.array([1.0, 2.0])})


def test_a_score_is_a_column_and_not_what_predicts_it():
    past = {"age": [20.0, 30.0, 40.0, 50.0] * 5, "y": [1.0, 2.0, 3.0, 4.0] * 5}
    learnt = kk.prognostic_score(past, "y", on="age")
    with pytest.raises(DesignError, match=r"got PrognosticScore\. Add the score as a column"):
        kk.MatchedTuples(kk.arms(a=1, b=1), score=learnt)
