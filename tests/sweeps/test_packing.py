"""Finished shards' tables are merged into few files: nothing is lost, nothing is there twice, and folders grow on."""

import os
import shutil

import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import analysis
import sweeps.packing
from analysis.folder import SHARD_TABLES, DamagedError, finished, names_in, read_manifest, store_of, table_path
from sweeps import pack, status
from sweeps.cli import main
from tests.sweeps.fault_damage import State

READ = (analysis.load, analysis.load_probes, analysis.load_curves, analysis.load_labels, analysis.load_baselines)


@pytest.fixture
def folder(complete, tmp_path):
    return shutil.copytree(complete, tmp_path / "out")


def everything(folder):
    return [read(folder) for read in READ]


def same(folder, whole):
    for one, other in zip(everything(folder), everything(whole), strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_a_packed_folder_reads_as_before(folder, complete):
    done = pack(folder)
    assert (done.shards, done.files, done.before, done.alone, done.damaged) == (8, 1, 0, 0, ())
    for kind in SHARD_TABLES:
        (name,) = names_in(folder, kind)
        assert sorted(map(repr, pq.read_table(table_path(folder, kind, name)).to_pylist())) == sorted(
            repr(row) for path in (complete / kind).iterdir() for row in pq.read_table(path).to_pylist()
        )
    same(folder, complete)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}
    again = pack(folder)
    assert (again.shards, again.files, again.before) == (0, 0, 8)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")} == before
    now, then = status(folder, verify=True), status(complete, verify=True)
    assert [now[key] for key in ("lanes", "shards", "damaged")] == [then[key] for key in ("lanes", "shards", "damaged")]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("at", (1, 5, 11, 13, 22, 30))
def test_killed_at_any_file_nothing_is_lost_or_twice_and_it_goes_on(folder, complete, monkeypatch, at):
    """Each write, and each removal, is one of 3 x 4 + 24."""
    left = [at]

    def counted(call):
        def calling(*arguments, **options):
            left[0] -= 1
            if not left[0]:
                raise Killed
            return call(*arguments, **options)

        return calling

    with monkeypatch.context() as patch:
        patch.setattr("analysis.folder.local.LocalStore.write", counted(store_of(folder).write.__func__))
        patch.setattr(type(folder), "unlink", counted(type(folder).unlink))
        with pytest.raises(Killed):
            pack(folder, pack_bytes=10_000)
    whole = State(complete)
    assert {key: value for key, value in State(folder).against(whole).items() if value} == {
        "checked": sum(map(len, whole.rows.values()))
    }
    pd.testing.assert_frame_equal(analysis.load(folder), analysis.load(complete), check_exact=True)
    pack(folder, pack_bytes=10_000)
    manifest = read_manifest(folder)
    assert not finished(folder, manifest.shards).left_over and 1 < len(finished(folder, manifest.shards).packs) <= 4
    for kind in SHARD_TABLES:
        assert names_in(folder, kind) == names_in(folder, "outcomes")
    pd.testing.assert_frame_equal(analysis.load(folder), analysis.load(complete), check_exact=True)


def test_a_packed_folder_grows_and_is_packed_again(toy):
    assert toy.run("--set", "seeds=3").returncode == 0
    out = toy.folder / "out"
    assert pack(out).shards == 5
    assert "Complete already" in toy.run("--set", "seeds=3").stdout
    grown = toy.run()
    assert grown.returncode == 0 and "6 of them trained now" in grown.stdout
    assert pack(out).shards == 3 and len(names_in(out, "outcomes")) == 2
    assert "Complete already: 15 of 15 lanes" in toy.run().stdout
    assert len(analysis.load(out)) == 15


def test_a_damaged_pack_is_set_aside_and_its_lanes_are_made_again(folder, complete, toy):
    pack(folder)
    (name,) = names_in(folder, "probes")
    path = table_path(folder, "probes", name)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedError, match=f"probes/{name}.parquet: its content does not match its digest"):
        analysis.load(folder)
    assert status(folder, verify=True)["shards"]["damaged"] == 1
    done = toy.run()
    assert done.returncode == 0 and "15 of them trained now" in done.stdout
    assert f"{path}: its content".split("out/")[1] in done.stderr and "its 8 shards are trained again" in done.stderr
    assert {path.name for path in folder.rglob("*.bad")} == {f"{name}.parquet.bad"}
    same(folder, complete)


