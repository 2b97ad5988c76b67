"""What is compared with its redraws: one number for all covariates together, of several kinds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kokeilu._checks import choice
from kokeilu._kernels import imbalance, pillai, spread_apart
from kokeilu.core.assignment import Assignment
from kokeilu.core.lottery import cells_of, shares_of
from kokeilu.core.protocols import Codes, Exchangeable, Floats, Ints
from kokeilu.errors import DesignError

__all__ = ["STATISTICS", "Statistic", "Units", "statistic_of"]

STATISTICS = ("mahalanobis", "F", "max", "energy", "kernel")

CROWDED = 0.5
"""With more covariates than this part of the units (less strata) their inverse covariance is mostly noise."""

FEW_DRAWS = 0.2
"""The same, where the covariance is learnt from redraws."""

MOST_PAIRS = 5_000
"""People (or clusters) up to whom the distances of all pairs are held."""

SAME = 1e-9

Reduce = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Units:
    """What is drawn, people or whole clusters, and its covariates.

    Attributes
    ----------
    columns : (units, r) array
        Centred within strata, as totals of clusters, of unit length; columns that cannot differ are left out.
    strata : (units,) array
    places : (units,) array
        A person of each unit.
    shares : (units, K) array
    named : bool
        Whether the covariance follows from the lottery's cells.
    clustered : bool
    """

    columns: Floats
    strata: Ints
    places: Ints
    shares: Floats
    named: bool
    clustered: bool

    @classmethod
    def of(cls, assignment: Assignment, values: Floats, weights: Floats | None = None) -> Units:
        """Centre and scale the covariates of people or of clusters."""
        lottery = assignment.lottery
        cells = cells_of(lottery)
        whole = cells.clusters if cells.whole else None
        columns, _ = imbalance.centred_within(values, cells.strata, whole, weights)
        places = np.arange(len(assignment))
        if whole is not None:
            places = np.unique(whole, return_index=True)[1]
        return cls(
            columns=columns,
            strata=cells.strata[places],
            places=places,
            shares=shares_of(lottery, assignment.stream("shares"))[places],
            named=isinstance(lottery, Exchangeable) and cells.whole,
            clustered=whole is not None,
        )

    def codes(self, codes: Codes) -> Codes:
        """Return the arms of the units, for codes of people (b, n)."""
        return codes if len(self.places) == codes.shape[1] else codes[:, self.places]

    def free(self) -> int:
        """Return the units less their strata."""
        return len(self.places) - len(np.unique(self.strata))

    def word(self) -> str:
        """Return what the units are called."""
        return "clusters" if self.clustered else "people"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Statistic:
    """A statistic by draw, in two steps.

    Attributes
    ----------
    says : str
        What it is, for the reader.
    features : function of codes (b, n)
        Numbers of each draw, (b, m).
    reduce : function of features, or None
        The statistic (b,); None where it must be learnt from the features of all draws.
    learn : function of features (b, m) and their weights (b,)
        Returns `reduce`.
    rank : int
        Degrees of freedom of the chi-square or F approximation; 0 where there is nothing to test.
    law : function of the statistic, or None
        The approximate p-value, and its name.
    notes : tuple of str
    cost : int
        Units squared where all pairs enter, else 0.
    """

    says: str
    features: Callable[[Codes], Floats]
    reduce: Reduce | None = None
    learn: Callable[[Floats, Floats], Reduce] | None = None
    rank: int
    law: Callable[[float], tuple[float, str]] | None = None
    notes: tuple[str, ...] = ()
    cost: int = 0


def statistic_of(
    assignment: Assignment, values: Floats, units: Units, kind: str, weights: Floats | None, draws: int
) -> Statistic:
    """Make the statistic of a kind.

    Raises
    ------
    DesignError
        For an unknown kind, and where it cannot be computed with so many people or covariates.
    """
    choice(kind, STATISTICS, name="statistic")
    if kind == "F":
        return _f(units, len(assignment.arms))
    if kind in ("energy", "kernel"):
        return _pairwise(assignment, values, units, kind, weights)
    return _totals(units, kind, draws)


def _totals(units: Units, kind: str, draws: int) -> Statistic:
    arms, width = units.shares.shape[1], units.columns.shape[1]
    centre = np.concatenate([units.shares[:, k] @ units.columns for k in range(1, arms)])
    covariance = imbalance.totals_covariance(units.columns, units.strata, units.shares) if units.named else None
    rank = width if covariance is None else imbalance.whitening(covariance).shape[1] // max(arms - 1, 1)
    crowded = rank > CROWDED * units.free() or (covariance is None and width * (arms - 1) > FEW_DRAWS * draws)
    form = "max" if kind == "max" else "sum" if crowded else "quadratic"
    of_what = f", in totals of {len(units.places):,} whole clusters" if units.clustered else ""
    says = {
        "max": f"largest standardised difference between the arms{of_what}",
        "sum": f"sum of the squared standardised differences between the arms{of_what}",
        "quadratic": f"squared distance between the arms in all covariates together (Mahalanobis){of_what}",
    }[form]
    notes: tuple[str, ...] = ()
    if form == "sum":
        why = (
            f"{width:,} column(s) of covariates are too many for {len(units.places):,} {units.word()} to allow for the "
            "correlations between them, so each column counts on its own."
        )
        notes = (why,)

    def features(codes: Codes) -> Floats:
        return np.asarray(imbalance.arm_totals(units.codes(codes), units.columns, arms) - centre)

    return Statistic(
        says=says,
        features=features,
        reduce=None if covariance is None else _reduce(form, covariance),
        learn=partial(_learnt, form),
        rank=width,
        law=_chi_square(imbalance.whitening(covariance).shape[1])
        if form == "quadratic" and covariance is not None
        else None,
        notes=notes,
    )


def _reduce(form: str, covariance: Floats) -> Reduce:
    if form == "quadratic":
        factors = imbalance.whitening(covariance)
        return lambda totals: imbalance.quadratic_forms(totals, factors)
    variance = np.diag(covariance)
    scale = np.where(variance > 0.0, 1.0 / np.sqrt(np.where(variance > 0.0, variance, 1.0)), 0.0)
    if form == "max":
        return lambda totals: np.asarray(np.abs(totals * scale).max(axis=1, initial=0.0))
    return lambda totals: np.asarray(((totals * scale) ** 2).sum(axis=1))


def _learnt(form: str, totals: Floats, weights: Floats) -> Reduce:
    """By the covariance over all draws."""
    return _reduce(form, (totals * weights[:, None]).T @ totals)


def _chi_square(df: int) -> Callable[[float], tuple[float, str]]:
    def law(statistic: float) -> tuple[float, str]:
        from scipy import stats

        freedom = "1 degree of freedom" if df == 1 else f"{df} degrees of freedom"
        return float(stats.chi2.sf(statistic, df)) if df else 1.0, f"chi-square approximation on {freedom}"

    return law


def _f(units: Units, arms: int) -> Statistic:
    basis = pillai.orthonormal(units.columns)
    rank, free = basis.shape[1], units.free()
    room = free - rank - (arms - 1)
    if rank and room < 1:
        raise DesignError(
            f"an F statistic needs more {units.word()} than covariates: {rank:,} columns that can differ leave no "
            f"degrees of freedom for {len(units.places):,} {units.word()}. Name fewer columns in on, or use "
            "statistic='mahalanobis'."
        )
    of_arm = "F of the arm on the covariates" if arms == 2 else "F (Pillai) of the arms on the covariates"
    one = pillai.pillai_f(np.zeros((1, len(units.places)), dtype=np.int8), basis, units.strata, arms)

    def law(statistic: float) -> tuple[float, str]:
        from scipy import stats

        name = f"F approximation on {one.df1:,} and {one.df2:,} degrees of freedom"
        return float(stats.f.sf(statistic, one.df1, one.df2)) if one.df1 else 1.0, name

    return Statistic(
        says=f"{of_arm}{' and strata' if int(units.strata.max()) else ''}, of {units.word()}",
        features=lambda codes: pillai.pillai_f(units.codes(codes), basis, units.strata, arms).value[:, None],
        reduce=lambda values: values[:, 0],
        rank=rank,
        law=law,
    )


def _pairwise(assignment: Assignment, values: Floats, units: Units, kind: str, weights: Floats | None) -> Statistic:
    people = len(assignment)
    if people > MOST_PAIRS:
        raise DesignError(
            f"statistic={kind!r} needs the distances between all pairs of people, and {people:,} are too many (at most "
            f"{MOST_PAIRS:,}). Use statistic='mahalanobis', 'F' or 'max'."
        )
    sd = values.std(axis=0, ddof=1)
    varies = sd > imbalance.CONSTANT * np.abs(values).max(axis=0, initial=0.0)
    scaled = (values - values.mean(axis=0))[:, varies] / sd[varies]
    matrix = spread_apart.pair_distances(scaled)
    if kind == "kernel":
        matrix = spread_apart.kernel_matrix(matrix)
    points = _points(assignment, units, matrix, np.ones(people) if weights is None else weights)
    arms = len(assignment.arms)

    def features(codes: Codes) -> Floats:
        found = spread_apart.discrepancies(units.codes(codes), points, arms, unbiased=kind == "kernel")
        return found[:, None]

    name = "energy distance" if kind == "energy" else "kernel distance (Gaussian, width the median distance)"
    return Statistic(
        says=f"{name} between the arms, covariates over their standard deviations",
        features=features,
        reduce=lambda found: found[:, 0],
        rank=int(varies.sum()),
        cost=len(units.places) ** 2,
    )


def _points(assignment: Assignment, units: Units, matrix: Floats, weights: Floats) -> spread_apart.Points:
    shares = units.shares
    equal = bool((np.abs(shares - shares[0]) <= SAME).all())
    with np.errstate(divide="ignore"):
        scale = None if equal else np.where(shares > 0.0, 1.0 / np.where(shares > 0.0, shares, 1.0), 0.0)
    if not units.clustered:
        heavy = matrix * weights[:, None] * weights
        return spread_apart.Points(heavy, weights, weights**2, np.ones(len(weights)), scale)
    clusters = cells_of(assignment.lottery).clusters
    member: NDArray[np.int64] = np.arange(len(weights)) if clusters is None else clusters
    gather = sparse.csr_array((weights, (member, np.arange(len(weights)))))
    inner = np.asarray(gather @ np.asarray(gather @ matrix).T)
    mass, square = (np.bincount(member, weights=part).astype(np.float64) for part in (weights, weights**2))
    return spread_apart.Points(inner, mass, square, np.bincount(member).astype(np.float64), scale)
