"""Every formula of power against trials that `twins` makes, draws and analyses without it: |z| < 4 at each point.

A point states the twin and the question. Where a formula approximates the test (normal references, Satterthwaite), the
sizes are such that the approximation is within the Monte Carlo error; for the log-rank test that takes arms of equal
size or small effects (Lachin & Foulkes are .02 off at 600 people in arms of 1 and 2 and a hazard ratio of 1.3).
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest

import kokeilu as kk
from calibration import twins
from calibration.record import record_deviation

pytestmark = pytest.mark.calibration

DRAWS = 20_000
EVEN = kk.Complete(kk.arms(control=1, coaching=1))
THIRD = kk.Complete(kk.arms(control=2, coaching=1))
BLOCKED = kk.Stratified(kk.arms(control=1, coaching=1), by="block")
OFFICES = kk.Clustered(EVEN, by="office")
REGIONS = kk.Clustered(kk.Stratified(kk.arms(control=1, coaching=1), by="region"), by="office")
NORMAL = kk.Superiority(method="normal")

Found = tuple[float, np.ndarray]  # what the formula states, and what each draw gave
Points = dict[str, Callable[[np.random.Generator], Found]]
POINTS: Points = {}


def point(name: str, twin: Callable[[np.random.Generator], np.ndarray], stated: Callable[[], float]) -> None:
    assert name not in POINTS
    POINTS[name] = lambda rng: (stated(), twin(rng))


def power(design: Any, people: Any, outcome: Any, effect: Any, **how: Any) -> Callable[[], float]:
    return lambda: kk.power_at(design, people, outcome, effect=effect, **how).value


def variance(design: Any, people: Any, outcome: Any, effect: float) -> Callable[[], float]:
    return lambda: kk.power_at(design, people, outcome, effect=effect).error ** 2


def design_of(n1: int, n0: int) -> kk.Complete:
    return kk.Complete(kk.arms(control=n0, coaching=n1))


for n1, n0, effect in ((8, 8, 1.4), (20, 20, 0.0), (20, 20, 0.9), (15, 60, 0.8), (60, 60, 0.5), (150, 50, 0.3)):
    point(
        f"means {n1} {n0} {effect}",
        lambda r, a=(n1, n0, effect): twins.individuals(r, DRAWS, n1=a[0], n0=a[1], effect=a[2]),
        power(design_of(n1, n0), n1 + n0, kk.Mean(sd=1), effect),
    )
for n1, n0, effect, sd1 in ((80, 80, 0.6, 1.5), (60, 180, 0.4, 0.7), (150, 75, 0.6, 2.0)):
    point(
        f"means with sd {sd1} in the arm",
        lambda r, a=(n1, n0, effect, sd1): twins.individuals(r, DRAWS, n1=a[0], n0=a[1], effect=a[2], sd1=a[3]),
        power(design_of(n1, n0), n1 + n0, kk.Mean(sd=1, sd_arm=sd1), effect),
    )
for n1, n0, effect, r2 in ((200, 200, 0.2, 0.5), (100, 300, 0.2, 0.3)):
    point(
        f"covariate {n1} {n0}",
        lambda r, a=(n1, n0, effect, r2): twins.covariate(r, DRAWS, n1=a[0], n0=a[1], effect=a[2], r2=a[3]),
        power(design_of(n1, n0), n1 + n0, kk.Mean(sd=1, r2=r2), effect, covariates=1),
    )

for kind in ("constant", "fixed"):
    for blocks, treated, control, effect in ((6, 4, 4, 0.9), (12, 2, 6, 0.6), (20, 8, 8, 0.3), (1, 12, 12, 1.1)):
        sized = kk.Stratified(kk.arms(control=control, coaching=treated), by="block")
        point(
            f"blocks {kind} {blocks}",
            lambda r, k=kind, a=(blocks, treated, control, effect): twins.blocked(
                r, DRAWS, blocks=a[0], treated=a[1], control=a[2], effect=a[3], icc=0.2, spread=0.0
            )[k],
            # The outcome's variance is what blocks leave of it: 1 - r2.
            power(
                sized,
                kk.Blocks(count=blocks, size=treated + control, effects=kind),
                kk.Mean(sd=1, r2=0.2),
                effect,
            ),
        )
for blocks, half, effect, icc, ratio in ((8, 10, 0.6, 0.2, 0.5), (20, 6, 0.4, 0.1, 1.0), (40, 4, 0.3, 0.3, 0.2)):
    point(
        f"blocks random {blocks}",
        lambda r, a=(blocks, half, effect, icc, ratio): twins.blocked(
            r, DRAWS, blocks=a[0], treated=a[1], control=a[1], effect=a[2], icc=a[3], spread=a[3] * a[4]
        )["random"],
        power(
            BLOCKED,
            kk.Blocks(count=blocks, size=2 * half, effects="random", icc=icc, effect_ratio=ratio),
            kk.Mean(sd=1),
            effect,
        ),
    )
for k, j, half, effect in ((6, 3, 6, 0.6), (15, 4, 5, 0.3)):
    point(
        f"sites {k}",
        lambda r, a=(k, j, half, effect): twins.sites(
            r, DRAWS, k=a[0], j=a[1], half=a[2], effect=a[3], rho=(0.1, 0.1), tau=(0.04, 0.05)
        ),
        power(
            BLOCKED,
            kk.Sites(count=k, blocks=j, size=2 * half, site_icc=0.1, block_icc=0.1, site_ratio=0.4, block_ratio=0.5),
            kk.Mean(sd=1),
            effect,
        ),
    )

for k, size, effect, icc in (
    (3, 30, 1.0, 0.1),
    (5, 20, 0.8, 0.2),
    (10, 40, 0.4, 0.05),
    (40, 10, 0.2, 0.02),
    (8, 5, 0.9, 0.0),
):
    point(
        f"clusters {k}",
        lambda r, a=(k, size, effect, icc): twins.clusters(
            r, DRAWS, k1=a[0], k0=a[0], size=a[1], effect=a[2], icc=a[3]
        ),
        power(OFFICES, kk.ClusterSizes(count=2 * k, size=size), kk.Mean(sd=1, icc=icc), effect),
    )
point(
    "clusters in unequal arms",
    lambda r: twins.clusters(r, DRAWS, k1=8, k0=16, size=25, effect=0.5, icc=0.1),
    power(kk.Clustered(THIRD, by="office"), kk.ClusterSizes(count=24, size=25), kk.Mean(sd=1, icc=0.1), 0.5),
)
for k, groups, size, effect in ((6, 3, 8, 0.7), (20, 4, 5, 0.3)):
    point(
        f"nested {k}",
        lambda r, a=(k, groups, size, effect): twins.clusters(
            r, DRAWS, k1=a[0], k0=a[0], groups_of=a[1], size=a[2], effect=a[3], icc=0.08, icc2=0.12
        ),
        power(
            OFFICES,
            kk.NestedClusters(count=2 * k, groups=groups, size=size, group_icc=0.12),
            kk.Mean(sd=1, icc=0.08),
            effect,
        ),
    )
SIZES = {"even": (20,) * 12, "mild": (10, 15, 20, 25, 30) * 3, "wild": (2, 5, 8, 60, 100, 12, 30, 3)}
for name, sizes in SIZES.items():
    for weighting in ("people", "gls"):
        for icc in (0.01, 0.05, 0.3):
            point(
                f"sizes {name} {weighting} {icc}",
                lambda r, s=sizes, w=weighting, i=icc: twins.unequal_clusters(
                    r, DRAWS, sizes=s, effect=0.2, icc=i, weighted=w == "gls"
                ),
                variance(OFFICES, kk.ClusterSizes(sizes=sizes * 2, weighting=weighting), kk.Mean(sd=1, icc=icc), 0.2),
            )
for blocks, half, effect, icc in ((4, 3, 0.6, 0.1), (8, 4, 0.3, 0.05)):
    point(
        f"clusters in blocks {blocks}",
        lambda r, a=(blocks, half, effect, icc): twins.blocked_clusters(
            r, DRAWS, blocks=a[0], half=a[1], size=20, effect=a[2], icc=a[3]
        )["fixed"],
        power(REGIONS, kk.ClusteredBlocks(blocks=blocks, count=2 * half, size=20), kk.Mean(sd=1, icc=icc), effect),
    )
for blocks, half, effect in ((6, 2, 0.8), (15, 3, 0.4)):
    point(
        f"clusters in a sample of blocks {blocks}",
        lambda r, a=(blocks, half, effect): twins.blocked_clusters(
            r, DRAWS, blocks=a[0], half=a[1], size=20, effect=a[2], icc=0.1, block_icc=0.1, spread=0.05
        )["random"],
        power(
            REGIONS,
            kk.ClusteredBlocks(
                blocks=blocks, count=2 * half, size=20, effects="random", block_icc=0.1, effect_ratio=0.5
            ),
            kk.Mean(sd=1, icc=0.1),
            effect,
        ),
    )
for k, size, controls, effect, icc in ((12, 10, 120, 0.45, 0.1), (30, 6, 200, 0.3, 0.2), (20, 15, 60, 0.5, 0.05)):
    point(
        f"courses {k}",
        lambda r, a=(k, size, controls, effect, icc): twins.courses(
            r, DRAWS, k=a[0], size=a[1], controls=a[2], effect=a[3], icc=a[4]
        ),
        power(EVEN, kk.PartlyNested(groups=k, size=size, controls=controls, icc=icc), kk.Mean(sd=1), effect),
    )
for steps, each, size, effect, icc, decay in (
    (3, 4, 15, 0.3, 0.05, 1.0),
    (5, 3, 20, 0.25, 0.1, 0.8),
    (4, 2, 50, 0.4, 0.2, 0.5),
):
    point(
        f"wedge of {steps}",
        lambda r, a=(steps, each, size, effect, icc, decay): twins.wedge(
            r, DRAWS // 2, steps=a[0], each=a[1], size=a[2], effect=a[3], icc=a[4], decay=a[5]
        )[0],
        power(
            OFFICES,
            kk.WedgeSizes(steps=steps, per_step=each, size=size, decay=decay),
            kk.Mean(sd=1, icc=icc),
            effect,
            test=NORMAL,
        ),
    )
LEVELS = {
    "crepon": ((0.0, 8), (0.25, 8), (0.5, 8), (0.75, 8), (1.0, 8)),
    "two": ((0.0, 20), (0.5, 20)),
    "far": ((0.0, 10), (0.2, 20), (0.8, 10)),
}
for name, levels in LEVELS.items():
    areas = sum(count for _, count in levels)
    shares = tuple((level, count / areas) for level, count in levels)
    for who in ("treated", "untreated"):
        point(
            f"saturation {name} {who}",
            lambda r, lv=levels, w=who: twins.saturation(r, 4_000, levels=lv, size=20, effect=0.2, icc=0.08)[w],
            variance(
                EVEN, kk.SaturationSizes(levels=shares, count=areas, size=20, effect=who), kk.Mean(sd=1, icc=0.08), 0.2
            ),
        )

for n, rate, ratio, time in ((500, 0.8, 0.85, 1.0), (300, 2.0, 1.15, 1.5), (800, 0.3, 0.8, 2.0)):
    point(
        f"poisson ratio {n}",
        lambda r, a=(n, rate, ratio, time): (lambda d: twins.two_sided(d[0] / d[1]))(
            twins.counts(r, 5_000, n1=a[0], n0=a[0], rate=a[1], ratio=a[2], time=a[3])
        ),
        power(EVEN, 2 * n, kk.Count(rate=rate, exposure=time), ratio),
    )
    point(
        f"poisson difference {n}",
        lambda r, a=(n, rate, ratio, time): (lambda d: twins.two_sided(d[2] / d[3]))(
            twins.counts(r, 5_000, n1=a[0], n0=a[0], rate=a[1], ratio=a[2], time=a[3])
        ),
        power(EVEN, 2 * n, kk.Count(rate=rate, exposure=time, scale_of="difference"), rate * (ratio - 1)),
    )
for n, rate, ratio, kappa in ((600, 1.0, 0.8, 0.5), (400, 3.0, 1.25, 1.0)):
    point(
        f"negative binomial {n}",
        lambda r, a=(n, rate, ratio, kappa): (lambda d: twins.two_sided(d[0] / d[1]))(
            twins.counts(r, 5_000, n1=a[0], n0=a[0], rate=a[1], ratio=a[2], time=1.0, kappa=a[3])
        ),
        power(EVEN, 2 * n, kk.Count(rate=rate, kind="negbin", dispersion=kappa), ratio),
    )

for n1, n0, p1, p0 in ((2003, 1999, 0.34, 0.30), (12007, 6011, 0.125, 0.14), (6011, 16001, 0.515, 0.50)):
    for how in ("unpooled", "pooled", "arcsine"):
        point(
            f"shares {how} {n1}",
            lambda r, h=how, a=(n1, n0, p1, p0): twins.two_sided(
                twins.proportions(r, DRAWS, n1=a[0], n0=a[1], p1=a[2], p0=a[3])[h]
            ),
            power(design_of(n1, n0), n1 + n0, kk.Proportion(base=p0, variance=how), p1 - p0),
        )

HAZARDS = {"one": ((0.08,), ()), "falling": ((0.12, 0.06, 0.03), (3.0, 6.0))}


def inverse(hazards: tuple[float, ...], lengths: tuple[float, ...]) -> Callable[[np.ndarray], np.ndarray]:
    """Time at which the cumulative hazard is x: piecewise linear."""
    starts = np.concatenate([[0.0], np.cumsum(lengths)])
    at = np.concatenate([[0.0], np.cumsum(np.diff(starts) * np.array(hazards[:-1]))])

    def time(x: np.ndarray) -> np.ndarray:
        j = np.searchsorted(at, x, side="right") - 1
        return starts[j] + (x - at[j]) / np.array(hazards)[j]

    return time


for name, (hazards, lengths) in HAZARDS.items():
    for n1, n0, ratio, dropout in ((300, 300, 1.3, 0.0), (300, 300, 0.8, 0.02), (400, 800, 1.12, 0.01)):
        point(
            f"log-rank {name} {n1} {ratio}",
            lambda r, h=hazards, d=lengths, a=(n1, n0, ratio, dropout): twins.spells(
                r, 4_000, n1=a[0], n0=a[1], ratio=a[2], cumulative=inverse(h, d), study=18, accrual=9, dropout=a[3]
            ),
            power(
                design_of(n1, n0),
                n1 + n0,
                kk.Duration(hazards=hazards, lengths=lengths, study=18, accrual=9, dropout=dropout),
                ratio,
            ),
        )
    months = kk.RestrictedMean(hazards=hazards, lengths=lengths, horizon=12)

    def restricted(r: np.random.Generator, h: Any = hazards, d: Any = lengths, m: Any = months) -> np.ndarray:
        arms = [
            np.minimum(inverse(h, d)(r.exponential(1.0, (5_000, 250)) / ratio), 12) for ratio in (m.ratio(-0.9), 1.0)
        ]
        found, se, dof = twins.t_pooled(*arms)
        return twins.two_sided(found / se, dof)

    point(f"restricted mean {name}", restricted, power(EVEN, 500, months, -0.9))

SERIAL = 0.7 ** np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
EQUAL = np.full((3, 3), 0.5) + 0.5 * np.eye(3)
for analysis in ("ancova", "change", "post"):
    point(
        f"panel serial {analysis}",
        lambda r, a=analysis: twins.panel(r, 5_000, n1=80, n0=80, effect=0.3, cov=SERIAL, pre=2, analysis=a),
        power(
            EVEN,
            160,
            kk.Mean(sd=1, panel=kk.Panel(pre=2, post=3, ar1=0.7, analysis=analysis)),
            0.3,
            covariates=int(analysis == "ancova"),
        ),
    )
    point(
        f"panel equal {analysis}",
        lambda r, a=analysis: twins.panel(r, 5_000, n1=50, n0=100, effect=0.35, cov=EQUAL, pre=1, analysis=a),
        power(
            design_of(50, 100),
            150,
            kk.Mean(sd=1, panel=kk.Panel(pre=1, post=2, rho=0.5, analysis=analysis)),
            0.35,
            covariates=int(analysis == "ancova"),
        ),
    )

for n1, n0, effect in ((30, 30, 0.1), (60, 40, 0.0), (90, 90, -0.1)):
    for kind, test in (
        ("ni", kk.NonInferiority(margin=-0.6)),
        ("tost", kk.Equivalence(low=-0.6, high=0.6)),
    ):
        point(
            f"{kind} {n1}",
            lambda r, k=kind, a=(n1, n0, effect): twins.margins(
                r, DRAWS, n1=a[0], n0=a[1], effect=a[2], low=-0.6, high=0.6
            )[k],
            power(design_of(n1, n0), n1 + n0, kk.Mean(sd=1), effect, test=test),
        )

for name, sizes, effects in (
    ("none", (20, 20, 20), (0.0, 0.0)),
    ("equal", (40, 40, 40, 40), (0.6, 0.6, 0.6)),
    ("mixed", (60, 30, 45), (0.7, 0.4)),
):
    arms = kk.Complete(kk.arms({"control": sizes[0], **{f"arm{k}": n for k, n in enumerate(sizes[1:])}}))
    stated = {f"arm{k}": effect for k, effect in enumerate(effects)}
    for target in ("any", "all"):

        def several(
            r: np.random.Generator, a: Any = arms, s: Any = sizes, e: Any = effects, t: str = target
        ) -> np.ndarray:
            asked = kk.power_at(a, sum(s), kk.Mean(sd=1), effect=0.1, test=kk.Dunnett())
            critical = dict(asked.facts)["critical value"]
            return twins.many_arms(r, DRAWS, sizes=s, effects=e, critical=critical)[t]

        point(
            f"Dunnett {name} {target}",
            several,
            power(arms, sum(sizes), kk.Mean(sd=1), stated, test=kk.Dunnett(target=target)),
        )
    point(
        f"joint F {name}",
        lambda r, s=sizes, e=effects: twins.many_arms(r, DRAWS, sizes=s, effects=e, critical=2.0)["F"],
        power(arms, sum(sizes), kk.Mean(sd=1), stated, test=kk.JointF()),
    )

# Bounds as printed by Jennison & Turnbull (2000), and by gsDesign for the spending function.
BOUNDS = {
    "OBrienFleming": tuple(2.0040 * math.sqrt(3 / k) for k in (1, 2, 3)),
    "Pocock": (2.2895,) * 3,
    "LanDeMetsOBF": (3.7103, 2.5114, 1.9930),
}
for spending, bounds in BOUNDS.items():
    for effect in (0.0, 0.25):
        point(
            f"looks {spending} {effect}",
            lambda r, b=bounds, e=effect: twins.looks(r, 8_000, per_look=90, bounds=b, effect=e)[0],
            power(EVEN, 540, kk.Mean(sd=1), effect or 1e-12, test=kk.GroupSequential(looks=3, spending=spending)),
        )

for take, other, lost in (
    (0.6, 0.0, (0.0, 0.0)),
    (0.7, 0.1, (0.1, 0.1)),
    (1.0, 0.0, (0.3, 0.1)),
    (0.5, 0.05, (0.05, 0.2)),
):
    point(
        f"take-up {take} {other} {lost}",
        lambda r, a=(take, other, lost): twins.offers(
            r, DRAWS // 2, n=600, effect=0.35, take=a[0], reference_take=a[1], lost=a[2]
        ),
        power(
            EVEN,
            600,
            kk.Mean(sd=1),
            0.35,
            reality=kk.Reality(
                take_up={"coaching": take, "control": other}, attrition={"coaching": lost[0], "control": lost[1]}
            ),
        ),
    )

for cell, more in ((20, 1.2), (60, 0.7)):
    point(
        f"moderator {cell}",
        lambda r, a=(cell, more): twins.moderated(r, DRAWS, cell=a[0], more=a[1]),
        power(EVEN, kk.Moderator(people=4 * cell, share=0.5), kk.Mean(sd=1), more),
    )
for blocks, cell, more in ((10, 5, 0.9), (25, 4, 0.6)):
    point(
        f"moderator in blocks {blocks}",
        lambda r, a=(blocks, cell, more): twins.moderated_blocks(
            r, DRAWS, blocks=a[0], cell=a[1], more=a[2], icc=0.2, spread=0.1
        ),
        power(
            BLOCKED,
            kk.BlockModerator(count=blocks, size=4 * cell, icc=0.2, effect_variance=0.1, share=0.5),
            kk.Mean(sd=1),
            more,
        ),
    )


def distance(stated: float, draws: np.ndarray) -> float:
    """Return z of the rejections against a power, or of the spread of estimates against a variance."""
    if draws.dtype == bool:
        return float((draws.mean() - stated) / math.sqrt(stated * (1 - stated) / draws.size))
    return float((draws.var(ddof=1) / stated - 1) / math.sqrt(2 / (draws.size - 1)))


def told(design: str, what: str, replications: int, found: float, allowed: float) -> None:
    record_deviation(topic="power", design=design, what=what, replications=replications, found=found, allowed=allowed)


@pytest.mark.parametrize("name", sorted(POINTS))
def test_the_formula_is_what_trials_do(name: str) -> None:
    stated, draws = POINTS[name](np.random.default_rng(crc32(name.encode())))
    z = distance(stated, draws)
    what = "power" if draws.dtype == bool else "variance"
    told(name, f"{what} by formula against trials, in Monte Carlo errors", draws.size, abs(z), 4.0)
    assert abs(z) < 4, f"formula {stated:.5f}, {draws.size:,} trials differ by {z:.1f} Monte Carlo errors"


def test_at_least_a_hundred_points() -> None:
    assert len(POINTS) >= 100


def test_the_twins_know_nothing() -> None:
    tree = ast.parse(Path(twins.__file__).read_text("utf-8"))
    names = [a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names]
    names += [str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert names
    assert not [name for name in names if "kokeilu" in name]


@pytest.mark.parametrize("size", [5, 40])
def test_a_moderator_of_clusters_is_on_the_safe_side(size: int) -> None:
    """The reference tool counts five clusters fewer in the error than there are."""
    stated = power(OFFICES, kk.ClusterModerator(count=60, size=size), kk.Mean(sd=1, icc=0.1), 0.5)()
    hits = twins.moderated_clusters(np.random.default_rng(size), DRAWS, cell=15, size=size, more=0.5, icc=0.1)
    what = f"power by formula ({stated:.3f}) against trials: the trials have more by"
    told(f"moderator of clusters of {size}", what, DRAWS, float(hits.mean() - stated), 0.06)
    assert stated - 0.01 < hits.mean() < stated + 0.06


def test_people_expected_before_a_look_stops_the_trial() -> None:
    test = kk.GroupSequential(looks=3, spending="Pocock")
    found = kk.power_at(EVEN, 540, kk.Mean(sd=1), effect=0.25, test=test)
    _, share = twins.looks(np.random.default_rng(5), 8_000, per_look=90, bounds=BOUNDS["Pocock"], effect=0.25)
    stated = dict(found.facts)["expected share of people"]
    z = float(abs(share.mean() - stated) / (share.std() / math.sqrt(share.size)))
    told("three looks", "people expected by formula against trials, in Monte Carlo errors", share.size, z, 4.0)
    assert z < 4
