"""Trials made, drawn and analysed with numpy alone: what the formulas of power are held against.

Nothing here knows a formula of power or imports kokeilu. Each function returns, for every draw, whether the test
rejected, or the estimate where the variance is what a formula states. `scipy` gives central quantiles only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Hits = NDArray[np.bool_]


def two_sided(t: Floats, dof: float | Floats = math.inf, alpha: float = 0.05) -> Hits:
    return np.asarray(np.abs(t) > stats.t.isf(alpha / 2, dof))


def groups(rng: Generator, draws: int, sizes: Sequence[int], means: Sequence[float], sds: Sequence[float]) -> list:
    """Normal outcomes of each arm, a (draws, n) array for each."""
    return [rng.normal(m, s, (draws, n)) for n, m, s in zip(sizes, means, sds, strict=True)]


def pooled(arms: Sequence[Floats]) -> tuple[list[Floats], Floats, int]:
    """Means, the variance pooled over all arms, and its degrees of freedom."""
    dof = sum(y.shape[1] - 1 for y in arms)
    squares = sum(((y - y.mean(1, keepdims=True)) ** 2).sum(1) for y in arms)
    return [y.mean(1) for y in arms], squares / dof, dof


def t_pooled(one: Floats, nought: Floats) -> tuple[Floats, Floats, int]:
    """Difference, standard error and degrees of freedom of the two-sample t test."""
    (m1, m0), variance, dof = pooled([one, nought])
    return m1 - m0, np.sqrt(variance * (1 / one.shape[1] + 1 / nought.shape[1])), dof


def individuals(rng: Generator, draws: int, *, n1: int, n0: int, effect: float, sd1: float = 1.0) -> Hits:
    one, nought = groups(rng, draws, (n1, n0), (effect, 0.0), (sd1, 1.0))
    if sd1 == 1.0:
        d, se, dof = t_pooled(one, nought)
        return two_sided(d / se, dof)
    v1, v0 = one.var(1, ddof=1) / n1, nought.var(1, ddof=1) / n0
    dof = (v1 + v0) ** 2 / (v1**2 / (n1 - 1) + v0**2 / (n0 - 1))
    return two_sided((one.mean(1) - nought.mean(1)) / np.sqrt(v1 + v0), dof)


def covariate(rng: Generator, draws: int, *, n1: int, n0: int, effect: float, r2: float) -> Hits:
    """Least squares on the arm and one covariate that explains r2."""
    n = n1 + n0
    z = np.repeat([1.0, 0.0], [n1, n0])
    x = rng.standard_normal((draws, n))
    y = effect * z + math.sqrt(r2) * x + rng.normal(0, math.sqrt(1 - r2), (draws, n))
    return _ancova(y, x, z)


def _ancova(y: Floats, x: Floats, z: Floats) -> Hits:
    """t test of z in least squares of y on 1, x and z."""
    one = z == 1

    def within(a: Floats) -> Floats:
        out = a.copy()
        out[:, one] -= a[:, one].mean(1, keepdims=True)
        out[:, ~one] -= a[:, ~one].mean(1, keepdims=True)
        return out

    wy, wx = within(y), within(x)
    sxx = (wx**2).sum(1)
    b = (wx * wy).sum(1) / sxx
    gap = x[:, one].mean(1) - x[:, ~one].mean(1)
    d = y[:, one].mean(1) - y[:, ~one].mean(1) - b * gap
    dof = y.shape[1] - 3
    s2 = ((wy - b[:, None] * wx) ** 2).sum(1) / dof
    return two_sided(d / np.sqrt(s2 * (1 / one.sum() + 1 / (~one).sum() + gap**2 / sxx)), dof)


def blocked(
    rng: Generator, draws: int, *, blocks: int, treated: int, control: int, effect: float, icc: float, spread: float
) -> dict[str, Hits]:
    """Blocks with means of variance icc and effects of variance `spread`; three analyses of the same data."""
    base = rng.normal(0, math.sqrt(icc), (draws, blocks, 1))
    own = rng.normal(effect, math.sqrt(spread), (draws, blocks, 1))
    sd = math.sqrt(1 - icc)
    y1 = base + own + rng.normal(0, sd, (draws, blocks, treated))
    y0 = base + rng.normal(0, sd, (draws, blocks, control))
    d = y1.mean(2) - y0.mean(2)
    squares = ((y1 - y1.mean(2, keepdims=True)) ** 2).sum((1, 2)) + ((y0 - y0.mean(2, keepdims=True)) ** 2).sum((1, 2))
    n = treated + control
    unit = (1 / treated + 1 / control) / blocks
    fixed = blocks * (n - 2)
    # One common effect: what the blocks' own differences vary beyond it goes to the residual.
    more = ((d - d.mean(1, keepdims=True)) ** 2).sum(1) / (1 / treated + 1 / control)
    constant = blocks * (n - 1) - 1
    return {
        "fixed": two_sided(d.mean(1) / np.sqrt(squares / fixed * unit), fixed),
        "constant": two_sided(d.mean(1) / np.sqrt((squares + more) / constant * unit), constant),
        "random": two_sided(d.mean(1) / np.sqrt(d.var(1, ddof=1) / blocks), blocks - 1),
    }


def sites(
    rng: Generator, draws: int, *, k: int, j: int, half: int, effect: float, rho: Sequence[float], tau: Sequence[float]
) -> Hits:
    """Effects that vary between sites (variance tau[0]) and between their blocks (tau[1])."""
    own = effect + rng.normal(0, math.sqrt(tau[0]), (draws, k, 1)) + rng.normal(0, math.sqrt(tau[1]), (draws, k, j))
    sd = math.sqrt((1 - sum(rho)) * 2 / half)
    d = (own + rng.normal(0, sd, (draws, k, j))).mean(2)  # the blocks' means cancel in the difference
    return two_sided(d.mean(1) / np.sqrt(d.var(1, ddof=1) / k), k - 1)


def clusters(
    rng: Generator, draws: int, *, k1: int, k0: int, size: int, effect: float, icc: float, groups_of: int = 1, icc2=0.0
) -> Hits:
    """Whole clusters of groups of people, t test on the clusters' means."""
    means = []
    for k, shift in ((k1, effect), (k0, 0.0)):
        top = rng.normal(shift, math.sqrt(icc), (draws, k, 1))
        middle = rng.normal(0, math.sqrt(icc2), (draws, k, groups_of, 1))
        people = rng.normal(0, math.sqrt(1 - icc - icc2), (draws, k, groups_of, size))
        means.append((top + (middle + people).mean(3)).mean(2))
    d, se, dof = t_pooled(*means)
    return two_sided(d / se, dof)


