"""Potential outcomes of made-up job seekers: one latent propensity, monotone outcomes, exact average effects.

Each person has a latent propensity L to leave unemployment for work, and a disposition S towards the service.
An arm adds the same shift s to both for everyone, and every outcome is a monotone step function of L + s (or
of S + s). The average outcome is then a monotone function of s, so that a stated average effect is met by
solving for s: exactly, up to the step of one person.

Variance of L is 1: ``L = sqrt(r) office + sqrt(0.15) covariates + sqrt(0.85 - r) own``, the first two parts
standardised over the people. With c the threshold above which a share p is employed, the ICC of the 0/1
outcome is

    icc = [Phi2(c, c; r) - Phi(c)^2] / (p (1 - p))
    Phi2(c, c; r) - Phi(c)^2 = int_0^r exp(-c^2 / (1 + t)) / (2 pi sqrt(1 - t^2)) dt

(Plackett 1954, "A reduction formula for normal multivariate integrals"), solved for r.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from kokeilu._kernels.streams import Stream
from kokeilu.errors import DesignError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FOLLOW_UP", "OUTCOMES", "People", "draw_people", "outcome_of", "shift_for"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FOLLOW_UP = 365
OUTCOMES = ("employed_12m", "days_employed", "spell_days_after", "satisfaction")
# Lowest and highest value of each outcome: an average effect cannot lead outside.
RANGES = {
    "employed_12m": (0, 1),
    "days_employed": (0, FOLLOW_UP),
    "spell_days_after": (1, FOLLOW_UP),
    "satisfaction": (4, 10),
}
_COVARIATE_SHARE = 0.15
_LOST = 0.04
_WIDEST = 12.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class People:
    """What is random about each person, before any arm; arrays of shape (n,).

    Attributes
    ----------
    propensity, disposition : float64
        L and S.
    days_noise, spell_noise : float64
        Own normal parts of days employed and of the time of exit.
    lost_on : int64
        The day the person is lost from follow-up; 365 for most.
    answering : float64
        Rank in (0, 1): the person answers a survey with response rate q when the rank is below q.
    cuts : mapping of outcome name to the value of L at which it changes (employed, any day, exit)
    """

    propensity: Floats
    disposition: Floats
    days_noise: Floats
    spell_noise: Floats
    lost_on: Ints
    answering: Floats
    cuts: Mapping[str, float]


def draw_people(stream: Stream, office: Ints, score: Floats, age: Floats, *, base: float, office_icc: float) -> People:
    """Draw the people of a register.

    Parameters
    ----------
    stream : Stream
    office : int64 array, shape (n,)
        Codes of the offices.
    score : float64 array, shape (n,)
        Any index that grows with the prospects of a person; only its order is used.
    age : float64 array, shape (n,)
        Older people answer surveys more often.
    base : float
        Share employed after 12 months without any service.
    office_icc : float
        Intra-class correlation of that outcome within offices.
    """
    n = len(office)
    shared = _latent_correlation(office_icc, base)
    own = np.sqrt(1.0 - _COVARIATE_SHARE - shared)
    index = np.sqrt(_COVARIATE_SHARE) * _normal_scores(score)
    propensity = np.sqrt(shared) * _office_effects(stream.child("office work"), office) + index
    propensity += own * _normal(stream, "propensity", n)
    disposition = np.sqrt(shared) * _office_effects(stream.child("office service"), office)
    mood = 0.2 * propensity + np.sqrt(0.96) * _normal(stream, "disposition", n)
    disposition += np.sqrt(1.0 - shared) * mood
    answer = 0.35 * _normal_scores(age) + np.sqrt(1.0 - 0.35**2) * _normal(stream, "answering", n)
    # Shares with any day employed and with an exit are tied to the base so that the employed are among both.
    stay = 1.0 - base
    tops = {"employed_12m": base, "days_employed": 1.0 - stay**1.8, "spell_days_after": 1.0 - stay**2.7}
    ordered = np.sort(propensity)
    return People(
        propensity=propensity,
        disposition=disposition,
        days_noise=_normal(stream, "days", n),
        spell_noise=_normal(stream, "spell", n),
        lost_on=_loss(stream, n),
        answering=1.0 - _ranks(answer),
        cuts={name: _cut(ordered, share) for name, share in tops.items()},
    )


def outcome_of(people: People, name: str, shift: float) -> Floats:
    """Return an outcome of everybody, float64 shape (n,), in an arm that adds `shift` to L and S."""
    return _LEVELS[name](people, shift)


def shift_for(people: People, name: str, effect: float) -> float:
    """Return the shift at which the average of an outcome differs from its control average by `effect`.

    Raises
    ------
    DesignError
        Where the average would leave the range of the outcome.
    """
    if effect == 0.0:
        return 0.0
    target = float(outcome_of(people, name, 0.0).mean()) + effect

    def _miss(shift: float) -> float:
        return float(outcome_of(people, name, shift).mean()) - target

    ends = _miss(-_WIDEST), _miss(_WIDEST)
    if min(ends) > 0.0 or max(ends) < 0.0:
        low, high = RANGES[name]
        raise DesignError(
            f"an effect of {effect:g} would take the average of {name!r} from {target - effect:.3g} to "
            f"{target:.3g}; it lies between {low} and {high}. State a smaller effect (for a 0/1 outcome 0.03 "
            "is 3 percentage points)."
        )
    return float(brentq(_miss, -_WIDEST, _WIDEST, xtol=1e-13, rtol=1e-14))


def exited(people: People, shift: float) -> NDArray[np.bool_]:
    """Return whether the end of the spell was seen, bool shape (n,)."""
    return _exit_day(people, shift) <= people.lost_on


def _employed(people: People, shift: float) -> Floats:
    return (people.propensity + shift >= people.cuts["employed_12m"]).astype(np.float64)


def _days(people: People, shift: float) -> Floats:
    """Return 0 for those without a job; otherwise 1 to 365, more with the propensity."""
    moved = people.propensity + shift
    part = ndtr(0.8 * moved + 0.6 * people.days_noise) ** 1.6
    return np.where(moved >= people.cuts["days_employed"], 1.0 + np.floor(364.999 * part), 0.0)


def _spell(people: People, shift: float) -> Floats:
    return np.minimum(_exit_day(people, shift), people.lost_on).astype(np.float64)


def _exit_day(people: People, shift: float) -> Floats:
    """Return the day of exit 1 to 365, earlier with the propensity; 366 for those who stay."""
    moved = people.propensity + shift
    part = ndtr(0.714 * people.spell_noise - 0.7 * moved)
    return np.where(moved >= people.cuts["spell_days_after"], 1.0 + np.floor(364.999 * part), FOLLOW_UP + 1.0)


def _grade(people: People, shift: float) -> Floats:
    """Return a school grade 4 to 10."""
    return np.clip(np.floor(8.4 + 1.35 * (people.disposition + shift)), 4.0, 10.0)


_LEVELS: dict[str, Callable[[People, float], Floats]] = {
    "employed_12m": _employed,
    "days_employed": _days,
    "spell_days_after": _spell,
    "satisfaction": _grade,
}


def _normal(stream: Stream, name: str, n: int) -> Floats:
    return np.asarray(ndtri(stream.child(name).doubles(1, n)[0] + 2.0**-54))


def _ranks(values: Floats) -> Floats:
    """Return mid-ranks divided by n, in (0, 1); ties in the order of the ids."""
    rank = np.empty(len(values))
    rank[np.argsort(values, kind="stable")] = (np.arange(len(values)) + 0.5) / len(values)
    return rank


def _normal_scores(values: Floats) -> Floats:
    return np.asarray(ndtri(_ranks(values)))


def _office_effects(stream: Stream, office: Ints) -> Floats:
    """Return each person's office effect: mean 0 and variance 1 over the people (0 with one office)."""
    effect = _normal(stream, "effect", int(office.max()) + 1)[office]
    effect = effect - effect.mean()
    spread = float(effect.std())
    return effect / spread if spread > 1e-9 else np.zeros(len(office))


def _cut(ordered: Floats, share: float) -> float:
    """Return the value which exactly round(n * share) people reach."""
    n = len(ordered)
    top = round(n * share)
    return float(ordered[n - top]) if top else float(ordered[-1] + 1.0)


def _loss(stream: Stream, n: int) -> Ints:
    lost = stream.child("lost").doubles(1, n)[0] < _LOST
    day = 1 + (stream.child("lost on").doubles(1, n)[0] * FOLLOW_UP).astype(np.int64)
    return np.where(lost, day, FOLLOW_UP)


def _latent_correlation(icc: float, p: float) -> float:
    """Solve the equation of the module's head for r."""
    if icc == 0.0:
        return 0.0
    cut = float(ndtri(1.0 - p))
    most = 1.0 - _COVARIATE_SHARE

    def _gap(r: float) -> float:
        area = quad(lambda t: np.exp(-(cut**2) / (1.0 + t)) / (2.0 * np.pi * np.sqrt(1.0 - t * t)), 0.0, r)[0]
        return float(area) / (p * (1.0 - p)) - icc

    if _gap(most) < 0.0:
        raise DesignError(f"office_icc={icc:g} is too large for base={p:g}. State a smaller one.")
    return float(brentq(_gap, 0.0, most))
