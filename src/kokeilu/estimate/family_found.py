"""What a test of several hypotheses by one set of redraws found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kokeilu.core.printing import people_text, text_table, wrapped
from kokeilu.core.results import Rows
from kokeilu.core.view import Account

__all__ = ["FamilyMember", "FamilyTest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyMember:
    """One hypothesis of a family.

    Attributes
    ----------
    outcome, arm, reference : str
    subgroup : str
        Column and level; empty for everybody.
    effect, statistic : float
        Difference in means, in units of the outcome, and studentised; NaN where there is none.
    p_value, adjusted_p : float
        From the redraws, alone and in the family.
    n, missing : int
        People of the two arms used, and (of everybody in the two arms) without an outcome.
    """

    outcome: str
    arm: str
    reference: str
    subgroup: str
    effect: float
    statistic: float
    p_value: float
    adjusted_p: float
    n: int
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyTest(Rows):
    """Tests of several hypotheses by one set of redraws.

    Attributes
    ----------
    members : tuple of FamilyMember
    family : str
        The correction.
    draws : int
        Redraws, or the number of all assignments when `exact`.
    exact : bool
    reason : str
    notes : tuple of str
    accounts : mapping of outcome to Account
        People of each arm: assigned, in the table, with an observed outcome.
    """

    members: tuple[FamilyMember, ...]
    family: str
    draws: int
    exact: bool
    reason: str
    notes: tuple[str, ...] = ()
    accounts: Mapping[str, Account] = field(default_factory=dict)

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each hypothesis."""
        with_groups = any(member.subgroup for member in self.members)
        return [
            {
                "outcome": member.outcome,
                "contrast": f"{member.arm} - {member.reference}",
                **({"subgroup": member.subgroup or "everybody"} if with_groups else {}),
                "effect": member.effect,
                "statistic": member.statistic,
                "p": member.p_value,
                "adjusted_p": member.adjusted_p,
                "n": member.n,
                "missing": member.missing,
            }
            for member in self.members
        ]

    def __str__(self) -> str:
        people = [
            f"{outcome}: {people_text(account.used(), account.missing(), account.absent())}."
            for outcome, account in self.accounts.items()
        ]
        return "\n".join([text_table(self.rows()), *wrapped([self.reason, *people, *self.notes])])
