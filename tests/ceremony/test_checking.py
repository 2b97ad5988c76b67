"""A register is held against what was frozen, column by column."""

from __future__ import annotations

from dataclasses import replace

from kokeilu.ceremony.checking import compare_register


def test_a_column_committed_to_twice_is_named(ceremony):
    commitment, population = ceremony.commitment, ceremony.assignment.population
    keys = {"key": ceremony.key, "secret": ceremony.secret}
    assert compare_register(commitment, population, **keys)[0].holds
    twice = replace(commitment, columns=(*commitment.columns, commitment.columns[0]))
    found, frame = compare_register(twice, population, **keys)
    assert frame is None
    assert found.finding == "the columns committed to are not those of the design"
