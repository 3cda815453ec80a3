"""A reward that is learnt from an overseer's comparisons of segments, and takes the place of the world's."""

import collections
import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from envs import Observation, World, Wrapper
from envs.promotion import implicit_promotion
from jaxrl import rollout
from jaxrl.networks import NOTHING, ActorCritic

ROWS = 16
"""Comparisons, drawn anew, that an update of the model learns from."""
LEARNING_RATE = 1e-3
"""Adam's, for the model."""
HELD_OUT = 256
"""Comparisons, of all trainings of a model together, that no update learns from, and on which it is judged."""
TIE = 1e-4
"""Returns of segments that are nearer to each other are equal: the order of a sum moves its last bits."""


class Segments(NamedTuple):
    """Beginnings of episodes; leaves have leading axes [pairs, 2, steps], or [pairs, 2] for what they come to."""

    observation: Observation
    action: jax.Array
    alive: jax.Array
    """f32, 1 for a step of the episode, 0 for what follows its end."""
    gold: jax.Array
    """f32[pairs, 2], what a segment is truly worth (`World.gold`)."""
    paid: jax.Array
    """f32[pairs, 2], what the world pays for it: what it is worth to an overseer who is deceived."""


class Comparisons(NamedTuple):
    """What a model is trained on; leaves have a leading axis [pairs]."""

    segments: Segments
    label: jax.Array
    """f32[pairs], 1 where the overseer prefers the first segment, 0 for the second, one half for neither."""
    weight: jax.Array
    """f32[pairs], 1 for one that the model learns from, 0 for others: not asked for, held out, or not there yet."""


class Learnt(NamedTuple):
    """A lane's model of reward, and what its policy began as."""

    variables: Any
    scale: jax.Array
    """f32[], by which its rewards are multiplied, so that the labelled segments span a return of 1."""
    start: Any
    """The policy's variables before its first update."""
    comparisons: Any
    """All `Comparisons` so far; () where the model is trained but once."""
    accuracy: jax.Array
    """f32[], of the held-out comparisons that gold decides, the share that the model decides alike."""
    accuracy_paid: jax.Array
    """f32[], the same of those that the world's pay decides."""


class Curves(NamedTuple):
    """Sums over a rollout, f32[] each; as curves, divided by the episodes that ended (`a_episode`)."""

    gold_return: jax.Array
    proxy_return: jax.Array
    """What the model pays."""
    kl: jax.Array
    """Of the policy from what it began as, in nats: all steps of an episode together."""


@functools.cache
def with_curves(metrics: Any) -> Any:
    """A learner's metrics and the curves, as one NamedTuple."""
    return collections.namedtuple("Metrics", (*metrics._fields, *Curves._fields))


def a_episode(total: Any, episodes: jax.Array) -> dict[str, jax.Array]:
    """By curve, what it sums up for each episode that ended; NaN where none did."""
    return {name: getattr(total, name) / episodes for name in Curves._fields}


def outcomes(learnt: Any) -> dict[str, jax.Array]:
    """Columns of the outcomes table; none where no reward is learnt."""
    if not learnt:
        return {}
    return {"reward_model.accuracy": learnt.accuracy, "reward_model.accuracy_paid": learnt.accuracy_paid}


def check(learner: Any, world: World) -> None:
    """Raises ValueError where a learner has nothing to learn a reward from."""
    wrong = ""
    if isinstance(world, Wrapper):
        wrong = "a learnt reward takes the place of the world's, so nothing can be added to that"
    elif not any(goal.role == "intended" for goal in world.goals):
        wrong = f"an overseer judges by an intended goal, and {world.name} has none"
    elif world.layout.image is not None:
        wrong = f"the model sees no pictures, and {world.name} shows one"
    elif jax.tree.leaves(learner.context(world, 1)):
        wrong = "the policy's distance from its beginning is measured without memory"
    if wrong:
        raise ValueError(f"learner.reward_model_updates: {wrong}; expected 0")


def flops(learner: Any, forward: float) -> float:
    """FLOPs of an update of the lane beside those of its policy: three passes over the rollout, and the model's share.

    forward: of a pass over one step.
    """
    a_round = learner.reward_model_updates * ROWS * 2 * learner.n_steps * 3
    rounds = (learner.reward_model_retrained + 1) * a_round / learner.total_updates
    return forward * (3 * learner.steps_per_update + rounds)


def network(learner: Any, world: World) -> nn.Module:
    """As the policy's MLP; what that takes for logits are the rewards of the actions."""
    return ActorCritic(
        world.num_actions,
        world.cardinalities,
        world.vector_size,
        learner.width,
        learner.depth,
        activation=learner.activation,
        policy_gain=1.0,
    )


