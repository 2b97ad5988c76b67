"""The Gram-Schmidt walk design: laws, its reference case, blocks, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import kokeilu as kk
from kokeilu._kernels.streams import Seed
from kokeilu.assign import gram_schmidt as module
from kokeilu.core.lottery import all_assignments
from kokeilu.core.register import read_register
from kokeilu.errors import DataError, DesignError
from kokeilu.testing import exact_marginals, mechanism_laws

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "covariate_designs.json").read_text())["gsw_exact"]
SIX = {"id": list(range(6)), **{f"x{j}": [row[j] for row in REFERENCE["X"]] for j in range(3)}}
ON = ("x0", "x1", "x2")
HALVES, UNEVEN = kk.arms(control=1, coaching=1), kk.arms(control=2, coaching=1)
OFFICES = {
    **{name: [*values, *values] for name, values in SIX.items()},
    "id": list(range(12)),
    "office": list("aabbccddeeff"),
    "sector": list("xyzxyzxxyyzz"),
}


def walk(arms=HALVES, **more):
    return kk.GramSchmidtWalk(arms, **{"on": ON, **more})


INSTANCES = [
    (walk(), SIX),
    (walk(UNEVEN), SIX),
    (walk(kk.arms(a="0.3", b="0.7"), robustness=0.1), SIX),
    (walk(balanced=True), SIX),
    (walk(UNEVEN, balanced=True, robustness=0.9), SIX),
    (walk(standardise=False, robustness=0.1), SIX),
    (walk(robustness=1), SIX),
    (walk(on=("x0", "sector")), OFFICES),
    (kk.Clustered(walk(on=("x0", "cluster_size", "sector")), by="office"), OFFICES),
    (walk(kk.arms(a=0, b=1)), SIX),
]


@pytest.mark.parametrize(
    ("law", "mechanism", "register"), mechanism_laws(INSTANCES), ids=lambda v: getattr(v, "__name__", "")
)
def test_law_holds(law, mechanism, register):
    law(mechanism, register)


def bind(mechanism, register):
    return mechanism.bind(read_register(register, mechanism, id="id")[0])


def stream(name="draws"):
    return Seed.of("walks").stream(name)


def people(n, p):
    uniform = Seed.of("people").stream("x").doubles(n, p)
    return {"id": np.arange(n), **{f"x{j}": uniform[:, j] for j in range(p)}}


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda c: f"{c['phi']}-{c['prob']}-{c['balanced']}")
def test_reference(case):
    share = str(case["prob"])
    arms = kk.arms(control=str(round(1 - case["prob"], 1)), coaching=share)
    design = walk(arms, robustness=case["phi"], balanced=case["balanced"], standardise=False)
    lottery = bind(design, SIX)
    assert lottery.count() == case["n_support"]
    codes, chances = next(all_assignments(lottery))
    signs = 2.0 * codes - 1.0
    mean = chances @ signs
    covariance = (signs * chances[:, None]).T @ signs - np.outer(mean, mean)
    assert covariance == pytest.approx(np.array(case["cov"]), abs=1e-9)
    assert exact_marginals(lottery) == pytest.approx(lottery.shares(), abs=1e-12)
    if not case["balanced"]:
        assert lottery.bound() == pytest.approx(np.array(case["cov_upper_bound"]), abs=1e-9)
        assert np.linalg.eigvalsh(lottery.bound() - covariance).min() > -1e-9


def test_it_balances_better_than_a_shuffle():
    table = people(200, 4)
    values = np.stack([table[f"x{j}"] for j in range(4)], axis=1)
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    design = kk.GramSchmidtWalk(HALVES, on=tuple(f"x{j}" for j in range(4)), robustness=0.2)
    walked = 2.0 * bind(design, table).draw(stream(), 200) - 1
    shuffled = 2.0 * bind(kk.Complete(HALVES), table).draw(stream(), 200) - 1
    assert ((walked @ values) ** 2).sum() < 0.2 * ((shuffled @ values) ** 2).sum()


def test_the_bound_holds_in_draws():
    table = people(30, 3)
    lottery = bind(kk.GramSchmidtWalk(HALVES, on=ON, robustness=0.3), table)
    signs = 2.0 * lottery.draw(stream(), 4_000) - 1
    covariance = np.cov(signs, rowvar=False)
    values, vectors = np.linalg.eigh(lottery.bound())
    spread = np.einsum("ji,jk,ki->i", vectors, covariance, vectors)
    # The variance along an eigenvector has a standard error of about sqrt(2 / 4000) of itself.
    assert (spread <= values * (1 + 5 * np.sqrt(2 / 4_000))).all()


def test_units_of_measurement_do_not_matter_unless_asked():
    scaled = {**SIX, "x1": [1e6 * x + 3 for x in SIX["x1"]]}
    assert np.array_equal(bind(walk(), SIX).draw(stream(), 20), bind(walk(), scaled).draw(stream(), 20))
    as_is = walk(standardise=False)
    assert not np.array_equal(bind(as_is, SIX).draw(stream(), 20), bind(as_is, scaled).draw(stream(), 20))


def test_blocks_walk_on_their_own(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 40)
    lottery = bind(walk(UNEVEN, balanced=True), people(90, 3))
    assert [len(block) for block in lottery.blocks] == [30, 30, 30]
    codes = lottery.draw(stream(), 8)
    assert all((codes[:, block].sum(axis=1) == 10).all() for block in lottery.blocks)
    assert lottery.problem(codes[0]) is None
    wrong = codes[0].copy()
    wrong[:30] = 0
    assert "more than one person from their shares" in lottery.problem(wrong)


def test_problem_of_a_small_walk():
    lottery = bind(walk(standardise=False, robustness=0.1), SIX)
    codes, _ = next(lottery.every())
    possible = {tuple(row) for row in codes.tolist()}
    missing = next(row for row in np.ndindex(*[2] * 6) if row not in possible)
    assert lottery.problem(np.array(missing, dtype=np.int8)) == "the walk cannot reach it on these covariates"
    assert lottery.problem(codes[0]) is None
    certain = bind(walk(kk.arms(a=0, b=1)), SIX)
    assert "share is 0" in certain.problem(np.zeros(6, dtype=np.int8))


def test_the_whole_chain(tmp_path):
    table = people(60, 3)
    design = walk(balanced=True)
    assignment = kk.randomise(table, design, id="id", seed="lottery 7 9 13")
    assert assignment.counts() == {"control": 30, "coaching": 30}
    assert kk.verify(assignment, table).verified
    kk.save(assignment, tmp_path / "draw.parquet")
    assert kk.load(tmp_path / "draw.parquet").fingerprint == assignment.fingerprint
    outcomes = {"id": table["id"], "y": table["x0"] + 0.01 * np.arange(60)}
    assert 0 < kk.randomisation_test(assignment, outcomes, "y", draws=99).p_value <= 1
    assert len(kk.check_balance(assignment, table, on=["x0", "x1"], draws=99).lines) == 2


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: kk.GramSchmidtWalk("ab", on="x"), "needs arms"),
        (
            lambda: kk.GramSchmidtWalk(kk.arms(a=1, b=1, c=1), on="x"),
            "two arms, since its walk moves between two walls",
        ),
        (lambda: kk.GramSchmidtWalk(HALVES, on=()), "needs the covariates"),
        (lambda: walk(robustness=0), "robustness must be above 0"),
        (lambda: walk(robustness=1.5), r"robustness must lie in \[0, 1\]"),
        (lambda: walk(balanced="yes"), "balanced must be True or False"),
    ],
)
def test_refused_when_made(make, says):
    with pytest.raises(DesignError, match=says):
        make()


def test_refused_when_bound():
    with pytest.raises(DesignError, match="'x0' does not vary in the register"):
        bind(walk(on="x0"), {"id": [1, 2, 3], "x0": [0.1, 0.1, 0.1]})
    with pytest.raises(DesignError, match="at least two"):
        bind(walk(on="x0"), {"id": [1], "x0": [0.1]})
    with pytest.raises(DataError, match="'x0' is missing for 1 person"):
        bind(walk(on="x0"), {"id": [1, 2, 3], "x0": [0.1, None, 0.1]})
    with pytest.raises(DesignError, match="does not hold with balanced=True"):
        bind(walk(balanced=True), SIX).bound()
    with pytest.raises(DesignError, match="listed for at most 8 people"):
        next(bind(walk(), people(9, 3)).every())
