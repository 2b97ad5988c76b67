"""A register of job seekers made from a seed: nobody in it exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from kokeilu._checks import positive_int
from kokeilu._kernels.streams import Seed, Stream
from kokeilu.datasets.places import places

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["job_seekers"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_TONGUES = ("fi", "sv", "other")
_LEVELS = ("basic", "upper secondary", "short tertiary", "bachelor", "master or higher")
_BENEFITS = ("earnings-related", "basic allowance", "labour market support", "none")
_WINDOW = 730  # days in the two years before
_MONTH = 365.25 / 12


def job_seekers(n: int = 39_500, *, seed: object) -> pd.DataFrame:
    """Return a register of made-up job seekers, shaped like the Finnish employment experiments of 2017-18.

    Parameters
    ----------
    n : int
        People; 39,500 moved into the experiments.
    seed : str, int or bytes
        The same n and seed give the same rows.

    Returns
    -------
    DataFrame, one row per person, in an order that tells nothing

        ===================== =============================================================================
        person_id             text, "JS-000001" and on; not in the form of an identity code
        region, municipality  eight regions (Pirkanmaa 56 %), 40 municipalities
        employment_office     text; 94 offices, each within one municipality
        household_id          text; one person in six shares a household with another here
        age                   whole years, 18-64
        sex                   "female", "male"
        mother_tongue         "fi", "sv", "other"
        education             five levels; about 3 % missing
        months_unemployed     whole months in the present period of unemployment, short breaks included
        long_term             over 12 months unemployed
        under_25, immigrant   the other target groups
        benefit               "earnings-related", "basic allowance", "labour market support", "none"
        employment_days_prior days employed in the two years before, 0-730
        earnings_prior        euros earned in the year before, to 10 euros; about 2 % missing
        spell_days            days in the unbroken spell now running, at most the months above
        ===================== =============================================================================

    Raises
    ------
    DesignError
        Where n is not a whole number of at least 1.
    SeedError
        Where the seed is absent, empty or a float.

    Notes
    -----
    Sizes of regions follow public reports of the experiments; every other distribution is chosen to be
    plausible and is not estimated from any person's data. Only education and earnings_prior have missing
    values.

    Examples
    --------
    >>> from kokeilu.datasets import job_seekers
    >>> seekers = job_seekers(1_000, seed="example")
    >>> seekers.shape
    (1000, 17)
    >>> bool((seekers["long_term"] == (seekers["months_unemployed"] > 12)).all())
    True
    """
    import pandas as pd

    n = positive_int(n, name="n")
    stream = Seed.of(seed).stream("datasets.job_seekers")
    columns: dict[str, object] = {"person_id": _numbered("JS", np.arange(1, n + 1))}
    columns |= _homes(n, stream)
    columns |= _people(n, stream)
    return pd.DataFrame(columns)


def _uniform(stream: Stream, name: str, n: int) -> Floats:
    """Return doubles strictly between 0 and 1, so that every inverse transform is finite."""
    return np.asarray(stream.child(name).doubles(1, n)[0] + 2.0**-54)


def _normal(stream: Stream, name: str, n: int) -> Floats:
    return np.asarray(ndtri(_uniform(stream, name, n)))


def _pick(u: Floats, weights: Floats | tuple[float, ...]) -> Ints:
    """Return categories by inverse transform; weights (k,), or (n, k) where they differ by person."""
    edges = np.cumsum(np.asarray(weights, dtype=np.float64), axis=-1)
    if edges.ndim == 1:
        return np.asarray(np.searchsorted(edges[:-1] / edges[-1], u, side="right"))
    return np.asarray(np.sum(u[:, None] * edges[:, -1:] >= edges[:, :-1], axis=1))


def _texts(names: tuple[str, ...], codes: Ints) -> NDArray[np.object_]:
    return np.array(names, dtype=object)[codes]


def _numbered(prefix: str, numbers: Ints) -> NDArray[np.object_]:
    width = max(6, len(str(len(numbers))))
    return np.array([f"{prefix}-{number:0{width}d}" for number in numbers.tolist()], dtype=object)


def _homes(n: int, stream: Stream) -> dict[str, object]:
    """Households first, since a household has one address; then people in random order."""
    sizes = 1 + _pick(_uniform(stream, "household size", n), (0.91, 0.08, 0.01))
    household = np.repeat(np.arange(n), sizes)[:n]
    household = household[np.argsort(_uniform(stream, "order of people", n), kind="stable")]
    number = np.argsort(_uniform(stream, "household number", n), kind="stable") + 1
    here = places()
    office = _pick(_uniform(stream, "office", n), here.weights)[household]
    return {
        "region": _texts(here.regions, here.region_of[office]),
        "municipality": _texts(here.municipalities, here.municipality_of[office]),
        "employment_office": _texts(here.offices, office),
        "household_id": _numbered("HH", number)[household],
    }


def _people(n: int, stream: Stream) -> dict[str, object]:
    immigrant = _uniform(stream, "immigrant", n) < 0.13
    age = _ages(_uniform(stream, "age", n), immigrant)
    young = age < 25
    months = _months(_normal(stream, "months", n), age, immigrant)
    worked = _days_worked(n, stream, months)
    benefit = _benefits(_uniform(stream, "benefit", n), months, young, immigrant)
    tongue = _tongues(_uniform(stream, "mother tongue", n), immigrant)
    education = _education(n, stream, age, immigrant)
    return {
        "age": age,
        "sex": _texts(("female", "male"), _pick(_uniform(stream, "sex", n), (0.45, 0.55))),
        "mother_tongue": _texts(_TONGUES, tongue),
        "education": education,
        "months_unemployed": months,
        "long_term": months > 12,
        "under_25": young,
        "immigrant": immigrant,
        "benefit": _texts(_BENEFITS, benefit),
        "employment_days_prior": worked,
        "earnings_prior": _earnings(n, stream, worked),
        "spell_days": _spells(n, stream, months),
    }


def _ages(u: Floats, immigrant: Bools) -> Ints:
    """Ages 18-64 by a piecewise uniform law: many under 30, many over 55; immigrants in the middle."""
    edges = np.array([18.0, 25.0, 35.0, 45.0, 55.0, 65.0])
    locals_, movers = np.array([0.15, 0.20, 0.18, 0.21, 0.26]), np.array([0.10, 0.31, 0.31, 0.20, 0.08])
    age = np.where(
        immigrant,
        np.interp(u, np.concatenate(([0.0], np.cumsum(movers))), edges),
        np.interp(u, np.concatenate(([0.0], np.cumsum(locals_))), edges),
    )
    return np.asarray(np.minimum(age, 64.999), dtype=np.int64)


def _months(z: Floats, age: Ints, immigrant: Bools) -> Ints:
    """Log-normal months of unemployment, longer with age; at most 20 years."""
    typical = 8.0 * np.exp(0.032 * (age - 40) + 0.25 * immigrant)
    return np.asarray(np.minimum(typical * np.exp(1.05 * z), 240.0), dtype=np.int64)


def _days_worked(n: int, stream: Stream, months: Ints) -> Ints:
    """Days employed in the two years before: a mass at zero, no more than unemployment left room for."""
    room = np.clip(_WINDOW - months * _MONTH, 0.0, _WINDOW)
    some = _uniform(stream, "worked at all", n) < 0.80 * room / _WINDOW + 0.12
    part = _uniform(stream, "days worked", n)
    days = np.where(room > 60.0, room * part**0.7, 60.0 * part)
    return np.asarray(np.where(some, np.ceil(days), 0.0), dtype=np.int64)


def _earnings(n: int, stream: Stream, worked: Ints) -> Floats:
    """Euros in the year before, to 10 euros; NaN for about 2 %."""
    wage = 78.0 * np.exp(0.35 * _normal(stream, "wage", n))
    euros = np.round(wage * worked * 0.45, -1)
    return np.where(_uniform(stream, "earnings unknown", n) < 0.02, np.nan, euros)


def _benefits(u: Floats, months: Ints, young: Bools, immigrant: Bools) -> Ints:
    """Earnings-related allowance ends after some 18 months; the young and immigrants seldom have it."""
    weights = np.empty((len(u), 4))
    weights[:] = (0.50, 0.16, 0.27, 0.07)
    weights[months > 18] = (0.04, 0.06, 0.83, 0.07)
    weights[(months <= 18) & (young | immigrant)] = (0.12, 0.20, 0.53, 0.15)
    return _pick(u, weights)


def _tongues(u: Floats, immigrant: Bools) -> Ints:
    weights = np.empty((len(u), 3))
    weights[:] = (0.965, 0.030, 0.005)
    weights[immigrant] = (0.06, 0.01, 0.93)
    return _pick(u, weights)


def _education(n: int, stream: Stream, age: Ints, immigrant: Bools) -> NDArray[np.object_]:
    """Levels by age; missing for 2 % of those born in the country and 10 % of immigrants."""
    weights = np.empty((n, 5))
    weights[:] = (0.20, 0.50, 0.11, 0.12, 0.07)
    weights[age < 25] = (0.38, 0.57, 0.01, 0.04, 0.00)
    weights[(age >= 25) & immigrant] = (0.42, 0.29, 0.04, 0.14, 0.11)
    level = _texts(_LEVELS, _pick(_uniform(stream, "education", n), weights))
    level[_uniform(stream, "education unknown", n) < np.where(immigrant, 0.10, 0.02)] = None
    return level


def _spells(n: int, stream: Stream, months: Ints) -> Ints:
    """Days in the unbroken spell: all of the period for half of people, a part of it for the others."""
    days = months * _MONTH + 30.0 * _uniform(stream, "day of month", n)
    unbroken = _uniform(stream, "no break", n) < 0.5
    part = 0.1 + 0.9 * _uniform(stream, "since the break", n)
    return np.maximum(np.where(unbroken, days, days * part), 1.0).astype(np.int64)
