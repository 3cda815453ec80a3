"""`chisel watch` plays the episodes that the tables hold again, and draws them."""

import base64
import io
import re
import shutil
import warnings

import jax
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import analysis
import envs
import sweeps
from analysis.folder import as_place, find_policy, load_checkpoints
from envs import render
from sweeps import watching
from sweeps.cli import main
from tests.analysis.browser import held

pytestmark = pytest.mark.slow

SPEC = {
    "name": "watched", "world": "coin-line", "seeds": 2, "keys": "paired",
    "fixed": {
        "learner.total_steps": 2048, "learner.width": 8, "env.diversity": 0.5,
        "learner.memory": "gru", "learner.previous_action": True, "learner.previous_reward": True,
    },
    "sampled": {"learner.entropy_coef": {"low": 0.0, "high": 0.02}},
    "save": {"policies": "checkpoints"}, "probes": {"at": [0, 1]}, "run": {"chunk": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two recurrent policies, barely trained, so that episodes differ."""
    folder = tmp_path_factory.mktemp("watching") / "results"
    sweeps.run(SPEC, folder, executor_name="inline", quiet=True)
    return folder


@pytest.mark.parametrize("greedy", [False, True])
def test_every_episode_is_the_one_that_the_table_holds(folder, greedy):
    probe = "capable:coin"
    table = pq.read_table(folder / "probes").to_pandas()
    rows = table[(table["checkpoint"] == 1) & (table["probe"] == probe) & (table["actor"] == "trained")]
    rows = rows[rows["sampled"] != greedy].set_index("seed")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = sweeps.watch(folder, probe=probe, greedy=greedy, episodes=[2, 0], count=2)
    assert [(one.seed, one.episode) for one in found] == [(0, 2), (0, 0), (1, 2), (1, 0)]
    for one in found:
        assert one.reached == {goal: rows[f"reached.{goal}"][one.seed][one.episode] for goal in one.reached}
        assert Image.open(one.gif).n_frames == one.steps + 1
        assert Image.open(one.png).text["Caption"] == one.caption
        assert one.png.name == f"{one.condition}-{one.seed}-capable_coin-{one.episode}{'-greedy' * greedy}.png"
        assert all(str(step) in one.caption for step in one.reached.values() if step > 0)


def test_a_policy_acts_step_by_step_as_it_was_recorded(folder):
    """A recurrent one, which also sees its last action and reward."""
    table = pq.read_table(folder / "probes").to_pandas()
    row = table[(table["probe"] == "capable:coin") & ~table["sampled"] & (table["actor"] == "trained")].iloc[-1]
    policy = sweeps.policy(folder, row["condition"], row["seed"])
    world, params = policy.world, policy.params
    probe = next(one for one in world.probes() if one.name == "capable:coin")

    @jax.jit
    def step(state, carry, reward):
        action, carry = policy.act(None, state, carry, reward)
        after, events, _ = world.transition(None, state, action, params)
        return after, carry, world.reward(after, events, params), events

    for episode in range(2):
        state = world.reset_to_level(None, type(probe.levels)(*(leaf[episode] for leaf in probe.levels)), params)
        carry, reward, reached = policy.carry, 0.0, {}
        for time in range(probe.horizon):
            state, carry, reward, events = step(state, carry, reward)
            reached |= {goal.name: time + 1 for goal, came in zip(world.goals, events, strict=True) if came} | reached
        assert reached == {name: n for name in ("coin", "right-end") if (n := row[f"reached.{name}"][episode]) > 0}
    with pytest.raises(ValueError, match="this policy sees the reward of the step before; expected `reward`"):
        policy.act(None, state, carry)


def test_a_policy_is_had_as_it_was_at_a_checkpoint(folder):
    shard, place = find_policy(folder, condition := only(folder), 1)
    kept = load_checkpoints(folder, shard)
    first, last = (jax.tree.map(lambda leaf: leaf[place], kept[at]) for at in (0.0, 1.0))
    jax.tree.map(np.testing.assert_array_equal, last, sweeps.policy(folder, condition, 1).weights)
    jax.tree.map(np.testing.assert_array_equal, first, sweeps.policy(folder, condition, 1, 0).weights)
    assert any((a != b).any() for a, b in zip(*map(jax.tree.leaves, (first, last)), strict=True))
    with pytest.raises(ValueError, match="has no policies saved at checkpoint 0.5"):
        sweeps.policy(folder, condition, 1, 0.5)


def only(folder):
    """Its one condition."""
    return pq.read_table(folder / "outcomes")["condition"][0].as_py()


def test_what_is_no_saved_policy_is_told_in_one_line(folder, tmp_path):
    condition = pq.read_table(folder / "outcomes")["condition"][0].as_py()
    nothing = shutil.copytree(folder, tmp_path / "nothing", ignore=shutil.ignore_patterns("policies", "rollouts"))
    begun = shutil.copytree(folder, tmp_path / "begun", ignore=shutil.ignore_patterns("outcomes", "rollouts"))
    for lane, said in {
        (nothing, condition, 0): "has no saved policies; run the sweep with save.policies = true",
        (begun, condition, 1): f"condition {condition}, seed 1 is not trained yet; run the sweep to its end.",
        (tmp_path, condition, 0): "is not a results folder: it has no manifest.json",
        (folder, condition[:-1], 0): f"has no condition '{condition[:-1]}'; nearest: {condition}.",
        (folder, condition, 7): f"condition {condition} has no seed 7; it has 0 to 1.",
    }.items():
        with pytest.raises(ValueError, match=re.escape(said)) as error:
            sweeps.policy(*lane)
        assert len(str(error.value).splitlines()) == 1


def test_other_weights_are_found_out(folder, monkeypatch):
    turned = lambda *lane: jax.tree.map(lambda leaf: -3 * leaf, analysis.load_policy(*lane))  # noqa: E731
    monkeypatch.setattr("sweeps.policies.load_policy", turned)
    with pytest.warns(UserWarning, match="some episodes of fork differ from the tables"):
        sweeps.watch(folder, episodes=[0])


def test_the_command_says_what_it_wrote(folder, capsys):
    assert main(["watch", str(folder), "--outlier", "--episode", "5"]) == 0
    *said, png, gif = capsys.readouterr().out.splitlines()
    assert "Probe fork (choice, coin, right-end), sampled episode 5" in said[-1]
    assert Image.open(png.strip()).format == "PNG" and Image.open(gif.strip()).format == "GIF"


def test_what_cannot_be_watched_is_told_in_one_line_before_anything_compiles(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("jaxrl.Program.watch", lambda *_: pytest.fail("compiled"))
    condition = pq.read_table(folder / "outcomes")["condition"][0].as_py()
    nothing = shutil.copytree(folder, tmp_path / "nothing", ignore=shutil.ignore_patterns("policies", "rollouts"))
    for arguments, said in {
        (nothing,): "has no saved policies; run the sweep with save.policies = true",
        (tmp_path,): "not a results folder: it has no manifest.json",
        (folder, "--condition", condition[:-1]): f"has no condition '{condition[:-1]}'; nearest: {condition}.",
        (folder, "--seed", "7"): "it has no seed 7; nearest: 1, of 0 to 1.",
        (folder, "--probe", "frok"): "coin-line has no probe 'frok'; nearest: fork.",
        (folder, "--episode", "64"): "probe fork has no sampled episode 64; they go from 0 to 63.",
        (folder, "--typical", "proxy:right"): "no label named 'proxy:right'; nearest: proxy:right-end",
        (folder, "--typical", "mixed", "--outlier"): "--outlier: cannot be combined with --typical; give one",
    }.items():
        assert main(["watch", *map(str, arguments)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
    assert not (nothing / "rollouts").exists()
    offers = envs.CoinLine.offers
    monkeypatch.setattr("envs.CoinLine.offers", lambda world, one: one is not envs.Drawn and offers(world, one))
    assert main(["watch", str(folder)]) == 2
    assert "coin-line has no picture, so nothing can be drawn." in capsys.readouterr().err


def test_a_folder_in_an_object_store_is_watched_as_a_local_one(folder, bucket, capsys):
    uri = f"{bucket}/results"
    sweeps.run(SPEC, uri, executor_name="inline", quiet=True)
    assert main(["watch", uri, "--episode", "1"]) == 0
    *said, png, gif = capsys.readouterr().out.splitlines()
    assert main(["watch", str(folder), "--episode", "1"]) == 0
    *expected, local_png, local_gif = capsys.readouterr().out.splitlines()
    assert said == expected
    for there, here in ((png, local_png), (gif, local_gif)):
        assert there.strip().startswith(f"{uri}/rollouts/")
        assert as_place(there.strip()).read_bytes() == as_place(here.strip()).read_bytes()


@pytest.mark.parametrize("name", envs.WORLDS)
def test_nothing_in_a_world_and_no_frame_of_a_goal_has_the_agents_colour(name):
    world = envs.make(name)
    marks, things = watching.marks_of(world), list(world.legend.values())
    assert len(marks) == len(world.aims), "milestones have none"
    things.remove(render.AGENT)
    for colour in [*marks, *things]:
        assert np.abs(np.subtract(colour, render.AGENT)).sum() >= 120, colour


def test_a_page_plays_the_episode_that_the_table_holds(folder, tmp_path):
    """Of a saved policy, with a frame for each step and for the start."""
    from analysis.browse import Browsed, application
    from sweeps.browsing import Films

    table = pq.read_table(folder / "probes").to_pandas()
    rows = table[(table["checkpoint"] == 1) & (table["probe"] == "fork") & (table["actor"] == "trained")]
    row = rows[rows["sampled"]].iloc[1]
    get = application(Browsed([folder]), rollouts=Films()).test_client().get
    lane = {"condition": row["condition"], "seed": int(row["seed"]), "master_seed": 0}
    told = get("/api/seed", query_string=lane).json
    assert told["policy"] and told["plays"] and f"--seed {row['seed']}" in told["lines"]["chisel"]
    for episode in (0, 5):
        film = get("/api/rollout", query_string=lane | {"probe": "fork", "episode": episode}).json
        assert len(film["frames"]) == len(film["titles"]) == film["steps"] + 1 and film["note"] == ""
        assert f"sampled episode {episode}, {film['steps']} steps" in film["caption"] and film["episodes"] == 64
        for goal in ("coin", "right-end"):
            step = row[f"reached.{goal}"][episode]
            assert f"{goal} at step {step}" in film["caption"] if step > 0 else f"{goal} never" in film["caption"]
    picture = Image.open(io.BytesIO(base64.b64decode(film["frames"][0].partition(",")[2])))
    assert picture.format == "PNG" and min(picture.size) > 20
    alone = held(sweeps.browse(folder, export=tmp_path / "page.html").read_text())["held"]["seeds"].values()
    one = next(one for one in alone if "films" in one)
    lane = {key: one[key] for key in lane} | {"probe": "fork", "episode": 1}
    assert one["films"][1] == get("/api/rollout", query_string=lane).json
    beyond = get("/api/rollout", query_string=lane | {"probe": "fork", "episode": 64})
    assert beyond.status_code == 400 and "has no sampled episode 64; they go from 0 to 63" in beyond.json["error"]
