"""What a results folder says is never trusted: whatever stands in it ends in a result or in one line, soon.

CHISEL_FUZZ sets how many damaged folders are tried, for a longer run.
"""

import contextlib
import copy
import functools
import json
import os
import random
import shutil
import tomllib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import analysis
from analysis.folder import (
    PROGRAM_TABLES,
    SHARD_TABLES,
    read_manifest,
    read_table,
    table_path,
    write_manifest,
    write_table,
)
from analysis.folder.digest import seal
from sweeps import load_spec, make_plan
from sweeps.cli import main
from sweeps.executors import Failed
from tests.analysis.conftest import PROGRAM, write

TRIES = int(os.environ.get("CHISEL_FUZZ", "25"))
TOML = """
name = "a"
world = "coin-line"
seeds = 3
factors.env.diversity = [0.0, 1.0]
run.chunk = 2
"""
JUNK = [
    None, True, -1, 0, 2, 10**30, 1e308, 0.5, "", "x", "../../../tmp/x", "0" * 16, [], [[]], [None], {}, {"": {}},
    {"layers": []}, "\x00", "a\nb", [0, 10**9], [3, 1], ["0" * 16] * 3,
]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with the manifest of a sweep of coin-line and with tables of what might be its lanes."""
    folder = write(tmp_path_factory.mktemp("hostile") / "whole", [({"env.diversity": 0.5}, {}, 4)])
    plan = make_plan(load_spec(tomllib.loads(TOML)))
    write_manifest(folder, [plan.layer()])
    files = sorted((folder / "outcomes").glob("*.parquet"))
    for file, shard in zip(files, plan.shard_ids, strict=False):
        for kind in SHARD_TABLES:
            write_table(folder, kind, shard, read_table(folder, kind, file.stem))
            table_path(folder, kind, file.stem).unlink()
    for kind in PROGRAM_TABLES:
        write_table(folder, kind, plan.programs[0].program.id, read_table(folder, kind, PROGRAM))
        table_path(folder, kind, PROGRAM).unlink()
    assert len(analysis.load(folder)) == 4
    return folder


def spoil_bytes(content: bytes, draw: random.Random) -> bytes:
    match draw.randrange(6):
        case 0:
            return content[: draw.randrange(len(content))]
        case 1:
            return draw.randbytes(draw.choice([0, 1, 7, 100, 5000]))
        case 2:
            start = draw.randrange(len(content))
            return content[:start] + draw.randbytes(draw.randrange(1, 40)) + content[start:]
        case 3:
            return content + draw.randbytes(9)
        case _:  # bits, mostly in the footer, which no checksum but the digest covers
            copied = bytearray(content)
            for _ in range(draw.choice([1, 1, 2, 8])):
                low = draw.choice([0, len(content) // 2, max(len(content) - 500, 0)])
                copied[draw.randrange(low, len(content))] ^= 1 << draw.randrange(8)
            return bytes(copied)


def sealed(kind: str, name: str, content: bytes) -> bytes:
    """What somebody who knows the format would do; then nothing but the readers stands between."""
    try:
        return seal(kind, name, content)
    except ValueError:  # no place for a digest is left
        return content


def spoil_table(table: pa.Table, draw: random.Random) -> pa.Table:
    names = table.column_names
    name = draw.choice(names)
    place = names.index(name)
    values = [None, "x", -1, 10**18, float("nan"), b"\xff", {"a": 1}, [1, 2], []]
    kinds = [pa.array([value] * len(table)) for value in values]
    match draw.randrange(4):
        case 0:
            return table.drop_columns([name])
        case 1:
            return table.slice(0, draw.randrange(len(table)))
        case 2:
            return pa.concat_tables([table, table])
        case _:
            return table.set_column(place, name, draw.choice(kinds))


def spoil_json(value: object, draw: random.Random) -> object:
    """A copy with one value somewhere replaced by junk."""
    value = copy.deepcopy(value)
    here = value
    while True:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        key = draw.choice(keys)
        if not isinstance(here[key], dict | list) or not here[key] or draw.random() < 0.3:
            break
        here = here[key]
    if isinstance(here, dict) and draw.random() < 0.2:
        here[draw.choice(["", "../x", "x", "0" * 16])] = here.pop(key)
    else:
        here[key] = draw.choice(JUNK)
    return value


def spoil(folder, draw: random.Random) -> None:
    file = draw.choice(
        [path for path in sorted(folder.rglob("*.*")) if path.is_file()] + [folder / "manifest.json"] * 4
    )
    with contextlib.suppress(ValueError, OSError):  # what has been spoilt before may be past reading
        if file.suffix == ".json" and draw.random() < 0.7:
            file.write_text(json.dumps(spoil_json(json.loads(file.read_bytes()), draw)))
            return
        if file.suffix == ".parquet" and draw.random() < 0.5:
            write_table(folder, file.parent.name, file.stem, spoil_table(pq.read_table(file), draw))
            return
    content = spoil_bytes(file.read_bytes() or b"0", draw)
    file.write_bytes(sealed(file.parent.name, file.stem, content) if draw.random() < 0.7 else content)


@contextlib.contextmanager
def idle(workers=None):
    yield lambda job, shards: (Failed(shard.id, "is not trained") for shard in shards)


READERS = [
    analysis.load, analysis.load_probes, analysis.load_curves, analysis.load_baselines,
    functools.partial(read_manifest),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_whatever_stands_in_a_folder_ends_in_a_result_or_in_one_line(whole, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sweeps.running.crew", lambda name, workers: idle())
    monkeypatch.setattr("sweeps.running._draw", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    outside = tmp_path / "bystander"
    outside.write_text("mine")
    (tmp_path / "spec.toml").write_text(TOML)
    refused = 0
    for number in range(TRIES):
        draw = random.Random(number)
        folder = tmp_path / "out"
        shutil.copytree(whole, folder)
        for _ in range(draw.choice([1, 1, 2])):
            spoil(folder, draw)
        for read in READERS:
            try:
                read(folder)
            except ValueError as error:
                assert len(str(error).splitlines()) == 1, (number, read)
                refused += 1
            except Exception as error:
                raise AssertionError(f"try {number}: {read} raises {error!r}") from error
        for verb in ("status out", "status out --verify --json", "rates out", "run spec.toml --out out --quiet"):
            code = main(verb.split())
            out, err = capsys.readouterr()
            assert code in (0, 2, 4), (number, verb)
            assert code != 2 or (out == "" and len(err.splitlines()) == 1), (number, verb, err)
            assert "Traceback" not in err
        shutil.rmtree(folder)
    assert refused > TRIES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bystander", "spec.toml"]


@pytest.mark.parametrize("key", ["world", "learner", "curriculum", "factors.learner.name", "arms.a.learner.name"])
def test_code_that_a_manifest_names_is_not_imported(whole, tmp_path, monkeypatch, capsys, key):
    monkeypatch.setattr("sweeps.running.crew", lambda name, workers: idle())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("open('done', 'w')")
    (tmp_path / "spec.toml").write_text(TOML)
    shutil.copytree(whole, tmp_path / "out")
    (layer,) = read_manifest(tmp_path / "out").layers
    layer.spec[key] = ["evil:Name"] if key.startswith("factors") else "evil:Name"
    write_manifest(tmp_path / "out", [layer])
    assert main(["run", "spec.toml", "--out", "out"]) == 2
    assert capsys.readouterr().err == "out: holds the run of another spec (of evil:Name); give another --out.\n"
    main(["status", "out"])
    assert not (tmp_path / "done").exists()
