"""The balance table and its one p-value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from kokeilu._checks import choice, count_of, positive_int
from kokeilu._kernels import imbalance
from kokeilu._kernels.icc import anova_icc
from kokeilu._kernels.spread_apart import ks_distances
from kokeilu.balance.columns import Covariates, Part, read_covariates, share_weights
from kokeilu.balance.omnibus import omnibus_test
from kokeilu.balance.rows import Balance, BalanceContrast, BalanceRow, ClusterBalance, ClusterRow
from kokeilu.balance.statistics import STATISTICS
from kokeilu.core.arms import Arms
from kokeilu.core.assignment import Assignment
from kokeilu.core.lottery import cells_of
from kokeilu.core.protocols import Cells, Exchangeable, Floats, Ints
from kokeilu.errors import DesignError

__all__ = ["Balance", "BalanceContrast", "BalanceRow", "ClusterBalance", "ClusterRow", "Contrasts", "check_balance"]

Contrasts = Sequence[tuple[str, str]] | str | None

_DIVIDED_BY = {
    "average": "the square root of the two arms' average variance",
    "pooled": "the two arms' standard deviation, pooled by numbers of people",
    "reference": "the standard deviation of the reference arm",
    "arm": "the standard deviation of the arm itself",
    "all": "the standard deviation of everybody",
    "binary": "the square root of the two arms' average variance, p (1 - p) for columns of 0 and 1",
}


def check_balance(
    assignment: Assignment,
    table: object,
    *,
    on: Sequence[str] | str,
    draws: int = 999,
    contrasts: Contrasts = None,
    denominator: str = "average",
    statistic: str = "mahalanobis",
    weights: str | None = None,
) -> Balance:
    """Compare the arms in what was known before the draw.

    Categories have a row for every level, also for one that nobody has. Missing values are counted by arm, and being
    missing is tested like a covariate; nothing and nobody is dropped. One p-value stands for all rows together; it
    comes from redraws of the lottery that was used, so that strata, clusters, several arms and unequal shares are
    respected. Where whole clusters were drawn, their means are compared too, with the intraclass correlations.

    Parameters
    ----------
    assignment : Assignment
    table : pandas, pyarrow or Arrow-capable table
        With the id column of the assignment; people without a row count as missing.
    on : sequence of str
        Columns measured before the draw: numbers, or text (categories).
    draws : int
        Redraws for the p-value, where the assignments are too many to go through.
    contrasts : sequence of (arm, reference), or "all", optional
        Each arm against the first where not given; "all" for every pair.
    denominator : {"average", "pooled", "reference", "arm", "all", "binary"}
        What standardised differences are divided by: the square root of the two arms' average variance, the standard
        deviation pooled by n - 1, that of the reference, of the arm, of everybody; or as "average", with p (1 - p) for
        columns of 0 and 1.
    statistic : {"mahalanobis", "F", "max", "energy", "kernel"}
        Of the omnibus test: distance of the arms' totals, F of the arms on the covariates, the largest standardised
        difference, or distances between the whole distributions (at most 5,000 people).
    weights : str, optional
        A column of the table: what each person counts for, such as a survey's weights. Above 0; only their ratios
        matter. Where shares differ between people, 1/share is applied without asking.

    Returns
    -------
    Balance

    Raises
    ------
    ColumnError
        For a column that is absent or of no use, such as text with more than 500 levels.
    DataError
        For an empty table, infinite values, repeated ids or people never assigned.
    DesignError
        For something that is no assignment, no columns, an unknown arm or choice.

    Notes
    -----
    Standardised differences are divided by unweighted standard deviations, whatever the weights. The default
    denominator is that of most software (iebaltab's `nrmd`, cobalt's "pooled").

    Source: Hansen & Bowers (2008), Statist. Sci. 23, 219-236.

    Examples
    --------
    >>> import kokeilu as kk
    >>> people = {"id": list(range(8)), "age": [31, 25, 44, 52, 38, 29, 60, 47]}
    >>> trial = kk.randomise(people, kk.Complete(kk.arms(control=1, coaching=1)), id="id", seed="example")
    >>> kk.check_balance(trial, people, on="age").omnibus.draws
    70
    """
    found = read_covariates(assignment, table, on, verb="check_balance", weights=weights)
    positive_int(draws, name="draws")
    choice(denominator, imbalance.DENOMINATORS, name="denominator")
    choice(statistic, STATISTICS, name="statistic")
    pairs = _pairs(assignment.arms, contrasts)
    cells = cells_of(assignment.lottery)
    own = share_weights(assignment)
    absent = np.bincount(assignment.codes[found.absent], minlength=len(assignment.arms))
    omnibus = omnibus_test(
        assignment,
        found.filled(),
        draws=draws,
        missing={arm: int(n) for arm, n in zip(assignment.arms.names, absent, strict=True)},
        statistic=statistic,
        weights=found.weights,
    )
    return Balance(
        arms=assignment.arms.names,
        lines=_lines(assignment, found, cells, denominator, own),
        omnibus=omnibus,
        notes=tuple(_notes(found, cells, denominator, weights, shared=own is not None)),
        pairs=pairs,
        denominator=denominator,
        clusters=_cluster_balance(assignment, found, cells) if cells.whole else None,
    )


def _pairs(arms: Arms, contrasts: Contrasts) -> tuple[tuple[str, str], ...]:
    if contrasts is None:
        return tuple((arm, arms.names[0]) for arm in arms.names[1:])
    if isinstance(contrasts, str):
        choice(contrasts, ("all",), name="contrasts")
        return tuple((arm, reference) for reference, arm in combinations(arms.names, 2))
    found = []
    for pair in contrasts if isinstance(contrasts, (tuple, list)) else (contrasts,):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise DesignError(
                "contrasts must be 'all' or pairs of arm names, such as contrasts=(('coaching', 'control'),)."
            )
        arm, reference = (arms.names[arms.index(name)] for name in pair)
        if arm == reference:
            raise DesignError(f"a contrast compares arm {arm!r} with itself; name two different arms.")
        found.append((arm, reference))
    if not found:
        raise DesignError("contrasts is empty; name at least one pair of arms, or leave it out.")
    return tuple(found)


def _every_pair(arms: int) -> list[tuple[int, int]]:
    """Return all ordered pairs (arm, reference), those with the reference arm first."""
    ordered = [(a, r) for r in range(arms) for a in range(arms) if a > r]
    return ordered + [(r, a) for a, r in ordered]


def _lines(
    assignment: Assignment, found: Covariates, cells: Cells, denominator: str, own: Floats | None
) -> tuple[BalanceRow, ...]:
    names, codes, values = assignment.arms.names, assignment.codes, found.values
    pairs = _every_pair(len(names))
    forward = pairs[: len(pairs) // 2]
    survey = found.weights
    weights = own if survey is None else survey if own is None else own * survey
    # Centred columns: sums of squares of the raw ones would cancel.
    middle = np.where(np.isnan(values), 0.0, values).mean(axis=0)
    table = imbalance.arm_moments(values - middle, codes, len(names), weights)
    raw = table._replace(mean=table.mean + middle, plain=table.plain + middle)
    binary = np.array([bool(np.isin(part.values[~np.isnan(part.values)], (0.0, 1.0)).all()) for part in found.parts])
    within = imbalance.within_strata(values - middle, codes, cells.strata, forward, survey)
    alone = cells.clusters is None and cells.fixed and isinstance(assignment.lottery, Exchangeable)
    null_sd = within.null_sd if alone else np.full_like(within.null_sd, np.nan)
    ks = ks_distances(values, codes, forward, weights)
    scale = [imbalance.denominators(raw, pair, denominator, binary) for pair in pairs]
    drawn = np.bincount(codes, minlength=len(names))

    def compared(j: int) -> Iterator[BalanceContrast]:
        for place, (arm, reference) in enumerate(pairs):
            sign, spot = (1.0, place) if place < len(forward) else (-1.0, place - len(forward))
            yield _contrast(
                (names[arm], names[reference]),
                difference=raw.mean[arm, j] - raw.mean[reference, j],
                scale=scale[place][j],
                spreads=(raw.spread[arm, j], raw.spread[reference, j]),
                ks=ks[spot, j],
                adjusted=sign * within.difference[spot, j],
                null_sd=null_sd[spot, j],
            )

    return tuple(
        BalanceRow(
            covariate=part.covariate,
            level=part.level,
            n={arm: int(k) for arm, k in zip(names, table.seen[:, j], strict=True)},
            missing={arm: int(k) for arm, k in zip(names, drawn - table.seen[:, j], strict=True)},
            means=_by_arm(names, raw.mean[:, j]),
            sds=_by_arm(names, raw.spread[:, j]),
            contrasts=tuple(compared(j)),
        )
        for j, part in enumerate(found.parts)
    )


def _contrast(
    pair: tuple[str, str],
    *,
    difference: float,
    scale: float,
    spreads: tuple[float, float],
    ks: float,
    adjusted: float,
    null_sd: float,
) -> BalanceContrast:
    with np.errstate(divide="ignore", invalid="ignore"):
        over = np.divide([difference, adjusted], scale if scale > 0.0 else np.nan)
        ratio = np.float64(spreads[0]) ** 2 / np.float64(spreads[1]) ** 2
        z = np.float64(adjusted) / null_sd if null_sd > 0.0 else np.nan
    return BalanceContrast(
        arm=pair[0],
        reference=pair[1],
        difference=_plain(difference),
        std_difference=_plain(over[0]),
        variance_ratio=_plain(ratio),
        ks=_plain(ks),
        adjusted_difference=_plain(adjusted),
        adjusted_std_difference=_plain(over[1]),
        null_sd=_plain(null_sd),
        z=_plain(z),
    )


def _plain(value: float) -> float | None:
    return float(value) + 0.0 if np.isfinite(value) else None


def _by_arm(names: Sequence[str], numbers: Floats) -> dict[str, float | None]:
    return {arm: _plain(x) for arm, x in zip(names, numbers, strict=True)}


def _cluster_balance(assignment: Assignment, found: Covariates, cells: Cells) -> ClusterBalance | None:
    """Compare the clusters' means over their observed people, each cluster counting once."""
    clusters = cells.clusters
    if clusters is None:
        return None
    names, groups = assignment.arms.names, int(clusters.max()) + 1
    places = np.unique(clusters, return_index=True)[1]
    codes, strata = assignment.codes[places], cells.strata[places]
    means = np.column_stack([_cluster_means(part.values, clusters, groups) for part in found.parts])
    middle = np.where(np.isnan(means), 0.0, means).mean(axis=0)
    table = imbalance.arm_moments(means - middle, codes, len(names))
    pairs = [(arm, 0) for arm in range(1, len(names))]
    within = imbalance.within_strata(means - middle, codes, strata, pairs)
    sizes = np.bincount(clusters)
    lines = tuple(
        _cluster_row(part, names, clusters, j, table, within.difference, middle) for j, part in enumerate(found.parts)
    )
    counts = np.bincount(codes, minlength=len(names))
    return ClusterBalance(
        arms=names,
        name=cells.cluster_name or "cluster",
        clusters={arm: int(n) for arm, n in zip(names, counts, strict=True)},
        mean_size=float(sizes.mean()),
        cv_size=float(sizes.std(ddof=1) / sizes.mean()) if len(sizes) > 1 else 0.0,
        lines=lines,
    )


