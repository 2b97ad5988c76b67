from __future__ import annotations

import hashlib
import hmac
import importlib.util
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import kokeilu as kk
from kokeilu.ceremony.commitment import read_design
from kokeilu.core.canonical import canonical_json
from kokeilu.core.registry import encode
from kokeilu.errors import DataError, DesignError, FileError, PlanError, SeedError

ARMS = kk.arms(control=1, coaching=1)
COMPLETE = kk.Complete(ARMS)


def field(part: bytes) -> bytes:
    return len(part).to_bytes(8, "little") + part


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def root_of(contents: list[bytes]) -> bytes:
    """RFC 6962, 2.1, as it is defined there."""
    if len(contents) == 1:
        return sha(b"\0" + contents[0])
    cut = 1 << (len(contents) - 1).bit_length() - 1
    return sha(b"\1" + root_of(contents[:cut]) + root_of(contents[cut:]))


def by_hand(rows, key: bytes, secret: bytes, *, kind: str = "text", arms: dict[str, str] | None = None) -> str:
    """The root of a register, or with arms of a result, by the standard library alone."""
    contents = []
    for person, values in rows:
        head = field(b"kokeilu/person/1") + field(kind.encode())
        keyed = hmac.digest(key, head + field(person.encode()), "sha256")
        salt = hmac.digest(secret, field(b"kokeilu/salt/1") + field(keyed), "sha256")[:16]
        row = b"".join(field(part.encode()) for pair in values for part in pair)
        tag = b"kokeilu/register/1" if arms is None else b"kokeilu/result/1"
        end = b"" if arms is None else field(arms[person].encode())
        contents.append((keyed, salt + field(tag) + field(keyed) + row + end))
    return root_of([content for _, content in sorted(contents)]).hex()


