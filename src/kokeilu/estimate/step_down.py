"""Families of tests from one shared set of redraws of the lottery: arms x outcomes x subgroups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kokeilu._checks import between, count_of, name_list, positive_int
from kokeilu._kernels.step_down import Batches, StepDown, max_t, min_p, over_parts
from kokeilu.core.assignment import Assignment, check_assignment
from kokeilu.core.protocols import Floats
from kokeilu.core.registry import register
from kokeilu.core.table import read_columns, read_factor_or_missing
from kokeilu.core.timing import refuse_mistimed
from kokeilu.core.view import align, locate
from kokeilu.errors import DesignError
from kokeilu.estimate.among import held_again
from kokeilu.estimate.family_found import FamilyMember, FamilyTest
from kokeilu.estimate.notes import attrition_notes
from kokeilu.estimate.panel import Hypothesis, Panel, panel_of
from kokeilu.estimate.sample import Contrasts, contrasts_of

__all__ = ["FamilyMember", "FamilyTest", "RedrawFamily", "RomanoWolf", "WestfallYoung", "family_test", "redrawn"]


Steps = Callable[[Floats, Batches], StepDown]


@runtime_checkable
class RedrawFamily(Protocol):
    """A correction that needs the statistics of every redraw."""

    @property
    def alpha(self) -> float:
        """Level of the family."""
        ...

    @property
    def draws(self) -> int:
        """Redraws, where the assignments are too many to go through."""
        ...

    def step_down(self, panel: Panel, assignment: Assignment) -> StepDown:
        """Return own and adjusted p-values of a panel's hypotheses."""
        ...


@register("RomanoWolf")
@dataclass(frozen=True, slots=True, kw_only=True)
class RomanoWolf:
    """Step-down max-T from redraws of the lottery: the chance of any false rejection is at most `alpha`.

    The largest of the studentised statistics, over all hypotheses not yet rejected, is compared with what it is in each
    redraw; correlation between outcomes and subgroups makes the correction milder than Holm's. The level holds exactly,
    in any number of people, however many outcomes and subgroups there are and whichever of them an arm changes.

    With three or more arms the people of a contrast's two arms are drawn again among these two, and everybody else
    stays: redraws that move people whom a third arm has changed reject too often (9 % at 5 %, with three people in each
    of three arms). The contrasts are then joined by the closure of Bonferroni's test, which with one outcome is Holm's.
    Where that law is not known (an adaptive design, say, or a large rerandomised one) everybody is drawn again and
    all hypotheses step down together: then the level is exact only where no arm does anything, as the result notes.

    Parameters
    ----------
    alpha : float
        Family-wise level.
    draws : int
        Redraws, where the lottery has too many assignments to go through.

    References
    ----------
    Romano & Wolf (2005), Econometrica 73; Westfall & Young (1993), Resampling-Based Multiple Testing.

    Examples
    --------
    >>> RomanoWolf(draws=1_999)
    RomanoWolf(alpha=0.05, draws=1999)
    """

    alpha: float = 0.05
    draws: int = 9_999

    def __post_init__(self) -> None:
        between(self.alpha, 0, 1, name="alpha")
        object.__setattr__(self, "draws", positive_int(self.draws, name="draws"))

    def step_down(self, panel: Panel, assignment: Assignment) -> StepDown:
        """Return own and adjusted p-values; memory is that of one batch of draws."""
        return _stepped(panel, assignment, self.draws, max_t)


@register("WestfallYoung")
@dataclass(frozen=True, slots=True, kw_only=True)
class WestfallYoung:
    """Step-down min-P from redraws of the lottery: as `RomanoWolf`, with p-values in the place of statistics.

    Each redraw's statistic is replaced by its own p-value among the redraws, so that rare and common outcomes, small
    and large subgroups weigh alike. It needs many draws (the smallest p-value is 1 / (1 + draws)), and memory for draws
    x hypotheses.

    Parameters
    ----------
    alpha : float
        Family-wise level.
    draws : int
        Redraws, where the lottery has too many assignments to go through.

    References
    ----------
    Westfall & Young (1993), algorithm 2.8; Ge, Dudoit & Speed (2003), Test 12.

    Examples
    --------
    >>> WestfallYoung().draws
    9999
    """

    alpha: float = 0.05
    draws: int = 9_999

    def __post_init__(self) -> None:
        between(self.alpha, 0, 1, name="alpha")
        object.__setattr__(self, "draws", positive_int(self.draws, name="draws"))

    def step_down(self, panel: Panel, assignment: Assignment) -> StepDown:
        """Return own and adjusted p-values; memory for draws x hypotheses, a few times over."""
        return _stepped(panel, assignment, self.draws, min_p)


