"""What every registered world owes, in its default kind and in those that are listed here."""

import functools
import itertools
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import analysis
import envs
from envs import render, tabular
from envs.trial import Trial
from tests.envs.confusion import Runs, confusion

OTHERS = {
    "coin-line": [{"env.length": 4, "env.encoding": "one-hot"}],
    "coin-run": [
        {"env.height": 4, "env.width": 7, "env.wall": "fixed"},
        {"env.wall": "random"},
        {"env.height": 7, "env.width": 12},
    ],
    "dial": [{"env.knee": 2, "env.notches": 8, "env.encoding": "indices"}],
    "errands": [{"env.height": 5}],
    "far-reward": [{"env.length": 7}],
    "kinds": [{"env.width": 7, "env.colours": 2, "env.shapes": 3, "env.wall": "maze"}],
    "ladder": [{"env.width": 8, "env.press": "every", "env.marks": True}],
    "maze-dish": [{"env.size": 5, "env.dish_copies": 1}],
    "maze-keys": [{"env.size": 5, "env.keys": 3, "env.chests": 2}],
    "objects": [
        {"env.height": 4, "env.width": 4, "env.correlates": 1},
        {"env.height": 4, "env.width": 5, "env.things": 4, "env.correlates": 4},
        {"env.height": 7, "env.width": 7, "env.things": 4},
    ],
    "overseer": [{"env.height": 4, "env.width": 4, "env.badge": True}],
    "quiz": [{"env.answers": 11, "env.steps": 4}],
    "register": [{"env.height": 5, "env.width": 5}],
    "trash-room": [
        {
            "env.height": 9, "env.wall": "fixed", "env.lamps": True, "env.carpet": True, "env.longest_delay": 2,
            "env.permission": "random",
        },
    ],
}  # fmt: skip
"""Static settings of other kinds than the default one: small and large ones, and each that has rules of its own."""
KINDS = [
    pytest.param(envs.make(name, values), id=" ".join([name, *(f"{key[4:]}={value}" for key, value in values.items())]))
    for name in envs.WORLDS
    for values in ({"env.block": 3} if name == "gems" else {}, *OTHERS.get(name, ()))
]
WITH_GOALS = [kind for kind in KINDS if kind.values[0].goals]
GYMNAX = [envs.make("gymnax:CartPole-v1"), envs.make("gymnax:Catch-bsuite")]
COINS = [envs.CoinLine(), envs.CoinLine(length=5, encoding="one-hot"), envs.CoinRun(), envs.CoinRun(wall="random")]

NO_CELLS = {"bandit", "camera", "gems", "platformer", "quiz", "reversal"}
"""Their pictures are not those of a room with an agent in a cell; gems and platformer have tests of their own."""
OF_GOALS = {"goals", "labels", "entry", "rewards", "visible", "hide", "reachable", "solvable", "horizon", "split"}
"""Rules of the kit that need goals, or probes on which they come apart."""
TABULAR = {"tabular", "reachable", "solvable", "horizon", "visible"}
"""Rules of the kit that need a deterministic world."""

DOCS = pathlib.Path(__file__).parents[2] / "docs"


@pytest.mark.slow
@pytest.mark.parametrize("world", KINDS)
def test_the_kit_finds_no_fault(world):
    skipped = {finding.rule for finding in envs.require(world) if finding.verdict == "skipped"}
    allowed = {
        "starts",
        "observations",
        *(["hide"] if world.name in ("camera", "coin-line", "dial", "gems", "kinds") else []),
    }
    allowed |= set() if world.fully_observed else {"visible"}
    allowed |= (TABULAR if world.stochastic else set()) | ({"rewards"} if world.offers(envs.OnTerms) else set())
    allowed |= set() if world.goals else OF_GOALS
    assert skipped <= allowed


@pytest.mark.slow
@pytest.mark.parametrize("world", [kind for kind in WITH_GOALS if kind.values[0].name != "platformer"])
def test_training_levels_are_solvable_within_the_time_limit(world):
    """A half of them under the default Params, the others all over the ranges of the settings, both ends included.

    3,000 levels: if one in a thousand could not be solved, there would be one among them with a probability of 0.95.
    Those of platformer take long to write out, and have a test of their own.
    """
    trial = Trial(world, levels=30, seed=1)
    _, variant, levels = trial.sampled
    limits = trial.params(variant).max_steps_in_episode
    (intended,) = [i for i, goal in enumerate(world.goals) if goal.role == "intended"]
    solved = 0
    for first in range(0, len(variant), 1000):
        part = slice(first, first + 1000)
        table = tabular.tabulate(world, jax.tree.map(lambda leaf, part=part: leaf[part], levels))
        steps = tabular.distances(table, intended)[np.arange(1000), table.start]
        solved += np.sum((steps >= 1) & (steps <= limits[part]))
    assert solved == 3000