def test_a_whole_draw_by_the_standard_library_alone(hold):
    """Register, seed, draw and result of a certificate, with nothing of the library."""
    spec = importlib.util.spec_from_file_location("replay_draw", Path(__file__).parents[2] / "docs" / "replay_draw.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    pairs = [(f"p{i:02d}", f"a{i % 3}") for i in range(40)]
    table = {"person": [p for p, _ in pairs], "area": [a for _, a in pairs]}
    held = hold(table, kk.Stratified(kk.arms(x=1, y=2), by="area"))
    told = json.loads(held.certificate.revealed())
    committed, secret = told["commitment"], bytes.fromhex(told["secret"])
    rows = [(person, [("area", area)]) for person, area in pairs]
    root = by_hand(rows, held.key, secret)
    design = sha(json.dumps(committed["design"], sort_keys=True, separators=(",", ":")).encode())
    assert (root, design.hex()) == (committed["register"]["root"], committed["design_hash"])
    parts = [b"kokeilu/seed/1", secret, told["beacon"].encode(), bytes.fromhex(root), design]
    parts.append(hmac.digest(held.key, b"kokeilu/seed/1", "sha256"))
    seed = sha(b"".join(map(field, parts))).hex()
    assert seed == held.assignment.seed.text
    drawn = script.replay(pairs, ["1/3", "2/3"], seed, "b")
    arms = {person: told["counts"]["arms"][arm] for person, arm in drawn.items()}
    assert by_hand(rows, held.key, secret, arms=arms) == told["result_root"]
    assert [list(arms.values()).count(arm) for arm in ("x", "y")] == told["counts"]["total"]


def test_the_root_is_that_of_the_definition(ceremony):
    words = {True: "true", False: "false"}
    rows = [
        (r.person, [("area", r.area), ("long_term", words[r.long_term])])
        for r in ceremony.table.itertuples(index=False)
    ]
    assert by_hand(rows, ceremony.key, ceremony.secret) == ceremony.commitment.root


def test_whole_ids_and_numbers_enter_as_they_are_written(hold):
    table = {"id": [10, 9, 2, 1, 5, -3], "age": [31.5, -0.0, 40.0, 0.1, 22.25, 1e-7]}
    held = hold(table, kk.Rerandomised(COMPLETE, on="age", accept=0.5), id="id")
    texts = ["31.5", "0.0", "40.0", "0.1", "22.25", "1e-07"]
    rows = [(str(i), [("age", text)]) for i, text in zip(table["id"], texts, strict=True)]
    assert by_hand(rows, held.key, held.secret, kind="int") == held.commitment.root


def test_row_order_and_library_never_show(ceremony, hold):
    design = ceremony.commitment.design
    for table in (ceremony.table.iloc[::-1], pl.DataFrame(ceremony.table.to_dict("list"))):
        assert hold(table, design).commitment == ceremony.commitment


@pytest.mark.parametrize("place", range(4))
def test_names_and_fields_do_not_run_together(hold, place):
    """Values that give the same text when joined give other roots."""
    tables = [{"person": ["a1", "b"], "x": ["2", "2"]}, {"person": ["a", "b"], "x": ["12", "2"]}]
    tables += [{"person": ["a", "b"], "x": ["2", "2"]}, {"person": ["a", "b2"], "x": ["2", "2"]}]
    roots = [hold(t, kk.Stratified(kk.arms(a=1, b=1), by="x")).commitment.root for t in tables]
    assert roots.count(roots[place]) == 1


def test_nothing_of_anybody_is_published(ceremony):
    text = ceremony.commitment.to_json() + ceremony.certificate.revealed() + str(ceremony.certificate)
    assert not any(person in text for person in ceremony.table["person"])
    assert ceremony.key.hex() not in text
    assert ceremony.secret.hex() not in ceremony.commitment.to_json()


def test_leaves_stand_by_keyed_id_and_not_by_id(ceremony):
    places = [
        kk.proof(ceremony.certificate, ceremony.table, person, key=ceremony.key).place
        for person in sorted(ceremony.table["person"])
    ]
    assert sorted(places) == list(range(24))
    assert np.abs(np.corrcoef(places, range(24))[0, 1]) < 0.6


def test_what_may_name_a_person_is_keyed(hold):
    # Personal identity codes of numbers 900 to 999, which belong to nobody.
    codes = [f"010190-9{i:02d}{'0123456789ABCDEFHJKLMNPRSTUVWXY'[(10190900 + i) % 31]}" for i in range(12)]
    table = {"person": codes, "home": codes[:6] * 2, "parent": codes[::-1], "area": ["Pori", "Turku"] * 6}
    design = kk.Clustered(kk.Complete(kk.arms(a=1, b=1)), by="home")
    held = hold(table, design)
    assert held.commitment.columns == (("home", "keyed"),)
    both = hold(table, kk.Stratified(kk.arms(a=1, b=1), by=("area", "parent")))
    assert both.commitment.columns == (("area", "category"), ("parent", "keyed"))
    assert both.certificate.counts.strata == ()
    texts = [held.certificate.revealed(), both.certificate.revealed()]
    texts += [kk.proof(h.certificate, table, codes[0], key=h.key).to_json() for h in (held, both)]
    assert not any(code in text for code in codes for text in texts)
    plain = {hashlib.sha256(code.encode()).hexdigest() for code in codes}
    assert not any(digest in text for digest in plain for text in texts)


def test_the_text_comes_back(ceremony):
    commitment = ceremony.commitment
    assert kk.Commitment.from_json(commitment.to_json().encode() + b"\n") == commitment
    assert hashlib.sha256(commitment.to_json().encode()).hexdigest() == commitment.fingerprint
    assert commitment.design_hash == ceremony.assignment.design_fingerprint
    assert "28 November 2026" in str(commitment)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t + " ", "canonical"),
        (lambda t: t[:-1], "no whole JSON"),
        (lambda t: t.replace('"id":"person"', '"id":"per\\u0073on"'), "canonical"),
        (lambda t: json.dumps(json.loads(t), indent=1), "canonical"),
        (lambda t: t.replace("commitment/1", "commitment/2"), "not of the schema"),
        (lambda t: t.replace('"people":24', '"people":24.5'), "no whole number at 'people'"),
        (lambda t: t.replace('"people":24', '"people":true'), "no whole number at 'people'"),
        (lambda t: t.replace('"people":24,', ""), "lacks 'people'"),
        (lambda t: t.replace('"name":', '"nome":'), "unknown key 'nome'.*Did you mean 'name'"),
        (lambda t: t.replace('"kind":"stratified"', '"kind":"strata"'), "does not hold a design"),
        (lambda t: t.replace('"leftovers":"balanced"', '"leftovers":[]'), "does not hold a design"),
        (lambda t: "[1]", "is no object"),
        (lambda t: "{}", "lacks 'schema'"),
        (lambda t: t.replace('"name":"Personal coach 2027"', '"name":7'), "no text at 'name'"),
        (
            lambda t: t.replace('"version":"', '"version":["').replace('"},"design":', '"]},"design":'),
            "no text at 'version'",
        ),
        (lambda t: t.replace('"root":"', '"root":"00'), "hexadecimal digits of the right number at 'root'"),
        (lambda t: t.replace('[["area","category"]', '[["area"]'), "pairs of texts at 'columns'"),
        (lambda t: t.replace('"by":["area","long_term"]', '"by":[]'), "does not hold a design"),
        (lambda t: canonical_json({**json.loads(t), "design": encode(ARMS)}), "holds a design that"),
        (lambda t: "[" * 100_000, "no whole JSON"),
        (lambda t: b"\xff" + t.encode(), "no whole JSON"),
        (lambda t: 7, "text or bytes"),
    ],
)
def test_a_changed_text_is_refused(ceremony, change, says):
    with pytest.raises(FileError, match=says):
        kk.Commitment.from_json(change(ceremony.commitment.to_json()))


