"""Exits by a piecewise constant hazard: survival, events by the end of a study, and restricted means.

Pieces are lengths d_1, d_2, ... with hazards h_1, h_2, ..., the last one open: h_j holds on [a_j, a_j + d_j), a_j the
sum of the lengths before. Dropout is an independent exponential of rate eta.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["cumulative", "event_share", "restricted_mean", "restricted_variance", "survival"]

Floats = npt.NDArray[np.float64]

NODES = 24


@lru_cache(maxsize=4)
def _nodes(count: int) -> tuple[Floats, Floats]:
    """Points and weights of Gauss and Legendre: an eigenproblem that is solved once."""
    x, w = np.polynomial.legendre.leggauss(count)
    x.flags.writeable = w.flags.writeable = False
    return x, w


def _starts(lengths: Sequence[float]) -> Floats:
    return np.concatenate([[0.0], np.cumsum(np.asarray(lengths, dtype=np.float64))])


def cumulative(t: npt.ArrayLike, hazards: Sequence[float], lengths: Sequence[float] = ()) -> Floats:
    """Return the cumulative hazard H(t), shape of `t`; one hazard more than lengths."""
    times = np.asarray(t, dtype=np.float64)
    starts = _starts(lengths)
    ends = np.append(starts[1:], np.inf)
    spent = np.clip(times[..., None] - starts, 0.0, ends - starts)
    total: Floats = spent @ np.asarray(hazards, dtype=np.float64)
    return total


def survival(t: npt.ArrayLike, hazards: Sequence[float], lengths: Sequence[float] = ()) -> Floats:
    """Return S(t) = exp(-H(t))."""
    return np.asarray(np.exp(-cumulative(t, hazards, lengths)), dtype=np.float64)


def _event_by(t: Floats, hazards: Sequence[float], lengths: Sequence[float], dropout: float) -> Floats:
    """Sum_j exp(-H(a_j) - eta a_j) h_j / (h_j + eta) (1 - exp(-(h_j + eta) d_j)), d_j the time in piece j by t."""
    starts = _starts(lengths)
    ends = np.append(starts[1:], np.inf)
    h = np.asarray(hazards, dtype=np.float64)
    rate = h + dropout
    spent = np.clip(t[..., None] - starts, 0.0, ends - starts)
    entered = np.exp(-cumulative(starts, hazards, lengths) - dropout * starts)
    share = np.divide(h, rate, out=np.zeros_like(h), where=rate > 0.0)
    total: Floats = (entered * share * -np.expm1(-rate * spent)).sum(axis=-1)
    return total


def event_share(
    hazards: Sequence[float],
    lengths: Sequence[float] = (),
    *,
    study: float,
    accrual: float = 0.0,
    dropout: float = 0.0,
    entry: Sequence[tuple[float, float]] | None = None,
) -> float:
    """Return the probability that a person's exit is seen by the end of the study.

    Parameters
    ----------
    hazards, lengths : sequences of float
    study : float
        From the first entry to the analysis.
    accrual : float
        Entry is uniform over this long from the start; 0: everybody enters at once.
    dropout : float
        Hazard of being lost.
    entry : sequence of (time, share), optional
        Entry at given times in place of `accrual`.

    Notes
    -----
    The integral over entry is exact for polynomials of degree 47 on each stretch between the kinks of the hazard.
    """
    if entry is not None:
        times = np.array([study - at for at, _ in entry])
        return float(_event_by(times, hazards, lengths, dropout) @ np.array([share for _, share in entry]))
    if accrual <= 0.0:
        return float(_event_by(np.array([study]), hazards, lengths, dropout)[0])
    low = study - accrual
    kinks = [x for x in _starts(lengths) if low < x < study]
    edges = np.array([low, *kinks, study])
    x, w = _nodes(NODES)
    half = 0.5 * np.diff(edges)
    points = (edges[:-1] + half)[:, None] + half[:, None] * x
    return float((_event_by(points, hazards, lengths, dropout) * w * half[:, None]).sum() / accrual)


def _pieces(horizon: float, lengths: Sequence[float]) -> list[tuple[float, float, int]]:
    starts = _starts(lengths)
    ends = [*starts[1:], math.inf]
    return [(a, min(b, horizon), j) for j, (a, b) in enumerate(zip(starts, ends, strict=True)) if a < horizon]


def restricted_mean(horizon: float, hazards: Sequence[float], lengths: Sequence[float] = ()) -> float:
    """Return E min(T, horizon): the area under S."""
    area = 0.0
    for a, b, j in _pieces(horizon, lengths):
        h, at = hazards[j], float(survival(a, hazards, lengths))
        area += at * (b - a if h == 0.0 else -math.expm1(-h * (b - a)) / h)
    return area


def restricted_variance(horizon: float, hazards: Sequence[float], lengths: Sequence[float] = ()) -> float:
    """Return Var min(T, horizon) = 2 int t S - (int S)^2: complete follow-up to the horizon, the rule in registers."""
    moment = 0.0
    x, w = _nodes(2 * NODES)
    for a, b, _ in _pieces(horizon, lengths):
        half = 0.5 * (b - a)
        t = a + half * (x + 1.0)
        moment += half * float((w * t * survival(t, hazards, lengths)).sum())
    return 2.0 * moment - restricted_mean(horizon, hazards, lengths) ** 2
