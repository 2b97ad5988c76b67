"""Seeds and named streams of random words that anyone can re-derive.

Words come from Philox4x64-10 (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3")
keyed with SHA-256 of the seed and the stream's name. NumPy promises the raw words of a bit generator across
versions and nothing more (NEP 19), so no ``Generator`` method is used.

Definition, for an independent verifier::

    key     = first 16 bytes, little-endian, of SHA-256( field("kokeilu/1") field(seed) field(name) [field(child)] ... )
    field(x) = 8-byte little-endian length of x, then x        (seeds carry a one-letter kind: t text, i int, b bytes)
    block c = Philox4x64-10(counter = c, key)                  (4 words, lowest first)
    row r of width w starts at block 1 + r * ceil(w / 4)
"""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kokeilu.errors import SeedError

__all__ = ["Seed", "Stream", "below", "digest"]

_TAG = b"kokeilu/1"
_LONGEST_SEED = 8_192


def digest(*parts: bytes) -> bytes:
    """Return SHA-256 over length-prefixed parts, so that no two lists of parts collide by concatenation."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(len(part).to_bytes(8, "little"))
        sha.update(part)
    return sha.digest()


@dataclass(frozen=True, slots=True)
class Seed:
    """A seed that can be published: text, a whole number or bytes, each kind apart from the others.

    Attributes
    ----------
    kind : str
        "t" (text), "i" (int) or "b" (bytes).
    text : str
        How the seed is written down: the text, the decimal digits, or hexadecimal digits.
    """

    kind: str
    text: str

    @classmethod
    def of(cls, value: object) -> Seed:
        """Make a seed.

        Parameters
        ----------
        value : str, int, bytes or Seed

        Raises
        ------
        SeedError
            Where the seed is absent, empty, or of another kind (a float, a clock, a generator).
        """
        if isinstance(value, Seed):
            return value
        if isinstance(value, str) and value.strip():
            if any("\ud800" <= character <= "\udfff" for character in value):
                raise SeedError("seed holds half of a surrogate pair, which cannot be published. Type the seed anew.")
            # Texts that print alike must be one seed, or nobody could replay the draw from print.
            return cls("t", unicodedata.normalize("NFC", value))
        if isinstance(value, bytes) and value:
            return cls("b", value.hex())
        if isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_)):
            if int(value).bit_length() > _LONGEST_SEED:
                raise SeedError(f"seed has more than {_LONGEST_SEED:,} bits; give such a number as text.")
            return cls("i", str(int(value)))
        given = "empty text" if isinstance(value, str) else type(value).__name__
        raise SeedError(
            f"seed must be text, a whole number or bytes, and not empty; got {given}. "
            "Use something public and not of your choosing, such as the numbers of a lottery drawn after the "
            "register was frozen."
        )

    def __str__(self) -> str:
        """Write the seed so that its kind shows: 'text', 12, or bytes in hexadecimal digits."""
        return {"t": repr(self.text), "i": self.text, "b": f"bytes {self.text}"}[self.kind]

    def stream(self, name: str) -> Stream:
        """Return the stream of this name; the same seed under two names gives unrelated streams."""
        return Stream(path=(self.kind.encode() + self.text.encode("utf-8"), name.encode("utf-8")))


@dataclass(frozen=True, slots=True)
class Stream:
    """A place in a named sequence of random words: a value, not a state.

    Attributes
    ----------
    path : tuple of bytes
        Seed and names; hashed to the 128-bit Philox key.
    row : int
        The row from which :meth:`words` reads.
    """

    path: tuple[bytes, ...]
    row: int = 0

    @property
    def key(self) -> int:
        """The 128-bit Philox key."""
        return int.from_bytes(digest(_TAG, *self.path)[:16], "little")

    def child(self, name: str) -> Stream:
        """Return the stream of a further name, at the same row."""
        return Stream(path=(*self.path, name.encode("utf-8")), row=self.row)

    def skip(self, rows: int) -> Stream:
        """Return this stream moved on by a number of rows."""
        return Stream(path=self.path, row=self.row + rows)

    def words(self, size: int, width: int) -> NDArray[np.uint64]:
        """Return raw 64-bit words, shape (size, width); what a row holds never depends on the batch it is read in."""
        blocks = -(-width // 4)
        # NumPy steps the counter before each block, so counter c yields block c + 1.
        bits = np.random.Philox(key=self.key, counter=self.row * blocks)
        raw = bits.random_raw(size * blocks * 4).reshape(size, blocks * 4)
        return raw[:, :width]

    def doubles(self, size: int, width: int) -> NDArray[np.float64]:
        """Return doubles in [0, 1) with 53 random bits, shape (size, width)."""
        return (self.words(size, width) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def below(stream: Stream, bounds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return exact uniform integers in [0, bound), one for each bound, by rejection.

    Parameters
    ----------
    stream : Stream
        Attempt a reads the rows of the child stream "attempt a".
    bounds : int64 array, shape (size, m)
        Each at least 1 and below 2**62.

    Returns
    -------
    int64 array, shape (size, m)
        ``word mod bound`` of the first attempt whose word is below the largest multiple of the bound.
    """
    size, width = bounds.shape
    span = bounds.astype(np.uint64)
    # A word above `last` lies in the cut-off tail 2**64 - (2**64 mod bound) ... 2**64 - 1.
    last = np.uint64(2**64 - 1) - (np.uint64(2**64 - 1) % span + np.uint64(1)) % span
    result = np.zeros(bounds.shape, dtype=np.int64)
    open_ = np.ones(bounds.shape, dtype=bool)
    attempt = 0
    while open_.any():
        words = stream.child(f"attempt {attempt}").words(size, width)
        take = open_ & (words <= last)
        result[take] = (words[take] % span[take]).astype(np.int64)
        open_ &= ~take
        attempt += 1
    return result
