from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import kokeilu as kk
from kokeilu.errors import DataError, FileError, PlanError, SeedError

SCRIPT = Path(__file__).parents[2] / "docs" / "check_proof.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("check_proof", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def proof_of(ceremony, person, **changes):
    return kk.proof(ceremony.certificate, ceremony.table, person, **{"key": ceremony.key, **changes})


def test_everybody_s_proof_holds_with_both_checkers(ceremony, script):
    arms = ceremony.assignment.to_frame().set_index("person")["arm"]
    public = kk.Certificate.from_json(ceremony.certificate.published())
    for row in ceremony.table.itertuples(index=False):
        mine = kk.Proof.from_json(proof_of(ceremony, row.person).to_json())
        assert mine.arm == arms[row.person]
        assert mine.row == (("area", row.area), ("long_term", str(row.long_term).lower()))
        assert kk.check_proof(mine, public).verified
        assert all(script.check(json.loads(mine.to_json()), json.loads(public.published())).values())


def test_it_holds_nothing_of_others(ceremony):
    text = proof_of(ceremony, "P-007").to_json()
    assert "P-" not in text
    assert ceremony.secret.hex() not in text
    assert ceremony.key.hex() not in text
    others = {proof_of(ceremony, person).person for person in ceremony.table["person"]} - {
        proof_of(ceremony, "P-007").person
    }
    assert not any(other in text for other in others)


def test_it_is_short_and_can_be_read(ceremony):
    mine = proof_of(ceremony, "P-007")
    assert len(mine.frozen) == len(mine.drawn) <= 5
    assert "drawn into" in str(mine)
    assert "area: " in str(mine)
    assert "your own record" in mine.to_json()


def test_every_flipped_bit_of_a_proof_is_found(ceremony, script):
    raw = proof_of(ceremony, "P-007").to_json().encode()
    public = json.loads(ceremony.certificate.published())
    for place in range(8 * len(raw)):
        flipped = bytearray(raw)
        flipped[place // 8] ^= 1 << place % 8
        try:
            changed = kk.Proof.from_json(bytes(flipped))
        except FileError:
            continue
        finding = kk.check_proof(changed, ceremony.certificate)
        assert finding.first_difference, place
        if place % 7 == 0:
            assert not all(script.check(json.loads(flipped), public).values())


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"arm": "other"}, "result"),
        ({"row": (("area", "Turku"), ("long_term", "true"))}, "register"),
        ({"row": (("area", "Pori"),)}, "record"),
        ({"people": 25}, "record"),
        ({"salt": "0" * 32}, "register"),
        ({"person": "0" * 64}, "register"),
        ({"place": 24}, "register"),
        ({"frozen": ()}, "register"),
        ({"drawn": ()}, "result"),
        ({"certificate": "0" * 64}, "draw"),
        ({"draw": "Another"}, "draw"),
    ],
)
def test_a_forged_proof_is_named_by_both_checkers(ceremony, script, changes, what):
    changed = replace(proof_of(ceremony, "P-007"), **changes)
    changed = replace(changed, stated=changed.fingerprint)
    finding = kk.check_proof(changed, ceremony.certificate)
    assert (finding.verified, finding.first_difference) == (False, what)
    assert not all(script.check(json.loads(changed.to_json()), json.loads(ceremony.certificate.published())).values())


def test_a_proof_of_another_draw_fails(ceremony, hold):
    other = hold(ceremony.table, ceremony.commitment.design, beacon="another")
    finding = kk.check_proof(proof_of(other, "P-007"), ceremony.certificate)
    assert {c.check for c in finding.checks if not c.holds} == {"draw", "result"} or finding.first_difference == "draw"


@pytest.mark.parametrize(
    ("person", "changes", "error", "says"),
    [
        ("P-999", {}, DataError, "nobody with this id"),
        ("P-007\0", {}, DataError, "nobody with this id"),
        (7, {}, DataError, "ids of the register are text; the id given is int"),
        ("P-007", {"key": bytes(range(1, 33))}, PlanError, "the key and the register are not"),
        ("P-007", {"secret": bytes(range(1, 33))}, SeedError, "not the one that was committed to"),
    ],
)
def test_no_proof(ceremony, person, changes, error, says):
    with pytest.raises(error, match=says) as caught:
        proof_of(ceremony, person, **changes)
    assert "P-" not in str(caught.value)


