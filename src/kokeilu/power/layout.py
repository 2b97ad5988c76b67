"""From a design and its people to what the formulas need: expected numbers and variance weights by arm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kokeilu._checks import count_of, positive_int
from kokeilu.core.arms import Arms
from kokeilu.core.lottery import cells_of, shares_of
from kokeilu.core.protocols import Floats, Ints, Lottery
from kokeilu.core.register import population_of_rows
from kokeilu.core.registry import kind_of
from kokeilu.errors import DataError, DesignError
from kokeilu.power.cluster_sizes import ClusterSizes
from kokeilu.power.formula import Layout, parts_of
from kokeilu.power.framed import Framed, Offer
from kokeilu.power.models import Components, OutcomeModel, lacks_clusters
from kokeilu.power.scheme import Scheme

__all__ = [
    "COUNTED_CELL",
    "Frame",
    "arms_of",
    "bind_rows",
    "check_icc",
    "contrast_of",
    "counted",
    "draws_clusters",
    "frame_of",
    "sized_arms",
    "unseen_strata",
]

LEAST_PEOPLE = 4
TINY = 1e-9
COUNTED_CELL = 10  # as in kokeilu.estimate.means
LEAST_UNITS = 2.0  # an arm with one unit has no variance of its own


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
    gls : ClusterSizes or None
        Where clusters are weighted by their information.
    seen : float
        Share of their people whose outcome is seen then.
    """

    arms: Arms
    size: Floats
    people: Floats
    units: Floats
    inverse: Floats
    squares: Floats
    clustered: bool
    notes: tuple[str, ...] = ()
    gls: ClusterSizes | None = None
    seen: float = 1.0

    @property
    def strata(self) -> int:
        """Number of strata."""
        return len(self.size)

    @property
    def formula(self) -> str:
        """Name of the formula."""
        how = "least squares on people" if self.gls is None else "generalised least squares"
        units = f"whole clusters, {how}" if self.clustered else "people drawn one by one"
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

    def scheme(self, offer: Offer, arm: int, reference: int, covariates: int) -> Scheme:
        """Return one contrast, over the strata that offer both arms.

        Raises
        ------
        DesignError
            As :meth:`layout`; and where covariates and strata leave no degrees of freedom.
        """
        layout = self.layout(arm, reference)
        everybody = self._population(offer, layout, arm, reference)
        gls, clusters = self.gls, layout.clusters

        def make(model: OutcomeModel, components: Components, _: float) -> dict[str, float]:
            if gls is not None and clusters is not None:
                sides = zip(*components, clusters, strict=True)
                there = ((w, b, count) for w, b, count in sides if w + b > 0.0)
                return {
                    "people and clusters": sum(
                        1.0 / (count * gls.information(w, b, self.seen)) for w, b, count in there
                    )
                }
            spread = float(getattr(model, "effect_sd", 0.0))
            finite = {"effects": -(spread**2) / everybody} if spread else {}
            return parts_of(layout, components) | finite

        return offer.scheme(make, dof=_dof(layout, covariates), n=layout.people, clusters=layout.clusters)

    def _population(self, offer: Offer, layout: Layout, arm: int, reference: int) -> float:
        """Everybody in the strata of a contrast, in whatever arm; refuse an effect_sd that has no meaning here."""
        everybody = float(self.size[(self.units[:, [arm, reference]] > 0).all(axis=1)].sum())
        spread = float(getattr(offer.outcome, "effect_sd", 0.0))
        if not spread:
            return everybody
        if self.clustered:
            raise DesignError("effect_sd is for people drawn one by one from the whole population; leave it out here.")
        if offer.taking != (1.0, 0.0):
            raise DesignError(
                "with incomplete take-up the effects of the offer vary otherwise than those of taking part. Leave "
                "effect_sd out (the error is then on the safe side), or state effects of the offer and no take-up."
            )
        parts = parts_of(layout, offer.outcome.components(0.0, layout.people))
        sds = [math.sqrt(v) for v in offer.outcome.variances(0.0)]
        if not abs(sds[0] - sds[1]) - TINY <= spread <= sum(sds) + TINY or spread**2 / everybody >= parts["people"]:
            raise DesignError(
                f"effects with a standard deviation of {spread:g} cannot be: with {sds[0]:g} and {sds[1]:g} in the "
                f"arms it lies between {abs(sds[0] - sds[1]):g} and {sum(sds):g}, and must leave some error."
            )
        return everybody

    def less(self, lost: Mapping[str, float]) -> Frame:
        """Return the frame with fewer people in each arm: as many clusters, smaller ones."""
        seen = np.array([1.0 - lost[name] for name in self.arms.names])
        units = self.units if self.clustered else self.units * seen
        if self.gls is not None and len(set(lost.values())) > 1:
            raise DesignError("attrition that differs by arm needs weighting='people', which treats clusters alike.")
        share = 1.0 if self.gls is None else float(seen[0])
        return replace(self, people=self.people * seen, units=units, inverse=self.inverse / seen, seen=share)

    def joint_dof(self, covariates: int) -> float:
        """Return the units less one for each stratum and arm, less covariates."""
        averaged = self.units.min() >= LEAST_UNITS
        lost = self.units.size if averaged else self.strata + len(self.arms) - 1
        return float(self.units.sum()) - lost - covariates

    def _refuse(self, pair: list[int], found: Floats) -> None:
        what = "clusters" if self.clustered else "people"
        name = self.arms.names[pair[int(found.argmin())]]
        where = " in strata that offer both arms" if self.strata > 1 else ""
        raise DesignError(
            f"arm {name!r} is expected to get {found.min():.3g} {what}{where}; two are the least from which an error "
            f"can be estimated. Add {what}, or raise the arm's share."
        )


