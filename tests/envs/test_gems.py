"""gems: mazes by their law, what a picture shows pixel by pixel, which kinds the settings give, and pairs of kinds."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs import HIDDEN, Gems, gems_levels, render, tabular
from envs.gems import MOUSE, SAND, Level
from envs.maze import noise

UP, DOWN, LEFT, RIGHT = range(4)
SAMPLES = 4096
SMALL, WORLD = Gems(block=3), Gems()
OPEN = "C . . . S\n. # . # .\n. . . . .\n. # . # .\nA . . . ."
"""The thing of the trained colour above left, that of the trained shape above right."""


@functools.partial(jax.jit, static_argnums=0)
def draw(world, keys, params):
    levels = jax.vmap(world.sample_level, in_axes=(0, None))(keys, params)
    return jax.vmap(world.reset_to_level, in_axes=(0, 0, None))(keys, levels, params).level


def sample(values):
    keys = jax.random.split(jax.random.key(1), SAMPLES)
    return jax.tree.map(np.asarray, draw(SMALL, keys, SMALL.params_of(values)))


def begun(world, text, values):
    level = jax.tree.map(jnp.asarray, world.read_level(text))
    params = world.params_of(values)
    state = world.reset_to_level(None, level, params)
    return state, np.asarray(world.features(state, params).image)


def test_a_maze_by_hand():
    """Doors in order of their cells (1, 3, 5, 7, 9, ...): a comb whose teeth are dead ends, each of which gets a way.

    Tried first to last, all doors of the first row open, then those down to the second row, and to the third.
    """
    walls, tree = gems_levels.maze(np.concatenate([np.arange(12) / 12, np.zeros(9)]))
    picture, first = ("".join(".#"[int(wall)] for wall in cells) for cells in (walls, ~tree))
    assert first == "....." + 4 * ".#.#."
    assert picture == "....." + 3 * ".#.#." + "....."


def test_mazes_follow_their_law():
    """All 192 spanning trees of a 3 x 3 grid, and 11 mazes, since a corner that was a dead end has one other door.

    Of four inner doors a maze has two or more. Traced and not, mazes are the same.
    """
    draws = noise(20_000, gems_levels.DRAWS, 1)
    walls, tree = gems_levels.maze(draws)
    assert len(np.unique(tree, axis=0)) == 192 and set(tree.sum(axis=1)) == {17}
    assert {row.tobytes() for row in walls} == {row.tobytes() for row in gems_levels.every()}
    assert len(gems_levels.every()) == 11
    assert not (walls & tree).any()
    few = draws[:64].astype(np.float32)
    for traced, plain in zip(jax.jit(jax.vmap(gems_levels.maze))(few), gems_levels.maze(few), strict=True):
        np.testing.assert_array_equal(traced, plain)


def test_a_quarter_of_mazes_and_cells_is_kept_with_its_mirror_images():
    mazes, free = gems_levels.every(), ~gems_levels.every()
    kept = gems_levels.kept(mazes)
    share = kept.sum() / (free.sum() - len(mazes))
    assert 0.22 < share < 0.28 and not kept[:, gems_levels.START].any()
    row, column = np.divmod(np.arange(25), 5)
    image = (4 - column) * 5 + 4 - row
    np.testing.assert_array_equal(gems_levels.kept(mazes[:, image]), kept[:, image])


def test_training_has_one_thing_of_the_settings_at_a_uniform_cell_that_is_not_kept():
    levels = sample({"env.colour": 4, "env.shape": 1})
    assert (levels.cells[:, 0] == levels.cells[:, 1]).all() and set(levels.kinds.ravel()) == {2 * 4 + 1}
    assert set(levels.ground) == {0} and not jax.vmap(SMALL.displaced)(levels).any()
    each = np.arange(SAMPLES)
    assert not gems_levels.kept(levels.walls)[each, levels.cells[:, 0]].any()
    assert not levels.walls[each, levels.cells[:, 0]].any() and not (levels.cells == gems_levels.START).any()
    open_maze = levels.cells[levels.walls.sum(axis=1) == 4, 0]
    often = np.unique(open_maze, return_counts=True)[1]
    rooms, doors = (np.isin(np.unique(open_maze), cells) for cells in (gems_levels.ROOMS, gems_levels.DOORS))
    assert often[doors].mean() < 0.8 * often[rooms].mean(), "rooms are on every tree, and two doors of three"


@pytest.mark.parametrize(("ground", "found"), [(0, {0}), (1, {1}), (2, set(range(2, 11)))])
def test_grounds(ground, found):
    assert set(sample({"env.ground": ground}).ground) == found


@pytest.mark.parametrize(
    ("path", "events", "terminated"),
    [
        ([UP] * 4, [True, False], True),
        ([RIGHT] * 4 + [UP] * 4, [False, True], True),
        ([UP] * 3, [False, False], False),
        ([LEFT], [False, False], False),
    ],
)
def test_moves_by_hand(path, events, terminated):
    state, _ = begun(SMALL, OPEN, {})
    for action in path:
        state, fired, ended = SMALL.transition(None, state, action, SMALL.default_params)
    assert fired.tolist() == events and bool(ended) == terminated
    assert float(SMALL.reward(state, fired, SMALL.default_params)) == float(events[0])


def test_a_wall_stops_the_agent():
    state, _ = begun(SMALL, OPEN, {})
    for action in (RIGHT, UP):
        state, _, _ = SMALL.transition(None, state, action, SMALL.default_params)
    assert (int(state.row), int(state.column)) == (4, 1)


def test_a_picture_by_hand():
    """A yellow gem above left, a blue line above right, on black: of each 3 x 3 block every pixel."""
    _, seen = begun(SMALL, OPEN + "\nkinds: 13 2", {})
    assert seen.shape == (15, 15, 3) and seen.dtype == np.uint8
    plus = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    np.testing.assert_array_equal(seen[:3, :3], 255 * plus[..., None] * np.array([1, 1, 0]))
    np.testing.assert_array_equal(seen[:3, 12:], 255 * np.eye(3, dtype=int)[..., None] * np.array([0, 0, 1]))
    assert (seen[3:6, 3:6] == SAND).all() and (seen[12:, :3] == MOUSE).all() and not seen[6:9].any()


def test_at_the_published_resolution_shapes_have_the_published_number_of_pixels_or_one_more():
    _, seen = begun(Gems(block=13), OPEN + "\nkinds: 13 2", {})
    assert (seen[:13, :13, 0] > 0).sum() == 25 and (seen[:13, 52:, 2] > 0).sum() in (36, 37)


def test_the_policy_gets_the_channels_in_the_order_of_the_settings():
    pictures = [begun(SMALL, OPEN + "\nkinds: 13 2", {"env.channels": order})[1] for order in range(6)]
    for picture, order in zip(pictures, itertools.permutations(range(3)), strict=True):
        np.testing.assert_array_equal(picture, pictures[0][..., list(order)])


@pytest.mark.parametrize(("values", "colour", "shape"), [({}, 6, 0), ({"env.colour": 1, "env.shape": 1}, 1, 1)])
def test_probes_show_the_trained_colour_in_the_other_shape_and_the_trained_shape_in_each_other_colour(
    values, colour, shape
):
    params = SMALL.params_of(values)
    resolved = jax.vmap(lambda level: SMALL.reset_to_level(None, level, params).level)
    for probe in SMALL.probes():
        kinds = np.asarray(resolved(probe.levels).kinds)
        if probe.name == "task":
            assert set(kinds.ravel()) == {2 * colour + shape}
            continue
        assert set(kinds[:, 0]) == {2 * colour + 1 - shape}
        assert set(kinds[:, 1]) == {2 * other + shape for other in range(1, 8) if other != colour}


def test_two_kinds_are_compared_on_the_same_layouts_in_both_orders_at_equal_distance():
    pairs = WORLD.comparisons()
    assert list(zip(pairs.kind.tolist(), pairs.rival.tolist(), strict=True)) == list(
        itertools.combinations(range(16), 2)
    )
    n = pairs.episodes
    for leaf in (pairs.levels.start, pairs.levels.walls, pairs.levels.cells, pairs.levels.ground):
        per_pair = leaf.reshape(120, n, *leaf.shape[1:])
        np.testing.assert_array_equal(per_pair, np.broadcast_to(per_pair[:1], per_pair.shape))
    levels = jax.tree.map(lambda leaf: leaf[:n], pairs.levels)
    steps = tabular.tabulate(WORLD, levels)
    away = [tabular.distances(steps, goal)[np.arange(n), steps.start] for goal in (0, 1)]
    assert np.array_equal(*away) and away[0].min() >= 2 and away[0].max() <= pairs.horizon
    assert len(np.unique(WORLD.layouts(levels))) == n // 2


def test_people_see_the_agent_on_the_picture_of_the_policy():
    state, seen = begun(SMALL, OPEN, {})
    drawn = SMALL.render(state)
    np.testing.assert_array_equal(drawn[::8, ::8][:12], seen[:12])
    assert (drawn == render.AGENT).all(axis=-1).any()
    row, column = divmod(int(state.level.cells[0]), 5)
    on_it = SMALL.render(state.replace(row=row, column=column))
    cell = slice(24 * row, 24 * row + 24), slice(24 * column, 24 * column + 24)
    thing = (drawn[cell] == drawn[cell][12, 12]).all(axis=-1)
    assert 0 < thing.sum() < 24**2
    assert ((on_it[cell] == drawn[cell][12, 12]).all(axis=-1) == thing)[3:-3, 3:-3].all(), "the thing is still seen"
    assert render.centre(on_it) == (24 * column + 11.5, 24 * row + 11.5)


def test_hidden_things_are_not_drawn():
    level = Level(np.int32(20), gems_levels.every()[0], np.array([HIDDEN, 2]), np.array([13, 2]), np.int32(0))
    seen = np.asarray(SMALL.picture(SMALL.reset_to_level(None, level, SMALL.default_params)))
    assert not (seen == (255, 255, 0)).all(axis=-1).any() and (seen == (0, 0, 255)).all(axis=-1).sum() == 3


@pytest.mark.parametrize("block", [2, 14])
def test_blocks_that_make_no_picture_are_refused(block):
    with pytest.raises(ValueError, match=f"^env.block: {block}; from 3 to 13$"):
        envs.make("gems", {"env.block": block})
