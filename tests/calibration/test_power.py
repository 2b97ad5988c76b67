"""Shared-nothing twins: power by simulation that imports no formula, no lottery and no estimator of kokeilu's own.

Each twin makes its data, assigns, fits and tests with numpy and scipy's central t only; the formula must lie within 4
Monte Carlo errors. Up to .006 is added where the formula approximates the test (Welch, proportions, unequal clusters).
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import kokeilu as kk
from calibration.record import record_deviation
from kokeilu.power.layout import ClusterSizes
from kokeilu.power.models import Mean, Proportion
from kokeilu.power.simulate import simulate_power
from kokeilu.power.solve import detectable_effect, power_at, sample_size

pytestmark = pytest.mark.calibration

DRAWS = 20_000
CHUNK = 500


def agrees(formula: float, rejections: np.ndarray, slack: float = 0.0, *, name: str) -> None:
    found = rejections.mean()
    error = math.sqrt(formula * (1 - formula) / len(rejections))
    record_deviation(
        topic="power",
        design=name,
        what=f"power by formula ({formula:.3f}) against twins",
        replications=len(rejections),
        found=abs(found - formula),
        allowed=4 * error + slack,
    )
    assert abs(found - formula) < 4 * error + slack, f"formula {formula:.4f}, simulated {found:.4f} ± {error:.4f}"


def shuffled(rng: np.random.Generator, labels: np.ndarray, draws: int) -> np.ndarray:
    return rng.permuted(np.tile(labels, (draws, 1)), axis=1)


def welch(y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """t and Welch's degrees of freedom by draw; y and z (b, n)."""
    parts, means = [], []
    for held in (z == 1, z == 0):
        n = held.sum(axis=1)
        mean = (y * held).sum(axis=1) / n
        variance = (((y - mean[:, None]) ** 2) * held).sum(axis=1) / (n - 1)
        means.append(mean)
        parts.append((variance / n, n))
    (v1, n1), (v0, n0) = parts
    return (means[0] - means[1]) / np.sqrt(v1 + v0), (v1 + v0) ** 2 / (v1**2 / (n1 - 1) + v0**2 / (n0 - 1))


def rejects(t: np.ndarray, dof: np.ndarray | float, alpha: float = 0.05) -> np.ndarray:
    return np.abs(t) > stats.t.isf(alpha / 2, dof)


