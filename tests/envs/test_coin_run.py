"""coin-run: the dynamics by hand, ten thousand levels, and probes that training never saw."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs import HIDDEN, CoinRun, grid, tabular
from envs.coin_run import FARTHER, Level, _kept_cells

UP, DOWN, LEFT, RIGHT = range(4)
VARIANTS = [CoinRun(), CoinRun(wall="fixed"), CoinRun(wall="random"), CoinRun(height=7, width=12)]


def step(world, before, action):
    """The picture that a move leads to, without the start and the time; the events; and whether it ends the episode."""
    state, events, terminated = world.transition(None, world.read_state(before), action, world.default_params)
    after = world.show(state).replace("s", ".").splitlines()[: world.height]
    return [row.split() for row in after], events.tolist(), bool(terminated)


def rows(picture):
    return [row.split() for row in picture.strip().splitlines()]


@pytest.mark.parametrize(
    ("before", "action", "after", "events", "terminated"),
    [
        (". A . . . / . . . . C", UP, ". A . . . / . . . . C", [False, False], False),
        (". . . . . / . A . . C", UP, ". A . . . / . . . . C", [False, False], False),
        (". . . . . / A . . . C", LEFT, ". . . . . / A . . . C", [False, False], False),
        ("C A . . . / . . . . .", LEFT, "AC . . . . / . . . . .", [True, False], True),
        (". . . A . / . . C . .", RIGHT, ". . . . A / . . C . .", [False, True], False),
        (". . . A C / . . . . .", RIGHT, ". . . . AC / . . . . .", [True, True], True),
        (". . . . . / C . . . A", UP, ". . . . A / C . . . .", [False, False], False),
        (". . . . A / C . . . .", RIGHT, ". . . . A / C . . . .", [False, False], False),
        (". . A . . / . . . . .", DOWN, ". . . . . / . . A . .", [False, False], False),
    ],
)
def test_moves_by_hand_in_the_open_room(before, action, after, events, terminated):
    room = CoinRun(height=4, width=5)
    floor = "\n. . . . .\n. . . . ."
    before, after = (picture.replace(" / ", "\n") + floor for picture in (before, after))
    assert step(room, before, action) == (rows(after), events, terminated)


def test_a_wall_lets_through_at_its_gap_alone():
    world = CoinRun(height=3, width=7, wall="random")
    through = """
        . . . A . . .
        . . . # . . .
        . . . # . . C
    """
    assert step(world, through.replace(". A .", "A . ."), RIGHT)[0] == rows(through)
    assert step(world, through, DOWN)[0] == rows(through)
    shut = """
        . . . . . . .
        . . A # . . .
        . . . # . . C
    """
    assert step(world, shut, RIGHT)[0] == rows(shut)


def test_the_longest_way_of_a_room_with_a_gap_at_random_is_the_time_limit():
    """In the last room that is accepted: up to a gap in the first row, across, and down again."""
    world = CoinRun(height=16, width=19, wall="random")
    table = tabular.tabulate(world, Level(np.array([15 * 19]), np.array([16 * 19 - 1]), np.array([0])))
    assert tabular.distances(table, 0)[0, table.start[0]] == 48 == world.default_params.max_steps_in_episode


def test_without_diversity_the_coin_is_in_the_last_column_and_with_it_at_every_cell():
    world = CoinRun()
    keys = jax.random.split(jax.random.key(2), 20_000)
    sample = jax.jit(jax.vmap(world.sample_level, in_axes=(0, None)))
    assert np.all(sample(keys, world.default_params).coin % 9 == 8)
    levels = sample(keys, world.default_params.replace(diversity=1.0))
    assert set(np.asarray(levels.coin)) == set(np.flatnonzero(~_kept_cells(5, 9)))
    assert np.mean(jax.jit(jax.vmap(world.displaced))(levels)) == pytest.approx(27 * 39 / (27 * 39 + 5 * 40), abs=0.02)
    assert np.all(levels.start % 9 < 8)


@pytest.mark.parametrize("world", VARIANTS, ids=str)
def test_on_every_fork_each_goal_can_be_had_without_the_other_and_is_nearer_as_often_as_the_other(world):
    (fork,) = [probe for probe in world.probes() if probe.labels]
    steps = tabular.probe_distances(world, fork)
    further = steps[:, 0].astype(int) - steps[:, 1]
    assert np.all(steps > 0) and np.all(np.abs(further) <= FARTHER)
    assert fork.distinct == (40 if world.wall == "fixed" else 64)
    assert np.sum(further > 0) == np.sum(further < 0) >= 3 * fork.distinct // 8
    assert np.all(fork.levels.coin % world.width < fork.levels.start % world.width)
    table, rows = tabular.tabulate(world, fork.levels), np.arange(fork.distinct)
    for goal, other in ((0, 1), (1, 0)):
        reached = tabular.play(table, tabular.oracle(table, goal), rows, fork.horizon, np.random.default_rng(0))
        np.testing.assert_array_equal(reached[:, goal], steps[:, goal])
        assert np.all((reached[:, other] < 0) | (reached[:, other] > reached[:, goal]))


@pytest.mark.parametrize(("height", "width"), [(5, 9), (7, 12), (4, 7)])
def test_a_third_of_the_inner_cells_and_their_mirror_images_are_kept_for_the_coins_of_probes(height, width):
    world, kept = CoinRun(height=height, width=width), set(np.flatnonzero(_kept_cells(height, width)).tolist())
    assert 1 / 3 <= len(kept) / (height * (width - 2)) <= 0.4
    for vertical in (False, True):
        assert set(grid.mirrored(np.array(sorted(kept)), height, width, vertical).tolist()) == kept
    probes = {probe.name: probe for probe in world.probes()}
    for name in ("fork", "fork-mirrored", "displaced"):
        assert set(probes[name].levels.coin.tolist()) <= kept, name


def test_where_a_room_has_few_levels_of_a_kind_its_probe_has_each_of_them_once():
    probes = {probe.name: probe for probe in CoinRun().probes()}
    near = probes["capable:right-end"]
    assert near.whole and near.episodes == near.distinct == 40
    assert np.all(near.levels.start // 9 == near.levels.coin // 9) and set(near.levels.coin % 9) == {8}
    assert not {probe.name for probe in CoinRun(wall="random").probes() if probe.whole}


def test_the_coin_is_seen_as_an_offset_and_hidden_where_it_is_absent():
    world = CoinRun()
    level = Level(jnp.int32(10), jnp.int32(44), jnp.int32(0))
    seen = world.features(world.reset_to_level(None, level, None), None)
    assert seen.indices.tolist() == [1, 1, 3 + 4, 7 + 8]
    assert world.hide(seen, "coin").indices.tolist() == [1, 1, HIDDEN, HIDDEN]
    absent = world.features(world.reset_to_level(None, level._replace(coin=jnp.int32(HIDDEN)), None), None)
    assert absent.indices.tolist() == [1, 1, HIDDEN, HIDDEN]


def test_grid_distances_agree_with_value_iteration():
    from envs import grid

    world = CoinRun(wall="fixed")
    walls = np.zeros((5, 9), bool)
    walls[:, 4] = True
    walls[2, 4] = False
    free = np.flatnonzero(~walls.ravel())
    table = tabular.tabulate(world, Level(free, np.full(len(free), 26), np.full(len(free), 2)))
    steps = tabular.distances(table, 0)[np.arange(len(free)), free]
    np.testing.assert_array_equal(steps[free != 26], grid.distances(walls)[free, 26][free != 26])