def _cluster_means(values: Floats, clusters: Ints, groups: int) -> Floats:
    seen = ~np.isnan(values)
    count = np.bincount(clusters[seen], minlength=groups)
    total = np.bincount(clusters[seen], weights=values[seen], minlength=groups)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _cluster_row(
    part: Part,
    names: Sequence[str],
    clusters: Ints,
    j: int,
    table: imbalance.ArmMoments,
    adjusted: Floats,
    middle: Floats,
) -> ClusterRow:
    seen = ~np.isnan(part.values)
    icc = anova_icc(part.values[seen], clusters[seen])
    none = np.zeros(len(middle), dtype=bool)
    differences = {names[0]: None} | {
        names[arm]: _over(table, arm, j, float(imbalance.denominators(table, (arm, 0), "average", none)[j]))
        for arm in range(1, len(names))
    }
    return ClusterRow(
        covariate=part.covariate,
        level=part.level,
        n={arm: int(n) for arm, n in zip(names, table.seen[:, j], strict=True)},
        means=_by_arm(names, table.mean[:, j] + middle[j]),
        sds=_by_arm(names, table.sd[:, j]),
        std_differences=differences,
        adjusted_differences=_by_arm(names, np.concatenate([[np.nan], adjusted[:, j]])),
        icc=_plain(icc.value),
        icc_low=_plain(icc.low),
        icc_high=_plain(icc.high),
    )


def _over(table: imbalance.ArmMoments, arm: int, j: int, scale: float) -> float | None:
    return _plain((table.mean[arm, j] - table.mean[0, j]) / scale) if scale > 0.0 else None


def _notes(found: Covariates, cells: Cells, denominator: str, weights: str | None, *, shared: bool) -> Iterator[str]:
    yield (
        f"std_difference: difference from the reference arm over {_DIVIDED_BY[denominator]}. Within 0.1 it is usually "
        "called small."
    )
    absent = int(found.absent.sum())
    if absent:
        yield f"{count_of(absent, 'person has', 'people have')} no row in the table and count as missing."
    if shared:
        yield "shares differ between people: means are weighted by 1/share."
    if weights is not None:
        yield f"means and the omnibus test are weighted by {weights!r}."
    if cells.clusters is not None and cells.whole:
        yield "rows are of people; whole clusters were drawn, and the omnibus test redraws clusters."
    still, fixed = found.constant(cells.strata)
    if still:
        yield f"the same for everybody, hence not tested: {', '.join(still)}."
    if fixed:
        yield f"the same for everybody in a stratum, so the draw cannot make them differ: {', '.join(fixed)}."
