"""What a plan produced: registered and exploratory results, told apart, with all that qualifies them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kokeilu._checks import between
from kokeilu.balance.table import Balance
from kokeilu.core.assignment import Assignment
from kokeilu.core.results import Estimate, Estimates, Rows, TestResult, sentence, text_table, wrapped
from kokeilu.core.view import Account
from kokeilu.plan.deviations import Deviation
from kokeilu.plan.plan import Plan
from kokeilu.plan.power_record import PowerCheck
from kokeilu.plan.terms import Analysis

__all__ = ["Executed", "Findings"]

COLUMNS = (
    *("kind", "analysis", "role", "outcome", "contrast", "effect", "error", "low", "high", "level", "dof", "p"),
    *("adjusted_p", "n", "missing", "estimator", "variance", "draws", "p_error", "exact", "problem"),
)
_PRINTED = ("analysis", "role", "contrast", "effect", "error", "low", "high", "p", "adjusted_p", "n", "missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """One analysis as it was run.

    Attributes
    ----------
    analysis : Analysis
    registered : bool
    role : str
        Role of the outcome in the plan; empty where the plan does not have it.
    estimates : Estimates
        Empty for a test, and where the analysis was not made.
    tests : tuple of TestResult
    problem : str
        Why the analysis was not made; empty where it was.
    """

    analysis: Analysis
    registered: bool
    role: str = ""
    estimates: Estimates = Estimates(())  # noqa: RUF009
    tests: tuple[TestResult, ...] = ()
    problem: str = ""

    def rows(self, level: float) -> list[dict[str, Any]]:
        """Return one row for each contrast, or one that says why there is none."""
        found = [item.rows(level)[0] for item in self.estimates]
        for test in self.tests:
            row = test.rows()[0]
            found.append({**row, "estimator": row["test"], "level": test.level})
        head = {
            "kind": "registered" if self.registered else "exploratory",
            "analysis": self.analysis.name,
            "role": self.role or None,
            "outcome": self.analysis.outcome,
            "problem": self.problem or None,
        }
        return [{name: {**row, **head}.get(name) for name in COLUMNS} for row in found or [{}]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings(Rows):
    """The results of a plan.

    Attributes
    ----------
    plan : Plan
    assignment : Assignment
    executed : tuple of Executed
        Registered analyses in the order of the plan, then exploratory ones in the order given.
    family : tuple of str
        The p-values that were adjusted together: outcome, contrast and analysis of each.
    balance : Balance or None
        None where no register was given or no balance check is registered.
    accounts : tuple of (outcome, Account)
        Who is missing, by arm.
    deviations : tuple of Deviation
    notes : tuple of str
        What could not be compared.
    version : str
        Version of kokeilu.
    power : PowerCheck or None
        The numbers for which power was reckoned beside those enrolled; None where the plan has no power record.
    """

    plan: Plan
    assignment: Assignment
    executed: tuple[Executed, ...]
    family: tuple[str, ...]
    balance: Balance | None
    accounts: tuple[tuple[str, Account], ...]
    deviations: tuple[Deviation, ...]
    notes: tuple[str, ...]
    version: str
    power: PowerCheck | None = None

    @property
    def estimates(self) -> Estimates:
        """Registered estimates; those of primary outcomes carry `adjusted_p`."""
        return Estimates(self._estimates(registered=True))

    @property
    def exploratory(self) -> Estimates:
        """Estimates that are not in the plan; never adjusted."""
        return Estimates(self._estimates(registered=False))

    @property
    def tests(self) -> tuple[TestResult, ...]:
        """Randomisation tests, registered ones first; `registered` of each tells which it is."""
        return tuple(test for run in self.executed for test in run.tests)

    @property
    def not_made(self) -> tuple[tuple[str, str], ...]:
        """Registered analyses that were not made, each with the reason."""
        return tuple((run.analysis.name, run.problem) for run in self.executed if run.problem)

    def _estimates(self, *, registered: bool) -> tuple[Estimate, ...]:
        return tuple(item for run in self.executed if run.registered is registered for item in run.estimates)

    def rows(self, level: float | None = None) -> list[dict[str, Any]]:
        """Return one row for each contrast, registered ones first, each labelled by `kind`.

        Intervals of estimates are of `level`, by default 1 less the alpha of the family.
        """
        chosen = 1 - self.plan.family.alpha if level is None else between(level, 0, 1, name="level")
        return [row for run in self.executed for row in run.rows(chosen)]

    def attrition(self) -> list[dict[str, Any]]:
        """Return one row for each outcome and arm: assigned, not in the table, value missing, used."""
        return [
            {"outcome": outcome, **row, "share_used": row["used"] / row["assigned"] if row["assigned"] else None}
            for outcome, account in self.accounts
            for row in account.rows()
        ]

    def __str__(self) -> str:
        return "\n\n".join([self._head(), *self._tables(), self._told(), *self._people()])

    def __repr__(self) -> str:
        return str(self)

    def _head(self) -> str:
        seed = "made elsewhere, no seed" if self.assignment.seed is None else f"seed {self.assignment.seed}"
        return "\n".join(
            [
                f"Findings of the plan {self.plan.title!r}",
                f"plan       {self.plan.fingerprint}",
                f"assignment {self.assignment.fingerprint}",
                f"{len(self.assignment):,} people, {seed}, kokeilu {self.version}",
            ]
        )

    def _tables(self) -> list[str]:
        level = f"{100 * (1 - self.plan.family.alpha):g} % intervals"
        adjusted = f"adjusted_p: {self.plan.family} over {len(self.family)} p-values: {'; '.join(self.family)}."
        return [
            self._table(f"Registered analyses ({level})", adjusted, registered=True),
            self._table(f"Exploratory analyses: not in the plan, not adjusted ({level})", registered=False),
        ]

    def _table(self, title: str, *more: str, registered: bool) -> str:
        runs = [run for run in self.executed if run.registered is registered]
        rows = [row for run in runs for row in run.rows(1 - self.plan.family.alpha)]
        shown = [{name: row[name] for name in _PRINTED} for row in rows]
        table = text_table(_without_empty(shown)) if shown else "none"
        return "\n".join([title, table, *more, *(line for run in runs for line in _footnotes(run))])

    def _told(self) -> str:
        lines = [str(deviation) for deviation in self.deviations] or ["none declared, none found"]
        return "\n".join(["Deviations from the plan", *lines, *wrapped(f"note: {note}" for note in self.notes)])

    def _people(self) -> list[str]:
        people = "\n".join(["People by arm", text_table(self.attrition())])
        power = [] if self.power is None else [f"Power as reckoned before the draw\n{self.power}"]
        return [people, *power] if self.balance is None else [people, *power, f"Balance\n{self.balance}"]


def _without_empty(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out columns in which no row has anything."""
    kept = [name for name in rows[0] if any(row[name] is not None for row in rows)]
    return [{name: row[name] for name in kept} for row in rows]


def _footnotes(run: Executed) -> list[str]:
    name = run.analysis.name
    lines = [f"{name}: {item.estimator}, {item.variance}. {sentence(item.reason)}" for item in run.estimates]
    lines += [f"{name}: {test.name}. {test.reason}".rstrip() for test in run.tests]
    lines += [f"{name}: {note}" for item in (*run.estimates, *run.tests) for note in item.notes]
    lines += [f"{name}: not made. {run.problem}"] if run.problem else []
    return wrapped(dict.fromkeys(lines))
