"""The laws of mechanisms, each a function of a mechanism and a small register (a mapping of columns, ids in "id").

A law raises :class:`BrokenLaw`, which says what was found, and returns nothing where it holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kokeilu._kernels.streams import Seed, Stream
from kokeilu.core.lottery import all_assignments, redraws, shares_of
from kokeilu.core.protocols import Codes, Floats, Lottery, Mechanism
from kokeilu.core.register import read_register
from kokeilu.core.registry import decode, encode

__all__ = ["LAWS", "BrokenLaw", "check_mechanism", "exact_marginals", "mechanism_laws"]

Register = Mapping[str, Sequence[Any]]
ENUMERATED = 50_000
DRAWS = 400


class BrokenLaw(AssertionError):
    """A mechanism breaks a law."""


def _bind(mechanism: Mechanism, register: Register) -> Lottery:
    population, _ = read_register(register, mechanism, id="id")
    return mechanism.bind(population)


def _stream(name: str = "laws") -> Stream:
    return Seed.of("kokeilu laws").stream(name)


def _demand(holds: bool, law: str) -> None:
    if not holds:
        raise BrokenLaw(law)


def shape_and_range(mechanism: Mechanism, register: Register) -> None:
    """Draws are int8 codes of the arms, one row for each draw, one column for each person."""
    lottery = _bind(mechanism, register)
    codes = lottery.draw(_stream(), 7)
    _demand(codes.shape == (7, lottery.n_units), f"draw gave the shape {codes.shape}, not (7, {lottery.n_units})")
    _demand(codes.dtype == np.int8, f"draw gave {codes.dtype}, not int8")
    _demand(bool(codes.min() >= 0 and codes.max() < len(lottery.arms)), "a code is no arm")


def prefix(mechanism: Mechanism, register: Register) -> None:
    """More redraws never change the first ones, and the batch size never shows."""
    lottery = _bind(mechanism, register)
    whole = lottery.draw(_stream(), 12)
    _demand(np.array_equal(whole[:5], lottery.draw(_stream(), 5)), "asking for more redraws changed the first ones")
    parts = np.concatenate(list(redraws(lottery, _stream(), 12, chunk_cells=3 * lottery.n_units)))
    _demand(np.array_equal(whole, parts), "the chunk size shows in the draws")


def row_order(mechanism: Mechanism, register: Register) -> None:
    """The order of the register's rows never changes who gets what."""
    turned = {name: list(values)[::-1] for name, values in register.items()}
    same = np.array_equal(_bind(mechanism, register).draw(_stream(), 3), _bind(mechanism, turned).draw(_stream(), 3))
    _demand(same, "the order of the rows changed the draw")


def marginals(mechanism: Mechanism, register: Register) -> None:
    """Each person's probability of each arm is the share: exactly where all assignments can be listed."""
    lottery = _bind(mechanism, register)
    shares = shares_of(lottery)
    exact = exact_marginals(lottery)
    if exact is not None:
        gap = float(np.abs(exact - shares).max())
        _demand(gap < 1e-12, f"over all assignments a probability is off its share by {gap:.3g}")
        return
    codes = np.concatenate(list(redraws(lottery, _stream("marginals"), DRAWS)))
    for arm in range(len(lottery.arms)):
        off = np.abs((codes == arm).mean(axis=0) - shares[:, arm])
        room = 6 * np.sqrt(shares[:, arm] * (1 - shares[:, arm]) / DRAWS) + 1e-12
        _demand(bool((off <= room).all()), f"over {DRAWS} redraws a share of arm {arm} is off by {off.max():.3g}")


def round_trip(mechanism: Mechanism, register: Register) -> None:
    """JSON and back gives the same rule and identical draws."""
    again = decode(json.loads(json.dumps(encode(mechanism))))
    _demand(again == mechanism, "the rule read back from JSON is another rule")
    same = np.array_equal(_bind(again, register).draw(_stream(), 4), _bind(mechanism, register).draw(_stream(), 4))
    _demand(same, "the rule read back from JSON gives other draws")


def relabelling(mechanism: Mechanism, register: Register) -> None:
    """Other names for the arms change the names and nothing else."""
    renamed = decode(_renamed(json.loads(json.dumps(encode(mechanism)))))
    same = np.array_equal(_bind(renamed, register).draw(_stream(), 4), _bind(mechanism, register).draw(_stream(), 4))
    _demand(same, "other names for the arms changed the draw")


def _renamed(data: Any) -> Any:
    """Prefix the names of arms in a mechanism's JSON."""
    if isinstance(data, list):
        return [_renamed(item) for item in data]
    if not isinstance(data, dict):
        return data
    if data.get("kind") == "arms":
        return {**data, "items": [["zz " + name, *share] for name, *share in data["items"]]}
    return {key: _renamed(item) for key, item in data.items()}


