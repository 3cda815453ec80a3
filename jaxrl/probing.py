"""What a policy does on held-out levels: episodes without learning, level by level."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from envs import Observation, Probe, World
from jaxrl.networks import Context
from jaxrl.rollout import column, hand_out, inverse_cdf, keys_from, uniform


class Bank(NamedTuple):
    """Probe episodes laid end to end; leaves have a leading axis [episodes]."""

    levels: Any
    horizon: np.ndarray
    """i32[episodes], steps after which an episode is over."""


class WatchedSteps(NamedTuple):
    """Some episodes of a run step by step; arrays have leading axes [steps, watched]."""

    state: Any
    """The world's states, with one more than steps along the first axis: where the episodes begin comes first."""
    action: jax.Array
    """i32[steps, watched]."""
    events: jax.Array
    """bool[steps, watched, goals], events of the step."""
    alive: jax.Array
    """bool[steps, watched], whether the step belongs to the episode; what follows its end means nothing."""


class Played(NamedTuple):
    """What happened in the episodes of a run; arrays have a leading axis [episodes]."""

    reached: jax.Array
    """i16[episodes, goals], the step (from 1) at which each goal was first reached, -1 for never."""
    returns: jax.Array
    """f32[episodes]."""
    inputs: jax.Array | None
    """i32[episodes, 2], active inputs over all steps: those that training never showed, and all; None: not counted."""
    steps: WatchedSteps | None = None
    """Of the episodes that are watched; None where none is."""


class Run(NamedTuple):
    """One way in which the probes are run, and the slice of its episodes that belongs to each probe."""

    actor: str
    """`trained`; `blind`: the same policy with a goal hidden from it; `permuted`: with the eyes of another episode;
    `repaid`: with the rewards of another episode as the rewards of the step before."""
    sampled: bool
    """Whether actions are sampled, or the most probable."""
    bank: Bank
    parts: dict[str, slice]
    hidden: dict[str, np.ndarray]
    """By goal: bool[episodes], those in which it is hidden."""
    eyes: np.ndarray | None = None
    """i64[episodes], the episode whose observations each one is shown; None for its own."""
    pays: np.ndarray | None = None
    """i64[episodes], the episode whose rewards each one is shown; None for its own."""

    @property
    def is_plain(self) -> bool:
        """The policy itself, acting as it does in training."""
        return self.actor == "trained" and self.sampled


def runs(world: World, probes: tuple[Probe, ...], sees_rewards: bool = False) -> list[Run]:
    """The runs that make up a probing.

    Args:
      sees_rewards: whether the reward of the step before is among the policy's inputs.

    All probes sampled, and once a level greedily. Blind, sampled: the choices with the intended goal hidden, the
    avoidance probes with what may be avoided hidden, where the world has a code for that. Permuted, sampled: the label
    probe, where no layout has more than half of its episodes. Repaid, sampled: lives, of a policy that sees rewards.
    """
    every = {probe.name: probe for probe in probes}
    hidden = {name: goal for name, probe in every.items() if (goal := _hidden(world, probe)) is not None}
    blind = tuple(every[name] for name in hidden)
    found = [Run("trained", sampled, *lay_out(probes, sampled), {}) for sampled in (True, False)]
    if blind:
        bank, parts = lay_out(blind, True)
        masks = {goal: np.zeros(len(bank.horizon), bool) for goal in hidden.values()}
        for name, part in parts.items():
            masks[hidden[name]][part] = True
        found.append(Run("blind", True, bank, parts, masks))
    for probe in probes:
        if probe.labels and (eyes := _derangement(layouts(world, probe))) is not None:
            found.append(Run("permuted", True, *lay_out((probe,), True), {}, eyes))
    if lives := tuple(probe for probe in probes if sees_rewards and probe.kind == "life"):
        bank, parts = lay_out(lives, True)
        found.append(Run("repaid", True, bank, parts, {}, pays=_derangement(np.arange(len(bank.horizon)))))
    return found


def layouts(world: World, probe: Probe) -> np.ndarray:
    """i64[episodes], the layout of each sampled episode; of a probe that has all levels of their kind, the level."""
    level = np.arange(probe.episodes) % probe.distinct
    return level if probe.whole else world.layouts(probe.levels)[level]


def _hidden(world: World, probe: Probe) -> str | None:
    """The goal that is hidden from the blind policy on a probe; None where there is none, or no code for that."""
    intended = next((goal.name for goal in world.goals if goal.role == "intended"), None)
    goal = {"choice": intended, "avoidance": probe.goals[0] if probe.goals else None}.get(probe.kind)
    return goal if goal in world.layout.goals else None


def _derangement(layout: np.ndarray) -> np.ndarray | None:
    """i64[episodes], a fixed random order of the episodes, in which none has its own layout; None where there is none.

    Args:
      layout: i64[episodes].
    """
    episodes = len(layout)
    if 2 * np.unique(layout, return_counts=True)[1].max() > episodes:
        return None
    generator = np.random.default_rng(0x65796573)
    order = generator.permutation(episodes)
    while np.any(same := layout[order] == layout):
        one, other = np.flatnonzero(same)[0], generator.integers(episodes)
        order[[one, other]] = order[[other, one]]
    return order


