"""Waves whose shares follow earlier outcomes: exact shares, replay, growth, and the law under the null."""

from __future__ import annotations

from fractions import Fraction as F

import numpy as np
import pytest

import kokeilu as kk
from kokeilu.errors import DesignError
from kokeilu.testing import exact_marginals, mechanism_laws

TWO, THREE = kk.arms(control=1, call=1), kk.arms(control=2, call=1, visit=1)
SMALL = {
    "id": list(range(1, 11)),
    "wave": [1, 1, 1, 1, 2, 2, 2, 10, 10, 10],
    "came": ["1", "0", "1", "1", "0", "0", "1", "unknown", "unknown", "1"],
    "sex": list("ababababab"),
}
LARGE = {
    "id": list(range(600)),
    "wave": [1] * 200 + [2] * 200 + [3] * 200,
    "came": ["1" if i % 7 < 3 else "0" for i in range(400)] + ["unknown"] * 200,
}
INSTANCES = [
    (kk.Adaptive(TWO, outcome="came"), SMALL),
    (kk.Adaptive(TWO, outcome="came", rule="exploration", floor="1/5", grid=10), SMALL),
    (kk.Adaptive(THREE, outcome="came", rule="tempered", grid=7), SMALL),
    (kk.Adaptive(TWO, outcome="came", by="sex", floor="1/4", grid=20), SMALL),
]


@pytest.mark.parametrize(
    ("law", "mechanism", "register"), mechanism_laws(INSTANCES), ids=lambda v: getattr(v, "__name__", "")
)
def test_law_holds(law, mechanism, register):
    law(mechanism, register)


def drawn(design, table=SMALL, seed="waves"):
    return kk.randomise(table, design, id="id", seed=seed)


def test_shares_follow_the_rule_on_the_grid():
    counts = {"control": 8, "call": 12, "visit": 10}, {"control": 12, "call": 8, "visit": 10}
    found = {
        rule: kk.Adaptive(THREE, outcome="y", rule=rule, gamma=0.2, grid=1_000).shares_after(*counts).shares
        for rule in ("thompson", "exploration", "tempered")
    }
    assert found == {
        "thompson": (F(66, 1_000), F(689, 1_000), F(245, 1_000)),
        "exploration": (F(133, 1_000), F(465, 1_000), F(402, 1_000)),
        "tempered": (F(119, 1_000), F(618, 1_000), F(263, 1_000)),
    }
    floored = kk.Adaptive(THREE, outcome="y", floor="0.1", grid=50).shares_after(*counts).shares
    assert floored == (F(1, 10), F(33, 50), F(6, 25))


def test_the_record_holds_the_shares_that_were_used():
    assignment = drawn(kk.Adaptive(THREE, outcome="came", floor="1/10"), LARGE)
    record, came = kk.wave_shares(assignment), np.array(LARGE["came"])
    wave = np.array(LARGE["wave"])
    for w in (1, 2, 3):
        for k in range(3):
            here = (wave == w) & (assignment.codes == k)
            assert record.people[w - 1][k] == here.sum()
            assert record.successes[w - 1][k] == (here & (came == "1")).sum()
            assert record.failures[w - 1][k] == (here & (came == "0")).sum()
    design = assignment.mechanism
    names = assignment.arms.names
    assert record.shares[0] == THREE.shares
    for w in (1, 2):
        before = [dict(zip(names, map(sum, zip(*side[:w], strict=True)), strict=True))
                  for side in (record.successes, record.failures)]  # fmt: skip
        assert record.shares[w] == design.shares_after(*before).shares
        for k in range(3):
            assert abs(record.people[w][k] - 200 * record.shares[w][k]) < 1
    given = assignment.lottery.shares_given(assignment.codes)
    np.testing.assert_allclose(given[450], [float(s) for s in record.shares[2]])
    assert "The next wave, from these outcomes:" in str(record)


def test_waves_grow_and_nobody_moves():
    design = kk.Adaptive(TWO, outcome="came", floor="1/10")

    def part(upto, known):
        keep = [i for i in range(600) if LARGE["wave"][i] <= upto]
        came = [LARGE["came"][i] if LARGE["wave"][i] <= known else "unknown" for i in keep]
        return {"id": keep, "wave": [LARGE["wave"][i] for i in keep], "came": came}

    first = drawn(design, part(1, 0))
    second = kk.next_wave(first, part(2, 1))
    third = kk.next_wave(second, part(3, 2))
    assert np.array_equal(third.codes[:200], first.codes)
    assert np.array_equal(third.codes[:400], second.codes)
    assert kk.verify(third, part(3, 2)).verified

    changed = part(3, 2) | {"came": ["0" if i < 150 else c for i, c in enumerate(part(3, 2)["came"])]}
    with pytest.raises(DesignError, match="people of the earlier waves would get another arm"):
        kk.next_wave(second, changed)
    assert not kk.verify(third, changed).verified
    gone = {name: values[1:] for name, values in part(3, 2).items()}
    with pytest.raises(DesignError, match="1 person of the earlier waves is not in the table"):
        kk.next_wave(second, gone)
    with pytest.raises(DesignError, match="not drawn by kokeilu.Adaptive"):
        kk.next_wave(drawn(kk.Complete(TWO)), part(2, 1))


def test_redraws_replay_the_rule_with_the_outcomes():
    design = kk.Adaptive(TWO, outcome="came")
    lottery = drawn(design, LARGE).lottery
    stream = drawn(design, LARGE).stream("redraws")
    codes = lottery.draw(stream, 300)
    for row in codes[:10]:
        assert lottery.problem(row) is None
        shares = lottery.history(row)[0]
        assert [(row[200:400] == k).sum() for k in (0, 1)] == [200 * s for s in shares[1]]
    assert len({(row[200:400] == 1).sum() for row in codes}) > 10
    swapped = codes[0].copy()
    swapped[200:400] = 1 - swapped[200:400]
    assert "arm counts that the shares after the earlier waves do not give" in lottery.problem(swapped)