def test_keys_come_from_files_byte_for_byte(ceremony, tmp_path: Path):
    key, secret = tmp_path / "key.bin", tmp_path / "secret.bin"
    key.write_bytes(ceremony.key)
    secret.write_bytes(ceremony.secret)
    told = {"source": ceremony.commitment.source, "name": ceremony.commitment.name}
    again = kk.commit(ceremony.table, ceremony.commitment.design, id="person", key=key, secret=str(secret), **told)
    assert again == ceremony.commitment


def commit(table, **changes):
    stated = {"id": "person", "key": bytes(range(32)), "secret": bytes(range(32, 64)), "source": "a lottery"}
    stated |= changes
    return kk.commit(table, stated.pop("design", COMPLETE), **stated)


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"key": b"short"}, SeedError, "key is too easy to guess: at least 32 random bytes"),
        ({"secret": b"s" * 32}, SeedError, "secret is too easy to guess"),
        ({"key": bytes(range(32, 64))}, SeedError, "same bytes"),
        ({"key": 12}, SeedError, "key must be bytes, or the path of a file; got int"),
        ({"key": "absent.bin"}, FileError, "file of the key, 'absent.bin', cannot be read"),
        ({"source": " "}, PlanError, "source is empty. Give the public value"),
        ({"source": 4}, PlanError, "source must be text; got int"),
        ({"design": "complete"}, DesignError, "design must be a mechanism"),
        ({"design": kk.Stratified(kk.arms(a=1, b=2), by="area", leftovers="refuse")}, DesignError, "whole seats"),
    ],
)
def test_what_cannot_be_committed(ceremony, changes, error, says):
    with pytest.raises(error, match=says):
        commit(ceremony.table.head(13), **changes)


def test_missing_ids_are_refused_before_anything_is_published(ceremony):
    with pytest.raises(DataError, match="missing for 1 row"):
        commit(ceremony.table.assign(person=[None, *ceremony.table["person"].iloc[1:]]))


def test_a_design_from_its_file():
    text = json.dumps(encode(COMPLETE), indent=2).encode()
    assert read_design(text) == COMPLETE
    arms = b'{"kind":"arms","items":[["a","1","2"],["b","1","2"]]}'
    for broken, says in ((b"{", "no design"), (b"[]", "no design"), (arms, "another")):
        with pytest.raises(FileError, match=says):
            read_design(broken)
