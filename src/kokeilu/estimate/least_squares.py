"""One fitted regression on the arms, asked for contrasts: columns, errors, and what is refused or noted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kokeilu._kernels import linear
from kokeilu._kernels.clustered import CR, cluster_robust, counted_columns, dof_rule, factor_of
from kokeilu._kernels.two_way import two_way
from kokeilu.core.protocols import Floats, Ints
from kokeilu.core.view import View
from kokeilu.errors import EstimationError
from kokeilu.estimate.sample import Finding, Sample

__all__ = ["Errors", "Model", "Solved"]

SHIFTED = 0.05
"""Part of the weight in other strata than the people above which a note says so: at 0.16, with an effect of half a
standard deviation in half of the strata, 95 % intervals cover the average over people in 83 % (simulated)."""

SHORT, LOW = 0.75, 0.9
"""Errors that stratum effects shrink are refused where they are expected at this part of the variance or less (strata
of four: 5 % tests reject in 9 %; pairs: in 17 %), and noted below the second (strata of ten)."""

ALONE = 0.01
"""Part of a contrast's variance that single rows or clusters carry alone and that errors leave out: refused above."""

SEEN = 1e-8
"""Part of a contrast's variance below which nothing is said of it: rounding."""

NAMES = {"stata": "CR1S (as Stata)"}
RULES = {
    "satterthwaite": "Satterthwaite degrees of freedom",
    "clusters": "degrees of freedom: clusters less one",
    "rows": "degrees of freedom: people less columns",
}
UNADJUSTED = ("CR0", "CR1", "CR1p", "stata", "HC0", "HC1")
SINGLE = {"HC0": "CR0", "HC1": "CR0", "HC2": "CR2", "HC3": "CR3"}
"""Errors by cluster with the same degrees of freedom as errors by person, where every person is a cluster."""


class Errors(NamedTuple):
    """What the errors are: kind, rule for degrees of freedom, groups (m,) of people and a second grouping.

    `nested` says that the groups lie in the strata; `thin` that arms with few people take Satterthwaite's rule.
    """

    kind: str
    dof: str
    groups: Ints | None
    second: Ints | None
    words: str
    nested: bool
    thin: bool


class Solved(NamedTuple):
    """Findings by contrast, and what a joint test needs."""

    findings: list[Finding]
    covariance: Floats
    joint_dof: float
    hotelling: bool
    joint_reason: str


class _Variance(NamedTuple):
    """Covariance (c, c), degrees of freedom (c,) and of all together, and words."""

    covariance: Floats
    dof: Floats
    joint_dof: float
    hotelling: bool
    rules: list[str]
    notes: tuple[str, ...]


