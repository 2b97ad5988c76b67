"""One contrast of a view as a case for redraws: who enters, which strata and weights, and the sums to be made."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kokeilu._kernels.batched import residualised
from kokeilu._kernels.nulls import Law, Units
from kokeilu.core.protocols import Codes, Floats, Ints
from kokeilu.core.view import View
from kokeilu.errors import DesignError, EstimationError
from kokeilu.estimate.strata import inverse_shares, usable_strata

__all__ = ["Case", "case_of"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """One contrast: the units and where they stand in the assignment.

    Attributes
    ----------
    arm, reference : int
    units : Units
        People, or the clusters drawn whole, with what each redraw needs of them.
    places : (u,) int64 array
        A person of each unit, as a position in the assignment.
    outcome : (m,) array
        Of each person, as it was recorded.
    clusters : (m,) array of codes 0..u-1, or None
        The unit of each person, where clusters are drawn whole.
    codes : (u,) int8 array
        Arm of each unit.
    shares : (u, 2) array
        Each unit's chances of the arm and of the reference.
    scale : float
        What the outcome was divided by in `units`.
    pooled, left_out : int
        Strata that were pooled in the statistic; people without a chance of one of the arms.
    weighted, studentised, adjusted : bool
        1 / share; an error in the statistic; regressed on covariates.
    alone : bool
        Redraws are among the people of the two arms only.
    """

    arm: int
    reference: int
    units: Units
    places: Ints
    outcome: Floats
    clusters: Ints | None
    codes: Codes
    shares: Floats
    scale: float
    pooled: int
    left_out: int
    weighted: bool
    studentised: bool
    adjusted: bool
    alone: bool = False

    def among(self, shares: Floats) -> Case:
        """The case where the people of other arms stay where they are, from everybody's shares (n, arms) then."""
        return replace(self, shares=shares[self.places][:, [self.arm, self.reference]], alone=True)

    def law(self, codes: Codes) -> Law:
        """The law of each draw, from codes of all people (b, n)."""
        return self.units.law(codes[:, self.places], self.arm, self.reference)


def case_of(view: View, contrast: tuple[str, str] | None, *, studentise: bool) -> Case:
    arm, reference = _pair(view, contrast)
    keep = (view.shares[:, arm] > 0.0) & (view.shares[:, reference] > 0.0)
    y, codes = view.y[keep], view.codes[keep]
    raw = y
    _refuse(view, y, codes, arm, reference)
    # Clusters that stand in several arms have no total of their own: the statistic is then one of people.
    clusters = _renumbered(view.clusters[keep]) if view.clusters is not None and view.whole else None
    shares = view.shares[keep][:, [arm, reference]]
    own = _renumbered(view.strata[keep]) if view.whole else np.zeros(y.size, dtype=np.int64)
    strata, pooled = usable_strata(view, own, clusters, shares, view.rows[keep])
    weights = inverse_shares(shares, strata)
    z = (codes == arm).astype(np.float64)
    if view.covariates.shape[1]:
        y, z = (residualised(column, view.covariates[keep], strata) for column in (y, z))
    scale = float(y.std())
    if not scale > 1e-12 * float(np.abs(view.y).max()):
        raise EstimationError(
            f"{view.outcome!r} is fully explained by the covariates and strata: nothing is left to test. "
            "Use fewer covariates."
        )
    n_units = y.size if clusters is None else int(clusters.max()) + 1
    # The raw difference is judged in a fixed unit, so that one tolerance serves both statistics.
    spread = None if studentise else float(np.sqrt(4.0 / n_units))
    units = Units((y - y.mean()) / scale, z, strata, clusters, weights, spread)
    return Case(
        arm=arm,
        reference=reference,
        units=units,
        places=view.rows[keep][units.first],
        outcome=raw,
        clusters=clusters,
        codes=codes[units.first],
        shares=shares[units.first],
        scale=scale,
        pooled=pooled,
        left_out=int((~keep).sum()),
        weighted=weights is not None,
        studentised=studentise,
        adjusted=bool(view.covariates.shape[1]),
    )


def _pair(view: View, contrast: tuple[str, str] | None) -> tuple[int, int]:
    if contrast is None:
        return 1, 0
    if isinstance(contrast, str) or len(contrast) != 2:
        raise DesignError("contrast must be a pair of arm names, such as contrast=('coaching', 'control').")
    arm, reference = (view.arms.index(name) for name in contrast)
    if arm == reference:
        raise DesignError(f"the contrast compares arm {contrast[0]!r} with itself; name two different arms.")
    return arm, reference


def _refuse(view: View, y: Floats, codes: Codes, arm: int, reference: int) -> None:
    for code in (arm, reference):
        if not (codes == code).any():
            raise EstimationError(
                f"arm {view.arms.names[code]!r} has nobody with an observed {view.outcome!r}: there is nothing to "
                "compare. Name another contrast, or check the outcomes table."
            )
    if np.ptp(y) == 0.0:
        raise EstimationError(
            f"{view.outcome!r} has the same value for everybody: there is nothing to test. Check the column."
        )


def _renumbered(codes: Ints) -> Ints:
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)
