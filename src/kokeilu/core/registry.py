"""The round trip between frozen specifications and JSON: a class registers its kind, its fields do the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, TypeVar

from kokeilu._checks import near_match
from kokeilu.errors import PlanError

__all__ = ["decode", "encode", "kind_of", "register", "registered"]

_KINDS: dict[str, type[Any]] = {}
_ROOMS = ("kokeilu.assign", "kokeilu.estimate", "kokeilu.plan", "kokeilu.power")
"""Rooms whose modules register their classes when they are imported; read only when a kind is not known yet."""
_Class = TypeVar("_Class")


def register(kind: str) -> Callable[[type[_Class]], type[_Class]]:
    """Register a frozen dataclass under a kind, so that it can stand in a plan or an assignment file.

    Its fields must be text, numbers, None, tuples of these, or registered classes; a class with other fields
    offers ``to_data()`` and ``from_data(data)``.
    """

    def keep(cls: type[_Class]) -> type[_Class]:
        if kind in _KINDS and _KINDS[kind].__qualname__ != cls.__qualname__:
            raise PlanError(f"kind {kind!r} is taken by {_KINDS[kind].__qualname__}; choose another.")
        _KINDS[kind] = cls
        return cls

    return keep


def registered() -> dict[str, type[Any]]:
    """Return the registered classes by kind."""
    return dict(_KINDS)


def kind_of(value: object) -> str | None:
    """Return the kind under which the class of a value is registered, or None."""
    return next((kind for kind, cls in _KINDS.items() if type(value) is cls), None)


def _open_rooms() -> None:
    """Import every module of the rooms, so that their classes are registered."""
    for room in _ROOMS:
        package = import_module(room)
        for module in iter_modules(package.__path__):
            import_module(f"{room}.{module.name}")


def encode(value: object) -> object:
    """Return a specification as plain JSON data.

    Raises
    ------
    PlanError
        Where a value is neither plain data nor of a registered class.
    """
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    kind = kind_of(value)
    if kind is None or not is_dataclass(value):
        raise PlanError(f"{type(value).__name__} cannot be written to JSON; register its class with a kind.")
    custom = getattr(value, "to_data", None)
    data = custom() if custom else {f.name: encode(getattr(value, f.name)) for f in fields(value)}
    return {"kind": kind, **data}


def decode(data: object) -> Any:
    """Rebuild a specification from :func:`encode`'s data; lists come back as tuples.

    Raises
    ------
    PlanError
        For an unknown kind, or fields that the class does not have.
    """
    if isinstance(data, list):
        return tuple(decode(item) for item in data)
    if not isinstance(data, Mapping):
        return data
    if "kind" not in data:
        return {key: decode(item) for key, item in data.items()}
    kind = str(data["kind"])
    if kind not in _KINDS:
        _open_rooms()
    if kind not in _KINDS:
        raise PlanError(
            f"no class is registered for kind {kind!r}.{near_match(kind, _KINDS)} "
            "Import the module that defines it first."
        )
    cls = _KINDS[kind]
    body = {key: item for key, item in data.items() if key != "kind"}
    custom = getattr(cls, "from_data", None)
    if custom:
        return custom(body)
    known = {f.name for f in fields(cls)}
    for key in body:
        if key not in known:
            raise PlanError(f"{kind} has no field {key!r}.{near_match(key, known)}")
    required = {f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING}
    lacking = sorted(required - set(body))
    if lacking:
        raise PlanError(f"{kind} lacks the field {lacking[0]!r}.")
    return cls(**{key: decode(item) for key, item in body.items()})
