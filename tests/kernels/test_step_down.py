"""Step-down adjusted p-values by their definition, and the statistics that many contrasts share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kokeilu._kernels import many as kernel
from kokeilu._kernels.batched import studentised
from kokeilu._kernels.many import Contrast, Many, slice_of
from kokeilu._kernels.step_down import max_t, min_p

FINITE = st.floats(0, 8).map(lambda value: round(value, 1))


def tables(draws: int = 15) -> st.SearchStrategy[np.ndarray]:
    return st.integers(1, 4).flatmap(lambda m: arrays.arrays(np.float64, (draws, m), elements=FINITE))


def by_definition(observed: np.ndarray, drawn: np.ndarray, chances: np.ndarray | None) -> list[float]:
    """max-T, one hypothesis after the other, in the order of the observed statistics."""
    order = sorted(range(observed.size), key=lambda j: -observed[j])
    adjusted, running = [0.0] * observed.size, 0.0
    for rank, j in enumerate(order):
        hit = drawn[:, order[rank:]].max(axis=1) >= observed[j] - 1e-9
        p = (1 + hit.sum()) / (1 + len(drawn)) if chances is None else float(chances[hit].sum())
        running = max(running, p)
        adjusted[j] = running
    return adjusted


@given(tables())
def test_max_t_by_its_definition(drawn: np.ndarray) -> None:
    found = max_t(drawn[0], [(drawn[1:7], None), (drawn[7:], None)])
    assert found.adjusted == pytest.approx(by_definition(drawn[0], drawn[1:], None))
    assert (found.draws, found.exact) == (14, False)
    chances = np.full(15, 1 / 15)
    exact = max_t(drawn[0], [(drawn[:4], chances[:4]), (drawn[4:], chances[4:])])
    assert exact.adjusted == pytest.approx(by_definition(drawn[0], drawn, chances))
    assert (exact.draws, exact.exact) == (15, True)


@given(tables())
def test_min_p_is_max_t_of_the_ranks(drawn: np.ndarray) -> None:
    """Each column's p-values, larger is more extreme when negated."""
    chances = np.full(15, 1 / 15)
    tails = -np.array([[(column >= value - 1e-9).mean() for value in column] for column in drawn.T]).T
    found = min_p(drawn[0], [(drawn, chances)])
    assert found.own == pytest.approx(-tails[0])
    assert found.adjusted == pytest.approx(by_definition(tails[0], tails, chances))
    redrawn = min_p(drawn[0], [(drawn[1:5], None), (drawn[5:], None)])
    assert redrawn.own == pytest.approx(found.own)
    assert redrawn.adjusted == pytest.approx(found.adjusted)
    assert (redrawn.draws, redrawn.exact) == (14, False)


@settings(max_examples=50)
@given(tables(), st.sampled_from([max_t, min_p]), st.integers(1, 14))
def test_adjusted_values_are_monotone_and_never_below_their_own(drawn: np.ndarray, step, cut: int) -> None:
    found = step(drawn[0], [(drawn[1 : cut + 1], None), (drawn[cut + 1 :], None)] if cut < 14 else [(drawn[1:], None)])
    assert (found.adjusted >= found.own - 1e-12).all()
    assert (found.adjusted <= 1.0).all()
    order = np.argsort(found.own if step is min_p else -drawn[0], kind="stable")
    assert (np.diff(found.adjusted[order]) >= -1e-12).all()


@given(tables(), st.sampled_from([max_t, min_p]), st.data())
def test_the_order_of_the_hypotheses_does_not_show(drawn: np.ndarray, step, data: st.DataObject) -> None:
    order = np.array(data.draw(st.permutations(range(drawn.shape[1]))))
    plain = step(drawn[0], [(drawn[1:], None)])
    turned = step(drawn[0, order], [(drawn[1:, order], None)])
    # Where observed statistics tie, either may come first; the values are the same.
    assert turned.adjusted == pytest.approx(plain.adjusted[order])


@given(tables(), st.sampled_from([max_t, min_p]))
def test_leaving_a_hypothesis_out_never_makes_the_others_larger(drawn: np.ndarray, step) -> None:
    whole, fewer = (step(table[0], [(table[1:], None)]) for table in (drawn, drawn[:, :1]))
    assert fewer.adjusted[0] <= whole.adjusted[0] + 1e-12


@settings(max_examples=60)
@given(tables(20), st.sampled_from([max_t, min_p]), st.sampled_from([0.1, 0.25, 0.5]))
def test_the_level_holds_where_every_draw_is_equally_likely(drawn: np.ndarray, step, alpha: float) -> None:
    """Each of the draws in turn is the observed one: any rejection is false, and at most alpha of them make one."""
    chances = np.full(20, 1 / 20)
    least = [step(row, [(drawn, chances)]).adjusted.min() for row in drawn]
    assert np.mean(np.array(least) <= alpha + 1e-12) <= alpha + 1e-12


@pytest.mark.parametrize("step", [max_t, min_p])
def test_an_undefined_statistic_has_p_one_and_burdens_nobody(step) -> None:
    rng = np.random.default_rng(1)
    drawn = np.abs(rng.normal(size=(99, 2)))
    gone = np.full((99, 1), -np.inf)
    found = step(np.array([2.5, -np.inf, 1.0]), [(np.column_stack([drawn[:, :1], gone, drawn[:, 1:]]), None)])
    alone = step(np.array([2.5, 1.0]), [(drawn, None)])
    assert found.own[1] == found.adjusted[1] == 1.0
    assert found.adjusted[[0, 2]] == pytest.approx(alone.adjusted)


