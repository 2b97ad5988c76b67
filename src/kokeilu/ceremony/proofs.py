"""One person's own record, checkable against what was published by anybody, with nothing of others in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike

import numpy as np

from kokeilu._checks import plain_text
from kokeilu._kernels.merkle import leaf, path_of, root_from, split
from kokeilu.assign.randomise import draw_population
from kokeilu.assign.verify import Check, Verification
from kokeilu.ceremony.certificate import Certificate, seed_of
from kokeilu.ceremony.checking import compare_inputs, compare_register
from kokeilu.ceremony.frame import SALT_BYTES, Frame, record
from kokeilu.ceremony.keys import read_key
from kokeilu.ceremony.text import parse
from kokeilu.core.assignment import Assignment
from kokeilu.core.canonical import canonical_json, fingerprint
from kokeilu.core.population import Ids
from kokeilu.core.register import read_register
from kokeilu.errors import DataError, PlanError

__all__ = ["Proof", "check_proof", "proof"]

SCHEMA = "kokeilu-proof/1"
ABOUT = (
    "This is your own record in a public draw. It holds nothing of anybody else. Anyone can check it against the "
    "published certificate: the record was in the register before the draw, and the arm is the one drawn for it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One person's record in a public draw and the hashes that tie it to the certificate.

    Attributes
    ----------
    draw : str
        What was drawn, in words.
    certificate : str
        Fingerprint of the certificate.
    person : str
        Keyed id, hexadecimal: only the keeper of the register can tell whose it is.
    row : tuple of (column, value)
        What the draw knew of the person.
    arm : str
    salt : str
    place, people : int
        Position among all records, which are in the order of the keyed ids.
    frozen, drawn : tuple of str
        About log2 of the number of people hashes each: from the record up to the root of the register as it was
        frozen, and from the record with its arm up to the root of the result.
    """

    draw: str
    certificate: str
    person: str
    row: tuple[tuple[str, str], ...]
    arm: str
    salt: str
    place: int
    people: int
    frozen: tuple[str, ...]
    drawn: tuple[str, ...]
    stated: str = ""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the proof's text."""
        return fingerprint(self._body())

    def _body(self) -> dict[str, object]:
        return {
            "schema": SCHEMA,
            "about": ABOUT,
            "draw": self.draw,
            "certificate": self.certificate,
            "person": self.person,
            "row": [list(pair) for pair in self.row],
            "arm": self.arm,
            "salt": self.salt,
            "place": self.place,
            "people": self.people,
            "frozen": list(self.frozen),
            "drawn": list(self.drawn),
        }

    def to_json(self) -> str:
        """Return the canonical JSON to hand to the person."""
        return canonical_json({**self._body(), "fingerprint": self.fingerprint})

    @classmethod
    def from_json(cls, text: str | bytes) -> Proof:
        """Rebuild a proof from :meth:`to_json`.

        Raises
        ------
        FileError
            Where the text is not, to the byte, in the form that it writes.
        """
        reader = parse(text, schema=SCHEMA, what="the proof")
        names = ("draw", "certificate", "person", "row", "arm", "salt", "place", "people", "frozen", "drawn")
        reader.only("schema", "about", *names, "fingerprint")
        if reader.text("about") != ABOUT:
            reader.fail("has another explanation than it was written with")
        return cls(
            draw=reader.text("draw"),
            certificate=reader.hex("certificate"),
            person=reader.hex("person"),
            row=reader.pairs("row"),
            arm=reader.text("arm"),
            salt=reader.hex("salt", width=SALT_BYTES),
            place=reader.whole("place"),
            people=reader.whole("people"),
            frozen=reader.hexes("frozen"),
            drawn=reader.hexes("drawn"),
            stated=reader.hex("fingerprint"),
        )

    def __str__(self) -> str:
        lines = [f"{self.draw or 'A public draw'}: drawn into {self.arm!r}, one of {self.people:,} people."]
        lines += ["What the draw knew:", *(f"  {name}: {value}" for name, value in self.row)] if self.row else []
        return "\n".join([*lines, f"certificate {self.certificate}", f"fingerprint {self.fingerprint}"])


def proof(
    certificate: Certificate,
    table: object,
    person_id: str | int,
    *,
    key: bytes | str | PathLike[str],
    secret: bytes | str | PathLike[str] | None = None,
) -> Proof:
    """Make one person's proof, to be handed to that person.

    Parameters
    ----------
    certificate : Certificate
    table : pandas, pyarrow or Arrow-capable table
        The register as it was frozen.
    person_id : str or int
        The id, of the kind that the register has.
    key : bytes or path
    secret : bytes or path, optional
        Needed where the certificate does not hold it. A proof does not reveal it.

    Returns
    -------
    Proof

    Raises
    ------
    DataError
        Where the register has no such person; the id is not repeated in the message.
    PlanError
        Where the certificate is not that of this register, key and secret.
    SeedError
        Without the secret.

    Examples
    --------
    >>> import kokeilu as kk
    >>> seekers = kk.datasets.job_seekers(500, seed="example")
    >>> key, secret = bytes(range(32)), bytes(range(32, 64))
    >>> commitment = kk.commit(seekers, kk.Complete(kk.arms(control=1, coaching=1)), id="person_id", key=key,
    ...                        secret=secret, source="main lottery numbers of 28 November 2026")
    >>> assignment, certificate = kk.draw(commitment, seekers, key=key, secret=secret, beacon="4 11 19 23 30 38 40")
    >>> mine = kk.proof(certificate, seekers, seekers["person_id"].iloc[0], key=key)
    >>> kk.check_proof(mine, certificate).verified
    True
    """
    _check_certificate(certificate)
    commitment = certificate.commitment
    known, hidden = read_key(key, what="key"), certificate.known_secret(secret)
    population, _ = read_register(table, commitment.design, id=commitment.id)
    position = _find(population.ids, person_id)
    checks = compare_inputs(commitment, key=known, secret=hidden)
    compared, frame = compare_register(commitment, population, key=known, secret=hidden)
    wrong = [c.check for c in (*checks, compared) if not c.holds]
    if frame is None or wrong:
        raise _other(wrong)
    seed = seed_of(commitment, beacon=certificate.beacon, key=known, secret=hidden)
    drawn = draw_population(population, commitment.design, seed=seed)
    levels = frame.result(drawn.codes, drawn.arms.names)
    if levels[-1].hex() != certificate.result_root:
        raise _other(["result"])
    return _made(certificate, frame, levels, place=int(np.flatnonzero(frame.order == position)[0]), drawn=drawn)


