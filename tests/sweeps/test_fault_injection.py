"""A few of the sweeps of `fault_injection`, which tries hundreds; see docs/fault-injection.md."""

import sys

import pyarrow as pa
import pytest
from tqdm import tqdm

from analysis.folder import table_path, write_table
from sweeps.progress import say
from tests.sweeps.fault_damage import State
from tests.sweeps.fault_injection import good, inject


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks, and limits the size of files")
def test_whatever_befalls_a_sweep_it_ends_with_every_row_once_and_right(tmp_path):
    pytest.importorskip("moto")
    found = list(inject(7, 1, ["inline", "processes"], tmp_path, trains=False, at_once=1))
    assert [one for one in found if not good(one)] == []
    assert len(found) == 6 and sum(len(one["injected"]) for one in found) >= 10
    assert {one["whole"] for one in found} == {168}


def test_a_notice_to_end_while_a_line_is_written_is_no_other_error(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.delattr(tqdm, "_lock", raising=False)
    monkeypatch.setattr(tqdm, "get_lock", interrupted)
    say("one")
    assert capsys.readouterr().err == "chisel: one\n"


def test_rows_lost_twice_or_wrong_are_counted(tmp_path):
    def state(name, *shards):
        for shard, rows in enumerate(shards):
            condition, seed, value = zip(*rows, strict=True)
            table = pa.table({"condition": condition, "seed": seed, "return_mean": value})
            write_table(tmp_path / name, "outcomes", f"{shard:016}", table)
        return State(tmp_path / name)

    nan = float("nan")
    whole = state("whole", [("a", 0, 0.5), ("a", 1, nan)], [("b", 0, 0.0), ("b", 1, 2.0)])
    same = state("same", [("a", 1, nan), ("b", 1, 2.0), ("b", 0, 0.0)], [("a", 0, 0.5)])
    assert same.against(whole) == {"checked": 4, "lost": 0, "duplicated": 0, "wrong": 0, "damaged": []}
    spoilt = state("spoilt", [("a", 0, 0.5), ("a", 1, 1.0)], [("a", 0, 0.5), ("b", 0, -0.0), ("c", 0, 1.0)])
    assert spoilt.against(whole) == {"checked": 5, "lost": 1, "duplicated": 1, "wrong": 3, "damaged": []}
    path = table_path(tmp_path / "same", "outcomes", f"{0:016}")
    path.write_bytes(path.read_bytes()[:-1])
    left = State(tmp_path / "same").against(whole)
    assert (left["lost"], left["damaged"]) == (3, [f"outcomes/{path.name}"])
