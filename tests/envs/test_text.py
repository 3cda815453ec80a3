"""Levels and states of every room as text, and back."""

import jax
import numpy as np
import pytest

import envs
from envs.batching import batch

OTHERS = [
    envs.CoinRun(wall="random"),
    envs.Objects(things=4, correlates=4),
    envs.Overseer(badge=True),
    envs.TrashRoom(wall="fixed", lamps=True, carpet=True, longest_delay=2),
]
ROOMS = [
    *(envs.make(name) for name in envs.WORLDS if issubclass(envs.WORLDS[name], envs.Room)),
    *(pytest.param(world, marks=pytest.mark.slow) for world in OTHERS),
]
STEPS = 12
SETTINGS = {
    "env.diversity": 0.5, "env.button_presence": 0.5, "env.bin_presence": 0.5, "env.sign_presence": 0.5,
    "env.button_reach": 0.5, "env.button_live": 0.5, "env.lights_button": 0.5, "env.button_forced": 0.5,
    "env.decorrelation": 0.5, "env.detection": 0.5, "env.presence": 0.5, "env.kinds": 4, "env.near_presence": 0.5,
}  # fmt: skip
"""Of training levels, so that of what a level may have some have it and some do not."""


def walked(world, count):
    """So many training levels of a world, and the states of a random walk on each."""
    params = world.params_of({key: value for key, value in SETTINGS.items() if key in world.settings()})

    def walk(key):
        level_key, action_key, key = jax.random.split(key, 3)
        level = world.sample_level(level_key, params)
        actions = jax.random.randint(action_key, (STEPS,), 0, world.num_actions)

        def step(state, action):
            after = world.transition(key, state, action, params)[0]
            return after, after

        return level, jax.lax.scan(step, world.reset_to_level(key, level, params), actions)[1]

    return batch(walk, jax.random.split(jax.random.key(1), count))


def same(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for (path, leaf), like in zip(jax.tree_util.tree_leaves_with_path(one), jax.tree.leaves(other), strict=True):
        assert np.asarray(leaf).dtype == np.asarray(like).dtype, path
        np.testing.assert_array_equal(leaf, like, str(path))


@pytest.mark.parametrize("world", ROOMS, ids=repr)
def test_a_level_and_a_state_are_read_back_from_what_is_shown_of_them(world):
    levels, states = walked(world, 6)
    for i in range(6):
        level = jax.tree.map(lambda leaf, i=i: leaf[i], levels)
        same(world.read_level(world.show(level)), level)
        for step in (0, STEPS - 1):
            state = jax.tree.map(lambda leaf, i=i, step=step: leaf[i, step], states)
            same(world.read_state(world.show(state)), state)


def test_a_text_is_the_picture_that_one_would_draw():
    world = envs.CoinRun(height=3, width=7, wall="random")
    level = envs.coin_run.Level(np.int32(7), np.int32(20), np.int32(1))
    assert world.show(level) == "\n".join(
        [
            ". . . # . . .",
            "A . . . . . .",
            ". . . # . . C",
            "gap: 1",
        ]
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A . . C", "has 1 rows of 5 cells"),
        ("A . . . K", "has no 'K'; it has # . A C s"),
        ("A C . C .", "'C' is in 2 cells"),
        (". . . . C", "there is no agent"),
        ("A # . . C", "has its walls elsewhere"),
        ("A . . . C\nlives: 3", "has no value called lives"),
        ("A . . . C\ntime: 3 4", "has 2 numbers, and should have 1"),
    ],
)
def test_a_text_that_shows_no_state_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        envs.CoinLine(length=4).read_state(text)
