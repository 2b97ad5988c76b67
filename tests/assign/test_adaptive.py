"""Waves whose shares follow earlier outcomes: exact shares, replay, growth, and the law under the null."""

from __future__ import annotations

from fractions import Fraction as F

import numpy as np
import pytest
from scipy import stats

import kokeilu as kk
from kokeilu._kernels import moments
from kokeilu.core.lottery import cells_of
from kokeilu.errors import DesignError, EstimationError
from kokeilu.estimate.means import DifferenceInMeans
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


def trending(design, seed, n=40, waves=4):
    """A trial of no effect whose outcome rises from wave to wave, drawn wave by wave as it would be."""
    wave = np.arange(n * waves) // n
    table = {"id": list(range(n * waves)), "wave": wave.tolist(), "came": ["0"] * (n * waves)}
    start = drawn(design, table, seed)
    luck = start.stream("luck").doubles(1, n * waves)[0]
    came = (luck < 0.2 + 0.6 * wave / (waves - 1)).astype(int)
    return drawn(design, table | {"came": [str(x) for x in came]}, seed), {"id": table["id"], "y": came.tolist()}


def test_a_trend_over_waves_is_no_effect():
    """Pooled over waves by chances from before the trial, most of these trials would find one."""
    wrong = refused = 0
    for seed in range(40):
        trial, outcomes = trending(kk.Adaptive(TWO, outcome="came"), f"trend {seed}")
        short = min(min(row) for row in kk.wave_shares(trial).people) < 2
        if short:
            refused += 1
            with pytest.raises(EstimationError, match="waves can neither be pooled nor left out without bias"):
                kk.estimate_effects(trial, outcomes, "y")
        else:
            wrong += kk.estimate_effects(trial, outcomes, "y")[0].p_value() <= 0.05
    assert refused > 5
    assert wrong <= 3


def test_rare_outcomes_in_small_waves_keep_the_level():
    """Neyman's variance of a rare arm without a success is nought: alone it rejects in one trial of seven."""
    found, plain = 0, 0
    for seed in range(60):
        n = 60
        wave = np.arange(n) // 20
        table = {"id": list(range(n)), "wave": wave.tolist(), "came": ["0"] * n}
        design = kk.Adaptive(TWO, outcome="came", floor="1/10")
        came = (drawn(design, table, f"rare {seed}").stream("luck").doubles(1, n)[0] < 0.1).astype(int)
        trial = drawn(design, table | {"came": [str(x) for x in came]}, f"rare {seed}")
        view = kk.align(trial, {"id": table["id"], "y": came.tolist()}, "y")
        effect = DifferenceInMeans().estimate(view)[0]
        assert effect.variance == "larger of Neyman and pooled"
        found += effect.p_value() <= 0.05
        table_of_cells = moments.cells(view.y, view.codes, view.strata, arm=1, reference=0)
        own = moments.stratified(table_of_cells, np.full(3, 20.0))
        dof = moments.satterthwaite(table_of_cells, np.full(3, 20.0))
        plain += 2 * stats.t.sf(abs(own.value) / np.sqrt(own.variance), dof) <= 0.05
    assert found <= 2
    assert plain >= 5