class Model:
    """A regression of one set of people, in which several contrasts may be asked for at once."""

    __slots__ = (
        "_absorb",
        "_arms",
        "_design",
        "_errors",
        "_fit",
        "_names",
        "_own_columns",
        "_sample",
        "_weights",
        "_y",
    )

    def __init__(
        self, view: View, sample: Sample, chosen: tuple[int, ...], *, interacted: bool, absorb: bool, errors: Errors
    ) -> None:
        self._sample, self._errors, self._absorb = sample, errors, absorb
        self._weights = sample.weights()
        self._arms = tuple(int(code) for code in np.unique(sample.codes))
        names = tuple(view.covariate_names[position] for position in chosen)
        self._names, self._own_columns = self._column_names(names, interacted), len(names) + 1
        covariates = view.covariates[:, list(chosen)]
        if not sample.rows.all():
            covariates = covariates[sample.rows]
        counts = np.ones(sample.y.size) if sample.survey is None else sample.survey
        covariates -= counts @ covariates / counts.sum()
        self._design = linear.Design(
            n=sample.y.size,
            width=len(self._names),
            block=_block(sample, self._arms[absorb:], self._arms if interacted else (), covariates),
            weights=self._weights,
            levels=sample.strata if absorb else None,
        )
        # Without its mean the outcome loses no digits; the arms' columns add up to one, so that no contrast moves.
        self._y = sample.y - sample.y.mean()
        self._fit = linear.fit(self._design, self._y)
        self._refuse_few_rows()

    def _column_names(self, names: tuple[str, ...], interacted: bool) -> tuple[tuple[str, str], ...]:
        """(covariate, arm) of each column; an arm's own column has no covariate, a common slope no arm."""
        labels = self._sample.arms.names
        own = [("", labels[code]) for code in self._arms[self._absorb :]]
        owners = [labels[code] for code in self._arms] if interacted else [""]
        return (*own, *((name, owner) for owner in owners for name in names))

    def _refuse_few_rows(self) -> None:
        if self._fit.dof < 1:
            columns = int(self._fit.kept.sum())
            raise EstimationError(
                f"{self._sample.y.size:,} people carry {columns:,} columns and {self._sample.n_strata:,} strata: no "
                "degrees of freedom are left. Take fewer covariates, interacted=False, or DifferenceInMeans."
            )

    def solve(self, samples: Sequence[Sample]) -> Solved:
        """Return the findings for contrasts of the same people."""
        contrasts = np.array([self._contrast(sample) for sample in samples])
        thin = [self._errors.thin and sample.is_thin(self._own_columns) for sample in samples]
        found = self._variance(contrasts, samples, thin)
        values = contrasts @ self._fit.coef
        findings = []
        for place, sample in enumerate(samples):
            if not found.dof[place] > 0.0:
                raise EstimationError(
                    f"the {self._errors.kind} variance of {sample.names[0]!r} against {sample.names[1]!r} has no "
                    "degrees of freedom: too few clusters for these columns. Take fewer covariates, or "
                    "DifferenceInMeans."
                )
            findings.append(
                Finding(
                    value=float(values[place]),
                    variance=float(found.covariance[place, place]),
                    dof=float(found.dof[place]),
                    estimator=self._title(),
                    kind=self._errors.kind,
                    reason="; ".join([*self._why(sample), found.rules[place]]) + ".",
                    reference_mean=self._reference_mean(sample),
                    notes=(
                        *self._dropped(),
                        *found.notes,
                        *(_shift_notes(sample, self._weights) if self._absorb else ()),
                    ),
                )
            )
        which = "HTZ (Pustejovsky & Tipton 2018)" if found.hotelling else "Wald's F"
        return Solved(
            findings=findings,
            covariance=found.covariance,
            joint_dof=found.joint_dof,
            hotelling=found.hotelling,
            joint_reason=f"{which} with the {self._errors.kind} covariance; {found.rules[0]}",
        )

    def _variance(self, contrasts: Floats, samples: Sequence[Sample], thin: list[bool]) -> _Variance:
        shrunk = self._shrunken(contrasts, samples)
        if self._errors.second is not None:
            found = self._two_way(contrasts, self._errors.second)
        elif self._errors.kind in CR:
            found = self._clustered(contrasts, samples)
        else:
            found = self._by_person(contrasts, samples, thin)
        return found._replace(notes=(*found.notes, *shrunk))

    def _codes(self) -> Ints:
        return np.arange(self._sample.y.size) if self._errors.groups is None else self._errors.groups

    def _clustered(self, contrasts: Floats, samples: Sequence[Sample]) -> _Variance:
        kind, codes = self._errors.kind, self._codes()
        rule = dof_rule(kind, self._errors.dof)
        found = cluster_robust(self._design, self._y, codes, kind=kind, contrasts=contrasts, dof=rule, fitted=self._fit)
        self._refuse_alone(found.alone, samples, "cluster" if self._errors.groups is not None else "person")
        factor = factor_of(
            kind,
            n=self._design.n,
            clusters=int(codes.max()) + 1,
            columns=counted_columns(self._fit, self._design, codes),
        )
        if not np.isfinite(factor):
            raise EstimationError(
                f"{kind} is undefined: {int(codes.max()) + 1:,} clusters for as many columns or more. Use errors='CR2'."
            )
        scaled = "" if factor == 1.0 else f", factor {factor:.4f}"
        words = f"{self._errors.words}{NAMES.get(kind, kind)}{scaled} with {RULES[rule]}"
        notes: tuple[str, ...] = ()
        if found.alone.max() > SEEN:
            notes = (f"{found.n_alone:,} clusters are fitted perfectly in some direction and add nothing there.",)
        return _Variance(
            found.covariance, found.dof, found.joint_dof, rule == "satterthwaite", [words] * len(samples), notes
        )

    def _by_person(self, contrasts: Floats, samples: Sequence[Sample], thin: list[bool]) -> _Variance:
        kind = self._errors.kind
        robust = linear.covariance(self._design, self._y, self._fit, kind)
        total = ((contrasts @ self._fit.root) ** 2).sum(axis=1)
        lost = np.einsum("ck,kl,cl->c", contrasts, robust.alone, contrasts) / np.where(total > 0.0, total, 1.0)
        self._refuse_alone(lost, samples, "person")
        dof, joint = np.full(len(samples), float(self._fit.dof)), float(self._fit.dof)
        rules = [f"{self._errors.words}{kind}, {RULES['rows']}"] * len(samples)
        always = self._errors.dof == "satterthwaite"
        if always or any(thin):
            few = cluster_robust(
                self._design,
                self._y,
                self._codes(),
                kind=SINGLE[kind],
                contrasts=contrasts,
                dof="satterthwaite",
                fitted=self._fit,
            )
            joint = few.joint_dof
            dof = few.dof if always else np.where(thin, np.minimum(dof, few.dof), dof)
            why = "" if always else " (few people in an arm)"
            told = f"{self._errors.words}{kind} with Satterthwaite degrees of freedom{why}"
            rules = [told if always or one else rule for one, rule in zip(thin, rules, strict=True)]
        notes: tuple[str, ...] = ()
        if robust.full_leverage:
            full = robust.full_leverage
            notes = (f"{full:,} people are fitted perfectly (leverage 1) and add nothing to the variance.",)
        covariance = contrasts @ robust.covariance @ contrasts.T
        return _Variance(covariance, dof, joint, always or any(thin), rules, notes)

    def _two_way(self, contrasts: Floats, second: Ints) -> _Variance:
        """Two-way errors, but never less than by either grouping alone (MacKinnon, Nielsen & Webb 2024)."""
        found = two_way(self._design, self._y, self._fit, self._codes(), second, contrasts=contrasts)
        variance = np.diag(found.covariance)
        if np.isnan(variance).any():
            raise EstimationError(
                "the two-way variance comes out negative, that is undefined: the two groupings overlap too much or one "
                "has too few groups. Leave also_by out: the clusters of the design suffice for what was drawn."
            )
        least = min(found.groups[:2])
        single = found.parts[:2].max(axis=0)
        words = f"{self._errors.words}CR1S, each part with its factor; degrees of freedom: the fewer groups less one"
        rules = [
            words if own >= alone else f"{words}; one grouping alone gives a larger variance, which is taken"
            for own, alone in zip(variance, single, strict=True)
        ]
        stretch = np.sqrt(np.maximum(single / variance, 1.0))
        covariance = found.covariance * np.outer(stretch, stretch)
        return _Variance(covariance, np.full(len(variance), least - 1.0), least - 1.0, False, rules, ())

    def _refuse_alone(self, alone: Floats, samples: Sequence[Sample], unit: str) -> None:
        for part, sample in zip(alone, samples, strict=True):
            if part > ALONE:
                raise EstimationError(
                    f"{sample.names[0]!r} against {sample.names[1]!r} rests on single {unit}s that the columns fit "
                    f"perfectly: {part:.0%} of its variance would be left out of {self._errors.kind} errors. Take "
                    "fewer covariates, interacted=False, or DifferenceInMeans."
                )

    def _shrunken(self, contrasts: Floats, samples: Sequence[Sample]) -> tuple[str, ...]:
        """Refuse, or note, errors that the stratum effects make too small (de Chaisemartin & Ramirez-Cuellar 2024)."""
        kind = self._errors.kind.removeprefix("two-way ").replace("CR1S", "stata")
        codes = self._codes()
        if not self._absorb or kind not in UNADJUSTED or not self._errors.nested:
            return ()
        part = max(linear.absorbed_part(self._design, self._y, self._fit, codes, row) for row in contrasts)
        factor = self._design.n / self._fit.dof if kind == "HC1" else 1.0
        if kind in CR:
            columns = counted_columns(self._fit, self._design, codes)
            factor = factor_of(kind, n=self._design.n, clusters=int(codes.max()) + 1, columns=columns)
        level = (1.0 - part) * factor
        better = "errors='HC2'" if self._errors.groups is None else "errors='CR2', or clusters='strata'"
        if level <= SHORT + 1e-9:
            raise EstimationError(
                f"with the effects of {samples[0].n_strata:,} strata of few units taken out, {kind} errors are "
                f"expected at {level:.0%} of the variance (de Chaisemartin & Ramirez-Cuellar 2024). Use {better}."
            )
        if level >= LOW:
            return ()
        return (
            f"the effects of small strata shrink {kind} errors: expected at {level:.0%} of the variance. Use {better}.",
        )

    def _contrast(self, sample: Sample) -> Floats:
        own = self._arms[self._absorb :]
        contrast = np.zeros(len(self._names))
        for code, sign in ((sample.arm, 1.0), (sample.reference, -1.0)):
            if code not in own:
                continue
            if not self._fit.kept[own.index(code)]:
                raise EstimationError(
                    f"arm {sample.arms.names[code]!r} cannot be told apart from the strata in these data: no contrast "
                    "with it can be estimated. Name other arms in contrasts=..."
                )
            contrast[own.index(code)] = sign
        return contrast

    def _dropped(self) -> tuple[str, ...]:
        notes = []
        gone = [label for label, kept in zip(self._names, self._fit.kept, strict=True) if label[0] and not kept]
        for name, arm in gone:
            where = f" in arm {arm!r}" if arm else ""
            why = "it does not vary there, or the columns before it already tell it"
            notes.append(f"covariate {name!r} was dropped{where}: {why}.")
        return tuple(notes)

    def _title(self) -> str:
        slopes = {arm for name, arm in self._names if name}
        if not slopes:
            return "regression on the arms"
        return "regression, common slopes" if slopes == {""} else "regression, slopes by arm (Lin)"

    def _why(self, sample: Sample) -> list[str]:
        parts = []
        if self._absorb:
            parts.append(f"effects of {sample.n_strata:,} strata are taken out")
        elif sample.n_strata > 1:
            lacking = int((sample.unit_counts() == 0).any(axis=1).sum())
            parts.append(f"{lacking} of {sample.n_strata:,} strata lack one of the two arms, so no stratum effects")
        if sample.survey is not None:
            parts.append("people count by their survey weights")
        if self._weights is not None and self._weights is not sample.survey:
            parts.append("people had different chances: weights 1/share keep the average over people as the target")
        return parts

    def _reference_mean(self, sample: Sample) -> float:
        mine = sample.codes == sample.reference
        return float(np.average(sample.y[mine], weights=None if self._weights is None else self._weights[mine]))


