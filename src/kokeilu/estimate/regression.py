"""Least squares on the arms with covariates and stratum effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kokeilu._checks import choice, name_list, near_match
from kokeilu._kernels import linear
from kokeilu._kernels.clustered import CR, DOF
from kokeilu.core.protocols import Ints
from kokeilu.core.registry import encode, register
from kokeilu.core.results import Estimate, Estimates
from kokeilu.core.view import View
from kokeilu.errors import ColumnError, DesignError, EstimationError
from kokeilu.estimate.columns import chosen_columns, flag
from kokeilu.estimate.least_squares import SINGLE, Errors, Model, Solved
from kokeilu.estimate.sample import Contrasts, Sample, contrasts_of, estimate_of, sample_of

__all__ = ["Regression"]

ERRORS = ("auto", *linear.HC, *CR)
CLUSTERS = ("design", "strata")


@register("Regression")
@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    r"""Regression of the outcome on the arms, the strata of the design, and covariates measured before the draw.

    Strata enter as additive effects (absorbed) where each of them has every arm compared; otherwise they are left
    out. A stratum then counts by n_1 n_0 / n (of its people in the two arms, weighted), not by its people; a note
    tells where the two are far apart, for effects that differ by stratum are then averaged otherwise. Where people had
    different chances, rows are weighted by 1 / share, so that the target stays the average over people.

    With k columns (strata included), leverages h and e = nh/k, :math:`V = M (\sum f u^2 xx') M`, M = (X'X)^-1:

    ============================  =========================================================  ========================
    errors                        f, or A_g and factor for clusters g                        degrees of freedom
    ============================  =========================================================  ========================
    classical                     one variance for all                                       n - k
    HC0, HC1                      1; n / (n - k)                                             n - k
    HC2, HC3                      1 / (1 - h); 1 / (1 - h)^2                                 n - k
    HC4, HC4m, HC5                (1 - h)^-d, d growing with e                               n - k
    CR0, CR1, CR1p, stata (CR1S)  I; 1, G/(G-1), G/(G-k), G(n-1)/((G-1)(n-k))                G - 1
    CR2                           (I - H_gg)^(-1/2); 1                                       Satterthwaite
    CR3, CV3                      (I - H_gg)^-1 (one cluster left out at a time); 1, (G-1)/G  Satterthwaite; G - 1
    ============================  =========================================================  ========================

    Parameters
    ----------
    covariates : sequence of str
        Columns of the outcomes table.
    interacted : bool
        True: each arm has slopes of its own on the covariates, centred over all people used (Lin 2013). False:
        common slopes.
    errors : {"auto", "classical", "HC0".."HC4", "HC4m", "HC5", "CR0", "CR1", "CR1p", "stata", "CR2", "CR3", "CV3"}
        "auto" is HC2 with n - k degrees of freedom (Satterthwaite's where an arm has fewer than 25 people left after
        its columns), or CR2 where the design draws clusters. CR errors without clusters take every person as one.
        Errors that many small strata would shrink (half the variance for pairs) are refused.
    dof : {"auto", "satterthwaite", "clusters", "rows"}
        "auto" follows the table. The others state it: "satterthwaite" as clubSandwich does for every CR, "clusters"
        (G - 1) as estimatr and Stata do, "rows" n - k. Satterthwaite's go with HC0 to HC3 and every CR.
    clusters : {"design", "strata"}
        "strata" takes the strata of the design as clusters, as de Chaisemartin & Ramirez-Cuellar (2024) advise for
        pairs and other small strata.
    also_by : str, optional
        A column of the outcomes table that groups people across the clusters of the design (a caseworker, a month):
        two-way errors (CR1S by each, less by both), never below those by either. Where people were drawn, errors are
        clustered by this column alone.

    References
    ----------
    Lin (2013), Annals of Applied Statistics 7; MacKinnon & White (1985); Bell & McCaffrey (2002); Pustejovsky &
    Tipton (2018); Cameron, Gelbach & Miller (2011); MacKinnon, Nielsen & Webb (2023); de Chaisemartin &
    Ramirez-Cuellar (2024), American Economic Journal: Applied Economics 16.

    Examples
    --------
    >>> Regression(covariates=("age",)).errors
    'auto'
    """

    weighted: ClassVar[bool] = True
    covariates: tuple[str, ...] = ()
    interacted: bool = True
    errors: str = "auto"
    dof: str = "auto"
    clusters: str = "design"
    also_by: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "covariates", name_list(self.covariates, name="covariates"))
        choice(self.errors, ERRORS, name="errors")
        choice(self.dof, DOF, name="dof")
        choice(self.clusters, CLUSTERS, name="clusters")
        flag(self.interacted, "interacted")
        if self.also_by is not None and (not isinstance(self.also_by, str) or not self.also_by):
            raise DesignError("also_by must name one column of the outcomes table.")
        if self.errors in linear.HC and (self.dof == "clusters" or self.clusters == "strata" or self.also_by):
            raise DesignError(f"{self.errors} errors are by person and know no clusters. Use errors='CR2' or 'auto'.")
        if self.dof == "satterthwaite" and self.errors in linear.HC and self.errors not in SINGLE:
            raise DesignError(f"Satterthwaite's degrees of freedom are not known for {self.errors}. Use 'HC2'.")

    @property
    def groups(self) -> tuple[str, ...]:
        """Columns to be aligned as groupings."""
        return () if self.also_by is None else (self.also_by,)

    def to_data(self) -> dict[str, object]:
        """Return plain data; what is left at its default after `errors` is left out, so that old plans keep theirs."""
        data: dict[str, object] = {
            "covariates": encode(self.covariates),
            "interacted": self.interacted,
            "errors": self.errors,
        }
        rest = {"dof": (self.dof, "auto"), "clusters": (self.clusters, "design"), "also_by": (self.also_by, None)}
        return {**data, **{name: value for name, (value, default) in rest.items() if value != default}}

    def estimate(self, view: View, contrasts: Contrasts = None) -> Estimates:
        """Estimate the contrasts (arm, reference); each arm against the first where none are named.

        Parameters
        ----------
        view : View
            Aligned with at least the covariates (and the grouping) of this estimator.
        contrasts : sequence of pairs of arm names, optional

        Returns
        -------
        Estimates
            With the covariance between the contrasts where all of them come from one regression.

        Raises
        ------
        EstimationError
            An arm without people, one person or cluster in an arm, an outcome without variation, more columns than
            people, errors that ignore the clusters of the design or that stratum effects shrink, a contrast that rests
            on single people or clusters, groupings that make no two-way errors.
        ColumnError
            A covariate or grouping that the view does not hold.
        DesignError
            An unknown arm.
        """
        chosen = chosen_columns(view, self.covariates)
        samples = [sample_of(view, arm, reference) for arm, reference in contrasts_of(view, contrasts)]
        models: dict[tuple[bytes, bytes], list[int]] = {}
        for place, sample in enumerate(samples):
            models.setdefault((np.packbits(sample.rows).tobytes(), self._strata_key(sample)), []).append(place)
        found: dict[int, Estimate] = {}
        solved: list[Solved] = []
        for places in models.values():
            first = samples[places[0]]
            model = Model(
                view,
                first,
                chosen,
                interacted=self.interacted,
                absorb=_absorbs(first),
                errors=self._errors_of(view, first),
            )
            solved.append(model.solve([samples[place] for place in places]))
            for place, finding in zip(places, solved[-1].findings, strict=True):
                found[place] = estimate_of(view, samples[place], finding)
        items = tuple(found[place] for place in range(len(samples)))
        if len(solved) > 1:
            return Estimates(items, joint_reason="the contrasts stand on different people or strata")
        one = solved[0]
        return Estimates(
            items,
            covariance=one.covariance,
            joint_dof=one.joint_dof,
            hotelling=one.hotelling,
            joint_reason=one.joint_reason,
        )

    @staticmethod
    def _strata_key(sample: Sample) -> bytes:
        return sample.strata.tobytes() if _absorbs(sample) else b""

    def _errors_of(self, view: View, sample: Sample) -> Errors:
        groups, words = sample.clusters, "people were drawn, not clusters: "
        if groups is not None:
            drawn = "drawn whole" if sample.whole else "drawn, and people within them"
            words = f"{len(np.unique(groups)):,} clusters were {drawn}: "
        if self.clusters == "strata":
            if sample.n_strata < 2:
                raise EstimationError(
                    "clusters='strata' needs strata, and this design has none. Use clusters='design'."
                )
            groups, words = sample.strata, f"clustered by {sample.n_strata:,} strata: "
        nested = True
        second = None
        if self.also_by is not None:
            own = self._grouping(view, sample)
            if groups is None:
                groups, nested = own, False
                words = f"errors dependent within {int(own.max()) + 1:,} groups of {self.also_by!r}: "
            else:
                second = _crossing(groups, own, self.also_by)
                words = f"{words}two-way with {int(own.max()) + 1:,} groups of {self.also_by!r}: "
        if self.errors != "auto":
            words = f"{words[:-2]}, errors as asked for: "
        return Errors(
            kind=self._kind(groups, second),
            dof=self.dof,
            groups=groups,
            second=second,
            words=words,
            nested=nested,
            thin=self.errors == "auto" and self.dof == "auto",
        )

    def _kind(self, groups: Ints | None, second: Ints | None) -> str:
        if second is not None:
            if self.errors not in ("auto", "stata") or self.dof not in ("auto", "clusters"):
                raise EstimationError(
                    "two-way errors are CR1S with the fewer groups less one as degrees of freedom: leave errors and "
                    "dof at 'auto' with also_by."
                )
            return "two-way CR1S"
        if self.errors == "auto":
            if groups is None and self.dof == "clusters":
                raise EstimationError("dof='clusters' needs clusters, and this design draws people. Use dof='auto'.")
            return "HC2" if groups is None else "CR2"
        if groups is not None and self.errors not in CR:
            raise EstimationError(
                f"the design draws clusters, and {self.errors} errors would ignore them. Use errors='CR2' (or 'auto')."
            )
        return self.errors

    def _grouping(self, view: View, sample: Sample) -> Ints:
        name = self.also_by or ""
        if name not in view.groups:
            raise ColumnError(
                f"the grouping {name!r} is not in this view.{near_match(name, view.groups)} Align it with "
                f"groups=({name!r},)."
            )
        codes = np.unique(view.groups[name][sample.rows], return_inverse=True)[1].astype(np.int64)
        if int(codes.max()) < 1:
            raise EstimationError(f"the grouping {name!r} holds one group: errors by it are undefined. Leave it out.")
        return codes


def _absorbs(sample: Sample) -> bool:
    """Whether stratum effects are taken out: each stratum has both arms."""
    return sample.n_strata > 1 and bool((sample.unit_counts() > 0).all())


def _crossing(groups: Ints, own: Ints, name: str) -> Ints:
    """A second grouping that crosses the first; refused where one lies within the other."""
    pairs = len(np.unique(groups.astype(np.int64) * (int(own.max()) + 1) + own))
    if pairs == int(own.max()) + 1:
        raise EstimationError(
            f"the groups of {name!r} lie within the clusters: errors by cluster hold them already. Leave also_by out."
        )
    if pairs == len(np.unique(groups)):
        raise EstimationError(
            f"the clusters lie within the groups of {name!r}, so that these are no second way. What was drawn "
            "independently are the clusters: leave also_by out, or take clusters='strata' where they are the strata."
        )
    return own
