"""Which code draws: the version, and a hash of the package's own source files."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from kokeilu._kernels.streams import digest

__all__ = ["library_version", "source_hash"]


@cache
def source_hash() -> str:
    """Return SHA-256 over the names and contents of the package's Python files, 64 hexadecimal digits.

    Lines may end in either way, so that a copy of the sources on another system gives the same hash.
    """
    home = Path(__file__).resolve().parents[1]
    names = sorted(path.relative_to(home).as_posix() for path in home.rglob("*.py"))
    parts = [part for name in names for part in (name.encode(), (home / name).read_bytes().replace(b"\r\n", b"\n"))]
    return digest(b"kokeilu/source/1", *parts).hex()


def library_version() -> str:
    """Return the version of kokeilu."""
    # Inside the function, for the package may be half imported while this module loads.
    from kokeilu import __version__

    return __version__
