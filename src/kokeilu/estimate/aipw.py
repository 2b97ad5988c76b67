"""Adjustment by any learner at the known probabilities: augmented inverse-probability weighting, cross-fitted."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np

from kokeilu._checks import name_list, positive_int
from kokeilu._kernels import crossfit
from kokeilu._kernels.streams import Stream
from kokeilu.core.protocols import Floats, Ints
from kokeilu.core.registry import register
from kokeilu.core.results import Estimate, Estimates
from kokeilu.core.view import View
from kokeilu.errors import EstimationError
from kokeilu.estimate.columns import chosen_columns, matrix_of
from kokeilu.estimate.learners import LeastSquares, check_learner, learn
from kokeilu.estimate.sample import Contrasts, Finding, Sample, contrasts_of, estimate_of, sample_of
from kokeilu.estimate.waves import refuse_across_waves

__all__ = ["AIPW"]

FEWEST = 4
"""Units of each arm that a stratum needs to be dealt to folds by arm: two folds with two of each."""


class _Units(NamedTuple):
    """What was drawn: the unit of each person (m,), and by unit its stratum, its arm and a random number."""

    of: Ints
    strata: Ints
    arms: Ints
    uniform: Floats


class _Split(NamedTuple):
    """Fold of each unit (U,), the number of folds, each person's chances (m, arms), and words about it."""

    fold: Ints
    folds: int
    shares: Floats
    says: str


@register("AIPW")
@dataclass(frozen=True, slots=True)
class AIPW:
    """Effects adjusted by any learner, cross-fitted, at the probabilities of the design.

    Units (people, or clusters drawn whole) are dealt to folds; each person's outcomes under the two arms are predicted
    by learners that were fitted to the other folds, an arm at a time; the effect is the mean of the scores
    ``mu_1 - mu_0 + 1_1 (y - mu_1) / pi_1 - 1_0 (y - mu_0) / pi_0``. The chances come from the lottery, not from a
    model, so the learner may be bad without harm to the estimate: it only buys precision.

    How folds are dealt follows the design, so that predictions do not use the unit:

    * strata (or no strata) with at least four units of each arm: within stratum and arm; the chance of an arm is then
      its part of the stratum's units in the fold. Unbiased over draws and folds.
    * many smaller strata, such as pairs: whole strata, known chances. Unbiased where strata are drawn independently.
    * each unit drawn alone: whatever the arm, known chances. Unbiased.
    * chances that differ between people of a stratum: whatever the arm, known chances. Unbiased up to the dependence
      between the units of a stratum; likewise the rest (few small strata), by arm.

    The variance is that of sums of scores over units within stratum and arm, strata with one unit in an arm pooled
    (Pashley & Miratrix 2021); over all units where each was drawn alone or chances differ within strata. Neyman's
    argument makes it conservative. t with Satterthwaite's degrees of freedom.

    Parameters
    ----------
    learner : object with fit(x, y) and predict(x)
        As in scikit-learn, which is not needed. It is copied before each fit, and seeded from the draw where it has a
        `random_state` of None. With `predict_proba` the outcome must be 0 or 1. To stand in a plan its class must be
        registered (:func:`kokeilu.register`); LeastSquares is.
    covariates : sequence of str
        Columns of the outcomes table, measured before the draw; the learner gets them with mean 0 and deviation 1.
    folds : int
        At least 2; fewer are taken where strata are too small, and the output says how many.

    References
    ----------
    Robins, Rotnitzky & Zhao (1994), JASA 89; Aronow & Middleton (2013), Journal of Causal Inference 1; Wager, Du,
    Taylor & Tibshirani (2016), PNAS 113; Chernozhukov et al. (2018), Econometrics Journal 21.

    Examples
    --------
    >>> import kokeilu as kk
    >>> people = kk.datasets.job_seekers(400, seed="example")
    >>> drawn = kk.randomise(people, kk.Complete(kk.arms(control=1, coaching=1)), id="person_id", seed="published")
    >>> table = people.assign(weeks=people["age"] * 0.5 + people["spell_days"] % 7 + drawn.codes)
    >>> found = kk.estimate_effects(drawn, table, "weeks", estimator=kk.AIPW(kk.LeastSquares(), covariates=("age",)))
    >>> found[0].estimator
    'AIPW, LeastSquares'
    """

    learner: Any = field(default_factory=LeastSquares)
    _: KW_ONLY
    covariates: tuple[str, ...] = ()
    folds: int = 5
    weighted: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_learner(self.learner)
        object.__setattr__(self, "covariates", name_list(self.covariates, name="covariates"))
        object.__setattr__(self, "folds", positive_int(self.folds, name="folds", least=2))

    def estimate(self, view: View, contrasts: Contrasts = None) -> Estimates:
        """Estimate the contrasts (arm, reference); each arm against the first where none are named.

        Parameters
        ----------
        view : View
            Aligned with at least the covariates of this estimator.
        contrasts : sequence of pairs of arm names, optional

        Returns
        -------
        Estimates

        Raises
        ------
        EstimationError
            A learner that fails or predicts what is not finite; an arm without people, one person or cluster in an
            arm, an outcome without variation.
        ColumnError
            A covariate that the view does not hold.
        DesignError
            An unknown arm.
        """
        view = _in_order(view)
        chosen_columns(view, self.covariates)
        fitted: dict[bytes, _Fits] = {}
        found: list[Estimate] = []
        refuse_across_waves(view, "AIPW")
        for arm, reference in contrasts_of(view, contrasts):
            sample = sample_of(view, arm, reference)
            key = np.packbits(sample.rows).tobytes() + sample.strata.tobytes()
            if key not in fitted:
                fitted[key] = _Fits(self, view, sample)
            found.append(estimate_of(view, sample, fitted[key].finding(sample)))
        return Estimates(tuple(found))


