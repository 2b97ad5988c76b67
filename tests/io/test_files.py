from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kokeilu as kk
from kokeilu.errors import FileError

REGISTER = {
    "id": [f"P{i:02d}" for i in range(24)],
    "arm": ["n", "s", "w", "e"] * 6,
    "office": [i // 2 for i in range(24)],
}
DESIGNS = [
    kk.Stratified(kk.arms(a=1, b=2), by="arm"),
    kk.Clustered(kk.Complete(kk.arms(a=1, b=1)), by="office"),
    kk.Bernoulli(kk.arms(a=1, b=1)),
    kk.Stratified(
        {"n": kk.arms(a=1, b=1), "s": kk.arms(a=1, b=2), "w": kk.arms(a=1, b=1), "e": kk.arms(a=0, b=1)}, by="arm"
    ),
]


@pytest.mark.parametrize("design", DESIGNS, ids=lambda d: type(d).__name__)
@pytest.mark.parametrize("seed", ["text", 12, b"\x00\xff"])
def test_round_trip_rebuilds_the_lottery_without_the_register(design, seed, tmp_path):
    drawn = kk.randomise(REGISTER, design, id="id", seed=seed)
    back = kk.load(kk.save(drawn, tmp_path / "a.parquet"))
    assert back.fingerprint == drawn.fingerprint
    assert back.seed == drawn.seed
    assert back.mechanism == drawn.mechanism
    streams = [a.stream("redraw") for a in (drawn, back)]
    assert np.array_equal(drawn.lottery.draw(streams[0], 5), back.lottery.draw(streams[1], 5))
    assert kk.verify(back, REGISTER).verified


def test_integer_ids_and_adopted_allocations(tmp_path):
    adopted = kk.adopt(
        {"id": [3, 1, 2, 4], "z": ["a", "b", "a", "b"]}, arm="z", design=kk.Complete(kk.arms(a=1, b=1)), id="id"
    )
    back = kk.load(kk.save(adopted, tmp_path / "a.parquet"))
    assert back.seed is None
    assert back.ids.to_list() == [1, 2, 3, 4]
    assert back.counts() == {"a": 2, "b": 2}


@pytest.fixture
def path(tmp_path):
    return kk.save(kk.randomise(REGISTER, DESIGNS[0], id="id", seed="x"), tmp_path / "a.parquet")


def test_a_file_cut_short(path):
    whole = path.read_bytes()
    for share in (0.0, 0.3, 0.6, 0.99):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(FileError, match="'a.parquet' is no Parquet file, or was cut short"):
            kk.load(path)


def test_a_parquet_file_of_something_else(path):
    pq.write_table(pa.table({"x": [1]}), path)
    with pytest.raises(FileError, match="not an assignment written by kokeilu.save"):
        kk.load(path)


def test_a_changed_file(path):
    table = pq.read_table(path)
    column = table.column("assigned_arm").to_pylist()
    column[0] = "a" if column[0] == "b" else "b"
    pq.write_table(table.set_column(1, "assigned_arm", pa.array(column)), path)
    with pytest.raises(
        FileError, match="was changed after it was written: the fingerprint of its arms or seed differs"
    ):
        kk.load(path)


def test_rows_taken_out(path):
    pq.write_table(pq.read_table(path).slice(1), path)
    with pytest.raises(FileError, match="was changed after it was written"):
        kk.load(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"kokeilu-assignment/1", b"kokeilu-assignment/9", "has the schema 'kokeilu-assignment/9'"),
        (b'"kind":"stratified"', b'"kind":"stratifiet"', "no class is registered for kind"),
        (b'"plan":', b'"plam":', "its metadata is not complete"),
        (b"{", b"[", "not an assignment written by kokeilu.save"),
    ],
)
def test_changed_metadata(path, old, new, message):
    table = pq.read_table(path)
    metadata = table.schema.metadata[b"kokeilu"].replace(old, new, 1)
    pq.write_table(table.replace_schema_metadata({b"kokeilu": metadata}), path)
    with pytest.raises(FileError, match=message):
        kk.load(path)


def test_paths_that_lead_nowhere(path, tmp_path):
    with pytest.raises(FileError, match="there is no file 'b.parquet'"):
        kk.load(tmp_path / "b.parquet")
    with pytest.raises(FileError, match="'a.parquet' cannot be written: the folder does not exist"):
        kk.save(kk.load(path), tmp_path / "nowhere" / "a.parquet")
