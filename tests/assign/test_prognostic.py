"""The prognostic score: against closed forms, with gaps and unknown levels, and in a design."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from kokeilu._kernels.ridge import ridge
from kokeilu._kernels.streams import Seed
from kokeilu.errors import ColumnError, DataError, DesignError


def cohort(n: int, name: str) -> pd.DataFrame:
    doubles = Seed.of(name).stream("cohort").doubles(n, 5)
    trade = np.array(["wood", "steel", "care"])[(3 * doubles[:, 2]).astype(int)]
    age = 20 + 40 * doubles[:, 0]
    earnings = 100 * age + 3_000 * (trade == "care") + 2_000 * (doubles[:, 3] + doubles[:, 4])
    return pd.DataFrame({"age": age, "noise": doubles[:, 1], "trade": trade, "earnings": earnings})


PAST, NOW = cohort(2_000, "past"), cohort(500, "now")
ON = ("age", "noise", "trade")


def test_the_score_finds_what_predicts():
    score = kk.prognostic_score(PAST, "earnings", on=ON)
    assert np.corrcoef(score.predict(NOW), NOW["earnings"])[0, 1] > 0.85
    by_term = {(row["covariate"], row["level"]): row["coefficient"] for row in score.rows()}
    assert by_term["age", ""] == pytest.approx(100, rel=0.05)
    assert by_term["trade", "care"] - by_term["trade", "wood"] == pytest.approx(3_000, rel=0.05)
    assert score.predict(PAST).mean() == pytest.approx(PAST["earnings"].mean())


def test_a_small_penalty_is_least_squares():
    score = kk.prognostic_score(PAST.assign(earnings=3 * PAST["age"] - PAST["noise"]), "earnings", on=("age", "noise"))
    np.testing.assert_allclose(score.predict(NOW), 3 * NOW["age"] - NOW["noise"], rtol=1e-4)
    assert score.left_out_r2 == pytest.approx(1, abs=1e-6)


def test_left_out_r2_is_what_refitting_without_each_person_gives():
    x = Seed.of("loo").stream("x").doubles(30, 3)
    y = x @ [1.0, 2, 0] + Seed.of("loo").stream("e").doubles(30, 1)[:, 0]
    centred = x - x.mean(axis=0)
    fit = ridge(centred, y - y.mean())
    errors, alone = [], []
    for i in range(30):
        rest = np.arange(30) != i
        mean_x, mean_y = x[rest].mean(axis=0), y[rest].mean()
        inside = x[rest] - mean_x
        coef = np.linalg.solve(inside.T @ inside + fit.penalty * np.eye(3), inside.T @ (y[rest] - mean_y))
        errors.append(y[i] - mean_y - (x[i] - mean_x) @ coef)
        alone.append(y[i] - mean_y)
    assert fit.left_out_r2 == pytest.approx(1 - np.square(errors).sum() / np.square(alone).sum(), rel=1e-9)


def test_the_penalty_has_the_least_generalised_cross_validation():
    x = Seed.of("gcv").stream("x").doubles(40, 6)
    x -= x.mean(axis=0)
    y = Seed.of("gcv").stream("y").doubles(40, 1)[:, 0]
    y -= y.mean()
    fit = ridge(x, y)

    def gcv(penalty):
        hat = x @ np.linalg.solve(x.T @ x + penalty * np.eye(6), x.T)
        return 40 * np.square(y - hat @ y).sum() / (39 - np.trace(hat)) ** 2

    assert gcv(fit.penalty) <= min(gcv(c) for c in 40 * np.logspace(-6, 6, 61)) * (1 + 1e-9)


def test_noise_predicts_nothing_and_says_so():
    score = kk.prognostic_score(PAST, "earnings", on="noise")
    assert score.left_out_r2 < 0.01
    assert "predicting each from the others" in str(score)


def test_gaps_and_unknown_levels_count_as_the_average_person():
    gaps = PAST.assign(age=PAST["age"].where(PAST.index % 4 > 0), earnings=PAST["earnings"].where(PAST.index % 10 > 0))
    score = kk.prognostic_score(gaps, "earnings", on=ON)
    assert (score.people, score.unobserved) == (1_800, 200)
    assert ("age", "missing") in {(row["covariate"], row["level"]) for row in score.rows()}
    odd = pd.DataFrame({"age": [40.0], "noise": [0.5], "trade": ["juggling"]})
    usual = [float(score.predict(odd.assign(trade=t))[0]) for t in ("wood", "steel", "care")]
    assert min(usual) < float(score.predict(odd)[0]) < max(usual)
    assert np.isfinite(score.predict(odd.assign(age=np.nan))).all()


def test_the_order_and_the_kind_of_a_table_do_not_matter():
    score = kk.prognostic_score(PAST, "earnings", on=ON)
    turned = kk.prognostic_score(PAST[::-1], "earnings", on=ON)
    np.testing.assert_allclose(score.predict(NOW), turned.predict(NOW), rtol=1e-9)
    np.testing.assert_array_equal(score.predict(NOW[::-1])[::-1], score.predict(NOW))
    np.testing.assert_array_equal(score.predict(NOW.astype({"trade": "category"})), score.predict(NOW))


def test_pairs_on_the_score_are_more_alike_in_the_outcome_than_strata_by_chance():
    score = kk.prognostic_score(PAST, "earnings", on=ON)
    register = NOW.assign(id=range(500), score=score.predict(NOW))
    drawn = kk.randomise(
        register, kk.MatchedTuples(kk.arms(control=1, coaching=1), score="score"), id="id", seed="score"
    )
    pairs = drawn.lottery.cells().strata
    outcome = register["earnings"].to_numpy()
    gaps = np.array([np.ptp(outcome[pairs == p]) for p in range(250)])
    assert np.mean(gaps**2) / 2 < 0.3 * outcome.var()


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"on": ()}, DesignError, "needs covariates"),
        ({"on": ("age", "earnings")}, DesignError, "both the outcome and a covariate"),
        ({"on": "aeg"}, ColumnError, "Did you mean 'age'"),
        ({"outcome": "trade", "on": "age"}, ColumnError, "a number is needed"),
        ({"past": PAST.head(8)}, DataError, "at least 10"),
        ({"past": PAST.assign(earnings=5.0)}, DataError, "the same for everybody"),
    ],
)
def test_bad_arguments_are_refused(changes, error, says):
    arguments = {"past": PAST, "outcome": "earnings", "on": ON, **changes}
    with pytest.raises(error, match=says):
        kk.prognostic_score(arguments["past"], arguments["outcome"], on=arguments["on"])


def test_a_covariate_that_changed_its_kind_is_refused():
    score = kk.prognostic_score(PAST, "earnings", on=ON)
    with pytest.raises(ColumnError, match="was text in the earlier cohort and is numbers now"):
        score.predict(NOW.assign(trade=1.0))
