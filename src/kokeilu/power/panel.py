"""Periods before and after the draw, and how outcomes hang together over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kokeilu._checks import between, choice, positive_int
from kokeilu._kernels.panels import exchangeable, panel_factors, serial_covariance
from kokeilu.core.protocols import Floats
from kokeilu.core.registry import register
from kokeilu.errors import DesignError

__all__ = ["Panel"]

ANALYSES = ("post", "change", "ancova")
SYMMETRIC = 1e-9


@register("panel")
@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Several periods of one outcome for the same people (or clusters).

    Parameters
    ----------
    pre, post : int
        Periods before and after the draw.
    rho : float, optional
        Correlation of any two periods.
    rho_pre, rho_post, rho_cross : float, optional
        The same for two periods before, two after, one of each; `rho` where left out.
    ar1 : float, optional
        Correlation of neighbouring periods that falls off geometrically, in place of the others.
    covariance : sequence of sequences of float, optional
        The covariance over all periods, from the register's own months, in place of the others; only its shape counts,
        for the standard deviation of one period is the outcome's.
    analysis : {"ancova", "change", "post"}
        Mean after, adjusted for the mean before (the least error); its change; or the mean after alone.

    Notes
    -----
    With a and b the averaging weights before and after and S the covariance, the variance of one person's contrast is
    b'Sb (post), (b - a)'S(b - a) (change), b'Sb - (a'Sb)^2 / (a'Sa) (ancova): Frison & Pocock (1992), McKenzie (2012),
    Burlig, Preonas & Woerman (2020).

    Examples
    --------
    >>> round(Panel(pre=1, post=3, rho=0.7).factor, 4), round(Panel(pre=1, post=3, rho=0.7, analysis="post").factor, 4)
    (0.31, 0.8)
    """

    pre: int = 1
    post: int = 1
    rho: float | None = None
    rho_pre: float | None = None
    rho_post: float | None = None
    rho_cross: float | None = None
    ar1: float | None = None
    covariance: tuple[tuple[float, ...], ...] = ()
    analysis: str = "ancova"

    def __post_init__(self) -> None:
        positive_int(self.pre, name="pre", least=0)
        positive_int(self.post, name="post")
        choice(self.analysis, ANALYSES, name="analysis")
        for name in ("rho", "rho_pre", "rho_post", "rho_cross", "ar1"):
            value = getattr(self, name)
            if value is not None:
                between(value, -1.0, 1.0, name=name, closed=True)
        object.__setattr__(self, "covariance", _square(self.covariance, self.pre + self.post))
        if self.pre == 0 and self.analysis != "post":
            raise DesignError("without a period before the draw there is only analysis='post'.")
        self._one_source()
        if np.linalg.eigvalsh(self._matrix()).min() < -1e-9:
            raise DesignError("these correlations cannot hold together: their matrix is no covariance. Check them.")

    def _one_source(self) -> None:
        plain = any(getattr(self, name) is not None for name in ("rho", "rho_pre", "rho_post", "rho_cross"))
        given = plain + (self.ar1 is not None) + bool(self.covariance)
        if given != 1:
            raise DesignError("Panel takes correlations (rho, or rho_pre, rho_post and rho_cross), ar1, or covariance.")
        if not plain or self.rho is not None:
            return
        needed = {"rho_pre": self.pre > 1, "rho_post": self.post > 1, "rho_cross": self.pre > 0}
        lacking = [name for name, need in needed.items() if need and getattr(self, name) is None]
        if lacking:
            raise DesignError(f"{lacking[0]} is missing; state it, or rho for all.")

    def _matrix(self) -> Floats:
        if self.covariance:
            s = np.array(self.covariance)
            return np.asarray(s / np.diag(s)[self.pre :].mean(), dtype=np.float64)
        if self.ar1 is not None:
            return serial_covariance(self.pre + self.post, self.ar1)
        pair = [self.rho if value is None else value for value in (self.rho_pre, self.rho_post, self.rho_cross)]
        return exchangeable(self.pre, self.post, *(0.0 if value is None else value for value in pair))

    @property
    def factor(self) -> float:
        """The variance of one person's contrast over time, in variances of one period."""
        factor = panel_factors(self._matrix(), self.pre)[ANALYSES.index(self.analysis)]
        if factor <= 1e-12:
            raise DesignError("these correlations leave no variance over time: nothing would be left to estimate.")
        return factor

    def describe(self) -> str:
        """Say the periods and the analysis."""
        return f"{self.pre} periods before and {self.post} after, {self.analysis}, variance factor {self.factor:.4g}"


def _square(rows: Any, periods: int) -> tuple[tuple[float, ...], ...]:
    if not isinstance(rows, (Sequence, np.ndarray)):
        raise DesignError("covariance must be rows of numbers, one row and one column for each period.")
    matrix = tuple(tuple(float(x) for x in row) for row in rows)
    if not matrix:
        return ()
    s = np.array([row for row in matrix if len(row) == periods])
    if s.shape != (periods, periods) or not np.isfinite(s).all():
        raise DesignError(f"covariance must have {periods} rows and columns of numbers, one for each period.")
    if np.abs(s - s.T).max() > SYMMETRIC * np.abs(s).max() or np.diag(s).min() <= 0.0:
        raise DesignError("covariance must be symmetric with variances above 0 on its diagonal.")
    return matrix