@pytest.mark.slow
@pytest.mark.parametrize("world", WITH_GOALS)
def test_labels_recover_policies_whose_goal_is_known(world):
    """60 runs of each: if one in twenty were labelled as something else, one would be here with probability 0.95.

    A reflex does the same in every run, and so has one.
    """
    runs = Runs(world, lanes=60)
    (probe,) = [probe for probe in world.probes() if probe.labels]
    labels = {goal.name: analysis.goal_label(goal.name, goal.role) for goal in world.aims}
    for goal in probe.goals:
        assert set(runs.label(f"oracle:{goal}")) == {labels[goal]}, goal
    for one, other in itertools.combinations(probe.goals, 2):
        assert set(runs.label_of_mixture(one, other, 0.5)) <= {"mixed", "undetermined"}, (one, other)
        # One box is nearer than two, and any answer than one worked out: what is torn at every step ends up there.
        nearer = {"camera": ["intended"], "quiz": [labels[other]]}.get(world.name, [])
        assert set(runs.label(f"torn:{one},{other}")) <= {"mixed", "undetermined", *nearer}, (one, other)
    guessers = ["random", *(action for action in world.action_names if action.startswith("answer-"))]
    for actor in ["random", *(f"always:{action}" for action in world.action_names)]:
        reached = always_reached(world, probe, actor)
        if actor.removeprefix("always:") in guessers and world.name == "quiz":
            reached.append("guess")  # on all but the questions to which it is the answer
        found = runs.label(actor, lanes=60 if actor == "random" else 1)
        assert set(found).isdisjoint(label for goal, label in labels.items() if goal not in reached), actor


def test_the_tables_of_labels_have_a_row_a_policy_and_each_adds_to_1():
    shares = confusion(envs.CoinLine(), lanes=10, weights=(0.5, 0.75))
    assert np.allclose(shares.sum(axis=1), 1) and shares.loc["oracle:coin", "intended"] == 1
    assert {"random", "always:left", "weak oracle:coin", "coin 0.75 by level, else right-end"} <= set(shares.index)


@pytest.mark.parametrize("name", [name for name in envs.WORLDS if envs.WORLDS[name].goals])
def test_the_study_of_label_recovery_has_a_table_of_every_world(name):
    """What `python -m tests.envs.confusion` prints; a new world, or other goals, take a new run."""
    (table,) = re.findall(rf"^{name}\n((?:.+\n)+)", (DOCS / "studies" / "label-recovery.md").read_text(), re.MULTILINE)
    world = envs.make(name)
    labels = [analysis.goal_label(goal.name, goal.role) for goal in world.aims]
    assert table.split("\n")[0].split()[: len(labels)] == labels
    assert [f"oracle:{goal.name}" for goal in world.aims] == re.findall(r"^(oracle:\S+)", table, re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in envs.WORLDS if envs.WORLDS[name].goals])
def test_labels_and_gates_rest_on_64_layouts_or_on_all_that_there_are(name):
    world = envs.make(name)
    for probe in [probe for probe in world.probes() if probe.labels or probe.kind == "capability"]:
        often = np.unique(world.layouts(probe.levels), return_counts=True)[1]
        assert probe.whole or (len(often) == 64 and np.ptp(often) == 0), probe.name
        assert probe.whole or probe.distinct == probe.episodes, probe.name
    assert {name} <= {"camera", "coin-line", "coin-run", "dial", "far-reward", "register"} or not any(
        probe.whole for probe in world.probes()
    )


def always_reached(world, probe, actor):
    """The goals to which a reflex takes a shortest way on every level, so that it is an oracle for them too."""
    if not actor.startswith("always:"):
        return []
    table, rows = tabular.tabulate(world, probe.levels), np.arange(probe.distinct)
    policy, generator = tabular.known_policies(world, table)[actor], np.random.default_rng(0)
    reached = tabular.play(table, policy, rows, probe.horizon, generator)
    same = (reached == tabular.probe_distances(world, probe)).all(axis=0)
    return [goal.name for goal, always in zip(world.goals, same, strict=True) if always]


@pytest.mark.slow
@pytest.mark.parametrize("name", envs.WORLDS)
def test_a_world_has_a_sheet_of_its_levels(name):
    drawn = {colour for _, colour in render.sheet(envs.make(name)).getcolors(1000)}
    assert {render.AGENT, envs.gems.SAND if name == "gems" else render.FLOOR} < drawn


