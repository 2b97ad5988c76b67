from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace

import numpy as np
import pytest

import kokeilu as kk
from kokeilu.errors import DesignError, FileError, KokeiluError, PlanError, SeedError

COMPLETE = kk.Complete(kk.arms(control=1, coaching=1))


def read(text):
    return kk.Certificate.from_json(text)


def test_the_secret_shows_only_when_revealed(ceremony):
    published = ceremony.certificate.published()
    assert ceremony.secret.hex() not in published + repr(ceremony.certificate)
    assert ceremony.assignment.seed.text not in published
    revealed = json.loads(ceremony.certificate.revealed())
    assert revealed["secret"] == ceremony.secret.hex()
    assert ceremony.assignment.seed.text not in ceremony.certificate.revealed()
    assert read(published).revealed(ceremony.secret) == ceremony.certificate.revealed()
    assert read(ceremony.certificate.revealed()).published() == published
    assert read(published).fingerprint == read(ceremony.certificate.revealed()).fingerprint


def test_the_revealed_text_tells_nobodys_arm(ceremony):
    """What the public can compute from it, secret and value included, is another draw: the key is missing."""
    told = json.loads(ceremony.certificate.revealed())
    committed, field = told["commitment"], lambda part: len(part).to_bytes(8, "little") + part
    hashes = [bytes.fromhex(committed["register"]["root"]), bytes.fromhex(committed["design_hash"])]
    parts = [b"kokeilu/seed/1", bytes.fromhex(told["secret"]), told["beacon"].encode(), *hashes]
    guess = hashlib.sha256(b"".join(map(field, parts))).digest()
    replayed = kk.randomise(ceremony.table, ceremony.commitment.design, id="person", seed=guess)
    assert not np.array_equal(replayed.codes, ceremony.assignment.codes)


def test_who_has_no_secret_reveals_nothing(ceremony):
    held = read(ceremony.certificate.published())
    with pytest.raises(SeedError, match="does not reveal the secret"):
        held.revealed()
    with pytest.raises(SeedError, match="not the one that was committed to"):
        held.revealed(bytes(range(1, 33)))


def test_before_the_secret_is_revealed_no_replay_is_made(ceremony):
    held = read(ceremony.certificate.published())
    finding = kk.verify(held, ceremony.table, key=ceremony.key)
    assert (finding.verified, finding.first_difference) == (False, "secret")
    assert kk.verify(held, ceremony.table, key=ceremony.key, secret=ceremony.secret).verified


def forged(certificate, **changes):
    """Return a certificate whose own fingerprint fits what was changed in it."""
    changed = replace(certificate, **changes)
    return replace(changed, stated=changed.fingerprint)


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("result", lambda c: {"beacon": "4 11 20"}),
        ("result", lambda c: {"result_root": "0" * 64}),
        ("counts", lambda c: {"counts": replace(c.counts, total=(13, 11))}),
        ("commitment", lambda c: {"commitment_fingerprint": "0" * 64}),
        ("commitment", lambda c: {"commitment": replace(c.commitment, source="another lottery")}),
        ("secret", lambda c: {"secret": bytes(range(1, 33))}),
    ],
)
def test_a_forger_who_mends_the_fingerprint_is_named(ceremony, what, changes):
    finding = kk.verify(forged(ceremony.certificate, **changes(ceremony.certificate)), ceremony.table, key=ceremony.key)
    assert (finding.verified, finding.first_difference) == (False, what)


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("design", {"design_hash": "0" * 64}),
        ("key", {"key_digest": "0" * 64}),
        ("secret", {"secret_digest": "0" * 64}),
        ("register", {"root": "0" * 64}),
        ("register", {"people": 25}),
    ],
)
def test_a_forger_who_mends_the_commitment_is_named(ceremony, what, changes):
    commitment = replace(ceremony.commitment, **changes)
    certificate = forged(ceremony.certificate, commitment=commitment, commitment_fingerprint=commitment.fingerprint)
    assert kk.verify(certificate, ceremony.table, key=ceremony.key).first_difference == what
    kept = {"key": ceremony.key, "commitment": ceremony.commitment}
    assert kk.verify(certificate, ceremony.table, **kept).first_difference == "published commitment"


