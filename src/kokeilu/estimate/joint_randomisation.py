"""One test of all arms: does any of them change anything?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from kokeilu._checks import choice, name_list, positive_int
from kokeilu._kernels.step_down import max_t
from kokeilu.core.assignment import Assignment, check_assignment
from kokeilu.core.protocols import Codes, Floats
from kokeilu.core.registry import register
from kokeilu.core.results import TestResult
from kokeilu.core.view import View, align
from kokeilu.errors import DesignError, EstimationError
from kokeilu.estimate.among import held_again
from kokeilu.estimate.notes import attrition_notes
from kokeilu.estimate.panel import Hypothesis, panel_of
from kokeilu.estimate.sample import Contrasts, contrasts_of

__all__ = ["JointRandomisationTest", "joint_randomisation_test"]

STATISTICS = ("F", "max")


@register("JointRandomisationTest")
@dataclass(frozen=True, slots=True, kw_only=True)
class JointRandomisationTest:
    """A joint test of all arms to be run by a plan or by `joint_randomisation_test`.

    Parameters
    ----------
    statistic : {"F", "max"}
        "F": squared distances of the arms' means from their common mean, each over its Neyman variance; good where
        several arms do a little. "max": the largest studentised difference from the reference; good where one does
        much.
    covariates : sequence of str
        Columns of the outcomes table measured before the draw.
    draws : int
        Redraws, where the lottery has too many assignments to go through.

    References
    ----------
    Welch (1951), Biometrika 38; Wu & Ding (2021), Journal of the American Statistical Association 116.

    Examples
    --------
    >>> JointRandomisationTest(statistic="max").draws
    9999
    """

    statistic: str = "F"
    covariates: tuple[str, ...] = ()
    draws: int = 9_999

    def __post_init__(self) -> None:
        choice(self.statistic, STATISTICS, name="statistic")
        object.__setattr__(self, "covariates", name_list(self.covariates, name="covariates"))
        object.__setattr__(self, "draws", positive_int(self.draws, name="draws"))

    def tests(
        self, assignment: Assignment, outcomes: object, outcome: str, contrasts: Contrasts, level: float
    ) -> tuple[TestResult, ...]:
        """Return the one test of these contrasts (for the plan runner)."""
        view = align(assignment, outcomes, outcome, covariates=self.covariates)
        return (_tested(assignment, view, self, contrasts),)


def joint_randomisation_test(
    assignment: Assignment,
    outcomes: object,
    outcome: str,
    *,
    test: JointRandomisationTest | None = None,
    covariates: Sequence[str] | str = (),
    contrasts: Contrasts = None,
    weights: str | None = None,
) -> TestResult:
    r"""Test by redraws of the lottery that no arm changes anybody's outcome, all arms at once.

    Parameters
    ----------
    assignment : Assignment
    outcomes : pandas, pyarrow or Arrow-capable table
    outcome : str
    test : JointRandomisationTest, optional
        ``JointRandomisationTest(statistic="max")`` looks for one arm that stands out.
    covariates : sequence of str
        The same as in `test`; the outcome is regressed on them (and on strata) once.
    contrasts : sequence of (arm, reference), optional
        Each arm against the first where none are named; "F" compares the arms that occur in them.
    weights : str, optional
        A column of `outcomes`: what each person counts for.

    Returns
    -------
    TestResult
        Without arm and reference, and without interval.

    Raises
    ------
    EstimationError
        An outcome without variation; a statistic that is not defined for the draw as it was.
    ColumnError, DataError, DesignError
        As in :func:`kokeilu.randomisation_test`.

    Examples
    --------
    >>> import kokeilu as kk
    >>> people = {"id": list(range(9)), "score": [3.0, 1, 4, 1, 5, 9, 2, 6, 5]}
    >>> arms = kk.arms(control=1, letter=1, coaching=1)
    >>> trial = kk.randomise({"id": people["id"]}, kk.Complete(arms), id="id", seed="example")
    >>> found = kk.joint_randomisation_test(trial, people, "score")
    >>> found.exact, found.draws
    (True, 1680)
    """
    check_assignment(assignment)
    chosen = JointRandomisationTest() if test is None else test
    if not isinstance(chosen, JointRandomisationTest):
        raise DesignError(f"test must be JointRandomisationTest(...); got {type(chosen).__name__}.")
    own = name_list(covariates, name="covariates")
    if own and chosen.covariates and own != chosen.covariates:
        raise DesignError("covariates are given to joint_randomisation_test and to its test=..., and differ.")
    chosen = replace(chosen, covariates=own or chosen.covariates)
    view = align(assignment, outcomes, outcome, covariates=chosen.covariates, weights=weights)
    return _tested(assignment, view, chosen, contrasts)


def _tested(assignment: Assignment, view: View, spec: JointRandomisationTest, contrasts: Contrasts) -> TestResult:
    pairs = contrasts_of(view, contrasts)
    arms = sorted({code for pair in pairs for code in pair})
    panel = panel_of(assignment, [Hypothesis(view=view, arm=a, reference=r) for a, r in pairs], arms=arms)

    def statistic(codes: Codes) -> Floats:
        one: Floats = panel.many.spread(codes) if spec.statistic == "F" else panel.many.statistics(codes).max(axis=1)
        return one[:, None]

    seen = statistic(assignment.codes[None, panel.first])[0]
    if not np.isfinite(seen[0]):
        more = (
            "" if spec.statistic == "max" else " Use JointRandomisationTest(statistic='max'), which pools small strata."
        )
        raise EstimationError(
            f"the joint statistic of {view.outcome!r} is not defined for the draw as it was: an arm has no variation, "
            f"or fewer than two people or clusters in some stratum.{more}"
        )
    held = held_again(assignment, arms)
    found = max_t(seen, panel.batches(held or assignment, spec.draws, statistic))
    p_value = float(found.own[0])
    low, high = p_value, p_value
    if not found.exact:
        hits = round(p_value * (1 + found.draws)) - 1
        bounds = stats.binomtest(hits, found.draws).proportion_ci(0.99, method="exact")
        low, high = float(bounds.low), float(bounds.high)
    names = [view.arms.names[code] for code in arms]
    used, missing, absent = view.account.used(), view.account.missing(), view.account.absent()
    return TestResult(
        name=f"joint randomisation test ({spec.statistic})",
        outcome=view.outcome,
        arm="",
        reference="",
        statistic=float(seen[0]),
        p_value=p_value,
        draws=found.draws,
        exact=found.exact,
        p_error=0.0 if found.exact else float(np.sqrt(p_value * (1.0 - p_value) / found.draws)),
        p_low=low,
        p_high=high,
        n={name: used[name] for name in names},
        missing={name: missing[name] for name in names},
        absent={name: absent[name] for name in names},
        reason=_reason(spec, names, found.draws, exact=found.exact, stay=held not in (None, assignment)),
        notes=(*view.notes, *_unheld(held), *(note for a in arms[1:] for note in attrition_notes(view, a, arms[0]))),
    )


def _unheld(held: Assignment | None) -> tuple[str, ...]:
    if held is not None:
        return ()
    note = (
        "the redraws move people of all arms, as the law of this design given who stands in the others is not known: "
        "the p-value supposes that the arms left out do nothing either."
    )
    return (note,)


def _reason(spec: JointRandomisationTest, names: Sequence[str], draws: int, *, exact: bool, stay: bool) -> str:
    what = {
        "F": "squared distances of the arms' means from their common mean, each over its Neyman variance",
        "max": "largest studentised difference in means",
    }[spec.statistic]
    kind = f"all {draws:,} assignments" if exact else f"{draws:,} redraws of the lottery"
    others = ", the people of other arms staying where they are" if stay else ""
    return f"Hypothesis: no effect of any arm on anybody ({', '.join(names)}). Statistic: {what}; {kind}{others}."