class _Fits:
    """Folds of one set of people, and the predictions made so far."""

    __slots__ = ("_fixed", "_learner", "_predicted", "_split", "_stream", "_units", "_x", "notes")

    def __init__(self, spec: AIPW, view: View, sample: Sample) -> None:
        self._learner, self._fixed = spec.learner, view.fixed
        self._stream = view.stream.child("folds")
        self._x = matrix_of(view, spec.covariates, sample.rows)
        self._units = _units(view, sample, self._stream)
        self._split = _dealt(sample, self._units, spec.folds, fixed=view.fixed)
        self._predicted: dict[int, Floats] = {}
        self.notes: list[str] = []

    def finding(self, sample: Sample) -> Finding:
        pair = [sample.arm, sample.reference]
        predicted = np.stack([self._outcomes(sample, code) for code in pair], axis=1)
        place = np.where(sample.codes == pair[0], 0, np.where(sample.codes == pair[1], 1, -1)).astype(np.int64)
        psi = crossfit.scores(sample.y, place, self._split.shares[:, pair], predicted)
        weight = np.ones(psi.size) if sample.survey is None else sample.survey
        value = float(weight @ psi / weight.sum())
        cells, strata, rule = self._cells(sample)
        mass = np.bincount(self._units.of, weights=weight).astype(np.float64)
        totals = np.bincount(self._units.of, weights=weight * (psi - value)).astype(np.float64)
        found = crossfit.spread(totals, mass, cells, strata)
        mine = (place == 1) / np.maximum(self._split.shares[:, pair[1]], 1e-300)
        mean = float(weight @ (predicted[:, 1] + mine * (sample.y - predicted[:, 1])) / weight.sum())
        return Finding(
            value=value,
            variance=found.variance,
            dof=found.dof,
            estimator=f"AIPW, {type(self._learner).__name__}",
            kind="scores" if sample.clusters is None else "scores by cluster",
            reason=self._reason(sample, found, rule),
            reference_mean=mean,
            notes=tuple(self.notes),
        )

    def _outcomes(self, sample: Sample, code: int) -> Floats:
        """Predicted outcomes of everybody under an arm, each by the learner of the other folds."""
        if code in self._predicted:
            return self._predicted[code]
        fold = self._split.fold[self._units.of]
        predicted = np.empty(sample.y.size)
        for own in range(self._split.folds):
            held, train = fold == own, (fold != own) & (sample.codes == code)
            if not train.any():
                # Any number keeps the effect unbiased, as long as it is made without the fold.
                predicted[held] = sample.y[fold != own].mean()
                self.notes.append(f"arm {sample.arms.names[code]!r} has nobody outside a fold: predicted by the mean.")
                continue
            if self._x.shape[1] == 0:
                predicted[held] = sample.y[train].mean()
                continue
            stream = self._stream.child(f"arm {code} fold {own}")
            predicted[held] = learn(self._learner, self._x[train], sample.y[train], self._x[held], stream)
        return self._predicted.setdefault(code, predicted)

    def _cells(self, sample: Sample) -> tuple[Ints, Ints, str]:
        """Cells of units for the variance, their strata, and the rule in words."""
        units = self._units
        alone = np.zeros(units.strata.size, dtype=np.int64)
        if not self._fixed:
            return alone, alone, "variance of the scores of units that were drawn alone"
        if sample.shares_differ(within_strata=True):
            return alone, alone, "chances differ within strata: variance of the scores over all units"
        if not sample.whole:
            return units.strata, units.strata, "variance of sums over clusters within strata"
        width = len(sample.arms)
        cells = np.unique(units.strata * width + units.arms, return_inverse=True)[1].astype(np.int64)
        return cells, units.strata, "variance within stratum and arm"

    def _reason(self, sample: Sample, found: crossfit.Spread, rule: str) -> str:
        parts = [f"known chances, outcomes predicted in {self._split.folds} folds of {self._split.says}", rule]
        if sample.clusters is not None:
            parts.append(f"scores are summed over {self._units.strata.size:,} clusters")
        if found.pooled > 0:
            parts.append(f"{found.pooled:,} strata with one unit in an arm are units themselves")
        if found.pooled < 0:
            parts.append("one stratum has a single unit in an arm, so all units are one group")
        if sample.survey is not None:
            parts.append("people count by their survey weights")
        return "; ".join([*parts, "Satterthwaite's degrees of freedom"]) + "."


