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

__all__ = [
    "Contrasts",
    "Finding",
    "Sample",
    "attrition_notes",
    "contrasts_of",
    "estimate_of",
    "few_notes",
    "sample_of",
    "skew_notes",
    "uneven_notes",
]

Contrasts = Sequence[tuple[str, str]] | None

FEW_DOF = 6.0
"""Below this a t reference stands on a variance that is hardly known: with a share of 1/20 of 60 to 100 people, Welch's
5 % tests reject in 7-8 % (simulated)."""

THIN = 25.0
"""With fewer people in an arm than this, n - k degrees of freedom are too many for HC2: with ten in the small arm and
five covariates 5 % tests reject in 13 %, with Bell & McCaffrey's degrees of freedom in 3 % (simulated)."""

SKEWED = 0.25
"""Skewness of the difference (its third cumulant over its error cubed) above which error rates are off: 1/20 of 1,000
people and an outcome of 2 % give 0.9, and 5 % tests reject in 37 % (simulated); the worst fall below 7 % near this."""

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
        """People of all arms in each stratum, (S,): the weights of the strata."""
        return np.bincount(self.strata, minlength=self.n_strata).astype(np.float64)

    def first_of_units(self) -> Ints:
        """One person of each unit with an arm: everybody, or the first of each cluster that was drawn whole."""
        if self.clusters is None or not self.whole:
            return np.arange(self.y.size)
        return np.unique(self.clusters, return_index=True)[1].astype(np.int64)

    def unit_counts(self) -> Ints:
        """Units with an arm (people, or clusters drawn whole) by stratum and arm of the contrast, (S, 2)."""
        first = self.first_of_units()
        counts = np.zeros((self.n_strata, 2), dtype=np.int64)
        for position, code in enumerate((self.arm, self.reference)):
            chosen = first[self.codes[first] == code]
            counts[:, position] = np.bincount(self.strata[chosen], minlength=self.n_strata)
        return counts

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
        """1 / share of each person's own arm, (m,), up to a constant; None where the shares are all equal."""
        own = self.shares[np.arange(self.y.size), self.codes]
        if (np.abs(self.shares - self.shares[0]) <= SAME).all():
            return None
        inverse: Floats = own.mean() / own
        return inverse


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
    sample = Sample(
        arm=arm,
        reference=reference,
        arms=view.arms,
        y=view.y[rows],
        codes=view.codes[rows],
        strata=_renumbered(view.strata, rows),
        clusters=None if view.clusters is None else _renumbered(view.clusters, rows),
        shares=view.shares[rows],
        rows=rows,
        whole=view.whole,
        notes=notes,
    )
    _refuse(view, sample)
    return _pooled(sample)


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
        clusters=None if sample.clusters is None else len(np.unique(sample.clusters[pair])),
        notes=(
            *(*view.notes, *sample.notes, *finding.notes),
            *few_notes(finding),
            *skew_notes(sample),
            *uneven_notes(sample),
            *attrition_notes(view, sample),
        ),
        reference_mean=finding.reference_mean,
    )


def few_notes(finding: Finding) -> tuple[str, ...]:
    """Note degrees of freedom so few that the interval rests on a variance hardly known."""
    if finding.dof is None or finding.dof >= FEW_DOF:
        return ()
    return (f"only {finding.dof:.1f} degrees of freedom: trust a randomisation test more than this interval.",)


def skew_notes(sample: Sample) -> tuple[str, ...]:
    """Note an outcome so skewed, or so rare, for arms so unequal that the t reference does not hold.

    The skewness of a difference in means is about g |1/n_1^2 - 1/n_0^2| / (1/n_1 + 1/n_0)^1.5, with g that of the
    outcome in both arms together: a small arm that happened to get no rare value would hide it (Hall 1992, ch. 2).
    """
    if sample.clusters is not None:
        return ()
    pair = sample.in_pair()
    y = sample.y[pair] - sample.y[pair].mean()
    skewness = float((y**3).mean() / (y**2).mean() ** 1.5)
    people = np.array([(sample.codes == code).sum() for code in (sample.arm, sample.reference)], dtype=np.float64)
    left = abs(skewness) * float(abs((people**-2.0) @ [1.0, -1.0]) / (1.0 / people).sum() ** 1.5)
    if left <= SKEWED:
        return ()
    small = sample.names[int(people.argmin())]
    note = (
        f"the outcome is skewed (skewness {skewness:.1f}) and {small!r} has {people.min():,.0f} people against "
        f"{people.max():,.0f}: error rates and coverage may be far from nominal. Trust a randomisation test "
        "more."
    )
    return (note,)


def uneven_notes(sample: Sample) -> tuple[str, ...]:
    """Note few clusters of which one is large: of eight, one seven times the others, 5 % tests reject in 7 %."""
    if sample.clusters is None:
        return ()
    sizes = np.bincount(sample.clusters[sample.in_pair()])
    sizes = sizes[sizes > 0]
    if sizes.size > 20 or sizes.max() <= 2.0 * sizes.mean():
        return ()
    note = (
        f"{sizes.size} clusters of uneven sizes: the largest holds {sizes.max() / sizes.sum():.0%} of the people. "
        "The interval is approximate; a randomisation test is exact."
    )
    return (note,)


def attrition_notes(view: View, sample: Sample) -> tuple[str, ...]:
    """Note that outcomes are missing more often in one arm (two-proportion z beyond 1.96)."""
    account = view.account
    assigned = np.array([account.assigned[sample.arm], account.assigned[sample.reference]], dtype=np.float64)
    missing = assigned - np.array([account.observed[sample.arm], account.observed[sample.reference]])
    pooled = missing.sum() / assigned.sum() if assigned.sum() else 0.0
    if not 0.0 < pooled < 1.0:
        return ()
    rates = missing / assigned
    z = (rates[0] - rates[1]) / np.sqrt(pooled * (1.0 - pooled) * (1.0 / assigned).sum())
    if abs(z) <= 1.96:
        return ()
    first, second = sample.names
    note = (
        f"outcomes are missing at different rates: {rates[0]:.1%} in {first!r}, {rates[1]:.1%} in {second!r} "
        f"(z = {z:.2f}): the arms observed may no longer be alike."
    )
    return (note,)
