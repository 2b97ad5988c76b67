"""The laws of estimators, each a function of an estimator and a small trial with known potential outcomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from kokeilu._kernels.streams import Seed
from kokeilu.core.assignment import Assignment
from kokeilu.core.lottery import all_assignments
from kokeilu.core.protocols import Floats, Mechanism
from kokeilu.core.register import read_register
from kokeilu.core.results import Estimate, Estimates
from kokeilu.core.view import View, align
from kokeilu.errors import KokeiluError
from kokeilu.testing.laws import BrokenLaw

__all__ = ["ESTIMATOR_LAWS", "Trial", "check_estimator"]


class Estimator(Protocol):
    """What has `estimate(view)`."""

    def estimate(self, view: View) -> Estimates:
        """Estimate each arm against the first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A mechanism, a small register (ids in "id"), and everybody's outcome under each arm.

    Attributes
    ----------
    potential : sequence of sequences
        One column of outcomes for each arm, in the order of the register's rows.
    exact : bool
        Whether the estimator is unbiased and its variance conservative over all assignments of this trial; many
        adjusted estimators are so only in large samples.
    """

    mechanism: Mechanism
    register: Mapping[str, Sequence[Any]]
    potential: Sequence[Sequence[float]]
    exact: bool = True

    def assignments(self) -> list[tuple[Assignment, float]]:
        """Return every assignment with its probability."""
        population, _ = read_register(self.register, self.mechanism, id="id")
        lottery = self.mechanism.bind(population)
        chunks = all_assignments(lottery)
        if chunks is None:
            raise BrokenLaw("the assignments of this trial cannot be listed; take a smaller register")
        first = Assignment(
            mechanism=self.mechanism,
            population=population,
            lottery=lottery,
            codes=np.zeros(len(population), dtype=np.int8),
            seed=Seed.of("laws"),
        )
        pairs = [(row, chance) for codes, chances in chunks for row, chance in zip(codes, chances, strict=True)]
        return [(replace(first, codes=row), float(chance)) for row, chance in pairs]

    def reveal(self, assignment: Assignment) -> dict[str, Any]:
        """Return the outcomes table of an assignment: id and "y"."""
        order = np.argsort(np.asarray(self.register["id"]), kind="stable")
        potential = np.array(self.potential, dtype=np.float64)[:, order]
        y = potential[assignment.codes, np.arange(len(assignment))]
        return {"id": assignment.ids.to_list(), "y": y.tolist()}

    def view(self, assignment: Assignment) -> View:
        """Return the aligned view of an assignment."""
        return align(assignment, self.reveal(assignment), "y")

    def effect(self, arm: int) -> float:
        """Return the true average effect of an arm against the first."""
        return float(np.mean(self.potential[arm]) - np.mean(self.potential[0]))


def _demand(holds: bool, law: str) -> None:
    if not holds:
        raise BrokenLaw(law)


def _typical(trial: Trial, estimator: Estimator) -> tuple[View, Estimate]:
    """Return a view on which the estimator has an answer, and the answer for the second arm."""
    for assignment, _ in trial.assignments():
        view = trial.view(assignment)
        try:
            return view, estimator.estimate(view)[0]
        except KokeiluError:
            continue
    raise BrokenLaw("the estimator refuses every assignment of this trial")


def _same(found: Estimate, value: float, error: float) -> bool:
    scale = max(abs(value), abs(error), 1e-300)
    return abs(found.value - value) <= 1e-9 * scale and abs(found.error - error) <= 1e-9 * scale


def row_order(estimator: Estimator, trial: Trial) -> None:
    """The order of the people never changes an estimate."""
    view, found = _typical(trial, estimator)
    turned = np.arange(len(view.y))[::-1]
    clusters = None if view.clusters is None else view.clusters[turned]
    again = replace(
        view,
        y=view.y[turned],
        codes=view.codes[turned],
        rows=view.rows[turned],
        strata=view.strata[turned],
        clusters=clusters,
        shares=view.shares[turned],
        covariates=view.covariates[turned],
    )
    _demand(_same(estimator.estimate(again)[0], found.value, found.error), "the order of the people shows")


def shift_and_scale(estimator: Estimator, trial: Trial) -> None:
    """Adding a constant changes nothing; another unit changes effect and error by its factor."""
    view, found = _typical(trial, estimator)
    moved = estimator.estimate(replace(view, y=view.y + 1000.0))[0]
    _demand(abs(moved.value - found.value) <= 1e-7 * max(1.0, abs(found.value)), "adding a constant moved the effect")
    _demand(abs(moved.error - found.error) <= 1e-7 * max(1.0, found.error), "adding a constant moved the error")
    scaled = estimator.estimate(replace(view, y=view.y * -8.0))[0]
    _demand(_same(scaled, -8 * found.value, 8 * found.error), "another unit does not scale effect and error")


def swapped_contrast(estimator: Any, trial: Trial) -> None:
    """The contrast the other way round has the other sign and the same error."""
    view, found = _typical(trial, estimator)
    turned = estimator.estimate(view, ((found.reference, found.arm),))[0]
    _demand(_same(turned, -found.value, found.error), "swapping the contrast does more than flip the sign")


def empty_arm(estimator: Estimator, trial: Trial) -> None:
    """An arm without anybody is refused."""
    view, _ = _typical(trial, estimator)
    try:
        estimator.estimate(replace(view, codes=np.zeros_like(view.codes)))
    except KokeiluError:
        return
    raise BrokenLaw("an arm without anybody is not refused")


def unbiased_and_conservative(estimator: Estimator, trial: Trial) -> None:
    """Over every assignment the effect is right on average, and the variance at least that of the estimates."""
    if not trial.exact:
        return
    pairs = trial.assignments()
    chances = np.array([chance for _, chance in pairs])
    found = [estimator.estimate(trial.view(assignment)) for assignment, _ in pairs]
    for place, estimate in enumerate(found[0]):
        values: Floats = np.array([estimates[place].value for estimates in found])
        variances: Floats = np.array([estimates[place].error ** 2 for estimates in found])
        bias = float(chances @ values) - trial.effect(place + 1)
        spread = float(chances @ (values - chances @ values) ** 2)
        short = spread - float(chances @ variances)
        size = max(1.0, spread)
        _demand(abs(bias) <= 1e-10 * size, f"{estimate.arm}: the estimate is biased by {bias:.3g}")
        _demand(short <= 1e-10 * size, f"{estimate.arm}: the variance is too small by {short:.3g} of {spread:.3g}")


ESTIMATOR_LAWS: tuple[Callable[[Any, Trial], None], ...] = (
    row_order,
    shift_and_scale,
    swapped_contrast,
    empty_arm,
    unbiased_and_conservative,
)


def check_estimator(estimator: Estimator, trial: Trial) -> None:
    """Check every law of estimators on one trial.

    Raises
    ------
    BrokenLaw
        Naming what was found.
    """
    for law in ESTIMATOR_LAWS:
        law(estimator, trial)
