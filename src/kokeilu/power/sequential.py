"""Looks at the data before the end, with one error rate over all of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import special

from kokeilu._checks import between, choice, positive_int
from kokeilu._kernels import group_sequential as kernel
from kokeilu.core.protocols import Floats
from kokeilu.core.registry import register
from kokeilu.errors import DesignError
from kokeilu.power.hypotheses import Statistic, Superiority
from kokeilu.power.scheme import Scheme

__all__ = ["GroupSequential"]

CERTAIN = 1e-9
SPENDING = ("LanDeMetsOBF", "LanDeMetsPocock", "HwangShihDeCani", "OBrienFleming", "Pocock")


@register("group_sequential")
@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSequential:
    """A test that may stop at looks before the end.

    Parameters
    ----------
    looks : int or sequence of float
        A number of equal steps, or the fractions of the final information at which the data are looked at, the last 1.
    spending : {"LanDeMetsOBF", "LanDeMetsPocock", "HwangShihDeCani", "OBrienFleming", "Pocock"}
        How the error rate is spent: three spending functions, and the two classical boundaries.
    alpha : float, default 0.05
        Over all looks; of both sides where two-sided.
    alternative : {"two-sided", "greater", "less"}
    gamma : float, default -4
        Of Hwang, Shih & DeCani; -4 is near O'Brien & Fleming, 1 near Pocock.
    futility : bool
        Also stop where success has become unlikely: non-binding bounds that spend the error of the second kind by the
        same function (one-sided tests only).

    Notes
    -----
    Statistics at the looks are normal with correlations sqrt(t_j / t_k) (Lan & DeMets 1983; Jennison & Turnbull 2000).
    Degrees of freedom are not reckoned with: a group-sequential trial should not be small.

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Complete(kk.arms(control=1, coaching=1))
    >>> found = kk.sample_size(design, kk.Mean(sd=1.0), effect=0.2, test=kk.GroupSequential(looks=3))
    >>> found.value, round(dict(found.facts)["inflation"], 3)
    (796, 1.013)
    """

    looks: int | tuple[float, ...] = 3
    spending: str = "LanDeMetsOBF"
    alpha: float = 0.05
    alternative: str = "two-sided"
    gamma: float = -4.0
    futility: bool = False

    def __post_init__(self) -> None:
        choice(self.spending, SPENDING, name="spending")
        Superiority(alpha=self.alpha, alternative=self.alternative)
        between(self.gamma, -100.0, 100.0, name="gamma")
        object.__setattr__(self, "looks", _looks(self.looks))
        if self.futility and self.alternative == "two-sided":
            raise DesignError("futility bounds belong to a one-sided test; state alternative='greater' or 'less'.")
        if self.futility and self.spending in SPENDING[3:]:
            raise DesignError("futility bounds need a spending function, such as 'LanDeMetsOBF'.")

    @property
    def information(self) -> tuple[float, ...]:
        """The fractions of information at the looks."""
        if isinstance(self.looks, tuple):
            return self.looks
        return tuple((k + 1) / self.looks for k in range(self.looks))

    def _side_alpha(self) -> float:
        return self.alpha / 2.0 if self.alternative == "two-sided" else self.alpha

    def bounds(self) -> Floats:
        """Return the upper bounds on Z, one for each look."""
        return _bounds(self.information, self.spending, self._side_alpha(), self.alternative == "two-sided", self.gamma)

    def _lower(self, drift: float, power: float | None, upper: Floats) -> Floats:
        if self.alternative == "two-sided":
            return -upper
        if not self.futility or power is None:
            return np.full(upper.size, -np.inf)
        spend = _function(self.spending, self.gamma)
        return kernel.futility_bounds(self.information, upper, 1.0 - power, spend, drift)[0]

    def crossing(self, drift: float) -> tuple[Floats, Floats]:
        """Return the chances of stopping above and below at each look, for a mean of Z at the end of `drift`."""
        return self._crossing(drift, 1.0)

    def _crossing(self, drift: float, ratio: float) -> tuple[Floats, Floats]:
        upper = self.bounds() * ratio
        return kernel.crossing(self.information, self._lower(drift, None, upper), upper, drift)

    def power(self, scheme: Scheme, effect: float) -> float:
        """Return the chance of crossing a bound on the side that is looked for."""
        shift = scheme.statistic(effect) / scheme.error(effect)
        return self._power(shift, scheme.ratio(effect))

    def _power(self, shift: float, ratio: float) -> float:
        """`ratio`: the error that Z is divided by over the true one; the bounds move by it."""
        if self.futility:
            return self._with_futility(shift * self._sign(), ratio)
        up, down = self._crossing(shift * self._sign(), ratio)
        return float(up.sum() + (down.sum() if self.alternative == "two-sided" else 0.0))

    def _sign(self) -> float:
        return -1.0 if self.alternative == "less" else 1.0

    def _with_futility(self, drift: float, ratio: float) -> float:
        """The power at which the futility bounds, which spend what it leaves, meet the last efficacy bound."""
        upper, spend = self.bounds() * ratio, _function(self.spending, self.gamma)
        low, high = 0.0, float(kernel.crossing(self.information, np.full(upper.size, -np.inf), upper, drift)[0].sum())
        for _ in range(60):
            middle = 0.5 * (low + high)
            lower, _missed = kernel.futility_bounds(self.information, upper, 1.0 - middle, spend, drift)
            found = float(kernel.crossing(self.information, lower, upper, drift)[0].sum())
            low, high = (middle, high) if found > middle else (low, middle)
        return 0.5 * (low + high)

    def side(self, statistic: Statistic) -> str:
        """Return the alternative."""
        return self.alternative

    def refuses(self, statistic: Statistic, effect: float) -> str:
        """As a test with one look."""
        return Superiority(alpha=self.alpha, alternative=self.alternative).refuses(statistic, effect)

    def facts(self, shift: float, ratio: float = 1.0) -> list[tuple[str, float]]:
        """Return bounds, inflation over a test with one look, and the share of people expected before stopping.

        Parameters
        ----------
        shift : float
            The effect over its standard error at the end.
        ratio : float
            The error that the test divides by over the true one.
        """
        drift = abs(shift) if self.alternative == "two-sided" else shift * self._sign()
        power, upper = self._power(shift, ratio), self.bounds() * ratio
        lower = self._lower(drift, power, upper)
        up, down = kernel.crossing(self.information, lower, upper, drift)
        t, stopped = np.array(self.information), up + down
        fixed = float(special.ndtri(power)) - ratio * float(special.ndtri(self._side_alpha()))
        expected = float(t @ stopped + (1.0 - stopped.sum()))
        found = [(f"bound at {x:.3g}", float(z)) for x, z in zip(t, self.bounds(), strict=True)]
        # A test with one look has this power at a finite effect only between its level and certainty.
        told = [("inflation", (drift / fixed) ** 2)] if fixed > 0.0 and power < 1.0 - CERTAIN and drift > 0.0 else []
        return [*found, *told, ("expected share of people", expected)]

    def describe(self) -> str:
        """Looks, spending and level."""
        futility = ", non-binding futility" if self.futility else ""
        looks = f"{len(self.information)} looks, {self.spending}"
        return f"{looks}, alpha {self.alpha:g}, {self.alternative}{futility}, normal"


def _looks(looks: Any) -> int | tuple[float, ...]:
    if not isinstance(looks, (tuple, list)):
        return positive_int(looks, name="looks")
    t = tuple(between(x, 0.0, 1.0, name="a look", closed=True) for x in looks)
    rising = all(a < b for a, b in zip((0.0, *t), t, strict=False))
    if not t or not rising or t[-1] != 1.0:
        raise DesignError("looks must be fractions of the final information that rise to 1, such as (0.5, 1).")
    return t


def _function(spending: str, gamma: float) -> kernel.Spending:
    if spending == "HwangShihDeCani":
        return kernel.hwang_shih_decani(gamma)
    return kernel.lan_demets_pocock if spending == "LanDeMetsPocock" else kernel.lan_demets_obrien_fleming


@lru_cache(maxsize=64)
def _bounds(information: tuple[float, ...], spending: str, alpha: float, two_sided: bool, gamma: float) -> Floats:
    if spending == "OBrienFleming":
        return kernel.obrien_fleming(information, alpha, two_sided=two_sided)
    if spending == "Pocock":
        return kernel.pocock(information, alpha, two_sided=two_sided)
    return kernel.efficacy_bounds(information, alpha, _function(spending, gamma), two_sided=two_sided)
