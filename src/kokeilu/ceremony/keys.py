"""Keys and secrets: read, checked for strength, and made public only as digests."""

from __future__ import annotations

from os import PathLike

from kokeilu._checks import as_path
from kokeilu._kernels.streams import digest
from kokeilu.errors import FileError, SeedError

__all__ = ["LEAST", "digest_of", "read_key"]

LEAST = 32
_DISTINCT = 8
_LARGEST_FILE = 2**16


def read_key(value: bytes | str | PathLike[str], *, what: str) -> bytes:
    """Return a key, given as bytes or as the path of a file, byte for byte.

    Raises
    ------
    SeedError
        Where it is too short or too regular to withstand guessing: its digest is published.
    FileError
        Where its file cannot be read.
    """
    if isinstance(value, (str, PathLike)):
        value = _of_file(value, what)
    if not isinstance(value, bytes):
        raise SeedError(f"the {what} must be bytes, or the path of a file; got {type(value).__name__}.")
    if len(value) < LEAST or len(set(value)) < _DISTINCT:
        raise SeedError(
            f"the {what} is too easy to guess: at least {LEAST} random bytes are needed, for a digest of them is "
            f"published. Make them with a tool for random bytes, such as: openssl rand -out {what}.bin {LEAST}"
        )
    return value


def _of_file(value: str | PathLike[str], what: str) -> bytes:
    path = as_path(value)
    try:
        with path.open("rb") as source:
            content = source.read(_LARGEST_FILE + 1)
    except OSError as error:
        trouble = error.strerror or "it cannot be opened"
    else:
        trouble = f"it has more than {_LARGEST_FILE:,} bytes" if len(content) > _LARGEST_FILE else ""
    if trouble:
        raise FileError(f"the file of the {what}, {path.name!r}, cannot be read: {trouble}. Check the path.")
    return content


def digest_of(value: bytes, what: str) -> str:
    """Return the published digest of a key or secret, 64 hexadecimal digits."""
    return digest(f"kokeilu/{what}/1".encode(), value).hex()
