"""Published counts: by arm and stratum, with small cells pooled so that no difference gives them back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kokeilu.ceremony.text import Reader
from kokeilu.core.assignment import Assignment
from kokeilu.core.lottery import cells_of
from kokeilu.core.protocols import Ints
from kokeilu.core.results import Rows

__all__ = ["LEAST", "Counts", "count_draw"]

LEAST = 3
"""Counts of 1 and 2 are not published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts(Rows):
    """How many people got each arm, in all and by stratum.

    Attributes
    ----------
    arms : tuple of str
    total : tuple of int or None
        By arm; None where it is not published.
    by : tuple of str
        The columns of the strata; empty where the design has none, or they are not published.
    strata : tuple of (levels, counts)
        Strata in which every count is 0 or at least 3.
    others : tuple of int
        All other strata together, by arm; empty where there is none, or their sum is too small as well.
    pooled : int
        How many strata are not listed.
    """

    arms: tuple[str, ...]
    total: tuple[int | None, ...]
    by: tuple[str, ...]
    strata: tuple[tuple[tuple[str, ...], tuple[int, ...]], ...]
    others: tuple[int, ...]
    pooled: int

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for all people, and one for each stratum that is shown."""
        lines: list[tuple[str, tuple[int | None, ...]]] = [("everybody", self.total)]
        lines += [(" × ".join(levels), counts) for levels, counts in self.strata]
        if self.others:
            lines.append((f"{self.pooled:,} other strata", self.others))
        return [{"stratum": name, **dict(zip(self.arms, counts, strict=True))} for name, counts in lines]

    def to_data(self) -> dict[str, object]:
        """Return the counts for JSON."""
        strata = [{"arms": list(counts), "of": list(levels)} for levels, counts in self.strata]
        return {
            "arms": list(self.arms),
            "total": list(self.total),
            "by": list(self.by),
            "strata": strata,
            "others": list(self.others),
            "pooled": self.pooled,
        }

    @classmethod
    def from_data(cls, reader: Reader) -> Counts:
        """Rebuild from :meth:`to_data`."""
        reader.only("arms", "total", "by", "strata", "others", "pooled")
        arms, by = reader.texts("arms"), reader.texts("by")
        total = tuple(None if x is None else reader.number(x, "total") for x in reader.items("total"))
        strata = []
        for item in reader.items("strata"):
            row = Reader(item, reader.where + ", strata").only("arms", "of")
            strata.append((row.texts("of"), tuple(row.number(x, "arms") for x in row.items("arms"))))
        others = tuple(reader.number(x, "others") for x in reader.items("others"))
        lengths = {len(arms), len(total), *(len(counts) for _, counts in strata), len(others) or len(arms)}
        if len(lengths) > 1 or any(len(levels) != len(by) for levels, _ in strata):
            reader.fail("has rows of different lengths")
        pooled = reader.whole("pooled")
        return cls(arms=arms, total=total, by=by, strata=tuple(strata), others=others, pooled=pooled)


def count_draw(assignment: Assignment, keyed: frozenset[str] = frozenset()) -> Counts:
    """Return the counts of a draw that may be published; strata of keyed columns are not listed."""
    arms = len(assignment.arms)
    total = np.bincount(assignment.codes, minlength=arms)
    by = cells_of(assignment.lottery).names
    known = set(assignment.population.factors) - keyed
    codes, labels = assignment.population.cross(by) if set(by) <= known else (None, ())
    table = np.zeros((0, arms), dtype=np.int64)
    if codes is not None and len(labels) > 1:
        table = np.bincount(codes * arms + assignment.codes, minlength=len(labels) * arms).reshape(-1, arms)
    shown = _shown(table, total)
    rest = np.flatnonzero(~shown)
    pooled = table[rest].sum(axis=0)
    tell = len(rest) > 0 and not _small(pooled).any()
    return Counts(
        arms=assignment.arms.names,
        total=_totals(total),
        by=by if len(table) else (),
        strata=tuple((labels[s], tuple(table[s].tolist())) for s in np.flatnonzero(shown)),
        others=tuple(pooled.tolist()) if tell else (),
        pooled=len(rest),
    )


def _small(counts: Ints) -> Ints:
    return np.asarray((counts > 0) & (counts < LEAST))


def _shown(table: Ints, total: Ints) -> Ints:
    """Return which strata can be listed: small ones are pooled, and with them the next ones until the pool is not."""
    hidden = _small(table).any(axis=1)
    if _small(total).any():
        # An arm that is small in all would follow from the strata.
        return np.zeros(len(table), dtype=bool)
    order = np.argsort(table.sum(axis=1) + np.where(hidden, 0, table.sum() + 1), kind="stable")
    least = int(hidden.sum())
    while 0 < least < len(order) and (least < 2 or _small(table[order[:least]].sum(axis=0)).any()):
        least += 1
    shown = np.ones(len(table), dtype=bool)
    shown[order[:least]] = False
    return shown


def _totals(total: Ints) -> tuple[int | None, ...]:
    """Return the counts by arm, a small one hidden together with the next in size: their number in all is known."""
    hidden = _small(total)
    if hidden.sum() == 1 or 0 < total[hidden].sum() < LEAST:
        others = np.flatnonzero(~hidden & (total > 0))
        hidden[others[np.argsort(total[others], kind="stable")[:1]]] = True
    return tuple(None if hide else int(n) for n, hide in zip(total.tolist(), hidden.tolist(), strict=True))
