"""Policies built by hand, whose goal sits where it was put."""

import jax
import numpy as np

import envs
import jaxrl
from jaxrl.internals import Lanes

WORLD = envs.make("coin-line", {"env.encoding": "one-hot"})
LEARNER = jaxrl.PPO(width=64, depth=2)
AGENTS = WORLD.layout.cardinalities[0]


def zeros(world=WORLD, learner=LEARNER):
    """A policy of zeros, as numpy arrays."""
    one = jax.tree.map(lambda leaf: leaf[0], (world.layout.blank(1), learner.context(world, 1)))

    def make(key):
        return (
            learner.random_policy(world, key)
            if hasattr(learner, "population")
            else learner.make_variables(world, key, *one)
        )

    shapes = jax.eval_shape(make, jax.random.key(0))
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)


def drawn(world, learner, seed=0):
    """A policy of random weights, none of them small."""
    generator = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: generator.normal(size=leaf.shape).astype(np.float32), zeros(world, learner))


def goes_to_the_coin_by(unit):
    """Goes left while it sees a coin, of which one unit alone knows, and else right.

    In both layers the unit gives 3 with a coin and -3 without, so that its goal's vector has a length of 6.
    """
    policy = zeros()
    layers = policy["params"]
    layers["tower_0"]["kernel"][AGENTS:, unit] = 6.0
    layers["tower_0"]["bias"][unit] = -3.0
    layers["tower_1"]["kernel"][unit, unit] = 3 / np.tanh(3)
    layers["policy"]["kernel"][:, unit] = [20.0, -20.0]
    return policy


def lanes_of(policies, conditions, world=WORLD):
    params = world.params_of({})
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *policies)
    return Lanes(
        np.stack([np.arange(len(policies)), np.ones(len(policies))], axis=1).astype(np.uint32),
        stacked,
        jax.tree.map(lambda leaf: np.stack([np.asarray(leaf)] * len(policies)), params),
        np.array(conditions),
    )