def unequal_clusters(
    rng: Generator, draws: int, *, sizes: Sequence[int], effect: float, icc: float, weighted: bool
) -> Floats:
    """Difference of the arms' means, each arm having clusters of these sizes; weighted by people, or by information."""
    n = np.array(sizes, dtype=float)
    weight = 1 / (icc + (1 - icc) / n) if weighted else n
    arms = []
    for shift in (effect, 0.0):
        mean = rng.normal(shift, math.sqrt(icc), (draws, n.size)) + rng.normal(
            0, np.sqrt((1 - icc) / n), (draws, n.size)
        )
        arms.append(mean @ weight / weight.sum())
    return arms[0] - arms[1]


def blocked_clusters(
    rng: Generator,
    draws: int,
    *,
    blocks: int,
    half: int,
    size: int,
    effect: float,
    icc: float,
    block_icc=0.0,
    spread=0.0,
) -> dict[str, Hits]:
    """Clusters drawn within blocks; block effects of variance `spread`."""
    own = rng.normal(effect, math.sqrt(spread), (draws, blocks, 1))
    base = rng.normal(0, math.sqrt(block_icc), (draws, blocks, 1))
    sd = math.sqrt(icc + (1 - icc - block_icc) / size)
    y1 = base + own + rng.normal(0, sd, (draws, blocks, half))
    y0 = base + rng.normal(0, sd, (draws, blocks, half))
    d = y1.mean(2) - y0.mean(2)
    dof = blocks * 2 * (half - 1)
    if not dof:
        return {"random": two_sided(d.mean(1) / np.sqrt(d.var(1, ddof=1) / blocks), blocks - 1)}
    squares = ((y1 - y1.mean(2, keepdims=True)) ** 2).sum((1, 2)) + ((y0 - y0.mean(2, keepdims=True)) ** 2).sum((1, 2))
    return {
        "fixed": two_sided(d.mean(1) / np.sqrt(squares / dof * 2 / (half * blocks)), dof),
        "random": two_sided(d.mean(1) / np.sqrt(d.var(1, ddof=1) / blocks), blocks - 1),
    }


