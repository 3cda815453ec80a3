"""docs/tutorial.md and docs/python.md, followed line by line with a part of the seeds and steps."""

import re
import shlex
import sys
from pathlib import Path

import jax
import pandas as pd
import pytest

import analysis
import sweeps
from sweeps.cli import main
from sweeps.spec import SpecError

DOCS = Path(__file__).parents[1] / "docs"


def blocks(page, language=""):
    found = re.findall(r"^```(\w*)\n(.*?)^```", (DOCS / page).read_text(), re.S | re.M)
    return [text for kind, text in found if kind == language]


@pytest.mark.slow
def test_the_tutorial_leads_from_a_world_to_a_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "meadow", raising=False)
    (tmp_path / "meadow.py").write_text(blocks("worlds.md", "python")[0])
    (tmp_path / "sweep.toml").write_text("".join(blocks("tutorial.md", "toml")))
    check, behind = blocks("tutorial.md", "python")

    exec(check, {})
    printed = capsys.readouterr().out
    assert "failed" not in printed and all(line in printed for line in blocks("tutorial.md")[1].splitlines())

    commands = [line for block in blocks("tutorial.md") for line in block.splitlines() if line.startswith("chisel ")]
    assert [command.split()[1] for command in commands] == ["plan", "run", "rates", "figure", "report", "run"]
    for command in commands:
        arguments = shlex.split(command)[1:]
        if arguments[0] == "run":
            arguments += ["--set", "fixed.learner.total_steps=5120", "--executor", "inline", "--quiet"]
            arguments += ["--set", "seeds=2"] * ("seeds=24" not in arguments)
            arguments = [one.replace("seeds=24", "seeds=3") for one in arguments]
        assert main(arguments) == 0, command
    assert (tmp_path / "results" / "meadow" / "overview.png").exists()
    assert (tmp_path / "results" / "meadow" / "report.html").exists()
    assert list(analysis.load("results/meadow").groupby("env.astray").size()) == [3] * 5

    exec(behind, {})


@pytest.mark.slow
def test_the_page_on_python_trains_a_world_of_a_notebook_and_plays_its_policy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cell: dict = {"__name__": "__main__"}
    exec(blocks("worlds.md", "python")[0], cell)
    monkeypatch.setattr(sys.modules["__main__"], "Meadow", cell["Meadow"], raising=False)
    train, play, scan, read, *_ = blocks("python.md", "python")
    exec(train.replace("20_480", "5120"), cell)
    df = cell["df"]
    assert list(df["env.astray"]) == [0, 0, 1, 1] and df.attrs["factors"] == ["env.astray"]
    assert set(df["label"].cat.categories) > {"intended", "proxy:sign"} and not list(tmp_path.iterdir())
    exec(play, cell)
    assert 0 <= cell["action"] < 4
    exec(scan, cell)
    assert cell["events"].shape == (cell["probe"].horizon, 2) and cell["terminated"].dtype == bool
    exec(read, cell)
    pd.testing.assert_frame_equal(cell["df"], df)
    with pytest.raises(SpecError, match="spec: world: workers cannot import __main__:Meadow from a notebook or a scr"):
        sweeps.train(cell["SPEC"])


def test_the_page_on_python_puts_worlds_into_gymnasium_and_gymnax():
    *_, of_gymnasium, of_gymnax = blocks("python.md", "python")
    names: dict = {"jax": jax}
    exec(of_gymnasium, names)
    assert names["observations"].shape == (64, *names["observation"].shape) and names["picture"].ndim == 3
    exec(of_gymnax, names)
    assert names["observation"].shape == names["observations"].shape[1:] and names["state"].time == 0
