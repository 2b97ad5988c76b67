"""Trials in waves whose shares follow earlier outcomes: what may be compared, and with what variance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kokeilu._checks import count_of
from kokeilu._kernels import moments
from kokeilu.core.protocols import Floats, Ints
from kokeilu.errors import EstimationError

if TYPE_CHECKING:
    from kokeilu.core.view import View
    from kokeilu.estimate.sample import Sample

__all__ = ["FEW_IN_WAVE", "LARGER", "few_in_waves", "larger_variance", "refuse_across_waves", "within_waves"]

LARGER = "larger of Neyman and pooled"

FEW_IN_WAVE = 100
"""With fewer people of an arm in some wave, 5 % tests by Neyman's variance reject in up to 40 % (two people), 10 %
(thirty) and 8 % (fifty) where 5 to 10 % have the outcome, by the larger of it and the pooled one in at most 6.1 %
(simulated: two and three arms, 2 to 8 waves of 20 to 1,000 people, floors of 1/50 to 2/5, with and without a trend,
effects, and unequal spread)."""


def within_waves(sample: Sample, arms: Sequence[int]) -> Sample:
    """Compare people of one wave only, and in strata of it only where each has two units in all arms compared.

    Shares of a wave follow the outcomes before it, so an arm that did badly early is rare later. Pooled over waves, or
    weighted by chances from before the trial, a change of the outcome from wave to wave looks like an effect: with 1/20
    of the people in the rarer arm, 5 % tests reject in 50 to 75 % (simulated). Given the past a wave is drawn with
    shares that are the same in all its strata.

    Raises
    ------
    EstimationError
        Where a wave has fewer than two units in one of the arms: no comparison within it has a variance, and leaving it
        out would select waves by their outcomes.
    """
    if sample.waves is None:
        return sample
    waves = np.unique(sample.waves, return_inverse=True)[1]
    alone: NDArray[np.bool_] = np.any(sample.unit_counts_of(arms) < 2, axis=1)
    if alone.any():
        sample = _joined(sample, waves, alone)
    short = int((sample.unit_counts_of(arms) < 2).any(axis=1).sum())
    if short:
        unit = "people" if sample.clusters is None else "clusters"
        names = " or ".join(repr(sample.arms.names[arm]) for arm in arms)
        raise EstimationError(
            f"{count_of(short, 'wave')} of {int(waves.max()) + 1:,} {'has' if short == 1 else 'have'} fewer than two "
            f"{unit} of {names} with an observed outcome. Shares followed the outcomes of earlier "
            "waves, so waves can neither be pooled nor left out without bias. Use kokeilu.randomisation_test, which "
            "replays the rule; in the next trial state a floor= that gives each arm two or more in every wave."
        )
    return sample


def _joined(sample: Sample, waves: Ints, alone: NDArray[np.bool_]) -> Sample:
    """Make one stratum of each wave in which some stratum is alone."""
    own = np.zeros(sample.n_strata, dtype=np.int64)
    own[sample.strata] = waves
    whole = np.isin(own, own[alone])
    first = np.unique(own, return_index=True)[1]
    place = np.where(whole, first[own], np.arange(sample.n_strata))[sample.strata]
    strata = np.unique(place, return_inverse=True)[1].astype(np.int64)
    joined, count = int(whole.sum()), np.unique(own[whole]).size
    if joined == count:
        return sample
    note = (
        f"{joined:,} strata of {count_of(count, 'wave')} {'is' if count == 1 else 'are'} compared as one stratum for "
        "each wave: some have fewer than two people of an arm."
    )
    return replace(sample, strata=strata, notes=(*sample.notes, note))


def larger_variance(table: moments.Cells, sizes: Floats) -> tuple[moments.Moments, str]:
    """Return the difference within waves with the larger of Neyman's variance and the one pooled over the two arms.

    An arm that did badly gets few people, and their own variance is then too small, or nought. The pooled one is that
    of Zhang, Janson & Murphy (2020, "Inference for batched bandits", NeurIPS 33), right where the arms vary alike.
    """
    own = moments.stratified(table, sizes)._replace(dof=moments.satterthwaite(table, sizes))
    both = moments.pooled_in_strata(table, sizes)
    larger = both if float(both.variance) > float(own.variance) else own
    rule = (
        "the larger of Neyman's variance and the one pooled over both arms within waves (Zhang, Janson & Murphy 2020), "
        "Satterthwaite's degrees of freedom"
    )
    return larger, rule


def refuse_across_waves(view: View, name: str) -> None:
    """Refuse an estimator that weights everybody by their chances, and so compares people of different waves.

    Raises
    ------
    EstimationError
    """
    if view.waves is not None:
        raise EstimationError(
            f"shares followed earlier outcomes, and {name} weights people of all waves by their chances from before "
            "the trial: a change of the outcome from wave to wave would look like an effect. Use DifferenceInMeans(), "
            "or Regression(), which compare within waves."
        )


def few_in_waves(sample: Sample, arms: Sequence[int], kind: str) -> tuple[str, ...]:
    """Note variances that hold in large waves only, where some wave has few people of an arm."""
    if sample.waves is None or kind == LARGER:
        return ()
    counts: Ints = sample.unit_counts_of(arms)
    if counts.min() >= FEW_IN_WAVE:
        return ()
    unit = "people" if sample.clusters is None else "clusters"
    note = (
        f"shares followed earlier outcomes, and some wave or stratum has {counts.min()} {unit} of an arm, where {kind} "
        f"errors need about {FEW_IN_WAVE}: trust kokeilu.randomisation_test, or DifferenceInMeans, more than this "
        "interval."
    )
    return (note,)
