"""Known answers, golden words, and independence of batch, prefix and child."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from kokeilu._kernels import streams
from kokeilu._kernels.streams import Seed, Stream, below, digest
from kokeilu.errors import SeedError

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "assign.json").read_text())["rng_vectors"]["vectors"]
GOLDEN = Seed.of("golden").stream("assign")


def answers(name):
    return np.array([int(word, 16) for word in REFERENCE[name]], dtype=np.uint64)


def with_key(key, row=0):
    """A stream whose key is given, to reach the published vectors."""

    class Keyed(Stream):
        __slots__ = ()
        key = property(lambda self: key)

    return Keyed(path=(b"keyed",), row=row)


def test_the_published_block_of_zeros():
    # NumPy steps the counter before each block.
    words = np.random.Philox(key=0, counter=2**256 - 1).random_raw(4)
    assert (words == answers("random123_kat philox4x64 10 zeros (published)")).all()
    assert (words == answers("philox4x64_10 ctr=0 key=0")).all()


def test_the_block_of_ones():
    words = np.random.Philox(key=2**128 - 1, counter=2**256 - 2).random_raw(4)
    assert (words == answers("philox4x64_10 ctr=all-ones key=all-ones")).all()


def test_the_first_row_is_block_one_of_the_key():
    assert (with_key(20161215).words(1, 4)[0] == answers("numpy Philox(key=20161215).random_raw(4)")).all()


def test_golden_words():
    """Pinned for ever: a change here changes every draw that was ever published."""
    assert GOLDEN.key == 0x8C8E7E3EE861307A600DCA107B65F192
    assert GOLDEN.words(2, 5).tolist() == [
        [0xDD19BF77B587D31A, 0x4F9E850F26ABF8DA, 0x67FA48D0ACA00804, 0x68B02FE4926227F8, 0x196C0349C4ABCB6B],
        [0x15878CD759B773A5, 0xBDCFF88B7BE8047E, 0x7728CC39569ACEFF, 0x39A5B96776A39805, 0xC9E524BB203A2B97],
    ]
    assert GOLDEN.child("seats").words(1, 4).tolist() == [
        [0x33201672D611BB3B, 0x07B80F603FFCC47D, 0x119CF6846B37F5A7, 0x2DA0DB3067EB7D3B]
    ]


def test_seeds_of_different_kinds_differ():
    kinds = [Seed.of("7"), Seed.of(7), Seed.of(b"7")]
    assert len({seed.stream("assign").key for seed in kinds}) == 3
    assert Seed.of(np.int64(7)) == Seed.of(7)
    assert Seed.of(kinds[0]) is kinds[0]


@pytest.mark.parametrize("bad", [None, "", "  ", b"", 1.5, True, np.random.PCG64(1)])
def test_a_seed_is_required(bad):
    with pytest.raises(SeedError, match="seed must be text, a whole number or bytes"):
        Seed.of(bad)


def test_fields_are_length_prefixed():
    assert digest(b"u1", b"2x") != digest(b"u12", b"x")
    assert Seed.of("u1").stream("2x").key != Seed.of("u12").stream("x").key
    assert GOLDEN.child("ab").child("c").key != GOLDEN.child("a").child("bc").key


@given(st.integers(1, 40), st.integers(1, 11), st.integers(0, 39))
def test_batch_size_and_prefix_never_show(size, width, first):
    whole = GOLDEN.words(40, width)
    assert (GOLDEN.words(size, width) == whole[:size]).all()
    rest = min(size, 40 - first)
    assert (GOLDEN.skip(first).words(rest, width) == whole[first : first + rest]).all()
    assert (GOLDEN.skip(first).child("x").words(rest, width) == GOLDEN.child("x").words(40, width)[first:][:rest]).all()


def test_rows_do_not_overlap():
    words = GOLDEN.words(200, 7)
    assert len(np.unique(words)) == words.size


def test_children_are_unrelated():
    names = ["assign", "seats", "units", "attempt 0", "attempt 1"]
    words = np.array([GOLDEN.child(name).words(1, 256)[0] for name in names])
    assert len(np.unique(words)) == words.size
    bits = np.unpackbits(words.view(np.uint8), axis=1)
    agree = [(bits[i] == bits[j]).mean() for i in range(5) for j in range(i)]
    assert np.abs(np.array(agree) - 0.5).max() < 5 * 0.5 / np.sqrt(256 * 64)


def test_doubles_are_53_bits_of_the_word():
    words, doubles = GOLDEN.words(3, 4), GOLDEN.doubles(3, 4)
    assert [int(x * 2**53) for x in doubles.ravel()] == [int(word) >> 11 for word in words.ravel()]
    assert ((doubles >= 0) & (doubles < 1)).all()


@pytest.mark.parametrize("bound", [1, 2, 3, 7, 1000, 2**61 + 1, 2**62 - 1])
def test_below_cuts_the_tail_exactly(monkeypatch, bound):
    """Words 0 .. m - 1 with m the largest multiple of the bound are kept, the others lead to another attempt."""
    last = 2**64 - 2**64 % bound - 1
    edge = [0, 1, bound - 1, bound % 2**64, last]
    tail = [word for word in (last + 1, 2**64 - 1) if last < word < 2**64]
    second = 123_456_789

    def words(self, size, width):
        first = self.path[-1] == b"attempt 0"
        return np.array([edge + tail if first else [second] * width], dtype=np.uint64)[:, :width]

    monkeypatch.setattr(streams.Stream, "words", words)
    got = below(GOLDEN, np.full((1, len(edge + tail)), bound))
    assert got[0].tolist() == [word % bound for word in edge] + [second % bound] * len(tail)


def test_below_retries_until_a_word_is_kept(monkeypatch):
    seen = []

    def words(self, size, width):
        seen.append(self.path[-1].decode())
        return np.full((size, width), 2**64 - 1 if len(seen) < 4 else 10, dtype=np.uint64)

    monkeypatch.setattr(streams.Stream, "words", words)
    assert below(GOLDEN, np.array([[3, 4]])).tolist() == [[1, 3]]  # 2**64 is a multiple of 4: its word was kept at once
    assert seen == [f"attempt {a}" for a in range(4)]


def test_below_is_uniform():
    numbers = below(GOLDEN, np.tile(np.array([5, 6, 7]), (30_000, 1)))
    for column, bound in enumerate((5, 6, 7)):
        counts = np.bincount(numbers[:, column], minlength=bound)
        expected = 30_000 / bound
        assert chi2.sf(((counts - expected) ** 2 / expected).sum(), bound - 1) > 1e-4


def test_below_is_independent_of_the_batch():
    bounds = np.arange(1, 61).reshape(20, 3)
    whole = below(GOLDEN, bounds)
    assert (below(GOLDEN, bounds[:7]) == whole[:7]).all()
    assert all((below(GOLDEN.skip(r), bounds[r : r + 1]) == whole[r]).all() for r in range(20))
    assert ((whole >= 0) & (whole < bounds)).all()