def over_chunks(one, draws: int = DRAWS) -> np.ndarray:
    return np.concatenate([one(CHUNK) for _ in range(draws // CHUNK)])


def two(control: int = 1, coaching: int = 1) -> kk.Complete:
    return kk.Complete(kk.arms(control=control, coaching=coaching))


@pytest.mark.parametrize(("n1", "n0", "effect"), [(10, 10, 1.2), (60, 60, 0.5), (50, 150, 0.4)])
def test_means(n1, n0, effect):
    rng = np.random.default_rng(1)
    labels = np.repeat([1, 0], [n1, n0])

    def one(b):
        z = shuffled(rng, labels, b)
        return rejects(*welch(rng.standard_normal(z.shape) + effect * z, z))

    found = power_at(two(n0, n1), n1 + n0, Mean(sd=1.0), effect=effect)
    agrees(found.value, over_chunks(one), slack=0.003, name=f"means, {n1} and {n0} people")


def test_the_size_found_has_the_power():
    rng = np.random.default_rng(2)
    found = sample_size(two(2, 1), Mean(sd=1.0), effect=0.5)
    labels = np.repeat([1, 0], [int(found.n_arms["coaching"]), int(found.n_arms["control"])])

    def one(b):
        z = shuffled(rng, labels, b)
        return rejects(*welch(rng.standard_normal(z.shape) + 0.5 * z, z))

    agrees(found.power, over_chunks(one), slack=0.003, name="means, the size found for a power of 0.8")


@pytest.mark.parametrize(
    ("base", "shares", "n", "down"), [(0.3, (1, 1), 600, False), (0.3, (3, 1), 800, True), (0.1, (1, 1), 1000, False)]
)
def test_proportions_by_the_difference_in_means(base, shares, n, down):
    """The unpooled formula is that of the test with an unpooled error, in both directions and with unequal arms."""
    rng = np.random.default_rng(3)
    design = two(*shares)
    answer = detectable_effect(design, n, Proportion(base=base))
    effect = answer.decrease if down else answer.value
    n1 = n * shares[1] // sum(shares)
    counts = np.array([n1, n - n1])

    def one(b):
        ones = rng.binomial(counts, [base + effect, base], (b, 2))
        p = ones / counts
        variance = p * (1 - p) / (counts - 1)
        v = variance.sum(axis=1)
        dof = v**2 / (variance**2 / (counts - 1)).sum(axis=1)
        return rejects((p[:, 0] - p[:, 1]) / np.sqrt(v), dof)

    agrees(
        0.8,
        over_chunks(one),
        slack=0.006,
        name=f"proportions, base {base}, shares {shares[0]} : {shares[1]}, {n} people",
    )


def test_strata_and_a_covariate():
    """J strata of n: stratum effects and a covariate take r2 of the variance; OLS with dummies as the test."""
    rng = np.random.default_rng(4)
    strata, n, effect = 10, 16, 0.4
    total = strata * n
    place = np.repeat(np.arange(strata), n)
    labels = np.tile(np.repeat([1, 0], n // 2), strata)
    between, slope = 0.5, math.sqrt(0.3)
    sd = math.sqrt(between**2 + 0.3 + 1)
    r2 = 1 - 1 / sd**2
    dummies = (place[:, None] == np.arange(strata)).astype(float)

    def one(b):
        z = np.concatenate([shuffled(rng, labels[place == s], b) for s in range(strata)], axis=1)
        x = rng.standard_normal((b, total))
        y = (
            between * rng.standard_normal((b, strata))[:, place]
            + slope * x
            + rng.standard_normal((b, total))
            + effect * z
        )
        keep = np.empty((b, 3, total))
        for i, column in enumerate((z, x, y)):
            keep[:, i] = column - (column @ dummies / n)[:, place]
        zx = (keep[:, 0] * keep[:, 1]).sum(1) / (keep[:, 1] ** 2).sum(1)
        yx = (keep[:, 2] * keep[:, 1]).sum(1) / (keep[:, 1] ** 2).sum(1)
        zr, yr = keep[:, 0] - zx[:, None] * keep[:, 1], keep[:, 2] - yx[:, None] * keep[:, 1]
        slope_z = (zr * yr).sum(1) / (zr**2).sum(1)
        dof = total - strata - 2
        s2 = ((yr - slope_z[:, None] * zr) ** 2).sum(1) / dof
        return rejects(slope_z / np.sqrt(s2 / (zr**2).sum(1)), dof)

    design = kk.Stratified(two().arms, by="place")
    found = power_at(design, pd.DataFrame({"place": place}), Mean(sd=sd, r2=r2), effect=effect, covariates=1)
    agrees(found.value, over_chunks(one), slack=0.006, name="strata and a covariate")


def cluster_test(rng, sizes, icc, effect, b, binary_base=None):
    """Equal-weight test of arm means over people with the sandwich of cluster totals, J - 2 degrees of freedom."""
    clusters = len(sizes)
    member = np.repeat(np.arange(clusters), sizes)
    z = shuffled(rng, np.repeat([1, 0], clusters // 2), b)
    noise = rng.standard_normal((b, len(member))) * math.sqrt(1 - icc)
    y = math.sqrt(icc) * rng.standard_normal((b, clusters))[:, member] + noise + effect * z[:, member]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    totals = np.add.reduceat(y, starts, axis=1)
    parts = []
    for held in (z == 1, z == 0):
        people = (held * sizes).sum(axis=1)
        mean = (held * totals).sum(axis=1) / people
        residual = held * (totals - mean[:, None] * sizes)
        leverage = 1 - sizes / people[:, None]
        parts.append((mean, (residual**2 / leverage).sum(axis=1) / people**2))
    (m1, v1), (m0, v0) = parts
    return rejects((m1 - m0) / np.sqrt(v1 + v0), clusters - 2)


@pytest.mark.parametrize(
    ("count", "size", "icc", "effect"), [(8, 30, 0.05, 0.6), (12, 60, 0.05, 0.3), (40, 10, 0.2, 0.5)]
)
def test_clusters(count, size, icc, effect):
    rng = np.random.default_rng(5)
    sizes = np.full(count, size)
    design = kk.Clustered(two(), by="office")
    found = power_at(design, ClusterSizes(count=count, size=size), Mean(sd=1.0, icc=icc), effect=effect)
    agrees(
        found.value,
        over_chunks(lambda b: cluster_test(rng, sizes, icc, effect, b), 10_000),
        name=f"{count} clusters of {size}, ICC {icc}",
    )


def test_unequal_clusters():
    """Known sizes: equal sizes would promise more power than there is; the formula for the sizes does not by much."""
    rng = np.random.default_rng(6)
    sizes = np.resize([5, 10, 20, 40, 80], 60)
    register = pd.DataFrame({"office": np.repeat(np.arange(60), sizes)})
    design, outcome = kk.Clustered(two(), by="office"), Mean(sd=1.0, icc=0.05)
    found = power_at(design, register, outcome, effect=0.25)
    agrees(
        found.value,
        over_chunks(lambda b: cluster_test(rng, sizes, 0.05, 0.25, b), 10_000),
        slack=0.005,
        name="60 unequal clusters",
    )
    equal = power_at(design, ClusterSizes(count=60, size=float(sizes.mean())), outcome, effect=0.25)
    assert found.value < equal.value


def test_three_arms():
    rng = np.random.default_rng(7)
    design = kk.Complete(kk.arms(control=2, coaching=1, subsidy=1))
    found = power_at(design, 400, Mean(sd=1.0), effect=0.35, contrast="subsidy")
    labels = np.repeat([1, 0], [100, 200])

    def one(b):
        z = shuffled(rng, labels, b)
        return rejects(*welch(rng.standard_normal(z.shape) + 0.35 * z, z))

    agrees(found.value, over_chunks(one), slack=0.003, name="three arms")


class Normal:
    """A world with normal people in normal groups; `groups` (n,) codes, variances of group and person, effect tau."""

    def __init__(self, groups: np.ndarray, between: float, within: float, tau: float) -> None:
        self.groups, self.between, self.within, self.tau = groups, between, within, tau

    def outcomes(self, stream) -> np.ndarray:
        n, count = len(self.groups), int(self.groups.max()) + 1
        person = stats.norm.ppf(stream.child("person").doubles(1, n)[0])
        group = stats.norm.ppf(stream.child("group").doubles(1, count)[0])
        base = math.sqrt(self.within) * person + math.sqrt(self.between) * group[self.groups]
        return np.stack([base, base + self.tau], axis=1)


@pytest.mark.parametrize("name", ["dd-blocked", "dd-cluster"])
def test_declaredesign(name):
    """Within 4 Monte Carlo errors of both sides of DeclareDesign 1.0.10 (1,000 simulations)."""
    arms = kk.arms(control=1, coaching=1)
    if name == "dd-blocked":
        groups = np.repeat(np.arange(25), 40)
        design, world = kk.Stratified(arms, by="group"), Normal(groups, 0.25, 1.0, 0.2)
        theirs = {"power": 0.901, "sd": 0.0618062250462929, "mean_error": 0.0632409840771517, "coverage": 0.952}
    else:
        groups = np.repeat(np.arange(30), np.resize([15, 25, 40, 60, 35, 25], 30))
        design, world = kk.Clustered(kk.Complete(arms), by="group"), Normal(groups, 0.05, 0.95, 0.25)
        theirs = {"power": 0.609, "sd": 0.105539606332727, "mean_error": 0.106064087813869, "coverage": 0.957}
    draws = 4000
    curve = simulate_power(design, {"group": groups}, world, effects=(0.0,), draws=draws, seed="twin")
    both = math.sqrt(1 / 1000 + 1 / draws)
    for key, ours in (("power", curve.size), ("coverage", curve.coverage)):
        record_deviation(
            topic="power",
            design=f"DeclareDesign 1.0.10, {name}",
            what=f"{key} simulated here against there",
            replications=draws,
            found=abs(ours - theirs[key]),
            allowed=4 * both * math.sqrt(theirs[key] * (1 - theirs[key])),
        )
        assert abs(ours - theirs[key]) < 4 * both * math.sqrt(theirs[key] * (1 - theirs[key])), key
    assert abs(curve.sd - theirs["sd"]) < 4 * both * theirs["sd"] / math.sqrt(2)
    assert abs(curve.mean_error - theirs["mean_error"]) < 4 * both * curve.errors.std()
    assert abs(curve.bias) < 4 * curve.sd / math.sqrt(draws)
