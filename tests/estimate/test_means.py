"""The difference in means follows the design, and says how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kokeilu as kk
from kokeilu.core.registry import decode, encode
from kokeilu.core.view import View
from kokeilu.datasets import nsw
from kokeilu.errors import DesignError, EstimationError
from kokeilu.estimate.means import DifferenceInMeans

Maker = Callable[..., View]


def uniform(key: int, *shape: int) -> np.ndarray:
    words = np.random.Philox(key=key).random_raw(int(np.prod(shape)))
    return ((words >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(shape)


def one(view: View) -> tuple[float, float, float | None]:
    found = DifferenceInMeans().estimate(view)[0]
    return found.value, found.error, found.dof


def test_nsw_in_full_precision(make_view: Maker) -> None:
    pytest.importorskip("causaldata", reason="the extra 'examples' is not installed")
    men = nsw()
    found = DifferenceInMeans().estimate(make_view(men["re78"], men["treat"].astype(int)))[0]
    assert found.value == pytest.approx(1794.34240427027, rel=1e-9)
    assert found.error == pytest.approx(670.996546381524, rel=1e-9)
    assert found.dof == pytest.approx(307.132493111589, rel=1e-9)
    assert found.variance == "Neyman"
    assert "Welch" in found.reason
    assert found.n == {"control": 260, "coaching": 185}
    assert found.reference_mean == pytest.approx(men.loc[men["treat"] == 0, "re78"].mean(), rel=1e-12)


def test_nsw_through_an_adopted_allocation() -> None:
    pytest.importorskip("causaldata", reason="the extra 'examples' is not installed")
    men = nsw()
    design = kk.Complete(kk.arms(control="260/445", training="185/445"))
    trial = kk.adopt(men, arm="treat", design=design, id="id", labels={0: "control", 1: "training"})
    found = kk.estimate_effects(trial, men, "re78")[0]
    assert found.value == pytest.approx(1794.34240427027, rel=1e-9)
    assert found.error == pytest.approx(670.996546381524, rel=1e-9)
    assert found.dof == pytest.approx(307.132493111589, rel=1e-9)


def test_strata_are_weighted_by_all_their_people(make_view: Maker) -> None:
    y, codes = uniform(1, 60), np.arange(60) % 3
    strata = np.repeat([0, 1], [18, 42])
    view = make_view(y, codes, strata=strata, arms=("a", "b", "c"))
    found = DifferenceInMeans().estimate(view)
    assert [(e.arm, e.reference) for e in found] == [("b", "a"), ("c", "a")]
    wanted = sum(
        (strata == s).mean() * (y[(strata == s) & (codes == 2)].mean() - y[(strata == s) & (codes == 0)].mean())
        for s in (0, 1)
    )
    assert found[1].value == pytest.approx(wanted, rel=1e-12)
    assert "2 strata" in found[1].reason


def test_degrees_of_freedom_fall_where_a_cell_is_small(make_view: Maker) -> None:
    y, codes = uniform(12, 60), np.arange(60) % 2
    large = DifferenceInMeans().estimate(make_view(y, codes, strata=np.repeat([0, 1], [20, 40])))[0]
    assert large.dof == 56
    small = DifferenceInMeans().estimate(make_view(y, codes, strata=np.repeat([0, 1], [18, 42])))[0]
    assert small.dof is not None
    assert small.dof < 56
    assert "Satterthwaite" in small.reason


def test_few_uneven_clusters_are_noted(make_view: Maker) -> None:
    clusters = np.repeat(np.arange(8), [60, 10, 10, 10, 10, 10, 10, 10])
    found = DifferenceInMeans().estimate(make_view(uniform(13, 130), clusters % 2, clusters=clusters))[0]
    assert "8 clusters of uneven sizes" in " ".join(found.notes)
    even = np.arange(80) % 8
    assert DifferenceInMeans().estimate(make_view(uniform(14, 80), even % 2, clusters=even))[0].notes == ()


def test_pairs_and_small_strata(make_view: Maker) -> None:
    pairs = make_view(uniform(2, 12), np.arange(12) % 2, strata=np.arange(12) // 2)
    found = DifferenceInMeans().estimate(pairs)[0]
    assert found.variance == "between pairs"
    assert found.dof == 5
    mixed = make_view(uniform(3, 14), np.arange(14) % 2, strata=[0, 0, 1, 1, 2, 2] + [3] * 8)
    found = DifferenceInMeans().estimate(mixed)[0]
    assert found.variance == "hybrid_m"
    assert "3 have one person in an arm" in found.reason


def test_a_lone_small_stratum_takes_the_variance_of_the_whole_arm(make_view: Maker) -> None:
    y, codes, strata = uniform(4, 12), np.arange(12) % 2, np.array([0, 0] + [1] * 10)
    found = DifferenceInMeans().estimate(make_view(y, codes, strata=strata))[0]
    assert found.variance == "collapsed strata"
    assert "too few to be pooled" in found.reason
    gap = [y[(codes == 1) & (strata == s)].mean() - y[(codes == 0) & (strata == s)].mean() for s in (0, 1)]
    assert found.value == pytest.approx((2 * gap[0] + 10 * gap[1]) / 12)
    own = sum(y[(codes == a) & (strata == 1)].var(ddof=1) / 5 for a in (0, 1))
    whole = sum(y[codes == a].var(ddof=1) for a in (0, 1))
    assert found.error**2 == pytest.approx((2 / 12) ** 2 * whole + (10 / 12) ** 2 * own)


def test_survey_weights_in_strata_that_cannot_be_pooled_fall_back_to_hc2(make_view: Maker) -> None:
    view = replace(make_view(uniform(4, 12), np.arange(12) % 2, strata=[0, 0] + [1] * 10), weights=np.ones(12))
    found = DifferenceInMeans().estimate(view)[0]
    assert found.variance == "HC2"
    assert "cannot be pooled" in found.reason


def test_a_stratum_without_an_arm_weights_by_share(make_view: Maker) -> None:
    y = uniform(5, 30)
    strata = np.repeat([0, 1, 2], 10)
    codes = np.concatenate([np.arange(10) % 2, (np.arange(10) % 5 == 0), np.zeros(10)]).astype(int)
    shares = np.where((strata == 0)[:, None], [0.5, 0.5], [0.8, 0.2])
    found = DifferenceInMeans().estimate(make_view(y, codes, strata=strata, shares=shares))[0]
    w = 1 / shares[np.arange(30), codes]
    wanted = np.average(y[codes == 1], weights=w[codes == 1]) - np.average(y[codes == 0], weights=w[codes == 0])
    assert found.value == pytest.approx(wanted, rel=1e-12)
    assert found.estimator == "Hajek difference in means"
    assert found.dof is not None
    assert found.dof < 8  # seven people carry the arm, two of them with weights of five
    assert "1 of 3 strata lack one of the two arms" in found.reason
    assert "Satterthwaite degrees of freedom (few people in an arm)" in found.reason
    assert any("degrees of freedom: trust a randomisation test" in note for note in found.notes)


def test_people_without_a_chance_of_an_arm_are_left_out(make_view: Maker) -> None:
    y, strata = uniform(6, 40), np.repeat([0, 1], 20)
    codes = np.where(strata == 0, np.arange(40) % 3, np.arange(40) % 2)
    shares = np.where((strata == 0)[:, None], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0.0])
    view = make_view(y, codes, strata=strata, shares=shares, arms=("a", "b", "c"))
    found = DifferenceInMeans().estimate(view, contrasts=(("c", "a"),))[0]
    here = strata == 0
    assert found.value == pytest.approx(y[here & (codes == 2)].mean() - y[here & (codes == 0)].mean(), rel=1e-12)
    assert found.n == {"a": 7, "b": 7, "c": 6}
    assert "20 people who had no chance" in " ".join(found.notes)


@pytest.mark.parametrize(
    ("strata", "variance"),
    [
        (None, "CR2"),
        ([0, 0, 0, 0, 1, 1, 1, 1], "CR2"),
        ([0, 0, 1, 1, 2, 2, 3, 3], "between pairs"),
        ([0, 0, 1, 1, 1, 1, 1, 1], "CR2"),
    ],
)
def test_clusters(make_view: Maker, strata: list[int] | None, variance: str) -> None:
    clusters = np.arange(64) % 8
    codes = clusters % 2
    y = uniform(7, 64) + uniform(8, 8)[clusters]
    view = make_view(y, codes, clusters=clusters, strata=None if strata is None else np.array(strata)[clusters])
    found = DifferenceInMeans().estimate(view)[0]
    assert found.variance == variance
    assert found.clusters == 8
    assert found.dof is not None
    assert found.dof < 7


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    key=st.integers(1, 10**6),
    shape=st.sampled_from(["one", "strata", "small", "lacking", "clusters", "clusters in strata"]),
    shift=st.floats(-1e4, 1e4),
    scale=st.floats(0.01, 100.0),
)
def test_laws(make_view: Maker, key: int, shape: str, shift: float, scale: float) -> None:
    build = make_view
    n = 48
    y, codes = uniform(key, n), np.arange(n) % 2
    strata = {
        "strata": np.arange(n) // 12,
        "small": np.array([0, 0, 1, 1, 2, 2] + [3] * 42),
        "lacking": np.r_[[0], [1] * 47],
    }.get(shape)
    clusters = None
    if shape.startswith("clusters"):
        clusters = np.arange(n) % 8
        strata = clusters // 4 if "strata" in shape else None
    value, error, dof = one(build(y, codes, strata=strata, clusters=clusters))
    moved = one(build(shift + scale * y, codes, strata=strata, clusters=clusters))
    assert moved[0] == pytest.approx(scale * value, rel=1e-6, abs=1e-8 * (1 + abs(shift)))
    assert moved[1] == pytest.approx(scale * error, rel=1e-5)
    assert moved[2] == pytest.approx(dof, rel=1e-5)
    rows = np.argsort(uniform(key + 1, n))
    pick = lambda a: None if a is None else a[rows]  # noqa: E731
    again = one(build(y[rows], codes[rows], strata=pick(strata), clusters=pick(clusters)))
    assert again == pytest.approx((value, error, dof), rel=1e-9)
    swapped = DifferenceInMeans().estimate(
        build(y, codes, strata=strata, clusters=clusters), (("control", "coaching"),)
    )[0]
    assert swapped.value == pytest.approx(-value, rel=1e-9, abs=1e-12)
    assert swapped.error == pytest.approx(error, rel=1e-9)


def test_refusals(make_view: Maker) -> None:
    y, codes = uniform(9, 10), np.arange(10) % 2
    with pytest.raises(EstimationError, match="arm 'coaching' has nobody with an observed 'y'"):
        DifferenceInMeans().estimate(make_view(y, np.zeros(10, dtype=int)))
    with pytest.raises(EstimationError, match="arm 'coaching' has one person"):
        DifferenceInMeans().estimate(make_view(y, [1] + [0] * 9))
    with pytest.raises(EstimationError, match="arm 'coaching' has one cluster"):
        DifferenceInMeans().estimate(make_view(y, [1, 1] + [0] * 8, clusters=np.arange(10) // 2))
    with pytest.raises(EstimationError, match="'y' shows no variation"):
        DifferenceInMeans().estimate(make_view(np.full(10, 3.3), codes))
    with pytest.raises(EstimationError, match="leaves no variation to judge"):
        DifferenceInMeans().estimate(make_view(np.where(codes == 1, 0.3, 0.1), codes))
    with pytest.raises(EstimationError, match="would ignore them"):
        DifferenceInMeans(errors="Neyman").estimate(make_view(y, codes, clusters=np.arange(10)))
    with pytest.raises(EstimationError, match="CR2 does not apply"):
        DifferenceInMeans(errors="CR2").estimate(make_view(y, codes))
    with pytest.raises(EstimationError, match="gives them no chance"):
        DifferenceInMeans().estimate(
            make_view(y, codes, shares=[[0.5, 0.5]] * 9 + [[1.0, 0.0]], arms=("control", "coaching"))
        )


def test_contrasts_are_checked(make_view: Maker) -> None:
    view = make_view(uniform(10, 10), np.arange(10) % 2)
    with pytest.raises(DesignError, match="Did you mean 'coaching'"):
        DifferenceInMeans().estimate(view, contrasts=(("coachin", "control"),))
    with pytest.raises(DesignError, match="with itself"):
        DifferenceInMeans().estimate(view, contrasts=(("control", "control"),))
    with pytest.raises(DesignError, match="must be pairs"):
        DifferenceInMeans().estimate(view, contrasts=("coaching", "control"))  # type: ignore[arg-type]
    with pytest.raises(DesignError, match="contrasts is empty"):
        DifferenceInMeans().estimate(view, contrasts=())
    with pytest.raises(DesignError, match="errors must be one of"):
        DifferenceInMeans(errors="HC2")


def test_unequal_attrition_is_noted(make_view: Maker) -> None:
    y, codes = uniform(11, 150), (np.arange(150) >= 100).astype(int)
    uneven = DifferenceInMeans().estimate(make_view(y, codes, assigned=(110, 100)))[0]
    assert uneven.missing == {"control": 10, "coaching": 50}
    assert "missing at different rates: 50.0% in 'coaching', 9.1% in 'control'" in " ".join(uneven.notes)
    even = DifferenceInMeans().estimate(make_view(y, codes, assigned=(110, 55)))[0]
    assert even.notes == ()


def test_it_travels_as_json() -> None:
    assert decode(encode(DifferenceInMeans(errors="CR2"))) == DifferenceInMeans(errors="CR2")


def test_large_strata_beside_small_ones_have_the_degrees_of_freedom_of_their_cells(make_view: Maker) -> None:
    # Shares 1/20, 1/20, 1/10, 1/10, 1/2, 1/2 of 20 people each: cells of 1, 2 and 10.
    strata = np.repeat(np.arange(6), 20)
    treated = np.repeat([1, 1, 2, 2, 10, 10], 20)
    codes = (np.tile(np.arange(20), 6) < treated).astype(int)
    found = DifferenceInMeans().estimate(make_view(uniform(11, 120), codes, strata=strata))[0]
    assert found.variance == "hybrid_m"
    assert found.dof is not None
    assert found.dof < 40  # n - 2B would be 72 for the four large strata alone


def test_a_rare_outcome_and_a_small_arm_are_told(make_view: Maker) -> None:
    codes = (np.arange(1000) < 50).astype(int)
    rare = np.zeros(1000)
    rare[60:80] = 1.0  # nobody in the small arm: its own skewness would show nothing
    assert any(
        "the outcome is skewed" in note for note in DifferenceInMeans().estimate(make_view(rare, codes))[0].notes
    )
    even = DifferenceInMeans().estimate(make_view(rare, np.arange(1000) % 2))[0]
    assert not any("skewed" in note for note in even.notes)
    assert not DifferenceInMeans().estimate(make_view(uniform(12, 1000), codes))[0].notes


def test_few_events_give_as_many_degrees_of_freedom_less_one(make_view: Maker) -> None:
    codes = np.arange(400) % 2
    y = np.isin(np.arange(400), [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 1, 3, 5, 7]).astype(float)
    found = DifferenceInMeans().estimate(make_view(y, codes))[0]
    plain = DifferenceInMeans(errors="Neyman").estimate(make_view(y, codes))[0]
    assert (found.value, found.error, found.variance) == (plain.value, plain.error, "Neyman")
    assert found.dof == 14.0
    assert plain.dof is not None
    assert plain.dof > 300
    assert "only 15 of 400 people have the rarer of two values: as many, less one, are taken" in found.reason
    assert "the rarer" not in plain.reason
    # The same outcome turned round, and on another scale.
    assert DifferenceInMeans().estimate(make_view(7 - 3 * y, codes))[0].dof == 14.0
    # A third value, or more events, and Welch's degrees of freedom stay.
    third = np.where(np.arange(400) == 399, 2.0, y)
    assert DifferenceInMeans().estimate(make_view(third, codes))[0].dof != 14.0


def test_more_care_never_makes_an_interval_shorter(make_view: Maker) -> None:
    # Four of 60 people and a skewed outcome: the variance of both arms together, but not its 58 degrees of freedom.
    rng, raised = np.random.default_rng(8), 0
    for _ in range(60):
        codes = (np.arange(60) < 4).astype(int)
        y = rng.exponential(size=60) * np.where(codes, 2.0, 1.0)
        view = make_view(y, codes, shares=np.tile([56 / 60, 4 / 60], (60, 1)))
        plain, careful = (DifferenceInMeans(errors=kind).estimate(view)[0] for kind in ("Neyman", "auto"))
        assert plain.variance == "Neyman"
        welch = sum(y[codes == a].var(ddof=1) / (codes == a).sum() for a in (0, 1))
        assert plain.error**2 == pytest.approx(welch)
        raised += careful.variance == "pooled over arms"
        assert careful.value == plain.value
        assert np.ptp(careful.interval(0.95)) >= np.ptp(plain.interval(0.95)) - 1e-12
    assert raised > 5
