"""What would be silently wrong is refused, with a reason and what to do instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

import kokeilu as kk
from kokeilu.errors import ColumnError, DesignError, EstimationError

N = 40
TWO = kk.arms(control=1, coaching=1)
PEOPLE = pd.DataFrame(
    {
        "id": range(N),
        "area": [i // 10 for i in range(N)],
        "office": [i // 5 for i in range(N)],
        "pair": [i // 2 for i in range(N)],
        "age": [20 + i % 17 for i in range(N)],
        "worked": [float(i % 3) for i in range(N)],
    }
)
AFTER = PEOPLE[["id", "age", "worked"]].assign(y=[float(i * 7 % 13) for i in range(N)], mood=[i % 5 for i in range(N)])
TURNS = ["coaching" if i % 2 else "control" for i in range(N)]
BY_OFFICE = ["coaching" if (i // 5) % 2 else "control" for i in range(N)]
STRATA = kk.Stratified(TWO, by="area")
OFFICES: Any = kk.Clustered(kk.Complete(TWO), by="office")
PAIRS = kk.Stratified(TWO, by="pair")


def adopted(design: Any, arm: list[str], **how: Any) -> kk.Assignment:
    return kk.adopt(PEOPLE.assign(arm=arm), arm="arm", design=design, id="id", **how)


# ---------------------------------------------------------------- a block without an arm


def test_a_block_without_an_arm() -> None:
    lacking = ["control" if i < 10 else arm for i, arm in enumerate(TURNS)]
    with pytest.raises(DesignError, match="1 stratum of 4 has arm counts that the shares do not give"):
        adopted(STRATA, lacking)


def test_a_block_that_lost_an_arm_is_refused_by_what_needs_both() -> None:
    trial = adopted(STRATA, TURNS)
    lost = AFTER[[i >= 10 or i % 2 == 0 for i in range(N)]]
    with pytest.raises(EstimationError, match="1 of 4 strata lack one of the two arms: the sharp bound needs means"):
        kk.estimate_effects(trial, lost, "y", estimator=kk.DifferenceInMeans(errors="sharp"))
    with pytest.raises(EstimationError, match="strat"):
        kk.estimate_effects(trial, lost, "y", estimator=kk.StratifiedRegression())
    # What can do without says so: its weights are 1 / share, and the stratum keeps its people.
    assert "1 of 4 strata lack one of the two arms" in kk.estimate_effects(trial, lost, "y")[0].reason


# ---------------------------------------------------------------- a split cluster


def test_a_split_cluster() -> None:
    split = ["coaching", *BY_OFFICE[1:]]
    with pytest.raises(DesignError, match="1 of 8 clusters by 'office' has people in several arms"):
        adopted(OFFICES, split)


@pytest.mark.parametrize("errors", ["classical", "HC0", "HC1", "HC2", "HC3", "HC4"])
def test_errors_by_person_where_clusters_were_drawn(errors: str) -> None:
    trial = adopted(OFFICES, BY_OFFICE)
    with pytest.raises(EstimationError, match=rf"draws clusters, and {errors} errors would ignore them.*CR2"):
        kk.estimate_effects(trial, AFTER, "y", estimator=kk.Regression(errors=errors))


def test_neymans_errors_where_clusters_were_drawn() -> None:
    trial = adopted(OFFICES, BY_OFFICE)
    with pytest.raises(EstimationError, match=r"Neyman errors would ignore them. Use errors='CR2'"):
        kk.estimate_effects(trial, AFTER, "y", estimator=kk.DifferenceInMeans(errors="Neyman"))


# ---------------------------------------------------------------- pair effects with errors of units


# HC1's factor n / (n - k) makes up for the pairs' effects, and HC2 does so by its leverages.
@pytest.mark.parametrize("errors", ["HC0", "CR0", "CR1"])
def test_pair_effects_with_errors_of_units(errors: str) -> None:
    trial = adopted(PAIRS, TURNS)
    with pytest.raises(EstimationError, match=r"effects of 20 strata .* expected at \d+% of the variance"):
        kk.estimate_effects(trial, AFTER, "y", estimator=kk.Regression(errors=errors))


@pytest.mark.parametrize("errors", ["CR0", "CR1", "stata"])
def test_pair_effects_with_errors_of_clusters(errors: str) -> None:
    people = PEOPLE.assign(set=PEOPLE["office"] // 2)
    design: Any = kk.Clustered(kk.Stratified(TWO, by="set"), by="office")
    trial = kk.adopt(people.assign(arm=BY_OFFICE), arm="arm", design=design, id="id")
    with pytest.raises(EstimationError, match=r"effects of 4 strata .* expected at \d+% of the variance"):
        kk.estimate_effects(trial, AFTER, "y", estimator=kk.Regression(errors=errors))


# ---------------------------------------------------------------- what was known at the draw


def drawn() -> kk.Assignment:
    return kk.randomise(PEOPLE, kk.Complete(TWO), id="id", seed="refusals")


EVERY: dict[str, Callable[..., object]] = {
    "effects": lambda trial, outcome, x: kk.estimate_effects(trial, AFTER, outcome, covariates=x),
    "redraws": lambda trial, outcome, x: kk.randomisation_test(trial, AFTER, outcome, covariates=x, draws=99),
    "joint": lambda trial, outcome, x: kk.joint_randomisation_test(trial, AFTER, outcome, covariates=x),
    "family": lambda trial, outcome, x: kk.family_test(trial, AFTER, outcome, covariates=x),
    "AIPW": lambda trial, outcome, x: kk.estimate_effects(trial, AFTER, outcome, estimator=kk.AIPW(covariates=x)),
    "ANHECOVA": lambda trial, outcome, x: kk.estimate_effects(
        trial, AFTER, outcome, estimator=kk.ANHECOVA(covariates=x)
    ),
    "strata": lambda trial, outcome, x: kk.estimate_effects(
        trial, AFTER, outcome, estimator=kk.StratifiedRegression(covariates=x)
    ),
    "ANCOVA": lambda trial, outcome, x: kk.estimate_effects(trial, AFTER, outcome, estimator=kk.ANCOVA(before=x)),
}


@pytest.mark.parametrize("name", EVERY)
def test_a_covariate_that_was_not_in_the_register(name: str) -> None:
    with pytest.raises(ColumnError, match=r"covariate 'mood' did not stand in the register.*also_known\('mood'\)"):
        EVERY[name](drawn(), "y", ("mood",))
    EVERY[name](drawn().also_known("mood"), "y", ("mood",))


@pytest.mark.parametrize("name", EVERY)
def test_an_outcome_recorded_before_the_draw(name: str) -> None:
    with pytest.raises(ColumnError, match="'worked' stood in the register at the draw, so it was recorded before"):
        EVERY[name](drawn(), "worked", ("age",))


def test_a_wild_bootstrap_asks_the_same() -> None:
    trial = kk.randomise(PEOPLE, OFFICES, id="id", seed="refusals")
    with pytest.raises(ColumnError, match="'mood' did not stand in the register at the draw"):
        kk.wild_cluster_test(trial, AFTER, "y", covariates=("mood",))
    with pytest.raises(ColumnError, match="'worked' stood in the register at the draw"):
        kk.wild_cluster_test(trial, AFTER, "worked")
