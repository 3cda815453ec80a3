"""kinds: the dynamics by hand, which kinds may pay, and pairs of kinds that nothing but the kind tells apart."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs import HIDDEN, Kinds, grid, render, tabular
from envs.kinds import COLOURS, Level

UP, DOWN, LEFT, RIGHT = range(4)
SAMPLES = 10_000
WORLD = Kinds()


@functools.partial(jax.jit, static_argnums=0)
def draw(world, keys, params):
    return jax.vmap(world.sample_level, in_axes=(0, None))(keys, params)


def sample(values, world=WORLD):
    keys = jax.random.split(jax.random.key(1), SAMPLES)
    return jax.tree.map(np.asarray, draw(world, keys, world.params_of(values)))


@pytest.mark.parametrize(
    ("before", "action", "after", "events", "terminated"),
    [
        (". . P . / . . A O", UP, ". . PA . / . . s O", [True, False], True),
        (". . P . / . . A O", RIGHT, ". . P . / . . s AO", [False, True], True),
        (". . P . / . . A O", LEFT, ". . P . / . A s O", [False, False], False),
        ("A . P . / . . . O", UP, "A . P . / . . . O", [False, False], False),
        (". . P . / . . A .", RIGHT, ". . P . / . . s A", [False, False], False),
    ],
)
def test_moves_by_hand(before, action, after, events, terminated):
    world, rest = Kinds(height=4, width=4), " / . . . . / . . . ."
    state = world.read_state((before + rest).replace(" / ", "\n"))
    state, fired, ended = world.transition(None, state, action, world.default_params)
    shown = [sorted(cell) for cell in world.show(state).split("\n")[0:2] for cell in cell.split()]
    assert shown == [sorted(cell) for cell in after.replace("/", "").split()]
    assert fired.tolist() == events and bool(ended) == terminated
    assert float(world.reward(state, fired, world.default_params)) == float(events[0])


def test_a_maze_has_walls_at_odd_rows_and_columns_and_ways_around_each():
    """From above the first wall to below it are four steps, not two; no cell that a thing takes cuts off others."""
    maze = Kinds(wall="maze")
    state = maze.read_state(". A . . . / . # . # O / . P . . . / . # . # . / . . . . .".replace(" / ", "\n"))
    after, fired, _ = maze.transition(None, state, DOWN, maze.default_params)
    assert (int(after.row), int(after.column)) == (0, 1) and not fired.any()
    table = tabular.tabulate(maze, jax.tree.map(lambda leaf: np.asarray(leaf)[None], state.level))
    assert tabular.distances(table, 0)[0, 1] == 4
    for taken in np.flatnonzero(maze.free):
        blocked = ~maze.free
        blocked[taken] = True
        steps = grid.distances(blocked.reshape(5, 5))
        assert (steps[np.ix_(~blocked, ~blocked)] >= 0).all()
    levels = sample({}, maze)
    assert not {1 * 5 + 1, 1 * 5 + 3, 3 * 5 + 1, 3 * 5 + 3} & {*levels.start.tolist(), *levels.cells.ravel().tolist()}


def test_each_feature_is_seen_as_scaled_one_hot_offsets_to_whatever_has_it():
    """From row 1, column 2 of a 5 x 5 room: a red square above left, a red ring below right. Eighteen inputs each."""
    params = WORLD.params_of({"env.scale_colour": 2.0, "env.scale_shape": 0.5})
    level = Level(jnp.int32(7), jnp.array([0, 24]), jnp.array([0, 5]))
    seen = WORLD.features(WORLD.reset_to_level(None, level, params), params)
    assert seen.indices.tolist() == [1, 2]
    square, ring, above, below = 4 * 18, 9 * 18, (3, 11), (7, 15)
    wanted = {place: 2.0 for place in (*above, *below)}
    wanted |= {square + place: 0.5 for place in above} | {ring + place: 0.5 for place in below}
    assert {i: float(x) for i, x in enumerate(seen.vector) if x} == wanted
    alone = WORLD.features(WORLD.reset_to_level(None, level._replace(cells=jnp.array([0, HIDDEN])), params), params)
    assert {i for i, x in enumerate(alone.vector) if x} == {*above, *(square + place for place in above)}


@pytest.mark.parametrize(
    ("values", "paid", "other"),
    [
        ({}, {(0, s) for s in range(6)}, {(c, s) for c in (1, 2, 3) for s in range(6)}),
        ({"env.paid_shape": 1}, {(0, 0)}, set(itertools.product(range(4), range(6))) - {(0, 0)}),
        (
            {"env.paid_colour": 0, "env.paid_shape": 2, "env.other_colour": 3},
            {(c, 1) for c in range(4)},
            {(2, s) for s in range(6) if s != 1},
        ),
        ({"env.other_colour": 2, "env.other_shape": 6}, {(0, s) for s in range(6)}, {(1, 5)}),
    ],
)
def test_the_other_thing_is_of_any_kind_that_it_may_be_and_never_of_one_that_pays(values, paid, other):
    levels = sample(values)
    for place, wanted in enumerate((paid, other)):
        found = {divmod(kind, 6): 0 for kind in levels.kinds[:, place].tolist()}
        assert set(found) == wanted
        often = np.unique(levels.kinds[:, place], return_counts=True)[1] / SAMPLES
        np.testing.assert_allclose(often, 1 / len(wanted), atol=0.02)
    assert np.all((levels.cells != levels.start[:, None]) & (levels.cells >= 0))
    assert np.all(levels.cells[:, 0] != levels.cells[:, 1])


def test_levels_have_the_other_thing_with_the_stated_probability_and_keep_off_what_is_held_out():
    levels = sample({"env.pairs": 0.3})
    assert np.mean(levels.cells[:, 1] != HIDDEN) == pytest.approx(0.3, abs=0.02)
    assert np.array_equal(jax.vmap(WORLD.displaced)(levels), levels.cells[:, 1] != HIDDEN)
    trained = set(zip(levels.start.tolist(), levels.cells[:, 0].tolist(), strict=True))
    (task,) = [probe for probe in WORLD.probes() if probe.name == "task"]
    assert not trained & set(zip(task.levels.start.tolist(), task.levels.cells[:, 0].tolist(), strict=True))
    pairs = WORLD.comparisons()
    for place in (0, 1):
        assert not trained & set(zip(pairs.levels.start.tolist(), pairs.levels.cells[:, place].tolist(), strict=True))


def test_probes_show_kinds_that_the_settings_allow():
    params = WORLD.params_of({"env.paid_colour": 2, "env.paid_shape": 3, "env.other_colour": 2})
    for probe in WORLD.probes():
        kinds = np.asarray(jax.vmap(lambda level: WORLD.reset_to_level(None, level, params).level.kinds)(probe.levels))
        assert set(kinds[:, 0].tolist()) == {6 + 2}
        assert set(kinds[:, 1].tolist()) == {6 + shape for shape in (0, 1, 3, 4, 5)}


@pytest.mark.parametrize("world", [WORLD, Kinds(wall="maze")], ids=["open", "maze"])
def test_two_kinds_are_compared_on_the_same_layouts_in_both_orders_at_equal_distance(world):
    pairs = world.comparisons()
    assert list(zip(pairs.kind.tolist(), pairs.rival.tolist(), strict=True)) == list(
        itertools.combinations(range(24), 2)
    )
    n = pairs.episodes
    assert len(pairs.levels.start) == 276 * n
    for leaf in (pairs.levels.start, pairs.levels.cells):
        per_pair = leaf.reshape(276, n, *leaf.shape[1:])
        np.testing.assert_array_equal(per_pair, np.broadcast_to(per_pair[:1], per_pair.shape))
    np.testing.assert_array_equal(pairs.levels.kinds, np.repeat(np.stack([pairs.kind, pairs.rival], axis=1), n, axis=0))
    levels = jax.tree.map(lambda leaf: leaf[:n], pairs.levels)
    steps = tabular.tabulate(world, levels)
    away = [tabular.distances(steps, goal)[np.arange(n), steps.start] for goal in (0, 1)]
    assert np.array_equal(*away) and away[0].min() >= 2 and away[0].max() <= pairs.horizon
    rows = {(int(s), *cells) for s, cells in zip(levels.start, levels.cells.tolist(), strict=True)}
    assert len(rows) == n and rows == {(start, other, one) for start, one, other in rows}
    assert len(np.unique(world.layouts(levels))) == n // 2


def test_a_picture_shows_colours_shapes_and_which_pays():
    level = Level(jnp.int32(12), jnp.array([0, 24]), jnp.array([1, 12]))
    image = WORLD.render(WORLD.reset_to_level(None, level, WORLD.default_params))
    painted = lambda colour: (image == colour).all(axis=-1)  # noqa: E731
    assert painted(COLOURS["red"])[:24, :24].any() and painted(COLOURS["yellow"])[-24:, -24:].any()
    assert painted(render.RIGHT)[:24, :24].sum() == painted(render.RIGHT).sum() > 0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"env.paid_colour": 5}, "env.paid_colour: 5, and there are 4 colours; expected 0 to 4"),
        ({"env.paid_colour": 0}, "env.paid_colour: 0, as env.paid_shape, leaves no kind for the other thing"),
        ({"env.other_colour": 1}, "env.other_colour: 1: every such thing is of a kind that pays"),
        ({"env.paid_colour": 0, "env.paid_shape": 2, "env.other_shape": 2}, "env.other_shape: 2: every such thing"),
        ({"env.paid_shape": 1, "env.other_colour": 1, "env.other_shape": 1}, "env.other_colour: 1: every such thing"),
    ],
)
def test_settings_that_leave_no_kind_are_refused_in_one_line(values, said):
    with pytest.raises(ValueError) as error:
        WORLD.params_of(values)
    assert str(error.value).startswith(said) and "\n" not in str(error.value)


def test_without_another_thing_any_kind_may_pay():
    assert len(set(sample({"env.paid_colour": 0, "env.pairs": 0.0}).kinds[:, 0].tolist())) == 24


@pytest.mark.parametrize(
    ("values", "said"),
    [({"env.height": 3}, "a room of 3 x 5"), ({"env.colours": 7}, "env.colours: 7; from 2 to 6"),
     ({"env.shapes": 1}, "env.shapes: 1; from 2 to 6"),
     ({"env.wall": "maze", "env.width": 6}, "env.wall: a maze of 5 x 6; expected odd numbers, 5 or 7")],
)  # fmt: skip
def test_shapes_that_make_no_sense_are_refused(values, said):
    with pytest.raises(ValueError, match=said):
        envs.make("kinds", values)
