"""Regression over every assignment of tiny trials: unbiased and conservative where it should be exactly so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import kokeilu as kk
from kokeilu.errors import EstimationError
from kokeilu.testing import Trial, check_estimator

TWO = kk.arms(a=1, b=1)
Y0 = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]
Y1 = [2.0, 7.0, 1.0, 8.0, 2.0, 8.0, 1.0, 8.0]
PEOPLE = {
    "id": list(range(8)),
    "s": ["n", "n", "n", "n", "w", "w", "w", "w"],
    "pair": [0, 0, 1, 1, 2, 2, 3, 3],
}
COUPLES = {
    "id": list(range(16)),
    "office": [i // 2 for i in range(16)],
    "pair": [i // 4 for i in range(16)],
    "half": [i // 8 for i in range(16)],
}
DOUBLE0 = [y + d for y in Y0 for d in (0.0, 1.5)]
DOUBLE1 = [y + d for y in Y1 for d in (1.0, -0.5)]


def of_people(mechanism: object) -> Trial:
    return Trial(mechanism=mechanism, register=PEOPLE, potential=(Y0, Y1))  # type: ignore[arg-type]


def of_offices(mechanism: object) -> Trial:
    return Trial(
        mechanism=kk.Clustered(mechanism, by="office"),  # type: ignore[arg-type]
        register=COUPLES,
        potential=(DOUBLE0, DOUBLE1),
    )


EXACT = {
    "complete": (kk.Regression(), of_people(kk.Complete(TWO))),
    "complete, HC3": (kk.Regression(errors="HC3"), of_people(kk.Complete(TWO))),
    "strata": (kk.Regression(), of_people(kk.Stratified(TWO, by="s"))),
    "pairs": (kk.Regression(), of_people(kk.Stratified(TWO, by="pair"))),
    "pairs, by pair": (kk.Regression(errors="CR1", clusters="strata"), of_people(kk.Stratified(TWO, by="pair"))),
    "clusters": (kk.Regression(), of_offices(kk.Complete(TWO))),
    "clusters, CR3": (kk.Regression(errors="CR3"), of_offices(kk.Complete(TWO))),
    "clusters in strata": (kk.Regression(), of_offices(kk.Stratified(TWO, by="half"))),
    "pairs of clusters": (kk.Regression(), of_offices(kk.Stratified(TWO, by="pair"))),
    "pairs of clusters, by pair": (kk.Regression(clusters="strata"), of_offices(kk.Stratified(TWO, by="pair"))),
}


@pytest.mark.parametrize("name", EXACT)
def test_unbiased_and_conservative_over_every_assignment(name: str) -> None:
    check_estimator(*EXACT[name])


def test_unadjusted_errors_are_too_small_and_refused_for_pairs_of_clusters() -> None:
    _, trial = EXACT["pairs of clusters"]
    assignment, _ = trial.assignments()[0]
    view = trial.view(assignment)
    for errors in ("CR0", "CR1"):
        with pytest.raises(EstimationError, match="of the variance"):
            kk.Regression(errors=errors).estimate(view)


def test_the_bias_of_slopes_by_arm_in_a_tiny_trial() -> None:
    # They are unbiased in large samples only: with four people in an arm the bias is a third of the deviation.
    trial = of_people(kk.Complete(TWO))
    x = np.array([1.0, 4.0, 2.0, 5.0, 3.0, 8.0, 7.0, 6.0])
    values = []
    for assignment, _ in trial.assignments():
        view = replace(trial.view(assignment), covariates=x[:, None], covariate_names=("x",))
        values.append(kk.Regression(covariates=("x",)).estimate(view)[0].value)
    bias = float(np.mean(values)) - trial.effect(1)
    assert bias == pytest.approx(0.6403, abs=1e-4)
    assert float(np.std(values)) == pytest.approx(1.8007, abs=1e-4)
