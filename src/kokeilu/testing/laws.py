"""The laws of mechanisms, each a function of a mechanism and a small register (a mapping of columns, ids in "id").

A law raises :class:`BrokenLaw`, which says what was found, and returns nothing where it holds.

What a mechanism's documentation says of the names and the order of levels it states to the laws by two attributes:
``keyed_by``, the columns whose levels name streams, so that other names give other draws; and ``ordered``, the columns
the order of whose levels settles ties or turns, so that another order may give another law.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kokeilu._kernels.streams import Seed, Stream
from kokeilu.core.levels import level_text
from kokeilu.core.lottery import all_assignments, redraws, shares_of
from kokeilu.core.protocols import Codes, Floats, Lottery, Mechanism
from kokeilu.core.register import read_register
from kokeilu.core.registry import decode, encode
from kokeilu.errors import KokeiluError

__all__ = ["LAWS", "BrokenLaw", "check_mechanism", "exact_marginals", "mechanism_laws"]

Register = Mapping[str, Sequence[Any]]
ENUMERATED = 50_000
COMPARED = 5_000
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


def relabelled_strata(mechanism: Mechanism, register: Register) -> None:
    """Other names for strata and clusters, in the same order, change nothing; in another order they keep the law.

    Columns whose levels the rule names itself are left as they are, and so are those whose levels name streams.
    """
    lottery = _bind(mechanism, register)
    keyed, ordered = _stated(mechanism, "keyed_by"), _stated(mechanism, "ordered")
    for name in mechanism.columns():
        levels = sorted({level_text(value) for value in register[name]})
        for turned in (False, True):
            place = {
                level: f"{(-1 if turned else 1) * code + len(levels):05d} {level}" for code, level in enumerate(levels)
            }
            renamed = [place[level_text(value)] for value in register[name]]
            again = _bound_again(mechanism, {**register, name: renamed})
            if again is None or name in keyed:
                continue
            if not turned:
                same = np.array_equal(lottery.draw(_stream(), 4), again.draw(_stream(), 4))
                _demand(same, f"other names for the levels of {name!r}, in the same order, changed the draw")
            _same_law(lottery, again, f"another order of the levels of {name!r}", chances_only=name in ordered)


def relabelled_ids(mechanism: Mechanism, register: Register) -> None:
    """Other ids in the same order change nothing, whether numbers or text; in another order chances stay."""
    lottery, ids = _bind(mechanism, register), np.asarray(register["id"])
    place = np.argsort(np.argsort(ids, kind="stable"), kind="stable").tolist()
    for what, renamed in (("numbers", [7 * i - 3 for i in place]), ("text", [f"p{i:07d}" for i in place])):
        again = _bind(mechanism, {**register, "id": renamed})
        same = np.array_equal(lottery.draw(_stream(), 4), again.draw(_stream(), 4))
        _demand(same, f"other ids in the same order ({what}) changed the draw")
    again = _bind(mechanism, {**register, "id": [-i for i in place]})
    _same_law(lottery, again, "another order of the ids", chances_only=True, backwards=True)


def _stated(mechanism: object, name: str) -> tuple[str, ...]:
    """Columns that a mechanism, or one that it wraps, states under a name."""
    base = getattr(mechanism, "base", None)
    return (*getattr(mechanism, name, ()), *(() if base is None else _stated(base, name)))


def _bound_again(mechanism: Mechanism, register: Register) -> Lottery | None:
    """Bind to relabelled levels; None where the rule names levels and so refuses others."""
    try:
        return _bind(mechanism, register)
    except KokeiluError:
        return None


def _same_law(lottery: Lottery, again: Lottery, what: str, *, chances_only: bool, backwards: bool = False) -> None:
    """Compare chances, and where assignments can be listed the whole law."""
    turn = slice(None, None, -1 if backwards else 1)
    before, after = _everything(lottery, COMPARED), _everything(again, COMPARED)
    if before is None or after is None:
        shares, moved = shares_of(lottery), shares_of(again)[turn]
        # Chances that are not listed may be simulated.
        room = 6 * np.sqrt(shares * (1 - shares) / DRAWS) + 1e-12
        _demand(bool((np.abs(moved - shares) <= room).all()), f"{what} changed somebody's chances")
        return
    arms = len(lottery.arms)
    gap = np.abs(_marginals(*before, arms) - _marginals(*after, arms)[turn]).max()
    _demand(bool(gap < 1e-12), f"{what} changed somebody's chances by {gap:.3g}")
    if not chances_only:
        laws = [
            {row.tobytes(): chance for row, chance in zip(*law, strict=True) if chance > 0} for law in (before, after)
        ]
        alike = laws[0].keys() == laws[1].keys() and all(abs(laws[0][k] - laws[1][k]) < 1e-12 for k in laws[0])
        _demand(alike, f"{what} changed the probabilities of assignments")


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
    relabelled_strata,
    relabelled_ids,
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


def _everything(lottery: Lottery, limit: int = ENUMERATED) -> tuple[Codes, Floats] | None:
    chunks = all_assignments(lottery, limit)
    if chunks is None:
        return None
    parts = list(chunks)
    return np.concatenate([codes for codes, _ in parts]), np.concatenate([chances for _, chances in parts])


def exact_marginals(lottery: Lottery) -> Floats | None:
    """Return each person's probability of each arm by listing all assignments, shape (n, arms), or None."""
    everything = _everything(lottery)
    if everything is None:
        return None
    return _marginals(*everything, len(lottery.arms))


def _marginals(codes: Codes, chances: Floats, arms: int) -> Floats:
    return np.stack([chances @ (codes == arm) for arm in range(arms)], axis=1)
