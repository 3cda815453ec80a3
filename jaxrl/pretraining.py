"""Cloning of demonstrations before reinforcement: where a policy comes from that already has a goal."""

from typing import Any

import jax
import jax.numpy as jnp

from envs import Asking, Observation, World
from envs.tabular import traced_steps_left
from jaxrl.networks import NOTHING

EPISODES = 256
"""Demonstrations that a lane is given."""
ROWS = 256
"""Steps of them, drawn anew, that each update learns from."""


def goals_of(world: World) -> tuple[int, int]:
    """The places of the intended goal and of its rival: the reward channel, or else the first proxy."""
    roles = [goal.role for goal in world.goals]
    return roles.index("intended"), roles.index("channel" if "channel" in roles else "proxy")


def check(world: World) -> None:
    """Raises ValueError where a world has no demonstrations."""
    if not {"intended"} < {goal.role for goal in world.goals}:
        raise ValueError("learner.pretraining_updates: demonstrations need a world with an intended goal and a rival")
    if isinstance(world, Asking):
        raise ValueError("learner.pretraining_updates: demonstrations would ask, and ask.offered is true; expected 0")


def demonstrations(
    world: Any, key: jax.Array, params: Any, share: jax.Array, steps: int
) -> tuple[Observation, jax.Array, jax.Array]:
    """Oracles' ways on fresh training levels, to one goal each.

    Args:
      share: f32[], the probability that an episode goes to the intended goal; the rest go to its rival, or to the
        intended goal where the rival is out of reach.
      steps: how long an episode is followed.
    Returns:
      observations, leaves [EPISODES * steps, ...]; f32[EPISODES * steps, actions], the oracle's probabilities: all
      shortest ways alike; and f32[EPISODES * steps], 1 for steps up to the goal and 0 for those after it.
    """
    intended, rival = goals_of(world)

    def episode(key):
        level_key, reset_key, choice_key, play_key = jax.random.split(key, 4)
        level = world.sample_level(level_key, params)
        next_state, events, terminated = world.tabular(level, params)
        state = world.reset_to_level(reset_key, level, params)
        start = world.state_index(state)
        costs = [traced_steps_left(next_state, events[..., goal], terminated) for goal in (intended, rival)]
        straight = (jax.random.uniform(choice_key) < share) | ~jnp.isfinite(costs[1][start].min())
        cost, goal = jnp.where(straight, *costs), jnp.where(straight, intended, rival)

        def step(carry, key):
            state, going = carry
            here = cost[world.state_index(state)]
            best = ((here == here.min()) & jnp.isfinite(here.min())).astype(jnp.float32)
            known = going & (best.sum() > 0)
            action = jax.random.categorical(key, jnp.log(jnp.where(known, best, 1.0)))
            after, happened, ended = world.transition(key, state, action, params)
            observed = world.features(state, params)
            target = best / jnp.maximum(best.sum(), 1.0)
            return (after, known & ~ended & ~happened[goal]), (observed, target, known.astype(jnp.float32))

        return jax.lax.scan(step, (state, jnp.ones((), bool)), jax.random.split(play_key, steps))[1]

    found = jax.vmap(episode)(jax.random.split(key, EPISODES))
    return jax.tree.map(lambda leaf: leaf.reshape(EPISODES * steps, *leaf.shape[2:]), found)


def pretrain(
    learner: Any, world: World, variables: Any, key: jax.Array, env_params: Any, params: Any, updates: int
) -> Any:
    """Parameters after `updates` steps of the learner's optimiser on the cross-entropy to the demonstrations' actions.

    The value head learns nothing; the optimiser of what follows starts anew.
    """
    demonstration_key, key = jax.random.split(key)
    observation, target, weight = demonstrations(
        world, demonstration_key, env_params, params.pretraining_share, learner.n_steps
    )

    def loss(variables, rows):
        logits = learner.apply(world, variables, jax.tree.map(lambda leaf: leaf[rows], observation), NOTHING)[0]
        entropy = -jnp.sum(target[rows] * jax.nn.log_softmax(logits), axis=-1)
        return jnp.mean(entropy)

    within = jnp.cumsum(weight)  # steps after the goal have no weight: they are never drawn

    def update(i, carry):
        variables, optimiser_state = carry
        draw = jax.random.uniform(jax.random.fold_in(key, i), (ROWS,))
        rows = jnp.searchsorted(within, draw * within[-1], side="right")
        return learner.descend(params, variables, optimiser_state, jax.grad(loss)(variables, rows))

    return jax.lax.fori_loop(0, updates, update, (variables, learner.optimiser(params).init(variables)))[0]
