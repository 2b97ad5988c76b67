"""A design whose formula is stated level by level, and the checks that such sizes share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from kokeilu._checks import between
from kokeilu.core.arms import Arms
from kokeilu.core.protocols import Floats
from kokeilu.errors import DesignError
from kokeilu.power.framed import Offer
from kokeilu.power.models import Components, OutcomeModel, Pair, lacks_clusters
from kokeilu.power.scheme import Scheme

__all__ = [
    "LevelFrame",
    "check_shares",
    "clusters_part",
    "known_sizes",
    "needs_icc",
    "one_open",
    "people_part",
    "refuse_icc",
    "rest_of",
    "spread_of",
]

Parts = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LevelFrame:
    """A design whose formula is stated level by level.

    Attributes
    ----------
    arms : Arms
    count : float
        People in all arms.
    drawn : float
        Units drawn in all arms: people, or clusters.
    parts_of : function (model, components, shares of the two arms, shares seen, effect) -> squared error by source
    dof : function of the number of covariates
        For two arms that make up the whole trial, everybody being seen.
    each_arm : float
        Degrees of freedom that a third and further arm takes in a test over all of them.
    counts_units : bool
        Whether `dof` counts the units drawn, so that those of other arms, and people not seen, come off.
    """

    arms: Arms
    count: float
    drawn: float
    clustered: bool
    strata: int
    formula: str
    notes: tuple[str, ...] = ()
    parts_of: Callable[[OutcomeModel, Components, Pair, Pair, float], Parts]
    dof: Callable[[int], float]
    counts_units: bool = True
    each_arm: float = 1.0
    seen: tuple[float, ...] = ()

    @property
    def _shares(self) -> Floats:
        return np.array([[float(share) for share in self.arms.shares]])

    @property
    def people(self) -> Floats:
        """Expected people by arm, (1, arms), those whose outcome is seen."""
        lost: Floats = self._shares * self.count * (np.array(self.seen) if self.seen else 1.0)
        return lost

    @property
    def units(self) -> Floats:
        """Expected units by arm, (1, arms)."""
        lost: Floats = self._shares * self.drawn
        return lost

    def scheme(self, offer: Offer, arm: int, reference: int, covariates: int) -> Scheme:
        """Return one contrast; shares are those of the two arms."""
        shares = self._shares[0]
        pair = float(shares[arm]), float(shares[reference])
        seen = (self.seen[arm], self.seen[reference]) if self.seen else (1.0, 1.0)

        def make(model: OutcomeModel, components: Components, effect: float) -> Parts:
            return self.parts_of(model, components, pair, seen, effect)

        people, units = self.people[0], self.units[0]
        dof = self.dof_of(arm, reference, covariates)
        self._check(offer.outcome)
        if dof <= 0.0:
            raise DesignError(
                f"these sizes and {covariates:,} covariates leave {dof:,.4g} degrees of freedom. Use fewer covariates, "
                "or more blocks or clusters."
            )
        clusters = (float(units[arm]), float(units[reference])) if self.clustered else None
        return offer.scheme(make, dof=dof, n=(float(people[arm]), float(people[reference])), clusters=clusters)

    def dof_of(self, arm: int, reference: int, covariates: int) -> float:
        """Degrees of freedom of one contrast; 0 or less where there are too few units."""
        drawn = (self.units if self.clustered else self.people)[0]
        others = self.drawn - float(drawn[[arm, reference]].sum())
        return self.dof(covariates) - (others if self.counts_units else 0.0)

    def _check(self, outcome: OutcomeModel) -> None:
        if getattr(outcome, "effect_sd", 0.0):
            raise DesignError("effect_sd needs the whole population drawn one by one; leave it out with these sizes.")

    def less(self, lost: Mapping[str, float]) -> LevelFrame:
        """Return the frame with fewer people seen in each arm."""
        return replace(self, seen=tuple(1.0 - lost[name] for name in self.arms.names))

    def joint_dof(self, covariates: int) -> float:
        """Return the degrees of freedom over all arms: less those of each further arm, and of people not seen."""
        unseen = self.drawn - float(self.people.sum()) if self.counts_units and not self.clustered else 0.0
        return self.dof(covariates) - self.each_arm * (len(self.arms) - 2) - unseen


def people_part(components: Components, pair: Pair, seen: Pair, people: float) -> float:
    """Sum of v_k / (share_k seen_k n): with equal shares and variances v / (p q n)."""
    return sum(v / (p * s * people) for v, p, s in zip(components[0], pair, seen, strict=True))


def clusters_part(components: Components, pair: Pair, clusters: float) -> float:
    """Sum of the variances between clusters over the clusters of an arm."""
    return sum(v / (p * clusters) for v, p in zip(components[1], pair, strict=True))


def spread_of(model: OutcomeModel) -> float:
    """Variance of the outcome in the reference arm."""
    return model.scale**2


def refuse_icc(model: OutcomeModel, what: str) -> None:
    """Refuse an outcome that states what the sizes state."""
    if model.states_clusters:
        raise DesignError(
            f"{what} states how its levels vary; leave icc out of the outcome, and cluster_r2 where people are drawn."
        )


def one_open(kind: str, **sizes: float | None) -> None:
    """Refuse more than one size left out, and sizes below 1."""
    lacking = [name for name, value in sizes.items() if value is None]
    if len(lacking) > 1:
        raise DesignError(f"{kind} may leave out one size, to be solved for; {' and '.join(lacking)} are missing.")
    for name, value in sizes.items():
        if value is not None:
            between(value, 1.0, 1e16, name=f"{name} of {kind}", closed=True)


def rest_of(left: float, icc: float, what: str) -> float:
    """Return what of the share 1 - icc is `left` to people; refuse levels that take everything."""
    if left <= 0.0:
        raise DesignError(f"{what} and the outcome's icc of {icc:g} leave no variance between people; lower them.")
    return left / (1.0 - icc)


def known_sizes(kind: str, *sizes: float | None) -> tuple[float, ...]:
    """Return the sizes, none of which may be open."""
    if any(size is None for size in sizes):
        raise DesignError(f"here {kind} needs all its sizes; only sample_size solves for one of them.")
    return tuple(float(size) for size in sizes if size is not None)


def check_shares(**shares: float) -> None:
    """Refuse shares outside [0, 1)."""
    for name, share in shares.items():
        if between(share, 0.0, 1.0, name=name, closed=True) == 1.0:
            raise DesignError(f"{name} is 1, which leaves nothing to estimate; give a share below 1.")


def needs_icc(outcome: OutcomeModel) -> None:
    """Refuse an outcome that does not say how clusters differ."""
    if not outcome.states_clusters:
        raise DesignError(lacks_clusters(outcome))