def courses(rng: Generator, draws: int, *, k: int, size: int, controls: int, effect: float, icc: float) -> Hits:
    """Only the treated share a course: Welch on the courses' means against people."""
    taught = rng.normal(effect, math.sqrt(icc), (draws, k)) + rng.normal(0, math.sqrt((1 - icc) / size), (draws, k))
    alone = rng.standard_normal((draws, controls))
    v1, v0 = taught.var(1, ddof=1) / k, alone.var(1, ddof=1) / controls
    dof = (v1 + v0) ** 2 / (v1**2 / (k - 1) + v0**2 / (controls - 1))
    return two_sided((taught.mean(1) - alone.mean(1)) / np.sqrt(v1 + v0), dof)


def wedge(
    rng: Generator, draws: int, *, steps: int, each: int, size: int, effect: float, icc: float, decay: float
) -> tuple[Hits, Floats]:
    """Generalised least squares on cell means with the true covariance: rejections and estimates."""
    t = steps + 1
    z = np.repeat(np.triu(np.ones((steps, t)), 1), each, axis=0)
    cov = icc * (decay * np.ones((t, t)) + (1 - decay) * np.eye(t)) + (1 - icc) / size * np.eye(t)
    root = np.linalg.cholesky(cov)
    time = np.linspace(0, 1, t)
    y = effect * z + time + rng.standard_normal((draws, len(z), t)) @ root.T
    x = np.concatenate([np.column_stack([row, np.eye(t)]) for row in z])
    inverse = np.kron(np.eye(len(z)), np.linalg.inv(cov))
    bread = np.linalg.inv(x.T @ inverse @ x)
    found = y.reshape(draws, -1) @ (bread @ x.T @ inverse)[0]
    return two_sided(found / math.sqrt(bread[0, 0])), found


def saturation(
    rng: Generator, draws: int, *, levels: Sequence[tuple[float, int]], size: int, effect: float, icc: float
) -> dict[str, Floats]:
    """Areas at each saturation: (share treated, areas). Differences of the means of the treated, and of those beside
    them, to pure controls."""
    sums = {"treated": np.zeros(draws), "untreated": np.zeros(draws), "pure": np.zeros(draws)}
    counts = dict.fromkeys(sums, 0)
    for share, areas in levels:
        area = rng.normal(0, math.sqrt(icc), (draws, areas, 1))
        y = area + rng.normal(0, math.sqrt(1 - icc), (draws, areas, size))
        treated = round(share * size)
        parts = {"treated": y[:, :, :treated] + effect, "untreated": y[:, :, treated:]}
        if share == 0:
            parts = {"pure": y}
        for name, part in parts.items():
            sums[name] += part.sum((1, 2))
            counts[name] += areas * part.shape[2]
    mean = {name: sums[name] / counts[name] for name in sums if counts[name]}
    return {name: mean[name] - mean["pure"] for name in mean if name != "pure"}


