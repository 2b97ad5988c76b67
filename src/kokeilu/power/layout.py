"""From a design and its people to what the formulas need: expected numbers and variance weights by arm."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from kokeilu._checks import between, count_of, positive_int
from kokeilu.core.arms import Arms
from kokeilu.core.lottery import cells_of, shares_of
from kokeilu.core.protocols import Floats, Ints, Lottery
from kokeilu.core.register import population_of_rows
from kokeilu.core.registry import kind_of
from kokeilu.errors import DataError, DesignError
from kokeilu.power.formula import Layout
from kokeilu.power.models import OutcomeModel

__all__ = [
    "COUNTED_CELL",
    "ClusterSizes",
    "Frame",
    "arms_of",
    "bind_rows",
    "check_icc",
    "contrast_of",
    "counted",
    "draws_clusters",
    "frame_of",
    "unseen_strata",
]

LEAST_PEOPLE = 4
COUNTED_CELL = 10  # as in kokeilu.estimate.means
LEAST_UNITS = 2.0  # an arm with one unit has no variance of its own


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

    Raises
    ------
    DesignError
        Fewer than 4 clusters, a size below 1, a negative `cv`, or neither `count` nor `size`.

    Examples
    --------
    >>> ClusterSizes(count=12, size=60, cv=0.4)
    ClusterSizes(count=12, size=60, cv=0.4)
    """

    _: KW_ONLY
    count: int | None = None
    size: float | None = None
    cv: float = 0.0

    def __post_init__(self) -> None:
        if self.count is None and self.size is None:
            raise DesignError("ClusterSizes needs `count`, `size`, or both.")
        if self.count is not None:
            positive_int(self.count, name="the number of clusters", least=2 * int(LEAST_UNITS))
        if self.size is not None:
            between(self.size, 1.0, 1e12, name="the people per cluster", closed=True)
        between(self.cv, 0.0, 1e6, name="cv", closed=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """Expected numbers and variance weights by stratum and arm.

    Attributes
    ----------
    arms : Arms
    size : float64 array, shape (S,)
        People of all arms in each stratum.
    people, units : float64 arrays, shape (S, arms)
        Expected people, and expected units drawn: the same people, or clusters.
    inverse, squares : float64 arrays, shape (S, arms)
        Σ n_j/p_kj and Σ n_j²/p_kj over the units of a stratum; infinite where the arm has no chance.
    clustered : bool
    notes : tuple of str
    """

    arms: Arms
    size: Floats
    people: Floats
    units: Floats
    inverse: Floats
    squares: Floats
    clustered: bool
    notes: tuple[str, ...] = ()

    @property
    def strata(self) -> int:
        """Number of strata."""
        return len(self.size)

    @property
    def formula(self) -> str:
        """Name of the formula."""
        units = "whole clusters, least squares on people" if self.clustered else "people drawn one by one"
        strata = f" in {self.strata:,} strata" if self.strata > 1 else ""
        return f"difference in means, {units}{strata}"

    def layout(self, arm: int, reference: int) -> Layout:
        """Return the layout of one contrast, over the strata that offer both arms.

        Raises
        ------
        DesignError
            Where no stratum does, or one of the two arms is expected to get fewer than two units.
        """
        pair = [arm, reference]
        both = (self.units[:, pair] > 0).all(axis=1)
        units = self.units[both][:, pair]
        if units.sum(axis=0).min() < LEAST_UNITS:
            self._refuse(pair, units.sum(axis=0))
        n2 = self.size[both].sum() ** 2
        return Layout(
            people=_pair(self.people[both][:, pair].sum(axis=0)),
            within=_pair(self.inverse[both][:, pair].sum(axis=0) / n2),
            clusters=_pair(units.sum(axis=0)) if self.clustered else None,
            between=_pair(self.squares[both][:, pair].sum(axis=0) / n2) if self.clustered else None,
            strata=int(both.sum()),
            averaged=bool(units.min() >= LEAST_UNITS),
        )

    def analysed_dof(self, arm: int, reference: int, variances: tuple[float, float]) -> float | None:
        """Return the degrees of freedom that the analysis is expected to find, by Satterthwaite's rule.

        sum(v)^2 / sum(v^2 / (units - 1)) over strata and arms, v the variance of each mean weighted by its stratum; for
        people with the means of the estimates, E s^4 = (1 + 2 / (units - 1)) sigma^4, for in cells of two they are far
        fewer. None where the analysis counts n - 2 per stratum (cells of ten people or more), or a cell has one unit.
        """
        pair = [arm, reference]
        units = self.units[:, pair]
        units, both = units[(units > 0).all(axis=1)], (units > 0).all(axis=1)
        if units.min() < LEAST_UNITS or (not self.clustered and len(units) > 1 and units.min() >= COUNTED_CELL):
            return None
        part = (self.squares if self.clustered else self.inverse)[both][:, pair] * np.array(variances)
        noise = 0.0 if self.clustered else 2.0 / (units - 1.0)  # CR2 takes them from the design, not from the outcome
        top = part.sum() ** 2 + (part**2 * noise).sum()
        return float(top / (part**2 * (1.0 + noise) / (units - 1.0)).sum())

    def _refuse(self, pair: list[int], found: Floats) -> None:
        what = "clusters" if self.clustered else "people"
        name = self.arms.names[pair[int(found.argmin())]]
        where = " in strata that offer both arms" if self.strata > 1 else ""
        raise DesignError(
            f"arm {name!r} is expected to get {found.min():.3g} {what}{where}; two are the least from which an error "
            f"can be estimated. Add {what}, or raise the arm's share."
        )


def _pair(values: Floats) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def counted(
    arms: Arms, units: tuple[float, ...], *, sizes: tuple[float, float] | None, notes: tuple[str, ...]
) -> Frame:
    """Return the frame of given numbers of units by arm: people, or clusters of (mean size, cv)."""
    size, cv = (1.0, 0.0) if sizes is None else sizes
    count = np.array([units])
    people = count * size
    total = people.sum()
    inverse = np.divide(total**2, people, out=np.full_like(people, np.inf), where=people > 0)
    return Frame(
        arms=arms,
        size=np.array([total]),
        people=people,
        units=count,
        inverse=inverse,
        squares=inverse * size * (1.0 + cv**2),
        clustered=sizes is not None,
        notes=notes,
    )


def arms_of(design: object) -> Arms:
    """Return the arms of a mechanism before there is a register; refuse shares that differ by stratum."""
    found = getattr(design, "arms", None)
    if isinstance(found, Arms):
        return found
    if found is not None and callable(getattr(design, "bind", None)) and not isinstance(design, type):
        raise DesignError(
            "the shares of this design differ by stratum, and without the register the strata are not known. "
            "Give the register to detectable_effect or power_at."
        )
    raise DesignError(f"a design is needed, such as Complete or Stratified; got {type(design).__name__}.")


def contrast_of(arms: Arms, contrast: str | tuple[str, str] | None) -> tuple[int, int]:
    """Return the positions of arm and reference; by default the first other arm against the first."""
    if contrast is None:
        return 1, 0
    names = (contrast, arms.reference) if isinstance(contrast, str) else contrast
    if not isinstance(names, (tuple, list)) or len(names) != 2 or names[0] == names[1]:
        raise DesignError("contrast must be the name of an arm other than the reference, or (arm, reference).")
    return arms.index(names[0]), arms.index(names[1])


def frame_of(design: object, people: object, outcome: OutcomeModel) -> Frame:
    """Return the frame of a design for a register, a number of people, or cluster sizes; check the ICC."""
    if isinstance(people, ClusterSizes):
        frame = _from_sizes(design, people)
    elif isinstance(people, (int, np.integer)) and not isinstance(people, bool):
        frame = _from_number(design, positive_int(int(people), name="the number of people", least=LEAST_PEOPLE))
    else:
        frame = _from_lottery(bind_rows(design, people))
    check_icc(outcome, clustered=frame.clustered)
    return frame


def check_icc(outcome: OutcomeModel, *, clustered: bool) -> None:
    """Refuse an ICC that is missing where clusters are drawn, or given where people are."""
    if clustered and outcome.icc is None:
        raise DesignError(
            "the design draws whole clusters, so the outcome needs an intra-cluster correlation: give "
            "icc, for instance from last year's register (icc=0 states that clusters do not matter)."
        )
    if not clustered and (outcome.icc is not None or outcome.cluster_r2):
        raise DesignError(
            "icc and cluster_r2 belong to a design that draws whole clusters; this one draws people one "
            "by one. Leave them out, or wrap the design in Clustered."
        )


def _from_number(design: object, n: int) -> Frame:
    if draws_clusters(design):
        raise DesignError(
            f"the design draws whole clusters, and {n:,} people do not tell how many. "
            "Give the register, or ClusterSizes(count=…, size=…)."
        )
    arms = arms_of(design)
    return counted(arms, tuple(float(s) * n for s in arms.shares), sizes=None, notes=unseen_strata(design))


def _from_sizes(design: object, sizes: ClusterSizes) -> Frame:
    if not draws_clusters(design):
        raise DesignError(
            "ClusterSizes belongs to a design that draws whole clusters; this one draws people one by one. "
            "Give the number of people, or wrap the design in Clustered."
        )
    if sizes.count is None or sizes.size is None:
        raise DesignError("here ClusterSizes needs both `count` and `size`; only sample_size solves for one of them.")
    arms = arms_of(design)
    units = tuple(float(s) * sizes.count for s in arms.shares)
    return counted(arms, units, sizes=(float(sizes.size), sizes.cv), notes=unseen_strata(design))


def bind_rows(design: Any, people: object) -> Lottery:
    """Bind a design to the rows of a table, in their order; no id is needed to size a trial."""
    if not callable(getattr(design, "bind", None)) or isinstance(design, type):
        raise DesignError(f"a design is needed, such as Complete or Stratified; got {type(design).__name__}.")
    population = population_of_rows(people, design)
    if len(population) < LEAST_PEOPLE:
        raise DataError(
            f"the register has {count_of(len(population), 'person')}; {LEAST_PEOPLE} are the least, two in either arm."
        )
    lottery: Lottery = design.bind(population)
    return lottery


def _from_lottery(lottery: Lottery) -> Frame:
    cells, units = cells_of(lottery), shares_of(lottery)
    _refuse_two_stages(not cells.whole)
    strata, sizes = cells.strata, np.ones(lottery.n_units)
    if cells.clusters is not None:
        first = np.unique(cells.clusters, return_index=True)[1]
        units, strata = units[first], strata[first]
        sizes = np.bincount(cells.clusters).astype(np.float64)
    inverse = np.divide(1.0, units, out=np.full_like(units, np.inf), where=units > 0)
    return Frame(
        arms=lottery.arms,
        size=np.bincount(strata, weights=sizes).astype(np.float64),
        people=_by_stratum(units * sizes[:, None], strata),
        units=_by_stratum(units, strata),
        inverse=_by_stratum(inverse * sizes[:, None], strata),
        squares=_by_stratum(inverse * sizes[:, None] ** 2, strata),
        clustered=cells.clusters is not None,
    )


def _by_stratum(values: Floats, strata: Ints) -> Floats:
    """Sums by stratum, (S, arms); expected counts that are whole come out whole."""
    sums = [np.bincount(strata, weights=column).astype(np.float64) for column in values.T]
    return np.stack(sums, axis=1).round(9)


def draws_clusters(design: Any) -> bool:
    """Return whether a mechanism, or one that it wraps, draws whole clusters."""
    while design is not None:
        _refuse_two_stages(getattr(design, "divides_clusters", False))
        if kind_of(design) == "clustered" or getattr(design, "draws_clusters", False):
            return True
        design = getattr(design, "base", None)
    return False


def _refuse_two_stages(divided: bool) -> None:
    if divided:
        raise DesignError(
            "people are drawn within clusters that were drawn before them, and no formula here holds for both stages. "
            "Use simulate_power with a register, or ask for the clusters alone with Clustered(...)."
        )


def unseen_strata(design: Any) -> tuple[str, ...]:
    """Return the note that strata were left out of the count, for a design that has some."""
    columns = len(tuple(design.columns())) - draws_clusters(design)
    if columns <= 0:
        return ()
    return ("strata are not known without the register: degrees of freedom not reduced for them",)
