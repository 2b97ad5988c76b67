"""Named contrasts of several arms: main effects and interactions of crossed factors, arms pooled with weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kokeilu._checks import exact_share, plain_text, unknown_name
from kokeilu._kernels import linear, moments
from kokeilu._kernels.clustered import cluster_robust
from kokeilu._kernels.small_blocks import Blocks, automatic, block_variance
from kokeilu.core.protocols import Floats, Ints
from kokeilu.core.registry import register
from kokeilu.core.results import Estimate, Estimates
from kokeilu.core.view import View
from kokeilu.errors import DesignError, EstimationError
from kokeilu.estimate.notes import attrition_notes, few_notes
from kokeilu.estimate.sample import Contrasts, Finding, Sample, sample_over
from kokeilu.estimate.waves import few_in_waves

__all__ = ["ArmContrasts"]

Side = tuple[tuple[str, str], ...]
"""(arm, weight) pairs; weights are written as fractions."""

NAME = "contrast of arms"


@register("ArmContrasts")
@dataclass(frozen=True, slots=True)
class ArmContrasts:
    r"""Weighted sums of the means of arms, one side less the other, each with a name.

    :math:`\hat\tau = \sum_s (n_s/n) \sum_a c_a \bar y_{sa}` over strata s; its variance is
    :math:`\sum_s (n_s/n)^2 \sum_a c_a^2 V_{sa}`, V Neyman's s^2/n or, for clusters, CR2 of the mean, with
    Satterthwaite's degrees of freedom. The arms stay apart, so that what the other factors do to the outcome adds
    nothing to the variance. Strata with one person or cluster in an arm are pooled (Pashley & Miratrix 2021). Where a
    stratum lacks an arm, or people of a stratum had different chances: means weighted by 1 / share over the strata,
    HC2 or CR2.

    Parameters
    ----------
    sides : mapping of (name, reference name) to (weights, weights)
        Weights map arms to numbers or fractions: ``{("any help", "none"): ({"coach": "1/2", "letter": "1/2"},
        {"control": 1})}``. ``Factorial.effects()`` makes the mapping for main effects and interactions.

    Raises
    ------
    DesignError
        Names or weights that are none; on estimating, an arm that the trial does not have.

    References
    ----------
    Dasgupta, Pillai & Rubin (2015), "Causal inference from 2^K factorial designs by using potential outcomes", JRSS B
    77; Neyman (1923).

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Factorial({"coach": kk.arms(no=1, yes=1), "voucher": kk.arms(no=1, yes=1)})
    >>> people = {"id": list(range(16))}
    >>> trial = kk.randomise(people, design, id="id", seed="example")
    >>> y = {"id": list(range(16)), "y": [float(i % 5) for i in range(16)]}
    >>> found = kk.estimate_effects(trial, y, "y", estimator=kk.ArmContrasts(design.effects()))
    >>> [(e.arm, e.reference) for e in found][-1]
    ('coach=yes at voucher=yes', 'coach=yes at voucher=no')
    """

    weighted: ClassVar[bool] = True
    sides: tuple[tuple[str, Side, str, Side], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "sides", _stated(self.sides))

    def estimate(self, view: View, contrasts: Contrasts = None) -> Estimates:
        """Estimate the named contrasts, or those of them that `contrasts` names as (name, reference name).

        Raises
        ------
        DesignError
            An arm that the trial does not have, or a contrast that is not named.
        EstimationError
            An arm without people, one person or cluster in an arm, an outcome without variation.
        """
        found = [self._estimate(view, one) for one in self._chosen(contrasts)]
        return Estimates(tuple(found))

    def _chosen(self, contrasts: Contrasts) -> Sequence[tuple[str, Side, str, Side]]:
        if contrasts is None:
            return self.sides
        known = {(one[0], one[2]): one for one in self.sides}
        for pair in contrasts:
            if tuple(pair) not in known:
                raise DesignError(f"no contrast is named {pair!r}. Known are {', '.join(map(repr, known))}.")
        return [known[pair[0], pair[1]] for pair in contrasts]

    def _estimate(self, view: View, one: tuple[str, Side, str, Side]) -> Estimate:
        name, plus, reference, minus = one
        sides = [_weights(side, view) for side in (plus, minus)]
        weights = sides[0] - sides[1]
        arms = tuple(int(code) for code in np.flatnonzero(weights))
        if not arms:
            raise DesignError(f"the contrast {name!r} against {reference!r} weighs every arm with 0.")
        sample = sample_over(view, arms)
        finding = _finding(sample, arms, weights, sides[1])
        sample = replace(sample, notes=(*sample.notes, *few_in_waves(sample, arms, finding.kind)))
        return _account(view, sample, finding, {name: sides[0] != 0.0, reference: sides[1] != 0.0})


def _account(view: View, sample: Sample, finding: Finding, groups: dict[str, NDArray[np.bool_]]) -> Estimate:
    """Join a finding with the people of its two sides."""
    name, reference = groups
    used = np.bincount(sample.codes, minlength=len(view.arms))
    missing, absent = (np.array([*held.values()]) for held in (view.account.missing(), view.account.absent()))
    involved = np.logical_or(*groups.values())
    mine = involved[sample.codes]
    if not finding.variance > (1e-13 * float(np.ptp(sample.y[mine]))) ** 2:
        raise EstimationError(
            f"{view.outcome!r} leaves no variation to judge {name!r} against {reference!r} by. Check the column."
        )
    codes = np.flatnonzero(involved)
    notes = (attrition_notes(view, int(code), int(codes[0])) for code in codes[1:])
    return Estimate(
        outcome=view.outcome,
        arm=name,
        reference=reference,
        value=finding.value,
        error=float(np.sqrt(finding.variance)),
        dof=finding.dof,
        estimator=finding.estimator,
        variance=finding.kind,
        reason=finding.reason,
        n={label: int(used[group].sum()) for label, group in groups.items()},
        missing={label: int(missing[group].sum()) for label, group in groups.items()},
        absent={label: int(absent[group].sum()) for label, group in groups.items()},
        clusters=None if sample.clusters is None else len(np.unique(sample.clusters[mine])),
        notes=(*view.notes, *view.cautions, *sample.notes, *few_notes(finding), *(n for note in notes for n in note)),
        reference_mean=finding.reference_mean,
    )


def _stated(sides: object) -> tuple[tuple[str, Side, str, Side], ...]:
    rows: list[Any] = []
    if isinstance(sides, Mapping):
        for names, pair in sides.items():
            if not (isinstance(names, tuple) and len(names) == 2 and isinstance(pair, tuple) and len(pair) == 2):
                raise DesignError(
                    "ArmContrasts needs a mapping of (name, reference name) to (weights, weights), such as "
                    "{('any help', 'none'): ({'coach': '1/2', 'letter': '1/2'}, {'control': 1})}."
                )
            rows.append((names[0], pair[0], names[1], pair[1]))
    elif isinstance(sides, tuple):
        rows = list(sides)
    if not rows or not all(isinstance(row, tuple) and len(row) == 4 for row in rows):
        raise DesignError("ArmContrasts names no contrast. Give a mapping, such as Factorial.effects().")
    stated = tuple((plain_text(a, name="a contrast"), _side(x), plain_text(b, name="a contrast"), _side(y))
                   for a, x, b, y in rows)  # fmt: skip
    pairs = [(row[0], row[2]) for row in stated]
    if len(set(pairs)) != len(pairs) or any(a == b for a, b in pairs):
        raise DesignError("two contrasts have the same names, or the two sides of one have. Name each side apart.")
    return stated


def _side(weights: object) -> Side:
    items = tuple(weights.items()) if isinstance(weights, Mapping) else weights
    if not isinstance(items, tuple) or not items or not all(isinstance(i, tuple) and len(i) == 2 for i in items):
        raise DesignError("the weights of a side must be a mapping of arm to number, such as {'coach': '1/2'}.")
    return tuple((plain_text(arm, name="an arm"), str(_signed(weight))) for arm, weight in items)


def _signed(weight: object) -> Fraction:
    text = str(weight).strip()
    return -exact_share(text[1:], name="a weight") if text.startswith("-") else exact_share(weight, name="a weight")


def _weights(side: Side, view: View) -> Floats:
    weights = np.zeros(len(view.arms))
    for arm, weight in side:
        if arm not in view.arms.names:
            raise unknown_name(arm, list(view.arms.names), what="arm", where="the trial", error=DesignError)
        weights[view.arms.index(arm)] += float(Fraction(weight))
    return weights


def _finding(sample: Sample, arms: tuple[int, ...], weights: Floats, reference: Floats) -> Finding:
    own = weights[list(arms)]
    counts = sample.unit_counts_of(arms)
    if not sample.whole or sample.shares_differ(within_strata=True) or (counts == 0).any():
        return _hajek(sample, arms, own, reference)
    mean, variance, dof = _cells(sample, arms)
    if sample.survey is not None and sample.clusters is not None:
        return _hajek(sample, arms, own, reference)
    part = variance * own**2
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = part.sum(axis=1) ** 2 / (part**2 / dof).sum(axis=1)
    blocks = Blocks(effect=mean @ own, size=sample.sizes(), variance=part.sum(axis=1), dof=freedom)
    method = automatic(blocks)
    try:
        total, degrees = block_variance(blocks, method)
    except EstimationError:
        return _hajek(sample, arms, own, reference)
    kind = ("Neyman" if sample.survey is None else "HC2") if sample.clusters is None else "CR2"
    small = int((counts < 2).any(axis=1).sum())
    if small:
        kind = method
    base = float(blocks.share @ mean @ reference[list(arms)])
    return Finding(
        value=float(blocks.share @ blocks.effect),
        variance=total,
        dof=degrees,
        estimator=NAME,
        kind=kind,
        reason=_reason(sample, small, method),
        reference_mean=base,
    )


def _reason(sample: Sample, small: int, method: str) -> str:
    unit = "person" if sample.clusters is None else "cluster"
    rule = "Neyman's variance" if sample.clusters is None else "CR2"
    rule = rule if sample.survey is None else "HC2 of weighted means"
    where = "each arm apart" if sample.n_strata == 1 else f"each arm apart in {sample.n_strata:,} strata, by their size"
    pooled = f", {small} strata with one {unit} in an arm pooled by {method}" if small else ""
    return f"{where}: {rule}{pooled}, Satterthwaite's degrees of freedom."


def _cells(sample: Sample, arms: tuple[int, ...]) -> tuple[Floats, Floats, Floats]:
    """Means, their variances and degrees of freedom by stratum and arm, each (S, A)."""
    columns = []
    for arm in arms:
        # The same arm on both sides: the second position holds it.
        if sample.clusters is None:
            one = moments.cells(sample.y, sample.codes, sample.strata, arm=arm, reference=arm, weights=sample.survey)
            columns.append((one.mean[:, 1], one.variance[:, 1] / one.count[:, 1], one.count[:, 1] - 1.0))
            continue
        table = moments.cluster_cells(sample.y, sample.codes, sample.strata, sample.clusters, arm=arm, reference=arm)
        with np.errstate(divide="ignore", invalid="ignore"):
            dof = table.trace[:, 1] ** 2 / table.square[:, 1]
        columns.append((table.mean[:, 1], table.variance[:, 1], dof))
    mean, variance, dof = (np.column_stack(part) for part in zip(*columns, strict=True))
    return mean, variance, dof


def _hajek(sample: Sample, arms: tuple[int, ...], own: Floats, reference: Floats) -> Finding:
    weights = sample.weights()
    mine = np.isin(sample.codes, arms)
    columns = (sample.codes[mine][:, None] == np.array(arms)).astype(np.float64)
    design = linear.columns_of(columns, weights=None if weights is None else weights[mine])
    groups: Ints = np.arange(int(mine.sum()))
    if sample.clusters is not None:
        groups = np.unique(sample.clusters[mine], return_inverse=True)[1].astype(np.int64)
    found = cluster_robust(design, sample.y[mine], groups, kind="CR2", contrasts=own[None, :])
    kind = "HC2" if sample.clusters is None else "CR2"
    return Finding(
        value=float(found.values[0]),
        variance=float(found.covariance[0, 0]),
        dof=float(found.dof[0]),
        estimator="Hajek contrast of arms",
        kind=kind,
        reason=(
            "means of the arms weighted by 1/share without stratum effects (strata lack an arm, or chances differ "
            f"within them), {kind} with Satterthwaite degrees of freedom."
        ),
        reference_mean=float(found.fit.coef @ reference[list(arms)]),
    )
