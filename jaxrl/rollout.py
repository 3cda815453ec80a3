"""Experience for one lane: many episodes of one policy at once, with resets that cost nothing."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from envs import Approved, Observation, World
from jaxrl.networks import NOTHING, Context

LEVELS_PER_ENV = 8
"""Fresh levels that each environment gets an update; an environment that ends more episodes goes through them again.

Short levels then come more often than their share; `Tally.displaced` over episodes is the share that there was."""


class Envs(NamedTuple):
    """Where the lane's environments stand; every leaf has a leading axis [envs]."""

    state: Any
    episode_return: jax.Array
    """f32[envs], reward so far in the running episode, without shaping."""
    episode_length: jax.Array
    """i32[envs]."""
    displaced: jax.Array
    """bool[envs], whether the running episode is on a level that tells the goals apart."""
    succeeded: jax.Array
    """bool[envs], whether it has reached an intended goal."""
    context: Context = NOTHING
    """What the policy is given beside the next observation."""


class Tally(NamedTuple):
    """Sums over what has been seen, all f32; a lane counts below 2**24 between two readings.

    The first five are of the episodes that have ended.
    """

    episodes: jax.Array
    returns: jax.Array
    lengths: jax.Array
    displaced: jax.Array
    """Those on levels that tell the goals apart."""
    successes: jax.Array
    """Those that reached an intended goal, however often."""
    events: jax.Array
    """f32[goals]."""
    counts: jax.Array
    """f32[counters], the world's own."""


class Steps(NamedTuple):
    """A rollout; every leaf has leading axes [steps, envs]."""

    observation: Observation
    context: Context
    """What the policy was given beside the observation, its memory left out."""
    action: jax.Array
    """The one taken; under decoupled approval the one asked about, to which `log_prob` and `reward` belong as well."""
    log_prob: jax.Array
    value: jax.Array
    next_value: jax.Array
    """Of the observation that the step led to, before any reset; of no meaning where the world ended the episode."""
    reward: jax.Array
    terminated: jax.Array
    done: jax.Array
    gold: Any = None
    """f32, what each step is truly worth (`World.gold`); None unless it is asked for."""


class Supply(NamedTuple):
    """What a rollout uses up: levels to begin episodes on, and the random numbers of every step."""

    bank: Any
    """Initial states, leaves [turns, envs, ...]; each environment goes through its own in turn, again and again."""
    displaced: jax.Array
    """bool[turns, envs], whether the level of each tells the goals apart."""
    draws: jax.Array
    """f32[steps, envs], uniform in [0, 1), from which actions are drawn."""
    keys: jax.Array
    """keys[steps, envs] for what the world leaves to chance; f32[steps, 0] for a world that leaves nothing."""
    asked: jax.Array
    """f32[steps, envs], as `draws`, for the actions that are asked about; f32[steps, 0] where none is."""


class Walk(NamedTuple):
    """Where a rollout has got to."""

    envs: Envs
    turn: jax.Array
    """i32[envs], the place in the bank, but for whole rounds, of the level on which the next episode begins."""
    tally: Tally


class Move(NamedTuple):
    """What one step did in every environment; leaves [envs, ...]."""

    state: Any
    """The state that the step led to, before any new episode."""
    reward: jax.Array
    earned: jax.Array
    """f32[envs], the reward without shaping."""
    terminated: jax.Array
    done: jax.Array
    events: jax.Array
    """bool[envs, goals]."""


def begin(world: World, key: jax.Array, params: Any, n_envs: int, context: Context = NOTHING) -> Envs:
    """Environments on fresh levels, with a policy's `context` at a beginning."""
    level_key, reset_key = jax.random.split(key)
    levels = jax.vmap(world.sample_level, in_axes=(0, None))(jax.random.split(level_key, n_envs), params)
    state = jax.vmap(world.reset_to_level, in_axes=(0, 0, None))(jax.random.split(reset_key, n_envs), levels, params)
    return _at_beginnings(state, jax.vmap(world.displaced)(levels), context)


