"""The Gram-Schmidt walk design: balance on many covariates with exact shares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from functools import cached_property

import numpy as np

from kokeilu._checks import between, name_list
from kokeilu._kernels.streams import Stream
from kokeilu._kernels.walk import balance_rows, covariance_bound, walk
from kokeilu._kernels.walk_law import walk_law
from kokeilu.core.arms import Arms
from kokeilu.core.population import Population, frozen_array
from kokeilu.core.protocols import Codes, Floats, Ints, Lottery
from kokeilu.core.registry import register
from kokeilu.errors import DesignError

__all__ = ["GramSchmidtWalk"]

BLOCK = 5_000
LISTED_UNITS = 8
BATCH_CELLS = 2**18
BOUND_UNITS = 5_000


@register("gram_schmidt_walk")
@dataclass(frozen=True, slots=True)
class GramSchmidtWalk:
    r"""Balance two arms on covariates by the Gram-Schmidt walk, every probability exactly the share.

    With z = ±1 and X the covariates, ``Cov(z) <= (phi I + (1 - phi) X X' / xi^2)^-1`` in the order of matrices, xi
    being the largest row norm of X (Harshaw, Sävje, Spielman & Zhang 2024): a robustness phi near 0 buys balance, at 1
    each person is drawn alone. Pairwise probabilities have no formula; inference redraws.

    Above 5,000 people the register is cut into blocks of at most 5,000 in the order of the ids, and each block walks on
    its own, with the same xi: the bound holds block by block.

    A float design: steps are computed with doubles, and a coin within rounding of its threshold may fall differently on
    another processor. Shares do not depend on it beyond rounding.

    Parameters
    ----------
    arms : Arms
        Two arms, with any shares. The walk moves between two walls, so that it has no third arm; draw several arms with
        ``Rerandomised`` or with strata.
    on : str or sequence of str
        Covariates: numbers, or categories as indicators.
    robustness : float
        phi, above 0 and at most 1.
    balanced : bool
        Hold the number of people in each arm at the share of the block, to within one person. The covariance bound does
        not hold then.
    standardise : bool
        Bring covariates to mean 0 and standard deviation 1 first, so that units of measurement do not decide what is
        balanced. False takes them as they stand.

    Raises
    ------
    DesignError
        For other than two arms; on binding, covariates that do not vary.

    Examples
    --------
    >>> import kokeilu as kk
    >>> kk.GramSchmidtWalk(kk.arms(control=1, coaching=1), on=("age", "months_unemployed")).describe()
    'Gram-Schmidt walk on age, months_unemployed, robustness 0.5: control 1/2, coaching 1/2.'
    """

    arms: Arms
    _: KW_ONLY
    on: tuple[str, ...]
    robustness: float = 0.5
    balanced: bool = False
    standardise: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.arms, Arms):
            raise DesignError("GramSchmidtWalk needs arms, from kokeilu.arms(control=1, coaching=1).")
        if len(self.arms) != 2:
            raise DesignError(
                f"GramSchmidtWalk takes two arms, since its walk moves between two walls; got {len(self.arms)}. Use "
                "Rerandomised(Complete(...), on=...) or strata for several arms."
            )
        object.__setattr__(self, "on", name_list(self.on, name="on"))
        if not self.on:
            raise DesignError("GramSchmidtWalk needs the covariates to balance in `on`; without any use Bernoulli.")
        phi = between(self.robustness, 0.0, 1.0, name="robustness", closed=True)
        if phi == 0.0:
            raise DesignError("robustness must be above 0, or the walk would have no bound; such as 0.1.")
        object.__setattr__(self, "robustness", phi)
        for name in ("balanced", "standardise"):
            if not isinstance(getattr(self, name), bool):
                raise DesignError(f"{name} must be True or False.")

    def columns(self) -> tuple[str, ...]:
        """Return no columns: there are no strata."""
        return ()

    def covariates(self) -> tuple[str, ...]:
        """Return the covariates."""
        return self.on

    def bind(self, population: Population) -> Lottery:
        """Bind to a population."""
        if len(population) < 2:
            raise DesignError("one person cannot be drawn into 2 arms. The register must have at least two.")
        values, _ = population.matrix(self.on)
        if self.standardise:
            values = _standardised(values)
        if not np.any(values):
            raise DesignError(
                f"{', '.join(map(repr, self.on))} {'does' if len(self.on) == 1 else 'do'} not vary in the register, so "
                "there is nothing to balance. Use Complete."
            )
        rows = frozen_array(balance_rows(values, self.robustness))
        return WalkLottery(arms=self.arms, rows=rows, robustness=self.robustness, balanced=self.balanced)

    def describe(self) -> str:
        """Say the rule in one sentence."""
        how = f"robustness {self.robustness:g}{', arm sizes held' if self.balanced else ''}"
        as_is = "" if self.standardise else ", covariates as they stand"
        return f"Gram-Schmidt walk on {', '.join(self.on)}, {how}{as_is}: {self.arms.describe()}."


def _standardised(values: Floats) -> Floats:
    """Return the columns that vary, with mean 0 and standard deviation 1."""
    centred = values - values.mean(axis=0)
    spread = np.sqrt((centred**2).mean(axis=0))
    varies = spread > 1e-10 * np.maximum(np.abs(values).max(axis=0), 1e-300)
    scaled: Floats = centred[:, varies] / spread[varies]
    return scaled


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class WalkLottery:
    """A Gram-Schmidt walk over a register; see :class:`GramSchmidtWalk`.

    Row r of block b reads row r of "block b" / "pivots" (one word for each unit: pivots go in the order of the words)
    and of "block b" / "steps" (one double for each step).
    """

    arms: Arms
    rows: Floats
    robustness: float
    balanced: bool

    @property
    def n_units(self) -> int:
        """Number of people."""
        return len(self.rows)

    @cached_property
    def blocks(self) -> list[Ints]:
        """Positions of each block: one, unless there are more than 5,000 people."""
        return [part.astype(np.int64) for part in np.array_split(np.arange(self.n_units), -(-self.n_units // BLOCK))]

    @property
    def _start(self) -> float:
        return float(2 * self.arms.shares[1] - 1)

    def draw(self, stream: Stream, size: int) -> Codes:
        """Return draws, shape (size, n)."""
        codes = np.empty((size, self.n_units), dtype=np.int8)
        for number, people in enumerate(self.blocks):
            step = max(1, BATCH_CELLS // len(people))
            for first in range(0, size, step):
                part = codes[first : first + step]
                part[:, people] = self._walked(people, stream.child(f"block {number}").skip(first), len(part))
        return codes

    def _walked(self, people: Ints, stream: Stream, size: int) -> Codes:
        n = len(people)
        order = np.argsort(stream.child("pivots").words(size, n), axis=1, kind="stable")
        place = np.empty((size, n), dtype=np.int64)
        np.put_along_axis(place, order, np.arange(n)[None], axis=1)
        corners = walk(
            self.rows[people],
            np.full(n, self._start),
            place,
            stream.child("steps").doubles(size, n),
            robustness=self.robustness,
            balanced=self.balanced,
        )
        return (corners > 0).astype(np.int8)

    def shares(self) -> Floats:
        """Return exact probabilities, shape (n, arms): the walk is a martingale."""
        return np.tile([float(share) for share in self.arms.shares], (self.n_units, 1))

    def bound(self) -> Floats:
        """Return the upper bound of the covariance of z = 2 code - 1, shape (n, n).

        Raises
        ------
        DesignError
            Where arm sizes are held, which breaks the bound, and above 5,000 people.
        """
        if self.balanced:
            raise DesignError("the covariance bound does not hold with balanced=True.")
        if self.n_units > BOUND_UNITS:
            raise DesignError(f"the covariance bound is computed for at most {BOUND_UNITS:,} people.")
        return covariance_bound(self.rows, self.robustness)

    @cached_property
    def _law(self) -> tuple[Codes, Floats] | None:
        """Every assignment with its probability, by all pivots and coins, for at most eight people."""
        if self.n_units > LISTED_UNITS:
            return None
        start = np.full(self.n_units, self._start)
        law = walk_law(self.rows, start, robustness=self.robustness, balanced=self.balanced)
        return None if law is None else ((law[0] > 0).astype(np.int8), law[1])

    def count(self) -> int | None:
        """Return the number of assignments that the walk can reach, None above eight people."""
        return None if self._law is None else len(self._law[0])

    def every(self) -> Iterator[tuple[Codes, Floats]]:
        """Yield every assignment that the walk can reach with its probability."""
        if self._law is None:
            raise DesignError(f"the assignments of a walk are listed for at most {LISTED_UNITS} people.")
        yield self._law

    def problem(self, codes: Codes) -> str | None:
        """Say why an allocation is not one that this lottery can give; None where it is not known to be."""
        share = self.arms.shares[1]
        if self.balanced and any(abs(int(codes[part].sum()) - len(part) * share) >= 1 for part in self.blocks):
            return "the arm counts are more than one person from their shares"
        if share in (0, 1) and bool((codes != int(share)).any()):
            return "somebody stands in an arm whose share is 0"
        if self._law is not None and not (self._law[0] == codes).all(axis=1).any():
            return "the walk cannot reach it on these covariates"
        return None