def inputs_unchanged(mechanism: Mechanism, register: Register) -> None:
    """Binding and drawing leave the register as it was."""
    before = {name: list(values) for name, values in register.items()}
    _bind(mechanism, register).draw(_stream(), 2)
    _demand(before == {name: list(values) for name, values in register.items()}, "the register was changed")


def seeds_matter(mechanism: Mechanism, register: Register) -> None:
    """Streams of other names give other draws, wherever more than one assignment is possible."""
    lottery = _bind(mechanism, register)
    draws = np.concatenate([lottery.draw(_stream(f"name {i}"), 8) for i in range(8)])
    moves = ((shares_of(lottery) > 0) & (shares_of(lottery) < 1)).any()
    _demand(not moves or len(np.unique(draws, axis=0)) > 1, "every seed gives the same assignment")


def listed(mechanism: Mechanism, register: Register) -> None:
    """Where assignments can be listed they are distinct, as many as counted, sum to 1, and hold every draw."""
    lottery = _bind(mechanism, register)
    everything = _everything(lottery)
    if everything is None:
        return
    codes, chances = everything
    _demand(len(np.unique(codes, axis=0)) == len(codes), "an assignment is listed twice")
    _demand(len(codes) == lottery.count(), "count() is not the number of assignments listed")  # type: ignore[attr-defined]
    _demand(abs(float(chances.sum()) - 1) < 1e-12, f"the probabilities sum to {chances.sum():.15g}")
    possible = {row.tobytes() for row in codes[chances > 0]}
    drawn = {row.tobytes() for row in lottery.draw(_stream("listed"), 200)}
    _demand(drawn <= possible, "a draw is not among the assignments listed")


def frequencies(mechanism: Mechanism, register: Register) -> None:
    """Draws fall on the assignments as often as their probabilities say (chi-square, p above 1e-6)."""
    from scipy import stats

    lottery = _bind(mechanism, register)
    everything = _everything(lottery)
    if everything is None or len(everything[0]) > 500:
        return
    codes, chances = everything
    size = max(2_000, 20 * len(codes))
    place = {row.tobytes(): i for i, row in enumerate(codes)}
    hits = np.zeros(len(codes))
    for row in lottery.draw(_stream("frequencies"), size):
        hits[place[row.tobytes()]] += 1
    hits, expected = _pooled(hits, chances * size)
    if len(hits) > 1:
        result = stats.chisquare(hits, expected)
        _demand(float(result.pvalue) > 1e-6, f"the draws do not follow the law (p = {result.pvalue:.2g})")


def _pooled(hits: Floats, expected: Floats) -> tuple[Floats, Floats]:
    """Pool what is expected fewer than five times, where the chi-square law does not hold (Cochran 1954)."""
    rare = expected < 5
    if not rare.any():
        return hits, expected
    parts = [(hits[~rare], expected[~rare]), (hits[rare].sum(keepdims=True), expected[rare].sum(keepdims=True))]
    if parts[1][1][0] < 5:
        # Too rare even together: what the rest is owed is scaled to what it got.
        kept = parts[0][0].sum() / max(parts[0][1].sum(), 1e-300)
        return parts[0][0], parts[0][1] * kept
    return np.concatenate([parts[0][0], parts[1][0]]), np.concatenate([parts[0][1], parts[1][1]])


LAWS: tuple[Callable[[Mechanism, Register], None], ...] = (
    shape_and_range,
    prefix,
    row_order,
    marginals,
    round_trip,
    relabelling,
    inputs_unchanged,
    seeds_matter,
    listed,
    frequencies,
)


def mechanism_laws(instances: Sequence[tuple[Mechanism, Register]]) -> list[Any]:
    """Return (law, mechanism, register) triples for ``pytest.mark.parametrize``."""
    return [(law, mechanism, register) for mechanism, register in instances for law in LAWS]


def check_mechanism(mechanism: Mechanism, register: Register) -> None:
    """Check every law on one register.

    Raises
    ------
    BrokenLaw
        Naming what was found.
    """
    for law in LAWS:
        law(mechanism, register)


def _everything(lottery: Lottery) -> tuple[Codes, Floats] | None:
    chunks = all_assignments(lottery, ENUMERATED)
    if chunks is None:
        return None
    parts = list(chunks)
    return np.concatenate([codes for codes, _ in parts]), np.concatenate([chances for _, chances in parts])


def exact_marginals(lottery: Lottery) -> Floats | None:
    """Return each person's probability of each arm by listing all assignments, shape (n, arms), or None."""
    everything = _everything(lottery)
    if everything is None:
        return None
    codes, chances = everything
    return np.stack([chances @ (codes == arm) for arm in range(len(lottery.arms))], axis=1)
