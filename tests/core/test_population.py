from __future__ import annotations

import numpy as np
import pytest

from kokeilu.core.register import read_population
from kokeilu.errors import ColumnError, DesignError

REGISTER = {
    "id": [3, 1, 2, 4],
    "region": ["s", "n", "n", "s"],
    "flag": [1, 0, 1, 1],
    "office": ["x", "y", "y", "x"],
}


def population(**changes):
    return read_population({**REGISTER, **changes}, id="id", columns=("region", "flag", "office"))[0]


def test_crossing_gives_the_combinations_that_occur_in_order():
    codes, labels = population().cross(("region", "flag"))
    assert labels == (("n", "0"), ("n", "1"), ("s", "1"))
    assert codes.tolist() == [0, 1, 2, 2]
    assert population().cross(())[1] == ((),)


def test_clusters_become_units_with_their_strata():
    clusters, membership = population().collapse("office", ("region",))
    assert clusters.ids.to_list() == ["x", "y"]
    assert membership.tolist() == [1, 1, 0, 0]
    assert clusters.factor("region").levels == ("n", "s")
    assert clusters.factor("region").codes.tolist() == [1, 0]


def test_a_cluster_in_two_strata_is_refused_with_the_number():
    with pytest.raises(DesignError, match=r"1 cluster of 'office' \(of 2\) has people in more than one 'flag'"):
        population().collapse("office", ("flag",))


def test_fingerprint_follows_content_and_not_order():
    turned = {name: values[::-1] for name, values in REGISTER.items()}
    assert population(**turned).fingerprint() == population().fingerprint()
    seen = {population().fingerprint()}
    for name, values in {"id": [3, 1, 2, 5], "region": ["s", "n", "s", "s"], "office": ["x", "y", "y", "z"]}.items():
        seen.add(population(**{name: values}).fingerprint())
    assert len(seen) == 4


def test_unknown_columns_name_the_near_match():
    with pytest.raises(ColumnError, match=r"no column 'regio'. Did you mean 'region'\?"):
        population().factor("regio")


def test_arrays_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        population().ids.values[0] = 7
    assert isinstance(population().ids.values, np.ndarray)


def test_printing_shows_no_id_and_no_level():
    population, _ = read_population({"id": ["SECRET-1", "SECRET-2"], "x": ["SECRET-3", "b"]}, id="id", columns=("x",))
    assert repr(population.ids) == "Ids(2, text)"
    assert repr(population.factor("x")) == "Factor(2 levels of 2 people)"
    assert "SECRET" not in repr(population)


def test_columns_with_as_many_levels_as_people_are_crossed_within_memory():
    n = 200_000
    table = {"id": range(n), "a": range(n), "b": range(n, 2 * n)}
    population, _ = read_population(table, id="id", columns=("a", "b"))
    codes, labels = population.cross(("a", "b"))
    assert len(labels) == n
    assert sorted(codes.tolist()) == list(range(n))
    assert labels == tuple(sorted(labels))
    assert not codes.flags.writeable
