"""Every design keeps every law, and the laws on names see mechanisms that break them."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kokeilu as kk
from kokeilu.core.registry import register as registered_as
from kokeilu.testing import BrokenLaw, mechanism_laws
from kokeilu.testing.laws import relabelled_ids, relabelled_strata

SPEC = importlib.util.spec_from_file_location("designs", Path(__file__).parents[1] / "designs.py")
designs: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(designs)
PEOPLE = {"Rerandomised, unequal": 12}
"""Chances of few people are listed; those of more are simulated anew by every law."""


@pytest.mark.parametrize("name", designs.DESIGNS)
def test_every_design_keeps_every_law(name):
    people = {column: values.tolist() for column, values in designs.register(PEOPLE.get(name, 36)).items()}
    for law, mechanism, register in mechanism_laws([(designs.DESIGNS[name], people)]):
        law(mechanism, register)


SMALL = {"id": [3, 1, 2, 7, 5, 4], "region": ["s", "n", "s", "n", "s", "n"], "size": ["10", "9", "10", "9", "9", "10"]}


@dataclass(frozen=True, slots=True)
class _Spoilt:
    """A stratified rule that looks at what it should not."""

    spoil: str
    by: str = "region"

    def columns(self) -> tuple[str, ...]:
        return (self.by,)

    def describe(self) -> str:
        return "spoilt"

    def bind(self, population):
        factor = population.factor(self.by)
        arms = kk.arms(a=1, b=1)
        if self.spoil == "first level gets more":
            arms = {level: kk.arms(a=1, b=2 if code == 0 else 1) for code, level in enumerate(factor.levels)}
        lottery = kk.Stratified(arms, by=self.by).bind(population)
        if self.spoil == "names enter the stream":
            return _Keyed(lottery, "".join(factor.levels))
        if self.spoil == "ids enter the stream":
            return _Keyed(lottery, str(population.ids.to_list()[0]))
        return lottery


class _Keyed:
    def __init__(self, base, key):
        self.base, self.key = base, key

    def __getattr__(self, name):
        return getattr(self.base, name)

    def draw(self, stream, size):
        return self.base.draw(stream.child(self.key), size)


registered_as("spoilt, for a test")(_Spoilt)


@pytest.mark.parametrize(
    ("spoil", "law", "says"),
    [
        ("names enter the stream", relabelled_strata, "levels of 'region', in the same order, changed the draw"),
        ("first level gets more", relabelled_strata, "another order of the levels of 'region' changed somebody's"),
        ("ids enter the stream", relabelled_ids, "other ids in the same order \\(numbers\\) changed the draw"),
    ],
)
def test_laws_on_names_see_what_breaks_them(spoil, law, says):
    law(_Spoilt("nothing"), SMALL)
    with pytest.raises(BrokenLaw, match=says):
        law(_Spoilt(spoil), SMALL)


def test_the_whole_law_is_compared_where_it_can_be_listed():
    """Chances stay 1/2 each, yet who is paired with whom goes by the order of the levels."""

    @dataclass(frozen=True, slots=True)
    class Neighbours(_Spoilt):
        def bind(self, population):
            order = np.argsort(population.factor(self.by).codes, kind="stable")
            strata = np.zeros(len(population), dtype=np.int64)
            strata[order] = np.arange(len(population)) // 4
            lottery = kk.Stratified(kk.arms(a=1, b=1), by=self.by).bind(population)
            return replace(lottery, strata=strata)

    with pytest.raises(BrokenLaw, match="another order of the levels of 'region' changed the probabilities of"):
        relabelled_strata(Neighbours("none"), SMALL)


def test_what_a_mechanism_states_of_its_labels_is_left_out():
    astride = {"id": [1, 2, 3, 4, 5, 6, 7, 8], "home": list("aabbccdd"), "region": list("nsnnsssn")}
    loose = kk.Clustered(kk.Stratified(kk.arms(a=1, b=1), by="region"), by="home", straddling="largest")
    assert loose.ordered == ("region",)
    relabelled_strata(loose, astride)
    assert kk.Waves(loose, wave="month").keyed_by == ("month",)
    matched = kk.Clustered(kk.MatchedTuples(kk.arms(a=1, b=1), on="age"), by="home")
    assert matched.ordered == ("home",)
