"""Covariates of the draw: read as numbers or categories, complete, and carried along."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from kokeilu.core.register import population_of_rows, read_population, read_register
from kokeilu.errors import ColumnError, DataError

TABLE = {
    "id": [3, 1, 2, 4],
    "office": ["x", "x", "y", "y"],
    "age": [30.0, 20, 40, 50],
    "level": ["low", "high", "low", "mid"],
}


@dataclass(frozen=True)
class Asks:
    """A mechanism that asks for covariates."""

    def columns(self):
        return ("office",)

    def covariates(self):
        return ("age", "level")


def test_numbers_and_categories_in_the_order_of_the_ids():
    population, order = read_register(TABLE, Asks(), id="id")
    assert order.tolist() == [1, 2, 0, 3]
    assert population.numbers["age"].tolist() == [20, 40, 30, 50]
    table, labels = population.matrix(("age", "level"))
    assert labels == ("age", "level: low", "level: mid")
    np.testing.assert_array_equal(table, [[20, 0, 0], [40, 1, 0], [30, 1, 0], [50, 0, 1]])
    assert population_of_rows(TABLE, Asks()).numbers["age"].tolist() == [30, 20, 40, 50]


def test_clusters_get_means_shares_and_their_size():
    population, _ = read_register(TABLE, Asks(), id="id")
    clusters, membership = population.collapse("office", (), ("age", "level", "cluster_size"))
    table, labels = clusters.matrix(("age", "level", "cluster_size"))
    assert labels == ("age", "level: low", "level: mid", "cluster_size")
    np.testing.assert_array_equal(table, [[25, 0.5, 0, 2], [45, 0.5, 0.5, 2]])
    assert membership.tolist() == [0, 1, 0, 1]


def test_the_fingerprint_covers_the_numbers():
    plain, _ = read_register(TABLE, Asks(), id="id")
    other, _ = read_register({**TABLE, "age": [30.0, 20, 40, np.nextafter(50, 51)]}, Asks(), id="id")
    zero = [read_register({**TABLE, "age": [z, 20, 40, 50]}, Asks(), id="id")[0].fingerprint() for z in (0.0, -0.0)]
    assert plain.fingerprint() != other.fingerprint()
    assert zero[0] == zero[1]


def test_gaps_are_refused_with_their_number():
    with pytest.raises(DataError, match=r"'age' is missing for 1 person of 4 \(first at row 2.*fill it in"):
        read_population({**TABLE, "age": [1.0, 2.0, None, 3.0]}, id="id", columns=(), covariates=("age",))
    with pytest.raises(DataError, match="'level' is missing for 1 person of 4"):
        read_population({**TABLE, "level": ["a", None, "b", "c"]}, id="id", columns=(), covariates=("level",))


def test_numbers_with_a_decimal_comma_are_no_categories():
    table = {"id": [1, 2, 3], "income": ["12,5", "7", "-3,25"], "code": ["a,1", "2,5", "3"]}
    with pytest.raises(ColumnError, match=r"'income' is text of numbers with a decimal comma.*decimal=','") as caught:
        read_population(table, id="id", columns=(), covariates=("income",))
    assert "12,5" not in str(caught.value)
    assert read_population(table, id="id", columns=("income",), covariates=("code",))[0].factors.keys() == {
        "income",
        "code",
    }
