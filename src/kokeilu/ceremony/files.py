"""Published texts on disk: written whole or not at all, never over another."""

from __future__ import annotations

import contextlib
import os
from os import PathLike
from pathlib import Path

from kokeilu._checks import as_path
from kokeilu.errors import FileError

__all__ = ["free_path", "read_text", "write_text"]

_LARGEST = 2**28


def read_text(path: str | PathLike[str]) -> bytes:
    """Return the bytes of a published text.

    Raises
    ------
    FileError
        Where the file cannot be read.
    """
    file = as_path(path)
    trouble, content = "", b""
    try:
        with file.open("rb") as source:
            content = source.read(_LARGEST)
    except OSError as error:
        trouble = error.strerror or "it cannot be opened"
    if trouble:
        raise FileError(f"{file.name!r} cannot be read: {trouble}. Check the path.")
    return content


def free_path(path: str | PathLike[str]) -> Path:
    """Return a path at which nothing stands yet: a commitment or certificate is never written over."""
    file = as_path(path)
    if file.exists():
        raise FileError(f"{file.name!r} exists already. Nothing is written over: choose another name.")
    if not file.parent.is_dir():
        raise FileError(f"{file.name!r} cannot be written: the folder does not exist. Choose a folder that exists.")
    return file


def write_text(text: str, path: str | PathLike[str]) -> Path:
    """Write a text in UTF-8 as it is, with no line break behind it.

    Raises
    ------
    FileError
        Where a file of this name exists, or cannot be written.
    """
    file = free_path(path)
    beside = file.with_name(f".{file.name}.part")
    trouble = ""
    try:
        beside.write_bytes(text.encode("utf-8"))
        os.replace(beside, file)
    except OSError as error:
        trouble = error.strerror or "no access"
        with contextlib.suppress(OSError):
            beside.unlink()
    if trouble:
        raise FileError(f"{file.name!r} cannot be written: {trouble}. Choose a folder that may be written to.")
    return file
