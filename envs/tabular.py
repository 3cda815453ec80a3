"""Tabular solutions: shortest ways to a goal, and policies whose goal is known, on written-out levels."""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from envs.base import Probe, World

TIE = 1e-6
"""Actions whose values differ by less than this share are as good: payments are in float32."""
TOGETHER = 1 << 14
"""States that are swept together, so that what is known of them stays in a processor's cache."""
NOISE = 1e-12
"""A policy whose value another one betters by less than this share is the best."""

Policy = np.ndarray | Callable[[int, np.ndarray, np.ndarray], np.ndarray]
"""f64[levels, S, A], probabilities; or, from a step (from 1), rows i64[episodes] and states, f64[episodes, A]."""


class Table(NamedTuple):
    """The dynamics of a bank of deterministic levels; arrays have a leading axis [levels]."""

    start: np.ndarray
    """i32[levels], the state in which an episode begins."""
    next_state: np.ndarray
    """i32[levels, S, A]."""
    events: np.ndarray
    """bool[levels, S, A, goals]."""
    terminated: np.ndarray
    """bool[levels, S, A]."""


def tabulate(world: World, levels: Any) -> Table:
    """Writes out each level of a bank."""
    return jax.tree.map(np.asarray, traced_table(world, levels, world.default_params))


@functools.partial(jax.jit, static_argnums=0)
def traced_table(world: Any, levels: Any, params: Any) -> Table:
    """`tabulate`, to be traced. The dynamics do not depend on `params`; as constants they would be slow to compile."""

    def one(level):
        start = world.state_index(world.reset_to_level(jax.random.key(0), level, params))
        return Table(start, *world.tabular(level, params))

    return jax.vmap(one)(levels)


