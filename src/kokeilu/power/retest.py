"""Power of the randomisation test: each simulated trial is tested by redraws of its own lottery."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from kokeilu._kernels.nulls import Null
from kokeilu._kernels.streams import Stream
from kokeilu.core.lottery import redraws
from kokeilu.core.protocols import Codes, Floats
from kokeilu.errors import DesignError, EstimationError
from kokeilu.estimate._case import case_of
from kokeilu.estimate.spec import RandomisationTest
from kokeilu.power.people import People

__all__ = ["Every", "Retest"]

Every = tuple[Codes, Floats]
"""All assignments, (a, n), and their probabilities, (a,)."""


@dataclass(frozen=True, slots=True)
class Retest:
    """A randomisation test of each simulated trial, over all assignments or over its own redraws.

    With the outcomes at no effect as y and the arm as z, a trial with an effect is y + effect z, and its statistic in
    every redraw follows from those of y and of z (`kokeilu._kernels.nulls`): one set of redraws serves every effect.
    """

    test: RandomisationTest
    every: Every | None = None
    additive: bool = True

    def __post_init__(self) -> None:
        if self.test.method not in ("auto", "redraws", "enumerate"):
            raise DesignError(
                f"method={self.test.method!r} is a way to one p-value; simulated power takes 'auto' or 'redraws'."
            )

    def tested(
        self,
        people: People,
        y: Floats,
        codes: Codes,
        pair: tuple[int, int],
        shifts: Iterable[float],
        stream: Stream,
    ) -> tuple[float, Floats]:
        """Return the difference in means of one trial at no shift, and the p-value at each shift of the arm.

        Both NaN where the statistic is not defined.
        """
        view, names = people.view(y, codes), people.lottery.arms.names
        wanted = tuple(shifts)
        chosen = people.columns_named(self.test.covariates)
        if len(chosen) < len(people.names):
            view = replace(view, covariates=people.covariates[:, list(chosen)])
        try:
            case = case_of(view, (names[pair[0]], names[pair[1]]), studentise=self.test.studentise)
        except EstimationError:
            return np.nan, np.full(len(wanted), np.nan)
        if self.every is not None:
            laws = [(case.law(self.every[0]), self.every[1])]
        else:
            drawn = redraws(people.lottery, stream, self.test.draws)
            laws = [(case.law(chunk), None) for chunk in drawn]  # type: ignore[misc]
        null = Null(case.law(codes[None]), laws)
        side = "equal-tailed" if self.test.alternative == "two-sided" and case.studentised else self.test.alternative
        found = np.array([self._p(null, side, -shift / case.scale) for shift in wanted])
        return float(null.observed.value[0]) * case.scale, found

    @staticmethod
    def _p(null: Null, side: str, shift: float) -> float:
        return np.nan if np.isnan(null.observed.at(shift)[0]) else null.p_value(side, shift)
