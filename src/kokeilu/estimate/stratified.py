"""Adjustment within strata with variances for a sample from a larger population: covariate-adaptive designs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from kokeilu._checks import choice, name_list
from kokeilu._kernels import linear
from kokeilu._kernels import superpopulation as kernel
from kokeilu.core.protocols import Floats, Ints
from kokeilu.core.registry import register
from kokeilu.core.results import Estimate, Estimates
from kokeilu.core.view import View
from kokeilu.errors import DesignError, EstimationError
from kokeilu.estimate.columns import chosen_columns, matrix_of
from kokeilu.estimate.sample import Contrasts, Finding, Sample, contrasts_of, estimate_of, sample_of

__all__ = ["StratifiedRegression"]

ERRORS = ("auto", "HC0", "HC1")
KINDS = ("auto", "large", "small")

RULE = "HC2 in each stratum and arm, Satterthwaite's degrees of freedom"

FEWEST = 6
"""Fewer small strata than this have hardly any neighbours to learn a variance from."""


class _Parts(NamedTuple):
    """Effect, variance, degrees of freedom, and what was done."""

    value: float
    variance: float
    dof: float | None
    done: str


@register("StratifiedRegression")
@dataclass(frozen=True, slots=True, kw_only=True)
class StratifiedRegression:
    """Differences within strata, adjusted within strata, for people who are a sample from a larger population.

    The strata are those of the draw; a draw without strata is one stratum. Strata count by their people whatever the
    shares in them, which may differ between strata. The variance holds for stratified, biased-coin and other
    covariate-adaptive draws, and takes in that other strata and people might have been sampled: it is larger than that
    of DifferenceInMeans where effects differ between strata.

    Parameters
    ----------
    covariates : sequence of str
        Columns of the outcomes table, measured before the draw. Slopes are by stratum and arm; by arm only where some
        stratum has too few people in an arm for them (the output says so).
    strata : {"auto", "large", "small"}
        "large": few strata of many people (Bugni, Canay & Shaikh). "small": many strata of equal size with the same
        number of each arm, such as pairs and tuples (Bai et al.); strata that missing outcomes made incomplete are left
        out. "auto": small where an arm has one person in such strata.
    order : str, optional
        A numeric column by whose mean small strata are ordered: neighbours should be alike, as the score is by which
        people were matched. Else they stand in the order of the draw. Where neighbours are not alike the variance is
        too large, not too small.
    errors : {"auto", "HC0", "HC1"}
        "auto": HC2 of the adjusted mean within stratum and arm (n - 1 less slopes where these are common), and t with
        Satterthwaite's degrees of freedom. "HC0" and
        "HC1" are those of the package sreg, with the normal distribution; HC1 is the factor n / (n - strata times arms)
        and does not count slopes. (With three arms or more and covariates sreg leaves out what people of the other
        arms add; here it is in.)

    References
    ----------
    Bugni, Canay & Shaikh (2019), Quantitative Economics 10; Jiang, Linton, Tang & Zhang (2024), Review of Economics and
    Statistics; Bai, Jiang, Romano, Shaikh & Zhang (2024), Journal of Econometrics.

    Examples
    --------
    >>> import kokeilu as kk
    >>> people = {"id": list(range(24)), "area": ["n", "w"] * 12}
    >>> drawn = kk.randomise(people, kk.Stratified(kk.arms(control=1, coaching=1), by="area"), id="id", seed="x")
    >>> outcomes = {"id": people["id"], "y": [float(i % 5) for i in range(24)]}
    >>> kk.estimate_effects(drawn, outcomes, "y", estimator=kk.StratifiedRegression())[0].variance
    'Bugni-Canay-Shaikh'
    """

    covariates: tuple[str, ...] = ()
    strata: str = "auto"
    order: str | None = None
    errors: str = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "covariates", name_list(self.covariates, name="covariates"))
        choice(self.strata, KINDS, name="strata")
        choice(self.errors, ERRORS, name="errors")
        if self.order is not None and len(name_list(self.order, name="order")) != 1:
            raise DesignError("order is one column, named by text, or None.")
        if self.order is not None and self.strata == "large":
            raise DesignError("order is for small strata. Leave it out, or use strata='small'.")

    def columns(self) -> tuple[str, ...]:
        """Columns of the outcomes table that are read beside the outcome."""
        return tuple(dict.fromkeys((*self.covariates, *(() if self.order is None else (self.order,)))))

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
            Clusters, shares that differ within a stratum, survey weights; strata with one person in an arm that are
            not all alike; an arm without people, an outcome without variation.
        ColumnError
            A covariate that the view does not hold.
        DesignError
            An unknown arm.
        """
        chosen_columns(view, self.columns())
        _refuse_design(view)
        found = []
        for arm, reference in contrasts_of(view, contrasts):
            sample = sample_of(view, arm, reference)
            if sample.shares_differ(within_strata=True):
                raise EstimationError(
                    "the chance of an arm differs between people of the same stratum. Use AIPW(covariates=...) or "
                    "Regression(covariates=...)."
                )
            small = self.strata == "small" or (self.strata == "auto" and _is_small(sample))
            found.append(self._small(view, sample) if small else self._large(view, sample))
        return Estimates(tuple(found))

    def _large(self, view: View, sample: Sample) -> Estimate:
        x, place = matrix_of(view, self.covariates, sample.rows), _places(sample)
        least = int(sample.unit_counts().min())
        if least < 2:
            raise EstimationError(
                "some stratum has one person in an arm, and the strata are not all alike: there is no variance within "
                "it. Use DifferenceInMeans(), which pools such strata, or merge strata in the register."
            )
        common = x.shape[1] > 0 and least < x.shape[1] + 3
        slopes = kernel.adjusted(x, sample.y, place, sample.strata, common=common)
        cells = kernel.cellwise(sample.y, place, sample.strata, slopes.values)
        residual = None if common or self.errors != "auto" else kernel.residual_parts(x, sample.y, place, sample.strata)
        parts = self._cell_variance(sample, cells, slopes, residual)
        by = f" by {', '.join(map(repr, view.strata_names))}" if view.strata_names else ""
        drawn = f"{sample.n_strata:,} strata{by}" if sample.n_strata > 1 else "people drawn in one group"
        how = "" if x.shape[1] == 0 else f", slopes {'by arm, too few people in some cell' if common else 'by cell'}"
        reason = (
            f"{drawn}: differences within them weighted by their people{how}; variance of Bugni, Canay & Shaikh (2019) "
            f"for people sampled from a larger population, {parts.done}."
        )
        return estimate_of(view, sample, self._finding(sample, parts, "Bugni-Canay-Shaikh", reason))

    def _cell_variance(
        self,
        sample: Sample,
        cells: kernel.Cellwise,
        slopes: kernel.Adjusted,
        residual: tuple[Floats, Floats] | None,
    ) -> _Parts:
        n, arms = sample.y.size, np.unique(sample.codes).size
        if self.errors != "auto":
            left = n - sample.n_strata * arms
            factor = n / left if self.errors == "HC1" else 1.0
            variance = (factor * float(cells.arms.sum()) + cells.others + cells.between) / n
            return _Parts(cells.value, variance, None, f"{self.errors}, normal reference")
        if residual is not None:
            share = sample.sizes() / n
            return _satterthwaite(
                cells, residual[0] * share[:, None] ** 2, residual[1], (cells.gap + cells.between) / n
            )
        freedom = cells.people - 1.0 - slopes.used
        if not float(freedom.min()) > 0.0:
            raise EstimationError(
                "an arm has no people left after its slopes in some stratum. Take fewer covariates, or Regression."
            )
        pieces = cells.arms * cells.people / freedom * slopes.factor / n
        return _satterthwaite(cells, pieces, freedom, (cells.others + cells.between) / n)

    def _small(self, view: View, sample: Sample) -> Estimate:
        sample = _complete(sample)
        strata = self._ordered(view, sample)
        place = _places(sample)
        x = matrix_of(view, self.covariates, sample.rows)
        y, columns = _between(x, sample.y, place, strata)
        total = int(strata.max()) + 1
        value, spread = kernel.small_strata(y, place, strata)
        n, left = sample.y.size, total - 1 - columns
        if left < 1:
            raise EstimationError(f"{total} strata carry {columns} covariates: none are left over. Take fewer.")
        factor = total / left if self.errors == "auto" else 1.0
        variance = factor * spread / n
        if not variance > 0.0:
            raise EstimationError(
                "the variance for small strata comes out at nought or below, which happens with few strata. Use "
                "DifferenceInMeans(), whose variance between strata cannot."
            )
        rule = f"factor {total}/{left}, degrees of freedom: strata less one and slopes"
        done = rule if self.errors == "auto" else f"{self.errors}, normal reference"
        ordered = f"ordered by {self.order!r}" if self.order else "in the order of the draw"
        reason = (
            f"{total:,} strata of {n // total} people, {ordered}: difference in means"
            f"{', adjusted by differences within strata' if columns else ''}; variance of Bai et al. (2024) for many "
            f"small strata, {done}."
        )
        parts = _Parts(value, variance, float(left) if self.errors == "auto" else None, done)
        return estimate_of(view, sample, self._finding(sample, parts, "Bai et al.", reason))

    def _ordered(self, view: View, sample: Sample) -> Ints:
        if self.order is None:
            return sample.strata
        spots = chosen_columns(view, (self.order,))
        if len(spots) != 1:
            raise EstimationError(
                f"order={self.order!r} must be a numeric column that varies and has no gaps. "
                "Name another, or leave it out."
            )
        values = view.covariates[:, spots[0]][sample.rows]
        means = kernel.stratum_means(values, np.ones(values.size, dtype=bool), sample.strata)
        rank = np.empty(means.size, dtype=np.int64)
        rank[np.argsort(means, kind="stable")] = np.arange(means.size)
        return rank[sample.strata]

    def _finding(self, sample: Sample, parts: _Parts, kind: str, reason: str) -> Finding:
        mine = sample.codes == sample.reference
        mean = kernel.stratum_means(sample.y, mine, sample.strata) @ sample.sizes() / sample.sizes().sum()
        return Finding(
            value=parts.value,
            variance=parts.variance,
            dof=parts.dof,
            estimator="stratified regression" if self.covariates else "stratified difference in means",
            kind=kind,
            reason=reason,
            reference_mean=float(mean),
        )