def empty(world: World) -> Tally:
    """Nothing seen."""
    zero = jnp.zeros(())
    return Tally(zero, zero, zero, zero, zero, jnp.zeros(len(world.goals)), jnp.zeros(len(world.counters)))


def bits_needed(world: World, n_envs: int, n_steps: int) -> int:
    """How many u32 of random bits `supply` uses up."""
    each = (3 if world.stochastic else 1) + int(asks(world))
    return 4 * LEVELS_PER_ENV * n_envs + n_steps * n_envs * each


def asks(world: World) -> bool:
    """Whether learners are rewarded for an action that is asked about, and not for the one taken."""
    return isinstance(world, Approved) and world.kind == "decoupled"


def supply(world: World, bits: jax.Array, params: Any, n_envs: int, n_steps: int, levels: Any = None) -> Supply:
    """Shares out a rollout's randomness.

    Args:
      bits: u32[bits_needed], random. All of an update's randomness is drawn in one call and handed out: each further
        call of the generator costs half a second of compilation and a pass over memory.
      params: the world's Params.
      levels: those that a curriculum has chosen, leaves [turns, envs, ...]. None for fresh ones of the world's.
    """
    size = n_steps * n_envs
    counts = 4 * LEVELS_PER_ENV * n_envs, size, size * int(asks(world)), len(bits)
    level_bits, draws, asked, step_bits = hand_out(bits, *counts)
    bank, displaced = _level_bank(world, keys_from(level_bits, (2, LEVELS_PER_ENV, n_envs)), params, levels)
    keys = keys_from(step_bits, (n_steps, n_envs)) if world.stochastic else jnp.zeros((n_steps, 0))
    return Supply(bank, displaced, uniform(draws).reshape(n_steps, n_envs), keys, uniform(asked).reshape(n_steps, -1))


def first_levels(world: World, given: Supply, context: Context = NOTHING) -> Walk:
    """Every environment at the beginning of an episode, on the first of its levels."""
    state = jax.tree.map(lambda leaf: leaf[0], given.bank)
    envs = _at_beginnings(state, given.displaced[0], context)
    return Walk(envs, jnp.ones_like(envs.episode_length), empty(world))


def _at_beginnings(state: Any, displaced: jax.Array, context: Context) -> Envs:
    """Args: displaced: bool[envs], whether the level of each tells the goals apart."""
    no = jnp.zeros_like(displaced)
    return Envs(state, no.astype(jnp.float32), no.astype(jnp.int32), displaced, no, context)


