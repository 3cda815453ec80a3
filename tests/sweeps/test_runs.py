"""What a run promises, on a stand-in world that takes no time: nothing lost, nothing twice, nothing else touched."""

import json
import os
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def outcomes(folder):
    return pq.read_table(folder / "outcomes").to_pandas()


def test_workers_have_one_thread_and_one_core(toy):
    assert toy("run", "toy.toml", "--out", "out", "--quiet", fake={"cores": True}).stderr == ""
    df = outcomes(toy.folder / "out")
    assert set(df["threads"]) == {1}
    assert set(df["cores"]) == {1}


@LINUX
def test_ctrl_c_exits_3_says_what_is_on_disk_and_leaves_no_process(toy):
    process = toy.start("run", "toy.toml", "--out", "out", fake={"sleep": 0.2})
    while not list((toy.folder / "out").glob("outcomes/*.parquet")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 3
    assert "Traceback" not in err
    there = len(outcomes(toy.folder / "out"))
    assert 0 < there < 15
    assert (
        err.splitlines()[-1] == f"chisel: interrupted. {there} of 15 lanes are on disk in out; run again to continue."
    )
    assert toy.workers() == []


def truncated(path):
    path.write_bytes(path.read_bytes()[:-20])


def flipped(path):
    """One bit, in the midst of the data."""
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [truncated, flipped])
@pytest.mark.parametrize("kind", ["outcomes", "probes", "curves", "levels", "baselines"])
def test_a_spoilt_table_is_named_kept_aside_and_made_again(trained, complete, contents, kind, spoil):
    whole = contents(complete)
    victim = sorted((trained.folder / "out" / kind).glob("*.parquet"))[0]
    spoil(victim)
    status = trained("status", "out", "--verify")
    if kind in ("outcomes", "probes", "curves"):
        assert victim.name in status.stdout
    done = trained.run()
    assert done.returncode == 0
    line = next(line for line in done.stderr.splitlines() if victim.name in line)
    assert line.startswith(f"chisel: out/{kind}/{victim.name}: ")
    assert line.endswith(f"kept as {victim.name}.bad, and created again.")
    assert victim.with_name(f"{victim.name}.bad").exists()
    now = contents(trained.folder / "out")
    assert {path: content for path, content in now.items() if not path.endswith(".bad")} == whole


@pytest.mark.slow
def test_a_folder_of_another_spec_is_refused_and_untouched(trained, contents):
    before = contents(trained.folder / "out")
    for change, shown in {
        "fixed.learner.learning_rate=0.1": "fixed.learner.learning_rate not given there, 0.1 here",
        "run.chunk=3": "run.chunk 2 there, 3 here",
        "master_seed=1": "master_seed 0 there, 1 here",
        "keys=paired": 'keys "independent" there, "paired" here',
        "probes.at=[1]": "probes.at [0.0, 0.25, 0.5, 1.0] there, [1.0] here",
        "factors.env.diversity=[0.25]": "factors.env.diversity [0.0, 0.5, 1.0] there, [0.25] here",
        "factors={learner.learning_rate=[0.1, 0.2]}": "factors.learner.learning_rate not given there, [0.1, 0.2] here",
    }.items():
        refused = trained.run("--set", change)
        assert refused.returncode == 2
        assert refused.stderr.startswith(f"out: holds the run of another spec ({shown}")
        assert refused.stderr.endswith("); give another --out, or the same spec.\n")
        assert len(refused.stderr.splitlines()) == 1
    assert contents(trained.folder / "out") == before
    assert trained.run("--set", "name='other'").returncode == 0


@pytest.mark.slow
def test_a_folder_whose_arms_had_other_names_is_refused_and_their_order_does_not_matter(toy, contents):
    arms = ["arms.one={learner.learning_rate=0.1}", "arms.two={learner.learning_rate=0.2}"]
    swapped = ["arms.two={learner.learning_rate=0.1}", "arms.one={learner.learning_rate=0.2}"]

    def run(*given):
        return toy.run(*(part for one in given for part in ("--set", one)))

    assert run(*arms).returncode == 0
    before = contents(toy.folder / "out")
    shown = "arms.two.learner.learning_rate 0.2 there, 0.1 here, arms.one.learner.learning_rate 0.1 there, 0.2 here"
    assert run(*swapped).stderr.startswith(f"out: holds the run of another spec ({shown})")
    assert run(*arms[::-1]).stdout.startswith("Complete already: 30 of 30 lanes")
    assert contents(toy.folder / "out") == before


