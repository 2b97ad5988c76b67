"""Worlds in which an effect does more than move everybody by the same amount."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from kokeilu._checks import between
from kokeilu._kernels.streams import Stream
from kokeilu.core.protocols import Floats, Ints
from kokeilu.errors import DataError, DesignError
from kokeilu.power.world import Column, MovedWorld, checked_column, column_name, read_column

__all__ = ["Binary", "Durations", "Proportional", "Resampled", "TakeUp"]


@dataclass(frozen=True, slots=True, eq=False)
class Proportional:
    """Outcomes as they were, and an arm that raises everybody's by the same part: 0.05 is five per cent.

    Parameters
    ----------
    outcome : str or array of shape (n,)
        As for :class:`Shift`.

    Examples
    --------
    >>> import kokeilu as kk
    >>> euros = kk.Proportional([100.0, 300.0, 0.0, 250.0])
    >>> euros.under(euros.read(None), 0.10, None, "coaching").round(1).tolist()
    [110.0, 330.0, 0.0, 275.0]
    """

    outcome: Column
    none: ClassVar[float] = 0.0
    additive: ClassVar[bool] = False
    random: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "outcome", checked_column(self.outcome, "Proportional"))

    def columns(self) -> tuple[str, ...]:
        """Columns of the register."""
        return column_name(self.outcome)

    def read(self, people: Any) -> Floats:
        """Return the outcome as one column, (n, 1)."""
        return read_column(self.outcome, people)[:, None]

    def under(self, base: Floats, effect: float, stream: Stream | None, arm: str) -> Floats:
        """Return the outcome times 1 + effect."""
        return np.asarray(base[:, 0] * (1.0 + effect), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Binary:
    """A yes-or-no outcome, and an arm in which people's answers flip by chance until the share is moved.

    An effect is a difference of shares. A positive one turns each 0 into a 1 with the chance effect / (1 - share); a
    negative one each 1 into a 0 with the chance -effect / share. Nobody is moved the other way.

    Parameters
    ----------
    outcome : str or array of shape (n,)
        Of 0 and 1, as for :class:`Shift`.

    Raises
    ------
    DataError
        Values other than 0 and 1.
    DesignError
        On use: an effect that would take the share below 0 or above 1.

    Examples
    --------
    >>> import kokeilu as kk
    >>> from kokeilu._kernels.streams import Seed
    >>> work = kk.Binary([0, 1, 0, 0] * 500)
    >>> moved = work.under(work.read(None), 0.10, Seed.of(1).stream("world"), "coaching")
    >>> bool(0.32 < moved.mean() < 0.38)
    True
    """

    outcome: Column
    none: ClassVar[float] = 0.0
    additive: ClassVar[bool] = False
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "outcome", checked_column(self.outcome, "Binary"))

    def columns(self) -> tuple[str, ...]:
        """Columns of the register."""
        return column_name(self.outcome)

    def read(self, people: Any) -> Floats:
        """Return the outcome as one column, (n, 1)."""
        y = read_column(self.outcome, people)
        other = int(((y != 0.0) & (y != 1.0)).sum())
        if other:
            raise DataError(f"Binary needs 0 and 1; {other:,} of {len(y):,} values are neither. Use Shift for others.")
        return y[:, None]

    def under(self, base: Floats, effect: float, stream: Stream, arm: str) -> Floats:
        """Return the outcome after the flips."""
        y = base[:, 0]
        share = float(y.mean())
        if not 0.0 <= share + effect <= 1.0:
            raise DesignError(
                f"a share of {share:.3g} and an effect of {effect:+g} give {share + effect:.3g}, outside [0, 1]. State "
                "effects as differences of shares: 0.05 for five percentage points."
            )
        if effect == 0.0:
            return np.array(y)
        u = stream.child("flips").doubles(1, len(y))[0]
        if effect > 0.0:
            return np.where((y == 0.0) & (u < effect / (1.0 - share)), 1.0, y)
        return np.where((y == 1.0) & (u < -effect / share), 0.0, y)


@dataclass(frozen=True, slots=True, eq=False)
class Durations:
    r"""Days until exit, at most so many, and an arm that multiplies the hazard of exit at every duration.

    Effects are hazard ratios: above 1 exits come sooner, 1 is none. With S the share of the register still there, a
    person whose duration stands at S = u is moved to where :math:`S = u^{1 / ratio}`, so that the survivor function
    becomes S to the power of the ratio, whatever its shape. Where u is not known, within a day and beyond the horizon,
    chance fills it in.

    Parameters
    ----------
    outcome : str or array of shape (n,)
        Durations in full up to the horizon, as registers have them; as for :class:`Shift`.
    horizon : float
        The longest time that is counted; longer durations count as this.

    Raises
    ------
    DataError
        Durations below 0, or none shorter than the horizon.
    DesignError
        On use: a hazard ratio that is not above 0.

    Examples
    --------
    >>> import kokeilu as kk
    >>> from kokeilu._kernels.streams import Seed
    >>> days = kk.Durations([float(30 + (7 * i) % 400) for i in range(2000)], horizon=365)
    >>> base, stream = days.read(None), Seed.of(1).stream("world")
    >>> bool(days.under(base, 1.3, stream, "coaching").mean() < days.under(base, 1.0, stream, "control").mean())
    True
    """

    outcome: Column
    horizon: float
    none: ClassVar[float] = 1.0
    additive: ClassVar[bool] = False
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "outcome", checked_column(self.outcome, "Durations"))
        between(self.horizon, 0.0, np.inf, name="horizon")

    def columns(self) -> tuple[str, ...]:
        """Columns of the register."""
        return column_name(self.outcome)

    def read(self, people: Any) -> Floats:
        """Return durations up to the horizon, (n, 1)."""
        y = np.minimum(read_column(self.outcome, people), self.horizon)
        if y.min() < 0.0 or y.min() == self.horizon:
            what = "below 0" if y.min() < 0.0 else f"all at least the horizon of {self.horizon:g}"
            raise DataError(f"Durations: values are {what}. Give days until exit, and a horizon that some exit before.")
        return y[:, None]

    def under(self, base: Floats, effect: float, stream: Stream, arm: str) -> Floats:
        """Return the durations under the hazard ratio, up to the longest of the register."""
        if not effect > 0.0:
            raise DesignError(f"a hazard ratio must be above 0, and 1 is no effect; got {effect:g}.")
        if effect == 1.0:
            return np.array(base[:, 0])
        times, place, count = np.unique(base[:, 0], return_inverse=True, return_counts=True)
        left = 1.0 - np.cumsum(count) / len(base)
        left[-1] = 0.0
        before = np.concatenate([[1.0], left[:-1]])
        v = stream.child("ranks").doubles(1, len(base))[0]
        u = (left[place] + (1.0 - v) * (before - left)[place]) ** (1.0 / effect)
        return np.asarray(times[np.searchsorted(-left, -u, side="right")], dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class TakeUp:
    """Another world, in which the effect reaches only those who take part; effects are of taking part.

    Parameters
    ----------
    world : Shift, Proportional, Binary or Durations
    take_up : mapping of arm to share
        Share of each arm that takes part; 1 for arms left out. Each person has one inclination: who takes part in an
        arm with a lower share would in one with a higher. For the reference arm state it only in a trial of two arms:
        it is the share that gets the other arm's service all the same.
    likely : str or array of shape (n,), optional
        Each person's inclination between 0 and 1, as how likely they are to take part: the likeliest take part first.
        By default it is chance.

    Raises
    ------
    DesignError
        Shares outside [0, 1], or arms that the trial does not have.

    Examples
    --------
    >>> import kokeilu as kk
    >>> from kokeilu._kernels.streams import Seed
    >>> world = kk.TakeUp(kk.Shift([1.0, 2.0, 3.0, 4.0] * 500), {"coaching": 0.6})
    >>> base, stream = world.read(None), Seed.of(1).stream("world")
    >>> moved = world.under(base, 10.0, stream, "coaching") - base[:, 0]
    >>> float((moved == 10.0).mean().round(1))
    0.6
    """

    world: MovedWorld
    take_up: Mapping[str, float] = field(default_factory=dict)
    likely: Column | None = None
    additive: ClassVar[bool] = False
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.world, MovedWorld) or isinstance(self.world, (TakeUp, type)):
            raise DesignError("TakeUp needs a world such as Shift, Proportional, Binary or Durations.")
        if not isinstance(self.take_up, Mapping) or not self.take_up:
            raise DesignError("take_up must map arms to the share that takes part: {'coaching': 0.6}.")
        shares = {
            arm: between(s, 0.0, 1.0, name=f"the take-up of {arm!r}", closed=True) for arm, s in self.take_up.items()
        }
        object.__setattr__(self, "take_up", shares)
        if self.likely is not None:
            object.__setattr__(self, "likely", checked_column(self.likely, "TakeUp: likely", varies=False))

    @property
    def none(self) -> float:
        """That of the world within."""
        return self.world.none

    def columns(self) -> tuple[str, ...]:
        """Columns of the register."""
        return (*self.world.columns(), *(() if self.likely is None else column_name(self.likely)))

    def read(self, people: Any) -> Floats:
        """Return what the world within reads, and each person's rank among the unlikely as a last column."""
        base = self.world.read(people)
        if self.likely is None:
            return np.column_stack([base, np.full(len(base), np.nan)])
        likely = read_column(self.likely, people, varies=False)
        if len(likely) != len(base):
            raise DataError(f"TakeUp: likely has {len(likely):,} values for {len(base):,} people. Give one for each.")
        return np.column_stack([base, -likely])

    def under(self, base: Floats, effect: float, stream: Stream, arm: str) -> Floats:
        """Return the outcome of everybody, moved for those who take part."""
        share = self.take_up.get(arm, 1.0)
        without = self.world.under(base[:, :-1], self.none, stream, arm)
        if effect == self.none or share == 0.0:
            return without
        rank = stream.child("inclination").doubles(1, len(base))[0]
        if not np.isnan(base[0, -1]):
            order = np.lexsort((rank, base[:, -1]))
            rank = np.empty(len(base))
            rank[order] = (np.arange(len(base)) + 0.5) / len(base)
        return np.where(rank < share, self.world.under(base[:, :-1], effect, stream, arm), without)


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """Another world, in which each trial has new people like those of the register.

    In each draw everybody's outcome and covariates are those of a person drawn with replacement from the same stratum;
    where clusters are drawn, of a person of a cluster drawn with replacement from the same stratum, one cluster in the
    place of each. Strata, clusters and their sizes stay. The errors then are those of a sample from a larger
    population, not of the register itself.

    Parameters
    ----------
    world : Shift, Proportional, Binary, Durations or TakeUp

    Examples
    --------
    >>> import kokeilu as kk
    >>> register = {"days": [float(i % 17) for i in range(200)]}
    >>> design = kk.Complete(kk.arms(control=1, coaching=1))
    >>> world = kk.Resampled(kk.Shift("days"))
    >>> curve = kk.simulate_power(design, register, world, effects=(0.0, 2.0), draws=100, seed=1)
    >>> curve.draws
    100
    """

    world: MovedWorld

    def __post_init__(self) -> None:
        if not isinstance(self.world, MovedWorld) or isinstance(self.world, (Resampled, type)):
            raise DesignError("Resampled needs a world such as Shift, Proportional, Binary, Durations or TakeUp.")

    @property
    def none(self) -> float:
        """That of the world within."""
        return self.world.none

    @property
    def additive(self) -> bool:
        """That of the world within."""
        return self.world.additive

    @property
    def random(self) -> bool:
        """Always."""
        return True

    def columns(self) -> tuple[str, ...]:
        """Columns of the register."""
        return self.world.columns()

    def read(self, people: Any) -> Floats:
        """Return what the world within reads."""
        return self.world.read(people)

    def under(self, base: Floats, effect: float, stream: Stream, arm: str) -> Floats:
        """Return what the world within makes of it."""
        return self.world.under(base, effect, stream, arm)

    @staticmethod
    def chosen(stream: Stream, strata: Ints, clusters: Ints | None) -> Ints:
        """Return whose row each person shows, (n,)."""
        n = len(strata)
        u = stream.child("people").doubles(1, n)[0]
        if clusters is None:
            return _within(u, strata, strata)
        count = int(clusters.max()) + 1
        first = np.unique(clusters, return_index=True)[1]
        v = stream.child("clusters").doubles(1, count)[0]
        source = _within(v, strata[first], strata[first])
        return _within(u, clusters, source[clusters])


def _within(u: Floats, groups: Ints, wanted: Ints) -> Ints:
    """A member of the group `wanted[i]`, for each i, by u in [0, 1); (n,)."""
    order = np.argsort(groups, kind="stable")
    size = np.bincount(groups)
    start = np.cumsum(size) - size
    return np.asarray(order[start[wanted] + (u * size[wanted]).astype(np.int64)], dtype=np.int64)
