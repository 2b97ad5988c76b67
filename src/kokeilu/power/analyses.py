"""How each simulated trial is analysed: the usual analyses for many draws at once, any other one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from kokeilu._kernels.batched import studentised
from kokeilu._kernels.rare import dof_of_events, rarer_of_two
from kokeilu._kernels.refitted import refitted
from kokeilu._kernels.simulated import (
    Drawn,
    cr2_draws,
    pooled_floor,
    satterthwaite_draws,
    stratum_effects_draws,
    welch_draws,
)
from kokeilu.core.protocols import Codes, Floats, Ints
from kokeilu.errors import DesignError
from kokeilu.estimate.ancova import ANCOVA
from kokeilu.estimate.effects import Estimator, by_design
from kokeilu.estimate.means import DifferenceInMeans
from kokeilu.estimate.notes import SKEWED
from kokeilu.estimate.regression import Regression
from kokeilu.estimate.sample import THIN
from kokeilu.power.layout import COUNTED_CELL
from kokeilu.power.people import People

__all__ = ["Analysis", "ByDesign", "OneByOne", "Refit", "analysis_of"]

POWERS = {"auto": 1.0, "HC2": 1.0, "HC3": 2.0}
UNMOVED = (DifferenceInMeans, Regression, ANCOVA)
"""Analyses whose estimate moves by an effect that is the same for everybody, and whose errors do not."""


class Analysis(Protocol):
    """What is done with the outcomes of a simulated trial."""

    @property
    def additive(self) -> bool:
        """Whether adding an effect to an arm adds it to the estimate and leaves the error."""
        ...

    def drawn(self, people: People, y: Floats, codes: Codes, pair: tuple[int, int]) -> Drawn:
        """Return the estimates of one outcome (n,) under codes (b, n); NaN where there is none."""
        ...


def analysis_of(asked: object, people: People) -> Analysis:
    """Return how to simulate an estimator on these people: None is what the design decides.

    Raises
    ------
    DesignError
        For something that is no estimator.
    """
    if asked is None:
        return ByDesign()
    if isinstance(asked, type) or not callable(getattr(asked, "estimate", None)):
        what = asked.__name__ if isinstance(asked, type) else type(asked).__name__
        raise DesignError(
            "analysis must be an estimator such as Regression(covariates=...) or DifferenceInMeans(), or a "
            f"RandomisationTest(...); got {what}."
        )
    usual = people.cells.clusters is None and people.cells.whole and people.cells.waves is None
    if asked == DifferenceInMeans() and usual:
        return ByDesign()
    one = OneByOne(asked)  # type: ignore[arg-type]
    if not isinstance(asked, Regression) or not usual:
        return one
    plain = asked.dof in ("auto", "rows") and asked.also_by is None and asked.clusters == "design"
    return Refit(one, asked) if plain and asked.errors in POWERS else one


@dataclass(frozen=True, slots=True)
class OneByOne:
    """Any estimator, a draw at a time."""

    estimator: Estimator

    @property
    def additive(self) -> bool:
        """For means and regressions."""
        return type(self.estimator) in UNMOVED

    def drawn(self, people: People, y: Floats, codes: Codes, pair: tuple[int, int]) -> Drawn:
        """Return the estimates."""
        return one_by_one(lambda _: self.estimator, people, y, codes, pair)


def one_by_one(
    choose: Callable[[Any], Estimator], people: People, y: Floats, codes: Codes, pair: tuple[int, int]
) -> Drawn:
    """Estimate under each assignment by the estimator that is chosen for its view."""
    rows = [people.estimate(choose, y, row, pair) for row in codes]
    return Drawn(*np.array(rows, dtype=np.float64).reshape(-1, 3).T)


@dataclass(frozen=True, slots=True)
class Refit:
    """A regression with HC2 or HC3 errors for people drawn one by one, who all have the same shares."""

    slow: OneByOne
    spec: Regression
    additive: bool = True

    def drawn(self, people: People, y: Floats, codes: Codes, pair: tuple[int, int]) -> Drawn:
        """Return the estimates; draws that need care go the slow way."""
        part = people.part(pair)
        if not part.even:  # weights 1 / share are those of the arm drawn
            return self.slow.drawn(people, y, codes, pair)
        kept = part.codes(codes)
        chosen = people.columns_named(self.spec.covariates)
        projection = part.projection(people, chosen)
        found = refitted(
            y[part.rows],
            kept,
            projection,
            arm=pair[0],
            reference=pair[1],
            interacted=self.spec.interacted,
            power=POWERS[self.spec.errors],
        )
        counts = part.counts(codes)
        care = ~np.isfinite(found.error) | (counts == 0).any(axis=(0, 2)) | ~(found.dof > 0)
        if self.spec.errors == "auto" and self.spec.dof == "auto":
            care = care | (counts.sum(axis=2).min(axis=0) - (len(chosen) + 1) < THIN)
        if care.any():
            again = self.slow.drawn(people, y, codes[care], pair)
            for column, values in zip(found, again, strict=True):
                column[care] = values
        return found


@dataclass(frozen=True, slots=True)
class ByDesign:
    """The default analysis without covariates: see `kokeilu.estimate.effects`."""

    additive: bool = True

    def drawn(self, people: People, y: Floats, codes: Codes, pair: tuple[int, int]) -> Drawn:
        """Return the estimates."""
        arm, reference = pair
        if not people.cells.whole or people.cells.waves is not None:
            return one_by_one(by_design, people, y, codes, pair)
        part = people.part(pair)
        outcome, kept, strata, clusters = y[part.rows], part.codes(codes), part.strata, part.clusters
        if clusters is None:
            return _of_people(outcome, kept, strata, part.counts(codes), pair)
        if not strata.any():
            return cr2_draws(outcome, kept, clusters, strata, arm=arm, reference=reference)
        counts = part.counts(codes)
        if part.even and counts.max() > 1:
            found = stratum_effects_draws(outcome, kept, clusters, strata, arm=arm, reference=reference)
            return found._replace(error=np.where((counts == 0).any(axis=(0, 2)), np.nan, found.error))
        if not (counts < 2).any():
            return cr2_draws(outcome, kept, clusters, strata, arm=arm, reference=reference)
        value, error = studentised(outcome, kept, arm=arm, reference=reference, strata=strata, clusters=clusters)
        return Drawn(value, error, _counted(counts))


def _counted(counts: Floats) -> Floats:
    """Units less two per stratum, or less one and one where some stratum has a single unit in an arm."""
    lone = (counts < 2).any(axis=(0, 2))
    number = counts.shape[2]
    dof: Floats = np.maximum(counts.sum(axis=(0, 2)) - np.where(lone, number + 1.0, 2.0 * number), 1.0)
    return dof


def _of_people(y: Floats, codes: Codes, strata: Ints, counts: Floats, pair: tuple[int, int]) -> Drawn:
    """Neyman's error, or the floor where the outcome is skewed and an arm small."""
    arm, reference = pair
    if not strata.any():
        found = welch_draws(y, codes, arm=arm, reference=reference)
    else:
        value, error = studentised(y, codes, arm=arm, reference=reference, strata=strata)
        dof = _counted(counts)
        few = ~(counts < 2).any(axis=(0, 2)) & (counts < COUNTED_CELL).any(axis=(0, 2))
        if few.any():
            dof[few] = satterthwaite_draws(y, codes[few], strata, arm=arm, reference=reference)
        found = Drawn(value, error, dof)
    if (counts < 2).any():
        return found
    least, skew = pooled_floor(y, codes, strata, counts, arm=arm, reference=reference)
    raised = (skew > SKEWED) & (least > found.error**2)
    error = np.where(raised, np.sqrt(least), found.error)
    held = (codes == arm) | (codes == reference)
    by_events = dof_of_events(found.dof, rarer_of_two(y, held), held.sum(axis=1).astype(np.float64))
    pooled = np.minimum((counts.sum(axis=0) - 2.0).sum(axis=1), found.dof)
    dof = np.where(raised, pooled, by_events)
    return Drawn(found.value, error, dof)