def move(world: World, params: Any, given: Supply, walk: Walk, action: jax.Array, keys: jax.Array) -> tuple[Walk, Move]:
    """One step in every environment; where it ends an episode, the next one begins.

    Args:
      action: i32[envs].
      keys: of the step, from `given`.
    Returns:
      the walk, in which the context is as it was, and what happened.
    """
    envs, tally = walk.envs, walk.tally
    turns, n_envs = given.displaced.shape
    transition = jax.vmap(world.transition, in_axes=(0 if world.stochastic else None, 0, 0, None))
    of_events = functools.partial(jax.vmap, in_axes=(0, 0, None))
    of_state = functools.partial(jax.vmap, in_axes=(0, None))
    chance: Any = keys if world.stochastic else None
    state, events, terminated = transition(chance, envs.state, action, params)
    reward = of_events(world.reward)(state, events, params)
    shaped = type(world).earned is not World.earned
    earned = of_events(world.earned)(state, events, params) if shaped else reward
    done = terminated | of_state(world.is_truncated)(state, params)
    episode_return, episode_length = envs.episode_return + earned, envs.episode_length + 1
    intended = np.array([goal.role == "intended" for goal in world.goals], bool)
    succeeded = envs.succeeded | jnp.any(events & intended[None], axis=1)
    here = walk.turn % turns, jnp.arange(n_envs)
    fresh = jax.tree.map(lambda leaf: leaf[here], given.bank)
    begun = jax.tree.map(lambda new, old: jnp.where(column(done, old), new, old), fresh, state)
    tally = Tally(
        tally.episodes + jnp.sum(done, dtype=jnp.float32),
        tally.returns + jnp.sum(jnp.where(done, episode_return, 0.0)),
        tally.lengths + jnp.sum(jnp.where(done, episode_length, 0), dtype=jnp.float32),
        tally.displaced + jnp.sum(done & envs.displaced, dtype=jnp.float32),
        tally.successes + jnp.sum(done & succeeded, dtype=jnp.float32),
        tally.events + jnp.sum(events, axis=0, dtype=jnp.float32),
        tally.counts + jnp.sum(of_state(world.counts)(state, params), axis=0, dtype=jnp.float32),
    )
    envs = Envs(
        begun,
        jnp.where(done, 0.0, episode_return),
        jnp.where(done, 0, episode_length),
        jnp.where(done, given.displaced[here], envs.displaced),
        succeeded & ~done,
        envs.context,
    )
    move = Move(state, reward, earned, terminated, done, events)
    return Walk(envs, walk.turn + done.astype(jnp.int32), tally), move


def rollout(
    world: World,
    apply: Callable,
    envs: Envs,
    bits: jax.Array,
    params: Any,
    n_steps: int,
    levels: Any = None,
    restart: bool = False,
    gold: bool = False,
) -> tuple[Envs, Steps, Tally]:
    """Plays `n_steps` in each environment.

    Args:
      apply: Observation[...], Context[...] -> logits f32[..., actions], value f32[...], memory.
      envs: as `begin` or an earlier rollout left them.
      bits, params, levels: as for `supply`.
      restart: whether every environment begins the first of its levels, whatever it was about.
      gold: whether the steps say what they are truly worth.
    Returns:
      the environments afterwards, the steps, and the tally of this rollout alone.
    """
    n_envs = envs.episode_length.shape[0]
    given = supply(world, bits, params, n_envs, n_steps, levels)
    observe = jax.vmap(world.features, in_axes=(0, None))
    walk = Walk(envs, jnp.zeros(n_envs, jnp.int32), empty(world))
    if restart:
        context = envs.context._replace(first=jax.tree.map(jnp.ones_like, envs.context.first))
        walk = first_levels(world, given, context)

    def play(carry, step):
        walk, observation = carry
        draw, keys, of_asked = step
        context, before = walk.envs.context, walk.envs.state
        logits, value, memory = apply(observation, context)
        log_probs = jax.nn.log_softmax(logits)
        action = inverse_cdf(jnp.exp(log_probs), draw)
        log_prob = pick(log_probs, action)
        walk, (state, reward, earned, terminated, done, events) = move(world, params, given, walk, action, keys)
        final = observe(state, params)
        continued = context.after(memory, action, earned, jnp.zeros_like(done))
        walk = walk._replace(envs=walk.envs._replace(context=context.after(memory, action, earned, done)))
        if asks(world):
            asked = inverse_cdf(jnp.exp(log_probs), of_asked)
            feedback = jax.vmap(world.feedback, in_axes=(0 if world.stochastic else None, 0, 0, 0, None))
            reward = feedback(keys if world.stochastic else None, before, state, asked, params)
            action, log_prob = asked, pick(log_probs, asked)
        seen = _compact(observation, world), context._replace(memory=()), (_compact(final, world), continued)
        worth = jax.vmap(world.gold, in_axes=(0, 0, None))(state, events, params) if gold else None
        record = (*seen, action, log_prob, value, reward, terminated, done, worth)
        return (walk, observe(walk.envs.state, params)), record

    carry = walk, observe(walk.envs.state, params)
    ((envs, _, tally), following), record = jax.lax.scan(play, carry, (given.draws, given.keys, given.asked))
    observation, context, final, action, log_prob, value, reward, terminated, done, worth = record
    next_value = jnp.concatenate([value[1:], apply(following, envs.context)[1][None]])
    next_value = _through_time_limits(apply, final, done & ~terminated, next_value)
    steps = Steps(observation, context, action, log_prob, value, next_value, reward, terminated, done, worth)
    return envs, steps, tally


