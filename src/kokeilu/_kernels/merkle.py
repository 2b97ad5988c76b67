"""Keyed hashes and hash trees on bytes: commit to many records at once, show one of them without the others.

HMAC after RFC 2104. The tree is that of RFC 6962, section 2.1: a leaf is hashed behind the byte 0, a node behind the
byte 1, and what has no sibling in its level moves up unchanged, which gives the same root as the recursive definition
there. Levels are held as one string of bytes, 32 for each hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

__all__ = ["WIDTH", "field", "fields", "hmac_sha256", "leaf", "leaves", "path_of", "root_from", "split", "tree"]

WIDTH = 32
_BLOCK = 64
_sha256 = hashlib.sha256


def field(part: bytes) -> bytes:
    """Return a part behind its length in eight bytes, little-endian, so that no two lists of parts run together."""
    return len(part).to_bytes(8, "little") + part


def fields(*parts: bytes) -> bytes:
    """Return several parts, each behind its length."""
    return b"".join(map(field, parts))


def split(joined: bytes) -> list[bytes]:
    """Return the parts that :func:`fields` joined."""
    parts, start = [], 0
    while start < len(joined):
        end = start + 8 + int.from_bytes(joined[start : start + 8], "little")
        parts.append(joined[start + 8 : end])
        start = end
    return parts


def hmac_sha256(key: bytes) -> Callable[[bytes], bytes]:
    """Return HMAC-SHA-256 under a key; both key blocks are hashed once for all messages (RFC 2104, section 4)."""
    block = (key if len(key) <= _BLOCK else _sha256(key).digest()).ljust(_BLOCK, b"\0")
    inner, outer = (_sha256(bytes(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))
    start, finish = inner.copy, outer.copy

    def mac(message: bytes) -> bytes:
        first, last = start(), finish()
        first.update(message)
        last.update(first.digest())
        return last.digest()

    return mac


def leaf(content: bytes) -> bytes:
    """Return the hash of one leaf: SHA-256(0x00 || content)."""
    return _sha256(b"\0" + content).digest()


def leaves(salts: Iterable[bytes], records: Iterable[bytes]) -> bytes:
    """Return the level of the leaves, each of a salt followed by a record."""
    return b"".join([_sha256(b"\0" + salt + record).digest() for salt, record in zip(salts, records, strict=True)])


def tree(bottom: bytes) -> list[bytes]:
    """Return the levels from the leaves to the root."""
    levels = [bottom]
    while len(levels[-1]) > WIDTH:
        levels.append(_above(levels[-1]))
    return levels


def _above(level: bytes) -> bytes:
    paired = len(level) - len(level) % (2 * WIDTH)
    nodes = [_sha256(b"\1" + level[i : i + 2 * WIDTH]).digest() for i in range(0, paired, 2 * WIDTH)]
    return b"".join([*nodes, level[paired:]])


def path_of(levels: Sequence[bytes], place: int) -> list[bytes]:
    """Return the siblings on the way from a leaf to the root, the lowest first."""
    path = []
    for level in levels[:-1]:
        start = (place ^ 1) * WIDTH
        if start < len(level):
            path.append(level[start : start + WIDTH])
        place >>= 1
    return path


def root_from(bottom: bytes, place: int, count: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root to which a leaf at a place among `count` leads; None where the path has another length."""
    if not 0 <= place < count:
        return None
    found, rest = bottom, list(path)
    while count > 1:
        if place ^ 1 < count:
            if not rest:
                return None
            sibling = rest.pop(0)
            found = _sha256(b"\1" + (sibling + found if place & 1 else found + sibling)).digest()
        place, count = place >> 1, (count + 1) >> 1
    return None if rest else found
