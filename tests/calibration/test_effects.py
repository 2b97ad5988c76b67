"""Error rates and coverage of estimate_effects under true randomisation, 1,000 replications a design."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

import kokeilu as kk
from calibration.record import record
from kokeilu._kernels.streams import Seed
from kokeilu.core.view import View
from kokeilu.estimate.effects import by_design

pytestmark = pytest.mark.calibration

REPLICATIONS = 1_000
EFFECT = 0.3
FINE = "cells of two or three people: estimated degrees of freedom are on the low side, and the test conservative"
REGIONS = np.repeat(np.arange(8), [90, 70, 60, 50, 45, 40, 25, 20])


def register() -> pd.DataFrame:
    within = np.concatenate([np.arange(n) for n in np.bincount(REGIONS)])
    frame = pd.DataFrame({"id": np.arange(REGIONS.size), "region": [f"region {r}" for r in REGIONS]})
    frame["office"] = [f"{r}-{i % 6}" for r, i in zip(REGIONS, within, strict=True)]
    return frame


PEOPLE = register()
TWO, THREE = kk.arms(control=1, coaching=1), kk.arms(control=2, coaching=1, subsidy=1)
DESIGNS = {
    "complete": kk.Complete(TWO),
    "three arms": kk.Complete(THREE),
    "stratified": kk.Stratified(TWO, by="region"),
    "stratified, three arms": kk.Stratified(THREE, by="region"),
    "fine strata": kk.Stratified(kk.arms(control=2, coaching=1), by="office"),
    "offices": kk.Clustered(kk.Complete(TWO), by="office"),
    "offices in regions": kk.Clustered(kk.Stratified(TWO, by="region"), by="office"),
    "offices in regions, three arms": kk.Clustered(kk.Stratified(THREE, by="region"), by="office"),
    "8 regions": kk.Clustered(kk.Complete(TWO), by="region"),
}


def normal(stream: object, width: int) -> np.ndarray:
    return ndtri(np.clip(stream.doubles(REPLICATIONS, width), 1e-12, None))  # type: ignore[attr-defined]


@pytest.mark.parametrize("covariate", [False, True])
@pytest.mark.parametrize("name", DESIGNS)
def test_size_and_coverage(name: str, covariate: bool) -> None:
    people = PEOPLE.assign(x=0.0, y=0.0)
    people.loc[0, ["x", "y"]] = 1.0
    trial = kk.randomise(PEOPLE, DESIGNS[name], id="id", seed="calibration").also_known("x")
    view = kk.align(trial, people, "y", covariates=("x",) if covariate else ())
    estimator = kk.Regression(covariates=("x",)) if covariate else by_design(view)
    seed, n = Seed.of(f"calibration {name}"), len(PEOPLE)
    offices = np.unique(PEOPLE["office"], return_inverse=True)[1]
    noise, common = normal(seed.stream("noise"), n), normal(seed.stream("offices"), offices.max() + 1)
    spread, x = normal(seed.stream("regions"), 8), normal(seed.stream("x"), n)
    rejected, covered, tests = 0, 0, 0
    row = 0
    for block in kk.redraws(trial.lottery, seed.stream("draws"), REPLICATIONS):
        for codes in block:
            base = noise[row] + 0.3 * common[row, offices] + 0.3 * spread[row, REGIONS] + 0.5 * x[row]
            known: View = replace(view, codes=codes, y=base + EFFECT * (codes > 0))
            if covariate:
                known = replace(known, covariates=x[row][:, None])
            for found in estimator.estimate(known):
                low, high = found.interval(0.95)
                covered += low <= EFFECT <= high
                rejected += found.p_value(null=EFFECT) <= 0.05
                tests += 1
            row += 1
    least = 0.025 if name == "fine strata" else 0.035
    record(
        topic="estimate_effects by default",
        design=name,
        method="Lin" if covariate else "by the design",
        outcome="normal, alike within offices and regions, drawn anew",
        replications=REPLICATIONS,
        rejections=rejected / tests,
        coverage=covered / tests,
        reason=FINE if name == "fine strata" else "",
    )
    assert least <= rejected / tests <= 0.065, f"{name}: {rejected / tests:.4f} rejected"
    assert covered / tests >= 0.935, f"{name}: {covered / tests:.4f} covered"