def _stepped(panel: Panel, assignment: Assignment, draws: int, steps: Steps) -> StepDown:
    """Each contrast by redraws among its two arms, joined by `over_parts`; all at once where that law is not known."""
    again = _again(panel, assignment)
    if len(assignment.arms) == 2 or not again:
        return steps(_seen(panel, assignment), panel.batches(assignment, draws, panel.many.statistics))
    parts = [panel.among(pair, assignment.codes) for pair in panel.pairs()]
    found = [
        steps(_seen(part, held), part.batches(held, draws, part.many.statistics))
        for held, (_, part) in zip(again, parts, strict=True)
    ]
    own, adjusted = np.empty(panel.scales.size), np.empty(panel.scales.size)
    for one, joined, (places, _) in zip(found, over_parts([one.adjusted for one in found]), parts, strict=True):
        own[places], adjusted[places] = one.own, joined
    exact = all(one.exact for one in found)
    number = sum(one.draws for one in found) if exact else max(one.draws for one in found if not one.exact)
    return StepDown(own, adjusted, number, exact)


def _again(panel: Panel, assignment: Assignment) -> list[Assignment]:
    """The lottery held again among the two arms of each contrast; empty where that law is not known for one of them."""
    held = [held_again(assignment, pair) for pair in panel.pairs()]
    known = [one for one in held if one is not None]
    return known if len(known) == len(held) else []


def _seen(panel: Panel, assignment: Assignment) -> Floats:
    seen: Floats = panel.many.statistics(assignment.codes[None, panel.first])[0]
    return seen


def family_test(
    assignment: Assignment,
    outcomes: object,
    names: Sequence[str] | str,
    *,
    family: Any = None,
    covariates: Sequence[str] | str = (),
    contrasts: Contrasts = None,
    subgroups: Sequence[str] | str = (),
    weights: str | None = None,
) -> FamilyTest:
    r"""Test arms x outcomes x subgroups by one shared set of redraws of the lottery, and correct for their number.

    Each hypothesis is that an arm changes the outcome of nobody (in the subgroup), against the reference. The statistic
    is the studentised difference in means of `randomisation_test`, two-sided by its absolute value. All assignments are
    gone through where there are at most a million (and 2**25 statistics), otherwise `family.draws` redraws. A statistic
    without variance in a redraw counts as the least extreme; where the observed one has none, p = 1.

    Parameters
    ----------
    assignment : Assignment
    outcomes : pandas, pyarrow or Arrow-capable table
    names : sequence of str
        The columns of the outcomes.
    family : RomanoWolf, WestfallYoung, Holm, BenjaminiHochberg or the like, optional
        `RomanoWolf()` where not given. Those that only see p-values get those of the redraws.
    covariates : sequence of str
        Columns of `outcomes` measured before the draw; each outcome is regressed on them (and on strata) once.
    contrasts : sequence of (arm, reference), optional
        Each arm against the first where none are named.
    subgroups : sequence of str
        Columns of `outcomes` known before the draw: everybody, and each level of each column, are tested.
    weights : str, optional
        A column of `outcomes`: what each person counts for.

    Returns
    -------
    FamilyTest

    Raises
    ------
    ColumnError, DataError
        For columns or people that do not fit the assignment.
    EstimationError
        An outcome that does not vary (in a subgroup), or is explained by the covariates.
    DesignError
        An unknown arm, no outcome, or a family that is none.

    Notes
    -----
    Memory: batches of 8 MB for each arm, whatever the number of draws; `WestfallYoung` and p-value corrections also
    hold draws x hypotheses.

    Examples
    --------
    >>> import kokeilu as kk
    >>> people = {"id": list(range(8)), "a": [3.0, 1, 4, 1, 5, 9, 2, 6], "b": [2.0, 7, 1, 8, 2, 8, 1, 8]}
    >>> trial = kk.randomise({"id": people["id"]}, kk.Complete(kk.arms(control=1, coaching=1)), id="id", seed="example")
    >>> found = kk.family_test(trial, people, ("a", "b"))
    >>> found.exact, found.draws, [member.adjusted_p >= member.p_value for member in found.members]
    (True, 70, [True, True])
    """
    check_assignment(assignment)
    chosen = RomanoWolf() if family is None else family
    if isinstance(chosen, type) or not (isinstance(chosen, RedrawFamily) or hasattr(chosen, "adjust")):
        raise DesignError("family must be a correction such as RomanoWolf(draws=9_999) or Holm(alpha=0.05).")
    adjust = name_list(covariates, name="covariates")
    asked = name_list(names, name="names")
    if not asked:
        raise DesignError("names is empty; name at least one outcome.")
    views = [align(assignment, outcomes, name, covariates=adjust, weights=weights) for name in asked]
    groups = _groups(assignment, outcomes, name_list(subgroups, name="subgroups"))
    hypotheses = [
        Hypothesis(
            view=view, arm=arm, reference=reference, label=label, members=None if who is None else who[view.rows]
        )
        for view in views
        for arm, reference in contrasts_of(view, contrasts)
        for label, who in groups
    ]
    panel = panel_of(assignment, hypotheses)
    found = redrawn(chosen, panel, assignment)
    return _told(assignment, hypotheses, panel, found, chosen)


