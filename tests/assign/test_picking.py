"""The best of K draws: its exact law, its chances, and that nothing but the K draws decides."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

import kokeilu as kk
from kokeilu._kernels.screen import best_of
from kokeilu._kernels.streams import Seed
from kokeilu.assign import _tries as tries_module
from kokeilu.assign._chances import smoothed
from kokeilu.assign._picking import tied
from kokeilu.core.lottery import all_assignments, shares_of
from kokeilu.core.register import read_register
from kokeilu.core.registry import decode, encode
from kokeilu.errors import DesignError
from kokeilu.testing import exact_marginals, mechanism_laws

EIGHT = json.loads((Path(__file__).parents[1] / "reference" / "covariate_designs.json").read_text())[
    "rerandomisation_exact_n8"
]
REGISTER8 = {"id": list(range(8)), "x1": [row[0] for row in EIGHT["X"]], "x2": [row[1] for row in EIGHT["X"]]}
HALVES, UNEVEN, THIRDS = kk.arms(control=1, coaching=1), kk.arms(control=5, coaching=3), kk.arms(a=1, b=1, c=1)
SMALL = {
    "id": [5, 3, 9, 1, 7, 2, 8, 4],
    "region": ["n", "n", "s", "s", "s", "s", "n", "n"],
    "office": ["a", "a", "b", "c", "c", "d", "e", "f"],
    "age": [31, 45, 28, 60, 39, 51, 23, 44],
    "woman": [1, 0, 0, 1, 1, 0, 0, 1],
}


def best(base, draws=5, **more):
    return kk.Rerandomised(base, **{"on": ("age", "woman"), "draws": draws, **more})


INSTANCES = [
    (best(kk.Complete(HALVES)), SMALL),
    (best(kk.Complete(UNEVEN)), SMALL),
    (best(kk.Complete(UNEVEN), on="woman"), SMALL),
    (best(kk.Complete(kk.arms(a=2, b=1)), 3), SMALL),
    (best(kk.Complete(THIRDS), 3), SMALL),
    (best(kk.Stratified(kk.arms(a=1, b=3), by="region"), 4), SMALL),
    (best(kk.Bernoulli(kk.arms(a=2, b=1)), 3), SMALL),
    (best(kk.Clustered(kk.Complete(kk.arms(a=2, b=1)), by="office"), 6), SMALL),
    (kk.Clustered(best(kk.Complete(HALVES), 3), by="office"), SMALL),
]


@pytest.mark.parametrize(
    ("law", "mechanism", "register"), mechanism_laws(INSTANCES), ids=lambda v: getattr(v, "__name__", "")
)
def test_law_holds(law, mechanism, register):
    law(mechanism, register)


def bind(mechanism, register):
    return mechanism.bind(read_register(register, mechanism, id="id")[0])


def stream(name="draws"):
    return Seed.of("the best of several").stream(name)


def people(n, p, name="people"):
    uniform = Seed.of(name).stream("x").doubles(n, p)
    return {"id": np.arange(n), **{f"x{j}": np.log1p(3 * uniform[:, j]) for j in range(p)}}


def names(p):
    return tuple(f"x{j}" for j in range(p))


def everything(lottery):
    parts = list(all_assignments(lottery))
    return np.concatenate([codes for codes, _ in parts]), np.concatenate([chances for _, chances in parts])


@pytest.mark.parametrize(
    ("base", "on"),
    [
        (kk.Complete(kk.arms(a=3, b=2)), "x"),
        (kk.Complete(kk.arms(a=3, b=2)), "twice"),
        (kk.Complete(kk.arms(a=2, b=1)), "twice"),
        (kk.Bernoulli(kk.arms(a=2, b=1)), "twice"),
    ],
    ids=["distinct distances", "ties", "left-over seats", "unequal probabilities"],
)
@pytest.mark.parametrize("draws", [2, 3])
def test_the_law_is_that_of_every_list_of_draws(base, on, draws):
    register = {"id": range(5), "x": [3.0, 1.0, 4.0, 1.5, 9.0], "twice": [0, 1, 1, 0, 1]}
    lottery = bind(kk.Rerandomised(base, on=on, draws=draws), register)
    codes, base_chances = everything(lottery.base)
    distances = lottery.screen.distances(lottery.screen.sums(codes))[:, 0].round(9)
    expected = dict.fromkeys((row.tobytes() for row in codes), 0.0)
    for members in itertools.product(range(len(codes)), repeat=draws):
        winner = min(members, key=lambda m: distances[m])
        expected[codes[winner].tobytes()] += float(np.prod(base_chances[list(members)]))
    listed, chances = everything(lottery)
    assert lottery.count() == len(listed) == len(codes)
    assert {row.tobytes(): c for row, c in zip(listed, chances.tolist(), strict=True)} == pytest.approx(
        expected, abs=1e-13
    )


def test_one_of_seventy_is_chosen_by_its_rank_among_them():
    lottery = bind(kk.Rerandomised(kk.Complete(HALVES), on=("x1", "x2"), draws=10), REGISTER8)
    codes, chances = everything(lottery)
    found = {tuple(np.flatnonzero(row).tolist()): c for row, c in zip(codes, chances.tolist(), strict=True)}
    # Mirrored draws share a distance, so ranks come in pairs: P = ((1 - r)^10 - (1 - r - 2/70)^10) / 2.
    for place, (_, treated) in enumerate(EIGHT["mahalanobis_sorted"]):
        worse = 1 - 2 * (place // 2) / 70
        assert found[tuple(treated)] == pytest.approx((worse**10 - max(worse - 2 / 70, 0) ** 10) / 2, abs=1e-12)
    assert exact_marginals(lottery)[:, 1] == pytest.approx(np.full(8, 0.5), abs=1e-12)
    assert (lottery.inclusion().how, lottery.inclusion().equal_chance) == ("symmetry", True)


def test_unequal_arms_lose_equal_chances():
    lottery = bind(kk.Rerandomised(kk.Complete(UNEVEN), on=("x1", "x2"), draws=20), REGISTER8)
    found = lottery.inclusion()
    assert (found.how, found.exact, found.equal_chance) == ("listing", True, False)
    assert shares_of(lottery) == pytest.approx(exact_marginals(lottery), abs=1e-12)
    assert shares_of(lottery)[:, 1].sum() == pytest.approx(3)
    assert found.largest_deviation[0] > 0.05
    with pytest.raises(DesignError, match=r"off the promised share by up to 0\.\d+ \(over the 56 possible draws\)"):
        bind(kk.Rerandomised(kk.Complete(UNEVEN), on=("x1", "x2"), draws=20, equal_chance=True), REGISTER8)
    bind(kk.Rerandomised(kk.Complete(HALVES), on=("x1", "x2"), draws=20, equal_chance=True), REGISTER8)


@pytest.mark.parametrize("base", [kk.Complete(HALVES), kk.Complete(kk.arms(a=2, b=1))], ids=["even", "uneven"])
def test_every_draw_is_the_first_of_the_least_distance(base):
    table = people(120, 3)
    lottery = bind(kk.Rerandomised(base, on=names(3), draws=30), table)
    values = np.stack([table[name] for name in names(3)], axis=1)
    spread = np.linalg.inv(np.cov(values, rowvar=False))
    taken = lottery.accepted_tries(stream(), 4)
    for row in range(4):
        codes = lottery.tries.rows(stream().child(f"draw {row}"), 30)
        gaps = np.array([values[c == 1].mean(axis=0) - values[c == 0].mean(axis=0) for c in codes])
        assert np.einsum("ij,jk,ik->i", gaps, spread, gaps).argmin() == taken[row]
        assert np.array_equal(codes[taken[row]], lottery.draw(stream().skip(row), 1)[0])


def test_of_equal_distances_the_first_is_taken():
    # One indicator of eight people, four of each: most tries balance it perfectly, so the first such is taken.
    lottery = bind(kk.Rerandomised(kk.Complete(HALVES), on="woman", draws=40), SMALL)
    taken = lottery.accepted_tries(stream(), 50)
    order = np.argsort(SMALL["id"])
    woman = np.array(SMALL["woman"])[order]
    for row, number in enumerate(taken.tolist()):
        codes = lottery.tries.rows(stream().child(f"draw {row}"), 40)
        assert number == np.flatnonzero((codes * woman).sum(axis=1) == 2)[0]


def test_no_batch_shows(monkeypatch):
    for base in (kk.Complete(HALVES), kk.Complete(kk.arms(a=3, b=2)), kk.Complete(THIRDS)):
        lottery = bind(kk.Rerandomised(base, on=names(4), draws=25), people(301, 4))
        whole = lottery.draw(stream(), 5)
        with monkeypatch.context() as patch:
            patch.setattr(tries_module, "BATCH_CELLS", 900)
            assert np.array_equal(whole, lottery.draw(stream(), 5))
        assert np.array_equal(whole[3:], lottery.draw(stream().skip(3), 2))


def test_more_draws_keep_the_better_of_both():
    table = people(90, 2)
    few, many = (bind(kk.Rerandomised(kk.Complete(HALVES), on=names(2), draws=k), table) for k in (5, 50))
    least = [lot.screen.distances(lot.screen.sums(lot.draw(stream(), 60)))[:, 0] for lot in (few, many)]
    assert (least[1] <= least[0] * (1 + 1e-9)).all()
    assert least[1].mean() < 0.3 * least[0].mean()


@pytest.mark.parametrize(("rank", "draws"), [(2, 1), (2, 7), (2, 100), (1, 2), (5, 3), (10, 1_000)])
def test_the_mean_of_the_least_distance(rank, draws):
    found = best_of(rank, draws).variance_factor
    if rank == 2:
        # Chi-square with two degrees of freedom is exponential: the least of K has 1/K of its mean.
        assert found == pytest.approx(1 / draws, rel=1e-9)
    else:
        from scipy import integrate, stats

        law = stats.chi2(rank)
        upper = law.isf(1e-17 ** (1 / draws))
        expected = integrate.quad(lambda x: law.sf(x) ** draws, 0, upper, limit=500, epsabs=1e-12)[0] / rank
        assert found == pytest.approx(expected, rel=1e-7)


def test_the_variance_of_differences_falls_as_the_theory_says():
    table = people(200, 2)
    values = np.stack([table[name] for name in names(2)], axis=1)
    spreads = []
    for design in (kk.Complete(HALVES), kk.Rerandomised(kk.Complete(HALVES), on=names(2), draws=10)):
        codes = bind(design, table).draw(stream(), 1_500).astype(float)
        spreads.append(((2 * codes - 1) @ (values - values.mean(axis=0)) / 100).var(axis=0))
    # A ratio of two variances over 1,500 draws has a standard error of about 5 per cent.
    assert spreads[1] / spreads[0] == pytest.approx(np.full(2, 0.1), rel=0.25)


@pytest.mark.parametrize(
    "mechanism",
    [
        best(kk.Complete(UNEVEN), 8),
        best(kk.Complete(UNEVEN), 8, on="woman"),
        best(kk.Stratified(kk.arms(a=1, b=3), by="region"), 8),
        best(kk.Clustered(kk.Complete(kk.arms(a=2, b=1)), by="office"), 8),
        best(kk.Complete(kk.arms(a=2, b=1, c=1)), 4),
    ],
    ids=["uneven", "many ties", "strata", "clusters", "three arms"],
)
def test_simulated_chances_agree_with_the_list(mechanism):
    lottery = bind(mechanism, SMALL)
    exact = exact_marginals(lottery)
    size = 1_500
    guesses = np.stack([smoothed(lottery, lottery.pick(stream(), r), stream("swap").skip(r)) for r in range(size)])
    errors = guesses.std(axis=0) / np.sqrt(size)
    assert (np.abs(guesses.mean(axis=0) - exact) < 4.5 * errors + 1e-12).all()
    assert errors.mean() < 1.05 * np.sqrt(exact * (1 - exact) / size).mean()


def test_simulated_chances_are_stated_with_their_error():
    lottery = bind(kk.Rerandomised(kk.Complete(kk.arms(a=2, b=1)), on=names(2), draws=5), people(80, 2))
    found = lottery.inclusion()
    assert (found.how, found.draws, found.exact, found.equal_chance) == ("simulation", 2_000, False, False)
    assert 0 < found.errors.max() < 0.02
    assert found.probabilities.sum(axis=1) == pytest.approx(np.ones(80))
    far = np.abs(lottery.screen.scores[1]).sum(axis=1)
    assert np.corrcoef(far, found.probabilities[:, 1])[0, 1] < -0.5


def test_distances_are_tied_within_rounding_only():
    assert tied(np.array([1.0, 1.0 + 1e-12, 1.0 + 1e-6]), 1.0).tolist() == [True, True, False]
    assert tied(np.array([0.0, 1e-28, 1e-12]), 1e-30).tolist() == [True, True, False]


def test_the_rule_in_words_and_in_json():
    design = kk.Rerandomised(kk.Complete(HALVES), on=("age", "woman"), draws=100)
    assert design.describe().endswith(
        "Drawn 100 times, and of these the draw with the least Mahalanobis distance in age, woman is taken, the first "
        "where several have it."
    )
    assert design.accept is None
    data = encode(design)
    assert (data["draws"], data["accept"]) == (100, None)
    assert decode(data) == design
    # What was written before the rule was there is written as before.
    assert "draws" not in encode(kk.Rerandomised(kk.Complete(HALVES), on="age"))
    assert decode(encode(kk.Rerandomised(kk.Complete(HALVES), on="age"))).accept == 0.01
    assert (design.columns(), design.covariates()) == ((), ("age", "woman"))


def test_every_base_draw_can_be_adopted():
    worst = np.zeros(8, dtype=int)
    worst[np.argsort(REGISTER8["x1"])[4:]] = 1
    design = kk.Rerandomised(kk.Complete(HALVES), on="x1", draws=50)
    given = {**REGISTER8, "arm": worst.tolist()}
    labels = {0: "control", 1: "coaching"}
    assert kk.adopt(given, arm="arm", design=design, id="id", labels=labels).counts() == {"control": 4, "coaching": 4}
    with pytest.raises(DesignError, match="the whole has arm counts"):
        kk.adopt({**given, "arm": [1, *[0] * 7]}, arm="arm", design=design, id="id", labels=labels)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"accept": 0.1}, "either until a try is accepted, with `accept`, or takes the best"),
        ({"draws": 1}, "draws must be at least 2"),
        ({"draws": 2.5}, "draws must be a whole number"),
        ({"tries": 10}, "`tries` bounds the search for an accepted draw"),
        ({"on": (), "tiers": ((("age",), 0.1),)}, "tiers each have a threshold of their own"),
    ],
)
def test_refused_when_made(more, says):
    with pytest.raises(DesignError, match=says):
        best(kk.Complete(HALVES), **{"draws": 10, **more})


def test_an_acceptance_beside_tiers_is_refused():
    with pytest.raises(DesignError, match="each tier states its own acceptance"):
        kk.Rerandomised(kk.Complete(HALVES), tiers=((("age",), 0.1),), accept=0.3)


def test_refused_when_bound():
    with pytest.raises(DesignError, match="rerandomised already"):
        bind(best(kk.Rerandomised(kk.Complete(HALVES), on="age", accept=0.5)), SMALL)
    with pytest.raises(DesignError, match="'same' cannot differ between arms"):
        bind(best(kk.Complete(HALVES), on="same"), {**SMALL, "same": [4] * 8})
