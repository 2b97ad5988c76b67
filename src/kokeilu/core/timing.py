"""What was known at the draw: covariates come from before it, outcomes from after it."""

from __future__ import annotations

from collections.abc import Sequence

from kokeilu._checks import near_match
from kokeilu.core.assignment import Assignment
from kokeilu.core.register import covariates_of
from kokeilu.errors import ColumnError

__all__ = ["refuse_mistimed"]


def refuse_mistimed(assignment: Assignment, outcome: str, covariates: Sequence[str]) -> None:
    """Refuse an outcome that stood in the register at the draw, and covariates that did not.

    An allocation made elsewhere does not know its register, and is not judged. A rule that follows earlier outcomes
    names its outcome, which may then stand in the register of a later wave.

    Raises
    ------
    ColumnError
    """
    if assignment.known is None:
        return
    known = set(assignment.known)
    if outcome in known - {*assignment.mechanism.columns(), *covariates_of(assignment.mechanism)}:
        raise ColumnError(
            f"{outcome!r} stood in the register at the draw, so it was recorded before anybody was treated and shows "
            "no effect. Give the column that was recorded afterwards a name of its own, or compare the arms in it with "
            "check_balance."
        )
    later = [name for name in covariates if name not in known]
    if later:
        names = ", ".join(repr(name) for name in later)
        raise ColumnError(
            f"covariate {later[0]!r} did not stand in the register at the draw."
            f"{near_match(later[0], assignment.known)} What is measured afterwards may have been changed by the "
            "treatment, and adjusting for it biases the effect. If it was measured before the draw, say so: "
            f"assignment = assignment.also_known({names})."
        )
