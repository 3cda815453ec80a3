"""Measures planning, running, loading, packing and reports on large folders, with a stand-in that trains nothing.

    python docs/scale.py FOLDER [--shards 100000] [--chunks 1] [--executors]

plans a sweep of shards of so many chunks of 10 lanes; lets `chisel run` train 1,000 of them with the stand-in of the
tests, in a folder of their own; fills FOLDER/out with all of them, in one process that does not wait for the disk; runs
that again with nothing to do; times `chisel status` and `analysis.load` on it; packs it, and times both again, the
server of `chisel browse`, a report and figures. With --executors it only lets each executor train all of them with the
stand-in, two at once. Prints Markdown.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).absolute().parents[1]
SPEC = """
name = "large"
world = "{world}"
seeds = {seeds}
[factors]
env.diversity = [{values}]
[run]
chunk = 10
shard_chunks = {chunks}
"""
CONDITIONS = 1000
PLAN = """
import json, sys, sweeps, sweeps.layers
from pathlib import Path
plan = sweeps.make_plan(sweeps.load_spec(sys.argv[1]))
text = json.dumps(plan.layer().as_record())
part = sweeps.layers.Part(3, 16).of_layer(plan)
print(f"{plan.lanes:,} lanes, {len(plan.shard_ids):,} shards, manifest {len(text) / 1e6:.1f} MB", end="")
"""
FILL = """
import os, sys
os.fsync = lambda descriptor: None
from sweeps.cli import main
sys.exit(main(sys.argv[1:]))
"""
LOAD = """
import sys, analysis
df = analysis.load(sys.argv[1])
print(f"{len(df):,} rows", end="")
"""


LEAN = """
import sys, analysis
from pyarrow.compute import field
df = analysis.load(sys.argv[1], columns=["env.diversity", "label"], filter=field("env.diversity") < 0.1)
print(f"{len(df):,} rows", end="")
"""
PAGE = """
import sys
from pathlib import Path
from sweeps.cli import main
code = main(["report", sys.argv[1], "--out", sys.argv[2]])
print(f" page {Path(sys.argv[2]).stat().st_size / 1e6:.1f} MB")
sys.exit(code)
"""
BROWSE = """
import sys, time
from analysis.browse import Browsed, application
times = [time.process_time()]
get = application(Browsed([sys.argv[1]])).test_client().get
times.append(time.process_time())
get("/")
dots = get("/api/view?x=env.diversity").json["dots"]
times.append(time.process_time())
get("/api/view?x=env.diversity&measure=return_mean")
times.append(time.process_time())
lane = {"master_seed": dots["master_seed"][0], "condition": dots["conditions"][0], "seed": dots["seed"][0]}
assert get("/api/seed", query_string=lane).json["curve"]
times.append(time.process_time())
parts = zip(("ready", "first figure", "another", "a seed"), times, times[1:])
print(", ".join(f"{what} {after - before:.2f} s" for what, before, after in parts), end="")
"""
KINDS = ("dose", "scatter", "lines", "training")
"""Of figures: those that a sweep of one factor with so many values has."""


def timed(what: str, command: list[str], fake: bool) -> None:
    path = os.pathsep.join(map(str, [ROOT / "tests" / "sweeps" / "fake", ROOT] if fake else [ROOT]))
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command], env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE, text=True, cwd="/"
    )
    assert process.stdout is not None
    said = process.stdout.read().splitlines()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{what}: exit code {os.waitstatus_to_exitcode(status)}")
    seconds, busy = time.perf_counter() - began, used.ru_utime + used.ru_stime
    figures = f"{seconds:.1f} s | {busy:.1f} s | {used.ru_maxrss / 1024:,.0f} MB"
    print(f"| {what} | {figures} | {said[-1].strip() if said else ''} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shards", type=int, default=100_000)
    parser.add_argument("--chunks", type=int, default=1)
    parser.add_argument("--executors", action="store_true")
    given = parser.parse_args()
    if given.shards * given.chunks * 10 < CONDITIONS:
        parser.error(f"{CONDITIONS:,} conditions have a lane each: at least {CONDITIONS // 10} chunks")
    given.folder = given.folder.absolute()
    given.folder.mkdir(parents=True, exist_ok=True)
    seeds = given.shards * given.chunks * 10 // CONDITIONS
    specs = {}
    for world in ("toy", "coin-run"):
        values = ", ".join(str(i / (CONDITIONS - 1)) for i in range(CONDITIONS))
        specs[world] = given.folder / f"{world}.toml"
        specs[world].write_text(SPEC.format(world=world, seeds=seeds, values=values, chunks=given.chunks))
    out = str(given.folder / "out")
    chisel = ["-m", "sweeps.cli"]
    print("| what | time | processor time | peak memory | |\n|---|---|---|---|---|")
    if given.executors:
        for name in ("processes", "ray"):
            command = ["run", str(specs["toy"]), "--quiet", "--workers", "2", "--executor", name, "--out"]
            timed(name, [*chisel, *command, f"{out}-{name}"], fake=True)
        return
    timed("plan of coin-run", ["-c", PLAN, str(specs["coin-run"])], fake=False)
    for what in ("chisel plan of it, the first here", "chisel plan of it"):
        timed(what, [*chisel, "plan", str(specs["coin-run"])], fake=False)
    run = ["run", str(specs["toy"]), "--quiet", "--out"]
    some = f"1/{max(given.shards // 1000, 1)}"
    timed("run of 1,000 shards of the stand-in", [*chisel, *run, f"{out}-1000", "--shards", some], fake=True)
    timed("all shards, without waiting for the disk", ["-c", FILL, *run, out, "--executor", "inline"], fake=True)
    timed("run with nothing to do", [*chisel, *run, out], fake=True)
    timed("status", [*chisel, "status", out], fake=False)
    timed("load", ["-c", LOAD, out], fake=False)
    timed("pack", [*chisel, "pack", out], fake=False)
    timed("packed: status", [*chisel, "status", out], fake=False)
    timed("packed: load", ["-c", LOAD, out], fake=False)
    timed("packed: load of two columns of a tenth of the lanes", ["-c", LEAN, out], fake=False)
    timed("packed: browse, processor time", ["-c", BROWSE, out], fake=False)
    page = str(given.folder / "report.html")
    timed("packed: report", ["-c", PAGE, out, page], fake=False)
    for kind in KINDS:
        picture = str(given.folder / f"{kind}.png")
        timed(f"packed: figure, {kind}", [*chisel, "figure", out, "--kind", kind, "--out", picture], fake=False)


if __name__ == "__main__":
    main()