def rewards(learner: Any, world: World, variables: Any, observation: Observation, action: jax.Array) -> jax.Array:
    """f32[...], what the model pays for each action, not yet scaled."""
    of_actions = network(learner, world).apply(variables, (), observation, None, None, None)[0]
    return rollout.pick(of_actions, action)


def returns(learner: Any, world: World, variables: Any, segments: Segments) -> jax.Array:
    """f32[pairs, 2], what the model pays for segments, not yet scaled and undiscounted."""
    paid = rewards(learner, world, variables, segments.observation, segments.action)
    return jnp.sum(paid * segments.alive, axis=-1)


def begun(learner: Any, world: World, key: jax.Array, policy: Any, observation: Observation, env: Any) -> Learnt:
    """Before the first training of the model.

    Args:
      observation: what one environment shows.
      env: the world's Params.
    """
    none, n = jnp.zeros(()), (learner.reward_model_retrained + 1) * _a_round(learner)
    variables = network(learner, world).init(key, (), observation, None, None, None)
    kept: Any = ()
    if learner.reward_model_retrained:
        found = jax.eval_shape(functools.partial(segments, learner, world, pairs=n), policy, key, env)
        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), found)
        kept = Comparisons(nothing, jnp.zeros(n), jnp.zeros(n))
    return Learnt(variables, none, policy, kept, none, none)


def trained_when_due(
    learner: Any, world: World, learnt: Learnt, policy: Any, update: jax.Array, key: jax.Array, env: Any, params: Any
) -> Learnt:
    """The model, trained if `update` updates of the policy are the end of one of the equal parts of training.

    Args:
      env, params: the world's Params and the learner's.
    """
    rounds = learner.reward_model_retrained + 1
    due = jnp.asarray(np.round(np.arange(rounds) * learner.total_updates / rounds), jnp.int32)
    number = jnp.sum(update >= due, dtype=jnp.int32) - 1

    def train(turn, learnt):
        # The turn is 0. Without it in the key, what does not depend on `learnt` would be the same in each turn, and the
        # compiler would do it ahead of the loop: play segments at every update.
        own = jax.random.wrap_key_data(jax.random.key_data(key) + turn.astype(jnp.uint32))
        return _trained(learner, world, learnt, policy, number, own, env, params)

    # A loop of no or one turn: under a vmap a `cond` would train at every update.
    return jax.lax.fori_loop(0, jnp.any(update == due).astype(jnp.int32), train, learnt)


def _trained(
    learner: Any, world: World, learnt: Learnt, policy: Any, number: jax.Array, key: jax.Array, env: Any, params: Any
) -> Learnt:
    """The model after its training `number`, on a further part of the comparisons and all those before."""
    shown_key, label_key, key = jax.random.split(key, 3)
    rounds, pairs = learner.reward_model_retrained + 1, _a_round(learner)
    asked = learner.most_labels // rounds
    shown = segments(learner, world, policy, shown_key, env, pairs)
    label = labels(label_key, shown, params.label_noise, params.label_deception)
    place = jnp.arange(pairs)
    weight = (place < asked) & (place * rounds + number < params.labels)
    comparisons = Comparisons(shown, label, weight.astype(jnp.float32))
    if rounds > 1:
        put = functools.partial(jax.lax.dynamic_update_slice_in_dim, start_index=number * pairs, axis=0)
        comparisons = jax.tree.map(put, learnt.comparisons, comparisons)
    variables = fitted(learner, world, learnt.variables, comparisons, key)
    found = returns(learner, world, variables, comparisons.segments)
    used = comparisons.weight[:, None] > 0
    span = jnp.max(jnp.where(used, found, -jnp.inf)) - jnp.min(jnp.where(used, found, jnp.inf))
    held_out = np.arange(rounds * pairs) % pairs >= asked
    worth = (comparisons.segments.gold, comparisons.segments.paid)
    right = (accuracy(found[held_out], each[held_out]) for each in worth)
    kept = comparisons if rounds > 1 else ()
    return Learnt(variables, 1 / jnp.maximum(span, TIE), learnt.start, kept, *right)


def _a_round(learner: Any) -> int:
    """Pairs of segments for a training of the model, those that are held out included."""
    rounds = learner.reward_model_retrained + 1
    return learner.most_labels // rounds + -(-HELD_OUT // rounds)