def test_outcomes_of_another_sharp_hypothesis_change_the_law():
    lottery = drawn(kk.Adaptive(TWO, outcome="came")).lottery
    helps = np.stack([np.zeros(10), np.ones(10)], axis=1).astype(int)
    helped = lottery.with_outcomes(helps)
    assert helped.shares()[9, 1] > 0.9
    assert lottery.shares()[9, 1] == pytest.approx(0.5)
    assert np.abs(exact_marginals(helped) - helped.shares()).max() < 1e-12
    assert lottery.with_outcomes(lottery.outcomes[:, 0]).count() == lottery.count()
    with pytest.raises(DesignError, match="outcomes must be 1, 0 or -1"):
        lottery.with_outcomes(np.full(10, 2))


def test_the_first_wave_and_small_trials_have_exact_shares():
    small = drawn(kk.Adaptive(THREE, outcome="came")).lottery
    assert small.share_error == 0
    large = drawn(kk.Adaptive(THREE, outcome="came"), LARGE).lottery
    assert 0 < large.share_error < 0.02
    np.testing.assert_array_equal(large.shares()[:200], np.tile([0.5, 0.25, 0.25], (200, 1)))


def test_the_test_of_no_effect_keeps_its_level():
    """Over all assignments of a small trial, each with its probability, at most 10 % have p <= 0.10."""
    start = drawn(kk.Adaptive(TWO, outcome="came", floor="2/5", grid=5))
    codes, chances = next(start.lottery.every())
    wages = {"id": SMALL["id"], "y": [3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.0, 3.5, 8.0, 9.7]}
    rejected = 0.0
    for row, chance in zip(codes, chances, strict=True):
        again = kk.Assignment(
            mechanism=start.mechanism, population=start.population, lottery=start.lottery, codes=row, seed=None
        )
        test = kk.randomisation_test(again, wages, "y", studentise=False)
        assert test.exact
        rejected += chance * (test.p_value <= 0.10)
    assert 0 < rejected <= 0.10


def test_differences_within_waves_are_unbiased_and_pooled_means_are_not():
    n, wave = 240, np.arange(240) * 3 // 240
    table = {"id": list(range(n)), "wave": wave.tolist(), "came": ["0"] * n}
    start = drawn(kk.Adaptive(TWO, outcome="came", floor="1/10", grid=20), table)
    luck = start.stream("outcomes").doubles(1, n)[0]
    potential = np.stack([luck < 0.3, luck < 0.5], axis=1).astype(int)
    codes = start.lottery.with_outcomes(potential).draw(start.stream("draws"), 1_500)
    y = potential[np.arange(n), codes.astype(int)]

    def difference(keep):
        here, seen = codes[:, keep], y[:, keep]
        return [(seen * (here == k)).sum(axis=1) / (here == k).sum(axis=1) for k in (0, 1)]

    truth = (potential[:, 1] - potential[:, 0]).mean()
    low, high = difference(wave >= 0)
    pooled = high - low - truth
    within = np.mean([b - a for a, b in (difference(wave == w) for w in range(3))], axis=0) - truth
    assert abs(within.mean()) < 4 * within.std() / np.sqrt(1_500)
    assert abs(pooled.mean()) > 5 * pooled.std() / np.sqrt(1_500)


def test_waves_go_by_size_where_they_are_whole_numbers():
    assert kk.wave_shares(drawn(kk.Adaptive(TWO, outcome="came"))).waves == ("1", "2", "10")
    named = SMALL | {"wave": ["w2"] * 4 + ["w10"] * 3 + ["w3"] * 3}
    with pytest.raises(DesignError, match="fewer people than the 3 arms"):
        drawn(kk.Adaptive(THREE, outcome="came"), SMALL | {"wave": [1] * 8 + [2] * 2})
    assert kk.wave_shares(drawn(kk.Adaptive(TWO, outcome="came"), named)).waves == ("w10", "w2", "w3")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rule": "thomson"}, "Did you mean 'thompson'"),
        ({"floor": "1/3", "grid": 10}, "whole number of parts of 1/10"),
        ({"floor": "3/5", "grid": 10}, "2 times it at most 1"),
        ({"gamma": 2}, "gamma must lie between 0 and 1"),
        ({"grid": 1}, "grid must be at least 2"),
        ({"grid": 10**7}, "at most 1,000,000"),
        ({"outcome": "wave"}, "must be different columns"),
        ({"outcome": ("came", "sex")}, "takes one column in `outcome`"),
        ({"arms": "two"}, "Adaptive needs arms"),
    ],
)
def test_contradictions_are_refused(changes, says):
    with pytest.raises(DesignError, match=says):
        kk.Adaptive(**{"arms": TWO, "outcome": "came"} | changes)


def test_outcomes_must_be_known_or_said_to_be_unknown():
    with pytest.raises(DesignError, match="must be 1, 0 or 'unknown'; 2 people have another value") as caught:
        drawn(kk.Adaptive(TWO, outcome="came"), SMALL | {"came": ["98765"] * 2 + ["1"] * 8})
    assert "98765" not in str(caught.value)
    with pytest.raises(DesignError, match="1 wave before the newest has no known 'came'"):
        drawn(kk.Adaptive(TWO, outcome="came"), SMALL | {"came": ["1"] * 4 + ["unknown"] * 6})
    with pytest.raises(DesignError, match="gives a count for every arm"):
        kk.Adaptive(TWO, outcome="came").shares_after({"control": 1}, {"control": 1, "call": 2})
