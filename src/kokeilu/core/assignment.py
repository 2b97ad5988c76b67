"""One realised draw, with all that is needed to repeat and to analyse it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kokeilu._kernels.streams import Seed, Stream, digest
from kokeilu.core.arms import Arms
from kokeilu.core.canonical import fingerprint
from kokeilu.core.population import Ids, Population, frozen_array
from kokeilu.core.protocols import Codes, Lottery, Mechanism
from kokeilu.core.registry import encode
from kokeilu.core.results import text_table, wrapped
from kokeilu.errors import DesignError

if TYPE_CHECKING:
    import pandas

__all__ = ["Assignment", "check_assignment"]

DRAW_STREAM = "assign"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assignment:
    """Who got which arm, and the lottery that decided it.

    Attributes
    ----------
    mechanism : Mechanism
        The registered rule.
    population : Population
        The people in the order of their ids, with the columns the rule used.
    lottery : Lottery
        The rule bound to the population.
    codes : int8 array, shape (n,)
        Position of each person's arm in `arms`, in the order of `ids`.
    seed : Seed or None
        The published seed; None for an allocation made elsewhere.
    plan_fingerprint : str or None
        Fingerprint of the plan under which the draw was made.
    known : tuple of str or None
        Columns that stood in the register at the draw; None for an allocation made elsewhere. Covariates are taken from
        among them and outcomes are not: see :meth:`also_known`. They are no part of the fingerprint.
    """

    mechanism: Mechanism
    population: Population
    lottery: Lottery
    codes: Codes
    seed: Seed | None
    plan_fingerprint: str | None = None
    known: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "codes", frozen_array(np.ascontiguousarray(self.codes, dtype=np.int8)))

    @property
    def arms(self) -> Arms:
        """The arms, the reference first."""
        return self.lottery.arms

    @property
    def ids(self) -> Ids:
        """The sorted ids."""
        return self.population.ids

    @property
    def id_name(self) -> str:
        """The column of the ids."""
        return self.population.id_name

    @property
    def frame_fingerprint(self) -> str:
        """SHA-256 of the ids and the columns that the rule used."""
        return self.population.fingerprint()

    @property
    def design_fingerprint(self) -> str:
        """SHA-256 of the rule's canonical JSON."""
        return fingerprint(encode(self.mechanism))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of frame, rule, seed and result."""
        seed = "" if self.seed is None else self.seed.kind + self.seed.text
        head = (self.frame_fingerprint, self.design_fingerprint, seed, self.plan_fingerprint or "")
        return digest(*(part.encode("utf-8") for part in head), self.codes.tobytes()).hex()

    @property
    def arm_column(self) -> str:
        """The column that holds the arms in frames and files: "arm", where neither the ids nor the rule use it."""
        name, taken = "arm", {self.id_name, *self.population.factors, *self.population.numbers}
        while name in taken:
            name = "assigned_" + name
        return name

    def __len__(self) -> int:
        return len(self.codes)

    def also_known(self, *columns: str) -> Assignment:
        """Return the assignment with more columns stated to have been measured before the draw.

        For covariates that did not stand in the register at the draw, such as those of another register with an earlier
        date. Where a covariate could have been changed by the treatment the effect is biased, and nothing in the data
        shows it: the statement is yours.

        Raises
        ------
        DesignError
            For something that is no name of a column.
        """
        wrong = [name for name in columns if not isinstance(name, str) or not name]
        if wrong or not columns:
            raise DesignError("also_known takes the names of columns, such as assignment.also_known('education').")
        return replace(self, known=tuple(dict.fromkeys((*(self.known or ()), *columns))))

    def stream(self, name: str) -> Stream:
        """Return the stream of this name: of the published seed, or of the fingerprint when adopted."""
        seed = self.seed if self.seed is not None else Seed.of(self.fingerprint)
        return seed.stream(name)

    def counts(self) -> dict[str, int]:
        """Return the number of people in each arm."""
        n = np.bincount(self.codes, minlength=len(self.arms))
        return {arm.name: int(k) for arm, k in zip(self.arms, n, strict=True)}

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each arm: its share, the number of people expected and drawn, and of clusters if any."""
        clusters = self._clusters()
        return [
            {"arm": arm.name, "share": str(arm.share), "expected": mean, "people": people, **more}
            for arm, mean, people, more in zip(
                self.arms, self._expected(), self.counts().values(), clusters, strict=True
            )
        ]

    def _clusters(self) -> list[dict[str, int]]:
        from kokeilu.core.lottery import cells_of

        clusters = cells_of(self.lottery).clusters
        if clusters is None:
            return [{} for _ in self.arms]
        return [{"clusters": len(np.unique(clusters[self.codes == k]))} for k in range(len(self.arms))]

    def _expected(self) -> list[float]:
        from kokeilu.core.lottery import shares_of

        return [round(float(x), 6) for x in shares_of(self.lottery, self.stream("shares")).sum(axis=0)]

    def to_frame(self) -> pandas.DataFrame:
        """Return a DataFrame with the id, the arm and the columns that the rule used, in the order of the ids.

        The arm stands in the column :attr:`arm_column`.
        """
        import pandas as pd

        names = np.array(self.arms.names, dtype=object)
        frame: dict[str, Any] = {
            self.id_name: self.ids.to_list(),
            self.arm_column: pd.Categorical(names[self.codes], self.arms.names),
        }
        for name, factor in self.population.factors.items():
            if name == self.id_name:
                continue
            levels = np.array(factor.levels, dtype=object)
            frame[name] = pd.Categorical(levels[factor.codes], list(factor.levels))
        frame |= {name: values.copy() for name, values in self.population.numbers.items()}
        return pd.DataFrame(frame)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the design has to say about itself: chances that are not what was promised, for one."""
        from kokeilu.core.lottery import cautions_of

        return cautions_of(self.lottery)

    def __str__(self) -> str:
        seed = "made elsewhere, no seed" if self.seed is None else f"seed {self.seed}"
        head = f"Assignment of {len(self):,} people. {self.mechanism.describe()}"
        notes = wrapped(f"Note: {note}" for note in self.notes)
        return "\n".join([head, text_table(self.rows()), *notes, f"{seed}; fingerprint {self.fingerprint}"])

    __repr__ = __str__


def check_assignment(value: object) -> Assignment:
    """Return the value when it is an assignment, or raise DesignError."""
    if not isinstance(value, Assignment):
        raise DesignError(
            f"assignment must be what randomise, enrol, adopt or load returned; got {type(value).__name__}."
        )
    return value
