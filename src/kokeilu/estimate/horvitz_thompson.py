"""Means weighted by the exact probabilities of the lottery, with variances from its probabilities of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kokeilu._checks import choice
from kokeilu._kernels.pair_sums import Layout, blank_weights, pair_sum, young
from kokeilu.core.pairs import PairLaw, pair_law_of
from kokeilu.core.protocols import Floats, Ints
from kokeilu.core.registry import register
from kokeilu.core.results import Estimates
from kokeilu.core.view import View
from kokeilu.errors import EstimationError
from kokeilu.estimate.sample import Contrasts, Finding, Sample, contrasts_of, estimate_of, sample_of

__all__ = ["Hajek", "HorvitzThompson"]

SMALLEST = 0.05
"""Least part of a variance that the means fitted to the same people may leave; below it a variance means nothing."""


@register("HorvitzThompson")
@dataclass(frozen=True, slots=True, kw_only=True)
class HorvitzThompson:
    r"""Difference of totals weighted by 1 / share, over the number of people: unbiased under any lottery.

    :math:`\hat\tau = (\sum_{z_i=1} y_i/\pi_{1i} - \sum_{z_i=0} y_i/\pi_{0i}) / n`. Its variance needs the probabilities
    of pairs, which come from the lottery: exactly, in closed form, without an n x n table. Clusters enter as totals;
    the divisor stays people. The normal distribution is the reference. Adding a constant to y changes the estimate
    unless the numbers in the arms are fixed: take :class:`Hajek` or DifferenceInMeans unless unbiasedness is asked for.

    Parameters
    ----------
    errors : {"Young", "constant"}
        "Young": conservative on average whatever the effects, and exact where no two people are kept out of a pair of
        arms, up to the part of the variance that no data can tell. "constant": as if the effect were the same for
        everybody (two arms only).

    Raises
    ------
    EstimationError
        On estimating, where the lottery does not know its probabilities of pairs and has too many assignments to list.

    References
    ----------
    Horvitz & Thompson (1952), JASA 47; Aronow & Middleton (2013), J. Causal Inference 1; Aronow & Samii (2017), Annals
    of Applied Statistics 11.

    Examples
    --------
    >>> import kokeilu as kk
    >>> people = {"id": list(range(8)), "office": [0, 0, 0, 1, 2, 2, 3, 3]}
    >>> design = kk.Clustered(kk.Complete(kk.arms(control=1, coaching=1)), by="office")
    >>> trial = kk.randomise(people, design, id="id", seed="example")
    >>> y = {"id": list(range(8)), "y": [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]}
    >>> kk.estimate_effects(trial, y, "y", estimator=kk.HorvitzThompson())[0].variance
    'Young'
    """

    weighted: ClassVar[bool] = True
    errors: str = "Young"

    def __post_init__(self) -> None:
        choice(self.errors, ("Young", "constant"), name="errors")

    def estimate(self, view: View, contrasts: Contrasts = None) -> Estimates:
        """Estimate the contrasts (arm, reference); each arm against the first where none are named.

        Raises
        ------
        EstimationError
            A lottery without probabilities of pairs, an arm without people, an outcome without variation.
        DesignError
            An unknown arm.
        """
        law = _law_of(view)
        found = []
        for arm, reference in contrasts_of(view, contrasts):
            sample = sample_of(view, arm, reference)
            found.append(estimate_of(view, sample, self._finding(view, sample, law)))
        return Estimates(tuple(found))

    def _finding(self, view: View, sample: Sample, law: PairLaw) -> Finding:
        case = _Case.of(view, sample, law)
        total = float(case.counts.sum())
        parts = [case.counts[mine] / case.shares[mine, arm] / total for arm, mine in case.arms()]
        means = [float(part @ sample.y[mine]) for part, (_, mine) in zip(parts, case.arms(), strict=True)]
        if self.errors == "constant":
            if len(view.arms) > 2:
                raise EstimationError(
                    "errors='constant' fills in everybody's outcome in both arms, which a third arm does not allow. "
                    "Use errors='Young'."
                )
            variance = case.constant(sample.y, means[0] - means[1])
        else:
            variance = case.variance(sample.y)
        how = "Young's inequality where a pair never occurs" if self.errors == "Young" else "one effect for everybody"
        return Finding(
            value=means[0] - means[1],
            variance=variance,
            dof=None,
            estimator="Horvitz-Thompson",
            kind=self.errors,
            reason=(
                f"totals weighted by 1/share, variance from the lottery's probabilities of pairs ({how}), normal "
                "reference, as a total of few units has no degrees of freedom that are known."
            ),
            reference_mean=means[1],
            notes=_lost_notes(view, sample),
        )


def _lost_notes(view: View, sample: Sample) -> tuple[str, ...]:
    """Totals over the share of those assigned fall with everybody who has no outcome, whatever the outcome is."""
    missing = view.account.missing()
    rates = [missing[view.arms.names[a]] / view.account.assigned[a] for a in (sample.arm, sample.reference)]
    if rates[0] == rates[1]:
        return ()
    note = (
        "outcomes are missing, and a total takes more of them missing in one arm for a lower outcome there: the effect "
        f"is off by about the mean times {rates[1] - rates[0]:+.1%}. Hajek() takes means, which are not."
    )
    return (note,)


@register("Hajek")
@dataclass(frozen=True, slots=True, kw_only=True)
class Hajek:
    r"""Difference of means weighted by 1 / share, with the variance from the lottery's probabilities of pairs.

    :math:`\hat\mu_a = \sum w_i y_i / \sum w_i`, w = 1/share of the arm. The variance is that of Horvitz and Thompson
    for the residuals :math:`y_i - \hat\mu_a` (linearisation), made larger by what fitting the means takes off when
    people vary alike (as CR2 does), with Welch's degrees of freedom over units. Where numbers in the arms are fixed in
    one stratum it is Neyman's. A ratio: biased by a term of order 1/n.

    Examples
    --------
    >>> Hajek()
    Hajek()
    """

    weighted: ClassVar[bool] = True

    def estimate(self, view: View, contrasts: Contrasts = None) -> Estimates:
        """Estimate the contrasts (arm, reference); each arm against the first where none are named.

        Raises
        ------
        EstimationError
            A lottery without probabilities of pairs, an arm without people, an outcome without variation.
        DesignError
            An unknown arm.
        """
        law = _law_of(view)
        found = []
        for arm, reference in contrasts_of(view, contrasts):
            sample = sample_of(view, arm, reference)
            found.append(estimate_of(view, sample, _hajek(view, sample, law)))
        return Estimates(tuple(found))


def _law_of(view: View) -> PairLaw:
    law = pair_law_of(view.lottery)
    if law is None:
        raise EstimationError(
            "the lottery cannot tell the probabilities of pairs: its draws depend on covariates or outcomes, or on two "
            "stages, and are too many to list. Use DifferenceInMeans() or a randomisation test."
        )
    return law


def _hajek(view: View, sample: Sample, law: PairLaw) -> Finding:
    case = _Case.of(view, sample, law)
    residuals, means, freedom = np.zeros(sample.y.size), [], []
    pieces = []
    for arm, mine in case.arms():
        part = case.counts[mine] / case.shares[mine, arm]
        part = part / part.sum()
        mean = float(part @ sample.y[mine])
        means.append(mean)
        fitted = case.fitting(arm, mine, part)
        if not fitted >= SMALLEST:
            raise EstimationError(
                f"arm {sample.arms.names[arm]!r} has too few units of {sample.y.size:,} people for a variance from "
                "probabilities of pairs. Use DifferenceInMeans() or a randomisation test."
            )
        residuals[mine] = part * (sample.y[mine] - mean) / np.sqrt(fitted)
        kish = 1.0 / float((np.bincount(case.unit[mine], weights=part) ** 2).sum())
        totals = case.by_unit(residuals * mine)
        pieces.append(float((totals**2).sum()) * fitted * kish / max(kish - 1.0, 1e-9))
        freedom.append(kish - 1.0)
    variance = case.variance_of(residuals)
    denominator = sum(piece**2 / dof for piece, dof in zip(pieces, freedom, strict=True) if dof > 0.0)
    return Finding(
        value=means[0] - means[1],
        variance=variance,
        dof=sum(pieces) ** 2 / denominator if denominator > 0.0 else max(min(freedom), 1.0),
        estimator="Hajek",
        kind="pairs of the lottery",
        reason=(
            "means weighted by 1/share, variance of the residuals from the lottery's probabilities of pairs, "
            f"Welch's degrees of freedom over {'people' if sample.clusters is None else 'clusters'}."
        ),
        reference_mean=means[1],
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """One contrast with the law of its units; people of all arms are in it.

    `shares` are each person's own by the law, `counts` what people count for (1, or their survey weights).
    """

    sample: Sample
    law: PairLaw
    layout: Layout
    unit: Ints
    shares: Floats
    counts: Floats

    @classmethod
    def of(cls, view: View, sample: Sample, law: PairLaw) -> _Case:
        people = law.units[view.rows[sample.rows]]
        units, unit = np.unique(people, return_inverse=True)
        block = law.blocks[units]
        layout = Layout(blocks=block, kinds=law.kinds, n_kinds=len(law.shares), linked=law.across is not None)
        return cls(
            sample=sample,
            law=law,
            layout=layout,
            unit=unit.astype(np.int64),
            shares=law.shares[law.kinds[law.blocks[people]]],
            counts=np.ones(sample.y.size) if sample.survey is None else sample.survey,
        )

    def arms(self) -> tuple[tuple[int, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]], ...]:
        """(code, who has it) of the arm and of the reference."""
        return tuple((code, self.sample.codes == code) for code in (self.sample.arm, self.sample.reference))

    def by_unit(self, values: Floats) -> Floats:
        """Totals of units."""
        return _totals(self.unit, values, self.layout.blocks.size)

    def weights(self, a: int, b: int) -> tuple[Floats, Floats, Floats, Floats]:
        """P(a, b) and products within blocks (C,) and across them (C, C)."""
        left, right = self.law.shares[:, a], self.law.shares[:, b]
        product = np.multiply.outer(left, right)
        joint = product if self.law.across is None else self.law.across[:, :, a, b]
        return self.law.within[:, a, b], left * right, joint, product

    def variance(self, y: Floats) -> float:
        """Young's variance of the difference of totals over n."""
        own = np.zeros(y.size)
        for arm, mine in self.arms():
            own[mine] = (self.counts * y)[mine] / self.shares[mine, arm] / self.counts.sum()
        return self.variance_of(own)

    def variance_of(self, own: Floats) -> float:
        r"""Variance of the sum of the arm's terms less those of the reference; `own` are y / share of the own arm.

        :math:`\sum Y_u^2 + \sum_{u \ne v} s_u s_v Y_u Y_v (1 - \pi_u\pi_v/\pi_{uv})` and Young's terms.
        """
        totals = [self.by_unit(own * mine) for _, mine in self.arms()]
        found = sum(float((total**2).sum()) for total in totals)
        for i, (a, _) in enumerate(self.arms()):
            for j, (b, _) in enumerate(self.arms()):
                within, product, joint, products = self.weights(a, b)
                inner, never = blank_weights(within, product)
                outer, nowhere = blank_weights(joint, products)
                sign = 1.0 if i == j else -1.0
                found += sign * pair_sum(self.layout, totals[i], totals[j], inner, outer)
                if never.any() or (self.layout.linked and nowhere.any()):
                    share = self.law.shares[self.law.kinds[self.layout.blocks]]
                    left, right = share[:, a] * totals[i] ** 2 / 2.0, share[:, b] * totals[j] ** 2 / 2.0
                    found += young(self.layout, left, right, never, nowhere)
        return found

    def constant(self, y: Floats, effect: float) -> float:
        """Variance if the effect were the same for everybody, whose outcomes in both arms are then known."""
        treated = self.sample.codes == self.sample.arm
        filled = [np.where(treated, y, y + effect), np.where(treated, y - effect, y)]
        totals = [self.by_unit(self.counts * values / self.counts.sum()) for values in filled]
        share = self.law.shares[self.law.kinds[self.layout.blocks]]
        chosen = [share[:, a] for a, _ in self.arms()]
        found = float(sum((t**2 * (1.0 / p - 1.0)).sum() for t, p in zip(totals, chosen, strict=True)))
        found += 2.0 * float(totals[0] @ totals[1])
        for i, (a, _) in enumerate(self.arms()):
            for j, (b, _) in enumerate(self.arms()):
                within, product, joint, products = self.weights(a, b)
                inner = np.divide(within, product, out=np.ones_like(within), where=product > 0.0) - 1.0
                outer = np.divide(joint, products, out=np.ones_like(joint), where=products > 0.0) - 1.0
                found += (1.0 if i == j else -1.0) * pair_sum(self.layout, totals[i], totals[j], inner, outer)
        return found

    def fitting(self, arm: int, mine: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], part: Floats) -> float:
        r"""Part of the variance of a weighted mean that its residuals still show, if people vary alike.

        With weights h and pair weights A, E[e'HAHe] / sum h^2 for
        e = (I - 1h') eps: :math:`1 - 2 h'A h^2 / \sum h^2 + h'Ah`.
        """
        size = self.layout.blocks.size
        h, square = _totals(self.unit[mine], part, size), _totals(self.unit[mine], part**2, size)
        within, product, joint, products = self.weights(arm, arm)
        inner, _ = blank_weights(within, product)
        outer, _ = blank_weights(joint, products)
        both = float(h @ h) + pair_sum(self.layout, h, h, inner, outer)
        mixed = float(h @ square) + pair_sum(self.layout, h, square, inner, outer)
        return 1.0 - 2.0 * mixed / float((part**2).sum()) + both


def _totals(groups: Ints, values: Floats, size: int) -> Floats:
    sums: Floats = np.bincount(groups, weights=values, minlength=size).astype(np.float64)
    return sums
