"""Several arms taken together as one: a factor of a crossed design, "started by now", "in an area of this level"."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from kokeilu._checks import count_of, plain_text
from kokeilu._kernels.streams import Stream
from kokeilu.assign._bases import arm_position, base_of, named_arms
from kokeilu.assign._parts import merged_seating
from kokeilu.core.arms import Arm, Arms
from kokeilu.core.assignment import Assignment, check_assignment
from kokeilu.core.lottery import all_assignments, cells_of, seating_of, shares_of
from kokeilu.core.pairs import PairLaw, folded_law, pair_law_of
from kokeilu.core.population import Population
from kokeilu.core.protocols import Cells, Codes, Countable, Floats, Ints, Lottery, Mechanism, Seating
from kokeilu.core.register import covariates_of
from kokeilu.core.registry import register
from kokeilu.errors import DesignError

__all__ = ["Merged", "merge_arms"]

LISTED = 50_000

Groups = tuple[tuple[str, tuple[int, ...]], ...]


@register("merged")
@dataclass(frozen=True, slots=True)
class Merged:
    """Take arms of another mechanism together under new names; the draw itself does not change.

    The lottery of the merged arms is the image of the first: its shares are sums, and its redraws are redraws of the
    whole design. It serves questions that do not tell all arms apart, such as the main effect of a factor.

    Parameters
    ----------
    base : Mechanism
    into : mapping of new arm to the arms it takes together
        Each arm of the base exactly once; the first new arm is the reference. Kept as positions of arms.

    Examples
    --------
    >>> import kokeilu as kk
    >>> three = kk.Complete(kk.arms(control=2, letter=1, call=1))
    >>> kk.Merged(three, into={"control": ["control"], "contacted": ["letter", "call"]}).describe()
    'Complete randomisation: control 1/2, letter 1/4, call 1/4. Taken together: contacted = letter + call.'
    """

    base: Mechanism
    _: KW_ONLY
    into: Groups

    def __post_init__(self) -> None:
        base_of(self.base, where="Merged")
        pairs = tuple(self.into.items()) if isinstance(self.into, Mapping) else self.into
        whole = isinstance(pairs, tuple) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs)
        if not whole or len(pairs) < 2:
            raise DesignError(
                "Merged needs `into`, a mapping of at least two new arms to the arms each takes together."
            )
        arms = named_arms(self.base, where="Merged")
        groups = tuple((plain_text(str(name), name="an arm"), _positions(members, arms)) for name, members in pairs)
        members = [member for _, group in groups for member in group]
        if len(set(members)) != len(members):
            raise DesignError("into names an arm twice; each arm belongs to one new arm.")
        lost = [name for code, name in enumerate(arms.names) if code not in members]
        if lost:
            raise DesignError(f"into leaves out the arm {lost[0]!r}. Name every arm of the design once.")
        object.__setattr__(self, "into", groups)

    def columns(self) -> tuple[str, ...]:
        """Return the columns of the base."""
        return self.base.columns()

    def covariates(self) -> tuple[str, ...]:
        """Return the covariates of the base."""
        return covariates_of(self.base)

    def bind(self, population: Population) -> Lottery:
        """Bind to a population."""
        base = self.base.bind(population)
        table = np.zeros(len(base.arms), dtype=np.int8)
        for code, (_, members) in enumerate(self.into):
            table[list(members)] = code
        return MergedLottery(base=base, table=table, names=tuple(name for name, _ in self.into))

    def describe(self) -> str:
        """Say the rule in one sentence."""
        arms = named_arms(self.base, where="Merged").names
        groups = [(name, [arms[code] for code in members]) for name, members in self.into]
        joined = [f"{name} = {' + '.join(members)}" for name, members in groups if members != [name]]
        return f"{self.base.describe()} Taken together: {'; '.join(joined)}."


def _positions(members: object, arms: Arms) -> tuple[int, ...]:
    group = (members,) if isinstance(members, (str, int)) else members
    if not isinstance(group, Iterable):
        raise DesignError("into maps each new arm to the names of the arms that it takes together.")
    return tuple(arm_position(member, arms) for member in group)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MergedLottery:
    """A lottery seen through coarser arms; `table` holds the new code of each arm."""

    base: Lottery
    table: Codes
    names: tuple[str, ...]

    @cached_property
    def arms(self) -> Arms:
        """The new arms: shares are sums."""
        totals = [Fraction(0)] * len(self.names)
        for arm, code in zip(self.base.arms, self.table.tolist(), strict=True):
            totals[code] += arm.share
        return Arms(tuple(Arm(name, share) for name, share in zip(self.names, totals, strict=True)))

    @property
    def n_units(self) -> int:
        """Number of people."""
        return self.base.n_units

    def draw(self, stream: Stream, size: int) -> Codes:
        """Return draws of the base in the new codes, shape (size, n)."""
        return self.table[self.base.draw(stream, size)]

    def shares(self) -> Floats:
        """Return probabilities, shape (n, arms)."""
        return shares_of(self.base) @ np.eye(len(self.names))[self.table]

    def cells(self) -> Cells:
        """Return the cells of the base; its clusters are whole again where the new arms no longer divide them."""
        cells = cells_of(self.base)
        divides: Any = getattr(self.base, "divides", None)
        return replace(cells, whole=not divides(self.table)) if divides and not cells.whole else cells

    def seating(self) -> Seating | None:
        """Return the seats of the base, added up over the arms taken together."""
        return merged_seating(seating_of(self.base), np.eye(len(self.names), dtype=np.int64)[self.table])

    def pair_law(self) -> PairLaw | None:
        """Return the probabilities of pairs of the new arms: sums."""
        base = pair_law_of(self.base)
        return None if base is None else folded_law(base, np.eye(len(self.names))[self.table])

    @cached_property
    def _listing(self) -> tuple[Codes, Floats] | None:
        chunks = all_assignments(self.base, LISTED)
        if chunks is None:
            return None
        chances: dict[bytes, float] = defaultdict(float)
        for codes, weights in chunks:
            for row, weight in zip(self.table[codes], weights.tolist(), strict=True):
                chances[row.tobytes()] += weight
        rows = np.frombuffer(b"".join(chances), dtype=np.int8).reshape(len(chances), self.n_units)
        return rows, np.array(list(chances.values()))

    def count(self) -> int | None:
        """Return the number of distinct assignments; None where the base has more than 50,000."""
        known = isinstance(self.base, Countable) and (self.base.count() or LISTED + 1) <= LISTED
        return len(self._listing[0]) if known and self._listing is not None else None

    def every(self) -> Iterator[tuple[Codes, Floats]]:
        """Yield every distinct assignment with its probability."""
        if self._listing is None:
            raise DesignError("this lottery has too many assignments to list.")
        yield self._listing

    def problem(self, codes: Codes) -> str | None:
        """Say why an allocation cannot occur: only chances of nought are checked."""
        impossible = int((self.shares()[np.arange(self.n_units), codes] <= 0).sum())
        if not impossible:
            return None
        return f"{count_of(impossible, 'person')} {'stands' if impossible == 1 else 'stand'} in an arm whose share is 0"


def merge_arms(assignment: Assignment, into: Mapping[str, object]) -> Assignment:
    """Return the same draw with arms taken together, for an analysis that does not tell them apart.

    Parameters
    ----------
    assignment : Assignment
    into : mapping of new arm to arms
        The first new arm is the reference. Designs offer ready mappings: ``Factorial.factor(name)``,
        ``SteppedWedge.started_by(period)``, ``Saturation.people()`` and ``Saturation.areas()``.

    Returns
    -------
    Assignment
        With the same people and seed, so that :func:`kokeilu.verify` replays it, and true probabilities.

    Raises
    ------
    DesignError
        Where an arm of the design is named twice or not at all.

    Examples
    --------
    >>> import kokeilu as kk
    >>> seekers = kk.datasets.job_seekers(1_000, seed="example")
    >>> design = kk.Complete(kk.arms(control=2, letter=1, call=1))
    >>> assignment = kk.randomise(seekers, design, id="person_id", seed="published")
    >>> kk.merge_arms(assignment, {"control": ["control"], "contacted": ["letter", "call"]}).counts()
    {'control': 500, 'contacted': 500}
    """
    check_assignment(assignment)
    design = Merged(assignment.mechanism, into=into)  # type: ignore[arg-type]
    lottery = design.bind(assignment.population)
    table: Ints = getattr(lottery, "table").astype(np.int64)  # noqa: B009
    return replace(assignment, mechanism=design, lottery=lottery, codes=table[assignment.codes].astype(np.int8))
