"""docs/gallery.md is what its command makes, has every world, and every number on it is one that its command prints."""

import importlib.util
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import analysis
import envs
from analysis.values import naming
from envs import render
from sweeps.cli import main
from sweeps.spec import load_spec

ROOT = Path(__file__).parents[1]
_spec = importlib.util.spec_from_file_location("gallery_page", ROOT / "docs" / "gallery.py")
gallery = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(gallery)


def test_the_page_is_what_the_command_makes_and_has_every_world():
    text = (ROOT / "docs" / "gallery.md").read_text()
    assert text == gallery.page()
    *headings, _ = re.findall("^## (.*)$", text, re.M)
    assert sorted(headings) == sorted(envs.WORLDS)
    assert re.findall(r"!\[.*\]\((.*\.gif)\)", text) == [f"gallery/{world}.gif" for world in gallery.worlds()]


def test_films_move_go_round_and_are_small():
    sizes = []
    for world in envs.WORLDS:
        path = ROOT / "docs" / "gallery" / f"{world}.gif"
        with Image.open(path) as film:
            assert film.n_frames > 1 and film.info["loop"] == 0, world
        sizes += [path.stat().st_size, path.with_suffix(".png").stat().st_size]
        assert sizes[-2] <= 60_000, world
    assert sum(sizes) <= 1_500_000


def test_a_film_shows_one_policy_at_the_coin_and_the_other_at_the_right_end():
    entry = gallery.worlds()["coin-run"]
    pairs = list(gallery.episodes("coin-run", entry))
    assert len(pairs) == gallery.LEVELS
    for intended, proxy in pairs:
        first, last = intended[0][0].picture, intended[0][-1].picture
        y, x = np.nonzero((first == render.COIN).all(axis=-1))
        cell = lambda at: tuple(int(one) // render.CELL for one in at)  # noqa: E731
        assert cell(render.centre(last)) == cell((x.mean(), y.mean()))
        assert cell(render.centre(proxy[0][-1].picture))[0] == 8
        assert (first == proxy[0][0].picture).all(), "the same level"


@pytest.mark.parametrize("world", envs.WORLDS)
def test_the_command_trains_what_the_numbers_are_of(world):
    """Its plan has this world, the groups of the shipped table, and so many seeds each."""
    entry = gallery.worlds()[world]
    _, _, name, *options = shlex.split(entry["run"])
    given = [options[i + 1] for i, option in enumerate(options) if option == "--set"]
    spec = load_spec(ROOT / name if "/" in name else name, given)
    assert spec.world == world
    out = options[options.index("--out") + 1] if "--out" in options else f"results/{spec.name}"
    assert out == f"results/{gallery.results(entry)}"
    part = "pipeline" if spec.pipelines else "arm"
    lanes = pd.DataFrame([{part: given.arm} | given.values for given in spec.conditions()])
    lanes = analysis.select(lanes, gallery.wanted(entry))
    texts = [lanes[one].astype(object).map(naming(lanes[one])) for one in entry["by"]]
    assert lanes.groupby(entry["by"]).size().max() == 1, "no group pools conditions"
    rows = gallery.numbers()[world]
    assert {row["group"] for row in rows} == {", ".join(row) for row in zip(*texts, strict=True)}
    assert {row["n"] for row in rows} == {spec.seeds}


def test_numbers_are_those_that_the_commands_print(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "shipped").symlink_to(ROOT / "analysis" / "notebooks" / "results")
    labels = {"folder": "shipped", "by": ["env.diversity"], "where": ["learner.total_steps=51200"], "run": "x x x"}
    means = labels | {"column": "share.coin"}
    totals = labels | {"column": "episodes", "of": 1e6}
    for entry, name in ((labels, "intended"), (means, "share.coin"), (totals, "paid")):
        rows = gallery.measured(entry, "results/shipped").to_dict("records")
        found = gallery.answer(f"{{{name}@0.1}}", rows)
        verb, *arguments = shlex.split(gallery.reading(entry))
        if verb == "chisel":
            main(arguments)
            assert found in capsys.readouterr().out
        else:
            exec(arguments[-1], {})
            shown = [float(one) for one in re.findall(r"\d+\.\d+", found)]
            line = next(row.split() for row in capsys.readouterr().out.splitlines() if row.split()[1:2] == ["0.10"])
            assert [float(one) for one in line[-3:]] == shown
