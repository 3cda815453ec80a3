"""What a results folder does wherever it lies: on this machine, or in an object store."""

import json
import os
import re
import time

import numpy as np
import pyarrow as pa
import pytest

from analysis import load_policy
from analysis.folder import (
    SHARD_TABLES,
    BusyError,
    DamagedError,
    Layer,
    NoManifestError,
    ProgramRecord,
    as_place,
    damage,
    diverged_lanes,
    encode_table,
    find_policy,
    has_policies,
    load_checkpoints,
    names_in,
    read_failure,
    read_manifest,
    read_rows,
    read_table,
    save_checkpoints,
    save_policies,
    set_aside,
    store_of,
    table_path,
    times_in,
    write_failure,
    write_file,
    write_manifest,
    write_table,
)

TABLE = pa.table(
    {
        "condition": ["a", "b"],
        "value": np.array([0.0, -0.0], np.float32),
        "reached": pa.array([[1, -1], []], pa.list_(pa.int16())),
        "diverged": [True, False],
    }
)
PROGRAM, SHARDS = "a" * 16, ["1" * 16, "2" * 16]
LAYER = Layer(
    world="coin-run", learner="ppo", goals=[{"name": "coin", "role": "intended"}], factors=[], chunk=2, platform="cpu",
    versions={}, spec={}, settings={"env.length": 8}, conditions={"b" * 16: {}, "c" * 16: {}},
    seeds={"b" * 16: (0, 1), "c" * 16: (3, 5)}, arms={}, programs={PROGRAM: ProgramRecord({}, 2, 1, 1, 3)}, width=2,
    shards=SHARDS, sources={"meadow:Meadow": "d" * 16},
)  # fmt: skip
"""Three lanes in two shards: seed 0 of one condition and 3 of the other, then 4."""


@pytest.fixture(params=["local", "s3"])
def folder(request, tmp_path):
    return tmp_path / "out" if request.param == "local" else as_place(f"{request.getfixturevalue('bucket')}/out")


def test_files_appear_whole_are_read_in_part_and_can_be_set_aside(folder):
    for name, content in {"one": b"0123456789", "none": b"", "below/two": b"2"}.items():
        write_file(folder / name, content)
        assert (folder / name).read_bytes() == content
    read = store_of(folder).read_part
    assert [read(folder / "one", *how) for how in [(4, False), (4, True), (99, True)]] == [
        b"0123", b"6789", b"0123456789",
    ]  # fmt: skip
    assert set_aside(folder / "one") == folder / "one.bad"
    assert sorted(name for name, _ in store_of(folder).entries(folder) if name != "below") == ["none", "one.bad"]
    assert folder.is_dir() and not (folder / "on").exists() and store_of(folder).try_out(folder).is_good
    with pytest.raises(FileNotFoundError):
        (folder / "one").read_bytes()


def test_tables_have_the_same_bytes_everywhere_and_come_back(folder):
    assert damage(folder, SHARD_TABLES, "x") == [], "missing is not damage"
    for kind in SHARD_TABLES:
        write_table(folder, kind, "x", TABLE)
    assert table_path(folder, "outcomes", "x").read_bytes() == encode_table("outcomes", "x", TABLE)
    assert read_table(str(folder), "outcomes", "x").replace_schema_metadata(None).equals(TABLE)
    assert (damage(folder, SHARD_TABLES, "x"), diverged_lanes(folder, "x")) == (None, 1)
    assert names_in(folder, "outcomes") == {"x"} and abs(times_in(folder, "outcomes")["x"] - time.time()) < 60


def spoilt(content):
    return content[:-9] + b"?" + content[-8:]


def stripped(content):
    return content.replace(b"chisel.digest", b"chisel.xxxxxx")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [(spoilt, "its content does not match its digest"), (stripped, r"cannot be read \(it holds no digest\)")],
)
def test_what_is_not_as_it_was_written_is_refused_by_reading_as_by_verifying(folder, spoil, why):
    write_manifest(folder, [LAYER])
    write_table(folder, "outcomes", SHARDS[0], TABLE)
    path = table_path(folder, "outcomes", SHARDS[0])
    write_file(path, spoil(path.read_bytes()))
    (error,) = damage(folder, ("outcomes",), SHARDS[0])
    assert re.fullmatch(f"{re.escape(str(path))}: {why}", str(error))
    for read in (
        lambda: read_table(folder, "outcomes", SHARDS[0]),
        lambda: read_rows(folder, read_manifest(folder), "outcomes"),
    ):
        with pytest.raises(DamagedError, match=why):
            read()


def test_rows_are_those_of_the_files_that_the_manifest_names(folder):
    write_manifest(folder, [LAYER])
    for name in [*SHARDS, "3" * 16]:
        write_table(folder, "outcomes", name, TABLE)
    write_file(folder / "outcomes" / f"._{SHARDS[0]}.parquet", b"Mac OS X")
    rows = read_rows(folder, read_manifest(folder), "outcomes", lambda field: field.name == "condition")
    assert rows.to_pydict() == {"condition": ["a", "b"] * len(SHARDS)}
    with pytest.raises(ValueError, match="curves: no rows yet"):
        read_rows(folder, read_manifest(folder), "curves")


