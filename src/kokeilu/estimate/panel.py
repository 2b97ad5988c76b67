"""Many hypotheses, one set of redraws: outcomes, arms and subgroups as one panel of studentised differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.batched import residualised
from kokeilu._kernels.many import Contrast, Many, Slice, slice_of
from kokeilu.core.assignment import Assignment
from kokeilu.core.lottery import all_assignments, cells_of, redraws
from kokeilu.core.protocols import Codes, Floats, Ints
from kokeilu.core.view import View
from kokeilu.errors import EstimationError
from kokeilu.estimate.strata import inverse_shares, usable_strata

__all__ = ["Hypothesis", "Panel", "panel_of"]

EXACT_LIMIT = 10**6
EXACT_CELLS = 4 * 10**9
EXACT_STATISTICS = 2**25
"""All assignments are gone through up to a million of them, this many codes, and this many statistics (256 MB)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hypothesis:
    """No effect of an arm against a reference on one outcome, among some of the people.

    Attributes
    ----------
    view : View
    arm, reference : int
    label : str
        The subgroup; empty for everybody.
    members : (m,) bool array over the view, or None for everybody
    """

    view: View
    arm: int
    reference: int
    label: str = ""
    members: NDArray[np.bool_] | None = None

    def kept(self, arms: Sequence[int]) -> NDArray[np.bool_]:
        """Members who had a chance of each of these arms."""
        kept: NDArray[np.bool_] = np.all(self.view.shares[:, list(arms)] > 0.0, axis=1)
        return kept if self.members is None else kept & self.members


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panel:
    """Statistics of the hypotheses, and how they are computed from a batch of draws.

    Attributes
    ----------
    many : Many
    scales : (m,) array
        Standard deviation of each outcome: statistics are computed in this unit.
    first : (U,) array
        One person of each unit of the draw.
    pooled : (m,) array
        Strata of each hypothesis that were pooled.
    """

    many: Many
    scales: Floats
    first: Ints
    pooled: Ints

    def observed(self, assignment: Assignment) -> tuple[Floats, Floats]:
        """Effects and standard errors of the draw as it was, (m,) each, in units of the outcomes."""
        values, errors = self.many.estimates(assignment.codes[None, self.first])
        return values[0] * self.scales, errors[0] * self.scales

    def pairs(self) -> list[tuple[int, int]]:
        """The pairs of arms that are compared, each once."""
        return list(dict.fromkeys(self.many.pairs()))

    def among(self, pair: tuple[int, int], codes: Codes) -> tuple[Ints, Panel]:
        """The places of a pair's hypotheses, and their panel over the units that stand in its two arms and stay there.

        `codes` (n,) are the arms of everybody.
        """
        own = np.array([place for place, one in enumerate(self.many.pairs()) if one == pair], dtype=np.int64)
        units = np.flatnonzero(np.isin(codes[self.first], pair))
        many = self.many.only(own.tolist(), units)
        part = replace(self, many=many, scales=self.scales[own], first=self.first[units], pooled=self.pooled[own])
        return own, part

    def batches(
        self,
        assignment: Assignment,
        draws: int,
        statistic: Callable[[Codes], Floats],
    ) -> Iterator[tuple[Floats, Floats | None]]:
        """Yield a statistic of all assignments with their probabilities, or of redraws of the lottery."""
        limit = min(EXACT_LIMIT, EXACT_CELLS // assignment.lottery.n_units, EXACT_STATISTICS // self.scales.size)
        every = all_assignments(assignment.lottery, max(limit, 10_000))
        if every is not None:
            for codes, chances in every:
                yield statistic(codes[:, self.first]), chances
            return
        for codes in redraws(assignment.lottery, assignment.stream("family of tests"), draws):
            yield statistic(codes[:, self.first]), None


@dataclass(slots=True)
class _Parts:
    """Slices made so far, by what defines them."""

    slices: list[Slice] = field(default_factory=list)
    scales: list[float] = field(default_factory=list)
    pooled: list[int] = field(default_factory=list)
    known: dict[tuple[object, ...], int] = field(default_factory=dict)


def panel_of(assignment: Assignment, hypotheses: Sequence[Hypothesis], *, arms: Sequence[int] | None = None) -> Panel:
    """Make the panel of hypotheses.

    Parameters
    ----------
    assignment : Assignment
    hypotheses : sequence of Hypothesis
    arms : sequence of int, optional
        Compare among people who had a chance of each of these, rather than of the two arms of each contrast.

    Raises
    ------
    EstimationError
        Where nobody can be compared, or an outcome does not vary, or is fully explained by the covariates.
    """
    cells = cells_of(assignment.lottery)
    n = len(assignment)
    units, first = np.arange(n), np.arange(n)
    grouped = cells.clusters is not None and cells.whole
    if cells.clusters is not None and cells.whole:
        first, units = (
            part.astype(np.int64) for part in np.unique(cells.clusters, return_index=True, return_inverse=True)[1:]
        )
    parts, contrasts, scales, pooled = _Parts(), [], [], []
    for one in hypotheses:
        chosen = (one.arm, one.reference) if arms is None else tuple(arms)
        place = _part(parts, one, chosen, cells.strata, units, first, grouped=grouped)
        contrasts.append(Contrast(place, one.arm, one.reference))
        scales.append(parts.scales[place])
        pooled.append(parts.pooled[place])
    return Panel(
        many=Many(parts.slices, contrasts),
        scales=np.array(scales),
        first=first,
        pooled=np.array(pooled, dtype=np.int64),
    )


def _part(
    parts: _Parts, one: Hypothesis, arms: tuple[int, ...], cells: Ints, units: Ints, first: Ints, *, grouped: bool
) -> int:
    """The place of the slice of a hypothesis, made where there is none yet."""
    view, keep = one.view, one.kept(arms)
    rows = view.rows[keep]
    clusters = units[rows] if grouped else None
    if not rows.size:
        names = " and of ".join(repr(view.arms.names[code]) for code in arms)
        raise EstimationError(
            f"nobody with an observed {view.outcome!r} had a chance of {names}: there is nothing to compare. "
            "Leave the contrast out with contrasts=..., or check the outcomes table."
        )
    # People of one cluster in several arms: strata of clusters say nothing about how people were drawn.
    own = np.unique(cells[rows] if view.whole else np.zeros(rows.size, dtype=np.int64), return_inverse=True)[1]
    strata, pooled = usable_strata(view, own.astype(np.int64), clusters, view.shares[keep][:, list(arms)], rows)
    weights = inverse_shares(view.shares[keep][:, list(arms)], strata)
    # By identity: views are made once for each outcome and set of covariates.
    key = (id(view), one.label, keep.tobytes(), strata.tobytes(), None if weights is None else arms)
    if key in parts.known:
        return parts.known[key]
    if weights is not None:
        wide = np.zeros((rows.size, len(view.arms)))
        wide[:, list(arms)] = weights
        weights = wide
    y, scale = _standard(one, keep, strata)
    everyone = np.zeros(first.size, dtype=np.int64)
    if strata.any():
        place = np.zeros(int(cells.max()) + 1, dtype=np.int64)
        place[cells[rows]] = strata
        everyone = place[cells[first]]
    counted = None if view.weights is None else view.weights[keep]
    made = slice_of(y, units[rows], strata, everyone, weights=weights, grouped=grouped, counted=counted)
    parts.slices.append(made)
    parts.scales.append(scale)
    parts.pooled.append(pooled)
    parts.known[key] = len(parts.slices) - 1
    return parts.known[key]


def _standard(one: Hypothesis, keep: NDArray[np.bool_], strata: Ints) -> tuple[Floats, float]:
    view = one.view
    y = view.y[keep]
    among = f" among {one.label}" if one.label else ""
    if y.size == 0 or np.ptp(y) == 0.0:
        raise EstimationError(
            f"{view.outcome!r} has the same value for everybody{among}: there is nothing to test. Leave it out of the "
            "family, or check the column."
        )
    if view.covariates.shape[1]:
        y = residualised(y, view.covariates[keep], strata)
    scale = float(y.std())
    if not scale > 1e-12 * float(np.abs(view.y).max()):
        raise EstimationError(f"{view.outcome!r} is fully explained by the covariates and strata{among}. Use fewer.")
    return (y - y.mean()) / scale, scale