def _shift_notes(sample: Sample, weights: Floats | None) -> tuple[str, ...]:
    """Note strata whose weight n_1 n_0 / n in least squares is far from their part of the people."""
    mass = np.zeros((2, sample.n_strata))
    for row, code in zip(mass, (sample.arm, sample.reference), strict=True):
        mine = sample.codes == code
        chosen = None if weights is None else weights[mine]
        row += np.bincount(sample.strata[mine], weights=chosen, minlength=sample.n_strata)
    product = mass[0] * mass[1] / mass.sum(axis=0)
    people = sample.sizes()
    shifted = 0.5 * float(np.abs(product / product.sum() - people / people.sum()).sum())
    if shifted <= SHIFTED:
        return ()
    note = (
        f"strata count by how evenly their people fell into the two arms: {shifted:.0%} of the weight is shifted "
        "between strata. If effects differ by stratum this is not the average over people; DifferenceInMeans() weighs "
        "strata by their people."
    )
    return (note,)


def _block(sample: Sample, own: tuple[int, ...], interacted: tuple[int, ...], covariates: Floats) -> linear.Block:
    """Columns of rows start..stop: arms, then covariates as they are or by arm."""

    def block(start: int, stop: int) -> NDArray[np.float64]:
        codes, centred = sample.codes[start:stop], covariates[start:stop]
        indicators = [(codes == code).astype(np.float64)[:, None] for code in own]
        if not interacted:
            return np.concatenate([*indicators, centred], axis=1)
        return np.concatenate([*indicators, *(centred * (codes == code)[:, None] for code in interacted)], axis=1)

    return block
