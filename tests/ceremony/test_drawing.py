from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

import pytest

import kokeilu as kk
from kokeilu.core.canonical import fingerprint
from kokeilu.core.registry import encode
from kokeilu.errors import PlanError


def test_the_seed_is_that_of_the_definition(ceremony):
    parts = [b"kokeilu/seed/1", ceremony.secret, b"4 11 19"]
    parts += [bytes.fromhex(ceremony.commitment.root), bytes.fromhex(ceremony.commitment.design_hash)]
    parts.append(hmac.digest(ceremony.key, b"kokeilu/seed/1", "sha256"))
    seed = hashlib.sha256(b"".join(len(p).to_bytes(8, "little") + p for p in parts)).digest()
    design = ceremony.commitment.design
    plain = kk.randomise(ceremony.table, design, id="person", seed=seed)
    assert ceremony.assignment.fingerprint == plain.fingerprint
    assert ceremony.assignment.seed == plain.seed


def test_the_assignment_is_an_ordinary_one(ceremony, tmp_path):
    assert kk.verify(ceremony.assignment, ceremony.table).verified
    back = kk.load(kk.save(ceremony.assignment, tmp_path / "draw.parquet"))
    assert back.fingerprint == ceremony.assignment.fingerprint
    kept = {"key": ceremony.key, "drawn": back}
    assert kk.verify(ceremony.certificate, ceremony.table, **kept).verified


def test_the_public_value_and_the_secret_decide(ceremony, hold):
    design = ceremony.commitment.design
    draws = [hold(ceremony.table, design, beacon=b).assignment.codes.tolist() for b in ("4 11 19", "4 11 20")]
    assert draws[0] == ceremony.assignment.codes.tolist()
    assert draws[0] != draws[1]
    same = hold(ceremony.table, design, beacon=" 4 11 19\n")
    assert same.certificate.fingerprint == ceremony.certificate.fingerprint


def other_design(commitment):
    return replace(commitment, design=kk.Complete(kk.arms(control=1, coaching=1)))


@pytest.mark.parametrize(
    ("of_commitment", "of_call", "says"),
    [
        (None, {"key": bytes(range(1, 33))}, "key: this is not the key"),
        (None, {"secret": bytes(range(1, 33))}, "secret: this is not the secret"),
        (None, {"key": bytes(range(1, 33)), "secret": bytes(range(2, 34))}, "key: .*; secret: "),
        (lambda c: replace(c, version="0.0.9"), {}, "code: committed to was kokeilu 0.0.9"),
        (lambda c: replace(c, source_code="0" * 64), {}, r"code: .*source 000000000000"),
        (other_design, {}, "design: it is not the rule"),
        (lambda c: replace(c, people=25), {}, "register: 25 people committed to, 24"),
        (lambda c: replace(c, ids="whole numbers"), {}, "register: the ids committed to are whole numbers"),
        (lambda c: replace(c, root="0" * 64), {}, "register: at least one id"),
        (lambda c: replace(c, columns=c.columns[:1]), {}, "register: the columns committed to"),
        (lambda c: replace(c, columns=(("area", "keyed"), c.columns[1])), {}, "register: at least one"),
        (lambda c: c.to_json(), {}, "a commitment is needed"),
        (None, {"beacon": ""}, "beacon is empty. Give the public value"),
    ],
)
def test_a_draw_that_is_not_as_committed_is_refused(ceremony, of_commitment, of_call, says):
    commitment = of_commitment(ceremony.commitment) if of_commitment else ceremony.commitment
    stated = {"key": ceremony.key, "secret": ceremony.secret, "beacon": "4 11 19", **of_call}
    with pytest.raises(PlanError, match=says):
        kk.draw(commitment, ceremony.table, **stated)


def test_each_cell_of_the_register_counts(ceremony):
    """Change each cell of the register, one at a time: each draw is refused, and each verification fails."""
    for column in ceremony.table.columns:
        for row in range(len(ceremony.table)):
            table = ceremony.table.copy()
            old = table.loc[row, column]
            table[column] = table[column].astype(object)
            table.loc[row, column] = (not old) if isinstance(old, bool) or column == "long_term" else f"{old}'"
            if column == "long_term":
                table[column] = table[column].astype(bool)
            with pytest.raises(PlanError, match="register: at least one id, or one value"):
                kk.draw(ceremony.commitment, table, key=ceremony.key, secret=ceremony.secret, beacon="4 11 19")
            finding = kk.verify(ceremony.certificate, table, key=ceremony.key)
            assert finding.first_difference == "register"
            assert not finding.verified


def test_people_who_come_or_go_count(ceremony):
    for table in (ceremony.table.head(23), ceremony.table.assign(person=[*ceremony.table["person"][:-1], "P-900"])):
        assert kk.verify(ceremony.certificate, table, key=ceremony.key).first_difference == "register"


def test_columns_that_the_design_does_not_use_may_change(ceremony):
    assert kk.verify(ceremony.certificate, ceremony.table.assign(age=1), key=ceremony.key).verified


def test_a_draw_under_a_plan_can_be_analysed(ceremony, hold):
    design = ceremony.commitment.design
    plan = kk.Plan(
        title="Coach", id="person", design=design, outcomes=(kk.Outcome("work"),), analyses=(kk.Analysis("work"),)
    )
    held = hold(ceremony.table, design, plan=plan)
    outcomes = ceremony.table.assign(work=[float(i % 5 > 1) for i in range(24)])
    assert kk.analyse(plan, held.assignment, outcomes).estimates[0].registered
    bare = kk.verify(held.certificate, ceremony.table, key=held.key, drawn=ceremony.assignment)
    assert "it is of another plan" in str(bare)
    for other, says in ((plan, "another design"), ("plan.json", "a plan is needed")):
        with pytest.raises(PlanError, match=says):
            hold(ceremony.table, kk.Complete(kk.arms(control=1, coaching=1)), plan=other)


HOMES = {"home": [f"H{i % 8}" for i in range(24)], "age": [20.0 + (7 * i) % 23 for i in range(24)]}


@pytest.mark.parametrize(
    "design",
    [
        kk.Bernoulli(kk.arms(a=1, b=2)),
        kk.Clustered(kk.Complete(kk.arms(a=1, b=1)), by="home"),
        kk.Stratified(
            {"Pori": kk.arms(a=1, b=1), "Mänttä": kk.arms(a=1, b=3), "Utsjoki": kk.arms(a=1, b=1)}, by="area"
        ),
        kk.GramSchmidtWalk(kk.arms(a=1, b=1), on=("age", "area")),
    ],
    ids=lambda design: type(design).__name__,
)
def test_other_designs(ceremony, hold, design):
    table = ceremony.table.assign(**HOMES)
    held = hold(table, design)
    again = kk.Certificate.from_json(held.certificate.revealed())
    finding = kk.verify(again, table.iloc[::-1], key=held.key, drawn=held.assignment, commitment=held.commitment)
    assert finding.verified, str(finding)
    for person in table["person"]:
        assert kk.check_proof(kk.proof(again, table, person, key=held.key), again).verified


def test_a_plan_s_design_has_the_hash_of_the_plan(ceremony):
    assert ceremony.commitment.design_hash == fingerprint(encode(ceremony.commitment.design))