def _in_order(view: View) -> View:
    """The view in the order of the ids: learners may heed the order of rows, and results must not."""
    if (np.diff(view.rows) > 0).all():
        return view
    order = np.argsort(view.rows, kind="stable")
    return replace(
        view,
        y=view.y[order],
        codes=view.codes[order],
        rows=view.rows[order],
        strata=view.strata[order],
        clusters=None if view.clusters is None else view.clusters[order],
        shares=view.shares[order],
        covariates=view.covariates[order],
        weights=None if view.weights is None else view.weights[order],
    )


def _units(view: View, sample: Sample, stream: Stream) -> _Units:
    spots = view.rows[sample.rows]
    uniform = stream.doubles(1, int(spots.max()) + 1)[0][spots]
    if sample.clusters is None:
        of = np.arange(sample.y.size)
        return _Units(of, sample.strata, sample.codes.astype(np.int64), uniform)
    _, first, of = np.unique(sample.clusters, return_index=True, return_inverse=True)
    return _Units(of.astype(np.int64), sample.strata[first], sample.codes[first].astype(np.int64), uniform[first])


def _dealt(sample: Sample, units: _Units, folds: int, *, fixed: bool) -> _Split:
    """Deal units to folds as the design allows."""
    total = units.strata.size
    alone = np.zeros(total, dtype=np.int64)
    noun = "people" if sample.clusters is None else "clusters"
    if not fixed or not sample.whole or sample.shares_differ(within_strata=True):
        count = min(folds, total)
        return _Split(crossfit.folds_of(units.uniform, alone, count), count, sample.shares, noun)
    width = len(sample.arms)
    cells = np.unique(units.strata * width + units.arms, return_inverse=True)[1].astype(np.int64)
    least = int(np.bincount(cells).min())
    if least >= FEWEST:
        count = min(folds, least // 2)
        fold = crossfit.folds_of(units.uniform, cells, count)
        shares = crossfit.realised_shares(units.arms, units.strata * count + fold, width)[units.of]
        return _Split(fold, count, shares, f"{noun}, dealt within {'stratum and ' if sample.n_strata > 1 else ''}arm")
    if sample.n_strata >= FEWEST:
        count = min(folds, sample.n_strata // 2)
        first = np.unique(units.strata, return_index=True)[1]
        fold = crossfit.folds_of(units.uniform[first], np.zeros(first.size, dtype=np.int64), count)[units.strata]
        return _Split(fold, count, sample.shares, "whole strata")
    count = min(folds, int(np.bincount(units.arms)[np.unique(units.arms)].min()))
    if count < 2:
        raise EstimationError(
            f"an arm has one of the {noun} that were drawn, so nothing can be predicted for it without itself. "
            "Use DifferenceInMeans()."
        )
    fold = crossfit.folds_of(units.uniform, units.arms, count)
    return _Split(fold, count, sample.shares, f"{noun}, dealt within arm (strata are too few and small)")