def _satterthwaite(cells: kernel.Cellwise, pieces: Floats, freedom: Floats, rest: float) -> _Parts:
    variance = float(pieces.sum()) + rest
    bottom = float((pieces**2 / freedom).sum())
    dof = min(variance**2 / bottom, float(freedom.sum())) if bottom > 0.0 else float(freedom.sum())
    return _Parts(cells.value, variance, dof, RULE)


def _refuse_design(view: View) -> None:
    if view.clusters is not None:
        raise EstimationError(
            "the design draws clusters, and this variance takes each person as drawn alone. Use Regression(...), which "
            "is CR2 with stratum effects, or AIPW(covariates=...)."
        )
    if view.weights is not None:
        raise EstimationError(
            "StratifiedRegression takes no survey weights. Use Regression(covariates=...) or AIPW(...)."
        )


def _places(sample: Sample) -> Ints:
    place = np.full(sample.y.size, -1, dtype=np.int64)
    place[sample.codes == sample.arm], place[sample.codes == sample.reference] = 0, 1
    return place


def _composition(sample: Sample) -> tuple[Ints, Ints]:
    """People of each arm (columns) in the commonest stratum, and which strata are like it."""
    arms, place = np.unique(sample.codes, return_inverse=True)
    counts = np.bincount(sample.strata * arms.size + place, minlength=sample.n_strata * arms.size)
    kinds, kind, often = np.unique(
        counts.reshape(sample.n_strata, arms.size), axis=0, return_inverse=True, return_counts=True
    )
    commonest = int(often.argmax())
    return kinds[commonest].astype(np.int64), np.flatnonzero(kind.ravel() == commonest).astype(np.int64)