def _through_time_limits(apply: Callable, final: Any, truncated: jax.Array, next_value: jax.Array) -> jax.Array:
    """`next_value` f32[steps, envs], with the value of the final observation at every step that ran into a time limit.

    final: the observation and the context that each step led to.

    Such steps are rare, so they are looked up one in each environment at a time, until none is left: valuing every
    final observation would cost as much as choosing every action.
    """
    n_steps, n_envs = truncated.shape

    def look_up(carry):
        left, next_value = carry
        step = jnp.argmax(left, axis=0)
        value = apply(*jax.tree.map(lambda leaf: leaf[step, jnp.arange(n_envs)], final))[1]
        here = left & (jnp.arange(n_steps)[:, None] == step[None, :])
        return left & ~here, jnp.where(here, value[None, :], next_value)

    return jax.lax.while_loop(lambda carry: jnp.any(carry[0]), look_up, (truncated, next_value))[1]


def inverse_cdf(probabilities: jax.Array, draw: jax.Array) -> jax.Array:
    """i32[...], actions drawn from f32[..., actions] by uniform numbers f32[...] in [0, 1)."""
    below = jnp.cumsum(probabilities[..., :-1], axis=-1) <= draw[..., None]
    return jnp.sum(below, axis=-1, dtype=jnp.int32)


def hand_out(bits: jax.Array, *counts: int) -> list[jax.Array]:
    """Parts of u32[n], one after the other."""
    return jnp.split(bits, np.cumsum(counts)[:-1])


def uniform(bits: jax.Array) -> jax.Array:
    """f32 in [0, 1) from u32, by its upper 24 bits."""
    return (bits >> 8).astype(jnp.float32) * jnp.float32(2**-24)


def keys_from(bits: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Random keys of a shape from u32[2 * size]."""
    return jax.random.wrap_key_data(bits.reshape(*shape, 2))


def _level_bank(world: World, keys: jax.Array, params: Any, levels: Any) -> tuple[Any, jax.Array]:
    """Initial states of the chosen levels or of fresh ones, leaves [turns, envs, ...]; and which tell goals apart.

    keys: [2, LEVELS_PER_ENV, envs], for the level and for its reset.
    """
    over = lambda function, axes: jax.vmap(jax.vmap(function, in_axes=axes), in_axes=axes)  # noqa: E731
    if levels is None:
        levels = over(world.sample_level, (0, None))(keys[0], params)
    turns = len(jax.tree.leaves(levels)[0])
    states = over(world.reset_to_level, (0, 0, None))(keys[1][:turns], levels, params)
    return states, over(world.displaced, 0)(levels)


def _compact(observation: Observation, world: World) -> Observation:
    """Indices as i8 where they fit: a rollout's observations are read many times. An image is u8 already."""
    small = jnp.int8 if max(world.cardinalities, default=0) <= 127 else jnp.int32
    return observation._replace(indices=observation.indices.astype(small))


def pick(values: jax.Array, index: jax.Array) -> jax.Array:
    """values[..., index] without a gather, whose gradient would be a scatter."""
    places = jnp.expand_dims(jnp.arange(values.shape[-1]), range(index.ndim))
    return jnp.sum(jnp.where(places == index[..., None], values, 0.0), axis=-1)


def column(mask: Any, like: jax.Array) -> Any:
    """A mask [envs], with further axes of one for leaves [envs, ...]."""
    return mask.reshape(mask.shape + (1,) * (like.ndim - mask.ndim))
