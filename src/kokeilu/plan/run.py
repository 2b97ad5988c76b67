"""Carrying a plan out: the draw under it, and the analysis of what came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from kokeilu.assign.randomise import randomise
from kokeilu.balance.table import Balance, check_balance
from kokeilu.core.arms import Arms
from kokeilu.core.assignment import Assignment
from kokeilu.core.results import TestResult
from kokeilu.core.table import column_names, read_columns
from kokeilu.core.view import Account, align, locate
from kokeilu.errors import KokeiluError, PlanError
from kokeilu.estimate.effects import estimate_effects
from kokeilu.estimate.randomisation import randomisation_test
from kokeilu.estimate.spec import RandomisationTest
from kokeilu.plan.compare import compare_assignment, compare_outcome, compare_register
from kokeilu.plan.deviations import Deviation, Difference, check_deviations, refuse_undeclared, with_found
from kokeilu.plan.family import adjusted, contrasts_of
from kokeilu.plan.findings import Executed, Findings
from kokeilu.plan.plan import Plan
from kokeilu.plan.power_record import PowerCheck, power_check
from kokeilu.plan.terms import Analysis
from kokeilu.plan.text import library_version

__all__ = ["analyse", "check_power", "enrol"]

_T = TypeVar("_T")


def enrol(plan: Plan, table: object, seed: str | int | bytes) -> Assignment:
    """Draw the people of a register under a plan, and stamp the plan's fingerprint on the assignment.

    Parameters
    ----------
    plan : Plan
    table : pandas, pyarrow or Arrow-capable table
        The register, with the columns of the design and of the balance check.
    seed : str, int or bytes
        Published, and not of your choosing. There is no default.

    Returns
    -------
    Assignment

    Raises
    ------
    PlanError
        Where `plan` is none.
    SeedError, DesignError, ColumnError, DataError
        As in :func:`kokeilu.randomise`; also where a column of the balance check is absent.

    Examples
    --------
    >>> import kokeilu as kk
    >>> seekers = kk.datasets.job_seekers(1_000, seed="example")
    >>> plan = kk.Plan(title="Coach", id="person_id", design=kk.Complete(kk.arms(control=1, coaching=1)),
    ...                outcomes=(kk.Outcome("employed_12m"),), analyses=(kk.Analysis("employed_12m"),))
    >>> kk.enrol(plan, seekers, seed="lottery of 21 November 2026: 4 11 19").plan_fingerprint == plan.fingerprint
    True
    """
    _plan(plan)
    # A balance column misspelt in the plan must come out now: after the draw the plan can no longer be mended.
    read_columns(table, plan.balance, where="the register")
    drawn = randomise(table, plan.design, id=plan.id, seed=seed)
    return replace(drawn, plan_fingerprint=plan.fingerprint)


def analyse(
    plan: Plan,
    assignment: Assignment,
    outcomes: object,
    *,
    also: Sequence[Analysis] | Analysis = (),
    deviations: Sequence[Deviation] | Deviation = (),
    register: object | None = None,
) -> Findings:
    """Run the registered analyses of a plan, and refuse what was not registered.

    Compared with the plan are its fingerprint on the assignment, the design, the id, the replay of the draw, the
    columns of the outcomes and their bounds, and (where the register is given) its people and columns. A difference is
    refused unless a deviation declares it, and then the results show both.

    Parameters
    ----------
    plan : Plan
    assignment : Assignment
        From :func:`kokeilu.enrol` under this plan.
    outcomes : pandas, pyarrow or Arrow-capable table
        One row for each person at most, with the id, the outcomes and the covariates of the analyses.
    also : sequence of Analysis
        Exploratory analyses. They are labelled as such and never adjusted; nothing given here can be registered.
    deviations : sequence of Deviation
    register : pandas, pyarrow or Arrow-capable table, optional
        The register of the draw: compared, and checked for balance as the plan says.

    Returns
    -------
    Findings

    Raises
    ------
    PlanError
        Without a deviation that says so: another plan or none on the assignment, another design or id, a draw that its
        seed does not give, another register, an outcome outside its registered bounds. An exploratory analysis that is
        registered already.
    ColumnError, DataError, EstimationError
        An outcome that is absent or not numeric, people never assigned, an analysis that cannot be made.

    Examples
    --------
    >>> import kokeilu as kk
    >>> people = {"id": list(range(40))}
    >>> plan = kk.Plan(title="Coach", id="id", design=kk.Complete(kk.arms(control=1, coaching=1)),
    ...                outcomes=(kk.Outcome("work"),), analyses=(kk.Analysis("work"),))
    >>> assignment = kk.enrol(plan, people, seed="published")
    >>> findings = kk.analyse(plan, assignment, {**people, "work": [i % 7 for i in range(40)]})
    >>> findings.estimates[0].registered, findings.deviations
    (True, ())
    """
    _plan(plan)
    if not isinstance(assignment, Assignment):
        raise PlanError(f"an assignment is needed, from enrol(plan, ...); got {type(assignment).__name__}.")
    told, more = check_deviations(deviations), _also(also, plan, assignment.arms)
    column_names(outcomes)
    differences = list(compare_assignment(plan, assignment))
    differences += compare_register(assignment, register) if register is not None else ()
    refuse_undeclared(differences, told)
    locate(assignment, outcomes, where="the outcomes table")
    differences += [d for outcome in plan.outcomes for d in compare_outcome(outcome, outcomes)]
    accounts, lost = _accounts(plan, assignment, outcomes, differences)
    differences += lost
    refuse_undeclared(differences, told)
    runs, failed = _registered(plan, assignment, outcomes, differences)
    differences += failed
    refuse_undeclared(differences, told)
    runs, family = adjusted(plan, runs, assignment, outcomes)
    extra = tuple(_execute(one, plan, assignment, outcomes, registered=False) for one in more)
    names = dict.fromkeys(one.outcome for one in more if one.outcome not in {o.name for o in plan.outcomes})
    accounts += tuple((name, align(assignment, outcomes, name).account) for name in names)
    balance, notes = _balance(plan, assignment, register, differences)
    return Findings(
        plan=plan,
        assignment=assignment,
        executed=(*runs, *extra),
        family=family,
        balance=balance,
        accounts=accounts,
        deviations=with_found(told, differences),
        notes=notes,
        version=library_version(),
        power=power_check(plan.power, assignment) if plan.power else None,
    )


def check_power(plan: Plan, assignment: Assignment) -> PowerCheck:
    """Compare the people, clusters and strata of a draw with those for which the plan reckoned its power.

    Parameters
    ----------
    plan : Plan
        With a power record.
    assignment : Assignment

    Raises
    ------
    PlanError
        Where the plan has no power record.

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Complete(kk.arms(control=1, coaching=1))
    >>> wanted = kk.sample_size(design, kk.Mean(sd=1.0), effect=0.5)
    >>> plan = kk.Plan(title="Coach", id="id", design=design, outcomes=(kk.Outcome("work"),),
    ...                analyses=(kk.Analysis("work"),), power=wanted)
    >>> kk.check_power(plan, kk.enrol(plan, {"id": list(range(120))}, seed="published")).differences
    ((1, 'people in control', 64.0, 60.0), (1, 'people in coaching', 64.0, 60.0))
    """
    _plan(plan)
    if not isinstance(assignment, Assignment):
        raise PlanError(f"an assignment is needed, from enrol(plan, ...); got {type(assignment).__name__}.")
    if not plan.power:
        raise PlanError("the plan has no power record. State it before the draw: Plan(..., power=sample_size(...)).")
    return power_check(plan.power, assignment)


def _plan(plan: object) -> None:
    if not isinstance(plan, Plan):
        raise PlanError(f"a plan is needed, from Plan(...) or load_plan(path); got {type(plan).__name__}.")


def _also(also: object, plan: Plan, arms: Arms) -> tuple[Analysis, ...]:
    items = (also,) if isinstance(also, Analysis) else also
    if not isinstance(items, (tuple, list)) or not all(isinstance(item, Analysis) for item in items):
        raise PlanError("also must be Analysis(outcome, estimator) specifications.")
    names = [analysis.name for analysis in (*plan.analyses, *items)]
    for item in items:
        twin = next((a.name for a in plan.analyses if a.same_as(item, arms)), None)
        if twin is not None:
            raise PlanError(
                f"also: the analysis {item.name!r} is registered as {twin!r} and runs anyway. Leave it out."
            )
        if names.count(item.name) > 1:
            raise PlanError(
                f"also: the name {item.name!r} is that of another analysis, so their results could not be told apart. "
                "Give it one of its own: Analysis(..., name='...')."
            )
    return tuple(items)


def _accounts(
    plan: Plan, assignment: Assignment, outcomes: object, differences: Sequence[Difference]
) -> tuple[tuple[tuple[str, Account], ...], list[Difference]]:
    """Return the account of each readable outcome, and the outcomes that nobody has."""
    blocked = _blocked(differences)
    found: list[tuple[str, Account]] = []
    lost: list[Difference] = []
    for name in (outcome.name for outcome in plan.outcomes if outcome.name not in blocked):
        view, trouble = _caught(partial(align, assignment, outcomes, name))
        if view is not None:
            found.append((name, view.account))
        if trouble is not None:
            lost.append(Difference(kind="outcome", about=name, says=str(trouble), error=type(trouble), blocking=True))
    return tuple(found), lost


def _blocked(differences: Sequence[Difference]) -> dict[str, str]:
    return {d.about: d.says for d in differences if d.blocking}


def _registered(
    plan: Plan, assignment: Assignment, outcomes: object, differences: Sequence[Difference]
) -> tuple[tuple[Executed, ...], list[Difference]]:
    """Run the registered analyses; those that cannot be made come back with the reason, as differences."""
    blocked = _blocked(differences)
    runs: list[Executed] = []
    failed: list[Difference] = []
    for one in plan.analyses:
        problem = blocked.get(one.outcome, "")
        if not problem:
            run, trouble = _caught(partial(_execute, one, plan, assignment, outcomes, registered=True))
            if run is not None:
                runs.append(run)
                continue
            problem = f"analysis {one.name!r}: {trouble}"
            error = PlanError if trouble is None else type(trouble)
            failed.append(Difference(kind="estimator", about=one.name, says=problem, error=error))
        runs.append(Executed(analysis=one, registered=True, role=plan.outcome(one.outcome).role, problem=problem))
    return tuple(runs), failed


def _execute(one: Analysis, plan: Plan, assignment: Assignment, outcomes: object, *, registered: bool) -> Executed:
    role = next((o.role for o in plan.outcomes if o.name == one.outcome), "") if registered else ""
    if one.is_test:
        tests = tuple(replace(t, registered=registered) for t in _tests(one, plan, assignment, outcomes))
        return Executed(analysis=one, registered=registered, role=role, tests=tests)
    found = estimate_effects(assignment, outcomes, one.outcome, estimator=one.estimator, contrasts=one.contrasts)
    return Executed(analysis=one, registered=registered, role=role, estimates=found.mark(registered=registered))


def _tests(one: Analysis, plan: Plan, assignment: Assignment, outcomes: object) -> Sequence[TestResult]:
    spec, level = one.estimator, 1 - plan.family.alpha
    if not isinstance(spec, RandomisationTest):
        found: Sequence[TestResult] = spec.tests(assignment, outcomes, one.outcome, one.contrasts, level)
        return found
    return [
        randomisation_test(
            assignment,
            outcomes,
            one.outcome,
            covariates=spec.covariates,
            contrast=pair,
            draws=spec.draws,
            studentise=spec.studentise,
            alternative=spec.alternative,
            method=spec.method,
            level=level,
        )
        for pair in contrasts_of(one.contrasts, assignment.arms)
    ]


def _balance(
    plan: Plan, assignment: Assignment, register: object | None, differences: Sequence[Difference]
) -> tuple[Balance | None, tuple[str, ...]]:
    """Return the registered balance check, and notes on what could not be compared."""
    notes: list[str] = []
    if assignment.seed is None:
        notes.append("the allocation was made elsewhere: there is no seed, so the draw was not replayed.")
    if register is None:
        balance = f", and the balance of {', '.join(plan.balance)} was not checked" if plan.balance else ""
        notes.append(f"no register was given: its people and columns were not compared{balance}.")
    if register is None or not plan.balance:
        return None, tuple(notes)
    if not any(d.kind == "frame" for d in differences):
        return check_balance(assignment, register, on=plan.balance), tuple(notes)
    found, trouble = _caught(partial(check_balance, assignment, register, on=plan.balance))
    if trouble is not None:
        notes.append(f"the balance was not checked: {trouble}")
    return found, tuple(notes)


def _caught(action: Callable[[], _T]) -> tuple[_T | None, KokeiluError | None]:
    """Return what an action gives, or the error of ours that it raises."""
    try:
        return action(), None
    except KokeiluError as error:
        return None, error
