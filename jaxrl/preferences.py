"""Which of two kinds of things a policy goes for: every pair of kinds, as a table."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from envs import Compared, Comparisons, World
from jaxrl import probing
from jaxrl.learner import Learner

PREFERRING = 0x70726566
"""Sets the randomness of these episodes apart from that of the probes."""


def comparisons_of(world: World) -> Comparisons | None:
    """The pairs of kinds that a world compares; None where it compares none."""
    return world.comparisons() if world.offers(Compared) else None  # type: ignore[attr-defined]


def run_of(comparisons: Comparisons) -> probing.Run:
    """All episodes on pairs of kinds, as one run of the policy itself."""
    episodes = len(comparisons.kind) * comparisons.episodes
    bank = probing.Bank(comparisons.levels, np.full(episodes, comparisons.horizon, np.int32))
    return probing.Run("trained", True, bank, {}, {})


def preferred(
    world: World, learner: Learner, comparisons: Comparisons, checkpoint: Any, key: Any, variables: Any, params: Any
) -> jax.Array:
    """What one lane's policy goes for, as `counts`, on all pairs of kinds.

    Args:
      checkpoint: i32[], updates done.
      key: u32[2], the data of the lane's key.
      variables: the policy's.
      params: the world's Params.
    """
    run = run_of(comparisons)
    key = jax.random.fold_in(jax.random.fold_in(jax.random.wrap_key_data(key), PREFERRING), checkpoint)
    bits = jax.random.bits(key, (probing.bits_needed(world, run),), jnp.uint32)

    def act(observation, context):
        logits, _, memory = learner.apply(world, variables, observation, context)
        return logits, memory

    context = learner.context(world, len(run.bank.horizon))
    return counts(comparisons, probing.probe(world, act, run, bits, params, context))


def counts(comparisons: Comparisons, played: probing.Played) -> jax.Array:
    """i8[pairs, 2], episodes in which a thing of the one kind was entered first, and one of the other."""
    reached = played.reached[:, :2].reshape(len(comparisons.kind), comparisons.episodes, 2)
    entered = reached > 0
    first = entered & (~entered[..., ::-1] | (reached < reached[..., ::-1]))
    return jnp.sum(first, axis=1, dtype=jnp.int8)


def columns(
    comparisons: Comparisons, found: dict[int, np.ndarray], checkpoints: dict[int, float]
) -> dict[str, np.ndarray]:
    """What a chunk's policies preferred, name -> [lanes, checkpoints * pairs].

    Args:
      found: by update, i8[lanes, pairs, 2], as `counts` gives it.
      checkpoints: by update, the share of training.
    """
    pairs, lanes = len(comparisons.kind), len(next(iter(found.values())))

    def of_pairs(values: Any) -> np.ndarray:
        return np.tile(np.asarray(values, np.int16), (lanes, len(found)))

    first = np.concatenate(list(found.values()), axis=1)
    return {
        "checkpoint": np.tile(np.repeat([checkpoints[update] for update in found], pairs), (lanes, 1)),
        "kind": of_pairs(comparisons.kind),
        "rival": of_pairs(comparisons.rival),
        "kind_first": first[..., 0],
        "rival_first": first[..., 1],
        "undecided": (comparisons.episodes - first.sum(axis=2)).astype(np.int8),
    }
