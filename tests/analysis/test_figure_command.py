"""`chisel figure` draws each kind from one line, and answers a mistake with one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest
from PIL import Image

from sweeps.cli import main

ROOT = Path(__file__).parents[2]

MISTAKES = {
    "--kind share --x env.divrsity": "no column named 'env.divrsity'; nearest: env.diversity",
    "--kind share --value cion": "no goal or column named 'cion'; nearest: coin",
    "--kind share --value episodes": "no goal or column named 'episodes'",
    "--kind share --value updates": "updates: not a share: its values go from 100 to 100",
    "--kind share --rows lable": "no column named 'lable'; nearest: label",
    "--kind phase": "by: no factor is left for it; name a column",
    "--kind phase --by env.diversity --x env.diversity": "env.diversity is given twice",
    "--by seed": "by: a figure of kind overview takes none; kinds that do: share, dose, phase, histogram, gold, ",
    "--kind dose --value cion": "no label or goal named 'cion'; nearest: coin",
    "--kind training --value retrun_mean": "no column named 'retrun_mean'; nearest: return_mean",
    "--kind training --value return_mean entropy": "value: 2 columns (return_mean, entropy); this kind of figure",
    "--kind scatter --x updates --value coin right-end": "value: 2 columns (coin, right-end); this kind of figure",
    "--kind dose --value intended mixed": "value: 2 columns (intended, mixed); this kind of figure",
    "--kind share --value world": "world: not numbers, so no mean can be drawn",
    "--kind share --x env.diversity,world": "env.diversity,world: joins settings of which each arm varies another",
    "--kind contingency --by env.diversity": "env.diversity: 7 values; a matrix shows two of them",
    "--kind shar": "invalid choice: 'shar'",
    "--where checkpoint=1": "checkpoint: an overview shows the end of training",
    "--where env.diversity": "--where: 'env.diversity' is not KEY=VALUE",
    "--where env.diversiti=0": "no column named 'env.diversiti'; nearest: env.diversity",
    "--where env.diversity=0.7": "no lane has env.diversity=0.7; its values: 0, 0.01,",
    "--where label=intendet": "no value of label named 'intendet'; nearest: intended",
    "--where label=incapable --where env.diversity=0 --where seed=0": "no lane has label=incapable and",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_exit_2_with_one_line(sweep_folder, tmp_path, capsys, mistake):
    assert main(["figure", str(sweep_folder), "--out", str(tmp_path / "picture.png"), *mistake.split()]) == 2
    said = capsys.readouterr().err
    assert MISTAKES[mistake] in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_sweep_of_one_condition_is_drawn_with_its_world_in_place_of_a_factor(write_results, tmp_path, capsys):
    folder = write_results("one", [({}, {"coin": 1.0}, 3)])
    for kind in ("overview", "share", "stack", "histogram"):
        assert main(["figure", str(folder), "--kind", kind]) == 0
        assert capsys.readouterr().out == f"{folder / f'{kind}.png'}\n"
    assert main(["figure", str(folder), "--kind", "phase"]) == 2
    assert capsys.readouterr().err == "x: no factor is left for it; name a column\n"


def test_what_matplotlib_is_set_to_does_not_matter(sweep_folder, tmp_path):
    """text.usetex stops matplotlib where LaTeX is not installed."""
    out = tmp_path / "picture.png"
    with matplotlib.rc_context({"text.usetex": True, "figure.facecolor": "red"}):
        assert main(["figure", str(sweep_folder), "--kind", "share", "--out", str(out)]) == 0
    assert Image.open(out).convert("RGB").getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.slow
def test_a_matplotlibrc_a_strange_backend_and_a_python_without_docstrings_stop_no_report(write_results, tmp_path):
    """MPLBACKEND may name a backend of a notebook. A report draws figures."""
    folder = write_results("one", [({"env.diversity": x}, {"coin": 1.0}, 2) for x in (0.0, 1.0)])
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\n")
    environment = dict(os.environ, PYTHONPATH=str(ROOT), MPLBACKEND="nonsense", PYTHONOPTIMIZE="2")
    command = [sys.executable, "-m", "sweeps.cli", "report", str(folder), "--out", "report.html"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, "report.html\n"), done.stderr


def test_an_error_of_drawing_is_one_line(sweep_folder, tmp_path, capsys, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("Failed to process string\nwith tex")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", broken)
    out = tmp_path / "picture.png"
    assert main(["figure", str(sweep_folder), "--kind", "share", "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert said == (
        f"{out}: cannot be written (the figure cannot be drawn (RuntimeError: Failed to process string with tex)); "
        "give another --out.\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        "",
        "--kind share",
        "--kind share --value coin right-end --by checkpoint --where env.diversity=0 --where env.diversity=0.10",
        "--kind phase --by checkpoint --value coin",
        "--kind scatter --x undecided --columns world",
        "--kind histogram --value coin right-end --where label=intended",
        "--kind stack --columns checkpoint",
        "--kind dose --value intended",
        "--kind lines --value coin",
        "--kind training --where env.diversity=0.05",
        "--kind contingency --by checkpoint --where env.diversity=0.05",
    ],
)
def test_every_kind_is_one_command(sweep_folder, tmp_path, capsys, options):
    out = tmp_path / "picture.png"
    assert main(["figure", str(sweep_folder), "--out", str(out), *options.split()]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert out.read_bytes()[1:4] == b"PNG"


def test_several_folders_are_read_as_one_and_pooling_is_told(write_results, tmp_path, capsys):
    cells = [({"env.diversity": x, "learner.discount": g}, {"coin": x}, 2) for x in (0.0, 1.0) for g in (0.9, 0.97)]
    folders = [str(write_results(str(seed), cells, first_seed=seed)) for seed in (0, 100)]
    shown = ["--kind", "share", "--out", str(tmp_path / "picture.png")]
    assert main(["figure", *folders, *shown]) == 0
    said = capsys.readouterr().err
    assert said == "chisel: pooled over learner.discount: lanes of different conditions count alike\n"
    assert main(["figure", *folders, *shown, "--where", "learner.discount=0.9"]) == 0
    assert capsys.readouterr().err == ""


def test_arms_that_vary_different_settings_share_an_axis(write_results, tmp_path, capsys):
    arms = {"coin": {"reward.right-end": 0.0}, "end": {"reward.coin": 0.0}}
    cells = [
        ({"arm": arm, f"reward.{goal}": payment} | arms[arm], {"coin": payment}, 2)
        for arm, goal in (("coin", "coin"), ("end", "right-end"))
        for payment in (0.5, 1.0)
    ]
    folder = str(write_results("arms", cells))
    shown = ["--kind", "phase", "--x", "reward.coin,reward.right-end", "--by", "arm"]
    assert main(["figure", folder, *shown, "--out", str(tmp_path / "picture.png")]) == 0
    assert capsys.readouterr().err == ""
    assert main(["figure", folder, *shown[:3], "reward.coin,reward.right"]) == 2
    assert capsys.readouterr().err == "no column named 'reward.right'; nearest: reward.right-end\n"


def test_rates_of_some_lanes(sweep_folder, capsys):
    assert main(["rates", str(sweep_folder), "--where", "env.diversity=0.3", "--label", "intended"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 3 and rows[1].split()[:2] == ["0.3", "16"]


def test_folders_of_other_learners_and_versions_are_told_apart(write_results, capsys):
    """The folders declare no factor; their lanes differ in what trained them."""
    folders = []
    for learner, version in (("ppo", "0.10.2"), ("a2c", "0.0.1")):
        folder = write_results(learner, [({"learner": learner}, {"coin": 1.0}, 3)])
        layer = json.loads((folder / "manifest.json").read_text())["layers"][0]
        layer |= {"learner": learner, "versions": {"jax": version}, "factors": []}
        layer["conditions"] = {key: {} for key in layer["conditions"]}
        (folder / "manifest.json").write_text(json.dumps({"layers": [layer]}))
        folders.append(folder)
    assert main(["rates", *map(str, folders), "--label", "intended"]) == 0
    out, said = capsys.readouterr()
    assert [row.split()[:2] for row in out.splitlines()[:3]] == [["learner.name", "seeds"], ["a2c", "3"], ["ppo", "3"]]
    assert "trained with different versions of jax" in said and said.count("\n") == 1
