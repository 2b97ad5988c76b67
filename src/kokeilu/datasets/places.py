"""Where the made-up job seekers live: eight regions, their municipalities and employment offices.

Region sizes follow public reports of the Finnish regional employment experiments of 2017-18 (39,500 clients,
about 22,000 of them around Tampere). Municipality sizes are rough and offices are invented.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["Places", "places"]

# People in thousands by region and municipality; only the proportions are used.
_CLIENTS: dict[str, dict[str, float]] = {
    "Pirkanmaa": {
        "Tampere": 14.1, "Nokia": 2.0, "Ylöjärvi": 1.5, "Kangasala": 1.3, "Sastamala": 1.0, "Lempäälä": 0.8,
        "Pirkkala": 0.7, "Orivesi": 0.4, "Vesilahti": 0.2,
    },
    "Turku": {"Turku": 3.2, "Raisio": 0.4, "Kaarina": 0.3, "Lieto": 0.2},
    "Kuopio": {"Kuopio": 2.1, "Siilinjärvi": 0.3},
    "Pori": {"Pori": 1.9, "Ulvila": 0.2, "Harjavalta": 0.2, "Kokemäki": 0.1},
    "Lapland": {
        "Rovaniemi": 1.1, "Kemi": 0.5, "Tornio": 0.3, "Kemijärvi": 0.1, "Sodankylä": 0.1, "Inari": 0.1,
    },
    "North Karelia": {
        "Joensuu": 1.7, "Lieksa": 0.2, "Kitee": 0.2, "Kontiolahti": 0.2, "Nurmes": 0.1, "Outokumpu": 0.1,
    },
    "Central Ostrobothnia": {"Kokkola": 0.8, "Kannus": 0.1, "Kaustinen": 0.1, "Veteli": 0.1},
    "Central Finland": {"Jyväskylä": 1.9, "Jämsä": 0.3, "Äänekoski": 0.3, "Keuruu": 0.1, "Saarijärvi": 0.1},
}  # fmt: skip

# Thousands of clients to one office; a city has several offices, a small municipality one.
_PER_OFFICE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Places:
    """Offices with the municipality and region of each.

    Attributes
    ----------
    regions, municipalities, offices : tuple of str
    municipality_of, region_of : int64 arrays, shape (offices,)
        Positions in ``municipalities`` and ``regions``.
    weights : float64 array, shape (offices,)
        The share of people each office serves; sums to 1.
    """

    regions: tuple[str, ...]
    municipalities: tuple[str, ...]
    offices: tuple[str, ...]
    municipality_of: NDArray[np.int64]
    region_of: NDArray[np.int64]
    weights: NDArray[np.float64]


@cache
def places() -> Places:
    """Return the eight regions, their municipalities and offices."""
    towns = [(region, town, size) for region, sizes in _CLIENTS.items() for town, size in sizes.items()]
    regions = tuple(_CLIENTS)
    counts = [max(1, round(size / _PER_OFFICE)) for _, _, size in towns]
    shares = [_uneven(size, count) for (_, _, size), count in zip(towns, counts, strict=True)]
    weights = np.concatenate(shares)
    weights /= weights.sum()
    town_of = np.repeat(np.arange(len(towns)), counts)
    region_of = np.array([regions.index(region) for region, _, _ in towns])[town_of]
    for array in (weights, town_of, region_of):
        array.setflags(write=False)
    return Places(
        regions=regions,
        municipalities=tuple(town for _, town, _ in towns),
        offices=tuple(f"{t} {k + 1}" for (_, t, _), c in zip(towns, counts, strict=True) for k in range(c)),
        municipality_of=town_of,
        region_of=region_of,
        weights=weights,
    )


def _uneven(size: float, count: int) -> NDArray[np.float64]:
    """Split a town over its offices so that the largest is about three times the smallest."""
    parts = np.linspace(1.5, 0.5, count) if count > 1 else np.ones(1)
    return np.asarray(size * parts / parts.sum(), dtype=np.float64)
