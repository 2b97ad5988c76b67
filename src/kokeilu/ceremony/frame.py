"""The frozen register: one salted record for each person, in the order of keyed ids, under one root.

Definition, for an independent verifier; field(x) is x behind its length in eight bytes, little-endian::

    person = HMAC-SHA-256(key, field("kokeilu/person/1") field("text" or "int") field(id))      whole numbers in decimal
    salt   = first 16 bytes of HMAC-SHA-256(secret, field("kokeilu/salt/1") field(person))
    row    = field(person), then field(column) field(value) for each column of the design
    leaf   = SHA-256(0x00 || salt || field("kokeilu/register/1") row)                           of the register
    leaf   = SHA-256(0x00 || salt || field("kokeilu/result/1") row field(arm))                  of the result
    node   = SHA-256(0x01 || left || right)                                                     (RFC 6962)

The place of a leaf says nothing about its person: by ids it would tell the date of birth that begins a personal
identity code. There are some 900 such codes for each day, so a hash of one without a key is broken by trying.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from kokeilu._kernels.merkle import field, fields, hmac_sha256, leaves, tree
from kokeilu.core.lottery import cells_of
from kokeilu.core.population import Ids, Population
from kokeilu.core.protocols import Codes, Ints, Lottery

__all__ = ["CATEGORY", "KEYED", "NUMBER", "Columns", "Frame", "columns_of", "freeze", "record"]

CATEGORY, NUMBER, KEYED = "category", "number", "keyed"
Columns = tuple[tuple[str, str], ...]
"""Name and kind of each column of a record. A keyed value is shown as its HMAC."""

SALT_BYTES = 16
_REGISTER, _RESULT, _SALT = b"kokeilu/register/1", b"kokeilu/result/1", b"kokeilu/salt/1"
_IDENTITY_CODE = re.compile(r"\s*[0-9]{6}[-+A-FU-Ya-fu-y][0-9]{3}[0-9A-Ya-y]\s*")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Frame:
    """A frozen register: rows and salts in the order of keyed ids, and the position of each in the population."""

    order: Ints
    rows: Sequence[bytes]
    salts: Sequence[bytes]
    levels: Sequence[bytes]

    @property
    def root(self) -> str:
        """The fingerprint of the register, 64 hexadecimal digits."""
        return self.levels[-1].hex()

    def result(self, codes: Codes, arms: Sequence[str]) -> list[bytes]:
        """Return the tree over the rows with their arms."""
        ends = [field(arm.encode()) for arm in arms]
        head = field(_RESULT)
        given = codes[self.order].tolist()
        return tree(leaves(self.salts, [head + row + ends[arm] for row, arm in zip(self.rows, given, strict=True)]))


def record(person: bytes, values: Iterable[tuple[str, str]], *, arm: str | None = None) -> bytes:
    """Return the record of one person: of the register, or with an arm of the result."""
    row = fields(person, *(part.encode() for pair in values for part in pair))
    return field(_REGISTER) + row if arm is None else field(_RESULT) + row + field(arm.encode())


def columns_of(population: Population, lottery: Lottery) -> Columns:
    """Return the columns that enter the records, and which of them are keyed.

    Keyed are values that may name a person: those of the id column and of clusters, which may be called after a
    member, and of a column with a value in the form of a Finnish personal identity code.
    """
    telling = {population.id_name, cells_of(lottery).cluster_name}
    categories = [
        (name, KEYED if name in telling or any(map(_IDENTITY_CODE.fullmatch, factor.levels)) else CATEGORY)
        for name, factor in sorted(population.factors.items())
    ]
    return (*categories, *((name, NUMBER) for name in sorted(population.numbers)))


def freeze(population: Population, columns: Columns, *, key: bytes, secret: bytes) -> Frame:
    """Return the records of a population under a key and a secret."""
    mac = hmac_sha256(key)
    persons = _keyed_ids(population.ids, mac)
    order = _sorted(persons)
    places = order.tolist()
    width = len(persons[0]).to_bytes(8, "little")
    parts = [[width + person for person in persons]]
    parts += [_values(population, name, kind, mac) for name, kind in columns]
    whole = parts[0] if len(parts) == 1 else list(map(b"".join, zip(*parts, strict=True)))
    salt, head = hmac_sha256(secret), field(_SALT)
    salts = [salt(head + parts[0][place])[:SALT_BYTES] for place in places]
    rows = [whole[place] for place in places]
    levels = tree(leaves(salts, map(field(_REGISTER).__add__, rows)))
    return Frame(order=order, rows=rows, salts=salts, levels=levels)


def _sorted(persons: Sequence[bytes]) -> Ints:
    words = np.frombuffer(b"".join(persons), dtype=">u8").reshape(-1, 4).astype(np.uint64)
    order = np.argsort(words[:, 0], kind="stable")
    first = words[order, 0]
    if (first[1:] == first[:-1]).any():
        order = np.lexsort(words.T[::-1])
    return np.asarray(order, dtype=np.int64)


def _keyed_ids(ids: Ids, mac: Callable[[bytes], bytes]) -> list[bytes]:
    """Return the HMAC of each id."""
    kind = "text" if ids.kind == "text" else "int"
    head = fields(b"kokeilu/person/1", kind.encode())
    plain = ids.values.tolist() if kind == "text" else map(str.encode, map(str, ids.values.tolist()))
    return [mac(head + field(person)) for person in plain]


def _values(population: Population, name: str, kind: str, mac: Callable[[bytes], bytes]) -> list[bytes]:
    head = field(name.encode())
    if kind == NUMBER:
        # The shortest text that gives the number back; 0.0 has one text, whatever its sign.
        return [head + field(repr(value).encode()) for value in (population.numbers[name] + 0.0).tolist()]
    factor = population.factor(name)
    text = partial(_keyed_text, name, mac) if kind == KEYED else str
    cells = [head + field(text(level).encode()) for level in factor.levels]
    return [cells[code] for code in factor.codes.tolist()]


def _keyed_text(name: str, mac: Callable[[bytes], bytes], level: str) -> str:
    return mac(fields(b"kokeilu/value/1", name.encode(), level.encode())).hex()
