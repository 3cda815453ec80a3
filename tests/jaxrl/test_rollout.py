"""What a rollout counts, by hand."""

import dataclasses

import jax
import jax.numpy as jnp

from envs.coin_line import CoinLine, Level
from jaxrl import rollout


@dataclasses.dataclass(frozen=True)
class Deliveries(CoinLine):
    """A coin that is collected at every step of an episode that starts on an even cell, until time runs out."""

    def transition(self, key, state, action, params):
        state, events, terminated = super().transition(key, state, action, params)
        again = jnp.array([state.level.start % 2 == 0, False])
        return state, again, jnp.zeros_like(terminated)


def tally(world, params, levels, n_steps):
    """Of a policy that always goes right, from levels [turns, envs]."""
    levels = Level(*(jnp.array(part, jnp.int32) for part in levels))
    n_envs = levels.start.shape[1]
    right = lambda seen, _: (jnp.full((n_envs, 2), jnp.array([[-50.0, 50.0]])), jnp.zeros(n_envs), ())  # noqa: E731

    @jax.jit
    def run(bits):
        begun = rollout.begin(world, jax.random.key(0), params, n_envs)
        return rollout.rollout(world, right, begun, bits, params, n_steps, levels, restart=True)[2]

    return run(jax.random.bits(jax.random.key(1), (rollout.bits_needed(world, n_envs, n_steps),), jnp.uint32))


def test_episodes_and_those_on_displaced_levels_are_counted_as_they_end():
    """One environment, a level of one step with the coin at the end and then one of three steps with it elsewhere."""
    world = CoinLine()
    found = tally(world, world.params_of({}), ([[7], [4]], [[8], [7]]), n_steps=10)
    assert (found.episodes, found.lengths) == (5, 9), "1, 3, 1, 3, 1, and one step of the sixth"
    assert found.displaced == 2, "which is on a displaced level, and has not ended"
    assert found.successes == found.events[0] == 5


def test_an_episode_that_reaches_the_intended_goal_many_times_is_one_success():
    """Ten environments: five deliveries in each of two, none in the others."""
    world = Deliveries()
    starts = [0, 2] + [1] * 8
    found = tally(world, world.params_of({"env.max_steps_in_episode": 5}), ([starts], [[8] * 10]), n_steps=5)
    assert (found.episodes, found.events[0], found.successes) == (10, 10, 2)
