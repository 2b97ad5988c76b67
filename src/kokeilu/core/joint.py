"""Several contrasts tested at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from kokeilu._kernels.satterthwaite import rotation
from kokeilu.core.printing import people_text, sentence, text_table, wrapped
from kokeilu.core.results import Rows
from kokeilu.errors import EstimationError

if TYPE_CHECKING:
    from kokeilu.core.results import Estimates

__all__ = ["JointTest", "joint_test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JointTest(Rows):
    """A test that all of several contrasts are nought.

    Attributes
    ----------
    outcome : str
    contrasts : tuple of str
    test : {"HTZ", "F", "chi-square"}
    statistic : float
        An F; or, without degrees of freedom, a chi-square.
    df1 : int
        Number of contrasts, less those that are combinations of the others.
    df2 : float or None
        Degrees of freedom of the denominator; None for a chi-square.
    p_value : float
    variance, reason : str
    n, missing, absent : mapping of arm to number of people
        Used; without an observed outcome; of these not in the outcomes table (or None).
    notes : tuple of str
        Those of the contrasts.
    """

    outcome: str
    contrasts: tuple[str, ...]
    test: str
    statistic: float
    df1: int
    df2: float | None
    p_value: float
    variance: str
    reason: str
    n: Mapping[str, int]
    missing: Mapping[str, int]
    absent: Mapping[str, int] | None = None
    notes: tuple[str, ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """Return one row."""
        return [
            {
                "outcome": self.outcome,
                "contrasts": "; ".join(self.contrasts),
                "test": self.test,
                "statistic": self.statistic,
                "df1": self.df1,
                "df2": self.df2,
                "p": self.p_value,
                "variance": self.variance,
            }
        ]

    def __str__(self) -> str:
        people = [f"{people_text(self.n, self.missing, self.absent)}."] if self.n else []
        return "\n".join([text_table(self.rows()), *wrapped([sentence(self.reason), *people, *self.notes])])


def joint_test(estimates: Estimates) -> JointTest:
    r"""Test that all contrasts of one regression are nought.

    Q is the quadratic form of the estimates in the inverse of their covariance, q its rank. HTZ, for Satterthwaite's
    rule: :math:`F = (\eta - q + 1) / (\eta q) Q` on q and :math:`\eta - q + 1` degrees of freedom (Pustejovsky & Tipton
    2018). Otherwise F = Q / q on q and the degrees of freedom of the regression; without any, Q is a chi-square.

    Raises
    ------
    EstimationError
        Estimates without a covariance between them, or with too few degrees of freedom for so many contrasts.
    """
    covariance = estimates.covariance
    if covariance is None or not len(estimates):
        raise EstimationError(
            "these estimates carry no covariance between the contrasts, so they cannot be tested at once: "
            f"{estimates.joint_reason or 'they do not come from one regression with a variance for all of them'}. "
            "Use Regression(...) with all contrasts of one outcome, or joint_randomisation_test, which redraws."
        )
    turn = rotation(covariance)
    q, form = turn.shape[0], float(((turn @ np.array([item.value for item in estimates])) ** 2).sum())
    test, statistic, df2 = "F", form / q, estimates.joint_dof
    if df2 is None:
        test, statistic, p = "chi-square", form, float(stats.chi2.sf(form, q))
    else:
        if estimates.hotelling:
            test, eta = "HTZ", df2
            df2 = eta - q + 1.0
            statistic = df2 / (eta * q) * form
        if not df2 > 0.0:
            raise EstimationError(
                f"{q} contrasts cannot be tested at once: only {estimates.joint_dof:.1f} degrees of freedom stand "
                "behind their covariance. Test fewer contrasts, or use a joint test by redraws."
            )
        p = float(stats.f.sf(statistic, q, df2))
    first = estimates[0]
    left = "" if q == len(estimates) else f" ({q} of {len(estimates)} contrasts; the others are combinations of them)"
    return JointTest(
        outcome=first.outcome,
        contrasts=tuple(f"{item.arm} - {item.reference}" for item in estimates),
        test=test,
        statistic=statistic,
        df1=q,
        df2=df2,
        p_value=p,
        variance=first.variance,
        reason=f"{estimates.joint_reason}{left}.",
        n=first.n,
        missing=first.missing,
        absent=first.absent,
        notes=tuple(dict.fromkeys(note for item in estimates for note in item.notes)),
    )