def counts(
    rng: Generator, draws: int, *, n1: int, n0: int, rate: float, ratio: float, time: float, kappa: float = 0.0
) -> tuple[Floats, Floats, Floats, Floats]:
    """Events of each arm, and the rates and standard errors of the log ratio and of the difference."""
    out = []
    for n, r in ((n1, rate * ratio), (n0, rate)):
        heterogeneity = rng.gamma(1 / kappa, kappa, (draws, n)) if kappa else np.ones((draws, 1))
        events = rng.poisson(r * time * (heterogeneity if kappa else np.full((draws, n), 1.0))).sum(1)
        out.append(events.astype(float))
    y1, y0 = out
    log_se = np.sqrt(1 / y1 + 1 / y0 + kappa * (1 / n1 + 1 / n0))
    r1, r0 = y1 / (n1 * time), y0 / (n0 * time)
    return np.log(r1 / r0), log_se, r1 - r0, np.sqrt(r1 / (n1 * time) + r0 / (n0 * time))


def proportions(rng: Generator, draws: int, *, n1: int, n0: int, p1: float, p0: float) -> dict[str, Floats]:
    """Z by the unpooled and the pooled error, and on the arcsine scale."""
    a, b = rng.binomial(n1, p1, draws) / n1, rng.binomial(n0, p0, draws) / n0
    p = (a * n1 + b * n0) / (n1 + n0)
    angle = 2 * np.arcsin(np.sqrt(a)) - 2 * np.arcsin(np.sqrt(b))
    return {
        "unpooled": (a - b) / np.sqrt(a * (1 - a) / n1 + b * (1 - b) / n0),
        "pooled": (a - b) / np.sqrt(p * (1 - p) * (1 / n1 + 1 / n0)),
        "arcsine": angle / math.sqrt(1 / n1 + 1 / n0),
    }


def spells(
    rng: Generator,
    draws: int,
    *,
    n1: int,
    n0: int,
    ratio: float,
    cumulative: Callable[[Floats], Floats],
    study: float,
    accrual: float,
    dropout: float,
) -> Hits:
    """Log-rank test of durations; `cumulative` is the inverse of the cumulative hazard."""
    n = n1 + n0
    z = np.repeat([1.0, 0.0], [n1, n0])
    event = cumulative(rng.exponential(1.0, (draws, n)) / np.where(z == 1, ratio, 1.0))
    end = study - rng.uniform(0, 1, (draws, n)) * accrual
    if dropout:
        end = np.minimum(end, rng.exponential(1 / dropout, (draws, n)))
    seen, time = event <= end, np.minimum(event, end)
    order = np.argsort(time, axis=1)
    d, arm = np.take_along_axis(seen, order, 1), z[order]
    risk = np.arange(n, 0, -1)
    share = np.cumsum(arm[:, ::-1], axis=1)[:, ::-1] / risk
    gap = (d * (arm - share)).sum(1)
    return two_sided(gap / np.sqrt((d * share * (1 - share)).sum(1)))


def panel(rng: Generator, draws: int, *, n1: int, n0: int, effect: float, cov: Floats, pre: int, analysis: str) -> Hits:
    """Periods before and after; the mean after, its change, or adjusted for the mean before."""
    n = n1 + n0
    z = np.repeat([1.0, 0.0], [n1, n0])
    y = rng.standard_normal((draws, n, len(cov))) @ np.linalg.cholesky(cov).T
    after, before = y[:, :, pre:].mean(2) + effect * z, y[:, :, :pre].mean(2)
    if analysis == "ancova":
        return _ancova(after, before, z)
    out = after - before if analysis == "change" else after
    d, se, dof = t_pooled(out[:, z == 1], out[:, z == 0])
    return two_sided(d / se, dof)


def margins(rng: Generator, draws: int, *, n1: int, n0: int, effect: float, low: float, high: float) -> dict[str, Hits]:
    """Non-inferiority above `low` at one-sided .025, and equivalence between both by two tests at .05."""
    d, se, dof = t_pooled(*groups(rng, draws, (n1, n0), (effect, 0.0), (1.0, 1.0)))
    t = stats.t.isf([0.025, 0.05], dof)
    return {
        "ni": (d - low) / se > t[0],
        "tost": ((d - low) / se > t[1]) & ((high - d) / se > t[1]),
    }


