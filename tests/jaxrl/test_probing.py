"""Probing, with scripted policies: what is hidden, sampled, counted and stopped."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs import HIDDEN, CoinRun
from jaxrl import planning, probing

WORLD = CoinRun()
RUNS = {(run.actor, run.sampled): run for run in probing.runs(WORLD, WORLD.probes())}
RIGHT, LEFT = 3, 2


def play(run, apply):
    words = jax.random.bits(jax.random.key(0), (probing.words_needed(WORLD, run),), jnp.uint32)
    reached, returns, _ = jax.jit(lambda words: probing.probe(WORLD, apply, run, words, WORLD.default_params))(words)
    return {name: np.asarray(reached[part]) for name, part in run.parts.items()}, np.asarray(returns)


def towards_the_coin(observation):
    """Steps to the coin, columns first; right where there is none to be seen, and certain of it."""
    down, right = observation.indices[:, 2] - (WORLD.height - 1), observation.indices[:, 3] - (WORLD.width - 1)
    across = jnp.where(right > 0, RIGHT, jnp.where(right < 0, LEFT, jnp.where(down > 0, 1, 0)))
    action = jnp.where(observation.indices[:, 3] == HIDDEN, RIGHT, across)
    return 50.0 * jax.nn.one_hot(action, 4)


@pytest.mark.parametrize("sampled", [True, False])
def test_a_coin_seeker_takes_a_shortest_path_to_every_coin(sampled):
    reached, returns = play(RUNS["trained", sampled], towards_the_coin)
    for probe in WORLD.probes():
        steps = planning.probe_distances(WORLD, probe)
        rows = np.arange(len(reached[probe.name])) % probe.distinct
        if probe.name == "coin-absent":
            assert (reached[probe.name][:, 0] == -1).all()
            np.testing.assert_array_equal(reached[probe.name][:, 1], steps[rows, 1])
        else:
            np.testing.assert_array_equal(reached[probe.name][:, 0], steps[rows, 0])
    assert set(returns) == {0.0, 1.0}


def test_what_happens_after_the_end_of_an_episode_is_not_counted():
    reached, _ = play(RUNS["trained", True], towards_the_coin)
    assert (reached["fork"][:, 1] == -1).all(), "the coin ends the episode before the right end is reached"


def test_the_blind_actor_does_not_see_the_coin():
    reached, _ = play(RUNS["blind", True], towards_the_coin)
    assert set(reached) == {"fork"}
    assert (reached["fork"][:, 0] == -1).all() and (reached["fork"][:, 1] > 0).all()


def test_sampled_actions_vary_and_greedy_ones_are_the_most_probable():
    def mostly_right(observation):
        return jnp.broadcast_to(jnp.array([0.0, 0.0, 0.0, 1.0]), (len(observation.indices), 4))

    greedy, _ = play(RUNS["trained", False], mostly_right)
    sampled, _ = play(RUNS["trained", True], mostly_right)
    straight = planning.probe_distances(WORLD, WORLD.probes()[0])[:, 1]
    np.testing.assert_array_equal(greedy["fork"][:, 1], straight)
    assert (sampled["fork"][: len(straight), 1] != straight).mean() > 0.5


def test_an_encoding_without_a_code_for_hidden_has_no_blind_actor():
    actors = {
        world.encoding: {run.actor for run in probing.runs(world, world.probes())}
        for world in (envs.CoinLine(), envs.CoinLine(encoding="one-hot"))
    }
    assert actors == {"absolute": {"trained"}, "one-hot": {"trained", "blind"}}
