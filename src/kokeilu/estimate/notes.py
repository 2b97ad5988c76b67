"""What is said beside an estimate: few degrees of freedom, skewed outcomes, uneven clusters, unequal attrition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kokeilu._kernels.rare import FEW_EVENTS, rarer_of_two
from kokeilu.core.lottery import cells_of
from kokeilu.core.protocols import Floats, Ints
from kokeilu.core.view import View
from kokeilu.estimate.waves import few_in_waves

if TYPE_CHECKING:
    from kokeilu.estimate.sample import Finding, Sample

__all__ = [
    "SKEWED",
    "attrition_notes",
    "few_notes",
    "notes_of",
    "rare_notes",
    "skew_notes",
    "skewness_left",
    "uneven_notes",
]

FEW_DOF = 6.0
"""Below this a t reference stands on a variance that is hardly known: with a share of 1/20 of 60 to 100 people, Welch's
5 % tests reject in 7-8 % (simulated)."""

SKEWED = 0.18
"""Skewness of the difference (its third cumulant over its error cubed) above which error rates are off: 1/20 of 1,000
people and an outcome of 2 % give 0.9, and Welch's 5 % tests reject in 35 %; 1/20 of 20,000 give 0.2 and 7 %; 2,000 of
175,000 give 0.15 and 5 % (simulated)."""

BEYOND = 1.96


def notes_of(view: View, sample: Sample, finding: Finding) -> tuple[str, ...]:
    """Everything to be said beside one estimate, in order."""
    return (
        *(*view.notes, *view.cautions, *sample.notes, *finding.notes),
        *few_notes(finding),
        *few_in_waves(sample, (sample.arm, sample.reference), finding.kind),
        *skew_notes(sample),
        *rare_notes(sample),
        *uneven_notes(sample),
        *attrition_notes(view, sample.arm, sample.reference),
    )


def few_notes(finding: Finding) -> tuple[str, ...]:
    """Note degrees of freedom so few that the interval rests on a variance hardly known."""
    if finding.dof is None or finding.dof >= FEW_DOF - 1e-6:
        return ()
    return (f"only {finding.dof:.1f} degrees of freedom: trust a randomisation test more than this interval.",)


def skewness_left(sample: Sample) -> float:
    """Skewness of the difference in means, in size: what the arms' numbers leave of that of the outcome.

    About g |1/n_1^2 - 1/n_0^2| / (1/n_1 + 1/n_0)^1.5, with g that of the outcome in both arms together: a small arm
    that happened to get no rare value would hide it (Hall 1992, ch. 2).
    """
    pair = sample.in_pair()
    y = sample.y[pair] - sample.y[pair].mean()
    people = _people(sample)
    return abs(_skewness(y)) * float(abs((people**-2.0) @ [1.0, -1.0]) / (1.0 / people).sum() ** 1.5)


def _skewness(y: Floats) -> float:
    square = y * y
    return float((square * y).mean() / square.mean() ** 1.5)


def _people(sample: Sample) -> Floats:
    return np.array([(sample.codes == code).sum() for code in (sample.arm, sample.reference)], dtype=np.float64)


def skew_notes(sample: Sample) -> tuple[str, ...]:
    """Note an outcome so skewed, or so rare, for arms so unequal that the t reference does not hold."""
    if sample.clusters is not None or not skewness_left(sample) > SKEWED:
        return ()
    pair, people = sample.in_pair(), _people(sample)
    small = sample.names[int(people.argmin())]
    note = (
        f"the outcome is skewed (skewness {_skewness(sample.y[pair] - sample.y[pair].mean()):.1f}) and {small!r} has "
        f"{people.min():,.0f} people against {people.max():,.0f}: error rates and coverage may be far from nominal. "
        "Trust a randomisation test more."
    )
    return (note,)


def rare_notes(sample: Sample) -> tuple[str, ...]:
    """Note an outcome of two values of which few people have the rarer one."""
    y = sample.y[sample.in_pair()]
    events = float(rarer_of_two(y, np.ones((1, y.size), dtype=bool))[0])
    if sample.clusters is not None or not events < FEW_EVENTS:
        return ()
    note = (
        f"only {events:,.0f} of {y.size:,} people have the rarer of two values: the level of a test moves in "
        "steps (5 % may be 2 % or 8 %). A randomisation test is exact."
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


def attrition_notes(view: View, arm: int, reference: int) -> tuple[str, ...]:
    """Note that outcomes are missing more often in one arm: a test of the design's own units and strata beyond 1.96."""
    account = view.account
    assigned = np.array([account.assigned[arm], account.assigned[reference]], dtype=np.float64)
    missing = assigned - np.array([account.observed[arm], account.observed[reference]])
    if not 0.0 < missing.sum() < assigned.sum():
        return ()
    z = _attrition_z(view, (arm, reference), assigned, missing)
    if not abs(z) > BEYOND:
        return ()
    rates, first, second = missing / assigned, view.arms.names[arm], view.arms.names[reference]
    note = (
        f"outcomes are missing at different rates: {rates[0]:.1%} in {first!r}, {rates[1]:.1%} in {second!r} "
        f"(z = {z:.2f}): the arms observed may no longer be alike."
    )
    return (note,)


def _attrition_z(view: View, arms: tuple[int, int], assigned: Floats, missing: Floats) -> float:
    r"""Standardised difference of the rates, with the variance that a redraw within strata gives.

    With E_g the missing of unit g (a person, or a cluster drawn whole) less its share of the stratum's,
    :math:`z = \sum_s \sum_{g \in arm} (E_g - \bar E_s) / \sqrt{\sum_s k_1 k_0 / (k (k-1)) \sum_g (E_g - \bar E_s)^2}`:
    Mantel & Haenszel (1959), for clusters with their totals.
    """
    if view.assigned is None:
        pooled = float(missing.sum() / assigned.sum())
        rates = missing / assigned
        return float((rates[0] - rates[1]) / np.sqrt(pooled * (1.0 - pooled) * (1.0 / assigned).sum()))
    gone: Floats = np.ones(view.assigned.size)
    gone[view.rows] = 0.0
    cells = cells_of(view.lottery)
    pair = (view.assigned == arms[0]) | (view.assigned == arms[1])
    strata = cells.strata if cells.whole or cells.clusters is None else cells.clusters
    gone, strata, codes = gone[pair], np.unique(strata[pair], return_inverse=True)[1], view.assigned[pair]
    gone = gone - _mean_by(strata, gone)[strata]
    if cells.clusters is not None and cells.whole:
        _, first, member = np.unique(cells.clusters[pair], return_index=True, return_inverse=True)
        gone = np.bincount(member, weights=gone).astype(np.float64)
        strata, codes = strata[first], codes[first]
        gone = gone - _mean_by(strata, gone)[strata]
    units = np.bincount(strata).astype(np.float64)
    treated = np.bincount(strata, weights=codes == arms[0])
    spread = np.bincount(strata, weights=gone**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = float(np.where(units > 1, treated * (units - treated) / (units * (units - 1.0)) * spread, 0.0).sum())
    return float(gone[codes == arms[0]].sum() / np.sqrt(variance)) if variance > 1e-12 else 0.0


def _mean_by(groups: Ints, values: Floats) -> Floats:
    means: Floats = np.bincount(groups, weights=values) / np.bincount(groups)
    return means
