"""Stepped wedge: the order in which municipalities, offices or people begin."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction

import numpy as np

from kokeilu._checks import choice, count_of, name_list, positive_int
from kokeilu.assign._bases import one_column
from kokeilu.assign._seated import LEFTOVERS
from kokeilu.assign.clustered import Clustered
from kokeilu.assign.complete import Complete
from kokeilu.assign.stratified import Stratified
from kokeilu.core.arms import MOST_ARMS, Arm, Arms
from kokeilu.core.population import Population
from kokeilu.core.protocols import Floats, Ints, Lottery, Mechanism
from kokeilu.core.registry import register
from kokeilu.errors import DesignError

__all__ = ["SteppedWedge"]

ALWAYS, NEVER = "always", "never"


@register("stepped wedge")
@dataclass(frozen=True, slots=True)
class SteppedWedge:
    """Draw when each cluster begins; its sequence of periods without and with treatment is its arm.

    There is a baseline period 0, and the k-th step begins in period k. A cluster of the sequence "always" is treated
    from period 0 on and one of "never" at no time, and both stand in the record as arms like the others. The unit of
    the draw is the cluster with its whole sequence, so redraws move sequences and never single cluster-periods. The
    number of clusters in each sequence is fixed up to left-over seats.

    Parameters
    ----------
    steps : int, sequence of str, or Arms
        The number of steps ("step 1", "step 2", …), or their names in the order in which they begin, or names with
        shares of the clusters. "always" may stand first and "never" last.
    cluster : str or None
        The column that names the cluster; None draws people.
    by : str or sequence of str, optional
        Strata of clusters, within which sequences are balanced.
    leftovers : {"balanced", "stratum", "refuse"}
        As in :class:`kokeilu.Stratified`.

    Raises
    ------
    DesignError
        Fewer than two sequences, or "always" or "never" out of place.

    Notes
    -----
    The effect in period t compares clusters that have begun with those that have not:
    ``merge_arms(assignment, design.started_by(t))`` is that trial with its true probabilities.

    Clusters that had begun before the draw, or by law never begin, are recorded with certainty and not drawn:
    ``Fixed(SteppedWedge(arms(always=0, March=1, May=1, never=0), cluster="town"), column="law")``.

    Source: Hussey & Hughes (2007), "Design and analysis of stepped wedge cluster randomized trials", Contemp. Clin.
    Trials 28, 182-191.

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.SteppedWedge(("March", "September", "never"), cluster="municipality")
    >>> design.treatment_matrix().tolist()
    [[0, 1, 1], [0, 0, 1], [0, 0, 0]]
    >>> design.started_by(1)
    {'not yet': ('September', 'never'), 'started': ('March',)}
    """

    steps: Arms
    _: KW_ONLY
    cluster: str | None
    by: tuple[str, ...] = ()
    leftovers: str = "balanced"

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", _sequences(self.steps))
        names = self.steps.names
        if ALWAYS in names[1:] or NEVER in names[:-1]:
            raise DesignError("steps stand in the order in which they begin: 'always' can only be first, 'never' last.")
        if not set(names) - {ALWAYS, NEVER}:
            raise DesignError("steps names only 'always' and 'never': that is a trial of two arms. Use Clustered.")
        if self.cluster is not None:
            object.__setattr__(self, "cluster", one_column(self.cluster, name="cluster", where="SteppedWedge"))
        object.__setattr__(self, "by", name_list(self.by, name="by"))
        choice(self.leftovers, LEFTOVERS, name="leftovers")
        self._rule()

    def _rule(self) -> Mechanism:
        base: Mechanism
        if self.by:
            base = Stratified(self.steps, by=self.by, leftovers=self.leftovers)
        else:
            whole = "balanced" if self.leftovers == "stratum" else self.leftovers
            base = Complete(self.steps, leftovers=whole)
        return base if self.cluster is None else Clustered(base, by=self.cluster)

    @property
    def arms(self) -> Arms:
        """The sequences, the earliest first: the reference is the first."""
        return self.steps

    @property
    def draws_clusters(self) -> bool:
        """True where clusters are drawn and not people."""
        return self.cluster is not None

    @property
    def periods(self) -> int:
        """Number of periods: the baseline and one for each step."""
        return 1 + len(set(self.steps.names) - {ALWAYS, NEVER})

    def columns(self) -> tuple[str, ...]:
        """Return the columns of strata and cluster."""
        return self._rule().columns()

    def bind(self, population: Population) -> Lottery:
        """Bind to a population."""
        return self._rule().bind(population)

    def treatment_matrix(self) -> Ints:
        """Return 1 where a sequence is treated in a period, shape (sequences, periods)."""
        first = np.arange(len(self.steps)) + (self.steps.names[0] != ALWAYS)
        if self.steps.names[-1] == NEVER:
            first[-1] = self.periods
        return (np.arange(self.periods) >= first[:, None]).astype(np.int64)

    def treated_by(self, shares: Floats) -> Floats:
        """Return P(treated in period t), shape (n, periods), from the probabilities of the sequences (n, sequences).

        Without strata of unequal size it is the share of the sequences that have begun.
        """
        return np.asarray(shares) @ self.treatment_matrix().astype(np.float64)

    def started_by(self, period: int) -> dict[str, tuple[str, ...]]:
        """Return the mapping for :func:`kokeilu.merge_arms` that compares those who have begun with those who have not.

        Raises
        ------
        DesignError
            For a period in which all sequences, or none, have begun: there is nothing to compare.
        """
        at = positive_int(period, name="period", least=0)
        if at >= self.periods:
            raise DesignError(f"the design has the periods 0 to {self.periods - 1}; got {at}.")
        treated = self.treatment_matrix()[:, at] > 0
        if treated.all() or not treated.any():
            raise DesignError(f"in period {at} {'all' if treated.all() else 'none'} of the sequences have begun.")
        names = self.steps.names
        groups = {False: "not yet", True: "started"}
        return {
            label: tuple(name for name, begun in zip(names, treated, strict=True) if begun == key)
            for key, label in groups.items()
        }

    def cautions(self) -> tuple[str, ...]:
        """Return what to say beside a comparison of sequences."""
        text = (
            "the arms are sequences of a stepped wedge: this compares sequences with each other, whenever each began, "
            "and is no effect of treatment. Use kokeilu.stepped_wedge_effects for rows by period, or for one period "
            "kokeilu.merge_arms with design.started_by(period)."
        )
        return (text,)

    def describe(self) -> str:
        """Say the rule in one sentence."""
        whom = f"clusters by {self.cluster}" if self.cluster else "people"
        by = f" within {' × '.join(self.by)}" if self.by else ""
        return (
            f"Stepped wedge of {count_of(len(self.steps), 'sequence')} over {self.periods} periods, {whom}{by}: "
            f"{self.steps.describe()}."
        )


def _sequences(steps: object) -> Arms:
    if isinstance(steps, Arms):
        return steps
    if isinstance(steps, Iterable):
        names = name_list(steps, name="steps")
    else:
        count = positive_int(steps, name="steps", least=2)  # type: ignore[arg-type]
        if count > MOST_ARMS:
            raise DesignError(f"steps: a design has at most {MOST_ARMS} sequences; got {count:,}.")
        names = tuple(f"step {k + 1}" for k in range(count))
    if len(names) < 2:
        raise DesignError("a stepped wedge needs at least two sequences; add a step, or 'never'.")
    return Arms(tuple(Arm(name, Fraction(1, len(names))) for name in names))
