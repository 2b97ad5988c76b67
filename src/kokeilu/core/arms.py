"""Arms and their exact shares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from kokeilu._checks import exact_share, plain_text, unknown_name
from kokeilu.core.registry import register
from kokeilu.errors import DesignError

__all__ = ["Arm", "Arms", "arms"]

MOST_ARMS = 127


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of a trial: its name and its exact share of the people."""

    name: str
    share: Fraction

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise DesignError(f"arm names must be distinct and not empty text; got {self.name!r}.")
        object.__setattr__(self, "name", plain_text(self.name, name="the name of an arm"))
        if not isinstance(self.share, Fraction):
            object.__setattr__(self, "share", exact_share(self.share, name=f"arm {self.name!r}"))
        if self.share < 0:
            raise DesignError(f"the share of arm {self.name!r} is negative; shares are 0 or more.")


@register("arms")
@dataclass(frozen=True, slots=True)
class Arms:
    """The arms of a trial in order; the first is the reference arm, the shares sum to exactly 1.

    Make them with :func:`arms`.
    """

    items: tuple[Arm, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.items, tuple) or not all(isinstance(arm, Arm) for arm in self.items):
            raise DesignError("Arms needs a tuple of Arm; make it with kokeilu.arms(control=1, coaching=1).")
        names = [arm.name for arm in self.items]
        if not 2 <= len(names) <= MOST_ARMS:
            raise DesignError(f"a trial needs 2 to {MOST_ARMS} arms; got {len(names)}.")
        if len(set(names)) != len(names):
            raise DesignError(f"arm names must be distinct and not empty; got {', '.join(map(repr, names))}.")
        if sum(self.shares) != 1:
            raise DesignError(f"the shares of the arms sum to {sum(self.shares)}, not 1.")

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Arm]:
        return iter(self.items)

    def __getitem__(self, position: int) -> Arm:
        return self.items[position]

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order; the first is the reference arm."""
        return tuple(arm.name for arm in self.items)

    @property
    def shares(self) -> tuple[Fraction, ...]:
        """Exact shares in order."""
        return tuple(arm.share for arm in self.items)

    @property
    def reference(self) -> str:
        """Name of the reference arm."""
        return self.items[0].name

    def index(self, name: str) -> int:
        """Return the position of an arm, or raise DesignError with the nearest name."""
        name = plain_text(name, name="the name of an arm") if isinstance(name, str) else name
        if name not in self.names:
            raise unknown_name(name, self.names, what="arm", where="the design")
        return self.names.index(name)

    def describe(self) -> str:
        """Return "control 1/2, coaching 1/2"."""
        return ", ".join(f"{arm.name} {arm.share}" for arm in self.items)

    def to_data(self) -> dict[str, object]:
        """Names and shares as integer pairs, in order, for JSON."""
        return {"items": [[a.name, str(a.share.numerator), str(a.share.denominator)] for a in self.items]}

    @classmethod
    def from_data(cls, data: Mapping[str, object]) -> Arms:
        """Rebuild from :meth:`to_data`."""
        items = data["items"]
        if not isinstance(items, Iterable):
            raise DesignError("arms: `items` must be a list of [name, numerator, denominator].")
        return cls(tuple(Arm(str(n), Fraction(int(a), int(b))) for n, a, b in items))


def arms(mapping: Mapping[str, object] | None = None, /, **shares: object) -> Arms:
    """State the arms and their shares; the first is the reference arm.

    Parameters
    ----------
    mapping : mapping of name to share, optional
        For names that are not Python identifiers, such as "oma valmentaja".
    **shares
        Share of each arm. Whole numbers are parts (``control=2, coaching=1`` is 2/3 and 1/3); anything else
        (0.25, "1/3", Fraction) is a share of the whole, and these must sum to exactly 1.

    Returns
    -------
    Arms

    Raises
    ------
    DesignError
        Fewer than two arms, a negative share, or fractions that do not sum to 1.

    Examples
    --------
    >>> arms(control=2, coaching=1).describe()
    'control 2/3, coaching 1/3'
    >>> arms({"verrokki": "1/2", "oma valmentaja": 0.25, "palkkatuki": "1/4"}).shares[1]
    Fraction(1, 4)
    """
    if mapping is not None and not isinstance(mapping, Mapping):
        raise DesignError(
            "arms takes names and shares, such as arms(control=1, coaching=1) or arms({'verrokki': 1, 'tuki': 1}); "
            f"got {type(mapping).__name__}."
        )
    stated: dict[str, object] = {**(mapping or {}), **shares}
    if mapping and set(mapping) & set(shares):
        raise DesignError("an arm is stated twice, in the mapping and by keyword.")
    exact = {name: exact_share(value, name=f"arm {name!r}") for name, value in stated.items()}
    total = sum(exact.values(), Fraction(0))
    whole = all(share.denominator == 1 for share in exact.values())
    if exact and total == 0:
        raise DesignError("every arm has share 0; give at least one arm a share above 0.")
    if exact and not whole and total != 1:
        raise DesignError(
            f"shares that are not whole numbers must sum to 1; these sum to {total} ({float(total):.16g}). "
            "Write parts as whole numbers (control=2, coaching=1) or exact shares such as '1/3'."
        )
    return Arms(tuple(Arm(name, share / total) for name, share in exact.items()))