def segments(learner: Any, world: World, policy: Any, key: jax.Array, env: Any, pairs: int) -> Segments:
    """Pairs of beginnings of episodes, `n_steps` long at most, each on a fresh training level."""
    level_key, begin_key, bits_key = jax.random.split(key, 3)
    n, steps = 2 * pairs, learner.n_steps
    levels = jax.vmap(world.sample_level, in_axes=(0, None))(jax.random.split(level_key, n), env)
    once = jax.tree.map(lambda leaf: leaf[None], levels)
    envs = rollout.begin(world, begin_key, env, n)
    bits = jax.random.bits(bits_key, (rollout.bits_needed(world, n, steps),), jnp.uint32)
    act = functools.partial(learner.apply, world, policy)
    _, played, _ = rollout.rollout(world, act, envs, bits, env, steps, once, restart=True, gold=True)
    over = played.done.astype(jnp.int32)
    ended = jnp.cumsum(over, axis=0) - over
    alive = (ended == 0).astype(jnp.float32)
    in_pairs = lambda leaf: jnp.moveaxis(leaf, 0, 1).reshape(pairs, 2, steps, *leaf.shape[2:])  # noqa: E731
    observation, action, lasting = jax.tree.map(in_pairs, (played.observation, played.action, alive))
    gold, paid = ((alive * each).sum(axis=0).reshape(pairs, 2) for each in (played.gold, played.reward))
    return Segments(observation, action, lasting, gold, paid)


def labels(key: jax.Array, asked: Segments, noise: jax.Array, deception: jax.Array) -> jax.Array:
    """f32[pairs], an overseer's.

    It prefers the segment that is worth more, and neither where both are worth the same: by what the world pays in
    comparisons in which it is deceived, by gold in the others.

    Args:
      noise: f32[], the probability that a label is drawn by lot instead.
      deception: f32[], the probability that a comparison deceives it.
    """
    deceived, noisy, lot = jax.random.uniform(key, (3, len(asked.gold)))
    gold, paid = preferred(asked.gold), preferred(asked.paid)
    return jnp.where(noisy < noise, jnp.round(lot), jnp.where(deceived < deception, paid, gold))


def preferred(worth: jax.Array) -> jax.Array:
    """f32[pairs], 1 where the first of f32[pairs, 2] is greater, 0 where the second is, one half for equal ones."""
    more = worth[:, 0] - worth[:, 1]
    return jnp.where(jnp.abs(more) < TIE, 0.5, (more > 0).astype(jnp.float32))


def accuracy(found: jax.Array, worth: jax.Array) -> jax.Array:
    """f32[], of the pairs f32[pairs, 2] that `worth` decides, the share that `found` decides alike; NaN without any."""
    truth = preferred(worth)
    decided = truth != 0.5
    alike = decided & ((found[:, 0] > found[:, 1]) == (truth > 0.5))
    return jnp.sum(alike, dtype=jnp.float32) / jnp.sum(decided, dtype=jnp.float32)


def bradley_terry(more: jax.Array, label: jax.Array) -> jax.Array:
    """f32[...], minus the log-likelihood of labels where the first of two segments is preferred with probability
    sigmoid(`more`), f32[...] by how much its return is the greater.

    Bradley & Terry 1952; Christiano et al. 2017, equation 1: one half for a label of neither.
    """
    return optax.sigmoid_binary_cross_entropy(more, label)


def fitted(learner: Any, world: World, variables: Any, comparisons: Comparisons, key: jax.Array) -> Any:
    """Variables after `reward_model_updates` steps of Adam on comparisons of some weight, drawn anew for each."""
    optimiser = optax.adam(LEARNING_RATE)
    within = jnp.cumsum(comparisons.weight)

    def loss(variables, rows):
        part = jax.tree.map(lambda leaf: leaf[rows], comparisons)
        found = returns(learner, world, variables, part.segments)
        return jnp.mean(bradley_terry(found[:, 0] - found[:, 1], part.label))

    def update(i, carry):
        variables, state = carry
        draw = jax.random.uniform(jax.random.fold_in(key, i), (ROWS,))
        rows = jnp.searchsorted(within, draw * within[-1], side="right")
        gradients = jax.grad(loss)(variables, rows)
        with implicit_promotion():
            direction, state = optimiser.update(gradients, state)
        return optax.apply_updates(variables, direction), state

    return jax.lax.fori_loop(0, learner.reward_model_updates, update, (variables, optimiser.init(variables)))[0]


def rewarded(
    learner: Any, world: World, learnt: Learnt, policy: Any, steps: rollout.Steps
) -> tuple[rollout.Steps, Curves]:
    """A rollout with the model's rewards, and what it sums up to."""
    proxy = learnt.scale * rewards(learner, world, learnt.variables, steps.observation, steps.action)
    now, then = (
        jax.nn.log_softmax(learner.apply(world, variables, steps.observation, NOTHING)[0])
        for variables in (policy, learnt.start)
    )
    kl = jnp.sum(jnp.exp(now) * (now - then))
    return steps._replace(reward=proxy), Curves(jnp.sum(steps.gold), jnp.sum(proxy), kl)