@pytest.mark.parametrize("name", [name for name in envs.WORLDS if name not in NO_CELLS])
def test_an_agent_on_a_thing_leaves_it_visible(name):
    world = envs.make(name)
    level = jax.tree.map(lambda leaf: leaf[0], world.probes()[0].levels)
    state = world.reset_to_level(jax.random.key(0), level, world.default_params)

    @functools.cache
    def picture(row, column):
        return world.render(state.replace(row=row, column=column))

    def shown(row, column, place):
        """The colours of a cell while the agent is at a place."""
        image = picture(*place)
        top, left = len(image) - render.CELL * (world.height - row), render.CELL * column
        return set(map(tuple, image[top : top + render.CELL, left : left + render.CELL].reshape(-1, 3).tolist()))

    things = 0
    for cell in np.ndindex(world.height, world.width):
        there = shown(*cell, (0, int(cell == (0, 0)))) - {render.FLOOR}
        things += len(there) > 1
        assert there <= shown(*cell, cell), cell
    assert things >= 2, "the lines of the floor, and something else"


@pytest.mark.slow
@pytest.mark.parametrize("world", [envs.CoinLine(), envs.make("bandit"), *GYMNAX], ids=str)
def test_a_world_is_a_plain_gymnax_environment(world):
    """What the kit's rule `interface` sees of batches, in single calls; worlds inherit it."""
    params = world.default_params
    observation, state = world.reset(jax.random.key(0), params)
    assert observation.shape == world.observation_space(params).shape
    for step in range(60):
        key = jax.random.key(step)
        action = world.action_space(params).sample(key)
        observation, state, reward, terminated, truncated, info = world.step(key, state, action, params)
        assert observation.shape == world.observation_space(params).shape and observation.dtype == jnp.float32
        assert jnp.isfinite(reward) and terminated.dtype == truncated.dtype == bool
        assert info["events"].shape == (len(world.goals),)


@pytest.mark.parametrize("world", COINS, ids=str)
def test_events_fire_on_entry_and_reward_is_their_weighted_sum(world):
    params = world.default_params.replace(reward=jnp.array([1.0, -0.25]))
    reset, step_env = jax.jit(world.reset), jax.jit(world.step_env)
    for seed in range(4):
        _, state = reset(jax.random.key(seed), params)
        before = np.zeros(2, bool)
        for step in range(30):
            action = world.action_space(params).sample(jax.random.key(100 * seed + step))
            _, state, reward, terminated, info = step_env(jax.random.key(0), state, action, params)
            events = np.asarray(info["events"])
            assert reward == events @ np.array([1.0, -0.25])
            assert not (events[1] and before[1]), "the right end is entered, then occupied"
            before = events
            if terminated:
                break


@pytest.mark.parametrize("world", COINS, ids=str)
def test_a_picture_shows_the_agent_the_coin_and_the_right_end(world):
    _, state = world.reset(jax.random.key(0), world.default_params)
    image = world.render(state)
    seen = {tuple(colour) for colour in image.reshape(-1, 3).tolist()}
    assert image.dtype == np.uint8
    assert {render.AGENT, render.COIN, render.RIGHT_END} <= seen


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("coin-rum", {}, "nearest: coin-run"),
        ("coin-line", {"env.length": 3}, "at least 4"),
        ("coin-run", {"env.height": 2, "env.width": 5}, "too few cells"),
        ("coin-run", {"env.width": 8, "env.wall": "fixed"}, "no middle column"),
        ("coin-run", {"env.height": 4, "env.width": 5, "env.wall": "fixed"}, "env.width: 5 leaves .* at least 7"),
        ("coin-run", {"env.height": 17, "env.width": 19, "env.wall": "random"}, "env.height: .* 48; at most 16 rows"),
        ("trash-room", {"env.height": 5, "env.width": 5}, "env.height: a room of 5 x 5 .* at least 5 x 7"),
        ("maze-corner", {"env.size": 4}, "env.size: 4; from 5 to 9"),
        ("maze-keys", {"env.size": 9}, "env.size: 9; from 5 to 8"),
        ("errands", {"env.height": 6, "env.width": 5}, "env.height: a room of 6 x 5 .* at least 5 x 7"),
        ("far-reward", {"env.length": 5}, "env.length: 5 .* at least 6"),
        ("wage", {"env.height": 4}, "env.width: a room of 4 x 5; from 5 x 5 to 9 x 9"),
        ("register", {"env.height": 6}, "env.height: 6 has no middle; expected 5, 7 or 9"),
        ("gymnax:Pendulum-v1", {}, "continuous actions"),
    ],
)
def test_a_shape_that_makes_no_sense_is_refused_in_one_line(name, values, said):
    with pytest.raises(ValueError, match=said) as error:
        envs.make(name, values)
    assert "\n" not in str(error.value)


def test_whether_an_environment_uses_its_key_is_found_out():
    assert not envs.make("gymnax:CartPole-v1").stochastic
    assert envs.make("gymnax:BernoulliBandit-misc").stochastic
