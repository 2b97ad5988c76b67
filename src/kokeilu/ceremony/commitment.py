"""What is published before a draw, so that nothing can be chosen after it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from os import PathLike

from kokeilu._checks import plain_text
from kokeilu.assign.randomise import check_design
from kokeilu.ceremony.frame import CATEGORY, KEYED, NUMBER, Columns, columns_of, freeze
from kokeilu.ceremony.keys import digest_of, read_key
from kokeilu.ceremony.source import library_version, source_hash
from kokeilu.ceremony.text import Reader, decode_design, parse
from kokeilu.core.canonical import canonical_json, fingerprint
from kokeilu.core.protocols import Mechanism
from kokeilu.core.register import read_register
from kokeilu.core.registry import encode
from kokeilu.errors import FileError, PlanError, SeedError

__all__ = ["Commitment", "commit", "read_design", "some_text"]

SCHEMA = "kokeilu-commitment/1"
_ARMS = '{"kind": "arms", "items": [["control", "1", "2"], ["coaching", "1", "2"]]}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """A frozen register, a design and the name of a future public value: the text that is published before a draw.

    It names nobody. What it holds of people is one hash over all of them, made with a key.

    Attributes
    ----------
    name : str
        What is drawn, in words.
    source : str
        The public value to come: what, when, and where it will be read.
    design : Mechanism
    design_hash : str
        SHA-256 of the design's canonical JSON.
    id : str
        The column that names each person once.
    ids : str
        "whole numbers" or "text": the draw goes by the order of the ids.
    people : int
    columns : tuple of (name, kind)
        What a record holds beside the keyed id. Kind is "category", "number", or "keyed" for what may name a person.
    root : str
        Fingerprint of the frozen register.
    key_digest, secret_digest : str
    plan : str or None
        Fingerprint of the plan under which people are enrolled.
    version, source_code : str
        Version of kokeilu, and a hash of its source files.
    """

    name: str
    source: str
    design: Mechanism
    design_hash: str
    id: str
    ids: str
    people: int
    columns: Columns
    root: str
    key_digest: str
    secret_digest: str
    version: str
    source_code: str
    plan: str | None = None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON, 64 hexadecimal digits."""
        return fingerprint(self.to_data())

    def to_data(self) -> dict[str, object]:
        """Return the commitment as plain JSON data."""
        register: dict[str, object] = {
            "id": self.id,
            "ids": self.ids,
            "people": self.people,
            "columns": [list(pair) for pair in self.columns],
            "root": self.root,
        }
        return {
            "schema": SCHEMA,
            "name": self.name,
            "source": self.source,
            "register": register,
            "design": encode(self.design),
            "design_hash": self.design_hash,
            "key_digest": self.key_digest,
            "secret_digest": self.secret_digest,
            "plan": self.plan,
            "code": {"version": self.version, "source": self.source_code},
        }

    def to_json(self) -> str:
        """Return the canonical JSON (RFC 8785) to publish."""
        return canonical_json(self.to_data())

    @classmethod
    def from_json(cls, text: str | bytes) -> Commitment:
        """Rebuild a commitment from :meth:`to_json`.

        Raises
        ------
        FileError
            Where the text is not, to the byte, what :meth:`to_json` writes.
        """
        return cls.from_data(parse(text, schema=SCHEMA, what="the commitment"))

    @classmethod
    def from_data(cls, reader: Reader) -> Commitment:
        """Rebuild a commitment from an object of a published text."""
        names = ("name", "source", "register", "design", "design_hash", "key_digest", "secret_digest", "plan", "code")
        reader.only("schema", *names)
        if reader.text("schema") != SCHEMA:
            reader.fail(f"is not of the schema {SCHEMA!r}")
        register = reader.part("register").only("id", "ids", "people", "columns", "root")
        code = reader.part("code").only("version", "source")
        columns = register.pairs("columns")
        if not {kind for _, kind in columns} <= {CATEGORY, KEYED, NUMBER}:
            register.fail("has a column of no known kind")
        data = reader.get("design")
        design = decode_design(data, where=reader.where)
        if not isinstance(design, Mechanism) or canonical_json(encode(design)) != canonical_json(data):
            reader.fail("holds a design that does not come back from JSON as it was")
        return cls(
            name=reader.text("name"),
            source=reader.text("source"),
            design=design,
            design_hash=reader.hex("design_hash"),
            id=register.text("id"),
            ids=register.text("ids"),
            people=register.whole("people"),
            columns=columns,
            root=register.hex("root"),
            key_digest=reader.hex("key_digest"),
            secret_digest=reader.hex("secret_digest"),
            version=code.text("version"),
            source_code=code.hex("source"),
            plan=None if reader.get("plan") is None else reader.hex("plan"),
        )

    def __str__(self) -> str:
        columns = ", ".join(f"{name} (keyed)" if kind == "keyed" else name for name, kind in self.columns)
        lines = [
            f"Commitment{f' for {self.name}' if self.name else ''}: {self.people:,} people.",
            self.design.describe(),
            f"each record holds: keyed id{', ' + columns if columns else ''}",
            f"the draw waits for: {self.source}",
            f"register {self.root}",
            f"design   {self.design_hash}",
            f"kokeilu {self.version}, source {self.source_code[:12]}",
        ]
        return "\n".join([*lines, f"fingerprint {self.fingerprint}"])