def test_a_manifest_comes_back_and_a_folder_without_one_is_none(folder):
    with pytest.raises(NoManifestError, match="out: is not a results folder: there is no such folder"):
        read_manifest(folder)
    write_file(folder / "mine", b"")
    with pytest.raises(NoManifestError, match="out: is not a results folder: it has no manifest.json"):
        read_manifest(str(folder))
    write_manifest(folder, [LAYER])
    record = json.loads((folder / "manifest.json").read_text())
    assert record.pop("format") == 1
    manifest = read_manifest(str(folder))
    assert manifest.layers == (LAYER,) and manifest.shards == dict(zip(SHARDS, (2, 1), strict=True))
    write_file(folder / "manifest.json", json.dumps(record).encode())
    assert read_manifest(folder) == manifest, "the first folders have no number, and are of format 1"


def test_the_manifest_says_where_a_lane_lies(folder):
    write_manifest(folder, [LAYER])
    with pytest.raises(ValueError, match="has no saved policies"):
        load_policy(folder, "c" * 16, 3)
    for shard, lanes in zip(SHARDS, ([0.0, 3.0], [4.0]), strict=True):
        leaves = np.array(lanes)[:, None] + np.arange(2)
        save_policies(folder, shard, [{"w": {"kernel": leaves[:1]}}, {"w": {"kernel": leaves[1:]}}])
    assert find_policy(folder, "c" * 16, 3) == (SHARDS[0], 1)
    found = [load_policy(str(folder), *lane)["w"]["kernel"] for lane in (("b" * 16, 0), ("c" * 16, 3), ("c" * 16, 4))]
    assert np.array_equal(found, [[0, 1], [3, 4], [4, 5]])
    for lane in (("c" * 16, 5), ("d" * 16, 0)):
        with pytest.raises(ValueError, match=f"has no lane of condition '{lane[0]}' and seed {lane[1]}"):
            load_policy(folder, *lane)


def test_policies_of_checkpoints_are_read_one_at_a_time_and_all_together(folder):
    write_manifest(folder, [LAYER])
    lane, shard = ("c" * 16, 3), SHARDS[0]
    last = np.arange(4.0).reshape(2, 2)
    save_policies(folder, shard, [{"w": {"kernel": last}}])
    assert list(load_checkpoints(folder, shard)) == [1.0] and not has_policies(folder, shard, checkpoints=True)
    every = (0.0, 0.25, 1.0)
    save_checkpoints(folder, shard, [{at: {"w": {"kernel": row[None] * at}} for at in every} for row in last])
    assert has_policies(folder, shard, checkpoints=True)
    found = load_checkpoints(folder, shard)
    assert [(at, found[at]["w"]["kernel"].tolist()) for at in found] == [(at, (last * at).tolist()) for at in every]
    assert load_policy(folder, *lane, 0.25)["w"]["kernel"].tolist() == [0.5, 0.75]
    assert load_policy(folder, *lane)["w"]["kernel"].tolist() == [2, 3]
    with pytest.raises(ValueError, match="has no policies saved at checkpoint 0.5; expected one of probes.at"):
        load_policy(folder, *lane, 0.5)


def test_why_a_shard_failed_is_noted(folder):
    assert read_failure(folder, "x") == "unknown"
    write_failure(folder, "x", "out of\nmemory")
    assert read_failure(folder, "x") == "out of memory" and names_in(folder, "failed") == {"x"}


def test_one_process_opens_a_folder_once_and_says_so(folder):
    store = store_of(folder)
    store.create(folder)
    with store.lock(folder) as lock, lock.of_manifest():
        assert store.holder(folder) == "this process" and lock.works == store.has_locks
        with pytest.raises(BusyError, match="this process"):
            store.lock(folder)
    assert store.holder(folder) is None


def test_a_large_file_arrives_whole(bucket):
    """In a store, in several parts of an upload."""
    content = os.urandom(12 << 20)
    write_file(f"{bucket}/large", content)
    assert as_place(f"{bucket}/large").read_bytes() == content


DAMAGES = {
    "its number of shards does not fit its lanes": lambda layer: layer["shards"].pop(),
    "its seeds are not the lanes of its programs": lambda layer: layer["programs"][PROGRAM].update(lanes=4),
    "its seeds are not those of its conditions": lambda layer: layer["seeds"].popitem(),
    "the seeds of a condition are not a range": lambda layer: layer["seeds"].update({"b" * 16: [1, 0]}),
    "a goal is incomplete": lambda layer: layer["goals"][0].update(role="hidden"),
    "the id of a shard, program or condition is not valid": lambda layer: layer["shards"].__setitem__(0, "../x"),
    "a factor, an arm or the digest of a source is not text": lambda layer: layer["factors"].append(3),
}


@pytest.mark.parametrize("why", DAMAGES)
def test_a_layer_that_contradicts_itself_is_no_layer(tmp_path, why):
    record = json.loads(json.dumps(LAYER.as_record()))
    DAMAGES[why](record)
    (tmp_path / "manifest.json").write_text(json.dumps({"layers": [record]}))
    with pytest.raises(DamagedError, match=why):
        read_manifest(tmp_path)


def test_a_layer_without_sources_is_one_of_before_they_were_recorded(tmp_path):
    record = LAYER.as_record()
    del record["sources"]
    (tmp_path / "manifest.json").write_text(json.dumps({"layers": [record]}))
    assert read_manifest(tmp_path).layers[0].sources == {}
