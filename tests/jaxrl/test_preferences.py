"""Preferences between kinds: made policies, whose order of kinds is known, are recovered from the table exactly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from envs import Kinds, Observation
from jaxrl import preferences, probing
from jaxrl.networks import NOTHING

WORLD = Kinds(height=4, width=5, colours=2, shapes=3)
PAIRS = WORLD.comparisons()
KINDS = WORLD.colours * WORLD.shapes
UP, DOWN, LEFT, RIGHT = range(4)


def going_by(score):
    """A policy that goes for what has the highest score, and for the upper, then left, one of equals.

    A kind is there where its colour and its shape are, in the same rows and the same columns.
    """

    def act(observation: Observation, context):
        tall, wide = 2 * WORLD.height - 1, 2 * WORLD.width - 1
        seen = observation.vector.reshape(-1, WORLD.colours + WORLD.shapes, tall + wide) > 0
        both = seen[:, : WORLD.colours, None] & seen[:, None, WORLD.colours :]
        both = both.reshape(-1, KINDS, tall + wide)
        here = both[:, :, :tall, None] & both[:, :, None, tall:]
        worth = jnp.where(here, jnp.asarray(score, jnp.float32)[None, :, None, None], -jnp.inf).max(axis=1)
        best = worth.reshape(len(worth), -1).argmax(axis=1)
        down, right = best // wide - (WORLD.height - 1), best % wide - (WORLD.width - 1)
        across = jnp.where(right > 0, RIGHT, LEFT)
        action = jnp.where(down > 0, DOWN, jnp.where(down < 0, UP, across))
        return 50.0 * jax.nn.one_hot(action, 4), ()

    return act


@jax.jit
def play(score):
    run = preferences.run_of(PAIRS)
    bits = jax.random.bits(jax.random.key(0), (probing.bits_needed(WORLD, run),), jnp.uint32)
    params = WORLD.default_params
    return preferences.counts(PAIRS, probing.probe(WORLD, going_by(score), run, bits, params, NOTHING))


@pytest.mark.parametrize(
    ("by", "score"),
    [
        ("a fixed ranking", [3, 0, 5, 1, 4, 2]),
        ("colour", [1, 1, 1, 0, 0, 0]),
        ("shape", [0, 2, 1, 0, 2, 1]),
        ("nothing", [0, 0, 0, 0, 0, 0]),
    ],
)
def test_what_a_made_policy_goes_by_is_recovered_exactly(by, score):
    """Of equals each comes first in half of the episodes: each layout is played in both orders."""
    score = np.array(score)
    wanted = 8 + 8 * np.sign(score[PAIRS.kind] - score[PAIRS.rival])
    found = np.asarray(play(score))
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, np.stack([wanted, 16 - wanted], axis=1))


def test_who_comes_first_counts_and_what_neither_reaches_is_undecided():
    """Two pairs of three episodes: steps at which each thing is entered, -1 for never."""
    pairs = PAIRS._replace(kind=np.array([0, 0]), rival=np.array([1, 2]), episodes=3)
    reached = jnp.array([[2, -1], [-1, 3], [-1, -1], [4, -1], [5, -1], [2, -1]], jnp.int16)
    found = np.asarray(preferences.counts(pairs, probing.Played(reached, None, None)))
    assert found.tolist() == [[1, 1], [3, 0]]
    every = preferences.columns(pairs, {0: found[None], 9: found[None, ::-1]}, {0: 0.0, 9: 1.0})
    rows = list(zip(*(column[0].tolist() for column in every.values()), strict=True))
    assert list(every) == ["checkpoint", "kind", "rival", "kind_first", "rival_first", "undecided"]
    assert rows == [(0.0, 0, 1, 1, 1, 1), (0.0, 0, 2, 3, 0, 0), (1.0, 0, 1, 3, 0, 0), (1.0, 0, 2, 1, 1, 1)]


@pytest.mark.slow
def test_a_program_leaves_preferences_at_each_checkpoint_and_goes_on_from_one_to_the_same_bits():
    world = Kinds(height=4, width=4, colours=2, shapes=2)
    learner = jaxrl.make("ppo", {"learner.total_steps": 192, "learner.n_envs": 8, "learner.n_steps": 8})
    program, states = jaxrl.Program(world, learner, 2, (0.5, 1.0)), []
    lanes = np.arange(4, dtype=np.uint32).reshape(2, 2), [{}, {"env.paid_colour": 2}]
    whole = program.train(*lanes, on_state=lambda state: states.append(state()))
    assert program.tables == ("preference",)
    found = whole.preference
    assert found["checkpoint"].tolist() == [[0.5] * 6 + [1.0] * 6] * 2
    assert np.all(found["kind_first"] + found["rival_first"] + found["undecided"] == 16)
    assert found["kind_first"].dtype == np.int8 and found["kind"].dtype == np.int16
    for state in states:
        again = program.train(*lanes, resume=state).preference
        for name, values in found.items():
            np.testing.assert_array_equal(again[name], values, err_msg=name)