def test_another_key_and_another_assignment_are_named(ceremony, hold):
    certificate, table, key = ceremony.certificate, ceremony.table, ceremony.key
    assert kk.verify(certificate, table, key=bytes(range(1, 33))).first_difference == "key"
    moved = np.array(ceremony.assignment.codes)
    moved[3] = 1 - moved[3]
    flipped = replace(ceremony.assignment, codes=moved)
    others = [flipped, hold(table, COMPLETE).assignment, hold(table, ceremony.commitment.design, beacon="x").assignment]
    others.append(hold(table.head(22), ceremony.commitment.design).assignment)
    says = ["another arm to 1 person", "other people or values", "another seed", "other people or values"]
    for other, word in zip(others, says, strict=True):
        finding = kk.verify(certificate, table, key=key, drawn=other)
        assert finding.first_difference == "assignment"
        assert word in str(finding)


def test_other_code_that_gives_the_same_draw_is_told(ceremony):
    commitment = replace(ceremony.commitment, version="0.0.9")
    certificate = forged(ceremony.certificate, commitment=commitment, commitment_fingerprint=commitment.fingerprint)
    finding = kk.verify(certificate, ceremony.table, key=ceremony.key)
    assert finding.verified
    assert "kokeilu 0.0.9" in str(finding)
    assert "gives the same result" in str(finding)
    finding = kk.verify(forged(certificate, beacon="x"), ceremony.table, key=ceremony.key)
    assert "replay with the version committed to" in str(finding)


def test_every_flipped_bit_is_found_and_named(hold):
    """Flip each bit of a small certificate: each is refused on reading with a reason, or named by the replay."""
    table = {"person": [3, 1, 2, 5, 4, 6], "area": ["a", "b"] * 3}
    held = hold(table, kk.Stratified(kk.arms(x=1, y=1), by="area"), source="dice", name="")
    raw = held.certificate.revealed().encode()
    assert kk.verify(read(raw), table, key=held.key, commitment=held.commitment).verified
    names: dict[str, int] = {}
    for place in range(8 * len(raw)):
        flipped = bytearray(raw)
        flipped[place // 8] ^= 1 << place % 8
        try:
            certificate = read(bytes(flipped))
        except FileError:
            continue
        finding = kk.verify(certificate, table, key=held.key)
        assert not finding.verified, place
        names[finding.first_difference] = names.get(finding.first_difference, 0) + 1
    # What is whole for itself but not true is named by what it contradicts.
    assert {"certificate", "secret"} <= set(names)


def test_every_flipped_bit_of_a_commitment_is_found(ceremony):
    raw, parsed = ceremony.commitment.to_json().encode(), 0
    for place in range(8 * len(raw)):
        flipped = bytearray(raw)
        flipped[place // 8] ^= 1 << place % 8
        try:
            other = kk.Commitment.from_json(bytes(flipped))
        except FileError:
            continue
        assert other.fingerprint != ceremony.commitment.fingerprint
        parsed += 1
    assert parsed > 1_000


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"total":[12,12]', '"total":[12]', "rows of different lengths"),
        ('"total":[12,12]', '"total":["12",12]', "no whole number at 'total'"),
        ('"secret":null', '"secret":null,"seed":null', "seed"),
        ('"counts":{', '"counts":[{', "no whole JSON"),
        ("certificate/1", "certificate/9", "not of the schema"),
    ],
)
def test_a_certificate_of_another_form_is_refused(ceremony, old, new, says):
    text = ceremony.certificate.published()
    assert old in text
    with pytest.raises(FileError, match=says):
        read(text.replace(old, new))


def test_a_table_without_the_columns_raises(ceremony):
    with pytest.raises(KokeiluError, match="has no column 'area'"):
        kk.verify(ceremony.certificate, ceremony.table[["person", "long_term"]], key=ceremony.key)
    with pytest.raises(PlanError, match="a commitment is needed"):
        kk.verify(ceremony.certificate, ceremony.table, key=ceremony.key, commitment="commitment.json")
    with pytest.raises(DesignError, match="key=... is for the certificate"):
        kk.verify(ceremony.assignment, ceremony.table, key=ceremony.key)


