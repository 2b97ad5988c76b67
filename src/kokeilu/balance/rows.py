"""The findings of a balance check: lines of covariates, lines of clusters, and how they print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kokeilu._checks import count_of
from kokeilu.core.results import Rows, TestResult, number_text, p_text, text_table, wrapped

__all__ = ["Balance", "BalanceContrast", "BalanceRow", "ClusterBalance", "ClusterRow", "test_line"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceContrast:
    """Two arms compared in one covariate; None where undefined.

    Attributes
    ----------
    arm, reference : str
    difference : float or None
        Mean of the arm less mean of the reference, weighted by 1/share where shares differ.
    std_difference : float or None
        The difference over the denominator that was asked for.
    variance_ratio : float or None
        Variance of the arm over that of the reference.
    ks : float or None
        Kolmogorov-Smirnov distance: the largest gap between the two distribution functions.
    adjusted_difference : float or None
        Within strata, weighted by h = n_1 n_0 / (n_1 + n_0): the coefficient of the arm beside stratum effects.
    adjusted_std_difference : float or None
        The same over the same denominator.
    null_sd, z : float or None
        Standard deviation that the lottery gives the adjusted difference, if people are drawn one by one with these
        seats; and their ratio. None where clusters are drawn, or weights are given.
    """

    arm: str
    reference: str
    difference: float | None
    std_difference: float | None
    variance_ratio: float | None
    ks: float | None
    adjusted_difference: float | None
    adjusted_std_difference: float | None
    null_sd: float | None
    z: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceRow:
    """One covariate, or one level of a category, by arm.

    Attributes
    ----------
    covariate, level : str
        `level` is "" for a number and "(missing)" for the indicator of a missing value.
    n, missing : mapping of arm to number of people
        Observed, and assigned but not observed.
    means, sds : mapping of arm to float
        Mean (the share, for a level) and standard deviation with n - 1, weighted where the means are; None where
        undefined.
    contrasts : tuple of BalanceContrast
        Of every pair of arms, those with the reference first.
    """

    covariate: str
    level: str
    n: Mapping[str, int]
    missing: Mapping[str, int]
    means: Mapping[str, float | None]
    sds: Mapping[str, float | None]
    contrasts: tuple[BalanceContrast, ...]

    def contrast(self, arm: str, reference: str) -> BalanceContrast:
        """Return the comparison of two arms."""
        return next(one for one in self.contrasts if (one.arm, one.reference) == (arm, reference))

    @property
    def std_differences(self) -> dict[str, float | None]:
        """Standardised differences from the reference arm, by arm; None for the reference."""
        return self._from_reference("std_difference")

    @property
    def adjusted_differences(self) -> dict[str, float | None]:
        """Differences from the reference arm within strata, by arm; None for the reference."""
        return self._from_reference("adjusted_difference")

    @property
    def largest(self) -> float | None:
        """The largest standardised difference of any two arms, in size."""
        sizes = [abs(one.std_difference) for one in self.contrasts if one.std_difference is not None]
        return max(sizes, default=None)

    def _from_reference(self, what: str) -> dict[str, float | None]:
        arms = list(self.n)
        return {arm: None if arm == arms[0] else getattr(self.contrast(arm, arms[0]), what) for arm in arms}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRow:
    """One covariate, or level, in the means of clusters.

    Attributes
    ----------
    covariate, level : str
    n, means, sds : mapping of arm to clusters, mean and standard deviation of the clusters' means
    std_differences, adjusted_differences : mapping of arm to float or None
        From the reference arm, clusters counting alike; adjusted within strata.
    icc, icc_low, icc_high : float or None
        Intraclass correlation of people (ANOVA) and its 95 % interval (Searle).
    """

    covariate: str
    level: str
    n: Mapping[str, int]
    means: Mapping[str, float | None]
    sds: Mapping[str, float | None]
    std_differences: Mapping[str, float | None]
    adjusted_differences: Mapping[str, float | None]
    icc: float | None
    icc_low: float | None
    icc_high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterBalance(Rows):
    """Clusters by arm.

    Attributes
    ----------
    arms : tuple of str
    name : str
        The column of the clusters.
    clusters : mapping of arm to number of clusters
    mean_size, cv_size : float
        People in a cluster, and the coefficient of variation of that (J - 1).
    lines : tuple of ClusterRow
    """

    arms: tuple[str, ...]
    name: str
    clusters: Mapping[str, int]
    mean_size: float
    cv_size: float
    lines: tuple[ClusterRow, ...]

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each line; differences are named after the arm where there are several."""
        return [self._row(line) for line in self.lines]

    def _row(self, line: ClusterRow) -> dict[str, Any]:
        row: dict[str, Any] = {"covariate": line.covariate, "level": line.level}
        row |= {f"mean {arm}": line.means[arm] for arm in self.arms}
        for arm in self.arms[1:]:
            tail = "" if len(self.arms) == 2 else f" {arm}"
            row[f"std_difference{tail}"] = line.std_differences[arm]
            row[f"adjusted_difference{tail}"] = line.adjusted_differences[arm]
        return row | {"icc": line.icc, "icc_low": line.icc_low, "icc_high": line.icc_high}

    def __str__(self) -> str:
        counts = ", ".join(f"{arm} {n:,}" for arm, n in self.clusters.items())
        head = (
            f"Means of the {sum(self.clusters.values()):,} clusters of {self.name!r} ({counts}), each counting once; "
            f"{number_text(self.mean_size)} people in a cluster on average, coefficient of variation "
            f"{number_text(self.cv_size)}. icc: the share of the variance between people that lies between clusters, "
            "with its 95 % interval."
        )
        hidden = [{k: v for k, v in row.items() if not k.startswith("adjusted")} for row in self.rows()]
        return "\n".join([*wrapped([head]), text_table(hidden)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance(Rows):
    """Covariates by arm and one omnibus test.

    Attributes
    ----------
    arms : tuple of str
        The reference first.
    lines : tuple of BalanceRow
    omnibus : TestResult
        Of all lines together, by redraws of the lottery.
    notes : tuple of str
    pairs : tuple of (arm, reference)
        The contrasts that are shown.
    denominator : str
        Of the standardised differences.
    clusters : ClusterBalance or None
        The same by cluster, where whole clusters were drawn.
    """

    arms: tuple[str, ...]
    lines: tuple[BalanceRow, ...]
    omnibus: TestResult
    notes: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    denominator: str = "average"
    clusters: ClusterBalance | None = None

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each line; differences are named after the arms where there are several."""
        return [self._row(line) for line in self.lines]

    def _row(self, line: BalanceRow) -> dict[str, Any]:
        row: dict[str, Any] = {"covariate": line.covariate, "level": line.level}
        row |= {"n": sum(line.n.values()), "missing": sum(line.missing.values())}
        row |= {f"mean {arm}": line.means[arm] for arm in self.arms}
        row |= {f"sd {arm}": line.sds[arm] for arm in self.arms}
        pairs = self.pairs or tuple((arm, self.arms[0]) for arm in self.arms[1:])
        for arm, reference in pairs:
            one, tail = line.contrast(arm, reference), self._tail(arm, reference)
            row[f"difference{tail}"] = one.difference
            row[f"std_difference{tail}"] = one.std_difference
            row[f"adjusted_difference{tail}"] = one.adjusted_difference
            row[f"adjusted_std_difference{tail}"] = one.adjusted_std_difference
            row[f"variance_ratio{tail}"] = one.variance_ratio
            row[f"ks{tail}"] = one.ks
            row[f"z{tail}"] = one.z
        if len(self.arms) > 2:
            row["largest"] = line.largest
        return row

    def _tail(self, arm: str, reference: str) -> str:
        if len(self.arms) == 2:
            return ""
        return f" {arm}" if reference == self.arms[0] else f" {arm} - {reference}"

    def shown(self) -> list[dict[str, Any]]:
        """Return the rows with the columns that are printed."""
        kinds = ["covariate", "level", "n", "missing", "mean", "std_difference", "largest"]
        kinds += ["variance_ratio", "ks"] if len(self.arms) == 2 else []
        short = "std_difference" if len(self.arms) == 2 else "std_diff"
        return [
            {k.replace("std_difference", short): v for k, v in row.items() if k.split(" ")[0] in kinds}
            for row in self.rows()
        ]

    def remarks(self) -> tuple[str, ...]:
        """Return what is printed below the table."""
        largest = ("largest: the largest standardised difference of any two arms.",) if len(self.arms) > 2 else ()
        return (test_line(self.omnibus), *self.omnibus.notes, *self.notes, *largest)

    def __str__(self) -> str:
        clusters = [] if self.clusters is None else ["", str(self.clusters)]
        return "\n".join([text_table(self.shown()), *wrapped(self.remarks()), *clusters])


def test_line(test: TestResult) -> str:
    """Say a test by redraws in one line."""
    counted = "exact" if test.exact else f"Monte Carlo error {test.p_error:.3f}"
    title = test.name[:1].upper() + test.name[1:]
    draws = count_of(test.draws, "draw")
    return f"{title}: p = {p_text(test.p_value)} ({draws}, {counted}). {test.reason}".replace("p = <", "p < ")
