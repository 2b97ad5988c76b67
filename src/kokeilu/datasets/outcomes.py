"""Outcomes of made-up job seekers, revealed under stated true effects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kokeilu._checks import between, count_of, unknown_name
from kokeilu._kernels.streams import Seed
from kokeilu.core.register import read_population
from kokeilu.core.table import read_columns, read_number
from kokeilu.datasets.potential import OUTCOMES, People, draw_people, exited, outcome_of, shift_for
from kokeilu.errors import DataError, DesignError

if TYPE_CHECKING:
    import pandas as pd

    from kokeilu.core.assignment import Assignment
    from kokeilu.core.population import Ids

__all__ = ["outcomes", "true_effects"]

Effects: TypeAlias = "Mapping[str, float | Mapping[str, float]]"
_NUMBERS = ("age", "months_unemployed", "employment_days_prior", "immigrant")
_OFFICE = "employment_office"


def outcomes(
    register: object,
    assignment: Assignment | None = None,
    *,
    effects: Effects | None = None,
    seed: object,
    response: float | Mapping[str, float] = 0.6,
    office_icc: float = 0.02,
    base: float = 0.30,
    id: str = "person_id",
) -> pd.DataFrame:
    """Reveal the outcomes of made-up job seekers under stated true effects.

    Parameters
    ----------
    register : table
        As from :func:`job_seekers`, whole: potential outcomes depend on the seed and the register, never on
        the draw, so that two assignments of one register reveal the same ones.
    assignment : Assignment, optional
        Without it everybody's control outcome is revealed.
    effects : mapping of arm to effect
        A number is the true average effect on ``employed_12m`` as a difference in probability (0.03 is
        3 percentage points); the other outcomes move along, by what :func:`true_effects` says. A mapping of
        outcome to effect (``{"coach": {"days_employed": 9, "satisfaction": 0.3}}``) moves exactly the
        outcomes named, in their own units. An arm not named has no effect.
    seed : str, int or bytes
    response : float or mapping of arm to float
        Share of people who answer the survey; older people answer more often.
    office_icc : float
        Intra-class correlation of ``employed_12m`` within employment offices, in 0-0.4.
    base : float
        Share employed after 12 months without any service.
    id : str
        The column of the ids.

    Returns
    -------
    DataFrame, one row per person of the assignment, by id

        ================= ====================================================================================
        the id            as in the register
        employed_12m      1 employed 12 months after the draw, 0 not
        days_employed     days employed in those 12 months, 0-365, many 0; may overlap the spell (short jobs)
        spell_days_after  days until the unemployment spell ended, at most 365; 4 % are lost before
        exited            True where the end of the spell was seen, False where it is censored
        satisfaction      grade 4-10 given to the service; NaN where the survey was not answered
        ================= ====================================================================================

    Raises
    ------
    DesignError
        Where an effect names no arm or outcome, is given without an assignment, or would
        take an average outside of its range.
    ColumnError
        Where the register lacks a column of :func:`job_seekers` that the outcomes depend on.
    DataError
        Where the assignment has people who are not in the register.

    Notes
    -----
    A stated effect is the average over all people of the register of the difference between their own two
    potential outcomes, met up to the step of one person: 1/n for ``employed_12m``, at most 365/n days and 6/n
    grades. An estimate differs from it by the luck of the draw and of the survey only. How:
    :mod:`kokeilu.datasets.potential`.

    Examples
    --------
    >>> from kokeilu.datasets import job_seekers, outcomes
    >>> seekers = job_seekers(1_000, seed="example")
    >>> float(outcomes(seekers, seed="example")["employed_12m"].mean())
    0.3
    """
    import pandas as pd

    between(base, 0.0, 1.0, name="base")
    people, ids = _people(register, seed=seed, office_icc=office_icc, base=base, id=id)
    arms = assignment.arms.names if assignment is not None else ("control",)
    if effects and assignment is None:
        raise DesignError("effects need an assignment; without one everybody's control outcome is revealed.")
    for arm in (*(effects or {}), *(response if isinstance(response, Mapping) else ())):
        if arm not in arms:
            raise unknown_name(arm, arms, what="arm", where="the assignment")
    codes, rows = _who(assignment, ids)
    columns = {name: np.empty(len(rows)) for name in OUTCOMES}
    seen = np.empty(len(rows), dtype=bool)
    for code, arm in enumerate(arms):
        here = codes == code
        shifts = _shifts(people, arm, (effects or {}).get(arm, 0.0))
        for name in OUTCOMES:
            columns[name][here] = outcome_of(people, name, shifts[name])[rows[here]]
        seen[here] = exited(people, shifts["spell_days_after"])[rows[here]]
        silent = people.answering[rows] >= _rate(response, arm)
        columns["satisfaction"][here & silent] = np.nan
    kind = object if ids.kind == "text" else np.int64
    table: dict[str, object] = {id: np.array(ids.to_list(), dtype=kind)[rows]}
    table |= {name: columns[name].astype(np.int64) for name in OUTCOMES[:3]}
    return pd.DataFrame({**table, "exited": seen, "satisfaction": columns["satisfaction"]})


def true_effects(
    register: object,
    *,
    effects: Effects,
    seed: object,
    office_icc: float = 0.02,
    base: float = 0.30,
    id: str = "person_id",
) -> pd.DataFrame:
    """Return what :func:`outcomes` makes true: the average of every outcome in each arm, and the effects.

    Parameters
    ----------
    register, effects, seed, office_icc, base, id
        As in :func:`outcomes`.

    Returns
    -------
    DataFrame, one row per arm of `effects` and outcome
        Columns arm, outcome, control_mean, arm_mean, effect: averages over all people of the register, the
        grades of those who would not answer included.

    Examples
    --------
    >>> from kokeilu.datasets import job_seekers, true_effects
    >>> truth = true_effects(job_seekers(1_000, seed="example"), effects={"coach": 0.03}, seed="example")
    >>> round(float(truth["effect"][0]), 12)
    0.03
    """
    import pandas as pd

    between(base, 0.0, 1.0, name="base")
    people, _ = _people(register, seed=seed, office_icc=office_icc, base=base, id=id)
    rows: list[dict[str, object]] = []
    for arm, stated in effects.items():
        shifts = _shifts(people, arm, stated)
        for name in OUTCOMES:
            control = float(outcome_of(people, name, 0.0).mean())
            mean = float(outcome_of(people, name, shifts[name]).mean())
            row = {"control_mean": control, "arm_mean": mean, "effect": mean - control}
            rows.append({"arm": arm, "outcome": name, **row})
    return pd.DataFrame(rows)


def _people(register: object, *, seed: object, office_icc: float, base: float, id: str) -> tuple[People, Ids]:
    """Read the register in the order of its ids and draw what is random about each person."""
    between(office_icc, 0.0, 0.4, name="office_icc", closed=True)
    stream = Seed.of(seed).stream("datasets.outcomes")
    population, order = read_population(register, id=id, columns=(_OFFICE,))
    arrow = read_columns(register, _NUMBERS, where="the register")
    number = {name: read_number(arrow[name], name, where="the register")[order] for name in _NUMBERS}
    for name, values in number.items():
        absent = int(np.isnan(values).sum())
        if absent:
            raise DataError(
                f"the register: column {name!r} is missing for {count_of(absent, 'person', 'people')}; the "
                "outcomes depend on it. Use the register as job_seekers() returned it."
            )
    score = (
        number["employment_days_prior"] / 365.0
        - 0.6 * np.log1p(number["months_unemployed"])
        - 0.8 * (number["age"] >= 55)
        - 0.3 * number["immigrant"]
    )
    office = population.factor(_OFFICE).codes
    return draw_people(stream, office, score, number["age"], base=base, office_icc=office_icc), population.ids


def _who(assignment: Assignment | None, ids: Ids) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Return arm codes and rows of the register (in the order of its ids) of the people assigned."""
    if assignment is None:
        return np.zeros(len(ids), dtype=np.int8), np.arange(len(ids))
    if assignment.ids.kind != ids.kind:
        raise DataError(
            f"the ids of the assignment are {assignment.ids.kind}, those of the register {ids.kind}. "
            "Pass the register from which the assignment was drawn."
        )
    rows = ids.find(assignment.ids.values)
    absent = int((rows < 0).sum())
    if absent:
        raise DataError(
            f"the assignment has {count_of(absent, 'person', 'people')} of {len(rows):,} who are not in the "
            "register. Pass the register from which the assignment was drawn."
        )
    return assignment.codes, rows


def _shifts(people: People, arm: str, stated: float | Mapping[str, float]) -> dict[str, float]:
    """Return the latent shift of each outcome in an arm."""
    if not isinstance(stated, Mapping):
        return dict.fromkeys(OUTCOMES, shift_for(people, "employed_12m", float(stated)))
    for name in stated:
        if name not in OUTCOMES:
            raise unknown_name(name, OUTCOMES, what="outcome", where=f"the made-up data (effects of arm {arm!r})")
    return {name: shift_for(people, name, float(stated.get(name, 0.0))) for name in OUTCOMES}


def _rate(response: float | Mapping[str, float], arm: str) -> float:
    rate = response.get(arm, 0.6) if isinstance(response, Mapping) else response
    return between(rate, 0.0, 1.0, name="response", closed=True)