@pytest.mark.slow
def test_a_folder_with_tables_of_unknown_origin_or_a_broken_manifest_is_refused(trained):
    manifest = trained.folder / "out" / "manifest.json"
    good = manifest.read_bytes()
    manifest.write_bytes(good[: len(good) // 2])
    refused = trained.run()
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert refused.stderr.startswith("out/manifest.json: is not the manifest of a results folder")
    manifest.unlink()
    refused = trained.run("--set", "master_seed=1")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "which this sweep would not write" in refused.stderr
    assert trained.run().stdout.startswith("Complete already")
    assert manifest.read_bytes() == good


@pytest.mark.parametrize("place", ["file", "file/inside", "/proc/nothing"])
def test_a_place_that_cannot_hold_results_exits_2(toy, place):
    (toy.folder / "file").write_text("mine")
    refused = toy.run(out=place)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert refused.stderr.startswith(f"{place}: ")
    assert (toy.folder / "file").read_text() == "mine"


def sheets(folder):
    return sorted(path.name for path in folder.glob("*.png"))


@pytest.mark.slow
def test_a_run_leaves_a_sheet_of_levels_a_world_and_draws_none_twice(toy):
    assert toy.run().returncode == 0
    assert sheets(toy.folder / "out") == ["levels.png"]
    (toy.folder / "out" / "levels.png").write_bytes(b"mine")
    assert toy.run().stdout.startswith("Complete already")
    assert (toy.folder / "out" / "levels.png").read_bytes() == b"mine"
    sizes = ["--set", "factors.env.size=[4, 5, 6, 7, 8]", "--set", "seeds=1"]
    assert toy.run(*sizes, out="sizes").returncode == 0
    programs = {path.stem for path in (toy.folder / "sizes" / "levels").iterdir()}
    drawn = {name.removeprefix("levels-").removesuffix(".png") for name in sheets(toy.folder / "sizes")}
    assert len(programs) == 5 and len(drawn) == 4 and drawn < programs
    assert toy.run("--set", "world=blank", "--quiet", out="blank").stderr == ""
    assert sheets(toy.folder / "blank") == []


def test_a_sheet_that_cannot_be_drawn_is_one_line_and_loses_nothing(toy):
    done = toy.run("--quiet", fake={"draw_fails": "no ink"})
    assert (done.returncode, len(outcomes(toy.folder / "out"))) == (0, 15)
    assert done.stderr.startswith("chisel: no picture of the levels: RuntimeError: no ink (render.py:")
    assert len(done.stderr.splitlines()) == 1
    assert sheets(toy.folder / "out") == []
    assert toy.run().returncode == 0
    assert sheets(toy.folder / "out") == ["levels.png"]


@pytest.mark.slow
def test_lanes_train_while_a_sheet_is_drawn(toy):
    process = toy.start("run", "toy.toml", "--out", "out", fake={"draw_for": 4})
    while len(list((toy.folder / "out").glob("outcomes/*.parquet"))) < 8:
        assert process.poll() is None
        time.sleep(0.05)
    assert sheets(toy.folder / "out") == []
    process.communicate(timeout=60)
    assert (process.returncode, sheets(toy.folder / "out")) == (0, ["levels.png"])


@pytest.mark.slow
def test_verbs_that_read_print_json_alone_and_a_figure(trained):
    status = json.loads(trained("status", "out", "--json").stdout, parse_constant=pytest.fail)
    assert status["lanes"] == {"planned": 15, "done": 15, "missing": 0, "diverged": 0, "failed": 0}
    rates = trained("rates", "out", "--by", "env.diversity", "--label", "undetermined", "--json")
    table = json.loads(rates.stdout, parse_constant=pytest.fail)
    assert [row["n"] for row in table] == [5, 5, 5]
    assert trained("figure", "out", "--out", "picture.png").stdout == "picture.png\n"
    assert (trained.folder / "picture.png").read_bytes()[1:4] == b"PNG"
    for wrong in (
        ["rates", "out", "--by", "env.divresity"],
        ["rates", "out", "--method", "x"],
        ["figure", "out", "--x", "y"],
    ):
        refused = trained(*wrong)
        assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)


@pytest.mark.slow
def test_status_tells_failures_with_their_reason_until_they_are_made_good(toy):
    wanted = {"fail_at": 0.0, "reason": "no luck\nat all", "diverge_at": 1.0}
    assert toy.run(fake=wanted).returncode == 4
    status = json.loads(toy("status", "out", "--json").stdout)
    assert status["lanes"] == {"planned": 15, "done": 9, "missing": 6, "diverged": 5, "failed": 6}
    assert status["shards"] == {"planned": 8, "done": 5, "failed": 3, "damaged": 0}
    assert [one["lanes"] for one in status["failed"]] == [2, 2, 2]
    assert all(one["reason"].startswith("RuntimeError: no luck at all (jaxrl.py:") for one in status["failed"])
    assert status["running"] is None and status["lanes_per_second"] > 0 and status["seconds_left"] > 0
    said = toy("status", "out").stdout
    assert "9 of 15 done, 6 missing, 5 diverged, 6 failed" in said and said.count("failed: RuntimeError") == 3
    assert toy.run().returncode == 0
    status = json.loads(toy("status", "out", "--json").stdout)
    assert (status["lanes"]["failed"], status["failed"], status["seconds_left"]) == (0, [], 0)


def test_status_of_a_run_that_has_only_begun(toy):
    assert toy.run(fake={"fail_at": 0.0}).returncode == 4
    for path in (toy.folder / "out" / "outcomes").iterdir():
        path.unlink()
    status = json.loads(toy("status", "out", "--json").stdout)
    assert (status["lanes"]["done"], status["lanes_per_second"]) == (0, None)


def test_a_reader_that_goes_away_causes_no_traceback(toy):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "sweeps.cli", "worlds"]
    process = subprocess.Popen(
        command, stdout=write, stderr=subprocess.PIPE, text=True, cwd=toy.folder, env=toy.variables
    )
    os.close(write)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (141, "")


def test_importing_sweeps_and_its_command_line_is_cheap_and_a_verb_sets_the_number_of_threads_first():
    heavy = "{'jax', 'gymnax', 'numpy', 'pandas', 'pyarrow', 'matplotlib'}"
    code = "import sys, sweeps, sweeps.cli.results as verbs\n"
    code += f"verbs.before_jax = lambda one_core: sys.exit(print({heavy} & set(sys.modules)))\n"
    code += "sweeps.cli.main(['inspect', 'results', '--what', 'difference'])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
