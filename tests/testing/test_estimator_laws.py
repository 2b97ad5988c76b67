"""The estimators keep the laws, and the laws catch estimators that do not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

import kokeilu as kk
from kokeilu.core.results import Estimates
from kokeilu.testing import ESTIMATOR_LAWS, BrokenLaw, Trial, check_estimator

PEOPLE = {
    "id": [4, 2, 8, 6, 1, 3, 7, 5],
    "s": ["n", "n", "n", "n", "w", "w", "w", "w"],
    "office": [0, 0, 1, 1, 2, 2, 3, 3],
}
Y0 = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]
Y1 = [2.0, 7.0, 1.0, 8.0, 2.0, 8.0, 1.0, 8.0]
Y2 = [9.0, 4.0, 5.0, 3.0, 5.0, 0.0, 2.0, 8.0]
TWO, THREE = kk.arms(a=1, b=1), kk.arms(a=2, b=1, c=1)

TRIALS = {
    "complete": Trial(mechanism=kk.Complete(TWO), register=PEOPLE, potential=(Y0, Y1)),
    "three arms": Trial(mechanism=kk.Complete(THREE), register=PEOPLE, potential=(Y0, Y1, Y2)),
    "stratified": Trial(mechanism=kk.Stratified(TWO, by="s"), register=PEOPLE, potential=(Y0, Y1)),
    "clustered": Trial(mechanism=kk.Clustered(kk.Complete(TWO), by="office"), register=PEOPLE, potential=(Y0, Y1)),
}
LARGE_SAMPLE = {
    "additive": (kk.Regression(interacted=False), replace(TRIALS["complete"], exact=False)),
    "stratum effects": (kk.Regression(), replace(TRIALS["stratified"], exact=False)),
    "clusters": (kk.Regression(), replace(TRIALS["clustered"], exact=False)),
}


@pytest.mark.parametrize("law", ESTIMATOR_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", TRIALS)
def test_difference_in_means(name, law):
    law(kk.DifferenceInMeans(), TRIALS[name])


@pytest.mark.parametrize("name", LARGE_SAMPLE)
def test_regression(name):
    check_estimator(*LARGE_SAMPLE[name])


@dataclass
class Spoilt:
    """A difference in means with one thing wrong."""

    what: str

    def estimate(self, view, contrasts=None):
        found = kk.DifferenceInMeans().estimate(replace(view, strata=np.zeros_like(view.strata)), contrasts)
        change = {
            "biased": lambda e: replace(e, value=e.value + 0.1),
            "too sure": lambda e: replace(e, error=e.error / 2),
            "order": lambda e: replace(e, value=e.value + float(view.y[0])),
            "sign": lambda e: replace(e, value=abs(e.value)),
        }[self.what]
        return Estimates(tuple(change(item) for item in found))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("biased", "does not scale|the estimate is biased by 0.1"),
        ("too sure", "the variance is too small"),
        ("order", "the order of the people shows"),
        ("sign", "does not scale effect and error|flip the sign"),
    ],
)
def test_laws_catch_what_is_wrong(what, message):
    with pytest.raises(BrokenLaw, match=message):
        check_estimator(Spoilt(what), TRIALS["complete"])