def _groups(
    assignment: Assignment, outcomes: object, columns: tuple[str, ...]
) -> list[tuple[str, NDArray[np.bool_] | None]]:
    """Everybody, and each level of each column: label and who of the assignment is in it."""
    groups: list[tuple[str, NDArray[np.bool_] | None]] = [("", None)]
    if not columns:
        return groups
    where = "the outcomes table"
    refuse_mistimed(assignment, "", columns)
    spots = locate(assignment, outcomes, where=where)
    for name, column in read_columns(outcomes, columns, where=where).items():
        factor = read_factor_or_missing(column)
        codes = np.where(spots >= 0, factor.codes[np.maximum(spots, 0)], -1)
        groups += [(f"{name}: {level}", codes == code) for code, level in enumerate(factor.levels)]
    return groups


def redrawn(family: Any, panel: Panel, assignment: Assignment) -> StepDown:
    """Return own and adjusted p-values of a panel; a family that only sees p-values gets those of the redraws."""
    if isinstance(family, RedrawFamily):
        return family.step_down(panel, assignment)
    alone = RomanoWolf(alpha=family.alpha).step_down(panel, assignment)
    return alone._replace(adjusted=np.array(family.adjust(alone.own.tolist())))


def _told(
    assignment: Assignment, hypotheses: Sequence[Hypothesis], panel: Panel, found: StepDown, family: object
) -> FamilyTest:
    effects, errors = panel.observed(assignment)
    alone = len(assignment.arms) > 2 and bool(_again(panel, assignment))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = effects / errors
    members = tuple(
        _member(one, float(effect), float(ratio), float(own), float(adjusted))
        for one, effect, ratio, own, adjusted in zip(
            hypotheses, effects, ratios, found.own, found.adjusted, strict=True
        )
    )
    reason = (
        f"{count_of(len(members), 'hypothesis', 'hypotheses')}, each of no effect on anybody; studentised differences "
        f"in means, two-sided, {_redraws_text(found, alone=alone)}. Adjusted: {family}."
    )
    views = {id(one.view): one.view for one in hypotheses}.values()
    return FamilyTest(
        members=members,
        family=type(family).__name__,
        draws=found.draws,
        exact=found.exact,
        reason=reason,
        notes=_notes(assignment, hypotheses, panel, members, alone=alone),
        accounts={view.outcome: view.account for view in views},
    )


def _redraws_text(found: StepDown, *, alone: bool) -> str:
    kind = f"all {found.draws:,} assignments" if found.exact else f"{found.draws:,} redraws of the lottery"
    if not alone:
        return f"{kind}, the same for all"
    return f"{kind}{'' if found.exact else ', the same for all outcomes,'} among the two arms of each contrast"


def _member(one: Hypothesis, effect: float, ratio: float, own: float, adjusted: float) -> FamilyMember:
    view, kept = one.view, one.kept((one.arm, one.reference))
    names = view.arms.names[one.arm], view.arms.names[one.reference]
    missing = view.account.missing()
    return FamilyMember(
        outcome=view.outcome,
        arm=names[0],
        reference=names[1],
        subgroup=one.label,
        effect=effect,
        statistic=ratio if np.isfinite(ratio) else float("nan"),
        p_value=own,
        adjusted_p=adjusted,
        n=int(np.isin(view.codes[kept], (one.arm, one.reference)).sum()),
        missing=missing[names[0]] + missing[names[1]],
    )


def _notes(
    assignment: Assignment,
    hypotheses: Sequence[Hypothesis],
    panel: Panel,
    members: Sequence[FamilyMember],
    *,
    alone: bool,
) -> tuple[str, ...]:
    notes = [note for one in hypotheses for note in one.view.notes]
    notes += [
        f"{one.view.outcome}: {note}"
        for one in hypotheses
        for note in attrition_notes(one.view, one.arm, one.reference)
    ]
    if len(assignment.arms) > 2 and not alone:
        notes.append(
            "the redraws move people of all arms, as the law of this design given who stands in the others is not "
            "known: the level is exact where no arm does anything, and otherwise holds in large samples."
        )
    if panel.pooled.any():
        notes.append(
            f"up to {count_of(int(panel.pooled.max()), 'stratum', 'strata')} that a draw may leave without one of the "
            "arms are pooled in the statistics, not in the redraws."
        )
    lost = sum(not np.isfinite(member.statistic) for member in members)
    if lost:
        notes.append(f"{count_of(lost, 'statistic')} without variance in the draw as it was: p = 1.")
    return tuple(dict.fromkeys(notes))
