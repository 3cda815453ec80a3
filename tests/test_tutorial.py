"""docs/tutorial.md, followed line by line, with two seeds instead of sixteen and a tenth of the steps."""

import re
import shlex
import sys
from pathlib import Path

import pytest

import analysis
from sweeps.cli import main

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
