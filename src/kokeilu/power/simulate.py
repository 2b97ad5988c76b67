"""Power of the trial as it will be run: the register, the lottery, the default analysis and its own error.

Adding τ to the outcomes of an arm adds τ to the estimate and leaves residuals, hence the standard error,
unchanged. So one set of draws at τ = 0, with estimates d_b, errors s_b and critical values c_b, gives the
power at every τ:

    reject at τ  ⇔  τ > c_b s_b − d_b  or  τ < −c_b s_b − d_b

two empirical distribution functions of thresholds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kokeilu._checks import between, count_of, positive_int
from kokeilu._kernels.batched import studentised
from kokeilu._kernels.noncentral import critical_t
from kokeilu._kernels.simulated import Drawn, cr2_draws, satterthwaite_draws, stratum_effects_draws, welch_draws
from kokeilu._kernels.streams import Seed, Stream
from kokeilu.core.assignment import Assignment
from kokeilu.core.lottery import cells_of, redraws, shares_of
from kokeilu.core.protocols import Cells, Codes, Floats, Ints, Lottery
from kokeilu.core.view import Account, View, locate
from kokeilu.errors import DataError, DesignError, EstimationError
from kokeilu.estimate.effects import by_design
from kokeilu.power.curve import PowerCurve
from kokeilu.power.layout import COUNTED_CELL, bind_rows, contrast_of
from kokeilu.power.world import Shift, World

__all__ = ["simulate_power"]

EVEN = 1e-9  # shares closer than this are equal


def simulate_power(
    design: object,
    people: object,
    world: Shift | World,
    *,
    effects: Iterable[float],
    draws: int = 1000,
    seed: object,
    alpha: float = 0.05,
    contrast: str | tuple[str, str] | None = None,
) -> PowerCurve:
    """Simulate the power of a trial on its own register with its own lottery.

    Each draw is analysed as `estimate_effects` does it without covariates: difference in means with Neyman's error and
    Welch's degrees of freedom; weighted over strata with n - 2 per stratum, or Satterthwaite's where a stratum has
    fewer than ten people in an arm; CR2 with Satterthwaite's where clusters are drawn, by regression on stratum
    effects where they are drawn in strata. The test is two-sided. It differs from `estimate_effects` where clusters
    in strata have shares that differ (means by stratum, CR2, clusters less 2 per stratum), where a stratum has a
    single unit of an arm (the error of :func:`kokeilu._kernels.batched.studentised`), and where a stratum lacks an arm
    (the draw fails).

    Parameters
    ----------
    design : Mechanism, Assignment or Lottery
        The lottery that will be used. A lottery alone takes outcomes as an array, and ``people=None``.
    people : table or None
        The register.
    world : Shift or World
        Outcomes without the effect. A :class:`World` that has an effect of its own keeps it; `effects` add to
        it.
    effects : iterable of float
        Effects added to everybody in the arm of the contrast, in the units of the outcome.
    draws : int, default 1000
        Simulated trials; 1,600 give a power of .8 with a standard error of .01, 6,400 one of .005.
    seed : str, int or bytes
        Draw b depends on the seed and b alone, never on `draws`.
    alpha : float, default 0.05
    contrast : str or (arm, reference), optional
        By default the first other arm against the reference arm.

    Returns
    -------
    PowerCurve
        Power at each effect with its Monte Carlo error; the size of the test, the detectable effect with an
        interval, bias and coverage.

    Raises
    ------
    EstimationError
        Where a draw has no estimate or no error (an arm is empty in a stratum, or nothing varies): how many
        draws. A failed draw is never counted as "not rejected".
    DesignError, DataError, ColumnError, SeedError

    Examples
    --------
    >>> import kokeilu as kk
    >>> register = {"days": [float(i % 17) for i in range(200)]}
    >>> design = kk.Complete(kk.arms(control=1, coaching=1))
    >>> curve = kk.simulate_power(design, register, kk.Shift("days"), effects=(0.0, 2.0), draws=500, seed=1)
    >>> curve.size < 0.09, curve.power_at(4.0) > 0.95
    (True, True)
    """
    positive_int(draws, name="the number of draws", least=2)
    between(alpha, 0.0, 1.0, name="alpha")
    several = isinstance(effects, Iterable)
    added = tuple(between(e, -np.inf, np.inf, name="effects") for e in effects) if several else ()
    if not added:
        got = "is empty" if several else f"is {type(effects).__name__}"
        raise DesignError(f"effects {got}; give a sequence of effects in the units of the outcome: (0, 5, 10).")
    stream = Seed.of(seed).stream("power")
    lottery, outcomes = _bound(design, people, world)
    arm, reference = contrast_of(lottery.arms, contrast)
    trial = _Trial.of(lottery, (arm, reference), alpha, stream)
    source = outcomes if outcomes is not None else world
    parts = list(trial.run(source, stream, draws))
    estimates, errors, critical, truth = (np.concatenate(column) for column in zip(*parts, strict=True))
    failed = int((~np.isfinite(estimates) | ~(errors > 0)).sum())
    if failed:
        raise EstimationError(
            f"{count_of(failed, 'draw')} of {draws:,} gave no estimate or no standard error of "
            f"{lottery.arms.names[arm]!r} (an arm is empty or alone in a stratum, or the outcome does not "
            "vary). Merge small strata, or check the outcome."
        )
    return PowerCurve.of(
        arm=lottery.arms.names[arm],
        reference=lottery.arms.names[reference],
        effects=added,
        alpha=alpha,
        columns=(estimates, errors, critical, truth),
    )


def _bound(design: object, people: object, world: object) -> tuple[Lottery, Floats | None]:
    """The lottery, and in its order the outcomes of a Shift."""
    if not isinstance(world, (Shift, World)):
        raise DesignError(f"world must be Shift(…) or have a method outcomes(stream); got {type(world).__name__}.")
    rows: Any = slice(None)
    if isinstance(design, Assignment):
        lottery = design.lottery
        if isinstance(world, Shift) and isinstance(world.outcome, str):
            rows = locate(design, people, where="the register")
    elif isinstance(design, Lottery):
        lottery = design
        if people is not None or (isinstance(world, Shift) and isinstance(world.outcome, str)):
            raise DesignError(
                "a lottery does not know whose row is whose. Give the design or the assignment with the "
                "register, or people=None and an array in the order of the ids."
            )
    else:
        lottery = bind_rows(design, people)
    if not isinstance(world, Shift):
        return lottery, None
    return lottery, _ordered(world.values(people), rows, lottery.n_units)


def _ordered(values: Floats, rows: Any, n: int) -> Floats:
    absent = int((rows < 0).sum()) if isinstance(rows, np.ndarray) else 0
    if absent:
        raise DataError(
            f"the register lacks {count_of(absent, 'person', 'people')} of the assignment; a simulation "
            "needs everybody's outcome."
        )
    if len(values) != n:
        raise DataError(f"Shift has {len(values):,} values for {count_of(n, 'person', 'people')}. Give one for each.")
    return np.ascontiguousarray(values[rows])


def _renumbered(codes: Ints) -> Ints:
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    lottery: Lottery
    cells: Cells
    arm: int
    reference: int
    alpha: float
    even: bool
    rows: NDArray[np.bool_]
    shares: Floats

    @classmethod
    def of(cls, lottery: Lottery, pair: tuple[int, int], alpha: float, stream: Stream) -> _Trial:
        """The trial among those who may get both arms; others are left out, as `estimate_effects` does."""
        cells, shares = cells_of(lottery), shares_of(lottery, stream.child("shares"))
        rows: NDArray[np.bool_] = np.asarray((shares[:, list(pair)] > 0).all(axis=1))
        if not rows.any():
            names = " and ".join(repr(lottery.arms.names[k]) for k in pair)
            raise DesignError(f"nobody may get both {names}; choose another contrast.")
        even = bool(np.ptp(shares[rows], axis=0).max() < EVEN)
        if not rows.all():
            kept = None if cells.clusters is None else _renumbered(cells.clusters[rows])
            cells = replace(cells, strata=_renumbered(cells.strata[rows]), clusters=kept)
        return cls(
            lottery=lottery,
            cells=cells,
            arm=pair[0],
            reference=pair[1],
            alpha=alpha,
            even=even,
            rows=rows,
            shares=shares[rows],
        )

    def run(self, source: Any, stream: Stream, draws: int) -> Iterator[tuple[Floats, Floats, Floats, Floats]]:
        """Estimates, errors, critical values and true effects, chunk by chunk."""
        done = 0
        for codes in redraws(self.lottery, stream.child("lottery"), draws):
            if isinstance(source, np.ndarray):
                found, truth = self._analysed(source[self.rows], self._kept(codes)), np.zeros(len(codes))
            else:
                rows = [self._once(source, stream.child(f"world {done + b}"), row) for b, row in enumerate(codes)]
                *found_columns, truth = np.array(rows, dtype=np.float64).T
                found = Drawn(*found_columns)
            done += len(codes)
            usable = np.where(np.isfinite(found.dof), np.maximum(found.dof, 1e-3), 1.0)
            yield found.value, found.error, critical_t(usable, self.alpha), truth

    def _once(self, world: World, stream: Stream, codes: Codes) -> tuple[float, float, float, float]:
        """One trial in a world made for it: each person shows the outcome of the arm they got."""
        made = world.outcomes(stream)
        try:
            table = np.asarray(made, dtype=np.float64)
        except (TypeError, ValueError):
            table = np.zeros(())
        shape = (self.lottery.n_units, len(self.lottery.arms))
        if table.shape != shape or not np.isfinite(table).all():
            raise DataError(f"the world must give finite outcomes of shape {shape}; got shape {table.shape}.")
        seen = table[np.arange(len(codes)), codes.astype(np.intp)]
        found = self._analysed(seen[self.rows], self._kept(codes[None, :]))
        truth = float((table[self.rows, self.arm] - table[self.rows, self.reference]).mean())
        return float(found.value[0]), float(found.error[0]), float(found.dof[0]), truth

    def _kept(self, codes: Codes) -> Codes:
        return codes if self.rows.all() else codes[:, self.rows]

    def _analysed(self, y: Floats, codes: Codes) -> Drawn:
        """The default analysis: see `kokeilu.estimate.effects`."""
        arm, reference = self.arm, self.reference
        strata, clusters = self.cells.strata, self.cells.clusters
        if not self.cells.whole:
            return Drawn(*np.array([self._two_stage(y, row) for row in codes]).T)
        if not strata.any():
            if clusters is None:
                return welch_draws(y, codes, arm=arm, reference=reference)
            return cr2_draws(y, codes, clusters, strata, arm=arm, reference=reference)
        counts = self._counts(codes)
        if clusters is not None and self.even and counts.max() > 1:
            found = stratum_effects_draws(y, codes, clusters, strata, arm=arm, reference=reference)
            error = np.where((counts == 0).any(axis=(0, 2)), np.nan, found.error)
            return Drawn(found.value, error, found.dof)
        lone = (counts < 2).any(axis=(0, 2))
        if clusters is not None and not lone.any():
            return cr2_draws(y, codes, clusters, strata, arm=arm, reference=reference)
        units, number = counts.sum(axis=(0, 2)), counts.shape[2]
        value, error = studentised(y, codes, arm=arm, reference=reference, strata=strata, clusters=clusters)
        dof = np.maximum(units - np.where(lone, number + 1.0, 2.0 * number), 1.0)
        few = ~lone & (counts < COUNTED_CELL).any(axis=(0, 2))
        if clusters is None and few.any():
            dof[few] = satterthwaite_draws(y, codes[few], strata, arm=arm, reference=reference)
        return Drawn(value, error, dof)

    def _two_stage(self, y: Floats, codes: Codes) -> tuple[float, float, float]:
        """Value, error and degrees of freedom of one draw of people within drawn clusters; NaN without a variance."""
        names = self.lottery.arms.names
        everybody = tuple(np.bincount(codes, minlength=len(names)).tolist())
        view = View(
            outcome="outcome",
            arms=self.lottery.arms,
            y=y,
            codes=codes,
            rows=np.arange(y.size),
            strata=self.cells.strata,
            clusters=self.cells.clusters,
            shares=self.shares,
            covariates=np.empty((y.size, 0)),
            covariate_names=(),
            account=Account(arms=names, assigned=everybody, linked=everybody, observed=everybody),
            lottery=self.lottery,
            stream=Seed.of("no redraws are made").stream("view"),
            fixed=self.cells.fixed,
            strata_names=self.cells.names,
            cluster_name=self.cells.cluster_name,
            whole=False,
        )
        try:
            found = by_design(view).estimate(view, ((names[self.arm], names[self.reference]),))[0]
        except EstimationError:
            return np.nan, np.nan, np.nan
        return found.value, found.error, np.inf if found.dof is None else found.dof

    def _counts(self, codes: Codes) -> Floats:
        """Units in the two arms by draw and stratum, shape (2, b, strata)."""
        strata = self.cells.strata
        if self.cells.clusters is not None:
            first = np.unique(self.cells.clusters, return_index=True)[1]
            codes, strata = codes[:, first], strata[first]
        order = np.argsort(strata, kind="stable")
        starts = np.searchsorted(strata[order], np.arange(int(strata.max()) + 1))
        sorted_codes = codes[:, order]
        return np.array(
            [np.add.reduceat(sorted_codes == k, starts, axis=1, dtype=np.float64) for k in (self.arm, self.reference)]
        )
