"""Results in an object store: a real server process on loopback, and a proxy that spoils a share of the requests."""

import os
import re
import time

import pandas as pd
import pytest

import analysis
from analysis.folder import (
    Remote,
    RemoteError,
    as_place,
    claims,
    damage,
    diverged_lanes,
    encode_table,
    names_in,
    read_manifest,
    write_file,
    write_table,
)
from sweeps import cli, pack, status
from sweeps.doctor import _store
from tests.analysis.folder.test_contract import TABLE
from tests.sweeps.faults import KINDS, FaultyProxy

pytest.importorskip("moto")


@pytest.fixture
def remote(toy, bucket):
    """`toy` with the environment that leads to the bucket."""
    toy.variables |= {key: value for key, value in os.environ.items() if key.startswith("AWS_")}
    return toy


def objects(place, ending=""):
    """Content by relative name."""
    found = {str(one).removeprefix(f"{place}/"): one.read_bytes() for one, _ in place.scan(recursive=True)}
    return {name: content for name, content in found.items() if name.endswith(ending)}


def test_a_place_in_a_store_is_told_by_its_uri():
    place = as_place("s3://bucket/a//b/?region=eu-west-1")
    assert place == Remote("s3", "bucket/a/b", "region=eu-west-1")
    assert as_place(str(place / "c.parquet")) == place / "c.parquet"
    assert ((place / "c.parquet").name, (place / "c.parquet").stem) == ("c.parquet", "c")
    for uri, why in {
        "s3://": "names no folder in a bucket; expected s3://BUCKET/PATH",
        "s3://bucket/../other": "names no folder in a bucket",
        "s3://bucket/x?color=blue": "has an unknown option; known: region, endpoint_override",
        "hdfs://host/x": "there is no store hdfs://; expected s3://BUCKET/PATH or gs://BUCKET/PATH, or a folder",
        "s3://key:secret@bucket/x": "a URI may not contain credentials",
    }.items():
        with pytest.raises(RemoteError, match=re.escape(why)) as error:
            as_place(uri)
        assert "secret" not in str(error.value)


@pytest.mark.slow
def test_a_table_is_verified_and_a_store_that_fails_is_neither_damage_nor_absence(bucket, server, monkeypatch):
    folder = as_place(f"{bucket}/folder")
    write_table(folder, "outcomes", "x", TABLE)
    content = (folder / "outcomes" / "x.parquet").read_bytes()
    assert content == encode_table("outcomes", "x", TABLE)
    assert (damage(folder, ("outcomes",), "x"), diverged_lanes(folder, "x")) == (None, 1)
    assert damage(folder, ("outcomes",), "y") == []
    write_file(folder / "outcomes" / "x.parquet", content[:-9] + b"?" + content[-8:])
    assert [str(error) for error in damage(folder, ("outcomes",), "x") or ()] == [
        f"{bucket}/folder/outcomes/x.parquet: its content does not match its digest"
    ]
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    asking = [
        lambda there: damage(there, ("outcomes",), "x"),
        lambda there: diverged_lanes(there, "x"),
        lambda there: names_in(there, "outcomes"),
        read_manifest,
    ]
    for kind in ("500", "drop", "403"):
        with FaultyProxy(server, 1.0, kinds=(kind,)) as proxy:
            there = as_place(f"{folder}?endpoint_override=127.0.0.1:{proxy.server_port}&scheme=http")
            for call in asking:
                with pytest.raises(RemoteError, match=r"^s3://[^\n]*$"):
                    call(there)


@pytest.mark.slow
def test_a_sweep_in_a_store_has_the_bytes_of_a_local_one_and_every_verb_reads_it(
    remote, bucket, complete, contents, capsys
):
    uri = f"{bucket}/deep/out"
    done = remote("run", "toy.toml", "--out", uri)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, f"15 of 15 lanes in {uri}, 15 of them trained now")
    assert f"{uri}: this storage has no locks; make sure that no other run trains the same shards." in done.stderr
    assert objects(as_place(uri)) == contents(complete)
    assert remote.run(out=uri).stdout.startswith("Complete already: 15 of 15")
    pd.testing.assert_frame_equal(analysis.load(uri), analysis.load(complete))
    pd.testing.assert_frame_equal(analysis.load_curves(uri), analysis.load_curves(complete))
    assert pack(uri).shards == 8 and len(names_in(as_place(uri), "outcomes")) == 1
    assert remote.run(out=uri).stdout.startswith("Complete already: 15 of 15")
    pd.testing.assert_frame_equal(analysis.load(uri), analysis.load(complete))
    found = status(uri, verify=True)
    assert (found["lanes"]["done"], found["shards"]["damaged"], found["running"]) == (15, 0, None)
    assert _store(as_place(uri)).good
    said = []
    for folder in (uri, str(complete)):
        assert cli.main(["rates", folder]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert cli.main(["figure", uri]) == 0
    assert capsys.readouterr().out == f"{uri}/overview.png\n"
    assert (as_place(uri) / "overview.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_killed_and_run_again_ends_with_the_same_bytes_and_a_spoilt_object_is_made_anew(
    remote, bucket, complete, contents
):
    uri = f"{bucket}/out"
    process = remote.start("run", "toy.toml", "--out", uri, "--executor", "inline", fake={"sleep": 0.1})
    while len(names_in(as_place(uri), "outcomes")) < 3:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.kill()
    process.communicate()
    there = sorted(names_in(as_place(uri), "outcomes"))
    victim = as_place(uri) / "probes" / f"{there[0]}.parquet"
    victim.write_bytes(victim.read_bytes()[:-20])
    assert 0 < status(uri)["lanes"]["done"] < 15
    done = remote.run(out=uri)
    assert (done.returncode, "15 of 15 lanes" in done.stdout) == (0, True), done.stderr
    found = f"{victim}: its content does not match its digest; kept as {victim.name}.bad, and created again."
    assert found in done.stderr
    now = {name: content for name, content in objects(as_place(uri)).items() if not name.endswith(".bad")}
    assert now == contents(complete)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(int(os.environ.get("CHISEL_FAULTS", "1"))))