def many_arms(
    rng: Generator, draws: int, *, sizes: Sequence[int], effects: Sequence[float], critical: float
) -> dict[str, Hits]:
    """All arms against the first, beyond one critical value; and the joint F test."""
    means, variance, dof = pooled(groups(rng, draws, sizes, (0.0, *effects), [1.0] * len(sizes)))
    beyond = np.array(
        [
            np.abs(m - means[0]) / np.sqrt(variance * (1 / n + 1 / sizes[0])) > critical
            for m, n in zip(means[1:], sizes[1:], strict=True)
        ]
    )
    n = np.array(sizes)[:, None]
    stacked = np.array(means)
    middle = (n * stacked).sum(0) / n.sum()
    f = (n * (stacked - middle) ** 2).sum(0) / (len(sizes) - 1) / variance
    return {
        "any": beyond.any(0),
        "all": beyond.all(0),
        "F": f > stats.f.isf(0.05, len(sizes) - 1, dof),
    }


def looks(rng: Generator, draws: int, *, per_look: int, bounds: Sequence[float], effect: float) -> tuple[Hits, Floats]:
    """Whether any look is beyond its bound on either side, and the share of people seen by then; known variance."""
    y1, y0 = groups(rng, draws, (per_look * len(bounds),) * 2, (effect, 0.0), (1.0, 1.0))
    n = per_look * np.arange(1, len(bounds) + 1)
    z = (np.cumsum(y1, 1)[:, n - 1] - np.cumsum(y0, 1)[:, n - 1]) / np.sqrt(2 * n)
    beyond = np.abs(z) > np.array(bounds)
    first = np.where(beyond.any(1), beyond.argmax(1) + 1, len(bounds))
    return beyond.any(1), first / len(bounds)


def offers(
    rng: Generator, draws: int, *, n: int, effect: float, take: float, reference_take: float, lost: Sequence[float]
) -> Hits:
    """Half are offered; so many take part, so many are not seen; everybody seen is compared as offered."""
    arms = []
    for share, gone, half in ((take, lost[0], n // 2), (reference_take, lost[1], n // 2)):
        seen = round(half * (1 - gone))
        part = rng.random((draws, seen)) < share
        arms.append(effect * part + rng.standard_normal((draws, seen)))
    d, se, dof = t_pooled(*arms)
    return two_sided(d / se, dof)


def moderated(rng: Generator, draws: int, *, cell: int, more: float) -> Hits:
    """Two groups by two arms, equal cells: the difference of the effects."""
    means, variance, dof = pooled(groups(rng, draws, [cell] * 4, (0.0, 0.0, 0.0, more), [1.0] * 4))
    d = means[3] - means[2] - means[1] + means[0]
    return two_sided(d / np.sqrt(variance * 4 / cell), dof)


def moderated_blocks(
    rng: Generator, draws: int, *, blocks: int, cell: int, more: float, icc: float, spread: float
) -> Hits:
    """The same within each of a sample of blocks, whose moderations have variance `spread`."""
    own = rng.normal(more, math.sqrt(spread), (draws, blocks))
    d = own + rng.normal(0, math.sqrt((1 - icc) * 4 / cell), (draws, blocks))
    return two_sided(d.mean(1) / np.sqrt(d.var(1, ddof=1) / blocks), blocks - 1)


def moderated_clusters(rng: Generator, draws: int, *, cell: int, size: int, more: float, icc: float) -> Hits:
    """Two groups of clusters by two arms, `cell` clusters in each."""
    sd = math.sqrt(icc + (1 - icc) / size)
    means, variance, dof = pooled(groups(rng, draws, [cell] * 4, (0.0, 0.0, 0.0, more), [sd] * 4))
    d = means[3] - means[2] - means[1] + means[0]
    return two_sided(d / np.sqrt(variance * 4 / cell), dof)
