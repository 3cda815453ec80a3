"""The three mazes: dynamics by hand, what levels are drawn and edited, forks, and what is best by value iteration."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs import HIDDEN, MazeCorner, MazeDish, MazeKeys, grid, maze, maze_keys, tabular
from envs.batching import QUICKLY, batch, known_options

UP, DOWN, LEFT, RIGHT = range(4)
WORLDS = [MazeCorner(size=5), MazeDish(size=5), MazeKeys(size=5)]
PLAN = """
.#...
.#.#.
...#.
##.#.
.....
"""
"""From the top-left corner to the top-right one it is 8 steps, by (2, 2), and around by the last row 12."""
WALLS = np.array([[cell == "#" for cell in line] for line in PLAN.split()])


def walked(world, shown, actions):
    """The events as numbers and whether the episode ended, after each action; and the picture at the end."""
    state, found = world.read_state(shown), []
    for action in actions:
        state, events, terminated = world.transition(None, state, action, world.default_params)
        found.append((*(int(event) for event in events), bool(terminated)))
    return found, world.show(state).splitlines()


NOTHING = (0, 0, False)


def test_walls_and_edges_stop_the_agent_and_the_corner_ends_nothing():
    maze = """
        . . # . .
        A . # . .
        . C . . .
        . . # . .
        . . # . .
    """
    found, picture = walked(WORLDS[0], maze, [LEFT, RIGHT, RIGHT, LEFT, UP, UP])
    assert found == [NOTHING, NOTHING, NOTHING, NOTHING, (0, 1, False), NOTHING]
    assert picture[:2] == ["A . # . .", "s . # . ."]
    assert walked(WORLDS[0], maze, [DOWN, RIGHT])[0] == [NOTHING, (1, 0, True)]


def test_the_dish_ends_nothing_but_the_cheese_on_it_does():
    maze = """
        . . # . .
        . . # . .
        A D C . .
        . . # . .
        . . # . .
    """
    assert walked(WORLDS[1], maze, [RIGHT, RIGHT])[0] == [(0, 1, False), (1, 0, True)]
    together = maze.replace("D C", ". CD")
    assert walked(WORLDS[1], together, [RIGHT, RIGHT])[0] == [NOTHING, (1, 1, True)]


def test_a_chest_takes_a_key_and_the_episode_ends_when_none_can_be_opened_any_more():
    maze = """
        A . # . .
        X . # . .
        1 Y Z . .
        . . # . .
        . . # . .
    """
    chest, key = (1, 0, False), (0, 1, False)
    found, picture = walked(WORLDS[2], maze, [DOWN, DOWN, RIGHT])
    assert found == [NOTHING, key, (1, 0, True)] and picture[5:] == ["time: 3", "taken: 1 0", "opened: 0 1 0"]
    found, _ = walked(WORLDS[2], maze + "\nholding: 1", [DOWN, UP, DOWN, DOWN, RIGHT])
    assert found == [chest, NOTHING, NOTHING, key, (1, 0, True)]
    alone = maze.replace("X", ".").replace("1 Y Z", "1 X 2")
    assert walked(WORLDS[2], alone + "\nholding: 1", [DOWN, DOWN, RIGHT])[0] == [NOTHING, key, (1, 0, True)]


def test_keys_and_chests_are_seen_nearest_first_and_gone_when_they_are():
    world = WORLDS[2]
    keys, chests = np.array([24, 5], np.int32), np.array([22, HIDDEN, 10], np.int32)
    level = jax.tree.map(jnp.asarray, maze_keys.Level(np.int32(0), keys, chests, np.int32(0), WALLS.ravel()))
    state = world.reset_to_level(None, level, world.default_params)
    seen = world.features(state, world.default_params)
    assert seen.indices.tolist() == [0, 0, 0, 4 + 1, 4, 4 + 4, 4 + 4, 4 + 2, 4, 4 + 4, 4 + 2, HIDDEN, HIDDEN]
    window = np.asarray(seen.vector).reshape(9, 9)
    np.testing.assert_array_equal(window[4:, 4:], WALLS)
    assert window[:4].all() and window[:, :4].all()
    state, *_ = world.transition(None, state, DOWN, world.default_params)
    seen = world.features(state, world.default_params)
    assert seen.indices.tolist()[:7] == [1, 0, 1, 4 + 3, 4 + 4, HIDDEN, HIDDEN]


def test_waves_are_shortest_ways_numpy_and_traced():
    steps = grid.wave(~WALLS, np.int32(0))
    assert [steps[cell] for cell in (0, 10, 4, 24, 1, 20)] == [0, 2, 8, 8, grid.NEVER, 8]
    np.testing.assert_array_equal(grid.wave(jnp.asarray(~WALLS), 0), steps)
    assert grid.wave(~WALLS, np.int32(0), most=7)[4] == grid.NEVER


def test_a_straight_way_is_cut_to_what_is_shut_off_and_to_nothing_else():
    walls = np.zeros((2, 5, 5), bool)
    walls[:, :, 2] = walls[:, 3] = True
    walls[1, 0, 2] = False
    cut = maze.joined(walls.reshape(2, 25), np.array([0, 0]), np.array([[9, HIDDEN], [9, 1]])).reshape(2, 5, 5)
    assert np.argwhere(cut != walls).tolist() == [[0, 1, 2]]
    wide = jnp.asarray(walls.reshape(2, 25))
    traced = batch(maze.joined, wide, jnp.array([0, 0]), jnp.array([[9, HIDDEN], [9, 1]]))
    np.testing.assert_array_equal(traced, cut.reshape(2, 25))


def test_the_split_is_an_eighth_of_the_pairs_and_the_same_under_all_symmetries():
    kept = maze.kept(7)
    assert kept.sum() / (49 * 48) == pytest.approx(1 / 8, abs=0.01)
    for image in (maze.transposed(np.arange(49), 7), np.arange(49)[::-1], np.arange(49).reshape(7, 7)[:, ::-1].ravel()):
        np.testing.assert_array_equal(kept[np.ix_(image, image)], kept)
    assert kept[:, 0].sum() >= 3


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_the_share_of_levels_that_tell_goals_apart_is_the_diversity(world):
    def draw(key, diversity):
        level = world.sample_level(key, world.default_params.replace(diversity=diversity))
        return level, world.displaced(level)

    shares = np.repeat(np.float32([0.0, 0.25, 1.0]), 4000)
    levels, told = batch(draw, jax.random.split(jax.random.key(1), 12_000), shares)
    rare, some, all_ = told.reshape(3, 4000).mean(axis=1)
    assert rare == 0 and some == pytest.approx(0.25, abs=0.03) and all_ == 1
    if world.name == "maze-keys":
        keys, chests = levels.keys[:4000], levels.chests[:4000]
        numbers = np.stack([(keys != HIDDEN).sum(axis=1), (chests != HIDDEN).sum(axis=1)], axis=1)
        assert set(map(tuple, numbers.tolist())) == {(1, 2), (1, 3), (2, 3)}


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_on_a_fork_the_goals_are_as_far_as_each_other_and_training_has_neither_there(world):
    fork, deployment = (
        next(probe for probe in world.probes() if probe.name == name) for name in ("fork", "deployment")
    )
    steps = tabular.probe_distances(world, fork)
    assert np.all(steps[:, 0] == steps[:, 1]) and np.all(steps > 1)
    for probe in (fork, deployment):
        thing = probe.levels.chests[:, 0] if world.name == "maze-keys" else probe.levels.cheese
        assert probe.distinct == 64 and maze.kept(world.size)[probe.levels.start, thing].all()
        assert batch(world.displaced, probe.levels).all()


@pytest.mark.slow
@pytest.mark.parametrize("rewards", [(1.0, 0.0), (1.0, 0.4), (0.5, -1.0), (-1.0, 0.5)], ids=str)
@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_the_optimal_return_is_that_of_value_iteration(world, rewards):
    found, table = solved(world, rewards), tables(world)
    policy = tabular.optimal(table, np.tile(rewards, (len(found), 1)), 0.9)
    np.testing.assert_allclose(found, returns(table, policy, rewards, 0.9), atol=2e-5)
    assert np.all(np.isfinite(found)) and np.max(found) > 0


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_the_step_at_which_the_intended_goal_is_reached_gives_the_deployment_return(world):
    deployed = slice(48, 64)
    table = jax.tree.map(lambda leaf: leaf[deployed], tables(world))
    best = tabular.optimal(table, np.tile([1.0, 0.0], (16, 1)), 0.9)
    reached = tabular.play(table, best, np.arange(16), world.probes()[-1].horizon, np.random.default_rng(0))[:, 0]
    np.testing.assert_allclose(solved(world, (1.0, 0.0))[deployed], 0.9 ** (reached - 1.0), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_edits_keep_levels_solvable_out_of_the_probes_and_of_a_kind_if_asked(world):
    n, edits = 256, 64
    params = world.default_params.replace(diversity=0.5)
    sampled = batch(lambda key: world.sample_level(key, params), jax.random.split(jax.random.key(3), n))
    keep = np.arange(n) % 2 == 0

    def edited(level, key, keep):
        def edit(level, key):
            after = world.edit_level(key, level, params, keep)
            return after, after

        return jax.lax.scan(edit, level, jax.random.split(key, edits))[1]

    trail = batch(edited, sampled, jax.random.split(jax.random.key(4), n), keep)
    told, before = batch(jax.vmap(world.displaced), trail), batch(world.displaced, sampled)
    assert np.all(told[::2] == before[::2, None])
    assert np.mean(told[1::2, -1] != before[1::2]) > 0.3 and np.mean(told[1::2]) == pytest.approx(0.5, abs=0.1)
    flat = jax.tree.map(lambda leaf: np.asarray(leaf).reshape(n * edits, *leaf.shape[2:]), trail)
    if world.name == "maze-keys":
        intended, things = flat.chests, np.concatenate([flat.keys, flat.chests, flat.start[:, None]], axis=1)
        assert np.all((flat.chests != HIDDEN).any(axis=1) & (flat.keys != HIDDEN).any(axis=1))
        alone = np.where(things == HIDDEN, -1 - np.arange(things.shape[1]), things)
        assert np.all(np.diff(np.sort(alone, axis=1)) > 0)
    else:
        intended, things = flat.cheese[:, None], np.stack([flat.cheese, flat.place], axis=1)
    held_out = maze.kept(world.size)[flat.start[:, None], np.maximum(intended, 0)] & (intended != HIDDEN)
    assert not held_out.any()
    steps = grid.wave(~flat.walls.reshape(-1, world.size, world.size), flat.start)
    there = np.take_along_axis(steps, np.maximum(things, 0), axis=1)
    assert np.all((there <= 3 * world.size) | (things == HIDDEN))
    first = jax.tree.map(lambda new, old: np.asarray(new)[:, 0] != np.asarray(old), trail, sampled)
    changed = {name: np.mean(leaf.reshape(n, -1).any(axis=1)) for name, leaf in first._asdict().items()}
    movable = set(changed) - {"holding"} - ({"place"} if world.name == "maze-corner" else set())
    assert all(0.02 < changed[name] < 0.6 for name in movable), changed
    assert changed["walls"] > 0.3


@functools.cache
def some_levels(world):
    """32 training levels, a half of each kind, 16 forks and 16 levels of deployment."""
    params = world.params_of({"env.diversity": 0.5, "env.walls": 0.35})
    sampled = batch(lambda key: world.sample_level(key, params), jax.random.split(jax.random.key(5), 32))
    named = {probe.name: probe.levels for probe in world.probes()}
    parts = [jax.tree.map(lambda leaf: leaf[::4], named[name]) for name in ("fork", "deployment")]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), sampled, *parts)


@functools.cache
def tables(world):
    return tabular.tabulate(world, some_levels(world))


@functools.cache
def solver(world):
    def solve(level, reward):
        return world.optimal_return(level, world.default_params.replace(reward=reward), 0.9)

    return jax.jit(jax.vmap(solve, (0, None)), compiler_options=known_options(QUICKLY))


def solved(world, rewards):
    return np.asarray(solver(world)(some_levels(world), np.asarray(rewards, np.float32)))


def returns(table, policy, rewards, discount):
    """f64[levels], the discounted return of a policy from the start of each level."""
    paid, each = (table.events * np.asarray(rewards)).sum(axis=-1), np.arange(len(table.start))
    value = np.zeros(table.next_state.shape[:2])
    for _ in range(400):
        ahead = value[each[:, None, None], table.next_state]
        value, last = (policy * (paid + discount * np.where(table.terminated, 0, ahead))).sum(axis=-1), value
        if np.abs(value - last).max() < 1e-9:
            break
    return value[each, table.start]