def distances(table: Table, goal: int) -> np.ndarray:
    """f64[levels, S], the fewest steps from each state until a goal's event fires; inf where it cannot.

    Value iteration; the end of an episode is not crossed.
    """
    levels, states, _ = table.next_state.shape
    some = max(1, TOGETHER // states)
    parts = [slice(first, first + some) for first in range(0, levels or 1, some)]
    return np.concatenate(
        [_distances(table.next_state[one], table.events[one, ..., goal], table.terminated[one]) for one in parts]
    )


def _distances(next_state: np.ndarray, fires: np.ndarray, terminated: np.ndarray) -> np.ndarray:
    levels, states, actions = next_state.shape
    hit, never = levels * states, levels * states + 1  # where steps lead that fire the event, or end without it
    after = next_state + states * np.arange(levels, dtype=np.int32)[:, None, None]
    after = np.where(fires, hit, np.where(terminated, never, after))
    after = np.ascontiguousarray(after.reshape(-1, actions).T)
    steps = np.append(np.full(hit, np.inf, np.float32), np.array([0, np.inf], np.float32))
    while True:
        shorter = 1 + np.take(steps, after, mode="clip").min(axis=0)
        if np.array_equal(shorter, steps[:hit]):
            return shorter.reshape(levels, states).astype(float)
        steps[:hit] = shorter


def steps_left(table: Table, goal: int) -> np.ndarray:
    """f64[levels, S, A], the fewest steps to a goal if an action is taken first; inf where it cannot be reached."""
    steps = distances(table, goal)
    beyond = np.take_along_axis(steps[:, :, None], table.next_state.reshape(len(steps), -1, 1), axis=1)
    left = 1 + np.where(table.terminated, np.inf, beyond.reshape(table.next_state.shape))
    return np.where(table.events[..., goal], 1.0, left)


def traced_steps_left(next_state: jax.Array, hit: jax.Array, terminated: jax.Array) -> jax.Array:
    """`steps_left` of one level, f32[S, A], to be traced; `hit`, bool[S, A], says where the goal's event fires."""

    def left(steps):
        return jnp.where(hit, 1.0, 1.0 + jnp.where(terminated, jnp.inf, steps[next_state]))

    def shorter(carry):
        steps, _ = carry
        found = left(steps).min(axis=-1)
        return found, jnp.any(found != steps)

    never = jnp.full(next_state.shape[0], jnp.inf)
    return left(jax.lax.while_loop(lambda carry: carry[1], shorter, (never, jnp.ones((), bool)))[0])


def met(table: Table, stop: np.ndarray, most: int | None = None) -> np.ndarray:
    """bool[levels, S], the states to which steps lead from the start, none of them among `stop`, bool[levels, S, A].

    Args:
      most: how many steps at most; None for any number.
    """
    found = np.zeros(table.next_state.shape[:2], bool)
    found[np.arange(len(found)), table.start] = True
    front, step = found.copy(), 0
    while front.any() and step != most:
        level, state = np.nonzero(front)
        go = ~stop[level, state]
        front = np.zeros_like(found)
        front[np.broadcast_to(level[:, None], go.shape)[go], table.next_state[level, state][go]] = True
        front &= ~found
        found |= front
        step += 1
    return found


def oracle(table: Table, goal: int) -> np.ndarray:
    """f64[levels, S, A], the policy that takes a shortest way to a goal, all shortest ways with equal probability.

    Where the goal cannot be reached any more, every action is as probable.
    """
    left = steps_left(table, goal)
    best = (left == left.min(axis=-1, keepdims=True)).astype(float)
    return best / best.sum(axis=-1, keepdims=True)


def optimal(table: Table, payment: np.ndarray, discount: float) -> np.ndarray:
    """f64[levels, S, A], the policy of the greatest expected discounted return; equally good actions are as probable.

    Time goes on for ever unless the world ends the episode: time limits are bootstrapped through in training, so that
    they are no part of what is optimised. Value iteration carries the payments through each level; where they repeat,
    policy iteration (Howard 1960) then closes the sum, each policy's value by doubling the horizon.

    Args:
      payment: f[levels, goals], what each event is worth when it fires.
      discount: in [0, 1).
    """
    levels, states, actions = table.next_state.shape
    end = levels * states  # where a finished episode stays
    after = table.next_state + states * np.arange(levels)[:, None, None]
    after = np.ascontiguousarray(np.where(table.terminated, end, after).reshape(end, actions).T)
    reward = np.einsum("lsag,lg->als", table.events, payment.astype(float)).reshape(actions, end)

    def one_step(value: np.ndarray) -> np.ndarray:
        return reward + discount * np.take(value, after)

    value = np.zeros(end + 1)
    for _ in range(states):
        longer = np.append(one_step(value).max(axis=0), 0.0)
        if np.array_equal(longer, value):
            break
        value = longer
    while True:
        ahead = one_step(value)
        best = ahead.max(axis=0)
        if np.max(best - value[:-1]) <= NOISE * np.abs(best).max():
            break
        chosen = ahead.argmax(axis=0)[None]
        value = np.append(np.take_along_axis(reward, chosen, axis=0), 0.0)
        place, factor = np.append(np.take_along_axis(after, chosen, axis=0), end), discount
        while factor > NOISE**2:
            value, place, factor = value + factor * value[place], place[place], factor**2
    good = (ahead >= best - TIE * np.abs(best)).T.reshape(levels, states, actions).astype(float)
    return good / good.sum(axis=-1, keepdims=True)


def decided(table: Table) -> np.ndarray:
    """bool[levels, S, A], whether a step ends the episode or is the first event of any goal: the choice is made."""
    return table.terminated | table.events.any(axis=-1)


def soft_optimal(table: Table, goal: int, beta: float, discount: float, horizon: int) -> np.ndarray:
    """f64[horizon, levels, S, A], the policy of the greatest entropy among those with its expected utility.

    The utility is discount ** t where the first event, of any goal, comes at step t (from 0) and is this goal's, and
    otherwise 0. Soft value iteration back from the horizon, with the mean in place of the sum over actions, so that
    what comes after the first event is worth nothing: MacDermott et al. 2024, definition 5.2, after Ziebart 2010.

    Args:
      beta: the rationality; 0 is the random walker, and less than 0 shuns the goal.
      horizon: steps after which the episode is over.
    """
    from scipy.special import logsumexp  # takes a tenth of a second, which most workers need not wait

    over = decided(table)
    policy = np.empty((horizon, *over.shape))
    value = np.zeros(over.shape[:2])
    for step in reversed(range(horizon)):
        beyond = np.take_along_axis(value, table.next_state.reshape(len(value), -1), axis=1).reshape(over.shape)
        ahead = beta * discount**step * table.events[..., goal] + np.where(over, 0.0, beyond)
        value = logsumexp(ahead, axis=-1, b=1 / over.shape[-1])
        policy[step] = np.exp(ahead - value[..., None]) / over.shape[-1]
    return policy


def known_policies(world: World, table: Table) -> dict[str, np.ndarray]:
    """Policies f64[levels, S, A] whose goal is known: a random walker, an oracle a goal, a reflex an action."""
    shape = table.next_state.shape
    policies = {"random": np.full(shape, 1 / shape[-1])}
    for i, goal in enumerate(world.aims):
        policies[f"oracle:{goal.name}"] = oracle(table, i)
    for i, name in enumerate(world.action_names):
        policies[f"always:{name}"] = np.broadcast_to(np.eye(shape[-1])[i], shape)
    return policies


def play(
    table: Table, policy: Policy, rows: np.ndarray, horizon: int | np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Plays one episode on each of some levels.

    Args:
      rows: i64[episodes], the level of each episode.
      horizon: steps, of all episodes or of each.
    Returns:
      i16[episodes, goals], the step (from 1) at which each goal was first reached, -1 for never.
    """
    reached = np.full((len(rows), table.events.shape[-1]), -1, np.int16)
    for step, events in _steps(table, policy, rows, horizon, generator):
        reached[events & (reached < 0)] = step
    return reached


def play_returns(
    table: Table, policy: Policy, payment: np.ndarray, horizon: int, generator: np.random.Generator
) -> np.ndarray:
    """f64[levels], the undiscounted return of an episode on each level; `payment` is that of `optimal`."""
    total = np.zeros(len(payment))
    for _, events in _steps(table, policy, np.arange(len(payment)), horizon, generator):
        total += (events * payment).sum(axis=1)
    return total


def _steps(
    table: Table, policy: Policy, rows: np.ndarray, horizon: int | np.ndarray, generator: np.random.Generator
) -> Iterator[tuple[int, np.ndarray]]:
    """Each step of episodes played side by side, from 1, and the table's events[episodes, goals] before the end."""
    state, alive = table.start[rows], np.ones(len(rows), bool)
    for step in range(1, int(np.max(horizon)) + 1):
        alive = alive & (step <= horizon)
        draw = generator.random(len(rows))  # for ended episodes too: no chance depends on another episode
        going = np.flatnonzero(alive)
        row, now = rows[going], state[going]
        chances = policy(step, row, now) if callable(policy) else policy[row, now]
        cumulative = np.cumsum(chances, axis=-1)
        action = np.minimum((cumulative <= draw[going, None]).sum(axis=-1), chances.shape[-1] - 1)
        events = np.zeros((len(rows), table.events.shape[-1]), table.events.dtype)  # a planner has payments here
        events[going] = table.events[row, now, action]
        yield step, events
        alive[going] = ~table.terminated[row, now, action]
        state[going] = table.next_state[row, now, action]


def probe_distances(world: World, probe: Probe) -> np.ndarray:
    """i16[levels, goals], the fewest steps from the start of each level to each goal; -1 where it cannot be reached."""
    table = tabulate(world, probe.levels)
    steps = [distances(table, goal)[np.arange(len(table.start)), table.start] for goal in range(len(world.goals))]
    return np.where(np.isfinite(steps), steps, -1).astype(np.int16).T
