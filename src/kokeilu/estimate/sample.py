"""From a view to one contrast: who enters, what is refused, and how the estimate is worded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kokeilu._checks import count_of
from kokeilu.core.arms import Arms
from kokeilu.core.protocols import Codes, Floats, Ints
from kokeilu.core.results import Estimate
from kokeilu.core.view import View
from kokeilu.errors import DesignError, EstimationError
from kokeilu.estimate.notes import notes_of
from kokeilu.estimate.waves import within_waves

__all__ = [
    "Contrasts",
    "Finding",
    "Sample",
    "contrasts_of",
    "estimate_of",
    "sample_of",
    "sample_over",
]

Contrasts = Sequence[tuple[str, str]] | None

THIN = 25.0
"""With fewer people in an arm than this, n - k degrees of freedom are too many for HC2: with ten in the small arm and
five covariates 5 % tests reject in 13 %, with Bell & McCaffrey's degrees of freedom in 3 % (simulated)."""

SAME = 1e-9
"""Shares closer than this are equal: exact fractions were turned into doubles."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """The people who could have got both arms of a contrast, whatever arm they are in.

    Attributes
    ----------
    y, codes : (m,) arrays
    strata : (m,) array of codes 0..S-1
    clusters : (m,) array of codes 0..G-1, or None
    shares : (m, arms) array
    rows : (m,) bool array over the view
    whole : bool
        False where people of one cluster may stand in several arms.
    survey : (m,) array or None
        What each person counts for beside 1 / share (the view's weights).
    waves : (m,) array or None
        Waves whose shares followed earlier outcomes.
    """

    arm: int
    reference: int
    arms: Arms
    y: Floats
    codes: Codes
    strata: Ints
    clusters: Ints | None
    shares: Floats
    rows: NDArray[np.bool_]
    whole: bool = True
    notes: tuple[str, ...] = ()
    survey: Floats | None = None
    waves: Ints | None = None

    @property
    def names(self) -> tuple[str, str]:
        """Names of the arm and of the reference."""
        return self.arms.names[self.arm], self.arms.names[self.reference]

    @property
    def n_strata(self) -> int:
        """Number of strata."""
        return int(self.strata.max()) + 1

    def in_pair(self) -> NDArray[np.bool_]:
        """Who is in one of the two arms."""
        pair: NDArray[np.bool_] = (self.codes == self.arm) | (self.codes == self.reference)
        return pair

    def sizes(self) -> Floats:
        """People of all arms in each stratum (counted by their survey weights), (S,): the weights of the strata."""
        return np.bincount(self.strata, weights=self.survey, minlength=self.n_strata).astype(np.float64)

    def first_of_units(self) -> Ints:
        """One person of each unit with an arm: everybody, or the first of each cluster that was drawn whole."""
        if self.clusters is None or not self.whole:
            return np.arange(self.y.size)
        return np.unique(self.clusters, return_index=True)[1].astype(np.int64)

    def unit_counts(self) -> Ints:
        """Units with an arm (people, or clusters drawn whole) by stratum and arm of the contrast, (S, 2)."""
        return self.unit_counts_of((self.arm, self.reference))

    def unit_counts_of(self, arms: Sequence[int]) -> Ints:
        """The same for any arms, (S, arms)."""
        first = self.first_of_units()
        columns = [self.strata[first[self.codes[first] == code]] for code in arms]
        return np.column_stack([np.bincount(column, minlength=self.n_strata) for column in columns]).astype(np.int64)

    def shares_differ(self, *, within_strata: bool = False) -> bool:
        """Whether the chance of either arm differs between people (of the same stratum)."""
        pair = self.shares[:, [self.arm, self.reference]]
        first = np.zeros(self.y.size, dtype=np.int64)
        if within_strata:
            first = np.unique(self.strata, return_index=True)[1][self.strata]
        return bool((np.abs(pair - pair[first]) > SAME).any())

    def is_thin(self, columns: int) -> bool:
        """Whether one of the two arms has, after its own columns, few people left, counted as their weights count.

        The count is Kish's, (sum w)^2 / sum w^2.
        """
        weights = self.weights()
        own = np.ones(self.y.size) if weights is None else weights
        arms = [own[self.codes == code] for code in (self.arm, self.reference)]
        return min(float(w.sum() ** 2 / (w**2).sum()) for w in arms) - columns < THIN

    def weights(self) -> Floats | None:
        """1 / share of each person's own arm times the survey weight, (m,), up to a constant; None where all are 1."""
        own = self.shares[np.arange(self.y.size), self.codes]
        if (np.abs(self.shares - self.shares[0]) <= SAME).all():
            return self.survey
        inverse: Floats = own.mean() / own
        return inverse if self.survey is None else inverse * self.survey


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What an estimator found for one contrast, before the account of people is added."""

    value: float
    variance: float
    dof: float | None
    estimator: str
    kind: str
    reason: str
    reference_mean: float
    notes: tuple[str, ...] = ()
    scale: str = ""


def contrasts_of(view: View, contrasts: Contrasts) -> tuple[tuple[int, int], ...]:
    """Positions (arm, reference) of the contrasts asked for: each arm against the first where none are named.

    Raises
    ------
    DesignError
        For an unknown arm (with the nearest name), a contrast of an arm with itself, or something that is no pair.
    """
    if contrasts is None:
        return tuple((position, 0) for position in range(1, len(view.arms)))
    pairs = []
    for pair in contrasts if isinstance(contrasts, (tuple, list)) else (contrasts,):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise DesignError("contrasts must be pairs of arm names, such as contrasts=(('coaching', 'control'),).")
        arm, reference = (view.arms.index(name) for name in pair)
        if arm == reference:
            raise DesignError(f"a contrast compares arm {pair[0]!r} with itself; name two different arms.")
        pairs.append((arm, reference))
    if not pairs:
        raise DesignError("contrasts is empty; name at least one pair of arms, or leave it out.")
    return tuple(pairs)


def sample_of(view: View, arm: int, reference: int) -> Sample:
    """The people of one contrast; refuses what carries no estimate.

    Raises
    ------
    EstimationError
        An arm without people, fewer than two people or clusters in an arm, or an outcome that does not vary.
    """
    _refuse_impossible(view)
    rows = (view.shares[:, arm] > 0.0) & (view.shares[:, reference] > 0.0)
    left_out = int((~rows).sum())
    notes: tuple[str, ...] = ()
    names = view.arms.names
    if left_out:
        pair = f"{names[arm]!r} and {names[reference]!r}"
        notes = (f"{left_out:,} people who had no chance of one of the arms {pair} are left out of this contrast.",)
    sample = _sample(view, rows, (arm, reference), notes)
    _refuse(view, sample)
    return _pooled(sample) if sample.waves is None else within_waves(sample, (arm, reference))


def sample_over(view: View, arms: Sequence[int]) -> Sample:
    """The people who could have got each of several arms; strata stay as they are. Refuses as :func:`sample_of`."""
    _refuse_impossible(view)
    rows: NDArray[np.bool_] = np.asarray((view.shares[:, list(arms)] > 0.0).all(axis=1))
    left_out = int((~rows).sum())
    notes: tuple[str, ...] = ()
    if left_out:
        notes = (f"{left_out:,} people who had no chance of one of the arms compared are left out of this contrast.",)
    sample = _sample(view, rows, (arms[0], arms[-1]), notes)
    for arm in arms:
        _refuse(view, replace(sample, arm=arm))
    return within_waves(sample, arms)


def _sample(view: View, rows: NDArray[np.bool_], arms: tuple[int, int], notes: tuple[str, ...]) -> Sample:
    return Sample(
        arm=arms[0],
        reference=arms[1],
        arms=view.arms,
        y=view.y[rows],
        codes=view.codes[rows],
        strata=_renumbered(view.strata, rows),
        clusters=None if view.clusters is None else _renumbered(view.clusters, rows),
        shares=view.shares[rows],
        rows=rows,
        whole=view.whole,
        notes=notes,
        survey=None if view.weights is None else view.weights[rows],
        waves=None if view.waves is None else view.waves[rows],
    )


def _pooled(sample: Sample) -> Sample:
    """Where strata lack one of the arms, pool them with those that the design may leave without one.

    What is pooled keeps its people in the effect, and its variance takes in the differences between the pooled strata,
    which makes it larger, never smaller, on average. One stratum that is too small is pooled with the smallest other.
    """
    lacking = (sample.unit_counts() == 0).any(axis=1)
    if not lacking.any():
        return sample
    count = np.bincount(sample.strata[sample.first_of_units()])
    share = least_shares(sample.strata, sample.shares[:, [sample.arm, sample.reference]])
    small = count * share < 1.0 - SAME
    safe = with_company(~(lacking | small), count, share) if small.any() else ~lacking
    if int((~safe).sum()) < 2:
        return sample
    place = np.where(safe, np.cumsum(safe) - 1, safe.sum())
    note = (
        f"{int((~safe).sum()):,} of {safe.size:,} strata are too small to be sure of both arms and are pooled into one "
        f"({int((~safe)[sample.strata].sum()):,} people)."
    )
    return replace(sample, strata=place[sample.strata].astype(np.int64), notes=(*sample.notes, note))


def least_shares(strata: Ints, shares: Floats) -> Floats:
    """The smaller of the two arms' shares in each stratum, (S,), from shares (m, 2)."""
    least = np.full(int(strata.max()) + 1, 1.0)
    np.minimum.at(least, strata, shares.min(axis=1))
    return least


def with_company(safe: NDArray[np.bool_], count: Ints, share: Floats) -> NDArray[np.bool_]:
    """Where one stratum alone is not safe, take the smallest, nearest other of the same shares to it."""
    alone = np.flatnonzero(~safe)
    others = np.flatnonzero(safe & (np.abs(share - share[alone[0]]) <= SAME)) if alone.size == 1 else alone[:0]
    kept = safe.copy()
    # Among the smallest the nearest in order: strata made from a score stand beside those they resemble.
    far = np.abs(others - alone[:1]) if others.size else others
    kept[others[np.lexsort((far, count[others]))[:1]]] = False
    return kept


def _renumbered(codes: Ints, rows: NDArray[np.bool_]) -> Ints:
    return codes if rows.all() else np.unique(codes[rows], return_inverse=True)[1].astype(np.int64)


def _refuse_impossible(view: View) -> None:
    impossible = int((view.shares[np.arange(view.y.size), view.codes] <= 0.0).sum())
    if impossible:
        raise EstimationError(
            f"{count_of(impossible, 'person', 'people')} got an arm for which the design gives them no chance. "
            "Check that the design stated is the one that was drawn."
        )


def _refuse(view: View, sample: Sample) -> None:
    unit = "person" if sample.clusters is None else "cluster"
    for name, code in zip(sample.names, (sample.arm, sample.reference), strict=True):
        mine = sample.codes == code
        people = int(mine.sum())
        if people == 0:
            raise EstimationError(
                f"arm {name!r} has nobody with an observed {view.outcome!r}: there is nothing to compare. "
                "Leave the arm out with contrasts=..., or check the outcomes table."
            )
        units = people if sample.clusters is None else len(np.unique(sample.clusters[mine]))
        if units < 2:
            raise EstimationError(
                f"arm {name!r} has one {unit} with an observed {view.outcome!r}: a variance needs at least two in each "
                "arm. Use a randomisation test instead."
            )
    if np.ptp(sample.y[sample.in_pair()]) == 0.0:
        raise EstimationError(
            f"{view.outcome!r} shows no variation: it has the same value for everybody in arms {sample.names[0]!r} and "
            f"{sample.names[1]!r}. Check the column."
        )


def estimate_of(view: View, sample: Sample, finding: Finding) -> Estimate:
    """Join a finding with the account of people.

    Raises
    ------
    EstimationError
        Where the standard error is nought or undefined.
    """
    arm, reference = sample.names
    scale = float(np.ptp(sample.y[sample.in_pair()]))
    if not finding.variance > (1e-13 * scale) ** 2 or not np.isfinite(finding.variance):
        raise EstimationError(
            f"{view.outcome!r} leaves no variation to judge {arm!r} against {reference!r} by ({finding.kind} variance "
            "is nought or undefined). Use a randomisation test, or check the column."
        )
    pair = sample.in_pair()
    counts = np.bincount(sample.codes, minlength=len(view.arms))
    return Estimate(
        outcome=view.outcome,
        arm=arm,
        reference=reference,
        value=finding.value,
        error=float(np.sqrt(finding.variance)),
        dof=finding.dof,
        estimator=finding.estimator,
        variance=finding.kind,
        reason=finding.reason,
        n={name: int(count) for name, count in zip(view.arms.names, counts, strict=True)},
        missing=view.account.missing(),
        absent=view.account.absent(),
        clusters=None if sample.clusters is None else len(np.unique(sample.clusters[pair])),
        notes=notes_of(view, sample, finding),
        reference_mean=finding.reference_mean,
        scale=finding.scale,
    )