def _dof(layout: Layout, covariates: int) -> float:
    dof = layout.dof(covariates)
    if dof > 0:
        return dof
    unit = "people" if layout.clusters is None else "clusters"
    blocks = f" in {layout.strata:,} strata" if layout.strata > 1 else ""
    raise DesignError(
        f"{layout.units:,.4g} {unit}{blocks} leave {layout.dof():,.4g} degrees of freedom; {covariates:,} covariates "
        f"leave {dof:,.4g}. Use fewer covariates or strata, or more {unit}."
    )


def _pair(values: Floats) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def counted(arms: Arms, units: tuple[float, ...], *, sizes: ClusterSizes | None, notes: tuple[str, ...]) -> Frame:
    """Return the frame of given numbers of units by arm: people, or clusters of these sizes."""
    size, cv = (1.0, 0.0) if sizes is None else (float(sizes.size or 0.0), sizes.cv)
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
        gls=sizes if sizes is not None and sizes.weighting == "gls" else None,
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


def sized_arms(design: object, sizes: str, *, clustered: bool) -> Arms:
    """Return the arms of a mechanism that draws what the sizes count: people, or whole clusters."""
    if draws_clusters(design) != clustered:
        told = ("whole clusters", "wrap it in Clustered(...)") if clustered else ("people one by one", "drop Clustered")
        raise DesignError(f"{sizes} is for a design that draws {told[0]}, which this one does not; {told[1]}.")
    return arms_of(design)


def contrast_of(arms: Arms, contrast: str | tuple[str, str] | None) -> tuple[int, int]:
    """Return the positions of arm and reference; by default the first other arm against the first."""
    if contrast is None:
        return 1, 0
    names = (contrast, arms.reference) if isinstance(contrast, str) else contrast
    if not isinstance(names, (tuple, list)) or len(names) != 2 or names[0] == names[1]:
        raise DesignError("contrast must be the name of an arm other than the reference, or (arm, reference).")
    return arms.index(names[0]), arms.index(names[1])


def frame_of(design: object, people: object, outcome: OutcomeModel) -> Framed:
    """Return the frame of a design for a register, a number of people, or sizes alone; check the ICC."""
    if not isinstance(people, type) and callable(getattr(people, "frame", None)) and hasattr(people, "unknown"):
        found: Framed = people.frame(design, outcome)  # type: ignore[attr-defined]
        return found
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
    if clustered and not outcome.states_clusters:
        raise DesignError(lacks_clusters(outcome))
    if not clustered and outcome.states_clusters:
        raise DesignError(
            "icc and cluster_r2 belong to a design that draws whole clusters; this one draws people one "
            "by one. Leave them out, or wrap the design in Clustered."
            if hasattr(outcome, "icc")
            else "cluster_cv belongs to a design that draws whole clusters; this one draws people one by one. Leave it "
            "out, or wrap the design in Clustered."
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
    return counted(arms, units, sizes=sizes, notes=unseen_strata(design))


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