def test_no_proof_of_a_certificate_that_is_not_true(ceremony):
    kept = {"key": ceremony.key}
    for wrong, says in (
        (replace(ceremony.certificate, beacon="x"), "the result is not"),
        ("certificate.json", "a certificate is needed"),
    ):
        with pytest.raises(PlanError, match=says):
            kk.proof(wrong, ceremony.table, "P-007", **kept)
    with pytest.raises(SeedError, match="does not reveal"):
        kk.proof(kk.Certificate.from_json(ceremony.certificate.published()), ceremony.table, "P-007", **kept)
    with pytest.raises(PlanError, match="a proof is needed"):
        kk.check_proof("proof.json", ceremony.certificate)


@pytest.mark.parametrize("n", [2, 3, 5, 8, 13])
def test_registers_of_any_size(hold, script, n):
    table = {"id": list(range(n)), "x": [i % 3 for i in range(n)]}
    held = hold(table, kk.Bernoulli(kk.arms(a=1, b=1)), id="id")
    for person in range(n):
        mine = kk.proof(held.certificate, table, person, key=held.key)
        assert kk.check_proof(mine, held.certificate).verified
        assert all(script.check(json.loads(mine.to_json()), json.loads(held.certificate.revealed())).values())
    with pytest.raises(DataError, match="nobody with this id"):
        kk.proof(held.certificate, table, 2**70, key=held.key)


def test_the_script_is_short_and_runs_alone(ceremony, hold, tmp_path):
    assert len(SCRIPT.read_text(encoding="utf-8").splitlines()) < 60
    table = {"person": list(range(12)), "age": [20.5 + i for i in range(12)]}
    # A design with fractions of its own: canonical JSON writes them as ECMAScript does.
    held = hold(table, kk.Rerandomised(kk.Complete(kk.arms(a=1, b=1)), on="age", accept=0.5))
    for draw, person in ((ceremony, "P-007"), (held, 7)):
        (tmp_path / "proof.json").write_text(proof_of(draw, person).to_json(), encoding="utf-8")
        (tmp_path / "certificate.json").write_text(draw.certificate.published(), encoding="utf-8")
        command = [sys.executable, str(SCRIPT), str(tmp_path / "proof.json"), str(tmp_path / "certificate.json")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout.count("yes")) == (0, 7), done.stderr
        (tmp_path / "proof.json").write_text(
            proof_of(draw, person).to_json().replace('"place":', '"place":1'), encoding="utf-8"
        )
        assert subprocess.run(command, capture_output=True, check=False).returncode == 1


def test_a_proof_whose_hashes_are_no_hexadecimal_digits_is_not_verified(ceremony):
    made = kk.proof(ceremony.certificate, ceremony.table, "P-003", key=ceremony.key)
    found = kk.check_proof(replace(made, person="zz"), ceremony.certificate)
    assert {"register", "result"} <= {c.check for c in found.checks if not c.holds}


def test_the_script_tells_what_it_needs(ceremony, tmp_path):
    (tmp_path / "certificate.json").write_text(ceremony.certificate.published(), encoding="utf-8")
    for arguments in ([], ["absent.json", "absent.json"], ["certificate.json", "certificate.json"]):
        command = [sys.executable, str(SCRIPT), *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("Give a proof and the certificate of its draw")


def test_the_verdict_speaks_of_the_record(ceremony):
    mine = proof_of(ceremony, "P-007")
    assert str(kk.check_proof(mine, ceremony.certificate)).startswith("VERIFIED: the record was in the register")
    other = kk.check_proof(replace(mine, arm="another"), ceremony.certificate)
    assert other.verdict == "NOT VERIFIED. What differs: proof, result."
