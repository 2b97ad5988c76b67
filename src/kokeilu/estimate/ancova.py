"""Analysis of covariance with the outcome of earlier periods."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from kokeilu._checks import choice, count_of, name_list
from kokeilu.core.population import frozen_array
from kokeilu.core.protocols import Floats
from kokeilu.core.registry import register
from kokeilu.core.results import Estimates
from kokeilu.core.view import View
from kokeilu.errors import ColumnError, DesignError
from kokeilu.estimate.columns import chosen_columns, flag
from kokeilu.estimate.regression import ERRORS, Regression
from kokeilu.estimate.sample import Contrasts

__all__ = ["ANCOVA"]

LABEL = "mean of earlier periods"


@register("ANCOVA")
@dataclass(frozen=True, slots=True, kw_only=True)
class ANCOVA:
    """Regression of the outcome on the arms and on what the outcome was before the draw.

    With m earlier periods whose correlations among themselves and with the outcome are all rho, the variance on their
    mean is ``1 - m rho^2 / (1 + (m - 1) rho)`` times that of the difference in means; differences in differences have
    ``(m + 1) / m (1 - rho)`` times it, which is never less (McKenzie 2012, section 3).

    Errors, strata, clusters and unequal chances are as in Regression.

    Parameters
    ----------
    before : sequence of str
        Numeric columns: the outcome in periods before the draw. A period missing for a person is left out of their
        mean; whoever has none gets the mean of the others, and an indicator says so.
    covariates : sequence of str
        Further columns measured before the draw.
    earlier : {"mean", "each"}
        "mean": one slope on the mean of the periods (McKenzie 2012). "each": a slope for each period, for when the last
        one tells more than the others.
    interacted : bool
        False: common slopes, the classical analysis of covariance. True: slopes by arm (Lin 2013), never less precise
        in large samples and more so where shares are unequal.
    errors : str
        As in Regression.

    References
    ----------
    McKenzie (2012), "Beyond baseline and follow-up: the case for more T in experiments", Journal of Development
    Economics 99; Frison & Pocock (1992), Statistics in Medicine 11.

    Examples
    --------
    >>> import kokeilu as kk
    >>> people = {"id": list(range(40)), "y_2016": [i % 9 for i in range(40)], "y_2017": [i % 7 for i in range(40)]}
    >>> drawn = kk.randomise(people, kk.Complete(kk.arms(control=1, coaching=1)), id="id", seed="published")
    >>> outcomes = {**people, "y_2019": [i % 9 + i % 7 + i % 2 for i in range(40)]}
    >>> kk.estimate_effects(drawn, outcomes, "y_2019", estimator=kk.ANCOVA(before=("y_2016", "y_2017")))[0].estimator
    'ANCOVA on the mean of 2 earlier periods'
    """

    before: tuple[str, ...]
    covariates: tuple[str, ...] = ()
    earlier: str = "mean"
    interacted: bool = False
    errors: str = "auto"
    weighted: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "before", name_list(self.before, name="before"))
        object.__setattr__(self, "covariates", name_list(self.covariates, name="covariates"))
        choice(self.earlier, ("mean", "each"), name="earlier")
        choice(self.errors, ERRORS, name="errors")
        flag(self.interacted, "interacted")
        if not self.before:
            raise DesignError("before is empty. Name the columns of earlier periods, or use Regression.")
        both = [name for name in self.before if name in self.covariates]
        if both:
            raise DesignError(f"{both[0]!r} is in before and in covariates. Name it once.")

    def columns(self) -> tuple[str, ...]:
        """Columns of the outcomes table that are read beside the outcome."""
        return (*self.before, *self.covariates)

    def estimate(self, view: View, contrasts: Contrasts = None) -> Estimates:
        """Estimate the contrasts (arm, reference); each arm against the first where none are named.

        Parameters
        ----------
        view : View
            Aligned with at least `columns()`.
        contrasts : sequence of pairs of arm names, optional

        Returns
        -------
        Estimates

        Raises
        ------
        EstimationError
            As Regression.
        ColumnError
            A column that the view does not hold, or an earlier period that is not numeric.
        DesignError
            An unknown arm.
        """
        mean, notes = _mean_before(view, self.before)
        wanted = (*self.before, *self.covariates)
        seen = view
        if self.earlier == "mean":
            wanted = (LABEL, *self.covariates)
            seen = replace(
                view,
                covariates=frozen_array(np.column_stack([mean, view.covariates])),
                covariate_names=(*((LABEL, f"{LABEL} (missing)")[: mean.shape[1]]), *view.covariate_names),
            )
        spec = Regression(covariates=wanted, interacted=self.interacted, errors=self.errors)
        title = f"ANCOVA on {self._what()}{', slopes by arm' if self.interacted else ''}"
        found = spec.estimate(seen, contrasts)
        told = (*notes, *_gain(view, mean[:, 0], self.earlier))
        return replace(found, items=tuple(replace(item, estimator=title, notes=(*item.notes, *told)) for item in found))

    def _what(self) -> str:
        periods = count_of(len(self.before), "earlier period")
        return f"the mean of {periods}" if self.earlier == "mean" else periods


def _mean_before(view: View, before: tuple[str, ...]) -> tuple[Floats, tuple[str, ...]]:
    """The mean over the periods a person has, (m, 1), or (m, 2) with an indicator of none; and notes on gaps."""
    chosen_columns(view, before)
    total, count = np.zeros(view.y.size), np.zeros(view.y.size)
    for name in before:
        if any(label.startswith(f"{name}: ") for label in view.covariate_names):
            raise ColumnError(f"the earlier period {name!r} holds text or categories. Give numbers.")
        if name not in view.covariate_names:
            continue
        values = view.covariates[:, view.covariate_names.index(name)]
        gap = f"{name} (missing)"
        present = np.ones(values.size)
        if gap in view.covariate_names:
            present = 1.0 - view.covariates[:, view.covariate_names.index(gap)]
        total, count = total + values * present, count + present
    none = count == 0.0
    mean = np.divide(total, count, out=np.zeros_like(total), where=~none)
    partial = int(((count > 0.0) & (count < count.max(initial=0.0))).sum())
    people = count_of(partial, "person", "people")
    notes = (f"{people} lack some earlier period: the mean is of the rest.",) if partial else ()
    if not none.any() or none.all():
        return mean[:, None], notes
    mean[none] = mean[~none].mean()
    return np.column_stack([mean, none]).astype(np.float64), notes


def _gain(view: View, mean: Floats, earlier: str) -> tuple[str, ...]:
    """Note how much of the variance the earlier periods foretell within arms."""
    if earlier != "mean":
        return ()
    own = [np.stack([mean[view.codes == code], view.y[view.codes == code]]) for code in np.unique(view.codes)]
    left = np.concatenate([pair - pair.mean(axis=1, keepdims=True) for pair in own], axis=1)
    squares = left @ left.T
    if not (squares[0, 0] > 0.0 and squares[1, 1] > 0.0):
        return ()
    share = 1.0 - float(squares[0, 1] ** 2 / (squares[0, 0] * squares[1, 1]))
    return (f"within arms the earlier mean leaves {share:.0%} of the outcome's variance.",)
