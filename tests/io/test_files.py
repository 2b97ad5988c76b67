from __future__ import annotations

import json

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


def test_an_assignment_is_no_csv(path, tmp_path):
    with pytest.raises(FileError, match="written as Parquet, not as '.csv'. Name the file assignment.parquet"):
        kk.save(kk.load(path), tmp_path / "assignment.csv")


def test_paths_that_lead_nowhere(path, tmp_path):
    with pytest.raises(FileError, match="there is no file 'b.parquet'"):
        kk.load(tmp_path / "b.parquet")
    with pytest.raises(FileError, match="'a.parquet' cannot be written: the folder does not exist"):
        kk.save(kk.load(path), tmp_path / "nowhere" / "a.parquet")


def _with_metadata(path, change):
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[b"kokeilu"])
    change(about)
    pq.write_table(table.replace_schema_metadata({b"kokeilu": json.dumps(about).encode()}), path)


@pytest.mark.parametrize(
    ("register", "design", "id", "seed"),
    [
        ({"id": [1, 2, 3, 4]}, kk.Clustered(kk.Complete(kk.arms(a=1, b=1)), by="id"), "id", "x"),
        ({"a\u0308": [1, 2], "o\u0308": ["x", "y"]}, kk.Stratified(kk.arms(a=1, b=1), by="o\u0308"), "a\u0308", "x"),
        ({"id": [1, 2]}, kk.Complete(kk.arms({"a\u0308": 1, "b": 1})), "id", "a\u0308"),
        (
            {name: [1, 2, 3, 4] for name in ("id", "arm", "assigned_arm", "assigned_assigned_arm")},
            kk.Stratified(kk.arms(a=1, b=1), by=("arm", "assigned_arm", "assigned_assigned_arm")),
            "id",
            "x",
        ),
    ],
    ids=["each person a cluster", "decomposed column names", "decomposed arm and seed", "names of the arm taken"],
)
def test_names_that_are_hard_to_write_come_back(register, design, id, seed, tmp_path):
    drawn = kk.randomise(register, design, id=id, seed=seed)
    back = kk.load(kk.save(drawn, tmp_path / "a.parquet"))
    assert back.fingerprint == drawn.fingerprint
    assert kk.verify(back, register).verified


def test_the_frame_keeps_the_arm_apart_from_a_column_of_that_name():
    drawn = kk.randomise(REGISTER, DESIGNS[0], id="id", seed="x")
    frame = drawn.to_frame()
    assert list(frame) == ["id", "assigned_arm", "arm"]
    assert frame[drawn.arm_column].value_counts().to_dict() == drawn.counts()
    assert set(frame["arm"]) == {"n", "s", "w", "e"}
    by_person = kk.randomise({"id": [1, 2]}, kk.Clustered(DESIGNS[2], by="id"), id="id", seed=1).to_frame()
    assert by_person["id"].tolist() == [1, 2]


@pytest.mark.parametrize(
    "change",
    [
        lambda about: about["mechanism"]["arms"]["items"].reverse(),
        lambda about: about["seed"].update(text="y"),
        lambda about: about["seed"].update(kind="", text="tx"),
        lambda about: about["seed"].update(kind="i", text="\uff11"),
        lambda about: about["seed"].update(text=5),
        lambda about: about.update(seed=[]),
        lambda about: about.update(plan=[]),
        lambda about: about.update(plan=""),
        lambda about: about.update(mechanism="x"),
        lambda about: about["mechanism"]["arms"].update(items=[["a", "1", "0"]]),
        lambda about: about["mechanism"]["arms"].update(items=5),
        lambda about: about.update(fingerprints=None),
        lambda about: about.pop("fingerprints"),
        lambda about: about.update(arm="id"),
        lambda about: about.update(id=["id"]),
    ],
)
def test_metadata_that_was_tampered_with(path, change):
    _with_metadata(path, change)
    with pytest.raises(FileError, match="does not hold a whole assignment|was changed after it was written") as info:
        kk.load(path)
    assert "P0" not in str(info.value)
    assert info.value.__context__ is None


def test_metadata_nested_without_end(path):
    pq.write_table(pq.read_table(path).replace_schema_metadata({b"kokeilu": b"[" * 100_000}), path)
    with pytest.raises(FileError, match="not an assignment written by kokeilu.save"):
        kk.load(path)


def test_columns_and_codes_that_were_swapped(path):
    table = pq.read_table(path)
    swapped = pa.array([{"a": "b", "b": "a"}[arm] for arm in table.column("assigned_arm").to_pylist()])
    for changed in (
        table.set_column(1, "assigned_arm", swapped),
        table.rename_columns(["person", *table.column_names[1:]]),
    ):
        pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path)
        with pytest.raises(FileError, match="was changed after it was written|has no column 'id'"):
            kk.load(path)
    pq.write_table(table.take(list(range(23, -1, -1))), path)
    assert kk.load(path).counts() == {"a": 8, "b": 16}


@pytest.mark.parametrize("place", [None, 5, b"a.parquet", "", "a\x00b"])
def test_what_is_no_path(path, place):
    drawn = kk.load(path)
    for action in (lambda: kk.save(drawn, place), lambda: kk.load(place)):
        with pytest.raises(FileError, match="a path must be text|the path names no file"):
            action()


def test_a_failed_write_leaves_no_file_with_ids_behind(path, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileError, match="'folder' cannot be written"):
        kk.save(kk.load(path), tmp_path / "folder")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.parquet", "folder"]
