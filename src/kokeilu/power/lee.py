"""Before the trial: how wide the bounds will be if the arms answer at different rates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from scipy import stats

from kokeilu._checks import between
from kokeilu.core.results import Rows
from kokeilu.errors import DesignError

__all__ = ["LeeWidth", "lee_width"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeeWidth(Rows):
    """Bounds on the effect on those who would answer in either arm, as they are expected.

    Attributes
    ----------
    trim : float
        Share of the arm that answers more which is cut off: (r_more - r_less) / r_more.
    lower, upper : float
        Bounds in the units of the outcome, sampling error aside.
    """

    trim: float
    lower: float
    upper: float

    @property
    def width(self) -> float:
        """Distance between the bounds: to be seen beside the detectable effect."""
        return self.upper - self.lower

    def rows(self) -> list[dict[str, Any]]:
        """Return one row."""
        return [{"trim": self.trim, "lower": self.lower, "upper": self.upper, "width": self.width}]


def lee_width(*, effect: float, sd: float, response_arm: float, response_reference: float) -> LeeWidth:
    """Return the Lee bounds to expect of a normal outcome (Lee 2009).

    Parameters
    ----------
    effect, sd : float
        In the units of the outcome.
    response_arm, response_reference : float
        Shares whose outcome is seen, in (0, 1].

    Returns
    -------
    LeeWidth
        effect -+ sd phi(z) / (1 - trim), z the quantile of the trim.

    Examples
    --------
    >>> round(lee_width(effect=0.1, sd=1.0, response_arm=0.85, response_reference=0.80).width, 3)
    0.249
    """
    between(effect, -math.inf, math.inf, name="effect")
    between(sd, 0.0, math.inf, name="sd")
    rates = [
        between(rate, 0.0, 1.0, name=f"the response of the {arm}", closed=True)
        for arm, rate in (("arm", response_arm), ("reference", response_reference))
    ]
    if min(rates) == 0.0:
        raise DesignError("a response of 0 leaves nobody to compare; state the share whose outcome is seen.")
    trim = (max(rates) - min(rates)) / max(rates)
    shift = sd * float(stats.norm.pdf(stats.norm.ppf(trim))) / (1.0 - trim) if trim > 0.0 else 0.0
    return LeeWidth(trim=trim, lower=effect - shift, upper=effect + shift)
