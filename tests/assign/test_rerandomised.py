"""Rerandomisation: laws, exact inclusion, the theory it promises, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

import kokeilu as kk
from kokeilu._kernels.screen import expected_deviations, theory
from kokeilu._kernels.streams import Seed
from kokeilu.assign._chances import arms_alike, simulated, smoothed
from kokeilu.core.lottery import cells_of, shares_of
from kokeilu.core.register import read_register
from kokeilu.errors import DataError, DesignError
from kokeilu.testing import exact_marginals, mechanism_laws

EIGHT = json.loads((Path(__file__).parents[1] / "reference" / "covariate_designs.json").read_text())[
    "rerandomisation_exact_n8"
]
X8 = np.array(EIGHT["X"])
REGISTER8 = {"id": list(range(8)), "x1": X8[:, 0].tolist(), "x2": X8[:, 1].tolist()}
HALVES, UNEVEN, THIRDS = kk.arms(control=1, coaching=1), kk.arms(control=5, coaching=3), kk.arms(a=1, b=1, c=1)
SMALL = {
    "id": [5, 3, 9, 1, 7, 2, 8, 4],
    "region": ["n", "n", "s", "s", "s", "s", "n", "n"],
    "office": ["a", "a", "b", "c", "c", "d", "e", "f"],
    "age": [31, 45, 28, 60, 39, 51, 23, 44],
    "months": [2.5, 30.0, 7.25, 14.0, 1.0, 9.5, 3.0, 22.0],
    "sector": ["x", "y", "y", "x", "z", "x", "y", "z"],
}
ON = ("age", "months")
GOLDEN = {
    "two arms": ([1, 30, 36], "c058b7076ed37751"),
    "left-over seats": ([9, 26, 6], "8729ae4a5bbac860"),
    "three arms": ([15, 36, 40], "3156705cf0be44cf"),
    "strata": ([31, 0, 17], "f1624176712d8712"),
    "tiers": ([0, 30, 19], "7353c9f30379c408"),
    "best": ([12, 26, 7], "80883f4c70f977c1"),
}


def loose(base, **more):
    return kk.Rerandomised(base, **{"on": ON, "accept": 0.4, **more})


INSTANCES = [
    (loose(kk.Complete(HALVES)), SMALL),
    (loose(kk.Complete(UNEVEN)), SMALL),
    (loose(kk.Complete(kk.arms(a=2, b=1))), SMALL),
    (loose(kk.Complete(THIRDS)), SMALL),
    (loose(kk.Complete(HALVES), on=("age", "sector")), SMALL),
    (loose(kk.Stratified(HALVES, by="region")), SMALL),
    (loose(kk.Stratified(kk.arms(a=1, b=3), by="region")), SMALL),
    (loose(kk.Bernoulli(HALVES)), SMALL),
    (loose(kk.Clustered(kk.Complete(HALVES), by="office")), SMALL),
    (kk.Clustered(loose(kk.Complete(kk.arms(a=2, b=1))), by="office"), SMALL),
    (kk.Clustered(loose(kk.Complete(HALVES), on=("cluster_size", "age")), by="office"), SMALL),
    (kk.Rerandomised(kk.Complete(HALVES), tiers=((("months",), 0.5), (("age",), 0.6))), SMALL),
]


@pytest.mark.parametrize(
    ("law", "mechanism", "register"), mechanism_laws(INSTANCES), ids=lambda v: getattr(v, "__name__", "")
)
def test_law_holds(law, mechanism, register):
    law(mechanism, register)


def bind(mechanism, register):
    return mechanism.bind(read_register(register, mechanism, id="id")[0])


def people(n, p, name="people"):
    uniform = Seed.of(name).stream("x").doubles(n, p)
    return {"id": np.arange(n), **{f"x{j}": np.log1p(3 * uniform[:, j]) for j in range(p)}}


def names(p):
    return tuple(f"x{j}" for j in range(p))


def stream(name="draws"):
    return Seed.of("rerandomised").stream(name)


def accept_below(threshold, rank=2):
    from scipy import stats

    return float(stats.chi2.cdf(threshold, rank))


def test_best_fourteen_of_seventy():
    distances = [m for m, _ in EIGHT["mahalanobis_sorted"]]
    design = kk.Rerandomised(
        kk.Complete(HALVES), on=("x1", "x2"), accept=accept_below((distances[13] + distances[14]) / 2)
    )
    lottery = bind(design, REGISTER8)
    assert lottery.count() == 14
    codes, chances = next(lottery.every())
    assert {tuple(np.flatnonzero(row).tolist()) for row in codes} == {
        tuple(treated) for _, treated in EIGHT["mahalanobis_sorted"][:14]
    }
    assert exact_marginals(lottery)[:, 1] == pytest.approx(EIGHT["best20pct_inclusion"], abs=1e-12)
    assert chances == pytest.approx(np.full(14, 1 / 14))
    assert lottery.inclusion().how == "symmetry"
    assert lottery.inclusion().equal_chance


def test_three_of_eight_lose_equal_chances():
    design = kk.Rerandomised(kk.Complete(UNEVEN), on=("x1", "x2"), accept=accept_below((0.6236 + 0.6295) / 2))
    lottery = bind(design, REGISTER8)
    assert lottery.count() == 11
    expected = [0.3636, 0.1818, 0.3636, 0.2727, 0.3636, 0.3636, 0.5455, 0.5455]
    found = lottery.inclusion()
    assert shares_of(lottery)[:, 1] == pytest.approx(expected, abs=5e-5)
    assert (found.how, found.exact, found.equal_chance) == ("listing", True, False)
    assert found.largest_deviation == (pytest.approx(0.375 - 2 / 11), 0.0)


def test_equal_chance_refuses_and_names_the_deviation():
    uneven = kk.Rerandomised(kk.Complete(UNEVEN), on=("x1", "x2"), accept=0.2689, equal_chance=True)
    with pytest.raises(DesignError, match=r"off the promised share by up to 0\.19 \(over the 11 accepted draws\)"):
        bind(uneven, REGISTER8)
    simulated_ = kk.Rerandomised(kk.Complete(kk.arms(a=2, b=1)), on=names(2), accept=0.5, equal_chance=True)
    with pytest.raises(DesignError, match="simulated, Monte Carlo error"):
        bind(simulated_, people(60, 2))
    even = kk.Rerandomised(kk.Complete(HALVES), on=names(2), accept=0.5, equal_chance=True)
    assert bind(even, people(60, 2)).inclusion().equal_chance


@pytest.mark.parametrize(
    ("base", "alike"),
    [
        (kk.Complete(HALVES), True),
        (kk.Complete(THIRDS), True),
        (kk.Complete(UNEVEN), False),
        (kk.Bernoulli(HALVES), True),
        (kk.Stratified({"n": HALVES, "s": kk.arms(control=1, coaching=2)}, by="region"), False),
        (kk.Clustered(kk.Complete(HALVES), by="office"), True),
        (kk.Waves(kk.Complete(HALVES), wave="region"), True),
        (kk.Waves(kk.Complete(UNEVEN), wave="region"), False),
    ],
)
def test_when_arms_are_alike(base, alike):
    assert arms_alike(bind(base, SMALL)) is alike


def test_waves_of_alike_arms_keep_equal_chances():
    lottery = bind(loose(kk.Waves(kk.Complete(HALVES), wave="region")), SMALL)
    assert exact_marginals(lottery) == pytest.approx(np.full((8, 2), 0.5), abs=1e-12)
    assert lottery.inclusion().how == "symmetry"


def test_every_draw_is_the_first_try_below_the_threshold():
    table = people(120, 3)
    lottery = bind(kk.Rerandomised(kk.Complete(HALVES), on=names(3), accept=0.05), table)
    values = np.stack([table[name] for name in names(3)], axis=1)
    spread = np.linalg.inv(np.cov(values, rowvar=False) * (1 / 60 + 1 / 60))
    tries = lottery.accepted_tries(stream(), 4)
    for row in range(4):
        own = stream().child(f"draw {row}")
        codes = lottery.tries.rows(own, int(tries[row]) + 1)
        gaps = np.array([values[c == 1].mean(axis=0) - values[c == 0].mean(axis=0) for c in codes])
        distances = np.einsum("ij,jk,ik->i", gaps, spread, gaps)
        assert (distances[:-1] > theory(3, 0.05).threshold).all()
        assert distances[-1] <= theory(3, 0.05).threshold
        assert np.array_equal(codes[-1], lottery.draw(stream().skip(row), 1)[0])


def test_the_batch_of_tries_never_shows(monkeypatch):
    from kokeilu.assign import _tries as module

    lottery = bind(kk.Rerandomised(kk.Complete(UNEVEN), on=names(4), accept=0.02), people(300, 4))
    whole = lottery.draw(stream(), 5)
    monkeypatch.setattr(module, "BATCH_CELLS", 900)
    assert np.array_equal(whole, lottery.draw(stream(), 5))


def test_the_variance_of_differences_falls_as_the_theory_says():
    table = people(200, 2)
    values = np.stack([table[name] for name in names(2)], axis=1)
    base, screened = kk.Complete(HALVES), kk.Rerandomised(kk.Complete(HALVES), on=names(2), accept=0.1)
    spreads = []
    for design in (base, screened):
        codes = bind(design, table).draw(stream(), 1_500).astype(float)
        spreads.append(((2 * codes - 1) @ (values - values.mean(axis=0)) / 100).var(axis=0))
    # A ratio of two variances over 1,500 draws has a standard error of about 5 per cent.
    assert spreads[1] / spreads[0] == pytest.approx(np.full(2, theory(2, 0.1).variance_factor), rel=0.25)


def test_later_tiers_are_looser():
    table = people(200, 2)
    design = kk.Rerandomised(kk.Complete(HALVES), tiers=((("x0",), 0.05), (("x1",), 0.5)))
    codes = bind(design, table).draw(stream(), 600).astype(float)
    plain = bind(kk.Complete(HALVES), table).draw(stream(), 600).astype(float)
    ratio = []
    for name in names(2):
        centred = table[name] - table[name].mean()
        ratio.append(((2 * codes - 1) @ centred).var() / ((2 * plain - 1) @ centred).var())
    assert ratio[0] < 0.01
    assert 0.1 < ratio[1] < 0.3


@pytest.mark.parametrize(
    "mechanism",
    [
        loose(kk.Complete(UNEVEN)),
        loose(kk.Stratified(kk.arms(a=1, b=3), by="region")),
        loose(kk.Clustered(kk.Complete(kk.arms(a=2, b=1)), by="office")),
        loose(kk.Complete(kk.arms(a=2, b=1, c=1)), accept=0.3),
    ],
    ids=["uneven", "strata", "clusters", "three arms"],
)
def test_simulated_chances_agree_with_the_list(mechanism):
    lottery = bind(mechanism, SMALL)
    exact = exact_marginals(lottery)
    size = 1_500
    guesses = np.stack([smoothed(lottery, lottery.pick(stream(), r), stream("swap").skip(r)) for r in range(size)])
    errors = guesses.std(axis=0) / np.sqrt(size)
    assert (np.abs(guesses.mean(axis=0) - exact) < 4.5 * errors + 1e-12).all()
    # Exchanges take most of the noise of plain frequencies away.
    assert errors.mean() < 0.9 * np.sqrt(exact * (1 - exact) / size).mean()


def test_the_large_sample_formula_is_near_the_truth():
    from itertools import combinations

    table = people(16, 2, "sixteen")
    lottery = bind(kk.Rerandomised(kk.Complete(kk.arms(a=3, b=1)), on=names(2), accept=0.2), table)
    codes = np.zeros((1820, 16), dtype=np.int8)
    for row, treated in enumerate(combinations(range(16), 4)):
        codes[row, list(treated)] = 1
    exact = codes[lottery.screen.accepts(codes)].mean(axis=0) - 0.25
    shares = np.tile([0.75, 0.25], (16, 1))
    formula = expected_deviations(lottery.screen, shares, np.zeros(16, dtype=np.int64))
    assert formula.sum(axis=1) == pytest.approx(np.zeros(16), abs=1e-12)
    assert np.corrcoef(formula[:, 1], exact)[0, 1] > 0.8
    assert np.linalg.norm(formula[:, 1] - exact) < 0.6 * np.linalg.norm(exact)


def test_simulated_chances_of_a_larger_register_are_stated_with_their_error():
    lottery = bind(kk.Rerandomised(kk.Complete(kk.arms(a=2, b=1)), on=names(2), accept=0.2), people(80, 2))
    found = lottery.inclusion()
    assert (found.how, found.draws, found.exact, found.equal_chance) == ("simulation", 2_000, False, False)
    assert 0 < found.errors.max() < 0.02
    assert found.probabilities.sum(axis=1) == pytest.approx(np.ones(80))
    assert found.probabilities[:, 1].sum() == pytest.approx(80 / 3, abs=0.5)
    assert np.array_equal(found.probabilities, simulated(lottery, found.promised).probabilities)
    # People far from the middle are taken into the small arm less often.
    far = np.abs(lottery.screen.scores[1]).sum(axis=1)
    assert np.corrcoef(far, found.probabilities[:, 1])[0, 1] < -0.5


def test_pairs_nearly_always_or_never_together():
    lottery = bind(kk.Rerandomised(kk.Complete(HALVES), on=("x1", "x2"), accept=0.003), REGISTER8)
    assert lottery.count() == 2
    pairs, probability = lottery.together()
    assert len(pairs) == 28
    best = set(EIGHT["mahalanobis_sorted"][0][1])
    for (i, j), chance in zip(pairs.tolist(), probability, strict=True):
        assert chance == pytest.approx(float((i in best) == (j in best)))
    loose_pairs, _ = bind(kk.Rerandomised(kk.Complete(HALVES), on=("x1", "x2"), accept=0.9), REGISTER8).together()
    assert len(loose_pairs) == 0
    some, _ = bind(kk.Rerandomised(kk.Complete(HALVES), on=names(2), accept=0.1), people(60, 2)).together(draws=300)
    assert len(some) == 0
    with pytest.raises(DesignError, match="at most 500 people; this register has 600"):
        bind(kk.Rerandomised(kk.Complete(HALVES), on=names(2)), people(600, 2)).together()


def test_strata_and_clusters_are_kept():
    lottery = bind(loose(kk.Stratified(HALVES, by="region")), SMALL)
    assert cells_of(lottery).names == ("region",)
    codes = lottery.draw(stream(), 50)
    strata = cells_of(lottery).strata
    assert all((codes[:, strata == s].sum(axis=1) == 2).all() for s in (0, 1))
    whole = bind(loose(kk.Clustered(kk.Complete(HALVES), by="office")), SMALL)
    clusters = cells_of(whole).clusters
    assert len(clusters) == 8
    for row in whole.draw(stream(), 20):
        assert all(len(set(row[clusters == c])) == 1 for c in set(clusters.tolist()))


def test_large_strata_draw_by_short_keys_and_small_ones_by_the_base():
    table = {**people(300, 2), "g": ["ab"[i % 2] for i in range(300)]}
    lottery = bind(kk.Rerandomised(kk.Stratified(kk.arms(a=2, b=1), by="g"), on=names(2), accept=0.3), table)
    codes = lottery.draw(stream(), 30)
    for s in (0, 1):
        assert (codes[:, cells_of(lottery).strata == s].sum(axis=1) == 50).all()
    assert not np.array_equal(lottery.tries.rows(stream(), 2), lottery.base.draw(stream(), 2))


def test_the_whole_chain(tmp_path):
    table = people(80, 2)
    design = kk.Rerandomised(kk.Complete(kk.arms(control=1, coaching=1)), on=names(2), accept=0.1)
    assignment = kk.randomise(table, design, id="id", seed="lottery 7 9 13")
    assert kk.verify(assignment, table).verified
    kk.save(assignment, tmp_path / "draw.parquet")
    again = kk.load(tmp_path / "draw.parquet")
    assert again.fingerprint == assignment.fingerprint
    assert again.mechanism == design
    changed = {**table, "x1": table["x1"][::-1]}
    assert not kk.verify(assignment, changed).verified
    outcomes = {"id": table["id"], "y": table["x0"] + 0.01 * np.arange(80)}
    screened = kk.randomisation_test(assignment, outcomes, "y", draws=199, studentise=False)
    assert 0 < screened.p_value <= 1
    assert kk.adopt(
        {**table, "arm": assignment.codes.tolist()},
        arm="arm",
        design=design,
        id="id",
        labels={0: "control", 1: "coaching"},
    ).counts() == {"control": 40, "coaching": 40}


def test_adopt_refuses_an_allocation_beyond_the_threshold():
    design = kk.Rerandomised(kk.Complete(HALVES), on=("x1",), accept=0.2)
    worst = np.zeros(8, dtype=int)
    worst[np.argsort(X8[:, 0])[4:]] = 1
    with pytest.raises(DesignError, match="Mahalanobis distance of the covariates is"):
        kk.adopt(
            {**REGISTER8, "arm": worst.tolist()},
            arm="arm",
            design=design,
            id="id",
            labels={0: "control", 1: "coaching"},
        )


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: kk.Rerandomised(HALVES, on="age"), "needs a mechanism"),
        (lambda: kk.Rerandomised(kk.Complete, on="age"), "needs a mechanism"),
        (lambda: kk.Rerandomised(kk.Complete(HALVES)), "either in `on`"),
        (lambda: kk.Rerandomised(kk.Complete(HALVES), on="a", tiers=((("b",), 0.1),)), "either in `on`"),
        (lambda: kk.Rerandomised(kk.Complete(HALVES), on="age", accept=0), r"accept must lie in \(0, 1\)"),
        (lambda: kk.Rerandomised(kk.Complete(HALVES), on="age", tries=0), "tries must be at least 1"),
        (lambda: kk.Rerandomised(kk.Complete(HALVES), on="age", equal_chance=1), "True or False"),
        (lambda: kk.Rerandomised(kk.Complete(HALVES), tiers="age"), "pairs of columns and acceptance"),
        (lambda: kk.Rerandomised(kk.Complete(HALVES), tiers=("age", "months")), "must be a pair"),
        (lambda: kk.Rerandomised(kk.Complete(HALVES), tiers=(((), 0.1),)), "names no columns"),
        (lambda: kk.Rerandomised(kk.Complete(HALVES), tiers=((("a",), 0.1), (("a",), 0.2))), "in two tiers"),
    ],
)
def test_refused_when_made(make, says):
    with pytest.raises(DesignError, match=says):
        make()


def test_refused_when_bound():
    with pytest.raises(DesignError, match="rerandomised already"):
        bind(loose(loose(kk.Complete(HALVES))), SMALL)
    with pytest.raises(DesignError, match="rerandomised already"):
        bind(loose(kk.Clustered(loose(kk.Complete(HALVES)), by="office")), SMALL)
    with pytest.raises(DesignError, match="'same' cannot differ between arms"):
        bind(kk.Rerandomised(kk.Complete(HALVES), on="same"), {**SMALL, "same": [4] * 8})
    with pytest.raises(DesignError, match="beyond the tiers before"):
        bind(
            kk.Rerandomised(kk.Complete(HALVES), tiers=((("age",), 0.5), (("double",), 0.5))),
            {**SMALL, "double": [2 * age for age in SMALL["age"]]},
        )
    with pytest.raises(DesignError, match="none of the 70 possible assignments is balanced enough"):
        bind(kk.Rerandomised(kk.Complete(HALVES), on=("x1", "x2"), accept=1e-5), REGISTER8)
    with pytest.raises(DataError, match="'age' is missing for 1 person"):
        kk.randomise({**SMALL, "age": [None, *SMALL["age"][1:]]}, loose(kk.Complete(HALVES)), id="id", seed="s")


def test_refused_when_no_try_is_accepted():
    lottery = bind(kk.Rerandomised(kk.Complete(HALVES), on=names(5), accept=0.001, tries=3), people(100, 5))
    with pytest.raises(DesignError, match=r"no balanced draw among 3 tries\. Accept more \(accept=, now 1 in 1,000\)"):
        lottery.draw(stream(), 1)


def test_tiers_describe_themselves_and_decide_the_columns():
    design = kk.Rerandomised(kk.Stratified(HALVES, by="region"), tiers=((("age",), 0.05), (("region",), 0.5)))
    assert design.columns() == ("region",)
    assert design.covariates() == ("age", "region")
    assert "age (Mahalanobis distance; 1 in 20 accepted), then region" in design.describe()


UNPROMISED = kk.Rerandomised(kk.Complete(UNEVEN), on=("x1", "x2"), accept=0.2689)
CAUTION = r"probability is off the promised share by up to 0\.19 \(over the 11 accepted draws\)"


@pytest.mark.parametrize(
    "design",
    [
        UNPROMISED,
        kk.Clustered(kk.Rerandomised(kk.Complete(UNEVEN), on=("x1", "x2"), accept=0.2689), by="id"),
        kk.Fixed(UNPROMISED, column="fixed"),
        kk.Merged(UNPROMISED, into={"control": ["control"], "any": ["coaching"]}),
        kk.Waves(UNPROMISED, wave="wave"),
    ],
    ids=["itself", "clusters", "fixed", "merged", "waves"],
)
def test_the_assignment_and_its_estimates_tell_of_chances_that_were_not_promised(design):
    table = {**REGISTER8, "fixed": ["drawn"] * 8, "wave": [1] * 8}
    assignment = kk.randomise(table, design, id="id", seed="published")
    assert len(assignment.notes) == 1
    assert re.search(CAUTION, assignment.notes[0])
    assert re.search(CAUTION, " ".join(str(assignment).split()))
    outcomes = {"id": REGISTER8["id"], "y": [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]}
    (estimate,) = kk.estimate_effects(assignment, outcomes, "y")
    assert any(re.search(CAUTION, note) for note in estimate.notes)


def test_simulated_chances_are_told_with_their_error():
    design = kk.Rerandomised(kk.Complete(kk.arms(a=2, b=1)), on=names(2), accept=0.2)
    assignment = kk.randomise(people(60, 2), design, id="id", seed="published")
    assert re.search(r"by up to 0\.\d+ \(simulated, Monte Carlo error 0\.\d+\)", assignment.notes[0])


@pytest.mark.parametrize("base", [kk.Complete(HALVES), kk.Complete(THIRDS), kk.Bernoulli(HALVES)])
def test_nothing_is_told_where_chances_are_what_was_promised(base):
    assignment = kk.randomise(SMALL, loose(base), id="id", seed="published")
    assert assignment.notes == ()
    assert "Note" not in str(assignment)
    assert kk.randomise(SMALL, kk.Complete(UNEVEN), id="id", seed="published").notes == ()


def test_weights_by_the_true_chances_take_the_bias_away():
    # The outcome is the square of the covariate, whose extremes come into the small arm less often.
    x = np.array([-3.0, -1.2, -0.4, 0.1, 0.3, 0.9, 1.4, 3.5])
    design = kk.Rerandomised(kk.Complete(UNEVEN), on="x", accept=0.2)
    lottery = bind(design, {"id": range(8), "x": x})
    codes, chances = next(lottery.every())
    shares, y = shares_of(lottery), x**2
    treated = codes == 1
    plain = np.array([y[z].mean() - y[~z].mean() for z in treated])
    inverse = 1 / np.where(treated, shares[:, 1], shares[:, 0])
    weighted = [(treated * y * inverse).sum(axis=1) / 8, (~treated * y * inverse).sum(axis=1) / 8]
    assert chances @ plain < -0.3
    assert chances @ (weighted[0] - weighted[1]) == pytest.approx(0, abs=1e-12)


def test_draws_that_must_never_change():
    table = {**people(400, 3, "golden"), "g": ["ab"[i % 2] for i in range(400)]}
    more = {"on": names(3), "accept": 0.05}
    designs = {
        "two arms": kk.Rerandomised(kk.Complete(HALVES), **more),
        "left-over seats": kk.Rerandomised(kk.Complete(kk.arms(a=2, b=1)), **more),
        "three arms": kk.Rerandomised(kk.Complete(THIRDS), **more),
        "strata": kk.Rerandomised(kk.Stratified(kk.arms(a=1, b=2, c=3), by="g"), **more),
        "tiers": kk.Rerandomised(kk.Complete(HALVES), tiers=((("x0",), 0.2), (("x1", "x2"), 0.3))),
        "best": kk.Rerandomised(kk.Complete(kk.arms(a=2, b=1)), on=names(3), draws=30),
    }
    found = {}
    for name, design in designs.items():
        lottery = bind(design, table)
        found[name] = (
            lottery.accepted_tries(stream("golden"), 3).tolist(),
            hashlib.sha256(lottery.draw(stream("golden"), 3).tobytes()).hexdigest()[:16],
        )
    assert found == GOLDEN
