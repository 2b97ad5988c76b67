"""The assumptions of a power question by name, so that one of them can be given another value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from kokeilu._checks import near_match
from kokeilu.errors import DesignError
from kokeilu.power.cluster_sizes import ClusterSizes
from kokeilu.power.reality import Reality

__all__ = ["Assumed"]

OWN = ("effect", "power", "alpha", "covariates")
"""Arguments of the verbs that are numbers."""

SHARES = ("take_up", "attrition")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """The arguments of one question.

    Attributes
    ----------
    given : tuple
        Design, people and outcome as they were given by place.
    named : mapping
        The others.
    """

    given: tuple[Any, ...]
    named: Mapping[str, Any]

    def names(self) -> list[str]:
        """Return the names that can be given another value."""
        found = [name for name in OWN if isinstance(self.named.get(name), (int, float))]
        found += [f.name for spot in self._models() for f in fields(spot[1]) if f.name != "variance"]
        real = self.named.get("reality")
        for share in SHARES if isinstance(real, Reality) else ():
            stated = getattr(real, share)
            found += [f"{share}.{arm}" for arm in stated] if isinstance(stated, Mapping) else [share]
        return found

    def value(self, name: str) -> Any:
        """Return the value of an assumption."""
        if name in self.named:
            return self.named[name]
        share, _, arm = name.partition(".")
        real = self.named.get("reality")
        if share in SHARES and isinstance(real, Reality):
            stated = getattr(real, share)
            return stated[arm] if arm else stated
        return next(getattr(spec, name) for _, spec in self._models() if hasattr(spec, name))

    def put(self, name: str, value: Any) -> Assumed:
        """Return the question with another value.

        Raises
        ------
        DesignError
            For a name that is no assumption of this question.
        """
        if name not in self.names():
            known = self.names()
            shown = ", ".join(known)
            raise DesignError(f"{name!r} is no assumption here.{near_match(name, known)} There are: {shown}.")
        if name in self.named:
            return Assumed(given=self.given, named={**self.named, name: value})
        share, _, arm = name.partition(".")
        real = self.named.get("reality")
        if share in SHARES and isinstance(real, Reality):
            changed: Any = {**getattr(real, share), arm: value} if arm else value
            return Assumed(given=self.given, named={**self.named, "reality": replace(real, **{share: changed})})
        spot, spec = next((spot, spec) for spot, spec in self._models() if hasattr(spec, name))
        changed = replace(spec, **{name: value})
        if isinstance(spot, str):
            return Assumed(given=self.given, named={**self.named, spot: changed})
        return Assumed(given=(*self.given[:spot], changed, *self.given[spot + 1 :]), named=self.named)

    def people(self, value: Any) -> Assumed:
        """Return the question with other people: a number, or sizes."""
        return Assumed(given=(self.given[0], value, *self.given[2:]), named=self.named)

    def _models(self) -> list[tuple[int | str, Any]]:
        """Specifications among the arguments: the outcome, sizes."""
        spots: list[tuple[int | str, Any]] = [*enumerate(self.given), *self.named.items()]
        return [
            (spot, spec)
            for spot, spec in spots
            if is_dataclass(spec) and not isinstance(spec, type) and (hasattr(spec, "components") or _sizes(spec))
        ]


def _sizes(spec: Any) -> bool:
    return isinstance(spec, ClusterSizes) or (callable(getattr(spec, "frame", None)) and hasattr(spec, "unknown"))
