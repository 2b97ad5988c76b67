"""Power of the trial as it will be run: the register, the lottery, the analysis and its own error.

Adding τ to the outcomes of an arm adds τ to the estimate and leaves residuals, hence the standard error,
unchanged. So one set of draws at τ = 0, with estimates d_b, errors s_b and critical values c_b, gives the
power at every τ:

    reject at τ  ⇔  τ > c_b s_b − d_b  or  τ < −c_b s_b − d_b

two empirical distribution functions of thresholds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from kokeilu._checks import between, count_of, positive_int
from kokeilu._kernels.noncentral import critical_t
from kokeilu._kernels.streams import Seed
from kokeilu.core.lottery import all_assignments
from kokeilu.core.protocols import Floats, Lottery
from kokeilu.errors import DesignError, EstimationError
from kokeilu.estimate.effects import Estimator
from kokeilu.estimate.spec import RandomisationTest
from kokeilu.power.analyses import analysis_of
from kokeilu.power.asked import Asked, asked_of
from kokeilu.power.curve import PowerCurve
from kokeilu.power.grid import ArmCurves, PowerGrid
from kokeilu.power.people import People
from kokeilu.power.register import bound, known_of, wanted_columns
from kokeilu.power.retest import Every, Retest
from kokeilu.power.simulation import DOF, ERROR, TRUTH, VALUE, Simulation
from kokeilu.power.trials import Trials
from kokeilu.power.workers import Progress, filled
from kokeilu.power.world import MovedWorld, World

__all__ = ["simulate_power"]

BLOCK_CELLS, BLOCK_DRAWS = 2**21, 256
"""Codes drawn at a time: workers take as much, whatever their number."""


def simulate_power(
    design: object,
    people: object,
    world: MovedWorld | World,
    analysis: Estimator | RandomisationTest | None = None,
    *,
    effects: Iterable[float | Mapping[str, float]],
    draws: int = 1000,
    seed: object,
    alpha: float = 0.05,
    contrast: str | tuple[str, str] | None = None,
    workers: int = 1,
    progress: Progress | bool | None = None,
) -> PowerCurve | PowerGrid | ArmCurves:
    """Simulate the power of a trial on its own register with its own lottery.

    Each trial is drawn by the lottery, shows the outcomes of its world, and is analysed as the real one will be. The
    test is two-sided.

    Parameters
    ----------
    design : Mechanism, Assignment or Lottery
        The lottery that will be used. A lottery alone takes outcomes as an array, and ``people=None``.
    people : table or None
        The register, with the covariates of the analysis.
    world : Shift, Proportional, Binary, Durations, TakeUp, Resampled, or a World of one's own
        Outcomes without the effect, and what the effect does to them. A :class:`World` that has an effect of its own
        keeps it; `effects` add to it.
    analysis : estimator or RandomisationTest, optional
        ``Regression(covariates=("age",))`` or the like; without one `estimate_effects` without covariates, by the
        design. A randomisation test goes through all assignments, with their probabilities, where the lottery has no
        more than `draws` of them and the world is a Shift or Proportional: its power is then exact.
    effects : iterable of float, or of mappings of arm to float
        Effects on everybody in the arm of the contrast, in the units of the world: of the outcome, a part, a difference
        of shares, a hazard ratio. Mappings give each arm its own and ask for every arm that they name.
    draws : int, default 1000
        Simulated trials; 1,600 give a power of .8 with a standard error of .01, 6,400 one of .005.
    seed : str, int or bytes
        Draw b depends on the seed and b alone, never on `draws`.
    alpha : float, default 0.05
    contrast : str or (arm, reference), optional
        By default the first other arm against the reference arm.
    workers : int, default 1
        Processes; the results are the same bits for any number.
    progress : callable of (done, total), or True, optional
        Told after each block of draws; True writes a line on the terminal.

    Returns
    -------
    PowerCurve, PowerGrid or ArmCurves
        Power at each effect with its Monte Carlo error; the size of the test, the detectable effect with an interval,
        bias, coverage, type S and type M errors. A PowerCurve, which knows every effect, where effects add to
        everybody's outcome and the analysis is one of means or a regression; otherwise a PowerGrid, which knows those
        asked for, simulated with the same draws. ArmCurves for mappings.

    Raises
    ------
    EstimationError
        Where a draw has no estimate or no error (an arm is empty in a stratum, or nothing varies): how many
        draws. A failed draw is never counted as "not rejected".
    DesignError, DataError, ColumnError, SeedError

    Notes
    -----
    Without `analysis` it differs from `estimate_effects` where clusters in strata have shares that differ (means by
    stratum, CR2, clusters less 2 per stratum), where a stratum has a single unit of an arm (the error of
    :func:`kokeilu._kernels.batched.studentised`), and where a stratum lacks an arm (the draw fails). Whether an outcome
    is too skewed for a small arm is judged before effects are added.

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
    positive_int(workers, name="the number of workers")
    between(alpha, 0.0, 1.0, name="alpha")
    if not (progress is None or isinstance(progress, bool) or callable(progress)):
        raise DesignError("progress must be True, False or a function of (done, total).")
    stream = Seed.of(seed).stream("power")
    covariates, groups = wanted_columns(analysis)
    lottery, base, rows = bound(design, people, world, named=bool(covariates or groups))
    asked = asked_of(effects, lottery.arms, contrast, world)
    known = known_of(people, rows, covariates, groups, lottery.n_units)
    crowd = People.of(lottery, asked.pairs, stream, known)
    simulation = _simulation(crowd, world, base, analysis, asked, draws, stream)
    every = _every(simulation)
    total = draws if every is None else len(every[0])
    step = max(1, min(BLOCK_DRAWS, BLOCK_CELLS // lottery.n_units))
    shape = (len(asked.pairs), simulation.columns, TRUTH + 1, total)
    found = filled(simulation, shape, step=step, workers=workers, progress=progress)
    _refuse_failed(simulation, found)
    chances = None if every is None else every[1]
    curves = [_curve(lottery, simulation, asked, place, one, alpha, chances) for place, one in enumerate(found)]
    return ArmCurves(curves=tuple(curves), alpha=alpha) if asked.several else curves[0]


def _every(simulation: Simulation) -> Every | None:
    return simulation.analysis.every if isinstance(simulation.analysis, Retest) else None


def _simulation(
    crowd: People,
    world: MovedWorld | World,
    base: Floats | None,
    analysis: Estimator | RandomisationTest | None,
    asked: Asked,
    draws: int,
    stream: object,
) -> Simulation:
    """Put together what a trial needs; one set of draws where it serves every effect."""
    additive = getattr(world, "additive", True)
    if isinstance(analysis, RandomisationTest):
        fixed = base is not None and not getattr(world, "random", True)
        way = Retest(analysis, _listed(crowd.lottery, draws) if fixed else None)
        additive = additive and (len(crowd.lottery.arms) == 2 or not asked.several)
        shifts = asked.shifts if additive else None
    else:
        way, shifts = analysis_of(analysis, crowd), None  # type: ignore[assignment]
        additive = additive and way.additive
    return Simulation(
        people=crowd,
        world=world,
        base=base,
        analysis=way,
        pairs=asked.pairs,
        effects=asked.vectors[:1] if additive else asked.distinct()[0],
        shifts=shifts,
        stream=stream,  # type: ignore[arg-type]
    )


def _listed(lottery: Lottery, draws: int) -> Every | None:
    """All assignments with their probabilities, where there are no more than the draws asked for."""
    chunks = all_assignments(lottery, limit=draws)
    if chunks is None:
        return None
    codes, chances = zip(*chunks, strict=True)
    return np.concatenate(codes), np.concatenate(chances)


def _refuse_failed(simulation: Simulation, found: Floats) -> None:
    tested = isinstance(simulation.analysis, Retest)
    errors = found[:, :, ERROR]
    bad = ~np.isfinite(found[:, :, VALUE]) | (np.isnan(errors) if tested else ~(errors > 0.0) | ~np.isfinite(errors))
    if not bad.any():
        return
    failed = np.asarray(bad.any(axis=1)).reshape(len(found), -1)
    place = int(failed.sum(axis=1).argmax())
    names = simulation.people.lottery.arms.names
    why = simulation.why(int(failed[place].argmax()), place)
    said = f" In the first of them: {why}" if why else ""
    raise EstimationError(
        f"{count_of(int(failed[place].sum()), 'draw')} of {found.shape[-1]:,} gave no estimate or no standard error of "
        f"{names[simulation.pairs[place][0]]!r} (an arm is empty or alone in a stratum, or the outcome does not "
        f"vary). Merge small strata, or check the outcome.{said}"
    )


def _curve(
    lottery: Lottery,
    simulation: Simulation,
    asked: Asked,
    place: int,
    found: Floats,
    alpha: float,
    chances: Floats | None,
) -> PowerCurve | PowerGrid:
    """The finding of one contrast from its trials (E, 4, draws)."""
    names = {"arm": lottery.arms.names[asked.pairs[place][0]], "reference": lottery.arms.names[asked.pairs[place][1]]}
    tested = isinstance(simulation.analysis, Retest)
    dof = np.maximum(np.where(np.isfinite(found[:, DOF]), found[:, DOF], 1e300), 1e-3)
    dof = np.where(np.isnan(found[:, DOF]), 1.0, dof)
    if not tested and len(found) == 1 and asked.additive(simulation.world):
        columns = (found[0, VALUE], found[0, ERROR], critical_t(dof[0], alpha), found[0, TRUTH])
        return PowerCurve.of(**names, effects=asked.own[place], alpha=alpha, columns=columns, dof=dof[0])
    places = range(len(found)) if simulation.shifts is not None else asked.distinct()[1]
    trials = [
        Trials(
            effect=effect,
            alpha=alpha,
            estimates=one[VALUE],
            truth=one[TRUTH],
            errors=None if tested else one[ERROR],
            critical=None if tested else critical_t(dof[e], alpha),
            dof=None if tested else dof[e],
            p_values=one[ERROR] if tested else None,
            chances=chances,
        )
        for effect, e, one in (
            (effect, e, found[e]) for effect, e in zip((asked.none, *asked.own[place]), places, strict=True)
        )
    ]
    effects = {"effects": asked.own[place], "null": trials[0], "found": tuple(trials[1:])}
    return PowerGrid(**names, alpha=alpha, none=asked.none, **effects)  # type: ignore[arg-type]