def _is_small(sample: Sample) -> bool:
    """Whether most strata have the same few people of each arm, one of them in some arm of the contrast."""
    _, alike = _composition(sample)
    least = sample.unit_counts()[alike].min() if alike.size else 0
    return bool(least == 1 and alike.size >= FEWEST and 2 * alike.size > sample.n_strata)


def _complete(sample: Sample) -> Sample:
    """Only the strata of the commonest composition."""
    counts, alike = _composition(sample)
    held = sample.unit_counts()[alike].min()
    if alike.size < FEWEST or 2 * alike.size <= sample.n_strata or held < 1:
        raise EstimationError(
            f"strata='small' needs {FEWEST} strata or more with the same number of each arm; of {sample.n_strata:,} "
            f"strata {alike.size:,} are alike. Use strata='large', or DifferenceInMeans()."
        )
    keep = np.isin(sample.strata, alike)
    if keep.all():
        return sample
    rows = sample.rows.copy()
    rows[np.flatnonzero(rows)[~keep]] = False
    note = (
        f"{int((~keep).sum()):,} people of strata that are not complete (unlike the {alike.size:,} others of "
        f"{int(counts.sum())} people) are left out: the effect is that of the rest."
    )
    return replace(
        sample,
        y=sample.y[keep],
        codes=sample.codes[keep],
        strata=np.searchsorted(alike, sample.strata[keep]).astype(np.int64),
        shares=sample.shares[keep],
        rows=rows,
        notes=(*sample.notes, note),
    )


def _between(x: Floats, y: Floats, place: Ints, strata: Ints) -> tuple[Floats, int]:
    """The outcome less its slopes on covariates, from differences within strata, and the number of slopes."""
    if x.shape[1] == 0:
        return y, 0
    table = np.column_stack([x, y])
    gaps = np.stack(
        [
            kernel.stratum_means(column, place == 0, strata) - kernel.stratum_means(column, place == 1, strata)
            for column in table.T
        ],
        axis=1,
    )
    level = np.zeros(gaps.shape[0], dtype=np.int64)
    fitted = linear.fit(linear.columns_of(gaps[:, :-1], levels=level), gaps[:, -1])
    return y - x @ fitted.coef, int(fitted.kept.sum())
