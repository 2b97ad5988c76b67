"""Frequencies over 20,000 seeds, and error rates of two-stage draws (`make calibrate`)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import kokeilu as kk
from calibration.record import record, record_deviation
from kokeilu._kernels.streams import Seed
from kokeilu.core.assignment import Assignment
from kokeilu.core.register import read_register

pytestmark = pytest.mark.calibration

SEEDS, REPLICATIONS, LEVEL = 20_000, 600, 0.05
FEW_AREAS = "ten areas to a saturation: CR2 is approximate"
TWO = kk.arms(control=1, coaching=1)
SMALL = {
    "id": list(range(12)),
    "area": [i // 3 for i in range(12)],
    "side": [i // 6 for i in range(12)],
    "age": [20 + i * i for i in range(12)],
    "law": ["coaching", *["drawn"] * 10, "control"],
}
DESIGNS = {
    "saturation": kk.Saturation(TWO, levels=(0, "1/3", "1/2", 1), area="area"),
    "saturation in strata": kk.Saturation(TWO, levels=("1/4", "1/2"), area="area", by="side"),
    "stepped wedge": kk.SteppedWedge(3, cluster="area"),
    "waves": kk.Waves(kk.Complete(kk.arms(a=2, b=1, c=1)), wave="side"),
    "factorial": kk.Factorial({"coach": kk.arms(no=1, yes=1), "voucher": kk.arms(no=3, yes=2)}),
    "fixed": kk.Fixed(kk.Complete(kk.arms(control=2, coaching=1)), column="law"),
    "quantiles": kk.StratifiedByQuantiles(kk.arms(a=3, b=2), on={"age": 3}),
}


@pytest.mark.parametrize("name", DESIGNS)
def test_frequencies_over_seeds(name):
    design = DESIGNS[name]
    lottery = design.bind(read_register(SMALL, design, id="id")[0])
    codes = np.concatenate([lottery.draw(Seed.of(seed).stream("assign"), 1) for seed in range(SEEDS)])
    shares = lottery.shares()
    for arm in range(len(lottery.arms)):
        error = np.sqrt(np.maximum(shares[:, arm] * (1 - shares[:, arm]), 1e-30) / SEEDS)
        assert (np.abs((codes == arm).mean(axis=0) - shares[:, arm]) <= 5 * error + 1e-12).all()
    joint = kk.law(lottery).matrix()
    k = len(lottery.arms)
    seen = np.array([[(codes == a).T.astype(float) @ (codes == b) / SEEDS for b in range(k)] for a in range(k)])
    expected = joint.transpose(2, 3, 0, 1)
    error = np.sqrt(np.maximum(expected * (1 - expected), 1e-30) / SEEDS)
    assert (np.abs(seen - expected) <= 5.5 * error + 1e-9).all()
    random = error > 1e-9
    record_deviation(
        topic="laws of two-stage draws",
        design=name,
        what="pairs of arms against the exact law, in Monte Carlo errors",
        replications=SEEDS,
        found=float((np.abs(seen - expected)[random] / error[random]).max()),
        allowed=5.5,
    )


@pytest.mark.parametrize("by", [(), ("set",)])
def test_error_rates_of_two_stages(by):
    """Outcomes vary with the area and nothing has an effect: about 5 % of the tests of each contrast may reject."""
    rng = np.random.default_rng(3)
    sizes = rng.integers(5, 25, 40)
    area = np.repeat(np.arange(40), sizes)
    of_set = np.argsort(np.argsort(sizes, kind="stable"), kind="stable") // 4
    people = pd.DataFrame({"id": np.arange(len(area)), "area": area, "set": of_set[area]})
    people["y"] = rng.normal(size=len(area)) + (rng.normal(size=40) + 0.03 * sizes)[area]
    design = kk.Saturation(TWO, levels=(0, 0.25, 0.5, 0.75), area="area", by=by)
    population, _ = read_register(people, design, id="id")
    lottery, contrasts = design.bind(population), sum(design.effects().values(), ())
    rejected = np.zeros(len(contrasts) + 1)
    for replication in range(REPLICATIONS):
        seed = Seed.of(replication)
        codes = lottery.draw(seed.stream("assign"), 1)[0]
        one = Assignment(mechanism=design, population=population, lottery=lottery, codes=codes, seed=seed)
        found = [e.p_value() for e in kk.estimate_effects(one, people, "y", contrasts=contrasts)]
        pooled = kk.estimate_effects(kk.merge_arms(one, design.people()), people, "y")[0].p_value()
        rejected += np.array([*found, pooled]) < LEVEL
    names = [" - ".join(pair) for pair in contrasts]
    for told, count in zip([*names, "people treated - not treated"], rejected, strict=True):
        record(
            topic="two stages",
            design=f"40 areas in 4 saturations{' within sets of four' if by else ''}",
            method="by the design",
            outcome=f"varies with the area; {told}",
            replications=REPLICATIONS,
            rejections=float(count / REPLICATIONS),
            reason=FEW_AREAS,
        )
    # Ten areas to a level: CR2 is approximate, so up to 7 % of a fixed population's draws are let pass.
    limit = stats.binom.ppf(0.9999, REPLICATIONS, 0.07)
    assert rejected.max() <= limit
