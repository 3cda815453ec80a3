"""What `chisel worlds` says of a world, and the sheet of levels that it and a run draw."""

import json

import numpy as np
import pytest
from PIL import Image

import envs
import sweeps
from envs import render
from sweeps.cli import main
from sweeps.sheets import leave_sheets

LEGEND, GAP, TITLE, HEIGHT, WIDTH = 23, 8, 28, 5 * 24, 9 * 24
"""Pixels of a sheet of coin-run: of its legend, between levels, of a title with what surrounds it, and of a level."""


def levels(image, row, count=6):
    """The pictures in one row of a sheet of coin-run; rows 0 and 1 are of training levels, each other has a title."""
    top = LEGEND + TITLE * max(1, row) + row * (HEIGHT + GAP)
    lefts = [GAP + column * (WIDTH + GAP) for column in range(count)]
    return [np.asarray(image)[top : top + HEIGHT, left : left + WIDTH] for left in lefts]


def shows(picture, colour):
    return (picture == colour).all(axis=-1).any()


def test_a_sheet_has_two_rows_of_training_levels_and_a_row_for_each_probe():
    image = sweeps.sheet("coin-run")
    assert image.size == (GAP + 6 * (WIDTH + GAP), LEGEND + 7 * TITLE + 8 * (HEIGHT + GAP))
    assert all(shows(np.asarray(image)[:LEGEND], colour) for colour in envs.CoinRun.legend.values())
    for picture in [*levels(image, 0), *levels(image, 1), *levels(image, 4)]:
        assert shows(picture[:, -24:], render.COIN) and shows(picture, render.AGENT)
    for picture in levels(image, 2):
        assert shows(picture[:, :-24], render.COIN), "the fork's coin is left of the last column"
    assert all(shows(picture, render.AGENT) for picture in levels(image, 5))
    for picture in levels(image, 6):
        assert shows(picture, render.AGENT) and not shows(picture, render.COIN), "coin-absent"
    apart = sweeps.sheet("coin-run", ["env.diversity=1"])
    assert not all(shows(picture[:, -24:], render.COIN) for picture in levels(apart, 0) + levels(apart, 1))


def test_pictures_of_any_size_make_a_sheet():
    assert sweeps.sheet("coin-line", ["env.length=999"]).width < 6 * 500
    small = type("Small", (envs.CoinLine,), {"render": lambda self, state: np.zeros((7, 7, 3), np.uint8)})()
    assert render.sheet(small).width > 6 * 120


def test_the_command_writes_the_sheet_into_a_folder_and_says_where(tmp_path, capsys):
    out = tmp_path / "a" / "b"
    for _ in range(2):
        assert main(["worlds", "coin-line", "--set", "env.diversity=0.5", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}/levels.png\n" * 2
    written = Image.open(out / "levels.png")
    assert np.array_equal(written, sweeps.sheet("coin-line", ["env.diversity=0.5"])), "equal arguments, equal pixels"
    assert [path.name for path in out.iterdir()] == ["levels.png"]


def test_what_cannot_be_drawn_is_told_in_one_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    for arguments, said in {
        ("coin-line", "--out", f"{tmp_path}/file"): f"{tmp_path}/file: cannot be written (File exists); give another",
        ("gymnax:CartPole-v1", "--out", f"{tmp_path}/x"): "gymnax:CartPole-v1 has no picture",
        ("coin-line", "--out", f"{tmp_path}/x", "--set", "env.lenght=5"): "nearest: env.length",
        ("coin-line", "--set", "env.length=5"): "--set: is for a picture, and needs --out DIR",
        ("--out", f"{tmp_path}/x"): "--out: needs the name of a world",
    }.items():
        assert main(["worlds", *arguments]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_run_draws_the_first_condition_of_each_world(tmp_path):
    spec = {
        "name": "a", "world": "coin-line", "seeds": 1, "fixed": {"reward.coin": 2.0},
        "factors": {"env.diversity": [1.0, 0.0], "learner.width": [8, 16], "env.length": [5, 6]},
    }  # fmt: skip
    plan = sweeps.make_plan(sweeps.load_spec(spec | {"sampled": {"reward.right-end": {"low": 1.0, "high": 2.0}}}))
    assert len(plan.programs) == 4
    leave_sheets(tmp_path, plan)
    drawn = {Image.open(path).tobytes() for path in tmp_path.iterdir()}
    expected = set()
    for length in (5, 6):
        note = f"env.diversity = 1.0, learner.width = 8, env.length = {length}"
        expected.add(render.sheet(envs.CoinLine(length=length), {"env.diversity": 1.0}, note).tobytes())
    assert drawn == expected and len(list(tmp_path.iterdir())) == 2


def test_worlds_are_listed_with_goals_settings_and_probes(capsys):
    assert main(["worlds"]) == 0
    listed = capsys.readouterr().out
    for line in (
        "coin-run  goals: coin (intended), right-end (proxy)\n",
        "  env.diversity                0.0        a probability in [0, 1]\n",
        "  probes: fork (labels), fork-mirrored, capable:coin, capable:right-end, coin-absent, displaced\n",
        "gymnax:CartPole-v1  no goals: its outcome is its return\n",
        "learner ppo\n",
    ):
        assert line in listed
    for name, world in envs.WORLDS.items():
        assert f"\n{name}  {'goals: ' if world.goals else 'no goals'}" in f"\n{listed}"


def test_one_world_is_shown_whole(capsys):
    assert main(["worlds", "coin-line"]) == 0
    shown = capsys.readouterr().out
    assert "Episode: ends with the `coin` event when the agent is on the coin." in shown
    assert "      Probability that a training level puts the coin at a uniform cell" in shown
    said = "choice: coin, right-end; 1 level, 64 episodes of at most 16 steps  labels"
    assert f"  probe {'fork':<22} {said}\n" in shown
    assert "deployment" in shown and "not held out" in shown


@pytest.mark.parametrize("name", [*envs.WORLDS, "gymnax:CartPole-v1"])
def test_one_world_in_json(capsys, name):
    assert main(["worlds", name, "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    world = envs.make(name)
    assert [(goal["name"], goal["role"]) for goal in record["goals"]] == [goal[:2] for goal in world.goals]
    assert [one["name"] for one in record["probes"]] == [probe.name for probe in world.probes()]
    assert [one["levels"] for one in record["probes"]] == [probe.distinct for probe in world.probes()]
    assert [one["key"] for one in record["settings"]] == list(envs.settings(name))
    assert record["actions"] == list(world.action_names)
