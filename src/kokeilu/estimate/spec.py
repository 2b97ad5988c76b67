"""The randomisation test as a frozen specification, so that it can stand in a plan."""

from __future__ import annotations

from dataclasses import dataclass

from kokeilu._checks import choice, name_list, positive_int
from kokeilu.core.registry import register
from kokeilu.errors import DesignError
from kokeilu.estimate._routes import METHODS

__all__ = ["RandomisationTest"]


@register("RandomisationTest")
@dataclass(frozen=True, slots=True, kw_only=True)
class RandomisationTest:
    """A randomisation test to be run by a plan: the arguments of `randomisation_test` without the data.

    Parameters
    ----------
    draws : int
        Redraws of the lottery, where it has too many assignments to list them all.
    covariates : sequence of str
        Columns of the outcomes table measured before the draw.
    studentise : bool
        Divide the difference by its standard error in each redraw.
    alternative : {"two-sided", "greater", "less"}
    method : {"auto", "exact", "enumerate", "counts", "shuffles", "redraws"}
        See :func:`kokeilu.randomisation_test`.

    Examples
    --------
    >>> RandomisationTest(draws=999).studentise
    True
    """

    draws: int = 9_999
    covariates: tuple[str, ...] = ()
    studentise: bool = True
    alternative: str = "two-sided"
    method: str = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "draws", positive_int(self.draws, name="draws"))
        object.__setattr__(self, "covariates", name_list(self.covariates, name="covariates"))
        if not isinstance(self.studentise, bool):
            raise DesignError(f"studentise must be True or False; got {type(self.studentise).__name__}.")
        choice(self.alternative, ("two-sided", "greater", "less"), name="alternative")
        choice(self.method, METHODS, name="method")
