"""Deviations: what is executed against what was registered, found by comparison or declared with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from kokeilu._checks import choice, count_of
from kokeilu.core.results import Rows
from kokeilu.errors import KokeiluError, PlanError
from kokeilu.plan.text import plain

__all__ = ["KINDS", "Deviation", "Difference", "check_deviations", "refuse_undeclared", "with_found"]

KINDS = (
    "hypothesis",
    "frame",
    "assignment",
    "outcome",
    "estimator",
    "inference",
    "exclusion",
    "missing",
    "timing",
    "other",
)
WHEN = ("", "before assignment", "after assignment", "before access", "before analysis", "after analysis")
_TEXTS = ("reason", "about", "original", "changed", "effect_on_reading")
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Deviation(Rows):
    """A departure from the plan, with its reason.

    Where it matches what the comparison finds, the analysis goes on and the results show both; otherwise it is printed
    as declared. After Willroth & Atherton (2024).

    Parameters
    ----------
    kind : str
        "frame": other people, columns or id. "assignment": drawn under another plan or design, or changed after the
        draw. "outcome": a column that is absent or breaks its definition. "estimator": an analysis that cannot be
        made. Also "hypothesis", "inference", "exclusion", "missing", "timing" and "other", which are only declared.
    reason : str
        Why. It is printed as it stands.
    about : str
        The outcome or analysis concerned ("plan", "design", "draw", "id" or "register" for "assignment" and "frame");
        empty for every difference of this kind.
    original, changed : str
        The wording of the plan, and what was done instead.
    when : {"", "before assignment", "after assignment", "before access", "before analysis", "after analysis"}
        When it was decided.
    effect_on_reading : str
        How it changes what the results mean.

    Attributes
    ----------
    found : tuple of str
        What the comparison found; set by `analyse` only.

    Raises
    ------
    PlanError
        A reason that is empty.
    DesignError
        An unknown kind.

    Examples
    --------
    >>> import kokeilu as kk
    >>> kk.Deviation("outcome", "The register codes refusals as 99.", about="satisfaction").status
    'declared'
    """

    kind: str
    reason: str
    _: KW_ONLY
    about: str = ""
    original: str = ""
    changed: str = ""
    when: str = ""
    effect_on_reading: str = ""
    found: tuple[str, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        choice(self.kind, KINDS, name="the kind of a deviation")
        choice(self.when, WHEN, name="when a deviation was decided")
        for name in _TEXTS:
            text = plain(getattr(self, name), name=f"{name} of a deviation", needed=name == "reason")
            object.__setattr__(self, name, text)

    @property
    def status(self) -> str:
        """ "found" by comparison and declared, or only "declared"."""
        return "found" if self.found else "declared"

    def covers(self, difference: Difference) -> bool:
        """Whether this deviation owns up to a difference."""
        return self.kind == difference.kind and self.about in ("", difference.about)

    def rows(self) -> list[dict[str, Any]]:
        """Return one row."""
        return [
            {
                "deviation": self.kind,
                "about": self.about,
                "status": self.status,
                "found": "; ".join(self.found),
                "reason": self.reason,
                "original": self.original,
                "changed": self.changed,
                "when": self.when,
                "effect_on_reading": self.effect_on_reading,
            }
        ]

    def __str__(self) -> str:
        about = f" ({self.about})" if self.about else ""
        lines = [f"{self.kind}{about}, {self.status}: {self.reason}"]
        lines += [f"  found: {text}" for text in self.found] or ["  found: no difference by comparison"]
        names = {"plan": "original", "done": "changed", "decided": "when", "reading": "effect_on_reading"}
        told = {label: getattr(self, name) for label, name in names.items()}
        return "\n".join(lines + [f"  {label}: {text}" for label, text in told.items() if text])


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference between plan and execution.

    Attributes
    ----------
    kind, about : str
        As in Deviation.
    says : str
        What was expected and what was found, without a person's id or value.
    error : type of KokeiluError
        What is raised where nobody declared it.
    blocking : bool
        True where the outcome cannot be analysed at all.
    """

    kind: str
    about: str
    says: str
    error: type[KokeiluError] = PlanError
    blocking: bool = False


def check_deviations(deviations: object) -> tuple[Deviation, ...]:
    """Return one deviation or several as a tuple."""
    items = (deviations,) if isinstance(deviations, Deviation) else deviations
    if not isinstance(items, (tuple, list)) or not all(isinstance(item, Deviation) for item in items):
        raise PlanError("deviations must be Deviation(kind, reason, ...) values.")
    return tuple(items)


def refuse_undeclared(differences: Sequence[Difference], deviations: Sequence[Deviation]) -> None:
    """Raise the first difference that no deviation covers, with the others counted."""
    bare = [d for d in differences if not any(deviation.covers(d) for deviation in deviations)]
    if not bare:
        return
    first = bare[0]
    says = " Also, ".join(dict.fromkeys(d.says for d in bare[:SHOWN]))
    more = f" {count_of(len(bare) - SHOWN, 'further difference')}." if len(bare) > SHOWN else ""
    raise first.error(
        f"{says}{more} If this is intended, say so: deviations=(Deviation({first.kind!r}, 'the reason', "
        f"about={first.about!r}),); the results will show it."
    )


def with_found(deviations: Sequence[Deviation], differences: Sequence[Difference]) -> tuple[Deviation, ...]:
    """Return the deviations with what the comparison found for each."""
    return tuple(_marked(d, tuple(x.says for x in differences if d.covers(x))) for d in deviations)


def _marked(deviation: Deviation, found: tuple[str, ...]) -> Deviation:
    texts = {name: getattr(deviation, name) for name in _TEXTS if name != "reason"}
    marked = Deviation(deviation.kind, deviation.reason, when=deviation.when, **texts)
    object.__setattr__(marked, "found", found)
    return marked
