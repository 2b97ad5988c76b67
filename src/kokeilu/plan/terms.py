"""The terms of a plan: what is measured, and how it will be analysed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from kokeilu._checks import choice
from kokeilu.core.arms import Arms
from kokeilu.core.registry import kind_of, register
from kokeilu.errors import PlanError
from kokeilu.estimate.spec import RandomisationTest
from kokeilu.plan.text import plain, tidy

__all__ = ["Analysis", "Contrast", "Outcome"]

Contrast = tuple[str, str]
ROLES = ("primary", "secondary")
MISSING = ("complete cases",)


@register("outcome")
@dataclass(frozen=True, slots=True)
class Outcome:
    """One registered outcome: a column and what its numbers mean.

    Parameters
    ----------
    name : str
        The column of the outcomes table.
    role : {"primary", "secondary"}
        The registered contrasts of primary outcomes form the family whose p-values are adjusted.
    description : str
        Variable, metric, aggregation and time point, in words (CONSORT 2025, item 14).
    unit : str
        Unit of the numbers, such as "euro" or "days". A yes or no is given as 0 and 1 without a unit, with
        ``minimum=0, maximum=1``: the report then writes percentages and percentage points.
    minimum, maximum : float or None
        Bounds of the definition, in `unit`. A column with a value outside them is another outcome, and is refused.
    missing : {"complete cases"}
        What is done about people without a value: they are left out, and counted by arm.

    Raises
    ------
    PlanError
        An empty name, or bounds that are not finite or the wrong way round.

    Examples
    --------
    >>> import kokeilu as kk
    >>> kk.Outcome("satisfaction", role="secondary", unit="school grade", minimum=4, maximum=10).maximum
    10.0
    """

    name: str
    _: KW_ONLY
    role: str = "primary"
    description: str = ""
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    missing: str = "complete cases"

    def __post_init__(self) -> None:
        _put(self, "name", _column(self.name, "the name of an outcome"))
        choice(self.role, ROLES, name=f"outcome {self.name!r}: role")
        choice(self.missing, MISSING, name=f"outcome {self.name!r}: missing")
        for field in ("description", "unit"):
            _put(self, field, plain(getattr(self, field), name=f"outcome {self.name!r}: {field}"))
        for field in ("minimum", "maximum"):
            _put(self, field, _bound(getattr(self, field), f"outcome {self.name!r}: {field}"))
        if self.minimum is not None and self.maximum is not None and self.minimum >= self.maximum:
            raise PlanError(
                f"outcome {self.name!r}: minimum {self.minimum:g} is not below maximum {self.maximum:g}. Correct them."
            )

    def bounds(self) -> str:
        """Say the bounds in words; empty where there are none."""
        low = "" if self.minimum is None else f"at least {self.minimum:g}"
        high = "" if self.maximum is None else f"at most {self.maximum:g}"
        return " and ".join(part for part in (low, high) if part)

    def __str__(self) -> str:
        parts = (self.description, self.unit, self.bounds())
        return f"{self.role} outcome {self.name!r}" + "".join(f"; {part}" for part in parts if part)


@register("analysis")
@dataclass(frozen=True, slots=True)
class Analysis:
    """One analysis of one outcome: an estimator, or a test.

    Whether it is registered is not said here: analyses that stand in the plan are, those given to ``also=`` are not.

    Parameters
    ----------
    outcome : str
        The column of the outcome.
    estimator : DifferenceInMeans, Regression, RandomisationTest, WildClusterBootstrap or the like, optional
        None: the estimator that follows from the design.
    contrasts : sequence of (arm, reference), optional
        None: each arm against the first.
    name : str
        Distinct within a plan; made from outcome and estimator where not given.

    Raises
    ------
    PlanError
        An estimator that is none, or whose class is not registered; contrasts that are not pairs of arms.

    Examples
    --------
    >>> import kokeilu as kk
    >>> kk.Analysis("employed_12m", kk.Regression(covariates=("age",))).name
    'employed_12m by Regression'
    >>> kk.Analysis("employed_12m").name
    'employed_12m by the design'
    """

    outcome: str
    estimator: Any = None
    _: KW_ONLY
    contrasts: tuple[Contrast, ...] | None = None
    name: str = ""

    def __post_init__(self) -> None:
        _put(self, "outcome", _column(self.outcome, "the outcome of an analysis"))
        where = f"the analysis of {self.outcome!r}"
        if self.estimator is not None:
            _put(self, "estimator", _estimator(self.estimator, where))
        _put(self, "contrasts", _pairs(self.contrasts, where))
        default = f"{self.outcome} by {'the design' if self.estimator is None else kind_of(self.estimator)}"
        _put(self, "name", plain(self.name, name=f"{where}: name") or default)

    @property
    def covariates(self) -> tuple[str, ...]:
        """Columns of the outcomes table that the estimator adjusts for."""
        ask = getattr(self.estimator, "columns", None)
        return tuple(ask() if callable(ask) else getattr(self.estimator, "covariates", ()))

    @property
    def is_test(self) -> bool:
        """True for a test that gives no estimate: by redraws, or by the wild cluster bootstrap."""
        return _tests(self.estimator)

    def same_as(self, other: Analysis, arms: Arms | None = None) -> bool:
        """Whether two analyses do the same, whatever their names; None for contrasts is each of `arms` by the first."""
        mine = (self.outcome, self.estimator, self._pairs_of(arms))
        return mine == (other.outcome, other.estimator, other._pairs_of(arms))

    def _pairs_of(self, arms: Arms | None) -> tuple[Contrast, ...] | None:
        if self.contrasts is not None or arms is None:
            return self.contrasts
        return tuple((arm, arms.reference) for arm in arms.names[1:])

    def __str__(self) -> str:
        return f"analysis {self.name!r}: {'the estimator of the design' if self.estimator is None else self.estimator}"


def _tests(estimator: object) -> bool:
    return isinstance(estimator, RandomisationTest) or callable(getattr(estimator, "tests", None))


def _put(target: object, field: str, value: object) -> None:
    object.__setattr__(target, field, value)


def _column(value: object, name: str) -> str:
    # A column's blanks are part of its name, so they are kept here and only an empty name is refused.
    if not isinstance(value, str):
        raise PlanError(f"{name} must be a column name (text); got {type(value).__name__}.")
    plain(value, name=name, needed=True)
    return tidy(value, where=name)


def _bound(value: object, name: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise PlanError(f"{name} must be a finite number or None; got {type(value).__name__}.")
    return float(value)


def _estimator(value: object, where: str) -> object:
    usable = _tests(value) or callable(getattr(value, "estimate", None))
    if isinstance(value, type) or not usable:
        named = value.__name__ if isinstance(value, type) else type(value).__name__
        got = f"the class {named}; write {named}()" if isinstance(value, type) else named
        raise PlanError(
            f"{where}: estimator must be a specification such as DifferenceInMeans(), Regression(...) or "
            f"RandomisationTest(); got {got}. Leave it out for the one that follows from the design."
        )
    if kind_of(value) is None:
        raise PlanError(
            f"{where}: estimator {type(value).__name__} is of a class that is not registered, so it cannot stand in a "
            "plan. Decorate the class with kokeilu.register('...')."
        )
    return tidy(value, where=where)


def _pairs(value: Sequence[Contrast] | None, where: str) -> tuple[Contrast, ...] | None:
    if value is None:
        return None
    listed = list(value) if isinstance(value, (tuple, list)) else []
    shaped = all(isinstance(p, (tuple, list)) and len(p) == 2 and all(isinstance(a, str) for a in p) for p in listed)
    if not listed or not shaped:
        raise PlanError(
            f"{where}: contrasts must be pairs of arm names such as (('coaching', 'control'),). "
            "Leave them out for each arm against the first."
        )
    pairs = tuple((tidy(arm, where=where), tidy(reference, where=where)) for arm, reference in listed)
    if any(arm == reference for arm, reference in pairs) or len(set(pairs)) != len(pairs):
        raise PlanError(f"{where}: a contrast names one arm twice, or stands twice. Keep distinct pairs of two arms.")
    return pairs
