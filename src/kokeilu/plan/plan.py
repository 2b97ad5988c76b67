"""The plan: design, outcomes and analyses in one frozen value with a fingerprint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

from kokeilu._checks import name_list, unknown_name
from kokeilu.assign.randomise import check_design
from kokeilu.core.arms import Arms
from kokeilu.core.canonical import canonical_json, fingerprint
from kokeilu.core.protocols import Mechanism
from kokeilu.core.registry import encode, kind_of
from kokeilu.errors import PlanError
from kokeilu.estimate.families import Holm
from kokeilu.estimate.step_down import RedrawFamily
from kokeilu.plan.power_record import PowerRecord, records_of
from kokeilu.plan.terms import Analysis, Outcome
from kokeilu.plan.text import decoded, parse_json, plain, tidy

__all__ = ["SCHEMA", "Family", "Plan", "design_arms"]

SCHEMA = "kokeilu-plan/1"
FIELDS = ("title", "description", "id", "design", "balance", "outcomes", "analyses", "family")
OPTIONAL = ("power",)
"""Written only where given, so that plans without them keep their fingerprint."""
_Term = TypeVar("_Term", Outcome, Analysis)


@runtime_checkable
class Family(Protocol):
    """A correction for several hypotheses."""

    @property
    def alpha(self) -> float:
        """Level of the family."""
        ...

    def adjust(self, p_values: Sequence[float]) -> tuple[float, ...]:
        """Return adjusted p-values in the order given."""
        ...


AnyFamily: TypeAlias = Family | RedrawFamily


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be drawn, measured and computed, stated before the draw.

    A plan is checked completely when it is made. Its fingerprint covers every field, so that publishing 64 digits
    before the draw fixes all of them.

    Parameters
    ----------
    title : str
    id : str
        The column that names each person once, in the register and in the outcomes.
    design : Mechanism
        The rule of the draw.
    outcomes : sequence of Outcome
        At least one of them primary.
    analyses : sequence of Analysis
        At least one for each primary outcome.
    balance : sequence of str
        Columns of the register to be checked for balance.
    family : Holm, Hochberg, RomanoWolf, BenjaminiHochberg or the like
        Adjusts the p-values of all registered contrasts of the primary outcomes together. Tests without an estimate
        stand outside where the outcome also has an estimate, so that one question is not counted twice. `RomanoWolf`
        and `WestfallYoung` take p-values of their own from one set of redraws of the lottery, with the covariates of
        each analysis.
    description : str
        Question and setting, in words.
    power : Power or sequence of them
        Answers of `sample_size`, `power_at` or `detectable_effect`, kept as :class:`PowerRecord`: `check_power` and
        `analyse` compare them with the people who were enrolled.

    Raises
    ------
    PlanError
        Where the plan contradicts itself: an analysis of an unknown outcome, a primary outcome without analysis, names
        that occur twice, an outcome used as covariate, a specification that cannot be written to JSON.
    DesignError
        A design that is none, or a contrast of unknown arms.

    Examples
    --------
    >>> import kokeilu as kk
    >>> plan = kk.Plan(
    ...     title="Personal coach 2027", id="person_id", design=kk.Complete(kk.arms(control=1, coaching=1)),
    ...     outcomes=(kk.Outcome("employed_12m", minimum=0, maximum=1),), analyses=(kk.Analysis("employed_12m"),))
    >>> plan.fingerprint[:12]
    '54142f0d8aa8'
    >>> kk.Plan.from_json(plan.to_json()) == plan
    True
    """

    title: str
    id: str
    design: Mechanism
    outcomes: tuple[Outcome, ...]
    analyses: tuple[Analysis, ...]
    balance: tuple[str, ...] = ()
    family: AnyFamily = field(default_factory=Holm)
    description: str = ""
    power: tuple[PowerRecord, ...] = ()

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "title", plain(self.title, name="the title of the plan", needed=True))
        put(self, "description", plain(self.description, name="the description of the plan"))
        put(self, "design", tidy(check_design(self.design), where="the design of the plan"))
        put(self, "id", _one_name(self.id))
        put(self, "balance", tidy(name_list(self.balance, name="balance"), where="balance"))
        put(self, "outcomes", _terms(self.outcomes, Outcome, "outcomes"))
        put(self, "analyses", _terms(self.analyses, Analysis, "analyses"))
        put(self, "family", _family(self.family))
        put(self, "power", records_of(self.power, design_arms(self.design)))
        _check_columns(self)
        _check_analyses(self)
        _check_outcomes(self)

    @property
    def primary(self) -> tuple[str, ...]:
        """Names of the primary outcomes."""
        return tuple(outcome.name for outcome in self.outcomes if outcome.role == "primary")

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON, 64 hexadecimal digits."""
        return fingerprint(self._data())

    def outcome(self, name: str) -> Outcome:
        """Return a registered outcome, or raise PlanError with the nearest name."""
        found = next((outcome for outcome in self.outcomes if outcome.name == name), None)
        if found is None:
            known = [outcome.name for outcome in self.outcomes]
            raise unknown_name(name, known, what="outcome", where="the plan", error=PlanError)
        return found

    def to_json(self) -> str:
        """Return the canonical JSON (RFC 8785) that the fingerprint covers."""
        return canonical_json(self._data())

    def _data(self) -> dict[str, object]:
        names = (*FIELDS, *(name for name in OPTIONAL if getattr(self, name)))
        return {"schema": SCHEMA, **{name: encode(getattr(self, name)) for name in names}}

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Rebuild a plan from :meth:`to_json`.

        Raises
        ------
        FileError
            Where the text ends in the middle or is no JSON.
        PlanError
            For another schema, unknown or absent keys, or a plan that contradicts itself.
        """
        if not isinstance(text, str):
            raise PlanError(f"a plan is read from text; got {type(text).__name__}. To read a file, use load_plan.")
        return cls.from_data(parse_json(text, where="the plan"), where="the plan")

    @classmethod
    def from_data(cls, data: object, *, where: str) -> Plan:
        """Rebuild a plan from parsed JSON; `where` names the source in messages."""
        if not isinstance(data, Mapping) or "schema" not in data:
            raise PlanError(f"{where} is not a plan: it has no 'schema'. Write one with save_plan or Plan.to_json.")
        if data["schema"] != SCHEMA:
            raise PlanError(
                f"{where} is not of schema {SCHEMA!r}, which this version reads. Use the version that wrote it."
            )
        body = {key: value for key, value in data.items() if key != "schema"}
        for key in body:
            if key not in FIELDS + OPTIONAL:
                raise unknown_name(key, FIELDS + OPTIONAL, what="key", where=where, error=PlanError)
        absent = [key for key in FIELDS if key not in body]
        if absent:
            raise PlanError(f"{where} lacks {', '.join(map(repr, absent))}. Write out every key, even an empty one.")
        return cls(**{key: decoded(value, where=f"{where}, {key}") for key, value in body.items()})

    def __str__(self) -> str:
        lines = [f"Plan: {self.title}", f"fingerprint {self.fingerprint}", self.design.describe()]
        lines += [str(term) for term in (*self.outcomes, *self.analyses)]
        if self.balance:
            lines.append(f"balance of {', '.join(self.balance)}")
        lines += [str(record) for record in self.power]
        return "\n".join([*lines, f"family: {self.family} over the registered contrasts of {', '.join(self.primary)}"])


