"""The people of a simulated trial: the lottery, who may get which arm, and what is known of everybody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels.refitted import Projection
from kokeilu._kernels.streams import Seed, Stream
from kokeilu.core.lottery import cells_of, shares_of
from kokeilu.core.protocols import Cells, Codes, Floats, Ints, Lottery
from kokeilu.core.view import Account, View
from kokeilu.errors import DesignError, EstimationError

__all__ = ["Part", "People"]

EVEN = 1e-9  # shares closer than this are equal


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """The people of one contrast: those who may get both arms.

    Attributes
    ----------
    rows : bool array, shape (n,)
    strata, clusters : int64 arrays, shape (m,)
        Codes 0, 1, ... of those that occur; clusters may be None.
    even : bool
        Whether everybody has the same shares.
    first : int64 array
        One person of each unit drawn.
    """

    pair: tuple[int, int]
    rows: NDArray[np.bool_]
    strata: Ints
    clusters: Ints | None
    even: bool
    first: Ints
    kept: dict[str, Projection] = field(default_factory=dict)

    def codes(self, codes: Codes) -> Codes:
        """Codes of these people, (b, m)."""
        return codes if self.rows.all() else codes[:, self.rows]

    def counts(self, codes: Codes) -> Floats:
        """Units in arm and reference by draw and stratum, (2, b, S)."""
        kept = self.codes(codes)
        units, strata = (kept, self.strata) if self.clusters is None else (kept[:, self.first], self.strata[self.first])
        number = int(strata.max()) + 1
        if number == 1:
            return np.array([(units == k).sum(axis=1, keepdims=True) for k in self.pair], dtype=np.float64)
        order = np.argsort(strata, kind="stable")
        starts = np.searchsorted(strata[order], np.arange(number))
        placed = units if (np.diff(strata) >= 0).all() else units[:, order]
        return np.array([np.add.reduceat(placed == k, starts, axis=1, dtype=np.float64) for k in self.pair])

    def projection(self, people: People, chosen: tuple[int, ...]) -> Projection:
        """What a regression on these covariates takes out in every draw, made once."""
        key = f"{people.version} {chosen}"
        if key not in self.kept:
            self.kept.clear()
            self.kept[key] = Projection.of(people.covariates[self.rows][:, list(chosen)], self.strata)
        return self.kept[key]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class People:
    """Everybody in the trial.

    Attributes
    ----------
    lottery : Lottery
    cells : Cells
    shares : float64 array, shape (n, arms)
    parts : mapping of (arm, reference) to Part
    covariates : float64 array, shape (n, p)
    names, notes : tuple of str
        As in a View.
    groups : mapping of column to int64 array
    version : int
        Which people stand in the rows: 0 those of the register, others drawn from it.
    """

    lottery: Lottery
    cells: Cells
    shares: Floats
    parts: dict[tuple[int, int], Part]
    covariates: Floats
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    groups: dict[str, Ints] = field(default_factory=dict)
    version: int = 0

    @classmethod
    def of(
        cls, lottery: Lottery, pairs: tuple[tuple[int, int], ...], stream: Stream, known: dict[str, Any] | None = None
    ) -> People:
        """Return the people of a lottery with what is known of them."""
        cells, shares = cells_of(lottery), shares_of(lottery, stream.child("shares"))
        more: dict[str, Any] = {"covariates": np.empty((lottery.n_units, 0))} if known is None else known
        parts = {pair: _part(lottery, cells, shares, pair) for pair in pairs}
        return cls(lottery=lottery, cells=cells, shares=shares, parts=parts, **more)

    def part(self, pair: tuple[int, int]) -> Part:
        """Return the people of a contrast."""
        return self.parts[pair]

    def columns_named(self, names: tuple[str, ...]) -> tuple[int, ...]:
        """Return the positions of covariates with the indicators of their levels and gaps."""
        return tuple(
            place
            for name in names
            for place, label in enumerate(self.names)
            if label == name or label.startswith(f"{name}: ") or label == f"{name} (missing)"
        )

    def shown(self, rows: Ints | None, version: int) -> People:
        """Return the trial with other people in its places, as far as covariates and groups go."""
        if rows is None:
            return self
        groups = {name: codes[rows] for name, codes in self.groups.items()}
        return replace(self, covariates=self.covariates[rows], groups=groups, version=version)

    def view(self, y: Floats, codes: Codes) -> View:
        """Return the outcomes of one simulated trial."""
        names = self.lottery.arms.names
        everybody = tuple(np.bincount(codes, minlength=len(names)).tolist())
        return View(
            outcome="outcome",
            arms=self.lottery.arms,
            y=y,
            codes=codes,
            rows=np.arange(y.size),
            strata=self.cells.strata,
            clusters=self.cells.clusters,
            shares=self.shares,
            covariates=self.covariates,
            covariate_names=self.names,
            account=Account(arms=names, assigned=everybody, linked=everybody, observed=everybody),
            lottery=self.lottery,
            stream=Seed.of("simulated power").stream("view"),
            fixed=self.cells.fixed,
            strata_names=self.cells.names,
            cluster_name=self.cells.cluster_name,
            whole=self.cells.whole,
            notes=self.notes,
            assigned=codes,
            waves=self.cells.waves,
            groups=self.groups,
        )

    def estimate(
        self, choose: Callable[[View], Any], y: Floats, codes: Codes, pair: tuple[int, int]
    ) -> tuple[float, float, float]:
        """Return value, error and degrees of freedom of one simulated trial; NaN where there is no estimate."""
        view, names = self.view(y, codes), self.lottery.arms.names
        try:
            found = choose(view).estimate(view, ((names[pair[0]], names[pair[1]]),))[0]
        except EstimationError:
            return np.nan, np.nan, np.nan
        return found.value, found.error, np.inf if found.dof is None else found.dof

    def why(self, choose: Callable[[View], Any], y: Floats, codes: Codes, pair: tuple[int, int]) -> str:
        """Return what the estimator says of a simulated trial without an estimate."""
        view, names = self.view(y, codes), self.lottery.arms.names
        try:
            choose(view).estimate(view, ((names[pair[0]], names[pair[1]]),))
        except EstimationError as error:
            return str(error)
        return ""


def _part(lottery: Lottery, cells: Cells, shares: Floats, pair: tuple[int, int]) -> Part:
    rows: NDArray[np.bool_] = np.asarray((shares[:, list(pair)] > 0).all(axis=1))
    if not rows.any():
        names = " and ".join(repr(lottery.arms.names[k]) for k in pair)
        raise DesignError(f"nobody may get both {names}; choose another contrast.")
    strata = _renumbered(cells.strata[rows])
    clusters = None if cells.clusters is None else _renumbered(cells.clusters[rows])
    first = np.arange(len(strata)) if clusters is None else np.unique(clusters, return_index=True)[1]
    even = bool(np.ptp(shares[rows], axis=0).max() < EVEN)
    return Part(pair=pair, rows=rows, strata=strata, clusters=clusters, even=even, first=first.astype(np.int64))


def _renumbered(codes: Ints) -> Ints:
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)