def test_a_fifth_of_all_requests_spoilt_costs_time_and_no_row(remote, bucket, server, complete, contents, seed):
    """Every other seed gives up after three attempts and runs again; whatever is there at any time is right."""
    attempts, tries = ("3", 50) if seed % 2 else ("8", 1)
    remote.variables["AWS_MAX_ATTEMPTS"], expected = attempts, contents(complete)
    with FaultyProxy(server, 0.2, seed=seed) as proxy:
        remote.variables["AWS_ENDPOINT_URL"] = proxy.url
        for _ in range(tries):
            done = remote.run(out=f"{bucket}/out")
            assert done.returncode in (0, 2, 4) and "Traceback" not in done.stderr, done.stderr
            tables = objects(as_place(f"{bucket}/out"), ".parquet")
            assert tables.items() <= expected.items(), "a table that is whole and wrong"
            if done.returncode == 0:
                break
        assert done.returncode == 0, done.stderr
    assert sum(proxy.seen[kind] for kind in KINDS) > 10
    assert tables == {name: content for name, content in expected.items() if name.endswith(".parquet")}


@pytest.mark.slow
def test_where_a_store_gives_up_shards_fail_with_the_reason_and_running_again_completes_them(
    remote, bucket, server, complete, contents
):
    remote.variables["AWS_MAX_ATTEMPTS"] = "2"
    uri = f"{bucket}/out"
    with FaultyProxy(server, 1.0, kinds=("503",), only=r"PUT \S+/curves/") as proxy:
        there = {**remote.variables}
        remote.variables["AWS_ENDPOINT_URL"] = proxy.url
        done = remote.run(out=uri)
        remote.variables = there
    assert (done.returncode, done.stdout.splitlines()[0]) == (4, f"0 of 15 lanes in {uri}, 0 of them trained now")
    failed = [line for line in done.stderr.splitlines() if line.startswith("chisel: shard ")]
    assert len(failed) == 8 and "8 shards failed; run again to continue." in done.stderr
    assert all("it asks for fewer requests; run again later, or with fewer workers" in line for line in failed)
    found = status(uri)
    assert (found["lanes"]["done"], found["lanes"]["failed"], len(found["failed"])) == (0, 15, 8)
    assert "RemoteError: s3://" in found["failed"][0]["reason"]
    assert remote.run(out=uri).returncode == 0
    assert objects(as_place(uri)) == contents(complete)


def test_what_a_store_refuses_is_one_line_and_nothing_is_trained(remote, bucket, server, monkeypatch, capsys):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    remote.variables["AWS_MAX_ATTEMPTS"] = "1"

    def refused(*arguments):
        assert cli.main(list(arguments)) == 2
        said = capsys.readouterr()
        assert (said.out, len(said.err.splitlines())) == ("", 1), said.err
        return said.err

    def run(uri):
        done = remote.run(out=uri)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
        return done.stderr

    uri = "s3://no-such-bucket/out"
    line = run(uri)
    assert line.startswith(f"{uri}/") and ": there is no such bucket; create it, or give another (AWS Error" in line
    assert refused("status", uri) == f"{uri}: is not a results folder: there is no such folder.\n"
    assert refused("rates", uri) == f"{uri}: is not a results folder: there is no such folder.\n"
    with FaultyProxy(server, 1.0, kinds=("403",)) as proxy:
        remote.variables["AWS_ENDPOINT_URL"] = proxy.url
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        for line in (run(f"{bucket}/out"), refused("status", f"{bucket}/out"), refused("rates", f"{bucket}/out")):
            assert line.startswith(f"{bucket}/out")
            assert ": access is denied; check the credentials and what they allow (AWS Error ACCESS_DENIED" in line
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert "it cannot be reached; check the network and AWS_ENDPOINT_URL" in refused("status", f"{bucket}/out")
    assert "there is no store ftp://" in refused("status", "ftp://host/out")


@pytest.mark.slow
def test_two_runs_that_start_at_once_lose_no_layer(remote, bucket):
    uri = f"{bucket}/out"
    runs = [
        remote.start("run", "toy.toml", "--out", uri, "--executor", "inline", "--set", f"seeds={n}") for n in (5, 8)
    ]
    said = [one.communicate(timeout=100) for one in runs]
    assert [one.returncode for one in runs] == [0, 0], said
    assert len(analysis.load(uri)) == status(uri, verify=True)["lanes"]["planned"] == 24
    assert status(uri)["layers"] in ([24], [15, 9])


def test_one_run_at_a_time_writes_a_manifest_and_a_dead_one_does_not_keep_it(bucket, monkeypatch):
    folder = as_place(f"{bucket}/out")
    monkeypatch.setattr(claims, "WAIT_SECONDS", 0.0)
    with (
        claims.claim(folder),
        pytest.raises(RemoteError, match="other runs are writing its manifest, by [0-9a-f]{32}"),
        claims.claim(folder),
    ):
        pass
    assert not list((folder / "claims").scan())
    (folder / "claims" / "dead").write_bytes(b"")
    monkeypatch.setattr(claims, "CLAIM_SECONDS", -3600.0)
    with claims.claim(folder):
        assert [one.name for one, _ in (folder / "claims").scan()] != ["dead"]
    assert not list((folder / "claims").scan())
