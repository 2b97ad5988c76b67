"""Step-down adjusted p-values from one set of redraws of many statistics: max-T and min-P.

Source: Westfall & Young (1993), algorithms 2.8 and 4.1; Ge, Dudoit & Speed (2003); Romano & Wolf (2005).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["StepDown", "max_t", "min_p", "over_parts"]

Floats = NDArray[np.float64]
Batches = Iterable[tuple[Floats, Floats | None]]

TIE = 1e-8
"""Statistics closer than this part of the observed one (or 1e-10 where it is nought) are tied."""


class StepDown(NamedTuple):
    """Own and adjusted p-values (m,), the number of draws, and whether these are all assignments."""

    own: Floats
    adjusted: Floats
    draws: int
    exact: bool


def _slack(observed: Floats) -> Floats:
    finite = np.where(np.isfinite(observed), observed, 0.0)
    return TIE * np.abs(finite) + 1e-10


def max_t(observed: Floats, batches: Batches) -> StepDown:
    r"""Step-down max-T: :math:`\tilde p_{(k)}` is the probability of max over j >= k of :math:`T_{(j)}` >= t_(k).

    Parameters
    ----------
    observed : (m,) array
        Statistics, larger is more extreme; -inf where undefined, which gives p = 1.
    batches : iterable of ((b, m) array, (b,) array or None)
        The same statistics in redraws, -inf where undefined; with probabilities where these are all assignments,
        otherwise None, and p is (1 + hits) / (1 + draws).

    Notes
    -----
    Memory: one batch, whatever the number of draws. Ties count.
    """
    order = np.argsort(-observed, kind="stable")
    seen = (observed - _slack(observed))[order]
    own, joint, draws, exact = np.zeros(observed.size), np.zeros(observed.size), 0, False
    for drawn, chances in batches:
        ordered = drawn[:, order]
        largest = np.maximum.accumulate(ordered[:, ::-1], axis=1)[:, ::-1]
        weight = np.ones(len(drawn)) if chances is None else chances
        own += weight @ (ordered >= seen)
        joint += weight @ (largest >= seen)
        draws, exact = draws + len(drawn), chances is not None
    adjusted, raw = np.empty_like(joint), np.empty_like(own)
    adjusted[order] = np.maximum.accumulate(_share(joint, draws, exact))
    raw[order] = _share(own, draws, exact)
    return StepDown(raw, adjusted, draws, exact)


def min_p(observed: Floats, batches: Batches) -> StepDown:
    """Step-down min-P: as max-T, with each redraw's own p-value in the place of its statistic.

    The p-value of a redraw is its rank among all assignments, or among the redraws and the observed one, ties counted.
    It puts statistics of different laws (rare and common outcomes, small and large subgroups) on one footing.

    Parameters
    ----------
    observed, batches
        As in :func:`max_t`.

    Notes
    -----
    Memory: draws x statistics, a few times over.
    """
    parts, weights = zip(*batches, strict=True)
    table = np.concatenate(parts)
    exact = weights[0] is not None
    if exact:
        chances = np.concatenate(weights)
    else:
        # The observed draw is one of them: then p = (1 + hits) / (1 + draws).
        table = np.concatenate([observed[None, :], table])
        chances = np.full(len(table), 1.0 / len(table))
    table = np.column_stack([_tail(column, chances) for column in table.T])
    own = table[0]
    if exact:
        columns = np.concatenate(parts).T
        own = np.array([_at(value, column, chances) for value, column in zip(observed, columns, strict=True)])
    order = np.argsort(own, kind="stable")
    least = np.minimum.accumulate(table[:, order][:, ::-1], axis=1)[:, ::-1]
    hits = chances @ (least <= own[order] * (1.0 + 1e-9))
    adjusted = np.empty_like(own)
    adjusted[order] = np.minimum(np.maximum.accumulate(hits), 1.0)
    return StepDown(own, adjusted, len(table) - (not exact), exact)


def over_parts(adjusted: Sequence[Floats]) -> list[Floats]:
    r"""Adjust over several parts of a family, each already adjusted within itself, whatever their dependence.

    The closure of Bonferroni's test over the parts: an intersection of hypotheses from k parts is rejected at k times
    the smallest of its parts' p-values. A part is least rejected by its largest adjusted p-value
    :math:`P_c`, so that hypothesis i gets :math:`\max_k (1 + k) \min(\tilde p_i, P_{(k)})`, with :math:`P_{(k)}` the
    k-th largest of the other parts' and :math:`P_{(0)} = \infty`. With one hypothesis in each part this is Holm's.

    Source: Marcus, Peritz & Gabriel (1976), Biometrika 63.

    Parameters
    ----------
    adjusted : sequence of arrays
        Step-down p-values of each part.
    """
    largest = np.array([part.max() for part in adjusted])
    found = []
    for own, part in enumerate(adjusted):
        others = np.sort(np.delete(largest, own))[::-1]
        ceilings = np.append(np.inf, others)
        found.append(
            np.minimum(((1.0 + np.arange(ceilings.size)) * np.minimum(part[:, None], ceilings)).max(axis=1), 1.0)
        )
    return found


def _share(hits: Floats, draws: int, exact: bool) -> Floats:
    return np.minimum(hits, 1.0) if exact else (1.0 + hits) / (1.0 + draws)


def _tail(values: Floats, chances: Floats) -> Floats:
    """Probability of a value at least as large as each, ties counted; 1 where undefined."""
    order = np.argsort(-values, kind="stable")
    ordered = values[order]
    with np.errstate(invalid="ignore"):
        apart = ~(ordered[:-1] - ordered[1:] <= _slack(ordered[:-1]))
    # -inf less -inf is no number: such neighbours are one group.
    apart &= np.isfinite(ordered[:-1])
    last = np.append(np.flatnonzero(apart), values.size - 1)
    group = np.concatenate([[0], np.cumsum(apart)])
    tail = np.empty_like(values)
    tail[order] = np.minimum(np.cumsum(chances[order])[last][group], 1.0)
    return tail


def _at(value: float, column: Floats, chances: Floats) -> float:
    return min(1.0, float(chances[column >= value - float(_slack(np.array(value)))].sum()))