def counts(hold, strata, arms):
    """Return the published counts of a draw with strata of these sizes."""
    area = [f"s{i}" for i, size in enumerate(strata) for _ in range(size)]
    table = {"person": list(range(len(area))), "area": area}
    return hold(table, kk.Stratified(kk.arms(arms), by="area")).certificate.counts


HALF = {"x": 1, "y": 1}


def test_counts_of_large_strata_are_published(hold):
    found = counts(hold, [20, 30, 40], HALF)
    assert found.total == (45, 45)
    assert [c for _, c in found.strata] == [(10, 10), (15, 15), (20, 20)]
    assert (found.others, found.pooled) == ((), 0)
    assert found.rows()[1] == {"stratum": "s0", "x": 10, "y": 10}


def test_a_small_stratum_is_pooled_with_another(hold):
    found = counts(hold, [4, 30, 40], HALF)
    assert [levels for levels, _ in found.strata] == [("s2",)]
    assert (found.others, found.pooled) == ((17, 17), 2)
    assert "2 other strata" in str(found)


def test_a_small_arm_is_hidden_with_another(hold):
    assert counts(hold, [40], {"x": 18, "y": 1, "z": 1}).total == (36, None, None)
    assert counts(hold, [40], {"x": 12, "y": 7, "z": 1}).total == (24, None, None)
    assert counts(hold, [40], {"x": 19, "y": 1}).total == (None, None)


@pytest.mark.parametrize("sizes", [[2] * 8, [4, 4, 4], [5, 50, 6, 7], [3, 60], [1, 1, 90, 90], [6, 6, 6, 3]])
@pytest.mark.parametrize("arms", [HALF, {"x": 2, "y": 1, "z": 1}])
def test_no_published_count_and_no_difference_is_small(hold, sizes, arms):
    found = counts(hold, sizes, arms)
    shown = [*found.strata, *([((), found.others)] if found.others else [])]
    for _, row in shown:
        assert not any(0 < n < 3 for n in row)
    assert found.pooled != 1
    assert not any(n is not None and 0 < n < 3 for n in found.total)
    if None not in found.total:
        left = np.array(found.total) - sum(np.array(row) for _, row in found.strata)
        assert not any(0 < n < 3 for n in left)


def test_the_drand_value_of_the_reference():
    signature = bytes.fromhex(
        "b713718a38ae728dfd477991af2822e08d2f305e47718cef9f7848ce4050e7be41076862b98fad56e91a6b85b89cd97b"
    )
    value = "fc1873a13f3545aeade8401532ef5519920652eee6b0d2b19ca12643b87b3587"
    assert hashlib.sha256(signature).hexdigest() == value


def test_the_code_hash_covers_the_sources(ceremony):
    assert re.fullmatch("[0-9a-f]{64}", ceremony.commitment.source_code)
    assert ceremony.commitment.version == kk.__version__


def test_the_key_that_made_the_golden_values_makes_them_for_ever(hold):
    """The bytes that are hashed never change for this version of the protocol."""
    table = {"person": ["a", "b", "c", "d"], "area": ["x", "x", "y", "y"]}
    held = hold(table, kk.Stratified(kk.arms(p=1, q=1), by="area"))
    assert held.commitment.root == "457a58aed9b88172ad03f2947b33d4ee2c0b8e37cf49f40d6de90ad48756c4de"
    assert held.certificate.result_root == "388a574b541696fee5b17e8ae8cf00eb70609fc38594f5904d67961b615bdea6"
    assert held.assignment.seed.text == "99142c790c23a2f58ff8242cc1e99e92a24f113ed8e6b622114f73295a319637"


def test_a_number_that_became_text_is_named_and_not_raised(ceremony, hold):
    table = ceremony.table.assign(age=[20.5 + i for i in range(24)])
    held = hold(table, kk.MatchedTuples(kk.arms(control=1, coaching=1), on="age"))
    found = kk.verify(held.certificate, table.assign(age=table["age"].astype(str)), key=held.key)
    assert not found.verified
    assert any(c.check == "register" and not c.holds and "held numbers" in c.finding for c in found.checks)


def test_a_column_of_an_unknown_kind_is_refused(ceremony):
    text = ceremony.commitment.to_json().replace('["area","category"]', '["area","plain"]')
    assert text != ceremony.commitment.to_json()
    with pytest.raises(FileError, match="column of no known kind"):
        kk.Commitment.from_json(text)
