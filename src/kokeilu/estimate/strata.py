"""Strata and weights of a statistic that every redraw computes again: they follow from the design, not the draw."""

from __future__ import annotations

import numpy as np

from kokeilu.core.lottery import cells_of
from kokeilu.core.protocols import Floats, Ints
from kokeilu.core.view import View
from kokeilu.estimate.sample import least_shares, with_company

__all__ = ["SAME", "inverse_shares", "usable_strata"]

SAME = 1e-9
"""Shares closer than this are equal: exact fractions were turned into doubles."""

FEW = 8.0
"""Expected units of an arm above which a stratum without it is too rare to matter (e**-8 = 0.0003)."""


def usable_strata(view: View, strata: Ints, clusters: Ints | None, shares: Floats, rows: Ints) -> tuple[Ints, int]:
    """Pool the strata that a draw may well leave without one of the arms; how many were pooled.

    The rule looks at the design and at who has an outcome, never at the draw, so that a test stays exact.

    Parameters
    ----------
    view : View
    strata : (m,) array of codes 0..S-1
    clusters : (m,) array of codes, or None
    shares : (m, arms) array
        Of the arms compared.
    rows : (m,) array
        Position of each person in the assignment.
    """
    n_strata = int(strata.max()) + 1
    first = np.arange(strata.size) if clusters is None else np.unique(clusters, return_index=True)[1]
    count = np.bincount(strata[first], minlength=n_strata)
    share = least_shares(strata, shares)
    seats = count * share
    safe = seats >= FEW
    if view.fixed:
        # Seats are fixed: one is certain wherever a whole one is due and nobody of the stratum is missing.
        safe |= (seats >= 1.0 - SAME) & (count == _design_counts(view, strata, rows))
    if safe.all() or n_strata == 1:
        return strata, 0
    safe = with_company(safe, count, share)
    place = np.where(safe, np.cumsum(safe) - 1, safe.sum())
    return place[strata].astype(np.int64), int((~safe).sum())


def _design_counts(view: View, strata: Ints, rows: Ints) -> Ints:
    """Units of the whole design in each stratum of the view."""
    cells = cells_of(view.lottery)
    first = np.arange(cells.strata.size)
    if cells.clusters is not None:
        first = np.unique(cells.clusters, return_index=True)[1]
    whole = np.bincount(cells.strata[first], minlength=int(cells.strata.max()) + 1)
    owner = np.zeros(int(strata.max()) + 1, dtype=np.int64)
    owner[strata] = cells.strata[rows]
    return whole[owner].astype(np.int64)


def inverse_shares(shares: Floats, strata: Ints) -> Floats | None:
    """1 / share of each arm, (m, arms), up to a constant; None where chances are equal within each stratum."""
    first = np.unique(strata, return_index=True)[1][strata]
    if (np.abs(shares - shares[first]) <= SAME).all():
        return None
    weights: Floats = shares.mean(axis=0) / shares
    return weights