def design_arms(design: object) -> Arms | None:
    """Return the arms of a mechanism for their names, following wrappers to their base; None where it shows none."""
    while design is not None:
        arms = getattr(design, "arms", None)
        if isinstance(arms, Arms):
            return arms
        if isinstance(arms, tuple) and arms and isinstance(arms[0][-1], Arms):
            return arms[0][-1]
        design = getattr(design, "base", None)
    return None


def _one_name(value: str) -> str:
    names = name_list(value, name="id")
    if len(names) != 1:
        raise PlanError("id must be one column: the one that names each person once.")
    return tidy(names[0], where="id")


def _terms(value: object, kind: type[_Term], name: str) -> tuple[_Term, ...]:
    items = (value,) if isinstance(value, kind) else tuple(value) if isinstance(value, (tuple, list)) else ()
    wrong = [type(item).__name__ for item in items if not isinstance(item, kind)]
    if wrong or not items:
        got = f"it holds {wrong[0]}" if wrong else "it has none"
        raise PlanError(f"{name} of the plan must be {kind.__name__}(...) specifications, at least one; {got}.")
    return tuple(item for item in items if isinstance(item, kind))


def _family(value: Any) -> AnyFamily:
    if isinstance(value, type) or not isinstance(value, (Family, RedrawFamily)) or kind_of(value) is None:
        raise PlanError("family of the plan must be a registered correction such as Holm(alpha=0.05).")
    return tidy(value, where="the family of the plan")


def _check_columns(plan: Plan) -> None:
    names = [outcome.name for outcome in plan.outcomes]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise PlanError(f"outcome {repeated[0]!r} stands twice in the plan. Keep one definition of each outcome.")
    if plan.id in plan.design.columns():
        raise PlanError(f"{plan.id!r} is the id and also a column of the design. Name another column in one of them.")
    for outcome in plan.outcomes:
        if outcome.name == plan.id or outcome.name in plan.design.columns() or outcome.name in plan.balance:
            use = "the id" if outcome.name == plan.id else "a column of the design or of the balance check"
            raise PlanError(f"outcome {outcome.name!r} is also {use}, known before the draw. Name another column.")
    if plan.id in plan.balance:
        raise PlanError(f"{plan.id!r} is the id and cannot be checked for balance. Take it out of balance.")


def _check_outcomes(plan: Plan) -> None:
    if not plan.primary:
        raise PlanError("the plan has no primary outcome. Give the outcome that decides role='primary'.")
    analysed = {analysis.outcome for analysis in plan.analyses}
    lost = [name for name in plan.primary if name not in analysed]
    if lost:
        raise PlanError(f"primary outcome {lost[0]!r} has no analysis. Add Analysis({lost[0]!r}) or make it secondary.")


def _check_analyses(plan: Plan) -> None:
    arms = design_arms(plan.design)
    outcomes = {outcome.name for outcome in plan.outcomes}
    names = [analysis.name for analysis in plan.analyses]
    for position, analysis in enumerate(plan.analyses):
        plan.outcome(analysis.outcome)
        if names.count(analysis.name) > 1 or any(analysis.same_as(other, arms) for other in plan.analyses[:position]):
            raise PlanError(
                f"analysis {analysis.name!r} stands twice in the plan. State it once, or give each its own name=...."
            )
        after = [name for name in analysis.covariates if name in outcomes or name == plan.id]
        if after:
            raise PlanError(
                f"analysis {analysis.name!r}: covariate {after[0]!r} is an outcome or the id of the plan. "
                "Covariates are measured before the draw."
            )
        for arm in (arm for pair in analysis.contrasts or () for arm in pair):
            if arms is not None:
                arms.index(arm)