def test_draws_without_variance_are_the_least_extreme() -> None:
    drawn = np.array([[-np.inf], [-np.inf], [3.0], [0.5]])
    assert max_t(np.array([1.0]), [(drawn, None)]).own[0] == 2 / 5
    assert min_p(np.array([1.0]), [(drawn, None)]).own[0] == 2 / 5


SHAPES = {
    "one group": (1, 60, False, False),
    "strata": (3, 40, False, False),
    "small strata": (50, 4, False, False),
    "pairs": (30, 2, False, False),
    "clusters": (1, 60, True, False),
    "clusters in strata": (4, 40, True, False),
    "weighted": (4, 40, False, True),
    "weighted clusters": (20, 16, True, True),
}


def case(name: str):
    n_strata, per, clustered, weighted = SHAPES[name]
    rng = np.random.default_rng(3)
    strata = np.repeat(np.arange(n_strata), per)
    units = np.arange(strata.size) // 2 if clustered else np.arange(strata.size)
    own = strata[np.unique(units, return_index=True)[1]]
    codes = np.empty((40, own.size), dtype=np.int8)
    for row in codes:
        for stratum in range(n_strata):
            mine = np.flatnonzero(own == stratum)
            row[mine] = rng.permutation(np.arange(mine.size) % (2 if per == 2 else 3))
    y = rng.normal(size=strata.size)
    weights = rng.uniform(1, 3, (y.size, 3)) if weighted else None
    return y - y.mean(), units, strata, own, weights, codes


@pytest.mark.parametrize("name", SHAPES)
def test_many_statistics_are_those_of_each_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    y, units, strata, own, weights, codes = case(name)
    grouped = units[-1] + 1 < y.size
    part = slice_of(y, units, strata, own, weights=weights, grouped=grouped)
    pair = Many([part, part], [Contrast(0, 1, 0), Contrast(1, 0, 1)])
    values, errors = pair.estimates(codes)
    expected = studentised(
        y,
        codes[:, units],
        arm=1,
        reference=0,
        strata=None if own.max() == 0 else strata,
        clusters=units if grouped else None,
        weights=None if weights is None else weights[:, [1, 0]],
    )
    assert values == pytest.approx(np.column_stack([expected[0], -expected[0]]), rel=1e-9, abs=1e-12)
    assert errors == pytest.approx(np.column_stack([expected[1]] * 2), rel=1e-9)
    monkeypatch.setattr(kernel, "CHUNK_CELLS", 7 * own.size)
    assert pair.estimates(codes)[0] == pytest.approx(values, rel=1e-12)


def test_some_of_the_people_are_a_slice_of_their_own() -> None:
    y, units, strata, own, _, codes = case("strata")
    here = np.arange(y.size) % 5 > 0
    part = slice_of(y[here], units[here], strata[here], own)
    values, errors = Many([part], [Contrast(0, 2, 1)]).estimates(codes)
    expected = studentised(y[here], codes[:, here], arm=2, reference=1, strata=strata[here])
    assert values[:, 0] == pytest.approx(expected[0], rel=1e-9)
    assert errors[:, 0] == pytest.approx(expected[1], rel=1e-9)


def test_survey_weights_make_weighted_means() -> None:
    y, units, strata, own, _, codes = case("one group")
    counted = np.random.default_rng(4).uniform(0.5, 2, y.size)
    part = slice_of(y, units, strata, own, counted=counted)
    values = Many([part], [Contrast(0, 1, 0)]).estimates(codes)[0]
    means = [np.average(y[codes[0] == arm], weights=counted[codes[0] == arm]) for arm in (1, 0)]
    assert values[0, 0] == pytest.approx(means[0] - means[1])


def test_spread_is_welchs_statistic_of_the_arms() -> None:
    y, units, strata, own, _, codes = case("one group")
    part = slice_of(y, units, strata, own)
    found = Many([part, part], [Contrast(0, 1, 0), Contrast(0, 2, 0)]).spread(codes)
    groups = [y[codes[0] == arm] for arm in range(3)]
    w = np.array([g.size / g.var(ddof=1) for g in groups])
    m = np.array([g.mean() for g in groups])
    assert found[0] == pytest.approx(float((w * (m - w @ m / w.sum()) ** 2).sum()))


def test_no_variance_is_the_least_extreme() -> None:
    y = np.array([0.0, 0.0, 0.0, 1.0])
    codes = np.array([[0, 0, 1, 1], [0, 1, 1, 0]], dtype=np.int8)
    part = slice_of(y - y.mean(), np.arange(4), np.zeros(4, dtype=np.int64), np.zeros(4, dtype=np.int64))
    flat = slice_of(np.zeros(4), np.arange(4), np.zeros(4, dtype=np.int64), np.zeros(4, dtype=np.int64))
    found = Many([part, flat], [Contrast(0, 1, 0), Contrast(1, 1, 0)])
    assert found.statistics(codes)[0, 0] == pytest.approx(1.0)
    assert (found.statistics(codes)[:, 1] == -np.inf).all()
    assert (Many([part], [Contrast(0, 1, 0)]).spread(codes) == -np.inf).all()