def commit(
    table: object,
    design: Mechanism,
    *,
    id: str,
    key: bytes | str | PathLike[str],
    source: str,
    secret: bytes | str | PathLike[str],
    name: str = "",
    plan: object = None,
) -> Commitment:
    """Freeze a register and a design before a public draw, and name the public value that will decide it.

    Publish ``commitment.to_json()``, then wait for the value. The key stays with the keeper of the register for as long
    as anybody may want a proof. The secret stays hidden until everybody has been told; then it is published.

    Parameters
    ----------
    table : pandas, pyarrow or Arrow-capable table
        The register: one row for each person, in any order.
    design : Mechanism
        The rule. It is bound to the register now, so that a draw cannot fail later.
    id : str
        The column that names each person once.
    key : bytes or path
        At least 32 random bytes, or a file of them. Ids are hashed with it (HMAC-SHA-256) and never without.
    source : str
        The public value to come: what, when, and where it will be read.
    secret : bytes or path
        At least 32 random bytes, other than the key, or a file of them. Salts are made from it too.
    name : str
        What is drawn, in words.
    plan : Plan, optional
        Fixes the plan with the draw: its fingerprint is committed to, and stands on the assignment as after
        :func:`kokeilu.enrol`.

    Returns
    -------
    Commitment

    Raises
    ------
    SeedError
        A key or secret that could be guessed, or one that serves as both.
    PlanError
        No source, a design whose class is not registered, or a plan with another design or id.
    FileError, DesignError, ColumnError, DataError
        A key file that cannot be read; a register that cannot carry the design.

    Notes
    -----
    Hash trees after RFC 6962, HMAC after RFC 2104; see :mod:`kokeilu.ceremony.frame` for the bytes.

    Examples
    --------
    >>> import kokeilu as kk
    >>> seekers = kk.datasets.job_seekers(500, seed="example")
    >>> commitment = kk.commit(seekers, kk.Complete(kk.arms(control=1, coaching=1)), id="person_id",
    ...                        key=bytes(range(32)), secret=bytes(range(32, 64)),
    ...                        source="main lottery numbers of 28 November 2026")
    >>> kk.Commitment.from_json(commitment.to_json()) == commitment
    True
    """
    mechanism = check_design(design)
    data = encode(mechanism)
    if canonical_json(encode(decode_design(data, where="the commitment"))) != canonical_json(data):
        raise PlanError(
            f"{type(mechanism).__name__} does not come back from JSON as it was, so it cannot be published."
        )
    hidden = read_key(secret, what="secret")
    keyed = read_key(key, what="key")
    if keyed == hidden:
        raise SeedError("key and secret are the same bytes, and the secret will be published. Make another secret.")
    awaited = some_text(source, name="source", needed="the public value to come: what, when and where")
    population, _ = read_register(table, mechanism, id=id)
    columns = columns_of(population, mechanism.bind(population))
    return Commitment(
        name=some_text(name, name="name"),
        source=awaited,
        design=mechanism,
        design_hash=fingerprint(data),
        id=population.id_name,
        ids=population.ids.kind,
        people=len(population),
        columns=columns,
        root=freeze(population, columns, key=keyed, secret=hidden).root,
        key_digest=digest_of(keyed, "key"),
        secret_digest=digest_of(hidden, "secret"),
        version=library_version(),
        source_code=source_hash(),
        plan=_plan(plan, population.id_name, data),
    )


def _plan(plan: object, id: str, design: object) -> str | None:
    if plan is None:
        return None
    stated = [getattr(plan, name, None) for name in ("fingerprint", "design", "id")]
    if not isinstance(stated[0], str) or stated[1] is None:
        raise PlanError(f"a plan is needed, from Plan(...) or load_plan(path); got {type(plan).__name__}.")
    if canonical_json(encode(stated[1])) != canonical_json(design) or stated[2] != id:
        raise PlanError("the plan has another design or id than is committed to. Commit to those of the plan.")
    return stated[0]


def some_text(value: str, *, name: str, needed: str = "") -> str:
    """Return a text in normal form C without blanks at its ends; `needed` says what an empty one lacks."""
    if not isinstance(value, str):
        raise PlanError(f"{name} must be text; got {type(value).__name__}.")
    text = plain_text(value, name=name, error=PlanError).strip()
    if needed and not text:
        raise PlanError(f"{name} is empty. Give {needed}.")
    return text


def read_design(text: bytes) -> Mechanism:
    """Return a design from its JSON, such as a commitment holds it; any layout will do.

    Raises
    ------
    FileError
        Where the text holds none.
    """
    where = "the file of the design"
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict) or "kind" not in data:
        raise FileError(f"{where} holds no design. Write a plan with save_plan, or take the design of a commitment.")
    design, trouble = None, ""
    try:
        design = decode_design(data, where=where)
    except FileError as error:
        trouble = str(error)
    if trouble:
        raise FileError(f"{trouble} Arms are written as {_ARMS}, each with the two numbers of its share.")
    if not isinstance(design, Mechanism):
        raise FileError(f"{where} holds another specification. Write a plan with save_plan.")
    return design
