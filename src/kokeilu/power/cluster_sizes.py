"""Clusters before there is a register."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass

import numpy as np

from kokeilu._checks import between, choice, positive_int
from kokeilu.core.protocols import Floats
from kokeilu.errors import DesignError

__all__ = ["ClusterSizes"]

LEAST_CLUSTERS = 4
WEIGHTINGS = ("people", "gls")


@dataclass(frozen=True, slots=True)
class ClusterSizes:
    """Clusters before there is a register: how many, how large, how unequal.

    Parameters
    ----------
    count : int, optional
        Number of clusters in all arms together. May be left out in `sample_size`, which then solves for it.
    size : float, optional
        Mean number of people per cluster. May be left out in `sample_size`, which then solves for it.
    cv : float, default 0
        Coefficient of variation of the sizes: their standard deviation (with n, not n − 1) over their mean.
    sizes : sequence of float, optional
        The size of each cluster of all arms together, in place of the three others.
    weighting : {"people", "gls"}
        "people": least squares on people, as `estimate_effects` does it; unequal clusters cost by
        1 + ((1 + cv^2) m - 1) icc (Eldridge, Ashby & Kerry 2006). "gls": clusters weighted by their information
        (van Breukelen, Candel & Berger 2007), the least that unequal sizes can cost.

    Raises
    ------
    DesignError
        Fewer than 4 clusters, a size below 1, a negative `cv`, or neither `count` nor `size`.

    Examples
    --------
    >>> ClusterSizes(count=12, size=60, cv=0.4).count
    12
    >>> round(ClusterSizes(sizes=(20, 40, 40, 60)).cv, 3)
    0.354
    """

    _: KW_ONLY
    count: int | None = None
    size: float | None = None
    cv: float = 0.0
    sizes: tuple[float, ...] = ()
    weighting: str = "people"

    def __post_init__(self) -> None:
        choice(self.weighting, WEIGHTINGS, name="weighting")
        if not isinstance(self.sizes, Iterable):
            raise DesignError("sizes must be a sequence of the size of each cluster, such as (35, 60, 20, 41).")
        object.__setattr__(self, "sizes", tuple(self.sizes))
        if self.sizes:
            self._from_sizes()
        if self.count is None and self.size is None:
            raise DesignError("ClusterSizes needs `count`, `size`, or both; or all `sizes`.")
        if self.count is not None:
            positive_int(self.count, name="the number of clusters", least=LEAST_CLUSTERS)
        if self.size is not None:
            between(self.size, 1.0, 1e12, name="the people per cluster", closed=True)
        between(self.cv, 0.0, 1e6, name="cv", closed=True)

    def _from_sizes(self) -> None:
        if self.count is not None or self.size is not None or self.cv:
            raise DesignError("ClusterSizes takes either all `sizes`, or count, size and cv.")
        n = np.array([between(size, 1.0, 1e12, name="a size of a cluster", closed=True) for size in self.sizes])
        object.__setattr__(self, "count", n.size)
        object.__setattr__(self, "size", float(n.mean()))
        object.__setattr__(self, "cv", float(n.std() / n.mean()))

    def information(self, people: float, clusters: float, seen: float = 1.0) -> float:
        """Return the mean of 1 / (clusters + people / n_j) over clusters: the information of one about a mean.

        Parameters
        ----------
        people, clusters : float
            Variance between people within clusters, and between clusters.
        seen : float
            Share of the people of a cluster whose outcome is seen.
        """
        if self.sizes:
            n: Floats = np.array(self.sizes) * seen
            return float((1.0 / (clusters + people / n)).mean())
        m = float(self.size or 0.0) * seen
        equal = 1.0 / (clusters + people / m)
        reliability = m * clusters / (m * clusters + people)
        return equal * (1.0 - self.cv**2 * reliability * (1.0 - reliability))
