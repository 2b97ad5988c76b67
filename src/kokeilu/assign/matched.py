"""Matched tuples: pairs, triplets and larger groups of people who are alike, each drawn on its own."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from math import lcm

from kokeilu._checks import choice, name_list, positive_int
from kokeilu._kernels.nearness import ranks, sphered
from kokeilu._kernels.pairing import nearby_tuples, sorted_tuples
from kokeilu.assign._seated import LEFTOVERS, SeatedLottery
from kokeilu.core.arms import Arms
from kokeilu.core.population import Population, frozen_array
from kokeilu.core.protocols import Floats, Ints, Lottery
from kokeilu.core.registry import register
from kokeilu.errors import DesignError

__all__ = ["DISTANCES", "MatchedTuples", "coordinates", "seats_in_whole"]

DISTANCES = ("mahalanobis", "rank")
LARGEST_TUPLE = 60
TUPLE_WORDS = {2: "pairs", 3: "triplets", 4: "quadruplets"}


@register("matched_tuples")
@dataclass(frozen=True, slots=True)
class MatchedTuples:
    """Form groups of people who are alike, and draw inside each group.

    Each person's probability of each arm is exactly its share. With the size left to itself every whole tuple gives
    each arm a whole number of seats: one control and one coached person in a pair.

    Parameters
    ----------
    arms : Arms
        Arms and shares, from :func:`kokeilu.arms`.
    on : str or sequence of str
        Covariates; text and categories count as indicators.
    score : str, optional
        Instead of `on`: one column of numbers, such as :func:`kokeilu.prognostic_score` gives. Neighbours in its order
        form the tuples; equal scores stand in the order of the ids. For any number of people.
    size : int, optional
        People in a tuple; by default the common denominator of the shares.
    by : str or sequence of str
        Strata: a tuple never crosses them.
    distance : {"mahalanobis", "rank"}
        Between people, on `on`. Mahalanobis: the covariance is pooled within strata; constant and collinear columns
        do no harm, and units of measurement do not matter. Rank: the same on ranks, with the correction for ties, so
        that outliers and rare categories do not rule (Rosenbaum 2010, section 8.3).
    leftovers : {"balanced", "stratum", "refuse"}
        The n mod `size` people left over in a stratum form one last, shorter tuple. On a score they are those with
        the highest; on covariates those who make the total distance small. "balanced" draws the seats of
        short tuples together, so that arm totals too lie within one seat of their targets; "stratum" draws each alone;
        "refuse" raises.

    Raises
    ------
    DesignError
        Contradictory arguments, or shares whose denominator makes no tuple of reasonable size.

    Notes
    -----
    Pairs on covariates have a total distance within 0.2 % of the least that is possible (Greevy et al. 2004), proved by
    linear duality each time, in strata of up to 6,000 people; larger strata are cut into parts of at most 1,500 and
    improved across the cuts. Larger tuples are the best of all ways for up to 12 people in a stratum, and else improved
    until no exchange between neighbouring tuples helps. A float design: tuples follow from distances rounded to 2**-20
    of a standard deviation, and the draw within them is exact.

    With one seat per arm in a tuple no unbiased estimate of the variance exists. Bai (2022), "Optimality of
    matched-pair designs", AER 112, 3911-3940, uses that neighbouring tuples are alike: tuples are numbered so that
    neighbours by the score, or by the first covariate, stand next to each other.

    Examples
    --------
    >>> import kokeilu as kk
    >>> kk.MatchedTuples(kk.arms(control=1, coaching=1), on=("age", "sex"), by="region").describe()
    'Matched pairs on age, sex (Mahalanobis distance) within region, leftovers balanced: control 1/2, coaching 1/2.'
    >>> kk.MatchedTuples(kk.arms(control=2, coach=1, voucher=1), score="risk").describe()
    'Matched quadruplets of neighbours by risk, leftovers balanced: control 1/2, coach 1/4, voucher 1/4.'
    """

    arms: Arms
    _: KW_ONLY
    on: tuple[str, ...] = ()
    score: str | None = None
    size: int | None = None
    by: tuple[str, ...] = ()
    distance: str = "mahalanobis"
    leftovers: str = "balanced"

    def __post_init__(self) -> None:
        if not isinstance(self.arms, Arms):
            raise DesignError("MatchedTuples needs arms, from kokeilu.arms(control=1, coaching=1).")
        object.__setattr__(self, "on", name_list(self.on, name="on"))
        object.__setattr__(self, "by", name_list(self.by, name="by"))
        if hasattr(self.score, "predict"):
            raise DesignError(
                f"score names a column of the register; got {type(self.score).__name__}. Add the score as a column "
                "first, register.assign(score=learnt.predict(register)) in pandas, and give score='score'."
            )
        scores = name_list(self.score, name="score")
        if len(scores) > 1 or bool(scores) == bool(self.on):
            raise DesignError(
                "MatchedTuples matches on covariates (on=...) or on one column (score=...): state one of the two."
            )
        object.__setattr__(self, "score", scores[0] if scores else None)
        choice(self.distance, DISTANCES, name="distance")
        choice(self.leftovers, LEFTOVERS, name="leftovers")
        object.__setattr__(self, "size", seats_in_whole(self.arms, self.size, name="size", where="MatchedTuples"))

    def columns(self) -> tuple[str, ...]:
        """Return the columns that tuples never cross."""
        return self.by

    def covariates(self) -> tuple[str, ...]:
        """Return the columns on which people are alike."""
        return self.on if self.score is None else (self.score,)

    def bind(self, population: Population) -> Lottery:
        """Bind to a population."""
        strata, _ = population.cross(self.by)
        tuples = self._tuples(population, strata)
        return SeatedLottery(
            arms=self.arms,
            strata=frozen_array(tuples),
            shares_by_stratum=(self.arms.shares,) * (int(tuples.max()) + 1),
            leftovers=self.leftovers,
            unit=population.unit,
            names=(f"matched {self._word}",),
        )

    def _tuples(self, population: Population, strata: Ints) -> Ints:
        size = self._whole_size
        if self.score is None:
            return nearby_tuples(coordinates(population, self.on, strata, self.distance), strata, size)
        if self.score not in population.numbers:
            raise DesignError(
                f"the score {self.score!r} is text or categories, which have no order. Give a column of numbers, "
                "or match on covariates with on=(...)."
            )
        return sorted_tuples(population.numbers[self.score], strata, size)

    @property
    def _whole_size(self) -> int:
        return seats_in_whole(self.arms, self.size, name="size", where="MatchedTuples")

    @property
    def _word(self) -> str:
        return TUPLE_WORDS.get(self._whole_size, f"groups of {self._whole_size}")

    def describe(self) -> str:
        """Say the rule in one sentence."""
        name = {"mahalanobis": "Mahalanobis", "rank": "rank"}[self.distance]
        how = f"on {', '.join(self.on)} ({name} distance)" if self.on else f"of neighbours by {self.score}"
        within = f" within {' × '.join(self.by)}" if self.by else ""
        return f"Matched {self._word} {how}{within}, leftovers {self.leftovers}: {self.arms.describe()}."


def seats_in_whole(arms: Arms, size: int | None, *, name: str, where: str) -> int:
    """Return the size that was stated, or the least one that gives every arm a whole number of seats."""
    if size is not None:
        return positive_int(size, name=name, least=2)
    least = lcm(*(share.denominator for share in arms.shares))
    if least > LARGEST_TUPLE:
        raise DesignError(
            f"{where}: shares of {arms.describe()} come out whole only for {least:,} people, and people so many are "
            f"not alike. State {name}=..., or simpler shares; probabilities are exact for any size."
        )
    return max(least, 2)


def coordinates(population: Population, on: tuple[str, ...], strata: Ints, distance: str) -> Floats:
    """Return coordinates in which the distance between people is Euclidean, shape (n, r)."""
    table, _ = population.matrix(on)
    if distance == "mahalanobis":
        return sphered(table, strata)
    plain, shrunk = ranks(table)
    return sphered(shrunk, strata, like=plain)