def test_the_tables_of_a_program_are_made_again_without_training(folder, toy):
    pack(folder)
    (name,) = names_in(folder, "levels")
    before = table_path(folder, "levels", name).read_bytes()
    table_path(folder, "levels", name).unlink()
    assert toy.run().returncode == 0
    assert table_path(folder, "levels", name).read_bytes() == before and len(names_in(folder, "outcomes")) == 1


def test_a_damaged_shard_stays_as_it_is_and_parts_its_neighbours(folder, capsys):
    shards = list(read_manifest(folder).shards)
    table_path(folder, "curves", shards[3]).write_bytes(b"")
    assert main(["pack", str(folder)]) == 0
    said = capsys.readouterr()
    assert said.out == f"Packed 7 shards in 2 files of each table in {folder}; 1 keep files of their own\n"
    assert said.err.startswith(f"chisel: not packed: {folder}/curves/{shards[3]}.parquet: cannot be read")


def test_what_cannot_be_packed_is_named_in_one_line(folder, tmp_path, capsys):
    def refusal(place):
        assert main(["pack", str(place)]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        return said

    assert "is not a results folder: there is no such folder" in refusal(tmp_path / "nowhere")
    with store_of(folder).lock(folder):
        assert f"{folder}: a run is training here (this process); pack it when that has ended." in refusal(folder)
    shard = next(iter(read_manifest(folder).shards))
    rows = pq.read_table(table_path(folder, "probes", shard)).replace_schema_metadata(None)
    old = rows.select(rows.column_names[: rows.column_names.index("episodes")])
    analysis.folder.write_table(folder, "probes", shard, old)
    assert "holds episodes that have not been counted: an earlier version wrote it" in refusal(folder)
    (folder / "manifest.json").write_text("{}")
    assert "is not the manifest of a results folder" in refusal(folder)


def test_parts_that_a_killed_command_left_go_once_nobody_can_be_at_work_on_them(folder, tmp_path, monkeypatch):
    shards = list(read_manifest(folder).shards)
    left = table_path(folder, "probes", analysis.folder.pack_name(shards, range(1, 3)))
    shutil.copy(table_path(folder, "probes", shards[1]), left)
    monkeypatch.setattr(type(store_of(folder)), "has_locks", False)
    sweeps.packing._remove_abandoned(folder, shards, SHARD_TABLES)
    assert left.exists()
    os.utime(left, (0, 0))
    sweeps.packing._remove_abandoned(folder, shards, SHARD_TABLES)
    assert not left.exists()


def test_a_table_that_only_some_worlds_have_is_kept_as_the_others_are(toy):
    """It is checked, made again where it is missing, packed, read, and says where there is none."""
    fake, out = {"preference": True}, toy.folder / "out"
    assert toy.run(fake=fake).returncode == 0
    before = analysis.load_preferences(out)
    assert len(before) == 2 * 15 and {"int8", "int16"} == {str(before[name].dtype) for name in ("kind", "kind_first")}
    shards = list(read_manifest(out).shards)
    assert read_manifest(out).tables == ("preference", *SHARD_TABLES)
    table_path(out, "preference", shards[2]).unlink()
    table_path(out, "preference", shards[3]).write_bytes(b"")
    assert status(out, verify=True)["shards"]["damaged"] == 1
    again = toy.run(fake=fake)
    assert "4 of them trained now" in again.stdout and "preference" in again.stderr
    pd.testing.assert_frame_equal(analysis.load_preferences(out), before, check_exact=True)
    assert pack(out).shards == 8 and len(names_in(out, "preference")) == 1
    pd.testing.assert_frame_equal(analysis.load_preferences(out), before, check_exact=True)
    one = analysis.load_preferences(out, columns=["seed", "kind_first"], filter=pc.field("rival") == 2)
    assert len(one) == 15 and list(one) == ["seed", "kind_first"]


def test_a_world_that_compares_no_kinds_says_so(complete):
    with pytest.raises(ValueError, match="has no preferences: toy compares no kinds"):
        analysis.load_preferences(complete)