def _made(certificate: Certificate, frame: Frame, levels: list[bytes], *, place: int, drawn: Assignment) -> Proof:
    person, *texts = split(frame.rows[place])
    words = [text.decode() for text in texts]
    made = Proof(
        draw=certificate.commitment.name,
        certificate=certificate.fingerprint,
        person=person.hex(),
        row=tuple(zip(words[::2], words[1::2], strict=True)),
        arm=drawn.arms.names[int(drawn.codes[frame.order[place]])],
        salt=frame.salts[place].hex(),
        place=place,
        people=len(drawn),
        frozen=tuple(sibling.hex() for sibling in path_of(frame.levels, place)),
        drawn=tuple(sibling.hex() for sibling in path_of(levels, place)),
    )
    return replace(made, stated=made.fingerprint)


def _find(ids: Ids, person_id: object) -> int:
    """Return the position of a person, or raise an error that does not repeat the id."""
    if ids.kind == "text" and isinstance(person_id, str):
        raw = person_id.encode("utf-8", errors="surrogatepass")
        composed = plain_text(person_id, name="the id", error=DataError).encode("utf-8")
        # numpy pads texts with zero bytes, so an id that ends in one would find another person.
        found = [int(ids.find(np.array([x]))[0]) for x in (raw, composed) if not x.endswith(b"\0")]
    elif ids.kind != "text" and isinstance(person_id, (int, np.integer)) and not isinstance(person_id, bool):
        found = [int(ids.find(np.array([int(person_id)], dtype=np.int64))[0])] if abs(int(person_id)) < 2**63 else []
    else:
        raise DataError(f"the ids of the register are {ids.kind}; the id given is {type(person_id).__name__}.")
    here = [position for position in found if position >= 0]
    if not here:
        raise DataError("the register has nobody with this id. Check how it is written.")
    return here[0]


def _other(wrong: list[str]) -> PlanError:
    return PlanError(
        f"no proof can be made: the {' and the '.join(wrong)} {'is' if len(wrong) == 1 else 'are'} not what the "
        "certificate holds. kokeilu.verify tells more."
    )


def _check_certificate(value: object) -> None:
    if not isinstance(value, Certificate):
        raise PlanError(
            f"a certificate is needed, from draw(...) or Certificate.from_json(text); got {type(value).__name__}."
        )


def check_proof(proof: Proof, certificate: Certificate) -> Verification:
    """Check one person's proof against a published certificate: no register, no key and no secret are needed.

    Parameters
    ----------
    proof : Proof
    certificate : Certificate

    Returns
    -------
    Verification
        What it cannot show: that the keyed id is that of the person who holds the proof. The keeper of the key can.

    Notes
    -----
    ``docs/check_proof.py`` does the same with Python's standard library alone.
    """
    if not isinstance(proof, Proof):
        raise PlanError(f"a proof is needed, from proof(...) or Proof.from_json(text); got {type(proof).__name__}.")
    _check_certificate(certificate)
    commitment = certificate.commitment
    whole = (
        certificate.stated == certificate.fingerprint and commitment.fingerprint == certificate.commitment_fingerprint
    )
    columns = tuple(name for name, _ in commitment.columns)
    checks = (
        _check("certificate", whole, "its text is whole", "its text was changed"),
        _check("proof", proof.stated == proof.fingerprint, "its text is whole", "its text was changed"),
        _check(
            "draw",
            (proof.certificate, proof.draw) == (certificate.fingerprint, commitment.name),
            "it is of this certificate",
            "it is of another certificate",
        ),
        _check(
            "record",
            tuple(name for name, _ in proof.row) == columns and proof.people == commitment.people,
            "it has the columns and the number of people committed to",
            "it has other columns, or another number of people, than was committed to",
        ),
        _check(
            "register",
            _root(proof, proof.frozen, arm=None) == commitment.root,
            "the record was in the register before the draw",
            "the record does not lead to the root of the register",
        ),
        _check(
            "result",
            _root(proof, proof.drawn, arm=proof.arm) == certificate.result_root,
            f"the arm drawn for it is {proof.arm!r}",
            "the record with its arm does not lead to the root of the result",
        ),
    )
    says = "the record was in the register before the draw, and the arm is the one drawn for it"
    return Verification(checks=checks, fingerprint=proof.fingerprint, says=says)


def _root(proof: Proof, path: tuple[str, ...], *, arm: str | None) -> str:
    try:
        salt, person, *siblings = map(bytes.fromhex, (proof.salt, proof.person, *path))
    except ValueError:
        return ""
    root = root_from(leaf(salt + record(person, proof.row, arm=arm)), proof.place, proof.people, siblings)
    return "" if root is None else root.hex()


def _check(check: str, holds: bool, finding: str, otherwise: str) -> Check:
    return Check(check=check, holds=holds, finding=finding if holds else otherwise)
