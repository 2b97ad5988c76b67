from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokeilu._kernels.merkle import field, fields, hmac_sha256, leaf, leaves, path_of, root_from, split, tree

# RFC 6962 test vectors of the Certificate Transparency projects: the roots of the first n of these leaves.
CONTENTS = [
    bytes.fromhex(x)
    for x in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def recursive(contents: list[bytes]) -> bytes:
    """The definition of RFC 6962, 2.1: split at the largest power of two below the number of leaves."""
    if len(contents) == 1:
        return hashlib.sha256(b"\0" + contents[0]).digest()
    cut = 1 << (len(contents) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + recursive(contents[:cut]) + recursive(contents[cut:])).digest()


def levels_of(contents: list[bytes]) -> list[bytes]:
    return tree(leaves([b""] * len(contents), contents))


@pytest.mark.parametrize("n", range(1, 9))
def test_the_roots_of_certificate_transparency(n):
    assert levels_of(CONTENTS[:n])[-1].hex() == ROOTS[n - 1]


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=70))
def test_the_root_is_that_of_the_definition(contents):
    assert levels_of(contents)[-1] == recursive(contents)


@given(st.integers(1, 70), st.data())
def test_each_path_leads_to_the_root_and_no_other_place_does(n, data):
    contents = [str(i).encode() for i in range(n)]
    levels = levels_of(contents)
    place = data.draw(st.integers(0, n - 1))
    path = path_of(levels, place)
    assert len(path) <= (n - 1).bit_length()
    assert root_from(leaf(contents[place]), place, n, path) == levels[-1]
    for other in range(n):
        assert other == place or root_from(leaf(contents[place]), other, n, path) != levels[-1]
    assert root_from(leaf(contents[place]), place, n, [*path, b"x" * 32]) is None
    assert not path or root_from(leaf(contents[place]), place, n, path[:-1]) is None
    assert root_from(leaf(contents[place]), n, n, path) is None


@given(st.binary(min_size=1, max_size=200), st.binary(max_size=200))
def test_hmac_is_that_of_the_standard_library(key, message):
    assert hmac_sha256(key)(message) == hmac.digest(key, message, "sha256")


@given(st.lists(st.binary(max_size=20)))
def test_fields_come_apart_as_they_were_joined(parts):
    assert split(fields(*parts)) == parts


def test_fields_do_not_run_together():
    """getcohorts 1.0.0 hashes ('u1', '2x') and ('u12', 'x') alike."""
    assert fields(b"u1", b"2x") != fields(b"u12", b"x")
    assert field(b"ab") == b"\x02\0\0\0\0\0\0\0ab"