def test_waves_with_one_person_in_an_arm_are_refused_and_strata_join_within_waves():
    trial = drawn(kk.Adaptive(TWO, outcome="came", by="sex"), SMALL)
    table = {"id": SMALL["id"], "y": list(range(10))}
    with pytest.raises(EstimationError, match="fewer than two people of 'call' or 'control'"):
        kk.estimate_effects(trial, table, "y")
    n = 48
    people = {
        "id": list(range(n)),
        "wave": [1 + i // 24 for i in range(n)],
        "came": ["1" if i % 3 else "0" for i in range(n)],
        "sex": ["a" if i % 8 else "b" for i in range(n)],
    }
    split = drawn(kk.Adaptive(TWO, outcome="came", by="sex", floor="1/4"), people)
    effect = kk.estimate_effects(split, {"id": people["id"], "y": [i % 5 for i in range(n)]}, "y")[0]
    assert "4 strata of 2 waves are compared as one stratum for each wave" in " ".join(effect.notes)
    wave = np.array(people["wave"])
    y, codes = np.arange(n) % 5, split.codes
    by_hand = [y[(wave == w) & (codes == 1)].mean() - y[(wave == w) & (codes == 0)].mean() for w in (1, 2)]
    assert effect.value == pytest.approx(np.mean(by_hand), abs=1e-12)


def test_the_larger_variance_is_the_pooled_one_by_hand():
    n = 40
    wave = np.arange(n) // 20
    table = {"id": list(range(n)), "wave": wave.tolist(), "came": ["1" if i % 3 else "0" for i in range(n)]}
    trial = drawn(kk.Adaptive(TWO, outcome="came", floor="1/5"), table)
    y = np.where(trial.codes == 1, 5.0 + np.arange(n) % 2, np.arange(n) % 7)
    effect = kk.estimate_effects(trial, {"id": table["id"], "y": y.tolist()}, "y")[0]
    own, pooled = 0.0, 0.0
    for w in (0, 1):
        a, b = (y[(wave == w) & (trial.codes == k)] for k in (0, 1))
        own += (a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)) / 4
        both = (((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()) / 18
        pooled += both * (1 / len(a) + 1 / len(b)) / 4
    assert effect.error**2 == pytest.approx(max(own, pooled), rel=1e-12)


def test_other_estimators_note_waves_with_few_people_of_an_arm():
    table = {name: values[:] for name, values in LARGE.items()} | {"age": [i % 11 for i in range(600)]}
    trial = drawn(kk.Adaptive(TWO, outcome="came", floor="1/10"), table).also_known("age")
    outcomes = {"id": table["id"], "y": [(i * i) % 17 for i in range(600)], "age": table["age"]}
    effect = kk.estimate_effects(trial, outcomes, "y", covariates=("age",))[0]
    counts = [min(((np.array(table["wave"]) == w) & (trial.codes == k)).sum() for w in (1, 2, 3)) for k in (0, 1)]
    assert any(f"some wave or stratum has {min(counts)} people of an arm" in note for note in effect.notes)
    test = kk.randomisation_test(trial, outcomes, "y", draws=99)
    assert any("supposes besides that no arm changes the outcome" in note for note in test.notes)


def test_an_estimator_that_weights_across_waves_is_refused():
    trial = drawn(kk.Adaptive(TWO, outcome="came", floor="1/10"), LARGE)
    outcomes = {"id": LARGE["id"], "y": [(i * i) % 17 for i in range(600)]}
    with pytest.raises(EstimationError, match="AIPW weights people of all waves by their chances from before"):
        kk.estimate_effects(trial, outcomes, "y", estimator=kk.AIPW())


@pytest.mark.parametrize(
    "design",
    [
        kk.Fixed(kk.Adaptive(TWO, outcome="came", floor="1/5"), column="law"),
        kk.Clustered(kk.Adaptive(TWO, outcome="came", floor="1/5"), by="home"),
        kk.Waves(kk.Adaptive(TWO, outcome="came", floor="1/5"), wave="site"),
    ],
    ids=lambda design: type(design).__name__,
)
def test_wrappers_keep_the_waves_apart(design):
    n = 96
    people = {
        "id": list(range(n)),
        "wave": [1 + i // 48 for i in range(n)],
        "came": ["1" if (i // 2) % 3 else "0" for i in range(n)],
        "law": ["call" if i % 16 == 3 else "drawn" for i in range(n)],
        "home": [f"h{i // 2}" for i in range(n)],
        "site": ["x" if (i // 2) % 2 else "y" for i in range(n)],
    }
    trial = drawn(design, people)
    waves = cells_of(trial.lottery).waves
    groups = list(zip(people["wave"], people["site"], strict=True)) if isinstance(design, kk.Waves) else people["wave"]
    keep = trial.lottery.shares().max(axis=1) < 1
    assert len({*zip([g for g, k in zip(groups, keep, strict=True) if k], waves[keep].tolist(), strict=True)}) == len(
        set(groups)
    )
    assert kk.estimate_effects(trial, {"id": people["id"], "y": [i % 7 for i in range(n)]}, "y")[0].error > 0


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