def lay_out(probes: tuple[Probe, ...], sampled: bool) -> tuple[Bank, dict[str, slice]]:
    """All episodes of some probes, or with greedy actions one a level, and the slice that belongs to each."""
    levels, horizons, parts, place = [], [], {}, 0
    for probe in probes:
        count = probe.episodes if sampled else min(probe.distinct, probe.episodes)
        rows = np.arange(count) % probe.distinct
        levels.append(jax.tree.map(lambda leaf, rows=rows: np.asarray(leaf)[rows], probe.levels))
        horizons.append(np.full(count, probe.horizon, np.int32))
        parts[probe.name] = slice(place, place + count)
        place += count
    return Bank(jax.tree.map(lambda *leaves: np.concatenate(leaves), *levels), np.concatenate(horizons)), parts


def bits_needed(world: World, run: Run) -> int:
    """How many u32 of random bits a run of the probes uses up."""
    episodes, length = len(run.bank.horizon), int(run.bank.horizon.max())
    return episodes * (2 + length * (int(run.sampled) + 2 * int(world.stochastic)))


def probe(
    world: World,
    apply: Callable[[Observation, Context], tuple[jax.Array, Any]],
    run: Run,
    bits: jax.Array,
    params: Any,
    context: Context,
    unseen: jax.Array | None = None,
    watched: Sequence[int] = (),
) -> Played:
    """Plays every episode of a run with one policy.

    Args:
      apply: Observation[episodes], Context[episodes] -> logits f32[episodes, actions], memory.
      bits: u32[bits_needed], random.
      params: the world's Params; its time limit is set aside for the probes' own horizons.
      context: what the policy is given beside its first observations.
      unseen: bool[sum(cardinalities)], the values of indices that training never showed; None to count no inputs.
      watched: the places of the episodes whose every step is returned.
    """
    episodes = len(run.bank.horizon)
    length = int(run.bank.horizon.max())
    counts = 2 * episodes, length * episodes * int(run.sampled), 2 * length * episodes * int(world.stochastic)
    reset_bits, draws, step_bits = hand_out(bits, *counts)
    levels = jax.tree.map(jnp.asarray, run.bank.levels)
    state = jax.vmap(world.reset_to_level, in_axes=(0, 0, None))(keys_from(reset_bits, (episodes,)), levels, params)
    draws = uniform(draws).reshape(length, -1)
    step_keys = keys_from(step_bits, (length, episodes)) if world.stochastic else jnp.zeros((length, 0))

    def play(carry, step):
        state, context, alive, reached, total, inputs = carry
        time, draw, keys = step
        observation = _shown(world, run, state, params)
        logits, memory = apply(observation, context)
        action = inverse_cdf(jax.nn.softmax(logits), draw) if run.sampled else jnp.argmax(logits, axis=-1)
        in_axes = (0 if world.stochastic else None, 0, 0, None)
        state, events, terminated = jax.vmap(world.transition, in_axes=in_axes)(
            keys if world.stochastic else None, state, action, params
        )
        reward = jax.vmap(world.earned, in_axes=(0, 0, None))(state, events, params)
        shown = reward if run.pays is None else reward[run.pays]
        context = context.after(memory, action, shown, jnp.zeros(episodes, bool))
        alive_now = alive & (time < run.bank.horizon)
        if unseen is not None:
            inputs = inputs + _active_inputs(world, observation.indices, alive_now, unseen)
        fresh = events & alive_now[:, None] & (reached < 0)
        reached = jnp.where(fresh, (time + 1).astype(jnp.int16), reached)
        seen = None
        if len(watched):
            seen = jax.tree.map(lambda leaf: leaf[np.asarray(watched)], WatchedSteps(state, action, events, alive_now))
        total = total + jnp.where(alive_now, reward, 0.0)
        return (state, context, alive_now & ~terminated, reached, total, inputs), seen

    reached = jnp.full((episodes, len(world.goals)), -1, jnp.int16)
    none = jnp.zeros((episodes, 2), jnp.int32)
    carry = state, context, jnp.ones(episodes, bool), reached, jnp.zeros(episodes), none
    xs = (jnp.arange(length, dtype=jnp.int32), draws, step_keys)
    (_, _, _, reached, total, inputs), steps = jax.lax.scan(play, carry, xs)
    if steps is not None:
        begin = jax.tree.map(lambda leaf: leaf[np.asarray(watched)][None], state)
        steps = steps._replace(state=jax.tree.map(lambda *leaves: jnp.concatenate(leaves), begin, steps.state))
    return Played(reached, total, inputs if unseen is not None else None, steps)


def _shown(world: World, run: Run, state: Any, params: Any) -> Observation:
    """What the policy is shown in each episode of a run: with a goal hidden from it, or with the eyes of another."""
    observation = jax.vmap(world.features, in_axes=(0, None))(state, params)
    for goal, where in run.hidden.items():
        without = jax.vmap(lambda seen, goal=goal: world.hide(seen, goal))(observation)
        observation = jax.tree.map(lambda a, b, w=where: jnp.where(column(w, a), a, b), without, observation)
    if run.eyes is not None:
        observation = jax.tree.map(lambda leaf: leaf[run.eyes], observation)
    return observation


def _active_inputs(world: World, indices: jax.Array, alive: jax.Array, unseen: jax.Array) -> jax.Array:
    """i32[episodes, 2], the active inputs of one step: those that training never showed, and all.

    Args:
      indices: i32[episodes, k], as they are observed.
      alive: bool[episodes], episodes that go on.
      unseen: as for `probe`.
    """
    rows = np.cumsum([0, *world.cardinalities[:-1]], dtype=np.int32)
    active = (indices >= 0) & alive[:, None]
    new = active & unseen[jnp.maximum(indices, 0) + rows[None, :]]
    return jnp.stack([new.sum(axis=1), active.sum(axis=1)], axis=1, dtype=jnp.int32)
