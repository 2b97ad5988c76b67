"""The stand-alone script in docs replays draws without kokeilu or NumPy."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from fractions import Fraction as F
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kokeilu as kk
from kokeilu._kernels.seats import leftover_seats, seat_targets
from kokeilu._kernels.shuffle import seat_people
from kokeilu._kernels.streams import Seed, below

SCRIPT = Path(__file__).parents[1] / "docs" / "replay_draw.py"
ANSWERS = json.loads((Path(__file__).parent / "reference" / "assign.json").read_text())["rng_vectors"]["vectors"]

SHARES = [
    ("1/2", "1/2"),
    ("1/3", "2/3"),
    ("1/2", "1/4", "1/4"),
    ("0.333", "0.333", "0.334"),
    ("1/5", "3/10", "0", "1/2"),
    ("1/10",) * 10,
]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("replay_draw", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kernels(strata, shares, seed):
    stream = Seed.of(seed).stream("assign")
    sizes = np.bincount(strata)
    floors, fractions, unit = seat_targets(sizes, [shares])
    seats = floors + leftover_seats(fractions, unit, stream.child("seats"), 1, "balanced")
    return seat_people(strata, sizes, seats, stream.child("units"))[0].tolist()


def register(n, seed):
    words = Seed.of(seed).stream("register").words(1, 3 * n)[0]
    return pd.DataFrame(
        {
            "id": 10 * np.argsort(words[:n]) + 7,
            "region": [f"Region {w}" for w in words[n : 2 * n] % 11],
            "long_term": [("yes", "no")[w] for w in words[2 * n :] % 2],
        }
    )


def test_the_script_is_short_and_stands_alone():
    text = SCRIPT.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 65
    tree = ast.walk(ast.parse(text))
    modules = {alias.name for node in tree if isinstance(node, ast.Import) for alias in node.names}
    assert modules <= set(sys.stdlib_module_names)


def test_its_philox_gives_the_known_answers(script):
    name = "numpy Philox(key=20161215).random_raw(4)"
    assert script.philox(1, (20161215).to_bytes(16, "little")) == [int(word, 16) for word in ANSWERS[name]]
    zeros = "random123_kat philox4x64 10 zeros (published)"
    assert script.philox(0, bytes(16)) == [int(word, 16) for word in ANSWERS[zeros]]


def test_its_words_are_those_of_the_streams(script):
    stream = Seed.of("a seed").stream("assign").child("seats")
    assert script.words(10, "ta seed", "assign", "seats") == stream.words(1, 10)[0].tolist()
    bounds = [1, 2, 7, 10**12, 2**62 - 1]
    ours = [int(below(stream, np.array([[bound]]))[0, 0]) for bound in bounds]
    assert [script.below(bound, "ta seed", "assign", "seats") for bound in bounds] == ours


def test_its_below_takes_another_attempt_in_the_tail(script, monkeypatch):
    monkeypatch.setattr(script, "words", lambda n, *path: [2**64 - 1 if path[-1] == "attempt 0" else 11])
    assert script.below(7, "t", "x") == 11 % 7


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=200),
    st.sampled_from(SHARES),
    st.text(min_size=1).filter(str.strip),
)
def test_it_replays_the_kernels(script, strata, shares, seed):
    try:
        seed.encode()
    except UnicodeEncodeError:
        return
    levels, codes = np.unique(strata, return_inverse=True)
    rows = [(person, f"{levels[s]:03d}") for person, s in enumerate(codes)]
    drawn = script.replay(rows[::-1], [F(p) for p in shares], seed)
    assert [drawn[person] for person in range(len(rows))] == kernels(codes, tuple(F(p) for p in shares), seed)


@pytest.mark.parametrize("shares", SHARES[:5])
@pytest.mark.parametrize("by", ["region", ("region", "long_term")])
def test_it_replays_the_library(script, shares, by):
    people = register(500, "people")
    design = kk.Stratified(kk.arms({f"arm {k}": p for k, p in enumerate(shares)}), by=by)
    assignment = kk.randomise(people, design, id="id", seed="lottery 4 11 19")
    columns = [by] if isinstance(by, str) else list(by)
    rows = [(int(i), tuple(s)) for i, *s in people[["id", *columns]].itertuples(index=False)]
    drawn = script.replay(rows, [F(p) for p in shares], "lottery 4 11 19")
    assert [drawn[i] for i in assignment.ids.to_list()] == assignment.codes.tolist()


def test_text_ids_sort_by_code_point(script):
    people = register(60, "text").assign(id=lambda d: d["id"].astype(str) + "ä")
    design = kk.Stratified(kk.arms(control=1, coaching=2), by="region")
    assignment = kk.randomise(people, design, id="id", seed="s")
    drawn = script.replay(list(zip(people["id"], people["region"], strict=True)), ["1/3", "2/3"], "s")
    assert [drawn[i] for i in assignment.ids.to_list()] == assignment.codes.tolist()


@pytest.mark.parametrize("mark", [",", ";"])
@pytest.mark.parametrize("kind", [int, str])
def test_the_command_line(tmp_path, kind, mark):
    people = register(80, "file").assign(id=lambda d: d["id"].astype(kind))
    people.to_csv(tmp_path / "register.csv", index=False, sep=mark)
    design = kk.Stratified(kk.arms(control=1, coaching=2), by=("region", "long_term"))
    assignment = kk.randomise(people, design, id="id", seed="the seed")
    options = ["text"] if kind is str else []
    command = [sys.executable, str(SCRIPT), str(tmp_path / "register.csv"), "1/3,2/3", "the seed", *options]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert lines[0] == "id,arm"
    drawn = {kind(i): int(k) for i, k in (line.split(",") for line in lines[1:])}
    assert [drawn[i] for i in assignment.ids.to_list()] == assignment.codes.tolist()


def test_negative_whole_ids_sort_by_size(tmp_path):
    people = register(80, "signs").assign(id=lambda d: d["id"] - int(d["id"].median()))
    people[["id", "region"]].to_csv(tmp_path / "register.csv", index=False)
    assignment = kk.randomise(people, kk.Stratified(kk.arms(a=1, b=1), by="region"), id="id", seed="a\u0308")
    command = [sys.executable, str(SCRIPT), str(tmp_path / "register.csv"), "1/2,1/2", "\u00e4"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    drawn = {int(i): int(k) for i, k in (line.split(",") for line in lines[1:])}
    assert [drawn[i] for i in assignment.ids.to_list()] == assignment.codes.tolist()


@pytest.mark.parametrize("arguments", [[], ["register.csv", "1,1", "a seed"]])
def test_wrong_arguments_are_told(arguments):
    done = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "shares that sum to 1" in done.stderr
    assert "Traceback" not in done.stderr
